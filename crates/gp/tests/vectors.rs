//! Published numbers: sessions of real cards and of other implementations, derivation, check values, key blocks.
//!
//! SCP01 and SCP02 are in `vectors_des.rs`, the card's end of SCP02 and SCP03 in `vectors_card.rs`, SCP11 in `scp11.rs`, `diversify_*` in
//! `diversification.rs`, `scp80_command` in `scp80.rs`, `token*` and `dap` in `card_load.rs`, the templates of `store_data_keys` and
//! the domain parameters of `install_params` in `card_domains.rs`, `pboc_dgi` and `cps_dgi` in `personalisation.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{InstanceId, Memory as _, ObjectId};
use huiwan_crypto::{Aes, kdf};
use huiwan_gp::card::{CardProfile, Factory};
use huiwan_gp::host::key_store::OpenRequest;
use huiwan_gp::host::secure_channel::AwaitCard;
use huiwan_gp::host::{KeyRef, KeyStore, SoftKeyStore};
use huiwan_gp::initialize_update::{Answer, Proof};
use huiwan_gp::install::Parameters;
use huiwan_gp::put_key::{KeyData, KeyType, put_field};
use huiwan_gp::scp03::challenge::{Counter, pseudo_random};
use huiwan_gp::scp03::{Level, Octets, Options, SessionKeys, StaticKeys, c_enc, cryptogram, r_enc, r_mac};
use huiwan_testkit::vectors::{self, Block};
use support::*;

const SCP03: &str = include_str!("vectors/scp03.txt");
const CONTENT: &str = include_str!("vectors/content.txt");

fn keys(v: &Block<'_>) -> StaticKeys {
    StaticKeys::new(&v.bytes("in.key_enc"), &v.bytes("in.key_mac"), &v.bytes("in.key_dek")).unwrap()
}

/// The answer of the card, or for a script made ahead the one the card will give.
fn answer(v: &Block<'_>) -> Answer {
    if let Some(raw) = v.get("in.init_update_response") {
        return Answer::parse(&huiwan_testkit::hex(raw)).unwrap();
    }
    let counter = Counter::from_bytes(v.array("in.sequence_counter"));
    let options = Options::from_byte(v.bytes("in.i")[0]).unwrap();
    let host_challenge = v.bytes("in.host_challenge");
    let card_challenge = pseudo_random(&keys(v), counter, &v.bytes("in.sd_aid"), options.mode()).unwrap();
    let session = SessionKeys::derive(&keys(v), &host_challenge, card_challenge.as_bytes()).unwrap();
    let card_cryptogram = cryptogram::card(&session, &host_challenge, card_challenge.as_bytes()).unwrap();
    let proof = Proof::Scp03 { options, card_challenge, card_cryptogram, counter: Some(counter) };
    Answer { key_diversification: [0; 10], key_version: 0x30, proof }
}

/// The card challenge of an SCP03 answer.
fn challenge(answer: &Answer) -> Octets {
    match answer.proof {
        Proof::Scp03 { card_challenge, .. } => card_challenge,
        _ => panic!("no SCP03"),
    }
}

fn host_challenge(v: &Block<'_>) -> Octets {
    Octets::new(&v.bytes("in.host_challenge")).unwrap()
}

