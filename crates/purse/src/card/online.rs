//! What the transactions with a host have in common: load and unload begin alike, and their session key is one rule.
//! [sheet 1.3, 2.3]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::objects::{CardKey, PurseState};
use super::session::{Phase, Session};
use crate::account::Account;
use crate::command::{Init, LoadInit};
use crate::keys::{self, KeyKind};
use crate::mac::{LoadMac1, Message};
use crate::status;

impl<S: Suite> Purse<S> {
    /// Answers an initialisation for load or unload of `account`. `check` says whether the balance allows the amount.
    pub(super) fn initialize_online(
        &self,
        cx: &mut Context<'_>,
        (phase, kind): (Phase, KeyKind),
        account: Account,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
        check: impl FnOnce(&mut Context<'_>, u32, u32) -> Result<(), Sw>,
    ) -> Result<(), Sw> {
        let init = Init::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let key = CardKey::read(cx, kind, init.key_index)?;
        let purse = self.online_purse(cx, account)?;
        check(cx, purse.balance, init.amount)?;
        let random = cx.random_bytes()?;
        let session = Session { phase, account, init, random };
        let session_key = Self::online_session(&key, random, purse.online_seq)?;
        let mac1 = LoadMac1 {
            balance: purse.balance,
            amount: init.amount,
            tti: session.tti(),
            terminal: init.terminal,
        }
        .mac(&session_key)
        .map_err(|_| Sw::UNKNOWN)?;
        let answer = LoadInit {
            balance: purse.balance,
            online_seq: purse.online_seq,
            key_version: key.version,
            algorithm: key.algorithm,
            random,
            mac1,
        };
        reply.push(&answer.to_bytes())?;
        session.keep(cx)
    }

    /// The account, unless its online counter is at its end.
    pub(super) fn online_purse(&self, cx: &mut Context<'_>, account: Account) -> Result<PurseState, Sw> {
        let purse = PurseState::read(cx, account)?;
        if purse.online_seq >= self.profile.counter_end {
            return Err(status::COUNTER_AT_END);
        }
        Ok(purse)
    }

    /// SESLK, SESULK or SESUK.
    pub(super) fn online_session(key: &CardKey, random: [u8; 4], online_seq: u16) -> Result<S::Key, Sw> {
        keys::open::<S::Key>(key.algorithm, &key.value)
            .and_then(|key| keys::load_session(&key, random, online_seq))
            .map_err(|_| Sw::UNKNOWN)
    }
}
