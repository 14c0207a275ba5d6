//! Check values of the card's keys.

use huiwan_crypto::{Algorithm, CryptoError, SuiteKey};
use huiwan_tlv::At;

use super::KeyData;
use crate::command::WrongLength;
use crate::keys::{self, KeyKind};
use crate::pack::{Pack, Unpack};

/// What an SM4 key encrypts for its check value, in each byte of the block; 3DES keys encrypt zeros.
const SM4_CHECK_BLOCK: u8 = 0x02;

/// The check value of a key: content of [`dgi_key_check`](super::dgi_key_check).
///
/// Six bytes: index 1 ‖ version 1 ‖ algorithm 1 ‖ check value 3: the beginning of a block encrypted under the key, of zeros for 3DES
/// and of bytes 02 for SM4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyCheck {
    /// What the key is for.
    pub kind: KeyKind,
    /// Its index.
    pub index: u8,
    /// Its version.
    pub version: u8,
    /// Its algorithm byte.
    pub algorithm: u8,
    /// Check value.
    pub value: [u8; 3],
}

impl KeyCheck {
    /// Length in bytes.
    pub const LEN: usize = 6;

    /// The check value of a key.
    ///
    /// # Errors
    /// If the algorithm is outside the suite.
    pub fn of<K: SuiteKey>(key: &KeyData) -> Result<Self, CryptoError> {
        let KeyData { kind, index, version, algorithm, .. } = *key;
        let opened = keys::open::<K>(algorithm, &key.value)?;
        let value = match opened.algorithm() {
            Algorithm::Sm4 => opened.kcv_over(SM4_CHECK_BLOCK),
            _ => opened.kcv(),
        };
        Ok(Self { kind, index, version, algorithm, value })
    }

    /// Reads the value.
    ///
    /// # Errors
    /// Another length.
    pub fn parse(kind: KeyKind, raw: &[u8]) -> Result<Self, At<WrongLength>> {
        if raw.len() != Self::LEN {
            return Err(At::new(WrongLength { expected: Self::LEN }, raw.len().min(Self::LEN)));
        }
        let mut fields = Unpack::new(raw);
        Ok(Self {
            kind,
            index: fields.byte(),
            version: fields.byte(),
            algorithm: fields.byte(),
            value: fields.take(),
        })
    }

    /// The value.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        Pack::new().put([self.index, self.version, self.algorithm]).put(self.value).finish()
    }
}
