//! What gates and validators make of cards: repeat windows, incomplete trips, stays, service desks, fares and discounts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::date::Stamp;
use huiwan_purse::keys::CardId;
use huiwan_purse::terminal::desk::{Desk, Update};
use huiwan_purse::terminal::metro::{ExitRules, Incomplete, Owed, SameStation, TimeLimit};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::{Fare, Priced, Visit};
use huiwan_purse::terminal::{
    Device, Last, Outcome, Policy, Recent, RecentTaps, Refusal, Service, Tap, bus, drive, metro,
};
use huiwan_purse::transit::process::{INDUSTRY_METRO, Kind, Process};
use huiwan_purse::transit::rail::{self, Rail, State};
use world::{CARD, DEVICE, ENTRY, EXIT, Notes, PLACE, RamBand, STAMP, hex, issued};

/// The test day at this time.
const fn at(hour: u8, minute: u8, second: u8) -> Stamp {
    Stamp { time: [hour, minute, second], ..STAMP }
}

struct Line {
    band: RamBand,
    policy: Policy<'static>,
}

impl Line {
    fn new() -> Self {
        Self { band: issued(), policy: Policy::default() }
    }

    fn tap<V: Service>(&mut self, service: &V, stamp: Stamp) -> Outcome {
        self.tap_at(DEVICE, service, stamp)
    }

    fn tap_at<V: Service>(&mut self, device: Device, service: &V, stamp: Stamp) -> Outcome {
        self.band.retap();
        let mut notes = Notes { fare: 9999, ..Notes::default() };
        let mut tap = Tap::new(device, &self.policy, service, stamp);
        drive::tap(&mut tap, &mut self.band, &mut world::sam(1), &mut notes).unwrap()
    }

    #[track_caller]
    fn pays<V: Service>(&mut self, service: &V, stamp: Stamp) -> u32 {
        match self.tap(service, stamp) {
            Outcome::Paid(receipt) => receipt.transaction.amount,
            other => panic!("not paid: {other:?}"),
        }
    }

    fn rail(&mut self) -> Rail {
        self.band.select();
        Rail::parse(&self.band.ok("00B201D080")).unwrap()
    }

    fn newest(&mut self) -> Process {
        self.band.select();
        Process::parse(&self.band.ok("00B201F430")).unwrap()
    }
}

fn flat(fare: Fare) -> bus::Flat {
    let place = bus::Place {
        city: [0x10, 0x00],
        organisation: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
        operator: [0x00, 0x07],
        line: [0x03, 0x21],
        stop: 4,
        vehicle: *b"B12345  ",
        direction: 0xAB,
    };
    bus::Flat { place, fare }
}

const fn repeated(seconds: u32) -> Outcome {
    Outcome::Refused(Refusal::Repeated { seconds })
}

#[test]
fn the_cards_own_record_tells_of_a_repeated_tap() {
    for last in [Last::Process, Last::Log] {
        let mut line = Line::new();
        line.policy = Policy { last, repeat_seconds: 20, ..Policy::default() };
        let ride = flat(Fare::Fixed(200));
        assert_eq!(line.pays(&ride, at(0x14, 0x17, 0x40)), 200, "a card that was never used has no record");
        assert_eq!(line.tap(&ride, at(0x14, 0x17, 0x40)), repeated(0));
        line.band.trace.clear();
        assert_eq!(line.tap(&ride, at(0x14, 0x17, 0x59)), repeated(19));
        assert_eq!(line.band.trace.len(), 2, "SELECT and the record");
        let elsewhere = Device { terminal: [9; 6], ..DEVICE };
        let other = line.tap_at(elsewhere, &Purchase { amount: 1 }, at(0x14, 0x17, 0x50));
        assert!(!matches!(other, Outcome::Refused(_)), "another terminal has not seen it: {other:?}");
        assert_eq!(line.pays(&ride, at(0x14, 0x18, 0x00)), 200, "{last:?}");
        assert_eq!(line.pays(&ride, at(0x14, 0x17, 0x00)), 200, "a clock that was set back forgives");
    }
}

