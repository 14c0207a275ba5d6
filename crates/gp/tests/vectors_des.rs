//! Published numbers of SCP01 and SCP02: sessions of real cards and of other implementations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_crypto::mac::{Padding, alg1_tdes, alg3};
use huiwan_crypto::{BlockKey, Des, Tdes};
use huiwan_gp::card::{CardProfile, Factory};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp02::r_mac::Running;
use huiwan_gp::scp02::session_keys::derive_key;
use huiwan_gp::scp02::{Options, Sequence, SessionKeys, StaticKeys, c_mac, challenge, session_keys};
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{initialize_update, scp01};
use huiwan_testkit::hex;
use huiwan_testkit::vectors::{self, Block};
use support::*;

const SCP01: &str = include_str!("vectors/scp01.txt");
const SCP02: &str = include_str!("vectors/scp02.txt");

fn keys(v: &Block<'_>) -> StaticKeys {
    StaticKeys::new(&v.bytes("in.key_enc"), &v.bytes("in.key_mac"), &v.bytes("in.key_dek")).unwrap()
}

fn tdes(key: &[u8]) -> Tdes {
    Tdes::new2(key.try_into().unwrap())
}

/// The host's side of a published session, byte by byte; returns how many commands it had.
fn host_speaks(v: &Block<'_>) -> usize {
    let answer = Answer::parse(&v.bytes("in.init_update_response")).unwrap();
    let external_authenticate = v.get("out.external_authenticate").map(hex);
    let level = external_authenticate.as_ref().map_or(0x01, |command| command[2]);
    let handshake = AwaitCard::new(v.array::<8>("in.host_challenge"));
    let verified = handshake
        .verify_card(0x80, &answer, &keys(v), Level::from_byte(level).unwrap())
        .unwrap_or_else(|_| panic!("{}", v.id()));
    if let Some(external_authenticate) = external_authenticate {
        assert_eq!(verified.command(), external_authenticate, "{}", v.id());
    }
    let mut session = verified.accepted(Sw::OK).unwrap();
    let mut commands = 0;
    while let Some(plain) = v.get(&format!("out.commands.{commands}.plain")) {
        let plain = hex(plain);
        let mut wire = [0; 300];
        let sent = session.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
        let expected = v.bytes(&format!("out.commands.{commands}.wrapped"));
        assert_eq!(sent, expected, "{} command {commands}", v.id());
        commands += 1;
    }
    commands
}

#[test]
fn host_speaks_as_published_sessions() {
    let (one, two) = (vectors::load(SCP01), vectors::load(SCP02));
    let (mut sessions, mut commands) = (0, 0);
    for v in one.group("scp01_session").chain(two.group("scp02_session")) {
        commands += host_speaks(v);
        sessions += 1;
    }
    assert_eq!((sessions, commands), (2 + 8, 7 + 7));
}

#[test]
fn session_keys_and_cryptograms() {
    let file = vectors::load(SCP02);
    for v in file.group("scp02_session") {
        let answer = v.bytes("in.init_update_response");
        let sequence = Sequence::from_bytes([answer[12], answer[13]]);
        let mut raw = [0; session_keys::RAW_LEN];
        session_keys::derive_raw(&keys(v), sequence, &mut raw).unwrap();
        assert_eq!(raw[..16], v.bytes("out.session_enc"), "{}", v.id());
        assert_eq!(raw[16..32], v.bytes("out.session_mac"), "{}", v.id());
        assert_eq!(raw[32..48], v.bytes("out.session_rmac"), "{}", v.id());
        assert_eq!(raw[64..], v.bytes("out.session_dek"), "{}", v.id());
        let session = SessionKeys::from_raw(&raw).unwrap();
        let host_challenge = v.array("in.host_challenge");
        let card_challenge = answer[14..20].try_into().unwrap();
        let card = huiwan_gp::scp02::cryptogram::card(&session, &host_challenge, sequence, &card_challenge);
        let host = huiwan_gp::scp02::cryptogram::host(&session, &host_challenge, sequence, &card_challenge);
        assert_eq!(card[..], v.bytes("out.card_cryptogram"), "{}", v.id());
        assert_eq!(host[..], v.bytes("out.host_cryptogram"), "{}", v.id());
    }
    for v in file.group("session_keys") {
        let key = tdes(&v.bytes("in.key"));
        let derived = if v.get("in.constant").is_some() {
            let sequence = Sequence::from_bytes(v.array("in.sequence"));
            derive_key(&key, v.array("in.constant"), sequence).unwrap()
        } else {
            scp01::derive_key(&key, &v.array("in.host_challenge"), &v.array("in.card_challenge")).unwrap()
        };
        assert_eq!(derived[..], v.bytes("out.session"), "{}", v.id());
        if v.get("out.kcv").is_some() {
            assert_eq!(tdes(&derived[..]).kcv()[..], v.bytes("out.kcv"), "{}", v.id());
        }
    }
    for v in file.group("cryptogram") {
        let s_enc = match v.get("in.session_enc") {
            Some(key) => hex(key),
            None => {
                let sequence =
                    Sequence::from_bytes(*v.bytes("in.seq_and_card_challenge").first_chunk().unwrap());
                let key =
                    derive_key(&tdes(&v.bytes("in.static_enc")), session_keys::S_ENC, sequence).unwrap();
                assert_eq!(key[..], v.bytes("out.session_enc"));
                key.to_vec()
            }
        };
        let parts: [&[u8]; 2] = [&v.bytes("in.host_challenge"), &v.bytes("in.seq_and_card_challenge")];
        let mac = alg1_tdes(&tdes(&s_enc), &[0; 8], &parts, Padding::Method2);
        assert_eq!(mac[..], v.bytes("out.card_cryptogram"), "{}", v.id());
    }
}

