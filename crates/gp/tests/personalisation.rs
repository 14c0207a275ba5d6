//! Personalisation data of payment applications: public PBOC scripts, and the groupings of EMV CPS under keys made from a KMC, which
//! nobody has published and a card takes here as they are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use huiwan_apdu::Sw;
use huiwan_crypto::Tdes;
use huiwan_gp::card::{CardProfile, Factory};
use huiwan_gp::diversification::{Purpose, Scheme};
use huiwan_gp::host::secure_channel::AwaitCard;
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::put_key::KeyType;
use huiwan_gp::scp02::{Options, Sequence, StaticKeys, session_keys};
use huiwan_gp::secure_channel::Level;
use huiwan_gp::store_data::DgiPadding;
use huiwan_testkit::hex;
use huiwan_testkit::vectors;
use huiwan_tlv::dgi::{self, Dgis};
use support::*;

const VECTORS: &str = include_str!("vectors/personalisation.txt");

/// The check values of the three keys in a row. [sheet 5.2]
#[test]
fn check_values_of_grouping_9000() {
    let file = vectors::load(VECTORS);
    let v = file.block("pboc-dgi9000-kcv");
    let values: Vec<u8> =
        v.bytes("in.dgi8000").chunks(16).flat_map(|key| KeyType::Des.check_value(key).unwrap()).collect();
    assert_eq!(values, v.bytes("out.dgi9000"));
}

/// Each is one grouping, whose length is that of the source, and goes through a card to its application whole.
#[test]
fn groupings_of_public_scripts() {
    let file = vectors::load(VECTORS);
    let (mut count, profile) = (0, CardProfile::DEFAULT);
    with_card(&profile, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))).1, 0x9000);
        for v in file.group("pboc_dgi").filter(|v| v.get("in.store_data_value").is_some()) {
            let raw = v.bytes("in.store_data_value");
            let groupings: Vec<_> = Dgis::new(&raw).map(Result::unwrap).collect();
            let [grouping] = groupings[..] else { panic!("{}", v.id()) };
            assert_eq!(grouping.id.to_be_bytes()[..], v.bytes("out.dgi"), "{}", v.id());
            assert_eq!(grouping.value.len() as u64, v.number("out.length"), "{}", v.id());
            let mut written = [0; 256];
            let end = dgi::put(&mut written, grouping.id, grouping.value).unwrap();
            assert_eq!(written[..end], raw, "{}", v.id());
            // P1 as the scripts have it, without structure bits. [CPS 4.3.5]
            assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
            let mut session = open(card, 0, &test_keys(), Level::CMac);
            assert_eq!(run(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0], &raw)).1, 0x9000, "{}", v.id());
            let [p1, p2] = grouping.id.to_be_bytes();
            let read = run(card, &mut session, &apdu([0x80, 0x10, p1, p2], &[]));
            assert_eq!(read, (grouping.value.to_vec(), 0x9000), "{}", v.id());
            count += 1;
        }
    });
    assert_eq!(count, 4);
}

/// From the KMC to the application: keys by EMV CPS, SCP02 session keys, groupings under the session's data encryption key. Computed: weak.
#[test]
fn groupings_of_emv_cps() {
    let file = vectors::load(VECTORS);
    let v = file.block("derived-cps-dgi");
    let (kmc, keydata) = (Tdes::new2(&v.array("in.kmc")), v.array("in.keydata"));
    let names = ["out.kenc", "out.kmac", "out.kdek"];
    let keys = Purpose::ALL.map(|purpose| Scheme::Emv.derive(&kmc, &keydata, purpose));
    for (key, name) in keys.iter().zip(names) {
        assert_eq!(key.expose()[..], v.bytes(name), "{name}");
    }
    let [enc, mac, dek] = keys.each_ref().map(|key| &key.expose()[..]);
    let statics = StaticKeys::new(enc, mac, dek).unwrap();
    let mut raw = [0; session_keys::RAW_LEN];
    session_keys::derive_raw(&statics, Sequence::from_bytes(v.array("in.sequence")), &mut raw).unwrap();
    assert_eq!(raw[..16], v.bytes("out.skuenc"));
    assert_eq!(raw[16..32], v.bytes("out.skumac"));
    assert_eq!(raw[64..], v.bytes("out.skudek"));

    // A card with these keys, whose counter stands at that value.
    let factory = Factory {
        key_version: 0x30,
        scp02: Some((0x20, [enc, mac, dek])),
        key_diversification: keydata,
        ..Factory::TEST
    };
    let mut memory = new_memory(&factory);
    memory.objects.insert((0, 0x0320), [&[0][..], &v.bytes("in.sequence")].concat());
    let profile = CardProfile::DEFAULT.with_scp02(Options::I55).with_dgi_padding(DgiPadding::WhenNeeded);
    with_card(&profile, memory, |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))).1, 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        let answer = card.send(&apdu([0x80, 0x50, 0x20, 0], &[7; 8]));
        let answer = Answer::parse(&answer[..answer.len() - 2]).unwrap();
        assert_eq!(answer.key_diversification, keydata);
        let verified = AwaitCard::new([7; 8]).verify_card(0x80, &answer, &statics, Level::Authenticated);
        let verified = verified.unwrap();
        let sw = card.sw(verified.command());
        let session = verified.accepted(Sw::new(sw)).unwrap();

        // The host encrypts to the same groupings.
        let clear = |id: u16| match id {
            0x8010 => v.bytes("in.pin_block"),
            0x8000 => v.bytes("in.udk"),
            0x9000 => v.bytes("out.dgi9000")[3..].to_vec(),
            0x8201 => {
                // A part of an RSA key is padded. [sheet 5.2]
                let mut part = v.bytes("in.crt_component");
                part.push(0x80);
                part.resize(part.len().next_multiple_of(8), 0);
                part
            }
            _ => v.bytes("out.dgi9010")[3..].to_vec(),
        };
        for (block, id) in (0_u8..).zip([0x8010_u16, 0x8000, 0x9000, 0x8201, 0x9010]) {
            let published = v.bytes(&format!("out.dgi{id:04x}"));
            let encrypted = id >> 12 == 8;
            let mut value = clear(id);
            if encrypted {
                session.encrypt_sensitive(Some((&statics).into()), &mut value).unwrap();
            }
            let mut written = [0; 256];
            let end = dgi::put(&mut written, id, &value).unwrap();
            assert_eq!(written[..end], published, "{id:04X}");
            // And the card takes them as they are.
            let p1 = if encrypted { 0x60 } else { 0 } | if id == 0x9010 { 0x80 } else { 0 };
            let command = apdu([0x80, 0xE2, p1, block], &published);
            if id == 0x8010 {
                assert_eq!(command[..command.len() - 1], v.bytes("out.store_data_8010"));
            }
            assert_eq!(card.sw(&command), 0x9000, "{id:04X}");
            let [p1, p2] = id.to_be_bytes();
            assert_eq!(
                card.send(&apdu([0x80, 0x10, p1, p2], &[])),
                [&clear(id)[..], &[0x90, 0x00]].concat(),
                "{id:04X}"
            );
        }
    });
}
