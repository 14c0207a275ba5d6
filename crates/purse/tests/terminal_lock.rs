//! The lock of blacklisted cards, and what comes after it: against the card, torn everywhere.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_apdu::Sw;
use huiwan_purse::host::LoadKeys;
use huiwan_purse::mac::{Mac, TerminalNo};
use huiwan_purse::psam::{
    CreditForPurchase, InitForPurchase, Sam, SamPurchase, SamRefused, SecureCommand, SoftSam,
};
use huiwan_purse::status;
use huiwan_purse::terminal::lock::{Drain, End, Lock, LockStep, Locked, MaintenanceKey, Order};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{
    AID_JTT_978_EP, COMMAND_LEN, Fault, Input, Misuse, Outcome, Pending, Policy, Recovered, Recovery,
    Refusal, Stage, Tap, drive,
};
use huiwan_purse::transit::process::{self, Kind, Process};
use world::{
    CARD, DEVICE, Notes, RamBand, STAMP, Suite, TERMINAL, Tear, TearHow, by_hand, hex, issued, oracle,
};

/// A PSAM that has the maintenance key beside the purchase key, by the tables alone.
struct Psam {
    purchase: SoftSam<Suite, 1>,
    maintenance: [u8; 16],
}

fn psam() -> Psam {
    let [.., maintenance] = world::masters();
    Psam { purchase: world::sam(1), maintenance: *maintenance.value.expose() }
}

impl Sam for Psam {
    fn terminal(&self) -> TerminalNo {
        TERMINAL
    }
    fn key_index(&self) -> u8 {
        1
    }
    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        self.purchase.init_for_purchase(request)
    }
    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        self.purchase.credit_for_purchase(request)
    }
    fn secure_command(&mut self, request: &SecureCommand) -> Result<Mac, SamRefused> {
        assert_eq!((request.key_version, request.algorithm), (1, 1), "as the engine was told");
        let key = oracle::card_key(&self.maintenance, &request.card.issuer, &request.card.serial);
        Ok(oracle::secured(&key, &request.challenge, &request.header).try_into().unwrap())
    }
}

const KEY: MaintenanceKey = MaintenanceKey { version: 1, algorithm: 1 };

fn drain() -> Drain {
    let record = Process::new()
        .with(process::INDUSTRY, [process::INDUSTRY_METRO])
        .with(process::PLACE, [0x08, 0x00, 0x19, 0x00, 0x30, 0x00, 0x00])
        .with(process::CITY, [0x10, 0x00]);
    Drain { record: Some(record), kind: Kind::LOCK, balance: 0x03 }
}

fn listed(serial: &[u8; 10]) -> bool {
    *serial == CARD.serial
}

fn unlisted(_: &[u8; 10]) -> bool {
    false
}

fn lock(band: &mut RamBand, order: Order) -> Locked {
    drive::lock(&mut Lock::new(DEVICE, order, KEY, &listed), band, &mut psam(), &mut |_| {}).unwrap()
}

fn unlock(band: &mut RamBand) -> End {
    let mut engine = Lock::new(DEVICE, Order::Unblock, KEY, &unlisted);
    drive::lock(&mut engine, band, &mut psam(), &mut |_| {}).unwrap().end
}

fn headers(band: &RamBand) -> Vec<String> {
    band.trace.iter().map(|(command, _)| hex(&command[..4])).collect()
}

/// The status word of SELECT.
fn selected(band: &mut RamBand) -> u16 {
    let answer = band.send(&by_hand::bytes("00A4040008A00000063201010500"));
    u16::from_be_bytes(answer[answer.len() - 2..].try_into().unwrap())
}

#[test]
fn a_lock_is_three_commands() {
    let mut band = issued();
    assert_eq!(lock(&mut band, Order::Block), Locked { end: End::Done, drained: None });
    let commands: Vec<String> = band.trace.iter().map(|(command, _)| hex(command)).collect();
    assert_eq!(commands[..2], ["00A4040008A00000063201010500", "0084000004"]);
    // The MAC by hand: challenge ‖ 0 as IV over 84 1E 00 00 04.
    let [.., master] = world::masters();
    let key = oracle::card_key(master.value.expose(), &CARD.issuer, &CARD.serial);
    let mac = oracle::secured(&key, &band.trace[1].1[..4], &by_hand::bytes("841E000004"));
    assert_eq!(commands[2..], [format!("841E000004{}", hex(&mac))]);
    assert_eq!(selected(&mut band), 0x6283);
    let policy = Policy::default();
    let mut tap = Tap::new(DEVICE, &policy, &Purchase { amount: 1 }, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut psam(), &mut Notes::default()).unwrap();
    assert_eq!(outcome, Outcome::Refused(Refusal::Locked));
}

