//! The PBOC electronic purse and JT/T 978 transit card: card, terminal, PSAM and host.
//!
//! # Where is what
//! - The card application: [`card::Purse`], a [`huiwan_card::Module`].
//! - The security module in the terminal: [`psam`].
//! - All sides share: [`keys`] (diversification, session keys), [`mac`] (what MAC1, MAC2 and TAC cover), [`command`]
//!   (headers and data fields), [`tti`], [`status`], [`transit`] (files 0015–001E), [`transaction`],
//!   [`personalisation`] (the DGI map), [`profile`] (what differs between schemes), [`date`], [`dictionary`].
#![no_std]
#![forbid(unsafe_code)]

pub mod card;
pub mod command;
pub mod date;
pub mod dictionary;
pub mod host;
pub mod keys;
pub mod mac;
mod pack;
pub mod personalisation;
pub mod profile;
pub mod psam;
pub mod status;
pub mod terminal;
pub mod transaction;
pub mod transit;
pub mod tti;
