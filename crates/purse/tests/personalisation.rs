//! The map of data groupings: files of the issuer's own and what of them is refused, the second logs of 建设部, and the
//! longer file 0015 of highway cards.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::Condition::{self, Free, Never, Pin, Secured, SecuredAndPin};
use huiwan_purse::personalisation::{
    DGI_FILE, DGI_FILE_CONTENT, DGI_PUBLIC_INFO, FileContent, FileData, Grouping, Personalisation, Shape,
};
use huiwan_purse::profile::Profile;
use huiwan_purse::transit::public_info::{self, PublicInfo, Vehicle};
use huiwan_tlv::dgi::Dgis;
use proptest::prelude::*;
use world::bank::{debit, issued, key, store};
use world::by_hand::{bytes, init};
use world::{RamBand, hex, oracle};

const SELECT_ISSUER: &str = "00A4040008A00000015100000000";
const VERIFY: &str = "0020000003123456";

fn file(fid: u16, sfi: u8, shape: Shape, read: Condition, update: Condition) -> FileData {
    FileData { fid, sfi, shape, read, update }
}

fn content(fid: u16, place: u16, data: &[u8]) -> Vec<u8> {
    [&fid.to_be_bytes()[..], &place.to_be_bytes(), data].concat()
}

#[track_caller]
fn define(band: &mut RamBand, file: &FileData) {
    band.ok(&store(DGI_FILE, &file.to_bytes()));
}

#[track_caller]
fn fill(band: &mut RamBand, fid: u16, place: u16, data: &[u8]) {
    band.ok(&store(DGI_FILE_CONTENT, &content(fid, place, data)));
}

/// A PBOC card with the issuer selected.
fn at_issuer() -> RamBand {
    let mut band = issued(Profile::PBOC);
    band.ok(SELECT_ISSUER);
    band
}

/// A secured command under the bank's maintenance key.
fn secured(band: &mut RamBand, header: &str, data: &str) -> String {
    let challenge = band.ok("0084000004");
    let lc = data.len() / 2 + 4;
    let message = bytes(&format!("{header}{lc:02X}{data}"));
    let mac = oracle::secured(&key(KeyKind::Maintenance), &challenge, &message);
    format!("{header}{lc:02X}{data}{}", hex(&mac))
}

#[test]
fn a_transparent_file_is_filled_read_and_updated() {
    let mut band = at_issuer();
    define(&mut band, &file(0x0005, 5, Shape::Transparent { size: 256 }, Free, Secured));
    fill(&mut band, 0x0005, 0, &[0x11; 200]);
    fill(&mut band, 0x0005, 250, &[0x22; 6]);
    band.select();
    let whole = band.ok("00B0850000");
    assert_eq!(whole, [&[0x11; 200][..], &[0; 50], &[0x22; 6]].concat());
    band.expect("00D6850001AA", "6982");
    let update = secured(&mut band, "04D68501", "ABCD");
    band.ok(&update);
    assert_eq!(band.ok("00B0850004"), bytes("11ABCD11"));
    band.ok("00A40000020005");
    assert_eq!(band.ok("00B000FA06"), [0x22; 6]);
    band.retap();
    band.select();
    assert_eq!(band.ok("00B0850004"), bytes("11ABCD11"));
}

#[test]
fn record_files_are_filled_read_and_appended() {
    let mut band = at_issuer();
    define(&mut band, &file(0x0006, 6, Shape::Linear { len: 3, records: 2 }, Free, Free));
    define(&mut band, &file(0x0007, 7, Shape::Variable { len: 8, records: 4 }, Free, Free));
    define(&mut band, &file(0x0010, 0x10, Shape::Cyclic { len: 2, records: 2 }, Free, Free));
    fill(&mut band, 0x0006, 1, b"one");
    fill(&mut band, 0x0007, 1, b"AB");
    fill(&mut band, 0x0007, 2, b"CDEF");
    // From the oldest; sent twice, written once.
    for _ in 0..2 {
        fill(&mut band, 0x0010, 1, b"o1");
    }
    for _ in 0..2 {
        fill(&mut band, 0x0010, 2, b"o2");
        fill(&mut band, 0x0010, 1, b"o1");
    }
    band.select();
    assert_eq!(band.ok("00B2013400"), b"one");
    band.expect("00B2023400", "6A83");
    assert_eq!(band.ok("00B2433800"), b"CDEF", "by its first byte");
    assert_eq!(band.ok("00B2018400"), b"o2");
    assert_eq!(band.ok("00B2028400"), b"o1");
    band.ok("00E200300374776F");
    assert_eq!(band.ok("00B2023400"), b"two");
    band.expect("00E2003003747474", "6A84");
    band.ok("00E20080026F33");
    assert_eq!(band.ok("00B2018400"), b"o3");
    assert_eq!(band.ok("00B2028400"), b"o2");
}

