//! The host's manager against our own card: whole tasks, refusals in words, links that break anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::{Aid, Sw};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::get_status::{self, Scope};
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Input, Install, Irrevocable, Job, KeyError, KeyRef, KeyStore, Manager,
    Misuse, OpenChannel, Outcome, Personalise, PutKeys, SoftKeyStore, Stage, Step, Transition,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::key_information;
use huiwan_gp::life_cycle::CardState;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::Level;
use huiwan_gp::store_data::DgiPadding;
use huiwan_tlv::Tag;
use support::*;

const PROFILE: CardProfile = CardProfile::DEFAULT;
const TEST: KeyRef = KeyRef::direct(1);
const NEW: KeyRef = KeyRef::direct(2);
const STRANGE: KeyRef = KeyRef::direct(3);

type Store = SoftKeyStore<4, 2>;

fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 32], &[0x22; 32], &[0x33; 32]).unwrap();
    store.insert(3, &[0x44; 16], &[0x55; 16], &[0x66; 16]).unwrap();
    store
}

/// A card with SCP02 keys under version 20 beside the others.
fn des_profile() -> CardProfile {
    CardProfile::DEFAULT.with_scp02(huiwan_gp::scp02::Options::I75)
}

fn open_job(key: KeyRef, key_version: u8, level: Level) -> Job<'static> {
    Job::Open(OpenChannel { aid: None, key_version, key, level, host_challenge: [9; 16].into() })
}

/// What a task brought.
#[derive(Debug, Default)]
struct Report {
    answers: Vec<(Vec<u8>, u16)>,
    stored: Vec<(usize, u16)>,
    sent: usize,
}

/// Runs one task; `lost_at` is the number of the command whose answer never comes.
fn run_until<'j>(
    card: &mut Card<'_, MapMemory>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
    lost_at: Option<usize>,
) -> (Outcome, Report) {
    let mut report = Report::default();
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut answer: Vec<u8>;
    let mut step = manager.step(Input::Start(job), &mut out).unwrap();
    for _ in 0..1000 {
        let input = match step {
            Step::Send(command) => {
                answer = card.send(command);
                report.sent += 1;
                if lost_at == Some(report.sent - 1) { Input::CardLost } else { Input::Response(&answer) }
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Answer { data, sw } => {
                report.answers.push((data.to_vec(), sw.value()));
                Input::Continue
            }
            Step::Stored { index, id } => {
                report.stored.push((index, id));
                Input::Continue
            }
            Step::Done(outcome) => return (outcome, report),
        };
        step = manager.step(input, &mut out).unwrap();
    }
    panic!("the task does not end");
}

fn run_job<'j>(
    card: &mut Card<'_, MapMemory>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> Report {
    let (outcome, report) = run_until(card, store, manager, job, None);
    assert_eq!(outcome, Outcome::Complete, "{job:?}");
    report
}

fn fault<'j>(
    card: &mut Card<'_, MapMemory>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
) -> (Stage, FaultKind, String) {
    match run_until(card, store, manager, job, None).0 {
        Outcome::Fault(fault) => (fault.stage, fault.kind, fault.to_string()),
        outcome => panic!("{outcome:?}"),
    }
}

fn install<'j>() -> Job<'j> {
    Job::Install(Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: Aid::new(&TOY_AID).unwrap(),
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", label: Some(b"Toy"), ..Parameters::default() },
        make_selectable: true,
    })
}

