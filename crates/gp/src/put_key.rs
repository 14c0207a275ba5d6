//! PUT KEY: key data fields in format 1, key types and check values. [GPC 11.8, AmdD 7.2]
//!
//! ```text
//! new key version ‖ { type ‖ length ‖ [clear key length ‖] encrypted key ‖ 03 ‖ check value }*
//! ```

use core::fmt;

use huiwan_crypto::{Aes, BlockKey, Des, Tdes};
use huiwan_tlv::At;

/// Instruction byte.
pub const INS: u8 = 0xD8;
/// P2 bit: several keys with consecutive identifiers follow.
pub const SEVERAL: u8 = 0x80;
/// Key identifier of the ENC key of a key set.
pub const KID_ENC: u8 = 0x01;
/// Key identifier of the MAC key of a key set.
pub const KID_MAC: u8 = 0x02;
/// Key identifier of the data encryption key of a key set.
pub const KID_DEK: u8 = 0x03;

/// Type byte of a key. [GPC 11.1.8]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyType {
    /// DES or triple DES.
    Des = 0x80,
    /// AES, any length.
    Aes = 0x88,
}

impl KeyType {
    /// Reads the type byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x80 => Some(Self::Des),
            0x88 => Some(Self::Aes),
            _ => None,
        }
    }

    /// The type byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Whether a key of this type can have this many bytes.
    #[must_use]
    pub const fn allows_len(self, len: usize) -> bool {
        match self {
            Self::Des => matches!(len, 8 | 16 | 24),
            Self::Aes => matches!(len, 16 | 24 | 32),
        }
    }

    /// Check value: the first 3 bytes of eight 00 (DES) or sixteen 01 (AES) encrypted under the key; `None` for a wrong length.
    #[must_use]
    pub fn check_value(self, key: &[u8]) -> Option<[u8; 3]> {
        match self {
            Self::Des => {
                if let Ok(key) = <&[u8; 8]>::try_from(key) {
                    Some(Des::new(key).kcv())
                } else if let Ok(key) = <&[u8; 16]>::try_from(key) {
                    Some(Tdes::new2(key).kcv())
                } else {
                    <&[u8; 24]>::try_from(key).ok().map(|key| Tdes::new3(key).kcv())
                }
            }
            Self::Aes => Aes::new(key).ok().map(|key| key.kcv()),
        }
    }
}

/// One key data field as sent: the key is still encrypted under the DEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Type.
    pub key_type: KeyType,
    /// Clear key length in bytes.
    pub len: usize,
    /// The encrypted key, as long as the key or padded to whole blocks of the DEK.
    pub encrypted: &'a [u8],
    /// Check value; empty if none was sent.
    pub check_value: &'a [u8],
}

/// What is wrong with the data of PUT KEY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// The data ends inside a key data field.
    Truncated,
    /// The key type is unknown or this crate does not store it (its byte).
    Type(u8),
    /// The lengths of a field contradict each other or its type.
    Length,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("key data field is truncated"),
            Self::Type(byte) => write!(f, "key type {byte:02X} is not supported"),
            Self::Length => f.write_str("key data field has contradicting lengths"),
        }
    }
}

impl core::error::Error for FieldError {}

/// The data of PUT KEY.
#[derive(Debug, Clone, Copy)]
pub struct KeyData<'a> {
    /// The version the keys get.
    pub version: u8,
    fields: &'a [u8],
}

impl<'a> KeyData<'a> {
    /// Splits the version off the fields.
    ///
    /// # Errors
    /// [`FieldError::Truncated`] if there is no version or no field.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<FieldError>> {
        match data.split_first() {
            Some((&version, fields)) if !fields.is_empty() => Ok(Self { version, fields }),
            _ => Err(At::new(FieldError::Truncated, data.len())),
        }
    }

    /// The key data fields in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.fields, at: 1 }
    }
}

/// Iterator over key data fields; ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, At<FieldError>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let before = self.rest.len();
        let result = self.field().map_err(|kind| At::new(kind, self.at));
        if result.is_err() {
            self.rest = &[];
        }
        self.at = self.at.saturating_add(before.saturating_sub(self.rest.len()));
        Some(result)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>, FieldError> {
        let (&[byte, block_len], rest) = self.rest.split_first_chunk().ok_or(FieldError::Truncated)?;
        let key_type = KeyType::from_byte(byte).ok_or(FieldError::Type(byte))?;
        let (block, rest) = rest.split_at_checked(usize::from(block_len)).ok_or(FieldError::Truncated)?;
        let (&kcv_len, rest) = rest.split_first().ok_or(FieldError::Truncated)?;
        let (check_value, rest) = rest.split_at_checked(usize::from(kcv_len)).ok_or(FieldError::Truncated)?;
        let field = match key_type {
            // A DES key is whole blocks, so no clear length goes before it. [GPC 11.8.2.3.1]
            KeyType::Des => Field { key_type, len: block.len(), encrypted: block, check_value },
            KeyType::Aes => {
                let (&len, encrypted) = block.split_first().ok_or(FieldError::Length)?;
                Field { key_type, len: usize::from(len), encrypted, check_value }
            }
        };
        let fits = key_type.allows_len(field.len)
            && field.encrypted.len() >= field.len
            && field.encrypted.len() <= field.len.next_multiple_of(16)
            && matches!(check_value.len(), 0 | 3);
        if !fits {
            return Err(FieldError::Length);
        }
        self.rest = rest;
        Ok(field)
    }
}

/// Writes one key data field behind the first `at` bytes of `out`; returns the new length, `None` if it does not fit.
#[must_use]
pub fn put_field(
    out: &mut [u8],
    at: usize,
    key_type: KeyType,
    clear_len: usize,
    encrypted: &[u8],
    check_value: &[u8; 3],
) -> Option<usize> {
    let inner = u8::try_from(clear_len).ok()?;
    let with_len = key_type == KeyType::Aes;
    let block_len = u8::try_from(encrypted.len().checked_add(usize::from(with_len))?).ok()?;
    let parts: [&[u8]; 5] = [
        &[key_type.byte(), block_len],
        if with_len { core::slice::from_ref(&inner) } else { &[] },
        encrypted,
        &[0x03],
        check_value,
    ];
    let mut at = at;
    for part in parts {
        let end = at.checked_add(part.len())?;
        out.get_mut(at..end)?.copy_from_slice(part);
        at = end;
    }
    Some(at)
}
