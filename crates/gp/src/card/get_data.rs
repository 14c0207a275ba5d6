//! GET DATA, always as TLV. [GPC 11.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::ObjectId;
use huiwan_tlv::{Rules, Tag, Writer, parse};

use super::keys::{self, KeySet};
use super::manager::{CardManager, Done, Exchange};
use super::store_data::OBJECT_MAX;
use super::{certificates, content, objects, registry};
use crate::get_data::{
    TAG_2F00_APPLICATIONS, TAG_5F50_MANAGER_URL, TAG_9F7F_CPLC, TAG_42_IIN, TAG_45_CIN, TAG_67_CAPABILITIES,
    TAG_83_KEY, TAG_BF21_CERTIFICATES, TAG_C1_SEQUENCE_COUNTER, TAG_C2_CONFIRMATION_COUNTER,
    TAG_CF_KEY_DIVERSIFICATION, TAG_D3_SECURITY_LEVEL, TAG_FF21_RESOURCES, TAG_FF33_HOST_AUTHORITIES,
    TAG_FF34_CARD_AUTHORITIES,
};
use crate::get_status::TAG_4F_AID;
use crate::key_information::{TAG_C0_KEY, TAG_E0_KEY_INFORMATION};
use crate::privileges::Privileges;
use crate::recognition::{self, TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA};
use crate::resources::Resources;

/// An application in a list.
const TAG_61_APPLICATION: Tag = Tag::new(0x61);
/// In a security level: the host is authenticated. [GPC 10.6]
const AUTHENTICATED: u8 = 0x80;

impl CardManager<'_> {
    pub(super) fn get_data(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let memory = &mut *x.cx.memory;
        match Tag::new(u32::from(command.p1p2())) {
            TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA => {
                let protocols = self.protocols_of(x.cx, &x.domain, &x.card)?;
                let mut issuer = [0; OBJECT_MAX];
                let issuer = self.issuer_recognition(x.cx, &mut issuer)?;
                x.reply.tlv(|w| {
                    w.nested(TAG_66_SECURITY_DOMAIN_MANAGEMENT_DATA, |w| {
                        recognition::write_template_with(w, protocols, issuer);
                    });
                })?;
            }
            TAG_67_CAPABILITIES => {
                let scp03 = self.scp03_of(x.cx)?;
                let capabilities = self.capabilities(scp03);
                x.reply.tlv(|w| capabilities.write(w))?;
            }
            TAG_E0_KEY_INFORMATION => key_information(x, true)?,
            TAG_C0_KEY => key_information(x, false)?,
            TAG_C1_SEQUENCE_COUNTER => {
                let (domain, version) = (x.domain.instance, x.domain.default_key_version(&x.card));
                let set = KeySet::read(memory, domain, version)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                let aes = set.scp03().is_some();
                let bytes = keys::counter(memory, domain, version)?.to_bytes();
                // Two bytes in SCP02, three in SCP03.
                let counter = bytes.get(usize::from(!aes)..).unwrap_or(&bytes);
                x.reply.tlv(|w| w.put(TAG_C1_SEQUENCE_COUNTER, counter))?;
            }
            TAG_C2_CONFIRMATION_COUNTER if x.domain.has(Privileges::RECEIPT_GENERATION) => {
                let counter = content::confirmation_counter(memory)?;
                x.reply.tlv(|w| w.put(TAG_C2_CONFIRMATION_COUNTER, &counter.to_be_bytes()))?;
            }
            TAG_2F00_APPLICATIONS => applications(x)?,
            TAG_FF21_RESOURCES => resources(x)?,
            TAG_BF21_CERTIFICATES => {
                certificates::answer(x, certificates::asked(command.data())?)?;
            }
            tag @ TAG_FF33_HOST_AUTHORITIES => {
                certificates::answer_authorities(x, tag, certificates::Kind::HostAuthority)?;
            }
            tag @ TAG_FF34_CARD_AUTHORITIES => {
                certificates::answer_authorities(x, tag, certificates::Kind::CardAuthority)?;
            }
            TAG_83_KEY => certificates::answer_key(x, command.data())?,
            TAG_D3_SECURITY_LEVEL => {
                let level = x.session.level().ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                let authenticated = if x.session.is_open() { AUTHENTICATED } else { 0 };
                x.reply.tlv(|w| w.put(TAG_D3_SECURITY_LEVEL, &[authenticated | level.byte()]))?;
            }
            tag @ TAG_42_IIN => stored(x, tag, objects::iin(x.domain.instance))?,
            tag @ TAG_45_CIN => stored(x, tag, objects::cin(x.domain.instance))?,
            tag @ TAG_CF_KEY_DIVERSIFICATION => stored(x, tag, objects::KEY_DIVERSIFICATION)?,
            tag @ TAG_5F50_MANAGER_URL => stored(x, tag, objects::manager_url(x.domain.instance))?,
            tag @ TAG_9F7F_CPLC => stored(x, tag, objects::CPLC)?,
            _ => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
        }
        if self.profile.bare_get_data && command.cla() & 0x80 == 0 {
            unwrap(x)?;
        }
        Ok(Done::OK)
    }
}

