//! The issuer's key (90, 92, 9F32) and the static data it signed (93). `[EMV-B2 5.3, 5.4, 6.3]`

use huiwan_crypto::CryptoError;

use super::layout::{self, IssuerFields};
use super::{CaKey, CertificateInfo, MODULUS_MAX, Opened, PublicKey, modulus_parts};
use crate::pan::Pan;

/// An issuer key an authority's certificate vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKey {
    pub(super) key: PublicKey,
    pub(super) info: CertificateInfo,
    pub(super) identifier: [u8; 4],
}

impl IssuerKey {
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

    /// Leftmost digits of the account numbers this issuer may use, padded with F.
    #[must_use]
    pub fn identifier(&self) -> [u8; 4] {
        self.identifier
    }
}

/// Recovers the issuer's key from its certificate 90, remainder 92 (empty when absent) and exponent 9F32. `[EMV-B2 6.3]`
///
/// # Errors
/// [`CryptoError`] when any check of the clause fails, among them that `pan` begins with the issuer's identifier.
pub fn recover_issuer(
    ca: &CaKey<'_>,
    certificate: &[u8],
    remainder: &[u8],
    exponent: &[u8],
    pan: &Pan,
) -> Result<IssuerKey, CryptoError> {
    let mut block = [0; MODULUS_MAX];
    let opened = Opened::from_signature(ca.modulus, ca.exponent, certificate, layout::ISSUER, &mut block)?;
    opened.check(&[remainder, exponent])?;
    let (fields, in_certificate) = opened.signed.split_first_chunk().ok_or(CryptoError)?;
    let fields = IssuerFields::decode(fields).ok_or(CryptoError)?;
    if !pan.has_issuer(&fields.identifier) {
        return Err(CryptoError);
    }
    let modulus =
        modulus_parts(in_certificate, remainder, fields.modulus_len, fields.exponent_len, exponent)?;
    Ok(IssuerKey {
        key: PublicKey::join(&modulus, exponent)?,
        info: CertificateInfo { expiry: fields.expiry, serial: fields.serial },
        identifier: fields.identifier,
    })
}

/// Checks signed static application data 93 and returns the data authentication code (9F45). `[EMV-B2 5.4]`
///
/// # Errors
/// [`CryptoError`] when the signature or the hash over `static_data` is wrong.
pub fn verify_ssad(issuer: &PublicKey, ssad: &[u8], static_data: &[u8]) -> Result<[u8; 2], CryptoError> {
    let mut block = [0; MODULUS_MAX];
    let opened = issuer.open(ssad, layout::STATIC, &mut block)?;
    opened.check(&[static_data])?;
    match opened.signed {
        [_, layout::SHA1, a, b, filler @ ..] if filler.iter().all(|byte| *byte == layout::FILLER) => {
            Ok([*a, *b])
        }
        _ => Err(CryptoError),
    }
}
