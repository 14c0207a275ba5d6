//! The private operation by the Chinese remainder theorem.

use core::fmt;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Limb, NonZero, Odd, Uint};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::uint::{load, store, trim, with_prime_width, with_width};
use super::{MAX_MODULUS_LEN, RsaPublic};
use crate::block::copy;
use crate::{CryptoError, Random, Secret, ct_eq};

const MAX_PRIME_LEN: usize = MAX_MODULUS_LEN / 2;

/// An RSA private key in its Chinese remainder form, of the public exponent 3 or 65537 [EMV-B2 B2.1].
#[derive(Clone)]
pub struct RsaPrivate {
    parts: Parts,
    public: RsaPublic,
}

/// p, q, d mod (p-1), d mod (q-1), q^-1 mod p: big endian, each of `len` bytes at the end of its array.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Parts {
    len: usize,
    p: Secret<MAX_PRIME_LEN>,
    q: Secret<MAX_PRIME_LEN>,
    dp: Secret<MAX_PRIME_LEN>,
    dq: Secret<MAX_PRIME_LEN>,
    qinv: Secret<MAX_PRIME_LEN>,
}

fn right_aligned(bytes: &[u8]) -> Result<Secret<MAX_PRIME_LEN>, CryptoError> {
    let bytes = trim(bytes);
    let mut secret = Secret::new([0; MAX_PRIME_LEN]);
    let start = MAX_PRIME_LEN.checked_sub(bytes.len()).ok_or(CryptoError)?;
    secret.expose_mut().get_mut(start..).ok_or(CryptoError)?.copy_from_slice(bytes);
    Ok(secret)
}

impl RsaPrivate {
    /// A key of its five parts, big endian.
    ///
    /// The public exponent is found from `dp`.
    ///
    /// # Errors
    /// [`CryptoError`] when the parts do not belong together, the modulus is not of 64 to 256 bytes, or the public
    /// exponent neither 3 nor 65537.
    pub fn from_crt(p: &[u8], q: &[u8], dp: &[u8], dq: &[u8], qinv: &[u8]) -> Result<Self, CryptoError> {
        let parts = Parts {
            len: trim(p).len().max(trim(q).len()),
            p: right_aligned(p)?,
            q: right_aligned(q)?,
            dp: right_aligned(dp)?,
            dq: right_aligned(dq)?,
            qinv: right_aligned(qinv)?,
        };
        let mut modulus = [0; MAX_MODULUS_LEN];
        let exponent = with_prime_width!(parts.len, check(&parts, &mut modulus))?;
        let public = RsaPublic::new(&modulus, &exponent.to_be_bytes())?;
        Ok(Self { parts, public })
    }

    /// A key of two primes and the public exponent 3 or 65537, big endian: for making keys and fixtures.
    ///
    /// Whether `p` and `q` are prime is not tested.
    ///
    /// # Errors
    /// [`CryptoError`] when there is no such key.
    pub fn from_primes(p: &[u8], q: &[u8], exponent: &[u8]) -> Result<Self, CryptoError> {
        let len = trim(p).len().max(trim(q).len());
        let mut parts = Parts {
            len,
            p: right_aligned(p)?,
            q: right_aligned(q)?,
            dp: Secret::new([0; MAX_PRIME_LEN]),
            dq: Secret::new([0; MAX_PRIME_LEN]),
            qinv: Secret::new([0; MAX_PRIME_LEN]),
        };
        with_prime_width!(len, complete(&mut parts, exponent))?;
        let Parts { p, q, dp, dq, qinv, .. } = &parts;
        Self::from_crt(p.expose(), q.expose(), dp.expose(), dq.expose(), qinv.expose())
    }

    /// The public key.
    pub const fn public(&self) -> &RsaPublic {
        &self.public
    }

    /// Length of the modulus in bytes.
    pub const fn modulus_len(&self) -> usize {
        self.public.modulus_len()
    }

