//! WRITE KEY; its form is described at [`command::WriteKey`](crate::command::WriteKey).

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context};
use huiwan_crypto::Suite;
use zeroize::Zeroizing;

use super::objects::{self, CardKey};
use super::session::Challenge;
use super::{Purse, session};
use crate::account::Account;
use crate::command::{ADD_KEY, WriteKey, kind_of_cos_type};
use crate::keys;

impl<S: Suite> Purse<S> {
    /// 84 D4: encrypted, with a MAC.
    pub(super) fn write_key_secured(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        self.refuse_if_grey_locked(cx)?;
        let guard = self.profile.key_writing;
        let sealed = self.check_secured_by(cx, guard, command, challenge)?;
        let mut plain = Zeroizing::new([0; 64]);
        let data = self.open_sealed(cx, guard, sealed, &mut *plain)?;
        let mut buffer = Zeroizing::new([0; 96]);
        let mut batch = Batch::new(&mut *buffer);
        self.put_key(cx, command, data, &mut batch)?;
        self.clear_secured_errors(cx, guard, &mut batch)?;
        cx.commit(&batch)?;
        // Whoever was authenticated was so under keys that may have changed.
        session::set_authenticated(cx, false);
        Ok(())
    }

    /// 80 D4: only while the application has no purse, where the profile lets it.
    pub(super) fn write_key(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        if !self.profile.plain_keys || Self::has_purse(cx)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let mut buffer = Zeroizing::new([0; 96]);
        let mut batch = Batch::new(&mut *buffer);
        self.put_key(cx, command, command.data(), &mut batch)?;
        cx.commit(&batch)
    }

    /// Whether an account was personalised.
    pub(super) fn has_purse(cx: &mut Context<'_>) -> Result<bool, Sw> {
        Ok(cx.exists(objects::purse(Account::Ep))? || cx.exists(objects::purse(Account::Ed))?)
    }

    /// Adds the key to `batch`, with all its tries. A key that is added must not be there, one that is replaced must.
    fn put_key(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        data: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let replaced = match command.p1() {
            ADD_KEY => None,
            cos_type => Some(kind_of_cos_type(cos_type).ok_or(Sw::WRONG_P1P2)?),
        };
        if data.len() != WriteKey::LEN {
            return Err(Sw::WRONG_LENGTH);
        }
        let key = WriteKey::parse(data).map_err(|_| Sw::WRONG_DATA)?;
        if replaced.is_some_and(|kind| kind != key.kind) {
            return Err(Sw::WRONG_DATA);
        }
        let index = command.p2();
        let WriteKey { kind, version, algorithm, tries, value } = key;
        let key = CardKey::checked::<S::Key>(version, algorithm, tries, value)?;
        let set = keys::algorithm(algorithm).ok_or(Sw::WRONG_DATA)?;
        match (replaced.is_some(), cx.exists(objects::key(set, kind, index))?) {
            (true, false) => return Err(crate::status::KEY_INDEX),
            (false, true) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            _ => {}
        }
        key.put(cx, kind, index, batch);
        Ok(())
    }
}
