//! Jobs against a card, with the link cut and the worker killed at every step: the card ends as if nothing had happened.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, Cut, InstanceId, Journal, Memory, ObjectId, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Install, KeyAnswer, KeyError, KeyRef, KeyStore, Personalise, SoftKeyStore,
    Stage,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::secure_channel::Level;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::direct(2);
const APP: Aid = Aid::from_array(TOY_AID);
const OLD_APP: Aid = Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02]);
const OTHER: Aid = Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x03]);

type Store = SoftKeyStore<4, 1>;

fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store
}

const LONG: [u8; 400] = [0x5A; 400];
const SCRIPT: [Grouping<'static>; 3] = [
    Grouping { id: 0x0101, value: b"a record", encrypt: false },
    Grouping { id: 0x8000, value: &[0x77; 32], encrypt: true },
    Grouping { id: 0x0102, value: &LONG, encrypt: false },
];

fn install(aid: Aid) -> Install<'static> {
    Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: aid,
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", ..Parameters::default() },
        make_selectable: true,
    }
}

fn issued(aid: Aid) -> Goal<'static> {
    let personalise = Personalise::new(Some(aid), &SCRIPT, Coding::GP);
    Goal::Issued { install: install(aid), personalise }
}

const KEYS: [(u8, KeyRef); 2] = [(0x31, NEW), (0x30, TEST)];

fn plan<'j>(goals: &'j [Goal<'j>]) -> Plan<'j> {
    Plan { aid: None, keys: &KEYS, level: Level::All, goals }
}

/// Keys changed, one application gone, two issued, one of them locked.
fn goals() -> [Goal<'static>; 5] {
    [
        Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) },
        Goal::Absent(OLD_APP),
        issued(APP),
        issued(OTHER),
        Goal::Locked(OTHER),
    ]
}

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accident {
    /// The command never reaches the card.
    Unheard,
    /// The card carries it out, and its answer is lost.
    Unanswered,
    /// The worker dies before it has saved its state.
    KilledBefore,
    /// The worker dies right after.
    KilledAfter,
    /// The worker dies with a command at the card, and loses its key store's sessions with it.
    KilledAtCommand,
}

/// One visit. `accident` happens at that number of step (commands for the first two and the last, savings for the others).
fn visit(
    memory: MapMemory,
    plan: Plan<'_>,
    saved: &mut JobState,
    accident: Option<(Accident, usize)>,
) -> (MapMemory, Option<Visit>, (usize, usize)) {
    visit_on(memory, plan, saved, accident, |_| false)
}

/// The same on any memory; when `dead` says that the card has no power, nothing of it is heard any more.
fn visit_on<M: Memory>(
    memory: M,
    plan: Plan<'_>,
    saved: &mut JobState,
    accident: Option<(Accident, usize)>,
    dead: impl Fn(&M) -> bool,
) -> (M, Option<Visit>, (usize, usize)) {
    let (memory, ended) = with_card(&PROFILE, memory, |card| {
        let mut store = store();
        let mut worker = Worker::new(plan, *saved);
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let (mut commands, mut savings) = (0, 0);
        let mut answer;
        let mut step = worker.step(Input::Start([7; 32]), &mut out).unwrap();
        for _ in 0..2000 {
            let input = match step {
                Step::Send(command) => {
                    commands += 1;
                    match accident {
                        Some((Accident::Unheard, n)) if n + 1 == commands => Input::Lost,
                        Some((Accident::KilledAtCommand, n)) if n + 1 == commands => {
                            card.send(command);
                            return (None, (commands, savings));
                        }
                        Some((Accident::Unanswered, n)) if n + 1 == commands => {
                            card.send(command);
                            Input::Lost
                        }
                        _ => {
                            answer = card.send(command);
                            if dead(card.element.memory()) { Input::Lost } else { Input::Response(&answer) }
                        }
                    }
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Persist(state) => {
                    savings += 1;
                    match accident {
                        Some((Accident::KilledBefore, n)) if n + 1 == savings => {
                            return (None, (commands, savings));
                        }
                        Some((Accident::KilledAfter, n)) if n + 1 == savings => {
                            *saved = JobState::from_bytes(&state.to_bytes()).unwrap();
                            return (None, (commands, savings));
                        }
                        _ => *saved = JobState::from_bytes(&state.to_bytes()).unwrap(),
                    }
                    Input::Continue
                }
                Step::Progress(_) => Input::Continue,
                Step::Done(visit) => {
                    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
                    return (Some(visit), (commands, savings));
                }
            };
            step = worker.step(input, &mut out).unwrap();
        }
        panic!("the visit does not end");
    });
    (memory, ended.0, ended.1)
}

fn blank() -> MapMemory {
    let (memory, ()) = with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(OLD_APP.as_bytes(), &[0xC9, 0x00])).1, 0x9000);
    });
    memory
}

