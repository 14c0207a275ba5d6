//! What the PSAM application is personalised with: our own map of data groupings, since how a PSAM is issued is its
//! maker's secret.
//!
//! | DGI | content |
//! |---|---|
//! | `0001` | the number the first transaction gets, 4 bytes; taken once |
//! | `0015` | file 0015 ([`SamInfo`](super::SamInfo)), 14 bytes; optional |
//! | `0016` | file 0016, the terminal number, 6 bytes |
//! | `0017` | file 0017 ([`KeyFile`](super::KeyFile)), 25 bytes |
//! | `90uu` | a master key of usage `uu` (00 purchase, 01 authentication code, else as INIT DES names it): version 1 ‖ algorithm 1 ‖ flags 1 ([`ENCRYPTS`]) ‖ key 16; one grouping for each version and algorithm, [`MAX_KEYS`] in all |
//!
//! The application can be selected once `0001`, `0016` and `0017` are there.

use huiwan_crypto::Secret;

use super::UsageKey;
use crate::pack::Pack;

/// The number the first transaction gets.
pub const DGI_NEXT_SEQ: u16 = 0x0001;
/// File 0015.
pub const DGI_INFO: u16 = 0x0015;
/// File 0016.
pub const DGI_TERMINAL: u16 = 0x0016;
/// File 0017.
pub const DGI_KEY_FILE: u16 = 0x0017;
/// The most keys.
pub const MAX_KEYS: u8 = 16;
/// Key flag: DES CALCULATION may encrypt with it (80 FA 00). Never for a purchase, TAC or MAC key: an encrypted block is
/// as good as a session key.
pub const ENCRYPTS: u8 = 0x01;

/// Usage of the purchase keys. The code is ours.
pub const PURCHASE: u8 = super::engine::PURCHASE;

/// A master key of this usage.
#[must_use]
pub const fn dgi_key(usage: u8) -> u16 {
    u16::from_be_bytes([0x90, usage])
}

/// Length of a key's value, bytes.
pub const KEY_LEN: usize = 19;

/// The value of [`dgi_key`]. It holds the key in clear: it goes through the issuer's secure channel and nowhere else.
#[must_use]
pub fn key_value(key: &UsageKey, flags: u8) -> Secret<KEY_LEN> {
    let UsageKey { key, .. } = key;
    Secret::new(Pack::new().put([key.version, key.algorithm, flags]).put(*key.value.expose()).finish())
}
