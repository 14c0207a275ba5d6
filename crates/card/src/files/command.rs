//! READ and UPDATE BINARY and RECORD, APPEND RECORD. [ISO 7816-4 11.3, 11.4]

use huiwan_apdu::{Command, Sw};

use super::{Current, File, Files, Structure};
use crate::batch::Batch;
use crate::context::Context;
use crate::response::ResponseWriter;

/// Which of several records with the same identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The first.
    First,
    /// The last.
    Last,
    /// The first after this record number.
    NextAfter(u8),
    /// The last before this record number.
    PreviousBefore(u8),
}

/// P1 P2 of READ BINARY and UPDATE BINARY. [ISO 7816-4 11.3.2]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryTarget {
    /// The short identifier, `None` for the current file.
    pub sfi: Option<u8>,
    /// The offset in bytes.
    pub offset: usize,
}

impl BinaryTarget {
    /// Reads P1 P2.
    ///
    /// # Errors
    /// 6A86 for a P1 whose reserved bits are set.
    pub fn parse(p1: u8, p2: u8) -> Result<Self, Sw> {
        match p1 {
            0x00..=0x7F => Ok(Self { sfi: None, offset: usize::from(u16::from_be_bytes([p1, p2])) }),
            0x80..=0x9E => Ok(Self { sfi: Some(p1 & 0x1F).filter(|&sfi| sfi != 0), offset: usize::from(p2) }),
            _ => Err(Sw::WRONG_P1P2),
        }
    }
}

/// P1 P2 of READ RECORD, UPDATE RECORD and APPEND RECORD. [ISO 7816-4 11.4.2]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTarget {
    /// The short identifier, `None` for the current file.
    pub sfi: Option<u8>,
    /// P1: a record number or identifier.
    pub p1: u8,
    /// The low three bits of P2.
    pub mode: u8,
}

impl RecordTarget {
    /// Reads P1 P2.
    ///
    /// # Errors
    /// 6A86 for the reserved short identifier 31.
    pub fn parse(p1: u8, p2: u8) -> Result<Self, Sw> {
        match p2 >> 3 {
            31 => Err(Sw::WRONG_P1P2),
            sfi => Ok(Self { sfi: Some(sfi).filter(|&sfi| sfi != 0), p1, mode: p2 & 7 }),
        }
    }
}

impl RecordTarget {
    /// Whether P1 is an identifier, so that the command sets the record pointer; otherwise it is a number.
    #[must_use]
    pub const fn by_identifier(&self) -> bool {
        self.mode < 4
    }
}

impl<'a> Files<'a> {
    /// The file and the record number that READ RECORD or UPDATE RECORD mean.
    ///
    /// | mode | P1 |
    /// |---|---|
    /// | 0 first, 1 last, 2 next, 3 previous | a record identifier; 00: any record |
    /// | 4 | a record number; 00: the record the pointer is on |
    ///
    /// Next and previous count from the record pointer; while it is undefined they are first and last. Nothing follows the
    /// last record, in a ring neither. [ISO 7816-4 7.3.2, 7.3.3]
    ///
    /// # Errors
    /// 6A82, 6986, 6981, 6A83; 6A86 for a mode that names more than one record.
    pub fn record_target(
        &self,
        cx: &mut Context<'_>,
        target: RecordTarget,
        current: Current,
    ) -> Result<(&'a File<'a>, u8), Sw> {
        let file = self.target(target.sfi, current)?;
        // A short identifier makes its file current anew, with the pointer undefined.
        let pointer = current.record().filter(|_| target.sfi.is_none());
        let which = match (target.mode, pointer) {
            (0, _) | (2, None) => Which::First,
            (1, _) | (3, None) => Which::Last,
            (2, Some(pointer)) => Which::NextAfter(pointer),
            (3, Some(pointer)) => Which::PreviousBefore(pointer),
            (4, _) if target.p1 != 0 => return Ok((file, target.p1)),
            (4, _) => return pointer.map(|pointer| (file, pointer)).ok_or(Sw::RECORD_NOT_FOUND),
            _ => return Err(Sw::WRONG_P1P2),
        };
        let identifier = Some(target.p1).filter(|&identifier| identifier != 0);
        Ok((file, file.find_record(cx.memory, cx.instance, identifier, which)?))
    }

