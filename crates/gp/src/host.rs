//! The host side: secure channels, a key store behind a trait, and a manager that carries out whole tasks on a card.

pub mod key_store;
pub mod secure_channel;

pub use key_store::{KeyAnswer, KeyError, KeyRef, KeyRequest, KeyStore, SessionId, SoftKeyStore};
