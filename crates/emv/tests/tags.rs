//! The tag table against the collection it is written from, and the bit fields against its tags.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::arithmetic_side_effects)]

use huiwan_emv::data::amount::{Amount, Currency};
use huiwan_emv::data::bits::{Bit, Cvr, Tvr};
use huiwan_emv::data::cvm::{CvmList, CvmListError};
use huiwan_emv::data::date::{Date, Time};
use huiwan_emv::data::iad::Iad;
use huiwan_emv::data::tags::{self, Format, Length, Scheme, Source};
use huiwan_emv::data::{bits, describe_bits};
use huiwan_testkit::hex;
use huiwan_tlv::Tag;
use proptest::prelude::*;

/// The fields of one line of CSV, quotes taken off.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(core::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

fn length(text: &str) -> Length {
    let text = text.split('(').next().unwrap().trim();
    let pair =
        |separator: &str| text.split_once(separator).map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()));
    match (pair("-"), pair("/").or_else(|| pair(" or "))) {
        (Some((least, most)), _) => Length::Within(least, most),
        (_, Some((a, b))) => Length::Either(a, b),
        _ if text == "var" => Length::Any,
        _ => Length::Exactly(text.parse().unwrap()),
    }
}

#[test]
fn tags_and_csv_agree() {
    let mut lines: Vec<Vec<String>> = include_str!("../data/tags.csv").lines().skip(1).map(fields).collect();
    lines.sort_by_key(|f| u32::from_str_radix(&f[0], 16).unwrap());
    assert_eq!(lines.len(), 298);
    assert_eq!(lines.len(), tags::all().len());
    for (line, row) in lines.iter().zip(tags::all()) {
        let [tag, name, source, format, len, template, scheme, provenance, _note] = line.as_slice() else {
            panic!("{line:?}");
        };
        assert_eq!(format!("{}", row.tag), *tag);
        assert_eq!(row.name, name);
        let (source, sources) = (
            source.to_lowercase(),
            [
                (Source::Icc, "icc"),
                (Source::Terminal, "terminal"),
                (Source::Acquirer, "acquirer"),
                (Source::Issuer, "issuer"),
                (Source::TerminalOrIcc, "terminal/icc"),
                (Source::IssuerOrTerminal, "issuer/terminal"),
                (Source::Kernel, "kernel"),
            ],
        );
        assert!(sources.contains(&(row.source, &source)), "{tag}: {source}");
        assert_eq!(format!("{:?}", row.format).to_lowercase(), *format, "{tag}");
        assert_eq!(row.length, length(len), "{tag}");
        let templates: Vec<u32> =
            template.split_whitespace().map(|t| u32::from_str_radix(t, 16).unwrap()).collect();
        assert_eq!(row.templates, templates, "{tag}");
        let schemes = [
            (Scheme::Emv, "EMV"),
            (Scheme::EmvContactless, "EMV/kernel"),
            (Scheme::Pboc, "PBOC/UnionPay"),
            (Scheme::Mastercard, "Mastercard C-2"),
            (Scheme::Visa, "Visa C-3"),
            (Scheme::UnionPayTerminal, "UnionPay terminal parameter (POS 0800 download / field 62)"),
            (Scheme::TerminalInternal, "pboccore internal"),
        ];
        assert!(schemes.contains(&(row.scheme, scheme)), "{tag}: {scheme}");
        assert!(!provenance.is_empty(), "{tag}: no provenance");
    }
}

#[test]
fn every_row_is_found_by_its_tag() {
    for row in tags::all() {
        assert!(tags::rows(row.tag).contains(row));
        assert!(tags::rows(row.tag).iter().all(|other| other.tag == row.tag));
        assert_eq!(tags::find(row.tag, row.scheme).unwrap().scheme, row.scheme);
    }
    assert_eq!(tags::find(Tag::new(0x90), Scheme::Pboc).unwrap().name, "Issuer Public Key Certificate");
    assert_eq!(tags::find(Tag::new(0x9F66), Scheme::Mastercard).unwrap().name, "PUNATC (Track 2)");
    assert_eq!(tags::find(Tag::new(0xDF8101), Scheme::Emv).unwrap().tag, Tag::new(0xDF8101));
    assert_eq!(tags::find(Tag::new(0x9F02), Scheme::Emv).unwrap().format, Format::N);
    for absent in [0x01, 0xFF, 0x5F7F, 0x9F7F00, 0x5F81, 0xDFFF_FFFF] {
        let found = tags::rows(Tag::new(absent));
        assert!(found.iter().all(|row| row.tag == Tag::new(absent)));
        assert!(found.is_empty() || tags::all().iter().any(|row| row.tag == Tag::new(absent)));
    }
}

