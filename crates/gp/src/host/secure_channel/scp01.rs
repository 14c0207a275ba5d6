//! The host's end of SCP01.

use huiwan_apdu::Command;
use huiwan_crypto::CryptoError;

use super::SessionError;
use super::frame::Frame;
use crate::scp01::{self, Options, SessionKeys};
use crate::secure_channel::Level;
use crate::secure_channel::class::mac_class;

/// What a session remembers.
#[derive(Debug)]
pub(super) struct Scp01 {
    pub(super) options: Options,
    pub(super) keys: SessionKeys,
    pub(super) previous: Option<[u8; 8]>,
}

impl Scp01 {
    /// Protects a command; returns its length in `out`. Nothing changes if that fails.
    pub(super) fn wrap(
        &mut self,
        level: Level,
        command: &Command<'_>,
        out: &mut [u8],
    ) -> Result<usize, SessionError> {
        let plain = command.data();
        let data_len = if level.c_enc() { scp01::encrypted_len(plain.len()) } else { plain.len() };
        let lc = u8::try_from(plain.len().saturating_add(8)).map_err(|_| SessionError::TooLong)?;
        if command.is_extended() {
            return Err(SessionError::TooLong);
        }
        let [cla, ins, p1, p2] = command.header();
        let (frame, len) = Frame::new(command, command.ne(), data_len, 8, out)?;
        let header = [mac_class(cla), ins, p1, p2, lc];
        let mac = scp01::c_mac(self.options, &self.keys, self.previous, &header, plain);
        if level.c_enc() {
            scp01::encrypt(&self.keys, plain, frame.data)?;
        } else {
            frame.data.copy_from_slice(plain);
        }
        frame.mac.copy_from_slice(&mac);
        self.previous = Some(mac);
        Ok(len)
    }

    /// Responses are not protected.
    pub(super) fn unwrap(wire: &[u8], out: &mut [u8]) -> Result<usize, CryptoError> {
        out.get_mut(..wire.len()).ok_or(CryptoError)?.copy_from_slice(wire);
        Ok(wire.len())
    }
}
