//! ISO 7816-4 elementary files over durable objects: one object for a transparent file, one for each record.
//!
//! | structure | objects, counted from the file's `base` |
//! |---|---|
//! | [`Structure::Transparent`] | `base`: the bytes; what was never written reads as 00 |
//! | [`Structure::Linear`], [`Structure::Variable`] | `base + n`: record n |
//! | [`Structure::Cyclic`] | `base`: newest slot(1) ‖ records in use(1); `base + 1 + slot`: a record. Record 1 is the newest |
//!
//! Reads answer from memory. Updates only add to a [`Batch`], so that a transaction commits files, balances and proofs at once;
//! an update sees the earlier ones of its batch. Updates that wait for a later command are kept in a [`RecordCache`].
//! Which file and record a session stands on is a [`Current`], kept by the application from command to command.

mod access;
mod cache;
mod command;
mod current;

use huiwan_apdu::Sw;

use crate::batch::{Batch, Write};
use crate::bytes::copy;
use crate::memory::{InstanceId, Memory, ObjectId};

pub use access::{Access, Grant};
pub use cache::RecordCache;
pub use command::{BinaryTarget, RecordTarget, Which};
pub use current::Current;

/// How the content of a file is organised. [ISO 7816-4 7.4.1]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Structure {
    /// A string of `size` bytes.
    Transparent {
        /// Bytes.
        size: u16,
    },
    /// At most `records` records of exactly `len` bytes.
    Linear {
        /// Bytes of each record.
        len: u8,
        /// Records at most, 254 or fewer.
        records: u8,
    },
    /// A ring of `records` records of exactly `len` bytes; the oldest gives way.
    Cyclic {
        /// Bytes of each record.
        len: u8,
        /// Records in the ring, 1–254.
        records: u8,
    },
    /// At most `records` records of at most `len` bytes.
    Variable {
        /// Bytes of a record at most.
        len: u8,
        /// Records at most, 254 or fewer.
        records: u8,
        /// Offset of the byte that identifies a record: 0, the tag, in ISO files; 1 in those of JT/T 978, whose identifiers
        /// have two bytes. The records of other structures are identified by their first byte.
        id_at: u8,
    },
}

/// An elementary file of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The file identifier.
    pub fid: u16,
    /// The short file identifier, 1–30; 0 for none.
    pub sfi: u8,
    /// Organisation and size.
    pub structure: Structure,
    /// The first of its objects, see the [module](self).
    pub base: u16,
    /// Who may read.
    pub read: Access,
    /// Who may write.
    pub update: Access,
    /// What other instances may.
    pub grants: &'a [Grant],
}

