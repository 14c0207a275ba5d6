//! READ and UPDATE BINARY and RECORD, APPEND RECORD. [ISO 7816-4 11.3, 11.4]

use huiwan_apdu::{Command, Sw};

use super::{Access, File, Files, Structure};
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

impl<'a> Files<'a> {
    fn target(&self, sfi: Option<u8>, current: Option<u8>) -> Result<&'a File<'a>, Sw> {
        match sfi.or(current) {
            Some(sfi) => self.by_sfi(sfi),
            None => Err(Sw::COMMAND_NOT_ALLOWED),
        }
    }

    /// Answers READ BINARY (B0) and READ RECORD (B2) from the caller's own files. `current` is the short identifier of the
    /// current file, `granted` the access conditions fulfilled now.
    ///
    /// # Errors
    /// The status word: 6A82, 6A83, 6B00, 6981, 6982, 6986, 6A86, and 6Cxx with the right length when Ne asks for more than there
    /// is; 6D00 for another instruction.
    pub fn read(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        current: Option<u8>,
        granted: u8,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let owner = cx.instance;
        let room = reply.len()..reply.capacity();
        let (n, all) = match command.ins() {
            0xB0 => {
                let target = BinaryTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, current)?;
                file.check_read(owner, owner, granted)?;
                let out = reply.buffer_mut().get_mut(room.clone()).unwrap_or_default();
                (file.read_binary(cx.memory, owner, target.offset, out)?.len(), 256)
            }
            0xB2 => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, current)?;
                file.check_read(owner, owner, granted)?;
                let number = number(cx, file, target)?;
                let out = reply.buffer_mut().get_mut(room.clone()).unwrap_or_default();
                (file.read_record(cx.memory, owner, number, out)?.len(), 256)
            }
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        };
        // Le = 00 takes what there is; any other Le has to be right or smaller.
        let n = match command.ne().map(|ne| ne.get()) {
            Some(ne) if ne > n && ne < all => return Err(Sw::wrong_le(u8::try_from(n).unwrap_or(0))),
            Some(ne) => n.min(ne),
            None => n,
        };
        reply.set_len(room.start.saturating_add(n))
    }

    /// Adds to `batch` what UPDATE BINARY (D6), UPDATE RECORD (DC) or APPEND RECORD (E2) wants with `data` (the command data
    /// without a MAC, say). The caller commits.
    ///
    /// # Errors
    /// The status word: 6A82, 6A83, 6A84, 6B00, 6700, 6981, 6982, 6986, 6A86; 6D00 for another instruction.
    pub fn update(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        data: &[u8],
        current: Option<u8>,
        granted: u8,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let owner = cx.instance;
        let may = |access: Access| access.check(granted);
        match command.ins() {
            0xD6 => {
                let target = BinaryTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, current)?;
                may(file.update)?;
                file.update_binary(cx.memory, batch, owner, target.offset, data, cx.scratch)
            }
            0xDC => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                let file = self.target(target.sfi, current)?;
                may(file.update)?;
                // Writing the record before the newest of a ring is how a new one comes in.
                if matches!(file.structure, Structure::Cyclic { .. }) && target.mode == 3 && target.p1 == 0 {
                    return file.append_record(cx.memory, batch, owner, data);
                }
                let number = number(cx, file, target)?;
                file.update_record(cx.memory, batch, owner, number, data)
            }
            0xE2 => {
                let target = RecordTarget::parse(command.p1(), command.p2())?;
                if target.p1 != 0 || target.mode != 0 {
                    return Err(Sw::WRONG_P1P2);
                }
                let file = self.target(target.sfi, current)?;
                may(file.update)?;
                file.append_record(cx.memory, batch, owner, data)
            }
            _ => Err(Sw::INS_NOT_SUPPORTED),
        }
    }
}

/// The record number that P1 and the mode name.
fn number(cx: &mut Context<'_>, file: &File<'_>, target: RecordTarget) -> Result<u8, Sw> {
    match target.mode {
        0 => file.find_record(cx.memory, cx.instance, target.p1, Which::First),
        1 => file.find_record(cx.memory, cx.instance, target.p1, Which::Last),
        4 => Ok(target.p1),
        // Next and previous need a current record, which these files do not keep.
        2 | 3 => Err(Sw::FUNCTION_NOT_SUPPORTED),
        _ => Err(Sw::WRONG_P1P2),
    }
}
