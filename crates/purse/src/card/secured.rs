//! What every secured command of the card goes through: challenge, MAC, the count of wrong ones, encrypted data. [sheet 2.5, 2.6]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::{Suite, ct_eq};

use super::Purse;
use super::lock::{Lock, Status};
use super::objects::{self, CardKey, Tries};
use super::session::Challenge;
use crate::keys::{self, KeyKind};
use crate::profile::SecuredErrors;
use crate::{mac, secure_messaging, status};

impl<S: Suite> Purse<S> {
    /// A secured command of the maintenance key whose data are the MAC alone.
    pub(super) fn check_secured_alone(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        if command.data().len() > 4 {
            return Err(Sw::WRONG_LENGTH);
        }
        self.check_secured(cx, command, challenge).map(|_| ())
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
        let key = self.usable_key(cx, kind)?;
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let [cla, ins, p1, p2] = command.header();
        let lc = u8::try_from(command.data().len()).map_err(|_| Sw::WRONG_LENGTH)?;
        let expected = mac::secure(&key, challenge.as_bytes(), &[&[cla, ins, p1, p2, lc], data])
            .map_err(|_| Sw::UNKNOWN)?;
        if ct_eq(&expected, given) {
            return Ok(data);
        }
        Err(self.count_secured_error(cx, kind)?)
    }

    /// The key that protects commands, unless its wrong uses blocked it (6983).
    pub(super) fn usable_key(&self, cx: &mut Context<'_>, kind: KeyKind) -> Result<CardKey, Sw> {
        let key = CardKey::read(cx, kind, self.profile.maintenance_key_index)?;
        if self.profile.secured_errors == SecuredErrors::Key && self.tries_of(&key, kind).left(cx)? == 0 {
            return Err(Sw::AUTH_BLOCKED);
        }
        Ok(key)
    }

    /// Decrypts the data of a secured command whose MAC was right, into `out`; 6A80 if they are not well formed.
    pub(super) fn open_sealed<'o>(
        &self,
        cx: &mut Context<'_>,
        kind: KeyKind,
        sealed: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], Sw> {
        let key = CardKey::read(cx, kind, self.profile.maintenance_key_index)?;
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let out = out.get_mut(..sealed.len()).ok_or(Sw::WRONG_LENGTH)?;
        out.copy_from_slice(sealed);
        secure_messaging::open(&key, self.profile.sealed_padding, out).map_err(|_| Sw::WRONG_DATA)
    }

    fn tries_of(&self, key: &CardKey, kind: KeyKind) -> Tries {
        key.tries(kind, self.profile.maintenance_key_index, self.profile.maintenance_error_limit)
    }

    /// Counts a wrong MAC of a secured command, where the profile counts it; the answer to it.
    pub(super) fn count_secured_error(&self, cx: &mut Context<'_>, kind: KeyKind) -> Result<Sw, Sw> {
        match self.profile.secured_errors {
            SecuredErrors::Application => {
                let status = Status::read(cx)?;
                let errors = status.maintenance_errors.saturating_add(1);
                let status = Status { maintenance_errors: errors, ..status };
                status.store(cx)?;
                Ok(match status.lock(&self.profile) {
                    Lock::Permanent => status::PERMANENTLY_LOCKED,
                    Lock::None | Lock::Temporary | Lock::Card => Sw::SM_INCORRECT,
                })
            }
            SecuredErrors::Key => {
                let key = CardKey::read(cx, kind, self.profile.maintenance_key_index)?;
                let left = self.tries_of(&key, kind).spend(cx)?;
                Ok(if left == 0 { Sw::AUTH_BLOCKED } else { Sw::SM_INCORRECT })
            }
        }
    }

    /// Adds to the commit of a secured command: no wrong MACs any more.
    pub(super) fn clear_secured_errors(
        &self,
        cx: &mut Context<'_>,
        kind: KeyKind,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let status = Status::read(cx)?;
        if status.maintenance_errors != 0 {
            batch.put(cx.object(objects::LOCK), &Status { maintenance_errors: 0, ..status }.to_bytes());
        }
        self.restore_key_tries(cx, kind, batch)
    }

    /// The same as a commit of its own, for a secured command that changes nothing else.
    pub(super) fn forget_secured_errors(&self, cx: &mut Context<'_>, kind: KeyKind) -> Result<(), Sw> {
        let mut buffer = [0; 32];
        let mut batch = Batch::new(&mut buffer);
        self.clear_secured_errors(cx, kind, &mut batch)?;
        if batch.is_empty() { Ok(()) } else { cx.commit(&batch) }
    }

    /// Adds to `batch`: the key has all its tries, where keys count.
    pub(super) fn restore_key_tries(
        &self,
        cx: &mut Context<'_>,
        kind: KeyKind,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        if self.profile.secured_errors == SecuredErrors::Application {
            return Ok(());
        }
        let key = CardKey::read(cx, kind, self.profile.maintenance_key_index)?;
        self.tries_of(&key, kind).put_restored(cx, batch)
    }
}
