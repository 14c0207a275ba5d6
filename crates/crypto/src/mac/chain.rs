//! The CBC-MAC chain all MACs are made of.

use core::fmt;

use cipher::array::{Array, ArraySize};
use cipher::consts::U16;
use cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Padding;
use crate::block::{Block16, Cipher, copy, xor};
use crate::kdf::Derivation;

/// A CBC-MAC under way: the chaining value, and up to one block held back until more or the end comes.
///
/// Blocks are kept as integers in memory order, wiped at one stroke; of 8-byte blocks the first half is used.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Chain {
    state: u128,
    held: u128,
    held_len: usize,
}

impl Chain {
    /// A chain from `iv`; shorter than the block: filled up with zeros.
    #[inline]
    pub(super) fn new(iv: &[u8]) -> Self {
        let mut state = [0; 16];
        copy(&mut state, iv);
        Self { state: u128::from_ne_bytes(state), held: 0, held_len: 0 }
    }

    pub(super) fn held_len(&self) -> usize {
        self.held_len
    }

    pub(super) fn into_state(self) -> [u8; 16] {
        self.state.to_ne_bytes()
    }

    pub(super) fn into_half(self) -> [u8; 8] {
        let [s0, s1, s2, s3, s4, s5, s6, s7, ..] = self.into_state();
        [s0, s1, s2, s3, s4, s5, s6, s7]
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain(..)")
    }
}

/// What ends a step.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// More will come.
    Continue,
    /// Pad the block held back, add it and encrypt: algorithm 1.
    Encrypt(Padding),
    /// Pad the block held back and add it; the caller encrypts: algorithm 3.
    Xor(Padding),
    /// Pad the block held back as CMAC does, add it and the subkey, encrypt.
    Cmac,
}

/// One step of a MAC: pieces of the message to take in, and what comes after them.
pub struct Step<'a> {
    chain: &'a mut Chain,
    parts: &'a [&'a [u8]],
    end: End,
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step(..)")
    }
}

impl<'a> Step<'a> {
    #[inline]
    pub(super) fn new(chain: &'a mut Chain, parts: &'a [&'a [u8]], end: End) -> Self {
        Self { chain, parts, end }
    }

    #[inline]
    pub(crate) fn run<C: Cipher>(self, cipher: &C) {
        cipher.encrypt_with(Sized { step: self, size: core::marker::PhantomData::<C::Size> });
    }
}

/// A step with its block size, as the cipher's backend takes it.
struct Sized<'a, N: ArraySize> {
    step: Step<'a>,
    size: core::marker::PhantomData<N>,
}

impl<N: ArraySize> BlockSizeUser for Sized<'_, N> {
    type BlockSize = N;
}

impl<N: ArraySize> BlockCipherEncClosure for Sized<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = N>>(self, backend: &B) {
        let Step { chain, parts, end } = self.step;
        // The subkey does not depend on the message: asked for first, it is computed beside the first block.
        let mut subkey = Array::<u8, N>::default();
        if let End::Cmac = end {
            backend.encrypt_block_inplace(&mut subkey);
        }
        let mut running = Running::<N>::load(chain);
        for part in parts {
            running.absorb(backend, part);
        }
        running.end(backend, end, subkey);
        running.store(chain);
    }
}

impl BlockSizeUser for Derivation<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Derivation<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self { before, counter_at, after, outputs } = self;
        let mut subkey = Block16::default();
        backend.encrypt_block_inplace(&mut subkey);
        for (label, out) in outputs {
            for (i, block) in (1u32..).zip(out.chunks_mut(16)) {
                let mut running = Running::empty();
                for part in before {
                    running.absorb(backend, part);
                }
                let counter = i.to_be_bytes();
                match label {
                    // Label and counter are one block.
                    Some(label) => {
                        let [.., low] = counter;
                        let mut first = Block16::default();
                        first.iter_mut().zip(label.iter().chain([&low])).for_each(|(to, from)| *to = *from);
                        running.absorb(backend, &first);
                    }
                    None => running.absorb(backend, counter.get(counter_at..).unwrap_or_default()),
                }
                for part in after {
                    running.absorb(backend, part);
                }
                running.end(backend, End::Cmac, subkey);
                copy(block, &running.state);
            }
        }
    }
}

/// A chain in the cipher's own block type.
///
/// On a host everything is inlined into the cipher's backend, so that its instructions are; on bare metal flash counts.
pub(super) struct Running<N: ArraySize> {
    state: Array<u8, N>,
    held: Array<u8, N>,
    held_len: usize,
}

