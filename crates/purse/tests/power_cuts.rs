//! Every state-changing command of every scheme, cut at every flash operation in every mode: the card is as it was before the
//! command or as it is after it, and it goes on from there.
//!
//! What "as it was" means is read out by commands and compared with the card on paper. A PIN try, and a wrong MAC that a
//! scheme counts before it compares, are commits of their own: between two commits there is nothing either.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use std::collections::BTreeMap;

use huiwan_card::{Cut, Memory, ObjectId};
use huiwan_purse::profile::{MacErrors, Profile};
use world::paper::Paper;
use world::script::{Flash, How, Memories, Step, World, modules};
use world::{Band, hex, kept_entries};

/// What leads up to a command, and the command: in the language of `world/script.rs`.
const CASES: &[(&str, &str)] = &[
    ("", "load ed 500"),
    ("", "load ep 500"),
    ("", "load ep 500 wrong"),
    ("", "unload ed 5"),
    ("", "unload ep 5"),
    ("", "unload ed 5 wrong"),
    ("", "buy ed 7"),
    ("", "buy ep 7"),
    ("", "buy ep 7 wrong"),
    ("buy ep 7 wrong / buy ep 7 wrong", "buy ep 7 wrong"),
    ("buy ep 7 wrong / buy ep 7 wrong", "buy ep 7"),
    ("load ep 7 wrong", "load ep 7"),
    ("code", "buy ep 7"),
    ("", "cash ed 7"),
    ("", "composite ep 0"),
    ("", "composite ep 10"),
    ("", "composite ep 11"),
    ("composite ep 11", "composite ep 14"),
    // Log and trips begin to forget.
    ("full", "composite ep 11"),
    ("full", "buy ep 7"),
    ("full", "load ep 7"),
    ("", "composite ep 11 wrong"),
    ("", "limit ed 4000"),
    ("", "limit ep 4000"),
    ("", "limit ed 4000 wrong"),
    ("", "grey-lock ed"),
    ("", "grey-lock ep"),
    ("", "grey-lock ep wrong"),
    ("grey-lock ed", "grey-pay ed 5"),
    ("grey-lock ep", "grey-pay ep 5"),
    ("grey-lock ep", "grey-pay ep 5 wrong"),
    ("grey-lock ep / grey-pay ep 5", "grey-take"),
    ("grey-lock ed", "grey-host ed 5"),
    ("grey-lock ep", "grey-host ep 5"),
    ("grey-lock ep", "grey-host ep 5 wrong"),
    ("", "verify"),
    ("", "verify wrong"),
    ("verify wrong", "verify"),
    ("", "change-pin 4"),
    ("", "change-pin 4 wrong"),
    ("", "reload-pin 4"),
    ("", "reload-pin 4 wrong"),
    ("verify wrong / verify wrong / verify wrong", "unblock-pin"),
    ("verify wrong / verify wrong / verify wrong", "unblock-pin wrong"),
    ("", "block"),
    ("", "block wrong"),
    ("block wrong / block wrong", "block wrong"),
    ("block wrong", "block"),
    ("block", "unblock"),
    ("block", "unblock wrong"),
    ("buy ep 7 wrong / buy ep 7 wrong / buy ep 7 wrong", "unblock"),
    ("block", "block-forever"),
    ("", "block-forever"),
    ("", "block-card"),
    ("", "update-info 3"),
    ("", "update-info 3 wrong"),
    ("block wrong", "update-info 3"),
    ("", "update-record 3"),
    ("", "append-record 3"),
];

/// Whether the command changes anything on a card of this scheme.
fn applies(profile: &Profile, command: &str) -> bool {
    let is = |prefix: &str| command.starts_with(prefix);
    if is("limit ed") {
        profile.ed
    } else if is("limit ep") {
        !profile.ed && profile.ep_overdraft
    } else if is("grey-") {
        profile.grey_lock.is_some() && (profile.ed || !command.contains(" ed"))
    } else if is("unload ep") {
        profile.ep_unload
    } else if is("append-record") {
        // Two are there from the beginning.
        profile.composite_records > 2
    } else if is("composite ep 11 wrong") {
        profile.composite_mac_errors
    } else {
        profile.ed || !command.contains(" ed")
    }
}

fn led_up_to(profile: Profile, setup: &str) -> World {
    let mut world = World::new(profile, 0);
    let setup = if setup == "full" { "composite ep 2 / ".repeat(31) } else { setup.to_owned() };
    for step in setup.split('/').map(str::trim).filter(|step| !step.is_empty()) {
        world.step(&step.parse().unwrap());
    }
    world
}

