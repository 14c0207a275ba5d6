use core::{fmt, iter::FusedIterator};

use crate::{At, Rules, Tag};

/// What is wrong with a BER-TLV object. The offset beside it is that of the object's first byte, except
/// where a variant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlvError {
    /// The data end inside the tag.
    TagTruncated,
    /// The tag has more than four bytes.
    TagTooLong,
    /// A tag in more bytes than its number needs, refused by [`Rules::ISO`].
    TagNotMinimal,
    /// The data end inside the length.
    LengthTruncated,
    /// The length is coded in more than four bytes, or does not fit this machine.
    LengthTooLong,
    /// A length in more bytes than it needs, refused by [`Rules::strict`].
    LengthNotMinimal,
    /// The indefinite length `80`, which ISO 7816-4 does not allow. [ISO7816-4 5.2.2.2]
    IndefiniteLength,
    /// The value is longer than the data that are left.
    ValueTruncated,
    /// A template inside more templates than the walk may enter.
    TooDeep,
}

impl TlvError {
    const fn text(self) -> &'static str {
        match self {
            Self::TagTruncated => "tag truncated",
            Self::TagTooLong => "tag longer than four bytes",
            Self::TagNotMinimal => "tag not in its shortest form",
            Self::LengthTruncated => "length truncated",
            Self::LengthTooLong => "length longer than four bytes",
            Self::LengthNotMinimal => "length not in its shortest form",
            Self::IndefiniteLength => "indefinite length",
            Self::ValueTruncated => "value truncated",
            Self::TooDeep => "templates nested too deep",
        }
    }
}

impl fmt::Display for TlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for TlvError {}

/// One BER-TLV object, borrowed from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) at: usize,
    pub(crate) tag: Tag,
}

impl<'a> Tlv<'a> {
    /// The tag.
    #[inline]
    pub const fn tag(&self) -> Tag {
        self.tag
    }

    /// The value field.
    #[inline]
    pub const fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Tag, length and value as they were read.
    #[inline]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The offset of the first tag byte in the bytes the caller handed in.
    #[inline]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The offset of the first value byte in the bytes the caller handed in.
    #[inline]
    pub const fn value_at(&self) -> usize {
        self.at.wrapping_add(self.raw.len().wrapping_sub(self.value.len()))
    }

    /// The objects inside this one, with offsets that still count from the outermost bytes.
    #[inline]
    pub const fn children(&self, rules: Rules) -> Tlvs<'a> {
        Tlvs::starting_at(self.value, rules, self.value_at())
    }
}

/// The objects of one level, lazily. Ends after the first error.
///
/// ```
/// use huiwan_tlv::{Rules, TlvError, parse};
///
/// let mut objects = parse(&[0x9F, 0x02, 0x01, 0x05, 0x5A, 0x80], Rules::EMV);
/// assert_eq!(objects.next().unwrap()?.value(), [0x05]);
/// let error = objects.next().unwrap().unwrap_err();
/// assert_eq!((error.kind(), error.at()), (TlvError::IndefiniteLength, 4));
/// assert!(objects.next().is_none());
/// # Ok::<(), huiwan_tlv::At<TlvError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tlvs<'a> {
    rest: &'a [u8],
    /// Offset just behind `rest`: the position is always `end - rest.len()`.
    end: usize,
    rules: Rules,
}

/// The objects in `raw`, one level.
#[inline]
pub const fn parse(raw: &[u8], rules: Rules) -> Tlvs<'_> {
    Tlvs::new(raw, rules)
}

impl<'a> Tlvs<'a> {
    /// The objects in `raw`.
    #[inline]
    pub const fn new(raw: &'a [u8], rules: Rules) -> Self {
        Self::starting_at(raw, rules, 0)
    }

    /// The objects in `raw`, where `raw` begins at `base_offset` of the caller's bytes.
    #[inline]
    pub const fn starting_at(raw: &'a [u8], rules: Rules, base_offset: usize) -> Self {
        Self { rest: raw, end: base_offset.wrapping_add(raw.len()), rules }
    }

