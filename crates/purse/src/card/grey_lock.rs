//! INITIALIZE FOR GREY LOCK, GREY LOCK, DEBIT FOR UNLOCK and GET LOCK PROOF (灰锁). [sheet 1.5, 2.4; JR/T 0025.9]
//!
//! A grey lock sets the purse aside for one terminal until fuel has flowed and its price is known. It outlives the
//! session: DEBIT FOR UNLOCK may come on a later day, from another terminal that was given the first one's figures. One
//! lock holds both accounts.
//!
//! Object: account 1 ‖ key index 1 ‖ random 4 ‖ offline counter before 2 ‖ terminal's number 4 ‖ terminal's
//! random 4 ‖ [`LockProof`] 30. The session key is computed anew from these: no key is stored twice.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::objects::{self, CardKey, LastProof, PurseState};
use super::session::{Phase, Session};
use super::{Purse, lock};
use crate::account::Account;
use crate::command::{GreyLock, GreyLockInit, GreyLocked, Init, LockProof, Proof, ShortInit, Unlock};
use crate::keys::{self, KeyKind};
use crate::mac::{GreyLockMac1, GreyLockMac2, GreyLockTac, Mac, Message, PurchaseTac, UnlockMac};
use crate::pack::{Pack, Unpack};
use crate::profile::GreyLockRules;
use crate::status;
use crate::tti::Tti;

/// The batch of GREY LOCK (purse 17, proof 17, lock 52, error counter 9) and of the unlocks, which add a log record (29)
/// and its head (8), on cards of 建设部 twice.
pub(super) const BATCH: usize = 176;

/// The grey lock, or what it left behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) account: Account,
    pub(super) key_index: u8,
    pub(super) random: [u8; 4],
    pub(super) offline_seq: u16,
    pub(super) terminal_seq: u32,
    pub(super) terminal_random: [u8; 4],
    /// What GET LOCK PROOF answers, status first.
    pub(super) proof: LockProof,
}

impl State {
    const LEN: usize = 46;

    /// `None` if the purse was never locked.
    pub(super) fn read(cx: &mut Context<'_>) -> Result<Option<Self>, Sw> {
        let Some(raw) = cx.find_array::<{ Self::LEN }>(objects::GREY_LOCK)? else { return Ok(None) };
        let mut fields = Unpack::new(&raw);
        let account = Account::from_p2(fields.byte()).ok_or(Sw::MEMORY_FAILURE)?;
        Ok(Some(Self {
            account,
            key_index: fields.byte(),
            random: fields.take(),
            offline_seq: fields.u16(),
            terminal_seq: fields.u32(),
            terminal_random: fields.take(),
            proof: LockProof::parse(&fields.take::<{ LockProof::LEN }>()).map_err(|_| Sw::MEMORY_FAILURE)?,
        }))
    }

    pub(super) fn put(&self, cx: &Context<'_>, batch: &mut Batch<'_>) {
        let raw: [u8; Self::LEN] = Pack::new()
            .put([self.account.p2(), self.key_index])
            .put(self.random)
            .put(self.offline_seq.to_be_bytes())
            .put(self.terminal_seq.to_be_bytes())
            .put(self.terminal_random)
            .put(self.proof.to_bytes())
            .finish();
        batch.put(cx.object(objects::GREY_LOCK), &raw);
    }

    /// The lock that holds the purse now.
    pub(super) fn locked(cx: &mut Context<'_>) -> Result<Option<Self>, Sw> {
        Ok(Self::read(cx)?.filter(|state| state.proof.status == LockProof::LOCKED))
    }
}

impl<S: Suite> Purse<S> {
    /// The scheme's rules, or 6D00 where it has no grey lock.
    pub(super) fn grey_lock_rules(&self) -> Result<GreyLockRules, Sw> {
        self.profile.grey_lock.ok_or(Sw::INS_NOT_SUPPORTED)
    }

    /// 9408 while the purse is grey-locked: nothing changes its balance but the two unlocks. \[S:W-304, S:HB\]
    pub(super) fn refuse_if_grey_locked(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        if self.profile.grey_lock.is_some() && State::locked(cx)?.is_some() {
            return Err(status::GREY_LOCKED);
        }
        Ok(())
    }

