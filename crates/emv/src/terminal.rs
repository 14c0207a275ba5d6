//! The terminal side: from the amount on the merchant's display to an [`Outcome`].
//!
//! ```text
//!  Start(transaction)
//!    │ preprocessing        limits of each combination → TTQ
//!    │ SELECT PPSE          ppse        candidates, best first
//!    │ SELECT application   entry       next candidate when it fails
//!    ▼ UnpredictableNumber
//!  GET PROCESSING OPTIONS   qpboc::gpo  PDOL out; AIP, ATC, cryptogram in
//!    │ READ RECORD …        qpboc::records   only for a TC, or for authentication of an online transaction
//!    │ qpboc::oda           certificates and fDDA
//!    │ qpboc::restrictions  expiry, exception file
//!    │ qpboc::cvm           what CTQ and TTQ agree on
//!    ▼ qpboc::outcome
//!  Done(outcome)            online_data() for the host; a second tap may bring the issuer's answer to the card
//! ```
//!
//! [`EntryPoint`] is the whole of it; [`qpboc::Kernel`] is the part after the final SELECT. Neither does input or output:
//! give [`Input`], carry out the [`Step`]. A card can end a tap only with an `Outcome`; `Err` is the caller's own mistake.
//!
//! ```
//! use huiwan_emv::data::amount::Amount;
//! use huiwan_emv::terminal::{Configuration, EntryPoint, Input, Memory, Step, Transaction, Verdict};
//!
//! let configuration = Configuration::default();
//! let (mut data, mut static_data, mut out) = ([0; 1024], [0; 512], [0; 261]);
//! let mut terminal = EntryPoint::new(&configuration, Memory { data: &mut data, static_data: &mut static_data });
//! let mut transaction = Transaction::default();
//! transaction.amount = Amount::new(1_00).unwrap();
//! let Step::Send(command) = terminal.step(Input::Start(transaction), &mut out)? else { panic!() };
//! assert_eq!(command[..4], [0x00, 0xA4, 0x04, 0x00]);
//! // The card in the field has no payment application.
//! let Step::Done(outcome) = terminal.step(Input::Response(&[0x6A, 0x82]), &mut out)? else { panic!() };
//! assert_eq!(outcome.verdict, Verdict::TryAnotherInterface);
//! # Ok::<(), huiwan_emv::terminal::Misuse>(())
//! ```

pub mod configuration;
pub mod entry;
pub mod outcome;
pub mod ppse;
pub mod preprocessing;
pub mod qpboc;

use crate::data::amount::{Amount, Currency};
use crate::data::date::{Date, Time};
use core::fmt;

pub use configuration::{Combination, Configuration, ExceptionFile, Limits};
pub use entry::EntryPoint;
pub use outcome::{Cvm, Fault, FaultKind, Field, Message, Oda, Outcome, Place, Verdict};

/// What the merchant wants paid, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// 9F02, other amount included.
    pub amount: Amount,
    /// 9F03, cashback.
    pub other_amount: Amount,
    /// 5F2A.
    pub currency: Currency,
    /// 9C: the first two digits of the ISO 8583 processing code; 00 for a purchase.
    pub kind: u8,
    /// 9A.
    pub date: Date,
    /// 9F21.
    pub time: Time,
    /// 9F41, one more for each transaction.
    pub counter: u32,
}

impl Default for Transaction {
    /// A purchase of nothing in CNY, on the first day of 2000.
    fn default() -> Self {
        Self {
            amount: Amount::ZERO,
            other_amount: Amount::ZERO,
            currency: Currency::CNY,
            kind: 0x00,
            date: Date::MILLENNIUM,
            time: Time::MIDNIGHT,
            counter: 0,
        }
    }
}

/// Where an engine keeps what the card said. Bytes the card sends beyond it end the transaction with
/// [`FaultKind::TooMuchData`].
#[derive(Debug)]
pub struct Memory<'m> {
    /// Data objects: FCI, GPO answer, records. 1024 bytes suffice for cards with keys up to 1024 bits, 2048 for all.
    pub data: &'m mut [u8],
    /// The records the card's certificate covers; quickPass cards mark none or under 100 bytes.
    pub static_data: &'m mut [u8],
}

/// What the caller tells an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input<'i> {
    /// A new transaction; whatever was going on is forgotten. The field is on and one card answers.
    Start(Transaction),
    /// Four fresh random bytes, never used in another transaction.
    UnpredictableNumber([u8; 4]),
    /// The card's answer to the command sent: data and status word.
    Response(&'i [u8]),
    /// The card left the field, or its answer never came.
    CardLost,
    /// Several cards answer in the field.
    SeveralCards,
    /// After [`Verdict::Torn`]: a card was presented `elapsed_ms` after the loss.
    SameCardAgain {
        /// Milliseconds since the loss.
        elapsed_ms: u32,
    },
    /// After an online request with [`Outcome::issuer_update`]: the card was presented again, and the issuer answered
    /// with these objects (91, 71, 72).
    IssuerAnswer(&'i [u8]),
}

/// What an engine wants done. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this command to the card; answer with [`Input::Response`] or [`Input::CardLost`].
    Send(&'o [u8]),
    /// Answer with [`Input::UnpredictableNumber`].
    UnpredictableNumber,
    /// The transaction is over, as far as the card is concerned.
    Done(Outcome),
}

/// A mistake of the caller. The engine's state is as before; the right call can still be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// This input doesn't belong here.
    UnexpectedInput,
    /// `out` must have at least this many bytes.
    OutTooSmall {
        /// How many.
        needed: usize,
    },
    /// This unpredictable number was the last one's too: draw a fresh one.
    UnpredictableNumberRepeated,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedInput => f.write_str("input does not belong to this state"),
            Self::OutTooSmall { needed } => write!(f, "output buffer is shorter than {needed} bytes"),
            Self::UnpredictableNumberRepeated => f.write_str("unpredictable number was used before"),
        }
    }
}

impl core::error::Error for Misuse {}

/// The longest command a terminal sends: a short APDU with 255 bytes of data and Le.
pub const COMMAND_MAX: usize = 261;
