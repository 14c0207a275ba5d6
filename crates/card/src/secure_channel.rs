//! The secure channel as an application sees it; `huiwan-gp` implements it.

use huiwan_apdu::{Command, Sw};

use crate::context::Protection;
use crate::response::ResponseWriter;

/// The card side of a secure channel session.
pub trait SecureChannel {
    /// What the session protects now.
    fn protection(&self) -> Protection;

    /// Checks and decrypts `command` and returns the plain one, built in `out`.
    ///
    /// # Errors
    /// The status word of a command whose protection is wrong or missing; the session is dead then if its protocol says so.
    fn unwrap<'o>(&mut self, command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw>;

    /// Encrypts and signs the answer in place, for the status word `sw`.
    ///
    /// # Errors
    /// The status word to answer instead when the protected answer does not fit.
    fn wrap(&mut self, reply: &mut ResponseWriter<'_>, sw: Sw) -> Result<(), Sw>;
}
