//! The command line.

use std::path::PathBuf;

use huiwan_gp::cap::HashFunction;
use huiwan_gp::secure_channel::Level;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The archive; `None`: one made here.
    pub file: Option<PathBuf>,
    /// Where to write the archive made here.
    pub write: Option<PathBuf>,
    /// Key of a domain that wants its signature in every load file, and whether it gets it.
    pub dap: Option<(Vec<u8>, bool)>,
    /// Key of tokens: a domain with delegated management loads.
    pub token: Option<Vec<u8>>,
    pub level: Level,
    pub hash: HashFunction,
    pub descriptor: bool,
    pub trace: bool,
}

pub const HELP: &str = "\
Reads a CAP file, says what is in it, and loads it onto a card in memory.

usage: cargo run --release --example cap_load -- [options] [FILE.cap]

  FILE.cap        a CAP file; without it, a package without code that is made here
  --write FILE    write that package as a CAP file, and load it
  --dap KEY       the card has a domain that wants its signature in every load
                  file; the file is signed with this AES key (32, 48 or 64 digits)
  --dap-missing KEY   the same, but the file comes without the signature
  --token KEY     a domain with delegated management loads, with tokens made with
                  this AES key; receipts are checked
  --level L       mac, enc (default) or all: protection of the commands
  --hash H        sha1, sha256 (default), sha384 or sha512
  --descriptor    send the descriptor, too
  --trace         print every command and answer, as they go over the link
  --help          this text

The exit status is 0 when the file is on the card, 1 when it is not, 2 for a
wrong argument or a file that is no CAP file.
";

/// Reads the arguments; `Err` is the text to print and the exit status.
pub fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, (String, u8)> {
    let mut arguments = Arguments {
        file: None,
        write: None,
        dap: None,
        token: None,
        level: Level::CMacCEnc,
        hash: HashFunction::Sha256,
        descriptor: false,
        trace: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or((format!("{word} wants a value"), 2));
        match word.as_str() {
            "--help" | "-h" => return Err((HELP.to_owned(), 0)),
            "--write" => arguments.write = Some(value()?.into()),
            "--dap" => arguments.dap = Some((key(&value()?)?, true)),
            "--dap-missing" => arguments.dap = Some((key(&value()?)?, false)),
            "--token" => arguments.token = Some(key(&value()?)?),
            "--level" => {
                arguments.level = match value()?.as_str() {
                    "mac" => Level::CMac,
                    "enc" => Level::CMacCEnc,
                    "all" => Level::All,
                    other => return Err((format!("--level wants mac, enc or all, not {other:?}"), 2)),
                }
            }
            "--hash" => {
                arguments.hash = match value()?.as_str() {
                    "sha1" => HashFunction::Sha1,
                    "sha256" => HashFunction::Sha256,
                    "sha384" => HashFunction::Sha384,
                    "sha512" => HashFunction::Sha512,
                    other => return Err((format!("--hash wants sha1 to sha512, not {other:?}"), 2)),
                }
            }
            "--descriptor" => arguments.descriptor = true,
            "--trace" => arguments.trace = true,
            file if !file.starts_with('-') && arguments.file.is_none() => {
                arguments.file = Some(file.into());
            }
            other => return Err((format!("unknown argument {other:?}; try --help"), 2)),
        }
    }
    match arguments {
        Arguments { file: Some(_), write: Some(_), .. } => {
            Err(("--write is for the package made here, not for a file".to_owned(), 2))
        }
        arguments => Ok(arguments),
    }
}

fn key(digits: &str) -> Result<Vec<u8>, (String, u8)> {
    let wrong = || (format!("a key is 32, 48 or 64 hexadecimal digits, not {digits:?}"), 2);
    if !matches!(digits.len(), 32 | 48 | 64) || !digits.is_ascii() {
        return Err(wrong());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong))
        .collect()
}
