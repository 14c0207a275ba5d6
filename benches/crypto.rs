//! Cryptography beside what it could cost: `…/huiwan` is this project's call, `…/rustcrypto` the RustCrypto crate used as
//! its documentation shows, `…/cipher` the block operations alone.
//!
//! `cargo bench -p huiwan-benches --bench crypto`
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::hint::black_box;

use ::cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use ::sm2::dsa::signature::{Signer as _, Verifier as _};
use cmac::Mac as _;
use criterion::{Criterion, criterion_group, criterion_main};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, Uint};
use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_crypto::sm2::{self, Sm2Private};
use huiwan_crypto::{Aes, BlockKey as _, Des, Tdes, hash, kdf};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors;
use sha1::Digest as _;

const KEY: [u8; 16] = *b"\x40\x41\x42\x43\x44\x45\x46\x47\x48\x49\x4A\x4B\x4C\x4D\x4E\x4F";

/// One group `crypto/<operation>/<case>` of named competitors.
macro_rules! compare {
    ($c:expr, $group:literal, $($name:literal => $body:expr),+ $(,)?) => {{
        let mut group = $c.benchmark_group(concat!("crypto/", $group));
        $(group.bench_function($name, |b| b.iter(|| $body));)+
        group.finish();
    }};
}

fn des(c: &mut Criterion) {
    let tdes = Tdes::new2(&KEY);
    let raw = ::des::TdesEde2::new(&Array(KEY));
    let block = [0x5A; 8];
    compare!(c, "tdes/block",
        "huiwan" => tdes.encrypt_block(black_box(&block)),
        "rustcrypto" => {
            let mut block = Array(*black_box(&block));
            raw.encrypt_block(&mut block);
            block
        },
    );
    compare!(c, "tdes/key",
        "huiwan" => Tdes::new2(black_box(&KEY)),
        "rustcrypto" => ::des::TdesEde2::new(black_box(&Array(KEY))),
    );

    // A script command: 5 bytes of header, 8 of cryptogram, 24 of data; 5 blocks with the padding.
    let (header, data) = ([0x84, 0x24, 0x00, 0x00, 0x20], [0x33; 32]);
    let single = ::des::Des::new(&Array(*KEY.first_chunk().unwrap()));
    compare!(c, "mac_alg3/37",
        "huiwan" => mac::alg3(&tdes, &[0; 8], black_box(&[&header, &data]), Padding::Method2),
        "rustcrypto" => {
            let mut message = [0; 40];
            message[..5].copy_from_slice(black_box(&header));
            message[5..37].copy_from_slice(black_box(&data));
            message[37] = 0x80;
            let mut chain = Array([0; 8]);
            for block in message[..32].chunks(8) {
                chain.iter_mut().zip(block).for_each(|(c, b)| *c ^= b);
                single.encrypt_block(&mut chain);
            }
            chain.iter_mut().zip(&message[32..]).for_each(|(c, b)| *c ^= b);
            raw.encrypt_block(&mut chain);
            chain
        },
        "cipher" => {
            let mut block = Array([0; 8]);
            for _ in 0..4 {
                single.encrypt_block(&mut block);
            }
            raw.encrypt_block(&mut block);
            block
        },
    );

    // A purse purchase: the session key from one 3DES block, then MAC1 and MAC2 (3 and 1 blocks), and the TAC
    // (7 blocks) under the folded TAC key.
    let (mac1, mac2, tac) = ([1; 18], [2; 4], [3; 46]);
    compare!(c, "purse_like/3_macs",
        "huiwan" => {
            let session = Des::new(&tdes.encrypt_block(black_box(&block)));
            let tac_key = Des::new(black_box(&block));
            (
                mac::alg1_des(&session, &[0; 8], &[black_box(&mac1)], Padding::Method2),
                mac::alg1_des(&session, &[0; 8], &[black_box(&mac2)], Padding::Method2),
                mac::alg1_des(&tac_key, &[0; 8], &[black_box(&tac)], Padding::Method2),
            )
        },
        "cipher" => {
            let mut chain = Array(*black_box(&block));
            raw.encrypt_block(&mut chain);
            let session = ::des::Des::new(&chain);
            let tac_key = ::des::Des::new(&Array(*black_box(&block)));
            for _ in 0..4 {
                session.encrypt_block(&mut chain);
            }
            for _ in 0..6 {
                tac_key.encrypt_block(&mut chain);
            }
            chain
        },
    );
}

