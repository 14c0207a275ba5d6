//! PUT KEY: key data fields, key types and check values. [GPC 11.8, AmdD 7.2]
//!
//! ```text
//! new key version ‖ { key data field }*
//! format 1, secret: type ‖ length ‖ [clear key length ‖] encrypted key ‖ 03 ‖ check value
//!           public: A1 ‖ length ‖ modulus ‖ A0 ‖ length ‖ exponent ‖ 00
//!                   B0 ‖ length ‖ point ‖ F0 ‖ 01 ‖ curve reference ‖ 00
//!           ECC private: B1 ‖ length ‖ [clear key length ‖] encrypted key ‖ F0 ‖ 01 ‖ curve reference ‖ 00
//! format 2: FF before each type, lengths of two bytes before the blocks, and behind the check value
//!           usage length ‖ usage ‖ access length ‖ access
//! ```
//! The clear key length stands before every AES key [AmdD 7.2], but hosts leave it out where the key is whole blocks (kaoh,
//! yubikey-manager); an encrypted block is even, so both are told apart.
//!
//! Lengths of format 1 over 127 come as one byte or as BER; hosts do both, and they are told apart. (GlobalPlatformPro, old and new)

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

/// Type of the exponent of an RSA public key.
pub const TYPE_A0_RSA_EXPONENT: u8 = 0xA0;
/// Type of the modulus of an RSA public key.
pub const TYPE_A1_RSA_MODULUS: u8 = 0xA1;
/// Type of the private number of an ECC key.
pub const TYPE_B1_ECC_PRIVATE: u8 = 0xB1;
/// Type of the point of an ECC public key.
pub const TYPE_B0_ECC_POINT: u8 = 0xB0;
/// Type of the reference of the curve of an ECC key.
pub const TYPE_F0_ECC_CURVE: u8 = 0xF0;
/// Reference of the curve P-256. [GPC B.4.4]
pub const CURVE_P256: u8 = 0x00;
/// The field is of format 2.
const FORMAT_2: u8 = 0xFF;

/// What a key may be used for and by whom, as it came; format 2 carries it. [GPC 11.1.9, 11.1.10]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Key usage qualifier.
    pub usage: u8,
    /// Key access; 00: the domain and its applications, 01: the domain alone.
    pub access: u8,
}

/// Type byte of a key. [GPC 11.1.8]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyType {
    /// DES or triple DES.
    Des = 0x80,
    /// AES, any length.
    Aes = 0x88,
    /// Pre-shared key of TLS.
    Psk = 0x85,
    /// RSA public key; the type of its first component, the modulus.
    RsaPublic = TYPE_A1_RSA_MODULUS,
    /// ECC public key; the type of its first component, the point.
    EccPublic = TYPE_B0_ECC_POINT,
    /// ECC private key; the type of its first component, the number.
    EccPrivate = TYPE_B1_ECC_PRIVATE,
}

impl KeyType {
    /// Reads the type byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x80 => Some(Self::Des),
            0x88 => Some(Self::Aes),
            0x85 => Some(Self::Psk),
            TYPE_A1_RSA_MODULUS => Some(Self::RsaPublic),
            TYPE_B0_ECC_POINT => Some(Self::EccPublic),
            TYPE_B1_ECC_PRIVATE => Some(Self::EccPrivate),
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
            Self::Aes | Self::Psk => matches!(len, 16 | 24 | 32),
            Self::RsaPublic => matches!(len, 64..=256),
            Self::EccPublic => matches!(len, 64..=133),
            Self::EccPrivate => matches!(len, 32..=66),
        }
    }

    /// Whether keys of this type are sent in the clear.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::RsaPublic | Self::EccPublic)
    }

    /// Check value: the first 3 bytes of eight 00 (DES) or sixteen 01 (AES, TLS) encrypted under the key; `None` for a wrong length
    /// and for keys that have none.
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
            Self::Aes | Self::Psk => Aes::new(key).ok().map(|key| key.kcv()),
            Self::RsaPublic | Self::EccPublic | Self::EccPrivate => None,
        }
    }
}

