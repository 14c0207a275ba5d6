//! Data object lists: tags and lengths the other side wants, filled without tags. [EMV-B3 5.4]

use core::{fmt, iter::FusedIterator, ops::Range};

use crate::{At, Full, Tag, TlvError};

/// What is wrong with a data object list. The offset beside it is that of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DolError {
    /// The list ends inside a tag.
    TagTruncated,
    /// A tag has more than four bytes.
    TagTooLong,
    /// The list ends behind a tag, before its length.
    LengthTruncated,
}

impl fmt::Display for DolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TagTruncated => "dol tag truncated",
            Self::TagTooLong => "dol tag longer than four bytes",
            Self::LengthTruncated => "dol length truncated",
        })
    }
}

impl core::error::Error for DolError {}

/// How a data element is cut or padded to the length a list asks for. [EMV-B3 5.4]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Format {
    /// `n`: the leftmost bytes are cut, `00` goes in front.
    Numeric,
    /// `cn`: the rightmost bytes are cut, `FF` goes behind.
    CompressedNumeric,
    /// Any other format: the rightmost bytes are cut, `00` goes behind.
    Other,
}

impl Format {
    /// Writes `value` into `out`, cut or padded to its length.
    pub fn fit(self, value: &[u8], out: &mut [u8]) {
        let padding = out.len().saturating_sub(value.len());
        let (pad, place, value) = match self {
            Self::Numeric => {
                let (pad, place) = out.split_at_mut_checked(padding).unwrap_or_default();
                let kept = value.len().min(place.len());
                (pad, place, value.get(value.len().wrapping_sub(kept)..).unwrap_or_default())
            }
            Self::CompressedNumeric | Self::Other => {
                let kept = out.len().wrapping_sub(padding);
                let (place, pad) = out.split_at_mut_checked(kept).unwrap_or_default();
                (pad, place, value.get(..kept).unwrap_or_default())
            }
        };
        pad.fill(if matches!(self, Self::CompressedNumeric) { 0xFF } else { 0x00 });
        if place.len() == value.len() {
            place.copy_from_slice(value);
        }
    }
}

/// One entry of a list: a tag and how many bytes are wanted for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)]
pub struct DolEntry {
    /// The tag.
    pub tag: Tag,
    /// How many bytes it gets.
    pub len: u8,
}

/// A data object list (PDOL, CDOL, DDOL, TDOL), checked once.
///
/// ```
/// use huiwan_tlv::{Tag, dol::{Dol, Format}};
///
/// let pdol = Dol::parse(&[0x9F, 0x66, 0x04, 0x9F, 0x02, 0x06, 0x5F, 0x2A, 0x02])?;
/// assert_eq!(pdol.total_len(), 12);
/// assert_eq!(pdol.offset_of(Tag::new(0x9F02)), Some(4..10));
///
/// let mut out = [0xEE; 12];
/// let data = pdol.fill(&mut out, |tag| match tag.get() {
///     0x9F02 => Some((&[0x12, 0x34][..], Format::Numeric)),
///     0x5F2A => Some((&[0x01, 0x56][..], Format::Numeric)),
///     _ => None,
/// })?;
/// assert_eq!(data, [0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x01, 0x56]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dol<'a> {
    raw: &'a [u8],
    total: usize,
}

impl<'a> Dol<'a> {
    /// A list without entries.
    pub const EMPTY: Dol<'static> = Dol { raw: &[], total: 0 };

    /// Checks a list.
    ///
    /// # Errors
    /// The first malformed entry.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<DolError>> {
        let mut rest = raw;
        let mut total = 0usize;
        while !rest.is_empty() {
            let at = raw.len().wrapping_sub(rest.len());
            let (entry, after) = take(rest).map_err(|kind| At::new(kind, at))?;
            total = total.saturating_add(usize::from(entry.len));
            rest = after;
        }
        Ok(Self { raw, total })
    }

    /// The list as it was read.
    #[inline]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The entries in order.
    #[inline]
    pub const fn iter(&self) -> Entries<'a> {
        Entries { rest: self.raw }
    }

    /// How many bytes the filled list has.
    #[inline]
    pub const fn total_len(&self) -> usize {
        self.total
    }

    /// Whether the list has an entry for `tag`.
    pub fn contains(&self, tag: Tag) -> bool {
        self.iter().any(|entry| entry.tag == tag)
    }

    /// Where the bytes of `tag` are in the filled list (its first entry).
    pub fn offset_of(&self, tag: Tag) -> Option<Range<usize>> {
        let mut start = 0usize;
        for entry in self.iter() {
            let end = start.saturating_add(usize::from(entry.len));
            if entry.tag == tag {
                return Some(start..end);
            }
            start = end;
        }
        None
    }

    /// The bytes of `tag` in `data`, which is this list filled.
    pub fn value_in<'d>(&self, data: &'d [u8], tag: Tag) -> Option<&'d [u8]> {
        data.get(self.offset_of(tag)?)
    }

    /// Fills the list: `f` gives the value and format of a tag; values are cut or padded to the length asked for.
    ///
    /// A tag that `f` does not know, and any constructed tag, is filled with `00`.
    ///
    /// # Errors
    /// [`Full`] if `out` is shorter than [`Dol::total_len`].
    pub fn fill<'b, 'v>(
        &self,
        out: &'b mut [u8],
        mut f: impl FnMut(Tag) -> Option<(&'v [u8], Format)>,
    ) -> Result<&'b [u8], Full> {
        let out = out.get_mut(..self.total).ok_or(Full { needed: self.total })?;
        let mut rest = &mut *out;
        for entry in self.iter() {
            let Some((place, after)) = rest.split_at_mut_checked(usize::from(entry.len)) else { break };
            match f(entry.tag) {
                Some((value, format)) if !entry.tag.is_constructed() => format.fit(value, place),
                _ => place.fill(0),
            }
            rest = after;
        }
        Ok(out)
    }
}

impl<'a> IntoIterator for &Dol<'a> {
    type Item = DolEntry;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`Dol`].
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl Iterator for Entries<'_> {
    type Item = DolEntry;

    #[inline]
    fn next(&mut self) -> Option<DolEntry> {
        // The list was checked when it was parsed.
        let (entry, rest) = take(self.rest).ok()?;
        self.rest = rest;
        Some(entry)
    }
}

impl FusedIterator for Entries<'_> {}

#[inline]
fn take(raw: &[u8]) -> Result<(DolEntry, &[u8]), DolError> {
    let (tag, rest) = Tag::take(raw).map_err(|kind| match kind {
        TlvError::TagTooLong => DolError::TagTooLong,
        _ => DolError::TagTruncated,
    })?;
    let (&len, rest) = rest.split_first().ok_or(DolError::LengthTruncated)?;
    Ok((DolEntry { tag, len }, rest))
}
