//! The GlobalPlatform registry: which instances there are, with life cycle, privileges and contactless availability. [GPC 6.4]
//!
//! An entry is one durable object:
//! ```text
//! 01 ‖ flags ‖ life cycle ‖ contactless state ‖ initial contactless state ‖ module ‖ domain ‖ privileges (3) ‖ priority or FF
//!    ‖ LV AID ‖ LV load file AID ‖ LV module AID ‖ LV label
//! ```
//! It comes into being with one commit after the application installed itself, and that commit is the installation: an instance
//! without an entry is a leftover. Flag bit 1 marks an instance whose deletion has begun; it is as good as gone.

use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, Directory, Entry, InstanceId, Interface, Memory, MemoryError, ModuleId, ObjectId};

use super::{CardProfile, objects};
use crate::life_cycle::{ApplicationState, CardState, ContactlessState};
use crate::privileges::Privileges;

const VERSION: u8 = 0x01;
const DELETING: u8 = 0x01;
const NO_PRIORITY: u8 = 0xFF;
/// Bytes of the largest entry.
pub(crate) const RECORD_MAX: usize = 11 + 4 * 17;

/// One entry, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) instance: InstanceId,
    pub(crate) deleting: bool,
    pub(crate) state: ApplicationState,
    pub(crate) contactless: ContactlessState,
    pub(crate) initial_contactless: ContactlessState,
    pub(crate) module: ModuleId,
    pub(crate) domain: InstanceId,
    pub(crate) privileges: Privileges,
    pub(crate) priority: Option<u8>,
    pub(crate) aid: Aid,
    pub(crate) load_file: Aid,
    pub(crate) module_aid: Aid,
    pub(crate) label: heapless::Vec<u8, 16>,
}

impl Record {
    fn decode(instance: InstanceId, raw: &[u8]) -> Option<Self> {
        let (&head, mut rest) = raw.split_first_chunk::<11>()?;
        let [version, flags, state, contactless, initial, module, domain, p1, p2, p3, priority] = head;
        let mut take = || {
            let (&len, behind) = rest.split_first()?;
            let (value, behind) = behind.split_at_checked(usize::from(len))?;
            rest = behind;
            Some(value)
        };
        let record = Self {
            instance,
            deleting: flags & DELETING != 0,
            state: ApplicationState::from_byte(state),
            contactless: ContactlessState::from_byte(contactless)?,
            initial_contactless: ContactlessState::from_byte(initial)?,
            module: ModuleId(module),
            domain: InstanceId(domain),
            privileges: Privileges::from_array([p1, p2, p3]),
            priority: (priority != NO_PRIORITY).then_some(priority),
            aid: Aid::new(take()?).ok()?,
            load_file: Aid::new(take()?).ok()?,
            module_aid: Aid::new(take()?).ok()?,
            label: heapless::Vec::from_slice(take()?).ok()?,
        };
        (version == VERSION && rest.is_empty()).then_some(record)
    }

    /// Adds this entry to a batch.
    pub(crate) fn put(&self, batch: &mut Batch<'_>) {
        let [p1, p2, p3] = self.privileges.bytes();
        let head = [
            VERSION,
            if self.deleting { DELETING } else { 0 },
            self.state.byte(),
            self.contactless.byte(),
            self.initial_contactless.byte(),
            self.module.0,
            self.domain.0,
            p1,
            p2,
            p3,
            self.priority.unwrap_or(NO_PRIORITY),
        ];
        let lens = [self.aid.as_bytes(), self.load_file.as_bytes(), self.module_aid.as_bytes(), &self.label]
            .map(|field| [u8::try_from(field.len()).unwrap_or_default()]);
        let [aid, load_file, module_aid, label] = &lens;
        batch.put_parts(
            objects::entry(self.instance),
            &[
                &head,
                aid,
                self.aid.as_bytes(),
                load_file,
                self.load_file.as_bytes(),
                module_aid,
                self.module_aid.as_bytes(),
                label,
                &self.label,
            ],
        );
    }

    /// Makes this entry durable, alone.
    pub(crate) fn commit(&self, memory: &mut dyn Memory) -> Result<(), Sw> {
        let mut buffer = [0; RECORD_MAX + 8];
        let mut batch = Batch::new(&mut buffer);
        self.put(&mut batch);
        Ok(memory.commit(&batch)?)
    }

    fn entry(&self, card: CardState) -> Entry {
        let open = !matches!(card, CardState::CardLocked | CardState::Terminated);
        Entry {
            aid: self.aid,
            instance: self.instance,
            module: self.module,
            domain: self.domain,
            selectable: open && !self.deleting && self.state.is_selectable(),
            contactless: self.contactless == ContactlessState::Activated,
            label: self.label.clone(),
            priority: self.priority,
        }
    }
}

/// What the card object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) state: CardState,
    pub(crate) default_key_version: u8,
}

impl Card {
    pub(crate) fn read(memory: &mut dyn Memory) -> Result<Self, Sw> {
        let mut raw = [0; 4];
        match *memory.read(objects::CARD, 0, &mut raw)? {
            [VERSION, state, default_key_version] => Ok(Self {
                state: CardState::from_byte(state).ok_or(Sw::MEMORY_FAILURE)?,
                default_key_version,
            }),
            _ => Err(Sw::MEMORY_FAILURE),
        }
    }

    pub(crate) fn put(&self, batch: &mut Batch<'_>) {
        batch.put(objects::CARD, &[VERSION, self.state.byte(), self.default_key_version]);
    }
}

