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

#[test]
fn a_key_store_makes_the_cards_keys_from_its_masters() {
    use huiwan_gp::card::{CardProfile, Factory};
    use huiwan_gp::host::key_store::Derivation;
    use huiwan_gp::host::{KeyError, KeyRef, KeyStore, SoftKeyStore};
    use huiwan_gp::initialize_update::{Answer, Proof};
    use huiwan_gp::{scp02, scp03, secure_channel::Level};

    let kdd = Factory::TEST.with_serial([1, 2, 3, 4]).key_diversification;
    let masters = [[0x11; 16], [0x22; 16], [0x33; 16]];
    let mut store = SoftKeyStore::<4, 4>::new();
    store.insert(1, &masters[0], &masters[1], &masters[2]).unwrap();
    store.insert_des(2, &masters[0], &masters[1], &masters[2]).unwrap();
    let mut direct = SoftKeyStore::<4, 4>::new();
    let mut aes = [[0; 16]; 3];
    for ((purpose, master), key) in Purpose::ALL.into_iter().zip(&masters).zip(&mut aes) {
        kdf3(&Aes::new(master).unwrap(), &kdd, purpose, key).unwrap();
    }
    direct.insert(1, &aes[0], &aes[1], &aes[2]).unwrap();
    let request = |key, proof| huiwan_gp::host::key_store::OpenRequest {
        key,
        aid: CardProfile::DEFAULT.issuer_aid,
        cla: 0x80,
        host_challenge: [7; 8].into(),
        answer: Answer { key_diversification: kdd, key_version: 1, proof },
        scp01: huiwan_gp::scp01::Options::I05,
        scp02: scp02::Options::I55,
        level: Level::CMacCEnc,
    };
    let scp03 = Proof::Scp03 {
        options: scp03::Options::I70,
        card_challenge: [0; 8].into(),
        card_cryptogram: [0; 8].into(),
        counter: Some(scp03::challenge::Counter::ZERO),
    };
    let scp02 =
        Proof::Scp02 { sequence: scp02::Sequence::ZERO, card_challenge: [0; 6], card_cryptogram: [0; 8] };
    let opened = |store: &mut SoftKeyStore<4, 4>, key, proof| {
        store.open_ahead(&request(key, proof)).map(|(_, command)| command.as_bytes().to_vec())
    };
    let expected = opened(&mut direct, KeyRef::direct(1), scp03).unwrap();
    assert_eq!(opened(&mut store, KeyRef::kdf3(1), scp03).unwrap(), expected);
    for scheme in Scheme::ALL {
        let [enc, mac, dek] =
            [0, 1, 2].map(|n| scheme.derive(&Tdes::new2(&masters[n]), &kdd, Purpose::ALL[n]));
        direct.insert_des(2, enc.expose(), mac.expose(), dek.expose()).unwrap();
        let expected = opened(&mut direct, KeyRef::direct(2), scp02).unwrap();
        let key = KeyRef { id: 2, derivation: Derivation::Des(scheme) };
        assert_eq!(opened(&mut store, key, scp02).unwrap(), expected, "{scheme:?}");
        direct = SoftKeyStore::new();
        store = SoftKeyStore::new();
        store.insert_des(2, &masters[0], &masters[1], &masters[2]).unwrap();
        // A scheme of the other algorithm, or a protocol of the other.
        assert_eq!(opened(&mut store, KeyRef::kdf3(2), scp02), Err(KeyError::Algorithm));
        assert_eq!(opened(&mut store, key, scp03), Err(KeyError::Algorithm));
    }
}
