//! After a torn tap: what became of the debit or credit that was sent.
//!
//! The same card is selected again and asked for the proof of the transaction (GET TRANSACTION PROVE). The log decides
//! whose it is: if the debit did not happen, the next purchase anywhere takes the same counter, and the card proves that
//! one. If the card holds the proof of another counter (9406), the newest log record of that account's counter tells whether the
//! transaction can have happened, and a record with its counter whether it was this one. [sheet 3.4]
//!
//! Three commands if nothing happened since (SELECT, PROVE, one log record), one more for each later transaction. If a full
//! log holds no record that tells, an initialisation shows the counter: if it has not moved, nothing happened.

use huiwan_apdu::Sw;

use super::select::{self, Stopped};
use super::{Fault, Input, Mac2, Misuse, Outcome, Pending, Receipt, Refusal, Stage, answer, ok, write};
use crate::account::Account;
use crate::command::{self, Init, LoadInit, Proof, PurchaseInit};
use crate::psam::{CreditForPurchase, SamRequest};
use crate::status;
use crate::transit::log::{self, LogRecord};
use crate::transit::public_info::PublicInfo;

const SFI_LOG: u8 = 0x18;

/// What a torn transaction turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// It happened. For a load the receipt holds the TAC for the host. Without [`Mac2::Verified`] only the card says so,
    /// until the host has checked the TAC.
    Paid(Receipt),
    /// It did not happen, and cannot any more.
    NotPaid,
    /// The card answered a proof whose MAC2 is wrong.
    Disputed(Receipt),
    /// Another card; the pending transaction stays open.
    OtherCard,
    /// It cannot be told (now); the pending transaction stays open, or goes to the back office marked uncertain.
    Unknown(Option<Fault>),
}

/// What the engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum RecoveryStep<'o> {
    /// Send this command.
    Send(&'o [u8]),
    /// Ask the PSAM; go on with `Key`.
    Key(SamRequest),
    /// The end.
    Done(Recovered),
}

/// Recovers one pending transaction.
#[derive(Debug, Clone)]
pub struct Recovery {
    aid: &'static [u8],
    key_index: u8,
    pending: Pending,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo,
    Prove,
    Log { number: u8, proof: Option<Proof> },
    Counter,
    Credit(Receipt),
    Done(Recovered),
}

impl Recovery {
    /// For the transaction that was pending at the application `aid`.
    #[must_use]
    pub const fn new(aid: &'static [u8], pending: Pending) -> Self {
        Self { aid, key_index: 1, pending, state: State::Idle }
    }

