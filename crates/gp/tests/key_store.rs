//! The key store: keys that stand alone, what they sign and what they refuse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_gp::host::key_store::SingleKey;
use huiwan_gp::host::{KeyAnswer, KeyError, KeyHandle, KeyRequest, KeyStore, SoftKeyStore};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors;

type Store = SoftKeyStore<6, 2, Seeded>;

const DES: KeyHandle = KeyHandle(1);
const AES: KeyHandle = KeyHandle(2);
const RSA_1024: KeyHandle = KeyHandle(3);
const RSA_2048: KeyHandle = KeyHandle(4);
const P_256: KeyHandle = KeyHandle(5);
const PUBLIC: KeyHandle = KeyHandle(6);

fn rsa(id: &str) -> RsaPrivate {
    let file = vectors::load(include_str!("../../crypto/tests/vectors/rsa_fixtures.txt"));
    let v = file.block(id);
    RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap()
}

fn store() -> Store {
    let mut store = Store::with_random(Seeded::new(5));
    store.insert_single(DES, SingleKey::des(&[0x11; 16]).unwrap()).unwrap();
    store.insert_single(AES, SingleKey::aes(&[0x22; 32]).unwrap()).unwrap();
    store.insert_single(RSA_1024, rsa("rsa-1024-65537").into()).unwrap();
    store.insert_single(RSA_2048, rsa("rsa-2048-65537").into()).unwrap();
    store.insert_single(P_256, EcPrivate::<P256>::new(&[7; 32]).unwrap().into()).unwrap();
    store
}

fn sign(store: &mut Store, key: KeyHandle, message: &[u8]) -> Vec<u8> {
    let mut out = [0; 256];
    match store.answer(&KeyRequest::SignToken { key, message }, &mut out) {
        KeyAnswer::Bytes(token) => token.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokens_of_every_scheme() {
    let store = &mut store();
    let message = b"what the issuer allows";
    for (key, len) in [(DES, 8), (AES, 16), (RSA_1024, 128), (RSA_2048, 256), (P_256, 64)] {
        let token = sign(store, key, message);
        assert_eq!(token.len(), len);
        // The store checks receipts by the same rule.
        assert_eq!(store.verify_receipt(key, message, &token), Ok(()), "{key:?}");
        assert_eq!(store.verify_receipt(key, b"else", &token), Err(KeyError::Signature));
        assert_eq!(store.verify_receipt(key, message, &token[1..]), Err(KeyError::Signature));
        for at in 0..len {
            let mut wrong = token.clone();
            wrong[at] ^= 0x04;
            assert_eq!(store.verify_receipt(key, message, &wrong), Err(KeyError::Signature), "{key:?} {at}");
        }
        assert_eq!(store.sign_token(key, message, &mut [0; 256][..len - 1]), Err(KeyError::Full));
    }
    // What the card would check with the public keys alone.
    let token = sign(store, RSA_1024, message);
    rsa("rsa-1024-65537").public().verify_pkcs1_sha1(&[message], &token).unwrap();
    let token = sign(store, RSA_2048, message);
    rsa("rsa-2048-65537").public().verify_pss_sha256(&[message], &token).unwrap();
    let token = sign(store, P_256, message);
    let public = EcPrivate::<P256>::new(&[7; 32]).unwrap().public().unwrap();
    public.verify(&huiwan_crypto::hash::sha256(&[message]), &token).unwrap();
}

/// AES token of one vector and the signatures of the load file of the other; both computed by another implementation (weak).
#[test]
fn symmetric_signatures_of_another_implementation() {
    let file = vectors::load(include_str!("vectors/content_management.txt"));
    let store = &mut store();
    let mut check = |key: SingleKey, message: Vec<u8>, token: Vec<u8>| {
        store.insert_single(PUBLIC, key).unwrap();
        assert_eq!(sign(store, PUBLIC, &message), token);
    };
    let v = file.block("derived-token-load-aes");
    let key = SingleKey::aes(&v.bytes("in.token_key")).unwrap();
    check(key, v.bytes("out.token_input"), v.bytes("out.token"));
    let v = file.block("derived-dap-aes-des");
    let key = SingleKey::aes(&v.bytes("in.dap_key_aes")).unwrap();
    check(key, v.bytes("in.lfdbh_sha256"), v.bytes("out.dap_aes"));
    let key = SingleKey::des(&v.bytes("in.dap_key_des")).unwrap();
    check(key, v.bytes("in.lfdbh_sha1"), v.bytes("out.dap_des_retail"));
}

#[test]
fn receipts_by_public_keys() {
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    let store = &mut store();
    for v in file.blocks() {
        let key = RsaPublic::new(&v.bytes("in.n"), &v.bytes("in.e")).unwrap();
        store.insert_single(PUBLIC, key.into()).unwrap();
        let (message, receipt) = (v.bytes("in.message"), v.bytes("out.signature"));
        let request = KeyRequest::VerifyReceipt { key: PUBLIC, message: &message, receipt: &receipt };
        assert_eq!(store.answer(&request, &mut []), KeyAnswer::Bytes(&[]), "{}", v.id());
        let request = KeyRequest::VerifyReceipt { key: PUBLIC, message: &[0], receipt: &receipt };
        assert_eq!(store.answer(&request, &mut []), KeyAnswer::Refused(KeyError::Signature));
        assert_eq!(store.sign_token(PUBLIC, &message, &mut [0; 256]), Err(KeyError::Algorithm));
    }
    let public = EcPrivate::<P256>::new(&[7; 32]).unwrap().public().unwrap();
    store.insert_single(PUBLIC, public.into()).unwrap();
    let receipt = sign(store, P_256, b"m");
    assert_eq!(store.verify_receipt(PUBLIC, b"m", &receipt), Ok(()));
    assert_eq!(store.sign_token(PUBLIC, b"m", &mut [0; 256]), Err(KeyError::Algorithm));
}

#[test]
fn keys_that_are_not_there_or_do_not_fit() {
    let store = &mut store();
    assert_eq!(store.sign_token(KeyHandle(99), b"m", &mut [0; 256]), Err(KeyError::UnknownKey));
    assert_eq!(store.verify_receipt(KeyHandle(99), b"m", &[0; 8]), Err(KeyError::UnknownKey));
    for len in [0, 8, 15, 17, 33] {
        assert_eq!(SingleKey::des(&vec![1; len]).unwrap_err(), KeyError::Unavailable);
        assert_eq!(SingleKey::aes(&vec![1; len]).unwrap_err(), KeyError::Unavailable);
    }
    store.insert_single(PUBLIC, SingleKey::aes(&[1; 16]).unwrap()).unwrap();
    let one_more = SingleKey::aes(&[1; 16]).unwrap();
    assert_eq!(store.insert_single(KeyHandle(7), one_more.clone()), Err(KeyError::Full));
    assert_eq!(format!("{one_more:?} {store:?}").matches("22").count(), 0, "nothing of a key is printed");
    // RSA wants randomness; the other schemes do without.
    let mut poor = SoftKeyStore::<2, 1>::new();
    poor.insert_single(RSA_1024, rsa("rsa-1024-65537").into()).unwrap();
    poor.insert_single(AES, one_more).unwrap();
    assert_eq!(poor.sign_token(RSA_1024, b"m", &mut [0; 256]), Err(KeyError::Unavailable));
    assert!(poor.sign_token(AES, b"m", &mut [0; 256]).is_ok());
}
