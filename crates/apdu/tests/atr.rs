//! Answer to reset.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_apdu::Sw;
use huiwan_apdu::atr::{
    Atr, AtrBuilder, AtrError, AtrTooLong, Convention, Historical, HistoricalError, Interface,
};
use huiwan_tlv::{At, Full};
use proptest::prelude::*;

/// PC/SC part 3, 3.1.3.2.3.2: a MIFARE Classic 1K storage card.
const CONTACTLESS_STORAGE: [u8; 20] =
    [0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0, 0, 3, 6, 3, 0, 1, 0, 0, 0, 0, 0x6A];

#[test]
fn contact_t1() {
    let atr = Atr::parse(&[0x3B, 0xE0, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0xEB]).unwrap();
    assert_eq!(atr.first(), Interface { ta: None, tb: Some(0), tc: Some(0) });
    let groups: Vec<_> = atr.protocols().collect();
    assert_eq!(groups, [(1, Interface::NONE), (1, Interface { ta: Some(0xFE), tb: Some(0x45), tc: None })]);
    let t1 = atr.t1().unwrap();
    assert_eq!((t1.ifsc, t1.bwi, t1.cwi, t1.crc), (254, 4, 5, false));
    assert!(atr.offers(1) && !atr.offers(0));
    assert_eq!((atr.tck(), atr.historical(), atr.historical_at()), (Some(0xEB), &[][..], 8));
    assert_eq!(atr.fi_di(), Some((372, 1)));
    assert!(matches!(atr.historical_objects(), Ok(Historical::None)));
}

#[test]
fn contact_t0_has_no_tck() {
    let atr = Atr::parse(&[0x3B, 0x60, 0x00, 0x00]).unwrap();
    assert_eq!((atr.tck(), atr.t1(), atr.protocols().count()), (None, None, 0));
    assert!(atr.offers(0));
    assert_eq!(Atr::parse(&[0x3B, 0x60, 0, 0, 0x60]).unwrap_err(), At::new(AtrError::TrailingBytes, 4));
    // T=0 named by TD1 changes nothing.
    assert_eq!(Atr::parse(&[0x3B, 0x80, 0x00]).unwrap().tck(), None);
}

