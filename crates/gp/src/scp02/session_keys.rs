//! Static key sets, the sequence counter, and the session keys derived from both. [GPC E.4.1]

use core::fmt;

use huiwan_crypto::{BlockKey, CryptoError, Tdes, Wiped};
use zeroize::Zeroizing;

/// Derivation constant of S-ENC.
pub const S_ENC: [u8; 2] = [0x01, 0x82];
/// Derivation constant of the C-MAC session key.
pub const C_MAC: [u8; 2] = [0x01, 0x01];
/// Derivation constant of the R-MAC session key.
pub const R_MAC: [u8; 2] = [0x01, 0x02];
/// Derivation constant of the session's data encryption key.
pub const DEK: [u8; 2] = [0x01, 0x81];

/// The static keys of one key version: ENC (KID 01), MAC (KID 02) and DEK (KID 03), or one base key in all three places.
#[derive(Clone)]
pub struct StaticKeys {
    enc: Tdes,
    mac: Tdes,
    dek: Tdes,
}

impl StaticKeys {
    /// Takes three double-length DES keys, 16 bytes each.
    ///
    /// # Errors
    /// [`CryptoError`] for any other length.
    pub fn new(enc: &[u8], mac: &[u8], dek: &[u8]) -> Result<Self, CryptoError> {
        let key = |key: &[u8]| key.try_into().map(Tdes::new2).map_err(|_| CryptoError);
        Ok(Self { enc: key(enc)?, mac: key(mac)?, dek: key(dek)? })
    }

    /// Takes the one base key everything is derived from ("i" b1 = 0).
    ///
    /// # Errors
    /// [`CryptoError`] if it is not 16 bytes.
    pub fn base(key: &[u8]) -> Result<Self, CryptoError> {
        Self::new(key, key, key)
    }

    /// The static ENC key.
    #[must_use]
    pub fn enc(&self) -> &Tdes {
        &self.enc
    }

    /// The static MAC key.
    #[must_use]
    pub fn mac(&self) -> &Tdes {
        &self.mac
    }

    /// The static data encryption key.
    #[must_use]
    pub fn dek(&self) -> &Tdes {
        &self.dek
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").finish_non_exhaustive()
    }
}

/// The sequence counter of a key set: 2 bytes big endian, raised by the first good C-MAC of a session, never wrapping. [GPC E.1.2.3]
///
/// A session uses the value before it was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u16);

impl Sequence {
    /// The value after new keys were put.
    pub const ZERO: Self = Self(0);
    /// The last value; no session can be opened with it.
    pub const LAST: Self = Self(u16::MAX);

    /// Reads the counter.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }

    /// The counter on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// The value once this one's session is open; `None` at the end of the counter.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

/// Bytes of one session key.
pub const KEY_LEN: usize = 16;
/// Session keys as bytes, for a card that keeps its session in volatile memory: S-ENC, C-MAC, the R-MAC key of EXTERNAL AUTHENTICATE,
/// the R-MAC key of BEGIN R-MAC SESSION, DEK.
pub const RAW_LEN: usize = 80;

/// The keys of one session.
#[derive(Clone)]
pub struct SessionKeys {
    pub(crate) enc: Tdes,
    pub(crate) c_mac: Tdes,
    /// R-MAC from EXTERNAL AUTHENTICATE on.
    pub(crate) r_mac: Tdes,
    /// R-MAC from BEGIN R-MAC SESSION on.
    pub(crate) r_mac_later: Tdes,
    pub(crate) dek: Tdes,
}

impl SessionKeys {
    /// Derives the keys of the session with this counter.
    ///
    /// # Errors
    /// [`CryptoError`] at the end of the counter.
    pub fn derive(keys: &StaticKeys, sequence: Sequence) -> Result<Self, CryptoError> {
        let mut raw = Wiped::new();
        derive_raw(keys, sequence, &mut raw)?;
        Self::from_raw(&raw)
    }

    /// Takes keys already derived (see [`derive_raw`]).
    ///
    /// # Errors
    /// None in fact: five keys of 16 bytes are what `raw` is made of.
    pub fn from_raw(raw: &[u8; RAW_LEN]) -> Result<Self, CryptoError> {
        let ([enc, c_mac, r_mac, later, dek], []) = raw.as_chunks::<KEY_LEN>() else {
            return Err(CryptoError);
        };
        Ok(Self {
            enc: Tdes::new2(enc),
            c_mac: Tdes::new2(c_mac),
            r_mac: Tdes::new2(r_mac),
            r_mac_later: Tdes::new2(later),
            dek: Tdes::new2(dek),
        })
    }
}

/// Which of the session keys, in the order of [`derive_raw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// S-ENC.
    Enc,
    /// The C-MAC key.
    CMac,
    /// The R-MAC key from EXTERNAL AUTHENTICATE on.
    RMac,
    /// The R-MAC key from BEGIN R-MAC SESSION on.
    RMacLater,
    /// The data encryption key.
    Dek,
}

/// One key of those derived, expanded: a card wants one or two for a command, and five would be 2 kB.
///
/// # Errors
/// None in fact: five keys of 16 bytes are what `raw` is made of.
pub fn expand(raw: &[u8; RAW_LEN], name: Name) -> Result<Tdes, CryptoError> {
    let (keys, _) = raw.as_chunks::<KEY_LEN>();
    keys.get(name as usize).map(Tdes::new2).ok_or(CryptoError)
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").finish_non_exhaustive()
    }
}

/// One session key: constant ‖ counter ‖ zeros in CBC under the static key.
///
/// # Errors
/// None in fact: the message is two blocks.
pub fn derive_key(
    key: &Tdes,
    constant: [u8; 2],
    sequence: Sequence,
) -> Result<Zeroizing<[u8; KEY_LEN]>, CryptoError> {
    let mut out = Zeroizing::new([0; KEY_LEN]);
    for (to, from) in out.iter_mut().zip(constant.into_iter().chain(sequence.to_bytes())) {
        *to = from;
    }
    key.encrypt_cbc(&[0; 8], &mut *out)?;
    Ok(out)
}

/// Derives the session keys as bytes, see [`RAW_LEN`].
///
/// An R-MAC session uses the counter of the moment it starts: the session's own when EXTERNAL AUTHENTICATE asks for it, the raised one
/// when BEGIN R-MAC SESSION comes later. [GPC E.4.1]
///
/// # Errors
/// [`CryptoError`] at the end of the counter.
pub fn derive_raw(keys: &StaticKeys, sequence: Sequence, raw: &mut [u8; RAW_LEN]) -> Result<(), CryptoError> {
    raw.fill(0);
    let raised = sequence.next().ok_or(CryptoError)?;
    let parts = [
        (&keys.enc, S_ENC, sequence),
        (&keys.mac, C_MAC, sequence),
        (&keys.mac, R_MAC, sequence),
        (&keys.mac, R_MAC, raised),
        (&keys.dek, DEK, sequence),
    ];
    for (to, (key, constant, sequence)) in raw.chunks_exact_mut(KEY_LEN).zip(parts) {
        to.copy_from_slice(&*derive_key(key, constant, sequence)?);
    }
    Ok(())
}
