//! Before anything is charged: what is read of the card, and what policy and service say to it.

use huiwan_apdu::Sw;

use super::{SFI_PROCESS, State, Tap};
use crate::command;
use crate::psam::{CheckAuthCode, SamRequest};
use crate::terminal::policy::Last;
use crate::terminal::select::Stopped;
use crate::terminal::service::{CardRecord, CardView, Fare, LastTap, Service, Visit};
use crate::terminal::{Fault, Misuse, Refusal, Stage, Step, answer, ok, write};
use crate::transit::log::LogRecord;
use crate::transit::management::Management;
use crate::transit::process::Process;
use crate::transit::public_info::PublicInfo;

const SFI_MANAGEMENT: u8 = 0x17;
const SFI_LOG: u8 = 0x18;

impl<V: Service> Tap<'_, V> {
    pub(in super::super) fn on_public_info<'o>(
        &mut self,
        public_info: PublicInfo,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        if let Err(refusal) = self.check_public_info(&public_info) {
            return Ok(self.stop(refusal));
        }
        let card = CardView { public_info, management: None, last: None, record: None };
        if self.policy.wants_management(&public_info) {
            let apdu = write(&command::read_binary(SFI_MANAGEMENT, 60), out)?;
            self.card = Some(card);
            self.state = State::Management;
            return Ok(Step::Send(apdu));
        }
        self.read_last(card, out)
    }

    fn check_public_info(&self, public_info: &PublicInfo) -> Result<(), Refusal> {
        self.policy.check_public_info(public_info, self.stamp.date)?;
        match self.recent.and_then(|recent| recent.last(&public_info.card_id())) {
            Some(then) => self.policy.check_repeat(then, self.stamp),
            None => Ok(()),
        }
    }

    pub(super) fn on_management<'o>(&mut self, raw: &[u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some(card) = self.card else { return Err(Misuse::UnexpectedInput) };
        match self.management(&card.public_info, raw) {
            Ok(management) => self.read_last(CardView { management: Some(management), ..card }, out),
            Err(stopped) => Ok(self.stop(stopped)),
        }
    }

    fn management(&self, public_info: &PublicInfo, raw: &[u8]) -> Result<Management, Stopped> {
        let during = Stage::Management;
        let management = Management::parse(ok(raw, during)?).map_err(|_| Fault::Malformed { during })?;
        self.policy.check_management(public_info, &management)?;
        Ok(management)
    }

    fn read_last<'o>(&mut self, card: CardView, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let command = match self.policy.last {
            Last::Unread => return self.read_record(card, out),
            Last::Process => command::read_record(SFI_PROCESS, 1, 48),
            Last::Log => command::read_record(SFI_LOG, 1, 23),
        };
        let apdu = write(&command, out)?;
        self.card = Some(card);
        self.state = State::Last;
        Ok(Step::Send(apdu))
    }

    pub(super) fn on_last<'o>(&mut self, raw: &[u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some(card) = self.card else { return Err(Misuse::UnexpectedInput) };
        match self.last(raw) {
            Ok(last) => self.read_record(CardView { last, ..card }, out),
            Err(stopped) => Ok(self.stop(stopped)),
        }
    }

    /// The card's last payment, if it had one that is not too short ago.
    fn last(&self, raw: &[u8]) -> Result<Option<LastTap>, Stopped> {
        let during = if self.policy.last == Last::Process { Stage::Process } else { Stage::Log };
        let malformed = Fault::Malformed { during };
        let last = match answer(raw, during)? {
            (data, sw) if sw.is_ok() && self.policy.last == Last::Process => {
                LastTap::from_process(&Process::parse(data).map_err(|_| malformed)?)
            }
            (data, sw) if sw.is_ok() => LastTap::from_log(&LogRecord::parse(data).map_err(|_| malformed)?),
            // A card that was never used.
            (_, Sw::RECORD_NOT_FOUND) => None,
            (_, sw) => return Err(Fault::Status { during, sw }.into()),
        };
        if let Some(last) = &last {
            self.policy.check_last(last, self.device.terminal, self.stamp)?;
        }
        Ok(last)
    }

    fn read_record<'o>(&mut self, card: CardView, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some(file) = self.service.record() else { return self.judge(card, out) };
        let apdu = write(&command::read_record_by_id(file.sfi, file.id, file.len), out)?;
        self.card = Some(card);
        self.state = State::Record;
        Ok(Step::Send(apdu))
    }

    pub(super) fn on_record<'o>(&mut self, raw: &[u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let (Some(card), Some(file)) = (self.card, self.service.record()) else {
            return Err(Misuse::UnexpectedInput);
        };
        match record(file.len, raw) {
            Ok(record) => self.judge(CardView { record: Some(record), ..card }, out),
            Err(stopped) => Ok(self.stop(stopped)),
        }
    }

    fn judge<'o>(&mut self, card: CardView, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let verdict = self.service.judge(&Visit { card: &card, device: &self.device, stamp: self.stamp });
        let before = self.card.replace(card);
        let step = match verdict {
            Ok(Fare::Fixed(amount)) => self.charge(amount, out),
            Ok(Fare::Ask) => {
                self.state = State::Fare;
                Ok(Step::Fare)
            }
            Ok(Fare::All { p1 }) => self.read_balance(p1, out),
            Err(refusal) => Ok(self.stop(refusal)),
        };
        if step.is_err() {
            self.card = before;
        }
        step
    }

    fn read_balance<'o>(&mut self, p1: u8, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let command = command::GET_BALANCE.command(p1, command::EP).with_ne(command::expected(4));
        let apdu = write(&command, out)?;
        self.state = State::Balance;
        Ok(Step::Send(apdu))
    }

    pub(super) fn on_auth_code<'o>(&mut self, amount: u32, raw: &[u8]) -> Result<Step<'o>, Misuse> {
        let Some(card) = &self.card else { return Err(Misuse::UnexpectedInput) };
        let during = Stage::AuthCode;
        let code = ok(raw, during)
            .and_then(|code| <[u8; 9]>::try_from(code).map_err(|_| Fault::Malformed { during }));
        Ok(match code {
            Ok(code) => {
                let card = card.public_info.card_id();
                self.state = State::Authenticate { amount };
                Step::Key(SamRequest::CheckAuthCode(CheckAuthCode { card, code }))
            }
            Err(fault) => self.stop(fault),
        })
    }
}

/// The record of the composite file.
fn record(len: u8, raw: &[u8]) -> Result<CardRecord, Stopped> {
    let during = Stage::Record;
    match answer(raw, during)? {
        (data, sw) if sw.is_ok() && data.len() == usize::from(len) => {
            Ok(CardRecord::new(data).ok_or(Fault::Malformed { during })?)
        }
        (_, sw) if sw.is_ok() => Err(Fault::Malformed { during }.into()),
        (_, Sw::RECORD_NOT_FOUND | Sw::FILE_NOT_FOUND) => Err(Refusal::NoRecord.into()),
        (_, sw) => Err(Fault::Status { during, sw }.into()),
    }
}
