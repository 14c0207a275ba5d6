//! Recorded taps of UnionPay cards, played against the terminal: the same bytes where they are the terminal's to choose.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)]

use huiwan_apdu::Aid;
use huiwan_emv::certificates::{CaKey, CaKeys, StaticData, recover_icc, recover_issuer, verify_dda};
use huiwan_emv::data::amount::{Amount, Currency};
use huiwan_emv::data::bits::TerminalCapabilities;
use huiwan_emv::data::cvm::CvmResults;
use huiwan_emv::data::date::Date;
use huiwan_emv::pan::Pan;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::qpboc::CvmResultRules;
use huiwan_emv::terminal::{
    Combination, Configuration, Cvm, EntryPoint, Field, Input, Limits, Memory, Message, Oda, Outcome, Step,
    Transaction, Verdict,
};
use huiwan_testkit::{ScriptedPeer, vectors};
use huiwan_tlv::{Rules as TlvRules, Tag, dol, find, find_path};

const TRANSCRIPTS: &str = include_str!("vectors/transcripts.txt");
const CA_KEYS: &str = include_str!("vectors/ca_keys.txt");

const DEBIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);

/// Plays a tap to its end.
fn play(
    terminal: &mut EntryPoint<'_>,
    transaction: Transaction,
    number: [u8; 4],
    card: &mut ScriptedPeer,
) -> Outcome {
    let mut out = [0; 261];
    let mut answer: Vec<u8>;
    let mut input = Input::Start(transaction);
    for _ in 0..40 {
        match terminal.step(input, &mut out).unwrap() {
            Step::Send(command) => {
                answer = card.exchange(command);
                input = Input::Response(&answer);
            }
            Step::UnpredictableNumber => input = Input::UnpredictableNumber(number),
            Step::Done(outcome) => return outcome,
        }
    }
    panic!("the tap doesn't end");
}

