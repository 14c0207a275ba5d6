//! A top-up over the air as a resumable job: one load, brought about over as many visits and workers as it takes. [sheet 1.3, 2.4]
//!
//! The TSM is terminal and host at once. A [`Worker`] drives the relay ([`Online`]) and the host's session ([`OnlineSession`]),
//! and hands out the [`JobState`] whenever it has changed: bytes that any worker of any queue or database can go on from.
//!
//! ```text
//! Start ─ Persist ─ Send(SELECT) ─ Send(INITIALIZE) ─ Key(Approve) ─ Persist(MAC2 is out) ─ Send(CREDIT) ─ Key(VerifyTac) ─ Persist ─ Done
//! Start ─ Persist ─ Send(SELECT) ─ Send(PROVE) ─┬─ Key(VerifyTac) ─ Persist ─ Done(Loaded)
//!   (MAC2 was out)                              └─ 9406 ─ Send(INITIALIZE, host's challenge) ─ Key(VerifyMac1) ─ loaded, or from SELECT on
//! ```
//!
//! # Why nothing is loaded twice
//! An order names the one movement of the card's online counter it is for ([`Plan::online_seq`]; the issuer's books know the
//! counter from personalisation and from every [`Transaction::seq_after`]). Whatever copies of the state come back, in whatever
//! order and from however many workers: MAC2 is made for that counter only, the card takes one transaction at each counter, and
//! of several initialisations only the last one. A copy that is too old finds the counter past its order and does nothing
//! ([`Cause::Passed`]). So the order holds its [`slot`](super::online::Slot), and no other transaction may be given it.
//!
//! # Why nothing is lost
//! The payer is charged once for the order, before its first visit, and gets it back after [`Visit::Withdrawn`] only. What came of an
//! approval says the card: its TAC, or its next counter, or its old counter under a challenge of this visit, never a terminal or
//! a link that broke ([`host::online`](super::online)). The card that did not do it is initialised again, so that the old MAC2 is
//! dead, and gets a new one. Every attempt is the same transaction of the same date, so the TAC of any settles it.

use core::cmp::Ordering;
use core::fmt;

use super::KeyRefused;
use super::online::{self, OnlineSession, Outcome};
pub use super::online::{KeyAnswer, KeyRequest};
use crate::account::Account;
use crate::date::Stamp;
use crate::keys::CardId;
use crate::mac::TerminalNo;
use crate::online::{OnlineApproval, OnlineRequest};
use crate::pack::{Pack, Unpack};
use crate::terminal::online::{Errand, Online, OnlineOutcome, OnlineStep};
use crate::terminal::{self, COMMAND_LEN, Device, Fault, Misuse, Pending, Refusal, Stage};
use crate::transaction::Transaction;

/// A buffer of this length is enough for every step.
pub const OUT_LEN: usize = COMMAND_LEN;

/// What is to be so in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Goal {
    /// The money is on the card.
    Loaded,
    /// The payer can have the money back, because the card does not have it and cannot get it by what was sent; unless it turns
    /// out that it has it. No worker goes on with a plan that still says [`Loaded`](Self::Loaded).
    Withdrawn,
}

/// An order: the same in every visit, but for the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The card.
    pub card: CardId,
    /// The account. One that wants a PIN, as passbooks do, cannot be loaded without its holder.
    pub account: Account,
    /// The application, the TSM's terminal number, and the index of the load key.
    pub device: Device,
    /// Fen.
    pub amount: u32,
    /// The online counter of the account that this load uses up.
    pub online_seq: u16,
    /// Date and time of the order, which MAC2, TAC and the card's log name.
    pub stamp: Stamp,
    /// What is wanted now.
    pub goal: Goal,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobState {
    /// The caller's name of the job, so that states and plans are not mixed up.
    pub id: u64,
    /// Visits that have begun.
    pub visits: u16,
    session: Option<OnlineSession>,
}

impl JobState {
    /// Length of the persisted form, bytes.
    pub const LEN: usize = 12 + OnlineSession::LEN;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 1;

