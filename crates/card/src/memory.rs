//! Durable memory as an application sees it: objects by (instance, id), written in batches that land whole or not at all.
//!
//! [`Memory`] is object safe, so modules and directories hold no type parameter. [`Journal`](crate::journal::Journal) implements
//! it over NOR flash.

use core::fmt;

use huiwan_apdu::Sw;

use crate::batch::Batch;

/// An application instance on the element. The number is given at installation and is never the AID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u8);

impl InstanceId {
    /// The issuer security domain, which is the card manager. [GPC 7.1]
    pub const ISSUER: Self = Self(0);
}

/// The name of a durable object: who owns it and the owner's own number for it. Ordered by instance, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The owner.
    pub instance: InstanceId,
    /// The number inside the owner; its meaning is the owner's affair.
    pub id: u16,
}

impl ObjectId {
    /// The object `id` of `instance`.
    #[must_use]
    pub const fn new(instance: InstanceId, id: u16) -> Self {
        Self { instance, id }
    }
}

/// Why durable memory did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// No room: too many objects, too many bytes, or the pre-erased reserve is used up until the next idle collection.
    Full,
    /// The batch is larger than one commit can be, or overflowed its buffer.
    TooLarge,
    /// The object does not exist.
    NotFound,
    /// What is stored contradicts itself.
    Damaged,
    /// A flash operation failed, as at a loss of power; the memory has to be mounted again before it serves anything.
    PowerLost,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "memory is full",
            Self::TooLarge => "batch is larger than one commit",
            Self::NotFound => "object does not exist",
            Self::Damaged => "memory is damaged",
            Self::PowerLost => "flash operation failed",
        })
    }
}

impl core::error::Error for MemoryError {}

/// What a card answers: 6A84 without room, 6A88 for an object that is not there, 6581 for everything else. [ISO 7816-4 5.6]
impl From<MemoryError> for Sw {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Full | MemoryError::TooLarge => Self::NOT_ENOUGH_MEMORY,
            MemoryError::NotFound => Self::REFERENCED_DATA_NOT_FOUND,
            MemoryError::Damaged | MemoryError::PowerLost => Self::MEMORY_FAILURE,
        }
    }
}

/// Durable objects, written atomically.
pub trait Memory {
    /// Reads up to `out.len()` bytes of `object` from byte `at` on, and returns what was read: shorter than `out` where the
    /// object ends, empty when `at` is at or past its end.
    ///
    /// # Errors
    /// [`MemoryError::NotFound`] for an absent object, otherwise what went wrong below.
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError>;

    /// The length of `object` in bytes, or `None` when there is none.
    ///
    /// # Errors
    /// What went wrong below.
    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError>;

    /// Makes every write of `batch` durable, in order, or none of them.
    ///
    /// # Errors
    /// [`MemoryError::Full`] and [`MemoryError::TooLarge`] leave everything as it was. After [`MemoryError::PowerLost`] the
    /// next mount tells: all of the batch, or nothing of it.
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError>;

    /// The object that follows `after` in the order of [`ObjectId`], or the first one.
    ///
    /// # Errors
    /// What went wrong below.
    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError>;

    /// Bytes that can still be stored; `None` where nobody counts them.
    fn room(&self) -> Option<usize> {
        None
    }
}

impl<M: Memory + ?Sized> Memory for &mut M {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        (**self).read(object, at, out)
    }
    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        (**self).len(object)
    }
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        (**self).commit(batch)
    }
    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        (**self).next_object(after)
    }
    fn room(&self) -> Option<usize> {
        (**self).room()
    }
}
