//! Implicit selection: what is selected when nothing is named, channel by channel and interface by interface, how INSTALL says so, and
//! power lost while it does. [GPC 6.4, 11.5.2.3]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod cuts;
mod support;

use cuts::{Bench, Case};
use huiwan_card::{InstanceId, Interface, Memory};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::get_status;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{Fields, ImplicitSelection, ImplicitSelections, Parameters};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::hex;
use proptest::prelude::*;
use support::*;

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const OTHER_AID: [u8; 7] = [0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02];
const KEY: [u8; 16] = [0x11; 16];

type MapCard<'a> = Card<'a, MapMemory>;

fn issuer(card: &mut MapCard<'_>) -> Open {
    assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
    open(card, 0, &test_keys(), Level::CMac)
}

fn manage(card: &mut MapCard<'_>, command: &[u8]) -> u16 {
    let mut session = issuer(card);
    run(card, &mut session, command).1
}

fn toy(p1: u8, aid: &[u8], privileges: &[u8], parameters: &str) -> Vec<u8> {
    let fields = Fields {
        load_file: TOY.load_file.as_bytes(),
        module: TOY.module.as_bytes(),
        instance: aid,
        privileges,
        parameters: &hex(parameters),
        token: &[],
    };
    install(p1, 0, &fields)
}

fn selectable(aid: &[u8], privileges: &[u8], parameters: &str) -> Vec<u8> {
    let parameters = hex(parameters);
    install(0x08, 0, &Fields { instance: aid, privileges, parameters: &parameters, ..Fields::default() })
}

fn update(aid: &[u8], privileges: &[u8], parameters: &str) -> Vec<u8> {
    let parameters = hex(parameters);
    install(0x40, 0, &Fields { instance: aid, privileges, parameters: &parameters, ..Fields::default() })
}

/// AID, life cycle, first byte of the privileges, `CF`.
fn listed(card: &mut MapCard<'_>) -> Vec<(Vec<u8>, u8, u8, Vec<u8>)> {
    let mut session = issuer(card);
    let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")));
    let entries = get_status::entries(&data).map(Result::unwrap);
    entries
        .map(|entry| {
            let implicit = entry.implicit().map(ImplicitSelection::byte).collect();
            (entry.aid.to_vec(), entry.life_cycle, entry.privileges.unwrap().bytes()[0], implicit)
        })
        .collect()
}

fn blank<T>(f: impl FnOnce(&mut MapCard<'_>) -> T) -> (MapMemory, T) {
    with_domains(new_memory(&Factory::TEST), f)
}

/// Who answers on the basic channel at power-on.
fn answers(card: &mut MapCard<'_>, interface: Interface) -> InstanceId {
    card.power_on_at(interface);
    let at_power_on = card.element.selected(0);
    // By an empty name it is the same one.
    assert_eq!(card.sw(&hex("00A4040000")), 0x9000);
    assert_eq!(card.element.selected(0), at_power_on);
    at_power_on.unwrap()
}

#[test]
fn each_interface_has_its_own() {
    blank(|card| {
        let ours = [InstanceId(1), InstanceId(2)];
        // The first answers contacts; the second the antenna, and channel 2 of both.
        assert_eq!(manage(card, &toy(0x0C, &TOY_AID, &[0], "C900EF03CF0140")), 0x9000);
        assert_eq!(manage(card, &toy(0x0C, &OTHER_AID, &[0], "C900EF06CF0180CF01C2")), 0x9000);
        let mut told: Vec<_> = listed(card).into_iter().map(|entry| entry.3).collect();
        told.sort();
        assert_eq!(told, [hex("40"), hex("80C2")]);
        assert_eq!(answers(card, Interface::Contact), ours[0]);
        assert_eq!(answers(card, Interface::Internal), ours[0], "the band's controller is a contact");
        assert_eq!(answers(card, Interface::Contactless), ours[1]);
        // Channel 1 is nobody's: the issuer's domain. Channel 2 is taken on this interface, but its owner is selected elsewhere.
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.element.selected(1), Some(InstanceId::ISSUER));
        assert_eq!(card.send(&hex("0070000001")), hex("029000"));
        assert_eq!(card.element.selected(2), None, "selected on one channel at a time");
        card.power_on_at(Interface::Contact);
        assert_eq!(card.sw(&hex("0070000200")), 0x9000);
        assert_eq!(card.element.selected(2), Some(ours[1]));
        // By an empty name on a channel it is that channel's.
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.element.selected(1), Some(InstanceId::ISSUER));
        assert_eq!(card.sw(&[&hex("01A4040007")[..], &TOY_AID, &[0]].concat()), 0x6985);
        assert_eq!(card.sw(&hex("0070800200")), 0x9000);
        assert_eq!(card.sw(&[&hex("01A4040007")[..], &OTHER_AID, &[0]].concat()), 0x9000);
        assert_eq!(card.sw(&hex("01A4040000")), 0x9000);
        assert_eq!(card.element.selected(1), Some(InstanceId::ISSUER));
        // A locked one steps back for the issuer's domain, a deleted one too.
        card.power_on();
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID)), 0x9000);
        assert_eq!(answers(card, Interface::Contact), InstanceId::ISSUER);
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x40, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(answers(card, Interface::Contact), ours[0]);
        assert_eq!(manage(card, &apdu([0x80, 0xE4, 0, 0], &[&[0x4F, 7][..], &OTHER_AID].concat())), 0x9000);
        assert_eq!(answers(card, Interface::Contactless), InstanceId::ISSUER);
    });
}

