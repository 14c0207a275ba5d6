//! Security parameters: two bytes that say how command and response are protected, and what the counter has to be.

use super::{COUNTER_MAX, Status};

/// What the counter has to be. (SPI byte 1, b5b4)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterRule {
    /// There is none; the field is there and means nothing.
    None,
    /// It is there and not looked at.
    Unchecked,
    /// Higher than the last one.
    Higher,
    /// One higher than the last one.
    Next,
}

impl CounterRule {
    /// Whether a packet with counter `received` is to be carried out after one with `last`.
    ///
    /// # Errors
    /// [`Status::CounterLow`], [`Status::CounterHigh`] or, at the counter's end, [`Status::CounterBlocked`].
    pub const fn check(self, last: u64, received: u64) -> Result<(), Status> {
        match self {
            Self::None | Self::Unchecked => Ok(()),
            _ if last >= COUNTER_MAX => Err(Status::CounterBlocked),
            _ if received <= last => Err(Status::CounterLow),
            Self::Next if received.wrapping_sub(last) != 1 => Err(Status::CounterHigh),
            Self::Higher | Self::Next => Ok(()),
        }
    }
}

/// When a response packet is wanted. (SPI byte 2, b2b1)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Respond {
    /// Never.
    Never,
    /// Always.
    Always,
    /// If something went wrong.
    OnError,
}

/// The security parameters, two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spi {
    /// There is a checksum.
    pub checksum: bool,
    /// The packet is encrypted.
    pub ciphered: bool,
    /// The counter.
    pub counter: CounterRule,
    /// Whether to answer.
    pub respond: Respond,
    /// The response has a checksum.
    pub response_checksum: bool,
    /// The response is encrypted.
    pub response_ciphered: bool,
    /// How the response travels: b6 of the second byte, which is the bearer's affair.
    pub response_by_submit: bool,
}

impl Spi {
    /// Reads the two bytes; `None` for reserved values, and for redundancy checks and signatures.
    #[must_use]
    pub const fn from_bytes([first, second]: [u8; 2]) -> Option<Self> {
        if first & 0xE0 != 0 || second & 0xC0 != 0 {
            return None;
        }
        let checksum = match first & 0x03 {
            0 => false,
            2 => true,
            _ => return None,
        };
        let response_checksum = match second & 0x0C {
            0x00 => false,
            0x08 => true,
            _ => return None,
        };
        let counter = match first & 0x18 {
            0x00 => CounterRule::None,
            0x08 => CounterRule::Unchecked,
            0x10 => CounterRule::Higher,
            _ => CounterRule::Next,
        };
        let respond = match second & 0x03 {
            0 => Respond::Never,
            1 => Respond::Always,
            2 => Respond::OnError,
            _ => return None,
        };
        Some(Self {
            checksum,
            ciphered: first & 0x04 != 0,
            counter,
            respond,
            response_checksum,
            response_ciphered: second & 0x10 != 0,
            response_by_submit: second & 0x20 != 0,
        })
    }

    /// The two bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 2] {
        let counter = match self.counter {
            CounterRule::None => 0x00,
            CounterRule::Unchecked => 0x08,
            CounterRule::Higher => 0x10,
            CounterRule::Next => 0x18,
        };
        let respond = match self.respond {
            Respond::Never => 0x00,
            Respond::Always => 0x01,
            Respond::OnError => 0x02,
        };
        [
            counter | (self.checksum as u8) << 1 | (self.ciphered as u8) << 2,
            respond
                | (self.response_checksum as u8) << 3
                | (self.response_ciphered as u8) << 4
                | (self.response_by_submit as u8) << 5,
        ]
    }
}
