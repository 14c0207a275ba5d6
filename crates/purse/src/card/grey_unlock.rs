//! INITIALIZE FOR GREY UNLOCK and GREY UNLOCK (联机解扣): the host pays and unlocks what no terminal can. [sheet 1.5, 2.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::grey_lock::{BATCH, State, mac};
use super::objects::{CardKey, PurseState};
use super::session::{Phase, Session};
use super::{Purse, lock};
use crate::command::{GreyUnlockInit, GreyUnlockRequest, Init, LockProof, Proof, ShortInit};
use crate::keys::KeyKind;
use crate::mac::{GreyUnlockMac1, LoadMac2, LoadTac};
use crate::status;

impl<S: Suite> Purse<S> {
    /// Only for the account that is locked; 6985 otherwise. \[M\]
    pub(super) fn initialize_for_grey_unlock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.grey_lock_rules()?;
        self.refuse_second_init(session)?;
        if command.p1() != 0x09 {
            return Err(Sw::WRONG_P1P2);
        }
        let account = self.account(command.p2())?;
        let ShortInit { key_index, terminal } =
            ShortInit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        State::locked(cx)?.filter(|state| state.account == account).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let key = CardKey::read(cx, KeyKind::GreyUnlock, key_index)?;
        let purse = self.online_purse(cx, account)?;
        let random = cx.random_bytes()?;
        let init = Init { key_index, amount: 0, terminal };
        let session = Session { phase: Phase::GreyUnlock, account, init, random };
        let (balance, offline_seq) = (purse.balance, purse.offline_seq);
        let message = GreyUnlockMac1 { balance, offline_seq, tti: session.tti(), terminal };
        let mac1 = mac(&message, &Self::online_session(&key, random, purse.online_seq)?)?;
        let answer = GreyUnlockInit {
            balance,
            offline_seq,
            online_seq: purse.online_seq,
            key_version: key.version,
            algorithm: key.algorithm,
            random,
            mac1,
        };
        reply.push(&answer.to_bytes())?;
        session.keep(cx)
    }

    /// Funds before MAC2, as in DEBIT FOR UNLOCK. \[M\]
    pub(super) fn grey_unlock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.grey_lock_rules()?;
        let session =
            session.filter(|session| session.phase == Phase::GreyUnlock).ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0x0900 {
            return Err(Sw::WRONG_P1P2);
        }
        let GreyUnlockRequest { amount, stamp, mac2 } =
            GreyUnlockRequest::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let state = State::locked(cx)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let Session { account, init: Init { key_index, terminal, .. }, random, .. } = session;
        let tti = session.tti();
        let purse = PurseState::read(cx, account)?;
        let balance = purse.balance.checked_sub(amount).ok_or(status::INSUFFICIENT_BALANCE)?;
        let key = CardKey::read(cx, KeyKind::GreyUnlock, key_index)?;
        let session_key = Self::online_session(&key, random, purse.online_seq)?;
        let expected = mac(&LoadMac2 { amount, tti, terminal, stamp }, &session_key)?;
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &mac2)?;

        let online_seq = purse.online_seq;
        let mac3 = mac(&LoadTac { balance, online_seq, amount, tti, terminal, stamp }, &session_key)?;
        let seq = online_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?;
        let after = PurseState { balance, online_seq: seq, ..purse };
        let session = Session { init: Init { amount, ..session.init }, ..session };
        let proof = Proof { mac: mac3, tac: [0; 4] };
        let completion = Completion { session: &session, after, seq, stamp, proof };
        // The host has MAC3: there is no TAC that somebody would still have to take.
        let proof = LockProof { status: LockProof::FREE, tti, balance, terminal, stamp, ..state.proof };
        let mut buffer = [0; BATCH];
        let mut batch = Batch::new(&mut buffer);
        completion.put(cx, &PurseFiles::new(&self.profile), &mut batch)?;
        State { proof, ..state }.put(cx, &mut batch);
        reply.push(&mac3)?;
        cx.commit(&batch)
    }
}
