//! Chains of real cards, then every check by breaking it.
extern crate std;

use std::vec::Vec as StdVec;

use huiwan_testkit::vectors::{self, Block};

use super::*;
use crate::pan::Pan;

const VECTORS: &str = include_str!("../../tests/vectors/certificates.txt");

fn optional(block: &Block<'_>, key: &str) -> StdVec<u8> {
    match block.get(key) {
        Some(text) if text != "\"\"" && !text.is_empty() => block.bytes(key),
        _ => StdVec::new(),
    }
}

/// An account number that begins with the issuer's digits.
fn pan_of_issuer(identifier: &[u8]) -> Pan {
    let mut digits = std::string::String::new();
    for nibble in identifier.iter().flat_map(|b| [b >> 4, b & 15]).take_while(|n| *n < 10) {
        digits.push(char::from(b'0'.wrapping_add(nibble)));
    }
    while digits.len() < 16 {
        digits.push('7');
    }
    Pan::from_digits(&digits).unwrap()
}

fn issuer_key(modulus: &[u8], exponent: &[u8]) -> IssuerKey {
    IssuerKey {
        key: PublicKey::new(modulus, exponent).unwrap(),
        info: CertificateInfo { expiry: [0x12, 0x30], serial: [0; 3] },
        identifier: [0xFF; 4],
    }
}

fn icc_key(modulus: &[u8], exponent: &[u8]) -> IccKey {
    IccKey {
        key: PublicKey::new(modulus, exponent).unwrap(),
        info: CertificateInfo { expiry: [0x12, 0x30], serial: [0; 3] },
    }
}

#[test]
fn issuer_certificates_of_every_scheme() {
    let file = vectors::load(VECTORS);
    let mut seen = 0;
    for v in file.group("oda_rsa_issuer_cert") {
        let (ca_modulus, ca_exponent) = (v.bytes("in.ca_modulus"), v.bytes("in.ca_exponent"));
        let table = [(
            v.array::<5>("in.rid"),
            v.array::<1>("in.capk_index")[0],
            CaKey { modulus: &ca_modulus, exponent: &ca_exponent },
        )];
        let ca =
            table.find(&v.array("in.rid"), v.array::<1>("in.capk_index")[0]).expect("key is in the table");
        assert!(table.find(&[0; 5], 1).is_none());
        let (certificate, remainder, exponent) =
            (v.bytes("in.tag90"), optional(v, "in.tag92"), v.bytes("in.tag9F32"));
        let Some(modulus) = v.get("out.issuer_modulus") else { continue };
        let identifier =
            if v.get("out.issuer_id").is_some() { v.bytes("out.issuer_id") } else { StdVec::new() };
        let pan = pan_of_issuer(&identifier);
        let key = recover_issuer(&ca, &certificate, &remainder, &exponent, &pan)
            .unwrap_or_else(|_| panic!("{}", v.id()));
        assert_eq!(key.key().modulus(), huiwan_testkit::hex(modulus), "{}", v.id());
        assert_eq!(key.identifier()[..], identifier, "{}", v.id());
        if v.get("out.expiry_mmyy").is_some() {
            assert_eq!(key.info().expiry[..], v.bytes("out.expiry_mmyy"), "{}", v.id());
        }
        seen += 1;

        let refused = |certificate: &[u8], remainder: &[u8], exponent: &[u8], pan: &Pan, what: &str| {
            let result = recover_issuer(&ca, certificate, remainder, exponent, pan);
            assert!(result.is_err(), "{} accepts {what}", v.id());
        };
        let mut wrong = certificate.clone();
        wrong[20] ^= 1;
        refused(&wrong, &remainder, &exponent, &pan, "a changed certificate");
        refused(&certificate[1..], &remainder, &exponent, &pan, "a short certificate");
        refused(&certificate, &remainder, &[0x01, 0x00, 0x03], &pan, "another exponent");
        refused(&certificate, &[remainder.as_slice(), &[0]].concat(), &exponent, &pan, "a longer remainder");
        refused(
            &certificate,
            &remainder,
            &exponent,
            &Pan::from_digits("0000000000000000").unwrap(),
            "another issuer's card",
        );
        refused(&[], &[], &[], &pan, "nothing");
    }
    assert_eq!(seen, 8);
}

