//! The body of every payment.

use core::fmt;

use huiwan_apdu::Sw;

use super::policy::{Policy, Recent};
use super::select::{self, Stopped};
use super::service::{CardView, Charge, Records, Service};
use super::{
    Device, Fault, Input, Mac2, Misuse, Outcome, Pending, Receipt, Refusal, Stage, Step, answer, ok, write,
};
use crate::command::{self, Debit, Debited, Init, PurchaseInit};
use crate::date::Stamp;
use crate::psam::{CreditForPurchase, InitForPurchase, SamAnswer, SamPurchase, SamRefused, SamRequest};
use crate::status;
use crate::transaction::Transaction;
use crate::tti::Tti;

mod reading;

const SFI_PROCESS: u8 = 0x1E;

/// A payment by one card. Build it before the card arrives; it is worth one tap.
///
/// The device, the policy and the service are the gate's and shared by all taps.
#[derive(Clone)]
pub struct Tap<'p, V> {
    device: Device,
    policy: &'p Policy<'p>,
    service: &'p V,
    stamp: Stamp,
    recent: Option<&'p dyn Recent>,
    card: Option<CardView>,
    state: State,
}

impl<V: fmt::Debug> fmt::Debug for Tap<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("device", &self.device)
            .field("policy", &self.policy)
            .field("service", &self.service)
            .field("stamp", &self.stamp)
            .field("card", &self.card)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo,
    Management,
    Last,
    Record,
    Fare,
    Balance,
    AuthCode { amount: u32 },
    Authenticate { amount: u32 },
    Init { amount: u32 },
    Exchange(Exchange),
    Persist(Ready),
    Debit(Ready),
    Accepted(Receipt, [u8; 4]),
    Credit(Receipt),
    Done(Outcome),
}

/// Between initialisation and debit: records go to the card while the PSAM works.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    init: PurchaseInit,
    amount: u32,
    records: Records,
    /// The PSAM's answer.
    sam: Option<SamPurchase>,
    /// A command is with the card.
    sent: bool,
}

/// Everything the debit needs.
#[derive(Debug, Clone, Copy)]
struct Ready {
    transaction: Transaction,
    mac1: [u8; 4],
}

impl<'p, V: Service> Tap<'p, V> {
    /// A tap at `stamp`.
    #[must_use]
    pub const fn new(device: Device, policy: &'p Policy<'p>, service: &'p V, stamp: Stamp) -> Self {
        Self { device, policy, service, stamp, recent: None, card: None, state: State::Idle }
    }

    /// The same at a terminal that remembers cards it took, for the policy's repeat window.
    #[must_use]
    pub const fn with_recent(mut self, recent: &'p dyn Recent) -> Self {
        self.recent = Some(recent);
        self
    }

