//! What a PSAM does, once: [`SoftSam`](super::SoftSam) and the card application differ only in where they keep keys and
//! counters.

use huiwan_apdu::Sw;
use huiwan_crypto::{CryptoError, SuiteKey, ct_eq};

use super::wire::{Gmac, Holder, Terms};
use super::{SamGreyLock, SamPurchase};
use crate::keys::{self, CardId, Factor, KeyValue};
use crate::mac::{
    AuthCodePurchaseMac1, GreyLockMac1, GreyLockMac2, Mac, Message, PurchaseMac1, PurchaseMac2, TerminalNo,
    UnlockMac,
};
use crate::pack::{Pack, Unpack};
use crate::profile::{Profile, SamCount};
use crate::status;
use crate::tti::Tti;

/// Usage of the purchase keys; INIT DES cannot name it. The code is ours.
pub(crate) const PURCHASE: u8 = 0x00;
/// Usage of the key that authentication codes are checked with; INIT DES cannot name it. The code is ours.
pub(crate) const AUTH_CODE: u8 = 0x01;

/// What outlives a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The number the next transaction gets.
    pub(crate) next_seq: u32,
    /// Wrong MAC2 one after another.
    pub(crate) errors: u8,
}

/// Where a PSAM keeps keys and counters.
pub(crate) trait Store {
    fn terminal(&mut self) -> Result<TerminalNo, Sw>;

    fn counters(&mut self) -> Result<Counters, Sw>;

    /// Makes them durable, alone.
    fn keep(&mut self, counters: Counters) -> Result<(), Sw>;

    /// The card's key of this usage and version, and its algorithm; of any algorithm where the command names none.
    fn card_key(
        &mut self,
        usage: u8,
        version: u8,
        algorithm: Option<u8>,
        holder: &Holder,
    ) -> Result<(u8, KeyValue), Sw>;

    fn random(&mut self) -> Result<[u8; 4], Sw>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// 80 70 is done, 80 72 may come.
    Purchase,
    /// E0 40 is done, E0 42 may come.
    GreyLock,
    /// E0 42 is done, E0 44 may come.
    GreyLocked,
}

/// A transaction under way. It holds no key: session keys are computed anew.
#[derive(Clone)]
pub(crate) struct Session {
    phase: Phase,
    terms: Terms,
    holder: Holder,
    terminal_seq: u32,
    terminal_random: [u8; 4],
    /// What the card has to answer.
    mac2: Mac,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { phase, terminal_seq, .. } = self;
        f.debug_struct("Session")
            .field("phase", phase)
            .field("terminal_seq", terminal_seq)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Phase 1 ‖ terms 20 ‖ holder 41 ‖ number 4 ‖ random 4 ‖ MAC2 4.
    pub(crate) const LEN: usize = 74;

    pub(crate) fn to_bytes(&self) -> [u8; Self::LEN] {
        let phase = match self.phase {
            Phase::Purchase => 1,
            Phase::GreyLock => 2,
            Phase::GreyLocked => 3,
        };
        Pack::new()
            .put([phase])
            .put(self.terms.to_bytes())
            .put(self.holder.to_bytes())
            .put(self.terminal_seq.to_be_bytes())
            .put(self.terminal_random)
            .put(self.mac2)
            .finish()
    }

    /// `None`: there is none.
    pub(crate) fn from_bytes(raw: &[u8; Self::LEN]) -> Option<Self> {
        let mut fields = Unpack::new(raw);
        let phase = match fields.byte() {
            1 => Phase::Purchase,
            2 => Phase::GreyLock,
            3 => Phase::GreyLocked,
            _ => return None,
        };
        Some(Self {
            phase,
            terms: Terms::parse(&fields.take()),
            holder: Holder::from_bytes(&fields.take()),
            terminal_seq: fields.u32(),
            terminal_random: fields.take(),
            mac2: fields.take(),
        })
    }

    pub(crate) const fn terminal_seq(&self) -> u32 {
        self.terminal_seq
    }
}

/// A key that cannot do this is no key of the command. [as the card: 9403]
fn no_key(_: CryptoError) -> Sw {
    status::KEY_INDEX
}

/// The next number. Where the profile counts at the initialisation, the count is durable before anybody sees the number;
/// a grey lock takes two, since its debit carries the following one. \[S:LOH\]
fn take_number(profile: &Profile, store: &mut impl Store, numbers: u32) -> Result<u32, Sw> {
    let counters = store.counters()?;
    let next_seq = counters.next_seq.checked_add(numbers).filter(|next| *next <= profile.sam.counter_end);
    let next_seq = next_seq.ok_or(status::COUNTER_AT_END)?;
    if profile.sam.count == SamCount::AtInit {
        store.keep(Counters { next_seq, ..counters })?;
    }
    Ok(counters.next_seq)
}

