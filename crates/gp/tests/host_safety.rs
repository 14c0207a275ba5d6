//! What the host must not do, whoever asks: print secrets, send them in the clear, take away the keys it stands on, keep sessions of cards
//! that are gone.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::Aid;
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::host::key_store::{Chaining, PinBlock, PinFormat, ZoneValue};
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::tsm_job::{self, Goal, JobState, Plan, Visit, Worker};
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Input, Install, Job, KeyAnswer, KeyError, KeyHandle, KeyRef, KeyRequest,
    KeyStore, Manager, Misuse, OpenChannel, OpenImplicit, Outcome, Personalise, PutKeys, SecurePremises,
    SessionId, SoftKeyStore, Stage, Step,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp02;
use huiwan_gp::secure_channel::Level;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::direct(2);
const STRANGE: KeyRef = KeyRef::direct(3);
const DES: KeyRef = KeyRef::direct(4);
const SAME: KeyRef = KeyRef::direct(5);
const APP: Aid = Aid::from_array(TOY_AID);

type Store = SoftKeyStore<5, 2>;

fn store() -> Store {
    let mut store = Store::new();
    for id in [1, 5] {
        store.insert(id, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    }
    store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store.insert(3, &[0x44; 16], &[0x55; 16], &[0x66; 16]).unwrap();
    store.insert_des(4, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store
}

fn sessions(store: &Store) -> usize {
    (0..3).find(|count| format!("{store:?}").contains(&format!("sessions: {count}"))).unwrap()
}

/// Runs one task over a link; how it ended, and the commands on the link.
fn run_over<'j>(
    mut link: impl FnMut(&[u8]) -> Vec<u8>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Outcome, Vec<Vec<u8>>) {
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut sent = vec![];
    let mut answer: Vec<u8>;
    let mut input = Input::Start(job);
    for _ in 0..1000 {
        input = match manager.step(input, &mut out).unwrap() {
            Step::Send(command) => {
                sent.push(command.to_vec());
                answer = link(command);
                Input::Response(&answer)
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Answer { .. } | Step::Stored { .. } => Input::Continue,
            Step::Done(outcome) => return (outcome, sent),
        };
    }
    panic!("the task does not end");
}

fn run_on<'j>(
    card: &mut Card<'_, MapMemory>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Outcome, Vec<Vec<u8>>) {
    run_over(|command| card.send(command), store, manager, job)
}

fn open_job(key: KeyRef, key_version: u8, level: Level) -> Job<'static> {
    Job::Open(OpenChannel { aid: None, key_version, key, level, host_challenge: [9; 16].into() })
}

fn fault((outcome, sent): (Outcome, Vec<Vec<u8>>)) -> (Stage, FaultKind, usize) {
    match outcome {
        Outcome::Fault(fault) => (fault.stage, fault.kind, sent.len()),
        Outcome::Complete => panic!("complete after {} commands", sent.len()),
    }
}

fn install() -> Install<'static> {
    Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: APP,
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", ..Parameters::default() },
        make_selectable: true,
    }
}

#[test]
fn secrets_are_not_printed() {
    // 4B is what is secret, in hexadecimal and decimal.
    let secret = [0x4B; 16];
    let shows = |text: String| text.contains("4B") || text.contains("75");
    let (session, zone) = (SessionId(1), KeyHandle(2));
    let store_data = [&[0x80, 0xE2, 0x80, 0x00, 0x10][..], &secret].concat();
    let pin = PinBlock { format: PinFormat::Iso0, account: &[0x4B; 12], block: &secret[..8], pad: false };
    let value = ZoneValue { chaining: Chaining::Ecb, data: &secret, pad: false };
    for request in [
        KeyRequest::Encrypt { session, data: &secret },
        KeyRequest::Wrap { session, command: &store_data },
        KeyRequest::Reencrypt { session, zone, value },
        KeyRequest::TranslatePinBlock { session, zone, pin },
    ] {
        assert!(!shows(format!("{request:?}")), "{request:?}");
        assert!(!shows(format!("{:?}", Step::Key(request))));
        assert!(!shows(format!("{:?}", tsm_job::Step::Key(request))));
    }
    assert!(!shows(format!("{pin:?} {value:?}")));
    // The header of a command is no secret.
    let text = format!("{:?}", KeyRequest::Wrap { session, command: &store_data });
    assert!(text.contains("80E28000") && text.contains("21 bytes"), "{text}");

    let script = [Grouping { id: 0x8000, value: &secret, encrypt: true }];
    let personalise = Personalise::new(Some(APP), &script, Coding::GP);
    let goal = Goal::Issued { install: install(), personalise };
    for text in [
        format!("{script:?}"),
        format!("{:?}", Job::Personalise(personalise)),
        format!("{goal:?}"),
        format!("{:?}", KeyAnswer::Bytes(&secret)),
    ] {
        assert!(!shows(text.clone()), "{text}");
    }
}

