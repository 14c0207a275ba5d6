//! Supplementary security domains: their keys, what they may do, what is associated with them, and power lost at every commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_card::{Cut, Journal, Memory, RamFlash};
use huiwan_crypto::{Aes, BlockKey};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::get_status;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{DomainParameters, Fields};
use huiwan_gp::key_information;
use huiwan_gp::put_key::{put_ecc_field, put_rsa_field};
use huiwan_gp::recognition::Protocol;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::{hex, vectors};
use support::*;

const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const TRANSIT: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x02];
const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const PLAIN: [u8; 3] = [0x80, 0x00, 0x00];
const AUTHORIZED: [u8; 3] = [0x80, 0x40, 0x00];
const KEY: [u8; 16] = [0x11; 16];

fn domains<T>(f: impl FnOnce(&mut Card<'_, MapMemory>, &mut Open) -> T) -> (MapMemory, T) {
    with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0, &test_keys(), Level::All);
        f(card, &mut session)
    })
}

fn sw(card: &mut Card<'_, MapMemory>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

/// Selects a domain and opens a channel on it.
fn enter(card: &mut Card<'_, MapMemory>, aid: &[u8], kvn: u8, keys: &StaticKeys) -> Open {
    assert_eq!(card.sw(&select(aid)), 0x9000);
    open(card, kvn, keys, Level::CMac)
}

/// A domain of its own with keys 11…11 under version 30, made and personalised over its own channel.
fn new_domain(card: &mut Card<'_, MapMemory>, aid: &[u8], privileges: [u8; 3]) {
    let mut session = enter(card, &ISSUER, 0, &test_keys());
    assert_eq!(sw(card, &mut session, &install_domain(aid, privileges, &[])), 0x9000);
    let mut session = enter(card, aid, 0, &test_keys());
    assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
}

fn status(card: &mut Card<'_, MapMemory>, session: &mut Open, p1: u8) -> Vec<(Vec<u8>, u8, Vec<u8>)> {
    let (mut p2, mut found) = (0x02, Vec::new());
    loop {
        let (data, sw) = run(card, session, &apdu([0x80, 0xF2, p1, p2], &hex("4F00")));
        if sw == 0x6A88 {
            return found;
        }
        for entry in get_status::entries(&data) {
            let entry = entry.unwrap();
            found.push((entry.aid.to_vec(), entry.life_cycle, entry.domain.unwrap_or_default().to_vec()));
        }
        p2 = 0x03;
        if sw == 0x9000 {
            return found;
        }
        assert_eq!(sw, 0x6310);
    }
}

fn delete(aid: &[u8], p2: u8) -> Vec<u8> {
    apdu([0x80, 0xE4, 0x00, p2], &[&[0x4F, aid.len() as u8][..], aid].concat())
}

fn extradite(to: &[u8], what: &[u8]) -> Vec<u8> {
    install(0x10, 0, &Fields { load_file: to, instance: what, ..Fields::default() })
}

fn lock(p1: u8, p2: u8, aid: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xF0, p1, p2], aid)
}

#[test]
fn a_domain_gets_keys_of_its_own() {
    domains(|card, session| {
        assert_eq!(run(card, session, &install_domain(&BANK, PLAIN, &[])), (vec![0], 0x9000));
        let issuer_keys = run(card, session, &hex("80CA00E000")).0;
        // Without keys it uses those of the domain above, whose counter rises.
        let counter = |card: &mut Card<'_, _>| {
            assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
            card.send(&hex("80CA00C100"))
        };
        assert_eq!(counter(card), hex("C1030000019000"));
        let mut session = enter(card, &BANK, 0, &test_keys());
        assert_eq!(run(card, &mut session, &hex("80CA00E000")).0, hex("E000"), "no keys of its own");
        assert_eq!(counter(card), hex("C1030000029000"));
        let mut session = enter(card, &BANK, 0x30, &test_keys());
        let listed = status(card, &mut session, 0x40);
        assert_eq!(listed, [(BANK.to_vec(), 0x07, ISSUER.to_vec())]);
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
        // PERSONALIZED, and the issuer's keys do not open it any more.
        assert_eq!(status(card, &mut session, 0x40)[0].1, 0x0F);
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        assert_eq!(try_open(card, 0, &test_keys(), Level::CMac).unwrap_err(), 0, "cryptogram");
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(run(card, &mut session, &hex("80CA00C100")).0, hex("C103000002"), "one was wasted");
        // The issuer's are as they were.
        let mut session = enter(card, &ISSUER, 0, &test_keys());
        assert_eq!(run(card, &mut session, &hex("80CA00E000")).0, issuer_keys);
        // Objects are each domain's own.
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x90, 0], &hex("42021234"))), 0x9000);
        assert_eq!(run(card, &mut session, &hex("80CA004200")).0, hex("42021234"));
        assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
        assert_eq!(card.sw(&hex("80CA004200")), 0x6A88);
    });
}

