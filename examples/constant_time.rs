//! What a card does with a protected command that is wrong, for `.ci/constant_time` to count the instructions of.
//!
//! A padding oracle lives on a card that tells wrong padding from a wrong MAC. Here are commands with every kind of padding, right and
//! wrong, and MACs that are wrong or almost right; each goes once through [`probe`], from volatile slot to volatile slot, and the name of the case
//! is printed. All cases of one group must answer the same and execute the same number of instructions:
//! `valgrind --tool=callgrind --toggle-collect='*probe*' --dump-after='*probe*'` writes one count for each line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;

use huiwan_apdu::{Command, Sw};
use huiwan_card::SecureChannel;
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::scp02::{Sequence, session_keys};
use huiwan_gp::scp03::c_enc;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};

type Slot = [u8; SESSION_LEN];

const HOST_CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];

/// The card's part of one command; its instructions are counted.
#[inline(never)]
fn probe(slot: &mut Slot, command: &Command<'_>, out: &mut [u8]) -> Result<usize, Sw> {
    let mut session = Session::load(slot);
    let result = session.unwrap(command, out).map(|plain| plain.data().len());
    session.store(slot);
    result
}

/// A card's SCP02 session as its slot has it, its S-ENC, and the host's end.
fn scp02_session(options: scp02::Options) -> (Slot, Tdes, Open) {
    let keys = scp02::StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    let mut card = Session::none();
    let (random, sequence) = ([6, 5, 4, 3, 2, 1], Sequence::ZERO);
    let answer = card
        .initialize_update_scp02(&keys, 0x20, [0; 10], options, &HOST_CHALLENGE, random, sequence, &AID)
        .unwrap();
    let host = AwaitCard::new(HOST_CHALLENGE).with_scp02(options);
    let host = host.verify_card(0x80, &answer, &keys, Level::CMacCEnc).unwrap();
    let s_enc = session_keys::derive_key(keys.enc(), session_keys::S_ENC, sequence).unwrap();
    (opened(card, host.command()), Tdes::new2(&s_enc), host.presumed())
}

/// The same of SCP03.
fn scp03_session(options: scp03::Options) -> (Slot, Aes, Open) {
    let keys = scp03::StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    let mut card = Session::none();
    let (challenge, counter) = ([8, 7, 6, 5, 4, 3, 2, 1], Counter::ZERO);
    let answer =
        card.initialize_update(&keys, 0x30, [0; 10], options, &HOST_CHALLENGE, challenge, counter).unwrap();
    let host = AwaitCard::new(HOST_CHALLENGE).verify_card(0x80, &answer, &keys, Level::CMacCEnc).unwrap();
    let mut raw = [0; scp03::session_keys::RAW_LEN];
    scp03::session_keys::derive_raw(&keys, &HOST_CHALLENGE, &challenge, &mut raw).unwrap();
    (opened(card, host.command()), Aes::new(&raw[..16]).unwrap(), host.presumed())
}

fn opened(mut card: Session, external_authenticate: &[u8]) -> Slot {
    card.external_authenticate(&Command::parse(external_authenticate).unwrap()).unwrap();
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    slot
}

/// Data of `len` bytes whose last block ends in every way there is.
fn data(len: usize, block: usize) -> Vec<(String, Vec<u8>)> {
    let filled = vec![0x5A; len];
    let mut data = vec![("no padding".into(), filled.clone())];
    for at in 1..=block {
        for (name, mark) in [("80", 0x80), ("00", 0x00), ("81", 0x81)] {
            let mut bytes = filled.clone();
            bytes[len - at..].fill(0);
            bytes[len - at] = mark;
            data.push((format!("padding {name} and {} zeros", at - 1), bytes));
        }
    }
    data
}

/// Runs a group: commands with all of `data`, encrypted by `encrypt`, and a MAC that is none; and a genuine one with MACs that are almost
/// right.
fn group(name: &str, len: usize, block: usize, slot: &Slot, host: &mut Open, encrypt: impl Fn(&mut [u8])) {
    let mut cases = Vec::new();
    for (case, mut wire) in data(len, block) {
        encrypt(&mut wire);
        cases.push((format!("{case}, MAC of zeros"), [&wire[..], &[0; 8]].concat()));
        cases.push((format!("{case}, MAC of ones"), [&wire[..], &[0xFF; 8]].concat()));
    }
    let (plain, mut out) = (vec![0x5A; len - 1], [0; 256]);
    let genuine = host.wrap(&Command::new(0x80, 0xE2, 0x00, 0x00).with_data(&plain), &mut out).unwrap();
    let genuine = Command::parse(genuine).unwrap().data().to_vec();
    for at in 0..8 {
        let mut wire = genuine.clone();
        wire[len + at] ^= 0x01;
        cases.push((format!("genuine but for byte {at} of the MAC"), wire));
    }
    for (case, wire) in cases {
        let command = Command::new(0x84, 0xE2, 0x00, 0x00).with_data(&wire);
        let (mut slot, mut out) = (*slot, [0; 256]);
        let result = probe(black_box(&mut slot), black_box(&command), &mut out);
        assert_eq!(result, Err(Sw::SECURITY_STATUS), "{name}: {case}");
        println!("{name}\t{case}");
    }
    let command = Command::new(0x84, 0xE2, 0x00, 0x00).with_data(&genuine);
    let taken = Session::load(slot).unwrap(&command, &mut [0; 256]).map(|plain| plain.data().len());
    assert_eq!(taken, Ok(len - 1), "{name}");
}

fn main() {
    for options in [scp02::Options::I05, scp02::Options::I15, scp02::Options::I75] {
        for len in [8, 16, 24, 208] {
            let (slot, s_enc, mut host) = scp02_session(options);
            let name = format!("SCP02 i = {:02X}, {len} bytes", options.byte());
            group(&name, len, 8, &slot, &mut host, |data| s_enc.encrypt_cbc(&[0; 8], data).unwrap());
        }
    }
    for options in [scp03::Options::I00, scp03::Options::I70] {
        for len in [16, 32, 208] {
            let (slot, s_enc, mut host) = scp03_session(options);
            let icv = c_enc::icv(&s_enc, 1);
            let name = format!("SCP03 i = {:02X}, {len} bytes", options.byte());
            group(&name, len, 16, &slot, &mut host, |data| s_enc.encrypt_cbc(&icv, data).unwrap());
        }
    }
}
