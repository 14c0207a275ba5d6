//! The purse's commands: headers in one table, and the data fields both sides read and write.

use core::fmt;

use huiwan_apdu::{Command, Ne};
use huiwan_tlv::At;

use crate::date::Stamp;
use crate::mac::{Mac, TerminalNo};
use crate::pack::{Pack, Unpack, u24};

/// CLA and INS of a command, and P1 where it tells commands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// CLA.
    pub cla: u8,
    /// INS.
    pub ins: u8,
    /// P1, if the command is told apart by it.
    pub p1: Option<u8>,
    /// The command's name.
    pub name: &'static str,
}

impl Header {
    /// The command with these P1 and P2; P1 of the table wins.
    #[must_use]
    pub fn command<'a>(self, p1: u8, p2: u8) -> Command<'a> {
        Command::new(self.cla, self.ins, self.p1.unwrap_or(p1), p2)
    }

    const fn is(self, cla: u8, ins: u8, p1: u8) -> bool {
        self.cla == cla
            && self.ins == ins
            && match self.p1 {
                Some(own) => own == p1,
                None => true,
            }
    }
}

macro_rules! commands {
    ($($name:ident = $cla:literal $ins:literal $p1:expr, $text:literal;)*) => {
        $(#[doc = concat!($text, ".")] pub const $name: Header = Header { cla: $cla, ins: $ins, p1: $p1, name: $text };)*

        const ALL: &[Header] = &[$($name,)*];
    };
}

// [sheet 1.2, 1.3]
commands! {
    APPLICATION_UNBLOCK = 0x84 0x18 None, "APPLICATION UNBLOCK";
    APPLICATION_BLOCK = 0x84 0x1E None, "APPLICATION BLOCK";
    INITIALIZE_FOR_LOAD = 0x80 0x50 Some(0x00), "INITIALIZE FOR LOAD";
    INITIALIZE_FOR_PURCHASE = 0x80 0x50 Some(0x01), "INITIALIZE FOR PURCHASE";
    INITIALIZE_FOR_CASH_WITHDRAW = 0x80 0x50 Some(0x02), "INITIALIZE FOR CASH WITHDRAW";
    INITIALIZE_FOR_CAPP_PURCHASE = 0x80 0x50 Some(0x03), "INITIALIZE FOR CAPP PURCHASE";
    INITIALIZE_FOR_UPDATE = 0x80 0x50 Some(0x04), "INITIALIZE FOR UPDATE";
    INITIALIZE_FOR_UNLOAD = 0x80 0x50 Some(0x05), "INITIALIZE FOR UNLOAD";
    CREDIT_FOR_LOAD = 0x80 0x52 None, "CREDIT FOR LOAD";
    DEBIT_FOR_PURCHASE = 0x80 0x54 Some(0x01), "DEBIT FOR PURCHASE/CASH WITHDRAW/CAPP";
    DEBIT_FOR_UNLOAD = 0x80 0x54 Some(0x03), "DEBIT FOR UNLOAD";
    UPDATE_OVERDRAW_LIMIT = 0x80 0x58 None, "UPDATE OVERDRAW LIMIT";
    GET_TRANSACTION_PROVE = 0x80 0x5A None, "GET TRANSACTION PROVE";
    GET_BALANCE = 0x80 0x5C None, "GET BALANCE";
    CHANGE_PIN = 0x80 0x5E Some(0x01), "CHANGE PIN";
    RELOAD_PIN = 0x80 0x5E Some(0x00), "RELOAD PIN";
    UPDATE_CAPP_DATA_CACHE = 0x80 0xDC None, "UPDATE CAPP DATA CACHE";
    UPDATE_BINARY_SECURED = 0x04 0xD6 None, "UPDATE BINARY";
    UPDATE_RECORD_SECURED = 0x04 0xDC None, "UPDATE RECORD";
    INIT_SAM_FOR_PURCHASE = 0x80 0x70 None, "INIT SAM FOR PURCHASE";
    CREDIT_SAM_FOR_PURCHASE = 0x80 0x72 None, "CREDIT SAM FOR PURCHASE";
}

/// The name of a purse or PSAM command.
#[must_use]
pub fn name(cla: u8, ins: u8, p1: u8) -> Option<&'static str> {
    ALL.iter().find(|header| header.is(cla, ins, p1)).map(|header| header.name)
}

/// P2: the electronic passbook.
pub const ED: u8 = 0x01;
/// P2: the electronic purse.
pub const EP: u8 = 0x02;

/// A data field is not of its fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WrongLength {
    /// Length it has to have, bytes.
    pub expected: usize,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data field is not {} bytes long", self.expected)
    }
}

impl core::error::Error for WrongLength {}

fn of_len<const N: usize>(raw: &[u8]) -> Result<Unpack<'_>, At<WrongLength>> {
    if raw.len() == N {
        Ok(Unpack::new(raw))
    } else {
        Err(At::new(WrongLength { expected: N }, raw.len().min(N)))
    }
}

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

/// Answer of INITIALIZE FOR LOAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadInit {
    /// Balance before, fen.
    pub balance: u32,
    /// Online counter.
    pub online_seq: u16,
    /// Version of the load key.
    pub key_version: u8,
    /// Algorithm of the load key.
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

/// Data of CREDIT FOR LOAD.
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

/// READ BINARY by short file identifier from its beginning, `len` bytes expected (0 = all).
#[must_use]
pub fn read_binary<'a>(sfi: u8, len: u8) -> Command<'a> {
    Command::new(0x00, 0xB0, 0x80 | sfi, 0x00).with_ne(expected(len))
}

/// READ RECORD by number.
#[must_use]
pub fn read_record<'a>(sfi: u8, number: u8, len: u8) -> Command<'a> {
    Command::new(0x00, 0xB2, number, sfi << 3 | 0x04).with_ne(expected(len))
}

/// READ RECORD by identifier, first occurrence.
#[must_use]
pub fn read_record_by_id<'a>(sfi: u8, id: u8, len: u8) -> Command<'a> {
    Command::new(0x00, 0xB2, id, sfi << 3).with_ne(expected(len))
}

/// UPDATE CAPP DATA CACHE of the record `id` (0 appends to a cyclic file).
#[must_use]
pub fn update_capp_data_cache<'a>(sfi: u8, id: u8, record: &'a [u8]) -> Command<'a> {
    UPDATE_CAPP_DATA_CACHE.command(id, sfi << 3).with_data(record)
}

/// Le for a number of bytes; 0 stands for as many as there are.
pub(crate) fn expected(len: u8) -> Ne {
    Ne::new(usize::from(len)).unwrap_or(Ne::MAX_SHORT)
}
