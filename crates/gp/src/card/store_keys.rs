//! Keys by STORE DATA: a grouping that describes them, then one or two for each key. [GPC 11.11.3.2, kaoh]
//!
//! | grouping | content |
//! |---|---|
//! | 00B9 | [ `B7 { what all have in common }` ] `{ B9 { 80 type, 81 length, 82 identifier, 83 version, 84 check value, 95 usage, 96 access } }*` |
//! | 8113 | a secret key, encrypted under the data encryption key; in the order of the `B9` |
//! | 0010, 0011 | an RSA public key: exponent and modulus. The sources do not say which is which, and their lengths do |
//! | 0036 | an ECC public key, 04 ‖ x ‖ y; `F0` in its `B9` is the reference of its curve, P-256 where it is left out (our reading) |
//! | 8137 | an ECC private key: its number, encrypted in the same way; the curve as above |
//!
//! A private key of RSA (8112, 8121 to 8125) is nothing a domain of this card uses, and neither are curves by their parameters (0030 to
//! 0035): 6A88. So is an initial value of the sequence counter (`85`) other than 0: 6A80.
//!
//! The keys wait in one object until the last has come, and are stored in one commit:
//! ```text
//! LV description ‖ low byte of the grouping that brought half a key ‖ that half with its length (2) ‖ the key set so far
//! ```

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, MemoryError};
use huiwan_crypto::ct_eq;
use huiwan_crypto::ec::FIELD_MAX;
use huiwan_tlv::{Rules, Tag, find, parse};
use zeroize::Zeroizing;

use super::keys::{KeySet, SET_MAX};
use super::objects;
use crate::put_key::{Attributes, KeyType, TYPE_A0_RSA_EXPONENT};

/// The grouping with the description.
pub(super) const DGI_KEYS: u16 = 0x00B9;
/// The grouping with a secret key.
const DGI_SECRET_KEY: u16 = 0x8113;
/// The groupings with an RSA public key.
const DGI_RSA_PUBLIC: [u16; 2] = [0x0010, 0x0011];
/// The grouping with an ECC public key.
const DGI_ECC_PUBLIC: u16 = 0x0036;
/// The grouping with an ECC private key.
const DGI_ECC_PRIVATE: u16 = 0x8137;
const TAG_B7_COMMON: Tag = Tag::new(0xB7);
const TAG_B9_KEY: Tag = Tag::new(0xB9);
/// Bytes of a description at most.
const DESCRIPTION_MAX: usize = 200;
/// Bytes of the exponent of an RSA key at most.
const EXPONENT_MAX: usize = 4;

/// Whether a grouping for a domain is encrypted whatever P1 says.
pub(super) const fn is_secret(dgi: u16) -> bool {
    matches!(dgi, DGI_SECRET_KEY | 0x8112 | 0x8121..=0x8125 | DGI_ECC_PRIVATE)
}

