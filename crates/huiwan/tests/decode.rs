//! The trace annotator on exchanges of real cards, and on bytes no card would send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

use huiwan::trace::{Annotated, Annotator, Event, Label, Palette};
use huiwan_testkit::hex;
use huiwan_testkit::vectors::{self, Block};
use huiwan_tlv::Tag;
use proptest::prelude::*;

const TRANSCRIPTS: &str = include_str!("vectors/transcripts.txt");

/// The commands of a transcript with the responses to them, if they are known.
fn steps(block: &Block<'_>) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    (0..)
        .map_while(|step| {
            block.get(&format!("steps.{step}.command"))?;
            let command = block.bytes(&format!("steps.{step}.command"));
            let response = format!("steps.{step}.response");
            Some((
                command,
                block
                    .get(&response)
                    .filter(|text| !text.trim_matches('"').is_empty())
                    .map(|_| block.bytes(&response)),
            ))
        })
        .collect()
}

fn exchange(annotator: &mut Annotator, command: &str, response: &str) -> String {
    annotator.exchange(&hex(command), &hex(response)).to_string()
}

fn command(annotator: &mut Annotator, command: &str) -> String {
    annotator.command(&hex(command)).to_string()
}

/// Where the first malformed byte is.
fn malformed_at(said: &Annotated<'_>) -> Option<usize> {
    let mut place = None;
    said.visit(&mut |event| {
        if let (Event::Malformed { at, .. }, None) = (event, place) {
            place = Some(at);
        }
        Ok(())
    })
    .unwrap();
    place
}

/// The text form of a whole transcript.
fn tell(id: &str) -> String {
    let file = vectors::load(TRANSCRIPTS);
    let block = file.blocks().find(|block| block.id() == id).unwrap();
    let mut annotator = Annotator::new();
    steps(block)
        .iter()
        .map(|(command, response)| match response {
            Some(response) => annotator.exchange(command, response).to_string(),
            None => annotator.command(command).to_string(),
        })
        .collect()
}

#[test]
fn every_exchange_of_every_transcript_decodes() {
    let file = vectors::load(TRANSCRIPTS);
    let mut exchanges = 0;
    for block in file.blocks() {
        let mut annotator = Annotator::new();
        for (command, response) in steps(block) {
            exchanges += 1;
            let said = match &response {
                Some(response) => annotator.exchange(&command, response),
                None => annotator.command(&command),
            };
            let text = said.to_string();
            assert_eq!(malformed_at(&said), None, "{}:\n{text}", block.id());
            assert!(
                !text.contains("unknown command") && !text.contains("unknown status"),
                "{}:\n{text}",
                block.id()
            );
        }
    }
    assert_eq!(exchanges, 40);
}

#[test]
fn the_quickpass_tap_reads_as_in_the_golden_file() {
    let told = tell("upi-qpboc-online-kata");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/upi-qpboc-online-kata.txt"), &told)
            .unwrap();
    }
    assert_eq!(
        told,
        include_str!("golden/upi-qpboc-online-kata.txt"),
        "run with BLESS=1 and look at the diff"
    );
}

#[test]
fn lists_of_the_card_name_the_data_of_later_commands() {
    let told = tell("bertlv-upi-contact");
    // CDOL1 came in a record, ten commands before GENERATE AC.
    for line in [
        "→ GENERATE AC (ARQC) (80 AE 80 00)",
        "    9F02 Amount, Authorised (Numeric): 000000006580 = 65.80",
        "    9A Transaction Date: 150316 = 2015-03-16",
        "    8A Authorisation Response Code: 3030 = \"00\"",
        // Format 1 answers have no tags of their own.
        "      82 Application Interchange Profile: 7C00",
        "        file 1, records 1 to 3",
        "      9F36 Application Transaction Counter (ATC): 0006 = 6",
        "        first cryptogram ARQC",
        "        second GENERATE AC answered TC",
        "← 6A83 record not found",
    ] {
        assert!(told.lines().any(|told| told.ends_with(line.trim_start())), "{line} is not in:\n{told}");
    }
}

#[test]
fn purse_commands_are_named_by_the_selected_application() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040008A00000063201010500", "6F0E8408A000000632010105A50250009000");
    let init = exchange(
        &mut annotator,
        "805001020B 01 00000064 112233445566 0F",
        "0000138800070000000100 11223344 9000",
    );
    assert_eq!(
        init,
        "→ INITIALIZE FOR PURCHASE (80 50 01 02)\n    \
         electronic purse\n    \
           key index: 01 = 1\n    \
           amount: 00000064 = ¥1.00\n    \
           terminal number: 112233445566\n\
         ← 9000 success, 15 bytes\n    \
           balance: 00001388 = ¥50.00\n    \
           offline counter: 0007 = 7\n    \
           overdraft limit: 000000 = ¥0.00\n    \
           key version: 01 = 1\n    \
           key algorithm: 00 = 0\n    \
           card random number: 11223344\n"
    );
    let refused = exchange(&mut annotator, "805401020F000000012026112213510011223344", "9302");
    assert!(refused.contains("← 9302 transaction mac invalid\n"), "{refused}");
    // The same instruction with an eight-byte challenge is GlobalPlatform's.
    let update = command(&mut annotator, "8050010008000102030405060700");
    assert!(update.starts_with("→ INITIALIZE UPDATE"), "{update}");
}

