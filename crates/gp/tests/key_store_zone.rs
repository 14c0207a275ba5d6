//! Keys and values that the key store passes on to a card: PUT KEY by handle, values and PINs out of an issuer's zone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_apdu::Command;
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::rsa::RsaPrivate;
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
use huiwan_gp::host::key_store::{Chaining, OpenRequest, PinBlock, PinFormat, SingleKey, ZoneValue};
use huiwan_gp::host::{
    KeyAnswer, KeyError, KeyHandle, KeyRef, KeyRequest, KeyStore, SessionId, SoftKeyStore,
};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::put_key::{KeyData, KeyType};
use huiwan_gp::scp03::Level;
use huiwan_gp::{scp01, scp02};
use huiwan_testkit::{hex, vectors};
use support::*;

type Store = SoftKeyStore<8, 2>;

const ZONE_AES: KeyHandle = KeyHandle(1);
const ZONE_DES: KeyHandle = KeyHandle(2);
const ZONE_KEY: [u8; 16] = [0x5A; 16];
const NOBODY: SessionId = SessionId(99);

fn store() -> Store {
    let mut store = Store::new();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_des(2, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    store.insert_single(ZONE_AES, SingleKey::aes(&ZONE_KEY).unwrap()).unwrap();
    store.insert_single(ZONE_DES, SingleKey::des(&ZONE_KEY).unwrap()).unwrap();
    store
}

fn both() -> CardProfile {
    CardProfile::DEFAULT.with_scp02(scp02::Options::I75)
}

/// A channel through the store: SCP03 under version 30, SCP02 under 20.
fn open(card: &mut Card<'_, MapMemory>, store: &mut Store, version: u8) -> SessionId {
    let host_challenge = [7; 8].into();
    let answer = card.send(&apdu([0x80, 0x50, version, 0x00], &[7; 8]));
    let request = OpenRequest {
        key: KeyRef::direct(if version == 0x20 { 2 } else { 1 }),
        aid: CardProfile::DEFAULT.issuer_aid,
        cla: 0x80,
        host_challenge,
        answer: Answer::parse(&answer[..answer.len() - 2]).unwrap(),
        scp01: scp01::Options::default(),
        scp02: scp02::Options::I75,
        level: Level::CMacCEnc,
    };
    let (session, external_authenticate) = store.open(&request).unwrap();
    assert_eq!(card.sw(external_authenticate.as_bytes()), 0x9000);
    session
}

/// A plain command through the store's session: data and status word.
fn through(card: &mut Card<'_, MapMemory>, store: &mut Store, session: SessionId, command: &[u8]) -> Vec<u8> {
    Command::parse(command).unwrap();
    let mut out = [0; 300];
    let sent = store.wrap(session, command, &mut out).unwrap().to_vec();
    let answer = card.send(&sent);
    store.unwrap(session, &answer, &mut out).unwrap().to_vec()
}

fn wrap_key(store: &mut Store, session: SessionId, key: KeyHandle, key_type: KeyType) -> Vec<u8> {
    let mut out = [0; 300];
    match store.answer(&KeyRequest::WrapKey { session, key, key_type }, &mut out) {
        KeyAnswer::Bytes(field) => field.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn rsa() -> RsaPrivate {
    let file = vectors::load(include_str!("../../crypto/tests/vectors/rsa_fixtures.txt"));
    let v = file.block("rsa-1024-65537");
    RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap()
}

#[test]
fn the_card_takes_every_kind_of_key() {
    for version in [0x20, 0x30] {
        let profile = both();
        with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let store = &mut store();
            let session = open(card, store, version);
            let keys = [
                (SingleKey::aes(&[1; 16]).unwrap(), KeyType::Aes, 16),
                (SingleKey::aes(&[2; 24]).unwrap(), KeyType::Aes, 24),
                (SingleKey::aes(&[3; 32]).unwrap(), KeyType::Aes, 32),
                (SingleKey::aes(&[4; 16]).unwrap(), KeyType::Psk, 16),
                (SingleKey::des(&[5; 16]).unwrap(), KeyType::Des, 16),
                (rsa().into(), KeyType::RsaPublic, 128),
                (EcPrivate::<P256>::new(&[6; 32]).unwrap().into(), KeyType::EccPublic, 65),
            ];
            for (n, (key, key_type, len)) in (0x40_u8..).zip(keys) {
                store.insert_single(KeyHandle(9), key).unwrap();
                let field = wrap_key(store, session, KeyHandle(9), key_type);
                let data = [&[n][..], &field].concat();
                let parsed = KeyData::parse(&data).unwrap().fields().next().unwrap().unwrap();
                assert_eq!((parsed.key_type, parsed.len), (key_type, len));
                let expected = [&[n][..], parsed.check_value, &[0x90, 0x00]].concat();
                assert_eq!(
                    through(card, store, session, &apdu([0x80, 0xD8, 0x00, 0x01], &data)),
                    expected,
                    "{key_type:?} {len}"
                );
            }
        });
    }
}

#[test]
fn a_key_leaves_only_encrypted_and_only_as_what_it_is() {
    let profile = both();
    with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
        let store = &mut store();
        let (des, aes) = (KeyHandle(10), KeyHandle(11));
        store.insert_single(des, SingleKey::des(&[9; 24]).unwrap()).unwrap();
        store.insert_single(aes, SingleKey::aes(&[8; 24]).unwrap()).unwrap();
        let session = open(card, store, 0x30);
        let field = wrap_key(store, session, aes, KeyType::Aes);
        assert!(!field.windows(8).any(|window| window == [8; 8]));
        // Written straight from the table: type, length, clear length, the key and zeros under the DEK, check value. [AmdD 7.2]
        let mut block = [[8; 24].as_slice(), &[0; 8]].concat();
        Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let kcv = Aes::new(&[8; 24]).unwrap().encrypt_block(&[1; 16]);
        assert_eq!(field, [&[0x88, 33, 24][..], &block, &[3], &kcv[..3]].concat());
        let mut refused =
            |session, key, key_type| store.wrap_key(session, key, key_type, &mut [0; 300]).err();
        assert_eq!(refused(session, aes, KeyType::Des), Some(KeyError::Algorithm));
        assert_eq!(refused(session, aes, KeyType::RsaPublic), Some(KeyError::Algorithm));
        // 24 bytes are one AES block and a half, and a DES key has no length of its own.
        assert_eq!(refused(session, des, KeyType::Des), Some(KeyError::Algorithm));
        assert_eq!(refused(session, KeyHandle(77), KeyType::Aes), Some(KeyError::UnknownKey));
        assert_eq!(refused(NOBODY, aes, KeyType::Aes), Some(KeyError::UnknownSession));
        assert_eq!(store.wrap_key(session, aes, KeyType::Aes, &mut [0; 38]), Err(KeyError::Full));
        store.close(session);
        let session = open(card, store, 0x20);
        let field = wrap_key(store, session, des, KeyType::Des);
        assert_eq!(field[..2], [0x80, 24]);
    });
}

