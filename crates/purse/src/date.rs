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

    /// Seconds from an earlier moment to this one; `None` if either is no moment of the calendar, or `earlier` is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> Option<u64> {
        self.seconds()?.checked_sub(earlier.seconds()?)
    }

    /// Whole minutes from an earlier moment to this one; `None` as for [`seconds_since`](Self::seconds_since).
    #[must_use]
    pub fn minutes_since(self, earlier: Self) -> Option<u64> {
        Some(self.seconds_since(earlier)? / 60)
    }

    /// The moment as UNIX time, as highway records hold it; the stamp is local time, `ahead` seconds ahead of UTC
    /// (28 800 in China). `None` if it is no moment of the calendar or does not fit four bytes.
    #[must_use]
    pub fn unix_time(self, ahead: i32) -> Option<u32> {
        let local = self.seconds_since(Self { date: [0x19, 0x70, 0x01, 0x01], time: [0; 3] })?;
        u32::try_from(i64::try_from(local).ok()?.checked_sub(i64::from(ahead))?).ok()
    }

    /// Seconds since the first day of year 0 of the Gregorian calendar.
    fn seconds(self) -> Option<u64> {
        let [hour, minute, second] = self.time;
        let (hour, minute, second) =
            (below(24, bcd(hour)?)?, below(60, bcd(minute)?)?, below(60, bcd(second)?)?);
        let hours = self.days()?.checked_mul(24)?.checked_add(hour)?;
        hours.checked_mul(60)?.checked_add(minute)?.checked_mul(60)?.checked_add(second)
    }

    /// Days since the first day of year 0.
    fn days(self) -> Option<u64> {
        let [century, year, month, day] = self.date;
        let year = bcd(century)?.checked_mul(100)?.checked_add(bcd(year)?)?;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let february = if leap { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let before = usize::try_from(bcd(month)?.checked_sub(1)?).ok()?;
        let day = below(*lengths.get(before)?, bcd(day)?.checked_sub(1)?)?;
        // Year 0 is a leap year.
        let leap_days = year.div_ceil(4).checked_sub(year.div_ceil(100))?.checked_add(year.div_ceil(400))?;
        let months = lengths.iter().take(before).sum::<u64>();
        year.checked_mul(365)?.checked_add(leap_days)?.checked_add(months)?.checked_add(day)
    }
}

/// The value of two decimal digits.
fn bcd(byte: u8) -> Option<u64> {
    let tens = below(10, u64::from(byte >> 4))?;
    tens.checked_mul(10)?.checked_add(below(10, u64::from(byte & 0x0F))?)
}

fn below(end: u64, value: u64) -> Option<u64> {
    (value < end).then_some(value)
}

impl From<DateTime> for Stamp {
    fn from(now: DateTime) -> Self {
        Self { date: now.date_bcd(), time: now.time_bcd() }
    }
}