#[test]
fn every_purse_transaction_is_taken_apart() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040009A00000000386980701", "9000");
    let unload = exchange(
        &mut annotator,
        "805005020B 01000003E8001122334455",
        "00001388 0007 01 00 11223344 A1A2A3A4 9000",
    );
    assert!(unload.starts_with("→ INITIALIZE FOR UNLOAD (80 50 05 02)\n    electronic purse\n"), "{unload}");
    assert!(unload.contains("online counter: 0007 = 7\n") && unload.contains("MAC1: A1A2A3A4"), "{unload}");
    let debit = exchange(&mut annotator, "805403000B 20261123101112 01020304", "B1B2B3B4 9000");
    assert!(debit.contains("host time: 101112 = 10:11:12\n") && debit.contains("MAC3: B1B2B3B4"), "{debit}");
    let update = exchange(
        &mut annotator,
        "805004010701001122334455",
        "00001388 0007 0003E8 01 00 11223344 A1A2A3A4 9000",
    );
    assert!(
        update.starts_with("→ INITIALIZE FOR UPDATE (80 50 04 01)\n    electronic passbook\n"),
        "{update}"
    );
    assert!(update.contains("old overdraft limit: 0003E8 = ¥10.00"), "{update}");
    let limit = exchange(&mut annotator, "805800000E 0007D0 20261123101112 01020304", "B1B2B3B4 9000");
    assert!(
        limit.contains("new overdraft limit: 0007D0 = ¥20.00") && limit.contains("TAC: B1B2B3B4"),
        "{limit}"
    );
    let lock = exchange(
        &mut annotator,
        "E07C080013 00000005 55667788 20261123101112 01020304",
        "A1A2A3A4 B1B2B3B4 9000",
    );
    assert!(lock.starts_with("→ GREY LOCK (E0 7C 08 00)\n"), "{lock}");
    assert!(lock.contains("terminal random number: 55667788") && lock.contains("GTAC: A1A2A3A4"), "{lock}");
    let unlock = exchange(
        &mut annotator,
        "E07E08021B 000003E8 0008 001122334455 00000006 20261123101112 01020304",
        "C1C2C3C4 9000",
    );
    assert!(unlock.contains("amount: 000003E8 = ¥10.00") && unlock.contains("TAC: C1C2C3C4"), "{unlock}");
    let proof = exchange(
        &mut annotator,
        "E0CA00001E",
        "01 91 02 00001388 0007 001122334455 20261123 101112 A1A2A3A4 B1B2B3B4 9000",
    );
    assert!(proof.contains("lock status: 01") && proof.contains("GTAC: B1B2B3B4"), "{proof}");
    let prove = command(&mut annotator, "805A0002020008");
    assert!(prove.contains("of a purse load") && !prove.contains("electronic"), "{prove}");
}

#[test]
fn protected_commands_show_what_can_be_seen() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040000", "6F108408A000000151000000A5049F6501FF9000");
    let update = exchange(
        &mut annotator,
        "80500000080102030405060708 00",
        "00000000000000000000 30 03 70 1112131415161718 2122232425262728 000001 9000",
    );
    let text = update;
    assert!(
        text.contains("secure channel protocol: 03 = 3") && text.contains("sequence counter: 000001 = 1"),
        "{text}"
    );
    let open = exchange(&mut annotator, "8482330010 0102030405060708 1112131415161718", "9000");
    let text = open;
    assert!(
        text.contains("command data are encrypted") && text.contains("responses are authenticated"),
        "{text}"
    );
    let status = exchange(
        &mut annotator,
        "84F240021800112233445566778899AABBCCDDEEFF0102030405060708",
        "00112233445566778899AABBCCDDEEFFA1A2A3A4A5A6A7A89000",
    );
    assert_eq!(
        status,
        "→ GET STATUS (84 F2 40 02)\n    \
           secure messaging\n    \
           encrypted data: 00112233445566778899AABBCCDDEEFF\n    \
           MAC: 0102030405060708\n\
         ← 9000 success, 24 bytes\n    \
           encrypted data: 00112233445566778899AABBCCDDEEFF\n    \
           response MAC: A1A2A3A4A5A6A7A8\n"
    );
}

