//! The host's end of a secure channel: a handshake that only a card with the right keys gets through, then a session.
//!
//! ```text
//! AwaitCard ──verify_card──▶ AwaitAcceptance ──accepted──▶ Open ──wrap / unwrap──▶ …
//! ```
//! Each step takes the one before: a failed handshake is gone, and only an open session wraps commands.

use core::fmt;

use huiwan_apdu::{Command, Response, Sw};
use huiwan_crypto::{CryptoError, ct_eq};

use crate::initialize_update::{self, Answer};
use crate::scp03::{
    CHALLENGE_LEN, Level, MAC_LEN, SessionKeys, StaticKeys, c_enc, c_mac, challenge, cryptogram, r_enc, r_mac,
};

/// Bytes of an EXTERNAL AUTHENTICATE command.
pub const EXTERNAL_AUTHENTICATE_LEN: usize = 21;
/// Instruction byte of EXTERNAL AUTHENTICATE.
pub const EXTERNAL_AUTHENTICATE: u8 = 0x82;

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
    host_challenge: [u8; CHALLENGE_LEN],
}

impl AwaitCard {
    /// Starts a handshake. The challenge must be fresh: with a pseudo-random card challenge, a repeated host challenge and
    /// counter give the same session keys.
    #[must_use]
    pub const fn new(host_challenge: [u8; CHALLENGE_LEN]) -> Self {
        Self { host_challenge }
    }

    /// The INITIALIZE UPDATE command; key version 00 asks for the card's first key set. The channel is in `cla` (80 to 83).
    #[must_use]
    pub fn command(&self, cla: u8, key_version: u8) -> Command<'_> {
        Command::new(cla, initialize_update::INS, key_version, 0x00)
            .with_data(&self.host_challenge)
            .with_ne(huiwan_apdu::Ne::MAX_SHORT)
    }

    /// Verifies the card cryptogram and prepares EXTERNAL AUTHENTICATE for the level wanted.
    ///
    /// # Errors
    /// [`SessionError::NotAuthentic`] if the card does not hold these keys; [`SessionError::OutOfTurn`] if its options do not
    /// allow the level. The handshake is over in both cases.
    pub fn verify_card(
        self,
        cla: u8,
        answer: &Answer,
        keys: &StaticKeys,
        level: Level,
    ) -> Result<AwaitAcceptance, SessionError> {
        if !answer.options.allows(level) {
            return Err(SessionError::OutOfTurn);
        }
        let session = SessionKeys::derive(keys, &self.host_challenge, &answer.card_challenge)?;
        let expected = cryptogram::card(&session, &self.host_challenge, &answer.card_challenge)?;
        if !ct_eq(&expected, &answer.card_cryptogram) {
            return Err(SessionError::NotAuthentic);
        }
        let host = cryptogram::host(&session, &self.host_challenge, &answer.card_challenge)?;
        let p1 = level.byte();
        let cla = c_mac::protected_class(cla);
        let header = c_mac::Header::new([cla, EXTERNAL_AUTHENTICATE, p1, 0], host.len(), false)
            .ok_or(SessionError::TooLong)?;
        let chaining = c_mac::chain(&session.mac, &[0; 16], &header, &host);
        let mut command = [0; EXTERNAL_AUTHENTICATE_LEN];
        let parts = [cla, EXTERNAL_AUTHENTICATE, p1, 0, 0x10].into_iter().chain(host).chain(chaining);
        for (to, from) in command.iter_mut().zip(parts) {
            *to = from;
        }
        Ok(AwaitAcceptance {
            open: Open { keys: session, level, chaining, counter: 0, state: State::Idle },
            command,
        })
    }

    /// Whether the card challenge is the one its counter gives on this application: true for an honest card with a
    /// pseudo-random challenge, `None` if the challenge is random.
    #[must_use]
    pub fn challenge_is_expected(answer: &Answer, keys: &StaticKeys, aid: &[u8]) -> Option<bool> {
        answer.counter.map(|counter| {
            challenge::pseudo_random(keys, counter, aid)
                .is_ok_and(|expected| ct_eq(&expected, &answer.card_challenge))
        })
    }
}

/// The card is authentic; EXTERNAL AUTHENTICATE is to be sent.
#[derive(Debug)]
pub struct AwaitAcceptance {
    open: Open,
    command: [u8; EXTERNAL_AUTHENTICATE_LEN],
}

