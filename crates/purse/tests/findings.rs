//! What settlement finds in records, against a model that compares each with each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use std::collections::BTreeMap;

use huiwan_purse::account::Account;
use huiwan_purse::host::settlement::findings::{Finding, by_card, by_terminal};
use huiwan_purse::host::settlement::{Record, verdict_len};
use huiwan_purse::profile::Profile;
use huiwan_purse::transaction::Transaction;
use huiwan_purse::tti::Tti;
use proptest::prelude::*;
use world::{CARD, STAMP};

fn ours(profile: &Profile, records: &[Record], right: &[u8]) -> (Vec<Finding>, Vec<Finding>) {
    let mut order = vec![0; records.len()];
    let cards = by_card(profile, records, right, &mut order).unwrap().collect();
    let terminals = by_terminal(records, right, &mut order).unwrap().collect();
    (cards, terminals)
}

fn all(records: &[Record]) -> Vec<u8> {
    vec![0xFF; verdict_len(records.len())]
}

/// A card's day.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pay { terminal: u8, amount: u32 },
    Load { amount: u32 },
    Unload { amount: u32 },
    Limit { limit: u32 },
    Fuel { terminal: u8, amount: u32 },
}

/// Honest cards, each with one purse, and honest terminals.
fn day(acts: &[(u8, Act)]) -> Vec<Record> {
    #[derive(Clone, Copy, Default)]
    struct Card {
        balance: u32,
        online: u16,
        offline: u16,
        limit: u32,
    }
    let (mut cards, mut numbers) = ([Card { balance: 3000, ..Card::default() }; 3], [0_u32; 3]);
    let mut records = Vec::new();
    for (n, (who, act)) in acts.iter().enumerate() {
        let card = &mut cards[usize::from(*who)];
        let mut id = CARD;
        id.serial[9] = *who;
        let base = Transaction {
            tti: Tti::EP_LOAD,
            card: id,
            balance: card.balance,
            seq: card.online,
            overdraft: 0,
            amount: 0,
            terminal: [0; 6],
            terminal_seq: 0,
            stamp: STAMP,
            key_version: 1,
            algorithm: 1,
        };
        let mut number = |terminal: u8| {
            numbers[usize::from(terminal)] += 1;
            ([terminal; 6], numbers[usize::from(terminal)])
        };
        let mut done = Vec::new();
        match *act {
            Act::Pay { amount, .. } | Act::Unload { amount } | Act::Fuel { amount, .. }
                if amount > card.balance =>
            {
                continue;
            }
            Act::Limit { limit } if (card.balance + limit) < card.limit => continue,
            Act::Pay { terminal, amount } => {
                let (terminal, terminal_seq) = number(terminal);
                let tti = Tti::CAPP_PURCHASE;
                done.push(Transaction { tti, amount, terminal, terminal_seq, seq: card.offline, ..base });
            }
            Act::Load { amount } => done.push(Transaction { amount, ..base }),
            Act::Unload { amount } => done.push(Transaction { tti: Tti::UNLOAD, amount, ..base }),
            Act::Limit { limit } => {
                let overdraft = card.limit;
                card.limit = limit;
                done.push(Transaction { tti: Tti::LIMIT_UPDATE, amount: limit, overdraft, ..base });
            }
            Act::Fuel { terminal, amount } => {
                for (tti, amount) in [(Tti::GREY_LOCK, 0), (Tti::DEBIT_FOR_UNLOCK, amount)] {
                    let (terminal, terminal_seq) = number(terminal);
                    done.push(Transaction { tti, amount, terminal, terminal_seq, seq: card.offline, ..base });
                }
            }
        }
        for transaction in &done {
            card.balance = transaction.balance_after().unwrap();
        }
        if done[0].tti.is_offline() {
            card.offline += 1
        } else {
            card.online += 1
        }
        let tac = (n as u32).to_be_bytes();
        records.extend(done.into_iter().map(|transaction| Record { transaction, tac }));
    }
    records
}

/// The findings of one sequence of (counter, record number), each with its first record; `fits` judges neighbours.
fn sequence(
    records: &[Record],
    of: &[(u64, usize)],
    mut fits: impl FnMut(usize, usize) -> Option<i64>,
) -> Vec<Finding> {
    let mut first: BTreeMap<u64, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (counter, record) in of {
        match first.get(counter) {
            None => {
                first.insert(*counter, *record);
            }
            Some(first) if records[*first] == records[*record] => {
                found.push(Finding::Repeated { record: *record, first: *first });
            }
            Some(first) => found.push(Finding::Replayed { record: *record, first: *first }),
        }
    }
    let firsts: Vec<_> = first.into_iter().collect();
    for pair in firsts.windows(2) {
        let [(low, after), (high, before)] = [pair[0], pair[1]];
        // Counters are doubled, the debit of a grey lock has the odd one.
        let count = (high / 2 - low / 2).saturating_sub(1) as u32;
        if count > 0 {
            found.push(Finding::Missing { after, before, count });
        } else if let Some(difference) = fits(after, before) {
            found.push(Finding::Unexplained { after, before, difference });
        }
    }
    found
}