#[test]
fn get_response_brings_the_data_of_the_command_before() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040007A0000000041010", "6120");
    let fci = exchange(&mut annotator, "00C0000020", "6F118407A0000000041010A5069F38039F02069000");
    assert!(fci.contains("84 Dedicated File (DF) Name: A0000000041010 = Mastercard"), "{fci}");
    // And it is remembered: the PDOL serves the next command.
    let gpo = command(&mut annotator, "80A80000088306000000000100 00");
    assert!(gpo.contains("9F02 Amount, Authorised (Numeric): 000000000100 = 1.00"), "{gpo}");
}

#[test]
fn channels_are_kept_apart() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040008A00000063201010500", "9000");
    exchange(&mut annotator, "01A4040008A00000015100000000", "9000");
    assert!(exchange(&mut annotator, "805C000204", "6A81").contains("6A81 function not supported\n"));
    let refused = exchange(&mut annotator, "81CA006600", "6A88");
    assert!(refused.contains("logical channel 1") && refused.contains("6A88 referenced data, key"));
}

#[test]
fn a_pin_is_never_shown() {
    let said = exchange(&mut Annotator::new(), "0020008008241234FFFFFFFFFF", "63C2");
    assert!(said.contains("PIN data: empty = not shown") && !said.contains("241234"), "{said}");
}

#[test]
fn what_is_malformed_is_said_with_its_place() {
    let mut annotator = Annotator::new();
    assert_eq!(malformed_at(&annotator.tlv(&hex("70045A015757"))), Some(5));
    assert_eq!(malformed_at(&annotator.exchange(&hex("00A404"), &hex("9000"))), Some(3));
    assert_eq!(malformed_at(&annotator.exchange(&hex("00A40400"), &hex("90"))), Some(1));
    assert_eq!(malformed_at(&annotator.atr(&hex("3B8001FF"))), Some(3));
    let truncated =
        annotator.exchange(&hex("805001020B 01 00000064 112233445566"), &hex("00009000")).to_string();
    assert!(truncated.ends_with("malformed: balance truncated at byte 2\n"), "{truncated}");
}

#[test]
fn offsets_of_items_are_those_of_the_bytes() {
    let command = hex("80A8000002830000");
    let response = hex("770A82027C00940408010100 9000");
    let mut seen = vec![];
    Annotator::new()
        .exchange(&command, &response)
        .visit(&mut |event| {
            if let Event::Item(item) = event
                && let Some(Label::Tag(tag)) = item.label
            {
                assert!(response[item.at..].starts_with(&tag.get().to_be_bytes()[4 - tag.encoded_len()..]));
                seen.push((tag, item.at));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [(Tag::new(0x77), 0), (Tag::new(0x82), 2), (Tag::new(0x94), 6)]);
}

#[test]
fn an_atr_reads_well_and_begins_anew() {
    let mut annotator = Annotator::new();
    exchange(&mut annotator, "00A4040008A00000063201010500", "9000");
    let atr = annotator.atr(&hex("3BE000008131FE45EB")).to_string();
    assert!(atr.contains("protocol T=1") && atr.contains("T=1: card takes 254 bytes a block"), "{atr}");
    // The purse is no longer selected.
    assert!(exchange(&mut annotator, "00A4000000", "9302").contains("9302 transaction mac invalid"));
    let storage = annotator.atr(&hex("3B8F8001804F0CA000000306030001000000006A")).to_string();
    assert!(storage.contains("PC/SC contactless storage card, standard 03, card name 0001"), "{storage}");
}

#[test]
fn colours_stand_around_the_same_text() {
    let mut annotator = Annotator::new();
    let said = annotator.exchange(&[0x80, 0xCA, 0x9F, 0x36, 0], &[0x9F, 0x36, 2, 0, 7, 0x90, 0]);
    let mut coloured = String::new();
    said.write(&mut coloured, &Palette::ANSI).unwrap();
    let ansi = Palette::ANSI;
    for code in [ansi.good, ansi.bad, ansi.label, ansi.bytes, ansi.words, ansi.end] {
        coloured = coloured.replace(code, "");
    }
    assert_eq!(coloured, said.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_conversation_is_annotated(
        exchanges in prop::collection::vec((
            prop::collection::vec(prop_oneof![Just(0u8), Just(0x80), Just(0x84), Just(0x50), Just(0xA4), Just(0xE2), any::<u8>()], 0..40),
            prop::collection::vec(any::<u8>(), 0..40),
        ), 0..6),
    ) {
        let mut annotator = Annotator::new();
        for (command, response) in &exchanges {
            let said = annotator.exchange(command, response);
            let (command_len, response_len) = (command.len(), response.len());
            let _ = said.to_string();
            said.visit(&mut |event| {
                match event {
                    Event::Item(item) => assert!(item.at <= command_len.max(response_len)),
                    Event::Malformed { at, .. } => assert!(at <= command_len.max(response_len)),
                    _ => {}
                }
                Ok(())
            }).unwrap();
            let _ = (annotator.tlv(response).to_string(), annotator.atr(response).to_string());
        }
    }
}
