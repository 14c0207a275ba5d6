//! A tap from SELECT to the last record, checked as a terminal would, and every command out of place.
#![allow(clippy::cast_possible_truncation)]

use huiwan_card::{Element, Entry, Environment, Interface, Module, StaticDirectory};
use huiwan_emv::card::{Ppse, ppse};
use huiwan_emv::certificates::{
    CaKey, CaKeys, FddaFormat, FddaInput, StaticData, recover_icc, recover_issuer, verify_fdda,
};
use huiwan_emv::host::certificates::fixtures;
use huiwan_emv::qualifiers::Ctq;
use huiwan_testkit::rng::Seeded;

use super::band::*;

fn ppse_answer(entries: Vec<Entry>) -> Vec<u8> {
    let modules: [&dyn Module; 2] = [&Ppse, &Ppse];
    let mut rng = Seeded::new(1);
    let mut env = Environment { random: &mut rng, now: None };
    let mut element: Element<'_, _, _, 4, 16, 2048> =
        Element::new(&modules, StaticDirectory(&entries), Cells::default());
    element.power_on(Interface::Contactless, &mut env);
    element.exchange(&[&[0, 0xA4, 4, 0, 14][..], b"2PAY.SYS.DDF01", &[0]].concat(), &mut env).to_vec()
}

#[test]
fn ppse_lists_active_applications_by_priority() {
    let this = entry(1, 0, ppse::NAME.as_bytes(), None);
    assert_eq!(
        ppse_answer(vec![this.clone()]),
        huiwan_testkit::hex("6F15840E325041592E5359532E4444463031A503BF0C009000"),
        "empty wallet"
    );
    let hidden = Entry { contactless: false, ..entry(5, 1, &[0xA0, 0, 0, 0, 5], Some(1)) };
    let locked = Entry { selectable: false, ..entry(6, 1, &[0xA0, 0, 0, 0, 6], Some(1)) };
    let plain = entry(7, 1, &[0xA0, 0, 0, 0, 7], None);
    let mut unnamed = entry(4, 1, &[0xA0, 0, 0, 0, 4], Some(2));
    unnamed.label.clear();
    let answer = ppse_answer(vec![
        this,
        entry(3, 1, &[0xA0, 0, 0, 0, 3], Some(2)),
        hidden,
        locked,
        plain,
        unnamed,
        entry(2, 1, &AID, Some(1)),
    ]);
    let found: Vec<&[u8]> = huiwan_tlv::walk(&answer[..answer.len() - 2], huiwan_tlv::Rules::EMV)
        .map(|object| object.unwrap().1)
        .filter(|object| object.tag() == huiwan_tlv::Tag::new(0x4F))
        .map(|object| object.value())
        .collect();
    assert_eq!(found, [&AID[..], &[0xA0, 0, 0, 0, 3], &[0xA0, 0, 0, 0, 4]]);
    assert_eq!(answer.len() - 2, usize::from(answer[1]) + 2);
}

#[test]
fn a_long_wallet_is_listed_from_the_top() {
    let mut wallet =
        vec![entry(1, 0, ppse::NAME.as_bytes(), None), entry(40, 1, &[0xA0, 0, 0, 0, 40], Some(0))];
    wallet.extend((2..=24).rev().map(|n| entry(n, 1, &[0xA0, 0, 0, 0, n], Some(n))));
    let answer = ppse_answer(wallet);
    let (data, sw) = answer.split_last_chunk::<2>().unwrap();
    assert_eq!(*sw, [0x90, 0x00]);
    assert!(data.len() <= 256 && data.len() > 256 - 32, "{} bytes", data.len());
    let values = |tag: u32| {
        huiwan_tlv::walk(data, huiwan_tlv::Rules::EMV)
            .map(|object| object.unwrap().1)
            .filter(|object| object.tag() == huiwan_tlv::Tag::new(tag))
            .map(|object| object.value().to_vec())
            .collect::<Vec<_>>()
    };
    let names = values(0x4F);
    assert!(names.len() > 5);
    for (n, (name, priority)) in (2_u8..).zip(names.iter().zip(values(0x87))) {
        assert_eq!((&name[..], &priority[..]), (&[0xA0, 0, 0, 0, n][..], &[n.min(15)][..]));
    }
    // One without a priority stands last.
    let answer = ppse_answer(vec![
        entry(1, 0, ppse::NAME.as_bytes(), None),
        entry(2, 1, &[0xA0, 0, 0, 0, 2], Some(0)),
        entry(3, 1, &[0xA0, 0, 0, 0, 3], Some(15)),
    ]);
    let at = |n| answer.windows(5).position(|five| five == [0xA0, 0, 0, 0, n]).unwrap();
    assert!(at(3) < at(2));
}

