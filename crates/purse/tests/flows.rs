//! Whole flows: terminal, PSAM, card and host, each through its public API, the card behind an element.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::account::Account;
use huiwan_purse::host::settlement::{self, Record};
use huiwan_purse::host::{LoadKeys, online};
use huiwan_purse::personalisation::PurseData;
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{CreditForPurchase, InitForPurchase, Sam, SamPurchase, SamRefused};
use huiwan_purse::terminal::online::{Online, OnlineOutcome};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::Fare;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, COMMAND_LEN, Fault, Input, Inquiry, InquiryOutcome, InquiryStep, Mac2, Misuse, Outcome,
    Policy, Receipt, Recovered, Recovery, Refusal, Service, Stage, Tap, TopUp, TopUpOutcome, bus, drive,
    metro,
};
use huiwan_purse::transit::{bus as bus_record, process, rail};
use huiwan_purse::tti::Tti;
use world::{DEVICE, ENTRY, EXIT, FULL_PURSE, Notes, PLACE, RamBand, STAMP, Tear, TearHow, hex, issued};

fn tap<V: Service>(band: &mut RamBand, sam: &mut dyn Sam, service: &V, notes: &mut Notes) -> Outcome {
    let policy = Policy { card_type: true, ..Policy::default() };
    let mut tap = Tap::new(DEVICE, &policy, service, STAMP);
    drive::tap(&mut tap, band, sam, notes).unwrap()
}

#[track_caller]
fn paid(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Paid(receipt) => receipt,
        other => panic!("not paid: {other:?}"),
    }
}

fn balance(band: &mut RamBand) -> u32 {
    band.select();
    u32::from_be_bytes(band.ok("805C000204").try_into().unwrap())
}

fn headers(band: &RamBand) -> Vec<String> {
    band.trace.iter().map(|(command, _)| hex(&command[..4])).collect()
}

#[test]
fn metro_entry_and_exit() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(0x0001_0203), Notes::default());
    let entry = paid(tap(&mut band, &mut sam, &ENTRY, &mut notes));
    assert_eq!((entry.transaction.amount, entry.transaction.seq), (0, 0x042C));
    assert_eq!(entry.mac2, Mac2::Verified);
    assert_eq!(notes.opened.unwrap().transaction, entry.transaction);
    assert_eq!(
        headers(&band),
        ["00A40400", "00B09700", "00B201D0", "80500302", "80DC01D0", "80DC00F0", "80540100"],
        "seven commands"
    );

    band.retap();
    let mut notes = Notes { fare: 500, ..Notes::default() };
    let exit = paid(tap(&mut band, &mut sam, &EXIT, &mut notes));
    assert_eq!((exit.transaction.amount, exit.transaction.seq), (500, 0x042D));
    assert_eq!(exit.transaction.terminal_seq, 0x0001_0204);

    // What the card holds afterwards.
    assert_eq!(balance(&mut band), 4500);
    let record = rail::Rail::parse(&band.ok("00B201D480")).unwrap();
    assert_eq!(record.state(), Some(rail::State::Outside));
    assert_eq!(record.get(rail::ENTRY_STATION), PLACE.station);
    assert_eq!(record.get(rail::EXIT_TIME), STAMP.to_bytes());
    assert_eq!(record.maximum_fare(), 1500);
    let out = process::Process::parse(&band.ok("00B201F430")).unwrap();
    assert_eq!((out.kind(), out.amount(), out.balance()), (process::Kind::EP_OUT, 500, 4500));
    let entered = process::Process::parse(&band.ok("00B202F430")).unwrap();
    assert_eq!((entered.kind(), entered.amount(), entered.balance()), (process::Kind::EP_IN, 0, 5000));
    // The same shape as the sample of a real card: counter after the increment, 5.00, type 09.
    assert_eq!(
        hex(&band.ok("00B201C417")),
        "042E000000000001F4093000890003402026112214174 0".replace(' ', "")
    );

    // Settlement takes both.
    let records = [entry, exit].map(|receipt| Record::from_receipt(&receipt).unwrap());
    let mut verdicts = [0];
    world::load_keys().verify_tacs(&records, &mut verdicts);
    assert_eq!(verdicts, [0b11]);
}