#[test]
fn a_place_is_given_once() {
    blank(|card| {
        assert_eq!(manage(card, &toy(0x0C, &TOY_AID, &[0], "C900EF03CF01C0")), 0x9000);
        for (parameters, expected, what) in [
            ("C900EF03CF0140", 0x6985, "one of its two interfaces"),
            ("C900EF06CF0141CF0180", 0x6985, "the second of two"),
            ("C900EF03CF0100", 0x6A80, "no interface"),
            ("C900EF03CF0160", 0x6A80, "a bit without meaning"),
            ("C900EF03CF0154", 0x6A80, "channel 20"),
            ("C900EF04CF024041", 0x6A80, "two in one object"),
            ("C900EF1BCF0141CF0142CF0143CF0144CF0145CF0146CF0147CF0148CF0149", 0x6A80, "nine"),
            ("C900EF18CF0141CF0142CF0143CF0144CF0145CF0146CF0147CF0148", 0x9000, "eight"),
        ] {
            assert_eq!(manage(card, &toy(0x0C, &OTHER_AID, &[0], parameters)), expected, "{what}");
        }
        // A registry update: not onto a place that is taken; one's own may stay; an empty list gives them back.
        assert_eq!(manage(card, &update(&OTHER_AID, &[], "EF03CF0180")), 0x6985);
        assert_eq!(manage(card, &update(&TOY_AID, &[], "EF03CF0180")), 0x9000);
        assert_eq!(manage(card, &update(&OTHER_AID, &[], "EF03CF0140")), 0x9000);
        assert_eq!(answers(card, Interface::Contact), InstanceId(2));
        assert_eq!(manage(card, &update(&OTHER_AID, &[], "EF05A003810100")), 0x9000, "nothing said of it");
        assert_eq!(answers(card, Interface::Contact), InstanceId(2));
        assert_eq!(manage(card, &update(&OTHER_AID, &[], "EF02CF00")), 0x9000);
        assert_eq!(answers(card, Interface::Contact), InstanceId::ISSUER);
        let told: Vec<_> = listed(card).into_iter().map(|entry| entry.3).collect();
        assert_eq!(told, [hex("80"), hex("")]);
    });
}

/// Who is selected by default has the basic channel where its parameters say nothing else.
#[test]
fn parameters_come_before_the_privilege() {
    blank(|card| {
        assert_eq!(manage(card, &toy(0x0C, &TOY_AID, &[0x04], "C900")), 0x9000);
        assert_eq!(answers(card, Interface::Contact), InstanceId(1));
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.element.selected(1), Some(InstanceId::ISSUER), "the basic channel alone");
        card.power_on();
        assert_eq!(manage(card, &toy(0x0C, &OTHER_AID, &[0x04], "C900")), 0x6985, "there is one");
        assert_eq!(manage(card, &toy(0x0C, &OTHER_AID, &[0], "C900EF03CF0140")), 0x9000);
        assert_eq!(answers(card, Interface::Contact), InstanceId(2));
        assert_eq!(answers(card, Interface::Contactless), InstanceId(1));
        assert_eq!(manage(card, &update(&TOY_AID, &[], "EF03CF0141")), 0x9000);
        assert_eq!(answers(card, Interface::Contactless), InstanceId::ISSUER, "it has said where");
    });
}

