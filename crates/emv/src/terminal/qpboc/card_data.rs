//! What the card said in this tap: data objects in the caller's memory, in the order they came.

use super::tags;
use crate::terminal::{FaultKind, Memory};
use huiwan_tlv::{Rules, Tag, find, parse};

/// Data objects of the FCI, then those of the GPO answer and the records.
#[derive(Debug)]
pub(super) struct CardData<'m> {
    memory: Memory<'m>,
    /// Where the objects of the FCI end.
    fci: usize,
    /// Where all objects end.
    used: usize,
    /// How much of the static data is there.
    static_len: usize,
}

/// A point to come back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    used: usize,
    static_len: usize,
}

impl<'m> CardData<'m> {
    pub(super) const fn new(memory: Memory<'m>) -> Self {
        Self { memory, fci: 0, used: 0, static_len: 0 }
    }

    pub(super) const fn clear(&mut self) {
        (self.fci, self.used, self.static_len) = (0, 0, 0);
    }

    /// The value of `tag`, of GPO answer and records before FCI.
    pub(super) fn get(&self, tag: Tag) -> Option<&[u8]> {
        let (fci, rest) = self.objects().split_at_checked(self.fci)?;
        let value = |raw| find(raw, Rules::EMV, tag).ok().flatten().map(|object| object.value());
        value(rest).or_else(|| value(fci))
    }

    /// The name the application was selected by, as its FCI gives it.
    pub(super) fn name(&self) -> &[u8] {
        let fci = self.objects().get(..self.fci).unwrap_or_default();
        find(fci, Rules::EMV, tags::DF_NAME).ok().flatten().map(|object| object.value()).unwrap_or_default()
    }

    /// The value of `tag` when it has exactly `N` bytes.
    pub(super) fn array<const N: usize>(&self, tag: Tag) -> Option<[u8; N]> {
        self.get(tag)?.try_into().ok()
    }

    /// All objects, one after the other.
    pub(super) fn objects(&self) -> &[u8] {
        self.memory.data.get(..self.used).unwrap_or_default()
    }

    /// The records the card's certificate covers.
    pub(super) fn static_data(&self) -> &[u8] {
        self.memory.static_data.get(..self.static_len).unwrap_or_default()
    }

    /// Keeps objects of the FCI; they come first.
    pub(super) fn push_fci(&mut self, raw: &[u8]) -> Result<(), FaultKind> {
        self.push_raw(raw)?;
        self.fci = self.used;
        Ok(())
    }

    /// Keeps the objects in `raw`. A primitive object that GPO answer and records already had ends the transaction.
    /// `[EMV-B3 10.2]`
    pub(super) fn push(&mut self, raw: &[u8]) -> Result<(), FaultKind> {
        for object in parse(raw, Rules::EMV) {
            let object = object.map_err(FaultKind::Tlv)?;
            let (earlier, _) = raw.split_at_checked(object.at()).unwrap_or_default();
            let known = self.objects().get(self.fci..).unwrap_or_default();
            let twice =
                [known, earlier].iter().any(|raw| matches!(find(raw, Rules::EMV, object.tag()), Ok(Some(_))));
            if twice && !object.tag().is_constructed() {
                return Err(FaultKind::Repeated(object.tag()));
            }
        }
        self.push_raw(raw)
    }

    fn push_raw(&mut self, raw: &[u8]) -> Result<(), FaultKind> {
        self.used = append(self.memory.data, self.used, raw)?;
        Ok(())
    }

    /// Keeps what of a record the card's certificate covers.
    pub(super) fn push_static(&mut self, raw: &[u8]) -> Result<(), FaultKind> {
        self.static_len = append(self.memory.static_data, self.static_len, raw)?;
        Ok(())
    }

    /// Keeps bytes that are no objects of the card, and says where they begin.
    pub(super) fn push_aside(&mut self, raw: &[u8]) -> Result<core::ops::Range<usize>, FaultKind> {
        let end = append(self.memory.data, self.used, raw)?;
        Ok(self.used..end)
    }

    /// Bytes kept by [`Self::push_aside`].
    pub(super) fn aside(&self, range: core::ops::Range<usize>) -> &[u8] {
        self.memory.data.get(range).unwrap_or_default()
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { used: self.used, static_len: self.static_len }
    }

    /// Forgets what came after `mark`.
    pub(super) const fn rewind(&mut self, mark: Mark) {
        (self.used, self.static_len) = (mark.used, mark.static_len);
    }
}

fn append(memory: &mut [u8], used: usize, raw: &[u8]) -> Result<usize, FaultKind> {
    let end = used.checked_add(raw.len()).ok_or(FaultKind::TooMuchData)?;
    memory.get_mut(used..end).ok_or(FaultKind::TooMuchData)?.copy_from_slice(raw);
    Ok(end)
}
