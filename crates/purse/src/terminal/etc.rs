//! Highway lanes (ETC): record AA of file 0019. The entry debits nothing and marks the way in, the exit debits the toll;
//! of an account card (type 23) both debit nothing, and the account pays. [sheet 5.6: I:W-ETC,ETC1]

use super::Refusal;
use super::service::{CardView, Charge, Fare, RecordFile, Records, Service, Visit};
use crate::transit::etc::{self, Toll};
use crate::transit::public_info;

pub use crate::transit::public_info::{TYPE_ACCOUNT, TYPE_STORED_VALUE};

/// A lane. Where the inner fields lie and which states there are is known from memory only. \[M\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Road network.
    pub network: [u8; 2],
    /// Toll station.
    pub station: [u8; 2],
    /// Lane.
    pub lane: u8,
    /// State that an entry writes and an exit expects: 03. \[M\]
    pub entered: u8,
    /// State that an exit writes: 04. \[M\]
    pub left: u8,
    /// Seconds the terminal's clock is ahead of UTC, in which the record counts: 28 800 in China.
    pub ahead: i32,
}

/// An entry lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub lane: Lane,
    /// Class of the vehicle.
    pub class: u8,
    /// Number plate, as the record holds it.
    pub plate: [u8; 12],
    /// Whether a vehicle that never left may enter: the exit of its last trip was missed.
    pub again: bool,
}

/// An exit lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Where.
    pub lane: Lane,
}

/// Record AA of file 0019. [sheet 1.3, 5.3: ids I]
const RECORD: RecordFile = RecordFile { sfi: 0x19, id: etc::ID, len: 43 };

fn toll(card: &CardView) -> Result<Toll, Refusal> {
    // The lock flag is not tested on these cards. \[S:HB\]
    Toll::parse(card.record.as_ref().ok_or(Refusal::NoRecord)?).map_err(|_| Refusal::NoRecord)
}

/// A clock that shows no time leaves a zero, as on a card that never travelled.
fn passed(record: Toll, lane: &Lane, state: u8, charge: &Charge<'_>) -> Records {
    let seconds = charge.stamp.unix_time(lane.ahead).unwrap_or_default();
    let record = record
        .with(etc::NETWORK, lane.network)
        .with(etc::STATION, lane.station)
        .with(etc::LANE, [lane.lane])
        .with(etc::TIME, seconds.to_be_bytes())
        .with(etc::STATE, [state]);
    Records { composite: Some(record.as_bytes().into()), process: None }
}

impl Service for Entry {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        if toll(visit.card)?.get(etc::STATE) == [self.lane.entered] && !self.again {
            return Err(Refusal::AlreadyInside);
        }
        Ok(Fare::Fixed(0))
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = toll(charge.card) else { return Records::default() };
        let record = record.with(etc::CLASS, [self.class]).with(etc::PLATE, self.plate);
        passed(record, &self.lane, self.lane.entered, charge)
    }
}

impl Service for Exit {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        if toll(visit.card)?.get(etc::STATE) != [self.lane.entered] {
            return Err(Refusal::NotInside);
        }
        match visit.card.public_info.get(public_info::APPLICATION_TYPE) {
            [TYPE_ACCOUNT] => Ok(Fare::Fixed(0)),
            _ => Ok(Fare::Ask),
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = toll(charge.card) else { return Records::default() };
        passed(record, &self.lane, self.lane.left, charge)
    }
}
