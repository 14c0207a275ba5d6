//! Whole qPBOC taps: `tap/qpboc/{online,offline}/…`.
//!
//! `both_sides` is terminal and card behind its dispatcher, with a map in place of flash; `terminal` is the terminal alone
//! against recorded answers; `cipher` is the raw cipher work both sides can't do without, by the RustCrypto crates;
//! `signature` is the card's private-key operation alone.
//!
//! `cargo bench -p huiwan-benches --bench tap`
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    dead_code
)]

#[path = "../crates/emv/tests/card/band.rs"]
mod band;

use std::hint::black_box;

use ::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use band::{Band, yuan};
use criterion::{Criterion, criterion_group, criterion_main};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, Uint};
use huiwan_apdu::Aid;
use huiwan_emv::certificates::{CaKey, CaKeys};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::certificates::fixtures;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::{
    COMMAND_MAX, Combination, Configuration, EntryPoint, Input, Memory, Step, Transaction, Verdict,
};
use huiwan_testkit::rng::Seeded;

struct TestAuthority;

impl CaKeys for TestAuthority {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        let key = CaKey { modulus: &fixtures::CA_MODULUS, exponent: &fixtures::EXPONENT };
        (*rid == fixtures::RID && index == fixtures::CA_INDEX).then_some(key)
    }
}

const COMBINATIONS: [Combination; 1] =
    [Combination::quick_pass(Aid::from_array(band::AID), Ttq([0x26, 0x00, 0x00, 0x80]))];

fn configuration() -> Configuration<'static> {
    let mut configuration = Configuration::default();
    configuration.combinations = &COMBINATIONS;
    configuration.keys = &TestAuthority;
    configuration
}

fn transaction(amount: Amount) -> Transaction {
    let mut transaction = Transaction::default();
    transaction.amount = amount;
    transaction.date = Date::new(2026, 11, 22).unwrap();
    transaction
}

/// One tap; `card` writes its answer where it is told.
fn tap(
    terminal: &mut EntryPoint<'_>,
    transaction: Transaction,
    number: u32,
    mut card: impl FnMut(&[u8], &mut Vec<u8>),
) -> Verdict {
    let (mut out, mut answer) = ([0; COMMAND_MAX], Vec::with_capacity(256));
    let mut step = terminal.step(Input::Start(transaction), &mut out).unwrap();
    loop {
        let input = match step {
            Step::Send(command) => {
                answer.clear();
                card(command, &mut answer);
                Input::Response(&answer)
            }
            Step::UnpredictableNumber => Input::UnpredictableNumber(number.to_be_bytes()),
            Step::Done(outcome) => return outcome.verdict,
        };
        step = terminal.step(input, &mut out).unwrap();
    }
}

fn exchange(band: &mut Band, command: &[u8], answer: &mut Vec<u8>) {
    let (data, sw) = band.send(command);
    answer.extend_from_slice(&data);
    answer.extend_from_slice(&sw.to_be_bytes());
}

/// The answers of one tap, for each of two unpredictable numbers.
fn recordings(amount: Amount) -> [Vec<Vec<u8>>; 2] {
    let configuration = configuration();
    [1, 2].map(|number| {
        let mut band = Band::with(&[]);
        let (mut data, mut static_data) = ([0; 1024], [0; 256]);
        let memory = Memory { data: &mut data, static_data: &mut static_data };
        let mut terminal = EntryPoint::new(&configuration, memory);
        let mut answers = Vec::new();
        tap(&mut terminal, transaction(amount), number, |command, answer| {
            exchange(&mut band, command, answer);
            answers.push(answer.clone());
        });
        answers
    })
}

fn sides(c: &mut Criterion, name: &str, amount: Amount, expected: Verdict) {
    let mut group = c.benchmark_group(format!("tap/qpboc/{name}"));
    let configuration = configuration();
    let (mut data, mut static_data) = ([0; 1024], [0; 256]);
    let mut terminal =
        EntryPoint::new(&configuration, Memory { data: &mut data, static_data: &mut static_data });
    let mut number = 2;
    let mut band = Band::with(&[]);
    group.bench_function("both_sides", |b| {
        b.iter(|| {
            number += 1;
            // The purse is filled and the counter set back, so that every tap is the same.
            band.element.memory_mut().set(0x9F79, &[0, 0, 0, 0x05, 0, 0]);
            band.element.memory_mut().set(0x9F36, &[0, 1]);
            band.power_on();
            let verdict = tap(&mut terminal, transaction(amount), number, |c, a| exchange(&mut band, c, a));
            assert_eq!(verdict, expected);
        });
    });
    let recordings = recordings(amount);
    group.bench_function("terminal", |b| {
        b.iter(|| {
            number = number % 2 + 1;
            let mut answers = recordings[number as usize - 1].iter();
            let verdict = tap(&mut terminal, transaction(amount), number, |_, answer| {
                answer.extend_from_slice(answers.next().unwrap());
            });
            assert_eq!(verdict, expected);
        });
    });
    group.finish();
}

/// Session keys of cryptogram and MAC key, the cryptogram over 37 bytes and the MAC over the reported balance.
fn cryptogram_cipher(key: &[u8; 16]) -> Array<u8, cipher::consts::U8> {
    let mut block = Array([0; 8]);
    for (singles, triples) in [(4, 1), (1, 1)] {
        let card = ::des::TdesEde2::new(&Array(*black_box(key)));
        card.encrypt_block(&mut block);
        card.encrypt_block(&mut block);
        let session = ::des::TdesEde2::new(&Array(*black_box(key)));
        let left = ::des::Des::new(&Array(*key.first_chunk().unwrap()));
        (0..singles).for_each(|_| left.encrypt_block(&mut block));
        (0..triples).for_each(|_| session.encrypt_block(&mut block));
    }
    block
}

fn power_of_three<const LIMBS: usize>(modulus: &[u8]) -> Uint<LIMBS> {
    let modulus = Uint::<LIMBS>::from_be_slice(modulus);
    let params = FixedMontyParams::new_vartime(Odd::new(black_box(modulus)).unwrap());
    FixedMontyForm::new(&modulus.shr_vartime(1), &params).pow_vartime(&Uint::<1>::from(3u8)).retrieve()
}

fn online(c: &mut Criterion) {
    sides(c, "online", yuan(400), Verdict::OnlineRequest);
    c.bench_function("tap/qpboc/online/cipher", |b| b.iter(|| cryptogram_cipher(&[0x11; 16])));
}

fn offline(c: &mut Criterion) {
    sides(c, "offline", yuan(25), Verdict::Approved);
    c.bench_function("tap/qpboc/offline/cipher", |b| {
        b.iter(|| {
            let authority = power_of_three::<31>(&fixtures::CA_MODULUS);
            let issuer = power_of_three::<18>(&fixtures::ISSUER_MODULUS);
            (authority, issuer, power_of_three::<16>(&fixtures::ICC_MODULUS), cryptogram_cipher(&[0x11; 16]))
        });
    });
    let (key, mut random) = (fixtures::icc_key().unwrap(), Seeded::new(1));
    let message = [0x2A; 128];
    c.bench_function("tap/qpboc/offline/signature", |b| {
        b.iter(|| key.sign_raw(black_box(&message), &mut random, &mut [0; 256]).map(|s| s[0]));
    });
}

criterion_group!(benches, online, offline);
criterion_main!(benches);