#[test]
fn access_conditions_hold() {
    let mut band = at_issuer();
    let size = Shape::Transparent { size: 1 };
    let conditions = [Free, Secured, Pin, SecuredAndPin, Never];
    for (n, condition) in (1..).zip(conditions) {
        define(&mut band, &file(0xEF00 + n, n as u8, size, condition, condition));
    }
    let answers = |band: &mut RamBand, verified: bool| {
        band.select();
        if verified {
            band.ok(VERIFY);
        }
        let mut answers = Vec::new();
        for n in 1..=5 {
            answers.push(hex(&band.send(&bytes(&format!("00B08{n}0001")))));
            answers.push(hex(&band.send(&bytes(&format!("00D68{n}000100")))));
            let update = secured(band, &format!("04D68{n}00"), "00");
            answers.push(hex(&band.send(&bytes(&update))));
        }
        answers.join(" ")
    };
    let refused = "6982 6982 6982";
    assert_eq!(
        answers(&mut band, false),
        format!("009000 9000 9000 6982 6982 9000 {refused} {refused} {refused}")
    );
    assert_eq!(
        answers(&mut band, true),
        format!("009000 9000 9000 6982 6982 9000 009000 9000 9000 6982 6982 9000 {refused}")
    );
    // Selecting by identifier says nothing of the right to read.
    band.select();
    band.ok("00A4000002EF03");
    band.expect("00B0000001", "6982");
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let mut band = at_issuer();
    let sound = file(0x0005, 5, Shape::Transparent { size: 4 }, Free, Free);
    define(&mut band, &sound);
    define(&mut band, &file(0x0006, 6, Shape::Cyclic { len: 2, records: 2 }, Free, Free));
    define(&mut band, &file(0x0007, 0, Shape::Linear { len: 2, records: 2 }, Free, Free));
    let before = band.memory().objects.clone();
    let definitions = [
        ("", "6A80"),
        ("00080801000400", "6A80"),
        ("000808010004000000", "6A80"),
        ("0000080100040000", "6A80"),
        ("1001080100040000", "6A80"),
        ("3F00080100040000", "6A80"),
        ("3F01080100040000", "6A80"),
        ("FFFF080100040000", "6A80"),
        ("00081F0100040000", "6A80"),
        ("0008080300040000", "6A80"),
        ("0008080100000000", "6A80"),
        ("0008080101010000", "6A80"),
        ("0008080200010000", "6A80"),
        ("0008080404000000", "6A80"),
        ("0008080604FF0000", "6A80"),
        ("0008080100040500", "6A80"),
        ("0008080100040080", "6A80"),
        // In use by the scheme, or by an earlier file.
        ("0015080100040000", "6A89"),
        ("0008180100040000", "6A89"),
        ("0005080100040000", "6A89"),
        ("0008050100040000", "6A89"),
        ("0005050100050000", "6A89"),
        // The same again.
        (&hex(&sound.to_bytes()), "9000"),
    ];
    for (definition, answer) in definitions {
        band.expect(&store(DGI_FILE, &bytes(definition)), answer);
    }
    let contents = [
        ("", "6A80"),
        ("00050000", "6A80"),
        ("0008000000", "6A82"),
        ("0015000000", "6A82"),
        ("0018000100", "6A82"),
        ("0005000400", "6B00"),
        ("000500030000", "6A84"),
        ("00060000AABB", "6A83"),
        ("00060002AABB", "6A83"),
        ("00060003AABB", "6A83"),
        ("00060101AABB", "6A83"),
        ("00060001AA", "6700"),
        ("00070000AABB", "6A83"),
        ("00070002AABB", "6A83"),
        ("00070003AABB", "6A83"),
        ("00070001AABBCC", "6700"),
    ];
    for (content, answer) in contents {
        band.expect(&store(DGI_FILE_CONTENT, &bytes(content)), answer);
    }
    assert_eq!(band.memory().objects, before);
    // Eight files, no more.
    for n in 0..5 {
        define(&mut band, &file(0xEF00 + n, 0, Shape::Transparent { size: 1 }, Free, Free));
    }
    let ninth = file(0xEF10, 0, Shape::Transparent { size: 1 }, Free, Free);
    band.expect(&store(DGI_FILE, &ninth.to_bytes()), "6A84");
    band.ok(&store(DGI_FILE, &sound.to_bytes()));
    // The last of them is as good as the first.
    fill(&mut band, 0xEF04, 0, &[0x5A]);
    band.select();
    band.ok("00A4000002EF04");
    assert_eq!(band.ok("00B0000001"), [0x5A]);
    band.expect("00A4000002EF10", "6A82");
}

