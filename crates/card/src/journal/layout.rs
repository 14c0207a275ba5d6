//! The bytes of the journal: page headers, frames, CRC-32, access aligned as the flash wants it.

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::copy;
use crate::memory::MemoryError;

/// The layout version, in every page.
pub(super) const VERSION: u8 = 1;
const MAGIC: [u8; 3] = *b"HWJ";

pub(super) const PAGE_HEADER_LEN: usize = 32;
pub(super) const PAGE_HEADER: u32 = 32;
/// Where in the page header the part begins that is written on opening.
pub(super) const OPENED_AT: u32 = 16;
pub(super) const FRAME_HEADER: u32 = 8;
pub(super) const WRITE_OVERHEAD: u32 = 6;
/// The write that retires pages: kind 4, nothing, length 4, then the sequence number.
const RETIRE: [u8; 6] = [4, 0, 0, 0, 0, 4];
pub(super) const RETIRE_LEN: u16 = 10;
/// The place a frame with a retirement takes; each page keeps as much for it.
pub(super) const RETIRE_FRAME: u32 = frame_size(RETIRE_LEN);
/// What of a page a batch cannot use: header, frame header, CRC and the place of a retirement.
pub(super) const PAGE_OVERHEAD: usize = 32 + 8 + 4 + 24;
const ALIGN: usize = 8;

const _: () = assert!(RETIRE_FRAME == 24);

/// What a page header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Erased, nothing written.
    Ready { wear: u32 },
    /// Part of the log.
    Opened { wear: u32, sequence: u32, number: u32 },
    /// Anything else: to be erased.
    Dirty { wear: Option<u32> },
    /// Of another layout version.
    Foreign { version: u8 },
    /// Erased by a journal for another flash size.
    Misfit,
}

/// The number and size of pages, as in the erased header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) pages: u16,
    /// In units of 16 bytes.
    pub(super) size: u16,
}

impl Page {
    pub(super) fn parse(header: &[u8; PAGE_HEADER_LEN]) -> Self {
        let [
            m1,
            m2,
            m3,
            version,
            w1,
            w2,
            w3,
            w4,
            p1,
            p2,
            z1,
            z2,
            c1,
            c2,
            c3,
            c4,
            s1,
            s2,
            s3,
            s4,
            n1,
            n2,
            n3,
            n4,
            r1,
            r2,
            r3,
            r4,
            d1,
            d2,
            d3,
            d4,
        ] = *header;
        let erased = [m1, m2, m3, version, w1, w2, w3, w4, p1, p2, z1, z2];
        if [m1, m2, m3] != MAGIC || crc(&[&erased]) != u32::from_be_bytes([c1, c2, c3, c4]) {
            return Self::Dirty { wear: None };
        }
        if version != VERSION {
            return Self::Foreign { version };
        }
        let wear = u32::from_be_bytes([w1, w2, w3, w4]);
        let opened = [s1, s2, s3, s4, n1, n2, n3, n4, r1, r2, r3, r4];
        let check = [d1, d2, d3, d4];
        if opened == [0xFF; 12] && check == [0xFF; 4] {
            Self::Ready { wear }
        } else if crc(&[&opened]) == u32::from_be_bytes(check) {
            let sequence = u32::from_be_bytes([s1, s2, s3, s4]);
            Self::Opened { wear, sequence, number: u32::from_be_bytes([n1, n2, n3, n4]) }
        } else {
            Self::Dirty { wear: Some(wear) }
        }
    }

    /// The same, but [`Page::Misfit`] when the page was erased for another geometry.
    pub(super) fn parse_for(header: &[u8; PAGE_HEADER_LEN], geometry: Geometry) -> Self {
        let [_, _, _, _, _, _, _, _, p1, p2, z1, z2, ..] = *header;
        let written = Geometry { pages: u16::from_be_bytes([p1, p2]), size: u16::from_be_bytes([z1, z2]) };
        match Self::parse(header) {
            Self::Ready { .. } | Self::Opened { .. } if written != geometry => Self::Misfit,
            page => page,
        }
    }

    pub(super) fn wear(self) -> Option<u32> {
        match self {
            Self::Ready { wear } | Self::Opened { wear, .. } => Some(wear),
            Self::Dirty { wear } => wear,
            Self::Foreign { .. } | Self::Misfit => None,
        }
    }
}

