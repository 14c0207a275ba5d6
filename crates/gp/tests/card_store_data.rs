//! STORE DATA: whom a domain personalises, public keys by data groupings, what the issuer adds to the recognition data; power lost at each.
//! [GPC 7.3.3, 11.11]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod cuts;
mod support;

use cuts::{Bench, Case};
use huiwan_card::Memory;
use huiwan_crypto::{Aes, BlockKey};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::Fields;
use huiwan_gp::put_key::{put_ecc_field, put_rsa_field};
use huiwan_gp::recognition;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::{hex, vectors};
use support::*;

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const TRANSIT: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x02];
const KEY: [u8; 16] = [0x11; 16];

type MapCard<'a> = Card<'a, MapMemory>;

fn blank<T>(f: impl FnOnce(&mut MapCard<'_>) -> T) -> (MapMemory, T) {
    with_domains(new_memory(&Factory::TEST), f)
}

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

fn enter(card: &mut MapCard<'_>, aid: &[u8], keys: &StaticKeys) -> Open {
    assert_eq!(card.sw(&select(aid)), 0x9000);
    open(card, 0, keys, Level::CMac)
}

fn sw(card: &mut MapCard<'_>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

fn for_personalization(aid: &[u8]) -> Vec<u8> {
    install(0x20, 0, &Fields { instance: aid, ..Fields::default() })
}

fn extradite(to: &[u8], what: &[u8]) -> Vec<u8> {
    install(0x10, 0, &Fields { load_file: to, instance: what, ..Fields::default() })
}

fn store(p1: u8, data: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xE2, p1, 0], data)
}

/// The issuer's domain, below it the bank's with keys of its own, below that one the transit domain without keys; the toy is the latter's.
fn tree(card: &mut MapCard<'_>) {
    let mut session = enter(card, &ISSUER, &test_keys());
    assert_eq!(sw(card, &mut session, &install_domain(&BANK, [0x80, 0x40, 0], &[])), 0x9000);
    let mut session = enter(card, &BANK, &test_keys());
    assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
    let mut session = enter(card, &BANK, &own());
    assert_eq!(sw(card, &mut session, &install_domain(&TRANSIT, [0x80, 0, 0], &[])), 0x9000);
    assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
    assert_eq!(sw(card, &mut session, &extradite(&TRANSIT, &TOY_AID)), 0x9000);
}

/// The domain an application is associated with, and no other: neither the one above that, nor the issuer's.
#[test]
fn only_the_associated_domain_personalises() {
    blank(|card| {
        tree(card);
        for (name, domain, keys) in [("issuer", &ISSUER[..], test_keys()), ("above", &BANK, own())] {
            let mut session = enter(card, domain, &keys);
            assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x6985, "{name}");
            assert_eq!(
                sw(card, &mut session, &store(0x88, &hex("010101AA"))),
                0x6A88,
                "its own groupings: {name}"
            );
        }
        let mut session = enter(card, &TRANSIT, &own());
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &store(0x88, &hex("010101AA"))), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.send(&hex("8010010100")), hex("AA9000"));
        // A domain is personalised by the one above it, not by the issuer's further up.
        let mut session = enter(card, &ISSUER, &test_keys());
        assert_eq!(sw(card, &mut session, &for_personalization(&TRANSIT)), 0x6985);
        let mut session = enter(card, &BANK, &own());
        assert_eq!(sw(card, &mut session, &for_personalization(&TRANSIT)), 0x9000);
        assert_eq!(
            sw(card, &mut session, &store(0x88, &hex("007004 42021234".replace(' ', "").as_str()))),
            0x9000
        );
        assert_eq!(card.sw(&select(&TRANSIT)), 0x9000);
        assert_eq!(card.send(&hex("80CA004200")), hex("420212349000"));
        // Its first keys come like that, too.
        let mut keys = hex("00B92A");
        for id in 1..=3 {
            keys.extend([0xB9, 12, 0x80, 1, 0x88, 0x81, 1, 16, 0x82, 1, id, 0x83, 1, 0x30]);
        }
        let mut key = [0x22; 16];
        Aes::new(&KEY).unwrap().encrypt_cbc(&[0; 16], &mut key).unwrap();
        (0..3).for_each(|_| keys.extend([&hex("811310")[..], &key].concat()));
        let mut session = enter(card, &BANK, &own());
        assert_eq!(sw(card, &mut session, &for_personalization(&TRANSIT)), 0x9000);
        assert_eq!(sw(card, &mut session, &store(0x88, &keys)), 0x9000);
        let keys = StaticKeys::new(&[0x22; 16], &[0x22; 16], &[0x22; 16]).unwrap();
        let mut session = enter(card, &TRANSIT, &keys);
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &for_personalization(&TRANSIT)), 0x6985, "itself");
        assert_eq!(sw(card, &mut session, &for_personalization(&BANK)), 0x6985, "the one above");
        assert_eq!(sw(card, &mut session, &for_personalization(&hex("F00102030401FF"))), 0x6A88);
    });
}

