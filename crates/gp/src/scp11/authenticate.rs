//! The data of MUTUAL and INTERNAL AUTHENTICATE, and of the answer.
//!
//! ```text
//! A6 { 90 02 11 params, 95 01 usage, 80 01 88, 81 01 key length [, 84 host identifier ] } 5F49 host's ephemeral point
//! 5F49 card's point, 86 10 receipt
//! ```

use core::fmt;

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Writer, parse};

use super::{SCP, Variant};
use crate::secure_channel::Level;

const TAG_A6_CONTROL_REFERENCE: Tag = Tag::new(0xA6);
const TAG_90_PARAMETERS: Tag = Tag::new(0x90);
const TAG_95_USAGE: Tag = Tag::new(0x95);
const TAG_80_KEY_TYPE: Tag = Tag::new(0x80);
const TAG_81_KEY_LENGTH: Tag = Tag::new(0x81);
const TAG_84_HOST_ID: Tag = Tag::new(0x84);
/// An ephemeral public key.
pub const TAG_5F49_POINT: Tag = Tag::new(0x5F49);
/// The receipt.
pub const TAG_86_RECEIPT: Tag = Tag::new(0x86);
/// Key type: AES.
const AES: u8 = 0x88;
/// Bit of the parameters: identifiers of host and card are part of the derivation.
const WITH_IDENTIFIERS: u8 = 0x04;
/// Bytes of a host identifier at most.
pub const HOST_ID_MAX: usize = 16;
/// Bytes of the command's data at most: with a host identifier, and a point of P-521.
pub const DATA_MAX: usize = 13 + 2 + 2 + HOST_ID_MAX + 4 + huiwan_crypto::ec::POINT_MAX;
/// Bytes of the identification of a card or group of cards in the derivation at most: two values of 64 bytes with their lengths.
pub const CARD_GROUP_MAX: usize = 2 * (1 + 64);
/// Bytes under the key derivation at most.
pub const SHARED_INFO_MAX: usize = 3 + 1 + HOST_ID_MAX + CARD_GROUP_MAX;
/// Key usage: command and response MACs.
const MAC: u8 = 0x34;
/// Key usage: MACs and encryption both ways.
const ALL: u8 = 0x3C;

/// What the command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticate<'a> {
    /// Variant.
    pub variant: Variant,
    /// [`Level::All`], or [`Level::CMacRMac`].
    pub level: Level,
    /// Bytes of the session keys: 16, 24 or 32.
    pub key_len: u8,
    /// The host's ephemeral point, uncompressed.
    pub point: &'a [u8],
    /// If identifiers are part of the derivation.
    pub identifiers: Option<Identifiers<'a>>,
}

/// Identifiers that are part of the key derivation, so that a script of variant c fits a group of cards and one host. (SGP.02, AmdE: the
/// order and the lengths before the values)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifiers<'a> {
    /// The host's, 1 to 16 bytes, sent in the command.
    pub host: &'a [u8],
    /// The card's or its group's, not sent: length ‖ issuer identification number (tag 42) ‖ length ‖ image number (tag 45) of the
    /// security domain.
    pub card_group: &'a [u8],
}

/// What is wrong with the data of an authenticate command or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthenticateError {
    /// It is no TLV.
    Tlv(TlvError),
    /// A data object is missing.
    Missing,
    /// A data object says what this crate does not speak: another protocol, key type or usage, or a host identifier that
    /// is too long or not part of the derivation.
    Unsupported,
}

impl fmt::Display for AuthenticateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tlv(error) => error.fmt(f),
            Self::Missing => f.write_str("data object of an authenticate command is missing"),
            Self::Unsupported => f.write_str("authenticate command asks for what is not supported"),
        }
    }
}

impl core::error::Error for AuthenticateError {}

fn tlv(error: At<TlvError>) -> At<AuthenticateError> {
    At::new(AuthenticateError::Tlv(error.kind()), error.at())
}

impl<'a> Authenticate<'a> {
    const fn usage(&self) -> u8 {
        if self.level.r_enc() { ALL } else { MAC }
    }

    /// What both sides put under the key derivation: usage, key type, key length, and identifiers if there are any: length ‖ host's ‖
    /// card's. `None` if they are too long.
    #[must_use]
    pub fn shared_info(&self) -> Option<heapless::Vec<u8, SHARED_INFO_MAX>> {
        let mut info = heapless::Vec::new();
        info.extend_from_slice(&[self.usage(), AES, self.key_len]).ok()?;
        if let Some(Identifiers { host, card_group }) = self.identifiers {
            info.push(u8::try_from(host.len()).ok()?).ok()?;
            info.extend_from_slice(host).ok()?;
            info.extend_from_slice(card_group).ok()?;
        }
        Some(info)
    }

