//! Whole taps: our terminal against our card behind its dispatcher, and the issuer behind the terminal.
#![allow(unreachable_pub, dead_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

#[path = "card/band.rs"]
mod band;

use band::{Band, card, keys, yuan};
use core::sync::atomic::{AtomicU32, Ordering};
use huiwan_apdu::Aid;
use huiwan_emv::card::Qpboc;
use huiwan_emv::card::qpboc::Profile;
use huiwan_emv::certificates::{CaKey, CaKeys, FddaFormat};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::authorisation::{self, Authorisation, Decision, Facts, Script};
use huiwan_emv::host::certificates::fixtures;
use huiwan_emv::pan::Pan;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::{
    COMMAND_MAX, Combination, Configuration, Cvm, EntryPoint, FaultKind, Input, Limits, Memory, Message, Oda,
    Outcome, Place, Step, Transaction, Verdict,
};
use huiwan_tlv::Tag;
use proptest::prelude::*;

struct TestAuthority;

impl CaKeys for TestAuthority {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        let key = CaKey { modulus: &fixtures::CA_MODULUS, exponent: &fixtures::EXPONENT };
        (*rid == fixtures::RID && index == fixtures::CA_INDEX).then_some(key)
    }
}

/// qPBOC, online capable, PIN, signature, issuer update, CDCVM, fDDA version 01; no contact interface.
const POS: Ttq = Ttq([0x26, 0x00, 0xC0, 0x80]);

fn combination(ttq: Ttq, cvm_limit: u64) -> [Combination; 1] {
    let limits = Limits { cvm: Some(yuan(cvm_limit)), ..Limits::NONE };
    [Combination::quick_pass(Aid::from_array(band::AID), ttq).with_limits(limits)]
}

fn configuration(combinations: &[Combination]) -> Configuration<'_> {
    let mut configuration = Configuration::default();
    configuration.combinations = combinations;
    configuration.keys = &TestAuthority;
    configuration
}

fn transaction(amount: Amount) -> Transaction {
    let mut transaction = Transaction::default();
    transaction.amount = amount;
    transaction.date = Date::new(2026, 11, 22).unwrap();
    transaction
}

/// Where the card leaves the field: at the command of this number, before or after the card has carried it out.
#[derive(Debug, Clone, Copy)]
struct Tear {
    at: usize,
    carried_out: bool,
}

/// A number no other GET PROCESSING OPTIONS of these tests has.
fn fresh_number() -> [u8; 4] {
    static NEXT: AtomicU32 = AtomicU32::new(0x5EED_0000);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

/// Brings the band into the field and plays to the end of the tap.
fn play(terminal: &mut EntryPoint<'_>, first: Input<'_>, band: &mut Band, tear: Option<Tear>) -> Outcome {
    let mut out = [0; COMMAND_MAX];
    let mut answer: Vec<u8>;
    let mut input = first;
    let mut sent = 0;
    // Wearing survives until the tap is over; power does not.
    let verified = band.element.wearer_verified();
    band.power_on();
    band.element.set_wearer_verified(verified);
    loop {
        input = match terminal.step(input, &mut out).unwrap() {
            Step::Send(command) => {
                let torn = tear.is_some_and(|tear| tear.at == sent);
                sent += 1;
                if torn && !tear.unwrap().carried_out {
                    Input::CardLost
                } else {
                    let (data, sw) = band.send(command);
                    answer = [&data[..], &sw.to_be_bytes()].concat();
                    if torn { Input::CardLost } else { Input::Response(&answer) }
                }
            }
            Step::UnpredictableNumber => Input::UnpredictableNumber(fresh_number()),
            Step::Done(outcome) => return outcome,
        };
    }
}

/// One whole tap of `amount` at a terminal.
fn tap_at(band: &mut Band, ttq: Ttq, cvm_limit: u64, amount: Amount) -> Outcome {
    tap_with(band, ttq, cvm_limit, amount, |_, _| {})
}

fn tap_with(
    band: &mut Band,
    ttq: Ttq,
    cvm_limit: u64,
    amount: Amount,
    adapt: impl FnOnce(&mut Configuration<'_>, &mut Transaction),
) -> Outcome {
    let combinations = combination(ttq, cvm_limit);
    let mut configuration = configuration(&combinations);
    let mut transaction = transaction(amount);
    adapt(&mut configuration, &mut transaction);
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let memory = Memory { data: &mut data, static_data: &mut static_data };
    let mut terminal = EntryPoint::new(&configuration, memory);
    play(&mut terminal, Input::Start(transaction), band, None)
}

/// A band after its first online transaction, so that it may pay offline.
fn experienced() -> Band {
    Band::with(&[])
}

#[test]
fn small_amount_is_paid_offline() {
    let mut band = experienced();
    let outcome = tap_at(&mut band, POS, 300, yuan(25));
    println!("{:?}", outcome.fault);
    assert_eq!((outcome.verdict, outcome.oda, outcome.cvm), (Verdict::Approved, Oda::Passed, Cvm::None));
    assert_eq!((outcome.message, outcome.fault), (Message::Approved, None));
    assert_eq!(band.balance(), 47_500);
    // fDDA version 00 too.
    let outcome = tap_at(&mut band, Ttq([0x26, 0x00, 0xC0, 0x00]), 300, yuan(25));
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::Approved, Oda::Passed));
    assert_eq!(band.balance(), 45_000);
}

