//! Tells the story: chapters, sentences, annotated APDUs and checks, for people or as JSON lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use huiwan::trace::Annotator;
use huiwan_tlv::hex::Hex;

use crate::arguments::Telling;

/// The version of the JSON events.
const JSON_VERSION: u32 = 1;

pub struct Narrator {
    telling: Telling,
    colour: bool,
    out: io::BufWriter<io::Stdout>,
    /// One annotator a conversation, since what an APDU means depends on what was selected before it.
    annotators: BTreeMap<&'static str, Annotator>,
    chapter: u32,
    apdus: u64,
    checks: u32,
    failed: u32,
}

/// The bytes of a protected exchange on their way.
#[derive(Default)]
pub struct Wire {
    pub command: Vec<u8>,
    pub response: Vec<u8>,
}

/// Terminal colours of what a line is.
#[derive(Clone, Copy)]
enum Ink {
    Chapter,
    Speakers,
    Bytes,
    Good,
    Bad,
}

impl Ink {
    const fn code(self) -> &'static str {
        match self {
            Self::Chapter => "1;36",
            Self::Speakers => "1",
            Self::Bytes => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
        }
    }
}

impl Narrator {
    pub fn new(telling: Telling, seed: u64) -> Self {
        let mut narrator = Self {
            telling,
            colour: telling != Telling::Json && io::stdout().is_terminal(),
            out: io::BufWriter::new(io::stdout()),
            annotators: BTreeMap::new(),
            chapter: 0,
            apdus: 0,
            checks: 0,
            failed: 0,
        };
        narrator.event(&[
            ("event", Json::Text("story")),
            ("v", Json::Number(u64::from(JSON_VERSION))),
            ("seed", Json::Number(seed)),
        ]);
        narrator
    }

    pub fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        if self.is_json() {
            let number = u64::from(self.chapter);
            self.event(&[
                ("event", Json::Text("chapter")),
                ("number", Json::Number(number)),
                ("title", Json::Text(title)),
            ]);
        } else {
            let heading = format!("{}. {title}", self.chapter);
            let heading = self.ink(Ink::Chapter, &heading);
            self.line(&format!("\n{heading}"));
        }
    }

    pub fn say(&mut self, text: &str) {
        if self.is_json() {
            self.event(&[("event", Json::Text("say")), ("text", Json::Text(text))]);
        } else {
            self.line(&format!("   {text}"));
        }
    }

    /// One command and its answer on the conversation `link`, said by `from` to `to`. A protected exchange is told
    /// as its ends mean it, and `wire` is what travelled. An empty response never arrived.
    pub fn apdu(
        &mut self,
        link: &'static str,
        from: &str,
        to: &str,
        command: &[u8],
        response: &[u8],
        wire: Option<&Wire>,
    ) {
        self.apdus += 1;
        let annotator = self.annotators.entry(link).or_default();
        let mut decoded = String::new();
        if response.is_empty() {
            writeln!(decoded, "{}← no answer", annotator.command(command))
        } else {
            write!(decoded, "{}", annotator.exchange(command, response))
        }
        .expect("a string takes everything");
        let (sent, received) =
            wire.map_or((command, response), |wire| (wire.command.as_slice(), wire.response.as_slice()));
        match self.telling {
            Telling::Quiet => {}
            Telling::Full => {
                let speakers = self.ink(Ink::Speakers, &format!("{from} → {to}"));
                self.line(&format!("   {speakers}"));
                for line in decoded.lines() {
                    self.line(&format!("     {line}"));
                }
                let travelled = if wire.is_some() { "protected: " } else { "" };
                for (arrow, bytes) in [('>', sent), ('<', received)] {
                    let bytes = self.ink(Ink::Bytes, &format!("{travelled}{arrow} {}", Hex(bytes)));
                    self.line(&format!("     {bytes}"));
                }
            }
            Telling::Json => {
                let (sent, received) = (Hex(sent).to_string(), Hex(received).to_string());
                let lines: Vec<&str> = decoded.lines().collect();
                self.event(&[
                    ("event", Json::Text("apdu")),
                    ("link", Json::Text(link)),
                    ("from", Json::Text(from)),
                    ("to", Json::Text(to)),
                    ("protected", Json::Truth(wire.is_some())),
                    ("sent", Json::Text(&sent)),
                    ("received", Json::Text(&received)),
                    ("decoded", Json::Lines(&lines)),
                ]);
            }
        }
    }

    /// A statement the story rests on: if it does not hold, the story ends with a non-zero exit status.
    pub fn check(&mut self, holds: bool, text: &str) {
        self.checks += 1;
        self.failed += u32::from(!holds);
        if self.is_json() {
            self.event(&[
                ("event", Json::Text("check")),
                ("text", Json::Text(text)),
                ("holds", Json::Truth(holds)),
            ]);
        } else if holds {
            let mark = self.ink(Ink::Good, "✓");
            self.line(&format!("   {mark} {text}"));
        } else {
            let mark = self.ink(Ink::Bad, "✗ failed:");
            self.line(&format!("   {mark} {text}"));
        }
    }

    /// Closes the story and gives the exit status.
    pub fn end(mut self) -> i32 {
        let (apdus, checks, failed) = (self.apdus, u64::from(self.checks), u64::from(self.failed));
        if self.is_json() {
            self.event(&[
                ("event", Json::Text("end")),
                ("apdus", Json::Number(apdus)),
                ("checks", Json::Number(checks)),
                ("failed", Json::Number(failed)),
            ]);
        } else {
            let verdict = match failed {
                0 => self.ink(Ink::Good, "every one holds"),
                _ => self.ink(Ink::Bad, &format!("{failed} failed")),
            };
            self.line(&format!("\n{apdus} APDUs, {checks} checks: {verdict}."));
        }
        // A closed pipe (`| head`) is the reader's choice, not a failure of the story.
        drop(self.out.flush());
        i32::from(failed != 0)
    }

    fn is_json(&self) -> bool {
        self.telling == Telling::Json
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", ink.code()) } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        drop(writeln!(self.out, "{text}"));
    }

    fn event(&mut self, fields: &[(&str, Json<'_>)]) {
        if !self.is_json() {
            return;
        }
        let mut line = String::from("{");
        for (number, (name, value)) in fields.iter().enumerate() {
            if number > 0 {
                line.push(',');
            }
            quote(&mut line, name);
            line.push(':');
            value.write(&mut line);
        }
        line.push('}');
        self.line(&line);
    }
}

/// What a JSON event holds.
enum Json<'a> {
    Text(&'a str),
    Number(u64),
    Truth(bool),
    Lines(&'a [&'a str]),
}

impl Json<'_> {
    fn write(&self, line: &mut String) {
        match self {
            Self::Text(text) => quote(line, text),
            Self::Number(number) => line.push_str(&number.to_string()),
            Self::Truth(truth) => line.push_str(if *truth { "true" } else { "false" }),
            Self::Lines(lines) => {
                line.push('[');
                for (number, text) in lines.iter().enumerate() {
                    if number > 0 {
                        line.push(',');
                    }
                    quote(line, text);
                }
                line.push(']');
            }
        }
    }
}

fn quote(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            letter if letter < ' ' => {
                write!(line, "\\u{:04x}", u32::from(letter)).expect("a string takes everything");
            }
            letter => line.push(letter),
        }
    }
    line.push('"');
}

/// Fen as yuan.
pub fn yuan(fen: u64) -> String {
    format!("¥{}.{:02}", fen / 100, fen % 100)
}
