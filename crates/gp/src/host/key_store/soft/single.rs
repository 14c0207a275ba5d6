//! Keys that stand alone.

use core::fmt;

use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_crypto::{Aes, BlockKey, Random, RandomFailed, Secret, Tdes, ct_eq};
use zeroize::Zeroizing;

use super::super::{Chaining, KeyError};
use super::Session;
use crate::put_key::{self, KeyType};
use crate::token;

/// No random source: what needs one is [`KeyError::Unavailable`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoRandom;

impl Random for NoRandom {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomFailed> {
        Err(RandomFailed)
    }
}

/// A key that stands alone, for what its kind can do.
#[derive(Clone)]
pub struct SingleKey(Kind);

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "an RSA key; a boxed one would need alloc")]
enum Kind {
    Symmetric { key_type: KeyType, key: Secret<32>, len: usize },
    RsaPrivate(RsaPrivate),
    RsaPublic(RsaPublic),
    EcPrivate(EcPrivate<P256>),
    EcPublic(EcPublic<P256>),
}

impl fmt::Debug for SingleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Symmetric { key_type: KeyType::Des, .. } => "SingleKey(DES)",
            Kind::Symmetric { .. } => "SingleKey(AES)",
            Kind::RsaPrivate(_) => "SingleKey(RSA private)",
            Kind::RsaPublic(_) => "SingleKey(RSA public)",
            Kind::EcPrivate(_) => "SingleKey(P-256 private)",
            Kind::EcPublic(_) => "SingleKey(P-256 public)",
        })
    }
}

impl From<RsaPrivate> for SingleKey {
    fn from(key: RsaPrivate) -> Self {
        Self(Kind::RsaPrivate(key))
    }
}

impl From<RsaPublic> for SingleKey {
    fn from(key: RsaPublic) -> Self {
        Self(Kind::RsaPublic(key))
    }
}

impl From<EcPrivate<P256>> for SingleKey {
    fn from(key: EcPrivate<P256>) -> Self {
        Self(Kind::EcPrivate(key))
    }
}

impl From<EcPublic<P256>> for SingleKey {
    fn from(key: EcPublic<P256>) -> Self {
        Self(Kind::EcPublic(key))
    }
}

impl SingleKey {
    /// A triple DES key of 16 or 24 bytes.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] for another length.
    pub fn des(key: &[u8]) -> Result<Self, KeyError> {
        if matches!(key.len(), 16 | 24) {
            Self::symmetric(KeyType::Des, key)
        } else {
            Err(KeyError::Unavailable)
        }
    }

    /// An AES key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] for another length.
    pub fn aes(key: &[u8]) -> Result<Self, KeyError> {
        if matches!(key.len(), 16 | 24 | 32) {
            Self::symmetric(KeyType::Aes, key)
        } else {
            Err(KeyError::Unavailable)
        }
    }

