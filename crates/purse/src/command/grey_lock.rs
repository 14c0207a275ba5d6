//! Grey lock and unlock (灰锁). [sheet 1.5]

use huiwan_tlv::At;

use super::{WrongLength, of_len};
use crate::date::Stamp;
use crate::mac::{Mac, TerminalNo};
use crate::pack::{Pack, u24};
use crate::tti::Tti;

/// Answer of INITIALIZE FOR GREY LOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLockInit {
    /// Balance, fen.
    pub balance: u32,
    /// Offline counter.
    pub offline_seq: u16,
    /// Overdraft limit, fen, three bytes on the wire.
    pub overdraft: u32,
    /// Version of the key.
    pub key_version: u8,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: [u8; 4],
}

impl GreyLockInit {
    /// Length in bytes.
    pub const LEN: usize = 15;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            balance: fields.u32(),
            offline_seq: fields.u16(),
            overdraft: fields.u24(),
            key_version: fields.byte(),
            algorithm: fields.byte(),
            random: fields.take(),
        })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(u24(self.overdraft))
            .put([self.key_version])
            .put([self.algorithm])
            .put(self.random)
            .finish()
    }
}

/// Data of GREY LOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLock {
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// The terminal's random number.
    pub terminal_random: [u8; 4],
    /// Date and time.
    pub stamp: Stamp,
    /// MAC1.
    pub mac1: Mac,
}

impl GreyLock {
    /// Length in bytes.
    pub const LEN: usize = 19;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            terminal_seq: fields.u32(),
            terminal_random: fields.take(),
            stamp: Stamp::from_bytes(&fields.take()),
            mac1: fields.take(),
        })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.terminal_seq.to_be_bytes())
            .put(self.terminal_random)
            .put(self.stamp.to_bytes())
            .put(self.mac1)
            .finish()
    }
}

/// Answer of GREY LOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLocked {
    /// GTAC.
    pub gtac: Mac,
    /// MAC2.
    pub mac2: Mac,
}

impl GreyLocked {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { gtac: fields.take(), mac2: fields.take() })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.gtac).put(self.mac2).finish()
    }
}

/// Data of DEBIT FOR UNLOCK (解扣).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlock {
    /// Amount, fen.
    pub amount: u32,
    /// Offline counter, as the profile counts it.
    pub offline_seq: u16,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The terminal's transaction number, as the profile counts it.
    pub terminal_seq: u32,
    /// Date and time.
    pub stamp: Stamp,
    /// GMAC.
    pub gmac: Mac,
}

impl Unlock {
    /// Length in bytes.
    pub const LEN: usize = 27;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            amount: fields.u32(),
            offline_seq: fields.u16(),
            terminal: fields.take(),
            terminal_seq: fields.u32(),
            stamp: Stamp::from_bytes(&fields.take()),
            gmac: fields.take(),
        })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.amount.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(self.terminal)
            .put(self.terminal_seq.to_be_bytes())
            .put(self.stamp.to_bytes())
            .put(self.gmac)
            .finish()
    }
}

/// Answer of INITIALIZE FOR GREY UNLOCK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyUnlockInit {
    /// Balance, fen.
    pub balance: u32,
    /// Offline counter.
    pub offline_seq: u16,
    /// Online counter.
    pub online_seq: u16,
    /// Version of the key.
    pub key_version: u8,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: [u8; 4],
    /// MAC1.
    pub mac1: Mac,
}

impl GreyUnlockInit {
    /// Length in bytes.
    pub const LEN: usize = 18;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            balance: fields.u32(),
            offline_seq: fields.u16(),
            online_seq: fields.u16(),
            key_version: fields.byte(),
            algorithm: fields.byte(),
            random: fields.take(),
            mac1: fields.take(),
        })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put([self.key_version])
            .put([self.algorithm])
            .put(self.random)
            .put(self.mac1)
            .finish()
    }
}

/// Data of GREY UNLOCK (联机解扣).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyUnlockRequest {
    /// Amount, fen.
    pub amount: u32,
    /// The host's date and time.
    pub stamp: Stamp,
    /// MAC2.
    pub mac2: Mac,
}

impl GreyUnlockRequest {
    /// Length in bytes.
    pub const LEN: usize = 15;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { amount: fields.u32(), stamp: Stamp::from_bytes(&fields.take()), mac2: fields.take() })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.amount.to_be_bytes()).put(self.stamp.to_bytes()).put(self.mac2).finish()
    }
}

/// Answer of GET LOCK PROOF. Status, terminal and GTAC are \[S:LOH\], the rest is from memory \[M\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockProof {
    /// 00 free, 01 grey-locked, 10 debited but its TAC not yet taken (TACUF).
    pub status: u8,
    /// Transaction type: 91 of the lock, 93 or 95 of what ended it.
    pub tti: Tti,
    /// 01 ED, 02 EP.
    pub account: u8,
    /// Balance after that transaction, fen.
    pub balance: u32,
    /// Offline counter, as INITIALIZE FOR GREY LOCK answered it.
    pub offline_seq: u16,
    /// The terminal of that transaction.
    pub terminal: TerminalNo,
    /// Date and time of that transaction.
    pub stamp: Stamp,
    /// MAC2 of the lock.
    pub mac2: Mac,
    /// GTAC; the TAC of the debit when the status is 10.
    pub gtac: Mac,
}

impl LockProof {
    /// Status: not locked.
    pub const FREE: u8 = 0x00;
    /// Status: grey-locked.
    pub const LOCKED: u8 = 0x01;
    /// Status: debited and unlocked, but the TAC not yet taken (TACUF).
    pub const UNTAKEN: u8 = 0x10;

    /// Length in bytes.
    pub const LEN: usize = 30;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            status: fields.byte(),
            tti: Tti(fields.byte()),
            account: fields.byte(),
            balance: fields.u32(),
            offline_seq: fields.u16(),
            terminal: fields.take(),
            stamp: Stamp::from_bytes(&fields.take()),
            mac2: fields.take(),
            gtac: fields.take(),
        })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put([self.status])
            .put([self.tti.0])
            .put([self.account])
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .put(self.mac2)
            .put(self.gtac)
            .finish()
    }
}
