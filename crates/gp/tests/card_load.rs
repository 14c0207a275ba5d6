//! LOAD, what is checked before a load file counts, delegated management, and power lost at every commit of a load.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod support;

use huiwan_crypto::{Aes, BlockKey, hash, mac};
use huiwan_gp::card::{Factory, TEST_KEY};
use huiwan_gp::delete::Names;
use huiwan_gp::get_status;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{Fields, LoadFields, before_token};
use huiwan_gp::put_key::{KeyType, put_rsa_field};
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_gp::token;
use huiwan_testkit::{hex, vectors};
use support::*;

const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const DAP: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x03];
const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const ELF: [u8; 7] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01];
const APP: [u8; 8] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01, 0x01];
const DELEGATED: [u8; 3] = [0xA0, 0x00, 0x00];
const KEY: [u8; 16] = [0x11; 16];

type MapCard<'a> = Card<'a, MapMemory>;

fn sw(card: &mut MapCard<'_>, session: &mut Open, command: &[u8]) -> u16 {
    run(card, session, command).1
}

fn own() -> StaticKeys {
    StaticKeys::new(&KEY, &KEY, &KEY).unwrap()
}

fn enter(card: &mut MapCard<'_>, aid: &[u8], keys: &StaticKeys) -> Open {
    assert_eq!(card.sw(&select(aid)), 0x9000);
    open(card, 0, keys, Level::CMac)
}

