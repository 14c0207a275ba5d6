//! The card alone, command by command: what it answers, and with which status word it refuses. MACs come from the second
//! implementation.

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
use huiwan_purse::personalisation::PurseData;
use huiwan_purse::profile::{MacErrors, Profile, SecondInit};
use huiwan_purse::transit::rail::{self, Rail};
use world::by_hand::{
    DATE_TIME, TERMINAL, WRONG_DEBIT, bytes, credit, debit, init, init_load, key, purchase, secured,
    wrong_mac,
};
use world::{FULL_PURSE, RamBand, hex, issued, issued_with, oracle};

fn selected() -> RamBand {
    let mut band = issued();
    band.select();
    band
}

#[test]
fn fci_carries_version_and_a_copy_of_file_0015() {
    let mut band = issued();
    let public_info = hex(world::public_info().as_bytes());
    let expected = format!("6F308408A000000632010105A5249F080200019F0C1E{public_info}");
    let expected = expected.replace("6F30", "6F32").replace("A524", "A526");
    assert_eq!(hex(&band.select()), expected);
    assert_eq!(hex(&band.ok("00B095001E")), public_info);
}

#[test]
fn purchase_answers_what_the_table_says() {
    let mut band = selected();
    let answer = init(&mut band, 6, 1000);
    assert_eq!(hex(&answer[..11]), "00001388 042C 000000 01 01".replace(' ', ""));
    let got = band.ok(&debit(&answer, 6, 1000));
    let tac = bytes(&format!("000003E806{TERMINAL}00010203{DATE_TIME}"));
    assert_eq!(got[..4], oracle::tac(&key(KeyKind::Tac), &tac));
    let session =
        oracle::purchase_session(&key(KeyKind::Purchase), &answer[11..15], &answer[4..6], &bytes("00010203"));
    assert_eq!(got[4..], oracle::mac(&session, &bytes("000003E8")));
    band.expect("805C000204", "00000FA0 9000");
    assert_eq!(
        hex(&band.ok("00B201C417")),
        format!("042D 000000 000003E8 06 {TERMINAL} {DATE_TIME}").replace(' ', "")
    );
    // MAC2 ‖ TAC, the other way round, asked for by the counter after.
    let proof = [&got[4..], &got[..4]].concat();
    assert_eq!(band.ok("805A000602042D08"), proof);
    band.expect("805A000602042C08", "9406");
    band.expect("805A000902042D08", "9406");
    band.expect("805A004202042D08", "6A86");
    band.expect("805A010602042D08", "6A86");
    band.expect("805A0006010408", "6700");
    band.retap();
    band.select();
    assert_eq!(band.ok("805A000602042D08"), proof, "the proof survives power-off");
}

#[test]
fn load_answers_what_the_table_says() {
    let mut band = selected();
    let answer = init_load(&mut band, 500);
    assert_eq!(hex(&answer[..8]), "00001388 0007 01 01".replace(' ', ""));
    let session = oracle::load_session(&key(KeyKind::Load), &answer[8..12], &answer[4..6]);
    let mac1 = bytes(&format!("00001388000001F402{TERMINAL}"));
    assert_eq!(answer[12..], oracle::mac(&session, &mac1));
    let tac = band.ok(&credit(&answer, 500));
    let message = bytes(&format!("0000157C0007000001F402{TERMINAL}{DATE_TIME}"));
    assert_eq!(tac, oracle::tac(&key(KeyKind::Tac), &message), "balance after, counter before");
    band.expect("805C000204", "0000157C 9000");
    band.expect("805A000202000808", &format!("00000000{}9000", hex(&tac)));
}

#[test]
fn completion_out_of_order_is_6901() {
    let mut band = selected();
    band.expect(WRONG_DEBIT, "6901");
    band.expect("805200000B202611221417400000000004", "6901");
    band.expect("80DC00F00100", "6901");
    init_load(&mut band, 1);
    band.expect(WRONG_DEBIT, "6901");
    let answer = init(&mut band, 6, 1);
    band.expect("805200000B202611221417400000000004", "6901");
    band.expect(&debit(&answer, 6, 1), "6901");
    let answer = init(&mut band, 6, 1);
    band.expect("80DC00F00100", "6901");
    band.expect(&debit(&answer, 6, 1), "6901");
    let answer = init(&mut band, 9, 1);
    band.expect(&debit(&answer, 9, 1), "6901");
    band.expect("805C000204", "00001388 9000");
}

