//! The host's end of a secure channel: a handshake that only a card with the right keys gets through, then a session.
//!
//! ```text
//! AwaitCard ──verify_card──▶ AwaitAcceptance ──accepted──▶ Open ──wrap / unwrap──▶ …
//! ```
//! Each step takes the one before: a failed handshake is gone, and only an open session wraps commands.

use core::fmt;

use huiwan_apdu::{Command, Response, Sw};
use huiwan_crypto::{BlockKey, CryptoError, ct_eq};

use crate::initialize_update::{self, Answer, Proof};
use crate::scp03::{Octets, challenge};
use crate::secure_channel::{Level, Scp, StaticKeysRef, class};

mod frame;
mod scp01;
mod scp02;
mod scp03;
mod scp11;

use self::scp01::Scp01;
use self::scp02::Scp02;
use self::scp03::Scp03;
pub use self::scp11::{AwaitReceipt, verify_card_certificates};

/// Instruction byte of EXTERNAL AUTHENTICATE.
pub const EXTERNAL_AUTHENTICATE: u8 = 0x82;

/// EXTERNAL AUTHENTICATE, ready to send: 21 bytes, or 37 in S16 mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalAuthenticate {
    bytes: [u8; 37],
    len: usize,
}

impl ExternalAuthenticate {
    /// Takes a command made elsewhere, by an HSM; `None` if it has more than 37 bytes.
    #[must_use]
    pub fn new(command: &[u8]) -> Option<Self> {
        let mut bytes = [0; 37];
        bytes.get_mut(..command.len())?.copy_from_slice(command);
        Some(Self { bytes, len: command.len() })
    }

    /// The command.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Why a session gave no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// A card's proof or a response's protection is wrong, or the session already ended for that reason.
    NotAuthentic,
    /// The command's data with its protection is longer than its form (short or extended) can carry.
    TooLong,
    /// The output buffer is too small; the whole size needed.
    Full {
        /// Bytes needed.
        needed: usize,
    },
    /// A response was given although no command is waiting for one, or the response has no status word.
    OutOfTurn,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthentic => f.write_str("secure channel is not authentic and closed"),
            Self::TooLong => {
                f.write_str("command data with its protection is too long for the command's form")
            }
            Self::Full { needed } => write!(f, "output buffer is too small, {needed} bytes needed"),
            Self::OutOfTurn => f.write_str("response without a command or without a status word"),
        }
    }
}

impl core::error::Error for SessionError {}

impl From<CryptoError> for SessionError {
    fn from(_: CryptoError) -> Self {
        Self::NotAuthentic
    }
}

/// INITIALIZE UPDATE is on its way; the card has proved nothing yet.
#[derive(Debug)]
pub struct AwaitCard {
    host_challenge: Octets,
    scp01: crate::scp01::Options,
    scp02: crate::scp02::Options,
}

impl AwaitCard {
    /// Starts a handshake. The challenge must be fresh: with a predictable card challenge, a repeated host challenge and counter give
    /// the same session keys.
    ///
    /// 8 bytes for SCP01, SCP02 and SCP03 in S8 mode, 16 for S16: that must be known before the card answers.
    #[must_use]
    pub fn new(host_challenge: impl Into<Octets>) -> Self {
        Self {
            host_challenge: host_challenge.into(),
            scp01: crate::scp01::Options::default(),
            // What nearly every card has, R-MAC for those that allow it: a card that does not refuses the level itself.
            scp02: crate::scp02::Options::I35,
        }
    }

    /// The same for a card whose SCP02 is like this, as its answer does not tell; without it: as i = 15, with R-MAC if the level wants it.
    #[must_use]
    pub fn with_scp02(self, scp02: crate::scp02::Options) -> Self {
        Self { scp02, ..self }
    }

    /// The same for a card whose SCP01 is like this; without it: i = 05.
    #[must_use]
    pub fn with_scp01(self, scp01: crate::scp01::Options) -> Self {
        Self { scp01, ..self }
    }