#[test]
fn loads_and_purchases_elsewhere_have_logs_of_their_own() {
    // The card's city, bytes 2 and 3 of file 0015, is 1000; the terminal of these tests begins with 3000.
    for profile in [Profile::CJT_166, Profile::CJT_304] {
        let mut band = issued(profile);
        let answer = init(&mut band, 6, 5);
        band.ok(&debit(&answer, 6, 5));
        let elsewhere = band.ok("00B201C417");
        assert_eq!(band.ok("00B2018417"), elsewhere);
        band.expect("00B201D417", "6A83");
        // At home.
        let answer = band.ok("805001020B01000000071000890003400F");
        let session =
            oracle::purchase_session(&key(KeyKind::Purchase), &answer[11..15], &answer[4..6], &[0; 4]);
        let mac1 = oracle::mac(&session, &bytes("000000070610008900034020261122141740"));
        band.ok(&format!("805401000F0000000020261122141740{}08", hex(&mac1)));
        assert_ne!(band.ok("00B201C417"), elsewhere);
        assert_eq!(band.ok("00B2018417"), elsewhere);
        band.expect("00B2028417", "6A83");
        // A load.
        let answer = band.ok("805000020B010000000930008900034010");
        let session = oracle::load_session(&key(KeyKind::Load), &answer[8..12], &answer[4..6]);
        let mac2 = oracle::mac(&session, &bytes("000000090230008900034020261122141740"));
        band.ok(&format!("805200000B20261122141740{}04", hex(&mac2)));
        let load = band.ok("00B201C417");
        assert_eq!(load[9], 0x02);
        assert_eq!(band.ok("00B201D417"), load);
        band.expect("00B2028417", "6A83");
        band.expect("00B203C417", &format!("{}9000", hex(&elsewhere)));
        // They are the card's own.
        let update = secured(&mut band, "04DC0184", &hex(&load));
        band.expect(&update, "6982");
    }
    issued(Profile::PBOC).expect("00B2018417", "6A82");
}

#[test]
fn a_highway_card_has_a_longer_file_15() {
    let mut band = issued(Profile::ETC);
    let file_15 = world::bank::public_info(Profile::ETC);
    assert_eq!(file_15.len(), 43);
    let fci = band.select();
    assert!(fci.windows(46).any(|part| part == [&[0x9F, 0x0C, 43][..], &file_15].concat()), "{}", hex(&fci));
    assert_eq!(band.ok("00B0950000"), file_15);
    assert_eq!(band.ok("00B095001E"), file_15[..30]);
    band.ok(SELECT_ISSUER);
    band.expect(&store(DGI_PUBLIC_INFO, &file_15[..30]), "6A80");
    let mut other = issued(Profile::PBOC);
    other.ok(SELECT_ISSUER);
    other.expect(&store(DGI_PUBLIC_INFO, &file_15), "6A80");
    let (public_info, vehicle) = PublicInfo::parse_any(&file_15).unwrap();
    assert_eq!(public_info, world::public_info());
    assert_eq!(public_info.with_vehicle(&vehicle.unwrap()).to_vec(), file_15);
    // A reader that took 30 bytes has no issuer's FCI data of a highway card.
    let highway = world::public_info()
        .with(public_info::APPLICATION_TYPE, [public_info::TYPE_STORED_VALUE])
        .with(public_info::ISSUER_FCI, [1, 2]);
    let whole = highway.with_vehicle(&Vehicle { plate: [7; 12], user_type: 1 });
    assert_eq!(PublicInfo::parse_first(&whole), Ok(highway));
    assert_eq!(PublicInfo::parse_first(&whole[..30]), Ok(highway.with(public_info::ISSUER_FCI, [0, 0])));
    assert!(PublicInfo::parse_first(&whole[..29]).is_err());
    assert!(PublicInfo::parse_any(&whole[..42]).is_err());
}

