//! Passbook and purse of a bank card (PBOC): PIN, load, unload, purchase, cash withdrawal, overdraft limit, and their
//! proofs. MACs come from the naive second implementation (weak).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, missing_docs)]

mod world;

use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::Profile;
use huiwan_testkit::hex as bytes;
use world::bank::{city_record, issued, key};
use world::{Cut, RamBand, hex, oracle};

const TERMINAL: &str = "300089000340";
const STAMP: &str = "20261123101112";
const PIN: &str = "0020000003123456";

/// Everything a completion may change.
fn state(band: &mut RamBand, p2: char) -> (Vec<u8>, Vec<u8>) {
    let balance = band.ok(&format!("805C000{p2}04"));
    let log = band.send(&bytes("00B201C417"));
    (balance, log)
}

/// An initialisation of a load (`p1` 00) or unload (05), whose MAC1 is checked; the command that completes it.
fn online(band: &mut RamBand, (p1, p2): (u8, u8), amount: u32, tti: u8, kind: KeyKind) -> (Vec<u8>, Vec<u8>) {
    let answer = band.ok(&format!("8050{p1:02X}{p2:02X}0B01{amount:08X}{TERMINAL}10"));
    let session = oracle::load_session(&key(kind), &answer[8..12], &answer[4..6]);
    let covered = [&answer[..4], &amount.to_be_bytes(), &[tti], &bytes(TERMINAL)].concat();
    assert_eq!(answer[12..], oracle::mac(&session, &covered), "MAC1");
    let covered = [&amount.to_be_bytes()[..], &[tti], &bytes(TERMINAL), &bytes(STAMP)].concat();
    (session.clone(), oracle::mac(&session, &covered))
}

fn unload(band: &mut RamBand, p2: u8, amount: u32) -> String {
    let (_, mac2) = online(band, (5, p2), amount, 0x03, KeyKind::Unload);
    format!("805403000B{STAMP}{}04", hex(&mac2))
}

fn load(band: &mut RamBand, p2: u8, amount: u32) -> String {
    let (_, mac2) = online(band, (0, p2), amount, p2, KeyKind::Load);
    format!("805200000B{STAMP}{}04", hex(&mac2))
}

fn debit(band: &mut RamBand, (p1, p2, tti): (u8, u8, u8), amount: u32) -> String {
    let answer = band.ok(&format!("8050{p1:02X}{p2:02X}0B01{amount:08X}{TERMINAL}0F"));
    let session =
        oracle::purchase_session(&key(KeyKind::Purchase), &answer[11..15], &answer[4..6], &bytes("00000005"));
    let covered = [&amount.to_be_bytes()[..], &[tti], &bytes(TERMINAL), &bytes(STAMP)].concat();
    format!("805401000F00000005{STAMP}{}08", hex(&oracle::mac(&session, &covered)))
}

fn update(band: &mut RamBand, p2: u8, new_limit: u32) -> String {
    let answer = band.ok(&format!("805004{p2:02X}0701{TERMINAL}13"));
    let session = oracle::load_session(&key(KeyKind::Update), &answer[11..15], &answer[4..6]);
    let covered = [&answer[..4], &answer[6..9], &[0x07], &bytes(TERMINAL)].concat();
    assert_eq!(answer[15..], oracle::mac(&session, &covered), "MAC1");
    let limit = &new_limit.to_be_bytes()[1..];
    let covered = [limit, &[0x07], &bytes(TERMINAL), &bytes(STAMP)].concat();
    format!("805800000E{}{STAMP}{}04", hex(limit), hex(&oracle::mac(&session, &covered)))
}

#[test]
fn the_passbook_wants_a_pin_and_the_purse_does_not() {
    let mut band = issued(Profile::PBOC);
    for command in [
        "805C000104",
        "805000010B0100000064300089000340",
        "805001010B0100000064300089000340",
        "805002010B0100000064300089000340",
        "805005010B0100000064300089000340",
        "805005020B0100000064300089000340",
        "805004010701300089000340",
    ] {
        band.expect(command, "6982");
    }
    band.ok("805C000204");
    band.ok("805001020B0100000064300089000340");
    band.ok(PIN);
    assert_eq!(band.ok("805C000104"), 6000_u32.to_be_bytes());
    band.select();
    band.expect("805C000104", "6982");
}

