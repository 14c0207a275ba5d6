//! Purchases, cash withdrawals, composite purchases and their proof. [sheet 1.3]

use huiwan_tlv::At;

use super::{WrongLength, of_len};
use crate::date::Stamp;
use crate::mac::Mac;
use crate::pack::{Pack, u24};

/// Answer of INITIALIZE FOR PURCHASE, CAPP PURCHASE and CASH WITHDRAW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseInit {
    /// Available balance, fen.
    pub balance: u32,
    /// Offline counter.
    pub offline_seq: u16,
    /// Overdraft limit, fen, three bytes on the wire.
    pub overdraft: u32,
    /// Version of the purchase key.
    pub key_version: u8,
    /// Algorithm of the purchase key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: [u8; 4],
}

impl PurchaseInit {
    /// Length in bytes.
    pub const LEN: usize = 15;

    /// Reads the answer.
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

    /// The answer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put(u24(self.overdraft))
            .put([self.key_version, self.algorithm])
            .put(self.random)
            .finish()
    }
}

/// Data of DEBIT FOR PURCHASE/CASH WITHDRAW/CAPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debit {
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// The terminal's date and time.
    pub stamp: Stamp,
    /// MAC1.
    pub mac1: Mac,
}

impl Debit {
    /// Length in bytes.
    pub const LEN: usize = 15;

    /// Reads the data field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { terminal_seq: fields.u32(), stamp: Stamp::from_bytes(&fields.take()), mac1: fields.take() })
    }

    /// The data field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.terminal_seq.to_be_bytes()).put(self.stamp.to_bytes()).put(self.mac1).finish()
    }
}

/// Answer of DEBIT FOR PURCHASE: TAC ‖ MAC2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debited {
    /// TAC, for settlement.
    pub tac: Mac,
    /// MAC2, for the terminal.
    pub mac2: Mac,
}

impl Debited {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Reads the answer.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { tac: fields.take(), mac2: fields.take() })
    }

    /// The answer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.tac).put(self.mac2).finish()
    }
}

/// Answer of GET TRANSACTION PROVE: MAC ‖ TAC, the other way round than DEBIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// MAC2 of a purchase; zero for a load. \[S:HB\]
    pub mac: Mac,
    /// TAC.
    pub tac: Mac,
}

impl Proof {
    /// Length in bytes.
    pub const LEN: usize = 8;

    /// Reads the answer.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { mac: fields.take(), tac: fields.take() })
    }

    /// The answer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.mac).put(self.tac).finish()
    }
}
