//! The card's end of a secure channel: SCP02, SCP03, SCP11. [GPC D, E, AmdD 6]
//!
//! | state | event | answer | next state |
//! |---|---|---|---|
//! | any | INITIALIZE UPDATE, key set unknown | 6A88 | none |
//! | any | PERFORM SECURITY OPERATION, certificate good | 9000 | certified, the former session is gone |
//! | any | the same, certificate bad | 6600, 6640 | none |
//! | certified | MUTUAL AUTHENTICATE | 9000 | open |
//! | any other | MUTUAL AUTHENTICATE | 6985 | none |
//! | any | INTERNAL AUTHENTICATE | 9000 | open to anyone |
//! | any | INITIALIZE UPDATE, counter at its end | 6985 | none |
//! | none | SCP02, implicit initiation: a command with a good C-MAC | its status word | open, counter raised |
//! | any | INITIALIZE UPDATE | 9000 | init, the former session is gone |
//! | init | any other command | as without a session | none, the challenge is forgotten |
//! | none, open, aborted | EXTERNAL AUTHENTICATE | 6985 | none |
//! | init | EXTERNAL AUTHENTICATE, level not allowed | 6A86 | none |
//! | init | EXTERNAL AUTHENTICATE, host cryptogram wrong | 6300 | none; SCP03: counter spent |
//! | init | EXTERNAL AUTHENTICATE, MAC wrong | 6982 | none |
//! | open | protection wrong or missing, more than agreed | 6982 | aborted, keys erased |
//! | open | command fails with good protection | its status word | open, counters advance |
//! | aborted | protected command | 6982 | aborted |
//!
//! The session lives in the volatile slot as bytes, so it ends with power, deselection and the channel. [`Session`] is public for
//! applications that hold keys of their own; the card manager uses the same.

mod dek;
mod scp02;
mod scp03;
mod scp11;

pub(crate) use dek::Dek;
pub(crate) use scp11::Host;
pub use scp11::{CERTIFICATE_NOT_VERIFIED, CardKeys, NOT_ON_WHITELIST, verify_host_certificates};

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Protection, ResponseWriter, SecureChannel};
use huiwan_crypto::CryptoError;

use crate::initialize_update::{Answer, KEY_DIVERSIFICATION_LEN, Proof};
use crate::scp02::r_mac;
use crate::scp03::{Octets, challenge::Counter};
use crate::secure_channel::{Level, class};

/// Bytes of a session in the volatile slot.
pub const SESSION_LEN: usize = HEAD_LEN + if scp02::LEN > scp03::LEN { scp02::LEN } else { scp03::LEN };
/// Bytes of the part all protocols share.
const HEAD_LEN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    None,
    Init,
    Open,
    /// Open to a host that did not say who it is: SCP11b.
    OpenToAnyone,
    Aborted,
    /// Certificates of a host were good so far: SCP11a and c.
    Certified,
}

/// What the protocol of a session remembers, keys among it.
enum Body {
    None,
    Scp02(scp02::State),
    Scp03(scp03::State),
    Host(Host),
}

/// A session, from INITIALIZE UPDATE on.
pub struct Session {
    phase: Phase,
    level: Level,
    key_version: u8,
    body: Body,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("phase", &self.phase)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// No session.
    #[must_use]
    pub const fn none() -> Self {
        Self { phase: Phase::None, level: Level::Authenticated, key_version: 0, body: Body::None }
    }

    /// Ends the session and forgets that there was one.
    pub fn end(&mut self) {
        *self = Self::none();
    }

    fn abort(&mut self) -> Sw {
        self.body = Body::None;
        self.level = Level::Authenticated;
        self.phase = Phase::Aborted;
        Sw::SECURITY_STATUS
    }

    /// Reads the session out of the slot; anything that is no session is none.
    #[must_use]
    pub fn load(slot: &[u8]) -> Self {
        Self::try_load(slot).unwrap_or_else(Self::none)
    }