/// Decrypts under the DEK of the card's first session, computed here once more.
fn open_dek(version: u8, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    if version == 0x30 {
        Aes::new(&TEST_KEY).unwrap().decrypt_cbc(&[0; 16], &mut data).unwrap();
    } else {
        // 0181 ‖ counter 0000 ‖ zeros, in CBC under the static DEK. [GPC E.4.1]
        let mut key = [0; 16];
        key[..2].copy_from_slice(&[0x01, 0x81]);
        Tdes::new2(&TEST_KEY).encrypt_cbc(&[0; 8], &mut key).unwrap();
        Tdes::new2(&key).decrypt_ecb(&mut data).unwrap();
    }
    data
}

fn in_zone(zone: KeyHandle, chaining: Chaining, plain: &[u8]) -> Vec<u8> {
    let mut data = plain.to_vec();
    match (zone == ZONE_AES, chaining) {
        (true, Chaining::Ecb) => Aes::new(&ZONE_KEY).unwrap().encrypt_ecb(&mut data),
        (true, Chaining::Cbc) => Aes::new(&ZONE_KEY).unwrap().encrypt_cbc(&[0; 16], &mut data),
        (false, Chaining::Ecb) => Tdes::new2(&ZONE_KEY).encrypt_ecb(&mut data),
        (false, Chaining::Cbc) => Tdes::new2(&ZONE_KEY).encrypt_cbc(&[0; 8], &mut data),
    }
    .unwrap();
    data
}