#[test]
fn host_speaks_as_published_sessions() {
    let file = vectors::load(SCP03);
    let (mut sessions, mut commands, mut responses) = (0, 0, 0);
    for v in file.group("scp03_session") {
        // Some logs end with the card's answer.
        let external_authenticate = v.get("out.external_authenticate").map(huiwan_testkit::hex);
        let level = external_authenticate.as_ref().map_or(0x01, |command| command[2]);
        let level = Level::from_byte(level).unwrap();
        let answer = answer(v);
        let card = AwaitCard::new(host_challenge(v));
        let verified =
            card.verify_card(0x80, &answer, &keys(v), level).unwrap_or_else(|_| panic!("{}", v.id()));
        if let Some(external_authenticate) = external_authenticate {
            assert_eq!(verified.command()[..], external_authenticate, "{}", v.id());
        }
        let mut session = verified.accepted(Sw::OK).unwrap();
        if v.get("in.sd_aid").is_some() {
            let expected = AwaitCard::challenge_is_expected(&answer, &keys(v), &v.bytes("in.sd_aid"));
            assert_eq!(expected, Some(true), "{}", v.id());
        }
        for n in 0.. {
            let Some(plain) = v.get(&format!("out.commands.{n}.plain")) else { break };
            let plain = huiwan_testkit::hex(plain);
            let mut wire = [0; 300];
            let sent = session.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
            assert_eq!(sent, v.bytes(&format!("out.commands.{n}.wrapped")), "{} command {n}", v.id());
            commands += 1;
            let opened = v.get(&format!("out.commands.{n}.response_plain"));
            let response = v.get(&format!("out.commands.{n}.response"));
            if let (Some(opened), Some(response)) = (opened, response) {
                let mut out = [0; 300];
                let got = session.unwrap(&huiwan_testkit::hex(response), &mut out).unwrap();
                let opened = huiwan_testkit::hex(opened);
                // Some sources print the status word behind the plain data.
                let data = got.data();
                assert!(
                    opened == data || opened == [data, &[0x90, 0x00]].concat(),
                    "{} response {n}",
                    v.id()
                );
                responses += 1;
            }
        }
        sessions += 1;
    }
    assert!(sessions >= 15 && commands >= 30 && responses >= 9, "{sessions} {commands} {responses}");
}

#[test]
fn card_answers_as_published_sessions() {
    // Where the AID and the counter are known, our card must give the very answer of the real one, and take the real host's bytes.
    let file = vectors::load(SCP03);
    let mut sessions = 0;
    for v in file.group("scp03_session") {
        let (Some(_), Some(answer)) = (v.get("in.sd_aid"), v.get("in.init_update_response")) else {
            continue;
        };
        let answer = huiwan_testkit::hex(answer);
        let [enc, mac, dek] = ["in.key_enc", "in.key_mac", "in.key_dek"].map(|name| v.bytes(name));
        let factory = Factory {
            key_version: answer[10],
            keys: [&enc, &mac, &dek],
            key_diversification: answer[..10].try_into().unwrap(),
            ..Factory::TEST
        };
        let mut memory = new_memory(&factory);
        let [a, b, c] = *answer.last_chunk::<3>().unwrap();
        let counter = u32::from_be_bytes([0, a, b, c]) - 1;
        let object = (0, 0x0300 | u16::from(answer[10]));
        memory.objects.insert(object, counter.to_be_bytes()[1..].to_vec());
        let profile = CardProfile::DEFAULT
            .with_issuer_aid(huiwan_apdu::Aid::new(&v.bytes("in.sd_aid")).unwrap())
            .with_scp03(Options::from_byte(answer[12]).unwrap());
        with_card(&profile, memory, |card| {
            let update = apdu([0x80, 0x50, answer[10], 0x00], &v.bytes("in.host_challenge"));
            let got = card.send(&update);
            assert_eq!(got, [&answer[..], &[0x90, 0x00]].concat(), "{}", v.id());
            let Some(external_authenticate) = v.get("out.external_authenticate") else { return };
            assert_eq!(card.sw(&huiwan_testkit::hex(external_authenticate)), 0x9000, "{}", v.id());
            for n in 0.. {
                let Some(wrapped) = v.get(&format!("out.commands.{n}.wrapped")) else { break };
                // What the command asks for is another card's affair; its protection is good.
                assert_ne!(card.sw(&huiwan_testkit::hex(wrapped)), 0x6982, "{} command {n}", v.id());
            }
        });
        sessions += 1;
    }
    assert!(sessions >= 7, "{sessions}");
}

