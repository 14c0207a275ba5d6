//! Big endian bytes in and out of the fixed-width integers, and the choice of a width.

use crypto_bigint::{Limb, Uint, Word};

/// The number in `bytes`, big endian; what does not fit is cut off at the top.
pub(super) fn load<const LIMBS: usize>(bytes: &[u8]) -> Uint<LIMBS> {
    let mut words = [0; LIMBS];
    for (word, chunk) in words.iter_mut().zip(bytes.rchunks(Limb::BYTES)) {
        *word = chunk.iter().fold(0, |word: Word, byte| (word << 8) | Word::from(*byte));
    }
    Uint::from_words(words)
}

/// Writes the low bytes of `value` to `out`, big endian; `out` longer than the value: zeros in front.
pub(super) fn store<const LIMBS: usize>(value: &Uint<LIMBS>, out: &mut [u8]) {
    out.fill(0);
    for (chunk, word) in out.rchunks_mut(Limb::BYTES).zip(value.as_words()) {
        for (to, from) in chunk.iter_mut().rev().zip(word.to_le_bytes()) {
            *to = from;
        }
    }
}

/// `bytes` without its leading zeros.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Calls a function generic over the number of limbs with the narrowest of the given widths (in bits) that holds `len`
/// bytes.
macro_rules! with_width {
    ($len:expr, [$($bits:literal)*], $function:ident $arguments:tt) => {
        match $len {
            $(len if len <= const { $bits / 8 } => {
                $function::<{ $bits / 8 / crypto_bigint::Limb::BYTES }> $arguments
            })*
            _ => Err($crate::CryptoError),
        }
    };
}
pub(super) use with_width;

// Each width is code of its own. A host has one for every usual key; on bare metal flash counts, and there are two: for
// the keys of cards (up to 1152 bits) and for all.

/// [`with_width`] over the widths of moduli.
macro_rules! with_modulus_width {
    ($len:expr, $function:ident $arguments:tt) => {{
        #[cfg(not(target_os = "none"))]
        let result = with_width!($len, [512 768 1024 1152 1280 1408 1536 1792 1984 2048], $function $arguments);
        #[cfg(target_os = "none")]
        let result = with_width!($len, [1152 2048], $function $arguments);
        result
    }};
}
pub(super) use with_modulus_width;

/// [`with_width`] over the widths of primes.
macro_rules! with_prime_width {
    ($len:expr, $function:ident $arguments:tt) => {{
        #[cfg(not(target_os = "none"))]
        let result = with_width!($len, [512 576 704 768 1024], $function $arguments);
        #[cfg(target_os = "none")]
        let result = with_width!($len, [576 1024], $function $arguments);
        result
    }};
}
pub(super) use with_prime_width;
