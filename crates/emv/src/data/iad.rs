//! What a PBOC card tells its issuer and proves to a terminal: issuer application data (9F10) and card
//! authentication related data (9F69). `[JR/T 0025.12]`

use super::bits::{Cryptogram, Cvr};
use crate::qualifiers::Ctq;

/// The issuer application data of a PBOC card, tag 9F10:
/// `07 ‖ DKI ‖ CVN ‖ 03 ‖ CVR(3) ‖ algorithm ‖ [length ‖ issuer discretionary data]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Iad<'a> {
    /// Derivation key index: which issuer master key.
    pub dki: u8,
    /// Cryptogram version number: 01, or 11 (hexadecimal) for version 17.
    pub cvn: u8,
    /// Length 03 and card verification results.
    pub cvr: Cvr,
    /// 01 3DES, 04 SM4; 00 is seen in the field.
    pub algorithm: u8,
    /// Issuer discretionary data: identifier, value, MAC; empty when absent.
    pub discretionary: &'a [u8],
}

impl<'a> Iad<'a> {
    /// Reads the value of tag 9F10; `None` when it hasn't the PBOC layout.
    ///
    /// ```
    /// use huiwan_emv::data::{bits::Cryptogram, iad::Iad};
    /// let iad = Iad::parse(&[7, 1, 1, 3, 0xA0, 0, 0, 1]).unwrap();
    /// assert_eq!((iad.cvn, iad.result()), (1, Some(Cryptogram::Arqc)));
    /// ```
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (&[0x07, dki, cvn, 0x03, a, b, c, algorithm], rest) = value.split_first_chunk::<8>()? else {
            return None;
        };
        let discretionary = match rest.split_first() {
            None => rest,
            Some((len, data)) if usize::from(*len) == data.len() => data,
            Some(_) => return None,
        };
        Some(Self { dki, cvn, cvr: Cvr([3, a, b, c]), algorithm, discretionary })
    }

    /// What the card decided: bits 6 and 5 of byte 5 (`IAD[4] & 0x30`).
    #[must_use]
    pub const fn result(&self) -> Option<Cryptogram> {
        self.cvr.first_result()
    }
}

/// Card authentication related data, tag 9F69: what fDDA version 01 signs besides the terminal's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardAuthenticationData {
    /// fDDA version, 00 or 01.
    pub version: u8,
    /// The card's own unpredictable number.
    pub unpredictable_number: [u8; 4],
    /// The card transaction qualifiers, under the signature.
    pub ctq: Ctq,
}

impl CardAuthenticationData {
    /// Reads the value of tag 9F69: 7 bytes, then what the scheme leaves open (one byte in PBOC, none at Visa).
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let &[version, a, b, c, d, e, f] = value.first_chunk::<7>()?;
        Some(Self { version, unpredictable_number: [a, b, c, d], ctq: Ctq([e, f]) })
    }
}
