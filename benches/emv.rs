//! The issuer's and the terminal's cryptography beside the cipher work it cannot do without: `…/huiwan` is this project's call,
//! `…/rustcrypto` the same operations of the RustCrypto crates alone, without parsing, formatting or comparing.
//!
//! `cargo bench -p huiwan-benches --bench emv`
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::hint::black_box;

use ::cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use criterion::{Criterion, criterion_group, criterion_main};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, Uint};
use huiwan_crypto::Tdes;
use huiwan_emv::certificates::{
    CaKey, CertificateInfo, FddaFormat, FddaInput, layout, recover_icc, recover_issuer, verify_fdda,
};
use huiwan_emv::cryptogram::derivation::{MasterKeyOption, pboc_session};
use huiwan_emv::cryptogram::{AcData, Cryptogram, Cvn, Cvr, TransactionData, generate};
use huiwan_emv::host::certificates::{certify_icc, certify_issuer, fixtures};
use huiwan_emv::host::keys::{CardReference, CryptogramCheck, IssuerKeys, SoftIssuerKeys, Verdict};
use huiwan_emv::pan::Pan;
use huiwan_testkit::rng::Seeded;
use sha1::Digest as _;

const IMK: [u8; 16] = *b"\x40\x41\x42\x43\x44\x45\x46\x47\x48\x49\x4A\x4B\x4C\x4D\x4E\x4F";

fn tdes_block(key: &[u8; 16], blocks: [[u8; 8]; 2]) -> [u8; 16] {
    let key = ::des::TdesEde2::new(&Array(*key));
    let mut out = [0; 16];
    for (block, place) in blocks.into_iter().zip(out.chunks_mut(8)) {
        let mut block = Array(block);
        key.encrypt_block(&mut block);
        place.copy_from_slice(&block);
    }
    out
}

/// Retail MAC over five blocks, the length of CVN 01.
fn raw_mac(key: &[u8; 16], message: &[u8; 40]) -> [u8; 8] {
    let (left, right) = key.split_at(8);
    let left = ::des::Des::new(left.try_into().unwrap());
    let mut chain = Array([0; 8]);
    for block in message.as_chunks::<8>().0 {
        for (byte, with) in chain.iter_mut().zip(block) {
            *byte ^= with;
        }
        left.encrypt_block(&mut chain);
    }
    ::des::Des::new(right.try_into().unwrap()).decrypt_block(&mut chain);
    left.encrypt_block(&mut chain);
    chain.into()
}

fn arqc(c: &mut Criterion) {
    let pan = Pan::from_digits("6228000100001117").unwrap();
    let mut keys = SoftIssuerKeys::new(1, MasterKeyOption::A, &IMK, &IMK, &IMK);
    let card = CardReference { pan, sequence: 1, key_index: 1 };
    let udk: [u8; 16] = keys.card_keys(&card).unwrap().keys.expose()[..16].try_into().unwrap();
    let checks: Vec<CryptogramCheck> = (0..64_u8)
        .map(|n| {
            let data = AcData {
                transaction: TransactionData {
                    amount: [0, 0, 0, 0, ((n / 10) << 4) | (n % 10), 0],
                    ..TransactionData::default()
                },
                aip: [0x3C, 0],
                atc: [0, n],
                cvr: Cvr::first(Cryptogram::Arqc),
            };
            let session = Tdes::new2(pboc_session(&Tdes::new2(&udk), data.atc).expose());
            let cryptogram = generate(&session, Cvn::V01, &data);
            CryptogramCheck { card, version: Cvn::V01, data, cryptogram, idd: None }
        })
        .collect();
    let check = checks[7];
    let halves = [[0, 0, 0, 0, 0, 0, 0, 7], [0, 0, 0, 0, 0, 0, 0xFF, 0xF8]];

    let mut group = c.benchmark_group("emv/arqc/generate");
    group.bench_function("huiwan", |b| {
        b.iter(|| {
            let session = Tdes::new2(pboc_session(&Tdes::new2(black_box(&udk)), check.data.atc).expose());
            generate(&session, Cvn::V01, black_box(&check.data))
        });
    });
    group.bench_function("rustcrypto", |b| {
        b.iter(|| raw_mac(&tdes_block(black_box(&udk), halves), black_box(&[0x5A; 40])));
    });
    group.finish();

    let mut group = c.benchmark_group("emv/arqc/verify");
    group.bench_function("huiwan", |b| b.iter(|| keys.check(black_box(&check)).unwrap()));
    group.bench_function("rustcrypto", |b| {
        b.iter(|| raw_mac(&tdes_block(&tdes_block(black_box(&IMK), halves), halves), black_box(&[0x5A; 40])));
    });
    group.finish();

    let mut verdicts = [Verdict::default(); 64];
    keys.check_batch(&checks, &mut verdicts);
    assert!(verdicts.iter().all(|verdict| verdict.cryptogram));
    let mut group = c.benchmark_group("emv/arqc/verify_batch_64");
    group.bench_function("huiwan", |b| b.iter(|| keys.check_batch(black_box(&checks), &mut verdicts)));
    group.bench_function("rustcrypto", |b| {
        b.iter(|| {
            for _ in 0..64 {
                black_box(raw_mac(&tdes_block(&tdes_block(black_box(&IMK), halves), halves), &[0x5A; 40]));
            }
        });
    });
    group.finish();
}

