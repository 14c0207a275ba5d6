//! A card of any scheme against the same card on paper, over random days: every answer byte for byte, every cut before or
//! after, and the books balance. See `world/script.rs` for what a failing day is printed as.

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

use huiwan_card::Cut;
use huiwan_purse::profile::Profile;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use world::paper::{Account, Paper};
use world::script::{How, Script, Step, Verb, World};

fn step() -> impl Strategy<Value = Step> {
    use Verb::*;
    let verb = prop_oneof![
        60 => proptest::sample::select(&[Load, Unload, Buy, Cash, Composite, Limit][..]),
        24 => proptest::sample::select(&[GreyLock, GreyLock, GreyPay, GreyPay, GreyHost, GreyHost, GreyHost, GreyTake][..]),
        16 => proptest::sample::select(&[Open, Stray, Code][..]),
        12 => proptest::sample::select(&[Verify, ChangePin, ReloadPin, UnblockPin][..]),
        8 => proptest::sample::select(&[Block, Unblock, Unblock, Unblock][..]),
        6 => proptest::sample::select(&[UpdateInfo, UpdateRecord, AppendRecord][..]),
        1 => proptest::sample::select(&[BlockForever, BlockCard][..]),
        5 => Just(Retap),
        3 => Just(Idle),
    ];
    let how = prop_oneof![
        15 => Just(How::Answered),
        1 => Just(How::Lost),
        5 => (prop_oneof![3 => 0_u32..3, 1 => 0_u32..16], proptest::sample::select(&Cut::ALL[..])).prop_map(|(n, cut)| How::Cut(n, cut)),
    ];
    let amount = prop_oneof![8 => 0_u32..3000, 1 => 0_u32..120_000];
    (verb, 1_u8..3, amount, proptest::bool::weighted(0.15), how)
        .prop_map(|(verb, account, amount, wrong, how)| Step::new(verb, account, amount, wrong, how))
}

/// Any day of any card, of at most `len` steps.
fn script(len: usize) -> impl Strategy<Value = Script> {
    (0..Profile::ALL.len(), 0_u64..8, proptest::collection::vec(step(), 1..len))
        .prop_map(|(profile, seed, steps)| Script { profile, seed, steps })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    /// Shrinks to a script that `a_script_is_replayed` takes.
    #[test]
    fn every_day_balances(day in script(30)) {
        World::run(&day);
    }

    #[test]
    fn a_script_prints_as_it_is_read(day in script(8)) {
        prop_assert_eq!(format!("{day:?}").parse::<Script>().unwrap(), day);
    }
}

/// Every command of every scheme in turn, with other keys, amounts, terminals and dates each time; after each, the card tells
/// what is on paper. Which types a scheme has stands here a second time.
#[test]
fn every_command_of_every_scheme() {
    const STEPS: &str = "load ed 700 / load ep 800 / unload ed 5 / unload ep 6 / buy ed 7 / buy ep 8 / cash ed 9
        / composite ep 0 / composite ep 10 / composite ep 11 / limit ed 4000 / limit ep 5000 / limit ed 3000
        / grey-lock ed / buy ep 1 / load ep 1 / limit ed 1 / grey-pay ep 12 / grey-take / grey-take
        / grey-lock ep / grey-host ep 13 / grey-lock ep / grey-pay ep 0 / grey-take / code / buy ep 14 / code / composite ep 15
        / change-pin 7 / reload-pin 8 / update-info 9 / update-record 10 / append-record 11 / block / buy ep 1 / unblock / buy ep 1";
    let types: [(Profile, &[u8]); 6] = [
        (Profile::JTT_978, &[2, 6, 7, 9]),
        (Profile::PBOC, &[1, 2, 3, 4, 5, 6, 7, 9]),
        (Profile::CJT_166, &[2, 3, 6, 9]),
        (Profile::ETC, &[2, 6, 9]),
        (Profile::CJT_304, &[2, 3, 6, 9, 0x91, 0x93, 0x95]),
        (Profile::FUEL, &[1, 2, 3, 4, 5, 6, 7, 9, 0x91, 0x93, 0x95]),
    ];
    assert_eq!(types.map(|(profile, _)| profile), Profile::ALL);
    for (profile, types) in types {
        for seed in 0..64 {
            let mut world = World::new(profile, seed);
            for step in STEPS.split('/') {
                world.step(&step.parse().unwrap());
                world.read_out();
                world.tap();
            }
            world.audit();
            assert_eq!(world.done.keys().copied().collect::<Vec<_>>(), types, "{}", profile.name);
        }
    }
}

/// The days reach what they are meant to reach: every type on every scheme, cuts, and every lock.
#[test]
fn the_days_are_full() {
    let mut runner = TestRunner::deterministic();
    let (mut done, mut locks, mut cuts, mut erases) = (BTreeMap::<_, u32>::new(), [0; 4], 0, 0);
    for _ in 0..2000 {
        let day = script(30).new_tree(&mut runner).unwrap().current();
        let mut world = World::run(&day);
        for (tti, n) in &world.done {
            *done.entry((day.profile, *tti)).or_default() += n;
        }
        locks[usize::from(world.paper().lock())] += 1;
        cuts += world.cuts;
        erases += world.erases();
    }
    assert_eq!(done.len(), 4 + 8 + 4 + 3 + 7 + 11, "{done:?}");
    assert!(done.values().all(|n| *n >= 5), "{done:?}");
    assert!(cuts > 1000 && erases > 1000, "{cuts} cuts, {erases} erases");
    assert!(locks.iter().enumerate().all(|(lock, n)| lock == 1 || *n > 20), "{locks:?}");
}