    /// What is known of the card so far.
    #[must_use]
    pub const fn card(&self) -> Option<&CardView> {
        self.card.as_ref()
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let state = self.state;
        match (state, input) {
            (State::Idle, Input::Start) => {
                let apdu = write(&select::command(self.device.aid), out)?;
                self.state = State::Select;
                Ok(Step::Send(apdu))
            }
            (State::Select, Input::Response(raw)) => match select::on_select(raw, false) {
                Ok(Some(public_info)) => self.on_public_info(public_info, out),
                Ok(None) => {
                    let apdu = write(&select::read_public_info(), out)?;
                    self.state = State::PublicInfo;
                    Ok(Step::Send(apdu))
                }
                Err(stopped) => Ok(self.stop(stopped)),
            },
            (State::PublicInfo, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.on_public_info(public_info, out),
                Err(fault) => Ok(self.stop(fault)),
            },
            (State::Management, Input::Response(raw)) => self.on_management(raw, out),
            (State::Last, Input::Response(raw)) => self.on_last(raw, out),
            (State::Record, Input::Response(raw)) => self.on_record(raw, out),
            (State::Fare, Input::Fare(amount)) => self.charge(amount, out),
            (State::Balance, Input::Response(raw)) => match balance(raw) {
                // Nothing to debit.
                Ok(0) => Ok(self.stop(Refusal::InsufficientBalance { balance: Some(0), fare: 0 })),
                Ok(amount) => self.charge(amount, out),
                Err(fault) => Ok(self.stop(fault)),
            },
            (State::AuthCode { amount }, Input::Response(raw)) => self.on_auth_code(amount, raw),
            (State::Authenticate { amount }, Input::Key(answer)) => match answer {
                SamAnswer::Authentic => self.initialize(amount, out),
                SamAnswer::Refused(SamRefused(sw)) => Ok(self.stop(Fault::Sam(sw))),
                _ => Err(Misuse::UnexpectedInput),
            },
            (State::Init { amount }, Input::Response(raw)) => self.on_init(amount, raw, out),
            (State::Exchange(exchange), Input::Response(raw)) if exchange.sent => match ok(raw, Stage::Cache)
            {
                Ok(_) => self.exchange(Exchange { sent: false, ..exchange }, out),
                Err(Fault::Status { sw: status::RECORD_LOCKED, .. }) => Ok(self.stop(Refusal::RecordLocked)),
                Err(fault) => Ok(self.stop(fault)),
            },
            (State::Exchange(exchange), Input::Key(answer)) if exchange.sam.is_none() => match answer {
                SamAnswer::Purchase(sam) => self.exchange(Exchange { sam: Some(sam), ..exchange }, out),
                SamAnswer::Refused(SamRefused(sw)) => Ok(self.stop(Fault::Sam(sw))),
                _ => Err(Misuse::UnexpectedInput),
            },
            (State::Persist(ready), Input::Proceed) => {
                let data = Debit {
                    terminal_seq: ready.transaction.terminal_seq,
                    stamp: self.stamp,
                    mac1: ready.mac1,
                }
                .to_bytes();
                let command = command::DEBIT_FOR_PURCHASE
                    .command(0x01, 0x00)
                    .with_data(&data)
                    .with_ne(command::expected(8));
                let apdu = write(&command, out)?;
                self.state = State::Debit(ready);
                Ok(Step::Send(apdu))
            }
            (State::Debit(ready), Input::Response(raw)) => Ok(self.on_debit(&ready, raw)),
            (State::Debit(ready), Input::CardLost) => Ok(self.uncertain(&ready)),
            (State::Accepted(receipt, mac2), Input::Proceed) => {
                self.state = State::Credit(receipt);
                let terminal_seq = receipt.transaction.terminal_seq;
                Ok(Step::Key(SamRequest::CreditForPurchase(CreditForPurchase { terminal_seq, mac2 })))
            }
            (State::Credit(receipt), Input::Key(answer)) => match credited(receipt, answer) {
                Some(outcome) => Ok(self.done(outcome)),
                None => Err(Misuse::UnexpectedInput),
            },
            // The card may leave once it has debited.
            (State::Accepted(receipt, _), Input::CardLost) => Ok(Step::Accepted(receipt)),
            (State::Credit(_), Input::CardLost) => Ok(Step::Wait),
            (State::Done(outcome), _) => Ok(Step::Done(outcome)),
            (state, Input::CardLost) => match during(&state) {
                Some(during) => Ok(self.stop(Fault::CardLost { during })),
                None => Err(Misuse::UnexpectedInput),
            },
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The amount is known.
    fn charge<'o>(&mut self, amount: u32, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if amount > self.policy.max_fare {
            return Ok(self.stop(Refusal::FareTooHigh));
        }
        if !self.policy.auth_code {
            return self.initialize(amount, out);
        }
        let command = command::GET_AUTH_CODE.command(0, 0).with_ne(command::expected(9));
        let apdu = write(&command, out)?;
        self.state = State::AuthCode { amount };
        Ok(Step::Send(apdu))
    }

