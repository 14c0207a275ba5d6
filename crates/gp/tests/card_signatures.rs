//! Tokens and load file signatures with elliptic curves, checked by a card that knows the keys from PUT KEY or from STORE DATA; what the
//! card tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_crypto::ec::{Curve, EcPrivate, P256};
use huiwan_crypto::{Aes, BlockKey, CryptoError, hash, mac};
use huiwan_gp::card::{CardProfile, EcKeys, Factory, PublicKey, PublicKeys, RsaKeys, TEST_KEY};
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::LoadFields;
use huiwan_gp::put_key::{put_ecc_field, put_ecc_private_field};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_gp::token::Confirmation;
use huiwan_testkit::hex;
use huiwan_testkit::vectors::{self, Block, File};
use support::*;

const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const DAP: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x03];
const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const ELF: [u8; 7] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01];
const KEY: [u8; 16] = [0x11; 16];

type MapCard<'a> = Card<'a, MapMemory>;

/// P-384, as someone who needs it brings it: only the signatures.
#[derive(Debug)]
struct P384;

impl Curve for P384 {
    const FIELD_LEN: usize = 48;

    fn public(private: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        let key = p384::ecdsa::SigningKey::from_slice(private).map_err(|_| CryptoError)?;
        out.copy_from_slice(key.verifying_key().to_sec1_point(false).as_bytes());
        Ok(())
    }
    fn is_point(point: &[u8]) -> bool {
        p384::PublicKey::from_sec1_bytes(point).is_ok()
    }
    fn agree(_: &[u8], _: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
    fn verify(point: &[u8], hash: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        use p384::ecdsa::signature::hazmat::PrehashVerifier;
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| CryptoError)?;
        let signature = p384::ecdsa::Signature::from_slice(signature).map_err(|_| CryptoError)?;
        key.verify_prehash(hash, &signature).map_err(|_| CryptoError)
    }
    fn sign(private: &[u8], hash: &[u8], out: &mut [u8]) -> Result<(), CryptoError> {
        use p384::ecdsa::signature::hazmat::PrehashSigner;
        let key = p384::ecdsa::SigningKey::from_slice(private).map_err(|_| CryptoError)?;
        let signature: p384::ecdsa::Signature = key.sign_prehash(hash).map_err(|_| CryptoError)?;
        out.copy_from_slice(&signature.to_bytes());
        Ok(())
    }
}

/// RSA and two curves.
const ALL: &dyn PublicKeys = &(RsaKeys, (EcKeys::P256, EcKeys::<P384>::on(0x01)));

fn file() -> File<'static> {
    vectors::load(include_str!("vectors/ec_signatures.txt"))
}

fn public_key<'v>(curve: &'v [u8], point: &'v [u8]) -> PublicKey<'v> {
    PublicKey::Ecc { curve: curve[0], point }
}

#[test]
fn openssl_signed() {
    for v in file().blocks() {
        let (curve, point) = (v.bytes("in.curve"), v.bytes("in.point"));
        for (message, signature) in [("in.hash", "out.dap"), ("in.delete", "out.delete_token")] {
            let (message, signature) = (v.bytes(message), v.bytes(signature));
            let verify = |parts: &[&[u8]], signature: &[u8]| {
                ALL.verify(public_key(&curve, &point), parts, signature).is_ok()
            };
            assert!(verify(&[&message], &signature), "{}", v.id());
            assert!(verify(&[&message[..3], &message[3..]], &signature), "in parts");
            for bit in 0..signature.len() * 8 {
                let mut wrong = signature.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert!(!verify(&[&message], &wrong), "bit {bit}");
            }
            let mut other = message.clone();
            other[0] ^= 1;
            assert!(!verify(&[&other], &signature));
            // Short, long, DER, r and s exchanged, r = 0, s = 0.
            let half = signature.len() / 2;
            let zero = vec![0; half];
            let (r, s) = signature.split_at(half);
            for wrong in [
                signature[1..].to_vec(),
                [&[0][..], &signature].concat(),
                [&[0x30, signature.len() as u8 + 4, 0x02, half as u8][..], r, &[0x02, half as u8], s]
                    .concat(),
                [s, r].concat(),
                [&zero, s].concat(),
                [r, &zero].concat(),
                vec![],
            ] {
                assert!(!verify(&[&message], &wrong), "{wrong:02X?}");
            }
            // The key of another curve, a point that is none, a key of another kind.
            let other = [1 - curve[0]];
            assert!(ALL.verify(public_key(&other, &point), &[&message], &signature).is_err());
            let mut off = point.clone();
            off[point.len() - 1] ^= 1;
            assert!(ALL.verify(public_key(&curve, &off), &[&message], &signature).is_err());
            assert!(RsaKeys.verify(public_key(&curve, &point), &[&message], &signature).is_err());
        }
    }
}

