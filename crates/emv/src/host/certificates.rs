//! Making the certificates that [`crate::certificates`] recovers; block by block in [`layout`].

pub mod fixtures;

use huiwan_crypto::rsa::RsaPrivate;
use huiwan_crypto::{CryptoError, Random};

use crate::certificates::layout::{self, IccFields, IssuerFields};
use crate::certificates::{CertificateInfo, MODULUS_MAX};
use crate::pan::Pan;

/// A certificate with what did not fit into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'o> {
    /// 90 or 9F46: as long as the signer's modulus.
    pub certificate: &'o [u8],
    /// 92 or 9F48: the end of the certified modulus, empty when all of it fitted.
    pub remainder: &'o [u8],
}

/// Certifies an issuer's key for account numbers that begin with `identifier` (3 to 8 digits, padded with F).
///
/// # Errors
/// [`CryptoError`] when the authority's modulus or `out` is too short, or the random source fails.
pub fn certify_issuer<'o>(
    ca: &RsaPrivate,
    identifier: [u8; 4],
    info: CertificateInfo,
    modulus: &'o [u8],
    exponent: &[u8],
    random: &mut dyn Random,
    out: &'o mut [u8],
) -> Result<Certificate<'o>, CryptoError> {
    let fields = IssuerFields {
        identifier,
        expiry: info.expiry,
        serial: info.serial,
        modulus_len: u8::try_from(modulus.len()).map_err(|_| CryptoError)?,
        exponent_len: u8::try_from(exponent.len()).map_err(|_| CryptoError)?,
    };
    certify(ca, &fields.encode(), layout::ISSUER_OVERHEAD, modulus, [exponent, &[]], random, out)
}

/// Certifies a card's key together with the static data to be authenticated (the marked records, and the AIP when 9F4A asks for it).
///
/// # Errors
/// [`CryptoError`] when the issuer's modulus or `out` is too short, or the random source fails.
#[expect(clippy::too_many_arguments, reason = "the fields of one certificate")]
pub fn certify_icc<'o>(
    issuer: &RsaPrivate,
    pan: &Pan,
    info: CertificateInfo,
    modulus: &'o [u8],
    exponent: &[u8],
    static_data: &[u8],
    random: &mut dyn Random,
    out: &'o mut [u8],
) -> Result<Certificate<'o>, CryptoError> {
    let fields = IccFields {
        pan: *pan.padded(),
        expiry: info.expiry,
        serial: info.serial,
        modulus_len: u8::try_from(modulus.len()).map_err(|_| CryptoError)?,
        exponent_len: u8::try_from(exponent.len()).map_err(|_| CryptoError)?,
    };
    certify(issuer, &fields.encode(), layout::ICC_OVERHEAD, modulus, [exponent, static_data], random, out)
}

fn certify<'o>(
    signer: &RsaPrivate,
    fields: &[u8],
    overhead: usize,
    modulus: &'o [u8],
    hashed: [&[u8]; 2],
    random: &mut dyn Random,
    out: &'o mut [u8],
) -> Result<Certificate<'o>, CryptoError> {
    let room = signer.modulus_len().checked_sub(overhead).ok_or(CryptoError)?;
    let (inside, remainder) = modulus.split_at_checked(room).unwrap_or((modulus, &[]));
    let mut block = [0; MODULUS_MAX];
    let block = block.get_mut(..signer.modulus_len()).ok_or(CryptoError)?;
    layout::lay_out(block, &[fields, inside])?;
    let [first, second] = hashed;
    let hash = layout::hash(block, &[remainder, first, second])?;
    layout::put_hash(block, &hash)?;
    Ok(Certificate { certificate: signer.sign_raw(block, random, out)?, remainder })
}