/// Leaves the value of the data object in the reply.
fn unwrap(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw> {
    let told = x.reply.as_mut_slice();
    let whole = told.len();
    let Some(Ok(object)) = parse(told, Rules::ISO).next() else { return Ok(()) };
    // Several objects without a template (C0) are as they are.
    if object.raw().len() == whole {
        let from = object.value_at();
        told.copy_within(from.., 0);
        x.reply.truncate(whole.saturating_sub(from));
    }
    Ok(())
}

fn stored(x: &mut Exchange<'_, '_, '_, '_, '_>, tag: Tag, object: ObjectId) -> Result<(), Sw> {
    let mut buffer = [0; 128];
    let value = x.cx.memory.read(object, 0, &mut buffer)?;
    x.reply.tlv(|w| w.put(tag, value))
}

/// What is known of the keys, as a template or without it.
fn key_information(x: &mut Exchange<'_, '_, '_, '_, '_>, template: bool) -> Result<(), Sw> {
    let mut told = [0; keys::TOLD_MAX];
    let mut w = Writer::new(&mut told);
    keys::for_each(x.cx.memory, x.domain.instance, |key| key.write(&mut w))?;
    let told = w.finish().map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
    if told.is_empty() && !template {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    if template { x.reply.tlv(|w| w.put(TAG_E0_KEY_INFORMATION, told)) } else { x.reply.push(told) }
}

/// `2F00 { 61 { 4F } }*`: names are told to authenticated hosts that may see the registry.
fn applications(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw> {
    if !x.session.is_open() || !x.domain.has(Privileges::GLOBAL_REGISTRY) {
        return Err(Sw::SECURITY_STATUS);
    }
    let mut list = [0; 224];
    let mut w = Writer::new(&mut list);
    let mut after = None;
    while let Some(record) = registry::next(x.cx.memory, after)? {
        after = Some(record.instance);
        w.nested(TAG_61_APPLICATION, |w| w.put(TAG_4F_AID, record.aid.as_bytes()));
    }
    // GET STATUS tells more than one answer holds.
    let list = w.finish().map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
    x.reply.tlv(|w| w.put(TAG_2F00_APPLICATIONS, list))
}

/// What is left; a memory that does not know says nothing.
fn resources(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw> {
    let free = x.cx.memory.room().ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    let (mut count, mut after) = (0_u32, None);
    while let Some(record) = registry::next(x.cx.memory, after)? {
        after = Some(record.instance);
        count = count.saturating_add(1);
    }
    let four = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let resources = Resources {
        applications: Some(count),
        free_durable: Some(four(free)),
        free_volatile: Some(four(x.cx.scratch.len())),
    };
    x.reply.tlv(|w| resources.write(w))
}
