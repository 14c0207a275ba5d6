//! A PIN: a reference value and the tries that are left. [ISO 7816-4 11.5.6] [EMV-B3 6.5.12]
//!
//! A try is spent durably before the comparison, alone, so that neither a cut nor a fast reset gives it back.

use huiwan_apdu::Sw;
use huiwan_crypto::ct_eq;
use zeroize::Zeroizing;

use crate::batch::Batch;
use crate::context::Context;
use crate::memory::{InstanceId, ObjectId};

/// The longest reference value in bytes.
pub const MAX_LEN: usize = 16;

/// A PIN of the calling instance, kept in two of its objects: the reference value in `object`, the tries left (1 byte) in the next
/// one. How digits are coded into bytes is the application's affair; what is presented has to equal the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The object of the reference value; the tries are in the one with the next number.
    pub object: u16,
    /// The tries after a right presentation, 1–15.
    pub max_tries: u8,
}

impl Pin {
    fn tries_object(&self) -> u16 {
        self.object.wrapping_add(1)
    }

    /// Adds to `batch`: the reference is `value`, all tries are left.
    ///
    /// # Errors
    /// 6A80 unless the value has 1–[`MAX_LEN`] bytes.
    pub fn set(&self, instance: InstanceId, batch: &mut Batch<'_>, value: &[u8]) -> Result<(), Sw> {
        if value.is_empty() || value.len() > MAX_LEN {
            return Err(Sw::WRONG_DATA);
        }
        batch.put(ObjectId::new(instance, self.object), value);
        batch.put(ObjectId::new(instance, self.tries_object()), &[self.max_tries]);
        Ok(())
    }

    /// The tries left.
    ///
    /// # Errors
    /// 6984 when there is no reference value, 6581 when memory fails.
    pub fn tries(&self, cx: &mut Context<'_>) -> Result<u8, Sw> {
        if !cx.exists(self.tries_object())? {
            return Err(Sw::DATA_INVALIDATED);
        }
        let [tries] = cx.read_array(self.tries_object())?;
        Ok(tries.min(self.max_tries))
    }

    /// The answer to a VERIFY without data: 63Cx with the tries left, 6983 when there are none.
    ///
    /// # Errors
    /// As [`tries`](Self::tries).
    pub fn status(&self, cx: &mut Context<'_>) -> Result<Sw, Sw> {
        Ok(status(self.tries(cx)?))
    }

    /// Compares `presented` with the reference. The caller remembers success in its volatile slot.
    ///
    /// # Errors
    /// 63Cx when it is wrong and x tries are left, 6983 when none was left, or when this was the last and it was wrong: 63C0;
    /// 6984 when there is no reference value; 6581 when memory fails.
    pub fn verify(&self, cx: &mut Context<'_>, presented: &[u8]) -> Result<(), Sw> {
        let Some(left) = self.tries(cx)?.checked_sub(1) else {
            return Err(Sw::AUTH_BLOCKED);
        };
        cx.put(self.tries_object(), &[left])?;
        let mut reference = Zeroizing::new([0; MAX_LEN]);
        let reference = cx.read(self.object, &mut *reference)?;
        if !ct_eq(reference, presented) {
            return Err(Sw::tries_left(left));
        }
        cx.put(self.tries_object(), &[self.max_tries])
    }

    /// Replaces the reference by `new` after comparing `old` with it.
    ///
    /// # Errors
    /// 6A80 for an impossible new value, which costs no try; otherwise as [`verify`](Self::verify).
    pub fn change(&self, cx: &mut Context<'_>, old: &[u8], new: &[u8]) -> Result<(), Sw> {
        if new.is_empty() || new.len() > MAX_LEN {
            return Err(Sw::WRONG_DATA);
        }
        self.verify(cx, old)?;
        self.unblock(cx, Some(new))
    }

    /// Gives all tries back, and sets a new reference if there is one. That the command was authorised is checked by the caller.
    ///
    /// # Errors
    /// 6A80 for an impossible new value, 6984 when there is no reference value, 6581 when memory fails.
    pub fn unblock(&self, cx: &mut Context<'_>, new: Option<&[u8]>) -> Result<(), Sw> {
        let mut buffer = Zeroizing::new([0; MAX_LEN + 1 + 2 * crate::WRITE_OVERHEAD]);
        let mut batch = Batch::new(&mut *buffer);
        match new {
            Some(value) => self.set(cx.instance, &mut batch, value)?,
            None if cx.exists(self.object)? => batch.put(cx.object(self.tries_object()), &[self.max_tries]),
            None => return Err(Sw::DATA_INVALIDATED),
        }
        cx.commit(&batch)
    }
}

fn status(tries: u8) -> Sw {
    if tries == 0 { Sw::AUTH_BLOCKED } else { Sw::tries_left(tries) }
}