#[test]
fn a_pin_is_tried_three_times_and_reloaded() {
    let mut band = issued(Profile::PBOC);
    band.expect("00200000", "63C3");
    band.expect("0020000003654321", "63C2");
    // FF fills the field up; a failed try takes the verification back.
    band.ok("0020000008123456FFFFFFFFFF");
    band.expect("00200000", "9000");
    band.expect("0020000003654321", "63C2");
    band.expect("805C000104", "6982");
    band.expect("00200000031234AA", "6700");
    band.expect("0020000103123456", "6A86");
    // Old ‖ FF ‖ new.
    band.expect("805E010007123456FF654321", "9000");
    band.expect(PIN, "63C2");
    band.ok("0020000003654321");
    for left in ["63C2", "63C1", "63C0", "6983"] {
        band.expect(PIN, left);
    }
    band.expect("0020000003654321", "6983");
    let mac = hex(&oracle::tac(&key(KeyKind::PinReload), &bytes("1234")));
    band.expect(&format!("805E000006 1234 {mac}").replace(' ', ""), "9000");
    band.ok("00200000021234");
    band.expect("805E000006123400000000", "6988");
    band.expect("805E000006123400000000", "6988");
    // A reload that was recorded forgives nothing: no challenge makes it new.
    band.expect(&format!("805E000006 1234 {mac}").replace(' ', ""), "9000");
    band.expect("805E000006123400000000", "9303");
    band.expect("00A4040008A00000063201010500", "9303");
}

#[test]
fn unload_answers_mac3_and_proves_it() {
    let mut band = issued(Profile::PBOC);
    band.ok(PIN);
    for (p2, before) in [(1_u8, 60_00_u32), (2, 50_00)] {
        let amount = 20_00_u32;
        let answer = band.ok(&format!("805005{p2:02X}0B01{amount:08X}{TERMINAL}10"));
        let session = oracle::load_session(&key(KeyKind::Unload), &answer[8..12], &answer[4..6]);
        let after = before - amount;
        let stamp = bytes(STAMP);
        let mac2 = [&amount.to_be_bytes()[..], &[0x03], &bytes(TERMINAL), &stamp].concat();
        let mac2 = hex(&oracle::mac(&session, &mac2));
        let got = band.ok(&format!("805403000B{STAMP}{mac2}04"));
        let covered = [
            &after.to_be_bytes()[..],
            &answer[4..6],
            &amount.to_be_bytes(),
            &[0x03],
            &bytes(TERMINAL),
            &stamp,
        ]
        .concat();
        assert_eq!(got, oracle::mac(&session, &covered), "MAC3: balance after, counter before");
        assert_eq!(band.ok(&format!("805C00{p2:02X}04")), after.to_be_bytes());
        assert_eq!(band.ok("805A0003020008"), [&got[..], &[0; 4]].concat(), "MAC3, no TAC");
        band.expect(&format!("805403000B{STAMP}{mac2}04"), "6901");
    }
    band.expect("805005020B0100000FA0300089000340", "9401");
    band.expect("805005020B0200000001300089000340", "9403");
    // A session is for one kind of completion.
    let command = unload(&mut band, 2, 1);
    band.expect(&command.replacen("80540300", "80520000", 1), "6901");
    for answer in ["9302", "9302", "6985"] {
        unload(&mut band, 2, 1);
        band.expect(&format!("805403000B{STAMP}0000000004"), answer);
    }
}

#[test]
fn cash_comes_from_the_passbook_only() {
    let mut band = issued(Profile::PBOC);
    band.ok(PIN);
    let command = debit(&mut band, (2, 1, 0x04), 10_00);
    let got = band.ok(&command);
    let covered = [&1000_u32.to_be_bytes()[..], &[0x04], &bytes(TERMINAL), &bytes("00000005"), &bytes(STAMP)];
    assert_eq!(got[..4], oracle::tac(&key(KeyKind::Tac), &covered.concat()));
    assert_eq!(band.ok("805C000104"), 50_00_u32.to_be_bytes());
    assert_eq!(band.ok("805A000402000A"), [&got[4..], &got[..4]].concat(), "the other way round");
    band.expect("805002020B0100000064300089000340", "6A86");
    band.expect("805003010B0100000064300089000340", "6A86");
    let command = debit(&mut band, (1, 1, 0x05), 50_00);
    band.ok(&command);
    band.expect("805001010B0100000001300089000340", "9401");
}