#[test]
fn session_keys_and_cryptograms() {
    let file = vectors::load(SCP03);
    for v in file.group("scp03_session") {
        let answer = answer(v);
        let (host_challenge, card_challenge) = (v.bytes("in.host_challenge"), challenge(&answer));
        let card_challenge = card_challenge.as_bytes();
        let session = SessionKeys::derive(&keys(v), &host_challenge, card_challenge).unwrap();
        if v.get("out.session_enc").is_none() {
            continue;
        }
        let mut raw = [0; 96];
        let len = keys(v).key_len();
        huiwan_gp::scp03::session_keys::derive_raw(&keys(v), &host_challenge, card_challenge, &mut raw)
            .unwrap();
        assert_eq!(raw[..len], v.bytes("out.session_enc"), "{}", v.id());
        assert_eq!(raw[len..2 * len], v.bytes("out.session_mac"), "{}", v.id());
        assert_eq!(raw[2 * len..3 * len], v.bytes("out.session_rmac"), "{}", v.id());
        if v.get("out.host_cryptogram").is_some() {
            let host = cryptogram::host(&session, &host_challenge, card_challenge).unwrap();
            assert_eq!(host.as_bytes(), v.bytes("out.host_cryptogram"), "{}", v.id());
        }
        let card = cryptogram::card(&session, &host_challenge, card_challenge).unwrap();
        if v.get("out.card_cryptogram").is_some() {
            assert_eq!(card.as_bytes(), v.bytes("out.card_cryptogram"), "{}", v.id());
        }
    }
    for v in file.group("scp03_cryptogram") {
        let key = v.bytes("in.key");
        let keys = StaticKeys::new(&key, &key, &key).unwrap();
        let (host, card) = (v.bytes("in.host_challenge"), v.bytes("in.card_challenge"));
        let session = SessionKeys::derive(&keys, &host, &card).unwrap();
        assert_eq!(
            cryptogram::card(&session, &host, &card).unwrap().as_bytes(),
            v.bytes("out.card_cryptogram")
        );
        assert_eq!(
            cryptogram::host(&session, &host, &card).unwrap().as_bytes(),
            v.bytes("out.host_cryptogram")
        );
    }
}

#[test]
fn derivation() {
    let file = vectors::load(SCP03);
    let mut count = 0;
    for v in file.group("scp03_kdf") {
        let key = Aes::new(&v.bytes("in.key")).unwrap();
        let expected = v.bytes("out.derived");
        let mut out = vec![0; expected.len()];
        kdf::scp03(&key, v.bytes("in.constant")[0], &[&v.bytes("in.context")], &mut out).unwrap();
        assert_eq!(out, expected, "{}", v.id());
        if v.get("out.kcv").is_some() {
            assert_eq!(KeyType::Aes.check_value(&out).unwrap()[..], v.bytes("out.kcv"), "{}", v.id());
        }
        count += 1;
    }
    assert!(count >= 26);
}

#[test]
fn command_and_response_encryption() {
    let file = vectors::load(SCP03);
    for v in file.group("scp03_cenc") {
        let key = Aes::new(&v.bytes("in.session_enc")).unwrap();
        let counter = v.number("in.counter") as u32;
        let plain = v.bytes("in.plain");
        let mut buffer = [0; 64];
        buffer[..plain.len()].copy_from_slice(&plain);
        let len = c_enc::encrypt(&key, counter, &mut buffer, plain.len()).unwrap();
        assert_eq!(buffer[..len], v.bytes("out.cipher"));
        let back = c_enc::decrypt(&key, counter, &mut buffer[..len]).unwrap();
        assert_eq!(buffer[..back], plain);
    }
    for v in file.group("scp03_response") {
        let (enc, rmac) =
            (Aes::new(&v.bytes("in.session_enc")).unwrap(), Aes::new(&v.bytes("in.session_rmac")).unwrap());
        let response = v.bytes("in.response");
        let (protected, sw) = response.split_last_chunk::<2>().unwrap();
        let sw = Sw::new(u16::from_be_bytes(*sw));
        let (body, mac) = protected.split_last_chunk::<8>().unwrap();
        assert_eq!(r_mac::compute(&rmac, &v.array("in.mac_chaining_value"), body, sw)[..8], *mac);
        let mut body = body.to_vec();
        let len = r_enc::decrypt(&enc, v.number("in.counter") as u32, &mut body).unwrap();
        assert_eq!(body[..len], v.bytes("out.plain"));
    }
}

#[test]
fn check_values() {
    let file = vectors::load(CONTENT);
    for (group, key_type) in [("kcv_aes", KeyType::Aes), ("kcv_des", KeyType::Des)] {
        for v in file.group(group) {
            assert_eq!(
                key_type.check_value(&v.bytes("in.key")).unwrap()[..],
                v.bytes("out.kcv"),
                "{}",
                v.id()
            );
        }
    }
}