    pub(super) fn initialize_for_grey_lock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.grey_lock_rules()?;
        self.refuse_second_init(session)?;
        let account = self.account(command.p2())?;
        self.require_pin(cx, account)?;
        let ShortInit { key_index, terminal } =
            ShortInit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        self.refuse_if_grey_locked(cx)?;
        let key = CardKey::read(cx, KeyKind::Purchase, key_index)?;
        let purse = PurseState::read(cx, account)?;
        if purse.offline_seq >= self.profile.counter_end {
            return Err(status::COUNTER_AT_END);
        }
        let random = cx.random_bytes()?;
        let answer = GreyLockInit {
            balance: purse.balance,
            offline_seq: purse.offline_seq,
            overdraft: purse.overdraft,
            key_version: key.version,
            algorithm: key.algorithm,
            random,
        };
        reply.push(&answer.to_bytes())?;
        let init = Init { key_index, amount: 0, terminal };
        Session { phase: Phase::GreyLock, account, init, random }.keep(cx)
    }

    /// Locks: lock, counter and proof in one commit. The lock itself is not logged, its debit is. \[S:W-304\]
    pub(super) fn grey_lock(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.grey_lock_rules()?;
        let session =
            session.filter(|session| session.phase == Phase::GreyLock).ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0x0800 {
            return Err(Sw::WRONG_P1P2);
        }
        let GreyLock { terminal_seq, terminal_random, stamp, mac1 } =
            GreyLock::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let Session { account, init: Init { key_index, terminal, .. }, random, .. } = session;
        let purse = PurseState::read(cx, account)?;
        let (balance, offline_seq, tti) = (purse.balance, purse.offline_seq, Tti::GREY_LOCK);
        let proof = LockProof {
            status: LockProof::LOCKED,
            tti,
            account: account.p2(),
            balance,
            offline_seq,
            terminal,
            stamp,
            mac2: [0; 4],
            gtac: [0; 4],
        };
        let mut state =
            State { account, key_index, random, offline_seq, terminal_seq, terminal_random, proof };
        let session_key = self.grey_session(cx, &state)?;
        let expected = mac(&GreyLockMac1 { tti, terminal, stamp }, &session_key)?;
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &mac1)?;

        let mac2 = mac(&GreyLockMac2 { balance }, &session_key)?;
        let tac = GreyLockTac { balance, offline_seq, tti, terminal, terminal_seq, stamp };
        let gtac = mac(&tac, &self.tac_key(cx)?)?;
        state.proof = LockProof { mac2, gtac, ..proof };
        let seq = offline_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?;
        let after = PurseState { offline_seq: seq, ..purse };
        let last = LastProof { tti, seq, proof: Proof { mac: mac2, tac: gtac } };
        let mut buffer = [0; BATCH];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(objects::purse(account)), &after.to_bytes());
        batch.put(cx.object(objects::PROOF), &last.to_bytes());
        state.put(cx, &mut batch);
        lock::clear_mac_errors(cx, &mut batch)?;
        reply.push(&GreyLocked { gtac, mac2 }.to_bytes())?;
        cx.commit(&batch)
    }

    /// Pays what was delivered and unlocks. Counter, balance and GMAC are checked in this order; only a wrong GMAC counts
    /// as an error. \[S:W-304\]
    pub(super) fn debit_for_unlock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let rules = self.grey_lock_rules()?;
        let account = self.account(command.p2())?;
        let Unlock { amount, offline_seq, terminal, terminal_seq, stamp, gmac } =
            Unlock::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let state = State::locked(cx)?
            .filter(|state| state.account == account)
            .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        if offline_seq != state.offline_seq.wrapping_add(rules.seq_ahead) {
            return Err(status::NO_PROOF);
        }
        let purse = PurseState::read(cx, account)?;
        let balance = purse.balance.checked_sub(amount).ok_or(status::INSUFFICIENT_BALANCE)?;
        let expected = mac(&UnlockMac { amount }, &self.grey_session(cx, &state)?)?;
        lock::check_transaction_mac(cx, &self.profile, true, &expected, &gmac)?;

        let init = Init { key_index: state.key_index, amount, terminal };
        let session = Session { phase: Phase::Unlock, account, init, random: state.random };
        let tti = session.tti();
        let tac = mac(&PurchaseTac { amount, tti, terminal, terminal_seq, stamp }, &self.tac_key(cx)?)?;
        let after = PurseState { balance, ..purse };
        // The lock has counted already: both are one transaction.
        let proof = Proof { mac: [0; 4], tac };
        let completion = Completion { session: &session, after, seq: purse.offline_seq, stamp, proof };
        let proof =
            LockProof { status: LockProof::UNTAKEN, tti, balance, terminal, stamp, gtac: tac, ..state.proof };
        let mut buffer = [0; BATCH];
        let mut batch = Batch::new(&mut buffer);
        completion.put(cx, &PurseFiles::new(&self.profile), &mut batch)?;
        State { proof, ..state }.put(cx, &mut batch);
        reply.push(&tac)?;
        cx.commit(&batch)
    }

    /// P1 00 reads, 01 also notes that the TAC was taken. Whoever reads with 01 gets what stood there before.
    pub(super) fn get_lock_proof(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.grey_lock_rules()?;
        let take = match command.p1p2() {
            0x0000 => false,
            0x0100 => true,
            _ => return Err(Sw::WRONG_P1P2),
        };
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let Some(state) = State::read(cx)? else { return reply.push(&[0; LockProof::LEN]) };
        reply.push(&state.proof.to_bytes())?;
        if take && state.proof.status == LockProof::UNTAKEN {
            let proof = LockProof { status: LockProof::FREE, ..state.proof };
            let mut buffer = [0; BATCH];
            let mut batch = Batch::new(&mut buffer);
            State { proof, ..state }.put(cx, &mut batch);
            return cx.commit(&batch);
        }
        Ok(())
    }

    fn grey_session(&self, cx: &mut Context<'_>, state: &State) -> Result<S::Key, Sw> {
        let State { key_index, random, offline_seq, terminal_seq, terminal_random, .. } = *state;
        let key = CardKey::read(cx, KeyKind::Purchase, key_index)?;
        keys::open::<S::Key>(key.algorithm, &key.value)
            .and_then(|dpk| keys::grey_session(&dpk, random, offline_seq, terminal_seq, terminal_random))
            .map_err(|_| Sw::UNKNOWN)
    }

    fn tac_key(&self, cx: &mut Context<'_>) -> Result<S::Key, Sw> {
        let dtk = CardKey::read(cx, KeyKind::Tac, self.profile.tac_key_index)?;
        keys::tac_key(&self.profile, dtk.algorithm, &dtk.value).map_err(|_| Sw::UNKNOWN)
    }
}

/// The MAC of a message; a key that cannot compute it is no fault of the command.
pub(super) fn mac<K: huiwan_crypto::SuiteKey>(message: &impl Message, key: &K) -> Result<Mac, Sw> {
    message.mac(key).map_err(|_| Sw::UNKNOWN)
}
