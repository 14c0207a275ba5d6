//! The GlobalPlatform registry: which instances there are, with life cycle, privileges and contactless availability. [GPC 6.4]
//!
//! An entry is one durable object:
//! ```text
//! 01 ‖ flags ‖ life cycle ‖ contactless state ‖ initial contactless state ‖ module ‖ domain ‖ privileges (3) ‖ priority or FF
//!    ‖ update counter (2) ‖ LV AID ‖ LV load file AID ‖ LV module AID ‖ LV label [ ‖ LV implicit selection parameters ]
//! ```
//! It comes into being with one commit after the application installed itself, and that commit is the installation: an instance
//! without an entry is a leftover. Flag bit 2 of a security domain locks everything associated with it.
//!
//! A deletion is one object that lists the domain which deletes and the instances that go, applications and load files: with its
//! commit they are as good as gone, until they really are.

use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, Entry, InstanceId, Memory, MemoryError, ModuleId, ObjectId};

use super::contactless::{self, Contactless, Order};
use super::{CardProfile, objects};
use crate::install::ImplicitSelections;
use crate::install::implicit::IMPLICIT_MAX;
use crate::life_cycle::{ApplicationState, CardState, ContactlessState};
use crate::privileges::Privileges;

const VERSION: u8 = 0x01;
const LOCKS_ASSOCIATED: u8 = 0x02;
/// Instances one deletion takes at most.
const DELETED_MAX: usize = 64;
const NO_PRIORITY: u8 = 0xFF;
/// Bytes of the largest entry.
pub(crate) const RECORD_MAX: usize = 13 + 4 * 17 + 1 + IMPLICIT_MAX;

/// One entry, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) instance: InstanceId,
    /// Of a security domain: everything associated with it is locked.
    pub(crate) locks_associated: bool,
    pub(crate) state: ApplicationState,
    pub(crate) contactless: ContactlessState,
    pub(crate) initial_contactless: ContactlessState,
    pub(crate) module: ModuleId,
    pub(crate) domain: InstanceId,
    pub(crate) privileges: Privileges,
    pub(crate) priority: Option<u8>,
    /// Goes up, and round, with every change of the entry. [AmdC 3.11.2]
    pub(crate) updates: u16,
    pub(crate) aid: Aid,
    pub(crate) load_file: Aid,
    pub(crate) module_aid: Aid,
    pub(crate) label: heapless::Vec<u8, 16>,
    pub(crate) implicit: ImplicitSelections,
}

impl Record {
    fn decode(instance: InstanceId, raw: &[u8]) -> Option<Self> {
        let (&head, mut rest) = raw.split_first_chunk::<13>()?;
        let [version, flags, state, contactless, initial, module, domain, p1, p2, p3, priority, u1, u2] =
            head;
        let mut take = || {
            let (&len, behind) = rest.split_first()?;
            let (value, behind) = behind.split_at_checked(usize::from(len))?;
            rest = behind;
            Some(value)
        };
        let record = Self {
            instance,
            locks_associated: flags & LOCKS_ASSOCIATED != 0,
            state: ApplicationState::from_byte(state),
            contactless: ContactlessState::from_byte(contactless)?,
            initial_contactless: ContactlessState::from_byte(initial)?,
            module: ModuleId(module),
            domain: InstanceId(domain),
            privileges: Privileges::from_array([p1, p2, p3]),
            priority: (priority != NO_PRIORITY).then_some(priority),
            updates: u16::from_be_bytes([u1, u2]),
            aid: Aid::new(take()?).ok()?,
            load_file: Aid::new(take()?).ok()?,
            module_aid: Aid::new(take()?).ok()?,
            label: heapless::Vec::from_slice(take()?).ok()?,
            implicit: take().map_or(Some(ImplicitSelections::NONE), ImplicitSelections::parse)?,
        };
        (version == VERSION && rest.is_empty()).then_some(record)
    }

