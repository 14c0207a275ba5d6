//! The files, and READ and UPDATE on them: 0015–0017 transparent, 0018 and 001E cyclic, 001A identified records; on cards
//! of 建设部 0010 and 001A are logs too; and up to eight of the issuer's own.
//! [sheet 1.2, 5]

use huiwan_apdu::{Command, Sw};
use huiwan_card::files::{Access, BinaryTarget, Current, File, Files, RecordTarget, Structure, Which};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::{Suite, Wiped};

use super::Purse;
use super::session::{self, Challenge};
use super::{issuer_files, objects};
use crate::keys::KeyKind;
use crate::profile::Profile;
use crate::transit::holder::Holder;
use crate::transit::log::LogRecord;
use crate::transit::management::Management;

/// Access condition: the command carried a right MAC of the maintenance key.
pub(super) const SECURED: u8 = 0x01;
/// Access condition: the PIN was verified since the application was selected.
pub(super) const PIN: u8 = 0x02;
/// Access condition: EXTERNAL AUTHENTICATE succeeded since the application was selected.
pub(super) const AUTHENTICATED: u8 = 0x04;

const INS_READ_BINARY: u8 = 0xB0;
const INS_UPDATE_BINARY: u8 = 0xD6;
const INS_UPDATE_RECORD: u8 = 0xDC;
const INS_APPEND_RECORD: u8 = 0xE2;

/// Files of a scheme.
const SCHEME_FILES: usize = 8;
/// Files of the issuer's own at most.
pub(super) const ISSUER_FILES: usize = 8;

/// The files of a profile. Those it does not have stand under 0000. A file's objects begin at its short identifier ‖ 00.
#[derive(Debug)]
pub(super) struct PurseFiles([File<'static>; SCHEME_FILES]);

impl PurseFiles {
    pub(super) fn new(profile: &Profile) -> Self {
        let issuer = if profile.plain_updates { Access::FREE } else { Access::all_of(SECURED) };
        let read = |sfi: u8| {
            let authenticated = if profile.authenticated_files.contains(&sfi) { AUTHENTICATED } else { 0 };
            let verified = if sfi == 0x18 && profile.ed && profile.ed_log_pin { PIN } else { 0 };
            Access::all_of(authenticated | verified)
        };
        let file = |sfi: u8, structure, update| File {
            fid: u16::from(sfi),
            sfi,
            structure,
            base: objects::record(sfi, 0),
            read: read(sfi),
            update,
            grants: &[],
        };
        let transparent = |sfi, len: usize| {
            file(sfi, Structure::Transparent { size: u16::try_from(len).unwrap_or(u16::MAX) }, issuer)
        };
        let cyclic = |sfi, len, records| file(sfi, Structure::Cyclic { len, records }, Access::NEVER);
        let log_len = u8::try_from(LogRecord::LEN).unwrap_or(u8::MAX);
        let composite = Structure::Variable {
            len: u8::MAX,
            records: profile.composite_records,
            id_at: profile.records.match_at,
        };
        Self([
            transparent(0x15, usize::from(profile.public_info_len)),
            transparent(0x16, Holder::LEN),
            // 建设部 and bank cards keep their composite records in file 0017. [sheet 5.3]
            transparent(if profile.composite_sfi == 0x17 { 0 } else { 0x17 }, Management::LEN),
            cyclic(0x18, log_len, profile.log_records),
            file(profile.composite_sfi, composite, issuer),
            cyclic(profile.process_sfi, profile.process_len, profile.process_records),
            cyclic(profile.remote_log_sfi, log_len, profile.log_records),
            cyclic(profile.load_log_sfi, log_len, profile.log_records),
        ])
    }

    pub(super) const fn all(&self) -> Files<'_> {
        Files(&self.0)
    }

    /// 0018.
    pub(super) const fn log(&self) -> &File<'static> {
        let [_, _, _, log, ..] = &self.0;
        log
    }

    /// 001A.
    pub(super) const fn composite(&self) -> &File<'static> {
        let [_, _, _, _, composite, ..] = &self.0;
        composite
    }

    /// 001E.
    pub(super) const fn process(&self) -> &File<'static> {
        let [_, _, _, _, _, process, ..] = &self.0;
        process
    }

    /// 0010 of 建设部, where the scheme has it.
    pub(super) fn remote_log(&self) -> Option<&File<'static>> {
        let [_, _, _, _, _, _, remote, _] = &self.0;
        Some(remote).filter(|file| file.sfi != 0)
    }

    /// 001A of 建设部, where the scheme has it.
    pub(super) fn load_log(&self) -> Option<&File<'static>> {
        let [_, _, _, _, _, _, _, load] = &self.0;
        Some(load).filter(|file| file.sfi != 0)
    }
}