/// The POS of the recording: 0.01 CNY on 1 June 2017, a status check amount, TTQ 36 00 00 00.
#[test]
fn quickpass_tap_comes_to_the_same_online_request() {
    let file = vectors::load(TRANSCRIPTS);
    let block = file.block("upi-qpboc-online-kata");
    let mut card = ScriptedPeer::from_block(block);

    let amount = Amount::new(1).unwrap();
    let limits = Limits { status_check: Some(amount), ..Limits::NONE };
    let combinations = [Combination::quick_pass(DEBIT, Ttq([0x36, 0x00, 0x00, 0x00])).with_limits(limits)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    configuration.capabilities = TerminalCapabilities([0xE0, 0xE9, 0xC8]);
    configuration.serial_number = [0x46; 8];
    configuration.application_version = [0, 0];
    // The recorded kernel reports a cardholder nobody verified as 00 00 00.
    configuration.rules.cvm_results = CvmResultRules::EMV.with_none(CvmResults([0; 3]));
    let (mut data, mut static_data) = ([0; 512], [0; 0]);
    let memory = Memory { data: &mut data, static_data: &mut static_data };
    let mut terminal = EntryPoint::new(&configuration, memory);

    let mut transaction = Transaction::default();
    transaction.amount = amount;
    transaction.date = Date::new(2017, 6, 1).unwrap();
    transaction.counter = 5;
    let outcome = play(&mut terminal, transaction, [0x2B, 0x29, 0xEB, 0xE4], &mut card);
    card.finish();

    assert_eq!(outcome.verdict, Verdict::OnlineRequest);
    assert_eq!((outcome.cvm, outcome.oda, outcome.field), (Cvm::None, Oda::NotPerformed, Field::Off));
    assert_eq!((outcome.message, outcome.issuer_update, outcome.fault), (Message::Authorising, false, None));
    let mut buffer = [0; 256];
    assert_eq!(terminal.online_data(&mut buffer).unwrap(), block.bytes("extra.field55"));
    assert_eq!(terminal.kernel().card_object(Tag::new(0x9F5D)).unwrap(), [0, 0, 0, 0x03, 0x87, 0x87]);
}

/// A PDOL that also asks for DF60 and DF69, as a POS in the field filled it: 35 bytes, 1.00 EUR, TTQ F620C000.
#[test]
fn extended_pdol_is_filled_as_the_pos_did() {
    let file = vectors::load(TRANSCRIPTS);
    let block = file.block("upi-quickpass-gpo-variant");
    let mut card = ScriptedPeer::from_block(block);
    let combinations = [Combination::quick_pass(DEBIT, Ttq([0xF6, 0x20, 0xC0, 0x00]))];
    // A terminal without SM algorithms says so in DF69; the extended application it leaves to the zeros.
    let more: [(Tag, &[u8], dol::Format); 1] = [(Tag::new(0xDF69), &[0x00], dol::Format::Other)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    configuration.country = [0x02, 0x50];
    configuration.more = &more;
    let (mut data, mut static_data) = ([0; 512], [0; 0]);
    let memory = Memory { data: &mut data, static_data: &mut static_data };
    let mut terminal = EntryPoint::new(&configuration, memory);

    let mut transaction = Transaction::default();
    let gpo = block.bytes("steps.2.command");
    let pdol_data = &gpo[7..gpo.len() - 1];
    assert_eq!(pdol_data.len(), 35);
    transaction.amount = Amount::from_bcd(&pdol_data[4..10]).unwrap();
    transaction.date = Date::from_bcd(pdol_data[25..28].try_into().unwrap()).unwrap();
    transaction.currency = Currency::from_bcd(pdol_data[23..25].try_into().unwrap()).unwrap();
    assert_eq!((transaction.currency, transaction.date), (Currency::EUR, Date::new(2025, 3, 24).unwrap()));
    let number = pdol_data[29..33].try_into().unwrap();
    let outcome = play(&mut terminal, transaction, number, &mut card);
    card.finish();
    // The recording has no answer to this command; an empty one is no card's.
    assert_eq!(outcome.verdict, Verdict::EndApplication);
}

/// A published CA key.
struct PublishedKey {
    rid: [u8; 5],
    index: u8,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

struct PublishedKeys(Vec<PublishedKey>);

impl CaKeys for PublishedKeys {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        let key = self.0.iter().find(|key| key.rid == *rid && key.index == index)?;
        Some(CaKey { modulus: &key.modulus, exponent: &key.exponent })
    }
}

fn published_keys() -> PublishedKeys {
    let file = vectors::load(CA_KEYS);
    let key = |block: &vectors::Block<'_>| PublishedKey {
        rid: block.array("rid"),
        index: block.array::<1>("index")[0],
        modulus: block.bytes("modulus"),
        exponent: block.bytes("exponent"),
    };
    PublishedKeys(file.blocks().map(key).collect())
}

/// The UnionPay contact card: its certificates up to CA key A000000333/09, its static data, and its DDA signature.
#[test]
fn contact_card_is_genuine() {
    let file = vectors::load(TRANSCRIPTS);
    let block = file.block("bertlv-upi-contact");
    let exchange = |command: &str| {
        let n = (0..).find(|n| block.text(&format!("steps.{n}.command")).starts_with(command)).unwrap();
        let mut answer = block.bytes(&format!("steps.{n}.response"));
        assert_eq!(answer.split_off(answer.len() - 2), [0x90, 0x00]);
        answer
    };
    let select = exchange("00A4040008");
    let name = find_path(&select, TlvRules::EMV, &[Tag::new(0x6F), Tag::new(0x84)]).unwrap().unwrap();
    let gpo = exchange("80A8");
    let (aip, afl) = find(&gpo, TlvRules::EMV, Tag::new(0x80)).unwrap().unwrap().value().split_at(2);
    // The first steps read the PSE with the same command, so records of the application are taken after GPO.
    let first = (0..).find(|n| block.text(&format!("steps.{n}.command")).starts_with("80A8")).unwrap() + 1;
    let mut records = Vec::new();
    let mut step = first;
    let mut static_data = StaticData::<512>::new();
    for entry in afl.chunks(4) {
        for (index, number) in (entry[1]..=entry[2]).enumerate() {
            let command = block.bytes(&format!("steps.{step}.command"));
            assert_eq!(command, [0x00, 0xB2, number, entry[0] | 0x04, 0x00]);
            let mut record = block.bytes(&format!("steps.{step}.response"));
            record.truncate(record.len() - 2);
            if index < usize::from(entry[3]) {
                static_data.push_record(entry[0] >> 3, &record);
            }
            records.push(record);
            step += 1;
        }
    }
    let object = |tag: u32| {
        let path = [Tag::new(0x70), Tag::new(tag)];
        records.iter().find_map(|record| find_path(record, TlvRules::EMV, &path).unwrap()).unwrap().value()
    };
    assert_eq!(object(0x9F4A), [0x82]);
    static_data.push(aip);
    let keys = published_keys();
    let pan = Pan::from_bytes(object(0x5A)).unwrap();
    let ca = keys.find(name.value()[..5].try_into().unwrap(), object(0x8F)[0]).unwrap();
    let issuer = recover_issuer(&ca, object(0x90), object(0x92), object(0x9F32), &pan).unwrap();
    let static_data = static_data.get().unwrap();
    let icc =
        recover_icc(&issuer, object(0x9F46), object(0x9F48), object(0x9F47), static_data, &pan).unwrap();
    assert!(icc.info().is_valid_on([0x15, 0x03, 0x16]) && !icc.info().is_valid_on([0x31, 0x01, 0x01]));

    // INTERNAL AUTHENTICATE of the terminal's 9F37, answered in a template 80.
    assert_eq!(object(0x9F49), [0x9F, 0x37, 0x04]);
    let answer = exchange("0088");
    let signature = find(&answer, TlvRules::EMV, Tag::new(0x80)).unwrap().unwrap().value();
    let signed = verify_dda(&icc, signature, &[0x78, 0x63, 0xAF, 0xC6]).unwrap();
    assert_eq!(signed.number()[..2], [0x00, 0x06], "this card's dynamic number begins with its ATC");
    verify_dda(&icc, signature, &[0x78, 0x63, 0xAF, 0xC7]).unwrap_err();
    recover_icc(&issuer, object(0x9F46), object(0x9F48), object(0x9F47), &static_data[1..], &pan)
        .unwrap_err();
}