/// Cuts the command everywhere and goes on; the number of cuts.
fn cut_everywhere(profile: Profile, setup: &str, command: &str) -> u32 {
    let command: Step = command.parse().unwrap();
    let mut cuts = 0;
    let mut found = Vec::new();
    let mut states = Vec::new();
    for cut in Cut::ALL {
        for n in 0.. {
            let mut world = led_up_to(profile, setup);
            let before = world.cuts;
            world.step(&Step { how: How::Cut(n, cut), ..command });
            if world.cuts == before {
                break;
            }
            cuts += 1;
            states.clone_from(&world.between.0);
            found.append(&mut world.between.1);
            // The flash is tidied up and cut in that too.
            let idle: Step = format!("idle cut {} {cut:?}", n % 3).parse().unwrap();
            world.step(&idle);
            for step in [
                "unblock",
                "reload-pin 8",
                "retap",
                "grey-host ep 1",
                "load ep 2",
                "composite ep 11",
                "buy ep 1",
            ] {
                world.step(&step.parse().unwrap());
            }
            world.audit();
        }
    }
    // Nothing is skipped either: a PIN try is really spent before the comparison.
    assert!(states.iter().all(|state| found.contains(state)), "{}: {setup} / {command}", profile.name);
    cuts
}

#[test]
fn every_command_of_every_scheme_is_before_or_after() {
    let mut cuts = BTreeMap::new();
    for profile in Profile::ALL {
        for mac_errors in [MacErrors::OnFailure, MacErrors::BeforeCheck] {
            let mut profile = *profile;
            profile.mac_errors = mac_errors;
            for (setup, command) in CASES {
                let n = cut_everywhere(profile, setup, command);
                let expected = if applies(&profile, command) { 4 } else { 0 };
                assert!(
                    n >= expected && (n == 0) == (expected == 0),
                    "{} {mac_errors:?}: {setup} / {command}: {n} cuts",
                    profile.name
                );
                *cuts.entry(profile.name).or_insert(0) += n;
            }
        }
    }
    println!("{cuts:?}");
}

/// Everything the card holds.
fn objects(flash: &Flash) -> BTreeMap<ObjectId, Vec<u8>> {
    let mut memory = Memories::mount(flash.clone()).unwrap();
    let mut objects = BTreeMap::new();
    let mut last = None;
    while let Some(object) = memory.next_object(last).unwrap() {
        let mut out = [0; 512];
        objects.insert(object, memory.read(object, 0, &mut out).unwrap().to_vec());
        last = Some(object);
    }
    objects
}

/// Installation and each grouping of each scheme, cut; whatever is left, the card can be issued anew.
#[test]
fn issuing_is_before_or_after_and_can_be_done_again() {
    for profile in Profile::ALL {
        let paper = Paper::new(*profile, 0);
        let band = |flash: Flash| {
            let mut band = Band::blank(Memories::mount(flash).unwrap(), modules(*profile), kept_entries());
            band.ok("00A4040008A00000015100000000");
            band
        };
        let groupings = paper
            .groupings()
            .into_iter()
            .map(|(dgi, value)| format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(&value)));
        let commands: Vec<String> = core::iter::once("80E60000".to_owned()).chain(groupings).collect();
        let mut flash = Memories::format(Flash::erased()).unwrap().into_flash();
        let mut finished = flash.clone();
        for command in &commands {
            let mut band = band(finished);
            band.ok(command);
            finished = band.remove().into_flash();
        }
        let issued = objects(&finished);
        // The last installation goes over the issued card.
        for command in commands.iter().chain(&commands[..1]) {
            let before = objects(&flash);
            let mut whole = band(flash.clone());
            whole.ok(command);
            let next = whole.remove().into_flash();
            let after = objects(&next);
            let mut cuts = 0;
            for cut in Cut::ALL {
                for n in 0.. {
                    let mut torn = band(flash.clone());
                    torn.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
                    let answer = torn.send(&huiwan_testkit::hex(command));
                    if !torn.memory().flash().is_dead() {
                        break;
                    }
                    cuts += 1;
                    assert_eq!(answer, [0x65, 0x81]);
                    let mut left = torn.remove().into_flash();
                    left.power_on();
                    let found = objects(&left);
                    assert!(found == before || found == after, "{}: {command}", profile.name);
                    let mut again = band(left);
                    for command in &commands {
                        again.memory().collect().unwrap();
                        again.ok(command);
                    }
                    assert_eq!(objects(&again.remove().into_flash()), issued, "issued anew");
                }
            }
            assert!(cuts >= 4 || before == after, "{}: {command}: {cuts} cuts", profile.name);
            flash = next;
        }
    }
}