#[test]
fn any_other_command_drops_the_session() {
    for between in
        ["805C000204", "0084000004", "00B095001E", "00B201C417", "80FF0000", "00A4040008A000000632010105"]
    {
        let mut band = selected();
        let answer = init(&mut band, 6, 1);
        band.send(&bytes(between));
        band.expect(&debit(&answer, 6, 1), "6901");
    }
}

#[test]
fn a_second_initialisation_replaces_or_is_refused_by_profile() {
    let mut band = selected();
    init(&mut band, 6, 1);
    let answer = init(&mut band, 6, 2);
    band.ok(&debit(&answer, 6, 2));

    let mut profile = Profile::JTT_978;
    profile.second_init = SecondInit::Refused;
    let mut band = issued_with(profile, FULL_PURSE);
    band.select();
    let answer = init(&mut band, 6, 1);
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "6901");
    band.expect(&debit(&answer, 6, 1), "6901");
}

#[test]
fn le_may_be_missing_or_wrong() {
    let mut band = selected();
    band.expect("805C0002", "00001388 9000");
    band.expect("805C000200", "00001388 9000");
    band.expect("805C000210", "00001388 9000");
    band.expect("805C000202", "0000 6102");
    band.expect("00C0000002", "1388 9000");
    assert_eq!(band.ok("00B0950000").len(), 30);
    assert_eq!(band.ok("00B09500").len(), 30);
    assert_eq!(band.ok("00B201D000").len(), 128);
    assert_eq!(band.ok("00B202D0").len(), 128);
    for le in ["", "00", "10"] {
        let answer = band.ok(&format!("805001020B0100000001{TERMINAL}{le}"));
        assert_eq!(answer.len(), 15);
        let debit = debit(&answer, 6, 1);
        assert_eq!(band.ok(&format!("{}{le}", &debit[..debit.len() - 2])).len(), 8);
        let answer = band.ok(&format!("805003020B0100000000{TERMINAL}{le}"));
        band.expect(&format!("80DC00F001 05{le}"), "9000");
        let composite = world::by_hand::debit(&answer, 9, 0);
        assert_eq!(band.ok(&format!("{}{le}", &composite[..composite.len() - 2])).len(), 8);
        let answer = band.ok(&format!("805000020B0100000001{TERMINAL}{le}"));
        let credit = credit(&answer, 1);
        assert_eq!(band.ok(&format!("{}{le}", &credit[..credit.len() - 2])).len(), 4);
    }
    band.expect("805C000204", "00001388 9000");
}

#[test]
fn get_response_of_t0_does_not_end_the_session() {
    let mut band = issued();
    band.put_on_contacts();
    let select = band.send(&bytes("00A4040008A000000632010105"));
    assert_eq!(select, [0x61, 0x34]);
    assert_eq!(band.ok("00C0000034").len(), 0x34);
    band.expect("805C000200", "6C04");
    band.expect("805C000204", "00001388 9000");
    band.expect("00B0950000", "6C1E");
    assert_eq!(band.ok("00B095001E").len(), 30);
    band.expect(&format!("805003020B0100000001{TERMINAL}"), "610F");
    let answer = band.ok("00C000000F");
    band.expect("80DC00F00105", "9000");
    let debit = debit(&answer, 9, 1);
    band.expect(&debit[..debit.len() - 2], "6108");
    let debited = band.ok("00C0000008");
    band.expect("805A000902042D", "6108");
    assert_eq!(band.ok("00C0000008"), [&debited[4..], &debited[..4]].concat());
    band.expect("805C000204", "00001387 9000");
    band.expect("00B201C417", &format!("042D 000000 00000001 09 {TERMINAL} {DATE_TIME} 9000"));
}

#[test]
fn a_purchase_on_another_logical_channel() {
    let mut band = issued();
    band.expect("0070000001", "01 9000");
    band.ok("01A4040008A00000063201010500");
    band.expect("815C000204", "00001388 9000");
    assert_eq!(band.ok("01B095001E").len(), 30);
    assert_eq!(band.ok("01B201D080").len(), 128);
    let answer = band.ok(&format!("815003020B0100000001{TERMINAL}0F"));
    band.expect("81DC00F00105", "9000");
    // The basic channel, where the domain is selected, is another session.
    band.expect("805C000204", "6D00");
    let debit = debit(&answer, 9, 1);
    band.ok(&format!("81{}", &debit[2..]));
    band.expect("815C000204", "00001387 9000");
}

