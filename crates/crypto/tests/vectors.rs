//! Every public number of plain cryptography, and the signatures and certificates of real cards.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_crypto::sm2::{Sm2Private, Sm2Public};
use huiwan_crypto::{Aes, BlockKey, CryptoError, Des, Sm4, Tdes, hash, kdf, padding};
use huiwan_testkit::rng::Seeded;
use huiwan_testkit::vectors::{self, Block};

fn standards() -> vectors::File<'static> {
    vectors::load(include_str!("vectors/standards.txt"))
}

/// Checks a key against `in.plain` and as many of `out.ecb` and `out.cbc` as there are.
fn check_modes(v: &Block<'_>, key: &impl BlockKey) {
    let plain = v.bytes("in.plain");
    if v.get("out.ecb").is_some() {
        let mut data = plain.clone();
        key.encrypt_ecb(&mut data).unwrap();
        assert_eq!(data, v.bytes("out.ecb"), "{}", v.id());
        key.decrypt_ecb(&mut data).unwrap();
        assert_eq!(data, plain, "{}", v.id());
    }
    if v.get("out.cbc").is_some() {
        let (mut data, iv) = (plain.clone(), v.bytes("in.iv"));
        key.encrypt_cbc(&iv, &mut data).unwrap();
        assert_eq!(data, v.bytes("out.cbc"), "{}", v.id());
        key.decrypt_cbc(&iv, &mut data).unwrap();
        assert_eq!(data, plain, "{}", v.id());
    }
}

#[test]
fn ciphers_of_the_standards() {
    let file = standards();
    for v in file.group("des") {
        check_modes(v, &Des::new(&v.array("in.key")));
    }
    for v in file.group("tdes") {
        check_modes(v, &Tdes::new3(&v.array("in.key")));
    }
    for v in file.group("aes").chain(file.group("aes_cbc")) {
        check_modes(v, &Aes::new(&v.bytes("in.key")).unwrap());
    }
    for v in file.group("sm4") {
        check_modes(v, &Sm4::new(&v.array("in.key")));
    }
}

#[test]
fn sm4_a_million_times() {
    let file = standards();
    let v = file.block("gbt32907");
    let key = Sm4::new(&v.array("in.key"));
    let last = (0..1_000_000).fold(v.array("in.plain"), |block, _| key.encrypt_block(&block));
    assert_eq!(last, v.array("out.million"));
}

#[test]
fn hashes_of_the_standards() {
    let file = standards();
    for v in file.group("sha") {
        let message = v.bytes("in.message");
        assert_eq!(hash::sha1(&[&message]), v.array("out.sha1"), "{}", v.id());
        assert_eq!(hash::sha256(&[&message]), v.array("out.sha256"), "{}", v.id());
    }
    let file = vectors::load(include_str!("vectors/emv_plain.txt"));
    assert_eq!(file.group("sm3").count(), 2);
    for v in file.group("sm3") {
        assert_eq!(hash::sm3(&[&v.bytes("in.message")]), v.array("out.hash"), "{}", v.id());
    }
}

#[test]
fn macs_of_the_standards() {
    let file = standards();
    for v in file.group("iso9797") {
        let key = v.array::<16>("in.key");
        let (des, tdes) = (Des::new(&key[..8].try_into().unwrap()), Tdes::new2(&key));
        let message = v.bytes("in.message");
        for (padding, name) in [(Padding::Method1, "1"), (Padding::Method2, "2")] {
            let alg1 = mac::alg1_des(&des, &[0; 8], &[&message], padding);
            assert_eq!(alg1, v.array(&format!("out.alg1.{name}")), "{}", v.id());
            let alg3 = mac::alg3(&tdes, &[0; 8], &[&message], padding);
            assert_eq!(alg3, v.array(&format!("out.alg3.{name}")), "{}", v.id());
        }
    }
    for v in file.group("cmac") {
        let key = Aes::new(&v.bytes("in.key")).unwrap();
        let message = v.bytes("in.message");
        for len in [0, 16, 40, 64] {
            assert_eq!(
                mac::cmac(&key, &[&message[..len]]),
                v.array(&format!("out.{len}")),
                "{} {len}",
                v.id()
            );
        }
    }
}

