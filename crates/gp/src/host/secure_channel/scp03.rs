//! The host's end of SCP03 and of the messaging behind SCP11.

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::{Aes, CryptoError, ct_eq};

use super::SessionError;
use super::frame::Frame;
use crate::scp03::{Level, Mode, SessionKeys, c_enc, c_mac, r_enc, r_mac};

/// What a session remembers.
#[derive(Debug)]
pub(super) struct Scp03 {
    pub(super) keys: SessionKeys,
    pub(super) mode: Mode,
    pub(super) chaining: [u8; 16],
    pub(super) counter: u32,
    /// The session's own data encryption key, which SCP11 has and SCP03 has not.
    pub(super) dek: Option<Aes>,
}

impl Scp03 {
    /// Protects a command; returns its length in `out`. Nothing changes if that fails.
    pub(super) fn wrap(
        &mut self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, SessionError> {
        let plain = command.data();
        let data_len = if level.c_enc() { c_enc::encrypted_len(plain.len()) } else { plain.len() };
        let header = c_mac::Header::new(self.mode, command.header(), data_len, command.is_extended())
            .ok_or(SessionError::TooLong)?;
        let counter = self.counter.checked_add(1).ok_or(SessionError::NotAuthentic)?;
        let (frame, len) = Frame::new(command, command.ne(), data_len, self.mode.len(), out)?;
        let data = frame.data;
        data.get_mut(..plain.len()).ok_or(SessionError::TooLong)?.copy_from_slice(plain);
        let chaining = if level.c_enc() {
            c_enc::pad(data, plain.len())?;
            c_mac::encrypt_and_chain(&self.keys, counter, &self.chaining, &header, data)?
        } else {
            c_mac::chain(&self.keys.mac, &self.chaining, &header, data)
        };
        frame.mac.copy_from_slice(chaining.get(..self.mode.len()).ok_or(SessionError::TooLong)?);
        self.chaining = chaining;
        self.counter = counter;
        Ok(len)
    }

    /// Checks and opens a response into `out`; returns the plain length.
    pub(super) fn unwrap(
        &self,
        level: Level,
        wire: &[u8],
        sw: Sw,
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let body = if !level.r_mac() {
            wire
        } else if r_mac::is_carried(sw) {
            let body_len = wire.len().checked_sub(self.mode.len()).ok_or(CryptoError)?;
            let (body, mac) = wire.split_at_checked(body_len).ok_or(CryptoError)?;
            let expected = r_mac::compute(&self.keys.rmac, &self.chaining, body, sw);
            if !ct_eq(expected.get(..self.mode.len()).ok_or(CryptoError)?, mac) {
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
        if level.r_enc() { r_enc::decrypt(&self.keys.enc, self.counter, plain) } else { Ok(body.len()) }
    }
}
