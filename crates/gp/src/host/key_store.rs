//! Keys behind a trait: a manager never holds one, it asks a [`KeyStore`], which may be an HSM across a network.
//!
//! Every secret operation is a [`KeyRequest`] the manager's step hands out and a [`KeyAnswer`] it is given back, so that several
//! cards can wait for one HSM at once. [`KeyStore::answer`] joins the two for blocking callers. [`SoftKeyStore`] keeps keys in
//! memory, for tests, examples and small issuers.
//!
//! | an HSM does | request |
//! |---|---|
//! | derive a card's keys, agree on a session, check the card and prove the host | [`KeyRequest::Open`], ahead [`KeyRequest::OpenAhead`] |
//! | the same without a handshake | [`KeyRequest::OpenImplicit`] |
//! | check certificates, agree by elliptic curves, check the receipt | [`KeyRequest::BeginScp11`], [`KeyRequest::FinishScp11`], ahead [`KeyRequest::Scp11Ahead`] |
//! | protect commands, check responses | [`KeyRequest::Wrap`], [`KeyRequest::Unwrap`] |
//! | encrypt under a session's DEK | [`KeyRequest::Encrypt`] |
//! | the same with what comes encrypted from the issuer | [`KeyRequest::Reencrypt`], [`KeyRequest::TranslatePinBlock`] |
//! | wrap keys for PUT KEY | [`KeyRequest::ExportKeys`], [`KeyRequest::WrapKey`] |
//! | sign tokens, check receipts | [`KeyRequest::SignToken`], [`KeyRequest::VerifyReceipt`] |
//!
//! A store of one's own implements what it can do; what it leaves out is [`KeyError::Unavailable`]. Those below every channel needs.
//!
//! ```
//! use huiwan_gp::host::key_store::OpenRequest;
//! use huiwan_gp::host::secure_channel::ExternalAuthenticate;
//! use huiwan_gp::host::{KeyAnswer, KeyError, KeyRef, KeyRequest, KeyStore, SessionId, SoftKeyStore};
//!
//! /// Asks an HSM; here one in memory.
//! struct Hsm(SoftKeyStore<2, 8>);
//!
//! impl KeyStore for Hsm {
//!     fn open(&mut self, request: &OpenRequest) -> Result<(SessionId, ExternalAuthenticate), KeyError> {
//!         self.0.open(request) // compares the card cryptogram inside, and answers the host's
//!     }
//!     fn wrap<'o>(&mut self, id: SessionId, command: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
//!         self.0.wrap(id, command, out)
//!     }
//!     fn unwrap<'o>(&mut self, id: SessionId, response: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
//!         self.0.unwrap(id, response, out)
//!     }
//!     fn encrypt<'o>(&mut self, id: SessionId, data: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
//!         self.0.encrypt(id, data, out)
//!     }
//!     fn export_keys<'o>(
//!         &mut self,
//!         id: SessionId,
//!         key: KeyRef,
//!         version: u8,
//!         key_diversification: &[u8; 10],
//!         out: &'o mut [u8],
//!     ) -> Result<&'o [u8], KeyError> {
//!         self.0.export_keys(id, key, version, key_diversification, out)
//!     }
//!     fn close(&mut self, id: SessionId) {
//!         self.0.close(id);
//!     }
//! }
//!
//! let mut hsm = Hsm(SoftKeyStore::new());
//! let request = KeyRequest::Wrap { session: SessionId(1), command: &[0x80, 0xCA, 0x00, 0xE0, 0x00] };
//! assert_eq!(hsm.answer(&request, &mut [0; 64]), KeyAnswer::Refused(KeyError::UnknownSession));
//! ```

use core::fmt;

use super::hidden::{Hidden, HiddenData};
use super::secure_channel::{ExternalAuthenticate, SessionError};
use crate::diversification::Scheme;
use crate::put_key::KeyType;

mod pin_block;
mod request;
mod soft;

pub use pin_block::PinFormat;
pub use request::{Chaining, ImplicitRequest, KeyRequest, OpenRequest, PinBlock, Scp11Request, ZoneValue};
pub use soft::{NoRandom, SingleKey, SoftKeyStore};

