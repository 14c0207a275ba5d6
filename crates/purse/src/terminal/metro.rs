//! Metro gates: entry charges nothing and opens the trip in record 27 01, exit charges the fare and closes it.
//!
//! What a gate makes of trips that were not opened, not closed or took too long are values of [`Incomplete`] and
//! [`ExitRules`]; a [`desk`](super::desk) sets such trips right.

use super::Refusal;
use super::policy::process_terminal;
use super::service::{CardView, Charge, Fare, RecordFile, Records, Service, Visit};
use crate::date::Stamp;
use crate::transit::process::{self, INDUSTRY_METRO, Kind, Process};
use crate::transit::rail::{self, Rail, State};

/// Record 27 01 of file 001A. [sheet 5.4]
pub(super) const RECORD: RecordFile = RecordFile { sfi: 0x1A, id: rail::ID, len: 128 };

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

/// What a trip costs whose fare cannot be worked out from entry and exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owed {
    /// The caller says, or [`Priced`](super::service::Priced) does.
    Ask,
    /// So many fen.
    Fixed(u32),
    /// The maximum fare that the entry gate left in the record (bytes 81–84). [sheet 5.4, 8: I:MOT,BUS1,SH]
    Maximum {
        /// Fen, where the record names none.
        unless_recorded: u32,
    },
}

impl Owed {
    /// For the trip in this record.
    #[must_use]
    pub fn of(self, record: &Rail) -> Fare {
        match self {
            Self::Ask => Fare::Ask,
            Self::Fixed(amount) => Fare::Fixed(amount),
            Self::Maximum { unless_recorded } => Fare::Fixed(match record.maximum_fare() {
                0 => unless_recorded,
                amount => amount,
            }),
        }
    }
}

/// What an entry gate does with a card that is inside already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incomplete {
    /// Turn it away, to a service desk.
    Refuse,
    /// Charge the incomplete trip on entry.
    Charge(Owed),
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

/// How long a rider may stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    /// So many whole minutes.
    pub minutes: u32,
    /// What a longer stay costs instead of the fare; `None`: turned away, to a service desk. A surcharge on top of the fare is
    /// the caller's or [`Priced`](super::service::Priced)'s to add: [`Owed::Ask`].
    pub owed: Option<Owed>,
}

/// Leaving where one came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SameStation {
    /// Within so many whole minutes of the entry: 20 in Xi'an. \[S:XA\]
    pub minutes: u32,
    /// What it costs then.
    pub fare: Fare,
}

/// What an exit gate makes of trips out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRules {
    /// What a card pays that is not inside; `None`: turned away, to a service desk.
    pub unopened: Option<Owed>,
    /// The longest stay. An entry time that is no time, or is later than now, is too long ago.
    pub time_limit: Option<TimeLimit>,
    /// A rider who turned round. It goes before the time limit.
    pub same_station: Option<SameStation>,
}

impl ExitRules {
    /// Who is not inside is turned away; no time limit; every station costs its fare.
    pub const PLAIN: Self = Self { unopened: None, time_limit: None, same_station: None };
}

impl Default for ExitRules {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// An exit gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Where.
    pub place: Place,
    /// What trips out of the ordinary mean.
    pub rules: ExitRules,
}

/// The rail record of a card.
pub(super) fn rail(card: &CardView) -> Result<Rail, Refusal> {
    let record = card.record.as_ref().ok_or(Refusal::NoRecord)?;
    let record = Rail::parse(record).map_err(|_| Refusal::NoRecord)?;
    if record.is_locked() { Err(Refusal::RecordLocked) } else { Ok(record) }
}

/// Whether the rider is inside; a state no one knows is neither.
pub(super) fn is_inside(record: &Rail) -> bool {
    record.state().is_some_and(State::is_inside)
}

pub(super) fn process(charge: &Charge<'_>, place: &Place, kind: Kind) -> Process {
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

/// The record with its entry half written.
pub(super) fn entered(record: Rail, state: State, place: &Place, stamp: Stamp) -> Rail {
    record
        .with(rail::STATE, [state.code()])
        .with(rail::ENTRY_CITY, place.city)
        .with(rail::ENTRY_ORGANISATION, place.organisation)
        .with(rail::ENTRY_STATION, place.station)
        .with(rail::ENTRY_DEVICE, place.device)
        .with(rail::ENTRY_TIME, stamp.to_bytes())
}

/// The record with its exit half written.
pub(super) fn left(record: Rail, state: State, place: &Place, stamp: Stamp) -> Rail {
    record
        .with(rail::STATE, [state.code()])
        .with(rail::EXIT_CITY, place.city)
        .with(rail::EXIT_ORGANISATION, place.organisation)
        .with(rail::EXIT_STATION, place.station)
        .with(rail::EXIT_DEVICE, place.device)
        .with(rail::EXIT_TIME, stamp.to_bytes())
}

impl Service for Entry {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        let record = rail(visit.card)?;
        match self.incomplete {
            _ if !is_inside(&record) => Ok(Fare::Fixed(0)),
            Incomplete::Refuse => Err(Refusal::AlreadyInside),
            Incomplete::Charge(owed) => Ok(owed.of(&record)),
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = rail(charge.card) else { return Records::default() };
        let record = entered(record, State::Inside, &self.place, charge.stamp)
            .with(rail::MAXIMUM_FARE, self.maximum_fare.to_be_bytes());
        Records {
            composite: Some(record.as_bytes().into()),
            process: Some(process(charge, &self.place, Kind::EP_IN)),
        }
    }
}

impl Service for Exit {
    fn record(&self) -> Option<RecordFile> {
        Some(RECORD)
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        let record = rail(visit.card)?;
        if !is_inside(&record) {
            return self.rules.unopened.map(|owed| owed.of(&record)).ok_or(Refusal::NotInside);
        }
        let minutes = visit.stamp.minutes_since(Stamp::from_bytes(&record.get(rail::ENTRY_TIME)));
        let within = |limit: u32| minutes.is_some_and(|minutes| minutes <= u64::from(limit));
        match (self.rules.same_station, self.rules.time_limit) {
            (Some(SameStation { minutes, fare }), _)
                if within(minutes) && record.get(rail::ENTRY_STATION) == self.place.station =>
            {
                Ok(fare)
            }
            (_, Some(TimeLimit { minutes, owed })) if !within(minutes) => {
                owed.map(|owed| owed.of(&record)).ok_or(Refusal::OverTime)
            }
            _ => Ok(Fare::Ask),
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        let Ok(record) = rail(charge.card) else { return Records::default() };
        let record = left(record, State::Outside, &self.place, charge.stamp);
        Records {
            composite: Some(record.as_bytes().into()),
            process: Some(process(charge, &self.place, Kind::EP_OUT)),
        }
    }
}
