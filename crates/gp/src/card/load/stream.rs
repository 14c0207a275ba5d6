//! A load file as one stream of bytes, over the pieces it is kept in.

use huiwan_apdu::Sw;
use huiwan_card::{InstanceId, Memory};

use crate::card::objects;

/// A place in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    file: InstanceId,
    base: u16,
    pieces: u16,
    piece: u16,
    at: usize,
}

impl Stream {
    /// The beginning of a stream over the first `pieces` objects from `base` on.
    pub(super) const fn new(file: InstanceId, base: u16, pieces: u16) -> Self {
        Self { file, base, pieces, piece: 0, at: 0 }
    }

    /// Reads what is left, at most `out.len()` bytes; returns the number.
    pub(super) fn read(&mut self, memory: &mut dyn Memory, out: &mut [u8]) -> Result<usize, Sw> {
        let mut filled = 0_usize;
        while self.piece < self.pieces {
            let Some(place) = out.get_mut(filled..).filter(|place| !place.is_empty()) else { break };
            let n = u8::try_from(self.piece).map_err(|_| Sw::UNKNOWN)?;
            let read = memory.read(objects::load_piece(self.file, self.base, n), self.at, place)?.len();
            if read == 0 {
                (self.piece, self.at) = (self.piece.saturating_add(1), 0);
                continue;
            }
            filled = filled.saturating_add(read);
            self.at = self.at.saturating_add(read);
        }
        Ok(filled)
    }

    /// Reads exactly as many bytes as asked for; 6A80 where the stream ends before.
    pub(super) fn exact(&mut self, memory: &mut dyn Memory, out: &mut [u8]) -> Result<(), Sw> {
        if self.read(memory, out)? == out.len() { Ok(()) } else { Err(Sw::WRONG_DATA) }
    }

    fn byte(&mut self, memory: &mut dyn Memory) -> Result<u8, Sw> {
        let mut byte = [0];
        self.exact(memory, &mut byte)?;
        let [byte] = byte;
        Ok(byte)
    }

    /// A tag of one byte and a BER length, or `None` at the end.
    pub(super) fn header(&mut self, memory: &mut dyn Memory) -> Result<Option<(u32, usize)>, Sw> {
        let mut tag = [0];
        if self.read(memory, &mut tag)? == 0 {
            return Ok(None);
        }
        let [tag] = tag;
        let first = self.byte(memory)?;
        let len = match first {
            0..=0x7F => usize::from(first),
            0x81..=0x83 => {
                let mut len = 0_usize;
                for _ in 0x80..first {
                    len = len << 8 | usize::from(self.byte(memory)?);
                }
                len
            }
            _ => return Err(Sw::WRONG_DATA),
        };
        Ok(Some((u32::from(tag), len)))
    }

    /// Calls `f` with the next `len` bytes, in parts.
    pub(super) fn take(
        &mut self,
        memory: &mut dyn Memory,
        len: usize,
        mut f: impl FnMut(&[u8]),
    ) -> Result<(), Sw> {
        let mut buffer = [0; 128];
        let mut left = len;
        while left > 0 {
            let want = left.min(buffer.len());
            let part = buffer.get_mut(..want).ok_or(Sw::UNKNOWN)?;
            self.exact(memory, part)?;
            f(part);
            left = left.saturating_sub(want);
        }
        Ok(())
    }

    /// Passes over the next `len` bytes.
    pub(super) fn skip(&mut self, memory: &mut dyn Memory, len: usize) -> Result<(), Sw> {
        self.take(memory, len, |_| {})
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(mut self, memory: &mut dyn Memory) -> Result<bool, Sw> {
        Ok(self.read(memory, &mut [0])? == 0)
    }
}
