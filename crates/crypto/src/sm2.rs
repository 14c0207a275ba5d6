//! SM2 signatures on the recommended curve, over ZA and the message with SM3 [GB/T 32918.2, JR/T 0025.17].

use core::fmt;

use ::sm2::elliptic_curve::ops::{LinearCombination, Reduce};
use ::sm2::elliptic_curve::point::AffineCoordinates;
use ::sm2::elliptic_curve::{Group, PrimeField};
use ::sm2::{FieldBytes, NonZeroScalar, ProjectivePoint, PublicKey, Scalar};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hash::{self, Sm3};
use crate::{CryptoError, Random};

/// The identity every signer of the payment standards has [JR/T 0025.17]: `1234567812345678`.
pub const DEFAULT_ID: &[u8] = b"1234567812345678";

/// Length of a signature, r ‖ s, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// Length of a public key, X ‖ Y, in bytes.
pub const PUBLIC_KEY_LEN: usize = 64;

/// a ‖ b ‖ xG ‖ yG of the recommended curve [GB/T 32918.5].
const CURVE: [u128; 8] = [
    0xFFFF_FFFE_FFFF_FFFF_FFFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_0000_0000_FFFF_FFFF_FFFF_FFFC,
    0x28E9_FA9E_9D9F_5E34_4D5A_9E4B_CF65_09A7,
    0xF397_89F5_15AB_8F92_DDBC_BD41_4D94_0E93,
    0x32C4_AE2C_1F19_8119_5F99_0446_6A39_C994,
    0x8FE3_0BBF_F266_0BE1_715A_4589_334C_74C7,
    0xBC37_36A2_F4F6_779C_59BD_CEE3_6B69_2153,
    0xD0A9_877C_C62A_4740_02DF_32E5_2139_F0A0,
];

/// An SM2 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct Sm2Public {
    key: PublicKey,
    bytes: [u8; PUBLIC_KEY_LEN],
}

impl Sm2Public {
    /// A key of its coordinates X ‖ Y, 32 bytes each, big endian.
    ///
    /// # Errors
    /// [`CryptoError`] when that is not a point of the curve.
    pub fn new(point: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, CryptoError> {
        let mut encoded = [0x04; 65];
        for (e, p) in encoded.iter_mut().skip(1).zip(point) {
            *e = *p;
        }
        let key = PublicKey::from_sec1_bytes(&encoded).map_err(|_| CryptoError)?;
        Ok(Self { key, bytes: *point })
    }

    /// X ‖ Y, 32 bytes each, big endian.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.bytes
    }

    /// ZA: the hash of the signer's identity, the curve and the public key [GB/T 32918.2 5.5].
    ///
    /// # Errors
    /// [`CryptoError`] when `id` is longer than 8,191 bytes.
    pub fn za(&self, id: &[u8]) -> Result<[u8; 32], CryptoError> {
        let bits = id.len().checked_mul(8).and_then(|bits| u16::try_from(bits).ok()).ok_or(CryptoError)?;
        let mut hash = Sm3::new();
        hash.update(&bits.to_be_bytes());
        hash.update(id);
        CURVE.iter().for_each(|half| hash.update(&half.to_be_bytes()));
        hash.update(&self.bytes);
        Ok(hash.finish())
    }

    /// Verifies a signature r ‖ s over the message `parts` by the signer `id` [GB/T 32918.2 7.1].
    ///
    /// # Errors
    /// [`CryptoError`] when the signature is wrong.
    pub fn verify(
        &self,
        parts: &[&[u8]],
        id: &[u8],
        signature: &[u8; SIGNATURE_LEN],
    ) -> Result<(), CryptoError> {
        let e = self.message_scalar(parts, id)?;
        let (r, s) = halves(signature);
        let (r, s) = (nonzero(r)?, nonzero(s)?);
        if check(&e, &r, &s, &self.key.to_projective()) { Ok(()) } else { Err(CryptoError) }
    }

    /// e: SM3 of ZA ‖ message, as a number.
    fn message_scalar(&self, parts: &[&[u8]], id: &[u8]) -> Result<Scalar, CryptoError> {
        let mut hash = Sm3::new();
        hash.update(&self.za(id)?);
        parts.iter().for_each(|part| hash.update(part));
        Ok(Scalar::reduce(&FieldBytes::from(hash.finish())))
    }
}

impl fmt::Debug for Sm2Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sm2Public(..)")
    }
}

/// An SM2 private key, with its public key.
#[derive(Clone)]
pub struct Sm2Private {
    d: NonZeroScalar,
    public: Sm2Public,
}

impl Sm2Private {
    /// A key of its number d, 32 bytes, big endian.
    ///
    /// # Errors
    /// [`CryptoError`] when d is 0 or not below the order of the curve less one.
    pub fn new(d: &[u8; 32]) -> Result<Self, CryptoError> {
        let d = NonZeroScalar::from_repr((*d).into()).into_option().ok_or(CryptoError)?;
        // With d = n - 1, 1 + d has no inverse, and nothing can be signed.
        if bool::from(plus_one(&d).is_zero()) {
            return Err(CryptoError);
        }
        let key = PublicKey::from_secret_scalar(&d);
        let mut bytes = [0; PUBLIC_KEY_LEN];
        let (x, y) = (key.as_affine().x(), key.as_affine().y());
        for (b, c) in bytes.iter_mut().zip(x.iter().chain(&y)) {
            *b = *c;
        }
        Ok(Self { d, public: Sm2Public { key, bytes } })
    }