fn toy_reads(card: &mut Card<'_, MapMemory>, object: u16) -> Vec<u8> {
    assert_eq!(card.sw(&apdu([0x00, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
    let [p1, p2] = object.to_be_bytes();
    card.send(&apdu([0x80, 0x10, p1, p2], &[]))
}

#[test]
fn the_same_tasks_over_scp02_and_s16() {
    use huiwan_gp::scp03::{Mode, Options};
    use huiwan_gp::secure_channel::Scp;
    let (scp02, long) = (des_profile(), CardProfile::DEFAULT.with_scp03(Options::I70.with_mode(Mode::S16)));
    let both = des_profile().with_scp03(Options::I70.with_mode(Mode::S16));
    const DES: KeyRef = KeyRef::direct(4);
    for (profile, key, version, level) in [
        (&scp02, DES, 0x20, Level::CMacCEnc),
        (&scp02, DES, 0x20, Level::CMacCEncRMac),
        (&scp02, TEST, 0x30, Level::All),
        (&long, TEST, 0x30, Level::All),
        // S8 is tried first here, since the card speaks SCP02 too; it answers 6700.
        (&both, TEST, 0x30, Level::All),
        (&both, DES, 0x20, Level::CMacRMac),
    ] {
        with_card(profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            store.insert_des(4, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
            let open = Job::Open(OpenChannel {
                aid: None,
                key_version: version,
                key,
                level,
                host_challenge: [9; 16].into(),
            });
            run_job(card, store, manager, open);
            let channel = *manager.channel().unwrap();
            assert_eq!(matches!(channel.protocol, Scp::Scp02(_)), key == DES);
            assert_eq!(channel.key_version, version);
            run_job(card, store, manager, install());
            let long: Vec<u8> = (0..250).map(|n| (n % 256) as u8).collect();
            let script = [
                Grouping { id: 0x0101, value: &long[..200], encrypt: false },
                Grouping { id: 0x8000, value: &long[..48], encrypt: true },
                Grouping { id: 0x8202, value: &long, encrypt: true },
            ];
            let personalise =
                Job::Personalise(Personalise::new(Some(Aid::new(&TOY_AID).unwrap()), &script, Coding::GP));
            assert_eq!(run_job(card, store, manager, personalise).stored.len(), 3);
            // New AES keys come in under the session's own protection, and prove themselves over SCP03.
            let put = PutKeys { key: NEW, version: 0x31, remove_old: true, host_challenge: [8; 16].into() };
            run_job(card, store, manager, Job::PutKeys(put));
            assert!(matches!(manager.channel().unwrap().protocol, Scp::Scp03(_)));
            // And DES keys, over SCP03.
            if profile.scp02.is_some() && level != Level::All {
                let put =
                    PutKeys { key: DES, version: 0x21, remove_old: false, host_challenge: [7; 16].into() };
                run_job(card, store, manager, Job::PutKeys(put));
                assert!(matches!(manager.channel().unwrap().protocol, Scp::Scp02(_)));
            }
            card.power_on();
            assert_eq!(toy_reads(card, 0x8202), [&long[..], &[0x90, 0x00]].concat());
            assert_eq!(toy_reads(card, 0x8000), [&long[..48], &[0x90, 0x00]].concat());
        });
    }
    // A key of another algorithm is named as what is wrong.
    with_card(&scp02, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let (_, kind, _) = fault(card, &mut store(), &mut Manager::new(), open_job(TEST, 0x20, Level::CMac));
        assert_eq!(kind, FaultKind::Key(KeyError::Algorithm));
    });
}

#[test]
fn whole_life_of_an_application() {
    for level in [Level::CMac, Level::CMacCEnc, Level::All] {
        with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            let toy = Aid::new(&TOY_AID).unwrap();
            run_job(card, store, manager, open_job(TEST, 0, level));
            assert_eq!(manager.channel().unwrap().aid, PROFILE.issuer_aid);
            assert_eq!(manager.channel().unwrap().key_version, 0x30);
            run_job(card, store, manager, install());
            let long: Vec<u8> = (0..500).map(|n| (n % 256) as u8).collect();
            let script = [
                Grouping { id: 0x0101, value: &long[..200], encrypt: false },
                Grouping { id: 0x8000, value: &long[..48], encrypt: true },
                Grouping { id: 0x8010, value: &long[..8], encrypt: true },
                Grouping { id: 0x8202, value: &long, encrypt: true },
                Grouping { id: 0x0102, value: &[], encrypt: false },
                Grouping { id: 0x0103, value: &long[..254], encrypt: false },
                Grouping { id: 0x0104, value: &long[..255], encrypt: false },
            ];
            let personalise = Job::Personalise(Personalise::new(Some(toy), &script, Coding::GP));
            let report = run_job(card, store, manager, personalise);
            assert_eq!(report.stored.len(), script.len());
            assert_eq!(report.stored[3], (3, 0x8202));
            // The registry in pages, by its beginning, and what is not there.
            let report = run_job(
                card,
                store,
                manager,
                Job::List { scope: Scope::Applications, prefix: &TOY_AID[..5] },
            );
            let entry = get_status::entries(&report.answers[0].0).next().unwrap().unwrap();
            assert_eq!((entry.aid, entry.life_cycle), (&TOY_AID[..], 0x07));
            let report =
                run_job(card, store, manager, Job::List { scope: Scope::Applications, prefix: &[1, 2, 3] });
            assert_eq!(report.answers.len(), 0);
            let report = run_job(card, store, manager, Job::GetData(Tag::new(0x42)));
            assert_eq!(report.answers, [(vec![], 0x6A88)]);
            let report = run_job(card, store, manager, Job::Command(&[0x80, 0xCA, 0x00, 0x66, 0x00]));
            assert_eq!(report.answers[0].1, 0x9000);
            // Every grouping arrived as it was in the script.
            for grouping in &script {
                let mut read = toy_reads(card, grouping.id);
                if grouping.id == 0x8010 {
                    // Half a block of AES: the padding stays, the application knows its lengths.
                    assert_eq!(read.splice(8..16, []).collect::<Vec<_>>(), [0x80, 0, 0, 0, 0, 0, 0, 0]);
                }
                let (data, sw) = read.split_last_chunk::<2>().unwrap();
                // The toy answers 256 bytes at most.
                assert_eq!(*data, grouping.value[..grouping.value.len().min(256)], "{:04X}", grouping.id);
                assert_eq!(*sw, [0x90, 0x00]);
            }
            // Locked, unlocked, deleted, deleted again.
            run_job(card, store, manager, open_job(TEST, 0x30, level));
            run_job(card, store, manager, Job::SetStatus(Transition::LockApplication(toy)));
            card.power_on();
            assert_eq!(card.sw(&apdu([0x00, 0xA4, 0x04, 0x00], &TOY_AID)), 0x6A82);
            run_job(card, store, manager, open_job(TEST, 0x30, level));
            run_job(card, store, manager, Job::SetStatus(Transition::UnlockApplication(toy)));
            run_job(card, store, manager, Job::Delete(Target::Content(&TOY_AID)));
            run_job(card, store, manager, Job::Delete(Target::Content(&TOY_AID)));
            run_job(card, store, manager, Job::Close);
            assert!(manager.channel().is_none());
        });
    }
}

#[test]
fn keys_change_without_a_moment_of_danger() {
    // The answer to every command in turn is lost; afterwards at least one of the two sets opens a channel, and the task repeated
    // or only its rest leads to the same end.
    for lost_at in (0..12).map(Some).chain([None]) {
        with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            run_job(card, store, manager, open_job(TEST, 0, Level::CMacCEnc));
            let put = PutKeys { key: NEW, version: 0x31, remove_old: true, host_challenge: [3; 16].into() };
            let (outcome, report) = run_until(card, store, manager, Job::PutKeys(put), lost_at);
            let complete = lost_at.is_none_or(|at| at >= report.sent);
            assert_eq!(outcome == Outcome::Complete, complete, "{lost_at:?} {outcome:?}");
            let works = |card: &mut Card<'_, MapMemory>, store: &mut Store, key, version| {
                let mut manager = Manager::new();
                let (outcome, _) =
                    run_until(card, store, &mut manager, open_job(key, version, Level::CMac), None);
                run_job(card, store, &mut manager, Job::Close);
                outcome == Outcome::Complete
            };
            let (old, new) = (works(card, store, TEST, 0x30), works(card, store, NEW, 0x31));
            assert!(old || new, "{lost_at:?}: locked out");
            if complete {
                assert!(!old && new);
                assert_eq!(manager.channel().unwrap().key_version, 0x31);
                // The session under the new keys goes on.
                let report =
                    run_job(card, store, manager, Job::GetData(key_information::TAG_E0_KEY_INFORMATION));
                assert_eq!(report.answers.len(), 1);
            } else if old && new {
                let mut manager = Manager::new();
                run_job(card, store, &mut manager, open_job(TEST, 0x30, Level::CMac));
                let (stage, kind, _) = fault(card, store, &mut manager, Job::PutKeys(put));
                assert_eq!((stage, kind), (Stage::GetData, FaultKind::VersionTaken(0x31)));
                run_job(card, store, &mut manager, open_job(NEW, 0x31, Level::CMac));
                run_job(
                    card,
                    store,
                    &mut manager,
                    Job::Delete(Target::Key { id: None, version: Some(0x30) }),
                );
            }
        });
    }
}

