//! Number, balance and log of a card, as a reader or the band's screen shows them.

use huiwan_apdu::Sw;

use super::select::{self, Stopped};
use super::tap::balance;
use super::{Fault, Input, Misuse, Refusal, Stage, answer, write};
use crate::command;
use crate::transit::log::LogRecord;
use crate::transit::public_info::PublicInfo;

const SFI_LOG: u8 = 0x18;

/// Log records an inquiry reads.
pub const LOG_RECORDS: usize = 10;

/// What a card tells everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// File 0015.
    pub public_info: PublicInfo,
    /// Fen.
    pub balance: u32,
    /// The newest transactions first.
    pub log: heapless::Vec<LogRecord, LOG_RECORDS>,
}

/// How an inquiry ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "one value per inquiry, and there is no heap to put it")]
pub enum InquiryOutcome {
    /// Everything was read.
    Read(Summary),
    /// There is nothing to read.
    Refused(Refusal),
    /// Something failed.
    Failed(Fault),
}

/// What the engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "one value per inquiry, and there is no heap to put it")]
pub enum InquiryStep<'o> {
    /// Send this command.
    Send(&'o [u8]),
    /// The end.
    Done(InquiryOutcome),
}

/// Reads one card.
#[derive(Debug, Clone)]
pub struct Inquiry {
    aid: &'static [u8],
    state: State,
    summary: Summary,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo,
    Balance,
    Log(u8),
    Done(End),
}

/// [`InquiryOutcome`] without what was read.
#[derive(Debug, Clone, Copy)]
enum End {
    Read,
    Refused(Refusal),
    Failed(Fault),
}

impl Inquiry {
    /// An inquiry of the application `aid`.
    #[must_use]
    pub fn new(aid: &'static [u8]) -> Self {
        let summary = Summary { public_info: PublicInfo::new(), balance: 0, log: heapless::Vec::new() };
        Self { aid, state: State::Idle, summary }
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<InquiryStep<'o>, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Start) => {
                let apdu = write(&select::command(self.aid), out)?;
                self.state = State::Select;
                Ok(InquiryStep::Send(apdu))
            }
            (State::Select, Input::Response(raw)) => match select::on_select(raw, true) {
                Ok(Some(public_info)) => self.on_public_info(public_info, out),
                Ok(None) => {
                    let apdu = write(&select::read_public_info(), out)?;
                    self.state = State::PublicInfo;
                    Ok(InquiryStep::Send(apdu))
                }
                Err(Stopped::Refused(refusal)) => Ok(self.done(End::Refused(refusal))),
                Err(Stopped::Failed(fault)) => Ok(self.done(End::Failed(fault))),
            },
            (State::PublicInfo, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.on_public_info(public_info, out),
                Err(fault) => Ok(self.done(End::Failed(fault))),
            },
            (State::Balance, Input::Response(raw)) => match balance(raw) {
                Ok(balance) => {
                    let step = self.read_log(1, out)?;
                    self.summary.balance = balance;
                    Ok(step)
                }
                Err(fault) => Ok(self.done(End::Failed(fault))),
            },
            (State::Log(number), Input::Response(raw)) => match log(raw) {
                Ok(Some(record)) => {
                    let next = number.checked_add(1).filter(|next| usize::from(*next) <= LOG_RECORDS);
                    let Some(next) = next else {
                        let _ = self.summary.log.push(record);
                        return Ok(self.done(End::Read));
                    };
                    let step = self.read_log(next, out)?;
                    // There is room for as many as are read.
                    let _ = self.summary.log.push(record);
                    Ok(step)
                }
                Ok(None) => Ok(self.done(End::Read)),
                Err(fault) => Ok(self.done(End::Failed(fault))),
            },
            (State::Done(end), _) => Ok(self.done(end)),
            (state, Input::CardLost) => {
                let during = match state {
                    State::Select => Stage::Select,
                    State::PublicInfo => Stage::PublicInfo,
                    State::Balance => Stage::Balance,
                    State::Log(_) => Stage::Log,
                    State::Idle | State::Done(_) => return Err(Misuse::UnexpectedInput),
                };
                Ok(self.done(End::Failed(Fault::CardLost { during })))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn on_public_info<'o>(
        &mut self,
        public_info: PublicInfo,
        out: &'o mut [u8],
    ) -> Result<InquiryStep<'o>, Misuse> {
        let command = command::GET_BALANCE.command(0x00, command::EP).with_ne(command::expected(4));
        let apdu = write(&command, out)?;
        self.summary.public_info = public_info;
        self.state = State::Balance;
        Ok(InquiryStep::Send(apdu))
    }

    fn read_log<'o>(&mut self, number: u8, out: &'o mut [u8]) -> Result<InquiryStep<'o>, Misuse> {
        let apdu = write(&command::read_record(SFI_LOG, number, 23), out)?;
        self.state = State::Log(number);
        Ok(InquiryStep::Send(apdu))
    }

    fn done<'o>(&mut self, end: End) -> InquiryStep<'o> {
        self.state = State::Done(end);
        InquiryStep::Done(match end {
            End::Read => InquiryOutcome::Read(self.summary.clone()),
            End::Refused(refusal) => InquiryOutcome::Refused(refusal),
            End::Failed(fault) => InquiryOutcome::Failed(fault),
        })
    }
}

/// A log record, or `None` past the last, or where the card shows everybody none. [sheet 3.1]
fn log(raw: &[u8]) -> Result<Option<LogRecord>, Fault> {
    let during = Stage::Log;
    match answer(raw, during)? {
        (data, sw) if sw.is_ok() => LogRecord::parse(data).map(Some).map_err(|_| Fault::Malformed { during }),
        (_, Sw::RECORD_NOT_FOUND | Sw::WRONG_OFFSET | Sw::FILE_NOT_FOUND | Sw::SECURITY_STATUS) => Ok(None),
        (_, sw) => Err(Fault::Status { during, sw }),
    }
}
