//! The body of the fuzz target `gp_card_any_apdu` on arbitrary inputs and on its seeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod any_apdu;
mod scp11_host;
mod support;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_input(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        any_apdu::run(&input);
    }

    /// Mostly commands that make sense, on channels that open.
    #[test]
    fn any_order(operations in proptest::collection::vec((0..10_u8, any::<u8>(), any::<u8>(), any::<u8>()), 1..60)) {
        let mut input = vec![1, 0, 2, 0, 1];
        for (kind, a, b, c) in operations {
            match kind {
                0 => input.extend([1, a % 7, 2, u8::from(a % 7 == 1), b]),
                1 => input.extend([5, a, b, c]),
                2 => input.extend([6, a, b]),
                3 => input.push(7),
                8 => input.extend([8, a]),
                9 => input.extend([9, a, b, if c & 1 == 0 { 0 } else { c }]),
                _ => input.extend([4, a]),
            }
        }
        any_apdu::run(&input);
    }
}

#[test]
fn seeds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/gp_card_any_apdu");
    let mut count = 0;
    for seed in std::fs::read_dir(folder).unwrap() {
        any_apdu::run(&std::fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 5);
}
