//! GET BALANCE with the JT/T 978 variants of P1. [sheet 1.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::objects::{self, PurseState};
use crate::account::Account;

impl<S: Suite> Purse<S> {
    /// P1: 00 available balance, 01 overdraft limit, 02 amount overdrawn, 03 actual balance, 04 its upper limit,
    /// 05 actual ‖ upper limit ‖ overdrawn ‖ overdraft limit.
    pub(super) fn get_balance(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let account = self.account(command.p2())?;
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        self.require_pin(cx, account)?;
        // The variants of P1 are JT/T 978's. [sheet 1.4]
        if command.p1() != 0 && !(account == Account::Ep && self.profile.ep_overdraft) {
            return Err(Sw::WRONG_P1P2);
        }
        let purse = PurseState::read(cx, account)?;
        // Stored balance = own money + overdraft limit, less what is spent. [sheet 3.3]
        let actual = purse.balance.saturating_sub(purse.overdraft);
        let overdrawn = purse.overdraft.saturating_sub(purse.balance);
        let upper_limit = u32::from_be_bytes(cx.read_array(objects::upper_limit(account))?);
        match command.p1() {
            0x00 => reply.push(&purse.balance.to_be_bytes()),
            0x01 => reply.push(&purse.overdraft.to_be_bytes()),
            0x02 => reply.push(&overdrawn.to_be_bytes()),
            0x03 => reply.push(&actual.to_be_bytes()),
            0x04 => reply.push(&upper_limit.to_be_bytes()),
            0x05 => [actual, upper_limit, overdrawn, purse.overdraft]
                .iter()
                .try_for_each(|amount| reply.push(&amount.to_be_bytes())),
            _ => Err(Sw::WRONG_P1P2),
        }
    }
}
