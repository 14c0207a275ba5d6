//! Formatting and mounting. Mounting only reads.

use embedded_storage::nor_flash::NorFlash;

use super::layout::{
    self, FRAME_HEADER, Geometry, PAGE_HEADER, PAGE_HEADER_LEN, Page, Place, RETIRE_LEN, frame_size,
};
use super::{Head, Journal, JournalError, Located, MIN_PAGES};
use crate::batch::{self, Kind};
use crate::memory::MemoryError;

impl From<MemoryError> for JournalError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::PowerLost => Self::Flash,
            _ => Self::Damaged,
        }
    }
}

impl<F: NorFlash, const OBJECTS: usize> Journal<F, OBJECTS> {
    /// Erases the flash and makes an empty journal in it. When this is cut, mounting
    /// finds the old journal, an error, or the empty one, but never part of the old one.
    ///
    /// # Errors
    /// [`JournalError::Geometry`] and [`JournalError::Flash`].
    pub fn format(flash: F) -> Result<Self, JournalError> {
        let mut journal = Self::blank(flash)?;
        // The oldest page goes first: without it the rest of an old journal does not mount.
        while let Some(page) = journal.oldest()? {
            let (from, to) = (journal.base(page), journal.base(page.saturating_add(1)));
            journal.flash.erase(from, to).map_err(|_| JournalError::Flash)?;
        }
        for page in 0..journal.pages {
            let (from, to) = (journal.base(page), journal.base(page.saturating_add(1)));
            journal.flash.erase(from, to).map_err(|_| JournalError::Flash)?;
        }
        let header = layout::erased_header(1, journal.geometry()?);
        for page in 0..journal.pages {
            journal.program(journal.base(page), &header)?;
        }
        journal.wear = 1;
        journal.ready = journal.pages;
        journal.open(0)?;
        Ok(journal)
    }

    /// Takes up the journal in `flash`.
    ///
    /// # Errors
    /// See [`JournalError`]; nothing is ever written.
    pub fn mount(flash: F) -> Result<Self, JournalError> {
        let mut journal = Self::blank(flash)?;
        let (first, last) = journal.survey()?;
        let mut page = first;
        for sequence in journal.retired.saturating_add(1)..=last {
            page = journal.find(page, sequence)?;
            journal.replay(page, sequence)?;
            page = page.saturating_add(1).checked_rem(journal.pages).unwrap_or(0);
        }
        Ok(journal)
    }

    /// The opened page with the lowest sequence number.
    fn oldest(&mut self) -> Result<Option<u32>, MemoryError> {
        let mut oldest = None;
        for page in 0..self.pages {
            if let Page::Opened { sequence, .. } = self.page(page)?
                && oldest.is_none_or(|(lowest, _)| sequence < lowest)
            {
                oldest = Some((sequence, page));
            }
        }
        Ok(oldest.map(|(_, page)| page))
    }

    fn blank(flash: F) -> Result<Self, JournalError> {
        let page_size = u32::try_from(F::ERASE_SIZE).map_err(|_| JournalError::Geometry)?;
        let capacity = u32::try_from(flash.capacity()).map_err(|_| JournalError::Geometry)?;
        let pages = capacity.checked_div(page_size).unwrap_or(0);
        let fits = |unit: usize| matches!(unit, 1 | 2 | 4 | 8);
        if !fits(F::WRITE_SIZE)
            || !fits(F::READ_SIZE)
            || !page_size.is_multiple_of(16)
            || page_size < 256
            || pages < MIN_PAGES
        {
            return Err(JournalError::Geometry);
        }
        let journal = Self {
            flash,
            index: heapless::Vec::new(),
            pages,
            page_size,
            head: Head::default(),
            retired: 0,
            number: 0,
            ready: 0,
            dirty: 0,
            live: 0,
            wear: 0,
            failed: false,
        };
        journal.geometry()?;
        Ok(journal)
    }

    pub(super) fn geometry(&self) -> Result<Geometry, JournalError> {
        let pages = u16::try_from(self.pages).map_err(|_| JournalError::Geometry)?;
        let size = u16::try_from(self.page_size / 16).map_err(|_| JournalError::Geometry)?;
        Ok(Geometry { pages, size })
    }

    /// Reads all page headers and all retirements; the first page to look for the log in and its last sequence number.
    fn survey(&mut self) -> Result<(u32, u32), JournalError> {
        let geometry = self.geometry()?;
        let mut last = None;
        let mut opened = 0_u32;
        for page in 0..self.pages {
            let mut header = [0; PAGE_HEADER_LEN];
            let base = self.base(page);
            layout::read(&mut self.flash, base, &mut header)?;
            let state = Page::parse_for(&header, geometry);
            self.wear = self.wear.max(state.wear().unwrap_or(0));
            match state {
                Page::Ready { .. } => self.ready = self.ready.saturating_add(1),
                Page::Opened { sequence, .. } => {
                    opened = opened.saturating_add(1);
                    last = last.max(Some(sequence));
                    self.retired = self.retired.max(self.retirements(page, sequence)?);
                }
                Page::Dirty { .. } => {}
                Page::Foreign { version } => return Err(JournalError::UnknownVersion(version)),
                Page::Misfit => return Err(JournalError::Geometry),
            }
        }
        let last = last.ok_or(JournalError::NotFormatted)?;
        let live = last.checked_sub(self.retired).ok_or(JournalError::Damaged)?;
        if live == 0 || live > opened {
            return Err(JournalError::Damaged);
        }
        self.dirty = self.pages.saturating_sub(self.ready).saturating_sub(live);
        Ok((0, last))
    }

