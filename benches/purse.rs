//! The purse: one purchase on each side, a whole metro tap, TAC verification and a load at the server, beside the raw DES
//! work in them; and the parsing of logs and settlement files, beside a copy of their bytes.
//!
//! `…/card` is the card behind its element with a memory in RAM, `…/journal` the same over a journal in RAM flash;
//! `…/terminal` replays the card's answers, software PSAM included; `…/both` is everything. `…/floor` is the DES key
//! schedules and blocks alone, with the RustCrypto crate.
//!
//! `cargo bench -p huiwan-benches --bench purse`
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

#[path = "../crates/purse/tests/world/mod.rs"]
mod world;

use std::hint::black_box;

use ::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use des::{Des, TdesEde2};
use huiwan_card::{Journal, Memory, RamFlash};
use huiwan_crypto::{International, Suite};
use huiwan_purse::host::LoadKeys;
use huiwan_purse::host::online::{Input, OnlineSession, Outcome as Booked, Step};
use huiwan_purse::host::settlement::{Record, Records, verdict_len};
use huiwan_purse::keys;
use huiwan_purse::mac::{Message, PurchaseMac1, PurchaseMac2, PurchaseTac};
use huiwan_purse::profile::Profile;
use huiwan_purse::terminal::drive::{self, Transport};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{LoadApproval, LoadRequest, Outcome, Policy, Service, Tap, TopUp, TopUpOutcome};
use huiwan_purse::transit::log::LogRecord;
use huiwan_purse::tti::Tti;
use world::{Band, DEVICE, ENTRY, FULL_PURSE, Notes, RamMemory, STAMP, TERMINAL};

type Flash = RamFlash<{ 64 * 1024 }>;
type Memories = Journal<Flash, 128>;

/// A card's answers again.
struct Replay<'a> {
    trace: &'a [(Vec<u8>, Vec<u8>)],
    at: usize,
}

impl Transport for Replay<'_> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        let (expected, answer) = self.trace.get(self.at)?;
        self.at += 1;
        assert_eq!(command, expected);
        Some(answer)
    }
}

/// A card without tears.
struct Near<'a, M: Memory>(&'a mut Band<M>, Vec<u8>);

impl<M: Memory> Transport for Near<'_, M> {
    fn exchange(&mut self, command: &[u8]) -> Option<&[u8]> {
        self.1 = self.0.send(command);
        Some(&self.1)
    }
}

fn tap<V: Service>(card: &mut dyn Transport, service: &V) -> Outcome {
    let policy = Policy { card_type: true, ..Policy::default() };
    let mut tap = Tap::new(DEVICE, &policy, service, STAMP);
    let mut sam = world::sam(1);
    drive::tap(&mut tap, card, &mut sam, &mut Notes::default()).unwrap()
}

struct Cards {
    modules: &'static [&'static dyn huiwan_card::Module],
    entries: &'static [huiwan_card::Entry],
    ram: RamMemory,
    flash: Flash,
}

impl Cards {
    fn new() -> Self {
        let modules = world::modules(Profile::JTT_978);
        let entries: &'static [_] = Box::leak(Box::new(world::entries()));
        let mut band = Band::blank(RamMemory::default(), modules, entries);
        band.issue(FULL_PURSE);
        let ram = band.remove();
        let journal = Memories::format(Flash::erased()).unwrap();
        let mut band = Band::blank(journal, modules, entries);
        band.issue(FULL_PURSE);
        let flash = band.remove().into_flash();
        Self { modules, entries, ram, flash }
    }

    fn ram(&self) -> Band<RamMemory> {
        self.quiet(self.ram.clone())
    }

    fn journal(&self) -> Band<Memories> {
        self.quiet(Memories::mount(self.flash.clone()).unwrap())
    }

    fn quiet<M: Memory>(&self, memory: M) -> Band<M> {
        let mut band = Band::blank(memory, self.modules, self.entries);
        band.tracing = false;
        band
    }

    /// The commands and answers of one tap.
    fn trace<V: Service>(&self, service: &V) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut band = self.ram();
        band.tracing = true;
        let outcome = tap(&mut Near(&mut band, Vec::new()), service);
        assert!(matches!(outcome, Outcome::Paid(_)), "{outcome:?}");
        band.trace
    }
}

/// What the card does for a trace.
fn replay<M: Memory>(mut band: Band<M>, trace: &[(Vec<u8>, Vec<u8>)]) -> Band<M> {
    for (command, _) in trace {
        black_box(band.send(command));
    }
    band
}