#[test]
fn the_limit_moves_the_balance() {
    let mut band = issued(Profile::PBOC);
    band.ok(PIN);
    let command = update(&mut band, 1, 30_00);
    let got = band.ok(&command);
    let balance = 60_00_u32 - 10_00 + 30_00;
    let covered =
        [&balance.to_be_bytes()[..], &bytes("0007000BB807"), &bytes(TERMINAL), &bytes(STAMP)].concat();
    assert_eq!(got, oracle::tac(&key(KeyKind::Tac), &covered));
    assert_eq!(band.ok("805C000104"), balance.to_be_bytes());
    assert_eq!(band.ok("00B201C417"), bytes(&format!("0008000BB800000BB807{TERMINAL}{STAMP}")));
    assert_eq!(band.ok("805A0007020008"), [&[0; 4], &got[..]].concat());
    // Everything spent: the limit cannot fall below what is overdrawn.
    let command = debit(&mut band, (1, 1, 0x05), balance);
    band.ok(&command);
    let command = update(&mut band, 1, 29_99);
    band.expect(&command, "9401");
    let command = update(&mut band, 1, 15_000);
    band.expect(&command, "6985");
    band.expect("805004020701300089000340", "6A86");
    band.expect("8050040106013000890003", "6700");
    // The purse of a bank card is never overdrawn.
    band.expect("805C010204", "6A86");
    let mut transit = issued(Profile::JTT_978);
    let command = update(&mut transit, 2, 5_00);
    transit.ok(&command);
    assert_eq!(transit.ok("805C010204"), 5_00_u32.to_be_bytes());
    assert_eq!(transit.ok("805C000204"), 55_00_u32.to_be_bytes());
    transit.expect("805005020B0100000064300089000340", "6A86");
    transit.expect("805C000104", "6A86");
    let mut city = issued(Profile::CJT_166);
    city.expect("805004010701300089000340", "6A86");
}

#[test]
fn counters_at_their_end_refuse() {
    let mut profile = Profile::PBOC;
    profile.counter_end = 7;
    let mut band = issued(profile);
    band.ok(PIN);
    for command in [
        "805000010B0100000064300089000340",
        "805005010B0100000064300089000340",
        "805002010B0100000064300089000340",
        "805004010701300089000340",
    ] {
        band.expect(command, "9402");
    }
}

/// Every completion of both accounts, cut before and after its commit: all of it or nothing.
#[test]
fn a_cut_leaves_before_or_after() {
    type Prepare = fn(&mut RamBand) -> String;
    let cases: [(&str, char, Prepare); 7] = [
        ("load ED", '1', |band| load(band, 1, 5_00)),
        ("load EP", '2', |band| load(band, 2, 5_00)),
        ("unload ED", '1', |band| unload(band, 1, 5_00)),
        ("unload EP", '2', |band| unload(band, 2, 5_00)),
        ("cash", '1', |band| debit(band, (2, 1, 0x04), 5_00)),
        ("purchase ED", '1', |band| debit(band, (1, 1, 0x05), 5_00)),
        ("limit", '1', |band| update(band, 1, 20_00)),
    ];
    for (name, p2, prepare) in cases {
        let mut done = issued(Profile::PBOC);
        done.ok(PIN);
        let before = state(&mut done, p2);
        let command = prepare(&mut done);
        done.ok(&command);
        let after = state(&mut done, p2);
        assert_ne!(before, after, "{name}");
        for (cut, expected) in [(Cut::Before, &before), (Cut::After, &after)] {
            let mut band = issued(Profile::PBOC);
            band.ok(PIN);
            let command = prepare(&mut band);
            band.memory().cut = Some(cut);
            assert_eq!(band.send(&bytes(&command)), [0x65, 0x81], "{name}");
            band.retap();
            band.select();
            band.ok(PIN);
            assert_eq!(&state(&mut band, p2), expected, "{name}, cut {cut:?}");
        }
    }
}

