//! The property of the fuzz target `card_any_apdu` on inputs proptest makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, missing_docs)]

mod any_apdu;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_band_in_foreign_hands_keeps_money_and_secrets(input in prop::collection::vec(any::<u8>(), 0..600)) {
        any_apdu::run(&input);
    }
}

/// A payment of 1.00 in full, so that the property is known to reach money that moves.
#[test]
fn an_offline_payment_is_seen_by_the_ledger() {
    let mut input = vec![5, 0, 1, 0, 2];
    input.extend([
        0x26, 0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x56, 0, 0, 0, 0, 0, 0x01, 0x56,
    ]);
    input.extend([0x26, 0x11, 0x22, 0, 1, 2, 3, 4]);
    for (file, records) in [(2, 3), (3, 2)] {
        for record in 1..=records {
            input.extend([3, record, file]);
        }
    }
    assert_eq!(any_apdu::run(&input), (1_00, 1_00));
}
