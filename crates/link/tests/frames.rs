//! The byte table, and what frames may not do.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use huiwan_link::Millis;
use huiwan_link::ble::frame::{Body, Frame, FrameError};
use huiwan_link::ble::{Endpoint, Ignored, MIN_MTU, Misuse, Received, Timing, WINDOW};
use huiwan_link::crc::crc16;
use huiwan_testkit::hex;
use proptest::prelude::*;
use proptest::sample::Index;

const T0: Millis = Millis(5_000);

fn pair() -> [Endpoint<64, 64>; 2] {
    let mut sides = [Endpoint::new(0x5A, Timing::DEFAULT), Endpoint::new(0x5A, Timing::DEFAULT)];
    for side in &mut sides {
        side.connected(T0, MIN_MTU).unwrap();
    }
    sides
}

fn frames(side: &mut Endpoint<64, 64>, now: Millis) -> Vec<Vec<u8>> {
    let mut buffer = [0; 64];
    core::iter::from_fn(|| side.poll_transmit(now, &mut buffer).unwrap().map(<[u8]>::to_vec)).collect()
}

fn sealed(body: &str) -> Vec<u8> {
    let mut frame = hex(body);
    let crc = crc16(&frame);
    frame.extend(crc.to_be_bytes());
    frame
}

fn written(session: u8, message: u16, body: Body<'_>) -> Vec<u8> {
    let frame = Frame { session, message, body };
    let mut out = vec![0; frame.encoded_len()];
    frame.write(&mut out).unwrap();
    out
}

/// The table of the module, written out by hand.
#[test]
fn the_byte_table() {
    for (body, frame) in [
        ("10 5A 0007 0000 00000003 AABBCC", (7, Body::First { total: 3, data: &[0xAA, 0xBB, 0xCC] })),
        ("10 5A 0007 0102 DD", (7, Body::Next { fragment: 0x0102, data: &[0xDD] })),
        ("11 5A 0008 0004 6B 00F0", (8, Body::Ack { below: 4, bitmap: 0x6B, first: 240 })),
        ("12 5A 0000 0000", (0, Body::KeepAlive)),
        ("13 5A 0009 0000 00000104", (9, Body::Refusal { limit: 260 })),
    ] {
        let (message, body_value) = frame;
        assert_eq!(written(0x5A, message, body_value), sealed(body), "{body}");
        let raw = sealed(body);
        let parsed = Frame::parse(&raw).unwrap();
        assert_eq!(parsed, Frame { session: 0x5A, message, body: body_value });
    }
}

#[test]
fn malformed_frames_are_named_with_their_byte() {
    let parse = |raw: &[u8]| Frame::parse(raw).map_err(|error| (error.kind(), error.at())).map(drop);
    assert_eq!(parse(&[]), Err((FrameError::Truncated, 0)));
    assert_eq!(parse(&sealed("12 5A 0000 00")), Err((FrameError::Truncated, 7)));
    assert_eq!(parse(&hex("12 5A 0000 0000 0000")), Err((FrameError::Crc, 6)));
    assert_eq!(parse(&sealed("22 5A 0000 0000")), Err((FrameError::Version, 0)));
    assert_eq!(parse(&sealed("14 5A 0000 0000")), Err((FrameError::Control, 0)));
    assert_eq!(parse(&sealed("10 5A 0000 0000 000000")), Err((FrameError::TotalTruncated, 9)));
    assert_eq!(parse(&sealed("11 5A 0000 0000")), Err((FrameError::Control, 6)));
    assert_eq!(parse(&sealed("11 5A 0000 0000 0000")), Err((FrameError::Control, 6)));
    assert_eq!(parse(&sealed("12 5A 0001 0000")), Err((FrameError::Control, 6)));
    assert_eq!(parse(&sealed("12 5A 0000 0000 00")), Err((FrameError::Control, 6)));
    assert_eq!(parse(&sealed("13 5A 0000 0001 00000000")), Err((FrameError::Control, 6)));
    assert_eq!(
        Frame::parse(&sealed("22 5A 0000 0000")).unwrap_err().to_string(),
        "unknown frame version at byte 0"
    );
}

