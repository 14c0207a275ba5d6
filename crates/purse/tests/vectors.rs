//! The published vectors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

use huiwan_crypto::{Algorithm, International, Suite, SuiteKey};
use huiwan_purse::date::Stamp;
use huiwan_purse::keys;
use huiwan_purse::mac::{LoadMac1, LoadMac2, Message, PurchaseMac1, PurchaseMac2};
use huiwan_purse::secure_messaging::{self, Padding};
use huiwan_purse::tti::Tti;
use huiwan_testkit::vectors::{self, Block};

type Key = <International as Suite>::Key;

const FILE: &str = include_str!("vectors/purse.txt");

fn u32_of(block: &Block<'_>, key: &str) -> u32 {
    u32::from_be_bytes(block.array(key))
}

fn u16_of(block: &Block<'_>, key: &str) -> u16 {
    u16::from_be_bytes(block.array(key))
}

fn stamp(block: &Block<'_>) -> Stamp {
    Stamp { date: block.array("in.date"), time: block.array("in.time") }
}

fn tti(block: &Block<'_>) -> Tti {
    let [tti] = block.array("in.tti");
    Tti(tti)
}

fn key(block: &Block<'_>) -> Key {
    Key::new(Algorithm::Tdes, &block.bytes("in.key")).unwrap()
}

/// The session key's bytes show only in what it encrypts: one block of zeros under both.
fn assert_is_session_key(session: &Key, expected: [u8; 8]) {
    let expected = Key::new(Algorithm::Des, &expected).unwrap();
    let zeros = Stamp { date: [0; 4], time: [0; 3] };
    let message = PurchaseMac1 { amount: 0, tti: Tti(0), terminal: [0; 6], stamp: zeros };
    assert_eq!(message.mac(session).unwrap(), message.mac(&expected).unwrap());
    use huiwan_crypto::BlockKey;
    assert_eq!(session.kcv(), expected.kcv());
}

fn load_session() -> Key {
    let file = vectors::load(FILE);
    let block = file.block("load-session-key");
    keys::load_session(&key(block), block.array("in.random"), u16_of(block, "in.online_seq")).unwrap()
}

fn purchase_session() -> Key {
    let file = vectors::load(FILE);
    let block = file.block("purchase-session-key");
    let random = block.array("in.random");
    let (offline_seq, terminal_seq) = (u16_of(block, "in.offline_seq"), u32_of(block, "in.terminal_seq"));
    keys::purchase_session(&key(block), random, offline_seq, terminal_seq).unwrap()
}

#[test]
fn load_session_key_is_the_published_one() {
    let file = vectors::load(FILE);
    assert_is_session_key(&load_session(), file.block("load-session-key").array("out.seslk"));
}

#[test]
fn load_mac1_is_the_published_one() {
    let file = vectors::load(FILE);
    let block = file.block("load-mac1");
    let message = LoadMac1 {
        balance: u32_of(block, "in.balance"),
        amount: u32_of(block, "in.amount"),
        tti: tti(block),
        terminal: block.array("in.terminal"),
    };
    assert_eq!(message.mac(&load_session()).unwrap(), block.array("out.mac1"));
}

#[test]
fn load_mac2_is_the_published_one() {
    let file = vectors::load(FILE);
    let block = file.block("load-mac2");
    let message = LoadMac2 {
        amount: u32_of(block, "in.amount"),
        tti: tti(block),
        terminal: block.array("in.terminal"),
        stamp: stamp(block),
    };
    assert_eq!(message.mac(&load_session()).unwrap(), block.array("out.mac2"));
}

#[test]
fn purchase_session_key_is_the_published_one() {
    let file = vectors::load(FILE);
    assert_is_session_key(&purchase_session(), file.block("purchase-session-key").array("out.sespk"));
}

#[test]
fn purchase_mac1_is_the_published_one() {
    let file = vectors::load(FILE);
    let block = file.block("purchase-mac1");
    let message = PurchaseMac1 {
        amount: u32_of(block, "in.amount"),
        tti: tti(block),
        terminal: block.array("in.terminal"),
        stamp: stamp(block),
    };
    assert_eq!(message.mac(&purchase_session()).unwrap(), block.array("out.mac1"));
}

#[test]
fn purchase_mac2_is_the_published_one() {
    let file = vectors::load(FILE);
    let block = file.block("purchase-mac2");
    let message = PurchaseMac2 { amount: u32_of(block, "in.amount") };
    assert_eq!(message.mac(&purchase_session()).unwrap(), block.array("out.mac2"));
}

/// The only published secured command: encryption, padding and MAC of WRITE KEY.
#[test]
fn write_key() {
    let file = vectors::load(FILE);
    let block = file.block("write-key");
    let (key, mut sealed, mut out) = (key(block), [0; 32], [0; 32]);
    let sealed =
        secure_messaging::seal(&key, Padding::IfNeeded, &block.bytes("in.data"), &mut sealed).unwrap();
    assert_eq!(sealed, block.bytes("out.sealed"));
    let protected = secure_messaging::protect(
        &key,
        &block.bytes("in.challenge"),
        block.array("in.header"),
        sealed,
        &mut out,
    );
    assert_eq!(protected.unwrap(), [block.bytes("out.sealed"), block.bytes("out.mac")].concat());
}
