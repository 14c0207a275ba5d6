//! NOR flash in RAM, for tests, examples and state files, with power that can be cut anywhere.

use core::fmt;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use crate::bytes::copy;

/// How a flash operation ends when power is cut in it. After the cut every operation fails until [`RamFlash::power_on`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// Nothing was done.
    Before,
    /// All was done, nobody heard of it.
    After,
    /// A prefix of the bytes was programmed or erased; how long is taken from the seed.
    Prefix,
    /// A prefix of the words was programmed and the next word is random; an erase leaves random content.
    Random,
}

impl Cut {
    /// Every mode, for exhaustive tests.
    pub const ALL: [Self; 4] = [Self::Before, Self::After, Self::Prefix, Self::Random];
}

/// Why an operation on a [`RamFlash`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RamFlashError {
    /// Power was cut and has not come back.
    PowerLost,
    /// A word that is not erased was to be programmed.
    NotErased,
    /// Offset or length is not aligned.
    NotAligned,
    /// Offset or length is outside the flash.
    OutOfBounds,
}

impl fmt::Display for RamFlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerLost => "power was cut",
            Self::NotErased => "word is not erased",
            Self::NotAligned => "operation is not aligned",
            Self::OutOfBounds => "operation is outside the flash",
        })
    }
}

impl core::error::Error for RamFlashError {}

impl NorFlashError for RamFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::PowerLost | Self::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl From<NorFlashErrorKind> for RamFlashError {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::OutOfBounds => Self::OutOfBounds,
            _ => Self::NotAligned,
        }
    }
}

/// `BYTES` of NOR flash, erased in pages of `PAGE` bytes and programmed in words of `WORD` bytes, each once between erasures:
/// programming a word that is not all FF is refused.
///
/// ```
/// use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
/// use huiwan_card::{Cut, RamFlash};
///
/// let mut flash = RamFlash::<8192>::new();
/// flash.cut_after(1, Cut::Before, 0);
/// flash.write(0, &[1; 8])?;
/// assert!(flash.write(8, &[2; 8]).is_err());
/// flash.power_on();
/// let mut read = [0; 16];
/// flash.read(0, &mut read)?;
/// assert_eq!(read, [1, 1, 1, 1, 1, 1, 1, 1, 255, 255, 255, 255, 255, 255, 255, 255]);
/// # Ok::<(), huiwan_card::RamFlashError>(())
/// ```
#[derive(Clone)]
pub struct RamFlash<const BYTES: usize, const PAGE: usize = 4096, const WORD: usize = 8> {
    bytes: [u8; BYTES],
    operations: u32,
    erases: u32,
    plan: Option<Plan>,
    dead: bool,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    after: u32,
    cut: Cut,
    seed: u32,
}

impl<const BYTES: usize> RamFlash<BYTES> {
    /// Erased flash with pages of 4096 and words of 8 bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self::erased()
    }
}

impl<const BYTES: usize> Default for RamFlash<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize, const PAGE: usize, const WORD: usize> RamFlash<BYTES, PAGE, WORD> {
    /// Erased flash of any geometry.
    #[must_use]
    pub const fn erased() -> Self {
        Self::from_bytes([0xFF; BYTES])
    }

    /// Flash with this content, as [`bytes`](Self::bytes) gave it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self { bytes, operations: 0, erases: 0, plan: None, dead: false }
    }

    /// The content.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; BYTES] {
        &self.bytes
    }

    /// The content, to be damaged by a test.
    pub const fn bytes_mut(&mut self) -> &mut [u8; BYTES] {
        &mut self.bytes
    }

    /// The content, for a state file.
    #[must_use]
    pub fn into_bytes(self) -> [u8; BYTES] {
        self.bytes
    }

    /// Cuts power in the program or erase operation after the next `operations` ones, in this mode. `seed` chooses lengths and
    /// random content.
    pub fn cut_after(&mut self, operations: u32, cut: Cut, seed: u32) {
        self.plan = Some(Plan { after: operations, cut, seed });
    }

    /// Power is back, and no cut is planned.
    pub fn power_on(&mut self) {
        self.dead = false;
        self.plan = None;
    }

    /// Whether power has been cut.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Program and erase operations that were begun so far.
    #[must_use]
    pub fn operations(&self) -> u32 {
        self.operations
    }

    /// Pages erased so far.
    #[must_use]
    pub fn erases(&self) -> u32 {
        self.erases
    }

    /// Counts an operation; the plan, when it is the one to be cut.
    fn begin(&mut self) -> Result<Option<Plan>, RamFlashError> {
        if self.dead {
            return Err(RamFlashError::PowerLost);
        }
        self.operations = self.operations.wrapping_add(1);
        match &mut self.plan {
            Some(plan) if plan.after == 0 => {
                self.dead = true;
                Ok(self.plan.take())
            }
            Some(plan) => {
                plan.after = plan.after.saturating_sub(1);
                Ok(None)
            }
            None => Ok(None),
        }
    }
}

