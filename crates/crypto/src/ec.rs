//! Keys on prime curves: agreement (ECDH) and signatures (ECDSA), over any [`Curve`]; P-256 is provided.
//!
//! ```
//! use huiwan_crypto::ec::{EcPrivate, P256};
//! let (ours, theirs) = (EcPrivate::<P256>::new(&[1; 32])?, EcPrivate::<P256>::new(&[2; 32])?);
//! let (mut a, mut b) = ([0; 32], [0; 32]);
//! ours.agree(&theirs.public()?, &mut a)?;
//! theirs.agree(&ours.public()?, &mut b)?;
//! assert_eq!(a, b);
//! # Ok::<(), huiwan_crypto::CryptoError>(())
//! ```

use core::fmt;
use core::marker::PhantomData;

use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use p256::elliptic_curve::sec1::ToSec1Point;

use crate::{CryptoError, Random, Secret};

/// Bytes of the longest field element: P-521.
pub const FIELD_MAX: usize = 66;
/// Bytes of the longest uncompressed point: 04 ‖ X ‖ Y.
pub const POINT_MAX: usize = 1 + 2 * FIELD_MAX;

/// A prime curve, usually over one of the RustCrypto crates. All numbers are big endian, points are uncompressed (04 ‖ X ‖ Y).
pub trait Curve {
    /// Bytes of a field element, of a private key and of half a signature.
    const FIELD_LEN: usize;

    /// The public key of a private key, into `out` of 1 + 2 fields.
    ///
    /// # Errors
    /// [`CryptoError`] if the private key is 0 or not below the order.
    fn public(private: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;

    /// Whether these bytes are a point of the curve other than the one at infinity.
    fn is_point(point: &[u8]) -> bool;

    /// The X coordinate of private key times point, into `out` of one field. [SEC 1 3.3.1]
    ///
    /// # Errors
    /// [`CryptoError`] if either is none.
    fn agree(private: &[u8], point: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;

    /// Verifies a signature r ‖ s over a hash. [SEC 1 4.1.4]
    ///
    /// # Errors
    /// [`CryptoError`] if it is wrong.
    fn verify(point: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), CryptoError>;

    /// Signs a hash, into `out` of two fields. [RFC 6979]
    ///
    /// # Errors
    /// [`CryptoError`] if the private key is none.
    fn sign(private: &[u8], hash: &[u8], out: &mut [u8]) -> Result<(), CryptoError>;
}

/// NIST P-256, secp256r1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P256;

impl Curve for P256 {
    const FIELD_LEN: usize = 32;

    fn public(private: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let key = p256::SecretKey::from_slice(private).map_err(|_| CryptoError)?;
        fill(out, key.public_key().to_sec1_point(false).as_bytes())
    }

    fn is_point(point: &[u8]) -> bool {
        point.first() == Some(&0x04) && p256::PublicKey::from_sec1_bytes(point).is_ok()
    }

    fn agree(private: &[u8], point: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let key = p256::SecretKey::from_slice(private).map_err(|_| CryptoError)?;
        let point = p256::PublicKey::from_sec1_bytes(point).map_err(|_| CryptoError)?;
        let shared = p256::ecdh::diffie_hellman(key.to_nonzero_scalar(), point.as_affine());
        fill(out, shared.raw_secret_bytes())
    }

    fn verify(point: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| CryptoError)?;
        let signature = Signature::from_slice(signature).map_err(|_| CryptoError)?;
        key.verify_prehash(hash, &signature).map_err(|_| CryptoError)
    }

    fn sign(private: &[u8], hash: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let key = SigningKey::from_slice(private).map_err(|_| CryptoError)?;
        let signature: Signature = key.sign_prehash(hash).map_err(|_| CryptoError)?;
        fill(out, &signature.to_bytes())
    }
}

fn fill(out: &mut [u8], from: &[u8]) -> Result<(), CryptoError> {
    if out.len() != from.len() {
        return Err(CryptoError);
    }
    out.copy_from_slice(from);
    Ok(())
}

/// A public key: a point of the curve, checked.
pub struct EcPublic<C> {
    point: [u8; POINT_MAX],
    len: usize,
    curve: PhantomData<C>,
}

impl<C> Clone for EcPublic<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for EcPublic<C> {}

impl<C> PartialEq for EcPublic<C> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<C> Eq for EcPublic<C> {}

impl<C> EcPublic<C> {
    /// 04 ‖ X ‖ Y.
    pub fn as_bytes(&self) -> &[u8] {
        self.point.get(..self.len).unwrap_or_default()
    }
}

impl<C: Curve> EcPublic<C> {
    /// Takes an uncompressed point.
    ///
    /// # Errors
    /// [`CryptoError`] if it is not on the curve.
    pub fn new(point: &[u8]) -> Result<Self, CryptoError> {
        let mut bytes = [0; POINT_MAX];
        bytes.get_mut(..point.len()).ok_or(CryptoError)?.copy_from_slice(point);
        if !C::is_point(point) {
            return Err(CryptoError);
        }
        Ok(Self { point: bytes, len: point.len(), curve: PhantomData })
    }

