//! Table tests of the pure phases, a row for each rule.

use super::card_data::CardData;
use super::cvm::{Asked, CvmFailure, choose};
use super::outcome::{Facts, decide};
use super::records::{Afl, Record};
use super::restrictions::Restrictions;
use crate::cryptogram::Cryptogram::{self, Aac, Arqc, Tc};
use crate::qualifiers::{Ctq, Ttq};
use crate::terminal::{Cvm, FaultKind, Memory, Message, Oda, Verdict};
use huiwan_tlv::Tag;

extern crate std;
use std::vec::Vec;

/// qPBOC, contact, online PIN, signature, CDCVM.
const ALL: Ttq = Ttq([0x36, 0x00, 0x40, 0x00]);
const NO_PIN: Ttq = Ttq([0x32, 0x00, 0x40, 0x00]);
const NO_CVM_AT_ALL: Ttq = Ttq([0x30, 0x00, 0x00, 0x00]);

fn required(ttq: Ttq) -> Ttq {
    ttq.with_cvm_required(true)
}

/// Name; cryptogram, whether the issuer is asked, TTQ, CTQ, signed CTQ; the method.
type CvmRow<'a> = (&'a str, Cryptogram, bool, Ttq, Option<Ctq>, Option<Ctq>, Result<Cvm, CvmFailure>);

#[test]
fn cvm_rows() {
    const PIN: Ctq = Ctq([0x80, 0x00]);
    const SIGN: Ctq = Ctq([0x40, 0x00]);
    const PIN_OR_SIGN: Ctq = Ctq([0xC0, 0x00]);
    const DEVICE: Ctq = Ctq([0x00, 0x80]);
    const DEVICE_AND_PIN: Ctq = Ctq([0x80, 0x80]);
    let none = Some(Ctq([0, 0]));
    let rows: &[CvmRow<'_>] = &[
        ("no CTQ, none required", Arqc, true, ALL, None, None, Ok(Cvm::None)),
        ("no CTQ, required: signature", Arqc, true, required(ALL), None, None, Ok(Cvm::Signature)),
        (
            "no CTQ, required, no signature",
            Arqc,
            true,
            required(NO_CVM_AT_ALL),
            None,
            None,
            Err(CvmFailure::NoneInCommon),
        ),
        ("nothing asked, none required", Tc, false, ALL, none, None, Ok(Cvm::None)),
        ("nothing asked, required", Tc, false, required(ALL), none, None, Err(CvmFailure::NoneInCommon)),
        ("PIN", Arqc, true, required(ALL), Some(PIN), None, Ok(Cvm::OnlinePin)),
        ("PIN though not required by the terminal", Arqc, true, ALL, Some(PIN), None, Ok(Cvm::OnlinePin)),
        (
            "PIN without PIN pad, required",
            Arqc,
            true,
            required(NO_PIN),
            Some(PIN),
            None,
            Err(CvmFailure::NoneInCommon),
        ),
        ("PIN without PIN pad, not required", Arqc, true, NO_PIN, Some(PIN), None, Ok(Cvm::None)),
        ("PIN of an offline approval", Tc, false, ALL, Some(PIN), None, Err(CvmFailure::PinNeedsOnline)),
        ("PIN of a TC that goes online", Tc, true, ALL, Some(PIN), None, Ok(Cvm::OnlinePin)),
        ("signature", Tc, false, required(ALL), Some(SIGN), None, Ok(Cvm::Signature)),
        (
            "signature not supported, required",
            Tc,
            false,
            required(NO_CVM_AT_ALL),
            Some(SIGN),
            None,
            Err(CvmFailure::NoneInCommon),
        ),
        ("PIN before signature", Arqc, true, required(ALL), Some(PIN_OR_SIGN), None, Ok(Cvm::OnlinePin)),
        (
            "signature when no PIN pad",
            Arqc,
            true,
            required(NO_PIN),
            Some(PIN_OR_SIGN),
            None,
            Ok(Cvm::Signature),
        ),
        ("device, online", Arqc, true, required(ALL), Some(DEVICE), None, Ok(Cvm::Device)),
        ("device before PIN", Arqc, true, required(ALL), Some(DEVICE_AND_PIN), None, Ok(Cvm::Device)),
        (
            "device, offline, signed alike",
            Tc,
            false,
            required(ALL),
            Some(DEVICE),
            Some(DEVICE),
            Ok(Cvm::Device),
        ),
        (
            "device, offline, not signed",
            Tc,
            false,
            required(ALL),
            Some(DEVICE),
            None,
            Err(CvmFailure::DeviceNotProven),
        ),
        ("device, offline, not signed, none required", Tc, false, ALL, Some(DEVICE), None, Ok(Cvm::None)),
        ("signature taken away on the way", Tc, false, ALL, none, Some(SIGN), Err(CvmFailure::NotAsSigned)),
        ("CTQ taken away on the way", Tc, false, ALL, None, Some(PIN), Err(CvmFailure::NotAsSigned)),
        (
            "device, signed CTQ differs",
            Tc,
            false,
            required(ALL),
            Some(DEVICE),
            none,
            Err(CvmFailure::NotAsSigned),
        ),
        (
            "device, online, signed CTQ differs",
            Arqc,
            true,
            ALL,
            Some(DEVICE),
            none,
            Err(CvmFailure::NotAsSigned),
        ),
        (
            "device, terminal doesn't take it",
            Arqc,
            true,
            required(NO_CVM_AT_ALL),
            Some(DEVICE),
            None,
            Err(CvmFailure::NoneInCommon),
        ),
    ];
    for &(name, kind, online, ttq, ctq, signed_ctq, expected) in rows {
        assert_eq!(choose(&Asked { kind, online, ttq, ctq, signed_ctq }), expected, "{name}");
    }
}

