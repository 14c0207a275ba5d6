//! Top-up jobs against a card, with the link cut and the worker killed at every step, and old copies of the state brought back:
//! the card ends as if nothing had happened, with exactly one load.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_apdu::Sw;
use huiwan_purse::account::Account;
use huiwan_purse::host::KeyRefused;
use huiwan_purse::host::tsm_job::{
    Cause, Goal, Input, JobState, KeyAnswer, KeyRequest, OUT_LEN, Plan, Step, Visit, Worker,
};
use huiwan_purse::keys::CardId;
use huiwan_purse::personalisation::PurseData;
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{Fault, Misuse, Outcome, Policy, Refusal, Stage, Tap};
use proptest::prelude::*;
use world::{CARD, DEVICE, FULL_PURSE, Notes, RamBand, STAMP, Tear, TearHow, load_keys};

const AMOUNT: u32 = 1_000;
const JOB: JobState = JobState::new(0x0123_4567_89AB_CDEF);

const PLAN: Plan = Plan {
    card: CARD,
    account: Account::Ep,
    device: DEVICE,
    amount: AMOUNT,
    online_seq: FULL_PURSE.online_seq,
    stamp: STAMP,
    goal: Goal::Loaded,
};
const WITHDRAW: Plan = Plan { goal: Goal::Withdrawn, ..PLAN };

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accident {
    /// The link or the card breaks.
    Torn(TearHow),
    /// The worker dies with a command at the card, which carries it out or never hears it.
    KilledAtCommand { heard: bool },
    /// The worker dies before it has saved its state.
    KilledBefore,
    /// The worker dies right after.
    KilledAfter,
}

const AT_COMMANDS: [Accident; 6] = [
    Accident::Torn(TearHow::Unheard),
    Accident::Torn(TearHow::BeforeCommit),
    Accident::Torn(TearHow::AfterCommit),
    Accident::Torn(TearHow::Unanswered),
    Accident::KilledAtCommand { heard: false },
    Accident::KilledAtCommand { heard: true },
];
const AT_SAVINGS: [Accident; 2] = [Accident::KilledBefore, Accident::KilledAfter];

/// A database that keeps every state it was ever given.
#[derive(Debug, Clone)]
struct Database {
    states: Vec<[u8; JobState::LEN]>,
}

impl Database {
    fn new() -> Self {
        Self { states: vec![JOB.to_bytes()] }
    }

    fn newest(&self) -> JobState {
        JobState::from_bytes(self.states.last().unwrap()).unwrap()
    }
}

/// One visit of another worker. The accident happens at that number of command or of saving.
struct Visited {
    /// `None`: the worker died.
    ended: Option<Visit>,
    commands: usize,
    savings: usize,
    credits: usize,
}

fn visit(
    band: &mut RamBand,
    plan: Plan,
    from: JobState,
    database: &mut Database,
    accident: Option<(Accident, usize)>,
) -> Visited {
    band.retap();
    let (mut worker, mut keys) = (Worker::new(plan, from), load_keys());
    let mut out = [0; OUT_LEN];
    let mut visited = Visited { ended: None, commands: 0, savings: 0, credits: 0 };
    // Every visit has another challenge.
    let challenge = [0xC0, 0, 0, 0, from.visits.to_be_bytes()[1], database.states.len() as u8];
    let mut answer;
    let mut step = worker.step(Input::Start(challenge), &mut out).unwrap();
    loop {
        let now = |n: usize, of: fn(&Accident) -> bool| accident.filter(|(kind, at)| of(kind) && *at == n);
        let input = match step {
            Step::Send(command) => {
                visited.credits += usize::from(command[1] == 0x52);
                let accident = now(visited.commands, |kind| AT_COMMANDS.contains(kind));
                visited.commands += 1;
                match accident {
                    Some((Accident::Torn(how), _)) => {
                        band.tear = Some(Tear { command: 0, how });
                        assert!(band.exchange(command).is_none());
                        Input::Lost
                    }
                    Some((Accident::KilledAtCommand { heard }, _)) => {
                        if heard {
                            band.send(command);
                        }
                        return visited;
                    }
                    _ => {
                        answer = band.send(command);
                        Input::Response(&answer)
                    }
                }
            }
            Step::Key(request) => Input::Key(request.answer(&mut keys)),
            Step::Persist(state) => {
                let accident = now(visited.savings, |kind| AT_SAVINGS.contains(kind));
                visited.savings += 1;
                if accident.is_none_or(|(kind, _)| kind != Accident::KilledBefore) {
                    database.states.push(state.to_bytes());
                }
                if accident.is_some() {
                    return visited;
                }
                Input::Continue
            }
            Step::Done(visit) => {
                visited.ended = Some(visit);
                return visited;
            }
        };
        step = worker.step(input, &mut out).unwrap();
    }
}

