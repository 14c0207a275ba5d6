//! What the card answers to one tap: a pure function of the terminal's request and the card's state. `[JR/T 0025.12; sheet 1.8]`
//!
//! ```text
//! refused before anything: no CVM both sides can do, or contact preferred            → 6985
//! declined:  blocked · foreign currency refused · offline-only terminal and a check fails or the money does not suffice
//! online:    terminal wants it · online PIN · device verification a signature cannot prove · foreign currency · new card · PIN tries · the money does not suffice
//! approved:  the low-value mode covers the amount                                     → debit with the last record
//! ```

use huiwan_apdu::Sw;

use crate::data::amount::Amount;
use crate::data::bits::{CardProcesses, Cryptogram};
use crate::qualifiers::{Ctq, Ttq};

/// What the terminal asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// 9F66.
    pub ttq: Ttq,
    /// 9F02.
    pub amount: Amount,
    /// 5F2A.
    pub currency: [u8; 2],
}

/// What the card knows. An amount the issuer did not personalise is `None`: a limit that is not there does not limit, a balance that is not there pays nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// The issuer blocked the application.
    pub blocked: bool,
    /// 9F68.
    pub processes: CardProcesses,
    /// 9F51.
    pub currency: [u8; 2],
    /// 9F79, e-cash balance.
    pub balance: Option<Amount>,
    /// 9F78, most a single e-cash payment may be.
    pub single_limit: Option<Amount>,
    /// 9F6D: go online to reload when less than this would be left.
    pub reset_threshold: Option<Amount>,
    /// 9F6B: from above this amount the card wants cardholder verification.
    pub cvm_limit: Option<Amount>,
    /// Cumulative total transaction amount since the last online approval.
    pub total: Amount,
    /// 9F54, limit of the total.
    pub total_limit: Option<Amount>,
    /// 9F5C, its upper limit, for terminals that cannot go online.
    pub total_upper_limit: Option<Amount>,
    /// Consecutive offline transactions in other currencies.
    pub foreign_count: u8,
    /// 9F53, their limit; without one none is approved offline, since they cost the card no balance.
    pub foreign_limit: Option<u8>,
    /// The card has never been online.
    pub new_card: bool,
    /// Remaining PIN tries; `None` for a card without PIN.
    pub pin_tries: Option<u8>,
    /// The device verified its wearer for this tap.
    pub wearer_verified: bool,
    /// The card has a key for fDDA; without it no terminal could accept an approval.
    pub can_sign: bool,
}

/// What an approval costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debit {
    /// 9F79 afterwards.
    pub balance: Option<Amount>,
    /// Cumulative total afterwards.
    pub total: Amount,
    /// Consecutive transactions in other currencies afterwards.
    pub foreign_count: u8,
}

/// What the card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// No cryptogram: the status word sends the terminal elsewhere.
    Refuse(Sw),
    /// A cryptogram.
    Answer {
        /// Its kind.
        result: Cryptogram,
        /// 9F6C.
        ctq: Ctq,
        /// What is committed with the last record of an approval.
        debit: Option<Debit>,
    },
}

/// Decides one tap.
#[must_use]
pub fn decide(request: &Request, state: &State) -> Decision {
    let Request { ttq, amount, .. } = *request;
    let card = state.processes;
    let matched = request.currency == state.currency;
    let ctq = Ctq::default().with_cdcvm_performed(device_counts(request, state));
    let declined = Decision::Answer { result: Cryptogram::Aac, ctq, debit: None };

    if state.blocked || (!matched && card.refuse_mismatched()) {
        return declined;
    }
    let new_card = state.new_card && card.new_card_check();
    let pin_exceeded = state.pin_tries == Some(0) && card.pin_tries_check();

    if ttq.offline_only() && ((state.new_card && card.decline_new_card()) || pin_exceeded) {
        return declined;
    }
    // The verification method comes first: a terminal that cannot do any is sent to the contact interface.
    // An approval proves the device's verification only by fDDA version 01, which signs the CTQ; else the issuer judges it.
    let (ctq, needs_issuer) = match verification(request, state, matched) {
        Verification::None => (ctq, false),
        Verification::Device => (ctq, !ttq.fdda_v01()),
        Verification::OnlinePin => (ctq.with_online_pin(true), true),
        Verification::Signature => (ctq.with_signature(true), false),
        Verification::Impossible => return Decision::Refuse(Sw::CONDITIONS_NOT_SATISFIED),
    };
    let declined = Decision::Answer { result: Cryptogram::Aac, ctq, debit: None };
    let online = if ttq.offline_only() {
        declined
    } else if card.prefer_contact() && ttq.contact_pboc() {
        Decision::Refuse(Sw::CONDITIONS_NOT_SATISFIED)
    } else {
        Decision::Answer { result: Cryptogram::Arqc, ctq, debit: None }
    };
    if card.prepaid() && amount == Amount::ZERO {
        return declined;
    }
    if needs_issuer
        || ttq.online_cryptogram_required()
        || (!matched && !card.offline_mismatched())
        || (!ttq.offline_only() && (new_card || pin_exceeded))
    {
        return online;
    }
    let debit = if !state.can_sign {
        None
    } else if matched {
        pay(amount, ttq.offline_only(), state)
    } else {
        pay_foreign(state)
    };
    match debit {
        Some(debit) => {
            let ctq = ctq.with_cdcvm_performed(ctq.cdcvm_performed() && ttq.fdda_v01());
            Decision::Answer { result: Cryptogram::Tc, ctq, debit: Some(debit) }
        }
        None => online,
    }
}

