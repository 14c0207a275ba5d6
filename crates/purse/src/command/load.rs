//! Loads and unloads. [sheet 1.3]

use huiwan_tlv::At;

use super::{WrongLength, of_len};
use crate::date::Stamp;
use crate::mac::{Mac, TerminalNo};
use crate::pack::Pack;

/// Data of INITIALIZE FOR LOAD, PURCHASE, CAPP PURCHASE, CASH WITHDRAW and UNLOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// Key index.
    pub key_index: u8,
    /// Amount, fen.
    pub amount: u32,
    /// The terminal.
    pub terminal: TerminalNo,
}

impl Init {
    /// Length in bytes.
    pub const LEN: usize = 11;

    /// Reads the data field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { key_index: fields.byte(), amount: fields.u32(), terminal: fields.take() })
    }

    /// The data field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put([self.key_index]).put(self.amount.to_be_bytes()).put(self.terminal).finish()
    }
}

/// Data of INITIALIZE FOR UPDATE, GREY LOCK and GREY UNLOCK, which name no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortInit {
    /// Key index.
    pub key_index: u8,
    /// The terminal.
    pub terminal: TerminalNo,
}

impl ShortInit {
    /// Length in bytes.
    pub const LEN: usize = 7;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { key_index: fields.byte(), terminal: fields.take() })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put([self.key_index]).put(self.terminal).finish()
    }
}

/// Answer of INITIALIZE FOR LOAD and UNLOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadInit {
    /// Balance before, fen.
    pub balance: u32,
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

impl LoadInit {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Reads the answer.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            balance: fields.u32(),
            online_seq: fields.u16(),
            key_version: fields.byte(),
            algorithm: fields.byte(),
            random: fields.take(),
            mac1: fields.take(),
        })
    }

    /// The answer.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put([self.key_version, self.algorithm])
            .put(self.random)
            .put(self.mac1)
            .finish()
    }
}

/// Data of CREDIT FOR LOAD and DEBIT FOR UNLOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// The host's date and time.
    pub stamp: Stamp,
    /// MAC2.
    pub mac2: Mac,
}

impl Credit {
    /// Length in bytes.
    pub const LEN: usize = 11;

    /// Reads the data field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { stamp: Stamp::from_bytes(&fields.take()), mac2: fields.take() })
    }

    /// The data field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(self.stamp.to_bytes()).put(self.mac2).finish()
    }
}
