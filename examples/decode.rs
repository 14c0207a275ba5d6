//! Hex in, an annotated tree out: APDUs, responses, TLV, answers to reset, or a whole trace.
//!
//! ```text
//! cargo run --release --example decode -- 00A404000E325041592E5359532E444446303100
//! cargo run --release --example decode < trace.txt
//! ```
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

use huiwan::trace::{Annotated, Annotator, Palette};
use huiwan_apdu::atr::Atr;
use huiwan_apdu::{Command, Ins, Response};
use huiwan_tlv::{Rules, walk};

const HELP: &str = "\
Says in words what bytes of a smart card mean.

    decode [OPTIONS] [HEX]...
    decode [OPTIONS] < FILE

HEX is one thing: a command, a response, BER-TLV data or an answer to reset. Several arguments are one thing too, so
`decode 00 A4 04 00` works. Without HEX, standard input is read; several lines are a trace, one APDU a line:

    # comment
    > 00A404000E325041592E5359532E444446303100      command
    < 6F30840E 32504159...9000                      response to it
    00B2010C00                                      marks may be missing: a line behind a command is its response
    ATR: 3B 60 00 00                                the conversation begins anew

Digits may stand in groups (spaces, `:`, `-`, `_`, `,`), with 0x before them. Marks understood before a line: > < => <=
-> <- >> << →  ← C: R: CMD: RSP: APDU: SW: ATR:

OPTIONS
    --as KIND      command, response, tlv, atr or trace, instead of guessing
    --color WHEN   auto (on a terminal, the default), always or never
    --help         this text

Exit status: 0 decoded, 2 wrong input; the error names the position of the first wrong digit or byte, from 0.
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Response,
    Tlv,
    Atr,
    Trace,
}

/// Wrong input: what, and where.
#[derive(Debug)]
enum Wrong {
    Usage(String),
    /// Something that is no hexadecimal digit, by its character position on the line.
    Digit {
        line: Option<usize>,
        found: char,
        at: usize,
    },
    /// An odd number of digits.
    HalfByte {
        line: Option<usize>,
        byte: usize,
    },
    Empty,
    /// The bytes are not what they should be.
    Bytes {
        line: Option<usize>,
        what: String,
    },
    Read(io::Error),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, line: &Option<usize>| match line {
            Some(line) => write!(f, "line {line}: "),
            None => Ok(()),
        };
        match self {
            Self::Usage(what) => write!(f, "{what} (--help tells more)"),
            Self::Digit { line: number, found, at } => {
                line(f, number)?;
                write!(f, "{found:?} is no hexadecimal digit, at character {at}")
            }
            Self::HalfByte { line: number, byte } => {
                line(f, number)?;
                write!(f, "odd number of hexadecimal digits, byte {byte} is half a byte")
            }
            Self::Empty => f.write_str("nothing to decode (--help tells more)"),
            Self::Bytes { line: number, what } => {
                line(f, number)?;
                f.write_str(what)
            }
            Self::Read(error) => write!(f, "standard input: {error}"),
        }
    }
}

