//! No key prints itself, every key is wiped.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::rsa::RsaPrivate;
use huiwan_crypto::sm2::Sm2Private;
use huiwan_crypto::{Aes, Algorithm, Both, BothKey, Des, Secret, Sm4, Suite, SuiteKey, Tdes};
use huiwan_testkit::vectors;
use zeroize::ZeroizeOnDrop;

/// No two bytes of the key in hexadecimal, and no byte list.
fn silent(what: &dyn std::fmt::Debug, keys: &[&[u8]]) {
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        let text = text.to_uppercase().replace(['_', ' ', ',', '\n'], "");
        for key in keys {
            for pair in key.windows(2) {
                let hex = format!("{:02X}{:02X}", pair[0], pair[1]);
                let list = format!("{}{}", pair[0], pair[1]);
                assert!(!text.contains(&hex) && !text.contains(&list), "{text} shows {hex}");
            }
        }
        assert!(text.len() < 80, "{text}");
    }
}

const KEY: [u8; 32] = [
    0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0xA7, 0xB8, 0xC9, 0xDA, 0xEB, 0xFC, 0xAD, 0xBE, 0xCF, 0xD1, 0xA2,
    0xB3, 0xC4, 0xD5, 0xE6, 0xF7, 0xA8, 0xB9, 0xCA, 0xDB, 0xEC, 0xFD, 0xAE, 0xBF, 0xC1, 0xD2,
];

#[test]
fn no_key_prints_itself() {
    let des = Des::new(KEY.first_chunk().unwrap());
    let tdes = Tdes::new2(KEY.first_chunk().unwrap());
    let aes = Aes::new(&KEY).unwrap();
    let sm4 = Sm4::new(KEY.first_chunk().unwrap());
    silent(&des, &[&KEY]);
    silent(&tdes, &[&KEY]);
    silent(&Tdes::new3(KEY.first_chunk().unwrap()), &[&KEY]);
    silent(&aes, &[&KEY]);
    silent(&sm4, &[&KEY]);
    silent(&Secret::new(KEY), &[&KEY]);
    silent(&Sm2Private::new(&KEY).unwrap(), &[&KEY]);
    let algorithms = [(Algorithm::Des, 8), (Algorithm::Tdes, 16), (Algorithm::Aes, 32), (Algorithm::Sm4, 16)];
    for (algorithm, len) in algorithms {
        let key: BothKey = <Both as Suite>::Key::new(algorithm, &KEY[..len]).unwrap();
        silent(&key, &[&KEY]);
    }
    // A MAC under way shows neither key nor message.
    let mut mac = mac::Cmac::new(&aes);
    mac.update(&KEY);
    silent(&mac, &[&KEY]);
    let mut mac = mac::Alg3::new(&tdes, &[0; 8], Padding::Method2);
    mac.update(&KEY);
    silent(&mac, &[&KEY]);
    let mut mac = mac::Alg1::new(&sm4, &[0; 16], Padding::Method2).unwrap();
    mac.update(&KEY);
    silent(&mac, &[&KEY]);

    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let v = file.block("rsa-2048-3");
    let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &[3]).unwrap();
    silent(&key, &key.expose_parts());
}

#[test]
fn every_key_is_wiped() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Des>();
    wiped::<Tdes>();
    wiped::<Aes>();
    wiped::<Sm4>();
    wiped::<Secret<16>>();
    wiped::<Sm2Private>();
    wiped::<RsaPrivate>();
    // The ciphers underneath do it because their `zeroize` feature is on.
    wiped::<::des::Des>();
    wiped::<::aes::Aes128>();
    wiped::<::sm4::Sm4>();
}
