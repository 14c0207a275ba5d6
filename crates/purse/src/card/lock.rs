//! Locks: the counter of wrong MACs, APPLICATION BLOCK and UNBLOCK, CARD BLOCK. [sheet 1.2, 2.6; correction 4]
//!
//! Object: state 1 (00 open, 01 temporarily, 02 permanently locked, 03 card blocked) ‖ wrong transaction MACs 1 ‖ wrong maintenance
//! MACs 1. A counter at its limit locks by itself, so counting and locking are one write.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::{Suite, ct_eq};

use super::Purse;
use super::objects::{self, CardKey};
use super::session::Challenge;
use crate::keys::{self, KeyKind};
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
struct Status {
    state: u8,
    mac_errors: u8,
    maintenance_errors: u8,
}

impl Status {
    fn read(cx: &mut Context<'_>) -> Result<Self, Sw> {
        if !cx.exists(objects::LOCK)? {
            return Ok(Self::default());
        }
        let [state, mac_errors, maintenance_errors] = cx.read_array(objects::LOCK)?;
        Ok(Self { state, mac_errors, maintenance_errors })
    }

    const fn to_bytes(self) -> [u8; 3] {
        [self.state, self.mac_errors, self.maintenance_errors]
    }

    fn store(self, cx: &mut Context<'_>) -> Result<(), Sw> {
        cx.put(objects::LOCK, &self.to_bytes())
    }

    const fn lock(self, profile: &Profile) -> Lock {
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
        let status = self.check_maintenance_mac(cx, command, challenge)?;
        Status { state, ..status }.store(cx)
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
        let status = self.check_maintenance_mac(cx, command, challenge)?;
        Status { state: 3, ..status }.store(cx)
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
        let status = self.check_maintenance_mac(cx, command, challenge)?;
        Status { state: 0, mac_errors: 0, ..status }.store(cx)
    }

    /// The MAC of a secured command whose data are the MAC alone. The answer is the lock object with the counter of
    /// wrong maintenance MACs cleared, for the caller to store with its own change.
    fn check_maintenance_mac(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<Status, Sw> {
        if command.data().len() > 4 {
            return Err(Sw::WRONG_LENGTH);
        }
        self.check_secured(cx, command, challenge)?;
        let status = Status::read(cx)?;
        Ok(Status { maintenance_errors: 0, ..status })
    }

    /// Splits `data ‖ MAC` of a secured command and checks the MAC under the maintenance key. [sheet 2.5]
    pub(super) fn check_secured<'c>(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'c>,
        challenge: Option<Challenge>,
    ) -> Result<&'c [u8], Sw> {
        self.check_secured_by(cx, KeyKind::Maintenance, command, challenge)
    }

    /// The same under another key.
    pub(super) fn check_secured_by<'c>(
        &self,
        cx: &mut Context<'_>,
        kind: KeyKind,
        command: &Command<'c>,
        challenge: Option<Challenge>,
    ) -> Result<&'c [u8], Sw> {
        let Some((data, given)) = command.data().split_last_chunk::<4>() else {
            return Err(if command.data().is_empty() { Sw::SM_MISSING } else { Sw::WRONG_LENGTH });
        };
        // Without a challenge right before there is nothing to bind the command to. [sheet 1.1]
        let challenge = challenge.ok_or(Sw::DATA_INVALIDATED)?;
        let key = CardKey::read(cx, kind, self.profile.maintenance_key_index)?;
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let [cla, ins, p1, p2] = command.header();
        let lc = u8::try_from(command.data().len()).map_err(|_| Sw::WRONG_LENGTH)?;
        let expected = mac::secure(&key, challenge.as_bytes(), &[&[cla, ins, p1, p2, lc], data])
            .map_err(|_| Sw::UNKNOWN)?;
        if ct_eq(&expected, given) {
            return Ok(data);
        }
        Err(self.count_maintenance_error(cx)?)
    }

    /// Counts a wrong MAC of a secured command; the answer to it.
    pub(super) fn count_maintenance_error(&self, cx: &mut Context<'_>) -> Result<Sw, Sw> {
        let status = Status::read(cx)?;
        let status = Status { maintenance_errors: status.maintenance_errors.saturating_add(1), ..status };
        status.store(cx)?;
        Ok(match status.lock(&self.profile) {
            Lock::Permanent => status::PERMANENTLY_LOCKED,
            Lock::None | Lock::Temporary | Lock::Card => Sw::SM_INCORRECT,
        })
    }

    /// Adds to the commit of a secured update: no wrong maintenance MACs any more.
    pub(super) fn clear_maintenance_errors(cx: &mut Context<'_>, batch: &mut Batch<'_>) -> Result<(), Sw> {
        let status = Status::read(cx)?;
        if status.maintenance_errors != 0 {
            batch.put(cx.object(objects::LOCK), &Status { maintenance_errors: 0, ..status }.to_bytes());
        }
        Ok(())
    }
}
