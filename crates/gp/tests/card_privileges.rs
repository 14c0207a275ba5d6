//! Every privilege: who can be given it, what it opens and what is refused without it, by command and through the interface of
//! applications; power lost while applications use it. [GPC 6.6]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod cuts;
mod support;

use cuts::{Bench, Case};
use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Action, Context, InstanceId, Interface, Memory, Module, ModuleId, ResponseWriter};
use huiwan_gp::card::crs::set_own_state;
use huiwan_gp::card::{
    CardManager, CardProfile, Conflicts, EcKeys, Factory, ModuleEntry, Registry, RsaKeys, TEST_KEY, system,
};
use huiwan_gp::get_status;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::Fields;
use huiwan_gp::life_cycle::{ApplicationState, ContactlessState};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::hex;
use support::*;

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const AGENT_AID: [u8; 7] = [0xF0, 0xA6, 0xE2, 0x70, 0x00, 0x01, 0x01];
const KEY: [u8; 16] = [0x11; 16];

type MapCard<'a> = Card<'a, MapMemory>;

/// INS 30 does what P1 says, see [`agent`].
struct Agent;

const AGENT: ModuleEntry = ModuleEntry {
    load_file: Aid::from_array([0xF0, 0xA6, 0xE2, 0x70, 0x00]),
    module: Aid::from_array([0xF0, 0xA6, 0xE2, 0x70, 0x00, 0x01]),
    id: ModuleId(3),
};

impl Module for Agent {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }

    fn select(&self, _: &mut Context<'_>, _: &mut ResponseWriter<'_>) -> Sw {
        Sw::OK
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let result = match command.p1() {
            0 => system::card_state(cx).and_then(|state| reply.push(&[state.byte()])),
            1 => system::lock_card(cx),
            2 => system::unlock_card(cx),
            3 => system::terminate_card(cx),
            4 => system::own_life_cycle(cx).and_then(|state| reply.push(&[state.byte()])),
            5 => system::set_own_life_cycle(cx, ApplicationState::from_byte(command.p2())),
            6 => system::lock_self(cx),
            7 => system::set_application_lock(cx, command.data(), true),
            8 => system::set_application_lock(cx, command.data(), false),
            _ => set_own_state(cx, ContactlessState::Activated, Conflicts::Refuse),
        };
        Action::Reply(result.err().unwrap_or(Sw::OK))
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}

const CARD_STATE: u8 = 0;
const LOCK_CARD: u8 = 1;
const UNLOCK_CARD: u8 = 2;
const TERMINATE_CARD: u8 = 3;
const OWN_LIFE_CYCLE: u8 = 4;
const SET_OWN_LIFE_CYCLE: u8 = 5;
const LOCK_SELF: u8 = 6;
const LOCK_OTHER: u8 = 7;
const UNLOCK_OTHER: u8 = 8;
const ACTIVATE_SELF: u8 = 9;

fn agent(what: u8, p2: u8, data: &[u8]) -> Vec<u8> {
    apdu([0x80, 0x30, what, p2], data)
}

fn over<M: Memory, T>(memory: M, f: impl FnOnce(&mut Card<'_, M>) -> T) -> (M, T) {
    let keys = (RsaKeys, EcKeys::P256);
    with_modules(&CardProfile::DEFAULT, &keys, &[(&Agent, AGENT)], memory, f)
}

fn blank<T>(f: impl FnOnce(&mut MapCard<'_>) -> T) -> (MapMemory, T) {
    over(new_memory(&Factory::TEST), f)
}

fn enter(card: &mut MapCard<'_>, aid: &[u8], keys: &StaticKeys) -> Open {
    assert_eq!(card.sw(&select(aid)), 0x9000);
    open(card, 0, keys, Level::CMac)
}

fn manage(card: &mut MapCard<'_>, command: &[u8]) -> u16 {
    let mut session = enter(card, &ISSUER, &test_keys());
    run(card, &mut session, command).1
}

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

fn install_agent(privileges: [u8; 3]) -> Vec<u8> {
    let fields = Fields {
        load_file: AGENT.load_file.as_bytes(),
        module: AGENT.module.as_bytes(),
        instance: &AGENT_AID,
        privileges: &privileges,
        parameters: &hex("C900EF05A003810100"),
        token: &[],
    };
    install(0x0C, 0, &fields)
}

fn secured(card: &mut MapCard<'_>) {
    for state in [0x07, 0x0F] {
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x80, state], &ISSUER)), 0x9000);
    }
}

