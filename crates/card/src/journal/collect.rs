//! Collection: what lives moves out of the oldest page, the page is retired, then erased.
//!
//! Each step leaves a journal that mounts to the same objects: moved objects are ordinary frames with the same content, the
//! retirement makes the oldest page count no more, and a page whose erasure was cut has no valid header and is erased again.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{self, PAGE_HEADER, Page, RETIRE_FRAME, RETIRE_LEN, frame_size};
use super::{Head, Journal, Located, size};
use crate::batch;
use crate::memory::MemoryError;

impl<F: NorFlash, const OBJECTS: usize> Journal<F, OBJECTS> {
    /// Completes the pre-erased reserve. Takes as long as erasing and copying pages takes: to be called when no command is under
    /// way and power is good. A cut at any point loses nothing.
    ///
    /// # Errors
    /// [`MemoryError::PowerLost`] when the flash fails; [`MemoryError::Full`] when nothing can be gained any more.
    pub fn collect(&mut self) -> Result<(), MemoryError> {
        self.check_usable()?;
        self.drop_unused_head()?;
        self.erase_dirty()?;
        // Once around moves everything that lives; what has not been gained by then cannot be.
        for _ in 0..self.pages.saturating_mul(2) {
            if !self.needs_collection() {
                return Ok(());
            }
            self.collect_oldest()?;
        }
        if self.needs_collection() { Err(MemoryError::Full) } else { Ok(()) }
    }

    /// A head without a frame that counts holds only the remains of torn ones; it is erased and the page before is the last.
    fn drop_unused_head(&mut self) -> Result<(), MemoryError> {
        let before = self.head.sequence.saturating_sub(1);
        if self.head.used || before <= self.retired || self.head.next == PAGE_HEADER {
            return Ok(());
        }
        let page = self.find(0, before)?;
        self.erase_page(self.head.page)?;
        self.head = Head { page, sequence: before, next: self.page_size, used: true };
        Ok(())
    }

    fn erase_dirty(&mut self) -> Result<(), MemoryError> {
        for page in 0..self.pages {
            if self.dirty == 0 {
                break;
            }
            let dirty = match self.page(page)? {
                Page::Ready { .. } => false,
                Page::Opened { sequence, .. } => sequence <= self.retired,
                _ => true,
            };
            if dirty {
                self.erase_page(page)?;
                self.dirty = self.dirty.saturating_sub(1);
            }
        }
        self.dirty = 0;
        Ok(())
    }

    fn collect_oldest(&mut self) -> Result<(), MemoryError> {
        let oldest = self.retired.saturating_add(1);
        if oldest >= self.head.sequence {
            // Everything is in the head; a fresh head lets the old one go.
            self.make_room(self.page_size, 0, 0)?;
        }
        let page = self.find(0, oldest)?;
        self.move_objects(page)?;
        self.make_room(RETIRE_FRAME, 0, 0)?;
        self.append(RETIRE_LEN, |frame| frame.push(&layout::retirement(oldest)))?;
        self.retired = oldest;
        self.dirty = self.dirty.saturating_add(1);
        self.erase_page(page)?;
        self.dirty = self.dirty.saturating_sub(1);
        Ok(())
    }

    fn erase_page(&mut self, page: u32) -> Result<(), MemoryError> {
        let worn = self.page(page)?.wear().unwrap_or(self.wear).saturating_add(1);
        let geometry = self.geometry().map_err(|_| MemoryError::Damaged)?;
        let (from, to) = (self.base(page), self.base(page.saturating_add(1)));
        self.flash.erase(from, to).map_err(|_| {
            self.failed = true;
            MemoryError::PowerLost
        })?;
        self.program(from, &layout::erased_header(worn, geometry))?;
        self.wear = self.wear.max(worn);
        self.ready = self.ready.saturating_add(1);
        Ok(())
    }

    /// Writes all objects that are in `page` again, several to a frame.
    fn move_objects(&mut self, page: u32) -> Result<(), MemoryError> {
        let place = self.base(page)..self.base(page.saturating_add(1));
        let quarter = self.page_size.saturating_sub(PAGE_HEADER) / 4;
        while let Some(&first) = self.index.iter().find(|located| place.contains(&located.at)) {
            // One object always fits a frame of its own: it came in a frame of a page.
            let most = quarter.max(size(first));
            let mut chosen = Chosen { most, taken: 0 };
            for located in self.index.iter().filter(|located| place.contains(&located.at)) {
                chosen.take(*located);
            }
            let len = u16::try_from(chosen.taken).map_err(|_| MemoryError::Damaged)?;
            self.make_room(frame_size(len), RETIRE_FRAME, 0)?;
            let mut at = self.begin_frame(len)?;
            let mut frame = layout::FrameWriter::new(&mut self.flash, at, self.head.sequence);
            let mut chosen = Chosen { most, taken: 0 };
            for located in self.index.iter().filter(|located| place.contains(&located.at)) {
                if chosen.take(*located) {
                    frame.push(&batch::Head::put(located.object, located.len))?;
                    copy(&mut frame, *located)?;
                }
            }
            frame.finish()?;
            self.end_frame(len);
            let mut chosen = Chosen { most, taken: 0 };
            for located in self.index.iter_mut().filter(|located| place.contains(&located.at)) {
                if chosen.take(*located) {
                    located.at = at.saturating_add(layout::WRITE_OVERHEAD);
                    at = at.saturating_add(size(*located));
                }
            }
        }
        Ok(())
    }
}

/// Chooses objects for a frame, in order, as long as they fit; the same choice each time.
struct Chosen {
    most: u32,
    taken: u32,
}

impl Chosen {
    fn take(&mut self, located: Located) -> bool {
        let with = self.taken.saturating_add(size(located));
        let fits = with <= self.most;
        if fits {
            self.taken = with;
        }
        fits
    }
}

fn copy<F: NorFlash>(frame: &mut layout::FrameWriter<'_, F>, located: Located) -> Result<(), MemoryError> {
    let mut buffer = [0; 64];
    let mut at = located.at;
    let mut rest = usize::from(located.len);
    while rest != 0 {
        let part = buffer.get_mut(..rest.min(64)).unwrap_or_default();
        layout::read(frame.flash(), at, part)?;
        frame.push(part)?;
        rest = rest.saturating_sub(part.len());
        at = at.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
    }
    Ok(())
}
