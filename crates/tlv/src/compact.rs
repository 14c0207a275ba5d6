//! COMPACT-TLV: tag number and length in one byte, as in historical bytes. [ISO7816-4 5.2.3, 12.1.1]

use core::{fmt, iter::FusedIterator};

use crate::{At, Full, Tag};

/// What is wrong with a COMPACT-TLV object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompactError {
    /// The value is longer than the data that are left.
    ValueTruncated,
}

impl fmt::Display for CompactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueTruncated => f.write_str("compact-tlv value truncated"),
        }
    }
}

impl core::error::Error for CompactError {}

/// One COMPACT-TLV object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Compact<'a> {
    /// The tag number, 0 to 15.
    pub number: u8,
    /// The value, at most 15 bytes.
    pub value: &'a [u8],
    /// The offset of its first byte in the bytes the caller handed in.
    pub at: usize,
}

impl Compact<'_> {
    /// The BER-TLV tag the number stands for: number `x` is the interindustry tag `4x`.
    pub const fn tag(&self) -> Tag {
        Tag::new((self.number | 0x40) as u32)
    }
}

/// The COMPACT-TLV objects in some bytes, lazily. Ends after the first error.
///
/// ```
/// use huiwan_tlv::compact::Compacts;
///
/// let mut objects = Compacts::new(&[0x31, 0x80, 0x73, 0x01, 0x02, 0x03]);
/// let service = objects.next().unwrap()?;
/// assert_eq!((service.number, service.value), (3, &[0x80][..]));
/// assert_eq!(objects.next().unwrap()?.tag().to_string(), "47");
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::compact::CompactError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Compacts<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> Compacts<'a> {
    /// The objects in `raw`.
    #[inline]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self::starting_at(raw, 0)
    }

    /// The objects in `raw`, where `raw` begins at `base_offset` of the caller's bytes.
    #[inline]
    pub const fn starting_at(raw: &'a [u8], base_offset: usize) -> Self {
        Self { rest: raw, end: base_offset.wrapping_add(raw.len()) }
    }
}

impl<'a> Iterator for Compacts<'a> {
    type Item = Result<Compact<'a>, At<CompactError>>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.end.wrapping_sub(self.rest.len());
        let (&first, body) = self.rest.split_first()?;
        match body.split_at_checked(usize::from(first & 0x0F)) {
            Some((value, rest)) => {
                self.rest = rest;
                Some(Ok(Compact { number: first >> 4, value, at }))
            }
            None => {
                self.rest = &[];
                Some(Err(At::new(CompactError::ValueTruncated, at)))
            }
        }
    }
}

impl FusedIterator for Compacts<'_> {}

/// Writes one object at the start of `out` and returns its length.
///
/// # Errors
/// [`Full`] if `out` is too small; with `usize::MAX` needed if `number` or the value's length is above 15,
/// which this coding cannot say.
pub fn put(out: &mut [u8], number: u8, value: &[u8]) -> Result<usize, Full> {
    let len = match u8::try_from(value.len()) {
        Ok(len @ 0..=15) if number <= 15 => len,
        _ => return Err(Full { needed: usize::MAX }),
    };
    let needed = value.len().saturating_add(1);
    let (first, body) = out.get_mut(..needed).and_then(<[u8]>::split_first_mut).ok_or(Full { needed })?;
    *first = number << 4 | len;
    body.copy_from_slice(value);
    Ok(needed)
}