/// Everything but the sequence counters, which count sessions.
fn content(memory: &MapMemory) -> BTreeMap<(u8, u16), Vec<u8>> {
    let mut objects = memory.objects.clone();
    objects.retain(|(instance, id), _| (*instance, id >> 8) != (0, 3));
    objects
}

#[test]
fn a_job_ends_in_one_visit_and_a_second_one_does_nothing() {
    let (goals, mut saved) = (goals(), JobState::new(9));
    let (memory, ended, (commands, savings)) = visit(blank(), plan(&goals), &mut saved, None);
    assert_eq!(ended, Some(Visit::Complete));
    assert_eq!(saved, JobState { id: 9, reached: 5, visits: 1 });
    // One at the beginning, one for each goal.
    assert_eq!(savings, 6);
    assert!(commands > 20);
    let before = content(&memory);
    let (memory, ended, (commands, _)) = visit(memory, plan(&goals), &mut saved, None);
    assert_eq!((ended, commands), (Some(Visit::Complete), 0));
    assert_eq!(content(&memory), before);

    // With a state that knows nothing every goal is looked at, and none acted on: select, two commands to open, and the
    // sight of five goals.
    let mut nothing = JobState::new(9);
    let (memory, ended, (commands, _)) = visit(memory, plan(&goals), &mut nothing, None);
    assert_eq!((ended, commands), (Some(Visit::Complete), 3 + 5));
    assert_eq!(content(&memory), before);
}

#[test]
fn whatever_breaks_where_the_card_ends_the_same() {
    let goals = goals();
    let mut saved = JobState::new(1);
    let (memory, _, (commands, savings)) = visit(blank(), plan(&goals), &mut saved, None);
    let expected = content(&memory);
    let mut accidents = Vec::new();
    for accident in [Accident::Unheard, Accident::Unanswered, Accident::KilledAtCommand] {
        accidents.extend((0..commands).map(|n| (accident, n)));
    }
    for accident in [Accident::KilledBefore, Accident::KilledAfter] {
        accidents.extend((0..savings).map(|n| (accident, n)));
    }
    for accident in accidents {
        let mut saved = JobState::new(1);
        let (memory, ended, _) = visit(blank(), plan(&goals), &mut saved, Some(accident));
        assert!(!matches!(ended, Some(Visit::Complete | Visit::Stopped { .. })), "{accident:?}: {ended:?}");
        let (memory, ended, _) = visit(memory, plan(&goals), &mut saved, None);
        assert_eq!(ended, Some(Visit::Complete), "{accident:?}");
        assert_eq!(content(&memory), expected, "{accident:?}");
    }
}

#[test]
fn a_link_that_breaks_at_every_visit_gets_there_too() {
    let goals = goals();
    let (memory, ..) = visit(blank(), plan(&goals), &mut JobState::new(1), None);
    let expected = content(&memory);
    for accident in [Accident::Unheard, Accident::Unanswered, Accident::KilledAtCommand] {
        let (mut memory, mut saved) = (blank(), JobState::new(1));
        for n in 0.. {
            // Each visit gets one command further than the one before.
            let (after, ended, _) = visit(memory, plan(&goals), &mut saved, Some((accident, n)));
            memory = after;
            if ended == Some(Visit::Complete) {
                break;
            }
            assert!(n < 60, "{accident:?} {saved:?}");
        }
        assert_eq!(content(&memory), expected, "{accident:?}");
        assert!(saved.visits > 3, "{saved:?}");
    }
}

