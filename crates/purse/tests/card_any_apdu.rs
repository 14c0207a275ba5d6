//! The property of the fuzz target `purse_card_any_apdu` on inputs proptest makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, missing_docs, unreachable_pub)]

mod any_apdu;
mod world;

use proptest::prelude::*;

fn command() -> impl Strategy<Value = Vec<u8>> {
    let cla = prop_oneof![Just(0x00_u8), Just(0x04), Just(0x80), Just(0x84), any::<u8>()];
    let ins = prop_oneof![
        proptest::sample::select(
            &[0x50_u8, 0x52, 0x54, 0x58, 0x5A, 0x5C, 0x5E, 0x20, 0x24, 0x84, 0xA4, 0xB0][..]
        ),
        proptest::sample::select(&[0xB2_u8, 0xD6, 0xDC, 0xE2, 0x16, 0x18, 0x1E, 0xCA][..]),
        any::<u8>(),
    ];
    (cla, ins, 0_u8..6, 0_u8..4, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
        |(cla, ins, p1, p2, data)| {
            let mut step = vec![data.len() as u8 + 5, cla, ins, p1, p2, data.len() as u8];
            step.extend(data);
            step
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_purse_in_foreign_hands_keeps_its_money(
        scheme: u8,
        steps in proptest::collection::vec(
            prop_oneof![8 => command(), 1 => Just(vec![0xFF]), 1 => Just(vec![0xFE]), 1 => Just(vec![0xFD])],
            0..24,
        ),
    ) {
        any_apdu::run(&[&[scheme][..], &steps.concat()].concat());
    }
}
