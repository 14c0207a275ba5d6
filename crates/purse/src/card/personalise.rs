//! Takes the groupings of [`personalisation`](crate::personalisation). The values come decrypted from the security
//! domain, whose keys decide who may send them.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context};
use huiwan_crypto::{Suite, ct_eq, padding, pin_block};
use zeroize::Zeroizing;

use super::Purse;
use super::objects::{self, CardKey, PurseState};
use crate::keys;
use crate::pack::from_u24;
use crate::personalisation::{Grouping, KeyCheck, KeyData, PurseData, pin_value};
use crate::transit::{holder::Holder, management::Management};

impl<S: Suite> Purse<S> {
    pub(super) fn take_grouping(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        match Grouping::from_dgi(dgi).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)? {
            Grouping::Scheme => self.take_scheme(cx, data),
            Grouping::Purse(account) => {
                if !self.profile.has(account) {
                    return Err(Sw::REFERENCED_DATA_NOT_FOUND);
                }
                // Money and counters are set once; from the first transaction on only transactions change them.
                if cx.exists(objects::PROOF)? {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let purse = PurseData::parse(unpadded(data, PurseData::LEN)).map_err(|_| Sw::WRONG_DATA)?;
                if purse.balance > purse.upper_limit {
                    return Err(Sw::WRONG_DATA);
                }
                let state = PurseState {
                    balance: purse.balance,
                    online_seq: purse.online_seq,
                    offline_seq: purse.offline_seq,
                    overdraft: from_u24(purse.overdraft),
                };
                let mut buffer = [0; 32];
                let mut batch = Batch::new(&mut buffer);
                batch.put(cx.object(objects::upper_limit(account)), &purse.upper_limit.to_be_bytes());
                batch.put(cx.object(objects::purse(account)), &state.to_bytes());
                cx.commit(&batch)
            }
            Grouping::Pin => self.take_pin(cx, pin_value(data).ok_or(Sw::WRONG_DATA)?),
            Grouping::PinBlock => {
                let block = unpadded(data, pin_block::LEN).first_chunk().ok_or(Sw::WRONG_DATA)?;
                self.take_pin(cx, pin_block::bcd(block).ok_or(Sw::WRONG_DATA)?)
            }
            Grouping::AuthCode => self.take_file(cx, objects::AUTH_CODE, data, super::auth_code::LEN),
            Grouping::Version => self.take_file(cx, objects::VERSION, data, 2),
            Grouping::PublicInfo => {
                let len = usize::from(self.profile.public_info_len);
                self.take_file(cx, objects::PUBLIC_INFO, data, len)
            }
            Grouping::Holder => self.take_file(cx, objects::HOLDER, data, Holder::LEN),
            Grouping::Management if self.profile.composite_sfi == 0x17 => Err(Sw::REFERENCED_DATA_NOT_FOUND),
            Grouping::Management => self.take_file(cx, objects::MANAGEMENT, data, Management::LEN),
            Grouping::File => self.take_file_definition(cx, data),
            Grouping::FileContent => self.take_file_content(cx, data),
            Grouping::Record(number) => {
                let fits = number <= self.profile.composite_records && data.len() < 256;
                if !fits || !self.profile.records.length_fits(data) {
                    return Err(Sw::WRONG_DATA);
                }
                self.take_file(cx, objects::record(self.profile.composite_sfi, number), data, data.len())
            }
            Grouping::Key(kind) => {
                // The unlock has to find the keys of its lock.
                self.refuse_if_grey_locked(cx)?;
                let KeyData { index, version, algorithm, tries, value, .. } =
                    KeyData::parse(kind, unpadded(data, KeyData::LEN)).map_err(|_| Sw::WRONG_DATA)?;
                let key = CardKey::checked::<S::Key>(version, algorithm, tries, value)?;
                let mut buffer = Zeroizing::new([0; 64]);
                let mut batch = Batch::new(&mut *buffer);
                key.put(cx, kind, index, &mut batch);
                cx.commit(&batch)
            }
            Grouping::KeyCheck(kind) => {
                let check = KeyCheck::parse(kind, data).map_err(|_| Sw::WRONG_DATA)?;
                self.take_key_check(cx, &check)
            }
        }
    }

    fn take_pin(&self, cx: &mut Context<'_>, value: &[u8]) -> Result<(), Sw> {
        let mut buffer = Zeroizing::new([0; 32]);
        let mut batch = Batch::new(&mut *buffer);
        self.pin().set(cx.instance, &mut batch, value)?;
        cx.commit(&batch)
    }

    /// Compares a check value with its key; a key that is not the one meant is deleted, so that nobody finds out at the first tap.
    fn take_key_check(&self, cx: &mut Context<'_>, check: &KeyCheck) -> Result<(), Sw> {
        self.refuse_if_grey_locked(cx)?;
        let KeyCheck { kind, index, algorithm, .. } = *check;
        let set = keys::algorithm(algorithm).ok_or(Sw::WRONG_DATA)?;
        let key = CardKey::of_set(cx, set, kind, index)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let CardKey { version, algorithm, value, .. } = key;
        let found = KeyCheck::of::<S::Key>(&KeyData { kind, index, version, algorithm, tries: 0, value })
            .map_err(|_| Sw::MEMORY_FAILURE)?;
        if ct_eq(&found.to_bytes(), &check.to_bytes()) {
            return Ok(());
        }
        let mut buffer = [0; 32];
        let mut batch = Batch::new(&mut buffer);
        batch.delete(cx.object(objects::key(set, kind, index)));
        cx.commit(&batch)?;
        Err(Sw::SECURITY_STATUS)
    }

    fn take_file(&self, cx: &mut Context<'_>, object: u16, data: &[u8], len: usize) -> Result<(), Sw> {
        let data = unpadded(data, len);
        if data.len() != len {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 288];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(object), data);
        cx.commit(&batch)
    }
}

/// The value without the padding of whole blocks, of a grouping that is `len` bytes long at most.
fn unpadded(data: &[u8], len: usize) -> &[u8] {
    if data.len() > len { padding::unpad_method2(data).unwrap_or(data) } else { data }
}
