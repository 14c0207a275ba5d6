//! Every message arrives once, whole and in order, whatever the radio does.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod channel;

use channel::{Fate, Pair, ROOM};
use huiwan_link::ble::Timing;
use huiwan_testkit::rng::Seeded;
use proptest::prelude::*;

fn messages(lens: &[&[usize]; 2]) -> [Vec<Vec<u8>>; 2] {
    let mut rng = Seeded::new(1);
    [0, 1].map(|side| lens[side].iter().map(|&len| rng.vec(len)).collect())
}

/// An exchange with messages of no fragment's, one fragment's, a window's and more than a window's length.
fn story() -> [Vec<Vec<u8>>; 2] {
    messages(&[&[0, 13, 8, 261, 1, 9], &[2, 150, 0, 97, 20]])
}

#[test]
fn a_clean_link_sends_nothing_twice() {
    let messages = messages(&[&[300], &[]]);
    // 8 + 24 * 12 + 4: 26 fragments in windows of 8, each window reported once; and a report each on connecting.
    assert_eq!(Pair::new(messages.clone(), &[20]).run(&messages, |_| Fate::Deliver), 26 + 4 + 2);
}

/// A new window goes out as soon as the old one is reported, not after a timeout.
#[test]
fn a_clean_link_never_waits() {
    let messages = messages(&[&[500; 2], &[]]);
    let mut pair = Pair::new(messages, &[20]);
    let start = pair.now;
    while !pair.is_done() {
        pair.turn(&mut |_| Fate::Deliver);
    }
    // A turn takes five milliseconds: six windows and six reports for each message.
    assert!(pair.now.since(start) < Timing::DEFAULT.retransmit, "{:?}", pair.now.since(start));
}

/// A break at every frame of the story, lost or arrived, and again every so many frames later, with connections that stay,
/// shrink and grow.
#[test]
fn a_break_at_every_frame() {
    let messages = story();
    for mtus in [&[20][..], &[100, 40, 20, 60], &[20, 244], &[244, 23, 22, 21, 20]] {
        let clean = Pair::new(messages.clone(), mtus).run(&messages, |_| Fate::Deliver);
        for fate in [Fate::BreakBefore, Fate::BreakAfter] {
            for at in 0..clean {
                Pair::new(messages.clone(), mtus)
                    .run(&messages, |frame| if frame == at { fate } else { Fate::Deliver });
                for again in [1, 2, 5] {
                    Pair::new(messages.clone(), mtus).run(&messages, |frame| {
                        if frame == at || frame == at + again { fate } else { Fate::Deliver }
                    });
                }
            }
        }
    }
}

/// Breaks every few frames for a long time: progress is never lost altogether.
#[test]
fn breaks_all_the_time() {
    let messages = story();
    for every in 4..40 {
        for fate in [Fate::BreakBefore, Fate::BreakAfter] {
            let fate = |frame: usize| {
                if frame < 2_000 && frame % every == every - 1 { fate } else { Fate::Deliver }
            };
            Pair::new(messages.clone(), &[60, 20, 100, 30]).run(&messages, fate);
        }
    }
}

/// Every single frame lost, doubled, late or damaged.
#[test]
fn one_accident_at_every_frame() {
    let messages = story();
    for mtu in [20, 60] {
        let clean = Pair::new(messages.clone(), &[mtu]).run(&messages, |_| Fate::Deliver);
        for accident in [Fate::Lose, Fate::Double, Fate::Delay, Fate::Corrupt] {
            for at in 0..clean {
                let fate = |frame| if frame == at { accident } else { Fate::Deliver };
                Pair::new(messages.clone(), &[mtu]).run(&messages, fate);
            }
        }
    }
}

/// Connections whose frames shrink again and again while hardly a frame gets through.
#[test]
fn frames_that_shrink_and_shrink() {
    let messages = messages(&[&[500], &[300]]);
    let mtus: Vec<usize> = (20..60).rev().collect();
    for every in 1..12 {
        for through in 0..every {
            let fate = |frame: usize| match frame {
                300.. => Fate::Deliver,
                _ if frame % every == through => Fate::BreakAfter,
                _ => Fate::BreakBefore,
            };
            Pair::new(messages.clone(), &mtus).run(&messages, fate);
            let fate = |frame: usize| match frame {
                300.. => Fate::Deliver,
                _ if frame % every == through => Fate::Deliver,
                _ if frame.is_multiple_of(3) => Fate::BreakBefore,
                _ => Fate::Lose,
            };
            Pair::new(messages.clone(), &mtus).run(&messages, fate);
        }
    }
}

#[test]
fn message_ids_wrap() {
    let messages = [vec![vec![1, 2, 3]; 66_000], vec![]];
    let mut pair = Pair::new(messages.clone(), &[20]);
    let mut turns = 0;
    while !pair.is_done() {
        pair.turn(&mut |frame| if frame % 7 == 0 { Fate::Double } else { Fate::Deliver });
        turns += 1;
        assert!(turns < 1_000_000);
    }
    assert_eq!(pair.received[1].len(), messages[0].len());
}

fn fates() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 64..512)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// 30 % lost, 10 % doubled, 15 % late, 5 % damaged, now and then a break: at least until the list of fates is
    /// over four times, then an honest radio.
    #[test]
    fn a_bad_radio(
        there in proptest::collection::vec(0..ROOM, 0..6),
        back in proptest::collection::vec(0..200_usize, 0..6),
        mtus in proptest::collection::vec(20..250_usize, 1..5),
        fates in fates(),
    ) {
        let messages = messages(&[&there, &back]);
        Pair::new(messages.clone(), &mtus).run(&messages, |frame| {
            if frame >= 4 * fates.len() {
                return Fate::Deliver;
            }
            match u16::from(fates[frame % fates.len()].rotate_left((frame / fates.len()) as u32)) * 100 / 256 {
                0..30 => Fate::Lose,
                30..40 => Fate::Double,
                40..55 => Fate::Delay,
                55..60 => Fate::Corrupt,
                60 => Fate::BreakBefore,
                61 => Fate::BreakAfter,
                _ => Fate::Deliver,
            }
        });
    }
}
