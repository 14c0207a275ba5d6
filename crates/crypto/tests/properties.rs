//! What must hold for every input: streaming and one-shot agree, what is encrypted decrypts, what is signed verifies,
//! wrong lengths are refused. The naive MACs here are a second implementation, written from the standards' formulas on
//! single blocks (weak witnesses beside `vectors.rs`).
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::manual_is_multiple_of,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_crypto::sm2::{DEFAULT_ID, Sm2Private, Sm2Public};
use huiwan_crypto::{Aes, BlockKey, CryptoError, Des, Random, RandomFailed, Sm4, Tdes, kdf, padding};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors;
use proptest::prelude::*;

const PADDINGS: [Padding; 3] = [Padding::Method1, Padding::Method2, Padding::None];

/// ISO/IEC 9797-1 6.3, on a copy of the message.
fn naive_pad(message: &[u8], block: usize, padding: Padding) -> Vec<u8> {
    let mut padded = message.to_vec();
    if padding == Padding::Method2 {
        padded.push(0x80);
    }
    while padded.is_empty() || padded.len() % block != 0 {
        padded.push(0);
    }
    padded
}

fn naive_cbc_mac(key: &dyn Fn(&mut [u8]), iv: &[u8], padded: &[u8]) -> Vec<u8> {
    padded.chunks(iv.len()).fold(iv.to_vec(), |mut chain, block| {
        chain.iter_mut().zip(block).for_each(|(c, b)| *c ^= b);
        key(&mut chain);
        chain
    })
}

/// SP 800-38B with bits in a vector.
fn naive_cmac(key: &Aes, message: &[u8]) -> Vec<u8> {
    let encrypt = |block: &mut [u8]| key.encrypt_ecb(block).unwrap();
    let double = |block: &[u8]| {
        let mut bits: Vec<u8> = block.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
        bits.rotate_left(1);
        let carry = std::mem::take(bits.last_mut().unwrap());
        let mut out: Vec<u8> = bits.chunks(8).map(|c| c.iter().fold(0, |v, b| v << 1 | b)).collect();
        out[15] ^= 0x87 * carry;
        out
    };
    let mut subkey = vec![0; 16];
    encrypt(&mut subkey);
    subkey = double(&subkey);
    let whole = !message.is_empty() && message.len() % 16 == 0;
    let mut padded = message.to_vec();
    if !whole {
        subkey = double(&subkey);
        padded = naive_pad(message, 16, Padding::Method2);
    }
    let last = padded.len() - 16;
    padded[last..].iter_mut().zip(subkey).for_each(|(p, s)| *p ^= s);
    naive_cbc_mac(&encrypt, &[0; 16], &padded)
}

/// A message and the places where it is cut into pieces, empty ones too.
fn pieces() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    (prop::collection::vec(any::<u8>(), 0..90), prop::collection::vec(any::<prop::sample::Index>(), 0..5))
        .prop_map(|(message, cuts)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.sort_unstable();
            (message, cuts)
        })
}

fn cut<'a>(message: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for &to in cuts {
        parts.push(&message[from..to]);
        from = to;
    }
    parts.push(&message[from..]);
    parts
}