    /// Writes the modulus, big endian.
    ///
    /// # Errors
    /// [`CryptoError`] when `out` is too short.
    pub fn modulus<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
        let out = out.get_mut(..self.modulus_len()).ok_or(CryptoError)?;
        copy(out, self.public.modulus());
        Ok(out)
    }

    /// The five parts p, q, dp, dq, qinv, big endian, all of the length of the longer prime: for personalising a card.
    pub fn expose_parts(&self) -> [&[u8]; 5] {
        let Parts { len, p, q, dp, dq, qinv } = &self.parts;
        let skip = MAX_PRIME_LEN.saturating_sub(*len);
        [p, q, dp, dq, qinv].map(|part| part.expose().get(skip..).unwrap_or_default())
    }

    /// Signs: `message`, already formatted and exactly as long as the modulus, to the power of the private exponent.
    ///
    /// # Errors
    /// [`CryptoError`] when `message` has another length or is not below the modulus, `out` is too short, the random
    /// source fails, or the signature does not verify; `out` then holds nothing of it.
    pub fn sign_raw<'o>(
        &self,
        message: &[u8],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        let out = out.get_mut(..self.modulus_len()).ok_or(CryptoError)?;
        if message.len() != self.modulus_len() || message >= self.public.modulus() {
            return Err(CryptoError);
        }
        let mut signature = Zeroizing::new([0; MAX_MODULUS_LEN]);
        let signature = signature.get_mut(..message.len()).ok_or(CryptoError)?;
        with_prime_width!(
            self.parts.len,
            sign(&self.parts, self.public.exponent(), message, random, signature)
        )?;
        // A fault in one half would give the primes away: nothing leaves unless the public key agrees.
        let mut again = [0; MAX_MODULUS_LEN];
        if !ct_eq(self.public.recover(signature, &mut again)?, message) {
            return Err(CryptoError);
        }
        copy(out, signature);
        Ok(out)
    }
}

/// Its parts are wiped; the rest is public.
impl ZeroizeOnDrop for RsaPrivate {}

impl fmt::Debug for RsaPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPrivate").field("modulus_len", &self.modulus_len()).finish_non_exhaustive()
    }
}

/// A prime as an odd modulus.
fn odd<const LIMBS: usize>(prime: &Secret<MAX_PRIME_LEN>) -> Result<Odd<Uint<LIMBS>>, CryptoError> {
    Odd::new(load(prime.expose())).into_option().ok_or(CryptoError)
}

/// `prime - 1`, for exponents.
fn order<const LIMBS: usize>(prime: &Odd<Uint<LIMBS>>) -> Result<NonZero<Uint<LIMBS>>, CryptoError> {
    NonZero::new(prime.as_ref().wrapping_sub(&Uint::ONE)).into_option().ok_or(CryptoError)
}

/// Writes the modulus and finds the public exponent, for which `dp` and `dq` must be right.
fn check<const LIMBS: usize>(parts: &Parts, modulus: &mut [u8]) -> Result<u32, CryptoError> {
    let (p, q) = (odd::<LIMBS>(&parts.p)?, odd::<LIMBS>(&parts.q)?);
    let (low, high) = p.as_ref().widening_mul(q.as_ref());
    store_wide(&low, &high, modulus);
    let inverse_of = |exponent: u32, d: &Secret<MAX_PRIME_LEN>, prime: &Odd<Uint<LIMBS>>| {
        let (low, high) = load::<LIMBS>(d.expose()).widening_mul(&Uint::<1>::from(exponent));
        Ok::<_, CryptoError>(Uint::rem_wide((low, high.resize()), &order(prime)?) == Uint::ONE)
    };
    for exponent in [3, 0x1_0001] {
        if inverse_of(exponent, &parts.dp, &p)? && inverse_of(exponent, &parts.dq, &q)? {
            return Ok(exponent);
        }
    }
    Err(CryptoError)
}