fn main() -> ExitCode {
    let mut out = String::new();
    let result = run(std::env::args().skip(1), &mut out);
    // A closed pipe (`| head`) is the reader's choice, not an error.
    drop(io::stdout().write_all(out.as_bytes()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("decode: {wrong}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: impl Iterator<Item = String>, out: &mut String) -> Result<(), Wrong> {
    let mut kind = None;
    let mut colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut hex: Vec<String> = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = |name| arguments.next().ok_or_else(|| Wrong::Usage(format!("{name} needs a value")));
        match argument.as_str() {
            "--help" | "-h" => {
                out.push_str(HELP);
                return Ok(());
            }
            "--as" => {
                kind = Some(match value("--as")?.as_str() {
                    "command" | "apdu" => Kind::Command,
                    "response" => Kind::Response,
                    "tlv" => Kind::Tlv,
                    "atr" => Kind::Atr,
                    "trace" => Kind::Trace,
                    other => return Err(Wrong::Usage(format!("unknown kind {other}"))),
                });
            }
            "--color" | "--colour" => {
                colour = match value("--color")?.as_str() {
                    "auto" => colour,
                    "always" => true,
                    "never" => false,
                    other => return Err(Wrong::Usage(format!("unknown --color {other}"))),
                };
            }
            // A mark before hex, or negative-looking nonsense.
            option if option.starts_with("--") => {
                return Err(Wrong::Usage(format!("unknown option {option}")));
            }
            _ => hex.push(argument),
        }
    }
    let palette = if colour { Palette::ANSI } else { Palette::PLAIN };
    let input = if hex.is_empty() {
        let mut input = String::new();
        io::stdin().read_to_string(&mut input).map_err(Wrong::Read)?;
        input
    } else {
        hex.join(" ")
    };
    let lines: Vec<Line<'_>> = (1..)
        .zip(input.lines())
        .map(|(number, text)| Line::new(number, text))
        .filter(|l| !l.is_empty())
        .collect();
    match (lines.as_slice(), kind) {
        ([], _) => Err(Wrong::Empty),
        (lines, Some(Kind::Trace)) => trace(lines, &palette, out),
        ([line], kind) => one(line, kind, &palette, out),
        (lines, None) => trace(lines, &palette, out),
        (lines, Some(kind)) => lines.iter().try_for_each(|line| one(line, Some(kind), &palette, out)),
    }
}

/// Which side a line says it is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    None,
    Command,
    Response,
    Atr,
}

/// A line of input without its mark and comment.
struct Line<'a> {
    number: usize,
    mark: Mark,
    text: &'a str,
    /// The character position of `text`.
    at: usize,
}

const MARKS: &[(&str, Mark)] = &[
    ("COMMAND:", Mark::Command),
    ("RESPONSE:", Mark::Response),
    ("APDU:", Mark::Command),
    ("CMD:", Mark::Command),
    ("RSP:", Mark::Response),
    ("ATR:", Mark::Atr),
    ("SW:", Mark::Response),
    ("C:", Mark::Command),
    ("R:", Mark::Response),
    (">>", Mark::Command),
    ("<<", Mark::Response),
    ("=>", Mark::Command),
    ("<=", Mark::Response),
    ("->", Mark::Command),
    ("<-", Mark::Response),
    (">", Mark::Command),
    ("<", Mark::Response),
    ("→", Mark::Command),
    ("←", Mark::Response),
];

