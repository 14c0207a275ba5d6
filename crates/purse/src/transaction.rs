//! A transaction as terminals and hosts carry it: everything the TAC and settlement need.

use huiwan_crypto::{CryptoError, SuiteKey};

use crate::date::Stamp;
use crate::keys::CardId;
use crate::mac::{GreyLockTac, LimitTac, LoadTac, Mac, Message, PurchaseTac, TerminalNo};
use crate::pack::{Pack, Unpack, u24};
use crate::tti::Tti;

/// A transaction of any type. The TAC of a purchase covers neither card, balance nor counter, so they are carried here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// What it is.
    pub tti: Tti,
    /// The card.
    pub card: CardId,
    /// Balance before, fen.
    pub balance: u32,
    /// The card's counter before: offline for purchases, online for loads.
    pub seq: u16,
    /// Overdraft limit before, fen, three bytes on the wire; 0 where the initialisation names none.
    pub overdraft: u32,
    /// Amount, fen; of a limit update the new limit.
    pub amount: u32,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The terminal's transaction number; 0 for loads.
    pub terminal_seq: u32,
    /// Date and time.
    pub stamp: Stamp,
    /// Version of the key used, as the card answered it.
    pub key_version: u8,
    /// Algorithm of the key used, as the card answered it. Version and algorithm are those of the purchase or load key: no
    /// answer of a card names the TAC key's, which the host knows ([`TacKeyId`](crate::host::TacKeyId)).
    pub algorithm: u8,
}

impl Transaction {
    /// Length in bytes.
    pub const LEN: usize = 51;

    /// type 1 ‖ issuer 8 ‖ serial 10 ‖ balance 4 ‖ counter 2 ‖ overdraft limit 3 ‖ amount 4 ‖ terminal 6 ‖ terminal number 4 ‖
    /// date 4 ‖ time 3 ‖ key version 1 ‖ algorithm 1.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put([self.tti.0])
            .put(self.card.issuer)
            .put(self.card.serial)
            .put(self.balance.to_be_bytes())
            .put(self.seq.to_be_bytes())
            .put(u24(self.overdraft))
            .put(self.amount.to_be_bytes())
            .put(self.terminal)
            .put(self.terminal_seq.to_be_bytes())
            .put(self.stamp.to_bytes())
            .put([self.key_version, self.algorithm])
            .finish()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; every value has a meaning.
    #[must_use]
    pub fn from_bytes(raw: &[u8; Self::LEN]) -> Self {
        let mut fields = Unpack::new(raw);
        Self {
            tti: Tti(fields.byte()),
            card: CardId { issuer: fields.take(), serial: fields.take() },
            balance: fields.u32(),
            seq: fields.u16(),
            overdraft: fields.u24(),
            amount: fields.u32(),
            terminal: fields.take(),
            terminal_seq: fields.u32(),
            stamp: Stamp::from_bytes(&fields.take()),
            key_version: fields.byte(),
            algorithm: fields.byte(),
        }
    }

    /// The counter after the transaction, as log and proof name it.
    #[must_use]
    pub const fn seq_after(&self) -> u16 {
        self.seq.wrapping_add(1)
    }

    /// Whether the card proves it by MAC3 under the session key; a TAC it has otherwise. [sheet 2.4]
    #[must_use]
    pub const fn has_mac3(&self) -> bool {
        matches!(self.tti, Tti::UNLOAD | Tti::GREY_UNLOCK)
    }

    /// The balance after the transaction, fen; `None` if the figures contradict each other.
    #[must_use]
    pub const fn balance_after(&self) -> Option<u32> {
        match self.tti {
            Tti::GREY_LOCK => Some(self.balance),
            // balance' = balance − old limit + new limit; adding first, since the balance may be below the old limit. [sheet 3.3]
            Tti::LIMIT_UPDATE => match self.balance.checked_add(self.amount) {
                Some(sum) => sum.checked_sub(self.overdraft),
                None => None,
            },
            Tti::ED_LOAD | Tti::EP_LOAD => self.balance.checked_add(self.amount),
            _ => self.balance.checked_sub(self.amount),
        }
    }

    /// The TAC under the card's TAC key ([`keys::tac_key`](crate::keys::tac_key)).
    ///
    /// # Errors
    /// If the figures contradict each other, or the key cannot compute MACs of this kind.
    pub fn tac<K: SuiteKey>(&self, key: &K) -> Result<Mac, CryptoError> {
        let Self { tti, amount, terminal, terminal_seq, stamp, seq, .. } = *self;
        let after = || self.balance_after().ok_or(CryptoError);
        match tti {
            Tti::GREY_LOCK => {
                GreyLockTac { balance: after()?, offline_seq: seq, tti, terminal, terminal_seq, stamp }
                    .mac(key)
            }
            Tti::LIMIT_UPDATE => {
                LimitTac { balance: after()?, online_seq: seq, new_limit: amount, tti, terminal, stamp }
                    .mac(key)
            }
            _ if tti.is_offline() => PurchaseTac { amount, tti, terminal, terminal_seq, stamp }.mac(key),
            _ => LoadTac { balance: after()?, online_seq: seq, amount, tti, terminal, stamp }.mac(key),
        }
    }
}
