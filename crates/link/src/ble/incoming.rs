//! The receiving half: one message, put together from its fragments, until the caller takes it.

use super::endpoint::Ignored;
use super::{Cut, WINDOW};

/// The state of the receiving half; the bytes of the message are the endpoint's.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The id of the message under way, or of the next one.
    id: u16,
    /// How the message under way is cut; known from its first fragment on.
    message: Option<Cut>,
    /// All fragments below this one arrived.
    below: u16,
    /// Bit k: fragment `below + 1 + k` arrived.
    bitmap: u8,
    /// The length of the message that waits for the caller.
    ready: Option<usize>,
    /// The message before `id` was refused.
    refused: bool,
}

/// What a fragment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The next in order; more will come.
    InOrder,
    /// Arrived, but an earlier one is missing.
    OutOfOrder,
    /// Was there already.
    Duplicate,
    /// The message is whole.
    Whole,
}

/// The receiver's state, as its report says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Expects { id: u16, below: u16, bitmap: u8, first: u16 },
    Refused { id: u16 },
}

impl Incoming {
    pub(super) const fn new() -> Self {
        Self { id: 0, message: None, below: 0, bitmap: 0, ready: None, refused: false }
    }

    /// What to report to the peer now.
    pub(super) fn state(&self) -> State {
        if self.refused {
            return State::Refused { id: self.id.wrapping_sub(1) };
        }
        // A longer first fragment than the field holds never gets here.
        let first = self.message.map_or(0, |cut| u16::try_from(cut.first).unwrap_or(0));
        State::Expects { id: self.id, below: self.below, bitmap: self.bitmap, first }
    }

    /// The length of the message that waits for the caller.
    pub(super) const fn ready(&self) -> Option<usize> {
        self.ready
    }

    /// The caller has taken the message.
    pub(super) const fn take(&mut self) {
        self.ready = None;
    }

    /// The first fragment of message `id`.
    pub(super) fn first(
        &mut self,
        id: u16,
        total: u32,
        data: &[u8],
        bytes: &mut [u8],
    ) -> Result<Taken, Ignored> {
        if let Some(old) = self.check(id)? {
            return Ok(old);
        }
        let length = usize::try_from(total).ok().filter(|&length| length <= bytes.len());
        let Some(cut) = length
            .and_then(|length| Cut::new(length, data.len()).filter(|_| data.len() <= usize::from(u16::MAX)))
        else {
            if length.is_some_and(|length| length < data.len() || data.is_empty()) {
                return Err(Ignored::Length);
            }
            self.next_message();
            self.refused = true;
            return Err(Ignored::TooLong(total));
        };
        if self.message == Some(cut) {
            return Ok(Taken::Duplicate);
        }
        // The sender cut the message anew for this connection.
        self.message = Some(cut);
        self.below = 0;
        self.bitmap = 0;
        self.refused = false;
        self.store(cut, 0, data, bytes)
    }

    /// A later fragment of message `id`.
    pub(super) fn next(
        &mut self,
        id: u16,
        fragment: u16,
        data: &[u8],
        bytes: &mut [u8],
    ) -> Result<Taken, Ignored> {
        if let Some(old) = self.check(id)? {
            return Ok(old);
        }
        let Some(cut) = self.message else { return Err(Ignored::Window) };
        self.store(cut, fragment, data, bytes)
    }

    /// Whether message `id` is the one under way; an older one was received already.
    fn check(&self, id: u16) -> Result<Option<Taken>, Ignored> {
        if id == self.id.wrapping_sub(1) {
            return Ok(Some(Taken::Duplicate));
        }
        if id != self.id {
            return Err(Ignored::OutOfStep(id));
        }
        if self.ready.is_some() {
            return Err(Ignored::Busy);
        }
        Ok(None)
    }

    fn store(&mut self, cut: Cut, fragment: u16, data: &[u8], bytes: &mut [u8]) -> Result<Taken, Ignored> {
        let Some(ahead) = fragment.checked_sub(self.below) else { return Ok(Taken::Duplicate) };
        if ahead >= WINDOW {
            return Err(Ignored::Window);
        }
        let place = cut.range(fragment).and_then(|range| bytes.get_mut(range));
        let Some(place) = place.filter(|place| place.len() == data.len()) else {
            return Err(Ignored::Length);
        };
        match ahead.checked_sub(1) {
            None => {
                place.copy_from_slice(data);
                let run = self.bitmap.trailing_ones();
                self.bitmap = self.bitmap.checked_shr(run.saturating_add(1)).unwrap_or(0);
                self.below = self
                    .below
                    .saturating_add(1)
                    .saturating_add(u16::try_from(run).unwrap_or(0))
                    .min(cut.count);
            }
            Some(later) => {
                let bit = 1_u8.checked_shl(u32::from(later)).unwrap_or(0);
                if self.bitmap & bit != 0 {
                    return Ok(Taken::Duplicate);
                }
                place.copy_from_slice(data);
                self.bitmap |= bit;
                return Ok(Taken::OutOfOrder);
            }
        }
        if self.below < cut.count {
            return Ok(if self.bitmap == 0 { Taken::InOrder } else { Taken::OutOfOrder });
        }
        self.next_message();
        self.ready = Some(cut.total);
        Ok(Taken::Whole)
    }

    fn next_message(&mut self) {
        *self = Self { id: self.id.wrapping_add(1), ..Self::new() };
    }
}
