//! PBOC and EMV payment: the qPBOC (quickPass) card application, the terminal kernel and the issuer host.
//!
//! # Where is what
//! * What every side computes: [`cryptogram`] (keys, ARQC/TC/AAC, ARPC, issuer application data),
//!   [`certificates`] (offline data authentication), [`secure_messaging`] (issuer script MAC),
//!   [`qualifiers`] (TTQ, CTQ), [`personalisation`] (the DGI map the card and the data preparation share).
//! * The card: [`card`] (PPSE, qPBOC).
//! * The terminal: [`terminal`] (entry point, kernel).
//! * The issuer: [`host`] (authorisation, scripts, certificate making, card personalisation).
//! * What a data object is called and means: [`data`], [`dictionary`].
//!
//! A debit card is prepared, put on the element, and pays at a terminal that authenticates it; then the issuer is asked:
//!
//! ```text
//! host::personalisation::prepare ─▶ card::Qpboc ◀─ APDUs ─▶ terminal::EntryPoint ─ field 55 ─▶ host::Authorisation
//! ```
//!
//! The issuer's check of what a card sent, in short:
//!
//! ```
//! use huiwan_emv::cryptogram::{AcData, Cryptogram, Cvn, Cvr, TransactionData};
//! use huiwan_emv::cryptogram::derivation::MasterKeyOption;
//! use huiwan_emv::host::keys::{CardReference, CryptogramCheck, IssuerKeys, SoftIssuerKeys};
//! use huiwan_emv::pan::Pan;
//!
//! let mut keys = SoftIssuerKeys::new(1, MasterKeyOption::A, &[0x11; 16], &[0x22; 16], &[0x44; 16]);
//! let card = CardReference { pan: Pan::from_digits("6228000100001117")?, sequence: 1, key_index: 1 };
//! let data = AcData {
//!     transaction: TransactionData { amount: [0, 0, 0, 0, 0x12, 0], ..TransactionData::default() },
//!     aip: [0x3C, 0x00],
//!     atc: [0, 1],
//!     cvr: Cvr::first(Cryptogram::Arqc),
//! };
//! let check = CryptogramCheck { card, version: Cvn::V01, data, cryptogram: *b"a guess!", idd: None };
//! assert!(!keys.check(&check).is_ok_and(|verdict| verdict.cryptogram));
//! # Ok::<(), huiwan_emv::pan::NotAPan>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod card;
pub mod certificates;
pub mod cryptogram;
pub mod data;
pub mod dictionary;
pub mod host;
pub mod pan;
pub mod personalisation;
pub mod qualifiers;
pub mod secure_messaging;
pub mod terminal;
