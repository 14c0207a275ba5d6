//! Data preparation of PBOC cards against public scripts, and back again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_crypto::{Secret, Sm4, Tdes};
use huiwan_emv::host::card_data::{
    CardData, CardDataError, Interface, Listed, Object, Pin, ProcessingOptions, Record, SelectAnswer,
    Sm2Pair, contact_environment, proximity_environment,
};
use huiwan_emv::host::certificates::fixtures;
use huiwan_emv::personalisation::{self as map, Sm4CheckBlock, key_checks, sm4_key_checks};
use huiwan_testkit::{hex, vectors};
use huiwan_tlv::dgi::{self, Dgis};
use huiwan_tlv::{Rules, Tag, parse};
use proptest::prelude::*;

fn read(script: &[u8]) -> Vec<(u16, Vec<u8>)> {
    Dgis::new(script).map(|dgi| dgi.unwrap()).map(|dgi| (dgi.id, dgi.value.to_vec())).collect()
}

#[test]
fn public_scripts_are_what_this_host_writes() {
    let file = vectors::load(include_str!("vectors/personalisation.txt"));
    let mut seen = 0;
    for v in file.group("pboc_dgi") {
        assert!(!v.is_weak());
        seen += 1;
        let Some(_) = v.get("in.store_data_value") else {
            assert_eq!(key_checks(&v.array("in.dgi8000")).to_vec(), v.bytes("out.dgi9000"));
            continue;
        };
        let script = v.bytes("in.store_data_value");
        let groupings = read(&script);
        assert_eq!(groupings.len(), 1, "{}", v.id());
        let (id, value) = &groupings[0];
        assert_eq!(id.to_be_bytes().to_vec(), v.bytes("out.dgi"), "{}", v.id());
        assert_eq!(value.len() as u64, v.number("out.length"), "{}", v.id());
        // The same bytes from the typed data.
        let mut out = [0; 256];
        let written = match *id {
            map::SELECT_CONTACT => {
                let entry = Listed { aid: &hex("A000000333010101"), label: b"PBOC Credit", priority: 1 };
                proximity_environment(&[entry], &mut out).unwrap().to_vec()
            }
            map::DEBIT_CREDIT_OPTIONS | map::PROCESSING_OPTIONS => {
                let objects: Vec<_> = parse(value, Rules::EMV).map(Result::unwrap).collect();
                let others: Vec<Object<'_>> = objects[2..].iter().map(|o| (o.tag(), o.value())).collect();
                let options = ProcessingOptions {
                    aip: objects[0].value().try_into().unwrap(),
                    afl: objects[1].value(),
                    objects: &others,
                };
                let interface =
                    if *id == map::PROCESSING_OPTIONS { Interface::Qpboc } else { Interface::DebitCredit };
                let card = CardData { options: &[(interface, options)], ..CardData::default() };
                card.write(&mut out).unwrap().to_vec()
            }
            map::ISSUER_APPLICATION_DATA => {
                let data = hex("07010103000000010A01000000000000000000");
                let card = CardData { issuer_application_data: Some(&data), ..CardData::default() };
                card.write(&mut out).unwrap().to_vec()
            }
            _ => {
                // Records and objects: the round trip alone.
                let len = dgi::put(&mut out, *id, value).unwrap();
                out[..len].to_vec()
            }
        };
        assert_eq!(written, script, "{}", v.id());
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_card_of_every_interface() {
    let (des, contactless, sm4) =
        (Secret::new([0x11; 48]), Secret::new([0x22; 48]), Secret::new(core::array::from_fn(|n| n as u8)));
    let (rsa, d) = (fixtures::icc_key().unwrap(), Secret::new([0x77; 32]));
    let select = SelectAnswer {
        label: b"PBOC DEBIT",
        priority: 1,
        pdol: &[0x9F, 0x66, 4],
        languages: b"zh",
        preferred_name: Some((1, b"NAME")),
        log: Some((0x0B, 10)),
    };
    let face =
        ProcessingOptions { aip: [0x7C, 0], afl: &[8, 1, 1, 0], objects: &[(Tag::new(0x57), &[0x62])] };
    let faces = [
        (Interface::DebitCredit, 0x9104),
        (Interface::DebitCreditSm, 0x9105),
        (Interface::ECash, 0x9203),
        (Interface::ECashSm, 0x9204),
        (Interface::MagneticStripe, 0x9206),
        (Interface::Qpboc, 0x9207),
        (Interface::QpbocSm, 0x9208),
    ];
    let options = faces.map(|(interface, _)| (interface, face));
    let card = CardData {
        keys: Some(&des),
        contactless_keys: Some(&contactless),
        sm4_keys: Some(&sm4),
        pin: Some(Pin { digits: &[0x12, 0x34], limit: 3 }),
        rsa: Some(&rsa),
        pin_rsa: Some(&rsa),
        sm2: Some(Sm2Pair { private: &d, public: &[0x88; 64] }),
        records: &[
            Record { sfi: 1, number: 1, body: &[0x5A, 1, 0x62] },
            Record { sfi: 0x0B, number: 2, body: b"raw" },
        ],
        changeable: &[(Tag::new(0x9F79), &[0, 0, 0, 0, 0, 0])],
        fixed: &[(Tag::new(0x9F51), &[0x01, 0x56]), (Tag::new(0x9F56), &[0x80])],
        select_contact: Some(select),
        select_contactless: Some(SelectAnswer { label: b"X", priority: 2, ..SelectAnswer::default() }),
        options: &options,
        issuer_application_data: Some(&[7, 1, 1, 3, 0, 0, 0, 1]),
        issuer_application_data_sm: Some(&[7, 1, 1, 3, 0, 0, 0, 4]),
        completion: Some(&[]),
        ..CardData::default()
    };
    let mut out = [0; 4096];
    let written = read(card.write(&mut out).unwrap());
    let ids: Vec<u16> = written.iter().map(|(id, _)| *id).collect();
    let expected = [
        0x8000, 0x9000, 0x8001, 0x9001, 0x8400, 0x9400, 0x8010, 0x9010, 0x8201, 0x8202, 0x8203, 0x8204,
        0x8205, 0x8301, 0x8302, 0x8303, 0x8304, 0x8305, 0x8501, 0x8502, 0x0101, 0x0B02, 0x0D01, 0x0E01,
        0x9102, 0x9103, 0x9104, 0x9105, 0x9203, 0x9204, 0x9206, 0x9207, 0x9208, 0x9200, 0x9201, 0x7FFF,
    ];
    assert_eq!(ids, expected);
    let value = |id: u16| &*written.iter().find(|(found, _)| *found == id).unwrap().1;
    assert_eq!(value(0x8010), hex("241234FFFFFFFFFF"));
    assert_eq!(value(0x9010), [3, 3]);
    // Zeros under the key, and bytes 02, by the ciphers alone.
    let check = Tdes::new2(&[0x22; 16]).encrypt_block(&[0; 8]);
    assert_eq!(value(0x9001)[..3], check[..3]);
    let third: [u8; 16] = sm4.expose()[32..].try_into().unwrap();
    assert_eq!(value(0x9400)[6..], Sm4::new(&third).encrypt_block(&[2; 16])[..3]);
    assert_eq!(
        sm4_key_checks(sm4.expose(), Sm4CheckBlock::Zeros)[6..],
        Sm4::new(&third).encrypt_block(&[0; 16])[..3]
    );
    let [p, q, dp, dq, qinv] = rsa.expose_parts();
    for (id, part) in (0x8201_u16..).zip([qinv, dq, dp, q, p]) {
        assert_eq!(value(id), part, "{id:04X}");
        assert_eq!(value(id + 0x0100), part);
    }
    assert_eq!((value(0x8501), value(0x8502)), (&[0x77; 32][..], &[0x88; 64][..]));
    assert_eq!(value(0x0101), [0x70, 3, 0x5A, 1, 0x62]);
    assert_eq!(value(0x0B02), b"raw");
    assert_eq!(value(0x0E01), hex("9F51020156 9F560180"));
    assert_eq!(
        value(0x9102),
        hex(
            "A52D 500A50424F43204445424954 870101 9F38039F6604 5F2D027A68 9F110101 9F12044E414D45 BF0C05 9F4D020B0A"
        )
    );
    assert_eq!(value(0x9103), hex("A506 500158 870102"));
    for (_, id) in faces {
        assert_eq!(value(id), hex("82027C00 940408010100 570162"), "{id:04X}");
    }
    assert_eq!(value(0x9201), hex("9F10080701010300000004"));

    let mut small = [0; 40];
    assert!(matches!(card.write(&mut small), Err(CardDataError::Full(_))));
    let pin = |digits| CardData { pin: Some(Pin { digits, limit: 3 }), ..CardData::default() };
    assert_eq!(pin(&[0x12]).write(&mut out), Err(CardDataError::Pin));
    for (sfi, number) in [(0, 1), (31, 1), (1, 0), (0x0D, 1), (0x0E, 1)] {
        let card = CardData { records: &[Record { sfi, number, body: &[] }], ..CardData::default() };
        assert_eq!(card.write(&mut out), Err(CardDataError::Record(sfi, number)));
    }
}

#[test]
fn payment_environments() {
    let entries = [
        Listed { aid: &hex("A000000333010101"), label: b"DEBIT", priority: 1 },
        Listed { aid: &hex("A000000333010102"), label: b"", priority: 2 },
    ];
    let mut out = [0; 256];
    let written = read(contact_environment(&entries, b"zhen", &mut out).unwrap());
    assert_eq!(written[0].0, 0x9102);
    assert_eq!(written[0].1, hex("6F1C 840E315041592E5359532E4444463031 A50A 880101 5F2D047A68656E"));
    let directory = "70 25 6114 4F08A000000333010101 50054445424954 870101 610D 4F08A000000333010102 870102";
    assert_eq!(written[1], (0x0101, hex(directory)));
    assert!(proximity_environment(&entries, &mut [0; 20]).is_err());
    let many = [entries[0]; 12];
    assert!(contact_environment(&many, b"", &mut [0; 1024]).is_err(), "one record");
}

proptest! {
    /// What is written is read again, for any records and objects.
    #[test]
    fn records_and_objects_come_back(
        records in prop::collection::vec((1_u8..=30, 1_u8..=255, prop::collection::vec(any::<u8>(), 0..250)), 0..6),
        objects in prop::collection::vec((0x9F01_u16..=0x9F7F, prop::collection::vec(any::<u8>(), 0..20)), 0..8),
        pin in prop::collection::vec(0_u8..=9, 4..=12),
    ) {
        let records: Vec<_> = records
            .iter()
            .map(|(sfi, number, body)| Record { sfi: *sfi, number: *number, body })
            .filter(|record| map::record(record.sfi, record.number).is_some())
            .collect();
        let objects: Vec<Object<'_>> =
            objects.iter().map(|(tag, value)| (Tag::new(u32::from(*tag)), &value[..])).collect();
        let mut digits = pin.clone();
        if digits.len() % 2 == 1 {
            digits.push(0x0F);
        }
        let bcd: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let card = CardData {
            records: &records,
            changeable: &objects,
            pin: Some(Pin { digits: &bcd, limit: 5 }),
            ..CardData::default()
        };
        let mut out = [0; 4096];
        let written = read(card.write(&mut out).unwrap());
        let mut block = vec![0x20 | pin.len() as u8];
        block.extend_from_slice(&bcd);
        block.resize(8, 0xFF);
        prop_assert_eq!(&written[0], &(0x8010, block));
        prop_assert_eq!(&written[1], &(0x9010, vec![5, 5]));
        for (record, (id, value)) in records.iter().zip(&written[2..]) {
            prop_assert_eq!(*id, u16::from_be_bytes([record.sfi, record.number]));
            if record.sfi <= 10 {
                let mut inside = parse(value, Rules::ISO);
                let template = inside.next().unwrap().unwrap();
                prop_assert_eq!((template.tag(), template.value()), (Tag::new(0x70), record.body));
            } else {
                prop_assert_eq!(&value[..], record.body);
            }
        }
        if !objects.is_empty() {
            let (id, value) = &written[2 + records.len()];
            prop_assert_eq!(*id, 0x0D01);
            let back: Vec<_> = parse(value, Rules::EMV).map(Result::unwrap).collect();
            prop_assert_eq!(back.len(), objects.len());
            for (back, (tag, value)) in back.iter().zip(&objects) {
                prop_assert_eq!((back.tag(), back.value()), (*tag, *value));
            }
        }
    }
}
