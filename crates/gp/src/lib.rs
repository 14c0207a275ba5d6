//! GlobalPlatform secure channels and card management, card and host.
//!
//! # Where is what
//! - [`secure_channel`]: what the protocols share; [`scp02`], [`scp03`]: what both ends of one compute: session keys, cryptograms, C-MAC,
//!   C-ENC, R-MAC, R-ENC, challenge; [`scp01`]: the same for the host of a legacy card;
//!   [`scp11`]: certificates, key agreement and receipt before SCP03 messaging
//! - [`cap`]: CAP files and the load files made of them
//! - [`card`]: the issuer security domain as a card manager, its registry, the card's end of the secure channel
//! - [`host`]: the host's end of the secure channel, keys behind a trait, a manager for whole tasks
//! - one module per command for what both sides read and write: [`initialize_update`], [`get_data`], [`get_status`], [`install`],
//!   [`store_data`], [`put_key`], [`load`], [`set_status`], [`delete`]
//! - [`crs`]: the contactless registry service, its commands and answers
//! - [`scp80`]: secured packets
//! - [`diversification`]: a card's keys from a master key
//! - [`life_cycle`], [`privileges`]: states and rights in the registry; [`token`]: signatures of delegated management;
//!   [`capability`]: what a card can do
//! - [`recognition`], [`key_information`], [`cplc`], [`resources`]: what a card says about itself
//! - [`dictionary`]: names for traces
//!
//! # A command through a secure channel, host side
//! ```
//! use huiwan_apdu::{Command, Sw};
//! use huiwan_gp::host::secure_channel::AwaitCard;
//! use huiwan_gp::initialize_update::Answer;
//! use huiwan_gp::scp03::{Level, StaticKeys};
//! # fn hex(text: &str) -> Vec<u8> {
//! #     (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
//! # }
//! # let keys = StaticKeys::new(
//! #     &hex("F995D0A069335C7DF42E590317FFEA6D"),
//! #     &hex("58563362EC5A4541ABCD32B34B1EAE7D"),
//! #     &hex("0A02A6D687406DCFA09DC70B3EDB7E38"),
//! # )?;
//! # let answer = hex("00000000000000000000300370C40932A6FEFEAEB2E127185170F45FCA000015");
//! // The card answered INITIALIZE UPDATE; only a card with our keys gets further.
//! let card = AwaitCard::new([0xB2, 0xBD, 0xE1, 0xA2, 0xDC, 0x66, 0xBD, 0x56]);
//! let host = card.verify_card(0x80, &Answer::parse(&answer)?, &keys, Level::CMacCEnc)?;
//! assert_eq!(host.command()[..5], [0x84, 0x82, 0x03, 0x00, 0x10]);
//! let mut session = host.accepted(Sw::OK)?;
//!
//! let delete = hex("80E400800A4F08A00100015141434C");
//! let mut wire = [0; 64];
//! let sent = session.wrap(&Command::parse(&delete)?, &mut wire)?;
//! assert_eq!(sent, hex("84E400801829F06AEC3180B3EFE91FF662310B945DE0D5FE66AD67A5B6"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod cap;
pub mod capability;
pub mod card;
pub mod cplc;
pub mod crs;
pub mod delete;
pub mod dictionary;
pub mod diversification;
pub mod get_data;
pub mod get_status;
pub mod host;
pub mod initialize_update;
pub mod install;
pub mod key_information;
pub mod life_cycle;
pub mod load;
pub mod privileges;
pub mod put_key;
pub mod recognition;
pub mod resources;
pub mod scp01;
pub mod scp02;
pub mod scp03;
pub mod scp11;
pub mod scp80;
pub mod secure_channel;
pub mod set_status;
pub mod store_data;
pub mod token;