#[test]
fn parameters_of_a_domain() {
    let file = vectors::load(include_str!("vectors/content.txt"));
    let raw = file.block("kaoh-sd-install-params").bytes("out.ea_or_c9_value");
    let parameters = DomainParameters::parse(&raw).unwrap();
    assert_eq!(parameters.protocols().collect::<Vec<_>>(), [Protocol { scp: 0x02, i: 0x15 }]);
    assert_eq!(
        (parameters.accept_extradition, parameters.accept_deletion),
        (Some(&[0x80][..]), Some(&[0x80][..]))
    );
    assert!(parameters.personalised);
    assert_eq!(parameters.authority, Some([0x01, 0x02]));
    assert_eq!(parameters.accept_extradition_away, Some(&[0x80, 0x00][..]));
    assert_eq!(parameters.write(&mut [0; 64]).unwrap(), raw);
    domains(|card, session| {
        // A protocol the card does not speak is not promised.
        assert_eq!(sw(card, session, &install_domain(&BANK, PLAIN, &raw)), 0x6A80);
        assert_eq!(sw(card, session, &install_domain(&BANK, PLAIN, &hex("8103033000"))), 0x6A80);
        // SCP03 i=00, personalised at once.
        assert_eq!(sw(card, session, &install_domain(&BANK, PLAIN, &hex("810203008400"))), 0x9000);
        assert_eq!(status(card, session, 0x40)[0].1, 0x0F);
        let recognition = card.send(&select(&BANK));
        assert!(recognition.windows(3).any(|w| w == hex("040300")), "{recognition:02X?}");
        // It may not be deleted, and does not take what others extradite.
        assert_eq!(sw_of(card, &install_domain(&TRANSIT, PLAIN, &hex("820100830100870100"))), 0x9000);
        assert_eq!(sw_of(card, &delete(&TRANSIT, 0)), 0x6985);
        assert_eq!(sw_of(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw_of(card, &extradite(&TRANSIT, &TOY_AID)), 0x6985);
    });
}

fn sw_of(card: &mut Card<'_, MapMemory>, command: &[u8]) -> u16 {
    let mut session = enter(card, &ISSUER, 0, &test_keys());
    sw(card, &mut session, command)
}

#[test]
fn privileges_that_exclude_each_other() {
    domains(|card, session| {
        for (privileges, expected, what) in [
            ([0xA0, 0x40, 0x00], 0x6A80, "authorized and delegated management"),
            ([0x80, 0x20, 0x00], 0x6A80, "token verification is the issuer's"),
            ([0x81, 0x00, 0x00], 0x6A80, "mandated DAP without DAP"),
            ([0x00, 0x40, 0x00], 0x6A80, "management without a domain"),
            ([0x04, 0x00, 0x00], 0x6A80, "the module of domains without that privilege"),
            ([0xC1, 0x00, 0x00], 0x9000, "mandated DAP"),
        ] {
            assert_eq!(sw(card, session, &install_domain(&BANK, privileges, &[])), expected, "{what}");
        }
        // Several domains may mandate.
        assert_eq!(sw(card, session, &install_domain(&TRANSIT, [0xC1, 0, 0], &[])), 0x9000);
        let toy = |privileges: &[u8]| {
            let fields = Fields {
                load_file: TOY.load_file.as_bytes(),
                module: TOY.module.as_bytes(),
                instance: &TOY_AID,
                privileges,
                parameters: &[0xC9, 0x00],
                token: &[],
            };
            install(0x0C, 0, &fields)
        };
        assert_eq!(sw(card, session, &toy(&[0x80, 0, 0])), 0x6A80, "an application is no domain");
        assert_eq!(sw(card, session, &toy(&[0x1C])), 0x9000);
    });
}

#[test]
fn what_a_domain_without_management_may_do() {
    domains(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        new_domain(card, &BANK, PLAIN);
        let mut session = enter(card, &BANK, 0, &own());
        for (command, expected, what) in [
            (install_toy(&hex("F00102030401FF"), &hex("C900")), 0x6985, "install"),
            (delete(&TOY_AID, 0), 0x6985, "delete"),
            (extradite(&BANK, &TOY_AID), 0x6985, "extradite"),
            (lock(0x40, 0x80, &TOY_AID), 0x6985, "lock what is not its own"),
            (lock(0x80, 0x07, &ISSUER), 0x6985, "the card's life cycle"),
            (apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00")), 0x6A88, "see the issuer domain"),
            (apdu([0x80, 0xF2, 0x20, 0x02], &hex("4F00")), 0x6A88, "see load files"),
            (for_personalization(&TOY_AID), 0x6985, "personalise what is not its own"),
            (lock(0x40, 0x80, &BANK), 0x6985, "lock itself"),
        ] {
            assert_eq!(sw(card, &mut session, &command), expected, "{what}");
        }
        assert_eq!(status(card, &mut session, 0x40).len(), 1, "itself alone");
        // The application comes to it: now it is its own.
        assert_eq!(sw_of(card, &extradite(&BANK, &TOY_AID)), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        let listed = status(card, &mut session, 0x40);
        assert_eq!(listed.len(), 2);
        assert!(listed.contains(&(TOY_AID.to_vec(), 0x07, BANK.to_vec())));
        assert_eq!(sw(card, &mut session, &for_personalization(&TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x88, 0], &hex("010101AA"))), 0x9000);
        assert_eq!(sw(card, &mut session, &lock(0x40, 0x80, &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
        // The issuer has Global Lock, but personalising is the domain's.
        assert_eq!(sw_of(card, &lock(0x40, 0x00, &TOY_AID)), 0x9000);
        assert_eq!(sw_of(card, &for_personalization(&TOY_AID)), 0x6985);
        // A channel opened on the application is served by its domain, with that domain's keys.
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        let mut session = open(card, 0, &own(), Level::All);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x80, 0x00], &hex("010201BB"))), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.send(&hex("8010010200")), hex("BB9000"));
    });
}