impl AwaitAcceptance {
    /// EXTERNAL AUTHENTICATE, ready to send.
    #[must_use]
    pub const fn command(&self) -> &[u8; EXTERNAL_AUTHENTICATE_LEN] {
        &self.command
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

/// An open session. It ends itself at the first response that is not authentic; there is no way back but a new handshake.
#[derive(Debug)]
pub struct Open {
    keys: SessionKeys,
    level: Level,
    chaining: [u8; 16],
    counter: u32,
    state: State,
}

impl Open {
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
    /// # Errors
    /// [`SessionError::TooLong`] and [`SessionError::Full`] change nothing; [`SessionError::NotAuthentic`] if the session is over.
    pub fn wrap<'o>(&mut self, command: &Command<'_>, out: &'o mut [u8]) -> Result<&'o [u8], SessionError> {
        if self.state == State::Dead {
            return Err(SessionError::NotAuthentic);
        }
        if !self.level.c_mac() {
            let written = command.write(out).map_err(|full| SessionError::Full { needed: full.needed })?;
            self.state = State::AwaitResponse;
            return Ok(written);
        }
        let extended = command.is_extended();
        let plain = command.data();
        let data_len = if self.level.c_enc() { c_enc::encrypted_len(plain.len()) } else { plain.len() };
        let cla = c_mac::protected_class(command.cla());
        let [_, ins, p1, p2] = command.header();
        let header =
            c_mac::Header::new([cla, ins, p1, p2], data_len, extended).ok_or(SessionError::TooLong)?;
        let (head_len, le_len) = match (extended, command.ne().is_some()) {
            (false, le) => (5_usize, usize::from(le)),
            (true, le) => (7, usize::from(le).saturating_mul(2)),
        };
        let body_len = data_len.saturating_add(MAC_LEN);
        let needed = head_len.saturating_add(body_len).saturating_add(le_len);
        let full = SessionError::Full { needed };
        let counter = self.counter.checked_add(1).ok_or(SessionError::NotAuthentic)?;

        let out = out.get_mut(..needed).ok_or(full)?;
        let (head, rest) = out.split_at_mut_checked(head_len).ok_or(full)?;
        let (data, rest) = rest.split_at_mut_checked(data_len).ok_or(full)?;
        let (mac, le) = rest.split_at_mut_checked(MAC_LEN).ok_or(full)?;
        data.get_mut(..plain.len()).ok_or(full)?.copy_from_slice(plain);
        let chaining = if self.level.c_enc() {
            c_enc::pad(data, plain.len())?;
            c_mac::encrypt_and_chain(&self.keys, counter, &self.chaining, &header, data)?
        } else {
            c_mac::chain(&self.keys.mac, &self.chaining, &header, data)
        };
        // The wire header is the one under the MAC with the channel put back into the class byte.
        head.copy_from_slice(header.as_bytes());
        if let Some(first) = head.first_mut() {
            *first = cla;
        }
        mac.copy_from_slice(chaining.first_chunk::<MAC_LEN>().ok_or(full)?);
        if let Some(ne) = command.ne() {
            // 256 and 65536 are written as zeros.
            let [.., high, low] = ne.get().to_be_bytes();
            match le {
                [one] => *one = low,
                [first, second] => (*first, *second) = (high, low),
                _ => {}
            }
        }
        self.chaining = chaining;
        self.counter = counter;
        self.state = State::AwaitResponse;
        Ok(out)
    }

    /// Checks and opens the response (data ‖ SW) to the last command; plain data goes into `out`.
    ///
    /// Errors (6xxx other than the warnings 62xx and 63xx) come without protection and must carry no data. [AmdD 6.2.5]
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
        match self.open_response(wire, sw, out) {
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

    fn open_response(&self, wire: &[u8], sw: Sw, out: &mut [u8]) -> Result<usize, CryptoError> {
        let body = if !self.level.r_mac() {
            wire
        } else if r_mac::is_carried(sw) {
            let (body, mac) = wire.split_last_chunk::<MAC_LEN>().ok_or(CryptoError)?;
            if !ct_eq(&r_mac::compute(&self.keys.rmac, &self.chaining, body, sw), mac) {
                return Err(CryptoError);
            }
            body
        } else if wire.is_empty() {
            wire
        } else {
            return Err(CryptoError);
        };
        let plain = out.get_mut(..body.len()).ok_or(CryptoError)?;
        plain.copy_from_slice(body);
        if self.level.r_enc() { r_enc::decrypt(&self.keys.enc, self.counter, plain) } else { Ok(body.len()) }
    }
}
