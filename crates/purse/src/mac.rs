//! MAC1, MAC2 and TAC: what each one covers, once for all sides.
//!
//! Every message is a struct with its fields in the order they are authenticated; [`Message::mac`] signs it with a
//! session or TAC key. Single DES (or SM4) CBC-MAC with IV zero, padding `80 00…` always, leftmost four bytes.
//! [sheet 2.4, 2.5: implementations agree; load and purchase MACs confirmed by published values]

use huiwan_crypto::{CryptoError, SuiteKey, ct_eq};

use crate::date::Stamp;
use crate::pack::{Pack, u24};
use crate::tti::Tti;

/// A MAC or TAC on the wire: the leftmost four bytes of the block.
pub type Mac = [u8; 4];

/// Number of a terminal (of its PSAM), six bytes.
pub type TerminalNo = [u8; 6];

/// Something a MAC is computed over.
pub trait Message {
    /// The message as bytes, an array.
    type Bytes: AsRef<[u8]>;

    /// The fields in order.
    fn to_bytes(&self) -> Self::Bytes;

    /// The MAC of the message under `key`.
    ///
    /// # Errors
    /// Only if the key cannot compute MACs of this kind.
    fn mac<K: SuiteKey>(&self, key: &K) -> Result<Mac, CryptoError> {
        sign(key, self.to_bytes().as_ref())
    }

    /// Compares in constant time.
    ///
    /// # Errors
    /// `CryptoError` if the MAC is not the one of this message.
    fn verify<K: SuiteKey>(&self, key: &K, mac: &Mac) -> Result<(), CryptoError> {
        if ct_eq(&self.mac(key)?, mac) { Ok(()) } else { Err(CryptoError) }
    }
}

/// The transaction MAC over raw bytes.
///
/// # Errors
/// Only if the key cannot compute MACs of this kind.
pub fn sign<K: SuiteKey>(key: &K, message: &[u8]) -> Result<Mac, CryptoError> {
    secure(key, &[], &[message])
}

/// The MAC of a secured command: `iv` is the card's challenge, filled up with zeros to a block; the header's Lc
/// includes the four MAC bytes. With a 16-byte 3DES key this is ISO 9797-1 algorithm 3. [sheet 2.5]
///
/// # Errors
/// If the challenge is longer than a block.
pub fn secure<K: SuiteKey>(key: &K, challenge: &[u8], parts: &[&[u8]]) -> Result<Mac, CryptoError> {
    let mut iv = [0; 16];
    let iv = iv.get_mut(..key.block_len()).ok_or(CryptoError)?;
    iv.get_mut(..challenge.len()).ok_or(CryptoError)?.copy_from_slice(challenge);
    let [a, b, c, d, ..] = key.mac(iv, parts)?;
    Ok([a, b, c, d])
}

/// MAC1 of a load or unload, card to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadMac1 {
    /// Balance before, fen.
    pub balance: u32,
    /// Amount, fen.
    pub amount: u32,
    /// 01, 02 or 03; 95 in the messages of an online grey unlock.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
}

impl Message for LoadMac1 {
    type Bytes = [u8; 15];
    fn to_bytes(&self) -> [u8; 15] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .finish()
    }
}

/// MAC2 of a load, unload or online grey unlock, host to card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadMac2 {
    /// Amount, fen.
    pub amount: u32,
    /// 01, 02 or 03; 95 in the messages of an online grey unlock.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The host's date and time.
    pub stamp: Stamp,
}

