//! Keys by STORE DATA: a grouping that describes them, then one for each key. [GPC 11.11.3.2, kaoh]
//!
//! ```text
//! 00B9: [ B7 { what all have in common } ] { B9 { 80 type, 81 length, 82 identifier, 83 version, 84 check value, 95 usage, 96 access } }*
//! 8113: a secret key, encrypted under the data encryption key; in the order of the B9
//! ```
//! The keys wait in one object until the last has come, and are stored in one commit:
//! ```text
//! length of the description ‖ description ‖ the key set so far
//! ```

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, MemoryError};
use huiwan_crypto::ct_eq;
use huiwan_tlv::{Rules, Tag, find, parse};
use zeroize::Zeroizing;

use super::keys::{KeySet, SET_MAX};
use super::objects;
use crate::put_key::{Attributes, KeyType};

/// The grouping with the description.
pub(super) const DGI_KEYS: u16 = 0x00B9;
/// The grouping with a secret key.
const DGI_SECRET_KEY: u16 = 0x8113;
const TAG_B7_COMMON: Tag = Tag::new(0xB7);
const TAG_B9_KEY: Tag = Tag::new(0xB9);
/// Bytes of a description at most.
const DESCRIPTION_MAX: usize = 200;

/// Whether a grouping is encrypted whatever P1 says.
pub(super) const fn is_secret(dgi: u16) -> bool {
    dgi == DGI_SECRET_KEY
}

/// What is said of one key.
struct Described {
    key_type: KeyType,
    len: usize,
    id: u8,
    version: u8,
    check_value: Option<[u8; 3]>,
    attributes: Option<Attributes>,
}

/// The description of key `n`; `None` behind the last.
fn described(description: &[u8], n: usize) -> Result<Option<Described>, Sw> {
    let common = find(description, Rules::ISO, TAG_B7_COMMON).map_err(|_| Sw::WRONG_DATA)?;
    let mut own = parse(description, Rules::ISO)
        .filter(|object| !matches!(object, Ok(object) if object.tag() != TAG_B9_KEY));
    let Some(own) = own.nth(n).transpose().map_err(|_| Sw::WRONG_DATA)? else { return Ok(None) };
    let value = |tag: u32| -> Result<Option<&[u8]>, Sw> {
        let tag = Tag::new(tag);
        match find(own.value(), Rules::ISO, tag).map_err(|_| Sw::WRONG_DATA)? {
            Some(object) => Ok(Some(object.value())),
            None => Ok(match &common {
                Some(common) => find(common.value(), Rules::ISO, tag).map_err(|_| Sw::WRONG_DATA)?,
                None => None,
            }
            .map(|object| object.value())),
        }
    };
    let byte = |tag: u32| -> Result<Option<u8>, Sw> {
        match value(tag)? {
            None => Ok(None),
            Some(&[byte]) => Ok(Some(byte)),
            Some(_) => Err(Sw::WRONG_DATA),
        }
    };
    let (usage, access) = (byte(0x95)?, byte(0x96)?);
    let attributes = (usage.is_some() || access.is_some())
        .then_some(Attributes { usage: usage.unwrap_or_default(), access: access.unwrap_or_default() });
    let check_value = match value(0x84)? {
        None | Some([]) => None,
        Some(value) => Some(<[u8; 3]>::try_from(value).map_err(|_| Sw::WRONG_DATA)?),
    };
    Ok(Some(Described {
        key_type: byte(0x80)?.and_then(KeyType::from_byte).ok_or(Sw::WRONG_DATA)?,
        len: usize::from(byte(0x81)?.ok_or(Sw::WRONG_DATA)?),
        id: byte(0x82)?.filter(|id| (0x01..=0x7F).contains(id)).ok_or(Sw::WRONG_DATA)?,
        version: byte(0x83)?.filter(|version| (0x01..=0x7F).contains(version)).ok_or(Sw::WRONG_DATA)?,
        check_value,
        attributes,
    }))
}

/// The description comes: keys that came before without the last of theirs are forgotten.
pub(super) fn begin(memory: &mut dyn Memory, domain: InstanceId, description: &[u8]) -> Result<(), Sw> {
    let first = described(description, 0)?.ok_or(Sw::WRONG_DATA)?;
    let mut n = 1;
    while let Some(other) = described(description, n)? {
        // They become one set.
        if other.version != first.version {
            return Err(Sw::WRONG_DATA);
        }
        n = n.saturating_add(1);
    }
    put(memory, domain, description, &KeySet::new())
}

/// A key comes, plain; the last one completes the set, which has then to be stored.
pub(super) fn add(
    memory: &mut dyn Memory,
    domain: InstanceId,
    dgi: u16,
    value: &[u8],
) -> Result<Option<(u8, KeySet)>, Sw> {
    if dgi != DGI_SECRET_KEY {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    let staged = objects::staged_keys(domain);
    let mut raw = Zeroizing::new([0; 1 + DESCRIPTION_MAX]);
    let head = match memory.read(staged, 0, &mut *raw) {
        Ok(head) => head,
        Err(MemoryError::NotFound) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
        Err(error) => return Err(error.into()),
    };
    let (&len, rest) = head.split_first().ok_or(Sw::MEMORY_FAILURE)?;
    let description = rest.get(..usize::from(len)).ok_or(Sw::MEMORY_FAILURE)?;
    let mut set =
        KeySet::read_at(memory, staged, usize::from(len).saturating_add(1))?.ok_or(Sw::MEMORY_FAILURE)?;
    let n = set.keys().count();
    let key = described(description, n)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let clear = value.get(..key.len).ok_or(Sw::WRONG_DATA)?;
    if key.key_type.is_public() || value.len() > key.len.next_multiple_of(16) {
        return Err(Sw::WRONG_DATA);
    }
    let check_value = key.key_type.check_value(clear).ok_or(Sw::WRONG_DATA)?;
    if key.check_value.is_some_and(|expected| !ct_eq(&expected, &check_value)) {
        return Err(Sw::SECURITY_STATUS);
    }
    set.push(key.id, key.key_type, key.attributes, clear).ok_or(Sw::WRONG_DATA)?;
    if described(description, n.saturating_add(1))?.is_none() {
        return Ok(Some((key.version, set)));
    }
    put(memory, domain, description, &set)?;
    Ok(None)
}

/// The keys are stored.
pub(super) fn end(memory: &mut dyn Memory, domain: InstanceId) -> Result<(), Sw> {
    let mut buffer = [0; 16];
    let mut batch = Batch::new(&mut buffer);
    batch.delete(objects::staged_keys(domain));
    Ok(memory.commit(&batch)?)
}

fn put(memory: &mut dyn Memory, domain: InstanceId, description: &[u8], set: &KeySet) -> Result<(), Sw> {
    let len = u8::try_from(description.len()).ok().filter(|&len| usize::from(len) <= DESCRIPTION_MAX);
    let mut buffer = Zeroizing::new([0; SET_MAX + DESCRIPTION_MAX + 16]);
    let mut batch = Batch::new(&mut *buffer);
    batch.put_parts(
        objects::staged_keys(domain),
        &[&[len.ok_or(Sw::NOT_ENOUGH_MEMORY)?], description, set.bytes()],
    );
    Ok(memory.commit(&batch)?)
}