#[test]
fn check_values() {
    let file = vectors::load(include_str!("vectors/gp_plain.txt"));
    let (mut des, mut aes) = (0, 0);
    for v in file.group("kcv_des") {
        assert_eq!(Tdes::new2(&v.array("in.key")).kcv(), v.array("out.kcv"), "{}", v.id());
        des += 1;
    }
    for v in file.group("kcv_aes") {
        assert_eq!(Aes::new(&v.bytes("in.key")).unwrap().kcv(), v.array("out.kcv"), "{}", v.id());
        aes += 1;
    }
    assert_eq!((des, aes), (4, 2));

    let file = vectors::load(include_str!("vectors/emv_plain.txt"));
    let v = file.block("cardimg-des-kcv");
    let kcvs = ["in.udk_ac", "in.udk_mac", "in.udk_enc"].map(|key| Tdes::new2(&v.array(key)).kcv());
    assert_eq!(kcvs.concat(), v.bytes("out.dgi9000"));
}

#[test]
fn globalplatform_derivation() {
    let file = vectors::load(include_str!("vectors/gp_plain.txt"));
    let mut count = 0;
    for v in file.group("scp03_kdf") {
        let key = Aes::new(&v.bytes("in.key")).unwrap();
        let [constant] = v.array("in.constant");
        let mut out = vec![0; v.bytes("out.derived").len()];
        kdf::scp03(&key, constant, &[&v.bytes("in.context")], &mut out).unwrap();
        assert_eq!(out, v.bytes("out.derived"), "{}", v.id());
        if v.get("out.kcv").is_some() {
            assert_eq!(Aes::new(&out).unwrap().kcv(), v.array("out.kcv"), "{}", v.id());
        }
        count += 1;
    }
    assert_eq!(count, 26);
}

#[test]
fn globalplatform_macs_and_encryption() {
    let file = vectors::load(include_str!("vectors/gp_plain.txt"));
    let v = file.block("keycard-retail-mac");
    let key = Tdes::new2(&v.array("in.session_mac"));
    let mac = mac::alg3(&key, &v.array("in.icv"), &[&v.bytes("in.data")], Padding::Method2);
    assert_eq!(mac, v.array("out.mac"));

    let mut count = 0;
    for v in file.group("scp02_pseudorandom_challenge") {
        let key = Tdes::new2(&v.array("in.session_mac"));
        let mac = mac::alg3(&key, &[0; 8], &[&v.bytes("in.sd_aid")], Padding::Method2);
        assert_eq!(mac[..6], v.bytes("out.challenge"), "{}", v.id());
        count += 1;
    }
    assert_eq!(count, 7);

    for (id, dek) in [("gppro-putkey-scp01", "in.dek"), ("gppro-putkey-scp02", "in.session_dek")] {
        let v = file.block(id);
        let mut data = v.bytes("in.plain");
        Tdes::new2(&v.array(dek)).encrypt_ecb(&mut data).unwrap();
        assert_eq!(data, v.bytes("out.cipher"), "{id}");
    }

    let v = file.block("asterix-scp03-cenc");
    let key = Aes::new(&v.bytes("in.session_enc")).unwrap();
    let iv = key.encrypt_block(&1u128.to_be_bytes());
    let plain = v.bytes("in.plain");
    let mut data = plain.clone();
    data.resize(padding::pad_len(plain.len(), 16), 0);
    padding::method2_in_place(&mut data, plain.len(), 16).unwrap();
    key.encrypt_cbc(&iv, &mut data).unwrap();
    assert_eq!(data, v.bytes("out.cipher"));
    key.decrypt_cbc(&iv, &mut data).unwrap();
    assert_eq!(padding::unpad_method2(&data).unwrap(), plain);

    let v = file.block("derived-dap-aes-des");
    assert!(v.is_weak());
    let aes = Aes::new(&v.bytes("in.dap_key_aes")).unwrap();
    assert_eq!(mac::cmac(&aes, &[&v.bytes("in.lfdbh_sha256")]), v.array("out.dap_aes"));
    let tdes = Tdes::new2(&v.array("in.dap_key_des"));
    let mac = mac::alg3(&tdes, &[0; 8], &[&v.bytes("in.lfdbh_sha1")], Padding::Method2);
    assert_eq!(mac, v.array("out.dap_des_retail"));
}

