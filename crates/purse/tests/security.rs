//! EXTERNAL and INTERNAL AUTHENTICATE, secured reading, encrypted updates, WRITE KEY, CHANGE ALGORITHM and the error counters of
//! keys: every status word, with 3DES and with SM4 keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::command;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::profile::{Profile, SecuredErrors};
use huiwan_purse::secure_messaging::Padding;
use world::by_hand::{DATE_TIME, TERMINAL, bytes};
use world::fuel;
use world::secured::{KINDS, Key, card_key, issue, issued, modules, personalise_keys, write_key};
use world::{Band, RamBand, RamMemory, hex, kept_entries, oracle};

const SETS: [bool; 2] = [false, true];

fn wrong(command: &str) -> String {
    let mut bytes = bytes(command);
    *bytes.last_mut().unwrap() ^= 1;
    hex(&bytes)
}

fn external(band: &mut RamBand, key: Key, len: u8) -> String {
    let challenge = band.ok(&format!("00840000{len:02X}"));
    let cryptogram = key.cryptogram(&challenge);
    format!("00820001{:02X}{}", cryptogram.len(), hex(&cryptogram))
}

#[test]
fn external_authenticate() {
    for sm4 in SETS {
        let key = Key::of(KeyKind::ExternalAuthentication, sm4);
        let lc = if sm4 { "10" } else { "08" };
        let zeros = "00".repeat(if sm4 { 16 } else { 8 });
        let mut band = issued(Profile::JTT_978, &[sm4]);
        let right = external(&mut band, key, 8);
        band.expect(&right, "9000");
        band.expect(&right, "6984");
        // Four bytes of challenge come again too soon.
        let right = external(&mut band, key, 4);
        band.expect(&right, "6984");
        // Another command between takes the challenge away.
        let right = external(&mut band, key, 8);
        band.ok("805C000204");
        band.expect(&right, "6984");
        band.expect(&format!("00820001{lc}{zeros}"), "6984");
        // What is no authentication costs no try.
        for (header, answer) in [("00820101", "6A86"), ("00820002", "9403"), ("00820000", "9403")] {
            band.ok("0084000008");
            band.expect(&format!("{header}{lc}{zeros}"), answer);
        }
        band.ok("0084000008");
        band.expect("008200010411223344", "6700");
        band.ok("0084000008");
        band.expect("00820001", "6700");
        let other = external(&mut band, Key::of(KeyKind::Purchase, sm4), 8);
        band.expect(&other, "63C2");
        let right = external(&mut band, key, 8);
        band.expect(&wrong(&right), "63C1");
        let right = external(&mut band, key, 8);
        band.expect(&right, "9000");
        for answer in ["63C2", "63C1", "63C0", "6983", "6983"] {
            let right = external(&mut band, key, 8);
            band.expect(&wrong(&right), answer);
        }
        let right = external(&mut band, key, 8);
        band.expect(&right, "6983");
        band.retap();
        band.select();
        let right = external(&mut band, key, 8);
        band.expect(&right, "6983");
        // The purse is not the worse for it.
        band.ok(&format!("805001020B0100000001{TERMINAL}0F"));
    }
}

#[test]
fn a_key_brings_its_own_limit() {
    let mut band = issued(Profile::JTT_978, &[false]);
    personalise_keys(&mut band, &[card_key(KeyKind::ExternalAuthentication, false, 5)]);
    band.select();
    for answer in ["63C4", "63C3", "63C2", "63C1", "63C0", "6983"] {
        let right = external(&mut band, Key::of(KeyKind::ExternalAuthentication, false), 8);
        band.expect(&wrong(&right), answer);
    }
    // Written anew it has all its tries.
    let control = Key::of(KeyKind::Control, false);
    let key = Key::of(KeyKind::ExternalAuthentication, false);
    let command =
        control.secured(&mut band, 4, "84D43901", &control.seal(&write_key(0x39, 2, 1, 15, key.value)));
    band.expect(&command, "9000");
    let right = external(&mut band, key, 8);
    band.expect(&wrong(&right), "63CE");
    band.ok("00A4040008A00000015100000000");
    band.expect(&format!("80E2000016800A01010110{}", "11".repeat(16)), "6A80");
}