#[test]
fn metro_turns_away_who_is_inside_or_outside() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes { fare: 300, ..Notes::default() });
    assert_eq!(tap(&mut band, &mut sam, &EXIT, &mut notes), Outcome::Refused(Refusal::NotInside));
    paid(tap(&mut band, &mut sam, &ENTRY, &mut notes));
    assert_eq!(tap(&mut band, &mut sam, &ENTRY, &mut notes), Outcome::Refused(Refusal::AlreadyInside));
    let charging = metro::Entry { incomplete: metro::Incomplete::Charge(metro::Owed::Ask), ..ENTRY };
    assert_eq!(paid(tap(&mut band, &mut sam, &charging, &mut notes)).transaction.amount, 300);
    assert_eq!(balance(&mut band), 4700);
}

const BUS: bus::Place = bus::Place {
    city: [0x10, 0x00],
    organisation: [0x01, 0x01, 0x10, 0x00, 0xFF, 0xFF, 0xFF, 0xFF],
    operator: [0x00, 0x07],
    line: [0x03, 0x21],
    stop: 4,
    vehicle: *b"B12345  ",
    direction: 0xAB,
};

#[test]
fn bus_flat_fare_sees_four_commands_without_file_0017() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let service = bus::Flat { place: BUS, fare: Fare::Fixed(200) };
    let policy = Policy::default();
    let mut tap = Tap::new(DEVICE, &policy, &service, STAMP);
    let receipt = paid(drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap());
    assert_eq!(receipt.transaction.tti, Tti::CAPP_PURCHASE);
    assert_eq!(headers(&band), ["00A40400", "80500302", "80DC00F0", "80540100"]);
    assert_eq!(balance(&mut band), 4800);
    let single = process::Process::parse(&band.ok("00B201F430")).unwrap();
    assert_eq!((single.kind(), single.amount()), (process::Kind::EP_SINGLE, 200));
}

#[test]
fn bus_distance_fare_and_a_trip_without_alighting() {
    let (mut band, mut sam) = (issued(), world::sam(1));
    let mut notes = Notes { fare: 350, ..Notes::default() };
    let (on, off) = (bus::On { place: BUS, marked_amount: 800 }, bus::Off { place: BUS });
    assert_eq!(paid(tap(&mut band, &mut sam, &on, &mut notes)).transaction.amount, 0);
    assert_eq!(paid(tap(&mut band, &mut sam, &off, &mut notes)).transaction.amount, 350);
    assert_eq!(tap(&mut band, &mut sam, &off, &mut notes), Outcome::Refused(Refusal::NotInside));
    assert_eq!(paid(tap(&mut band, &mut sam, &on, &mut notes)).transaction.amount, 0);
    assert_eq!(paid(tap(&mut band, &mut sam, &on, &mut notes)).transaction.amount, 800, "the marked amount");
    assert_eq!(balance(&mut band), 5000 - 350 - 800);
    let record = bus_record::Bus::parse(&band.ok("00B202D080")).unwrap();
    assert_eq!(record.state(), Some(bus_record::State::Aboard));
}

#[test]
fn plain_purchase() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let receipt = paid(tap(&mut band, &mut sam, &Purchase { amount: 1234 }, &mut notes));
    assert_eq!(receipt.transaction.tti, Tti::EP_PURCHASE);
    assert_eq!(headers(&band), ["00A40400", "00B09700", "80500102", "80540100"]);
    assert_eq!(balance(&mut band), 5000 - 1234);
    assert_eq!(
        tap(&mut band, &mut sam, &Purchase { amount: 5000 }, &mut notes),
        Outcome::Refused(Refusal::InsufficientBalance { balance: None, fare: 5000 })
    );
    assert_eq!(
        tap(&mut band, &mut sam, &Purchase { amount: 30_001 }, &mut notes),
        Outcome::Refused(Refusal::FareTooHigh)
    );
}

