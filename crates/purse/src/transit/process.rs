//! File 001E, trip records, 48 bytes each, cyclic. [sheet 5.5]

use super::layout;
use crate::date::Stamp;

layout! {
    /// One trip step.
    Process [48];
    KIND = 0 + 1, "type";
    TERMINAL = 1 + 8, "terminal: 00 00, PSAM number";
    INDUSTRY = 9 + 1, "industry";
    /// Line 2, station 2, operator 2, reserved 1; another reading is line 4, reserved 3. \[C\]
    PLACE = 10 + 7, "line, station, operator";
    AMOUNT = 17 + 4, "amount";
    BALANCE = 21 + 4, "balance after";
    TIME = 25 + 7, "date and time";
    CITY = 32 + 2, "accepting city";
    ORGANISATION = 34 + 8, "accepting organisation";
    /// Another reading is maximum charge 4, maximum minutes 2. \[S:HD\]
    RFU = 42 + 6, "reserved";
}

/// What happened. [sheet 5.5]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind(pub u8);

impl Kind {
    /// Entry, paid from the purse.
    pub const EP_IN: Self = Self(0x03);
    /// Exit, paid from the purse.
    pub const EP_OUT: Self = Self(0x04);
    /// A single fare from the purse.
    pub const EP_SINGLE: Self = Self(0x06);
    /// A fare made up at a service desk, from the purse.
    pub const EP_MAKE_UP: Self = Self(0x08);
    /// A load of the purse.
    pub const EP_LOAD: Self = Self(0x0A);
    /// The lock of a blacklisted card. \[S:SH\]
    pub const LOCK: Self = Self(0x12);

    /// What the kind is called, if it is known.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "initial",
            0x01 => "in (e-cash)",
            0x02 => "out (e-cash)",
            0x03 => "in",
            0x04 => "out",
            0x05 => "single fare (e-cash)",
            0x06 => "single fare",
            0x07 => "make-up fare (e-cash)",
            0x08 => "make-up fare",
            0x09 => "load (e-cash)",
            0x0A => "load",
            0x12 => "lock",
            _ => return None,
        })
    }
}

/// Industry code: metro.
pub const INDUSTRY_METRO: u8 = 0x01;
/// Industry code: bus.
pub const INDUSTRY_BUS: u8 = 0x02;

impl Process {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let [kind] = self.get(KIND);
        Kind(kind)
    }

    /// Fen.
    #[must_use]
    pub fn amount(&self) -> u32 {
        u32::from_be_bytes(self.get(AMOUNT))
    }

    /// Fen left after it.
    #[must_use]
    pub fn balance(&self) -> u32 {
        u32::from_be_bytes(self.get(BALANCE))
    }

    /// When.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::from_bytes(&self.get(TIME))
    }
}
