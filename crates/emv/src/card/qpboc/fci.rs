//! SELECT: the file control information, and what GET PROCESSING OPTIONS and the log find in it.

use huiwan_apdu::Sw;
use huiwan_card::{Context, Interface, ResponseWriter};
use huiwan_tlv::{Rules, Tag, find_path};

use super::objects;
use super::session::Session;
use crate::personalisation;

/// The most bytes of the personalised template A5.
pub(super) const TEMPLATE_MAX: usize = 240;

/// Answers SELECT; 6283 when the application is blocked.
pub(super) fn select(cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Result<Sw, Sw> {
    let mut buffer = [0; TEMPLATE_MAX];
    let template = template(cx, &mut buffer)?;
    let name = cx.aid;
    reply.tlv(|w| {
        w.nested(Tag::new(0x6F), |w| {
            w.put(Tag::new(0x84), name.as_bytes());
            w.raw(template);
        });
    })?;
    Session::Selected.store(cx)?;
    Ok(if cx.exists(objects::BLOCKED)? { Sw::WARNING_SELECTED_INVALIDATED } else { Sw::OK })
}

/// The template A5 of this interface; over contacts the contactless one where there is no other.
pub(super) fn template<'o>(cx: &mut Context<'_>, out: &'o mut [u8; TEMPLATE_MAX]) -> Result<&'o [u8], Sw> {
    let contactless =
        cx.interface == Interface::Contactless || !cx.exists(personalisation::SELECT_CONTACT)?;
    let id = if contactless { personalisation::SELECT_CONTACTLESS } else { personalisation::SELECT_CONTACT };
    objects::personalised(cx, id, out)
}

/// 9F38 in the template; empty when there is none.
pub(super) fn pdol(template: &[u8]) -> &[u8] {
    inside(template, &[Tag::new(0xA5), Tag::new(0x9F38)])
}

/// 9F4D in the template: file identifier and number of records of the log.
pub(super) fn log_entry(template: &[u8]) -> Option<(u8, u8)> {
    match *inside(template, &[Tag::new(0xA5), Tag::new(0xBF0C), Tag::new(0x9F4D)]) {
        [sfi, records] if records > 0 => Some((sfi, records)),
        _ => None,
    }
}

fn inside<'a>(template: &'a [u8], path: &[Tag]) -> &'a [u8] {
    find_path(template, Rules::EMV, path).ok().flatten().map_or(&[], |object| object.value())
}
