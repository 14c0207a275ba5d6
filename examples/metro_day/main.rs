//! One simulated day of a small line, and the settlement of its night.
//!
//! Riders load at machines, enter, leave, change to the bus, tap twice and tear their cards out of the field at random
//! moments, in the midst of a debit too; gates find out by the card's proof what became of it. Both sides speak real APDUs,
//! every card lives in a journal over flash whose power can be cut anywhere. At night every TAC is verified, what came twice
//! is sorted out, and money issued + loaded − collected has to be the money on all cards, rider by rider, to the fen.
//!
//! `cargo run --release --example metro_day -- --riders 2000 --gates 40 --taps 1000000 --tear-rate 0.01 --seed 7`
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the city's own rules are kept or the day stops here"
)]

mod arguments;
mod bank;
mod card;
mod city;
mod day;
mod gate;
mod ledger;
mod night;

use std::process::ExitCode;
use std::time::Instant;

use day::Day;
use gate::Recoveries;

fn main() -> ExitCode {
    let arguments = match arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err((text, 0)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err((text, status)) => {
            eprintln!("{text}");
            return ExitCode::from(status);
        }
    };
    let mut day = Day::prepare(arguments);
    let started = Instant::now();
    day.run();
    let running = started.elapsed();
    day.clear_up();
    let night = night::settle(&mut day);
    let balance = day.close();

    let mut recoveries = Recoveries::default();
    for gate in &day.gates {
        recoveries.paid += gate.recoveries.paid;
        recoveries.not_paid += gate.recoveries.not_paid;
        recoveries.unknown += gate.recoveries.unknown;
        recoveries.torn += gate.recoveries.torn;
    }
    let (counts, loads) = (day.counts, day.bank.counts);
    let line = |name: &str, value: &dyn core::fmt::Display| println!("  {name:<44}{value:>16}");
    println!("{} riders, {} gates, seed {}", arguments.riders, arguments.gates, arguments.seed);
    println!("taps");
    line("taps", &counts.taps);
    line("  paid", &counts.paid);
    line("  refused", &counts.refused);
    line("  card to be held again", &counts.again);
    line("torn", &counts.tears);
    line("  recovered: paid", &recoveries.paid);
    line("  recovered: not paid", &recoveries.not_paid);
    line("  recovered: unknown to the card", &recoveries.unknown);
    line("  torn during the recovery", &recoveries.torn);
    println!("loads");
    line("loads", &loads.loads);
    line("  answer lost", &loads.torn);
    line("  lost, confirmed by the TAC", &loads.confirmed);
    line("  lost, confirmed by the next MAC1", &loads.by_counter);
    line("  lost, not loaded: money given back", &loads.reversed);
    println!("settlement");
    line("records uploaded", &night.records);
    line("  TAC right", &night.right);
    line("  TAC wrong", &(night.records - night.right));
    line("  forged", &night.forged);
    line("  came twice", &night.duplicates);
    line("  counter or number used twice", &night.replays);
    line("proved by a log only", &night.by_hand);
    line("decided by counters: paid", &night.by_counter_paid);
    line("decided by counters: not paid", &night.by_counter_not);
    println!("ledger");
    line("issued, yuan", &yuan(balance.issued.into()));
    line("loaded, yuan", &yuan(balance.loaded.into()));
    line("collected, yuan", &yuan(balance.collected.into()));
    line("on cards, yuan", &yuan(balance.on_cards.into()));
    line("difference, yuan", &yuan(balance.difference()));
    line("cards that differ from the book", &balance.riders);
    line("cards with a counter not accounted for", &balance.counters);
    line("torn transactions decided rightly", &day.ledger.right);
    line("  decided wrongly", &day.ledger.wrong);
    line("  never decided", &day.ledger.open());
    let rate = f64::from(counts.taps) / running.as_secs_f64();
    let tacs = night.records as f64 / night.verifying.as_secs_f64();
    println!("{rate:.0} taps per second, {tacs:.0} TACs per second");

    let exact = balance.holds()
        && (day.ledger.wrong, day.ledger.open()) == (0, 0)
        && night.right + night.forged == night.records
        && night.replays == 0;
    println!("{}", if exact { "balanced to the fen" } else { "NOT BALANCED" });
    if exact { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn yuan(fen: i128) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.unsigned_abs() / 100, fen.unsigned_abs() % 100)
}