fn issuer<T>(f: impl FnOnce(&mut MapCard<'_>, &mut Open) -> T) -> (MapMemory, T) {
    with_domains(new_memory(&Factory::TEST), |card| {
        let mut session = enter(card, &ISSUER, &test_keys());
        f(card, &mut session)
    })
}

fn new_domain(card: &mut MapCard<'_>, aid: &[u8], privileges: [u8; 3]) {
    let mut session = enter(card, &ISSUER, &test_keys());
    assert_eq!(sw(card, &mut session, &install_domain(aid, privileges, &[])), 0x9000);
    let mut session = enter(card, aid, &test_keys());
    assert_eq!(sw(card, &mut session, &put_keys(0, 0x30, 1, &[&KEY[..]; 3], &TEST_KEY)), 0x9000);
}

/// The commands kaoh's test sent to a real card for helloworld.cap.
fn hello_world() -> Vec<Vec<u8>> {
    let file = vectors::load(include_str!("vectors/cap_load.txt"));
    let v = file.block("kaoh-scp02-i15-install-macenc");
    (0..6).map(|n| v.bytes(&format!("out.commands.{n}.plain"))).collect()
}

/// The load file of the same, with its C4 header.
fn load_file() -> Vec<u8> {
    let loads = hello_world();
    loads.iter().filter(|c| c[1] == 0xE8).flat_map(|c| c[5..5 + usize::from(c[4])].to_vec()).collect()
}

fn data_block() -> Vec<u8> {
    load_file()[4..].to_vec()
}

fn for_load(domain: &[u8], hash: &[u8], token: &[u8]) -> Vec<u8> {
    let fields = LoadFields { load_file: &ELF, domain, hash, parameters: &[], token };
    let mut out = [0; 256];
    apdu([0x80, 0xE6, 0x02, 0x00], fields.write(&mut out).unwrap())
}

fn loads(file: &[u8], size: usize) -> Vec<Vec<u8>> {
    let blocks: Vec<_> = file.chunks(size).collect();
    let last = blocks.len() - 1;
    blocks
        .iter()
        .enumerate()
        .map(|(n, block)| apdu([0x80, 0xE8, if n == last { 0x80 } else { 0 }, n as u8], block))
        .collect()
}

/// The status word of the last LOAD; those before it work.
fn load(card: &mut MapCard<'_>, session: &mut Open, file: &[u8]) -> u16 {
    let commands = loads(file, 200);
    let (last, first) = commands.split_last().unwrap();
    for command in first {
        assert_eq!(sw(card, session, command), 0x9000);
    }
    sw(card, session, last)
}

fn files(card: &mut MapCard<'_>, session: &mut Open) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let (data, _) = run(card, session, &apdu([0x80, 0xF2, 0x10, 0x02], &hex("4F00")));
    get_status::entries(&data)
        .map(Result::unwrap)
        .map(|entry| (entry.aid.to_vec(), entry.modules().map(<[u8]>::to_vec).collect()))
        .collect()
}

fn is_loaded(card: &mut MapCard<'_>, session: &mut Open) -> bool {
    files(card, session).iter().any(|(aid, _)| aid == &ELF)
}

fn delete(aid: &[u8], p2: u8) -> Vec<u8> {
    apdu([0x80, 0xE4, 0x00, p2], &[&[0x4F, aid.len() as u8][..], aid].concat())
}

fn dap_block(signer: &[u8], signature: &[u8]) -> Vec<u8> {
    let tlv = |tag: u8, value: &[u8]| {
        let len = value.len();
        let header = match len {
            0..=0x7F => vec![tag, len as u8],
            0x80..=0xFF => vec![tag, 0x81, len as u8],
            _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
        };
        [header, value.to_vec()].concat()
    };
    tlv(0xE2, &[tlv(0x4F, signer), tlv(0xC3, signature)].concat())
}

/// The APDUs of a real card's log: the file is there with its applet, whose code this card has.
#[test]
fn a_public_cap_file() {
    issuer(|card, session| {
        // The log's issuer domain has another name.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE2, 0x90, 0], &hex("4F08A000000003000000"))), 0x9000);
        let mut session = enter(card, &hex("A000000003000000"), &test_keys());
        let commands = hello_world();
        assert_eq!(sw(card, &mut session, &commands[0]), 0x6A88);
        for command in &commands[2..5] {
            assert_eq!(run(card, &mut session, command), (vec![0x00], 0x9000));
        }
        let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x10, 0x02], &hex("4F07D0D1D2D3D4D501")));
        assert_eq!(
            data,
            hex("E3254F07D0D1D2D3D4D5019F700101CE0201008408D0D1D2D3D4D50101CC08A000000003000000")
        );
        // CVM management is a privilege this card does not give.
        assert_eq!(sw(card, &mut session, &commands[5]), 0x6A80);
        let mut install = commands[5].clone();
        let privileges = install.windows(2).position(|w| w == [0x01, 0x02]).unwrap();
        install[privileges + 1] = 0x00;
        assert_eq!(run(card, &mut session, &install), (vec![0x00], 0x9000));
        assert_eq!(card.sw(&select(&APP)), 0x9000);
        let mut session = enter(card, &hex("A000000003000000"), &test_keys());
        // In use; then with everything related.
        assert_eq!(sw(card, &mut session, &delete(&ELF, 0)), 0x6985);
        assert_eq!(sw(card, &mut session, &commands[1]), 0x9000);
        assert!(!is_loaded(card, &mut session));
        assert_eq!(card.sw(&select(&APP)), 0x6A82);
    });
}

