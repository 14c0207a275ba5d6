//! Data groupings of personalisation: a two-byte identifier, a length of one or three bytes, data.
//! [CPS 2.2], [GPC 11.11.2.2]
//!
//! Lengths 0 to 254 take one byte; `FF` announces two more bytes, most significant first. The long form of a
//! short length is read, never written.

use core::{fmt, iter::FusedIterator};

use crate::{At, Full};

/// What is wrong with a data grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DgiError {
    /// The data end inside the identifier.
    IdTruncated,
    /// The data end inside the length.
    LengthTruncated,
    /// The value is longer than the data that are left.
    ValueTruncated,
}

impl fmt::Display for DgiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IdTruncated => "dgi identifier truncated",
            Self::LengthTruncated => "dgi length truncated",
            Self::ValueTruncated => "dgi value truncated",
        })
    }
}

impl core::error::Error for DgiError {}

/// One data grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Dgi<'a> {
    /// The identifier.
    pub id: u16,
    /// The data.
    pub value: &'a [u8],
    /// The offset of the identifier in the bytes the caller handed in.
    pub at: usize,
}

/// The data groupings in some bytes, lazily. Ends after the first error, whose offset is that of the grouping.
///
/// ```
/// use huiwan_tlv::dgi::Dgis;
///
/// let mut groups = Dgis::new(&[0x01, 0x01, 0x02, 0xAA, 0xBB, 0x80, 0x10, 0x00]);
/// let first = groups.next().unwrap()?;
/// assert_eq!((first.id, first.value), (0x0101, &[0xAA, 0xBB][..]));
/// assert_eq!(groups.next().unwrap()?.id, 0x8010);
/// assert!(groups.next().is_none());
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::dgi::DgiError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dgis<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Dgis<'a> {
    /// The data groupings in `raw`.
    #[inline]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw, end: raw.len() }
    }

    fn take(raw: &[u8]) -> Result<(u16, &[u8], &[u8]), DgiError> {
        let (id, raw) = raw.split_first_chunk::<2>().ok_or(DgiError::IdTruncated)?;
        let (len, body) = match raw {
            [0xFF, hi, lo, body @ ..] => (u16::from_be_bytes([*hi, *lo]), body),
            [] | [0xFF, ..] => return Err(DgiError::LengthTruncated),
            [len, body @ ..] => (u16::from(*len), body),
        };
        let (value, rest) = body.split_at_checked(usize::from(len)).ok_or(DgiError::ValueTruncated)?;
        Ok((u16::from_be_bytes(*id), value, rest))
    }
}

impl<'a> Iterator for Dgis<'a> {
    type Item = Result<Dgi<'a>, At<DgiError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.end.wrapping_sub(self.rest.len());
        match Self::take(self.rest) {
            Ok((id, value, rest)) => {
                self.rest = rest;
                Some(Ok(Dgi { id, value, at }))
            }
            Err(kind) => {
                self.rest = &[];
                Some(Err(At::new(kind, at)))
            }
        }
    }
}

impl FusedIterator for Dgis<'_> {}

/// How many bytes a data grouping takes; `usize::MAX` if its value is longer than 65 535 bytes.
pub const fn encoded_len(value_len: usize) -> usize {
    match value_len {
        0..=0xFE => value_len.saturating_add(3),
        0xFF..=0xFFFF => value_len.saturating_add(5),
        _ => usize::MAX,
    }
}

/// Writes one data grouping at the start of `out` and returns its length.
///
/// # Errors
/// [`Full`] if `out` is too small, or the value longer than 65 535 bytes.
pub fn put(out: &mut [u8], id: u16, value: &[u8]) -> Result<usize, Full> {
    let needed = encoded_len(value.len());
    let place = out.get_mut(..needed).ok_or(Full { needed })?;
    let (header, body) =
        place.split_at_mut_checked(needed.wrapping_sub(value.len())).ok_or(Full { needed })?;
    let [i, d] = id.to_be_bytes();
    let len = u16::try_from(value.len()).map_err(|_| Full { needed })?;
    let [hi, lo] = len.to_be_bytes();
    match header.len() {
        3 => header.copy_from_slice(&[i, d, lo]),
        _ => header.copy_from_slice(&[i, d, 0xFF, hi, lo]),
    }
    body.copy_from_slice(value);
    Ok(needed)
}
