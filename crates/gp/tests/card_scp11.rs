//! SCP11 with a card: keys, certificates, the three handshakes against our host, and everything that is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{DateTime, Memory};
use huiwan_crypto::Aes;
use huiwan_gp::card::{Factory, Scp11Profile, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::key_information;
use huiwan_gp::scp03::{Mode, StaticKeys};
use huiwan_gp::scp11::certificate::{Certificate, Usage, verify_chain};
use huiwan_gp::scp11::{Identifiers, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::hex;
use proptest::prelude::*;
use scp11_host::*;
use support::{
    MapMemory, TOY_AID, apdu, install_toy, new_memory, open, put_keys, run, select, test_keys, with_card,
};

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const DEFAULT: Scp11Profile = Scp11Profile::DEFAULT;

fn sw<M: Memory>(card: &mut ScpCard<'_, M>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

/// A card with all keys.
fn provisioned() -> MapMemory {
    let (memory, ()) = with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        for command in provisioning() {
            assert_eq!(sw(card, &mut session, &command), 0x9000);
        }
    });
    memory
}

fn with_keys<T>(f: impl FnOnce(&mut ScpCard<'_, MapMemory>) -> T) -> T {
    with_scp11(DEFAULT, provisioned(), f).1
}

/// STORE DATA of objects in one block.
fn store(data: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xE2, 0x90, 0x00], data)
}

fn admin<T>(
    card: &mut ScpCard<'_, MapMemory>,
    f: impl FnOnce(&mut ScpCard<'_, MapMemory>, &mut Open) -> T,
) -> T {
    assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
    let mut session = open(card, 0x30, &test_keys(), Level::CMacCEnc);
    f(card, &mut session)
}

/// The key information template.
fn told(card: &mut ScpCard<'_, MapMemory>, session: &mut Open) -> Vec<u8> {
    let (told, status) = run(card, session, &hex("80CA00E000"));
    assert_eq!(status, 0x9000);
    told
}

#[test]
fn keys_come_and_go() {
    let dek = Aes::new(&TEST_KEY).unwrap();
    with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let generate = apdu([0x80, 0xF1, 0x00, 0x13], &hex("03F00100"));
        assert_eq!(card.sw(&generate), 0x6982);
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        // A private number as it is, with its length before it, and in format 2: the length and usage told.
        let put = |version, id, d: &[u8]| put_private(0, version, id, d, &dek);
        assert_eq!(run(card, &mut session, &put(3, 0x11, &[0x21; 32])), (vec![0x03], 0x9000));
        let mut block = [0x22; 32];
        huiwan_crypto::BlockKey::encrypt_cbc(&dek, &[0; 16], &mut block).unwrap();
        let with_len = [&hex("03B12120")[..], &block, &hex("F0010000")].concat();
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0, 0x15], &with_len)), 0x9000);
        let second =
            [&hex("04FFB1002120")[..], &block, &hex("FFF0000100 00 0118 0101".replace(' ', "").as_str())]
                .concat();
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0, 0x15], &second)), 0x9000);
        let (answer, status) = run(card, &mut session, &generate);
        assert_eq!((status, &answer[..3]), (0x9000, &hex("B04104")[..]));
        assert_eq!(sw(card, &mut session, &put_public(0, 3, 0x10, public(ROOT).as_bytes())), 0x9000);
        let information = told(card, &mut session);
        for key in ["C0061103B120F000", "C0061303B120F000", "C0061503B120F000", "C0061003B041F000"] {
            assert!(information.windows(8).any(|window| window == hex(key)), "{key} {information:02X?}");
        }
        let extended = hex("C00E1504FFB10020FFF0000001180101");
        assert!(information.windows(extended.len()).any(|window| window == extended), "{information:02X?}");
        assert_eq!(key_information::keys(&information).unwrap().count(), 8);

        // Another place, another curve, no number of the curve, a check value: 6A80.
        let order = hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
        for command in [put(3, 0x12, &[0x21; 32]), put(5, 0x11, &[0; 32]), put(5, 0x11, &order)] {
            assert_eq!(sw(card, &mut session, &command), 0x6A80);
        }
        let mut wrong = put(5, 0x11, &[0x21; 32]);
        let curve = wrong.len() - 3;
        wrong[curve] = 0x01;
        assert_eq!(sw(card, &mut session, &wrong), 0x6A80);
        let mut off_curve = *public(ROOT).as_bytes().first_chunk::<65>().unwrap();
        off_curve[64] ^= 1;
        for id in [0x10, 0x20, 0x2F] {
            assert_eq!(sw(card, &mut session, &put_public(0, 5, id, &off_curve)), 0x6A80);
        }
        let with_kcv = [&hex("05B120")[..], &block, &hex("F0010003010203")].concat();
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0, 0x11], &with_kcv)), 0x6A80);
        for (p1, p2, data, expected) in [
            (0, 0x12, "05F00100", 0x6A86),
            (0x80, 0x13, "05F00100", 0x6A86),
            (0, 0x13, "05F00101", 0x6A80),
            (0, 0x13, "00F00100", 0x6A80),
            (0, 0x13, "80F00100", 0x6A80),
            (0, 0x13, "05F001", 0x6A80),
            // The place is taken; what is to be replaced is not there.
            (0, 0x13, "03F00100", 0x6A80),
            (0x09, 0x13, "03F00100", 0x6A88),
        ] {
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xF1, p1, p2], &hex(data))), expected, "{data}");
        }
        // Replaced, under its version and under another.
        let again = run(card, &mut session, &apdu([0x80, 0xF1, 0x03, 0x13], &hex("03F00100")));
        assert!(again.1 == 0x9000 && again.0 != answer);
        let moved = apdu([0x80, 0xF1, 0x04, 0x15], &hex("06F00100"));
        assert_eq!(sw(card, &mut session, &moved), 0x9000);
        assert!(!told(card, &mut session).windows(2).any(|window| window == [0x15, 0x04]));
        // By identifier, by version, both.
        let delete = |data: &str| apdu([0x80, 0xE4, 0, 0], &hex(data));
        assert_eq!(sw(card, &mut session, &delete("D00113")), 0x9000);
        assert_eq!(sw(card, &mut session, &delete("D00113")), 0x6A88);
        assert_eq!(sw(card, &mut session, &delete("D00115D20106")), 0x9000);
        assert_eq!(sw(card, &mut session, &delete("D20103")), 0x9000);
        assert_eq!(told(card, &mut session), hex("E012C00401308810C00402308810C00403308810"));
        assert_eq!(card.sw(&Wish::new(Variant::B).command()), 0x6A88);
    });
}