fn sw(card: &mut MapCard<'_>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

fn enter(card: &mut MapCard<'_>, aid: &[u8], keys: &StaticKeys) -> Open {
    assert_eq!(card.sw(&select(aid)), 0x9000);
    open(card, 0, keys, Level::CMac)
}

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

fn new_domain(card: &mut MapCard<'_>, aid: &[u8], privileges: [u8; 3]) {
    let mut session = enter(card, &ISSUER, &test_keys());
    assert_eq!(sw(card, &mut session, &install_domain(aid, privileges, &[])), 0x9000);
    let mut session = enter(card, aid, &test_keys());
    assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
}

fn with<T>(keys: &dyn PublicKeys, f: impl FnOnce(&mut MapCard<'_>) -> T) -> T {
    with_modules(&CardProfile::DEFAULT, keys, &[], new_memory(&Factory::TEST), f).1
}

/// The public key comes under `version`, by PUT KEY or by STORE DATA.
fn put(card: &mut MapCard<'_>, session: &mut Open, version: u8, v: &Block<'_>, by_store_data: bool) {
    let (curve, point) = (v.bytes("in.curve"), v.bytes("in.point"));
    if by_store_data {
        let crt = [
            &[0x80, 1, 0xB0, 0x81, 1, point.len() as u8, 0x82, 1, 1, 0x83, 1, version][..],
            &[0xF0, 1, curve[0]],
        ]
        .concat();
        let b9 = [&[0xB9, crt.len() as u8][..], &crt].concat();
        let groupings =
            [&[0x00, 0xB9, b9.len() as u8][..], &b9, &[0x00, 0x36, point.len() as u8], &point].concat();
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x88, 0], &groupings)), 0x9000);
    } else {
        let mut data = [0; 200];
        data[0] = version;
        let end = put_ecc_field(&mut data, 1, &point, curve[0]).unwrap();
        assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0, 1], &data[..end])), 0x9000);
    }
    // It is told like that: version and identifier, a point, the curve in place of a length.
    let told = run(card, session, &hex("80CA00E000")).0;
    let entry = [&[0xC0, 6, 1, version, 0xB0, point.len() as u8, 0xF0][..], &curve].concat();
    assert!(told.windows(entry.len()).any(|window| window == entry), "{told:02X?}");
}

fn load_file() -> Vec<u8> {
    let file = vectors::load(include_str!("vectors/cap_load.txt"));
    let v = file.block("kaoh-scp02-i15-install-macenc");
    let plain = (0..6).map(|n| v.bytes(&format!("out.commands.{n}.plain")));
    plain.filter(|c| c[1] == 0xE8).flat_map(|c| c[5..5 + usize::from(c[4])].to_vec()).collect()
}

fn for_load(hash: &[u8]) -> Vec<u8> {
    let fields = LoadFields { load_file: &ELF, hash, ..LoadFields::default() };
    let mut out = [0; 128];
    apdu([0x80, 0xE6, 0x02, 0x00], fields.write(&mut out).unwrap())
}

