//! The host side: secure channels, a key store behind a trait, and a manager that carries out whole tasks on a card.
//!
//! - [`secure_channel`]: handshake and session, for those who hold the keys themselves
//! - [`key_store`]: every secret operation as a request and an answer, so that an HSM fits
//! - [`manager`]: open, list, load, install, extradite, personalise, put keys, change states, delete
//! - [`Inventory`]: what is on a card, and what goes with what
//! - [`script`], [`player`]: sessions written ahead of time with the keys, and played later without
//! - [`tsm_job`]: jobs that outlive links, visits and workers
//! - [`crs`]: the wearer's choice of cards over the contactless registry service
//! - [`fault`]: what went wrong, in words

mod content;
pub mod crs;
mod delete;
mod extradite;
pub mod fault;
mod hidden;
mod install;
mod inventory;
pub mod key_store;
mod list;
mod load;
pub mod manager;
mod open;
mod personalise;
pub mod player;
mod put_keys;
pub mod script;
pub mod secure_channel;
mod set_status;
pub mod tsm_job;

pub use content::Delegation;
pub use delete::{RelatedDeletion, Removal};
pub use extradite::{Extradite, RegistryUpdate};
pub use fault::{Fault, FaultKind, Stage};
pub use install::Install;
pub use inventory::{Inventory, InventoryError, PlanError};
pub use key_store::{KeyAnswer, KeyError, KeyHandle, KeyRef, KeyRequest, KeyStore, SessionId, SoftKeyStore};
pub use load::Load;
pub use manager::{Input, Job, Manager, Misuse, OpenChannel, Outcome, Step};
pub use open::{HostIdentity, OpenImplicit, OpenScp11};
pub use personalise::{Coding, Grouping, Packing, Personalise, SecurePremises, Zone, ZonePin, groupings};
pub use player::Player;
pub use put_keys::PutKeys;
pub use set_status::{Irrevocable, Transition};
