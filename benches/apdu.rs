//! `apdu/…`: parsing and encoding, beside a plain copy of the same bytes in the same process.
use core::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use huiwan_apdu::exchange::{Exchange, Input, Step};
use huiwan_apdu::{Command, Ne, Response};

const HEADER: [u8; 4] = [0x80, 0xAE, 0x80, 0x00];

/// The seven cases; 29 bytes of data where there are any, as in GENERATE AC.
fn cases() -> [(&'static str, Vec<u8>); 7] {
    let data = [0x11u8; 29];
    let with = |parts: &[&[u8]]| [&HEADER[..], &parts.concat()].concat();
    [
        ("case1", with(&[])),
        ("case2", with(&[&[0x00]])),
        ("case3", with(&[&[29], &data])),
        ("case4", with(&[&[29], &data, &[0x00]])),
        ("case2_extended", with(&[&[0x00, 0x00, 0x00]])),
        ("case3_extended", with(&[&[0, 0, 29], &data])),
        ("case4_extended", with(&[&[0, 0, 29], &data, &[0, 0]])),
    ]
}

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("apdu/parse");
    let mut out = [0; 64];
    for (case, raw) in cases() {
        group.bench_function(case, |b| b.iter(|| Command::parse(black_box(&raw))));
        group.bench_function(BenchmarkId::new("floor_copy", case), |b| {
            b.iter(|| black_box(&mut out)[..raw.len()].copy_from_slice(black_box(&raw)))
        });
    }
    // The branch predictor learns one case; this one sees all seven in turn.
    let all = cases().map(|(_, raw)| raw);
    group.bench_function("all_seven", |b| {
        b.iter(|| {
            for raw in &all {
                black_box(Command::parse(black_box(raw)).is_ok());
            }
        })
    });
    group.bench_function("response", |b| b.iter(|| Response::parse(black_box(&all[3]))));
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("apdu/encode");
    let data = [0x11u8; 29];
    let mut out = [0; 64];
    for (case, raw) in cases() {
        let command = Command::parse(&raw).expect("well formed");
        assert_eq!(command.write(&mut out).expect("fits"), raw);
        group.bench_function(case, |b| {
            b.iter(|| black_box(&command).write(black_box(&mut out)).map(|out| out.len()))
        });
    }
    group.bench_function("build_case4", |b| {
        b.iter(|| {
            let [cla, ins, p1, p2] = black_box(HEADER);
            let command = Command::new(cla, ins, p1, p2).with_data(black_box(&data)).with_ne(Ne::MAX_SHORT);
            command.write(black_box(&mut out)).map(|out| out.len())
        })
    });
    group.bench_function("floor_copy/case4", |b| {
        b.iter(|| {
            let out = black_box(&mut out);
            out[..4].copy_from_slice(black_box(&HEADER));
            out[4] = 29;
            out[5..34].copy_from_slice(black_box(&data));
            out[34] = 0;
        })
    });
    group.finish();
}

fn exchange(c: &mut Criterion) {
    let mut group = c.benchmark_group("apdu/exchange");
    let command =
        Command::new(0x00, 0xA4, 0x04, 0x00).with_data(&[0xA0, 0, 0, 3, 0x33]).with_ne(Ne::MAX_SHORT);
    let answers: [&[u8]; 2] = [&[0x61, 0x14], &[&[0x6F; 20][..], &[0x90, 0x00]].concat()];
    let (mut room, mut wire) = ([0; 64], [0; 64]);
    group.bench_function("select_61xx", |b| {
        b.iter(|| {
            let mut exchange = Exchange::new(command, &mut room);
            let mut input = Input::Start;
            let mut answers = answers.iter();
            while let Ok(Step::Send(_)) = exchange.step(input, black_box(&mut wire)) {
                input = Input::Response(answers.next().expect("two commands"));
            }
            exchange.into_response().map(|response| response.data().len())
        })
    });
    group.finish();
}

criterion_group!(benches, parse, encode, exchange);
criterion_main!(benches);