#[test]
fn locked_again_unlocked_and_locked_for_good() {
    let mut band = issued();
    assert_eq!(unlock(&mut band), End::Already, "nothing to unlock");
    assert_eq!(lock(&mut band, Order::Block).end, End::Done);
    assert_eq!(lock(&mut band, Order::Block).end, End::Already);
    assert_eq!(unlock(&mut band), End::Done);
    assert_eq!(selected(&mut band), 0x9000);
    assert_eq!(lock(&mut band, Order::Block).end, End::Done);
    assert_eq!(lock(&mut band, Order::BlockForGood).end, End::Done, "from the temporary lock");
    assert_eq!(selected(&mut band), 0x9303);
    assert_eq!(lock(&mut band, Order::Block).end, End::Already);
    assert_eq!(unlock(&mut band), End::Refused(Refusal::PermanentlyLocked));
}

#[test]
fn another_card_is_left_alone() {
    let mut band = issued();
    let mut engine = Lock::new(DEVICE, Order::BlockForGood, KEY, &unlisted);
    let locked = drive::lock(&mut engine, &mut band, &mut psam(), &mut |_| {}).unwrap();
    assert_eq!(locked, Locked { end: End::NotOrdered, drained: None });
    assert_eq!(headers(&band), ["00A40400"]);
    assert_eq!(lock(&mut band, Order::Block).end, End::Done);
    let mut engine = Lock::new(DEVICE, Order::Unblock, KEY, &listed);
    let locked = drive::lock(&mut engine, &mut band, &mut psam(), &mut |_| {}).unwrap();
    assert_eq!(locked.end, End::NotOrdered, "still on the list");
}

#[test]
fn a_drained_card_is_seven_commands() {
    let (mut band, drain) = (issued(), drain());
    let mut kept = None;
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&drain, STAMP);
    let locked = drive::lock(&mut engine, &mut band, &mut psam(), &mut |pending| kept = Some(*pending));
    let Locked { end: End::Done, drained: Some(Outcome::Paid(receipt)) } = locked.unwrap() else { panic!() };
    assert_eq!(
        headers(&band),
        ["00A40400", "805C0302", "80500302", "80DC00F0", "80540100", "00840000", "841E0000"]
    );
    assert_eq!(kept, Some(Pending { transaction: receipt.transaction }));
    assert_eq!((receipt.transaction.amount, receipt.transaction.balance_after()), (5000, Some(0)));
    assert_eq!(world::load_keys().verify_tac(&receipt.transaction, &receipt.tac.unwrap()), Ok(()));
    assert_eq!(selected(&mut band), 0x6283);
    let record = Process::parse(&band.ok("00B201F430")).unwrap();
    assert_eq!((record.kind(), record.amount(), record.balance()), (Kind::LOCK, 5000, 0));
    assert_eq!(record.stamp(), STAMP);
}

#[test]
fn what_is_overdrawn_is_not_drained() {
    let purse = huiwan_purse::personalisation::PurseData {
        balance: 1300,
        overdraft: [0, 0x03, 0xE8],
        ..world::FULL_PURSE
    };
    let mut band = world::issued_with(huiwan_purse::profile::Profile::JTT_978, purse);
    let plain = Drain { record: None, ..drain() };
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&plain, STAMP);
    let locked = drive::lock(&mut engine, &mut band, &mut psam(), &mut |_| {}).unwrap();
    let Some(Outcome::Paid(receipt)) = locked.drained else { panic!("{locked:?}") };
    assert_eq!(receipt.transaction.amount, 300, "the card's own money, not the issuer's credit");
    assert_eq!(headers(&band)[1..4], ["805C0302", "80500102", "80540100"]);
}

#[test]
fn an_empty_card_is_locked_without_a_debit() {
    let purse = huiwan_purse::personalisation::PurseData { balance: 0, ..world::FULL_PURSE };
    let (mut band, drain) = (world::issued_with(huiwan_purse::profile::Profile::JTT_978, purse), drain());
    let mut engine = Lock::new(DEVICE, Order::BlockForGood, KEY, &listed).with_drain(&drain, STAMP);
    let locked = drive::lock(&mut engine, &mut band, &mut psam(), &mut |_| {}).unwrap();
    let nothing = Refusal::InsufficientBalance { balance: Some(0), fare: 0 };
    assert_eq!(locked, Locked { end: End::Done, drained: Some(Outcome::Refused(nothing)) });
    assert_eq!(headers(&band), ["00A40400", "805C0302", "00840000", "841E0001"]);
}

