//! The purse's commands: headers in one table, and the data fields both sides read and write.

use core::fmt;

use huiwan_apdu::{Command, Ne};
use huiwan_tlv::At;

use crate::pack::Unpack;

mod grey_lock;
mod limit;
mod load;
mod purchase;
mod write_key;

pub use grey_lock::{
    GreyLock, GreyLockInit, GreyLocked, GreyUnlockInit, GreyUnlockRequest, LockProof, Unlock,
};
pub use limit::{Limit, LimitInit};
pub use load::{Credit, Init, LoadInit, ShortInit};
pub use purchase::{Debit, Debited, Proof, PurchaseInit};
pub use write_key::{ADD_KEY, WriteKey, WriteKeyError, cos_type, kind_of_cos_type};

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
    CARD_BLOCK = 0x84 0x16 None, "CARD BLOCK";
    PIN_UNBLOCK = 0x84 0x24 None, "PIN UNBLOCK";
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
    INITIALIZE_FOR_GREY_LOCK = 0xE0 0x7A Some(0x08), "INITIALIZE FOR GREY LOCK";
    GREY_LOCK = 0xE0 0x7C Some(0x08), "GREY LOCK";
    DEBIT_FOR_UNLOCK = 0xE0 0x7E Some(0x08), "DEBIT FOR UNLOCK";
    INITIALIZE_FOR_GREY_UNLOCK = 0xE0 0x7A Some(0x09), "INITIALIZE FOR GREY UNLOCK";
    GREY_UNLOCK = 0xE0 0x7E Some(0x09), "GREY UNLOCK";
    GET_LOCK_PROOF = 0xE0 0xCA None, "GET LOCK PROOF";
    GET_AUTH_CODE = 0x80 0xCA None, "GET AUTHENTICATION CODE";
    GET_TRANSACTION_PROVE = 0x80 0x5A None, "GET TRANSACTION PROVE";
    GET_BALANCE = 0x80 0x5C None, "GET BALANCE";
    CHANGE_PIN = 0x80 0x5E Some(0x01), "CHANGE PIN";
    RELOAD_PIN = 0x80 0x5E Some(0x00), "RELOAD PIN";
    UPDATE_CAPP_DATA_CACHE = 0x80 0xDC None, "UPDATE CAPP DATA CACHE";
    EXTERNAL_AUTHENTICATE = 0x00 0x82 None, "EXTERNAL AUTHENTICATE";
    INTERNAL_AUTHENTICATE = 0x00 0x88 None, "INTERNAL AUTHENTICATE";
    READ_BINARY_SECURED = 0x04 0xB0 None, "READ BINARY";
    READ_RECORD_SECURED = 0x04 0xB2 None, "READ RECORD";
    UPDATE_BINARY_SECURED = 0x04 0xD6 None, "UPDATE BINARY";
    UPDATE_RECORD_SECURED = 0x04 0xDC None, "UPDATE RECORD";
    APPEND_RECORD_SECURED = 0x04 0xE2 None, "APPEND RECORD";
    GET_ALGORITHM = 0x80 0xCD None, "GET ALGORITHM";
    CHANGE_ALGORITHM = 0x84 0xCD None, "CHANGE ALGORITHM";
    INIT_SAM_FOR_PURCHASE = 0x80 0x70 None, "INIT SAM FOR PURCHASE";
    CREDIT_SAM_FOR_PURCHASE = 0x80 0x72 None, "CREDIT SAM FOR PURCHASE";
    INIT_SAM_FOR_GREY_LOCK = 0xE0 0x40 None, "INIT SAM FOR GREY LOCK";
    CERTIFY_GREY_LOCK = 0xE0 0x42 None, "VERIFY MAC2 OF GREY LOCK";
    CALCULATE_GMAC = 0xE0 0x44 None, "CALCULATE GMAC";
    INIT_DES = 0x80 0x1A None, "INIT DES";
    DES_CALCULATION = 0x80 0xFA None, "DES CALCULATION";
    WRITE_KEY_SECURED = 0x84 0xD4 None, "WRITE KEY";
    WRITE_KEY = 0x80 0xD4 None, "WRITE KEY";
}

/// The name of a purse or PSAM command.
#[must_use]
pub fn name(cla: u8, ins: u8, p1: u8) -> Option<&'static str> {
    // Secured file commands come with either class.
    let cla = if cla == 0x84 && matches!(ins, 0xB0 | 0xB2 | 0xD6 | 0xDC | 0xE2) { 0x04 } else { cla };
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
