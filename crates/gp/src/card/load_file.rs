//! Load files in the registry: those that LOAD brought, and the native ones the modules count as part of. [GPC 6.4.1]
//!
//! The entry of a loaded file, which is its installation:
//! ```text
//! 01 ‖ security domain ‖ version (2) ‖ LV AID ‖ { LV AID of a module }*
//! ```

use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, InstanceId, Memory, MemoryError, ObjectId};

use super::manager::CardManager;
use super::registry::Deletion;
use super::{ModuleEntry, objects};

const VERSION: u8 = 0x01;
/// Modules of one load file at most.
pub(crate) const MODULES_MAX: usize = 8;
/// Bytes of the largest entry.
pub(crate) const ENTRY_MAX: usize = 4 + 17 * (1 + MODULES_MAX);

/// A loaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadFile {
    pub(crate) domain: InstanceId,
    pub(crate) version: [u8; 2],
    pub(crate) aid: Aid,
    pub(crate) modules: heapless::Vec<Aid, MODULES_MAX>,
}

impl LoadFile {
    fn decode(raw: &[u8]) -> Option<Self> {
        let (&[VERSION, domain, v1, v2], mut rest) = raw.split_first_chunk::<4>()? else { return None };
        let mut take = || {
            let (&len, behind) = rest.split_first()?;
            let (value, behind) = behind.split_at_checked(usize::from(len))?;
            rest = behind;
            Aid::new(value).ok()
        };
        let aid = take()?;
        let mut modules = heapless::Vec::new();
        while let Some(module) = take() {
            modules.push(module).ok()?;
        }
        Some(Self { domain: InstanceId(domain), version: [v1, v2], aid, modules })
    }

    /// Adds the entry to a batch, as `object`.
    pub(crate) fn put(&self, object: ObjectId, batch: &mut Batch<'_>) {
        let [v1, v2] = self.version;
        let mut raw = heapless::Vec::<u8, ENTRY_MAX>::new();
        let mut fits = raw.extend_from_slice(&[VERSION, self.domain.0, v1, v2]).is_ok();
        for aid in core::iter::once(&self.aid).chain(&self.modules) {
            let bytes = aid.as_bytes();
            fits &= raw.push(u8::try_from(bytes.len()).unwrap_or_default()).is_ok();
            fits &= raw.extend_from_slice(bytes).is_ok();
        }
        // ENTRY_MAX holds as many as there can be.
        if fits {
            batch.put(object, &raw);
        }
    }

    pub(crate) fn read(memory: &mut dyn Memory, object: ObjectId) -> Result<Option<Self>, Sw> {
        let mut raw = [0; ENTRY_MAX + 1];
        match memory.read(object, 0, &mut raw) {
            Ok(raw) => Self::decode(raw).map(Some).ok_or(Sw::MEMORY_FAILURE),
            Err(MemoryError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The next loaded file behind `after`.
pub(crate) fn next(
    memory: &mut dyn Memory,
    after: Option<InstanceId>,
) -> Result<Option<(InstanceId, LoadFile)>, Sw> {
    let after = after.map_or(objects::BEFORE_LOAD_FILES, objects::load_file);
    let Some(instance) = memory.next_object(Some(after))?.and_then(objects::load_file_of) else {
        return Ok(None);
    };
    Ok(LoadFile::read(memory, objects::load_file(instance))?.map(|file| (instance, file)))
}

/// The loaded file with exactly this AID, unless its deletion has begun.
pub(crate) fn by_aid(memory: &mut dyn Memory, aid: &[u8]) -> Result<Option<(InstanceId, LoadFile)>, Sw> {
    let mut after = None;
    while let Some((instance, file)) = next(memory, after)? {
        if file.aid.as_bytes() == aid && !Deletion::read(memory)?.contains(instance) {
            return Ok(Some((instance, file)));
        }
        after = Some(instance);
    }
    Ok(None)
}

impl CardManager<'_> {
    /// Whether the AID is that of a native load file.
    pub(super) fn is_native(&self, aid: &[u8]) -> bool {
        self.modules.iter().any(|module| module.load_file.as_bytes() == aid)
    }

    /// The module to install from: a native one, or the native code of a module that a loaded file names.
    pub(super) fn module(
        &self,
        memory: &mut dyn Memory,
        load_file: &[u8],
        module: &[u8],
        pending: Option<&LoadFile>,
    ) -> Result<ModuleEntry, Sw> {
        let named = |entry: &&ModuleEntry| entry.module.as_bytes() == module;
        let native = |entry: &&ModuleEntry| entry.load_file.as_bytes() == load_file && named(entry);
        if let Some(entry) = self.modules.iter().find(native) {
            return Ok(*entry);
        }
        let loaded = match pending.filter(|file| file.aid.as_bytes() == load_file) {
            Some(pending) => pending.clone(),
            None => by_aid(memory, load_file)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.1,
        };
        if !loaded.modules.iter().any(|aid| aid.as_bytes() == module) {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        // There is no virtual machine: what a file brings can be run where its code is in the firmware.
        let entry = self.modules.iter().find(named).ok_or(Sw::FUNCTION_NOT_SUPPORTED)?;
        Ok(ModuleEntry { load_file: loaded.aid, ..*entry })
    }
}
