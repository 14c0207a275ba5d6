//! Atomic memory over NOR flash: a log of commits with an index in RAM.
//!
//! ```text
//! page:  erased header (16)                          opened header (16)                       frame … frame  blank
//!        "HWJ" version wear(4) pages(2) size/16(2)    sequence(4) number(4) 0(4) CRC(4)
//!        CRC(4); written when the erasure is done     written when the page becomes the head
//! frame: length(2) number(2) CRC(4)  │  writes (see `Batch`)  CRC(4)  padding to 8
//! ```
//!
//! All numbers are big endian, all CRCs CRC-32 (ISO-HDLC); those of a frame also cover the page's sequence number and the frame's
//! place. Everything is aligned to 8 bytes and every word is programmed once between erasures, as flash with error correction
//! wants it.
//!
//! **A commit is whole or not at all**: a frame counts when the CRC behind its writes is right. Its length is protected on its own
//! and programmed first, so a torn frame is stepped over by its length and what an application wrote is never taken for a frame.
//! Every successful frame takes the next number; a frame that cannot be read although its number was used up is damage
//! ([`JournalError::Damaged`]), not a tear. What cannot be told apart from a tear is damage in the very last frame.
//!
//! **No erasure while a tap may be under way**: commits append, and open pages of a pre-erased reserve. [`Journal::collect`] is the
//! idle call that moves what lives out of the oldest page and erases it; [`Journal::needs_collection`] says at power-on, or
//! whenever, that it is due. Without it commits go on until the reserve is used up, then they answer
//! [`MemoryError::Full`] and change nothing. Mounting writes nothing.
//!
//! **Wear** is even by construction: pages are used in turn, whatever lives in them moves along, and no object stays where it is.
//! A commit of n bytes costs at most `n + 19` bytes of log, and every page of log one
//! erasure, plus what living objects are moved: with a memory filled to half its capacity, one byte for each byte written.
//! Flash for 10,000 erasures of 16 pages of 4 KiB holds about 300 MB of commits then: a tap of 500 bytes every minute for a year.
//!
//! **Limits**: a commit fits in one page ([`Journal::LARGEST_COMMIT`]); objects besides their data take 6 bytes of
//! [`Journal::capacity`], which depends on the largest object since objects are moved whole; `OBJECTS` of them at most, 12 bytes
//! of RAM each. A collection that is cut again and again at the same object spends some of its two spare pages each time;
//! it stands four such cuts in a row for each spare page.

mod collect;
mod layout;
mod mount;

use core::fmt;

use embedded_storage::nor_flash::NorFlash;

use crate::batch::{Batch, WRITE_OVERHEAD, Write};
use crate::memory::{Memory, MemoryError, ObjectId};
use layout::{FRAME_HEADER, FrameWriter, OPENED_AT, PAGE_HEADER, Page, RETIRE_FRAME, frame_size};

/// Pages that are kept erased for commits between two collections.
pub const RESERVE: u32 = 2;
/// Pages that only a collection may open.
pub const COLLECTOR_PAGES: u32 = 2;
/// The smallest flash, in pages.
pub const MIN_PAGES: u32 = RESERVE + COLLECTOR_PAGES + 2;
/// The layout version of this module.
pub const VERSION: u8 = layout::VERSION;
/// What each page loses at most to frames of a collection.
const PAGE_SLACK: u32 = 200;

/// Why flash cannot be used as a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError {
    /// A flash operation failed.
    Flash,
    /// There is no journal, or its formatting was cut.
    NotFormatted,
    /// A journal of another layout version.
    UnknownVersion(u8),
    /// The flash is too small or too large, its words are longer than 8 bytes, or the journal was made for another size.
    Geometry,
    /// The journal contradicts itself.
    Damaged,
    /// It holds more objects than the index has room for.
    TooManyObjects,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash => f.write_str("flash operation failed"),
            Self::NotFormatted => f.write_str("flash holds no journal"),
            Self::UnknownVersion(version) => write!(f, "journal has unknown layout version {version}"),
            Self::Geometry => f.write_str("flash size does not fit the journal"),
            Self::Damaged => f.write_str("journal is damaged"),
            Self::TooManyObjects => f.write_str("journal holds more objects than the index"),
        }
    }
}