/// What was extradited meanwhile is not reached any more, though the sequence had begun.
#[test]
fn extradited_while_it_is_personalised() {
    blank(|card| {
        tree(card);
        let mut session = enter(card, &TRANSIT, &own());
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &store(0x08, &hex("010101AA"))), 0x9000);
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        let mut select_bank = select(&BANK);
        select_bank[0] |= 1;
        assert_eq!(card.sw(&select_bank), 0x9000);
        let mut bank = open_on(card, 1, &own());
        let command = huiwan_apdu::Command::parse(&extradite(&BANK, &TOY_AID)).unwrap().data().to_vec();
        assert_eq!(sw(card, &mut bank, &apdu([0x81, 0xE6, 0x10, 0], &command)), 0x9000);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x88, 1], &hex("010201BB"))), 0x6982);
        assert_eq!(card.sw(&hex("0070800100")), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.sw(&hex("8010010200")), 0x6A88, "nothing came");
    });
}

/// A channel on another logical channel.
fn open_on(card: &mut MapCard<'_>, channel: u8, keys: &StaticKeys) -> Open {
    use huiwan_gp::host::secure_channel::AwaitCard;
    let handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
    let mut buffer = [0; 32];
    let command = handshake.command(0x80 | channel, 0).write(&mut buffer).unwrap().to_vec();
    let answer = card.send(&command);
    let (data, status) = answer.split_last_chunk::<2>().unwrap();
    assert_eq!(*status, [0x90, 0x00]);
    let answer = huiwan_gp::initialize_update::Answer::parse(data).unwrap();
    let verified = handshake.verify_card(0x80 | channel, &answer, keys, Level::CMac).unwrap();
    let status = card.sw(verified.command());
    verified.accepted(huiwan_apdu::Sw::new(status)).unwrap()
}

fn dgi(id: u16, value: &[u8]) -> Vec<u8> {
    let [low, high] = id.to_le_bytes();
    match value.len() {
        0..=0xFE => [&[high, low, value.len() as u8][..], value].concat(),
        len => [&[high, low, 0xFF, (len >> 8) as u8, len as u8][..], value].concat(),
    }
}

/// `00B9` for one key, by itself or with what is common in `B7`.
fn description(key_type: u8, len: &[u8], version: u8, more: &[u8], common: bool) -> Vec<u8> {
    let tlv = |tag: u8, value: &[u8]| [&[tag, value.len() as u8][..], value].concat();
    let shared = [tlv(0x80, &[key_type]), tlv(0x81, len), tlv(0x83, &[version])].concat();
    let own = [&tlv(0x82, &[1])[..], more].concat();
    let value = if common {
        [tlv(0xB7, &shared), tlv(0xB9, &own)].concat()
    } else {
        tlv(0xB9, &[shared, own].concat())
    };
    dgi(0x00B9, &value)
}

