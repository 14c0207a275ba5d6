//! Tag lists: tags one after the other, without lengths (`5C`, `9F4A`). [ISO7816-4 8.4.1]

use core::iter::FusedIterator;

use crate::{At, Full, Tag, TlvError, Writer};

/// The tags of a tag list, lazily. Ends after the first error.
///
/// ```
/// use huiwan_tlv::{Tag, tag_list::TagList};
///
/// let tags: Vec<Tag> = TagList::new(&[0x5A, 0x9F, 0x36]).collect::<Result<_, _>>()?;
/// assert_eq!(tags, [Tag::new(0x5A), Tag::new(0x9F36)]);
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::TlvError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TagList<'a> {
    rest: &'a [u8],
    end: usize,
}

impl<'a> TagList<'a> {
    /// The tags in `raw`.
    #[inline]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw, end: raw.len() }
    }
}

impl Iterator for TagList<'_> {
    type Item = Result<Tag, At<TlvError>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.end.wrapping_sub(self.rest.len());
        match Tag::take(self.rest) {
            Ok((tag, rest)) => {
                self.rest = rest;
                Some(Ok(tag))
            }
            Err(kind) => {
                self.rest = &[];
                Some(Err(At::new(kind, at)))
            }
        }
    }
}

impl FusedIterator for TagList<'_> {}

/// Writes a tag list.
///
/// # Errors
/// [`Full`] if `out` is too small.
pub fn put<'b>(out: &'b mut [u8], tags: &[Tag]) -> Result<&'b [u8], Full> {
    let mut w = Writer::new(out);
    for tag in tags {
        w.bare_tag(*tag);
    }
    Ok(w.finish()?)
}
