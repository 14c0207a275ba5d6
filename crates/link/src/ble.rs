//! Messages over a BLE link (or any lossy link of small frames), exactly once and in order.
//!
//! An [`Endpoint`] sits on each side. Each direction carries one message at a time, cut into fragments of which
//! up to [`WINDOW`] are under way; the receiver's state report (cumulative, plus a bitmap of what came out of
//! order) is its only answer, a pure function of its state, so it can be lost, doubled or late without harm.
//!
//! ```text
//!   phone                                                       band
//!     │  data   message 7, fragment 0 (total 300), 1, 2 … 7       │
//!     │ ────────────────────────────────────────────────────────► │   fragment 2 is lost
//!     │  ack    message 7, fragment 2, bitmap 0001 1111           │   "all below 2; 3 to 7 too"
//!     │ ◄──────────────────────────────────────────────────────── │
//!     │  data   message 7, fragment 2, then 8 …                   │
//!     │ ────────────────────────────────────────────────────────► │
//!     │  ack    message 8, fragment 0                             │   "message 7 is whole; next is 8"
//!     │ ◄──────────────────────────────────────────────────────── │
//! ```
//!
//! - **Disconnect**: both sides keep their state. [`Endpoint::connected`] makes each report its state, and the
//!   sender goes on with the fragments the peer lacks; if the new connection's frames are smaller, it cuts the
//!   message anew, and the receiver starts that message over.
//! - **Session**: a byte both callers agree on when they pair, changed with [`Endpoint::restart`] when either
//!   side lost its state. Frames of another session are ignored and reported.
//! - **Too long**: a message longer than the receiver's buffer is refused by name; the sender learns the limit.
//! - **Silence**: an idle endpoint sends a keep-alive; [`Endpoint::is_silent`] says when the peer is gone.
//!
//! The caller owns radio, clock and threads: it hands every arriving frame to [`Endpoint::handle_frame`], sends
//! what [`Endpoint::poll_transmit`] gives until it gives nothing, and sleeps until [`Endpoint::next_timeout`].

mod endpoint;
pub mod frame;
mod incoming;
mod outgoing;

pub use endpoint::{Endpoint, Ignored, Misuse, Received, Timing};

/// How many fragments of a message may be under way at once.
pub const WINDOW: u16 = 8;

/// The smallest frame a connection may offer: what the ATT default of 23 bytes leaves for data.
pub const MIN_MTU: usize = 20;

/// How one message is cut into fragments: the same arithmetic on both sides.
///
/// The first fragment carries `first` bytes, every other `first + 4` (it has no total length), the last what is
/// left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    total: usize,
    first: usize,
    count: u16,
}

impl Cut {
    /// The cut of `total` bytes whose first fragment has `first`; `None` if that makes no progress or more
    /// fragments than an index can number.
    fn new(total: usize, first: usize) -> Option<Self> {
        let rest = total.checked_sub(first)?;
        if first == 0 && rest != 0 {
            return None;
        }
        let count = rest.div_ceil(first.checked_add(frame::TOTAL_LEN)?).checked_add(1)?;
        // The index after the last fragment must be a number too: reports say "all below".
        let count = u16::try_from(count).ok().filter(|&count| count < u16::MAX)?;
        Some(Self { total, first, count })
    }

    /// Where fragment `index` lies in the message.
    fn range(&self, index: u16) -> Option<core::ops::Range<usize>> {
        if index >= self.count {
            return None;
        }
        let Some(before) = usize::from(index).checked_sub(1) else {
            return Some(0..self.first);
        };
        let each = self.first.checked_add(frame::TOTAL_LEN)?;
        let start = self.first.checked_add(before.checked_mul(each)?)?;
        Some(start..start.saturating_add(each).min(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_covers_the_message_without_overlap() {
        for total in 0..200 {
            for first in 0..=total {
                let Some(cut) = Cut::new(total, first) else {
                    assert!(first == 0 && total > 0);
                    continue;
                };
                let mut at = 0;
                for index in 0..cut.count {
                    let range = cut.range(index).unwrap();
                    assert_eq!(range.start, at);
                    assert!(!range.is_empty() || total == 0);
                    at = range.end;
                }
                assert_eq!(at, total);
                assert_eq!(cut.range(cut.count), None);
            }
        }
    }

    #[test]
    fn more_fragments_than_an_index_can_number_are_refused() {
        assert!(Cut::new(1 + 5 * 65_533, 1).is_some_and(|cut| cut.count == 65_534));
        assert_eq!(Cut::new(2 + 5 * 65_533, 1), None);
        assert_eq!(Cut::new(usize::MAX, 1), None);
    }
}
