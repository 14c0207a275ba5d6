//! The card's end of SCP03 and of the messaging behind SCP11.

use huiwan_apdu::{Command, Sw};
use huiwan_card::ResponseWriter;
use huiwan_crypto::{Aes, CryptoError, ct_eq, mac};
use zeroize::Zeroize;

use super::put;
use crate::scp03::session_keys::{self, Name, RAW_LEN};
use crate::scp03::{Level, Octets, Options, c_enc, c_mac, cryptogram, r_enc, r_mac};

/// What a session remembers.
pub(super) struct State {
    pub(super) options: Options,
    pub(super) counter: u32,
    pub(super) chaining: [u8; 16],
    pub(super) host_cryptogram: Octets,
    key_len: u8,
    raw_keys: [u8; RAW_LEN],
    /// The session's own data encryption key, which SCP11 has and SCP03 has not.
    dek: [u8; 32],
    has_dek: bool,
}

/// Bytes of the state in a slot.
pub(super) const LEN: usize = 8 + 16 + 16 + RAW_LEN + 32;

impl Drop for State {
    fn drop(&mut self) {
        self.chaining.as_mut_slice().zeroize();
        self.host_cryptogram.as_mut().zeroize();
        self.raw_keys.as_mut_slice().zeroize();
        self.dek.as_mut_slice().zeroize();
    }
}

impl State {
    /// Between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE, with the card cryptogram.
    pub(super) fn initialized(
        options: Options,
        keys: &crate::scp03::StaticKeys,
        host_challenge: &[u8],
        card_challenge: &[u8],
    ) -> Result<(Self, Octets), CryptoError> {
        let mut state = Self {
            options,
            counter: 0,
            chaining: [0; 16],
            host_cryptogram: Octets::zero(options.mode()),
            key_len: u8::try_from(keys.key_len()).map_err(|_| CryptoError)?,
            raw_keys: [0; RAW_LEN],
            dek: [0; 32],
            has_dek: false,
        };
        session_keys::derive_raw(keys, host_challenge, card_challenge, &mut state.raw_keys)?;
        let (card, host) = cryptogram::both(&state.key(Name::Mac)?, host_challenge, card_challenge)?;
        state.host_cryptogram = host;
        Ok((state, card))
    }

    /// An open session with these keys, after an SCP11 handshake whose receipt chains.
    pub(super) fn opened(
        options: Options,
        raw_keys: &[u8; RAW_LEN],
        key_len: usize,
        dek: &[u8],
        receipt: [u8; 16],
    ) -> Result<Self, CryptoError> {
        let mut state = Self {
            options,
            counter: 0,
            chaining: receipt,
            host_cryptogram: Octets::zero(options.mode()),
            key_len: u8::try_from(key_len).map_err(|_| CryptoError)?,
            raw_keys: *raw_keys,
            dek: [0; 32],
            has_dek: true,
        };
        state.dek.get_mut(..dek.len()).ok_or(CryptoError)?.copy_from_slice(dek);
        Ok(state)
    }

    pub(super) fn load(slot: &[u8]) -> Option<Self> {
        let (&[options, key_len, mode, has_dek, c1, c2, c3, c4], rest) = slot.split_first_chunk::<8>()?;
        let (chaining, rest) = rest.split_first_chunk::<16>()?;
        let (cryptogram, rest) = rest.split_first_chunk::<16>()?;
        let (raw_keys, rest) = rest.split_first_chunk::<RAW_LEN>()?;
        let dek = rest.first_chunk::<32>()?;
        Some(Self {
            options: Options::from_byte(options)?,
            counter: u32::from_be_bytes([c1, c2, c3, c4]),
            chaining: *chaining,
            host_cryptogram: Octets::new(cryptogram.get(..usize::from(mode))?)?,
            key_len,
            raw_keys: *raw_keys,
            dek: *dek,
            has_dek: has_dek != 0,
        })
    }

    pub(super) fn store(&self, slot: &mut [u8]) {
        let [c1, c2, c3, c4] = self.counter.to_be_bytes();
        let mode = if self.host_cryptogram.as_bytes().len() == 8 { 8 } else { 16 };
        let head = [self.options.byte(), self.key_len, mode, u8::from(self.has_dek), c1, c2, c3, c4];
        let slot = put(slot, &head);
        let slot = put(slot, &self.chaining);
        let slot = put(slot, &self.host_cryptogram.filled());
        let slot = put(slot, &self.raw_keys);
        put(slot, &self.dek);
    }