fn aes(c: &mut Criterion) {
    let key = Aes::new(&KEY).unwrap();
    let raw = ::aes::Aes128::new(&Array(KEY));
    let message = [0x5A; 208];
    compare!(c, "cmac/208",
        "huiwan" => mac::cmac(&key, &[black_box(&message)]),
        "rustcrypto" => cmac::Cmac::<::aes::Aes128>::new(&Array(KEY)).chain_update(black_box(&message)).finalize(),
        "rustcrypto_key_kept" => {
            use cmac::digest::InnerInit as _;
            let mac = cmac::Cmac::<::aes::Aes128>::inner_init(raw.clone());
            mac.chain_update(black_box(&message)).finalize()
        },
        "cipher" => {
            let mut block = Array([0; 16]);
            for _ in 0..14 {
                raw.encrypt_block(&mut block);
            }
            block
        },
    );

    let context: [&[u8]; 2] = [&[1; 8], &[2; 8]];
    let k_mac = Aes::new(&[0x77; 16]).unwrap();
    let rustcrypto_kdf = |key: &[u8; 16], constant: u8, bits: u8| {
        let mut mac = cmac::Cmac::<::aes::Aes128>::new(&Array(*key));
        let label = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0, 0, bits, 1];
        mac.update(&label);
        context.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().0
    };
    compare!(c, "scp03/derive_3_keys_and_cryptogram",
        "huiwan" => {
            let mut session = [[0; 16]; 3];
            let [enc, mac, rmac] = &mut session;
            kdf::scp03(&key, 4, black_box(&context), enc).unwrap();
            kdf::scp03(&k_mac, 6, black_box(&context), mac).unwrap();
            kdf::scp03(&k_mac, 7, black_box(&context), rmac).unwrap();
            let s_mac = Aes::new(mac).unwrap();
            let mut cryptogram = [0; 8];
            kdf::scp03(&s_mac, 0, black_box(&context), &mut cryptogram).unwrap();
            (session, cryptogram)
        },
        "rustcrypto" => {
            let enc = rustcrypto_kdf(black_box(&KEY), 4, 128);
            let mac = rustcrypto_kdf(black_box(&[0x77; 16]), 6, 128);
            let rmac = rustcrypto_kdf(black_box(&[0x77; 16]), 7, 128);
            (enc, mac, rmac, rustcrypto_kdf(&mac, 0, 64))
        },
    );

    let (s_enc, s_mac) = (Aes::new(&KEY).unwrap(), Aes::new(&[0x77; 16]).unwrap());
    let (raw_enc, raw_mac) = (::aes::Aes128::new(&Array(KEY)), ::aes::Aes128::new(&Array([0x77; 16])));
    let (chaining, header) = ([9; 16], [0x84, 0xE2, 0x00, 0x00, 0xD8]);
    let mut data = [0x80; 208];
    compare!(c, "scp03/encrypt_and_mac_200",
        "fused" => {
            let iv = s_enc.encrypt_block(black_box(&[1; 16]));
            mac::encrypt_then_cmac(&s_enc, &iv, &s_mac, &[&chaining, &header], black_box(&mut data), &[]).unwrap()
        },
        "one_after_the_other" => {
            let iv = s_enc.encrypt_block(black_box(&[1; 16]));
            s_enc.encrypt_cbc(&iv, black_box(&mut data)).unwrap();
            mac::cmac(&s_mac, &[&chaining, &header, &data])
        },
        "rustcrypto" => {
            use cmac::digest::InnerInit as _;
            let mut chain = Array(*black_box(&[1; 16]));
            raw_enc.encrypt_block(&mut chain);
            for block in data.chunks_mut(16) {
                chain.iter_mut().zip(&*block).for_each(|(c, b)| *c ^= b);
                raw_enc.encrypt_block(&mut chain);
                block.copy_from_slice(&chain);
            }
            let mac = cmac::Cmac::<::aes::Aes128>::inner_init(raw_mac.clone());
            mac.chain_update(chaining).chain_update(header).chain_update(data).finalize()
        },
    );
    compare!(c, "scp03/mac_and_decrypt_200",
        "huiwan" => {
            let iv = s_enc.encrypt_block(black_box(&[1; 16]));
            let mac = mac::cmac(&s_mac, &[&chaining, &header, black_box(&data)]);
            s_enc.decrypt_cbc(&iv, black_box(&mut data)).unwrap();
            mac
        },
        "rustcrypto" => {
            use cmac::digest::InnerInit as _;
            let mac = cmac::Cmac::<::aes::Aes128>::inner_init(raw_mac.clone());
            let mac = mac.chain_update(chaining).chain_update(header).chain_update(black_box(data)).finalize();
            let mut chain = Array(*black_box(&[1; 16]));
            raw_enc.encrypt_block(&mut chain);
            for block in data.chunks_mut(16) {
                let mut plain = Array::<u8, cipher::consts::U16>::try_from(&*block).unwrap();
                raw_enc.decrypt_block(&mut plain);
                plain.iter_mut().zip(chain).for_each(|(p, c)| *p ^= c);
                chain.copy_from_slice(block);
                block.copy_from_slice(&plain);
            }
            mac
        },
    );
}