#[test]
fn a_damaged_frame_changes_nothing() {
    let [mut phone, mut band] = pair();
    frames(&mut band, T0);
    phone.send(&[1, 2, 3]).unwrap();
    let sent = frames(&mut phone, T0);
    let data = &sent[1];
    for bit in 0..8 * data.len() {
        let mut damaged = data.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(band.handle_frame(T0, &damaged), Received::Ignored(Ignored::Malformed(_))),
            "bit {bit}"
        );
    }
    assert_eq!(frames(&mut band, T0), Vec::<Vec<u8>>::new());
    assert_eq!(band.handle_frame(T0, data), Received::Message);
}

#[test]
fn a_message_too_long_is_refused_by_name_and_the_next_arrives() {
    let mut phone = Endpoint::<200, 64>::new(0x5A, Timing::DEFAULT);
    let mut band = Endpoint::<64, 32>::new(0x5A, Timing::DEFAULT);
    phone.connected(T0, 40).unwrap();
    band.connected(T0, 40).unwrap();
    let first = phone.send(&[7; 33]).unwrap();
    let mut buffer = [0; 64];
    let (mut refused, mut too_long) = (0, 0);
    let mut now = T0;
    for round in 0..40 {
        while let Some(frame) = phone.poll_transmit(now, &mut buffer).unwrap() {
            match band.handle_frame(now, frame) {
                Received::Ignored(Ignored::TooLong(33)) => too_long += 1,
                Received::Message
                | Received::Fragment
                | Received::Duplicate
                | Received::Report
                | Received::KeepAlive => {}
                other => assert!(matches!(other, Received::Ignored(Ignored::Window)), "{other:?}"),
            }
        }
        while let Some(frame) = band.poll_transmit(now, &mut buffer).unwrap() {
            // The first answers are lost: the refusal must be repeatable.
            if round < 3 {
                continue;
            }
            match phone.handle_frame(now, frame) {
                Received::Refused { message, limit } => {
                    assert_eq!((message, limit), (first, 32));
                    refused += 1;
                    phone.send(&[8; 32]).unwrap();
                }
                Received::Report | Received::Sent(_) => {}
                other => panic!("{other:?}"),
            }
        }
        now = now.after(Millis(300));
    }
    assert_eq!((refused, too_long), (1, 1));
    assert_eq!(band.poll_message(&mut buffer).unwrap(), Some(&[8; 32][..]));
    assert!(phone.can_send());
}

#[test]
fn the_largest_total_is_refused_too() {
    let [_, mut band] = pair();
    for total in [65, u32::MAX] {
        let id = u16::from(total != 65);
        let frame = written(0x5A, id, Body::First { total, data: &[0; 8] });
        assert_eq!(band.handle_frame(T0, &frame), Received::Ignored(Ignored::TooLong(total)));
    }
}

#[test]
fn fragments_that_do_not_follow_from_the_first_are_dropped() {
    let [_, mut band] = pair();
    let mut take = |message, body| band.handle_frame(T0, &written(0x5A, message, body));
    let next = |fragment, data| Body::Next { fragment, data };
    // Nothing is known before the first.
    assert_eq!(take(0, next(1, &[0; 12])), Received::Ignored(Ignored::Window));
    assert_eq!(take(0, Body::First { total: 4, data: &[0; 5] }), Received::Ignored(Ignored::Length));
    assert_eq!(take(0, Body::First { total: 4, data: &[] }), Received::Ignored(Ignored::Length));
    assert_eq!(take(0, Body::First { total: 60, data: &[1; 2] }), Received::Fragment);
    assert_eq!(take(0, next(1, &[0; 5])), Received::Ignored(Ignored::Length));
    assert_eq!(take(0, next(1, &[0; 7])), Received::Ignored(Ignored::Length));
    assert_eq!(take(0, next(1 + WINDOW, &[0; 6])), Received::Ignored(Ignored::Window));
    assert_eq!(take(0, next(u16::MAX, &[0; 6])), Received::Ignored(Ignored::Window));
    assert_eq!(take(2, next(1, &[0; 6])), Received::Ignored(Ignored::OutOfStep(2)));
    assert_eq!(take(0, next(2, &[0; 6])), Received::Fragment);
    assert_eq!(take(0, next(2, &[9; 6])), Received::Duplicate);
    assert_eq!(take(0, next(1, &[0; 6])), Received::Fragment);
    assert_eq!(take(u16::MAX, next(1, &[0; 6])), Received::Duplicate);
    assert_eq!(
        band.handle_frame(T0, &sealed("12 5B 0000 0000")),
        Received::Ignored(Ignored::OtherSession(0x5B))
    );
}

