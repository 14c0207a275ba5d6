//! What the secure channel protocols share: security levels, the class byte of a protected command, a protocol with its options.
//!
//! Each protocol has a module of its own: [`crate::scp01`], [`crate::scp02`], [`crate::scp03`], [`crate::scp11`].

use huiwan_card::Protection;

use crate::{scp01, scp02, scp03};

/// Security level of a session: P1 of EXTERNAL AUTHENTICATE. [GPC D.4.2.1, E.5.2.1, AmdD 7.1.2.1]
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
    /// MACs and encryption both ways; SCP03 only.
    All = 0x33,
    /// Response MACs alone; SCP02 only.
    RMac = 0x10,
}

impl Level {
    /// Every level, those of SCP03 first.
    pub const EVERY: [Self; 7] = [
        Self::Authenticated,
        Self::CMac,
        Self::CMacCEnc,
        Self::CMacRMac,
        Self::CMacCEncRMac,
        Self::All,
        Self::RMac,
    ];

    /// Reads P1 of EXTERNAL AUTHENTICATE; `None` for a combination no protocol has.
    #[must_use]
    pub const fn from_byte(p1: u8) -> Option<Self> {
        Some(match p1 {
            0x00 => Self::Authenticated,
            0x01 => Self::CMac,
            0x03 => Self::CMacCEnc,
            0x10 => Self::RMac,
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

/// The class byte of a command, plain and protected. [GPC 11.1.4]
pub mod class {
    /// Whether a class byte announces secure messaging.
    #[must_use]
    pub const fn is_protected(cla: u8) -> bool {
        if cla & 0x40 == 0 { cla & 0x0C != 0 } else { cla & 0x20 != 0 }
    }

    /// Secure messaging as GlobalPlatform announces it: exactly b3 in a first class byte, b6 in a further one.
    #[must_use]
    pub const fn is_gp_protected(cla: u8) -> bool {
        if cla & 0x40 == 0 { cla & 0x0C == 0x04 } else { cla & 0x20 != 0 }
    }

    /// The class byte sent with a protected command: the plain one with the secure messaging bit.
    #[must_use]
    pub const fn protected_class(cla: u8) -> u8 {
        if cla & 0x40 == 0 { cla | 0x04 } else { cla | 0x20 }
    }

    /// The class byte without secure messaging, channel kept.
    #[must_use]
    pub const fn plain_class(cla: u8) -> u8 {
        if cla & 0x40 == 0 { cla & !0x0C } else { cla & !0x20 }
    }

    /// The class byte under a C-MAC: secure messaging set, logical channel removed.
    #[must_use]
    pub const fn mac_class(cla: u8) -> u8 {
        // All but the channel stays, chaining (b5) among it; a further class byte becomes the first one of the same meaning.
        if cla & 0x40 == 0 { (cla & !0x03) | 0x04 } else { (cla & 0x90) | 0x04 }
    }

    /// The class byte as if the command were plain and on channel 0: under a C-MAC over the unmodified command, and under an R-MAC.
    #[must_use]
    pub const fn bare_class(cla: u8) -> u8 {
        mac_class(cla) & !0x0C
    }
}

/// A secure channel protocol with its "i" parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scp {
    /// SCP01, on the host only.
    Scp01(scp01::Options),
    /// SCP02.
    Scp02(scp02::Options),
    /// SCP03, and the messaging of SCP11.
    Scp03(scp03::Options),
}

impl Scp {
    /// The protocol's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Scp01(_) => scp01::SCP,
            Self::Scp02(_) => scp02::SCP,
            Self::Scp03(_) => scp03::SCP,
        }
    }

    /// The "i" parameter.
    #[must_use]
    pub const fn i(self) -> u8 {
        match self {
            Self::Scp01(options) => options.byte(),
            Self::Scp02(options) => options.byte(),
            Self::Scp03(options) => options.byte(),
        }
    }

    /// Whether a session of this level can be opened.
    #[must_use]
    pub const fn allows(self, level: Level) -> bool {
        match self {
            Self::Scp01(_) => scp01::allows(level),
            Self::Scp02(options) => options.allows(level),
            Self::Scp03(options) => options.allows(level),
        }
    }

    /// Bytes of a block of the cipher.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Scp01(_) | Self::Scp02(_) => 8,
            Self::Scp03(_) => 16,
        }
    }

    /// The most bytes of plain data a short command carries.
    #[must_use]
    pub const fn max_command_data(self, level: Level) -> usize {
        match self {
            Self::Scp01(_) | Self::Scp02(_) => scp02::max_command_data(level),
            Self::Scp03(options) => options.mode().max_command_data(level),
        }
    }
}

/// Static keys of one key set, lent to a handshake.
#[derive(Debug, Clone, Copy)]
pub enum StaticKeysRef<'a> {
    /// Triple DES, for SCP01 and SCP02.
    Des(&'a scp02::StaticKeys),
    /// AES, for SCP03.
    Aes(&'a scp03::StaticKeys),
}

impl<'a> From<&'a scp02::StaticKeys> for StaticKeysRef<'a> {
    fn from(keys: &'a scp02::StaticKeys) -> Self {
        Self::Des(keys)
    }
}

impl<'a> From<&'a scp03::StaticKeys> for StaticKeysRef<'a> {
    fn from(keys: &'a scp03::StaticKeys) -> Self {
        Self::Aes(keys)
    }
}
