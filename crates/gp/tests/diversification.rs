//! Key diversification: published keys, and for the scheme nobody has published a second implementation from the table.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::diversification::{Purpose, Scheme, kdf3};
use huiwan_gp::put_key::KeyType;
use huiwan_testkit::vectors::{self, Block};

const VECTORS: &str = include_str!("vectors/diversification.txt");

fn purpose(v: &Block<'_>) -> Purpose {
    match v.text("in.key") {
        "ENC" => Purpose::Enc,
        "MAC" => Purpose::Mac,
        "DEK" => Purpose::Dek,
        other => panic!("{other}"),
    }
}

#[test]
fn triple_des_keys_are_as_published() {
    let file = vectors::load(VECTORS);
    let mut seen = 0;
    for v in file.group("diversify_3des") {
        let scheme = match v.text("in.scheme") {
            "visa" => Scheme::Visa1,
            "visa2" => Scheme::Visa2,
            "emv" => Scheme::Emv,
            other => panic!("{other}"),
        };
        let key = scheme.derive(&Tdes::new2(&v.array("in.master")), &v.array("in.kdd"), purpose(v));
        assert_eq!(key.expose()[..], v.bytes("out.diversified"), "{}", v.id());
        assert_eq!(KeyType::Des.check_value(key.expose()).unwrap()[..], v.bytes("out.kcv"), "{}", v.id());
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn aes_keys_are_as_published() {
    let file = vectors::load(VECTORS);
    let mut lengths = Vec::new();
    for v in file.group("diversify_kdf3") {
        let master = v.bytes("in.master");
        let mut key = vec![0; master.len()];
        kdf3(&Aes::new(&master).unwrap(), &v.array("in.kdd"), purpose(v), &mut key).unwrap();
        assert_eq!(key, v.bytes("out.diversified"), "{}", v.id());
        lengths.push(key.len());
    }
    lengths.sort_unstable();
    assert_eq!(lengths, [16, 16, 24, 32, 32, 32]);
}

#[test]
fn every_scheme_takes_its_six_bytes() {
    // From the table of the sheet, byte by byte. (weak: our own second implementation)
    let rows: [(Scheme, [usize; 6]); 3] = [
        (Scheme::Visa1, [0, 1, 2, 3, 8, 9]),
        (Scheme::Visa2, [0, 1, 4, 5, 6, 7]),
        (Scheme::Emv, [4, 5, 6, 7, 8, 9]),
    ];
    let kdd = [0xA0, 0xB1, 0xC2, 0xD3, 0xE4, 0xF5, 0x06, 0x17, 0x28, 0x39];
    let master = Tdes::new2(b"0123456789abcdef");
    for (scheme, places) in rows {
        for purpose in Purpose::ALL {
            let mut block = Vec::new();
            for mark in [0xF0, 0x0F] {
                block.extend(places.iter().map(|place| kdd[*place]));
                block.extend([mark, purpose.number()]);
            }
            master.encrypt_ecb(&mut block).unwrap();
            assert_eq!(scheme.derive(&master, &kdd, purpose).expose()[..], block, "{scheme:?} {purpose:?}");
        }
    }
}

#[test]
fn a_key_is_as_long_as_its_master() {
    let master = Aes::new(&[7; 24]).unwrap();
    for len in [0, 16, 23, 25, 32] {
        assert!(kdf3(&master, &[0; 10], Purpose::Enc, &mut vec![0; len]).is_err(), "{len}");
    }
}
