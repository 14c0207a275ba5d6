//! What the sequence of records tells: repetitions, replays, missing counters, balances that contradict each other.
//!
//! A purchase TAC covers neither balance, card number nor counter, so a record whose TAC is right can still lie about
//! them. Within what a card or terminal counts, every counter occurs once, none is left out, and each balance follows from
//! the one before. What does not fit is a [`Finding`]; whether it is fraud, a terminal that has not uploaded yet or a tap
//! that was torn (a PSAM numbers those too) is for people to decide.

use super::{Record, verdict};
use crate::account::Account;
use crate::keys::CardId;
use crate::mac::TerminalNo;
use crate::profile::Profile;
use crate::tti::Tti;

/// Something that does not fit. Records are named by their index in the slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Finding {
    /// The same record as the one with a smaller index: sent twice.
    Repeated {
        /// The record.
        record: usize,
        /// The first of its counter.
        first: usize,
    },
    /// Another record than the first with the same counter.
    Replayed {
        /// The record.
        record: usize,
        /// The first of its counter.
        first: usize,
    },
    /// Counters between two records that no record has.
    Missing {
        /// The record before the gap.
        after: usize,
        /// The record behind it.
        before: usize,
        /// How many.
        count: u32,
    },
    /// The balance before a record is not the one the record with the counter before left, not even with the records of
    /// the other counter between.
    Unexplained {
        /// The record before.
        after: usize,
        /// The record with the next counter.
        before: usize,
        /// Its balance − the balance left, fen. Positive on an offline counter: a load that is not among the records can
        /// explain it.
        difference: i64,
    },
}

/// Findings along the counters of each card, in the order of cards and counters; `None` if `order`, work space of an
/// entry for each record, is too small.
///
/// Only records whose bit in `right` is 1 are looked at: give the verdicts of [`verify`](super::verify). `profile` tells
/// which account a transaction is on: its type, or that the scheme has but one account. Where it has both, unloads, limit
/// updates and what belongs to a grey lock do not say on which they are ([`Account::named`]) and are left out, so their
/// counters are missing in those of the others. A grey lock and the debit that ends it have one counter and are no
/// replay. The time is that of sorting; a balance that does not fit costs a walk through the loads of the same card.
#[must_use]
pub fn by_card<'a>(
    profile: &'a Profile,
    records: &'a [Record],
    right: &[u8],
    order: &'a mut [u32],
) -> Option<ByCard<'a>> {
    let order = sorted(records, right, order, |record| Counter::of(profile, record))?;
    let walk = Walk { records, order };
    Some(ByCard { walk, profile, at: 0, last: None, online: 0..0 })
}

/// Findings along the transaction numbers of each terminal, as [`by_card`]. Loads have no such number and are left out.
#[must_use]
pub fn by_terminal<'a>(records: &'a [Record], right: &[u8], order: &'a mut [u32]) -> Option<ByTerminal<'a>> {
    let order = sorted(records, right, order, terminal_number)?;
    Some(ByTerminal { walk: Walk { records, order }, at: 0, last: None })
}

/// A place in the sequence of a card, online counters first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Counter {
    chain: Chain,
    seq: u16,
    /// The debit that ends a grey lock has the counter of the lock.
    unlock: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Chain {
    card: CardId,
    account: Account,
    offline: bool,
}

impl Counter {
    /// `None` where both accounts could have counted it.
    fn of(profile: &Profile, record: &Record) -> Option<Self> {
        let super::Transaction { tti, card, seq, .. } = record.transaction;
        let account = if profile.ed { Account::named(tti)? } else { Account::of(profile, tti) };
        let chain = Chain { card, account, offline: tti.is_offline() };
        Some(Self { chain, seq, unlock: tti == Tti::DEBIT_FOR_UNLOCK })
    }
}

fn terminal_number(record: &Record) -> Option<(TerminalNo, u32)> {
    let transaction = &record.transaction;
    transaction.tti.is_offline().then_some((transaction.terminal, transaction.terminal_seq))
}

/// The indices of the right records that have a key, sorted by it, those with the same key by index.
pub(super) fn sorted<'a, K: Ord>(
    records: &[Record],
    right: &[u8],
    order: &'a mut [u32],
    key: impl Fn(&Record) -> Option<K>,
) -> Option<&'a [u32]> {
    if order.len() < records.len() {
        return None;
    }
    u32::try_from(records.len()).ok()?;
    let mut len = 0_usize;
    for (n, (index, record)) in (0_u32..).zip(records).enumerate() {
        if verdict(right, n) && key(record).is_some() {
            *order.get_mut(len)? = index;
            len = len.checked_add(1)?;
        }
    }
    let order = order.get_mut(..len)?;
    let at = |index: u32| usize::try_from(index).ok().and_then(|index| records.get(index));
    order.sort_unstable_by_key(|index| (at(*index).and_then(&key), *index));
    Some(order)
}

