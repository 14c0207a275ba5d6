//! The purse's durable objects, and what stands in them.
//!
//! | id | content |
//! |---|---|
//! | `0001` `0002` | [`PurseState`] of ED and EP: balance 4 ‖ online counter 2 ‖ offline counter 2 ‖ overdraft limit 3 |
//! | `0003` | [`Scheme`](crate::scheme::Scheme), where the instance was told one |
//! | `0004` `0005` | upper limit of the balance of ED and EP 4 |
//! | `0006` | [`LastProof`]: transaction type 1 ‖ counter after 2 ‖ MAC 4 ‖ TAC 4 |
//! | `0007` | lock: see [`lock`](super::lock) |
//! | `0008` | application version 2 |
//! | `0009` | grey lock: see [`grey_lock`](super::grey_lock) |
//! | `000A` `000B` | PIN and its tries, a [`Pin`](huiwan_card::pin::Pin) |
//! | `000C` | authentication code 9 |
//! | `000D` | definitions of the issuer's own files, 8 bytes each: [`FileData`](crate::personalisation::FileData) |
//! | `000E` | which set of keys is used: see [`algorithm`](super::algorithm) |
//! | `1500` `1600` `1700` | the transparent files |
//! | `1800`… `1A00`… `1E00`… | the record files, as [`huiwan_card::files`] lays them out |
//! | `1000`… | the log of purchases elsewhere of 建设部 |
//! | `2000`…`2700`… | the issuer's own files |
//! | `8kii` `Akii` | 3DES and SM4 key of [kind](KeyKind::code) k with index ii: version 1 ‖ algorithm 1 ‖ tries 1 ‖ key 16 |
//! | `Ckii` `Ekii` | the tries it has left 1; none if it has them all |

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context, WRITE_OVERHEAD};
use huiwan_crypto::{Algorithm, Secret, SuiteKey};
use zeroize::Zeroizing;

use super::algorithm;
use crate::account::Account;
use crate::command::Proof;
use crate::keys::{self, KeyKind, KeyValue};
use crate::pack::{Pack, Unpack, u24};
use crate::status;
use crate::tti::Tti;

const PURSE_ED: u16 = 0x0001;
const PURSE_EP: u16 = 0x0002;
pub(super) const SCHEME: u16 = 0x0003;
const UPPER_LIMIT_ED: u16 = 0x0004;
const UPPER_LIMIT_EP: u16 = 0x0005;
pub(super) const PROOF: u16 = 0x0006;
pub(super) const LOCK: u16 = 0x0007;
pub(super) const VERSION: u16 = 0x0008;
pub(super) const GREY_LOCK: u16 = 0x0009;
pub(super) const PIN: u16 = 0x000A;
pub(super) const AUTH_CODE: u16 = 0x000C;
pub(super) const FILES: u16 = 0x000D;
pub(super) const ALGORITHM: u16 = 0x000E;
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

/// A key's object: bit 8 of the number, bit 6 for SM4, bit 7 for its tries instead, the kind below.
pub(super) const fn key(set: Algorithm, kind: KeyKind, index: u8) -> u16 {
    u16::from_be_bytes([0x80 | set_bit(set) | kind.code(), index])
}

const fn tries(set: Algorithm, kind: KeyKind, index: u8) -> u16 {
    u16::from_be_bytes([0xC0 | set_bit(set) | kind.code(), index])
}

const fn set_bit(set: Algorithm) -> u8 {
    if matches!(set, Algorithm::Sm4) { 0x20 } else { 0x00 }
}

/// The number before the first key of a set, and the last.
pub(super) const fn keys_of(set: Algorithm) -> [u16; 2] {
    [u16::from_be_bytes([0x80 | set_bit(set), 0x00]), u16::from_be_bytes([0x9F | set_bit(set), 0xFF])]
}

/// The key of a set in the place of another set's.
pub(super) const fn in_set(key: u16, set: Algorithm) -> u16 {
    let [high, index] = key.to_be_bytes();
    u16::from_be_bytes([high & !0x20 | set_bit(set), index])
}