#[test]
fn values_go_from_a_zone_to_the_card() {
    for version in [0x20, 0x30] {
        let profile = both();
        with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let store = &mut store();
            let session = open(card, store, version);
            let plain: Vec<u8> = (0..48).collect();
            for zone in [ZONE_AES, ZONE_DES] {
                for chaining in [Chaining::Ecb, Chaining::Cbc] {
                    let data = &in_zone(zone, chaining, &plain);
                    let block = if version == 0x20 { 8 } else { 16 };
                    for pad in [false, true] {
                        let value = ZoneValue { chaining, data, pad };
                        let mut out = [0; 64];
                        let KeyAnswer::Bytes(got) =
                            store.answer(&KeyRequest::Reencrypt { session, zone, value }, &mut out)
                        else {
                            panic!()
                        };
                        let mut expected = plain.clone();
                        if pad {
                            expected.push(0x80);
                            expected.resize(48 + block, 0);
                        }
                        assert_eq!(open_dek(version, got), expected);
                    }
                }
            }
            let mut refused = |session, zone, value: &ZoneValue<'_>, len: usize| {
                let mut out = [0xEE; 64];
                let error = store.reencrypt(session, zone, value, &mut out[..len]).err();
                // Nothing plain stays behind.
                assert!(!out.windows(8).any(|window| plain.windows(8).any(|plain| plain == window)));
                error
            };
            let data = &in_zone(ZONE_DES, Chaining::Ecb, &plain[..24]);
            let value = ZoneValue { chaining: Chaining::Ecb, data, pad: false };
            let odd = (version == 0x30).then_some(KeyError::TooLong);
            assert_eq!(refused(session, ZONE_DES, &value, 64), odd, "one block and a half");
            let padded = ZoneValue { pad: true, ..value };
            assert_eq!(refused(session, ZONE_DES, &padded, 24), Some(KeyError::Full));
            assert_eq!(refused(session, ZONE_DES, &padded, 23), Some(KeyError::Full));
            let part = ZoneValue { data: &data[..23], ..value };
            assert_eq!(refused(session, ZONE_DES, &part, 64), Some(KeyError::TooLong));
            assert_eq!(refused(session, KeyHandle(77), &value, 64), Some(KeyError::UnknownKey));
            assert_eq!(refused(NOBODY, ZONE_DES, &value, 64), Some(KeyError::UnknownSession));
        });
    }
}

/// Blocks of knovichikhin/psec tests/test_pinblock.py: the field before encryption, the account number, the PIN.
const FIELDS: [(PinFormat, &str, &str, &str); 9] = [
    (PinFormat::Iso0, "041261AAAAEDCBA9", "5555555551234567", "241234FFFFFFFFFF"),
    (PinFormat::Iso0, "091261032D8DCBA9", "5555555551234567", "29123456789FFFFF"),
    (PinFormat::Iso0, "0A1261032D82CBA9", "5555555551234567", "2A1234567890FFFF"),
    (PinFormat::Iso0, "0C1261032D8226A9", "5555555551234567", "2C123456789012FF"),
    (PinFormat::Iso3, "341261AAAAEDCBA9", "5555555551234567", "241234FFFFFFFFFF"),
    (PinFormat::Iso3, "391261032D8DCBA9", "5555555551234567", "29123456789FFFFF"),
    (PinFormat::Iso3, "3C1261032D8226A9", "5555555551234567", "2C123456789012FF"),
    // Format 1 is like format 2 with another control field and any fill (computed by hand).
    (PinFormat::Iso1, "141234A01B2C3D4E", "", "241234FFFFFFFFFF"),
    (PinFormat::Iso1, "1C12345678901299", "", "2C123456789012FF"),
];