/// The status word of the last LOAD; those before it work.
fn load(card: &mut MapCard<'_>, session: &mut Open, file: &[u8]) -> u16 {
    let blocks: Vec<_> = file.chunks(200).collect();
    let (last, first) = blocks.split_last().unwrap();
    for (n, block) in (0..).zip(first) {
        assert_eq!(sw(card, session, &apdu([0x80, 0xE8, 0, n], block)), 0x9000);
    }
    sw(card, session, &apdu([0x80, 0xE8, 0x80, first.len() as u8], last))
}

fn signed_file(signature: &[u8]) -> Vec<u8> {
    let c3 = [&[0xC3, signature.len() as u8][..], signature].concat();
    let inner = [&[0x4F, 6][..], &DAP, &c3].concat();
    [&[0xE2, inner.len() as u8][..], &inner, &load_file()].concat()
}

/// A domain that demands its signature of every file.
#[test]
fn mandated_signatures_of_load_files() {
    for v in file().blocks() {
        for by_store_data in [false, true] {
            with(ALL, |card| {
                new_domain(card, &DAP, [0xC1, 0, 0]);
                let mut session = enter(card, &DAP, &own());
                put(card, &mut session, 0x73, v, by_store_data);
                let mut session = enter(card, &ISSUER, &test_keys());
                let (hash, signature) = (v.bytes("in.hash"), v.bytes("out.dap"));
                assert_eq!(hash, hash::sha256(&[&load_file()[4..]]));
                let mut wrong = signature.clone();
                wrong[20] ^= 1;
                for (file, expected, what) in [
                    (load_file(), 0x6985, "mandated, but not there"),
                    (signed_file(&wrong), 0x6982, "wrong"),
                    (signed_file(&signature[..signature.len() - 1]), 0x6982, "short"),
                    (signed_file(&signature), 0x9000, "right"),
                ] {
                    assert_eq!(sw(card, &mut session, &for_load(&hash)), 0x9000, "{what}");
                    assert_eq!(load(card, &mut session, &file), expected, "{} {what}", v.id());
                }
            });
        }
    }
}

/// A domain with delegated management deletes its file by a token.
#[test]
fn tokens() {
    for v in file().blocks() {
        for by_store_data in [false, true] {
            with(ALL, |card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                put(card, &mut session, 0x70, v, by_store_data);
                new_domain(card, &BANK, [0xA0, 0, 0]);
                let mut session = enter(card, &ISSUER, &test_keys());
                let fields = LoadFields { load_file: &ELF, domain: &BANK, ..LoadFields::default() };
                let mut out = [0; 64];
                let for_load = apdu([0x80, 0xE6, 0x02, 0x00], fields.write(&mut out).unwrap());
                assert_eq!(sw(card, &mut session, &for_load), 0x9000);
                assert_eq!(load(card, &mut session, &load_file()), 0x9000);
                let mut session = enter(card, &BANK, &own());
                let token = v.bytes("out.delete_token");
                let right = [&[0x4F, 7][..], &ELF, &[0x9E, token.len() as u8], &token].concat();
                let mut wrong = right.clone();
                wrong[40] ^= 1;
                for (data, expected) in [(wrong, 0x6982), (right, 0x9000)] {
                    assert_eq!(
                        sw(card, &mut session, &apdu([0x80, 0xE4, 0, 0], &data)),
                        expected,
                        "{}",
                        v.id()
                    );
                }
            });
        }
    }
}

/// The private key by PUT KEY, or by STORE DATA.
fn private_key(version: u8, id: u8, curve: u8, number: &[u8], by_store_data: bool) -> Vec<u8> {
    let mut block = number.to_vec();
    block.resize(number.len().next_multiple_of(16), 0xA5);
    Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
    if !by_store_data {
        let mut data = [0; 200];
        data[0] = version;
        let end = put_ecc_private_field(&mut data, 1, number.len(), &block, curve).unwrap();
        return apdu([0x80, 0xD8, 0, id], &data[..end]);
    }
    let len = number.len() as u8;
    let crt = [0x80, 1, 0xB1, 0x81, 1, len, 0x82, 1, id, 0x83, 1, version, 0xF0, 1, curve];
    let b9 = [&[0xB9, crt.len() as u8][..], &crt].concat();
    let groupings =
        [&[0x00, 0xB9, b9.len() as u8][..], &b9, &[0x81, 0x37, block.len() as u8], &block].concat();
    apdu([0x80, 0xE2, 0x88, 0], &groupings)
}