/// The store's own name for a card's key set, or for the master key it is derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyRef {
    /// Which key or key set.
    pub id: u32,
    /// How the card's keys follow from it.
    pub derivation: Derivation,
}

impl KeyRef {
    /// A key set used as it is.
    #[must_use]
    pub const fn direct(id: u32) -> Self {
        Self { id, derivation: Derivation::None }
    }

    /// Every card's own keys from three AES master keys.
    #[must_use]
    pub const fn kdf3(id: u32) -> Self {
        Self { id, derivation: Derivation::Kdf3 }
    }
}

/// How a card's keys follow from a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Derivation {
    /// Not at all: the named key set is the card's.
    #[default]
    None,
    /// Each key of the named set is a triple DES master key; the card's follow by this scheme from the diversification data of its
    /// INITIALIZE UPDATE answer.
    Des(Scheme),
    /// The same for AES, by [`kdf3`](crate::diversification::kdf3).
    Kdf3,
}

/// The store's name for an open session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u32);

/// The store's name for a key that stands alone: of tokens or receipts, for instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHandle(pub u32);

/// The answer to a [`KeyRequest`]. Of its bytes it prints the number only: those of an opened response may be secret.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAnswer<'a> {
    /// The card is authentic; the session is ready for use once the card accepted this EXTERNAL AUTHENTICATE.
    Opened {
        /// Session.
        session: SessionId,
        /// Command to send.
        external_authenticate: ExternalAuthenticate,
    },
    /// The session is ready for use.
    Ready(SessionId),
    /// The card's certificates are good, and a session has begun.
    Agreeing {
        /// Session.
        session: SessionId,
        /// Data of MUTUAL or INTERNAL AUTHENTICATE.
        data: &'a [u8],
    },
    /// Bytes.
    Bytes(&'a [u8]),
    /// No.
    Refused(KeyError),
}

impl fmt::Debug for KeyAnswer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { session, external_authenticate } => {
                let mut shown = f.debug_struct("Opened");
                let command = HiddenData(external_authenticate.as_bytes());
                shown.field("session", session).field("external_authenticate", &command).finish()
            }
            Self::Ready(session) => f.debug_tuple("Ready").field(session).finish(),
            Self::Agreeing { session, data } => {
                f.debug_struct("Agreeing").field("session", session).field("data", &Hidden(data)).finish()
            }
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&Hidden(bytes)).finish(),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
        }
    }
}

/// Why a key store refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The card cryptogram is wrong.
    CardCryptogram,
    /// A certificate of the card is none of the authority's.
    Certificate,
    /// The card's receipt of SCP11 is wrong.
    CardReceipt,
    /// A response's protection is wrong; the session is over.
    NotAuthentic,
    /// A receipt is wrong.
    Signature,
    /// A PIN block has no PIN in it, as its format, account number or key is another.
    PinBlock,
    /// The store knows no such key.
    UnknownKey,
    /// The store knows no such session.
    UnknownSession,
    /// The card's options do not allow the level wanted.
    Level,
    /// The key is of another algorithm than the card's protocol, or of one that does not do what is asked.
    Algorithm,
    /// The command with its protection is too long.
    TooLong,
    /// The store has no room: a session slot or the output buffer.
    Full,
    /// The store did not answer, or refused for reasons of its own.
    Unavailable,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CardCryptogram => "card cryptogram is wrong",
            Self::Certificate => "card certificate is wrong",
            Self::CardReceipt => "card receipt is wrong",
            Self::NotAuthentic => "response is not authentic",
            Self::Signature => "signature is wrong",
            Self::PinBlock => "pin block has no pin in it",
            Self::UnknownKey => "key is not in the store",
            Self::UnknownSession => "session is not open",
            Self::Algorithm => "key is of another algorithm than the card's secure channel",
            Self::Level => "card does not allow this security level",
            Self::TooLong => "command is too long with its protection",
            Self::Full => "key store has no room",
            Self::Unavailable => "key store is not available",
        })
    }
}

impl core::error::Error for KeyError {}