#[test]
fn policy_turns_cards_away() {
    let refusal = |policy: Policy<'_>, stamp| {
        let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
        let service = Purchase { amount: 1 };
        let mut tap = Tap::new(DEVICE, &policy, &service, stamp);
        match drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap() {
            Outcome::Refused(refusal) => Some(refusal),
            Outcome::Paid(_) => None,
            other => panic!("{other:?}"),
        }
    };
    let late = huiwan_purse::date::Stamp { date: [0x21, 0, 0x01, 0x01], ..STAMP };
    let last_day = huiwan_purse::date::Stamp { date: [0x20, 0x99, 0x12, 0x31], ..STAMP };
    let listed = |serial: &[u8; 10]| serial == &world::CARD.serial;
    let default = Policy::default();
    assert_eq!(refusal(default, STAMP), None);
    assert_eq!(refusal(default, last_day), None, "the end date counts");
    assert_eq!(refusal(default, late), Some(Refusal::OutOfDate));
    assert_eq!(refusal(Policy { blacklist: Some(&listed), ..default }, STAMP), Some(Refusal::Blacklisted));
    let issuers = [[9, 9, 9, 9]];
    let issuer = Refusal::Issuer([0x01, 0x01, 0x10, 0x00]);
    assert_eq!(refusal(Policy { issuers: Some(&issuers), ..default }, STAMP), Some(issuer));
    // The test card is valid in other cities.
    assert_eq!(refusal(Policy { home: Some([9, 9, 9, 9]), ..default }, STAMP), None);
}

/// Loads `amount`, the host's book in hand.
fn top_up(band: &mut RamBand, amount: u32, session: &mut online::OnlineSession) -> TopUpOutcome {
    let mut keys = world::load_keys();
    let mut host = |request: &huiwan_purse::terminal::LoadRequest| {
        let online::Step::Key(key) = session.step(online::Input::Request((*request).into(), STAMP)).unwrap()
        else {
            panic!()
        };
        match session.step(online::Input::Key(key.answer(&mut keys))).unwrap() {
            online::Step::Approved(approval) => Some(approval.into()),
            online::Step::Done(_) => None,
            _ => panic!("no answer to a terminal"),
        }
    };
    let mut engine = TopUp::new(DEVICE, amount);
    drive::top_up(&mut engine, band, &mut host, &mut |_| {}).unwrap()
}

/// The step after the key provider has answered.
fn answered(session: &mut online::OnlineSession, input: online::Input) -> online::Step {
    let online::Step::Key(key) = session.step(input).unwrap() else { panic!() };
    session.step(online::Input::Key(key.answer(&mut world::load_keys()))).unwrap()
}

fn confirm(session: &mut online::OnlineSession, tac: [u8; 4]) -> online::Outcome {
    match answered(session, online::Input::Confirm(tac)) {
        online::Step::Done(outcome) => outcome,
        step => panic!("{step:?}"),
    }
}

#[test]
fn load_and_confirm() {
    let (mut band, mut session) = (issued(), online::OnlineSession::new());
    let TopUpOutcome::Loaded { transaction, tac } = top_up(&mut band, 2000, &mut session) else { panic!() };
    assert_eq!(headers(&band), ["00A40400", "80500002", "80520000"]);
    assert_eq!(confirm(&mut session, tac), online::Outcome::Completed(transaction));
    assert_eq!(balance(&mut band), 7000);
    assert_eq!(hex(&band.ok("00B201C417")), "0008000000000007D00230008900034020261122141740");
    // The session as stored confirms the same load again.
    let mut restored = online::OnlineSession::from_bytes(&session.to_bytes().unwrap()).unwrap();
    assert_eq!(
        restored.step(online::Input::Confirm(tac)).unwrap(),
        online::Step::Done(online::Outcome::Completed(transaction))
    );
}

#[test]
fn load_with_a_wrong_tac_is_disputed_and_can_still_be_confirmed() {
    let (mut band, mut session) = (issued(), online::OnlineSession::new());
    let TopUpOutcome::Loaded { transaction, tac } = top_up(&mut band, 2000, &mut session) else { panic!() };
    assert_eq!(confirm(&mut session, [0; 4]), online::Outcome::Disputed(transaction));
    assert_eq!(confirm(&mut session, tac), online::Outcome::Completed(transaction));
}

