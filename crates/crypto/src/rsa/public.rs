//! The public operation.

use core::fmt;

use crypto_bigint::Odd;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};

use super::uint::{load, store, trim, with_modulus_width, with_width};
use super::{MAX_MODULUS_LEN, MIN_MODULUS_LEN};
use crate::CryptoError;

/// An RSA public key.
///
/// ```
/// # use huiwan_crypto::rsa::RsaPublic;
/// # fn recover(modulus: &[u8], certificate: &[u8]) -> Result<(), huiwan_crypto::CryptoError> {
/// let key = RsaPublic::new(modulus, &[0x03])?;
/// let mut recovered = [0; 256];
/// let recovered = key.recover(certificate, &mut recovered)?;
/// assert_eq!(recovered.first(), Some(&0x6A));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublic {
    modulus: [u8; MAX_MODULUS_LEN],
    len: usize,
    exponent: u32,
}

impl RsaPublic {
    /// A key of a modulus of 64 to 256 bytes and an exponent, both big endian; leading zeros do not count.
    ///
    /// EMV knows the exponents 3 and 65537 [EMV-B2 B2.1]; any odd exponent of 3 and above that fits 32 bits is taken.
    ///
    /// # Errors
    /// [`CryptoError`] for other lengths, an even modulus or another exponent.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, CryptoError> {
        let exponent = match *trim(exponent) {
            [a] => u32::from(a),
            [a, b] => u32::from_be_bytes([0, 0, a, b]),
            [a, b, c] => u32::from_be_bytes([0, a, b, c]),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(CryptoError),
        };
        let modulus = trim(modulus);
        let odd = modulus.last().is_some_and(|last| last & 1 == 1);
        if !odd || modulus.len() < MIN_MODULUS_LEN || exponent < 3 || exponent & 1 == 0 {
            return Err(CryptoError);
        }
        let mut this = Self { modulus: [0; MAX_MODULUS_LEN], len: modulus.len(), exponent };
        this.modulus.get_mut(..modulus.len()).ok_or(CryptoError)?.copy_from_slice(modulus);
        Ok(this)
    }

    /// Length of the modulus, of signatures and of what is recovered from them, in bytes.
    pub const fn modulus_len(&self) -> usize {
        self.len
    }

    /// The modulus, big endian, without leading zeros.
    pub fn modulus(&self) -> &[u8] {
        self.modulus.get(..self.len).unwrap_or(&self.modulus)
    }

    /// The exponent.
    pub const fn exponent(&self) -> u32 {
        self.exponent
    }

    /// Recovers what was signed: `signature` to the power of the exponent, [`modulus_len`](Self::modulus_len) bytes.
    ///
    /// # Errors
    /// [`CryptoError`] when `signature` is not exactly as long as the modulus or not below it, or `out` too short.
    pub fn recover<'o>(&self, signature: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
        let out = out.get_mut(..self.len).ok_or(CryptoError)?;
        if signature.len() != self.len || signature >= self.modulus() {
            return Err(CryptoError);
        }
        with_modulus_width!(self.len, power(self.modulus(), self.exponent, signature, out))?;
        Ok(out)
    }
}

impl fmt::Debug for RsaPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublic").field("modulus_len", &self.len).field("exponent", &self.exponent).finish()
    }
}

/// `base ^ exponent mod modulus` in variable time, for an odd exponent and a base below the modulus.
fn power<const LIMBS: usize>(
    modulus: &[u8],
    exponent: u32,
    base: &[u8],
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let modulus = Odd::new(load::<LIMBS>(modulus)).into_option().ok_or(CryptoError)?;
    let params = FixedMontyParams::new_vartime(modulus);
    let plain = load(base);
    let base = FixedMontyForm::new(&plain, &params);
    let mut result = base;
    // Square and multiply from the bit under the highest to the bit above the lowest.
    for bit in (1..exponent.checked_ilog2().unwrap_or(0)).rev() {
        result = result.square();
        if (exponent >> bit) & 1 == 1 {
            result = result.mul(&base);
        }
    }
    // The lowest bit is set: multiplying by the plain base instead of its Montgomery form leaves that form at once.
    let plain = FixedMontyForm::from_montgomery(plain, &params);
    store(result.square().mul(&plain).as_montgomery(), out);
    Ok(())
}
