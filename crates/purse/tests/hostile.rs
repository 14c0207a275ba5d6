//! Terminals against cards that answer anything: they end in bounded steps, and never believe to be paid without the MAC2
//! of their own PSAM.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use core::fmt::Debug;

use huiwan_purse::psam::{
    CreditForPurchase, InitForPurchase, Sam, SamAnswer, SamPurchase, SamRefused, SamRequest, SecureCommand,
    SoftSam,
};
use huiwan_purse::terminal::desk::{Desk, Update};
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::lock::{Drain, End, Lock, LockStep, MaintenanceKey, Order};
use huiwan_purse::terminal::metro::{self, ExitRules, Incomplete, Owed, SameStation, TimeLimit};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::{Charge, Fare, Priced, RecordFile, Records, Visit};
use huiwan_purse::terminal::{
    AID_JTT_978_EP, COMMAND_LEN, Input, Inquiry, InquiryOutcome, Last, Misuse, Outcome, Pending, Policy,
    Recovered, Recovery, RecoveryStep, Refusal, Service, Step, Tap, TopUp, etc,
};
use huiwan_purse::transit::process::{Kind, Process};
use huiwan_purse::tti::Tti;
use proptest::prelude::*;
use world::{DEVICE, ENTRY, EXIT, Notes, PLACE, RamBand, STAMP, Tear, TearHow, issued};

/// A real card, some of whose answers are exchanged for others.
struct Liar {
    band: RamBand,
    lies: Vec<(usize, Option<Vec<u8>>)>,
    commands: usize,
    answer: Vec<u8>,
}

impl Transport for Liar {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        let lie = self.lies.iter().find(|(at, _)| *at == self.commands);
        self.commands += 1;
        assert!(self.commands <= 300, "the engine goes on for ever");
        self.answer = self.band.send(command);
        match lie {
            Some((_, Some(lie))) => self.answer.clone_from(lie),
            Some((_, None)) => return None,
            None => {}
        }
        Some(&self.answer)
    }
}

fn lie() -> impl Strategy<Value = Option<Vec<u8>>> {
    let status = prop_oneof![
        Just([0x90, 0x00]),
        Just([0x63, 0x10]),
        Just([0x65, 0x81]),
        Just([0x6A, 0x83]),
        Just([0x94, 0x06]),
        any::<[u8; 2]>()
    ];
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3),
        proptest::collection::vec(any::<u8>(), 8),
        proptest::collection::vec(any::<u8>(), 15),
        proptest::collection::vec(any::<u8>(), 0..140),
    ];
    prop_oneof![
        1 => Just(None),
        1 => proptest::collection::vec(any::<u8>(), 0..3).prop_map(Some),
        6 => (data, status).prop_map(|(data, status)| Some([&data[..], &status].concat())),
    ]
}

fn liar() -> impl Strategy<Value = Vec<(usize, Option<Vec<u8>>)>> {
    proptest::collection::vec((0_usize..9, lie()), 0..4)
}

/// What any engine wants, in one shape.
enum Ask {
    Send(Vec<u8>),
    SendAndKey(Vec<u8>, SamRequest),
    Key(SamRequest),
    Wait,
    Fare,
    Proceed,
    Done,
}

