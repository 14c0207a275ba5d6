//! The payment wristband put together: secure element, TSM session, phone relay and annotated trace.
//!
//! Where is what:
//! - [`element`]: the card manager, payment environment, bank card and transit card on one element
//! - [`tsm`]: a TSM's visit: a plan of jobs, carried out through a phone
//! - [`relay`]: what phone and band say to each other over the link
//! - [`sample`]: an issued band with published keys, for tests and readers under development
//! - [`trace`]: what passes between a reader and a card, said in words
#![no_std]
#![forbid(unsafe_code)]

pub mod element;
pub mod relay;
pub mod sample;
pub mod trace;
pub mod tsm;
