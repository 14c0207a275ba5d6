//! Where a module writes its answer data.

use huiwan_apdu::Sw;
use huiwan_tlv::Writer;

use crate::bytes::copy;

/// Answer data of at most [`capacity`](Self::capacity) bytes. The status word is not part of it.
#[derive(Debug)]
pub struct ResponseWriter<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> ResponseWriter<'b> {
    /// An empty answer in `buffer`.
    #[must_use]
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// An answer whose first `len` bytes are already in `buffer`.
    pub(crate) fn resume(buffer: &'b mut [u8], len: usize) -> Self {
        let len = len.min(buffer.len());
        Self { buffer, len }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// 6F00 when they do not fit; nothing is written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Sw> {
        let end = self.len.checked_add(bytes.len()).ok_or(Sw::UNKNOWN)?;
        copy(self.buffer.get_mut(self.len..end).ok_or(Sw::UNKNOWN)?, bytes);
        self.len = end;
        Ok(())
    }

    /// Appends what `write` puts into a TLV writer.
    ///
    /// # Errors
    /// 6F00 when it does not fit; nothing is appended.
    pub fn tlv(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Result<(), Sw> {
        let free = self.buffer.get_mut(self.len..).ok_or(Sw::UNKNOWN)?;
        let mut writer = Writer::new(free);
        write(&mut writer);
        let written = writer.finish().map_err(|_| Sw::UNKNOWN)?.len();
        self.len = self.len.saturating_add(written);
        Ok(())
    }

    /// Appends `n` zero bytes and returns them to be filled in.
    ///
    /// # Errors
    /// 6F00 when they do not fit; nothing is appended.
    pub fn reserve(&mut self, n: usize) -> Result<&mut [u8], Sw> {
        let end = self.len.checked_add(n).ok_or(Sw::UNKNOWN)?;
        let space = self.buffer.get_mut(self.len..end).ok_or(Sw::UNKNOWN)?;
        space.fill(0);
        self.len = end;
        Ok(space)
    }

    /// Forgets everything written.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Shortens the answer to `n` bytes; a longer `n` changes nothing.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n);
    }

    /// The answer so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The answer so far, to be changed in place.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }

    /// The whole buffer, to build an answer in place; [`set_len`](Self::set_len) then says how much of it counts.
    #[must_use]
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// The first `n` bytes of the buffer are the answer.
    ///
    /// # Errors
    /// 6F00 when the buffer is smaller.
    pub fn set_len(&mut self, n: usize) -> Result<(), Sw> {
        if n > self.buffer.len() {
            return Err(Sw::UNKNOWN);
        }
        self.len = n;
        Ok(())
    }

    /// Bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most bytes an answer can have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.len()
    }
}
