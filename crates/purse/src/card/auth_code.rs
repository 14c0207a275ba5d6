//! GET AUTHENTICATION CODE of 建设部 (80 CA), and what it does to the MAC1 of the next debit. [sheet 1.2, 2.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::{Suite, SuiteKey};

use super::session::Session;
use super::{Purse, objects, session};
use crate::mac::{AuthCodePurchaseMac1, Mac, Message, PurchaseMac1};

/// Length of the code, bytes.
pub(super) const LEN: usize = 9;

impl<S: Suite> Purse<S> {
    /// Reading the code leaves an open session open. \[S:HB\]
    pub(super) fn get_auth_code(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let code: [u8; LEN] = cx.read_array(objects::AUTH_CODE)?;
        reply.push(&code)?;
        session::set_auth_code_read(cx);
        session.map_or(Ok(()), |session| session.keep(cx))
    }

    /// MAC1 of a debit: it covers the authentication code if that was read before.
    pub(super) fn purchase_mac1<K: SuiteKey>(
        cx: &mut Context<'_>,
        session_key: &K,
        message: PurchaseMac1,
    ) -> Result<Mac, Sw> {
        let PurchaseMac1 { amount, tti, terminal, stamp } = message;
        let mac1 = if session::take_auth_code_read(cx) {
            let auth_code = cx.read_array(objects::AUTH_CODE)?;
            AuthCodePurchaseMac1 { amount, tti, terminal, stamp, auth_code }.mac(session_key)
        } else {
            message.mac(session_key)
        };
        mac1.map_err(|_| Sw::UNKNOWN)
    }
}
