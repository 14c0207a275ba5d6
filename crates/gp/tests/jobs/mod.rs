//! Any plan of goals and any accidents: the card ends as a model of the goals says, and as if nothing had happened.
//!
//! Input: number of goals (mod 6) ‖ one byte a goal ‖ three bytes an accident, one accident a visit. A goal's low three bits say
//! which kind, the next which application. An accident's first byte says which kind, the other two its step.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::get_status::entries;
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{Coding, FaultKind, Grouping, Install, KeyRef, KeyStore, Personalise, SoftKeyStore};
use huiwan_gp::install::Parameters;
use huiwan_gp::life_cycle::ApplicationState;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::StaticKeys;
use huiwan_gp::secure_channel::Level;

use crate::support::{MapMemory, TOY, apdu, new_memory, run, test_keys, try_open, with_card};

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::direct(2);
const APPS: [Aid; 2] = [
    Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x01]),
    Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02]),
];
const LONG: [u8; 300] = [0x5A; 300];
const SCRIPT: [Grouping<'static>; 2] = [
    Grouping { id: 0x8000, value: &[0x77; 32], encrypt: true },
    Grouping { id: 0x0102, value: &LONG, encrypt: false },
];

fn goal(byte: u8) -> Goal<'static> {
    let aid = APPS[usize::from(byte >> 3 & 1)];
    match byte & 7 {
        0 => Goal::Keys { key: NEW, version: 0x31, retire: None },
        1 => Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) },
        2 => Goal::Absent(aid),
        3 => Goal::Locked(aid),
        4 => Goal::Unlocked(aid),
        _ => {
            let install = Install {
                load_file: TOY.load_file,
                module: TOY.module,
                instance: aid,
                privileges: Privileges::NONE,
                parameters: Parameters { application: b"hello", ..Parameters::default() },
                make_selectable: true,
            };
            let personalise = Personalise::new(Some(aid), &SCRIPT, Coding::GP);
            Goal::Issued { install, personalise }
        }
    }
}

/// What the goals ask for, by a reading of their documentation alone.
#[derive(Debug, Default)]
struct Model {
    new_keys: bool,
    old_keys_gone: bool,
    /// By application: locked or not.
    applications: BTreeMap<Vec<u8>, bool>,
    /// The goal that cannot be reached.
    stops_at: Option<u8>,
}

