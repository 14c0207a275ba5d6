//! The issuer side: authorisation, scripts, certificates and personalisation data.
//!
//! * [`authorisation`]: one online transaction, sans-IO: check the ARQC, decide, answer, send scripts.
//! * [`keys`]: [`IssuerKeys`], the operations an HSM or [`SoftIssuerKeys`] does; engines never hold a key.
//! * [`certificates`]: making issuer and card certificates, with a seeded test PKI.
//! * [`personalisation`]: the data groupings of a bank card.

pub mod authorisation;
pub mod certificates;
pub mod keys;
pub mod personalisation;

pub use authorisation::Authorisation;
pub use keys::{IssuerKeys, SoftIssuerKeys};
pub use personalisation::CardProfile;