/// Records in the order of their counters.
#[derive(Debug, Clone, Copy)]
struct Walk<'a> {
    records: &'a [Record],
    order: &'a [u32],
}

/// A record and its index.
type Entry<'a> = (usize, &'a Record);

impl<'a> Walk<'a> {
    fn get(&self, place: usize) -> Option<Entry<'a>> {
        let index = usize::try_from(*self.order.get(place)?).ok()?;
        self.records.get(index).map(|record| (index, record))
    }
}

/// Two records with one counter.
fn same_counter((first, one): Entry<'_>, (record, other): Entry<'_>) -> Finding {
    if one == other { Finding::Repeated { record, first } } else { Finding::Replayed { record, first } }
}

/// The iterator of [`by_card`].
#[derive(Debug, Clone)]
pub struct ByCard<'a> {
    walk: Walk<'a>,
    profile: &'a Profile,
    /// The next place.
    at: usize,
    /// The first record of the counter before.
    last: Option<Entry<'a>>,
    /// The places of the account's online records that explain no balance yet.
    online: core::ops::Range<usize>,
}

impl ByCard<'_> {
    /// Whether online transactions, one after another, lead from the balance `left` to `next`. Those are used up.
    fn explained(&mut self, left: u32, next: u32) -> bool {
        if left == next {
            return true;
        }
        for start in self.online.clone() {
            let (mut balance, mut counter) = (Some(left), None);
            for place in (start..self.online.end).filter(|place| *place == start || self.is_first(*place)) {
                let Some((_, record)) = self.walk.get(place) else { break };
                let transaction = &record.transaction;
                let follows = counter.is_none_or(|last: u16| Some(transaction.seq) == last.checked_add(1));
                if !follows || Some(transaction.balance) != balance || !self.is_first(place) {
                    break;
                }
                counter = Some(transaction.seq);
                balance = transaction.balance_after();
                if balance == Some(next) {
                    self.online.start = place.saturating_add(1);
                    return true;
                }
            }
        }
        false
    }

    /// Whether a record is the first of its counter.
    fn is_first(&self, place: usize) -> bool {
        let counter = |place| self.walk.get(place).and_then(|(_, record)| Counter::of(self.profile, record));
        place.checked_sub(1).is_none_or(|before| counter(before) != counter(place))
    }

    fn next_counter(&mut self, before: Entry<'_>, this: Entry<'_>, offline: bool) -> Option<Finding> {
        let left = before.1.transaction.balance_after()?;
        let next = this.1.transaction.balance;
        // Between two loads the card can have paid.
        let fits = if offline { self.explained(left, next) } else { next <= left };
        let difference = i64::from(next).saturating_sub(i64::from(left));
        (!fits).then_some(Finding::Unexplained { after: before.0, before: this.0, difference })
    }
}

impl Iterator for ByCard<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        loop {
            let place = self.at;
            let this = self.walk.get(place)?;
            self.at = place.saturating_add(1);
            let Some(counter) = Counter::of(self.profile, this.1) else { continue };
            let last = self.last.and_then(|last| Some((last, Counter::of(self.profile, last.1)?)));
            let finding = match last {
                Some((first, last)) if last == counter => {
                    return Some(same_counter(first, this));
                }
                Some((before, last)) if last.chain == counter.chain => {
                    match u32::from(counter.seq.saturating_sub(last.seq)) {
                        0 | 1 => self.next_counter(before, this, counter.chain.offline),
                        step => {
                            let count = step.saturating_sub(1);
                            Some(Finding::Missing { after: before.0, before: this.0, count })
                        }
                    }
                }
                _ => {
                    // Another chain: the online records of the same account are right before its offline ones.
                    let same_account = last.is_some_and(|(_, last)| {
                        (last.chain.card, last.chain.account) == (counter.chain.card, counter.chain.account)
                    });
                    if same_account {
                        self.online.end = place;
                    } else {
                        self.online = place..place;
                    }
                    None
                }
            };
            self.last = Some(this);
            if finding.is_some() {
                return finding;
            }
        }
    }
}

/// The iterator of [`by_terminal`].
#[derive(Debug, Clone)]
pub struct ByTerminal<'a> {
    walk: Walk<'a>,
    at: usize,
    /// The first record of the number before.
    last: Option<Entry<'a>>,
}

impl Iterator for ByTerminal<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        loop {
            let this = self.walk.get(self.at)?;
            self.at = self.at.saturating_add(1);
            let before = self.last.replace(this);
            let (Some(before), Some((terminal, seq))) = (before, terminal_number(this.1)) else { continue };
            let Some((last_terminal, last_seq)) = terminal_number(before.1) else { continue };
            if last_terminal != terminal {
                continue;
            }
            match seq.saturating_sub(last_seq) {
                0 => {
                    self.last = Some(before);
                    return Some(same_counter(before, this));
                }
                1 => {}
                step => {
                    let count = step.saturating_sub(1);
                    return Some(Finding::Missing { after: before.0, before: this.0, count });
                }
            }
        }
    }
}
