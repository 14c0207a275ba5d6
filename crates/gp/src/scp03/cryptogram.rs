//! Card and host cryptograms: each side proves that it holds the session's S-MAC. [AmdD 6.2.2.2, 6.2.2.3]

use huiwan_crypto::{CryptoError, kdf};

use super::{CHALLENGE_LEN, SessionKeys};

/// Derivation constant of the card cryptogram. [AmdD table 4-1]
pub const CARD: u8 = 0x00;
/// Derivation constant of the host cryptogram.
pub const HOST: u8 = 0x01;

/// The card's proof, in the INITIALIZE UPDATE answer.
///
/// # Errors
/// [`CryptoError`] if the derivation fails.
pub fn card(
    keys: &SessionKeys,
    host_challenge: &[u8; CHALLENGE_LEN],
    card_challenge: &[u8; CHALLENGE_LEN],
) -> Result<[u8; 8], CryptoError> {
    cryptogram(keys, CARD, host_challenge, card_challenge)
}

/// The host's proof, in EXTERNAL AUTHENTICATE.
///
/// # Errors
/// [`CryptoError`] if the derivation fails.
pub fn host(
    keys: &SessionKeys,
    host_challenge: &[u8; CHALLENGE_LEN],
    card_challenge: &[u8; CHALLENGE_LEN],
) -> Result<[u8; 8], CryptoError> {
    cryptogram(keys, HOST, host_challenge, card_challenge)
}

/// Both cryptograms are over host challenge ‖ card challenge; the constant tells them apart.
fn cryptogram(
    keys: &SessionKeys,
    constant: u8,
    host_challenge: &[u8],
    card_challenge: &[u8],
) -> Result<[u8; 8], CryptoError> {
    let mut out = [0; 8];
    kdf::scp03(&keys.mac, constant, &[host_challenge, card_challenge], &mut out)?;
    Ok(out)
}