impl core::error::Error for JournalError {}

/// Where an object is.
#[derive(Clone, Copy, Debug)]
struct Located {
    object: ObjectId,
    len: u16,
    at: u32,
}

/// The page that commits go to.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    page: u32,
    sequence: u32,
    /// The offset in the page of the next frame.
    next: u32,
    /// Whether the page holds a frame that counts.
    used: bool,
}

/// Atomic memory over NOR flash. See the [module](self) for layout, limits and wear.
///
/// ```
/// use huiwan_card::{Batch, InstanceId, Journal, Memory, ObjectId, RamFlash};
///
/// let mut journal = Journal::<_, 32>::format(RamFlash::<65536>::new())?;
/// let (balance, log) = (ObjectId::new(InstanceId(1), 1), ObjectId::new(InstanceId(1), 2));
/// let mut buffer = [0; 64];
/// let mut batch = Batch::new(&mut buffer);
/// batch.put(balance, &[0, 0, 1, 44]);
/// batch.put(log, b"purchase");
/// journal.commit(&batch)?;
///
/// let mut journal = Journal::<_, 32>::mount(journal.into_flash())?;
/// assert_eq!(journal.read(balance, 0, &mut [0; 16])?, [0, 0, 1, 44]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Journal<F: NorFlash, const OBJECTS: usize> {
    flash: F,
    index: heapless::Vec<Located, OBJECTS>,
    pages: u32,
    page_size: u32,
    head: Head,
    /// Pages up to this sequence number count no more.
    retired: u32,
    /// The number of the next frame.
    number: u32,
    /// Erased pages.
    ready: u32,
    /// Pages that have to be erased before they serve.
    dirty: u32,
    /// Bytes of living objects, their overhead included.
    live: u32,
    /// The most erasures a page has seen.
    wear: u32,
    /// A flash operation failed: what is in flash is known again after a mount.
    failed: bool,
}

impl<F: NorFlash, const OBJECTS: usize> Journal<F, OBJECTS> {
    /// The most bytes of one batch.
    pub const LARGEST_COMMIT: usize = {
        let room = F::ERASE_SIZE.saturating_sub(layout::PAGE_OVERHEAD);
        if room > 0xFFF0 { 0xFFF0 } else { room }
    };

    /// The flash.
    pub fn flash(&self) -> &F {
        &self.flash
    }

    /// The flash, for tests that cut its power.
    pub fn flash_mut(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Hands the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// The number of objects.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.index.len()
    }

    /// Bytes that objects take, 6 for each included.
    #[must_use]
    pub fn used(&self) -> usize {
        usize::try_from(self.live).unwrap_or(usize::MAX)
    }

    /// Bytes that objects may take, 6 for each included, when none of them is longer than `largest`.
    #[must_use]
    pub fn capacity(&self, largest: usize) -> usize {
        let lost = u32::try_from(largest.saturating_add(WRITE_OVERHEAD)).unwrap_or(u32::MAX);
        let page = self.page_size.saturating_sub(PAGE_HEADER).saturating_sub(PAGE_SLACK).saturating_sub(lost);
        let pages = self.pages.saturating_sub(RESERVE + COLLECTOR_PAGES + 1);
        usize::try_from(pages.saturating_mul(page)).unwrap_or(usize::MAX)
    }

    /// Bytes of log that commits can take before a collection; a commit of n bytes takes at most n + 19.
    #[must_use]
    pub fn free(&self) -> usize {
        let page = self.page_size.saturating_sub(PAGE_HEADER + RETIRE_FRAME);
        let pages = self.ready.saturating_sub(COLLECTOR_PAGES);
        let head = self.page_size.saturating_sub(self.head.next).saturating_sub(RETIRE_FRAME);
        usize::try_from(pages.saturating_mul(page).saturating_add(head)).unwrap_or(usize::MAX)
    }

