//! What a tap is for: which record it reads, what it asks for, and what it writes.

use core::ops::Deref;

use super::{Device, Refusal};
use crate::date::Stamp;
use crate::mac::TerminalNo;
use crate::transit::bus::Bus;
use crate::transit::log::{self, LogRecord};
use crate::transit::management::Management;
use crate::transit::process::{self, Kind, Process};
use crate::transit::public_info::PublicInfo;
use crate::transit::rail::Rail;
use crate::tti::Tti;

/// A record of the composite file: a slice of at most [`CardRecord::MAX`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardRecord {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl CardRecord {
    /// The longest record of any scheme, bytes.
    pub const MAX: usize = 128;

    /// These bytes; `None` if they are more than [`MAX`](Self::MAX).
    #[must_use]
    pub fn new(record: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..record.len())?.copy_from_slice(record);
        Some(Self { len: u8::try_from(record.len()).ok()?, bytes })
    }
}

impl Deref for CardRecord {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A record of `N` bytes, at most [`CardRecord::MAX`].
impl<const N: usize> From<&[u8; N]> for CardRecord {
    fn from(record: &[u8; N]) -> Self {
        const { assert!(N <= Self::MAX, "no scheme has longer records") };
        Self::new(record).unwrap_or(Self { len: 0, bytes: [0; Self::MAX] })
    }
}

/// Where a scheme keeps the record of a kind of travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFile {
    /// Short identifier of the file: 1A on JT/T 978 cards, 17 of 建设部, 19 of ETC.
    pub sfi: u8,
    /// What P1 names: the low identifier byte on JT/T 978 cards, the only one elsewhere. [correction 1]
    pub id: u8,
    /// Length of the record with its head, bytes; at most [`CardRecord::MAX`].
    pub len: u8,
}

/// What the newest record of a card says of its last payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTap {
    /// The terminal.
    pub terminal: TerminalNo,
    /// Where it was, by the numbers of file 001E; the log does not say.
    pub industry: Option<u8>,
    /// What it was; the log does not say.
    pub kind: Option<Kind>,
    /// Fen.
    pub amount: u32,
    /// When.
    pub stamp: Stamp,
}

impl LastTap {
    /// From record 1 of file 001E; `None` if it is the initial one.
    #[must_use]
    pub fn from_process(record: &Process) -> Option<Self> {
        let [_, _, terminal @ ..] = record.get(process::TERMINAL);
        let [industry] = record.get(process::INDUSTRY);
        (record.kind() != Kind(0)).then_some(Self {
            terminal,
            industry: Some(industry),
            kind: Some(record.kind()),
            amount: record.amount(),
            stamp: record.stamp(),
        })
    }

    /// From record 1 of the log; `None` if it is no payment at a terminal.
    #[must_use]
    pub fn from_log(record: &LogRecord) -> Option<Self> {
        record.tti().is_offline().then_some(Self {
            terminal: record.get(log::TERMINAL),
            industry: None,
            kind: None,
            amount: record.amount(),
            stamp: record.stamp(),
        })
    }
}

/// What is known of the card before it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardView {
    /// File 0015.
    pub public_info: PublicInfo,
    /// File 0017, where the policy wants it.
    pub management: Option<Management>,
    /// Its last payment, where the policy wants it and there was one.
    pub last: Option<LastTap>,
    /// The record of the composite file the service wants.
    pub record: Option<CardRecord>,
}

/// A card at a terminal: all that a fare depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit<'a> {
    /// The card.
    pub card: &'a CardView,
    /// The terminal.
    pub device: &'a Device,
    /// Date and time.
    pub stamp: Stamp,
}

impl Visit<'_> {
    /// The rail record, if that is what the service reads.
    #[must_use]
    pub fn rail(&self) -> Option<Rail> {
        Rail::parse(self.card.record.as_deref()?).ok()
    }

    /// The bus record, if that is what the service reads.
    #[must_use]
    pub fn bus(&self) -> Option<Bus> {
        Bus::parse(self.card.record.as_deref()?).ok()
    }

    /// Whole minutes since the card's last payment, if it is known and not later than now.
    #[must_use]
    pub fn minutes_since_last(&self) -> Option<u64> {
        self.stamp.minutes_since(self.card.last?.stamp)
    }
}

/// Where the amount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fare {
    /// It is known, fen.
    Fixed(u32),
    /// The caller works it out from the [`CardView`], or [`Priced`] does.
    Ask,
    /// Everything on the card: one more command (GET BALANCE) tells how much.
    All {
        /// P1 of GET BALANCE: 03, the card's own money without the overdraft, on JT/T 978 cards; 00 elsewhere.
        /// [sheet 1.4]
        p1: u8,
    },
}

/// Fares and transfer discounts: a pure function of the visit, fen.
pub trait Fares {
    /// What this card pays here and now, fen.
    fn fare(&self, visit: &Visit<'_>) -> u32;
}

impl<F: Fn(&Visit<'_>) -> u32> Fares for F {
    fn fare(&self, visit: &Visit<'_>) -> u32 {
        self(visit)
    }
}

/// A service that knows its fares: where `service` would ask, `fares` answers.
///
/// ```
/// use huiwan_purse::terminal::service::{Fare, Priced, Visit};
/// use huiwan_purse::terminal::{bus, metro};
/// # use huiwan_purse::transit::process::INDUSTRY_METRO;
/// # let place = bus::Place { city: [0; 2], organisation: [0; 8], operator: [0; 2], line: [0; 2], stop: 1,
/// #     vehicle: *b"A-300-07", direction: 0xAB };
///
/// // One yuan off within half an hour after the metro; the policy has file 001E read (`Last::Process`).
/// let service = Priced {
///     service: bus::Flat { place, fare: Fare::Ask },
///     fares: |visit: &Visit<'_>| match (visit.card.last, visit.minutes_since_last()) {
///         (Some(last), Some(0..=30)) if last.industry == Some(INDUSTRY_METRO) => 100,
///         _ => 200,
///     },
/// };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced<S, F> {
    /// What is done.
    pub service: S,
    /// What it costs.
    pub fares: F,
}

impl<S: Service, F: Fares> Service for Priced<S, F> {
    fn tti(&self) -> Tti {
        self.service.tti()
    }

    fn record(&self) -> Option<RecordFile> {
        self.service.record()
    }

    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal> {
        match self.service.judge(visit)? {
            Fare::Ask => Ok(Fare::Fixed(self.fares.fare(visit))),
            fare => Ok(fare),
        }
    }

    fn compose(&self, charge: &Charge<'_>) -> Records {
        self.service.compose(charge)
    }
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
    /// The record of the composite file the service read, updated.
    pub composite: Option<CardRecord>,
    /// A new record of file 001E, which JT/T 978 cards alone have.
    pub process: Option<Process>,
}

/// A kind of tap.
pub trait Service {
    /// 06 for a plain purchase, 09 for a composite one.
    fn tti(&self) -> Tti {
        Tti::CAPP_PURCHASE
    }

    /// The record to read and update.
    fn record(&self) -> Option<RecordFile> {
        None
    }

    /// Whether the card may do this, and what it costs.
    ///
    /// # Errors
    /// Why not.
    fn judge(&self, visit: &Visit<'_>) -> Result<Fare, Refusal>;

    /// What to write. A composite purchase writes at least one record.
    fn compose(&self, charge: &Charge<'_>) -> Records;
}
