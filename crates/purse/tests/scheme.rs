//! One module, cards of every scheme: each instance follows the scheme it was told, and keeps it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::personalisation::{
    Condition, DGI_FILE, DGI_FILE_CONTENT, DGI_PUBLIC_INFO, DGI_SCHEME, FileData, Shape,
};
use huiwan_purse::profile::Profile;
use huiwan_purse::scheme::{Scheme, Settings};
use proptest::prelude::*;
use world::bank::{debit, groupings, issued, personalise, store};
use world::by_hand::{init, wrong_mac};
use world::{Band, Cut, RamBand, RamMemory, hex, kept_entries, modules, public_info};

const SELECT_ISSUER: &str = "00A4040008A00000015100000000";

/// The module of JT/T 978, its instance installed with these parameters.
fn installed(parameters: &[u8]) -> RamBand {
    let mut band = Band::blank(RamMemory::default(), modules(Profile::JTT_978), kept_entries());
    band.ok(SELECT_ISSUER);
    band.ok(&install(parameters));
    band
}

fn install(parameters: &[u8]) -> String {
    match parameters.len() {
        0 => "80E60000".into(),
        len => format!("80E60000{len:02X}{}", hex(parameters)),
    }
}

fn bytes(scheme: Scheme) -> Vec<u8> {
    scheme.write(&mut [0; Scheme::MAX_LEN]).to_vec()
}

/// What tells the schemes apart from outside: existence and answers of commands of one scheme or another.
fn probe(band: &mut RamBand) -> Vec<Vec<u8>> {
    let commands = [
        "805C000104",
        "805C000204",
        "805C010204",
        "80CA000009",
        "E07A08020701300089000340",
        "8050040107013000890003400F",
        "8050050207013000890003400F",
        "00B201D400",
        "00B201F400",
        "00B201BC00",
        "00B201CC00",
    ];
    let mut answers = vec![band.select()];
    for command in commands {
        answers.push(band.send(&huiwan_testkit::hex(command)));
    }
    // Random numbers differ with what came before.
    for answer in &mut answers {
        if answer.len() == 17 {
            answer[11..15].fill(0);
        }
    }
    answers
}

#[test]
fn an_instance_follows_the_scheme_of_its_installation() {
    for profile in Profile::ALL {
        let mut told = installed(&[profile.code]);
        personalise(&mut told, &groupings(*profile));
        let mut told_late = installed(&[]);
        told_late.ok(&store(DGI_SCHEME, &[profile.code]));
        personalise(&mut told_late, &groupings(*profile));
        let own = probe(&mut issued(*profile));
        assert_eq!(probe(&mut told), own, "{}", profile.name);
        assert_eq!(probe(&mut told_late), own, "{}", profile.name);
        // It is durable.
        told.retap();
        assert_eq!(probe(&mut told), own, "{}", profile.name);
    }
}

#[test]
fn a_modules_own_profile_comes_before_the_known_one_of_its_code() {
    let mut own = Profile::PBOC;
    own.mac_error_limit = 1;
    let mut band = Band::blank(RamMemory::default(), modules(own), kept_entries());
    band.ok(SELECT_ISSUER);
    band.ok(&install(&[own.code]));
    personalise(&mut band, &groupings(own));
    band.select();
    wrong_mac(&mut band, "6985");
}

#[test]
fn what_is_no_scheme_is_refused_and_changes_nothing() {
    let settings = Settings::of(&Profile::PBOC);
    let sound = bytes(Scheme { profile: 2, settings: Some(settings) });
    let changed = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        bytes
    };
    let unsound = [
        changed(1, 0),
        changed(1, 2),
        changed(2, 0),
        changed(3, 0),
        changed(4, 0),
        changed(4, 16),
        changed(5, 9),
        changed(5, 255),
        changed(6, 0x08),
        [&sound[..7], &[0, 0]].concat(),
        sound[..8].to_vec(),
        [&sound[..], &[0]].concat(),
        vec![2, 1],
    ];
    let mut band = installed(&[]);
    let before = band.memory().objects.clone();
    for scheme in &unsound {
        assert!(Scheme::parse(scheme).is_err(), "{}", hex(scheme));
        band.expect(&install(scheme), "6A80");
        band.expect(&store(DGI_SCHEME, scheme), "6A80");
    }
    for unknown in [&[0][..], &[7], &[0xFF], &changed(0, 0x55)] {
        band.expect(&install(unknown), "6A81");
        band.expect(&store(DGI_SCHEME, unknown), "6A81");
    }
    band.expect("80E20000020003", "6A80");
    assert_eq!(band.memory().objects, before);
}

#[test]
fn the_scheme_stays_once_anything_depends_on_it() {
    let mut band = installed(&[2]);
    band.ok(&store(DGI_SCHEME, &[3]));
    band.ok(&store(DGI_PUBLIC_INFO, public_info().as_bytes()));
    band.expect(&store(DGI_SCHEME, &[2]), "6985");
    // A grouping whose answer was lost is sent again.
    band.ok(&store(DGI_SCHEME, &[3]));
    // A new installation begins anew.
    band.ok(&install(&[]));
    band.ok(&store(DGI_SCHEME, &[2]));
}

