//! Life cycle changes, named by what they do.

use huiwan_apdu::Aid;

use super::fault::Stage;
use super::manager::{Event, Todo, Turn, command, expect_ok};
use crate::life_cycle::CardState;
use crate::set_status::{APPLICATION, CARD, INS, LOCK, UNLOCK};

/// A word of honour: the caller knows that this cannot be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Irrevocable(());

impl Irrevocable {
    /// There is no way back from what this is given to.
    #[must_use]
    pub const fn i_know() -> Self {
        Self(())
    }
}

/// A life cycle change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transition {
    /// Card from OP_READY to INITIALIZED; not reversible.
    InitializeCard(Irrevocable),
    /// Card from INITIALIZED to SECURED; not reversible.
    SecureCard(Irrevocable),
    /// Card from SECURED to CARD_LOCKED: only the issuer security domain answers until it is unlocked.
    LockCard,
    /// Card from CARD_LOCKED to SECURED.
    UnlockCard,
    /// Card to TERMINATED; the card is of no use any more.
    TerminateCard(Irrevocable),
    /// Application locked.
    LockApplication(Aid),
    /// Application back to the state before it was locked.
    UnlockApplication(Aid),
}

pub(super) fn turn(transition: &Transition, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
    let (p1, p2, aid) = match transition {
        Transition::InitializeCard(_) => (CARD, CardState::Initialized.byte(), None),
        Transition::SecureCard(_) | Transition::UnlockCard => (CARD, CardState::Secured.byte(), None),
        Transition::LockCard => (CARD, CardState::CardLocked.byte(), None),
        Transition::TerminateCard(_) => (CARD, CardState::Terminated.byte(), None),
        Transition::LockApplication(aid) => (APPLICATION, LOCK, Some(aid)),
        Transition::UnlockApplication(aid) => (APPLICATION, UNLOCK, Some(aid)),
    };
    let aid = aid.map_or(&[][..], Aid::as_bytes);
    match event {
        Event::Begin => {
            let data = |out: &mut [u8]| {
                out.get_mut(..aid.len())?.copy_from_slice(aid);
                Some(aid.len())
            };
            command([cla, INS, p1, p2], data, out, Stage::SetStatus)
        }
        Event::Response(response) => expect_ok(response, Stage::SetStatus).map(|_| Todo::Done),
        _ => Ok(Todo::Done),
    }
}
