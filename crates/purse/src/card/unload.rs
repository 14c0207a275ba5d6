//! INITIALIZE FOR UNLOAD (圈提) and DEBIT FOR UNLOAD. [sheet 1.3, 2.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::objects::{CardKey, PurseState};
use super::session::{Phase, Session};
use super::{Purse, lock};
use crate::account::Account;
use crate::command::{Credit, Init, Proof};
use crate::keys::KeyKind;
use crate::mac::{LoadMac2, LoadTac, Message};
use crate::status;

impl<S: Suite> Purse<S> {
    /// Money goes back to the bank only after a PIN, from the purse too.
    pub(super) fn initialize_for_unload(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.refuse_second_init(session)?;
        let account = self.account(command.p2())?;
        if account == Account::Ep && !self.profile.ep_unload {
            return Err(Sw::WRONG_P1P2);
        }
        Self::require_verified(cx)?;
        let kinds = (Phase::Unload, KeyKind::Unload);
        self.initialize_online(cx, kinds, account, command, reply, |_, balance, amount| {
            if balance < amount { Err(status::INSUFFICIENT_BALANCE) } else { Ok(()) }
        })
    }

    /// The answer is MAC3, under the session key; an unload has no TAC.
    pub(super) fn debit_for_unload(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let session =
            session.filter(|session| session.phase == Phase::Unload).ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0x0300 {
            return Err(Sw::WRONG_P1P2);
        }
        let Credit { stamp, mac2 } = Credit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let Init { key_index, amount, terminal } = session.init;
        let tti = session.tti();
        let key = CardKey::read(cx, KeyKind::Unload, key_index)?;
        let purse = PurseState::read(cx, session.account)?;
        let session_key = Self::online_session(&key, session.random, purse.online_seq)?;
        let expected =
            LoadMac2 { amount, tti, terminal, stamp }.mac(&session_key).map_err(|_| Sw::UNKNOWN)?;
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &mac2)?;

        let after = PurseState {
            balance: purse.balance.checked_sub(amount).ok_or(status::INSUFFICIENT_BALANCE)?,
            online_seq: purse.online_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?,
            ..purse
        };
        let mac3 =
            LoadTac { balance: after.balance, online_seq: purse.online_seq, amount, tti, terminal, stamp }
                .mac(&session_key)
                .map_err(|_| Sw::UNKNOWN)?;
        let completion = Completion {
            session: &session,
            after,
            seq: after.online_seq,
            stamp,
            proof: Proof { mac: mac3, tac: [0; 4] },
        };
        let mut buffer = [0; 128];
        let mut batch = Batch::new(&mut buffer);
        completion.put(cx, &PurseFiles::new(&self.profile), &mut batch)?;
        reply.push(&mac3)?;
        cx.commit(&batch)
    }
}
