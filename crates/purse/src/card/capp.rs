//! INITIALIZE FOR CAPP PURCHASE (复合消费) and UPDATE CAPP DATA CACHE. [sheet 1.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
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
        if sfi == self.profile.composite_sfi {
            let mut stored = [0; 255];
            let (number, stored) = self.find_record(cx, command.p1(), &mut stored)?;
            if self.profile.records.is_locked(stored) {
                return Err(status::RECORD_LOCKED);
            }
            if data.len() > stored.len() {
                return Err(Sw::NOT_ENOUGH_MEMORY);
            }
            let id = self.profile.records.id_len;
            if data.get(..id) != stored.get(..id) || !self.profile.records.length_fits(data) {
                return Err(Sw::WRONG_DATA);
            }
            session::add_to_cache(cx.volatile, sfi, number, data, stored.len())?;
        } else if sfi == self.profile.process_sfi && sfi != 0 {
            if command.p1() != 0 {
                return Err(Sw::WRONG_P1P2);
            }
            let len = usize::from(self.profile.process_len);
            if data.len() > len {
                return Err(Sw::NOT_ENOUGH_MEMORY);
            }
            session::add_to_cache(cx.volatile, sfi, 0, data, len)?;
        } else if self.is_file(sfi) {
            return Err(Sw::COMMAND_INCOMPATIBLE);
        } else {
            return Err(Sw::FILE_NOT_FOUND);
        }
        session.keep(cx)
    }

    /// Adds the cached records to the commit of the debit.
    pub(super) fn put_cached_records(&self, cx: &mut Context<'_>, batch: &mut Batch<'_>) -> Result<(), Sw> {
        let process = self.process();
        let mut ring = process.ring(cx)?;
        for cached in session::cache(cx.volatile) {
            if cached.number == 0 {
                process.append(cx, &mut ring, batch, cached.data);
            } else {
                batch.put(cx.object(objects::record(cached.sfi, cached.number)), cached.data);
            }
        }
        Ok(())
    }
}