fn for_personalization(aid: &[u8]) -> Vec<u8> {
    install(0x20, 0, &Fields { instance: aid, ..Fields::default() })
}

#[test]
fn a_domain_with_authorized_management() {
    domains(|card, _| {
        new_domain(card, &BANK, AUTHORIZED);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw(card, &mut session, &install_domain(&TRANSIT, PLAIN, &[])), 0x9000);
        let listed = status(card, &mut session, 0x40);
        assert!(listed.contains(&(TOY_AID.to_vec(), 0x07, BANK.to_vec())));
        assert!(listed.contains(&(TRANSIT.to_vec(), 0x07, BANK.to_vec())));
        // The new domain opens with the keys of the one above it, which is not the issuer's.
        let mut session = enter(card, &TRANSIT, 0, &own());
        assert_eq!(status(card, &mut session, 0x40).len(), 1);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &extradite(&TRANSIT, &TOY_AID)), 0x9000);
        assert_eq!(sw(card, &mut session, &extradite(&TRANSIT, &TRANSIT)), 0x6985, "below itself");
        assert_eq!(sw(card, &mut session, &extradite(&TRANSIT, &BANK)), 0x6985, "its own domain");
        assert_eq!(sw(card, &mut session, &extradite(&TOY_AID, &TRANSIT)), 0x6A88, "no domain");
        assert_eq!(sw(card, &mut session, &delete(&BANK, 0)), 0x6985, "itself");
        assert_eq!(sw(card, &mut session, &delete(&TRANSIT, 0)), 0x6985, "something is associated");
        assert_eq!(sw(card, &mut session, &delete(&TRANSIT, 0x80)), 0x9000);
        assert_eq!(status(card, &mut session, 0x40).len(), 1);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
    });
}

#[test]
fn related_objects_go_together_or_not_at_all() {
    domains(|card, _| {
        new_domain(card, &BANK, AUTHORIZED);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        let second = hex("F0010203040102");
        assert_eq!(sw(card, &mut session, &install_toy(&second, &hex("C900"))), 0x9000);
        // The second refuses: the first, told already, stays with all it has.
        assert_eq!(sw(card, &mut session, &for_personalization(&second)), 0x9000);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE2, 0x88, 0], &hex("BEEF0100"))), 0x9000);
        assert_eq!(sw_of(card, &delete(&BANK, 0x80)), 0x6986);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(status(card, &mut session, 0x40).len(), 3);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.send(&hex("8010000200")), b"first\x90\x00");
    });
}

#[test]
fn locking_a_domain_with_everything_associated() {
    domains(|card, _| {
        new_domain(card, &BANK, AUTHORIZED);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &install_domain(&TRANSIT, AUTHORIZED, &[])), 0x9000);
        let mut session = enter(card, &TRANSIT, 0, &own());
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(sw_of(card, &lock(0x60, 0x80, &TOY_AID)), 0x6A80, "no domain");
        assert_eq!(sw_of(card, &lock(0x60, 0x80, &ISSUER)), 0x6A80);
        assert_eq!(sw_of(card, &lock(0x60, 0x80, &BANK)), 0x9000);
        for aid in [&BANK[..], &TRANSIT, &TOY_AID] {
            assert_eq!(card.sw(&select(aid)), 0x6A82);
        }
        let mut session = enter(card, &ISSUER, 0, &test_keys());
        let states: Vec<_> = status(card, &mut session, 0x40).into_iter().map(|entry| entry.1).collect();
        assert_eq!(states, [0x8F, 0x87, 0x87]);
        assert_eq!(sw(card, &mut session, &lock(0x60, 0x80, &BANK)), 0x6A80, "it is locked");
        assert_eq!(sw(card, &mut session, &lock(0x40, 0x00, &TOY_AID)), 0x6985, "by the domain above");
        assert_eq!(sw(card, &mut session, &lock(0x60, 0x00, &BANK)), 0x9000);
        let states: Vec<_> = status(card, &mut session, 0x40).into_iter().map(|entry| entry.1).collect();
        assert_eq!(states, [0x0F, 0x07, 0x07]);
        // Without the others.
        assert_eq!(sw(card, &mut session, &lock(0x40, 0x80, &BANK)), 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x6A82);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
    });
}