    /// The public key.
    pub const fn public(&self) -> &Sm2Public {
        &self.public
    }

    /// Signs the message `parts` as the signer `id`; the signature is r ‖ s [GB/T 32918.2 6.1].
    ///
    /// The one-time number is SM3 of the key, the message hash and 32 random bytes: a random source that repeats
    /// itself does not give the key away.
    ///
    /// # Errors
    /// [`CryptoError`] when the random source fails or `id` is too long.
    pub fn sign(
        &self,
        parts: &[&[u8]],
        id: &[u8],
        random: &mut dyn Random,
    ) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
        let e = self.public.message_scalar(parts, id)?;
        // Each round fails with a chance of about 2^-32: four failing together do not happen by chance.
        for _ in 0..4 {
            let mut seed = Zeroizing::new([0; 32]);
            random.fill(seed.as_mut())?;
            let d = Zeroizing::new(<[u8; 32]>::from(self.d.to_repr()));
            let k = Zeroizing::new(hash::sm3(&[d.as_ref(), &<[u8; 32]>::from(e.to_repr()), seed.as_ref()]));
            if let Some(signature) = self.sign_with(&e, &k) {
                return Ok(signature);
            }
        }
        Err(CryptoError)
    }

    /// Signs with a given one-time number; `None`: another is needed.
    fn sign_with(&self, e: &Scalar, k: &[u8; 32]) -> Option<[u8; SIGNATURE_LEN]> {
        let k = Zeroizing::new(NonZeroScalar::from_repr((*k).into()).into_option()?);
        let point = ProjectivePoint::mul_by_generator(&k).to_affine();
        let (r, s) = signature_scalars(e, &Scalar::reduce(&point.x()), &k, &self.d)?;
        let mut signature = [0; SIGNATURE_LEN];
        for (o, i) in signature.iter_mut().zip(r.to_repr().iter().chain(&s.to_repr())) {
            *o = *i;
        }
        Some(signature)
    }
}

impl Drop for Sm2Private {
    fn drop(&mut self) {
        self.d.zeroize();
    }
}

impl ZeroizeOnDrop for Sm2Private {}

impl fmt::Debug for Sm2Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sm2Private(..)")
    }
}

fn halves(signature: &[u8; SIGNATURE_LEN]) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    for (o, i) in r.iter_mut().chain(&mut s).zip(signature) {
        *o = *i;
    }
    (r, s)
}

fn nonzero(bytes: [u8; 32]) -> Result<NonZeroScalar, CryptoError> {
    NonZeroScalar::from_repr(bytes.into()).into_option().ok_or(CryptoError)
}

/// `(x1 + e) mod n == r` for `(x1, y1) = s G + (r + s) P`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic modulo the order of the curve cannot overflow"
)]
fn check(e: &Scalar, r: &Scalar, s: &Scalar, public: &ProjectivePoint) -> bool {
    let t = *r + s;
    if t.is_zero().into() {
        return false;
    }
    let point = ProjectivePoint::lincomb_vartime(&[(ProjectivePoint::GENERATOR, *s), (*public, t)]);
    let identity: bool = point.is_identity().into();
    !identity && *r == *e + Scalar::reduce(&point.to_affine().x())
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic modulo the order of the curve cannot overflow"
)]
fn plus_one(d: &Scalar) -> Scalar {
    *d + Scalar::ONE
}

/// r = e + x1, s = (k - r d) / (1 + d); `None` when r = 0, r + k = n or s = 0.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic modulo the order of the curve cannot overflow"
)]
fn signature_scalars(e: &Scalar, x1: &Scalar, k: &Scalar, d: &Scalar) -> Option<(Scalar, Scalar)> {
    let r = *e + x1;
    let inverse = Zeroizing::new(plus_one(d).invert().into_option()?);
    let s = *inverse * (*k - r * d);
    let useless = r.is_zero() | (r + k).is_zero() | s.is_zero();
    if useless.into() { None } else { Some((r, s)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    use huiwan_testkit::vectors;

    /// The standard's example gives the one-time number, which no public call takes.
    #[test]
    fn signs_as_the_standard() {
        let file = vectors::load(include_str!("../tests/vectors/emv_sm2.txt"));
        let v = file.block("sm2-sign-std");
        let key = Sm2Private::new(&v.array("in.d")).unwrap();
        let e = key.public.message_scalar(&[&v.bytes("in.message")], &v.bytes("in.user_id")).unwrap();
        let signature = key.sign_with(&e, &v.array("in.k")).unwrap();
        assert_eq!(signature.to_vec(), [v.bytes("out.r"), v.bytes("out.s")].concat());
        // One-time numbers outside 1..n are turned down.
        assert_eq!(key.sign_with(&e, &[0; 32]), None);
        assert_eq!(key.sign_with(&e, &[0xFF; 32]), None);
    }
}