/// Those of the scheme and those of the issuer's own.
#[derive(Debug)]
pub(super) struct AllFiles([File<'static>; SCHEME_FILES + ISSUER_FILES]);

impl AllFiles {
    /// The files of this instance.
    pub(super) fn of(cx: &mut Context<'_>, profile: &Profile) -> Result<Self, Sw> {
        let mut files = Self::of_scheme(profile);
        files.add_issuers(cx)?;
        Ok(files)
    }

    /// The files among which a command finds its own: the issuer's are read only where the scheme has none that it means.
    fn meant(cx: &mut Context<'_>, profile: &Profile, sfi: Option<u8>, current: Current) -> Result<Self, Sw> {
        let mut files = Self::of_scheme(profile);
        if files.all().target(sfi, current).is_err() {
            files.add_issuers(cx)?;
        }
        Ok(files)
    }

    fn of_scheme(profile: &Profile) -> Self {
        /// A place that is not taken.
        const NONE: File<'static> = File {
            fid: 0,
            sfi: 0,
            structure: Structure::Transparent { size: 0 },
            base: 0,
            read: Access::NEVER,
            update: Access::NEVER,
            grants: &[],
        };
        let PurseFiles(scheme) = PurseFiles::new(profile);
        let mut files = [NONE; SCHEME_FILES + ISSUER_FILES];
        files.iter_mut().zip(scheme).for_each(|(place, file)| *place = file);
        Self(files)
    }

    fn add_issuers(&mut self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let Self(files) = self;
        let mut places = files.iter_mut().skip(SCHEME_FILES);
        issuer_files::for_each(cx, |file| {
            if let Some(place) = places.next() {
                *place = file;
            }
        })
    }

    pub(super) const fn all(&self) -> Files<'_> {
        Files(&self.0)
    }
}

/// The short identifier a READ or an UPDATE names, if it does.
fn short_identifier(command: &Command<'_>) -> Result<Option<u8>, Sw> {
    Ok(match command.ins() {
        INS_READ_BINARY | INS_UPDATE_BINARY => BinaryTarget::parse(command.p1(), command.p2())?.sfi,
        _ => RecordTarget::parse(command.p1(), command.p2())?.sfi,
    })
}

/// CLA 04 and 84, on any logical channel.
fn is_secured(command: &Command<'_>) -> bool {
    matches!(command.cla() & 0xFC, 0x04 | 0x84)
}

impl<S: Suite> Purse<S> {
    /// READ BINARY, and READ RECORD by number (1 is the newest in cyclic files) or by identifier; plain, or secured (`04`, `84`)
    /// with a MAC for data. The answer is plain either way. \[S:LIB: Lc 04; no source tells of protected answers\]
    pub(super) fn read(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let granted = if is_secured(command) {
            self.check_secured_alone(cx, command, challenge)?;
            self.forget_secured_errors(cx, KeyKind::Maintenance)?;
            SECURED
        } else if command.data().is_empty() {
            0
        } else {
            return Err(Sw::WRONG_LENGTH);
        };
        let granted = granted | Self::granted(cx);
        let mut current = session::current(cx.volatile);
        let files = AllFiles::meant(cx, &self.profile, short_identifier(command)?, current)?;
        files.all().read(cx, command, &mut current, granted, reply)?;
        session::set_current(cx.volatile, current);
        Ok(())
    }