/// A key beside those of a channel goes alone, and takes along what was kept for it.
#[test]
fn keys_beside_a_channel() {
    let dek = Aes::new(&TEST_KEY).unwrap();
    with_scp11(DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &put_private(0, 0x30, 0x13, &[0x23; 32], &dek)), 0x9000);
        assert_eq!(sw(card, &mut session, &store(&hex("A60483021330BF210301020370"))), 0x6A80);
        assert_eq!(sw(card, &mut session, &store(&hex("A60483021330BF2103010203"))), 0x9000);
        let delete = |data: &str| apdu([0x80, 0xE4, 0, 0], &hex(data));
        assert_eq!(sw(card, &mut session, &delete("D00101D20130")), 0x6985);
        assert_eq!(sw(card, &mut session, &delete("D20130")), 0x6985);
        assert_eq!(sw(card, &mut session, &delete("D00113D20130")), 0x9000);
        assert_eq!(sw(card, &mut session, &hex("80CABF2106A6048302133000")), 0x6A88);
        assert_eq!(told(card, &mut session), hex("E012C00401308810C00402308810C00403308810"));
        open(card, 0x30, &test_keys(), Level::CMac);
    });
}

#[test]
fn a_card_without_scp11_has_none_of_it() {
    let profile = huiwan_gp::card::CardProfile::DEFAULT;
    with_card(&profile, new_memory(&Factory::TEST), |card| {
        assert_eq!(card.sw(&Wish::new(Variant::B).command()), 0x6D00);
        assert_eq!(card.sw(&apdu([0x80, 0x2A, 3, 0x10], &[1])), 0x6D00);
        assert_eq!(card.sw(&apdu([0x90, 0x2A, 3, 0x10], &[1])), 0x6884);
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        let dek = Aes::new(&TEST_KEY).unwrap();
        assert_eq!(run(card, &mut session, &put_private(0, 3, 0x13, &[1; 32], &dek)).1, 0x6A80);
        assert_eq!(run(card, &mut session, &apdu([0x80, 0xF1, 0, 0x13], &hex("03F00100"))).1, 0x6D00);
        let (recognition, _) = run(card, &mut session, &hex("80CA006600"));
        assert!(!recognition.windows(2).any(|window| window == [0x04, 0x11]));
    });
}

#[test]
fn what_the_card_says_it_can() {
    with_keys(|card| {
        // As a YubiKey 5.7 tells it (its card recognition data, published with scpctl).
        let recognition = card.send(&hex("80CA006600"));
        let oid = hex("640C060A2A864886FC6B04119B06");
        assert!(recognition.windows(oid.len()).any(|window| window == oid), "{recognition:02X?}");
        let protocols: Vec<_> =
            huiwan_gp::recognition::protocols(&recognition[..recognition.len() - 2]).unwrap().collect();
        assert_eq!((protocols[1].scp, protocols[1].i), (0x11, 0x0D86));
        let capabilities = card.send(&hex("80CA006700"));
        let scp11 = hex("A00A80011181020D86820107");
        assert!(capabilities.windows(scp11.len()).any(|window| window == scp11), "{capabilities:02X?}");
        let fci = card.send(&select(&ISSUER));
        assert!(fci.windows(oid.len()).any(|window| window == oid));
    });
}

/// Two digits, one and three in an object identifier come back as they were.
#[test]
fn object_identifiers_of_protocols() {
    use huiwan_gp::recognition::{Protocol, protocols, write_template};
    for i in (0..=u16::MAX).step_by(61).chain([0x7F, 0x80, 0x3FFF, 0x4000, u16::MAX]) {
        let mut out = [0; 80];
        let mut w = huiwan_tlv::Writer::new(&mut out);
        w.nested(huiwan_tlv::Tag::new(0x66), |w| {
            write_template(w, [Protocol { scp: 0x11, i }].into_iter());
        });
        let written = w.finish().unwrap();
        let read: Vec<_> = protocols(written).unwrap().collect();
        assert_eq!(read, [Protocol { scp: 0x11, i }]);
    }
}

#[test]
fn a_b_and_c_open() {
    for mode in [Mode::S8, Mode::S16] {
        let profile = DEFAULT.with_mode(mode);
        with_scp11(profile, provisioned(), |card| {
            for variant in VARIANTS {
                for (level, key_len) in [(Level::All, 16), (Level::CMacRMac, 24), (Level::All, 32)] {
                    assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
                    let wish = Wish { level, key_len, mode, ..Wish::new(variant) };
                    let mut session = wish.open(card).unwrap();
                    let (information, status) = run(card, &mut session, &hex("80CA00E000"));
                    assert_eq!((status, information[0]), (0x9000, 0xE0));
                    let known = variant.authenticates_host();
                    let list = apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00"));
                    assert_eq!(sw(card, &mut session, &list), if known { 0x9000 } else { 0x6982 });
                    // What a session without a MAC would be.
                    assert_eq!(card.sw(&list), 0x6982);
                }
            }
        });
    }
}

/// The session key encrypts what PUT KEY brings, and the keys that came open their channel.
#[test]
fn keys_under_the_session_key() {
    for variant in [Variant::A, Variant::C] {
        for key_len in [16, 32] {
            with_keys(|card| {
                let mut session = Wish { key_len, ..Wish::new(variant) }.open(card).unwrap();
                let new = [0x91; 32];
                let mut block = new;
                session.encrypt_sensitive(Some((&test_keys()).into()), &mut block).unwrap();
                let kcv = huiwan_gp::put_key::KeyType::Aes.check_value(&new).unwrap();
                let mut data = vec![0x31];
                for _ in 0..3 {
                    data.extend([0x88, 0x21, 0x20]);
                    data.extend(block);
                    data.push(3);
                    data.extend(kcv);
                }
                let put = apdu([0x80, 0xD8, 0, 0x81], &data);
                assert_eq!(sw(card, &mut session, &put), 0x9000);
                open(card, 0x31, &StaticKeys::new(&new, &new, &new).unwrap(), Level::All);
            });
        }
    }
}

