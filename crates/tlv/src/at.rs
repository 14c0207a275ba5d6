use core::fmt;

/// A parse error: what is wrong, and the offset of the byte at which it is wrong.
///
/// Offsets count from the start of the bytes the caller handed in, also inside nested objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<K> {
    kind: K,
    at: usize,
}

impl<K: Copy> At<K> {
    /// An error of `kind` at byte `at`.
    #[inline]
    pub const fn new(kind: K, at: usize) -> Self {
        Self { kind, at }
    }

    /// What is wrong. Match on this, not on the text.
    #[inline]
    pub const fn kind(&self) -> K {
        self.kind
    }

    /// The offset of the byte that is wrong.
    #[inline]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The same error seen from bytes that begin `by` bytes earlier.
    #[inline]
    #[must_use]
    pub const fn shifted(self, by: usize) -> Self {
        Self { kind: self.kind, at: self.at.saturating_add(by) }
    }

    /// The same place, with another kind: for parsers built on other parsers.
    #[inline]
    pub fn map<L: Copy>(self, f: impl FnOnce(K) -> L) -> At<L> {
        At::new(f(self.kind), self.at)
    }
}

impl<K: fmt::Display> fmt::Display for At<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)
    }
}

impl<K: fmt::Debug + fmt::Display> core::error::Error for At<K> {}
