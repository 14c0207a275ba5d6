//! What cards say about themselves, read into values: from logs of real cards, from our own card, and garbage.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_crypto::{Aes, mac};
use huiwan_gp::capability::{Capabilities, CapabilityInformation, HASHES, SecureChannel};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::cplc::{Cplc, Date, LEN};
use huiwan_gp::get_data::{SequenceCounter, confirmation_counter};
use huiwan_gp::install::{InstallError, LoadParameters};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::resources::Resources;
use huiwan_gp::token::confirmation::{write_data, write_names};
use huiwan_gp::token::{Confirmation, ConfirmationError};
use huiwan_testkit::hex;
use huiwan_tlv::Writer;
use proptest::prelude::*;
use support::{new_memory, select, with_domains};

#[test]
fn production_data_field_by_field() {
    // Every field another byte.
    let mut raw = [0; LEN];
    let lens = [2, 2, 2, 2, 2, 2, 4, 2, 2, 2, 2, 2, 2, 2, 4, 2, 2, 4];
    let mut at = 0;
    for (n, len) in lens.into_iter().enumerate() {
        raw[at..at + len].fill(n as u8 + 1);
        at += len;
    }
    assert_eq!(at, LEN);
    let cplc = Cplc::from_bytes(&raw);
    assert_eq!((cplc.fabricator, cplc.chip_type, cplc.operating_system), ([1; 2], [2; 2], [3; 2]));
    assert_eq!((cplc.operating_system_date, cplc.operating_system_level), (Date([4; 2]), [5; 2]));
    assert_eq!((cplc.fabrication_date, cplc.serial, cplc.batch), (Date([6; 2]), [7; 4], [8; 2]));
    assert_eq!((cplc.module_fabricator, cplc.module_date), ([9; 2], Date([10; 2])));
    assert_eq!((cplc.manufacturer, cplc.embedding_date), ([11; 2], Date([12; 2])));
    assert_eq!((cplc.pre_personaliser, cplc.pre_personalisation_date), ([13; 2], Date([14; 2])));
    assert_eq!(cplc.pre_personalisation_equipment, [15; 4]);
    assert_eq!((cplc.personaliser, cplc.personalisation_date), ([16; 2], Date([17; 2])));
    assert_eq!(cplc.personalisation_equipment, [18; 4]);
    assert_eq!(cplc.to_bytes(), raw);
}

#[test]
fn dates_are_often_garbage() {
    for (bytes, date, text) in [
        ([0x41, 0x24], Some((4, 124)), "4-124"),
        ([0x00, 0x01], Some((0, 1)), "0-001"),
        ([0x93, 0x66], Some((9, 366)), "9-366"),
        ([0x93, 0x67], None, "9367"),
        ([0x00, 0x00], None, "0000"),
        ([0x1A, 0x01], None, "1A01"),
        ([0xFF, 0xFF], None, "FFFF"),
    ] {
        assert_eq!(Date(bytes).year_and_day(), date);
        assert_eq!(Date(bytes).to_string(), text);
    }
}

