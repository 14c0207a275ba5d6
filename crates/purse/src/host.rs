//! The host: the load server, settlement, and the keys of a card to be issued.
//!
//! Keys are used through [`LoadKeys`], at the level of the business, so that an HSM over a network and [`SoftLoadKeys`]
//! are interchangeable.

pub mod load;
pub mod personalise;
pub mod settlement;
mod soft;

pub use soft::SoftLoadKeys;

use core::fmt;

use crate::date::Stamp;
use crate::mac::Mac;
use crate::terminal::LoadRequest;
use crate::transaction::Transaction;

/// What a key operation of the host came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyRefused {
    /// The MAC or TAC is wrong.
    MacInvalid,
    /// There is no key of this version and algorithm.
    NoKey,
    /// The provider failed.
    Unavailable,
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MacInvalid => "mac is wrong",
            Self::NoKey => "no key of this version and algorithm",
            Self::Unavailable => "key provider failed",
        })
    }
}

impl core::error::Error for KeyRefused {}

/// The issuer's load and TAC keys.
pub trait LoadKeys {
    /// Verifies MAC1 of a load and, if it is right, makes MAC2 over `stamp`.
    ///
    /// # Errors
    /// Why there is no MAC2.
    fn approve_load(&mut self, request: &LoadRequest, stamp: Stamp) -> Result<Mac, KeyRefused>;

    /// Verifies the TAC of a load or purchase.
    ///
    /// # Errors
    /// [`KeyRefused::MacInvalid`] if it is wrong.
    fn verify_tac(&mut self, transaction: &Transaction, tac: &Mac) -> Result<(), KeyRefused>;

    /// Verifies many TACs: verdict bit `n` (bit `n % 8` of byte `n / 8`) is 1 if record `n` is right. Bits past the last
    /// record are 0. A provider may overrule this with something faster.
    fn verify_tacs(&mut self, records: &[settlement::Record], verdicts: &mut [u8]) {
        verdicts.fill(0);
        for (verdict, records) in verdicts.iter_mut().zip(records.chunks(8)) {
            for (bit, record) in (0_u8..8).zip(records) {
                let right = self.verify_tac(&record.transaction, &record.tac).is_ok();
                *verdict |= u8::from(right) << bit;
            }
        }
    }
}
