//! Bus validators: one flat fare, or boarding and alighting with record 27 02.

use super::Refusal;
use super::policy::process_terminal;
use super::service::{CardView, Charge, Fare, RecordFile, Records, Service, Visit};
use crate::transit::bus::{self, Bus, State};
use crate::transit::process::{self, INDUSTRY_BUS, Kind, Process};

/// A validator's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// City, BCD.
    pub city: [u8; 2],
    /// Organisation: four-byte code ‖ FFFFFFFF.
    pub organisation: [u8; 8],
    /// Operator.
    pub operator: [u8; 2],
    /// Line.
    pub line: [u8; 2],
    /// Stop.
    pub stop: u8,
    /// Vehicle, ASCII.
    pub vehicle: [u8; 8],
    /// Direction: AB up, BA down.
    pub direction: u8,
}

/// One fare for every ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// Where.
    pub place: Place,
    /// Fen, or as the caller says for this card.
    pub fare: Fare,
}

/// Boarding with a distance fare: nothing to pay, unless the last trip was not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct On {
    /// Where.
    pub place: Place,
    /// What the trip costs if no alighting tap follows, fen.
    pub marked_amount: u32,
}

/// Alighting with a distance fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Off {
    /// Where.
    pub place: Place,
}

/// Record 27 02 of file 001A. [sheet 5.4]
const RECORD: RecordFile = RecordFile { sfi: 0x1A, id: bus::ID, len: 128 };

fn record(card: &CardView) -> Result<Bus, Refusal> {
    let record = card.record.as_ref().ok_or(Refusal::NoRecord)?;
    let record = Bus::parse(record).map_err(|_| Refusal::NoRecord)?;
    if record.is_locked() { Err(Refusal::RecordLocked) } else { Ok(record) }
}

fn process(charge: &Charge<'_>, place: &Place, kind: Kind) -> Process {
    let [line_a, line_b] = place.line;
    let [operator_a, operator_b] = place.operator;
    Process::new()
        .with(process::KIND, [kind.0])
        .with(process::TERMINAL, process_terminal(charge.device.terminal))
        .with(process::INDUSTRY, [INDUSTRY_BUS])
        .with(process::PLACE, [line_a, line_b, 0, place.stop, operator_a, operator_b, 0])
        .with(process::AMOUNT, charge.amount.to_be_bytes())
        .with(process::BALANCE, charge.balance_after.to_be_bytes())
        .with(process::TIME, charge.stamp.to_bytes())
        .with(process::CITY, place.city)
        .with(process::ORGANISATION, place.organisation)
}

impl Service for Flat {
    fn judge(&self, _: &Visit<'_>) -> Result<Fare, Refusal> {
        Ok(self.fare)
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        Records { composite: None, process: Some(process(charge, &self.place, Kind::EP_SINGLE)) }
    }
}

impl Service for On {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        let record = record(visit.card)?;
        let owed = if record.state() == Some(State::Aboard) { record.marked_amount() } else { 0 };
        Ok(Fare::Fixed(owed))
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = record(charge.card) else { return Records::default() };
        let record = record
            .with(bus::STATE, [State::Aboard.code()])
            .with(bus::ON_CITY, self.place.city)
            .with(bus::ON_ORGANISATION, self.place.organisation)
            .with(bus::ON_OPERATOR, self.place.operator)
            .with(bus::ON_LINE, self.place.line)
            .with(bus::ON_STOP, [self.place.stop])
            .with(bus::ON_VEHICLE, self.place.vehicle)
            .with(bus::ON_TERMINAL, process_terminal(charge.device.terminal))
            .with(bus::ON_TIME, charge.stamp.to_bytes())
            .with(bus::MARKED_AMOUNT, self.marked_amount.to_be_bytes())
            .with(bus::DIRECTION, [self.place.direction]);
        Records {
            composite: Some(record.as_bytes().into()),
            process: Some(process(charge, &self.place, Kind::EP_IN)),
        }
    }
}

impl Service for Off {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        if record(visit.card)?.state() == Some(State::Aboard) {
            Ok(Fare::Ask)
        } else {
            Err(Refusal::NotInside)
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = record(charge.card) else { return Records::default() };
        let record = record
            .with(bus::STATE, [State::Alighted.code()])
            .with(bus::OFF_CITY, self.place.city)
            .with(bus::OFF_ORGANISATION, self.place.organisation)
            .with(bus::OFF_OPERATOR, self.place.operator)
            .with(bus::OFF_LINE, self.place.line)
            .with(bus::OFF_STOP, [self.place.stop])
            .with(bus::OFF_VEHICLE, self.place.vehicle)
            .with(bus::OFF_TERMINAL, process_terminal(charge.device.terminal))
            .with(bus::OFF_TIME, charge.stamp.to_bytes())
            .with(bus::AMOUNT, charge.amount.to_be_bytes())
            .with(bus::MARKED_AMOUNT, [0; 4]);
        Records {
            composite: Some(record.as_bytes().into()),
            process: Some(process(charge, &self.place, Kind::EP_OUT)),
        }
    }
}
