//! Files of the issuer's own: made and filled at personalisation, read and written by the same commands as the scheme's.
//! [sheet 5.3]

use huiwan_apdu::Sw;
use huiwan_card::files::{Access, File, Structure, Which};
use huiwan_card::{Batch, Context};
use huiwan_crypto::Suite;

use super::files::{AUTHENTICATED, AllFiles, ISSUER_FILES, PIN, PurseFiles, SECURED};
use super::{Purse, objects};
use crate::personalisation::{Condition, FileContent, FileData, Shape};

/// Bytes of all definitions.
const DEFINITIONS: usize = ISSUER_FILES * FileData::LEN;

/// A file's objects, by its place among the definitions: clear of those of the scheme's files and of keys.
fn base(place: usize) -> u16 {
    u16::from_be_bytes([0x20_u8.saturating_add(u8::try_from(place).unwrap_or(u8::MAX)), 0])
}

const fn access(condition: Condition) -> Access {
    match condition {
        Condition::Free => Access::FREE,
        Condition::Secured => Access::all_of(SECURED),
        Condition::Pin => Access::all_of(PIN),
        Condition::SecuredAndPin => Access::all_of(SECURED | PIN),
        Condition::Authenticated => Access::all_of(AUTHENTICATED),
        Condition::Never => Access::NEVER,
    }
}

fn file(place: usize, data: &FileData) -> File<'static> {
    File {
        fid: data.fid,
        sfi: data.sfi,
        structure: match data.shape {
            Shape::Transparent { size } => Structure::Transparent { size },
            Shape::Linear { len, records } => Structure::Linear { len, records },
            Shape::Variable { len, records } => Structure::Variable { len, records, id_at: 0 },
            Shape::Cyclic { len, records } => Structure::Cyclic { len, records },
        },
        base: base(place),
        read: access(data.read),
        update: access(data.update),
        grants: &[],
    }
}

fn definitions<'o>(cx: &mut Context<'_>, out: &'o mut [u8; DEFINITIONS]) -> Result<&'o [u8], Sw> {
    Ok(cx.find(objects::FILES, out)?.unwrap_or_default())
}

/// Each of the issuer's files in turn.
pub(super) fn for_each(cx: &mut Context<'_>, mut f: impl FnMut(File<'static>)) -> Result<(), Sw> {
    let mut stored = [0; DEFINITIONS];
    for (place, raw) in definitions(cx, &mut stored)?.chunks(FileData::LEN).enumerate() {
        f(file(place, &FileData::parse(raw).map_err(|_| Sw::MEMORY_FAILURE)?));
    }
    Ok(())
}

impl<S: Suite> Purse<S> {
    /// Makes a file: 6A80 for what is no definition, 6A89 if another file has one of its identifiers, 6A84 after the last
    /// one there is room for. The same definition again changes nothing.
    pub(super) fn take_file_definition(&self, cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
        let new = FileData::parse(data).map_err(|_| Sw::WRONG_DATA)?;
        let mut stored = [0; DEFINITIONS];
        let stored = definitions(cx, &mut stored)?;
        if stored.chunks(FileData::LEN).any(|raw| raw == data) {
            return Ok(());
        }
        let files = AllFiles::of(cx, &self.profile)?;
        if files.all().by_fid(new.fid).is_ok() || files.all().by_sfi(new.sfi).is_ok() {
            return Err(Sw::FILE_EXISTS);
        }
        if stored.len() >= DEFINITIONS {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let mut buffer = [0; DEFINITIONS + 8];
        let mut batch = Batch::new(&mut buffer);
        batch.put_parts(cx.object(objects::FILES), &[stored, data]);
        cx.commit(&batch)
    }

    /// Fills a file. 6A80 for what is no content, 6A82 for a file nobody made, and what UPDATE answers.
    pub(super) fn take_file_content(&self, cx: &mut Context<'_>, data: &[u8]) -> Result<(), Sw> {
        let content = FileContent::parse(data).map_err(|_| Sw::WRONG_DATA)?;
        let (fid, place, data) = (content.fid(), content.place(), content.data());
        let files = AllFiles::of(cx, &self.profile)?;
        let file = files.all().by_fid(fid)?;
        // The scheme's files have groupings of their own.
        if PurseFiles::new(&self.profile).all().by_fid(fid).is_ok() {
            return Err(Sw::FILE_NOT_FOUND);
        }
        let mut buffer = [0; 288];
        let mut batch = Batch::new(&mut buffer);
        let number = || u8::try_from(place).map_err(|_| Sw::RECORD_NOT_FOUND);
        match file.structure {
            Structure::Transparent { .. } => {
                file.update_binary(cx.memory, &mut batch, cx.instance, usize::from(place), data, cx.scratch)?;
            }
            Structure::Cyclic { records, .. } => {
                Self::fill_ring(cx, file, records, number()?, data, &mut batch)?
            }
            _ => file.update_record(cx.memory, &mut batch, cx.instance, number()?, data)?,
        }
        cx.commit(&batch)
    }

    /// Record `from_oldest` of a ring, counted from the oldest: the next new one, or one that is there already.
    fn fill_ring(
        cx: &mut Context<'_>,
        file: &File<'_>,
        records: u8,
        from_oldest: u8,
        data: &[u8],
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let used = match file.find_record(cx.memory, cx.instance, None, Which::Last) {
            Ok(last) => last,
            Err(Sw::RECORD_NOT_FOUND) => 0,
            Err(sw) => return Err(sw),
        };
        match used.checked_sub(from_oldest) {
            _ if from_oldest == 0 || from_oldest > records => Err(Sw::RECORD_NOT_FOUND),
            Some(newer) => file.update_record(cx.memory, batch, cx.instance, newer.saturating_add(1), data),
            None if from_oldest == used.saturating_add(1) => {
                file.append_record(cx.memory, batch, cx.instance, data).map(|_| ())
            }
            None => Err(Sw::RECORD_NOT_FOUND),
        }
    }
}