    /// Verifies a signature r ‖ s over a hash.
    ///
    /// # Errors
    /// [`CryptoError`] if it is wrong.
    pub fn verify(&self, hash: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        C::verify(self.as_bytes(), hash, signature)
    }
}

impl<C> fmt::Debug for EcPublic<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcPublic(..)")
    }
}

/// A private key.
pub struct EcPrivate<C> {
    d: Secret<FIELD_MAX>,
    curve: PhantomData<C>,
}

impl<C> Clone for EcPrivate<C> {
    fn clone(&self) -> Self {
        Self { d: self.d.clone(), curve: PhantomData }
    }
}

impl<C: Curve> EcPrivate<C> {
    /// Takes the number d, one field long.
    ///
    /// # Errors
    /// [`CryptoError`] if it is 0 or not below the order of the curve.
    pub fn new(d: &[u8]) -> Result<Self, CryptoError> {
        let mut key = Self { d: Secret::new([0; FIELD_MAX]), curve: PhantomData };
        fill(key.d.expose_mut().get_mut(..C::FIELD_LEN).ok_or(CryptoError)?, d)?;
        key.public()?;
        Ok(key)
    }

    /// Draws a new key.
    ///
    /// # Errors
    /// [`CryptoError`] if the random source fails, or gives four numbers that are no key, which does not happen by chance.
    pub fn generate(random: &mut dyn Random) -> Result<Self, CryptoError> {
        for _ in 0..4 {
            let mut d = Secret::new([0; FIELD_MAX]);
            let bytes = d.expose_mut().get_mut(..C::FIELD_LEN).ok_or(CryptoError)?;
            random.fill(bytes)?;
            if let Ok(key) = Self::new(bytes) {
                return Ok(key);
            }
        }
        Err(CryptoError)
    }

    fn d(&self) -> &[u8] {
        self.d.expose().get(..C::FIELD_LEN).unwrap_or_default()
    }

    /// The public key.
    ///
    /// # Errors
    /// None in fact: the key was checked when it was made.
    pub fn public(&self) -> Result<EcPublic<C>, CryptoError> {
        let len = C::FIELD_LEN.saturating_mul(2).saturating_add(1);
        let mut point = [0; POINT_MAX];
        C::public(self.d(), point.get_mut(..len).ok_or(CryptoError)?)?;
        Ok(EcPublic { point, len, curve: PhantomData })
    }

    /// The secret shared with the owner of a public key, into `out` of one field.
    ///
    /// # Errors
    /// [`CryptoError`] if `out` has another length.
    pub fn agree(&self, with: &EcPublic<C>, out: &mut [u8]) -> Result<(), CryptoError> {
        C::agree(self.d(), with.as_bytes(), out)
    }

    /// Signs a hash; r ‖ s into `out` of two fields.
    ///
    /// # Errors
    /// [`CryptoError`] if `out` has another length.
    pub fn sign(&self, hash: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        C::sign(self.d(), hash, out)
    }
}

impl<C> fmt::Debug for EcPrivate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcPrivate(..)")
    }
}
