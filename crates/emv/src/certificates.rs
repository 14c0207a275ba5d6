//! Offline data authentication: recovering and checking the RSA certificates and signatures of a card. `[EMV-B2 5, 6]`
//!
//! ```text
//! CA key ──(90, 92, 9F32)──▶ issuer key ──(9F46, 9F48, 9F47, static data)──▶ card key ──(9F4B, terminal data)──▶ ICC dynamic data
//! ```
//!
//! * [`issuer`] has [`recover_issuer`], and the signed static data of cards without a key, [`issuer::verify_ssad`].
//! * [`icc`] has [`recover_icc`].
//! * [`dynamic`] has [`verify_fdda`], [`verify_dda`], and CDA's data in [`IccDynamicData`].
//! * [`static_data`] has [`StaticData`], the records that enter the card's certificate.
//! * [`layout`] has the signed blocks field by field, shared with the side that makes them, [`crate::host::certificates`].
//!
//! Dates are not compared here: every recovered key tells its expiry ([`CertificateInfo::is_valid_on`]) and the kernel decides.
//! Nothing tells *why* a check failed; the terminal's verification results only know that it did.

pub mod dynamic;
pub mod icc;
pub mod issuer;
pub mod layout;
pub mod static_data;

use heapless::Vec;
use huiwan_crypto::rsa::RsaPublic;
use huiwan_crypto::{CryptoError, ct_eq};

pub use dynamic::{FddaFormat, FddaInput, IccDynamicData, verify_dda, verify_fdda};
pub use icc::{IccKey, recover_icc};
pub use issuer::{IssuerKey, recover_issuer};
pub use static_data::StaticData;

/// The longest modulus of the scheme, in bytes (1984 bits are in use, 2048 the limit of the algorithm).
pub const MODULUS_MAX: usize = 256;

/// A certification authority's public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaKey<'a> {
    /// Big-endian.
    pub modulus: &'a [u8],
    /// Big-endian, one or three bytes.
    pub exponent: &'a [u8],
}

impl CaKey<'_> {
    /// The check value schemes publish with a key: SHA-1 over identifier ‖ index ‖ modulus ‖ exponent. `[EMV-B2 11.2]`
    #[must_use]
    pub fn check_value(&self, rid: &[u8; 5], index: u8) -> [u8; layout::HASH_LEN] {
        huiwan_crypto::hash::sha1(&[rid, &[index], self.modulus, self.exponent])
    }
}

/// Where the terminal keeps certification authority keys.
pub trait CaKeys {
    /// The key a card names by its application's registered identifier and index (8F).
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>>;
}

/// A table of keys in memory.
///
/// ```
/// use huiwan_emv::certificates::{CaKey, CaKeys};
/// let union_pay = [0xA0, 0x00, 0x00, 0x03, 0x33];
/// # let modulus = [0xC1; 128];
/// let table = [(union_pay, 0x0B, CaKey { modulus: &modulus, exponent: &[3] })];
/// let keys: &dyn CaKeys = &table;
/// assert!(keys.find(&union_pay, 0x0B).is_some() && keys.find(&union_pay, 0x09).is_none());
/// ```
impl<'k, const N: usize> CaKeys for [([u8; 5], u8, CaKey<'k>); N] {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        self.as_slice().find(rid, index)
    }
}

impl<'k> CaKeys for [([u8; 5], u8, CaKey<'k>)] {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        self.iter().find(|(r, i, _)| r == rid && *i == index).map(|(_, _, key)| *key)
    }
}

/// So that a slice becomes a `&dyn CaKeys` too: `&slice`.
impl<K: CaKeys + ?Sized> CaKeys for &K {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        (**self).find(rid, index)
    }
}

/// A public key recovered from a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    modulus: Vec<u8, MODULUS_MAX>,
    exponent: Vec<u8, 3>,
}

