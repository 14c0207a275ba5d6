//! Personalisation by data groupings; the map is [`crate::personalisation`].
//!
//! Every grouping is one commit. Nothing is judged as a whole: an application answers 6985 until the groupings it needs are there.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context};
use huiwan_crypto::ct_eq;
use huiwan_tlv::{Rules, Tag, parse};
use zeroize::Zeroize;

use super::{fci, objects, records, scripts};
use crate::personalisation as dgi;

const ISSUER_APPLICATION_DATA: Tag = Tag::new(0x9F10);

/// Objects only the card itself writes.
const CARDS_OWN: [u16; 3] = [objects::ATC, objects::LAST_ONLINE_ATC, objects::AVAILABLE];

/// 6A88 for an unknown grouping, 6A80 for one whose content does not fit; check values: 6985 before the keys, 6982 when they are wrong.
pub(super) fn store(cx: &mut Context<'_>, id: u16, data: &[u8]) -> Result<(), Sw> {
    match id {
        dgi::CHANGEABLE | dgi::FIXED => return store_objects(cx, id, data),
        dgi::KEY_CHECKS => return check_keys(cx, data),
        dgi::PIN_TRIES => return store_pin_tries(cx, data),
        _ => {}
    }
    let data = match id {
        dgi::SELECT_CONTACT | dgi::SELECT_CONTACTLESS => select_template(cx, data).ok_or(Sw::WRONG_DATA)?,
        _ => data,
    };
    let fits = match id {
        dgi::KEYS => data.len() == 48,
        dgi::RSA_QINV..=dgi::RSA_P => (32..=128).contains(&data.len()),
        dgi::SELECT_CONTACT | dgi::SELECT_CONTACTLESS => {
            data.len() <= fci::TEMPLATE_MAX && is_one(data, Tag::new(0xA5))
        }
        dgi::PROCESSING_OPTIONS => data.len() <= 160 && are_processing_options(data),
        _ if dgi::has_template(id) => data.len() <= records::RECORD_MAX && is_one(data, Tag::new(0x70)),
        _ if dgi::is_record(id) => (1..=records::RECORD_MAX).contains(&data.len()),
        _ => return Err(Sw::REFERENCED_DATA_NOT_FOUND),
    };
    if !fits {
        return Err(Sw::WRONG_DATA);
    }
    let mut buffer = [0; 288];
    let mut batch = Batch::new(&mut buffer);
    batch.put(cx.object(id), data);
    let result = cx.commit(&batch);
    buffer.zeroize();
    result
}

/// The template A5 of an answer to SELECT, which may come inside a whole one (6F) with the name (84) it is to be selected by; `None` if
/// that is another's.
fn select_template<'d>(cx: &Context<'_>, data: &'d [u8]) -> Option<&'d [u8]> {
    if !is_one(data, Tag::new(0x6F)) {
        return Some(data);
    }
    let outer = parse(data, Rules::ISO).next()?.ok()?;
    let mut objects = parse(outer.value(), Rules::ISO);
    let name = objects.next()?.ok()?;
    if name.tag() != Tag::new(0x84) || name.value() != cx.aid.as_bytes() {
        return None;
    }
    outer.value().get(objects.next()?.ok()?.at()..)
}

/// Whether the data are objects, and 9F10 among them names the algorithm this card computes with.
fn are_processing_options(data: &[u8]) -> bool {
    parse(data, Rules::EMV).all(|object| match object {
        Ok(object) if object.tag() == ISSUER_APPLICATION_DATA => match object.value() {
            // Length, key index, version, 03 and the CVR; 00 is seen in the field for 3DES.
            [_, _, _, _, _, _, _, algorithm, ..] => matches!(algorithm, 0x00 | 0x01),
            _ => false,
        },
        Ok(_) => true,
        Err(_) => false,
    })
}

/// Whether the data are exactly one template.
fn is_one(data: &[u8], tag: Tag) -> bool {
    let mut objects = parse(data, Rules::ISO);
    matches!((objects.next(), objects.next()), (Some(Ok(template)), None) if template.tag() == tag)
}

/// Stores each object of the grouping under its tag, all in one commit.
fn store_objects(cx: &mut Context<'_>, id: u16, data: &[u8]) -> Result<(), Sw> {
    let mut buffer = [0; 640];
    let mut batch = Batch::new(&mut buffer);
    for object in parse(data, Rules::EMV) {
        let object = object.map_err(|_| Sw::WRONG_DATA)?;
        let tag = u16::try_from(object.tag().get()).map_err(|_| Sw::WRONG_DATA)?;
        let fits = if id == dgi::CHANGEABLE {
            scripts::is_changeable(tag) && scripts::is_well_formed(tag, object.value())
        } else {
            !scripts::is_changeable(tag)
                && tag > 0x1EFF
                && !CARDS_OWN.contains(&tag)
                && object.value().len() <= 64
        };
        if !fits {
            return Err(Sw::WRONG_DATA);
        }
        batch.put(cx.object(tag), object.value());
    }
    cx.commit(&batch)
}

/// Tries left, and the limit, which this application has no use for: no terminal presents it a PIN, the issuer's script sets the tries.
fn store_pin_tries(cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
    match *data {
        [left, limit] if left <= limit => cx.put(objects::PIN_TRIES, &[left]),
        _ => Err(Sw::WRONG_DATA),
    }
}

/// Compares the check values with the keys. Keys that are not the ones meant are deleted: the application is not usable until the right
/// ones come.
fn check_keys(cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
    let mut keys: [u8; 48] = objects::optional(cx, dgi::KEYS)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let checks = dgi::key_checks(&keys);
    keys.zeroize();
    if data.len() != checks.len() {
        return Err(Sw::WRONG_DATA);
    }
    if ct_eq(&checks, data) {
        return Ok(());
    }
    let mut buffer = [0; 16];
    let mut batch = Batch::new(&mut buffer);
    batch.delete(cx.object(dgi::KEYS));
    cx.commit(&batch)?;
    Err(Sw::SECURITY_STATUS)
}