#[test]
fn select_answers_the_personalised_template() {
    let mut band = Band::blank();
    assert_eq!(band.send(&[0x80, 0xE6, 0, 0]).1, 0x9000);
    assert_eq!(band.select(), 0x6985, "not personalised");
    let mut band = Band::issued();
    let (fci, sw) = band.send(&[&[0, 0xA4, 4, 0, 8][..], &AID, &[0]].concat());
    assert_eq!(sw, 0x9000);
    assert_eq!(find_deep(&fci, 0x84).unwrap(), AID);
    assert_eq!(find_deep(&fci, 0x9F38).unwrap(), huiwan_emv::host::personalisation::PDOL);
    assert_eq!(find_deep(&fci, 0x9F4D).unwrap(), [0x0B, 10]);
}

/// Everything a terminal checks offline; returns the card transaction qualifiers that were signed.
fn authenticate(answer: &Answer, records: &[Vec<u8>], reader: &Reader, v01: bool) -> Ctq {
    let find = |tag| records.iter().find_map(|record| find_deep(record, tag)).unwrap_or_default();
    let table = [(
        fixtures::RID,
        fixtures::CA_INDEX,
        CaKey { modulus: &fixtures::CA_MODULUS, exponent: &fixtures::EXPONENT },
    )];
    let ca = table.find(&fixtures::RID, find(0x8F)[0]).unwrap();
    let issuer = recover_issuer(&ca, find(0x90), find(0x92), find(0x9F32), &pan()).unwrap();
    let mut data = StaticData::<256>::new();
    data.push_record(3, &records[3]);
    let icc =
        recover_icc(&issuer, find(0x9F46), find(0x9F48), find(0x9F47), data.get().unwrap(), &pan()).unwrap();
    let card_data = find(0x9F69);
    let values = reader.values();
    let input = FddaInput {
        unpredictable_number: values[29..33].try_into().unwrap(),
        amount: reader.amount.to_bcd(),
        currency: reader.currency,
        card_authentication: v01.then_some(card_data),
    };
    let signature = answer.get(0x9F4B).unwrap_or_else(|| find(0x9F4B));
    let signed = verify_fdda(&icc, signature, &input, FddaFormat::Pboc).unwrap();
    assert_eq!(signed.number(), answer.get(0x9F36).unwrap());
    assert_eq!(card_data[0], 1);
    Ctq([card_data[5], card_data[6]])
}

