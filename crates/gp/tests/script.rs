//! Scripts written ahead of time and played without keys: the card ends as online; what is not due is not begun, what was played
//! is not played again, and what tore is finished by the next script of the window.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::player::{self, End, Player, Report};
use huiwan_gp::host::script::{
    self, Action, Allowed, Plan, Protocol, Script, ScriptCard, ScriptError, Step, Then, WriteError, Writer,
};
use huiwan_gp::host::tsm_job::{self, Goal, JobState, Worker};
use huiwan_gp::host::{
    Coding, Grouping, Install, Job, KeyError, KeyRef, KeyStore, Personalise, PutKeys, SoftKeyStore,
    Transition,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp02;
use huiwan_gp::scp03::Options;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::secure_channel::Level;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::direct(2);
const APP: Aid = Aid::from_array(TOY_AID);
const GOLDEN: &str = include_str!("vectors/script.txt");

type Store = SoftKeyStore<4, 1>;

fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store
}

const LONG: [u8; 400] = [0x5A; 400];
const GROUPINGS: [Grouping<'static>; 3] = [
    Grouping { id: 0x0101, value: b"a record", encrypt: false },
    Grouping { id: 0x8000, value: &[0x77; 32], encrypt: true },
    Grouping { id: 0x0102, value: &LONG, encrypt: false },
];

fn issued() -> Goal<'static> {
    let install = Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: APP,
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", ..Parameters::default() },
        make_selectable: true,
    };
    let personalise = Personalise::new(Some(APP), &GROUPINGS, Coding::GP);
    Goal::Issued { install, personalise }
}

fn counter(n: u8) -> Counter {
    Counter::from_bytes([0, 0, n])
}

fn card(n: u8) -> ScriptCard<'static> {
    ScriptCard {
        aid: PROFILE.issuer_aid,
        key_version: 0x30,
        key: TEST,
        key_diversification: Factory::TEST.key_diversification,
        protocol: Protocol::Scp03 { options: PROFILE.scp03, counter: counter(n) },
    }
}

fn plan<'j>(card: ScriptCard<'j>, probe: Option<Aid>, actions: &'j [Action<'j>]) -> Plan<'j> {
    // A challenge for each counter.
    let Protocol::Scp03 { counter, .. } = card.protocol else { panic!("for SCP03") };
    let [.., last] = counter.to_bytes();
    Plan {
        job: 77,
        card,
        level: Level::All,
        host_challenge: [0xC0 | last; 8].into(),
        probe,
        actions,
        used: &[],
    }
}

fn write(plan: Plan<'_>) -> Vec<u8> {
    let (mut store, mut out) = (store(), [0; 4096]);
    let len = script::write(plan, &mut store, &mut out).unwrap().len();
    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
    out[..len].to_vec()
}

/// The window of a goal from a counter on.
fn window(goal: &Goal<'_>, first: u8, card: fn(u8) -> ScriptCard<'static>) -> Vec<Vec<u8>> {
    let (probe, actions) = script::for_goal(goal);
    (first..first + 4).map(|n| write(plan(card(n), probe, &actions))).collect()
}

fn scripts(window: &[Vec<u8>]) -> Vec<Script<'_>> {
    window.iter().map(|raw| Script::parse(raw).unwrap()).collect()
}

/// How the link breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    /// This command does not arrive.
    Unheard(usize),
    /// This command is carried out, its answer lost.
    Unanswered(usize),
    Never,
}

/// Numbers of entries and their answers.
type Kept = Vec<(u16, Vec<u8>)>;

/// Plays; also the commands that reached the card, and the answers kept.
fn play(memory: MapMemory, player: Player<'_>, at: Break) -> (MapMemory, Report, Vec<Vec<u8>>, Kept) {
    play_on(&PROFILE, memory, player, at)
}

