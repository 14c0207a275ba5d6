//! The night: the gates upload, the settlement verifies, sorts out and books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use huiwan_purse::host::settlement::{self, Record};
use huiwan_purse::terminal::Pending;
use huiwan_purse::transaction::Transaction;

use crate::card::Card;
use crate::day::{Day, event};

/// What the settlement came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Night {
    pub records: usize,
    pub right: usize,
    /// Records somebody put into the upload without a card.
    pub forged: usize,
    pub duplicates: usize,
    /// Records that repeat a terminal's number and are not the same record.
    pub replays: usize,
    /// Payments that only a card's log proves.
    pub by_hand: usize,
    /// Torn taps no card can tell any more: payments and not, by the counters of the others.
    pub by_counter_paid: usize,
    pub by_counter_not: usize,
    pub verifying: Duration,
}

/// Settles the day into its ledger.
pub fn settle(day: &mut Day) -> Night {
    // Every fifth gate uploads twice, every third sends its last records again after the line broke.
    let mut upload: Vec<&[u8]> = Vec::new();
    for (n, gate) in day.gates.iter().enumerate() {
        upload.push(&gate.file);
        if n % 5 == 2 {
            upload.push(&gate.file);
        }
        if n % 3 == 1 {
            upload.push(&gate.file[gate.file.len() / Record::LEN / 2 * Record::LEN..]);
        }
    }
    // Somebody adds a ride that no card paid.
    let forged = forge(&day.gates[0].file);
    upload.push(&forged);
    let records: Vec<Record> = upload
        .iter()
        .flat_map(|file| settlement::Records::new(file))
        .collect::<Result<_, _>>()
        .expect("the gates write what the settlement reads");

    let started = Instant::now();
    let mut right = vec![0; settlement::verdict_len(records.len())];
    settlement::verify(&mut day.bank.keys, &records, &mut right);
    let verifying = started.elapsed();
    let (mut order, mut twice) = (vec![0; records.len()], right.clone());
    assert!(
        settlement::duplicates(&records, &right, &mut order, &mut twice),
        "the work space is large enough"
    );

    let forged = forged.len() / Record::LEN;
    let mut night = Night { records: records.len(), forged, verifying, ..Night::default() };
    let mut seen: BTreeMap<(usize, u16), Transaction> = BTreeMap::new();
    for (n, record) in records.iter().enumerate() {
        if !settlement::verdict(&right, n) {
            continue;
        }
        night.right += 1;
        let transaction = record.transaction;
        let key = (Card::rider(&transaction.card), transaction.seq);
        if settlement::verdict(&twice, n) {
            night.duplicates += 1;
            night.replays += usize::from(seen.get(&key) != Some(&transaction));
        } else {
            night.replays += usize::from(seen.insert(key, transaction).is_some());
            day.ledger.collect(key.0, transaction.amount, key.1);
        }
    }

    // A card's log proves a payment whose TAC another one has displaced.
    for transaction in day.gates.iter().flat_map(|gate| &gate.by_hand) {
        let key = (Card::rider(&transaction.card), transaction.seq);
        night.by_hand += 1;
        if seen.insert(key, *transaction).is_none() {
            day.ledger.collect(key.0, transaction.amount, key.1);
        }
    }

    // A counter is used once. Where the record of that counter is another terminal's, the torn tap did not happen; where
    // there is none although the card went on, it did.
    let undecided: BTreeSet<_> = day.gates.iter().flat_map(|gate| &gate.undecided).collect();
    for raw in undecided {
        let transaction = Pending::from_bytes(raw).expect("the gate's own record").transaction;
        let key = (Card::rider(&transaction.card), transaction.seq);
        let next = seen.get(&(key.0, key.1 + 1));
        let fits =
            next.is_none_or(|next| transaction.balance_after().is_some_and(|left| left <= next.balance));
        let paid = fits && !seen.contains_key(&key);
        if paid {
            seen.insert(key, transaction);
            day.ledger.collect(key.0, transaction.amount, key.1);
            night.by_counter_paid += 1;
        } else {
            night.by_counter_not += 1;
        }
        day.ledger.decide(event(&transaction), paid);
    }
    night
}

/// The first record of a file with another terminal number and one fen more, if there is one.
fn forge(file: &[u8]) -> Vec<u8> {
    let Some(Ok(mut record)) = settlement::Records::new(file).next() else { return Vec::new() };
    record.transaction.terminal_seq = u32::MAX;
    record.transaction.amount += 1;
    record.to_bytes().to_vec()
}
