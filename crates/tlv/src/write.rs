use core::fmt;

use crate::Tag;

/// The buffer is too small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// How many bytes the whole encoding needs; `usize::MAX` if no buffer could hold it.
    pub needed: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer too small, {} bytes needed", self.needed)
    }
}

impl core::error::Error for Full {}

/// How many bytes tag, length and value take, with the length in its shortest form.
///
/// `usize::MAX` if the value is longer than a four-byte length can say.
#[inline]
pub const fn encoded_len(tag: Tag, value_len: usize) -> usize {
    let Some(length_len) = length_len(value_len) else { return usize::MAX };
    tag.encoded_len().saturating_add(length_len).saturating_add(value_len)
}

/// How many bytes the shortest form of a length takes. `None`: more than four length bytes would be needed.
#[inline]
const fn length_len(len: usize) -> Option<usize> {
    match len {
        0..=0x7F => Some(1),
        0x80..=0xFF => Some(2),
        0x100..=0xFFFF => Some(3),
        _ => match len.checked_shr(24) {
            Some(0) => Some(4),
            Some(0x01..=0xFF) => Some(5),
            _ => None,
        },
    }
}

/// Writes BER-TLV objects into a caller's buffer, lengths in their shortest form.
///
/// Writing never fails in between: past the end of the buffer it only counts, and [`Writer::finish`] says
/// how much would have been needed.
///
/// ```
/// use huiwan_tlv::{Full, Tag, Writer};
///
/// let mut buffer = [0; 8];
/// let mut w = Writer::new(&mut buffer);
/// w.nested(Tag::new(0x70), |w| w.put(Tag::new(0x9F36), &[0x00, 0x07]));
/// assert_eq!(w.finish()?, [0x70, 0x05, 0x9F, 0x36, 0x02, 0x00, 0x07]);
///
/// let mut w = Writer::new(&mut buffer);
/// w.put(Tag::new(0x5A), &[0; 8]);
/// assert_eq!(w.finish(), Err(Full { needed: 10 }));
/// # Ok::<(), Full>(())
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    /// What has been written, and what would have been written past the end.
    len: usize,
}

impl<'b> Writer<'b> {
    /// Writes from the start of `buffer`.
    #[inline]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Writes one object.
    #[inline]
    pub fn put(&mut self, tag: Tag, value: &[u8]) {
        self.header(tag, value.len());
        self.raw(value);
    }

    /// Writes one object whose value is the parts one after the other.
    #[inline]
    pub fn put_parts(&mut self, tag: Tag, parts: &[&[u8]]) {
        self.header(tag, parts.iter().fold(0usize, |len, part| len.saturating_add(part.len())));
        for part in parts {
            self.raw(part);
        }
    }

    /// Writes a template whose value is what `content` writes.
    #[inline]
    pub fn nested(&mut self, tag: Tag, content: impl FnOnce(&mut Writer<'_>)) {
        self.bare_tag(tag);
        // Most templates are short: one length byte is left free, and the value moves if it needs more.
        let length_at = self.len;
        self.raw(&[0]);
        let value_at = self.len;
        let mut inside = Writer { buffer: &mut *self.buffer, len: self.len };
        content(&mut inside);
        self.len = inside.len;
        self.patch_length(length_at, value_at);
    }

    fn patch_length(&mut self, length_at: usize, value_at: usize) {
        let value_len = self.len.saturating_sub(value_at);
        let Some(length_len) = length_len(value_len) else {
            self.len = usize::MAX;
            return;
        };
        if length_len > 1 {
            let moved_to = length_at.saturating_add(length_len);
            let end = moved_to.saturating_add(value_len);
            if end <= self.buffer.len() {
                self.buffer.copy_within(value_at..self.len, moved_to);
            }
            self.len = end;
        }
        let end = core::mem::replace(&mut self.len, length_at);
        self.length(value_len);
        self.len = end;
    }

    /// Writes tag and length of an object whose `value_len` bytes of value are written next.
    #[inline]
    pub fn header(&mut self, tag: Tag, value_len: usize) {
        self.bare_tag(tag);
        self.length(value_len);
    }

    /// Writes bytes that are already encoded.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(place) = self.buffer.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// How many bytes have been written, counting those that did not fit.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The encoding.
    ///
    /// # Errors
    /// [`Full`] if it did not fit.
    #[inline]
    pub fn finish(self) -> Result<&'b mut [u8], Full> {
        let needed = self.len;
        self.buffer.get_mut(..needed).ok_or(Full { needed })
    }

    #[inline]
    pub(crate) fn bare_tag(&mut self, tag: Tag) {
        let [a, b, c, d] = tag.get().to_be_bytes();
        match tag.encoded_len() {
            1 => self.raw(&[d]),
            2 => self.raw(&[c, d]),
            3 => self.raw(&[b, c, d]),
            _ => self.raw(&[a, b, c, d]),
        }
    }

    #[inline]
    fn length(&mut self, len: usize) {
        match u8::try_from(len) {
            Ok(short @ 0..=0x7F) => self.raw(&[short]),
            _ => self.long_length(len),
        }
    }

    fn long_length(&mut self, len: usize) {
        match u32::try_from(len).map(u32::to_be_bytes) {
            Ok([0, 0, 0, d]) => self.raw(&[0x81, d]),
            Ok([0, 0, c, d]) => self.raw(&[0x82, c, d]),
            Ok([0, b, c, d]) => self.raw(&[0x83, b, c, d]),
            Ok([a, b, c, d]) => self.raw(&[0x84, a, b, c, d]),
            Err(_) => self.len = usize::MAX,
        }
    }
}