#[test]
fn an_etc_lane_may_send_the_first_part_of_a_record() {
    let mut band = issued(Profile::ETC);
    band.ok(SELECT_ISSUER);
    let record = [&[0xAA, 0x29, 0x00][..], &[0x33; 40]].concat();
    band.ok(&store(0x1A01, &record));
    band.select();
    init(&mut band, 9, 0);
    let part = [&[0xAA, 0x29, 0x00][..], &[0x44; 0x22]].concat();
    // Neither the length of the whole nor that of the part.
    let mut wrong = part.clone();
    wrong[1] = 0x28;
    band.expect(&format!("80DCAAC825{}", hex(&wrong)), "6A80");
    let answer = init(&mut band, 9, 0);
    band.ok(&format!("80DCAAC825{}", hex(&part)));
    band.ok(&debit(&answer, 9, 0));
    assert_eq!(band.ok("00B201CC00"), [&part[..], &[0; 6]].concat());
    // Where the inner length is that of what is sent, the part is refused.
    let mut city = issued(Profile::CJT_166);
    init(&mut city, 9, 0);
    let record = world::bank::city_record(1);
    city.expect(&format!("80DC09B825{}", hex(&record[..0x25])), "6A80");
}

#[test]
fn personalisation_writes_files_before_what_makes_the_card_usable() {
    let files = [file(0x0005, 5, Shape::Transparent { size: 4 }, Free, Pin)];
    let data = [1, 2, 3, 4];
    let contents = [FileContent::new(0x0005, 0, &data).unwrap()];
    let card = Personalisation {
        vehicle: Some(Vehicle { plate: [0x41; 12], user_type: 2 }),
        public_info: world::public_info(),
        files: &files,
        contents: &contents,
        ..Personalisation::default()
    };
    let mut out = [0; 256];
    let written = card.write(&mut out).unwrap();
    let read: Vec<(u16, Vec<u8>)> =
        Dgis::new(written).map(|dgi| dgi.unwrap()).map(|dgi| (dgi.id, dgi.value.to_vec())).collect();
    let ids: Vec<u16> = read.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [DGI_FILE, DGI_FILE_CONTENT, DGI_PUBLIC_INFO]);
    assert_eq!(read[0].1, files[0].to_bytes());
    assert_eq!(FileContent::parse(&read[1].1), Ok(contents[0]));
    assert_eq!(read[2].1.len(), 43);
    assert!(ids.iter().all(|id| Grouping::from_dgi(*id).is_some()));
    assert!(FileContent::new(5, 0, &[]).is_err());
    assert!(FileContent::new(5, 0, &[0; 257]).is_err());
}

proptest! {
    #[test]
    fn definitions_are_written_as_they_are_read(raw in prop::collection::vec(any::<u8>(), 7..10)) {
        if let Ok(file) = FileData::parse(&raw) {
            prop_assert_eq!(file.to_bytes().to_vec(), raw);
        }
    }

    #[test]
    fn most_definitions_are_read(
        fid in 0x0002_u16..0x1000, sfi in 0_u8..=30, structure in prop::sample::select(&[1_u8, 2, 4, 6][..]),
        a in 0_u8..=1, b in 1_u8..=254, access in prop::sample::select(&[0_u8, 1, 2, 3, 0xFF][..]),
    ) {
        let [f1, f2] = fid.to_be_bytes();
        let raw = [f1, f2, sfi, structure, a, b, access, access];
        let sound = if structure == 1 { a == 0 } else { a == 1 };
        prop_assert_eq!(FileData::parse(&raw).is_ok(), sound);
    }
}

/// A domain that follows CPS leaves the padding of encrypted groupings in place. [sheet globalplatform 5.2]
#[test]
fn groupings_of_one_length_are_taken_with_their_padding() {
    let mut band = issued(Profile::JTT_978);
    let file_15 = world::bank::public_info(Profile::JTT_978);
    band.ok(SELECT_ISSUER);
    band.ok(&store(DGI_PUBLIC_INFO, &[&file_15[..], &[0x80, 0x00]].concat()));
    band.select();
    assert_eq!(band.ok("00B0950000"), file_15);
    band.ok(SELECT_ISSUER);
    for (what, value) in [
        ("no padding", [&file_15[..], &[0x00, 0x00]].concat()),
        ("a byte more", [&file_15[..], &[0x01, 0x80]].concat()),
        ("a byte less", [&file_15[..29], &[0x80, 0x00]].concat()),
        ("short", file_15[..29].to_vec()),
    ] {
        assert_eq!(hex(&band.send(&huiwan_testkit::hex(&store(DGI_PUBLIC_INFO, &value)))), "6A80", "{what}");
    }
    band.select();
    assert_eq!(band.ok("00B0950000"), file_15);
}
