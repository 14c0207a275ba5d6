//! Which instances there are, and which of them a name selects.

use huiwan_apdu::{Aid, Sw};

use crate::context::Interface;
use crate::memory::{InstanceId, Memory};
use crate::module::ModuleId;

/// One instance in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name it is selected by.
    pub aid: Aid,
    /// Its number.
    pub instance: InstanceId,
    /// Its code.
    pub module: ModuleId,
    /// Its security domain; a security domain has itself here.
    pub domain: InstanceId,
    /// Whether its life cycle lets it be selected.
    pub selectable: bool,
    /// Whether it is activated on the contactless interface.
    pub contactless: bool,
    /// What a screen shows.
    pub label: heapless::Vec<u8, 16>,
    /// The wearer's order of preference, smallest first.
    pub priority: Option<u8>,
}

impl Entry {
    /// Whether a SELECT on `interface` may find it.
    #[must_use]
    pub fn is_selectable(&self, interface: Interface) -> bool {
        self.selectable && (self.contactless || interface != Interface::Contactless)
    }

    /// Whether it is a security domain.
    #[must_use]
    pub fn is_security_domain(&self) -> bool {
        self.instance == InstanceId::ISSUER || self.domain == self.instance
    }
}

/// The instances of an element, as a view over memory: nothing is cached, so nothing can go stale.
pub trait Directory {
    /// The entry number `index` in the order of the directory, or `None` after the last.
    ///
    /// # Errors
    /// 6581 when memory fails.
    fn nth(&self, memory: &mut dyn Memory, index: usize) -> Result<Option<Entry>, Sw>;

    /// The instance that is selected on a logical channel (0–19) by an empty name, when the channel opens, and on the basic channel at
    /// the beginning of a session.
    ///
    /// # Errors
    /// 6A82 when there is none on this interface.
    fn default(&self, memory: &mut dyn Memory, interface: Interface, channel: u8) -> Result<Entry, Sw>;

    /// The security domain an instance is associated with, which personalises it; of a security domain the one above it. A flat
    /// directory has nothing above. [GPC 7.2]
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    fn associated(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<InstanceId, Sw> {
        Ok(self.entry(memory, instance)?.domain)
    }

    /// The instance that `name` selects: the one whose AID is `name`, else the first whose AID begins with it. With `after`, the
    /// next one behind that instance whose AID begins with `name`. [ISO 7816-4 11.2.2]
    ///
    /// # Errors
    /// 6A82 when there is none that can be selected on this interface.
    fn find(
        &self,
        memory: &mut dyn Memory,
        name: &[u8],
        after: Option<InstanceId>,
        interface: Interface,
    ) -> Result<Entry, Sw> {
        let mut partial = None;
        let mut behind = after.is_none();
        let mut index = 0_usize;
        while let Some(entry) = self.nth(memory, index)? {
            index = index.saturating_add(1);
            if Some(entry.instance) == after {
                behind = true;
            } else if behind && entry.is_selectable(interface) && entry.aid.starts_with(name) {
                if after.is_some() || entry.aid.as_bytes() == name {
                    return Ok(entry);
                }
                partial = partial.or(Some(entry));
            }
        }
        partial.ok_or(Sw::FILE_NOT_FOUND)
    }

    /// The entry of `instance`.
    ///
    /// # Errors
    /// 6A88 when there is none.
    fn entry(&self, memory: &mut dyn Memory, instance: InstanceId) -> Result<Entry, Sw> {
        let mut index = 0_usize;
        while let Some(entry) = self.nth(memory, index)? {
            if entry.instance == instance {
                return Ok(entry);
            }
            index = index.saturating_add(1);
        }
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}

/// A fixed list of instances; the first one that can be selected is the default.
#[derive(Clone, Copy, Debug)]
pub struct StaticDirectory<'a>(pub &'a [Entry]);

impl Directory for StaticDirectory<'_> {
    fn nth(&self, _: &mut dyn Memory, index: usize) -> Result<Option<Entry>, Sw> {
        Ok(self.0.get(index).cloned())
    }

    fn default(&self, _: &mut dyn Memory, interface: Interface, _: u8) -> Result<Entry, Sw> {
        self.0.iter().find(|entry| entry.is_selectable(interface)).cloned().ok_or(Sw::FILE_NOT_FOUND)
    }
}
