//! A terminal that relays a transaction between card and host, and holds no key: load, unload (圈提), overdraft limit
//! update, online grey unlock.
//!
//! ```text
//! Start ─ Send(SELECT) ─ Send(INITIALIZE) ─┬─ Host(request) ─ Persist(pending) ─ Send(completion) ─ Done(Completed)
//!                                          └─ 6982 ─ AskPin ─ Send(VERIFY) ─ Send(INITIALIZE) ─ ..
//! ```
//! Whether a PIN is needed the card says: passbooks and unloads want one, most purses do not. Three commands with a copy
//! of file 0015 in the FCI, five with a PIN.
//!
//! # When the answer is lost
//! [`Online::settle`] asks the same card for the proof of the transaction, which the host takes as if it came at once; if
//! it has none, the engine initialises the card for nothing with the host's challenge in place of the terminal's number,
//! and the host concludes from that ([`host::online`](crate::host::online)).
//!
//! ```text
//! Start ─ Send(SELECT) ─ Send(GET TRANSACTION PROVE) ─┬─ Done(Completed)
//!                                                     └─ 9406 ─ Send(INITIALIZE) ─ Done(Reinitialised)
//! ```

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::Secret;

use super::select::{self, Stopped};
use super::{Device, Fault, Input, Misuse, Pending, Refusal, Stage, answer, ok, write};
use crate::account::Account;
use crate::command::{self, Credit, GreyUnlockRequest, Init, Limit, Proof, ShortInit};
use crate::keys::CardId;
use crate::mac::{Mac, TerminalNo};
use crate::online::{OnlineApproval, OnlineInit, OnlineRequest};
use crate::profile::Profile;
use crate::status;
use crate::transaction::Transaction;
use crate::transit::public_info::PublicInfo;
use crate::tti::Tti;

/// A PIN as VERIFY carries it: BCD, two digits a byte, F behind an odd last one. [sheet 1.2]
#[derive(Debug, Clone)]
pub struct Pin {
    bytes: Secret<8>,
    len: usize,
}

impl Pin {
    /// 1 to 8 bytes; `None` for another length.
    #[must_use]
    pub fn new(raw: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        bytes.get_mut(..raw.len()).filter(|place| !place.is_empty())?.copy_from_slice(raw);
        Some(Self { bytes: Secret::new(bytes), len: raw.len() })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.expose().get(..self.len).unwrap_or_default()
    }
}

/// What is to be done with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errand {
    tti: Tti,
    account: Account,
    /// P2 of the initialisation.
    p2: u8,
    amount: u32,
}

impl Errand {
    /// Load `amount` fen.
    #[must_use]
    pub const fn load(account: Account, amount: u32) -> Self {
        Self { tti: account.load(), account, p2: account.p2(), amount }
    }

    /// Unload `amount` fen.
    #[must_use]
    pub const fn unload(account: Account, amount: u32) -> Self {
        Self { tti: Tti::UNLOAD, account, p2: account.p2(), amount }
    }

    /// Update the overdraft limit. `proposed` (fen, 0 = none) goes to the host, which decides.
    #[must_use]
    pub const fn limit(profile: &Profile, proposed: u32) -> Self {
        let account = Account::of(profile, Tti::LIMIT_UPDATE);
        Self { tti: Tti::LIMIT_UPDATE, account, p2: profile.limit_p2, amount: proposed }
    }

