//! Bytes that are wiped and never printed, and their comparison.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: wiped on drop, redacted in `Debug`, compared in constant time.
///
/// ```
/// let key = huiwan_crypto::Secret::new(*b"0123456789ABCDEF");
/// assert_eq!(format!("{key:?}"), "Secret<16>(..)");
/// assert_eq!(key.expose(), b"0123456789ABCDEF");
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the bytes over; the caller's copy is the caller's to wipe.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be filled in place.
    pub const fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N}>(..)")
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.0, &other.0)
    }
}

impl<const N: usize> Eq for Secret<N> {}

/// Whether `a` and `b` are equal, in a time that depends on their lengths only. Different lengths: `false`.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
