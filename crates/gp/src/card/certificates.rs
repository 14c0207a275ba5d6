//! The certificates of a security domain, one for each key: `A6 { 83 key identifier ‖ key version }` and `BF21` of STORE DATA, read
//! by GET DATA with the same reference. (AmdF)
//!
//! The card keeps them as they came; the host that asks for them checks them. One answer has to hold them.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory};
use huiwan_tlv::{Rules, find};

use super::objects;
use crate::get_data::{TAG_83_KEY, TAG_A6_KEY_REFERENCE};

/// Bytes of the certificates of a key at most, so that they go into one answer, encrypted and signed.
pub(super) const CERTIFICATE_MAX: usize = 234;

/// Key identifier and version.
pub(super) type Key = [u8; 2];

/// The key in the value of `A6`.
pub(super) fn reference(value: &[u8]) -> Result<Key, Sw> {
    let key = find(value, Rules::ISO, TAG_83_KEY).map_err(|_| Sw::WRONG_DATA)?.ok_or(Sw::WRONG_DATA)?;
    <Key>::try_from(key.value()).map_err(|_| Sw::WRONG_DATA)
}

/// The key in the command data of GET DATA.
pub(super) fn asked(data: &[u8]) -> Result<Key, Sw> {
    let a6 = find(data, Rules::ISO, TAG_A6_KEY_REFERENCE).map_err(|_| Sw::WRONG_DATA)?;
    reference(a6.ok_or(Sw::WRONG_DATA)?.value())
}

/// The number of a key's certificates, or the first free number.
fn number(memory: &mut dyn Memory, domain: InstanceId, key: Key) -> Result<(u8, bool), Sw> {
    let (mut at, mut free) = (objects::before_certificates(domain), 0_u8);
    while let Some(object) = memory.next_object(Some(at))? {
        let Some(n) = objects::certificate_of(object, domain) else { break };
        let mut head = [0; 2];
        if *memory.read(object, 0, &mut head)? == key {
            return Ok((n, true));
        }
        if n == free {
            free = free.checked_add(1).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        }
        at = object;
    }
    Ok((free, false))
}

/// Adds certificates to a batch, in place of those that were there; none: they go.
pub(super) fn put(
    memory: &mut dyn Memory,
    domain: InstanceId,
    key: Key,
    value: &[u8],
    batch: &mut Batch<'_>,
) -> Result<(), Sw> {
    if value.len() > CERTIFICATE_MAX {
        return Err(Sw::NOT_ENOUGH_MEMORY);
    }
    let (number, held) = number(memory, domain, key)?;
    let object = objects::certificate(domain, number);
    match value {
        [] if held => batch.delete(object),
        [] => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
        value => batch.put_parts(object, &[&key, value]),
    }
    Ok(())
}

/// The certificates of a key.
pub(super) fn read<'o>(
    memory: &mut dyn Memory,
    domain: InstanceId,
    key: Key,
    out: &'o mut [u8; CERTIFICATE_MAX],
) -> Result<&'o [u8], Sw> {
    match number(memory, domain, key)? {
        (number, true) => Ok(memory.read(objects::certificate(domain, number), 2, out)?),
        (_, false) => Err(Sw::REFERENCED_DATA_NOT_FOUND),
    }
}