    /// End a grey lock. The host decides what it costs.
    #[must_use]
    pub const fn grey_unlock(account: Account) -> Self {
        Self { tti: Tti::GREY_UNLOCK, account, p2: account.p2(), amount: 0 }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnlineOutcome {
    /// The card did it: transaction and proof go to the host.
    Completed {
        /// The transaction.
        transaction: Transaction,
        /// TAC of a load or limit update, MAC3 of an unload or grey unlock.
        proof: Mac,
    },
    /// The card does not prove the transaction: its fresh initialisation goes to the host.
    Reinitialised(OnlineRequest),
    /// Not done: the card is not taken.
    Refused(Refusal),
    /// Not done: the host declined.
    Declined,
    /// Not done: no PIN was given.
    NoPin,
    /// Not done, or not settled: something failed. An approval that was given has to be settled.
    Failed(Fault),
    /// Another card than the one to be settled.
    OtherCard,
    /// The completion was sent and its answer is missing: [`Online::settle`] this.
    Uncertain(Pending),
}

/// What the engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum OnlineStep<'o> {
    /// Send this command; go on with `Response` or `CardLost`.
    Send(&'o [u8]),
    /// Ask the holder for the PIN; go on with [`Online::on_pin`].
    AskPin {
        /// Tries the card has left after a wrong one; `None` the first time.
        tries: Option<u8>,
    },
    /// Ask the host; go on with [`Online::on_host`].
    Host(OnlineRequest),
    /// Keep this where a power failure does not reach it, then go on with `Proceed`.
    Persist(Pending),
    /// The end.
    Done(OnlineOutcome),
}

/// Relays one transaction, or settles one.
#[derive(Debug, Clone)]
pub struct Online {
    device: Device,
    errand: Errand,
    /// The transaction that is to be settled.
    settle: Option<Transaction>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo,
    Prove(CardId),
    Init { card: CardId, pin_given: bool },
    Pin(CardId),
    Verify(CardId),
    Host(OnlineRequest),
    Persist(Transaction, OnlineApproval),
    Completion(Transaction),
    Done(OnlineOutcome),
}

impl Online {
    /// Runs `errand`. The device's key index is that of its key.
    #[must_use]
    pub const fn new(device: Device, errand: Errand) -> Self {
        Self { device, errand, settle: None, state: State::Idle }
    }

    /// Finds out what became of `pending`, a transaction on `account`. `challenge` is the number the host asked for, and
    /// the device's key index that of the load key (of the unlock key, if it is a grey unlock).
    #[must_use]
    pub fn settle(device: Device, account: Account, pending: Pending, challenge: TerminalNo) -> Self {
        let transaction = pending.transaction;
        // While a card is locked, it can be initialised for the unlock only.
        let errand = match transaction.tti {
            Tti::GREY_UNLOCK => Errand::grey_unlock(account),
            _ => Errand::load(account, 0),
        };
        let device = Device { terminal: challenge, ..device };
        Self { settle: Some(transaction), ..Self::new(device, errand) }
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<OnlineStep<'o>, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Start) => {
                let apdu = write(&select::command(self.device.aid), out)?;
                self.state = State::Select;
                Ok(OnlineStep::Send(apdu))
            }
            (State::Select, Input::Response(raw)) => match select::on_select(raw, self.settle.is_some()) {
                Ok(Some(public_info)) => self.on_public_info(&public_info, out),
                Ok(None) => {
                    let apdu = write(&select::read_public_info(), out)?;
                    self.state = State::PublicInfo;
                    Ok(OnlineStep::Send(apdu))
                }
                Err(Stopped::Refused(refusal)) => Ok(self.done(OnlineOutcome::Refused(refusal))),
                Err(Stopped::Failed(fault)) => Ok(self.done(OnlineOutcome::Failed(fault))),
            },
            (State::PublicInfo, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.on_public_info(&public_info, out),
                Err(fault) => Ok(self.done(OnlineOutcome::Failed(fault))),
            },
            (State::Prove(card), Input::Response(raw)) => self.on_prove(card, raw, out),
            (State::Init { card, pin_given }, Input::Response(raw)) => {
                self.on_init(card, pin_given, raw, out)
            }
            (State::Verify(card), Input::Response(raw)) => self.on_verify(card, raw, out),
            (State::Persist(transaction, approval), Input::Proceed) => {
                let apdu = complete(transaction.tti, approval, out)?;
                self.state = State::Completion(transaction);
                Ok(OnlineStep::Send(apdu))
            }
            (State::Completion(transaction), Input::Response(raw)) => {
                Ok(self.on_completion(transaction, raw))
            }
            (State::Completion(transaction), Input::CardLost) => {
                Ok(self.done(OnlineOutcome::Uncertain(Pending { transaction })))
            }
            (State::Done(outcome), _) => Ok(OnlineStep::Done(outcome)),
            (state, Input::CardLost) => {
                let during = match state {
                    State::Select => Stage::Select,
                    State::PublicInfo => Stage::PublicInfo,
                    State::Prove(_) => Stage::Prove,
                    State::Idle => return Err(Misuse::UnexpectedInput),
                    _ => Stage::Initialize,
                };
                Ok(self.done(OnlineOutcome::Failed(Fault::CardLost { during })))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The PIN asked for by [`OnlineStep::AskPin`]; `None`: the holder gives up.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn on_pin<'o>(&mut self, pin: Option<&Pin>, out: &'o mut [u8]) -> Result<OnlineStep<'o>, Misuse> {
        let State::Pin(card) = self.state else { return Err(Misuse::UnexpectedInput) };
        let Some(pin) = pin else { return Ok(self.done(OnlineOutcome::NoPin)) };
        let apdu = write(&Command::new(0x00, 0x20, 0x00, 0x00).with_data(pin.as_bytes()), out)?;
        self.state = State::Verify(card);
        Ok(OnlineStep::Send(apdu))
    }

    /// The host's answer to [`OnlineStep::Host`]; `None`: declined.
    ///
    /// # Errors
    /// [`Misuse`] if no host was asked.
    pub fn on_host(&mut self, approval: Option<OnlineApproval>) -> Result<OnlineStep<'static>, Misuse> {
        let State::Host(request) = self.state else { return Err(Misuse::UnexpectedInput) };
        let Some(approval) = approval else { return Ok(self.done(OnlineOutcome::Declined)) };
        let transaction = OnlineRequest { amount: approval.amount, ..request }.transaction(approval.stamp);
        self.state = State::Persist(transaction, approval);
        Ok(OnlineStep::Persist(Pending { transaction }))
    }

