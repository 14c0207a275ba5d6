//! The purse's durable objects, and what stands in them.
//!
//! | id | content |
//! |---|---|
//! | `0001` `0002` | [`PurseState`] of ED and EP: balance 4 ‖ online counter 2 ‖ offline counter 2 ‖ overdraft limit 3 |
//! | `0004` `0005` | upper limit of the balance of ED and EP 4 |
//! | `0006` | [`LastProof`]: transaction type 1 ‖ counter after 2 ‖ MAC 4 ‖ TAC 4 |
//! | `0007` | lock: see [`lock`](super::lock) |
//! | `0008` | application version 2 |
//! | `0009` | grey lock: see [`grey_lock`](super::grey_lock) |
//! | `000A` `000B` | PIN and its tries, a [`Pin`](huiwan_card::pin::Pin) |
//! | `000C` | authentication code 9 |
//! | `1500` `1600` `1700` | the transparent files |
//! | `1800`… `1A00`… `1E00`… | the record files, as [`huiwan_card::files`] lays them out |
//! | `81ii`…`89ii` | key of kind 1…9 with index ii: version 1 ‖ algorithm 1 ‖ key 16 |

use huiwan_apdu::Sw;
use huiwan_card::Context;
use huiwan_crypto::Secret;
use zeroize::Zeroize;

use crate::account::Account;
use crate::command::Proof;
use crate::keys::{KeyKind, KeyValue};
use crate::pack::{Pack, Unpack, u24};
use crate::status;
use crate::tti::Tti;

const PURSE_ED: u16 = 0x0001;
const PURSE_EP: u16 = 0x0002;
const UPPER_LIMIT_ED: u16 = 0x0004;
const UPPER_LIMIT_EP: u16 = 0x0005;
pub(super) const PROOF: u16 = 0x0006;
pub(super) const LOCK: u16 = 0x0007;
pub(super) const VERSION: u16 = 0x0008;
pub(super) const GREY_LOCK: u16 = 0x0009;
pub(super) const PIN: u16 = 0x000A;
pub(super) const AUTH_CODE: u16 = 0x000C;
pub(super) const PUBLIC_INFO: u16 = record(0x15, 0);
pub(super) const HOLDER: u16 = record(0x16, 0);
pub(super) const MANAGEMENT: u16 = record(0x17, 0);

/// The state of an account.
pub(super) const fn purse(account: Account) -> u16 {
    match account {
        Account::Ed => PURSE_ED,
        Account::Ep => PURSE_EP,
    }
}

/// The upper limit of an account's balance.
pub(super) const fn upper_limit(account: Account) -> u16 {
    match account {
        Account::Ed => UPPER_LIMIT_ED,
        Account::Ep => UPPER_LIMIT_EP,
    }
}

/// Object `number` of the file with this short identifier.
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
    pub(super) fn read(cx: &mut Context<'_>, account: Account) -> Result<Self, Sw> {
        let raw: [u8; 11] = cx.read_array(purse(account))?;
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