    /// The access conditions the session fulfils.
    fn granted(cx: &mut Context<'_>) -> u8 {
        let pin = if session::pin_verified(cx) { PIN } else { 0 };
        let authenticated = if session::authenticated(cx) { AUTHENTICATED } else { 0 };
        pin | authenticated
    }

    /// UPDATE BINARY, UPDATE RECORD and APPEND RECORD, secured (`04 … MAC`, `84 … MAC`; encrypted for the files that want it),
    /// or plain where the profile lets it. A record keeps its length and its identifier; the log and the trip records are the
    /// card's own.
    pub(super) fn update(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let secured = is_secured(command);
        let data = if secured { self.check_secured(cx, command, challenge)? } else { command.data() };
        let granted = if secured { SECURED } else { 0 } | Self::granted(cx);
        if data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let mut plain = Wiped::<256>::new();
        let data = if self.wants_encryption(cx, command)? {
            if !secured {
                return Err(Sw::SECURITY_STATUS);
            }
            self.open_sealed(cx, KeyKind::Maintenance, data, &mut *plain)?
        } else {
            data
        };
        let mut current = session::current(cx.volatile);
        let files = AllFiles::meant(cx, &self.profile, short_identifier(command)?, current)?;
        let mut buffer = [0; 320];
        let mut batch = Batch::new(&mut buffer);
        if command.ins() == INS_UPDATE_RECORD {
            let target = RecordTarget::parse(command.p1(), command.p2())?;
            let file = files.all().target(target.sfi, current)?;
            file.check_update(cx.instance, cx.instance, granted)?;
            if file.sfi == self.profile.composite_sfi {
                let (_, number) = files.all().record_target(cx, target, current)?;
                self.check_record(cx, file, number, data)?;
            }
        }
        if command.ins() == INS_APPEND_RECORD {
            let target = RecordTarget::parse(command.p1(), command.p2())?;
            let file = files.all().target(target.sfi, current)?;
            file.check_update(cx.instance, cx.instance, granted)?;
            if file.sfi == self.profile.composite_sfi && !self.profile.records.length_fits(data) {
                return Err(Sw::WRONG_DATA);
            }
        }
        files.all().update(cx, command, data, &mut current, granted, &mut batch)?;
        if secured {
            self.clear_secured_errors(cx, KeyKind::Maintenance, &mut batch)?;
        }
        cx.commit(&batch)?;
        session::set_current(cx.volatile, current);
        Ok(())
    }

    /// Whether the file of this UPDATE takes its data encrypted.
    fn wants_encryption(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<bool, Sw> {
        if self.profile.encrypted_files.is_empty() {
            return Ok(false);
        }
        let (sfi, current) = (short_identifier(command)?, session::current(cx.volatile));
        let files = AllFiles::meant(cx, &self.profile, sfi, current)?;
        let file = files.all().target(sfi, current)?;
        Ok(self.profile.encrypted_files.contains(&file.sfi))
    }

    /// A record keeps its length and its identifier. [sheet 1.2]
    fn check_record(&self, cx: &mut Context<'_>, file: &File<'_>, number: u8, data: &[u8]) -> Result<(), Sw> {
        let mut stored = [0; 255];
        let stored = file.read_record(cx.memory, cx.instance, number, &mut stored)?;
        if data.len() != stored.len() || !self.profile.records.length_fits(data) {
            return Err(Sw::INCONSISTENT_LENGTH);
        }
        let id = self.profile.records.id_len;
        if data.get(..id) != stored.get(..id) {
            return Err(Sw::WRONG_DATA);
        }
        Ok(())
    }

    /// The first record of the composite file that `id` names: its number and content.
    pub(super) fn find_record<'o>(
        cx: &mut Context<'_>,
        files: &PurseFiles,
        id: u8,
        out: &'o mut [u8; 255],
    ) -> Result<(u8, &'o [u8]), Sw> {
        let number = files.composite().find_record(cx.memory, cx.instance, Some(id), Which::First)?;
        Ok((number, files.composite().read_record(cx.memory, cx.instance, number, out)?))
    }
}
