//! The keys of a card to be issued, from the scheme's master keys.

use huiwan_crypto::{CryptoError, Suite};

use super::hierarchy::Hierarchy;
use crate::keys::{self, CardId};
use crate::personalisation::KeyData;
use crate::profile::Profile;

/// The card's key that belongs to a master key: the same kind, index, version and algorithm, diversified along
/// [`Profile::path`].
///
/// # Errors
/// If the algorithm is outside the suite.
pub fn card_key<S: Suite>(
    profile: &Profile,
    master: &KeyData,
    card: &CardId,
) -> Result<KeyData, CryptoError> {
    let value = keys::derive::<S::Key>(master.algorithm, &master.value, card, profile.path)?;
    Ok(KeyData { value, ..master.clone() })
}

/// Every key of a card, as [`Personalisation::keys`](crate::personalisation::Personalisation::keys) wants them. Whoever
/// issues for one city has its branch of the [`Hierarchy`] and asks that.
///
/// # Errors
/// If an algorithm is outside the suite.
pub fn card_keys<S: Suite, const KEYS: usize>(
    profile: &Profile,
    masters: [KeyData; KEYS],
    card: &CardId,
) -> Result<[KeyData; KEYS], CryptoError> {
    Hierarchy::new(masters, profile.path).card_keys::<S>(card)
}