/// Each job by itself: what it starts from, and what it is to reach.
fn jobs() -> Vec<(&'static str, MapMemory, Vec<Goal<'static>>)> {
    let after = |goals: &[Goal<'static>]| visit(blank(), plan(goals), &mut JobState::new(1), None).0;
    vec![
        ("issuance", blank(), vec![issued(APP)]),
        ("keys", blank(), vec![Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) }]),
        ("keys beside", blank(), vec![Goal::Keys { key: NEW, version: 0x31, retire: None }]),
        ("lock", after(&[issued(APP)]), vec![Goal::Locked(APP)]),
        ("unlock", after(&[issued(APP), Goal::Locked(APP)]), vec![Goal::Unlocked(APP)]),
        ("removal", after(&[issued(APP), issued(OTHER)]), vec![Goal::Absent(APP)]),
        ("removal of a locked one", after(&[issued(APP), Goal::Locked(APP)]), vec![Goal::Absent(APP)]),
        ("all", blank(), goals().to_vec()),
    ]
}

/// Two accidents one after the other, on two workers, at any two places; the third visit ends the job.
#[test]
fn two_accidents_in_a_row() {
    let kinds = [Accident::Unheard, Accident::Unanswered, Accident::KilledAtCommand, Accident::KilledAfter];
    for (name, start, goals) in jobs() {
        let (memory, ended, (commands, _)) = visit(start.clone(), plan(&goals), &mut JobState::new(1), None);
        assert_eq!(ended, Some(Visit::Complete), "{name}");
        let expected = content(&memory);
        for first in 0..commands {
            for (n, second) in (0..commands).step_by(if name == "all" { 5 } else { 1 }).enumerate() {
                let [one, two] = [kinds[(first + n) % 4], kinds[first % 4]];
                let (mut memory, mut saved) = (start.clone(), JobState::new(1));
                for accident in [Some((one, first)), Some((two, second)), None] {
                    let (after, ended, _) = visit(memory, plan(&goals), &mut saved, accident);
                    memory = after;
                    let what = format!("{name}, {one:?} at {first}, {two:?} at {second}: {ended:?}");
                    assert!(!matches!(ended, Some(Visit::Stopped { .. })), "{what}");
                    assert!(accident.is_some() || ended == Some(Visit::Complete), "{what}");
                }
                assert_eq!(content(&memory), expected, "{name}, {one:?} at {first}, {two:?} at {second}");
            }
        }
    }
}

/// Nothing is done twice that does harm: as soon as the holder can use the application, what he does with it stays, wherever the job
/// broke and however little of its state was saved.
#[test]
fn what_the_holder_does_meanwhile_stays() {
    let goals = [issued(APP), Goal::Absent(OLD_APP)];
    let (_, _, (commands, _)) = visit(blank(), plan(&goals), &mut JobState::new(1), None);
    let mut used = 0;
    for accident in [Accident::Unheard, Accident::Unanswered, Accident::KilledAtCommand] {
        for n in 0..commands {
            for forgotten in [false, true] {
                let mut saved = JobState::new(1);
                let (memory, ..) = visit(blank(), plan(&goals), &mut saved, Some((accident, n)));
                let (mut memory, selectable) =
                    with_card(&PROFILE, memory, |card| card.sw(&select(&TOY_AID)) == 0x9000);
                if !selectable {
                    continue;
                }
                // Selectable is personalised: its record is there, and is used.
                let record = memory.objects.values_mut().find(|value| value[..] == *b"a record").unwrap();
                *record = b"changed by use".to_vec();
                used += 1;
                if forgotten {
                    saved = JobState::new(1);
                }
                let (memory, ended, _) = visit(memory, plan(&goals), &mut saved, None);
                assert_eq!(ended, Some(Visit::Complete), "{accident:?} {n}");
                assert!(
                    memory.objects.values().any(|value| value[..] == *b"changed by use"),
                    "{accident:?} {n}: personalised again"
                );
            }
        }
    }
    assert!(used > 6, "{used}");
}