const PURCHASE_NUMBERS: u32 = 1;
const GREY_LOCK_NUMBERS: u32 = 2;

fn dpk<K: SuiteKey>(store: &mut impl Store, terms: &Terms, holder: &Holder) -> Result<K, Sw> {
    let (algorithm, value) = store.card_key(PURCHASE, terms.key_version, Some(terms.algorithm), holder)?;
    keys::open(algorithm, &value).map_err(no_key)
}

fn refuse_if_locked(profile: &Profile, store: &mut impl Store) -> Result<(), Sw> {
    let limit = profile.sam.mac_error_limit;
    if limit != 0 && store.counters()?.errors >= limit { Err(Sw::AUTH_BLOCKED) } else { Ok(()) }
}

/// 80 70. `auth_code`: the code that was checked for this very card before, if one was.
pub(crate) fn init_for_purchase<K: SuiteKey>(
    profile: &Profile,
    store: &mut impl Store,
    terms: Terms,
    holder: Holder,
    auth_code: Option<[u8; 9]>,
) -> Result<(SamPurchase, Session), Sw> {
    if !matches!(terms.tti, Tti::CASH | Tti::ED_PURCHASE | Tti::EP_PURCHASE | Tti::CAPP_PURCHASE) {
        return Err(Sw::WRONG_DATA);
    }
    refuse_if_locked(profile, store)?;
    let dpk: K = dpk(store, &terms, &holder)?;
    let terminal = store.terminal()?;
    let terminal_seq = take_number(profile, store, PURCHASE_NUMBERS)?;
    let Terms { random, offline_seq, amount, tti, stamp, .. } = terms;
    let session = keys::purchase_session(&dpk, random, offline_seq, terminal_seq).map_err(no_key)?;
    let mac1 = match auth_code {
        Some(auth_code) => AuthCodePurchaseMac1 { amount, tti, terminal, stamp, auth_code }.mac(&session),
        None => PurchaseMac1 { amount, tti, terminal, stamp }.mac(&session),
    };
    let mac1 = mac1.map_err(no_key)?;
    let mac2 = PurchaseMac2 { amount }.mac(&session).map_err(no_key)?;
    let terminal_random = [0; 4];
    let session = Session { phase: Phase::Purchase, terms, holder, terminal_seq, terminal_random, mac2 };
    Ok((SamPurchase { terminal_seq, mac1 }, session))
}

fn grey_session<K: SuiteKey>(
    store: &mut impl Store,
    terms: &Terms,
    holder: &Holder,
    terminal_seq: u32,
    terminal_random: [u8; 4],
) -> Result<K, Sw> {
    let dpk: K = dpk(store, terms, holder)?;
    keys::grey_session(&dpk, terms.random, terms.offline_seq, terminal_seq, terminal_random).map_err(no_key)
}

/// E0 40. \[S:LOH\]
pub(crate) fn init_for_grey_lock<K: SuiteKey>(
    profile: &Profile,
    store: &mut impl Store,
    terms: Terms,
    holder: Holder,
) -> Result<(SamGreyLock, Session), Sw> {
    if profile.grey_lock.is_none() {
        return Err(Sw::INS_NOT_SUPPORTED);
    }
    if terms.tti != Tti::GREY_LOCK {
        return Err(Sw::WRONG_DATA);
    }
    refuse_if_locked(profile, store)?;
    // Whatever can fail comes before the number is spent.
    let _: K = dpk(store, &terms, &holder)?;
    let terminal = store.terminal()?;
    let terminal_random = store.random()?;
    let terminal_seq = take_number(profile, store, GREY_LOCK_NUMBERS)?;
    let session: K = grey_session(store, &terms, &holder, terminal_seq, terminal_random)?;
    let Terms { amount: balance, tti, stamp, .. } = terms;
    let mac1 = GreyLockMac1 { tti, terminal, stamp }.mac(&session).map_err(no_key)?;
    let mac2 = GreyLockMac2 { balance }.mac(&session).map_err(no_key)?;
    let session = Session { phase: Phase::GreyLock, terms, holder, terminal_seq, terminal_random, mac2 };
    Ok((SamGreyLock { terminal_seq, terminal_random, mac1 }, session))
}

/// 80 72 and E0 42: the session after a right MAC2 (none after a purchase). After a wrong one the session stays, so that
/// a terminal may repeat the command [S:SH]; the errors are counted.
fn check_mac2(
    profile: &Profile,
    store: &mut impl Store,
    session: &Session,
    mac2: Mac,
    numbers: u32,
) -> Result<(), Sw> {
    refuse_if_locked(profile, store)?;
    let counters = store.counters()?;
    if !ct_eq(&session.mac2, &mac2) {
        if profile.sam.mac_error_limit != 0 {
            store.keep(Counters { errors: counters.errors.saturating_add(1), ..counters })?;
        }
        return Err(status::MAC_INVALID);
    }
    let next_seq = match profile.sam.count {
        SamCount::AtInit => counters.next_seq,
        SamCount::AtCredit => session.terminal_seq.saturating_add(numbers),
    };
    let after = Counters { next_seq, errors: 0 };
    if after == counters { Ok(()) } else { store.keep(after) }
}

