//! Bytes as upper-case hexadecimal text.

use core::fmt;

/// Displays bytes as upper-case hexadecimal digits, without separators.
///
/// ```
/// use huiwan_tlv::hex::Hex;
///
/// assert_eq!(Hex(&[0xA0, 0x00, 0x0F]).to_string(), "A0000F");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({self})")
    }
}
