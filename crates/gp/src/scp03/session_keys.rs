//! Static key sets and the session keys derived from them. [AmdD 6.2.1, 4.1.5]

use core::fmt;

use huiwan_crypto::{Aes, CryptoError, Wiped, kdf};

/// Derivation constant of S-ENC. [AmdD table 4-1]
pub const S_ENC: u8 = 0x04;
/// Derivation constant of S-MAC.
pub const S_MAC: u8 = 0x06;
/// Derivation constant of S-RMAC.
pub const S_RMAC: u8 = 0x07;

/// The static keys of one key version: ENC (KID 01), MAC (KID 02) and DEK (KID 03), all of one length.
#[derive(Clone)]
pub struct StaticKeys {
    enc: Aes,
    mac: Aes,
    dek: Aes,
}

impl StaticKeys {
    /// Takes three AES keys of 16, 24 or 32 bytes each.
    ///
    /// # Errors
    /// [`CryptoError`] if the lengths differ or are no AES key length.
    pub fn new(enc: &[u8], mac: &[u8], dek: &[u8]) -> Result<Self, CryptoError> {
        if enc.len() != mac.len() || enc.len() != dek.len() {
            return Err(CryptoError);
        }
        Ok(Self { enc: Aes::new(enc)?, mac: Aes::new(mac)?, dek: Aes::new(dek)? })
    }

    /// The static ENC key.
    #[must_use]
    pub fn enc(&self) -> &Aes {
        &self.enc
    }

    /// The data encryption key.
    #[must_use]
    pub fn dek(&self) -> &Aes {
        &self.dek
    }

    /// Bytes of each key.
    #[must_use]
    pub fn key_len(&self) -> usize {
        self.enc.key_len()
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("key_len", &self.key_len()).finish_non_exhaustive()
    }
}

/// Session keys as bytes, for a card that keeps its session in volatile memory: S-ENC, S-MAC, S-RMAC of `key_len` bytes each.
pub const RAW_LEN: usize = 96;

/// The keys of one session.
#[derive(Clone)]
pub struct SessionKeys {
    pub(crate) enc: Aes,
    pub(crate) mac: Aes,
    pub(crate) rmac: Aes,
}

impl SessionKeys {
    /// Derives the keys of the session between these two challenges.
    ///
    /// # Errors
    /// [`CryptoError`] if the derivation fails.
    pub fn derive(
        keys: &StaticKeys,
        host_challenge: &[u8],
        card_challenge: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut raw = Wiped::new();
        derive_raw(keys, host_challenge, card_challenge, &mut raw)?;
        Self::from_raw(&raw, keys.key_len())
    }

    /// Takes keys already derived (see [`derive_raw`]).
    ///
    /// # Errors
    /// [`CryptoError`] if `key_len` is no AES key length.
    pub fn from_raw(raw: &[u8; RAW_LEN], key_len: usize) -> Result<Self, CryptoError> {
        match key_len {
            16 => Self::of::<16>(raw),
            24 => Self::of::<24>(raw),
            32 => Self::of::<32>(raw),
            _ => Err(CryptoError),
        }
    }

    fn of<const LEN: usize>(raw: &[u8; RAW_LEN]) -> Result<Self, CryptoError>
    where
        for<'k> Aes: From<&'k [u8; LEN]>,
    {
        let ([enc, mac, rmac, ..], _) = raw.as_chunks::<LEN>() else { return Err(CryptoError) };
        Ok(Self { enc: enc.into(), mac: mac.into(), rmac: rmac.into() })
    }
}

/// Which of the session keys, in the order of [`derive_raw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// S-ENC.
    Enc,
    /// S-MAC.
    Mac,
    /// S-RMAC.
    RMac,
}

/// One key of those derived, expanded: a card wants one or two for a command.
///
/// # Errors
/// [`CryptoError`] if `key_len` is no AES key length.
pub fn expand(raw: &[u8; RAW_LEN], key_len: usize, name: Name) -> Result<Aes, CryptoError> {
    let at = key_len.checked_mul(name as usize).ok_or(CryptoError)?;
    Aes::new(raw.get(at..).and_then(|rest| rest.get(..key_len)).ok_or(CryptoError)?)
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").finish_non_exhaustive()
    }
}

/// Derives the session keys as bytes: S-ENC ‖ S-MAC ‖ S-RMAC, each as long as a static key, zero filled behind.
///
/// # Errors
/// [`CryptoError`] if the static keys have no AES key length.
pub fn derive_raw(
    keys: &StaticKeys,
    host_challenge: &[u8],
    card_challenge: &[u8],
    raw: &mut [u8; RAW_LEN],
) -> Result<(), CryptoError> {
    raw.fill(0);
    let context: [&[u8]; 2] = [host_challenge, card_challenge];
    let (enc, rest) = raw.split_at_mut_checked(keys.key_len()).ok_or(CryptoError)?;
    let (mac, rest) = rest.split_at_mut_checked(keys.key_len()).ok_or(CryptoError)?;
    let (rmac, _) = rest.split_at_mut_checked(keys.key_len()).ok_or(CryptoError)?;
    kdf::scp03(&keys.enc, S_ENC, &context, enc)?;
    kdf::scp03_each(&keys.mac, &context, [(S_MAC, mac), (S_RMAC, rmac)])
}