#[test]
fn initial_keys_are_replaced_by_themselves() {
    with_card(&PROFILE, new_memory(&Factory::TEST.with_key_version(0xFF)), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        run_job(card, store, manager, open_job(TEST, 0, Level::CMac));
        let put = PutKeys { key: NEW, version: 0x30, remove_old: true, host_challenge: [3; 16].into() };
        run_job(card, store, manager, Job::PutKeys(put));
        assert_eq!(manager.channel().unwrap().key_version, 0x30);
    });
}

#[test]
fn faults_in_words() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, manager) = (&mut store(), &mut Manager::new());
        let (stage, kind, text) = fault(card, store, manager, open_job(STRANGE, 0, Level::CMac));
        assert_eq!((stage, kind), (Stage::ExternalAuthenticate, FaultKind::Key(KeyError::CardCryptogram)));
        assert_eq!(
            text,
            "external authenticate: card cryptogram is wrong; wrong keys, wrong key version or wrong derivation for \
             this card; nothing was sent that counts as a failed attempt; check the key reference before the next try"
        );
        assert_eq!(
            fault(card, store, manager, open_job(TEST, 0x31, Level::CMac)).1,
            FaultKind::Status(Sw::new(0x6A88))
        );
        assert_eq!(
            fault(card, store, manager, install()).1,
            FaultKind::Status(Sw::SECURITY_STATUS),
            "no channel"
        );
        let put = PutKeys { key: NEW, version: 0x30, remove_old: true, host_challenge: [3; 16].into() };
        assert_eq!(fault(card, store, manager, Job::PutKeys(put)).1, FaultKind::NoChannel);
        run_job(card, store, manager, open_job(TEST, 0x30, Level::All));
        assert_eq!(fault(card, store, manager, Job::PutKeys(put)).1, FaultKind::VersionTaken(0x30));
        run_job(card, store, manager, install());
        let (stage, kind, text) = fault(card, store, manager, install());
        assert_eq!((stage, kind), (Stage::Install, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED)));
        assert!(text.contains("an application of this AID exists"), "{text}");
        let script = [(0x0101, false), (0xDEAD, true), (0x0102, false)].map(|(id, encrypt)| Grouping {
            id,
            value: b"x",
            encrypt,
        });
        let toy = Aid::new(&TOY_AID).unwrap();
        let personalise = Job::Personalise(Personalise::new(Some(toy), &script, Coding::GP));
        let (outcome, report) = run_until(card, store, manager, personalise, None);
        assert_eq!(report.stored, [(0, 0x0101)]);
        let Outcome::Fault(fault_) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault_.stage, Stage::StoreData { index: 1, id: 0xDEAD });
        assert!(fault_.to_string().starts_with("store data of grouping DEAD (number 1): card answered 6A80"));
        let secure = Job::SetStatus(Transition::SecureCard(Irrevocable::i_know()));
        assert_eq!(fault(card, store, manager, secure).1, FaultKind::CardState(CardState::OpReady));
    });
}

