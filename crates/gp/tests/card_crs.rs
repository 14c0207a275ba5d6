//! The contactless registry service: transcripts, every status word, conflicts, listeners, and power lost at every commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod crs;
mod support;

use std::collections::BTreeMap;

use crs::*;
use huiwan_card::Interface;
use huiwan_gp::card::{CardProfile, Conflicts, Factory};
use huiwan_gp::crs::status::Search;
use huiwan_gp::crs::{AID, Failed, entries};
use huiwan_gp::host::crs::{Input, Step, Wallet as WalletEngine, Wish};
use huiwan_gp::host::{Fault, FaultKind, Outcome, Stage};
use huiwan_gp::install::{Fields, Interaction, Parameters};
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_testkit::hex;
use proptest::prelude::*;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const REPLACING: CardProfile = CardProfile::DEFAULT.with_conflicts(Conflicts::Replace);

/// Contactless state of each wallet card that GET STATUS finds.
fn states(card: &mut CrsCard<'_>) -> BTreeMap<u8, Option<ContactlessState>> {
    let (mut p2, mut found) = ("00", BTreeMap::new());
    loop {
        let (data, sw) = ask(card, &hex(&format!("80F240{p2}074F05F0CA4D000000")));
        found.extend(
            entries(&data).map(|entry| entry.unwrap()).map(|entry| (entry.aid[5], entry.contactless)),
        );
        match sw {
            0x6310 => p2 = "01",
            _ => {
                assert_eq!(sw, 0x9000);
                return found;
            }
        }
    }
}

fn observed(card: &mut CrsCard<'_>, profile: &CardProfile) -> Vec<u8> {
    ppse(profile, card.element.memory_mut())
}