#[test]
fn replays_are_refused() {
    let mut band = selected();
    let answer = init(&mut band, 6, 10);
    let first = debit(&answer, 6, 10);
    band.ok(&first);
    band.expect(&first, "6901");
    init(&mut band, 6, 10);
    band.expect(&first, "9302");
    let answer = init_load(&mut band, 10);
    let first = credit(&answer, 10);
    band.ok(&first);
    init_load(&mut band, 10);
    band.expect(&first, "9302");
    band.expect("805C000204", "00001388 9000");
}

#[test]
fn lengths_and_parameters_are_checked() {
    let mut band = selected();
    band.expect(&format!("805001020A01000000013000890003{}0F", "00"), "6700");
    band.expect(&format!("805001020C0100000001{TERMINAL}000F"), "6700");
    band.expect(&format!("805001010B0100000001{TERMINAL}0F"), "6A86");
    band.expect(&format!("805009020B0100000001{TERMINAL}0F"), "6A86");
    band.expect(&format!("805001020B0200000001{TERMINAL}0F"), "9403");
    band.expect(&format!("805000020B0200000001{TERMINAL}10"), "9403");
    band.expect(&format!("805001020B0100001389{TERMINAL}0F"), "9401");
    band.expect(&format!("805000020B0100017319{TERMINAL}10"), "6985");
    band.expect(&format!("805000020B01FFFFFFFF{TERMINAL}10"), "6985");
    init(&mut band, 6, 1);
    band.expect("805401000E000102032026112214174000000008", "6700");
    init(&mut band, 6, 1);
    band.expect("805402000F00010203202611221417400000000008", "6A86");
    init_load(&mut band, 1);
    band.expect("805200000A2026112214174000000004", "6700");
    init_load(&mut band, 1);
    band.expect("805200010B202611221417400000000004", "6A86");
    band.expect("805C060204", "6A86");
    band.expect("805C000104", "6A86");
    band.expect("80FF0000", "6D00");
    band.expect("90500000", "6E00");
    band.expect("0084000005", "6700");
    band.expect("0084010004", "6A86");
    band.expect("805C000204", "00001388 9000");
}

#[test]
fn wrong_macs_lock_at_the_third_and_success_starts_anew() {
    let mut band = selected();
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "9302");
    purchase(&mut band, 1);
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "6985");
    // Locked: nothing moves money; reading goes on; SELECT says so.
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "6985");
    band.expect(&format!("805000020B0100000001{TERMINAL}10"), "6985");
    band.expect("805C000204", "00001387 9000");
    band.expect("00B201C417", "042D0000000000000106300089000340202611221417409000");
    let select = band.send(&bytes("00A4040008A00000063201010500"));
    assert_eq!(select[select.len() - 2..], [0x62, 0x83]);
    assert_eq!(select[0], 0x6F);
    // Unblocked: the count starts anew.
    let unblock = secured(&mut band, "84180000", "");
    band.expect(&unblock, "9000");
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "9302");
    purchase(&mut band, 1);
}

#[test]
fn wrong_mac2_of_a_load_counts_too() {
    let mut band = selected();
    for answer in ["9302", "9302", "6985"] {
        init_load(&mut band, 1);
        band.expect("805200000B202611221417400000000004", answer);
    }
    let select = band.send(&bytes("00A4040008A00000063201010500"));
    assert_eq!(select[select.len() - 2..], [0x62, 0x83]);
}

#[test]
fn wrong_macs_of_a_composite_purchase_count_by_profile() {
    for counted in [true, false] {
        let mut profile = Profile::JTT_978;
        profile.composite_mac_errors = counted;
        let mut band = issued_with(profile, FULL_PURSE);
        band.select();
        for n in 0..5 {
            let init = format!("805003020B0100000000{TERMINAL}0F");
            if counted && n > 2 {
                band.expect(&init, "6985");
                continue;
            }
            band.ok(&init);
            band.ok("80DC00F00106");
            band.expect(WRONG_DEBIT, if counted && n == 2 { "6985" } else { "9302" });
        }
    }
}

