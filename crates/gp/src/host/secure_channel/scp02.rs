//! The host's end of SCP02. The card's end has its own account of what is under an R-MAC: both are written from the same text.

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{CryptoError, Tdes, ct_eq};

use super::SessionError;
use super::frame::Frame;
use crate::scp02::r_mac::{self, Running};
use crate::scp02::{MAC_LEN, Options, SessionKeys, c_enc, c_mac};
use crate::secure_channel::Level;
use crate::secure_channel::class::bare_class;

/// Which responses carry an R-MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    /// There is no R-MAC session.
    None,
    /// Every one.
    Every,
    /// That to END R-MAC SESSION.
    AtEnd,
}

/// What the command under way is to the R-MAC session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Ordinary,
    /// BEGIN R-MAC SESSION: if the card takes it, the session is on.
    Begin(Carried),
    /// END R-MAC SESSION.
    End {
        goes_on: bool,
    },
}

/// What a session remembers.
#[derive(Debug)]
pub(super) struct Scp02 {
    options: Options,
    keys: SessionKeys,
    icv: c_mac::Icv,
    carried: Carried,
    /// The R-MAC session began after EXTERNAL AUTHENTICATE, with the raised counter.
    later: bool,
    /// What the first R-MAC of an R-MAC session starts from.
    first_r_icv: [u8; 8],
    /// The R-MAC before.
    r_icv: [u8; 8],
    running: Running,
    turn: Turn,
}

/// EXTERNAL AUTHENTICATE: the first command under a C-MAC, plain inside. Returns its length in `out` and the MAC.
pub(super) fn authenticate(
    options: Options,
    keys: &SessionKeys,
    command: &Command<'_>,
    out: &mut [u8],
) -> Result<(usize, [u8; 8]), SessionError> {
    let data = command.data();
    let header =
        c_mac::Header::new(options, command.header(), data.len(), false).ok_or(SessionError::TooLong)?;
    let (frame, len) = Frame::new(command, None, data.len(), MAC_LEN, out)?;
    let mac = c_mac::compute(options, &keys.c_mac, c_mac::Icv::First([0; 8]), &header, data);
    frame.data.copy_from_slice(data);
    frame.mac.copy_from_slice(&mac);
    Ok((len, mac))
}

impl Scp02 {
    /// After EXTERNAL AUTHENTICATE with this C-MAC.
    pub(super) fn explicit(options: Options, keys: SessionKeys, level: Level, c_mac: [u8; 8]) -> Self {
        Self {
            options,
            keys,
            icv: c_mac::Icv::Previous(c_mac),
            carried: if level.r_mac() { Carried::Every } else { Carried::None },
            later: false,
            first_r_icv: c_mac,
            r_icv: c_mac,
            running: Running::new(c_mac),
            turn: Turn::Ordinary,
        }
    }

    /// Before the first command of an implicit session on this application.
    pub(super) fn implicit(options: Options, keys: SessionKeys, aid: &[u8]) -> Self {
        let first_r_icv = mac::alg3(&keys.r_mac_later, &[0; 8], &[aid], Padding::Method2);
        Self {
            options,
            icv: c_mac::Icv::first(options, &keys.c_mac, aid),
            keys,
            carried: Carried::None,
            later: true,
            first_r_icv,
            r_icv: first_r_icv,
            running: Running::new(first_r_icv),
            turn: Turn::Ordinary,
        }
    }

    pub(super) fn keys(&self) -> &SessionKeys {
        &self.keys
    }

    pub(super) const fn options(&self) -> Options {
        self.options
    }

    fn r_mac_key(&self) -> &Tdes {
        if self.later { &self.keys.r_mac_later } else { &self.keys.r_mac }
    }

