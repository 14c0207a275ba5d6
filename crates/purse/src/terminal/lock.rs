//! Locking a blacklisted card, and unlocking one that came off the list at a service desk.
//!
//! ```text
//! Start ─ Send(SELECT) ─ [drain] ─ Send(GET CHALLENGE) ─ Key(80 1A, 80 FA) ─ Send(APPLICATION BLOCK) ─ Done
//! drain: Send(GET BALANCE) ─ Send(INITIALIZE) ─ SendAndKey(UPDATE CAPP, 80 70) ─ Persist(pending) ─ Send(DEBIT) ─ Key(80 72)
//! ```
//! Three commands with a copy of file 0015 in the FCI; seven with a composite debit of the whole balance before, which some
//! operators want. [sheet 5.6: I:SH,HD]
//!
//! # What answers mean
//! 9000: locked. 6988: the MAC is wrong; the third one locks many cards for good, so the engine does not try again. 9303: locked
//! for good already. A lost answer: run another [`Lock`]; if the card did lock, SELECT tells (6283 or 9303), and the end is
//! [`End::Already`]. Locking twice does no harm.
//!
//! A debit that ends in [`Outcome::Uncertain`] stays pending as after any tap. Proof and log answer on a temporarily locked
//! card too [correction 4], so [`Recovery`](super::Recovery) may come after [`Order::Block`]; of a card that is locked for good
//! only the back office can tell. So after such a debit no card is locked for good; that waits for the recovery.

use huiwan_apdu::{Command, Sw};

use super::policy::{Blacklist, Policy, Refusal, process_terminal};
use super::select;
use super::service::{Charge, Fare, Records, Service, Visit};
use super::tap::Tap;
use super::{COMMAND_LEN, Device, Fault, Input, Misuse, Outcome, Pending, Stage, Step, answer, ok, write};
use crate::command;
use crate::date::Stamp;
use crate::keys::CardId;
use crate::psam::{SamAnswer, SamRefused, SamRequest, SecureCommand};
use crate::status;
use crate::transit::process::{self, Kind, Process};
use crate::transit::public_info::{self, PublicInfo};
use crate::tti::Tti;

/// What is done to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// APPLICATION BLOCK that a service desk can undo (84 1E 00 00).
    Block,
    /// APPLICATION BLOCK for good (84 1E 00 01).
    BlockForGood,
    /// APPLICATION UNBLOCK of a temporary lock (84 18 00 00).
    Unblock,
}

impl Order {
    /// CLA, INS, P1, P2 and Lc of the command, whose data are the MAC alone. [sheet 1.2]
    #[must_use]
    pub const fn header(self) -> [u8; 5] {
        match self {
            Self::Block => [0x84, 0x1E, 0x00, 0x00, 0x04],
            Self::BlockForGood => [0x84, 0x1E, 0x00, 0x01, 0x04],
            Self::Unblock => [0x84, 0x18, 0x00, 0x00, 0x04],
        }
    }
}

/// The maintenance key, as the PSAM's INIT DES names it. The card does not say which it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceKey {
    /// Version.
    pub version: u8,
    /// Algorithm.
    pub algorithm: u8,
}

/// A debit of everything on the card before it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// A composite purchase with this trip record, in which type, terminal, amount, balance and time are still to be filled
    /// in; `None`: a plain purchase.
    pub record: Option<Process>,
    /// The type of the trip record: [`Kind::LOCK`] in Shanghai. \[S:SH\]
    pub kind: Kind,
    /// P1 of GET BALANCE; see [`Fare::All`].
    pub balance: u8,
}

impl Service for Drain {
    fn tti(&self) -> Tti {
        if self.record.is_some() { Tti::CAPP_PURCHASE } else { Tti::EP_PURCHASE }
    }

    fn judge(&self, _: &Visit<'_>) -> Result<Fare, Refusal> {
        Ok(Fare::All { p1: self.balance })
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let process = self.record.map(|record| {
            record
                .with(process::KIND, [self.kind.0])
                .with(process::TERMINAL, process_terminal(charge.device.terminal))
                .with(process::AMOUNT, charge.amount.to_be_bytes())
                .with(process::BALANCE, charge.balance_after.to_be_bytes())
                .with(process::TIME, charge.stamp.to_bytes())
        });
        Records { composite: None, process }
    }
}

/// A card to be locked is out of date, not enabled or of a foreign issuer as may be.
const ANY_CARD: &Policy<'static> =
    &Policy { types: None, enabled: false, dates: false, max_fare: u32::MAX, ..Policy::JTT_978 };

/// How the lock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The card did as ordered.
    Done,
    /// It was so already, or is locked for good.
    Already,
    /// Nothing was done: this card is not to be locked, for it is not on the blacklist. Or not to be unlocked, for it is.
    NotOrdered,
    /// Nothing was done: there is no such application.
    Refused(Refusal),
    /// Something failed. If that is the loss of the card during [`Stage::Lock`], it may be done all the same.
    Failed(Fault),
}

/// What became of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    /// How the lock ended.
    pub end: End,
    /// How the debit before ended, if there was one.
    pub drained: Option<Outcome>,
}

