//! Check values of keys, PIN blocks, and values as a security domain that follows CPS hands them on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_crypto::{Both, Secret, Suite, Tdes};
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{
    DGI_PIN, DGI_PIN_BLOCK, Grouping, KeyCheck, KeyData, Personalisation, dgi_key, dgi_key_check,
};
use huiwan_purse::profile::Profile;
use huiwan_tlv::dgi::Dgis;
use world::bank::{debit, issued, key, store};
use world::by_hand::init;
use world::{RamBand, hex};

const SELECT_ISSUER: &str = "00A4040008A00000015100000000";
const VERIFY: &str = "0020000003123456";

type Key = <Both as Suite>::Key;

fn purchase_key(algorithm: u8, version: u8) -> KeyData {
    let value = Secret::new(key(KeyKind::Purchase).try_into().unwrap());
    KeyData { kind: KeyKind::Purchase, index: 1, version, algorithm, tries: 0, value }
}

fn at_issuer() -> RamBand {
    let mut band = issued(Profile::PBOC);
    band.ok(SELECT_ISSUER);
    band
}

/// A block under the key, by the block cipher alone.
fn check_by_hand(key: &[u8], algorithm: u8) -> [u8; 3] {
    use huiwan_crypto::Sm4;
    let block = match algorithm {
        4 => Sm4::new(key.try_into().unwrap()).encrypt_block(&[2; 16]).to_vec(),
        _ => Tdes::new2(key.try_into().unwrap()).encrypt_block(&[0; 8]).to_vec(),
    };
    block[..3].try_into().unwrap()
}

#[test]
fn check_values_are_those_of_the_algorithm() {
    for algorithm in [0, 1, 4] {
        let key = purchase_key(algorithm, 7);
        let check = KeyCheck::of::<Key>(&key).unwrap();
        assert_eq!(check.value, check_by_hand(key.value.expose(), algorithm));
        let bytes = check.to_bytes();
        assert_eq!(bytes[..3], [1, 7, algorithm]);
        assert_eq!(KeyCheck::parse(KeyKind::Purchase, &bytes), Ok(check));
        for len in [0, 5] {
            assert_eq!(KeyCheck::parse(KeyKind::Purchase, &bytes[..len]).unwrap_err().at(), len);
        }
    }
    assert!(KeyCheck::of::<Key>(&purchase_key(9, 1)).is_err(), "no such algorithm");
    // Zeros under 3DES with a known answer. [FIPS 46-3: the all-zero key]
    let zeros = KeyData { value: Secret::new([0; 16]), ..purchase_key(0, 1) };
    assert_eq!(KeyCheck::of::<Key>(&zeros).unwrap().value, [0x8C, 0xA6, 0x4D]);
}

#[test]
fn a_right_check_value_changes_nothing_and_a_wrong_one_takes_the_key() {
    let check = KeyCheck::of::<Key>(&purchase_key(1, 1)).unwrap();
    let mut band = at_issuer();
    band.ok(&store(dgi_key_check(KeyKind::Purchase), &check.to_bytes()));
    band.select();
    let answer = init(&mut band, 6, 1);
    band.ok(&debit(&answer, 6, 1));
    let wrong = |f: &dyn Fn(&mut KeyCheck)| {
        let mut other = check;
        f(&mut other);
        other.to_bytes()
    };
    for other in [wrong(&|c| c.value[2] ^= 1), wrong(&|c| c.version = 2), wrong(&|c| c.algorithm = 0)] {
        let mut band = at_issuer();
        band.expect(&store(dgi_key_check(KeyKind::Purchase), &other), "6982");
        // Gone: neither a second check nor a purchase finds it.
        band.expect(&store(dgi_key_check(KeyKind::Purchase), &check.to_bytes()), "6985");
        band.select();
        band.expect("805001020B01000000013000890003400F", "9403");
        // Personalised again, it is there again.
        band.ok(SELECT_ISSUER);
        band.ok(&store(dgi_key(KeyKind::Purchase), purchase_key(1, 1).to_bytes().expose()));
        band.ok(&store(dgi_key_check(KeyKind::Purchase), &check.to_bytes()));
        band.select();
        let answer = init(&mut band, 6, 1);
        band.ok(&debit(&answer, 6, 1));
    }
    let mut band = at_issuer();
    for (dgi, value, sw) in [
        (0x9001, &check.to_bytes()[..5], "6A80"),
        (0x9001, &wrong(&|c| c.algorithm = 9), "6A80"),
        (0x9001, &wrong(&|c| c.index = 2), "6985"),
        (0x9001, &wrong(&|c| c.algorithm = 4), "6985"),
        (0x9009, &check.to_bytes(), "6985"),
        (0x90FF, &check.to_bytes(), "6A88"),
    ] {
        band.expect(&store(dgi, value), sw);
    }
    assert_eq!(Grouping::from_dgi(0x9001), Some(Grouping::KeyCheck(KeyKind::Purchase)));
}

