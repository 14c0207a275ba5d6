//! Terminals of other schemes: 建设部 city cards with their authentication code, and highway lanes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_apdu::Sw;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::mac::TerminalNo;
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{CheckAuthCode, CreditForPurchase, InitForPurchase, Sam, SamPurchase, SamRefused};
use huiwan_purse::status;
use huiwan_purse::terminal::city::{City, Content, Ride};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::service::{CardRecord, Charge, Fare, Priced, Visit};
use huiwan_purse::terminal::{
    AID_JTT_978_EP, Fault, Outcome, Policy, Recovered, Recovery, Refusal, Service, Stage, Tap, drive, etc,
};
use huiwan_purse::transit::etc::{self as record, Toll};
use huiwan_purse::transit::public_info;
use huiwan_purse::tti::Tti;
use world::{DEVICE, Notes, RamBand, STAMP, TERMINAL, Tear, TearHow, bank, hex, oracle};

/// A PSAM that holds the card's own keys, by the tables alone. What it knows of the authentication code goes into MAC1.
struct Psam {
    code: Option<[u8; 9]>,
    next_seq: u32,
    mac2: Vec<u8>,
}

const CODE: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

impl Sam for Psam {
    fn terminal(&self) -> TerminalNo {
        TERMINAL
    }
    fn key_index(&self) -> u8 {
        1
    }
    fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
        let terminal_seq = self.next_seq;
        self.next_seq += 1;
        let key = oracle::purchase_session(
            &bank::key(KeyKind::Purchase),
            &request.random,
            &request.offline_seq.to_be_bytes(),
            &terminal_seq.to_be_bytes(),
        );
        let amount = request.amount.to_be_bytes();
        let code = self.code.take();
        let code = code.as_ref().map_or(&[][..], |code| &code[..]);
        let message = [&amount[..], &[request.tti.0], &TERMINAL, &request.stamp.to_bytes(), code].concat();
        self.mac2 = oracle::mac(&key, &amount);
        Ok(SamPurchase { terminal_seq, mac1: oracle::mac(&key, &message).try_into().unwrap() })
    }
    fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
        if request.mac2[..] == self.mac2 { Ok(()) } else { Err(SamRefused::MAC_INVALID) }
    }
    fn check_auth_code(&mut self, request: &CheckAuthCode) -> Result<(), SamRefused> {
        self.code = Some(request.code);
        if request.code == CODE { Ok(()) } else { Err(SamRefused(Sw::SECURITY_STATUS)) }
    }
}

fn psam() -> Psam {
    Psam { code: None, next_seq: 5, mac2: Vec::new() }
}

fn tap<V: Service>(band: &mut RamBand, policy: &Policy<'_>, service: &V, sam: &mut Psam) -> Outcome {
    band.trace.clear();
    let mut tap = Tap::new(DEVICE, policy, service, STAMP);
    drive::tap(&mut tap, band, sam, &mut Notes { fare: 1800, ..Notes::default() }).unwrap()
}

#[track_caller]
fn amount(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Paid(receipt) => receipt.transaction.amount,
        other => panic!("not paid: {other:?}"),
    }
}

fn headers(band: &RamBand) -> Vec<String> {
    band.trace.iter().map(|(command, _)| hex(&command[..4])).collect()
}

/// A city that counts rides in its record: the third one costs half.
struct Third;

impl Ride for Third {
    fn judge(&self, _: &Visit<'_>, content: &Content) -> Result<Fare, Refusal> {
        Ok(Fare::Fixed(if content[0] % 3 == 2 { 100 } else { 200 }))
    }
    fn compose(&self, charge: &Charge<'_>, content: &Content) -> Content {
        let mut content = *content;
        content[0] += 1;
        content[1..5].copy_from_slice(&charge.amount.to_be_bytes());
        content
    }
}

#[test]
fn a_city_card_authenticates_itself_and_keeps_its_own_record() {
    let mut band = bank::issued(Profile::CJT_166);
    let service = City { ride: Third };
    let paid = [(); 4].map(|()| amount(tap(&mut band, &Policy::CJT_166, &service, &mut psam())));
    assert_eq!(paid, [200, 200, 100, 200]);
    assert_eq!(
        headers(&band),
        ["00A40400", "00B209B8", "80CA0000", "80500302", "80DC09B8", "80540100"],
        "six commands"
    );
    assert_eq!(hex(&band.trace[4].0[..10]), "80DC09B830092E000400");
    band.select();
    assert_eq!(hex(&band.ok("00B209B830"))[..16], *"092E000400000 0C8".replace(' ', ""));
    let unread = Policy { auth_code: false, ..Policy::CJT_166 };
    assert_eq!(
        amount(tap(&mut band, &unread, &service, &mut psam())),
        200,
        "the code is the terminal's choice"
    );
}