/// SCP01 by its steps; the DEK is the static one.
#[test]
fn scp01_session_keys_and_cryptograms() {
    let file = vectors::load(SCP01);
    let mut sessions = 0;
    for v in file.group("scp01_session") {
        let (host, card) = (v.array("in.host_challenge"), v.array("in.card_challenge"));
        for (key, session) in [("in.key_enc", "out.session_enc"), ("in.key_mac", "out.session_mac")] {
            let derived = scp01::derive_key(&tdes(&v.bytes(key)), &host, &card).unwrap();
            assert_eq!(derived[..], v.bytes(session), "{}", v.id());
        }
        assert_eq!(v.bytes("out.session_dek"), v.bytes("in.key_dek"), "{}", v.id());
        let session = scp01::SessionKeys::derive(&keys(v), &host, &card).unwrap();
        assert_eq!(scp01::card_cryptogram(&session, &host, &card)[..], v.bytes("out.card_cryptogram"));
        assert_eq!(scp01::host_cryptogram(&session, &host, &card)[..], v.bytes("out.host_cryptogram"));
        sessions += 1;
    }
    assert_eq!(sessions, 2);
}

/// Session keys of which the C-MAC key alone is known and asked for.
fn with_c_mac_key(key: &[u8]) -> SessionKeys {
    let mut raw = [0x11; session_keys::RAW_LEN];
    raw[16..32].copy_from_slice(key);
    SessionKeys::from_raw(&raw).unwrap()
}

