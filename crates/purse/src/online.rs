//! A transaction with the host as terminal and host exchange it: load, unload (圈提), overdraft limit update and online
//! grey unlock. [sheet 1.3, 1.5, 2.3, 2.4]
//!
//! The four are one protocol: the card is initialised and signs MAC1, the host answers MAC2, the card completes and
//! signs a TAC (load, limit update) or MAC3 (unload, grey unlock). Only the lists of fields differ.

use huiwan_crypto::{CryptoError, SuiteKey};
use huiwan_tlv::At;

use crate::account::Account;
use crate::command::{Credit, GreyUnlockInit, GreyUnlockRequest, Limit, LimitInit, LoadInit, WrongLength};
use crate::date::Stamp;
use crate::keys::{CardId, KeyKind};
use crate::mac::{GreyUnlockMac1, LimitMac1, LimitMac2, LoadMac1, LoadMac2, Mac, Message, TerminalNo};
use crate::pack::{Pack, Unpack, u24};
use crate::terminal::LoadRequest;
use crate::transaction::Transaction;
use crate::tti::Tti;

/// The largest overdraft limit three bytes can write, fen.
const LARGEST_LIMIT: u32 = 0x00FF_FFFF;

/// The card's answer to any of the four initialisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnlineInit {
    /// Balance before, fen.
    pub balance: u32,
    /// Online counter.
    pub online_seq: u16,
    /// Overdraft limit until now, fen; 0 except of a limit update.
    pub overdraft: u32,
    /// Offline counter; 0 except of a grey unlock.
    pub offline_seq: u16,
    /// Version of the key.
    pub key_version: u8,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: [u8; 4],
    /// MAC1.
    pub mac1: Mac,
}

impl OnlineInit {
    /// Reads the answer to the initialisation of a `tti` transaction.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(tti: Tti, raw: &[u8]) -> Result<Self, At<WrongLength>> {
        match tti {
            Tti::LIMIT_UPDATE => LimitInit::parse(raw).map(Self::from),
            Tti::GREY_UNLOCK => GreyUnlockInit::parse(raw).map(Self::from),
            _ => LoadInit::parse(raw).map(Self::from),
        }
    }
}

impl From<LoadInit> for OnlineInit {
    fn from(init: LoadInit) -> Self {
        let LoadInit { balance, online_seq, key_version, algorithm, random, mac1 } = init;
        Self { balance, online_seq, overdraft: 0, offline_seq: 0, key_version, algorithm, random, mac1 }
    }
}

impl From<LimitInit> for OnlineInit {
    fn from(init: LimitInit) -> Self {
        let LimitInit { balance, online_seq, old_limit, key_version, algorithm, random, mac1 } = init;
        Self {
            balance,
            online_seq,
            overdraft: old_limit,
            offline_seq: 0,
            key_version,
            algorithm,
            random,
            mac1,
        }
    }
}

impl From<GreyUnlockInit> for OnlineInit {
    fn from(init: GreyUnlockInit) -> Self {
        let GreyUnlockInit { balance, offline_seq, online_seq, key_version, algorithm, random, mac1 } = init;
        Self { balance, online_seq, overdraft: 0, offline_seq, key_version, algorithm, random, mac1 }
    }
}

/// An initialised card, as the terminal sends it to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnlineRequest {
    /// 01 or 02 load, 03 unload, 07 limit update, 95 grey unlock.
    pub tti: Tti,
    /// The account. The type of a load says it too, under MAC1; otherwise it is the terminal's word.
    pub account: Account,
    /// The card.
    pub card: CardId,
    /// The terminal.
    pub terminal: TerminalNo,
    /// Index of the key.
    pub key_index: u8,
    /// Fen. Of a load or unload what the card was initialised for, under MAC1. Of a limit update the new limit and of a
    /// grey unlock what is owed: the terminal at best proposes it, and the host puts in what it grants.
    pub amount: u32,
    /// The card's answer.
    pub init: OnlineInit,
}

impl OnlineRequest {
    /// Length of the written form, bytes.
    pub const LEN: usize = 52;

    /// type 1 ‖ account 1 ‖ issuer 8 ‖ serial 10 ‖ terminal 6 ‖ key index 1 ‖ amount 4 ‖ balance 4 ‖ online counter 2 ‖
    /// overdraft limit 3 ‖ offline counter 2 ‖ key version 1 ‖ algorithm 1 ‖ random 4 ‖ MAC1 4.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let Self { init, .. } = self;
        Pack::new()
            .put([self.tti.0, self.account.p2()])
            .put(self.card.issuer)
            .put(self.card.serial)
            .put(self.terminal)
            .put([self.key_index])
            .put(self.amount.to_be_bytes())
            .put(init.balance.to_be_bytes())
            .put(init.online_seq.to_be_bytes())
            .put(u24(init.overdraft))
            .put(init.offline_seq.to_be_bytes())
            .put([init.key_version, init.algorithm])
            .put(init.random)
            .put(init.mac1)
            .finish()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for an account there is not.
    #[must_use]
    pub fn from_bytes(raw: &[u8; Self::LEN]) -> Option<Self> {
        let mut fields = Unpack::new(raw);
        Some(Self {
            tti: Tti(fields.byte()),
            account: Account::from_p2(fields.byte())?,
            card: CardId { issuer: fields.take(), serial: fields.take() },
            terminal: fields.take(),
            key_index: fields.byte(),
            amount: fields.u32(),
            init: OnlineInit {
                balance: fields.u32(),
                online_seq: fields.u16(),
                overdraft: fields.u24(),
                offline_seq: fields.u16(),
                key_version: fields.byte(),
                algorithm: fields.byte(),
                random: fields.take(),
                mac1: fields.take(),
            },
        })
    }