type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 128>;

/// The same objects in flash.
fn in_flash(memory: &MapMemory) -> Flash {
    let mut journal = FlashMemory::format(Flash::erased()).unwrap();
    for (&(instance, id), value) in &memory.objects {
        let mut buffer = [0; 600];
        let mut batch = Batch::new(&mut buffer);
        batch.put(ObjectId::new(InstanceId(instance), id), value);
        journal.commit(&batch).unwrap();
    }
    journal.collect().unwrap();
    journal.into_flash()
}

fn out_of_flash(flash: Flash) -> MapMemory {
    let mut journal = FlashMemory::mount(flash).unwrap();
    let (mut map, mut at) = (MapMemory::default(), None);
    while let Some(object) = journal.next_object(at).unwrap() {
        let mut buffer = [0; 600];
        let value = journal.read(object, 0, &mut buffer).unwrap().to_vec();
        map.objects.insert((object.instance.0, object.id), value);
        at = Some(object);
    }
    map
}

/// The card loses power at any flash operation of any job, in any way; another worker goes on with what was saved.
#[test]
fn power_lost_at_every_flash_operation_of_a_job() {
    for (name, start, goals) in jobs() {
        let flash = in_flash(&start);
        let run = |cut: Option<(u32, Cut)>| {
            let mut saved = JobState::new(1);
            let mut memory = FlashMemory::mount(flash.clone()).unwrap();
            let before = memory.flash().operations();
            if let Some((at, mode)) = cut {
                memory.flash_mut().cut_after(at, mode, at ^ 0x1234);
            }
            let (memory, ended, _) =
                visit_on(memory, plan(&goals), &mut saved, None, |memory| memory.flash().is_dead());
            let operations = memory.flash().operations() - before;
            let mut flash = memory.into_flash();
            flash.power_on();
            (flash, ended, saved, operations)
        };
        let (finished, ended, _, operations) = run(None);
        assert_eq!(ended, Some(Visit::Complete), "{name}");
        let expected = content(&out_of_flash(finished));
        assert!(operations >= 4, "{name}");
        for at in 0..operations {
            for mode in Cut::ALL {
                let (flash, ended, mut saved, _) = run(Some((at, mode)));
                assert!(matches!(ended, Some(Visit::Again(_))), "{name}, {mode:?} at {at}: {ended:?}");
                let memory = FlashMemory::mount(flash).unwrap();
                let (memory, ended, _) = visit_on(memory, plan(&goals), &mut saved, None, |_| false);
                assert_eq!(ended, Some(Visit::Complete), "{name}, {mode:?} at {at}");
                assert_eq!(content(&out_of_flash(memory.into_flash())), expected, "{name}, {mode:?} at {at}");
            }
        }
    }
}

#[test]
fn an_application_in_use_is_not_personalised_again() {
    let goals = [issued(APP)];
    let (memory, ..) = visit(blank(), plan(&goals), &mut JobState::new(1), None);
    // Its holder uses it: an object changes.
    let mut used = memory.clone();
    let slot = used.objects.iter().find(|(_, value)| value[..] == *b"a record").map(|(key, _)| *key).unwrap();
    used.objects.insert(slot, b"changed by use".to_vec());
    let (after, ended, _) = visit(used.clone(), plan(&goals), &mut JobState::new(1), None);
    assert_eq!(ended, Some(Visit::Complete));
    assert_eq!(content(&after), content(&used));
}

#[test]
fn locks_open_and_what_is_not_there_is_said() {
    let goals = [issued(APP), Goal::Locked(APP)];
    let (locked, ..) = visit(blank(), plan(&goals), &mut JobState::new(1), None);
    let unlocked = [Goal::Unlocked(APP)];
    let (memory, ended, _) = visit(locked.clone(), plan(&unlocked), &mut JobState::new(2), None);
    assert_eq!(ended, Some(Visit::Complete));
    assert_ne!(content(&memory), content(&locked));

    let missing = [Goal::Absent(OTHER), Goal::Locked(OTHER), Goal::Unlocked(OTHER)];
    let (_, ended, _) = visit(memory, plan(&missing), &mut JobState::new(3), None);
    let Some(Visit::Stopped { goal: 2, fault }) = ended else { panic!("{ended:?}") };
    assert_eq!(fault.kind, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND));
}