/// The header of a page whose erasure is done.
pub(super) fn erased_header(wear: u32, geometry: Geometry) -> [u8; 16] {
    let [m1, m2, m3] = MAGIC;
    let [w1, w2, w3, w4] = wear.to_be_bytes();
    let [p1, p2] = geometry.pages.to_be_bytes();
    let [z1, z2] = geometry.size.to_be_bytes();
    with_crc([m1, m2, m3, VERSION, w1, w2, w3, w4, p1, p2, z1, z2])
}

/// The header of a page that becomes the head.
pub(super) fn opened_header(sequence: u32, number: u32) -> [u8; 16] {
    let [s1, s2, s3, s4] = sequence.to_be_bytes();
    let [n1, n2, n3, n4] = number.to_be_bytes();
    with_crc([s1, s2, s3, s4, n1, n2, n3, n4, 0, 0, 0, 0])
}

fn with_crc(bytes: [u8; 12]) -> [u8; 16] {
    let mut out = [0; 16];
    let (head, tail) = out.split_at_mut(12);
    copy(head, &bytes);
    copy(tail, &crc(&[&bytes]).to_be_bytes());
    out
}

/// What is at the place of a frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing: the log ends here.
    Blank,
    /// A header that was torn: nothing of its frame was written.
    Torn,
    /// A frame with so many bytes.
    Frame { len: u16, number: u16 },
}

impl Place {
    pub(super) fn parse(header: &[u8; 8], sequence: u32, at: u32) -> Self {
        let &[l1, l2, n1, n2, c1, c2, c3, c4] = header;
        if *header == [0xFF; 8] {
            return Self::Blank;
        }
        let check = frame_crc([l1, l2], [n1, n2], sequence, at);
        if check != u32::from_be_bytes([c1, c2, c3, c4]) {
            return Self::Torn;
        }
        Self::Frame { len: u16::from_be_bytes([l1, l2]), number: u16::from_be_bytes([n1, n2]) }
    }
}

pub(super) fn frame_header(len: u16, number: u32, sequence: u32, at: u32) -> [u8; 8] {
    let [_, _, n1, n2] = number.to_be_bytes();
    let [l1, l2] = len.to_be_bytes();
    let [c1, c2, c3, c4] = frame_crc([l1, l2], [n1, n2], sequence, at).to_be_bytes();
    [l1, l2, n1, n2, c1, c2, c3, c4]
}

fn frame_crc(len: [u8; 2], number: [u8; 2], sequence: u32, at: u32) -> u32 {
    crc(&[&len, &number, &sequence.to_be_bytes(), &at.to_be_bytes()])
}

/// The whole place of a frame with `len` bytes.
pub(super) const fn frame_size(len: u16) -> u32 {
    let [hi, lo] = len.to_be_bytes();
    let unpadded = u32::from_be_bytes([0, 0, hi, lo]).saturating_add(4 + FRAME_HEADER + 7);
    unpadded & !7
}

/// The bytes of a retirement.
pub(super) fn retirement(sequence: u32) -> [u8; 10] {
    let [a, b, c, d, e, f] = RETIRE;
    let [s1, s2, s3, s4] = sequence.to_be_bytes();
    [a, b, c, d, e, f, s1, s2, s3, s4]
}

/// The sequence number in a retirement, `None` for any other bytes.
pub(super) fn parse_retirement(bytes: &[u8; 10]) -> Option<u32> {
    let [a, b, c, d, e, f, s1, s2, s3, s4] = *bytes;
    ([a, b, c, d, e, f] == RETIRE).then_some(u32::from_be_bytes([s1, s2, s3, s4]))
}

/// Writes the bytes of a frame through a small buffer, then their CRC.
pub(super) struct FrameWriter<'f, F> {
    flash: &'f mut F,
    at: u32,
    crc: Crc,
    buffer: [u8; 64],
    len: usize,
}

impl<'f, F: NorFlash> FrameWriter<'f, F> {
    pub(super) fn new(flash: &'f mut F, at: u32, sequence: u32) -> Self {
        Self { flash, at, crc: Crc::of_frame(sequence, at), buffer: [0; 64], len: 0 }
    }

    pub(super) fn flash(&mut self) -> &mut F {
        self.flash
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        self.crc.update(bytes);
        self.write(bytes)
    }