fn play_on(
    profile: &CardProfile,
    memory: MapMemory,
    mut player: Player<'_>,
    at: Break,
) -> (MapMemory, Report, Vec<Vec<u8>>, Kept) {
    let (memory, (report, sent, kept)) = with_card(profile, memory, |card| {
        let (mut out, mut answer, mut sent, mut kept) = ([0; player::OUT_LEN], vec![], vec![], vec![]);
        let mut input = player::Input::Start;
        loop {
            input = match player.step(input, &mut out).unwrap() {
                player::Step::Send(_) if at == Break::Unheard(sent.len()) => player::Input::Lost,
                player::Step::Send(command) => {
                    answer = card.send(command);
                    sent.push(command.to_vec());
                    if at == Break::Unanswered(sent.len() - 1) {
                        player::Input::Lost
                    } else {
                        player::Input::Response(&answer)
                    }
                }
                player::Step::Keep(entry) => {
                    kept.push((entry, answer.clone()));
                    player::Input::Continue
                }
                player::Step::Done(report) => return (report, sent, kept),
            };
        }
    });
    (memory, report, sent, kept)
}

/// Everything but the sequence counters, which count sessions.
fn content(memory: &MapMemory) -> BTreeMap<(u8, u16), Vec<u8>> {
    let mut objects = memory.objects.clone();
    objects.retain(|(instance, id), _| (*instance, id >> 8) != (0, 3));
    objects
}

fn blank() -> MapMemory {
    new_memory(&Factory::TEST)
}