#[test]
fn a_refusal_stops_the_job_and_says_where() {
    // The toy refuses these parameters.
    let mut refused = install(APP);
    refused.parameters.application = &[0xFF];
    let personalise = Personalise::new(Some(APP), &SCRIPT, Coding::GP);
    let goals = [Goal::Absent(OLD_APP), Goal::Issued { install: refused, personalise }];
    let mut saved = JobState::new(1);
    let (memory, ended, _) = visit(blank(), plan(&goals), &mut saved, None);
    let Some(Visit::Stopped { goal: 1, fault }) = ended else { panic!("{ended:?}") };
    assert_eq!((fault.stage, fault.kind), (Stage::Install, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED)));
    assert_eq!(saved.reached, 1);

    // No key the card knows.
    let keys = [(0x41, NEW), (0x42, TEST)];
    let (_, ended, _) = visit(memory, Plan { keys: &keys, ..plan(&goals) }, &mut saved, None);
    let Some(Visit::Stopped { goal: 1, fault }) = ended else { panic!("{ended:?}") };
    assert_eq!(
        (fault.stage, fault.kind),
        (Stage::InitializeUpdate, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND))
    );
}

#[test]
fn a_key_store_that_is_away_is_asked_again() {
    let goals = goals();
    let mut worker = Worker::new(plan(&goals), JobState::new(1));
    let mut out = [0; OUT_LEN];
    let (_, ended) = with_card(&PROFILE, blank(), |card| {
        let mut answer;
        let mut step = worker.step(Input::Start([1; 32]), &mut out).unwrap();
        loop {
            let input = match step {
                Step::Send(command) => {
                    answer = card.send(command);
                    Input::Response(&answer)
                }
                Step::Key(_) => Input::Key(KeyAnswer::Refused(KeyError::Unavailable)),
                Step::Persist(_) | Step::Progress(_) => Input::Continue,
                Step::Done(visit) => return visit,
            };
            step = worker.step(input, &mut out).unwrap();
        }
    });
    let Visit::Again(fault) = ended else { panic!("{ended:?}") };
    assert_eq!(fault.kind, FaultKind::Key(KeyError::Unavailable));
}

#[test]
fn the_state_has_one_form() {
    let state = JobState { id: 0x0102_0304_0506_0708, reached: 3, visits: 0x0A0B };
    let golden = [1, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0x0A, 0x0B];
    assert_eq!(state.to_bytes(), golden);
    assert_eq!(JobState::from_bytes(&golden), Some(state));
    let mut other = golden;
    other[0] = 2;
    assert_eq!(JobState::from_bytes(&other), None);
    assert_eq!(JobState::from_bytes(&golden[..11]), None);
    assert_eq!(JobState::from_bytes(&[&golden[..], &[0]].concat()), None);
}

#[test]
fn misuse_changes_nothing() {
    let goals = goals();
    let mut worker = Worker::new(plan(&goals), JobState::new(1));
    let mut out = [0; OUT_LEN];
    assert!(worker.step(Input::Continue, &mut out).is_err());
    assert!(worker.step(Input::Lost, &mut out).is_err());
    assert!(worker.step(Input::Start([0; 32]), &mut out[1..]).is_err());
    let Step::Persist(state) = worker.step(Input::Start([0; 32]), &mut out).unwrap() else { panic!() };
    assert!(worker.step(Input::Response(&[0x90, 0x00]), &mut out).is_err());
    assert!(worker.step(Input::Start([0; 32]), &mut out).is_err());
    assert_eq!(worker.state(), state);
    assert!(matches!(worker.step(Input::Continue, &mut out), Ok(Step::Send(_))));
}