#[test]
fn card_lock_and_terminate_by_privilege() {
    domains(|card, _| {
        new_domain(card, &BANK, [0x98, 0x00, 0x00]);
        let mut session = enter(card, &ISSUER, 0, &test_keys());
        for state in [0x07, 0x0F] {
            assert_eq!(sw(card, &mut session, &lock(0x80, state, &ISSUER)), 0x9000);
        }
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &lock(0x80, 0x7F, &ISSUER)), 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x6A81);
        assert_eq!(card.sw(&select(&ISSUER)), 0x6283);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        assert_eq!(sw(card, &mut session, &lock(0x60, 0x80, &BANK)), 0x6985, "the card is locked");
        assert_eq!(sw(card, &mut session, &lock(0x80, 0x0F, &ISSUER)), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &lock(0x80, 0xFF, &ISSUER)), 0x9000);
        card.power_on();
        assert_eq!(card.sw(&hex("80CA9F7F00")), 0x9000);
        assert_eq!(card.sw(&apdu([0x80, 0x50, 0x00, 0x00], &[0; 8])), 0x6985);
    });
}

#[test]
fn registry_update_changes_privileges_and_restricts() {
    domains(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        let update = |to: &[u8], aid: &[u8], privileges: &[u8], parameters: &[u8]| {
            let fields = Fields { load_file: to, instance: aid, privileges, parameters, ..Fields::default() };
            install(0x40, 0, &fields)
        };
        assert_eq!(sw(card, session, &update(&[], &TOY_AID, &[0x80, 0, 0], &[])), 0x6A80);
        assert_eq!(sw(card, session, &update(&[], &TOY_AID, &[0x04, 0, 0], &hex("EF05A003810100"))), 0x9000);
        let (data, _) = run(card, session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")));
        let entry = get_status::entries(&data).next().unwrap().unwrap();
        assert_eq!(entry.privileges.unwrap().bytes(), [0x04, 0, 0]);
        assert_eq!(entry.contactless, Some(0));
        // Loading, installing and deleting are taken from a domain.
        new_domain(card, &BANK, AUTHORIZED);
        assert_eq!(sw_of(card, &update(&[], &BANK, &[], &hex("EF03D90107"))), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &install_toy(&hex("F00102030401FF"), &hex("C900"))), 0x6985);
        assert_eq!(sw(card, &mut session, &delete(&TOY_AID, 0)), 0x6985);
        assert_eq!(sw_of(card, &update(&BANK, &TOY_AID, &[], &[])), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(status(card, &mut session, 0x40).len(), 2);
    });
}

#[test]
fn store_data_renames_and_keeps_certificates() {
    domains(|card, session| {
        let store = |data: &[u8]| apdu([0x80, 0xE2, 0x90, 0], data);
        assert_eq!(sw(card, session, &store(&hex("4F05F0AA000001"))), 0x9000);
        assert_eq!(card.sw(&select(&ISSUER)), 0x6A82);
        assert_eq!(card.sw(&select(&hex("F0AA000001"))), 0x9000);
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        let listed = run(card, &mut session, &apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00"))).0;
        assert_eq!(get_status::entries(&listed).next().unwrap().unwrap().aid, hex("F0AA000001"));
        assert_eq!(sw(card, &mut session, &store(&hex("A60483021330BF2103010203"))), 0x9000);
        assert_eq!(sw(card, &mut session, &store(&hex("A60483021130BF21020405"))), 0x9000);
        let read = |reference: &str| apdu([0x80, 0xCA, 0xBF, 0x21], &hex(reference));
        assert_eq!(run(card, &mut session, &read("A60483021330")).0, hex("BF2103010203"));
        assert_eq!(run(card, &mut session, &read("A60483021130")).0, hex("BF21020405"));
        assert_eq!(sw(card, &mut session, &read("A60483021230")), 0x6A88);
        assert_eq!(sw(card, &mut session, &store(&hex("A60483021330BF2100"))), 0x9000);
        assert_eq!(sw(card, &mut session, &read("A60483021330")), 0x6A88);
    });
}

/// kaoh's groupings, under the data encryption key they were published with.
#[test]
fn keys_by_store_data() {
    let file = vectors::load(include_str!("vectors/content.txt"));
    for v in file.group("store_data_keys") {
        let dek = v.bytes("in.dek");
        let keys = StaticKeys::new(&dek, &dek, &dek).unwrap();
        let factory = Factory { keys: [&dek, &dek, &dek], ..Factory::TEST };
        let groupings = v.bytes("out.dgi");
        // All at once, and a byte at a time.
        for size in [200, 7] {
            with_domains(new_memory(&factory), |card| {
                let mut session = open(card, 0, &keys, Level::CMac);
                let blocks: Vec<_> = groupings.chunks(size).collect();
                for (n, block) in (0_u8..).zip(&blocks) {
                    let last = usize::from(n) + 1 == blocks.len();
                    let p1 = if last { 0x88 } else { 0x08 };
                    assert_eq!(
                        sw(card, &mut session, &apdu([0x80, 0xE2, p1, n], block)),
                        0x9000,
                        "{}",
                        v.id()
                    );
                }
                let told = run(card, &mut session, &hex("80CA00E000")).0;
                let stored: Vec<_> =
                    key_information::keys(&told).unwrap().filter(|key| key.version == 1).collect();
                assert_eq!(stored.len(), v.list("in.keys").len(), "{}", v.id());
                assert!(stored.iter().all(|key| (key.key_type, key.len) == (0x88, 16)));
            });
        }
    }
    // A wrong check value: nothing is stored.
    domains(|card, session| {
        let mut key = [0x22; 16];
        Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut key).unwrap();
        let description = hex("00B913B911800188810110820101830140840311223300");
        let stream = [&description[..description.len() - 1], &hex("811310")[..], &key].concat();
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &stream)), 0x6982);
        // The description has gone with its sequence.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &stream[stream.len() - 19..])), 0x6985);
    });
}

