//! The files: READ and UPDATE BINARY on 0015–0017, READ and UPDATE RECORD on 0018, 001A and 001E. [sheet 1.2, 5]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::objects::{self, Cyclic};
use super::session::Challenge;

const SFI_PUBLIC_INFO: u8 = 0x15;
const SFI_HOLDER: u8 = 0x16;
const SFI_MANAGEMENT: u8 = 0x17;
const SFI_LOG: u8 = 0x18;

impl<S: Suite> Purse<S> {
    pub(super) fn log(&self) -> Cyclic {
        Cyclic { sfi: SFI_LOG, capacity: self.profile.log_records }
    }

    pub(super) fn process(&self) -> Cyclic {
        Cyclic { sfi: self.profile.process_sfi, capacity: self.profile.process_records }
    }

    /// Whether there is a file with this short identifier.
    pub(super) fn is_file(&self, sfi: u8) -> bool {
        transparent(sfi).is_some()
            || sfi == SFI_LOG
            || sfi == self.profile.composite_sfi
            || (sfi == self.profile.process_sfi && sfi != 0)
    }

    /// READ BINARY by short file identifier; the file selected by it is not remembered.
    pub(super) fn read_binary(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let (object, at) = self.binary(cx, command)?;
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let mut content = [0; 64];
        let content = cx.read(object, &mut content)?;
        let rest = content.get(at..).filter(|rest| !rest.is_empty()).ok_or(Sw::WRONG_OFFSET)?;
        push_expected(command, rest, reply)
    }

    /// READ RECORD: P2 low bits 4 by number (in cyclic files 1 is the newest), 0 by identifier, first occurrence.
    pub(super) fn read_record(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let mut record = [0; 255];
        let (_, record) = self.record(cx, command, &mut record)?;
        push_expected(command, record, reply)
    }

    /// UPDATE BINARY, secured (`04 D6 … MAC`), or plain where the profile lets it.
    pub(super) fn update_binary(
        &self,
        cx: &mut Context<'_>,
        cla: u8,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let (object, at) = self.binary(cx, command)?;
        let data = self.update_data(cx, cla, command, challenge)?;
        let mut content = [0; 64];
        let len = cx.read(object, &mut content)?.len();
        let place = content.get_mut(..len).and_then(|content| content.get_mut(at..));
        let place = place.filter(|place| !place.is_empty()).ok_or(Sw::WRONG_OFFSET)?;
        place.get_mut(..data.len()).ok_or(Sw::NOT_ENOUGH_MEMORY)?.copy_from_slice(data);
        let content = content.get(..len).unwrap_or_default();
        self.write(cx, object, content)
    }

    /// UPDATE RECORD, secured (`04 DC … MAC`), or plain where the profile lets it. The record keeps its length and, if
    /// it has one, its identifier; the log and the trip records are the card's own.
    pub(super) fn update_record(
        &self,
        cx: &mut Context<'_>,
        cla: u8,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        if command.p2() >> 3 != self.profile.composite_sfi {
            return Err(if self.is_file(command.p2() >> 3) {
                Sw::COMMAND_INCOMPATIBLE
            } else {
                Sw::FILE_NOT_FOUND
            });
        }
        let mut stored = [0; 255];
        let (object, stored) = self.record(cx, command, &mut stored)?;
        let data = self.update_data(cx, cla, command, challenge)?;
        let id = self.profile.records.id_len;
        if data.len() != stored.len() || !self.profile.records.length_fits(data) {
            return Err(Sw::INCONSISTENT_LENGTH);
        }
        if data.get(..id) != stored.get(..id) {
            return Err(Sw::WRONG_DATA);
        }
        self.write(cx, object, data)
    }

