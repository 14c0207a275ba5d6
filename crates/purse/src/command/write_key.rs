//! WRITE KEY (80/84 D4): our form of a command that every card operating system has in a form of its own.
//!
//! | | |
//! |---|---|
//! | CLA INS | 84 D4 secured, or 80 D4 plain while the application has no purse |
//! | P1 | 01 adds a key; a key type replaces that key |
//! | P2 | key index |
//! | plain data | [`WriteKey`]: key type 1 ‖ version 1 ‖ algorithm 1 ‖ tries 1 ‖ key 16 |
//! | secured data | the same, encrypted as [`secure_messaging::seal`](crate::secure_messaging::seal) does, ‖ MAC 4, both under the control key ([`Profile::key_writing`](crate::profile::Profile::key_writing)) |
//!
//! Command bytes, the meaning of P1 and P2, the key types, encryption and MAC are those of FMCOS [I: csdn 82497503, csdn 134925040, 360docs
//! 0c20789092; a worked example is among the tests' vectors]. FMCOS has, in the place of version ‖ algorithm ‖ tries, two access rights and
//! then version ‖ algorithm or state ‖ error counter, depending on the type; here the kind of a key is its right, and every key has
//! all three.

use core::fmt;

use huiwan_crypto::Secret;
use huiwan_tlv::At;

use super::WrongLength;
use crate::keys::{KeyKind, KeyValue};
use crate::pack::{Pack, Unpack};

/// P1: add a key.
pub const ADD_KEY: u8 = 0x01;

/// Key types on the wire. [I: FMCOS descriptions]; 30 is its encryption key, 40 and 41 are ours.
const COS_TYPES: [(u8, KeyKind); 12] = [
    (0x30, KeyKind::InternalAuthentication),
    (0x34, KeyKind::Tac),
    (0x36, KeyKind::Maintenance),
    (0x37, KeyKind::PinUnblock),
    (0x38, KeyKind::PinReload),
    (0x39, KeyKind::ExternalAuthentication),
    (0x3C, KeyKind::Update),
    (0x3D, KeyKind::Unload),
    (0x3E, KeyKind::Purchase),
    (0x3F, KeyKind::Load),
    (0x40, KeyKind::GreyUnlock),
    (0x41, KeyKind::Control),
];

/// The key type WRITE KEY calls this kind.
#[must_use]
pub fn cos_type(kind: KeyKind) -> u8 {
    COS_TYPES.iter().find(|(_, of)| *of == kind).map_or(0, |(cos_type, _)| *cos_type)
}

/// The kind a key type stands for.
#[must_use]
pub fn kind_of_cos_type(cos_type: u8) -> Option<KeyKind> {
    COS_TYPES.iter().find(|(of, _)| *of == cos_type).map(|(_, kind)| *kind)
}

/// A data field that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteKeyError {
    /// Another length.
    Length(WrongLength),
    /// A key type that is none.
    UnknownType,
}

impl fmt::Display for WriteKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => length.fmt(f),
            Self::UnknownType => f.write_str("unknown key type"),
        }
    }
}

impl core::error::Error for WriteKeyError {}

/// The plain data field of WRITE KEY.
#[derive(Debug, Clone)]
pub struct WriteKey {
    /// What the key is for.
    pub kind: KeyKind,
    /// Its version.
    pub version: u8,
    /// Its algorithm byte: see [`keys::algorithm`](crate::keys::algorithm).
    pub algorithm: u8,
    /// Wrong uses that block it, 1 to 15; 0: as the profile says.
    pub tries: u8,
    /// The key.
    pub value: KeyValue,
}

impl WriteKey {
    /// Length in bytes.
    pub const LEN: usize = 20;

    /// Reads the field.
    ///
    /// # Errors
    /// Another length, or a key type that is none.
    pub fn parse(raw: &[u8]) -> Result<Self, At<WriteKeyError>> {
        if raw.len() != Self::LEN {
            let wrong = WriteKeyError::Length(WrongLength { expected: Self::LEN });
            return Err(At::new(wrong, raw.len().min(Self::LEN)));
        }
        let mut fields = Unpack::new(raw);
        let kind = kind_of_cos_type(fields.byte()).ok_or(At::new(WriteKeyError::UnknownType, 0))?;
        Ok(Self {
            kind,
            version: fields.byte(),
            algorithm: fields.byte(),
            tries: fields.byte(),
            value: Secret::new(fields.take()),
        })
    }

    /// The field. It holds the key in clear: it is sealed before it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::LEN }> {
        Secret::new(
            Pack::new()
                .put([cos_type(self.kind), self.version, self.algorithm, self.tries])
                .put(*self.value.expose())
                .finish(),
        )
    }
}
