//! Response data encryption: as [`super::c_enc`] with the top byte of the counter block set to 80. [AmdD 6.2.7]

use huiwan_crypto::{Aes, BlockKey, CryptoError};

use super::c_enc::{self, BLOCK};

/// The ICV of the response to the command with this counter.
#[must_use]
pub fn icv(s_enc: &Aes, counter: u32) -> [u8; BLOCK] {
    s_enc.encrypt_block(&(u128::from(counter) | 1 << 127).to_be_bytes())
}

/// Pads and encrypts the first `len` bytes of `buf` in place; returns the new length. No data stays no data.
///
/// # Errors
/// [`CryptoError`] if the padded data does not fit in `buf`.
pub fn encrypt(s_enc: &Aes, counter: u32, buf: &mut [u8], len: usize) -> Result<usize, CryptoError> {
    let padded = c_enc::pad(buf, len)?;
    s_enc.encrypt_cbc(&icv(s_enc, counter), buf.get_mut(..padded).ok_or(CryptoError)?)?;
    Ok(padded)
}

/// Decrypts `buf` in place and removes the padding; returns the plain length.
///
/// # Errors
/// [`CryptoError`] if the length is not whole blocks or the padding is wrong, without telling which.
pub fn decrypt(s_enc: &Aes, counter: u32, buf: &mut [u8]) -> Result<usize, CryptoError> {
    c_enc::decrypt_from(s_enc, &icv(s_enc, counter), buf)
}
