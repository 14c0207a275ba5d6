//! The files, and READ and UPDATE on them: 0015–0017 transparent, 0018 and 001E cyclic, 001A identified records.
//! [sheet 1.2, 5]

use huiwan_apdu::{Command, Sw};
use huiwan_card::files::{Access, File, Files, Structure};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::objects;
use super::session::Challenge;
use crate::profile::Profile;
use crate::transit::holder::Holder;
use crate::transit::log::LogRecord;
use crate::transit::management::Management;
use crate::transit::public_info::PublicInfo;

/// Access condition: the command carried a right MAC of the maintenance key.
const SECURED: u8 = 0x01;

const INS_UPDATE_RECORD: u8 = 0xDC;
const INS_READ_RECORD: u8 = 0xB2;

/// The files of a profile. A file's objects begin at its short identifier ‖ 00.
#[derive(Debug)]
pub(super) struct PurseFiles([File<'static>; 6]);

impl PurseFiles {
    pub(super) fn new(profile: &Profile) -> Self {
        let issuer = if profile.plain_updates { Access::FREE } else { Access::all_of(SECURED) };
        let file = |sfi: u8, structure, update| File {
            fid: u16::from(sfi),
            sfi,
            structure,
            base: objects::record(sfi, 0),
            read: Access::FREE,
            update,
            grants: &[],
        };
        let transparent = |sfi, len: usize| {
            file(sfi, Structure::Transparent { size: u16::try_from(len).unwrap_or(u16::MAX) }, issuer)
        };
        let cyclic = |sfi, len, records| file(sfi, Structure::Cyclic { len, records }, Access::NEVER);
        let log_len = u8::try_from(LogRecord::LEN).unwrap_or(u8::MAX);
        let composite = Structure::Variable { len: u8::MAX, records: profile.composite_records };
        Self([
            transparent(0x15, PublicInfo::LEN),
            transparent(0x16, Holder::LEN),
            transparent(0x17, Management::LEN),
            cyclic(0x18, log_len, profile.log_records),
            file(profile.composite_sfi, composite, issuer),
            cyclic(profile.process_sfi, profile.process_len, profile.process_records),
        ])
    }

    pub(super) const fn all(&self) -> Files<'_> {
        Files(&self.0)
    }

    /// 0018.
    pub(super) const fn log(&self) -> &File<'static> {
        let [_, _, _, log, _, _] = &self.0;
        log
    }

    /// 001A.
    pub(super) const fn composite(&self) -> &File<'static> {
        let [_, _, _, _, composite, _] = &self.0;
        composite
    }

    /// 001E.
    pub(super) const fn process(&self) -> &File<'static> {
        let [_, _, _, _, _, process] = &self.0;
        process
    }
}

impl<S: Suite> Purse<S> {
    /// READ BINARY by short file identifier, READ RECORD by number (1 is the newest in cyclic files) or, in the composite
    /// file, by identifier.
    pub(super) fn read(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let files = PurseFiles::new(&self.profile);
        let command = self.by_number(cx, &files, command)?;
        files.all().read(cx, &command, None, 0, reply)
    }

    /// UPDATE BINARY and UPDATE RECORD, secured (`04 … MAC`), or plain where the profile lets it. A record keeps its length
    /// and its identifier; the log and the trip records are the card's own.
    pub(super) fn update(
        &self,
        cx: &mut Context<'_>,
        cla: u8,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let (data, granted) = match cla {
            0x04 => (self.check_secured(cx, command, challenge)?, SECURED),
            _ => (command.data(), 0),
        };
        if data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let files = PurseFiles::new(&self.profile);
        let command = self.by_number(cx, &files, command)?;
        let mut buffer = [0; 288];
        let mut batch = Batch::new(&mut buffer);
        files.all().update(cx, &command, data, None, granted, &mut batch)?;
        let sfi = command.p2() >> 3;
        if command.ins() == INS_UPDATE_RECORD && sfi == self.profile.composite_sfi {
            let mut stored = [0; 255];
            let stored = files.composite().read_record(cx.memory, cx.instance, command.p1(), &mut stored)?;
            if data.len() != stored.len() || !self.profile.records.length_fits(data) {
                return Err(Sw::INCONSISTENT_LENGTH);
            }
            let id = self.profile.records.id_len;
            if data.get(..id) != stored.get(..id) {
                return Err(Sw::WRONG_DATA);
            }
        }
        Self::clear_maintenance_errors(cx, &mut batch)?;
        cx.commit(&batch)
    }

    /// A record command on the composite file by identifier, as the same command by number: which byte identifies a
    /// record is the profile's affair.
    fn by_number<'c>(
        &self,
        cx: &mut Context<'_>,
        files: &PurseFiles,
        command: &Command<'c>,
    ) -> Result<Command<'c>, Sw> {
        let (sfi, mode) = (command.p2() >> 3, command.p2() & 0x07);
        let record = matches!(command.ins(), INS_READ_RECORD | INS_UPDATE_RECORD);
        match mode {
            0 if record && sfi == self.profile.composite_sfi => {
                let mut out = [0; 255];
                let (number, _) = self.find_record(cx, files, command.p1(), &mut out)?;
                let by_number = Command::new(command.cla(), command.ins(), number, command.p2() | 0x04);
                let by_number = by_number.with_data(command.data());
                Ok(command.ne().map_or(by_number, |ne| by_number.with_ne(ne)))
            }
            1..=3 if record => Err(Sw::FUNCTION_NOT_SUPPORTED),
            _ => Ok(*command),
        }
    }

    /// The first record of the composite file that `id` names: its number and content.
    pub(super) fn find_record<'o>(
        &self,
        cx: &mut Context<'_>,
        files: &PurseFiles,
        id: u8,
        out: &'o mut [u8; 255],
    ) -> Result<(u8, &'o [u8]), Sw> {
        for number in 1..=self.profile.composite_records {
            let mut head = [0; 2];
            match files.composite().read_record(cx.memory, cx.instance, number, &mut head) {
                Ok(head) if self.profile.records.matches(head, id) => {
                    let record = files.composite().read_record(cx.memory, cx.instance, number, out)?;
                    return Ok((number, record));
                }
                Ok(_) | Err(Sw::RECORD_NOT_FOUND) => {}
                Err(sw) => return Err(sw),
            }
        }
        Err(Sw::RECORD_NOT_FOUND)
    }
}
