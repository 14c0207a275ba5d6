//! SET STATUS: the card's life cycle, locking and unlocking of applications and domains. [GPC 11.10]

use huiwan_apdu::{Command, Sw};
use huiwan_card::Context;

use super::contactless::{self, INTERACTION_MAX};
use super::crs::notify;
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, Record};
use crate::life_cycle::{CardState, ContactlessState};
use crate::privileges::Privileges;
use crate::set_status::{APPLICATION, CARD, DOMAIN_AND_ASSOCIATED, LOCK};

impl CardManager<'_> {
    pub(super) fn set_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let issuer = registry::issuer_aid(x.cx.memory, self.profile)?;
        match command.p1() {
            CARD => self.set_card_status(x, command),
            APPLICATION | DOMAIN_AND_ASSOCIATED if x.card.state == CardState::CardLocked => {
                Err(Sw::CONDITIONS_NOT_SATISFIED)
            }
            APPLICATION if command.data() == issuer.as_bytes() => self.set_card_status(x, command),
            // The issuer domain and everything associated with it is the card.
            DOMAIN_AND_ASSOCIATED if command.data() == issuer.as_bytes() => Err(Sw::WRONG_DATA),
            APPLICATION => lock(x, command, false),
            DOMAIN_AND_ASSOCIATED => lock(x, command, true),
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    /// Locking takes Card Lock, terminating Card Terminate, every other step the issuer domain. [GPC 5.1.1]
    fn set_card_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let named = command.data();
        if !named.is_empty() && named != registry::issuer_aid(x.cx.memory, self.profile)?.as_bytes() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        let next = CardState::from_byte(command.p2()).ok_or(Sw::WRONG_DATA)?;
        let privilege = match next {
            CardState::CardLocked => Some(Privileges::CARD_LOCK),
            CardState::Terminated => Some(Privileges::CARD_TERMINATE),
            _ => None,
        };
        let permitted = match privilege {
            Some(privilege) => x.domain.has(privilege),
            None => x.domain.supplementary.is_none(),
        };
        if !permitted {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        x.card.change(x.cx.memory, next)?;
        Ok(Done::OK)
    }
}

/// Lock or unlock what the domain may lock.
fn lock(x: &mut Exchange<'_, '_, '_, '_, '_>, command: &Command<'_>, associated: bool) -> Result<Done, Sw> {
    let record = registry::by_aid(x.cx.memory, command.data())?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    may_lock(x, &record)?;
    set_lock(x.cx, record, command.p2() & LOCK != 0, associated)?;
    Ok(Done::OK)
}

/// Locks or unlocks; a state that is there already is refused, and so is one that is the application's own affair. With everything
/// associated a domain's own entry says so, and the others follow: one commit, whatever their number.
pub(super) fn set_lock(
    cx: &mut Context<'_>,
    mut record: Record,
    to_lock: bool,
    associated: bool,
) -> Result<(), Sw> {
    if associated && !record.is_domain() {
        return Err(Sw::WRONG_DATA);
    }
    // What the domain above has locked is unlocked with it.
    if !associated && registry::locked_by_domain(cx.memory, &record)? {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    if to_lock == record.state.is_locked() && (!associated || to_lock == record.locks_associated) {
        return Err(Sw::WRONG_DATA);
    }
    let before = (record.state, record.contactless);
    if to_lock && !record.state.is_locked() {
        record.state = record.state.locked();
        if record.contactless == ContactlessState::Activated {
            record.contactless = ContactlessState::Deactivated;
        }
    } else if !to_lock {
        record.state = record.state.unlocked();
        let mut stored = [0; INTERACTION_MAX + 2];
        let restricted = contactless::interaction(cx.memory, record.instance, &mut stored)?.restricted;
        // What the application made not activatable stays so.
        if record.contactless != ContactlessState::NonActivatable {
            let wanted = record.initial_contactless;
            record.contactless = contactless::attempt(cx.memory, &record, restricted, wanted)?;
        }
    }
    if associated {
        record.locks_associated = to_lock;
    }
    contactless::commit(cx.memory, &mut record)?;
    notify::locked(cx, &record, before)
}

/// Its own domain, one above, or one with Global Lock. [GPC 9.6.1]
fn may_lock(x: &mut Exchange<'_, '_, '_, '_, '_>, record: &Record) -> Result<(), Sw> {
    let other = record.instance != x.domain.instance;
    let own = other && registry::is_below(x.cx.memory, record, x.domain.instance)?;
    if own || (other && x.domain.has(Privileges::GLOBAL_LOCK)) {
        Ok(())
    } else {
        Err(Sw::CONDITIONS_NOT_SATISFIED)
    }
}
