//! A top-up device: it relays between the card and the load host, and holds no key.
//!
//! ```text
//! Start ─ Send(SELECT) ─ Send(INITIALIZE FOR LOAD) ─ Host(request) ─ Persist(pending) ─ Send(CREDIT FOR LOAD) ─ Done
//! ```
//! Three commands with a copy of file 0015 in the FCI.

use super::select::{self, Stopped};
use super::{Device, Fault, Input, Misuse, Pending, Refusal, Stage, answer, write};
use crate::command::{self, Credit, Init, LoadInit};
use crate::keys::CardId;
use crate::mac::{Mac, TerminalNo};
use crate::transaction::Transaction;
use crate::transit::public_info::PublicInfo;
use crate::tti::Tti;

/// What the host needs to approve a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadRequest {
    /// The card.
    pub card: CardId,
    /// 02.
    pub tti: Tti,
    /// The loading terminal.
    pub terminal: TerminalNo,
    /// Index of the load key.
    pub key_index: u8,
    /// Fen.
    pub amount: u32,
    /// The card's answer, MAC1 included.
    pub init: LoadInit,
}

/// The host's approval.
pub type LoadApproval = Credit;

/// How a top-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopUpOutcome {
    /// Loaded: transaction and TAC go to the host.
    Loaded {
        /// What the TAC covers.
        transaction: Transaction,
        /// The card's TAC.
        tac: Mac,
    },
    /// Not loaded: the card is not taken.
    Refused(Refusal),
    /// Not loaded: the host declined.
    Declined,
    /// Not loaded: something failed. An approval that was given has to be reversed.
    Failed(Fault),
    /// The credit was sent and its answer is missing: run [`Recovery`](super::Recovery) with this.
    Uncertain(Pending),
}

/// What the engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum TopUpStep<'o> {
    /// Send this command.
    Send(&'o [u8]),
    /// Ask the host; go on with [`TopUp::on_host`].
    Host(LoadRequest),
    /// Keep this where a power failure does not reach it, then go on with `Proceed`.
    Persist(Pending),
    /// The end.
    Done(TopUpOutcome),
}

/// Loads one card.
#[derive(Debug, Clone)]
pub struct TopUp {
    device: Device,
    amount: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo,
    Init(CardId),
    Host(LoadRequest),
    Persist(Transaction, Credit),
    Credit(Transaction),
    Done(TopUpOutcome),
}

impl TopUp {
    /// A load of `amount` fen. The device's key index is the load key's.
    #[must_use]
    pub const fn new(device: Device, amount: u32) -> Self {
        Self { device, amount, state: State::Idle }
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<TopUpStep<'o>, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Start) => {
                let apdu = write(&select::command(self.device.aid), out)?;
                self.state = State::Select;
                Ok(TopUpStep::Send(apdu))
            }
            (State::Select, Input::Response(raw)) => match select::on_select(raw, false) {
                Ok(Some(public_info)) => self.initialize(&public_info, out),
                Ok(None) => {
                    let apdu = write(&select::read_public_info(), out)?;
                    self.state = State::PublicInfo;
                    Ok(TopUpStep::Send(apdu))
                }
                Err(Stopped::Refused(refusal)) => Ok(self.done(TopUpOutcome::Refused(refusal))),
                Err(Stopped::Failed(fault)) => Ok(self.done(TopUpOutcome::Failed(fault))),
            },
            (State::PublicInfo, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.initialize(&public_info, out),
                Err(fault) => Ok(self.done(TopUpOutcome::Failed(fault))),
            },
            (State::Init(card), Input::Response(raw)) => match on_init(raw) {
                Ok(init) => {
                    let request = LoadRequest {
                        card,
                        tti: Tti::EP_LOAD,
                        terminal: self.device.terminal,
                        key_index: self.device.key_index,
                        amount: self.amount,
                        init,
                    };
                    self.state = State::Host(request);
                    Ok(TopUpStep::Host(request))
                }
                Err(fault) => Ok(self.done(TopUpOutcome::Failed(fault))),
            },
            (State::Persist(transaction, credit), Input::Proceed) => {
                let data = credit.to_bytes();
                let command =
                    command::CREDIT_FOR_LOAD.command(0, 0).with_data(&data).with_ne(command::expected(4));
                let apdu = write(&command, out)?;
                self.state = State::Credit(transaction);
                Ok(TopUpStep::Send(apdu))
            }
            (State::Credit(transaction), Input::Response(raw)) => Ok(self.on_credit(transaction, raw)),
            (State::Credit(transaction), Input::CardLost) => {
                Ok(self.done(TopUpOutcome::Uncertain(Pending { transaction })))
            }
            (State::Done(outcome), _) => Ok(TopUpStep::Done(outcome)),
            (state, Input::CardLost) => {
                let during = match state {
                    State::Select => Stage::Select,
                    State::PublicInfo => Stage::PublicInfo,
                    State::Init(_) | State::Host(_) | State::Persist(..) => Stage::Initialize,
                    _ => return Err(Misuse::UnexpectedInput),
                };
                Ok(self.done(TopUpOutcome::Failed(Fault::CardLost { during })))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The host's answer to [`TopUpStep::Host`]; `None`: declined.
    ///
    /// # Errors
    /// [`Misuse`] if no host was asked.
    pub fn on_host(&mut self, approval: Option<LoadApproval>) -> Result<TopUpStep<'static>, Misuse> {
        let State::Host(request) = self.state else { return Err(Misuse::UnexpectedInput) };
        let Some(credit) = approval else { return Ok(self.done(TopUpOutcome::Declined)) };
        let transaction = request.transaction(credit.stamp);
        self.state = State::Persist(transaction, credit);
        Ok(TopUpStep::Persist(Pending { transaction }))
    }