/// How many objects a file takes, counted from its base.
impl File<'_> {
    /// The numbers from `base` on that belong to this file.
    #[must_use]
    pub const fn objects(&self) -> u16 {
        match self.structure {
            Structure::Transparent { .. } => 1,
            Structure::Linear { records, .. }
            | Structure::Cyclic { records, .. }
            | Structure::Variable { records, .. } => u16::from_be_bytes([0, records]).saturating_add(1),
        }
    }

    /// 6982 unless `caller` may read under `granted` conditions.
    ///
    /// # Errors
    /// 6982.
    pub fn check_read(&self, owner: InstanceId, caller: InstanceId, granted: u8) -> Result<(), Sw> {
        self.rule(owner, caller, self.read, |grant| grant.read).check(granted)
    }

    /// 6982 unless `caller` may write under `granted` conditions.
    ///
    /// # Errors
    /// 6982.
    pub fn check_update(&self, owner: InstanceId, caller: InstanceId, granted: u8) -> Result<(), Sw> {
        self.rule(owner, caller, self.update, |grant| grant.update).check(granted)
    }

    fn rule(
        &self,
        owner: InstanceId,
        caller: InstanceId,
        own: Access,
        of: impl Fn(&Grant) -> Access,
    ) -> Access {
        if owner == caller {
            return own;
        }
        self.grants.iter().find(|grant| grant.to == caller).map_or(Access::NEVER, of)
    }

    /// Reads bytes of a transparent file from `offset` on into `out`; as many as there are.
    ///
    /// # Errors
    /// 6981 for another structure, 6B00 for an offset outside the file, 6581 when memory fails.
    pub fn read_binary<'o>(
        &self,
        memory: &mut dyn Memory,
        owner: InstanceId,
        offset: usize,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], Sw> {
        let size = self.size()?;
        let available = size.checked_sub(offset).filter(|&n| n > 0).ok_or(Sw::WRONG_OFFSET)?;
        let n = available.min(out.len());
        let out = out.get_mut(..n).unwrap_or_default();
        out.fill(0);
        let object = ObjectId::new(owner, self.base);
        if memory.len(object)?.is_some() {
            memory.read(object, offset, out)?;
        }
        Ok(out)
    }

    /// Adds to `batch`: `data` at `offset` of a transparent file. `work` has room for the whole file.
    ///
    /// # Errors
    /// 6981 for another structure, 6B00 for an offset outside the file, 6A84 for data that do not fit, 6581 when memory fails.
    pub fn update_binary(
        &self,
        memory: &mut dyn Memory,
        batch: &mut Batch<'_>,
        owner: InstanceId,
        offset: usize,
        data: &[u8],
        work: &mut [u8],
    ) -> Result<(), Sw> {
        let size = self.size()?;
        if offset >= size {
            return Err(Sw::WRONG_OFFSET);
        }
        let content = work.get_mut(..size).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        let object = ObjectId::new(owner, self.base);
        content.fill(0);
        latest(memory, batch, object, content)?;
        let end = offset.saturating_add(data.len());
        copy(content.get_mut(offset..end).ok_or(Sw::NOT_ENOUGH_MEMORY)?, data);
        batch.put(object, content);
        Ok(())
    }

    /// Reads record `number`, 1 being the first, of a cyclic file the newest.
    ///
    /// # Errors
    /// 6981 for a transparent file, 6A83 when there is no such record, 6581 when memory fails.
    pub fn read_record<'o>(
        &self,
        memory: &mut dyn Memory,
        owner: InstanceId,
        number: u8,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], Sw> {
        let object = self.record(memory, None, owner, number)?;
        match memory.len(object)? {
            Some(_) => Ok(memory.read(object, 0, out)?),
            None => Err(Sw::RECORD_NOT_FOUND),
        }
    }

    /// The number of the record with this identifier, or of any record without one.
    ///
    /// # Errors
    /// 6981 for a transparent file, 6A83 when there is none, 6581 when memory fails.
    pub fn find_record(
        &self,
        memory: &mut dyn Memory,
        owner: InstanceId,
        identifier: Option<u8>,
        which: Which,
    ) -> Result<u8, Sw> {
        let (_, records) = self.record_shape()?;
        let id_at = match self.structure {
            Structure::Variable { id_at, .. } => usize::from(id_at),
            _ => 0,
        };
        let (from, to) = match which {
            Which::First | Which::Last => (1, records),
            Which::NextAfter(n) => (n.saturating_add(1), records),
            Which::PreviousBefore(n) => (1, n.saturating_sub(1).min(records)),
        };
        let mut found = None;
        for number in from..=to {
            let object = match self.record(memory, None, owner, number) {
                Ok(object) if memory.len(object)?.is_some() => object,
                // Personalisation may have left numbers out.
                Ok(_) | Err(Sw::RECORD_NOT_FOUND) => continue,
                Err(sw) => return Err(sw),
            };
            let mut byte = [0];
            let byte = memory.read(object, id_at, &mut byte)?;
            if identifier.is_none_or(|identifier| byte == [identifier]) {
                found = Some(number);
                if matches!(which, Which::First | Which::NextAfter(_)) {
                    break;
                }
            }
        }
        found.ok_or(Sw::RECORD_NOT_FOUND)
    }

    /// Adds to `batch`: record `number` becomes `data`. In linear and variable files the number after the last makes a new record.
    ///
    /// # Errors
    /// 6981 for a transparent file, 6A83 when there is no such record, 6700 for a wrong length, 6581 when memory fails.
    pub fn update_record(
        &self,
        memory: &mut dyn Memory,
        batch: &mut Batch<'_>,
        owner: InstanceId,
        number: u8,
        data: &[u8],
    ) -> Result<(), Sw> {
        self.check_record(data)?;
        let object = self.record(memory, Some(batch), owner, number)?;
        if !exists(memory, batch, object)? {
            let before = ObjectId::new(owner, object.id.wrapping_sub(1));
            let cyclic = matches!(self.structure, Structure::Cyclic { .. });
            if cyclic || (number > 1 && !exists(memory, batch, before)?) {
                return Err(Sw::RECORD_NOT_FOUND);
            }
        }
        batch.put(object, data);
        Ok(())
    }

    /// Adds to `batch`: a new record, the newest of a cyclic file, the last of the others. The answer is its
    /// number.
    ///
    /// # Errors
    /// 6981 for a transparent file, 6A84 when a linear or variable file is full, 6700 for a wrong length, 6581 when memory fails.
    pub fn append_record(
        &self,
        memory: &mut dyn Memory,
        batch: &mut Batch<'_>,
        owner: InstanceId,
        data: &[u8],
    ) -> Result<u8, Sw> {
        self.check_record(data)?;
        let (_, records) = self.record_shape()?;
        if let Structure::Cyclic { .. } = self.structure {
            let (newest, used) = self.ring(memory, Some(batch), owner)?;
            let slot = if used == 0 { 0 } else { newest.wrapping_add(1).checked_rem(records).unwrap_or(0) };
            let used = used.saturating_add(1).min(records);
            batch.put(ObjectId::new(owner, self.base), &[slot, used]);
            batch.put(self.numbered(owner, slot.saturating_add(1)), data);
            return Ok(1);
        }
        for number in 1..=records {
            let object = self.numbered(owner, number);
            if !exists(memory, batch, object)? {
                batch.put(object, data);
                return Ok(number);
            }
        }
        Err(Sw::NOT_ENOUGH_MEMORY)
    }

    fn size(&self) -> Result<usize, Sw> {
        match self.structure {
            Structure::Transparent { size } => Ok(usize::from(size)),
            _ => Err(Sw::COMMAND_INCOMPATIBLE),
        }
    }

    /// Length and number of records.
    fn record_shape(&self) -> Result<(u8, u8), Sw> {
        match self.structure {
            Structure::Linear { len, records }
            | Structure::Cyclic { len, records }
            | Structure::Variable { len, records, .. } => Ok((len, records)),
            Structure::Transparent { .. } => Err(Sw::COMMAND_INCOMPATIBLE),
        }
    }

    fn check_record(&self, data: &[u8]) -> Result<(), Sw> {
        let (len, _) = self.record_shape()?;
        let right = match self.structure {
            Structure::Variable { .. } => !data.is_empty() && data.len() <= usize::from(len),
            _ => data.len() == usize::from(len),
        };
        if right { Ok(()) } else { Err(Sw::WRONG_LENGTH) }
    }

    fn numbered(&self, owner: InstanceId, number: u8) -> ObjectId {
        ObjectId::new(owner, self.base.wrapping_add(u16::from(number)))
    }

    /// The object of record `number`; 6A83 outside the file.
    fn record(
        &self,
        memory: &mut dyn Memory,
        batch: Option<&Batch<'_>>,
        owner: InstanceId,
        number: u8,
    ) -> Result<ObjectId, Sw> {
        let (_, records) = self.record_shape()?;
        if number == 0 || number > records {
            return Err(Sw::RECORD_NOT_FOUND);
        }
        if !matches!(self.structure, Structure::Cyclic { .. }) {
            return Ok(self.numbered(owner, number));
        }
        let (newest, used) = self.ring(memory, batch, owner)?;
        if number > used {
            return Err(Sw::RECORD_NOT_FOUND);
        }
        // Record 1 is the newest, each next one lies a slot before.
        let back = number.saturating_sub(1);
        let slot = if back <= newest {
            newest.saturating_sub(back)
        } else {
            newest.wrapping_add(records.saturating_sub(back))
        };
        Ok(self.numbered(owner, slot.saturating_add(1)))
    }

    /// Newest slot and records in use of a cyclic file.
    fn ring(
        &self,
        memory: &mut dyn Memory,
        batch: Option<&Batch<'_>>,
        owner: InstanceId,
    ) -> Result<(u8, u8), Sw> {
        let mut state = [0; 2];
        let object = ObjectId::new(owner, self.base);
        let len = match batch {
            Some(batch) => latest(memory, batch, object, &mut state)?,
            None if memory.len(object)?.is_some() => memory.read(object, 0, &mut state)?.len(),
            None => 0,
        };
        let (_, records) = self.record_shape()?;
        let [newest, used] = state;
        match len {
            0 => Ok((0, 0)),
            2 if newest < records && used <= records => Ok((newest, used)),
            _ => Err(Sw::MEMORY_FAILURE),
        }
    }
}