#[test]
fn contactless_pcsc() {
    let atr = Atr::parse(&CONTACTLESS_STORAGE).unwrap();
    assert_eq!(atr.protocols().map(|(t, _)| t).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(atr.historical().len(), 15);
    assert_eq!(atr.historical_at(), 4);
    assert_eq!(atr.tck(), Some(0x6A));
    assert!(matches!(atr.historical_objects(), Ok(Historical::PcscStorage { standard: 3, name: 1 })));
}

#[test]
fn historical_categories() {
    let with = |historical: &[u8]| {
        let mut out = [0; 33];
        AtrBuilder::new(Interface::NONE).historical(historical).write(&mut out).unwrap().to_vec()
    };
    let raw = with(&[0x00, 0x31, 0x80, 0x05, 0x90, 0x00]);
    let atr = Atr::parse(&raw).unwrap();
    let Historical::Compact { mut objects, status } = atr.historical_objects().unwrap() else { panic!() };
    let object = objects.next().unwrap().unwrap();
    assert_eq!((object.number, object.value, object.at), (3, &[0x80][..], 3));
    let status = status.unwrap();
    assert_eq!((status.life_cycle, status.sw), (Some(5), Some(Sw::OK)));

    for (value, life_cycle, sw) in [
        (&[0x81u8, 7][..], Some(7), None),
        (&[0x82, 0x90, 0], None, Some(Sw::OK)),
        (&[0x83, 7, 0x90, 0], Some(7), Some(Sw::OK)),
    ] {
        let raw = with(&[&[0x80], value].concat());
        let Historical::Compact { status: Some(status), .. } =
            Atr::parse(&raw).unwrap().historical_objects().unwrap()
        else {
            panic!()
        };
        assert_eq!((status.life_cycle, status.sw), (life_cycle, sw));
    }
    let error = |historical: &[u8]| {
        Atr::parse(&with(historical)).unwrap().historical_objects().map(|_| ()).unwrap_err()
    };
    assert_eq!(error(&[0x00, 1, 2]), At::new(HistoricalError::StatusTruncated, 2));
    assert_eq!(error(&[0x10]), At::new(HistoricalError::DirReferenceLength, 2));
    assert_eq!(error(&[0x80, 0x80]), At::new(HistoricalError::StatusLength, 3));
    assert!(matches!(error(&[0x80, 0x31]).kind(), HistoricalError::Object(_)));
    let raw = with(&[0x10, 0x2F]);
    assert!(matches!(Atr::parse(&raw).unwrap().historical_objects(), Ok(Historical::DirReference(0x2F))));
    let raw = with(&[0x4A, 0x43, 0x4F, 0x50]);
    let Ok(Historical::Proprietary { category: 0x4A, data: b"COP" }) =
        Atr::parse(&raw).unwrap().historical_objects()
    else {
        panic!()
    };
}

#[test]
fn malformed() {
    let refused = |raw: &[u8]| {
        let error = Atr::parse(raw).unwrap_err();
        (error.kind(), error.at())
    };
    assert_eq!(refused(&[]), (AtrError::ConventionUnknown, 0));
    assert_eq!(refused(&[0x3C, 0]), (AtrError::ConventionUnknown, 0));
    assert_eq!(refused(&[0x3B]), (AtrError::FormatTruncated, 1));
    assert_eq!(refused(&[0x3B, 0x60, 0x00]), (AtrError::InterfaceTruncated, 3));
    assert_eq!(refused(&[0x3B, 0x02, 0x00]), (AtrError::HistoricalTruncated, 3));
    assert_eq!(refused(&[0x3B, 0x80, 0x01]), (AtrError::CheckMissing, 3));
    assert_eq!(refused(&[0x3B, 0x80, 0x01, 0x80]), (AtrError::CheckWrong, 3));
    assert_eq!(refused(&[0x3B, 0x80, 0x01, 0x81, 0x00]), (AtrError::TrailingBytes, 4));
    assert_eq!(refused(&[0x3B; 34]), (AtrError::TooLong, 33));
    // TD after TD, without end.
    assert_eq!(refused(&[&[0x3B][..], &[0x81; 32]].concat()).0, AtrError::InterfaceTruncated);
}

#[test]
fn speed_of_ta1() {
    let fi_di = |ta1| Atr::parse(&[0x3B, 0x10, ta1]).unwrap().fi_di();
    assert_eq!(fi_di(0x11), Some((372, 1)));
    assert_eq!(fi_di(0x95), Some((512, 16)));
    assert_eq!(fi_di(0x96), Some((512, 32)));
    assert_eq!((fi_di(0x70), fi_di(0x1F)), (None, None));
}

#[test]
fn building_beyond_the_format_is_refused() {
    let mut out = [0; 64];
    assert_eq!(
        AtrBuilder::new(Interface::NONE).historical(&[0; 16]).write(&mut out),
        Err(AtrTooLong::Format)
    );
    assert_eq!(
        AtrBuilder::new(Interface::NONE).protocol(16, Interface::NONE).write(&mut out),
        Err(AtrTooLong::Format)
    );
    let full = Interface { ta: Some(1), tb: Some(2), tc: Some(3) };
    let mut long = AtrBuilder::new(full).historical(&[0; 15]);
    for _ in 0..4 {
        long = long.protocol(1, full);
    }
    assert_eq!(long.write(&mut out), Err(AtrTooLong::Format));
    let atr = AtrBuilder::new(Interface::NONE).convention(Convention::Inverse);
    assert_eq!(atr.write(&mut out[..1]), Err(AtrTooLong::Buffer(Full { needed: 2 })));
    assert_eq!(Atr::parse(atr.write(&mut out).unwrap()).unwrap().convention(), Convention::Inverse);
}

fn any_interface() -> impl Strategy<Value = Interface> {
    any::<(Option<u8>, Option<u8>, Option<u8>)>().prop_map(|(ta, tb, tc)| Interface { ta, tb, tc })
}

proptest! {
    #[test]
    fn built_answers_parse_to_what_was_asked(
        first in any_interface(),
        protocols in prop::collection::vec((0u8..16, any_interface()), 0..4),
        historical in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut builder = AtrBuilder::new(first).historical(&historical);
        for (t, interface) in &protocols { builder = builder.protocol(*t, *interface); }
        let mut out = [0; 33];
        let Ok(raw) = builder.write(&mut out) else {
            prop_assert!(protocols.len() >= 3);
            return Ok(());
        };
        let atr = Atr::parse(raw).unwrap();
        prop_assert_eq!(atr.first(), first);
        prop_assert_eq!(atr.protocols().collect::<Vec<_>>(), protocols.clone());
        prop_assert_eq!(atr.historical(), &historical[..]);
        prop_assert_eq!(atr.tck().is_some(), protocols.iter().any(|(t, _)| *t != 0));
        let at = atr.historical_at();
        prop_assert_eq!(&raw[at..at + historical.len()], &historical[..]);
        let _ = atr.historical_objects();
    }

    #[test]
    fn any_bytes_are_refused_or_consistent(mut raw in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some(ts) = raw.first_mut() { *ts = 0x3B; }
        match Atr::parse(&raw) {
            Ok(atr) => {
                let mut builder = AtrBuilder::new(atr.first()).historical(atr.historical());
                for (t, interface) in atr.protocols() { builder = builder.protocol(t, interface); }
                let mut out = [0; 33];
                prop_assert_eq!(builder.write(&mut out).unwrap(), &raw[..]);
            }
            Err(error) => prop_assert!(error.at() <= raw.len()),
        }
    }
}
