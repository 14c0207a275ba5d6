use core::fmt;

use huiwan_emv::data::tags::{self, Format, Length, Scheme};
use huiwan_tlv::hex::Hex;
use huiwan_tlv::{Tag, tag_list::TagList};

use super::family;

/// A value in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning<'a> {
    /// Nothing to add to the bytes.
    None,
    /// Text: printed in quotes, unprintable bytes as `·`.
    Text(&'a [u8]),
    /// An amount in minor units, BCD: 1.56.
    Bcd(&'a [u8]),
    /// An amount in fen, binary, in yuan.
    Fen(u32),
    /// A number.
    Number(u32),
    /// A date, BCD YYMMDD or YYYYMMDD.
    Date(&'a [u8]),
    /// A time of day, BCD hhmmss.
    Time(&'a [u8]),
    /// A moment, BCD YYYYMMDDhhmmss.
    Moment(&'a [u8]),
    /// Track 2 equivalent data.
    Track2(&'a [u8]),
    /// A tag list.
    Tags(&'a [u8]),
    /// Something known by name.
    Known(&'static str),
    /// Not shown: a PIN.
    Secret,
}

impl<'a> Meaning<'a> {
    /// Whether there is nothing to add.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// What the value of a payment tag says.
    pub(super) fn of_tag(tag: Tag, value: &'a [u8]) -> Self {
        match tag.get() {
            0x4F | 0x84 | 0x9F06 => return Self::name(value),
            0x57 | 0x9F6B => return Self::Track2(value),
            0x5C | 0x9F4A => return Self::Tags(value),
            0x9F36 | 0x9F13 => return Self::number(value),
            0x9F17 | 0x5F34 | 0x88 | 0x87 | 0x5F36 => return Self::number(value),
            _ => {}
        }
        let Some(row) = tags::find(tag, Scheme::Pboc) else { return Self::None };
        match (row.format, row.length) {
            (Format::A | Format::An | Format::Ans, _) if value.iter().any(|byte| *byte != 0) => {
                Self::Text(value)
            }
            (Format::N, Length::Exactly(6)) if value.len() == 6 => Self::Bcd(value),
            (Format::N, Length::Exactly(3)) if value.len() == 3 => match tag.get() {
                0x9F21 => Self::Time(value),
                _ => Self::Date(value),
            },
            _ => Self::None,
        }
    }

    /// An application identifier or file name.
    pub(super) fn name(value: &'a [u8]) -> Self {
        match family::known_name(value) {
            Some(name) => Self::Known(name),
            None if value.len() > 4 && value.iter().all(u8::is_ascii_graphic) => Self::Text(value),
            None => Self::None,
        }
    }

    /// A binary number of up to four bytes.
    pub(super) fn number(value: &[u8]) -> Self {
        match value.len() {
            1..=4 => Self::Number(value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))),
            _ => Self::None,
        }
    }
}

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => Ok(()),
            Self::Text(text) => {
                f.write_str("\"")?;
                for byte in text {
                    match byte {
                        b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                        _ => f.write_str("·")?,
                    }
                }
                f.write_str("\"")
            }
            Self::Bcd(digits) => match digits.split_last() {
                Some((cents, units)) if digits.iter().all(is_bcd) => {
                    let units = units.iter().fold(0u64, |sum, byte| {
                        sum.wrapping_mul(100).wrapping_add(u64::from(decimal(*byte)))
                    });
                    write!(f, "{units}.{:02}", decimal(*cents))
                }
                _ => f.write_str("not decimal"),
            },
            Self::Fen(fen) => {
                let (yuan, rest) = (fen.checked_div(100).unwrap_or(0), fen.checked_rem(100).unwrap_or(0));
                write!(f, "¥{yuan}.{rest:02}")
            }
            Self::Number(number) => number.fmt(f),
            Self::Date(&[y, m, d]) => write!(f, "20{y:02X}-{m:02X}-{d:02X}"),
            Self::Date(&[c, y, m, d]) => write!(f, "{c:02X}{y:02X}-{m:02X}-{d:02X}"),
            Self::Time(&[h, m, s]) => write!(f, "{h:02X}:{m:02X}:{s:02X}"),
            Self::Moment(&[c, y, mo, d, h, mi, s]) => {
                write!(f, "{c:02X}{y:02X}-{mo:02X}-{d:02X} {h:02X}:{mi:02X}:{s:02X}")
            }
            Self::Date(other) | Self::Time(other) | Self::Moment(other) => {
                write!(f, "not a date: {}", Hex(other))
            }
            Self::Track2(data) => track2(f, data),
            Self::Tags(list) => {
                let mut separator = "";
                for tag in TagList::new(list).map_while(Result::ok) {
                    write!(f, "{separator}{tag}")?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::Known(name) => f.write_str(name),
            Self::Secret => f.write_str("not shown"),
        }
    }
}

fn is_bcd(byte: &u8) -> bool {
    byte >> 4 < 10 && byte & 0x0F < 10
}

/// The number two BCD digits spell.
fn decimal(byte: u8) -> u8 {
    (byte >> 4).wrapping_mul(10).wrapping_add(byte & 0x0F)
}

/// PAN, separator `D`, expiry YYMM, service code, the issuer's own digits. [ISO7813]
fn track2(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    let mut digits = data.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    f.write_str("card ")?;
    for digit in digits.by_ref().take_while(|digit| *digit < 10) {
        write!(f, "{digit}")?;
    }
    let mut digit = || digits.next().filter(|digit| *digit < 10);
    if let (Some(a), Some(b), Some(c), Some(d)) = (digit(), digit(), digit(), digit()) {
        write!(f, ", expires 20{a}{b}-{c}{d}")?;
    }
    if let (Some(a), Some(b), Some(c)) = (digit(), digit(), digit()) {
        write!(f, ", service {a}{b}{c}")?;
    }
    Ok(())
}
