//! A TSM issues a fleet of bands over bad links, with workers that die.
//!
//! Every band comes blank from its factory with keys of its own, derived from a master by what the band says of itself. The TSM
//! brings its own keys, takes the factory's away, and installs and personalises the payment environment, a bank card and a
//! transit card. Then it loads the transit card with what the wearer has ordered. Commands and answers get lost; workers die between
//! any two steps and others go on from the 12 bytes the database has of an issuing job, or the 80 of a top-up. In the end every band is audited by what a terminal, a gate and the TSM see of it.
//!
//! `cargo run --release --example tsm_fleet -- --bands 1000 --loss 0.02 --kill-rate 0.01 --seed 7`
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the fleet's own rules are kept or it stops here"
)]

mod arguments;
mod band;
mod issuer;
mod tsm;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use huiwan::element::Modules;
use issuer::Issuer;
use tsm::Counts;

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
    let modules = Modules::default();
    let list = modules.list();
    let mut issuer = Issuer::new(arguments.seed);
    let (mut preparing, mut issuing) = (Duration::ZERO, Duration::ZERO);
    let (mut counts, mut times, mut wrong) = (Counts::default(), Vec::new(), 0_u64);
    let mut first = 1;
    while first <= arguments.bands {
        let numbers = first..(first + u32::from(arguments.at_once)).min(arguments.bands + 1);
        first = numbers.end;
        let started = Instant::now();
        let scripts: Vec<_> = numbers.clone().map(|number| issuer.scripts(number)).collect();
        preparing += started.elapsed();
        let started = Instant::now();
        let mut wave = tsm::issue(&arguments, &list, numbers.clone(), &scripts);
        issuing += started.elapsed();
        for (number, band) in numbers.zip(&mut wave.bands) {
            if let Err(what) = band.audit() {
                wrong += 1;
                eprintln!("band {number}: {what}");
            }
        }
        times.extend(wave.times);
        counts.add(&wave.counts);
    }
    report(&arguments, &counts, &mut times, wrong, [preparing, issuing]);
    let bands = u64::from(arguments.bands);
    let right = wrong == 0 && (counts.issued, counts.loaded) == (bands, bands);
    println!("{}", if right { "every band ended right" } else { "NOT EVERY BAND ENDED RIGHT" });
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(
    arguments: &arguments::Arguments,
    counts: &Counts,
    times: &mut [u64],
    wrong: u64,
    [preparing, issuing]: [Duration; 2],
) {
    let line = |name: &str, value: &dyn core::fmt::Display| println!("  {name:<44}{value:>16}");
    println!(
        "{} bands, {} at once, loss {}, kill rate {}, seed {}",
        arguments.bands, arguments.at_once, arguments.loss, arguments.kill_rate, arguments.seed
    );
    println!("jobs");
    line("bands issued", &counts.issued);
    line("top-ups loaded", &counts.loaded);
    line("stopped", &counts.stopped);
    line("bands that are not as wanted", &wrong);
    println!("visits");
    line("visits", &counts.visits);
    line("  retries", &(counts.visits - counts.issued - counts.loaded - counts.stopped));
    line("  most of one job", &counts.most_visits);
    line("states saved", &counts.savings);
    println!("accidents");
    line("commands sent", &counts.commands);
    line("  lost before the band", &counts.unheard);
    line("  carried out, answer lost", &counts.unanswered);
    line("workers killed at a command", &counts.killed_at_command);
    line("  before saving", &counts.killed_before_saving);
    line("  after saving", &counts.killed_after_saving);
    println!("time over the links");
    times.sort_unstable();
    let seconds = |part: usize| {
        let at = (times.len() * part / 100).min(times.len().saturating_sub(1));
        format!("{:.1} s", times.get(at).copied().unwrap_or(0) as f64 / 1_000.0)
    };
    line("both jobs of a band, median", &seconds(50));
    line("both, 95 of 100 within", &seconds(95));
    line("the longest", &seconds(100));
    println!("time on this computer, bands included");
    let each = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3 / f64::from(arguments.bands));
    line("preparing a band's data", &each(preparing));
    line("a band's two jobs", &each(issuing));
    let rate = |n: f64| format!("{:.0}", n / issuing.as_secs_f64());
    line("bands per second on one core", &rate(f64::from(arguments.bands)));
    line("commands per second", &rate(counts.commands as f64));
}