    /// The data of an update, after its MAC if it needs one.
    fn update_data<'c>(
        &self,
        cx: &mut Context<'_>,
        cla: u8,
        command: &Command<'c>,
        challenge: Option<Challenge>,
    ) -> Result<&'c [u8], Sw> {
        let data = match cla {
            0x04 => self.check_secured(cx, command, challenge)?,
            _ if self.profile.plain_updates => command.data(),
            _ => return Err(Sw::SECURITY_STATUS),
        };
        if data.is_empty() { Err(Sw::WRONG_LENGTH) } else { Ok(data) }
    }

    fn write(&self, cx: &mut Context<'_>, object: u16, content: &[u8]) -> Result<(), Sw> {
        let mut buffer = [0; 288];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(object), content);
        Self::clear_maintenance_errors(cx, &mut batch)?;
        cx.commit(&batch)
    }

    /// The transparent file and offset P1 and P2 name.
    fn binary(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(u16, usize), Sw> {
        let sfi = match command.p1() {
            p1 @ 0x81..=0x9E => p1 & 0x1F,
            // Without a short identifier the current file is meant; there never is one.
            0x00..=0x7F => return Err(Sw::COMMAND_NOT_ALLOWED),
            _ => return Err(Sw::WRONG_P1P2),
        };
        match transparent(sfi) {
            Some(object) if cx.exists(object)? => Ok((object, usize::from(command.p2()))),
            None if self.is_file(sfi) => Err(Sw::COMMAND_INCOMPATIBLE),
            _ => Err(Sw::FILE_NOT_FOUND),
        }
    }

    /// The record P1 and P2 name.
    fn record<'o>(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        out: &'o mut [u8; 255],
    ) -> Result<(u16, &'o [u8]), Sw> {
        let (sfi, mode) = (command.p2() >> 3, command.p2() & 0x07);
        let by_number = match mode {
            4 => true,
            0 => false,
            1..=3 => return Err(Sw::FUNCTION_NOT_SUPPORTED),
            _ => return Err(Sw::WRONG_P1P2),
        };
        if transparent(sfi).is_some() {
            return Err(Sw::COMMAND_INCOMPATIBLE);
        }
        if !self.is_file(sfi) {
            return Err(Sw::FILE_NOT_FOUND);
        }
        if sfi == self.profile.composite_sfi {
            if !by_number {
                let (number, record) = self.find_record(cx, command.p1(), out)?;
                return Ok((objects::record(sfi, number), record));
            }
            let object = objects::record(sfi, command.p1());
            return match command.p1() {
                1.. if cx.exists(object)? => Ok((object, cx.read(object, out)?)),
                _ => Err(Sw::RECORD_NOT_FOUND),
            };
        }
        if !by_number {
            return Err(Sw::COMMAND_INCOMPATIBLE);
        }
        let file = if sfi == SFI_LOG { self.log() } else { self.process() };
        let ring = file.ring(cx)?;
        let object = file.object(ring, command.p1()).ok_or(Sw::RECORD_NOT_FOUND)?;
        Ok((object, cx.read(object, out)?))
    }

    /// The first record of the composite file that P1 = `id` names: its number and content.
    pub(super) fn find_record<'o>(
        &self,
        cx: &mut Context<'_>,
        id: u8,
        out: &'o mut [u8; 255],
    ) -> Result<(u8, &'o [u8]), Sw> {
        let sfi = self.profile.composite_sfi;
        let mut any = false;
        for number in 1..=self.profile.composite_records {
            let object = objects::record(sfi, number);
            let mut head = [0; 2];
            match cx.memory.read(cx.object(object), 0, &mut head) {
                Ok(head) if self.profile.records.matches(head, id) => {
                    return Ok((number, cx.read(object, out)?));
                }
                Ok(_) => any = true,
                Err(huiwan_card::MemoryError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(if any { Sw::RECORD_NOT_FOUND } else { Sw::FILE_NOT_FOUND })
    }
}

const fn transparent(sfi: u8) -> Option<u16> {
    match sfi {
        SFI_PUBLIC_INFO => Some(objects::PUBLIC_INFO),
        SFI_HOLDER => Some(objects::HOLDER),
        SFI_MANAGEMENT => Some(objects::MANAGEMENT),
        _ => None,
    }
}

/// Answers as many bytes as are asked for; asking for more than there are is 6Cxx, for 256 means all.
fn push_expected(command: &Command<'_>, rest: &[u8], reply: &mut ResponseWriter<'_>) -> Result<(), Sw> {
    match command.ne().map(|ne| ne.get()) {
        Some(asked) if asked < rest.len() => reply.push(rest.get(..asked).unwrap_or_default()),
        Some(asked) if asked == rest.len() || asked >= 256 => reply.push(rest),
        _ => Err(Sw::wrong_le(u8::try_from(rest.len()).unwrap_or(0))),
    }
}
