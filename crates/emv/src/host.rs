//! The issuer side: authorisation, scripts, certificates and personalisation data.
//!
//! * [`authorisation`]: one online transaction, sans-IO: check the ARQC, decide, answer, send scripts.
//! * [`keys`]: [`IssuerKeys`], the operations an HSM or [`SoftIssuerKeys`] does; engines never hold a key.
//! * [`certificates`]: making issuer and card certificates, with a seeded test PKI.
//! * [`personalisation`]: a whole bank card of a product as data groupings; [`card_data`]: any PBOC card's.

pub mod authorisation;
pub mod card_data;
pub mod certificates;
pub mod keys;
pub mod personalisation;

pub use authorisation::Authorisation;
pub use card_data::CardData;
pub use keys::{IssuerKeys, SoftIssuerKeys};
pub use personalisation::CardProfile;
