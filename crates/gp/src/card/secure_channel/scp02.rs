//! The card's end of SCP02. The host's end has its own account of what is under an R-MAC: both are written from the same text.

use huiwan_apdu::{Command, Sw};
use huiwan_card::ResponseWriter;
use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{CryptoError, Tdes, ct_eq};
use zeroize::Zeroize;

use super::put;
use crate::scp02::r_mac::{self, RUNNING_LEN, Running};
use crate::scp02::session_keys::{self, Name, RAW_LEN};
use crate::scp02::{MAC_LEN, Options, Sequence, StaticKeys, c_enc, c_mac, challenge, cryptogram};
use crate::secure_channel::{Level, class};

/// The R-MAC session, by its byte in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum RMac {
    Off = 0,
    EveryResponse = 1,
    AtEnd = 2,
}

/// What the command under way is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Turn {
    /// Not under the R-MAC.
    Outside = 0,
    Inside = 1,
    /// BEGIN R-MAC SESSION, whose answer is under the R-MAC and does not carry it.
    Begin = 2,
}

/// What a session remembers.
pub(super) struct State {
    pub(super) options: Options,
    host_cryptogram: [u8; 8],
    icv: c_mac::Icv,
    r_mac: RMac,
    turn: Turn,
    /// The R-MAC session began with BEGIN R-MAC SESSION, under the raised counter.
    later: bool,
    first_r_icv: [u8; 8],
    r_icv: [u8; 8],
    running: Running,
    raw_keys: [u8; RAW_LEN],
}

/// Bytes of the state in a slot.
pub(super) const LEN: usize = 5 + 4 * 8 + RUNNING_LEN + RAW_LEN;

impl Drop for State {
    fn drop(&mut self) {
        self.host_cryptogram.zeroize();
        self.raw_keys.as_mut_slice().zeroize();
    }
}

impl State {
    fn derived(options: Options, keys: &StaticKeys, sequence: Sequence) -> Result<Self, CryptoError> {
        let mut state = Self {
            options,
            host_cryptogram: [0; 8],
            icv: c_mac::Icv::First([0; 8]),
            r_mac: RMac::Off,
            turn: Turn::Outside,
            later: false,
            first_r_icv: [0; 8],
            r_icv: [0; 8],
            running: Running::new([0; 8]),
            raw_keys: [0; RAW_LEN],
        };
        session_keys::derive_raw(keys, sequence, &mut state.raw_keys)?;
        Ok(state)
    }

    /// Between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE, with card challenge and card cryptogram. The challenge is `random` if the
    /// options don't say that it is computed.
    pub(super) fn initialized(
        options: Options,
        keys: &StaticKeys,
        host_challenge: &[u8; 8],
        random: [u8; 6],
        sequence: Sequence,
        aid: &[u8],
    ) -> Result<(Self, [u8; 6], [u8; 8]), CryptoError> {
        let mut state = Self::derived(options, keys, sequence)?;
        let card_challenge = if options.predictable() {
            challenge::predictable_under(&state.key(Name::CMac)?, aid)
        } else {
            random
        };
        let s_enc = state.key(Name::Enc)?;
        state.host_cryptogram = cryptogram::host_under(&s_enc, host_challenge, sequence, &card_challenge);
        let card_cryptogram = cryptogram::card_under(&s_enc, host_challenge, sequence, &card_challenge);
        Ok((state, card_challenge, card_cryptogram))
    }

    /// Before the first C-MAC of an implicit session.
    pub(super) fn implicit(
        options: Options,
        keys: &StaticKeys,
        sequence: Sequence,
        aid: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut state = Self::derived(options, keys, sequence)?;
        state.icv = c_mac::Icv::first(options, &state.key(Name::CMac)?, aid);
        state.first_r_icv = mac::alg3(&state.key(Name::RMacLater)?, &[0; 8], &[aid], Padding::Method2);
        Ok(state)
    }

    pub(super) fn load(slot: &[u8]) -> Option<Self> {
        let (&[options, icv_is_first, r_mac, turn, later], rest) = slot.split_first_chunk::<5>()?;
        let (host_cryptogram, rest) = rest.split_first_chunk::<8>()?;
        let (icv, rest) = rest.split_first_chunk::<8>()?;
        let (first_r_icv, rest) = rest.split_first_chunk::<8>()?;
        let (r_icv, rest) = rest.split_first_chunk::<8>()?;
        let (running, rest) = rest.split_first_chunk::<RUNNING_LEN>()?;
        let raw_keys = rest.first_chunk::<RAW_LEN>()?;
        Some(Self {
            options: Options::from_byte(options)?,
            host_cryptogram: *host_cryptogram,
            icv: if icv_is_first != 0 { c_mac::Icv::First(*icv) } else { c_mac::Icv::Previous(*icv) },
            r_mac: match r_mac {
                0 => RMac::Off,
                1 => RMac::EveryResponse,
                2 => RMac::AtEnd,
                _ => return None,
            },
            turn: match turn {
                0 => Turn::Outside,
                1 => Turn::Inside,
                2 => Turn::Begin,
                _ => return None,
            },
            later: later != 0,
            first_r_icv: *first_r_icv,
            r_icv: *r_icv,
            running: Running::from_bytes(running)?,
            raw_keys: *raw_keys,
        })
    }

