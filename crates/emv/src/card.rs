//! The card side: the contactless directory (PPSE) and the qPBOC payment application.
//!
//! * [`ppse`]: `2PAY.SYS.DDF01`, an encoding of the element's directory.
//! * [`qpboc`]: the payment application.

pub mod ppse;
pub mod qpboc;

pub use ppse::Ppse;
pub use qpboc::Qpboc;