#[test]
fn a_card_lost_between_tasks_gives_its_session_back() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        let mut out = [0; OUT_LEN];
        assert_eq!(manager.step(Input::CardLost, &mut out), Err(Misuse::UnexpectedInput));
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        assert_eq!(sessions(store), 1);
        let Ok(Step::Key(request)) = manager.step(Input::CardLost, &mut out) else { panic!("no request") };
        let mut key_out = [0; OUT_LEN];
        let answer = store.answer(&request, &mut key_out);
        assert_eq!(sessions(store), 0);
        let Ok(Step::Done(Outcome::Fault(fault))) = manager.step(Input::Key(answer), &mut out) else {
            panic!("not over")
        };
        assert_eq!(fault.kind, FaultKind::CardLost);
        assert_eq!(manager.channel(), None);
        assert_eq!(manager.step(Input::CardLost, &mut out), Err(Misuse::UnexpectedInput));
    });
}

#[test]
fn a_session_that_cannot_go_on_is_given_back() {
    // An answer longer than any card's: the response MACs behind it can no longer be checked.
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let long = |_: &[u8]| vec![0x90; OUT_LEN + 2];
        let (_, kind, _) = fault(run_over(long, store, manager, Job::GetData(huiwan_tlv::Tag::new(0xE0))));
        assert!(matches!(kind, FaultKind::Malformed(_)), "{kind:?}");
        assert_eq!((manager.channel(), sessions(store)), (None, 0));
    });
    // A key store that does not answer may have moved on with its counter.
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let mut out = [0; OUT_LEN];
        let job = Job::GetData(huiwan_tlv::Tag::new(0xE0));
        assert!(matches!(manager.step(Input::Start(job), &mut out), Ok(Step::Key(KeyRequest::Wrap { .. }))));
        let away = Input::Key(KeyAnswer::Refused(KeyError::Unavailable));
        let Ok(Step::Key(KeyRequest::Close(_))) = manager.step(away, &mut out) else { panic!("not closed") };
        let done = manager.step(Input::Key(KeyAnswer::Bytes(&[])), &mut out);
        assert!(matches!(done, Ok(Step::Done(Outcome::Fault(_)))), "{done:?}");
        assert_eq!(manager.channel(), None);
    });
    // A command that is too long changes nothing: the channel stays.
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let long = apdu([0x80, 0xE2, 0x80, 0x00], &[0; 250]);
        let (_, kind, sent) = fault(run_on(card, store, manager, Job::Command(&long)));
        assert_eq!((kind, sent), (FaultKind::Key(KeyError::TooLong), 0));
        assert_eq!(
            run_on(card, store, manager, Job::GetData(huiwan_tlv::Tag::new(0xE0))).0,
            Outcome::Complete
        );
    });
}

#[test]
fn the_keys_of_the_channel_are_not_deleted() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        for (id, version) in [(None, Some(0x30)), (Some(1), Some(0x30)), (Some(3), None)] {
            let job = Job::Delete(Target::Key { id, version });
            let ended = fault(run_on(card, store, manager, job));
            assert_eq!(ended, (Stage::Delete, FaultKind::KeysInUse(0x30), 0));
        }
        // What is not in use is asked for; this card has none of them, which is what was wanted.
        for (id, version) in [(None, Some(0x31)), (Some(0x11), Some(0x30))] {
            let (outcome, sent) = run_on(card, store, manager, Job::Delete(Target::Key { id, version }));
            assert_eq!((outcome, sent.len()), (Outcome::Complete, 1));
        }
    });
}

