//! What a key store is asked.

use core::fmt;

use huiwan_apdu::Aid;

#[cfg(doc)]
use super::{KeyAnswer, KeyError};
use super::{KeyHandle, KeyRef, PinFormat, SessionId};
use crate::host::hidden::{Hidden, HiddenData};
use crate::host::secure_channel::AwaitCard;
use crate::initialize_update::Answer;
use crate::put_key::KeyType;
use crate::scp03::{Mode, Octets};
use crate::scp11::Variant;
use crate::secure_channel::Level;
use crate::{scp01, scp02};

/// What a store needs to open a secure channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRequest {
    /// The card's static keys.
    pub key: KeyRef,
    /// The application the channel is opened on.
    pub aid: Aid,
    /// Plain class byte, with the logical channel (80 to 83).
    pub cla: u8,
    /// Challenge sent in INITIALIZE UPDATE.
    pub host_challenge: Octets,
    /// The card's answer.
    pub answer: Answer,
    /// The card's SCP01, which its answer does not tell.
    pub scp01: scp01::Options,
    /// The card's SCP02, which its answer does not tell.
    pub scp02: scp02::Options,
    /// Level wanted.
    pub level: Level,
}

impl OpenRequest {
    /// The handshake as it stands: INITIALIZE UPDATE is answered.
    #[must_use]
    pub fn handshake(&self) -> AwaitCard {
        AwaitCard::new(self.host_challenge).with_scp01(self.scp01).with_scp02(self.scp02)
    }
}

/// What a store needs for an SCP02 session without a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImplicitRequest {
    /// The card's static keys.
    pub key: KeyRef,
    /// The application the first C-MAC is over.
    pub aid: Aid,
    /// The card's SCP02.
    pub options: scp02::Options,
    /// The card's counter.
    pub sequence: scp02::Sequence,
    /// Key diversification data of the card.
    pub key_diversification: [u8; 10],
}

/// What a store needs for an SCP11 session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scp11Request {
    /// Variant.
    pub variant: Variant,
    /// [`Level::All`], or [`Level::CMacRMac`].
    pub level: Level,
    /// Bytes of the session keys: 16, 24 or 32.
    pub key_len: u8,
    /// Mode of the messaging.
    pub mode: Mode,
    /// The authority that the card's certificates come from.
    pub authority: KeyHandle,
    /// The host's static key; variant b has none.
    pub own: Option<KeyHandle>,
}

/// How a value is encrypted in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chaining {
    /// Every block for itself.
    Ecb,
    /// Cipher block chaining from an ICV of zeros.
    Cbc,
}

/// A value as it comes from a zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ZoneValue<'a> {
    /// How it is encrypted under the zone's key.
    pub chaining: Chaining,
    /// The encrypted value, whole blocks of the zone's cipher.
    pub data: &'a [u8],
    /// Padding for the card: 80 00 … to whole blocks of its cipher. Without it the value has to be whole blocks.
    pub pad: bool,
}

impl fmt::Debug for ZoneValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chaining, data, pad } = self;
        let mut shown = f.debug_struct("ZoneValue");
        shown.field("chaining", chaining).field("data", &Hidden(data)).field("pad", pad).finish()
    }
}

/// A PIN as it comes from a zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PinBlock<'a> {
    /// How the block was made.
    pub format: PinFormat,
    /// Account number, ASCII digits with the check digit.
    pub account: &'a [u8],
    /// The block under the zone's key: 8 bytes, 16 of format 4.
    pub block: &'a [u8],
    /// As for [`ZoneValue::pad`].
    pub pad: bool,
}

impl fmt::Debug for PinBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PinBlock");
        shown.field("format", &self.format).field("pad", &self.pad).finish_non_exhaustive()
    }
}

