//! One side of the link.

use super::frame::{Body, Frame, FrameError};
use super::incoming::{Incoming, State, Taken};
use super::outgoing::{Outgoing, Report};
use super::{MIN_MTU, frame};
use crate::Millis;
use core::fmt;
use huiwan_tlv::At;

/// The spans an endpoint waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Until unacknowledged fragments are sent again; doubles while nothing arrives.
    pub retransmit: Millis,
    /// The longest of these spans.
    pub retransmit_max: Millis,
    /// How long a report may wait for more fragments to report.
    pub report_delay: Millis,
    /// An endpoint that sent nothing for so long asks whether the peer is there.
    pub keep_alive: Millis,
    /// A peer not heard for so long is silent; more than twice `keep_alive`.
    pub silence: Millis,
}

impl Timing {
    /// For connection intervals of 15 to 50 ms.
    pub const DEFAULT: Self = Self {
        retransmit: Millis(200),
        retransmit_max: Millis(2_000),
        report_delay: Millis(20),
        keep_alive: Millis(2_000),
        silence: Millis(10_000),
    };
}

/// A mistake of the caller's; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// [`Endpoint::send`] before the last message was confirmed or refused.
    SendBusy,
    /// A message longer than the endpoint's buffer.
    TooLong {
        /// The longest message in bytes.
        limit: usize,
    },
    /// A connection with frames shorter than [`MIN_MTU`].
    MtuTooSmall,
    /// The caller's buffer is too small.
    BufferTooSmall {
        /// The length that would do, in bytes.
        needed: usize,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SendBusy => f.write_str("the last message is still under way"),
            Self::TooLong { limit } => write!(f, "message longer than {limit} bytes"),
            Self::MtuTooSmall => write!(f, "mtu smaller than {MIN_MTU} bytes"),
            Self::BufferTooSmall { needed } => write!(f, "buffer smaller than {needed} bytes"),
        }
    }
}

impl core::error::Error for Misuse {}

/// What a frame did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// A fragment of a message that is not whole yet.
    Fragment,
    /// The last missing fragment: [`Endpoint::poll_message`] has a message.
    Message,
    /// A fragment that was there already.
    Duplicate,
    /// A report that the message is not whole yet, or nothing new.
    Report,
    /// The peer has the message with this id, whole; the next can be sent.
    Sent(u16),
    /// The peer refused the message with this id, which is dropped; the next can be sent.
    Refused {
        /// The id [`Endpoint::send`] gave.
        message: u16,
        /// The longest message the peer takes, in bytes.
        limit: u32,
    },
    /// The peer asks whether we are there.
    KeepAlive,
    /// Nothing: the frame was dropped.
    Ignored(Ignored),
}

/// Why a frame was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// Not a frame.
    Malformed(At<FrameError>),
    /// Of another session: either side has lost its state, see [`Endpoint::restart`].
    OtherSession(u8),
    /// Of a message that cannot be: a very late frame, or, if it repeats, the peer has lost its state.
    OutOfStep(u16),
    /// Too far ahead of what has arrived.
    Window,
    /// A fragment whose length doesn't follow from the message's first.
    Length,
    /// The last message still waits for [`Endpoint::poll_message`].
    Busy,
    /// The message's total length in bytes is more than this endpoint takes; the peer is told.
    TooLong(u32),
    /// Between [`Endpoint::disconnected`] and [`Endpoint::connected`].
    NotConnected,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::OtherSession(session) => write!(f, "frame of session {session:02x}"),
            Self::OutOfStep(message) => write!(f, "frame of message {message:04x}, out of step"),
            Self::Window => f.write_str("fragment outside the window"),
            Self::Length => f.write_str("fragment of a wrong length"),
            Self::Busy => f.write_str("the last message was not taken yet"),
            Self::TooLong(total) => write!(f, "total length {total} is more than the buffer holds"),
            Self::NotConnected => f.write_str("not connected"),
        }
    }
}

impl core::error::Error for Ignored {}

/// One side of the link, with room for a message of `OUT` bytes to send and one of `IN` bytes to receive.
pub struct Endpoint<const OUT: usize, const IN: usize> {
    out: [u8; OUT],
    out_len: usize,
    input: [u8; IN],
    outgoing: Outgoing,
    incoming: Incoming,
    session: u8,
    timing: Timing,
    /// The largest frame of this connection; none without a connection.
    mtu: Option<usize>,
    /// When to report the receiver's state.
    report: Option<Millis>,
    last_sent: Millis,
    last_heard: Millis,
}