impl<'a> Line<'a> {
    fn new(number: usize, text: &'a str) -> Self {
        let code = text.split(['#', ';']).next().unwrap_or_default().trim_end();
        let trimmed = code.trim_start();
        let fits = |mark: &str| trimmed.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
        let (mark, rest) = MARKS
            .iter()
            .find(|(mark, _)| fits(mark))
            .map_or((Mark::None, trimmed), |(text, mark)| (*mark, trimmed[text.len()..].trim_start()));
        Self { number, mark, text: rest, at: code.chars().count() - rest.chars().count() }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The bytes of the line; `lines`: whether errors name its number.
    fn bytes(&self, numbered: bool) -> Result<Vec<u8>, Wrong> {
        let line = numbered.then_some(self.number);
        let mut digits: Vec<u32> = Vec::new();
        let mut letters = self.text.chars().enumerate().peekable();
        while let Some((at, letter)) = letters.next() {
            // 0x before a byte.
            if letter == '0'
                && digits.len().is_multiple_of(2)
                && letters.next_if(|(_, x)| matches!(x, 'x' | 'X')).is_some()
            {
                continue;
            }
            match letter.to_digit(16) {
                Some(digit) => digits.push(digit),
                None if letter.is_whitespace()
                    || matches!(letter, ':' | '-' | '_' | ',' | '[' | ']' | '{' | '}') => {}
                None => return Err(Wrong::Digit { line, found: letter, at: self.at + at }),
            }
        }
        if !digits.len().is_multiple_of(2) {
            return Err(Wrong::HalfByte { line, byte: digits.len() / 2 });
        }
        Ok(digits.chunks(2).filter_map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect())
    }
}

/// One thing.
fn one(line: &Line<'_>, kind: Option<Kind>, palette: &Palette, out: &mut String) -> Result<(), Wrong> {
    let bytes = line.bytes(false)?;
    let kind = kind.unwrap_or_else(|| match line.mark {
        Mark::Command => Kind::Command,
        Mark::Response => Kind::Response,
        Mark::Atr => Kind::Atr,
        Mark::None => guess(&bytes),
    });
    let mut annotator = Annotator::new();
    let said = match kind {
        Kind::Command | Kind::Trace => {
            check(None, "command", Command::parse(&bytes).map(drop))?;
            annotator.command(&bytes)
        }
        Kind::Response => {
            check(None, "response", Response::parse(&bytes).map(drop))?;
            annotator.response(&bytes)
        }
        Kind::Tlv => {
            let wrong = walk(&bytes, Rules::EMV).find_map(Result::err);
            write(&annotator.tlv(&bytes), palette, out);
            return check(None, "tlv", wrong.map_or(Ok(()), Err));
        }
        Kind::Atr => {
            check(None, "answer to reset", Atr::parse(&bytes).map(drop))?;
            annotator.atr(&bytes)
        }
    };
    write(&said, palette, out);
    Ok(())
}

/// What bytes most probably are. ATR and TLV are recognised by being well formed; of command and response the command
/// wins if its instruction is known, since a response has its status word at the end.
fn guess(bytes: &[u8]) -> Kind {
    let command = Command::parse(bytes);
    let known = |command: &Command<'_>| {
        let usual = matches!(command.cla(), 0x00..=0x1F | 0x80..=0x9F);
        usual && (Ins::new(command.ins()).name().is_some() || command.cla() >= 0x80)
    };
    let status = Response::parse(bytes).ok().map(|response| response.sw());
    let is_tlv = |raw: &[u8]| !raw.is_empty() && walk(raw, Rules::EMV).all(|object| object.is_ok());
    let answered = status.is_some_and(|sw| sw.name().is_some() || matches!(sw.sw1(), 0x93 | 0x94));
    let data = bytes.len().checked_sub(2).and_then(|len| bytes.get(..len)).unwrap_or_default();
    if matches!(bytes.first(), Some(0x3B | 0x3F)) && Atr::parse(bytes).is_ok() {
        Kind::Atr
    } else if answered && is_tlv(data) {
        // 9000 at the end would be an object without value too.
        Kind::Response
    } else if is_tlv(bytes)
        && bytes.len() > 2
        && (!matches!(bytes.first(), Some(0x00 | 0x80)) || command.is_err())
    {
        Kind::Tlv
    } else if command.as_ref().is_ok_and(known) {
        Kind::Command
    } else if answered && data.is_empty() {
        Kind::Response
    } else if bytes.first().is_some_and(|first| matches!(first >> 5, 0b011 | 0b101 | 0b111)) {
        // A template, even if it is malformed.
        Kind::Tlv
    } else if command.is_ok() {
        Kind::Command
    } else if answered {
        Kind::Response
    } else if matches!(bytes.first(), Some(0x00..=0x1F | 0x80..=0x9E)) {
        Kind::Command
    } else {
        Kind::Tlv
    }
}

