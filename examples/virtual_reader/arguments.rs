//! The command line.

use std::path::PathBuf;

use crate::band::Atr;

/// What `--help` prints.
pub const HELP: &str = "\
The wristband's secure element as a card in a virtual PC/SC reader (vpcd protocol).

usage: virtual_reader [--blank] [options] [ADDRESS]

  ADDRESS             where vpcd listens, default 127.0.0.1:35963
  --blank             an element with the card manager alone: ISD A000000151000000, SCP03,
                      test keys 404142434445464748494A4B4C4D4E4F under version 30
                      without it: the same with a payment environment, a UnionPay bank card
                      and a JT/T 978 transit card, all with published keys (huiwan::sample)
  --initial-keys      with --blank: the test keys under version FF, which go when others are put
  --atr t1|t0|contactless
                      what the reader sees, default t1
  --state FILE        keep the element's flash in FILE between runs
  --listen            wait at ADDRESS for a reader that connects to the card
  --help              this text
";

/// What the command line asks for.
#[derive(Debug)]
pub enum Wanted {
    /// A card.
    Serve(Arguments),
    /// The help text.
    Help,
}

/// The options.
#[derive(Debug)]
pub struct Arguments {
    /// The card manager alone.
    pub blank: bool,
    /// Version of the first keys.
    pub key_version: u8,
    /// What the reader sees.
    pub atr: Atr,
    /// State file.
    pub state: Option<PathBuf>,
    /// Wait for the reader instead of connecting.
    pub listen: bool,
    /// Host and port.
    pub address: String,
}

/// Reads the command line.
///
/// # Errors
/// What is wrong with it.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut arguments = Arguments {
        blank: false,
        key_version: 0x30,
        atr: Atr::T1,
        state: None,
        listen: false,
        address: "127.0.0.1:35963".to_owned(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Wanted::Help),
            "--blank" => arguments.blank = true,
            "--initial-keys" => arguments.key_version = huiwan_gp::card::INITIAL_KEY_VERSION,
            "--listen" => arguments.listen = true,
            "--state" => arguments.state = Some(value()?.into()),
            "--atr" => {
                let name = value()?;
                arguments.atr = Atr::named(&name).ok_or_else(|| format!("--atr knows no {name}"))?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            address => arguments.address = address.to_owned(),
        }
    }
    if !arguments.blank && arguments.key_version != 0x30 {
        return Err("--initial-keys wants --blank".to_owned());
    }
    Ok(Wanted::Serve(arguments))
}
