//! Padding of ISO/IEC 9797-1 (6.3): method 1 (zeros if needed) and method 2 (always `80`, then zeros).

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::CryptoError;

/// The length of `len` bytes after method 2: the next multiple of `block` above `len`.
///
/// A `block` of 0 counts as 1; a length near the end of `usize` stays there.
pub const fn pad_len(len: usize, block: usize) -> usize {
    let block = if block == 0 { 1 } else { block };
    match len.checked_next_multiple_of(block) {
        Some(padded) if padded > len => padded,
        Some(padded) => padded.saturating_add(block),
        None => usize::MAX,
    }
}

/// Pads the first `len` bytes of `buf` by method 1, as few zeros as needed to whole blocks, at least one block.
/// Returns the padded length.
///
/// # Errors
/// [`CryptoError`] when `buf` is too short or `block` is 0.
pub fn method1_in_place(buf: &mut [u8], len: usize, block: usize) -> Result<usize, CryptoError> {
    if block == 0 {
        return Err(CryptoError);
    }
    let padded = len.max(1).checked_next_multiple_of(block).ok_or(CryptoError)?;
    buf.get_mut(len..padded).ok_or(CryptoError)?.fill(0);
    Ok(padded)
}

/// Pads the first `len` bytes of `buf` by method 2: `80`, then zeros to whole blocks. Returns the padded length.
///
/// # Errors
/// [`CryptoError`] when `buf` is too short or `block` is 0.
pub fn method2_in_place(buf: &mut [u8], len: usize, block: usize) -> Result<usize, CryptoError> {
    if block == 0 {
        return Err(CryptoError);
    }
    let padded = pad_len(len, block);
    match buf.get_mut(len..padded) {
        Some([first, zeros @ ..]) => {
            *first = 0x80;
            zeros.fill(0);
            Ok(padded)
        }
        _ => Err(CryptoError),
    }
}

/// Removes method 2 padding: everything from the last `80` on, which only zeros may follow.
///
/// The scan takes a time that depends on the length of `data` alone; the length of the answer is the caller's
/// to protect.
///
/// # Errors
/// [`CryptoError`] when there is no such `80`.
pub fn unpad_method2(data: &[u8]) -> Result<&[u8], CryptoError> {
    let mut searching = Choice::from(1);
    let mut found = Choice::from(0);
    let mut end = 0u64;
    for (at, byte) in data.iter().enumerate().rev() {
        let at = at as u64;
        let mark = searching & byte.ct_eq(&0x80);
        end.conditional_assign(&at, mark);
        found |= mark;
        searching &= byte.ct_eq(&0x00);
    }
    match usize::try_from(end) {
        Ok(end) if bool::from(found) => data.get(..end).ok_or(CryptoError),
        _ => Err(CryptoError),
    }
}