#[test]
fn torn_load_is_recovered_by_its_proof_or_reversed() {
    for (how, loaded) in [
        (TearHow::Unheard, false),
        (TearHow::BeforeCommit, false),
        (TearHow::AfterCommit, true),
        (TearHow::Unanswered, true),
    ] {
        let (mut band, mut session) = (issued(), online::OnlineSession::new());
        band.tear = Some(Tear { command: 2, how });
        let TopUpOutcome::Uncertain(pending) = top_up(&mut band, 2000, &mut session) else { panic!() };
        let doubtful = session.step(online::Input::TimedOut).unwrap();
        assert_eq!(doubtful, online::Step::Done(online::Outcome::Doubtful(pending.transaction)));
        let mut session = online::OnlineSession::from_bytes(&session.to_bytes().unwrap()).unwrap();
        band.retap();
        let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
        match drive::recover(&mut recovery, &mut band, &mut world::sam(1)).unwrap() {
            Recovered::Paid(receipt) => {
                assert!(loaded, "{how:?}");
                let outcome = confirm(&mut session, receipt.tac.unwrap());
                assert_eq!(outcome, online::Outcome::Completed(pending.transaction));
            }
            Recovered::NotPaid => {
                assert!(!loaded, "{how:?}");
                // The terminal's word is not enough: the card shows that its counter has not moved.
                let doubtful = online::Step::Done(online::Outcome::Doubtful(pending.transaction));
                assert_eq!(session.step(online::Input::NotCompleted), Ok(doubtful));
                let challenge = [0x5A; 6];
                let asked = session.step(online::Input::Challenge(challenge)).unwrap();
                assert_eq!(asked, online::Step::Reinitialise(challenge));
                let mut settle = Online::settle(DEVICE, Account::Ep, pending, challenge);
                let shown = drive::online(&mut settle, &mut band, &mut |_| None, &mut |_| None, &mut |_| {});
                let Ok(OnlineOutcome::Reinitialised(request)) = shown else { panic!("{shown:?}") };
                let step = answered(&mut session, online::Input::Reinit(request));
                assert_eq!(step, online::Step::Done(online::Outcome::Reversed(pending.transaction)));
            }
            other => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(balance(&mut band), if loaded { 7000 } else { 5000 }, "{how:?}");
    }
}

#[test]
fn load_over_the_limit_and_a_host_that_declines() {
    let mut band = issued();
    let outcome = top_up(&mut band, 100_000, &mut online::OnlineSession::new());
    let TopUpOutcome::Failed(Fault::Status { during: Stage::Initialize, sw }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(sw.value(), 0x6985);
    let mut engine = TopUp::new(DEVICE, 100);
    let declined = drive::top_up(&mut engine, &mut band, &mut |_| None, &mut |_| {}).unwrap();
    assert_eq!(declined, TopUpOutcome::Declined);
    assert_eq!(balance(&mut band), 5000);
}

#[test]
fn forged_mac1_gets_no_mac2() {
    let (mut band, mut session) = (issued(), online::OnlineSession::new());
    let mut engine = TopUp::new(DEVICE, 100);
    let mut host = |request: &huiwan_purse::terminal::LoadRequest| {
        let forged = huiwan_purse::terminal::LoadRequest { amount: 10_000, ..*request };
        let online::Step::Key(key) = session.step(online::Input::Request(forged.into(), STAMP)).unwrap()
        else {
            panic!()
        };
        let answer = key.answer(&mut world::load_keys());
        let refused = huiwan_purse::host::KeyRefused::MacInvalid;
        assert_eq!(answer, online::KeyAnswer::Refused(refused));
        assert_eq!(
            session.step(online::Input::Key(answer)),
            Ok(online::Step::Done(online::Outcome::Declined(refused)))
        );
        None
    };
    assert_eq!(
        drive::top_up(&mut engine, &mut band, &mut host, &mut |_| {}).unwrap(),
        TopUpOutcome::Declined
    );
}

#[test]
fn torn_exit_is_recovered_wherever_it_tore() {
    for (how, charged) in [
        (TearHow::Unheard, false),
        (TearHow::BeforeCommit, false),
        (TearHow::AfterCommit, true),
        (TearHow::Unanswered, true),
    ] {
        let (mut band, mut sam, mut notes) =
            (issued(), world::sam(1), Notes { fare: 500, ..Notes::default() });
        paid(tap(&mut band, &mut sam, &ENTRY, &mut notes));
        band.retap();
        let mut notes = Notes { fare: 500, ..Notes::default() };
        band.tear = Some(Tear { command: 6, how });
        let Outcome::Uncertain(pending) = tap(&mut band, &mut sam, &EXIT, &mut notes) else {
            panic!("{how:?}")
        };
        assert_eq!(notes.pending, Some(pending), "persisted before the debit was sent");
        assert_eq!(notes.opened, None);
        band.retap();
        band.trace.clear();
        let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
        let recovered = drive::recover(&mut recovery, &mut band, &mut sam).unwrap();
        assert_eq!(headers(&band), ["00A40400", "805A0009", "00B201C4"], "three commands");
        match recovered {
            Recovered::Paid(receipt) => {
                assert!(charged, "{how:?}");
                assert_eq!(receipt.mac2, Mac2::Verified);
                let record = Record::from_receipt(&receipt).unwrap();
                assert_eq!(world::load_keys().verify_tac(&record.transaction, &record.tac), Ok(()));
            }
            Recovered::NotPaid => assert!(!charged, "{how:?}"),
            other => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(balance(&mut band), if charged { 4500 } else { 5000 }, "{how:?}");
        let state = rail::Rail::parse(&band.ok("00B201D080")).unwrap().state().unwrap();
        assert_eq!(state.is_inside(), !charged, "{how:?}");
    }
}

#[test]
fn a_proof_of_another_terminal_is_not_ours() {
    // The debit never reached the card, which then paid elsewhere: the same counter, another transaction.
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    band.tear = Some(Tear { command: 6, how: TearHow::Unheard });
    let Outcome::Uncertain(pending) = tap(&mut band, &mut sam, &ENTRY, &mut notes) else { panic!() };
    band.retap();
    let later = huiwan_purse::date::Stamp { time: [0x15, 0, 0], ..STAMP };
    let policy = Policy { card_type: true, ..Policy::default() };
    let mut other = Tap::new(DEVICE, &policy, &ENTRY, later);
    paid(drive::tap(&mut other, &mut band, &mut world::sam(0x99), &mut notes).unwrap());
    band.retap();
    let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
    assert_eq!(drive::recover(&mut recovery, &mut band, &mut sam).unwrap(), Recovered::NotPaid);
}

#[test]
fn a_debit_that_later_purchases_buried_is_found_in_the_log() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    band.tear = Some(Tear { command: 6, how: TearHow::Unanswered });
    let Outcome::Uncertain(pending) = tap(&mut band, &mut sam, &ENTRY, &mut notes) else { panic!() };
    let later = huiwan_purse::date::Stamp { time: [0x15, 0, 0], ..STAMP };
    let policy = Policy::default();
    for n in 1..=10 {
        band.retap();
        let mut other = Tap::new(DEVICE, &policy, &Purchase { amount: 1 }, later);
        paid(drive::tap(&mut other, &mut band, &mut world::sam(0x99), &mut notes).unwrap());
        band.retap();
        let recovered =
            drive::recover(&mut Recovery::new(AID_JTT_978_EP, pending), &mut band, &mut sam).unwrap();
        match recovered {
            Recovered::Paid(receipt) if n < 10 => assert_eq!(receipt.tac, None, "proof and TAC are gone"),
            // Ten later records: ours is not in the log any more, and the engine does not guess.
            Recovered::Unknown(None) if n == 10 => {}
            other => panic!("{n}: {other:?}"),
        }
    }
}

#[test]
fn another_card_leaves_the_pending_transaction_open() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    band.tear = Some(Tear { command: 6, how: TearHow::Unheard });
    let Outcome::Uncertain(mut pending) = tap(&mut band, &mut sam, &ENTRY, &mut notes) else { panic!() };
    pending.transaction.card.serial[9] ^= 1;
    band.retap();
    let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
    assert_eq!(drive::recover(&mut recovery, &mut band, &mut sam).unwrap(), Recovered::OtherCard);
}

#[test]
fn a_tap_torn_before_the_debit_charges_nothing() {
    for command in 0..6 {
        for how in [TearHow::Unheard, TearHow::Unanswered] {
            let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
            let before = band.memory().objects.clone();
            band.tear = Some(Tear { command, how });
            let outcome = tap(&mut band, &mut sam, &ENTRY, &mut notes);
            assert!(
                matches!(outcome, Outcome::Failed(Fault::CardLost { .. })),
                "{command} {how:?}: {outcome:?}"
            );
            assert_eq!(notes.pending, None);
            band.retap();
            assert_eq!(band.memory().objects, before, "{command} {how:?}");
        }
    }
}

#[test]
fn inquiry_reads_number_balance_and_log() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    for amount in 1..=12 {
        paid(tap(&mut band, &mut sam, &Purchase { amount }, &mut notes));
    }
    let outcome = drive::inquire(&mut Inquiry::new(AID_JTT_978_EP), &mut band).unwrap();
    let InquiryOutcome::Read(summary) = outcome else { panic!("{outcome:?}") };
    assert_eq!(summary.public_info.card_id(), world::CARD);
    assert_eq!(summary.balance, 5000 - 78);
    let amounts: Vec<u32> = summary.log.iter().map(|record| record.amount()).collect();
    assert_eq!(amounts, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3], "the ten newest, newest first");
}