#[test]
fn predictable_challenges() {
    let file = vectors::load(SCP02);
    let mut count = 0;
    for v in file.group("scp02_pseudorandom_challenge") {
        let mac =
            alg3(&tdes(&v.bytes("in.session_mac")), &[0; 8], &[&v.bytes("in.sd_aid")], Padding::Method2);
        assert_eq!(mac[..], v.bytes("out.mac"), "{}", v.id());
        let challenge =
            challenge::predictable(&with_c_mac_key(&v.bytes("in.session_mac")), &v.bytes("in.sd_aid"));
        assert_eq!(challenge[..], v.bytes("out.challenge"), "{}", v.id());
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn card_answers_as_published_sessions() {
    // Where the card's challenge is the predictable one, ours must give the very answer of the real card and take the host's bytes.
    let file = vectors::load(SCP02);
    let mut sessions = 0;
    for v in file.group("scp02_session") {
        let answer = v.bytes("in.init_update_response");
        let sequence = Sequence::from_bytes([answer[12], answer[13]]);
        let session = SessionKeys::derive(&keys(v), sequence).unwrap();
        let aids = [[0xA0, 0, 0, 1, 0x51, 0, 0, 0], [0xA0, 0, 0, 0, 3, 0, 0, 0]];
        let Some(aid) = aids.iter().find(|aid| challenge::predictable(&session, *aid) == answer[14..20])
        else {
            continue;
        };
        let [enc, mac, dek] = ["in.key_enc", "in.key_mac", "in.key_dek"].map(|name| v.bytes(name));
        let factory = Factory {
            key_version: 0x30,
            scp02: Some((answer[10], [&enc, &mac, &dek])),
            key_diversification: answer[..10].try_into().unwrap(),
            ..Factory::TEST
        };
        let mut memory = new_memory(&factory);
        memory.objects.insert((0, 0x0300 | u16::from(answer[10])), vec![0, answer[12], answer[13]]);
        let profile = CardProfile::DEFAULT.with_issuer_aid(Aid::new(aid).unwrap()).with_scp02(Options::I75);
        with_card(&profile, memory, |card| {
            let update =
                apdu([0x80, initialize_update::INS, answer[10], 0x00], &v.bytes("in.host_challenge"));
            assert_eq!(card.send(&update), [&answer[..], &[0x90, 0x00]].concat(), "{}", v.id());
            let Some(external_authenticate) = v.get("out.external_authenticate") else { return };
            assert_eq!(card.sw(&hex(external_authenticate)), 0x9000, "{}", v.id());
            for n in 0.. {
                let Some(wrapped) = v.get(&format!("out.commands.{n}.wrapped")) else { break };
                assert_ne!(card.sw(&hex(wrapped)), 0x6982, "{} command {n}", v.id());
            }
        });
        sessions += 1;
    }
    assert!(sessions >= 4, "{sessions}");
}

#[test]
fn macs_and_encryption() {
    let file = vectors::load(SCP02);
    for v in file.group("mac_retail") {
        let mac = alg3(
            &tdes(&v.bytes("in.session_mac")),
            &v.array("in.icv"),
            &[&v.bytes("in.data")],
            Padding::Method2,
        );
        assert_eq!(mac[..], v.bytes("out.mac"));
    }
    for v in file.group("cmac_chain") {
        let key = v.bytes("in.session_mac");
        let mut icv = [0; 8];
        // The same by the steps of host and card.
        let (stepping, options) = (tdes(&key), Options::I15);
        let mut stepped = c_mac::Icv::first(options, &stepping, &[]);
        for n in 0..2 {
            let plain = v.bytes(&format!("in.commands.{n}"));
            let data = plain[5..5 + usize::from(plain[4])].to_vec();
            let head = [0x84, plain[1], plain[2], plain[3], plain[4] + 8];
            let mac = alg3(&tdes(&key), &icv, &[&head, &data], Padding::Method2);
            assert_eq!(
                v.bytes(&format!("out.wrapped.{n}"))[..13 + data.len()],
                [&head[..], &data, &mac].concat()
            );
            let header = [0x80, plain[1], plain[2], plain[3]];
            let header = c_mac::Header::new(options, header, data.len(), false).unwrap();
            assert_eq!(c_mac::compute(options, &stepping, stepped, &header, &data), mac);
            stepped = c_mac::Icv::Previous(mac);
            icv = Des::new(key[..8].try_into().unwrap()).encrypt_block(&mac);
        }
    }
    for v in file.group("scp02_rmac") {
        let key = tdes(&v.bytes("in.session_rmac"));
        let icv: [u8; 8] = hex(&v.text("in.initial_ricv")[..16]).try_into().unwrap();
        // In pieces as a card meets them, and one byte at a time.
        for size in [1, 5, 8, 13] {
            let mut running = Running::new(icv);
            for piece in v.bytes("in.mac_input").chunks(size) {
                running.update(&key, piece);
                running = Running::from_bytes(&running.to_bytes()).unwrap();
            }
            assert_eq!(running.finish(&key)[..], v.bytes("out.rmac"));
        }
    }
    for v in file.group("dek_encrypt").filter(|v| v.get("in.sequence").is_some()) {
        let sequence = Sequence::from_bytes(v.array("in.sequence"));
        let dek = derive_key(&tdes(&v.bytes("in.static_dek")), session_keys::DEK, sequence).unwrap();
        assert_eq!(dek[..], v.bytes("in.session_dek"));
        let mut data = v.bytes("in.plain");
        tdes(&dek[..]).encrypt_ecb(&mut data).unwrap();
        assert_eq!(data, v.bytes("out.cipher"));
    }
}

/// A whole published exchange with an R-MAC: the log gives command, answer and MAC, our host takes it. [GPPro #218]
#[test]
fn host_takes_a_published_r_mac() {
    let file = vectors::load(SCP02);
    let (v, r) = (file.block("log-gppro-218"), file.block("log-gppro-218-rmac"));
    let answer = Answer::parse(&v.bytes("in.init_update_response")).unwrap();
    let verified = AwaitCard::new(v.array::<8>("in.host_challenge"))
        .verify_card(0x80, &answer, &keys(v), Level::CMacCEncRMac)
        .unwrap();
    let mut session = verified.accepted(Sw::OK).unwrap();
    let (plain, mut wire) = (r.bytes("in.command_plain"), [0; 300]);
    session.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
    let response = [r.bytes("in.response_data"), r.bytes("out.rmac"), vec![0x90, 0x00]].concat();
    let mut out = [0; 16];
    assert_eq!(session.unwrap(&response, &mut out).unwrap().data(), r.bytes("in.response_data"));
}

/// Implicit initiation. Nobody else has published one: computed, weak.
#[test]
fn implicit_initiation() {
    let file = vectors::load(SCP02);
    let v = file.block("derived-scp02-i1a");
    let keys = StaticKeys::base(&v.bytes("in.base_key")).unwrap();
    let sequence = Sequence::from_bytes(v.array("in.sequence_counter"));
    let mut session = Open::implicit(Options::I1A, &keys, sequence, &v.bytes("in.sd_aid")).unwrap();
    for n in 0..2 {
        let plain = v.bytes(&format!("in.commands.{n}"));
        let mut wire = [0; 64];
        let sent = session.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
        assert_eq!(sent, v.bytes(&format!("out.wrapped.{n}")), "command {n}");
    }
}
