//! Answer to reset, parsed and built. [ISO7816-3 8.2]
//!
//! ```text
//! TS  T0  TA1 TB1 TC1 TD1  TA2 TB2 TC2 TD2 …  T1 … TK  TCK
//! └── convention, and which interface bytes and how many historical bytes follow
//!         └── for all protocols └── for the protocol that the TD before names
//!                                             └── historical  └── exclusive or, unless only T=0 is offered
//! ```
//!
//! ```
//! use huiwan_apdu::atr::{Atr, AtrBuilder, Historical, Interface};
//!
//! let atr = Atr::parse(&[0x3B, 0xE0, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0xEB])?;
//! assert!(atr.protocols().all(|(t, _)| t == 1));
//! assert_eq!(atr.t1().unwrap().ifsc, 254);
//!
//! let mut out = [0; Atr::MAX_LEN];
//! let built = AtrBuilder::new(Interface { tb: Some(0), tc: Some(0), ..Interface::NONE })
//!     .protocol(1, Interface::NONE)
//!     .protocol(1, Interface { ta: Some(0xFE), tb: Some(0x45), ..Interface::NONE })
//!     .write(&mut out)?;
//! assert_eq!(built, atr.raw());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod historical;

use core::fmt;

use huiwan_tlv::At;

pub use build::{AtrBuilder, AtrTooLong};
pub use historical::{CardStatus, Historical, HistoricalError};

/// What is wrong with an answer to reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AtrError {
    /// TS is neither `3B` nor `3F`.
    ConventionUnknown,
    /// There is no T0.
    FormatTruncated,
    /// The bytes end among the interface bytes.
    InterfaceTruncated,
    /// There are fewer historical bytes than T0 says.
    HistoricalTruncated,
    /// TCK is missing though a protocol other than T=0 is offered.
    CheckMissing,
    /// TCK is wrong.
    CheckWrong,
    /// Bytes follow the end.
    TrailingBytes,
    /// More than 33 bytes.
    TooLong,
}

impl fmt::Display for AtrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConventionUnknown => "ts neither 3B nor 3F",
            Self::FormatTruncated => "t0 missing",
            Self::InterfaceTruncated => "interface bytes truncated",
            Self::HistoricalTruncated => "historical bytes truncated",
            Self::CheckMissing => "tck missing",
            Self::CheckWrong => "tck wrong",
            Self::TrailingBytes => "bytes after the answer to reset",
            Self::TooLong => "answer to reset longer than 33 bytes",
        })
    }
}

impl core::error::Error for AtrError {}

/// How bits travel on the contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Convention {
    /// TS = `3B`.
    Direct,
    /// TS = `3F`.
    Inverse,
}

/// One group of interface bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct Interface {
    /// TA.
    pub ta: Option<u8>,
    /// TB.
    pub tb: Option<u8>,
    /// TC.
    pub tc: Option<u8>,
}

impl Interface {
    /// No byte of the group is there.
    pub const NONE: Self = Self { ta: None, tb: None, tc: None };

    /// Y, the high half of the byte that announces the group, without the bit for TD.
    const fn presence(self) -> u8 {
        (self.ta.is_some() as u8) << 4 | (self.tb.is_some() as u8) << 5 | (self.tc.is_some() as u8) << 6
    }
}

/// The parameters of T=1. [ISO7816-3 11.4]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)]
pub struct T1 {
    /// Information field size of the card, bytes.
    pub ifsc: u8,
    /// Block waiting time integer.
    pub bwi: u8,
    /// Character waiting time integer.
    pub cwi: u8,
    /// Blocks end with a CRC of two bytes instead of an LRC of one.
    pub crc: bool,
}

/// An answer to reset, checked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atr<'a> {
    raw: &'a [u8],
    convention: Convention,
    first: Interface,
    /// From TD1 (or the first historical byte) on.
    protocols: Protocols<'a>,
    historical: &'a [u8],
}

impl<'a> Atr<'a> {
    /// The longest answer to reset, TS included.
    pub const MAX_LEN: usize = 33;