    const fn parameters(&self) -> u8 {
        match self.identifiers {
            Some(_) => self.variant.byte() | WITH_IDENTIFIERS,
            None => self.variant.byte(),
        }
    }

    /// Writes the command data.
    ///
    /// # Errors
    /// [`Full`] if it does not fit.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], Full> {
        let mut w = Writer::new(out);
        w.nested(TAG_A6_CONTROL_REFERENCE, |w| {
            w.put(TAG_90_PARAMETERS, &[SCP, self.parameters()]);
            w.put(TAG_95_USAGE, &[self.usage()]);
            w.put(TAG_80_KEY_TYPE, &[AES]);
            w.put(TAG_81_KEY_LENGTH, &[self.key_len]);
            if let Some(Identifiers { host, .. }) = self.identifiers {
                w.put(TAG_84_HOST_ID, host);
            }
        });
        w.put(TAG_5F49_POINT, self.point);
        w.finish()
    }

    /// Reads the command data; the card's identification is not in it, and is left empty.
    ///
    /// # Errors
    /// [`AuthenticateError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<AuthenticateError>> {
        let (mut reference, mut point) = (None, None);
        for object in parse(data, Rules::ISO) {
            let object = object.map_err(tlv)?;
            match object.tag() {
                TAG_A6_CONTROL_REFERENCE if reference.is_none() => reference = Some(object.value()),
                TAG_5F49_POINT if point.is_none() => point = Some(object.value()),
                _ => return Err(At::new(AuthenticateError::Unsupported, 0)),
            }
        }
        let missing = At::new(AuthenticateError::Missing, data.len());
        let (mut variant, mut level, mut aes, mut key_len) = (None, None, false, None);
        let (mut wanted, mut host_id) = (false, None);
        for object in parse(reference.ok_or(missing)?, Rules::ISO) {
            let object = object.map_err(tlv)?;
            match (object.tag(), object.value()) {
                (TAG_90_PARAMETERS, &[SCP, byte]) => {
                    variant = Variant::from_byte(byte & !WITH_IDENTIFIERS);
                    wanted = byte & WITH_IDENTIFIERS != 0;
                }
                (TAG_95_USAGE, &[ALL]) => level = Some(Level::All),
                (TAG_95_USAGE, &[MAC]) => level = Some(Level::CMacRMac),
                (TAG_80_KEY_TYPE, &[AES]) => aes = true,
                (TAG_81_KEY_LENGTH, &[len @ (16 | 24 | 32)]) => key_len = Some(len),
                (TAG_84_HOST_ID, host) if (1..=HOST_ID_MAX).contains(&host.len()) => host_id = Some(host),
                _ => return Err(At::new(AuthenticateError::Unsupported, 0)),
            }
        }
        // An identifier that is not asked for has no part in anything.
        let identifiers = match (wanted, host_id) {
            (true, Some(host)) => Some(Identifiers { host, card_group: &[] }),
            (true, None) => return Err(missing),
            (false, Some(_)) => return Err(At::new(AuthenticateError::Unsupported, 0)),
            (false, None) => None,
        };
        match (variant, level, aes, key_len, point) {
            (Some(variant), Some(level), true, Some(key_len), Some(point)) => {
                Ok(Self { variant, level, key_len, point, identifiers })
            }
            _ => Err(missing),
        }
    }
}

/// The card's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The card's point, uncompressed.
    pub point: &'a [u8],
    /// The whole data object that holds it, which is under the receipt.
    pub point_object: &'a [u8],
    /// The receipt.
    pub receipt: &'a [u8; 16],
}

impl<'a> Answer<'a> {
    /// Reads the response data.
    ///
    /// # Errors
    /// [`AuthenticateError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<AuthenticateError>> {
        let missing = At::new(AuthenticateError::Missing, data.len());
        let mut objects = parse(data, Rules::ISO);
        let point = objects.next().ok_or(missing)?.map_err(tlv)?;
        let receipt = objects.next().ok_or(missing)?.map_err(tlv)?;
        if point.tag() != TAG_5F49_POINT || receipt.tag() != TAG_86_RECEIPT || objects.next().is_some() {
            return Err(At::new(AuthenticateError::Unsupported, 0));
        }
        let mac = receipt.value().try_into().map_err(|_| missing)?;
        Ok(Self { point: point.value(), point_object: point.raw(), receipt: mac })
    }
}
