//! What goes into a manager's step and what comes out.

use core::fmt;

use huiwan_apdu::Sw;

use super::{Job, OUT_LEN};
use crate::host::fault::Fault;
use crate::host::key_store::{KeyAnswer, KeyRequest};

/// What goes into a step.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a, 'j> {
    /// Start a task; the one before must be done.
    Start(Job<'j>),
    /// The card's answer to [`Step::Send`]: data ‖ SW.
    Response(&'a [u8]),
    /// The key store's answer to [`Step::Key`].
    Key(KeyAnswer<'a>),
    /// Go on after [`Step::Answer`] or [`Step::Stored`].
    Continue,
    /// The card is gone, during a task or between two: its session is given back to the key store. If the store was being asked to open
    /// one, whoever asks it closes what it still opens.
    CardLost,
}

/// What comes out of a step. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this to the card.
    Send(&'o [u8]),
    /// Ask the key store.
    Key(KeyRequest<'o>),
    /// Data the task was for.
    Answer {
        /// Plain response data.
        data: &'o [u8],
        /// Status word.
        sw: Sw,
    },
    /// A data grouping of the script is on the card.
    Stored {
        /// Its place in the script, from 0.
        index: usize,
        /// Its identifier.
        id: u16,
    },
    /// The task is over.
    Done(Outcome),
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As wanted.
    Complete,
    /// Not as wanted, with the reason and what is safe to do.
    Fault(Fault),
}

/// The caller did not follow the protocol of [`Manager::step`](super::Manager::step); nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The input does not fit what was asked for.
    UnexpectedInput,
    /// The output buffer is smaller than [`OUT_LEN`].
    OutputTooSmall,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedInput => f.write_str("input does not fit the last step"),
            Self::OutputTooSmall => write!(f, "output buffer is smaller than {OUT_LEN} bytes"),
        }
    }
}

impl core::error::Error for Misuse {}