/// The same goals by a worker with the keys at hand.
fn online(memory: MapMemory, goals: &[Goal<'_>]) -> MapMemory {
    let keys = [(0x31, NEW), (0x30, TEST)];
    let plan = tsm_job::Plan { aid: None, keys: &keys, level: Level::All, goals };
    let (memory, ()) = with_card(&PROFILE, memory, |card| {
        let (mut store, mut worker) = (store(), Worker::new(plan, JobState::new(1)));
        let (mut out, mut key_out, mut answer) = ([0; 640], [0; 640], vec![]);
        let mut input = tsm_job::Input::Start([7; 32]);
        loop {
            input = match worker.step(input, &mut out).unwrap() {
                tsm_job::Step::Send(command) => {
                    answer.clear();
                    answer.extend(card.send(command));
                    tsm_job::Input::Response(&answer)
                }
                tsm_job::Step::Key(request) => tsm_job::Input::Key(store.answer(&request, &mut key_out)),
                tsm_job::Step::Persist(_) | tsm_job::Step::Progress(_) => tsm_job::Input::Continue,
                tsm_job::Step::Done(visit) => return assert_eq!(visit, tsm_job::Visit::Complete),
            };
        }
    });
    memory
}

#[test]
fn an_issuance_played_without_keys_is_the_one_online() {
    let window = window(&issued(), 1, card);
    let scripts = scripts(&window);
    let (memory, report, sent, _) = play(blank(), Player::new(&scripts), Break::Never);
    assert_eq!((report.end, report.job, report.counter, report.sw), (End::Complete, 77, counter(1), Sw::OK));
    assert_eq!(report.entries, scripts[0].count());
    assert_eq!(sent.len(), usize::from(scripts[0].count()) + 2);
    assert_eq!(content(&memory), content(&online(blank(), &[issued()])));
    // The next scripts find it done, and use no counter value.
    let (after, report, ..) = play(memory.clone(), Player::new(&scripts), Break::Never);
    assert_eq!((report.end, report.counter, report.entries), (End::Complete, counter(2), 1));
    assert_eq!(after.objects, memory.objects);
}

#[test]
fn torn_at_every_command_the_next_script_finishes() {
    let window = window(&issued(), 1, card);
    let scripts = scripts(&window);
    let (done, _, sent, _) = play(blank(), Player::new(&scripts), Break::Never);
    for n in 0..sent.len() {
        for at in [Break::Unheard(n), Break::Unanswered(n)] {
            let (memory, report, ..) = play(blank(), Player::new(&scripts), at);
            assert_eq!(report.end, End::Lost, "{at:?}");
            assert!(report.to_string().contains("hold the card again"));
            let (memory, report, ..) = play(memory, Player::new(&scripts), Break::Never);
            assert_eq!(report.end, End::Complete, "{at:?} {report}");
            assert_eq!(content(&memory), content(&done), "{at:?}");
        }
    }
}

#[test]
fn a_counter_outside_the_window_begins_nothing() {
    let late = window(&issued(), 2, card);
    let late = scripts(&late);
    let (memory, report, sent, _) = play(blank(), Player::new(&late), Break::Never);
    assert_eq!((report.end, report.counter, report.job), (End::NoScript, Counter::ZERO, 0));
    assert_eq!(sent.len(), 2);
    assert_eq!(memory.objects, blank().objects);
    // Without the look at C1, INITIALIZE UPDATE tells: the card never hears EXTERNAL AUTHENTICATE.
    let (memory, report, sent, _) = play(blank(), Player::at_once(&late[0]), Break::Never);
    assert_eq!((report.end, report.counter), (End::OtherCounter, counter(2)));
    assert!(sent.iter().all(|command| command[1] != 0x82));
    assert_eq!(content(&memory), content(&blank()));
    // Its counter has moved to where the script is due no more, but the next one is.
    let (_, report, ..) = play(memory, Player::new(&late), Break::Never);
    assert_eq!((report.end, report.counter), (End::Complete, counter(2)));
    let none = Player::new(&[]);
    assert_eq!(play(blank(), none, Break::Never).1.end, End::NoScript);
}

#[test]
fn another_card_is_left_alone() {
    let other = ScriptCard { key_diversification: [9; 10], ..card(1) };
    let (probe, actions) = (None, [Action { job: Job::MakeSelectable(APP), also: &[], keep: false }]);
    let raw = write(plan(other, probe, &actions));
    let scripts = [Script::parse(&raw).unwrap()];
    let (memory, report, sent, _) = play(blank(), Player::new(&scripts), Break::Never);
    assert_eq!(report.end, End::OtherCard);
    assert_eq!(sent.last().unwrap()[1], 0x50);
    assert_eq!(content(&memory), content(&blank()));
    // The right card with other keys: its answer looks right, and it refuses the host.
    let (memory, ()) = with_card(&PROFILE, blank(), |_| ());
    let wrong = ScriptCard { key: NEW, ..card(1) };
    let raw = write(plan(wrong, probe, &actions));
    let scripts = [Script::parse(&raw).unwrap()];
    let (_, report, ..) = play(memory, Player::new(&scripts), Break::Never);
    assert_eq!((report.end, report.sw.value()), (End::Refused, 0x6300));
}

#[test]
fn a_replay_is_refused_by_the_card() {
    let window = window(&issued(), 1, card);
    let scripts = scripts(&window);
    let (memory, ..) = play(blank(), Player::new(&scripts), Break::Never);
    let before = content(&memory);
    // A phone that does not care what the card answers.
    let (memory, statuses) = with_card(&PROFILE, memory, |card| {
        let entries = scripts[0].entries().skip(1);
        entries.map(|entry| (entry.command()[1], card.sw(entry.command()))).collect::<Vec<_>>()
    });
    for (ins, sw) in statuses {
        assert_eq!(
            sw,
            match ins {
                0xA4 | 0x50 => 0x9000,
                0x82 => 0x6300,
                _ => 0x6982,
            },
            "{ins:02X}"
        );
    }
    assert_eq!(content(&memory), before);
}

#[test]
fn a_locked_application_is_not_personalised_again() {
    let done = online(blank(), &[issued(), Goal::Locked(APP)]);
    // Two sessions happened: one for the goals, and none more.
    let window = window(&issued(), 2, card);
    let scripts = scripts(&window);
    let (memory, report, ..) = play(done.clone(), Player::new(&scripts), Break::Never);
    assert_eq!((report.end, report.sw), (End::Refused, Sw::CONDITIONS_NOT_SATISFIED));
    assert_eq!(content(&memory), content(&done));
}

/// SCP02 uses the counter as it is and raises it when the session has begun.
#[test]
fn an_issuance_over_scp02_is_torn_and_finished_too() {
    let profile = PROFILE.with_scp02(scp02::Options::I55);
    let factory = Factory::TEST.with_scp02_test_keys();
    let goal = issued();
    let (probe, actions) = script::for_goal(&goal);
    let written = |n: u8, level| {
        let sequence = scp02::Sequence::from_bytes([0, n]);
        let protocol = Protocol::Scp02 { options: scp02::Options::I55, sequence };
        let card = ScriptCard { key_version: 0x20, key: KeyRef::direct(3), protocol, ..card(1) };
        let plan =
            Plan { job: 5, card, level, host_challenge: [n; 8].into(), probe, actions: &actions, used: &[] };
        let (mut store, mut out) = (store(), [0; 4096]);
        store.insert_des(3, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
        script::write(plan, &mut store, &mut out).map(<[u8]>::to_vec)
    };
    let window: Vec<_> = (0..4).map(|n| written(n, Level::CMacCEnc).unwrap()).collect();
    let scripts = scripts(&window);
    assert_eq!(scripts[1].header().due, scripts[1].header().counter);
    assert_eq!(written(0, Level::CMacRMac), Err(WriteError::Level));

    let blank = || new_memory(&factory);
    let (done, report, sent, _) = play_on(&profile, blank(), Player::at_once(&scripts[0]), Break::Never);
    assert_eq!((report.end, report.counter), (End::Complete, counter(0)));
    for n in 0..sent.len() {
        for at in [Break::Unheard(n), Break::Unanswered(n)] {
            let (mut memory, ..) = play_on(&profile, blank(), Player::at_once(&scripts[0]), at);
            let mut ends = Vec::new();
            for script in &scripts[..2] {
                let (after, report, ..) = play_on(&profile, memory, Player::at_once(script), Break::Never);
                memory = after;
                ends.push(report.end);
            }
            assert_eq!(ends[1], End::Complete, "{at:?} {ends:?}");
            // The first one is played again if its session never began; else its counter is over.
            assert!(matches!(ends[0], End::Complete | End::OtherCounter), "{at:?} {ends:?}");
            assert_eq!(content(&memory), content(&done), "{at:?}");
        }
    }
}

#[test]
fn every_goal_has_a_script_that_can_come_again() {
    let issued = online(blank(), &[issued()]);
    let locked = online(issued.clone(), &[Goal::Locked(APP)]);
    for (memory, goal, first) in [
        (&issued, Goal::Locked(APP), 2),
        (&locked, Goal::Unlocked(APP), 3),
        (&issued, Goal::Absent(APP), 2),
        (&blank(), Goal::Absent(APP), 1),
        (&blank(), Goal::Locked(APP), 1),
        (&issued, Goal::Keys { key: NEW, version: 0x31, retire: None }, 2),
    ] {
        let window = window(&goal, first, card);
        let scripts = scripts(&window);
        let (once, report, sent, _) = play(memory.clone(), Player::new(&scripts), Break::Never);
        assert_eq!(report.end, End::Complete, "{goal:?} {report}");
        assert_eq!(content(&once), content(&online(memory.clone(), &[goal])), "{goal:?}");
        for n in 0..sent.len() {
            for at in [Break::Unheard(n), Break::Unanswered(n)] {
                let (torn, ..) = play(memory.clone(), Player::new(&scripts), at);
                let (twice, report, ..) = play(torn, Player::new(&scripts), Break::Never);
                assert_eq!(report.end, End::Complete, "{goal:?} {at:?} {report}");
                assert_eq!(content(&twice), content(&once), "{goal:?} {at:?}");
            }
        }
    }
}

#[test]
fn keys_change_by_two_scripts() {
    let put = window(&Goal::Keys { key: NEW, version: 0x31, retire: None }, 1, card);
    let (memory, report, ..) = play(blank(), Player::new(&scripts(&put)), Break::Never);
    assert_eq!(report.end, End::Complete);
    // The new set counts from zero, and C1 speaks for the old one until it is gone.
    let new = |n| ScriptCard { key: NEW, key_version: 0x31, ..card(n) };
    let goal = Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) };
    let (probe, actions) = script::for_goal(&goal);
    let retire = write(plan(new(1), probe, &actions));
    let retire = Script::parse(&retire).unwrap();
    let (memory, report, ..) = play(memory, Player::at_once(&retire), Break::Never);
    assert_eq!((report.end, report.counter), (End::Complete, counter(1)));
    assert_eq!(content(&memory), content(&online(blank(), &[goal])));
}

