//! PUT KEY: a key set comes or changes whole, or not at all. [GPC 11.8, AmdD 7.2]

use huiwan_apdu::{Command, Sw};
use huiwan_card::Batch;
use huiwan_crypto::{BlockKey, ct_eq};
use zeroize::{Zeroize, Zeroizing};

use super::INITIAL_KEY_VERSION;
use super::keys::{self, KEYS_HELD, KEYS_MAX, KeySet, SET_MAX};
use super::manager::{CardManager, Done, Exchange};
use crate::put_key::{Field, KeyData, SEVERAL};
use crate::scp03::StaticKeys;

impl CardManager<'_> {
    pub(super) fn put_key(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        // Several commands for one set (P1 b8) would have to be held back until the last; a set fits one command.
        let replaced = command.p1();
        let first_id = command.p2() & !SEVERAL;
        if replaced & 0x80 != 0 || first_id == 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let data = KeyData::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        if !(0x01..=0x7F).contains(&data.version) {
            return Err(Sw::WRONG_DATA);
        }
        let memory = &mut *x.cx.memory;
        let old = if replaced == 0 { None } else { KeySet::read(memory, replaced)? };
        if replaced != 0 && old.is_none() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        if data.version != replaced && KeySet::read(memory, data.version)?.is_some() {
            return Err(Sw::WRONG_DATA);
        }
        let dek = KeySet::read(memory, x.session.key_version())?
            .and_then(|set| set.scp03())
            .ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;

        let mut set = KeySet::new();
        let mut answer = heapless::Vec::<u8, { 1 + 3 * KEYS_MAX }>::new();
        let mut told = answer.push(data.version).is_ok();
        let mut id = first_id;
        for field in data.fields() {
            let field = field.map_err(|_| Sw::WRONG_DATA)?;
            let check_value = store(&mut set, id, &field, &dek)?;
            told &= answer.extend_from_slice(&check_value).is_ok();
            id = id.checked_add(1).ok_or(Sw::WRONG_DATA)?;
        }
        let count = set.keys().count();
        let several = command.p2() & SEVERAL != 0;
        if !told || count == 0 || (count > 1 && !several) {
            return Err(Sw::WRONG_DATA);
        }
        let mut held = count;
        keys::for_each(memory, |_| held = held.saturating_add(1))?;
        if old.is_none() && held > KEYS_HELD {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        if let Some(old) = &old {
            // Type and length of a key stay, and no key of the set may be lost. [GPC 11.8.2.3]
            let same = old.keys().count() == count
                && set.keys().all(|new| {
                    old.key(new.id)
                        .is_some_and(|old| old.key_type == new.key_type && old.value.len() == new.value.len())
                });
            if !same {
                return Err(Sw::WRONG_DATA);
            }
        }

        let mut buffer = Zeroizing::new([0; SET_MAX + 64]);
        let mut batch = Batch::new(&mut *buffer);
        if replaced != 0 && replaced != data.version {
            keys::delete(replaced, &mut batch);
        }
        // The factory's keys go as soon as the issuer's own can open a channel.
        let initial =
            replaced == 0 && x.card.default_key_version == INITIAL_KEY_VERSION && set.scp03().is_some();
        if initial {
            keys::delete(INITIAL_KEY_VERSION, &mut batch);
        }
        if initial || (replaced != 0 && x.card.default_key_version == replaced) {
            x.card.default_key_version = data.version;
            x.card.put(&mut batch);
        }
        set.put(data.version, &mut batch);
        x.cx.commit(&batch)?;

        let served = x.session.key_version();
        if served == replaced || (initial && served == INITIAL_KEY_VERSION) {
            x.session.set_key_version(data.version);
        }
        x.reply.push(&answer)?;
        Ok(Done::OK)
    }
}

/// Decrypts one key, checks it and adds it to the set; the check value is for the answer.
fn store(set: &mut KeySet, id: u8, field: &Field<'_>, dek: &StaticKeys) -> Result<[u8; 3], Sw> {
    let mut buffer = Zeroizing::new([0; 32]);
    let block = buffer.get_mut(..field.encrypted.len()).ok_or(Sw::WRONG_DATA)?;
    block.copy_from_slice(field.encrypted);
    dek.dek().decrypt_cbc(&[0; 16], block).map_err(|_| Sw::WRONG_DATA)?;
    let key = block.get(..field.len).ok_or(Sw::WRONG_DATA)?;
    let check_value = field.key_type.check_value(key).ok_or(Sw::WRONG_DATA)?;
    if !field.check_value.is_empty() && !ct_eq(&check_value, field.check_value) {
        return Err(Sw::SECURITY_STATUS);
    }
    let stored = set.push(id, field.key_type, key).ok_or(Sw::WRONG_DATA);
    buffer.zeroize();
    stored.map(|()| check_value)
}
