//! What is outside a suite is a defined answer; what is inside is the same as without a suite.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{
    Aes, Algorithm, BlockKey, Both, Chinese, CryptoError, Des, HashAlgorithm, International,
    PublicKeyAlgorithm, Sm4, Suite, SuiteKey, SuitePublicKey, Tdes, hash, sm2,
};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors;

const KEY: [u8; 32] = *b"0123456789ABCDEFfedcba9876543210";
const ALL: [(Algorithm, usize); 5] = [
    (Algorithm::Des, 8),
    (Algorithm::Tdes, 16),
    (Algorithm::Tdes, 24),
    (Algorithm::Aes, 32),
    (Algorithm::Sm4, 16),
];

fn keys_of<S: Suite>() -> Vec<Algorithm> {
    ALL.iter().filter_map(|(a, len)| <S::Key>::new(*a, &KEY[..*len])).map(|key| key.algorithm()).collect()
}

#[test]
fn keys_by_algorithm() {
    use Algorithm::{Aes, Des, Sm4, Tdes};
    assert_eq!(keys_of::<International>(), [Des, Tdes, Tdes, Aes]);
    assert_eq!(keys_of::<Chinese>(), [Sm4]);
    assert_eq!(keys_of::<Both>(), [Des, Tdes, Tdes, Aes, Sm4]);
    for (algorithm, _) in ALL {
        assert_eq!(algorithm.block_len(), if matches!(algorithm, Des | Tdes) { 8 } else { 16 });
        for wrong in [0, 7, 9, 15, 17, 31] {
            assert!(<Both as Suite>::Key::new(algorithm, &KEY[..wrong]).is_none());
        }
    }
}

#[test]
fn the_usual_mac_of_each_algorithm() {
    let message: [&[u8]; 2] = [b"some ", b"message longer than a block"];
    let key = |algorithm, len: usize| <Both as Suite>::Key::new(algorithm, &KEY[..len]).unwrap();
    let half = |mac: [u8; 16]| mac[..8].to_vec();
    let (k8, k16) = (KEY.first_chunk().unwrap(), KEY.first_chunk().unwrap());

    let des = mac::alg1_des(&Des::new(k8), &[1; 8], &message, Padding::Method2);
    assert_eq!(key(Algorithm::Des, 8).mac(&[1; 8], &message), Ok(des));
    let tdes = mac::alg3(&Tdes::new2(k16), &[1; 8], &message, Padding::Method2);
    assert_eq!(key(Algorithm::Tdes, 16).mac(&[1; 8], &message), Ok(tdes));
    let sm4 = mac::alg1_sm4(&Sm4::new(k16), &[1; 16], &message, Padding::Method2);
    assert_eq!(key(Algorithm::Sm4, 16).mac(&[1; 16], &message).unwrap().to_vec(), half(sm4));
    let aes = mac::cmac(&Aes::new(k16).unwrap(), &message);
    assert_eq!(key(Algorithm::Aes, 16).mac(&[0; 16], &message).unwrap().to_vec(), half(aes));

    assert_eq!(key(Algorithm::Aes, 16).mac(&[1; 16], &message), Err(CryptoError));
    assert_eq!(key(Algorithm::Aes, 16).mac(&[0; 8], &message), Err(CryptoError));
    for (algorithm, len) in ALL {
        let key = key(algorithm, len);
        assert_eq!(key.mac(&[0; 12], &message), Err(CryptoError));
        let (mut data, iv) = ([5; 32], &[1; 16][..key.block_len()]);
        key.encrypt_cbc(iv, &mut data).unwrap();
        key.decrypt_cbc(iv, &mut data).unwrap();
        key.encrypt_ecb(&mut data).unwrap();
        assert_eq!(data[..3], key.kcv_over(5));
        key.decrypt_ecb(&mut data).unwrap();
        assert_eq!(data, [5; 32]);
        assert_eq!(key.kcv(), key.kcv_over(if algorithm == Algorithm::Aes { 1 } else { 0 }));
        let one_shot = mac::alg1(&key, iv, &message, Padding::Method1).unwrap();
        let mut stream = mac::Alg1::new(&key, iv, Padding::Method1).unwrap();
        message.iter().for_each(|part| stream.update(part));
        assert_eq!(stream.finish().unwrap(), one_shot);
    }
}

#[test]
fn hashes_by_algorithm() {
    let parts: [&[u8]; 1] = [b"abc"];
    let of = |hash: Option<huiwan_crypto::Digest>| hash.map(|hash| hash.as_ref().to_vec());
    let (sha1, sha256, sm3) = (hash::sha1(&parts), hash::sha256(&parts), hash::sm3(&parts));
    for (algorithm, international, chinese) in [
        (HashAlgorithm::Sha1, Some(&sha1[..]), None),
        (HashAlgorithm::Sha256, Some(&sha256[..]), None),
        (HashAlgorithm::Sm3, None, Some(&sm3[..])),
    ] {
        assert_eq!(of(International::hash(algorithm, &parts)).as_deref(), international);
        assert_eq!(of(Chinese::hash(algorithm, &parts)).as_deref(), chinese);
        assert_eq!(of(Both::hash(algorithm, &parts)).as_deref(), international.or(chinese));
    }
}

fn check_public<S: Suite>(has_rsa: bool, has_sm2: bool) {
    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let v = file.block("rsa-1024-3");
    let (n, message) = (v.bytes("in.n"), v.bytes("in.message"));
    let mut random = Seeded::new(1);
    let mut out = [0; 128];
    let parts = ["in.p", "in.q", "in.dp", "in.dq", "in.qinv"].map(|key| v.bytes(key));
    let signed = S::sign_rsa(parts.each_ref().map(Vec::as_slice), &message, &mut random, &mut out);
    assert_eq!(signed.is_ok_and(|s| s == v.bytes("out.signature")), has_rsa);
    let rsa = S::PublicKey::rsa(&n, &[3]);
    assert_eq!(rsa.is_some(), has_rsa);
    if let Some(key) = rsa {
        assert_eq!(key.algorithm(), PublicKeyAlgorithm::Rsa);
        let mut out = [0; 128];
        assert_eq!(key.recover(&v.bytes("out.signature"), &mut out).unwrap(), message);
        assert_eq!(key.verify(&[b"m"], sm2::DEFAULT_ID, &[1; 64]), Err(CryptoError));
    }

    let private = sm2::Sm2Private::new(&KEY).unwrap();
    let signed = S::sign_sm2(&KEY, &[b"m"], sm2::DEFAULT_ID, &mut random);
    assert_eq!(signed.is_ok(), has_sm2);
    let sm2 = S::PublicKey::sm2(private.public().as_bytes());
    assert_eq!(sm2.is_some(), has_sm2);
    if let (Some(key), Ok(signature)) = (sm2, signed) {
        assert_eq!(key.algorithm(), PublicKeyAlgorithm::Sm2);
        assert_eq!(key.verify(&[b"m"], sm2::DEFAULT_ID, &signature), Ok(()));
        assert_eq!(key.verify(&[b"m"], sm2::DEFAULT_ID, &signature[1..]), Err(CryptoError));
        assert_eq!(key.recover(&[1; 128], &mut [0; 128]), Err(CryptoError));
    }
    assert!(S::PublicKey::sm2(&[1; 63]).is_none());
    assert!(S::PublicKey::rsa(&[1; 63], &[3]).is_none());
}

#[test]
fn public_keys_by_algorithm() {
    check_public::<International>(true, false);
    check_public::<Chinese>(false, true);
    check_public::<Both>(true, true);
}