#[test]
fn a_host_that_is_nobody_changes_nothing() {
    let memory = provisioned();
    let (after, ()) = with_scp11(DEFAULT, memory.clone(), |card| {
        let mut session = Wish::new(Variant::B).open(card).unwrap();
        let dek = Aes::new(&[0; 16]).unwrap();
        for command in [
            install_toy(&TOY_AID, &hex("C900")),
            put_keys(0, 0x31, 1, &[&[0x55; 16][..]; 3], &TEST_KEY),
            put_private(0, 5, 0x13, &[1; 32], &dek),
            put_public(0, 5, 0x10, public(ROOT).as_bytes()),
            apdu([0x80, 0xF1, 0, 0x13], &hex("05F00100")),
            store(&hex("4203010203")),
            store(&hex("A60483021103BF2103010203")),
            apdu([0x80, 0xE4, 0, 0], &hex("D20103")),
            apdu([0x80, 0xF0, 0x80, 0x7F], &ISSUER),
            apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")),
            apdu([0x80, 0xE8, 0x00, 0x00], &[1]),
            apdu([0x80, 0xCA, 0x2F, 0x00], &[]),
        ] {
            assert_eq!(sw(card, &mut session, &command), 0x6982, "{command:02X?}");
        }
        // Long ones too, and the session is still there.
        let long = Command::new(0x80, 0xE2, 0x90, 0).with_data(&[0x42; 300]).extended(true);
        let mut raw = [0; 320];
        let long = long.write(&mut raw).unwrap().to_vec();
        assert_eq!(run_long(card, &mut session, &long).1, 0x6982);
        assert_eq!(sw(card, &mut session, &hex("80CA00E000")), 0x9000);
        // Its own words: MACs and encryption, and nobody authenticated. [GPC 10.6]
        assert_eq!(run(card, &mut session, &hex("80CA00D300")), (hex("D30133"), 0x9000));
    });
    assert_eq!(after.objects, memory.objects);
}

#[test]
fn handshakes_out_of_order() {
    let mutual = |variant| Wish::new(variant).command();
    with_keys(|card| {
        for variant in [Variant::A, Variant::C] {
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "no certificate");
            assert_eq!(certify(card, &chain(false)[0], true), 0x9000);
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "half a chain");
            assert_eq!(certify(card, &chain(false)[1], false), 0x6600, "the first half is gone");
            certify_host(card, false);
            assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "selection forgets");
            certify_host(card, true);
            open(card, 0x30, &test_keys(), Level::All);
            assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "and so does a session");
            certify_host(card, false);
            card.power_on();
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "and power");
            // GET DATA does not; the card's certificate can be read in between.
            certify_host(card, false);
            assert_eq!(card.sw(&hex("80CA00E000")), 0x9000);
            let answer = card.send(&mutual(variant));
            assert!(Wish::new(variant).opened(&answer).is_ok());
            assert_eq!(card.sw(&mutual(variant)), 0x6985, "certificates serve one handshake");
        }
        // An authority in the middle of another's chain: a new chain, which is not one.
        assert_eq!(certify(card, &chain(false)[0], true), 0x9000);
        assert_eq!(certify_under(card, &chain(false)[1], false, 0x04), 0x6A88);
        assert_eq!(card.sw(&mutual(Variant::A)), 0x6985);
    });
}

/// EXTERNAL AUTHENTICATE and MUTUAL AUTHENTICATE share an instruction byte.
#[test]
fn two_commands_with_one_instruction() {
    with_keys(|card| {
        let update = hex("80503000080102030405060708");
        assert_eq!(card.sw(&update), 0x9000);
        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x6985, "no certificate");
        let external = apdu([0x84, 0x82, 0x01, 0x00], &[0; 16]);
        assert_eq!(card.sw(&external), 0x6985, "the challenge is forgotten");
        assert_eq!(card.sw(&update), 0x9000);
        assert_eq!(card.sw(&external), 0x6300);
        assert_eq!(card.sw(&update), 0x9000);
        assert_eq!(card.sw(&apdu([0x84, 0x82, 0x03, 0x11], &[0; 16])), 0x6A86, "P2 of the symmetric one");
        assert_eq!(card.sw(&apdu([0x84, 0x82, 0x03, 0x11], &[0; 16])), 0x6985);
        assert_eq!(card.sw(&apdu([0x80, 0x82, 0x01, 0x00], &[0; 16])), 0x6985);
        // With a session open, the plain one begins anew and the protected one is a command like any other.
        let mut session = open(card, 0x30, &test_keys(), Level::All);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0x82, 0x01, 0x00], &[0; 16])), 0x6985);
        let mut session = open(card, 0x30, &test_keys(), Level::All);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0x88, 0x03, 0x13], &[0; 16])), 0x6D00);
        let answer = card.send(&Wish::new(Variant::B).command());
        let mut nobody = Wish::new(Variant::B).opened(&answer).unwrap();
        assert_eq!(sw(card, &mut nobody, &hex("80CA00E000")), 0x9000);
        assert_eq!(card.sw(&hex("84CA00E008000000000000000000")), 0x6982);
    });
}

