//! The purse's durable objects, and what stands in them.
//!
//! | id | content |
//! |---|---|
//! | `0002` | [`PurseState`]: balance 4 ‖ online counter 2 ‖ offline counter 2 ‖ overdraft limit 3 (`0001` is kept for ED) |
//! | `0005` | upper limit of the balance 4 |
//! | `0006` | [`LastProof`]: transaction type 1 ‖ counter after 2 ‖ MAC 4 ‖ TAC 4 |
//! | `0007` | lock: see [`lock`](super::lock) |
//! | `0008` | application version 2 |
//! | `0015` `0016` `0017` | the transparent files |
//! | `1800` `1E00` | head of a cyclic file: newest slot 1 ‖ number of records 1 |
//! | `1801`… `1E01`… | its slots |
//! | `1A01`… | records of the composite file |
//! | `81ii`…`89ii` | key of kind 1…9 with index ii: version 1 ‖ algorithm 1 ‖ key 16 |

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context};
use huiwan_crypto::Secret;
use zeroize::Zeroize;

use crate::command::Proof;
use crate::keys::{KeyKind, KeyValue};
use crate::pack::{Pack, Unpack, u24};
use crate::status;
use crate::tti::Tti;

pub(super) const PURSE_EP: u16 = 0x0002;
pub(super) const UPPER_LIMIT: u16 = 0x0005;
pub(super) const PROOF: u16 = 0x0006;
pub(super) const LOCK: u16 = 0x0007;
pub(super) const VERSION: u16 = 0x0008;
pub(super) const PUBLIC_INFO: u16 = 0x0015;
pub(super) const HOLDER: u16 = 0x0016;
pub(super) const MANAGEMENT: u16 = 0x0017;

/// File or record `number` (0 = head) of the file with this short identifier.
pub(super) const fn record(sfi: u8, number: u8) -> u16 {
    u16::from_be_bytes([sfi, number])
}

const fn key(kind: KeyKind, index: u8) -> u16 {
    u16::from_be_bytes([0x80 | kind.code(), index])
}

/// What a transaction changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurseState {
    /// Own money and unused overdraft, fen. [sheet 3.3]
    pub(super) balance: u32,
    pub(super) online_seq: u16,
    pub(super) offline_seq: u16,
    pub(super) overdraft: u32,
}

impl PurseState {
    pub(super) fn read(cx: &mut Context<'_>) -> Result<Self, Sw> {
        let raw: [u8; 11] = cx.read_array(PURSE_EP)?;
        let mut fields = Unpack::new(&raw);
        Ok(Self {
            balance: fields.u32(),
            online_seq: fields.u16(),
            offline_seq: fields.u16(),
            overdraft: fields.u24(),
        })
    }

    pub(super) fn to_bytes(self) -> [u8; 11] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(u24(self.overdraft))
            .finish()
    }
}

/// The proof of the last transaction. [sheet 3.4]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastProof {
    pub(super) tti: Tti,
    /// The counter after the transaction.
    pub(super) seq: u16,
    pub(super) proof: Proof,
}

impl LastProof {
    pub(super) fn read(cx: &mut Context<'_>) -> Result<Option<Self>, Sw> {
        if !cx.exists(PROOF)? {
            return Ok(None);
        }
        let raw: [u8; 11] = cx.read_array(PROOF)?;
        let mut fields = Unpack::new(&raw);
        let tti = Tti(fields.byte());
        let seq = fields.u16();
        let proof = Proof { mac: fields.take(), tac: fields.take() };
        Ok(Some(Self { tti, seq, proof }))
    }

    pub(super) fn to_bytes(self) -> [u8; 11] {
        Pack::new().put([self.tti.0]).put(self.seq.to_be_bytes()).put(self.proof.to_bytes()).finish()
    }
}

/// A key with what the card answers about it.
pub(super) struct CardKey {
    pub(super) version: u8,
    pub(super) algorithm: u8,
    pub(super) value: KeyValue,
}

impl CardKey {
    /// The key, or 9403.
    pub(super) fn read(cx: &mut Context<'_>, kind: KeyKind, index: u8) -> Result<Self, Sw> {
        let id = key(kind, index);
        if !cx.exists(id)? {
            return Err(status::KEY_INDEX);
        }
        let mut raw: [u8; 18] = cx.read_array(id)?;
        let mut fields = Unpack::new(&raw);
        let key =
            Self { version: fields.byte(), algorithm: fields.byte(), value: Secret::new(fields.take()) };
        raw.zeroize();
        Ok(key)
    }

    pub(super) fn store(&self, cx: &mut Context<'_>, kind: KeyKind, index: u8) -> Result<(), Sw> {
        let mut raw: [u8; 18] =
            Pack::new().put([self.version, self.algorithm]).put(*self.value.expose()).finish();
        let stored = cx.put(key(kind, index), &raw);
        raw.zeroize();
        stored
    }
}

/// A cyclic file: its records are numbered from the newest, 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cyclic {
    pub(super) sfi: u8,
    pub(super) capacity: u8,
}

/// Where a cyclic file stands: the slot of the newest record (from 1) and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring {
    newest: u8,
    count: u8,
}

impl Cyclic {
    pub(super) fn ring(self, cx: &mut Context<'_>) -> Result<Ring, Sw> {
        let head = record(self.sfi, 0);
        if !cx.exists(head)? {
            return Ok(Ring { newest: 0, count: 0 });
        }
        let [newest, count] = cx.read_array(head)?;
        Ok(Ring { newest, count })
    }

    /// The object of record `number`.
    pub(super) fn object(self, ring: Ring, number: u8) -> Option<u16> {
        let back = number.checked_sub(1).filter(|_| number <= ring.count)?;
        let slot = match ring.newest.checked_sub(back) {
            Some(slot @ 1..) => slot,
            _ => ring.newest.checked_add(self.capacity)?.checked_sub(back)?,
        };
        Some(record(self.sfi, slot))
    }

    /// Writes a new newest record; `ring` moves on, so that several can be appended in one batch.
    pub(super) fn append(self, cx: &Context<'_>, ring: &mut Ring, batch: &mut Batch<'_>, data: &[u8]) {
        ring.newest = if ring.newest >= self.capacity { 1 } else { ring.newest.saturating_add(1) };
        ring.count = ring.count.saturating_add(1).min(self.capacity);
        batch.put(cx.object(record(self.sfi, ring.newest)), data);
        batch.put(cx.object(record(self.sfi, 0)), &[ring.newest, ring.count]);
    }
}