#[test]
fn an_inquiry_of_a_card_without_a_log_ends_there_and_stays_ended() {
    // What a card answers that shows nobody its log.
    for sw in [[0x6A, 0x83], [0x6A, 0x82], [0x69, 0x82], [0x6B, 0x00]] {
        let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
        paid(tap(&mut band, &mut sam, &Purchase { amount: 1 }, &mut notes));
        band.retap();
        let mut inquiry = Inquiry::new(AID_JTT_978_EP);
        let (mut out, mut input, mut reads) = ([0; COMMAND_LEN], None::<Vec<u8>>, 0);
        let end = loop {
            let told = input.as_deref().map_or(Input::Start, Input::Response);
            // A buffer that is too small changes nothing.
            let mut small = [0; 4];
            let small = inquiry.step(told, &mut small);
            assert!(
                matches!(small, Err(Misuse::BufferTooSmall { .. }) | Ok(InquiryStep::Done(_))),
                "{small:?}"
            );
            match inquiry.step(told, &mut out).unwrap() {
                InquiryStep::Send(command) => {
                    let log = command.starts_with(&[0x00, 0xB2]);
                    reads += usize::from(log);
                    input = Some(if reads == 2 { sw.to_vec() } else { band.send(command) });
                }
                InquiryStep::Done(outcome) => break outcome,
            }
        };
        let InquiryOutcome::Read(summary) = &end else { panic!("{end:?}") };
        assert_eq!((summary.balance, summary.log.len()), (4999, 1), "{sw:02X?}");
        for input in [Input::Start, Input::CardLost, Input::Response(&[0x90, 0x00])] {
            assert_eq!(inquiry.step(input, &mut out), Ok(InquiryStep::Done(end.clone())));
        }
    }
}