/// One-shot, one-shot over pieces and streaming, against the naive MAC.
fn check_alg1<K: BlockKey>(key: &K, iv: &[u8], message: &[u8], parts: &[&[u8]]) {
    let block = key.block_len();
    for padding in PADDINGS {
        let stream = || {
            let mut mac = mac::Alg1::new(key, iv, padding)?;
            parts.iter().for_each(|part| mac.update(part));
            mac.finish()
        };
        if padding == Padding::None && (message.is_empty() || message.len() % block != 0) {
            assert_eq!(mac::alg1(key, iv, parts, padding), Err(CryptoError));
            assert_eq!(stream(), Err(CryptoError));
            continue;
        }
        let encrypt = |block: &mut [u8]| key.encrypt_ecb(block).unwrap();
        let expected = naive_cbc_mac(&encrypt, iv, &naive_pad(message, block, padding));
        let one_shot = mac::alg1(key, iv, parts, padding).unwrap();
        assert_eq!(one_shot[..block], expected);
        assert!(one_shot[block..].iter().all(|byte| *byte == 0));
        assert_eq!(stream().unwrap(), one_shot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn alg1_any_split(key in any::<[u8; 24]>(), iv in any::<[u8; 16]>(), (message, cuts) in pieces()) {
        let parts = cut(&message, &cuts);
        let des = Des::new(&key[..8].try_into().unwrap());
        let tdes = Tdes::new3(&key);
        let sm4 = Sm4::new(&key[..16].try_into().unwrap());
        let half: [u8; 8] = iv[..8].try_into().unwrap();
        check_alg1(&des, &half, &message, &parts);
        check_alg1(&tdes, &half, &message, &parts);
        check_alg1(&sm4, &iv, &message, &parts);
        check_alg1(&Aes::new(&key).unwrap(), &iv, &message, &parts);
        for padding in PADDINGS {
            // Typed functions cannot fail: where there is nothing to pad with, they pad by method 1.
            let checked = if padding == Padding::None { Padding::Method1 } else { padding };
            let generic = mac::alg1(&des, &half, &parts, checked).unwrap();
            prop_assert_eq!(&mac::alg1_des(&des, &half, &parts, padding), &generic[..8]);
            let generic = mac::alg1(&tdes, &half, &parts, checked).unwrap();
            prop_assert_eq!(&mac::alg1_tdes(&tdes, &half, &parts, padding), &generic[..8]);
            prop_assert_eq!(mac::alg1_sm4(&sm4, &iv, &parts, padding), mac::alg1(&sm4, &iv, &parts, checked).unwrap());
        }
    }

    #[test]
    fn alg3_any_split(key in any::<[u8; 24]>(), iv in any::<[u8; 8]>(), (message, cuts) in pieces()) {
        let parts = cut(&message, &cuts);
        let [first, second, third] = [0, 8, 16].map(|at| Des::new(&key[at..at + 8].try_into().unwrap()));
        for (tdes, third) in [(Tdes::new3(&key), &third), (Tdes::new2(&key[..16].try_into().unwrap()), &first)] {
            for padding in PADDINGS {
                let padded = naive_pad(&message, 8, padding);
                let chain = naive_cbc_mac(&|block| first.encrypt_ecb(block).unwrap(), &iv, &padded);
                let chain: [u8; 8] = chain.try_into().unwrap();
                let expected = third.encrypt_block(&second.decrypt_block(&chain));
                prop_assert_eq!(mac::alg3(&tdes, &iv, &parts, padding), expected);
                let mut stream = mac::Alg3::new(&tdes, &iv, padding);
                parts.iter().for_each(|part| stream.update(part));
                prop_assert_eq!(stream.finish(), expected);
            }
        }
    }

    #[test]
    fn cmac_any_split(key in any::<[u8; 32]>(), len in 0..3usize, (message, cuts) in pieces()) {
        let key = Aes::new(&key[..16 + 8 * len]).unwrap();
        let parts = cut(&message, &cuts);
        let mac = mac::cmac(&key, &parts);
        prop_assert_eq!(mac.to_vec(), naive_cmac(&key, &message));
        let mut stream = mac::Cmac::new(&key);
        parts.iter().for_each(|part| stream.update(part));
        prop_assert_eq!(stream.finish(), mac);
    }

    #[test]
    fn fused_is_encryption_then_cmac(
        keys in any::<[[u8; 32]; 2]>(), lens in any::<[u8; 2]>(), iv in any::<[u8; 16]>(),
        before in prop::collection::vec(any::<u8>(), 0..40), blocks in 0..9usize,
        after in prop::collection::vec(any::<u8>(), 0..20), seed in any::<u64>(),
    ) {
        let [enc, mac] = [0, 1].map(|i| Aes::new(&keys[i][..16 + 8 * usize::from(lens[i] % 3)]).unwrap());
        let plain = Seeded::new(seed).vec(16 * blocks);
        let mut fused = plain.clone();
        let parts: Vec<&[u8]> = before.chunks(7).collect();
        let tag = mac::encrypt_then_cmac(&enc, &iv, &mac, &parts, &mut fused, &[&after]).unwrap();
        let mut apart = plain;
        enc.encrypt_cbc(&iv, &mut apart).unwrap();
        prop_assert_eq!(&fused, &apart);
        prop_assert_eq!(tag, mac::cmac(&mac, &[&before, &apart, &after]));
    }

    #[test]
    fn modes_round_trip(key in any::<[u8; 32]>(), iv in any::<[u8; 16]>(), blocks in 0..20usize, seed in any::<u64>()) {
        fn check<K: BlockKey>(key: &K, iv: &[u8; 16], blocks: usize, seed: u64) {
            let (block, iv) = (key.block_len(), &iv[..key.block_len()]);
            let plain = Seeded::new(seed).vec(block * blocks);
            // CBC and ECB block by block, from the single-block call.
            let (mut cbc, mut ecb, mut chain) = (Vec::new(), Vec::new(), iv.to_vec());
            for p in plain.chunks(block) {
                let mut e = p.to_vec();
                key.encrypt_ecb(&mut e).unwrap();
                ecb.extend(e);
                chain.iter_mut().zip(p).for_each(|(c, p)| *c ^= p);
                key.encrypt_ecb(&mut chain).unwrap();
                cbc.extend(&chain);
            }
            let mut data = plain.clone();
            key.encrypt_cbc(iv, &mut data).unwrap();
            assert_eq!(data, cbc);
            key.decrypt_cbc(iv, &mut data).unwrap();
            assert_eq!(data, plain);
            key.encrypt_ecb(&mut data).unwrap();
            assert_eq!(data, ecb);
            key.decrypt_ecb(&mut data).unwrap();
            assert_eq!(data, plain);
        }
        check(&Des::new(&key[..8].try_into().unwrap()), &iv, blocks, seed);
        check(&Tdes::new2(&key[..16].try_into().unwrap()), &iv, blocks, seed);
        check(&Tdes::new3(&key[..24].try_into().unwrap()), &iv, blocks, seed);
        check(&Sm4::new(&key[..16].try_into().unwrap()), &iv, blocks, seed);
        for len in [16, 24, 32] {
            check(&Aes::new(&key[..len]).unwrap(), &iv, blocks, seed);
        }
    }

    #[test]
    fn padding_round_trip(message in prop::collection::vec(any::<u8>(), 0..70), block in prop::sample::select(vec![8usize, 16])) {
        let mut buf = message.clone();
        buf.resize(96, 0xEE);
        let len = padding::method2_in_place(&mut buf, message.len(), block).unwrap();
        prop_assert_eq!(len, padding::pad_len(message.len(), block));
        prop_assert_eq!(&buf[..len], naive_pad(&message, block, Padding::Method2));
        prop_assert!(buf[len..].iter().all(|byte| *byte == 0xEE));
        prop_assert_eq!(padding::unpad_method2(&buf[..len]).unwrap(), message.as_slice());

        let len = padding::method1_in_place(&mut buf, message.len(), block).unwrap();
        prop_assert_eq!(&buf[..len], naive_pad(&message, block, Padding::Method1));
    }

    #[test]
    fn unpad_finds_the_last_80(data in prop::collection::vec(prop::sample::select(vec![0u8, 0, 0, 0x80, 1]), 0..40)) {
        let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
        let end = data.len() - zeros;
        let expected = if end > 0 && data[end - 1] == 0x80 { Ok(&data[..end - 1]) } else { Err(CryptoError) };
        prop_assert_eq!(padding::unpad_method2(&data), expected);
    }

    #[test]
    fn scp03_derivations_are_cmacs(key in prop::sample::select(&[16_usize, 24, 32][..]), secret in any::<[u8; 32]>(),
        context in prop::collection::vec(any::<u8>(), 0..70), lens in any::<[u8; 3]>(), constants in any::<[u8; 3]>()) {
        let key = Aes::new(&secret[..key]).unwrap();
        let mut outs = lens.map(|len| vec![0; usize::from(len) % 68]);
        let (left, right) = context.split_at(context.len() / 3);
        let mut each = outs.iter_mut().zip(constants).map(|(out, constant)| (constant, out.as_mut_slice()));
        let outputs = [(); 3].map(|()| each.next().unwrap());
        kdf::scp03_each(&key, &[left, right], outputs).unwrap();
        for (out, constant) in outs.iter().zip(constants) {
            let [high, low] = u16::try_from(out.len() * 8).unwrap().to_be_bytes();
            for (counter, block) in (1..).zip(out.chunks(16)) {
                let input = [&[0; 11][..], &[constant, 0, high, low, counter], &context].concat();
                prop_assert_eq!(&naive_cmac(&key, &input)[..block.len()], block);
            }
        }
    }

    #[test]
    fn sm2_signs_and_verifies(d in any::<[u8; 32]>(), message in prop::collection::vec(any::<u8>(), 0..70),
        id in prop::collection::vec(any::<u8>(), 0..20), flip in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let Ok(key) = Sm2Private::new(&d) else { return Ok(()) };
        let mut signature = key.sign(&[&message], &id, &mut Seeded::new(seed)).unwrap();
        let public = Sm2Public::new(key.public().as_bytes()).unwrap();
        prop_assert_eq!(public.verify(&[&message], &id, &signature), Ok(()));
        let bit = flip.index(512);
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(public.verify(&[&message], &id, &signature), Err(CryptoError));
    }
}

/// [SP 800-108 4.1] with the counter first, as NIST writes it, against CMACs put together by hand.
#[test]
fn counter_mode_of_any_counter_length() {
    let key = Aes::new(&[7; 16]).unwrap();
    let lens = [kdf::CounterLen::One, kdf::CounterLen::Two, kdf::CounterLen::Three, kdf::CounterLen::Four];
    for (bytes, counter) in (1..).zip(lens) {
        let mut out = [0; 50];
        kdf::sp800_108_counter(&key, counter, &[], &[b"label", &[0], b"context"], &mut out).unwrap();
        for (i, block) in (1u32..).zip(out.chunks(16)) {
            let input = [&i.to_be_bytes()[4 - bytes..], b"label\0context"].concat();
            assert_eq!(naive_cmac(&key, &input)[..block.len()], *block);
        }
    }
    let mut whole = [0; 255 * 16 + 1];
    assert_eq!(kdf::scp03(&key, 4, &[], &mut whole), Err(CryptoError));
    assert_eq!(kdf::scp03(&key, 4, &[], &mut whole[..255 * 16]), Ok(()));
    let last = [&[0; 11][..], &[4, 0, 0x7F, 0x80, 255]].concat();
    assert_eq!(whole[254 * 16..255 * 16], naive_cmac(&key, &last));
}

#[test]
fn wrong_lengths_change_nothing() {
    let key = Aes::new(&[1; 16]).unwrap();
    let mut data = [9; 24];
    assert_eq!(key.encrypt_ecb(&mut data), Err(CryptoError));
    assert_eq!(key.decrypt_ecb(&mut data), Err(CryptoError));
    assert_eq!(key.encrypt_cbc(&[0; 16], &mut data), Err(CryptoError));
    assert_eq!(key.decrypt_cbc(&[0; 16], &mut data), Err(CryptoError));
    assert_eq!(key.encrypt_cbc(&[0; 8], &mut data[..16]), Err(CryptoError));
    assert_eq!(mac::encrypt_then_cmac(&key, &[0; 16], &key, &[], &mut data, &[]), Err(CryptoError));
    assert_eq!(data, [9; 24]);
    assert!(mac::alg1(&key, &[0; 8], &[], Padding::Method1).is_err());
    assert!(mac::Alg1::new(&key, &[0; 8], Padding::Method1).is_err());
    for len in [0, 8, 15, 17, 31, 33] {
        assert!(Aes::new(&[0; 40][..len]).is_err());
    }
    assert!(padding::method2_in_place(&mut data, 24, 8).is_err());
    assert!(padding::method2_in_place(&mut data, 25, 8).is_err());
    assert!(padding::method2_in_place(&mut data, 2, 0).is_err());
    assert_eq!(padding::pad_len(usize::MAX - 1, 16), usize::MAX);
}

/// Hands out what it is given, then fails.
struct Short(Vec<u8>);

impl Random for Short {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        if self.0.len() < out.len() {
            return Err(RandomFailed);
        }
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
        Ok(())
    }
}

#[test]
fn a_failing_random_source_signs_nothing() {
    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let v = file.block("rsa-1024-3");
    let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &[3]).unwrap();
    let mut out = [0xEE; 128];
    for bytes in [0, 127, 255] {
        assert_eq!(
            key.sign_raw(&v.bytes("in.message"), &mut Short(vec![5; bytes]), &mut out),
            Err(CryptoError)
        );
    }
    // A blinding number of 0 has no inverse.
    assert_eq!(key.sign_raw(&v.bytes("in.message"), &mut Short(vec![0; 512]), &mut out), Err(CryptoError));
    assert_eq!(out, [0xEE; 128]);
    assert!(key.sign_raw(&v.bytes("in.message"), &mut Short(vec![5; 512]), &mut out).is_ok());

    let key = Sm2Private::new(&[3; 32]).unwrap();
    assert_eq!(key.sign(&[b"m"], DEFAULT_ID, &mut Short(vec![1; 31])), Err(CryptoError));
}

