//! Jobs on cards of every protocol: SCP03 in both modes, SCP02 with and without a handshake, the link cut at every command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Install, KeyError, KeyRef, KeyStore, Personalise, SoftKeyStore, Stage,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp02;
use huiwan_gp::scp03::{Mode, Options};
use huiwan_gp::secure_channel::Level;
use support::*;

const AES: KeyRef = KeyRef::direct(1);
const NEW_AES: KeyRef = KeyRef::direct(2);
const DES: KeyRef = KeyRef::direct(3);
const NEW_DES: KeyRef = KeyRef::direct(4);
const APP: Aid = Aid::from_array(TOY_AID);
const OTHER: Aid = Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x03]);
const SCRIPT: [Grouping<'static>; 2] = [
    Grouping { id: 0x8000, value: &[0x77; 48], encrypt: true },
    Grouping { id: 0x0102, value: &[0x5A; 300], encrypt: false },
];

fn store() -> SoftKeyStore<4, 1> {
    let mut store = SoftKeyStore::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 24], &[0x22; 24], &[0x33; 24]).unwrap();
    store.insert_des(3, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_des(4, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store
}

fn issued(aid: Aid) -> Goal<'static> {
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

/// A kind of card, and how a worker meets it.
struct Kind {
    profile: CardProfile,
    implicit: Option<scp02::Options>,
    keys: &'static [(u8, KeyRef)],
    level: Level,
    goals: Vec<Goal<'static>>,
}

impl Kind {
    fn new(
        profile: CardProfile,
        level: Level,
        keys: &'static [(u8, KeyRef)],
        change: Option<Goal<'static>>,
    ) -> Self {
        let goals = change.into_iter().chain([issued(APP), issued(OTHER), Goal::Locked(OTHER)]).collect();
        Self { profile, implicit: None, keys, level, goals }
    }

    fn memory(&self) -> MapMemory {
        let mut factory = Factory::TEST;
        if self.profile.scp02.is_some() {
            factory = factory.with_scp02_test_keys();
        }
        let memory = new_memory(&factory);
        let Some(options) = self.implicit else { return memory };
        // Only the DES keys stay, so that the counter the card tells is theirs.
        with_card(&self.profile, memory, |card| {
            let keys = scp02::StaticKeys::base(&TEST_KEY).unwrap();
            let aid = self.profile.issuer_aid;
            let mut session = Open::implicit(options, &keys, scp02::Sequence::ZERO, aid.as_bytes()).unwrap();
            let (_, sw) = run(card, &mut session, &apdu([0x80, 0xE4, 0x00, 0x00], &[0xD2, 0x01, 0x30]));
            assert_eq!(sw, 0x9000);
        })
        .0
    }

    /// One visit; the link breaks at this command, before the card hears it or after.
    fn visit(
        &self,
        memory: MapMemory,
        saved: &mut JobState,
        lost: Option<(usize, bool)>,
    ) -> (MapMemory, Visit) {
        let plan = Plan { aid: None, keys: self.keys, level: self.level, goals: &self.goals };
        with_card(&self.profile, memory, |card| {
            let mut store = store();
            let mut worker = Worker::new(plan, *saved);
            if let Some(options) = self.implicit {
                worker = worker.with_implicit(options);
            }
            let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
            let (mut sent, mut answer) = (0, vec![]);
            let mut input = Input::Start([7; 32]);
            for _ in 0..2000 {
                input = match worker.step(input, &mut out).unwrap() {
                    Step::Send(command) => {
                        let breaks = lost.filter(|&(at, _)| at == sent);
                        sent += 1;
                        if breaks.is_none_or(|(_, heard)| heard) {
                            answer = card.send(command);
                        }
                        if breaks.is_some() { Input::Lost } else { Input::Response(&answer) }
                    }
                    Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                    Step::Persist(state) => {
                        *saved = state;
                        Input::Continue
                    }
                    Step::Progress(_) => Input::Continue,
                    Step::Done(visit) => {
                        assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
                        return visit;
                    }
                };
            }
            panic!("the visit does not end");
        })
    }
}

fn kinds() -> Vec<Kind> {
    const BOTH_AES: &[(u8, KeyRef)] = &[(0x31, NEW_AES), (0x30, AES)];
    const BOTH_DES: &[(u8, KeyRef)] = &[(0x21, NEW_DES), (0x20, DES)];
    const BASE: CardProfile = CardProfile::DEFAULT;
    let s16 = |options: Options| BASE.with_scp03(options.with_mode(Mode::S16));
    let aes = Some(Goal::Keys { key: NEW_AES, version: 0x31, retire: Some(0x30) });
    let des = Some(Goal::Keys { key: NEW_DES, version: 0x21, retire: Some(0x20) });
    let mut kinds = vec![
        Kind::new(s16(Options::I70), Level::All, BOTH_AES, aes),
        Kind::new(s16(Options::I00), Level::CMacCEnc, BOTH_AES, aes),
        // A card that speaks S8 and SCP02 beside S16 is asked in S8 first.
        Kind::new(s16(Options::I70).with_scp02(scp02::Options::I75), Level::All, BOTH_AES, aes),
    ];
    for options in [scp02::Options::I15, scp02::Options::I55, scp02::Options::I05] {
        kinds.push(Kind::new(BASE.with_scp02(options), Level::CMacCEnc, BOTH_DES, des));
    }
    kinds.push(Kind::new(BASE.with_scp02(scp02::Options::I35), Level::CMacCEncRMac, BOTH_DES, des));
    // The first keys are none this card knows: without a handshake only its first command shows that.
    for options in [scp02::Options::I0A, scp02::Options::I0B, scp02::Options::I1A, scp02::Options::I1B] {
        let kind = Kind::new(BASE.with_scp02(options), Level::CMac, BOTH_DES, None);
        kinds.push(Kind { implicit: Some(options), ..kind });
    }
    kinds
}

/// Everything but the sequence counters, which count sessions.
fn content(memory: &MapMemory) -> BTreeMap<(u8, u16), Vec<u8>> {
    let mut objects = memory.objects.clone();
    objects.retain(|(instance, id), _| (*instance, id >> 8) != (0, 3));
    objects
}

#[test]
fn whatever_breaks_where_the_card_ends_the_same() {
    for (number, kind) in kinds().iter().enumerate() {
        let (whole, visit) = kind.visit(kind.memory(), &mut JobState::new(1), None);
        assert_eq!(visit, Visit::Complete, "{number}");
        // A second job with the same plan finds nothing to do.
        let (again, visit) = kind.visit(whole.clone(), &mut JobState::new(2), None);
        assert_eq!((visit, content(&again)), (Visit::Complete, content(&whole)), "{number}");
        let _ = with_card(&kind.profile, whole.clone(), |card| {
            assert_eq!(card.sw(&select(&TOY_AID)), 0x9000);
            let record = card.send(&[0x80, 0x10, 0x80, 0x00, 0x00]);
            assert_eq!(record, [&[0x77; 48][..], &[0x90, 0x00]].concat(), "{number}");
            assert_eq!(card.sw(&select(OTHER.as_bytes())), 0x6A82, "locked");
        });
        for heard in [false, true] {
            for at in 0.. {
                let mut saved = JobState::new(1);
                let (memory, visit) = kind.visit(kind.memory(), &mut saved, Some((at, heard)));
                if visit == Visit::Complete {
                    assert!(at > 15, "{number}: {at} commands");
                    break;
                }
                assert!(matches!(visit, Visit::Again(_)), "{number} {at} {visit:?}");
                let (memory, visit) = kind.visit(memory, &mut saved, None);
                assert_eq!(visit, Visit::Complete, "{number} {at} {heard}");
                assert_eq!(content(&memory), content(&whole), "{number} {at} {heard}");
            }
        }
    }
}

#[test]
fn without_a_handshake_keys_are_not_changed_and_levels_not_lowered() {
    let options = scp02::Options::I1A;
    let change = Some(Goal::Keys { key: NEW_DES, version: 0x21, retire: Some(0x20) });
    let kind = Kind::new(CardProfile::DEFAULT.with_scp02(options), Level::CMac, &[(0x20, DES)], change);
    let kind = Kind { implicit: Some(options), ..kind };
    let memory = kind.memory();
    let (after, visit) = kind.visit(memory.clone(), &mut JobState::new(1), None);
    let Visit::Stopped { goal: 0, fault } = visit else { panic!("{visit:?}") };
    assert_eq!((fault.stage, fault.kind), (Stage::PutKey, FaultKind::NotProvable));
    assert_eq!(content(&after), content(&memory));
    // No keys that fit.
    let strange = Kind { keys: &[(0x20, NEW_DES)], goals: vec![issued(APP)], ..kind };
    let (after, visit) = strange.visit(memory.clone(), &mut JobState::new(1), None);
    let Visit::Stopped { fault, .. } = visit else { panic!("{visit:?}") };
    assert_eq!((fault.stage, fault.kind), (Stage::GetStatus, FaultKind::Status(Sw::SECURITY_STATUS)));
    assert_eq!(after.objects, memory.objects, "not even a counter moved");
    // Encryption is not to be had; nothing is sent without it that was meant to have it.
    let encrypted = Kind { level: Level::CMacCEnc, keys: &[(0x20, DES)], ..strange };
    let (after, visit) = encrypted.visit(memory.clone(), &mut JobState::new(1), None);
    let Visit::Stopped { fault, .. } = visit else { panic!("{visit:?}") };
    assert_eq!((fault.stage, fault.kind), (Stage::Initiate, FaultKind::Key(KeyError::Level)));
    assert_eq!(after.objects, memory.objects);
}
