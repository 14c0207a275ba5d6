//! Card production life cycle data, tag `9F7F`: who made the card, from which chip, and when. (industry habit; sheet 1.4.4)
//!
//! Dates are often garbage, and some cards fill the whole with zeros: reading never fails on what the fields say.
//!
//! | bytes | field | bytes | field |
//! |---|---|---|---|
//! | 0–1 | chip fabricator | 22–23 | card manufacturer |
//! | 2–3 | chip type | 24–25 | embedding date |
//! | 4–5 | operating system | 26–27 | pre-personaliser |
//! | 6–7 | its release date | 28–29 | pre-personalisation date |
//! | 8–9 | its release level | 30–33 | pre-personalisation equipment |
//! | 10–11 | chip fabrication date | 34–35 | personaliser |
//! | 12–15 | chip serial number | 36–37 | personalisation date |
//! | 16–17 | chip batch | 38–41 | personalisation equipment |
//! | 18–21 | module fabricator, module packaging date | | |

use core::fmt;

use huiwan_tlv::{Rules, find};

use crate::get_data::TAG_9F7F_CPLC;

/// Bytes of the data.
pub const LEN: usize = 42;

/// A date as the data has it: the last digit of the year and the day of the year, four decimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date(pub [u8; 2]);

impl Date {
    /// Last digit of the year and day of the year, 1 to 366; `None` for what is no date, zeros among it.
    #[must_use]
    pub fn year_and_day(self) -> Option<(u8, u16)> {
        let Self([a, b]) = self;
        let digits = [a >> 4, a & 0x0F, b >> 4, b & 0x0F];
        if digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let [year, day @ ..] = digits;
        let day = day.iter().fold(0_u16, |n, digit| n.saturating_mul(10).saturating_add(u16::from(*digit)));
        matches!(day, 1..=366).then_some((year, day))
    }
}

impl fmt::Display for Date {
    /// `Y-DDD`, or the bytes if they are no date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year_and_day() {
            Some((year, day)) => write!(f, "{year}-{day:03}"),
            None => write!(f, "{:04X}", u16::from_be_bytes(self.0)),
        }
    }
}

/// Card production life cycle data. Numbers are the bytes as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cplc {
    /// Chip fabricator.
    pub fabricator: [u8; 2],
    /// Chip type.
    pub chip_type: [u8; 2],
    /// Operating system.
    pub operating_system: [u8; 2],
    /// Its release date.
    pub operating_system_date: Date,
    /// Its release level.
    pub operating_system_level: [u8; 2],
    /// Chip fabrication date.
    pub fabrication_date: Date,
    /// Chip serial number.
    pub serial: [u8; 4],
    /// Chip batch.
    pub batch: [u8; 2],
    /// Module fabricator.
    pub module_fabricator: [u8; 2],
    /// Module packaging date.
    pub module_date: Date,
    /// Card manufacturer.
    pub manufacturer: [u8; 2],
    /// Embedding date.
    pub embedding_date: Date,
    /// Pre-personaliser.
    pub pre_personaliser: [u8; 2],
    /// Pre-personalisation date.
    pub pre_personalisation_date: Date,
    /// Pre-personalisation equipment.
    pub pre_personalisation_equipment: [u8; 4],
    /// Personaliser.
    pub personaliser: [u8; 2],
    /// Personalisation date.
    pub personalisation_date: Date,
    /// Personalisation equipment.
    pub personalisation_equipment: [u8; 4],
}

impl Cplc {
    /// Reads the response data of GET DATA, with the `9F7F` in front or without, as some cards answer. `None` if there are less
    /// than 42 bytes; more are passed over.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let object = find(data, Rules::EMV, TAG_9F7F_CPLC).ok().flatten().filter(|_| data.len() > LEN);
        object.map_or(data, |object| object.value()).first_chunk().map(Self::from_bytes)
    }

    /// Takes the 42 bytes apart.
    #[must_use]
    pub const fn from_bytes(raw: &[u8; LEN]) -> Self {
        let &[
            a0,
            a1,
            b0,
            b1,
            c0,
            c1,
            d0,
            d1,
            e0,
            e1,
            f0,
            f1,
            s0,
            s1,
            s2,
            s3,
            g0,
            g1,
            h0,
            h1,
            i0,
            i1,
            j0,
            j1,
            k0,
            k1,
            l0,
            l1,
            m0,
            m1,
            n0,
            n1,
            n2,
            n3,
            o0,
            o1,
            p0,
            p1,
            q0,
            q1,
            q2,
            q3,
        ] = raw;
        Self {
            fabricator: [a0, a1],
            chip_type: [b0, b1],
            operating_system: [c0, c1],
            operating_system_date: Date([d0, d1]),
            operating_system_level: [e0, e1],
            fabrication_date: Date([f0, f1]),
            serial: [s0, s1, s2, s3],
            batch: [g0, g1],
            module_fabricator: [h0, h1],
            module_date: Date([i0, i1]),
            manufacturer: [j0, j1],
            embedding_date: Date([k0, k1]),
            pre_personaliser: [l0, l1],
            pre_personalisation_date: Date([m0, m1]),
            pre_personalisation_equipment: [n0, n1, n2, n3],
            personaliser: [o0, o1],
            personalisation_date: Date([p0, p1]),
            personalisation_equipment: [q0, q1, q2, q3],
        }
    }

    /// Puts the 42 bytes together.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; LEN] {
        let ([a0, a1], [b0, b1], [c0, c1]) = (self.fabricator, self.chip_type, self.operating_system);
        let (Date([d0, d1]), [e0, e1]) = (self.operating_system_date, self.operating_system_level);
        let (Date([f0, f1]), [s0, s1, s2, s3], [g0, g1]) = (self.fabrication_date, self.serial, self.batch);
        let ([h0, h1], Date([i0, i1])) = (self.module_fabricator, self.module_date);
        let ([j0, j1], Date([k0, k1])) = (self.manufacturer, self.embedding_date);
        let ([l0, l1], Date([m0, m1])) = (self.pre_personaliser, self.pre_personalisation_date);
        let [n0, n1, n2, n3] = self.pre_personalisation_equipment;
        let ([o0, o1], Date([p0, p1])) = (self.personaliser, self.personalisation_date);
        let [q0, q1, q2, q3] = self.personalisation_equipment;
        [
            a0, a1, b0, b1, c0, c1, d0, d1, e0, e1, f0, f1, s0, s1, s2, s3, g0, g1, h0, h1, i0, i1, j0, j1,
            k0, k1, l0, l1, m0, m1, n0, n1, n2, n3, o0, o1, p0, p1, q0, q1, q2, q3,
        ]
    }

    /// The same with a serial number.
    #[must_use]
    pub const fn with_serial(self, serial: [u8; 4]) -> Self {
        Self { serial, ..self }
    }
}