#[test]
fn files_can_want_an_authentication() {
    let profile = {
        let mut profile = Profile::JTT_978;
        profile.authenticated_files = &[0x16];
        profile
    };
    let mut band = issued(profile, &[false]);
    let key = Key::of(KeyKind::ExternalAuthentication, false);
    band.expect("00B0960037", "6982");
    band.ok("00B095001E");
    let right = external(&mut band, key, 8);
    band.expect(&right, "9000");
    band.ok("00B0960037");
    // A failure takes it away, and so does selection.
    let right = external(&mut band, key, 8);
    band.expect(&wrong(&right), "63C2");
    band.expect("00B0960037", "6982");
    let right = external(&mut band, key, 8);
    band.expect(&right, "9000");
    band.select();
    band.expect("00B0960037", "6982");
    // A MAC is no authentication.
    let read = Key::of(KeyKind::Maintenance, false).secured(&mut band, 4, "04B09600", &[]);
    band.expect(&read, "6982");
}

#[test]
fn internal_authenticate() {
    for sm4 in SETS {
        let key = Key::of(KeyKind::InternalAuthentication, sm4);
        let size = if sm4 { 16 } else { 8 };
        let mut band = issued(Profile::JTT_978, &[sm4]);
        for len in [1, 7, 8, 15, 16, 24, 32, 240] {
            let data: Vec<u8> = (0..len).collect();
            let whole =
                if data.len().is_multiple_of(size) { data.clone() } else { oracle::padded(&data, size) };
            let expected: Vec<u8> = whole.chunks(size).flat_map(|block| key.e(block)).collect();
            let got = band.ok(&format!("00880001{len:02X}{}00", hex(&data)));
            assert_eq!(got, expected);
        }
        band.expect("00880001", "6700");
        band.expect("008801010811223344556677880000", "6700");
        band.expect("00880101081122334455667788", "6A86");
        band.expect("00880002081122334455667788", "9403");
    }
    // It works with no other key: a card without one of its own kind has none.
    let keys: Vec<_> = KINDS.into_iter().filter(|kind| *kind != KeyKind::InternalAuthentication).collect();
    let mut band = Band::blank(RamMemory::default(), modules(Profile::JTT_978), kept_entries());
    issue(&mut band, &keys.iter().map(|kind| card_key(*kind, false, 0)).collect::<Vec<_>>());
    band.select();
    for index in 0..=255_u8 {
        band.expect(&format!("008800{index:02X}081122334455667788"), "9403");
    }
}

#[test]
fn secured_reading() {
    for sm4 in SETS {
        let key = Key::of(KeyKind::Maintenance, sm4);
        let mut band = issued(Profile::JTT_978, &[sm4]);
        let plain = [band.ok("00B095001E"), band.ok("00B201D480")];
        for (header, plain) in ["B09500", "B201D4"].into_iter().zip(plain) {
            for cla in ["04", "84"] {
                for len in [4, 8] {
                    let read = key.secured(&mut band, len, &format!("{cla}{header}"), &[]);
                    assert_eq!(band.ok(&format!("{read}00")), plain);
                    band.expect(&format!("{read}00"), "6984");
                    let read = key.secured(&mut band, len, &format!("{cla}{header}"), &[]);
                    assert_eq!(band.ok(&format!("{read}05")), plain[..5]);
                }
                band.ok("0084000004");
                band.expect(&format!("{cla}{header}00"), "6987");
                band.ok("0084000004");
                band.expect(&format!("{cla}{header}020102"), "6700");
                band.ok("0084000004");
                band.expect(&format!("{cla}{header}050102030405"), "6700");
                band.expect(&format!("{cla}{header}0401020304"), "6984");
            }
        }
        // Two wrong ones and a right one, and again; the third in a row ends it.
        for _ in 0..2 {
            for _ in 0..2 {
                let read = key.secured(&mut band, 4, "04B09500", &[]);
                band.expect(&wrong(&read), "6988");
            }
            let read = key.secured(&mut band, 4, "04B09500", &[]);
            band.ok(&format!("{read}00"));
        }
        for answer in ["6988", "6988", "9303"] {
            let read = key.secured(&mut band, 4, "04B09500", &[]);
            band.expect(&wrong(&read), answer);
        }
        band.expect("0084000004", "9303");
    }
}

