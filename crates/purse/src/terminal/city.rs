//! City cards of 建设部 (CJ/T 166): a composite purchase with one record of file 0017, 48 bytes. There is no trip record
//! beside it. [sheet 1.3, 5.3: I:TU,HB]
//!
//! What the 45 bytes behind the head mean is each city's own, so the caller writes them. The card authenticates itself
//! where the policy wants it: [`Policy::CJT_166`](super::Policy::CJT_166).

use super::Refusal;
use super::service::{CardRecord, CardView, Charge, Fare, RecordFile, Records, Service, Visit};
use crate::pack::Pack;
use crate::profile::RecordFormat;

/// The identifier of the record. [sheet 5.3: I:TU,HB]
pub const ID: u8 = 0x09;

/// Length of the record with its head `09 2E lock`, bytes.
pub const LEN: usize = 48;

/// What a city's record holds behind its head.
pub type Content = [u8; 45];

/// What a ride writes: a pure function of the charge and what the record held.
pub trait Ride {
    /// Whether the record allows the ride, and what it costs.
    ///
    /// # Errors
    /// Why not.
    fn judge(&self, visit: &Visit<'_>, content: &Content) -> Result<Fare, Refusal>;

    /// The record afterwards.
    fn compose(&self, charge: &Charge<'_>, content: &Content) -> Content;
}

/// A terminal of a city.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct City<R> {
    /// The city's way.
    pub ride: R,
}

/// The content of the record, if it is one and not locked.
fn content(card: &CardView) -> Result<Content, Refusal> {
    let record = card.record.as_ref().ok_or(Refusal::NoRecord)?;
    let format = RecordFormat::CJT_166;
    if record.first() != Some(&ID) || !format.length_fits(record) {
        return Err(Refusal::NoRecord);
    }
    if format.is_locked(record) {
        return Err(Refusal::RecordLocked);
    }
    record.last_chunk().copied().ok_or(Refusal::NoRecord)
}

impl<R: Ride> Service for City<R> {
    fn record(&self) -> Option<RecordFile> {
        Some(RecordFile { sfi: 0x17, id: ID, len: 48 })
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        self.ride.judge(visit, &content(visit.card)?)
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(content) = content(charge.card) else { return Records::default() };
        let content = self.ride.compose(charge, &content);
        let record: [u8; LEN] = Pack::new().put([ID, 0x2E, 0x00]).put(content).finish();
        Records { composite: Some(CardRecord::from(&record)), process: None }
    }
}
