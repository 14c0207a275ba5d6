//! File 001A record 27 01, rail, 128 bytes. [sheet 5.4]

use super::layout;

/// The identifier P1 of UPDATE CAPP DATA CACHE and READ RECORD names.
pub const ID: u8 = 0x01;

layout! {
    /// The rail record.
    Rail [128] head [0x27, ID, 0x7D, 0x01, 0x01];
    RECORD_ID = 0 + 2, "record identifier";
    LENGTH = 2 + 1, "length of the rest";
    VALID = 3 + 1, "valid flag";
    /// 01 composite or segment purchase, 02 pre-authorisation.
    MODE = 4 + 1, "interoperability mode";
    LOCK = 5 + 1, "lock flag";
    SERIAL = 6 + 8, "trip serial number, BCD";
    STATE = 14 + 1, "state";
    ENTRY_CITY = 15 + 2, "entry city";
    EXIT_CITY = 17 + 2, "exit city";
    ENTRY_ORGANISATION = 19 + 8, "entry organisation";
    EXIT_ORGANISATION = 27 + 8, "exit organisation";
    ENTRY_STATION = 35 + 8, "entry station";
    EXIT_STATION = 43 + 8, "exit station";
    ENTRY_DEVICE = 51 + 8, "entry device";
    EXIT_DEVICE = 59 + 8, "exit device";
    ENTRY_TIME = 67 + 7, "entry date and time";
    EXIT_TIME = 74 + 7, "exit date and time";
    MAXIMUM_FARE = 81 + 4, "maximum fare";
    LOCAL = 85 + 43, "local data";
}

/// Where the rider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// No trip yet.
    Initial,
    /// Entered.
    Inside,
    /// Left.
    Outside,
    /// Entered, set right at a service desk.
    InsideUpdated,
    /// Left, set right at a service desk.
    OutsideUpdated,
}

impl State {
    /// The state a byte stands for.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x00 => Some(Self::Initial),
            0x01 => Some(Self::Inside),
            0x02 => Some(Self::Outside),
            0x03 => Some(Self::InsideUpdated),
            0x04 => Some(Self::OutsideUpdated),
            _ => None,
        }
    }

    /// The byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Initial => 0x00,
            Self::Inside => 0x01,
            Self::Outside => 0x02,
            Self::InsideUpdated => 0x03,
            Self::OutsideUpdated => 0x04,
        }
    }

    /// Whether the rider is inside.
    #[must_use]
    pub const fn is_inside(self) -> bool {
        matches!(self, Self::Inside | Self::InsideUpdated)
    }
}

impl Rail {
    /// Where the rider is; `None` for an unknown code.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        let [code] = self.get(STATE);
        State::from_code(code)
    }

    /// Whether the operator locked the record.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.get(LOCK) == [0x01]
    }

    /// Fen.
    #[must_use]
    pub fn maximum_fare(&self) -> u32 {
        u32::from_be_bytes(self.get(MAXIMUM_FARE))
    }
}