#[test]
fn handshakes_for_keys_that_are_not_there() {
    with_keys(|card| {
        let to = |ins, version, id, variant| {
            let mut raw = Wish::new(variant).command();
            (raw[1], raw[2], raw[3]) = (ins, version, id);
            raw
        };
        for (ins, version, id, variant, expected) in [
            (0x88, 0x04, 0x13, Variant::B, 0x6A88),
            (0x88, 0x03, 0x11, Variant::A, 0x6A88),
            (0x88, 0x03, 0x10, Variant::B, 0x6A88),
            (0x82, 0x03, 0x13, Variant::B, 0x6A88),
            (0x82, 0x03, 0x12, Variant::A, 0x6A88),
            (0x82, 0x07, 0x11, Variant::A, 0x6A88),
            // The parameters say another variant than the key.
            (0x88, 0x03, 0x13, Variant::A, 0x6985),
        ] {
            assert_eq!(card.sw(&to(ins, version, id, variant)), expected, "{ins:02X} {version:02X} {id:02X}");
        }
        certify_host(card, false);
        assert_eq!(card.sw(&to(0x82, 3, 0x11, Variant::C)), 0x6985);
        // Version 00 is the first that has the identifier.
        let answer = card.send(&to(0x88, 0, 0x13, Variant::B));
        assert!(Wish::new(Variant::B).opened(&answer).is_ok());
        // Data that are cut, a point that is none.
        let good = Wish::new(Variant::B).command();
        for cut in 6..good.len() - 1 {
            let mut raw = good[..cut].to_vec();
            raw[4] = (cut - 5) as u8;
            assert_eq!(card.sw(&raw), 0x6A80, "{cut}");
        }
        let mut off_curve = good.clone();
        let last = good.len() - 2;
        off_curve[last] ^= 1;
        assert_eq!(card.sw(&off_curve), 0x6A80);
        assert_eq!(card.sw(&hex("84CA00E008000000000000000000")), 0x6982, "there is no session");
    });
    // A card that speaks b alone.
    let only_b = DEFAULT.with_variants(&[Variant::B], &[]);
    with_scp11(only_b, provisioned(), |card| {
        certify_host(card, false);
        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x6A88);
        assert!(Wish::new(Variant::B).open(card).is_ok());
        let recognition = card.send(&hex("80CA006600"));
        assert!(!recognition.windows(2).any(|window| window == [0x04, 0x11]));
    });
}

#[test]
fn replay() {
    with_keys(|card| {
        for variant in VARIANTS {
            let wish = Wish::new(variant);
            let mut session = wish.open(card).unwrap();
            let mut wire = [0; 300];
            let get = Command::new(0x80, 0xCA, 0x00, 0xE0).with_ne(huiwan_apdu::Ne::MAX_SHORT);
            let sent = session.wrap(&get, &mut wire).unwrap().to_vec();
            assert_eq!(card.sw(&sent), 0x9000);
            assert_eq!(card.sw(&sent), 0x6982, "a command comes once");
            // The whole session once more: a and b have a fresh key each time, c takes it, as the texts say. [AmdF]
            if variant.authenticates_host() {
                certify_host(card, false);
            }
            let again = card.send(&wish.command());
            assert!(wish.opened(&again).is_ok());
            assert_eq!(card.sw(&sent), if variant == Variant::C { 0x9000 } else { 0x6982 }, "{variant:?}");
        }
    });
}

#[test]
fn certificates_that_are_not_good() {
    let refused = |first: &[u8], second: Option<&[u8]>| {
        with_keys(|card| {
            let status = match second {
                None => certify(card, first, false),
                Some(second) => match certify(card, first, true) {
                    0x9000 => certify(card, second, false),
                    status => status,
                },
            };
            let after = card.sw(&Wish::new(Variant::A).command());
            assert_eq!(after == 0x9000, status == 0x9000);
            status
        })
    };
    for x509 in [false, true] {
        let [first, second] = chain(x509);
        assert_eq!(refused(&first, Some(&second)), 0x9000);
        assert_eq!(refused(&first, Some(&first)), 0x6600, "another signed");
        assert_eq!(refused(&second, None), 0x6600, "another signed");
        assert_eq!(refused(&first, None), 0x6600, "an authority agrees on nothing");
        for at in (4..first.len()).step_by(7) {
            let mut wrong = first.clone();
            wrong[at] ^= 0x10;
            assert_eq!(refused(&wrong, Some(&second)), 0x6600, "byte {at}");
            let cut = first[..at].to_vec();
            assert_eq!(refused(&cut, Some(&second)), 0x6600, "cut at {at}");
        }
        assert_eq!(refused(&[&first[..], &[0]].concat(), Some(&second)), 0x6600);
        assert_eq!(refused(&[&first[..], &second].concat(), None), 0x6600, "one command, one certificate");
    }
    let gp = |usage, key, by| gp_certificate(&[7], usage, key, by);
    assert_eq!(refused(&gp(AGREEMENT, HOST, ROOT), None), 0x9000);
    assert_eq!(refused(&gp(AGREEMENT, MIDDLE, ROOT), Some(&gp(AGREEMENT, HOST, MIDDLE))), 0x6600);
    assert_eq!(refused(&gp(SIGNATURE, MIDDLE, ROOT), Some(&gp(SIGNATURE, HOST, MIDDLE))), 0x6600);
    // A serial number longer than any.
    assert_eq!(refused(&gp_certificate(&[7; 22], AGREEMENT, HOST, ROOT), None), 0x6600);

    let (middle, host) = (X509::authority(MIDDLE, ROOT), X509::host(HOST, MIDDLE));
    let below = |extensions: Vec<Vec<u8>>| {
        refused(&X509 { extensions, ..middle.clone() }.write(), Some(&host.write()))
    };
    assert_eq!(below(vec![authority(None)]), 0x9000);
    assert_eq!(below(vec![authority(Some(0)), key_usage(0x04)]), 0x9000);
    assert_eq!(below(vec![]), 0x6600, "no authority");
    assert_eq!(below(vec![key_usage(0x04)]), 0x6600, "no authority");
    assert_eq!(below(vec![authority(None), key_usage(0x08)]), 0x6600, "signs nothing");
    assert_eq!(below(vec![authority(None), extension(0x1E, true, &[0x30, 0x00])]), 0x6600, "critical");
    assert_eq!(below(vec![authority(None), extension(0x1E, false, &[0x30, 0x00])]), 0x9000);
    assert_eq!(below(vec![authority(None), extension(0x20, true, &[0x30, 0x00])]), 0x9000, "a policy");
    let with = |extensions: Vec<Vec<u8>>| {
        refused(&middle.write(), Some(&X509 { extensions, ..host.clone() }.write()))
    };
    assert_eq!(with(vec![]), 0x9000);
    assert_eq!(with(vec![key_usage(0x80)]), 0x6600);
    assert_eq!(with(vec![extension(0x1E, true, &[0x30, 0x00])]), 0x6600);
    // The algorithm outside the signature is not the one inside.
    assert_eq!(
        refused(&X509 { algorithm: [0x03, 0x03], ..middle.clone() }.write(), Some(&host.write())),
        0x6600
    );
    // A chain of three, and an authority that allows none below it.
    let three = |path_len| {
        with_keys(|card| {
            let first = X509 { extensions: vec![authority(path_len)], ..X509::authority(0x51, ROOT) };
            assert_eq!(certify(card, &first.write(), true), 0x9000);
            match certify(card, &X509::authority(MIDDLE, 0x51).write(), true) {
                0x9000 => certify(card, &host.write(), false),
                status => status,
            }
        })
    };
    assert_eq!([three(None), three(Some(1)), three(Some(0))], [0x9000, 0x9000, 0x6600]);
    // The same by the function that hosts use.
    let whole = [middle.write(), host.write()].concat();
    assert_eq!(
        verify_chain::<huiwan_crypto::ec::P256, huiwan_crypto::kdf::Sha256>(&public(ROOT), &whole, None),
        Ok(public(HOST))
    );
}

