//! PIN blocks of an issuer's zone, and the one a card keeps. [ISO 9564-1]
//!
//! | format | control | fill | combined with the account number |
//! |---|---|---|---|
//! | 0 | 0 | F | XOR |
//! | 1 | 1 | anything | no |
//! | 2, the card's | 2 | F | no |
//! | 3 | 3 | A to F | XOR |
//! | 4, AES | 4 | A, then 8 random bytes | between two encryptions |

use huiwan_crypto::{Aes, BlockKey, pin_block};
use zeroize::Zeroizing;

/// How a PIN block was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PinFormat {
    /// ISO format 0, 8 bytes, with the account number.
    Iso0,
    /// ISO format 1, 8 bytes, without.
    Iso1,
    /// ISO format 3, 8 bytes, with the account number and random fill.
    Iso3,
    /// ISO format 4, 16 bytes under AES, with the account number.
    Iso4,
}

impl PinFormat {
    const fn control(self) -> u8 {
        match self {
            Self::Iso0 => 0,
            Self::Iso1 => 1,
            Self::Iso3 => 3,
            Self::Iso4 => 4,
        }
    }

    const fn fills_with(self, nibble: u8) -> bool {
        match self {
            Self::Iso0 => nibble == 0x0F,
            Self::Iso1 => true,
            Self::Iso3 => nibble >= 0x0A,
            Self::Iso4 => nibble == 0x0A,
        }
    }
}

/// The PIN of a block in the clear (of format 4: of its first half) as a block of format 2, which a card keeps as its reference; `None`
/// if there is no PIN of 4 to 12 digits in it.
///
/// `account` is the account number in ASCII digits, the check digit among them.
pub(super) fn reference(format: PinFormat, block: &[u8; 8], account: &[u8]) -> Option<Zeroizing<[u8; 8]>> {
    let mut field = Zeroizing::new(*block);
    if matches!(format, PinFormat::Iso0 | PinFormat::Iso3) {
        let account = account_field(account)?;
        field.iter_mut().zip(account).for_each(|(byte, account)| *byte ^= account);
    }
    let [head, digits @ ..] = &mut *field;
    let (control, len) = (*head >> 4, *head & 0x0F);
    let mut good = control == format.control();
    for (place, byte) in (0_u8..).step_by(2).zip(&mut *digits) {
        let mut nibble = |place: u8, nibble: u8| {
            let digit = place < len;
            good &= digit || format.fills_with(nibble);
            if digit { nibble } else { 0x0F }
        };
        let high = nibble(place, *byte >> 4);
        let low = nibble(place.saturating_add(1), *byte & 0x0F);
        *byte = high << 4 | low;
    }
    let bcd = digits.get(..usize::from(len).div_ceil(2))?;
    let reference = Zeroizing::new(pin_block::format2(bcd)?);
    // A last digit F would be one digit less.
    (good && reference.first() == Some(&(0x20 | len))).then_some(reference)
}

/// The first half of a block of format 4, deciphered.
pub(super) fn decipher_4(key: &Aes, block: &[u8; 16], account: &[u8]) -> Option<Zeroizing<[u8; 8]>> {
    let account = account_field_4(account)?;
    let mut field = Zeroizing::new(*block);
    key.decrypt_ecb(&mut *field).ok()?;
    field.iter_mut().zip(account).for_each(|(byte, account)| *byte ^= account);
    key.decrypt_ecb(&mut *field).ok()?;
    field.first_chunk().map(|half| Zeroizing::new(*half))
}

fn digits(account: &[u8]) -> Option<&[u8]> {
    ((1..=19).contains(&account.len()) && account.iter().all(u8::is_ascii_digit)).then_some(account)
}

/// Writes ASCII digits as half bytes, from this half byte on.
fn pack(digits: &[u8], first: usize, out: &mut [u8]) -> Option<()> {
    for (place, digit) in (first..).zip(digits) {
        let digit = digit & 0x0F;
        *out.get_mut(place / 2)? |= if place.is_multiple_of(2) { digit << 4 } else { digit };
    }
    Some(())
}

/// 0000 and the last 12 digits before the check digit.
fn account_field(account: &[u8]) -> Option<[u8; 8]> {
    let (_, without_check) = digits(account)?.split_last()?;
    let mut field = [0; 8];
    pack(without_check.last_chunk::<12>()?, 4, &mut field)?;
    Some(field)
}

/// How many digits there are over 12, and all of them, 12 at least with zeros before.
fn account_field_4(account: &[u8]) -> Option<[u8; 16]> {
    let digits = digits(account)?;
    let mut field = [0; 16];
    let zeros = 12_usize.saturating_sub(digits.len());
    let over = u8::try_from(digits.len().saturating_sub(12)).ok()?;
    pack(digits, zeros.saturating_add(1), &mut field)?;
    let [head, ..] = &mut field;
    *head |= over << 4;
    Some(field)
}
