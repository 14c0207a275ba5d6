//! Command MAC: a retail MAC over the header and the plain data, chained by its ICV. [GPC E.4.4]

use huiwan_crypto::Tdes;
use huiwan_crypto::mac::{self, Padding};

use super::{MAC_LEN, Options};
use crate::secure_channel::class::{bare_class, mac_class};

/// The header of a command as the MAC sees it: class byte, INS, P1, P2, Lc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; 7],
    len: usize,
}

impl Header {
    /// The header for `data_len` bytes of plain data; Lc is one byte, or three in an extended command.
    ///
    /// Modified: the class byte says secure messaging and Lc counts the MAC. Unmodified: neither, and without data Lc is 00. In both the
    /// logical channel is removed. `None` if Lc does not fit.
    #[must_use]
    pub fn new(options: Options, header: [u8; 4], data_len: usize, extended: bool) -> Option<Self> {
        let [cla, ins, p1, p2] = header;
        let (cla, lc) = if options.unmodified() {
            (bare_class(cla), data_len)
        } else {
            (mac_class(cla), data_len.checked_add(MAC_LEN)?)
        };
        let [high, low] = u16::try_from(lc).ok()?.to_be_bytes();
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

/// What the next C-MAC starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icv {
    /// The first of a session, used as it is.
    First([u8; 8]),
    /// The C-MAC before, encrypted if "i" says so.
    Previous([u8; 8]),
}

impl Icv {
    /// The first ICV: zero, or a MAC over the AID the channel is opened on (b4). Never encrypted. [GPC E.3.2]
    #[must_use]
    pub fn first(options: Options, c_mac: &Tdes, aid: &[u8]) -> Self {
        Self::First(if options.icv_over_aid() {
            mac::alg3(c_mac, &[0; 8], &[aid], Padding::Method2)
        } else {
            [0; 8]
        })
    }

    /// The block the MAC starts from; ICVs are encrypted under the left half of the C-MAC key.
    #[must_use]
    pub fn block(self, options: Options, c_mac: &Tdes) -> [u8; 8] {
        match self {
            Self::Previous(mac) if options.encrypts_icv() => c_mac.first().encrypt_block(&mac),
            Self::First(block) | Self::Previous(block) => block,
        }
    }
}

/// The C-MAC of a command.
#[must_use]
pub fn compute(options: Options, c_mac: &Tdes, icv: Icv, header: &Header, data: &[u8]) -> [u8; MAC_LEN] {
    let icv = icv.block(options, c_mac);
    mac::alg3(c_mac, &icv, &[header.as_bytes(), data], Padding::Method2)
}