#[test]
fn without_a_handshake_old_keys_stay() {
    let profile = PROFILE.with_scp02(scp02::Options::I1A);
    with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        let open = OpenImplicit {
            aid: None,
            options: scp02::Options::I1A,
            key_version: 0x20,
            key: DES,
            sequence: Some(scp02::Sequence::from_bytes([0, 0])),
            key_diversification: None,
        };
        assert_eq!(run_on(card, store, manager, Job::OpenImplicit(open)).0, Outcome::Complete);
        let put = PutKeys { key: DES, version: 0x21, remove_old: true, host_challenge: [8; 16].into() };
        // The new ones cannot open a channel: nothing proves them.
        let (outcome, sent) = run_on(card, store, manager, Job::PutKeys(put));
        assert!(sent.iter().all(|command| command[1] != 0xE4));
        assert_eq!(fault((outcome, sent)).0, Stage::InitializeUpdate);
        assert_eq!((manager.channel(), sessions(store)), (None, 0));
        assert_eq!(
            run_on(
                card,
                store,
                manager,
                Job::OpenImplicit(OpenImplicit {
                    sequence: Some(scp02::Sequence::from_bytes([0, 1])),
                    ..open
                })
            )
            .0,
            Outcome::Complete
        );
        let (outcome, _) = run_on(card, store, manager, Job::GetData(huiwan_tlv::Tag::new(0xE0)));
        assert_eq!(outcome, Outcome::Complete);
    });
}

#[test]
fn old_keys_stay_if_the_card_proves_others_than_the_new_ones() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        // A card that does not look at the version asked for, and new keys that are the old ones.
        let mut deletes = 0;
        let link = |command: &[u8]| {
            let mut command = command.to_vec();
            if command[1] == 0x50 {
                command[2] = 0x30;
            }
            deletes += usize::from(command[1] == 0xE4);
            card.send(&command)
        };
        let put = PutKeys { key: SAME, version: 0x31, remove_old: true, host_challenge: [8; 16].into() };
        let (stage, kind, _) = fault(run_over(link, store, manager, Job::PutKeys(put)));
        assert_eq!((stage, kind, deletes), (Stage::ExternalAuthenticate, FaultKind::OtherVersion(0x30), 0));
    });
}

#[test]
fn a_key_store_that_names_another_version_brings_no_keys() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let put = PutKeys { key: NEW, version: 0x31, remove_old: true, host_challenge: [8; 16].into() };
        let mut answer: Vec<u8>;
        let mut input = Input::Start(Job::PutKeys(put));
        let outcome = loop {
            input = match manager.step(input, &mut out).unwrap() {
                Step::Send(command) => {
                    answer = card.send(command);
                    Input::Response(&answer)
                }
                Step::Key(KeyRequest::ExportKeys { session, key, ref key_diversification, .. }) => {
                    let block = store.export_keys(session, key, 0x32, key_diversification, &mut key_out);
                    Input::Key(KeyAnswer::Bytes(block.unwrap()))
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Done(outcome) => break outcome,
                _ => Input::Continue,
            };
        };
        assert_eq!(fault((outcome, vec![])).1, FaultKind::Malformed("key store answer"));
    });
}

#[test]
fn secrets_do_not_go_in_the_clear() {
    let in_the_clear = |id| [Grouping { id, value: &[0x77; 16], encrypt: false }];
    for (level, id, goes) in [
        (Level::CMac, 0x8000, false),
        (Level::CMacRMac, 0x8010, false),
        (Level::CMacCEnc, 0x8000, true),
        (Level::All, 0x8201, true),
        (Level::CMac, 0x9000, true),
    ] {
        let script = in_the_clear(id);
        with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, level)).0, Outcome::Complete);
            assert_eq!(run_on(card, store, manager, Job::Install(install())).0, Outcome::Complete);
            let job = Personalise::new(Some(APP), &script, Coding::GP);
            let ended = run_on(card, store, manager, Job::Personalise(job));
            if goes {
                assert_eq!(ended.0, Outcome::Complete, "{level:?} {id:04X}");
            } else {
                let stage = Stage::StoreData { index: 0, id };
                assert_eq!(fault(ended), (stage, FaultKind::SecretInClear, 0), "{level:?} {id:04X}");
                // Behind locked doors it may.
                let job = job.without_mac(SecurePremises::i_know());
                let ended = run_on(card, store, manager, Job::Personalise(job));
                assert_eq!(ended.0, Outcome::Complete);
            }
        });
    }
}

const OLD_FIRST: [(u8, KeyRef); 2] = [(0x30, TEST), (0x31, NEW)];

