//! Settlement: terminal records, their TACs, records that came twice, and what is wrong with the sequence of the others.
//!
//! A terminal's file is its records one after another, each with its version: cut anywhere, it says where, and what is
//! missing between two files shows in the terminal's numbers ([`findings::by_terminal`]), so there is no header to agree
//! on. The order of work: parse, [`verify`], [`duplicates`] or [`findings`] over the records whose TAC is right.

use core::fmt;

use huiwan_tlv::At;

use super::LoadKeys;
use crate::mac::Mac;
use crate::pack::Pack;
use crate::terminal::Receipt;
use crate::transaction::Transaction;
use crate::tti::Tti;

pub mod findings;

/// A record as a terminal uploads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// The transaction.
    pub transaction: Transaction,
    /// The card's TAC.
    pub tac: Mac,
}

/// What is wrong with an uploaded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordError {
    /// Another version.
    Version,
    /// The file ends inside a record.
    Truncated,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "record version is unknown",
            Self::Truncated => "record is truncated",
        })
    }
}

impl core::error::Error for RecordError {}

impl Record {
    /// Length of the uploaded form, bytes.
    pub const LEN: usize = 56;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 2;

    /// The record of a receipt; `None` if only the card's log proves the payment, which then is settled by hand.
    #[must_use]
    pub fn from_receipt(receipt: &Receipt) -> Option<Self> {
        Some(Self { transaction: receipt.transaction, tac: receipt.tac? })
    }

    /// version 1 ‖ [`Transaction::to_bytes`] ‖ TAC 4.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put([Self::VERSION]).put(self.transaction.to_bytes()).put(self.tac).finish()
    }

    /// Reads one record at the beginning of `raw`.
    ///
    /// # Errors
    /// Too few bytes, or another version.
    pub fn parse(raw: &[u8]) -> Result<Self, At<RecordError>> {
        let Some(record) = raw.first_chunk::<{ Self::LEN }>() else {
            return Err(At::new(RecordError::Truncated, raw.len()));
        };
        let [version, rest @ ..] = record;
        if *version != Self::VERSION {
            return Err(At::new(RecordError::Version, 0));
        }
        let mut fields = crate::pack::Unpack::new(rest);
        Ok(Self { transaction: Transaction::from_bytes(&fields.take()), tac: fields.take() })
    }
}

/// The records of a terminal's file, one after another.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Reads `file`.
    #[must_use]
    pub const fn new(file: &'a [u8]) -> Self {
        Self { rest: file, at: 0 }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, At<RecordError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.at;
        let record = Record::parse(self.rest).map_err(|error| error.shifted(at));
        // After an error there is no telling where the next record begins.
        self.rest = if record.is_ok() { self.rest.get(Record::LEN..).unwrap_or_default() } else { &[] };
        self.at = at.saturating_add(Record::LEN);
        Some(record)
    }
}

/// Bytes of verdict bits for this many records.
#[must_use]
pub const fn verdict_len(records: usize) -> usize {
    records.div_ceil(8)
}

/// Verdict bit `n`: bit `n % 8` of byte `n / 8`.
#[must_use]
pub fn verdict(verdicts: &[u8], n: usize) -> bool {
    verdicts.get(n / 8).is_some_and(|byte| byte >> (n % 8) & 1 == 1)
}

/// Verifies the TAC of every record; see [`LoadKeys::verify_tacs`] for the bits. Records past the room in `verdicts` are
/// not looked at: give [`verdict_len`] bytes.
pub fn verify(keys: &mut dyn LoadKeys, records: &[Record], verdicts: &mut [u8]) {
    keys.verify_tacs(records, verdicts);
}

/// Sets the bit of every record that `right` says so of.
pub(super) fn judge(records: &[Record], verdicts: &mut [u8], mut right: impl FnMut(&Record) -> bool) {
    verdicts.fill(0);
    for (verdict, records) in verdicts.iter_mut().zip(records.chunks(8)) {
        for (bit, record) in (0_u8..8).zip(records) {
            *verdict |= u8::from(right(record)) << bit;
        }
    }
}

/// Sets the bit of every record that another one with a smaller index repeats, by (terminal, terminal transaction
/// number); loads, which have none, by (card, type, online counter). `order` is work space, an entry for each record.
///
/// Only records whose bit in `right` is 1 are looked at: give the verdicts of [`verify`], or a forged record takes the
/// place of the genuine one behind it.
///
/// Whether the repetition is the same record sent twice or another card with the same number, the caller sees by
/// comparing them. Nothing happens, and the answer is `false`, if `order` or `verdicts` are too small.
#[must_use]
pub fn duplicates(records: &[Record], right: &[u8], order: &mut [u32], verdicts: &mut [u8]) -> bool {
    if verdicts.len() < verdict_len(records.len()) {
        return false;
    }
    let identity = |record: &Record| Some(identity(record));
    let Some(order) = findings::sorted(records, right, order, identity) else { return false };
    verdicts.fill(0);
    let at = |n: u32| usize::try_from(n).ok().and_then(|n| records.get(n));
    for pair in order.windows(2) {
        let [first, second] = pair else { continue };
        if at(*first).and_then(identity) == at(*second).and_then(identity) {
            let Ok(second) = usize::try_from(*second) else { continue };
            if let Some(byte) = verdicts.get_mut(second / 8) {
                *byte |= 1 << (second % 8);
            }
        }
    }
    true
}

/// What may occur once: the terminal's number; or the card's counter for loads, whose type names the account.
fn identity(record: &Record) -> (Option<Tti>, [u8; 18], u32) {
    let Transaction { tti, terminal, terminal_seq, card, seq, .. } = record.transaction;
    if tti.is_offline() {
        (None, Pack::new().put(terminal).put([0; 12]).finish(), terminal_seq)
    } else {
        (Some(tti), Pack::new().put(card.issuer).put(card.serial).finish(), u32::from(seq))
    }
}