    /// Protects a command; returns its length in `out`. Nothing changes if that fails.
    pub(super) fn wrap(
        &mut self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, SessionError> {
        let turn = self.turn_of(command);
        // So that the R-MAC has a response to travel in. [GPC E.4.5]
        let ne = match (command.ne(), turn, self.carried) {
            (None, Turn::Ordinary, Carried::Every) if command.is_extended() => Some(Ne::MAX_EXTENDED),
            (None, Turn::Ordinary, Carried::Every) => Some(Ne::MAX_SHORT),
            (ne, ..) => ne,
        };
        let len = if level.c_mac() {
            self.protect(level, command, ne, out)?
        } else {
            let command = ne.map_or(*command, |ne| command.with_ne(ne));
            command.write(out).map_err(|full| SessionError::Full { needed: full.needed })?.len()
        };
        self.turn = turn;
        if matches!(turn, Turn::Begin(_)) {
            self.later = true;
            self.r_icv = self.first_r_icv;
        }
        if matches!(turn, Turn::Begin(_)) || (self.carried != Carried::None && turn == Turn::Ordinary) {
            self.hash_command(command);
        }
        Ok(len)
    }

    fn turn_of(&self, command: &Command<'_>) -> Turn {
        let [cla, ins, p1, p2] = command.header();
        match (ins, p1, p2) {
            _ if !self.options.r_mac() || bare_class(cla) != 0x80 => Turn::Ordinary,
            (r_mac::BEGIN, r_mac::EVERY, r_mac::BEGIN_P2) if self.carried == Carried::None => {
                Turn::Begin(Carried::Every)
            }
            (r_mac::BEGIN, r_mac::AT_END, r_mac::BEGIN_P2) if self.carried == Carried::None => {
                Turn::Begin(Carried::AtEnd)
            }
            (r_mac::END, 0, r_mac::END_P2) => Turn::End { goes_on: false },
            (r_mac::END, 0, r_mac::CONTINUE_P2) => Turn::End { goes_on: true },
            _ => Turn::Ordinary,
        }
    }

    fn protect(
        &mut self,
        level: Level,
        command: &Command<'_>,
        ne: Option<Ne>,
        out: &mut [u8],
    ) -> Result<usize, SessionError> {
        let plain = command.data();
        let data_len = if level.c_enc() { c_enc::encrypted_len(plain.len()) } else { plain.len() };
        let header = c_mac::Header::new(self.options, command.header(), plain.len(), command.is_extended())
            .ok_or(SessionError::TooLong)?;
        let (frame, len) = Frame::new(command, ne, data_len, MAC_LEN, out)?;
        let mac = c_mac::compute(self.options, &self.keys.c_mac, self.icv, &header, plain);
        frame.data.get_mut(..plain.len()).ok_or(SessionError::TooLong)?.copy_from_slice(plain);
        if level.c_enc() {
            c_enc::encrypt(&self.keys.enc, frame.data, plain.len())?;
        }
        frame.mac.copy_from_slice(&mac);
        self.icv = c_mac::Icv::Previous(mac);
        Ok(len)
    }

    /// The plain command, as if on channel 0 and without secure messaging: header, Lc (00 without data), data.
    fn hash_command(&mut self, command: &Command<'_>) {
        let [cla, ins, p1, p2] = command.header();
        let mut running = Running::new(self.r_icv);
        let key = self.r_mac_key();
        running.update(key, &[bare_class(cla), ins, p1, p2]);
        let [.., high, low] = command.data().len().to_be_bytes();
        let lc = [0, high, low];
        running.update(key, if command.is_extended() { &lc } else { core::slice::from_ref(&low) });
        running.update(key, command.data());
        self.running = running;
    }

    /// Checks a response into `out`; returns the plain length.
    pub(super) fn unwrap(&mut self, wire: &[u8], sw: Sw, out: &mut [u8]) -> Result<usize, CryptoError> {
        let good = r_mac::is_carried(sw);
        let (body, mac) = match (self.turn, self.carried) {
            (Turn::End { .. }, _) if good => (&[][..], Some(wire)),
            (Turn::Ordinary, Carried::Every) if good => {
                let (body, mac) = wire.split_last_chunk::<MAC_LEN>().ok_or(CryptoError)?;
                (body, Some(&mac[..]))
            }
            // Errors come bare. So does the answer to BEGIN, which has no data field.
            (Turn::Begin(_) | Turn::End { .. }, _) | (Turn::Ordinary, Carried::Every) if !wire.is_empty() => {
                return Err(CryptoError);
            }
            _ => (wire, None),
        };
        match (self.turn, self.carried) {
            (Turn::End { .. }, _) => {
                if mac.is_some_and(|mac| self.carried == Carried::None || !ct_eq(mac, &self.r_icv)) {
                    return Err(CryptoError);
                }
            }
            (Turn::Ordinary, Carried::None) => {}
            (Turn::Begin(_), _) if !good => {}
            _ => {
                let expected = self.hash_response(body, sw);
                if mac.is_some_and(|mac| !ct_eq(mac, &expected)) {
                    return Err(CryptoError);
                }
                self.r_icv = expected;
            }
        }
        match self.turn {
            Turn::Begin(carried) if good => self.carried = carried,
            Turn::End { goes_on: false } if good => self.carried = Carried::None,
            _ => {}
        }
        // What END returns is the MAC itself, for the host's files.
        let told = if matches!(self.turn, Turn::End { .. }) { wire } else { body };
        out.get_mut(..told.len()).ok_or(CryptoError)?.copy_from_slice(told);
        Ok(told.len())
    }

    fn hash_response(&self, body: &[u8], sw: Sw) -> [u8; 8] {
        let key = self.r_mac_key();
        let mut running = self.running;
        // Modulo 256.
        let [li, ..] = body.len().to_le_bytes();
        running.update(key, &[li]);
        running.update(key, body);
        running.update(key, &sw.value().to_be_bytes());
        running.finish(key)
    }
}