    /// A job that has not begun.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, visits: 0, session: None }
    }

    /// The host's session: what was approved, and how it stands. `None` as long as no MAC2 has left.
    #[must_use]
    pub const fn session(&self) -> Option<&OnlineSession> {
        self.session.as_ref()
    }

    /// version 1 ‖ id 8 ‖ visits 2 ‖ session given 1 (00, 01) ‖ [`OnlineSession::to_bytes`] 68, or zeros.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let session = self.session.and_then(|session| session.to_bytes());
        Pack::new()
            .put([Self::VERSION])
            .put(self.id.to_be_bytes())
            .put(self.visits.to_be_bytes())
            .put([u8::from(session.is_some())])
            .put(session.unwrap_or([0; OnlineSession::LEN]))
            .finish()
    }

    /// Reads the persisted form; `None` for another version or length, or a session that is none.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let raw: &[u8; Self::LEN] = raw.try_into().ok()?;
        let mut fields = Unpack::new(raw);
        let version = fields.byte();
        let (id, visits) = (u64::from_be_bytes(fields.take()), fields.u16());
        let session = match (fields.byte(), fields.take()) {
            (0, zeros) if zeros == [0; OnlineSession::LEN] => None,
            (1, session) => Some(OnlineSession::from_bytes(&session)?),
            _ => return None,
        };
        (version == Self::VERSION).then_some(Self { id, visits, session })
    }
}

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A card is there. The bytes are fresh random ones: the host's challenge of this visit.
    Start(TerminalNo),
    /// The card's answer to [`Step::Send`]: data ‖ SW.
    Response(&'a [u8]),
    /// The key provider's answer to [`Step::Key`].
    Key(KeyAnswer),
    /// [`Step::Persist`] is done.
    Continue,
    /// The card, the band or the phone is gone.
    Lost,
}

