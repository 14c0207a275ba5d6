//! SIMPLE-TLV: a one-byte tag number `01` to `FE`, a length of one or three bytes, the value. [ISO7816-4 5.2.1]

use core::{fmt, iter::FusedIterator};

use crate::{At, Full};

/// What is wrong with a SIMPLE-TLV object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SimpleError {
    /// Tag numbers `00` and `FF` are not allowed.
    InvalidTag,
    /// The data end inside the length.
    LengthTruncated,
    /// The value is longer than the data that are left.
    ValueTruncated,
}

impl fmt::Display for SimpleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidTag => "simple-tlv tag 00 or FF",
            Self::LengthTruncated => "simple-tlv length truncated",
            Self::ValueTruncated => "simple-tlv value truncated",
        })
    }
}

impl core::error::Error for SimpleError {}

/// One SIMPLE-TLV object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Simple<'a> {
    /// The tag number, `01` to `FE`.
    pub tag: u8,
    /// The value.
    pub value: &'a [u8],
    /// The offset of its first byte in the bytes the caller handed in.
    pub at: usize,
}

/// The SIMPLE-TLV objects in some bytes, lazily. Ends after the first error.
///
/// ```
/// use huiwan_tlv::simple::Simples;
///
/// let mut objects = Simples::new(&[0x01, 0x02, 0xAA, 0xBB]);
/// let object = objects.next().unwrap()?;
/// assert_eq!((object.tag, object.value), (1, &[0xAA, 0xBB][..]));
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::simple::SimpleError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Simples<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Simples<'a> {
    /// The objects in `raw`.
    #[inline]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw, end: raw.len() }
    }

    fn take(raw: &[u8]) -> Result<(u8, &[u8], &[u8]), SimpleError> {
        let (tag, len, body) = match raw {
            [0x00 | 0xFF, ..] => return Err(SimpleError::InvalidTag),
            [tag, 0xFF, hi, lo, body @ ..] => (*tag, u16::from_be_bytes([*hi, *lo]), body),
            [] | [_] | [_, 0xFF, ..] => return Err(SimpleError::LengthTruncated),
            [tag, len, body @ ..] => (*tag, u16::from(*len), body),
        };
        let (value, rest) = body.split_at_checked(usize::from(len)).ok_or(SimpleError::ValueTruncated)?;
        Ok((tag, value, rest))
    }
}

impl<'a> Iterator for Simples<'a> {
    type Item = Result<Simple<'a>, At<SimpleError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.end.wrapping_sub(self.rest.len());
        match Self::take(self.rest) {
            Ok((tag, value, rest)) => {
                self.rest = rest;
                Some(Ok(Simple { tag, value, at }))
            }
            Err(kind) => {
                self.rest = &[];
                Some(Err(At::new(kind, at)))
            }
        }
    }
}

impl FusedIterator for Simples<'_> {}

/// How many bytes an object takes; `usize::MAX` if its value is longer than 65 535 bytes.
pub const fn encoded_len(value_len: usize) -> usize {
    match value_len {
        0..=0xFE => value_len.saturating_add(2),
        0xFF..=0xFFFF => value_len.saturating_add(4),
        _ => usize::MAX,
    }
}

/// Writes one object at the start of `out` and returns its length.
///
/// # Errors
/// [`Full`] if `out` is too small; with `usize::MAX` needed if the value is longer than 65 535 bytes or `tag` is
/// `00` or `FF`, which this coding cannot say.
pub fn put(out: &mut [u8], tag: u8, value: &[u8]) -> Result<usize, Full> {
    if matches!(tag, 0x00 | 0xFF) {
        return Err(Full { needed: usize::MAX });
    }
    let needed = encoded_len(value.len());
    let place = out.get_mut(..needed).ok_or(Full { needed })?;
    let (header, body) =
        place.split_at_mut_checked(needed.wrapping_sub(value.len())).ok_or(Full { needed })?;
    let len = u16::try_from(value.len()).map_err(|_| Full { needed })?;
    let [hi, lo] = len.to_be_bytes();
    match header.len() {
        2 => header.copy_from_slice(&[tag, lo]),
        _ => header.copy_from_slice(&[tag, 0xFF, hi, lo]),
    }
    body.copy_from_slice(value);
    Ok(needed)
}