/// A store with an open session whose DEK is `dek`, and key set 2 made of `new`.
fn store_with(dek: &[u8], new: &[Vec<u8>]) -> (SoftKeyStore<2, 1>, huiwan_gp::host::SessionId) {
    let mut store = SoftKeyStore::new();
    store.insert(1, dek, dek, dek).unwrap();
    if let [enc, mac, dek] = new {
        store.insert(2, enc, mac, dek).unwrap();
    }
    let keys = StaticKeys::new(dek, dek, dek).unwrap();
    let (host_challenge, card_challenge) = ([1; 8], [2; 8]);
    let session = SessionKeys::derive(&keys, &host_challenge, &card_challenge).unwrap();
    let answer = Answer {
        key_diversification: [0; 10],
        key_version: 1,
        proof: Proof::Scp03 {
            options: Options::I00,
            card_challenge: Octets::new(&card_challenge).unwrap(),
            card_cryptogram: cryptogram::card(&session, &host_challenge, &card_challenge).unwrap(),
            counter: None,
        },
    };
    let request = OpenRequest {
        key: KeyRef::direct(1),
        aid: CardProfile::DEFAULT.issuer_aid,
        cla: 0x80,
        host_challenge: host_challenge.into(),
        scp01: huiwan_gp::scp01::Options::I05,
        scp02: huiwan_gp::scp02::Options::I15,
        answer,
        level: Level::CMac,
    };
    let (session, _) = store.open(&request).unwrap();
    (store, session)
}

#[test]
fn key_blocks() {
    let file = vectors::load(CONTENT);
    let mut exported = 0;
    for v in file.group("put_key") {
        let raw = v.bytes("out.command");
        let command = Command::parse(&raw).unwrap();
        let data = KeyData::parse(command.data()).unwrap();
        assert_eq!(data.version, v.bytes("in.new_kvn")[0]);
        // Fields read and written again are the same bytes, and carry the check values of the keys.
        let mut out = [0; 256];
        out[0] = data.version;
        let mut at = 1;
        for (n, field) in data.fields().enumerate() {
            let field = field.unwrap();
            let clear = v.bytes(&format!("in.keys.{n}"));
            assert_eq!(field.len, clear.len(), "{}", v.id());
            assert_eq!(field.key_type.check_value(&clear).unwrap()[..], *field.check_value, "{}", v.id());
            let check_value = field.check_value.try_into().unwrap();
            at = put_field(&mut out, at, field.key_type, field.len, field.encrypted, check_value).unwrap();
        }
        assert_eq!(&out[..at], command.data(), "{}", v.id());
        if v.get("in.dek").is_some() {
            let new: Vec<_> = (0..3).map(|n| v.bytes(&format!("in.keys.{n}"))).collect();
            let (mut store, session) = store_with(&v.bytes("in.dek"), &new);
            let mut out = [0; 256];
            let block =
                store.export_keys(session, KeyRef::direct(2), data.version, &[0; 10], &mut out).unwrap();
            assert_eq!(block, command.data(), "{}", v.id());
            exported += 1;
        }
    }
    assert_eq!(exported, 3);
    // kaoh encrypts the keys in its data groupings the same way.
    for v in file.group("store_data_keys") {
        let stream = v.bytes("out.dgi");
        let groupings: Vec<_> = huiwan_tlv::dgi::Dgis::new(&stream).map(Result::unwrap).collect();
        assert_eq!(groupings[0].id, 0x00B9);
        let (mut store, session) = store_with(&v.bytes("in.dek"), &[]);
        for (n, grouping) in groupings[1..].iter().enumerate() {
            assert_eq!(grouping.id, 0x8113);
            let mut out = [0; 32];
            let cipher = store.encrypt(session, &v.bytes(&format!("in.keys.{n}")), &mut out).unwrap();
            assert_eq!(cipher, grouping.value, "{}", v.id());
        }
    }
}

#[test]
fn install_parameters() {
    let file = vectors::load(CONTENT);
    let mut out = [0; 64];
    let empty = Parameters::default();
    for v in file.group("install_params").filter(|v| v.get("out.params").is_some()) {
        let raw = v.bytes("out.params");
        // Memory limits and card application toolkit parameters are passed over.
        assert_eq!(Parameters::parse(&raw).unwrap(), empty, "{}", v.id());
        if raw == [0xC9, 0x00] {
            assert_eq!(empty.write(&mut out).unwrap(), raw);
        }
    }
}

#[test]
fn objects_of_the_card_are_where_the_documentation_says() {
    let mut memory = new_memory(&Factory::TEST);
    assert_eq!(memory.len(ObjectId::new(InstanceId::ISSUER, 0x0230)).unwrap(), Some(3 * 23));
}