/// The secured command `header` ‖ Lc ‖ data ‖ MAC under this kind of key, after GET CHALLENGE.
fn secured(band: &mut RamBand, header: &str, data: &[u8], kind: KeyKind) -> String {
    let challenge = band.ok("0084000008");
    let head = format!("{header}{:02X}", data.len() + 4);
    let message = [&bytes(&head)[..], data].concat();
    format!("{head}{}{}", hex(data), hex(&oracle::secured(&key(kind), &challenge, &message)))
}

fn sealed_pin(pin: &str) -> Vec<u8> {
    let mut block = [&[(pin.len() / 2) as u8][..], &bytes(pin), &[0x80]].concat();
    block.resize(8, 0);
    oracle::tdes(&key(KeyKind::PinUnblock), &block)
}

#[test]
fn a_blocked_pin_is_unblocked_by_itself() {
    let mut band = issued(Profile::PBOC);
    let command = secured(&mut band, "84240000", &sealed_pin("123456"), KeyKind::PinUnblock);
    band.expect(&command, "6985");
    for left in ["63C2", "63C1", "63C0"] {
        band.expect("0020000003654321", left);
    }
    band.expect(&command, "6984");
    let other = secured(&mut band, "84240000", &sealed_pin("654321"), KeyKind::PinUnblock);
    band.expect(&other, "6988");
    let wrong_key = secured(&mut band, "84240000", &sealed_pin("123456"), KeyKind::Maintenance);
    band.expect(&wrong_key, "6988");
    for cut in [Cut::Before, Cut::After] {
        let command = secured(&mut band, "84240000", &sealed_pin("123456"), KeyKind::PinUnblock);
        band.memory().cut = Some(cut);
        band.expect(&command, "6581");
        band.retap();
        band.select();
        band.expect("00200000", if cut == Cut::Before { "6983" } else { "63C3" });
    }
    band.ok(PIN);
    for left in ["63C2", "63C1", "63C0"] {
        band.expect("0020000003654321", left);
    }
    // The unblock that succeeded began the count anew, like every other secured command.
    for answer in ["6988", "6988", "9303"] {
        let other = secured(&mut band, "84240000", &sealed_pin("654321"), KeyKind::PinUnblock);
        band.expect(&other, answer);
    }
}

#[test]
fn a_blocked_card_answers_nothing_else() {
    let mut band = issued(Profile::PBOC);
    band.expect("84160000", "6987");
    let wrong = secured(&mut band, "84160000", &[], KeyKind::Load);
    band.expect(&wrong, "6988");
    band.ok("805C000204");
    let command = secured(&mut band, "84160000", &[], KeyKind::Maintenance);
    band.memory().cut = Some(Cut::Before);
    band.expect(&command, "6581");
    band.retap();
    band.select();
    let command = secured(&mut band, "84160000", &[], KeyKind::Maintenance);
    band.ok(&command);
    for command in ["805C000204", "0084000008", "00B0950000", "841800000401020304"] {
        band.expect(command, "6A81");
    }
    band.retap();
    band.expect("00A4040008A00000063201010500", "6A81");
}

#[test]
fn reading_the_authentication_code_changes_mac1() {
    let mut band = issued(Profile::CJT_166);
    for read in [false, true] {
        let answer = band.ok(&format!("805001020B0100000064{TERMINAL}0F"));
        if read {
            assert_eq!(band.ok("80CA000009"), bytes("010203040506070809"), "the session stays open");
        }
        let session = oracle::purchase_session(
            &key(KeyKind::Purchase),
            &answer[11..15],
            &answer[4..6],
            &bytes("00000005"),
        );
        let mut covered = [&bytes("0000006406")[..], &bytes(TERMINAL), &bytes(STAMP)].concat();
        if read {
            covered.extend(bytes("010203040506070809"));
        }
        band.ok(&format!("805401000F00000005{STAMP}{}08", hex(&oracle::mac(&session, &covered))));
    }
    // The next one is as it was, and a code that was read does not outlive a selection.
    band.ok("80CA000009");
    band.select();
    let command = debit(&mut band, (1, 2, 0x06), 1_00);
    band.ok(&command);
    band.ok("80CA000009");
    let command = debit(&mut band, (1, 2, 0x06), 1_00);
    band.expect(&command, "9302");
    issued(Profile::PBOC).expect("80CA000009", "6D00");
}