#[test]
fn time_counts_where_it_is_known() {
    let at = |year, month, day| DateTime { year, month, day, hour: 12, minute: 0, second: 0 };
    let verify = |profile, certificate: &[u8], now| {
        with_scp11(profile, provisioned(), |card| {
            sw_at(card, &apdu([0x80, 0x2A, KVN, KID_CA], certificate), now)
        })
        .1
    };
    let gp = gp_certificate(&[7], AGREEMENT, HOST, ROOT);
    for (now, expected) in [
        (at(2024, 12, 31), 0x6600),
        (at(2025, 1, 1), 0x9000),
        (at(2035, 12, 31), 0x9000),
        (at(2036, 1, 1), 0x6600),
    ] {
        assert_eq!(verify(DEFAULT, &gp, now), expected, "{now:?}");
        assert_eq!(verify(DEFAULT.with_validity(false), &gp, now), 0x9000);
        let x509 = X509::host(HOST, ROOT).write();
        let (certificate, _) = Certificate::parse(&x509).unwrap();
        assert_eq!(certificate.validity.contains(&now), expected == 0x9000);
        assert!(matches!(certificate.usage, Usage::X509(extensions) if !extensions.authority));
    }
    // Years of two digits from 50 on are of the last century. [RFC 5280 4.1.2.5.1]
    let old = X509 { until: tlv(&[0x17], &[b"500101000000Z"]), ..X509::host(HOST, ROOT) }.write();
    assert_eq!(Certificate::parse(&old).unwrap().0.validity.until, Some([0x19, 0x50, 0x01, 0x01, 0, 0, 0]));
    for wrong in [&b"2501010000Z"[..], b"250101000000", b"25010100000AZ", b"250101000000+0800"] {
        assert!(
            Certificate::parse(&X509 { from: tlv(&[0x17], &[wrong]), ..X509::host(HOST, ROOT) }.write())
                .is_none()
        );
    }
}

#[test]
fn only_hosts_on_a_list() {
    with_keys(|card| {
        let list = |id: u8, serials: &[&[u8]], counter: Option<u16>| {
            let serials: Vec<_> = serials.iter().flat_map(|serial| tlv(&[0x93], &[serial])).collect();
            let counter = counter.map_or(vec![], |counter| tlv(&[0x92], &[&counter.to_be_bytes()]));
            store(&[tlv(&[0xA6], &[&[0x83, 2, id, KVN]]), counter, tlv(&[0x70], &[&serials])].concat())
        };
        let own: &[u8] = &[0x99, HOST];
        let put = |card: &mut ScpCard<'_, _>, command: &[u8]| {
            admin(card, |card, session| sw(card, session, command))
        };
        let attempt = |card: &mut ScpCard<'_, _>| {
            assert_eq!(certify(card, &chain(false)[0], true), 0x9000);
            match certify(card, &chain(false)[1], false) {
                0x9000 => card.sw(&Wish::new(Variant::A).command()),
                status => status,
            }
        };
        assert_eq!(attempt(card), 0x9000);
        // Of the authority's key; zeros before a number make it no other.
        assert_eq!(put(card, &list(KID_CA, &[&[1], &[2]], None)), 0x9000);
        assert_eq!(attempt(card), 0x6640);
        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x6985);
        assert_eq!(put(card, &list(KID_CA, &[&[1], &[0, 0x99, HOST]], None)), 0x9000);
        assert_eq!(attempt(card), 0x9000);
        // Of the card's key: the other variants do not mind.
        assert_eq!(put(card, &list(0x11, &[&[1]], Some(5))), 0x9000);
        assert_eq!(attempt(card), 0x6640);
        certify_host(card, false);
        assert_eq!(card.sw(&Wish::new(Variant::C).command()), 0x9000);
        // A counter rises; a list without one leaves it.
        for (counter, expected) in
            [(Some(5), 0x6985), (Some(4), 0x6985), (Some(6), 0x9000), (None, 0x9000), (Some(6), 0x6985)]
        {
            assert_eq!(put(card, &list(0x11, &[own], counter)), expected, "{counter:?}");
        }
        assert_eq!(attempt(card), 0x9000);
        // Thirty numbers take more than one piece.
        let many: Vec<[u8; 20]> = (0..30).map(|n| [n; 20]).collect();
        let mut many: Vec<&[u8]> = many.iter().map(|serial| &serial[..]).collect();
        let data = |many: &[&[u8]]| {
            let serials: Vec<_> = many.iter().flat_map(|serial| tlv(&[0x93], &[serial])).collect();
            [tlv(&[0xA6], &[&[0x83, 2, KID_CA, KVN]]), tlv(&[0x70], &[&serials])].concat()
        };
        let blocks = |card: &mut ScpCard<'_, _>, data: &[u8]| {
            admin(card, |card, session| {
                let count = data.chunks(200).count();
                for (n, block) in data.chunks(200).enumerate() {
                    let p1 = if n + 1 == count { 0x90 } else { 0x10 };
                    assert_eq!(sw(card, session, &apdu([0x80, 0xE2, p1, n as u8], block)), 0x9000);
                }
            });
        };
        blocks(card, &data(&many));
        assert_eq!(attempt(card), 0x6640);
        many.push(own);
        blocks(card, &data(&many));
        assert_eq!(attempt(card), 0x9000);
        // None: every number will do.
        assert_eq!(put(card, &list(KID_CA, &[], None)), 0x9000);
        assert_eq!(put(card, &list(KID_CA, &[], None)), 0x9000);
        assert_eq!(put(card, &list(0x11, &[&[1]], None)), 0x9000);
        assert_eq!(put(card, &list(0x11, &[], None)), 0x9000);
        assert_eq!(attempt(card), 0x9000);
        for wrong in ["A60483021003700101", "700393010 5", "A6048302100370029300", "A604830210039202000 5"] {
            assert_eq!(put(card, &store(&hex(&wrong.replace(' ', "")))), 0x6A80, "{wrong}");
        }
    });
}