    /// The INITIALIZE UPDATE command; key version 00 asks for the card's first key set. The channel is in `cla` (80 to 83).
    #[must_use]
    pub fn command(&self, cla: u8, key_version: u8) -> Command<'_> {
        Command::new(cla, initialize_update::INS, key_version, 0x00)
            .with_data(self.host_challenge.as_bytes())
            .with_ne(huiwan_apdu::Ne::MAX_SHORT)
    }

    /// The protocol a card speaks that gave this answer.
    #[must_use]
    pub fn protocol(&self, answer: &Answer) -> Scp {
        match answer.proof {
            Proof::Scp01 { .. } => Scp::Scp01(self.scp01),
            Proof::Scp02 { .. } => Scp::Scp02(self.scp02),
            Proof::Scp03 { options, .. } => Scp::Scp03(options),
        }
    }

    /// Verifies the card cryptogram and prepares EXTERNAL AUTHENTICATE for the level wanted. The card's answer decides the protocol.
    ///
    /// # Errors
    /// [`SessionError::NotAuthentic`] if the card does not hold these keys, keys of another algorithm among them;
    /// [`SessionError::OutOfTurn`] if its options do not allow the level. The handshake is over in both cases.
    pub fn verify_card<'k>(
        self,
        cla: u8,
        answer: &Answer,
        keys: impl Into<StaticKeysRef<'k>>,
        level: Level,
    ) -> Result<AwaitAcceptance, SessionError> {
        if !self.protocol(answer).allows(level) {
            return Err(SessionError::OutOfTurn);
        }
        let header = [class::plain_class(cla), EXTERNAL_AUTHENTICATE, level.byte(), 0];
        let host_challenge = self.host_challenge.as_bytes();
        let short = || <&[u8; 8]>::try_from(host_challenge).map_err(|_| SessionError::NotAuthentic);
        let proven = |expected: &[u8], got: &[u8]| {
            if ct_eq(expected, got) { Ok(()) } else { Err(SessionError::NotAuthentic) }
        };
        let mut bytes = [0; 37];
        // EXTERNAL AUTHENTICATE is the first command under a C-MAC, whatever the level says of those that follow; it is not encrypted.
        let (messaging, len) = match (keys.into(), answer.proof) {
            (StaticKeysRef::Des(keys), Proof::Scp01 { card_challenge, card_cryptogram }) => {
                let keys = crate::scp01::SessionKeys::derive(keys, short()?, &card_challenge)?;
                proven(&crate::scp01::card_cryptogram(&keys, short()?, &card_challenge), &card_cryptogram)?;
                let host = crate::scp01::host_cryptogram(&keys, short()?, &card_challenge);
                let mut session = Scp01 { options: self.scp01, keys, previous: None };
                let len = session.wrap(Level::CMac, &command(header, &host), &mut bytes)?;
                (Messaging::Scp01(session), len)
            }
            (StaticKeysRef::Des(keys), Proof::Scp02 { sequence, card_challenge, card_cryptogram }) => {
                let keys = crate::scp02::SessionKeys::derive(keys, sequence)?;
                let expected = crate::scp02::cryptogram::card(&keys, short()?, sequence, &card_challenge);
                proven(&expected, &card_cryptogram)?;
                let host = crate::scp02::cryptogram::host(&keys, short()?, sequence, &card_challenge);
                let (len, c_mac) =
                    scp02::authenticate(self.scp02, &keys, &command(header, &host), &mut bytes)?;
                (Messaging::Scp02(Scp02::explicit(self.scp02, keys, level, c_mac)), len)
            }
            (StaticKeysRef::Aes(keys), Proof::Scp03 { options, card_challenge, card_cryptogram, .. })
                if options.mode() == self.host_challenge.mode() =>
            {
                let card_challenge = card_challenge.as_bytes();
                let keys = crate::scp03::SessionKeys::derive(keys, host_challenge, card_challenge)?;
                let (expected, host) =
                    crate::scp03::cryptogram::both(&keys.mac, host_challenge, card_challenge)?;
                proven(expected.as_bytes(), card_cryptogram.as_bytes())?;
                let mode = options.mode();
                let mut session = Scp03 { keys, mode, chaining: [0; 16], counter: 0, dek: None };
                let len = session.wrap(Level::CMac, &command(header, host.as_bytes()), &mut bytes)?;
                // Commands are counted from the one behind.
                session.counter = 0;
                (Messaging::Scp03(session), len)
            }
            _ => return Err(SessionError::NotAuthentic),
        };
        Ok(AwaitAcceptance {
            open: Open { messaging, level, state: State::Idle },
            command: ExternalAuthenticate { bytes, len },
        })
    }

    /// Whether the card challenge is the one its counter gives on this application: true for an honest card with a predictable
    /// challenge, `None` if the challenge is random or the keys are of another algorithm.
    #[must_use]
    pub fn challenge_is_expected<'k>(
        answer: &Answer,
        keys: impl Into<StaticKeysRef<'k>>,
        aid: &[u8],
    ) -> Option<bool> {
        match (keys.into(), answer.proof) {
            (
                StaticKeysRef::Aes(keys),
                Proof::Scp03 { options, card_challenge, counter: Some(counter), .. },
            ) => {
                let expected = challenge::pseudo_random(keys, counter, aid, options.mode());
                Some(expected.is_ok_and(|expected| ct_eq(expected.as_bytes(), card_challenge.as_bytes())))
            }
            // Whether the card's is meant to be predictable only its "i" knows.
            (StaticKeysRef::Des(keys), Proof::Scp02 { sequence, card_challenge, .. }) => {
                let keys = crate::scp02::SessionKeys::derive(keys, sequence).ok()?;
                Some(ct_eq(&crate::scp02::challenge::predictable(&keys, aid), &card_challenge))
            }
            _ => None,
        }
    }
}

