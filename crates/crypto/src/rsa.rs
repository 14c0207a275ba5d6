//! RSA as EMV and GlobalPlatform use it: the bare permutation, of which the message format is the caller's.
//!
//! The public operation runs in variable time, as everything in it is public. The private operation works by the Chinese
//! remainder theorem in constant time, blinds the message under each prime anew, and checks its result with the public
//! key before it gives it away, so that a disturbed computation reveals nothing.

mod crt;
mod public;
mod signature;
mod uint;

pub use crt::RsaPrivate;
pub use public::RsaPublic;

/// Longest modulus in bytes.
pub const MAX_MODULUS_LEN: usize = 256;

/// Shortest modulus in bytes.
pub const MIN_MODULUS_LEN: usize = 64;