/// Computes dp, dq and qinv.
fn complete<const LIMBS: usize>(parts: &mut Parts, exponent: &[u8]) -> Result<(), CryptoError> {
    let (p, q) = (odd::<LIMBS>(&parts.p)?, odd::<LIMBS>(&parts.q)?);
    let exponent = load::<LIMBS>(exponent);
    for (prime, d) in [(&p, &mut parts.dp), (&q, &mut parts.dq)] {
        let inverse = exponent.invert_mod(&order(prime)?).into_option().ok_or(CryptoError)?;
        store(&inverse, d.expose_mut());
    }
    let qinv = q.as_ref().rem(p.as_nz_ref()).invert_odd_mod(&p).into_option().ok_or(CryptoError)?;
    store(&qinv, parts.qinv.expose_mut());
    Ok(())
}

/// `out = high ‖ low`.
fn store_wide<const LIMBS: usize>(low: &Uint<LIMBS>, high: &Uint<LIMBS>, out: &mut [u8]) {
    let split = out.len().saturating_sub(LIMBS.saturating_mul(Limb::BYTES));
    if let Some((front, back)) = out.split_at_mut_checked(split) {
        store(high, front);
        store(low, back);
    }
}

/// Garner's recombination of the two halves of a signature.
fn sign<const LIMBS: usize>(
    parts: &Parts,
    exponent: u32,
    message: &[u8],
    random: &mut dyn Random,
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let split = message.len().saturating_sub(LIMBS.saturating_mul(Limb::BYTES));
    let (high, low) = message.split_at_checked(split).ok_or(CryptoError)?;
    let message = (load::<LIMBS>(low), load::<LIMBS>(high));

    let p = FixedMontyParams::new(odd::<LIMBS>(&parts.p)?);
    let q = FixedMontyParams::new(odd::<LIMBS>(&parts.q)?);
    let (dp, dq) = (Zeroizing::new(load(parts.dp.expose())), Zeroizing::new(load(parts.dq.expose())));
    let sp = Zeroizing::new(blinded_power(message, &dp, exponent, &p, random)?);
    let sq = Zeroizing::new(blinded_power(message, &dq, exponent, &q, random)?.retrieve());

    // s = sq + q * (qinv * (sp - sq) mod p)
    let qinv = Zeroizing::new(FixedMontyForm::new(&load(parts.qinv.expose()), &p));
    let h = Zeroizing::new(
        sp.sub(&FixedMontyForm::new(&sq.rem(p.modulus().as_nz_ref()), &p)).mul(&qinv).retrieve(),
    );
    let (low, high) = h.widening_mul(q.modulus().as_ref());
    let (low, carry) = low.carrying_add(&sq, Limb::ZERO);
    let (high, _) = high.carrying_add(&Uint::ZERO, carry);
    store_wide(&low, &high, out);
    Ok(())
}

/// `message ^ d mod prime` as `(message * r ^ exponent) ^ d / r` for a fresh random `r`.
fn blinded_power<const LIMBS: usize>(
    message: (Uint<LIMBS>, Uint<LIMBS>),
    d: &Uint<LIMBS>,
    exponent: u32,
    prime: &FixedMontyParams<LIMBS>,
    random: &mut dyn Random,
) -> Result<FixedMontyForm<LIMBS>, CryptoError> {
    let mut bytes = Zeroizing::new([0; MAX_PRIME_LEN]);
    random.fill(bytes.as_mut())?;
    let r = Zeroizing::new(load::<LIMBS>(bytes.as_ref()).rem(prime.modulus().as_nz_ref()));
    let r = Zeroizing::new(FixedMontyForm::new(&r, prime));
    let unblind = Zeroizing::new(r.invert().into_option().ok_or(CryptoError)?);

    let mut blind = Zeroizing::new(*r);
    for bit in (0..exponent.checked_ilog2().unwrap_or(0)).rev() {
        *blind = blind.square();
        if (exponent >> bit) & 1 == 1 {
            *blind = blind.mul(&r);
        }
    }
    let message = Uint::rem_wide(message, prime.modulus().as_nz_ref());
    let blinded = Zeroizing::new(FixedMontyForm::new(&message, prime).mul(&blind));
    Ok(blinded.pow(d).mul(&unblind))
}