#[test]
fn offline_only_terminal_declines_what_the_purse_does_not_hold() {
    let mut band = experienced();
    let gate = Ttq([0x28, 0x00, 0x00, 0x80]);
    assert_eq!(tap_at(&mut band, gate, 10_000, yuan(300)).verdict, Verdict::Approved);
    let outcome = tap_at(&mut band, gate, 10_000, yuan(300));
    assert_eq!((outcome.verdict, outcome.fault), (Verdict::Declined, None));
    assert_eq!(band.balance(), 20_000);
}

/// Plays the issuer: its answer to a terminal's field 55, and what it saw.
fn authorise(field_55: &[u8], pan: Pan, decide: impl Fn(&Facts) -> Decision) -> (Facts, Vec<u8>) {
    let (mut keys, mut engine) = (keys(), Authorisation::new());
    let mut input = authorisation::Input::Start { field_55, pan: Some(pan), sequence: None };
    let mut seen = None;
    loop {
        let mut out = [0; 256];
        input = match engine.step(input, &mut out).unwrap() {
            authorisation::Step::Key(request) => authorisation::Input::Key(request.perform(&mut keys).ok()),
            authorisation::Step::Decide(facts) => {
                seen = Some(facts);
                authorisation::Input::Decide(decide(&facts))
            }
            authorisation::Step::Done(outcome) => {
                return (seen.unwrap(), outcome.response().unwrap().to_vec());
            }
        };
    }
}

#[test]
fn large_amount_is_authorised_and_the_issuer_s_script_reaches_the_card() {
    let mut band = experienced();
    let combinations = combination(POS, 300);
    let mut configuration = configuration(&combinations);
    // The issuer wants the sequence number in field 55; the account number travels in field 35.
    let online_data: Vec<Tag> =
        configuration.rules.online_data.iter().copied().chain([Tag::new(0x5F34)]).collect();
    configuration.rules.online_data = online_data.leak();
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let memory = Memory { data: &mut data, static_data: &mut static_data };
    let mut terminal = EntryPoint::new(&configuration, memory);

    let outcome = play(&mut terminal, Input::Start(transaction(yuan(400))), &mut band, None);
    assert_eq!(
        (outcome.verdict, outcome.cvm, outcome.message),
        (Verdict::OnlineRequest, Cvm::OnlinePin, Message::EnterPin)
    );
    assert!(outcome.issuer_update);
    let mut field_55 = [0; 256];
    let field_55 = terminal.online_data(&mut field_55).unwrap();
    let pan = Pan::from_track2(terminal.kernel().card_object(Tag::new(0x57)).unwrap()).unwrap();
    let (facts, response) = authorise(field_55, pan, |facts| {
        assert!(facts.verdict.cryptogram && facts.verdict.idd);
        Decision::approve().with_script(Script::TopUp(yuan(200)))
    });
    assert_eq!((facts.request.check.card, facts.request.amount), (card(), yuan(400)));

    let outcome = play(&mut terminal, Input::IssuerAnswer(&response), &mut band, None);
    assert_eq!((outcome.verdict, outcome.fault), (Verdict::IssuerUpdated, None));
    assert_eq!(terminal.kernel().script_results().iter().map(|result| result[0]).collect::<Vec<_>>(), [0x20]);
    assert!(!outcome.tvr.issuer_authentication_failed() && !outcome.tvr.script_failed_after());
    assert_eq!(band.balance(), 70_000);

    // A forged answer: the card says no, the terminal notes it.
    let outcome = play(&mut terminal, Input::Start(transaction(yuan(400))), &mut band, None);
    assert!(outcome.issuer_update);
    let outcome = play(&mut terminal, Input::IssuerAnswer(&response), &mut band, None);
    assert_eq!(outcome.verdict, Verdict::IssuerUpdated);
    assert!(outcome.tvr.script_failed_after(), "the script belongs to the transaction before");
    assert_eq!(terminal.kernel().script_results()[0][0], 0x11);
    assert_eq!(band.balance(), 70_000);
}