    pub(super) fn finish(mut self) -> Result<(), MemoryError> {
        let crc = self.crc.finish().to_be_bytes();
        self.write(&crc)?;
        let padded = self.len.next_multiple_of(ALIGN);
        if let Some(padding) = self.buffer.get_mut(self.len..padded) {
            padding.fill(0);
        }
        self.len = padded;
        self.flush()
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), MemoryError> {
        while !bytes.is_empty() {
            if self.len == 0 && bytes.len() >= self.buffer.len() {
                let whole = bytes.len() & !(ALIGN - 1);
                self.program(bytes.get(..whole).unwrap_or_default())?;
                bytes = bytes.get(whole..).unwrap_or_default();
                continue;
            }
            let space = self.buffer.get_mut(self.len..).unwrap_or_default();
            let n = space.len().min(bytes.len());
            copy(space, bytes);
            self.len = self.len.saturating_add(n);
            bytes = bytes.get(n..).unwrap_or_default();
            if self.len == self.buffer.len() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), MemoryError> {
        let buffer = self.buffer;
        let n = core::mem::take(&mut self.len);
        match buffer.get(..n) {
            Some(bytes) if n != 0 => self.program(bytes),
            _ => Ok(()),
        }
    }

    fn program(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        self.flash.write(self.at, bytes).map_err(|_| MemoryError::PowerLost)?;
        self.at = self.at.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        Ok(())
    }
}

/// Whether the `len` bytes at `at` are followed by their CRC.
pub(super) fn is_whole<F: NorFlash>(
    flash: &mut F,
    at: u32,
    len: u16,
    sequence: u32,
) -> Result<bool, MemoryError> {
    let mut crc = Crc::of_frame(sequence, at);
    let mut from = at;
    let mut rest = usize::from(len);
    let mut buffer = [0; 64];
    while rest != 0 {
        let n = rest.min(buffer.len());
        let part = buffer.get_mut(..n).unwrap_or_default();
        read(flash, from, part)?;
        crc.update(part);
        rest = rest.saturating_sub(n);
        from = from.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    }
    let mut check = [0; 4];
    read(flash, from, &mut check)?;
    Ok(crc.finish() == u32::from_be_bytes(check))
}

/// Reads from any address, in units that the flash can read.
pub(super) fn read<F: NorFlash>(flash: &mut F, at: u32, out: &mut [u8]) -> Result<(), MemoryError> {
    let lost = |_| MemoryError::PowerLost;
    if F::READ_SIZE <= 1 {
        return flash.read(at, out).map_err(lost);
    }
    // Units are at most 8 bytes, and pages are whole words of 8.
    let mut word_at = at & !7;
    let mut skip = usize::try_from(at & 7).unwrap_or(0);
    let mut out = out.iter_mut();
    while out.len() != 0 {
        let mut word = [0; ALIGN];
        flash.read(word_at, &mut word).map_err(lost)?;
        // The bytes come first: a zip asks its first side first, and must not swallow a place of `out`.
        for (from, to) in word.iter().skip(skip).zip(out.by_ref()) {
            *to = *from;
        }
        skip = 0;
        word_at = word_at.saturating_add(8);
    }
    Ok(())
}

/// CRC-32/ISO-HDLC.
#[derive(Clone, Copy)]
pub(super) struct Crc(u32);

impl Crc {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Begun with what the CRC of a frame covers besides its bytes.
    fn of_frame(sequence: u32, at: u32) -> Self {
        let mut crc = Self::new();
        crc.update(&sequence.to_be_bytes());
        crc.update(&at.to_be_bytes());
        crc
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            let row = TABLE.get(usize::from(low ^ byte)).copied().unwrap_or(0);
            self.0 = (self.0 >> 8) ^ row;
        }
    }

    pub(super) fn finish(self) -> u32 {
        !self.0
    }
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.finish()
}

static TABLE: [u32; 256] = table();

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    let mut at = 0_usize;
    while at < 256 {
        let mut row = byte;
        let mut bit = 0_u8;
        while bit < 8 {
            row = if row & 1 == 1 { (row >> 1) ^ 0xEDB8_8320 } else { row >> 1 };
            bit = bit.wrapping_add(1);
        }
        table[at] = row;
        byte = byte.wrapping_add(1);
        at = at.wrapping_add(1);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_catalogue() {
        // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc(&[b"12345", b"6789"]), 0xCBF4_3926);
    }

    #[test]
    fn frame_sizes() {
        assert_eq!(frame_size(1), 16);
        assert_eq!(frame_size(4), 16);
        assert_eq!(frame_size(5), 24);
    }
}
