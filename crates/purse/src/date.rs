//! Date and time as the purse writes them: BCD YYYYMMDD and BCD hhmmss.

use huiwan_card::DateTime;

use crate::pack::{Pack, Unpack};

/// The moment of a transaction: BCD date (4 bytes) and BCD time (3 bytes), as they stand in every MAC and log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Date, BCD YYYYMMDD.
    pub date: [u8; 4],
    /// Time of day, BCD hhmmss.
    pub time: [u8; 3],
}

impl Stamp {
    /// Date ‖ time, 7 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 7] {
        Pack::new().put(self.date).put(self.time).finish()
    }

    /// Reads date ‖ time.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 7]) -> Self {
        let mut fields = Unpack::new(bytes);
        Self { date: fields.take(), time: fields.take() }
    }
}

impl From<DateTime> for Stamp {
    fn from(now: DateTime) -> Self {
        Self { date: now.date_bcd(), time: now.time_bcd() }
    }
}
