//! The card's end of a secure channel. [GPC D, AmdD 6]
//!
//! | state | event | answer | next state |
//! |---|---|---|---|
//! | any | INITIALIZE UPDATE, key set unknown | 6A88 | none |
//! | any | INITIALIZE UPDATE, counter at its end | 6985 | none |
//! | any | INITIALIZE UPDATE | 9000 | init, the former session is gone |
//! | init | any other command | as without a session | none, the challenge is forgotten |
//! | none, open, aborted | EXTERNAL AUTHENTICATE | 6985 | none |
//! | init | EXTERNAL AUTHENTICATE, level not allowed | 6A86 | none |
//! | init | EXTERNAL AUTHENTICATE, host cryptogram wrong | 6300 | none, counter spent |
//! | init | EXTERNAL AUTHENTICATE, MAC wrong | 6982 | none |
//! | open | protection wrong or missing, more than agreed | 6982 | aborted, keys erased |
//! | open | command fails with good protection | its status word | open, counters advance |
//! | aborted | protected command | 6982 | aborted |
//!
//! The session lives in the volatile slot as bytes, so it ends with power, deselection and the channel. [`Session`] is public for
//! applications that hold keys of their own; the card manager uses the same.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Protection, ResponseWriter, SecureChannel};
use huiwan_crypto::{CryptoError, ct_eq, mac};
use zeroize::Zeroize;

use crate::initialize_update::{Answer, KEY_DIVERSIFICATION_LEN};
use crate::scp03::{
    CHALLENGE_LEN, Level, MAC_LEN, Options, SessionKeys, StaticKeys, c_enc, c_mac, challenge::Counter,
    cryptogram, r_enc, r_mac, session_keys,
};

/// Bytes of a session in the volatile slot.
pub const SESSION_LEN: usize = 36 + session_keys::RAW_LEN;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    None,
    Init,
    Open,
    Aborted,
}

/// A session, from INITIALIZE UPDATE on.
pub struct Session {
    phase: Phase,
    level: Level,
    options: Options,
    key_version: u8,
    key_len: u8,
    counter: u32,
    chaining: [u8; 16],
    host_cryptogram: [u8; 8],
    raw_keys: [u8; session_keys::RAW_LEN],
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.erase();
    }
}

