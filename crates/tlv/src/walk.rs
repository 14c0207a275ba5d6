use core::iter::FusedIterator;

use crate::read::{object, skip_filler};
use crate::{At, Rules, Tlv, TlvError};

/// All objects of all levels, depth first, each with its depth; at most `DEPTH` levels.
///
/// The values of constructed tags are entered. Ends after the first error; a template that would lead
/// below `DEPTH` levels is [`TlvError::TooDeep`].
///
/// ```
/// use huiwan_tlv::{Rules, walk};
///
/// let fci = [0x6F, 0x08, 0x84, 0x02, 0xA0, 0x00, 0xA5, 0x02, 0x88, 0x00];
/// let seen: Vec<_> =
///     walk(&fci, Rules::ISO).map(|o| o.map(|(depth, o)| (depth, o.tag().get(), o.at()))).collect::<Result<_, _>>()?;
/// assert_eq!(seen, [(0, 0x6F, 0), (1, 0x84, 2), (1, 0xA5, 6), (2, 0x88, 8)]);
/// # Ok::<(), huiwan_tlv::At<huiwan_tlv::TlvError>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Walk<'a, const DEPTH: usize> {
    /// What is left of the current level.
    rest: &'a [u8],
    /// What follows the open template, per open level.
    outer: [&'a [u8]; DEPTH],
    depth: usize,
    /// Offset of `rest`. Levels are contiguous, so one counter serves all of them.
    at: usize,
    rules: Rules,
}

/// Walks all levels of `raw`, eight at most: no structure of ISO, EMV or GlobalPlatform goes deeper.
#[inline]
pub const fn walk(raw: &[u8], rules: Rules) -> Walk<'_, 8> {
    Walk::new(raw, rules)
}

impl<'a, const DEPTH: usize> Walk<'a, DEPTH> {
    /// Walks all levels of `raw`, `DEPTH` at most.
    #[inline]
    pub const fn new(raw: &'a [u8], rules: Rules) -> Self {
        Self { rest: raw, outer: [&[]; DEPTH], depth: 0, at: 0, rules }
    }

    #[cold]
    fn fail(&mut self, kind: TlvError) -> At<TlvError> {
        self.rest = &[];
        self.depth = 0;
        At::new(kind, self.at)
    }
}

impl<'a, const DEPTH: usize> Iterator for Walk<'a, DEPTH> {
    type Item = Result<(usize, Tlv<'a>), At<TlvError>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rules.skips_filler() {
                let rest = skip_filler(self.rest);
                self.at = self.at.wrapping_add(self.rest.len().wrapping_sub(rest.len()));
                self.rest = rest;
            }
            if !self.rest.is_empty() {
                break;
            }
            // The level is finished: go on behind its template.
            self.depth = self.depth.checked_sub(1)?;
            self.rest = self.outer.get(self.depth).copied().unwrap_or_default();
        }
        let (tag, value, after) = match object(self.rest, self.rules) {
            Ok(found) => found,
            Err(kind) => return Some(Err(self.fail(kind))),
        };
        let len = self.rest.len().wrapping_sub(after.len());
        let raw = self.rest.get(..len).unwrap_or(self.rest);
        let found = (self.depth, Tlv { raw, value, at: self.at, tag });
        if tag.is_constructed() && !value.is_empty() {
            let below = self.depth.wrapping_add(1);
            match self.outer.get_mut(self.depth) {
                Some(outer) if below < DEPTH => *outer = after,
                _ => return Some(Err(self.fail(TlvError::TooDeep))),
            }
            self.depth = below;
            self.rest = value;
            self.at = self.at.wrapping_add(len.wrapping_sub(value.len()));
        } else {
            self.rest = after;
            self.at = self.at.wrapping_add(len);
        }
        Some(Ok(found))
    }
}

impl<const DEPTH: usize> FusedIterator for Walk<'_, DEPTH> {}
