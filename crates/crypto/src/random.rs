//! Where random bytes come from.

use core::fmt;

use rand_core::TryCryptoRng;

use crate::CryptoError;

/// A cryptographic random source that may fail.
///
/// Every `rand_core` generator that is a [`TryCryptoRng`] is one.
pub trait Random {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`RandomFailed`] when the source cannot deliver; what is in `out` then must not be used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed>;
}

impl<R: TryCryptoRng + ?Sized> Random for R {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self.try_fill_bytes(out).map_err(|_| RandomFailed)
    }
}

/// The random source delivered nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomFailed;

impl fmt::Display for RandomFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("random source failed")
    }
}

impl core::error::Error for RandomFailed {}

impl From<RandomFailed> for CryptoError {
    fn from(_: RandomFailed) -> Self {
        Self
    }
}
