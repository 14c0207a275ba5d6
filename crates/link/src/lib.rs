//! Sans-IO framing that carries APDUs between a phone and a wearable exactly once.
//!
//! Where is what:
//!
//! - [`ble`]: messages over a lossy byte link: [`ble::Endpoint`] on either side of a BLE characteristic pair
//! - [`ble::frame`]: the byte table of one frame
//! - [`crc`]: the CRC-16 of ISO/IEC 13239 that closes every frame
//! - [`Millis`]: time, which is always the caller's
//!
//! Nothing here encrypts or authenticates: the CRC finds accidents, not attackers. What travels is protected by
//! the secure channel between its ends; this layer only promises that an honest peer's messages arrive whole, in
//! order and once, whatever the radio does, and that no frame makes it panic or take more memory.
//!
//! ```
//! use huiwan_link::{Millis, ble::{Endpoint, Received, Timing}};
//!
//! let mut phone = Endpoint::<256, 256>::new(0x5A, Timing::DEFAULT);
//! let mut band = Endpoint::<256, 256>::new(0x5A, Timing::DEFAULT);
//! let now = Millis(0);
//! phone.connected(now, 20)?;
//! band.connected(now, 20)?;
//!
//! let select = [0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x00];
//! let id = phone.send(&select)?;
//!
//! // Whoever owns the radio moves frames until both sides are quiet.
//! let (mut frame, mut message) = ([0; 20], [0; 256]);
//! let mut confirmed = None;
//! loop {
//!     if let Some(frame) = phone.poll_transmit(now, &mut frame)? {
//!         band.handle_frame(now, frame);
//!     } else if let Some(frame) = band.poll_transmit(now, &mut frame)? {
//!         if let Received::Sent(id) = phone.handle_frame(now, frame) {
//!             confirmed = Some(id);
//!         }
//!     } else {
//!         break;
//!     }
//! }
//! assert_eq!(band.poll_message(&mut message)?, Some(&select[..]));
//! assert_eq!(confirmed, Some(id));
//! # Ok::<(), huiwan_link::ble::Misuse>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod ble;
pub mod crc;

/// A point in time or a span, in milliseconds of any clock of the caller's that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// This point in time, `span` later; stays at the end of time instead of wrapping.
    #[must_use]
    pub const fn after(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span from `earlier` to this point; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}
