//! What goes into a worker's step and what comes out.

use super::{CHALLENGE_LEN, JobState};
use crate::host::fault::Fault;
use crate::host::key_store::{KeyAnswer, KeyRequest};

/// What a worker is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A card is there. The bytes are fresh random ones, for the two challenges of this visit, whatever mode the card speaks.
    Start([u8; 2 * CHALLENGE_LEN]),
    /// The card's answer to [`Step::Send`]: data ‖ SW.
    Response(&'a [u8]),
    /// The key store's answer to [`Step::Key`].
    Key(KeyAnswer<'a>),
    /// [`Step::Persist`] is done, or [`Step::Progress`] taken note of.
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
    /// Ask the key store.
    Key(KeyRequest<'o>),
    /// Keep this in place of the state before; go on with `Continue`.
    Persist(JobState),
    /// Something is done, for whoever watches; go on with `Continue`.
    Progress(Progress),
    /// The visit is over.
    Done(Visit),
}

/// What has just been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Progress {
    /// A page of what the card holds was read.
    Read,
    /// A data grouping is on the card.
    Stored {
        /// Its place in the script, from 0.
        index: usize,
        /// Its identifier.
        id: u16,
    },
    /// A step is taken; the card is looked at next.
    Acted,
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visit {
    /// Every goal is reached.
    Complete,
    /// Not yet, and another visit may do better: the link broke, or the key store was not there.
    Again(Fault),
    /// Not yet, and another visit would end the same way: somebody has to look.
    Stopped {
        /// The goal's place in the plan, from 0.
        goal: u8,
        /// Why, and what is safe to do.
        fault: Fault,
    },
}
