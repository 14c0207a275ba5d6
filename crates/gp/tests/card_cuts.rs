//! Power lost at every flash operation, in every way flash can fail, of every form of every command that changes the card: afterwards the
//! card is what it was before or what it is after, object by object, and whoever was told 9000 finds it done.
//!
//! The same commands cut at commits, with a look from outside, are in `card_manager.rs`, `card_domains.rs` and `card_load.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use std::collections::BTreeMap;

use huiwan_card::{Cut, Journal, Memory, RamFlash};
use huiwan_crypto::{Aes, BlockKey, hash, mac};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{Fields, LoadFields};
use huiwan_gp::put_key::{put_ecc_field, put_rsa_field};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::{hex, vectors};
use support::*;

type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 128>;
type Objects = BTreeMap<(u8, u16), Vec<u8>>;

const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const TRANSIT: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x02];
const ELF: [u8; 7] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01];
const APP: [u8; 8] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01, 0x01];
const KEY: [u8; 16] = [0x11; 16];
const AUTHORIZED: [u8; 3] = [0x80, 0x40, 0x00];

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

/// Whose channel commands go through: the issuer's, or that of the bank's domain under the keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Issuer,
    Bank,
}

impl On {
    fn enter<M: Memory>(self, card: &mut Card<'_, M>) -> Open {
        let (aid, keys) = match self {
            Self::Issuer => (&ISSUER[..], test_keys()),
            Self::Bank => (&BANK[..], own()),
        };
        assert!(matches!(card.sw(&select(aid)), 0x9000 | 0x6283));
        open(card, 0, &keys, Level::CMac)
    }
}

fn objects(memory: &mut FlashMemory) -> Objects {
    let mut map = Objects::new();
    let mut at = None;
    while let Some(object) = memory.next_object(at).unwrap() {
        let mut buffer = [0; 600];
        let value = memory.read(object, 0, &mut buffer).unwrap().to_vec();
        map.insert((object.instance.0, object.id), value);
        at = Some(object);
    }
    map
}

fn mounted(flash: Flash) -> FlashMemory {
    FlashMemory::mount(flash).unwrap()
}

/// A card on which these commands succeeded, in sessions of their own.
fn prepared(name: &str, commands: &[(On, Vec<u8>)]) -> Flash {
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST).unwrap();
    let (memory, ()) = with_domains(blank, |card| {
        let mut session = None;
        for (on, command) in commands {
            if session.as_ref().is_none_or(|(last, _)| last != on) {
                session = Some((*on, on.enter(card)));
            }
            let (_, session) = session.as_mut().unwrap();
            assert_eq!(run(card, session, command).1, 0x9000, "{name}, to prepare: {command:02X?}");
        }
        card.element.memory_mut().collect().unwrap();
    });
    memory.into_flash()
}

/// What is left after power came back and the card swept.
fn after_power_on(flash: Flash, recovery: Option<u32>) -> (Objects, u32) {
    let memory = mounted(flash);
    let before = memory.flash().operations();
    let mut memory = memory;
    if let Some(cut) = recovery {
        memory.flash_mut().cut_after(cut, Cut::Random, cut);
    }
    let (memory, ()) = with_domains(memory, |_| ());
    let operations = memory.flash().operations() - before;
    let mut flash = memory.into_flash();
    flash.power_on();
    if recovery.is_some() {
        // It went again while the card swept.
        return after_power_on(flash, None);
    }
    (objects(&mut mounted(flash)), operations)
}

struct Scene<'s> {
    name: &'s str,
    prepare: &'s [(On, Vec<u8>)],
    on: On,
    /// In the session of the command, before the cuts begin: what leaves nothing behind.
    first: &'s [Vec<u8>],
    /// Cut anywhere, and one change together.
    commands: &'s [Vec<u8>],
}

