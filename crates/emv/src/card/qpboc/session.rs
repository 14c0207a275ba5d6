//! What the card knows of its last transaction, and of the tap under way.

use huiwan_apdu::Sw;
use huiwan_card::{Context, ResponseWriter};

use super::decision::Debit;
use super::objects;
use crate::data::amount::Amount;
use crate::data::bits::Cryptogram;
use crate::secure_messaging::Transaction;

/// Bytes of the last transaction as an object.
pub const LAST_LEN: usize = 43;
/// The longest log record.
pub const LOG_RECORD_MAX: usize = 64;
/// Bytes the volatile slot of an instance needs.
pub const SLOT: usize = 1 + LAST_LEN + 6 + 1 + 6 + 1 + 1 + LOG_RECORD_MAX;

/// The last transaction: what scripts are bound to and what its records need to be read again. One durable object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// What was answered.
    pub result: Cryptogram,
    /// Its counter.
    pub atc: [u8; 2],
    /// Its cryptogram.
    pub cryptogram: [u8; 8],
    /// The issuer's answer was tried, and how it went.
    pub issuer: IssuerAuthentication,
    /// Wrong script MACs so far.
    pub script_failures: u8,
    /// Scripts processed, for the CVR.
    pub scripts: u8,
    /// SHA-1 of the fDDA signature, so that it can be made again.
    pub fdda_hash: [u8; 20],
    /// 9F69 as this transaction signed it; its first byte is the version.
    pub card_authentication: [u8; 8],
}

/// How EXTERNAL AUTHENTICATE went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerAuthentication {
    /// Not tried.
    Pending,
    /// The response cryptogram was right.
    Done,
    /// It was wrong.
    Failed,
}

impl Last {
    pub(super) fn new(result: Cryptogram, atc: [u8; 2], cryptogram: [u8; 8]) -> Self {
        Self {
            result,
            atc,
            cryptogram,
            issuer: IssuerAuthentication::Pending,
            script_failures: 0,
            scripts: 0,
            fdda_hash: [0; 20],
            card_authentication: [0; 8],
        }
    }

    /// What its scripts are bound to.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction { atc: self.atc, cryptogram: self.cryptogram }
    }

    pub(super) fn encode(&self) -> [u8; LAST_LEN] {
        let issuer = match self.issuer {
            IssuerAuthentication::Pending => 0,
            IssuerAuthentication::Done => 1,
            IssuerAuthentication::Failed => 2,
        };
        let mut out = [0; LAST_LEN];
        let mut w = ResponseWriter::new(&mut out);
        for part in [
            &[objects::LAYOUT_VERSION, self.result.cid()][..],
            &self.atc,
            &self.cryptogram,
            &[issuer, self.script_failures, self.scripts],
            &self.fdda_hash,
            &self.card_authentication,
        ] {
            // The parts are 43 bytes together, as LAST_LEN says; a test compares.
            w.push(part).unwrap_or(());
        }
        out
    }

    pub(super) fn decode(raw: &[u8; LAST_LEN]) -> Option<Self> {
        let (head, rest) = raw.split_first_chunk::<4>()?;
        let [objects::LAYOUT_VERSION, cid, high, low] = *head else { return None };
        let (cryptogram, rest) = rest.split_first_chunk()?;
        let ([issuer, script_failures, scripts], rest) = rest.split_first_chunk()?;
        let (fdda_hash, rest) = rest.split_first_chunk()?;
        let issuer = match issuer {
            0 => IssuerAuthentication::Pending,
            1 => IssuerAuthentication::Done,
            2 => IssuerAuthentication::Failed,
            _ => return None,
        };
        Some(Self {
            result: Cryptogram::from_cid(cid & 0xC0)?,
            atc: [high, low],
            cryptogram: *cryptogram,
            issuer,
            script_failures: *script_failures,
            scripts: *scripts,
            fdda_hash: *fdda_hash,
            card_authentication: rest.try_into().ok()?,
        })
    }

    /// The last transaction; `None` before the first.
    pub(super) fn load(cx: &mut Context<'_>) -> Result<Option<Self>, Sw> {
        match objects::optional(cx, objects::LAST)? {
            None => Ok(None),
            Some(raw) => Self::decode(&raw).map(Some).ok_or(Sw::MEMORY_FAILURE),
        }
    }
}