#[test]
fn a_plain_purchase_is_authenticated_too() {
    let mut band = bank::issued(Profile::CJT_166);
    let service = Purchase { amount: 30 };
    assert_eq!(amount(tap(&mut band, &Policy::CJT_166, &service, &mut psam())), 30);
    assert_eq!(headers(&band), ["00A40400", "80CA0000", "80500102", "80540100"]);
    // A JT/T 978 card has no such code.
    let mut band = world::issued();
    let outcome = tap(&mut band, &Policy { auth_code: true, ..Policy::default() }, &service, &mut psam());
    let Outcome::Failed(Fault::Status { during: Stage::AuthCode, .. }) = outcome else {
        panic!("{outcome:?}")
    };
}

#[test]
fn a_wrong_code_ends_the_tap() {
    struct Wrong(Psam);
    impl Sam for Wrong {
        fn terminal(&self) -> TerminalNo {
            TERMINAL
        }
        fn key_index(&self) -> u8 {
            1
        }
        fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
            self.0.init_for_purchase(request)
        }
        fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
            self.0.credit_for_purchase(request)
        }
        fn check_auth_code(&mut self, request: &CheckAuthCode) -> Result<(), SamRefused> {
            self.0.check_auth_code(&CheckAuthCode { code: [0; 9], ..*request })
        }
    }
    let mut band = bank::issued(Profile::CJT_166);
    let service = Purchase { amount: 30 };
    let mut tap = Tap::new(DEVICE, &Policy::CJT_166, &service, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut Wrong(psam()), &mut Notes::default()).unwrap();
    assert_eq!(outcome, Outcome::Failed(Fault::Sam(Sw::SECURITY_STATUS)));
    // A PSAM that does not take the code into MAC1 is found out by the card.
    struct Forgets(Psam);
    impl Sam for Forgets {
        fn terminal(&self) -> TerminalNo {
            TERMINAL
        }
        fn key_index(&self) -> u8 {
            1
        }
        fn init_for_purchase(&mut self, request: &InitForPurchase) -> Result<SamPurchase, SamRefused> {
            self.0.init_for_purchase(request)
        }
        fn credit_for_purchase(&mut self, request: &CreditForPurchase) -> Result<(), SamRefused> {
            self.0.credit_for_purchase(request)
        }
        fn check_auth_code(&mut self, _: &CheckAuthCode) -> Result<(), SamRefused> {
            Ok(())
        }
    }
    band.retap();
    let mut tap = Tap::new(DEVICE, &Policy::CJT_166, &service, STAMP);
    let outcome = drive::tap(&mut tap, &mut band, &mut Forgets(psam()), &mut Notes::default()).unwrap();
    let wrong_mac = Fault::Status { during: Stage::Debit, sw: status::MAC_INVALID };
    assert_eq!(outcome, Outcome::Failed(wrong_mac));
}

#[test]
fn a_torn_city_ride_is_recovered() {
    for (how, charged) in
        [(TearHow::Unheard, false), (TearHow::BeforeCommit, false), (TearHow::Unanswered, true)]
    {
        let (mut band, mut sam) = (bank::issued(Profile::CJT_166), psam());
        band.tear = Some(Tear { command: 5, how });
        let outcome = tap(&mut band, &Policy::CJT_166, &City { ride: Third }, &mut sam);
        let Outcome::Uncertain(pending) = outcome else { panic!("{outcome:?}") };
        band.retap();
        match drive::recover(&mut Recovery::new(AID_JTT_978_EP, pending), &mut band, &mut sam).unwrap() {
            Recovered::Paid(receipt) => {
                assert!(charged);
                assert_eq!(receipt.transaction.tti, Tti::CAPP_PURCHASE);
            }
            Recovered::NotPaid => assert!(!charged),
            other => panic!("{how:?}: {other:?}"),
        }
    }
}

/// A card whose composite record is exchanged for another.
struct Other<'b>(&'b mut RamBand, &'static str, Vec<u8>);

impl drive::Transport for Other<'_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        self.2 = self.0.send(command);
        if command[..2] == [0x00, 0xB2] {
            let len = self.2.len() - 2;
            self.2[..self.1.len() / 2].copy_from_slice(&world::by_hand::bytes(self.1));
            assert!(len > 3);
        }
        Some(&self.2)
    }
}

#[test]
fn records_that_are_none_or_locked_are_refused() {
    for (head, refusal) in [
        ("092E01", Refusal::RecordLocked),
        ("082E00", Refusal::NoRecord),
        ("092D00", Refusal::NoRecord),
        ("092F00", Refusal::NoRecord),
    ] {
        let mut band = bank::issued(Profile::CJT_166);
        let mut card = Other(&mut band, head, Vec::new());
        let service = City { ride: Third };
        let mut tap = Tap::new(DEVICE, &Policy::CJT_166, &service, STAMP);
        let outcome = drive::tap(&mut tap, &mut card, &mut psam(), &mut Notes::default()).unwrap();
        assert_eq!(outcome, Outcome::Refused(refusal), "{head}");
    }
    // A JT/T 978 card has no file 0017 of records.
    let outcome = tap(&mut world::issued(), &Policy::default(), &City { ride: Third }, &mut psam());
    assert!(
        matches!(
            outcome,
            Outcome::Refused(Refusal::NoRecord)
                | Outcome::Failed(Fault::Status { during: Stage::Record, .. })
        ),
        "{outcome:?}"
    );
    let outcome = tap(&mut world::issued(), &Policy::default(), &entry(), &mut psam());
    assert_eq!(outcome, Outcome::Refused(Refusal::NoRecord));
}