    /// Reads an answer to reset, TCK checked.
    ///
    /// # Errors
    /// [`AtrError`], with the offset of the wrong or missing byte.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<AtrError>> {
        let end = raw.len();
        if end > Self::MAX_LEN {
            return Err(At::new(AtrError::TooLong, Self::MAX_LEN));
        }
        let convention = match raw.first() {
            Some(0x3B) => Convention::Direct,
            Some(0x3F) => Convention::Inverse,
            _ => return Err(At::new(AtrError::ConventionUnknown, 0)),
        };
        let Some((&t0, after_t0)) = raw.get(1..).unwrap_or_default().split_first() else {
            return Err(At::new(AtrError::FormatTruncated, end));
        };
        let truncated = At::new(AtrError::InterfaceTruncated, end);
        let (first, next, mut rest) = take_group(t0, after_t0).ok_or(truncated)?;
        let protocols = Protocols { next, rest };
        let mut td = next;
        let mut only_t0 = true;
        while let Some(announced) = td {
            only_t0 &= announced & 0x0F == 0;
            (_, td, rest) = take_group(announced, rest).ok_or(truncated)?;
        }
        let (historical, check) = rest
            .split_at_checked(usize::from(t0 & 0x0F))
            .ok_or(At::new(AtrError::HistoricalTruncated, end))?;
        let check_at = end.wrapping_sub(check.len());
        match (only_t0, check) {
            (true, []) => {}
            (true, _) => return Err(At::new(AtrError::TrailingBytes, check_at)),
            (false, []) => return Err(At::new(AtrError::CheckMissing, check_at)),
            (false, [_]) if exclusive_or(raw.get(1..).unwrap_or_default()) == 0 => {}
            (false, [_]) => return Err(At::new(AtrError::CheckWrong, check_at)),
            (false, _) => return Err(At::new(AtrError::TrailingBytes, check_at.wrapping_add(1))),
        }
        Ok(Self { raw, convention, first, protocols, historical })
    }

    /// The bytes as they were read.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The convention TS announces.
    pub const fn convention(&self) -> Convention {
        self.convention
    }

    /// TA1, TB1 and TC1, which hold for all protocols.
    pub const fn first(&self) -> Interface {
        self.first
    }

    /// The protocols named by TD1, TD2, …, each with the interface bytes that follow it. 15 is no protocol but
    /// announces bytes that hold for all of them. Empty: T=0 alone.
    pub const fn protocols(&self) -> Protocols<'a> {
        self.protocols
    }

    /// Whether protocol `t` is offered.
    pub fn offers(&self, t: u8) -> bool {
        match self.protocols.next {
            None => t == 0,
            Some(_) => self.protocols().any(|(offered, _)| offered == t),
        }
    }

    /// Clock rate conversion and baud rate adjustment integers of TA1, by default 372 and 1; `None` if reserved.
    /// [ISO7816-3 8.3]
    pub fn fi_di(&self) -> Option<(u16, u8)> {
        const FI: [u16; 16] = [372, 372, 558, 744, 1116, 1488, 1860, 0, 0, 512, 768, 1024, 1536, 2048, 0, 0];
        const DI: [u8; 16] = [0, 1, 2, 4, 8, 16, 32, 64, 12, 20, 0, 0, 0, 0, 0, 0];
        let ta1 = self.first.ta.unwrap_or(0x11);
        let fi = FI.get(usize::from(ta1 >> 4)).copied().filter(|fi| *fi != 0)?;
        let di = DI.get(usize::from(ta1 & 0x0F)).copied().filter(|di| *di != 0)?;
        Some((fi, di))
    }

    /// The parameters of T=1; `None` if it is not offered.
    pub fn t1(&self) -> Option<T1> {
        if !self.offers(1) {
            return None;
        }
        // The first group for T=1 from TA3 on; TA2 is about the mode of operation.
        let group =
            self.protocols().skip(1).find(|(t, _)| *t == 1).map_or(Interface::NONE, |(_, group)| group);
        let waiting = group.tb.unwrap_or(0x4D);
        Some(T1 {
            ifsc: group.ta.unwrap_or(32),
            bwi: waiting >> 4,
            cwi: waiting & 0x0F,
            crc: group.tc.unwrap_or(0) & 1 != 0,
        })
    }

    /// The historical bytes.
    pub const fn historical(&self) -> &'a [u8] {
        self.historical
    }

    /// The offset of the first historical byte.
    pub const fn historical_at(&self) -> usize {
        self.raw.len().wrapping_sub(self.historical.len()).wrapping_sub(self.tck().is_some() as usize)
    }

    /// TCK; `None` if only T=0 is offered.
    pub const fn tck(&self) -> Option<u8> {
        if self.protocols.only_t0() { None } else { self.raw.last().copied() }
    }
}

/// The groups that follow TD1, TD2, …: protocol and interface bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols<'a> {
    next: Option<u8>,
    rest: &'a [u8],
}

impl Protocols<'_> {
    const fn only_t0(mut self) -> bool {
        while let Some(td) = self.next {
            if td & 0x0F != 0 {
                return false;
            }
            match take_group(td, self.rest) {
                Some((_, next, rest)) => self = Protocols { next, rest },
                None => return true,
            }
        }
        true
    }
}

impl Iterator for Protocols<'_> {
    type Item = (u8, Interface);

    fn next(&mut self) -> Option<(u8, Interface)> {
        let td = self.next?;
        // The bytes were checked when the answer was parsed.
        let (group, next, rest) = take_group(td, self.rest)?;
        (self.next, self.rest) = (next, rest);
        Some((td & 0x0F, group))
    }
}

impl core::iter::FusedIterator for Protocols<'_> {}

/// Takes the interface bytes that the high half of `announced` says are there: TA, TB, TC and then TD.
const fn take_group(announced: u8, rest: &[u8]) -> Option<(Interface, Option<u8>, &[u8])> {
    let Some((ta, rest)) = take_if(announced & 0x10 != 0, rest) else { return None };
    let Some((tb, rest)) = take_if(announced & 0x20 != 0, rest) else { return None };
    let Some((tc, rest)) = take_if(announced & 0x40 != 0, rest) else { return None };
    let Some((td, rest)) = take_if(announced & 0x80 != 0, rest) else { return None };
    Some((Interface { ta, tb, tc }, td, rest))
}

const fn take_if(present: bool, rest: &[u8]) -> Option<(Option<u8>, &[u8])> {
    match rest.split_first() {
        _ if !present => Some((None, rest)),
        Some((byte, rest)) => Some((Some(*byte), rest)),
        None => None,
    }
}

fn exclusive_or(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}