const PASSED: Facts = Facts {
    kind: Tc,
    ttq: ALL,
    ctq: None,
    signed_ctq: None,
    oda: Oda::Passed,
    restrictions: Restrictions { expired: false, on_exception_file: false },
    cash_barred: false,
    issuer_update: false,
};
const ONLINE: Facts = Facts { kind: Arqc, oda: Oda::NotPerformed, ..PASSED };
const OFFLINE_ONLY: Ttq = Ttq([0x2A, 0x00, 0x00, 0x00]);
const NO_CONTACT: Ttq = Ttq([0x26, 0x00, 0x00, 0x00]);
const EXPIRED: Restrictions = Restrictions { expired: true, on_exception_file: false };
const REFUSED: Restrictions = Restrictions { expired: false, on_exception_file: true };

fn ctq(first: u8, second: u8) -> Option<Ctq> {
    Some(Ctq([first, second]))
}

#[test]
fn outcome_rows() {
    let failed = Facts { oda: Oda::Failed, ..PASSED };
    let rows: &[(&str, Facts, Verdict)] = &[
        ("TC, authenticated", PASSED, Verdict::Approved),
        ("TC, not authenticated", Facts { oda: Oda::NotPerformed, ..PASSED }, Verdict::Declined),
        ("TC, ODA failed", failed, Verdict::Declined),
        ("TC, ODA failed, CTQ 1.6", Facts { ctq: ctq(0x20, 0), ..failed }, Verdict::OnlineRequest),
        (
            "TC, ODA failed, CTQ 1.6, offline-only",
            Facts { ctq: ctq(0x20, 0), ttq: OFFLINE_ONLY, ..failed },
            Verdict::Declined,
        ),
        ("TC, ODA failed, CTQ 1.5", Facts { ctq: ctq(0x10, 0), ..failed }, Verdict::TryAnotherInterface),
        (
            "TC, ODA failed, CTQ 1.5, no contact",
            Facts { ctq: ctq(0x10, 0), ttq: NO_CONTACT, ..failed },
            Verdict::Declined,
        ),
        ("TC, ODA failed, CTQ 1.6 before 1.5", Facts { ctq: ctq(0x30, 0), ..failed }, Verdict::OnlineRequest),
        ("TC, expired", Facts { restrictions: EXPIRED, ..PASSED }, Verdict::Declined),
        (
            "TC, expired, CTQ 1.4",
            Facts { restrictions: EXPIRED, ctq: ctq(0x08, 0), ..PASSED },
            Verdict::OnlineRequest,
        ),
        (
            "TC, expired, CTQ 1.4, offline-only",
            Facts { restrictions: EXPIRED, ctq: ctq(0x08, 0), ttq: OFFLINE_ONLY, ..PASSED },
            Verdict::Declined,
        ),
        ("TC, on exception file", Facts { restrictions: REFUSED, ..PASSED }, Verdict::Declined),
        (
            "TC, on exception file, would go online",
            Facts { restrictions: REFUSED, ctq: ctq(0x20, 0), ..failed },
            Verdict::Declined,
        ),
        ("TC, cash barred", Facts { cash_barred: true, ..PASSED }, Verdict::TryAnotherInterface),
        (
            "TC, cash barred, no contact",
            Facts { cash_barred: true, ttq: NO_CONTACT, ..PASSED },
            Verdict::Declined,
        ),
        (
            "TC, CVM missing",
            Facts { ttq: required(ALL), ctq: ctq(0, 0), ..PASSED },
            Verdict::TryAnotherInterface,
        ),
        (
            "TC, CVM missing, no contact",
            Facts { ttq: required(NO_CONTACT), ctq: ctq(0, 0), ..PASSED },
            Verdict::Declined,
        ),
        ("TC, PIN asked", Facts { ctq: ctq(0x80, 0), ..PASSED }, Verdict::Declined),
        (
            "TC, device claimed without proof, required",
            Facts { ttq: required(ALL), ctq: ctq(0, 0x80), ..PASSED },
            Verdict::Declined,
        ),
        (
            "TC, device claimed without proof, not required",
            Facts { ctq: ctq(0, 0x80), ..PASSED },
            Verdict::Approved,
        ),
        (
            "TC, CTQ not as signed",
            Facts { ctq: ctq(0, 0), signed_ctq: ctq(0x40, 0), ..PASSED },
            Verdict::Declined,
        ),
        ("ARQC", ONLINE, Verdict::OnlineRequest),
        ("ARQC, offline-only", Facts { ttq: OFFLINE_ONLY, ..ONLINE }, Verdict::Declined),
        ("ARQC, ODA for online passed", Facts { oda: Oda::Passed, ..ONLINE }, Verdict::OnlineRequest),
        ("ARQC, ODA for online failed", Facts { oda: Oda::Failed, ..ONLINE }, Verdict::Declined),
        (
            "ARQC, ODA for online failed, CTQ 1.6",
            Facts { oda: Oda::Failed, ctq: ctq(0x20, 0), ..ONLINE },
            Verdict::OnlineRequest,
        ),
        ("AAC", Facts { kind: Aac, ..ONLINE }, Verdict::Declined),
        ("AAC whatever else", Facts { kind: Aac, ctq: ctq(0xFF, 0xFF), ..PASSED }, Verdict::Declined),
    ];
    for &(name, facts, verdict) in rows {
        let outcome = decide(&facts);
        assert_eq!(outcome.verdict, verdict, "{name}");
        assert_eq!(outcome.oda, facts.oda, "{name}");
        assert_eq!(outcome.tvr.expired(), facts.restrictions.expired, "{name}");
        assert_eq!(outcome.tvr.on_exception_file(), facts.restrictions.on_exception_file, "{name}");
        assert_eq!(outcome.tvr.dda_failed(), facts.oda == Oda::Failed, "{name}");
        assert_eq!(outcome.tvr.oda_not_performed(), facts.oda == Oda::NotPerformed, "{name}");
    }
}