#[test]
fn counting_before_the_check_survives_a_power_cut() {
    let mut profile = Profile::JTT_978;
    profile.mac_errors = MacErrors::BeforeCheck;
    let mut band = issued_with(profile, FULL_PURSE);
    band.select();
    wrong_mac(&mut band, "9302");
    for _ in 0..2 {
        // Power is cut right after the count is written: no answer, but the try is spent.
        init(&mut band, 6, 1);
        band.memory().cut = Some(world::Cut::After);
        band.expect(WRONG_DEBIT, "6581");
        band.retap();
        band.send(&bytes("00A4040008A00000063201010500"));
    }
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "6985");

    let mut band = issued_with(profile, FULL_PURSE);
    band.select();
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "9302");
    purchase(&mut band, 1);
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "9302");
    wrong_mac(&mut band, "6985");
}

#[test]
fn counters_at_their_end_answer_9402() {
    let purse = PurseData { offline_seq: 0xFFFE, online_seq: 0xFFFE, ..FULL_PURSE };
    let mut band = issued_with(Profile::JTT_978, purse);
    band.select();
    purchase(&mut band, 1);
    let answer = init_load(&mut band, 1);
    band.ok(&credit(&answer, 1));
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "9402");
    band.expect(&format!("805003020B0100000000{TERMINAL}0F"), "9402");
    band.expect(&format!("805000020B0100000001{TERMINAL}10"), "9402");
    band.expect("805A000202FFFF08", &format!("00000000{}9000", hex(&band.trace[2 + 2].1[..4])));
}

fn rail_record(state: u8) -> String {
    hex(Rail::new().with(rail::STATE, [state]).as_bytes())
}

#[test]
fn composite_purchase_writes_its_records_with_the_debit_and_not_before() {
    let mut band = selected();
    let before = hex(&band.ok("00B201D080"));
    let answer = init(&mut band, 9, 0);
    band.expect(&format!("80DC01D080{}", rail_record(1)), "9000");
    // The same rail record again: the last one counts.
    band.expect("80DC00F0020506", "9000");
    band.expect(&format!("80DC01D080{}", rail_record(2)), "9000");
    band.ok(&debit(&answer, 9, 0));
    assert_ne!(hex(&band.ok("00B201D080")), before);
    assert_eq!(hex(&band.ok("00B201D480")), rail_record(2));
    assert_eq!(hex(&band.ok("00B201F430")), format!("0506{}", "00".repeat(46)), "filled up with zeros");
    band.expect("00B202F430", "6A83");
    assert_eq!(hex(&band.ok("00B201C417"))[..20], *"042D0000000000000009");

    // A session that is dropped writes nothing.
    init(&mut band, 9, 0);
    band.expect(&format!("80DC01D080{}", rail_record(1)), "9000");
    band.expect("805C000204", "00001388 9000");
    assert_eq!(hex(&band.ok("00B201D480")), rail_record(2));
}

#[test]
fn update_capp_data_cache_refuses_what_does_not_fit() {
    let mut band = selected();
    let other_id = format!("2702{}", &rail_record(1)[4..]);
    let wrong_inner = format!("27017C{}", &rail_record(1)[6..]);
    for (command, answer) in [
        (format!("80DC09D080{}", rail_record(1)), "6A83"),
        (format!("80DC01C880{}", rail_record(1)), "6A82"),
        ("80DC01C00101".into(), "6981"),
        ("80DC00A80101".into(), "6981"),
        (format!("80DC01D081{}00", rail_record(1)), "6A84"),
        (format!("80DC01D080{other_id}"), "6A80"),
        (format!("80DC01D080{wrong_inner}"), "6A80"),
        (format!("80DC00F031{}", "04".repeat(49)), "6A84"),
        (format!("80DC01F030{}", "04".repeat(48)), "6A86"),
        (format!("80DC01D480{}", rail_record(1)), "6A86"),
        ("80DC01D0".into(), "6700"),
    ] {
        let init = init(&mut band, 9, 0);
        band.expect(&command, answer);
        band.expect(&debit(&init, 9, 0), "6901");
    }
    // A shorter record with a fitting inner length is filled up.
    let answer = init(&mut band, 9, 0);
    band.expect("80DC01D008270105 0101000000", "9000");
    band.ok(&debit(&answer, 9, 0));
    // The lock flag is in that record now.
    let answer = init(&mut band, 9, 0);
    band.expect("80DC01D008270105 0101010000", "9000");
    band.ok(&debit(&answer, 9, 0));
    init(&mut band, 9, 0);
    band.expect(&format!("80DC01D080{}", rail_record(1)), "9407");
}