#[test]
fn lengths_allow_what_they_say() {
    let rows = [
        (Length::Any, 0, true),
        (Length::Exactly(2), 2, true),
        (Length::Exactly(2), 3, false),
        (Length::Either(1, 3), 2, false),
        (Length::Either(1, 3), 3, true),
        (Length::Within(5, 16), 4, false),
        (Length::Within(5, 16), 16, true),
        (Length::Within(5, 16), 17, false),
    ];
    for (length, len, fits) in rows {
        assert_eq!(length.allows(len), fits, "{length:?} {len}");
    }
}

fn said(tag: u32, value: &str) -> Vec<String> {
    let mut all = Vec::new();
    describe_bits(Tag::new(tag), &hex(value), &mut |text| all.push(text.to_owned()));
    all
}

#[test]
fn bit_fields_say_what_the_transcripts_carry() {
    assert_eq!(
        said(0x9F66, "36800000"),
        [
            "qPBOC supported",
            "contact chip supported",
            "online PIN supported",
            "signature supported",
            "online cryptogram required"
        ]
    );
    assert_eq!(said(0x9F6C, "0200"), ["switch interface for cashback (profile value)"]);
    assert_eq!(said(0x82, "7C00").len(), 5);
    assert_eq!(
        said(0x9F10, "07010103A00000010A010000038787868FD1FC"),
        ["second GENERATE AC not requested", "first cryptogram ARQC"]
    );
    assert_eq!(said(0x9F69, "0100000000800000"), ["online PIN required"]);
    assert_eq!(
        said(0x8E, "000000000000000042031E031F03"),
        [
            "online PIN, if terminal supports it, else next",
            "signature, if terminal supports it, else fail",
            "no CVM required, if terminal supports it, else fail"
        ]
    );
    assert_eq!(said(0x9F34, "5E0300"), ["signature, if terminal supports it: unknown"]);
    assert_eq!(said(0x9F33, "E0E9C8").len(), 10);
    assert_eq!(said(0x95, "0000").len(), 0, "too short says nothing");
    assert_eq!(said(0x5A, "6212"), Vec::<String>::new());
}

#[test]
fn getters_builders_and_rows_are_one_table() {
    let mut seen = Vec::new();
    for &Bit { byte, mask, value, .. } in Tvr::BITS {
        assert_eq!(mask, value);
        assert_eq!(mask.count_ones(), 1);
        assert!(!seen.contains(&(byte, mask)), "a bit named twice");
        seen.push((byte, mask));
    }
    let tvr = Tvr::default().with_dda_failed(true).with_expired(true).with_oda_not_performed(true);
    assert_eq!(tvr.0, [0x88, 0x40, 0, 0, 0]);
    assert!(tvr.dda_failed() && !tvr.with_dda_failed(false).dda_failed());
}

#[test]
fn issuer_application_data_of_a_pboc_card() {
    let value = hex("07010103A00000010A010000038787868FD1FC");
    let iad = Iad::parse(&value).unwrap();
    assert_eq!((iad.dki, iad.cvn, iad.algorithm, iad.discretionary.len()), (1, 1, 1, 10));
    assert_eq!((iad.result(), iad.cvr.second_result()), (Some(bits::Cryptogram::Arqc), None));
    for (cvr, result) in
        [(0x90, bits::Cryptogram::Tc), (0x80, bits::Cryptogram::Aac), (0xA0, bits::Cryptogram::Arqc)]
    {
        assert_eq!(Cvr([3, cvr, 0, 0]).first_result(), Some(result));
        assert_eq!(bits::Cryptogram::from_cid(result.cid()), Some(result));
    }
    assert_eq!(Cvr([3, 0xB0, 0, 0]).first_result(), None);
    for bad in
        ["", "07", "06010103A0000001", "07010104A0000001", "07010103A00000010A01", "07010103A0000001020102FF"]
    {
        assert_eq!(Iad::parse(&hex(bad)), None, "{bad}");
    }
}