impl From<SessionError> for KeyError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotAuthentic | SessionError::OutOfTurn => Self::NotAuthentic,
            SessionError::TooLong => Self::TooLong,
            SessionError::Full { .. } => Self::Full,
        }
    }
}

/// Where the issuer's keys are. One method per [`KeyRequest`].
pub trait KeyStore {
    /// Verifies the card and prepares EXTERNAL AUTHENTICATE.
    ///
    /// # Errors
    /// [`KeyError`].
    fn open(&mut self, request: &OpenRequest) -> Result<(SessionId, ExternalAuthenticate), KeyError>;

    /// Opens a session with a card that is not at hand: what it will answer is computed here, so nobody learns a cryptogram of a
    /// card that has not shown its own.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unavailable`] from a store that does not do this, or if the card's challenge is random.
    fn open_ahead(&mut self, request: &OpenRequest) -> Result<(SessionId, ExternalAuthenticate), KeyError> {
        let _ = request;
        Err(KeyError::Unavailable)
    }

    /// Prepares an SCP02 session with implicit initiation.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unavailable`] from a store that does not do this.
    fn open_implicit(&mut self, request: &ImplicitRequest) -> Result<SessionId, KeyError> {
        let _ = request;
        Err(KeyError::Unavailable)
    }

    /// Verifies the card's certificates and begins an SCP11 session; the data of its authenticate command go into `out`.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Certificate`] if the card's are wrong, [`KeyError::Unavailable`] from a store without SCP11.
    fn begin_scp11<'o>(
        &mut self,
        request: &Scp11Request,
        certificates: &[u8],
        out: &'o mut [u8],
    ) -> Result<(SessionId, &'o [u8]), KeyError> {
        let _ = (request, certificates, out);
        Err(KeyError::Unavailable)
    }

    /// Checks the card's receipt; the session keys stay in here.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::CardReceipt`] if the receipt is wrong.
    fn finish_scp11(&mut self, session: SessionId, answer: &[u8]) -> Result<(), KeyError> {
        let _ = (session, answer);
        Err(KeyError::Unavailable)
    }

    /// Both for a card that is not at hand, in variant c: what it will answer is computed here.
    ///
    /// # Errors
    /// As [`Self::begin_scp11`]; [`KeyError::Algorithm`] for another variant.
    fn scp11_ahead<'o>(
        &mut self,
        request: &Scp11Request,
        certificates: &[u8],
        seed: &[u8; 16],
        out: &'o mut [u8],
    ) -> Result<(SessionId, &'o [u8]), KeyError> {
        let _ = (request, certificates, seed, out);
        Err(KeyError::Unavailable)
    }

    /// Protects a plain command.
    ///
    /// # Errors
    /// [`KeyError`].
    fn wrap<'o>(
        &mut self,
        session: SessionId,
        command: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError>;

    /// Checks and opens a response.
    ///
    /// # Errors
    /// [`KeyError`].
    fn unwrap<'o>(
        &mut self,
        session: SessionId,
        response: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError>;

    /// Encrypts whole blocks under the card's DEK.
    ///
    /// # Errors
    /// [`KeyError`].
    fn encrypt<'o>(
        &mut self,
        session: SessionId,
        data: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError>;

    /// Writes the data field of PUT KEY for a whole new key set.
    ///
    /// # Errors
    /// [`KeyError`].
    fn export_keys<'o>(
        &mut self,
        session: SessionId,
        key: KeyRef,
        version: u8,
        key_diversification: &[u8; 10],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError>;

    /// Writes the key data field of PUT KEY for one key.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Algorithm`] if the key is not of that type, [`KeyError::Unavailable`] from a store that has no such keys.
    fn wrap_key<'o>(
        &mut self,
        session: SessionId,
        key: KeyHandle,
        key_type: KeyType,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let _ = (session, key, key_type, out);
        Err(KeyError::Unavailable)
    }

    /// Takes a value from a zone's key to the card's DEK.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::TooLong`] for a value that is not whole blocks, [`KeyError::Unavailable`] from a store that has no
    /// zones.
    fn reencrypt<'o>(
        &mut self,
        session: SessionId,
        zone: KeyHandle,
        value: &ZoneValue<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let _ = (session, zone, value, out);
        Err(KeyError::Unavailable)
    }

    /// Takes a PIN from a zone's key to the card's DEK.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::PinBlock`] if there is no PIN in the block, [`KeyError::Unavailable`] from a store that has no zones.
    fn translate_pin_block<'o>(
        &mut self,
        session: SessionId,
        zone: KeyHandle,
        pin: &PinBlock<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let _ = (session, zone, pin, out);
        Err(KeyError::Unavailable)
    }

    /// Signs a token with the scheme of the key, see [`crate::token`].
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::Unavailable`] from a store that has no token keys.
    fn sign_token<'o>(
        &mut self,
        key: KeyHandle,
        message: &[u8],
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let _ = (key, message, out);
        Err(KeyError::Unavailable)
    }

    /// Checks a receipt with the scheme of the key, see [`crate::token`].
    ///
    /// # Errors
    /// [`KeyError::Signature`] if it is wrong, [`KeyError::Unavailable`] from a store that has no receipt keys.
    fn verify_receipt(&mut self, key: KeyHandle, message: &[u8], receipt: &[u8]) -> Result<(), KeyError> {
        let _ = (key, message, receipt);
        Err(KeyError::Unavailable)
    }

    /// Forgets a session; nothing happens if there is none.
    fn close(&mut self, session: SessionId);

    /// Answers a request, whatever it is.
    fn answer<'o>(&mut self, request: &KeyRequest<'_>, out: &'o mut [u8]) -> KeyAnswer<'o> {
        let opened = |opened| match opened {
            Ok((session, external_authenticate)) => KeyAnswer::Opened { session, external_authenticate },
            Err(error) => KeyAnswer::Refused(error),
        };
        let agreeing = |agreeing| match agreeing {
            Ok((session, data)) => KeyAnswer::Agreeing { session, data },
            Err(error) => KeyAnswer::Refused(error),
        };
        let ready = |ready: Result<_, _>| ready.map_or_else(KeyAnswer::Refused, KeyAnswer::Ready);
        let bytes = match *request {
            KeyRequest::Open(ref request) => return opened(self.open(request)),
            KeyRequest::OpenAhead(ref request) => return opened(self.open_ahead(request)),
            KeyRequest::OpenImplicit(ref request) => return ready(self.open_implicit(request)),
            KeyRequest::BeginScp11 { ref request, certificates } => {
                return agreeing(self.begin_scp11(request, certificates, out));
            }
            KeyRequest::FinishScp11 { session, answer } => {
                return ready(self.finish_scp11(session, answer).map(|()| session));
            }
            KeyRequest::Scp11Ahead { ref request, certificates, ref seed } => {
                return agreeing(self.scp11_ahead(request, certificates, seed, out));
            }
            KeyRequest::Wrap { session, command } => self.wrap(session, command, out),
            KeyRequest::Unwrap { session, response } => self.unwrap(session, response, out),
            KeyRequest::Encrypt { session, data } => self.encrypt(session, data, out),
            KeyRequest::ExportKeys { session, key, version, ref key_diversification } => {
                self.export_keys(session, key, version, key_diversification, out)
            }
            KeyRequest::WrapKey { session, key, key_type } => self.wrap_key(session, key, key_type, out),
            KeyRequest::Reencrypt { session, zone, ref value } => self.reencrypt(session, zone, value, out),
            KeyRequest::TranslatePinBlock { session, zone, ref pin } => {
                self.translate_pin_block(session, zone, pin, out)
            }
            KeyRequest::SignToken { key, message } => self.sign_token(key, message, out),
            KeyRequest::VerifyReceipt { key, message, receipt } => {
                self.verify_receipt(key, message, receipt).map(|()| &[][..])
            }
            KeyRequest::Close(session) => {
                self.close(session);
                Ok(&[][..])
            }
        };
        match bytes {
            Ok(bytes) => KeyAnswer::Bytes(bytes),
            Err(error) => KeyAnswer::Refused(error),
        }
    }
}
