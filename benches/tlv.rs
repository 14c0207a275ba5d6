//! `tlv/…`: walking and finding, beside floors on the same bytes in the same process.
//!
//! The floor of a walk hops from object to object by the bytes alone, knowing that every tag and length is well
//! formed: no checks, no `Tlv`. `bytes` sums all bytes, which is what looking at them once costs.
use core::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use huiwan_tlv::dol::{Dol, Format};
use huiwan_tlv::{Rules, Tag, Writer, find_each, find_path, walk};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// The SELECT answer of a UnionPay quickPass debit card (neil-pan-s/qpboc-kernel, Kata run log), 91 bytes.
fn fci_100() -> Vec<u8> {
    hex(
        "6F598408A000000333010101A54D500A50424F432044454249548701019F38189F66049F02069F03069F1A0295055F2A029A039C01\
         9F37045F2D027A689F1101019F120A50424F43204445424954BF0C0A9F4D020B0ADF4D020C0A",
    )
}

/// A record of a contact card: data objects of a usual credit application, 240 bytes.
fn record_240() -> Vec<u8> {
    let mut out = vec![0; 256];
    let mut w = Writer::new(&mut out);
    w.nested(Tag::new(0x70), |w| {
        w.put(Tag::new(0x5F24), &[0x31, 0x12, 0x31]);
        w.put(Tag::new(0x5F25), &[0x11, 0x09, 0x01]);
        w.put(Tag::new(0x5A), &[0x62, 0x10, 0x94, 0x80, 0, 0, 0, 0x11]);
        w.put(Tag::new(0x5F34), &[1]);
        w.put(Tag::new(0x9F07), &[0xFF, 0]);
        w.put(Tag::new(0x8E), &[0; 14]);
        w.put(Tag::new(0x9F0D), &[0xD8, 0x60, 0x9C, 0xA8, 0]);
        w.put(Tag::new(0x9F0E), &[0, 0x10, 0, 0, 0]);
        w.put(Tag::new(0x9F0F), &[0xD8, 0x68, 0x9C, 0xF8, 0]);
        w.put(Tag::new(0x5F28), &[1, 0x56]);
        w.put(Tag::new(0x8C), &[0x9F; 30]);
        w.put(Tag::new(0x8D), &[0x8A; 28]);
        w.put(Tag::new(0x57), &[0x62; 19]);
        w.put(Tag::new(0x9F1F), &[0x30; 24]);
        w.put(Tag::new(0x5F20), &[0x41; 26]);
        w.put(Tag::new(0x5F30), &[2, 1]);
        w.put(Tag::new(0x9F08), &[2, 0]);
        w.put(Tag::new(0x9F42), &[1, 0x56]);
        w.put(Tag::new(0x9F4A), &[0x82]);
        w.put(Tag::new(0x9F49), &[0x9F, 0x37, 4]);
    });
    let len = w.finish().expect("fits").len();
    out.truncate(len);
    out
}

/// Two kilobytes, five levels: applications in a directory, each with templates of small objects.
fn nested_2k() -> Vec<u8> {
    let mut out = vec![0; 4096];
    let mut w = Writer::new(&mut out);
    w.nested(Tag::new(0x6F), |w| {
        w.nested(Tag::new(0xA5), |w| {
            for _ in 0..20 {
                w.nested(Tag::new(0xBF0C), |w| {
                    w.nested(Tag::new(0x61), |w| {
                        w.put(Tag::new(0x4F), &[0xA0; 8]);
                        w.put(Tag::new(0x50), b"PBOC DEBIT");
                        w.put(Tag::new(0x87), &[1]);
                        w.nested(Tag::new(0x73), |w| {
                            for tag in [0x9F4D, 0xDF4D, 0x9F12, 0x9F11, 0x5F2D] {
                                w.put(Tag::new(tag), &[0x0B, 0x0A, 1, 2, 3, 4, 5]);
                            }
                        });
                    });
                });
            }
        });
    });
    let len = w.finish().expect("fits").len();
    out.truncate(len);
    out
}

/// Hops over well formed objects, into templates; returns how many.
fn hop(raw: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < raw.len() {
        let first = raw[at];
        at += 1;
        if first & 0x1F == 0x1F {
            at += 1;
        }
        let mut len = usize::from(raw[at]);
        at += 1;
        if len >= 0x80 {
            let bytes = len - 0x80;
            len = 0;
            for _ in 0..bytes {
                len = len << 8 | usize::from(raw[at]);
                at += 1;
            }
        }
        if first & 0x20 == 0 {
            at += len;
        }
        count += 1;
    }
    count
}

fn walks(c: &mut Criterion) {
    let mut group = c.benchmark_group("tlv/walk");
    for (case, raw) in [("fci_100", fci_100()), ("record_240", record_240()), ("nested_2k", nested_2k())] {
        let count = walk(&raw, Rules::EMV).count();
        assert!(walk(&raw, Rules::EMV).all(|object| object.is_ok()) && count == hop(&raw));
        group.throughput(Throughput::Elements(count as u64));
        for (name, rules) in [("", Rules::EMV), ("iso_", Rules::ISO)] {
            group.bench_function(BenchmarkId::from_parameter(format!("{name}{case}")), |b| {
                b.iter(|| {
                    let mut sum = 0;
                    for object in walk(black_box(&raw), rules) {
                        let Ok((depth, object)) = object else { break };
                        sum += depth + object.value().len();
                    }
                    sum
                })
            });
            if case != "fci_100" {
                break;
            }
        }
        group.bench_function(BenchmarkId::new("floor_hop", case), |b| b.iter(|| hop(black_box(&raw))));
        group.bench_function(BenchmarkId::new("floor_bytes", case), |b| {
            b.iter(|| black_box(&raw).iter().fold(0u32, |sum, byte| sum.wrapping_add(u32::from(*byte))))
        });
    }
    group.finish();
}

