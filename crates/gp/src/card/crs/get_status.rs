//! GET STATUS of the registry service, in pages of whole entries. [AmdC 3.11.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, InstanceId, MemoryError, ResponseWriter};
use huiwan_tlv::Tag;

use crate::card::contactless::{self, INTERACTION_MAX, Order};
use crate::card::registry::{self, Deletion};
use crate::crs::TAG_80_UPDATES;
use crate::crs::status::{APPLICATIONS, Entry, FIRST, NEXT, Search, TAG_81_PLACE};
use crate::get_status::{TAG_4F_AID, TAG_9F70_LIFE_CYCLE};
use crate::install::interaction::{
    TAG_7F20_DISPLAY_CONTROL, TAG_87_FAMILY, TAG_88_DISPLAY, TAG_A6_DISCRETIONARY,
};
use crate::life_cycle::ContactlessState;

/// Data that fit an answer whatever the secure channel adds.
const ROOM_PROTECTED: usize = 239;

/// The last instance told of a list that has more.
pub(super) type Listing = Option<InstanceId>;

/// Takes the list under way from the slot.
pub(super) fn take(slot: &mut [u8]) -> Listing {
    match slot {
        [more @ 1, last, ..] => {
            *more = 0;
            Some(InstanceId(*last))
        }
        _ => None,
    }
}

pub(super) fn page(
    cx: &mut Context<'_>,
    command: &Command<'_>,
    reply: &mut ResponseWriter<'_>,
    listing: Listing,
) -> Result<Sw, Sw> {
    let mut at = match (command.p1(), command.p2()) {
        (APPLICATIONS, FIRST) => None,
        (APPLICATIONS, NEXT) => Some(listing.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?),
        _ => return Err(Sw::WRONG_P1P2),
    };
    let search = Search::parse(command.data()).ok().flatten().ok_or(Sw::WRONG_DATA)?;
    let room = if cx.protection.r_mac { ROOM_PROTECTED } else { reply.capacity() };
    let (order, deletion) = (Order::read(cx.memory)?, Deletion::read(cx.memory)?);
    let mut wanted = false;
    while let Some(record) = registry::next(cx.memory, at)? {
        let last = at.replace(record.instance);
        if !record.aid.starts_with(search.prefix) || deletion.contains(record.instance) {
            continue;
        }
        let [life_cycle, state] = registry::told_state(cx.memory, &record)?;
        let mut stored = [0; INTERACTION_MAX + 2];
        let interaction = contactless::interaction(cx.memory, record.instance, &mut stored)?;
        let entry = Entry {
            aid: record.aid.as_bytes(),
            life_cycle,
            contactless: ContactlessState::from_byte(state),
            updates: Some(record.updates),
            place: order.place(record.instance),
            family: interaction.family,
            display: interaction.display,
            discretionary: interaction.discretionary,
            display_control: interaction.display_control,
        };
        let fits = |wanted: Option<&[u8]>, held: Option<&[u8]>| wanted.is_none() || wanted == held;
        let named = search.state.is_none_or(|state| entry.contactless == Some(state));
        if !named || !fits(search.family, entry.family) || !fits(search.display, entry.display) {
            continue;
        }
        let before = reply.len();
        if reply.tlv(|w| entry.put(&search, w)).is_err() || reply.len() > room {
            reply.truncate(before);
            // An entry by itself fits, see `INTERACTION_MAX`.
            let last = last.filter(|_| before != 0).ok_or(Sw::from(MemoryError::TooLarge))?;
            if let [more, told, ..] = &mut *cx.volatile {
                (*more, *told) = (1, last.0);
            }
            return Ok(Sw::MORE_ENTRIES);
        }
        wanted |= search.tags.is_none() || present(&entry).any(|tag| search.lists(tag));
    }
    // Nobody there, or nobody who has what the tag list wants.
    if reply.is_empty() || !wanted {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    Ok(Sw::OK)
}

/// The tags an entry has.
fn present(entry: &Entry<'_>) -> impl Iterator<Item = Tag> {
    let optional = [
        (TAG_81_PLACE, entry.place.is_some()),
        (TAG_87_FAMILY, entry.family.is_some()),
        (TAG_88_DISPLAY, entry.display.is_some()),
        (TAG_A6_DISCRETIONARY, entry.discretionary.is_some()),
        (TAG_7F20_DISPLAY_CONTROL, entry.display_control.is_some()),
    ];
    let there = optional.into_iter().filter(|(_, there)| *there).map(|(tag, _)| tag);
    [TAG_4F_AID, TAG_9F70_LIFE_CYCLE, TAG_80_UPDATES].into_iter().chain(there)
}