    /// Whether the reserve is not complete: [`collect`](Self::collect) should run when there is time and power.
    #[must_use]
    pub fn needs_collection(&self) -> bool {
        self.dirty != 0 || self.ready < RESERVE + COLLECTOR_PAGES
    }

    /// The most erasures that a page has seen.
    #[must_use]
    pub fn wear(&self) -> u32 {
        self.wear
    }

    fn position(&self, object: ObjectId) -> Result<usize, usize> {
        self.index.binary_search_by_key(&object, |located| located.object)
    }

    fn located(&self, object: ObjectId) -> Option<Located> {
        self.position(object).ok().and_then(|at| self.index.get(at)).copied()
    }

    /// Records where an object is now; `false` without room in the index.
    fn index_put(&mut self, new: Located) -> bool {
        match self.position(new.object) {
            Ok(at) => {
                if let Some(old) = self.index.get_mut(at) {
                    self.live = self.live.saturating_sub(size(*old));
                    *old = new;
                }
            }
            Err(at) => {
                if self.index.insert(at, new).is_err() {
                    return false;
                }
            }
        }
        self.live = self.live.saturating_add(size(new));
        true
    }

    fn index_retain(&mut self, keep: impl Fn(ObjectId) -> bool) {
        self.index.retain(|located| keep(located.object));
        self.live = self.index.iter().fold(0, |sum, located| sum.saturating_add(size(*located)));
    }

    fn check_usable(&self) -> Result<(), MemoryError> {
        if self.failed { Err(MemoryError::PowerLost) } else { Ok(()) }
    }

    /// Whether the index and the capacity take the batch.
    fn check_room(&self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        let mut objects = self.index.len();
        let mut live = self.live;
        let mut largest = self.index.iter().map(|located| located.len).max().unwrap_or(0);
        let before = largest;
        let mut writes = batch.iter();
        while let Some(write) = writes.next() {
            let Write::Put(object, data) = write else { continue };
            let again = writes.clone().any(|later| matches!(later, Write::Put(of, _) if of == object));
            if again {
                continue;
            }
            let len = u16::try_from(data.len()).map_err(|_| MemoryError::TooLarge)?;
            largest = largest.max(len);
            match self.located(object) {
                Some(old) => live = live.saturating_sub(size(old)),
                None => objects = objects.saturating_add(1),
            }
            live = live.saturating_add(size(Located { object, len, at: 0 }));
        }
        let grows = live > self.live || largest > before;
        let capacity = u32::try_from(self.capacity(usize::from(largest))).unwrap_or(u32::MAX);
        if objects > OBJECTS || (grows && live > capacity) { Err(MemoryError::Full) } else { Ok(()) }
    }

    /// Sees to it that a frame of `size` bytes fits into the head page and leaves `spare` bytes; opens a page if there are more
    /// than `keep` erased ones.
    fn make_room(&mut self, size: u32, spare: u32, keep: u32) -> Result<(), MemoryError> {
        let end = self.head.next.saturating_add(size).saturating_add(spare);
        if end <= self.page_size {
            return Ok(());
        }
        if self.ready <= keep {
            return Err(MemoryError::Full);
        }
        let mut page = self.head.page;
        for _ in 0..self.pages {
            page = page.saturating_add(1).checked_rem(self.pages).unwrap_or(0);
            if let Page::Ready { .. } = self.page(page)? {
                return self.open(page);
            }
        }
        Err(MemoryError::Damaged)
    }

    fn open(&mut self, page: u32) -> Result<(), MemoryError> {
        let sequence = self.head.sequence.checked_add(1).ok_or(MemoryError::Full)?;
        let header = layout::opened_header(sequence, self.number);
        self.program(self.base(page).saturating_add(OPENED_AT), &header)?;
        self.ready = self.ready.saturating_sub(1);
        self.head = Head { page, sequence, next: PAGE_HEADER, used: false };
        Ok(())
    }

    fn base(&self, page: u32) -> u32 {
        page.saturating_mul(self.page_size)
    }