#[test]
fn keys_can_count_for_themselves() {
    let profile = {
        let mut profile = Profile::JTT_978;
        profile.secured_errors = SecuredErrors::Key;
        profile
    };
    for sm4 in SETS {
        let key = Key::of(KeyKind::Maintenance, sm4);
        let mut band = issued(profile, &[sm4]);
        for _ in 0..2 {
            for _ in 0..2 {
                let update = key.secured(&mut band, 4, "04D69509", &[0]);
                band.expect(&wrong(&update), "6988");
            }
            let update = key.secured(&mut band, 4, "04D69509", &[0]);
            band.expect(&update, "9000");
        }
        for _ in 0..2 {
            let block = key.secured(&mut band, 4, "841E0000", &[]);
            band.expect(&wrong(&block), "6988");
        }
        let block = key.secured(&mut band, 4, "841E0000", &[]);
        band.expect(&block, "9000");
        let unblock = key.secured(&mut band, 4, "84180000", &[]);
        band.expect(&unblock, "9000");
        for answer in ["6988", "6988", "6983", "6983"] {
            let update = key.secured(&mut band, 8, "04D69509", &[0]);
            band.expect(&wrong(&update), answer);
        }
        let update = key.secured(&mut band, 8, "04D69509", &[0]);
        band.expect(&update, "6983");
        // The key is blocked, the application is not, and the control key brings the other back.
        band.ok(&format!("805001020B0100000001{TERMINAL}0F"));
        let control = Key::of(KeyKind::Control, sm4);
        let algorithm = if sm4 { 4 } else { 1 };
        let data = control.seal(&write_key(0x36, 2, algorithm, 0, key.value));
        let write = control.secured(&mut band, 4, "84D43601", &data);
        band.expect(&write, "9000");
        let update = key.secured(&mut band, 8, "04D69509", &[0]);
        band.expect(&update, "9000");
    }
}

#[test]
fn encrypted_updates() {
    for (sm4, padding) in [(false, Padding::IfNeeded), (true, Padding::IfNeeded), (false, Padding::Always)] {
        let profile = {
            let mut profile = Profile::JTT_978;
            profile.encrypted_files = &[0x15, 0x1A];
            profile.sealed_padding = padding;
            profile
        };
        let key = Key::of(KeyKind::Maintenance, sm4);
        let always = padding == Padding::Always;
        let seal = |data: &[u8]| oracle::sealed(sm4, &key.value, always, data);
        let mut band = issued(profile, &[sm4]);
        // 1, 7, 8 and 15 bytes: with a length before them they do and do not fill blocks.
        for (n, len) in (1..).zip([1, 7, 8, 15]) {
            let data = vec![n; len];
            let cla = if n % 2 == 0 { "84" } else { "04" };
            let update = key.secured(&mut band, 4, &format!("{cla}D69500"), &seal(&data));
            band.expect(&update, "9000");
            assert_eq!(band.ok("00B095001E")[..len], data);
        }
        // The other rule of padding, data in clear, and a broken length, all with a right MAC.
        let size = if sm4 { 16 } else { 8 };
        let other = oracle::sealed(sm4, &key.value, !always, &vec![9; size - 1]);
        for data in [other, vec![9; size], vec![9; size - 1], key.e(&vec![0xFF; size])] {
            let update = key.secured(&mut band, 4, "04D69500", &data);
            band.expect(&update, "6A80");
        }
        band.ok("0084000004");
        band.expect("04D69500", "6987");
        band.expect(&format!("04D69500{:02X}{}", size + 4, "00".repeat(size + 4)), "6984");
        band.expect("00D695000101", "6982");
        let record = band.ok("00B201D480");
        let changed = [&record[..100], &[7; 28]].concat();
        let update = key.secured(&mut band, 8, "04DC01D4", &seal(&changed));
        band.expect(&update, "9000");
        assert_eq!(band.ok("00B201D480"), changed);
        let third = [&[0x27, 0x03, 0x10][..], &[5; 16]].concat();
        let append = key.secured(&mut band, 8, "04E200D0", &seal(&third));
        band.expect(&append, "9000");
        assert_eq!(band.ok("00B203D400"), third);
        // A file that does not want it takes its data as they are.
        let update = key.secured(&mut band, 8, "04D69600", &[1, 2, 3]);
        band.expect(&update, "9000");
        assert_eq!(band.ok("00B0960003"), [1, 2, 3]);
    }
}