/// The next registry entry behind `after`.
pub(crate) fn next(memory: &mut dyn Memory, after: Option<InstanceId>) -> Result<Option<Record>, Sw> {
    let after = after.map_or(objects::BEFORE_ENTRIES, objects::entry);
    let Some(instance) = memory.next_object(Some(after))?.and_then(objects::entry_of) else {
        return Ok(None);
    };
    record(memory, instance)
}

/// The registry entry of an instance.
pub(crate) fn record(memory: &mut dyn Memory, instance: InstanceId) -> Result<Option<Record>, Sw> {
    let mut raw = [0; RECORD_MAX + 1];
    match memory.read(objects::entry(instance), 0, &mut raw) {
        Ok(raw) => Record::decode(instance, raw).map(Some).ok_or(Sw::MEMORY_FAILURE),
        Err(MemoryError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The registry entry with exactly this AID, unless its deletion has begun.
pub(crate) fn by_aid(memory: &mut dyn Memory, aid: &[u8]) -> Result<Option<Record>, Sw> {
    let mut after = None;
    while let Some(record) = next(memory, after)? {
        if record.aid.as_bytes() == aid && !record.deleting {
            return Ok(Some(record));
        }
        after = Some(record.instance);
    }
    Ok(None)
}

/// Deletes what a cut installation, deletion or personalisation left behind.
pub(crate) fn sweep(memory: &mut dyn Memory) -> Result<(), Sw> {
    let mut after = None;
    while let Some(record) = next(memory, after)? {
        after = Some(record.instance);
        if record.deleting {
            forget(memory, record.instance)?;
        }
    }
    let mut at = Some(ObjectId::new(InstanceId::ISSUER, u16::MAX));
    while let Some(object) = memory.next_object(at)? {
        if memory.len(objects::entry(object.instance))?.is_none() {
            forget(memory, object.instance)?;
        }
        at = Some(ObjectId::new(object.instance, u16::MAX));
    }
    // Pieces of a sequence that failed stay behind gaps where a later one has overwritten and deleted its own.
    while let Some(piece) = memory.next_object(Some(objects::BEFORE_PIECES))?.filter(objects::is_piece) {
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        batch.delete(piece);
        memory.commit(&batch)?;
    }
    Ok(())
}

/// Deletes an instance's objects and its entry in one commit.
pub(crate) fn forget(memory: &mut dyn Memory, instance: InstanceId) -> Result<(), Sw> {
    let mut buffer = [0; 32];
    let mut batch = Batch::new(&mut buffer);
    batch.delete_instance(instance);
    batch.delete(objects::entry(instance));
    Ok(memory.commit(&batch)?)
}

/// The registry as the element's directory.
#[derive(Debug, Clone, Copy)]
pub struct Registry<'a> {
    profile: &'a CardProfile,
}

impl<'a> Registry<'a> {
    /// A view of the registry of a card with this profile.
    #[must_use]
    pub const fn new(profile: &'a CardProfile) -> Self {
        Self { profile }
    }

    fn issuer(&self) -> Entry {
        Entry {
            aid: self.profile.issuer_aid,
            instance: InstanceId::ISSUER,
            module: self.profile.manager,
            domain: InstanceId::ISSUER,
            selectable: true,
            contactless: true,
            label: heapless::Vec::new(),
            priority: None,
        }
    }
}

impl Directory for Registry<'_> {
    fn nth(&self, memory: &mut dyn Memory, index: usize) -> Result<Option<Entry>, Sw> {
        let Some(mut behind) = index.checked_sub(1) else {
            return Ok(Some(self.issuer()));
        };
        let card = Card::read(memory)?.state;
        let mut after = None;
        while let Some(record) = next(memory, after)? {
            match behind.checked_sub(1) {
                None => return Ok(Some(record.entry(card))),
                Some(less) => behind = less,
            }
            after = Some(record.instance);
        }
        Ok(None)
    }

    fn default(&self, memory: &mut dyn Memory, interface: Interface) -> Result<Entry, Sw> {
        let card = Card::read(memory)?.state;
        let mut after = None;
        while let Some(record) = next(memory, after)? {
            let entry = record.entry(card);
            if record.privileges.contains(Privileges::DEFAULT_SELECTED) && entry.is_selectable(interface) {
                return Ok(entry);
            }
            after = Some(record.instance);
        }
        Ok(self.issuer())
    }

    fn find(
        &self,
        memory: &mut dyn Memory,
        name: &[u8],
        after: Option<InstanceId>,
        interface: Interface,
    ) -> Result<Entry, Sw> {
        let card = Card::read(memory)?.state;
        let issuer = self.issuer();
        let mut partial = None;
        if after.is_none() && issuer.aid.starts_with(name) {
            if issuer.aid.as_bytes() == name {
                return Ok(issuer);
            }
            partial = Some(issuer);
        }
        let mut behind = after;
        while let Some(record) = next(memory, behind)? {
            behind = Some(record.instance);
            let entry = record.entry(card);
            if entry.is_selectable(interface) && entry.aid.starts_with(name) {
                if after.is_some() || entry.aid.as_bytes() == name {
                    return Ok(entry);
                }
                partial = partial.or(Some(entry));
            }
        }
        // A locked card does not say what it holds. [GPC 9.9]
        let absent =
            if card == CardState::CardLocked { Sw::FUNCTION_NOT_SUPPORTED } else { Sw::FILE_NOT_FOUND };
        partial.ok_or(absent)
    }

    fn entry(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<Entry, Sw> {
        if instance == InstanceId::ISSUER {
            return Ok(self.issuer());
        }
        let card = Card::read(memory)?.state;
        Ok(record(memory, instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.entry(card))
    }
}
