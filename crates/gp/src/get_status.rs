//! GET STATUS: scopes, search data and registry entries. Entries are read in the TLV form (P2 b2 set). [GPC 11.4]

use huiwan_apdu::Aid;
use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Tlvs, Writer, find, parse, tag_list};

use crate::install::{ImplicitSelection, TAG_CF_IMPLICIT_SELECTION};
use crate::life_cycle::ApplicationState;
use crate::privileges::Privileges;

/// Instruction byte.
pub const INS: u8 = 0xF2;
/// P2 bit: next occurrences.
pub const NEXT_BIT: u8 = 0x01;
/// P2 bit: the answer comes as TLV.
pub const TLV_BIT: u8 = 0x02;
/// P2: first or only occurrences, TLV answer.
pub const FIRST: u8 = 0x02;
/// P2: next occurrences, TLV answer.
pub const NEXT: u8 = 0x03;

/// Registry entry.
pub const TAG_E3_ENTRY: Tag = Tag::new(0xE3);
/// AID.
pub const TAG_4F_AID: Tag = Tag::new(0x4F);
/// Life cycle state, with the contactless state as an optional second byte.
pub const TAG_9F70_LIFE_CYCLE: Tag = Tag::new(0x9F70);
/// Privileges.
pub const TAG_C5_PRIVILEGES: Tag = Tag::new(0xC5);
/// Executable load file AID of an application.
pub const TAG_C4_LOAD_FILE: Tag = Tag::new(0xC4);
/// Version of an executable load file.
pub const TAG_CE_VERSION: Tag = Tag::new(0xCE);
/// Executable module AID of a load file.
pub const TAG_84_MODULE: Tag = Tag::new(0x84);
/// Associated security domain.
pub const TAG_CC_DOMAIN: Tag = Tag::new(0xCC);
/// Tag list in the search data.
pub const TAG_5C_TAG_LIST: Tag = Tag::new(0x5C);

/// Which part of the registry is asked for (P1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// The issuer security domain.
    Issuer = 0x80,
    /// Applications and supplementary security domains.
    Applications = 0x40,
    /// Executable load files.
    LoadFiles = 0x20,
    /// Executable load files with their modules.
    LoadFilesAndModules = 0x10,
}

impl Scope {
    /// Every scope.
    pub const EVERY: [Self; 4] =
        [Self::Issuer, Self::Applications, Self::LoadFiles, Self::LoadFilesAndModules];

    /// Reads P1; one scope at a time.
    #[must_use]
    pub const fn from_byte(p1: u8) -> Option<Self> {
        Some(match p1 {
            0x80 => Self::Issuer,
            0x40 => Self::Applications,
            0x20 => Self::LoadFiles,
            0x10 => Self::LoadFilesAndModules,
            _ => return None,
        })
    }

    /// P1.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// Search data: an AID or its beginning (empty for all) and the tags wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search<'a> {
    /// AID or its beginning.
    pub prefix: &'a [u8],
    /// Contents of the tag list `5C`; `None` for the usual tags.
    pub tags: Option<&'a [u8]>,
}

impl<'a> Search<'a> {
    /// Everything.
    pub const ALL: Self = Self { prefix: &[], tags: None };

    /// Reads the data field; `Ok(None)` if `4F` is missing or something else is there.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Option<Self>, At<TlvError>> {
        let (mut prefix, mut tags) = (None, None);
        for object in parse(data, Rules::ISO) {
            let object = object?;
            match object.tag() {
                TAG_4F_AID if prefix.is_none() && object.value().len() <= 16 => prefix = Some(object.value()),
                TAG_5C_TAG_LIST if tags.is_none() => tags = Some(object.value()),
                _ => return Ok(None),
            }
        }
        Ok(prefix.map(|prefix| Self { prefix, tags }))
    }

    /// Writes the data field.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        w.put(TAG_4F_AID, self.prefix);
        if let Some(tags) = self.tags {
            w.put(TAG_5C_TAG_LIST, tags);
        }
        Ok(w.finish()?)
    }

    /// Whether an entry's tag is wanted.
    #[must_use]
    pub fn wants(&self, tag: Tag) -> bool {
        self.tags.is_none_or(|list| {
            tag_list::TagList::new(list).any(|listed| listed.is_ok_and(|listed| listed == tag))
        })
    }
}

