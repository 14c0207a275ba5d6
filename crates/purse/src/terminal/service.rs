//! What a tap is for: which record it reads, what it asks for, and what it writes.

use super::{Device, Refusal};
use crate::date::Stamp;
use crate::transit::management::Management;
use crate::transit::process::Process;
use crate::transit::public_info::PublicInfo;
use crate::tti::Tti;

/// What is known of the card before it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardView {
    /// File 0015.
    pub public_info: PublicInfo,
    /// File 0017, where the policy wants it.
    pub management: Option<Management>,
    /// The record of file 001A the service wants.
    pub record: Option<[u8; 128]>,
}

/// Where the amount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fare {
    /// It is known, fen.
    Fixed(u32),
    /// The caller works it out from the [`CardView`].
    Ask,
}

/// A charge that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The card.
    pub card: &'a CardView,
    /// The terminal.
    pub device: &'a Device,
    /// Amount, fen.
    pub amount: u32,
    /// Balance after it, fen.
    pub balance_after: u32,
    /// Date and time.
    pub stamp: Stamp,
}

/// The records a composite purchase writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Records {
    /// The record of file 001A the service read, updated.
    pub composite: Option<[u8; 128]>,
    /// A new record of file 001E.
    pub process: Option<Process>,
}

/// A kind of tap.
pub trait Service {
    /// 06 for a plain purchase, 09 for a composite one.
    fn tti(&self) -> Tti {
        Tti::CAPP_PURCHASE
    }

    /// The low identifier byte of the record of file 001A to read and update.
    fn record_id(&self) -> Option<u8> {
        None
    }

    /// Whether the card may do this, and what it costs.
    ///
    /// # Errors
    /// Why not.
    fn judge(&self, card: &CardView) -> Result<Fare, Refusal>;

    /// What to write. A composite purchase writes at least one record.
    fn compose(&self, charge: &Charge<'_>) -> Records;
}