/// The files of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a>(pub &'a [File<'a>]);

impl<'a> Files<'a> {
    /// The file with this short identifier.
    ///
    /// # Errors
    /// 6A82.
    pub fn by_sfi(&self, sfi: u8) -> Result<&'a File<'a>, Sw> {
        self.0.iter().find(|file| sfi != 0 && file.sfi == sfi).ok_or(Sw::FILE_NOT_FOUND)
    }

    /// The file with this identifier.
    ///
    /// # Errors
    /// 6A82.
    pub fn by_fid(&self, fid: u16) -> Result<&'a File<'a>, Sw> {
        self.0.iter().find(|file| file.fid == fid).ok_or(Sw::FILE_NOT_FOUND)
    }
}

/// The content of `object` after `batch`, as much as fits into `out`; its length there, 0 when there is none.
fn latest(memory: &mut dyn Memory, batch: &Batch<'_>, object: ObjectId, out: &mut [u8]) -> Result<usize, Sw> {
    match batch.get(object) {
        Some(Write::Put(_, data)) => {
            copy(out, data);
            Ok(data.len().min(out.len()))
        }
        Some(_) => Ok(0),
        None if memory.len(object)?.is_some() => Ok(memory.read(object, 0, out)?.len()),
        None => Ok(0),
    }
}

/// Whether there is `object` after `batch`.
fn exists(memory: &mut dyn Memory, batch: &Batch<'_>, object: ObjectId) -> Result<bool, Sw> {
    match batch.get(object) {
        Some(write) => Ok(matches!(write, Write::Put(..))),
        None => Ok(memory.len(object)?.is_some()),
    }
}
