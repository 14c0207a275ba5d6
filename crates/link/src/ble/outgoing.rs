//! The sending half: one message, cut into fragments, until the peer has it.

use super::{Cut, MIN_MTU, WINDOW, frame};
use crate::Millis;

/// The most a first fragment carries: reports have two bytes for it.
const FIRST_MAX: usize = u16::MAX as usize;

/// The state of the sending half; the bytes of the message are the endpoint's.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The id of the message under way, or of the next one.
    pub(super) id: u16,
    message: Option<Cut>,
    /// The message was cut anew after fragments of it had been sent.
    recut: bool,
    /// All fragments below this one arrived.
    below: u16,
    /// Bit k: fragment `below + k` arrived (bit 0 is never set).
    arrived: u8,
    /// Bit k: fragment `below + k` is to be sent now.
    due: u8,
    /// Bit k: fragment `below + k` was sent at least once in this cut.
    sent: u8,
    /// Bit k: fragment `below + k` was sent again because later ones arrived, since the last timeout.
    hurried: u8,
    /// After a connect: send again whatever the peer's first report lacks.
    resuming: bool,
    /// When unacknowledged fragments become due again.
    pub(super) deadline: Option<Millis>,
    /// How often that happened without progress.
    timeouts: u32,
}

/// What a report of the peer's meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The message is over: the peer has it whole.
    Sent(u16),
    /// It says something about the message under way.
    Current,
    /// It is older than what is known.
    Stale,
    /// It speaks of a message that can't be: the peer lost its state.
    OutOfStep,
}

