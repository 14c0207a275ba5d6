//! Who is told what became of an application: its listeners (CREL applications), then the application itself, unless it was its own
//! doing. [AmdC 3.10]
//!
//! Notices go out when the command is done, after the commit, to 16 at most. One that is lost, because there were more or because
//! power went, is made good by the counters: a listener that keeps the global update counter it saw last, and sees another one, reads
//! the registry. [AmdC 3.11.2]

use huiwan_apdu::Sw;
use huiwan_card::{Context, InstanceId, Memory, NOTICES, Notice};
use huiwan_tlv::{Rules, Tag, find};

use crate::card::contactless::{self, INTERACTION_MAX};
use crate::card::registry::{self, Deletion, Record};
use crate::crs::Event;
use crate::install::{Aids, Interaction};
use crate::life_cycle::{ApplicationState, ContactlessState};

/// In a display control template: the address. (from memory)
const TAG_5F50_URI: Tag = Tag::new(0x5F50);
/// In a display control template: the application image template. (from memory; [ISO 7816-4])
const TAG_6D_LOGO: Tag = Tag::new(0x6D);

/// The event of a contactless state.
pub(crate) const fn event_of(state: ContactlessState) -> Event {
    match state {
        ContactlessState::Activated => Event::Activated,
        ContactlessState::Deactivated => Event::Deactivated,
        ContactlessState::NonActivatable => Event::NonActivatable,
    }
}

/// Tells everyone whom it concerns.
pub(crate) fn tell(cx: &mut Context<'_>, record: &Record, event: Event) -> Result<(), Sw> {
    let mut stored = [0; INTERACTION_MAX + 2];
    let listeners = contactless::interaction(cx.memory, record.instance, &mut stored)?.listeners;
    for aid in listeners.iter() {
        if let Some(listener) = registry::by_aid(cx.memory, aid)?
            && listener.instance != cx.instance
            && listener.instance != record.instance
        {
            cx.notify(listener.instance, event.byte(), record.aid);
        }
    }
    if record.instance != cx.instance {
        cx.notify(record.instance, event.byte(), record.aid);
    }
    Ok(())
}

/// Listeners hear that they came onto the list, or went from it.
pub(crate) fn listeners_changed(
    cx: &mut Context<'_>,
    record: &Record,
    old: Aids<'_>,
    new: &Interaction<'_>,
) -> Result<(), Sw> {
    let removed = new.listeners_removed;
    let gone = removed.iter().filter(|aid| old.contains(aid) && !new.listeners.contains(aid));
    let came = new.listeners.iter().filter(|aid| !old.contains(aid));
    let events =
        gone.map(|aid| (aid, Event::ListenerRemoved)).chain(came.map(|aid| (aid, Event::ListenerAdded)));
    let mut told = heapless::Vec::<InstanceId, NOTICES>::new();
    for (aid, event) in events {
        if let Some(listener) = registry::by_aid(cx.memory, aid)?
            && !told.contains(&listener.instance)
            && told.push(listener.instance).is_ok()
        {
            cx.notify(listener.instance, event.byte(), record.aid);
        }
    }
    Ok(())
}

/// After an installation, or when an application becomes selectable.
pub(crate) fn selectable(cx: &mut Context<'_>, record: &Record) -> Result<(), Sw> {
    if record.state == ApplicationState::INSTALLED {
        return tell(cx, record, Event::Installed);
    }
    tell(cx, record, Event::Selectable)?;
    moved(cx, record, ContactlessState::Deactivated)
}

/// After a registry update, which brought the new parameters in the place of old ones.
pub(crate) fn updated(
    cx: &mut Context<'_>,
    record: &Record,
    (old, new): (&Interaction<'_>, &Interaction<'_>),
    before: ContactlessState,
) -> Result<(), Sw> {
    if new.family.is_some() {
        tell(cx, record, Event::Family)?;
    }
    if new.discretionary.is_some() {
        tell(cx, record, Event::DiscretionaryData)?;
    }
    if let Some(display) = new.display_control {
        for (tag, event) in [(TAG_5F50_URI, Event::Uri), (TAG_6D_LOGO, Event::Logo)] {
            if part(display, tag) != part(old.display_control.unwrap_or_default(), tag) {
                tell(cx, record, event)?;
            }
        }
    }
    if let Some(head) = new.head {
        group_changed(cx, record, old.head.unwrap_or_default(), head)?;
    }
    moved(cx, record, before)
}

/// Listeners hear that it left its group or joined one, and so do the heads.
fn group_changed(cx: &mut Context<'_>, record: &Record, old: Aids<'_>, new: Aids<'_>) -> Result<(), Sw> {
    for (heads, others, event) in [(old, new, Event::GroupMemberRemoved), (new, old, Event::GroupMemberAdded)]
    {
        for head in heads.iter().filter(|head| !others.contains(head)) {
            tell(cx, record, event)?;
            if let Some(head) = registry::by_aid(cx.memory, head)? {
                cx.notify(head.instance, event.byte(), record.aid);
            }
        }
    }
    Ok(())
}

/// An object of a display control template; of one that cannot be read, none.
fn part(template: &[u8], tag: Tag) -> Option<&[u8]> {
    find(template, Rules::EMV, tag).ok().flatten().map(|object| object.value())
}

/// After locking and unlocking.
pub(crate) fn locked(
    cx: &mut Context<'_>,
    record: &Record,
    (state, contactless): (ApplicationState, ContactlessState),
) -> Result<(), Sw> {
    if state != record.state {
        tell(cx, record, if record.state.is_locked() { Event::Locked } else { Event::Unlocked })?;
    }
    moved(cx, record, contactless)
}

fn moved(cx: &mut Context<'_>, record: &Record, before: ContactlessState) -> Result<(), Sw> {
    if record.contactless == before { Ok(()) } else { tell(cx, record, event_of(record.contactless)) }
}

/// Notices of a deletion, made while the lists are still there.
pub(crate) type Notices = heapless::Vec<Notice, NOTICES>;

/// Whom a deletion concerns; those that go themselves hear nothing.
pub(crate) fn of_deletion(memory: &mut dyn Memory, deletion: &Deletion) -> Result<Notices, Sw> {
    let mut notices = Notices::new();
    for instance in deletion.members() {
        let Some(record) = registry::record(memory, instance)? else { continue };
        let mut stored = [0; INTERACTION_MAX + 2];
        let listeners = contactless::interaction(memory, instance, &mut stored)?.listeners;
        for aid in listeners.iter() {
            // Only those that stay are found.
            if let Some(listener) = registry::by_aid(memory, aid)? {
                let notice =
                    Notice { to: listener.instance, event: Event::Deleted.byte(), about: record.aid };
                // What goes over the room is lost, see above.
                let _ = notices.push(notice);
            }
        }
    }
    Ok(notices)
}

/// They are gone.
pub(crate) fn deleted(cx: &mut Context<'_>, notices: &Notices) {
    for Notice { to, event, about } in notices {
        cx.notify(*to, *event, *about);
    }
}