#[test]
fn our_own_card_says_it_in_the_same_words() {
    let factory = Factory::TEST.with_serial([1, 2, 3, 4]);
    with_domains(new_memory(&factory), |card| {
        assert_eq!(card.sw(&select(&[])), 0x9000);
        let mut get = |p1: u8, p2: u8| {
            let mut answer = card.send(&[0x80, 0xCA, p1, p2, 0x00]);
            assert_eq!(answer.split_off(answer.len() - 2), [0x90, 0x00]);
            answer
        };
        let cplc = get(0x9F, 0x7F);
        assert_eq!(Cplc::parse(&cplc).unwrap().serial, [1, 2, 3, 4]);
        assert_eq!(Cplc::parse(&cplc[3..]), Cplc::parse(&cplc), "without its header");
        assert_eq!(Cplc::parse(&cplc[4..]), None);
        assert_eq!(SequenceCounter::parse(&get(0x00, 0xC1)), Some(SequenceCounter::Scp03(0)));
        assert_eq!(confirmation_counter(&get(0x00, 0xC2)), Some(0));
        let capabilities = get(0x00, 0x67);
        let told = CapabilityInformation::parse(&capabilities).unwrap();
        let channels: Vec<_> = told.secure_channels().collect();
        assert_eq!(channels, [SecureChannel { scp: 3, options: &[0x70], key_sizes: Some(7) }]);
        assert_eq!(told.hashes, HASHES);
        assert_eq!(
            told.tokens,
            Some(Capabilities::SYMMETRIC | Capabilities::RSA_SHORT | Capabilities::RSA_LONG)
        );
        assert_eq!((told.receipts, told.signatures), (Some(Capabilities::SYMMETRIC), told.tokens));
        assert_eq!(told.curves, []);
        assert!(told.domain_privileges.unwrap().contains(Privileges::MANDATED_DAP));
        assert!(!told.application_privileges.unwrap().contains(Privileges::SECURITY_DOMAIN));
    });
}

#[test]
fn counters_with_and_without_their_tag() {
    for (data, expected) in [
        ("C1020007", Some(SequenceCounter::Scp02(7))),
        ("0007", Some(SequenceCounter::Scp02(7))),
        ("C10300012C", Some(SequenceCounter::Scp03(300))),
        ("00012C", Some(SequenceCounter::Scp03(300))),
        // A bare counter that looks like the beginning of an object.
        ("C10105", Some(SequenceCounter::Scp03(0x00C1_0105))),
        ("", None),
        ("C10400000001", None),
    ] {
        assert_eq!(SequenceCounter::parse(&hex(data)), expected, "{data}");
    }
    assert_eq!(confirmation_counter(&hex("C2020102")), Some(0x0102));
    assert_eq!(confirmation_counter(&hex("0102")), Some(0x0102));
    assert_eq!(confirmation_counter(&hex("C203000102")), None);
}

#[test]
fn resources_of_any_width() {
    // TS 102 226 leaves the lengths open; logs show two and four bytes.
    let read = Resources::parse(&hex("FF210B810103820300F0008301FF")).unwrap();
    assert_eq!(
        (read.applications, read.free_durable, read.free_volatile),
        (Some(3), Some(0xF000), Some(0xFF))
    );
    let read = Resources::parse(&hex("8205010000000083020400")).unwrap();
    assert_eq!(
        (read.applications, read.free_durable, read.free_volatile),
        (None, Some(u32::MAX), Some(0x400))
    );
    assert_eq!(Resources::parse(&[]).unwrap(), Resources::default());
    let error = Resources::parse(&hex("FF2103810503")).unwrap_err();
    assert_eq!(error.at(), 3);
}

#[test]
fn what_confirmations_can_be() {
    assert_eq!(Confirmation::parse(&[]), Ok(None));
    assert_eq!(Confirmation::parse(&[0]), Ok(None));
    // Without a receipt, a counter all the same.
    let data = hex("00020005030A0B0C");
    let confirmation = Confirmation::parse(&data).unwrap().unwrap();
    assert_eq!((confirmation.receipt, confirmation.counter), (&[][..], 5));
    assert_eq!(confirmation.unique, [0x0A, 0x0B, 0x0C]);
    for (data, kind, at) in [
        ("0102", ConfirmationError::Truncated, 2),
        ("000100", ConfirmationError::Counter, 1),
        ("00020001", ConfirmationError::Truncated, 4),
        ("0002000102", ConfirmationError::Truncated, 5),
    ] {
        let data = hex(data);
        let error = Confirmation::parse(&data).unwrap_err();
        assert_eq!((error.kind(), error.at()), (kind, at), "{data:02X?}");
    }
    // What else a card confirms is covered, too. [sheet 2.7: token identifier, digest]
    let data = hex("01AA02000100015500");
    let confirmation = Confirmation::parse(&data).unwrap().unwrap();
    let mut out = [0; 32];
    assert_eq!(confirmation.write_covered(&[&[7, 8]], &mut out).unwrap(), hex("02000100015500020708"));
    assert!(confirmation.write_covered(&[&[7, 8]], &mut [0; 9]).is_err());
}

