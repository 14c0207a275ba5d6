//! The host: transactions with cards that are online, settlement of those that were not, and the keys of cards to be
//! issued.
//!
//! Keys are used through [`LoadKeys`], at the level of the business, so that an HSM over a network and [`SoftLoadKeys`]
//! are interchangeable. Load, unload, limit update and grey unlock are one [`OnlineSession`](online::OnlineSession); what
//! each does with money stands in [`load`], [`unload`], [`limit`] and [`grey_unlock`]. [`tsm_job`] is a load over the air that any
//! worker carries on.

pub mod grey_unlock;
pub mod hierarchy;
pub mod limit;
pub mod load;
pub mod online;
pub mod personalise;
pub mod settlement;
mod soft;
pub mod tsm_job;
pub mod unload;

pub use soft::{SoftLoadKeys, TacKeyId};

use core::fmt;

use crate::date::Stamp;
use crate::mac::Mac;
use crate::online::OnlineRequest;
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
    /// The figures contradict each other: no card can do this.
    Impossible,
    /// The provider failed, or does not do transactions of this type.
    Unavailable,
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MacInvalid => "mac is wrong",
            Self::NoKey => "no key of this version and algorithm",
            Self::Impossible => "figures contradict each other",
            Self::Unavailable => "key provider failed",
        })
    }
}

impl core::error::Error for KeyRefused {}

/// The issuer's keys for transactions with the host, and its TAC keys. A provider that only loads and settles leaves out
/// the methods with a default.
pub trait LoadKeys {
    /// Verifies MAC1 of a load and, if it is right, makes MAC2 over `stamp`.
    ///
    /// # Errors
    /// Why there is no MAC2.
    fn approve_load(&mut self, request: &LoadRequest, stamp: Stamp) -> Result<Mac, KeyRefused>;

    /// Verifies MAC1 of a load, unload, limit update or grey unlock and, if it is right, makes MAC2 over `stamp` and the
    /// request's amount.
    ///
    /// # Errors
    /// Why there is no MAC2; by default [`KeyRefused::Unavailable`] for everything that is not a load.
    fn approve(&mut self, request: &OnlineRequest, stamp: Stamp) -> Result<Mac, KeyRefused> {
        match request.load() {
            Some(load) => self.approve_load(&load, stamp),
            None => Err(KeyRefused::Unavailable),
        }
    }

    /// Verifies MAC1 alone: the initialisation is evidence of the card's counter, not a wish. By default an approval
    /// whose MAC2 nobody sees.
    ///
    /// # Errors
    /// [`KeyRefused::MacInvalid`] if it is wrong.
    fn verify_mac1(&mut self, request: &OnlineRequest) -> Result<(), KeyRefused> {
        self.approve(request, Stamp::default()).map(|_| ())
    }

    /// Verifies the TAC of a load, limit update or purchase.
    ///
    /// # Errors
    /// [`KeyRefused::MacInvalid`] if it is wrong.
    fn verify_tac(&mut self, transaction: &Transaction, tac: &Mac) -> Result<(), KeyRefused>;

    /// Verifies MAC3 of an unload or grey unlock that was approved at `stamp`.
    ///
    /// # Errors
    /// [`KeyRefused::MacInvalid`] if it is wrong; by default [`KeyRefused::Unavailable`].
    fn verify_mac3(&mut self, request: &OnlineRequest, stamp: Stamp, mac3: &Mac) -> Result<(), KeyRefused> {
        let _ = (request, stamp, mac3);
        Err(KeyRefused::Unavailable)
    }

    /// Verifies many TACs: verdict bit `n` (bit `n % 8` of byte `n / 8`) is 1 if record `n` is right. Bits past the last
    /// record are 0. A provider may overrule this with something faster.
    fn verify_tacs(&mut self, records: &[settlement::Record], verdicts: &mut [u8]) {
        settlement::judge(records, verdicts, |record| {
            self.verify_tac(&record.transaction, &record.tac).is_ok()
        });
    }
}
