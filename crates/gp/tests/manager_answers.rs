//! The host's manager and answers that are not what the card sent: where response MACs were agreed, no task ends well on an unprotected
//! success or on a changed bit, whichever of its commands it happens to.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use huiwan_apdu::Aid;
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::get_status::Scope;
use huiwan_gp::host::Coding;
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    FaultKind, Grouping, Input, Install, Job, KeyError, KeyRef, KeyStore, Manager, OpenChannel, Outcome,
    Personalise, PutKeys, SoftKeyStore, Step,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};
use huiwan_tlv::Tag;
use support::*;

const APP: Aid = Aid::from_array(TOY_AID);
const SCRIPT: [Grouping<'static>; 2] = [
    Grouping { id: 0x0101, value: b"a record", encrypt: false },
    Grouping { id: 0x8000, value: &[0x77; 32], encrypt: true },
];

/// Key set of the card, mode of SCP03, level.
const CHANNELS: [(u8, scp03::Mode, Level); 6] = [
    (0x20, scp03::Mode::S8, Level::CMacRMac),
    (0x20, scp03::Mode::S8, Level::CMacCEncRMac),
    (0x30, scp03::Mode::S8, Level::CMacRMac),
    (0x30, scp03::Mode::S8, Level::All),
    (0x30, scp03::Mode::S16, Level::CMacCEncRMac),
    (0x30, scp03::Mode::S16, Level::All),
];

fn install() -> Job<'static> {
    Job::Install(Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance: APP,
        privileges: Privileges::NONE,
        parameters: Parameters { application: b"hello", ..Parameters::default() },
        make_selectable: true,
    })
}

fn jobs() -> Vec<(&'static str, Vec<Job<'static>>)> {
    let personalise = Job::Personalise(Personalise::new(Some(APP), &SCRIPT, Coding::GP));
    vec![
        ("get data", vec![Job::GetData(Tag::new(0x66))]),
        ("list", vec![Job::List { scope: Scope::Issuer, prefix: &[] }]),
        ("install", vec![install()]),
        ("personalise", vec![install(), personalise]),
        ("delete", vec![install(), Job::Delete(Target::Content(&TOY_AID))]),
        (
            "put keys",
            vec![Job::PutKeys(PutKeys {
                key: KeyRef::direct(2),
                version: 0x31,
                remove_old: true,
                host_challenge: [3; 16].into(),
            })],
        ),
    ]
}

/// What is done to one answer.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Only its status word is left.
    StatusAlone,
    /// Its MAC is cut off.
    WithoutMac,
    /// A warning without protection.
    Warning,
    Bit(usize),
}

fn store() -> SoftKeyStore<4, 2> {
    let mut store = SoftKeyStore::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
    store.insert_des(3, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store
}

/// Runs the jobs on a new card in one channel and changes the answer to the `at`th protected command of the last one. Returns how it
/// ended, whether the channel is still there, the lengths of the protected answers.
fn run_jobs(
    (kvn, mode, level): (u8, scp03::Mode, Level),
    jobs: &[Job<'static>],
    change: Option<(usize, Change)>,
) -> (Outcome, bool, Vec<usize>) {
    let profile =
        CardProfile::DEFAULT.with_scp02(scp02::Options::I75).with_scp03(scp03::Options::I70.with_mode(mode));
    let memory = new_memory(&Factory::TEST.with_scp02_test_keys());
    with_card(&profile, memory, |card| {
        let (mut store, mut manager, mut lengths) = (store(), Manager::new(), vec![]);
        let open = Job::Open(OpenChannel {
            aid: None,
            key_version: kvn,
            key: KeyRef::direct(if kvn == 0x20 { 3 } else { 1 }),
            level,
            host_challenge: [9; 16].into(),
        });
        let (last, before) = jobs.split_last().unwrap();
        let mut outcome = Outcome::Complete;
        for job in core::iter::once(&open).chain(before).chain([last]) {
            let changing = core::ptr::eq(job, last);
            assert_eq!(outcome, Outcome::Complete);
            let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
            let mut answer: Vec<u8>;
            let mut step = manager.step(Input::Start(*job), &mut out).unwrap();
            outcome = loop {
                let input = match step {
                    Step::Send(command) => {
                        let protected = command[0] & 0x04 != 0 && command[1] != 0x82;
                        answer = card.send(command);
                        if changing && protected {
                            let sw = answer.len() - 2;
                            match change {
                                Some((at, change)) if at == lengths.len() => match change {
                                    Change::StatusAlone => drop(answer.drain(..sw)),
                                    Change::WithoutMac => {
                                        let mac = if kvn == 0x20 { 8 } else { mode.len() };
                                        drop(answer.drain(sw - mac..sw));
                                    }
                                    Change::Warning => answer = vec![0x63, 0x10],
                                    Change::Bit(bit) => answer[bit / 8] ^= 0x80 >> (bit % 8),
                                },
                                _ => {}
                            }
                            lengths.push(answer.len());
                        }
                        Input::Response(&answer)
                    }
                    Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                    Step::Answer { .. } | Step::Stored { .. } => Input::Continue,
                    Step::Done(outcome) => break outcome,
                };
                step = manager.step(input, &mut out).unwrap();
            };
        }
        (outcome, manager.channel().is_some(), lengths)
    })
    .1
}

#[test]
fn no_task_ends_well_on_an_answer_that_is_not_the_cards() {
    let mut changed = 0;
    for channel in CHANNELS {
        for (name, jobs) in jobs() {
            if name == "put keys" && (channel.0 == 0x20 || channel.1 == scp03::Mode::S16) {
                // The new keys are AES ones for S8: another key set's protocol.
                continue;
            }
            let (outcome, open, lengths) = run_jobs(channel, &jobs, None);
            assert_eq!((outcome, open), (Outcome::Complete, true), "{name} {channel:?}");
            assert!(!lengths.is_empty(), "{name}");
            for (at, len) in lengths.into_iter().enumerate() {
                let mut changes = vec![Change::StatusAlone, Change::WithoutMac, Change::Warning];
                // Every bit where that is quick; some of longer answers.
                let step = if len > 40 { 7 } else { 1 };
                changes.extend((0..len * 8).step_by(step).map(Change::Bit));
                for change in changes {
                    let (outcome, open, _) = run_jobs(channel, &jobs, Some((at, change)));
                    let what = format!("{name} {channel:?} command {at} {change:?}: {outcome:?}");
                    let Outcome::Fault(fault) = outcome else { panic!("{what}") };
                    assert_eq!(fault.kind, FaultKind::Key(KeyError::NotAuthentic), "{what}");
                    assert!(!open, "{what}");
                    changed += 1;
                }
            }
        }
    }
    assert!(changed > 5000, "{changed}");
}
