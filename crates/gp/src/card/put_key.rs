//! PUT KEY: keys come or change together, or not at all. [GPC 11.8, AmdD 7.2]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, InstanceId};
use huiwan_crypto::ct_eq;
use zeroize::{Zeroize, Zeroizing};

use super::keys::{self, KeySet, SET_MAX};
use super::manager::{CardManager, Done, Exchange};
use super::registry::RECORD_MAX;
use super::{INITIAL_KEY_VERSION, certificates};
use crate::put_key::{Field, KID_DEK, KeyData, KeyType, SEVERAL};
use crate::token::{KID, KVN_RECEIPT};

/// Keys of one command at most.
const KEYS_MAX: usize = 12;

impl CardManager<'_> {
    // Apart, as its buffers are large.
    #[inline(never)]
    pub(super) fn put_key(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let replaced = command.p1();
        let first_id = command.p2() & !SEVERAL;
        if replaced & 0x80 != 0 || first_id == 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let data = KeyData::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        if !(0x01..=0x7F).contains(&data.version) {
            return Err(Sw::WRONG_DATA);
        }
        let domain = x.domain.instance;
        if replaced != 0 && KeySet::read(x.cx.memory, domain, replaced)?.is_none() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        let mut set = KeySet::new();
        let mut answer = heapless::Vec::<u8, { 1 + 3 * KEYS_MAX }>::new();
        let mut told = answer.push(data.version).is_ok();
        let mut id = first_id;
        for field in data.fields() {
            let field = field.map_err(|_| Sw::WRONG_DATA)?;
            // Bit 8 of P2 is not part of an identifier.
            if id & SEVERAL != 0 {
                return Err(Sw::WRONG_DATA);
            }
            let check_value = self.store(x, &mut set, (data.version, id), &field)?;
            told &= answer.extend_from_slice(check_value.as_ref().map_or(&[][..], |value| value)).is_ok();
            id = id.checked_add(1).ok_or(Sw::WRONG_DATA)?;
        }
        let count = set.keys().count();
        let several = command.p2() & SEVERAL != 0;
        if !told || count == 0 || (count > 1 && !several) {
            return Err(Sw::WRONG_DATA);
        }
        keep(x, replaced, data.version, set)?;
        x.reply.push(&answer)?;
        Ok(Done::OK)
    }
}

/// Adds the keys to the version, or replaces with them those of `replaced` (0: none), in one commit.
pub(super) fn keep(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    replaced: u8,
    version: u8,
    mut set: KeySet,
) -> Result<(), Sw> {
    let domain = x.domain.instance;
    let memory = &mut *x.cx.memory;
    // The counter belongs to the keys of the channel; others that join them leave it.
    let new_channel = set.keys().any(|key| key.id <= KID_DEK);
    if replaced != 0 {
        let old = KeySet::read(memory, domain, replaced)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        // Type and length of a key stay, and no key of the set may be lost. [GPC 11.8.2.3]
        let same = set.keys().all(|new| {
            old.key(new.id)
                .is_some_and(|old| old.key_type == new.key_type && old.value.len() == new.value.len())
        });
        let whole = set.keys().count() == old.keys().count();
        if !same || (version != replaced && !whole) {
            return Err(Sw::WRONG_DATA);
        }
        if version == replaced {
            set.complete(&old).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        }
    }
    if version != replaced
        && let Some(there) = KeySet::read(memory, domain, version)?
    {
        // New keys join a set, but keys do not come under a place that is taken, nor a whole set onto another.
        if replaced != 0 || set.keys().any(|new| there.key(new.id).is_some()) {
            return Err(Sw::WRONG_DATA);
        }
        set.complete(&there).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
    }
    let moved = replaced != 0 && replaced != version;
    let opens = set.opens_channel(x.scp02);
    let default = x.domain.default_key_version(&x.card);
    let issuer = domain == InstanceId::ISSUER;
    // The factory's keys go as soon as the issuer's own can open a channel.
    let initial = issuer && replaced == 0 && default == INITIAL_KEY_VERSION && opens;
    let gone = [if moved { replaced } else { version }, if initial { INITIAL_KEY_VERSION } else { version }];
    if !keys::can_be_told(memory, domain, (version, &set), &gone)? {
        return Err(Sw::NOT_ENOUGH_MEMORY);
    }

    let mut buffer = Zeroizing::new([0; SET_MAX + RECORD_MAX + 352]);
    let mut batch = Batch::new(&mut *buffer);
    if moved {
        keys::delete(domain, replaced, &mut batch);
        // What was kept for the old keys goes with them.
        for key in set.keys() {
            certificates::forget(x.cx.memory, domain, [key.id, replaced], &mut batch)?;
        }
    }
    if initial {
        keys::delete(domain, INITIAL_KEY_VERSION, &mut batch);
    }
    if initial || (moved && default == replaced) || (default == 0 && opens) {
        x.domain.put_default_key_version(version, &mut x.card, &mut batch);
    }
    x.domain.put_personalised(&mut batch);
    set.put(domain, version, new_channel, &mut batch);
    x.cx.commit(&batch)?;

    let served = x.session.key_version();
    let own = x.progress.key_owner == domain.0;
    if own && ((replaced != 0 && served == replaced) || (initial && served == INITIAL_KEY_VERSION)) {
        x.session.set_key_version(version);
    }
    Ok(())
}

