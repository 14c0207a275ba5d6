//! INITIALIZE FOR GREY LOCK, GREY LOCK, DEBIT FOR UNLOCK and GET LOCK PROOF (灰锁).

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Session;

impl<S: Suite> Purse<S> {
    pub(super) fn initialize_for_grey_lock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, session, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn grey_lock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, session, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn debit_for_unlock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn get_lock_proof(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
