//! Power cut at every flash operation while keys and certificates of SCP11 come: afterwards all of it is there, or none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod scp11_host;
mod support;

use std::collections::BTreeMap;

use huiwan_card::{Cut, Journal, Memory, RamFlash};
use huiwan_crypto::Aes;
use huiwan_gp::card::{Factory, Scp11Profile, TEST_KEY};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;
use scp11_host::*;
use support::{apdu, open, run, test_keys};

type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 96>;

/// What is stored once the card has been powered on: sequence counters apart, which are spent for good.
fn objects(flash: Flash, name: &str) -> BTreeMap<(u8, u16), Vec<u8>> {
    let memory = FlashMemory::mount(flash).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (mut memory, ()) = with_scp11(Scp11Profile::DEFAULT, memory, |_| ());
    let (mut map, mut at) = (BTreeMap::new(), None);
    while let Some(object) = memory.next_object(at).unwrap() {
        at = Some(object);
        if object.id >> 8 != 0x03 {
            let mut buffer = [0; 600];
            let value = memory.read(object, 0, &mut buffer).unwrap().to_vec();
            map.insert((object.instance.0, object.id), value);
        }
    }
    map
}

/// Cuts the commands in every mode at every flash operation of theirs.
fn cut_in_flash(name: &str, prepare: &[Vec<u8>], commands: &[Vec<u8>]) {
    let mut blank = FlashMemory::format(Flash::erased()).unwrap();
    huiwan_gp::card::format(&mut blank, &Factory::TEST).unwrap();
    let (prepared, ()) = with_scp11(Scp11Profile::DEFAULT, blank, |card| {
        let mut session = open(card, 0, &test_keys(), Level::CMac);
        for command in prepare {
            assert_eq!(run(card, &mut session, command).1, 0x9000, "{name}");
        }
        card.power_on();
        card.element.memory_mut().collect().unwrap();
    });
    let prepared = prepared.into_flash();
    let attempt = |cut: Option<(u32, Cut)>| {
        let memory = FlashMemory::mount(prepared.clone()).unwrap();
        let (memory, (status, operations)) = with_scp11(Scp11Profile::DEFAULT, memory, |card| {
            // Other numbers than those that prepared the card.
            card.random = Seeded::new(2);
            let mut session = open(card, 0, &test_keys(), Level::CMac);
            let before = card.element.memory().flash().operations();
            if let Some((after, mode)) = cut {
                card.element.memory_mut().flash_mut().cut_after(after, mode, after ^ 0x5A5A);
            }
            let mut status = 0;
            for command in commands {
                status = run(card, &mut session, command).1;
                if status != 0x9000 {
                    break;
                }
            }
            (status, card.element.memory().flash().operations() - before)
        });
        let mut flash = memory.into_flash();
        flash.power_on();
        (objects(flash, name), status, operations)
    };
    let before = objects(prepared.clone(), name);
    let (after, status, operations) = attempt(None);
    assert_eq!(status, 0x9000, "{name}");
    assert_ne!(before, after, "{name}");
    let mut seen_before = 0;
    for at in 0..operations {
        for mode in Cut::ALL {
            let (seen, status, _) = attempt(Some((at, mode)));
            assert!(seen == before || seen == after, "{name}, {mode:?} at {at}:\n{seen:02X?}\n{before:02X?}");
            assert!(status != 0x9000 || seen == after, "{name}, {mode:?} at {at}");
            seen_before += usize::from(seen == before);
        }
    }
    assert!(seen_before > 0, "{name}: {operations} operations");
}

fn blocks(data: &[u8]) -> Vec<Vec<u8>> {
    let count = data.chunks(200).count();
    let block = |(n, block): (usize, &[u8])| {
        apdu([0x80, 0xE2, if n + 1 == count { 0x90 } else { 0x10 }, n as u8], block)
    };
    data.chunks(200).enumerate().map(block).collect()
}

fn certificates(len: usize, byte: u8) -> Vec<Vec<u8>> {
    blocks(&[hex("A60483021303"), tlv(&[0xBF, 0x21], &[&vec![byte; len]])].concat())
}

fn serials(count: u8, counter: u8) -> Vec<Vec<u8>> {
    let list: Vec<_> = (0..count).flat_map(|n| tlv(&[0x93], &[&[n + 1; 20]])).collect();
    blocks(&[hex("A60483021003"), vec![0x92, 0x02, 0x00, counter], tlv(&[0x70], &[&list])].concat())
}

#[test]
fn private_keys() {
    let dek = Aes::new(&TEST_KEY).unwrap();
    let put = |replaced, version| put_private(replaced, version, 0x13, &[0x23; 32], &dek);
    cut_in_flash("PUT KEY of a new key", &[], &[put(0, 3)]);
    cut_in_flash("PUT KEY into a set", &[put_public(0, 3, 0x10, public(ROOT).as_bytes())], &[put(0, 3)]);
    let other = put_private(0, 3, 0x13, &[0x24; 32], &dek);
    cut_in_flash("PUT KEY in place of a key", core::slice::from_ref(&other), &[put(3, 3)]);
    let kept = [&[other][..], &certificates(600, 1)].concat();
    cut_in_flash("PUT KEY under another version", &kept, &[put(3, 4)]);
    cut_in_flash("DELETE", &kept, &[apdu([0x80, 0xE4, 0, 0], &hex("D00113"))]);
}

#[test]
fn generated_keys() {
    let generate = |replaced, version: u8| apdu([0x80, 0xF1, replaced, 0x13], &[version, 0xF0, 0x01, 0x00]);
    cut_in_flash("GENERATE KEY", &[], &[generate(0, 3)]);
    cut_in_flash("GENERATE KEY in place of a key", &[generate(0, 3)], &[generate(3, 3)]);
    cut_in_flash("GENERATE KEY under another version", &[generate(0, 3)], &[generate(3, 4)]);
}

#[test]
fn the_certificate_store() {
    let [short, long, longer] = [certificates(50, 1), certificates(500, 2), certificates(900, 3)];
    cut_in_flash("a short certificate", &[], &short);
    cut_in_flash("a long chain", &[], &long);
    cut_in_flash("a longer one in its place", &long, &longer);
    cut_in_flash("a short one in its place", &long, &short);
    cut_in_flash("a long one in place of a short one", &short, &long);
    cut_in_flash("none in its place", &long, &certificates(0, 0));
}

#[test]
fn lists_of_serial_numbers() {
    cut_in_flash("a list", &[], &serials(3, 1));
    cut_in_flash("a longer one", &serials(3, 1), &serials(20, 2));
    cut_in_flash("none", &serials(20, 1), &serials(0, 2));
    let authority = blocks(&hex("A60C8001004203A1A2A383021003"));
    cut_in_flash("an authority", &serials(3, 1), &authority);
}