#[test]
fn every_way_a_psam_calls_mac2_wrong_disputes_the_payment() {
    /// A PSAM that answers CREDIT SAM FOR PURCHASE with this.
    struct Says<S>(S, SamRefused);
    impl<S: Sam> Sam for Says<S> {
        fn terminal(&self) -> huiwan_purse::mac::TerminalNo {
            self.0.terminal()
        }
        fn key_index(&self) -> u8 {
            self.0.key_index()
        }
        fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
            self.0.init_for_purchase(request)
        }
        fn credit_for_purchase(&mut self, _: &CreditForPurchase) -> Result<(), SamRefused> {
            Err(self.1)
        }
    }
    for (sw, wrong) in [
        (0x9302, true),
        (0x6988, true),
        (0x63C0, true),
        (0x63C2, true),
        (0x6300, false),
        (0x6985, false),
        (0x6983, false),
        (0x6F00, false),
    ] {
        let (mut band, mut notes) = (issued(), Notes::default());
        let mut sam = Says(world::sam(1), SamRefused(sw.into()));
        match tap(&mut band, &mut sam, &Purchase { amount: 1 }, &mut notes) {
            Outcome::Disputed(receipt) => assert!(wrong && receipt.mac2 == Mac2::Wrong, "{sw:04X}"),
            Outcome::Paid(receipt) => assert!(!wrong && receipt.mac2 == Mac2::NotChecked, "{sw:04X}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn settlement_finds_wrong_tacs_and_repetitions() {
    let (mut band, mut sam, mut notes) = (issued(), world::sam(1), Notes::default());
    let mut records: Vec<Record> = (1..=20)
        .map(|amount| {
            let receipt = paid(tap(&mut band, &mut sam, &Purchase { amount }, &mut notes));
            Record::from_receipt(&receipt).unwrap()
        })
        .collect();
    let mut session = online::OnlineSession::new();
    let TopUpOutcome::Loaded { transaction, tac } = top_up(&mut band, 2000, &mut session) else { panic!() };
    records.push(Record { transaction, tac });
    records[3].transaction.amount += 1;
    records[9].tac[0] ^= 1;
    records[15] = records[2];
    let file: Vec<u8> = records.iter().flat_map(|record| record.to_bytes()).collect();
    let parsed: Vec<Record> = settlement::Records::new(&file).map(|record| record.unwrap()).collect();
    assert_eq!(parsed, records);

    let mut verdicts = vec![0xFF; settlement::verdict_len(records.len())];
    settlement::verify(&mut world::load_keys(), &records, &mut verdicts);
    let wrong: Vec<usize> = (0..24).filter(|n| !settlement::verdict(&verdicts, *n)).collect();
    assert_eq!(wrong, [3, 9, 21, 22, 23], "two wrong TACs, and no records past the last");
    let (right, mut order) = (verdicts.clone(), vec![0; records.len()]);
    assert!(settlement::duplicates(&records, &right, &mut order, &mut verdicts));
    let repeated: Vec<usize> = (0..21).filter(|n| settlement::verdict(&verdicts, *n)).collect();
    assert_eq!(repeated, [15]);
    assert!(!settlement::duplicates(&records, &right, &mut [0; 3], &mut verdicts));
    assert!(!settlement::duplicates(&records, &right, &mut order, &mut [0; 2]));
}

#[test]
fn repetitions_are_those_of_genuine_records_on_one_account() {
    let transaction = huiwan_purse::transaction::Transaction::from_bytes(&[0x11; 51]);
    let genuine = |tti| Record {
        transaction: huiwan_purse::transaction::Transaction { tti, ..transaction },
        tac: [1, 2, 3, 4],
    };
    let purchase = genuine(Tti::EP_PURCHASE);
    let forged = Record { tac: [0; 4], ..purchase };
    // Both accounts may be loaded at the same counter.
    let records =
        [forged, purchase, purchase, genuine(Tti::EP_LOAD), genuine(Tti::ED_LOAD), genuine(Tti::EP_LOAD)];
    let (mut order, mut verdicts) = ([0; 6], [0xFF]);
    assert!(settlement::duplicates(&records, &[0b11_1110], &mut order, &mut verdicts));
    assert_eq!(verdicts, [0b10_0100]);
    assert!(settlement::duplicates(&records, &[0b11_1111], &mut order, &mut verdicts));
    assert_eq!(verdicts, [0b10_0110], "a forged record first");
}

#[test]
fn settlement_file_errors_name_their_place() {
    let transaction = huiwan_purse::transaction::Transaction::from_bytes(&[0x11; 51]);
    let record = Record { transaction, tac: [1, 2, 3, 4] };
    let mut file = [record.to_bytes(), record.to_bytes()].concat();
    file[56] = 1;
    let results: Vec<_> = settlement::Records::new(&file).collect();
    assert_eq!(results.len(), 2, "nothing after an error");
    assert_eq!(results[1].unwrap_err().to_string(), "record version is unknown at byte 56");
    let truncated = settlement::Records::new(&file[..60]).last().unwrap().unwrap_err();
    assert_eq!(truncated.to_string(), "record is truncated at byte 60");
}

#[test]
fn overdraft_counts_as_available() {
    let purse = PurseData { balance: 800, overdraft: [0x00, 0x03, 0xE8], ..FULL_PURSE };
    let mut band = world::issued_with(Profile::JTT_978, purse);
    band.select();
    band.expect("805C000204", "00000320 9000");
    band.expect("805C010204", "000003E8 9000");
    band.expect("805C020204", "000000C8 9000");
    band.expect("805C030204", "00000000 9000");
    band.expect("805C040204", "000186A0 9000");
    band.expect("805C050210", "00000000 000186A0 000000C8 000003E8 9000");
}
