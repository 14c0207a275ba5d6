//! The keys of a card to be issued, from the scheme's master keys.

use huiwan_crypto::{CryptoError, Suite};

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
