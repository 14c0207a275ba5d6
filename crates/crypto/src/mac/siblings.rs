//! CMACs under one key of messages that differ in their first block only, side by side: what one SCP03 derivation needs.

use cipher::consts::U16;
use cipher::typenum::Unsigned;
use cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser, ParBlocks, ParBlocksSizeUser};
use zeroize::Zeroize;

use super::chain::double;
use crate::block::{Block16, xor};

/// Messages of one pass at most: two AES-256 keys are four.
const MOST: usize = 7;

/// The first blocks, and the block of zeros whose cipher the subkeys come from.
pub(crate) struct Siblings<'a> {
    /// Zeros, then the first blocks; afterwards the MACs stand in their place.
    blocks: &'a mut [Block16],
    /// What follows in every message, at least one byte.
    rest: &'a [u8],
}

/// Room for the blocks, wiped on drop: keys are derived here.
pub(crate) struct Room([Block16; 1 + MOST]);

impl Room {
    pub(crate) fn new() -> Self {
        Self([Block16::default(); 1 + MOST])
    }

    /// The first blocks of the messages, and the MACs later.
    pub(crate) fn messages(&mut self) -> &mut [Block16] {
        let [_, messages @ ..] = &mut self.0;
        messages
    }

    /// The MACs of the first `n` messages with `rest` behind each; `None` where there is no room or no rest.
    pub(crate) fn siblings<'a>(&'a mut self, n: usize, rest: &'a [u8]) -> Option<Siblings<'a>> {
        let blocks = self.0.get_mut(..n.checked_add(1)?)?;
        if rest.is_empty() { None } else { Some(Siblings { blocks, rest }) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        Block16::slice_as_flattened_mut(&mut self.0).zeroize();
    }
}

impl BlockSizeUser for Siblings<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Siblings<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self { blocks, rest } = self;
        encrypt(backend, blocks);
        let [subkey, macs @ ..] = blocks else { return };
        let (whole, tail) = Block16::slice_as_chunks(rest);
        // [SP 800-38B 6.1, 6.2] K1 for a last block that is whole, K2 for one padded with 80 00 ..
        let mut subkey = double(*subkey);
        let (whole, mut last) = match (whole, tail) {
            ([whole @ .., last], []) => (whole, *last),
            _ => {
                let mut last = Block16::default();
                last.iter_mut().zip(tail.iter().chain([&0x80])).for_each(|(to, from)| *to = *from);
                subkey = double(subkey);
                (whole, last)
            }
        };
        xor(&mut last, &subkey);
        for block in whole.iter().chain([&last]) {
            macs.iter_mut().for_each(|mac| xor(mac, block));
            encrypt(backend, macs);
        }
    }
}

/// Encrypts blocks that do not depend on each other. Wide backends take more blocks at a time than there are here, and are not asked to.
#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &mut [Block16]) {
    let mut rest = blocks;
    if <B as ParBlocksSizeUser>::ParBlocksSize::USIZE <= MOST {
        let (wide, narrow) = ParBlocks::<B>::slice_as_chunks_mut(rest);
        wide.iter_mut().for_each(|blocks| backend.encrypt_par_blocks_inplace(blocks));
        rest = narrow;
    }
    rest.iter_mut().for_each(|block| backend.encrypt_block_inplace(block));
}
