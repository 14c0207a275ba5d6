//! The command line.

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// Bands to issue.
    pub bands: u32,
    /// Bands at the TSM at the same time.
    pub at_once: u16,
    /// The part of all commands that is lost, on the way there or back.
    pub loss: f64,
    /// The part of all steps, commands sent and states saved, at which the worker dies.
    pub kill_rate: f64,
    pub seed: u64,
}

pub const HELP: &str = "\
A TSM issues many bands at once over links that lose commands and answers, with
workers that die: every band gets its own keys, a bank card and a transit card,
and then the money its wearer has ordered for the transit card, once.

usage: cargo run --release --example tsm_fleet -- [options]

  --bands N       bands to issue (default 200)
  --at-once N     bands at the TSM at the same time (default 100)
  --loss P        part of the commands that is lost, there or back, 0 to 0.2
                  (default 0.02)
  --kill-rate P   part of the commands sent and states saved at which the worker
                  dies, 0 to 0.2 (default 0.01)
  --seed S        seed of every random number (default 1)
  --help          this text

The exit status is 0 when every band ended right, 1 when one did not, 2 for a
wrong argument.
";

/// Reads the arguments; `Err` is the text to print and the exit status.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, (String, u8)> {
    let mut arguments = Arguments { bands: 200, at_once: 100, loss: 0.02, kill_rate: 0.01, seed: 1 };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Err((HELP.to_owned(), 0)),
            "--bands" => arguments.bands = value(&word, &mut words)?,
            "--at-once" => arguments.at_once = value(&word, &mut words)?,
            "--loss" => arguments.loss = value(&word, &mut words)?,
            "--kill-rate" => arguments.kill_rate = value(&word, &mut words)?,
            "--seed" => arguments.seed = value(&word, &mut words)?,
            other => return Err((format!("unknown argument {other:?}; try --help"), 2)),
        }
    }
    let wrong = |what: &str| Err((what.to_owned(), 2));
    match arguments {
        Arguments { bands: 0, .. } | Arguments { bands: 10_000_000.., .. } => {
            wrong("--bands wants 1 to 9999999")
        }
        Arguments { at_once: 0, .. } | Arguments { at_once: 10_000.., .. } => {
            wrong("--at-once wants 1 to 9999")
        }
        // The bank card is some thirty commands without a break: with more accidents it hardly ever gets through.
        Arguments { loss, .. } if !(0.0..=0.2).contains(&loss) => wrong("--loss wants 0 to 0.2"),
        Arguments { kill_rate, .. } if !(0.0..=0.2).contains(&kill_rate) => {
            wrong("--kill-rate wants 0 to 0.2")
        }
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