fn taps(c: &mut Criterion) {
    let cards = Cards::new();
    fn one<V: Service>(c: &mut Criterion, cards: &Cards, name: &str, service: &V) {
        let trace = cards.trace(service);
        let mut group = c.benchmark_group(format!("purse/{name}"));
        group.bench_function("card", |b| {
            b.iter_batched(|| cards.ram(), |band| replay(band, &trace), BatchSize::SmallInput);
        });
        group.bench_function("journal", |b| {
            b.iter_batched(|| cards.journal(), |band| replay(band, &trace), BatchSize::LargeInput);
        });
        group.bench_function("terminal", |b| {
            b.iter(|| tap(&mut Replay { trace: black_box(&trace), at: 0 }, service));
        });
        group.bench_function("both", |b| {
            b.iter_batched(
                || cards.ram(),
                |mut band| {
                    let outcome = tap(&mut Near(&mut band, Vec::new()), service);
                    assert!(matches!(outcome, Outcome::Paid(_)));
                    band
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
    one(c, &cards, "purchase", &Purchase { amount: 100 });
    one(c, &cards, "metro_tap", &ENTRY);
}

fn blocks(key: &Des, n: usize) -> Array<u8, cipher::consts::U8> {
    let mut block = Array([0x5A; 8]);
    for _ in 0..n {
        key.encrypt_block(&mut block);
    }
    block
}

fn macs(c: &mut Criterion) {
    type Key = <International as Suite>::Key;
    let [dpk, dtk] = [0, 2].map(|n| world::card_keys()[n].value.clone());
    let (amount, tti, terminal, stamp) = (100, Tti::EP_PURCHASE, TERMINAL, STAMP);
    let mut group = c.benchmark_group("purse/mac");
    // Session key, MAC1, MAC2 and TAC, as the card computes them in one debit: a 3DES and two DES keys, 1 + 3 + 1 + 3 blocks.
    group.bench_function("debit", |b| {
        b.iter(|| {
            let dpk = keys::open::<Key>(1, black_box(&dpk)).unwrap();
            let session = keys::purchase_session(&dpk, [1, 2, 3, 4], 7, 9).unwrap();
            let mac1 = PurchaseMac1 { amount, tti, terminal, stamp }.mac(&session).unwrap();
            let mac2 = PurchaseMac2 { amount }.mac(&session).unwrap();
            let key = keys::tac_key::<Key>(&Profile::JTT_978, 1, black_box(&dtk)).unwrap();
            let tac = PurchaseTac { amount, tti, terminal, terminal_seq: 9, stamp }.mac(&key).unwrap();
            (mac1, mac2, tac)
        });
    });
    group.bench_function("debit/floor", |b| {
        b.iter(|| {
            let dpk = TdesEde2::new(&Array(*black_box(dpk.expose())));
            let mut session = Array([1; 8]);
            dpk.encrypt_block(&mut session);
            let session = Des::new(&session);
            let tac = Des::new(&Array(*black_box(dtk.expose()).first_chunk().unwrap()));
            (blocks(&session, 3), blocks(&session, 1), blocks(&tac, 3))
        });
    });
    group.finish();
}

fn tac_verify(c: &mut Criterion) {
    const RECORDS: usize = 1024;
    let cards = Cards::new();
    let mut band = cards.ram();
    let Outcome::Paid(receipt) = tap(&mut Near(&mut band, Vec::new()), &Purchase { amount: 100 }) else {
        panic!()
    };
    let record = Record::from_receipt(&receipt).unwrap();
    // As many cards of the issuer; their TACs are made here.
    let [_, _, dtk, _] = world::masters();
    let records: Vec<Record> = (0..RECORDS as u32)
        .map(|n| {
            let mut record = record;
            record.transaction.card.serial[6..].copy_from_slice(&n.to_be_bytes());
            record.transaction.terminal_seq = n;
            let card = &record.transaction.card;
            type Key = <International as Suite>::Key;
            let value = keys::derive::<Key>(1, &dtk.value, card, Profile::JTT_978.path).unwrap();
            let key: Key = keys::tac_key(&Profile::JTT_978, 1, &value).unwrap();
            record.tac = record.transaction.tac(&key).unwrap();
            record
        })
        .collect();
    let mut keys = world::load_keys();
    let mut group = c.benchmark_group("purse/tac_verify");
    group.throughput(Throughput::Elements(1));
    group.bench_function("single", |b| {
        let mut next = records.iter().cycle();
        b.iter(|| {
            let record = next.next().unwrap();
            keys.verify_tac(&record.transaction, &record.tac).unwrap();
        });
    });
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("batch", |b| {
        let mut verdicts = [0; verdict_len(RECORDS)];
        b.iter(|| {
            keys.verify_tacs(black_box(&records), &mut verdicts);
            assert!(verdicts.iter().all(|byte| *byte == 0xFF));
        });
    });
    // For each record one level of diversification (the issuer's level is shared), the folded key and three blocks.
    group.throughput(Throughput::Elements(1));
    group.bench_function("floor", |b| {
        let parent = TdesEde2::new(&Array(*dtk.value.expose()));
        b.iter(|| {
            let (mut left, mut right) = (Array([0x11; 8]), Array([0xEE; 8]));
            parent.encrypt_block(black_box(&mut left));
            parent.encrypt_block(black_box(&mut right));
            left.iter_mut().zip(&right).for_each(|(left, right)| *left ^= right);
            blocks(&Des::new(&left), 3)
        });
    });
    group.finish();
}

/// A load at the server: MAC1 verified and MAC2 made, then the TAC verified.
fn load(c: &mut Criterion) {
    let mut band = world::issued();
    let (mut keys, mut seen) = (world::load_keys(), None);
    let mut host = |request: &LoadRequest| {
        seen = Some(*request);
        keys.approve_load(request, STAMP).ok().map(|mac2| LoadApproval { stamp: STAMP, mac2 })
    };
    let mut engine = TopUp::new(DEVICE, 5000);
    let loaded = drive::top_up(&mut engine, &mut band, &mut host, &mut |_| ()).unwrap();
    let (Some(request), TopUpOutcome::Loaded { tac, .. }) = (seen, loaded) else { panic!("{loaded:?}") };
    let mut group = c.benchmark_group("purse/load");
    group.bench_function("server", |b| {
        let mut next = |session: &mut OnlineSession, input| match session.step(input).unwrap() {
            Step::Key(question) => session.step(Input::Key(question.answer(&mut keys))).unwrap(),
            step => step,
        };
        b.iter(|| {
            let mut session = OnlineSession::new();
            let approved = next(&mut session, Input::Request(black_box(request).into(), STAMP));
            assert!(matches!(approved, Step::Approved(_)));
            let kept = session.to_bytes();
            let done = next(&mut session, Input::Confirm(black_box(tac)));
            assert!(matches!(done, Step::Done(Booked::Completed(_))));
            kept
        });
    });
    // DLK and DTK by one level each (the issuer's level is shared), then session key, MAC1, MAC2 and the TAC: 4 + 1 triple
    // blocks, 2 + 3 + 4 single ones.
    group.bench_function("server/floor", |b| {
        let parent = TdesEde2::new(&Array([0x42; 16]));
        b.iter(|| {
            let derive = || {
                let (mut left, mut right) = (Array([0x11; 8]), Array([0xEE; 8]));
                parent.encrypt_block(black_box(&mut left));
                parent.encrypt_block(black_box(&mut right));
                (left, right)
            };
            let (left, right) = derive();
            let mut key = Array([0; 16]);
            key[..8].copy_from_slice(&left);
            key[8..].copy_from_slice(&right);
            let mut session = Array([1; 8]);
            TdesEde2::new(&key).encrypt_block(&mut session);
            let session = Des::new(&session);
            let (mut left, right) = derive();
            left.iter_mut().zip(&right).for_each(|(left, right)| *left ^= right);
            (blocks(&session, 2), blocks(&session, 3), blocks(&Des::new(&left), 4))
        });
    });
    group.finish();
}

fn parsing(c: &mut Criterion) {
    const RECORDS: usize = 1024;
    let cards = Cards::new();
    let mut band = cards.ram();
    let Outcome::Paid(receipt) = tap(&mut Near(&mut band, Vec::new()), &Purchase { amount: 100 }) else {
        panic!()
    };
    let log = band.ok("00B201C417");
    let file: Vec<u8> = (0..RECORDS as u32)
        .flat_map(|n| {
            let mut record = Record::from_receipt(&receipt).unwrap();
            record.transaction.terminal_seq = n;
            record.to_bytes()
        })
        .collect();
    let mut group = c.benchmark_group("purse/parse");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function("log", |b| {
        b.iter(|| {
            let record = LogRecord::parse(black_box(&log)).unwrap();
            (record.seq(), record.amount(), record.tti(), record.stamp())
        });
    });
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("settlement", |b| {
        let mut records = Vec::with_capacity(RECORDS);
        b.iter(|| {
            records.clear();
            records.extend(Records::new(black_box(&file)).map(Result::unwrap));
            assert_eq!(records.len(), RECORDS);
        });
    });
    group.bench_function("settlement/floor", |b| {
        let mut copy = Vec::with_capacity(file.len());
        b.iter(|| {
            copy.clear();
            copy.extend_from_slice(black_box(&file));
            black_box(copy.last().copied())
        });
    });
    group.finish();
}

criterion_group!(benches, taps, macs, tac_verify, load, parsing);
criterion_main!(benches);
