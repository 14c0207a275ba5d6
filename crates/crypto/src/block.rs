//! What every block cipher key does, and the modes over the raw ciphers.

use cipher::array::{Array, ArraySize};
use cipher::consts::U16;
use cipher::{
    BlockCipherDecBackend, BlockCipherDecClosure, BlockCipherEncBackend, BlockCipherEncClosure,
    BlockSizeUser, ParBlocks,
};

use crate::CryptoError;
use crate::mac::Step;

/// A block cipher with its key length left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Single DES, 8-byte key.
    Des,
    /// Triple DES, 16- or 24-byte key.
    Tdes,
    /// AES, 16-, 24- or 32-byte key.
    Aes,
    /// SM4, 16-byte key.
    Sm4,
}

impl Algorithm {
    /// Block length in bytes: 8 or 16.
    pub const fn block_len(self) -> usize {
        match self {
            Self::Des | Self::Tdes => 8,
            Self::Aes | Self::Sm4 => 16,
        }
    }
}

/// An expanded block cipher key.
///
/// ```
/// use huiwan_crypto::{Aes, BlockKey};
/// let key = Aes::new(&[0x40; 16])?;
/// let mut data = *b"sixteen  bytes..";
/// key.encrypt_cbc(&[0; 16], &mut data)?;
/// key.decrypt_cbc(&[0; 16], &mut data)?;
/// assert_eq!(&data, b"sixteen  bytes..");
/// # Ok::<(), huiwan_crypto::CryptoError>(())
/// ```
pub trait BlockKey {
    /// Block length in bytes: 8 or 16.
    fn block_len(&self) -> usize;

    /// Encrypts whole blocks in place, each for itself.
    ///
    /// # Errors
    /// [`CryptoError`] when `data` is not a whole number of blocks; it is then unchanged.
    fn encrypt_ecb(&self, data: &mut [u8]) -> Result<(), CryptoError>;

    /// Decrypts whole blocks in place, each for itself.
    ///
    /// # Errors
    /// [`CryptoError`] when `data` is not a whole number of blocks; it is then unchanged.
    fn decrypt_ecb(&self, data: &mut [u8]) -> Result<(), CryptoError>;

    /// Encrypts whole blocks in place, chained from `iv` (one block).
    ///
    /// # Errors
    /// [`CryptoError`] when `data` is not a whole number of blocks or `iv` not one block; `data` is then unchanged.
    fn encrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;

    /// Decrypts whole blocks in place, chained from `iv` (one block).
    ///
    /// # Errors
    /// [`CryptoError`] when `data` is not a whole number of blocks or `iv` not one block; `data` is then unchanged.
    fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError>;

    /// The key check value as the field computes it for this cipher: the first three bytes of one encrypted block,
    /// of zeros for DES, 3DES and SM4, of `01` for AES [GPC B.6].
    fn kcv(&self) -> [u8; 3];

    /// The first three bytes of one encrypted block of `byte`.
    fn kcv_over(&self, byte: u8) -> [u8; 3];

    /// Runs one step of a CBC-MAC chain; only [`mac`](crate::mac) makes steps.
    fn mac_step(&self, step: Step<'_>);
}

/// What the modes below need of a raw cipher. Another implementation underneath implements this and nothing else.
pub(crate) trait Cipher {
    /// Block size.
    type Size: ArraySize;
    /// Hands the encryption backend to `f`, once for a whole message.
    fn encrypt_with(&self, f: impl BlockCipherEncClosure<BlockSize = Self::Size>);
    /// Hands the decryption backend to `f`, once for a whole message.
    fn decrypt_with(&self, f: impl BlockCipherDecClosure<BlockSize = Self::Size>);
}

/// `to ^= with`. Over a copy of `with`: knowing that the two cannot overlap, the compiler makes it one instruction.
#[inline(always)]
pub(crate) fn xor<N: ArraySize>(to: &mut Array<u8, N>, with: &Array<u8, N>) {
    let with = with.clone();
    for (to, with) in to.iter_mut().zip(&with) {
        *to ^= with;
    }
}

/// Copies the length of the shorter.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
}

fn whole_blocks<N: ArraySize>(data: &mut [u8]) -> Result<&mut [Array<u8, N>], CryptoError> {
    match Array::slice_as_chunks_mut(data) {
        (blocks, []) => Ok(blocks),
        _ => Err(CryptoError),
    }
}

fn one_block<N: ArraySize>(iv: &[u8]) -> Result<&Array<u8, N>, CryptoError> {
    Array::slice_as_array(iv).ok_or(CryptoError)
}

struct Ecb<'a, N: ArraySize> {
    blocks: &'a mut [Array<u8, N>],
}

impl<N: ArraySize> BlockSizeUser for Ecb<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherEncClosure for Ecb<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        let (wide, rest) = ParBlocks::<B>::slice_as_chunks_mut(self.blocks);
        for blocks in wide {
            backend.encrypt_par_blocks_inplace(blocks);
        }
        for block in rest {
            backend.encrypt_block_inplace(block);
        }
    }
}

impl<N: ArraySize> BlockCipherDecClosure for Ecb<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = N>>(self, backend: &B) {
        let (wide, rest) = ParBlocks::<B>::slice_as_chunks_mut(self.blocks);
        for blocks in wide {
            backend.decrypt_par_blocks_inplace(blocks);
        }
        for block in rest {
            backend.decrypt_block_inplace(block);
        }
    }
}

