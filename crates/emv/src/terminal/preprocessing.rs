//! Before a card is looked for: does this amount allow the combination, and what does the TTQ say? `[EMV-B-A 5.2;
//! JR/T 0025.12 6.2]`

use super::configuration::Combination;
use crate::data::amount::Amount;
use crate::qualifiers::Ttq;

/// The TTQ of one transaction; `None` when the combination isn't allowed for this amount.
///
/// ```
/// use huiwan_emv::data::amount::Amount;
/// use huiwan_emv::qualifiers::Ttq;
/// use huiwan_emv::terminal::{Combination, Limits, preprocessing::preprocess};
/// # let aid = huiwan_apdu::Aid::from_array([0xA0, 0, 0, 3, 0x33, 1, 1, 1]);
/// let limits = Limits { cvm: Amount::new(300_00), ..Limits::NONE };
/// let combination = Combination::quick_pass(aid, Ttq([0x26, 0, 0, 0])).with_limits(limits);
/// assert_eq!(preprocess(&combination, Amount::new(299_99).unwrap()), Some(Ttq([0x26, 0, 0, 0])));
/// assert_eq!(preprocess(&combination, Amount::new(300_00).unwrap()), Some(Ttq([0x26, 0x40, 0, 0])));
/// ```
#[must_use]
pub fn preprocess(combination: &Combination, amount: Amount) -> Option<Ttq> {
    let limits = &combination.limits;
    // The two bits of a transaction are cleared before the tests set them. (correction 6)
    let mut ttq = combination.ttq.with_online_cryptogram_required(false).with_cvm_required(false);
    if limits.status_check == Some(amount) {
        ttq = ttq.with_online_cryptogram_required(true);
    }
    if amount == Amount::ZERO && !limits.zero_is_allowed {
        if ttq.offline_only() {
            return None;
        }
        ttq = ttq.with_online_cryptogram_required(true);
    }
    if limits.transaction.is_some_and(|limit| amount >= limit) {
        return None;
    }
    if limits.cvm.is_some_and(|limit| amount >= limit) {
        ttq = ttq.with_cvm_required(true);
    }
    if limits.floor.is_some_and(|limit| amount > limit) {
        ttq = ttq.with_online_cryptogram_required(true);
    }
    Some(ttq)
}
