//! The key sets of a security domain. [GPC 7.5]
//!
//! A key set is one durable object, so it changes whole or not at all; its sequence counter is another, so that raising it costs
//! little and survives nothing but its own commit. An entry of a set:
//! ```text
//! key identifier ‖ type ‖ 01 if it came with usage and access ‖ usage ‖ access ‖ length (2) ‖ value
//! ```
//! The value of an RSA public key is the length of the exponent ‖ exponent ‖ modulus, that of an ECC key curve reference ‖ point or
//! private number.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, MemoryError, ObjectId};
use huiwan_crypto::Wiped;

use super::objects;
use super::secure_channel::{Dek, Session};
use crate::key_information::{Components, KeyDescription};
use crate::put_key::{Attributes, KID_DEK, KID_ENC, KID_MAC, KeyType};
use crate::scp02;
use crate::scp03::{StaticKeys, challenge::Counter};

const HEAD: usize = 7;
/// Bytes of the longest key: an RSA exponent of 4 bytes and a modulus of 256.
const VALUE_MAX: usize = 1 + 4 + 256;
/// Bytes of the largest key set: one RSA key, or a dozen of AES.
pub(crate) const SET_MAX: usize = HEAD + VALUE_MAX + 12;
/// Bytes the key information template of a domain takes at most, so that one answer tells it, encrypted and signed.
pub(crate) const TOLD_MAX: usize = 239;

/// The bytes of a key set.
#[derive(Clone)]
pub(crate) struct KeySet {
    raw: Wiped<SET_MAX>,
    len: usize,
}

/// One key of a set.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) id: u8,
    pub(crate) key_type: KeyType,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) value: &'a [u8],
}

impl Key<'_> {
    /// Exponent and modulus of an RSA public key.
    pub(crate) fn rsa(&self) -> Option<(&[u8], &[u8])> {
        let (&len, rest) = self.value.split_first().filter(|_| self.key_type == KeyType::RsaPublic)?;
        rest.split_at_checked(usize::from(len))
    }

    /// Curve reference and point of an ECC public key.
    pub(crate) fn ecc(&self) -> Option<(u8, &[u8])> {
        let (&curve, point) = self.value.split_first().filter(|_| self.key_type == KeyType::EccPublic)?;
        Some((curve, point))
    }

    /// Curve reference and number of an ECC private key.
    pub(crate) fn ecc_private(&self) -> Option<(u8, &[u8])> {
        let (&curve, d) = self.value.split_first().filter(|_| self.key_type == KeyType::EccPrivate)?;
        Some((curve, d))
    }

    fn describe(&self, version: u8) -> KeyDescription {
        let len = |value: &[u8]| u16::try_from(value.len()).unwrap_or_default();
        let components = match (self.rsa(), self.ecc(), self.ecc_private()) {
            (Some((exponent, modulus)), ..) => {
                Components::Rsa { exponent: len(exponent), modulus: len(modulus) }
            }
            (_, Some((curve, point)), _) => Components::Ecc { point: len(point), curve },
            (.., Some((curve, d))) => Components::EccPrivate { len: len(d), curve },
            _ => Components::Secret { key_type: self.key_type.byte(), len: len(self.value) },
        };
        KeyDescription { id: self.id, version, components, attributes: self.attributes }
    }
}

impl KeySet {
    pub(crate) fn new() -> Self {
        Self { raw: Wiped::new(), len: 0 }
    }

    /// Reads the set of a version; `None` if there is none.
    pub(crate) fn read(memory: &mut dyn Memory, domain: InstanceId, version: u8) -> Result<Option<Self>, Sw> {
        Self::read_at(memory, objects::key_set(domain, version), 0)
    }