/// s³ mod n as crypto-bigint does it.
fn cube<const LIMBS: usize>(modulus: &Uint<LIMBS>, signature: &Uint<LIMBS>) -> Uint<LIMBS> {
    let params = FixedMontyParams::new_vartime(Odd::new(*black_box(modulus)).unwrap());
    FixedMontyForm::new(signature, &params).pow_vartime(&Uint::<1>::from(3_u8)).retrieve()
}

fn fdda(c: &mut Criterion) {
    let pan = Pan::from_digits("6228000100001117").unwrap();
    let mut rng = Seeded::new(1);
    let info = CertificateInfo { expiry: [0x12, 0x35], serial: [0, 0, 1] };
    let (mut first, mut second, mut third) = ([0; 256], [0; 256], [0; 256]);
    let issuer_certificate = certify_issuer(
        &fixtures::ca_key().unwrap(),
        [0x62, 0x28, 0x00, 0xFF],
        info,
        &fixtures::ISSUER_MODULUS,
        &fixtures::EXPONENT,
        &mut rng,
        &mut first,
    )
    .unwrap();
    let icc_certificate = certify_icc(
        &fixtures::issuer_key().unwrap(),
        &pan,
        info,
        &fixtures::ICC_MODULUS,
        &fixtures::EXPONENT,
        b"static data",
        &mut rng,
        &mut second,
    )
    .unwrap();
    let input = FddaInput {
        unpredictable_number: [1, 2, 3, 4],
        amount: [0; 6],
        currency: [1, 0x56],
        card_authentication: Some(&[1, 0, 0, 0, 0, 0, 0, 0]),
    };
    let mut block = [0; 128];
    let dynamic = [2, 0, 1];
    layout::lay_out(&mut block, &[&layout::dynamic_head(5, &dynamic).unwrap(), &dynamic]).unwrap();
    let hash = input.with_parts(|parts| layout::hash(&block, parts)).unwrap();
    layout::put_hash(&mut block, &hash).unwrap();
    let signature = fixtures::icc_key().unwrap().sign_raw(&block, &mut rng, &mut third).unwrap();

    let ca = CaKey { modulus: &fixtures::CA_MODULUS, exponent: &fixtures::EXPONENT };
    let verify = || {
        let issuer = recover_issuer(
            black_box(&ca),
            issuer_certificate.certificate,
            issuer_certificate.remainder,
            &fixtures::EXPONENT,
            &pan,
        )
        .unwrap();
        let icc = recover_icc(
            &issuer,
            icc_certificate.certificate,
            icc_certificate.remainder,
            &fixtures::EXPONENT,
            b"static data",
            &pan,
        )
        .unwrap();
        verify_fdda(&icc, black_box(signature), &input, FddaFormat::Pboc).unwrap()
    };
    assert_eq!(verify().number(), [0, 1]);

    let numbers = (
        (
            Uint::<31>::from_be_slice(&fixtures::CA_MODULUS),
            Uint::<31>::from_be_slice(issuer_certificate.certificate),
        ),
        (
            Uint::<18>::from_be_slice(&fixtures::ISSUER_MODULUS),
            Uint::<18>::from_be_slice(icc_certificate.certificate),
        ),
        (Uint::<16>::from_be_slice(&fixtures::ICC_MODULUS), Uint::<16>::from_be_slice(signature)),
    );
    let mut group = c.benchmark_group("emv/fdda/verify");
    group.bench_function("huiwan", |b| b.iter(verify));
    group.bench_function("rustcrypto", |b| {
        b.iter(|| {
            let recovered = (
                cube(&numbers.0.0, &numbers.0.1),
                cube(&numbers.1.0, &numbers.1.1),
                cube(&numbers.2.0, &numbers.2.1),
            );
            // The blocks hashed: all but header, trailer and the hash itself, and what follows them.
            let hashes = [227, 134, 126].map(|len| sha1::Sha1::digest(black_box(&[0x5A_u8; 256][..len])));
            (recovered, hashes)
        });
    });
    group.finish();
}

criterion_group!(benches, arqc, fdda);
criterion_main!(benches);