/// What is said of one key.
struct Described {
    key_type: KeyType,
    len: usize,
    id: u8,
    version: u8,
    /// Of an ECC key.
    curve: u8,
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
    let len = match value(0x81)? {
        Some(&[byte]) => usize::from(byte),
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(Sw::WRONG_DATA),
    };
    if value(0x85)?.is_some_and(|counter| counter.iter().any(|&byte| byte != 0)) {
        return Err(Sw::WRONG_DATA);
    }
    let key_type = match byte(0x80)? {
        Some(TYPE_A0_RSA_EXPONENT) => Some(KeyType::RsaPublic),
        Some(byte) => KeyType::from_byte(byte),
        None => None,
    };
    let (usage, access) = (byte(0x95)?, byte(0x96)?);
    let attributes = (usage.is_some() || access.is_some())
        .then_some(Attributes { usage: usage.unwrap_or_default(), access: access.unwrap_or_default() });
    let check_value = match value(0x84)? {
        None | Some([]) => None,
        Some(value) => Some(<[u8; 3]>::try_from(value).map_err(|_| Sw::WRONG_DATA)?),
    };
    Ok(Some(Described {
        key_type: key_type.ok_or(Sw::WRONG_DATA)?,
        len,
        curve: byte(0xF0)?.unwrap_or_default(),
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
    put(memory, domain, description, Half::NONE, &KeySet::new())
}

/// Half a key that came, and the low byte of its grouping.
#[derive(Clone, Copy)]
struct Half<'h> {
    dgi: u8,
    value: &'h [u8],
}

impl Half<'_> {
    const NONE: Self = Half { dgi: 0, value: &[] };
}

/// A key comes, plain; the last one completes the set, which has then to be stored.
pub(super) fn add(
    memory: &mut dyn Memory,
    domain: InstanceId,
    dgi: u16,
    value: &[u8],
) -> Result<Option<(u8, KeySet)>, Sw> {
    if !matches!(dgi, DGI_SECRET_KEY | DGI_ECC_PUBLIC | DGI_ECC_PRIVATE) && !DGI_RSA_PUBLIC.contains(&dgi) {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    let staged = objects::staged_keys(domain);
    let mut raw = Zeroizing::new([0; 1 + DESCRIPTION_MAX + 3 + SET_MAX]);
    let head = match memory.read(staged, 0, &mut *raw) {
        Ok(head) => head,
        Err(MemoryError::NotFound) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
        Err(error) => return Err(error.into()),
    };
    let (description, half, at) = staged_parts(head).ok_or(Sw::MEMORY_FAILURE)?;
    let mut set = KeySet::read_at(memory, staged, at)?.ok_or(Sw::MEMORY_FAILURE)?;
    let n = set.keys().count();
    let key = described(description, n)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let [_, low] = dgi.to_be_bytes();
    match key.key_type {
        KeyType::RsaPublic if half.value.is_empty() && DGI_RSA_PUBLIC.contains(&dgi) => {
            if value.is_empty() {
                return Err(Sw::WRONG_DATA);
            }
            put(memory, domain, description, Half { dgi: low, value }, &set)?;
            return Ok(None);
        }
        KeyType::RsaPublic if half.dgi != low && DGI_RSA_PUBLIC.contains(&dgi) => {
            add_rsa(&mut set, &key, [half.value, value])?;
        }
        KeyType::EccPublic if dgi == DGI_ECC_PUBLIC => add_ecc(&mut set, &key, value)?,
        KeyType::EccPrivate if dgi == DGI_ECC_PRIVATE => add_ecc_private(&mut set, &key, value)?,
        KeyType::EccPrivate => return Err(Sw::WRONG_DATA),
        secret if !secret.is_public() && dgi == DGI_SECRET_KEY => add_secret(&mut set, &key, value)?,
        _ => return Err(Sw::WRONG_DATA),
    }
    if described(description, n.saturating_add(1))?.is_none() {
        return Ok(Some((key.version, set)));
    }
    put(memory, domain, description, Half::NONE, &set)?;
    Ok(None)
}

/// Description, half a key, and where the key set begins.
fn staged_parts(raw: &[u8]) -> Option<(&[u8], Half<'_>, usize)> {
    let (&len, rest) = raw.split_first()?;
    let (description, rest) = rest.split_at_checked(usize::from(len))?;
    let (&[dgi, high, low], rest) = rest.split_first_chunk()?;
    let (value, set) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((description, Half { dgi, value }, raw.len().checked_sub(set.len())?))
}

/// The key in a value that was padded for its encryption.
fn unpadded<'v>(key: &Described, value: &'v [u8]) -> Result<&'v [u8], Sw> {
    let clear = value.get(..key.len).ok_or(Sw::WRONG_DATA)?;
    if key.len.checked_next_multiple_of(16).is_none_or(|padded| value.len() > padded) {
        return Err(Sw::WRONG_DATA);
    }
    Ok(clear)
}

fn add_secret(set: &mut KeySet, key: &Described, value: &[u8]) -> Result<(), Sw> {
    let clear = unpadded(key, value)?;
    let check_value = key.key_type.check_value(clear).ok_or(Sw::WRONG_DATA)?;
    if key.check_value.is_some_and(|expected| !ct_eq(&expected, &check_value)) {
        return Err(Sw::SECURITY_STATUS);
    }
    set.push(key.id, key.key_type, key.attributes, clear).ok_or(Sw::WRONG_DATA)
}

