//! Data objects: what a tag is called, how its value is written, and what its bits mean.
//!
//! * [`tags`]: the tag table, one row for each meaning of a tag.
//! * [`bits`]: TVR, TSI, AIP, AUC, CVR and the other bit fields, as types with named bits and as text.
//! * [`cvm`]: cardholder verification methods, lists and results. [`iad`]: the PBOC issuer application data.
//! * [`amount`], [`date`]: amounts, currencies and dates in their wire formats.

pub mod amount;
pub mod bits;
pub mod cvm;
pub mod date;
pub mod iad;
pub mod tags;

pub use bits::describe_bits;
