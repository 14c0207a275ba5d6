//! The host's side of a transaction with a card: approves it, waits for the card's proof, and settles it when the answer
//! was lost. One body for [`load`](super::load), [`unload`](super::unload), [`limit`](super::limit) and
//! [`grey_unlock`](super::grey_unlock).
//!
//! ```text
//! Request ─ Key(Approve) ─ Approved(MAC2) ─┬─ Confirm(TAC or MAC3) ─ Key(Verify..) ─ Done(Completed)
//!                                          ├─ TimedOut, NotCompleted ─ Done(Doubtful): keep to_bytes
//!                                          ├─ Challenge ─ Reinitialise(number)
//!                                          └─ Reinit(request) ─ Key(VerifyMac1) ─ Done(Completed | Reversed | ..)
//! ```
//!
//! # When the answer is lost
//! A terminal that says "the card did not do it" may err or lie, so its word reverses nothing unless
//! [`Policy::terminals_word`] says so. What counts is the card's:
//! - **A late proof** ([`Input::Confirm`]): the TAC or MAC3 that GET TRANSACTION PROVE gives again.
//! - **The next initialisation** ([`Input::Reinit`]), that of a load of the same account at best: its MAC1 covers the balance under a key that
//!   depends on the online counter, which moves with the transaction, in one commit. One higher, and the balance no more
//!   than it would be: it was completed. Not moved: it was not, and cannot be any more, since the card forgets a session
//!   when it is initialised again.
//!
//! "Not moved" needs one thing more. A terminal can initialise a card twice, have the second initialisation approved and
//! completed, and then show the first one, whose MAC1 is right too. So the host names a number nobody can know before
//! ([`Input::Challenge`]), and the terminal puts it where its own number stands in an initialisation of nothing
//! ([`Step::Reinitialise`]): MAC1 covers it, and no card looks at it. "Moved" needs no challenge: it cannot be shown early.
//!
//! # One approval for each counter
//! MAC2 is bound to the card's random number, so of two initialisations with one counter the card completes at most one;
//! two approvals would book one movement twice. Whoever keeps sessions looks for those with the [`OnlineRequest::slot`] of a
//! request before it starts another. An open session holds its slot (a unique index over the open ones does it also for
//! requests that come at once), a completed one goes on holding it against what [`OnlineSession::holds`] says; it is free
//! again only after [`Outcome::Declined`] or [`Outcome::Reversed`]:
//! - the same request again, byte for byte, goes to the same session and gets the same MAC2, or that it is completed;
//! - any other with that counter goes there too and gets [`Outcome::Occupied`]: challenge, settle, then begin anew;
//! - one with the next counter is an [`Input::Reinit`] of the open session first.
//!
//! The slot does not name the account, because no MAC of an unload, limit update or grey unlock does: one initialisation,
//! shown once for each account, would be approved twice. So an open transaction keeps the other account waiting if it
//! happens to stand at the same counter. For the same reason such an initialisation never proves that the counter moved;
//! that takes the initialisation of a load, whose type names the account.

use super::{KeyRefused, LoadKeys};
use crate::account::Account;
use crate::date::Stamp;
use crate::keys::CardId;
use crate::mac::{Mac, TerminalNo};
use crate::online::{OnlineApproval, OnlineRequest};
use crate::pack::{Pack, Unpack};
use crate::terminal::Misuse;
use crate::transaction::Transaction;
use crate::tti::Tti;

/// A key operation of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRequest {
    /// Verify MAC1, make MAC2: [`LoadKeys::approve`].
    Approve {
        /// What the terminal sent.
        request: OnlineRequest,
        /// The host's date and time.
        stamp: Stamp,
    },
    /// Verify MAC1: [`LoadKeys::verify_mac1`].
    VerifyMac1 {
        /// What the terminal sent.
        request: OnlineRequest,
    },
    /// Verify the TAC: [`LoadKeys::verify_tac`].
    VerifyTac {
        /// The load or limit update.
        transaction: Transaction,
        /// The card's TAC.
        tac: Mac,
    },
    /// Verify MAC3: [`LoadKeys::verify_mac3`].
    VerifyMac3 {
        /// The unload or grey unlock.
        request: OnlineRequest,
        /// When it was approved.
        stamp: Stamp,
        /// The card's MAC3.
        mac3: Mac,
    },
}

/// What a key operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAnswer {
    /// MAC2.
    Approved(Mac),
    /// The MAC or TAC is right.
    Verified,
    /// Neither.
    Refused(KeyRefused),
}