/// A session remembers its scheme only when nothing can change it any more, and the issuer's own files not at all.
#[test]
fn what_another_channel_brings_counts_at_once() {
    let mut open = Profile::PBOC;
    open.plain_keys = true;
    let mut band = Band::blank(RamMemory::default(), modules(open), kept_entries());
    band.ok(SELECT_ISSUER);
    band.ok(&install(&[]));
    assert_eq!(band.ok("0070000001"), [1]);
    band.ok("01A4040008A00000063201010500");
    // GET AUTHENTICATION CODE is known to one of the two schemes.
    band.expect("81CA000009", "6D00");
    band.ok(&store(DGI_SCHEME, &[Profile::CJT_166.code]));
    band.expect("81CA000009", "6A88");
    band.ok(&store(DGI_SCHEME, &[open.code]));
    band.expect("81CA000009", "6D00");
    band.ok(&store(DGI_SCHEME, &[Profile::CJT_166.code]));
    personalise(&mut band, &groupings(Profile::CJT_166));
    band.ok("815C000204");
    band.ok("81CA000009");
    // Remembered now, and nobody can change it.
    band.expect(&store(DGI_SCHEME, &[open.code]), "6985");
    band.ok("81CA000009");
    // A file made and filled meanwhile.
    band.expect("01B0870004", "6A82");
    let file = FileData {
        fid: 0xEF07,
        sfi: 7,
        shape: Shape::Transparent { size: 4 },
        read: Condition::Free,
        update: Condition::Never,
    };
    band.ok(&store(DGI_FILE, &file.to_bytes()));
    band.expect("01B0870004", "00000000 9000");
    band.ok(&store(DGI_FILE_CONTENT, &huiwan_testkit::hex("EF07000001020304")));
    band.expect("01B0870004", "01020304 9000");
    band.expect("01A4000002EF07", "9000");
    band.expect("01B0000004", "01020304 9000");
}

#[test]
fn a_torn_choice_is_the_old_or_the_new_one() {
    for (cut, expected) in [(Cut::Before, 2), (Cut::After, 3)] {
        let mut band = installed(&[2]);
        band.memory().cut = Some(cut);
        band.expect(&store(DGI_SCHEME, &[3]), "6581");
        band.retap();
        band.ok(SELECT_ISSUER);
        personalise(&mut band, &groupings(Profile::ALL[expected - 1]));
        assert_eq!(probe(&mut band), probe(&mut issued(Profile::ALL[expected - 1])));
    }
}

#[test]
fn the_issuers_settings_replace_those_of_the_profile() {
    let settings = Settings {
        mac_error_limit: 2,
        maintenance_error_limit: 1,
        pin_tries: 5,
        log_records: 12,
        plain_updates: true,
        ed_log_pin: true,
        locked_reads: false,
        counter_end: 10,
    };
    let scheme = bytes(Scheme { profile: Profile::PBOC.code, settings: Some(settings) });
    let card = || {
        let mut band = installed(&scheme);
        personalise(&mut band, &groupings(Profile::PBOC));
        band.select();
        band
    };
    // PIN tries, and the log behind the PIN.
    let mut band = card();
    band.expect("0020000003111111", "63C4");
    band.expect("00B201C400", "6982");
    band.expect("00A40000020018", "9000");
    band.expect("00B2010400", "6982");
    band.ok("0020000003123456");
    band.expect("00B201C400", "6A83");
    // An update without a MAC.
    band.ok("00D6951C02ABCD");
    // Two wrong MACs lock, and then nothing is read.
    let mut band = card();
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "6985");
    band.expect("805C000204", "6985");
    // One wrong maintenance MAC locks for good.
    let mut band = card();
    band.ok("0084000004");
    band.expect("841E00000400000000", "9303");
    // The card of these tests has counters 7 and 9: one purchase is left.
    let mut band = card();
    let answer = init(&mut band, 6, 1);
    band.ok(&debit(&answer, 6, 1));
    band.expect("805001020B01000000013000890003400F", "9402");
}

proptest! {
    #[test]
    fn schemes_are_written_as_they_are_read(raw in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(scheme) = Scheme::parse(&raw) {
            prop_assert_eq!(bytes(scheme), raw);
        }
    }

    #[test]
    fn settings_come_back(limits in (1_u8.., 1_u8.., 1_u8..=15, 10_u8..=254), flags in any::<[bool; 3]>(), end in 1_u16..) {
        let settings = Settings {
            mac_error_limit: limits.0,
            maintenance_error_limit: limits.1,
            pin_tries: limits.2,
            log_records: limits.3,
            plain_updates: flags[0],
            ed_log_pin: flags[1],
            locked_reads: flags[2],
            counter_end: end,
        };
        let scheme = Scheme { profile: 1, settings: Some(settings) };
        prop_assert_eq!(Scheme::parse(&bytes(scheme)), Ok(scheme));
        let profile = scheme.resolve(&Profile::JTT_978).unwrap();
        prop_assert_eq!(Settings::of(&profile), settings);
    }
}