impl<N: ArraySize> Running<N> {
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn empty() -> Self {
        Self { state: Array::default(), held: Array::default(), held_len: 0 }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn load(chain: &Chain) -> Self {
        let mut this = Self { held_len: chain.held_len, ..Self::empty() };
        copy(&mut this.state, &chain.state.to_ne_bytes());
        copy(&mut this.held, &chain.held.to_ne_bytes());
        this
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn store(&self, chain: &mut Chain) {
        let (mut state, mut held) = ([0; 16], [0; 16]);
        copy(&mut state, &self.state);
        copy(&mut held, &self.held);
        chain.state = u128::from_ne_bytes(state);
        chain.held = u128::from_ne_bytes(held);
        chain.held_len = self.held_len;
    }

    /// Takes in one block that is known not to be the last, while nothing is held back.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn block<B: BlockCipherEncBackend<BlockSize = N>>(
        &mut self,
        backend: &B,
        block: &Array<u8, N>,
    ) {
        let mut state = self.state.clone();
        xor(&mut state, block);
        backend.encrypt_block_inplace(&mut state);
        self.state = state;
    }

    /// How many bytes are missing to a whole block held back; none when nothing is held.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn missing(&self) -> usize {
        if self.held_len == 0 { 0 } else { N::USIZE.saturating_sub(self.held_len) }
    }

    /// Takes in the block held back, if it is whole: it is known not to be the last.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn release<B: BlockCipherEncBackend<BlockSize = N>>(&mut self, backend: &B) {
        if self.held_len == N::USIZE {
            let held = self.held.clone();
            self.block(backend, &held);
            self.held_len = 0;
        }
    }

    /// Takes bytes in; the last block, whole or not, is held back.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn absorb<B: BlockCipherEncBackend<BlockSize = N>>(&mut self, backend: &B, part: &[u8]) {
        let mut rest = part;
        if self.held_len > 0 {
            let Some((_, room)) = self.held.split_at_mut_checked(self.held_len) else { return };
            let (head, more) = rest.split_at_checked(room.len()).unwrap_or((rest, &[]));
            copy(room, head);
            if more.is_empty() {
                self.held_len = self.held_len.saturating_add(head.len());
                return;
            }
            let held = self.held.clone();
            self.block(backend, &held);
            rest = more;
        }
        let (blocks, tail) = Array::<u8, N>::slice_as_chunks(rest);
        let (blocks, last) = match (blocks, tail) {
            ([blocks @ .., last], []) => (blocks, last.as_slice()),
            _ => (blocks, tail),
        };
        for block in blocks {
            self.block(backend, block);
        }
        match Array::slice_as_array(last) {
            Some(whole) => self.held.clone_from(whole),
            None => copy(&mut self.held, last),
        }
        self.held_len = last.len();
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn end<B: BlockCipherEncBackend<BlockSize = N>>(
        &mut self,
        backend: &B,
        end: End,
        subkey: Array<u8, N>,
    ) {
        match end {
            End::Continue => {}
            End::Encrypt(padding) => {
                self.pad_and_add(backend, padding);
                backend.encrypt_block_inplace(&mut self.state);
            }
            End::Xor(padding) => self.pad_and_add(backend, padding),
            End::Cmac => {
                // [SP 800-38B 6.1, 6.2] K1 for a last block that is whole, K2 for one padded with 80 00 ..
                let mut subkey = double(subkey);
                if self.held_len < N::USIZE {
                    subkey = double(subkey);
                    self.mark_end();
                }
                xor(&mut self.state, &subkey);
                let held = self.held.clone();
                self.block(backend, &held);
            }
        }
    }

    /// Adds the last block, padded, to the state.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn pad_and_add<B: BlockCipherEncBackend<BlockSize = N>>(&mut self, backend: &B, padding: Padding) {
        match padding {
            Padding::Method2 => {
                self.release(backend);
                self.mark_end();
            }
            Padding::Method1 | Padding::None => self.clear_from_end(),
        }
        xor(&mut self.state, &self.held);
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn clear_from_end(&mut self) {
        for byte in self.held.iter_mut().skip(self.held_len) {
            *byte = 0;
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn mark_end(&mut self) {
        self.clear_from_end();
        if let Some(byte) = self.held.get_mut(self.held_len) {
            *byte = 0x80;
        }
    }
}

/// Doubling in GF(2^128) [SP 800-38B 6.1]: a shift, and the constant for the bit shifted out, in constant time.
/// CMAC is made for 16-byte blocks only; any other is returned as it is.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn double<N: ArraySize>(mut block: Array<u8, N>) -> Array<u8, N> {
    if let Ok(block) = <&mut [u8; 16]>::try_from(block.as_mut_slice()) {
        let bits = u128::from_be_bytes(*block);
        let carry = 0u128.wrapping_sub(bits >> 127);
        *block = ((bits << 1) ^ (0x87 & carry)).to_be_bytes();
    }
    block
}