impl KeyRequest {
    /// Lets `keys` do it.
    pub fn answer(&self, keys: &mut dyn LoadKeys) -> KeyAnswer {
        let verified = |()| KeyAnswer::Verified;
        let answer = match self {
            Self::Approve { request, stamp } => keys.approve(request, *stamp).map(KeyAnswer::Approved),
            Self::VerifyMac1 { request } => keys.verify_mac1(request).map(verified),
            Self::VerifyTac { transaction, tac } => keys.verify_tac(transaction, tac).map(verified),
            Self::VerifyMac3 { request, stamp, mac3 } => {
                keys.verify_mac3(request, *stamp, mac3).map(verified)
            }
        };
        answer.unwrap_or_else(KeyAnswer::Refused)
    }
}

/// What a session is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A terminal asks, at this time.
    Request(OnlineRequest, Stamp),
    /// The key provider's answer.
    Key(KeyAnswer),
    /// The terminal brings the card's TAC or MAC3, at once or after a recovery.
    Confirm(Mac),
    /// A terminal, this one or any other, brings a later initialisation of the same card.
    Reinit(OnlineRequest),
    /// A random number of the host, to ask for an initialisation that cannot be an old one. The last one counts.
    Challenge(TerminalNo),
    /// The terminal says that the card did not do it: it never sent the completion, or the card refused it.
    NotCompleted,
    /// Nothing came in time.
    TimedOut,
}

/// What a session wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Ask the key provider; go on with `Key`.
    Key(KeyRequest),
    /// Keep the session, then send this to the terminal; go on with any other input.
    Approved(OnlineApproval),
    /// Keep the session, then have the card initialised for nothing with this in the place of the terminal's number; go on
    /// with `Reinit`.
    Reinitialise(TerminalNo),
    /// The end, or (`Doubtful`, `Disputed`, `Occupied`) the end for now.
    Done(Outcome),
}

/// How a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The card did it, by its proof or by its next counter.
    Completed(Transaction),
    /// No MAC2 left this host: undo what was booked.
    Declined(KeyRefused),
    /// The card did not do it: undo what was booked.
    Reversed(Transaction),
    /// MAC2 is out and nothing proves either: neither booked nor undone yet.
    Doubtful(Transaction),
    /// A proof came that is wrong, or one that contradicts what is known: as it stood, and somebody should look.
    Disputed(Transaction),
    /// Another request with the counter of this transaction: it gets no MAC2 before this transaction is settled.
    Occupied(Transaction),
}

/// What a host believes without the card's proof. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// [`Input::NotCompleted`] reverses. For terminals whose word the operator would pay for.
    pub terminals_word: bool,
    /// An initialisation with the old counter reverses though no challenge was asked for. For terminals that keep no old
    /// initialisations back.
    pub unchallenged: bool,
}

/// What at most one open session may have: the card and an online counter, of whichever account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The card.
    pub card: CardId,
    /// The online counter before the transaction.
    pub online_seq: u16,
}

impl OnlineRequest {
    /// What at most one open session may have.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        Slot { card: self.card, online_seq: self.init.online_seq }
    }
}

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineSession {
    policy: Policy,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Approving(Approved),
    /// MAC2 is out.
    Open(Approved),
    /// MAC2 is made once more for the same request.
    Repeating(Approved),
    Confirming(Approved),
    Judging(Approved, OnlineRequest),
    Completed(Approved),
    Reversed(Approved),
    Declined(KeyRefused),
}

/// What was asked and granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Approved {
    request: OnlineRequest,
    stamp: Stamp,
    challenge: Option<TerminalNo>,
}

impl Default for OnlineSession {
    fn default() -> Self {
        Self::new()
    }
}

impl OnlineSession {
    /// Length of the persisted form, bytes.
    pub const LEN: usize = 68;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 3;

    /// A session that waits for a request, and believes nothing but cards.
    #[must_use]
    pub const fn new() -> Self {
        Self { policy: Policy { terminals_word: false, unchallenged: false }, state: State::Idle }
    }

    /// The same with another policy; it is not part of the persisted form.
    #[must_use]
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// What was approved; `None` while no MAC2 has left.
    #[must_use]
    pub const fn request(&self) -> Option<&OnlineRequest> {
        match &self.state {
            State::Idle | State::Approving(_) | State::Declined(_) => None,
            State::Open(approved)
            | State::Repeating(approved)
            | State::Confirming(approved)
            | State::Judging(approved, _)
            | State::Completed(approved)
            | State::Reversed(approved) => Some(&approved.request),
        }
    }

