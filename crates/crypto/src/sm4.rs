//! SM4 keys.

use cipher::consts::U16;
use cipher::{Array, BlockCipherDecClosure, BlockCipherEncClosure, KeyInit};

use crate::block::{Cipher, block_key};

/// An SM4 key [GB/T 32907], expanded.
#[derive(Clone)]
pub struct Sm4(::sm4::Sm4);

impl Sm4 {
    /// Expands a 16-byte key.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(::sm4::Sm4::new(Array::cast_from_core(key)))
    }
}

impl Cipher for Sm4 {
    type Size = U16;
    fn encrypt_with(&self, f: impl BlockCipherEncClosure<BlockSize = U16>) {
        f.call(&self.0);
    }
    fn decrypt_with(&self, f: impl BlockCipherDecClosure<BlockSize = U16>) {
        f.call(&self.0);
    }
}

block_key!(Sm4, 16, kcv over 0x00);
