//! The primary account number: 8 to 19 decimal digits, as tags 5A and 57 carry it.

use core::fmt;

/// Why bytes are no account number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPan;

impl fmt::Display for NotAPan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("account number is not 8 to 19 decimal digits padded with f")
    }
}
impl core::error::Error for NotAPan {}

/// A primary account number of 8 to 19 digits.
///
/// ```
/// # use huiwan_emv::pan::Pan;
/// let pan = Pan::from_bytes(&[0x62, 0x28, 0x00, 0x01, 0x00, 0x00, 0x1F])?;
/// assert_eq!(pan.len(), 13);
/// assert_eq!(pan.digit(2), Some(2));
/// # Ok::<(), huiwan_emv::pan::NotAPan>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pan {
    /// Two digits a byte, left-justified, padded with F.
    bytes: [u8; 10],
    len: u8,
}

impl Pan {
    /// Reads compressed-numeric bytes (tag 5A): digits left-justified, padded with F nibbles.
    ///
    /// # Errors
    /// [`NotAPan`] for other nibbles, fewer than 8 or more than 19 digits.
    pub fn from_bytes(cn: &[u8]) -> Result<Self, NotAPan> {
        Self::from_nibbles(cn.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]), 0x0F)
    }

    /// Reads the digits before the separator D of track 2 equivalent data (tag 57).
    ///
    /// # Errors
    /// [`NotAPan`] as for [`Pan::from_bytes`], or when there is no separator.
    pub fn from_track2(track2: &[u8]) -> Result<Self, NotAPan> {
        let nibbles = || track2.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let end = nibbles().position(|nibble| nibble == 0x0D).ok_or(NotAPan)?;
        Self::from_nibbles(nibbles().take(end), 0x0F)
    }

    /// Reads ASCII digits.
    ///
    /// # Errors
    /// [`NotAPan`] as for [`Pan::from_bytes`].
    pub fn from_digits(digits: &str) -> Result<Self, NotAPan> {
        Self::from_nibbles(digits.bytes().map(|c| c.wrapping_sub(b'0')), 0xFF)
    }

    fn from_nibbles(nibbles: impl Iterator<Item = u8>, filler: u8) -> Result<Self, NotAPan> {
        let mut pan = Self { bytes: [0xFF; 10], len: 0 };
        let mut padded = false;
        for nibble in nibbles {
            if nibble == filler {
                padded = true;
                continue;
            }
            if padded || nibble > 9 || pan.len >= 19 {
                return Err(NotAPan);
            }
            let slot = pan.bytes.get_mut(usize::from(pan.len / 2)).ok_or(NotAPan)?;
            *slot = if pan.len.is_multiple_of(2) { (nibble << 4) | 0x0F } else { (*slot & 0xF0) | nibble };
            pan.len = pan.len.wrapping_add(1);
        }
        if pan.len < 8 { Err(NotAPan) } else { Ok(pan) }
    }

    /// Number of digits.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The digit at `index`, from the left.
    #[must_use]
    pub fn digit(&self, index: usize) -> Option<u8> {
        if index >= self.len() {
            return None;
        }
        let byte = *self.bytes.get(index / 2)?;
        Some(if index.is_multiple_of(2) { byte >> 4 } else { byte & 0x0F })
    }

    /// The digits, from the left.
    pub fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        (0..self.len()).filter_map(|index| self.digit(index))
    }

    /// The shortest compressed-numeric form, as tag 5A carries it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len().div_ceil(2)).unwrap_or(&self.bytes)
    }

    /// Ten bytes padded with F, as an ICC certificate carries it. `[EMV-B2 table 8]`
    #[must_use]
    pub fn padded(&self) -> &[u8; 10] {
        &self.bytes
    }

    /// Whether this number begins with the digits of an issuer identifier (compressed numeric, F-padded). `[EMV-B2 6.3]`
    #[must_use]
    pub fn has_issuer(&self, identifier: &[u8]) -> bool {
        let mut nibbles = identifier.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let mut index = 0_usize;
        for nibble in nibbles.by_ref() {
            if nibble == 0x0F {
                return index >= 3 && nibbles.all(|rest| rest == 0x0F);
            }
            if self.digit(index) != Some(nibble) {
                return false;
            }
            index = index.saturating_add(1);
        }
        index >= 3
    }
}

/// Masks all but the first six and the last four digits.
impl fmt::Display for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digit) in self.digits().enumerate() {
            if index < 6 || index.saturating_add(4) >= self.len() {
                write!(f, "{digit}")?
            } else {
                f.write_str("*")?
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pan({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::ToString;

    #[test]
    fn reads_every_form() {
        let pan = Pan::from_digits("6228000100001117").unwrap();
        assert_eq!(Pan::from_bytes(&[0x62, 0x28, 0, 1, 0, 0, 0x11, 0x17, 0xFF, 0xFF]), Ok(pan));
        assert_eq!(Pan::from_track2(&[0x62, 0x28, 0, 1, 0, 0, 0x11, 0x17, 0xD3, 0x01, 0x22]), Ok(pan));
        assert_eq!(pan.as_bytes(), [0x62, 0x28, 0, 1, 0, 0, 0x11, 0x17]);
        assert_eq!(pan.to_string(), "622800******1117");
        let odd = Pan::from_digits("6228000100001").unwrap();
        assert_eq!(odd.as_bytes(), [0x62, 0x28, 0, 1, 0, 0, 0x1F]);
        for bad in ["1234567", "12345678901234567890", "12345678A", "12345678 "] {
            assert_eq!(Pan::from_digits(bad), Err(NotAPan), "{bad}");
        }
        assert_eq!(Pan::from_bytes(&[0x62, 0x28, 0xF0, 0x01, 0x23]), Err(NotAPan));
        assert_eq!(Pan::from_track2(&[0x62, 0x28, 0, 1, 0]), Err(NotAPan));
    }

    #[test]
    fn issuer_identifier_is_a_prefix_of_three_digits_or_more() {
        let pan = Pan::from_digits("6228000100001117").unwrap();
        assert!(pan.has_issuer(&[0x62, 0x28, 0x00, 0xFF]));
        assert!(pan.has_issuer(&[0x62, 0x2F, 0xFF, 0xFF]));
        assert!(!pan.has_issuer(&[0x62, 0xFF, 0xFF, 0xFF]));
        assert!(!pan.has_issuer(&[0x62, 0x29, 0x00, 0xFF]));
        assert!(!pan.has_issuer(&[0x62, 0x2F, 0x00, 0xFF]));
    }
}
