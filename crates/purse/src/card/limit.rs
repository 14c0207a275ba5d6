//! INITIALIZE FOR UPDATE and UPDATE OVERDRAW LIMIT. [sheet 1.3, 2.4: S:HB]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::objects::{self, CardKey, PurseState};
use super::session::{Phase, Session};
use super::{Purse, lock};
use crate::account::Account;
use crate::command::{Init, Limit, LimitInit, Proof, ShortInit};
use crate::keys::{self, KeyKind};
use crate::mac::{LimitMac1, LimitMac2, LimitTac, Message};
use crate::status;

impl<S: Suite> Purse<S> {
    /// The account that may be overdrawn: the passbook, else the purse where the scheme allows it.
    const fn overdraft_account(&self) -> Option<Account> {
        if self.profile.ed {
            Some(Account::Ed)
        } else if self.profile.ep_overdraft {
            Some(Account::Ep)
        } else {
            None
        }
    }

    pub(super) fn initialize_for_update(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.refuse_second_init(session)?;
        let account = self.overdraft_account().ok_or(Sw::WRONG_P1P2)?;
        if command.p2() != self.profile.limit_p2 {
            return Err(Sw::WRONG_P1P2);
        }
        self.require_pin(cx, account)?;
        let ShortInit { key_index, terminal } =
            ShortInit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let key = CardKey::read(cx, KeyKind::Update, key_index)?;
        let purse = self.online_purse(cx, account)?;
        let random = cx.random_bytes()?;
        let init = Init { key_index, amount: 0, terminal };
        let session = Session { phase: Phase::Limit, account, init, random };
        let (balance, old_limit, tti) = (purse.balance, purse.overdraft, session.tti());
        let mac1 = LimitMac1 { balance, old_limit, tti, terminal }
            .mac(&Self::online_session(&key, random, purse.online_seq)?)
            .map_err(|_| Sw::UNKNOWN)?;
        let answer = LimitInit {
            balance,
            online_seq: purse.online_seq,
            old_limit,
            key_version: key.version,
            algorithm: key.algorithm,
            random,
            mac1,
        };
        reply.push(&answer.to_bytes())?;
        session.keep(cx)
    }

    /// The stored balance follows the limit, since it is own money plus limit. [sheet 3.3]
    pub(super) fn update_overdraw_limit(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let session =
            session.filter(|session| session.phase == Phase::Limit).ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let Limit { new_limit, stamp, mac2 } = Limit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let Init { key_index, terminal, .. } = session.init;
        let tti = session.tti();
        let key = CardKey::read(cx, KeyKind::Update, key_index)?;
        let dtk = CardKey::read(cx, KeyKind::Tac, self.profile.tac_key_index)?;
        let purse = PurseState::read(cx, session.account)?;
        let expected = LimitMac2 { new_limit, tti, terminal, stamp }
            .mac(&Self::online_session(&key, session.random, purse.online_seq)?)
            .map_err(|_| Sw::UNKNOWN)?;
        // What the card cannot do is refused before the MAC is looked at, so that it never counts as a wrong one.
        // More is overdrawn than the new limit allows: 9401. More than the card may hold: 6985.
        let raised = purse.balance.checked_add(new_limit).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let balance = raised.checked_sub(purse.overdraft).ok_or(status::INSUFFICIENT_BALANCE)?;
        let upper_limit = u32::from_be_bytes(cx.read_array(objects::upper_limit(session.account))?);
        if balance > upper_limit {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &mac2)?;
        let after = PurseState {
            balance,
            online_seq: purse.online_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?,
            overdraft: new_limit,
            ..purse
        };
        let tac_key: S::Key =
            keys::tac_key(&self.profile, dtk.algorithm, &dtk.value).map_err(|_| Sw::UNKNOWN)?;
        let tac = LimitTac { balance, online_seq: purse.online_seq, new_limit, tti, terminal, stamp }
            .mac(&tac_key)
            .map_err(|_| Sw::UNKNOWN)?;
        // The log's amount is 00 ‖ new limit. [sheet 3.1: S:HB]
        let logged = Session { init: Init { amount: new_limit, ..session.init }, ..session };
        let completion = Completion {
            session: &logged,
            after,
            seq: after.online_seq,
            stamp,
            proof: Proof { mac: [0; 4], tac },
        };
        let mut buffer = [0; 128];
        let mut batch = Batch::new(&mut buffer);
        completion.put(cx, &PurseFiles::new(&self.profile), &mut batch)?;
        reply.push(&tac)?;
        cx.commit(&batch)
    }
}