#[test]
fn torn_anywhere_it_is_done_again_and_every_fen_is_found() {
    for command in 0..7 {
        for how in [TearHow::Unheard, TearHow::BeforeCommit, TearHow::AfterCommit, TearHow::Unanswered] {
            let (mut band, drain, mut sam) = (issued(), drain(), psam());
            band.tear = Some(Tear { command, how });
            let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&drain, STAMP);
            let torn = drive::lock(&mut engine, &mut band, &mut sam, &mut |_| {}).unwrap();
            let End::Failed(Fault::CardLost { during }) = torn.end else {
                panic!("{command} {how:?}: {torn:?}")
            };
            assert_eq!(during == Stage::Lock, command == 6, "{command} {how:?}");
            band.retap();
            let mut taken = match torn.drained {
                Some(Outcome::Paid(receipt)) => receipt.transaction.amount,
                Some(Outcome::Uncertain(pending)) => {
                    assert_eq!(command, 4);
                    let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
                    match drive::recover(&mut recovery, &mut band, &mut sam).unwrap() {
                        Recovered::Paid(receipt) => receipt.transaction.amount,
                        Recovered::NotPaid => 0,
                        other => panic!("{command} {how:?}: {other:?}"),
                    }
                }
                Some(Outcome::Failed(_)) | None => 0,
                other => panic!("{command} {how:?}: {other:?}"),
            };
            let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&drain, STAMP);
            let again = drive::lock(&mut engine, &mut band, &mut sam, &mut |_| {}).unwrap();
            let locked_before = command == 6 && matches!(how, TearHow::AfterCommit | TearHow::Unanswered);
            assert_eq!(again.end, if locked_before { End::Already } else { End::Done }, "{command} {how:?}");
            if let Some(Outcome::Paid(receipt)) = again.drained {
                taken += receipt.transaction.amount;
            }
            assert_eq!(taken, 5000, "{command} {how:?}");
            assert_eq!(selected(&mut band), 0x6283, "{command} {how:?}");
            band.expect("805C000204", "00000000 9000");
        }
    }
}

#[test]
fn after_an_uncertain_drain_no_card_is_locked_for_good() {
    /// A card whose debit ends in a memory failure, or in an answer of another length.
    struct Failing(RamBand, Vec<u8>);
    impl drive::Transport for Failing {
        fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
            if command.starts_with(&[0x80, 0x54]) { Some(&self.1) } else { self.0.exchange(command) }
        }
    }
    let during = Stage::Debit;
    let broken = Fault::Status { during, sw: Sw::new(0x6581) };
    for (answer, fault) in [(vec![0x65, 0x81], broken), (vec![1, 2, 0x90, 0x00], Fault::Malformed { during })]
    {
        for (order, end) in [(Order::Block, End::Done), (Order::BlockForGood, End::Failed(fault))] {
            let (mut card, drain, mut sam) = (Failing(issued(), answer.clone()), drain(), psam());
            let mut engine = Lock::new(DEVICE, order, KEY, &listed).with_drain(&drain, STAMP);
            let locked = drive::lock(&mut engine, &mut card, &mut sam, &mut |_| {}).unwrap();
            assert!(matches!(locked.drained, Some(Outcome::Uncertain(_))), "{locked:?}");
            assert_eq!(locked.end, end, "{order:?}");
        }
    }
}

#[test]
fn a_wrong_key_locks_nothing_until_the_card_locks_itself() {
    let mut band = issued();
    let mut sam = Psam { maintenance: [0x11; 16], ..psam() };
    for sw in [0x6988, 0x6988] {
        let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed);
        let locked = drive::lock(&mut engine, &mut band, &mut sam, &mut |_| {}).unwrap();
        let refused = Fault::Status { during: Stage::Lock, sw: Sw::new(sw) };
        assert_eq!(locked.end, End::Failed(refused));
        assert_eq!(selected(&mut band), 0x9000);
    }
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed);
    assert_eq!(drive::lock(&mut engine, &mut band, &mut sam, &mut |_| {}).unwrap().end, End::Already);
    assert_eq!(selected(&mut band), 0x9303);
}