#[test]
fn an_offline_payment_authenticates_and_debits_with_the_last_record() {
    let mut band = Band::issued();
    let reader = Reader::of(yuan(12));
    let answer = band.tap(&reader).unwrap();
    assert_eq!(answer.kind(), "TC");
    assert_eq!(band.balance(), 50_000, "not yet");
    let tags: Vec<u32> = huiwan_tlv::parse(&answer.0, huiwan_tlv::Rules::EMV)
        .next()
        .unwrap()
        .unwrap()
        .children(huiwan_tlv::Rules::EMV)
        .map(|object| object.unwrap().tag().get())
        .collect();
    assert_eq!(tags, [0x82, 0x94, 0x9F36, 0x9F26, 0x9F10, 0x57, 0x5F34, 0x9F4B, 0x9F6C, 0x9F5D]);
    let mut records = Vec::new();
    for (sfi, number) in [(2, 1), (2, 2), (2, 3), (3, 1)] {
        records.push(band.read(sfi, number).unwrap());
        assert_eq!(band.balance(), 50_000, "not before the last record");
    }
    records.push(band.read(3, 2).unwrap());
    assert_eq!(band.balance(), 48_800);
    let ctq = authenticate(&answer, &records, &reader, true);
    assert_eq!(ctq.0, answer.ctq());

    for _ in 0..3 {
        assert_eq!(band.read(3, 2).unwrap(), records[4], "the same record again, and no second debit");
    }
    assert_eq!(band.balance(), 48_800);
    band.power_on();
    assert_eq!(band.select(), 0x9000);
    let again: Vec<_> = band.read_all(&answer).unwrap();
    assert_eq!(again, records, "a terminal that lost the answer reads it again after a new selection");
    assert_eq!(band.balance(), 48_800);
    let next = band.tap(&reader).unwrap();
    assert_eq!(next.get(0x9F36).unwrap(), [0, 2]);
    assert_ne!(next.get(0x9F26), answer.get(0x9F26));
}

#[test]
fn fdda_version_00_for_older_terminals_and_older_cards() {
    let reader = Reader { ttq: [0x26, 0, 0, 0], ..Reader::of(yuan(1)) };
    let mut band = Band::issued();
    let answer = band.tap(&reader).unwrap();
    let records = band.read_all(&answer).unwrap();
    authenticate(&answer, &records, &reader, false);

    let reader = Reader::of(yuan(1));
    let mut band = Band::with(&[(0x9F08, &[0, 0x20])]);
    let answer = band.tap(&reader).unwrap();
    let records = band.read_all(&answer).unwrap();
    authenticate(&answer, &records, &reader, false);
}

#[test]
fn the_log_remembers_payments_newest_first() {
    let mut band = Band::issued();
    assert_eq!(band.select(), 0x9000);
    assert_eq!(band.read(0x0B, 1), Err(0x6A83));
    for payment in 1..=12 {
        let answer = band.tap(&Reader::of(yuan(payment))).unwrap();
        band.read_all(&answer).unwrap();
    }
    // An online answer is not logged.
    let reader = Reader { ttq: [0x26, 0x80, 0, 0x80], ..Reader::of(yuan(99)) };
    assert_eq!(band.tap(&reader).unwrap().kind(), "ARQC");
    for back in 1..=10_u8 {
        let record = band.read(0x0B, back).unwrap();
        let payment = yuan(u64::from(13 - back));
        let expected = [
            &[0x26, 0x11, 0x22, 0x21, 0x04, 0x05][..],
            &payment.to_bcd(),
            &[0; 6],
            &[1, 0x56, 1, 0x56, 0, 0, 13 - back],
        ]
        .concat();
        assert_eq!(record, expected);
    }
    assert_eq!(band.read(0x0B, 11), Err(0x6A83));
    assert_eq!(band.read(0x0B, 0), Err(0x6A83));
}

#[test]
fn get_data_tells_counters_and_limits_but_no_secrets() {
    let mut band = Band::issued();
    band.select();
    let (data, sw) = band.send(&[0x80, 0xCA, 0x9F, 0x79, 0]);
    assert_eq!((data, sw), (huiwan_testkit::hex("9F7906000000050000"), 0x9000));
    let (data, sw) = band.send(&[0x80, 0xCA, 0x9F, 0x5D, 0]);
    assert_eq!((data, sw), (huiwan_testkit::hex("9F5D06000000050000"), 0x9000));
    assert_eq!(band.send(&[0x80, 0xCA, 0x9F, 0x36, 0]).0, [0x9F, 0x36, 2, 0, 0]);
    for hidden in [0x8000_u16, 0x8205, 0xF003, 0x9F51, 0x9F52, 0x9102, 0x9F50, 0x0201] {
        let [p1, p2] = hidden.to_be_bytes();
        assert_eq!(band.send(&[0x80, 0xCA, p1, p2, 0]), (vec![], 0x6A88), "{hidden:04X}");
    }
}