/// What a failing day prints is put here.
#[test]
fn a_script_is_replayed() {
    let day = "
        card 6 3
        load ep 900 lost
        grey-lock ep cut 0 random
        grey-lock ep
        buy ep 100
        grey-pay ep 250 cut 0 after
        grey-pay ep 250 lost
        grey-take
        composite ep 11 cut 1 prefix
        composite ep 11
        buy ep 3 wrong
        buy ep 3 wrong
        buy ep 3 wrong
        unblock
        unload ep 5
        idle
        block-card
    ";
    let world = World::run(&day.parse().unwrap());
    assert_eq!(world.paper().lock(), 3);
    assert_eq!(world.done, BTreeMap::from([(2, 1), (3, 1), (9, 1), (0x91, 1), (0x93, 1)]));
}

/// Everything that begins a transaction and can be done with a card of some scheme.
const BEGINNINGS: [&str; 12] = [
    "buy ep 1",
    "buy ed 1",
    "cash ed 1",
    "composite ep 1",
    "grey-lock ep",
    "grey-lock ed",
    "load ep 1",
    "load ed 1",
    "unload ep 1",
    "unload ed 1",
    "limit ep 9",
    "limit ed 9",
];

/// A card whose accounts are as told.
fn with(profile: Profile, change: impl Fn(&mut Account)) -> World {
    let mut paper = Paper::new(profile, 0);
    paper.durable.accounts.values_mut().for_each(change);
    World::of(paper)
}

/// Each counter at its last value but one: a transaction of each kind goes, the next is refused at its beginning.
#[test]
fn counters_at_their_end_answer_9402() {
    let mut kinds = Vec::new();
    for profile in Profile::ALL {
        let mut kind = 0;
        for step in BEGINNINGS {
            let mut world = with(*profile, |a| (a.online, a.offline) = (0xFFFE, 0xFFFE));
            let step: Step = step.parse().unwrap();
            world.step(&step);
            if world.done.is_empty() {
                assert_ne!(world.refused, Some(0x9402), "{} {step}", profile.name);
                continue;
            }
            world.step(&Step::new(Verb::GreyPay, step.account, 1, false, How::Answered));
            world.step(&step);
            assert_eq!(world.refused, Some(0x9402), "{} {step}", profile.name);
            world.audit();
            kind += 1;
        }
        kinds.push(kind);
    }
    assert_eq!(kinds, [4, 9, 4, 3, 5, 11]);
}

/// To the fen: what is there can be spent, what fits can be loaded, and one fen more is 9401 and 6985.
#[test]
fn balances_end_to_the_fen() {
    for profile in Profile::ALL {
        for step in BEGINNINGS {
            let step: Step = step.parse().unwrap();
            if matches!(step.verb, Verb::Limit | Verb::GreyLock) {
                continue;
            }
            let load = step.verb == Verb::Load;
            for (more, refused) in [(1, if load { 0x6985 } else { 0x9401 }), (0, 0)] {
                let mut world = with(*profile, |a| (a.balance, a.limit) = (40_000, 0));
                let amount = if load { 60_000 } else { 40_000 } + more;
                world.step(&Step { amount, ..step });
                let missing = [Some(0x6A86), Some(0x6982)].contains(&world.refused);
                assert!(missing || world.refused.unwrap_or(0) == refused, "{} {step}", profile.name);
                assert_eq!(world.done.len(), usize::from(!missing && more == 0), "{} {step}", profile.name);
                world.audit();
            }
        }
    }
}

/// A key index the card does not have is 9403, whatever is begun.
#[test]
fn unknown_key_indexes_answer_9403() {
    for profile in Profile::ALL {
        for (command, has) in [
            ("805000010B0200000001000000000001 10", profile.ed),
            ("805000020B0200000001000000000001 10", profile.ep),
            ("805001010B0200000001000000000001 0F", profile.ed),
            ("805001020B0200000001000000000001 0F", profile.ep),
            ("805002010B0200000001000000000001 0F", profile.ed),
            ("805003020B0200000001000000000001 0F", profile.ep),
            ("805004010702000000000001 13", profile.ed),
            ("805005010B0200000001000000000001 10", profile.ed),
            ("805005020B0200000001000000000001 10", profile.ep_unload),
            ("E07A08010702000000000001 0F", profile.grey_lock.is_some() && profile.ed),
            ("E07A08020702000000000001 0F", profile.grey_lock.is_some()),
        ] {
            let mut world = World::new(*profile, 0);
            let answer = world.send(&huiwan_testkit::hex(command));
            assert_eq!(answer == [0x94, 0x03], has, "{} {command}", profile.name);
        }
    }
}