impl Session {
    /// No session.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            phase: Phase::None,
            level: Level::Authenticated,
            options: Options::I00,
            key_version: 0,
            key_len: 0,
            counter: 0,
            chaining: [0; 16],
            host_cryptogram: [0; 8],
            raw_keys: [0; session_keys::RAW_LEN],
        }
    }

    fn erase(&mut self) {
        self.chaining.zeroize();
        self.host_cryptogram.zeroize();
        self.raw_keys.zeroize();
        self.counter = 0;
        self.key_len = 0;
        self.level = Level::Authenticated;
    }

    /// Ends the session and forgets that there was one.
    pub fn end(&mut self) {
        self.erase();
        self.phase = Phase::None;
        self.key_version = 0;
    }

    fn abort(&mut self) -> Sw {
        self.erase();
        self.phase = Phase::Aborted;
        Sw::SECURITY_STATUS
    }

    /// Reads the session out of the slot; anything that is no session is none.
    #[must_use]
    pub fn load(slot: &[u8]) -> Self {
        Self::try_load(slot).unwrap_or_else(Self::none)
    }

    fn try_load(slot: &[u8]) -> Option<Self> {
        let (&[phase, level, options, key_version, key_len, _, _, _], rest) =
            slot.split_first_chunk::<8>()?;
        let (counter, rest) = rest.split_first_chunk::<4>()?;
        let (chaining, rest) = rest.split_first_chunk::<16>()?;
        let (host_cryptogram, rest) = rest.split_first_chunk::<8>()?;
        let raw_keys = rest.first_chunk()?;
        let phase = match phase {
            1 => Phase::Init,
            2 => Phase::Open,
            3 => Phase::Aborted,
            _ => return None,
        };
        Some(Self {
            phase,
            level: Level::from_byte(level)?,
            options: Options::from_byte(options)?,
            key_version,
            key_len,
            counter: u32::from_be_bytes(*counter),
            chaining: *chaining,
            host_cryptogram: *host_cryptogram,
            raw_keys: *raw_keys,
        })
    }

    /// Writes the session into the slot.
    pub fn store(&self, slot: &mut [u8]) {
        let phase = match self.phase {
            Phase::None => 0,
            Phase::Init => 1,
            Phase::Open => 2,
            Phase::Aborted => 3,
        };
        let head = [phase, self.level.byte(), self.options.byte(), self.key_version, self.key_len, 0, 0, 0];
        let counter = self.counter.to_be_bytes();
        let bytes = head
            .iter()
            .chain(&counter)
            .chain(&self.chaining)
            .chain(&self.host_cryptogram)
            .chain(&self.raw_keys)
            .copied();
        for (to, from) in slot.iter_mut().zip(bytes) {
            *to = from;
        }
    }

    /// The version of the keys that serve this session; 0 without one.
    pub(crate) const fn key_version(&self) -> u8 {
        self.key_version
    }

    /// The keys were replaced under another version; the session goes on.
    pub(crate) fn set_key_version(&mut self, version: u8) {
        self.key_version = version;
    }

    /// Whether a host is authenticated.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The level of an open session.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.is_open().then_some(self.level)
    }

    /// INITIALIZE UPDATE was answered and EXTERNAL AUTHENTICATE did not follow: the challenge is forgotten. [GPC D.1.4]
    pub(crate) fn forget_challenge(&mut self) {
        if self.phase == Phase::Init {
            self.end();
        }
    }

    /// Starts a session; the counter has been raised and made durable already.
    ///
    /// # Errors
    /// [`CryptoError`] if the derivation fails.
    #[allow(clippy::too_many_arguments)]
    pub fn initialize_update(
        &mut self,
        keys: &StaticKeys,
        key_version: u8,
        key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
        options: Options,
        host_challenge: &[u8; CHALLENGE_LEN],
        card_challenge: [u8; CHALLENGE_LEN],
        counter: Counter,
    ) -> Result<Answer, CryptoError> {
        self.end();
        session_keys::derive_raw(keys, host_challenge, &card_challenge, &mut self.raw_keys)?;
        let session = SessionKeys::from_raw(&self.raw_keys, keys.key_len())?;
        self.host_cryptogram = cryptogram::host(&session, host_challenge, &card_challenge)?;
        self.key_len = u8::try_from(keys.key_len()).map_err(|_| CryptoError)?;
        self.key_version = key_version;
        self.options = options;
        self.phase = Phase::Init;
        Ok(Answer {
            key_diversification,
            key_version,
            options,
            card_cryptogram: cryptogram::card(&session, host_challenge, &card_challenge)?,
            card_challenge,
            counter: options.pseudo_random().then_some(counter),
        })
    }

    /// EXTERNAL AUTHENTICATE: the session opens, or there is none.
    ///
    /// # Errors
    /// The status word to answer, see the table of this module.
    pub fn external_authenticate(&mut self, command: &Command<'_>) -> Result<(), Sw> {
        let result = self.verify_host(command);
        if result.is_err() {
            self.end();
        }
        result
    }

    fn verify_host(&mut self, command: &Command<'_>) -> Result<(), Sw> {
        if self.phase != Phase::Init {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let level = Level::from_byte(command.p1())
            .filter(|level| command.p2() == 0 && self.options.allows(*level))
            .ok_or(Sw::WRONG_P1P2)?;
        if !is_gp_protected(command.cla()) {
            return Err(Sw::SECURITY_STATUS);
        }
        let Some((cryptogram, mac)) = command.data().split_first_chunk::<8>() else {
            return Err(Sw::WRONG_LENGTH);
        };
        if mac.len() != MAC_LEN || command.is_extended() {
            return Err(Sw::WRONG_LENGTH);
        }
        if !ct_eq(cryptogram, &self.host_cryptogram) {
            return Err(Sw::new(0x6300));
        }
        let header = c_mac::Header::new(command.header(), cryptogram.len(), false).ok_or(Sw::WRONG_LENGTH)?;
        let keys = self.keys().map_err(|_| Sw::UNKNOWN)?;
        let chaining = c_mac::chain(&keys.mac, &[0; 16], &header, cryptogram);
        if !chaining.first_chunk::<MAC_LEN>().is_some_and(|expected| ct_eq(expected, mac)) {
            return Err(Sw::SECURITY_STATUS);
        }
        self.host_cryptogram.zeroize();
        self.chaining = chaining;
        self.counter = 0;
        self.level = level;
        self.phase = Phase::Open;
        Ok(())
    }

    fn keys(&self) -> Result<SessionKeys, CryptoError> {
        SessionKeys::from_raw(&self.raw_keys, usize::from(self.key_len))
    }

    /// Checks the MAC and advances the session; returns how much of the data is not MAC.
    fn check(&mut self, command: &Command<'_>) -> Result<usize, CryptoError> {
        let (body, mac) = command.data().split_last_chunk::<MAC_LEN>().ok_or(CryptoError)?;
        let header =
            c_mac::Header::new(command.header(), body.len(), command.is_extended()).ok_or(CryptoError)?;
        let keys = self.keys()?;
        let chaining = c_mac::chain(&keys.mac, &self.chaining, &header, body);
        if !chaining.first_chunk::<MAC_LEN>().is_some_and(|expected| ct_eq(expected, mac)) {
            return Err(CryptoError);
        }
        self.counter = self.counter.checked_add(1).ok_or(CryptoError)?;
        self.chaining = chaining;
        Ok(body.len())
    }

    /// Opens once more a command that [`SecureChannel::unwrap`] took, for a later call about the same command.
    ///
    /// # Errors
    /// 6F00 if it is not that command.
    pub fn reopen<'o>(&self, command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw> {
        let body = if self.is_open() && self.level.c_mac() {
            command.data().split_last_chunk::<MAC_LEN>().ok_or(Sw::UNKNOWN)?.0
        } else {
            command.data()
        };
        self.open_body(command, body, out).map_err(|_| Sw::UNKNOWN)
    }

    /// The plain command with data decrypted into `out`.
    fn open_body<'o>(
        &self,
        command: &Command<'_>,
        body: &[u8],
        out: &'o mut [u8],
    ) -> Result<Command<'o>, CryptoError> {
        let plain = out.get_mut(..body.len()).ok_or(CryptoError)?;
        plain.copy_from_slice(body);
        let len = if self.is_open() && self.level.c_enc() {
            c_enc::decrypt(&self.keys()?.enc, self.counter, plain)?
        } else {
            body.len()
        };
        let [cla, ins, p1, p2] = command.header();
        let data = plain.get(..len).ok_or(CryptoError)?;
        let opened = Command::new(c_mac::plain_class(cla), ins, p1, p2)
            .with_data(data)
            .extended(command.is_extended());
        Ok(match command.ne() {
            Some(ne) => opened.with_ne(ne),
            None => opened,
        })
    }
}

