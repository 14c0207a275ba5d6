//! Life cycle changes, named by what they do. The card is asked first: what is so already is done, and a step that its present state
//! does not allow is not tried. [GPC 5.1.2]

use huiwan_apdu::{Aid, Sw};

use super::content::Link;
use super::fault::{Fault, FaultKind, Stage};
use super::list::page;
use super::manager::{Event, Todo, Turn, command, copy, expect_ok};
use crate::get_status::{self, FIRST, Scope};
use crate::life_cycle::CardState;
use crate::set_status::{APPLICATION, CARD, DOMAIN_AND_ASSOCIATED, INS, LOCK, UNLOCK};

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
    /// Security domain locked with everything associated with it.
    LockDomain(Aid),
    /// Security domain unlocked with everything associated with it.
    UnlockDomain(Aid),
}

impl Transition {
    /// The card's state after it.
    const fn card_state(&self) -> Option<CardState> {
        match self {
            Self::InitializeCard(_) => Some(CardState::Initialized),
            Self::SecureCard(_) | Self::UnlockCard => Some(CardState::Secured),
            Self::LockCard => Some(CardState::CardLocked),
            Self::TerminateCard(_) => Some(CardState::Terminated),
            _ => None,
        }
    }

    /// Whether it is a step from this state of the card.
    const fn follows(&self, present: CardState) -> bool {
        match self {
            Self::InitializeCard(_) => matches!(present, CardState::OpReady),
            Self::SecureCard(_) => matches!(present, CardState::Initialized),
            Self::LockCard => matches!(present, CardState::Secured),
            Self::UnlockCard => matches!(present, CardState::CardLocked),
            _ => true,
        }
    }

    fn command(&self, cla: u8, out: &mut [u8]) -> Turn {
        let (p1, p2, aid) = match self {
            Self::LockApplication(aid) => (APPLICATION, LOCK, Some(aid)),
            Self::UnlockApplication(aid) => (APPLICATION, UNLOCK, Some(aid)),
            Self::LockDomain(aid) => (DOMAIN_AND_ASSOCIATED, LOCK, Some(aid)),
            Self::UnlockDomain(aid) => (DOMAIN_AND_ASSOCIATED, UNLOCK, Some(aid)),
            card => (CARD, card.card_state().map_or(0, CardState::byte), None),
        };
        let aid = aid.map_or(&[][..], Aid::as_bytes);
        command([cla, INS, p1, p2], |out| Some(copy(aid, out)?.len()), out, Stage::SetStatus)
    }
}

/// Where a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moving {
    Start,
    Looking,
    Setting,
}

impl Moving {
    pub(super) const fn stage(self) -> Stage {
        match self {
            Self::Looking => Stage::GetStatus,
            Self::Start | Self::Setting => Stage::SetStatus,
        }
    }

    pub(super) fn turn(
        &mut self,
        transition: &Transition,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        match (*self, event) {
            (Self::Start, Event::Begin) if transition.card_state().is_some() && link.looks => {
                *self = Self::Looking;
                page(Scope::Issuer, &[], FIRST, link.cla, out)
            }
            (Self::Start, Event::Begin) => {
                *self = Self::Setting;
                transition.command(link.cla, out)
            }
            (Self::Looking, Event::Response(response)) => {
                *self = Self::Setting;
                if response.sw() == Sw::SECURITY_STATUS {
                    return Err(Fault { stage: Stage::GetStatus, kind: FaultKind::Status(response.sw()) });
                }
                // A card that does not tell finds out by trying.
                let entry = get_status::entries(response.data()).flatten().next();
                match entry.and_then(|entry| CardState::from_byte(entry.life_cycle)) {
                    Some(present) if transition.card_state() == Some(present) => Ok(Todo::Done),
                    Some(present) if !transition.follows(present) => {
                        Err(Fault { stage: Stage::SetStatus, kind: FaultKind::CardState(present) })
                    }
                    _ => transition.command(link.cla, out),
                }
            }
            (Self::Setting, Event::Response(response)) => {
                expect_ok(response, Stage::SetStatus).map(|_| Todo::Done)
            }
            _ => Ok(Todo::Done),
        }
    }
}