const LANE: etc::Lane =
    etc::Lane { network: [0x44, 0x01], station: [0x12, 0x34], lane: 7, entered: 3, left: 4, ahead: 28_800 };

fn entry() -> etc::Entry {
    etc::Entry { lane: LANE, class: 1, plate: *b"\xD4\xC1B12345\0\0\0\0", again: false }
}

#[test]
fn a_highway_card_enters_for_nothing_and_leaves_for_the_toll() {
    let mut band = bank::issued(Profile::ETC);
    let policy = Policy { types: None, ..Policy::ETC };
    let exit = etc::Exit { lane: etc::Lane { station: [0x56, 0x78], lane: 9, ..LANE } };
    assert_eq!(tap(&mut band, &policy, &exit, &mut psam()), Outcome::Refused(Refusal::NotInside));
    assert_eq!(amount(tap(&mut band, &policy, &entry(), &mut psam())), 0);
    assert_eq!(headers(&band), ["00A40400", "00B2AAC8", "80500302", "80DCAAC8", "80540100"], "five commands");
    // 22 November 2026, 14:17:40 in China.
    let passed = "AA290044011234076B0289040103".to_owned();
    assert_eq!(
        hex(&band.trace[3].0),
        format!("80DCAAC82B{passed}{}D4C1423132333435{}", "00".repeat(13), "00".repeat(8))
    );
    assert_eq!(tap(&mut band, &policy, &entry(), &mut psam()), Outcome::Refused(Refusal::AlreadyInside));
    let again = etc::Entry { again: true, ..entry() };
    assert_eq!(amount(tap(&mut band, &policy, &again, &mut psam())), 0);
    assert_eq!(amount(tap(&mut band, &policy, &exit, &mut psam())), 1800);
    band.select();
    let toll = Toll::parse(&band.ok("00B2AAC82B")).unwrap();
    assert_eq!((toll.get(record::STATE), toll.get(record::STATION)), ([4], [0x56, 0x78]));
    assert_eq!(toll.get(record::PLATE), entry().plate);
    band.expect("805C000204", "00000C80 9000");
}

/// A card whose file 0015 has 43 bytes and another type.
struct Highway<'b> {
    band: &'b mut RamBand,
    kind: u8,
    answer: Vec<u8>,
}

impl drive::Transport for Highway<'_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        self.answer = self.band.send(command);
        if command[1] == 0xA4 {
            let mut info =
                world::public_info().with(public_info::APPLICATION_TYPE, [self.kind]).as_bytes().to_vec();
            info.extend([0x55; 13]);
            let fci = [&[0x6F, 0x30, 0xA5, 0x2E, 0x9F, 0x0C, 0x2B][..], &info, &[0x90, 0x00]].concat();
            self.answer = fci;
        }
        Some(&self.answer)
    }
}

#[test]
fn an_account_card_pays_nothing_in_the_lane() {
    for (kind, paid) in [(etc::TYPE_ACCOUNT, 0), (etc::TYPE_STORED_VALUE, 1800)] {
        let mut band = bank::issued(Profile::ETC);
        let mut run = |service: &dyn Fn(&mut Highway<'_>) -> Outcome| {
            service(&mut Highway { band: &mut band, kind, answer: Vec::new() })
        };
        let enter = |card: &mut Highway<'_>| {
            let entry = entry();
            let mut tap = Tap::new(DEVICE, &Policy::ETC, &entry, STAMP);
            drive::tap(&mut tap, card, &mut psam(), &mut Notes::default()).unwrap()
        };
        let leave = |card: &mut Highway<'_>| {
            let exit = Priced { service: etc::Exit { lane: LANE }, fares: |_: &Visit<'_>| 1800 };
            let mut tap = Tap::new(DEVICE, &Policy::ETC, &exit, STAMP);
            drive::tap(&mut tap, card, &mut psam(), &mut Notes::default()).unwrap()
        };
        assert_eq!(amount(run(&enter)), 0);
        assert_eq!(amount(run(&leave)), paid, "type {kind}");
    }
    let outcome = tap(&mut bank::issued(Profile::ETC), &Policy::ETC, &entry(), &mut psam());
    assert_eq!(outcome, Outcome::Refused(Refusal::ApplicationType(2)), "a transit card");
}

#[test]
fn a_record_is_bounded() {
    assert_eq!(CardRecord::new(&[1; 129]), None);
    let record = CardRecord::new(&[1, 2, 3]).unwrap();
    assert_eq!((&record[..], record), (&[1, 2, 3][..], CardRecord::from(&[1, 2, 3])));
    assert_ne!(CardRecord::new(&[0; 2]), CardRecord::new(&[0; 3]));
    assert_eq!(CardRecord::new(&[]).unwrap().len(), 0);
    assert_eq!(CardRecord::new(&[7; 128]).unwrap()[..], [7; 128]);
}
