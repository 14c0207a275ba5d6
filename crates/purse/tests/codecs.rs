//! Every codec there and back, and every other length refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_purse::command::{Credit, Debit, Debited, Init, LoadInit, Proof, PurchaseInit};
use huiwan_purse::dictionary;
use huiwan_purse::host::settlement::Record;
use huiwan_purse::keys::KeyKind;
use huiwan_purse::personalisation::{Grouping, KeyData, Personalisation, PurseData, dgi_key, dgi_record};
use huiwan_purse::profile::Profile;
use huiwan_purse::psam::{InitForPurchase, SamPurchase};
use huiwan_purse::terminal::Pending;
use huiwan_purse::transaction::Transaction;
use huiwan_purse::transit::{bus, holder, log, management, process, public_info, rail};
use huiwan_purse::tti::Tti;
use huiwan_tlv::dgi::Dgis;
use proptest::prelude::*;
use world::{CARD, FULL_PURSE, STAMP, hex};

/// Any bytes of the length decode and encode to themselves; one byte more or less is an error at the right place.
macro_rules! there_and_back {
    ($($name:ident: $type:ty, $len:expr;)*) => {
        proptest! {
            $(#[test]
            fn $name(raw in proptest::collection::vec(any::<u8>(), $len)) {
                let value = <$type>::parse(&raw).unwrap();
                prop_assert_eq!(&value.to_bytes()[..], &raw[..]);
                let short = <$type>::parse(&raw[1..]).unwrap_err();
                prop_assert_eq!(short.at(), raw.len() - 1);
                let long = [&raw[..], &[0]].concat();
                prop_assert_eq!(<$type>::parse(&long).unwrap_err().at(), raw.len());
            })*
        }
    };
}

there_and_back! {
    init: Init, 11;
    load_init: LoadInit, 16;
    credit: Credit, 11;
    purchase_init: PurchaseInit, 15;
    debit: Debit, 15;
    debited: Debited, 8;
    proof: Proof, 8;
    purse_data: PurseData, 15;
}

proptest! {
    #[test]
    fn transaction_and_pending(raw: [u8; 24], rest: [u8; 27]) {
        let raw: [u8; 51] = [&raw[..], &rest[..]].concat().try_into().unwrap();
        let transaction = Transaction::from_bytes(&raw);
        prop_assert_eq!(transaction.to_bytes(), raw);
        let pending = Pending { transaction };
        prop_assert_eq!(Pending::from_bytes(&pending.to_bytes()), Some(pending));
        let mut other = pending.to_bytes();
        other[0] = 1;
        prop_assert_eq!(Pending::from_bytes(&other), None);
        prop_assert_eq!(Pending::from_bytes(&other[1..]), None);
        let record = Record { transaction, tac: [1, 2, 3, 4] };
        prop_assert_eq!(Record::parse(&record.to_bytes()), Ok(record));
    }

    #[test]
    fn transit_files_parse(raw in proptest::collection::vec(any::<u8>(), 0..140)) {
        let lengths = [
            public_info::PublicInfo::parse(&raw).is_ok(),
            holder::Holder::parse(&raw).is_ok(),
            management::Management::parse(&raw).is_ok(),
            log::LogRecord::parse(&raw).is_ok(),
            process::Process::parse(&raw).is_ok(),
        ];
        prop_assert_eq!(lengths, [30, 55, 60, 23, 48].map(|len| raw.len() == len));
        prop_assert_eq!(rail::Rail::parse(&raw).is_ok(), raw.len() == 128 && raw.starts_with(&[0x27, 0x01]));
        prop_assert_eq!(bus::Bus::parse(&raw).is_ok(), raw.len() == 128 && raw.starts_with(&[0x27, 0x02]));
    }

    #[test]
    fn key_data(raw: [u8; 20]) {
        let key = KeyData::parse(KeyKind::Load, &raw).unwrap();
        let written = key.to_bytes();
        prop_assert_eq!(written.expose(), &raw);
        let short = [&raw[..3], &raw[4..]].concat();
        let key = KeyData::parse(KeyKind::Load, &short).unwrap();
        let written = key.to_bytes();
        prop_assert_eq!(&written.expose()[..], [&raw[..3], &[0], &raw[4..]].concat());
    }
}