/// Runs an engine to its end. Before every step it is given everything at wrong times and into small buffers: what it calls
/// misuse changes nothing.
fn run<E: Clone + Debug>(
    mut engine: E,
    step: impl Fn(&mut E, Input<'_>, &mut [u8]) -> Result<Ask, Misuse>,
    card: &mut Liar,
    sam: &mut dyn Sam,
    fare: u32,
) -> E {
    let mut out = [0; COMMAND_LEN];
    let mut key = None;
    let mut answer;
    let mut next = Input::Start;
    for _ in 0..700 {
        let before = format!("{engine:?}");
        let wrong = [
            Input::Start,
            Input::Response(&[]),
            Input::Response(&[0x90, 0x00]),
            Input::CardLost,
            Input::Key(SamAnswer::Credited),
            Input::Key(SamAnswer::Authentic),
            Input::Key(SamAnswer::Mac([0; 4])),
            Input::Key(SamAnswer::Certified),
            Input::Key(SamAnswer::Refused(SamRefused::STATE)),
            Input::Fare(1),
            Input::Proceed,
        ];
        for input in wrong.into_iter().chain([next]) {
            for len in [0, 4, 12, 20, 50, COMMAND_LEN] {
                let mut other = engine.clone();
                if step(&mut other, input, &mut out[..len]).is_err() {
                    assert_eq!(format!("{other:?}"), before, "{input:?} into {len}");
                }
            }
        }
        let ask = step(&mut engine, next, &mut out).unwrap();
        let command = match ask {
            Ask::Done => return engine,
            Ask::Send(command) => Some(command),
            Ask::SendAndKey(command, request) => {
                key = Some(sam.answer(&request));
                Some(command)
            }
            Ask::Key(request) => {
                key = Some(sam.answer(&request));
                None
            }
            Ask::Wait => None,
            Ask::Fare => {
                next = Input::Fare(fare);
                continue;
            }
            Ask::Proceed => {
                next = Input::Proceed;
                continue;
            }
        };
        next = match command {
            Some(command) => {
                answer = card.exchange(&command).map(<[u8]>::to_vec);
                answer.as_deref().map_or(Input::CardLost, Input::Response)
            }
            None => Input::Key(key.take().unwrap()),
        };
    }
    panic!("the engine goes on for ever");
}

fn tap_step<V: Service>(tap: &mut Tap<'_, V>, input: Input<'_>, out: &mut [u8]) -> Result<Ask, Misuse> {
    Ok(match tap.step(input, out)? {
        Step::Send(command) => Ask::Send(command.to_vec()),
        Step::SendAndKey(command, request) => Ask::SendAndKey(command.to_vec(), request),
        Step::Key(request) => Ask::Key(request),
        Step::Wait => Ask::Wait,
        Step::Fare => Ask::Fare,
        Step::Persist(_) | Step::Accepted(_) => Ask::Proceed,
        Step::Done(_) => Ask::Done,
    })
}

fn lock_step(lock: &mut Lock<'_>, input: Input<'_>, out: &mut [u8]) -> Result<Ask, Misuse> {
    Ok(match lock.step(input, out)? {
        LockStep::Send(command) => Ask::Send(command.to_vec()),
        LockStep::SendAndKey(command, request) => Ask::SendAndKey(command.to_vec(), request),
        LockStep::Key(request) => Ask::Key(request),
        LockStep::Wait => Ask::Wait,
        LockStep::Persist(_) => Ask::Proceed,
        LockStep::Done(_) => Ask::Done,
    })
}

fn recovery_step(recovery: &mut Recovery, input: Input<'_>, out: &mut [u8]) -> Result<Ask, Misuse> {
    Ok(match recovery.step(input, out)? {
        RecoveryStep::Send(command) => Ask::Send(command.to_vec()),
        RecoveryStep::Key(request) => Ask::Key(request),
        RecoveryStep::Done(_) => Ask::Done,
    })
}

/// A service of every kind there is.
fn services() -> Vec<Box<dyn Service>> {
    let rules = ExitRules {
        unopened: Some(Owed::Ask),
        time_limit: Some(TimeLimit { minutes: 1, owed: None }),
        same_station: Some(SameStation { minutes: 20, fare: Fare::Fixed(0) }),
    };
    let lane = etc::Lane { network: [1; 2], station: [2; 2], lane: 3, entered: 3, left: 4, ahead: 28_800 };
    let drain = Drain { record: None, kind: Kind::LOCK, balance: 0 };
    vec![
        Box::new(metro::Entry {
            incomplete: Incomplete::Charge(Owed::Maximum { unless_recorded: 1 }),
            ..ENTRY
        }),
        Box::new(metro::Exit { rules, ..EXIT }),
        Box::new(Desk { place: PLACE, update: Update::Leave, owed: Owed::Ask }),
        Box::new(etc::Entry { lane, class: 1, plate: [0; 12], again: true }),
        Box::new(Priced {
            service: EXIT,
            fares: |visit: &Visit<'_>| visit.rail().map_or(1, |r| r.maximum_fare()),
        }),
        Box::new(drain),
        Box::new(Purchase { amount: 7 }),
    ]
}

/// The boxed service.
#[derive(Clone, Copy)]
struct Any<'a>(&'a dyn Service);

impl Debug for Any<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Any")
    }
}

impl Service for Any<'_> {
    fn tti(&self) -> Tti {
        self.0.tti()
    }
    fn record(&self) -> Option<RecordFile> {
        self.0.record()
    }
    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        self.0.judge(visit)
    }
    fn compose(&self, charge: &Charge<'_>) -> Records {
        self.0.compose(charge)
    }
}