impl CardManager<'_> {
    /// Whether anything can be done here with a key of an elliptic curve: a private one signs the issuer's receipts, or is of SCP11.
    pub(super) fn takes(
        &self,
        domain: InstanceId,
        (version, id): (u8, u8),
        key_type: KeyType,
        (curve, value): (u8, &[u8]),
    ) -> bool {
        let receipts = domain == InstanceId::ISSUER && (version, id) == (KVN_RECEIPT, KID);
        match (key_type, self.scp11) {
            // One that signs.
            (KeyType::EccPrivate, _) if receipts => {
                self.public_keys().is_some_and(|keys| keys.sign(curve, value, &[]).is_ok())
            }
            (_, Some(scp11)) => scp11.takes(id, key_type, curve, value),
            (key_type, None) => key_type != KeyType::EccPrivate,
        }
    }

    /// Decrypts one key, checks it and adds it to the set; the check value is for the answer.
    fn store(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        set: &mut KeySet,
        (version, id): (u8, u8),
        field: &Field<'_>,
    ) -> Result<Option<[u8; 3]>, Sw> {
        let domain = x.domain.instance;
        let takes = |value: &[u8]| match (field.key_type, field.second) {
            (KeyType::EccPublic | KeyType::EccPrivate, &[curve]) => {
                self.takes(domain, (version, id), field.key_type, (curve, value))
            }
            (key_type, _) => key_type != KeyType::EccPrivate,
        };
        let mut buffer = Zeroizing::new([0; 261]);
        if field.key_type.is_public() {
            // Exponent with its length, or curve reference, before modulus or point.
            let mut value = heapless::Vec::<u8, 261>::new();
            let mut fits = field.key_type != KeyType::RsaPublic
                || value.push(u8::try_from(field.second.len()).map_err(|_| Sw::WRONG_DATA)?).is_ok();
            fits &= value.extend_from_slice(field.second).is_ok()
                && value.extend_from_slice(field.encrypted).is_ok();
            if !fits || !field.check_value.is_empty() || !takes(field.encrypted) {
                return Err(Sw::WRONG_DATA);
            }
            set.push(id, field.key_type, field.attributes, &value).ok_or(Sw::WRONG_DATA)?;
            return Ok(None);
        }
        // A private number stands behind its curve reference.
        let (head, rest) = buffer.split_at_mut_checked(field.second.len()).ok_or(Sw::WRONG_DATA)?;
        head.copy_from_slice(field.second);
        let block = rest.get_mut(..field.encrypted.len()).ok_or(Sw::WRONG_DATA)?;
        block.copy_from_slice(field.encrypted);
        let dek = x.dek()?;
        if field.len.checked_next_multiple_of(dek.block_len()).is_none_or(|padded| block.len() > padded) {
            return Err(Sw::WRONG_DATA);
        }
        dek.decrypt(block).map_err(|_| Sw::WRONG_DATA)?;
        let key = block.get(..field.len).ok_or(Sw::WRONG_DATA)?;
        if !takes(key) {
            return Err(Sw::WRONG_DATA);
        }
        let check_value = match field.key_type {
            KeyType::EccPrivate => None,
            key_type => Some(key_type.check_value(key).ok_or(Sw::WRONG_DATA)?),
        };
        if let Some(check_value) = &check_value
            && !field.check_value.is_empty()
            && !ct_eq(check_value, field.check_value)
        {
            return Err(Sw::SECURITY_STATUS);
        }
        let len = head.len().saturating_add(field.len);
        let value = buffer.get(..len).ok_or(Sw::UNKNOWN)?;
        let stored = set.push(id, field.key_type, field.attributes, value).ok_or(Sw::WRONG_DATA);
        buffer.zeroize();
        stored.map(|()| check_value)
    }
}
