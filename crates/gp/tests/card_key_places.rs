//! Which key is for what: a place of its own for each, a domain with keys of its own, and key sets that one sequence brings whole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![allow(clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use huiwan_card::Memory;
use huiwan_crypto::{Aes, BlockKey};
use huiwan_gp::card::{Factory, Scp11Profile, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::Fields;
use huiwan_gp::put_key::KeyType;
use huiwan_gp::scp11::Variant;
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::hex;
use scp11_host::*;
use support::{
    apdu, install, install_domain, new_memory, open, put_keys, run, select, test_keys, try_open, with_domains,
};

const DEFAULT: Scp11Profile = Scp11Profile::DEFAULT;
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];

fn sw<M: Memory>(card: &mut ScpCard<'_, M>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

/// Keys for tokens and for signatures of load files vouch for nobody who opens a channel, whatever certificates their holders sign.
#[test]
fn only_the_key_of_an_authority_vouches_for_hosts() {
    with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        for command in provisioning() {
            assert_eq!(sw(card, &mut session, &command), 0x9000);
        }
        for (version, id) in [(0x70, 0x01), (0x73, 0x01), (0x05, 0x0F), (0x05, 0x30), (0x05, 0x2F)] {
            let put = put_public(0, version, id, public(MIDDLE).as_bytes());
            assert_eq!(sw(card, &mut session, &put), 0x9000);
        }
        let certificate = gp_certificate(&[0x99, HOST], AGREEMENT, HOST, MIDDLE);
        for (version, id) in [(0x70, 0x01), (0x73, 0x01), (0x05, 0x0F), (0x05, 0x30)] {
            assert_eq!(
                card.sw(&apdu([0x80, 0x2A, version, id], &certificate)),
                0x6A88,
                "{version:02X} {id:02X}"
            );
            assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x6985);
        }
        assert_eq!(card.sw(&apdu([0x80, 0x2A, 0x05, 0x2F], &certificate)), 0x9000);
    });
}

/// A domain whose provider gave it keys of SCP11 is not opened by the keys of the domain above any more. [GPC 7.2]
#[test]
fn a_domain_with_keys_of_scp11_has_keys_of_its_own() {
    with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &install_domain(&BANK, [0x80, 0, 0], &[])), 0x9000);
        let dek = Aes::new(&TEST_KEY).unwrap();
        let [a, b, _, authority] = <[Vec<u8>; 4]>::try_from(provisioning()).unwrap();
        // One half, or a key that knows nobody, is not enough: who could still get in?
        for half in [&[a.clone(), b][..], core::slice::from_ref(&authority)] {
            assert_eq!(card.sw(&select(&BANK)), 0x9000);
            for command in half {
                let mut session = open(card, 0, &test_keys(), Level::CMac);
                assert_eq!(sw(card, &mut session, command), 0x9000);
            }
        }
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        for version in [0x00, 0x30] {
            assert_eq!(try_open(card, version, &test_keys(), Level::CMac).unwrap_err(), 0x6A88);
        }
        let mut session = Wish::new(Variant::A).open(card).unwrap();
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &hex("42021234"))), 0x9000);
        // It tells no protocol that it has no keys for.
        let (recognition, _) = run(card, &mut session, &hex("80CA006600"));
        let of = |scp: u8| [&hex("2A864886FC6B04")[..], &[scp]].concat();
        let tells = |scp: u8| recognition.windows(8).any(|window| window == of(scp));
        assert!(!tells(0x03) && tells(0x11), "{recognition:02X?}");
        // The key of the issuer's for a host is still no way in.
        let put = put_private(0, 0x04, 0x15, &[0x55; 32], &dek);
        assert_eq!(card.sw(&select(&[])), 0x9000);
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &put), 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        certify_host(card, false);
        let mut raw = Wish::new(Variant::C).command();
        raw[2] = 0x04;
        assert_eq!(card.sw(&raw), 0x6A88);
        // Without its authority it goes back to the keys above.
        let mut session = Wish::new(Variant::A).open(card).unwrap();
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0, 0], &hex("D00110"))), 0x9000);
        open(card, 0, &test_keys(), Level::CMac);
    });
}

