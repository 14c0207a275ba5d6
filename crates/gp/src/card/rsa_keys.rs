//! RSA signatures of content management. [GPC C.1]

use huiwan_crypto::CryptoError;
use huiwan_crypto::rsa::RsaPublic;

use super::{PublicKey, PublicKeys};
use crate::capability::Capabilities;
use crate::token;

/// Checks RSA signatures, and no others. The scheme goes by the length of the key, and there are only these two: GlobalPlatform has no
/// RSA signature with SHA-384 or SHA-512, which are hashes of load files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsaKeys;

impl PublicKeys for RsaKeys {
    fn verify(&self, key: PublicKey<'_>, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        let PublicKey::Rsa { modulus, exponent } = key else { return Err(CryptoError) };
        token::verify_rsa(&RsaPublic::new(modulus, exponent)?, parts, signature)
    }

    fn schemes(&self) -> u16 {
        Capabilities::RSA_SHORT | Capabilities::RSA_LONG
    }
}