#[test]
fn the_padding_of_a_domain_that_follows_cps_is_taken() {
    let mut band = at_issuer();
    let value = purchase_key(1, 1).to_bytes();
    for (len, padded) in [(20, 24), (20, 32), (19, 24), (19, 32)] {
        let mut value = match len {
            20 => value.expose().to_vec(),
            _ => [&value.expose()[..3], &value.expose()[4..]].concat(),
        };
        value.push(0x80);
        value.resize(padded, 0);
        band.ok(&store(dgi_key(KeyKind::Purchase), &value));
        let check = KeyCheck::of::<Key>(&purchase_key(1, 1)).unwrap();
        band.ok(&store(dgi_key_check(KeyKind::Purchase), &check.to_bytes()));
        *value.last_mut().unwrap() = 1;
        band.expect(&store(dgi_key(KeyKind::Purchase), &value), "6A80");
    }
}

#[test]
fn the_pin_comes_as_a_block() {
    let mut band = at_issuer();
    for block in ["26654321FFFFFFFF", "26654321FFFFFFFF 8000000000000000"] {
        band.ok(&store(DGI_PIN_BLOCK, &huiwan_testkit::hex(block)));
    }
    for wrong in
        ["16654321FFFFFFFF", "27654321FFFFFFFF", "26654321FFFFFF00", "26654321FFFFFF", "2F6543210987FFFF"]
    {
        band.expect(&store(DGI_PIN_BLOCK, &huiwan_testkit::hex(wrong)), "6A80");
    }
    band.select();
    band.expect(VERIFY, "63C2");
    band.ok("0020000003654321");
}

#[test]
fn the_host_writes_checks_behind_keys_and_pins_as_blocks() {
    let keys = [purchase_key(1, 1)];
    let checks = [KeyCheck::of::<Key>(&keys[0]).unwrap()];
    for (pin, expected) in [
        (&[0x12, 0x34, 0x56][..], (DGI_PIN_BLOCK, "26123456FFFFFFFF")),
        (&[0x12, 0x34, 0x5F], (DGI_PIN_BLOCK, "2512345FFFFFFFFF")),
        // No block has less than four digits.
        (&[0x12, 0x3F], (DGI_PIN, "123F")),
    ] {
        let card =
            Personalisation { pin: Some(pin), keys: &keys, checks: &checks, ..Personalisation::default() };
        let mut out = [0; 256];
        let written: Vec<_> = Dgis::new(card.write(&mut out).unwrap()).map(Result::unwrap).collect();
        let ids: Vec<_> = written.iter().map(|dgi| dgi.id).collect();
        assert_eq!(ids[..3], [0x8001, 0x9001, expected.0]);
        assert_eq!(written[1].value, checks[0].to_bytes());
        assert_eq!(hex(written[2].value), expected.1);
    }
}
