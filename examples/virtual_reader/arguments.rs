//! The command line.

use std::path::PathBuf;

use huiwan_gp::scp02;

use crate::band::{Atr, Keys};

/// What `--help` prints.
pub const HELP: &str = "\
The wristband's secure element as a card in a virtual PC/SC reader (vpcd protocol).

usage: virtual_reader [--blank] [options] [ADDRESS]

  ADDRESS             where vpcd listens, default 127.0.0.1:35963
  --blank             an element with the card manager alone: ISD A000000151000000, test keys
                      404142434445464748494A4B4C4D4E4F for SCP03 (i = 70) under version 30,
                      for SCP02 (i = 55) under version 20
                      without it: the same with a payment environment, a UnionPay bank card
                      and a JT/T 978 transit card, all with published keys (huiwan::sample)
  --scp02 I           another i for SCP02, hexadecimal: 05, 15, 35, 45, 55 or 75
  --scp03-only        no keys for SCP02
  --scp02-only        with --blank: no keys for SCP03, for tools that know SCP02 alone
  --initial-keys      with --blank: the test keys of one protocol, SCP03 unless --scp02-only, under
                      version FF, which go when others are put
  --scp11             with --blank: the element opens SCP11 a, b and c too, and GET DATA of class 00
                      answers bare values, as hosts that know SCP11 from YubiKeys expect
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
    /// The card manager's first keys.
    pub keys: Keys,
    /// The "i" of SCP02.
    pub scp02: scp02::Options,
    /// The keys are under version FF.
    pub initial_keys: bool,
    /// SCP11 too.
    pub scp11: bool,
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
        keys: Keys::Both,
        scp02: scp02::Options::I55,
        initial_keys: false,
        scp11: false,
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
            "--scp02" => {
                let i = value()?;
                arguments.scp02 = u8::from_str_radix(&i, 16)
                    .ok()
                    .and_then(scp02::Options::from_byte)
                    .filter(|options| options.explicit() && options.three_keys())
                    .ok_or_else(|| format!("--scp02 knows no {i}"))?;
            }
            "--scp02-only" => arguments.keys = Keys::Scp02,
            "--scp03-only" => arguments.keys = Keys::Scp03,
            "--initial-keys" => arguments.initial_keys = true,
            "--scp11" => arguments.scp11 = true,
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
    if !arguments.blank && arguments.initial_keys {
        return Err("--initial-keys wants --blank".to_owned());
    }
    if !arguments.blank && arguments.keys == Keys::Scp02 {
        return Err("--scp02-only wants --blank".to_owned());
    }
    if !arguments.blank && arguments.scp11 {
        return Err("--scp11 wants --blank".to_owned());
    }
    Ok(Wanted::Serve(arguments))
}
