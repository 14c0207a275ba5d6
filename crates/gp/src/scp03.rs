//! Secure Channel Protocol 03 over AES: what host and card both compute, in S8 mode (8-byte challenges and MACs). (AmdD)
//!
//! ```text
//! host                                              card
//!  INITIALIZE UPDATE (host challenge)        ──▶     counter + 1, card challenge       challenge
//!                                                    session keys, card cryptogram     session_keys, cryptogram
//!  verify, host cryptogram, first C-MAC      ◀──
//!  EXTERNAL AUTHENTICATE (level)             ──▶     verify both, session opens        cryptogram, c_mac
//!  command: encrypt, then MAC                ──▶     check MAC, then decrypt           c_enc, c_mac
//!  check MAC, then decrypt                   ◀──     encrypt, then MAC                 r_enc, r_mac
//! ```
//!
//! Host and card hold their own state machines ([`crate::host::secure_channel`], [`crate::card::secure_channel`]).

pub mod c_enc;
pub mod c_mac;
pub mod challenge;
pub mod cryptogram;
pub mod r_enc;
pub mod r_mac;
pub mod session_keys;

pub use session_keys::{SessionKeys, StaticKeys};

use huiwan_card::Protection;

/// The protocol number in an INITIALIZE UPDATE answer and in card recognition data.
pub const SCP: u8 = 0x03;
/// Bytes of a C-MAC or R-MAC on the wire.
pub const MAC_LEN: usize = 8;
/// Bytes of a host or card challenge.
pub const CHALLENGE_LEN: usize = 8;
/// The most bytes of plain command data a short command carries, per level.
///
/// 255 bytes on the wire less the MAC; with encryption the padded length must be whole blocks.
#[must_use]
pub const fn max_command_data(level: Level) -> usize {
    match level {
        Level::Authenticated => 255,
        Level::CMac | Level::CMacRMac => 247,
        Level::CMacCEnc | Level::CMacCEncRMac | Level::All => 239,
    }
}

/// The most bytes of plain response data a short response carries, per level.
#[must_use]
pub const fn max_response_data(level: Level) -> usize {
    match level {
        Level::Authenticated | Level::CMac | Level::CMacCEnc => 256,
        Level::CMacRMac | Level::CMacCEncRMac => 248,
        Level::All => 239,
    }
}

/// The "i" parameter: what a card's SCP03 can do. [AmdD 5.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options(u8);

impl Options {
    /// Random challenge, C-MAC and C-ENC only.
    pub const I00: Self = Self(0x00);
    /// Pseudo-random challenge.
    pub const I10: Self = Self(0x10);
    /// Random challenge and R-MAC.
    pub const I20: Self = Self(0x20);
    /// Pseudo-random challenge and R-MAC.
    pub const I30: Self = Self(0x30);
    /// Random challenge, R-MAC and R-ENC.
    pub const I60: Self = Self(0x60);
    /// Pseudo-random challenge, R-MAC and R-ENC.
    pub const I70: Self = Self(0x70);

    /// Reads "i"; `None` for a value this crate does not speak (S16, bit b1, among them).
    #[must_use]
    pub const fn from_byte(i: u8) -> Option<Self> {
        match i {
            0x00 | 0x10 | 0x20 | 0x30 | 0x60 | 0x70 => Some(Self(i)),
            _ => None,
        }
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// The card challenge is computed from a counter, so a host can know it ahead of time (b5).
    #[must_use]
    pub const fn pseudo_random(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// R-MAC is supported (b6).
    #[must_use]
    pub const fn r_mac(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// R-ENC is supported (b7).
    #[must_use]
    pub const fn r_enc(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Whether a session of this level can be opened with these options.
    #[must_use]
    pub const fn allows(self, level: Level) -> bool {
        (!level.r_mac() || self.r_mac()) && (!level.r_enc() || self.r_enc())
    }
}

/// Security level of a session: P1 of EXTERNAL AUTHENTICATE. [AmdD 7.1.2.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// Authenticated only: later commands are plain.
    Authenticated = 0x00,
    /// Command MACs.
    CMac = 0x01,
    /// Command MACs and encryption.
    CMacCEnc = 0x03,
    /// Command and response MACs.
    CMacRMac = 0x11,
    /// Command MACs and encryption, response MACs.
    CMacCEncRMac = 0x13,
    /// MACs and encryption both ways.
    All = 0x33,
}

impl Level {
    /// Every level, weakest first.
    pub const EVERY: [Self; 6] =
        [Self::Authenticated, Self::CMac, Self::CMacCEnc, Self::CMacRMac, Self::CMacCEncRMac, Self::All];

    /// Reads P1 of EXTERNAL AUTHENTICATE; `None` for a combination SCP03 does not have.
    #[must_use]
    pub const fn from_byte(p1: u8) -> Option<Self> {
        Some(match p1 {
            0x00 => Self::Authenticated,
            0x01 => Self::CMac,
            0x03 => Self::CMacCEnc,
            0x11 => Self::CMacRMac,
            0x13 => Self::CMacCEncRMac,
            0x33 => Self::All,
            _ => return None,
        })
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Commands carry a MAC.
    #[must_use]
    pub const fn c_mac(self) -> bool {
        self.byte() & 0x01 != 0
    }

    /// Command data is encrypted.
    #[must_use]
    pub const fn c_enc(self) -> bool {
        self.byte() & 0x02 != 0
    }

    /// Responses carry a MAC.
    #[must_use]
    pub const fn r_mac(self) -> bool {
        self.byte() & 0x10 != 0
    }

    /// Response data is encrypted.
    #[must_use]
    pub const fn r_enc(self) -> bool {
        self.byte() & 0x20 != 0
    }

    /// What an application behind this session is told.
    #[must_use]
    pub const fn protection(self) -> Protection {
        Protection {
            authenticated: true,
            c_mac: self.c_mac(),
            c_enc: self.c_enc(),
            r_mac: self.r_mac(),
            r_enc: self.r_enc(),
        }
    }
}