#[test]
fn a_changed_response_ends_the_session() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, mut manager) = (&mut store(), Manager::new());
        run_job(card, store, &mut manager, open_job(TEST, 0, Level::All));
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let Step::Key(request) = manager.step(Input::Start(Job::GetData(Tag::new(0x66))), &mut out).unwrap()
        else {
            panic!()
        };
        let answer = store.answer(&request, &mut key_out);
        let mut second = [0; OUT_LEN];
        let Step::Send(command) = manager.step(Input::Key(answer), &mut second).unwrap() else { panic!() };
        let mut response = card.send(command);
        response[3] ^= 0x01;
        let Step::Key(request) = manager.step(Input::Response(&response), &mut out).unwrap() else {
            panic!()
        };
        let answer = store.answer(&request, &mut key_out);
        let Step::Key(close) = manager.step(Input::Key(answer), &mut second).unwrap() else { panic!() };
        let answer = store.answer(&close, &mut key_out);
        let Step::Done(Outcome::Fault(fault)) = manager.step(Input::Key(answer), &mut out).unwrap() else {
            panic!()
        };
        assert_eq!(fault.kind, FaultKind::Key(KeyError::NotAuthentic));
        assert!(manager.channel().is_none());
    });
}

#[test]
fn misuse_changes_nothing() {
    with_card(&PROFILE, new_memory(&Factory::TEST), |card| {
        let (store, mut manager) = (&mut store(), Manager::new());
        let mut out = [0; OUT_LEN];
        assert_eq!(manager.step(Input::Continue, &mut out), Err(Misuse::UnexpectedInput));
        assert_eq!(manager.step(Input::Response(&[0x90, 0x00]), &mut out), Err(Misuse::UnexpectedInput));
        assert_eq!(manager.step(Input::Start(Job::Close), &mut [0; 10]), Err(Misuse::OutputTooSmall));
        let Step::Send(select) =
            manager.step(Input::Start(open_job(TEST, 0, Level::CMac)), &mut out).unwrap()
        else {
            panic!()
        };
        let answer = card.send(select);
        assert_eq!(manager.step(Input::Start(Job::Close), &mut out), Err(Misuse::UnexpectedInput));
        assert_eq!(manager.step(Input::Continue, &mut out), Err(Misuse::UnexpectedInput));
        let _ = store;
        assert!(matches!(manager.step(Input::Response(&answer), &mut out), Ok(Step::Send(_))));
    });
}