    /// The bytes not read yet; empty after an error.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, At<TlvError>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rules.skips_filler() {
            self.rest = skip_filler(self.rest);
        }
        if self.rest.is_empty() {
            return None;
        }
        let raw = self.rest;
        let at = self.end.wrapping_sub(raw.len());
        match object(raw, self.rules) {
            Ok((tag, value, rest)) => {
                self.rest = rest;
                let raw = raw.get(..raw.len().wrapping_sub(rest.len())).unwrap_or(raw);
                Some(Ok(Tlv { raw, value, at, tag }))
            }
            Err(kind) => {
                self.rest = &[];
                Some(Err(At::new(kind, at)))
            }
        }
    }
}

impl FusedIterator for Tlvs<'_> {}

/// Drops the filler bytes `00` and `FF` at the front. [EMV-B3 Annex B]
#[inline]
pub(crate) fn skip_filler(mut raw: &[u8]) -> &[u8] {
    while let [0x00 | 0xFF, rest @ ..] = raw {
        raw = rest;
    }
    raw
}

type Object<'a> = (Tag, &'a [u8], &'a [u8]);

/// Tag, value and rest of the object at the front of `raw`.
#[inline]
pub(crate) fn object(raw: &[u8], rules: Rules) -> Result<Object<'_>, TlvError> {
    // Nearly every object on a card has a tag of one or two bytes and a length of one.
    let (tag, len, body) = match *raw {
        [t, len @ 0..=0x7F, ref body @ ..] if t & 0x1F != 0x1F => (u32::from(t), len, body),
        [t, u @ 0x00..=0x7F, len @ 0..=0x7F, ref body @ ..]
            if t & 0x1F == 0x1F && (rules.any_tag() || u >= 0x1F) =>
        {
            (u32::from(t) << 8 | u32::from(u), len, body)
        }
        _ => return long_object(raw, rules),
    };
    match body.split_at_checked(usize::from(len)) {
        Some((value, rest)) => Ok((Tag::new(tag), value, rest)),
        None => Err(truncated_value()),
    }
}

#[cold]
const fn truncated_value() -> TlvError {
    TlvError::ValueTruncated
}

/// Every encoding the fast path does not know, and every error.
#[cold]
#[inline(never)]
fn long_object(raw: &[u8], rules: Rules) -> Result<Object<'_>, TlvError> {
    let (tag, after_tag) = Tag::take(raw)?;
    if let [first, second, ..] = raw
        && first & 0x1F == 0x1F
        && !rules.any_tag()
        && matches!(second, 0x00..=0x1E | 0x80)
    {
        return Err(TlvError::TagNotMinimal);
    }
    let (len, body) = take_len(after_tag, rules)?;
    let (value, rest) = body.split_at_checked(len).ok_or(TlvError::ValueTruncated)?;
    Ok((tag, value, rest))
}

/// Takes a length off the front of `raw`. [ISO7816-4 5.2.2.2]
fn take_len(raw: &[u8], rules: Rules) -> Result<(usize, &[u8]), TlvError> {
    let (&first, after) = raw.split_first().ok_or(TlvError::LengthTruncated)?;
    let count = match first {
        0..=0x7F => return Ok((usize::from(first), after)),
        0x80 => return Err(TlvError::IndefiniteLength),
        0x81..=0x84 => usize::from(first & 0x7F),
        _ => return Err(TlvError::LengthTooLong),
    };
    let (bytes, rest) = after.split_at_checked(count).ok_or(TlvError::LengthTruncated)?;
    let len = bytes.iter().fold(0u32, |len, byte| len << 8 | u32::from(*byte));
    let len = usize::try_from(len).map_err(|_| TlvError::LengthTooLong)?;
    if rules.minimal_lengths() && (len < 0x80 || bytes.first() == Some(&0)) {
        return Err(TlvError::LengthNotMinimal);
    }
    Ok((len, rest))
}
