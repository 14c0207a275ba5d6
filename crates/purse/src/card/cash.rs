//! INITIALIZE FOR CASH WITHDRAW, from the passbook; the debit is that of a purchase. [sheet 1.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::session::{Phase, Session};

impl<S: Suite> Purse<S> {
    pub(super) fn initialize_for_cash_withdraw(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.initialize_debit(cx, session, Phase::Cash, command, reply)
    }
}
