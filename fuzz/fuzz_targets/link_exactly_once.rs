//! Whatever the radio does, every message arrives once, whole and in order; and no frame makes an endpoint panic.
//!
//! Input: byte 0 chooses frame sizes, bytes 1 and 2 how many messages go which way; every further byte is one act of
//! the radio on the oldest frame in the air, or a piece of noise.
#![no_main]
use huiwan_link::Millis;
use huiwan_link::ble::{Endpoint, MIN_MTU, Received, Timing};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;

const ROOM: usize = 320;
type Side = Endpoint<ROOM, ROOM>;

struct Link {
    sides: [Side; 2],
    to_send: [VecDeque<Vec<u8>>; 2],
    received: [Vec<Vec<u8>>; 2],
    air: [VecDeque<Vec<u8>>; 2],
    now: Millis,
}

impl Link {
    fn connect(&mut self, mtu: usize) {
        for side in &mut self.sides {
            side.disconnected();
            side.connected(self.now, mtu).unwrap();
        }
        self.air = Default::default();
    }

    fn pump(&mut self) {
        let mut buffer = [0; ROOM];
        for from in 0..2 {
            if self.sides[from].can_send()
                && let Some(message) = self.to_send[from].pop_front()
            {
                self.sides[from].send(&message).unwrap();
            }
            while let Some(frame) = self.sides[from].poll_transmit(self.now, &mut buffer).unwrap() {
                self.air[1 - from].push_back(frame.to_vec());
            }
        }
    }

    fn arrive(&mut self, to: usize, frame: &[u8]) {
        let received = self.sides[to].handle_frame(self.now, frame);
        assert!(!matches!(received, Received::Refused { .. }));
    }

    fn take(&mut self, at: usize) {
        let mut buffer = [0; ROOM];
        if let Some(message) = self.sides[at].poll_message(&mut buffer).unwrap() {
            self.received[at].push(message.to_vec());
        }
    }

    fn act(&mut self, act: u8) {
        self.pump();
        let to = usize::from(act & 1);
        let air = &mut self.air[to];
        let size = usize::from(act >> 4);
        match (act >> 1) & 7 {
            // The oldest frames arrive.
            0 | 1 => {
                for _ in 0..=size {
                    let Some(frame) = self.air[to].pop_front() else { break };
                    self.arrive(to, &frame);
                }
            }
            // The oldest is lost, or all are.
            2 if size < 15 => drop(air.pop_front()),
            2 => air.clear(),
            // One arrives, and again later.
            3 => {
                if let Some(frame) = air.get(size % air.len().max(1)).cloned() {
                    self.air[to].push_back(frame.clone());
                    self.arrive(to, &frame);
                }
            }
            // One is overtaken by all others.
            4 => air.rotate_left(size % air.len().max(1)),
            // One arrives damaged by up to three flipped bits: the CRC finds every such error.
            5 => {
                if let Some(frame) = air.front() {
                    let mut damaged = frame.clone();
                    for flip in 0..=size % 3 {
                        let bit = (size * 37 + flip * 101) % (8 * damaged.len());
                        damaged[bit / 8] ^= 1 << (bit % 8);
                    }
                    if damaged != *frame {
                        assert!(matches!(
                            self.sides[to].handle_frame(self.now, &damaged),
                            Received::Ignored(_)
                        ));
                    }
                }
            }
            // Time goes by, or the owner takes a message.
            6 if size < 8 => self.now = self.now.after(Millis(1 << size)),
            6 => self.take(to),
            _ => self.connect(MIN_MTU + 4 * size),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    // The input itself is noise at an endpoint's door.
    let mut side = Side::new(input.get(1).copied().unwrap_or(0), Timing::DEFAULT);
    side.connected(Millis(0), MIN_MTU).unwrap();
    side.handle_frame(Millis(0), input);
    let mut sealed = input.to_vec();
    sealed.extend(huiwan_link::crc::crc16(input).to_be_bytes());
    side.handle_frame(Millis(0), &sealed);

    let [size, there, back, acts @ ..] = input else { return };
    let message = |way: usize, n: usize| {
        (0..(n * 71 + usize::from(*size)) % ROOM).map(|at| (at * 7 + n + way) as u8).collect()
    };
    let messages: [Vec<Vec<u8>>; 2] = [(0, *there), (1, *back)]
        .map(|(way, count)| (0..usize::from(count % 6)).map(|n| message(way, n)).collect());
    let mut link = Link {
        sides: [Side::new(3, Timing::DEFAULT), Side::new(3, Timing::DEFAULT)],
        to_send: messages.clone().map(VecDeque::from),
        received: Default::default(),
        air: Default::default(),
        now: Millis(0),
    };
    link.connect(MIN_MTU + usize::from(*size));
    for &act in acts {
        link.act(act);
    }
    // From here on the radio is honest; the end must come.
    for _ in 0..2_000 {
        link.pump();
        for to in 0..2 {
            while let Some(frame) = link.air[to].pop_front() {
                link.arrive(to, &frame);
            }
            link.take(to);
        }
        if link.to_send.iter().all(VecDeque::is_empty) && link.sides.iter().all(Side::can_send) {
            assert_eq!(link.received[1], messages[0]);
            assert_eq!(link.received[0], messages[1]);
            return;
        }
        link.now = link.now.after(Millis(100));
    }
    panic!("no end");
});