impl Scene<'_> {
    /// The card after the commands, cut or not; whether all were answered 9000; flash operations.
    fn attempt(&self, flash: &Flash, cut: Option<(u32, Cut)>, commands: &[Vec<u8>]) -> (Flash, bool, u32) {
        let (memory, (done, operations)) = with_domains(mounted(flash.clone()), |card| {
            let mut session = self.on.enter(card);
            for command in self.first {
                assert_eq!(run(card, &mut session, command).1, 0x9000, "{}", self.name);
            }
            let before = card.element.memory().flash().operations();
            if let Some((after, mode)) = cut {
                card.element.memory_mut().flash_mut().cut_after(after, mode, after ^ 0x5A5A);
            }
            let mut done = true;
            for command in commands {
                let mut wire = [0; 300];
                let parsed = huiwan_apdu::Command::parse(command).unwrap();
                let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
                let answer = card.send(&sent);
                done = answer[answer.len() - 2..] == [0x90, 0x00];
                if !done {
                    assert!(cut.is_some(), "{}: {answer:02X?}", self.name);
                    break;
                }
                let _ = session.unwrap(&answer, &mut [0; 300]).unwrap();
            }
            (done, card.element.memory().flash().operations() - before)
        });
        let mut flash = memory.into_flash();
        flash.power_on();
        (flash, done, operations)
    }

    fn cut_everywhere(&self) {
        let name = self.name;
        let flash = prepared(name, self.prepare);
        let before = after_power_on(self.attempt(&flash, None, &[]).0, None).0;
        let (after, done, operations) = self.attempt(&flash, None, self.commands);
        let after = after_power_on(after, None).0;
        assert!(done && operations > 0, "{name}");
        assert_ne!(before, after, "{name}");
        let mut seen = [0, 0];
        for at in 0..operations {
            for mode in Cut::ALL {
                let (flash, done, _) = self.attempt(&flash, Some((at, mode)), self.commands);
                let (found, swept) = after_power_on(flash.clone(), None);
                let is_after = found == after;
                assert!(
                    is_after || found == before,
                    "{name}, {mode:?} at {at}:\n{found:02X?}\n{before:02X?}"
                );
                assert!(!done || is_after, "{name}, {mode:?} at {at}: told that it is done");
                seen[usize::from(is_after)] += 1;
                // What power-on still has to do may be cut as well.
                for cut in 0..swept {
                    let (again, _) = after_power_on(flash.clone(), Some(cut));
                    assert_eq!(again, found, "{name}, {mode:?} at {at}, recovery cut at {cut}");
                }
            }
        }
        assert!(seen[0] > 0, "{name}: nothing was ever undone");
    }
}

fn scene(name: &str, prepare: &[(On, Vec<u8>)], on: On, commands: &[Vec<u8>]) {
    Scene { name, prepare, on, first: &[], commands }.cut_everywhere();
}

fn issuer(commands: &[Vec<u8>]) -> Vec<(On, Vec<u8>)> {
    commands.iter().map(|command| (On::Issuer, command.clone())).collect()
}

/// A domain of the bank's with keys of its own, which come from the issuer.
fn bank(privileges: [u8; 3]) -> Vec<(On, Vec<u8>)> {
    issuer(&[
        install_domain(&BANK, privileges, &[]),
        for_personalization(&BANK),
        apdu([0x80, 0xE2, 0x88, 0], &keys_as_groupings(0x30, &KEY, 3, &TEST_KEY)),
    ])
}

fn for_personalization(aid: &[u8]) -> Vec<u8> {
    install(0x20, 0, &Fields { instance: aid, ..Fields::default() })
}

/// Keys for STORE DATA: a template, then each key.
fn keys_as_groupings(version: u8, key: &[u8; 16], count: u8, dek: &[u8]) -> Vec<u8> {
    let mut stream = hex("00B900B709800188810110830100");
    *stream.last_mut().unwrap() = version;
    for id in 1..=count {
        stream.extend([0xB9, 0x08, 0x82, 0x01, id, 0x84, 0x03]);
        stream.extend(Aes::new(key).unwrap().kcv());
    }
    stream[2] = (stream.len() - 3) as u8;
    for _ in 0..count {
        let mut block = *key;
        Aes::new(dek).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        stream.extend(hex("811310"));
        stream.extend(block);
    }
    stream
}