#[test]
fn amounts_of_memory() {
    // The public log of helloworld.cap.
    let parameters = LoadParameters { code: Some(0x160), volatile: None, data: Some(0x7D0) };
    let mut out = [0; 32];
    assert_eq!(parameters.write(&mut out).unwrap(), hex("EF08C6020160C80207D0"));
    assert_eq!(LoadParameters::parse(&hex("EF08C6020160C80207D0")), Ok(parameters));
    assert_eq!(LoadParameters::default().write(&mut []).unwrap(), []);
    let error = LoadParameters::parse(&hex("EF05C603000160")).unwrap_err();
    assert_eq!((error.kind(), error.at()), (InstallError::Memory, 2));
}

proptest! {
    #[test]
    fn values_read_back(
        cplc: [u8; 32], applications in proptest::option::of(0..=0xFFFF_u32), durable: Option<u32>, volatile: Option<u32>,
        counter: u16, iin in proptest::collection::vec(any::<u8>(), 0..10), cin in proptest::collection::vec(any::<u8>(), 0..10),
        receipt in proptest::collection::vec(any::<u8>(), 0..=127), code: Option<u32>,
    ) {
        let mut raw = [0; LEN];
        raw[..32].copy_from_slice(&cplc);
        prop_assert_eq!(Cplc::from_bytes(&raw).to_bytes(), raw);

        let resources = Resources { applications, free_durable: durable, free_volatile: volatile };
        let mut out = [0; 64];
        let mut w = Writer::new(&mut out);
        resources.write(&mut w);
        prop_assert_eq!(Resources::parse(w.finish().unwrap()).unwrap(), resources);

        let parameters = LoadParameters { code, volatile, data: durable };
        prop_assert_eq!(LoadParameters::parse(parameters.write(&mut out).unwrap()).unwrap(), parameters);

        let mut data = [0; 64];
        let end = write_data(counter, [&iin, &cin], &mut data).unwrap();
        let answer = [&[receipt.len() as u8][..], &receipt, &data[..end]].concat();
        let confirmation = Confirmation::parse(&answer).unwrap().unwrap();
        prop_assert_eq!((confirmation.receipt, confirmation.counter), (&receipt[..], counter));
        prop_assert_eq!(confirmation.unique, [iin, cin].concat());
        // What the card signs is what the host checks.
        let names: [&[u8]; 2] = [&[1; 7], &[2; 16]];
        let all = write_names(&names, &mut data, end).unwrap();
        let mut covered = [0; 64];
        let covered = confirmation.write_covered(&names, &mut covered).unwrap();
        let key = Aes::new(&TEST_KEY).unwrap();
        prop_assert_eq!(mac::cmac(&key, &[covered]), mac::cmac(&key, &[&data[..all]]));
    }

    #[test]
    fn garbage_is_an_error_or_says_nothing(data in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = (Cplc::parse(&data), SequenceCounter::parse(&data), confirmation_counter(&data));
        if let Err(error) = Resources::parse(&data) {
            prop_assert!(error.at() <= data.len());
        }
        if let Err(error) = Confirmation::parse(&data) {
            prop_assert!(error.at() <= data.len());
        }
        if let Err(error) = LoadParameters::parse(&data) {
            prop_assert!(error.at() <= data.len());
        }
        match CapabilityInformation::parse(&data) {
            Ok(told) => drop(told.secure_channels().count()),
            Err(error) => prop_assert!(error.at() <= data.len()),
        }
    }
}