#[test]
fn cvm_lists_end_in_whole_rules() {
    assert_eq!(CvmList::parse(&[0; 7]).unwrap_err().kind(), CvmListError::AmountsTruncated);
    assert_eq!(CvmList::parse(&[0; 9]).unwrap_err().kind(), CvmListError::RuleTruncated);
    let value = hex("0000006400000190020642001E00");
    let list = CvmList::parse(&value).unwrap();
    assert_eq!((list.x, list.y, list.rules().count()), (100, 400, 3));
}

proptest! {
    #[test]
    fn amounts_come_back(minor in 0..=999_999_999_999_u64) {
        let amount = Amount::new(minor).unwrap();
        prop_assert_eq!(Amount::from_bcd(&amount.to_bcd()), Some(amount));
        prop_assert_eq!(amount.to_bcd().iter().map(|b| format!("{b:02x}")).collect::<String>(), format!("{minor:012}"));
    }

    #[test]
    fn dates_come_back(bytes: [u8; 3]) {
        if let Some(date) = Date::from_bcd(bytes) {
            prop_assert_eq!(date.to_bcd(), bytes);
            prop_assert_eq!(Date::new(date.year(), date.month(), date.day()), Some(date));
        }
        if let Some(time) = Time::from_bcd(bytes) {
            prop_assert_eq!(time.to_bcd(), bytes);
        }
    }

    #[test]
    fn any_value_is_described_without_harm(tag in 0..0xFFFF_u32, value: Vec<u8>) {
        describe_bits(Tag::new(tag), &value, &mut |text| assert!(!text.is_empty()));
    }
}

#[test]
fn amounts_end_at_twelve_digits() {
    assert_eq!(Amount::new(1_000_000_000_000), None);
    assert_eq!(Amount::MAX.checked_add(Amount::new(1).unwrap()), None);
    assert_eq!(Amount::ZERO.checked_sub(Amount::new(1).unwrap()), None);
    assert_eq!(Amount::from_bcd(&[0x99; 7]), None);
    assert_eq!(Amount::from_bcd(&[0; 20]), Some(Amount::ZERO));
    assert_eq!(Amount::new(5).unwrap().in_currency(Currency::CNY).to_string(), "0.05 CNY");
    assert_eq!(Amount::new(1234).unwrap().in_currency(Currency::JPY).to_string(), "1234 JPY");
    assert_eq!(Currency::from_bcd([0x01, 0x56]), Some(Currency::CNY));
    assert_eq!(Currency::from_bcd([0x1F, 0x56]), None);
    assert_eq!(Currency::from_bcd([0x09, 0x99]).unwrap().to_string(), "999");
}

#[test]
fn the_calendar_is_kept() {
    let valid = [(2024, 2, 29), (2000, 2, 29), (1950, 1, 1), (2049, 12, 31)];
    let invalid = [
        (2023, 2, 29),
        (2024, 4, 31),
        (2024, 13, 1),
        (2024, 0, 1),
        (2024, 1, 0),
        (2050, 1, 1),
        (1949, 12, 31),
    ];
    for (year, month, day) in valid {
        assert!(Date::new(year, month, day).is_some(), "{year}-{month}-{day}");
    }
    for (year, month, day) in invalid {
        assert!(Date::new(year, month, day).is_none(), "{year}-{month}-{day}");
    }
    assert_eq!(Date::new(2026, 3, 1).unwrap().to_string(), "2026-03-01");
    assert_eq!(Time::new(23, 59, 59).unwrap().to_string(), "23:59:59");
    assert_eq!(Time::new(24, 0, 0), None);
}
