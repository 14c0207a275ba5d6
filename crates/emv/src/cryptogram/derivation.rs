//! Keys: issuer master key → card key (options A and B) → session key.

use huiwan_crypto::hash::sha1;
use huiwan_crypto::{Secret, Tdes};

use crate::pan::Pan;

/// How a card key is diversified from the issuer's. PBOC uses option A for every account number; EMV option B is a scheme's choice for long ones. `[EMV-B2 A1.4]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MasterKeyOption {
    /// The rightmost 16 digits of PAN ‖ PSN, whatever their number.
    #[default]
    A,
    /// As A for account numbers up to 16 digits; above, 16 decimal digits from the SHA-1 of PAN ‖ PSN.
    B,
}

/// The card's master key: the issuer key enciphers Y and its complement; result in odd parity. `[EMV-B2 A1.4]`
///
/// `sequence` is the PAN sequence number, BCD (5F34; 00 when absent).
#[must_use]
pub fn card_key(issuer: &Tdes, option: MasterKeyOption, pan: &Pan, sequence: u8) -> Secret<16> {
    let y = match option {
        MasterKeyOption::B if pan.len() > 16 => hashed_digits(pan, sequence),
        _ => rightmost_digits(pan, sequence),
    };
    let mut key = halves(issuer, y, y.map(|byte| !byte));
    for byte in &mut key {
        *byte = odd_parity(*byte);
    }
    Secret::new(key)
}

/// Decimal digits of PAN ‖ sequence number.
fn account(pan: &Pan, sequence: u8) -> impl DoubleEndedIterator<Item = u8> + '_ {
    pan.digits().chain([sequence >> 4, sequence & 0x0F])
}

fn rightmost_digits(pan: &Pan, sequence: u8) -> [u8; 8] {
    let mut y = [0; 8];
    let mut digits = account(pan, sequence).rev();
    for byte in y.iter_mut().rev() {
        let low = digits.next().unwrap_or(0);
        let high = digits.next().unwrap_or(0);
        *byte = (high << 4) | low;
    }
    y
}

/// Option B: the decimal digits of the hash first, then its letters A–F as 0–5, until there are 16.
fn hashed_digits(pan: &Pan, sequence: u8) -> [u8; 8] {
    let mut text = [0_u8; 11];
    let mut len = 0_usize;
    let padded = core::iter::repeat_n(0, pan.len() % 2).chain(account(pan, sequence));
    for (index, digit) in padded.enumerate() {
        if let Some(byte) = text.get_mut(index / 2) {
            *byte = (*byte << 4) | digit;
            len = (index / 2).saturating_add(1);
        }
    }
    let hash = sha1(&[text.get(..len).unwrap_or(&text)]);
    let nibbles = || hash.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let mut digits =
        nibbles().filter(|n| *n < 10).chain(nibbles().filter(|n| *n >= 10).map(|n| n.wrapping_sub(10)));
    core::array::from_fn(|_| {
        let high = digits.next().unwrap_or(0);
        let low = digits.next().unwrap_or(0);
        (high << 4) | low
    })
}

const fn odd_parity(byte: u8) -> u8 {
    if byte.count_ones().is_multiple_of(2) { byte ^ 1 } else { byte }
}

fn halves(key: &Tdes, left: [u8; 8], right: [u8; 8]) -> [u8; 16] {
    let mut out = [0; 16];
    let (first, second) = out.split_at_mut(8);
    first.copy_from_slice(&key.encrypt_block(&left));
    second.copy_from_slice(&key.encrypt_block(&right));
    out
}

/// PBOC session key: the card key enciphers 0⁶ ‖ ATC and 0⁶ ‖ ¬ATC. No parity is set. `[JR/T 0025.12]`
///
/// The same rule serves the cryptogram, the script MAC and encipherment, each from its own card key.
#[must_use]
pub fn pboc_session(card: &Tdes, atc: [u8; 2]) -> Secret<16> {
    let [high, low] = atc;
    Secret::new(halves(card, [0, 0, 0, 0, 0, 0, high, low], [0, 0, 0, 0, 0, 0, !high, !low]))
}

/// EMV common session key from the diversification value R: third byte F0 for the left half and 0F for the right.
/// R is ATC ‖ 0⁶ for cryptograms and the ARQC for scripts. `[EMV-B2 A1.3]`
#[must_use]
pub fn common_session(card: &Tdes, r: [u8; 8]) -> Secret<16> {
    let [a, b, _, d, e, f, g, h] = r;
    Secret::new(halves(card, [a, b, 0xF0, d, e, f, g, h], [a, b, 0x0F, d, e, f, g, h]))
}

/// Mastercard's session key: R is ATC ‖ 0² ‖ unpredictable number.
#[must_use]
pub fn mastercard_session(card: &Tdes, atc: [u8; 2], unpredictable_number: [u8; 4]) -> Secret<16> {
    let [a, b] = atc;
    let [u, v, w, x] = unpredictable_number;
    common_session(card, [a, b, 0, 0, u, v, w, x])
}

/// Visa's script session key: the card key xor 0⁶ ‖ ATC (left) and 0⁶ ‖ ¬ATC (right).
#[must_use]
pub fn visa_script_session(card: &Secret<16>, atc: [u8; 2]) -> Secret<16> {
    let [high, low] = atc;
    let mut key = *card.expose();
    let mask = [0, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, !high, !low];
    for (byte, mask) in key.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    Secret::new(key)
}