#[test]
fn the_cache_has_an_end() {
    let mut band = selected();
    let answer = init(&mut band, 9, 0);
    for _ in 0..5 {
        band.expect(&format!("80DC00F030{}", "04".repeat(48)), "9000");
    }
    band.expect(&format!("80DC00F030{}", "04".repeat(48)), "6A84");
    band.expect(&debit(&answer, 9, 0), "6901");
    let answer = init(&mut band, 9, 0);
    for n in 1..=5 {
        band.expect(&format!("80DC00F030{}", format!("0{n}").repeat(48)), "9000");
    }
    band.ok(&debit(&answer, 9, 0));
    for n in 1..=5 {
        assert_eq!(hex(&band.ok(&format!("00B20{}F430", 6 - n))), format!("0{n}").repeat(48));
    }
    band.expect("00B206F430", "6A83");
}

#[test]
fn cyclic_files_keep_their_newest() {
    let mut band = selected();
    for amount in 1..=25 {
        purchase(&mut band, amount);
    }
    for n in 1..=10_u32 {
        let record = band.ok(&format!("00B2{n:02X}C417"));
        assert_eq!(record[5..9], (26 - n).to_be_bytes());
    }
    band.expect("00B20BC417", "6A83");
    band.expect("00B200C417", "6A83");
}

#[test]
fn a_locked_card_answers_select_by_identifier_with_its_warning() {
    let mut band = selected();
    let fci = band.ok("00A4040008A00000063201010500");
    for fid in ["3F00", "1001", "3F01"] {
        assert_eq!(band.ok(&format!("00A4000002{fid}00")), fci);
    }
    let block = world::by_hand::secured(&mut band, "841E0000", "");
    band.expect(&block, "9000");
    for fid in ["3F00", "1001", "3F01"] {
        band.expect(&format!("00A4000002{fid}00"), &format!("{} 6283", hex(&fci)));
    }
    band.expect("00A4000002001500", "9000");
    band.expect("805003020B01000000001300089000340F", "6985");
}

#[test]
fn files_answer_iso_status_words() {
    let mut band = selected();
    for fid in ["1002", "DF01"] {
        band.expect(&format!("00A4000002{fid}00"), "6A82");
        band.expect(&format!("00A4000002{fid}"), "6A82");
    }
    band.expect("00B094001E", "6A82");
    band.expect("00B000001E", "6986");
    band.expect("00B098001E", "6981");
    band.expect("00B0951E01", "6B00");
    band.expect("00B095001F", "6C1E");
    band.expect("00B0951C02", "0000 9000");
    band.expect("00B0001C02", "0000 9000");
    band.expect("00B201AC00", "6981");
    band.expect("00B201CC00", "6A82");
    assert_eq!(band.ok("00B201D180"), band.ok("00B201D080"), "the last with this identifier is the first");
    band.expect("00B201D580", "6A86");
    band.expect("00B209D080", "6A83");
    band.expect("00B203D480", "6A83");
    band.expect("00B201C017", "6A83");
    band.expect("00B201D481", "6C80");
    assert_eq!(band.ok("00B201D400").len(), 128);
    assert_eq!(band.ok("00B0970000").len(), 60);
}

#[test]
fn block_unblock_and_permanent_lock() {
    let mut band = selected();
    band.expect("8418000004AABBCCDD", "6985");
    band.expect("841E000004AABBCCDD", "6984");
    band.ok("0084000004");
    band.expect("841E0000", "6987");
    band.ok("0084000004");
    band.expect("841E000003AABBCC", "6700");
    let late = secured(&mut band, "841E0000", "");
    band.ok("805C000204");
    band.expect(&late, "6984");
    let block = secured(&mut band, "841E0000", "");
    band.expect(&block, "9000");
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "6985");
    band.retap();
    band.send(&bytes("00A4040008A00000063201010500"));
    band.expect(&format!("805001020B0100000001{TERMINAL}0F"), "6985");
    let unblock = secured(&mut band, "84180000", "");
    band.expect(&unblock, "9000");
    purchase(&mut band, 1);
    let block = secured(&mut band, "841E0001", "");
    band.expect(&block, "9000");
    band.expect("805C000204", "9303");
    band.expect("0084000004", "9303");
    band.retap();
    band.expect("00A4040008A00000063201010500", "9303");
}