#[test]
fn certificates_longer_than_a_command() {
    let long: Vec<u8> = (0..1500_u32).map(|n| (n * 7 / 3) as u8).collect();
    let value = tlv(&[0xBF, 0x21], &[&long]);
    let objects = [hex("A60483021103"), value.clone()].concat();
    let ask = hex("80CABF2106A6048302110300");
    with_keys(|card| {
        for size in [1, 7, 100, 220] {
            admin(card, |card, session| {
                if size == 1 {
                    // More blocks than there are numbers for: nothing is stored.
                    let mut status = 0x9000;
                    for (n, block) in objects.chunks(1).enumerate() {
                        status = sw(card, session, &apdu([0x80, 0xE2, 0x10, n as u8], block));
                        if status != 0x9000 {
                            break;
                        }
                    }
                    assert_eq!(status, 0x6A86);
                    return;
                }
                let count = objects.chunks(size).count();
                for (n, block) in objects.chunks(size).enumerate() {
                    let p1 = if n + 1 == count { 0x90 } else { 0x10 };
                    assert_eq!(sw(card, session, &apdu([0x80, 0xE2, p1, n as u8], block)), 0x9000);
                }
                assert_eq!(run_long(card, session, &ask), (value.clone(), 0x9000));
            });
            assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
            if size == 1 {
                assert_eq!(card.sw(&ask), 0x6A88);
                continue;
            }
            let answer = fetch(card, &ask);
            assert_eq!(answer, [&value[..], &[0x90, 0x00]].concat());
            // With extended length in one piece.
            let mut raw = [0; 32];
            let extended = Command::new(0x80, 0xCA, 0xBF, 0x21)
                .with_data(&ask[5..11])
                .with_ne(huiwan_apdu::Ne::MAX_EXTENDED)
                .extended(true)
                .write(&mut raw)
                .unwrap()
                .to_vec();
            assert_eq!(card.send(&extended), [&value[..], &[0x90, 0x00]].concat());
        }
        // In one extended command, and away.
        let mut raw = [0; 2000];
        let whole = Command::new(0x80, 0xE2, 0x90, 0).with_data(&objects).extended(true);
        let whole = whole.write(&mut raw).unwrap().to_vec();
        admin(card, |card, session| {
            assert_eq!(sw(card, session, &store(&hex("A60483021103BF2103010203"))), 0x9000);
            assert_eq!(run_long(card, session, &whole), (vec![], 0x9000));
            assert_eq!(run_long(card, session, &ask), (value.clone(), 0x9000));
            assert_eq!(sw(card, session, &store(&hex("A60483021103BF2100"))), 0x9000);
            assert_eq!(sw(card, session, &store(&hex("A60483021103BF2100"))), 0x6A88);
            assert_eq!(sw(card, session, &ask), 0x6A88);
            // Longer than the answer that would have to hold it.
            let too_long = [hex("A60483021103"), tlv(&[0xBF, 0x21], &[&vec![0x5A; 2027]])].concat();
            let mut raw = [0; 2200];
            let command = Command::new(0x80, 0xE2, 0x90, 0).with_data(&too_long).extended(true);
            let command = command.write(&mut raw).unwrap().to_vec();
            let status = run_long(card, session, &command).1;
            assert!(matches!(status, 0x6A84 | 0x6700), "{status:04X}");
        });
        // An end inside an object, a sequence that is left: nothing is stored.
        admin(card, |card, session| {
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x10, 0], &objects[..100])), 0x9000);
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 1], &objects[100..200])), 0x6A80);
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x10, 0], &objects[..100])), 0x9000);
            assert_eq!(sw(card, session, &apdu([0x80, 0xF2, 0x80, 2], &hex("4F00"))), 0x9000);
            assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 1], &objects[100..200])), 0x6A86);
            assert_eq!(sw(card, session, &ask), 0x6A88);
            // Two keys in one command get a place each.
            let two = hex("A60483021103BF21020102A60483021303BF21020304");
            assert_eq!(sw(card, session, &store(&two)), 0x9000);
            assert_eq!(run(card, session, &ask), (hex("BF21020102"), 0x9000));
            assert_eq!(run(card, session, &hex("80CABF2106A6048302130300")), (hex("BF21020304"), 0x9000));
        });
    });
}