#[test]
fn the_terminals_memory_tells_of_a_repeated_tap_without_a_command() {
    let mut band = issued();
    let mut recent = RecentTaps::<4>::new();
    let policy = Policy { repeat_seconds: 20, ..Policy::default() };
    let ride = flat(Fare::Fixed(200));
    let mut tap = |recent: &RecentTaps<4>, stamp| {
        band.trace.clear();
        let mut tap = Tap::new(DEVICE, &policy, &ride, stamp).with_recent(recent);
        let outcome = drive::tap(&mut tap, &mut band, &mut world::sam(1), &mut Notes::default()).unwrap();
        (outcome, band.trace.len())
    };
    let (Outcome::Paid(receipt), 4) = tap(&recent, at(0x14, 0x17, 0x40)) else { panic!() };
    recent.note(receipt.transaction.card, receipt.transaction.stamp);
    assert_eq!(tap(&recent, at(0x14, 0x17, 0x45)), (repeated(5), 1), "SELECT alone");
    assert!(matches!(tap(&recent, at(0x14, 0x18, 0x00)), (Outcome::Paid(_), 4)));
}

#[test]
fn the_ring_forgets_the_oldest() {
    let card = |n: u8| CardId { serial: [n; 10], ..CARD };
    let mut recent = RecentTaps::<3>::default();
    for n in 0..4 {
        recent.note(card(n), at(0x10, n, 0));
    }
    assert_eq!([0, 1, 2, 3].map(|n| recent.last(&card(n)).is_some()), [false, true, true, true]);
    recent.note(card(2), at(0x11, 0, 0));
    assert_eq!(recent.last(&card(2)), Some(at(0x11, 0, 0)), "the newer note of two");
    let mut none = RecentTaps::<0>::new();
    none.note(card(1), STAMP);
    assert_eq!(none.last(&card(1)), None);
}

#[test]
fn card_types_are_a_policy() {
    let mut line = Line::new();
    line.policy = Policy { card_types: Some(&[2, 3]), ..Policy::default() };
    assert_eq!(line.tap(&Purchase { amount: 1 }, STAMP), Outcome::Refused(Refusal::CardType(1)));
    line.policy.card_types = Some(&[1]);
    assert_eq!(line.pays(&Purchase { amount: 1 }, STAMP), 1);
    line.policy.types = Some(&[1]);
    assert_eq!(line.tap(&Purchase { amount: 1 }, STAMP), Outcome::Refused(Refusal::ApplicationType(2)));
    line.policy.types = None;
    assert_eq!(line.pays(&Purchase { amount: 1 }, STAMP), 1);
}

#[test]
fn an_incomplete_trip_costs_the_maximum_fare_of_its_own_entry() {
    let mut line = Line::new();
    let owed = Owed::Maximum { unless_recorded: 700 };
    let entry = metro::Entry { maximum_fare: 900, incomplete: Incomplete::Charge(owed), ..ENTRY };
    assert_eq!(line.pays(&entry, STAMP), 0);
    let raised = metro::Entry { maximum_fare: 0, ..entry };
    assert_eq!(line.pays(&raised, STAMP), 900, "as the first entry left it");
    assert_eq!(line.pays(&entry, STAMP), 700, "where the record names none");
    let fixed = metro::Entry { incomplete: Incomplete::Charge(Owed::Fixed(50)), ..entry };
    assert_eq!(line.pays(&fixed, STAMP), 50);
    let too_much = metro::Entry { maximum_fare: u32::MAX, ..entry };
    assert_eq!(line.pays(&too_much, STAMP), 900);
    assert_eq!(line.tap(&entry, STAMP), Outcome::Refused(Refusal::FareTooHigh), "whatever a card says");
}

#[test]
fn who_did_not_enter_pays_at_the_exit_what_the_rules_say() {
    let mut line = Line::new();
    assert_eq!(line.tap(&EXIT, STAMP), Outcome::Refused(Refusal::NotInside));
    let rules = ExitRules { unopened: Some(Owed::Maximum { unless_recorded: 800 }), ..ExitRules::PLAIN };
    assert_eq!(line.pays(&metro::Exit { rules, ..EXIT }, STAMP), 800);
    assert_eq!(line.rail().state(), Some(State::Outside));
}