    /// Whether a request belongs to this session, and must not start another: it has the slot of an open one, or that of a
    /// completed one and its account or its very initialisation. (The other account may come to the same counter later.)
    #[must_use]
    pub fn holds(&self, request: &OnlineRequest) -> bool {
        let Some(own) = self.request() else { return false };
        let same_slot = own.slot() == request.slot();
        match self.state {
            State::Reversed(_) => false,
            State::Completed(_) => same_slot && (own.account == request.account || own.init == request.init),
            _ => same_slot,
        }
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the session as it was before.
    pub fn step(&mut self, input: Input) -> Result<Step, Misuse> {
        let (state, step) = self.next(input).ok_or(Misuse::UnexpectedInput)?;
        self.state = state;
        Ok(step)
    }

    fn next(&self, input: Input) -> Option<(State, Step)> {
        let stay = |outcome: fn(Transaction) -> Outcome, approved: &Approved| {
            Some((self.state, Step::Done(outcome(approved.transaction()))))
        };
        match (self.state, input) {
            (State::Idle, Input::Request(request, stamp)) => {
                if !request.is_possible() {
                    return Some(declined(KeyRefused::Impossible));
                }
                let approved = Approved { request, stamp, challenge: None };
                Some((State::Approving(approved), Step::Key(KeyRequest::Approve { request, stamp })))
            }
            (
                State::Approving(approved) | State::Repeating(approved),
                Input::Key(KeyAnswer::Approved(mac2)),
            ) => {
                let approval =
                    OnlineApproval { amount: approved.request.amount, stamp: approved.stamp, mac2 };
                Some((State::Open(approved), Step::Approved(approval)))
            }
            (State::Approving(_), Input::Key(KeyAnswer::Refused(refused))) => Some(declined(refused)),
            (State::Repeating(approved), Input::Key(KeyAnswer::Refused(_))) => Some(approved.doubtful()),

            // The same request again gets the same approval, and no other one of this counter gets any.
            (State::Open(approved), Input::Request(request, _)) if request == approved.request => {
                let again = KeyRequest::Approve { request, stamp: approved.stamp };
                Some((State::Repeating(approved), Step::Key(again)))
            }
            (State::Open(approved), Input::Request(..)) => stay(Outcome::Occupied, &approved),

            (State::Open(approved), Input::Confirm(proof)) => {
                let Approved { request, stamp, .. } = approved;
                let transaction = approved.transaction();
                let verify = if transaction.has_mac3() {
                    KeyRequest::VerifyMac3 { request, stamp, mac3: proof }
                } else {
                    KeyRequest::VerifyTac { transaction, tac: proof }
                };
                Some((State::Confirming(approved), Step::Key(verify)))
            }
            (State::Confirming(approved), Input::Key(KeyAnswer::Verified)) => Some(approved.completed()),
            // A later, right proof can still confirm it.
            (State::Confirming(approved), Input::Key(KeyAnswer::Refused(refused))) => Some(match refused {
                KeyRefused::MacInvalid => approved.disputed(),
                _ => approved.doubtful(),
            }),

            (State::Open(approved), Input::Reinit(request)) => {
                if !approved.concerns(&request) {
                    return Some(approved.doubtful());
                }
                Some((State::Judging(approved, request), Step::Key(KeyRequest::VerifyMac1 { request })))
            }
            (State::Judging(approved, request), Input::Key(KeyAnswer::Verified)) => {
                Some(approved.judge(&request, self.policy))
            }
            // Somebody else's bytes are no evidence.
            (State::Judging(approved, _), Input::Key(KeyAnswer::Refused(_))) => Some(approved.doubtful()),

            (State::Open(approved), Input::Challenge(number)) => {
                let approved = Approved { challenge: Some(number), ..approved };
                Some((State::Open(approved), Step::Reinitialise(number)))
            }
            (State::Open(approved), Input::NotCompleted) if self.policy.terminals_word => {
                Some(approved.reversed())
            }
            (State::Open(approved), Input::NotCompleted | Input::TimedOut) => Some(approved.doubtful()),

            // What is settled stays settled; a proof after a reversal means that somebody erred.
            (State::Reversed(approved), Input::Confirm(_)) => stay(Outcome::Disputed, &approved),
            (_, Input::Key(_)) => None,
            (State::Completed(approved), _) => stay(Outcome::Completed, &approved),
            (State::Reversed(approved), _) => stay(Outcome::Reversed, &approved),
            _ => None,
        }
    }

    /// version 1 ‖ state 1 (01 approved, 02 completed, 03 reversed) ‖ [`OnlineRequest::to_bytes`] 52 ‖ date and time 7 ‖
    /// challenge given 1 (00, 01) ‖ challenge 6; `None` while there is nothing to keep, because no MAC2 has left.
    #[must_use]
    pub fn to_bytes(&self) -> Option<[u8; Self::LEN]> {
        let (state, approved) = match self.state {
            State::Idle | State::Approving(_) | State::Declined(_) => return None,
            State::Completed(approved) => (2, approved),
            State::Reversed(approved) => (3, approved),
            State::Open(approved)
            | State::Repeating(approved)
            | State::Confirming(approved)
            | State::Judging(approved, _) => (1, approved),
        };
        Some(
            Pack::new()
                .put([Self::VERSION, state])
                .put(approved.request.to_bytes())
                .put(approved.stamp.to_bytes())
                .put([u8::from(approved.challenge.is_some())])
                .put(approved.challenge.unwrap_or_default())
                .finish(),
        )
    }

    /// Reads the persisted form; `None` for another version, state or length. The policy is the default one again.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let raw: &[u8; Self::LEN] = raw.try_into().ok()?;
        let mut fields = Unpack::new(raw);
        let [version, state] = fields.take();
        let request = OnlineRequest::from_bytes(&fields.take())?;
        let stamp = Stamp::from_bytes(&fields.take());
        let challenge = match (fields.byte(), fields.take()) {
            (0, [0, 0, 0, 0, 0, 0]) => None,
            (1, number) => Some(number),
            _ => return None,
        };
        let approved = Approved { request, stamp, challenge };
        let state = match (version, state) {
            (Self::VERSION, 1) => State::Open(approved),
            (Self::VERSION, 2) => State::Completed(approved),
            (Self::VERSION, 3) => State::Reversed(approved),
            _ => return None,
        };
        Some(Self { state, ..Self::new() })
    }
}