fn listed(_: &[u8; 10]) -> bool {
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_service_ends_and_misuse_changes_nothing(
        lies in liar(), again in liar(), kind in 0_usize..7, wants in 0_u8..16, fare in 0_u32..40_000
    ) {
        let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
        let mut sam = world::sam(1);
        let policy = Policy {
            card_type: wants & 1 != 0,
            last: [Last::Unread, Last::Process, Last::Log][usize::from(wants % 3)],
            auth_code: wants & 8 != 0,
            repeat_seconds: 20,
            ..Policy::default()
        };
        let services = services();
        let service = Any(&*services[kind]);
        let tap = Tap::new(DEVICE, &policy, &service, STAMP);
        let mut tap = run(tap, tap_step, &mut card, &mut sam, fare);
        let Ok(Step::Done(outcome)) = tap.step(Input::Proceed, &mut []) else { panic!() };
        if let Outcome::Uncertain(pending) = outcome {
            card.lies = again;
            card.commands = 0;
            card.band.retap();
            run(Recovery::new(AID_JTT_978_EP, pending), recovery_step, &mut card, &mut sam, 0);
        }
    }

    #[test]
    fn every_lock_ends_and_misuse_changes_nothing(lies in liar(), drains: bool, order in 0_usize..3) {
        let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
        let order = [Order::Block, Order::BlockForGood, Order::Unblock][order];
        let drain = Drain { record: Some(Process::new()), kind: Kind::LOCK, balance: 3 };
        let key = MaintenanceKey { version: 1, algorithm: 1 };
        let mut lock = Lock::new(DEVICE, order, key, &listed);
        if drains {
            lock = lock.with_drain(&drain, STAMP);
        }
        let mut lock = run(lock, lock_step, &mut card, &mut Maintains(world::sam(1)), 0);
        let Ok(LockStep::Done(locked)) = lock.step(Input::Proceed, &mut []) else { panic!() };
        if let Some(Outcome::Paid(receipt)) = locked.drained {
            prop_assert_eq!(receipt.mac2, huiwan_purse::terminal::Mac2::Verified);
        }
        // Whatever a card says, one that is on the list is not unlocked.
        prop_assert!(order != Order::Unblock || locked.end != End::Done);
    }
}

/// A PSAM that answers 80 FA with a MAC no card takes.
struct Maintains(SoftSam<world::Suite, 1>);

impl Sam for Maintains {
    fn terminal(&self) -> [u8; 6] {
        self.0.terminal()
    }
    fn key_index(&self) -> u8 {
        self.0.key_index()
    }
    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        self.0.init_for_purchase(request)
    }
    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        self.0.credit_for_purchase(request)
    }
    fn secure_command(&mut self, _: &SecureCommand) -> Result<[u8; 4], SamRefused> {
        Ok([0; 4])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn taps_and_recoveries(lies in liar(), again in liar(), composite: bool, fare in 0_u32..40_000) {
        let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
        let (mut sam, mut notes) = (world::sam(1), Notes { fare, ..Notes::default() });
        let policy = Policy { card_type: composite, ..Policy::default() };
        let entry = metro::Entry { incomplete: Incomplete::Charge(metro::Owed::Ask), ..ENTRY };
        let outcome = if composite {
            drive::tap(&mut Tap::new(DEVICE, &policy, &entry, STAMP), &mut card, &mut sam, &mut notes)
        } else {
            let service = Purchase { amount: fare };
            drive::tap(&mut Tap::new(DEVICE, &policy, &service, STAMP), &mut card, &mut sam, &mut notes)
        };
        match outcome.unwrap() {
            // The card held the key: the debit it proves is the one the gate asked for.
            Outcome::Paid(receipt) => {
                prop_assert_eq!(receipt.mac2, huiwan_purse::terminal::Mac2::Verified);
                prop_assert_eq!(Some(Pending { transaction: receipt.transaction }), notes.pending);
            }
            Outcome::Uncertain(pending) => {
                prop_assert_eq!(notes.pending, Some(pending));
                card.lies = again;
                card.commands = 0;
                card.band.retap();
                let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
                let recovered = drive::recover(&mut recovery, &mut card, &mut sam).unwrap();
                if let Recovered::Paid(receipt) = recovered {
                    prop_assert_eq!(receipt.transaction, pending.transaction);
                }
            }
            Outcome::Disputed(_) | Outcome::Refused(_) | Outcome::Failed(_) => {}
            outcome => prop_assert!(false, "{:?}", outcome),
        }
    }

    #[test]
    fn top_ups_and_inquiries(lies in liar(), again in liar()) {
        let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
        let mut host = |request: &huiwan_purse::terminal::LoadRequest| {
            use huiwan_purse::host::LoadKeys;
            let mac2 = world::load_keys().approve_load(request, STAMP).ok()?;
            Some(huiwan_purse::terminal::LoadApproval { stamp: STAMP, mac2 })
        };
        drive::top_up(&mut TopUp::new(DEVICE, 100), &mut card, &mut host, &mut |_| {}).unwrap();
        card.lies = again;
        card.commands = 0;
        card.band.retap();
        match drive::inquire(&mut Inquiry::new(AID_JTT_978_EP), &mut card).unwrap() {
            InquiryOutcome::Read(summary) => prop_assert!(summary.log.len() <= 10),
            InquiryOutcome::Refused(_) | InquiryOutcome::Failed(_) => {}
            outcome => prop_assert!(false, "{:?}", outcome),
        }
    }
}