    pub(super) fn store(&self, slot: &mut [u8]) {
        let (first, icv) = match &self.icv {
            c_mac::Icv::First(icv) => (1, icv),
            c_mac::Icv::Previous(icv) => (0, icv),
        };
        let head = [self.options.byte(), first, self.r_mac as u8, self.turn as u8, u8::from(self.later)];
        let slot = put(slot, &head);
        let slot = put(slot, &self.host_cryptogram);
        let slot = put(slot, icv);
        let slot = put(slot, &self.first_r_icv);
        let slot = put(slot, &self.r_icv);
        let slot = put(slot, &self.running.to_bytes());
        put(slot, &self.raw_keys);
    }

    /// One of the session keys, expanded.
    pub(super) fn key(&self, name: Name) -> Result<Tdes, CryptoError> {
        session_keys::expand(&self.raw_keys, name)
    }

    /// Whether every response carries an R-MAC.
    pub(super) fn signs_responses(&self) -> bool {
        self.r_mac == RMac::EveryResponse
    }

    /// Checks host cryptogram (6300) and MAC (6982) of EXTERNAL AUTHENTICATE; then the session is open.
    pub(super) fn verify_host(&mut self, level: Level, command: &Command<'_>) -> Result<(), Sw> {
        let (cryptogram, mac) = command.data().split_first_chunk::<8>().ok_or(Sw::WRONG_LENGTH)?;
        let mac = <&[u8; MAC_LEN]>::try_from(mac).map_err(|_| Sw::WRONG_LENGTH)?;
        if command.is_extended() {
            return Err(Sw::WRONG_LENGTH);
        }
        if !ct_eq(cryptogram, &self.host_cryptogram) {
            return Err(Sw::new(0x6300));
        }
        self.check(command, cryptogram, mac).map_err(|_| Sw::SECURITY_STATUS)?;
        self.host_cryptogram.zeroize();
        // The R-MACs of a session with explicit initiation start from here, whenever they start. [GPC E.4.5]
        self.first_r_icv = *mac;
        self.r_icv = *mac;
        if level.r_mac() {
            self.r_mac = RMac::EveryResponse;
        }
        Ok(())
    }

    /// Checks the MAC over plain data and advances the session.
    fn check(&mut self, command: &Command<'_>, data: &[u8], mac: &[u8; MAC_LEN]) -> Result<(), CryptoError> {
        let header = c_mac::Header::new(self.options, command.header(), data.len(), command.is_extended())
            .ok_or(CryptoError)?;
        if !ct_eq(&c_mac::compute(self.options, &self.key(Name::CMac)?, self.icv, &header, data), mac) {
            return Err(CryptoError);
        }
        self.icv = c_mac::Icv::Previous(*mac);
        Ok(())
    }

    /// Checks and opens a command into `out`; returns the plain length.
    pub(super) fn unwrap(
        &mut self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let (body, mac) = if level.c_mac() {
            let (body, mac) = command.data().split_last_chunk::<MAC_LEN>().ok_or(CryptoError)?;
            (body, Some(mac))
        } else {
            (command.data(), None)
        };
        let plain = out.get_mut(..body.len()).ok_or(CryptoError)?;
        plain.copy_from_slice(body);
        let len = match mac {
            None => body.len(),
            Some(mac) if level.c_enc() && !plain.is_empty() => {
                let layout = (command.header(), command.is_extended());
                let (s_enc, c_mac) = (self.key(Name::Enc)?, self.key(Name::CMac)?);
                let len =
                    c_enc::decrypt_and_verify(self.options, &s_enc, &c_mac, self.icv, layout, plain, mac)?;
                self.icv = c_mac::Icv::Previous(*mac);
                len
            }
            Some(mac) => {
                self.check(command, plain, mac)?;
                plain.len()
            }
        };
        let plain = plain.get(..len).ok_or(CryptoError)?;
        self.turn = Turn::Outside;
        if self.r_mac != RMac::Off && !is_end(command) {
            self.hash_command(command, plain)?;
            self.turn = Turn::Inside;
        }
        Ok(len)
    }

