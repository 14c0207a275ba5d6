//! SCP03 beside what it could cost: `…/floor` is the AES work alone, keys expanded and every block handed over at once.
//!
//! `cargo bench -p huiwan-benches --bench gp`
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use huiwan_apdu::{Command, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::{Aes, BlockKey, mac};
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Level, Options, SessionKeys, StaticKeys, cryptogram};

const HOST_CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const CARD_CHALLENGE: [u8; 8] = [8, 7, 6, 5, 4, 3, 2, 1];
const DATA: [u8; 200] = [0x5A; 200];

fn keys() -> StaticKeys {
    StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap()
}

fn initialize(keys: &StaticKeys) -> (Session, Answer) {
    let mut card = Session::none();
    let answer = card
        .initialize_update(keys, 0x30, [0; 10], Options::I70, &HOST_CHALLENGE, CARD_CHALLENGE, Counter::ZERO)
        .unwrap();
    (card, answer)
}

fn pair(level: Level) -> (Open, Session) {
    let (mut card, answer) = initialize(&keys());
    let host = AwaitCard::new(HOST_CHALLENGE).verify_card(0x80, &answer, &keys(), level).unwrap();
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    (host.accepted(Sw::OK).unwrap(), card)
}

fn derive(c: &mut Criterion) {
    let mut group = c.benchmark_group("gp/scp03_derive");
    let keys = keys();
    group.bench_function("keys_and_cryptogram", |b| {
        b.iter(|| {
            let session = SessionKeys::derive(&keys, black_box(&HOST_CHALLENGE), &CARD_CHALLENGE).unwrap();
            cryptogram::card(&session, &HOST_CHALLENGE, &CARD_CHALLENGE).unwrap()
        });
    });
    // Four derivations of two blocks each and three key expansions.
    group.bench_function("floor", |b| {
        let key = Aes::new(&TEST_KEY).unwrap();
        b.iter(|| {
            let mut blocks = black_box([0_u8; 64]);
            key.encrypt_ecb(&mut blocks).unwrap();
            key.encrypt_ecb(&mut blocks).unwrap();
            let keys = blocks.first_chunk::<48>().unwrap().as_chunks::<16>().0.iter();
            keys.map(|key| Aes::new(key).unwrap()).fold(0, |n, key| n + key.key_len())
        });
    });
    group.finish();
}

fn wrap(c: &mut Criterion) {
    let mut group = c.benchmark_group("gp/scp03_wrap/200");
    for (name, level) in [("c_mac", Level::CMac), ("c_mac_c_enc", Level::CMacCEnc)] {
        let (mut host, _) = pair(level);
        let command = Command::new(0x80, 0xE2, 0, 0).with_data(&DATA);
        let mut wire = [0; 256];
        group.bench_function(name, |b| {
            b.iter(|| host.wrap(black_box(&command), &mut wire).unwrap().len());
        });
    }
    floors(&mut group);
    group.finish();
}

fn unwrap(c: &mut Criterion) {
    let mut group = c.benchmark_group("gp/scp03_unwrap/200");
    let (mut host, mut card) = pair(Level::All);
    let mut wire = [0; 256];
    let sent = host.wrap(&Command::new(0x80, 0xCA, 0, 0), &mut wire).unwrap().to_vec();
    card.unwrap(&Command::parse(&sent).unwrap(), &mut [0; 256]).unwrap();
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    reply.push(&DATA).unwrap();
    card.wrap(&mut reply, Sw::OK).unwrap();
    let response = [reply.as_slice(), &[0x90, 0x00]].concat();
    // One command, one response: the session is put back to where the response is due.
    group.bench_function("host_r_mac_r_enc", |b| {
        b.iter_batched(
            || {
                let (mut host, _) = pair(Level::All);
                host.wrap(&Command::new(0x80, 0xCA, 0, 0), &mut [0; 256]).unwrap();
                host
            },
            |mut host| host.unwrap(black_box(&response), &mut [0; 256]).unwrap().data().len(),
            BatchSize::SmallInput,
        );
    });
    let (mut host, card) = pair(Level::CMacCEnc);
    let sent = host.wrap(&Command::new(0x80, 0xE2, 0, 0).with_data(&DATA), &mut wire).unwrap().to_vec();
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    // The card's session is bytes: keys are expanded for every command.
    group.bench_function("card_c_mac_c_enc", |b| {
        b.iter(|| {
            let mut card = Session::load(black_box(&slot));
            card.unwrap(&Command::parse(&sent).unwrap(), &mut [0; 256]).unwrap().data().len()
        });
    });
    let (enc, authentic) = (Aes::new(&TEST_KEY).unwrap(), Aes::new(&TEST_KEY).unwrap());
    group.bench_function("floor_cmac_and_cbc", |b| {
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            let mac = mac::cmac(&authentic, &[&data]);
            enc.decrypt_cbc(&[0; 16], &mut data).unwrap();
            (mac, data)
        });
    });
    group.finish();
}

fn floors(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let (enc, authentic) = (Aes::new(&TEST_KEY).unwrap(), Aes::new(&TEST_KEY).unwrap());
    group.bench_function("floor_cbc_then_cmac", |b| {
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            enc.encrypt_cbc(&[0; 16], &mut data).unwrap();
            mac::cmac(&authentic, &[&data])
        });
    });
    group.bench_function("floor_fused", |b| {
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            mac::encrypt_then_cmac(&enc, &[0; 16], &authentic, &[], &mut data, &[]).unwrap()
        });
    });
}

fn open_session(c: &mut Criterion) {
    let mut group = c.benchmark_group("gp/open_session");
    let keys = keys();
    let (_, answer) = initialize(&keys);
    group.bench_function("host", |b| {
        b.iter(|| {
            let card = AwaitCard::new(black_box(HOST_CHALLENGE));
            card.verify_card(0x80, &answer, &keys, Level::All).unwrap().accepted(Sw::OK).unwrap()
        });
    });
    let verified = AwaitCard::new(HOST_CHALLENGE).verify_card(0x80, &answer, &keys, Level::All).unwrap();
    group.bench_function("card", |b| {
        b.iter(|| {
            let (mut card, _) = initialize(black_box(&keys));
            card.external_authenticate(&Command::parse(verified.command()).unwrap()).unwrap();
            card
        });
    });
    // Five derivations and a MAC: 12 blocks, and three key expansions.
    group.bench_function("floor", |b| {
        let key = Aes::new(&TEST_KEY).unwrap();
        b.iter(|| {
            let mut blocks = black_box([0_u8; 96]);
            key.encrypt_ecb(&mut blocks).unwrap();
            key.encrypt_ecb(&mut blocks).unwrap();
            let keys = blocks.first_chunk::<48>().unwrap().as_chunks::<16>().0.iter();
            keys.map(|key| Aes::new(key).unwrap()).fold(0, |n, key| n + key.key_len())
        });
    });
    group.finish();
}

criterion_group!(benches, derive, wrap, unwrap, open_session);
criterion_main!(benches);
