//! Card and host cryptograms: each side proves that it holds the session's S-MAC. [AmdD 6.2.2.2, 6.2.2.3]

use huiwan_crypto::{Aes, CryptoError, kdf};

use super::{Mode, Octets, SessionKeys};

/// Derivation constant of the card cryptogram. [AmdD table 4-1]
pub const CARD: u8 = 0x00;
/// Derivation constant of the host cryptogram.
pub const HOST: u8 = 0x01;

/// The card's proof, in the INITIALIZE UPDATE answer.
///
/// # Errors
/// [`CryptoError`] if the card challenge has neither 8 nor 16 bytes.
pub fn card(keys: &SessionKeys, host_challenge: &[u8], card_challenge: &[u8]) -> Result<Octets, CryptoError> {
    cryptogram(keys, CARD, host_challenge, card_challenge)
}

/// The host's proof, in EXTERNAL AUTHENTICATE.
///
/// # Errors
/// [`CryptoError`] if the card challenge has neither 8 nor 16 bytes.
pub fn host(keys: &SessionKeys, host_challenge: &[u8], card_challenge: &[u8]) -> Result<Octets, CryptoError> {
    cryptogram(keys, HOST, host_challenge, card_challenge)
}

/// Card and host cryptogram, in this order, for who makes the one and checks the other.
///
/// # Errors
/// [`CryptoError`] if the card challenge has neither 8 nor 16 bytes.
pub fn both(
    s_mac: &Aes,
    host_challenge: &[u8],
    card_challenge: &[u8],
) -> Result<(Octets, Octets), CryptoError> {
    let zero = Octets::zero(Mode::of_len(card_challenge.len()).ok_or(CryptoError)?);
    let (mut card, mut host) = (zero, zero);
    let outputs = [(CARD, card.as_mut()), (HOST, host.as_mut())];
    kdf::scp03_each(s_mac, &[host_challenge, card_challenge], outputs)?;
    Ok((card, host))
}

/// Both cryptograms are as long as a challenge, over host challenge ‖ card challenge; the constant tells them apart.
fn cryptogram(
    keys: &SessionKeys,
    constant: u8,
    host_challenge: &[u8],
    card_challenge: &[u8],
) -> Result<Octets, CryptoError> {
    let mut out = Octets::zero(Mode::of_len(card_challenge.len()).ok_or(CryptoError)?);
    kdf::scp03(&keys.mac, constant, &[host_challenge, card_challenge], out.as_mut())?;
    Ok(out)
}