#[test]
fn blocks_come_in_order_or_all_is_discarded() {
    let (memory, ()) = issuer(|card, session| {
        let commands = loads(&load_file(), 100);
        assert_eq!(sw(card, session, &commands[0]), 0x6985, "no INSTALL [for load]");
        for (wrong, expected, what) in [
            (commands[2].clone(), 0x6A86, "a block is missing"),
            (commands[0].clone(), 0x6A86, "a block comes twice"),
            (apdu([0x80, 0xE8, 0x01, 0x01], &[1]), 0x6A86, "P1"),
            (apdu([0x80, 0xE8, 0x00, 0x01], &[]), 0x6A80, "an empty block"),
            (apdu([0x80, 0xE8, 0x80, 0x01], &[1]), 0x6A80, "the file ends too soon"),
            (apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F00")), 0x9000, "another command"),
        ] {
            assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
            assert_eq!(sw(card, session, &commands[0]), 0x9000);
            assert_eq!(sw(card, session, &wrong), expected, "{what}");
            assert_eq!(sw(card, session, &commands[1]), 0x6985, "{what}");
            assert!(!is_loaded(card, session));
        }
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE8, 0x00, 0x00], &hex("C500"))), 0x6A80, "no load file");
        // Bytes behind the data block, and a package of another name.
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        assert_eq!(load(card, session, &[&load_file()[..], &[0]].concat()), 0x6A80);
        let fields = LoadFields { load_file: &hex("D0D1D2D3D4D502"), ..LoadFields::default() };
        let mut out = [0; 64];
        assert_eq!(sw(card, session, &apdu([0x80, 0xE6, 0x02, 0], fields.write(&mut out).unwrap())), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x6A80);
        // It is there once.
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x9000);
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x6985);
        // A new session gives it up as well.
        assert_eq!(sw(card, session, &apdu([0x80, 0xE6, 0x02, 0], fields.write(&mut out).unwrap())), 0x9000);
        assert_eq!(sw(card, session, &commands[0]), 0x9000);
        assert_eq!(card.sw(&hex("80500000080102030405060708")), 0x9000);
    });
    // Blocks of what was given up are gone, but for the file.
    assert!(memory.objects.keys().all(|key| key.0 == 0 || key.0 == 255), "{:?}", memory.objects.keys());
}

#[test]
fn longest_file() {
    issuer(|card, session| {
        // 256 blocks, and no more.
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        let block = vec![0xAA; 256 * 200 - 4];
        let file = [&[0xC4, 0x82][..], &(block.len() as u16).to_be_bytes(), &block].concat();
        assert_eq!(load(card, session, &file), 0x9000);
        assert_eq!(sw(card, session, &delete(&ELF, 0)), 0x9000);
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        for n in 0..=255 {
            assert_eq!(sw(card, session, &apdu([0x80, 0xE8, 0x00, n], &[0xC4])), 0x9000);
        }
        assert_eq!(sw(card, session, &apdu([0x80, 0xE8, 0x80, 0x00], &[0xC4])), 0x6A86, "no wrap");
    });
}

#[test]
fn hashes_of_every_length() {
    issuer(|card, session| {
        let block = data_block();
        // Witnessed by another implementation: SHA-1 and SHA-256 of the block.
        let witness = vectors::load(include_str!("vectors/rsa_signatures.txt"));
        assert_eq!(hash::sha1(&[&block])[..], witness.block("rsa-1024-pkcs1").bytes("in.hash"));
        assert_eq!(hash::sha256(&[&block])[..], witness.block("rsa-2048-pss").bytes("in.hash"));
        let hashes = [
            hash::sha1(&[&block]).to_vec(),
            hash::sha256(&[&block]).to_vec(),
            hash::sha384(&[&block]).to_vec(),
            hash::sha512(&[&block]).to_vec(),
        ];
        for hash in hashes {
            let mut wrong = hash.clone();
            wrong[7] ^= 0x40;
            assert_eq!(sw(card, session, &for_load(&[], &wrong, &[])), 0x9000);
            assert_eq!(load(card, session, &load_file()), 0x6985, "wrong hash");
            assert!(!is_loaded(card, session));
            assert_eq!(sw(card, session, &for_load(&ISSUER, &hash, &[])), 0x9000);
            assert_eq!(load(card, session, &load_file()), 0x9000);
            assert_eq!(sw(card, session, &delete(&ELF, 0)), 0x9000);
        }
        assert_eq!(sw(card, session, &for_load(&[], &[0; 16], &[])), 0x6A80);
    });
}

/// PUT KEY of one key under 73 on the selected domain.
fn put_dap_key(card: &mut MapCard<'_>, session: &mut Open, v: &vectors::Block<'_>) {
    let mut data = [0; 300];
    data[0] = 0x73;
    let end = put_rsa_field(&mut data, 1, &v.bytes("in.n"), &v.bytes("in.e")).unwrap();
    let (first, last) = data[..end].split_at(end / 2);
    assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0x80, 0x01], first)), 0x9000);
    assert_eq!(run(card, session, &apdu([0x80, 0xD8, 0x00, 0x01], last)), (vec![0x73], 0x9000));
}