    /// One of the session keys, expanded.
    fn key(&self, name: Name) -> Result<Aes, CryptoError> {
        session_keys::expand(&self.raw_keys, usize::from(self.key_len), name)
    }

    /// The session's own data encryption key.
    pub(super) fn dek(&self) -> Option<Aes> {
        if self.has_dek { Aes::new(self.dek.get(..usize::from(self.key_len))?).ok() } else { None }
    }

    /// Checks host cryptogram (6300) and MAC (6982) of EXTERNAL AUTHENTICATE; then the session is open.
    pub(super) fn verify_host(&mut self, command: &Command<'_>) -> Result<(), Sw> {
        let len = self.options.mode().len();
        let (cryptogram, mac) = command.data().split_at_checked(len).ok_or(Sw::WRONG_LENGTH)?;
        if mac.len() != len {
            return Err(Sw::WRONG_LENGTH);
        }
        if !ct_eq(cryptogram, self.host_cryptogram.as_bytes()) {
            return Err(Sw::new(0x6300));
        }
        self.check(command).map_err(|_| Sw::SECURITY_STATUS)?;
        self.host_cryptogram.as_mut().zeroize();
        self.counter = 0;
        Ok(())
    }

    /// Checks the MAC and advances the session; returns how much of the data is not MAC.
    fn check(&mut self, command: &Command<'_>) -> Result<usize, CryptoError> {
        let mode = self.options.mode();
        let body_len = command.data().len().checked_sub(mode.len()).ok_or(CryptoError)?;
        let (body, mac) = command.data().split_at_checked(body_len).ok_or(CryptoError)?;
        let header = c_mac::Header::new(mode, command.header(), body.len(), command.is_extended())
            .ok_or(CryptoError)?;
        let chaining = c_mac::chain(&self.key(Name::Mac)?, &self.chaining, &header, body);
        if !chaining.get(..mode.len()).is_some_and(|expected| ct_eq(expected, mac)) {
            return Err(CryptoError);
        }
        self.counter = self.counter.checked_add(1).ok_or(CryptoError)?;
        self.chaining = chaining;
        Ok(body.len())
    }

    /// Checks and opens a command into `out`; returns the plain length.
    pub(super) fn unwrap(
        &mut self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.check(command)?;
        self.reopen(level, command, out)
    }

    /// The same command once more, without its MAC.
    pub(super) fn reopen(
        &self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let len = command.data().len().checked_sub(self.options.mode().len()).ok_or(CryptoError)?;
        let body = command.data().get(..len).ok_or(CryptoError)?;
        let plain = out.get_mut(..len).ok_or(CryptoError)?;
        plain.copy_from_slice(body);
        if level.c_enc() { c_enc::decrypt(&self.key(Name::Enc)?, self.counter, plain) } else { Ok(len) }
    }

    /// Encrypts and signs an answer in place.
    pub(super) fn wrap(&self, level: Level, reply: &mut ResponseWriter<'_>, sw: Sw) -> Result<(), Sw> {
        if !level.r_mac() || !r_mac::is_carried(sw) {
            return Ok(());
        }
        let mac_len = self.options.mode().len();
        let status = sw.value().to_be_bytes();
        let len = ResponseWriter::len(reply);
        let padded = if level.r_enc() { c_enc::encrypted_len(len) } else { len };
        let end = padded.checked_add(mac_len).ok_or(Sw::UNKNOWN)?;
        reply.set_len(end)?;
        let whole = reply.as_mut_slice();
        let (data, place) = whole.split_at_mut_checked(padded).ok_or(Sw::UNKNOWN)?;
        let rmac = self.key(Name::RMac).map_err(|_| Sw::UNKNOWN)?;
        let mac = if level.r_enc() && padded > 0 {
            c_enc::pad(data, len).map_err(|_| Sw::UNKNOWN)?;
            let enc = self.key(Name::Enc).map_err(|_| Sw::UNKNOWN)?;
            let icv = r_enc::icv(&enc, self.counter);
            mac::encrypt_then_cmac(&enc, &icv, &rmac, &[&self.chaining], data, &[&status])
                .map_err(|_| Sw::UNKNOWN)?
        } else {
            mac::cmac(&rmac, &[&self.chaining, data, &status])
        };
        place.copy_from_slice(mac.get(..mac_len).ok_or(Sw::UNKNOWN)?);
        Ok(())
    }
}
