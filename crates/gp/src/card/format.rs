//! The first state of a blank card, written in the factory.

use huiwan_card::{Batch, InstanceId, Memory, MemoryError};
use zeroize::Zeroize;

use super::keys::{KeySet, SET_MAX};
use super::registry::Card;
use super::{TEST_KEY, TEST_SCP02_KEY_VERSION, objects};
use crate::cplc::{self, Cplc};
use crate::life_cycle::CardState;
use crate::put_key::{KID_DEK, KID_ENC, KID_MAC, KeyType};
use crate::scp02;

/// What one card gets in the factory.
#[derive(Clone, Copy)]
pub struct Factory<'a> {
    /// Version of the first key set, which version 00 of INITIALIZE UPDATE names; [`super::INITIAL_KEY_VERSION`] for one that goes when another comes.
    pub key_version: u8,
    /// ENC, MAC and DEK: AES keys of one length, or double-length DES keys.
    pub keys: [&'a [u8]; 3],
    /// What kind of keys those are, which decides the protocol: AES for SCP03, DES for SCP02.
    pub key_type: KeyType,
    /// Version and keys of a second key set, for SCP02: ENC, MAC and DEK, double-length DES keys.
    pub scp02: Option<(u8, [&'a [u8]; 3])>,
    /// Life cycle state.
    pub state: CardState,
    /// Card production life cycle data (tag 9F7F).
    pub cplc: [u8; cplc::LEN],
    /// Key diversification data (tag CF and INITIALIZE UPDATE).
    pub key_diversification: [u8; 10],
    /// Issuer identification number (tag 42); empty for none.
    pub issuer_identification: &'a [u8],
    /// Card image number (tag 45); empty for none.
    pub card_image: &'a [u8],
}

impl Factory<'_> {
    /// A test card: keys 40…4F under version 30, OP_READY, a serial number of zeros.
    pub const TEST: Self = Self {
        key_version: 0x30,
        keys: [&TEST_KEY, &TEST_KEY, &TEST_KEY],
        key_type: KeyType::Aes,
        scp02: None,
        state: CardState::OpReady,
        cplc: [0; cplc::LEN],
        key_diversification: [0; 10],
        issuer_identification: &[],
        card_image: &[],
    };

    /// The same with the key set under another version.
    #[must_use]
    pub const fn with_key_version(self, key_version: u8) -> Self {
        Self { key_version, ..self }
    }

    /// The same with the first key set of another kind of keys.
    #[must_use]
    pub const fn with_key_type(self, key_type: KeyType) -> Self {
        Self { key_type, ..self }
    }

    /// The same with SCP02 keys 40…4F under version 20 beside the others; the card's profile says which SCP02 it is.
    #[must_use]
    pub const fn with_scp02_test_keys(self) -> Self {
        Self { scp02: Some((TEST_SCP02_KEY_VERSION, [&TEST_KEY, &TEST_KEY, &TEST_KEY])), ..self }
    }

    /// The same with a serial number, which goes into the production data and the key diversification data (bytes 4 to 7).
    #[must_use]
    pub fn with_serial(mut self, serial: [u8; 4]) -> Self {
        self.cplc = Cplc::from_bytes(&self.cplc).with_serial(serial).to_bytes();
        if let Some(place) = self.key_diversification.get_mut(4..8) {
            place.copy_from_slice(&serial);
        }
        self
    }
}

/// Writes the first state of a card into empty memory, in one commit.
///
/// # Errors
/// [`MemoryError`]; [`MemoryError::Damaged`] if the keys are neither AES keys of one length nor double-length DES keys, those of SCP02 no
/// double-length DES keys, or both have one version.
pub fn format(memory: &mut dyn Memory, factory: &Factory<'_>) -> Result<(), MemoryError> {
    let issuer = InstanceId::ISSUER;
    let first = (factory.key_version, key_set(factory.key_type, factory.keys)?);
    let second = match factory.scp02 {
        Some((version, keys)) => Some((version, key_set(KeyType::Des, keys)?)),
        None => None,
    };
    if second.as_ref().is_some_and(|(version, _)| *version == factory.key_version) {
        return Err(MemoryError::Damaged);
    }
    let mut buffer = [0; 2 * SET_MAX + 256];
    let mut batch = Batch::new(&mut buffer);
    for (version, set) in [Some(first), second].iter().flatten() {
        set.put(issuer, *version, true, &mut batch);
    }
    Card { state: factory.state, default_key_version: factory.key_version }.put(&mut batch);
    batch.put(objects::CPLC, &factory.cplc);
    batch.put(objects::KEY_DIVERSIFICATION, &factory.key_diversification);
    let images =
        [(objects::iin(issuer), factory.issuer_identification), (objects::cin(issuer), factory.card_image)];
    for (object, value) in images {
        if !value.is_empty() {
            batch.put(object, value);
        }
    }
    let result = memory.commit(&batch);
    buffer.zeroize();
    result
}

/// ENC, MAC and DEK as a set that opens a channel.
fn key_set(key_type: KeyType, keys: [&[u8]; 3]) -> Result<KeySet, MemoryError> {
    let mut set = KeySet::new();
    for (id, key) in [KID_ENC, KID_MAC, KID_DEK].into_iter().zip(keys) {
        set.push(id, key_type, None, key).ok_or(MemoryError::Damaged)?;
    }
    if set.opens_channel(Some(scp02::Options::I15)) { Ok(set) } else { Err(MemoryError::Damaged) }
}