#[test]
fn a_composite_purchase_of_a_city_card_writes_file_17() {
    for profile in [Profile::CJT_166, Profile::PBOC] {
        for cut in [None, Some(Cut::Before), Some(Cut::After)] {
            let mut band = issued(profile);
            let answer = band.ok(&format!("805003020B0100000064{TERMINAL}0F"));
            band.ok(&format!("80DC09B830{}", hex(&city_record(7))));
            let session = oracle::purchase_session(
                &key(KeyKind::Purchase),
                &answer[11..15],
                &answer[4..6],
                &bytes("00000005"),
            );
            let covered = [&bytes("0000006409")[..], &bytes(TERMINAL), &bytes(STAMP)].concat();
            let mac1 = hex(&oracle::mac(&session, &covered));
            band.memory().cut = cut;
            let debit = band.send(&bytes(&format!("805401000F00000005{STAMP}{mac1}08")));
            assert_eq!(debit.len(), if cut.is_none() { 10 } else { 2 });
            band.retap();
            band.select();
            let done = cut != Some(Cut::Before);
            assert_eq!(band.ok("00B209B800"), city_record(if done { 7 } else { 0 }));
            let balance = if done { 49_00_u32 } else { 50_00 };
            assert_eq!(band.ok("805C000204"), balance.to_be_bytes());
        }
    }
    let mut band = issued(Profile::CJT_166);
    band.ok(&format!("805003020B0100000064{TERMINAL}0F"));
    band.expect(&format!("80DC0AB830{}", hex(&city_record(7))), "6A83");
    band.expect(&format!("80DC09B830{}", hex(&city_record(7))), "6901");
    // 建设部 cards take no second initialisation while a session is open. [S:HB]
    band.ok(&format!("805003020B0100000064{TERMINAL}0F"));
    band.expect(&format!("805003020B0100000064{TERMINAL}0F"), "6901");
}

#[test]
fn files_are_selected_by_identifier() {
    let mut band = issued(Profile::CJT_166);
    band.expect("00B0000000", "6986");
    band.expect("00A4000002001500", "9000");
    assert_eq!(band.ok("00B0000000"), world::public_info().as_bytes());
    band.expect("00A4000002001700", "9000");
    assert_eq!(band.ok("00B2090000"), city_record(0));
    band.expect("00B2090200", "6A83");
    // The directory itself: its FCI, and no current file.
    let fci = band.select();
    assert_eq!(band.ok("00A4000002100100"), fci);
    band.expect("00B0000000", "6986");
    for command in ["00A4000002DF0100", "00A4000002000000", "00A4000002002200"] {
        band.expect(command, "6A82");
    }
    band.expect("00A40000011500", "6700");
    band.expect("00A4010002001500", "6A86");
    // APPEND RECORD wants the issuer's MAC, and never goes to the log.
    band.expect("00E200B803090100", "6982");
    let command = secured(&mut band, "04E200B8", &bytes("0A0100"), KeyKind::Maintenance);
    band.memory().cut = Some(Cut::Before);
    band.expect(&command, "6581");
    band.retap();
    band.select();
    band.expect("00B20AB800", "6A83");
    let command = secured(&mut band, "04E200B8", &bytes("0A0100"), KeyKind::Maintenance);
    band.ok(&command);
    assert_eq!(band.ok("00B20AB800"), bytes("0A0100"));
    let command = secured(&mut band, "04E200B8", &bytes("0B0500"), KeyKind::Maintenance);
    band.expect(&command, "6A80");
    let command = secured(&mut band, "04E200C0", &[0; 23], KeyKind::Maintenance);
    band.expect(&command, "6982");
}