#[test]
fn messages_follow_verdict_and_method() {
    let message = |facts: Facts| decide(&facts).message;
    assert_eq!(message(PASSED), Message::Approved);
    assert_eq!(message(Facts { ctq: ctq(0x40, 0), ..PASSED }), Message::ApprovedPleaseSign);
    assert_eq!(message(Facts { ctq: ctq(0x80, 0), ..ONLINE }), Message::EnterPin);
    assert_eq!(message(ONLINE), Message::Authorising);
}

#[test]
fn issuer_update_needs_an_online_request() {
    let both = Facts { issuer_update: true, ..ONLINE };
    assert!(decide(&both).issuer_update);
    assert!(!decide(&ONLINE).issuer_update);
    assert!(!decide(&Facts { kind: Tc, oda: Oda::Passed, ..both }).issuer_update);
}

#[test]
fn afl_rows() {
    let bad: &[&[u8]] = &[
        &[],
        &[0x10, 0x01, 0x01],
        &[0x10, 0x01, 0x01, 0x00, 0x10],
        &[0x11, 0x01, 0x01, 0x00],
        &[0x00, 0x01, 0x01, 0x00],
        &[0xF8, 0x01, 0x01, 0x00],
        &[0x10, 0x00, 0x01, 0x00],
        &[0x10, 0x02, 0x01, 0x00],
        &[0x10, 0x01, 0x02, 0x03],
    ];
    for value in bad {
        assert_eq!(Afl::parse(value, 300).err(), Some(FaultKind::Value(Tag::new(0x94))), "{value:02X?}");
    }
    let afl = Afl::parse(&[0x10, 0x03, 0x04, 0x01, 0x18, 0x01, 0x01, 0x00], 3).unwrap();
    let record = |sfi, number, authenticated| Record { sfi, number, authenticated };
    let read: Vec<_> = afl.records().collect();
    assert_eq!(read, [record(2, 3, true), record(2, 4, false), record(3, 1, false)]);
    assert_eq!(Afl::parse(&[0x10, 0x01, 0x04, 0x00], 3).err(), Some(FaultKind::TooManyRecords));
    assert_eq!(Afl::parse(&[0x10, 0x01, 0xFF, 0xFF], 255).unwrap().records().count(), 255);
}