/// Secure messaging as GlobalPlatform announces it: exactly b3 in a first class byte, b6 in a further one. [GPC 11.1.4]
fn is_gp_protected(cla: u8) -> bool {
    if cla & 0x40 == 0 { cla & 0x0C == 0x04 } else { cla & 0x20 != 0 }
}

impl SecureChannel for Session {
    fn protection(&self) -> Protection {
        self.level().map_or(Protection::default(), Level::protection)
    }

    fn unwrap<'o>(&mut self, command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw> {
        let protected = c_mac::is_protected(command.cla());
        match self.phase {
            Phase::None | Phase::Init | Phase::Aborted if protected => Err(Sw::SECURITY_STATUS),
            Phase::None | Phase::Init | Phase::Aborted => {
                self.open_body(command, command.data(), out).map_err(|_| Sw::WRONG_LENGTH)
            }
            Phase::Open if protected != self.level.c_mac() => Err(self.abort()),
            Phase::Open if !protected => {
                self.open_body(command, command.data(), out).map_err(|_| Sw::WRONG_LENGTH)
            }
            Phase::Open if !is_gp_protected(command.cla()) => Err(self.abort()),
            Phase::Open => {
                // One answer for every fault: what was wrong is nobody's business. [GPC D.1.4, AmdD 6.2.4]
                let opened = self.check(command).and_then(|len| {
                    let body = command.data().get(..len).ok_or(CryptoError)?;
                    self.open_body(command, body, out)
                });
                opened.map_err(|_| self.abort())
            }
        }
    }

    fn wrap(&mut self, reply: &mut ResponseWriter<'_>, sw: Sw) -> Result<(), Sw> {
        if !self.is_open() || !self.level.r_mac() || !r_mac::is_carried(sw) {
            return Ok(());
        }
        let keys = self.keys().map_err(|_| Sw::UNKNOWN)?;
        let status = sw.value().to_be_bytes();
        let len = ResponseWriter::len(reply);
        let padded = if self.level.r_enc() { c_enc::encrypted_len(len) } else { len };
        let end = padded.checked_add(MAC_LEN).ok_or(Sw::UNKNOWN)?;
        reply.set_len(end)?;
        let whole = reply.as_mut_slice();
        let (data, place) = whole.split_at_mut_checked(padded).ok_or(Sw::UNKNOWN)?;
        let mac = if self.level.r_enc() && padded > 0 {
            c_enc::pad(data, len).map_err(|_| Sw::UNKNOWN)?;
            let icv = r_enc::icv(&keys.enc, self.counter);
            mac::encrypt_then_cmac(&keys.enc, &icv, &keys.rmac, &[&self.chaining], data, &[&status])
                .map_err(|_| Sw::UNKNOWN)?
        } else {
            mac::cmac(&keys.rmac, &[&self.chaining, data, &status])
        };
        place.copy_from_slice(mac.first_chunk::<MAC_LEN>().ok_or(Sw::UNKNOWN)?);
        Ok(())
    }
}