fn visit(
    memory: MapMemory,
    keys: &'static [(u8, KeyRef)],
    goals: &[Goal<'_>],
) -> (MapMemory, (Visit, Vec<Vec<u8>>)) {
    with_card(&PROFILE, memory, |card| {
        let mut store = store();
        let plan = Plan { aid: None, keys, level: Level::CMac, goals };
        let mut worker = Worker::new(plan, JobState::new(1));
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let mut sent = vec![];
        let mut answer: Vec<u8>;
        let mut input = tsm_job::Input::Start(core::array::from_fn(|place| place as u8));
        loop {
            input = match worker.step(input, &mut out).unwrap() {
                tsm_job::Step::Send(command) => {
                    sent.push(command.to_vec());
                    answer = card.send(command);
                    tsm_job::Input::Response(&answer)
                }
                tsm_job::Step::Key(request) => tsm_job::Input::Key(store.answer(&request, &mut key_out)),
                tsm_job::Step::Done(visit) => {
                    assert_eq!(sessions(&store), 0);
                    return (visit, sent);
                }
                _ => tsm_job::Input::Continue,
            };
        }
    })
}

/// A card with its first keys and others under version 31.
fn two_sets(others: KeyRef) -> MapMemory {
    let (memory, ()) = with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let put = PutKeys { key: others, version: 0x31, remove_old: false, host_challenge: [8; 16].into() };
        assert_eq!(run_on(card, store, manager, Job::PutKeys(put)).0, Outcome::Complete);
    });
    memory
}

fn opens(memory: MapMemory, key: KeyRef, version: u8) -> bool {
    let (_, outcome) = with_card(&PROFILE, memory, |card| {
        run_on(card, &mut store(), &mut Manager::new(), open_job(key, version, Level::All)).0
    });
    outcome == Outcome::Complete
}

#[test]
fn a_job_does_not_retire_keys_before_the_new_ones_have_opened_a_channel() {
    let goals = [Goal::Keys { key: NEW, version: 0x31, retire: Some(0x30) }];
    // Somebody else's keys are under the new version: the old ones are all that the TSM has.
    let (memory, (ended, sent)) = visit(two_sets(STRANGE), &OLD_FIRST, &goals);
    let Visit::Stopped { goal: 0, fault } = ended else { panic!("{ended:?}") };
    assert_eq!(fault.kind, FaultKind::Key(KeyError::CardCryptogram));
    assert!(sent.iter().all(|command| command[1] != 0xE4));
    assert!(opens(memory, TEST, 0x30));
    // The new ones are there, from a visit that broke off: they are proved first.
    let (memory, (ended, _)) = visit(two_sets(NEW), &OLD_FIRST, &goals);
    assert_eq!(ended, Visit::Complete);
    assert!(!opens(memory.clone(), TEST, 0x30) && opens(memory, NEW, 0x31));
}

#[test]
fn a_job_does_not_retire_the_version_it_is_to_bring() {
    const TEST_FIRST: [(u8, KeyRef); 1] = [(0x30, TEST)];
    let goals = [Goal::Keys { key: TEST, version: 0x30, retire: Some(0x30) }];
    let (memory, (ended, _)) = visit(new_memory(&Factory::TEST), &TEST_FIRST, &goals);
    let Visit::Stopped { goal: 0, fault } = ended else { panic!("{ended:?}") };
    assert_eq!((fault.stage, fault.kind), (Stage::Delete, FaultKind::KeysInUse(0x30)));
    assert!(opens(memory, TEST, 0x30));
}

#[test]
fn an_application_locked_before_it_was_personalised_is_not_issued() {
    const TEST_FIRST: [(u8, KeyRef); 1] = [(0x30, TEST)];
    let (memory, ()) = with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        assert_eq!(run_on(card, store, manager, open_job(TEST, 0x30, Level::All)).0, Outcome::Complete);
        let install = Install { make_selectable: false, ..install() };
        assert_eq!(run_on(card, store, manager, Job::Install(install)).0, Outcome::Complete);
        let lock = huiwan_gp::host::Transition::LockApplication(APP);
        assert_eq!(run_on(card, store, manager, Job::SetStatus(lock)).0, Outcome::Complete);
    });
    let script = [Grouping { id: 0x0101, value: b"a record", encrypt: false }];
    let goals =
        [Goal::Issued { install: install(), personalise: Personalise::new(Some(APP), &script, Coding::GP) }];
    let (_, (ended, _)) = visit(memory, &TEST_FIRST, &goals);
    assert!(matches!(ended, Visit::Stopped { goal: 0, .. }), "{ended:?}");
}

#[test]
fn new_faults_say_what_to_do() {
    use huiwan_gp::host::Fault;
    for (kind, what) in [
        (FaultKind::KeysInUse(0x30), "30"),
        (FaultKind::OtherVersion(0x30), "30"),
        (FaultKind::SecretInClear, "clear"),
    ] {
        let text = Fault { stage: Stage::Delete, kind }.to_string();
        assert!(text.contains(what) && text.matches("; ").count() >= 2, "{text}");
        assert!(!text.contains("its own reason"), "{text}");
    }
}
