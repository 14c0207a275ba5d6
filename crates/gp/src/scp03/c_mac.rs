//! Command MAC: a CMAC over the chaining value, the modified header and the data as sent. [AmdD 6.2.4]

use huiwan_crypto::{Aes, CryptoError, mac};

use super::{Mode, SessionKeys, c_enc};
pub use crate::secure_channel::class::{is_protected, mac_class, plain_class, protected_class};

/// The header of a protected command as the MAC sees it: class byte, INS, P1, P2, then Lc including the MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; 7],
    len: usize,
}

impl Header {
    /// The header for `data_len` bytes of data on the wire before the MAC; Lc is one byte, or three in an extended command.
    ///
    /// `None` if Lc does not fit.
    #[must_use]
    pub fn new(mode: Mode, header: [u8; 4], data_len: usize, extended: bool) -> Option<Self> {
        let [cla, ins, p1, p2] = header;
        let cla = mac_class(cla);
        let lc = u16::try_from(data_len.checked_add(mode.len())?).ok()?;
        let [high, low] = lc.to_be_bytes();
        if extended {
            Some(Self { bytes: [cla, ins, p1, p2, 0, high, low], len: 7 })
        } else if high == 0 {
            Some(Self { bytes: [cla, ins, p1, p2, low, 0, 0], len: 5 })
        } else {
            None
        }
    }

    /// The bytes under the MAC.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// The next chaining value; its first 8 (S8) or all 16 bytes (S16) are the C-MAC.
#[must_use]
pub fn chain(s_mac: &Aes, chaining: &[u8; 16], header: &Header, data: &[u8]) -> [u8; 16] {
    mac::cmac(s_mac, &[chaining, header.as_bytes(), data])
}

/// Encrypts padded data under S-ENC and chains its MAC in one pass: the same as [`super::c_enc`] and then [`chain`].
pub(crate) fn encrypt_and_chain(
    keys: &SessionKeys,
    counter: u32,
    chaining: &[u8; 16],
    header: &Header,
    padded: &mut [u8],
) -> Result<[u8; 16], CryptoError> {
    if padded.is_empty() {
        return Ok(chain(&keys.mac, chaining, header, padded));
    }
    let icv = c_enc::icv(&keys.enc, counter);
    mac::encrypt_then_cmac(&keys.enc, &icv, &keys.mac, &[chaining, header.as_bytes()], padded, &[])
}