/// Three bank cards, the second and third excluded by the first.
fn rivals<T>(profile: &CardProfile, f: impl FnOnce(&mut CrsCard<'_>) -> T) -> (MapMemory, T) {
    with_crs(profile, |card| {
        let mut buffer = [0; 40];
        let restricted = Some(aids(&[2, 3], &mut buffer));
        let interaction = Interaction { restricted, ..Interaction::NONE };
        add(card, 1, &Wallet { priority: Some(1), interaction, ..Wallet::default() });
        add(card, 2, &Wallet { active: true, priority: Some(2), ..Wallet::default() });
        add(card, 3, &Wallet { priority: Some(3), ..Wallet::default() });
        f(card)
    })
}

#[test]
fn what_goes_over_the_wire() {
    with_crs(&PROFILE, |card| {
        // The installation of the service itself was the first change.
        assert_eq!(
            card.send(&select(AID.as_bytes())),
            hex("6F168409A00000015143525300A5099F08020100800200019000")
        );
        assert_eq!(card.send(&hex("80CA00A500")), hex("A5099F08020100800200019000"));
        let interaction = Interaction { family: Some(&[0x20]), display: Some(&[0x01]), ..Interaction::NONE };
        let a6 = hex("BF0C0B6109500442616E6B870103");
        let interaction = Interaction { discretionary: Some(&a6), ..interaction };
        add(card, 1, &Wallet { interaction, ..Wallet::default() });
        assert_eq!(card.send(&hex("80F240000A4F08F0CA4D0000000100")[..]), hex("6A88"), "no such name");
        assert_eq!(
            card.send(&hex("80F24000084F06F0CA4D00000100")),
            hex("61274F06F0CA4D0000019F7002070080020001870120880101A60EBF0C0B6109500442616E6B8701039000")
        );
        // Only what the list names, besides AID and states.
        assert_eq!(
            card.send(&hex("80F240000B4F06F0CA4D0000015C018700")),
            hex("61104F06F0CA4D0000019F700207008701209000")
        );
        assert_eq!(card.send(&hex("80F00101084F06F0CA4D00000100")), hex("9000"));
        assert_eq!(
            card.send(&hex("80F240000F4F06F0CA4D0000015C059F7080818700")),
            hex("61144F06F0CA4D0000019F70020701800200028701209000")
        );
        assert_eq!(card.send(&hex("80F00201084F06F0CA4D00000100")), hex("9000"));
        assert_eq!(
            card.send(&hex("80F240000B4F06F0CA4D0000015C018100")),
            hex("61104F06F0CA4D0000019F700207018101019000")
        );
        // One that is there, one that is not.
        assert_eq!(
            card.send(&hex("80F00100104F06F0CA4D0000014F06F0CA4D00000900")),
            hex("A1084F06F0CA4D0000096320")
        );
        assert_eq!(states(card)[&1], Some(ContactlessState::Deactivated));
        assert_eq!(card.send(&hex("80F004000380014000")), hex("9000"));
        assert_eq!(card.send(&hex("80F004800380014000")), hex("9000"));
        // Installed, activated, placed, deactivated, off, on.
        assert_eq!(card.send(&hex("80CA00A500")), hex("A5099F08020100800200079000"));
    });
}

#[test]
fn every_status_word() {
    with_crs(&PROFILE, |card| {
        add(card, 1, &Wallet::default());
        let cases = [
            ("an interindustry class", "00F24000024F0000", 0x6E00),
            ("an unknown instruction", "80E4000000", 0x6D00),
            ("other data", "80CA006600", 0x6A86),
            ("another scope", "80F28000024F0000", 0x6A86),
            ("P2 with a bit too many", "80F24002024F0000", 0x6A86),
            ("next without first", "80F24001024F0000", 0x6985),
            ("no data", "80F2400000", 0x6A80),
            ("no name", "80F24000035C014F00", 0x6A80),
            ("two names", "80F24000044F004F0000", 0x6A80),
            ("a wrapped name", "80F240000461024F0000", 0x6A80),
            ("an unreadable tag list", "80F24000054F005C019F00", 0x6A80),
            ("nobody", "80F24000084F06F0CA4D00000700", 0x6A88),
            ("nobody with that", "80F240000B4F06F0CA4D0000015C018700", 0x6A88),
            ("nobody of that family", "80F24000054F0087012000", 0x6A88),
            ("not activatable is not for the wearer to say", "80F00180084F06F0CA4D00000100", 0x6A86),
            ("no such state", "80F00102084F06F0CA4D00000100", 0x6A86),
            ("no such place", "80F00203084F06F0CA4D00000100", 0x6A86),
            ("no such function", "80F008010380018000", 0x6A86),
            ("nobody named", "80F0010100", 0x6A80),
            ("half a name", "80F00101034F05A100", 0x6A80),
            ("a name in a template", "80F001010A61084F06F0CA4D00000100", 0x6A80),
            ("an empty name", "80F00101024F0000", 0x6A80),
            ("no names for a place", "80F0020100", 0x6A80),
            ("names for taking back", "80F00282084F06F0CA4D00000100", 0x6A80),
            ("the contacts", "80F004000380018000", 0x6A80),
            ("no interface", "80F0040000", 0x6A80),
        ];
        for (what, command, sw) in cases {
            assert_eq!(ask(card, &hex(command)), (vec![], sw), "{what}");
        }
        assert_eq!(updates(card), 2, "nothing of this changed anything");
    });
    // Without the privilege, and over the antenna.
    for (profile, privileges, interface, sw) in [
        (PROFILE, [0, 0, 0x00], Interface::Contact, 0x6985),
        (PROFILE, [0, 0, 0x20], Interface::Contact, 0x9000),
        (PROFILE, [0, 0, 0x20], Interface::Internal, 0x9000),
        (PROFILE, [0, 0, 0x20], Interface::Contactless, 0x6985),
        (PROFILE.with_crs_over_antenna(true), [0, 0, 0x20], Interface::Contactless, 0x9000),
    ] {
        over(&profile, new_memory(&Factory::TEST), |card| {
            let mut session = issuer(card);
            assert_eq!(run(card, &mut session, &install_crs(privileges)).1, 0x9000);
            card.power_on_at(interface);
            assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
            assert_eq!(card.sw(&hex("80F004800380014000")), sw, "{interface:?}");
            assert_eq!(card.sw(&hex("80F24000024F0000")), 0x9000, "reading is free");
        });
    }
}

#[test]
fn pages_hold_whole_entries() {
    with_crs(&PROFILE.with_instances(40), |card| {
        for n in 1..=30 {
            add(card, n, &Wallet { active: n % 2 == 0, ..Wallet::default() });
        }
        let (mut p2, mut found, mut pages) = ("00", Vec::new(), 0);
        loop {
            let (data, sw) = ask(card, &hex(&format!("80F240{p2}024F0000")));
            pages += 1;
            assert!(data.len() <= 256);
            found.extend(entries(&data).map(|entry| entry.unwrap().aid.to_vec()));
            if sw == 0x9000 {
                break;
            }
            assert_eq!(sw, 0x6310);
            p2 = "01";
        }
        assert!(pages > 1);
        let mut expected = vec![AID.as_bytes().to_vec()];
        expected.extend((1..=30).map(|n| card_aid(n).to_vec()));
        assert_eq!(found, expected);
        assert_eq!(card.sw(&hex("80F24001024F0000")), 0x6985, "the list has ended");
        assert_eq!(card.sw(&hex("80F24000024F0000")), 0x6310);
        assert_eq!(card.sw(&hex("80CA00A500")), 0x9000);
        assert_eq!(card.sw(&hex("80F24001024F0000")), 0x6985, "another command ended the list");
        // Criteria count together.
        let search =
            Search { prefix: &[0xF0, 0xCA], state: Some(ContactlessState::Activated), ..Search::ALL };
        let mut buffer = [0; 40];
        let (data, _) = ask(card, &apdu([0x80, 0xF2, 0x40, 0x00], search.write(&mut buffer).unwrap()));
        assert!(entries(&data).all(|entry| entry.unwrap().aid[5] % 2 == 0));
    });
}

#[test]
fn more_than_one_commit_holds_is_refused_whole() {
    with_crs(&PROFILE.with_instances(40), |card| {
        for n in 1..=17 {
            add(card, n, &Wallet::default());
        }
        let (all, before) = ((1..=17).collect::<Vec<u8>>(), updates(card));
        assert_eq!(ask(card, &set(0x01, 0x01, &all)), (vec![], 0x6A84));
        assert_eq!(updates(card), before);
        assert!(states(card).values().all(|state| *state == Some(ContactlessState::Deactivated)));
        let commits = card.element.memory().commits;
        assert_eq!(card.sw(&set(0x01, 0x01, &all[..16])), 0x9000);
        // One for the sixteen, and one for each that keeps what it is told.
        assert_eq!(card.element.memory().commits, commits + 1 + 16);
        assert_eq!(updates(card), before + 16);
        assert_eq!(
            states(card).values().filter(|state| **state == Some(ContactlessState::Activated)).count(),
            16
        );
    });
}

#[test]
fn the_wallet_follows_the_wearer() {
    with_crs(&PROFILE, |card| {
        add(card, 1, &Wallet { active: true, priority: Some(2), ..Wallet::default() });
        add(card, 2, &Wallet { active: true, priority: Some(1), ..Wallet::default() });
        add(card, 3, &Wallet { priority: Some(3), ..Wallet::default() });
        // A transit card has no priority and no entry, active or not.
        add(card, 4, &Wallet { active: true, ..Wallet::default() });
        assert_eq!(observed(card, &PROFILE), [2, 1]);
        assert_eq!(card.sw(&set(0x01, 0x01, &[3])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [2, 1, 3]);
        assert_eq!(card.sw(&set(0x02, 0x01, &[3])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [3, 2, 1]);
        assert_eq!(card.sw(&set(0x02, 0x01, &[1, 2])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1, 2, 3]);
        assert_eq!(card.sw(&set(0x02, 0x81, &[1])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [2, 3, 1]);
        assert_eq!(card.sw(&set(0x02, 0x02, &[3])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [3, 2, 1]);
        card.power_on_at(Interface::Contactless);
        assert_eq!(observed(card, &PROFILE), [3, 2, 1], "the choice is made in another session than the tap");
        card.power_on();
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(card.sw(&hex("80F0028200")), 0x9000);
        assert_eq!(observed(card, &PROFILE), [2, 3, 1]);
        assert_eq!(card.sw(&set(0x01, 0x00, &[2])), 0x9000);
        assert_eq!(observed(card, &PROFILE), [3, 1]);
        assert_eq!(manage(card, &lock(3, true)), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
        assert_eq!(ask(card, &set(0x01, 0x01, &[3])), (hex("A1084F06F0CA4D000003"), 0x6320), "locked");
        // Unlocked, it comes back as it was installed: 1 active, 3 not.
        assert_eq!(manage(card, &lock(3, false)), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
        assert_eq!(manage(card, &lock(1, true)), 0x9000);
        assert_eq!(observed(card, &PROFILE), []);
        assert_eq!(manage(card, &lock(1, false)), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
        assert_eq!(manage(card, &delete(1)), 0x9000);
        assert_eq!(observed(card, &PROFILE), []);
        // Whoever gets its number does not get its place.
        assert_eq!(card.sw(&set(0x01, 0x01, &[2, 3])), 0x9000);
        add(card, 5, &Wallet { active: true, priority: Some(1), ..Wallet::default() });
        assert_eq!(observed(card, &PROFILE), [2, 3, 5]);
    });
}

#[test]
fn partial_names_go_by_the_order_of_selection() {
    with_crs(&PROFILE, |card| {
        for n in 1..=3 {
            add(card, n, &Wallet { active: true, ..Wallet::default() });
        }
        assert_eq!(card.sw(&set(0x02, 0x01, &[3, 1])), 0x9000);
        card.power_on_at(Interface::Contactless);
        let prefix = &card_aid(0)[..5];
        let mut seen = Vec::new();
        let mut command = select(prefix);
        loop {
            if card.sw(&command) != 0x9000 {
                break;
            }
            seen.push(card.element.selected(0).unwrap().0);
            command[3] = 0x02;
        }
        // The service is instance 1.
        assert_eq!(seen, [4, 2, 3]);
    });
}

#[test]
fn nothing_answers_on_an_antenna_that_is_off() {
    let (memory, ()) = with_crs(&PROFILE, |card| {
        add(card, 1, &Wallet { active: true, priority: Some(1), ..Wallet::default() });
        assert_eq!(card.sw(&hex("80F004000380014000")), 0x9000);
        assert_eq!(observed(card, &PROFILE), []);
    });
    over(&PROFILE, memory, |card| {
        card.power_on_at(Interface::Contactless);
        for name in [&card_aid(1)[..], &ISSUER, AID.as_bytes(), &[]] {
            assert_eq!(card.sw(&select(name)), 0x6A82);
        }
        for interface in [Interface::Contact, Interface::Internal] {
            card.power_on_at(interface);
            assert_eq!(card.sw(&select(&card_aid(1))), 0x9000);
        }
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(card.sw(&hex("80F004800380014000")), 0x9000);
        card.power_on_at(Interface::Contactless);
        assert_eq!(card.sw(&select(&card_aid(1))), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
    });
}

#[test]
fn rivals_are_refused_and_named() {
    rivals(&PROFILE, |card| {
        let (data, sw) = ask(card, &set(0x01, 0x01, &[1]));
        assert_eq!(sw, 0x6320);
        assert_eq!(data, hex("A1084F06F0CA4D000001A2084F06F0CA4D000002"));
        let failed = Failed::parse(&data).unwrap();
        assert_eq!(failed.failed().collect::<Vec<_>>(), [card_aid(1)]);
        assert_eq!(failed.conflicting().collect::<Vec<_>>(), [card_aid(2)]);
        assert_eq!(observed(card, &PROFILE), [2]);
        // Those that do not exclude each other go together; whose list it is does not matter.
        assert_eq!(card.sw(&set(0x01, 0x01, &[3])), 0x9000);
        assert_eq!(card.sw(&set(0x01, 0x00, &[2, 3])), 0x9000);
        let (data, sw) = ask(card, &set(0x01, 0x01, &[1, 2]));
        assert_eq!((data, sw), (hex("A1084F06F0CA4D000002A2084F06F0CA4D000001"), 0x6320));
        assert_eq!(observed(card, &PROFILE), [1]);
        // The card itself takes nobody's place: not at installation, not when unlocked.
        let mut buffer = [0; 20];
        let restricted = Some(aids(&[1], &mut buffer));
        let interaction = Interaction { restricted, ..Interaction::NONE };
        add(card, 4, &Wallet { active: true, priority: Some(4), interaction, ..Wallet::default() });
        assert_eq!(observed(card, &PROFILE), [1]);
        assert_eq!(manage(card, &lock(2, true)), 0x9000);
        assert_eq!(manage(card, &lock(2, false)), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
    });
}

#[test]
fn rivals_are_replaced_in_one_commit() {
    let (memory, ()) = rivals(&REPLACING, |card| {
        assert_eq!(card.sw(&set(0x01, 0x01, &[3])), 0x9000);
        assert_eq!(observed(card, &REPLACING), [2, 3]);
    });
    let (mut memory, ()) = over(&REPLACING, memory, |card| {
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        let before = card.element.memory().commits;
        assert_eq!(card.sw(&set(0x01, 0x01, &[1])), 0x9000);
        // Its own, and what the three cards keep of what they are told.
        assert_eq!(card.element.memory().commits, before + 4);
        assert_eq!(observed(card, &REPLACING), [1]);
        // Within one command the first stays.
        let (data, sw) = ask(card, &set(0x01, 0x01, &[2, 1]));
        assert_eq!((data, sw), (hex("A1084F06F0CA4D000001A2084F06F0CA4D000002"), 0x6320));
    });
    assert_eq!(ppse(&REPLACING, &mut memory), [2]);
}

/// Cuts `command` at each commit; the wallet is as before or as after, and so is the counter, and both together.
fn cut_everywhere(profile: &CardProfile, memory: &MapMemory, command: &[u8]) {
    let whole = |memory: MapMemory| {
        over(profile, memory, |card| {
            assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
            (states(card), observed(card, profile), updates(card))
        })
    };
    let (_, before) = whole(memory.clone());
    let (done, commits) = over(profile, memory.clone(), |card| {
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        card.element.memory_mut().commits = 0;
        let _ = card.sw(command);
        card.element.memory().commits
    });
    let (_, after) = whole(done);
    assert_ne!(before.2, after.2, "the command changes something");
    for (cut, done_before_cut) in (0..commits).flat_map(|cut| [(cut, false), (cut, true)]) {
        let (mut torn, ()) = over(profile, memory.clone(), |card| {
            assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
            let memory = card.element.memory_mut();
            (memory.commits, memory.cut, memory.done_before_cut) = (0, Some(cut), done_before_cut);
            let _ = card.sw(command);
        });
        torn.cut = None;
        let (_, found) = whole(torn);
        let expected = if cut == 0 && !done_before_cut { &before } else { &after };
        assert_eq!(&found, expected, "cut at commit {cut}, done: {done_before_cut}");
    }
}

#[test]
fn a_torn_change_happened_or_did_not() {
    let (memory, ()) = rivals(&REPLACING, |card| {
        assert_eq!(card.sw(&set(0x02, 0x01, &[2])), 0x9000);
        assert_eq!(card.sw(&set(0x02, 0x02, &[3])), 0x9000);
    });
    for command in [
        set(0x01, 0x01, &[1]),
        set(0x01, 0x01, &[3]),
        set(0x01, 0x00, &[1, 2, 3]),
        set(0x02, 0x01, &[3, 1]),
        set(0x02, 0x81, &[2]),
        set(0x02, 0x02, &[1]),
        hex("80F0028200"),
        hex("80F004000380014000"),
    ] {
        cut_everywhere(&REPLACING, &memory, &command);
    }
}

#[test]
fn a_torn_installation_or_deletion_has_its_parameters_or_not() {
    let (memory, ()) = rivals(&PROFILE, |_| ());
    let family = Interaction { family: Some(&[0x20]), ..Interaction::NONE };
    let wallet = Wallet { active: true, priority: Some(4), interaction: family, ..Wallet::default() };
    for command in [install_card(0x0C, 4, &wallet), delete(2)] {
        for cut in 0.. {
            for done_before_cut in [false, true] {
                let (mut torn, left) = over(&PROFILE, memory.clone(), |card| {
                    let mut session = issuer(card);
                    let memory = card.element.memory_mut();
                    (memory.commits, memory.cut, memory.done_before_cut) = (0, Some(cut), done_before_cut);
                    let mut wire = [0; 300];
                    let command = huiwan_apdu::Command::parse(&command).unwrap();
                    let sent = session.wrap(&command, &mut wire).unwrap().to_vec();
                    let _ = card.send(&sent);
                    card.element.memory().commits <= cut
                });
                torn.cut = None;
                let (torn, ()) = over(&PROFILE, torn, |card| {
                    assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
                    let states = states(card);
                    let found = ask(card, &hex("80F24000054F0087012000"));
                    assert_eq!(states.contains_key(&4), found.1 == 0x9000, "installed with its family");
                    assert_eq!(states.contains_key(&4), observed(card, &PROFILE).contains(&4));
                    assert_eq!(states.contains_key(&2), observed(card, &PROFILE).contains(&2));
                });
                for n in 1..=16_u8 {
                    let entry = torn.objects.contains_key(&(0, 0x0100 | u16::from(n)));
                    let parameters = torn.objects.contains_key(&(0, 0x0700 | u16::from(n)));
                    assert!(entry || !parameters, "parameters without an entry");
                }
                if left {
                    break;
                }
            }
            if cut > 12 {
                break;
            }
        }
    }
}

#[test]
fn listeners_hear_what_became_of_it() {
    let (memory, ()) = with_crs(&PROFILE, |card| {
        add(card, 9, &Wallet::default());
        assert_eq!(heard(card, 9), [(0x12, 9)]);
        let mut buffer = [0; 20];
        let interaction = Interaction { listeners: aids(&[9, 9], &mut buffer), ..Interaction::NONE };
        add(card, 1, &Wallet { active: true, interaction, ..Wallet::default() });
        assert_eq!(heard(card, 9)[..], [(0x0E, 1), (0x12, 1), (0x02, 1)][..]);
        assert_eq!(heard(card, 1), [(0x12, 1), (0x02, 1)], "the application hears it, too");
        assert_eq!(card.sw(&set(0x01, 0x00, &[1, 9])), 0x9000);
        assert_eq!(heard(card, 9), [(0x82, 1)], "what is so already is no event");
        assert_eq!(card.sw(&set(0x01, 0x01, &[1])), 0x9000);
        assert_eq!(manage(card, &lock(1, true)), 0x9000);
        assert_eq!(manage(card, &lock(1, false)), 0x9000);
        let events = [(0x02, 1), (0x13, 1), (0x82, 1), (0x93, 1), (0x02, 1)];
        assert_eq!(heard(card, 9), events);
        assert_eq!(heard(card, 1), [&[(0x82, 1)][..], &events].concat());
    });
    // A listener without memory or power changes nothing.
    let (mut torn, ()) = over(&PROFILE, memory.clone(), |card| {
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        let memory = card.element.memory_mut();
        (memory.commits, memory.cut) = (0, Some(1));
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x9000);
    });
    torn.cut = None;
    over(&PROFILE, torn, |card| {
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(states(card)[&1], Some(ContactlessState::Deactivated));
        assert_eq!(heard(card, 9), [], "but the counter tells that there was something");
    });
    over(&PROFILE, memory, |card| {
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        // Off the list, then no more of it; and the last thing.
        let update = |interaction: Interaction<'_>| {
            let (mut buffer, mut written) = ([0; 100], [0; 90]);
            let user_interaction = interaction.write(&mut written).unwrap();
            let parameters = Parameters { user_interaction, ..Parameters::default() };
            let fields = Fields {
                instance: &card_aid(1),
                parameters: parameters.write(&mut buffer).unwrap(),
                ..Fields::default()
            };
            install(0x40, 0, &fields)
        };
        let mut buffer = [0; 20];
        let list = aids(&[9], &mut buffer);
        assert_eq!(
            manage(card, &update(Interaction { listeners_removed: list, ..Interaction::NONE })),
            0x9000
        );
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x9000);
        assert_eq!(heard(card, 9), [(0x8E, 1)]);
        let family = Some(&[0x20][..]);
        assert_eq!(
            manage(card, &update(Interaction { listeners: list, family, ..Interaction::NONE })),
            0x9000
        );
        assert_eq!(heard(card, 9), [(0x0E, 1), (0x0C, 1)]);
        assert_eq!(manage(card, &delete(1)), 0x9000);
        assert_eq!(heard(card, 9), [(0x14, 1)]);
    });
}

#[test]
fn an_application_changes_itself() {
    with_crs(&PROFILE, |card| {
        let mut buffer = [0; 20];
        let interaction = Interaction { listeners: aids(&[9], &mut buffer), ..Interaction::NONE };
        add(card, 9, &Wallet::default());
        add(card, 1, &Wallet { interaction, ..Wallet::default() });
        add(card, 2, &Wallet { privileges: [0, 0, 0x10], ..Wallet::default() });
        let own = |card: &mut CrsCard<'_>, n: u8, state: u8| {
            assert_eq!(card.sw(&select(&card_aid(n))), 0x9000);
            let answer = ask(card, &[0x80, 0x20, state, 0x00, 0x00]);
            assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
            answer
        };
        assert_eq!(own(card, 1, 0x01), (vec![], 0x6985), "without self-activation");
        assert_eq!(own(card, 2, 0x01), (vec![0x01], 0x9000));
        assert_eq!(own(card, 1, 0x80), (vec![0x80], 0x9000));
        assert_eq!(ask(card, &set(0x01, 0x01, &[1])), (hex("A1084F06F0CA4D000001"), 0x6320));
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x9000);
        assert_eq!(states(card)[&1], Some(ContactlessState::NonActivatable), "deactivated it is by itself");
        assert_eq!(own(card, 1, 0x00), (vec![0x00], 0x9000));
        assert_eq!(card.sw(&set(0x01, 0x01, &[1])), 0x9000);
        let events = heard(card, 9);
        assert_eq!(events[events.len() - 3..], [(0x81, 1), (0x82, 1), (0x02, 1)]);
        let own_events = heard(card, 1);
        assert_eq!(own_events, [(0x12, 1), (0x02, 1)], "its own doing is no news");
        // An installation does not say so for it.
        let mut session = issuer(card);
        let mut fields = install_card(0x0C, 3, &Wallet::default());
        let at = fields.windows(3).position(|three| three == [0x81, 0x01, 0x00]).unwrap();
        fields[at + 2] = 0x80;
        assert_eq!(run(card, &mut session, &fields).1, 0x6A80);
    });
}

#[test]
fn members_follow_their_head() {
    with_crs(&PROFILE, |card| {
        let (mut group, mut head) = ([0; 20], [0; 20]);
        let of_head = Interaction { group: aids(&[2, 3], &mut group), ..Interaction::NONE };
        let of_member = Interaction { head: Some(aids(&[1], &mut head)), ..Interaction::NONE };
        add(card, 1, &Wallet { interaction: of_head, ..Wallet::default() });
        add(card, 2, &Wallet { interaction: of_member, ..Wallet::default() });
        add(card, 3, &Wallet::default());
        add(card, 4, &Wallet { interaction: of_member, ..Wallet::default() });
        let on = Some(ContactlessState::Activated);
        let off = Some(ContactlessState::Deactivated);
        assert_eq!(card.sw(&set(0x01, 0x01, &[1])), 0x9000);
        // 3 did not join, 4 may not.
        assert_eq!(states(card), BTreeMap::from([(1, on), (2, on), (3, off), (4, off)]));
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x9000);
        assert_eq!(states(card), BTreeMap::from([(1, off), (2, off), (3, off), (4, off)]));
    });
}

#[test]
fn an_installed_application_waits_until_it_is_selectable() {
    with_crs(&PROFILE, |card| {
        let mut session = issuer(card);
        let wallet = Wallet { active: true, priority: Some(1), ..Wallet::default() };
        assert_eq!(run(card, &mut session, &install_card(0x04, 1, &wallet)).1, 0x9000);
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(states(card)[&1], Some(ContactlessState::Deactivated));
        assert_eq!(ask(card, &set(0x01, 0x01, &[1])), (hex("A1084F06F0CA4D000001"), 0x6320));
        let selectable = Fields { instance: &card_aid(1), privileges: &[0], ..Fields::default() };
        assert_eq!(manage(card, &install(0x08, 0, &selectable)), 0x9000);
        assert_eq!(observed(card, &PROFILE), [1]);
    });
}

#[test]
fn too_many_parameters_are_refused() {
    with_crs(&PROFILE, |card| {
        let long = [0x55; 200];
        let interaction = Interaction { discretionary: Some(&long[..188]), ..Interaction::NONE };
        let mut session = issuer(card);
        let wallet = |interaction| install_card(0x0C, 1, &Wallet { interaction, ..Wallet::default() });
        assert_eq!(run(card, &mut session, &wallet(interaction)).1, 0x9000, "191 with the tag");
        assert_eq!(run(card, &mut session, &delete(1)).1, 0x9000);
        let interaction = Interaction { discretionary: Some(&long[..190]), ..Interaction::NONE };
        assert_eq!(run(card, &mut session, &wallet(interaction)).1, 0x6A84);
        let _ = issuer(card);
        assert_eq!(card.sw(&select(&card_aid(1))), 0x6A82, "and nothing of it stays");
    });
}

#[test]
fn the_issuer_uses_the_service_over_the_air() {
    with_crs(&PROFILE, |card| {
        add(card, 1, &Wallet::default());
        let mut session = open(card, 0, &test_keys(), huiwan_gp::scp03::Level::All);
        assert_eq!(run(card, &mut session, &set(0x01, 0x01, &[1])), (vec![], 0x9000));
        let (data, sw) = run(card, &mut session, &hex("80F24000084F06F0CA4D00000100"));
        assert_eq!((data, sw), (hex("61114F06F0CA4D0000019F7002070180020002"), 0x9000));
    });
}

/// Drives the host's engine until it is done; what it answered on the way.
fn drive(card: &mut CrsCard<'_>, wish: Wish<'_>, lost_after: Option<usize>) -> (Vec<Vec<u8>>, Outcome) {
    let mut engine = WalletEngine::new(wish);
    let mut out = [0; huiwan_gp::host::manager::OUT_LEN];
    let (mut answers, mut sent) = (Vec::new(), 0);
    let mut response;
    let mut input = Input::Start;
    loop {
        let step = engine.step(input, &mut out).unwrap();
        input = match step {
            Step::Send(command) => {
                if lost_after == Some(sent) {
                    Input::CardLost
                } else {
                    sent += 1;
                    response = card.send(command);
                    Input::Response(&response)
                }
            }
            Step::Answer { data, .. } => {
                answers.push(data.to_vec());
                Input::Continue
            }
            Step::Done(outcome) => return (answers, outcome),
        };
    }
}

#[test]
fn the_band_chooses_its_default_card() {
    for profile in [PROFILE, REPLACING] {
        rivals(&profile, |card| {
            let mut buffer = [0; 40];
            let wish = Wish::Default {
                card: huiwan_apdu::Aid::new(&card_aid(1)).unwrap(),
                instead_of: aids(&[2, 3], &mut buffer),
            };
            assert_eq!(drive(card, wish, None), (vec![], Outcome::Complete));
            assert_eq!(observed(card, &profile), [1]);
            // Again: nothing changes.
            let before = updates(card);
            assert_eq!(drive(card, wish, None), (vec![], Outcome::Complete));
            assert_eq!(updates(card), before);
            let (pages, outcome) = drive(card, Wish::List(Search::ALL), None);
            assert_eq!(outcome, Outcome::Complete);
            assert_eq!(pages.iter().flat_map(|page| entries(page)).count(), 4);
        });
        // Torn after each command, and repaired by the same wish.
        for lost_after in 0..6 {
            rivals(&profile, |card| {
                let mut buffer = [0; 40];
                let wish = Wish::Default {
                    card: huiwan_apdu::Aid::new(&card_aid(1)).unwrap(),
                    instead_of: aids(&[2, 3], &mut buffer),
                };
                let (_, outcome) = drive(card, wish, Some(lost_after));
                let left = observed(card, &profile);
                if profile.conflicts == Conflicts::Replace {
                    assert_eq!(left.len(), 1, "one of them, always");
                }
                if outcome != Outcome::Complete {
                    assert!(matches!(outcome, Outcome::Fault(Fault { kind: FaultKind::CardLost, .. })));
                }
                card.power_on();
                assert_eq!(drive(card, wish, None), (vec![], Outcome::Complete));
                assert_eq!(observed(card, &profile), [1]);
            });
        }
    }
    rivals(&PROFILE, |card| {
        let wish = Wish::Default {
            card: huiwan_apdu::Aid::new(&card_aid(1)).unwrap(),
            instead_of: huiwan_gp::install::Aids::default(),
        };
        let fault =
            Fault { stage: Stage::SetStatus, kind: FaultKind::Status(huiwan_gp::crs::SW_PARTLY_DONE) };
        let (answers, outcome) = drive(card, wish, None);
        assert_eq!(answers, [hex("A1084F06F0CA4D000001A2084F06F0CA4D000002")]);
        assert_eq!(outcome, Outcome::Fault(fault));
        assert_eq!(manage(card, &delete(1)), 0x9000);
        let (pages, _) = drive(card, Wish::List(Search { prefix: &card_aid(1), ..Search::ALL }), None);
        assert!(pages.is_empty());
    });
}

/// What the wallet should be, straight from the rules: cards by number with installed priority, place, state.
#[derive(Debug, Clone, Default)]
struct Model {
    cards: BTreeMap<u8, (ContactlessState, bool)>,
    places: Vec<u8>,
}

const OFF: ContactlessState = ContactlessState::Deactivated;
const ON: ContactlessState = ContactlessState::Activated;

impl Model {
    /// Cards 1 and 2 exclude each other.
    fn activate(&mut self, n: u8, replace: bool) -> bool {
        let rival = match n {
            1 => 2,
            2 => 1,
            _ => 0,
        };
        match self.cards.get(&n) {
            None | Some((_, true)) => return false,
            Some((ContactlessState::Activated, _)) => return true,
            _ => {}
        }
        if let Some((state, _)) = self.cards.get_mut(&rival)
            && *state == ON
        {
            if !replace {
                return false;
            }
            *state = OFF;
        }
        self.cards.get_mut(&n).unwrap().0 = ON;
        true
    }

    fn visible(&self) -> Vec<u8> {
        let mut found: Vec<u8> =
            self.cards.iter().filter(|(_, card)| **card == (ON, false)).map(|(n, _)| *n).collect();
        let rank = |n: &u8| match self.places.iter().position(|placed| placed == n) {
            Some(place) => (0, place),
            None => (1, usize::from(*n)),
        };
        found.sort_by_key(rank);
        found
    }
}

/// A command to the service: any bytes, or names behind any header.
fn any_command() -> impl Strategy<Value = Vec<u8>> {
    let header = (
        prop::sample::select(vec![0x80_u8, 0x81, 0x84, 0x00]),
        prop::sample::select(vec![0xF0_u8, 0xF2, 0xCA, 0xE2]),
    );
    let p1p2 = (
        prop::sample::select(vec![0x01_u8, 0x02, 0x04, 0x40, 0x00]),
        prop::sample::select(vec![0x00_u8, 0x01, 0x02, 0x80, 0x81, 0x82]),
    );
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30),
        prop::collection::vec(1_u8..=4, 0..6).prop_map(|numbers| aids(&numbers, &mut [0; 60]).raw().to_vec()),
        Just(hex("800140")),
        Just(hex("4F005C0187")),
    ];
    (header, p1p2, data).prop_map(|((cla, ins), (p1, p2), data)| apdu([cla, ins, p1, p2], &data))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever is sent, in whatever order and with power cut anywhere: rivals are never active together, everything that changed
    /// is counted, and the answers are those of the service.
    #[test]
    fn any_commands_keep_the_rules(
        commands in prop::collection::vec((any_command(), prop::option::of((0_usize..3, any::<bool>()))), 1..30), replace in any::<bool>(),
    ) {
        let profile = if replace { REPLACING } else { PROFILE };
        let (mut memory, ()) = rivals(&profile, |_| ());
        for (command, cut) in commands {
            let (torn, result) = over(&profile, memory, |card| {
                prop_assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
                let before = (states(card), updates(card));
                let held = card.element.memory_mut();
                held.commits = 0;
                (held.cut, held.done_before_cut) = cut.map_or((None, false), |(cut, done)| (Some(cut), done));
                let (data, sw) = ask(card, &command);
                let known = [0x9000, 0x6310, 0x6320, 0x6581, 0x6982, 0x6985, 0x6A80, 0x6A86, 0x6A88, 0x6D00, 0x6E00, 0x6881, 0x6F00];
                prop_assert!(known.contains(&sw), "{:04X}", sw);
                prop_assert!(data.is_empty() || matches!(sw, 0x9000 | 0x6310 | 0x6320));
                Ok(before)
            });
            let before = result?;
            memory = torn;
            memory.cut = None;
            let (checked, result) = over(&profile, memory, |card| {
                prop_assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
                let after = (states(card), updates(card));
                prop_assert!(before.0 == after.0 || before.1 != after.1, "a change that nobody counted");
                let active = |n| after.0.get(&n) == Some(&Some(ON));
                prop_assert!(!(active(1) && (active(2) || active(3))), "rivals");
                Ok(())
            });
            result?;
            memory = checked;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_wallet_is_what_the_rules_say(
        steps in proptest::collection::vec((0_u8..7, 1_u8..=4), 1..20), replace in any::<bool>(),
    ) {
        let profile = if replace { REPLACING } else { PROFILE };
        let mut model = Model::default();
        with_crs(&profile, |card| {
            for (what, n) in steps {
                let there = model.cards.contains_key(&n);
                match what {
                    0 | 1 => {
                        let done = model.activate(n, replace);
                        prop_assert_eq!(card.sw(&set(0x01, 0x01, &[n])), if done { 0x9000 } else { 0x6320 });
                    }
                    2 => {
                        if let Some((state, _)) = model.cards.get_mut(&n) {
                            *state = OFF;
                        }
                        prop_assert_eq!(card.sw(&set(0x01, 0x00, &[n])), if there { 0x9000 } else { 0x6320 });
                    }
                    3 => {
                        if there {
                            model.places.retain(|placed| *placed != n);
                            model.places.insert(0, n);
                        }
                        prop_assert_eq!(card.sw(&set(0x02, 0x01, &[n])), if there { 0x9000 } else { 0x6320 });
                    }
                    4 => {
                        let sw = match model.cards.get(&n).copied() {
                            None => 0x6A88,
                            Some((_, locked)) => {
                                model.cards.insert(n, (OFF, !locked));
                                // Installed active: unlocked it comes back, unless its rival is there.
                                if locked {
                                    model.activate(n, false);
                                }
                                0x9000
                            }
                        };
                        let locked = model.cards.get(&n).is_some_and(|(_, locked)| *locked);
                        prop_assert_eq!(manage(card, &lock(n, locked)), sw);
                    }
                    5 => {
                        model.places.retain(|placed| *placed != n);
                        let sw = if model.cards.remove(&n).is_some() { 0x9000 } else { 0x6A88 };
                        prop_assert_eq!(manage(card, &delete(n)), sw);
                    }
                    _ if !there => {
                        model.cards.insert(n, (OFF, false));
                        model.activate(n, false);
                        let mut buffer = [0; 20];
                        let restricted = (n == 1).then(|| aids(&[2], &mut buffer));
                        let interaction = Interaction { restricted, ..Interaction::NONE };
                        // Card 2 says nothing of card 1: the rule holds only while card 1 is there, and so is card 2.
                        add(card, n, &Wallet { active: true, priority: Some(n), interaction, ..Wallet::default() });
                    }
                    _ => {}
                }
                prop_assert_eq!(observed(card, &profile), model.visible());
            }
            Ok(())
        }).1?;
    }
}
