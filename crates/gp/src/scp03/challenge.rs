//! The pseudo-random card challenge and its 3-byte sequence counter. [AmdD 6.2.2.1]

use huiwan_crypto::{CryptoError, kdf};

use super::{Mode, Octets, StaticKeys};

/// Derivation constant of the card challenge. [AmdD table 4-1]
pub const CHALLENGE: u8 = 0x02;

/// The card challenge for a counter value, on the application the channel is opened on.
///
/// `aid` is that of the selected application whose security domain serves the channel, not always that of the domain.
///
/// # Errors
/// [`CryptoError`] if the derivation fails.
pub fn pseudo_random(
    keys: &StaticKeys,
    counter: Counter,
    aid: &[u8],
    mode: Mode,
) -> Result<Octets, CryptoError> {
    let mut out = Octets::zero(mode);
    kdf::scp03(keys.enc(), CHALLENGE, &[&counter.to_bytes(), aid], out.as_mut())?;
    Ok(out)
}

/// The sequence counter: 3 bytes big endian, raised at every INITIALIZE UPDATE before its value is used, never wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(u32);

impl Counter {
    /// The value after new keys were put.
    pub const ZERO: Self = Self(0);
    /// The last value; no session can be opened after it.
    pub const LAST: Self = Self(0x00FF_FFFF);

    /// Reads the counter.
    #[must_use]
    pub const fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The counter on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// The value before this one; `None` for [`Self::ZERO`].
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(before) => Some(Self(before)),
            None => None,
        }
    }

    /// The value of the next session; `None` at the end of the counter.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 >= Self::LAST.0 { None } else { Some(Self(self.0.wrapping_add(1))) }
    }
}
