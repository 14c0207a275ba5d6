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
pub use context::{Context, DateTime, Interface, PUT_MAX, Protection};
pub use directory::{Directory, Entry, StaticDirectory};
pub use element::{CHANNELS, Element, Environment, Job, MAX_RESPONSE, MIN_SCRATCH, Options, Turn};
pub use huiwan_crypto::Random;
pub use journal::Journal;
pub use memory::{InstanceId, Memory, MemoryError, ObjectId};
pub use module::{Action, Compute, Forward, Module, ModuleId};
pub use ram_flash::{Cut, RamFlash, RamFlashError};
pub use response::ResponseWriter;
pub use secure_channel::SecureChannel;
