//! Secure Channel Protocol 01 over triple DES, for legacy cards: the host's side alone. [GPC D, deprecated]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{BlockKey, CryptoError, Tdes};
use zeroize::Zeroizing;

use crate::scp02::StaticKeys;
use crate::secure_channel::Level;

/// The protocol number in an INITIALIZE UPDATE answer.
pub const SCP: u8 = 0x01;

/// The "i" parameter. The answer to INITIALIZE UPDATE does not tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Options {
    /// C-MACs chain as they are.
    #[default]
    I05,
    /// C-MACs are encrypted under the C-MAC session key before they chain.
    I15,
}

impl Options {
    /// The byte in card recognition data.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::I05 => 0x05,
            Self::I15 => 0x15,
        }
    }

    /// Reads "i"; `None` for any other.
    #[must_use]
    pub const fn from_byte(i: u8) -> Option<Self> {
        match i {
            0x05 => Some(Self::I05),
            0x15 => Some(Self::I15),
            _ => None,
        }
    }
}

/// Whether a session of this level can be opened: responses are never protected.
#[must_use]
pub const fn allows(level: Level) -> bool {
    matches!(level, Level::Authenticated | Level::CMac | Level::CMacCEnc)
}

/// The keys of one session; the data encryption key stays the static one.
#[derive(Clone)]
pub struct SessionKeys {
    pub(crate) enc: Tdes,
    pub(crate) mac: Tdes,
    pub(crate) dek: Tdes,
}

impl core::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionKeys").finish_non_exhaustive()
    }
}

impl SessionKeys {
    /// Derives the keys of the session between these two challenges.
    ///
    /// # Errors
    /// None in fact: the message is two blocks.
    pub fn derive(
        keys: &StaticKeys,
        host_challenge: &[u8; 8],
        card_challenge: &[u8; 8],
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            enc: Tdes::new2(&*derive_key(keys.enc(), host_challenge, card_challenge)?),
            mac: Tdes::new2(&*derive_key(keys.mac(), host_challenge, card_challenge)?),
            dek: keys.dek().clone(),
        })
    }
}

/// One session key.
///
/// # Errors
/// None in fact: the message is two blocks.
pub fn derive_key(
    key: &Tdes,
    host_challenge: &[u8; 8],
    card_challenge: &[u8; 8],
) -> Result<Zeroizing<[u8; 16]>, CryptoError> {
    let ([host_left, host_right], []) = host_challenge.as_chunks::<4>() else { return Err(CryptoError) };
    let ([card_left, card_right], []) = card_challenge.as_chunks::<4>() else { return Err(CryptoError) };
    let mut out = Zeroizing::new([0; 16]);
    let parts = [card_right, host_left, card_left, host_right];
    out.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    key.encrypt_ecb(&mut *out)?;
    Ok(out)
}

/// The card's proof, over host challenge ‖ card challenge.
#[must_use]
pub fn card_cryptogram(keys: &SessionKeys, host_challenge: &[u8; 8], card_challenge: &[u8; 8]) -> [u8; 8] {
    mac::alg1_tdes(&keys.enc, &[0; 8], &[host_challenge, card_challenge], Padding::Method2)
}

/// The host's proof, over card challenge ‖ host challenge.
#[must_use]
pub fn host_cryptogram(keys: &SessionKeys, host_challenge: &[u8; 8], card_challenge: &[u8; 8]) -> [u8; 8] {
    mac::alg1_tdes(&keys.enc, &[0; 8], &[card_challenge, host_challenge], Padding::Method2)
}

/// The C-MAC over the modified header and the plain data, chained from the one before; zeros for the first.
#[must_use]
pub fn c_mac(
    options: Options,
    keys: &SessionKeys,
    previous: Option<[u8; 8]>,
    header: &[u8],
    data: &[u8],
) -> [u8; 8] {
    let icv = match (previous, options) {
        (None, _) => [0; 8],
        (Some(mac), Options::I05) => mac,
        (Some(mac), Options::I15) => keys.mac.encrypt_block(&mac),
    };
    mac::alg1_tdes(&keys.mac, &icv, &[header, data], Padding::Method2)
}

/// Bytes of `len` bytes of data once encrypted: behind a length byte, padded only to whole blocks. No data stays no data.
#[must_use]
pub const fn encrypted_len(len: usize) -> usize {
    if len == 0 { 0 } else { len.saturating_add(1).next_multiple_of(8) }
}

/// Encrypts `data` into `out`, which has [`encrypted_len`] bytes.
///
/// # Errors
/// [`CryptoError`] if it has not, or the data is longer than 255 bytes.
pub fn encrypt(keys: &SessionKeys, data: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
    if out.len() != encrypted_len(data.len()) {
        return Err(CryptoError);
    }
    if data.is_empty() {
        return Ok(());
    }
    let len = u8::try_from(data.len()).map_err(|_| CryptoError)?;
    let padded = [len].into_iter().chain(data.iter().copied()).chain([0x80]).chain(core::iter::repeat(0));
    out.iter_mut().zip(padded).for_each(|(to, from)| *to = from);
    keys.enc.encrypt_cbc(&[0; 8], out)
}
