//! A TSM's visits: whole, cut short at every command and taken up again, and misused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::arithmetic_side_effects)]

use huiwan::element::{Modules, SecureElement};
use huiwan::sample;
use huiwan::tsm::{self, Input, Misuse, OUT_LEN, ScriptError, Session, Step, Visit};
use huiwan_card::{Environment, Interface, Journal, Module, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, Registry, TEST_KEY, format};
use huiwan_gp::delete::Target;
use huiwan_gp::host::{Job, KeyRef, OpenChannel, SoftKeyStore, Transition};
use huiwan_gp::scp03::Level;
use huiwan_testkit::rng::Seeded;

type Band<'m> = SecureElement<'m, Journal<RamFlash<65_536>, 256>>;

static PROFILE: CardProfile = CardProfile::DEFAULT;

fn blank<'m>(list: &'m [&'m dyn Module]) -> Band<'m> {
    let mut memory = Journal::format(RamFlash::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    SecureElement::new(list, Registry::new(&PROFILE), memory)
}

fn open() -> Job<'static> {
    let key = KeyRef::direct(0);
    Job::Open(OpenChannel {
        aid: None,
        key_version: 0,
        key,
        level: Level::All,
        host_challenge: [7; 16].into(),
    })
}

/// Carries out `plan`; the band is gone instead of answering command number `lost`.
fn visit(band: &mut Band<'_>, plan: &[Job<'_>], lost: Option<usize>) -> (Visit, usize) {
    let mut keys = SoftKeyStore::<1, 1>::new();
    keys.insert(0, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    let mut random = Seeded::new(9);
    let mut environment = Environment { random: &mut random, now: None };
    band.power_on(Interface::Internal, &mut environment);
    let mut sent = 0;
    let end = tsm::run(plan, &mut keys, &mut |command, out| {
        // The band carries the command out; only its answer is lost.
        let answer = band.exchange(command, &mut environment);
        out[..answer.len()].copy_from_slice(answer);
        sent += 1;
        (lost != Some(sent - 1)).then_some(answer.len())
    });
    band.power_off();
    (end, sent)
}

#[test]
fn a_visit_cut_short_anywhere_can_be_made_again() {
    let modules = Modules::default();
    let list = modules.list();
    let clear = [
        Job::Delete(Target::Content(sample::BANK_AID.as_bytes())),
        Job::Delete(Target::Content(sample::TRANSIT_AID.as_bytes())),
    ];
    let install = [
        Job::Install(tsm::bank_card(sample::BANK_AID, b"HUIWAN DEBIT", 1)),
        Job::Install(tsm::transit_card(sample::TRANSIT_AID)),
        Job::SetStatus(Transition::LockApplication(sample::TRANSIT_AID)),
    ];
    let plan: Vec<Job<'_>> = [open()].into_iter().chain(clear).chain(install).chain([Job::Close]).collect();
    let (end, commands) = visit(&mut blank(&list), &plan, None);
    assert_eq!(end, Visit::Complete);
    assert!(commands >= 8, "{commands} commands");
    for lost in 0..commands {
        let mut band = blank(&list);
        let (end, _) = visit(&mut band, &plan, Some(lost));
        assert!(matches!(end, Visit::Stopped { .. }), "{end:?} although command {lost} was lost");
        assert_eq!(visit(&mut band, &plan, None).0, Visit::Complete, "again after command {lost} was lost");
    }
}

#[test]
fn the_first_job_that_fails_ends_the_visit() {
    let modules = Modules::default();
    let list = modules.list();
    let unlock = Job::SetStatus(Transition::UnlockApplication(sample::BANK_AID));
    let plan = [open(), unlock, Job::Install(tsm::transit_card(sample::TRANSIT_AID))];
    let mut band = blank(&list);
    assert!(matches!(visit(&mut band, &plan, None).0, Visit::Stopped { job: 1, .. }));
    let mut environment = Environment { random: &mut Seeded::new(1), now: None };
    band.power_on(Interface::Contactless, &mut environment);
    let select = [&[0x00, 0xA4, 0x04, 0x00, 0x08], sample::TRANSIT_AID.as_bytes()].concat();
    assert_eq!(band.exchange(&select, &mut environment), [0x6A, 0x82]);
}

#[test]
fn an_issued_band_is_not_issued_twice() {
    let modules = Modules::default();
    let list = modules.list();
    let mut band = blank(&list);
    let mut random = Seeded::new(3);
    let mut environment = Environment { random: &mut random, now: None };
    sample::issue(&mut band, &mut environment).unwrap();
    let again = sample::issue(&mut band, &mut environment).unwrap_err();
    assert!(matches!(again, sample::SampleError::Visit(Visit::Stopped { job: 1, .. })), "{again}");
}

#[test]
fn misuse_changes_nothing() {
    let plan = [open()];
    let mut session = Session::new(&plan);
    let mut out = [0; OUT_LEN];
    assert_eq!(session.step(Input::Continue, &mut out), Err(Misuse::UnexpectedInput));
    assert_eq!(session.step(Input::Start, &mut out[..OUT_LEN - 1]), Err(Misuse::OutputTooSmall));
    assert!(matches!(session.step(Input::Start, &mut out), Ok(Step::Send(_))));
    assert_eq!(session.step(Input::Start, &mut out), Err(Misuse::UnexpectedInput));
    assert!(matches!(session.step(Input::Lost, &mut out), Ok(Step::Done(Visit::Stopped { job: 0, .. }))));
    assert!(matches!(session.step(Input::Start, &mut out), Ok(Step::Done(Visit::Stopped { job: 0, .. }))));
}

#[test]
fn a_script_is_cut_into_groupings_or_refused_by_name() {
    let script = [0x00, 0x15, 0x01, 0xAA, 0x80, 0x01, 0x02, 0xBB, 0xCC];
    let groupings = tsm::groupings::<2>(&script).unwrap();
    assert_eq!((groupings[0].id, groupings[0].value, groupings[0].encrypt), (0x0015, &[0xAA][..], false));
    assert_eq!(
        (groupings[1].id, groupings[1].value, groupings[1].encrypt),
        (0x8001, &[0xBB, 0xCC][..], true)
    );
    let error = tsm::groupings::<1>(&script).unwrap_err();
    assert_eq!((error.kind(), error.at()), (ScriptError::TooMany, 4));
    assert!(matches!(tsm::groupings::<2>(&script[..8]).unwrap_err().kind(), ScriptError::Grouping(_)));
}
