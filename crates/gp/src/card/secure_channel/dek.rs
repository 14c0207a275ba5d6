//! The key sensitive data comes encrypted under: PUT KEY, encrypted data groupings.

use huiwan_crypto::{Aes, BlockKey, CryptoError, Tdes};

/// A data encryption key with its mode.
pub(crate) enum Dek {
    /// SCP02, explicit initiation: the session's own. [GPC E.4.7]
    DesEcb(Tdes),
    /// SCP02, implicit initiation: the session's own.
    DesCbc(Tdes),
    /// SCP03: the static one [AmdD 6.2.8]; SCP11: the session's own.
    Aes(Aes),
}

impl Dek {
    /// Decrypts whole blocks in place.
    pub(crate) fn decrypt(&self, data: &mut [u8]) -> Result<(), CryptoError> {
        match self {
            Self::DesEcb(key) => key.decrypt_ecb(data),
            Self::DesCbc(key) => key.decrypt_cbc(&[0; 8], data),
            Self::Aes(key) => key.decrypt_cbc(&[0; 16], data),
        }
    }

    /// Bytes of a block.
    pub(crate) const fn block_len(&self) -> usize {
        match self {
            Self::DesEcb(_) | Self::DesCbc(_) => 8,
            Self::Aes(_) => 16,
        }
    }
}
