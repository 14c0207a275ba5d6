//! What applications ask of the card, by privilege: its life cycle, their own, and the lock of others. [GPC 5, 6.6]
//!
//! Modules call these functions with their context. They are what the application programming interface of GlobalPlatform has in its
//! system class; each is one commit, and changes nothing where it fails.

use huiwan_apdu::Sw;
use huiwan_card::Context;

use super::contactless;
use super::registry::{self, Card, Record};
use super::set_status::set_lock;
use crate::life_cycle::{ApplicationState, CardState};
use crate::privileges::Privileges;

/// The calling application's entry.
fn own(cx: &mut Context<'_>) -> Result<Record, Sw> {
    registry::record(cx.memory, cx.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)
}

/// 6985 without the privilege.
fn check(cx: &mut Context<'_>, privilege: Privileges) -> Result<(), Sw> {
    if own(cx)?.privileges.contains(privilege) { Ok(()) } else { Err(Sw::CONDITIONS_NOT_SATISFIED) }
}

fn set_card_state(cx: &mut Context<'_>, next: CardState, privilege: Privileges) -> Result<(), Sw> {
    check(cx, privilege)?;
    Card::read(cx.memory)?.change(cx.memory, next)
}

/// The life cycle of the card.
///
/// # Errors
/// 6581 when memory fails.
pub fn card_state(cx: &mut Context<'_>) -> Result<CardState, Sw> {
    Ok(Card::read(cx.memory)?.state)
}

/// Locks a card that is SECURED: from here on only the issuer domain and the final application can be selected. Takes Card Lock.
///
/// # Errors
/// 6985 without the privilege, 6A80 for a card that is not SECURED; 6A88 for an instance that is not in the registry, 6581 when memory
/// fails.
pub fn lock_card(cx: &mut Context<'_>) -> Result<(), Sw> {
    set_card_state(cx, CardState::CardLocked, Privileges::CARD_LOCK)
}

/// Unlocks a locked card, which becomes SECURED again. Takes Card Lock; only the final application comes to call it.
///
/// # Errors
/// As [`lock_card`]; 6A80 for a card that is not locked.
pub fn unlock_card(cx: &mut Context<'_>) -> Result<(), Sw> {
    if Card::read(cx.memory)?.state != CardState::CardLocked {
        return Err(Sw::WRONG_DATA);
    }
    set_card_state(cx, CardState::Secured, Privileges::CARD_LOCK)
}

/// Terminates the card, for ever. Takes Card Terminate.
///
/// # Errors
/// As [`lock_card`]; 6A80 for a card that is TERMINATED.
pub fn terminate_card(cx: &mut Context<'_>) -> Result<(), Sw> {
    set_card_state(cx, CardState::Terminated, Privileges::CARD_TERMINATE)
}

/// The calling application's own life cycle.
///
/// # Errors
/// 6A88 for an instance that is not in the registry, 6581 when memory fails.
pub fn own_life_cycle(cx: &mut Context<'_>) -> Result<ApplicationState, Sw> {
    Ok(own(cx)?.state)
}

/// The calling application goes to a state of its own (b8 0, b3 to b1 set), from SELECTABLE on and back to it. [GPC 5.3.1.3]
///
/// # Errors
/// 6A80 for another state, 6985 for a security domain or an application that is locked or not selectable; otherwise as
/// [`own_life_cycle`].
pub fn set_own_life_cycle(cx: &mut Context<'_>, state: ApplicationState) -> Result<(), Sw> {
    let mut record = own(cx)?;
    if !state.is_selectable() {
        return Err(Sw::WRONG_DATA);
    }
    if record.is_domain() || !record.state.is_selectable() {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    record.state = state;
    contactless::commit(cx.memory, &mut record)
}

/// The calling application locks itself; only a security domain, or one with Global Lock, unlocks it. [GPC 5.3.1.4]
///
/// # Errors
/// 6A80 when it is locked, 6985 below a locked domain; otherwise as [`own_life_cycle`].
pub fn lock_self(cx: &mut Context<'_>) -> Result<(), Sw> {
    let record = own(cx)?;
    set_lock(cx, record, true, false)
}

/// Locks or unlocks another application. Takes Global Lock. [GPC 9.6.1]
///
/// # Errors
/// 6985 without the privilege, for the caller itself, or below a locked domain; 6A88 when there is none of this name, 6A80 when it is
/// locked or unlocked already; 6581 when memory fails.
pub fn set_application_lock(cx: &mut Context<'_>, aid: &[u8], locked: bool) -> Result<(), Sw> {
    check(cx, Privileges::GLOBAL_LOCK)?;
    let record = registry::by_aid(cx.memory, aid)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    if record.instance == cx.instance {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    set_lock(cx, record, locked, false)
}