#[test]
fn kept_answers_are_those_of_their_entries() {
    let get = apdu([0x80, 0xCA, 0x00, 0xC1], &[]);
    let actions = [
        Action { job: Job::Command(&get), also: &[], keep: true },
        Action {
            job: Job::SetStatus(Transition::LockApplication(APP)),
            also: &[Allowed::complete(Sw::REFERENCED_DATA_NOT_FOUND)],
            keep: true,
        },
        Action { job: Job::MakeSelectable(APP), also: &[], keep: false },
    ];
    let raw = write(plan(card(1), None, &actions));
    let scripts = [Script::parse(&raw).unwrap()];
    let (_, report, _, kept) = play(blank(), Player::new(&scripts), Break::Never);
    // The second one ends the script; the third is not sent.
    assert_eq!((report.end, report.entries, scripts[0].count()), (End::Complete, 5, 6));
    let entries: Vec<_> = kept.iter().map(|(entry, _)| *entry).collect();
    assert_eq!(entries, [3, 4]);
    // The TSM goes through the session again with them; what was changed, or belongs to another command, is found.
    let checked = |answers: &[(u16, Vec<u8>)]| {
        let answers: Vec<_> = answers.iter().map(|(entry, answer)| (*entry, &answer[..])).collect();
        let (mut store, mut out) = (store(), [0; 4096]);
        let checked = script::check(plan(card(1), None, &actions), &mut store, &answers, &mut out);
        let checked = checked.map(<[u8]>::to_vec);
        assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
        checked
    };
    let refused = Err(WriteError::Key(KeyError::NotAuthentic));
    assert_eq!(checked(&kept), Ok(raw.clone()));
    assert_eq!(checked(&kept[1..]), Ok(raw.clone()));
    for bit in 0..kept[0].1.len() * 8 {
        let mut forged = kept.clone();
        forged[0].1[bit / 8] ^= 1 << (bit % 8);
        // An error with data is refused as well.
        assert_eq!(checked(&forged), refused, "{bit}");
    }
    assert_eq!(checked(&[(4, kept[0].1.clone())]), refused);
    // Another session's answer to the same command.
    let again = write(plan(card(2), None, &actions));
    let (memory, ..) = play(blank(), Player::new(&scripts), Break::Never);
    let (_, _, _, other) = play(memory, Player::new(&[Script::parse(&again).unwrap()]), Break::Never);
    assert_eq!(checked(&other[..1]), refused);
    // What is not protected is not looked at: SELECT, for one.
    assert_eq!(checked(&[(0, vec![0x90, 0x00])]), Ok(raw));
}