/// Every finding, by looking at everything.
fn model(profile: &Profile, records: &[Record], right: &[u8]) -> (Vec<Finding>, Vec<Finding>) {
    type Places<K> = BTreeMap<K, Vec<(u64, usize)>>;
    let mut terminals: Places<[u8; 6]> = BTreeMap::new();
    let mut accounts: BTreeMap<_, [Vec<(u64, usize)>; 2]> = BTreeMap::new();
    for (n, record) in records.iter().enumerate() {
        let transaction = &record.transaction;
        if right[n / 8] >> (n % 8) & 1 == 0 {
            continue;
        }
        let offline = transaction.tti.is_offline();
        if offline {
            terminals
                .entry(transaction.terminal)
                .or_default()
                .push((u64::from(transaction.terminal_seq) * 2, n));
        }
        // What names neither of two accounts is in no sequence of a card.
        if profile.ed && !matches!(transaction.tti.0, 1 | 2 | 4 | 5 | 6 | 9) {
            continue;
        }
        let counter = u64::from(transaction.seq) * 2 + u64::from(transaction.tti == Tti::DEBIT_FOR_UNLOCK);
        let account = accounts.entry((transaction.card, Account::of(profile, transaction.tti))).or_default();
        account[usize::from(offline)].push((counter, n));
    }
    let mut by_card = Vec::new();
    for [online, offline] in accounts.values() {
        let balance = |n: usize| i64::from(records[n].transaction.balance);
        let left = |n: usize| records[n].transaction.balance_after().map(i64::from);
        by_card.extend(sequence(records, online, |before, after| {
            let difference = balance(after) - left(before)?;
            (difference > 0).then_some(difference)
        }));
        // The first online record of each counter, in order.
        let mut loads: BTreeMap<u64, usize> = BTreeMap::new();
        for (counter, n) in online {
            loads.entry(*counter).or_insert(*n);
        }
        let loads: Vec<_> = loads.into_iter().collect();
        let mut used = 0;
        by_card.extend(sequence(records, offline, |before, after| {
            let left_before = left(before)?;
            let difference = balance(after) - left_before;
            if difference == 0 {
                return None;
            }
            let explains = |run: &&[(u64, usize)]| {
                let linked = run
                    .windows(2)
                    .all(|pair| pair[1].0 == pair[0].0 + 2 && left(pair[0].1) == Some(balance(pair[1].1)));
                let (_, last) = run[run.len() - 1];
                linked && balance(run[0].1) == left_before && left(last) == Some(balance(after))
            };
            let runs = (used..loads.len()).flat_map(|from| (from..loads.len()).map(move |to| (from, to)));
            let explained = runs.map(|(from, to)| (to, &loads[from..=to])).find(|(_, run)| explains(run));
            if let Some((to, _)) = explained {
                used = to + 1;
                return None;
            }
            Some(difference)
        }));
    }
    let by_terminal = terminals.values().flat_map(|of| sequence(records, of, |_, _| None)).collect();
    (by_card, by_terminal)
}