/// STORE DATA of groupings in blocks; the status word of the first that fails, or of the last.
fn send(card: &mut MapCard<'_>, session: &mut Open, groupings: &[u8], size: usize) -> u16 {
    let blocks: Vec<_> = groupings.chunks(size).collect();
    for (n, block) in (0_u8..).zip(&blocks) {
        let p1 = if usize::from(n) + 1 == blocks.len() { 0x88 } else { 0x08 };
        let status = sw(card, session, &apdu([0x80, 0xE2, p1, n], block));
        if status != 0x9000 {
            return status;
        }
    }
    0x9000
}

/// The key set of a version of the issuer's domain as it is stored.
fn stored(memory: &MapMemory, version: u8) -> Option<Vec<u8>> {
    memory.objects.get(&(0, 0x0200 | u16::from(version))).cloned()
}

/// What PUT KEY stores is what STORE DATA stores, in both forms of the description, whole and in pieces.
#[test]
fn rsa_public_keys() {
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    for v in file.blocks() {
        let (n, e) = (v.bytes("in.n"), v.bytes("in.e"));
        let (by_put_key, ()) = blank(|card| {
            let mut session = enter(card, &ISSUER, &test_keys());
            let mut data = [0; 300];
            data[0] = 0x73;
            let end = put_rsa_field(&mut data, 1, &n, &e).unwrap();
            let (first, last) = data[..end].split_at(end / 2);
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0x80, 1], first)), 0x9000);
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0x00, 1], last)), 0x9000);
        });
        let len = (n.len() as u16).to_be_bytes();
        let lens = [len[..].to_vec(), vec![n.len() as u8]];
        for (key_type, len, common, swapped, size) in [
            (0xA1, &lens[0], false, false, 200),
            (0xA1, &lens[1], true, true, 200),
            (0xA0, &lens[0], true, false, 90),
            (0xA0, &lens[1], false, true, 13),
        ] {
            let (memory, ()) = blank(|card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let halves = if swapped { [(0x11, &e), (0x10, &n)] } else { [(0x10, &e), (0x11, &n)] };
                let groupings = [
                    description(key_type, len, 0x73, &[], common),
                    dgi(halves[0].0, halves[0].1),
                    dgi(halves[1].0, halves[1].1),
                ]
                .concat();
                assert_eq!(send(card, &mut session, &groupings, size), 0x9000, "{} {size}", v.id());
            });
            assert!(stored(&memory, 0x73).is_some());
            assert_eq!(stored(&memory, 0x73), stored(&by_put_key, 0x73));
            assert!(!memory.objects.keys().any(|key| key.1 == 0x000B), "nothing waits");
        }
    }
}