#[test]
fn sm2_one_time_numbers_differ_between_messages_under_a_stuck_source() {
    let key = Sm2Private::new(&[3; 32]).unwrap();
    let sign = |message: &[u8]| key.sign(&[message], DEFAULT_ID, &mut Short(vec![1; 32])).unwrap();
    // With the same one-time number, r - e would be the same.
    let (a, b) = (sign(b"a"), sign(b"b"));
    assert_ne!(a[..32], b[..32]);
    assert_eq!(sign(b"a"), a);
}

#[test]
fn sm2_refuses_what_is_no_key_or_signature() {
    const ORDER: &str = "FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123";
    let order: [u8; 32] = huiwan_testkit::hex(ORDER).try_into().unwrap();
    let mut less_one = order;
    less_one[31] -= 1;
    for d in [[0; 32], order, less_one, [0xFF; 32]] {
        assert!(Sm2Private::new(&d).is_err());
    }
    less_one[31] -= 1;
    assert!(Sm2Private::new(&less_one).is_ok());

    let key = Sm2Private::new(&[3; 32]).unwrap();
    let good = key.sign(&[b"m"], DEFAULT_ID, &mut Seeded::new(3)).unwrap();
    for half in [0, 32] {
        for bad in [[0; 32], order, [0xFF; 32]] {
            let mut signature = good;
            signature[half..half + 32].copy_from_slice(&bad);
            assert!(key.public().verify(&[b"m"], DEFAULT_ID, &signature).is_err());
        }
    }
    // r + s = n
    let mut signature = [0; 64];
    signature[31] = 1;
    signature[32..].copy_from_slice(&less_one);
    signature[63] += 1;
    assert!(key.public().verify(&[b"m"], DEFAULT_ID, &signature).is_err());

    let mut point = *key.public().as_bytes();
    point[63] ^= 1;
    assert!(Sm2Public::new(&point).is_err());
    assert!(Sm2Public::new(&[0; 64]).is_err());
    assert!(key.public().za(&[0; 8191]).is_ok());
    assert!(key.public().za(&[0; 8192]).is_err());
}