#[test]
fn signatures_of_load_files() {
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    for v in file.blocks() {
        issuer(|card, _| {
            new_domain(card, &DAP, [0xC1, 0, 0]);
            let mut session = enter(card, &DAP, &own());
            put_dap_key(card, &mut session, v);
            let mut session = enter(card, &ISSUER, &test_keys());
            let (hash, signature) = (v.bytes("in.hash"), v.bytes("out.dap"));
            let mut wrong = signature.clone();
            wrong[20] ^= 1;
            let signed = |signature: &[u8]| [dap_block(&DAP, signature), load_file()].concat();
            for (hash, file, expected, what) in [
                (&hash[..], load_file(), 0x6985, "mandated, but not there"),
                (&hash[..], signed(&wrong), 0x6982, "wrong"),
                (&[][..], signed(&signature), 0x6985, "INSTALL brought no hash"),
                (&hash[..], [dap_block(&BANK, &signature), load_file()].concat(), 0x6985, "of nobody"),
                (&hash[..], signed(&signature), 0x9000, "right"),
            ] {
                assert_eq!(sw(card, &mut session, &for_load(&[], hash, &[])), 0x9000, "{what}");
                assert_eq!(load(card, &mut session, &file), expected, "{} {what}", v.id());
                assert_eq!(is_loaded(card, &mut session), expected == 0x9000, "{what}");
            }
        });
    }
}

#[test]
fn symmetric_signatures_and_who_has_to_sign() {
    let file = vectors::load(include_str!("vectors/content_management.txt"));
    let v = file.block("derived-dap-aes-des");
    let sign = |key_type, key: &str, hash: &str| {
        token::symmetric(key_type, &v.bytes(key), &[&v.bytes(hash)]).unwrap().to_vec()
    };
    assert_eq!(sign(KeyType::Aes, "in.dap_key_aes", "in.lfdbh_sha256"), v.bytes("out.dap_aes"));
    assert_eq!(sign(KeyType::Des, "in.dap_key_des", "in.lfdbh_sha1"), v.bytes("out.dap_des_retail"));
    issuer(|card, session| {
        // A mandate counts once the domain is PERSONALIZED; a domain without one signs its own files.
        assert_eq!(sw(card, session, &install_domain(&DAP, [0xC1, 0, 0], &[])), 0x9000);
        new_domain(card, &BANK, [0xC0, 0x40, 0]);
        let mut session = enter(card, &ISSUER, &test_keys());
        let hash = hash::sha256(&[&data_block()]);
        assert_eq!(sw(card, &mut session, &for_load(&[], &hash, &[])), 0x9000);
        assert_eq!(load(card, &mut session, &load_file()), 0x9000, "not personalised, not its own");
        assert_eq!(sw(card, &mut session, &delete(&ELF, 0)), 0x9000);
        assert_eq!(sw(card, &mut session, &for_load(&BANK, &hash, &[])), 0x9000);
        assert_eq!(load(card, &mut session, &load_file()), 0x6985, "its own");
        let mut session = enter(card, &BANK, &own());
        let key = v.bytes("in.dap_key_aes");
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x73, 1, &[&key], &KEY)), 0x9000);
        let signature = mac::cmac(&Aes::new(&key).unwrap(), &[&hash]);
        assert_eq!(sw(card, &mut session, &for_load(&[], &hash, &[])), 0x9000);
        let file = [dap_block(&BANK, &signature), load_file()].concat();
        assert_eq!(load(card, &mut session, &file), 0x9000);
        let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x20, 0x02], &hex("4F00")));
        let listed: Vec<_> = get_status::entries(&data).map(|entry| entry.unwrap().domain.unwrap()).collect();
        assert_eq!(listed, [&BANK[..]], "its own file alone");
    });
}

