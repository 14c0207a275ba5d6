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