    fn page(&mut self, page: u32) -> Result<Page, MemoryError> {
        let mut header = [0; layout::PAGE_HEADER_LEN];
        let base = self.base(page);
        layout::read(&mut self.flash, base, &mut header)?;
        Ok(Page::parse(&header))
    }

    fn program(&mut self, at: u32, bytes: &[u8]) -> Result<(), MemoryError> {
        self.flash.write(at, bytes).map_err(|_| {
            self.failed = true;
            MemoryError::PowerLost
        })
    }

    /// Appends a frame that `write` fills with `len` bytes; there has to be room. Returns the address of its first byte.
    fn append(
        &mut self,
        len: u16,
        write: impl FnOnce(&mut FrameWriter<'_, F>) -> Result<(), MemoryError>,
    ) -> Result<u32, MemoryError> {
        let data = self.begin_frame(len)?;
        let mut frame = FrameWriter::new(&mut self.flash, data, self.head.sequence);
        write(&mut frame)?;
        frame.finish()?;
        self.end_frame(len);
        Ok(data)
    }

    /// Programs the header of a frame. Whatever fails until [`end_frame`](Self::end_frame) leaves a place that only a mount can
    /// judge.
    fn begin_frame(&mut self, len: u16) -> Result<u32, MemoryError> {
        let at = self.base(self.head.page).saturating_add(self.head.next);
        let header = layout::frame_header(len, self.number, self.head.sequence, at);
        self.failed = true;
        self.flash.write(at, &header).map_err(|_| MemoryError::PowerLost)?;
        Ok(at.saturating_add(FRAME_HEADER))
    }

    fn end_frame(&mut self, len: u16) {
        self.failed = false;
        self.head.next = self.head.next.saturating_add(frame_size(len));
        self.head.used = true;
        self.number = self.number.wrapping_add(1);
    }
}

/// Bytes of a living object.
fn size(located: Located) -> u32 {
    u32::from(located.len).saturating_add(layout::WRITE_OVERHEAD)
}

impl<F: NorFlash, const OBJECTS: usize> Memory for Journal<F, OBJECTS> {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        self.check_usable()?;
        let located = self.located(object).ok_or(MemoryError::NotFound)?;
        let rest = usize::from(located.len).saturating_sub(at);
        let n = rest.min(out.len());
        let out = out.get_mut(..n).unwrap_or_default();
        if !out.is_empty() {
            let from = located.at.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            layout::read(&mut self.flash, from, out)?;
        }
        Ok(out)
    }

    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        self.check_usable()?;
        Ok(self.located(object).map(|located| usize::from(located.len)))
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        self.check_usable()?;
        let bytes = batch.encoded().ok_or(MemoryError::TooLarge)?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() > Self::LARGEST_COMMIT {
            return Err(MemoryError::TooLarge);
        }
        let len = u16::try_from(bytes.len()).map_err(|_| MemoryError::TooLarge)?;
        self.check_room(batch)?;
        self.make_room(frame_size(len), RETIRE_FRAME, COLLECTOR_PAGES)?;
        let mut at = self.append(len, |frame| frame.push(bytes))?;
        for write in batch.iter() {
            at = at.saturating_add(layout::WRITE_OVERHEAD);
            match write {
                Write::Put(object, data) => {
                    let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
                    self.index_put(Located { object, len, at });
                    at = at.saturating_add(u32::from(len));
                }
                Write::Delete(object) => self.index_retain(|of| of != object),
                Write::DeleteInstance(instance) => self.index_retain(|of| of.instance != instance),
            }
        }
        Ok(())
    }

    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        self.check_usable()?;
        let at = match after {
            None => 0,
            Some(object) => self.index.partition_point(|located| located.object <= object),
        };
        Ok(self.index.get(at).map(|located| located.object))
    }

    fn room(&self) -> Option<usize> {
        let largest = self.index.iter().map(|located| located.len).max().unwrap_or(0);
        Some(self.capacity(usize::from(largest)).saturating_sub(self.used()))
    }
}
