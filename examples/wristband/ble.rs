//! The air between phone and band: two link endpoints, and frames that get lost, doubled and overtaken.

use huiwan_link::Millis;
use huiwan_link::ble::{Endpoint, Timing};
use huiwan_testkit::rng::Seeded;

/// The longest relay message: an extended-length-free response, its status word and the relay's two bytes.
const MESSAGE: usize = 264;
/// What an ATT packet carries after phone and band agreed on 185 bytes of MTU.
const MTU: usize = 182;
/// Frames lost and frames doubled, in percent.
const LOSS: u64 = 10;
const DOUBLING: u64 = 5;
/// Every so many messages the connection drops once, in the middle.
const DROP_EVERY: u64 = 40;

/// One phone–band connection with its weather.
pub struct Ble {
    phone: Endpoint<MESSAGE, MESSAGE>,
    band: Endpoint<MESSAGE, MESSAGE>,
    now: Millis,
    air: Vec<Flight>,
    dice: Seeded,
    pub report: Report,
}

/// What the air did so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub messages: u64,
    pub frames: u64,
    pub lost: u64,
    pub doubled: u64,
    pub disconnects: u64,
}

struct Flight {
    arrives: Millis,
    to_band: bool,
    frame: Vec<u8>,
}

impl Ble {
    pub fn new(seed: u64) -> Self {
        let mut ble = Self {
            phone: Endpoint::new(1, Timing::DEFAULT),
            band: Endpoint::new(1, Timing::DEFAULT),
            now: Millis(0),
            air: Vec::new(),
            dice: Seeded::new(seed),
            report: Report::default(),
        };
        ble.connect();
        ble
    }

    /// Milliseconds of simulated radio time since the beginning.
    pub fn elapsed(&self) -> u64 {
        self.now.0
    }

    /// Carries `request` to the band, lets `serve` answer it there, and carries the answer back. However bad
    /// the air is, `serve` runs exactly once.
    pub fn ask(&mut self, request: &[u8], mut serve: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
        self.report.messages += 1;
        let mut drop_in = self.report.messages.is_multiple_of(DROP_EVERY).then_some(2);
        let mut request = Some(request);
        let mut answer: Option<Vec<u8>> = None;
        let mut served = false;
        let mut message = [0; MESSAGE];
        loop {
            // A side may not send while the word that its last message arrived is still in the air.
            if self.phone.can_send()
                && let Some(request) = request.take()
            {
                self.phone.send(request).expect("the relay keeps to the length");
            }
            if self.band.can_send()
                && let Some(answer) = answer.take()
            {
                self.band.send(&answer).expect("the relay keeps to the length");
            }
            self.launch();
            self.advance();
            if let Some(request) = self.band.poll_message(&mut message).expect("the buffer holds any message")
            {
                assert!(!served, "the link delivered a request twice");
                served = true;
                answer = Some(serve(request));
            }
            if let Some(answer) = self.phone.poll_message(&mut message).expect("the buffer holds any message")
            {
                return answer.to_vec();
            }
            if let Some(left) = &mut drop_in {
                *left -= 1;
                if *left == 0 {
                    drop_in = None;
                    self.drop_connection();
                }
            }
        }
    }

    /// Puts every frame that is due into the air.
    fn launch(&mut self) {
        let mut frame = [0; MTU];
        for to_band in [true, false] {
            let side = if to_band { &mut self.phone } else { &mut self.band };
            while let Some(sent) = side.poll_transmit(self.now, &mut frame).expect("the buffer holds the mtu")
            {
                self.report.frames += 1;
                if self.dice.below(100) < LOSS {
                    self.report.lost += 1;
                    continue;
                }
                let copies = if self.dice.below(100) < DOUBLING { 2 } else { 1 };
                self.report.doubled += copies - 1;
                for _ in 0..copies {
                    // Between one and three connection intervals: frames overtake each other.
                    let arrives = self.now.after(Millis(15 + self.dice.below(30)));
                    self.air.push(Flight { arrives, to_band, frame: sent.to_vec() });
                }
            }
        }
    }

    /// Moves the clock to the next thing that happens and lets what arrives by then land.
    fn advance(&mut self) {
        let timers = [self.phone.next_timeout(), self.band.next_timeout()].into_iter().flatten();
        let next = timers.chain(self.air.iter().map(|flight| flight.arrives)).min();
        self.now = next.map_or(self.now.after(Millis(1)), |next| next.max(self.now));
        self.air.sort_by_key(|flight| flight.arrives);
        let landed = self.air.partition_point(|flight| flight.arrives <= self.now);
        for flight in self.air.drain(..landed) {
            let side = if flight.to_band { &mut self.band } else { &mut self.phone };
            side.handle_frame(self.now, &flight.frame);
        }
    }

    fn drop_connection(&mut self) {
        self.report.disconnects += 1;
        self.air.clear();
        self.phone.disconnected();
        self.band.disconnected();
        self.now = self.now.after(Millis(1_500));
        self.connect();
    }

    fn connect(&mut self) {
        for side in [&mut self.phone, &mut self.band] {
            side.connected(self.now, MTU).expect("the mtu is above the link's minimum");
        }
    }
}