impl<const BYTES: usize, const PAGE: usize, const WORD: usize> fmt::Debug for RamFlash<BYTES, PAGE, WORD> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RamFlash")
            .field("operations", &self.operations)
            .field("erases", &self.erases)
            .field("plan", &self.plan)
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

impl<const BYTES: usize, const PAGE: usize, const WORD: usize> ErrorType for RamFlash<BYTES, PAGE, WORD> {
    type Error = RamFlashError;
}

impl<const BYTES: usize, const PAGE: usize, const WORD: usize> ReadNorFlash for RamFlash<BYTES, PAGE, WORD> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, out: &mut [u8]) -> Result<(), RamFlashError> {
        if self.dead {
            return Err(RamFlashError::PowerLost);
        }
        check_read(self, offset, out.len())?;
        copy(out, range(&mut self.bytes, offset, out.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl<const BYTES: usize, const PAGE: usize, const WORD: usize> NorFlash for RamFlash<BYTES, PAGE, WORD> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        check_erase(self, from, to)?;
        let len = usize::try_from(to.saturating_sub(from)).map_err(|_| RamFlashError::OutOfBounds)?;
        let plan = self.begin()?;
        let target = range(&mut self.bytes, from, len)?;
        match plan.map(|plan| (plan.cut, Chance::new(plan.seed))) {
            None | Some((Cut::After, _)) => target.fill(0xFF),
            Some((Cut::Before, _)) => {}
            Some((Cut::Prefix, mut chance)) => {
                let n = chance.below(len);
                target.iter_mut().take(n).for_each(|byte| *byte = 0xFF);
            }
            Some((Cut::Random, mut chance)) => target.iter_mut().for_each(|byte| *byte = chance.byte()),
        }
        let pages = u32::try_from(len.checked_div(PAGE).unwrap_or(0)).unwrap_or(u32::MAX);
        self.erases = self.erases.wrapping_add(pages);
        if plan.is_some() { Err(RamFlashError::PowerLost) } else { Ok(()) }
    }

    fn write(&mut self, offset: u32, data: &[u8]) -> Result<(), RamFlashError> {
        check_write(self, offset, data.len())?;
        if range(&mut self.bytes, offset, data.len())?.iter().any(|&byte| byte != 0xFF) && !self.dead {
            return Err(RamFlashError::NotErased);
        }
        let plan = self.begin()?;
        let target = range(&mut self.bytes, offset, data.len())?;
        match plan.map(|plan| (plan.cut, Chance::new(plan.seed))) {
            None | Some((Cut::After, _)) => copy(target, data),
            Some((Cut::Before, _)) => {}
            Some((Cut::Prefix, mut chance)) => {
                let n = chance.below(data.len());
                target.iter_mut().zip(data).take(n).for_each(|(byte, new)| *byte = *new);
            }
            Some((Cut::Random, mut chance)) => {
                let words = chance.below(data.len().checked_div(WORD).unwrap_or(0));
                let n = words.saturating_mul(WORD);
                target.iter_mut().zip(data).take(n).for_each(|(byte, new)| *byte = *new);
                target.iter_mut().skip(n).take(WORD).for_each(|byte| *byte = chance.byte());
            }
        }
        if plan.is_some() { Err(RamFlashError::PowerLost) } else { Ok(()) }
    }
}

fn range(bytes: &mut [u8], offset: u32, len: usize) -> Result<&mut [u8], RamFlashError> {
    let from = usize::try_from(offset).map_err(|_| RamFlashError::OutOfBounds)?;
    let to = from.checked_add(len).ok_or(RamFlashError::OutOfBounds)?;
    bytes.get_mut(from..to).ok_or(RamFlashError::OutOfBounds)
}

/// A small generator (xorshift) for torn content; nothing secret.
struct Chance(u32);

impl Chance {
    fn new(seed: u32) -> Self {
        Self((seed ^ 0x9E37_79B9).max(1))
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn byte(&mut self) -> u8 {
        let [_, byte, ..] = self.next().to_be_bytes();
        byte
    }

    /// A number below `n`, or 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0).checked_rem(n).unwrap_or(0)
    }
}