/// The log and trip record of a real card's metro ride, and what they say. [sheet 3.1, 5.5]
#[test]
fn samples_of_a_real_card() {
    let record =
        log::LogRecord::parse(&huiwan_testkit::hex("042D 000000 000001F4 09 300089000340 20241229 141740"))
            .unwrap();
    assert_eq!((record.seq(), record.amount(), record.tti()), (1069, 500, Tti::CAPP_PURCHASE));
    assert_eq!(record.stamp().date, [0x20, 0x24, 0x12, 0x29]);
    let trip = "04 0000300089000340 01 08001900300000 000001F4 00000E01 20241229141740 1000 01011000FFFFFFFF 000000000000";
    let trip = process::Process::parse(&huiwan_testkit::hex(trip)).unwrap();
    assert_eq!((trip.kind(), trip.amount(), trip.balance()), (process::Kind::EP_OUT, 500, 3585));
    assert_eq!((trip.stamp(), trip.get(process::INDUSTRY)), (record.stamp(), [process::INDUSTRY_METRO]));
    assert_eq!(trip.get(process::CITY), [0x10, 0x00]);
}

#[test]
fn personalisation_writes_the_groupings_it_names() {
    let list = world::groupings(FULL_PURSE);
    let keys = world::card_keys();
    let record = rail::Rail::new();
    let records: [&[u8]; 1] = [record.as_bytes()];
    let card = Personalisation {
        passbook: None,
        purse: Some(FULL_PURSE),
        pin: None,
        version: None,
        public_info: world::public_info(),
        holder: None,
        management: None,
        records: &records,
        keys: &keys,
        ..Personalisation::default()
    };
    let mut out = [0; 1024];
    let needed = card.encoded_len();
    assert_eq!(card.write(&mut out[..needed - 1]).unwrap_err().needed, needed);
    let written = card.write(&mut out).unwrap();
    assert_eq!(written.len(), needed);
    let read: Vec<(u16, Vec<u8>)> =
        Dgis::new(written).map(|dgi| dgi.unwrap()).map(|dgi| (dgi.id, dgi.value.to_vec())).collect();
    assert_eq!(read.last().unwrap(), list.last().unwrap(), "the purse comes last");
    assert_eq!(read[4], (dgi_record(1), record.as_bytes().to_vec()));
    for (dgi, _) in &list {
        assert!(Grouping::from_dgi(*dgi).is_some(), "{dgi:04X}");
    }
    assert_eq!(Grouping::from_dgi(dgi_key(KeyKind::Tac)), Some(Grouping::Key(KeyKind::Tac)));
    for unknown in [0x1A00, 0x8000, 0x80FF, 0x7FFF, 0x0018] {
        assert_eq!(Grouping::from_dgi(unknown), None);
    }
}

#[test]
fn the_psam_command_is_laid_out_as_psams_take_it() {
    let request = InitForPurchase {
        card: CARD,
        random: [1, 2, 3, 4],
        offline_seq: 0x042C,
        amount: 500,
        tti: Tti::CAPP_PURCHASE,
        stamp: STAMP,
        key_version: 1,
        algorithm: 0,
    };
    let expected = "01020304 042C 000001F4 09 20261122 141740 01 00 8900000012345678 01011000FFFFFFFF";
    assert_eq!(hex(&request.command_data(&Profile::JTT_978)), expected.replace(' ', ""));
    assert_eq!(SamPurchase::parse(&[0; 7]), None);
    let answer = SamPurchase::parse(&[0, 0, 0, 9, 1, 2, 3, 4]).unwrap();
    assert_eq!(answer, SamPurchase { terminal_seq: 9, mac1: [1, 2, 3, 4] });
}

#[test]
fn the_dictionary_knows_commands_status_words_and_tags() {
    assert_eq!(dictionary::command(0x80, 0x50, 0x03), Some("INITIALIZE FOR CAPP PURCHASE"));
    assert_eq!(dictionary::command(0x81, 0x54, 0x01), Some("DEBIT FOR PURCHASE/CASH WITHDRAW/CAPP"));
    assert_eq!(dictionary::command(0x04, 0xDC, 0x01), Some("UPDATE RECORD"));
    assert_eq!(dictionary::command(0x00, 0xB0, 0x95), None);
    assert_eq!(dictionary::status_word(huiwan_apdu::Sw::new(0x9302)), Some("transaction mac invalid"));
    assert_eq!(dictionary::status_word(huiwan_apdu::Sw::OK), None);
    assert_eq!(dictionary::tag(huiwan_tlv::Tag::new(0x9F0C)), Some("issuer data: copy of file 0015"));
}
