//! DES and triple DES keys.

use cipher::consts::{U1, U8};
use cipher::{
    Array, Block, BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockSizeUser, InOut, KeyInit, ParBlocksSizeUser,
};

use crate::block::{Cipher, block_key};

/// A single DES key, expanded. Parity bits are ignored.
#[derive(Clone)]
pub struct Des(::des::Des);

impl Des {
    /// Expands an 8-byte key.
    pub fn new(key: &[u8; 8]) -> Self {
        Self(::des::Des::new(Array::cast_from_core(key)))
    }
}

impl Cipher for Des {
    type Size = U8;
    fn encrypt_with(&self, f: impl BlockCipherEncClosure<BlockSize = U8>) {
        f.call(&self.0);
    }
    fn decrypt_with(&self, f: impl BlockCipherDecClosure<BlockSize = U8>) {
        f.call(&self.0);
    }
}

block_key!(Des, 8, kcv over 0x00);

/// A two- or three-key triple DES key (encrypt, decrypt, encrypt), expanded. Parity bits are ignored.
#[derive(Clone)]
pub struct Tdes {
    first: Des,
    second: ::des::Des,
    third: ::des::Des,
}

impl Tdes {
    /// Expands a 16-byte key: left half, right half, left half again.
    pub fn new2(key: &[u8; 16]) -> Self {
        let [k0, k1, k2, k3, k4, k5, k6, k7, right @ ..] = *key;
        let first = ::des::Des::new(&Array([k0, k1, k2, k3, k4, k5, k6, k7]));
        let second = ::des::Des::new(&Array(right));
        Self { third: first.clone(), first: Des(first), second }
    }

    /// Expands a 24-byte key.
    pub fn new3(key: &[u8; 24]) -> Self {
        let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, k12, k13, k14, k15, third @ ..] = *key;
        Self {
            first: Des::new(&[k0, k1, k2, k3, k4, k5, k6, k7]),
            second: ::des::Des::new(&Array([k8, k9, k10, k11, k12, k13, k14, k15])),
            third: ::des::Des::new(&Array(third)),
        }
    }

    /// The first component as a key of its own: the retail MAC chains all blocks but the last with it, and SCP02 encrypts its chaining
    /// values.
    pub const fn first(&self) -> &Des {
        &self.first
    }
}

impl BlockSizeUser for Tdes {
    type BlockSize = U8;
}

impl ParBlocksSizeUser for Tdes {
    type ParBlocksSize = U1;
}

impl BlockCipherEncBackend for Tdes {
    #[inline]
    fn encrypt_block(&self, mut block: InOut<'_, '_, Block<Self>>) {
        BlockCipherEncBackend::encrypt_block(&self.first.0, block.reborrow());
        let block = block.get_out();
        self.second.decrypt_block_inplace(block);
        self.third.encrypt_block_inplace(block);
    }
}

impl BlockCipherDecBackend for Tdes {
    #[inline]
    fn decrypt_block(&self, mut block: InOut<'_, '_, Block<Self>>) {
        BlockCipherDecBackend::decrypt_block(&self.third, block.reborrow());
        let block = block.get_out();
        self.second.encrypt_block_inplace(block);
        self.first.0.decrypt_block_inplace(block);
    }
}

impl Cipher for Tdes {
    type Size = U8;
    fn encrypt_with(&self, f: impl BlockCipherEncClosure<BlockSize = U8>) {
        f.call(self);
    }
    fn decrypt_with(&self, f: impl BlockCipherDecClosure<BlockSize = U8>) {
        f.call(self);
    }
}

block_key!(Tdes, 8, kcv over 0x00);