/// Where the session of this selection stands; in the volatile slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// Selected: GET PROCESSING OPTIONS comes next, or re-reading.
    Selected,
    /// GET PROCESSING OPTIONS has been answered (or was refused): no second one without a new selection.
    Answered,
    /// Approved; the debit waits for the last record.
    Approved(Approved),
}

/// An approval under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Approved {
    pub(super) last: Last,
    pub(super) debit: Debit,
    pub(super) log: LogRecord,
}

/// A log record; empty when the card keeps no log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogRecord {
    pub(super) bytes: [u8; LOG_RECORD_MAX],
    pub(super) len: u8,
}

impl LogRecord {
    pub(super) const NONE: Self = Self { bytes: [0; LOG_RECORD_MAX], len: 0 };

    pub(super) fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Session {
    pub(super) fn load(cx: &Context<'_>) -> Result<Self, Sw> {
        let slot = cx.volatile.first_chunk::<SLOT>().ok_or(Sw::UNKNOWN)?;
        match slot {
            [1, ..] => Ok(Self::Answered),
            [2, rest @ ..] => Approved::decode(rest).map(Self::Approved).ok_or(Sw::UNKNOWN),
            _ => Ok(Self::Selected),
        }
    }

    pub(super) fn store(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let slot = cx.volatile.first_chunk_mut::<SLOT>().ok_or(Sw::UNKNOWN)?;
        slot.fill(0);
        let [phase, rest @ ..] = slot;
        *phase = match self {
            Self::Selected => 0,
            Self::Answered => 1,
            Self::Approved(approved) => {
                approved.encode(rest)?;
                2
            }
        };
        Ok(())
    }
}

impl Approved {
    fn encode(&self, out: &mut [u8]) -> Result<(), Sw> {
        let mut w = ResponseWriter::new(out);
        w.push(&self.last.encode())?;
        w.push(&self.debit.balance.unwrap_or(Amount::ZERO).to_bcd())?;
        w.push(&[u8::from(self.debit.balance.is_some())])?;
        w.push(&self.debit.total.to_bcd())?;
        w.push(&[self.debit.foreign_count, self.log.len])?;
        w.push(&self.log.bytes)
    }

    fn decode(raw: &[u8]) -> Option<Self> {
        let (last, rest) = raw.split_first_chunk()?;
        let (balance, rest) = rest.split_first_chunk::<6>()?;
        let ([has_balance], rest) = rest.split_first_chunk()?;
        let (total, rest) = rest.split_first_chunk::<6>()?;
        let ([foreign_count, len], rest) = rest.split_first_chunk()?;
        let balance = if *has_balance == 1 { Some(Amount::from_bcd(balance)?) } else { None };
        Some(Self {
            last: Last::decode(last)?,
            debit: Debit { balance, total: Amount::from_bcd(total)?, foreign_count: *foreign_count },
            log: LogRecord { bytes: *rest.first_chunk()?, len: *len },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_their_bytes() {
        let last = Last {
            issuer: IssuerAuthentication::Failed,
            script_failures: 2,
            scripts: 3,
            fdda_hash: [7; 20],
            card_authentication: [1, 2, 3, 4, 5, 6, 7, 8],
            ..Last::new(Cryptogram::Arqc, [0x12, 0x34], [9; 8])
        };
        assert_eq!(Last::decode(&last.encode()), Some(last));
        let mut other = last.encode();
        other[0] = 2;
        assert_eq!(Last::decode(&other), None, "unknown version");
        let approved = Approved {
            last,
            debit: Debit { balance: Amount::new(1234), total: Amount::MAX, foreign_count: 7 },
            log: LogRecord { bytes: [5; LOG_RECORD_MAX], len: 45 },
        };
        let mut raw = [0; SLOT - 1];
        assert_eq!(approved.encode(&mut raw), Ok(()));
        assert_eq!(Approved::decode(&raw), Some(approved));
        assert_eq!(
            approved.encode(&mut raw[1..]),
            Err(Sw::UNKNOWN),
            "the slot is exactly as long as it has to be"
        );
    }
}