#[test]
fn a_challenge_of_four_or_of_eight_bytes_is_the_iv() {
    for (len, iv_len) in [("04", 4), ("08", 8)] {
        let mut band = selected();
        let challenge = band.ok(&format!("00840000{len}"));
        assert_eq!(challenge.len(), iv_len);
        let mac = oracle::secured(&key(KeyKind::Maintenance), &challenge, &bytes("841E000004"));
        band.expect(&format!("841E000004{}", hex(&mac)), "9000");
    }
}

#[test]
fn wrong_maintenance_macs_end_in_9303() {
    let mut band = selected();
    for answer in ["6988", "6988"] {
        band.ok("0084000004");
        band.expect("841E000004AABBCCDD", answer);
    }
    let block = secured(&mut band, "841E0000", "");
    band.expect(&block, "9000");
    for answer in ["6988", "6988", "9303"] {
        band.ok("0084000004");
        band.expect("8418000004AABBCCDD", answer);
    }
    band.expect("0084000004", "9303");
    band.retap();
    band.expect("00A4040008A00000063201010500", "9303");
}

#[test]
fn updates_need_a_mac_unless_the_profile_says_otherwise() {
    let mut band = selected();
    band.expect("00D6950901FF", "6982");
    band.ok("0084000004");
    band.expect("04D6950905FFAABBCCDD", "6988");
    let update = secured(&mut band, "04D69509", "00");
    band.expect(&update, "9000");
    assert_eq!(band.ok("00B095001E")[9], 0);
    let update = secured(&mut band, "04D6951D", "0000");
    band.expect(&update, "6A84");
    let update = secured(&mut band, "04D6951E", "00");
    band.expect(&update, "6B00");
    let update = secured(&mut band, "04DC01D0", &rail_record(3));
    band.expect(&update, "9000");
    assert_eq!(hex(&band.ok("00B201D480")), rail_record(3));
    let update = secured(&mut band, "04DC01D0", &rail_record(3)[..254]);
    band.expect(&update, "6A85");
    band.expect("00DC01C401FF", "6982");
    band.expect("00DC01CC01FF", "6A82");

    let mut profile = Profile::JTT_978;
    profile.plain_updates = true;
    let mut band = issued_with(profile, FULL_PURSE);
    band.select();
    band.expect("00D6950901FF", "9000");
    assert_eq!(band.ok("00B095001E")[9], 0xFF);
    band.expect(&format!("00DC01D080{}", rail_record(4)), "9000");
    let other_id = format!("2702{}", &rail_record(1)[4..]);
    band.expect(&format!("00DC01D080{other_id}"), "6A80");
}

#[test]
fn personalisation_is_checked_and_ends_with_the_first_transaction() {
    let mut band = world::Band::blank(
        world::RamMemory::default(),
        world::modules(Profile::JTT_978),
        Box::leak(Box::new(world::entries())),
    );
    band.expect("00A4040008A000000151000000 00", "9000");
    band.expect("80E60000", "9000");
    band.expect("00A4040008A00000063201010500", "6985");
    band.expect("00A4040008A00000015100000000", "9000");
    band.expect("80E20000040015AABB", "6A80");
    band.expect("80E20000041234AABB", "6A88");
    band.expect("80E20000158001010199 00000000000000000000000000000000", "6A80");
    let over_limit = PurseData { balance: 100_001, ..FULL_PURSE };
    band.expect(&format!("80E20000110002{}", hex(&over_limit.to_bytes())), "6A80");
    band.expect("80E20000061A0127017D01", "6A80");

    let mut band = selected();
    purchase(&mut band, 1);
    band.expect("00A4040008A00000015100000000", "9000");
    band.expect(&format!("80E20000110002{}", hex(&FULL_PURSE.to_bytes())), "6985");
    let rolled = format!("80E200001580010201 01{}", "22".repeat(16));
    band.expect(&rolled, "9000");
    band.select();
    band.ok(&format!("805001020B0200000001{TERMINAL}0F"));
}
