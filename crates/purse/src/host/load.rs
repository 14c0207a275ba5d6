//! The load server: approves a load, waits for the card's TAC, and reverses when it stays away.
//!
//! ```text
//! Request ─ Key(ApproveLoad) ─ Approved(MAC2) ─┬─ Confirm(TAC) ─ Key(VerifyTac) ─ Done(Loaded)
//!                                              ├─ NotLoaded ─ Done(Reversed)
//!                                              └─ TimedOut ─ Done(Doubtful): keep to_bytes, confirm or reverse later
//! ```
//! The money is taken from the payer's account before MAC2 leaves, and given back by a reversal. A session that times
//! out is a value ([`LoadSession::to_bytes`]): whoever sees the card next (the same device by its transaction proof, or
//! any other by the log) settles it.

use super::{KeyRefused, LoadKeys};
use crate::date::Stamp;
use crate::mac::Mac;
use crate::pack::Pack;
use crate::terminal::{LoadApproval, LoadRequest, Misuse};
use crate::transaction::Transaction;

/// A key operation of the load server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRequest {
    /// Verify MAC1, make MAC2: [`LoadKeys::approve_load`].
    ApproveLoad {
        /// What the terminal sent.
        request: LoadRequest,
        /// The host's date and time.
        stamp: Stamp,
    },
    /// Verify the TAC: [`LoadKeys::verify_tac`].
    VerifyTac {
        /// The load.
        transaction: Transaction,
        /// The card's TAC.
        tac: Mac,
    },
}

/// What a key operation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAnswer {
    /// MAC2.
    Approved(Mac),
    /// The TAC is right.
    Verified,
    /// Neither.
    Refused(KeyRefused),
}

impl KeyRequest {
    /// Lets `keys` do it.
    pub fn answer(&self, keys: &mut dyn LoadKeys) -> KeyAnswer {
        let answer = match self {
            Self::ApproveLoad { request, stamp } => {
                keys.approve_load(request, *stamp).map(KeyAnswer::Approved)
            }
            Self::VerifyTac { transaction, tac } => {
                keys.verify_tac(transaction, tac).map(|()| KeyAnswer::Verified)
            }
        };
        answer.unwrap_or_else(KeyAnswer::Refused)
    }
}

/// What a session is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A terminal asks, at this time. The payer's account has been charged.
    Request(LoadRequest, Stamp),
    /// The key provider's answer.
    Key(KeyAnswer),
    /// The terminal brings the card's TAC, at once or after a recovery.
    Confirm(Mac),
    /// The terminal says that the card was not loaded: it never sent the credit, the card refused it, or the recovery
    /// said so. No MAC covers a refusal or the log: whoever sits between terminal and card can forge them. The next
    /// MAC1 of the card, under a key that depends on the online counter, shows whether it was true.
    NotLoaded,
    /// Nothing came in time.
    TimedOut,
}

/// What a session wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Ask the key provider; go on with `Key`.
    Key(KeyRequest),
    /// Keep the session, then send this to the terminal; go on with `Confirm`, `NotLoaded` or `TimedOut`.
    Approved(LoadApproval),
    /// The end, or (`Doubtful`) the end for now.
    Done(Outcome),
}

/// How a load stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The card is loaded, its TAC is right.
    Loaded(Transaction),
    /// No MAC2 left this host: give the money back.
    Declined(KeyRefused),
    /// The card was not loaded: give the money back.
    Reversed(Transaction),
    /// MAC2 is out and nothing came back: neither booked nor given back yet.
    Doubtful(Transaction),
    /// A TAC came that is wrong: as doubtful, and somebody should look.
    Disputed(Transaction),
}

/// One load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadSession {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Approving(LoadRequest, Stamp),
    Approved(Transaction),
    Verifying(Transaction),
    Loaded(Transaction),
    Reversed(Transaction),
    Declined(KeyRefused),
}

impl Default for LoadSession {
    fn default() -> Self {
        Self::new()
    }
}

