//! The overdraft limit. [sheet 1.3]

use huiwan_tlv::At;

use super::{WrongLength, of_len};
use crate::date::Stamp;
use crate::mac::Mac;
use crate::pack::{Pack, u24};

/// Answer of INITIALIZE FOR UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitInit {
    /// Balance, fen.
    pub balance: u32,
    /// Online counter.
    pub online_seq: u16,
    /// Limit until now, fen, three bytes on the wire.
    pub old_limit: u32,
    /// Version of the key.
    pub key_version: u8,
    /// Algorithm of the key.
    pub algorithm: u8,
    /// The card's random number.
    pub random: [u8; 4],
    /// MAC1.
    pub mac1: Mac,
}

impl LimitInit {
    /// Length in bytes.
    pub const LEN: usize = 19;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self {
            balance: fields.u32(),
            online_seq: fields.u16(),
            old_limit: fields.u24(),
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
            .put(self.online_seq.to_be_bytes())
            .put(u24(self.old_limit))
            .put([self.key_version])
            .put([self.algorithm])
            .put(self.random)
            .put(self.mac1)
            .finish()
    }
}

/// Data of UPDATE OVERDRAW LIMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// New limit, fen, three bytes on the wire.
    pub new_limit: u32,
    /// The host's date and time.
    pub stamp: Stamp,
    /// MAC2.
    pub mac2: Mac,
}

impl Limit {
    /// Length in bytes.
    pub const LEN: usize = 14;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WrongLength>> {
        let mut fields = of_len::<{ Self::LEN }>(raw)?;
        Ok(Self { new_limit: fields.u24(), stamp: Stamp::from_bytes(&fields.take()), mac2: fields.take() })
    }

    /// The field.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put(u24(self.new_limit)).put(self.stamp.to_bytes()).put(self.mac2).finish()
    }
}
