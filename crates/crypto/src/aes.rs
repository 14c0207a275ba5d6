//! AES keys.

use cipher::array::Array;
use cipher::consts::U16;
use cipher::{BlockCipherDecClosure, BlockCipherDecrypt, BlockCipherEncClosure, BlockCipherEncrypt, KeyInit};

use crate::CryptoError;
use crate::block::{Cipher, block_key};

/// An AES-128, -192 or -256 key, expanded.
#[derive(Clone)]
pub struct Aes(pub(crate) Expanded);

/// The three key lengths as the cipher crate has them.
#[derive(Clone)]
pub(crate) enum Expanded {
    Aes128(::aes::Aes128),
    Aes192(::aes::Aes192),
    Aes256(::aes::Aes256),
}

impl Aes {
    /// Expands a key of 16, 24 or 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, CryptoError> {
        if let Ok(key) = <&[u8; 16]>::try_from(key) {
            Ok(key.into())
        } else if let Ok(key) = <&[u8; 24]>::try_from(key) {
            Ok(key.into())
        } else {
            <&[u8; 32]>::try_from(key).map(Self::from).map_err(|_| CryptoError)
        }
    }

    /// Key length in bytes: 16, 24 or 32.
    pub const fn key_len(&self) -> usize {
        match &self.0 {
            Expanded::Aes128(_) => 16,
            Expanded::Aes192(_) => 24,
            Expanded::Aes256(_) => 32,
        }
    }
}

/// Expands a key of 16 bytes. An expanded key is a kilobyte: built in place, as here, it is not moved.
impl From<&[u8; 16]> for Aes {
    #[inline]
    fn from(key: &[u8; 16]) -> Self {
        Self(Expanded::Aes128(::aes::Aes128::new(Array::cast_from_core(key))))
    }
}

/// Expands a key of 24 bytes.
impl From<&[u8; 24]> for Aes {
    #[inline]
    fn from(key: &[u8; 24]) -> Self {
        Self(Expanded::Aes192(::aes::Aes192::new(Array::cast_from_core(key))))
    }
}

/// Expands a key of 32 bytes.
impl From<&[u8; 32]> for Aes {
    #[inline]
    fn from(key: &[u8; 32]) -> Self {
        Self(Expanded::Aes256(::aes::Aes256::new(Array::cast_from_core(key))))
    }
}

impl Cipher for Aes {
    type Size = U16;
    #[inline]
    fn encrypt_with(&self, f: impl BlockCipherEncClosure<BlockSize = U16>) {
        match &self.0 {
            Expanded::Aes128(key) => key.encrypt_with_backend(f),
            Expanded::Aes192(key) => key.encrypt_with_backend(f),
            Expanded::Aes256(key) => key.encrypt_with_backend(f),
        }
    }
    #[inline]
    fn decrypt_with(&self, f: impl BlockCipherDecClosure<BlockSize = U16>) {
        match &self.0 {
            Expanded::Aes128(key) => key.decrypt_with_backend(f),
            Expanded::Aes192(key) => key.decrypt_with_backend(f),
            Expanded::Aes256(key) => key.decrypt_with_backend(f),
        }
    }
}

block_key!(Aes, 16, kcv over 0x01);