#[test]
fn ciphered_load_files() {
    issuer(|card, session| {
        let (key, iv) = ([0x75; 16], [0xA5; 16]);
        let mut block = data_block();
        let hash = hash::sha256(&[&block]);
        block.push(0x80);
        block.resize(block.len().next_multiple_of(16), 0);
        Aes::new(&key).unwrap().encrypt_cbc(&iv, &mut block).unwrap();
        let len = (block.len() as u16).to_be_bytes();
        let file = [&[0xD3, 0x10][..], &iv, &[0xD4, 0x82], &len, &block].concat();
        assert_eq!(sw(card, session, &for_load(&[], &hash, &[])), 0x9000);
        assert_eq!(load(card, session, &file), 0x6985, "no key");
        assert_eq!(sw(card, session, &put_keys(0, 0x75, 1, &[&key[..]], &TEST_KEY)), 0x9000);
        let mut wrong = file.clone();
        wrong[50] ^= 1;
        assert_eq!(sw(card, session, &for_load(&[], &hash, &[])), 0x9000);
        assert_eq!(load(card, session, &wrong), 0x6985, "hash of something else");
        assert_eq!(sw(card, session, &for_load(&[], &hash, &[])), 0x9000);
        assert_eq!(load(card, session, &file), 0x9000);
        assert!(files(card, session).contains(&(ELF.to_vec(), vec![APP.to_vec()])));
        // What is kept is the plain file.
        let mut kept: Vec<u8> = Vec::new();
        for (object, value) in &card.element.memory().objects {
            if object.0 == 255 {
                assert_eq!(object.1 & 0xFF00, 0x0200);
                kept.extend(value);
            }
        }
        assert_eq!(kept, data_block());
    });
}

fn combined(p2: u8, data: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xE6, 0x0E, p2], data)
}

fn install_applet(privileges: &[u8]) -> Vec<u8> {
    let fields = Fields {
        load_file: &ELF,
        module: &APP,
        instance: &APP,
        privileges,
        parameters: &[0xC9, 0x00],
        token: &[],
    };
    let mut out = [0; 128];
    fields.write(&mut out).unwrap().to_vec()
}

#[test]
fn load_install_and_make_selectable_as_one() {
    issuer(|card, session| {
        let mut out = [0; 64];
        let first = LoadFields { load_file: &ELF, ..LoadFields::default() };
        let first = combined(0x01, first.write(&mut out).unwrap());
        let last = combined(0x03, &install_applet(&[0]));
        assert_eq!(sw(card, session, &last), 0x6985, "nothing was loaded");
        // The last step fails: the file goes with it.
        assert_eq!(sw(card, session, &first), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x9000);
        assert_eq!(sw(card, session, &combined(0x03, &install_applet(&[0x80]))), 0x6A80);
        assert!(!is_loaded(card, session));
        // Another command gives it up.
        assert_eq!(sw(card, session, &first), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x9000);
        assert!(!is_loaded(card, session));
        assert_eq!(sw(card, session, &last), 0x6985);
        assert_eq!(sw(card, session, &first), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x9000);
        assert_eq!(run(card, session, &last), (vec![0], 0x9000));
        assert!(is_loaded(card, session));
        assert_eq!(card.sw(&select(&APP)), 0x9000);
    });
}

/// A naive token: CMAC over header, length and the data up to the token's field, built by hand.
fn signed(p1: u8, ins: u8, key: &[u8; 16], before_token: &[u8], field: &[u8]) -> Vec<u8> {
    let input = [&[p1, 0x00, before_token.len() as u8][..], before_token].concat();
    let token = mac::cmac(&Aes::new(key).unwrap(), &[&input]);
    apdu([0x80, ins, p1, 0x00], &[before_token, field, &token].concat())
}

