//! Command data encryption: triple DES CBC under S-ENC from a zero ICV, after the MAC was made. [GPC E.4.6]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{BlockKey, CryptoError, Tdes, ct_eq, padding};

use super::c_mac::{Header, Icv};
use super::{MAC_LEN, Options};

/// DES block length.
pub const BLOCK: usize = 8;

/// Length of `len` bytes after padding; no data stays no data.
#[must_use]
pub const fn encrypted_len(len: usize) -> usize {
    if len == 0 { 0 } else { (len | (BLOCK - 1)).saturating_add(1) }
}

/// Pads and encrypts the first `len` bytes of `buf` in place; returns the new length. No data stays no data.
///
/// # Errors
/// [`CryptoError`] if the padded data does not fit in `buf`.
pub fn encrypt(s_enc: &Tdes, buf: &mut [u8], len: usize) -> Result<usize, CryptoError> {
    if len == 0 {
        return Ok(0);
    }
    let padded = padding::method2_in_place(buf, len, BLOCK)?;
    s_enc.encrypt_cbc(&[0; BLOCK], buf.get_mut(..padded).ok_or(CryptoError)?)?;
    Ok(padded)
}

/// Decrypts `buf` in place and removes the padding; returns the plain length. For what is known to be authentic already.
///
/// # Errors
/// [`CryptoError`] if it is not whole blocks or the padding is wrong.
pub fn decrypt(s_enc: &Tdes, buf: &mut [u8]) -> Result<usize, CryptoError> {
    s_enc.decrypt_cbc(&[0; BLOCK], buf)?;
    match unpadded_len(buf)? {
        (len, true) => Ok(len),
        (_, false) => Err(CryptoError),
    }
}

/// Decrypts `buf` in place and checks padding and C-MAC together; returns the plain length.
///
/// The protocol makes the card look at the padding before the MAC, which is what a padding oracle lives on. Here the same instructions
/// run whatever the padding: the MAC is taken over two lengths, one of which is the right one, and both findings meet in one answer.
/// Length and layout of the command, which everybody sees, are all that decides what is executed.
///
/// # Errors
/// [`CryptoError`], without telling what was wrong.
#[allow(clippy::too_many_arguments)]
pub fn decrypt_and_verify(
    options: Options,
    s_enc: &Tdes,
    c_mac: &Tdes,
    icv: Icv,
    command: ([u8; 4], bool),
    buf: &mut [u8],
    mac: &[u8; MAC_LEN],
) -> Result<usize, CryptoError> {
    s_enc.decrypt_cbc(&[0; BLOCK], buf)?;
    let (len, padded_right) = unpadded_len(buf)?;
    let (header, extended) = command;
    let header = Header::new(options, header, len, extended).ok_or(CryptoError)?;

    // The padded data is what the MAC's own padding makes of the plain data, so header ‖ data ‖ zeros holds the whole message, and its
    // last block is one of two: that at `end`, or the one before.
    let head = header.as_bytes();
    let end = buf.len();
    let early = end.checked_sub(BLOCK).ok_or(CryptoError)?;
    let (chained, late) = buf.split_at_checked(early.saturating_sub(head.len())).ok_or(CryptoError)?;
    let icv = icv.block(options, c_mac);
    let (state, head) = if chained.is_empty() {
        (icv, head)
    } else {
        (mac::alg1_des(c_mac.first(), &icv, &[head, chained], Padding::None), &[][..])
    };
    let mut last = [[0; BLOCK]; 2];
    for (to, from) in last.as_flattened_mut().iter_mut().zip(head.iter().chain(late)) {
        *to = *from;
    }
    let [first, second] = &last;
    let ends_early = mac::alg1_tdes(c_mac, &state, &[first], Padding::None);
    let state = mac::alg1_des(c_mac.first(), &state, &[first], Padding::None);
    let ends_late = mac::alg1_tdes(c_mac, &state, &[second], Padding::None);

    // FF if the message with its 80 reaches beyond `end`.
    let message = header.as_bytes().len().wrapping_add(len).wrapping_add(1);
    let [borrow, ..] = (end.wrapping_sub(message) >> (usize::BITS - 1)).to_le_bytes();
    let late = 0_u8.wrapping_sub(borrow);
    let mut expected = [0; MAC_LEN];
    for ((to, if_early), if_late) in expected.iter_mut().zip(ends_early).zip(ends_late) {
        *to = (if_early & !late) | (if_late & late);
    }
    if padded_right & ct_eq(&expected, mac) { Ok(len) } else { Err(CryptoError) }
}

/// The length without padding, and whether there was padding; without any branch on the content.
fn unpadded_len(buf: &[u8]) -> Result<(usize, bool), CryptoError> {
    let last = u64::from_be_bytes(*buf.last_chunk().ok_or(CryptoError)?);
    // The lowest bit set is the highest of a byte 80 exactly if that byte ends the data. The mark on top keeps the count in range.
    let zeros = (last | 1 << 63).trailing_zeros();
    let padded_right = (zeros & 7 == 7) & (last != 0);
    let padding = usize::try_from(zeros >> 3).map_err(|_| CryptoError)?.wrapping_add(1);
    Ok((buf.len().wrapping_sub(padding), padded_right))
}
