//! The terminal against scripted cards, phase by phase. The offline card is the published CARD IMAGE 0001: its
//! certificates are others' numbers, its fDDA signatures our own computation with its published key (weak).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)]

use huiwan_apdu::{Aid, Sw};
use huiwan_emv::certificates::{CaKey, FddaFormat};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::preprocessing::preprocess;
use huiwan_emv::terminal::{
    COMMAND_MAX, Combination, Configuration, Cvm, EntryPoint, ExceptionFile, FaultKind, Field, Input, Limits,
    Memory, Message, Misuse, Oda, Outcome, Place, Step, Transaction, Verdict,
};
use huiwan_testkit::{ScriptedPeer, hex, vectors};
use huiwan_tlv::{Tag, Writer};
use proptest::prelude::*;

const DEBIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
const CREDIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x02]);
const UN: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

fn tlv(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut out = [0; 300];
    let mut writer = Writer::new(&mut out);
    writer.put(Tag::new(tag), value);
    writer.finish().unwrap().to_vec()
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn ok(mut data: Vec<u8>) -> Vec<u8> {
    data.extend([0x90, 0x00]);
    data
}

fn ppse_of(entries: &[(&Aid, u8)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .flat_map(|(aid, priority)| tlv(0x61, &join(&[tlv(0x4F, aid.as_bytes()), tlv(0x87, &[*priority])])));
    let entries: Vec<u8> = entries.collect();
    ok(tlv(0x6F, &join(&[tlv(0x84, b"2PAY.SYS.DDF01"), tlv(0xA5, &tlv(0xBF0C, &entries))])))
}

const PDOL: &str = "9F66049F02069F03069F1A0295055F2A029A039C019F3704";

fn fci(aid: &Aid, pdol: &str) -> Vec<u8> {
    let pdol = if pdol.is_empty() { Vec::new() } else { tlv(0x9F38, &hex(pdol)) };
    ok(tlv(0x6F, &join(&[tlv(0x84, aid.as_bytes()), tlv(0xA5, &join(&[tlv(0x50, b"DEBIT"), pdol]))])))
}

/// A GPO answer; `parts` replace or add objects, an empty value takes one away.
fn gpo(kind: u8, parts: &[(u32, &str)]) -> Vec<u8> {
    let iad = format!("07010103{kind:02X}000001");
    let mut objects: Vec<(u32, Vec<u8>)> = vec![
        (0x82, hex("7C00")),
        (0x94, hex("1003040018010100")),
        (0x9F36, hex("0001")),
        (0x57, hex("6228000100001117D30122010000")),
        (0x9F10, hex(&iad)),
        (0x9F26, hex("1122334455667788")),
        (0x5F34, hex("01")),
        (0x9F6C, hex("3000")),
    ];
    for (tag, value) in parts {
        objects.retain(|(other, _)| other != tag);
        if !value.is_empty() {
            objects.push((*tag, hex(value)));
        }
    }
    let objects: Vec<u8> = objects.iter().flat_map(|(tag, value)| tlv(*tag, value)).collect();
    ok(tlv(0x77, &objects))
}

const TC: u8 = 0x90;
const ARQC: u8 = 0xA0;
const AAC: u8 = 0x80;

/// The three records of CARD IMAGE 0001 as its AFL 10030400 18010100 lists them here, signed as version `fdda` (0 or 1).
fn records(fdda: u8, more: &[(u32, &str)]) -> [Vec<u8>; 3] {
    let file = vectors::load(include_str!("vectors/certificates.txt"));
    let (issuer, icc) = (file.block("cardimg-issuer"), file.block("cardimg-icc-qpboc"));
    let signed = file.block(if fdda == 0 { "comp-fdda-rsa-v00" } else { "comp-fdda-rsa-v01" });
    let first = join(&[
        tlv(0x8F, &issuer.bytes("in.capk_index")),
        tlv(0x90, &issuer.bytes("in.tag90")),
        tlv(0x92, &issuer.bytes("in.tag92")),
        tlv(0x9F32, &issuer.bytes("in.tag9F32")),
    ]);
    let second = join(&[
        tlv(0x9F46, &icc.bytes("in.tag9F46")),
        tlv(0x9F48, &icc.bytes("in.tag9F48")),
        tlv(0x9F47, &icc.bytes("in.tag9F47")),
    ]);
    let mut last: Vec<(u32, Vec<u8>)> = vec![
        (0x5A, hex("6228000100001117")),
        (0x5F24, hex("301231")),
        (0x9F08, hex("0030")),
        (0x9F4B, signed.bytes("out.tag9F4B")),
        (0x9F69, hex("0100000000300000")),
    ];
    for (tag, value) in more {
        last.retain(|(other, _)| other != tag);
        if !value.is_empty() {
            last.push((*tag, hex(value)));
        }
    }
    let last: Vec<u8> = last.iter().flat_map(|(tag, value)| tlv(*tag, value)).collect();
    [first, second, last].map(|objects| ok(tlv(0x70, &objects)))
}

const READ: [&str; 3] = ["00B2031400", "00B2041400", "00B2011C00"];

/// The keys of the script: CA key A000000333/80.
struct Keys {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Keys {
    fn published() -> Self {
        let file = vectors::load(include_str!("vectors/ca_keys.txt"));
        let key = file.block("A000000333/80");
        Self { modulus: key.bytes("modulus"), exponent: key.bytes("exponent") }
    }

    fn table(&self) -> [([u8; 5], u8, CaKey<'_>); 1] {
        [([0xA0, 0, 0, 3, 0x33], 0x80, CaKey { modulus: &self.modulus, exponent: &self.exponent })]
    }
}

const TTQ: Ttq = Ttq([0x36, 0x00, 0x00, 0x80]);

fn transaction() -> Transaction {
    let mut transaction = Transaction::default();
    transaction.amount = Amount::new(100).unwrap();
    transaction.date = Date::new(2026, 3, 1).unwrap();
    transaction
}

/// A terminal with its memory, for one test.
struct Bench<'c> {
    terminal: EntryPoint<'c>,
    out: [u8; COMMAND_MAX],
    number: u32,
}

impl<'c> Bench<'c> {
    fn new(configuration: &'c Configuration<'c>, data: &'c mut [u8], static_data: &'c mut [u8]) -> Self {
        let terminal = EntryPoint::new(configuration, Memory { data, static_data });
        Self { terminal, out: [0; COMMAND_MAX], number: u32::from_be_bytes(UN) }
    }

    /// Plays from `input` to the end of the tap; an answer of no bytes in the script is a lost card.
    fn play(&mut self, input: Input<'_>, card: &mut ScriptedPeer) -> Outcome {
        let mut answer: Vec<u8>;
        let mut input = input;
        for _ in 0..64 {
            input = match self.terminal.step(input, &mut self.out).unwrap() {
                Step::Send(command) => {
                    answer = card.exchange(command);
                    if answer.is_empty() { Input::CardLost } else { Input::Response(&answer) }
                }
                Step::UnpredictableNumber => {
                    self.number += 1;
                    Input::UnpredictableNumber((self.number - 1).to_be_bytes())
                }
                Step::Done(outcome) => return outcome,
            };
        }
        panic!("the tap doesn't end");
    }
}

fn script(steps: Vec<(String, Vec<u8>)>) -> ScriptedPeer {
    ScriptedPeer::from_bytes(steps.into_iter().map(|(command, answer)| (hex(&command), answer)))
}

const SELECT_PPSE: &str = "00A404000E325041592E5359532E444446303100";
const SELECT_DEBIT: &str = "00A4040008A00000033301010100";
const SELECT_CREDIT: &str = "00A4040008A00000033301010200";

fn gpo_command(ttq: &str) -> String {
    format!("80A8000023 8321 {ttq} 000000000100 000000000000 0156 0000000000 0156 260301 00 12345678 00")
        .replace(' ', "")
}

/// PPSE, SELECT and GPO as most scripts begin.
fn opening(answer: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    opening_with("36000080", answer)
}

fn opening_with(ttq: &str, answer: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    vec![
        (SELECT_PPSE.into(), ppse_of(&[(&DEBIT, 1)])),
        (SELECT_DEBIT.into(), fci(&DEBIT, PDOL)),
        (gpo_command(ttq), answer),
    ]
}

/// One tap of the combination DEBIT, with configuration and transaction to taste.
fn tap_with(
    steps: Vec<(String, Vec<u8>)>,
    ttq: Ttq,
    adapt: impl FnOnce(&mut Configuration<'_>, &mut Transaction),
) -> Outcome {
    let keys = Keys::published();
    let table = keys.table();
    let combinations = [Combination::quick_pass(DEBIT, ttq)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    configuration.keys = &table;
    let mut transaction = transaction();
    adapt(&mut configuration, &mut transaction);
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let mut card = script(steps);
    let outcome = bench.play(Input::Start(transaction), &mut card);
    card.finish();
    outcome
}

fn tap(steps: Vec<(String, Vec<u8>)>) -> Outcome {
    tap_with(steps, TTQ, |_, _| {})
}

/// The three records of the card.
type Records = [Vec<u8>; 3];

fn with_records(mut steps: Vec<(String, Vec<u8>)>, records: Records) -> Vec<(String, Vec<u8>)> {
    steps.extend(READ.iter().map(|command| (*command).into()).zip(records));
    steps
}

// ---- pre-processing

#[test]
fn preprocessing_rows() {
    let amount = |minor| Amount::new(minor).unwrap();
    let limits = |status, transaction, cvm, floor| Limits {
        status_check: status,
        transaction,
        cvm,
        floor,
        ..Limits::NONE
    };
    let online = Ttq([0x26, 0x00, 0x00, 0x80]);
    let offline = Ttq([0x28, 0x00, 0x00, 0x80]);
    let some = |minor| Some(amount(minor));
    let rows = [
        ("no limits", online, Limits::NONE, 5000, Some(0x00)),
        ("status check amount", online, limits(some(100), None, None, None), 100, Some(0x80)),
        ("not the status check amount", online, limits(some(100), None, None, None), 101, Some(0x00)),
        ("zero, online capable", online, Limits::NONE, 0, Some(0x80)),
        ("zero, offline-only", offline, Limits::NONE, 0, None),
        (
            "zero, extended application",
            offline,
            Limits { zero_is_allowed: true, ..Limits::NONE },
            0,
            Some(0x00),
        ),
        ("below the transaction limit", online, limits(None, some(5000), None, None), 4999, Some(0x00)),
        ("at the transaction limit", online, limits(None, some(5000), None, None), 5000, None),
        ("below the CVM limit", online, limits(None, None, some(5000), None), 4999, Some(0x00)),
        ("at the CVM limit", online, limits(None, None, some(5000), None), 5000, Some(0x40)),
        ("at the floor limit", online, limits(None, None, None, some(5000)), 5000, Some(0x00)),
        ("above the floor limit", online, limits(None, None, None, some(5000)), 5001, Some(0x80)),
        ("above CVM and floor limit", online, limits(None, None, some(1), some(1)), 5001, Some(0xC0)),
    ];
    for (name, ttq, limits, minor, second_byte) in rows {
        let combination = Combination::quick_pass(DEBIT, ttq).with_limits(limits);
        let expected = second_byte.map(|byte| Ttq([ttq.0[0], byte, 0x00, 0x80]));
        assert_eq!(preprocess(&combination, amount(minor)), expected, "{name}");
        // Bits an earlier transaction left behind don't matter; others stay.
        let stale = Combination::quick_pass(DEBIT, Ttq([ttq.0[0], 0xE0, 0x00, 0x80])).with_limits(limits);
        let expected = second_byte.map(|byte| Ttq([ttq.0[0], byte | 0x20, 0x00, 0x80]));
        assert_eq!(preprocess(&stale, amount(minor)), expected, "{name}");
    }
}

#[test]
fn amount_no_combination_allows_ends_before_any_command() {
    let configuration = Configuration::default();
    let combinations = [Combination::quick_pass(DEBIT, Ttq([0x28, 0, 0, 0]))];
    let configuration = {
        let mut configuration = configuration;
        configuration.combinations = &combinations;
        configuration
    };
    let (mut data, mut static_data) = ([0; 64], [0; 0]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let outcome = bench.play(Input::Start(Transaction::default()), &mut script(vec![]));
    assert_eq!(
        (outcome.verdict, outcome.message, outcome.field),
        (Verdict::TryAnotherInterface, Message::InsertCard, Field::On)
    );
    let fault = outcome.fault.unwrap();
    assert_eq!((fault.kind, fault.place), (FaultKind::NoApplication, Place::Preprocessing));
    assert_eq!(fault.to_string(), "pre-processing: no application left");
}

// ---- entry point

fn two_combinations(steps: Vec<(String, Vec<u8>)>) -> Outcome {
    let combinations = [Combination::quick_pass(DEBIT, TTQ), Combination::quick_pass(CREDIT, TTQ)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let mut card = script(steps);
    let outcome = bench.play(Input::Start(transaction()), &mut card);
    card.finish();
    outcome
}

#[test]
fn the_card_s_first_choice_is_selected_first() {
    let credit = vec![(SELECT_CREDIT.into(), fci(&CREDIT, PDOL)), (gpo_command("36000080"), gpo(ARQC, &[]))];
    for entries in [[(&DEBIT, 2), (&CREDIT, 1)], [(&CREDIT, 1), (&DEBIT, 1)], [(&DEBIT, 0), (&CREDIT, 15)]] {
        let mut steps = vec![(SELECT_PPSE.to_owned(), ppse_of(&entries))];
        steps.extend(credit.clone());
        assert_eq!(two_combinations(steps).verdict, Verdict::OnlineRequest, "{entries:?}");
    }
}

#[test]
fn the_next_application_is_tried_when_one_refuses() {
    let both = (SELECT_PPSE.to_owned(), ppse_of(&[(&DEBIT, 1), (&CREDIT, 2)]));
    let select_debit = (SELECT_DEBIT.to_owned(), fci(&DEBIT, PDOL));
    // The unpredictable number of the second GPO is fresh.
    let fresh = gpo_command("36000080").replace("12345678", "12345679");
    let credit =
        |gpo_command| [(SELECT_CREDIT.to_owned(), fci(&CREDIT, PDOL)), (gpo_command, gpo(ARQC, &[]))];
    let refusals = [
        vec![(SELECT_DEBIT.to_owned(), hex("6A82"))],
        vec![(SELECT_DEBIT.to_owned(), hex("6283"))],
        vec![(SELECT_DEBIT.to_owned(), fci(&DEBIT, ""))],
        vec![(SELECT_DEBIT.to_owned(), fci(&DEBIT, "9F02065F2A029F3704"))],
        vec![(SELECT_DEBIT.to_owned(), fci(&CREDIT, PDOL))],
    ];
    for refusal in refusals {
        let mut steps = vec![both.clone()];
        steps.extend(refusal);
        steps.extend(credit(gpo_command("36000080")));
        assert_eq!(two_combinations(steps).verdict, Verdict::OnlineRequest);
    }
    let mut steps = vec![both, select_debit, (gpo_command("36000080"), hex("6985"))];
    steps.extend(credit(fresh));
    assert_eq!(two_combinations(steps).verdict, Verdict::OnlineRequest);
}

#[test]
fn entry_point_faults() {
    let directory = |answer| vec![(SELECT_PPSE.to_owned(), answer)];
    let entry = tlv(0x61, &join(&[tlv(0x4F, DEBIT.as_bytes()), tlv(0x9F2A, &[0x03])]));
    let other_kernel = ok(tlv(0x6F, &tlv(0xA5, &tlv(0xBF0C, &entry))));
    let rows = [
        ("no PPSE", directory(hex("6A82")), FaultKind::Status(Sw::FILE_NOT_FOUND)),
        ("no status word", directory(hex("90")), FaultKind::ResponseTruncated),
        ("no directory inside", directory(ok(hex("6F028400"))), FaultKind::Missing(Tag::new(0xBF0C))),
        (
            "nothing in common",
            directory(ppse_of(&[(&Aid::from_array([0xA0, 0, 0, 0, 3, 0x10, 0x10]), 1)])),
            FaultKind::NoApplication,
        ),
        ("no entry", directory(ppse_of(&[])), FaultKind::NoApplication),
        ("another kernel wanted", directory(other_kernel), FaultKind::NoApplication),
    ];
    for (name, steps, kind) in rows {
        let outcome = tap(steps);
        assert_eq!(outcome.verdict, Verdict::TryAnotherInterface, "{name}");
        let found = outcome.fault.unwrap();
        assert_eq!(found.kind, kind, "{name}");
        assert_eq!(found.place, Place::Ppse, "{name}");
    }
}

#[test]
fn a_card_that_leaves_or_is_not_alone_is_asked_again() {
    for lost_at in 0..3 {
        let mut steps = opening(vec![]);
        steps[lost_at].1 = vec![];
        steps.truncate(lost_at + 1);
        let outcome = tap(steps);
        assert_eq!((outcome.verdict, outcome.fault.unwrap().kind), (Verdict::TryAgain, FaultKind::CardLost));
    }
    let configuration = Configuration::default();
    let (mut data, mut static_data) = ([0; 64], [0; 0]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let Ok(Step::Send(_)) = bench.terminal.step(Input::Start(transaction()), &mut bench.out) else {
        panic!()
    };
    let Ok(Step::Done(outcome)) = bench.terminal.step(Input::SeveralCards, &mut bench.out) else { panic!() };
    assert_eq!((outcome.verdict, outcome.message), (Verdict::SeveralCards, Message::PresentOneCardOnly));
}

// ---- GET PROCESSING OPTIONS

#[test]
fn gpo_status_rows() {
    let rows = [
        ("6984", Verdict::TryAnotherInterface, Message::InsertCard, Field::On),
        // Select next, and there is none.
        ("6985", Verdict::TryAnotherInterface, Message::InsertCard, Field::On),
        ("6986", Verdict::TryAgain, Message::SeePhone, Field::OffFor(1500)),
        ("6A81", Verdict::TryAnotherInterface, Message::InsertCard, Field::On),
    ];
    for (sw, verdict, message, field) in rows {
        let outcome = tap(opening(hex(sw)));
        assert_eq!((outcome.verdict, outcome.message, outcome.field), (verdict, message, field), "{sw}");
        assert!(matches!(outcome.fault.unwrap().kind, FaultKind::Status(_)), "{sw}");
    }
}

#[test]
fn gpo_answers_that_end_the_application() {
    let missing = |tag| (gpo(ARQC, &[(tag, "")]), FaultKind::Missing(Tag::new(tag)));
    let value = |tag, value| (gpo(ARQC, &[(tag, value)]), FaultKind::Value(Tag::new(tag)));
    let rows = [
        missing(0x82),
        missing(0x9F36),
        missing(0x9F10),
        missing(0x9F26),
        value(0x82, "7C"),
        value(0x9F36, "000001"),
        value(0x9F26, "11223344"),
        value(0x9F10, "0701010390"),
        value(0x9F10, "07010103B0000001"),
        value(0x9F27, "40"),
        value(0x9F27, "8080"),
        (ok(hex("7000")), FaultKind::Template),
        (ok(hex("77007700")), FaultKind::Template),
        (ok(vec![]), FaultKind::Template),
        (
            ok(hex("800E7C0008010300100105012001")),
            FaultKind::Tlv(huiwan_tlv::At::new(huiwan_tlv::TlvError::ValueTruncated, 2)),
        ),
        // A contactless PBOC answer has no cryptogram.
        (ok(hex("80067C0008010300")), FaultKind::Missing(Tag::new(0x9F36))),
        (ok(tlv(0x77, &hex("82027C0082027C00"))), FaultKind::Repeated(Tag::new(0x82))),
        (gpo(TC, &[(0x94, "")]), FaultKind::Missing(Tag::new(0x94))),
        (gpo(TC, &[(0x94, "10030400180101")]), FaultKind::Value(Tag::new(0x94))),
        (gpo(TC, &[(0x94, "1001FF00")]), FaultKind::TooManyRecords),
    ];
    for (answer, kind) in rows {
        let outcome = tap(opening(answer.clone()));
        assert_eq!(outcome.verdict, Verdict::EndApplication, "{answer:02X?}");
        let fault = outcome.fault.unwrap();
        if !matches!(kind, FaultKind::Tlv(_)) {
            assert_eq!(fault.kind, kind, "{answer:02X?}");
        }
        assert_eq!(fault.place, Place::Gpo);
    }
    let no_pan = tap(opening(gpo(ARQC, &[(0x57, "")])));
    assert_eq!(
        (no_pan.verdict, no_pan.fault.unwrap().kind),
        (Verdict::EndApplication, FaultKind::Missing(Tag::new(0x57)))
    );
}

#[test]
fn decisions_of_the_card() {
    let verdict = |kind, parts: &[(u32, &str)]| tap(opening(gpo(kind, parts))).verdict;
    assert_eq!(verdict(ARQC, &[]), Verdict::OnlineRequest);
    assert_eq!(verdict(ARQC, &[(0x9F27, "80")]), Verdict::OnlineRequest);
    assert_eq!(verdict(AAC, &[]), Verdict::Declined);
    assert_eq!(verdict(AAC, &[(0x57, "")]), Verdict::Declined);
}

// ---- offline data authentication, restrictions

#[test]
fn offline_approval_of_the_card_image() {
    for version in [0, 1] {
        let ttq = if version == 0 { "36000000" } else { "36000080" };
        let steps = with_records(opening_with(ttq, gpo(TC, &[])), records(version, &[]));
        let outcome = tap_with(steps, Ttq(hex(ttq).try_into().unwrap()), |_, _| {});
        assert_eq!((outcome.verdict, outcome.oda, outcome.cvm), (Verdict::Approved, Oda::Passed, Cvm::None));
        assert_eq!((outcome.message, outcome.field, outcome.fault), (Message::Approved, Field::Off, None));
        assert_eq!(outcome.tvr.0, [0; 5]);
    }
}

#[test]
fn qualifiers_changed_on_the_way_decline() {
    for changed in ["0000", "7000", "B000", ""] {
        let outcome = tap(with_records(opening(gpo(TC, &[(0x9F6C, changed)])), records(1, &[])));
        assert_eq!((outcome.verdict, outcome.oda), (Verdict::Declined, Oda::Passed), "{changed}");
    }
}

#[test]
fn filler_around_a_record_is_skipped() {
    let mut padded = records(0, &[]);
    for record in &mut padded {
        record.splice(record.len() - 2..record.len() - 2, [0; 5]);
    }
    let outcome = tap_with(
        with_records(opening_with("36000000", gpo(TC, &[])), padded),
        TTQ.with_fdda_v01(false),
        |_, _| {},
    );
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::Approved, Oda::Passed));
}

#[test]
fn an_approval_where_online_is_required_ends_before_the_card_books() {
    let limits = Limits { floor: Amount::new(99), ..Limits::NONE };
    let above_floor = |ttq, first, steps: Vec<_>| {
        let combinations = [Combination::quick_pass(DEBIT, ttq).with_limits(limits)];
        let mut configuration = Configuration::default();
        configuration.combinations = &combinations;
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
        let mut card = script([opening_with(first, gpo(TC, &[])), steps].concat());
        let outcome = bench.play(Input::Start(transaction()), &mut card);
        card.finish();
        outcome
    };
    let outcome = above_floor(TTQ, "36800080", vec![]);
    let fault = outcome.fault.unwrap();
    assert_eq!(
        (outcome.verdict, fault.kind, fault.place),
        (Verdict::EndApplication, FaultKind::Value(Tag::new(0x9F10)), Place::Gpo)
    );
    // A terminal that is never online can't mean it.
    let offline = above_floor(Ttq([0x28, 0, 0, 0]), "28800000", vec![(READ[0].to_owned(), vec![])]);
    assert_eq!(offline.verdict, Verdict::TryAgain, "it reads on");
}

#[test]
fn authentication_failures_decline() {
    type Adapt = fn(&mut Configuration<'_>, &mut Transaction);
    let nothing: Adapt = |_, _| {};
    let ctq = (0x9F6C, "0000");
    let good = |more: &[(u32, &str)]| records(1, more);
    let mut wrong_signature = good(&[]);
    let len = wrong_signature[2].len();
    wrong_signature[2][len - 20] ^= 1;
    let rows: [(&str, Vec<u8>, Records, Adapt); 13] = [
        ("no CA key", gpo(TC, &[ctq]), good(&[]), |c, _| {
            c.keys = &huiwan_emv::terminal::configuration::Nothing
        }),
        ("wrong format byte", gpo(TC, &[ctq]), good(&[]), |c, _| c.rules.fdda_format = FddaFormat::Visa),
        ("version 00 where 01 is due", gpo(TC, &[ctq]), records(0, &[]), nothing),
        ("another ATC", gpo(TC, &[ctq, (0x9F36, "0002")]), good(&[]), nothing),
        ("another amount", gpo(TC, &[ctq]), good(&[]), nothing),
        ("no signature", gpo(TC, &[ctq]), good(&[(0x9F4B, "")]), nothing),
        ("signed data differ", gpo(TC, &[ctq]), good(&[(0x9F69, "0100000001300000")]), nothing),
        (
            "certificate for another number",
            gpo(TC, &[ctq, (0x57, "6228000100001118D30122010000")]),
            good(&[(0x5A, "")]),
            nothing,
        ),
        ("certificates expired", gpo(TC, &[ctq]), good(&[(0x5F24, "401231")]), |_, t| {
            t.date = Date::new(2031, 1, 1).unwrap()
        }),
        ("9F4A names more than the AIP", gpo(TC, &[ctq]), good(&[(0x9F4A, "825A")]), nothing),
        ("AIP not covered", gpo(TC, &[ctq]), good(&[(0x9F4A, "82")]), nothing),
        ("a record too many is covered", gpo(TC, &[ctq, (0x94, "1003040018010101")]), good(&[]), nothing),
        ("a bit of the certificate", gpo(TC, &[ctq]), wrong_signature, nothing),
    ];
    for (name, answer, records, adapt) in rows {
        let mut steps = with_records(opening(answer), records);
        let mut date = "260301";
        if name == "certificates expired" {
            date = "310101";
        }
        steps[2].0 = steps[2].0.replace("260301", date);
        let outcome = if name == "another amount" {
            steps[2].0 = steps[2].0.replace("000000000100", "000000000101");
            tap_with(steps, TTQ, |_, t| t.amount = Amount::new(101).unwrap())
        } else {
            tap_with(steps, TTQ, adapt)
        };
        assert_eq!((outcome.verdict, outcome.oda), (Verdict::Declined, Oda::Failed), "{name}");
        assert!(outcome.tvr.dda_failed(), "{name}");
    }
}

#[test]
fn what_the_card_wants_when_authentication_fails() {
    let broken = || with_records(opening(gpo(TC, &[(0x9F36, "0002")])), records(1, &[]));
    assert_eq!(tap(broken()).verdict, Verdict::OnlineRequest, "CTQ 1.6");
    let mut steps = broken();
    steps[2].1 = gpo(TC, &[(0x9F36, "0002"), (0x9F6C, "1000")]);
    assert_eq!(tap(steps).verdict, Verdict::TryAnotherInterface, "CTQ 1.5");
}

#[test]
fn authentication_for_an_online_transaction() {
    let ttq = Ttq([0x37, 0x00, 0x00, 0x80]);
    let steps = with_records(opening_with("37000080", gpo(ARQC, &[])), records(1, &[]));
    let outcome = tap_with(steps, ttq, |_, _| {});
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::OnlineRequest, Oda::Passed));
    let steps = with_records(opening_with("37000080", gpo(ARQC, &[(0x9F6C, "0000")])), records(0, &[]));
    let outcome = tap_with(steps, ttq, |_, _| {});
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::Declined, Oda::Failed));
    let outcome = tap_with(opening_with("37000080", gpo(ARQC, &[(0x94, "")])), ttq, |_, _| {});
    assert_eq!((outcome.verdict, outcome.oda), (Verdict::OnlineRequest, Oda::NotPerformed));
}

struct Refused;

impl ExceptionFile for Refused {
    fn contains(&self, pan: &[u8], sequence_number: Option<u8>) -> bool {
        pan == hex("6228000100001117") && sequence_number == Some(1)
    }
}

#[test]
fn restrictions_rows() {
    let tap_of = |ctq, more: &[(u32, &str)], adapt: fn(&mut Configuration<'_>, &mut Transaction)| {
        // Version 00 doesn't sign the CTQ.
        let opening = opening_with("36000000", gpo(TC, &[(0x9F6C, ctq)]));
        tap_with(with_records(opening, records(0, more)), TTQ.with_fdda_v01(false), adapt)
    };
    let today = tap_of("0000", &[(0x5F24, "260301")], |_, _| {});
    assert_eq!(today.verdict, Verdict::Approved, "the last day of validity");
    let expired = tap_of("0000", &[(0x5F24, "260228")], |_, _| {});
    assert_eq!((expired.verdict, expired.tvr.expired()), (Verdict::Declined, true));
    let expired = tap_of("0800", &[(0x5F24, "260228")], |_, _| {});
    assert_eq!(expired.verdict, Verdict::OnlineRequest, "CTQ 1.4");
    let refused = tap_of("0000", &[], |c, _| c.exceptions = &Refused);
    assert_eq!((refused.verdict, refused.tvr.on_exception_file()), (Verdict::Declined, true));
    for (more, kind) in [
        ((0x5F24, ""), FaultKind::Missing(Tag::new(0x5F24))),
        ((0x5F24, "269999"), FaultKind::Value(Tag::new(0x5F24))),
        ((0x5A, "6228000100001118"), FaultKind::Value(Tag::new(0x5A))),
    ] {
        let outcome = tap_of("0000", &[more], |_, _| {});
        assert_eq!((outcome.verdict, outcome.fault.unwrap().kind), (Verdict::EndApplication, kind));
        assert_eq!(outcome.fault.unwrap().place, Place::Decision);
    }
}

#[test]
fn cash_bits_are_a_rule_of_the_scheme() {
    let tap_of = |rule: bool| {
        let mut steps = opening(gpo(ARQC, &[(0x9F6C, "0400")]));
        steps[2].0 = steps[2].0.replace("26030100", "26030101");
        tap_with(steps, TTQ, |c, t| {
            t.kind = 0x01;
            c.rules.ctq_cash_bits = rule;
        })
    };
    assert_eq!(tap_of(false).verdict, Verdict::OnlineRequest);
    assert_eq!(tap_of(true).verdict, Verdict::TryAnotherInterface);
}

// ---- records

#[test]
fn record_faults() {
    let rows = [
        (hex("6A83"), FaultKind::Status(Sw::RECORD_NOT_FOUND)),
        (ok(hex("7700")), FaultKind::Template),
        (ok(hex("70007000")), FaultKind::Template),
        (ok(vec![]), FaultKind::Template),
        (ok(tlv(0x70, &hex("9F3602FFFF"))), FaultKind::Repeated(Tag::new(0x9F36))),
        (ok(tlv(0x70, &hex("5A005A00"))), FaultKind::Repeated(Tag::new(0x5A))),
    ];
    for (answer, kind) in rows {
        let mut steps = opening(gpo(TC, &[]));
        steps.push((READ[0].into(), answer.clone()));
        let outcome = tap(steps);
        let fault = outcome.fault.unwrap();
        assert_eq!((outcome.verdict, fault.kind), (Verdict::EndApplication, kind), "{answer:02X?}");
        assert_eq!(fault.place, Place::Record { sfi: 2, number: 3 });
    }
}

#[test]
fn more_data_than_the_memory_holds_ends_the_application() {
    let configuration = Configuration::default();
    for (data_len, static_len, afl) in
        [(40, 0, "1003040018010100"), (200, 0, "1003040018010100"), (1024, 10, "1003040118010100")]
    {
        let (mut data, mut static_data) = (vec![0; data_len], vec![0; static_len]);
        let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
        let mut steps = opening_with("26000080", gpo(TC, &[(0x94, afl)]));
        if data_len > 40 {
            steps.push((READ[0].into(), records(1, &[])[0].clone()));
        } else {
            steps.truncate(2);
        }
        let mut card = script(steps);
        let outcome = bench.play(Input::Start(transaction()), &mut card);
        card.finish();
        assert_eq!(
            (outcome.verdict, outcome.fault.unwrap().kind),
            (Verdict::EndApplication, FaultKind::TooMuchData)
        );
    }
}

// ---- torn taps

/// Tears the last record of an approval, then plays `second` with the same terminal.
fn torn_then(elapsed_ms: u32, second: Vec<(String, Vec<u8>)>) -> (Outcome, Outcome) {
    let keys = Keys::published();
    let table = keys.table();
    let mut configuration = Configuration::default();
    configuration.keys = &table;
    let (mut data, mut static_data) = ([0; 1024], [0; 0]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let mut steps = with_records(opening_with("26000080", gpo(TC, &[])), records(1, &[]));
    steps[5].1 = vec![];
    let mut card = script(steps);
    let torn = bench.play(Input::Start(transaction()), &mut card);
    card.finish();
    let mut card = script(second);
    let outcome = bench.play(Input::SameCardAgain { elapsed_ms }, &mut card);
    card.finish();
    (torn, outcome)
}

fn recovery(atc: &str, records: [Vec<u8>; 3]) -> Vec<(String, Vec<u8>)> {
    let steps = vec![
        (SELECT_DEBIT.to_owned(), fci(&DEBIT, PDOL)),
        ("80CA9F3600".to_owned(), ok(tlv(0x9F36, &hex(atc)))),
    ];
    with_records(steps, records)
}

#[test]
fn a_torn_last_record_is_recovered() {
    let (torn, recovered) = torn_then(4000, recovery("0001", records(1, &[])));
    assert_eq!(
        (torn.verdict, torn.message, torn.field),
        (Verdict::Torn, Message::PresentSameCardAgain, Field::On)
    );
    assert_eq!(torn.fault.unwrap().place, Place::Record { sfi: 3, number: 1 });
    assert_eq!((recovered.verdict, recovered.oda), (Verdict::Approved, Oda::Passed));
}

#[test]
fn recoveries_that_fail() {
    let (_, late) = torn_then(30_001, vec![]);
    assert_eq!((late.verdict, late.fault.unwrap().kind), (Verdict::Unknown, FaultKind::TooLate));
    let (_, moved_on) = torn_then(0, recovery("0002", records(1, &[]))[..2].to_vec());
    assert_eq!(
        (moved_on.verdict, moved_on.fault.unwrap().kind),
        (Verdict::Torn, FaultKind::Value(Tag::new(0x9F36)))
    );
    let (_, no_atc) =
        torn_then(0, vec![recovery("0001", records(1, &[]))[0].clone(), ("80CA9F3600".into(), hex("6A88"))]);
    assert_eq!(no_atc.verdict, Verdict::Torn);
    let (_, other_application) = torn_then(0, vec![(SELECT_DEBIT.into(), hex("6A82"))]);
    assert_eq!(other_application.verdict, Verdict::Torn);
    let (_, lost_again) = torn_then(0, vec![(SELECT_DEBIT.into(), vec![])]);
    assert_eq!((lost_again.verdict, lost_again.fault.unwrap().kind), (Verdict::Torn, FaultKind::CardLost));
    // A card that never got the last READ RECORD holds no approval: it has not paid.
    let mut never_booked = recovery("0001", records(1, &[]));
    never_booked.truncate(3);
    never_booked[2].1 = hex("6985");
    let (_, never_booked) = torn_then(0, never_booked);
    assert_eq!(never_booked.verdict, Verdict::TryAgain);
    // Another card at the same counter can't sign for the first.
    let (_, other) = torn_then(0, recovery("0001", records(0, &[])));
    assert_eq!(other.verdict, Verdict::Unknown);
}

#[test]
fn a_torn_earlier_record_or_online_tap_is_simply_repeated() {
    let mut steps = opening(gpo(TC, &[]));
    steps.push((READ[0].into(), vec![]));
    assert_eq!(tap(steps).verdict, Verdict::TryAgain);
    let mut steps = with_records(opening_with("37000080", gpo(ARQC, &[])), records(1, &[]));
    steps[5].1 = vec![];
    assert_eq!(tap_with(steps, Ttq([0x37, 0, 0, 0x80]), |_, _| {}).verdict, Verdict::TryAgain);
}

// ---- issuer update

const UPDATE_TTQ: Ttq = Ttq([0x36, 0x00, 0x80, 0x80]);

fn update(answer: &str, aip: &str, second: Vec<(String, Vec<u8>)>) -> (Outcome, Vec<[u8; 5]>) {
    let combinations = [Combination::quick_pass(DEBIT, UPDATE_TTQ)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    let (mut data, mut static_data) = ([0; 1024], [0; 0]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let mut card = script(opening_with("36008080", gpo(ARQC, &[(0x9F6C, "0040"), (0x82, aip)])));
    let online = bench.play(Input::Start(transaction()), &mut card);
    card.finish();
    assert_eq!((online.verdict, online.issuer_update), (Verdict::OnlineRequest, true));
    let mut card = script(second);
    let answer = hex(answer);
    let outcome = bench.play(Input::IssuerAnswer(&answer), &mut card);
    card.finish();
    (outcome, bench.terminal.kernel().script_results().to_vec())
}

const ARPC: &str = "910A11223344556677883030";
const SCRIPT_1: &str = "72 1C 9F1804AABBCC01 86 0A 04DA9F790500000001AA 86 07 841E000002AABB";
const SCRIPT_2: &str = "72 12 9F1804AABBCC02 86 09 04DA9F7804000001BB";

#[test]
fn the_issuer_s_answer_reaches_the_card() {
    let answer = [ARPC, SCRIPT_1, SCRIPT_2].join(" ").replace(' ', "");
    let select = (SELECT_DEBIT.to_owned(), fci(&DEBIT, PDOL));
    let authenticate = |sw: &str| ("008200000A11223344556677883030".to_owned(), hex(sw));
    let commands = |results: [&'static str; 3]| {
        ["04DA9F790500000001AA", "841E000002AABB", "04DA9F7804000001BB"]
            .into_iter()
            .zip(results)
            .filter(|(_, sw)| !sw.is_empty())
            .map(|(command, sw)| (command.to_owned(), hex(sw)))
    };
    let play = |aip, authenticated: Option<&str>, results: [&'static str; 3]| {
        let mut second = vec![select.clone()];
        second.extend(authenticated.map(authenticate));
        second.extend(commands(results));
        update(&answer, aip, second)
    };
    let result = |result: u8, script: u8| [result, 0xAA, 0xBB, 0xCC, script];

    let (outcome, results) = play("7C00", Some("9000"), ["9000", "9000", "9000"]);
    assert_eq!((outcome.verdict, outcome.fault), (Verdict::IssuerUpdated, None));
    assert_eq!(results, [result(0x20, 1), result(0x20, 2)]);
    assert!(!outcome.tvr.issuer_authentication_failed() && !outcome.tvr.script_failed_after());

    let (outcome, results) = play("7C00", Some("6300"), ["9000", "9000", "9000"]);
    assert!(outcome.tvr.issuer_authentication_failed(), "noted, and scripts go on");
    assert_eq!(results, [result(0x20, 1), result(0x20, 2)]);

    let (outcome, results) = play("7C00", Some("9000"), ["9000", "6988", "6300"]);
    assert_eq!(
        results,
        [result(0x12, 1), result(0x20, 2)],
        "the second command failed; the next script goes on"
    );
    assert!(outcome.tvr.script_failed_after());

    let (_, results) = play("7C00", Some("9000"), ["6988", "", "9000"]);
    assert_eq!(results, [result(0x11, 1), result(0x20, 2)], "a failure ends its script");

    // A card that doesn't authenticate the issuer by command isn't sent the cryptogram.
    let (outcome, _) = play("7800", None, ["9000", "9000", "9000"]);
    assert!(!outcome.tvr.issuer_authentication_failed());
}

#[test]
fn both_sides_announce_the_second_tap() {
    let announced = |ttq: Ttq, ctq: &str, rule: bool| {
        let steps = opening_with(
            if ttq == UPDATE_TTQ { "36008080" } else { "36000080" },
            gpo(ARQC, &[(0x9F6C, ctq)]),
        );
        tap_with(steps, ttq, |c, _| c.rules.ctq_issuer_update = rule).issuer_update
    };
    assert!(announced(UPDATE_TTQ, "0040", true));
    assert!(!announced(UPDATE_TTQ, "0000", true));
    assert!(announced(UPDATE_TTQ, "0000", false));
    assert!(!announced(TTQ, "0040", true));
    assert!(!announced(TTQ, "0040", false));
}

#[test]
fn issuer_updates_that_fail() {
    let (outcome, results) = update(ARPC, "7C00", vec![(SELECT_DEBIT.to_owned(), hex("6A82"))]);
    assert_eq!(outcome.verdict, Verdict::IssuerUpdated);
    assert_eq!(outcome.fault.unwrap().kind, FaultKind::Status(Sw::FILE_NOT_FOUND));
    assert_eq!((results.len(), outcome.message), (0, Message::CardNotAccepted));
    let (outcome, _) = update(ARPC, "7C00", vec![(SELECT_DEBIT.to_owned(), vec![])]);
    assert_eq!(outcome.fault.unwrap().kind, FaultKind::CardLost);
    let (outcome, _) = update("7203860100", "7C00", vec![(SELECT_DEBIT.to_owned(), fci(&DEBIT, PDOL))]);
    assert!(outcome.tvr.script_failed_after(), "a script command of one byte is none");
    let (outcome, _) = update("72038605", "7C00", vec![]);
    assert!(matches!(outcome.fault.unwrap().kind, FaultKind::Value(_)));
    let nine = "72028600".repeat(9);
    let (outcome, _) = update(&nine, "7C00", vec![]);
    assert!(
        matches!(outcome.fault.unwrap().kind, FaultKind::Value(_)),
        "more scripts than are kept track of"
    );
}

// ---- misuse, termination

#[test]
fn a_repeated_unpredictable_number_is_refused() {
    let configuration = Configuration::default();
    let (mut data, mut static_data) = ([0; 512], [0; 0]);
    let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
    let mut card = script(opening_with("26000080", gpo(AAC, &[])));
    bench.play(Input::Start(transaction()), &mut card);
    bench.number -= 1;
    let mut steps = opening_with("26000080", gpo(AAC, &[]));
    let again = gpo_command("26000080").replace("12345678", "12345679");
    steps[2].0 = again;
    let mut card = script(steps);
    let mut input = Input::Start(transaction());
    let mut answer: Vec<u8>;
    loop {
        input = match bench.terminal.step(input, &mut bench.out).unwrap() {
            Step::Send(command) => {
                answer = card.exchange(command);
                Input::Response(&answer)
            }
            Step::UnpredictableNumber => {
                let refused = bench.terminal.step(Input::UnpredictableNumber(UN), &mut bench.out);
                assert_eq!(refused, Err(Misuse::UnpredictableNumberRepeated));
                Input::UnpredictableNumber([0x12, 0x34, 0x56, 0x79])
            }
            Step::Done(_) => break,
        };
    }
    card.finish();
}

/// An answer from a hostile card: random, or one of the answers a card gives, cut or changed somewhere.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let [a, b, c] = records(1, &[]);
    let good = prop::sample::select(vec![
        ppse_of(&[(&DEBIT, 1), (&CREDIT, 2)]),
        fci(&DEBIT, PDOL),
        fci(&CREDIT, PDOL),
        gpo(TC, &[]),
        gpo(TC, &[(0x94, "10011E0018010100")]),
        gpo(ARQC, &[(0x9F6C, "0040")]),
        gpo(AAC, &[]),
        a,
        b,
        c,
        hex("9000"),
        hex("6985"),
        ok(tlv(0x9F36, &[0, 1])),
    ]);
    let changed =
        (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut answer, at, byte)| {
            let at = at.index(answer.len());
            answer[at] = byte;
            answer
        });
    let random = prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![6 => good, 2 => changed, 1 => random]
}

/// A step of a careless caller: whether the input fits or not.
fn any_input() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0..16_u8, any_answer())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Any card brings a tap to its end: PPSE, then for each candidate SELECT, a number, GPO and the records.
    #[test]
    fn kernel_terminates(answers in prop::collection::vec(any_answer(), 1..8), loses in any::<prop::sample::Index>()) {
        let configuration = Configuration::default();
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
        let most = 1 + 16 * (3 + configuration.rules.records_max);
        let mut input = Input::Start(transaction());
        let mut number = 0_u32;
        let lost_at = loses.index(40);
        for count in 0..=most {
            match bench.terminal.step(input, &mut bench.out).unwrap() {
                Step::Send(command) => {
                    prop_assert!(huiwan_apdu::Command::parse(command).is_ok());
                    input = if count == lost_at { Input::CardLost } else { Input::Response(&answers[count % answers.len()]) };
                }
                Step::UnpredictableNumber => {
                    number += 1;
                    input = Input::UnpredictableNumber(number.to_be_bytes());
                }
                Step::Done(outcome) => {
                    prop_assert!(outcome.verdict != Verdict::SelectNext);
                    prop_assert!(outcome.verdict != Verdict::Approved || outcome.oda == Oda::Passed);
                    let mut out = [0; 512];
                    bench.terminal.online_data(&mut out).unwrap();
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "more than {most} steps");
    }

    /// A misuse is refused and changes nothing: a terminal that was misused between all steps says the same as one that wasn't.
    #[test]
    fn misuse_never_changes_state(inputs in prop::collection::vec(any_input(), 1..24)) {
        let configuration = Configuration::default();
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let mut plain = Bench::new(&configuration, &mut data, &mut static_data);
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let mut misused = Bench::new(&configuration, &mut data, &mut static_data);
        for (number, (kind, answer)) in (0_u32..).zip(&inputs) {
            let input = match kind {
                0 => Input::Start(transaction()),
                1 => Input::CardLost,
                2 => Input::SeveralCards,
                3 => Input::SameCardAgain { elapsed_ms: 1 },
                4 => Input::IssuerAnswer(answer),
                5..=8 => Input::UnpredictableNumber(number.to_be_bytes()),
                _ => Input::Response(answer),
            };
            let mut short = [0; COMMAND_MAX - 1];
            let refused = misused.terminal.step(input, &mut short);
            prop_assert_eq!(refused, Err(Misuse::OutTooSmall { needed: COMMAND_MAX }));
            let expected = plain.terminal.step(input, &mut plain.out);
            if let Err(misuse) = expected {
                // Twice, so that a change of state by the first would show.
                prop_assert_eq!(misused.terminal.step(input, &mut misused.out), Err(misuse));
            }
            prop_assert_eq!(misused.terminal.step(input, &mut misused.out), expected);
        }
    }

    /// Too small a buffer for the host's data says what suffices.
    #[test]
    fn online_data_says_what_it_needs(len in 0..200_usize) {
        let configuration = Configuration::default();
        let (mut data, mut static_data) = ([0; 512], [0; 0]);
        let mut bench = Bench::new(&configuration, &mut data, &mut static_data);
        let mut card = script(opening_with("26000080", gpo(ARQC, &[])));
        bench.play(Input::Start(transaction()), &mut card);
        card.finish();
        let mut out = vec![0; len];
        match bench.terminal.online_data(&mut out) {
            Ok(data) => prop_assert!(data.len() <= len),
            Err(full) => {
                prop_assert!(full.needed > len);
                let mut out = vec![0; full.needed];
                prop_assert_eq!(bench.terminal.online_data(&mut out).unwrap().len(), full.needed);
            }
        }
    }
}
