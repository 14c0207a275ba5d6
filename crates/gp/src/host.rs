//! The host side: secure channels, a key store behind a trait, and a manager that carries out whole tasks on a card.
//!
//! - [`secure_channel`]: handshake and session, for those who hold the keys themselves
//! - [`key_store`]: every secret operation as a request and an answer, so that an HSM fits
//! - [`manager`]: open, list, install, personalise, put keys, change states, delete
//! - [`script`], [`player`]: sessions written ahead of time with the keys, and played later without
//! - [`tsm_job`]: jobs that outlive links, visits and workers
//! - [`crs`]: the wearer's choice of cards over the contactless registry service
//! - [`fault`]: what went wrong, in words

pub mod crs;
mod delete;
pub mod fault;
mod install;
pub mod key_store;
mod list;
pub mod manager;
mod open;
mod personalise;
pub mod player;
mod put_keys;
pub mod script;
pub mod secure_channel;
mod set_status;
pub mod tsm_job;

pub use fault::{Fault, FaultKind, Stage};
pub use install::Install;
pub use key_store::{KeyAnswer, KeyError, KeyHandle, KeyRef, KeyRequest, KeyStore, SessionId, SoftKeyStore};
pub use manager::{Input, Job, Manager, Misuse, OpenChannel, Outcome, Step};
pub use open::{HostIdentity, OpenImplicit, OpenScp11};
pub use personalise::{Coding, Grouping, Packing, Personalise, SecurePremises, groupings};
pub use player::Player;
pub use put_keys::PutKeys;
pub use set_status::{Irrevocable, Transition};