/// What a worker wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this to the card.
    Send(&'o [u8]),
    /// Ask the key provider.
    Key(KeyRequest),
    /// Keep this in place of the state before; go on with `Continue`.
    Persist(JobState),
    /// The visit is over.
    Done(Visit),
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visit {
    /// The card has the money, by its own proof. The end, whatever the goal was.
    Loaded(Transaction),
    /// The card did not get the money, by its own counter, and what was sent is dead: the payer gets it back. Only if that was the
    /// goal.
    Withdrawn,
    /// Not yet, and another visit may do better.
    Again(Cause),
    /// Not yet, and another visit would end the same way: somebody has to look. Nobody gets money back before that.
    Stopped(Cause),
}

/// Why a visit did not reach the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The link broke, or the card refused or answered nonsense.
    Card(Fault),
    /// The card is not to be loaded.
    Refused(Refusal),
    /// The key provider: the MAC is wrong, or it could not do it.
    Key(KeyRefused),
    /// Another card.
    OtherCard,
    /// The account wants a PIN.
    PinWanted,
    /// Transactions before this one are missing: the card's counter is lower.
    NotYet {
        /// The card's online counter.
        online_seq: u16,
    },
    /// The card's counter is past this order, and this copy of the state cannot tell by what: a newer one knows, or the
    /// counter was given away twice.
    Passed {
        /// The card's online counter.
        online_seq: u16,
    },
    /// What the card proves contradicts what was approved.
    Disputed(Transaction),
    /// The state belongs to another order.
    OtherPlan,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(Fault::CardLost { during }) => write!(f, "card left during {during:?}"),
            Self::Card(Fault::Status { during, sw }) => {
                write!(f, "card answered {:04X} to {during:?}", sw.value())
            }
            Self::Card(fault) => write!(f, "card answered nonsense: {fault:?}"),
            Self::Refused(refusal) => write!(f, "card is not to be loaded: {refusal:?}"),
            Self::Key(refused) => refused.fmt(f),
            Self::OtherCard => f.write_str("another card"),
            Self::PinWanted => f.write_str("account wants a pin"),
            Self::NotYet { online_seq } => write!(f, "card's counter {online_seq} is before the order's"),
            Self::Passed { online_seq } => write!(f, "card's counter {online_seq} is past the order's"),
            Self::Disputed(_) => f.write_str("card's proof contradicts what was approved"),
            Self::OtherPlan => f.write_str("state belongs to another order"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Waits for a card.
    Nothing,
    /// The beginning of the visit is being saved.
    SavingVisit,
    /// The session with its approval is being saved; MAC2 leaves then.
    SavingApproval(OnlineApproval),
    /// What it came to is being saved.
    SavingEnd(Visit),
    /// The relay waits for the card.
    AtCard,
    /// The session waits for the key provider.
    AtKeys,
    /// The key provider looks at MAC1 of an initialisation for nothing.
    ProvingUnmoved,
    Over(Visit),
}

/// Works on one card during one visit.
#[derive(Debug, Clone)]
pub struct Worker {
    plan: Plan,
    /// As it was saved last, but for the visit.
    state: JobState,
    session: OnlineSession,
    relay: Online,
    challenge: TerminalNo,
    /// The counter of the initialisation that is judged.
    shown: u16,
    doing: Doing,
}

impl Worker {
    /// A visit for the job that is as far as `state` says.
    #[must_use]
    pub fn new(plan: Plan, state: JobState) -> Self {
        Self {
            plan,
            state,
            session: state.session.unwrap_or_default(),
            relay: plan.relay(),
            challenge: TerminalNo::default(),
            shown: 0,
            doing: Doing::Nothing,
        }
    }

    /// How far the job is.
    #[must_use]
    pub const fn state(&self) -> JobState {
        self.state
    }

    /// One step on. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only, with the worker as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if out.len() < OUT_LEN {
            return Err(Misuse::BufferTooSmall { needed: OUT_LEN });
        }
        match (self.doing, input) {
            (Doing::Over(visit), _) => Ok(Step::Done(visit)),
            (Doing::Nothing, Input::Start(_)) if !self.plan.owns(&self.session) => {
                Ok(self.over(Visit::Stopped(Cause::OtherPlan)))
            }
            (Doing::Nothing, Input::Start(challenge)) => {
                self.challenge = challenge;
                self.state.visits = self.state.visits.saturating_add(1);
                self.doing = Doing::SavingVisit;
                Ok(Step::Persist(self.state))
            }
            (Doing::SavingVisit, Input::Continue) => self.look(out),
            (Doing::SavingApproval(approval), Input::Continue) => {
                let _ = self.relay.on_host(Some(approval))?;
                self.relay(terminal::Input::Proceed, out)
            }
            (Doing::SavingEnd(visit), Input::Continue) => Ok(self.over(visit)),
            (Doing::AtCard, Input::Response(raw)) => self.relay(terminal::Input::Response(raw), out),
            (Doing::AtCard, Input::Lost) => self.relay(terminal::Input::CardLost, out),
            (Doing::AtKeys, Input::Key(answer)) => {
                let step = self.session.step(online::Input::Key(answer))?;
                self.on_session(step, Some(answer), out)
            }
            (Doing::ProvingUnmoved, Input::Key(answer)) => Ok(self.over(match answer {
                KeyAnswer::Refused(refused) => Visit::of_keys(refused),
                _ => Visit::Withdrawn,
            })),
            // What is saved is enough to go on from, and the end needs no card.
            (Doing::SavingEnd(visit), Input::Lost) => Ok(self.over(visit)),
            (
                Doing::SavingVisit | Doing::SavingApproval(_) | Doing::AtKeys | Doing::ProvingUnmoved,
                Input::Lost,
            ) => Ok(self.over(Visit::Again(LOST))),
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// How the session stands decides what the card is asked.
    fn look<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        match (self.session.step(online::Input::TimedOut), self.plan.goal) {
            (Ok(online::Step::Done(Outcome::Completed(transaction))), _) => {
                Ok(self.over(Visit::Loaded(transaction)))
            }
            (Ok(online::Step::Done(Outcome::Doubtful(transaction))), _) => {
                // The challenge is good for this visit only, so it need not be kept.
                let _ = self.session.step(online::Input::Challenge(self.challenge))?;
                let Plan { device, account, .. } = self.plan;
                self.relay = Online::settle(device, account, Pending { transaction }, self.challenge);
                self.relay(terminal::Input::Start, out)
            }
            (Ok(online::Step::Done(Outcome::Reversed(_))), Goal::Withdrawn) => {
                Ok(self.over(Visit::Withdrawn))
            }
            (_, Goal::Withdrawn) => self.prove_unmoved(out),
            (_, Goal::Loaded) => self.load(out),
        }
    }

    /// A first attempt, or one after another that the card did not do.
    fn load<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        self.session = OnlineSession::new();
        self.relay = self.plan.relay();
        self.relay(terminal::Input::Start, out)
    }

    /// The card is asked for its counter under this visit's challenge, since nothing was approved that could be settled.
    fn prove_unmoved<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let device = Device { terminal: self.challenge, ..self.plan.device };
        self.relay = Online::new(device, Errand::load(self.plan.account, 0));
        self.relay(terminal::Input::Start, out)
    }

    fn relay<'o>(&mut self, input: terminal::Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let len = match self.relay.step(input, &mut *out)? {
            OnlineStep::Send(command) => command.len(),
            OnlineStep::Host(request) => return self.on_init(request, out),
            OnlineStep::AskPin { .. } => return Ok(self.over(Visit::Stopped(Cause::PinWanted))),
            OnlineStep::Done(outcome) => return self.on_outcome(outcome, out),
            // It follows the host's approval only, where it is passed over: the state is saved already.
            OnlineStep::Persist(_) => return Err(Misuse::UnexpectedInput),
        };
        self.doing = Doing::AtCard;
        Ok(Step::Send(out.get(..len).unwrap_or_default()))
    }

    /// The card was initialised: for the load, or to show its counter.
    fn on_init<'o>(&mut self, request: OnlineRequest, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let online_seq = request.init.online_seq;
        if request.card != self.plan.card {
            return Ok(self.over(Visit::Stopped(Cause::OtherCard)));
        }
        match (online_seq.cmp(&self.plan.online_seq), self.plan.goal) {
            (Ordering::Greater, _) => Ok(self.over(Visit::Stopped(Cause::Passed { online_seq }))),
            (_, Goal::Withdrawn) => {
                self.doing = Doing::ProvingUnmoved;
                Ok(Step::Key(KeyRequest::VerifyMac1 { request }))
            }
            (Ordering::Less, Goal::Loaded) => Ok(self.over(Visit::Stopped(Cause::NotYet { online_seq }))),
            (Ordering::Equal, Goal::Loaded) => {
                let step = self.session.step(online::Input::Request(request, self.plan.stamp))?;
                self.on_session(step, None, out)
            }
        }
    }

    /// The relay is at its end.
    fn on_outcome<'o>(&mut self, outcome: OnlineOutcome, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let visit = match outcome {
            OnlineOutcome::Completed { proof, .. } => {
                let step = self.session.step(online::Input::Confirm(proof))?;
                return self.on_session(step, None, out);
            }
            OnlineOutcome::Reinitialised(request) => {
                self.shown = request.init.online_seq;
                let step = self.session.step(online::Input::Reinit(request))?;
                return self.on_session(step, None, out);
            }
            OnlineOutcome::Refused(refusal) => Visit::Stopped(Cause::Refused(refusal)),
            OnlineOutcome::Failed(fault @ Fault::CardLost { .. }) => Visit::Again(Cause::Card(fault)),
            OnlineOutcome::Failed(fault) => Visit::Stopped(Cause::Card(fault)),
            OnlineOutcome::Uncertain(_) => Visit::Again(CREDIT_LOST),
            OnlineOutcome::OtherCard => Visit::Stopped(Cause::OtherCard),
            // The worker gives neither up.
            OnlineOutcome::NoPin | OnlineOutcome::Declined => Visit::Stopped(Cause::PinWanted),
        };
        Ok(self.over(visit))
    }

    /// `answer` is the key provider's, if the session had to wait for it.
    fn on_session<'o>(
        &mut self,
        step: online::Step,
        answer: Option<KeyAnswer>,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        let outcome = match step {
            online::Step::Key(request) => {
                self.doing = Doing::AtKeys;
                return Ok(Step::Key(request));
            }
            online::Step::Approved(approval) => return Ok(self.save(Doing::SavingApproval(approval))),
            // Asked for where the relay is started.
            online::Step::Reinitialise(_) => return Err(Misuse::UnexpectedInput),
            online::Step::Done(outcome) => outcome,
        };
        let visit = match (outcome, answer) {
            (Outcome::Completed(transaction), _) => {
                return Ok(self.save(Doing::SavingEnd(Visit::Loaded(transaction))));
            }
            (Outcome::Reversed(_), _) => match self.plan.goal {
                Goal::Loaded => return self.load(out),
                Goal::Withdrawn => return Ok(self.save(Doing::SavingEnd(Visit::Withdrawn))),
            },
            (Outcome::Declined(refused), _) => Visit::of_keys(refused),
            (Outcome::Doubtful(_), Some(KeyAnswer::Refused(refused))) => Visit::of_keys(refused),
            // The challenge is fresh and MAC1 is right: what is doubtful then is a counter two past the order's, or more.
            (Outcome::Doubtful(_), Some(_)) => Visit::Stopped(Cause::Passed { online_seq: self.shown }),
            (Outcome::Doubtful(_), None) => {
                Visit::Stopped(Cause::Card(Fault::Malformed { during: Stage::Initialize }))
            }
            (Outcome::Disputed(transaction) | Outcome::Occupied(transaction), _) => {
                Visit::Stopped(Cause::Disputed(transaction))
            }
        };
        Ok(self.over(visit))
    }

    fn save<'o>(&mut self, doing: Doing) -> Step<'o> {
        self.state.session = Some(self.session);
        self.doing = doing;
        Step::Persist(self.state)
    }

    fn over<'o>(&mut self, visit: Visit) -> Step<'o> {
        self.doing = Doing::Over(visit);
        Step::Done(visit)
    }
}

const LOST: Cause = Cause::Card(Fault::CardLost { during: Stage::Initialize });
const CREDIT_LOST: Cause = Cause::Card(Fault::CardLost { during: Stage::Credit });

impl Visit {
    /// A wrong MAC1 is the link's as a rule, and counts nowhere.
    const fn of_keys(refused: KeyRefused) -> Self {
        match refused {
            KeyRefused::MacInvalid | KeyRefused::Unavailable => Self::Again(Cause::Key(refused)),
            KeyRefused::NoKey | KeyRefused::Impossible => Self::Stopped(Cause::Key(refused)),
        }
    }
}

impl Plan {
    /// The relay of an attempt.
    const fn relay(&self) -> Online {
        Online::new(self.device, Errand::load(self.account, self.amount))
    }

    /// Whether a session is of this order.
    fn owns(&self, session: &OnlineSession) -> bool {
        session.request().is_none_or(|request| {
            let own = (self.card, self.account, self.amount, self.online_seq);
            (request.card, request.account, request.amount, request.init.online_seq) == own
        })
    }
}
