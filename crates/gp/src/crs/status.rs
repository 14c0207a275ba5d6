//! GET STATUS of the registry service: search data and entries. [AmdC 3.11.3]

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Tlvs, Writer, parse, tag_list};

use super::TAG_80_UPDATES;
use crate::get_status::{TAG_4F_AID, TAG_5C_TAG_LIST, TAG_9F70_LIFE_CYCLE, next_entry};
use crate::install::interaction::{
    TAG_7F20_DISPLAY_CONTROL, TAG_87_FAMILY, TAG_88_DISPLAY, TAG_A6_DISCRETIONARY,
};
use crate::life_cycle::{ApplicationState, ContactlessState};

/// P1: applications and security domains.
pub const APPLICATIONS: u8 = 0x40;
/// P2: first or only occurrences.
pub const FIRST: u8 = 0x00;
/// P2: next occurrences.
pub const NEXT: u8 = 0x01;

/// Entry.
pub const TAG_61_ENTRY: Tag = Tag::new(0x61);
/// Place in the order of selection, from 1. (from a single source, which only asks for it)
pub const TAG_81_PLACE: Tag = Tag::new(0x81);

/// Search data: an AID or its beginning (empty for all), what else has to fit, and the tags wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Search<'a> {
    /// `4F`: AID or its beginning.
    pub prefix: &'a [u8],
    /// `9F70`: contactless state, its second byte; the first does not count.
    pub state: Option<ContactlessState>,
    /// `87`: application family.
    pub family: Option<&'a [u8]>,
    /// `88`: display required indicator.
    pub display: Option<&'a [u8]>,
    /// `5C`: tags wanted besides AID and states; `None` for everything.
    pub tags: Option<&'a [u8]>,
}

impl<'a> Search<'a> {
    /// Everything.
    pub const ALL: Self = Self { prefix: &[], state: None, family: None, display: None, tags: None };

    /// Reads the data field; `Ok(None)` if `4F` is missing, something comes twice, or something else is there.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Option<Self>, At<TlvError>> {
        let (mut search, mut named) = (Self::ALL, false);
        for object in parse(data, Rules::ISO) {
            let object = object?;
            match (object.tag(), object.value()) {
                (TAG_4F_AID, prefix) if !named && prefix.len() <= 16 => {
                    (search.prefix, named) = (prefix, true);
                }
                (TAG_9F70_LIFE_CYCLE, &[_, state]) if search.state.is_none() => {
                    let Some(state) = ContactlessState::from_byte(state) else { return Ok(None) };
                    search.state = Some(state);
                }
                (TAG_87_FAMILY, family) if search.family.is_none() => search.family = Some(family),
                (TAG_88_DISPLAY, display) if search.display.is_none() => search.display = Some(display),
                (TAG_5C_TAG_LIST, tags) if search.tags.is_none() => search.tags = Some(tags),
                _ => return Ok(None),
            }
        }
        let readable = search.tags.is_none_or(|tags| tag_list::TagList::new(tags).all(|tag| tag.is_ok()));
        Ok((named && readable).then_some(search))
    }

    /// Writes the data field.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        w.put(TAG_4F_AID, self.prefix);
        if let Some(state) = self.state {
            w.put(TAG_9F70_LIFE_CYCLE, &[ApplicationState::SELECTABLE.byte(), state.byte()]);
        }
        let optional =
            [(TAG_87_FAMILY, self.family), (TAG_88_DISPLAY, self.display), (TAG_5C_TAG_LIST, self.tags)];
        for (tag, value) in optional {
            if let Some(value) = value {
                w.put(tag, value);
            }
        }
        Ok(w.finish()?)
    }

    /// Whether the tag list names this tag.
    #[must_use]
    pub fn lists(&self, tag: Tag) -> bool {
        self.tags.is_some_and(|tags| tag_list::TagList::new(tags).any(|listed| listed == Ok(tag)))
    }
}

/// One application as the service tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry<'a> {
    /// `4F`: AID.
    pub aid: &'a [u8],
    /// `9F70`: life cycle, first byte.
    pub life_cycle: u8,
    /// `9F70`: contactless state, second byte; `None` for a value this crate does not know.
    pub contactless: Option<ContactlessState>,
    /// `80`: update counter of the application.
    pub updates: Option<u16>,
    /// `81`: place in the order of selection, from 1; `None` where the wearer gave none.
    pub place: Option<u8>,
    /// `87`: application family.
    pub family: Option<&'a [u8]>,
    /// `88`: display required indicator.
    pub display: Option<&'a [u8]>,
    /// `A6`: discretionary data.
    pub discretionary: Option<&'a [u8]>,
    /// `7F20`: display control template.
    pub display_control: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    /// Reads the value of `61`. Objects that are not listed here, or not as long as they should be, are passed over.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(body: &'a [u8]) -> Result<Self, At<TlvError>> {
        let mut entry = Self::default();
        for object in parse(body, Rules::EMV) {
            let object = object?;
            match (object.tag(), object.value()) {
                (TAG_4F_AID, aid) => entry.aid = aid,
                (TAG_9F70_LIFE_CYCLE, &[life_cycle, state]) => {
                    (entry.life_cycle, entry.contactless) = (life_cycle, ContactlessState::from_byte(state));
                }
                (TAG_80_UPDATES, &[high, low]) => entry.updates = Some(u16::from_be_bytes([high, low])),
                (TAG_81_PLACE, &[place]) => entry.place = Some(place),
                (TAG_87_FAMILY, family) => entry.family = Some(family),
                (TAG_88_DISPLAY, display) => entry.display = Some(display),
                (TAG_A6_DISCRETIONARY, data) => entry.discretionary = Some(data),
                (TAG_7F20_DISPLAY_CONTROL, template) => entry.display_control = Some(template),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// Writes the entry with what `search` wants; AID and states come always.
    pub fn put(&self, search: &Search<'_>, w: &mut Writer<'_>) {
        let state = self.contactless.map_or(0, ContactlessState::byte);
        w.nested(TAG_61_ENTRY, |w| {
            w.put(TAG_4F_AID, self.aid);
            w.put(TAG_9F70_LIFE_CYCLE, &[self.life_cycle, state]);
            let updates = self.updates.map(u16::to_be_bytes);
            let place = self.place.map(|place| [place]);
            let optional = [
                (TAG_80_UPDATES, updates.as_ref().map(|bytes| &bytes[..])),
                (TAG_81_PLACE, place.as_ref().map(|byte| &byte[..])),
                (TAG_87_FAMILY, self.family),
                (TAG_88_DISPLAY, self.display),
                (TAG_A6_DISCRETIONARY, self.discretionary),
                (TAG_7F20_DISPLAY_CONTROL, self.display_control),
            ];
            for (tag, value) in optional {
                if let Some(value) = value
                    && (search.tags.is_none() || search.lists(tag))
                {
                    w.put(tag, value);
                }
            }
        });
    }
}

/// The entries of one answer; ends after the first error.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Tlvs<'a>);

/// Reads the answer of GET STATUS. Objects other than `61` are passed over.
#[must_use]
pub fn entries(data: &[u8]) -> Entries<'_> {
    Entries(parse(data, Rules::ISO))
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, At<TlvError>>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(&mut self.0, TAG_61_ENTRY, Entry::parse)
    }
}