#[test]
fn new_card_goes_online_first() {
    let mut band = Band::issued();
    let outcome = tap_at(&mut band, POS, 300, yuan(25));
    let expected = if band.memory().get(0x9F68).unwrap()[0] & 0x10 != 0 {
        Verdict::OnlineRequest
    } else {
        Verdict::Approved
    };
    assert_eq!(outcome.verdict, expected);
}

#[test]
fn cvm_limit_asks_for_the_cardholder() {
    let mut band = experienced();
    // Above the terminal's limit, below the card's.
    let outcome = tap_at(&mut band, POS, 100, yuan(200));
    assert_eq!((outcome.verdict, outcome.cvm), (Verdict::OnlineRequest, Cvm::OnlinePin));
    let signature_only = Ttq([0x22, 0x00, 0xC0, 0x80]);
    let outcome = tap_at(&mut band, signature_only, 100, yuan(200));
    assert_eq!((outcome.verdict, outcome.cvm), (Verdict::Approved, Cvm::Signature));
    assert_eq!(outcome.message, Message::ApprovedPleaseSign);
    let nothing = Ttq([0x20, 0x00, 0xC0, 0x80]);
    let outcome = tap_at(&mut band, nothing, 100, yuan(200));
    assert_eq!(outcome.verdict, Verdict::TryAnotherInterface);
    assert_eq!(outcome.fault.unwrap().place, Place::Gpo);
}

#[test]
fn wearer_verified_by_the_band_needs_no_pin() {
    let mut band = experienced();
    band.element.set_wearer_verified(true);
    let outcome = tap_at(&mut band, POS, 100, yuan(200));
    assert_eq!(
        (outcome.verdict, outcome.cvm, outcome.oda),
        (Verdict::Approved, Cvm::Device, Oda::Passed),
        "signed in 9F69"
    );
    band.element.set_wearer_verified(true);
    let outcome = tap_at(&mut band, POS, 100, yuan(400));
    assert_eq!(
        (outcome.verdict, outcome.cvm),
        (Verdict::OnlineRequest, Cvm::Device),
        "above the e-cash limit of one payment"
    );
    // A terminal that doesn't take it is asked for a PIN all the same.
    band.element.set_wearer_verified(true);
    let outcome = tap_at(&mut band, Ttq([0x26, 0x00, 0x80, 0x80]), 100, yuan(400));
    assert_eq!((outcome.verdict, outcome.cvm), (Verdict::OnlineRequest, Cvm::OnlinePin));
    // Without a signature over the CTQ the band's word isn't enough offline: the issuer judges.
    band.element.set_wearer_verified(true);
    let outcome = tap_at(&mut band, Ttq([0x26, 0x00, 0xC0, 0x00]), 100, yuan(200));
    assert_eq!((outcome.verdict, outcome.cvm), (Verdict::OnlineRequest, Cvm::Device));
    // Where none is required, it is not needed.
    band.element.set_wearer_verified(true);
    let outcome = tap_at(&mut band, Ttq([0x26, 0x00, 0xC0, 0x00]), 100, yuan(20));
    assert_eq!((outcome.verdict, outcome.cvm), (Verdict::Approved, Cvm::None));
}