/// The issuer gives a domain its first keys without a channel on the domain: INSTALL [for personalization], STORE DATA.
#[test]
fn first_keys_from_the_domain_above() {
    domains(|card, session| {
        assert_eq!(sw(card, session, &install_domain(&BANK, PLAIN, &[])), 0x9000);
        let kcv = Aes::new(&KEY).unwrap().kcv();
        let mut stream = hex("00B92FB709800188810110830130");
        for id in 1..=3 {
            stream.extend([0xB9, 0x08, 0x82, 0x01, id, 0x84, 0x03]);
            stream.extend(kcv);
        }
        stream[2] = (stream.len() - 3) as u8;
        for _ in 0..3 {
            let mut key = KEY;
            Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut key).unwrap();
            stream.extend(hex("811310"));
            stream.extend(key);
        }
        assert_eq!(sw(card, session, &for_personalization(&BANK)), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &stream)), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(status(card, &mut session, 0x40)[0].1, 0x0F);
    });
}

#[test]
fn keys_of_every_kind() {
    domains(|card, session| {
        // RSA public: lengths over 127 as one byte and as BER; ECC public; one key joins a set.
        let modulus = [&[0xC1][..], &[0x5A; 126], &[0x01]].concat();
        let mut data = [0; 200];
        data[0] = 0x73;
        let end = put_rsa_field(&mut data, 1, &modulus, &[1, 0, 1]).unwrap();
        let ber = apdu([0x80, 0xD8, 0x00, 0x01], &data[..end]);
        assert_eq!(run(card, session, &ber), (hex("73"), 0x9000));
        assert_eq!(sw(card, session, &ber), 0x6A80, "the place is taken");
        let raw = [&hex("74A180")[..], &modulus, &hex("A00301000100")].concat();
        assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0x00, 0x01], &raw)), 0x9000);
        let mut data = [0; 100];
        data[0] = 0x74;
        let end = put_ecc_field(&mut data, 1, &[4; 65], 0).unwrap();
        assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0x00, 0x02], &data[..end])), 0x9000);
        // Format 2: AES with usage and access.
        let mut block = KEY;
        Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let kcv = Aes::new(&KEY).unwrap().kcv();
        let second = [&hex("70FF88001110")[..], &block, &[3], &kcv, &hex("01180101")].concat();
        assert_eq!(
            run(card, session, &apdu([0x80, 0xD8, 0x00, 0x01], &second)),
            ([&[0x70][..], &kcv].concat(), 0x9000)
        );
        let (told, _) = run(card, session, &hex("80CA00E000"));
        for expected in
            ["C0060173A180A003", "C0060174A180A003", "C0060274B041F000", "C00A0170FF88001001180101"]
        {
            assert!(told.windows(expected.len() / 2).any(|w| w == hex(expected)), "{expected} {told:02X?}");
        }
        let (list, _) = run(card, session, &hex("80CA00C000"));
        assert_eq!(told[told.len() - list.len()..], list);
        // Another key for the channel's version leaves its counter alone; new keys of the channel reset it.
        let counter = run(card, session, &hex("80CA00C100")).0;
        assert_eq!(sw(card, session, &put_keys(0, 0x30, 5, &[&KEY[..]], &TEST_KEY)), 0x9000);
        assert_eq!(run(card, session, &hex("80CA00C100")).0, counter);
        assert_eq!(sw(card, session, &put_keys(0x30, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
        assert_eq!(run(card, session, &hex("80CA00C100")).0, hex("C103000000"));
        // One key of a set goes, one of a channel's does not.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0, 0], &hex("D00102D20174"))), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0, 0], &hex("D00102D20174"))), 0x6A88);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE4, 0, 0], &hex("D20174"))), 0x9000);
        open(card, 0x30, &own(), Level::CMac);
    });
}