    /// Reads a set that begins at byte `at` of an object.
    pub(crate) fn read_at(memory: &mut dyn Memory, object: ObjectId, at: usize) -> Result<Option<Self>, Sw> {
        let mut set = Self::new();
        match memory.read(object, at, &mut *set.raw) {
            Ok(read) => set.len = read.len(),
            Err(MemoryError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(set))
    }

    /// Adds a key; `None` if there is no room or its identifier is taken.
    pub(crate) fn push(
        &mut self,
        id: u8,
        key_type: KeyType,
        attributes: Option<Attributes>,
        value: &[u8],
    ) -> Option<()> {
        if self.key(id).is_some() {
            return None;
        }
        let [l1, l2] = u16::try_from(value.len()).ok()?.to_be_bytes();
        let Attributes { usage, access } = attributes.unwrap_or_default();
        let head: [u8; HEAD] = [id, key_type.byte(), u8::from(attributes.is_some()), usage, access, l1, l2];
        let (to, rest) = self.raw.get_mut(self.len..)?.split_at_mut_checked(HEAD)?;
        rest.get_mut(..value.len())?.copy_from_slice(value);
        to.copy_from_slice(&head);
        self.len = self.len.checked_add(HEAD)?.checked_add(value.len())?;
        Some(())
    }

    /// Adds the keys of another set that this one lacks; `None` if there is no room.
    pub(crate) fn complete(&mut self, other: &Self) -> Option<()> {
        for key in other.keys() {
            if self.key(key.id).is_none() {
                self.push(key.id, key.key_type, key.attributes, key.value)?;
            }
        }
        Some(())
    }

    /// The keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        let mut rest = self.bytes();
        core::iter::from_fn(move || {
            let (&[id, key_type, extended, usage, access, l1, l2], behind) = rest.split_first_chunk()?;
            let (value, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
            rest = behind;
            let attributes = (extended != 0).then_some(Attributes { usage, access });
            Some(Key { id, key_type: KeyType::from_byte(key_type)?, attributes, value })
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

    /// The keys of SCP02, if this is a set of three double-length DES keys, or with these options of one base key.
    pub(crate) fn scp02(&self, options: scp02::Options) -> Option<scp02::StaticKeys> {
        let des = |id| self.key(id).filter(|key| key.key_type == KeyType::Des).map(|key| key.value);
        if options.three_keys() {
            scp02::StaticKeys::new(des(KID_ENC)?, des(KID_MAC)?, des(KID_DEK)?).ok()
        } else {
            scp02::StaticKeys::base(des(KID_ENC)?).ok()
        }
    }

    /// Whether a channel can be opened with this set on a card that speaks SCP02 as `scp02` says.
    pub(crate) fn opens_channel(&self, scp02: Option<scp02::Options>) -> bool {
        self.scp03().is_some() || scp02.is_some_and(|options| self.scp02(options).is_some())
    }

    /// Whether there is no key.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The set as it is stored.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.raw.get(..self.len).unwrap_or_default()
    }

    /// Adds this set to a batch; with new keys of a channel its counter goes back to zero.
    pub(crate) fn put(&self, domain: InstanceId, version: u8, new_channel: bool, batch: &mut Batch<'_>) {
        batch.put(objects::key_set(domain, version), self.bytes());
        if new_channel {
            batch.delete(objects::counter(domain, version));
        }
    }
}

/// Adds the deletion of a set and its counter to a batch.
pub(crate) fn delete(domain: InstanceId, version: u8, batch: &mut Batch<'_>) {
    batch.delete(objects::key_set(domain, version));
    batch.delete(objects::counter(domain, version));
}

/// The version of the next key set behind `after`, in rising order.
pub(crate) fn next_version(
    memory: &mut dyn Memory,
    domain: InstanceId,
    after: Option<u8>,
) -> Result<Option<u8>, Sw> {
    let after = after.map_or(objects::before_key_sets(domain), |version| objects::key_set(domain, version));
    Ok(memory.next_object(Some(after))?.and_then(|object| objects::key_set_of(object, domain)))
}

/// Calls `f` with what is known of every key.
pub(crate) fn for_each(
    memory: &mut dyn Memory,
    domain: InstanceId,
    mut f: impl FnMut(KeyDescription),
) -> Result<(), Sw> {
    let mut after = None;
    while let Some(version) = next_version(memory, domain, after)? {
        if let Some(set) = KeySet::read(memory, domain, version)? {
            set.keys().for_each(|key| f(key.describe(version)));
        }
        after = Some(version);
    }
    Ok(())
}

/// Whether the template still fits one answer when `set` comes and the sets of the versions `gone` go.
pub(crate) fn can_be_told(
    memory: &mut dyn Memory,
    domain: InstanceId,
    (version, set): (u8, &KeySet),
    gone: &[u8],
) -> Result<bool, Sw> {
    // The header of the template: E0 81 len.
    let mut told = set.keys().fold(3_usize, |sum, key| sum.saturating_add(key.describe(version).len()));
    for_each(memory, domain, |key| {
        if key.version != version && !gone.contains(&key.version) {
            told = told.saturating_add(key.len());
        }
    })?;
    Ok(told <= TOLD_MAX)
}

/// The sequence counter of a version: the value of its last session.
pub(crate) fn counter(memory: &mut dyn Memory, domain: InstanceId, version: u8) -> Result<Counter, Sw> {
    let mut raw = [0; 4];
    match memory.read(objects::counter(domain, version), 0, &mut raw) {
        Ok(&[a, b, c]) => Ok(Counter::from_bytes([a, b, c])),
        Ok(_) => Err(Sw::MEMORY_FAILURE),
        Err(MemoryError::NotFound) => Ok(Counter::ZERO),
        Err(error) => Err(error.into()),
    }
}

/// The same as SCP02 counts; `None` past its end.
pub(crate) fn sequence(
    memory: &mut dyn Memory,
    domain: InstanceId,
    version: u8,
) -> Result<Option<scp02::Sequence>, Sw> {
    Ok(match counter(memory, domain, version)?.to_bytes() {
        [0, high, low] => Some(scp02::Sequence::from_bytes([high, low])),
        _ => None,
    })
}

/// The key sensitive data of a session under the keys of `owner` is encrypted under.
pub(crate) fn dek(memory: &mut dyn Memory, owner: InstanceId, session: &Session) -> Result<Dek, Sw> {
    if let Some(own) = session.own_dek() {
        return Ok(own);
    }
    KeySet::read(memory, owner, session.key_version())?
        .and_then(|set| set.scp03())
        .map(|keys| Dek::Aes(keys.dek().clone()))
        .ok_or(Sw::REFERENCED_DATA_NOT_FOUND)
}

/// Raises the counter and makes it durable, before the value is used for anything.
pub(crate) fn raise_counter(memory: &mut dyn Memory, domain: InstanceId, version: u8) -> Result<Counter, Sw> {
    let next = counter(memory, domain, version)?.next().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let mut buffer = [0; 16];
    let mut batch = Batch::new(&mut buffer);
    batch.put(objects::counter(domain, version), &next.to_bytes());
    memory.commit(&batch)?;
    Ok(next)
}

/// Whether an object of the issuer domain holds a key (for tests that look for leaks).
#[must_use]
pub fn is_key_object(object: ObjectId) -> bool {
    objects::key_set_of(object, InstanceId::ISSUER).is_some()
        || object == objects::staged_keys(InstanceId::ISSUER)
}
