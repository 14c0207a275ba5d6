use core::fmt;

use huiwan_tlv::hex::Hex;

use super::Event;

/// What is written before parts of the text form; `end` behind each. Terminal escape codes, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Palette {
    /// Before command names and status words of success.
    pub good: &'static str,
    /// Before status words of failure and what is malformed.
    pub bad: &'static str,
    /// Before tags and other numbers.
    pub label: &'static str,
    /// Before values in hexadecimal.
    pub bytes: &'static str,
    /// Before values in words and statements.
    pub words: &'static str,
    /// Behind each of them.
    pub end: &'static str,
}

impl Palette {
    /// No colours.
    pub const PLAIN: Self = Self { good: "", bad: "", label: "", bytes: "", words: "", end: "" };

    /// Colours of ANSI terminals.
    pub const ANSI: Self = Self {
        good: "\x1b[1;32m",
        bad: "\x1b[1;31m",
        label: "\x1b[36m",
        bytes: "\x1b[2m",
        words: "\x1b[33m",
        end: "\x1b[0m",
    };
}

/// Values up to this many bytes stand on the line of their name, longer ones below it.
const ON_LINE: usize = 24;

/// Bytes on a line of a longer value.
const PER_LINE: usize = 32;

pub(super) fn write(w: &mut dyn fmt::Write, palette: &Palette, event: Event<'_>) -> fmt::Result {
    let Palette { good, bad, label, bytes, words, end } = palette;
    match event {
        Event::Command { name, command } => {
            let [cla, ins, p1, p2] = command.header();
            let name = name.unwrap_or("unknown command");
            writeln!(w, "→ {good}{name}{end} ({cla:02X} {ins:02X} {p1:02X} {p2:02X})")
        }
        Event::Response { sw, meaning, len } => {
            let ink = if sw.is_ok() || sw.sw1() == 0x61 { good } else { bad };
            write!(w, "← {ink}{sw} {}{end}", meaning.unwrap_or("unknown status word"))?;
            match len {
                0 => writeln!(w),
                1 => writeln!(w, ", 1 byte"),
                _ => writeln!(w, ", {len} bytes"),
            }
        }
        Event::Item(item) => {
            indent(w, item.depth)?;
            match (item.label, item.name) {
                (Some(number), Some(name)) => write!(w, "{label}{number}{end} {name}")?,
                (Some(number), None) => write!(w, "{label}{number}{end} ?")?,
                (None, name) => w.write_str(name.unwrap_or("data"))?,
            }
            if item.is_template {
                return writeln!(w);
            }
            let long = item.bytes.len() > ON_LINE;
            if item.bytes.is_empty() {
                w.write_str(": empty")?;
            } else if !long {
                write!(w, ": {bytes}{}{end}", Hex(item.bytes))?;
            } else {
                write!(w, ": {} bytes", item.bytes.len())?;
            }
            if !item.meaning.is_none() {
                write!(w, " = {words}{}{end}", item.meaning)?;
            }
            writeln!(w)?;
            if long {
                for line in item.bytes.chunks(PER_LINE) {
                    indent(w, item.depth.saturating_add(1))?;
                    writeln!(w, "{bytes}{}{end}", Hex(line))?;
                }
            }
            Ok(())
        }
        Event::Says { depth, text } => {
            indent(w, depth)?;
            writeln!(w, "{words}{text}{end}")
        }
        Event::Malformed { depth, at, what } => {
            indent(w, depth)?;
            writeln!(w, "{bad}malformed: {what} at byte {at}{end}")
        }
    }
}

fn indent(w: &mut dyn fmt::Write, depth: usize) -> fmt::Result {
    // The first level stands under the name behind its arrow.
    for _ in 0..depth {
        w.write_str("  ")?;
    }
    w.write_str("  ")
}