#[test]
fn the_check_values_of_new_keys_come_back() {
    let put = PutKeys { key: NEW, version: 0x31, remove_old: false, host_challenge: [0; 8].into() };
    let actions = [Action { job: Job::PutKeys(put), also: &[], keep: true }];
    let raw = write(plan(card(1), None, &actions));
    let (_, report, _, kept) = play(blank(), Player::new(&[Script::parse(&raw).unwrap()]), Break::Never);
    assert_eq!((report.end, kept.len()), (End::Complete, 1));
    let answers = [(kept[0].0, &kept[0].1[..])];
    let mut out = [0; 4096];
    assert_eq!(script::check(plan(card(1), None, &actions), &mut store(), &answers, &mut out), Ok(&raw[..]));
    let short = [(kept[0].0, &kept[0].1[1..])];
    let refused = script::check(plan(card(1), None, &actions), &mut store(), &short, &mut out);
    assert_eq!(refused, Err(WriteError::Key(KeyError::NotAuthentic)));
}

#[test]
fn what_cannot_be_a_script_is_said() {
    let make = [Action { job: Job::MakeSelectable(APP), also: &[], keep: false }];
    let refused = |plan: Plan<'_>| {
        let mut store = store();
        let refused = script::write(plan, &mut store, &mut [0; 4096]).unwrap_err();
        assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
        refused
    };
    let good = plan(card(1), None, &make);
    let scp03 =
        |options, n| ScriptCard { protocol: Protocol::Scp03 { options, counter: counter(n) }, ..card(1) };
    assert_eq!(refused(Plan { card: scp03(Options::I60, 1), ..good }), WriteError::NotPredictable);
    assert_eq!(
        refused(Plan { card: ScriptCard { key_version: 0, ..card(1) }, ..good }),
        WriteError::NotPredictable
    );
    assert_eq!(refused(Plan { level: Level::Authenticated, ..good }), WriteError::Level);
    assert_eq!(refused(Plan { card: scp03(Options::I30, 1), ..good }), WriteError::Level);
    assert_eq!(refused(Plan { card: card(0), ..good }), WriteError::Counter);
    let unknown = ScriptCard { key: KeyRef::direct(9), ..card(1) };
    assert!(matches!(refused(Plan { card: unknown, ..good }), WriteError::Fault(_)));
    let put = PutKeys { key: NEW, version: 0x31, remove_old: true, host_challenge: [0; 8].into() };
    for (job, index) in [(Job::Close, 1), (Job::PutKeys(put), 1)] {
        let actions = [make[0], Action { job, also: &[], keep: false }];
        assert_eq!(refused(Plan { actions: &actions, ..good }), WriteError::Job(index));
    }
    let unknown =
        PutKeys { key: KeyRef::direct(9), version: 0x31, remove_old: false, host_challenge: [0; 8].into() };
    let actions = [Action { job: Job::PutKeys(unknown), also: &[], keep: false }];
    assert_eq!(refused(Plan { actions: &actions, ..good }), WriteError::Key(KeyError::UnknownKey));
}

