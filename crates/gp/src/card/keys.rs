//! The key sets of the issuer security domain. [GPC 7.5]
//!
//! A key set is one durable object, so it changes whole or not at all; its sequence counter is another, so that raising it costs
//! little and survives nothing but its own commit.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, MemoryError, ObjectId};
use zeroize::Zeroizing;

use super::objects;
use crate::key_information::KeyInformation;
use crate::put_key::{KID_DEK, KID_ENC, KID_MAC, KeyType};
use crate::scp03::{StaticKeys, challenge::Counter};

/// Bytes of one key in a set: identifier, type, length, AES-256.
const KEY_MAX: usize = 3 + 32;
/// Keys a set holds at most.
pub(crate) const KEYS_MAX: usize = 3;
/// Keys the domain holds at most: as many as GET DATA E0 tells in one answer, encrypted and signed.
pub(crate) const KEYS_HELD: usize = 39;
/// Bytes of the largest key set.
pub(crate) const SET_MAX: usize = KEYS_MAX * KEY_MAX;

/// The bytes of a key set: { identifier ‖ type ‖ length ‖ key }*.
#[derive(Clone)]
pub(crate) struct KeySet {
    raw: Zeroizing<[u8; SET_MAX]>,
    len: usize,
}

/// One key of a set.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) id: u8,
    pub(crate) key_type: KeyType,
    pub(crate) value: &'a [u8],
}

impl KeySet {
    pub(crate) fn new() -> Self {
        Self { raw: Zeroizing::new([0; SET_MAX]), len: 0 }
    }

    /// Reads the set of a version; `None` if there is none.
    pub(crate) fn read(memory: &mut dyn Memory, version: u8) -> Result<Option<Self>, Sw> {
        let mut set = Self::new();
        match memory.read(objects::key_set(version), 0, &mut *set.raw) {
            Ok(read) => set.len = read.len(),
            Err(MemoryError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(set))
    }

    /// Adds a key; `None` if there is no room or its identifier is taken.
    pub(crate) fn push(&mut self, id: u8, key_type: KeyType, value: &[u8]) -> Option<()> {
        if self.key(id).is_some() || !key_type.allows_len(value.len()) {
            return None;
        }
        let head = [id, key_type.byte(), u8::try_from(value.len()).ok()?];
        let (to, rest) = self.raw.get_mut(self.len..)?.split_at_mut_checked(head.len())?;
        rest.get_mut(..value.len())?.copy_from_slice(value);
        to.copy_from_slice(&head);
        self.len = self.len.checked_add(head.len())?.checked_add(value.len())?;
        Some(())
    }

    /// The keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let mut rest = self.raw.get(..self.len).unwrap_or_default();
        core::iter::from_fn(move || {
            let (&[id, key_type, len], behind) = rest.split_first_chunk()?;
            let (value, behind) = behind.split_at_checked(usize::from(len))?;
            rest = behind;
            Some(Key { id, key_type: KeyType::from_byte(key_type)?, value })
        })
    }

    /// The key with this identifier.
    pub(crate) fn key(&self, id: u8) -> Option<Key<'_>> {
        self.keys().find(|key| key.id == id)
    }

    /// ENC, MAC and DEK, if this is a set of three AES keys of one length.
    pub(crate) fn scp03(&self) -> Option<StaticKeys> {
        let aes = |id| self.key(id).filter(|key| key.key_type == KeyType::Aes).map(|key| key.value);
        StaticKeys::new(aes(KID_ENC)?, aes(KID_MAC)?, aes(KID_DEK)?).ok()
    }

    /// Adds this set to a batch, and its counter goes back to zero.
    pub(crate) fn put(&self, version: u8, batch: &mut Batch<'_>) {
        batch.put(objects::key_set(version), self.raw.get(..self.len).unwrap_or_default());
        batch.delete(objects::counter(version));
    }
}

/// Adds the deletion of a set and its counter to a batch.
pub(crate) fn delete(version: u8, batch: &mut Batch<'_>) {
    batch.delete(objects::key_set(version));
    batch.delete(objects::counter(version));
}

/// The version of the next key set behind `after`, in rising order.
pub(crate) fn next_version(memory: &mut dyn Memory, after: Option<u8>) -> Result<Option<u8>, Sw> {
    let after = after.map_or(objects::BEFORE_KEY_SETS, objects::key_set);
    Ok(memory.next_object(Some(after))?.and_then(objects::key_set_of))
}

/// Calls `f` with what is known of every key.
pub(crate) fn for_each(memory: &mut dyn Memory, mut f: impl FnMut(KeyInformation)) -> Result<(), Sw> {
    let mut after = None;
    while let Some(version) = next_version(memory, after)? {
        if let Some(set) = KeySet::read(memory, version)? {
            for key in set.keys() {
                let len = u8::try_from(key.value.len()).unwrap_or_default();
                f(KeyInformation { id: key.id, version, key_type: key.key_type.byte(), len });
            }
        }
        after = Some(version);
    }
    Ok(())
}

/// The sequence counter of a version: the value of its last session.
pub(crate) fn counter(memory: &mut dyn Memory, version: u8) -> Result<Counter, Sw> {
    let mut raw = [0; 4];
    match memory.read(objects::counter(version), 0, &mut raw) {
        Ok(&[a, b, c]) => Ok(Counter::from_bytes([a, b, c])),
        Ok(_) => Err(Sw::MEMORY_FAILURE),
        Err(MemoryError::NotFound) => Ok(Counter::ZERO),
        Err(error) => Err(error.into()),
    }
}

/// Raises the counter and makes it durable, before the value is used for anything.
pub(crate) fn raise_counter(memory: &mut dyn Memory, version: u8) -> Result<Counter, Sw> {
    let next = counter(memory, version)?.next().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let mut buffer = [0; 16];
    let mut batch = Batch::new(&mut buffer);
    batch.put(objects::counter(version), &next.to_bytes());
    memory.commit(&batch)?;
    Ok(next)
}

/// Whether an object holds a key (for tests that look for leaks).
#[must_use]
pub fn is_key_object(object: ObjectId) -> bool {
    object.instance == InstanceId::ISSUER && objects::key_set_of(object).is_some()
}
