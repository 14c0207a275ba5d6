//! VERIFY, CHANGE PIN, RELOAD PIN and PIN UNBLOCK. [sheet 1.2]
//!
//! A PIN is BCD, two digits a byte, an odd last one followed by F. Bytes FF behind it are padding.

use huiwan_apdu::{Command, Sw};
use huiwan_card::pin::Pin;
use huiwan_card::{Batch, Context};
use huiwan_crypto::{BlockKey, Suite, ct_eq};
use zeroize::Zeroizing;

use super::objects::{self, CardKey};
use super::session::Challenge;
use super::{Purse, session};
use crate::account::Account;
use crate::keys::{self, KeyKind};
use crate::mac;
use crate::personalisation::pin_value;

impl<S: Suite> Purse<S> {
    /// The application's PIN.
    pub(super) const fn pin(&self) -> Pin {
        Pin { object: objects::PIN, max_tries: self.profile.pin_tries }
    }

    /// 6982 unless the PIN was verified since the application was selected, where the account wants it.
    pub(super) fn require_pin(&self, cx: &mut Context<'_>, account: Account) -> Result<(), Sw> {
        let wanted = account == Account::Ed && self.profile.ed_pin;
        if wanted { Self::require_verified(cx) } else { Ok(()) }
    }

    /// 6982 unless the PIN was verified since the application was selected.
    pub(super) fn require_verified(cx: &mut Context<'_>) -> Result<(), Sw> {
        if session::pin_verified(cx) { Ok(()) } else { Err(Sw::SECURITY_STATUS) }
    }

    /// VERIFY. Without data it tells the tries left and changes nothing.
    pub(super) fn verify(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        if command.data().is_empty() {
            let verified = session::pin_verified(cx);
            return if verified { Ok(()) } else { Err(self.pin().status(cx)?) };
        }
        let presented = pin_value(command.data()).ok_or(Sw::WRONG_LENGTH)?;
        session::set_pin_verified(cx, false);
        self.pin().verify(cx, presented)?;
        session::set_pin_verified(cx, true);
        Ok(())
    }

    /// P1 01: CHANGE PIN, old ‖ FF ‖ new; P1 00: RELOAD PIN, new ‖ MAC.
    pub(super) fn change_or_reload_pin(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        match command.p1p2() {
            0x0100 => self.change_pin(cx, command.data()),
            0x0000 => self.reload_pin(cx, command.data()),
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    fn change_pin(&self, cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
        let at = data.iter().position(|byte| *byte == 0xFF).ok_or(Sw::WRONG_DATA)?;
        let (old, new) = data.split_at_checked(at).ok_or(Sw::WRONG_DATA)?;
        let old = pin_value(old).ok_or(Sw::WRONG_LENGTH)?;
        let new = new.get(1..).and_then(pin_value).ok_or(Sw::WRONG_LENGTH)?;
        session::set_pin_verified(cx, false);
        self.pin().change(cx, old, new)
    }

    /// The MAC covers the PIN alone, with IV zero, under the two halves of DRPK added together; a wrong one counts as
    /// those of the maintenance key do. \[I:HB,LOH,LIB; the count: S:HB\]
    fn reload_pin(&self, cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
        let Some((new, given)) = data.split_last_chunk::<4>() else { return Err(Sw::WRONG_LENGTH) };
        let value = pin_value(new).ok_or(Sw::WRONG_LENGTH)?;
        let key = self.usable_key(cx, KeyKind::PinReload)?;
        let key: S::Key = keys::tac_key(&self.profile, key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let expected = mac::sign(&key, new).map_err(|_| Sw::UNKNOWN)?;
        if !ct_eq(&expected, given) {
            return Err(self.count_secured_error(cx, KeyKind::PinReload)?);
        }
        session::set_pin_verified(cx, false);
        // No challenge makes this command new: one that was recorded must not forgive wrong MACs for ever.
        let mut buffer = Zeroizing::new([0; 32]);
        let mut batch = Batch::new(&mut *buffer);
        self.pin().set(cx.instance, &mut batch, value)?;
        cx.commit(&batch)
    }

    /// PIN UNBLOCK: len ‖ PIN ‖ 80 00… under DPUK, then the MAC under the same key. A PIN that is not the card's counts
    /// as a wrong MAC does. \[layout I:HB,LIB; the rest S:HB\]
    pub(super) fn pin_unblock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        if self.pin().tries(cx)? != 0 {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let sealed = self.check_secured_by(cx, KeyKind::PinUnblock, command, challenge)?;
        let key = CardKey::read(cx, KeyKind::PinUnblock, self.profile.maintenance_key_index)?;
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let mut block = Zeroizing::new([0; 16]);
        let block = block.get_mut(..key.block_len()).ok_or(Sw::UNKNOWN)?;
        if sealed.len() != block.len() {
            return Err(Sw::WRONG_LENGTH);
        }
        block.copy_from_slice(sealed);
        key.decrypt_ecb(block).map_err(|_| Sw::UNKNOWN)?;
        let presented = block.split_first().and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)));
        let presented = match presented {
            Some((pin, [0x80, rest @ ..])) if rest.iter().all(|byte| *byte == 0) => pin_value(pin),
            _ => None,
        };
        let mut reference = Zeroizing::new([0; 16]);
        let reference = cx.read(objects::PIN, &mut *reference)?;
        if !presented.is_some_and(|pin| ct_eq(pin, reference)) {
            return Err(self.count_secured_error(cx, KeyKind::PinUnblock)?);
        }
        // One commit: the PIN with all its tries, and no wrong MACs any more.
        let mut buffer = Zeroizing::new([0; 64]);
        let mut batch = Batch::new(&mut *buffer);
        self.pin().set(cx.instance, &mut batch, reference)?;
        self.clear_secured_errors(cx, KeyKind::PinUnblock, &mut batch)?;
        cx.commit(&batch)
    }
}