/// INITIALIZE FOR PURCHASE with key `index`: version and algorithm it answers.
fn purchase_key(band: &mut RamBand, index: u8) -> [u8; 2] {
    let answer = band.ok(&format!("805001020B{index:02X}00000001{TERMINAL}0F"));
    [answer[9], answer[10]]
}

#[test]
fn writing_keys() {
    for sm4 in SETS {
        let control = Key::of(KeyKind::Control, sm4);
        let algorithm = if sm4 { 4 } else { 1 };
        let mut band = issued(Profile::JTT_978, &[sm4]);
        let mut write = |header: &str, data: &[u8], answer: &str| {
            let command = control.secured(&mut band, 4, header, data);
            band.expect(&command, answer);
            if answer == "9000" {
                band.expect(&command, "6984");
            }
            band.retap();
            band.select();
        };
        let key = |cos_type| write_key(cos_type, 7, algorithm, 0, [0x5A; 16]);
        write("84D40102", &control.seal(&key(0x3E)), "9000");
        write("84D40102", &control.seal(&key(0x3E)), "6985");
        write("84D43E03", &control.seal(&key(0x3E)), "9403");
        write("84D43E02", &control.seal(&key(0x3F)), "6A80");
        write("84D43502", &control.seal(&key(0x3E)), "6A86");
        write("84D40003", &control.seal(&key(0x3E)), "6A86");
        write("84D40103", &control.seal(&key(0x35)), "6A80");
        write("84D40103", &control.seal(&write_key(0x3E, 7, 9, 0, [1; 16])), "6A80");
        write("84D40103", &control.seal(&write_key(0x3E, 7, algorithm, 16, [1; 16])), "6A80");
        write("84D40103", &control.seal(&key(0x3E)[..19]), "6700");
        write("84D40103", &control.seal(&[&key(0x3E)[..], &[0]].concat()), "6700");
        write("84D40103", &key(0x3E), "6A80");
        write("84D43E01", &control.seal(&write_key(0x3E, 8, algorithm, 0, [0x5B; 16])), "9000");
        assert_eq!(purchase_key(&mut band, 1), [8, algorithm]);
        assert_eq!(purchase_key(&mut band, 2), [7, algorithm]);
        band.expect(&format!("805001020B0300000001{TERMINAL}0F"), "9403");
        // No other key writes keys; the control key can be replaced, and the new one counts from then on.
        let maintenance = Key::of(KeyKind::Maintenance, sm4);
        let data = maintenance.seal(&key(0x3F));
        let command = maintenance.secured(&mut band, 4, "84D43F01", &data);
        band.expect(&command, "6988");
        let new = Key { sm4, value: [0xC3; 16] };
        let data = control.seal(&write_key(0x41, 1, algorithm, 0, new.value));
        let command = control.secured(&mut band, 8, "84D44101", &data);
        band.expect(&command, "9000");
        band.ok("0084000004");
        band.expect("84D44101", "6987");
        band.ok("0084000004");
        band.expect("84D44101020102", "6700");
        let again = new.secured(&mut band, 4, "84D40104", &new.seal(&key(0x3E)));
        band.expect(&again, "9000");
        for answer in ["6988", "6988", "9303"] {
            let old = control.secured(&mut band, 4, "84D40105", &control.seal(&key(0x3E)));
            band.expect(&old, answer);
        }
        band.expect("80D4", "6700");
    }
    // In clear: never in the field.
    let mut band = issued(Profile::JTT_978, &[false]);
    let key = hex(&write_key(0x3E, 7, 1, 0, [0x5A; 16]));
    band.expect(&format!("80D4010214{key}"), "6985");
}