#[test]
fn a_waiting_message_is_not_overwritten() {
    let [mut phone, mut band] = pair();
    phone.send(&[1]).unwrap();
    for frame in frames(&mut phone, T0) {
        band.handle_frame(T0, &frame);
    }
    for frame in frames(&mut band, T0) {
        phone.handle_frame(T0, &frame);
    }
    phone.send(&[2]).unwrap();
    let second = frames(&mut phone, T0);
    assert_eq!(band.handle_frame(T0, &second[0]), Received::Ignored(Ignored::Busy));
    assert_eq!(band.poll_message(&mut []), Err(Misuse::BufferTooSmall { needed: 1 }));
    let mut buffer = [0; 4];
    assert_eq!(band.message_len(), Some(1));
    assert_eq!(band.poll_message(&mut buffer).unwrap(), Some(&[1][..]));
    assert_eq!(band.poll_message(&mut buffer).unwrap(), None);
    let later = phone.next_timeout().unwrap();
    assert_eq!(band.handle_frame(later, &frames(&mut phone, later)[0]), Received::Message);
    assert_eq!(band.poll_message(&mut buffer).unwrap(), Some(&[2][..]));
}

#[test]
fn misuse_is_named_and_changes_nothing() {
    let mut side = Endpoint::<16, 16>::new(1, Timing::DEFAULT);
    assert_eq!(side.connected(T0, MIN_MTU - 1), Err(Misuse::MtuTooSmall));
    assert!(!side.is_connected());
    assert_eq!(side.send(&[0; 17]), Err(Misuse::TooLong { limit: 16 }));
    assert_eq!(side.send(&[1; 16]), Ok(0));
    assert_eq!(side.send(&[2; 16]), Err(Misuse::SendBusy));
    assert_eq!(side.poll_transmit(T0, &mut []).unwrap(), None);
    assert_eq!(side.handle_frame(T0, &sealed("12 01 0000 0000")), Received::Ignored(Ignored::NotConnected));
    side.connected(T0, 40).unwrap();
    assert_eq!(side.poll_transmit(T0, &mut [0; 39]), Err(Misuse::BufferTooSmall { needed: 40 }));
    let mut out = [0; 40];
    assert!(side.poll_transmit(T0, &mut out).unwrap().is_some());
    let data = side.poll_transmit(T0, &mut out).unwrap().unwrap();
    // Written before there was a connection, sent in this one's frames.
    assert!(matches!(Frame::parse(data).unwrap().body, Body::First { total: 16, data: &[1, ..] }));
    assert_eq!(data.len(), 16 + Endpoint::<16, 16>::OVERHEAD);
}

#[test]
fn a_quiet_link_is_kept_alive_and_a_dead_one_is_noticed() {
    let [mut phone, mut band] = pair();
    frames(&mut phone, T0);
    frames(&mut band, T0);
    let ask = phone.next_timeout().unwrap();
    assert_eq!(ask, T0.after(Timing::DEFAULT.keep_alive));
    assert!(frames(&mut phone, Millis(ask.0 - 1)).is_empty());
    let asked = frames(&mut phone, ask);
    assert_eq!(asked, [sealed("12 5A 0000 0000")]);
    assert_eq!(band.handle_frame(ask, &asked[0]), Received::KeepAlive);
    let answer = frames(&mut band, ask);
    assert_eq!(answer, [sealed("11 5A 0000 0000 00 0000")]);
    assert_eq!(phone.handle_frame(ask, &answer[0]), Received::Report);
    let end = ask.after(Timing::DEFAULT.silence);
    assert!(!phone.is_silent(Millis(end.0 - 1)) && phone.is_silent(end));
    phone.disconnected();
    assert!(!phone.is_silent(end));
    assert_eq!(phone.next_timeout(), None);
}

#[test]
fn an_unheard_fragment_is_repeated_at_doubling_spans() {
    let [mut phone, _] = pair();
    frames(&mut phone, T0);
    phone.send(&[1]).unwrap();
    let mut now = T0;
    let mut spans = Vec::new();
    for _ in 0..6 {
        assert_eq!(frames(&mut phone, now).len(), 1);
        let next = phone.next_timeout().unwrap();
        spans.push(next.since(now).0);
        now = next;
    }
    assert_eq!(spans, [200, 400, 800, 1_600, 2_000, 2_000]);
}

