//! The command line of the story.

/// How much the story tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Every APDU with its decoded content.
    Full,
    /// The story alone.
    Quiet,
    /// One JSON event a line.
    Json,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    pub telling: Telling,
    pub seed: u64,
}

pub const HELP: &str = "\
The life of a payment wristband, told by its own card, terminal and host code.

usage: cargo run --release --example wristband -- [options]

  --quiet      the story alone, without APDUs
  --json       one JSON event a line (form: README.md, \"The story as JSON\")
  --seed N     seed of every random number in the story (default 1); the same
               seed tells the same story byte for byte
  --help       this text

The exit status is 0 when every check of the story held, 1 when one failed,
2 for a wrong argument.
";

/// Reads the arguments; `Err` is the text to print and the exit status.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, (String, i32)> {
    let mut arguments = Arguments { telling: Telling::Full, seed: 1 };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quiet" => arguments.telling = Telling::Quiet,
            "--json" => arguments.telling = Telling::Json,
            "--seed" => {
                let value = words.next().unwrap_or_default();
                arguments.seed =
                    value.parse().map_err(|_| (format!("--seed wants a whole number, not {value:?}"), 2))?;
            }
            "--help" | "-h" => return Err((HELP.to_owned(), 0)),
            other => return Err((format!("unknown argument {other:?}; try --help"), 2)),
        }
    }
    Ok(arguments)
}