#[test]
fn identifiers_of_authorities() {
    with_keys(|card| {
        assert_eq!(card.sw(&hex("80CAFF3300")), 0x6A88);
        admin(card, |card, session| {
            for object in
                ["A60C8001004203A1A2A383021003", "A60B8001014202B1B283021103", "A60B8001004202C1C283022003"]
            {
                assert_eq!(sw(card, session, &store(&hex(object))), 0x9000);
            }
            assert_eq!(sw(card, session, &store(&hex("A60B8001024202B1B283021103"))), 0x6A80);
        });
        assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
        assert_eq!(card.send(&hex("80CAFF3300")), hex("FF33114203A1A2A3830210034202C1C2830220039000"));
        assert_eq!(card.send(&hex("80CAFF3400")), hex("FF34084202B1B2830211039000"));
        // The key of an authority by its identifier (kaoh).
        assert_eq!(card.send(&hex("80CA008307A6054203A1A2A300")), hex("830210039000"));
        assert_eq!(card.sw(&hex("80CA008307A6054203A1A2A400")), 0x6A88);
        assert_eq!(card.sw(&hex("80CA008306A6044202B1B200")), 0x6A88, "the authority of cards");
        assert_eq!(card.sw(&hex("80CA008300")), 0x6A80);
    });
}

/// Certificates in parts with bit 8 of P1 (kaoh), and with extended length.
#[test]
fn certificates_in_parts() {
    let [first, second] = chain(true);
    assert!(first.len() > 255);
    with_keys(|card| {
        let part = |p1, p2, data: &[u8]| apdu([0x80, 0x2A, p1, p2], data);
        assert_eq!(card.sw(&part(0x83, 0x90, &first[..255])), 0x9000);
        assert_eq!(card.sw(&part(0x03, 0x90, &first[255..])), 0x9000);
        for piece in second[..200].chunks(50) {
            assert_eq!(card.sw(&part(0x83, 0x10, piece)), 0x9000);
        }
        assert_eq!(card.sw(&part(0x03, 0x10, &second[200..])), 0x9000);
        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x9000);
        // More than a certificate has; the next one finds room.
        for n in 0..5 {
            let expected = if n < 4 { 0x9000 } else { 0x6A84 };
            assert_eq!(card.sw(&part(0x83, 0x90, &[0x30; 255])), expected, "{n}");
        }
        assert_eq!(card.sw(&part(0x83, 0x90, &first[..255])), 0x9000);
        assert_eq!(card.sw(&part(0x03, 0x90, &first[255..])), 0x9000);
        // Another command between two parts.
        assert_eq!(card.sw(&part(0x83, 0x90, &first[..255])), 0x9000);
        assert_eq!(card.sw(&hex("80CA00E000")), 0x6985);
        assert_eq!(card.sw(&part(0x03, 0x90, &first[255..])), 0x6600);
        // A protected class byte makes no difference: certificates carry their own protection.
        let mut raw = [0; 600];
        for (certificate, p2) in [(&first, 0x90), (&second, 0x10)] {
            let command = Command::new(0x84, 0x2A, 3, p2).with_data(certificate).extended(true);
            let sent = command.write(&mut raw).unwrap().to_vec();
            assert_eq!(card.sw(&sent), 0x9000);
        }
        assert_eq!(card.sw(&Wish::new(Variant::C).command()), 0x9000);
        // A chain of class 90 that another command breaks.
        assert_eq!(card.sw(&apdu([0x90, 0x2A, 3, 0x90], &first[..255])), 0x9000);
        assert_eq!(card.sw(&hex("80CA00E000")), 0x6985);
        assert_eq!(card.sw(&apdu([0x80, 0x2A, 3, 0x90], &first[255..])), 0x6600);
        // Key 00/00: the first authority.
        assert_eq!(certify_under(card, &chain(false)[0], true, 0), 0x9000);
    });
}

#[test]
fn a_card_that_takes_no_parts() {
    with_scp11(DEFAULT.with_parts(false), provisioned(), |card| {
        assert_eq!(card.sw(&apdu([0x80, 0x2A, 0x83, 0x90], &chain(true)[0][..255])), 0x6A86);
        certify_host(card, true);
        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x9000);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whoever holds no key: any bytes in the handshake commands, good ones with one byte changed among them, change nothing durable and
    /// open nothing.
    #[test]
    fn any_handshake_of_a_stranger(
        commands in proptest::collection::vec((0..6_u8, any::<u8>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..255)), 1..12),
    ) {
        static PROVISIONED: std::sync::OnceLock<MapMemory> = std::sync::OnceLock::new();
        let memory = PROVISIONED.get_or_init(provisioned);
        let (after, ()) = with_scp11(DEFAULT, memory.clone(), |card| {
            for (kind, a, b, data) in &commands {
                let changed = |mut good: Vec<u8>, from: usize| {
                    let at = from + usize::from(*a) * (good.len() - from - 1) / 255;
                    good[at] ^= b | 1;
                    good
                };
                match kind {
                    0 => drop(card.send(&apdu([0x80, 0x2A, *a, *b], data))),
                    1 => drop(card.send(&apdu([0x90 | a & 0x04, 0x2A, KVN, KID_CA | b & 0x80], data))),
                    2 => drop(card.send(&apdu([0x80, 0x82, KVN, [0x11, 0x15][usize::from(b & 1)]], data))),
                    3 => drop(certify(card, &changed(chain(false)[0].clone(), 0), true)),
                    4 => drop(certify(card, &changed(chain(true)[usize::from(b & 1)].clone(), 0), b & 1 == 0)),
                    // The stranger has a chain of its own, from another authority.
                    _ => {
                        let _ = certify(card, &gp_certificate(&[1], AGREEMENT, HOST, 0x66), false);
                        assert_eq!(card.sw(&Wish::new(Variant::A).command()), 0x6985);
                    }
                }
                let list = apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00"));
                assert!(matches!(card.sw(&list), 0x6982 | 0x6985));
            }
            card.power_on();
        });
        prop_assert_eq!(&after.objects, &memory.objects);
    }
}