    /// The same command once more: its MAC was good.
    pub(super) fn reopen(
        &self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let mac_len = if level.c_mac() { MAC_LEN } else { 0 };
        let len = command.data().len().checked_sub(mac_len).ok_or(CryptoError)?;
        let plain = out.get_mut(..len).ok_or(CryptoError)?;
        plain.copy_from_slice(command.data().get(..len).ok_or(CryptoError)?);
        if level.c_enc() && len > 0 { c_enc::decrypt(&self.key(Name::Enc)?, plain) } else { Ok(len) }
    }

    fn r_mac_key(&self) -> Result<Tdes, CryptoError> {
        self.key(if self.later { Name::RMacLater } else { Name::RMac })
    }

    /// What the R-MAC covers of a command: class byte without secure messaging and channel, INS, P1, P2, Lc of the plain data (00 if there
    /// is none), the plain data. Le is not covered.
    fn hash_command(&mut self, command: &Command<'_>, plain: &[u8]) -> Result<(), CryptoError> {
        let [cla, ins, p1, p2] = command.header();
        let key = &self.r_mac_key()?;
        let mut running = Running::new(self.r_icv);
        running.update(key, &[class::bare_class(cla), ins, p1, p2]);
        let [.., high, low] = plain.len().to_be_bytes();
        if command.is_extended() {
            running.update(key, &[0, high]);
        }
        running.update(key, &[low]);
        running.update(key, plain);
        self.running = running;
        Ok(())
    }

    /// BEGIN R-MAC SESSION, out of its protection. [GPC E.5.3]
    pub(super) fn begin_r_mac(&mut self, plain: &Command<'_>) -> Result<(), Sw> {
        let wanted = match (plain.p1(), plain.p2()) {
            (r_mac::EVERY, r_mac::BEGIN_P2) => RMac::EveryResponse,
            (r_mac::AT_END, r_mac::BEGIN_P2) => RMac::AtEnd,
            _ => return Err(Sw::WRONG_P1P2),
        };
        if self.r_mac != RMac::Off {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // A length and that many bytes of the host's, 24 at most; or nothing.
        match plain.data() {
            [] => {}
            [len @ 0..=24, data @ ..] if data.len() == usize::from(*len) => {}
            _ => return Err(Sw::WRONG_DATA),
        }
        self.r_mac = wanted;
        self.later = true;
        self.r_icv = self.first_r_icv;
        self.hash_command(plain, plain.data()).map_err(|_| Sw::UNKNOWN)?;
        self.turn = Turn::Begin;
        Ok(())
    }

    /// END R-MAC SESSION, out of its protection: the R-MAC of all that went before. [GPC E.5.4]
    pub(super) fn end_r_mac(&mut self, plain: &Command<'_>) -> Result<[u8; MAC_LEN], Sw> {
        let goes_on = match (plain.p1(), plain.p2()) {
            (0, r_mac::END_P2) => false,
            (0, r_mac::CONTINUE_P2) => true,
            _ => return Err(Sw::WRONG_P1P2),
        };
        if !plain.data().is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        if self.r_mac == RMac::Off {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if !goes_on {
            self.r_mac = RMac::Off;
        }
        Ok(self.r_icv)
    }

    /// Chains an answer, and signs it in place if it carries an R-MAC.
    pub(super) fn wrap(&mut self, reply: &mut ResponseWriter<'_>, sw: Sw) -> Result<(), Sw> {
        let turn = core::mem::replace(&mut self.turn, Turn::Outside);
        if self.r_mac == RMac::Off || turn == Turn::Outside {
            return Ok(());
        }
        let carried = r_mac::is_carried(sw);
        let key = &self.r_mac_key().map_err(|_| Sw::UNKNOWN)?;
        // An error has no data: Li is 00.
        let data = if carried { reply.as_slice() } else { &[] };
        let [li, ..] = data.len().to_le_bytes();
        self.running.update(key, &[li]);
        self.running.update(key, data);
        self.running.update(key, &sw.value().to_be_bytes());
        let mac = self.running.finish(key);
        self.r_icv = mac;
        if carried && turn == Turn::Inside && self.r_mac == RMac::EveryResponse {
            reply.push(&mac)
        } else {
            Ok(())
        }
    }
}

/// Whether a command is END R-MAC SESSION, which is not under the R-MAC itself.
fn is_end(command: &Command<'_>) -> bool {
    let [cla, ins, p1, p2] = command.header();
    class::bare_class(cla) == 0x80
        && ins == r_mac::END
        && p1 == 0
        && matches!(p2, r_mac::END_P2 | r_mac::CONTINUE_P2)
}
