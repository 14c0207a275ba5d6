//! The registry as the element's directory.

use huiwan_apdu::Sw;
use huiwan_card::{Directory, Entry, InstanceId, Interface, Memory};

use super::CardProfile;
use super::contactless::Contactless;
use super::registry::{self, View};
use crate::life_cycle::CardState;
use crate::privileges::Privileges;

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

    fn issuer(&self, memory: &mut dyn Memory) -> Result<Entry, Sw> {
        Ok(Entry {
            aid: registry::issuer_aid(memory, self.profile)?,
            instance: InstanceId::ISSUER,
            module: self.profile.manager,
            domain: InstanceId::ISSUER,
            selectable: true,
            contactless: Contactless::read(memory)?.antenna,
            label: heapless::Vec::new(),
            priority: None,
        })
    }
}

impl Directory for Registry<'_> {
    fn nth(&self, memory: &mut dyn Memory, index: usize) -> Result<Option<Entry>, Sw> {
        let Some(mut behind) = index.checked_sub(1) else {
            return self.issuer(memory).map(Some);
        };
        let view = View::read(memory)?;
        let mut after = None;
        while let Some(record) = registry::next(memory, after)? {
            match behind.checked_sub(1) {
                None => return record.entry(memory, &view).map(Some),
                Some(less) => behind = less,
            }
            after = Some(record.instance);
        }
        Ok(None)
    }

    /// Whoever has this channel by its implicit selection parameters; on the basic one who is selected by default, if it has none; else the
    /// issuer domain. The band's own controller counts as a contact. [GPC 6.4.2.1]
    fn default(&self, memory: &mut dyn Memory, interface: Interface, channel: u8) -> Result<Entry, Sw> {
        let view = View::read(memory)?;
        let contactless = interface == Interface::Contactless;
        let (mut by_default, mut after) = (None, None);
        while let Some(record) = registry::next(memory, after)? {
            after = Some(record.instance);
            let here = record.implicit.count_on(contactless, channel);
            let default = channel == 0
                && record.implicit.is_empty()
                && record.privileges.contains(Privileges::DEFAULT_SELECTED);
            if !here && !default {
                continue;
            }
            let entry = record.entry(memory, &view)?;
            match (entry.is_selectable(interface), here) {
                (false, _) => {}
                (true, true) => return Ok(entry),
                (true, false) => by_default = Some(entry),
            }
        }
        if let Some(entry) = by_default {
            return Ok(entry);
        }
        let issuer = self.issuer(memory)?;
        if issuer.is_selectable(interface) { Ok(issuer) } else { Err(Sw::FILE_NOT_FOUND) }
    }

    fn associated(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<InstanceId, Sw> {
        let above = match instance {
            InstanceId::ISSUER => None,
            instance => registry::record(memory, instance)?.map(|record| record.domain),
        };
        above.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)
    }

    /// Partial names go by the order of selection, the issuer domain first. [AmdC 3.3]
    fn find(
        &self,
        memory: &mut dyn Memory,
        name: &[u8],
        after: Option<InstanceId>,
        interface: Interface,
    ) -> Result<Entry, Sw> {
        let view = View::read(memory)?;
        let issuer = self.issuer(memory)?;
        let mut partial = None;
        if after.is_none() && issuer.aid.starts_with(name) && issuer.is_selectable(interface) {
            if issuer.aid.as_bytes() == name {
                return Ok(issuer);
            }
            partial = Some(issuer);
        }
        let behind = after.filter(|after| *after != InstanceId::ISSUER).map(|after| view.order.rank(after));
        let (mut best, mut at) = (None, None);
        while let Some(record) = registry::next(memory, at)? {
            at = Some(record.instance);
            let rank = view.order.rank(record.instance);
            let named = record.aid.starts_with(name);
            let exact = after.is_none() && record.aid.as_bytes() == name;
            let earlier = best.as_ref().is_none_or(|(best, _)| rank < *best);
            if !named || behind.is_some_and(|behind| rank <= behind) || !(exact || earlier) {
                continue;
            }
            let entry = record.entry(memory, &view)?;
            if !entry.is_selectable(interface) {
                continue;
            }
            if exact {
                return Ok(entry);
            }
            best = Some((rank, entry));
        }
        let partial = partial.or(best.map(|(_, entry)| entry));
        // A locked card does not say what it holds. [GPC 9.9]
        let absent =
            if view.card == CardState::CardLocked { Sw::FUNCTION_NOT_SUPPORTED } else { Sw::FILE_NOT_FOUND };
        partial.ok_or(absent)
    }

    fn entry(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<Entry, Sw> {
        if instance == InstanceId::ISSUER {
            return self.issuer(memory);
        }
        let record = registry::record(memory, instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let view = View::read(memory)?;
        record.entry(memory, &view)
    }
}
