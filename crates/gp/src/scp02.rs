//! Secure Channel Protocol 02 over triple DES: what host and card both compute. [GPC E]
//!
//! ```text
//! host                                              card
//!  INITIALIZE UPDATE (host challenge)        ──▶     session keys of the counter       session_keys
//!                                                    card challenge, card cryptogram   challenge, cryptogram
//!  verify, host cryptogram, first C-MAC      ◀──
//!  EXTERNAL AUTHENTICATE (level)             ──▶     verify both, counter + 1          cryptogram, c_mac
//!  command: MAC, then encrypt                ──▶     decrypt, then check MAC           c_mac, c_enc
//!  check MAC                                 ◀──     MAC                               r_mac
//! ```
//! With implicit initiation there is no handshake: the first command with a good C-MAC opens the session.
//!
//! The protocol is deprecated by GlobalPlatform; it is here for the cards and hosts in the field.

pub mod c_enc;
pub mod c_mac;
pub mod challenge;
pub mod cryptogram;
pub mod r_mac;
pub mod session_keys;

pub use session_keys::{Sequence, SessionKeys, StaticKeys};

use crate::secure_channel::Level;

/// The protocol number in an INITIALIZE UPDATE answer and in card recognition data.
pub const SCP: u8 = 0x02;
/// Bytes of a C-MAC or R-MAC.
pub const MAC_LEN: usize = 8;
/// Bytes of a host challenge.
pub const HOST_CHALLENGE_LEN: usize = 8;
/// Bytes of a card challenge, which follows the sequence counter.
pub const CARD_CHALLENGE_LEN: usize = 6;

/// The most bytes of plain command data a short command carries, per level.
#[must_use]
pub const fn max_command_data(level: Level) -> usize {
    // 255 bytes on the wire less the MAC; with encryption the data is whole blocks with at least one byte of padding.
    match (level.c_mac(), level.c_enc()) {
        (_, true) => 239,
        (true, false) => 247,
        (false, false) => 255,
    }
}

/// The most bytes of plain response data a short response carries, per level.
#[must_use]
pub const fn max_response_data(level: Level) -> usize {
    if level.r_mac() { 248 } else { 256 }
}

/// The "i" parameter: what a card's SCP02 is like. [GPC E.1.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options(u8);

impl Options {
    /// Explicit, three keys, C-MAC over the modified command.
    pub const I05: Self = Self(0x05);
    /// Implicit, one base key, C-MAC over the unmodified command.
    pub const I0A: Self = Self(0x0A);
    /// Implicit, three keys, C-MAC over the unmodified command.
    pub const I0B: Self = Self(0x0B);
    /// Explicit, one base key, ICV encryption.
    pub const I14: Self = Self(0x14);
    /// Explicit, three keys, ICV encryption: what most cards have.
    pub const I15: Self = Self(0x15);
    /// Implicit, one base key, C-MAC over the unmodified command, ICV encryption.
    pub const I1A: Self = Self(0x1A);
    /// Implicit, three keys, C-MAC over the unmodified command, ICV encryption.
    pub const I1B: Self = Self(0x1B);
    /// As 15 with R-MAC.
    pub const I35: Self = Self(0x35);
    /// Explicit, one base key, predictable challenge.
    pub const I44: Self = Self(0x44);
    /// Explicit, three keys, predictable challenge.
    pub const I45: Self = Self(0x45);
    /// As 14 with a predictable challenge.
    pub const I54: Self = Self(0x54);
    /// As 15 with a predictable challenge.
    pub const I55: Self = Self(0x55);
    /// As 15 with R-MAC and a predictable challenge.
    pub const I75: Self = Self(0x75);
    /// Every value, in rising order.
    pub const EVERY: [Self; 13] = [
        Self::I05,
        Self::I0A,
        Self::I0B,
        Self::I14,
        Self::I15,
        Self::I1A,
        Self::I1B,
        Self::I35,
        Self::I44,
        Self::I45,
        Self::I54,
        Self::I55,
        Self::I75,
    ];

    /// Reads "i"; `None` for a combination nobody defines.
    #[must_use]
    pub const fn from_byte(i: u8) -> Option<Self> {
        match i {
            0x05 | 0x0A | 0x0B | 0x14 | 0x15 | 0x1A | 0x1B | 0x35 | 0x44 | 0x45 | 0x54 | 0x55 | 0x75 => {
                Some(Self(i))
            }
            _ => None,
        }
    }

    /// The byte in card recognition data.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Three keys, not one base key (b1).
    #[must_use]
    pub const fn three_keys(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// The C-MAC is over the command as it was before protection (b2).
    #[must_use]
    pub const fn unmodified(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// The channel is opened by INITIALIZE UPDATE and EXTERNAL AUTHENTICATE, not by the first C-MAC (b3).
    #[must_use]
    pub const fn explicit(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// The first ICV is a MAC over the application's AID, not zero (b4).
    #[must_use]
    pub const fn icv_over_aid(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// ICVs but the first are encrypted (b5).
    #[must_use]
    pub const fn encrypts_icv(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// R-MAC is supported (b6).
    #[must_use]
    pub const fn r_mac(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// The card challenge is computed from the counter, so a host can know it ahead of time (b7).
    #[must_use]
    pub const fn predictable(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// Whether a session of this level can be opened. With implicit initiation that is the C-MAC alone. [GPC E.1.2]
    #[must_use]
    pub const fn allows(self, level: Level) -> bool {
        if self.explicit() {
            !level.r_enc() && (!level.r_mac() || self.r_mac())
        } else {
            matches!(level, Level::CMac)
        }
    }
}