fn acts() -> impl Strategy<Value = Vec<(u8, Act)>> {
    let act = prop_oneof![
        4 => (0..3_u8, 0..500_u32).prop_map(|(terminal, amount)| Act::Pay { terminal, amount }),
        2 => (1..2000_u32).prop_map(|amount| Act::Load { amount }),
        1 => (1..1000_u32).prop_map(|amount| Act::Unload { amount }),
        1 => (0..1000_u32).prop_map(|limit| Act::Limit { limit }),
        1 => (0..3_u8, 0..500_u32).prop_map(|(terminal, amount)| Act::Fuel { terminal, amount }),
    ];
    proptest::collection::vec((0..3_u8, act), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_honest_day_has_no_findings(acts in acts(), swaps in proptest::collection::vec(any::<(u16, u16)>(), 0..40)) {
        let mut records = day(&acts);
        for (a, b) in swaps {
            if !records.is_empty() {
                let len = records.len();
                records.swap(usize::from(a) % len, usize::from(b) % len);
            }
        }
        // One purse on the card: whatever its type, a transaction is on it.
        let (cards, terminals) = ours(&Profile::CJT_304, &records, &all(&records));
        prop_assert_eq!((cards, terminals), (vec![], vec![]));
    }

    #[test]
    fn a_dishonest_day_has_those_of_the_model(
        acts in acts(),
        changes in proptest::collection::vec((0..8_u8, any::<u16>(), any::<u16>(), 1..300_u32), 1..12),
        passbook: bool,
        right in proptest::collection::vec(any::<u8>(), 20),
        some_wrong: bool,
    ) {
        let mut records = day(&acts);
        for (what, a, b, by) in changes {
            if records.is_empty() {
                break;
            }
            let (a, b) = (usize::from(a) % records.len(), usize::from(b) % records.len());
            match what {
                0 => drop(records.remove(a)),
                1 => records.push(records[a]),
                2 => records.insert(b, records[a]),
                3 => records[a].transaction.amount += by,
                4 => records[a].transaction.balance += by,
                5 => records[a].transaction.seq = records[b].transaction.seq,
                6 => records[a].transaction.terminal_seq = records[b].transaction.terminal_seq,
                _ => records.swap(a, b),
            }
        }
        let profile = if passbook { Profile::FUEL } else { Profile::CJT_304 };
        let right = if some_wrong { right } else { all(&records) };
        let (mut cards, mut terminals) = ours(&profile, &records, &right);
        let (mut model_cards, mut model_terminals) = model(&profile, &records, &right);
        for findings in [&mut cards, &mut terminals, &mut model_cards, &mut model_terminals] {
            findings.sort();
        }
        prop_assert_eq!(cards, model_cards);
        prop_assert_eq!(terminals, model_terminals);
    }
}

#[test]
fn what_names_no_account_is_in_no_sequence_of_two() {
    // A purse's day, and an unload and a grey lock that are its passbook's.
    let pay = |amount| (0, Act::Pay { terminal: 1, amount });
    let (load, fuel) = ((0, Act::Load { amount: 500 }), (0, Act::Fuel { terminal: 2, amount: 50 }));
    let purse = [load, pay(100), load, pay(200), pay(300)];
    let mut records = day(&purse);
    let mut passbook = day(&[(0, Act::Unload { amount: 70 }), fuel, fuel]);
    for tti in [Tti::UNLOAD, Tti::GREY_LOCK, Tti::DEBIT_FOR_UNLOCK] {
        assert!(passbook.iter().any(|record| record.transaction.tti == tti));
    }
    records.append(&mut passbook);
    assert_eq!(ours(&Profile::FUEL, &records, &all(&records)), (vec![], vec![]));
    // Were there one account, they would contradict each other.
    let (cards, _) = ours(&Profile::CJT_304, &records, &all(&records));
    assert!(cards.iter().any(|finding| matches!(finding, Finding::Replayed { .. })), "{cards:?}");
    // A purchase with the passbook is a sequence of its own.
    let mut both = day(&purse);
    let mut own = both[1];
    own.transaction.tti = Tti::ED_PURCHASE;
    own.transaction.terminal = [9; 6];
    both.push(own);
    // So is a load of it, at whose counter the purse unloads.
    let mut load = both[0];
    load.transaction.tti = Tti::ED_LOAD;
    let mut unload = load;
    unload.transaction.tti = Tti::UNLOAD;
    both.extend([load, unload]);
    assert_eq!(ours(&Profile::FUEL, &both, &all(&both)), (vec![], vec![]));
}

#[test]
fn each_kind_of_finding() {
    let pay = |amount| (0, Act::Pay { terminal: 1, amount });
    let day = day(&[pay(100), pay(200), (0, Act::Load { amount: 500 }), pay(300), pay(400)]);
    let profile = Profile::JTT_978;
    let found = |records: &[Record]| ours(&profile, records, &all(records));

    let mut twice = day.clone();
    twice.push(day[1]);
    let repeated = Finding::Repeated { record: 5, first: 1 };
    assert_eq!(found(&twice), (vec![repeated], vec![repeated]));

    twice[5].transaction.amount += 1;
    let replayed = Finding::Replayed { record: 5, first: 1 };
    assert_eq!(found(&twice), (vec![replayed], vec![replayed]));
    // A wrong TAC takes it out of the question.
    assert_eq!(ours(&profile, &twice, &[0b0001_1111]), (vec![], vec![]));

    let mut gap = day.clone();
    gap.remove(1);
    let missing = Finding::Missing { after: 0, before: 2, count: 1 };
    assert_eq!(found(&gap), (vec![missing], vec![missing]));

    let mut unloaded = day.clone();
    unloaded.remove(2);
    let unexplained = Finding::Unexplained { after: 1, before: 2, difference: 500 };
    assert_eq!(found(&unloaded), (vec![unexplained], vec![]));

    let mut short = vec![0; 4];
    assert!(by_card(&profile, &day, &[0xFF], &mut short).is_none());
    assert!(by_terminal(&day, &[0xFF], &mut short).is_none());
}
