//! The two shared secrets, the session keys from both, and the receipt.

use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, FIELD_MAX};
use huiwan_crypto::kdf::{Hash, x963};
use huiwan_crypto::{Aes, CryptoError, mac};
use zeroize::{Zeroize, Zeroizing};

use super::Authenticate;

/// The secrets two keys of each side agree on: first ‖ second.
pub struct Secrets {
    bytes: [u8; 2 * FIELD_MAX],
    len: usize,
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Agrees twice, each time with one key of ours and one of the other side: ephemeral keys first (the card's static one stands in for
    /// it in variant c), then what authenticates.
    ///
    /// # Errors
    /// [`CryptoError`] if the curve fails.
    pub fn agree<C: Curve>(
        first: (&EcPrivate<C>, &EcPublic<C>),
        second: (&EcPrivate<C>, &EcPublic<C>),
    ) -> Result<Self, CryptoError> {
        let len = C::FIELD_LEN.saturating_mul(2);
        let mut secrets = Self { bytes: [0; 2 * FIELD_MAX], len };
        let whole = secrets.bytes.get_mut(..len).ok_or(CryptoError)?;
        let (one, two) = whole.split_at_mut_checked(C::FIELD_LEN).ok_or(CryptoError)?;
        first.0.agree(first.1, one)?;
        second.0.agree(second.1, two)?;
        Ok(secrets)
    }

    /// The bytes, for vectors.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Five keys of one length: receipt, S-ENC, S-MAC, S-RMAC, S-DEK.
pub const RAW_LEN: usize = 5 * 32;

/// The keys of one session as bytes.
pub struct SessionKeys {
    raw: Zeroizing<[u8; RAW_LEN]>,
    key_len: usize,
}

impl core::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionKeys").field("key_len", &self.key_len).finish_non_exhaustive()
    }
}

impl SessionKeys {
    /// Derives the keys with a hash function: SHA-256 in all published sessions, whatever the curve.
    ///
    /// # Errors
    /// [`CryptoError`] if the key length is none of AES, or identifiers are too long.
    pub fn derive<H: Hash>(secrets: &Secrets, request: &Authenticate<'_>) -> Result<Self, CryptoError> {
        let key_len = usize::from(request.key_len);
        if !matches!(key_len, 16 | 24 | 32) {
            return Err(CryptoError);
        }
        let mut raw = Zeroizing::new([0; RAW_LEN]);
        let keys = raw.get_mut(..key_len.saturating_mul(5)).ok_or(CryptoError)?;
        let shared_info = request.shared_info().ok_or(CryptoError)?;
        x963::<H>(secrets.expose(), &shared_info, keys)?;
        Ok(Self { raw, key_len })
    }

    /// One key, from 0: receipt, S-ENC, S-MAC, S-RMAC, S-DEK.
    fn key(&self, n: usize) -> &[u8] {
        self.raw.chunks_exact(self.key_len.max(1)).nth(n).unwrap_or_default()
    }

    /// S-ENC ‖ S-MAC ‖ S-RMAC, zero filled, as [`crate::scp03::session_keys::RAW_LEN`] has it.
    #[must_use]
    pub fn messaging(&self) -> Zeroizing<[u8; crate::scp03::session_keys::RAW_LEN]> {
        let mut out = Zeroizing::new([0; crate::scp03::session_keys::RAW_LEN]);
        let keys = self.key(1).iter().chain(self.key(2)).chain(self.key(3));
        out.iter_mut().zip(keys).for_each(|(to, from)| *to = *from);
        out
    }

    /// The session's data encryption key.
    #[must_use]
    pub fn dek(&self) -> &[u8] {
        self.key(4)
    }

    /// Bytes of each key.
    #[must_use]
    pub const fn key_len(&self) -> usize {
        self.key_len
    }

    /// The card's proof that it has the keys, over the data of the command and the data object with its own point.
    ///
    /// # Errors
    /// None in fact: the key length was checked.
    pub fn receipt(&self, command_data: &[u8], card_point: &[u8]) -> Result<[u8; 16], CryptoError> {
        Ok(mac::cmac(&Aes::new(self.key(0))?, &[command_data, card_point]))
    }
}