#[test]
fn old_answers_of_get_status() {
    domains(|card, session| {
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        let ask = |p1| apdu([0x80, 0xF2, p1, 0x00], &hex("4F00"));
        assert_eq!(run(card, session, &ask(0x80)), (hex("08A000000151000000019C"), 0x9000));
        assert_eq!(run(card, session, &ask(0x40)), (hex("07F00102030401010700"), 0x9000));
        assert_eq!(
            run(card, session, &ask(0x10)).0,
            hex(concat!(
                "05F0010203040100",
                "0106F00102030401",
                "05F0010203050100",
                "0108D0D1D2D3D4D50101",
                "07A00000015153500100",
                "0108A000000151535041"
            ))
        );
        // A list begun in one form does not go on in the other.
        for n in 2..=9 {
            assert_eq!(sw(card, session, &install_toy(&[0xF0, 1, 2, 3, 4, 1, n], &hex("C900"))), 0x9000);
        }
        assert_eq!(sw(card, session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00"))), 0x6310);
        assert_eq!(sw(card, session, &apdu([0x80, 0xF2, 0x40, 0x01], &hex("4F00"))), 0x6985);
    });
}

#[test]
fn capabilities_and_resources() {
    domains(|card, session| {
        let told = run(card, session, &hex("80CA006700")).0;
        assert_eq!(
            told,
            hex("672AA009800103810170820107")
                .into_iter()
                .chain(hex("8103FD5E708203 1C0A30".replace(' ', "").as_str()))
                .chain(hex("830401020304 84018F 85023F00 86023C00 87023F00".replace(' ', "").as_str()))
                .collect::<Vec<_>>()
        );
        assert_eq!(sw(card, session, &hex("80CAFF2100")), 0x6A88, "this memory counts nothing");
        assert_eq!(run(card, session, &hex("80CA00C200")).0, hex("C2020000"));
        assert_eq!(sw(card, session, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(run(card, session, &hex("80CA2F0000")).0, hex("2F000B61094F07F0010203040101"));
        assert_eq!(run(card, session, &hex("80CB2F00025C0000")).0, hex("2F000B61094F07F0010203040101"));
        card.power_on();
        assert_eq!(card.sw(&hex("80CA2F0000")), 0x6982);
    });
}

/// What of the card can be seen from outside.
fn snapshot(memory: &MapMemory) -> (String, MapMemory) {
    let mut memory = memory.clone();
    (memory.cut, memory.commits) = (None, 0);
    let (mut memory, seen) = with_domains(memory, |card| {
        let mut seen = String::new();
        let mut session = enter(card, &ISSUER, 0, &test_keys());
        for scope in [0x80, 0x40, 0x20] {
            seen += &format!(
                "{:02X?}\n",
                run(card, &mut session, &apdu([0x80, 0xF2, scope, 0x02], &hex("4F00")))
            );
        }
        for aid in [&BANK[..], &TRANSIT, &TOY_AID] {
            seen += &format!("{:04X}\n", card.sw(&select(aid)));
            seen += &format!("{:02X?}\n", card.send(&hex("80CA00E000")));
        }
        seen
    });
    // The session of the look itself does not count.
    memory.objects.retain(|key, _| key.1 & 0xFF00 != 0x0300);
    (memory.commits, memory.cut, memory.done_before_cut) = (0, None, false);
    (seen, memory)
}

/// Cuts `command` at every commit: before or after, never between, and after power-on nothing is left over.
fn cut_everywhere(
    name: &str,
    prepared: &MapMemory,
    on: (&[u8], &StaticKeys),
    first: &[Vec<u8>],
    command: &[u8],
) {
    let attempt = |cut: Option<usize>, done: bool| {
        let mut memory = prepared.clone();
        (memory.cut, memory.commits, memory.done_before_cut) = (None, 0, done);
        with_domains(memory, |card| {
            let mut session = enter(card, on.0, 0, on.1);
            for command in first {
                assert_eq!(sw(card, &mut session, command), 0x9000, "{name}");
            }
            let memory = card.element.memory_mut();
            (memory.commits, memory.cut) = (0, cut);
            let mut wire = [0; 300];
            let parsed = huiwan_apdu::Command::parse(command).unwrap();
            let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
            (card.sw(&sent), card.element.memory().commits)
        })
    };
    let (after, (status, commits)) = attempt(None, false);
    assert_eq!(status, 0x9000, "{name}");
    assert!(commits > 0, "{name}");
    let (before, after) = (snapshot(prepared), snapshot(&after));
    assert_ne!(before.0, after.0, "{name}");
    for cut in 0..commits {
        for done in [false, true] {
            let (memory, (status, _)) = attempt(Some(cut), done);
            let seen = snapshot(&memory);
            assert!(
                seen == before || seen == after,
                "{name}, cut {cut} {done}:\n{}\n{}\n{}",
                seen.0,
                before.0,
                after.0
            );
            if status == 0x9000 {
                assert_eq!(seen.0, after.0, "{name}, cut {cut} {done}");
            }
        }
    }
}

#[test]
fn power_cuts_at_every_commit() {
    let (blank, ()) = domains(|_, _| ());
    let (two, ()) = domains(|card, _| {
        new_domain(card, &BANK, AUTHORIZED);
        let mut session = enter(card, &BANK, 0, &own());
        assert_eq!(sw(card, &mut session, &install_domain(&TRANSIT, PLAIN, &[])), 0x9000);
        assert_eq!(sw(card, &mut session, &install_toy(&TOY_AID, &hex("C9021234"))), 0x9000);
    });
    let issuer = (&ISSUER[..], &test_keys());
    let bank = (&BANK[..], &own());
    cut_everywhere("install a domain", &blank, issuer, &[], &install_domain(&BANK, PLAIN, &[]));
    cut_everywhere("delete related", &two, issuer, &[], &delete(&BANK, 0x80));
    cut_everywhere("extradition", &two, bank, &[], &extradite(&TRANSIT, &TOY_AID));
    let update = Fields { load_file: &TRANSIT, instance: &TOY_AID, privileges: &[0x04], ..Fields::default() };
    cut_everywhere("registry update", &two, bank, &[], &install(0x40, 0, &update));
    cut_everywhere("lock with associated", &two, issuer, &[], &lock(0x60, 0x80, &BANK));
    let key = put_keys(0, 0x31, 1, &[&KEY[..]; 3], &KEY);
    cut_everywhere("first keys", &two, (&TRANSIT, &own()), &[], &key);
    let rename = apdu([0x80, 0xE2, 0x90, 0], &hex("4F06F0BA00000009"));
    cut_everywhere("rename", &two, bank, &[], &rename);
    let more = apdu([0x80, 0xE6, 0x90, 0], &hex("06F0BA0000000200"));
    let last = apdu([0x80, 0xE6, 0x10, 0], &hex("07F0010203040101000000"));
    cut_everywhere("chain", &two, bank, &[more], &last);
}

#[test]
fn chains_of_commands() {
    domains(|card, session| {
        let command = install_toy(&TOY_AID, &hex("C9021234"));
        let data = &command[5..command.len() - 1];
        let (first, last) = data.split_at(10);
        let more = apdu([0x80, 0xE6, 0x8C, 0x00], first);
        assert_eq!(sw(card, session, &more), 0x9000);
        // Something else comes between: the chain is given up, the session is not.
        assert_eq!(sw(card, session, &hex("80CA006600")), 0x6985);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE6, 0x0C, 0x00], last)), 0x6A80);
        assert_eq!(sw(card, session, &more), 0x9000);
        assert_eq!(run(card, session, &apdu([0x80, 0xE6, 0x0C, 0x00], last)), (vec![0], 0x9000));
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        assert_eq!(card.send(&hex("8010000100")), hex("12349000"));
        // More than the card holds.
        let mut session = enter(card, &ISSUER, 0, &test_keys());
        for _ in 0..3 {
            assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0x80, 0], &[0; 200])), 0x9000);
        }
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0x00, 0], &[0; 200])), 0x6A84);
    });
}

