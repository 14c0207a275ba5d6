//! INITIALIZE FOR UNLOAD (圈提) and DEBIT FOR UNLOAD.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Session;

impl<S: Suite> Purse<S> {
    pub(super) fn initialize_for_unload(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, session, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn debit_for_unload(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, session, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