/// Of the same, refused: another format, a length of 2 or 15, wrong fill, a digit that is none, an account number that is none.
const REFUSED: [(PinFormat, &str, &str); 10] = [
    (PinFormat::Iso0, "241261AAAAEDCBA9", "5555555551234567"),
    (PinFormat::Iso0, "0F1261AAAAEDCBA9", "5555555551234567"),
    (PinFormat::Iso0, "021261AAAAEDCBA9", "5555555551234567"),
    (PinFormat::Iso0, "041261AAAAEDCBAA", "5555555551234567"),
    (PinFormat::Iso0, "051261AAAAEDCBA9", "5555555551234567"),
    (PinFormat::Iso0, "041261AAAAEDCBA9", "555555555123"),
    (PinFormat::Iso0, "041261AAAAEDCBA9", "555555555123456A"),
    (PinFormat::Iso3, "341261AAAAEDCBA2", "5555555551234567"),
    (PinFormat::Iso3, "351261AAAAEDCBA9", "5555555551234567"),
    (PinFormat::Iso1, "0412340000000000", ""),
];

fn translate(
    store: &mut Store,
    session: SessionId,
    zone: KeyHandle,
    pin: PinBlock<'_>,
) -> Result<Vec<u8>, KeyError> {
    let mut out = [0; 32];
    match store.answer(&KeyRequest::TranslatePinBlock { session, zone, pin }, &mut out) {
        KeyAnswer::Bytes(block) => Ok(block.to_vec()),
        KeyAnswer::Refused(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pins_go_from_a_zone_to_the_card() {
    for version in [0x20, 0x30] {
        let profile = both();
        with_card(&profile, new_memory(&Factory::TEST.with_scp02_test_keys()), |card| {
            let store = &mut store();
            let session = open(card, store, version);
            let on_card = |reference: &[u8]| match version {
                0x20 => reference.to_vec(),
                _ => [reference, &hex("8000000000000000")].concat(),
            };
            for (format, field, account, reference) in FIELDS {
                let block = &in_zone(ZONE_DES, Chaining::Ecb, &hex(field));
                let pin = PinBlock { format, account: account.as_bytes(), block, pad: version == 0x30 };
                let got = translate(store, session, ZONE_DES, pin).unwrap();
                assert_eq!(open_dek(version, &got), on_card(&hex(reference)), "{format:?} {field}");
            }
            for (format, field, account) in REFUSED {
                let block = &in_zone(ZONE_DES, Chaining::Ecb, &hex(field));
                let pin = PinBlock { format, account: account.as_bytes(), block, pad: true };
                assert_eq!(
                    translate(store, session, ZONE_DES, pin),
                    Err(KeyError::PinBlock),
                    "{format:?} {field}"
                );
            }
            // Format 4: psec, the first from the ep2 security specification 8.0.0.
            for (key, block, account, reference) in [
                (
                    "C1D0F8FB4958670DBA40AB1F3752EF0D",
                    "CC17F65586BFD0953010226C4FC5B3CA",
                    "432198765432109870",
                    "241234FFFFFFFFFF",
                ),
                (
                    "00112233445566778899AABBCCDDEEFF",
                    "28B41FDDD29B743E93124BD8E32D921E",
                    "1234567890123456789",
                    "241234FFFFFFFFFF",
                ),
                (
                    "00112233445566778899AABBCCDDEEFF",
                    "39B69B1B91FE05D48F7EF0D68EB2CBD6",
                    "1",
                    "26123456FFFFFFFF",
                ),
            ] {
                store.insert_single(KeyHandle(3), SingleKey::aes(&hex(key)).unwrap()).unwrap();
                let block = &hex(block);
                let pin = PinBlock {
                    format: PinFormat::Iso4,
                    account: account.as_bytes(),
                    block,
                    pad: version == 0x30,
                };
                let got = translate(store, session, KeyHandle(3), pin).unwrap();
                assert_eq!(open_dek(version, &got), on_card(&hex(reference)));
                // Another account number, a key of the other algorithm, a block of another length.
                let other = PinBlock { account: b"432198765432109871", ..pin };
                assert_eq!(translate(store, session, KeyHandle(3), other), Err(KeyError::PinBlock));
                assert_eq!(translate(store, session, ZONE_DES, pin), Err(KeyError::Algorithm));
                let short = PinBlock { block: &block[..8], ..pin };
                assert_eq!(translate(store, session, KeyHandle(3), short), Err(KeyError::PinBlock));
            }
            for (key, block, account) in [
                (
                    "E60B15B90ABDF14CEE337C97440F0D6E",
                    "7D5AF4C33667A2098626027FB7A9A1B7",
                    "4266229809609384667",
                ),
                (
                    "C7BBEBA16C5AD97D5866450718C03750",
                    "2F9C910447F17293EC95DEDE1E3CA201",
                    "8220499325458689523",
                ),
                (
                    "820F6C7C12355BDFF1AB6CE12E8EED89",
                    "CCF310A8300B46C925A86B1098089301",
                    "939589847393485609",
                ),
                (
                    "4FE3F0311936FBCE44F17159F1659CF09B2BF8913BB514A1",
                    "51334B00A6CBA3EC7B1C6F871F060AFC",
                    "2129100799029059903",
                ),
            ] {
                store.insert_single(KeyHandle(3), SingleKey::aes(&hex(key)).unwrap()).unwrap();
                let pin = PinBlock {
                    format: PinFormat::Iso4,
                    account: account.as_bytes(),
                    block: &hex(block),
                    pad: true,
                };
                assert_eq!(translate(store, session, KeyHandle(3), pin), Err(KeyError::PinBlock));
            }
            let block = &in_zone(ZONE_DES, Chaining::Ecb, &hex(FIELDS[0].1));
            let pin =
                PinBlock { format: PinFormat::Iso0, account: FIELDS[0].2.as_bytes(), block, pad: false };
            if version == 0x30 {
                assert_eq!(translate(store, session, ZONE_DES, pin), Err(KeyError::TooLong), "half a block");
            }
            assert_eq!(translate(store, session, ZONE_AES, pin), Err(KeyError::Algorithm));
            assert_eq!(translate(store, NOBODY, ZONE_DES, pin), Err(KeyError::UnknownSession));
            assert_eq!(translate(store, session, KeyHandle(77), pin), Err(KeyError::UnknownKey));
        });
    }
}

/// A store that has nothing but sessions.
struct Plain;

impl KeyStore for Plain {
    fn open(
        &mut self,
        _: &OpenRequest,
    ) -> Result<(SessionId, huiwan_gp::host::secure_channel::ExternalAuthenticate), KeyError> {
        Err(KeyError::Unavailable)
    }
    fn wrap<'o>(&mut self, _: SessionId, _: &[u8], _: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
        Err(KeyError::Unavailable)
    }
    fn unwrap<'o>(&mut self, _: SessionId, _: &[u8], _: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
        Err(KeyError::Unavailable)
    }
    fn encrypt<'o>(&mut self, _: SessionId, _: &[u8], _: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
        Err(KeyError::Unavailable)
    }
    fn export_keys<'o>(
        &mut self,
        _: SessionId,
        _: KeyRef,
        _: u8,
        _: &[u8; 10],
        _: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        Err(KeyError::Unavailable)
    }
    fn close(&mut self, _: SessionId) {}
}

#[test]
fn what_a_store_does_not_do_is_unavailable() {
    let (session, key) = (SessionId(1), KeyHandle(1));
    let value = ZoneValue { chaining: Chaining::Ecb, data: &[0; 16], pad: false };
    let pin = PinBlock { format: PinFormat::Iso0, account: b"5555555551234567", block: &[0; 8], pad: false };
    for request in [
        KeyRequest::WrapKey { session, key, key_type: KeyType::Aes },
        KeyRequest::Reencrypt { session, zone: key, value },
        KeyRequest::TranslatePinBlock { session, zone: key, pin },
        KeyRequest::SignToken { key, message: b"m" },
        KeyRequest::VerifyReceipt { key, message: b"m", receipt: b"r" },
    ] {
        assert_eq!(Plain.answer(&request, &mut [0; 300]), KeyAnswer::Refused(KeyError::Unavailable));
    }
}
