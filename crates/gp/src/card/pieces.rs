//! Pieces of something that comes in several commands: a data grouping of STORE DATA, a certificate, or a chain of INSTALL, DELETE,
//! PUT KEY. They belong to the channel they come on.

use huiwan_apdu::Sw;
use huiwan_card::{Batch, InstanceId, Memory};

use super::manager::Exchange;
use super::{objects, store_keys};

impl Exchange<'_, '_, '_, '_, '_> {
    /// Puts the pieces and the block together at the beginning of `out`; returns the length.
    pub(super) fn gather(&mut self, block: &[u8], out: &mut [u8]) -> Result<usize, Sw> {
        let mut at = 0_usize;
        for n in 0..self.progress.pieces {
            let place = out.get_mut(at..).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
            let piece = objects::piece(self.domain.instance, self.cx.channel, n);
            at = at.saturating_add(self.cx.memory.read(piece, 0, place)?.len());
        }
        if at != usize::from(self.progress.piece_len) {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let end = at.saturating_add(block.len());
        out.get_mut(at..end).ok_or(Sw::NOT_ENOUGH_MEMORY)?.copy_from_slice(block);
        Ok(end)
    }

    /// Keeps a piece, as the first one or behind those that are there. Nothing left: the pieces go.
    pub(super) fn keep(&mut self, piece: &[u8], first: bool) -> Result<(), Sw> {
        let held = self.progress.pieces;
        let (n, before) = if first { (0, 0) } else { (held, self.progress.piece_len) };
        let mut buffer = [0; 255 + 64];
        let mut batch = Batch::new(&mut buffer);
        let place = |n| objects::piece(self.domain.instance, self.cx.channel, n);
        if !piece.is_empty() {
            batch.put(place(n), piece);
        }
        if first {
            let kept = u8::from(!piece.is_empty());
            // A grouping has at most a header and 528 bytes, but a host may send it in pieces of one byte.
            for stale in kept..held {
                batch.delete(place(stale));
                if batch.overflowed() {
                    return Err(Sw::NOT_ENOUGH_MEMORY);
                }
            }
        }
        if !batch.is_empty() {
            self.cx.commit(&batch)?;
        }
        let added = u16::try_from(piece.len()).map_err(|_| Sw::WRONG_LENGTH)?;
        self.progress.piece_len = before.checked_add(added).ok_or(Sw::WRONG_DATA)?;
        self.progress.pieces =
            if piece.is_empty() { n } else { n.checked_add(1).ok_or(Sw::NOT_ENOUGH_MEMORY)? };
        Ok(())
    }
}

/// Deletes what a sequence that failed or was cut left behind.
pub(super) fn sweep(memory: &mut dyn Memory, domain: InstanceId) -> Result<(), Sw> {
    while let Some(piece) = memory
        .next_object(Some(objects::before_pieces(domain)))?
        .filter(|&object| objects::is_piece(object, domain))
    {
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        batch.delete(piece);
        memory.commit(&batch)?;
    }
    store_keys::end(memory, domain)
}
