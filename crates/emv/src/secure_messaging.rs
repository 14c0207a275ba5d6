//! Issuer script secure messaging in the PBOC form: format 2, plain data followed by the MAC. `[JR/T 0025.13]`
//!
//! ```text
//! CLA(04/84) INS P1 P2 Lc │ data │ MAC(4)          Lc counts data and MAC
//! MAC = leftmost 4 of algorithm 3 under the session MAC key over CLA INS P1 P2 Lc ‖ ATC ‖ application cryptogram ‖ data, padding 80
//! ```
//! The EMV form with BER-TLV (87, 97, 8E) is another format and not here.

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{CryptoError, Tdes, ct_eq};

/// Length of a script MAC.
pub const MAC_LEN: usize = 4;

/// What binds a script to one transaction: its counter and the first application cryptogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// 9F36.
    pub atc: [u8; 2],
    /// 9F26 of the first GENERATE AC or of the GPO answer.
    pub cryptogram: [u8; 8],
}

/// The MAC of one script command. `header` is CLA INS P1 P2; `data` is without the MAC.
///
/// # Errors
/// [`CryptoError`] when data and MAC do not fit a short command (251 bytes of data at most).
pub fn script_mac(
    session: &Tdes,
    transaction: &Transaction,
    header: [u8; 4],
    data: &[u8],
) -> Result<[u8; MAC_LEN], CryptoError> {
    let lc = u8::try_from(data.len().saturating_add(MAC_LEN)).map_err(|_| CryptoError)?;
    let [a, b, c, d, ..] = mac::alg3(
        session,
        &[0; 8],
        &[&header, &[lc], &transaction.atc, &transaction.cryptogram, data],
        Padding::Method2,
    );
    Ok([a, b, c, d])
}

/// Checks a received command's MAC in constant time and returns the data without it.
///
/// # Errors
/// [`CryptoError`] when the MAC is missing or wrong.
pub fn unwrap_script<'a>(
    session: &Tdes,
    transaction: &Transaction,
    header: [u8; 4],
    data: &'a [u8],
) -> Result<&'a [u8], CryptoError> {
    let (plain, mac) = data.split_last_chunk::<MAC_LEN>().ok_or(CryptoError)?;
    if ct_eq(&script_mac(session, transaction, header, plain)?, mac) { Ok(plain) } else { Err(CryptoError) }
}
