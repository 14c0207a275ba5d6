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

use huiwan_purse::psam::Sam;
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::metro::{self, Incomplete};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, Input, Inquiry, InquiryOutcome, Misuse, Outcome, Pending, Policy, Recovered, Recovery,
    Step, Tap, TopUp,
};
use proptest::prelude::*;
use world::{DEVICE, ENTRY, Notes, RamBand, STAMP, Tear, TearHow, issued};

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn taps_and_recoveries(lies in liar(), again in liar(), composite: bool, fare in 0_u32..40_000) {
        let mut card = Liar { band: issued(), lies, commands: 0, answer: Vec::new() };
        let (mut sam, mut notes) = (world::sam(1), Notes { fare, ..Notes::default() });
        let policy = Policy { card_type: composite, ..Policy::default() };
        let entry = metro::Entry { incomplete: Incomplete::Charge, ..ENTRY };
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