/// 80 72.
pub(crate) fn credit_for_purchase(
    profile: &Profile,
    store: &mut impl Store,
    session: &Session,
    mac2: Mac,
) -> Result<(), Sw> {
    if session.phase != Phase::Purchase {
        return Err(Sw::COMMAND_STATE);
    }
    check_mac2(profile, store, session, mac2, PURCHASE_NUMBERS)
}

/// E0 42: the session that E0 44 goes on with. \[S:LOH\]
pub(crate) fn certify_grey_lock(
    profile: &Profile,
    store: &mut impl Store,
    session: &Session,
    mac2: Mac,
) -> Result<Session, Sw> {
    if session.phase != Phase::GreyLock {
        return Err(Sw::COMMAND_STATE);
    }
    check_mac2(profile, store, session, mac2, GREY_LOCK_NUMBERS)?;
    Ok(Session { phase: Phase::GreyLocked, ..session.clone() })
}

/// E0 44, once for each lock: for the locked card alone. The counter is the lock's or, as the debit names it, the one
/// after. \[S:LOH\]
pub(crate) fn calculate_gmac<K: SuiteKey>(
    profile: &Profile,
    store: &mut impl Store,
    session: &Session,
    request: Gmac,
) -> Result<Mac, Sw> {
    let rules = profile.grey_lock.ok_or(Sw::INS_NOT_SUPPORTED)?;
    if session.phase != Phase::GreyLocked {
        return Err(Sw::COMMAND_STATE);
    }
    let locked = session.terms.offline_seq;
    let is_lock =
        request.offline_seq == locked || request.offline_seq == locked.wrapping_add(rules.seq_ahead);
    if request.serial != session.holder.serial || !is_lock || request.amount > session.terms.amount {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    let Session { terms, holder, terminal_seq, terminal_random, .. } = session;
    let key: K = grey_session(store, terms, holder, *terminal_seq, *terminal_random)?;
    UnlockMac { amount: request.amount }.mac(&key).map_err(no_key)
}

/// The key INIT DES makes ready: TAC keys folded, others whole.
pub(crate) fn des_key<K: SuiteKey>(
    profile: &Profile,
    store: &mut impl Store,
    usage: u8,
    version: u8,
    algorithm: Option<u8>,
    holder: &Holder,
) -> Result<K, Sw> {
    if matches!(usage, PURCHASE | AUTH_CODE) {
        return Err(status::KEY_INDEX);
    }
    let (algorithm, value) = store.card_key(usage, version, algorithm, holder)?;
    let key = if usage == profile.sam.tac_usage {
        keys::tac_key(profile, algorithm, &value)
    } else {
        keys::open(algorithm, &value)
    };
    key.map_err(no_key)
}

/// 80 CA: 9302 unless the code is the card's.
pub(crate) fn check_auth_code<K: SuiteKey>(
    profile: &Profile,
    store: &mut impl Store,
    holder: &Holder,
    code: &[u8; 9],
) -> Result<(), Sw> {
    if !profile.auth_code {
        return Err(Sw::INS_NOT_SUPPORTED);
    }
    let [version, ..] = *code;
    let (algorithm, value) = store.card_key(AUTH_CODE, version, None, holder)?;
    let expected = code_under::<K>(version, algorithm, &value, holder.serial).map_err(no_key)?;
    if ct_eq(&expected, code) { Ok(()) } else { Err(status::MAC_INVALID) }
}

fn code_under<K: SuiteKey>(
    version: u8,
    algorithm: u8,
    card_key: &KeyValue,
    serial: [u8; 8],
) -> Result<[u8; 9], CryptoError> {
    let value = keys::diversify::<K>(algorithm, card_key, &serial)?;
    let mut fields = Unpack::new(value.expose());
    Ok(Pack::new().put([version]).put(fields.take::<8>()).finish())
}

/// The authentication code that cards of a 建设部 scheme are issued with. How the scheme forms it is not public; this is
/// our own design: key version 1 ‖ the first eight bytes of E(card's key, serial 8 ‖ ¬serial 8).
///
/// # Errors
/// If the algorithm byte is unknown or outside the suite.
pub fn auth_code<K: SuiteKey>(
    profile: &Profile,
    version: u8,
    algorithm: u8,
    master: &KeyValue,
    card: &CardId,
) -> Result<[u8; 9], CryptoError> {
    let key = keys::derive::<K>(algorithm, master, card, profile.path)?;
    code_under::<K>(version, algorithm, &key, card.factor(Factor::Serial))
}