/// A domain whose only keys are for something else than a channel: PERSONALIZED, and still opened by the domain above.
#[test]
fn keys_that_open_no_channel() {
    domains(|card, session| {
        assert_eq!(sw(card, session, &install_domain(&BANK, [0xC1, 0, 0], &[])), 0x9000);
        let mut session = enter(card, &BANK, 0, &test_keys());
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x73, 1, &[&KEY[..]], &TEST_KEY)), 0x9000);
        assert_eq!(status(card, &mut session, 0x40)[0].1, 0x0F);
        let mut session = enter(card, &BANK, 0, &test_keys());
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
        assert_eq!(sw(card, &mut session, &hex("80CA00E000")), 0x9000);
        let mut session = enter(card, &BANK, 0, &own());
        // Its channel goes: the domain above opens it again.
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0, 0], &hex("D20130"))), 0x6985, "in use");
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x31, 1, &[&KEY[..]; 3], &KEY)), 0x9000);
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        let mut session = open(card, 0x31, &own(), Level::CMac);
        assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0, 0], &hex("D20130"))), 0x9000);
        enter(card, &BANK, 0, &own());
    });
}

/// Flash of the element for cuts inside a commit.
type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 96>;

/// What the objects of a journal are.
fn objects(memory: &mut FlashMemory) -> MapMemory {
    let mut map = MapMemory::default();
    let mut at = None;
    while let Some(object) = memory.next_object(at).unwrap() {
        let mut buffer = [0; 600];
        let value = memory.read(object, 0, &mut buffer).unwrap().to_vec();
        map.objects.insert((object.instance.0, object.id), value);
        at = Some(object);
    }
    map
}