impl LoadSession {
    /// Length of the persisted form, bytes.
    pub const LEN: usize = 53;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 2;

    /// A session that waits for a request.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Idle }
    }

    /// One step on.
    ///
    /// # Errors
    /// [`Misuse`] only, with the session as it was before.
    pub fn step(&mut self, input: Input) -> Result<Step, Misuse> {
        match (self.state, input) {
            (State::Idle, Input::Request(request, stamp)) => {
                self.state = State::Approving(request, stamp);
                Ok(Step::Key(KeyRequest::ApproveLoad { request, stamp }))
            }
            (State::Approving(request, stamp), Input::Key(answer)) => match answer {
                KeyAnswer::Approved(mac2) => {
                    self.state = State::Approved(request.transaction(stamp));
                    Ok(Step::Approved(LoadApproval { stamp, mac2 }))
                }
                KeyAnswer::Refused(refused) => {
                    self.state = State::Declined(refused);
                    Ok(Step::Done(Outcome::Declined(refused)))
                }
                KeyAnswer::Verified => Err(Misuse::UnexpectedInput),
            },
            (State::Approved(transaction), Input::Confirm(tac)) => {
                self.state = State::Verifying(transaction);
                Ok(Step::Key(KeyRequest::VerifyTac { transaction, tac }))
            }
            (State::Approved(transaction), Input::NotLoaded) => {
                self.state = State::Reversed(transaction);
                Ok(Step::Done(Outcome::Reversed(transaction)))
            }
            (State::Approved(transaction), Input::TimedOut) => Ok(Step::Done(Outcome::Doubtful(transaction))),
            (State::Verifying(transaction), Input::Key(answer)) => match answer {
                KeyAnswer::Verified => {
                    self.state = State::Loaded(transaction);
                    Ok(Step::Done(Outcome::Loaded(transaction)))
                }
                KeyAnswer::Refused(refused) => {
                    // A later, right TAC can still confirm the load.
                    self.state = State::Approved(transaction);
                    Ok(Step::Done(match refused {
                        KeyRefused::MacInvalid => Outcome::Disputed(transaction),
                        _ => Outcome::Doubtful(transaction),
                    }))
                }
                KeyAnswer::Approved(_) => Err(Misuse::UnexpectedInput),
            },
            // The same message again gets the same answer.
            (State::Loaded(transaction), Input::Confirm(_) | Input::TimedOut) => {
                Ok(Step::Done(Outcome::Loaded(transaction)))
            }
            (State::Reversed(transaction), Input::NotLoaded | Input::TimedOut) => {
                Ok(Step::Done(Outcome::Reversed(transaction)))
            }
            // A TAC after a reversal: the terminal lied or erred.
            (State::Reversed(transaction), Input::Confirm(_)) => {
                Ok(Step::Done(Outcome::Disputed(transaction)))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// version 1 ‖ state 1 (01 approved, 02 loaded, 03 reversed) ‖ [`Transaction::to_bytes`]; `None` while there is
    /// nothing to keep, because no MAC2 has left.
    #[must_use]
    pub fn to_bytes(&self) -> Option<[u8; Self::LEN]> {
        let (state, transaction) = match self.state {
            State::Approved(transaction) | State::Verifying(transaction) => (1, transaction),
            State::Loaded(transaction) => (2, transaction),
            State::Reversed(transaction) => (3, transaction),
            State::Idle | State::Approving(..) | State::Declined(_) => return None,
        };
        Some(Pack::new().put([Self::VERSION, state]).put(transaction.to_bytes()).finish())
    }

    /// Reads the persisted form; `None` for another version, state or length.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let (&[version, state], transaction) = raw.split_first_chunk()?;
        let transaction = Transaction::from_bytes(transaction.try_into().ok()?);
        let state = match (version, state) {
            (Self::VERSION, 1) => State::Approved(transaction),
            (Self::VERSION, 2) => State::Loaded(transaction),
            (Self::VERSION, 3) => State::Reversed(transaction),
            _ => return None,
        };
        Some(Self { state })
    }
}