/// Without the messages, which are not for logs.
impl<const OUT: usize, const IN: usize> fmt::Debug for Endpoint<OUT, IN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("session", &self.session)
            .field("mtu", &self.mtu)
            .field("outgoing", &self.outgoing)
            .field("incoming", &self.incoming)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<const OUT: usize, const IN: usize> Endpoint<OUT, IN> {
    /// An endpoint without a connection, at the first message of `session`.
    #[must_use]
    pub const fn new(session: u8, timing: Timing) -> Self {
        Self {
            out: [0; OUT],
            out_len: 0,
            input: [0; IN],
            outgoing: Outgoing::new(),
            incoming: Incoming::new(),
            session,
            timing,
            mtu: None,
            report: None,
            last_sent: Millis(0),
            last_heard: Millis(0),
        }
    }

    /// Drops the messages under way and begins `session` at its first message; a connection stays.
    pub const fn restart(&mut self, session: u8) {
        self.session = session;
        self.out_len = 0;
        self.outgoing = Outgoing::new();
        self.incoming = Incoming::new();
        self.report = None;
    }

    /// The session both sides agreed on.
    #[must_use]
    pub const fn session(&self) -> u8 {
        self.session
    }

    /// A connection is there, whose frames have up to `mtu` bytes (in BLE the ATT MTU less 3). Messages under way go
    /// on where they stopped.
    ///
    /// # Errors
    /// [`Misuse::MtuTooSmall`].
    pub fn connected(&mut self, now: Millis, mtu: usize) -> Result<(), Misuse> {
        if mtu < MIN_MTU {
            return Err(Misuse::MtuTooSmall);
        }
        self.mtu = Some(mtu);
        self.last_sent = now;
        self.last_heard = now;
        self.report = Some(now);
        self.outgoing.connected(mtu, now.after(self.timing.retransmit));
        Ok(())
    }

    /// The connection is gone; everything else stays. The transport must not deliver frames of this connection
    /// in the next one.
    pub const fn disconnected(&mut self) {
        self.mtu = None;
        self.report = None;
    }

    /// Whether there is a connection.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.mtu.is_some()
    }

    /// Whether nothing valid was heard from a connected peer for [`Timing::silence`].
    #[must_use]
    pub fn is_silent(&self, now: Millis) -> bool {
        self.is_connected() && now.since(self.last_heard) >= self.timing.silence
    }

    /// Whether a message can be sent now.
    #[must_use]
    pub const fn can_send(&self) -> bool {
        self.outgoing.is_idle()
    }

    /// Begins to send `message`, with or without a connection; returns its id.
    ///
    /// # Errors
    /// [`Misuse::SendBusy`] until [`Received::Sent`] or [`Received::Refused`] ended the last one;
    /// [`Misuse::TooLong`].
    pub fn send(&mut self, message: &[u8]) -> Result<u16, Misuse> {
        if !self.outgoing.is_idle() {
            return Err(Misuse::SendBusy);
        }
        let too_long = Misuse::TooLong { limit: OUT };
        let place = self.out.get_mut(..message.len()).ok_or(too_long)?;
        if !self.outgoing.begin(message.len(), self.mtu.unwrap_or(MIN_MTU)) {
            return Err(too_long);
        }
        place.copy_from_slice(message);
        self.out_len = message.len();
        Ok(self.outgoing.id)
    }

    /// The length of the message that waits for [`poll_message`](Self::poll_message).
    #[must_use]
    pub const fn message_len(&self) -> Option<usize> {
        self.incoming.ready()
    }

    /// Takes the message that has arrived, if one has.
    ///
    /// # Errors
    /// [`Misuse::BufferTooSmall`]; the message stays.
    pub fn poll_message<'o>(&mut self, out: &'o mut [u8]) -> Result<Option<&'o [u8]>, Misuse> {
        let Some(message) = self.incoming.ready().and_then(|len| self.input.get(..len)) else {
            return Ok(None);
        };
        let needed = message.len();
        let out = out.get_mut(..needed).ok_or(Misuse::BufferTooSmall { needed })?;
        out.copy_from_slice(message);
        self.incoming.take();
        Ok(Some(out))
    }

    /// Takes one frame from the peer.
    pub fn handle_frame(&mut self, now: Millis, raw: &[u8]) -> Received {
        if !self.is_connected() {
            return Received::Ignored(Ignored::NotConnected);
        }
        let frame = match Frame::parse(raw) {
            Ok(frame) => frame,
            Err(error) => return Received::Ignored(Ignored::Malformed(error)),
        };
        if frame.session != self.session {
            return Received::Ignored(Ignored::OtherSession(frame.session));
        }
        self.last_heard = now;
        let message = frame.message;
        match frame.body {
            Body::First { total, data } => {
                let taken = self.incoming.first(message, total, data, &mut self.input);
                self.on_fragment(now, taken)
            }
            Body::Next { fragment, data } => {
                let taken = self.incoming.next(message, fragment, data, &mut self.input);
                self.on_fragment(now, taken)
            }
            Body::Ack { below, bitmap, first } => {
                let report = self.outgoing.report(message, below, bitmap, first);
                self.arm(now);
                match report {
                    Report::Sent(id) => Received::Sent(id),
                    Report::Current | Report::Stale => Received::Report,
                    Report::OutOfStep => Received::Ignored(Ignored::OutOfStep(message)),
                }
            }
            Body::KeepAlive => {
                self.report = Some(now);
                Received::KeepAlive
            }
            Body::Refusal { limit } if message == self.outgoing.id && !self.outgoing.is_idle() => {
                self.outgoing.finish();
                Received::Refused { message, limit }
            }
            Body::Refusal { .. } => Received::Report,
        }
    }

    fn on_fragment(&mut self, now: Millis, taken: Result<Taken, Ignored>) -> Received {
        let (wait, received) = match taken {
            // Every fourth at once, so that a full window never waits for the delay.
            Ok(Taken::InOrder) => match self.incoming.state() {
                State::Expects { below, .. } if below & 3 == 0 => (Millis(0), Received::Fragment),
                _ => (self.timing.report_delay, Received::Fragment),
            },
            Ok(Taken::OutOfOrder) => (Millis(0), Received::Fragment),
            Ok(Taken::Duplicate) => (Millis(0), Received::Duplicate),
            Ok(Taken::Whole) => (Millis(0), Received::Message),
            // The peer must hear of these; the others say nothing about our state.
            Err(why @ (Ignored::TooLong(_) | Ignored::Window)) => (Millis(0), Received::Ignored(why)),
            Err(why) => return Received::Ignored(why),
        };
        let at = now.after(wait);
        self.report = Some(self.report.map_or(at, |sooner| sooner.min(at)));
        received
    }

    /// The next frame to send now, if there is one: ask again until there is none. `out` must hold the `mtu` of the
    /// connection.
    ///
    /// # Errors
    /// [`Misuse::BufferTooSmall`].
    pub fn poll_transmit<'o>(&mut self, now: Millis, out: &'o mut [u8]) -> Result<Option<&'o [u8]>, Misuse> {
        let Some(mtu) = self.mtu else { return Ok(None) };
        let too_small = Misuse::BufferTooSmall { needed: mtu };
        let out = out.get_mut(..mtu).ok_or(too_small)?;
        self.outgoing.expire(now);
        let frame = if self.report.is_some_and(|at| at <= now) {
            self.report = None;
            self.report_frame()
        } else if self.outgoing.has_due() {
            let message = self.outgoing.id;
            let body = self.out.get(..self.out_len).and_then(|bytes| self.outgoing.next(bytes));
            let Some(body) = body else { return Ok(None) };
            self.outgoing.arm(now, self.timing.retransmit, self.timing.retransmit_max);
            Frame { session: self.session, message, body }
        } else if now.since(self.last_sent) >= self.timing.keep_alive {
            Frame { session: self.session, message: 0, body: Body::KeepAlive }
        } else {
            return Ok(None);
        };
        self.last_sent = now;
        let written =
            frame.write(out).map_err(|frame_error| Misuse::BufferTooSmall { needed: frame_error.needed })?;
        Ok(Some(written))
    }

    fn report_frame(&self) -> Frame<'static> {
        let session = self.session;
        match self.incoming.state() {
            State::Expects { id, below, bitmap, first } => {
                Frame { session, message: id, body: Body::Ack { below, bitmap, first } }
            }
            State::Refused { id } => {
                let limit = u32::try_from(IN).unwrap_or(u32::MAX);
                Frame { session, message: id, body: Body::Refusal { limit } }
            }
        }
    }

    fn arm(&mut self, now: Millis) {
        if !self.outgoing.has_due() {
            self.outgoing.arm(now, self.timing.retransmit, self.timing.retransmit_max);
        }
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) again at the latest, once it gave nothing.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Millis> {
        self.mtu?;
        let keep_alive = self.last_sent.after(self.timing.keep_alive);
        Some([self.report, self.outgoing.deadline].into_iter().flatten().fold(keep_alive, Millis::min))
    }

    /// The bytes of a frame that are not message data, at most: header, total length, CRC.
    pub const OVERHEAD: usize = frame::HEADER_LEN + frame::TOTAL_LEN + frame::CRC_LEN;
}