#[test]
fn card_data_are_kept_once() {
    let (mut data, mut static_data) = ([0; 24], [0; 2]);
    let mut card = CardData::new(Memory { data: &mut data, static_data: &mut static_data });
    card.push_fci(&[0x84, 0x01, 0xAA, 0x50, 0x01, 0xBB]).unwrap();
    card.push(&[0x50, 0x01, 0xCC, 0x61, 0x00]).unwrap();
    assert_eq!(card.get(Tag::new(0x50)), Some(&[0xCC][..]), "of the records before the FCI");
    assert_eq!(card.get(Tag::new(0x84)), Some(&[0xAA][..]));
    assert_eq!(card.push(&[0x50, 0x01, 0xCC]), Err(FaultKind::Repeated(Tag::new(0x50))));
    assert_eq!(card.push(&[0x5A, 0x00, 0x5A, 0x00]), Err(FaultKind::Repeated(Tag::new(0x5A))));
    let mark = card.mark();
    card.push(&[0x61, 0x00, 0x57, 0x01, 0x00]).unwrap();
    assert_eq!(card.push(&[0x9F, 0x26, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]), Err(FaultKind::TooMuchData));
    assert_eq!(card.push_static(&[1, 2, 3]), Err(FaultKind::TooMuchData));
    card.push_static(&[1, 2]).unwrap();
    card.rewind(mark);
    assert_eq!((card.get(Tag::new(0x57)), card.static_data()), (None, &[][..]));
    card.push(&[0x57, 0x01, 0x01]).unwrap();
}