#[test]
fn rsa_refuses_what_is_no_key_or_signature() {
    assert!(RsaPublic::new(&[0xFF; 63], &[3]).is_err());
    assert!(RsaPublic::new(&[0xFF; 257], &[3]).is_err());
    assert!(RsaPublic::new(&[0xFE; 64], &[3]).is_err());
    for exponent in [&[][..], &[0], &[1], &[2], &[0x01, 0x00, 0x00], &[1, 0, 0, 0, 1]] {
        assert!(RsaPublic::new(&[0xFF; 64], exponent).is_err(), "{exponent:?}");
    }
    let key = RsaPublic::new(&[&[0; 9][..], &[0xFF; 64]].concat(), &[0, 0, 3]).unwrap();
    assert_eq!((key.modulus_len(), key.exponent()), (64, 3));
    let mut out = [0; 64];
    assert!(key.recover(&[0xFF; 64], &mut out).is_err(), "not below the modulus");
    assert!(key.recover(&[0x0F; 63], &mut out).is_err());
    assert!(key.recover(&[0x0F; 65], &mut out).is_err());
    assert!(key.recover(&[0x0F; 64], &mut out[..63]).is_err());
    assert!(key.recover(&[0; 64], &mut out).is_ok_and(|zero| *zero == [0; 64]));

    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let v = file.block("rsa-1024-3");
    let parts = ["in.p", "in.q", "in.dp", "in.dq", "in.qinv"].map(|key| v.bytes(key));
    let make = |parts: &[Vec<u8>; 5]| {
        let [p, q, dp, dq, qinv] = parts.each_ref().map(Vec::as_slice);
        RsaPrivate::from_crt(p, q, dp, dq, qinv)
    };
    let key = make(&parts).unwrap();
    let mut random = Seeded::new(4);
    let mut out = [0; 128];
    assert!(key.sign_raw(&v.bytes("in.n"), &mut random, &mut out).is_err(), "not below the modulus");
    assert!(key.sign_raw(&[1; 127], &mut random, &mut out).is_err());
    assert!(key.sign_raw(&[1; 128], &mut random, &mut out[..127]).is_err());

    // A key with one damaged part is refused, or refuses to sign: a wrong signature would give the primes away.
    for part in 0..5 {
        for bit in [0, 1, 200, 511] {
            let mut parts = parts.clone();
            parts[part][63 - bit / 8] ^= 1 << (bit % 8);
            let signed = make(&parts).and_then(|key| {
                let mut out = [0xEE; 128];
                let result = key.sign_raw(&[1; 128], &mut random, &mut out).map(|_| ());
                assert_eq!(out, [0xEE; 128]);
                result
            });
            assert_eq!(signed, Err(CryptoError), "part {part} bit {bit}");
        }
    }
    assert!(make(&[vec![], vec![], vec![], vec![], vec![]]).is_err());
    assert!(make(&[vec![1; 129], vec![1; 129], vec![], vec![], vec![]]).is_err());
    assert!(RsaPrivate::from_primes(&parts[0], &parts[1], &[17]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rsa_recovers_what_it_signs(seed in any::<u64>()) {
        let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
        let mut random = Seeded::new(seed);
        for v in file.blocks() {
            let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap();
            let mut message = random.vec(key.modulus_len());
            message[0] &= 0x3F;
            let (mut signature, mut recovered) = ([0; 256], [0; 256]);
            let signature = key.sign_raw(&message, &mut random, &mut signature).unwrap();
            prop_assert_eq!(key.public().recover(signature, &mut recovered).unwrap(), message.as_slice());
        }
    }
}