#[test]
fn any_card_brings_every_task_to_an_end() {
    // A hostile card: random answers. No panic, no endless task.
    let mut random = huiwan_testkit::rng::Seeded::new(7);
    for round in 0..2000 {
        let (mut store, mut manager) = (store(), Manager::new());
        let script = [Grouping { id: 1, value: &[7; 300], encrypt: true }];
        let jobs = [
            open_job(TEST, 0, Level::All),
            Job::GetData(Tag::new(0x66)),
            Job::List { scope: Scope::Issuer, prefix: &[] },
            Job::Personalise(Personalise::new(
                None,
                &script,
                Coding::GP.with_padding(DgiPadding::WhenNeeded),
            )),
            Job::PutKeys(PutKeys { key: NEW, version: 1, remove_old: true, host_challenge: [0; 16].into() }),
        ];
        let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
        let mut answer;
        let mut step = manager.step(Input::Start(jobs[round % jobs.len()]), &mut out).unwrap();
        let mut steps = 0;
        loop {
            let input = match step {
                Step::Send(_) => {
                    let len = random.below(40) as usize;
                    answer = random.vec(len);
                    let sw = [0x9000_u16, 0x6310, 0x6A88, 0x6985][random.below(4) as usize];
                    answer.extend(sw.to_be_bytes());
                    // Now and then not even a status word.
                    if random.below(10) == 0 {
                        answer.truncate(1);
                    }
                    Input::Response(&answer)
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Done(_) => break,
                _ => Input::Continue,
            };
            steps += 1;
            assert!(steps < 2000, "round {round}");
            step = manager.step(input, &mut out).unwrap();
        }
    }
}

#[test]
fn refused_and_broken_handshakes_leave_no_session_in_the_key_store() {
    // The store holds two sessions: a third attempt would find it full.
    let mut factory = Factory::TEST;
    factory.state = huiwan_gp::life_cycle::CardState::Secured;
    with_card(&PROFILE, new_memory(&factory), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        for _ in 0..3 {
            let (stage, kind, _) =
                fault(card, &mut store, &mut manager, open_job(TEST, 0, Level::Authenticated));
            assert_eq!((stage, kind), (Stage::ExternalAuthenticate, FaultKind::Status(Sw::new(0x6985))));
            assert!(manager.channel().is_none());
        }
        for _ in 0..3 {
            let job = open_job(TEST, 0, Level::CMac);
            let (outcome, _) = run_until(card, &mut store, &mut manager, job, Some(2));
            assert!(matches!(outcome, Outcome::Fault(fault) if fault.kind == FaultKind::CardLost));
        }
        run_job(card, &mut store, &mut manager, open_job(TEST, 0, Level::All));
    });
}