    fn initialize<'o>(&mut self, amount: u32, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let data =
            Init { key_index: self.device.key_index, amount, terminal: self.device.terminal }.to_bytes();
        let header = match self.service.tti() {
            Tti::CAPP_PURCHASE => command::INITIALIZE_FOR_CAPP_PURCHASE,
            _ => command::INITIALIZE_FOR_PURCHASE,
        };
        let command = header.command(0, command::EP).with_data(&data).with_ne(command::expected(15));
        let apdu = write(&command, out)?;
        self.state = State::Init { amount };
        Ok(Step::Send(apdu))
    }

    fn on_init<'o>(&mut self, amount: u32, raw: &[u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let during = Stage::Initialize;
        let Some(card) = &self.card else { return Err(Misuse::UnexpectedInput) };
        let init = match answer(raw, during) {
            Ok((data, sw)) if sw.is_ok() => match PurchaseInit::parse(data) {
                Ok(init) => init,
                Err(_) => return Ok(self.stop(Fault::Malformed { during })),
            },
            Ok((_, status::INSUFFICIENT_BALANCE)) => {
                return Ok(self.stop(Refusal::InsufficientBalance { balance: None, fare: amount }));
            }
            Ok((_, sw)) => return Ok(self.stop(Fault::Status { during, sw })),
            Err(fault) => return Ok(self.stop(fault)),
        };
        let Some(balance_after) = init.balance.checked_sub(amount) else {
            // A card that starts a purchase it cannot pay is not trusted to refuse it later.
            let balance = Some(init.balance);
            return Ok(self.stop(Refusal::InsufficientBalance { balance, fare: amount }));
        };
        let records = self.service.compose(&Charge {
            card,
            device: &self.device,
            amount,
            balance_after,
            stamp: self.stamp,
        });
        let request = SamRequest::InitForPurchase(InitForPurchase {
            card: card.public_info.card_id(),
            random: init.random,
            offline_seq: init.offline_seq,
            amount,
            tti: self.service.tti(),
            stamp: self.stamp,
            key_version: init.key_version,
            algorithm: init.algorithm,
        });
        let exchange = Exchange { init, amount, records, sam: None, sent: false };
        match self.exchange(exchange, out)? {
            Step::Send(apdu) => Ok(Step::SendAndKey(apdu, request)),
            _ => Ok(Step::Key(request)),
        }
    }

    /// Sends the next record, or waits for the missing half, or is ready for the debit.
    fn exchange<'o>(&mut self, mut exchange: Exchange, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if !exchange.sent {
            let mut next = exchange.records;
            let composite = next.composite.take();
            let process = if composite.is_none() { next.process.take() } else { None };
            let command = match (&composite, &process) {
                (Some(record), _) => self
                    .service
                    .record()
                    .map(|file| command::update_capp_data_cache(file.sfi, file.id, record)),
                (None, Some(process)) => {
                    Some(command::update_capp_data_cache(SFI_PROCESS, 0, process.as_bytes()))
                }
                (None, None) => None,
            };
            if let Some(command) = command {
                let apdu = write(&command, out)?;
                exchange.records = next;
                exchange.sent = true;
                self.state = State::Exchange(exchange);
                return Ok(Step::Send(apdu));
            }
        }
        match (exchange.sent, exchange.sam, &self.card) {
            (false, Some(sam), Some(card)) => {
                let ready = Ready {
                    transaction: Transaction {
                        tti: self.service.tti(),
                        card: card.public_info.card_id(),
                        balance: exchange.init.balance,
                        seq: exchange.init.offline_seq,
                        overdraft: exchange.init.overdraft,
                        amount: exchange.amount,
                        terminal: self.device.terminal,
                        terminal_seq: sam.terminal_seq,
                        stamp: self.stamp,
                        key_version: exchange.init.key_version,
                        algorithm: exchange.init.algorithm,
                    },
                    mac1: sam.mac1,
                };
                self.state = State::Persist(ready);
                Ok(Step::Persist(Pending { transaction: ready.transaction }))
            }
            _ => {
                self.state = State::Exchange(exchange);
                Ok(Step::Wait)
            }
        }
    }

    fn on_debit<'o>(&mut self, ready: &Ready, raw: &[u8]) -> Step<'o> {
        match answer(raw, Stage::Debit) {
            Ok((data, sw)) if sw.is_ok() => match Debited::parse(data) {
                Ok(Debited { tac, mac2 }) => {
                    let receipt =
                        Receipt { transaction: ready.transaction, tac: Some(tac), mac2: Mac2::NotChecked };
                    self.state = State::Accepted(receipt, mac2);
                    Step::Accepted(receipt)
                }
                Err(_) => self.uncertain(ready),
            },
            Ok((_, sw)) if refuses(sw) => self.stop(Fault::Status { during: Stage::Debit, sw }),
            Ok(_) | Err(_) => self.uncertain(ready),
        }
    }

    fn uncertain<'o>(&mut self, ready: &Ready) -> Step<'o> {
        self.done(Outcome::Uncertain(Pending { transaction: ready.transaction }))
    }

    fn stop<'o>(&mut self, why: impl Into<Stopped>) -> Step<'o> {
        self.done(why.into().into())
    }

    fn done<'o>(&mut self, outcome: Outcome) -> Step<'o> {
        self.state = State::Done(outcome);
        Step::Done(outcome)
    }
}

