//! The confirmation a card answers with after a change by delegation, and what its receipt covers. [GPC 11.1.6, C.5]
//!
//! ```text
//! LV receipt ‖ LV confirmation counter (2) ‖ LV unique data (identification number ‖ image number) ‖ [token identifier, digest]
//! ```
//! The receipt covers everything behind itself, then the names: LV each, see [`crate::token`].

use core::fmt;

use huiwan_tlv::{At, Full};

/// What is wrong with a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfirmationError {
    /// The data ends inside a field.
    Truncated,
    /// The confirmation counter has not two bytes.
    Counter,
}

impl fmt::Display for ConfirmationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "confirmation is truncated",
            Self::Counter => "confirmation counter has not two bytes",
        })
    }
}

impl core::error::Error for ConfirmationError {}

/// A confirmation, for whoever keeps account of what was done to a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation<'a> {
    /// The receipt; empty from a card that counts but has no key to sign with.
    pub receipt: &'a [u8],
    /// The confirmation counter's value: one more with each confirmation.
    pub counter: u16,
    /// Issuer identification number ‖ card image number.
    pub unique: &'a [u8],
    covered: &'a [u8],
}

impl<'a> Confirmation<'a> {
    /// Reads the response data of INSTALL, the last LOAD or DELETE; `Ok(None)` if there is none: no data, or one zero byte.
    ///
    /// # Errors
    /// [`ConfirmationError`] and the byte it was found at.
    pub fn parse(data: &'a [u8]) -> Result<Option<Self>, At<ConfirmationError>> {
        if matches!(*data, [] | [0]) {
            return Ok(None);
        }
        let (receipt, covered) = field(data, data.len())?;
        let counter_at = data.len().saturating_sub(covered.len());
        let (counter, rest) = field(covered, data.len())?;
        let counter = <[u8; 2]>::try_from(counter);
        let counter = counter.map_err(|_| At::new(ConfirmationError::Counter, counter_at))?;
        let (unique, _) = field(rest, data.len())?;
        Ok(Some(Self { receipt, counter: u16::from_be_bytes(counter), unique, covered }))
    }

    /// Writes what the receipt covers.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write_covered<'b>(&self, names: &[&[u8]], out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut at = self.covered.len();
        let full = Full { needed: at };
        out.get_mut(..at).ok_or(full)?.copy_from_slice(self.covered);
        at = write_names(names, out, at)?;
        out.get(..at).ok_or(full)
    }
}

/// LV confirmation counter ‖ LV unique data, whose parts are one after the other; the length is returned.
///
/// # Errors
/// [`Full`] if `out` is too small, or a field is over 255 bytes.
pub fn write_data(counter: u16, unique: [&[u8]; 2], out: &mut [u8]) -> Result<usize, Full> {
    let at = write_field(&[&counter.to_be_bytes()], out, 0)?;
    write_field(&unique, out, at)
}

/// Writes the names at `at`, LV each; the end is returned.
///
/// # Errors
/// As [`write_data`].
pub fn write_names(names: &[&[u8]], out: &mut [u8], at: usize) -> Result<usize, Full> {
    names.iter().try_fold(at, |at, name| write_field(&[name], out, at))
}

fn write_field(parts: &[&[u8]], out: &mut [u8], at: usize) -> Result<usize, Full> {
    let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
    let full = Full { needed: at.saturating_add(len).saturating_add(1) };
    *out.get_mut(at).ok_or(full)? = u8::try_from(len).map_err(|_| full)?;
    let mut end = at.saturating_add(1);
    for part in parts {
        let from = end;
        end = from.saturating_add(part.len());
        out.get_mut(from..end).ok_or(full)?.copy_from_slice(part);
    }
    Ok(end)
}

/// A field with a length of one byte or, over 127, in BER; and what is behind it.
fn field(data: &[u8], end: usize) -> Result<(&[u8], &[u8]), At<ConfirmationError>> {
    let (len, behind) = match *data {
        [0x81, len, ref behind @ ..] if len >= 0x80 => (usize::from(len), behind),
        [0x82, high, low, ref behind @ ..] if high != 0 => {
            (usize::from(u16::from_be_bytes([high, low])), behind)
        }
        [len, ref behind @ ..] => (usize::from(len), behind),
        [] => return Err(At::new(ConfirmationError::Truncated, end)),
    };
    behind.split_at_checked(len).ok_or(At::new(ConfirmationError::Truncated, end))
}