/// What the engine wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum LockStep<'o> {
    /// Send this command; go on with `Response` or `CardLost`.
    Send(&'o [u8]),
    /// Send this command and ask the PSAM at the same time; go on with both answers in any order.
    SendAndKey(&'o [u8], SamRequest),
    /// Ask the PSAM; go on with `Key`.
    Key(SamRequest),
    /// Half of a `SendAndKey` is still missing.
    Wait,
    /// Keep this where a power failure does not reach it, then go on with `Proceed`; as [`Step::Persist`].
    Persist(Pending),
    /// The end.
    Done(Locked),
}

/// Carries out one order on one card.
#[derive(Clone)]
pub struct Lock<'p> {
    device: Device,
    order: Order,
    key: MaintenanceKey,
    blacklist: &'p dyn Blacklist,
    drain: Option<Tap<'p, Drain>>,
    drained: Option<Outcome>,
    state: State,
}

impl core::fmt::Debug for Lock<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lock")
            .field("device", &self.device)
            .field("order", &self.order)
            .field("key", &self.key)
            .field("drain", &self.drain)
            .field("drained", &self.drained)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Select,
    PublicInfo { locked: bool },
    Drain(CardId),
    Challenge(CardId),
    Key,
    Order,
    Done(Locked),
}

impl<'p> Lock<'p> {
    /// An order for a card that is on the blacklist, or to unblock one that is not.
    #[must_use]
    pub const fn new(
        device: Device,
        order: Order,
        key: MaintenanceKey,
        blacklist: &'p dyn Blacklist,
    ) -> Self {
        Self { device, order, key, blacklist, drain: None, drained: None, state: State::Idle }
    }

    /// The same with a debit of everything on the card before it is blocked.
    #[must_use]
    pub const fn with_drain(mut self, drain: &'p Drain, stamp: Stamp) -> Self {
        self.drain = Some(Tap::new(self.device, ANY_CARD, drain, stamp));
        self
    }

