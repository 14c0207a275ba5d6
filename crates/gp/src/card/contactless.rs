//! Contactless state of the card and of its applications, beside the registry's entries. [AmdC 3]
//!
//! | object | content |
//! |---|---|
//! | contactless service | 01 ‖ flags (b1: antenna off) ‖ global update counter (2); absent: on, 0 |
//! | order of selection | 01 ‖ number of volatile places ‖ instances in volatile places ‖ instances in lasting places |
//! | user interaction | 01 ‖ objects as in `A1` of INSTALL, without those that remove |
//!
//! Everything changes in the commit of the entry it belongs to. The volatile places last until they are taken back: on a band the
//! choice is made on one interface and the tap, with a reset between, happens on another.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory, MemoryError};

use super::objects;
use super::registry::{self, RECORD_MAX, Record};
use crate::install::{Aids, Interaction};
use crate::life_cycle::ContactlessState;
use crate::privileges::Privileges;

const VERSION: u8 = 0x01;
const ANTENNA_OFF: u8 = 0x01;
/// Places in the order of selection, volatile and lasting ones each.
const PLACES: usize = 64;
/// Bytes of the order in a batch.
pub(crate) const ORDER_MAX: usize = 2 + 2 * PLACES + 6;
/// Bytes the counter takes in a batch.
pub(crate) const COUNTER_MAX: usize = 4 + 6;
/// Bytes a change takes in a batch besides the changed entry: the counter, and the entry that loses Contactless Activation.
pub(crate) const CHANGE_MAX: usize = COUNTER_MAX + RECORD_MAX + 6;
/// Bytes of the user interaction parameters of an application: one entry of GET STATUS stays below 256.
pub(crate) const INTERACTION_MAX: usize = 192;

/// The contactless service of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contactless {
    /// Whether anything answers on the antenna.
    pub(crate) antenna: bool,
    /// The global update counter.
    pub(crate) updates: u16,
}