#[test]
fn a_proof_that_the_log_contradicts_decides_nothing() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let policy = Policy::default();
    let buy = |band: &mut RamBand, sam: &mut dyn Sam, notes: &mut Notes, amount| {
        drive::tap(&mut Tap::new(DEVICE, &policy, &Purchase { amount }, STAMP), band, sam, notes).unwrap()
    };
    assert!(matches!(buy(&mut band, &mut sam, &mut notes, 1), Outcome::Paid(_)));
    band.select();
    let log_before = [&band.ok("00B201C417")[..], &[0x90, 0x00]].concat();
    band.retap();
    band.tear = Some(Tear { command: 2, how: TearHow::Unanswered });
    let Outcome::Uncertain(pending) = buy(&mut band, &mut sam, &mut notes, 2) else { panic!() };
    // The card has debited and proves it, and then its log does not know of it.
    let empty = vec![0x6A, 0x83];
    for (log, expected) in [(Some(log_before), None), (Some(empty), None), (None, Some(2))] {
        band.retap();
        let lies = log.map(|log| (2, Some(log))).into_iter().collect();
        let mut card = Liar { band, lies, commands: 0, answer: Vec::new() };
        let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
        match drive::recover(&mut recovery, &mut card, &mut sam).unwrap() {
            Recovered::Paid(receipt) => assert_eq!(Some(receipt.transaction.amount), expected),
            Recovered::Unknown(None) => assert_eq!(expected, None),
            other => panic!("{other:?}"),
        }
        band = card.band;
    }
}

#[test]
fn a_log_record_of_an_unknown_type_does_not_end_the_search() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let policy = Policy::default();
    let ours = Purchase { amount: 2 };
    band.tear = Some(Tear { command: 2, how: TearHow::Unanswered });
    let mut tap = Tap::new(DEVICE, &policy, &ours, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap();
    let Outcome::Uncertain(pending) = outcome else { panic!() };
    band.retap();
    let mut tap = Tap::new(DEVICE, &policy, &Purchase { amount: 3 }, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap();
    assert!(matches!(outcome, Outcome::Paid(_)));
    band.retap();
    // Instead of that later purchase, something of the issuer's own, numbered by a counter of its own.
    let own = world::by_hand::bytes("0001 000000 00000000 11 300089000340 20261122 150000 9000");
    let mut card = Liar { band, lies: vec![(2, Some(own))], commands: 0, answer: Vec::new() };
    let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
    let recovered = drive::recover(&mut recovery, &mut card, &mut sam).unwrap();
    assert!(matches!(recovered, Recovered::Paid(receipt) if receipt.tac.is_none()), "{recovered:?}");
}

#[test]
fn a_log_record_of_the_other_account_does_not_end_the_search() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let policy = Policy::default();
    let mut buy = |band: &mut RamBand, amount| {
        let service = Purchase { amount };
        let mut tap = Tap::new(DEVICE, &policy, &service, STAMP);
        let outcome = drive::tap(&mut tap, band, &mut sam, &mut notes).unwrap();
        band.retap();
        outcome
    };
    assert!(matches!(buy(&mut band, 1), Outcome::Paid(_)));
    band.tear = Some(Tear { command: 2, how: TearHow::Unanswered });
    let Outcome::Uncertain(pending) = buy(&mut band, 2) else { panic!() };
    assert!(pending.transaction.seq_after() > 1, "the passbook's counter below is lower");
    assert!(matches!(buy(&mut band, 3), Outcome::Paid(_)));
    // Instead of that later purchase: one with the passbook, whose counter is lower; and types that name no account.
    for tti in ["04", "05", "91", "93"] {
        let other = format!("0001 000000 00000003 {tti} 300089000340 20261122 150000 9000");
        let lies = vec![(2, Some(world::by_hand::bytes(&other)))];
        let mut card = Liar { band, lies, commands: 0, answer: Vec::new() };
        let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
        let recovered = drive::recover(&mut recovery, &mut card, &mut world::sam(1)).unwrap();
        assert!(
            matches!(recovered, Recovered::Paid(receipt) if receipt.tac.is_none()),
            "{tti}: {recovered:?}"
        );
        band = card.band;
        band.retap();
    }
}