#[test]
fn card_certificates_of_every_scheme() {
    let file = vectors::load(VECTORS);
    let mut seen = 0;
    for v in file.group("oda_rsa_icc_cert") {
        let issuer = issuer_key(&v.bytes("in.issuer_modulus"), &v.bytes("in.issuer_exp"));
        let (certificate, remainder, exponent) =
            (v.bytes("in.tag9F46"), optional(v, "in.tag9F48"), v.bytes("in.tag9F47"));
        let (data, pan) = (optional(v, "in.static_data"), Pan::from_bytes(&v.bytes("out.pan")).unwrap());
        let key = recover_icc(&issuer, &certificate, &remainder, &exponent, &data, &pan)
            .unwrap_or_else(|_| panic!("{}", v.id()));
        assert_eq!(key.key().modulus(), v.bytes("out.icc_modulus"), "{}", v.id());
        assert_eq!(key.key().exponent(), exponent);
        seen += 1;

        let more = [data.as_slice(), &[0]].concat();
        assert!(
            recover_icc(&issuer, &certificate, &remainder, &exponent, &more, &pan).is_err(),
            "static data"
        );
        let other = Pan::from_digits("6228000100001118").unwrap();
        assert!(
            recover_icc(&issuer, &certificate, &remainder, &exponent, &data, &other).is_err(),
            "account number"
        );
        let mut wrong = certificate.clone();
        *wrong.last_mut().unwrap() ^= 0x80;
        assert!(recover_icc(&issuer, &wrong, &remainder, &exponent, &data, &pan).is_err(), "certificate");
    }
    assert_eq!(seen, 6);
}