/// Sheet 1.15: each privilege alone, given to an application and to a security domain.
#[test]
fn who_can_be_given_what() {
    let (memory, ()) = blank(|_| ());
    for (name, privileges, application, domain) in [
        ("security domain", [0x80, 0x00, 0x00], 0x6A80, 0x9000),
        ("dap verification", [0x40, 0x00, 0x00], 0x6A80, 0x9000),
        ("delegated management", [0x20, 0x00, 0x00], 0x6A80, 0x9000),
        ("card lock", [0x10, 0x00, 0x00], 0x9000, 0x9000),
        ("card terminate", [0x08, 0x00, 0x00], 0x9000, 0x9000),
        ("default selected", [0x04, 0x00, 0x00], 0x9000, 0x9000),
        ("cvm management: no global PIN", [0x02, 0x00, 0x00], 0x6A80, 0x6A80),
        ("mandated dap without dap", [0x01, 0x00, 0x00], 0x6A80, 0x6A80),
        ("mandated dap", [0x41, 0x00, 0x00], 0x6A80, 0x9000),
        ("trusted path: no such service", [0x00, 0x80, 0x00], 0x6A80, 0x6A80),
        ("authorized management", [0x00, 0x40, 0x00], 0x6A80, 0x9000),
        ("authorized and delegated management", [0x20, 0x40, 0x00], 0x6A80, 0x6A80),
        ("token verification: the issuer's", [0x00, 0x60, 0x00], 0x6A80, 0x6A80),
        ("global delete", [0x00, 0x10, 0x00], 0x6A80, 0x9000),
        ("global lock", [0x00, 0x08, 0x00], 0x9000, 0x9000),
        ("global registry", [0x00, 0x04, 0x00], 0x6A80, 0x9000),
        ("final application", [0x00, 0x02, 0x00], 0x9000, 0x9000),
        ("global service: none", [0x00, 0x01, 0x00], 0x6A80, 0x6A80),
        ("receipt generation: the issuer's", [0x00, 0x40, 0x80], 0x6A80, 0x6A80),
        ("ciphered load file data block", [0x00, 0x00, 0x40], 0x6A80, 0x9000),
        ("contactless activation", [0x00, 0x00, 0x20], 0x9000, 0x9000),
        ("contactless self-activation", [0x00, 0x00, 0x10], 0x9000, 0x9000),
        ("a bit without meaning", [0x00, 0x00, 0x08], 0x6A80, 0x6A80),
    ] {
        over(memory.clone(), |card| {
            assert_eq!(manage(card, &install_agent(privileges)), application, "{name}: application");
            let [first, second, third] = privileges;
            let of_domain = install_domain(&BANK, [0x80 | first, second, third], &[]);
            // One at a time: the application goes first.
            manage(card, &apdu([0x80, 0xE4, 0, 0], &[&[0x4F, 7][..], &AGENT_AID].concat()));
            assert_eq!(manage(card, &of_domain), domain, "{name}: domain");
            // By registry update it is the same.
            manage(card, &apdu([0x80, 0xE4, 0, 0], &[&[0x4F, 6][..], &BANK].concat()));
            assert_eq!(manage(card, &install_agent([0; 3])), 0x9000);
            let update = Fields { instance: &AGENT_AID, privileges: &privileges, ..Fields::default() };
            assert_eq!(manage(card, &install(0x40, 0, &update)), application, "{name}: update");
        });
    }
}