    fn try_load(slot: &[u8]) -> Option<Self> {
        let (&[phase, protocol, level, key_version], rest) = slot.split_first_chunk::<HEAD_LEN>()?;
        let body = match protocol {
            crate::scp02::SCP => Body::Scp02(scp02::State::load(rest)?),
            crate::scp03::SCP => Body::Scp03(scp03::State::load(rest)?),
            crate::scp11::SCP => Body::Host(Host::load(rest)?),
            _ => Body::None,
        };
        let phase = match (phase, &body) {
            (1, Body::Scp02(_) | Body::Scp03(_)) => Phase::Init,
            (2, Body::Scp02(_) | Body::Scp03(_)) => Phase::Open,
            (3, Body::None) => Phase::Aborted,
            (4, Body::Scp03(_)) => Phase::OpenToAnyone,
            (5, Body::Host(_)) => Phase::Certified,
            _ => return None,
        };
        Some(Self { phase, level: Level::from_byte(level)?, key_version, body })
    }

    /// Writes the session into the slot.
    pub fn store(&self, slot: &mut [u8]) {
        let phase = match self.phase {
            Phase::None => 0,
            Phase::Init => 1,
            Phase::Open => 2,
            Phase::Aborted => 3,
            Phase::OpenToAnyone => 4,
            Phase::Certified => 5,
        };
        let len = slot.len().min(SESSION_LEN);
        let Some((head, rest)) =
            slot.get_mut(..len).and_then(|slot| slot.split_first_chunk_mut::<HEAD_LEN>())
        else {
            return;
        };
        rest.fill(0);
        let protocol = match &self.body {
            Body::None => 0,
            Body::Scp02(state) => {
                state.store(rest);
                crate::scp02::SCP
            }
            Body::Scp03(state) => {
                state.store(rest);
                crate::scp03::SCP
            }
            Body::Host(host) => {
                host.store(rest);
                crate::scp11::SCP
            }
        };
        *head = [phase, protocol, self.level.byte(), self.key_version];
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

    /// Whether commands and answers are protected, by a host authenticated or not.
    pub(crate) const fn is_protecting(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::OpenToAnyone)
    }

    /// Whether there never was a session since the last one ended orderly.
    pub(crate) fn is_none(&self) -> bool {
        self.phase == Phase::None
    }

    /// Whether this is an SCP02 session, whose counter is raised when it opens.
    pub(crate) const fn is_scp02(&self) -> bool {
        matches!(self.body, Body::Scp02(_))
    }