impl Contactless {
    pub(crate) fn read(memory: &mut dyn Memory) -> Result<Self, Sw> {
        let mut raw = [0; 5];
        match memory.read(objects::CONTACTLESS, 0, &mut raw) {
            Ok(&[VERSION, flags, high, low]) => {
                Ok(Self { antenna: flags & ANTENNA_OFF == 0, updates: u16::from_be_bytes([high, low]) })
            }
            Ok(_) => Err(Sw::MEMORY_FAILURE),
            Err(MemoryError::NotFound) => Ok(Self { antenna: true, updates: 0 }),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn put(&self, batch: &mut Batch<'_>) {
        let [high, low] = self.updates.to_be_bytes();
        let flags = if self.antenna { 0 } else { ANTENNA_OFF };
        batch.put(objects::CONTACTLESS, &[VERSION, flags, high, low]);
    }

    /// The same after `changes` more.
    pub(crate) const fn changed(self, changes: u16) -> Self {
        Self { updates: self.updates.wrapping_add(changes), ..self }
    }
}

/// Adds a changed entry to a batch, with the counters that tell of it. Contactless Activation has one holder: whoever gets it takes it
/// from the former one, in the same commit. [AmdC 7.1]
pub(crate) fn change(memory: &mut dyn Memory, record: &mut Record, batch: &mut Batch<'_>) -> Result<(), Sw> {
    record.updates = record.updates.wrapping_add(1);
    record.put(batch);
    let mut changes = 1;
    if record.privileges.contains(Privileges::CONTACTLESS_ACTIVATION) {
        let mut after = None;
        while let Some(mut other) = registry::next(memory, after)? {
            after = Some(other.instance);
            let holds = other.privileges.contains(Privileges::CONTACTLESS_ACTIVATION);
            if holds && other.instance != record.instance {
                other.privileges = other.privileges.without(Privileges::CONTACTLESS_ACTIVATION);
                other.updates = other.updates.wrapping_add(1);
                other.put(batch);
                changes = 2;
                break;
            }
        }
    }
    Contactless::read(memory)?.changed(changes).put(batch);
    Ok(())
}

/// Makes a changed entry durable, alone.
pub(crate) fn commit(memory: &mut dyn Memory, record: &mut Record) -> Result<(), Sw> {
    let mut buffer = [0; RECORD_MAX + 6 + CHANGE_MAX];
    let mut batch = Batch::new(&mut buffer);
    change(memory, record, &mut batch)?;
    Ok(memory.commit(&batch)?)
}

/// Adds to the batch of a deletion: they have no place any more, and that many entries are gone.
pub(crate) fn forget(
    memory: &mut dyn Memory,
    gone: impl Iterator<Item = InstanceId>,
    entries: u16,
    batch: &mut Batch<'_>,
) -> Result<(), Sw> {
    let mut order = Order::read(memory)?;
    let before = order.clone();
    gone.for_each(|instance| order.remove(instance));
    if order != before {
        order.put(batch);
    }
    if entries != 0 {
        Contactless::read(memory)?.changed(entries).put(batch);
    }
    Ok(())
}

/// The order of selection: instances that were given a place, in this order; all others stand behind them as installed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Order {
    volatile: heapless::Vec<u8, PLACES>,
    lasting: heapless::Vec<u8, PLACES>,
}

impl Order {
    pub(crate) fn read(memory: &mut dyn Memory) -> Result<Self, Sw> {
        let mut raw = [0; 2 + 2 * PLACES + 1];
        match memory.read(objects::ORDER, 0, &mut raw) {
            Ok(&[VERSION, volatile, ref places @ ..]) => {
                let (volatile, lasting) =
                    places.split_at_checked(usize::from(volatile)).ok_or(Sw::MEMORY_FAILURE)?;
                let list = |from| heapless::Vec::from_slice(from).map_err(|_| Sw::MEMORY_FAILURE);
                Ok(Self { volatile: list(volatile)?, lasting: list(lasting)? })
            }
            Ok(_) => Err(Sw::MEMORY_FAILURE),
            Err(MemoryError::NotFound) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn put(&self, batch: &mut Batch<'_>) {
        let volatile = u8::try_from(self.volatile.len()).unwrap_or_default();
        batch.put_parts(objects::ORDER, &[&[VERSION, volatile], &self.volatile, &self.lasting]);
    }

    /// Those with a place, the first one first.
    fn places(&self) -> impl Iterator<Item = u8> {
        let rest = self.lasting.iter().filter(|instance| !self.volatile.contains(instance));
        self.volatile.iter().chain(rest).copied()
    }

    /// The place of an instance, from 1.
    pub(crate) fn place(&self, instance: InstanceId) -> Option<u8> {
        (1_u8..).zip(self.places()).find(|&(_, listed)| listed == instance.0).map(|(place, _)| place)
    }

    /// A number that is smaller the earlier an instance comes.
    pub(crate) fn rank(&self, instance: InstanceId) -> (u8, u8) {
        (self.place(instance).unwrap_or(u8::MAX), instance.0)
    }

    /// The priority of an application that has one of its own: places come before what the installation said. The order is in
    /// the low four bits. [EMV-B1 12.2.3]
    pub(crate) fn priority(&self, instance: InstanceId, own: u8) -> u8 {
        let placed = u8::try_from(self.places().count()).unwrap_or(u8::MAX);
        match (self.place(instance), own & 0x0F) {
            (Some(place), _) => place,
            // Without a priority of its own it stays last.
            (None, 0) => 0,
            (None, own) => placed.saturating_add(own),
        }
    }

    pub(crate) fn remove(&mut self, instance: InstanceId) {
        self.volatile.retain(|listed| *listed != instance.0);
        self.lasting.retain(|listed| *listed != instance.0);
    }

    /// Before all others, in this order.
    pub(crate) fn first(&mut self, named: &[InstanceId]) -> Result<(), Sw> {
        Self::before(&mut self.lasting, named)
    }

    /// Before all others until taken back.
    pub(crate) fn first_for_now(&mut self, named: &[InstanceId]) -> Result<(), Sw> {
        Self::before(&mut self.volatile, named)
    }

    pub(crate) fn reset_volatile(&mut self) {
        self.volatile.clear();
    }

    /// Behind all others: everybody else has a place before them.
    pub(crate) fn last(&mut self, named: &[InstanceId], all: &[InstanceId]) -> Result<(), Sw> {
        let mut list = self.lasting.clone();
        list.retain(|listed| !named.contains(&InstanceId(*listed)));
        for instance in all.iter().filter(|instance| !named.contains(instance)).chain(named) {
            if !list.contains(&instance.0) {
                list.push(instance.0).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
            }
        }
        self.lasting = list;
        Ok(())
    }

    fn before(list: &mut heapless::Vec<u8, PLACES>, named: &[InstanceId]) -> Result<(), Sw> {
        let mut new = heapless::Vec::new();
        for instance in named.iter().map(|instance| instance.0).chain(list.iter().copied()) {
            if !new.contains(&instance) {
                new.push(instance).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
            }
        }
        *list = new;
        Ok(())
    }
}

/// Room for stored user interaction parameters.
pub(crate) type Stored = [u8; INTERACTION_MAX + 2];

/// The stored user interaction parameters of an instance.
pub(crate) fn interaction<'o>(
    memory: &mut dyn Memory,
    instance: InstanceId,
    out: &'o mut Stored,
) -> Result<Interaction<'o>, Sw> {
    match memory.read(objects::interaction(instance), 0, out) {
        Ok([VERSION, objects @ ..]) => Interaction::parse(objects).map_err(|_| Sw::MEMORY_FAILURE),
        Ok(_) => Err(Sw::MEMORY_FAILURE),
        Err(MemoryError::NotFound) => Ok(Interaction::NONE),
        Err(error) => Err(error.into()),
    }
}

/// What the stored parameters become with those of an INSTALL command, as they are stored; `None` if nothing changes.
pub(crate) fn merged<'o>(
    old: &Interaction<'_>,
    new: &Interaction<'_>,
    out: &'o mut [u8; INTERACTION_MAX],
) -> Result<Option<&'o [u8]>, Sw> {
    if new.is_empty() {
        return Ok(None);
    }
    let (mut group, mut listeners) = ([0; INTERACTION_MAX], [0; INTERACTION_MAX]);
    let merged = Interaction {
        family: new.family.or(old.family),
        display: new.display.or(old.display),
        head: new.head.or(old.head).filter(|head| !head.raw().is_empty()),
        group: list(old.group, new.group_removed, new.group, &mut group)?,
        group_removed: Aids::default(),
        listeners: list(old.listeners, new.listeners_removed, new.listeners, &mut listeners)?,
        listeners_removed: Aids::default(),
        restricted: new.restricted.or(old.restricted).filter(|list| !list.raw().is_empty()),
        discretionary: new.discretionary.or(old.discretionary),
        display_control: new.display_control.or(old.display_control),
    };
    merged.write(out).map(Some).map_err(|_| Sw::NOT_ENOUGH_MEMORY)
}

