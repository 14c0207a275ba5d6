//! The well-known pseudo-random card challenge ("i" b7). [GPC E.4.2.3]

use huiwan_crypto::Tdes;
use huiwan_crypto::mac::{self, Padding};

use super::{CARD_CHALLENGE_LEN, SessionKeys};

/// The card challenge of a session on the application with this AID: the head of a MAC over it.
///
/// `aid` is that of the selected application whose security domain serves the channel, not always that of the domain.
#[must_use]
pub fn predictable(keys: &SessionKeys, aid: &[u8]) -> [u8; CARD_CHALLENGE_LEN] {
    predictable_under(&keys.c_mac, aid)
}

/// [`predictable`] for who has the C-MAC key alone.
pub(crate) fn predictable_under(c_mac: &Tdes, aid: &[u8]) -> [u8; CARD_CHALLENGE_LEN] {
    let [a, b, c, d, e, f, ..] = mac::alg3(c_mac, &[0; 8], &[aid], Padding::Method2);
    [a, b, c, d, e, f]
}