/// The other of the two sets.
pub(super) const fn other(set: Algorithm) -> Algorithm {
    if matches!(set, Algorithm::Sm4) { Algorithm::Tdes } else { Algorithm::Sm4 }
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
        let Some(raw) = cx.find_array::<11>(PROOF)? else { return Ok(None) };
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
    /// Wrong uses that block it; 0: as the profile says.
    limit: u8,
    pub(super) value: KeyValue,
}

impl CardKey {
    const LEN: usize = 19;

    /// A key this card can use; 6A80 for another, which is refused now, not at the first tap.
    pub(super) fn checked<K: SuiteKey>(
        version: u8,
        algorithm: u8,
        limit: u8,
        value: KeyValue,
    ) -> Result<Self, Sw> {
        keys::open::<K>(algorithm, &value).map_err(|_| Sw::WRONG_DATA)?;
        if limit > 15 { Err(Sw::WRONG_DATA) } else { Ok(Self { version, algorithm, limit, value }) }
    }

    /// The key of the set in use, or 9403.
    pub(super) fn read(cx: &mut Context<'_>, kind: KeyKind, index: u8) -> Result<Self, Sw> {
        for set in algorithm::sets(cx)? {
            if let Some(key) = Self::of_set(cx, *set, kind, index)? {
                return Ok(key);
            }
        }
        Err(status::KEY_INDEX)
    }

    /// The key of one set, if it is there.
    pub(super) fn of_set(
        cx: &mut Context<'_>,
        set: Algorithm,
        kind: KeyKind,
        index: u8,
    ) -> Result<Option<Self>, Sw> {
        let Some(raw) = cx.find_array::<{ Self::LEN }>(key(set, kind, index))?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let mut fields = Unpack::new(&*raw);
        Ok(Some(Self {
            version: fields.byte(),
            algorithm: fields.byte(),
            limit: fields.byte(),
            value: Secret::new(fields.take()),
        }))
    }

    /// Adds to `batch`: the key, with all its tries.
    pub(super) fn put(&self, cx: &Context<'_>, kind: KeyKind, index: u8, batch: &mut Batch<'_>) {
        let raw: Zeroizing<[u8; Self::LEN]> = Zeroizing::new(
            Pack::new().put([self.version, self.algorithm, self.limit]).put(*self.value.expose()).finish(),
        );
        batch.put(cx.object(key(self.set(), kind, index)), &*raw);
        batch.delete(cx.object(tries(self.set(), kind, index)));
    }

    /// How often it may be used wrongly, `limit` times in a row unless it says so itself.
    pub(super) fn tries(&self, kind: KeyKind, index: u8, limit: u8) -> Tries {
        let limit = if self.limit == 0 { limit } else { self.limit };
        Tries { object: tries(self.set(), kind, index), limit }
    }

    fn set(&self) -> Algorithm {
        keys::algorithm(self.algorithm).unwrap_or(Algorithm::Tdes)
    }
}

/// The tries of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tries {
    object: u16,
    limit: u8,
}

impl Tries {
    pub(super) fn left(&self, cx: &mut Context<'_>) -> Result<u8, Sw> {
        let left = cx.find_array(self.object)?.map_or(self.limit, |[left]| left);
        Ok(left.min(self.limit))
    }

    /// Takes one, durably: what is left then. 6983 if there was none.
    pub(super) fn spend(&self, cx: &mut Context<'_>) -> Result<u8, Sw> {
        let left = self.left(cx)?.checked_sub(1).ok_or(Sw::AUTH_BLOCKED)?;
        cx.put(self.object, &[left])?;
        Ok(left)
    }

    /// Gives all back.
    pub(super) fn restore(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let mut buffer = [0; WRITE_OVERHEAD];
        let mut batch = Batch::new(&mut buffer);
        self.put_restored(cx, &mut batch)?;
        cx.commit(&batch)
    }

    /// Adds to `batch`: all are left.
    pub(super) fn put_restored(&self, cx: &mut Context<'_>, batch: &mut Batch<'_>) -> Result<(), Sw> {
        if cx.exists(self.object)? {
            batch.delete(cx.object(self.object));
        }
        Ok(())
    }
}