/// A list without some and with others, each once.
fn list<'o>(old: Aids<'_>, removed: Aids<'_>, added: Aids<'_>, out: &'o mut [u8]) -> Result<Aids<'o>, Sw> {
    let kept = old.iter().filter(|aid| !removed.contains(aid));
    let new = added.iter().enumerate().filter(|&(at, aid)| {
        let known = old.contains(aid) && !removed.contains(aid);
        !known && !added.iter().take(at).any(|before| before == aid)
    });
    Aids::write(kept.chain(new.map(|(_, aid)| aid)), out).map_err(|_| Sw::NOT_ENOUGH_MEMORY)
}

/// Adds stored parameters to the batch of their entry.
pub(crate) fn put_interaction(instance: InstanceId, objects: &[u8], batch: &mut Batch<'_>) {
    batch.put_parts(objects::interaction(instance), &[&[VERSION], objects]);
}

/// Whether two applications exclude each other: one of them restricts the other. [AmdC 3.7]
pub(crate) fn exclude_each_other(
    memory: &mut dyn Memory,
    (a, restricted): (&Record, Option<Aids<'_>>),
    b: &Record,
) -> Result<bool, Sw> {
    if restricted.is_some_and(|list| list.contains(b.aid.as_bytes())) {
        return Ok(true);
    }
    let mut stored = [0; INTERACTION_MAX + 2];
    let other = interaction(memory, b.instance, &mut stored)?.restricted;
    Ok(other.is_some_and(|list| list.contains(a.aid.as_bytes())))
}

/// The state an application gets when the card itself tries to activate it, at installation or when it is unlocked: it never
/// takes another one's place. [AmdC 11.2]
pub(crate) fn attempt(
    memory: &mut dyn Memory,
    record: &Record,
    restricted: Option<Aids<'_>>,
    wanted: ContactlessState,
) -> Result<ContactlessState, Sw> {
    if wanted != ContactlessState::Activated {
        return Ok(wanted);
    }
    let deletion = registry::Deletion::read(memory)?;
    let mut at = None;
    while let Some(other) = registry::next(memory, at)? {
        at = Some(other.instance);
        let active = other.contactless == ContactlessState::Activated
            && other.instance != record.instance
            && !deletion.contains(other.instance);
        if active && exclude_each_other(memory, (record, restricted), &other)? {
            return Ok(ContactlessState::Deactivated);
        }
    }
    Ok(wanted)
}