    /// Adds this entry to a batch.
    pub(crate) fn put(&self, batch: &mut Batch<'_>) {
        let [p1, p2, p3] = self.privileges.bytes();
        let [u1, u2] = self.updates.to_be_bytes();
        let head = [
            VERSION,
            if self.locks_associated { LOCKS_ASSOCIATED } else { 0 },
            self.state.byte(),
            self.contactless.byte(),
            self.initial_contactless.byte(),
            self.module.0,
            self.domain.0,
            p1,
            p2,
            p3,
            self.priority.unwrap_or(NO_PRIORITY),
            u1,
            u2,
        ];
        let implicit = self.implicit.bytes();
        let fields = [
            self.aid.as_bytes(),
            self.load_file.as_bytes(),
            self.module_aid.as_bytes(),
            &self.label,
            implicit,
        ];
        let lens = fields.map(|field| [u8::try_from(field.len()).unwrap_or_default()]);
        let [aid, load_file, module_aid, label, many] = &lens;
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
                many,
                implicit,
            ],
        );
    }

    /// Whether it is a security domain.
    pub(crate) fn is_domain(&self) -> bool {
        self.privileges.contains(Privileges::SECURITY_DOMAIN)
    }

    /// How the directory shows this entry.
    pub(crate) fn entry(&self, memory: &mut dyn Memory, view: &View) -> Result<Entry, Sw> {
        let open = match view.card {
            CardState::CardLocked => self.privileges.contains(Privileges::FINAL_APPLICATION),
            CardState::Terminated => false,
            _ => true,
        };
        let deleted = view.deletion.contains(self.instance);
        let selectable = open && !deleted && self.state.is_selectable() && !locked_by_domain(memory, self)?;
        let domain = match view.deletion.domain {
            // What is deleted belongs to the domain that deletes it.
            Some(domain) if deleted => domain,
            _ if self.is_domain() => self.instance,
            _ => self.domain,
        };
        Ok(Entry {
            aid: self.aid,
            instance: self.instance,
            module: self.module,
            domain,
            selectable,
            contactless: view.antenna && self.contactless == ContactlessState::Activated,
            label: self.label.clone(),
            priority: self.priority.map(|own| view.order.priority(self.instance, own)),
        })
    }
}

/// What a look at the registry needs besides the entries.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) card: CardState,
    pub(crate) deletion: Deletion,
    /// Whether anything answers on the antenna.
    pub(crate) antenna: bool,
    pub(crate) order: Order,
}

impl View {
    pub(crate) fn read(memory: &mut dyn Memory) -> Result<Self, Sw> {
        Ok(Self {
            card: Card::read(memory)?.state,
            deletion: Deletion::read(memory)?,
            antenna: Contactless::read(memory)?.antenna,
            order: Order::read(memory)?,
        })
    }
}

/// A deletion under way: the domain that deletes, and what goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    pub(crate) domain: Option<InstanceId>,
    members: heapless::Vec<u8, DELETED_MAX>,
}