#[test]
fn a_challenge_serves_a_counter_once() {
    let make = [Action { job: Job::MakeSelectable(APP), also: &[], keep: false }];
    let first = write(plan(card(1), None, &make));
    let used = [Script::parse(&first).unwrap().used().unwrap()];
    let again = Plan { used: &used, ..plan(card(1), Some(APP), &[]) };
    let written = |plan: Plan<'_>| script::write(plan, &mut store(), &mut [0; 4096]).map(<[u8]>::len);
    assert_eq!(written(again), Err(WriteError::ChallengeUsed));
    assert!(written(Plan { host_challenge: [1; 8].into(), ..again }).is_ok());
    // The same challenge at the next counter gives other keys.
    assert!(written(Plan { host_challenge: again.host_challenge, card: card(2), ..again }).is_ok());
}

#[test]
fn a_buffer_of_any_length_is_enough_or_refused() {
    let (probe, actions) = (Some(APP), [Action { job: Job::MakeSelectable(APP), also: &[], keep: false }]);
    let whole = write(plan(card(1), probe, &actions));
    for len in 0..=whole.len() {
        let (mut store, mut out) = (store(), vec![0; len]);
        let written = script::write(plan(card(1), probe, &actions), &mut store, &mut out);
        assert_eq!(
            written.map(<[u8]>::to_vec),
            if len == whole.len() { Ok(whole.clone()) } else { Err(WriteError::Full) }
        );
        assert!(format!("{store:?}").contains("sessions: 0"), "{len}: {store:?}");
    }
}