fn finds(c: &mut Criterion) {
    let raw = fci_100();
    let mut group = c.benchmark_group("tlv/find4");
    // What a terminal needs of a SELECT answer.
    let tags = [0x84, 0x50, 0x87, 0x9F38].map(Tag::new);
    group.bench_function("fci_100", |b| {
        b.iter(|| {
            let found = find_each(black_box(&raw), Rules::EMV, black_box(tags));
            found.map(|found| found.map(|object| object.map_or(0, |object| object.value().len())))
        })
    });
    group.bench_function("floor_hop/fci_100", |b| b.iter(|| hop(black_box(&raw))));
    group.finish();
    let mut group = c.benchmark_group("tlv/find_path");
    let path = [0x6F, 0xA5, 0xBF0C].map(Tag::new);
    group.bench_function("fci_100", |b| b.iter(|| find_path(black_box(&raw), Rules::EMV, &path)));
    group.finish();
}

/// A stand-in for a table of tags: which slot of the transaction a tag fills, by its low bits. Built once.
fn dispatch(c: &mut Criterion) {
    let raws: Vec<Vec<u8>> = (0..256usize).map(layout).collect();
    let mut table = [0u8; 256];
    for (index, tag) in LAYOUT_TAGS.iter().enumerate() {
        table[slot(Tag::new(*tag))] = index as u8 + 1;
    }
    let mut group = c.benchmark_group("tlv/dispatch");
    group.throughput(Throughput::Elements(256));
    group.bench_function("record_256_layouts", |b| {
        b.iter(|| {
            let mut seen = [0usize; 32];
            for raw in &raws {
                for object in walk(black_box(raw), Rules::EMV) {
                    let Ok((_, object)) = object else { break };
                    seen[usize::from(table[slot(object.tag())]) & 31] += object.value().len();
                }
            }
            seen
        })
    });
    group.bench_function("floor_hop/record_256_layouts", |b| {
        b.iter(|| raws.iter().map(|raw| hop(black_box(raw))).sum::<usize>())
    });
    group.finish();
}

const LAYOUT_TAGS: [u32; 16] = [
    0x5F24, 0x5F25, 0x5A, 0x5F34, 0x9F07, 0x8E, 0x9F0D, 0x9F0E, 0x9F0F, 0x5F28, 0x8C, 0x8D, 0x57, 0x9F1F,
    0x5F20, 0x9F08,
];

fn slot(tag: Tag) -> usize {
    let number = tag.get();
    ((number ^ number >> 6) & 0xFF) as usize
}

/// The same sixteen objects in another order, lengths varied: 229 to 240 bytes.
fn layout(seed: usize) -> Vec<u8> {
    let mut order = LAYOUT_TAGS;
    let mut state = seed as u32 + 1;
    for i in (1..order.len()).rev() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        order.swap(i, (state >> 16) as usize % (i + 1));
    }
    let mut out = vec![0; 300];
    let mut w = Writer::new(&mut out);
    w.nested(Tag::new(0x70), |w| {
        for (index, tag) in order.iter().enumerate() {
            w.put(Tag::new(*tag), &[0x11; 12][..11 + (seed >> (index & 7) & 1)]);
        }
    });
    let len = w.finish().expect("fits").len();
    out.truncate(len);
    out
}

fn writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("tlv/write");
    let mut out = [0; 256];
    group.bench_function("fci_100", |b| {
        b.iter(|| {
            let mut w = Writer::new(black_box(&mut out));
            w.nested(Tag::new(0x6F), |w| {
                w.put(Tag::new(0x84), &[0xA0, 0, 0, 3, 0x33, 1, 1, 1]);
                w.nested(Tag::new(0xA5), |w| {
                    w.put(Tag::new(0x50), b"PBOC DEBIT");
                    w.put(Tag::new(0x87), &[1]);
                    w.put(Tag::new(0x9F38), &[0x9F; 24]);
                    w.put(Tag::new(0x5F2D), b"zh");
                    w.put(Tag::new(0x9F11), &[1]);
                    w.put(Tag::new(0x9F12), b"PBOC DEBIT");
                    w.nested(Tag::new(0xBF0C), |w| {
                        w.put(Tag::new(0x9F4D), &[0x0B, 0x0A]);
                        w.put(Tag::new(0xDF4D), &[0x0C, 0x0A]);
                    });
                });
            });
            w.finish().map(|out| out.len())
        })
    });
    let raw = fci_100();
    group.bench_function("floor_copy/fci_100", |b| {
        b.iter(|| black_box(&mut out)[..raw.len()].copy_from_slice(black_box(&raw)))
    });
    group.finish();
}

fn dols(c: &mut Criterion) {
    let pdol = hex("9F66049F02069F03069F1A0295055F2A029A039C019F3704");
    let values = [0x11u8; 8];
    let mut out = [0; 64];
    let mut group = c.benchmark_group("tlv/dol_fill");
    group.bench_function("pdol_33", |b| {
        b.iter(|| {
            let dol = Dol::parse(black_box(&pdol)).expect("well formed");
            dol.fill(black_box(&mut out), |_| Some((&values, Format::Numeric))).map(|out| out.len())
        })
    });
    group.bench_function("floor_copy/pdol_33", |b| {
        b.iter(|| black_box(&mut out)[..33].copy_from_slice(black_box(&[0x11; 33])))
    });
    group.finish();
}

criterion_group!(benches, walks, finds, dispatch, writes, dols);
criterion_main!(benches);