    /// One step on. During a drain the buffer has to hold [`COMMAND_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only, with the engine as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<LockStep<'o>, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Start) => self.send(&select::command(self.device.aid), State::Select, out),
            (State::Select, Input::Response(raw)) => self.on_select(raw, out),
            (State::PublicInfo { locked }, Input::Response(raw)) => match select::on_public_info(raw) {
                Ok(public_info) => self.on_card(&public_info, locked, out),
                Err(fault) => Ok(self.done(End::Failed(fault))),
            },
            (State::Drain(card), input) => self.on_drain(card, input, out),
            (State::Challenge(card), Input::Response(raw)) => Ok(self.on_challenge(card, raw)),
            (State::Key, Input::Key(SamAnswer::Mac(mac))) => {
                let [cla, ins, p1, p2, _] = self.order.header();
                self.send(&Command::new(cla, ins, p1, p2).with_data(&mac), State::Order, out)
            }
            (State::Key, Input::Key(SamAnswer::Refused(SamRefused(sw)))) => {
                Ok(self.done(End::Failed(Fault::Sam(sw))))
            }
            (State::Order, Input::Response(raw)) => Ok(self.on_order(raw)),
            (State::Done(locked), _) => Ok(LockStep::Done(locked)),
            (state, Input::CardLost) => {
                let during = match state {
                    State::Select => Stage::Select,
                    State::PublicInfo { .. } => Stage::PublicInfo,
                    State::Challenge(_) | State::Key => Stage::Challenge,
                    State::Order => Stage::Lock,
                    _ => return Err(Misuse::UnexpectedInput),
                };
                Ok(self.done(End::Failed(Fault::CardLost { during })))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn blocks(&self) -> bool {
        self.order != Order::Unblock
    }

    fn on_select<'o>(&mut self, raw: &[u8], out: &'o mut [u8]) -> Result<LockStep<'o>, Misuse> {
        let locked = matches!(answer(raw, Stage::Select), Ok((_, Sw::WARNING_SELECTED_INVALIDATED)));
        match select::on_select(raw, true) {
            Ok(Some(public_info)) => self.on_card(&public_info, locked, out),
            Ok(None) => self.send(&select::read_public_info(), State::PublicInfo { locked }, out),
            Err(select::Stopped::Refused(Refusal::PermanentlyLocked)) if self.blocks() => {
                Ok(self.done(End::Already))
            }
            Err(select::Stopped::Refused(refusal)) => Ok(self.done(End::Refused(refusal))),
            Err(select::Stopped::Failed(fault)) => Ok(self.done(End::Failed(fault))),
        }
    }

    fn on_card<'o>(
        &mut self,
        public_info: &PublicInfo,
        locked: bool,
        out: &'o mut [u8],
    ) -> Result<LockStep<'o>, Misuse> {
        let blocks = self.blocks();
        if self.blacklist.lists(&public_info.get(public_info::SERIAL)) != blocks {
            return Ok(self.done(End::NotOrdered));
        }
        match (self.order, locked) {
            (Order::Block, true) | (Order::Unblock, false) => return Ok(self.done(End::Already)),
            _ => {}
        }
        let card = public_info.card_id();
        match &mut self.drain {
            // A locked card debits nothing.
            Some(tap) if blocks && !locked => {
                let step = tap.on_public_info(*public_info, out)?;
                self.state = State::Drain(card);
                match step {
                    Step::Send(apdu) => Ok(LockStep::Send(apdu)),
                    // The policy refuses nothing, and balances are asked for first.
                    _ => Err(Misuse::UnexpectedInput),
                }
            }
            _ => self.challenge(card, out),
        }
    }

    fn on_drain<'o>(
        &mut self,
        card: CardId,
        input: Input<'_>,
        out: &'o mut [u8],
    ) -> Result<LockStep<'o>, Misuse> {
        if out.len() < COMMAND_LEN {
            return Err(Misuse::BufferTooSmall { needed: COMMAND_LEN });
        }
        let Some(tap) = &mut self.drain else { return Err(Misuse::UnexpectedInput) };
        let lost = input == Input::CardLost;
        // The status word of a debit that is neither done nor refused.
        let answered = match input {
            Input::Response(raw) => answer(raw, Stage::Debit).ok().map(|(_, sw)| sw).filter(|sw| !sw.is_ok()),
            _ => None,
        };
        // What the tap sends lies here until it is known that it does not end: then GET CHALLENGE goes out instead.
        let mut apdu = [0; COMMAND_LEN];
        let mut step = tap.step(input, &mut apdu)?;
        if let Step::Accepted(_) = step {
            // No gate to open.
            step = tap.step(Input::Proceed, &mut [])?;
        }
        match step {
            Step::Send(apdu) => copy(apdu, out).map(LockStep::Send),
            Step::SendAndKey(apdu, request) => {
                copy(apdu, out).map(|apdu| LockStep::SendAndKey(apdu, request))
            }
            Step::Key(request) => Ok(LockStep::Key(request)),
            Step::Wait => Ok(LockStep::Wait),
            Step::Persist(pending) => Ok(LockStep::Persist(pending)),
            Step::Done(outcome) => {
                self.drained = Some(outcome);
                match outcome {
                    Outcome::Failed(fault @ Fault::CardLost { .. }) => Ok(self.done(End::Failed(fault))),
                    // Locked for good, the card would prove no debit any more.
                    Outcome::Uncertain(_) if lost || self.order == Order::BlockForGood => {
                        let during = Stage::Debit;
                        let sw = answered.filter(|_| !lost);
                        Ok(self.done(End::Failed(match sw {
                            Some(sw) => Fault::Status { during, sw },
                            None if lost => Fault::CardLost { during },
                            None => Fault::Malformed { during },
                        })))
                    }
                    _ => self.challenge(card, out),
                }
            }
            Step::Fare | Step::Accepted(_) => Err(Misuse::UnexpectedInput),
        }
    }

    /// GET CHALLENGE, four bytes. [sheet 1.2, 2.5]
    fn challenge<'o>(&mut self, card: CardId, out: &'o mut [u8]) -> Result<LockStep<'o>, Misuse> {
        let command = Command::new(0x00, 0x84, 0x00, 0x00).with_ne(command::expected(4));
        self.send(&command, State::Challenge(card), out)
    }

    fn on_challenge<'o>(&mut self, card: CardId, raw: &[u8]) -> LockStep<'o> {
        let during = Stage::Challenge;
        let challenge =
            ok(raw, during).and_then(|raw| <[u8; 4]>::try_from(raw).map_err(|_| Fault::Malformed { during }));
        match challenge {
            Ok([a, b, c, d]) => {
                self.state = State::Key;
                LockStep::Key(SamRequest::SecureCommand(SecureCommand {
                    card,
                    key_version: self.key.version,
                    algorithm: self.key.algorithm,
                    challenge: [a, b, c, d, 0, 0, 0, 0],
                    header: self.order.header(),
                }))
            }
            Err(fault) => self.done(End::Failed(fault)),
        }
    }

    fn on_order<'o>(&mut self, raw: &[u8]) -> LockStep<'o> {
        let during = Stage::Lock;
        let end = match answer(raw, during) {
            Ok((_, sw)) if sw.is_ok() => End::Done,
            Ok((_, status::PERMANENTLY_LOCKED)) if self.blocks() => End::Already,
            Ok((_, sw)) => End::Failed(Fault::Status { during, sw }),
            Err(fault) => End::Failed(fault),
        };
        self.done(end)
    }

    fn send<'o>(
        &mut self,
        command: &Command<'_>,
        next: State,
        out: &'o mut [u8],
    ) -> Result<LockStep<'o>, Misuse> {
        let apdu = write(command, out)?;
        self.state = next;
        Ok(LockStep::Send(apdu))
    }

    fn done<'o>(&mut self, end: End) -> LockStep<'o> {
        let locked = Locked { end, drained: self.drained };
        self.state = State::Done(locked);
        LockStep::Done(locked)
    }
}

/// The command where the caller wants it; the caller has checked that it fits.
fn copy<'o>(apdu: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Misuse> {
    let needed = apdu.len();
    let place = out.get_mut(..needed).ok_or(Misuse::BufferTooSmall { needed })?;
    place.copy_from_slice(apdu);
    Ok(place)
}