/// A conversation, one APDU a line.
fn trace(lines: &[Line<'_>], palette: &Palette, out: &mut String) -> Result<(), Wrong> {
    let mut annotator = Annotator::new();
    let mut waiting: Option<Vec<u8>> = None;
    for line in lines {
        let bytes = line.bytes(true)?;
        let is_atr = line.mark == Mark::Atr
            || (line.mark == Mark::None
                && matches!(bytes.first(), Some(0x3B | 0x3F))
                && Atr::parse(&bytes).is_ok());
        let is_response = match line.mark {
            Mark::Command | Mark::Atr => false,
            Mark::Response => true,
            Mark::None => waiting.is_some() && !is_atr,
        };
        if is_response {
            check(Some(line.number), "response", Response::parse(&bytes).map(drop))?;
            match waiting.take() {
                Some(command) => write(&annotator.exchange(&command, &bytes), palette, out),
                None => write(&annotator.response(&bytes), palette, out),
            }
            continue;
        }
        if let Some(command) = waiting.take() {
            write(&annotator.command(&command), palette, out);
        }
        if is_atr {
            check(Some(line.number), "answer to reset", Atr::parse(&bytes).map(drop))?;
            write(&annotator.atr(&bytes), palette, out);
        } else {
            check(Some(line.number), "command", Command::parse(&bytes).map(drop))?;
            waiting = Some(bytes);
        }
    }
    if let Some(command) = waiting {
        write(&annotator.command(&command), palette, out);
    }
    Ok(())
}

fn write(said: &Annotated<'_>, palette: &Palette, out: &mut String) {
    // A string takes everything.
    said.write(out, palette).unwrap_or_default();
}

fn check<E: fmt::Display>(line: Option<usize>, what: &str, result: Result<(), E>) -> Result<(), Wrong> {
    result.map_err(|error| Wrong::Bytes { line, what: format!("{what}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(arguments: &[&str]) -> Result<String, String> {
        let mut out = String::new();
        let arguments = ["--color", "never"].iter().chain(arguments).map(|text| (*text).to_owned());
        run(arguments, &mut out).map(|()| out).map_err(|wrong| wrong.to_string())
    }

    #[track_caller]
    fn starts(arguments: &[&str], with: &str) {
        let out = decode(arguments).unwrap();
        assert!(out.starts_with(with), "{out}");
    }

    #[track_caller]
    fn refused(arguments: &[&str], why: &str) {
        assert_eq!(decode(arguments), Err(why.to_owned()));
    }

    #[test]
    fn kinds_are_guessed() {
        starts(&["00A404000E325041592E5359532E444446303100"], "→ SELECT");
        starts(&["00", "B2", "01", "0C", "00"], "→ READ RECORD");
        starts(&["0x80 0x5C 0x00 0x02 0x04"], "→ GET BALANCE");
        starts(&["9000"], "← 9000 success\n");
        starts(&["63C2"], "← 63C2 warning, tries left\n");
        starts(&["9F36020001 9000"], "← 9000 success, 5 bytes");
        starts(&["800E7C000801030010010501200101009000"], "← 9000");
        starts(&["9F36:02:00:01"], "  9F36 Application Transaction Counter");
        starts(&["8408A000000333010101"], "  84 Dedicated File");
        starts(&["3B 60 00 00"], "  answer to reset");
        starts(&["--as", "response", "00A4040090 00"], "← 9000");
        starts(&["--help"], "Says in words");
    }

    #[test]
    fn wrong_input_is_refused_with_its_place() {
        refused(&[""], "nothing to decode (--help tells more)");
        refused(&["00 A4 04 0"], "odd number of hexadecimal digits, byte 3 is half a byte");
        refused(&["00A4zz"], "'z' is no hexadecimal digit, at character 4");
        refused(&["00A404000600"], "command: command data shorter than lc at byte 6");
        refused(&["70045A015757"], "tlv: length truncated at byte 5");
        refused(&["--as", "atr", "3B8001FF"], "answer to reset: tck wrong at byte 3");
        refused(&["--as", "sms", "00"], "unknown kind sms (--help tells more)");
        refused(&["--frob"], "unknown option --frob (--help tells more)");
    }

    #[test]
    fn a_trace_pairs_commands_and_responses() {
        let trace = "# tap\nATR: 3B600000\n> 00A4040000 ; card manager\n< 6A82\n\n80CA9F3600\n9F360200079000\n00B2010C00\n";
        let out = decode(&["--as", "trace", trace]).unwrap();
        let lines: Vec<&str> = out.lines().filter(|line| line.starts_with(['→', '←'])).collect();
        assert_eq!(
            lines,
            [
                "→ SELECT (00 A4 04 00)",
                "← 6A82 file or application not found",
                "→ GET DATA (80 CA 9F 36)",
                "← 9000 success, 5 bytes",
                "→ READ RECORD (00 B2 01 0C)",
            ]
        );
        refused(&["00A4040000\n9000\n00A4\n"], "line 3: command: command header truncated at byte 2");
        refused(&["00A4040000\n90\n"], "line 2: response: status word truncated at byte 1");
        refused(&["# x\n00A4040000\n < 90g0\n"], "line 3: 'g' is no hexadecimal digit, at character 5");
    }
}
