//! The card's key (9F46, 9F48, 9F47). `[EMV-B2 6.4]`

use huiwan_crypto::CryptoError;

use super::layout::{self, IccFields};
use super::{CertificateInfo, IssuerKey, MODULUS_MAX, PublicKey, modulus_parts};
use crate::pan::Pan;

/// A card key an issuer's certificate vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IccKey {
    pub(super) key: PublicKey,
    pub(super) info: CertificateInfo,
}

impl IccKey {
    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Expiry and serial number.
    #[must_use]
    pub fn info(&self) -> CertificateInfo {
        self.info
    }
}

/// Recovers the card's key from its certificate 9F46, remainder 9F48 (empty when absent), exponent 9F47 and the static data
/// to be authenticated: the marked records and, when 9F4A asks for it, the AIP ([`StaticData`](super::StaticData) collects them).
///
/// # Errors
/// [`CryptoError`] when any check of the clause fails, among them that the certificate is for `pan`.
pub fn recover_icc(
    issuer: &IssuerKey,
    certificate: &[u8],
    remainder: &[u8],
    exponent: &[u8],
    static_data: &[u8],
    pan: &Pan,
) -> Result<IccKey, CryptoError> {
    let mut block = [0; MODULUS_MAX];
    let opened = issuer.key.open(certificate, layout::ICC, &mut block)?;
    opened.check(&[remainder, exponent, static_data])?;
    let (fields, in_certificate) = opened.signed.split_first_chunk().ok_or(CryptoError)?;
    let fields = IccFields::decode(fields).ok_or(CryptoError)?;
    if fields.pan != *pan.padded() {
        return Err(CryptoError);
    }
    let modulus =
        modulus_parts(in_certificate, remainder, fields.modulus_len, fields.exponent_len, exponent)?;
    Ok(IccKey {
        key: PublicKey::join(&modulus, exponent)?,
        info: CertificateInfo { expiry: fields.expiry, serial: fields.serial },
    })
}
