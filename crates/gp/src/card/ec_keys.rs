//! ECDSA signatures of content management. [GPC C.1, AmdE 4]

use core::fmt;
use core::marker::PhantomData;

use huiwan_crypto::CryptoError;
use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, P256};

use super::{PublicKey, PublicKeys};
use crate::capability::{CURVES_MAX, Capabilities};
use crate::token::{self, ECDSA_MAX};

/// Checks and makes ECDSA signatures r ‖ s with keys on one curve, and no others; the hash goes by the length of the key, see
/// [`crate::token`].
pub struct EcKeys<C = P256> {
    reference: u8,
    curve: PhantomData<fn() -> C>,
}

impl EcKeys {
    /// P-256, key parameter reference 00.
    pub const P256: Self = Self::on(0x00);
}

impl<C: Curve> EcKeys<C> {
    /// Keys on this curve, which PUT KEY names by `reference`. [AmdE 4.5] This crate brings P-256; others come with their [`Curve`].
    #[must_use]
    pub const fn on(reference: u8) -> Self {
        Self { reference, curve: PhantomData }
    }
}

impl<C> fmt::Debug for EcKeys<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcKeys").field("reference", &self.reference).finish()
    }
}

impl<C: Curve> PublicKeys for EcKeys<C> {
    fn verify(&self, key: PublicKey<'_>, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        let PublicKey::Ecc { curve, point } = key else { return Err(CryptoError) };
        if curve != self.reference || Some(signature.len()) != C::FIELD_LEN.checked_mul(2) {
            return Err(CryptoError);
        }
        token::verify_ecdsa(&EcPublic::<C>::new(point)?, parts, signature)
    }

    fn schemes(&self) -> u16 {
        match C::FIELD_LEN {
            0..=32 => Capabilities::ECC_256,
            33..=48 => Capabilities::ECC_384,
            49..=64 => Capabilities::ECC_512,
            _ => Capabilities::ECC_521,
        }
    }

    fn curves(&self) -> heapless::Vec<u8, CURVES_MAX> {
        heapless::Vec::from_iter([self.reference])
    }

    fn sign(
        &self,
        curve: u8,
        private: &[u8],
        parts: &[&[u8]],
    ) -> Result<heapless::Vec<u8, ECDSA_MAX>, CryptoError> {
        if curve != self.reference {
            return Err(CryptoError);
        }
        let len = C::FIELD_LEN.checked_mul(2).ok_or(CryptoError)?;
        let mut signature = heapless::Vec::new();
        signature.resize(len, 0).map_err(|_| CryptoError)?;
        token::sign_ecdsa(&EcPrivate::<C>::new(private)?, parts, &mut signature)?;
        Ok(signature)
    }

    fn receipt_schemes(&self) -> u16 {
        self.schemes()
    }
}

/// Keys of both kinds.
impl<A: PublicKeys, B: PublicKeys> PublicKeys for (A, B) {
    fn verify(&self, key: PublicKey<'_>, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        self.0.verify(key, parts, signature).or_else(|_| self.1.verify(key, parts, signature))
    }

    fn schemes(&self) -> u16 {
        self.0.schemes() | self.1.schemes()
    }

    fn curves(&self) -> heapless::Vec<u8, CURVES_MAX> {
        self.0.curves().into_iter().chain(self.1.curves()).take(CURVES_MAX).collect()
    }

    fn sign(
        &self,
        curve: u8,
        private: &[u8],
        parts: &[&[u8]],
    ) -> Result<heapless::Vec<u8, ECDSA_MAX>, CryptoError> {
        self.0.sign(curve, private, parts).or_else(|_| self.1.sign(curve, private, parts))
    }

    fn receipt_schemes(&self) -> u16 {
        self.0.receipt_schemes() | self.1.receipt_schemes()
    }
}