impl Outgoing {
    pub(super) const fn new() -> Self {
        Self {
            id: 0,
            message: None,
            recut: false,
            below: 0,
            arrived: 0,
            due: 0,
            sent: 0,
            hurried: 0,
            resuming: false,
            deadline: None,
            timeouts: 0,
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.message.is_none()
    }

    /// The bytes of the message a first fragment has room for in a frame of `mtu` bytes.
    const fn room(mtu: usize) -> usize {
        let room = mtu.saturating_sub(frame::HEADER_LEN + frame::TOTAL_LEN + frame::CRC_LEN);
        if room < FIRST_MAX { room } else { FIRST_MAX }
    }

    /// Begins a message of `total` bytes; false if it could need more fragments than an index can number.
    pub(super) fn begin(&mut self, total: usize, mtu: usize) -> bool {
        if Cut::new(total, Self::room(MIN_MTU).min(total)).is_none() {
            return false;
        }
        self.recut = false;
        self.cut(total, mtu);
        true
    }

    fn cut(&mut self, total: usize, mtu: usize) {
        self.message = Cut::new(total, Self::room(mtu).min(total));
        self.below = 0;
        self.arrived = 0;
        self.sent = 0;
        self.hurried = 0;
        self.resuming = false;
        self.timeouts = 0;
        self.deadline = None;
        self.due = self.window();
    }

    /// The message is over, for better or worse; the next has the next id.
    pub(super) fn finish(&mut self) {
        *self = Self { id: self.id.wrapping_add(1), ..Self::new() };
    }

    /// A new connection with frames of `mtu` bytes.
    pub(super) fn connected(&mut self, mtu: usize, deadline: Millis) {
        let Some(message) = self.message else { return };
        let never_sent = self.sent == 0 && self.below == 0;
        if never_sent || message.first > Self::room(mtu) {
            self.recut |= !never_sent;
            return self.cut(message.total, mtu);
        }
        // The peer reports its state on connect too; until then nothing is sent twice.
        self.due = self.window() & !self.sent & !self.arrived;
        self.hurried = 0;
        self.resuming = true;
        self.timeouts = 0;
        self.deadline = (self.sent != 0).then_some(deadline);
    }

    /// Bits of the fragments in the window that exist. A message cut anew sends its first fragment alone until the
    /// peer has it, so that no later one can meet the earlier cut.
    fn window(&self) -> u8 {
        let Some(message) = self.message else { return 0 };
        let window = if self.recut && self.below == 0 { 1 } else { WINDOW };
        low_bits(message.count.saturating_sub(self.below).min(window))
    }

    /// Takes the peer's report that `id` is what it expects, with all fragments below `below` and those of
    /// `bitmap` there, in the cut whose first fragment has `first` bytes.
    pub(super) fn report(&mut self, id: u16, below: u16, bitmap: u8, first: u16) -> Report {
        let next = self.id.wrapping_add(1);
        if id == next && self.message.is_some() {
            let done = self.id;
            self.finish();
            return Report::Sent(done);
        }
        if id != self.id {
            return if id == self.id.wrapping_sub(1) { Report::Stale } else { Report::OutOfStep };
        }
        let Some(message) = self.message else { return Report::Current };
        if below == 0 {
            // Nothing of this message is there yet, hence no cut either.
            if self.resuming {
                self.resume();
            }
            return Report::Current;
        }
        let Some(shift) = below.checked_sub(self.below) else { return Report::Stale };
        if usize::from(first) != message.first || shift > WINDOW || below >= message.count {
            return Report::Stale;
        }
        let known_before = self.arrived;
        self.below = below;
        self.arrived = shift_down(self.arrived, shift) | (bitmap << 1);
        self.arrived &= self.window();
        self.sent = shift_down(self.sent, shift);
        self.hurried = shift_down(self.hurried, shift);
        self.due = (shift_down(self.due, shift) | (self.window() & !self.sent)) & !self.arrived;
        if self.resuming {
            self.resume();
        }
        // Fragments that later ones overtook go out again at once, but only once until the next timeout: they may
        // merely be late.
        let overtaken =
            low_bits(u16::try_from(8_u32.saturating_sub(self.arrived.leading_zeros())).unwrap_or(0));
        let again = overtaken & self.sent & !self.arrived & !self.hurried;
        self.due |= again;
        self.hurried |= again;
        if shift > 0 || self.arrived != known_before {
            self.timeouts = 0;
            self.deadline = None;
        }
        Report::Current
    }

    fn resume(&mut self) {
        self.resuming = false;
        self.due = self.window() & !self.arrived;
    }

    /// Sets the deadline for what is under way, if it has none: the spans double while nothing arrives.
    pub(super) fn arm(&mut self, now: Millis, first: Millis, longest: Millis) {
        if self.deadline.is_none() && self.message.is_some() {
            let span =
                first.0.saturating_mul(1_u64.checked_shl(self.timeouts).unwrap_or(u64::MAX)).min(longest.0);
            self.deadline = Some(now.after(Millis(span)));
        }
    }

    /// Whatever is unacknowledged at the deadline is due again.
    pub(super) fn expire(&mut self, now: Millis) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.resuming = false;
            self.timeouts = self.timeouts.saturating_add(1);
            self.hurried = 0;
            self.due = self.window() & !self.arrived;
        }
    }

    /// The next fragment to send, as a frame body over `bytes`, the whole message.
    pub(super) fn next<'m>(&mut self, bytes: &'m [u8]) -> Option<frame::Body<'m>> {
        let message = self.message?;
        if self.due == 0 {
            return None;
        }
        let bit = self.due.trailing_zeros();
        let fragment = self.below.checked_add(u16::try_from(bit).ok()?)?;
        let data = bytes.get(message.range(fragment)?)?;
        let body = match fragment {
            0 => frame::Body::First { total: u32::try_from(message.total).ok()?, data },
            _ => frame::Body::Next { fragment, data },
        };
        let mask = 1_u8.checked_shl(bit)?;
        self.due &= !mask;
        self.sent |= mask;
        Some(body)
    }

    pub(super) const fn has_due(&self) -> bool {
        self.due != 0
    }
}

/// The `count` lowest bits.
fn low_bits(count: u16) -> u8 {
    match u32::from(count) {
        0 => 0,
        count => u8::MAX.checked_shr(8_u32.saturating_sub(count)).unwrap_or(u8::MAX),
    }
}

fn shift_down(bits: u8, by: u16) -> u8 {
    bits.checked_shr(u32::from(by)).unwrap_or(0)
}