/// The operation as the documentation of `crypto-bigint` shows it.
fn pow_vartime<const LIMBS: usize>((key, signature): &(RsaPublic, Vec<u8>)) -> Uint<LIMBS> {
    let modulus = Odd::new(Uint::from_be_slice(black_box(key.modulus()))).unwrap();
    let params = FixedMontyParams::new_vartime(modulus);
    let base = FixedMontyForm::new(&Uint::from_be_slice(black_box(signature)), &params);
    base.pow_vartime(&Uint::<1>::from(key.exponent())).retrieve()
}

fn rsa(c: &mut Criterion) {
    let file = vectors::load(include_str!("../crates/crypto/tests/vectors/rsa_fixtures.txt"));
    let keys = ["rsa-1024-3", "rsa-1152-3", "rsa-1984-3"].map(|id| {
        let v = file.block(id);
        (RsaPublic::new(&v.bytes("in.n"), &v.bytes("in.e")).unwrap(), v.bytes("out.signature"))
    });
    let recover = |(key, signature): &(RsaPublic, Vec<u8>)| {
        let mut out = [0; 256];
        key.recover(black_box(signature), &mut out).unwrap();
        out
    };
    compare!(c, "rsa_recover/1024_e3",
        "huiwan" => recover(&keys[0]),
        "rustcrypto" => pow_vartime::<16>(&keys[0]),
    );
    compare!(c, "rsa_recover/1152_e3",
        "huiwan" => recover(&keys[1]),
        "rustcrypto" => pow_vartime::<18>(&keys[1]),
    );
    compare!(c, "rsa_recover/1984_e3",
        "huiwan" => recover(&keys[2]),
        "rustcrypto" => pow_vartime::<31>(&keys[2]),
    );
    compare!(c, "rsa_recover/fdda_1984_1152_1024",
        "huiwan" => (recover(&keys[2]), recover(&keys[1]), recover(&keys[0])),
        "rustcrypto" => (pow_vartime::<31>(&keys[2]), pow_vartime::<18>(&keys[1]), pow_vartime::<16>(&keys[0])),
    );
    let v = file.block("rsa-1024-65537");
    let key = (RsaPublic::new(&v.bytes("in.n"), &v.bytes("in.e")).unwrap(), v.bytes("out.signature"));
    compare!(c, "rsa_recover/1024_e65537",
        "huiwan" => recover(&key),
        "rustcrypto" => pow_vartime::<16>(&key),
    );

    let mut random = Seeded::new(1);
    for (name, id) in [("1024", "rsa-1024-3"), ("1152", "rsa-1152-3"), ("1984", "rsa-1984-3")] {
        let v = file.block(id);
        let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap();
        let message = v.bytes("in.message");
        c.bench_function(&format!("crypto/rsa_sign/{name}"), |b| {
            b.iter(|| key.sign_raw(black_box(&message), &mut random, &mut [0; 256]).map(|s| s[0]));
        });
    }
}

fn sm2(c: &mut Criterion) {
    let key = Sm2Private::new(&[3; 32]).unwrap();
    let mut random = Seeded::new(1);
    let message = [0x5A; 120];
    let signature = key.sign(&[&message], sm2::DEFAULT_ID, &mut random).unwrap();
    let id = str::from_utf8(sm2::DEFAULT_ID).unwrap();
    let raw = ::sm2::dsa::SigningKey::from_slice(id, &[3; 32]).unwrap();
    let raw_signature = ::sm2::dsa::Signature::from_slice(&signature).unwrap();
    compare!(c, "sm2/sign",
        "huiwan" => key.sign(&[black_box(&message)], sm2::DEFAULT_ID, &mut random).unwrap(),
        "rustcrypto" => raw.sign(black_box(&message)),
    );
    compare!(c, "sm2/verify",
        "huiwan" => key.public().verify(&[black_box(&message)], sm2::DEFAULT_ID, &signature).unwrap(),
        "rustcrypto" => raw.verifying_key().verify(black_box(&message), &raw_signature).unwrap(),
    );
}

fn hashes(c: &mut Criterion) {
    let message = [0x5A; 256];
    compare!(c, "sha1/256",
        "huiwan" => hash::sha1(&[black_box(&message)]),
        "rustcrypto" => sha1::Sha1::digest(black_box(message)),
    );
    compare!(c, "sm3/256",
        "huiwan" => hash::sm3(&[black_box(&message)]),
        "rustcrypto" => ::sm3::Sm3::digest(black_box(message)),
    );
}

criterion_group!(benches, des, aes, rsa, sm2, hashes);
criterion_main!(benches);
