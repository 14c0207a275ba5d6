//! What a smart-card application stands on: modules, selection, channels, files and atomic memory.
//!
//! # Where is what
//! - [`Module`]: the code of an application; [`Action`], [`Forward`], [`Compute`]: what it wants done
//! - [`Context`]: what every call of a module is given; [`ResponseWriter`]: where its answer goes
//! - [`Element`]: the dispatcher: selection, logical channels, GET RESPONSE, chaining, forwards, private-key jobs
//! - [`Directory`]: which instances there are; [`StaticDirectory`]: a fixed list
//! - [`Memory`], [`Batch`]: durable objects, written whole or not at all
//! - [`journal`]: [`Journal`], the memory over NOR flash; [`RamFlash`]: flash in RAM whose power can be cut anywhere
//! - [`files`]: ISO 7816-4 elementary files over objects; [`pin`]: a PIN with its tries
//! - [`SecureChannel`]: the secure channel as an application sees it
//!
//! # A card in a page
//! A module counts up; the element around it survives every loss of power before or after a count, never in between.
//! ```
//! use huiwan_apdu::{Aid, Command, Sw};
//! use huiwan_card::*;
//!
//! struct Counter;
//!
//! impl Module for Counter {
//!     fn install(&self, cx: &mut Context<'_>, _parameters: &[u8]) -> Result<(), Sw> {
//!         cx.put(1, &[0])
//!     }
//!     fn select(&self, _cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
//!         reply.push(b"counter").err().unwrap_or(Sw::OK)
//!     }
//!     fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
//!         let mut count = || -> Result<(), Sw> {
//!             let [n] = if cx.exists(1)? { cx.read_array(1)? } else { [0] };
//!             let n = n.checked_add(1).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
//!             cx.put(1, &[n])?;
//!             reply.push(&[n])
//!         };
//!         Action::Reply(match command.ins() {
//!             0x10 => count().err().unwrap_or(Sw::OK),
//!             _ => Sw::INS_NOT_SUPPORTED,
//!         })
//!     }
//!     fn personalise(&self, _cx: &mut Context<'_>, _dgi: u16, _data: &[u8]) -> Result<(), Sw> {
//!         Err(Sw::REFERENCED_DATA_NOT_FOUND)
//!     }
//! }
//!
//! let entries = [Entry {
//!     aid: Aid::new(b"\xF0COUNT")?,
//!     instance: InstanceId(1),
//!     module: ModuleId(0),
//!     domain: InstanceId::ISSUER,
//!     selectable: true,
//!     contactless: true,
//!     label: Default::default(),
//!     priority: None,
//! }];
//! let modules: [&dyn Module; 1] = [&Counter];
//! let memory = Journal::<_, 32>::format(RamFlash::<65536>::new())?;
//! // Four volatile slots of 64 bytes, 2048 bytes of scratch.
//! let mut element = Element::<_, _, 4, 64, 2048>::new(&modules, StaticDirectory(&entries), memory);
//!
//! let mut random = huiwan_testkit::rng::Seeded::new(1);
//! let mut env = Environment { random: &mut random, now: None };
//! element.power_on(Interface::Contactless, &mut env);
//! assert_eq!(element.exchange(b"\x00\xA4\x04\x00\x06\xF0COUNT\x00", &mut env), b"counter\x90\x00");
//! assert_eq!(element.exchange(&[0x80, 0x10, 0, 0, 0], &mut env), [1, 0x90, 0x00]);
//!
//! // Power is cut in the middle of the next count.
//! element.memory_mut().flash_mut().cut_after(1, Cut::Random, 7);
//! assert_eq!(element.exchange(&[0x80, 0x10, 0, 0, 0], &mut env), [0x65, 0x81]);
//! let mut flash = element.into_memory().into_flash();
//! flash.power_on();
//! let memory = Journal::<_, 32>::mount(flash)?;
//! let mut element = Element::<_, _, 4, 64, 2048>::new(&modules, StaticDirectory(&entries), memory);
//! element.power_on(Interface::Contactless, &mut env);
//! assert_eq!(element.exchange(&[0x80, 0x10, 0, 0, 0], &mut env), [2, 0x90, 0x00]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod batch;
mod bytes;
mod context;
mod directory;
mod element;
pub mod files;
pub mod journal;
mod memory;
mod module;
pub mod pin;
mod ram_flash;
mod response;
mod secure_channel;

pub use batch::{Batch, WRITE_OVERHEAD, Write, Writes};
pub use context::{Context, DateTime, Interface, NOTICES, Notice, Outbox, PUT_MAX, Protection};
pub use directory::{Directory, Entry, StaticDirectory};
pub use element::{
    ANSWER_LEN, CHANNELS, Element, Environment, Job, MAX_RESPONSE, MIN_SCRATCH, Options, Turn,
};
pub use huiwan_crypto::Random;
pub use journal::Journal;
pub use memory::{InstanceId, Memory, MemoryError, ObjectId};
pub use module::{Action, Compute, Forward, Module, ModuleId};
pub use ram_flash::{Cut, RamFlash, RamFlashError};
pub use response::ResponseWriter;
pub use secure_channel::SecureChannel;