    fn on_public_info<'o>(
        &mut self,
        public_info: &PublicInfo,
        out: &'o mut [u8],
    ) -> Result<OnlineStep<'o>, Misuse> {
        let card = public_info.card_id();
        let Some(transaction) = self.settle else { return self.initialize(card, false, out) };
        if card != transaction.card {
            return Ok(self.done(OnlineOutcome::OtherCard));
        }
        let data = transaction.seq_after().to_be_bytes();
        let command = command::GET_TRANSACTION_PROVE
            .command(0x00, transaction.tti.0)
            .with_data(&data)
            .with_ne(command::expected(8));
        let apdu = write(&command, out)?;
        self.state = State::Prove(card);
        Ok(OnlineStep::Send(apdu))
    }

    /// The proof is the card's word for its counter; whether it is of this transaction, TAC or MAC3 tell the host.
    fn on_prove<'o>(
        &mut self,
        card: CardId,
        raw: &[u8],
        out: &'o mut [u8],
    ) -> Result<OnlineStep<'o>, Misuse> {
        let during = Stage::Prove;
        let outcome = match (answer(raw, during), self.settle) {
            (Ok((data, sw)), Some(transaction)) if sw.is_ok() => match Proof::parse(data) {
                // An unload has MAC3 and no TAC, a load the other way round. [sheet 3.4]
                Ok(Proof { mac, tac }) => OnlineOutcome::Completed {
                    transaction,
                    proof: if transaction.has_mac3() { mac } else { tac },
                },
                Err(_) => OnlineOutcome::Failed(Fault::Malformed { during }),
            },
            (Ok((_, status::NO_PROOF)), _) => return self.initialize(card, false, out),
            (Ok((_, sw)), _) => OnlineOutcome::Failed(Fault::Status { during, sw }),
            (Err(fault), _) => OnlineOutcome::Failed(fault),
        };
        Ok(self.done(outcome))
    }

    fn initialize<'o>(
        &mut self,
        card: CardId,
        pin_given: bool,
        out: &'o mut [u8],
    ) -> Result<OnlineStep<'o>, Misuse> {
        let (Device { key_index, terminal, .. }, Errand { tti, p2, amount, .. }) = (self.device, self.errand);
        let long = Init { key_index, amount, terminal }.to_bytes();
        let short = ShortInit { key_index, terminal }.to_bytes();
        let (header, data, ne): (_, &[u8], _) = match tti {
            Tti::UNLOAD => (command::INITIALIZE_FOR_UNLOAD, &long, 16),
            Tti::LIMIT_UPDATE => (command::INITIALIZE_FOR_UPDATE, &short, 19),
            Tti::GREY_UNLOCK => (command::INITIALIZE_FOR_GREY_UNLOCK, &short, 18),
            _ => (command::INITIALIZE_FOR_LOAD, &long, 16),
        };
        let apdu = write(&header.command(0, p2).with_data(data).with_ne(command::expected(ne)), out)?;
        self.state = State::Init { card, pin_given };
        Ok(OnlineStep::Send(apdu))
    }

    fn on_init<'o>(
        &mut self,
        card: CardId,
        pin_given: bool,
        raw: &[u8],
        out: &'o mut [u8],
    ) -> Result<OnlineStep<'o>, Misuse> {
        let (during, Errand { tti, account, amount, .. }) = (Stage::Initialize, self.errand);
        let init = match answer(raw, during) {
            Ok((_, Sw::SECURITY_STATUS)) if !pin_given => {
                self.state = State::Pin(card);
                return Ok(OnlineStep::AskPin { tries: None });
            }
            // Not locked any more: then it can be initialised for a load.
            Ok((_, Sw::CONDITIONS_NOT_SATISFIED)) if self.settle.is_some() && tti == Tti::GREY_UNLOCK => {
                let before = core::mem::replace(&mut self.errand, Errand::load(account, 0));
                let step = self.initialize(card, pin_given, out);
                if step.is_err() {
                    self.errand = before;
                }
                return step;
            }
            _ => ok(raw, during)
                .and_then(|data| OnlineInit::parse(tti, data).map_err(|_| Fault::Malformed { during })),
        };
        let init = match init {
            Ok(init) => init,
            Err(fault) => return Ok(self.done(OnlineOutcome::Failed(fault))),
        };
        let Device { key_index, terminal, .. } = self.device;
        let request = OnlineRequest { tti, account, card, terminal, key_index, amount, init };
        if self.settle.is_some() {
            return Ok(self.done(OnlineOutcome::Reinitialised(request)));
        }
        self.state = State::Host(request);
        Ok(OnlineStep::Host(request))
    }

    fn on_verify<'o>(
        &mut self,
        card: CardId,
        raw: &[u8],
        out: &'o mut [u8],
    ) -> Result<OnlineStep<'o>, Misuse> {
        let during = Stage::Verify;
        match answer(raw, during) {
            Ok((_, sw)) if sw.is_ok() => self.initialize(card, true, out),
            Ok((_, sw)) => match sw.value().to_be_bytes() {
                [0x63, tries @ 0xC1..=0xCF] => {
                    self.state = State::Pin(card);
                    Ok(OnlineStep::AskPin { tries: Some(tries & 0x0F) })
                }
                _ => Ok(self.done(OnlineOutcome::Failed(Fault::Status { during, sw }))),
            },
            Err(fault) => Ok(self.done(OnlineOutcome::Failed(fault))),
        }
    }

    fn on_completion<'o>(&mut self, transaction: Transaction, raw: &[u8]) -> OnlineStep<'o> {
        let during = Stage::Credit;
        let uncertain = OnlineOutcome::Uncertain(Pending { transaction });
        let outcome = match answer(raw, during) {
            Ok((data, sw)) if sw.is_ok() => match Mac::try_from(data) {
                Ok(proof) => OnlineOutcome::Completed { transaction, proof },
                Err(_) => uncertain,
            },
            Ok((_, sw)) if super::tap::refuses(sw) => OnlineOutcome::Failed(Fault::Status { during, sw }),
            Ok(_) | Err(_) => uncertain,
        };
        self.done(outcome)
    }

    fn done<'o>(&mut self, outcome: OnlineOutcome) -> OnlineStep<'o> {
        self.state = State::Done(outcome);
        OnlineStep::Done(outcome)
    }
}

/// The command that completes a transaction.
fn complete(tti: Tti, approval: OnlineApproval, out: &mut [u8]) -> Result<&[u8], Misuse> {
    let credit = Credit::from(approval).to_bytes();
    let limit = Limit::from(approval).to_bytes();
    let unlock = GreyUnlockRequest::from(approval).to_bytes();
    let (header, data): (_, &[u8]) = match tti {
        Tti::UNLOAD => (command::DEBIT_FOR_UNLOAD, &credit),
        Tti::LIMIT_UPDATE => (command::UPDATE_OVERDRAW_LIMIT, &limit),
        Tti::GREY_UNLOCK => (command::GREY_UNLOCK, &unlock),
        _ => (command::CREDIT_FOR_LOAD, &credit),
    };
    write(&header.command(0, 0).with_data(data).with_ne(command::expected(4)), out)
}