#[test]
fn static_and_dynamic_signatures_of_every_scheme() {
    let file = vectors::load(VECTORS);
    for v in file.group("oda_rsa_sda").filter(|v| !v.source().contains("only in part")) {
        let issuer = PublicKey::new(&v.bytes("in.issuer_modulus"), &v.bytes("in.issuer_exp")).unwrap();
        let mut data = v.bytes("in.static_data");
        assert_eq!(verify_ssad_of(&issuer, v, &data), Ok(v.array("out.dac")), "{}", v.id());
        data[0] ^= 1;
        assert!(verify_ssad_of(&issuer, v, &data).is_err());
    }
    let mut seen = 0;
    for group in ["oda_rsa_dda", "oda_rsa_cda"] {
        for v in file.group(group) {
            let icc = icc_key(&v.bytes("in.icc_modulus"), &v.bytes("in.icc_exp"));
            let (signature, data) = (v.bytes("in.tag9F4B"), v.bytes("in.dynamic_data"));
            let signed = verify_dda(&icc, &signature, &data).unwrap_or_else(|_| panic!("{}", v.id()));
            assert_eq!(signed.number(), v.bytes("out.icc_dynamic_number"), "{}", v.id());
            assert!(verify_dda(&icc, &signature, &[data.as_slice(), &[0]].concat()).is_err());
            if group == "oda_rsa_cda" {
                let cda = signed.cda().unwrap();
                assert_eq!([cda.cid], v.array::<1>("out.cid"));
                assert_eq!(*cda.cryptogram, v.array::<8>("out.ac"));
                assert_eq!(cda.verify(&[&v.bytes("in.transaction_hash_input")]), Ok(()));
                assert!(cda.verify(&[b"something else"]).is_err());
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

fn verify_ssad_of(issuer: &PublicKey, v: &Block<'_>, data: &[u8]) -> Result<[u8; 2], CryptoError> {
    issuer::verify_ssad(issuer, &v.bytes("in.tag93"), data)
}

#[test]
fn fdda_versions_and_formats() {
    let file = vectors::load(VECTORS);
    let certificate = file.block("cardimg-icc-qpboc");
    let icc = icc_key(&certificate.bytes("out.icc_modulus"), &certificate.bytes("in.tag9F47"));
    let data = [1, 0, 0, 0, 0, 0x30, 0, 0];
    let v01 = FddaInput {
        unpredictable_number: [0x12, 0x34, 0x56, 0x78],
        amount: [0, 0, 0, 0, 1, 0],
        currency: [1, 0x56],
        card_authentication: Some(&data),
    };
    let v00 = FddaInput { card_authentication: None, ..v01 };
    for (id, right, wrong) in [("comp-fdda-rsa-v00", v00, v01), ("comp-fdda-rsa-v01", v01, v00)] {
        let signature = file.block(id).bytes("out.tag9F4B");
        let signed = verify_fdda(&icc, &signature, &right, FddaFormat::Pboc).expect(id);
        assert_eq!(signed.number(), [0, 1]);
        assert!(signed.cda().is_none());
        assert!(verify_fdda(&icc, &signature, &wrong, FddaFormat::Pboc).is_err());
        assert!(verify_fdda(&icc, &signature, &right, FddaFormat::Visa).is_err());
        let other = FddaInput { unpredictable_number: [0; 4], ..right };
        assert!(verify_fdda(&icc, &signature, &other, FddaFormat::Pboc).is_err());
    }
}

#[test]
fn certificates_expire_at_the_end_of_their_month() {
    let info = CertificateInfo { expiry: [0x12, 0x30], serial: [0; 3] };
    assert!(info.is_valid_on([0x26, 0x11, 0x22]));
    assert!(info.is_valid_on([0x30, 0x12, 0x31]));
    assert!(!info.is_valid_on([0x31, 0x01, 0x01]));
    assert!(info.is_valid_on([0x99, 0x01, 0x01]), "years from 50 are of the last century");
    assert!(!CertificateInfo { expiry: [0x13, 0x30], serial: [0; 3] }.is_valid_on([0x26, 1, 1]));
    assert!(!CertificateInfo { expiry: [0x06, 0x30], serial: [0; 3] }.is_valid_on([0x30, 7, 1]));
}

#[test]
fn static_data_are_bounded_and_need_templates() {
    let mut data = StaticData::<8>::new();
    assert_eq!(data.get(), Ok(&[][..]));
    data.push_record(11, &[1, 2, 3, 4]);
    data.push(&[5, 6]);
    assert_eq!(data.get(), Ok(&[1, 2, 3, 4, 5, 6][..]));
    data.push(&[7, 8, 9]);
    assert_eq!(data.get(), Err(CryptoError));
    for bad in [&[0x71, 0x00][..], &[0x70, 0x01], &[0x70, 0x00, 0x70, 0x00], &[]] {
        let mut data = StaticData::<8>::new();
        data.push_record(10, bad);
        assert!(data.get().is_err(), "{bad:?}");
    }
}

#[test]
fn published_check_values_of_authority_keys() {
    let file = vectors::load(include_str!("../../tests/vectors/ca_keys.txt"));
    let mut seen = 0;
    for v in file.blocks().filter(|v| v.get("sha1").is_some() && v.source().contains("matches")) {
        let (modulus, exponent) = (v.bytes("modulus"), v.bytes("exponent"));
        let key = CaKey { modulus: &modulus, exponent: &exponent };
        let (rid, [index]) = (v.array("rid"), v.array::<1>("index"));
        assert_eq!(key.check_value(&rid, index)[..], v.bytes("sha1"), "{}", v.id());
        assert_ne!(key.check_value(&rid, index.wrapping_add(1))[..], v.bytes("sha1"));
        seen += 1;
    }
    assert!(seen > 0);
}