#[test]
fn the_counter_asked_for_is_the_accounts() {
    let public_info = [world::public_info().as_bytes(), &[0x90, 0x00][..]].concat();
    for (tti, init) in [
        (Tti::ED_PURCHASE, Some("80500101")),
        (Tti::CAPP_PURCHASE, Some("80500102")),
        (Tti::ED_LOAD, Some("80500001")),
        (Tti::UNLOAD, None),
    ] {
        let mut pending = torn();
        pending.transaction.tti = tti;
        let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
        let mut out = [0; 160];
        let mut answer: Vec<u8> = Vec::new();
        let mut last = String::new();
        for _ in 0..40 {
            let input = if answer.is_empty() { Input::Start } else { Input::Response(&answer) };
            match recovery.step(input, &mut out).unwrap() {
                RecoveryStep::Send(command) => {
                    last = world::hex(command);
                    answer = match (&last[..4], &last[4..6]) {
                        ("00A4", _) => vec![0x90, 0x00],
                        ("00B0", _) => public_info.clone(),
                        ("805A", _) => vec![0x94, 0x06],
                        ("00B2", "0B") => vec![0x6A, 0x83],
                        ("00B2", _) => {
                            world::by_hand::bytes("0001 000000 00000003 91 300089000340 20261122 150000 9000")
                        }
                        _ => vec![0x69, 0x82],
                    };
                }
                RecoveryStep::Done(recovered) => {
                    assert_eq!(recovered, Recovered::Unknown(None));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(&last[..8], init.unwrap_or("00B20BC4"), "{tti}");
    }
}

/// A purchase whose answer did not come.
fn torn() -> Pending {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    band.tear = Some(Tear { command: 2, how: TearHow::Unanswered });
    let policy = Policy::default();
    let mut tap = Tap::new(DEVICE, &policy, &Purchase { amount: 2 }, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap();
    let Outcome::Uncertain(pending) = outcome else { panic!("{outcome:?}") };
    pending
}

#[test]
fn the_proof_of_an_unload_is_its_mac3() {
    let mut pending = torn();
    pending.transaction.tti = Tti::UNLOAD;
    let transaction = pending.transaction;
    let log = [
        &transaction.seq_after().to_be_bytes()[..],
        &[0; 3],
        &transaction.amount.to_be_bytes(),
        &[transaction.tti.0],
        &transaction.terminal,
        &transaction.stamp.to_bytes(),
        &[0x90, 0x00],
    ]
    .concat();
    let lies = [world::by_hand::bytes("01020304 00000000 9000"), log];
    let lies = lies.into_iter().enumerate().map(|(n, lie)| (n + 1, Some(lie))).collect();
    let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
    let recovered =
        drive::recover(&mut Recovery::new(AID_JTT_978_EP, pending), &mut card, &mut world::sam(1)).unwrap();
    assert!(
        matches!(recovered, Recovered::Paid(receipt) if receipt.tac == Some([1, 2, 3, 4])),
        "{recovered:?}"
    );
}

#[test]
fn misuse_leaves_the_engine_as_it_was() {
    let policy = Policy::default();
    let service = Purchase { amount: 1 };
    let mut tap = Tap::new(DEVICE, &policy, &service, STAMP);
    let mut out = [0; 160];
    assert_eq!(tap.step(Input::Response(&[0x90, 0x00]), &mut out), Err(Misuse::UnexpectedInput));
    assert_eq!(tap.step(Input::Proceed, &mut out), Err(Misuse::UnexpectedInput));
    let mut small = [0; 5];
    assert_eq!(tap.step(Input::Start, &mut small), Err(Misuse::BufferTooSmall { needed: 14 }));
    let Ok(Step::Send(select)) = tap.step(Input::Start, &mut out) else { panic!() };
    assert_eq!(world::hex(select), "00A4040008A00000063201010500");
    assert_eq!(tap.step(Input::Start, &mut out), Err(Misuse::UnexpectedInput));
    assert_eq!(world::sam(1).key_index(), 1);
}