/// Cuts `command` in every mode at every flash operation, on a real journal.
fn cut_in_flash(name: &str, prepare: &[Vec<u8>], command: &[u8]) {
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST).unwrap();
    let (prepared, ()) = with_domains(blank, |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        for command in prepare {
            assert_eq!(run(card, &mut session, command).1, 0x9000, "{name}");
        }
        card.element.memory_mut().collect().unwrap();
    });
    let prepared = prepared.into_flash();
    let attempt = |cut: Option<(u32, Cut)>| {
        let memory = FlashMemory::mount(prepared.clone()).unwrap();
        let (memory, (status, operations)) = with_domains(memory, |card| {
            let mut session = open(card, 0, &test_keys(), Level::CMac);
            let before = card.element.memory().flash().operations();
            if let Some((after, mode)) = cut {
                card.element.memory_mut().flash_mut().cut_after(after, mode, after ^ 0x5A5A);
            }
            let mut wire = [0; 300];
            let parsed = huiwan_apdu::Command::parse(command).unwrap();
            let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
            (card.sw(&sent), card.element.memory().flash().operations() - before)
        });
        let mut flash = memory.into_flash();
        flash.power_on();
        let mut memory = FlashMemory::mount(flash).unwrap_or_else(|error| panic!("{name}, {cut:?}: {error}"));
        (objects(&mut memory), status, operations)
    };
    let before = snapshot(&objects(&mut FlashMemory::mount(prepared.clone()).unwrap()));
    let (after, status, operations) = attempt(None);
    assert_eq!(status, 0x9000, "{name}");
    let after = snapshot(&after);
    assert_ne!(before.0, after.0, "{name}");
    for at in 0..operations {
        for mode in Cut::ALL {
            let (memory, status, _) = attempt(Some((at, mode)));
            let seen = snapshot(&memory);
            assert!(seen == before || seen == after, "{name}, {mode:?} at {at}:\n{}\n{}", seen.0, before.0);
            assert!(status != 0x9000 || seen.0 == after.0, "{name}, {mode:?} at {at}");
        }
    }
}

#[test]
fn power_cuts_at_every_flash_operation() {
    let bank = install_domain(&BANK, AUTHORIZED, &[]);
    let toy = install_toy(&TOY_AID, &hex("C9021234"));
    let two = [bank.clone(), toy.clone()];
    let moved = [bank.clone(), toy, extradite(&BANK, &TOY_AID)];
    cut_in_flash("install a domain", &[], &bank);
    cut_in_flash("extradition", &two, &extradite(&BANK, &TOY_AID));
    let update = Fields { load_file: &BANK, instance: &TOY_AID, privileges: &[0x04], ..Fields::default() };
    cut_in_flash("registry update", &two, &install(0x40, 0, &update));
    cut_in_flash("lock with associated", &moved, &lock(0x60, 0x80, &BANK));
    cut_in_flash("delete related", &moved, &delete(&BANK, 0x80));
}

#[test]
fn resources_of_a_real_memory() {
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST).unwrap();
    with_domains(blank, |card| {
        let read = |card: &mut Card<'_, FlashMemory>| {
            let answer = card.send(&hex("80CAFF2100"));
            assert_eq!(answer[..5], hex("FF21108102"));
            let count = u16::from_be_bytes([answer[5], answer[6]]);
            (count, u32::from_be_bytes([answer[9], answer[10], answer[11], answer[12]]))
        };
        let (count, free) = read(card);
        assert_eq!(count, 0);
        // Who asks for more than there is gets nothing; for what there is, what it asked for.
        let mut session = open(card, 0, &test_keys(), Level::Authenticated);
        let more = format!("C900EF06C804{:08X}", free + 1);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex(&more))).1, 0x6A84);
        let both = format!("C900EF0AC802{:04X}C604{:08X}", 0x100, free - 0xFF);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex(&both))).1, 0x6A84, "together");
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900EF05C803000001"))).1, 0x6A80);
        let load = |parameters: &str| {
            let parameters = hex(parameters);
            let fields = huiwan_gp::install::LoadFields {
                load_file: &hex("F0AABBCCDD"),
                parameters: &parameters,
                ..Default::default()
            };
            let mut out = [0; 64];
            apdu([0x80, 0xE6, 0x02, 0], fields.write(&mut out).unwrap())
        };
        let command = load(&format!("EF06C604{:08X}", free + 1));
        assert_eq!(run(card, &mut session, &command).1, 0x6A84);
        assert_eq!(run(card, &mut session, &load("EF04C6020100")).1, 0x9000);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900EF04C8020100"))).1, 0x9000);
        let (count, less) = read(card);
        assert!(count == 1 && less < free, "{less} {free}");
    });
}