/// Visits without accidents until one says that the money is there.
fn finish(band: &mut RamBand, database: &mut Database, what: &str) {
    for _ in 0..4 {
        let newest = database.newest();
        match visit(band, PLAN, newest, database, None).ended {
            Some(Visit::Loaded(transaction)) => {
                assert_eq!((transaction.amount, transaction.seq), (AMOUNT, PLAN.online_seq), "{what}");
                return;
            }
            Some(Visit::Again(_)) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    panic!("{what}: not loaded");
}

/// Everything the card keeps.
fn kept(band: &mut RamBand) -> std::collections::BTreeMap<huiwan_card::ObjectId, Vec<u8>> {
    band.memory().objects.clone()
}

fn balance(band: &mut RamBand) -> u32 {
    band.retap();
    band.select();
    u32::from_be_bytes(band.ok("805C000204").try_into().unwrap())
}

fn undisturbed() -> RamBand {
    let (mut band, mut database) = (world::issued(), Database::new());
    finish(&mut band, &mut database, "undisturbed");
    band
}

fn pay(band: &mut RamBand, amount: u32) {
    band.retap();
    let mut gate = Notes { fare: amount, ..Notes::default() };
    let service = Purchase { amount };
    let policy = Policy::default();
    let mut tap = Tap::new(DEVICE, &policy, &service, STAMP);
    let outcome = drive::tap(&mut tap, band, &mut world::sam(1), &mut gate).unwrap();
    assert!(matches!(outcome, Outcome::Paid(_)), "{outcome:?}");
}

#[test]
fn one_visit_is_three_commands() {
    let (mut band, mut database) = (world::issued(), Database::new());
    let visited = visit(&mut band, PLAN, JOB, &mut database, None);
    let Some(Visit::Loaded(transaction)) = visited.ended else { panic!("{:?}", visited.ended) };
    assert_eq!((visited.commands, visited.savings, visited.credits), (3, 3, 1));
    assert_eq!((transaction.balance, transaction.amount, transaction.stamp), (5_000, AMOUNT, STAMP));
    assert_eq!(balance(&mut band), 6_000);
    // Another visit asks the card nothing.
    let newest = database.newest();
    let again = visit(&mut band, PLAN, newest, &mut database, None);
    assert_eq!((again.ended, again.commands, again.savings), (Some(Visit::Loaded(transaction)), 0, 1));
}

/// Every accident at every step of the first visit, and every accident at every step of the second, on the way to the end.
#[test]
fn killed_at_every_step_it_is_loaded_once() {
    let wanted = kept(&mut undisturbed());
    let accidents = || {
        let at =
            |kinds: &'static [Accident], n| kinds.iter().flat_map(move |kind| (0..n).map(|at| (*kind, at)));
        at(&AT_COMMANDS, 6).chain(at(&AT_SAVINGS, 4))
    };
    let (mut cuts, mut settled) = (0, 0);
    for first in accidents() {
        for second in accidents() {
            let what = format!("{first:?}, then {second:?}");
            let (mut band, mut database) = (world::issued(), Database::new());
            for accident in [first, second] {
                let newest = database.newest();
                cuts += 1;
                match visit(&mut band, PLAN, newest, &mut database, Some(accident)).ended {
                    None | Some(Visit::Again(_) | Visit::Loaded(_)) => {}
                    Some(other) => panic!("{what}: {other:?}"),
                }
            }
            settled += usize::from(database.newest().session().is_some());
            finish(&mut band, &mut database, &what);
            assert_eq!(kept(&mut band), wanted, "{what}");
        }
    }
    assert!(cuts > 3_000 && settled > 500, "{cuts} {settled}");
}

/// Every state that was ever saved is brought back after the end: nothing changes.
#[test]
fn old_copies_do_nothing() {
    let mut wanted = undisturbed();
    let wanted = kept(&mut wanted);
    for accident in AT_COMMANDS.iter().flat_map(|kind| (0..3).map(|at| (*kind, at))) {
        let (mut band, mut database) = (world::issued(), Database::new());
        visit(&mut band, PLAN, JOB, &mut database, Some(accident));
        finish(&mut band, &mut database, "copies");
        let mut ends = [0; 2];
        for old in database.states.clone() {
            let old = JobState::from_bytes(&old).unwrap();
            let visited = visit(&mut band, PLAN, old, &mut database, None);
            assert_eq!(visited.credits, 0, "{accident:?}");
            match visited.ended {
                Some(Visit::Loaded(_)) => ends[0] += 1,
                // It knows of no approval, and does not guess.
                Some(Visit::Stopped(Cause::Passed { online_seq })) => {
                    assert_eq!((online_seq, old.session()), (PLAN.online_seq + 1, None));
                    ends[1] += 1;
                }
                other => panic!("{accident:?}: {other:?}"),
            }
            assert_eq!(kept(&mut band), wanted);
        }
        assert!(ends.iter().all(|n| *n >= 2), "{ends:?}");
    }
}

/// Two workers with copies of one job at one card, a step of the one after a step of the other.
#[derive(Debug, Clone, Copy)]
enum Turn {
    A,
    B,
    KillA,
    KillB,
    /// The holder pays, if the card is not in the middle of something.
    Pay,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        8 => Just(Turn::A),
        8 => Just(Turn::B),
        1 => Just(Turn::KillA),
        1 => Just(Turn::KillB),
        1 => Just(Turn::Pay),
    ];
    proptest::collection::vec(turn, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_accidents_load_once(
        accidents in proptest::collection::vec((0_usize..8, 0_usize..5, any::<bool>()), 0..8),
    ) {
        let (mut band, mut database) = (world::issued(), Database::new());
        let mut paid = 0;
        for (kind, at, pays) in accidents {
            let kind = *AT_COMMANDS.iter().chain(&AT_SAVINGS).nth(kind).unwrap();
            let newest = database.newest();
            visit(&mut band, PLAN, newest, &mut database, Some((kind, at)));
            if pays && paid < 1_000 {
                pay(&mut band, 100);
                paid += 100;
            }
        }
        finish(&mut band, &mut database, "any");
        prop_assert_eq!(balance(&mut band), FULL_PURSE.balance + AMOUNT - paid);
        prop_assert_eq!(counter(&mut band), PLAN.online_seq + 1);
    }

    /// Whatever the order, and whoever saved last.
    #[test]
    fn workers_side_by_side_load_once(turns in turns()) {
        let (mut band, mut database) = (world::issued(), Database::new());
        let mut workers: [Option<(Worker, Input<'static>)>; 2] = [None, None];
        let (mut challenges, mut paid) = (0, 0);
        for turn in turns {
            let which = match turn {
                Turn::A | Turn::KillA => 0,
                Turn::B | Turn::KillB => 1,
                Turn::Pay => {
                    if is_blocked(&mut band) {
                        return Ok(());
                    }
                    if paid < 1_000 {
                        pay(&mut band, 100);
                        paid += 100;
                    }
                    continue;
                }
            };
            if matches!(turn, Turn::KillA | Turn::KillB) {
                workers[which] = None;
                continue;
            }
            challenges += 1;
            let (mut worker, input) = workers[which].take().unwrap_or_else(|| {
                band.retap();
                (Worker::new(PLAN, database.newest()), Input::Start([0xC1, 0, 0, 0, 0, challenges]))
            });
            let mut out = [0; OUT_LEN];
            let next = match worker.step(input, &mut out).unwrap() {
                Step::Send(command) => Input::Response(Box::leak(band.send(command).into_boxed_slice())),
                Step::Key(request) => Input::Key(request.answer(&mut load_keys())),
                Step::Persist(state) => {
                    database.states.push(state.to_bytes());
                    Input::Continue
                }
                Step::Done(_) => continue,
            };
            workers[which] = Some((worker, next));
        }
        // One of them alone at last. Interrupted by a payment the other's approval may describe another balance than the card
        // had: then somebody has to look, and nothing is loaded again.
        let mut ended = None;
        for _ in 0..4 {
            let newest = database.newest();
            ended = visit(&mut band, PLAN, newest, &mut database, None).ended;
        }
        match ended {
            Some(Visit::Loaded(transaction)) => prop_assert_eq!(transaction.amount, AMOUNT),
            Some(Visit::Stopped(Cause::Disputed(_) | Cause::Passed { .. })) => {}
            // Mixed up commands are wrong MAC2s to the card, and three of them block it: nothing is loaded, or read, any more.
            Some(Visit::Stopped(Cause::Card(Fault::Status { during: Stage::Initialize, sw })))
                if sw == Sw::CONDITIONS_NOT_SATISFIED && is_blocked(&mut band) =>
            {
                return Ok(());
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(balance(&mut band), FULL_PURSE.balance + AMOUNT - paid);
        prop_assert_eq!(counter(&mut band), PLAN.online_seq + 1);
    }

    #[test]
    fn any_state_reads_back(raw in proptest::collection::vec(any::<u8>(), JobState::LEN)) {
        if let Some(state) = JobState::from_bytes(&raw) {
            prop_assert_eq!(&state.to_bytes()[..], &raw[..]);
        }
    }
}

/// Whether wrong MACs have blocked the application: a new tap tells.
fn is_blocked(band: &mut RamBand) -> bool {
    band.retap();
    band.send(&huiwan_testkit::hex("00A4040008A00000063201010500")).ends_with(&[0x62, 0x83])
}

fn counter(band: &mut RamBand) -> u16 {
    band.retap();
    band.select();
    let init = band.ok("805000020B010000000000000000000010");
    u16::from_be_bytes(init[4..6].try_into().unwrap())
}

#[test]
fn the_next_counter_tells_when_a_purchase_has_displaced_the_proof() {
    for (how, displaced) in [(TearHow::AfterCommit, true), (TearHow::Unheard, false)] {
        let (mut band, mut database) = (world::issued(), Database::new());
        let torn = visit(&mut band, PLAN, JOB, &mut database, Some((Accident::Torn(how), 2)));
        let lost = Cause::Card(Fault::CardLost { during: Stage::Credit });
        assert_eq!(torn.ended, Some(Visit::Again(lost)));
        pay(&mut band, 300);
        let newest = database.newest();
        let visited = visit(&mut band, PLAN, newest, &mut database, None);
        let Some(Visit::Loaded(transaction)) = visited.ended else { panic!("{:?}", visited.ended) };
        assert_eq!(transaction.balance, if displaced { 5_000 } else { 4_700 });
        assert_eq!(visited.credits, usize::from(!displaced));
        assert_eq!(balance(&mut band), 5_700);
    }
}

/// Money is given back if and only if the card did not get it, and what was sent before is dead then.
#[test]
fn withdrawn_at_every_step() {
    let mut ends = [0; 2];
    for accident in AT_COMMANDS.iter().flat_map(|kind| (0..3).map(|at| (*kind, at))) {
        for again in AT_COMMANDS.iter().flat_map(|kind| (0..3).map(|at| (*kind, at))) {
            let (mut band, mut database) = (world::issued(), Database::new());
            visit(&mut band, PLAN, JOB, &mut database, Some(accident));
            let credit = band.trace.iter().rev().find(|(command, _)| command[1] == 0x52).cloned();
            let newest = database.newest();
            visit(&mut band, WITHDRAW, newest, &mut database, Some(again));
            let newest = database.newest();
            let visited = visit(&mut band, WITHDRAW, newest, &mut database, None);
            assert_eq!(visited.credits, 0);
            match visited.ended {
                Some(Visit::Withdrawn) => {
                    ends[0] += 1;
                    if let Some((credit, _)) = credit {
                        assert_ne!(band.send(&credit), [0x90, 0x00], "{accident:?} {again:?}");
                    }
                    assert_eq!(balance(&mut band), 5_000, "{accident:?} {again:?}");
                    // The oldest copy comes to the same end.
                    let old = visit(&mut band, WITHDRAW, JOB, &mut database, None);
                    assert_eq!(old.ended, Some(Visit::Withdrawn));
                }
                Some(Visit::Loaded(_)) => {
                    ends[1] += 1;
                    assert_eq!(balance(&mut band), 6_000, "{accident:?} {again:?}");
                    // The oldest copy knows of no approval, so it gives nothing back.
                    let old = visit(&mut band, WITHDRAW, JOB, &mut database, None);
                    let passed = Cause::Passed { online_seq: PLAN.online_seq + 1 };
                    assert_eq!(old.ended, Some(Visit::Stopped(passed)));
                }
                other => panic!("{accident:?} {again:?}: {other:?}"),
            }
        }
    }
    assert!(ends.iter().all(|n| *n > 20), "{ends:?}");
}

/// A phone that keeps the card's answers back and shows an old initialisation gets nothing for it.
#[test]
fn a_lying_link_reverses_nothing() {
    for plan in [PLAN, WITHDRAW] {
        let (mut band, mut database) = (world::issued(), Database::new());
        visit(&mut band, PLAN, JOB, &mut database, Some((Accident::Torn(TearHow::Unanswered), 2)));
        let init = band.trace.iter().find(|(command, _)| command[1] == 0x50).unwrap().1.clone();
        band.retap();
        let (mut worker, mut out) = (Worker::new(plan, database.newest()), [0; OUT_LEN]);
        let mut step = worker.step(Input::Start([0xC2; 6]), &mut out).unwrap();
        let mut answer;
        let ended = loop {
            let input = match step {
                Step::Send(command) => {
                    answer = match command[1] {
                        0x5A => vec![0x94, 0x06],
                        0x50 => init.clone(),
                        _ => band.send(command),
                    };
                    Input::Response(&answer)
                }
                Step::Key(request) => Input::Key(request.answer(&mut load_keys())),
                Step::Persist(_) => Input::Continue,
                Step::Done(visit) => break visit,
            };
            step = worker.step(input, &mut out).unwrap();
        };
        // The very initialisation that was approved is no news, so the keys are not even asked.
        let nothing = Cause::Card(Fault::Malformed { during: Stage::Initialize });
        assert_eq!(ended, Visit::Stopped(nothing));
        assert_eq!(balance(&mut band), 6_000);
        finish(&mut band, &mut database, "after the lie");
        assert_eq!(balance(&mut band), 6_000);
    }
}

#[test]
fn a_wrong_tac_is_looked_at_and_a_wrong_mac1_tried_again() {
    let keys = |answer: fn(&KeyRequest) -> bool, refused| {
        let (mut band, mut database) = (world::issued(), Database::new());
        let (mut worker, mut out) = (Worker::new(PLAN, JOB), [0; OUT_LEN]);
        let mut response;
        let mut step = worker.step(Input::Start([1; 6]), &mut out).unwrap();
        loop {
            let input = match step {
                Step::Send(command) => {
                    response = band.send(command);
                    Input::Response(&response)
                }
                Step::Key(request) if answer(&request) => Input::Key(KeyAnswer::Refused(refused)),
                Step::Key(request) => Input::Key(request.answer(&mut load_keys())),
                Step::Persist(state) => {
                    database.states.push(state.to_bytes());
                    Input::Continue
                }
                Step::Done(visit) => break (visit, band, database),
            };
            step = worker.step(input, &mut out).unwrap();
        }
    };
    let approve = |request: &KeyRequest| matches!(request, KeyRequest::Approve { .. });
    let tac = |request: &KeyRequest| matches!(request, KeyRequest::VerifyTac { .. });
    for (refused, again) in [
        (KeyRefused::MacInvalid, true),
        (KeyRefused::Unavailable, true),
        (KeyRefused::NoKey, false),
        (KeyRefused::Impossible, false),
    ] {
        let (visit, mut band, database) = keys(approve, refused);
        let cause = Cause::Key(refused);
        assert_eq!(visit, if again { Visit::Again(cause) } else { Visit::Stopped(cause) });
        assert_eq!((balance(&mut band), database.newest().session()), (5_000, None));
    }
    let (ended, mut band, mut database) = keys(tac, KeyRefused::MacInvalid);
    assert!(matches!(ended, Visit::Stopped(Cause::Disputed(_))), "{ended:?}");
    finish(&mut band, &mut database, "a right proof");
    let (ended, mut band, mut database) = keys(tac, KeyRefused::Unavailable);
    assert_eq!(ended, Visit::Again(Cause::Key(KeyRefused::Unavailable)));
    finish(&mut band, &mut database, "the provider is back");
    assert_eq!(balance(&mut band), 6_000);
}

#[test]
fn what_is_not_this_order_is_left_alone() {
    let end = |plan: Plan, state: JobState, band: &mut RamBand| {
        let visited = visit(band, plan, state, &mut Database::new(), None);
        assert_eq!(visited.credits, 0);
        visited.ended.unwrap()
    };
    let mut band = world::issued();
    let other = CardId { serial: [9; 10], ..CARD };
    assert_eq!(end(Plan { card: other, ..PLAN }, JOB, &mut band), Visit::Stopped(Cause::OtherCard));
    let early = Plan { online_seq: PLAN.online_seq + 1, ..PLAN };
    assert_eq!(end(early, JOB, &mut band), Visit::Stopped(Cause::NotYet { online_seq: PLAN.online_seq }));
    // Not there yet is not done either.
    assert_eq!(end(Plan { goal: Goal::Withdrawn, ..early }, JOB, &mut band), Visit::Withdrawn);
    let too_much = Plan { amount: FULL_PURSE.upper_limit, ..PLAN };
    let refused = Fault::Status { during: Stage::Initialize, sw: Sw::CONDITIONS_NOT_SATISFIED };
    assert_eq!(end(too_much, JOB, &mut band), Visit::Stopped(Cause::Card(refused)));
    assert_eq!(end(Plan { goal: Goal::Withdrawn, ..too_much }, JOB, &mut band), Visit::Withdrawn);

    // The counter went on without this job: once by another order, then once more.
    let mut database = Database::new();
    visit(&mut band, PLAN, JOB, &mut database, Some((Accident::Torn(TearHow::Unheard), 2)));
    let open = database.newest();
    for (n, state) in [(1, JOB), (2, open)] {
        let other = Plan { amount: 1, online_seq: PLAN.online_seq + n - 1, ..PLAN };
        let visited = visit(&mut band, other, JOB, &mut Database::new(), None);
        assert!(matches!(visited.ended, Some(Visit::Loaded(_))));
        let passed = Cause::Passed { online_seq: PLAN.online_seq + n };
        assert_eq!(end(PLAN, state, &mut band), Visit::Stopped(passed));
        assert_eq!(end(WITHDRAW, state, &mut band), Visit::Stopped(passed));
    }

    // States and plans mixed up.
    for plan in [
        Plan { card: other, ..PLAN },
        Plan { amount: AMOUNT + 1, ..PLAN },
        early,
        Plan { account: Account::Ed, ..PLAN },
    ] {
        assert_eq!(end(plan, open, &mut band), Visit::Stopped(Cause::OtherPlan));
    }
}

#[test]
fn cards_that_cannot_be_loaded() {
    let after = |answers: &[&str]| {
        let (mut worker, mut out) = (Worker::new(PLAN, JOB), [0; OUT_LEN]);
        let mut step = worker.step(Input::Start([1; 6]), &mut out).unwrap();
        let mut answers = answers.iter().map(|answer| huiwan_testkit::hex(answer));
        let mut answer;
        loop {
            let input = match step {
                Step::Send(_) => {
                    answer = answers.next().unwrap();
                    Input::Response(&answer)
                }
                Step::Persist(_) => Input::Continue,
                Step::Key(request) => panic!("{request:?}"),
                Step::Done(visit) => return visit,
            };
            step = worker.step(input, &mut out).unwrap();
        }
    };
    assert_eq!(after(&["6283"]), Visit::Stopped(Cause::Refused(Refusal::Locked)));
    assert_eq!(after(&["9303"]), Visit::Stopped(Cause::Refused(Refusal::PermanentlyLocked)));
    assert_eq!(after(&["6A82"]), Visit::Stopped(Cause::Refused(Refusal::NoApplication)));
    let mut band = world::issued();
    let fci = world::hex(&band.select()) + "9000";
    assert_eq!(after(&[&fci, "6982"]), Visit::Stopped(Cause::PinWanted));
    let malformed = Fault::Malformed { during: Stage::Initialize };
    assert_eq!(after(&[&fci, "009000"]), Visit::Stopped(Cause::Card(malformed)));
    let at_end = PurseData { online_seq: u16::MAX, ..FULL_PURSE };
    let mut band = world::issued_with(huiwan_purse::profile::Profile::JTT_978, at_end);
    let ended = visit(&mut band, PLAN, JOB, &mut Database::new(), None).ended;
    let full = Fault::Status { during: Stage::Initialize, sw: huiwan_purse::status::COUNTER_AT_END };
    assert_eq!(ended, Some(Visit::Stopped(Cause::Card(full))));
}

#[test]
fn misuse_changes_nothing() {
    let mut out = [0; OUT_LEN];
    let mut worker = Worker::new(PLAN, JOB);
    let too_small = Misuse::BufferTooSmall { needed: OUT_LEN };
    assert_eq!(worker.step(Input::Start([1; 6]), &mut out[1..]), Err(too_small));
    for input in [Input::Continue, Input::Lost, Input::Response(&[0x90, 0]), Input::Key(KeyAnswer::Verified)]
    {
        assert_eq!(worker.step(input, &mut out), Err(Misuse::UnexpectedInput));
    }
    let begun = JobState::from_bytes(&{
        let mut bytes = JOB.to_bytes();
        bytes[10] = 1;
        bytes
    });
    assert_eq!(worker.step(Input::Start([1; 6]), &mut out), Ok(Step::Persist(begun.unwrap())));
    assert_eq!(worker.state(), begun.unwrap());
    let lost = Fault::CardLost { during: Stage::Initialize };
    assert_eq!(worker.step(Input::Lost, &mut out), Ok(Step::Done(Visit::Again(Cause::Card(lost)))));
    assert_eq!(worker.step(Input::Continue, &mut out), Ok(Step::Done(Visit::Again(Cause::Card(lost)))));
}

#[test]
fn the_persisted_form_is_golden() {
    let zeros = "00".repeat(68);
    let new = huiwan_testkit::hex(&format!("010123456789ABCDEF000000{zeros}"));
    assert_eq!(JOB.to_bytes()[..], new);
    let (mut band, mut database) = (world::issued(), Database::new());
    visit(&mut band, PLAN, JOB, &mut database, None);
    let states: Vec<_> = database.states.iter().map(|state| world::hex(&state[..14])).collect();
    let head = "010123456789ABCDEF00";
    assert_eq!(
        states,
        [
            format!("{head}00000000"),
            format!("{head}01000000"),
            format!("{head}01010301"),
            format!("{head}01010302"),
        ]
    );
    let done = database.states.last().unwrap();
    assert_eq!(JobState::from_bytes(done).unwrap().to_bytes(), *done);
    assert!(JobState::from_bytes(&done[1..]).is_none());
    let with = |at: usize, byte: u8| {
        let mut other = *done;
        other[at] = byte;
        JobState::from_bytes(&other)
    };
    assert!((0..=255).filter(|version| *version != 1).all(|version| with(0, version).is_none()));
    assert!(with(11, 0).is_none() && with(11, 2).is_none() && with(12, 2).is_none());
}