/// What was deleted by delegation is confirmed with ECDSA by the issuer's key.
#[test]
fn receipts() {
    let p256 = EcPrivate::<P256>::new(&[7; 32]).unwrap().public().unwrap();
    let p384 = EcPrivate::<P384>::new(&[7; 48]).unwrap().public().unwrap();
    for (curve, number, point) in [(0, &[7; 32][..], p256.as_bytes()), (1, &[7; 48], p384.as_bytes())] {
        for by_store_data in [false, true] {
            with(ALL, |card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let put = private_key(0x71, 1, curve, number, by_store_data);
                let answer = run(card, &mut session, &put);
                assert_eq!(answer, (if by_store_data { vec![] } else { vec![0x71] }, 0x9000));
                let told = run(card, &mut session, &hex("80CA00E000")).0;
                let entry = [0xC0, 6, 1, 0x71, 0xB1, number.len() as u8, 0xF0, curve];
                assert!(told.windows(8).any(|window| window == entry), "{told:02X?}");
                let token_key = put_keys(0, 0x70, 1, &[&KEY[..]], &TEST_KEY);
                assert_eq!(sw(card, &mut session, &token_key), 0x9000);
                new_domain(card, &BANK, [0xA0, 0, 0]);
                for n in 1..3 {
                    let mut session = enter(card, &ISSUER, &test_keys());
                    let fields = LoadFields { load_file: &ELF, domain: &BANK, ..LoadFields::default() };
                    let mut out = [0; 64];
                    let for_load = apdu([0x80, 0xE6, 0x02, 0x00], fields.write(&mut out).unwrap());
                    assert_eq!(sw(card, &mut session, &for_load), 0x9000);
                    assert_eq!(load(card, &mut session, &load_file()), 0x9000);
                    let mut session = enter(card, &BANK, &own());
                    let named = [&[0x4F, 7][..], &ELF].concat();
                    let input = [&[0, 0, named.len() as u8][..], &named].concat();
                    let token = mac::cmac(&Aes::new(&KEY).unwrap(), &[&input]);
                    let delete = apdu([0x80, 0xE4, 0, 0], &[&named[..], &[0x9E, 16], &token].concat());
                    let (answer, status) = run(card, &mut session, &delete);
                    assert_eq!((status, usize::from(answer[0])), (0x9000, 2 * number.len()));
                    // By the table: LV receipt, LV counter, no unique data; the receipt over that and the name. [GPC C.5]
                    let (signature, confirmation) = answer[1..].split_at(2 * number.len());
                    assert_eq!(confirmation, [2, 0, n, 0]);
                    let covered = [confirmation, &[7], &ELF].concat();
                    let key = PublicKey::Ecc { curve, point };
                    assert!(ALL.verify(key, &[&covered], signature).is_ok());
                    assert!(ALL.verify(key, &[&covered[1..]], signature).is_err());
                    // As the host reads it.
                    let told = Confirmation::parse(&answer).unwrap().unwrap();
                    assert_eq!((told.receipt, told.counter), (signature, u16::from(n)));
                    assert_eq!(told.write_covered(&[&ELF], &mut [0; 64]).unwrap(), covered);
                }
            });
        }
    }
}

