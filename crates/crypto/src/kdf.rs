//! The key derivation function in counter mode of NIST SP 800-108, with CMAC as its pseudorandom function.

use crate::block::copy;
use crate::mac::siblings::Room;
use crate::{Aes, CryptoError, mac};

/// Derives `out.len()` bytes as SCP03 does [GPC-D 4.1.5]: each block is the CMAC under `key` of eleven zeros, the
/// derivation `constant`, a zero, the length in bits (2 bytes), the counter (1 byte, from 1) and the `context`.
///
/// # Errors
/// [`CryptoError`] when `out` is longer than 4,080 bytes, the end of the counter.
///
/// ```
/// use huiwan_crypto::{Aes, kdf};
/// let key = Aes::new(&[0x40; 16])?;
/// let (host_challenge, card_challenge) = ([1; 8], [2; 8]);
/// let mut s_enc = [0; 16];
/// kdf::scp03(&key, 0x04, &[&host_challenge, &card_challenge], &mut s_enc)?;
/// # Ok::<(), huiwan_crypto::CryptoError>(())
/// ```
pub fn scp03(key: &Aes, constant: u8, context: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
    scp03_each(key, context, [(constant, out)])
}

/// Several derivations with one key and one context, each as [`scp03`] does it: what costs the same for all is done once.
///
/// # Errors
/// [`CryptoError`] when an output is longer than 4,080 bytes.
pub fn scp03_each<const N: usize>(
    key: &Aes,
    context: &[&[u8]],
    outputs: [(u8, &mut [u8]); N],
) -> Result<(), CryptoError> {
    if outputs.iter().any(|(_, out)| out.len() > 16 * 0xFF) {
        return Err(CryptoError);
    }
    let mut outputs = outputs;
    // Keys and cryptograms, of two challenges: all their blocks side by side.
    let mut gathered = [0; 32];
    if let Some(context) = gather(context, &mut gathered)
        && derive_side_by_side(key, context, &mut outputs).is_some()
    {
        return Ok(());
    }
    let mut outputs = outputs.map(|(constant, out)| {
        let [label @ .., _] = first_block(constant, out.len(), 0);
        (Some(label), out)
    });
    mac::derive(key, Derivation { before: &[], counter_at: 3, after: context, outputs: &mut outputs });
    Ok(())
}

/// What stands before the context: label, separator, length in bits, counter.
fn first_block(constant: u8, len: usize, counter: u8) -> [u8; 16] {
    let [high, low] = u16::try_from(len.saturating_mul(8)).unwrap_or_default().to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0, high, low, counter]
}

/// `None`, and nothing done, where there are too many blocks for one pass or no context.
fn derive_side_by_side(key: &Aes, context: &[u8], outputs: &mut [(u8, &mut [u8])]) -> Option<()> {
    let mut room = Room::new();
    let mut n = 0_usize;
    for (constant, out) in outputs.iter() {
        for counter in 1..=u8::try_from(out.len().div_ceil(16)).ok()? {
            *room.messages().get_mut(n)? = first_block(*constant, out.len(), counter).into();
            n = n.checked_add(1)?;
        }
    }
    mac::cmac_siblings(key, room.siblings(n, context)?);
    let blocks = outputs.iter_mut().flat_map(|(_, out)| out.chunks_mut(16));
    blocks.zip(room.messages()).for_each(|(to, from)| copy(to, from));
    Some(())
}

/// The parts, one after the other in `room`; `None` if they do not fit.
fn gather<'r>(parts: &[&[u8]], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut len = 0_usize;
    for part in parts {
        let end = len.checked_add(part.len())?;
        room.get_mut(len..end)?.copy_from_slice(part);
        len = end;
    }
    room.get(..len)
}

/// What is derived under one key: block `i` of each output is the CMAC of `before`, its label if it has one, the counter `i` and `after`.
pub(crate) struct Derivation<'a, 'o> {
    pub(crate) before: &'a [&'a [u8]],
    /// Where the counter begins in its 4 bytes.
    pub(crate) counter_at: usize,
    pub(crate) after: &'a [&'a [u8]],
    pub(crate) outputs: &'a mut [(Option<[u8; 15]>, &'o mut [u8])],
}

/// Length of the counter in the input of [`sp800_108_counter`] (the `r` of SP 800-108, in bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterLen {
    /// 8 bits.
    One,
    /// 16 bits.
    Two,
    /// 24 bits.
    Three,
    /// 32 bits.
    Four,
}

/// Derives `out.len()` bytes in counter mode [SP 800-108 4.1]: block `i` is the CMAC under `key` of `before`, the
/// counter `i` (from 1, big endian) and `after`; the last block is cut.
///
/// Where label, separator, context and length stand is the protocol's choice: NIST's own order is the counter first.
///
/// # Errors
/// [`CryptoError`] when `out` needs more blocks than the counter can count.
pub fn sp800_108_counter(
    key: &Aes,
    counter: CounterLen,
    before: &[&[u8]],
    after: &[&[u8]],
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let (skip, last) = match counter {
        CounterLen::One => (3, 0xFF),
        CounterLen::Two => (2, 0xFFFF),
        CounterLen::Three => (1, 0xFF_FFFF),
        CounterLen::Four => (0, u32::MAX),
    };
    let blocks = u32::try_from(out.len().div_ceil(16)).map_err(|_| CryptoError)?;
    if blocks > last {
        return Err(CryptoError);
    }
    let outputs = &mut [(None, out)];
    mac::derive(key, Derivation { before, counter_at: skip, after, outputs });
    Ok(())
}

/// A hash function of [`x963`].
pub trait Hash {
    /// Bytes of the hash; 64 at most.
    const LEN: usize;

    /// Hashes the parts, one after the other, into `out` of [`Self::LEN`] bytes or fewer.
    fn hash(parts: &[&[u8]], out: &mut [u8]);
}

/// SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256;

impl Hash for Sha256 {
    const LEN: usize = 32;

    fn hash(parts: &[&[u8]], out: &mut [u8]) {
        let hash = zeroize::Zeroizing::new(crate::hash::sha256(parts));
        out.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    }
}

/// Fills `out` with the hashes of secret ‖ counter (4 bytes, from 1) ‖ shared information [ANSI X9.63 5.6.3, SEC 1 3.6.1]; the last
/// hash is cut.
///
/// # Errors
/// [`CryptoError`] when `out` needs more hashes than the counter can count.
pub fn x963<H: Hash>(secret: &[u8], shared_info: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    if u32::try_from(out.len()).is_err() {
        return Err(CryptoError);
    }
    for (counter, block) in (1_u32..).zip(out.chunks_mut(H::LEN.max(1))) {
        H::hash(&[secret, &counter.to_be_bytes(), shared_info], block);
    }
    Ok(())
}
