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
use crate::command::{Credit, Init, LoadInit, Proof};
use crate::keys::{self, KeyKind};
use crate::mac::{LoadMac1, LoadMac2, LoadTac, Message};
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
        let init = Init::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let key = CardKey::read(cx, KeyKind::Load, init.key_index)?;
        let purse = PurseState::read(cx, account)?;
        if purse.online_seq >= self.profile.counter_end {
            return Err(status::COUNTER_AT_END);
        }
        Self::loaded_balance(cx, account, purse.balance, init.amount)?;
        let random = cx.random_bytes()?;
        let session = Session { phase: Phase::Load, account, init, random };
        let session_key = load_session::<S>(&key, random, purse.online_seq)?;
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
            .mac(&load_session::<S>(&key, session.random, purse.online_seq)?)
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

fn load_session<S: Suite>(key: &CardKey, random: [u8; 4], online_seq: u16) -> Result<S::Key, Sw> {
    keys::open::<S::Key>(key.algorithm, &key.value)
        .and_then(|key| keys::load_session(&key, random, online_seq))
        .map_err(|_| Sw::UNKNOWN)
}