/// A private key that signs nothing is not taken.
#[test]
fn private_keys_of_no_use() {
    let order = hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
    for by_store_data in [false, true] {
        let refused = |keys: &dyn PublicKeys, version, id, curve, number: &[u8]| {
            with(keys, |card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let before = run(card, &mut session, &hex("80CA00E000"));
                let put = private_key(version, id, curve, number, by_store_data);
                assert_eq!(sw(card, &mut session, &put), 0x6A80, "{version:02X} {id} {curve} {number:02X?}");
                assert_eq!(run(card, &mut session, &hex("80CA00E000")), before);
            });
        };
        for keys in [ALL, &EcKeys::P256] {
            for number in [&[0; 32][..], &order, &[7; 33], &[7; 48]] {
                refused(keys, 0x71, 1, 0, number);
            }
            refused(keys, 0x71, 1, 2, &[7; 32]);
            refused(keys, 0x71, 2, 0, &[7; 32]);
            refused(keys, 0x70, 1, 0, &[7; 32]);
        }
        refused(&EcKeys::P256, 0x71, 1, 1, &[7; 48]);
        refused(&RsaKeys, 0x71, 1, 0, &[7; 32]);
        // Receipts are the issuer's.
        with(ALL, |card| {
            new_domain(card, &BANK, [0xA0, 0, 0]);
            let mut session = enter(card, &BANK, &own());
            let mut set = private_key(0x71, 1, 0, &[7; 32], by_store_data);
            // Under this domain's key.
            let block = set.windows(16).position(|window| window == encrypted(&TEST_KEY)).unwrap();
            set[block..block + 16].copy_from_slice(&encrypted(&KEY));
            assert_eq!(sw(card, &mut session, &set), 0x6A80);
        });
    }
    // A secret key's grouping brings no private key, and this one no secret key.
    with(ALL, |card| {
        let mut session = enter(card, &ISSUER, &test_keys());
        let mut wrong = private_key(0x71, 1, 0, &[7; 32], true);
        let at = wrong.windows(2).position(|window| window == [0x81, 0x37]).unwrap();
        wrong[at + 1] = 0x13;
        assert_eq!(sw(card, &mut session, &wrong), 0x6A80);
        let mut wrong = private_key(0x71, 1, 0, &[7; 32], true);
        let at = wrong.windows(3).position(|window| window == [0x80, 1, 0xB1]).unwrap();
        wrong[at + 2] = 0x88;
        assert_eq!(sw(card, &mut session, &wrong), 0x6A80);
    });
}

/// The first block of a private number that is all sevens.
fn encrypted(key: &[u8]) -> [u8; 16] {
    Aes::new(key).unwrap().encrypt_block(&[7; 16])
}

/// A card checks what it says it checks, and nothing else.
#[test]
fn capability_data_tell_it() {
    for (keys, signatures, receipts, curves, p256) in [
        (&RsaKeys as &dyn PublicKeys, 0x3F00_u16, 0x3C, &[][..], 0x6982),
        (&EcKeys::P256, 0x7C00, 0x7C, &[0x00], 0x9000),
        (&EcKeys::<P384>::on(0x01), 0xBC00, 0xBC, &[0x01], 0x6982),
        (&(RsaKeys, EcKeys::P256), 0x7F00, 0x7C, &[0x00], 0x9000),
        (ALL, 0xFF00, 0xFC, &[0x00, 0x01], 0x9000),
    ] {
        with(keys, |card| {
            let told = card.send(&hex("80CA006700"));
            let [high, low] = signatures.to_be_bytes();
            let schemes = [0x85, 2, high, low, 0x86, 2, receipts, 0x00, 0x87, 2, high, low];
            let at = told.windows(schemes.len()).position(|window| window == schemes).expect("schemes");
            let behind = &told[at + schemes.len()..told.len() - 2];
            let expected = match curves.len() {
                0 => vec![],
                n => [&[0x88, n as u8][..], curves].concat(),
            };
            assert_eq!(behind, expected);
            new_domain(card, &DAP, [0xC0, 0, 0]);
            let file = file();
            let v = file.block("ecdsa-p256");
            let mut session = enter(card, &DAP, &own());
            put(card, &mut session, 0x73, v, false);
            let mut session = enter(card, &ISSUER, &test_keys());
            assert_eq!(sw(card, &mut session, &for_load(&v.bytes("in.hash"))), 0x9000);
            assert_eq!(load(card, &mut session, &signed_file(&v.bytes("out.dap"))), p256);
        });
    }
}
