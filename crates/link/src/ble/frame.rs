//! One frame on the link.
//!
//! ```text
//!  byte   0         1        2  3        4  5        6 … 9          …       last 2
//!       ┌─────────┬────────┬──────────┬──────────┬──────────────┬────────┬────────┐
//!       │ version │session │ message  │ fragment │ total length │  data  │ CRC-16 │   all numbers big-endian
//!       │ + flags │        │    id    │  index   │ (see below)  │        │        │
//!       └─────────┴────────┴──────────┴──────────┴──────────────┴────────┴────────┘
//!  byte 0: 7 6 5 4   version, 0001
//!                3 2   zero
//!                    1 0   kind: 00 data   01 ack   10 keep-alive   11 refusal
//! ```
//!
//! | kind | message id | fragment index | total length | data |
//! |---|---|---|---|---|
//! | data | of the message | of this fragment | in fragment 0 only | a piece of the message |
//! | ack | next message expected | all fragments below this one arrived | – | 1 byte, bit *k*: fragment index + 1 + *k* arrived; 2 bytes: data length of fragment 0, by which the sender knows which cut is meant (0: none yet) |
//! | keep-alive | 0 | 0 | – | none |
//! | refusal | of the message refused | 0 | – | 4 bytes: the longest message the refusing side takes |
//!
//! The CRC is over all bytes before it ([`crate::crc`]).

use crate::crc::crc16;
use core::fmt;
use huiwan_tlv::{At, Full};

/// The version this code speaks, the high half of byte 0.
pub const VERSION: u8 = 1;
/// Length of the header that every frame has.
pub const HEADER_LEN: usize = 6;
/// Length of the total length field of a first fragment.
pub const TOTAL_LEN: usize = 4;
/// Length of the CRC.
pub const CRC_LEN: usize = 2;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body<'a> {
    /// A first fragment: the length of the whole message in bytes, and its first piece.
    First {
        /// Length of the whole message in bytes.
        total: u32,
        /// The first bytes of the message.
        data: &'a [u8],
    },
    /// A later fragment.
    Next {
        /// Its index, from 1.
        fragment: u16,
        /// Its piece of the message.
        data: &'a [u8],
    },
    /// The receiver's state.
    Ack {
        /// All fragments below this one arrived.
        below: u16,
        /// Bit *k*: fragment `below + 1 + k` arrived too.
        bitmap: u8,
        /// How many bytes of the message fragment 0 carried; 0 if it is not there.
        first: u16,
    },
    /// Asks for the receiver's state.
    KeepAlive,
    /// The message is too long for the receiver.
    Refusal {
        /// The longest message the receiver takes, in bytes.
        limit: u32,
    },
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame<'a> {
    /// The session both sides agreed on.
    pub session: u8,
    /// The message the frame speaks of.
    pub message: u16,
    /// What the frame is for.
    pub body: Body<'a>,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameError {
    /// Shorter than header and CRC.
    Truncated,
    /// The CRC does not match.
    Crc,
    /// A version other than [`VERSION`].
    Version,
    /// A first fragment without its total length.
    TotalTruncated,
    /// An ack, keep-alive or refusal whose data have the wrong length, or a fixed field that is not zero.
    Control,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "frame shorter than its header and crc",
            Self::Crc => "frame crc does not match",
            Self::Version => "unknown frame version",
            Self::TotalTruncated => "total length truncated",
            Self::Control => "malformed control field",
        })
    }
}

impl core::error::Error for FrameError {}

const KIND_DATA: u8 = 0;
const KIND_ACK: u8 = 1;
const KIND_KEEP_ALIVE: u8 = 2;
const KIND_REFUSAL: u8 = 3;

