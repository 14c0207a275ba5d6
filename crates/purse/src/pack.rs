//! Fixed-length fields one after another: how every purse message is laid out.

/// Writes fields in order into an array of `N` bytes. The sum of the fields is `N` wherever this is used.
pub(crate) struct Pack<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Pack<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    #[inline]
    #[must_use]
    pub(crate) fn put<const M: usize>(mut self, field: [u8; M]) -> Self {
        if let Some(place) = self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<M>()) {
            *place = field;
        }
        self.at = self.at.saturating_add(M);
        self
    }

    #[inline]
    pub(crate) fn finish(self) -> [u8; N] {
        debug_assert_eq!(self.at, N, "the fields fill the message");
        self.bytes
    }
}

/// Reads fields in order. The caller has checked the length; past the end everything is zero.
pub(crate) struct Unpack<'a> {
    rest: &'a [u8],
}

impl<'a> Unpack<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn take<const M: usize>(&mut self) -> [u8; M] {
        match self.rest.split_first_chunk::<M>() {
            Some((field, rest)) => {
                self.rest = rest;
                *field
            }
            None => {
                self.rest = &[];
                [0; M]
            }
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    /// Three bytes, as overdraft limits are written.
    #[inline]
    pub(crate) fn u24(&mut self) -> u32 {
        from_u24(self.take())
    }
}

/// The overdraft limit that three bytes mean.
pub(crate) const fn from_u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

/// The three-byte form of an overdraft limit; a larger value does not occur, because none is ever accepted.
pub(crate) const fn u24(value: u32) -> [u8; 3] {
    let [_, a, b, c] = value.to_be_bytes();
    [a, b, c]
}
