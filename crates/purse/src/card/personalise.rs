//! Takes the groupings of [`personalisation`](crate::personalisation). The values come decrypted from the security
//! domain, whose keys decide who may send them.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context};
use huiwan_crypto::Suite;
use zeroize::Zeroizing;

use super::Purse;
use super::objects::{self, CardKey, PurseState};
use crate::pack::from_u24;
use crate::personalisation::{Grouping, KeyData, PurseData, pin_value};
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
                let purse = PurseData::parse(data).map_err(|_| Sw::WRONG_DATA)?;
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
            Grouping::Pin => {
                let value = pin_value(data).ok_or(Sw::WRONG_DATA)?;
                let mut buffer = Zeroizing::new([0; 32]);
                let mut batch = Batch::new(&mut *buffer);
                self.pin().set(cx.instance, &mut batch, value)?;
                cx.commit(&batch)
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
                    KeyData::parse(kind, data).map_err(|_| Sw::WRONG_DATA)?;
                let key = CardKey::checked::<S::Key>(version, algorithm, tries, value)?;
                let mut buffer = Zeroizing::new([0; 64]);
                let mut batch = Batch::new(&mut *buffer);
                key.put(cx, kind, index, &mut batch);
                cx.commit(&batch)
            }
        }
    }

    fn take_file(&self, cx: &mut Context<'_>, object: u16, data: &[u8], len: usize) -> Result<(), Sw> {
        if data.len() != len {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 288];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(object), data);
        cx.commit(&batch)
    }
}
