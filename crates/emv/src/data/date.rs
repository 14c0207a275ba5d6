//! Dates and times of transactions. `[EMV-B3 A]`

use core::fmt;

/// A calendar date, written as n6: YYMMDD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// 1 January 2000.
    pub const MILLENNIUM: Self = Self { year: 2000, month: 1, day: 1 };

    /// A date from 1950 to 2049, the years two digits can say; `None` for one that isn't in the calendar.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let days = match month {
            2 if year.is_multiple_of(4) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year < 1950 || year > 2049 || day == 0 || day > days {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// From the wire form YYMMDD: years 00–49 are 2000–2049, 50–99 are 1950–1999. `[EMV-B4 6.7.3]`
    ///
    /// ```
    /// use huiwan_emv::data::date::Date;
    /// let date = Date::from_bcd([0x26, 0x02, 0x28]).unwrap();
    /// assert_eq!(date, Date::new(2026, 2, 28).unwrap());
    /// assert!(date < Date::from_bcd([0x30, 0x12, 0x31]).unwrap() && date > Date::from_bcd([0x99, 0x12, 0x31]).unwrap());
    /// assert_eq!(Date::from_bcd([0x26, 0x02, 0x29]), None);
    /// ```
    #[must_use]
    pub fn from_bcd(bytes: [u8; 3]) -> Option<Self> {
        let [year, month, day] = bytes.map(from_pair);
        let year = u16::from(year?);
        Self::new(year.saturating_add(if year < 50 { 2000 } else { 1900 }), month?, day?)
    }

    /// The wire form YYMMDD.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 3] {
        [to_pair(u8::try_from(self.year % 100).unwrap_or_default()), to_pair(self.month), to_pair(self.day)]
    }

    /// The year, in four digits.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A time of day, written as n6: HHMMSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    hour: u8,
    minute: u8,
    second: u8,
}

impl Time {
    /// Midnight.
    pub const MIDNIGHT: Self = Self { hour: 0, minute: 0, second: 0 };

    /// A time of day; `None` when a part is out of range.
    #[must_use]
    pub const fn new(hour: u8, minute: u8, second: u8) -> Option<Self> {
        if hour < 24 && minute < 60 && second < 60 { Some(Self { hour, minute, second }) } else { None }
    }

    /// From the wire form HHMMSS.
    #[must_use]
    pub fn from_bcd(bytes: [u8; 3]) -> Option<Self> {
        let [hour, minute, second] = bytes.map(from_pair);
        Self::new(hour?, minute?, second?)
    }

    /// The wire form HHMMSS.
    #[must_use]
    pub fn to_bcd(self) -> [u8; 3] {
        [self.hour, self.minute, self.second].map(to_pair)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

fn from_pair(byte: u8) -> Option<u8> {
    let (high, low) = (byte >> 4, byte & 0x0F);
    (high <= 9 && low <= 9).then(|| high.wrapping_mul(10).wrapping_add(low))
}

/// Two digits of a number below 100.
const fn to_pair(number: u8) -> u8 {
    ((number / 10 % 10) << 4) | (number % 10)
}
