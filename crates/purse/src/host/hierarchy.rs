//! From the root to the card: which key belongs to which level. [sheet 2.2, correction 5]
//!
//! ```text
//! root ─ issuer, city or region ─ card        (the levels of a `Path`, in its order)
//! ```
//! A level's key does for everything below it and nothing beside it: a city's PSAMs hold the city's purchase key and
//! derive cards of that city only; the root stays with the scheme.

use huiwan_crypto::{CryptoError, Suite};

use crate::keys::{self, CardId, KeyKind, Path};
use crate::personalisation::KeyData;
use crate::psam::SamKey;

/// Keys of one level, and the levels from there to a card.
///
/// Master keys are of any kinds, versions and algorithms; every one goes down the same path.
#[derive(Debug, Clone)]
pub struct Hierarchy<const KEYS: usize> {
    keys: [KeyData; KEYS],
    path: Path,
}

impl<const KEYS: usize> Hierarchy<KEYS> {
    /// Keys that `path` leads from, such as [`Profile::path`](crate::profile::Profile::path) from a scheme's master keys.
    #[must_use]
    pub const fn new(keys: [KeyData; KEYS], path: Path) -> Self {
        Self { keys, path }
    }

    /// The levels below.
    #[must_use]
    pub const fn path(&self) -> Path {
        self.path
    }

    /// The keys of this level.
    #[must_use]
    pub const fn keys(&self) -> &[KeyData; KEYS] {
        &self.keys
    }

    /// The hierarchy that begins `levels` further down, on the branch that `card` is on; only the factors of those levels
    /// matter of it. More levels than there are end at the card.
    ///
    /// # Errors
    /// If an algorithm byte is unknown or outside the suite.
    pub fn below<S: Suite>(&self, levels: usize, card: &CardId) -> Result<Self, CryptoError> {
        let (down, path) = self.path.split_at(levels.min(self.path.len()));
        let mut keys = self.keys.clone();
        for key in &mut keys {
            key.value = keys::derive::<S::Key>(key.algorithm, &key.value, card, down)?;
        }
        Ok(Self { keys, path })
    }

    /// Every key of `card`, with kind, index, version and algorithm of its master key.
    ///
    /// # Errors
    /// If an algorithm byte is unknown or outside the suite.
    pub fn card_keys<S: Suite>(&self, card: &CardId) -> Result<[KeyData; KEYS], CryptoError> {
        self.below::<S>(self.path.len(), card).map(|card| card.keys)
    }

    /// The key of this level that a card of this kind, version and algorithm of key is below of.
    #[must_use]
    pub fn find(&self, kind: KeyKind, version: u8, algorithm: u8) -> Option<&KeyData> {
        self.keys.iter().find(|key| (key.kind, key.version, key.algorithm) == (kind, version, algorithm))
    }

    /// The purchase keys of this level, for a PSAM that derives along [`path`](Self::path).
    pub fn sam_keys(&self) -> impl Iterator<Item = SamKey> + '_ {
        self.keys.iter().filter(|key| key.kind == KeyKind::Purchase).map(|key| SamKey {
            version: key.version,
            algorithm: key.algorithm,
            value: key.value.clone(),
        })
    }
}
