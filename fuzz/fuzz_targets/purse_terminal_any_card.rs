//! A terminal against a card that answers anything: it ends in bounded steps, and is never paid without the MAC2 of its own
//! PSAM, which no made-up answer has.
//!
//! Input: engine 1, fare 2, then answers: length 1 (255 = the card has left) and bytes.
#![no_main]

#[path = "../../crates/purse/tests/world/mod.rs"]
mod world;

use huiwan_purse::host::LoadKeys;
use huiwan_purse::terminal::desk::{Desk, Update};
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::lock::{Drain, Lock, MaintenanceKey, Order};
use huiwan_purse::terminal::metro::{self, Incomplete};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::Service;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, Inquiry, Last, LoadApproval, LoadRequest, Mac2, Outcome, Pending, Policy, Recovered,
    Recovery, Tap, TopUp, TopUpOutcome, bus, etc,
};
use huiwan_purse::transit::process::{Kind, Process};
use libfuzzer_sys::fuzz_target;
use world::{DEVICE, ENTRY, EXIT, Notes, PLACE, STAMP};

struct Anything<'a> {
    rest: &'a [u8],
    commands: usize,
}

impl Transport for Anything<'_> {
    fn exchange(&mut self, _: &[u8]) -> Option<&[u8]> {
        self.commands += 1;
        assert!(self.commands <= 300, "the engine goes on for ever");
        let (len, rest) = self.rest.split_first()?;
        if *len == 255 {
            self.rest = rest;
            return None;
        }
        let (answer, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        self.rest = rest;
        Some(answer)
    }
}

fn tap<V: Service>(service: &V, card: &mut Anything<'_>, fare: u32) {
    let (mut sam, mut notes) = (world::sam(1), Notes { fare, ..Notes::default() });
    let last = [Last::Unread, Last::Process, Last::Log][fare as usize % 3];
    let policy = Policy { card_type: fare % 2 == 1, last, repeat_seconds: 20, ..Policy::default() };
    match drive::tap(&mut Tap::new(DEVICE, &policy, service, STAMP), card, &mut sam, &mut notes).unwrap() {
        Outcome::Paid(receipt) => {
            // One in 2^32 guesses of a MAC is right; a fuzzer does not find it.
            assert_ne!(receipt.mac2, Mac2::Verified);
        }
        Outcome::Uncertain(pending) => {
            assert_eq!(notes.pending, Some(pending));
            let recovered =
                drive::recover(&mut Recovery::new(AID_JTT_978_EP, pending), card, &mut sam).unwrap();
            if let Recovered::Paid(receipt) = recovered {
                assert_eq!(Pending { transaction: receipt.transaction }, pending);
                assert_ne!(receipt.mac2, Mac2::Verified);
            }
        }
        _ => {}
    }
}

/// The host approves no MAC1 that somebody made up, so nothing is ever loaded.
fn top_up(card: &mut Anything<'_>, amount: u32) {
    let mut keys = world::load_keys();
    let mut host = |request: &LoadRequest| {
        let mac2 = keys.approve_load(request, STAMP).ok()?;
        Some(LoadApproval { stamp: STAMP, mac2 })
    };
    let mut pending = None;
    let outcome =
        drive::top_up(&mut TopUp::new(DEVICE, amount), card, &mut host, &mut |it| pending = Some(*it));
    match outcome.unwrap() {
        TopUpOutcome::Loaded { .. } | TopUpOutcome::Uncertain(_) => panic!("the host approved"),
        _ => assert_eq!(pending, None, "nothing is open that was not approved"),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[engine, high, low], rest)) = input.split_first_chunk() else { return };
    let fare = u32::from(u16::from_be_bytes([high, low]));
    let mut card = Anything { rest, commands: 0 };
    let place = bus::Place {
        city: [0x10, 0x00],
        organisation: [0xFF; 8],
        operator: [0; 2],
        line: [0, 1],
        stop: 1,
        vehicle: *b"B1234567",
        direction: 0xAB,
    };
    match engine % 10 {
        0 => tap(&Purchase { amount: fare }, &mut card, fare),
        1 => {
            tap(&metro::Entry { incomplete: Incomplete::Charge(metro::Owed::Ask), ..ENTRY }, &mut card, fare)
        }
        2 => tap(&EXIT, &mut card, fare),
        3 => tap(&bus::On { place, marked_amount: fare }, &mut card, fare),
        4 => tap(&bus::Off { place }, &mut card, fare),
        5 => {
            let _ = drive::inquire(&mut Inquiry::new(AID_JTT_978_EP), &mut card).unwrap();
        }
        6 => {
            let owed = metro::Owed::Maximum { unless_recorded: fare };
            tap(&Desk { place: PLACE, update: Update::Leave, owed }, &mut card, fare);
        }
        7 => {
            let lane =
                etc::Lane { network: [1; 2], station: [2; 2], lane: 3, entered: 3, left: 4, ahead: 28_800 };
            tap(&etc::Exit { lane }, &mut card, fare);
        }
        8 => top_up(&mut card, fare),
        _ => {
            let order = [Order::Block, Order::BlockForGood, Order::Unblock][usize::from(low) % 3];
            let drain = Drain { record: Some(Process::new()), kind: Kind::LOCK, balance: 3 };
            let listed = |serial: &[u8; 10]| serial[9] & 1 == low & 1;
            let key = MaintenanceKey { version: 1, algorithm: 1 };
            let mut lock = Lock::new(DEVICE, order, key, &listed).with_drain(&drain, STAMP);
            let mut kept = None;
            let mut keep = |pending: &Pending| kept = Some(*pending);
            let locked = drive::lock(&mut lock, &mut card, &mut world::sam(1), &mut keep).unwrap();
            match locked.drained {
                Some(Outcome::Uncertain(pending)) => assert_eq!(kept, Some(pending)),
                Some(Outcome::Paid(receipt)) => assert_ne!(receipt.mac2, Mac2::Verified),
                _ => {}
            }
        }
    }
});