#[test]
fn published_token_inputs() {
    let file = vectors::load(include_str!("vectors/content_management.txt"));
    let v = file.block("kaoh-token-input-extradition");
    let fields = Fields {
        load_file: &v.bytes("in.target_sd"),
        instance: &v.bytes("in.application"),
        token: &[7; 8],
        ..Fields::default()
    };
    let mut out = [0; 64];
    let covered = before_token(0x10, 0, fields.write(&mut out).unwrap()).unwrap();
    let input = [&token::header(0x10, 0, covered, false)[..], covered].concat();
    assert_eq!(input, v.bytes("out.signature_input"));
    let v = file.block("kaoh-token-input-delete");
    let data = [&v.bytes("out.signature_input")[3..], &hex("9E0401020304")].concat();
    let names = Names::parse(&data).unwrap().unwrap();
    assert_eq!((names.token, names.aids().count()), (&[1, 2, 3, 4][..], 2));
    let input = [&token::header(0x00, 0x80, names.signed, false)[..], names.signed].concat();
    assert_eq!(input, v.bytes("out.signature_input"));
    let v = file.block("derived-token-load-aes");
    let command = v.bytes("out.command");
    let data = &command[5..command.len() - 1];
    let covered = before_token(0x02, 0, data).unwrap();
    let header = token::header(0x02, 0, covered, false);
    assert_eq!([&header[..], covered].concat(), v.bytes("out.token_input"));
    let made = token::symmetric(KeyType::Aes, &v.bytes("in.token_key"), &[&header, covered]).unwrap();
    assert_eq!(made[..], v.bytes("out.token"));
    assert_eq!(LoadFields::parse(data).unwrap().token, v.bytes("out.token"));
}

#[test]
fn delegated_management() {
    const TOKEN: [u8; 16] = [0x70; 16];
    const RECEIPT: [u8; 16] = [0x71; 16];
    issuer(|card, _| {
        new_domain(card, &BANK, DELEGATED);
        let lv = |value: &[u8]| [&[value.len() as u8][..], value].concat();
        let load_data = [lv(&ELF), lv(&[]), lv(&[]), lv(&[])].concat();
        let for_load = signed(0x02, 0xE6, &TOKEN, &load_data, &[16]);
        let mut session = enter(card, &BANK, &own());
        assert_eq!(sw(card, &mut session, &for_load), 0x6982, "the issuer has no key for tokens");
        let mut session = enter(card, &ISSUER, &test_keys());
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x70, 1, &[&TOKEN[..]], &TEST_KEY)), 0x9000);
        assert_eq!(sw(card, &mut session, &for_load), 0x6A80, "who needs no token takes none");
        let mut session = enter(card, &BANK, &own());
        assert_eq!(sw(card, &mut session, &super_load(&load_data)), 0x6985, "no token");
        let mut wrong = for_load.clone();
        let at = wrong.len() - 2;
        wrong[at] ^= 1;
        assert_eq!(sw(card, &mut session, &wrong), 0x6982);
        // Without a receipt key there is no receipt.
        assert_eq!(run(card, &mut session, &for_load), (vec![0], 0x9000));
        assert_eq!(load(card, &mut session, &load_file()), 0x9000);
        let mut session = enter(card, &ISSUER, &test_keys());
        assert_eq!(sw(card, &mut session, &put_keys(0, 0x71, 1, &[&RECEIPT[..]], &TEST_KEY)), 0x9000);
        let mut session = enter(card, &BANK, &own());
        let receipt = |counter: u8, names: &[&[u8]]| {
            let confirmation = [2, 0, counter, 0];
            let names: Vec<u8> = names.iter().flat_map(|name| lv(name)).collect();
            let receipt = mac::cmac(&Aes::new(&RECEIPT).unwrap(), &[&confirmation, &names]);
            [&[16][..], &receipt, &confirmation].concat()
        };
        let data = install_applet(&[0]);
        let install = signed(0x0C, 0xE6, &TOKEN, &data[..data.len() - 1], &[16]);
        assert_eq!(run(card, &mut session, &install), (receipt(1, &[&ELF, &APP]), 0x9000));
        let data = [lv(&ISSUER), lv(&[]), lv(&APP), lv(&[]), lv(&[])].concat();
        let extradite = signed(0x10, 0xE6, &TOKEN, &data, &[16]);
        assert_eq!(run(card, &mut session, &extradite), (receipt(2, &[&BANK, &APP, &ISSUER]), 0x9000));
        let remove = signed(0x00, 0xE4, &TOKEN, &[&[0x4F, 8][..], &APP].concat(), &[0x9E, 16]);
        assert_eq!(sw(card, &mut session, &remove), 0x6985, "not its own any more");
        let remove = signed(0x00, 0xE4, &TOKEN, &[&[0x4F, 7][..], &ELF].concat(), &[0x9E, 16]);
        assert_eq!(sw(card, &mut session, &remove), 0x6985, "still used");
        assert_eq!(sw(card, &mut session, &delete(&ELF, 0)), 0x6985, "no token");
        let mut issuer = enter(card, &ISSUER, &test_keys());
        assert_eq!(
            run(card, &mut issuer, &delete(&APP, 0)),
            (vec![0], 0x9000),
            "no receipt for its own authority"
        );
        let mut session = enter(card, &BANK, &own());
        assert_eq!(run(card, &mut session, &remove), (receipt(3, &[&ELF]), 0x9000));
        assert_eq!(card.sw(&select(&ISSUER)), 0x9000);
        assert_eq!(card.send(&hex("80CA00C200")), hex("C20200039000"));
    });
    // The counter at its end: nothing happens.
    let (mut memory, ()) = issuer(|card, _| {
        new_domain(card, &BANK, DELEGATED);
        let mut session = enter(card, &ISSUER, &test_keys());
        for version in [0x70, 0x71] {
            assert_eq!(sw(card, &mut session, &put_keys(0, version, 1, &[&TOKEN[..]], &TEST_KEY)), 0x9000);
        }
    });
    memory.objects.insert((0, 9), vec![0xFF, 0xFF]);
    with_domains(memory, |card| {
        let mut session = enter(card, &BANK, &own());
        let fields = install_toy(&TOY_AID, &[]);
        let data = &fields[5..fields.len() - 2];
        assert_eq!(sw(card, &mut session, &signed(0x0C, 0xE6, &TOKEN, data, &[16])), 0x6985);
        assert_eq!(card.sw(&select(&TOY_AID)), 0x6A82);
    });
}