#[test]
fn identifiers_in_the_derivation() {
    let group = hex("0362999902CAFE");
    with_keys(|card| {
        admin(card, |card, session| {
            assert_eq!(sw(card, session, &store(&hex("42036299994502CAFE"))), 0x9000);
        });
        for variant in VARIANTS {
            assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
            let identifiers = |host, card_group| Some(Identifiers { host, card_group });
            let wish = Wish { identifiers: identifiers(b"TSM-0001", &group), ..Wish::new(variant) };
            let mut session = wish.open(card).unwrap();
            assert_eq!(sw(card, &mut session, &hex("80CA00E000")), 0x9000);
            // A host that takes it for another card, or group, gets no session.
            let other = Wish { identifiers: identifiers(b"TSM-0001", &[0, 0]), ..wish };
            assert_eq!(other.open(card).unwrap_err(), 0);
            let raw = wish.command();
            assert!(raw.windows(10).any(|window| window == *b"\x84\x08TSM-0001"));
            assert!(raw.windows(4).any(|window| window == [0x90, 0x02, 0x11, variant.byte() | 0x04]));
        }
        // Asked for and not there, or there and not asked for.
        let mut raw =
            Wish { identifiers: Some(Identifiers { host: b"T", card_group: &[] }), ..Wish::new(Variant::B) }
                .command();
        let at = raw.windows(3).position(|window| window == [0x02, 0x11, 0x04]).unwrap();
        raw[at + 2] = 0x00;
        assert_eq!(card.sw(&raw), 0x6A80);
        let mut raw = Wish::new(Variant::B).command();
        raw[at + 2] = 0x04;
        assert_eq!(card.sw(&raw), 0x6A80);
    });
    // Without numbers their lengths are zero.
    with_keys(|card| {
        let wish = Wish {
            identifiers: Some(Identifiers { host: &[1; 16], card_group: &[0, 0] }),
            ..Wish::new(Variant::A)
        };
        assert!(wish.open(card).is_ok());
    });
}

/// An application whose domain serves its channel is told that nobody, or somebody, is there.
#[test]
fn a_channel_opened_on_an_application() {
    with_keys(|card| {
        admin(card, |card, session| {
            assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        });
        for variant in VARIANTS {
            assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
            let mut session = Wish::new(variant).open(card).unwrap();
            let (told, status) = run(card, &mut session, &apdu([0x80, 0x12, 0, 0], b"echo"));
            let known = u8::from(variant.authenticates_host());
            assert_eq!((&told[..], status), (&[&[known, 1, 1, 1, 1], &b"echo"[..]].concat()[..], 0x9000));
            let personal = apdu([0x80, 0xE2, 0x88, 0x00], &hex("0101020102"));
            assert_eq!(sw(card, &mut session, &personal), if known == 1 { 0x9000 } else { 0x6982 });
        }
    });
}

/// `81` of a domain's parameters: SCP11 is promised where the card tells it with this "i", and what is not promised is not spoken.
#[test]
fn protocols_of_a_domain() {
    let aid = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
    let oid = hex("640C060A2A864886FC6B04119B06");
    let dek = Aes::new(&TEST_KEY).unwrap();
    for (parameters, status, speaks) in [
        ("", 0x9000, true),
        ("8103110D86", 0x9000, true),
        ("81050370110D86", 0x9000, true),
        ("8105110D860370", 0x9000, true),
        ("81020370", 0x9000, false),
        ("8103110D87", 0x6A80, false),
        ("81021186", 0x6A80, false),
        ("810111", 0x6A80, false),
    ] {
        with_keys(|card| {
            let installed = admin(card, |card, session| {
                sw(card, session, &support::install_domain(&aid, [0x80, 0, 0], &hex(parameters)))
            });
            assert_eq!(installed, status, "{parameters}");
            if status != 0x9000 {
                return;
            }
            // The issuer's keys serve it, and the issuer speaks it.
            assert_eq!(card.sw(&select(&aid)), 0x9000);
            assert!(Wish::new(Variant::A).open(card).is_ok());
            let mut session = open(card, 0x30, &test_keys(), Level::CMac);
            for (id, key) in [(0x13, 0x23), (0x11, 0x21)] {
                let put = put_private(0, KVN, id, &[key; 32], &dek);
                assert_eq!(sw(card, &mut session, &put), 0x9000);
            }
            let keys = put_keys(0, 0x40, 1, &[&[0x11; 16][..]; 3], &TEST_KEY);
            assert_eq!(sw(card, &mut session, &keys), 0x9000);
            let fci = card.send(&select(&aid));
            assert_eq!(fci.windows(oid.len()).any(|window| window == oid), speaks, "{parameters}");
            let opened = Wish::new(Variant::B).open(card).map(|_| ());
            assert_eq!(opened, if speaks { Ok(()) } else { Err(0x6A88) }, "{parameters}");
            // Others are as they were.
            let fci = card.send(&select(&ISSUER));
            assert!(fci.windows(oid.len()).any(|window| window == oid));
            assert!(Wish::new(Variant::B).open(card).is_ok());
        });
    }
    // A card without SCP11 promises none.
    support::with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        let install = support::install_domain(&aid, [0x80, 0, 0], &hex("8103110D86"));
        assert_eq!(run(card, &mut session, &install).1, 0x6A80);
    });
}

/// A supplementary domain with keys of its own opens its own channel; one without, its issuer's.
#[test]
fn supplementary_domains() {
    let aid = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
    with_keys(|card| {
        admin(card, |card, session| {
            let install = support::install_domain(&aid, [0x80, 0, 0], &[]);
            assert_eq!(sw(card, session, &install), 0x9000);
        });
        assert_eq!(card.sw(&select(&aid)), 0x9000);
        let mut session = Wish::new(Variant::A).open(card).unwrap();
        let own = apdu([0x80, 0xF1, 0, 0x13], &hex("03F00100"));
        let (answer, status) = run(card, &mut session, &own);
        assert_eq!(status, 0x9000);
        // b is the domain's own now, so the issuer's key does not answer.
        let handshake = card.send(&Wish::new(Variant::B).command());
        assert_eq!(Wish::new(Variant::B).opened(&handshake).unwrap_err(), 0);
        let point = &answer[2..];
        let card_key = huiwan_crypto::ec::EcPublic::new(point).unwrap();
        let handshake = Wish::new(Variant::B).handshake();
        let answer = card.send(&Wish::new(Variant::B).command());
        let data = &answer[..answer.len() - 2];
        assert!(handshake.verify_receipt(data, Sw::OK, &card_key, None).is_ok());
        assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
        assert!(Wish::new(Variant::B).open(card).is_ok());
    });
}
