//! The command line.

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    pub riders: u32,
    pub gates: u16,
    /// Taps until the line closes.
    pub taps: u32,
    /// The part of all taps and loads that is torn.
    pub tear_rate: f64,
    pub seed: u64,
}

pub const HELP: &str = "\
One day of a small line: riders load, enter, leave, change to the bus, tap twice
and tear; at night the settlement verifies every TAC and balances to the fen.

usage: cargo run --release --example metro_day -- [options]

  --riders N      riders, each with a card of their own (default 500)
  --gates M       gates and bus validators, at least 4 (default 20)
  --taps N        the line closes after so many taps (default 20 for each rider)
  --tear-rate P   part of the taps and loads that is torn, 0 to 1 (default 0.02)
  --seed S        seed of every random number (default 1)
  --help          this text

The exit status is 0 when everything balanced, 1 when something did not, 2 for
a wrong argument.
";

/// Reads the arguments; `Err` is the text to print and the exit status.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, (String, u8)> {
    let mut taps = None;
    let mut arguments = Arguments { riders: 500, gates: 20, taps: 0, tear_rate: 0.02, seed: 1 };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Err((HELP.to_owned(), 0)),
            "--riders" => arguments.riders = value(&word, &mut words)?,
            "--gates" => arguments.gates = value(&word, &mut words)?,
            "--taps" => taps = Some(value(&word, &mut words)?),
            "--tear-rate" => arguments.tear_rate = value(&word, &mut words)?,
            "--seed" => arguments.seed = value(&word, &mut words)?,
            other => return Err((format!("unknown argument {other:?}; try --help"), 2)),
        }
    }
    arguments.taps = taps.unwrap_or_else(|| arguments.riders.saturating_mul(20));
    let wrong = |what: &str| Err((what.to_owned(), 2));
    match arguments {
        Arguments { riders: 0, .. } | Arguments { riders: 10_000_000.., .. } => {
            wrong("--riders wants 1 to 9999999")
        }
        Arguments { gates: ..4, .. } | Arguments { gates: 10_000.., .. } => wrong("--gates wants 4 to 9999"),
        Arguments { taps: 0, .. } => wrong("--taps wants at least 1"),
        Arguments { tear_rate, .. } if !(0.0..=1.0).contains(&tear_rate) => wrong("--tear-rate wants 0 to 1"),
        arguments => Ok(arguments),
    }
}

fn value<T: core::str::FromStr>(
    name: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<T, (String, u8)> {
    let value = words.next().unwrap_or_default();
    value.parse().map_err(|_| (format!("{name} wants a number, not {value:?}"), 2))
}