/// A command with data and nothing expected.
fn command([cla, ins, p1, p2]: [u8; 4], data: &[u8]) -> Command<'_> {
    Command::new(cla, ins, p1, p2).with_data(data)
}

/// The card is authentic; EXTERNAL AUTHENTICATE is to be sent.
#[derive(Debug)]
pub struct AwaitAcceptance {
    open: Open,
    command: ExternalAuthenticate,
}

impl AwaitAcceptance {
    /// EXTERNAL AUTHENTICATE, ready to send.
    #[must_use]
    pub fn command(&self) -> &[u8] {
        self.command.as_bytes()
    }

    /// The same as a value of its own.
    #[must_use]
    pub const fn external_authenticate(&self) -> ExternalAuthenticate {
        self.command
    }

    /// Opens the session if the card took the host for authentic.
    ///
    /// # Errors
    /// [`SessionError::NotAuthentic`] for any status but 9000.
    pub fn accepted(self, sw: Sw) -> Result<Open, SessionError> {
        if sw.is_ok() { Ok(self.open) } else { Err(SessionError::NotAuthentic) }
    }

    /// The session without the card's word, for scripts written before the card is at hand.
    #[must_use]
    pub fn presumed(self) -> Open {
        self.open
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    AwaitResponse,
    Dead,
}

#[derive(Debug)]
enum Messaging {
    Scp01(Scp01),
    Scp02(Scp02),
    Scp03(Scp03),
}

/// An open session. It ends itself at the first response that is not authentic; there is no way back but a new handshake.
#[derive(Debug)]
pub struct Open {
    messaging: Messaging,
    level: Level,
    state: State,
}

impl Open {
    /// An SCP02 session with implicit initiation: the first command under a C-MAC opens it. [GPC E.1.2.2]
    ///
    /// `sequence` is the card's counter (GET DATA C1), `aid` that of the application selected.
    ///
    /// # Errors
    /// [`SessionError::OutOfTurn`] if "i" says that initiation is explicit, [`SessionError::NotAuthentic`] at the counter's end.
    pub fn implicit(
        options: crate::scp02::Options,
        keys: &crate::scp02::StaticKeys,
        sequence: crate::scp02::Sequence,
        aid: &[u8],
    ) -> Result<Self, SessionError> {
        if options.explicit() {
            return Err(SessionError::OutOfTurn);
        }
        let keys = crate::scp02::SessionKeys::derive(keys, sequence)?;
        let messaging = Messaging::Scp02(Scp02::implicit(options, keys, aid));
        Ok(Self { messaging, level: Level::CMac, state: State::Idle })
    }

