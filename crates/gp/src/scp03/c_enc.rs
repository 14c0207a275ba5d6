//! Command data encryption: AES-CBC under S-ENC with an ICV made from the command counter. [AmdD 6.2.6]

use huiwan_crypto::{Aes, BlockKey, CryptoError, padding};

/// AES block length.
pub const BLOCK: usize = 16;

/// The ICV of the command with this counter; the first command after EXTERNAL AUTHENTICATE is number 1.
#[must_use]
pub fn icv(s_enc: &Aes, counter: u32) -> [u8; BLOCK] {
    s_enc.encrypt_block(&u128::from(counter).to_be_bytes())
}

/// Length of `len` bytes after padding; no data stays no data.
#[must_use]
pub const fn encrypted_len(len: usize) -> usize {
    if len == 0 { 0 } else { (len | (BLOCK - 1)).saturating_add(1) }
}

/// Pads and encrypts the first `len` bytes of `buf` in place; returns the new length.
///
/// # Errors
/// [`CryptoError`] if the padded data does not fit in `buf`.
pub fn encrypt(s_enc: &Aes, counter: u32, buf: &mut [u8], len: usize) -> Result<usize, CryptoError> {
    let padded = pad(buf, len)?;
    s_enc.encrypt_cbc(&icv(s_enc, counter), buf.get_mut(..padded).ok_or(CryptoError)?)?;
    Ok(padded)
}

/// Decrypts `buf` in place and removes the padding; returns the plain length.
///
/// # Errors
/// [`CryptoError`] if the length is not whole blocks or the padding is wrong, without telling which.
pub fn decrypt(s_enc: &Aes, counter: u32, buf: &mut [u8]) -> Result<usize, CryptoError> {
    decrypt_from(s_enc, &icv(s_enc, counter), buf)
}

/// Pads the first `len` bytes of `buf`; returns the new length.
pub(crate) fn pad(buf: &mut [u8], len: usize) -> Result<usize, CryptoError> {
    if len == 0 { Ok(0) } else { padding::method2_in_place(buf, len, BLOCK) }
}

/// [`decrypt`] with the ICV given.
pub(crate) fn decrypt_from(s_enc: &Aes, icv: &[u8; BLOCK], buf: &mut [u8]) -> Result<usize, CryptoError> {
    if buf.is_empty() {
        return Ok(0);
    }
    s_enc.decrypt_cbc(icv, buf)?;
    // Padding is at home in the last block; a published session carries more, so then the whole is searched. The MAC was good
    // before anything was decrypted, hence the difference in time tells an attacker nothing.
    let last = u128::from_be_bytes(*buf.last_chunk().ok_or(CryptoError)?);
    // The lowest bit set is the highest of a byte 80 exactly if that byte ends the data.
    let zeros = last.trailing_zeros();
    if last != 0 && zeros & 7 == 7 {
        let padding = usize::try_from(zeros >> 3).map_err(|_| CryptoError)?.saturating_add(1);
        buf.len().checked_sub(padding).ok_or(CryptoError)
    } else {
        Ok(padding::unpad_method2(buf)?.len())
    }
}