/// Capability data tell just these.
#[test]
fn what_is_told_is_what_can_be_given() {
    let (memory, told) = blank(|card| card.send(&hex("80CA006700")));
    let of = |tag: u8| {
        let at = told.windows(2).rposition(|window| window == [tag, 3]).unwrap() + 2;
        [told[at], told[at + 1], told[at + 2]]
    };
    let (domain, application) = (of(0x81), of(0x82));
    for bit in 0..24 {
        let mut one = [0_u8; 3];
        one[bit / 8] = 0x80 >> (bit % 8);
        if one == [0x80, 0, 0] || one == [0x01, 0, 0] {
            continue;
        }
        over(memory.clone(), |card| {
            let given = manage(card, &install_agent(one)) == 0x9000;
            assert_eq!(given, application[bit / 8] & one[bit / 8] != 0, "{one:02X?}");
            manage(card, &apdu([0x80, 0xE4, 0, 0], &[&[0x4F, 7][..], &AGENT_AID].concat()));
            let privileges = [0x80 | one[0], one[1], one[2]];
            let given = manage(card, &install_domain(&BANK, privileges, &[])) == 0x9000;
            assert_eq!(given, domain[bit / 8] & one[bit / 8] != 0, "{one:02X?}");
        });
    }
}

/// One holder at a time, by installation and by registry update.
#[test]
fn what_only_one_may_have() {
    let update = |aid: &[u8], privileges: [u8; 3]| {
        install(0x40, 0, &Fields { instance: aid, privileges: &privileges, ..Fields::default() })
    };
    for sole in [[0x04, 0x00, 0x00], [0x00, 0x02, 0x00]] {
        blank(|card| {
            assert_eq!(manage(card, &install_agent(sole)), 0x9000);
            let domain = [0x80 | sole[0], sole[1], sole[2]];
            assert_eq!(manage(card, &install_domain(&BANK, domain, &[])), 0x6985);
            assert_eq!(manage(card, &install_domain(&BANK, [0x80, 0, 0], &[])), 0x9000);
            assert_eq!(manage(card, &update(&BANK, domain)), 0x6985);
            assert_eq!(manage(card, &update(&AGENT_AID, sole)), 0x9000, "it has it");
            assert_eq!(manage(card, &update(&AGENT_AID, [0; 3])), 0x9000);
            assert_eq!(manage(card, &update(&BANK, domain)), 0x9000);
        });
    }
}