/// Exponent and modulus, in either order; the length described is that of the modulus, and 00 is 256.
fn add_rsa(set: &mut KeySet, key: &Described, [one, other]: [&[u8]; 2]) -> Result<(), Sw> {
    let (exponent, modulus) = if one.len() < other.len() { (one, other) } else { (other, one) };
    let described = key.len == modulus.len() || (key.len == 0 && modulus.len() == 256);
    if !described || exponent.len() > EXPONENT_MAX || !KeyType::RsaPublic.allows_len(modulus.len()) {
        return Err(Sw::WRONG_DATA);
    }
    let mut value = heapless::Vec::<u8, { 1 + EXPONENT_MAX + 256 }>::new();
    let fits = value.push(u8::try_from(exponent.len()).map_err(|_| Sw::WRONG_DATA)?).is_ok()
        && value.extend_from_slice(exponent).is_ok()
        && value.extend_from_slice(modulus).is_ok();
    if !fits || key.check_value.is_some() {
        return Err(Sw::WRONG_DATA);
    }
    set.push(key.id, key.key_type, key.attributes, &value).ok_or(Sw::NOT_ENOUGH_MEMORY)
}

/// A point; the length described is its own or that of a coordinate.
fn add_ecc(set: &mut KeySet, key: &Described, point: &[u8]) -> Result<(), Sw> {
    let [0x04, coordinates @ ..] = point else { return Err(Sw::WRONG_DATA) };
    let described = key.len == point.len() || key.len.checked_mul(2) == Some(coordinates.len());
    if !described || !KeyType::EccPublic.allows_len(point.len()) || key.check_value.is_some() {
        return Err(Sw::WRONG_DATA);
    }
    let mut value = heapless::Vec::<u8, 134>::new();
    if value.push(key.curve).is_err() || value.extend_from_slice(point).is_err() {
        return Err(Sw::WRONG_DATA);
    }
    set.push(key.id, key.key_type, key.attributes, &value).ok_or(Sw::NOT_ENOUGH_MEMORY)
}

/// A number behind the reference of its curve.
fn add_ecc_private(set: &mut KeySet, key: &Described, value: &[u8]) -> Result<(), Sw> {
    let number = unpadded(key, value)?;
    if !KeyType::EccPrivate.allows_len(number.len()) || key.check_value.is_some() {
        return Err(Sw::WRONG_DATA);
    }
    let mut value = Zeroizing::new([key.curve; 1 + FIELD_MAX]);
    let len = number.len().saturating_add(1);
    let value = value.get_mut(..len).ok_or(Sw::WRONG_DATA)?;
    value.get_mut(1..).ok_or(Sw::WRONG_DATA)?.copy_from_slice(number);
    set.push(key.id, key.key_type, key.attributes, value).ok_or(Sw::NOT_ENOUGH_MEMORY)
}

/// The keys are stored, or given up.
pub(super) fn end(memory: &mut dyn Memory, domain: InstanceId) -> Result<(), Sw> {
    if memory.len(objects::staged_keys(domain))?.is_none() {
        return Ok(());
    }
    let mut buffer = [0; 16];
    let mut batch = Batch::new(&mut buffer);
    batch.delete(objects::staged_keys(domain));
    Ok(memory.commit(&batch)?)
}

fn put(
    memory: &mut dyn Memory,
    domain: InstanceId,
    description: &[u8],
    half: Half<'_>,
    set: &KeySet,
) -> Result<(), Sw> {
    let len = u8::try_from(description.len()).ok().filter(|&len| usize::from(len) <= DESCRIPTION_MAX);
    // Together they become one set.
    if half.value.len().saturating_add(set.bytes().len()) > SET_MAX {
        return Err(Sw::NOT_ENOUGH_MEMORY);
    }
    let [high, low] = u16::try_from(half.value.len()).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?.to_be_bytes();
    let mut buffer = Zeroizing::new([0; SET_MAX + DESCRIPTION_MAX + 20]);
    let mut batch = Batch::new(&mut *buffer);
    batch.put_parts(
        objects::staged_keys(domain),
        &[&[len.ok_or(Sw::NOT_ENOUGH_MEMORY)?], description, &[half.dgi, high, low], half.value, set.bytes()],
    );
    Ok(memory.commit(&batch)?)
}
