//! The service desk of a metro: it sets right trips that no gate takes, and charges for that. The record says that a desk did
//! it (states 03 and 04), the trip record that the fare was made up (type 08). [sheet 5.4, 5.5, 8: I:MOT,BUS1,SH]
//!
//! Which updates there are and what they write beyond the state is our own design; no public text says.

use super::Refusal;
use super::metro::{self, Owed, Place};
use super::service::{Charge, Fare, RecordFile, Records, Service, Visit};
use crate::transit::process::Kind;
use crate::transit::rail::{self, State};

/// What was wrong with the trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// The rider is inside, and the card is not: the trip begins now, at the desk's place (or wherever the rider says).
    Enter {
        /// The fare the trip can cost at most, for the record, fen.
        maximum_fare: u32,
    },
    /// The rider stayed too long: the time limit begins anew.
    Prolong,
    /// The rider is outside, and the card is not: the trip ends now, at the desk's place.
    Leave,
}

/// A service desk, for one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desk {
    /// Where the trip is set right.
    pub place: Place,
    /// How.
    pub update: Update,
    /// What it costs.
    pub owed: Owed,
}

impl Service for Desk {
    fn record(&self) -> Option<RecordFile> {
        Some(metro::RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        let record = metro::rail(visit.card)?;
        match (self.update, metro::is_inside(&record)) {
            (Update::Enter { .. }, true) => Err(Refusal::AlreadyInside),
            (Update::Prolong | Update::Leave, false) => Err(Refusal::NotInside),
            (Update::Enter { .. }, false) | (Update::Prolong | Update::Leave, true) => {
                Ok(self.owed.of(&record))
            }
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = metro::rail(charge.card) else { return Records::default() };
        let record = match self.update {
            Update::Enter { maximum_fare } => {
                metro::entered(record, State::InsideUpdated, &self.place, charge.stamp)
                    .with(rail::MAXIMUM_FARE, maximum_fare.to_be_bytes())
            }
            Update::Prolong => record
                .with(rail::STATE, [State::InsideUpdated.code()])
                .with(rail::ENTRY_TIME, charge.stamp.to_bytes()),
            Update::Leave => metro::left(record, State::OutsideUpdated, &self.place, charge.stamp),
        };
        Records {
            composite: Some(record.as_bytes().into()),
            process: Some(metro::process(charge, &self.place, Kind::EP_MAKE_UP)),
        }
    }
}