    /// The level of an open session now: BEGIN and END R-MAC SESSION of SCP02 add to what was agreed at its opening and take away.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        let level = match (&self.body, self.level) {
            (Body::Scp02(state), level) if state.signs_responses() => match level {
                Level::Authenticated => Level::RMac,
                Level::CMac => Level::CMacRMac,
                Level::CMacCEnc => Level::CMacCEncRMac,
                level => level,
            },
            (Body::Scp02(_), Level::RMac) => Level::Authenticated,
            (Body::Scp02(_), Level::CMacRMac) => Level::CMac,
            (Body::Scp02(_), Level::CMacCEncRMac) => Level::CMacCEnc,
            (_, level) => level,
        };
        self.is_protecting().then_some(level)
    }

    /// The most bytes of plain response data a short response carries now.
    #[must_use]
    pub fn max_response_data(&self) -> usize {
        let level = self.level().unwrap_or(Level::Authenticated);
        match &self.body {
            Body::None | Body::Host(_) => 256,
            Body::Scp02(_) => crate::scp02::max_response_data(level),
            Body::Scp03(state) => state.options.mode().max_response_data(level),
        }
    }

    /// INITIALIZE UPDATE was answered and EXTERNAL AUTHENTICATE did not follow: the challenge is forgotten. [GPC D.1.4]
    pub(crate) fn forget_challenge(&mut self) {
        if self.phase == Phase::Init {
            self.end();
        }
    }

    /// Starts an SCP03 session; the counter has been raised and made durable already.
    ///
    /// # Errors
    /// [`CryptoError`] if a challenge is not as long as the options say.
    #[allow(clippy::too_many_arguments)]
    pub fn initialize_update(
        &mut self,
        keys: &crate::scp03::StaticKeys,
        key_version: u8,
        key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
        options: crate::scp03::Options,
        host_challenge: &[u8],
        card_challenge: impl Into<Octets>,
        counter: Counter,
    ) -> Result<Answer, CryptoError> {
        self.end();
        let card_challenge = card_challenge.into();
        let mode = options.mode();
        if host_challenge.len() != mode.len() || card_challenge.mode() != mode {
            return Err(CryptoError);
        }
        let (state, card_cryptogram) =
            scp03::State::initialized(options, keys, host_challenge, card_challenge.as_bytes())?;
        self.key_version = key_version;
        self.phase = Phase::Init;
        self.body = Body::Scp03(state);
        let counter = options.pseudo_random().then_some(counter);
        let proof = Proof::Scp03 { options, card_challenge, card_cryptogram, counter };
        Ok(Answer { key_diversification, key_version, proof })
    }

    /// Starts an SCP02 session with the counter's present value, which is raised once the host is authentic. The card challenge is
    /// `random`, or what the counter gives on the application with this AID if the options say so.
    ///
    /// # Errors
    /// [`CryptoError`] at the end of the counter, or if the options are those of implicit initiation.
    #[allow(clippy::too_many_arguments)]
    pub fn initialize_update_scp02(
        &mut self,
        keys: &crate::scp02::StaticKeys,
        key_version: u8,
        key_diversification: [u8; KEY_DIVERSIFICATION_LEN],
        options: crate::scp02::Options,
        host_challenge: &[u8; 8],
        random: [u8; 6],
        sequence: crate::scp02::Sequence,
        aid: &[u8],
    ) -> Result<Answer, CryptoError> {
        self.end();
        if !options.explicit() {
            return Err(CryptoError);
        }
        let (state, card_challenge, card_cryptogram) =
            scp02::State::initialized(options, keys, host_challenge, random, sequence, aid)?;
        self.key_version = key_version;
        self.phase = Phase::Init;
        self.body = Body::Scp02(state);
        let proof = Proof::Scp02 { sequence, card_challenge, card_cryptogram };
        Ok(Answer { key_diversification, key_version, proof })
    }

    /// SCP02 with implicit initiation: makes ready for a first command under a C-MAC, which [`SecureChannel::unwrap`] then opens the
    /// session with. If its MAC is wrong there is no session, and the next may try. The counter is raised when it is right, before the
    /// command acts.
    ///
    /// # Errors
    /// [`CryptoError`] at the end of the counter, or if the options are those of explicit initiation.
    pub fn initiate_implicitly(
        &mut self,
        keys: &crate::scp02::StaticKeys,
        key_version: u8,
        options: crate::scp02::Options,
        sequence: crate::scp02::Sequence,
        aid: &[u8],
    ) -> Result<(), CryptoError> {
        self.end();
        if options.explicit() {
            return Err(CryptoError);
        }
        self.body = Body::Scp02(scp02::State::implicit(options, keys, sequence, aid)?);
        self.key_version = key_version;
        self.level = Level::CMac;
        self.phase = Phase::Open;
        Ok(())
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
            .filter(|level| {
                command.p2() == 0
                    && match &self.body {
                        Body::None | Body::Host(_) => false,
                        Body::Scp02(state) => state.options.allows(*level),
                        Body::Scp03(state) => state.options.allows(*level),
                    }
            })
            .ok_or(Sw::WRONG_P1P2)?;
        if !class::is_gp_protected(command.cla()) {
            return Err(Sw::SECURITY_STATUS);
        }
        match &mut self.body {
            Body::None | Body::Host(_) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            Body::Scp02(state) => state.verify_host(level, command)?,
            Body::Scp03(state) => state.verify_host(command)?,
        }
        self.level = level;
        self.phase = Phase::Open;
        Ok(())
    }

    /// BEGIN or END R-MAC SESSION, out of their protection; what END returns goes into the reply. `None` if the command is neither.
    ///
    /// # Errors
    /// The status word to answer; the session goes on.
    pub fn r_mac_session(
        &mut self,
        plain: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Option<Result<(), Sw>> {
        let Body::Scp02(state) = &mut self.body else { return None };
        if self.phase != Phase::Open || !state.options.r_mac() || class::bare_class(plain.cla()) != 0x80 {
            return None;
        }
        match plain.ins() {
            r_mac::BEGIN => Some(state.begin_r_mac(plain)),
            r_mac::END => Some(state.end_r_mac(plain).and_then(|mac| reply.push(&mac))),
            _ => None,
        }
    }

    /// The key that sensitive data is encrypted under in this session: its own, or `None` if that is the static one.
    pub(crate) fn own_dek(&self) -> Option<Dek> {
        match &self.body {
            Body::None | Body::Host(_) => None,
            Body::Scp02(state) => {
                let dek = state.key(crate::scp02::session_keys::Name::Dek).ok()?;
                Some(if state.options.explicit() { Dek::DesEcb(dek) } else { Dek::DesCbc(dek) })
            }
            Body::Scp03(state) => state.dek().map(Dek::Aes),
        }
    }

    /// Opens once more a command that [`SecureChannel::unwrap`] took, for a later call about the same command.
    ///
    /// # Errors
    /// 6F00 if it is not that command.
    pub fn reopen<'o>(&self, command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw> {
        let len = match &self.body {
            Body::Scp02(state) if self.is_protecting() => state.reopen(self.level, command, out),
            Body::Scp03(state) if self.is_protecting() && self.level.c_mac() => {
                state.reopen(self.level, command, out)
            }
            _ => copy(command, out),
        };
        len.and_then(|len| plain_command(command, len, out)).map_err(|_| Sw::UNKNOWN)
    }
}

