//! The payment wristband put together: secure element, TSM session, phone relay and annotated trace.
//!
//! Where is what:
//! - [`element`]: the card manager, payment environment, bank card and transit card on one element
//! - [`tsm`]: a TSM's visit: a plan of jobs, carried out through a phone
//! - [`relay`]: what phone and band say to each other over the link
//! - [`sample`]: an issued band with published keys, for tests and readers under development
//! - [`trace`]: what passes between a reader and a card, said in words
//!
//! A tap at a payment terminal, in words:
//!
//! ```
//! use huiwan::element::{CARD, Modules, SecureElement};
//! use huiwan::{sample, trace::Annotator};
//! use huiwan_card::{Environment, Interface, Journal, RamFlash};
//! use huiwan_gp::card::{Factory, Registry, format};
//!
//! // A blank element, as the factory leaves it, and a bank and a transit card issued onto it.
//! let mut memory = Journal::<_, 256>::format(RamFlash::<65_536>::new())?;
//! format(&mut memory, &Factory::TEST)?;
//! let modules = Modules::default();
//! let list = modules.list();
//! let mut band = SecureElement::new(&list, Registry::new(&CARD), memory);
//! # let mut random = huiwan_testkit::rng::Seeded::new(1);
//! let mut environment = Environment { random: &mut random, now: None };
//! sample::issue(&mut band, &mut environment)?;
//!
//! // The first thing a terminal asks.
//! let select = [
//!     0x00, 0xA4, 0x04, 0x00, 0x0E, 0x32, 0x50, 0x41, 0x59, 0x2E, 0x53, 0x59, 0x53, 0x2E, 0x44, 0x44, 0x46, 0x30, 0x31, 0x00,
//! ];
//! band.power_on(Interface::Contactless, &mut environment);
//! let answer = band.exchange(&select, &mut environment);
//! let told = Annotator::new().exchange(&select, answer).to_string();
//! assert!(told.contains("4F Application Dedicated File (ADF) Name: A000000333010101 = UnionPay debit"), "{told}");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod element;
pub mod relay;
pub mod sample;
pub mod trace;
pub mod tsm;