/// Recovers `signature` and checks the frame every EMV certificate has: 6A at the start, BC at the end.
fn recover(v: &Block<'_>, modulus: &str, exponent: &str, signature: &str) -> Vec<u8> {
    let key = RsaPublic::new(&v.bytes(modulus), &v.bytes(exponent)).unwrap();
    let mut out = [0; 256];
    let recovered = key.recover(&v.bytes(signature), &mut out).unwrap();
    assert_eq!((recovered.first(), recovered.last()), (Some(&0x6A), Some(&0xBC)), "{}", v.id());
    recovered.to_vec()
}

#[test]
fn certificates_of_real_cards_rsa() {
    let file = vectors::load(include_str!("vectors/emv_rsa.txt"));
    let mut sizes = std::collections::BTreeSet::new();
    for v in file.blocks() {
        let (modulus, exponent, signature) = match v.text("group") {
            "oda_rsa_issuer_cert" => ("in.ca_modulus", "in.ca_exponent", "in.tag90"),
            "oda_rsa_sda" => ("in.issuer_modulus", "in.issuer_exp", "in.tag93"),
            "oda_rsa_icc_cert" => ("in.issuer_modulus", "in.issuer_exp", "in.tag9F46"),
            "oda_rsa_dda" | "oda_rsa_cda" => ("in.icc_modulus", "in.icc_exp", "in.tag9F4B"),
            other => panic!("{other}"),
        };
        let recovered = recover(v, modulus, exponent, signature);
        sizes.insert(recovered.len() * 8);
        // [EMV-B2 6] the hash stands before the trailer in every format.
        let at = recovered.len() - 21;
        let hash = &recovered[at..at + 20];
        assert_eq!(hash, v.bytes("out.hash"), "{}", v.id());
        let head = &recovered[1..at];
        let hashed = match v.text("group") {
            "oda_rsa_issuer_cert" => Some([head, &v.bytes("in.tag92"), &v.bytes("in.tag9F32")].concat()),
            "oda_rsa_icc_cert" => {
                let rest = v.get("in.tag9F48").map(|_| v.bytes("in.tag9F48")).unwrap_or_default();
                Some([head, &rest, &v.bytes("in.tag9F47"), &v.bytes("in.static_data")].concat())
            }
            "oda_rsa_sda" => v.get("in.static_data").map(|_| [head, &v.bytes("in.static_data")].concat()),
            _ => Some([head, &v.bytes("in.dynamic_data")].concat()),
        };
        if let Some(hashed) = hashed {
            assert_eq!(hash::sha1(&[&hashed]), *hash, "{}", v.id());
        }
    }
    assert!(sizes.is_superset(&[896, 1024, 1152, 1408].into()), "{sizes:?}");
}

