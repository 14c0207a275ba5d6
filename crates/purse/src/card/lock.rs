//! Locks: the counter of wrong MACs, APPLICATION BLOCK and UNBLOCK, CARD BLOCK. [sheet 1.2, 2.6; correction 4]
//!
//! Object: state 1 (00 open, 01 temporarily, 02 permanently locked, 03 card blocked) ‖ wrong transaction MACs 1 ‖ wrong maintenance
//! MACs 1. A counter at its limit locks by itself, so counting and locking are one write.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::{Suite, ct_eq};

use super::Purse;
use super::objects;
use super::session::Challenge;
use crate::keys::KeyKind;
use crate::mac;
use crate::profile::{MacErrors, Profile};
use crate::status;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    None,
    Temporary,
    Permanent,
    /// By CARD BLOCK, for good.
    Card,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Status {
    pub(super) state: u8,
    pub(super) mac_errors: u8,
    pub(super) maintenance_errors: u8,
}

impl Status {
    pub(super) fn read(cx: &mut Context<'_>) -> Result<Self, Sw> {
        let [state, mac_errors, maintenance_errors] = cx.find_array(objects::LOCK)?.unwrap_or_default();
        Ok(Self { state, mac_errors, maintenance_errors })
    }

    pub(super) const fn to_bytes(self) -> [u8; 3] {
        [self.state, self.mac_errors, self.maintenance_errors]
    }

    pub(super) fn store(self, cx: &mut Context<'_>) -> Result<(), Sw> {
        cx.put(objects::LOCK, &self.to_bytes())
    }

    pub(super) const fn lock(self, profile: &Profile) -> Lock {
        if self.state == 3 {
            Lock::Card
        } else if self.state == 2 || self.maintenance_errors >= profile.maintenance_error_limit {
            Lock::Permanent
        } else if self.state == 1 || self.mac_errors >= profile.mac_error_limit {
            Lock::Temporary
        } else {
            Lock::None
        }
    }
}

/// How the application is locked.
pub(super) fn lock(cx: &mut Context<'_>, profile: &Profile) -> Result<Lock, Sw> {
    Ok(Status::read(cx)?.lock(profile))
}

/// Compares a transaction MAC and keeps the count of wrong ones. `counted` is false where the profile lets wrong MACs
/// pass uncounted.
pub(super) fn check_transaction_mac(
    cx: &mut Context<'_>,
    profile: &Profile,
    counted: bool,
    expected: &mac::Mac,
    given: &mac::Mac,
) -> Result<(), Sw> {
    let mut status = Status::read(cx)?;
    let tried = Status { mac_errors: status.mac_errors.saturating_add(1), ..status };
    if counted && profile.mac_errors == MacErrors::BeforeCheck {
        tried.store(cx)?;
        status = tried;
    }
    if ct_eq(expected, given) {
        return Ok(());
    }
    if counted && profile.mac_errors == MacErrors::OnFailure {
        tried.store(cx)?;
        status = tried;
    }
    Err(match status.lock(profile) {
        Lock::None => status::MAC_INVALID,
        Lock::Temporary | Lock::Permanent | Lock::Card => profile.locking_answer,
    })
}

/// Adds to the commit of a success: no wrong MACs any more.
pub(super) fn clear_mac_errors(cx: &mut Context<'_>, batch: &mut Batch<'_>) -> Result<(), Sw> {
    let status = Status::read(cx)?;
    if status.mac_errors != 0 {
        batch.put(cx.object(objects::LOCK), &Status { mac_errors: 0, ..status }.to_bytes());
    }
    Ok(())
}

impl<S: Suite> Purse<S> {
    /// APPLICATION BLOCK: P2 00 temporarily, 01 permanently.
    pub(super) fn application_block(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let state = match command.p1p2() {
            0x0000 => 1,
            0x0001 => 2,
            _ => return Err(Sw::WRONG_P1P2),
        };
        self.check_secured_alone(cx, command, challenge)?;
        self.store_state(cx, |status| Status { state, ..status })
    }

    /// CARD BLOCK: from now on every command is answered 6A81. The purse is one of several applications on its element,
    /// so this ends its own; the element's card manager has its own command for the whole. [sheet 1.2: I:HB,LIB]
    pub(super) fn card_block(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        self.check_secured_alone(cx, command, challenge)?;
        self.store_state(cx, |status| Status { state: 3, ..status })
    }

    /// APPLICATION UNBLOCK: only from a temporary lock; the counter that caused it starts anew.
    pub(super) fn application_unblock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        if lock(cx, &self.profile)? != Lock::Temporary {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        self.check_secured_alone(cx, command, challenge)?;
        self.store_state(cx, |status| Status { state: 0, mac_errors: 0, ..status })
    }

    /// One commit: the new state, and no wrong MACs of secured commands any more.
    fn store_state(&self, cx: &mut Context<'_>, new: impl FnOnce(Status) -> Status) -> Result<(), Sw> {
        let status = Status { maintenance_errors: 0, ..Status::read(cx)? };
        let mut buffer = [0; 32];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(objects::LOCK), &new(status).to_bytes());
        self.restore_key_tries(cx, KeyKind::Maintenance, &mut batch)?;
        cx.commit(&batch)
    }
}
