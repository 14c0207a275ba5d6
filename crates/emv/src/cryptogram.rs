//! Application cryptograms: what card and issuer compute the same way.
//!
//! * [`derivation`]: from the issuer's master keys to the card's, and from those to session keys.
//! * [`iad`]: issuer discretionary data inside 9F10, and the card verification results.
//! * [`arpc`]: the issuer's answer.
//! * here: the cryptogram itself ([`AcData`], [`generate`], [`verify`]).

pub mod arpc;
pub mod derivation;
pub mod iad;

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{CryptoError, Tdes, ct_eq};

pub use crate::data::bits::{Cryptogram, Cvr};
pub use crate::data::iad::Iad;

/// Cryptogram version of PBOC issuer application data: which fields the cryptogram covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cvn {
    /// 01: the standard fields, AIP, ATC and the whole CVR.
    V01,
    /// 17 (byte 11): amount, unpredictable number, ATC and the first byte of the CVR.
    V17,
}

impl Cvn {
    /// Reads the version byte of the issuer application data.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::V01),
            0x11 => Some(Self::V17),
            _ => None,
        }
    }

    /// The version byte of the issuer application data.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::V01 => 0x01,
            Self::V17 => 0x11,
        }
    }
}

/// What the terminal says about a transaction, as the cryptogram covers it; all fields as on the wire (numeric fields BCD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionData {
    /// 9F02, n12, minor units.
    pub amount: [u8; 6],
    /// 9F03, n12, minor units.
    pub other_amount: [u8; 6],
    /// 9F1A, n3.
    pub terminal_country: [u8; 2],
    /// 95.
    pub tvr: [u8; 5],
    /// 5F2A, n3.
    pub currency: [u8; 2],
    /// 9A, YYMMDD.
    pub date: [u8; 3],
    /// 9C.
    pub transaction_type: u8,
    /// 9F37.
    pub unpredictable_number: [u8; 4],
}

/// Everything a PBOC cryptogram covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcData {
    /// The terminal's part.
    pub transaction: TransactionData,
    /// 82.
    pub aip: [u8; 2],
    /// 9F36.
    pub atc: [u8; 2],
    /// Card verification results, their length byte first.
    pub cvr: Cvr,
}

/// The application cryptogram under a session key: MAC algorithm 3, padding 80, all eight bytes. `[JR/T 0025.12]`
#[must_use]
pub fn generate(session: &Tdes, version: Cvn, data: &AcData) -> [u8; 8] {
    let t = &data.transaction;
    let [_, first, ..] = data.cvr.0;
    match version {
        Cvn::V01 => mac_over(
            session,
            &[
                &t.amount,
                &t.other_amount,
                &t.terminal_country,
                &t.tvr,
                &t.currency,
                &t.date,
                &[t.transaction_type],
                &t.unpredictable_number,
                &data.aip,
                &data.atc,
                &data.cvr.0,
            ],
            Padding::Method2,
        ),
        Cvn::V17 => {
            mac_over(session, &[&t.amount, &t.unpredictable_number, &data.atc, &[first]], Padding::Method2)
        }
    }
}

/// Checks a cryptogram in constant time.
///
/// # Errors
/// [`CryptoError`] when it does not fit the data and the key.
pub fn verify(session: &Tdes, version: Cvn, data: &AcData, cryptogram: &[u8; 8]) -> Result<(), CryptoError> {
    if ct_eq(&generate(session, version, data), cryptogram) { Ok(()) } else { Err(CryptoError) }
}

/// The cryptogram MAC over fields another scheme chooses: padding 80 for most, zeros for Visa CVN 10 and 17.
#[must_use]
pub fn mac_over(session: &Tdes, parts: &[&[u8]], padding: Padding) -> [u8; 8] {
    mac::alg3(session, &[0; 8], parts, padding)
}
