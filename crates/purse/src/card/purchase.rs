//! INITIALIZE FOR PURCHASE, and DEBIT FOR PURCHASE/CAPP, which completes both kinds of purchase. [sheet 1.3, 2.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::completion::Completion;
use super::files::PurseFiles;
use super::objects::{CardKey, PurseState};
use super::session::{self, Phase, Session};
use super::{Purse, lock};
use crate::account::Account;
use crate::command::{Debit, Debited, Init, Proof, PurchaseInit};
use crate::keys::{self, KeyKind};
use crate::mac::{Message, PurchaseMac1, PurchaseMac2, PurchaseTac};
use crate::profile::SecondInit;
use crate::status;

/// The batch of a debit: purse 17, proof 17, log 29 and its head 8, lock 9, then the cached records and eight bytes for
/// the ring head beside each trip record.
const DEBIT_BATCH: usize = 80 + session::CACHE_LEN + 64;

impl<S: Suite> Purse<S> {
    pub(super) fn initialize_for_purchase(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.initialize_debit(cx, session, Phase::Purchase, command, reply)
    }

    /// The common part of the initialisations that are completed by a debit.
    pub(super) fn initialize_debit(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        phase: Phase,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        self.refuse_second_init(session)?;
        let account = self.account(command.p2())?;
        // Cash comes from the passbook, composite purchases from the purse. [sheet 1.3]
        match (phase, account) {
            (Phase::Cash, Account::Ep) | (Phase::Capp, Account::Ed) => return Err(Sw::WRONG_P1P2),
            _ => self.require_pin(cx, account)?,
        }
        let init = Init::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let key = CardKey::read(cx, KeyKind::Purchase, init.key_index)?;
        let purse = PurseState::read(cx, account)?;
        if purse.offline_seq >= self.profile.counter_end {
            return Err(status::COUNTER_AT_END);
        }
        if purse.balance < init.amount {
            return Err(status::INSUFFICIENT_BALANCE);
        }
        let random = cx.random_bytes()?;
        let answer = PurchaseInit {
            balance: purse.balance,
            offline_seq: purse.offline_seq,
            overdraft: purse.overdraft,
            key_version: key.version,
            algorithm: key.algorithm,
            random,
        };
        reply.push(&answer.to_bytes())?;
        session::cache(cx.volatile).clear();
        Session { phase, account, init, random }.keep(cx)
    }

    pub(super) fn debit_for_purchase(
        &self,
        cx: &mut Context<'_>,
        session: Option<Session>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let session = session
            .filter(|session| match session.phase {
                Phase::Purchase | Phase::Cash => true,
                // A composite purchase has at least one cached record. [sheet 1.3]
                Phase::Capp => !session::cache(cx.volatile).is_empty(),
                _ => false,
            })
            .ok_or(self.profile.out_of_order)?;
        if command.p1p2() != 0x0100 {
            return Err(Sw::WRONG_P1P2);
        }
        let Debit { terminal_seq, stamp, mac1 } =
            Debit::parse(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let Init { key_index, amount, terminal } = session.init;
        let tti = session.tti();
        let key = CardKey::read(cx, KeyKind::Purchase, key_index)?;
        let dtk = CardKey::read(cx, KeyKind::Tac, self.profile.tac_key_index)?;
        let purse = PurseState::read(cx, session.account)?;
        let session_key: S::Key = keys::open(key.algorithm, &key.value)
            .and_then(|key| keys::purchase_session(&key, session.random, purse.offline_seq, terminal_seq))
            .map_err(|_| Sw::UNKNOWN)?;
        let expected = Self::purchase_mac1(cx, &session_key, PurchaseMac1 { amount, tti, terminal, stamp })?;
        let counted = session.phase != Phase::Capp || self.profile.composite_mac_errors;
        lock::check_transaction_mac(cx, &self.profile, counted, &expected, &mac1)?;

        let after = PurseState {
            balance: purse.balance.checked_sub(amount).ok_or(status::INSUFFICIENT_BALANCE)?,
            offline_seq: purse.offline_seq.checked_add(1).ok_or(status::COUNTER_AT_END)?,
            ..purse
        };
        let tac_key: S::Key =
            keys::tac_key(&self.profile, dtk.algorithm, &dtk.value).map_err(|_| Sw::UNKNOWN)?;
        let tac = PurchaseTac { amount, tti, terminal, terminal_seq, stamp }
            .mac(&tac_key)
            .map_err(|_| Sw::UNKNOWN)?;
        let mac2 = PurchaseMac2 { amount }.mac(&session_key).map_err(|_| Sw::UNKNOWN)?;
        let completion = Completion {
            session: &session,
            after,
            seq: after.offline_seq,
            stamp,
            proof: Proof { mac: mac2, tac },
        };
        let files = PurseFiles::new(&self.profile);
        let mut buffer = [0; DEBIT_BATCH];
        let mut batch = Batch::new(&mut buffer);
        completion.put(cx, &files, &mut batch)?;
        if session.phase == Phase::Capp {
            Self::put_cached_records(cx, &files, &mut batch)?;
        }
        reply.push(&Debited { tac, mac2 }.to_bytes())?;
        cx.commit(&batch)
    }

    /// Where the profile wants it: an initialisation inside an open session ends that session and does nothing else.
    pub(super) fn refuse_second_init(&self, session: Option<Session>) -> Result<(), Sw> {
        match (self.profile.second_init, session) {
            (SecondInit::Refused, Some(_)) => Err(self.profile.out_of_order),
            _ => Ok(()),
        }
    }
}
