//! Every MAC, TAC and key against the second implementation, over random inputs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_crypto::{Algorithm, Both, International, Secret, Suite, SuiteKey};
use huiwan_purse::authentication;
use huiwan_purse::date::Stamp;
use huiwan_purse::keys::{self, CardId, Factor};
use huiwan_purse::mac::{
    self, LoadMac1, LoadMac2, LoadTac, Message, PurchaseMac1, PurchaseMac2, PurchaseTac,
};
use huiwan_purse::profile::Profile;
use huiwan_purse::secure_messaging::{self, Padding};
use huiwan_purse::tti::Tti;
use proptest::prelude::*;
use world::oracle;

type Key = <International as Suite>::Key;

fn tdes(key: &[u8; 16]) -> Key {
    Key::new(Algorithm::Tdes, key).unwrap()
}

fn des(key: &[u8]) -> Key {
    Key::new(Algorithm::Des, key).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn diversification(master: [u8; 16], issuer: [u8; 8], serial: [u8; 10]) {
        let card = CardId { issuer, serial };
        let path = [Factor::Issuer, Factor::Serial];
        let got = keys::derive::<Key>(1, &Secret::new(master), &card, &path).unwrap();
        prop_assert_eq!(&got.expose()[..], oracle::card_key(&master, &issuer, &serial));
        let got = keys::diversify::<Key>(0, &Secret::new(master), &issuer).unwrap();
        prop_assert_eq!(&got.expose()[..], oracle::diversify(&master, &issuer));
    }

    #[test]
    fn load(dlk: [u8; 16], dtk: [u8; 16], random: [u8; 4], online_seq: u16, balance: u32, amount: u32, terminal: [u8; 6], date: [u8; 4], time: [u8; 3]) {
        let stamp = Stamp { date, time };
        let tti = Tti::EP_LOAD;
        let session = oracle::load_session(&dlk, &random, &online_seq.to_be_bytes());
        let ours = keys::load_session(&tdes(&dlk), random, online_seq).unwrap();
        let got = LoadMac1 { balance, amount, tti, terminal }.mac(&ours).unwrap();
        let message = [&balance.to_be_bytes()[..], &amount.to_be_bytes(), &[2], &terminal].concat();
        prop_assert_eq!(&got[..], oracle::mac(&session, &message));
        let got = LoadMac2 { amount, tti, terminal, stamp }.mac(&ours).unwrap();
        let message = [&amount.to_be_bytes()[..], &[2], &terminal, &date, &time].concat();
        prop_assert_eq!(&got[..], oracle::mac(&session, &message));
        let key = keys::tac_key::<Key>(&Profile::JTT_978, 1, &Secret::new(dtk)).unwrap();
        let got = LoadTac { balance, online_seq, amount, tti, terminal, stamp }.mac(&key).unwrap();
        let message = [&balance.to_be_bytes()[..], &online_seq.to_be_bytes(), &amount.to_be_bytes(), &[2], &terminal, &date, &time].concat();
        prop_assert_eq!(&got[..], oracle::tac(&dtk, &message));
    }

    #[test]
    fn purchase(dpk: [u8; 16], dtk: [u8; 16], random: [u8; 4], offline_seq: u16, terminal_seq: u32, amount: u32, capp: bool, terminal: [u8; 6], date: [u8; 4], time: [u8; 3]) {
        let stamp = Stamp { date, time };
        let tti = if capp { Tti::CAPP_PURCHASE } else { Tti::EP_PURCHASE };
        let code = [if capp { 9 } else { 6 }];
        let session = oracle::purchase_session(&dpk, &random, &offline_seq.to_be_bytes(), &terminal_seq.to_be_bytes());
        let ours = keys::purchase_session(&tdes(&dpk), random, offline_seq, terminal_seq).unwrap();
        let got = PurchaseMac1 { amount, tti, terminal, stamp }.mac(&ours).unwrap();
        let message = [&amount.to_be_bytes()[..], &code, &terminal, &date, &time].concat();
        prop_assert_eq!(&got[..], oracle::mac(&session, &message));
        let got = PurchaseMac2 { amount }.mac(&ours).unwrap();
        prop_assert_eq!(&got[..], oracle::mac(&session, &amount.to_be_bytes()));
        let key = keys::tac_key::<Key>(&Profile::JTT_978, 0, &Secret::new(dtk)).unwrap();
        let got = PurchaseTac { amount, tti, terminal, terminal_seq, stamp }.mac(&key).unwrap();
        let message = [&amount.to_be_bytes()[..], &code, &terminal, &terminal_seq.to_be_bytes(), &date, &time].concat();
        prop_assert_eq!(&got[..], oracle::tac(&dtk, &message));
    }

    #[test]
    fn secured(key: [u8; 16], challenge: [u8; 4], header: [u8; 5], data in proptest::collection::vec(any::<u8>(), 0..40)) {
        let got = mac::secure(&tdes(&key), &challenge, &[&header, &data]).unwrap();
        prop_assert_eq!(&got[..], oracle::secured(&key, &challenge, &[&header[..], &data].concat()));
    }

    #[test]
    fn sealed_and_protected(key: [u8; 16], always: bool, is_sm4: bool, challenge in proptest::collection::vec(any::<u8>(), 4..9), header: [u8; 4], data in proptest::collection::vec(any::<u8>(), 0..120)) {
        let algorithm = if is_sm4 { Algorithm::Sm4 } else { Algorithm::Tdes };
        let ours = <Both as Suite>::Key::new(algorithm, &key).unwrap();
        let padding = if always { Padding::Always } else { Padding::IfNeeded };
        let mut out = [0; 256];
        let sealed = secure_messaging::seal(&ours, padding, &data, &mut out).unwrap().to_vec();
        prop_assert_eq!(&sealed, &oracle::sealed(is_sm4, &key, always, &data));
        let mut opened = sealed.clone();
        prop_assert_eq!(secure_messaging::open(&ours, padding, &mut opened).unwrap(), &data);
        let protected = secure_messaging::protect(&ours, &challenge, header, &sealed, &mut out).unwrap();
        let message = [&header[..], &[u8::try_from(sealed.len() + 4).unwrap()], &sealed].concat();
        let mac = if is_sm4 { oracle::sm4_secured(&key, &challenge, &message) } else { oracle::secured(&key, &challenge, &message) };
        prop_assert_eq!(protected, [&sealed[..], &mac].concat());
    }

    #[test]
    fn authentications(key: [u8; 16], is_sm4: bool, challenge in proptest::collection::vec(any::<u8>(), 4..9), data in proptest::collection::vec(any::<u8>(), 1..100)) {
        let (algorithm, size) = if is_sm4 { (Algorithm::Sm4, 16) } else { (Algorithm::Tdes, 8) };
        let e = |block: &[u8]| if is_sm4 { oracle::sm4(&key, block) } else { oracle::tdes(&key, block) };
        let ours = <Both as Suite>::Key::new(algorithm, &key).unwrap();
        let mut block = challenge.clone();
        block.resize(size, 0);
        let mut out = [0; 16];
        prop_assert_eq!(authentication::cryptogram(&ours, &challenge, &mut out).unwrap(), e(&block));
        let whole = if data.len().is_multiple_of(size) { data.clone() } else { oracle::padded(&data, size) };
        let expected: Vec<u8> = whole.chunks(size).flat_map(e).collect();
        let mut out = [0; 128];
        prop_assert_eq!(authentication::answer(&ours, &data, &mut out).unwrap(), expected);
    }

    #[test]
    fn raw(key: [u8; 8], message in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(&mac::sign(&des(&key), &message).unwrap()[..], oracle::mac(&key, &message));
    }

    #[test]
    fn the_remembered_level_is_the_right_one(
        masters: [[u8; 16]; 2],
        issuers: [[u8; 8]; 2],
        cards in proptest::collection::vec((0..2_usize, 0..2_usize, any::<[u8; 10]>()), 1..12),
    ) {
        let mut deriver = keys::Deriver::<Key>::new();
        for (master, issuer, serial) in cards {
            let card = CardId { issuer: issuers[issuer], serial };
            let path = [Factor::Issuer, Factor::Serial];
            let value = Secret::new(masters[master]);
            let got = deriver.derive(master, 1, &value, &card, &path).unwrap();
            prop_assert_eq!(&got.expose()[..], oracle::card_key(&masters[master], &issuers[issuer], &serial));
        }
    }
}
