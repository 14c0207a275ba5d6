//! Updates that wait for a later command, as UPDATE CAPP DATA CACHE does. [JR/T 0025.9]

use huiwan_apdu::Sw;
use zeroize::Zeroize;

use crate::batch::{Batch, Write, Writes};
use crate::memory::ObjectId;

/// Record updates kept in volatile memory until their transaction commits. The bytes begin with the length of what is kept, so
/// that zero bytes are an empty cache; they can lie in a module's volatile slot.
#[derive(Debug)]
pub struct RecordCache<'v> {
    bytes: &'v mut [u8],
}

const LENGTH: usize = 2;

impl<'v> RecordCache<'v> {
    /// The cache in these bytes.
    #[must_use]
    pub fn new(bytes: &'v mut [u8]) -> Self {
        Self { bytes }
    }

    fn len(&self) -> usize {
        self.bytes.first_chunk::<LENGTH>().map_or(0, |len| usize::from(u16::from_be_bytes(*len)))
    }

    /// The updates in the order they came.
    #[must_use]
    pub fn writes(&self) -> Writes<'_> {
        let kept = self.bytes.get(LENGTH..).and_then(|rest| rest.get(..self.len()));
        Writes::new(kept.unwrap_or_default())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The waiting content of `object`.
    #[must_use]
    pub fn get(&self, object: ObjectId) -> Option<&[u8]> {
        self.writes()
            .filter_map(
                |write| if let Write::Put(of, data) = write { (of == object).then_some(data) } else { None },
            )
            .last()
    }

    /// Keeps: `object` becomes `data`.
    ///
    /// # Errors
    /// 6A84 when the cache is full; nothing is changed.
    pub fn put(&mut self, object: ObjectId, data: &[u8]) -> Result<(), Sw> {
        let len = self.len();
        let free =
            self.bytes.get_mut(LENGTH..).and_then(|rest| rest.get_mut(len..)).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        let mut batch = Batch::new(free);
        batch.put(object, data);
        if batch.overflowed() {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let len = u16::try_from(len.saturating_add(batch.len())).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        if let Some(place) = self.bytes.first_chunk_mut::<LENGTH>() {
            *place = len.to_be_bytes();
        }
        Ok(())
    }

    /// Adds all updates to `batch`.
    pub fn add_to(&self, batch: &mut Batch<'_>) {
        for write in self.writes() {
            if let Write::Put(object, data) = write {
                batch.put(object, data);
            }
        }
    }

    /// Forgets all updates.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
    }
}