#[test]
fn a_psam_without_the_command_locks_nothing() {
    let mut band = issued();
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed);
    /// Only the purchase commands.
    struct Old;
    impl Sam for Old {
        fn terminal(&self) -> TerminalNo {
            TERMINAL
        }
        fn key_index(&self) -> u8 {
            1
        }
        fn init_for_purchase(&mut self, _: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
            Err(SamRefused::NO_KEY)
        }
        fn credit_for_purchase(&mut self, _: &CreditForPurchase) -> Result<(), SamRefused> {
            Err(SamRefused::STATE)
        }
    }
    let locked = drive::lock(&mut engine, &mut band, &mut Old, &mut |_| {}).unwrap();
    assert_eq!(locked.end, End::Failed(Fault::Sam(Sw::INS_NOT_SUPPORTED)));
    // A drain that fails does not keep the card from being locked, were there a key.
    let drain = drain();
    band.retap();
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&drain, STAMP);
    let locked = drive::lock(&mut engine, &mut band, &mut Old, &mut |_| {}).unwrap();
    assert_eq!(locked.drained, Some(Outcome::Failed(Fault::Sam(status::KEY_INDEX))));
    assert_eq!(locked.end, End::Failed(Fault::Sam(Sw::INS_NOT_SUPPORTED)));
    assert_eq!(selected(&mut band), 0x9000);
}

#[test]
fn a_lock_in_between_does_not_hide_what_a_torn_tap_did() {
    for (how, charged) in [(TearHow::Unheard, false), (TearHow::Unanswered, true)] {
        let (mut band, mut sam, mut notes) = (issued(), psam(), Notes::default());
        let policy = Policy::default();
        band.tear = Some(Tear { command: 2, how });
        let mut tap = Tap::new(DEVICE, &policy, &Purchase { amount: 100 }, STAMP);
        let outcome = drive::tap(&mut tap, &mut band, &mut sam, &mut notes).unwrap();
        let Outcome::Uncertain(pending) = outcome else { panic!("{outcome:?}") };
        band.retap();
        assert_eq!(lock(&mut band, Order::Block).end, End::Done);
        band.retap();
        let recover = |band: &mut RamBand, sam: &mut Psam| {
            drive::recover(&mut Recovery::new(AID_JTT_978_EP, pending), band, sam).unwrap()
        };
        match recover(&mut band, &mut sam) {
            Recovered::Paid(receipt) => assert!(charged && receipt.tac.is_some()),
            Recovered::NotPaid => assert!(!charged),
            other => panic!("{how:?}: {other:?}"),
        }
        assert_eq!(lock(&mut band, Order::BlockForGood).end, End::Done);
        band.retap();
        let during = Stage::Select;
        let dead = Fault::Status { during, sw: status::PERMANENTLY_LOCKED };
        assert_eq!(recover(&mut band, &mut sam), Recovered::Unknown(Some(dead)), "not: another card");
    }
}

#[test]
fn misuse_leaves_the_engine_as_it_was() {
    let drain = drain();
    let mut engine = Lock::new(DEVICE, Order::Block, KEY, &listed).with_drain(&drain, STAMP);
    let (mut out, mut small) = ([0; COMMAND_LEN], [0; 10]);
    assert_eq!(engine.step(Input::CardLost, &mut out), Err(Misuse::UnexpectedInput));
    assert_eq!(engine.step(Input::Start, &mut small), Err(Misuse::BufferTooSmall { needed: 14 }));
    let mut band = issued();
    let Ok(LockStep::Send(select)) = engine.step(Input::Start, &mut out) else { panic!() };
    let answer = band.send(select);
    assert_eq!(engine.step(Input::Response(&answer), &mut [0; 4]), Err(Misuse::BufferTooSmall { needed: 5 }));
    let Ok(LockStep::Send(balance)) = engine.step(Input::Response(&answer), &mut out) else { panic!() };
    assert_eq!(hex(balance), "805C030204");
    let answer = band.send(balance);
    assert_eq!(
        engine.step(Input::Response(&answer), &mut small),
        Err(Misuse::BufferTooSmall { needed: COMMAND_LEN })
    );
    assert_eq!(engine.step(Input::Proceed, &mut out), Err(Misuse::UnexpectedInput));
    let Ok(LockStep::Send(init)) = engine.step(Input::Response(&answer), &mut out) else { panic!() };
    assert_eq!(hex(init), "805003020B01000013883000890003400F");
}
