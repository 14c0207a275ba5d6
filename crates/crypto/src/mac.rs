//! MACs over several slices, one-shot and streaming: ISO/IEC 9797-1 algorithm 1 (CBC-MAC) and algorithm 3
//! (the "retail MAC"), and CMAC [NIST SP 800-38B].
//!
//! One body computes them all: a CBC-MAC chain that holds its last block back, since the padding, the subkey of CMAC
//! and the second key of algorithm 3 act on the last block only. A one-shot MAC is one step of that chain, so the
//! cipher's backend is entered once for a whole message.

mod chain;
mod scp03;
pub(crate) mod siblings;

use crate::block::Cipher;
use crate::kdf::Derivation;
use crate::{Aes, BlockKey, CryptoError, Des, Sm4, Tdes};

use chain::{Chain, End};
use siblings::Siblings;

pub use chain::Step;
pub use scp03::encrypt_then_cmac;

/// How the last block is filled [ISO/IEC 9797-1 6.3].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Method 1: as few zeros as needed, none if the message ends with a block; an empty message is a block of zeros.
    Method1,
    /// Method 2: always `80`, then as few zeros as needed.
    Method2,
    /// The message is whole blocks, at least one. Where a function cannot fail, any other message is padded by
    /// [`Padding::Method1`].
    None,
}

fn total(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.len()))
}

/// ISO/IEC 9797-1 MAC algorithm 1 (CBC-MAC) under any block key; the first `block_len` bytes are the MAC, the rest 0.
///
/// # Errors
/// [`CryptoError`] when `iv` is not one block, or with [`Padding::None`] the message not whole blocks.
pub fn alg1<K: BlockKey>(
    key: &K,
    iv: &[u8],
    parts: &[&[u8]],
    padding: Padding,
) -> Result<[u8; 16], CryptoError> {
    let block = key.block_len();
    let len = total(parts);
    if iv.len() != block || (padding == Padding::None && (len == 0 || !len.is_multiple_of(block))) {
        return Err(CryptoError);
    }
    let mut chain = Chain::new(iv);
    key.mac_step(Step::new(&mut chain, parts, End::Encrypt(padding)));
    Ok(chain.into_state())
}

/// Algorithm 1 under single DES.
pub fn alg1_des(key: &Des, iv: &[u8; 8], parts: &[&[u8]], padding: Padding) -> [u8; 8] {
    let mut chain = Chain::new(iv);
    Step::new(&mut chain, parts, End::Encrypt(padding)).run(key);
    chain.into_half()
}

/// Algorithm 1 under triple DES.
pub fn alg1_tdes(key: &Tdes, iv: &[u8; 8], parts: &[&[u8]], padding: Padding) -> [u8; 8] {
    let mut chain = Chain::new(iv);
    Step::new(&mut chain, parts, End::Encrypt(padding)).run(key);
    chain.into_half()
}

/// Algorithm 1 under SM4.
pub fn alg1_sm4(key: &Sm4, iv: &[u8; 16], parts: &[&[u8]], padding: Padding) -> [u8; 16] {
    let mut chain = Chain::new(iv);
    Step::new(&mut chain, parts, End::Encrypt(padding)).run(key);
    chain.into_state()
}

/// ISO/IEC 9797-1 MAC algorithm 3, the retail MAC: single DES under the first component of the key for all blocks but
/// the last, triple DES for the last.
pub fn alg3(key: &Tdes, iv: &[u8; 8], parts: &[&[u8]], padding: Padding) -> [u8; 8] {
    let mut mac = Alg3::new(key, iv, padding);
    mac.chain_parts(parts, End::Xor(padding));
    mac.last_block()
}

/// CMAC under AES [NIST SP 800-38B, RFC 4493].
pub fn cmac(key: &Aes, parts: &[&[u8]]) -> [u8; 16] {
    let mut chain = Chain::new(&[]);
    Step::new(&mut chain, parts, End::Cmac).run(key);
    chain.into_state()
}

/// Derives keys by CMAC.
pub(crate) fn derive(key: &Aes, derivation: Derivation<'_, '_>) {
    key.encrypt_with(derivation);
}

/// Computes CMACs side by side.
pub(crate) fn cmac_siblings(key: &Aes, siblings: Siblings<'_>) {
    key.encrypt_with(siblings);
}

/// Streaming [`alg1`].
#[derive(Clone, Debug)]
pub struct Alg1<'k, K: BlockKey> {
    key: &'k K,
    chain: Chain,
    padding: Padding,
}

impl<'k, K: BlockKey> Alg1<'k, K> {
    /// Starts a MAC.
    ///
    /// # Errors
    /// [`CryptoError`] when `iv` is not one block.
    pub fn new(key: &'k K, iv: &[u8], padding: Padding) -> Result<Self, CryptoError> {
        if iv.len() != key.block_len() {
            return Err(CryptoError);
        }
        Ok(Self { key, chain: Chain::new(iv), padding })
    }

    /// Takes the next piece of the message.
    pub fn update(&mut self, part: &[u8]) {
        self.key.mac_step(Step::new(&mut self.chain, &[part], End::Continue));
    }

    /// The MAC in the first `block_len` bytes, the rest 0.
    ///
    /// # Errors
    /// [`CryptoError`] when with [`Padding::None`] the message was not whole blocks.
    pub fn finish(mut self) -> Result<[u8; 16], CryptoError> {
        if self.padding == Padding::None && self.chain.held_len() != self.key.block_len() {
            return Err(CryptoError);
        }
        self.key.mac_step(Step::new(&mut self.chain, &[], End::Encrypt(self.padding)));
        Ok(self.chain.into_state())
    }
}

/// Streaming [`alg3`].
#[derive(Clone, Debug)]
pub struct Alg3<'k> {
    key: &'k Tdes,
    chain: Chain,
    padding: Padding,
}

impl<'k> Alg3<'k> {
    /// Starts a MAC.
    pub fn new(key: &'k Tdes, iv: &[u8; 8], padding: Padding) -> Self {
        Self { key, chain: Chain::new(iv), padding }
    }

    /// Takes the next piece of the message.
    pub fn update(&mut self, part: &[u8]) {
        self.chain_parts(&[part], End::Continue);
    }

    /// The MAC.
    pub fn finish(mut self) -> [u8; 8] {
        self.chain_parts(&[], End::Xor(self.padding));
        self.last_block()
    }

    fn chain_parts(&mut self, parts: &[&[u8]], end: End) {
        Step::new(&mut self.chain, parts, end).run(self.key.first());
    }

    fn last_block(self) -> [u8; 8] {
        self.key.encrypt_block(&self.chain.into_half())
    }
}

/// Streaming [`cmac`].
#[derive(Clone, Debug)]
pub struct Cmac<'k> {
    key: &'k Aes,
    chain: Chain,
}

impl<'k> Cmac<'k> {
    /// Starts a MAC.
    pub fn new(key: &'k Aes) -> Self {
        Self { key, chain: Chain::new(&[]) }
    }

    /// Takes the next piece of the message.
    pub fn update(&mut self, part: &[u8]) {
        Step::new(&mut self.chain, &[part], End::Continue).run(self.key);
    }

    /// The MAC.
    pub fn finish(mut self) -> [u8; 16] {
        Step::new(&mut self.chain, &[], End::Cmac).run(self.key);
        self.chain.into_state()
    }
}
