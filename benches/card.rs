//! `card/…`: the journal beside a raw copy of the same bytes, and commands through the dispatcher.
//!
//! The floor of a commit programs as many bytes into the same flash in one operation, without frame, CRC, index or atomicity. The
//! floor of a mount reads the log once.
use core::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{
    Action, Batch, Context, Element, Entry, Environment, InstanceId, Interface, Journal, Memory, Module,
    ModuleId, ObjectId, RamFlash, ResponseWriter, StaticDirectory,
};
use huiwan_testkit::rng::Seeded;

type Flash = RamFlash<131_072>;
type Memories = Journal<Flash, 128>;

/// A purse transaction as it is committed: balance and counters, a log record, a transit record, a proof.
fn write(batch: &mut Batch<'_>, size: usize) {
    const BYTES: [u8; 512] = [0x5A; 512];
    let object = |id| ObjectId::new(InstanceId(1), id);
    match size {
        4 => batch.put(object(1), &BYTES[..4]),
        _ => {
            batch.put(object(1), &BYTES[..16]);
            batch.put(object(2), &BYTES[..23]);
            batch.put(object(3), &BYTES[..size - 16 - 23 - 9]);
            batch.put(object(4), &BYTES[..9]);
        }
    }
}

/// A journal with the objects of a bank card and a transit card, and half a page of recent commits.
fn issued() -> Memories {
    let mut journal = Memories::format(Flash::new()).unwrap();
    let mut buffer = [0; 1024];
    for n in 0..96_u16 {
        let mut batch = Batch::new(&mut buffer);
        batch.put(ObjectId::new(InstanceId(2), n), &[n as u8; 80]);
        journal.commit(&batch).unwrap();
    }
    journal
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("card/commit");
    for size in [4, 128, 512] {
        group.throughput(Throughput::Bytes(size as u64));
        let mut journal = issued();
        let mut buffer = [0; 1024];
        group.bench_function(BenchmarkId::new("journal", size), |b| {
            b.iter(|| {
                if journal.free() < 1024 {
                    // Collecting is idle work; it is in the figure, as it is in the life of the flash.
                    journal.collect().unwrap();
                }
                let mut batch = Batch::new(&mut buffer);
                write(&mut batch, size);
                journal.commit(black_box(&batch)).unwrap();
            });
        });
        let mut flash = Flash::new();
        let bytes = [0x5A; 512];
        let step = size.next_multiple_of(8);
        let mut at = 0;
        group.bench_function(BenchmarkId::new("floor raw program and erase", size), |b| {
            b.iter(|| {
                if at + step > 131_072 {
                    flash.erase(0, 131_072).unwrap();
                    at = 0;
                }
                flash.write(at as u32, black_box(&bytes[..step])).unwrap();
                at += step;
            });
        });
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("card/read");
    let mut journal = issued();
    let mut out = [0; 80];
    group.bench_function("journal/80", |b| {
        b.iter(|| journal.read(black_box(ObjectId::new(InstanceId(2), 50)), 0, &mut out).unwrap().len());
    });
    let mut flash = Flash::new();
    group.bench_function("floor raw read/80", |b| b.iter(|| flash.read(black_box(4096), &mut out).unwrap()));
    group.finish();
}

fn mount(c: &mut Criterion) {
    let mut group = c.benchmark_group("card/mount");
    let flash = issued().into_flash();
    group.bench_function("journal/96 objects of 80", |b| {
        b.iter_batched(
            || flash.clone(),
            |flash| Memories::mount(flash).unwrap().objects(),
            BatchSize::LargeInput,
        );
    });
    let mut copy = [0; 96 * 104];
    group.bench_function("floor raw read of the log", |b| {
        b.iter_batched(
            || flash.clone(),
            |mut flash| {
                flash.read(0, &mut copy).unwrap();
                (flash, copy[100])
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The smallest application: what remains is the dispatcher.
struct Echo;

impl Module for Echo {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }
    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        reply.push(cx.aid.as_bytes()).err().unwrap_or(Sw::OK)
    }
    fn process(&self, _: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        Action::Reply(reply.push(command.data()).err().unwrap_or(Sw::OK))
    }
    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }
}

fn dispatch(c: &mut Criterion) {
    let entry = |n: u8| Entry {
        aid: Aid::new(&[0xA0, 0, 0, 3, 33, n]).unwrap(),
        instance: InstanceId(n),
        module: ModuleId(0),
        domain: InstanceId::ISSUER,
        selectable: true,
        contactless: true,
        label: Default::default(),
        priority: None,
    };
    let entries: Vec<Entry> = (0..8).map(entry).collect();
    let modules: [&dyn Module; 1] = [&Echo];
    let mut element = Element::<_, _, 8, 256, 2048>::new(&modules, StaticDirectory(&entries), issued());
    let mut random = Seeded::new(1);
    let mut env = Environment { random: &mut random, now: None };
    element.power_on(Interface::Contactless, &mut env);
    let select = [0x00, 0xA4, 0x04, 0x00, 6, 0xA0, 0, 0, 3, 33, 5, 0];
    c.bench_function("card/select/eighth of 8", |b| {
        b.iter(|| element.exchange(black_box(&select), &mut env).len());
    });
    let mut echo = vec![0x80, 0x10, 0, 0, 100];
    echo.extend_from_slice(&[7; 100]);
    echo.push(0);
    c.bench_function("card/process/echo 100", |b| {
        b.iter(|| element.exchange(black_box(&echo), &mut env).len())
    });
}

criterion_group!(benches, commit, read, mount, dispatch);
criterion_main!(benches);