/// One secret operation. What it prints of itself holds no secret: of bytes, their number; of a command, the header.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRequest<'a> {
    /// Verify the card cryptogram and prepare EXTERNAL AUTHENTICATE. Answer: [`KeyAnswer::Opened`].
    Open(OpenRequest),
    /// The same for a card that is not at hand and whose challenge a counter tells, for scripts made ahead of time. Of the answer
    /// the challenge and the cryptogram do not count. Answer: [`KeyAnswer::Opened`].
    OpenAhead(OpenRequest),
    /// Prepare an SCP02 session with implicit initiation. Answer: [`KeyAnswer::Ready`].
    OpenImplicit(ImplicitRequest),
    /// Verify the card's certificates and begin an SCP11 session with a fresh ephemeral key. Answer: [`KeyAnswer::Agreeing`].
    BeginScp11 {
        /// Which session.
        request: Scp11Request,
        /// The card's certificates: the value of `BF21`.
        certificates: &'a [u8],
    },
    /// Check the card's receipt. Answer: [`KeyAnswer::Ready`]. After a refusal the session is to be closed.
    FinishScp11 {
        /// Session.
        session: SessionId,
        /// Response data of MUTUAL or INTERNAL AUTHENTICATE.
        answer: &'a [u8],
    },
    /// The same as both for a card that is not at hand, in variant c, for scripts made ahead of time. Answer: [`KeyAnswer::Agreeing`],
    /// with a session that is ready.
    Scp11Ahead {
        /// Which session.
        request: Scp11Request,
        /// The card's certificates, or those of its group's key: the value of `BF21`.
        certificates: &'a [u8],
        /// The ephemeral key follows from this and the secret of the static keys, so that the same seed gives the same session:
        /// random, and new for every script.
        seed: [u8; 16],
    },
    /// Protect a plain command. Answer: [`KeyAnswer::Bytes`], the command to send.
    Wrap {
        /// Session.
        session: SessionId,
        /// Plain command APDU.
        command: &'a [u8],
    },
    /// Check and open a response. Answer: [`KeyAnswer::Bytes`], plain data ‖ SW.
    Unwrap {
        /// Session.
        session: SessionId,
        /// Data ‖ SW as received.
        response: &'a [u8],
    },
    /// Encrypt data, whole blocks (of 8 bytes for SCP02, 16 for SCP03), under the session's DEK. Answer: [`KeyAnswer::Bytes`].
    Encrypt {
        /// Session whose key set's DEK is meant.
        session: SessionId,
        /// Padded plain data.
        data: &'a [u8],
    },
    /// Write the data field of a PUT KEY that brings a whole new key set to the card. Answer: [`KeyAnswer::Bytes`].
    ExportKeys {
        /// Session whose key set's DEK protects the new keys.
        session: SessionId,
        /// The new keys.
        key: KeyRef,
        /// The version they get.
        version: u8,
        /// Diversification data of the card.
        key_diversification: [u8; 10],
    },
    /// Write the key data field of a PUT KEY for one key. Answer: [`KeyAnswer::Bytes`], the field with its check value; the new version
    /// goes before it. A secret key leaves the store only encrypted.
    WrapKey {
        /// Session whose key set's DEK protects the new key.
        session: SessionId,
        /// The new key.
        key: KeyHandle,
        /// What it is to be on the card: the public half of a private key, [`KeyType::Psk`] of an AES key.
        key_type: KeyType,
    },
    /// Take a value from a zone between issuer and TSM to the card. Answer: [`KeyAnswer::Bytes`], the same under the session's DEK.
    Reencrypt {
        /// Session whose key set's DEK is meant.
        session: SessionId,
        /// The zone's key.
        zone: KeyHandle,
        /// The value.
        value: ZoneValue<'a>,
    },
    /// Take a PIN from a zone between issuer and TSM to the card. Answer: [`KeyAnswer::Bytes`], a block of format 2 (the reference PIN
    /// of grouping 8010) under the session's DEK.
    TranslatePinBlock {
        /// Session whose key set's DEK is meant.
        session: SessionId,
        /// The zone's PIN key.
        zone: KeyHandle,
        /// The PIN.
        pin: PinBlock<'a>,
    },
    /// Sign what a command of content management says, for an issuer that delegates it. Answer: [`KeyAnswer::Bytes`], the token.
    SignToken {
        /// Token key.
        key: KeyHandle,
        /// [`token::header`](crate::token::header) ‖ the fields.
        message: &'a [u8],
    },
    /// Check what a card confirms. Answer: [`KeyAnswer::Bytes`], empty, or [`KeyError::Signature`].
    VerifyReceipt {
        /// Receipt key.
        key: KeyHandle,
        /// What the receipt covers, see [`crate::token`].
        message: &'a [u8],
        /// Receipt.
        receipt: &'a [u8],
    },
    /// Forget a session. Answer: [`KeyAnswer::Bytes`], empty.
    Close(SessionId),
}

impl fmt::Debug for KeyRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(self.name());
        match self {
            Self::Open(request) | Self::OpenAhead(request) => shown.field("request", request),
            Self::OpenImplicit(request) => shown.field("request", request),
            Self::BeginScp11 { request, certificates } | Self::Scp11Ahead { request, certificates, .. } => {
                shown.field("request", request).field("certificates", &Hidden(certificates))
            }
            Self::FinishScp11 { session, answer } => {
                shown.field("session", session).field("answer", &Hidden(answer))
            }
            Self::Wrap { session, command } => {
                shown.field("session", session).field("command", &HiddenData(command))
            }
            Self::Unwrap { session, response } => {
                shown.field("session", session).field("response", &Hidden(response))
            }
            Self::Encrypt { session, data } => shown.field("session", session).field("data", &Hidden(data)),
            Self::ExportKeys { session, key, version, key_diversification } => shown
                .field("session", session)
                .field("key", key)
                .field("version", version)
                .field("key_diversification", key_diversification),
            Self::WrapKey { session, key, key_type } => {
                shown.field("session", session).field("key", key).field("key_type", key_type)
            }
            Self::Reencrypt { session, zone, value } => {
                shown.field("session", session).field("zone", zone).field("value", value)
            }
            Self::TranslatePinBlock { session, zone, pin } => {
                shown.field("session", session).field("zone", zone).field("pin", pin)
            }
            Self::SignToken { key, message } => shown.field("key", key).field("message", &Hidden(message)),
            Self::VerifyReceipt { key, message, receipt } => {
                shown.field("key", key).field("message", &Hidden(message)).field("receipt", &Hidden(receipt))
            }
            Self::Close(session) => shown.field("session", session),
        };
        shown.finish()
    }
}

impl KeyRequest<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "Open",
            Self::OpenAhead(_) => "OpenAhead",
            Self::OpenImplicit(_) => "OpenImplicit",
            Self::BeginScp11 { .. } => "BeginScp11",
            Self::FinishScp11 { .. } => "FinishScp11",
            Self::Scp11Ahead { .. } => "Scp11Ahead",
            Self::Wrap { .. } => "Wrap",
            Self::Unwrap { .. } => "Unwrap",
            Self::Encrypt { .. } => "Encrypt",
            Self::ExportKeys { .. } => "ExportKeys",
            Self::WrapKey { .. } => "WrapKey",
            Self::Reencrypt { .. } => "Reencrypt",
            Self::TranslatePinBlock { .. } => "TranslatePinBlock",
            Self::SignToken { .. } => "SignToken",
            Self::VerifyReceipt { .. } => "VerifyReceipt",
            Self::Close(_) => "Close",
        }
    }
}