#[test]
fn keys_in_clear_only_before_there_is_a_purse() {
    let profile = {
        let mut profile = Profile::JTT_978;
        profile.plain_keys = true;
        profile
    };
    let key = hex(&write_key(0x3E, 7, 1, 0, [0x5A; 16]));
    let mut band = Band::blank(RamMemory::default(), modules(profile), kept_entries());
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    assert_eq!(band.select(), []);
    band.expect(&format!("80D4010214{key}"), "9000");
    band.expect(&format!("80D4010214{key}"), "6985");
    band.expect(&format!("80D43E0214{key}"), "9000");
    band.expect(&format!("80D43E0114{key}"), "9403");
    band.expect(&format!("80D4010113{}", &key[2..]), "6700");
    band.expect(&format!("80D4010114{}", key.replacen("3E", "3B", 1)), "6A80");
    band.ok("00A4040008A00000015100000000");
    for (dgi, value) in world::groupings(world::FULL_PURSE) {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(&value)));
    }
    band.select();
    assert_eq!(purchase_key(&mut band, 2), [7, 1]);
    band.expect(&format!("80D4010314{key}"), "6985");
    // The other way: the profile forbids it from the beginning.
    let mut band = Band::blank(RamMemory::default(), modules(Profile::JTT_978), kept_entries());
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    band.expect("00A4040008A00000063201010500", "6985");
}

/// A purchase with the keys of this set, by hand.
fn pays_with(band: &mut RamBand, sm4: bool) {
    let answer = band.ok(&format!("805001020B0100000001{TERMINAL}0F"));
    assert_eq!(answer[9..11], if sm4 { [0x40, 4] } else { [0x10, 1] });
    let dpk = Key::of(KeyKind::Purchase, sm4);
    let message = bytes(&format!("0000000106{TERMINAL}{DATE_TIME}"));
    let mac1 = if sm4 {
        let block = [&answer[11..15], &answer[4..6], &[0x02, 0x03]].concat();
        let inverse: Vec<u8> = block.iter().map(|byte| !byte).collect();
        let session = oracle::sm4(&dpk.value, &[block, inverse].concat());
        oracle::sm4_secured(&session, &[], &message)
    } else {
        let session = oracle::purchase_session(&dpk.value, &answer[11..15], &answer[4..6], &[0, 1, 2, 3]);
        oracle::mac(&session, &message)
    };
    band.ok(&format!("805401000F00010203{DATE_TIME}{}08", hex(&mac1)));
}

#[test]
fn choosing_the_algorithm() {
    let (tdes, sm4) = (Key::of(KeyKind::Maintenance, false), Key::of(KeyKind::Maintenance, true));
    let mut band = issued(Profile::JTT_978, &[false, true]);
    band.expect("80CD000001", "01 9000");
    pays_with(&mut band, false);
    band.expect("80CD010000", "6987");
    band.expect("80CD040001", "6A86");
    band.expect("80CD000101", "6A86");
    band.expect("80CD00000401020304", "6700");
    band.ok("0084000004");
    band.expect("84CD0200", "6987");
    band.expect("84CD02000401020304", "6984");
    band.ok("0084000004");
    band.expect("84CD0200050102030405", "6700");
    for header in ["84CD0000", "84CD0400", "84CD0201"] {
        let change = tdes.secured(&mut band, 4, header, &[]);
        band.expect(&change, "6A86");
    }
    let change = sm4.secured(&mut band, 4, "84CD0200", &[]);
    band.expect(&change, "6988");
    let change = tdes.secured(&mut band, 8, "84CD0200", &[]);
    band.expect(&change, "9000");
    band.expect(&change, "6984");
    for _ in 0..2 {
        band.expect("80CD000001", "04 9000");
        pays_with(&mut band, true);
        band.retap();
        band.select();
    }
    let back = tdes.secured(&mut band, 4, "84CD0100", &[]);
    band.expect(&back, "6988");
    let back = sm4.secured(&mut band, 4, "84CD0100", &[]);
    band.expect(&back, "9000");
    pays_with(&mut band, false);
    let change = tdes.secured(&mut band, 8, "84CD0200", &[]);
    band.expect(&change, "9000");
    let block = sm4.secured(&mut band, 8, "84CD0300", &[]);
    band.expect(&block, "9000");
    for header in ["84CD0100", "84CD0200", "84CD0300"] {
        let change = sm4.secured(&mut band, 8, header, &[]);
        band.expect(&change, "6985");
    }
    band.expect("80CD000001", "04 9000");
    pays_with(&mut band, true);
}

