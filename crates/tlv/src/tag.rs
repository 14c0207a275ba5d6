use core::fmt;

use crate::{At, TlvError};

/// A BER-TLV tag of one to four bytes, kept as the number its bytes spell: `9F02` is `Tag::new(0x9F02)`.
///
/// ```
/// use huiwan_tlv::Tag;
///
/// const AMOUNT_AUTHORISED: Tag = Tag::new(0x9F02);
/// assert_eq!(AMOUNT_AUTHORISED.encoded_len(), 2);
/// assert_eq!(AMOUNT_AUTHORISED.to_string(), "9F02");
/// assert!(Tag::new(0x6F).is_constructed());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

/// The class of a tag, bits 8 and 7 of its first byte. [ISO7816-4 5.2.2.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum Class {
    /// `00`
    Universal,
    /// `01`
    Application,
    /// `10`
    ContextSpecific,
    /// `11`
    Private,
}

impl Tag {
    /// The tag whose bytes spell `number`, first byte most significant.
    ///
    /// Any number is taken, so that tables of tags are plain constants; [`Tag::from_bytes`] checks.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Reads a tag that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`TlvError::TagTruncated`] if the last byte announces another one, [`TlvError::TagTooLong`] if bytes are left
    /// over or there are more than four.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, At<TlvError>> {
        match Self::take(bytes) {
            Ok((tag, [])) => Ok(tag),
            Ok((tag, _)) => Err(At::new(TlvError::TagTooLong, tag.encoded_len())),
            Err(kind) => Err(At::new(kind, 0)),
        }
    }

    /// The number its bytes spell.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// How many bytes it takes on the wire, 1 to 4.
    #[inline]
    pub const fn encoded_len(self) -> usize {
        match self.0 {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            0x1_0000..=0xFF_FFFF => 3,
            _ => 4,
        }
    }

    /// Whether the value is itself a series of TLV objects (bit 6 of the first byte).
    #[inline]
    pub const fn is_constructed(self) -> bool {
        self.first_byte() & 0x20 != 0
    }

    /// The class (bits 8 and 7 of the first byte).
    #[inline]
    pub const fn class(self) -> Class {
        match self.first_byte() >> 6 {
            0 => Class::Universal,
            1 => Class::Application,
            2 => Class::ContextSpecific,
            _ => Class::Private,
        }
    }

    #[inline]
    const fn first_byte(self) -> u8 {
        let [a, b, c, d] = self.0.to_be_bytes();
        match self.encoded_len() {
            1 => d,
            2 => c,
            3 => b,
            _ => a,
        }
    }

    /// Takes a tag off the front of `raw`. No rule about minimal tag numbers is applied here.
    #[inline]
    pub(crate) fn take(raw: &[u8]) -> Result<(Self, &[u8]), TlvError> {
        let Some((&first, mut rest)) = raw.split_first() else { return Err(TlvError::TagTruncated) };
        let mut number = u32::from(first);
        if first & 0x1F == 0x1F {
            // At most three bytes follow the first.
            for _ in 0..3 {
                let Some((&next, after)) = rest.split_first() else { return Err(TlvError::TagTruncated) };
                number = number << 8 | u32::from(next);
                rest = after;
                if next & 0x80 == 0 {
                    return Ok((Self(number), rest));
                }
            }
            return Err(TlvError::TagTooLong);
        }
        Ok((Self(number), rest))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.encoded_len().wrapping_mul(2);
        write!(f, "{:0width$X}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