#[test]
fn check_values_of_scheme_keys() {
    let file = vectors::load(include_str!("vectors/ca_keys.txt"));
    let mut count = 0;
    for v in file.blocks().filter(|v| v.text("algorithm") == "RSA" && v.get("sha1").is_some()) {
        let parts = ["rid", "index", "modulus", "exponent"].map(|key| v.bytes(key));
        let parts = parts.each_ref().map(Vec::as_slice);
        assert_eq!(hash::sha1(&parts), v.array("sha1"), "{}", v.id());
        let key = RsaPublic::new(parts[2], parts[3]).unwrap();
        assert_eq!(key.modulus(), parts[2]);
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[test]
fn certificates_of_real_cards_sm2() {
    let file = vectors::load(include_str!("vectors/emv_sm2.txt"));
    let mut count = 0;
    for v in file.blocks().filter(|v| v.text("group") != "sm2_sign") {
        let key = Sm2Public::new(&v.array("in.public_key")).unwrap();
        let (id, message) = (v.bytes("in.user_id"), v.bytes("in.message"));
        let mut signature = v.array("in.signature_rs");
        assert_eq!(key.za(&id).unwrap(), v.array("mid.ZA"), "{}", v.id());
        assert_eq!(key.verify(&[&message], &id, &signature), Ok(()), "{}", v.id());
        let (front, back) = message.split_at(message.len() / 3);
        assert_eq!(key.verify(&[front, back], &id, &signature), Ok(()), "{}", v.id());
        assert!(key.verify(&[&message], b"another", &signature).is_err());
        assert!(key.verify(&[front], &id, &signature).is_err());
        signature[40] ^= 1;
        assert!(key.verify(&[&message], &id, &signature).is_err());
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn sm2_of_the_standard_verifies() {
    let file = vectors::load(include_str!("vectors/emv_sm2.txt"));
    let v = file.block("sm2-sign-std");
    let key = Sm2Private::new(&v.array("in.d")).unwrap();
    assert_eq!(*key.public().as_bytes(), v.array("out.public_key"));
    let signature: [u8; 64] = [v.bytes("out.r"), v.bytes("out.s")].concat().try_into().unwrap();
    let (id, message) = (v.bytes("in.user_id"), v.bytes("in.message"));
    assert_eq!(key.public().verify(&[&message], &id, &signature), Ok(()));
    // Our own signatures have another one-time number, and verify.
    let mut random = Seeded::new(1);
    let ours = key.sign(&[&message], &id, &mut random).unwrap();
    assert_ne!(ours, signature);
    assert_eq!(key.public().verify(&[&message], &id, &ours), Ok(()));
}

#[test]
fn rsa_fixtures() {
    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let mut random = Seeded::new(2);
    for v in file.blocks() {
        let [p, q, dp, dq, qinv, n, e, message, signature] =
            ["in.p", "in.q", "in.dp", "in.dq", "in.qinv", "in.n", "in.e", "in.message", "out.signature"]
                .map(|key| v.bytes(key));
        let key = RsaPrivate::from_crt(&p, &q, &dp, &dq, &qinv).unwrap();
        let mut out = [0; 256];
        assert_eq!(key.modulus(&mut out).unwrap(), n, "{}", v.id());
        assert_eq!(*key.public(), RsaPublic::new(&n, &e).unwrap(), "{}", v.id());
        assert_eq!(key.sign_raw(&message, &mut random, &mut out).unwrap(), signature, "{}", v.id());
        let mut recovered = [0xEE; 256];
        assert_eq!(key.public().recover(&signature, &mut recovered).unwrap(), message, "{}", v.id());
        assert!(recovered[n.len()..].iter().all(|byte| *byte == 0xEE), "wrote past the modulus");

        let same = RsaPrivate::from_primes(&p, &q, &e).unwrap();
        assert_eq!(same.expose_parts().map(<[u8]>::to_vec), [p, q, dp, dq, qinv], "{}", v.id());
    }
}

#[test]
fn rsa_signatures_with_appendix() {
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    for v in file.blocks() {
        let key = RsaPublic::new(&v.bytes("in.n"), &v.bytes("in.e")).unwrap();
        let pss = v.id().ends_with("pss");
        let check = |message: &[u8], signature: &[u8]| {
            let (head, tail) = message.split_at(message.len() / 2);
            let parts = [head, tail];
            if pss {
                key.verify_pss_sha256(&parts, signature)
            } else {
                key.verify_pkcs1_sha1(&parts, signature)
            }
        };
        let (message, signature) = (v.bytes("in.message"), v.bytes("out.signature"));
        check(&message, &signature).unwrap();
        check(&v.bytes("in.hash"), &v.bytes("out.dap")).unwrap();
        check(&v.bytes("in.hash"), &signature).unwrap_err();
        for at in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[at] ^= 0x10;
            check(&message, &wrong).unwrap_err();
        }
        check(&message, &signature[1..]).unwrap_err();
        // The other scheme does not take it.
        let other = if pss {
            key.verify_pkcs1_sha1(&[&message], &signature)
        } else {
            key.verify_pss_sha256(&[&message], &signature)
        };
        other.unwrap_err();
    }
}

/// Signatures by OpenSSL 3.0.19 (`openssl dgst -sha1 -sign`) with keys of `rsa_fixtures.txt`; PSS has a salt, so it is only verified.
#[test]
fn rsa_signs_as_openssl_does() {
    let file = vectors::load(include_str!("vectors/rsa_fixtures.txt"));
    let mut random = Seeded::new(3);
    let message = b"tokens and receipts";
    let mut out = [0; 256];
    for (id, signature) in [
        (
            "rsa-512-3",
            "40644E8ED96E4A7EA53CA10ABC9C2068A8A114E7BE9CA6BC42D295F5DFCC62A13EA526F417DD3ACFDC771F3FF93D50C116D0714FEE6CB331CEBB3661766B8070",
        ),
        (
            "rsa-1024-65537",
            "2118388B31C3B88F18BB45BF37A4B133AF2D0490EECC02D749B65AB246518C16C4EABFA64501D2AFAD3B9BABF820C4C3C8545D9A4C401FE94E8B452BF7380E52\
             C00EDE123F67B21127B74BDB26F589127764400FA4B31BE78BDD79EF7C6540D55112D82BB85876DCD9707009A09C6ECDB93E0C53EE645BACB686DA763444B5B7",
        ),
    ] {
        let v = file.block(id);
        let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap();
        let (head, tail) = message.split_at(7);
        assert_eq!(
            key.sign_pkcs1_sha1(&[head, tail], &mut random, &mut out).unwrap(),
            huiwan_testkit::hex(signature),
            "{id}"
        );
    }
    for v in file.blocks() {
        let key = RsaPrivate::from_primes(&v.bytes("in.p"), &v.bytes("in.q"), &v.bytes("in.e")).unwrap();
        let len = key.modulus_len();
        let signature = key.sign_pkcs1_sha1(&[message], &mut random, &mut out).unwrap();
        key.public().verify_pkcs1_sha1(&[message], signature).unwrap();
        assert_eq!(key.sign_pkcs1_sha1(&[message], &mut random, &mut [0; 256][..len - 1]), Err(CryptoError));
        match key.sign_pss_sha256(&[message], &mut random, &mut out) {
            Ok(signature) => {
                key.public().verify_pss_sha256(&[message], signature).unwrap();
                let first = signature.to_vec();
                assert_ne!(key.sign_pss_sha256(&[message], &mut random, &mut out).unwrap(), first, "salted");
            }
            // Two hashes and two bytes do not fit.
            Err(CryptoError) => assert!(len < 66, "{}", v.id()),
        }
    }
}

/// FIPS 180-4 examples, "abc".
#[test]
fn longer_hashes() {
    let hex = huiwan_testkit::hex;
    assert_eq!(
        hash::sha384(&[b"a", b"bc"])[..],
        hex(
            "CB00753F45A35E8BB5A03D699AC65007272C32AB0EDED1631A8B605A43FF5BED8086072BA1E7CC2358BAECA134C825A7"
        )
    );
    assert_eq!(
        hash::sha512(&[b"ab", b"c"])[..],
        hex(concat!(
            "DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A",
            "2192992A274FC1A836BA3C23A3FEEBBD454D4423643CE80E2A9AC94FA54CA49F"
        ))
    );
}

#[test]
fn ecdsa_p256() {
    use huiwan_crypto::CryptoError;
    use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
    let file = vectors::load(include_str!("vectors/standards.txt"));
    for v in file.group("ecdsa") {
        let key = EcPrivate::<P256>::new(&v.bytes("in.d")).unwrap();
        let point = v.bytes("out.point");
        assert_eq!(key.public().unwrap().as_bytes(), point);
        let (digest, mut signature) = (hash::sha256(&[&v.bytes("in.message")]), [0; 64]);
        key.sign(&digest, &mut signature).unwrap();
        assert_eq!(signature[..], v.bytes("out.signature"));
        let public = EcPublic::<P256>::new(&point).unwrap();
        assert_eq!(public.verify(&digest, &signature), Ok(()));
        for bit in 0..64 * 8 {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(public.verify(&digest, &wrong), Err(CryptoError), "bit {bit}");
        }
    }
    // What is no key and no point.
    assert!(EcPrivate::<P256>::new(&[0; 32]).is_err() && EcPrivate::<P256>::new(&[0xFF; 32]).is_err());
    assert!(EcPrivate::<P256>::new(&[1; 31]).is_err() && EcPrivate::<P256>::new(&[1; 33]).is_err());
    assert!(EcPublic::<P256>::new(&[4; 65]).is_err() && EcPublic::<P256>::new(&[0]).is_err());
    assert!(EcPublic::<P256>::new(&[]).is_err() && EcPublic::<P256>::new(&[4; 200]).is_err());
}
