//! Two endpoints and a radio between them that does what the test says.

use huiwan_link::Millis;
use huiwan_link::ble::{Endpoint, Received, Timing};
use std::collections::VecDeque;

pub(crate) const ROOM: usize = 600;
pub(crate) type Side = Endpoint<ROOM, ROOM>;

/// What the radio does with one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Deliver,
    Lose,
    Double,
    /// Behind up to three later frames.
    Delay,
    /// One flipped bit.
    Corrupt,
    /// The connection breaks; the frame is lost with everything in the air.
    BreakBefore,
    /// The connection breaks after the frame arrived.
    BreakAfter,
}

/// Both sides, the frames in the air, and the messages still to send and received so far.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    to_send: [VecDeque<Vec<u8>>; 2],
    pub(crate) received: [Vec<Vec<u8>>; 2],
    pub(crate) confirmed: [usize; 2],
    /// Frames on their way to side 0 and 1, each with how many later frames still overtake it.
    air: [VecDeque<(u8, Vec<u8>)>; 2],
    pub(crate) now: Millis,
    /// Frames sent so far, both ways.
    pub(crate) frames: usize,
    mtus: Vec<usize>,
    connections: usize,
}

impl Pair {
    /// `messages[0]` go from side 0 to side 1; `mtus` are those of one connection after the other, over and over.
    pub(crate) fn new(messages: [Vec<Vec<u8>>; 2], mtus: &[usize]) -> Self {
        let mut pair = Self {
            sides: [Side::new(9, Timing::DEFAULT), Side::new(9, Timing::DEFAULT)],
            to_send: messages.map(VecDeque::from),
            received: [Vec::new(), Vec::new()],
            confirmed: [0, 0],
            air: [VecDeque::new(), VecDeque::new()],
            now: Millis(1_000),
            frames: 0,
            mtus: mtus.to_vec(),
            connections: 0,
        };
        pair.connect();
        pair
    }

    fn connect(&mut self) {
        let mtu = self.mtus[self.connections % self.mtus.len()];
        self.connections += 1;
        for side in &mut self.sides {
            side.connected(self.now, mtu).unwrap();
        }
    }

    /// The connection breaks and comes back: BLE never delivers a frame of an earlier connection.
    pub(crate) fn reconnect(&mut self) {
        for side in &mut self.sides {
            side.disconnected();
        }
        self.air = [VecDeque::new(), VecDeque::new()];
        self.now = self.now.after(Millis(50));
        self.connect();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.to_send.iter().all(VecDeque::is_empty) && self.sides.iter().all(Side::can_send)
    }

    /// Sends, moves and takes what there is; `fate` decides over each frame sent. Without anything to do, time
    /// jumps to the next timeout.
    pub(crate) fn turn(&mut self, fate: &mut dyn FnMut(usize) -> Fate) {
        let mut busy = false;
        for from in 0..2 {
            if self.sides[from].can_send()
                && let Some(message) = self.to_send[from].pop_front()
            {
                self.sides[from].send(&message).unwrap();
            }
            let mut buffer = [0; 512];
            while let Some(frame) = self.sides[from].poll_transmit(self.now, &mut buffer).unwrap() {
                busy = true;
                let frame = frame.to_vec();
                let number = self.frames;
                self.frames += 1;
                let to = 1 - from;
                match fate(number) {
                    Fate::Deliver => self.air[to].push_back((0, frame)),
                    Fate::Lose => {}
                    Fate::Double => self.air[to].extend([(0, frame.clone()), (2, frame)]),
                    Fate::Delay => self.air[to].push_back((3, frame)),
                    Fate::Corrupt => {
                        let mut frame = frame;
                        let bit = number.wrapping_mul(0x9E37) % (8 * frame.len());
                        frame[bit / 8] ^= 1 << (bit % 8);
                        self.air[to].push_back((0, frame));
                    }
                    Fate::BreakBefore => return self.reconnect(),
                    Fate::BreakAfter => {
                        while let Some((_, earlier)) = self.air[to].pop_front() {
                            self.arrive(to, &earlier);
                        }
                        self.arrive(to, &frame);
                        return self.reconnect();
                    }
                }
            }
        }
        for to in 0..2 {
            while let Some((behind, frame)) = self.air[to].pop_front() {
                busy = true;
                if behind > 0 && !self.air[to].is_empty() {
                    let place = self.air[to].len().min(usize::from(behind));
                    self.air[to].insert(place, (0, frame));
                    continue;
                }
                self.arrive(to, &frame);
            }
            self.take(to);
        }
        self.now = self.now.after(Millis(5));
        if !busy {
            let soonest = self.sides.iter().filter_map(Side::next_timeout).min().unwrap();
            self.now = self.now.max(soonest);
        }
    }

    fn arrive(&mut self, to: usize, frame: &[u8]) {
        match self.sides[to].handle_frame(self.now, frame) {
            Received::Sent(_) => self.confirmed[to] += 1,
            Received::Refused { .. } => panic!("nothing here is too long"),
            // Now and then the owner is slow to take a message.
            Received::Message if self.frames.is_multiple_of(3) => {}
            Received::Message => self.take(to),
            _ => {}
        }
    }

    fn take(&mut self, to: usize) {
        let mut buffer = [0; ROOM];
        if let Some(message) = self.sides[to].poll_message(&mut buffer).unwrap() {
            self.received[to].push(message.to_vec());
        }
    }

    /// Runs to the end and checks that every message arrived once, whole, in order, and was confirmed.
    pub(crate) fn run(mut self, messages: &[Vec<Vec<u8>>; 2], mut fate: impl FnMut(usize) -> Fate) -> usize {
        let mut turns = 0;
        while !self.is_done() {
            self.turn(&mut fate);
            turns += 1;
            assert!(turns < 20_000, "no end: {:?}", self.sides);
        }
        self.take(0);
        self.take(1);
        assert!(self.received[1] == messages[0], "phone to band");
        assert!(self.received[0] == messages[1], "band to phone");
        assert_eq!(self.confirmed, [messages[0].len(), messages[1].len()]);
        self.frames
    }
}