fn super_load(before_token: &[u8]) -> Vec<u8> {
    apdu([0x80, 0xE6, 0x02, 0x00], &[before_token, &[0]].concat())
}

#[test]
fn tokens_by_rsa() {
    let file = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    for v in file.blocks() {
        issuer(|card, session| {
            let mut data = [0; 300];
            data[0] = 0x70;
            let end = put_rsa_field(&mut data, 1, &v.bytes("in.n"), &v.bytes("in.e")).unwrap();
            let (first, last) = data[..end].split_at(100);
            assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0x80, 0x01], first)), 0x9000);
            assert_eq!(sw(card, session, &apdu([0x80, 0xD8, 0x00, 0x01], last)), 0x9000);
            new_domain(card, &BANK, DELEGATED);
            let mut session = enter(card, &ISSUER, &test_keys());
            assert_eq!(sw(card, &mut session, &for_load(&BANK, &[], &[])), 0x9000);
            assert_eq!(load(card, &mut session, &load_file()), 0x9000);
            let mut session = enter(card, &BANK, &own());
            let token = v.bytes("out.delete_token");
            let mut data = [&[0x4F, 7][..], &ELF].concat();
            let long = token.len() > 128;
            if long {
                data.extend(hex("9E820100"));
            } else {
                data.extend(hex("9E8180"));
            }
            data.extend(&token);
            let mut wrong = data.clone();
            wrong[40] ^= 1;
            for (data, expected) in [(wrong, 0x6982), (data, 0x9000)] {
                let status = if long {
                    let (first, last) = data.split_at(200);
                    assert_eq!(sw(card, &mut session, &apdu([0x80, 0xE4, 0x80, 0], first)), 0x9000);
                    sw(card, &mut session, &apdu([0x80, 0xE4, 0x00, 0], last))
                } else {
                    sw(card, &mut session, &apdu([0x80, 0xE4, 0x00, 0], &data))
                };
                assert_eq!(status, expected, "{}", v.id());
            }
        });
    }
}