enum Verification {
    None,
    Device,
    OnlinePin,
    Signature,
    Impossible,
}

/// Whether what the device verified counts: the terminal takes it, and either a signature or the issuer can vouch for it.
const fn device_counts(request: &Request, state: &State) -> bool {
    let ttq = request.ttq;
    state.wearer_verified && ttq.cdcvm() && (ttq.fdda_v01() || !ttq.offline_only())
}

/// The verification method, when one is needed; one the device already did comes first.
fn verification(request: &Request, state: &State, matched: bool) -> Verification {
    let Request { ttq, amount, .. } = *request;
    let card = state.processes;
    let needed = ttq.cvm_required()
        || (matched && state.cvm_limit.is_some_and(|limit| amount > limit))
        || (!matched && card.cvm_mismatched());
    if !needed {
        return Verification::None;
    }
    if device_counts(request, state) {
        return Verification::Device;
    }
    let online_pin = if matched { card.online_pin_matched() } else { card.online_pin_mismatched() };
    if online_pin && ttq.online_pin() && !ttq.offline_only() {
        Verification::OnlinePin
    } else if card.signature() && ttq.signature() {
        Verification::Signature
    } else {
        Verification::Impossible
    }
}

/// Amount still free under the cumulative limit: the upper one where going online is impossible.
fn total_room(offline_only: bool, state: &State) -> Amount {
    let limit = if offline_only { state.total_upper_limit.or(state.total_limit) } else { state.total_limit };
    limit.and_then(|limit| limit.checked_sub(state.total)).unwrap_or(Amount::ZERO)
}

/// Pays in the card's own currency by the low-value mode of 9F68; `None` when the mode does not cover the amount.
fn pay(amount: Amount, offline_only: bool, state: &State) -> Option<Debit> {
    let card = state.processes;
    if state.single_limit.is_some_and(|limit| amount > limit) {
        return None;
    }
    let keep = if offline_only { Amount::ZERO } else { state.reset_threshold.unwrap_or(Amount::ZERO) };
    let ecash = state.balance.and_then(|balance| balance.checked_sub(amount)).filter(|left| *left >= keep);
    let total = state.total.checked_add(amount).filter(|_| amount <= total_room(offline_only, state));
    let debit = |balance, total| Debit { balance, total, foreign_count: state.foreign_count };
    if card.low_value_ecash() {
        ecash.map(|left| debit(Some(left), state.total))
    } else if card.low_value_ecash_and_ctta() {
        ecash.zip(total).map(|(left, total)| debit(Some(left), total))
    } else if card.low_value_ecash_or_ctta() {
        match (ecash, total) {
            (Some(left), _) => Some(debit(Some(left), state.total)),
            (None, Some(total)) => Some(debit(state.balance, total)),
            (None, None) => None,
        }
    } else {
        None
    }
}

/// Pays in another currency: only counted.
fn pay_foreign(state: &State) -> Option<Debit> {
    if state.foreign_limit.is_none_or(|limit| state.foreign_count >= limit) {
        return None;
    }
    let foreign_count = state.foreign_count.saturating_add(1);
    Some(Debit { balance: state.balance, total: state.total, foreign_count })
}

/// 9F5D: what could still be paid offline in the card's own currency.
#[must_use]
pub fn available(state: &State) -> Amount {
    let card = state.processes;
    let balance = state.balance.unwrap_or(Amount::ZERO);
    let room = total_room(false, state);
    if card.low_value_ecash() {
        balance
    } else if card.low_value_ecash_and_ctta() {
        balance.min(room)
    } else if card.low_value_ecash_or_ctta() {
        balance.max(room)
    } else {
        Amount::ZERO
    }
}

#[cfg(test)]
mod tests;
