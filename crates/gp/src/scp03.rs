//! Secure Channel Protocol 03 over AES: what host and card both compute, with 8-byte (S8) or 16-byte (S16) challenges and MACs. (AmdD)
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

pub use crate::secure_channel::Level;

/// The protocol number in an INITIALIZE UPDATE answer and in card recognition data.
pub const SCP: u8 = 0x03;

/// How long challenges, cryptograms and MACs are. S16 came with Amendment D 1.2; its rows rest on implementations. \[GPPro #362, Samsung\]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// 8 bytes.
    #[default]
    S8,
    /// 16 bytes.
    S16,
}

impl Mode {
    /// Bytes of a challenge, a cryptogram or a MAC.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> usize {
        match self {
            Self::S8 => 8,
            Self::S16 => 16,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::S8 => Self::S16,
            Self::S16 => Self::S8,
        }
    }

    /// The mode whose challenges have this many bytes.
    #[must_use]
    pub const fn of_len(len: usize) -> Option<Self> {
        match len {
            8 => Some(Self::S8),
            16 => Some(Self::S16),
            _ => None,
        }
    }

    /// The most bytes of plain command data a short command carries: 255 on the wire less the MAC; with encryption whole blocks with
    /// at least one byte of padding.
    #[must_use]
    pub const fn max_command_data(self, level: Level) -> usize {
        match (level.c_mac(), level.c_enc(), self) {
            (_, true, Self::S8) => 239,
            (_, true, Self::S16) => 223,
            (true, false, Self::S8) => 247,
            (true, false, Self::S16) => 239,
            (false, false, _) => 255,
        }
    }

    /// The most bytes of plain response data a short response carries.
    #[must_use]
    pub const fn max_response_data(self, level: Level) -> usize {
        match (level.r_mac(), level.r_enc(), self) {
            (_, true, _) => 239,
            (true, false, Self::S8) => 248,
            (true, false, Self::S16) => 240,
            (false, false, _) => 256,
        }
    }
}

/// A challenge or a cryptogram: 8 or 16 bytes, by the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Octets {
    bytes: [u8; 16],
    mode: Mode,
}

impl Octets {
    /// Takes 8 or 16 bytes; `None` for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mode = Mode::of_len(bytes.len())?;
        let mut octets = Self::zero(mode);
        octets.as_mut().copy_from_slice(bytes);
        Some(octets)
    }

    /// Zeros, to be filled.
    #[must_use]
    pub const fn zero(mode: Mode) -> Self {
        Self { bytes: [0; 16], mode }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.mode.len()).unwrap_or_default()
    }

    /// The bytes, zeros behind them.
    pub(crate) const fn filled(&self) -> [u8; 16] {
        self.bytes
    }

    /// The mode they are of.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl AsMut<[u8]> for Octets {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.mode.len()).unwrap_or_default()
    }
}

impl From<[u8; 8]> for Octets {
    fn from([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self { bytes: [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0], mode: Mode::S8 }
    }
}

impl From<[u8; 16]> for Octets {
    fn from(bytes: [u8; 16]) -> Self {
        Self { bytes, mode: Mode::S16 }
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

    /// Reads "i"; `None` for a value nobody defines.
    #[must_use]
    pub const fn from_byte(i: u8) -> Option<Self> {
        match i & !0x01 {
            0x00 | 0x10 | 0x20 | 0x30 | 0x60 | 0x70 => Some(Self(i)),
            _ => None,
        }
    }

    /// The same in another mode.
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> Self {
        match mode {
            Mode::S8 => Self(self.0 & !0x01),
            Mode::S16 => Self(self.0 | 0x01),
        }
    }

    /// S8 or S16 (b1).
    #[must_use]
    pub const fn mode(self) -> Mode {
        if self.0 & 0x01 != 0 { Mode::S16 } else { Mode::S8 }
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
        (!level.r_mac() || (level.c_mac() && self.r_mac())) && (!level.r_enc() || self.r_enc())
    }
}