    /// The kind of key it is done with. [sheet 2.1]
    #[must_use]
    pub const fn key_kind(&self) -> KeyKind {
        match self.tti {
            Tti::UNLOAD => KeyKind::Unload,
            Tti::LIMIT_UPDATE => KeyKind::Update,
            Tti::GREY_UNLOCK => KeyKind::GreyUnlock,
            _ => KeyKind::Load,
        }
    }

    /// The transaction as it will be if the card takes the host's approval of `stamp`.
    #[must_use]
    pub const fn transaction(&self, stamp: Stamp) -> Transaction {
        Transaction {
            tti: self.tti,
            card: self.card,
            balance: self.init.balance,
            seq: self.init.online_seq,
            overdraft: self.init.overdraft,
            amount: self.amount,
            terminal: self.terminal,
            terminal_seq: 0,
            stamp,
            key_version: self.init.key_version,
            algorithm: self.init.algorithm,
        }
    }

    /// Whether this is one of the four and its figures allow it: no balance below nothing or past four bytes, no limit
    /// past three, the account that of the load.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let account = match self.tti {
            Tti::ED_LOAD | Tti::EP_LOAD => self.account.load() == self.tti,
            Tti::UNLOAD | Tti::GREY_UNLOCK => true,
            Tti::LIMIT_UPDATE => self.amount <= LARGEST_LIMIT,
            _ => false,
        };
        account && self.transaction(Stamp::default()).balance_after().is_some()
    }

    /// MAC1 under the session key, card to host. [sheet 2.4]
    ///
    /// # Errors
    /// If the key cannot compute MACs of this kind.
    pub fn mac1<K: SuiteKey>(&self, session: &K) -> Result<Mac, CryptoError> {
        let Self { tti, terminal, amount, .. } = *self;
        let OnlineInit { balance, overdraft: old_limit, offline_seq, .. } = self.init;
        match tti {
            Tti::LIMIT_UPDATE => LimitMac1 { balance, old_limit, tti, terminal }.mac(session),
            Tti::GREY_UNLOCK => GreyUnlockMac1 { balance, offline_seq, tti, terminal }.mac(session),
            _ => LoadMac1 { balance, amount, tti, terminal }.mac(session),
        }
    }

    /// MAC2 under the session key, host to card. [sheet 2.4]
    ///
    /// # Errors
    /// If the key cannot compute MACs of this kind.
    pub fn mac2<K: SuiteKey>(&self, session: &K, stamp: Stamp) -> Result<Mac, CryptoError> {
        let Self { tti, terminal, amount, .. } = *self;
        match tti {
            Tti::LIMIT_UPDATE => LimitMac2 { new_limit: amount, tti, terminal, stamp }.mac(session),
            _ => LoadMac2 { amount, tti, terminal, stamp }.mac(session),
        }
    }
}

impl From<LoadRequest> for OnlineRequest {
    fn from(request: LoadRequest) -> Self {
        let LoadRequest { card, tti, terminal, key_index, amount, init } = request;
        let account = if tti == Tti::ED_LOAD { Account::Ed } else { Account::Ep };
        Self { tti, account, card, terminal, key_index, amount, init: init.into() }
    }
}

impl OnlineRequest {
    /// The same as a [`LoadRequest`], if it is a load.
    #[must_use]
    pub const fn load(&self) -> Option<LoadRequest> {
        let Self { tti, card, terminal, key_index, amount, init, .. } = *self;
        let OnlineInit { balance, online_seq, key_version, algorithm, random, mac1, .. } = init;
        match tti {
            Tti::ED_LOAD | Tti::EP_LOAD => {
                let init = LoadInit { balance, online_seq, key_version, algorithm, random, mac1 };
                Some(LoadRequest { card, tti, terminal, key_index, amount, init })
            }
            _ => None,
        }
    }
}

/// The host's approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnlineApproval {
    /// Fen: the amount, or the new limit.
    pub amount: u32,
    /// The host's date and time.
    pub stamp: Stamp,
    /// MAC2.
    pub mac2: Mac,
}

/// Data of CREDIT FOR LOAD and DEBIT FOR UNLOAD.
impl From<OnlineApproval> for Credit {
    fn from(OnlineApproval { stamp, mac2, .. }: OnlineApproval) -> Self {
        Self { stamp, mac2 }
    }
}

/// Data of UPDATE OVERDRAW LIMIT.
impl From<OnlineApproval> for Limit {
    fn from(OnlineApproval { amount, stamp, mac2 }: OnlineApproval) -> Self {
        Self { new_limit: amount, stamp, mac2 }
    }
}

/// Data of GREY UNLOCK.
impl From<OnlineApproval> for GreyUnlockRequest {
    fn from(OnlineApproval { amount, stamp, mac2 }: OnlineApproval) -> Self {
        Self { amount, stamp, mac2 }
    }
}