#[test]
fn a_restart_is_a_new_session() {
    let [mut phone, mut band] = pair();
    phone.send(&[1; 30]).unwrap();
    let old = frames(&mut phone, T0);
    assert_eq!(band.handle_frame(T0, &old[1]), Received::Fragment);
    band.restart(0x5B);
    assert_eq!(band.handle_frame(T0, &old[2]), Received::Ignored(Ignored::OtherSession(0x5A)));
    phone.restart(0x5B);
    assert_eq!((phone.session(), phone.send(&[2])), (0x5B, Ok(0)));
    let new = frames(&mut phone, T0);
    assert_eq!(band.handle_frame(T0, &new[0]), Received::Message);
}

fn body() -> impl Strategy<Value = (u8, Vec<u8>, u32, u16, u8)> {
    (0..5_u8, proptest::collection::vec(any::<u8>(), 0..40), any::<u32>(), any::<u16>(), any::<u8>())
}

proptest! {
    #[test]
    fn every_frame_reads_back(session: u8, message: u16, (kind, data, total, fragment, bitmap) in body()) {
        let body = match kind {
            0 => Body::First { total, data: &data },
            1 => Body::Next { fragment: fragment.max(1), data: &data },
            2 => Body::Ack { below: fragment, bitmap, first: total as u16 },
            3 => Body::KeepAlive,
            _ => Body::Refusal { limit: total },
        };
        let frame = Frame { session, message: if kind == 3 { 0 } else { message }, body };
        let mut out = vec![0xA5; frame.encoded_len() + 1];
        let raw = frame.write(&mut out).unwrap();
        prop_assert_eq!(raw.len(), frame.encoded_len());
        prop_assert_eq!(Frame::parse(raw), Ok(frame));
        let needed = frame.encoded_len();
        prop_assert_eq!(frame.write(&mut out[..needed - 1]).unwrap_err().needed, needed);
    }

    /// Whatever well-formed frames a peer makes up, in any state: no panic, one answer at most for each, and no
    /// more bytes than a message may have.
    #[test]
    fn a_hostile_peer(
        frames in proptest::collection::vec((0..4_u16, body(), 0..12_u16, 0..3_000_u64), 1..80),
        message in proptest::collection::vec(any::<u8>(), 0..64),
        small in any::<Index>(),
    ) {
        let mut side = Endpoint::<64, 64>::new(1, Timing::DEFAULT);
        side.connected(T0, 20 + small.index(20)).unwrap();
        side.send(&message).unwrap();
        let (mut buffer, mut now) = ([0; 64], T0);
        for (id, (kind, data, total, any_fragment, bitmap), fragment, wait) in frames {
            now = now.after(Millis(wait));
            let fragment = if wait % 5 == 0 { any_fragment } else { fragment };
            let total = if wait % 3 == 0 { total } else { total % 80 };
            let body = match kind {
                0 => Body::First { total, data: &data },
                1 => Body::Next { fragment: fragment.max(1), data: &data },
                2 => Body::Ack { below: fragment, bitmap, first: total as u16 },
                3 => Body::KeepAlive,
                _ => Body::Refusal { limit: total },
            };
            let message = if kind == 3 { 0 } else { id.wrapping_sub(1) };
            side.handle_frame(now, &written(1, message, body));
            let mut sent = 0;
            while let Some(frame) = side.poll_transmit(now, &mut buffer).unwrap() {
                prop_assert!(Frame::parse(frame).is_ok());
                sent += 1;
                prop_assert!(sent <= 1 + usize::from(WINDOW));
            }
            prop_assert!(side.message_len().unwrap_or(0) <= 64);
            if wait % 2 == 0 {
                side.poll_message(&mut buffer).unwrap();
            }
            if side.can_send() {
                side.send(&data).unwrap();
            }
        }
    }

    #[test]
    fn any_bytes(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut side = Endpoint::<64, 64>::new(1, Timing::DEFAULT);
        side.connected(T0, 20).unwrap();
        side.handle_frame(T0, &raw);
        side.handle_frame(T0, &sealed(&raw.iter().map(|byte| format!("{byte:02X}")).collect::<String>()));
    }
}