fn declined(refused: KeyRefused) -> (State, Step) {
    (State::Declined(refused), Step::Done(Outcome::Declined(refused)))
}

impl Approved {
    const fn transaction(&self) -> Transaction {
        self.request.transaction(self.stamp)
    }

    fn completed(self) -> (State, Step) {
        (State::Completed(self), Step::Done(Outcome::Completed(self.transaction())))
    }

    fn reversed(self) -> (State, Step) {
        (State::Reversed(self), Step::Done(Outcome::Reversed(self.transaction())))
    }

    fn doubtful(self) -> (State, Step) {
        (State::Open(self), Step::Done(Outcome::Doubtful(self.transaction())))
    }

    fn disputed(self) -> (State, Step) {
        (State::Open(self), Step::Done(Outcome::Disputed(self.transaction())))
    }

    /// Whether an initialisation can say anything: another one of the same account. The type of a load says which account
    /// it is, under MAC1; of the other types only the transaction's own counts, and the account is the terminal's word.
    fn concerns(&self, later: &OnlineRequest) -> bool {
        let own = &self.request;
        let same_account = match later.tti {
            Tti::ED_LOAD | Tti::EP_LOAD => later.tti == own.account.load(),
            tti => tti == own.tti && later.account == own.account,
        };
        later.card == own.card && same_account && later.init != own.init
    }

    /// What a later initialisation whose MAC1 is right tells. Between the two the card can have paid, so its balance may be
    /// lower than the transaction left it, never higher.
    fn judge(self, later: &OnlineRequest, policy: Policy) -> (State, Step) {
        let transaction = self.transaction();
        let OnlineRequest { terminal, init, .. } = *later;
        let fresh = policy.unchallenged || self.challenge == Some(terminal);
        if init.online_seq == transaction.seq {
            match fresh {
                _ if init.balance > transaction.balance => self.disputed(),
                true => self.reversed(),
                false => self.doubtful(),
            }
        } else if Some(init.online_seq) == transaction.seq.checked_add(1) {
            // Of the other account it would tell nothing.
            if Account::named(later.tti).is_none() {
                return self.doubtful();
            }
            let possible = transaction.balance_after().is_some_and(|after| init.balance <= after);
            if possible { self.completed() } else { self.disputed() }
        } else {
            // An older one, or one after further transactions, whose balance tells nothing of this one.
            self.doubtful()
        }
    }
}
