//! Any exchange of host and card, as the fuzz targets `scp02_pair`, `scp03_pair` and `scp11_pair` run it too, and their seeds.
#![allow(clippy::unwrap_used)]

mod pairs;

use proptest::prelude::*;

fn any_input() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 4..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn scp02(input in any_input()) {
        pairs::scp02(&input);
    }

    #[test]
    fn scp03(input in any_input()) {
        pairs::scp03(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn scp11(input in any_input()) {
        pairs::scp11(&input);
    }
}

#[test]
fn seeds() {
    type Body = fn(&[u8]);
    let bodies: [(&str, Body); 3] =
        [("scp02_pair", pairs::scp02), ("scp03_pair", pairs::scp03), ("scp11_pair", pairs::scp11)];
    for (target, body) in bodies {
        let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for seed in std::fs::read_dir(folder).unwrap() {
            body(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{target}");
    }
}