impl<'a> Frame<'a> {
    /// Reads one frame.
    ///
    /// # Errors
    /// Every [`FrameError`], with the byte it was found at. The CRC is looked at first.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<FrameError>> {
        let truncated = At::new(FrameError::Truncated, raw.len());
        let (checked, crc) = raw.split_last_chunk::<CRC_LEN>().ok_or(truncated)?;
        let (&[flags, session, m0, m1, f0, f1], rest) =
            checked.split_first_chunk::<HEADER_LEN>().ok_or(truncated)?;
        if crc16(checked) != u16::from_be_bytes(*crc) {
            return Err(At::new(FrameError::Crc, checked.len()));
        }
        if flags >> 4 != VERSION {
            return Err(At::new(FrameError::Version, 0));
        }
        let message = u16::from_be_bytes([m0, m1]);
        let fragment = u16::from_be_bytes([f0, f1]);
        if flags & 0b1100 != 0 {
            return Err(At::new(FrameError::Control, 0));
        }
        let body = match (flags & 3, fragment) {
            (KIND_DATA, 0) => match rest.split_first_chunk::<TOTAL_LEN>() {
                Some((total, data)) => Body::First { total: u32::from_be_bytes(*total), data },
                None => return Err(At::new(FrameError::TotalTruncated, checked.len())),
            },
            (KIND_DATA, _) => Body::Next { fragment, data: rest },
            (KIND_ACK, below) => match *rest {
                [bitmap, a, b] => Body::Ack { below, bitmap, first: u16::from_be_bytes([a, b]) },
                _ => return Err(At::new(FrameError::Control, HEADER_LEN)),
            },
            (KIND_KEEP_ALIVE, 0) if rest.is_empty() && message == 0 => Body::KeepAlive,
            (KIND_REFUSAL, 0) => match *rest {
                [a, b, c, d] => Body::Refusal { limit: u32::from_be_bytes([a, b, c, d]) },
                _ => return Err(At::new(FrameError::Control, HEADER_LEN)),
            },
            _ => return Err(At::new(FrameError::Control, HEADER_LEN)),
        };
        Ok(Self { session, message, body })
    }

    /// How many bytes [`write`](Self::write) needs.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let rest = match self.body {
            Body::First { data, .. } => data.len().saturating_add(TOTAL_LEN),
            Body::Next { data, .. } => data.len(),
            Body::Ack { .. } => 3,
            Body::KeepAlive => 0,
            Body::Refusal { .. } => 4,
        };
        rest.saturating_add(HEADER_LEN + CRC_LEN)
    }

    /// Writes the frame to the front of `out`.
    ///
    /// # Errors
    /// [`Full`] with the length needed.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], Full> {
        let needed = self.encoded_len();
        let full = Full { needed };
        let out = out.get_mut(..needed).ok_or(full)?;
        let (checked, crc) = out.split_last_chunk_mut::<CRC_LEN>().ok_or(full)?;
        let (header, rest) = checked.split_first_chunk_mut::<HEADER_LEN>().ok_or(full)?;
        let (kind, fragment) = match self.body {
            Body::First { .. } => (KIND_DATA, 0),
            Body::Next { fragment, .. } => (KIND_DATA, fragment),
            Body::Ack { below, .. } => (KIND_ACK, below),
            Body::KeepAlive => (KIND_KEEP_ALIVE, 0),
            Body::Refusal { .. } => (KIND_REFUSAL, 0),
        };
        let ([m0, m1], [f0, f1]) = (self.message.to_be_bytes(), fragment.to_be_bytes());
        *header = [VERSION << 4 | kind, self.session, m0, m1, f0, f1];
        match self.body {
            Body::First { total, data } => {
                let (length, rest) = rest.split_first_chunk_mut::<TOTAL_LEN>().ok_or(full)?;
                *length = total.to_be_bytes();
                rest.copy_from_slice(data);
            }
            Body::Next { data, .. } => rest.copy_from_slice(data),
            Body::Ack { bitmap, first, .. } => {
                let [a, b] = first.to_be_bytes();
                rest.copy_from_slice(&[bitmap, a, b]);
            }
            Body::KeepAlive => {}
            Body::Refusal { limit } => rest.copy_from_slice(&limit.to_be_bytes()),
        }
        *crc = crc16(checked).to_be_bytes();
        Ok(out)
    }
}
