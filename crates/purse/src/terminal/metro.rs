//! Metro gates: entry charges nothing and opens the trip in record 27 01, exit charges the fare and closes it.

use super::Refusal;
use super::policy::process_terminal;
use super::service::{CardView, Charge, Fare, Records, Service};
use crate::transit::process::{self, INDUSTRY_METRO, Kind, Process};
use crate::transit::rail::{self, Rail, State};

/// A gate's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// City, BCD.
    pub city: [u8; 2],
    /// Organisation: four-byte code ‖ FFFFFFFF.
    pub organisation: [u8; 8],
    /// Station, as the rail record holds it.
    pub station: [u8; 8],
    /// Gate, as the rail record holds it.
    pub device: [u8; 8],
    /// Line, station and operator, as the trip record holds them.
    pub line: [u8; 7],
}

/// What an entry gate does with a card that is inside already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// Turn it away.
    Refuse,
    /// Ask for the fare of the incomplete trip and charge it on entry.
    Charge,
}

/// An entry gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// The fare the trip can cost at most, for the record, fen.
    pub maximum_fare: u32,
    /// What an incomplete trip means.
    pub incomplete: Incomplete,
}

/// An exit gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Where.
    pub place: Place,
}

/// The rail record of a card.
fn rail(card: &CardView) -> Result<Rail, Refusal> {
    let record = card.record.as_ref().ok_or(Refusal::NoRecord)?;
    let record = Rail::parse(record).map_err(|_| Refusal::NoRecord)?;
    if record.is_locked() { Err(Refusal::RecordLocked) } else { Ok(record) }
}

fn process(charge: &Charge<'_>, place: &Place, kind: Kind) -> Process {
    Process::new()
        .with(process::KIND, [kind.0])
        .with(process::TERMINAL, process_terminal(charge.device.terminal))
        .with(process::INDUSTRY, [INDUSTRY_METRO])
        .with(process::PLACE, place.line)
        .with(process::AMOUNT, charge.amount.to_be_bytes())
        .with(process::BALANCE, charge.balance_after.to_be_bytes())
        .with(process::TIME, charge.stamp.to_bytes())
        .with(process::CITY, place.city)
        .with(process::ORGANISATION, place.organisation)
}

impl Service for Entry {
    fn record_id(&self) -> Option<u8> {
        Some(rail::ID)
    }

    fn judge(&self, card: &CardView) -> Result<Fare, Refusal> {
        let inside = rail(card)?.state().is_some_and(State::is_inside);
        match self.incomplete {
            _ if !inside => Ok(Fare::Fixed(0)),
            Incomplete::Refuse => Err(Refusal::AlreadyInside),
            Incomplete::Charge => Ok(Fare::Ask),
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = rail(charge.card) else { return Records::default() };
        let record = record
            .with(rail::STATE, [State::Inside.code()])
            .with(rail::ENTRY_CITY, self.place.city)
            .with(rail::ENTRY_ORGANISATION, self.place.organisation)
            .with(rail::ENTRY_STATION, self.place.station)
            .with(rail::ENTRY_DEVICE, self.place.device)
            .with(rail::ENTRY_TIME, charge.stamp.to_bytes())
            .with(rail::MAXIMUM_FARE, self.maximum_fare.to_be_bytes());
        Records {
            composite: Some(*record.as_bytes()),
            process: Some(process(charge, &self.place, Kind::EP_IN)),
        }
    }
}

impl Service for Exit {
    fn record_id(&self) -> Option<u8> {
        Some(rail::ID)
    }

    fn judge(&self, card: &CardView) -> Result<Fare, Refusal> {
        if rail(card)?.state().is_some_and(State::is_inside) {
            Ok(Fare::Ask)
        } else {
            Err(Refusal::NotInside)
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = rail(charge.card) else { return Records::default() };
        let record = record
            .with(rail::STATE, [State::Outside.code()])
            .with(rail::EXIT_CITY, self.place.city)
            .with(rail::EXIT_ORGANISATION, self.place.organisation)
            .with(rail::EXIT_STATION, self.place.station)
            .with(rail::EXIT_DEVICE, self.place.device)
            .with(rail::EXIT_TIME, charge.stamp.to_bytes());
        Records {
            composite: Some(*record.as_bytes()),
            process: Some(process(charge, &self.place, Kind::EP_OUT)),
        }
    }
}