    fn initialize<'o>(
        &mut self,
        public_info: &PublicInfo,
        out: &'o mut [u8],
    ) -> Result<TopUpStep<'o>, Misuse> {
        let data =
            Init { key_index: self.device.key_index, amount: self.amount, terminal: self.device.terminal }
                .to_bytes();
        let command = command::INITIALIZE_FOR_LOAD
            .command(0, command::EP)
            .with_data(&data)
            .with_ne(command::expected(16));
        let apdu = write(&command, out)?;
        self.state = State::Init(public_info.card_id());
        Ok(TopUpStep::Send(apdu))
    }

    fn on_credit<'o>(&mut self, transaction: Transaction, raw: &[u8]) -> TopUpStep<'o> {
        let uncertain = TopUpOutcome::Uncertain(Pending { transaction });
        let outcome = match answer(raw, Stage::Credit) {
            Ok((data, sw)) if sw.is_ok() => match Mac::try_from(data) {
                Ok(tac) => TopUpOutcome::Loaded { transaction, tac },
                Err(_) => uncertain,
            },
            Ok((_, sw)) if super::tap::refuses(sw) => {
                TopUpOutcome::Failed(Fault::Status { during: Stage::Credit, sw })
            }
            Ok(_) | Err(_) => uncertain,
        };
        self.done(outcome)
    }

    fn done<'o>(&mut self, outcome: TopUpOutcome) -> TopUpStep<'o> {
        self.state = State::Done(outcome);
        TopUpStep::Done(outcome)
    }
}

impl LoadRequest {
    /// The load as it will be if the card takes the host's approval of `stamp`.
    #[must_use]
    pub const fn transaction(&self, stamp: crate::date::Stamp) -> Transaction {
        Transaction {
            tti: self.tti,
            card: self.card,
            balance: self.init.balance,
            seq: self.init.online_seq,
            overdraft: 0,
            amount: self.amount,
            terminal: self.terminal,
            terminal_seq: 0,
            stamp,
            key_version: self.init.key_version,
            algorithm: self.init.algorithm,
        }
    }
}

fn on_init(raw: &[u8]) -> Result<LoadInit, Fault> {
    let during = Stage::Initialize;
    match answer(raw, during)? {
        (data, sw) if sw.is_ok() => LoadInit::parse(data).map_err(|_| Fault::Malformed { during }),
        (_, sw) => Err(Fault::Status { during, sw }),
    }
}