    /// The highest sequence number that is retired in `page`, or 0.
    fn retirements(&mut self, page: u32, sequence: u32) -> Result<u32, JournalError> {
        let mut retired = 0;
        let mut at = PAGE_HEADER;
        while let Some((place, address)) = self.place(page, sequence, at)? {
            at = match place {
                Place::Blank => break,
                Place::Torn => at.saturating_add(FRAME_HEADER),
                Place::Frame { len, .. } => {
                    let data = address.saturating_add(FRAME_HEADER);
                    let end = at.saturating_add(frame_size(len));
                    if len == RETIRE_LEN
                        && end <= self.page_size
                        && layout::is_whole(&mut self.flash, data, len, sequence)?
                    {
                        let mut bytes = [0; 10];
                        layout::read(&mut self.flash, data, &mut bytes)?;
                        retired = retired.max(layout::parse_retirement(&bytes).unwrap_or(0));
                    }
                    end
                }
            };
        }
        Ok(retired)
    }

    /// What is at offset `at` of `page`, and its address; `None` where no frame fits any more.
    fn place(&mut self, page: u32, sequence: u32, at: u32) -> Result<Option<(Place, u32)>, MemoryError> {
        if at.saturating_add(frame_size(1)) > self.page_size {
            return Ok(None);
        }
        let address = self.base(page).saturating_add(at);
        let mut header = [0; 8];
        layout::read(&mut self.flash, address, &mut header)?;
        Ok(Some((Place::parse(&header, sequence, address), address)))
    }

    /// The page with this sequence number, looked for from `from` on.
    pub(super) fn find(&mut self, from: u32, sequence: u32) -> Result<u32, MemoryError> {
        for offset in 0..self.pages {
            let page = from.saturating_add(offset).checked_rem(self.pages).unwrap_or(0);
            if matches!(self.page(page)?, Page::Opened { sequence: of, .. } if of == sequence) {
                return Ok(page);
            }
        }
        Err(MemoryError::Damaged)
    }

    /// Puts the frames of `page` into the index; it becomes the head.
    fn replay(&mut self, page: u32, sequence: u32) -> Result<(), JournalError> {
        let Page::Opened { number, .. } = self.page(page)? else { return Err(JournalError::Damaged) };
        if self.head.sequence == 0 {
            self.number = number;
        } else if number != self.number {
            return Err(JournalError::Damaged);
        }
        let mut at = PAGE_HEADER;
        let mut used = false;
        while let Some((place, address)) = self.place(page, sequence, at)? {
            at = match place {
                Place::Blank => break,
                Place::Torn => at.saturating_add(FRAME_HEADER),
                Place::Frame { len, number } => {
                    let [_, _, n1, n2] = self.number.to_be_bytes();
                    let end = at.saturating_add(frame_size(len));
                    if number != u16::from_be_bytes([n1, n2]) || end > self.page_size {
                        return Err(JournalError::Damaged);
                    }
                    let data = address.saturating_add(FRAME_HEADER);
                    if layout::is_whole(&mut self.flash, data, len, sequence)? {
                        self.apply(data, len)?;
                        self.number = self.number.wrapping_add(1);
                        used = true;
                    }
                    end
                }
            };
        }
        self.head = Head { page, sequence, next: at, used };
        Ok(())
    }

    /// Puts the writes of a frame into the index.
    fn apply(&mut self, data: u32, len: u16) -> Result<(), JournalError> {
        let end = data.saturating_add(u32::from(len));
        let mut at = data;
        while at < end {
            let mut head = [0; batch::WRITE_OVERHEAD];
            let body = at.saturating_add(layout::WRITE_OVERHEAD);
            if body > end {
                return Err(JournalError::Damaged);
            }
            layout::read(&mut self.flash, at, &mut head)?;
            if len == RETIRE_LEN && at == data {
                let mut bytes = [0; 10];
                layout::read(&mut self.flash, at, &mut bytes)?;
                if layout::parse_retirement(&bytes).is_some() {
                    return Ok(());
                }
            }
            let head = batch::Head::parse(&head).ok_or(JournalError::Damaged)?;
            let size = u16::try_from(head.len).map_err(|_| JournalError::Damaged)?;
            at = body.saturating_add(u32::from(size));
            if at > end {
                return Err(JournalError::Damaged);
            }
            match head.kind {
                Kind::Put => {
                    if !self.index_put(Located { object: head.object, len: size, at: body }) {
                        return Err(JournalError::TooManyObjects);
                    }
                }
                Kind::Delete => self.index_retain(|of| of != head.object),
                Kind::DeleteInstance => self.index_retain(|of| of.instance != head.object.instance),
            }
        }
        Ok(())
    }
}