fn toy() -> Vec<u8> {
    install_toy(&TOY_AID, &hex("C9021234"))
}

fn delete(aid: &[u8], p2: u8) -> Vec<u8> {
    apdu([0x80, 0xE4, 0x00, p2], &[&[0x4F, aid.len() as u8][..], aid].concat())
}

fn status(p1: u8, state: u8, aid: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xF0, p1, state], aid)
}

fn extradite(to: &[u8], what: &[u8]) -> Vec<u8> {
    install(0x10, 0, &Fields { load_file: to, instance: what, ..Fields::default() })
}

fn for_load(domain: &[u8], hash: &[u8]) -> Vec<u8> {
    let fields = LoadFields { load_file: &ELF, domain, hash, ..LoadFields::default() };
    let mut out = [0; 256];
    apdu([0x80, 0xE6, 0x02, 0x00], fields.write(&mut out).unwrap())
}

/// The load file of a published session, with its C4 header.
fn load_file() -> Vec<u8> {
    let file = vectors::load(include_str!("vectors/cap_load.txt"));
    let v = file.block("kaoh-scp02-i15-install-macenc");
    (0..6)
        .map(|n| v.bytes(&format!("out.commands.{n}.plain")))
        .filter(|command| command[1] == 0xE8)
        .flat_map(|command| command[5..5 + usize::from(command[4])].to_vec())
        .collect()
}

fn loads(file: &[u8]) -> Vec<Vec<u8>> {
    let blocks: Vec<_> = file.chunks(150).collect();
    let p1 = |n: usize| if n + 1 == blocks.len() { 0x80 } else { 0 };
    blocks.iter().enumerate().map(|(n, block)| apdu([0x80, 0xE8, p1(n), n as u8], block)).collect()
}

fn loaded() -> Vec<Vec<u8>> {
    [vec![for_load(&[], &[])], loads(&load_file())].concat()
}

fn applet(p1: u8, p2: u8) -> Vec<u8> {
    let fields = Fields {
        load_file: &ELF,
        module: &APP,
        instance: &APP,
        privileges: &[0],
        parameters: &[0xC9, 0x00],
        token: &[],
    };
    install(p1, p2, &fields)
}

#[test]
fn put_key() {
    let three: [&[u8]; 3] = [&KEY; 3];
    let other: [&[u8]; 3] = [&[0x22; 16]; 3];
    let add = put_keys(0, 0x31, 1, &three, &TEST_KEY);
    scene("three are added", &[], On::Issuer, core::slice::from_ref(&add));
    scene("three replace, other version", &[], On::Issuer, &[put_keys(0x30, 0x31, 1, &three, &TEST_KEY)]);
    // The counter goes back to zero with the keys, never without.
    scene("three replace, same version", &[], On::Issuer, &[put_keys(0x30, 0x30, 1, &three, &TEST_KEY)]);
    let prepare = issuer(core::slice::from_ref(&add));
    let replace = put_keys(0x31, 0x31, 1, &other, &TEST_KEY);
    scene("three replace a set beside", &prepare, On::Issuer, &[replace]);
    scene("one is added", &[], On::Issuer, &[put_keys(0, 0x73, 1, &[&[0x78; 24]], &TEST_KEY)]);
    scene("one joins a set", &[], On::Issuer, &[put_keys(0, 0x30, 5, &[&KEY], &TEST_KEY)]);

    let mut block = KEY;
    Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
    let kcv = Aes::new(&KEY).unwrap().kcv();
    let second = [&hex("70FF88001110")[..], &block, &[3], &kcv, &hex("01180101")].concat();
    scene("format 2", &[], On::Issuer, &[apdu([0x80, 0xD8, 0x00, 0x01], &second)]);

    let mut data = [0; 300];
    data[0] = 0x73;
    let modulus = [&[0xC1][..], &[0x5A; 254], &[0x01]].concat();
    let end = put_rsa_field(&mut data, 1, &modulus, &[1, 0, 1]).unwrap();
    let (first, last) = data[..end].split_at(end / 2);
    let chain = [apdu([0x80, 0xD8, 0x80, 0x01], first), apdu([0x80, 0xD8, 0x00, 0x01], last)];
    scene("rsa in a chain", &[], On::Issuer, &chain);
    let mut data = [0; 100];
    data[0] = 0x74;
    let end = put_ecc_field(&mut data, 1, &[4; 65], 0).unwrap();
    scene("ecc", &[], On::Issuer, &[apdu([0x80, 0xD8, 0x00, 0x02], &data[..end])]);
    // A domain's first keys: it becomes PERSONALIZED with them.
    let prepare = issuer(&[install_domain(&BANK, AUTHORIZED, &[])]);
    let keys = apdu([0x80, 0xE2, 0x88, 0], &keys_as_groupings(0x30, &KEY, 3, &TEST_KEY));
    let first = [for_personalization(&BANK)];
    Scene { name: "first keys", prepare: &prepare, on: On::Issuer, first: &first, commands: &[keys] }
        .cut_everywhere();
}

