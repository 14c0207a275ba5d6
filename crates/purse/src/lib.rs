//! The PBOC electronic purse and JT/T 978 transit card: card, terminal, PSAM and host.
//!
//! # Where is what
//! - The card application: [`card::Purse`], a [`huiwan_card::Module`]; one file per command.
//! - The terminal: [`terminal`]: [`terminal::Tap`] for gates, validators and shops, [`terminal::TopUp`],
//!   [`terminal::Inquiry`], [`terminal::Lock`], [`terminal::Recovery`]; what it checks: [`terminal::policy`]; blocking drivers:
//!   [`terminal::drive`].
//! - The security module in the terminal: [`psam`].
//! - The host: [`host::online`] (load, unload, limit update, grey unlock), [`host::settlement`], [`host::hierarchy`] and
//!   [`host::personalise`] (keys).
//! - All sides share: [`keys`] (diversification, session keys), [`mac`] (what MAC1, MAC2 and TAC cover), [`command`]
//!   (headers and data fields), [`secure_messaging`], [`authentication`], [`account`], [`tti`], [`status`], [`transit`]
//!   (files 0015–001E; 0019 of highway cards), [`transaction`], [`personalisation`] (the DGI map), [`profile`] (what differs
//!   between schemes), [`scheme`] (which one a card follows), [`date`], [`dictionary`].
//!
//! # Example
//! The MAC1 of a published purchase, as PSAM and card both compute it:
//!
//! ```
//! use huiwan_crypto::{Algorithm, International, Suite, SuiteKey};
//! use huiwan_purse::date::Stamp;
//! use huiwan_purse::mac::{Message, PurchaseMac1};
//! use huiwan_purse::{keys, tti::Tti};
//!
//! type Key = <International as Suite>::Key;
//! let dpk = Key::new(Algorithm::Tdes, &0x1122_3344_5566_7788_8877_6655_4433_2211_u128.to_be_bytes()).unwrap();
//! let session = keys::purchase_session(&dpk, [0x11, 0x22, 0x33, 0x44], 0x0000, 0x0000_0001).unwrap();
//! let message = PurchaseMac1 {
//!     amount: 0x1000,
//!     tti: Tti::EP_PURCHASE,
//!     terminal: [0x00, 0x11, 0x22, 0x33, 0x44, 0x55],
//!     stamp: Stamp { date: [0x20, 0x12, 0x02, 0x29], time: [0x13, 0x51, 0x00] },
//! };
//! assert_eq!(message.mac(&session).unwrap(), [0xF1, 0x5C, 0xAB, 0x75]);
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod account;
pub mod authentication;
pub mod card;
pub mod command;
pub mod date;
pub mod dictionary;
pub mod host;
pub mod keys;
pub mod mac;
pub mod online;
mod pack;
pub mod personalisation;
pub mod profile;
pub mod psam;
pub mod scheme;
pub mod secure_messaging;
pub mod status;
pub mod terminal;
pub mod transaction;
pub mod transit;
pub mod tti;
