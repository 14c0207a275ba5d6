//! RSA signatures of content management. [GPC C.1]

use huiwan_crypto::CryptoError;
use huiwan_crypto::rsa::RsaPublic;

use super::{PublicKey, PublicKeys};

/// Bytes of the longest modulus whose signatures are PKCS #1 v1.5 with SHA-1; longer ones are PSS with SHA-256.
const PKCS1_MAX: usize = 128;

/// Checks RSA signatures, and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsaKeys;

impl PublicKeys for RsaKeys {
    fn verify(&self, key: PublicKey<'_>, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        let PublicKey::Rsa { modulus, exponent } = key else { return Err(CryptoError) };
        let key = RsaPublic::new(modulus, exponent)?;
        if key.modulus_len() <= PKCS1_MAX {
            key.verify_pkcs1_sha1(parts, signature)
        } else {
            key.verify_pss_sha256(parts, signature)
        }
    }
}