impl PublicKey {
    /// Takes a key as it is.
    ///
    /// # Errors
    /// [`CryptoError`] when the modulus is longer than 256 or the exponent than 3 bytes.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, CryptoError> {
        Self::join(&[modulus], exponent)
    }

    fn join(modulus: &[&[u8]], exponent: &[u8]) -> Result<Self, CryptoError> {
        let mut whole = Vec::new();
        for part in modulus {
            whole.extend_from_slice(part).map_err(|_| CryptoError)?;
        }
        Ok(Self { modulus: whole, exponent: Vec::from_slice(exponent).map_err(|_| CryptoError)? })
    }

    /// Big-endian.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Big-endian.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    fn open<'o>(
        &self,
        signed: &[u8],
        format: u8,
        out: &'o mut [u8; MODULUS_MAX],
    ) -> Result<Opened<'o>, CryptoError> {
        Opened::from_signature(&self.modulus, &self.exponent, signed, format, out)
    }
}

/// What a certificate says beside the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Month and year of expiry, MMYY, BCD.
    pub expiry: [u8; 2],
    /// Serial number, for revocation lists.
    pub serial: [u8; 3],
}

impl CertificateInfo {
    /// Whether the certificate is valid on a day (YYMMDD, BCD): until the end of its month. Years 50–99 are 1950–1999. `[EMV-B2 6.3, EMV-B4 6.7]`
    #[must_use]
    pub const fn is_valid_on(&self, today: [u8; 3]) -> bool {
        const fn century(year: u8) -> u16 {
            if year >= 0x50 { 0x1900 | year as u16 } else { 0x2000 | year as u16 }
        }
        let [month, year] = self.expiry;
        let [this_year, this_month, _] = today;
        let (expires, now) = (century(year), century(this_year));
        month >= 0x01 && month <= 0x12 && (now < expires || (now == expires && this_month <= month))
    }
}

/// A signature turned back into its block: header 6A, format, body, hash, trailer BC. `[EMV-B2 A2.1]`
struct Opened<'o> {
    /// From the format byte to before the hash: what the hash begins with.
    signed: &'o [u8],
    hash: &'o [u8; layout::HASH_LEN],
}

impl<'o> Opened<'o> {
    fn from_signature(
        modulus: &[u8],
        exponent: &[u8],
        signature: &[u8],
        format: u8,
        out: &'o mut [u8; MODULUS_MAX],
    ) -> Result<Self, CryptoError> {
        if signature.len() != modulus.len() {
            return Err(CryptoError);
        }
        let block: &'o [u8] = RsaPublic::new(modulus, exponent)?.recover(signature, out)?;
        let [layout::HEADER, rest @ .., layout::TRAILER] = block else { return Err(CryptoError) };
        let (signed, hash) = rest.split_last_chunk().ok_or(CryptoError)?;
        if signed.first() != Some(&format) { Err(CryptoError) } else { Ok(Self { signed, hash }) }
    }

    /// The hash over the block and what was not in it.
    fn check(&self, more: &[&[u8]]) -> Result<(), CryptoError> {
        let mut hash = huiwan_crypto::hash::Sha1::new();
        hash.update(self.signed);
        for part in more {
            hash.update(part);
        }
        if ct_eq(&hash.finish(), self.hash) { Ok(()) } else { Err(CryptoError) }
    }
}

/// The part of a modulus inside a certificate, without filler, after comparing the lengths with what the certificate says.
fn modulus_parts<'a>(
    in_certificate: &'a [u8],
    remainder: &'a [u8],
    modulus_len: u8,
    exponent_len: u8,
    exponent: &[u8],
) -> Result<[&'a [u8]; 2], CryptoError> {
    let modulus_len = usize::from(modulus_len);
    if usize::from(exponent_len) != exponent.len() || modulus_len > MODULUS_MAX {
        return Err(CryptoError);
    }
    if modulus_len <= in_certificate.len() {
        let (modulus, filler) = in_certificate.split_at_checked(modulus_len).ok_or(CryptoError)?;
        let clean = remainder.is_empty() && filler.iter().all(|byte| *byte == layout::FILLER);
        return if clean { Ok([modulus, &[]]) } else { Err(CryptoError) };
    }
    if in_certificate.len().saturating_add(remainder.len()) == modulus_len {
        Ok([in_certificate, remainder])
    } else {
        Err(CryptoError)
    }
}

#[cfg(test)]
mod tests;
