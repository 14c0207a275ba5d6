//! INITIALIZE FOR CASH WITHDRAW; the debit is that of a purchase.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Session;

impl<S: Suite> Purse<S> {
    pub(super) fn initialize_for_cash_withdraw(
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