#[test]
fn make_selectable_brings_parameters() {
    blank(|card| {
        assert_eq!(manage(card, &toy(0x04, &TOY_AID, &[0x10], "C900")), 0x9000);
        assert_eq!(manage(card, &toy(0x04, &OTHER_AID, &[0], "C900EF03CF0180")), 0x9000);
        for (privileges, parameters, expected, what) in [
            (&[0x80][..], "", 0x6A80, "a privilege besides default selected"),
            (&[0x10, 0x40, 0x00], "", 0x6A80, "authorized management"),
            (&[0x04, 0x00], "", 0x6A80, "two bytes"),
            (&[], "EF03CF0100", 0x6A80, "parameters that say nothing"),
            (&[], "EF03CF01C0", 0x6985, "the other has the antenna, though it is not selectable yet"),
            (&[], "EF05A003810180", 0x6A80, "only itself makes itself not activatable"),
            (&[0x14], "EF08CF0140A003810100", 0x9000, "selected by default, on contacts, off the antenna"),
            (&[], "", 0x6985, "it is selectable"),
        ] {
            assert_eq!(manage(card, &selectable(&TOY_AID, privileges, parameters)), expected, "{what}");
        }
        let entry = listed(card).into_iter().find(|entry| entry.0 == TOY_AID).unwrap();
        assert_eq!((entry.1, entry.2, entry.3), (0x07, 0x14, hex("40")));
        assert_eq!(answers(card, Interface::Contact), InstanceId(1));
        assert_eq!(answers(card, Interface::Contactless), InstanceId::ISSUER, "not selectable yet");
        assert_eq!(manage(card, &selectable(&OTHER_AID, &[0x04], "")), 0x6985, "there is one by default");
        assert_eq!(manage(card, &selectable(&OTHER_AID, &[0x00], "")), 0x9000);
        assert_eq!(answers(card, Interface::Contactless), InstanceId(2));
        assert_eq!(manage(card, &selectable(&hex("F00102030401FF"), &[], "")), 0x6A88);
    });
}

/// `84` makes a domain PERSONALIZED when it becomes selectable, in one command or in two.
#[test]
fn a_domain_that_needs_no_personalisation() {
    let fields = |p1: u8, parameters: &[u8]| {
        let parameters = [&[0xC9, parameters.len() as u8][..], parameters].concat();
        let fields = Fields {
            load_file: &SSD_FILE,
            module: &SSD_MODULE,
            instance: &BANK,
            privileges: &[0x80, 0, 0],
            parameters: &parameters,
            token: &[],
        };
        install(p1, 0, &fields)
    };
    for (parameters, end) in [("8400", 0x0F), ("", 0x07)] {
        blank(|card| {
            assert_eq!(manage(card, &fields(0x04, &hex(parameters))), 0x9000);
            assert_eq!(listed(card)[0].1, 0x03);
            assert_eq!(manage(card, &selectable(&BANK, &[], "")), 0x9000);
            assert_eq!(listed(card)[0].1, end);
        });
        blank(|card| {
            assert_eq!(manage(card, &fields(0x0C, &hex(parameters))), 0x9000);
            assert_eq!(listed(card)[0].1, end);
        });
    }
}

/// PUT KEY of three double-length DES keys 22…22 under the data encryption key of a test card.
fn put_des_keys(version: u8) -> Vec<u8> {
    use huiwan_crypto::{Aes, BlockKey};
    use huiwan_gp::put_key::{KeyType, put_field};
    let (key, mut data, mut at) = ([0x22; 16], [0; 100], 1);
    let mut block = key;
    Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
    data[0] = version;
    for _ in 0..3 {
        let check_value = KeyType::Des.check_value(&key).unwrap();
        at = put_field(&mut data, at, KeyType::Des, key.len(), &block, &check_value).unwrap();
    }
    apdu([0x80, 0xD8, 0, 0x81], &data[..at])
}