#[test]
fn initial_keys_replaced() {
    // Version FF goes when the first others come: in one commit.
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST.with_key_version(0xFF)).unwrap();
    let flash = blank.into_flash();
    let keys = put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY);
    let scene = Scene { name: "initial keys", prepare: &[], on: On::Issuer, first: &[], commands: &[] };
    let before = after_power_on(scene.attempt(&flash, None, &[]).0, None).0;
    let commands = [keys];
    let (after, _, operations) = scene.attempt(&flash, None, &commands);
    let after = after_power_on(after, None).0;
    for at in 0..operations {
        for mode in Cut::ALL {
            let (flash, done, _) = scene.attempt(&flash, Some((at, mode)), &commands);
            let found = after_power_on(flash, None).0;
            assert!(found == after || (found == before && !done), "{mode:?} at {at}");
            // One of the two opens a channel, whatever happened.
            let sets: Vec<_> = found.keys().filter(|key| key.0 == 0 && key.1 >> 8 == 2).collect();
            assert_eq!(sets.len(), 1, "{mode:?} at {at}");
        }
    }
}

#[test]
fn install_forms() {
    let inactive = install(
        0x04,
        0,
        &Fields {
            load_file: TOY.load_file.as_bytes(),
            module: TOY.module.as_bytes(),
            instance: &TOY_AID,
            privileges: &[0],
            parameters: &hex("C9021234"),
            token: &[],
        },
    );
    scene("install", &[], On::Issuer, core::slice::from_ref(&inactive));
    let selectable = install(0x08, 0, &Fields { instance: &TOY_AID, privileges: &[0], ..Fields::default() });
    scene("make selectable", &issuer(&[inactive]), On::Issuer, &[selectable]);
    scene("install and make selectable", &[], On::Issuer, &[toy()]);
    scene("install a domain", &[], On::Issuer, &[install_domain(&BANK, AUTHORIZED, &[])]);
    scene("install an applet that was loaded", &issuer(&loaded()), On::Issuer, &[applet(0x0C, 0)]);

    let with_toy = [bank(AUTHORIZED), vec![(On::Bank, toy())]].concat();
    let transit = (On::Bank, install_domain(&TRANSIT, [0x80, 0, 0], &[]));
    let nested = [with_toy, vec![transit]].concat();
    scene("extradition of an application", &nested, On::Bank, &[extradite(&TRANSIT, &TOY_AID)]);
    let file = [bank(AUTHORIZED), issuer(&loaded())].concat();
    scene("extradition of a file", &file, On::Issuer, &[extradite(&BANK, &ELF)]);
    let update = Fields { load_file: &TRANSIT, instance: &TOY_AID, privileges: &[0x04], ..Fields::default() };
    scene("registry update", &nested, On::Bank, &[install(0x40, 0, &update)]);
    // In pieces.
    let command = toy();
    let data = &command[5..command.len() - 1];
    let chain = [apdu([0x80, 0xE6, 0x8C, 0], &data[..11]), apdu([0x80, 0xE6, 0x0C, 0], &data[11..])];
    scene("install in a chain", &[], On::Issuer, &chain);
}

