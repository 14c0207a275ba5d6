//! INITIALIZE FOR LOAD and CREDIT FOR LOAD. [sheet 1.3, 2.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::objects::{self, CardKey, PurseState};
use super::session::{Phase, Session};
use super::{Purse, lock};
use crate::account::Account;
use crate::command::{Credit, Init, Proof};
use crate::keys::{self, KeyKind};
use crate::mac::{LoadMac2, LoadTac, Message};
use crate::status;

impl<S: Suite> Purse<S> {
    /// Answers without a PIN on EP: readers use it to see the counter. [correction 7]
    pub(super) fn initialize_for_load(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.refuse_second_init(session)?;
        let account = self.account(command.p2())?;
        self.require_pin(cx, account)?;
        let kinds = (Phase::Load, KeyKind::Load);
        self.initialize_online(cx, kinds, account, command, reply, |cx, balance, amount| {
            Self::loaded_balance(cx, account, balance, amount).map(|_| ())
        })
    }

    pub(super) fn credit_for_load(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let session =
            session.filter(|session| session.phase == Phase::Load).ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let Credit { stamp, mac2 } = Credit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let Init { key_index, amount, terminal } = session.init;
        let tti = session.tti();
        let key = CardKey::read(cx, KeyKind::Load, key_index)?;
        let dtk = CardKey::read(cx, KeyKind::Tac, self.profile.tac_key_index)?;
        let purse = PurseState::read(cx, session.account)?;
        let expected = LoadMac2 { amount, tti, terminal, stamp }
            .mac(&Self::online_session(&key, session.random, purse.online_seq)?)
            .map_err(|_| Sw::UNKNOWN)?;
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &mac2)?;

        let after = PurseState {
            balance: Self::loaded_balance(cx, session.account, purse.balance, amount)?,
            online_seq: purse.online_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?,
            ..purse
        };
        let tac_key: S::Key =
            keys::tac_key(&self.profile, dtk.algorithm, &dtk.value).map_err(|_| Sw::UNKNOWN)?;
        let tac =
            LoadTac { balance: after.balance, online_seq: purse.online_seq, amount, tti, terminal, stamp }
                .mac(&tac_key)
                .map_err(|_| Sw::UNKNOWN)?;
        let completion = Completion {
            session: &session,
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

    /// The balance after a load, or 6985 over the limit. The check is repeated at the credit for no other reason than
    /// that nothing is written unchecked.
    fn loaded_balance(cx: &mut Context<'_>, account: Account, balance: u32, amount: u32) -> Result<u32, Sw> {
        let limit = u32::from_be_bytes(cx.read_array(objects::upper_limit(account))?);
        balance.checked_add(amount).filter(|balance| *balance <= limit).ok_or(Sw::CONDITIONS_NOT_SATISFIED)
    }
}