/// One key data field as sent: a secret key is still encrypted under the DEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Type.
    pub key_type: KeyType,
    /// Clear key length in bytes.
    pub len: usize,
    /// The encrypted key, as long as the key or padded to whole blocks of the DEK; of a public key the modulus or point.
    pub encrypted: &'a [u8],
    /// Of a public key the exponent or the curve reference, of a private one the curve reference; empty otherwise.
    pub second: &'a [u8],
    /// Check value; empty if none was sent.
    pub check_value: &'a [u8],
    /// Usage and access, in format 2.
    pub attributes: Option<Attributes>,
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
        let mut rest = self.rest;
        let second_format = rest.first() == Some(&FORMAT_2);
        let (byte, block) = component(&mut rest, second_format)?;
        let key_type = KeyType::from_byte(byte).ok_or(FieldError::Type(byte))?;
        let second = match key_type {
            KeyType::RsaPublic => named(&mut rest, second_format, TYPE_A0_RSA_EXPONENT)?,
            KeyType::EccPublic | KeyType::EccPrivate => named(&mut rest, second_format, TYPE_F0_ECC_CURVE)?,
            KeyType::Des | KeyType::Aes | KeyType::Psk => &[],
        };
        let check_value = short(&mut rest)?;
        let attributes = if second_format {
            let at_most_one = |value: &[u8]| match *value {
                [] => Ok(0),
                [byte] => Ok(byte),
                _ => Err(FieldError::Length),
            };
            Some(Attributes {
                usage: at_most_one(short(&mut rest)?)?,
                access: at_most_one(short(&mut rest)?)?,
            })
        } else {
            None
        };
        let (len, encrypted) = match key_type {
            // A DES key is whole blocks, so no clear length goes before it [GPC 11.8.2.3.1]; Py-GP sends one all the same.
            KeyType::Des if block.len() % 2 == 0 => (block.len(), block),
            KeyType::RsaPublic | KeyType::EccPublic => (block.len(), block),
            KeyType::Aes | KeyType::Psk | KeyType::EccPrivate if block.len() % 2 == 0 => (block.len(), block),
            KeyType::Des | KeyType::Aes | KeyType::Psk | KeyType::EccPrivate => {
                let (&len, encrypted) = block.split_first().ok_or(FieldError::Length)?;
                (usize::from(len), encrypted)
            }
        };
        let padded = if key_type.is_public() { len } else { len.next_multiple_of(16) };
        let second_fits = match key_type {
            KeyType::RsaPublic => matches!(second.len(), 1..=4),
            KeyType::EccPublic | KeyType::EccPrivate => second.len() == 1,
            KeyType::Des | KeyType::Aes | KeyType::Psk => true,
        };
        let fits = key_type.allows_len(len)
            && encrypted.len() >= len
            && encrypted.len() <= padded
            && second_fits
            && match key_type {
                KeyType::EccPrivate => check_value.is_empty(),
                _ => matches!(check_value.len(), 0 | 3),
            };
        if !fits {
            return Err(FieldError::Length);
        }
        self.rest = rest;
        Ok(Field { key_type, len, encrypted, second, check_value, attributes })
    }
}