    /// Answers READ BINARY (B0) and READ RECORD (B2) from the caller's own files, with the access conditions `granted` now.
    /// `current` moves on only when the answer is good.
    ///
    /// # Errors
    /// The status word: 6A82, 6A83, 6B00, 6981, 6982, 6986, 6A86, and 6Cxx with the right length when Ne asks for more than there
    /// is; 6D00 for another instruction.
    pub fn read(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        current: &mut Current,
        granted: u8,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let owner = cx.instance;
        let room = reply.len()..reply.capacity();
        let (file, named, pointer, n) = match command.ins() {
            0xB0 => {
                let target = BinaryTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, *current)?;
                file.check_read(owner, owner, granted)?;
                let out = reply.buffer_mut().get_mut(room.clone()).unwrap_or_default();
                let n = file.read_binary(cx.memory, owner, target.offset, out)?.len();
                (file, target.sfi.is_some(), None, n)
            }
            0xB2 => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                self.target(target.sfi, *current)?.check_read(owner, owner, granted)?;
                let (file, number) = self.record_target(cx, target, *current)?;
                let out = reply.buffer_mut().get_mut(room.clone()).unwrap_or_default();
                let n = file.read_record(cx.memory, owner, number, out)?.len();
                (file, target.sfi.is_some(), target.by_identifier().then_some(number), n)
            }
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        };
        // Le = 00 takes what there is; any other Le has to be right or smaller.
        let n = match command.ne().map(|ne| ne.get()) {
            Some(ne) if ne > n && ne < 256 => return Err(Sw::wrong_le(u8::try_from(n).unwrap_or(0))),
            Some(ne) => n.min(ne),
            None => n,
        };
        reply.set_len(room.start.saturating_add(n))?;
        current.moved(file, named, pointer);
        Ok(())
    }

    /// Adds to `batch` what UPDATE BINARY (D6), UPDATE RECORD (DC) or APPEND RECORD (E2) wants with `data` (the command data
    /// without a MAC, say). The caller commits, and keeps `current` when that went well.
    ///
    /// # Errors
    /// The status word: 6A82, 6A83, 6A84, 6B00, 6700, 6981, 6982, 6986, 6A86; 6D00 for another instruction.
    pub fn update(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        data: &[u8],
        current: &mut Current,
        granted: u8,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let owner = cx.instance;
        let (file, named, pointer) = match command.ins() {
            0xD6 => {
                let target = BinaryTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, *current)?;
                file.check_update(owner, owner, granted)?;
                file.update_binary(cx.memory, batch, owner, target.offset, data, cx.scratch)?;
                (file, target.sfi.is_some(), None)
            }
            0xDC => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, *current)?;
                file.check_update(owner, owner, granted)?;
                // Writing the record before the newest of a ring is how a new one comes in.
                let ring = matches!(file.structure, Structure::Cyclic { .. });
                if ring && target.mode == 3 && target.p1 == 0 {
                    file.append_record(cx.memory, batch, owner, data)?;
                    (file, target.sfi.is_some(), Some(1))
                } else {
                    let (file, number) = self.record_target(cx, target, *current)?;
                    file.update_record(cx.memory, batch, owner, number, data)?;
                    (file, target.sfi.is_some(), target.by_identifier().then_some(number))
                }
            }
            0xE2 => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                if target.p1 != 0 || target.mode != 0 {
                    return Err(Sw::WRONG_P1P2);
                }
                let file = self.target(target.sfi, *current)?;
                file.check_update(owner, owner, granted)?;
                let number = file.append_record(cx.memory, batch, owner, data)?;
                (file, target.sfi.is_some(), Some(number))
            }
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        };
        current.moved(file, named, pointer);
        Ok(())
    }
}