#[test]
fn ecc_public_keys() {
    let file = vectors::load(include_str!("vectors/ec_signatures.txt"));
    for v in file.blocks() {
        let (curve, point) = (v.bytes("in.curve"), v.bytes("in.point"));
        let (by_put_key, ()) = blank(|card| {
            let mut session = enter(card, &ISSUER, &test_keys());
            let mut data = [0; 200];
            data[0] = 0x70;
            let end = put_ecc_field(&mut data, 1, &point, curve[0]).unwrap();
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xD8, 0, 1], &data[..end])), 0x9000);
        });
        for (len, common) in [(point.len(), false), (point.len() / 2, true)] {
            let (memory, ()) = blank(|card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let reference = [&[0xF0, 1][..], &curve].concat();
                let of = description(0xB0, &[len as u8], 0x70, &reference, common);
                assert_eq!(send(card, &mut session, &[of, dgi(0x36, &point)].concat(), 60), 0x9000);
            });
            assert_eq!(stored(&memory, 0x70), stored(&by_put_key, 0x70));
        }
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let n = [0xC1; 128];
    let e = [0x01, 0x00, 0x01];
    let point = [&[0x04][..], &[0x77; 64]].concat();
    let rsa = |len: &[u8], more: &[u8]| description(0xA1, len, 0x73, more, false);
    let ecc = |len: u8, more: &[u8]| description(0xB0, &[len], 0x73, more, false);
    let wrong_first = dgi(0x36, &[&[0x02][..], &[0x77; 64]].concat());
    for (groupings, expected, what) in [
        (vec![dgi(0x10, &e)], 0x6985, "no description"),
        (vec![rsa(&[128], &[]), dgi(0x10, &e), dgi(0x10, &n)], 0x6A80, "one grouping twice"),
        (
            vec![rsa(&[128], &[]), dgi(0x10, &e), dgi(0x11, &n[..127])],
            0x6A80,
            "another length than described",
        ),
        (vec![rsa(&[0], &[]), dgi(0x10, &e), dgi(0x11, &n)], 0x6A80, "00 is 256"),
        (vec![rsa(&[60], &[]), dgi(0x10, &e), dgi(0x11, &n[..60])], 0x6A80, "too short"),
        (vec![rsa(&[128], &[]), dgi(0x10, &[1; 5]), dgi(0x11, &n)], 0x6A80, "an exponent of 5 bytes"),
        (vec![rsa(&[128], &[]), dgi(0x10, &[])], 0x6A80, "empty"),
        (vec![rsa(&[128], &hex("8403112233")), dgi(0x10, &e), dgi(0x11, &n)], 0x6A80, "a check value"),
        (vec![rsa(&[128], &[]), dgi(0x36, &point)], 0x6A80, "a point for an RSA key"),
        (vec![ecc(65, &[]), dgi(0x10, &e)], 0x6A80, "an exponent for an ECC key"),
        (vec![ecc(65, &[]), wrong_first], 0x6A80, "no uncompressed point"),
        (vec![ecc(48, &[]), dgi(0x36, &point)], 0x6A80, "another length than described"),
        (vec![ecc(65, &hex("F0020000")), dgi(0x36, &point)], 0x6A80, "a reference of two bytes"),
        (vec![ecc(65, &[]), dgi(0x36, &point), dgi(0x36, &point)], 0x6985, "one more than described"),
        (vec![ecc(65, &hex("850101"))], 0x6A80, "an initial counter"),
        (vec![ecc(65, &hex("850100")), dgi(0x36, &point)], 0x9000, "the counter begins at 0"),
        (vec![rsa(&[128], &[]), dgi(0x8112, &[0; 128])], 0x6A88, "a private exponent"),
        (vec![rsa(&[128], &[]), dgi(0x8121, &[0; 64])], 0x6A88, "a prime"),
        (vec![ecc(65, &[]), dgi(0x30, &[0; 32])], 0x6A88, "a curve by its parameters"),
        (vec![rsa(&[1, 0, 0], &[])], 0x6A80, "a length of three bytes"),
        (vec![description(0x99, &[16], 0x73, &[], false)], 0x6A80, "no such type"),
    ] {
        let (memory, ()) = blank(|card| {
            let mut session = enter(card, &ISSUER, &test_keys());
            assert_eq!(send(card, &mut session, &groupings.concat(), 230), expected, "{what}");
        });
        // One too many comes when the described ones are stored.
        assert_eq!(stored(&memory, 0x73).is_some(), expected == 0x9000 || what.starts_with("one more"));
    }
}

/// A private key for the domain is opened under the data encryption key; the same number is any grouping to an application.
#[test]
fn a_number_means_a_key_only_to_a_domain() {
    blank(|card| {
        let mut session = enter(card, &ISSUER, &test_keys());
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        let mut block = [&b"plain"[..], &hex("8000000000000000000000")].concat();
        Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        assert_eq!(sw(card, &mut session, &store(0xE8, &dgi(0x8113, &block))), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.send(&hex("8010811300")), b"plain\x90\x00");
    });
}

