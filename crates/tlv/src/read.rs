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

    #[cold]
    fn fail(&mut self, kind: TlvError) -> At<TlvError> {
        let at = self.end.wrapping_sub(self.rest.len());
        self.rest = &[];
        At::new(kind, at)
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, At<TlvError>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let head = loop {
            if let Some(head) = quick_head(self.rest, self.rules) {
                break head;
            }
            match self.rest {
                [] => return None,
                [0x00 | 0xFF, rest @ ..] if self.rules.skips_filler() => self.rest = rest,
                raw => match long_head(raw, self.rules) {
                    Ok(head) => break head,
                    Err(kind) => return Some(Err(self.fail(kind))),
                },
            }
        };
        let at = self.end.wrapping_sub(self.rest.len());
        let Some((raw, rest)) = self.rest.split_at_checked(head.header.wrapping_add(head.value)) else {
            let kind = truncated(self.rest, self.rules);
            return Some(Err(self.fail(kind)));
        };
        self.rest = rest;
        let (_, value) = raw.split_at_checked(head.header)?;
        Some(Ok(Tlv { raw, value, at, tag: head.tag }))
    }
}

impl FusedIterator for Tlvs<'_> {}

/// Tag and lengths of the object at the front of some bytes.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub(crate) tag: Tag,
    pub(crate) constructed: bool,
    /// Bytes of tag and length.
    pub(crate) header: usize,
    /// Bytes of value. There may be fewer.
    pub(crate) value: usize,
}

/// The head of an object with a tag of one or two bytes and a length of one, which is nearly every object on a
/// card. `None`: anything else, also filler. The header itself may reach behind the level.
#[inline]
pub(crate) fn quick_head(raw: &[u8], rules: Rules) -> Option<Head> {
    let filler = rules.skips_filler();
    let (tag, first, header, len) = match *raw {
        [first, len @ 0..=0x7F, ..] if first & 0x1F != 0x1F && !(filler && first == 0x00) => {
            (u32::from(first), first, 2, len)
        }
        [first, second @ 0x00..=0x7F, len @ 0..=0x7F, ..]
            if first & 0x1F == 0x1F && (rules.any_tag() || second >= 0x1F) && !(filler && first == 0xFF) =>
        {
            (u32::from(first) << 8 | u32::from(second), first, 3, len)
        }
        _ => return None,
    };
    Some(Head { tag: Tag::new(tag), constructed: first & 0x20 != 0, header, value: usize::from(len) })
}

/// The head of any object, and every error but a truncated value.
#[cold]
#[inline(never)]
pub(crate) fn long_head(raw: &[u8], rules: Rules) -> Result<Head, TlvError> {
    let (tag, after_tag) = Tag::take(raw)?;
    if let [first, second, ..] = raw
        && first & 0x1F == 0x1F
        && !rules.any_tag()
        && matches!(second, 0x00..=0x1E | 0x80)
    {
        return Err(TlvError::TagNotMinimal);
    }
    let (value, body) = take_len(after_tag, rules)?;
    let header = raw.len().wrapping_sub(body.len());
    Ok(Head { tag, constructed: tag.is_constructed(), header, value })
}

/// What is truncated in an object that reaches behind its level.
#[cold]
#[inline(never)]
pub(crate) fn truncated(raw: &[u8], rules: Rules) -> TlvError {
    match long_head(raw, rules) {
        Ok(_) => TlvError::ValueTruncated,
        Err(kind) => kind,
    }
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
