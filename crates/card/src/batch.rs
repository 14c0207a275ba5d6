//! A batch: the writes of one commit, collected in a buffer of the caller.
//!
//! Layout of one write, also in the journal: `kind(1) ‖ instance(1) ‖ id(2) ‖ length(2) ‖ data`, numbers big endian.

use crate::bytes::copy;
use crate::memory::{InstanceId, ObjectId};

/// Bytes a write takes in a batch and in the journal besides its data.
pub const WRITE_OVERHEAD: usize = 6;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_INSTANCE: u8 = 3;

/// One write of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write<'a> {
    /// The object gets this content, whatever it held.
    Put(ObjectId, &'a [u8]),
    /// The object ceases to exist; nothing happens when there is none.
    Delete(ObjectId),
    /// All objects of the instance cease to exist.
    DeleteInstance(InstanceId),
}

/// The writes of one commit, in order. The calls cannot fail: a batch that outgrew its buffer says so when it is committed, and
/// [`needed`](Self::needed) tells the size that would have done.
///
/// ```
/// use huiwan_card::{Batch, InstanceId, ObjectId, Write};
/// let purse = InstanceId(3);
/// let mut buffer = [0; 64];
/// let mut batch = Batch::new(&mut buffer);
/// batch.put(ObjectId::new(purse, 1), b"balance");
/// batch.put_parts(ObjectId::new(purse, 2), &[b"log ", b"record"]);
/// assert_eq!(batch.get(ObjectId::new(purse, 2)), Some(Write::Put(ObjectId::new(purse, 2), b"log record")));
/// ```
#[derive(Debug)]
pub struct Batch<'b> {
    buffer: &'b mut [u8],
    needed: usize,
    oversized: bool,
}

impl<'b> Batch<'b> {
    /// An empty batch in `buffer`, which needs [`WRITE_OVERHEAD`] bytes for each write besides the data.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, needed: 0, oversized: false }
    }

    /// Adds: `object` holds `data`.
    pub fn put(&mut self, object: ObjectId, data: &[u8]) {
        self.put_parts(object, &[data]);
    }

    /// Adds: `object` holds the concatenation of `parts`.
    pub fn put_parts(&mut self, object: ObjectId, parts: &[&[u8]]) {
        let len = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let Ok(len) = u16::try_from(len) else {
            self.oversized = true;
            return;
        };
        self.header(PUT, object, len);
        for part in parts {
            self.append(part);
        }
    }

    /// Adds: `object` ceases to exist.
    pub fn delete(&mut self, object: ObjectId) {
        self.header(DELETE, object, 0);
    }

    /// Adds: every object of `instance` ceases to exist.
    pub fn delete_instance(&mut self, instance: InstanceId) {
        self.header(DELETE_INSTANCE, ObjectId::new(instance, 0), 0);
    }

    /// Adds the writes of another batch after these.
    pub fn append_batch(&mut self, other: &Batch<'_>) {
        match other.encoded() {
            Some(bytes) => self.append(bytes),
            None => self.oversized = true,
        }
    }

    /// Forgets all writes.
    pub fn clear(&mut self) {
        self.needed = 0;
        self.oversized = false;
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.needed == 0
    }

    /// The bytes the writes take.
    #[must_use]
    pub fn len(&self) -> usize {
        self.needed.min(self.buffer.len())
    }

    /// The buffer size that all writes so far take, also when the buffer is smaller.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether a write did not fit; such a batch cannot be committed.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.oversized || self.needed > self.buffer.len()
    }

    /// The writes as bytes, or `None` when the batch overflowed.
    #[must_use]
    pub fn encoded(&self) -> Option<&[u8]> {
        if self.overflowed() { None } else { self.buffer.get(..self.needed) }
    }

    /// The writes in order; empty when the batch overflowed.
    #[must_use]
    pub fn iter(&self) -> Writes<'_> {
        Writes::new(self.encoded().unwrap_or_default())
    }

    /// The last write that concerns `object`, so that a composite transaction sees its own writes. `None`: the batch leaves the
    /// object as memory has it.
    #[must_use]
    pub fn get(&self, object: ObjectId) -> Option<Write<'_>> {
        self.iter()
            .filter(|write| match *write {
                Write::Put(of, _) | Write::Delete(of) => of == object,
                Write::DeleteInstance(of) => of == object.instance,
            })
            .last()
    }

    fn header(&mut self, kind: u8, object: ObjectId, len: u16) {
        let [i1, i2] = object.id.to_be_bytes();
        let [l1, l2] = len.to_be_bytes();
        self.append(&[kind, object.instance.0, i1, i2, l1, l2]);
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.needed.saturating_add(bytes.len());
        if let Some(space) = self.buffer.get_mut(self.needed..end) {
            copy(space, bytes);
        }
        self.needed = end;
    }
}

/// The writes in encoded bytes, in order; stops at the first byte that is not a write. [`rest`](Self::rest) is empty exactly when
/// the bytes were well formed and are used up.
#[derive(Clone, Debug)]
pub struct Writes<'a> {
    rest: &'a [u8],
}

impl<'a> Writes<'a> {
    /// Reads the writes in `encoded`.
    #[must_use]
    pub fn new(encoded: &'a [u8]) -> Self {
        Self { rest: encoded }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Writes<'a> {
    type Item = Write<'a>;

    fn next(&mut self) -> Option<Write<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<WRITE_OVERHEAD>()?;
        let head = Head::parse(header)?;
        let (data, rest) = rest.split_at_checked(head.len)?;
        self.rest = rest;
        Some(match head.kind {
            Kind::Put => Write::Put(head.object, data),
            Kind::Delete => Write::Delete(head.object),
            Kind::DeleteInstance => Write::DeleteInstance(head.object.instance),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Delete,
    DeleteInstance,
}

/// The first bytes of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) object: ObjectId,
    pub(crate) len: usize,
}

impl Head {
    pub(crate) fn parse(&[kind, instance, i1, i2, l1, l2]: &[u8; WRITE_OVERHEAD]) -> Option<Self> {
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        let kind = match kind {
            PUT => Kind::Put,
            DELETE if len == 0 => Kind::Delete,
            DELETE_INSTANCE if len == 0 => Kind::DeleteInstance,
            _ => return None,
        };
        Some(Self { kind, object: ObjectId::new(InstanceId(instance), u16::from_be_bytes([i1, i2])), len })
    }

    /// The first bytes of a write that puts `len` bytes into `object`.
    pub(crate) fn put(object: ObjectId, len: u16) -> [u8; WRITE_OVERHEAD] {
        let [i1, i2] = object.id.to_be_bytes();
        let [l1, l2] = len.to_be_bytes();
        [PUT, object.instance.0, i1, i2, l1, l2]
    }
}