/// Commands of a domain, with the privilege and without it.
#[test]
fn commands_of_domains() {
    let toy = install_toy(&hex("F00102030401FF"), &hex("C900"));
    let delete = apdu([0x80, 0xE4, 0, 0], &[&[0x4F, 7][..], &TOY_AID].concat());
    let lock = |p2| apdu([0x80, 0xF0, 0x40, p2], &TOY_AID);
    let card_state = |state| apdu([0x80, 0xF0, 0x80, state], &ISSUER);
    let extradite = install(0x10, 0, &Fields { load_file: &BANK, instance: &TOY_AID, ..Fields::default() });
    let status = |scope| apdu([0x80, 0xF2, scope, 0x02], &hex("4F00"));
    for (name, privilege, command, with, without) in [
        ("card lock: lock the card", [0x10, 0, 0], card_state(0x7F), 0x9000, 0x6985),
        ("card lock: another step of its life", [0x10, 0, 0], card_state(0x07), 0x6985, 0x6985),
        ("card terminate: terminate", [0x08, 0, 0], card_state(0xFF), 0x9000, 0x6985),
        ("card terminate: lock", [0x08, 0, 0], card_state(0x7F), 0x6985, 0x6985),
        ("authorized management: install", [0, 0x40, 0], toy.clone(), 0x9000, 0x6985),
        ("authorized management: delete what is another's", [0, 0x40, 0], delete.clone(), 0x6985, 0x6985),
        ("authorized management: take what is another's", [0, 0x40, 0], extradite.clone(), 0x6985, 0x6985),
        ("delegated management: install without a token", [0x20, 0, 0], toy.clone(), 0x6985, 0x6985),
        ("global delete: delete", [0, 0x10, 0], delete.clone(), 0x9000, 0x6985),
        ("global delete: lock", [0, 0x10, 0], lock(0x80), 0x6985, 0x6985),
        ("global lock: lock", [0, 0x08, 0], lock(0x80), 0x9000, 0x6985),
        ("global lock: delete", [0, 0x08, 0], delete, 0x6985, 0x6985),
        ("global lock: itself", [0, 0x08, 0], apdu([0x80, 0xF0, 0x40, 0x80], &BANK), 0x6985, 0x6985),
        ("global registry: see the issuer domain", [0, 0x04, 0], status(0x80), 0x9000, 0x6A88),
        ("global registry: see load files", [0, 0x04, 0], status(0x20), 0x9000, 0x6A88),
        ("global registry: list names", [0, 0x04, 0], hex("80CA2F0000"), 0x9000, 0x6982),
        ("global registry: install", [0, 0x04, 0], toy, 0x6985, 0x6985),
        ("receipts: the confirmation counter", [0, 0x04, 0], hex("80CA00C200"), 0x6A88, 0x6A88),
    ] {
        for (privilege, expected) in [(privilege, with), ([0; 3], without)] {
            blank(|card| {
                assert_eq!(manage(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
                let [first, second, third] = privilege;
                assert_eq!(manage(card, &install_domain(&BANK, [0x80 | first, second, third], &[])), 0x9000);
                let mut session = enter(card, &BANK, &test_keys());
                let keys = put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY);
                assert_eq!(run(card, &mut session, &keys).1, 0x9000);
                secured(card);
                let mut session = enter(card, &BANK, &own());
                assert_eq!(run(card, &mut session, &command).1, expected, "{name}, {privilege:02X?}");
            });
        }
    }
}

/// Calls of an application, with the privilege and without it.
#[test]
fn calls_of_applications() {
    for (name, privilege, command, with, without) in [
        ("card lock: lock", [0x10, 0, 0], agent(LOCK_CARD, 0, &[]), 0x9000, 0x6985),
        (
            "card lock: unlock a card that is not locked",
            [0x10, 0, 0],
            agent(UNLOCK_CARD, 0, &[]),
            0x6A80,
            0x6A80,
        ),
        ("card lock: terminate", [0x10, 0, 0], agent(TERMINATE_CARD, 0, &[]), 0x6985, 0x6985),
        ("card terminate: terminate", [0x08, 0, 0], agent(TERMINATE_CARD, 0, &[]), 0x9000, 0x6985),
        ("card terminate: lock", [0x08, 0, 0], agent(LOCK_CARD, 0, &[]), 0x6985, 0x6985),
        ("global lock: lock", [0, 0x08, 0], agent(LOCK_OTHER, 0, &TOY_AID), 0x9000, 0x6985),
        ("global lock: itself", [0, 0x08, 0], agent(LOCK_OTHER, 0, &AGENT_AID), 0x6985, 0x6985),
        ("global lock: nobody", [0, 0x08, 0], agent(LOCK_OTHER, 0, &[1; 7]), 0x6A88, 0x6985),
        (
            "global lock: unlock what is not locked",
            [0, 0x08, 0],
            agent(UNLOCK_OTHER, 0, &TOY_AID),
            0x6A80,
            0x6985,
        ),
        ("self-activation", [0, 0, 0x10], agent(ACTIVATE_SELF, 0, &[]), 0x9000, 0x6985),
        ("contactless activation: itself", [0, 0, 0x20], agent(ACTIVATE_SELF, 0, &[]), 0x6985, 0x6985),
        ("nothing: its own life cycle", [0; 3], agent(SET_OWN_LIFE_CYCLE, 0x1F, &[]), 0x9000, 0x9000),
        ("nothing: lock itself", [0; 3], agent(LOCK_SELF, 0, &[]), 0x9000, 0x9000),
    ] {
        for (privilege, expected) in [(privilege, with), ([0; 3], without)] {
            blank(|card| {
                assert_eq!(manage(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
                assert_eq!(manage(card, &install_agent(privilege)), 0x9000);
                secured(card);
                assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
                let before = card.element.memory().objects.clone();
                assert_eq!(card.sw(&command), expected, "{name}, {privilege:02X?}");
                assert_eq!(card.element.memory().objects == before, expected != 0x9000, "{name}");
            });
        }
    }
}

#[test]
fn locking_others() {
    blank(|card| {
        assert_eq!(manage(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(manage(card, &install_agent([0, 0x08, 0])), 0x9000);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_OTHER, 0, &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_OTHER, 0, &TOY_AID)), 0x6A80, "it is locked");
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
        assert_eq!(card.sw(&agent(UNLOCK_OTHER, 0, &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
        // What a locked domain holds is unlocked with it.
        assert_eq!(manage(card, &install_domain(&BANK, [0x80, 0, 0], &[])), 0x9000);
        let extradite = Fields { load_file: &BANK, instance: &TOY_AID, ..Fields::default() };
        assert_eq!(manage(card, &install(0x10, 0, &extradite)), 0x9000);
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x60, 0x80], &BANK)), 0x9000);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_OTHER, 0, &TOY_AID)), 0x6985);
    });
}

