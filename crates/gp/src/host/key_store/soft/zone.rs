//! From an issuer's zone to the card: nothing is in the clear but in here.

use huiwan_crypto::padding;
use zeroize::Zeroize;

use super::super::pin_block::{self, PinFormat};
use super::super::{KeyError, PinBlock, ZoneValue};
use super::{Session, SingleKey};

impl Session {
    /// A value under the zone's key as one under the session's DEK.
    pub(super) fn reencrypt<'o>(
        &self,
        zone: &SingleKey,
        value: &ZoneValue<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let plain = out.get_mut(..value.data.len()).ok_or(KeyError::Full)?;
        plain.copy_from_slice(value.data);
        zone.decrypt(value.chaining, plain)?;
        self.encrypt_plain(value.data.len(), value.pad, out)
    }

    /// A PIN block under the zone's key as one of format 2 under the session's DEK.
    pub(super) fn translate_pin_block<'o>(
        &self,
        zone: &SingleKey,
        pin: &PinBlock<'_>,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], KeyError> {
        let field = match pin.format {
            PinFormat::Iso4 => {
                let block = pin.block.try_into().map_err(|_| KeyError::PinBlock)?;
                pin_block::decipher_4(&zone.to_aes()?, block, pin.account).ok_or(KeyError::PinBlock)?
            }
            PinFormat::Iso0 | PinFormat::Iso1 | PinFormat::Iso3 => {
                let block = pin.block.try_into().map_err(|_| KeyError::PinBlock)?;
                zone.decrypt_des_block(block)?
            }
        };
        let reference = pin_block::reference(pin.format, &field, pin.account).ok_or(KeyError::PinBlock)?;
        out.get_mut(..reference.len()).ok_or(KeyError::Full)?.copy_from_slice(&*reference);
        self.encrypt_plain(reference.len(), pin.pad, out)
    }

    /// The first `len` bytes of `out`, padded, under the session's DEK; if that fails nothing is left of them.
    fn encrypt_plain<'o>(&self, len: usize, pad: bool, out: &'o mut [u8]) -> Result<&'o [u8], KeyError> {
        let encrypt = |out: &mut [u8]| {
            let len = if pad {
                padding::method2_in_place(out, len, self.open.block_len()).map_err(|_| KeyError::Full)?
            } else {
                len
            };
            let padded = out.get_mut(..len).ok_or(KeyError::Full)?;
            self.encrypt(padded)?;
            Ok(len)
        };
        match encrypt(out) {
            Ok(len) => out.get(..len).ok_or(KeyError::Full),
            Err(error) => {
                out.zeroize();
                Err(error)
            }
        }
    }
}
