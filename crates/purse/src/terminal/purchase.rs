//! Plain purchase from the purse (type 06), as in a shop.

use super::Refusal;
use super::service::{Charge, Fare, Records, Service, Visit};
use crate::tti::Tti;

/// A purchase of a known amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Fen.
    pub amount: u32,
}

impl Service for Purchase {
    fn tti(&self) -> Tti {
        Tti::EP_PURCHASE
    }

    fn judge(&self, _: &Visit<'_>) -> Result<Fare, Refusal> {
        Ok(Fare::Fixed(self.amount))
    }

    fn compose(&self, _: &Charge<'_>) -> Records {
        Records::default()
    }
}
