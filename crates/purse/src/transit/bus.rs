//! File 001A record 27 02, bus and tram, 128 bytes. [sheet 5.4]

use super::layout;

/// The identifier P1 of UPDATE CAPP DATA CACHE and READ RECORD names.
pub const ID: u8 = 0x02;

layout! {
    /// The bus record.
    Bus [128] head [0x27, ID, 0x7D, 0x01, 0x01];
    RECORD_ID = 0 + 2, "record identifier";
    LENGTH = 2 + 1, "length of the rest";
    VALID = 3 + 1, "valid flag";
    MODE = 4 + 1, "interoperability mode";
    LOCK = 5 + 1, "lock flag";
    SERIAL = 6 + 8, "trip serial number, BCD";
    STATE = 14 + 1, "state";
    ON_CITY = 15 + 2, "boarding city";
    ON_ORGANISATION = 17 + 8, "boarding organisation";
    ON_OPERATOR = 25 + 2, "boarding operator";
    ON_LINE = 27 + 2, "boarding line";
    ON_STOP = 29 + 1, "boarding stop";
    ON_VEHICLE = 30 + 8, "boarding vehicle, ASCII";
    ON_TERMINAL = 38 + 8, "boarding terminal";
    ON_TIME = 46 + 7, "boarding date and time";
    /// Charged at the next boarding if no alighting tap follows.
    MARKED_AMOUNT = 53 + 4, "marked amount";
    /// AB up, BA down.
    DIRECTION = 57 + 1, "direction";
    OFF_CITY = 58 + 2, "alighting city";
    OFF_ORGANISATION = 60 + 8, "alighting organisation";
    OFF_OPERATOR = 68 + 2, "alighting operator";
    OFF_LINE = 70 + 2, "alighting line";
    OFF_STOP = 72 + 1, "alighting stop";
    OFF_VEHICLE = 73 + 8, "alighting vehicle, ASCII";
    OFF_TERMINAL = 81 + 8, "alighting terminal";
    OFF_TIME = 89 + 7, "alighting date and time";
    AMOUNT = 96 + 4, "amount";
    DISTANCE = 100 + 2, "distance";
    LOCAL = 102 + 26, "local data";
}

/// Where the rider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// No trip yet.
    Initial,
    /// Boarded.
    Aboard,
    /// Alighted.
    Alighted,
}

impl State {
    /// The state a byte stands for.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0x00 => Some(Self::Initial),
            0x01 => Some(Self::Aboard),
            0x02 => Some(Self::Alighted),
            _ => None,
        }
    }

    /// The byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Initial => 0x00,
            Self::Aboard => 0x01,
            Self::Alighted => 0x02,
        }
    }
}

impl Bus {
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

    /// Fen still owed for a trip without alighting tap.
    #[must_use]
    pub fn marked_amount(&self) -> u32 {
        u32::from_be_bytes(self.get(MARKED_AMOUNT))
    }
}
