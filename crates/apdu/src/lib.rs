//! ISO 7816-4 commands, responses, status words, chaining and ATR, without alloc.
//!
//! Where is what:
//! - [`Command`], [`Ne`], [`Case`], [`ApduError`]: commands of the seven ISO cases, short and extended
//! - [`Response`]: response data and status word
//! - [`Sw`]: status words, one row each
//! - [`Ins`]: instructions, one row each
//! - [`Class`], [`SecureMessaging`]: the class byte, logical channels 0 to 19
//! - [`Aid`], [`AidLength`]: application identifiers and file names
//! - [`chaining`]: long commands in several pieces, split and joined
//! - [`exchange`]: one command carried through 61xx, 6Cxx and command chaining
//! - [`atr`]: answer to reset, parsed and built
//!
//! ```
//! use huiwan_apdu::{Command, Ins, Ne, Response, Sw};
//!
//! let select = Command::new(0x00, Ins::SELECT.value(), 0x04, 0x00)
//!     .with_data(&[0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01])
//!     .with_ne(Ne::MAX_SHORT);
//! let mut wire = [0; 16];
//! let sent = select.write(&mut wire)?;
//! assert_eq!(sent, [0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x00]);
//! assert_eq!(Command::parse(sent)?, select);
//!
//! let answer = Response::parse(&[0x6A, 0x82])?;
//! assert_eq!(answer.sw(), Sw::FILE_NOT_FOUND);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod aid;
mod class;
mod command;
mod ins;
mod ne;
mod response;
mod sw;

pub mod atr;
pub mod chaining;
pub mod exchange;

pub use aid::{Aid, AidLength};
pub use class::{Class, InvalidClass, SecureMessaging};
pub use command::{ApduError, Case, Command};
pub use ins::Ins;
pub use ne::Ne;
pub use response::Response;
pub use sw::Sw;