struct Cbc<'a, N: ArraySize> {
    iv: &'a Array<u8, N>,
    blocks: &'a mut [Array<u8, N>],
}

impl<N: ArraySize> BlockSizeUser for Cbc<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherEncClosure for Cbc<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        let mut chain = self.iv.clone();
        for block in self.blocks {
            xor(&mut chain, block);
            backend.encrypt_block_inplace(&mut chain);
            block.copy_from_slice(&chain);
        }
    }
}

impl<N: ArraySize> BlockCipherDecClosure for Cbc<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = N>>(self, backend: &B) {
        let mut chain = self.iv.clone();
        let (wide, rest) = ParBlocks::<B>::slice_as_chunks_mut(self.blocks);
        for blocks in wide {
            let mut plain = blocks.clone();
            backend.decrypt_par_blocks_inplace(&mut plain);
            for (block, mut plain) in blocks.iter_mut().zip(plain) {
                xor(&mut plain, &chain);
                chain.copy_from_slice(block);
                block.copy_from_slice(&plain);
            }
        }
        for block in rest {
            let mut plain = block.clone();
            backend.decrypt_block_inplace(&mut plain);
            xor(&mut plain, &chain);
            chain.copy_from_slice(block);
            block.copy_from_slice(&plain);
        }
    }
}

struct One<'a, N: ArraySize>(&'a mut Array<u8, N>);

impl<N: ArraySize> BlockSizeUser for One<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherEncClosure for One<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        backend.encrypt_block_inplace(self.0);
    }
}

impl<N: ArraySize> BlockCipherDecClosure for One<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherDecBackend<BlockSize = N>>(self, backend: &B) {
        backend.decrypt_block_inplace(self.0);
    }
}

pub(crate) fn encrypt_one<C: Cipher>(cipher: &C, block: &mut Array<u8, C::Size>) {
    cipher.encrypt_with(One(block));
}

pub(crate) fn decrypt_one<C: Cipher>(cipher: &C, block: &mut Array<u8, C::Size>) {
    cipher.decrypt_with(One(block));
}

pub(crate) fn encrypt_ecb<C: Cipher>(cipher: &C, data: &mut [u8]) -> Result<(), CryptoError> {
    let blocks = whole_blocks(data)?;
    cipher.encrypt_with(Ecb { blocks });
    Ok(())
}

pub(crate) fn decrypt_ecb<C: Cipher>(cipher: &C, data: &mut [u8]) -> Result<(), CryptoError> {
    let blocks = whole_blocks(data)?;
    cipher.decrypt_with(Ecb { blocks });
    Ok(())
}

pub(crate) fn encrypt_cbc<C: Cipher>(cipher: &C, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
    let (iv, blocks) = (one_block(iv)?, whole_blocks(data)?);
    cipher.encrypt_with(Cbc { iv, blocks });
    Ok(())
}

pub(crate) fn decrypt_cbc<C: Cipher>(cipher: &C, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
    let (iv, blocks) = (one_block(iv)?, whole_blocks(data)?);
    cipher.decrypt_with(Cbc { iv, blocks });
    Ok(())
}

pub(crate) fn kcv_over<C: Cipher>(cipher: &C, byte: u8) -> [u8; 3] {
    let mut block = Array::<u8, C::Size>::from_fn(|_| byte);
    encrypt_one(cipher, &mut block);
    let mut kcv = [0; 3];
    for (k, b) in kcv.iter_mut().zip(&block) {
        *k = *b;
    }
    kcv
}

/// Implements [`BlockKey`] and the inherent single-block calls over a [`Cipher`].
macro_rules! block_key {
    ($name:ident, $len:literal, kcv over $kcv:literal) => {
        impl $name {
            /// Encrypts one block.
            pub fn encrypt_block(&self, block: &[u8; $len]) -> [u8; $len] {
                let mut block = cipher::Array::from(*block);
                $crate::block::encrypt_one(self, &mut block);
                block.into()
            }

            /// Decrypts one block.
            pub fn decrypt_block(&self, block: &[u8; $len]) -> [u8; $len] {
                let mut block = cipher::Array::from(*block);
                $crate::block::decrypt_one(self, &mut block);
                block.into()
            }
        }

        impl $crate::BlockKey for $name {
            fn block_len(&self) -> usize {
                $len
            }
            fn encrypt_ecb(&self, data: &mut [u8]) -> Result<(), $crate::CryptoError> {
                $crate::block::encrypt_ecb(self, data)
            }
            fn decrypt_ecb(&self, data: &mut [u8]) -> Result<(), $crate::CryptoError> {
                $crate::block::decrypt_ecb(self, data)
            }
            fn encrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), $crate::CryptoError> {
                $crate::block::encrypt_cbc(self, iv, data)
            }
            fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), $crate::CryptoError> {
                $crate::block::decrypt_cbc(self, iv, data)
            }
            fn kcv(&self) -> [u8; 3] {
                $crate::block::kcv_over(self, $kcv)
            }
            fn kcv_over(&self, byte: u8) -> [u8; 3] {
                $crate::block::kcv_over(self, byte)
            }
            fn mac_step(&self, step: $crate::mac::Step<'_>) {
                step.run(self);
            }
        }

        /// Redacted: the key is never printed.
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        /// The expanded key inside is wiped by the cipher crate.
        impl zeroize::ZeroizeOnDrop for $name {}
    };
}
pub(crate) use block_key;

/// A 16-byte block in the form the ciphers take.
pub(crate) type Block16 = Array<u8, U16>;
