//! GET DATA, always as TLV. [GPC 11.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::ObjectId;
use huiwan_tlv::Tag;

use super::manager::{CardManager, Done, Exchange};
use super::{keys, objects};
use crate::get_data::{
    TAG_5F50_MANAGER_URL, TAG_9F7F_CPLC, TAG_42_IIN, TAG_45_CIN, TAG_C1_SEQUENCE_COUNTER,
    TAG_CF_KEY_DIVERSIFICATION, TAG_D3_SECURITY_LEVEL,
};
use crate::key_information::{KeyInformation, TAG_E0_KEY_INFORMATION};
use crate::recognition::{self, TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA};

impl CardManager<'_> {
    pub(super) fn get_data(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let memory = &mut *x.cx.memory;
        match Tag::new(u32::from(command.p1p2())) {
            TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA => x.reply.tlv(|w| {
                w.nested(TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA, |w| {
                    recognition::write_template(w, self.profile.scp03);
                });
            })?,
            TAG_E0_KEY_INFORMATION => {
                let mut told = heapless::Vec::<KeyInformation, { keys::KEYS_HELD }>::new();
                let mut fits = true;
                keys::for_each(memory, |key| fits &= told.push(key).is_ok())?;
                if !fits {
                    return Err(Sw::NOT_ENOUGH_MEMORY);
                }
                x.reply.tlv(|w| {
                    w.nested(TAG_E0_KEY_INFORMATION, |w| told.iter().for_each(|key| key.write(w)));
                })?;
            }
            TAG_C1_SEQUENCE_COUNTER => {
                let counter = keys::counter(memory, x.card.default_key_version)?;
                x.reply.tlv(|w| w.put(TAG_C1_SEQUENCE_COUNTER, &counter.to_bytes()))?;
            }
            TAG_D3_SECURITY_LEVEL => {
                let level = x.session.level().ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                x.reply.tlv(|w| w.put(TAG_D3_SECURITY_LEVEL, &[0x80 | level.byte()]))?;
            }
            tag @ TAG_42_IIN => stored(x, tag, objects::IIN)?,
            tag @ TAG_45_CIN => stored(x, tag, objects::CIN)?,
            tag @ TAG_CF_KEY_DIVERSIFICATION => stored(x, tag, objects::KEY_DIVERSIFICATION)?,
            tag @ TAG_5F50_MANAGER_URL => stored(x, tag, objects::MANAGER_URL)?,
            tag @ TAG_9F7F_CPLC => stored(x, tag, objects::CPLC)?,
            _ => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
        }
        Ok(Done::OK)
    }
}

fn stored(x: &mut Exchange<'_, '_, '_, '_, '_>, tag: Tag, object: ObjectId) -> Result<(), Sw> {
    let mut buffer = [0; 128];
    let value = x.cx.memory.read(object, 0, &mut buffer)?;
    x.reply.tlv(|w| w.put(tag, value))
}