#[test]
fn the_form_is_the_golden_one_and_every_fault_has_its_place() {
    let goal = Goal::Locked(APP);
    let (_, actions) = script::for_goal(&goal);
    let raw = write(Plan { level: Level::CMac, ..plan(card(1), Some(APP), &actions) });
    let golden: Vec<u8> = GOLDEN
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
        .flat_map(|word| {
            (0..word.len() / 2).map(move |n| u8::from_str_radix(&word[2 * n..2 * n + 2], 16).unwrap())
        })
        .collect();
    assert_eq!(raw, golden, "{raw:02X?}");
    let script = Script::parse(&raw).unwrap();
    let header = script.header();
    assert_eq!((header.scp, header.i, header.level, header.key_version), (3, PROFILE.scp03.byte(), 1, 0x30));
    assert_eq!((header.job, header.due, header.counter), (77, counter(0), counter(1)));
    assert_eq!((header.host_challenge, header.aid), (&[0xC1; 8][..], PROFILE.issuer_aid));
    let entries: Vec<_> = script.entries().collect();
    assert_eq!((entries.len(), script.count()), (5, 5));
    assert_eq!(entries[0].after(Sw::OK), Some(Then::Complete));
    assert_eq!(entries[0].after(Sw::FILE_NOT_FOUND), Some(Then::GoOn));
    assert_eq!(entries[0].after(Sw::WRONG_DATA), None);
    assert!(entries[2].initializes() && !entries[3].initializes() && !entries[4].keeps_answer());
    assert_eq!(entries[4].allowed().count(), 4);

    for len in 0..raw.len() {
        let error = Script::parse(&raw[..len]).unwrap_err();
        assert_eq!((error.kind(), error.at()), (ScriptError::Truncated, len));
    }
    let entry = 32 + 1 + 8 + 1 + header.aid.as_bytes().len() + 2 - 3;
    let fault = |at: usize, value: u8| {
        let mut changed = raw.clone();
        changed[at] = value;
        Script::parse(&changed).unwrap_err()
    };
    let at = |error: huiwan_tlv::At<ScriptError>| (error.kind(), error.at());
    assert_eq!(at(fault(0, 2)), (ScriptError::Version(2), 0));
    assert_eq!(at(fault(1, 1)), (ScriptError::Protocol(1), 1));
    assert_eq!(at(fault(entry, 0x80)), (ScriptError::Flags(0x80), entry));
    // The probe's Lc says more than there is.
    assert_eq!(fault(entry + 3 + 4, 0x20).kind(), ScriptError::Command);
    let statuses = entry + 3 + entries[0].command().len();
    assert_eq!(at(fault(statuses, 0)), (ScriptError::NoStatus, statuses));
    assert_eq!(at(fault(statuses + 3, 7)), (ScriptError::Flags(7), statuses + 3));
    let longer = [&raw[..], &[0]].concat();
    assert_eq!(at(Script::parse(&longer).unwrap_err()), (ScriptError::Trailing, raw.len()));
}

#[test]
fn the_report_has_one_form() {
    let report = Report {
        job: 0x0102_0304_0506_0708,
        counter: counter(9),
        entries: 3,
        sw: Sw::WRONG_DATA,
        end: End::Refused,
    };
    let golden = [1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 9, 0, 3, 0x6A, 0x80, 1];
    assert_eq!(report.to_bytes(), golden);
    assert_eq!(Report::from_bytes(&golden), Some(report));
    for (at, value) in [(0, 2), (16, 7)] {
        let mut other = golden;
        other[at] = value;
        assert_eq!(Report::from_bytes(&other), None);
    }
    assert_eq!(Report::from_bytes(&golden[1..]), None);
}

#[test]
fn windows_end_with_the_counter() {
    assert_eq!(script::window(counter(4), 4).collect::<Vec<_>>(), [5, 6, 7, 8].map(counter));
    let near = Counter::from_bytes([0xFF, 0xFF, 0xFE]);
    assert_eq!(script::window(near, 4).collect::<Vec<_>>(), [Counter::LAST]);
}

#[test]
fn misuse_changes_nothing() {
    let window = window(&Goal::Absent(APP), 1, card);
    let scripts = scripts(&window);
    let mut player = Player::new(&scripts);
    let mut out = [0; player::OUT_LEN];
    assert!(player.step(player::Input::Lost, &mut out).is_err());
    assert!(player.step(player::Input::Continue, &mut out).is_err());
    assert!(player.step(player::Input::Start, &mut out[1..]).is_err());
    assert!(matches!(player.step(player::Input::Start, &mut out), Ok(player::Step::Send(_))));
    assert!(player.step(player::Input::Start, &mut out).is_err());
    let mut writer = Writer::new(plan(card(1), None, &[]));
    let (mut script, mut out) = ([0; 256], [0; script::OUT_LEN]);
    assert!(writer.step(script::Input::Continue, &mut script, &mut out).is_err());
    assert!(writer.step(script::Input::Start, &mut script, &mut out[1..]).is_err());
    assert!(matches!(writer.step(script::Input::Start, &mut script, &mut out), Ok(Step::Written(1))));
    assert!(writer.step(script::Input::Start, &mut script, &mut out).is_err());
}