/// Bit 8 of P2 says that several keys come; identifiers have seven bits.
#[test]
fn identifiers_of_keys_end_at_7f() {
    with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        let keys = [&[0x11; 16][..]; 2];
        assert_eq!(run(card, &mut session, &put_keys(0, 0x40, 0x7F, &keys, &TEST_KEY)).1, 0x6A80);
        assert_eq!(run(card, &mut session, &put_keys(0, 0x40, 0x7E, &keys, &TEST_KEY)).1, 0x9000);
        assert_eq!(run(card, &mut session, &put_keys(0, 0x41, 0x7F, &keys[..1], &TEST_KEY)).1, 0x9000);
    });
}

/// The counter of the default key set is that of no set where there is none.
#[test]
fn a_domain_without_keys_has_no_counter() {
    with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_domain(&BANK, [0x80, 0, 0], &[])).1, 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        assert_eq!(card.sw(&hex("80CA00C100")), 0x6A88);
    });
}

/// Description of `count` AES keys under version 31, and one of them.
fn description(count: u8) -> Vec<u8> {
    let keys: Vec<u8> = (1..=count)
        .flat_map(|id| tlv(&[0xB9], &[&[0x80, 1, 0x88, 0x81, 1, 16, 0x82, 1, id, 0x83, 1, 0x31]]))
        .collect();
    [&[0x00, 0xB9, keys.len() as u8][..], &keys].concat()
}

fn key(byte: u8) -> Vec<u8> {
    let mut block = [byte; 16];
    Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
    [&hex("811310")[..], &block].concat()
}

/// What one sequence of STORE DATA left unfinished, another one does not complete: a key set is of one host's making.
#[test]
fn a_key_set_comes_in_one_sequence() {
    let store = |p1, data: &[u8]| apdu([0x80, 0xE2, p1, 0], data);
    let begun = [description(2), key(1)].concat();
    with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(
            run(card, &mut session, &store(0x88, &begun)).1,
            0x9000,
            "the last block, and a key is missing"
        );
        assert_eq!(run(card, &mut session, &store(0x88, &key(2))).1, 0x6985);
        assert_eq!(run(card, &mut session, &store(0x08, &begun)).1, 0x9000);
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &store(0x88, &key(2))).1, 0x6985);
        // A domain personalised by the one above it, too.
        assert_eq!(run(card, &mut session, &install_domain(&BANK, [0x80, 0, 0], &[])).1, 0x9000);
        let to_bank = install(0x20, 0, &Fields { instance: &BANK, ..Fields::default() });
        assert_eq!(run(card, &mut session, &to_bank).1, 0x9000);
        assert_eq!(run(card, &mut session, &store(0x08, &begun)).1, 0x9000);
        assert_eq!(run(card, &mut session, &to_bank).1, 0x9000);
        assert_eq!(run(card, &mut session, &store(0x88, &key(2))).1, 0x6985);
        // In one sequence, over its blocks.
        assert_eq!(run(card, &mut session, &to_bank).1, 0x9000);
        assert_eq!(run(card, &mut session, &store(0x08, &begun)).1, 0x9000);
        assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x88, 1], &key(2))).1, 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        let listed = card.send(&hex("80CA00E000"));
        assert_eq!(listed, hex("E00CC00401318810C004023188109000"));
        assert_eq!(KeyType::Aes.byte(), listed[6]);
    });
}

/// What one command says of a key it says once: the second value would come back when the first one goes.
#[test]
fn a_list_comes_once_in_a_command() {
    with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        for command in provisioning() {
            assert_eq!(sw(card, &mut session, &command), 0x9000);
        }
        let store = |data: &str| apdu([0x80, 0xE2, 0x90, 0], &hex(data));
        let twice = "A604830211037003930101A604830211037003930102";
        assert_eq!(sw(card, &mut session, &store(twice)), 0x6A80);
        assert_eq!(sw(card, &mut session, &store("A604830211037003930101A604830215037003930102")), 0x9000);
    });
}
