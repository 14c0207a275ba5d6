//! What is printed of bytes that may be secret: how many there are.

use core::fmt;

/// Any bytes.
pub(super) struct Hidden<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// A command, whose header tells what it is.
pub(super) struct HiddenData<'a>(pub(super) &'a [u8]);

impl fmt::Debug for HiddenData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02X}")?;
        }
        write!(f, " ({} bytes)", self.0.len())
    }
}