/// Type and block of a component.
fn component<'a>(rest: &mut &'a [u8], second_format: bool) -> Result<(u8, &'a [u8]), FieldError> {
    let bytes = *rest;
    let (key_type, len, behind) = match (second_format, bytes) {
        (true, &[FORMAT_2, key_type, high, low, ref behind @ ..]) => {
            (key_type, usize::from(u16::from_be_bytes([high, low])), behind)
        }
        (true, _) => return Err(FieldError::Truncated),
        (false, &[key_type, 0x81, len, ref behind @ ..]) if len >= 0x80 => {
            (key_type, usize::from(len), behind)
        }
        (false, &[key_type, 0x82, high, low, ref behind @ ..]) if high != 0 => {
            (key_type, usize::from(u16::from_be_bytes([high, low])), behind)
        }
        (false, &[key_type, len, ref behind @ ..]) => (key_type, usize::from(len), behind),
        (false, _) => return Err(FieldError::Truncated),
    };
    let (block, behind) = behind.split_at_checked(len).ok_or(FieldError::Truncated)?;
    *rest = behind;
    Ok((key_type, block))
}

/// The block of the component that has to follow.
fn named<'a>(rest: &mut &'a [u8], second_format: bool, expected: u8) -> Result<&'a [u8], FieldError> {
    match component(rest, second_format)? {
        (key_type, block) if key_type == expected => Ok(block),
        (key_type, _) => Err(FieldError::Type(key_type)),
    }
}

/// A value with a length byte.
fn short<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], FieldError> {
    let (value, behind) = rest
        .split_first()
        .and_then(|(&len, behind)| behind.split_at_checked(usize::from(len)))
        .ok_or(FieldError::Truncated)?;
    *rest = behind;
    Ok(value)
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
    let with_len = matches!(key_type, KeyType::Aes | KeyType::Psk);
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

/// Writes the field of an RSA public key behind the first `at` bytes of `out`, lengths over 127 as BER; returns the new length.
#[must_use]
pub fn put_rsa_field(out: &mut [u8], at: usize, modulus: &[u8], exponent: &[u8]) -> Option<usize> {
    let at = put_component(out, at, TYPE_A1_RSA_MODULUS, modulus)?;
    let at = put_component(out, at, TYPE_A0_RSA_EXPONENT, exponent)?;
    put(out, at, &[0x00])
}

/// Writes the field of an ECC public key behind the first `at` bytes of `out`; returns the new length.
#[must_use]
pub fn put_ecc_field(out: &mut [u8], at: usize, point: &[u8], curve: u8) -> Option<usize> {
    let at = put_component(out, at, TYPE_B0_ECC_POINT, point)?;
    let at = put_component(out, at, TYPE_F0_ECC_CURVE, &[curve])?;
    put(out, at, &[0x00])
}

/// Writes the field of an ECC private key encrypted under the DEK behind the first `at` bytes of `out`; returns the new length. The
/// clear length is told where the encrypted number is longer.
#[must_use]
pub fn put_ecc_private_field(
    out: &mut [u8],
    at: usize,
    clear_len: usize,
    encrypted: &[u8],
    curve: u8,
) -> Option<usize> {
    let clear = u8::try_from(clear_len).ok().filter(|_| encrypted.len() >= clear_len)?;
    let inner: &[u8] = if encrypted.len() == clear_len { &[] } else { core::slice::from_ref(&clear) };
    let len = u8::try_from(inner.len().checked_add(encrypted.len())?).ok()?;
    let at = put(out, at, &[TYPE_B1_ECC_PRIVATE, len])?;
    let at = put(out, at, inner)?;
    let at = put(out, at, encrypted)?;
    let at = put_component(out, at, TYPE_F0_ECC_CURVE, &[curve])?;
    put(out, at, &[0x00])
}

fn put_component(out: &mut [u8], at: usize, key_type: u8, block: &[u8]) -> Option<usize> {
    let [high, low] = u16::try_from(block.len()).ok()?.to_be_bytes();
    let at = match (high, low) {
        (0, 0..=0x7F) => put(out, at, &[key_type, low])?,
        (0, _) => put(out, at, &[key_type, 0x81, low])?,
        _ => put(out, at, &[key_type, 0x82, high, low])?,
    };
    put(out, at, block)
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at.checked_add(bytes.len())?;
    out.get_mut(at..end)?.copy_from_slice(bytes);
    Some(end)
}
