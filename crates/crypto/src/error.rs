//! The one failure of this crate.

use core::fmt;

/// A failed check, a bad length, bad padding or a key that cannot be one.
///
/// Deliberately opaque: what failed is nobody's business but the caller's, who knows what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoError;

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cryptographic operation failed")
    }
}

impl core::error::Error for CryptoError {}