#[test]
fn the_final_application_of_a_locked_card() {
    // Card Lock and Final Application; the toy has neither.
    blank(|card| {
        assert_eq!(manage(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(manage(card, &install_agent([0x10, 0x02, 0])), 0x9000);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_CARD, 0, &[])), 0x6A80, "not SECURED");
        secured(card);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_CARD, 0, &[])), 0x9000);
        assert_eq!(card.send(&agent(CARD_STATE, 0, &[])), hex("7F9000"), "it goes on");
        assert_eq!(card.sw(&agent(LOCK_CARD, 0, &[])), 0x6A80, "it is locked");
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A81);
        assert_eq!(card.sw(&select(&ISSUER)), 0x6283);
        card.power_on();
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(UNLOCK_CARD, 0, &[])), 0x9000);
        assert_eq!(card.send(&agent(CARD_STATE, 0, &[])), hex("0F9000"));
        assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
    });
    // Without Final Application it locks itself out, too; on a terminated card nothing but the issuer's domain is left.
    for (privileges, what, other) in
        [([0x10, 0, 0], LOCK_CARD, 0x6A81), ([0x08, 0x02, 0], TERMINATE_CARD, 0x6A82)]
    {
        blank(|card| {
            assert_eq!(manage(card, &install_agent(privileges)), 0x9000);
            secured(card);
            assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
            assert_eq!(card.sw(&agent(what, 0, &[])), 0x9000);
            assert_eq!(card.sw(&agent(CARD_STATE, 0, &[])), 0x6985, "selected no more");
            card.power_on();
            assert_eq!(card.sw(&select(&AGENT_AID)), other);
            assert_eq!(card.element.selected(0), Some(InstanceId::ISSUER));
            assert_eq!(card.sw(&hex("80CA006600")), 0x9000, "GET DATA is left");
        });
    }
}

#[test]
fn an_application_has_states_of_its_own() {
    blank(|card| {
        assert_eq!(manage(card, &install_agent([0; 3])), 0x9000);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.send(&agent(OWN_LIFE_CYCLE, 0, &[])), hex("079000"));
        for (state, expected) in [
            (0x03, 0x6A80),
            (0x83, 0x6A80),
            (0x8F, 0x6A80),
            (0x08, 0x6A80),
            (0x7F, 0x9000),
            (0x07, 0x9000),
            (0x1F, 0x9000),
        ] {
            assert_eq!(card.sw(&agent(SET_OWN_LIFE_CYCLE, state, &[])), expected, "{state:02X}");
        }
        assert_eq!(state(card), 0x1F);
        // Locked and unlocked it comes back to its own state.
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x40, 0x80], &AGENT_AID)), 0x9000);
        assert_eq!(state(card), 0x9F);
        assert_eq!(manage(card, &apdu([0x80, 0xF0, 0x40, 0x00], &AGENT_AID)), 0x9000);
        assert_eq!(state(card), 0x1F);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
        assert_eq!(card.sw(&agent(LOCK_SELF, 0, &[])), 0x9000);
        assert_eq!(state(card), 0x9F);
        assert_eq!(card.sw(&select(&AGENT_AID)), 0x6A82);
    });
}