#[test]
fn a_long_stay_is_turned_away_or_costs_what_the_rules_say() {
    let limit = |owed| ExitRules { time_limit: Some(TimeLimit { minutes: 240, owed }), ..ExitRules::PLAIN };
    let exit = |rules| Priced { service: metro::Exit { rules, ..EXIT }, fares: |_: &Visit<'_>| 300 };
    for (stamp, owed, paid) in [
        (at(0x18, 0x18, 0x39), None, Some(300)),
        (at(0x18, 0x18, 0x40), None, None),
        (at(0x18, 0x18, 0x40), Some(Owed::Maximum { unless_recorded: 1 }), Some(1500)),
        (at(0x14, 0x17, 0x39), None, None),
        (at(0x14, 0x17, 0x39), Some(Owed::Fixed(77)), Some(77)),
    ] {
        let mut line = Line::new();
        line.pays(&ENTRY, STAMP);
        let outcome = line.tap(&exit(limit(owed)), stamp);
        match (outcome, paid) {
            (Outcome::Paid(receipt), Some(paid)) => assert_eq!(receipt.transaction.amount, paid),
            (Outcome::Refused(Refusal::OverTime), None) => {}
            other => panic!("{stamp:02X?}: {other:?}"),
        }
    }
}

#[test]
fn who_turns_round_pays_what_the_rules_say() {
    let same_station = Some(SameStation { minutes: 20, fare: Fare::Fixed(0) });
    let time_limit = Some(TimeLimit { minutes: 10, owed: None });
    let rules = ExitRules { same_station, time_limit, unopened: None };
    let here = metro::Exit { rules, ..EXIT };
    let there = metro::Exit { place: metro::Place { station: [7; 8], ..PLACE }, rules };
    let tap = |exit: metro::Exit, stamp| {
        let mut line = Line::new();
        line.pays(&ENTRY, STAMP);
        line.tap(&Priced { service: exit, fares: |_: &Visit<'_>| 300 }, stamp)
    };
    let amount = |outcome| match outcome {
        Outcome::Paid(receipt) => Some(receipt.transaction.amount),
        Outcome::Refused(Refusal::OverTime) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(amount(tap(here, at(0x14, 0x38, 0x39))), Some(0), "20 minutes and 59 seconds");
    assert_eq!(amount(tap(here, at(0x14, 0x38, 0x40))), None);
    assert_eq!(amount(tap(there, at(0x14, 0x20, 0x00))), Some(300));
    assert_eq!(amount(tap(there, at(0x14, 0x30, 0x00))), None);
}

#[test]
fn a_desk_sets_trips_right() {
    let mut line = Line::new();
    let desk = |update, owed| Desk { place: PLACE, update, owed };
    let enter = Update::Enter { maximum_fare: 600 };
    assert_eq!(line.tap(&desk(Update::Leave, Owed::Fixed(0)), STAMP), Outcome::Refused(Refusal::NotInside));
    // Inside without an entry: the desk opens the trip, and the exit takes it.
    assert_eq!(line.pays(&desk(enter, Owed::Fixed(200)), at(0x14, 0x00, 0x00)), 200);
    let record = line.rail();
    assert_eq!((record.state(), record.maximum_fare()), (Some(State::InsideUpdated), 600));
    assert_eq!((line.newest().kind(), line.newest().amount()), (Kind::EP_MAKE_UP, 200));
    assert_eq!(line.tap(&desk(enter, Owed::Fixed(0)), STAMP), Outcome::Refused(Refusal::AlreadyInside));
    assert_eq!(line.tap(&ENTRY, STAMP), Outcome::Refused(Refusal::AlreadyInside));

    // Too long inside: the desk lets the time begin anew.
    let rules = ExitRules { time_limit: Some(TimeLimit { minutes: 60, owed: None }), ..ExitRules::PLAIN };
    let exit = Priced { service: metro::Exit { rules, ..EXIT }, fares: |_: &Visit<'_>| 300 };
    assert_eq!(line.tap(&exit, at(0x15, 0x01, 0x00)), Outcome::Refused(Refusal::OverTime));
    let prolong = desk(Update::Prolong, Owed::Fixed(100));
    assert_eq!(line.pays(&prolong, at(0x15, 0x02, 0x00)), 100);
    assert_eq!(line.rail().get(rail::ENTRY_TIME), at(0x15, 0x02, 0x00).to_bytes());
    assert_eq!(line.pays(&exit, at(0x16, 0x00, 0x00)), 300);
    assert_eq!(line.tap(&prolong, STAMP), Outcome::Refused(Refusal::NotInside));

    // Outside without an exit: the desk closes the trip at the price its entry named, and the entry takes it.
    assert_eq!(line.pays(&ENTRY, STAMP), 0);
    let leave = desk(Update::Leave, Owed::Maximum { unless_recorded: 1 });
    assert_eq!(line.pays(&leave, STAMP), 1500);
    assert_eq!(line.rail().state(), Some(State::OutsideUpdated));
    assert_eq!(line.pays(&ENTRY, STAMP), 0);
}

#[test]
fn a_transfer_discount_is_a_function_of_the_last_ride() {
    let mut line = Line::new();
    line.policy.last = Last::Process;
    let discounted = Priced {
        service: flat(Fare::Ask),
        fares: |visit: &Visit<'_>| match (visit.card.last, visit.minutes_since_last()) {
            (Some(last), Some(0..=30))
                if last.industry == Some(INDUSTRY_METRO) && last.kind == Some(Kind::EP_OUT) =>
            {
                200 - last.amount.min(100)
            }
            _ => 200,
        },
    };
    let exit =
        Priced { service: EXIT, fares: |visit: &Visit<'_>| if visit.rail().is_some() { 300 } else { 0 } };
    assert_eq!(line.pays(&discounted, at(0x13, 0x00, 0x00)), 200, "no ride before");
    line.pays(&ENTRY, at(0x14, 0x00, 0x00));
    assert_eq!(line.pays(&discounted, at(0x14, 0x05, 0x00)), 200, "an entry is no ride");
    assert_eq!(line.pays(&exit, at(0x14, 0x20, 0x00)), 300);
    assert_eq!(line.pays(&discounted, at(0x14, 0x50, 0x00)), 100);
    assert_eq!(line.pays(&discounted, at(0x14, 0x51, 0x00)), 200, "once");
    line.pays(&ENTRY, at(0x15, 0x00, 0x00));
    assert_eq!(line.pays(&exit, at(0x15, 0x20, 0x00)), 300);
    assert_eq!(line.pays(&discounted, at(0x15, 0x51, 0x00)), 200, "31 minutes");
}

/// Every command of a flow, its MACs left out: `MAC1` is checked against the oracle.
fn transcript(band: &RamBand) -> Vec<String> {
    let [purchase, ..] = world::masters();
    let dpk = world::oracle::card_key(purchase.value.expose(), &CARD.issuer, &CARD.serial);
    let mut init = None;
    let mut lines = Vec::new();
    for (command, answer) in &band.trace {
        match command[..4] {
            [0x80, 0x50, p1, _] => init = Some((p1, command[5..16].to_vec(), answer.clone())),
            [0x80, 0x54, ..] => {
                let (p1, data, answer) = init.take().unwrap();
                let (seq, random) = (&answer[4..6], &answer[11..15]);
                let key = world::oracle::purchase_session(&dpk, random, seq, &command[5..9]);
                let tti = if p1 == 3 { 0x09 } else { 0x06 };
                let message = [&data[1..5], &[tti], &data[5..11], &command[9..16]].concat();
                assert_eq!(hex(&command[16..20]), hex(&world::oracle::mac(&key, &message)));
                lines.push(format!("{} MAC1 {}", hex(&command[..16]), hex(&command[20..])));
                continue;
            }
            _ => {}
        }
        lines.push(hex(command));
    }
    lines
}

#[test]
fn every_flow_to_the_byte_with_the_fewest_commands() {
    let select = "00A4040008A00000063201010500";
    let debit = "805401000F0000000120261122141740 MAC1 08";
    let init = |p1: &str, amount: &str| format!("8050{p1}020B01{amount}3000890003400F");
    let (metro_line, bus_line) = ("08001900300000", "03210004000700");
    let trip = |kind: &str, industry: &str, place: &str, amount: &str, balance: &str| {
        format!(
            "80DC00F030{kind}0000300089000340{industry}{place}{amount}{balance}20261122141740100001011000FFFFFFFF000000000000"
        )
    };
    let zeros = |n: usize| "00".repeat(n);
    let mut line = Line::new();
    let check = |line: &mut Line, expected: &[&str]| {
        assert_eq!(transcript(&line.band), expected);
        line.band.trace.clear();
    };

    line.pays(&flat(Fare::Fixed(200)), STAMP);
    let cache = trip("06", "02", bus_line, "000000C8", "000012C0");
    check(&mut line, &[select, &init("03", "000000C8"), &cache, debit]);

    line.pays(&Purchase { amount: 1 }, STAMP);
    check(&mut line, &[select, &init("01", "00000001"), debit]);

    line.pays(&ENTRY, STAMP);
    let opened = format!(
        "80DC01D08027017D0101{}0110000000{}{}{}{}{}{}{}20261122141740{}000005DC{}",
        zeros(9),
        "01011000FFFFFFFF",
        zeros(8),
        "0000000000000819",
        zeros(8),
        "0000000000000011",
        zeros(8),
        "",
        zeros(7),
        zeros(43)
    );
    let cache = trip("03", "01", metro_line, "00000000", "000012BF");
    check(&mut line, &[select, "00B201D080", &init("03", "00000000"), &opened, &cache, debit]);

    line.pays(&Priced { service: EXIT, fares: |_: &Visit<'_>| 500 }, STAMP);
    let closed = format!(
        "80DC01D08027017D0101{}0210001000{}{}{}{}2026112214174020261122141740000005DC{}",
        zeros(9),
        "01011000FFFFFFFF".repeat(2),
        "0000000000000819".repeat(2),
        "0000000000000011".repeat(2),
        "",
        zeros(43)
    );
    let cache = trip("04", "01", metro_line, "000001F4", "000010CB");
    check(&mut line, &[select, "00B201D080", &init("03", "000001F4"), &closed, &cache, debit]);

    let place = flat(Fare::Ask).place;
    line.pays(&bus::On { place, marked_amount: 800 }, STAMP);
    let on = format!("100001011000FFFFFFFF0007032104{}000030008900034020261122141740", "4231323334352020");
    let opened = format!("80DC02D08027027D0101{}01{on}00000320AB{}", zeros(9), zeros(70));
    let cache = trip("03", "02", bus_line, "00000000", "000010CB");
    check(&mut line, &[select, "00B202D080", &init("03", "00000000"), &opened, &cache, debit]);

    line.pays(&Priced { service: bus::Off { place }, fares: |_: &Visit<'_>| 350 }, STAMP);
    let closed = format!("80DC02D08027027D0101{}02{on}00000000AB{on}0000015E{}", zeros(9), zeros(28));
    let cache = trip("04", "02", bus_line, "0000015E", "00000F6D");
    check(&mut line, &[select, "00B202D080", &init("03", "0000015E"), &closed, &cache, debit]);

    // With everything a policy can ask for: the eight commands readers are seen to send, less GET BALANCE and file 0015.
    line.policy = Policy { card_type: true, last: Last::Process, ..Policy::default() };
    line.pays(&flat(Fare::Fixed(200)), STAMP);
    let cache = trip("06", "02", bus_line, "000000C8", "00000EA5");
    check(&mut line, &[select, "00B097003C", "00B201F430", &init("03", "000000C8"), &cache, debit]);
}
