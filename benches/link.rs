//! `link/message/…`: one APDU from phone to band, both sides, on a clean link; beside the floor: copying and
//! checksumming the same bytes twice each way, in frames of the same size.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use huiwan_link::Millis;
use huiwan_link::ble::{Endpoint, Timing};
use huiwan_link::crc::crc16;
use std::hint::black_box;

type Side = Endpoint<512, 512>;

fn exchange(phone: &mut Side, band: &mut Side, message: &[u8], now: Millis) -> usize {
    let (mut buffer, mut out) = ([0; 247], [0; 512]);
    phone.send(message).unwrap();
    loop {
        while let Some(frame) = phone.poll_transmit(now, &mut buffer).unwrap() {
            band.handle_frame(now, frame);
        }
        while let Some(frame) = band.poll_transmit(now, &mut buffer).unwrap() {
            phone.handle_frame(now, frame);
        }
        if phone.can_send() {
            return band.poll_message(&mut out).unwrap().map_or(0, <[u8]>::len);
        }
    }
}

fn floor(message: &[u8], mtu: usize) -> u16 {
    let (mut sent, mut frame, mut received, mut out) = ([0_u8; 512], [0_u8; 247], [0_u8; 512], [0_u8; 512]);
    let mut sum = 0;
    sent[..message.len()].copy_from_slice(message);
    for piece in black_box(&sent)[..message.len()].chunks(mtu - 8) {
        frame[..piece.len()].copy_from_slice(piece);
        sum ^= crc16(black_box(&frame[..piece.len()]));
        sum ^= crc16(black_box(&frame[..piece.len()]));
        received[..piece.len()].copy_from_slice(black_box(&frame[..piece.len()]));
    }
    out[..message.len()].copy_from_slice(black_box(&received[..message.len()]));
    black_box(out);
    sum
}

fn message(c: &mut Criterion) {
    let mut group = c.benchmark_group("link/message");
    for (len, mtu) in [(13, 244), (261, 244), (261, 20)] {
        let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
        group.throughput(Throughput::Bytes(len as u64));
        let case = format!("{len}B_mtu{mtu}");
        group.bench_function(BenchmarkId::from_parameter(&case), |b| {
            let mut sides = [Side::new(1, Timing::DEFAULT), Side::new(1, Timing::DEFAULT)];
            let now = Millis(1);
            for side in &mut sides {
                side.connected(now, mtu).unwrap();
            }
            let [phone, band] = &mut sides;
            b.iter(|| exchange(phone, band, black_box(&message), now));
        });
        group.bench_function(BenchmarkId::from_parameter(format!("{case}/floor_copy_and_crc")), |b| {
            b.iter(|| floor(black_box(&message), mtu));
        });
    }
    group.finish();
}

criterion_group!(benches, message);
criterion_main!(benches);