    /// The level agreed.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Whether the session ended.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Protects a plain command. The session moves on only if this succeeds.
    ///
    /// In an SCP02 session BEGIN and END R-MAC SESSION are commands like others; the session follows them.
    ///
    /// # Errors
    /// [`SessionError::TooLong`] and [`SessionError::Full`] change nothing; [`SessionError::NotAuthentic`] if the session is over.
    pub fn wrap<'o>(&mut self, command: &Command<'_>, out: &'o mut [u8]) -> Result<&'o [u8], SessionError> {
        if self.state == State::Dead {
            return Err(SessionError::NotAuthentic);
        }
        let level = self.level;
        let len = match &mut self.messaging {
            Messaging::Scp02(session) => session.wrap(level, command, out)?,
            Messaging::Scp01(session) if level.c_mac() => session.wrap(level, command, out)?,
            Messaging::Scp03(session) if level.c_mac() => session.wrap(level, command, out)?,
            Messaging::Scp01(_) | Messaging::Scp03(_) => {
                command.write(out).map_err(|full| SessionError::Full { needed: full.needed })?.len()
            }
        };
        self.state = State::AwaitResponse;
        Ok(out.get(..len).unwrap_or_default())
    }

    /// Checks and opens the response (data ‖ SW) to the last command; plain data goes into `out`.
    ///
    /// Errors (6xxx other than the warnings 62xx and 63xx) come without protection and must carry no data. [GPC E.4.5, AmdD 6.2.5]
    ///
    /// # Errors
    /// [`SessionError::NotAuthentic`] ends the session; [`SessionError::Full`] and [`SessionError::OutOfTurn`] change nothing.
    pub fn unwrap<'o>(&mut self, response: &[u8], out: &'o mut [u8]) -> Result<Response<'o>, SessionError> {
        match self.state {
            State::Dead => return Err(SessionError::NotAuthentic),
            State::Idle => return Err(SessionError::OutOfTurn),
            State::AwaitResponse => {}
        }
        let (wire, sw) = response.split_last_chunk::<2>().ok_or(SessionError::OutOfTurn)?;
        let sw = Sw::new(u16::from_be_bytes(*sw));
        if wire.len() > out.len() {
            return Err(SessionError::Full { needed: wire.len() });
        }
        let opened = match &mut self.messaging {
            Messaging::Scp01(_) => Scp01::unwrap(wire, out),
            Messaging::Scp02(session) => session.unwrap(wire, sw, out),
            Messaging::Scp03(session) => session.unwrap(self.level, wire, sw, out),
        };
        match opened {
            Ok(len) => {
                self.state = State::Idle;
                Ok(Response::new(out.get(..len).unwrap_or_default(), sw))
            }
            Err(CryptoError) => {
                self.state = State::Dead;
                Err(SessionError::NotAuthentic)
            }
        }
    }

    /// Encrypts whole blocks of sensitive data in place: under the session's own data encryption key where the protocol derives one
    /// (SCP02, SCP11), else under the static one, which is `keys`'s. [GPC D.3, E.4.7, AmdD 6.2.8]
    ///
    /// # Errors
    /// [`CryptoError`] if it is no whole number of blocks, or SCP03 comes without static keys of AES.
    pub fn encrypt_sensitive(
        &self,
        keys: Option<StaticKeysRef<'_>>,
        data: &mut [u8],
    ) -> Result<(), CryptoError> {
        match (&self.messaging, keys) {
            (Messaging::Scp01(session), _) => session.keys.dek.encrypt_ecb(data),
            (Messaging::Scp02(session), _) if session.options().explicit() => {
                session.keys().dek.encrypt_ecb(data)
            }
            (Messaging::Scp02(session), _) => session.keys().dek.encrypt_cbc(&[0; 8], data),
            (Messaging::Scp03(Scp03 { dek: Some(dek), .. }), _) => dek.encrypt_cbc(&[0; 16], data),
            (Messaging::Scp03(_), Some(StaticKeysRef::Aes(keys))) => keys.dek().encrypt_cbc(&[0; 16], data),
            (Messaging::Scp03(_), _) => Err(CryptoError),
        }
    }

    /// Bytes of a block of the cipher sensitive data is encrypted with.
    #[must_use]
    pub const fn block_len(&self) -> usize {
        match self.messaging {
            Messaging::Scp01(_) | Messaging::Scp02(_) => 8,
            Messaging::Scp03(_) => 16,
        }
    }
}
