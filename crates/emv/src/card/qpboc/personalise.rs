//! Personalisation by data groupings; the map is [`crate::personalisation`].
//!
//! Every grouping is one commit. Nothing is judged as a whole: an application answers 6985 until the groupings it needs are there.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context};
use huiwan_crypto::{BlockKey, Tdes, ct_eq};
use huiwan_tlv::{Rules, Tag, parse};
use zeroize::Zeroize;

use super::{fci, objects, records, scripts};
use crate::personalisation as dgi;

const ISSUER_APPLICATION_DATA: Tag = Tag::new(0x9F10);

/// Objects only the card itself writes.
const CARDS_OWN: [u16; 3] = [objects::ATC, objects::LAST_ONLINE_ATC, objects::AVAILABLE];

/// 6A88 for an unknown grouping, 6A80 for one whose content does not fit.
pub(super) fn store(cx: &mut Context<'_>, id: u16, data: &[u8]) -> Result<(), Sw> {
    match id {
        dgi::CHANGEABLE | dgi::FIXED => return store_objects(cx, id, data),
        dgi::KEY_CHECKS => return check_keys(cx, data),
        _ => {}
    }
    let fits = match id {
        dgi::KEYS => data.len() == 48,
        dgi::RSA_QINV..=dgi::RSA_P => (32..=128).contains(&data.len()),
        dgi::SELECT_CONTACT | dgi::SELECT_CONTACTLESS => {
            data.len() <= fci::TEMPLATE_MAX && is_one(data, Tag::new(0xA5))
        }
        dgi::PROCESSING_OPTIONS => data.len() <= 160 && are_processing_options(data),
        _ if dgi::is_record(id) => data.len() <= records::RECORD_MAX && is_one(data, Tag::new(0x70)),
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

/// Compares the check values with the keys: 6985 before the keys are there, 6A80 when they differ.
fn check_keys(cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
    let mut keys: [u8; 48] = objects::optional(cx, dgi::KEYS)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let mut right = data.len() == 9;
    for (key, check) in keys.as_chunks::<16>().0.iter().zip(data.chunks(3)) {
        right &= ct_eq(&Tdes::new2(key).kcv(), check);
    }
    keys.zeroize();
    if right { Ok(()) } else { Err(Sw::WRONG_DATA) }
}