#[test]
fn load_forms() {
    scene("load", &[], On::Issuer, &loaded());
    let mut out = [0; 64];
    let first = LoadFields { load_file: &ELF, ..LoadFields::default() };
    let first = apdu([0x80, 0xE6, 0x0E, 0x01], first.write(&mut out).unwrap());
    let combined = [vec![first], loads(&load_file()), vec![applet(0x0E, 0x03)]].concat();
    scene("load, install and make selectable as one", &[], On::Issuer, &combined);
    // Signed, for the domain that signs: the last block decides.
    let dap_key = put_keys(0, 0x73, 1, &[&KEY], &KEY);
    let signer = [bank([0xC0, 0x40, 0]), vec![(On::Bank, dap_key)]].concat();
    let hash = hash::sha256(&[&load_file()[4..]]);
    let signature = mac::cmac(&Aes::new(&KEY).unwrap(), &[&hash]);
    let dap = [&hex("E21A4F06")[..], &BANK, &hex("C310"), &signature].concat();
    let signed = loads(&[&dap[..], &load_file()].concat());
    let commands = [vec![for_load(&BANK, &hash)], signed].concat();
    scene("load with a signature", &signer, On::Bank, &commands);
    // Ciphered: what is kept is the plain file.
    let mut block = load_file()[4..].to_vec();
    block.push(0x80);
    block.resize(block.len().next_multiple_of(16), 0);
    Aes::new(&KEY).unwrap().encrypt_cbc(&[0xA5; 16], &mut block).unwrap();
    let len = (block.len() as u16).to_be_bytes();
    let file = [&hex("D310")[..], &[0xA5; 16], &[0xD4, 0x82], &len, &block].concat();
    let prepare = issuer(&[put_keys(0, 0x75, 1, &[&KEY], &TEST_KEY)]);
    let commands = [vec![for_load(&[], &hash)], loads(&file)].concat();
    scene("load, ciphered", &prepare, On::Issuer, &commands);
}

/// A load that is refused at its end, or given up, leaves nothing: at whatever operation power goes, the card is as before.
#[test]
fn a_refused_load_leaves_nothing() {
    let wrong = [vec![for_load(&[], &[0xEE; 32])], loads(&load_file())].concat();
    let given_up =
        [vec![for_load(&[], &[])], loads(&load_file())[..1].to_vec(), vec![hex("80F28002024F0000")]].concat();
    for (name, commands) in [("hash", wrong), ("given up", given_up)] {
        let scene = Scene { name, prepare: &[], on: On::Issuer, first: &[], commands: &commands };
        let flash = prepared(name, &[]);
        let before = after_power_on(scene.attempt(&flash, None, &[]).0, None).0;
        let far = Some((u32::MAX, Cut::Before));
        let (_, _, operations) = scene.attempt(&flash, far, &commands);
        assert!(operations > 5, "{name}");
        for at in 0..=operations {
            for mode in Cut::ALL {
                let (flash, ..) = scene.attempt(&flash, Some((at, mode)), &commands);
                assert_eq!(after_power_on(flash, None).0, before, "{name}, {mode:?} at {at}");
            }
        }
    }
}