    fn symmetric(key_type: KeyType, key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(Kind::Symmetric { key_type, key: super::secret(key)?, len: key.len() }))
    }

    /// The symmetric key in the clear.
    fn clear(&self) -> Result<(KeyType, &[u8]), KeyError> {
        match &self.0 {
            Kind::Symmetric { key_type, key, len } => {
                Ok((*key_type, key.expose().get(..*len).ok_or(KeyError::Unavailable)?))
            }
            _ => Err(KeyError::Algorithm),
        }
    }

    pub(super) fn to_aes(&self) -> Result<Aes, KeyError> {
        match self.clear()? {
            (KeyType::Aes, key) => Aes::new(key).map_err(|_| KeyError::Algorithm),
            _ => Err(KeyError::Algorithm),
        }
    }

    fn to_des(&self) -> Result<Tdes, KeyError> {
        match self.clear()? {
            (KeyType::Des, key) => {
                let two = <&[u8; 16]>::try_from(key).map(Tdes::new2);
                two.or_else(|_| key.try_into().map(Tdes::new3)).map_err(|_| KeyError::Algorithm)
            }
            _ => Err(KeyError::Algorithm),
        }
    }

    pub(super) fn ec_private(&self) -> Result<&EcPrivate<P256>, KeyError> {
        match &self.0 {
            Kind::EcPrivate(key) => Ok(key),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// The public key; a private key knows its own.
    pub(super) fn ec_public(&self) -> Result<EcPublic<P256>, KeyError> {
        match &self.0 {
            Kind::EcPrivate(key) => key.public().map_err(|_| KeyError::Unavailable),
            Kind::EcPublic(key) => Ok(*key),
            _ => Err(KeyError::Algorithm),
        }
    }

    /// Decrypts whole blocks in place, from an ICV of zeros if they are chained.
    pub(super) fn decrypt(&self, chaining: Chaining, data: &mut [u8]) -> Result<(), KeyError> {
        let decrypted = match (self.clear()?.0, chaining) {
            (KeyType::Aes, Chaining::Ecb) => self.to_aes()?.decrypt_ecb(data),
            (KeyType::Aes, Chaining::Cbc) => self.to_aes()?.decrypt_cbc(&[0; 16], data),
            (_, Chaining::Ecb) => self.to_des()?.decrypt_ecb(data),
            (_, Chaining::Cbc) => self.to_des()?.decrypt_cbc(&[0; 8], data),
        };
        decrypted.map_err(|_| KeyError::TooLong)
    }

    pub(super) fn decrypt_des_block(&self, block: &[u8; 8]) -> Result<Zeroizing<[u8; 8]>, KeyError> {
        Ok(Zeroizing::new(self.to_des()?.decrypt_block(block)))
    }

    /// Writes the key data field of PUT KEY; returns its length.
    pub(super) fn put(
        &self,
        session: &Session,
        key_type: KeyType,
        out: &mut [u8],
    ) -> Result<usize, KeyError> {
        let len = match (&self.0, key_type) {
            (Kind::Symmetric { key_type: KeyType::Des, .. }, KeyType::Des)
            | (Kind::Symmetric { key_type: KeyType::Aes, .. }, KeyType::Aes | KeyType::Psk) => {
                let (_, clear) = self.clear()?;
                let check_value = key_type.check_value(clear).ok_or(KeyError::Algorithm)?;
                let mut block = Zeroizing::new([0; 32]);
                let block = session.wrapped(clear, &mut block)?;
                // No length goes before a DES key that would tell where padding begins.
                if key_type == KeyType::Des && block.len() != clear.len() {
                    return Err(KeyError::Algorithm);
                }
                put_key::put_field(out, 0, key_type, clear.len(), block, &check_value)
            }
            (Kind::RsaPrivate(key), KeyType::RsaPublic) => put_rsa(key.public(), out),
            (Kind::RsaPublic(key), KeyType::RsaPublic) => put_rsa(key, out),
            (Kind::EcPrivate(key), KeyType::EccPublic) => {
                put_ecc(&key.public().map_err(|_| KeyError::Unavailable)?, out)
            }
            (Kind::EcPublic(key), KeyType::EccPublic) => put_ecc(key, out),
            _ => return Err(KeyError::Algorithm),
        };
        len.ok_or(KeyError::Full)
    }

    /// A signature in the scheme of the key. [GPC C.1, C.4]
    pub(super) fn sign<'o>(
        &self,
        message: &[u8],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        match &self.0 {
            Kind::Symmetric { .. } => {
                let (key_type, key) = self.clear()?;
                let signature = token::symmetric(key_type, key, &[message]).ok_or(KeyError::Algorithm)?;
                let out = out.get_mut(..signature.len()).ok_or(KeyError::Full)?;
                out.copy_from_slice(&signature);
                Ok(out)
            }
            Kind::RsaPrivate(key) => {
                let out = out.get_mut(..key.modulus_len()).ok_or(KeyError::Full)?;
                token::sign_rsa(key, &[message], random, out).map_err(|_| KeyError::Unavailable)
            }
            Kind::EcPrivate(key) => {
                let out = out.get_mut(..token::ECDSA_LEN).ok_or(KeyError::Full)?;
                token::sign_ecdsa(key, &[message], out).map_err(|_| KeyError::Unavailable)?;
                Ok(out)
            }
            Kind::RsaPublic(_) | Kind::EcPublic(_) => Err(KeyError::Algorithm),
        }
    }

    /// Checks a signature in the scheme of the key; a private key knows its public one.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let good = match &self.0 {
            Kind::Symmetric { .. } => {
                let (key_type, key) = self.clear()?;
                let expected = token::symmetric(key_type, key, &[message]).ok_or(KeyError::Algorithm)?;
                ct_eq(&expected, signature)
            }
            Kind::RsaPrivate(key) => token::verify_rsa(key.public(), &[message], signature).is_ok(),
            Kind::RsaPublic(key) => token::verify_rsa(key, &[message], signature).is_ok(),
            Kind::EcPrivate(key) => {
                let key = key.public().map_err(|_| KeyError::Unavailable)?;
                token::verify_ecdsa(&key, &[message], signature).is_ok()
            }
            Kind::EcPublic(key) => token::verify_ecdsa(key, &[message], signature).is_ok(),
        };
        if good { Ok(()) } else { Err(KeyError::Signature) }
    }
}

fn put_rsa(key: &RsaPublic, out: &mut [u8]) -> Option<usize> {
    let exponent = key.exponent().to_be_bytes();
    let zeros = exponent.iter().take_while(|&&byte| byte == 0).count();
    put_key::put_rsa_field(out, 0, key.modulus(), exponent.get(zeros..)?)
}

fn put_ecc(key: &EcPublic<P256>, out: &mut [u8]) -> Option<usize> {
    put_key::put_ecc_field(out, 0, key.as_bytes(), put_key::CURVE_P256)
}