#[test]
fn expired_card_is_declined() {
    let mut band = experienced();
    let outcome = tap_with(&mut band, POS, 300, yuan(25), |_, t| t.date = Date::new(2032, 1, 1).unwrap());
    assert_eq!(outcome.verdict, Verdict::Declined);
    assert!(outcome.tvr.expired());
}

#[test]
fn authentication_that_fails_declines() {
    let missing = |c: &mut Configuration<'_>, _: &mut Transaction| {
        c.keys = &huiwan_emv::terminal::configuration::Nothing
    };
    let outcome = tap_with(&mut experienced(), POS, 300, yuan(25), missing);
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::Declined, Oda::Failed), "no CA key");

    let profile = Profile { fdda_format: FddaFormat::Visa, ..Profile::default() };
    let mut visa = Band::on(Band::with(&[]).memory().clone(), Qpboc { profile });
    let outcome = tap_at(&mut visa, POS, 300, yuan(25));
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::Declined, Oda::Failed), "format byte 95");
    let as_visa = |c: &mut Configuration<'_>, _: &mut Transaction| c.rules.fdda_format = FddaFormat::Visa;
    let outcome = tap_with(&mut visa, POS, 300, yuan(25), as_visa);
    assert_eq!(
        (outcome.verdict, outcome.oda),
        (Verdict::Approved, Oda::Passed),
        "the same byte on both sides"
    );
}

#[test]
fn authentication_for_an_online_transaction_needs_records_this_card_does_not_offer() {
    let outcome = tap_at(&mut experienced(), Ttq([0x27, 0x00, 0xC0, 0x80]), 100, yuan(400));
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::OnlineRequest, Oda::NotPerformed));
}

/// Commands of an offline tap: PPSE, SELECT, GPO, five records.
const LAST_RECORD: usize = 7;

fn torn_then_again(carried_out: bool) -> (Outcome, Outcome, u64) {
    let mut band = experienced();
    let combinations = combination(POS, 300);
    let configuration = configuration(&combinations);
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let memory = Memory { data: &mut data, static_data: &mut static_data };
    let mut terminal = EntryPoint::new(&configuration, memory);
    let tear = Tear { at: LAST_RECORD, carried_out };
    let torn = play(&mut terminal, Input::Start(transaction(yuan(25))), &mut band, Some(tear));
    let again = play(&mut terminal, Input::SameCardAgain { elapsed_ms: 900 }, &mut band, None);
    (torn, again, band.balance())
}

#[test]
fn torn_last_record_is_recovered() {
    let (torn, again, balance) = torn_then_again(true);
    assert_eq!((torn.verdict, torn.fault.unwrap().kind), (Verdict::Torn, FaultKind::CardLost));
    assert_eq!((again.verdict, again.oda, balance), (Verdict::Approved, Oda::Passed, 47_500));
}

#[test]
fn torn_tap_that_never_reached_the_card_was_not_paid() {
    let (torn, again, balance) = torn_then_again(false);
    assert_eq!((torn.verdict, again.verdict, balance), (Verdict::Torn, Verdict::TryAgain, 50_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is torn, the merchant's approvals are the wearer's debits, once each.
    #[test]
    fn money_is_paid_once(
        taps in prop::collection::vec((1..90_u64, prop::option::of((0..9_usize, any::<bool>())), any::<bool>()), 1..6)
    ) {
        let mut band = experienced();
        let combinations = combination(POS, 300);
        let configuration = configuration(&combinations);
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let memory = Memory { data: &mut data, static_data: &mut static_data };
        let mut terminal = EntryPoint::new(&configuration, memory);
        for (amount, tear, offline) in taps {
            let amount = if offline { yuan(amount) } else { yuan(amount + 300) };
            let before = band.balance();
            let tear = tear.map(|(at, carried_out)| Tear { at, carried_out });
            let mut outcome = play(&mut terminal, Input::Start(transaction(amount)), &mut band, tear);
            if outcome.verdict == Verdict::Torn {
                outcome = play(&mut terminal, Input::SameCardAgain { elapsed_ms: 1 }, &mut band, None);
                prop_assert!(matches!(outcome.verdict, Verdict::Approved | Verdict::TryAgain), "{:?}", outcome);
            }
            let paid = before - band.balance();
            prop_assert_eq!(paid, if outcome.verdict == Verdict::Approved { amount.minor() } else { 0 });
        }
    }
}