#[test]
fn the_issuers_part_of_the_recognition_data() {
    blank(|card| {
        let mut session = enter(card, &ISSUER, &test_keys());
        let before = run(card, &mut session, &hex("80CA006600")).0;
        for (data, expected, what) in [
            ("6600", 0x9000, "nothing, where nothing was"),
            ("6602 7300", 0x9000, "an empty template"),
            ("6604 73026500", 0x9000, "the card's configuration"),
            ("660D 730B 6504 06022A03 6603 060101", 0x9000, "configuration and chip"),
            ("6606 7304 6500 6500", 0x6A80, "twice"),
            ("660D 730B 6409 06072A864886FC6B04", 0x6A80, "a secure channel is the card's own"),
            ("6604 06022A03", 0x6A80, "no template"),
            ("6604 7300 7300", 0x6A80, "two"),
            ("6603 730265", 0x6A80, "not whole"),
            ("6702 8000", 0x6A88, "capability data are the card's own"),
            ("9F7F0100", 0x6A88, "production data are the factory's"),
        ] {
            let command = store(0x90, &hex(&data.replace(' ', "")));
            assert_eq!(sw(card, &mut session, &command), expected, "{what}");
        }
        let long = [&hex("6646734465 42".replace(' ', "").as_str())[..], &[0xAA; 66]].concat();
        assert_eq!(sw(card, &mut session, &store(0x90, &long)), 0x6A80, "over 64 bytes");
        // It stands behind what the card says, and the protocols are read as before; the FCI says the same.
        let told = run(card, &mut session, &hex("80CA006600")).0;
        let added = hex("650406022A036603060101");
        assert!(told.ends_with(&added) && told.len() == before.len() + added.len());
        let read = |data: &[u8]| recognition::protocols(data).unwrap().collect::<Vec<_>>();
        assert_eq!(read(&told), read(&before));
        let fci = card.send(&select(&ISSUER));
        assert!(fci.windows(added.len()).any(|window| window == added));
        assert_eq!(recognition::protocols_of_application(&fci[..fci.len() - 2]).unwrap().count(), 1);
        // A domain has its own.
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &install_domain(&BANK, [0x80, 0, 0], &[])), 0x9000);
        let fci = card.send(&select(&BANK));
        assert!(!fci.windows(added.len()).any(|window| window == added));
        let mut session = enter(card, &ISSUER, &test_keys());
        assert_eq!(sw(card, &mut session, &store(0x90, &hex("6600"))), 0x9000);
        assert_eq!(run(card, &mut session, &hex("80CA006600")).0, before);
    });
}

struct Objects;

impl Bench for Objects {
    fn power<M: Memory>(&self, memory: M, f: &mut dyn FnMut(&mut Card<'_, M>)) -> M {
        with_domains(memory, f).0
    }

    fn look(&self, card: &mut MapCard<'_>) -> String {
        let mut seen = String::new();
        for aid in [&ISSUER[..], &BANK, &TRANSIT] {
            seen += &format!("{:02X?}\n", card.send(&select(aid)));
            for tag in ["E0", "66", "42"] {
                seen += &format!("{:02X?}\n", card.send(&hex(&format!("80CA00{tag}00"))));
            }
        }
        seen
    }
}

#[test]
fn power_cuts() {
    let (prepared, ()) = blank(tree);
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    let v = file.block("rsa-1024-pkcs1");
    let (issuer, bank) = (test_keys(), own());
    let of = description(0xA1, &[128], 0x73, &[], false);
    let first = [of, dgi(0x10, &v.bytes("in.e"))].concat();
    let keys = [apdu([0x80, 0xE2, 0x08, 0], &first)];
    let last_key = apdu([0x80, 0xE2, 0x88, 1], &dgi(0x11, &v.bytes("in.n")));
    let below = [for_personalization(&TRANSIT)];
    for (name, session, on, first, command) in [
        ("recognition data", &issuer, &ISSUER[..], &[][..], store(0x90, &hex("6604730265004202AABB"))),
        ("a domain below", &bank, &BANK, &below, store(0x88, &hex("00700442021234"))),
    ] {
        let case = Case { name, session: Some(session), select: on, first, command: &command };
        cuts::everywhere(&Objects, &prepared, &case);
    }
    // The key set comes in one commit; what waited for it is swept in a second, or at power-on.
    let case = Case {
        name: "an RSA key",
        session: Some(&issuer),
        select: &ISSUER,
        first: &keys,
        command: &last_key,
    };
    cuts::everywhere(&Objects, &prepared, &case);
}