#[test]
fn commands_out_of_place() {
    let mut band = Band::issued();
    band.select();
    let options = Reader::of(yuan(1)).options();
    let changed = |at: usize, value: u8| {
        let mut options = options.clone();
        options[at] = value;
        options
    };
    assert_eq!(band.send(&changed(2, 1)).1, 0x6A86);
    assert_eq!(band.send(&changed(5, 0x84)).1, 0x6A80);
    assert_eq!(band.send(&changed(6, 0x20)).1, 0x6A80);
    assert_eq!(band.send(&[0x80, 0xA8, 0, 0, 2, 0x83, 0, 0]).1, 0x6700, "the list asked for 33 bytes");
    assert_eq!(band.send(&changed(12, 0xAA)).1, 0x6A80, "amount is not decimal");
    assert_eq!(band.send(&changed(7, 0x06)).1, 0x6985, "terminal cannot qPBOC");
    assert_eq!(band.send(&changed(0, 0x00)).1, 0x6E00);
    assert_eq!(band.send(&[0x80, 0x10, 0, 0]).1, 0x6D00);
    assert_eq!(band.read(2, 1), Err(0x6985), "no approval");
    assert_eq!(band.atc(), 0, "nothing of that counted");
    assert_eq!(band.send(&options).1, 0x9000);
    assert_eq!(band.send(&options).1, 0x6985, "once in a selection");
    assert_eq!(band.atc(), 1);
    band.select();
    let long = [&options[..4], &[36, 0x83, 0x81], &options[6..]].concat();
    assert_eq!(band.send(&long).1, 0x9000, "a length may be longer than needed");
    assert_eq!(band.read(4, 1), Err(0x6A83));
    assert_eq!(band.send(&[0, 0xB2, 1, 0x10, 0]).1, 0x6A86);
    assert_eq!(band.send(&[0, 0xB2, 1, 0xFC, 0]).1, 0x6A86);
    // An online or declined tap gives no records, not even those of an approval before.
    let online = Reader { ttq: [0x26, 0x80, 0, 0x80], ..Reader::of(yuan(1)) };
    assert_eq!(band.tap(&online).unwrap().kind(), "ARQC");
    assert_eq!(band.read(2, 1), Err(0x6985));
}

#[test]
fn the_counter_ends_at_ffff() {
    let mut band = Band::with(&[(0x9F36, &[0xFF, 0xFE])]);
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().get(0x9F36).unwrap(), [0xFF, 0xFF]);
    for _ in 0..2 {
        assert_eq!(band.tap(&Reader::of(yuan(1))).err(), Some(0x6985));
        assert_eq!(band.atc(), 0xFFFF);
    }
}

#[test]
fn a_long_key_signs_in_a_record() {
    let issuer = fixtures::issuer_key().unwrap();
    // The issuer's fixture serves as a card key of 1152 bits; then nothing of the card's modulus is cut into a record too long.
    let mut band = Band::blank();
    let script = script(&huiwan_emv::host::CardProfile::unionpay_debit(), &issuer, yuan(500));
    band.load(&script);
    let reader = Reader::of(yuan(5));
    let answer = band.tap(&reader).unwrap();
    assert_eq!(answer.kind(), "TC");
    assert!(answer.get(0x9F4B).is_none());
    let records = band.read_all(&answer).unwrap();
    authenticate(&answer, &records, &reader, true);
    assert_eq!(band.balance(), 49_500);
    band.power_on();
    band.select();
    assert_eq!(band.read(3, 2).unwrap(), records[4]);
}