#[test]
fn a_set_that_lacks_keys_cannot_be_chosen() {
    for sm4 in SETS {
        let mut band = issued(Profile::JTT_978, &[sm4]);
        let key = Key::of(KeyKind::Maintenance, sm4);
        band.expect("80CD000001", if sm4 { "04 9000" } else { "01 9000" });
        // All but one key of the other set.
        let [first, others @ ..] = KINDS;
        personalise_keys(&mut band, &others.map(|kind| card_key(kind, !sm4, 0)));
        if sm4 {
            // Nothing chosen: the 3DES keys are used where there are any.
            band.select();
            band.expect("80CD000001", "01 9000");
            continue;
        }
        band.select();
        let change = key.secured(&mut band, 4, "84CD0200", &[]);
        band.expect(&change, "6A88");
        band.expect("80CD000001", "01 9000");
        personalise_keys(&mut band, &[card_key(first, true, 0)]);
        band.select();
        let change = key.secured(&mut band, 4, "84CD0200", &[]);
        band.expect(&change, "9000");
    }
    // Other schemes do not have the command.
    let without = {
        let mut profile = Profile::JTT_978;
        profile.algorithm = Profile::PBOC.algorithm;
        profile
    };
    let mut band = issued(without, &[false]);
    band.expect("80CD000001", "6D00");
    let change = Key::of(KeyKind::Maintenance, false).secured(&mut band, 4, "84CD0200", &[]);
    band.expect(&change, "6D00");
}

#[test]
fn a_change_of_keys_ends_an_authentication() {
    let profile = {
        let mut profile = Profile::JTT_978;
        profile.authenticated_files = &[0x16];
        profile
    };
    let mut band = issued(profile, &[false, true]);
    let authentication = Key::of(KeyKind::ExternalAuthentication, false);
    let right = external(&mut band, authentication, 8);
    band.expect(&right, "9000");
    band.ok("00B0960037");
    let change = Key::of(KeyKind::Maintenance, false).secured(&mut band, 8, "84CD0200", &[]);
    band.expect(&change, "9000");
    band.expect("00B0960037", "6982");
}

#[test]
fn a_grey_locked_purse_keeps_its_keys() {
    let profile = {
        let mut profile = Profile::FUEL;
        profile.algorithm = Profile::JTT_978.algorithm;
        profile
    };
    let mut band = fuel::issued(profile);
    band.select();
    for (command, answer) in [("84D4010104", "9403"), ("84CD020004", "6988")] {
        band.ok("0084000004");
        band.expect(&format!("{command}01020304"), answer);
    }
    fuel::lock(&mut band, &profile, 1);
    for command in ["84D4010104", "84CD020004"] {
        band.ok("0084000004");
        band.expect(&format!("{command}01020304"), "9408");
    }
}

#[test]
fn the_trace_knows_the_commands() {
    for (header, name) in [
        ([0x00, 0x82], "EXTERNAL AUTHENTICATE"),
        ([0x00, 0x88], "INTERNAL AUTHENTICATE"),
        ([0x04, 0xB0], "READ BINARY"),
        ([0x84, 0xB2], "READ RECORD"),
        ([0x84, 0xD6], "UPDATE BINARY"),
        ([0x84, 0xDC], "UPDATE RECORD"),
        ([0x04, 0xE2], "APPEND RECORD"),
        ([0x80, 0xCD], "GET ALGORITHM"),
        ([0x84, 0xCD], "CHANGE ALGORITHM"),
        ([0x84, 0xD4], "WRITE KEY"),
        ([0x80, 0xDC], "UPDATE CAPP DATA CACHE"),
    ] {
        assert_eq!(command::name(header[0], header[1], 0x01), Some(name));
    }
}

#[test]
fn key_types_and_kinds() {
    for code in 0..=255 {
        if let Some(kind) = KeyKind::from_code(code) {
            assert_eq!(command::kind_of_cos_type(command::cos_type(kind)), Some(kind), "{}", kind.name());
        }
        if let Some(kind) = command::kind_of_cos_type(code) {
            assert_eq!(command::cos_type(kind), code);
        }
    }
    assert_eq!(command::kind_of_cos_type(command::ADD_KEY), None, "P1 tells adding from replacing");
}