    /// The same where the key index of the initialisation is not 1.
    #[must_use]
    pub const fn with_key_index(mut self, key_index: u8) -> Self {
        self.key_index = key_index;
        self
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<RecoveryStep<'o>, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Start) => {
                let apdu = write(&select::command(self.aid), out)?;
                self.state = State::Select;
                Ok(RecoveryStep::Send(apdu))
            }
            (State::Select, Input::Response(raw)) => match select::on_select(raw, true) {
                Ok(Some(public_info)) => self.on_public_info(&public_info, out),
                Ok(None) => {
                    let apdu = write(&select::read_public_info(), out)?;
                    self.state = State::PublicInfo;
                    Ok(RecoveryStep::Send(apdu))
                }
                Err(Stopped::Failed(fault)) => Ok(self.done(Recovered::Unknown(Some(fault)))),
                Err(Stopped::Refused(Refusal::NoApplication)) => Ok(self.done(Recovered::OtherCard)),
                // Locked for good it says no more whose it is.
                Err(Stopped::Refused(_)) => {
                    let (during, sw) = (Stage::Select, status::PERMANENTLY_LOCKED);
                    Ok(self.done(Recovered::Unknown(Some(Fault::Status { during, sw }))))
                }
            },
            (State::PublicInfo, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.on_public_info(&public_info, out),
                Err(fault) => Ok(self.done(Recovered::Unknown(Some(fault)))),
            },
            (State::Prove, Input::Response(raw)) => self.on_prove(raw, out),
            (State::Log { number, proof }, Input::Response(raw)) => self.on_log(number, proof, raw, out),
            (State::Counter, Input::Response(raw)) => Ok(self.on_counter(raw)),
            (State::Credit(receipt), Input::Key(answer)) => match super::tap::credited(receipt, answer) {
                Some(Outcome::Paid(receipt)) => Ok(self.done(Recovered::Paid(receipt))),
                Some(Outcome::Disputed(receipt)) => Ok(self.done(Recovered::Disputed(receipt))),
                _ => Err(Misuse::UnexpectedInput),
            },
            (State::Done(recovered), _) => Ok(RecoveryStep::Done(recovered)),
            (state, Input::CardLost) => match state {
                State::Select | State::PublicInfo => self.lost(Stage::Select),
                State::Prove => self.lost(Stage::Prove),
                State::Log { .. } => self.lost(Stage::Log),
                State::Counter => self.lost(Stage::Initialize),
                _ => Err(Misuse::UnexpectedInput),
            },
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn on_public_info<'o>(
        &mut self,
        public_info: &PublicInfo,
        out: &'o mut [u8],
    ) -> Result<RecoveryStep<'o>, Misuse> {
        let transaction = &self.pending.transaction;
        if public_info.card_id() != transaction.card {
            return Ok(self.done(Recovered::OtherCard));
        }
        let data = transaction.seq_after().to_be_bytes();
        let command = command::GET_TRANSACTION_PROVE
            .command(0x00, transaction.tti.0)
            .with_data(&data)
            .with_ne(command::expected(8));
        let apdu = write(&command, out)?;
        self.state = State::Prove;
        Ok(RecoveryStep::Send(apdu))
    }

    fn on_prove<'o>(&mut self, raw: &[u8], out: &'o mut [u8]) -> Result<RecoveryStep<'o>, Misuse> {
        let during = Stage::Prove;
        match answer(raw, during) {
            Ok((data, sw)) if sw.is_ok() => match Proof::parse(data) {
                Ok(proof) => self.read_log(1, Some(proof), out),
                Err(_) => Ok(self.done(Recovered::Unknown(Some(Fault::Malformed { during })))),
            },
            Ok((_, status::NO_PROOF)) => self.read_log(1, None, out),
            Ok((_, sw)) => Ok(self.done(Recovered::Unknown(Some(Fault::Status { during, sw })))),
            Err(fault) => Ok(self.done(Recovered::Unknown(Some(fault)))),
        }
    }

    /// The transaction is in the log.
    fn on_found<'o>(&mut self, proof: Option<Proof>) -> RecoveryStep<'o> {
        let transaction = self.pending.transaction;
        // An unload has MAC3 and no TAC, a load the other way round. [sheet 3.4]
        let tac = proof.map(|Proof { mac, tac }| if transaction.has_mac3() { mac } else { tac });
        let receipt = Receipt { transaction, tac, mac2: Mac2::NotChecked };
        let Some(Proof { mac: mac2, .. }) = proof else { return self.done(Recovered::Paid(receipt)) };
        if !transaction.tti.is_offline() {
            // A load has no MAC2 to the terminal; the host checks the TAC.
            return self.done(Recovered::Paid(receipt));
        }
        self.state = State::Credit(receipt);
        let terminal_seq = transaction.terminal_seq;
        RecoveryStep::Key(SamRequest::CreditForPurchase(CreditForPurchase { terminal_seq, mac2 }))
    }

    fn read_log<'o>(
        &mut self,
        number: u8,
        proof: Option<Proof>,
        out: &'o mut [u8],
    ) -> Result<RecoveryStep<'o>, Misuse> {
        let apdu = write(&command::read_record(SFI_LOG, number, 23), out)?;
        self.state = State::Log { number, proof };
        Ok(RecoveryStep::Send(apdu))
    }

    fn on_log<'o>(
        &mut self,
        number: u8,
        proof: Option<Proof>,
        raw: &[u8],
        out: &'o mut [u8],
    ) -> Result<RecoveryStep<'o>, Misuse> {
        let during = Stage::Log;
        let transaction = self.pending.transaction;
        let record = match answer(raw, during) {
            Ok((data, sw)) if sw.is_ok() => LogRecord::parse(data),
            // The log ends before any transaction of this kind after the pending one: a log that is not full yet, or a
            // full one of other transactions.
            Ok((_, Sw::RECORD_NOT_FOUND | Sw::WRONG_OFFSET)) => {
                return if number > LOG_RECORDS {
                    self.read_counter(out)
                } else {
                    Ok(self.not_in_log(proof))
                };
            }
            Ok((_, sw)) => return Ok(self.done(Recovered::Unknown(Some(Fault::Status { during, sw })))),
            Err(fault) => return Ok(self.done(Recovered::Unknown(Some(fault)))),
        };
        let Ok(record) = record else {
            return Ok(self.done(Recovered::Unknown(Some(Fault::Malformed { during }))));
        };
        let this_one = record.seq() == transaction.seq_after()
            && record.tti() == transaction.tti
            && record.amount() == transaction.amount
            && record.get(log::TERMINAL) == transaction.terminal
            && record.stamp() == transaction.stamp;
        if this_one {
            return Ok(self.on_found(proof));
        }
        // Each account has counters of its own and both write this log. Which counter numbers a type that names no account,
        // or is not known, the record does not tell.
        let account = Account::named(record.tti());
        let same_counter = account.is_some()
            && account == Account::named(transaction.tti)
            && record.tti().is_offline() == transaction.tti.is_offline();
        if !same_counter || record.seq() > transaction.seq_after() {
            return match number.checked_add(1) {
                Some(next) => self.read_log(next, proof, out),
                None => Ok(self.done(Recovered::Unknown(None))),
            };
        }
        if record.seq() < transaction.seq_after() {
            return Ok(self.not_in_log(proof));
        }
        // Another purchase took this counter: ours did not happen.
        Ok(self.done(Recovered::NotPaid))
    }

    /// The log has no transaction with this counter: ours did not happen, and its session is gone. Unless the card proves
    /// such a transaction all the same; then proof and log contradict each other, and neither decides.
    fn not_in_log<'o>(&mut self, proof: Option<Proof>) -> RecoveryStep<'o> {
        self.done(if proof.is_some() { Recovered::Unknown(None) } else { Recovered::NotPaid })
    }

    /// Initialises a transaction of nothing, which changes nothing, to see the account's counter.
    fn read_counter<'o>(&mut self, out: &'o mut [u8]) -> Result<RecoveryStep<'o>, Misuse> {
        let transaction = &self.pending.transaction;
        let Some(account) = Account::named(transaction.tti) else {
            return Ok(self.done(Recovered::Unknown(None)));
        };
        let (header, len) = if transaction.tti.is_offline() {
            (command::INITIALIZE_FOR_PURCHASE, PurchaseInit::LEN)
        } else {
            (command::INITIALIZE_FOR_LOAD, LoadInit::LEN)
        };
        let init = Init { key_index: self.key_index, amount: 0, terminal: transaction.terminal }.to_bytes();
        let len = u8::try_from(len).unwrap_or_default();
        let command = header.command(0, account.p2()).with_data(&init).with_ne(command::expected(len));
        let apdu = write(&command, out)?;
        self.state = State::Counter;
        Ok(RecoveryStep::Send(apdu))
    }

    fn on_counter<'o>(&mut self, raw: &[u8]) -> RecoveryStep<'o> {
        let during = Stage::Initialize;
        let transaction = &self.pending.transaction;
        let counter = ok(raw, during).ok().and_then(|data| {
            if transaction.tti.is_offline() {
                PurchaseInit::parse(data).map(|init| init.offline_seq).ok()
            } else {
                LoadInit::parse(data).map(|init| init.online_seq).ok()
            }
        });
        let unmoved = counter == Some(transaction.seq);
        self.done(if unmoved { Recovered::NotPaid } else { Recovered::Unknown(None) })
    }

    fn lost<'o>(&mut self, during: Stage) -> Result<RecoveryStep<'o>, Misuse> {
        Ok(self.done(Recovered::Unknown(Some(Fault::CardLost { during }))))
    }

    fn done<'o>(&mut self, recovered: Recovered) -> RecoveryStep<'o> {
        self.state = State::Done(recovered);
        RecoveryStep::Done(recovered)
    }
}

/// A log holds at least ten records; one that ends before was never full. [sheet 3.1]
const LOG_RECORDS: u8 = 10;