/// A load cut at every commit of every command: the file is there whole, or nothing of it is left after power-on.
#[test]
fn power_cuts_of_a_whole_load() {
    let (blank, ()) = issuer(|_, _| ());
    let mut out = [0; 64];
    let first = LoadFields { load_file: &ELF, ..LoadFields::default() };
    let first = combined(0x01, first.write(&mut out).unwrap());
    let last = combined(0x03, &install_applet(&[0]));
    let plain: Vec<_> = core::iter::once(for_load(&[], &[], &[])).chain(loads(&load_file(), 200)).collect();
    let sequence: Vec<_> = [first].into_iter().chain(loads(&load_file(), 200)).chain([last]).collect();
    for (name, commands) in [("load", plain), ("combined", sequence)] {
        let attempt = |cut: Option<usize>, done: bool| {
            let mut memory = blank.clone();
            memory.done_before_cut = done;
            with_domains(memory, |card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let memory = card.element.memory_mut();
                (memory.commits, memory.cut) = (0, cut);
                for command in &commands {
                    let mut wire = [0; 300];
                    let parsed = huiwan_apdu::Command::parse(command).unwrap();
                    let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
                    if card.sw(&sent) != 0x9000 {
                        return (false, card.element.memory().commits);
                    }
                }
                (true, card.element.memory().commits)
            })
        };
        let look = |memory: &MapMemory| {
            let mut memory = memory.clone();
            (memory.cut, memory.commits) = (None, 0);
            let (memory, seen) = with_domains(memory, |card| {
                let app = card.sw(&select(&APP));
                let mut session = enter(card, &ISSUER, &test_keys());
                (is_loaded(card, &mut session), app)
            });
            let kept: Vec<_> = memory.objects.keys().filter(|key| key.0 != 0).copied().collect();
            (seen, kept)
        };
        let (after, (complete, commits)) = attempt(None, false);
        assert!(complete && commits >= commands.len(), "{name}");
        let (before, after) = (look(&blank), look(&after));
        assert_ne!(before, after);
        for cut in 0..commits {
            for done in [false, true] {
                let (memory, (complete, _)) = attempt(Some(cut), done);
                let seen = look(&memory);
                assert!(seen == before || seen == after, "{name}, cut {cut} {done}: {seen:?}");
                assert!(!complete || seen == after, "{name}, cut {cut} {done}");
            }
        }
    }
}

/// Deleting a file with its application, cut at every commit.
#[test]
fn power_cuts_of_a_deletion() {
    let (prepared, ()) = issuer(|card, session| {
        assert_eq!(sw(card, session, &for_load(&[], &[], &[])), 0x9000);
        assert_eq!(load(card, session, &load_file()), 0x9000);
        assert_eq!(sw(card, session, &apdu([0x80, 0xE6, 0x0C, 0], &install_applet(&[0]))), 0x9000);
    });
    let mut both = 0;
    for cut in 0.. {
        for done in [false, true] {
            let mut memory = prepared.clone();
            (memory.commits, memory.done_before_cut) = (0, done);
            let (mut memory, commits) = with_domains(memory, |card| {
                let mut session = enter(card, &ISSUER, &test_keys());
                let memory = card.element.memory_mut();
                (memory.commits, memory.cut) = (0, Some(cut));
                let mut wire = [0; 300];
                let command = delete(&ELF, 0x80);
                let parsed = huiwan_apdu::Command::parse(&command).unwrap();
                let sent = session.wrap(&parsed, &mut wire).unwrap().to_vec();
                card.sw(&sent);
                card.element.memory().commits
            });
            memory.cut = None;
            let (_, seen) = with_domains(memory, |card| {
                let app = card.sw(&select(&APP));
                let mut session = enter(card, &ISSUER, &test_keys());
                (is_loaded(card, &mut session), app)
            });
            assert!(seen == (true, 0x9000) || seen == (false, 0x6A82), "cut {cut} {done}: {seen:?}");
            both |= 1 << u8::from(seen.0);
            if commits <= cut {
                assert_eq!((seen, both), ((false, 0x6A82), 3));
                return;
            }
        }
    }
}