impl Message for LoadMac2 {
    type Bytes = [u8; 18];
    fn to_bytes(&self) -> [u8; 18] {
        Pack::new()
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// TAC of a load; under the session key, MAC3 of an unload or online grey unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadTac {
    /// Balance after, fen.
    pub balance: u32,
    /// Online counter before it was incremented.
    pub online_seq: u16,
    /// Amount, fen.
    pub amount: u32,
    /// 01, 02 or 03; 95 in the messages of an online grey unlock.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The host's date and time.
    pub stamp: Stamp,
}

impl Message for LoadTac {
    type Bytes = [u8; 24];
    fn to_bytes(&self) -> [u8; 24] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// MAC1 of a purchase, cash withdrawal or composite purchase, terminal to card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseMac1 {
    /// Amount, fen.
    pub amount: u32,
    /// 04, 05, 06 or 09; 93 in the TAC of a debit for unlock.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The terminal's date and time.
    pub stamp: Stamp,
}

impl Message for PurchaseMac1 {
    type Bytes = [u8; 18];
    fn to_bytes(&self) -> [u8; 18] {
        Pack::new()
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// MAC2 of a purchase, card to terminal: the amount alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseMac2 {
    /// Amount, fen.
    pub amount: u32,
}

impl Message for PurchaseMac2 {
    type Bytes = [u8; 4];
    fn to_bytes(&self) -> [u8; 4] {
        self.amount.to_be_bytes()
    }
}

/// TAC of a purchase, cash withdrawal, composite purchase or debit for unlock. It covers neither balance, card number nor offline
/// counter: settlement carries and checks those beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurchaseTac {
    /// Amount, fen.
    pub amount: u32,
    /// 04, 05, 06 or 09; 93 in the TAC of a debit for unlock.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// The terminal's date and time.
    pub stamp: Stamp,
}

impl Message for PurchaseTac {
    type Bytes = [u8; 22];
    fn to_bytes(&self) -> [u8; 22] {
        Pack::new()
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.terminal_seq.to_be_bytes())
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// MAC1 of a 建设部 purchase after the card's authentication code was read (80 CA). \[S:HB\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthCodePurchaseMac1 {
    /// Amount, fen.
    pub amount: u32,
    /// 06 or 09.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// Date and time.
    pub stamp: Stamp,
    /// The card's authentication code.
    pub auth_code: [u8; 9],
}

impl Message for AuthCodePurchaseMac1 {
    type Bytes = [u8; 27];
    fn to_bytes(&self) -> [u8; 27] {
        Pack::new()
            .put(self.amount.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .put(self.auth_code)
            .finish()
    }
}

/// MAC1 of an overdraft limit update, card to host. \[S:HB\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitMac1 {
    /// Balance, fen.
    pub balance: u32,
    /// Limit until now, fen, three bytes on the wire.
    pub old_limit: u32,
    /// 07.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
}

impl Message for LimitMac1 {
    type Bytes = [u8; 14];
    fn to_bytes(&self) -> [u8; 14] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(u24(self.old_limit))
            .put([self.tti.0])
            .put(self.terminal)
            .finish()
    }
}

/// MAC2 of an overdraft limit update, host to card. \[S:HB\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitMac2 {
    /// New limit, fen, three bytes on the wire.
    pub new_limit: u32,
    /// 07.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// Date and time.
    pub stamp: Stamp,
}

impl Message for LimitMac2 {
    type Bytes = [u8; 17];
    fn to_bytes(&self) -> [u8; 17] {
        Pack::new()
            .put(u24(self.new_limit))
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// TAC of an overdraft limit update. \[S:HB\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitTac {
    /// Balance after, fen.
    pub balance: u32,
    /// Online counter before it was incremented.
    pub online_seq: u16,
    /// New limit, fen, three bytes on the wire.
    pub new_limit: u32,
    /// 07.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// Date and time.
    pub stamp: Stamp,
}

impl Message for LimitTac {
    type Bytes = [u8; 23];
    fn to_bytes(&self) -> [u8; 23] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.online_seq.to_be_bytes())
            .put(u24(self.new_limit))
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// MAC1 of a grey lock, terminal to card. \[S:LOH\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLockMac1 {
    /// 91.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// Date and time.
    pub stamp: Stamp,
}

impl Message for GreyLockMac1 {
    type Bytes = [u8; 14];
    fn to_bytes(&self) -> [u8; 14] {
        Pack::new().put([self.tti.0]).put(self.terminal).put(self.stamp.to_bytes()).finish()
    }
}

/// MAC2 of a grey lock, card to terminal: the balance in the place of the amount. \[M\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLockMac2 {
    /// Balance, fen.
    pub balance: u32,
}

impl Message for GreyLockMac2 {
    type Bytes = [u8; 4];
    fn to_bytes(&self) -> [u8; 4] {
        Pack::new().put(self.balance.to_be_bytes()).finish()
    }
}

/// GTAC of a grey lock, under the TAC key. \[M\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyLockTac {
    /// Balance, fen.
    pub balance: u32,
    /// Offline counter before it was incremented.
    pub offline_seq: u16,
    /// 91.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
    /// The terminal's transaction number.
    pub terminal_seq: u32,
    /// Date and time.
    pub stamp: Stamp,
}

impl Message for GreyLockTac {
    type Bytes = [u8; 24];
    fn to_bytes(&self) -> [u8; 24] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .put(self.terminal_seq.to_be_bytes())
            .put(self.stamp.to_bytes())
            .finish()
    }
}

/// GMAC of a debit for unlock, terminal to card, under the session key of the grey lock. \[M\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnlockMac {
    /// Amount, fen.
    pub amount: u32,
}

impl Message for UnlockMac {
    type Bytes = [u8; 4];
    fn to_bytes(&self) -> [u8; 4] {
        Pack::new().put(self.amount.to_be_bytes()).finish()
    }
}

/// MAC1 of an online grey unlock, card to host. \[S:LOH\]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GreyUnlockMac1 {
    /// Balance, fen.
    pub balance: u32,
    /// Offline counter.
    pub offline_seq: u16,
    /// 95.
    pub tti: Tti,
    /// The terminal.
    pub terminal: TerminalNo,
}

impl Message for GreyUnlockMac1 {
    type Bytes = [u8; 13];
    fn to_bytes(&self) -> [u8; 13] {
        Pack::new()
            .put(self.balance.to_be_bytes())
            .put(self.offline_seq.to_be_bytes())
            .put([self.tti.0])
            .put(self.terminal)
            .finish()
    }
}
