//! What a key store is asked.

use huiwan_apdu::Aid;

#[cfg(doc)]
use super::{KeyAnswer, KeyError};
use super::{KeyHandle, KeyRef, SessionId};
use crate::host::secure_channel::AwaitCard;
use crate::initialize_update::Answer;
use crate::scp03::Octets;
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

/// One secret operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRequest<'a> {
    /// Verify the card cryptogram and prepare EXTERNAL AUTHENTICATE. Answer: [`KeyAnswer::Opened`].
    Open(OpenRequest),
    /// The same for a card that is not at hand and whose challenge a counter tells, for scripts made ahead of time. Of the answer
    /// the challenge and the cryptogram do not count. Answer: [`KeyAnswer::Opened`].
    OpenAhead(OpenRequest),
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