/// `81`: what the card does not speak is not promised, and what is not promised is not spoken.
#[test]
fn protocols_of_a_domain() {
    use huiwan_gp::card::{CardManager, CardProfile, ModuleEntry, Registry};
    use huiwan_gp::scp02;
    let profile = CardProfile::DEFAULT.with_scp02(scp02::Options::I15);
    let entries = [ModuleEntry::security_domain(huiwan_card::ModuleId(0))];
    for (parameters, status, told, opens) in [
        ("", 0x9000, vec![[3, 0x70], [2, 0x15]], true),
        ("810203 30", 0x9000, vec![[3, 0x30]], true),
        ("810402150370", 0x9000, vec![[3, 0x70], [2, 0x15]], true),
        ("81020215", 0x9000, vec![[2, 0x15]], false),
        ("81020255", 0x6A80, vec![], false),
        ("8103021503", 0x6A80, vec![], false),
        ("8100", 0x6A80, vec![], false),
    ] {
        let manager = CardManager::new(&profile, &entries);
        let modules: [&dyn huiwan_card::Module; 1] = [&manager];
        let memory = new_memory(&Factory::TEST);
        let element = huiwan_card::Element::new(&modules, Registry::new(&profile), memory);
        let mut card = Card { element, random: huiwan_testkit::rng::Seeded::new(1) };
        card.power_on();
        let parameters = hex(&parameters.replace(' ', ""));
        assert_eq!(manage(&mut card, &install_domain(&BANK, [0x80, 0, 0], &parameters)), status);
        if status != 0x9000 {
            continue;
        }
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        let mut session = open(&mut card, 0, &test_keys(), Level::CMac);
        // It has keys for both; which of them open a channel is what it promised.
        assert_eq!(run(&mut card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)).1, 0x9000);
        assert_eq!(run(&mut card, &mut session, &put_des_keys(0x20)).1, 0x9000);
        let (data, sw) = run(&mut card, &mut session, &hex("80CA006600"));
        assert_eq!(sw, 0x9000);
        let protocols = huiwan_gp::recognition::protocols(&data).unwrap();
        assert_eq!(
            protocols.map(|protocol| [protocol.scp.into(), protocol.i]).collect::<Vec<[u16; 2]>>(),
            told
        );
        assert_eq!(card.sw(&select(&BANK)), 0x9000);
        let own = StaticKeys::new(&KEY, &KEY, &KEY).unwrap();
        let opened = try_open(&mut card, 0x30, &own, Level::CMac);
        assert_eq!(opened.err(), (!opens).then_some(0x6A88), "{parameters:02X?}");
    }
}

struct Selection;

impl Bench for Selection {
    fn power<M: Memory>(&self, memory: M, f: &mut dyn FnMut(&mut Card<'_, M>)) -> M {
        with_domains(memory, f).0
    }

    fn look(&self, card: &mut MapCard<'_>) -> String {
        let listed = listed(card);
        let first = [Interface::Contact, Interface::Contactless].map(|interface| answers(card, interface));
        format!("{listed:02X?} {first:?}")
    }
}

#[test]
fn power_cuts() {
    let (prepared, ()) = blank(|card| {
        assert_eq!(manage(card, &toy(0x04, &TOY_AID, &[0], "C900")), 0x9000);
        assert_eq!(manage(card, &toy(0x0C, &OTHER_AID, &[0], "C900EF03CF0180")), 0x9000);
    });
    let third = hex("F0010203040103");
    let keys = test_keys();
    for (name, command) in [
        ("make selectable with parameters", selectable(&TOY_AID, &[0x04], "EF08CF0140A003810100")),
        ("install with parameters", toy(0x0C, &third, &[0], "C900EF03CF0140")),
        ("update parameters", update(&OTHER_AID, &[0x04], "EF03CF0140")),
        ("take parameters away", update(&OTHER_AID, &[], "EF02CF00")),
    ] {
        let case = Case { name, session: Some(&keys), select: &ISSUER, first: &[], command: &command };
        cuts::everywhere(&Selection, &prepared, &case);
    }
}

proptest! {
    #[test]
    fn parameters_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..10)) {
        let valid: Vec<u8> = bytes.iter().copied().filter(|&byte| ImplicitSelection::from_byte(byte).is_some()).collect();
        let parsed = ImplicitSelections::parse(&valid);
        prop_assert_eq!(parsed.is_some(), valid.len() <= 8);
        if bytes != valid {
            prop_assert!(ImplicitSelections::parse(&bytes).is_none());
        }
        if let Some(implicit) = parsed {
            let parameters = Parameters { implicit: Some(implicit), ..Parameters::default() };
            let mut out = [0; 64];
            prop_assert_eq!(Parameters::parse(parameters.write(&mut out).unwrap()).unwrap(), parameters);
        }
    }

    /// The bits by themselves, against what they say.
    #[test]
    fn one_parameter(byte: u8, other: u8) {
        let one = ImplicitSelection::from_byte(byte);
        prop_assert_eq!(one.is_some(), byte & 0xC0 != 0 && byte & 0x20 == 0 && byte & 0x1F < 20);
        if let (Some(one), Some(other)) = (one, ImplicitSelection::from_byte(other)) {
            prop_assert_eq!(ImplicitSelection::new(one.is_contactless(), one.is_contact(), one.channel()), Some(one));
            let both = |of: fn(ImplicitSelection) -> bool| of(one) && of(other);
            let shared = both(ImplicitSelection::is_contact) || both(ImplicitSelection::is_contactless);
            prop_assert_eq!(one.overlaps(other), shared && one.channel() == other.channel());
        }
    }
}
