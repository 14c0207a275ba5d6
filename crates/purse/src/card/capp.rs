//! INITIALIZE FOR CAPP PURCHASE (复合消费) and UPDATE CAPP DATA CACHE. [sheet 1.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter, Write};
use huiwan_crypto::Suite;

use super::Purse;
use super::files::PurseFiles;
use super::objects;
use super::session::{self, Phase, Session};
use crate::status;

impl<S: Suite> Purse<S> {
    /// The amount may be zero: everything happens as usual. [sheet 3.3]
    pub(super) fn initialize_for_capp_purchase(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.initialize_debit(cx, session, Phase::Capp, command, reply)
    }

    /// Keeps a record for the debit; nothing is written before. P1 names the record, P2 the file.
    pub(super) fn update_capp_data_cache(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
    ) -> Result<(), Sw> {
        let session =
            session.filter(|session| session.phase == Phase::Capp).ok_or(self.profile.out_of_order)?;
        let (sfi, low) = (command.p2() >> 3, command.p2() & 0x07);
        if low != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let data = command.data();
        if data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let files = PurseFiles::new(&self.profile);
        let file = files.all().by_sfi(sfi)?;
        let base = cx.object(file.base);
        if sfi == self.profile.composite_sfi {
            let mut stored = [0; 255];
            let (number, stored) = Self::find_record(cx, &files, command.p1(), &mut stored)?;
            let len = stored.len();
            if self.profile.records.is_locked(stored) {
                return Err(status::RECORD_LOCKED);
            }
            if data.len() > len {
                return Err(Sw::NOT_ENOUGH_MEMORY);
            }
            let id = self.profile.records.id_len;
            if data.get(..id) != stored.get(..id) || !self.profile.records.update_fits(data, len) {
                return Err(Sw::WRONG_DATA);
            }
            let object = cx.object(objects::record(sfi, number));
            session::cache(cx.volatile).put(object, filled_up(data, len, &mut [0; 255]))?;
        } else if sfi == self.profile.process_sfi {
            if command.p1() != 0 {
                return Err(Sw::WRONG_P1P2);
            }
            let len = usize::from(self.profile.process_len);
            if data.len() > len {
                return Err(Sw::NOT_ENOUGH_MEMORY);
            }
            session::cache(cx.volatile).put(base, filled_up(data, len, &mut [0; 255]))?;
        } else {
            return Err(Sw::COMMAND_INCOMPATIBLE);
        }
        session.keep(cx)
    }

    /// Adds the cached records to the commit of the debit.
    pub(super) fn put_cached_records(
        cx: &mut Context<'_>,
        files: &PurseFiles,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let process = files.process();
        let appended = cx.object(process.base);
        for write in session::cache(cx.volatile).writes() {
            match write {
                Write::Put(object, data) if object == appended => {
                    process.append_record(cx.memory, batch, cx.instance, data)?;
                }
                Write::Put(object, data) => batch.put(object, data),
                Write::Delete(_) | Write::DeleteInstance(_) => {}
            }
        }
        Ok(())
    }
}

/// `data` and zeros up to `len`: a shorter record is filled up by the card. \[S:HB\]
fn filled_up<'o>(data: &[u8], len: usize, out: &'o mut [u8; 255]) -> &'o [u8] {
    out.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    out.get(..len).unwrap_or_default()
}
