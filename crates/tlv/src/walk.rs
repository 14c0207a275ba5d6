use core::iter::FusedIterator;

use crate::read::{long_head, quick_head, truncated};
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
    /// From here to the end of the input: levels are contiguous.
    tail: &'a [u8],
    /// How much of `tail` belongs to the current level.
    left: usize,
    /// How much is left behind each open template, the innermost first. Shifted, never indexed: an index known
    /// only at run time would keep the whole walk out of registers.
    behind: [usize; DEPTH],
    depth: usize,
    /// Offset behind `tail`.
    end: usize,
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
        Self { tail: raw, left: raw.len(), behind: [0; DEPTH], depth: 0, end: raw.len(), rules }
    }

    /// Opens a template behind which `behind` bytes are left.
    #[inline]
    fn open(&mut self, behind: usize) {
        let mut shifted = behind;
        for level in &mut self.behind {
            core::mem::swap(level, &mut shifted);
        }
        self.depth = self.depth.wrapping_add(1);
    }

    /// Closes the innermost template.
    #[inline]
    fn close(&mut self) -> Option<()> {
        self.depth = self.depth.checked_sub(1)?;
        let mut shifted = 0;
        for level in self.behind.iter_mut().rev() {
            core::mem::swap(level, &mut shifted);
        }
        self.left = shifted;
        Some(())
    }

    /// What is left of the current level.
    fn level(&self) -> &'a [u8] {
        self.tail.get(..self.left).unwrap_or(self.tail)
    }

    #[cold]
    fn fail(&mut self, kind: TlvError) -> At<TlvError> {
        let at = self.end.wrapping_sub(self.tail.len());
        self.tail = &[];
        self.left = 0;
        self.depth = 0;
        At::new(kind, at)
    }
}

impl<'a, const DEPTH: usize> Iterator for Walk<'a, DEPTH> {
    type Item = Result<(usize, Tlv<'a>), At<TlvError>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.left == 0 {
                self.close()?;
                continue;
            }
            let head = match quick_head(self.tail, self.rules) {
                Some(head) => head,
                None if self.rules.skips_filler() && matches!(self.tail, [0x00 | 0xFF, ..]) => {
                    self.tail = self.tail.get(1..).unwrap_or_default();
                    self.left = self.left.wrapping_sub(1);
                    continue;
                }
                None => match long_head(self.level(), self.rules) {
                    Ok(head) => head,
                    Err(kind) => return Some(Err(self.fail(kind))),
                },
            };
            let at = self.end.wrapping_sub(self.tail.len());
            let len = head.header.wrapping_add(head.value);
            let (Some(behind), Some((raw, after))) =
                (self.left.checked_sub(len), self.tail.split_at_checked(len))
            else {
                let kind = truncated(self.level(), self.rules);
                return Some(Err(self.fail(kind)));
            };
            let (_, value) = raw.split_at_checked(head.header)?;
            let found = (self.depth, Tlv { raw, value, at, tag: head.tag });
            if head.constructed && !value.is_empty() {
                if self.depth.wrapping_add(1) >= DEPTH {
                    return Some(Err(self.fail(TlvError::TooDeep)));
                }
                self.open(behind);
                self.tail = self.tail.get(head.header..)?;
                self.left = value.len();
            } else {
                self.tail = after;
                self.left = behind;
            }
            return Some(Ok(found));
        }
    }
}

impl<const DEPTH: usize> FusedIterator for Walk<'_, DEPTH> {}