fn state(card: &mut MapCard<'_>) -> u8 {
    let mut session = enter(card, &ISSUER, &test_keys());
    let search = [&[0x4F, 7][..], &AGENT_AID].concat();
    let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &search));
    get_status::entries(&data).next().unwrap().unwrap().life_cycle
}

/// Without content management the card gives no privilege that needs it.
#[test]
fn a_card_without_content_management() {
    let profile = CardProfile::DEFAULT;
    let entries = [TOY, ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(&profile, &entries);
    let modules: [&dyn Module; 2] = [&manager, &Toy];
    let element = huiwan_card::Element::new(&modules, Registry::new(&profile), new_memory(&Factory::TEST));
    let mut card = Card { element, random: huiwan_testkit::rng::Seeded::new(1) };
    card.power_on();
    for privileges in [[0xC0, 0, 0], [0xC1, 0, 0], [0xA0, 0, 0], [0x80, 0, 0x40]] {
        assert_eq!(manage(&mut card, &install_domain(&BANK, privileges, &[])), 0x6A80, "{privileges:02X?}");
    }
    let told = card.send(&hex("80CA006700"));
    assert!(!told.windows(2).any(|window| window == [0x85, 2]), "no signatures are checked");
}

struct Agents;

impl Bench for Agents {
    fn power<M: Memory>(&self, memory: M, f: &mut dyn FnMut(&mut Card<'_, M>)) -> M {
        over(memory, f).0
    }

    fn look(&self, card: &mut MapCard<'_>) -> String {
        let issuer = card.sw(&select(&ISSUER));
        let selectable = [&AGENT_AID, &TOY_AID].map(|aid| card.sw(&select(aid)));
        card.power_on_at(Interface::Contactless);
        let antenna = [&AGENT_AID, &TOY_AID].map(|aid| card.sw(&select(aid)));
        card.power_on();
        card.sw(&select(&ISSUER));
        // A terminated card opens no channel.
        let session = try_open(card, 0, &test_keys(), Level::CMac).ok();
        let listed =
            session.map(|mut session| run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00"))));
        format!("{issuer:04X} {selectable:04X?} {antenna:04X?} {listed:02X?}")
    }
}

#[test]
fn power_cuts() {
    let all = Privileges::CARD_LOCK
        .with(Privileges::CARD_TERMINATE)
        .with(Privileges::GLOBAL_LOCK)
        .with(Privileges::FINAL_APPLICATION);
    let (prepared, ()) = blank(|card| {
        assert_eq!(manage(card, &install_toy(&TOY_AID, &hex("C900"))), 0x9000);
        assert_eq!(manage(card, &install_agent(all.bytes())), 0x9000);
        secured(card);
    });
    for (name, first, command) in [
        ("lock the card", vec![], agent(LOCK_CARD, 0, &[])),
        ("unlock the card", vec![agent(LOCK_CARD, 0, &[])], agent(UNLOCK_CARD, 0, &[])),
        ("terminate the card", vec![], agent(TERMINATE_CARD, 0, &[])),
        ("lock another", vec![], agent(LOCK_OTHER, 0, &TOY_AID)),
        ("lock itself", vec![], agent(LOCK_SELF, 0, &[])),
        ("its own state", vec![], agent(SET_OWN_LIFE_CYCLE, 0x1F, &[])),
    ] {
        // What came before stays in any case: the state before the command counts.
        let (prepared, ()) = over(prepared.clone(), |card| {
            assert_eq!(card.sw(&select(&AGENT_AID)), 0x9000);
            first.iter().for_each(|command| assert_eq!(card.sw(command), 0x9000));
        });
        let case = Case { name, session: None, select: &AGENT_AID, first: &[], command: &command };
        cuts::everywhere(&Agents, &prepared, &case);
    }
}
