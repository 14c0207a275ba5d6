//! The cryptograms of EXTERNAL and INTERNAL AUTHENTICATE, once for all sides. [sheet 1.2: I:HB,LUA,FM]
//!
//! Each has a key kind of its own ([`KeyKind::ExternalAuthentication`](crate::keys::KeyKind::ExternalAuthentication),
//! [`KeyKind::InternalAuthentication`](crate::keys::KeyKind::InternalAuthentication)): a card that encrypted with a
//! transaction key whatever it is sent would compute MACs and session keys for anyone, and one that encrypted with the
//! external key would answer its own challenge.

use huiwan_crypto::{CryptoError, SuiteKey};

/// The longest cryptogram of EXTERNAL AUTHENTICATE, bytes: one block of SM4.
pub const CRYPTOGRAM_MAX: usize = 16;

/// The cryptogram of EXTERNAL AUTHENTICATE: the challenge (four or eight bytes) filled up with zeros to a block, encrypted.
/// Eight bytes for 3DES; for SM4, of which no source speaks, the whole block of sixteen.
///
/// # Errors
/// If the challenge is longer than a block.
pub fn cryptogram<'o, K: SuiteKey>(
    key: &K,
    challenge: &[u8],
    out: &'o mut [u8; CRYPTOGRAM_MAX],
) -> Result<&'o [u8], CryptoError> {
    *out = [0; CRYPTOGRAM_MAX];
    let block = out.get_mut(..key.block_len()).ok_or(CryptoError)?;
    block.get_mut(..challenge.len()).ok_or(CryptoError)?.copy_from_slice(challenge);
    key.encrypt_ecb(block)?;
    Ok(block)
}

/// The answer to INTERNAL AUTHENTICATE: the data in ECB, padded by `80 00…` when they do not fill their blocks.
///
/// # Errors
/// No data, or `out` too short.
pub fn answer<'o, K: SuiteKey>(key: &K, data: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
    if data.is_empty() {
        return Err(CryptoError);
    }
    let whole = data.len().checked_next_multiple_of(key.block_len()).ok_or(CryptoError)?;
    let out = out.get_mut(..whole).ok_or(CryptoError)?;
    let (body, pad) = out.split_at_mut_checked(data.len()).ok_or(CryptoError)?;
    body.copy_from_slice(data);
    pad.fill(0);
    if let Some(first) = pad.first_mut() {
        *first = 0x80;
    }
    key.encrypt_ecb(out)?;
    Ok(out)
}