#[test]
fn delete_forms() {
    scene("an application", &issuer(&[toy()]), On::Issuer, &[delete(&TOY_AID, 0)]);
    scene(
        "an application by its domain",
        &[bank(AUTHORIZED), vec![(On::Bank, toy())]].concat(),
        On::Bank,
        &[delete(&TOY_AID, 0)],
    );
    scene("a file", &issuer(&loaded()), On::Issuer, &[delete(&ELF, 0)]);
    let installed = [loaded(), vec![applet(0x0C, 0)]].concat();
    scene("a file and what it made", &issuer(&installed), On::Issuer, &[delete(&ELF, 0x80)]);
    let nested =
        [bank(AUTHORIZED), vec![(On::Bank, install_domain(&TRANSIT, [0x80, 0, 0], &[])), (On::Bank, toy())]]
            .concat();
    scene("a domain and what it has", &nested, On::Issuer, &[delete(&BANK, 0x80)]);
    scene("a domain alone", &bank(AUTHORIZED), On::Issuer, &[delete(&BANK, 0)]);
    let keys = issuer(&[put_keys(0, 0x31, 1, &[&KEY[..]; 3], &TEST_KEY)]);
    scene("a key set", &keys, On::Issuer, &[apdu([0x80, 0xE4, 0, 0], &hex("D20131"))]);
    let keys = issuer(&[put_keys(0, 0x73, 1, &[&KEY[..]; 2], &TEST_KEY)]);
    scene("one key", &keys, On::Issuer, &[apdu([0x80, 0xE4, 0, 0], &hex("D00102D20173"))]);
}

#[test]
fn set_status_forms() {
    let locked = issuer(&[toy(), status(0x40, 0x80, &TOY_AID)]);
    scene("lock an application", &issuer(&[toy()]), On::Issuer, &[status(0x40, 0x80, &TOY_AID)]);
    scene("unlock an application", &locked, On::Issuer, &[status(0x40, 0x07, &TOY_AID)]);
    let nested =
        [bank(AUTHORIZED), vec![(On::Bank, install_domain(&TRANSIT, [0x80, 0, 0], &[])), (On::Bank, toy())]]
            .concat();
    scene("lock a domain", &nested, On::Issuer, &[status(0x40, 0x80, &BANK)]);
    scene("lock a domain and what it has", &nested, On::Issuer, &[status(0x60, 0x80, &BANK)]);
    let locked = [nested, issuer(&[status(0x60, 0x80, &BANK)])].concat();
    scene("unlock a domain and what it has", &locked, On::Issuer, &[status(0x60, 0x00, &BANK)]);
    let card = |state| status(0x80, state, &ISSUER);
    scene("card initialized", &[], On::Issuer, &[card(0x07)]);
    scene("card secured", &issuer(&[card(0x07)]), On::Issuer, &[card(0x0F)]);
    let secured = [card(0x07), card(0x0F)];
    scene("card locked", &issuer(&secured), On::Issuer, &[card(0x7F)]);
    let locked = [&secured[..], &[card(0x7F)]].concat();
    scene("card unlocked", &issuer(&locked), On::Issuer, &[card(0x0F)]);
    scene("card terminated", &issuer(&secured), On::Issuer, &[card(0xFF)]);
    scene("card terminated from locked", &issuer(&locked), On::Issuer, &[card(0xFF)]);
}

#[test]
fn store_data_forms() {
    let store = |p1, n, data: &[u8]| apdu([0x80, 0xE2, p1, n], data);
    let objects = [store(0x90, 0, &hex("42041122334445021234"))];
    scene("objects of a domain", &[], On::Issuer, &objects);
    scene(
        "objects as a grouping",
        &[],
        On::Issuer,
        &[store(0x88, 0, &hex("00700E5F500B687474703A2F2F622E636E"))],
    );
    scene("another name", &bank(AUTHORIZED), On::Bank, &[store(0x90, 0, &hex("4F06F0BA00000009"))]);
    scene("certificates", &[], On::Issuer, &[store(0x90, 0, &hex("A60483021330BF2103010203"))]);
    let keys = store(0x88, 0, &keys_as_groupings(0x32, &KEY, 3, &TEST_KEY));
    scene("keys", &[], On::Issuer, &[keys]);
    // A grouping over three blocks: its pieces are swept, or it has arrived.
    let first = [for_personalization(&TOY_AID)];
    let commands = [
        store(0x08, 0, &hex("010110AABBCCDD")),
        store(0x08, 1, &hex("112233445566")),
        store(0x88, 2, &hex("778899AABBCC")),
    ];
    let prepare = issuer(&[toy()]);
    Scene {
        name: "a grouping in pieces",
        prepare: &prepare,
        on: On::Issuer,
        first: &first,
        commands: &commands,
    }
    .cut_everywhere();
}