impl Model {
    fn of(goals: &[Goal<'_>]) -> Self {
        let mut model = Self::default();
        for (index, goal) in goals.iter().enumerate() {
            match goal {
                Goal::Keys { retire, .. } => {
                    model.new_keys = true;
                    model.old_keys_gone |= retire.is_some();
                }
                Goal::Absent(aid) => drop(model.applications.remove(aid.as_bytes())),
                Goal::Locked(aid) => {
                    model.applications.entry(aid.as_bytes().to_vec()).and_modify(|locked| *locked = true);
                }
                Goal::Unlocked(aid) => match model.applications.get_mut(aid.as_bytes()) {
                    Some(locked) => *locked = false,
                    None => {
                        model.stops_at = Some(index as u8);
                        return model;
                    }
                },
                Goal::Issued { install, .. } => {
                    model.applications.entry(install.instance.as_bytes().to_vec()).or_insert(false);
                }
                _ => panic!("a goal the model does not know"),
            }
        }
        model
    }

    fn holds(&self, memory: MapMemory) {
        let new = StaticKeys::new(&[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
        let (_, ()) = with_card(&PROFILE, memory, |card| {
            for aid in &APPS {
                let sw = if self.applications.get(aid.as_bytes()) == Some(&false) { 0x9000 } else { 0x6A82 };
                assert_eq!(card.sw(&apdu([0x00, 0xA4, 0x04, 0x00], aid.as_bytes())), sw, "{self:?}");
            }
            assert_eq!(card.sw(&apdu([0x00, 0xA4, 0x04, 0x00], &[])), 0x9000);
            let opened = try_open(card, 0x31, &new, Level::CMac).map(|_| ());
            assert_eq!(opened, if self.new_keys { Ok(()) } else { Err(0x6A88) });
            let opened = try_open(card, 0x30, &test_keys(), Level::CMac).map(|_| ());
            assert_eq!(opened, if self.old_keys_gone { Err(0x6A88) } else { Ok(()) });
            let (version, keys) = if self.new_keys { (0x31, new) } else { (0x30, test_keys()) };
            let mut session = try_open(card, version, &keys, Level::CMac).unwrap();
            let (data, sw) = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &[0x4F, 0x00]));
            let mut there = BTreeMap::new();
            if sw != 0x6A88 {
                for entry in entries(&data) {
                    let entry = entry.unwrap();
                    let state = entry.application_state();
                    assert_ne!(state, ApplicationState::INSTALLED);
                    there.insert(entry.aid.to_vec(), state.is_locked());
                }
            }
            assert_eq!(there, self.applications);
        });
    }
}

/// One visit with at most one accident; `None`: the worker died.
fn visit(
    memory: MapMemory,
    plan: Plan<'_>,
    saved: &mut JobState,
    accident: Option<(u8, usize)>,
) -> (MapMemory, Option<Visit>) {
    with_card(&PROFILE, memory, |card| {
        let mut store = SoftKeyStore::<2, 1>::new();
        store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
        store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
        let mut worker = Worker::new(plan, *saved);
        let (mut out, mut key_out, mut answer) = ([0; OUT_LEN], [0; OUT_LEN], vec![]);
        let (mut commands, mut savings) = (0, 0);
        let mut input = Input::Start([saved.visits as u8; 32]);
        for _ in 0..3000 {
            input = match worker.step(input, &mut out).unwrap() {
                Step::Send(command) => {
                    commands += 1;
                    let happens =
                        accident.filter(|&(_, step)| step + 1 == commands).map(|(kind, _)| kind % 8);
                    if happens != Some(0) {
                        answer = card.send(command);
                    }
                    match happens {
                        Some(0 | 1) => Input::Lost,
                        // The worker dies with a command at the card.
                        Some(2) => return None,
                        // The card loses power right after it.
                        Some(3) => {
                            card.power_on();
                            Input::Lost
                        }
                        _ => Input::Response(&answer),
                    }
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Persist(state) => {
                    savings += 1;
                    let happens =
                        accident.filter(|&(_, step)| step % 8 + 1 == savings).map(|(kind, _)| kind % 8);
                    if happens != Some(4) {
                        *saved = JobState::from_bytes(&state.to_bytes()).unwrap();
                    }
                    match happens {
                        Some(4 | 5) => return None,
                        Some(6) => Input::Lost,
                        _ => Input::Continue,
                    }
                }
                Step::Progress(_) => Input::Continue,
                Step::Done(visit) => {
                    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
                    return Some(visit);
                }
            };
        }
        panic!("the visit does not end");
    })
}

/// Everything but the sequence counters, which count sessions.
fn content(memory: &MapMemory) -> BTreeMap<(u8, u16), Vec<u8>> {
    let mut objects = memory.objects.clone();
    objects.retain(|(instance, id), _| (*instance, id >> 8) != (0, 3));
    objects
}

fn ended_as_said(ended: Option<Visit>, model: &Model) {
    match (ended, model.stops_at) {
        (Some(Visit::Complete), None) => {}
        (Some(Visit::Stopped { goal, fault }), Some(at)) => {
            assert_eq!((goal, fault.kind), (at, FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND)));
        }
        other => panic!("{other:?}"),
    }
}

/// The body of the fuzz target and of the property test.
pub fn any_goals_with_kills(input: &[u8]) {
    let Some((&count, rest)) = input.split_first() else { return };
    let Some((kinds, rest)) = rest.split_at_checked(usize::from(count % 6)) else { return };
    let goals: Vec<_> = kinds.iter().copied().map(goal).collect();
    let keys = [(0x31, NEW), (0x30, TEST)];
    let plan = Plan { aid: None, keys: &keys, level: Level::All, goals: &goals };
    let model = Model::of(&goals);

    let (undisturbed, ended) = visit(new_memory(&Factory::TEST), plan, &mut JobState::new(1), None);
    ended_as_said(ended, &model);
    model.holds(undisturbed.clone());

    let (mut memory, mut saved) = (new_memory(&Factory::TEST), JobState::new(1));
    for &[kind, high, low] in rest.as_chunks().0.iter().take(12) {
        let step = usize::from(u16::from_be_bytes([high, low]) % 64);
        let (after, ended) = visit(memory, plan, &mut saved, Some((kind, step)));
        memory = after;
        match ended {
            None | Some(Visit::Again(_)) => {}
            ended => ended_as_said(ended, &model),
        }
    }
    let (memory, ended) = visit(memory, plan, &mut saved, None);
    ended_as_said(ended, &model);
    assert_eq!(content(&memory), content(&undisturbed), "{goals:?}");
    model.holds(memory);
}