/// One registry entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry<'a> {
    /// AID.
    pub aid: &'a [u8],
    /// Life cycle state byte; of a card, an application or a load file by the scope asked for.
    pub life_cycle: u8,
    /// Contactless state byte, on cards that have one.
    pub contactless: Option<u8>,
    /// Privileges, if given.
    pub privileges: Option<Privileges>,
    /// Executable load file of an application.
    pub load_file: Option<&'a [u8]>,
    /// Version of a load file.
    pub version: Option<&'a [u8]>,
    /// Associated security domain.
    pub domain: Option<&'a [u8]>,
    body: &'a [u8],
}

impl<'a> Entry<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, At<TlvError>> {
        let mut entry = Self { body, ..Self::default() };
        for object in parse(body, Rules::ISO) {
            let object = object?;
            let value = object.value();
            match object.tag() {
                TAG_4F_AID => entry.aid = value,
                TAG_9F70_LIFE_CYCLE => {
                    entry.life_cycle = value.first().copied().unwrap_or_default();
                    entry.contactless = value.get(1).copied();
                }
                TAG_C5_PRIVILEGES => entry.privileges = Privileges::parse(value),
                TAG_C4_LOAD_FILE => entry.load_file = Some(value),
                TAG_CE_VERSION => entry.version = Some(value),
                TAG_CC_DOMAIN => entry.domain = Some(value),
                _ => {}
            }
        }
        Ok(entry)
    }

    /// The life cycle as that of an application.
    #[must_use]
    pub const fn application_state(&self) -> ApplicationState {
        ApplicationState::from_byte(self.life_cycle)
    }

    /// The AID as a value; `None` if the card reports one of an illegal length.
    #[must_use]
    pub fn application_aid(&self) -> Option<Aid> {
        Aid::new(self.aid).ok()
    }

    /// Where an application is selected implicitly; what is no such parameter is left out.
    pub fn implicit(&self) -> impl Iterator<Item = ImplicitSelection> + 'a {
        parse(self.body, Rules::ISO).flatten().filter_map(|object| match (object.tag(), object.value()) {
            (TAG_CF_IMPLICIT_SELECTION, &[byte]) => ImplicitSelection::from_byte(byte),
            _ => None,
        })
    }

    /// The modules of a load file.
    pub fn modules(&self) -> impl Iterator<Item = &'a [u8]> {
        parse(self.body, Rules::ISO)
            .flatten()
            .filter(|object| object.tag() == TAG_84_MODULE)
            .map(|object| object.value())
    }
}

/// The entries of one GET STATUS answer; ends after the first error.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Tlvs<'a>);

/// Reads the response data of GET STATUS in the TLV form. Objects other than `E3` are passed over.
#[must_use]
pub fn entries(data: &[u8]) -> Entries<'_> {
    Entries(parse(data, Rules::ISO))
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, At<TlvError>>;

    fn next(&mut self) -> Option<Self::Item> {
        next_entry(&mut self.0, TAG_E3_ENTRY, Entry::parse)
    }
}

/// The next object `tag`, read by `parse`; others are passed over. The registry and the contactless registry service answer
/// alike but for the tag.
pub(crate) fn next_entry<'a, T>(
    objects: &mut Tlvs<'a>,
    tag: Tag,
    parse: fn(&'a [u8]) -> Result<T, At<TlvError>>,
) -> Option<Result<T, At<TlvError>>> {
    loop {
        match objects.next()? {
            Ok(object) if object.tag() == tag => {
                let base = object.value_at();
                return Some(parse(object.value()).map_err(|error| error.shifted(base)));
            }
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Whether an answer holds an entry of this AID, exactly.
///
/// # Errors
/// [`TlvError`] and its byte.
pub fn contains(data: &[u8], aid: &[u8]) -> Result<bool, At<TlvError>> {
    for entry in entries(data) {
        if entry?.aid == aid {
            return Ok(true);
        }
    }
    find(data, Rules::ISO, TAG_E3_ENTRY).map(|_| false)
}