/// Puts bytes at the head of a slot; returns what is behind. There is room: [`SESSION_LEN`] says so.
fn put<'s>(slot: &'s mut [u8], bytes: &[u8]) -> &'s mut [u8] {
    let Some((to, rest)) = slot.split_at_mut_checked(bytes.len()) else { return &mut [] };
    to.copy_from_slice(bytes);
    rest
}

/// A command that came plain.
fn copy(command: &Command<'_>, out: &mut [u8]) -> Result<usize, CryptoError> {
    let data = command.data();
    out.get_mut(..data.len()).ok_or(CryptoError)?.copy_from_slice(data);
    Ok(data.len())
}

/// The command with the first `len` bytes of `out` for data and nothing that tells of protection.
fn plain_command<'o>(command: &Command<'_>, len: usize, out: &'o [u8]) -> Result<Command<'o>, CryptoError> {
    let [cla, ins, p1, p2] = command.header();
    let opened = Command::new(class::plain_class(cla), ins, p1, p2)
        .with_data(out.get(..len).ok_or(CryptoError)?)
        .extended(command.is_extended());
    Ok(match command.ne() {
        Some(ne) => opened.with_ne(ne),
        None => opened,
    })
}

impl SecureChannel for Session {
    fn protection(&self) -> Protection {
        let protection = self.level().map_or(Protection::default(), Level::protection);
        Protection { authenticated: self.is_open(), ..protection }
    }

    fn unwrap<'o>(&mut self, command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw> {
        let protected = class::is_protected(command.cla());
        let len = match self.phase {
            Phase::None | Phase::Init | Phase::Aborted | Phase::Certified if protected => {
                return Err(Sw::SECURITY_STATUS);
            }
            Phase::None | Phase::Init | Phase::Aborted | Phase::Certified => {
                copy(command, out).map_err(|_| Sw::WRONG_LENGTH)?
            }
            Phase::Open | Phase::OpenToAnyone if protected != self.level.c_mac() => return Err(self.abort()),
            Phase::Open | Phase::OpenToAnyone if protected && !class::is_gp_protected(command.cla()) => {
                return Err(self.abort());
            }
            Phase::Open | Phase::OpenToAnyone => {
                let opened = match &mut self.body {
                    Body::Scp02(state) => state.unwrap(self.level, command, out),
                    Body::Scp03(state) if protected => state.unwrap(self.level, command, out),
                    Body::Scp03(_) | Body::None | Body::Host(_) => return plain(command, out),
                };
                // One answer for every fault: what was wrong is nobody's business. [GPC D.1.4, AmdD 6.2.4]
                opened.map_err(|_| self.abort())?
            }
        };
        plain_command(command, len, out).map_err(|_| Sw::UNKNOWN)
    }

    fn wrap(&mut self, reply: &mut ResponseWriter<'_>, sw: Sw) -> Result<(), Sw> {
        match &mut self.body {
            Body::Scp02(state) if self.phase == Phase::Open => state.wrap(reply, sw),
            Body::Scp03(state) if matches!(self.phase, Phase::Open | Phase::OpenToAnyone) => {
                state.wrap(self.level, reply, sw)
            }
            _ => Ok(()),
        }
    }
}

/// A command of a session without C-MACs.
fn plain<'o>(command: &Command<'_>, out: &'o mut [u8]) -> Result<Command<'o>, Sw> {
    let len = copy(command, out).map_err(|_| Sw::WRONG_LENGTH)?;
    plain_command(command, len, out).map_err(|_| Sw::UNKNOWN)
}