/// The answer of GET BALANCE.
pub(super) fn balance(raw: &[u8]) -> Result<u32, Fault> {
    let during = Stage::Balance;
    let bytes = <[u8; 4]>::try_from(ok(raw, during)?).map_err(|_| Fault::Malformed { during })?;
    Ok(u32::from_be_bytes(bytes))
}

/// The outcome after CREDIT SAM FOR PURCHASE; `None` if this is not its answer.
pub(super) fn credited(receipt: Receipt, answer: SamAnswer) -> Option<Outcome> {
    Some(match answer {
        SamAnswer::Credited => Outcome::Paid(Receipt { mac2: Mac2::Verified, ..receipt }),
        // 9302 in the field; other PSAMs say it as ISO 7816-4 does, with the tries that are left.
        SamAnswer::Refused(SamRefused(sw))
            if sw == status::MAC_INVALID || sw == Sw::SM_INCORRECT || sw.tries().is_some() =>
        {
            Outcome::Disputed(Receipt { mac2: Mac2::Wrong, ..receipt })
        }
        SamAnswer::Refused(_) => Outcome::Paid(Receipt { mac2: Mac2::NotChecked, ..receipt }),
        _ => return None,
    })
}

/// Status words by which a card says that it did not debit. Anything else (memory failures above all) leaves it open.
pub(super) fn refuses(sw: Sw) -> bool {
    matches!(
        sw,
        status::MAC_INVALID
            | status::PERMANENTLY_LOCKED
            | status::INSUFFICIENT_BALANCE
            | status::COUNTER_AT_END
            | status::KEY_INDEX
            | status::RECORD_LOCKED
            | status::GREY_LOCKED
            | Sw::WRONG_LENGTH
            | Sw::COMMAND_STATE
            | Sw::CONDITIONS_NOT_SATISFIED
            | Sw::SECURITY_STATUS
            | Sw::NOT_ENOUGH_MEMORY
            | Sw::WRONG_P1P2
            | Sw::INS_NOT_SUPPORTED
            | Sw::CLA_NOT_SUPPORTED
    )
}

/// The command a state waits for, before the debit.
fn during(state: &State) -> Option<Stage> {
    Some(match state {
        State::Select => Stage::Select,
        State::PublicInfo => Stage::PublicInfo,
        State::Management => Stage::Management,
        State::Last => Stage::Process,
        State::Record | State::Fare => Stage::Record,
        State::Balance => Stage::Balance,
        State::AuthCode { .. } | State::Authenticate { .. } => Stage::AuthCode,
        State::Init { .. } => Stage::Initialize,
        State::Exchange(_) | State::Persist(_) => Stage::Cache,
        _ => return None,
    })
}