impl Deletion {
    pub(crate) fn read(memory: &mut dyn Memory) -> Result<Self, Sw> {
        let mut raw = [0; DELETED_MAX + 1];
        match memory.read(objects::DELETION, 0, &mut raw) {
            Ok([domain, members @ ..]) => Ok(Self {
                domain: Some(InstanceId(*domain)),
                members: heapless::Vec::from_slice(members).map_err(|_| Sw::MEMORY_FAILURE)?,
            }),
            Ok([]) | Err(MemoryError::NotFound) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn contains(&self, instance: InstanceId) -> bool {
        self.members.contains(&instance.0)
    }

    /// What goes, in the order it was named.
    pub(crate) fn members(&self) -> impl Iterator<Item = InstanceId> {
        self.members.iter().copied().map(InstanceId)
    }

    /// Adds an instance.
    pub(crate) fn push(&mut self, instance: InstanceId) -> Result<(), Sw> {
        self.members.push(instance.0).map_err(|_| Sw::NOT_ENOUGH_MEMORY)
    }

    /// From here on they are gone.
    pub(crate) fn begin(&self, memory: &mut dyn Memory, domain: InstanceId) -> Result<(), Sw> {
        let mut buffer = [0; DELETED_MAX + 8];
        let mut batch = Batch::new(&mut buffer);
        batch.put_parts(objects::DELETION, &[&[domain.0], &self.members]);
        Ok(memory.commit(&batch)?)
    }

    /// They stay after all.
    pub(crate) fn revoke(memory: &mut dyn Memory) -> Result<(), Sw> {
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        batch.delete(objects::DELETION);
        Ok(memory.commit(&batch)?)
    }

    /// Their objects and entries go, in one commit, with what else the batch holds.
    pub(crate) fn finish(&self, memory: &mut dyn Memory, also: &Batch<'_>) -> Result<(), Sw> {
        let mut buffer = [0; DELETED_MAX * 24 + contactless::COUNTER_MAX + contactless::ORDER_MAX + 32];
        let mut batch = Batch::new(&mut buffer);
        let mut entries = 0_u16;
        for instance in self.members() {
            entries = entries.saturating_add(u16::from(memory.len(objects::entry(instance))?.is_some()));
            batch.delete_instance(instance);
            batch.delete(objects::entry(instance));
            batch.delete(objects::interaction(instance));
            batch.delete(objects::load_file(instance));
        }
        contactless::forget(memory, self.members(), entries, &mut batch)?;
        batch.delete(objects::DELETION);
        batch.append_batch(also);
        Ok(memory.commit(&batch)?)
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

    /// The card's life cycle goes on; 6A80 where it does not go on so. [GPC 5.1.2]
    pub(crate) fn change(&mut self, memory: &mut dyn Memory, next: CardState) -> Result<(), Sw> {
        if !self.state.allows(next) {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        Self { state: next, ..*self }.put(&mut batch);
        memory.commit(&batch)?;
        self.state = next;
        Ok(())
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
    let deletion = Deletion::read(memory)?;
    let mut after = None;
    while let Some(record) = next(memory, after)? {
        if record.aid.as_bytes() == aid && !deletion.contains(record.instance) {
            return Ok(Some(record));
        }
        after = Some(record.instance);
    }
    Ok(None)
}

/// Whether another entry than `of` has a privilege.
pub(crate) fn is_held(memory: &mut dyn Memory, privilege: Privileges, of: InstanceId) -> Result<bool, Sw> {
    let mut after = None;
    while let Some(record) = next(memory, after)? {
        after = Some(record.instance);
        if record.instance != of && record.privileges.contains(privilege) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// 6985 where another entry has what only one may have: that it is selected by default, or that it is the final application, or one of
/// these places of implicit selection. [GPC 6.4.1.1, 6.6]
pub(crate) fn check_sole(memory: &mut dyn Memory, record: &Record) -> Result<(), Sw> {
    for sole in [Privileges::DEFAULT_SELECTED, Privileges::FINAL_APPLICATION] {
        if record.privileges.contains(sole) && is_held(memory, sole, record.instance)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    }
    let mut after = None;
    while let Some(other) = next(memory, after)? {
        after = Some(other.instance);
        if other.instance != record.instance && other.implicit.overlap(&record.implicit) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    }
    Ok(())
}

/// Whether `record` is associated with `domain`, directly or through domains between.
pub(crate) fn is_below(memory: &mut dyn Memory, record: &Record, domain: InstanceId) -> Result<bool, Sw> {
    if domain == InstanceId::ISSUER {
        return Ok(true);
    }
    let mut at = record.domain;
    // Domains below each other cannot be more than there are numbers.
    for _ in 0..=u8::MAX {
        if at == domain {
            return Ok(true);
        }
        if at == InstanceId::ISSUER {
            break;
        }
        at = self::record(memory, at)?.ok_or(Sw::MEMORY_FAILURE)?.domain;
    }
    Ok(false)
}

/// Whether a domain above locks everything associated with it.
pub(crate) fn locked_by_domain(memory: &mut dyn Memory, record: &Record) -> Result<bool, Sw> {
    let mut at = record.domain;
    for _ in 0..=u8::MAX {
        if at == InstanceId::ISSUER {
            break;
        }
        let above = self::record(memory, at)?.ok_or(Sw::MEMORY_FAILURE)?;
        if above.locks_associated {
            return Ok(true);
        }
        at = above.domain;
    }
    Ok(false)
}

/// Life cycle and contactless state as they are told; what a domain above locks is locked.
pub(crate) fn told_state(memory: &mut dyn Memory, record: &Record) -> Result<[u8; 2], Sw> {
    if !record.state.is_locked() && locked_by_domain(memory, record)? {
        let contactless = match record.contactless {
            ContactlessState::Activated => ContactlessState::Deactivated,
            other => other,
        };
        return Ok([record.state.locked().byte(), contactless.byte()]);
    }
    Ok([record.state.byte(), record.contactless.byte()])
}

/// The AID of the issuer domain.
pub(crate) fn issuer_aid(memory: &mut dyn Memory, profile: &CardProfile) -> Result<Aid, Sw> {
    let mut raw = [0; 16];
    match memory.read(objects::ISSUER_AID, 0, &mut raw) {
        Ok(aid) => Aid::new(aid).map_err(|_| Sw::MEMORY_FAILURE),
        Err(MemoryError::NotFound) => Ok(profile.issuer_aid),
        Err(error) => Err(error.into()),
    }
}

/// Deletes what a cut installation, load, deletion or personalisation left behind.
pub(crate) fn sweep(memory: &mut dyn Memory) -> Result<(), Sw> {
    let deletion = Deletion::read(memory)?;
    if deletion.domain.is_some() {
        deletion.finish(memory, &Batch::new(&mut []))?;
    }
    let mut at = Some(ObjectId::new(InstanceId::ISSUER, u16::MAX));
    while let Some(object) = memory.next_object(at)? {
        let instance = object.instance;
        let known = memory.len(objects::entry(instance))?.is_some()
            || memory.len(objects::load_file(instance))?.is_some();
        if !known {
            forget(memory, instance)?;
        }
        at = Some(ObjectId::new(instance, u16::MAX));
    }
    Ok(())
}

/// Deletes an instance's objects and its entry in one commit.
pub(crate) fn forget(memory: &mut dyn Memory, instance: InstanceId) -> Result<(), Sw> {
    let mut buffer = [0; 32];
    let mut batch = Batch::new(&mut buffer);
    batch.delete_instance(instance);
    batch.delete(objects::entry(instance));
    batch.delete(objects::interaction(instance));
    Ok(memory.commit(&batch)?)
}
