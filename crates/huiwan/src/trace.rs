//! What passes between a reader and a card, said in words: command names, TLV trees, bit fields, status words.
//!
//! An [`Annotator`] listens to one conversation. What an APDU means depends on what went before it, so it keeps, for each
//! logical channel, the selected application's family, the data object lists the card asked for and whether a secure
//! channel is open. Names come from the family of the selected application first, then from ISO 7816, then from the
//! other families.
//!
//! Where is what:
//! - [`Annotator`], [`Annotated`]: the state machine, and one thing annotated
//! - [`Event`], [`Item`], [`Label`]: what an annotation consists of, for renderers of one's own
//! - [`Meaning`]: a value in words: an amount, a date, a text
//! - [`Family`]: who defines a command
//! - [`Palette`]: colours of the text form
//!
//! ```
//! use huiwan::trace::Annotator;
//!
//! let mut annotator = Annotator::new();
//! let said = annotator.exchange(
//!     &[0x80, 0xCA, 0x9F, 0x36, 0x00],
//!     &[0x9F, 0x36, 0x02, 0x00, 0x07, 0x90, 0x00],
//! );
//! assert_eq!(
//!     said.to_string(),
//!     "→ GET DATA (80 CA 9F 36)\n\
//!      \u{20}   asks for 9F36 Application Transaction Counter (ATC)\n\
//!      ← 9000 success, 5 bytes\n\
//!      \u{20}   9F36 Application Transaction Counter (ATC): 0007 = 7\n"
//! );
//! ```

mod atr;
mod context;
mod emv;
mod family;
mod gp;
mod iso;
mod kind;
mod layout;
mod meaning;
mod out;
mod purse;
mod text;
mod tree;

use core::fmt;

use huiwan_apdu::{Class, Command, Response, Sw};
use huiwan_tlv::Tag;

pub use family::Family;
pub use meaning::Meaning;
pub use text::Palette;

use context::Context;
use kind::Kind;
use out::Out;

/// One part of an annotation.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A command.
    Command {
        /// What it is called; `None` if nobody knows it.
        name: Option<&'static str>,
        /// The command.
        command: Command<'a>,
    },
    /// A response.
    Response {
        /// The status word.
        sw: Sw,
        /// What it means; `None` if nobody knows it.
        meaning: Option<&'static str>,
        /// How many bytes of data come with it.
        len: usize,
    },
    /// A named run of bytes.
    Item(Item<'a>),
    /// A statement about the item before it, for example one bit that is set.
    Says {
        /// How deep it stands.
        depth: usize,
        /// The statement.
        text: fmt::Arguments<'a>,
    },
    /// Bytes that are not what they should be.
    Malformed {
        /// How deep they stand.
        depth: usize,
        /// The offset of the wrong byte in the command, response or other bytes annotated.
        at: usize,
        /// What is wrong.
        what: fmt::Arguments<'a>,
    },
}

/// A named run of bytes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Item<'a> {
    /// How deep it stands: the items inside a template are one deeper.
    pub depth: usize,
    /// The offset of its first byte (that of the tag, if it has one) in the bytes annotated.
    pub at: usize,
    /// Tag or other number; `None` for a field known by its place.
    pub label: Option<Label>,
    /// What it is called.
    pub name: Option<&'static str>,
    /// Its value.
    pub bytes: &'a [u8],
    /// Its value in words.
    pub meaning: Meaning<'a>,
    /// Whether its value follows as items of its own.
    pub is_template: bool,
}

/// The number something goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Label {
    /// A BER-TLV tag.
    Tag(Tag),
    /// A data grouping identifier.
    Dgi(u16),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Dgi(id) => write!(f, "{id:04X}"),
        }
    }
}

/// Listens to one conversation. See the [module](self).
#[derive(Debug, Clone, Default)]
pub struct Annotator {
    /// Channels 0 to 3; the others are annotated without memory.
    channels: [Context; 4],
}

/// Something annotated: [`Display`](fmt::Display) is its text form, [`Annotated::visit`] gives the parts.
#[derive(Debug, Clone)]
pub struct Annotated<'a> {
    context: Context,
    what: What<'a>,
}

#[derive(Debug, Clone, Copy)]
enum What<'a> {
    Command(&'a [u8]),
    Response { command: Option<&'a [u8]>, response: &'a [u8] },
    Tlv(&'a [u8]),
    Atr(&'a [u8]),
}

impl Annotator {
    /// Nothing has been said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A command and the answer to it.
    pub fn exchange<'a>(&mut self, command: &'a [u8], response: &'a [u8]) -> Annotated<'a> {
        let mut context = Context::default();
        if let Ok(parsed) = Command::parse(command) {
            let slot = self.slot(&parsed);
            context = slot.map_or_else(Context::default, |slot| slot.clone());
            if let (Some(slot), Ok(response)) = (self.slot(&parsed), Response::parse(response)) {
                slot.learn(&parsed, &response);
            }
        }
        Annotated { context, what: What::Response { command: Some(command), response } }
    }

    /// A command whose answer is not known. It teaches the annotator nothing.
    pub fn command<'a>(&mut self, command: &'a [u8]) -> Annotated<'a> {
        let parsed = Command::parse(command).ok();
        let slot = parsed.and_then(|parsed| self.slot(&parsed).cloned());
        Annotated { context: slot.unwrap_or_default(), what: What::Command(command) }
    }

    /// A response to an unknown command, on channel 0.
    pub fn response<'a>(&mut self, response: &'a [u8]) -> Annotated<'a> {
        let [context, ..] = &self.channels;
        Annotated { context: context.clone(), what: What::Response { command: None, response } }
    }

    /// BER-TLV objects, named as on channel 0.
    pub fn tlv<'a>(&mut self, raw: &'a [u8]) -> Annotated<'a> {
        let [context, ..] = &self.channels;
        Annotated { context: context.clone(), what: What::Tlv(raw) }
    }

    /// An answer to reset: the conversation begins anew.
    pub fn atr<'a>(&mut self, atr: &'a [u8]) -> Annotated<'a> {
        *self = Self::new();
        Annotated { context: Context::default(), what: What::Atr(atr) }
    }

    fn slot(&mut self, command: &Command<'_>) -> Option<&mut Context> {
        // Fuel cards know no channels: E0 is their own class.
        let fuel = self.channels.first().is_some_and(|context| kind::is_fuel(command, context.family));
        let channel = if fuel { 0 } else { command.class().map_or(0, Class::channel) };
        self.channels.get_mut(usize::from(channel))
    }
}

impl Annotated<'_> {
    /// Gives all parts in order to `f`.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn visit(&self, f: &mut dyn FnMut(Event<'_>) -> fmt::Result) -> fmt::Result {
        let mut out = Out::new(f);
        match self.what {
            What::Command(raw) => self.visit_command(raw, &mut out),
            What::Response { command, response } => {
                if let Some(command) = command {
                    self.visit_command(command, &mut out)?;
                }
                self.visit_response(command, response, &mut out)
            }
            What::Tlv(raw) => tree::tlv(&mut out, raw, 0, self.context.family),
            What::Atr(raw) => atr::visit(raw, &mut out),
        }
    }

    /// Writes the text form with colours.
    ///
    /// # Errors
    /// The first error of `w`.
    pub fn write(&self, w: &mut dyn fmt::Write, palette: &Palette) -> fmt::Result {
        self.visit(&mut |event| text::write(w, palette, event))
    }

    fn visit_command(&self, raw: &[u8], out: &mut Out<'_>) -> fmt::Result {
        let command = match Command::parse(raw) {
            Ok(command) => command,
            Err(error) => return out.malformed(error.at(), format_args!("command: {}", error.kind())),
        };
        let kind = Kind::of(&command, &self.context);
        let name = family::command(&command, kind, self.context.family);
        out.event(Event::Command { name, command })?;
        // A command without data may end before they would begin.
        let before = if command.is_extended() { 7 } else { 5 }.min(raw.len());
        out.inside(|out| kind.command(out, &command, before, &self.context))
    }

    fn visit_response(&self, command: Option<&[u8]>, raw: &[u8], out: &mut Out<'_>) -> fmt::Result {
        let response = match Response::parse(raw) {
            Ok(response) => response,
            Err(error) => return out.malformed(error.at(), format_args!("response: {}", error.kind())),
        };
        let command = command.and_then(|raw| Command::parse(raw).ok());
        let kind =
            command.map_or(Kind::Other, |command| Kind::of(&command, &self.context).answered(&self.context));
        let family = kind.family().unwrap_or(self.context.family);
        let (sw, len) = (response.sw(), response.data().len());
        out.event(Event::Response { sw, meaning: family::status_word(sw, family), len })?;
        out.inside(|out| kind.response(out, command.as_ref(), &response, &self.context))
    }
}

impl fmt::Display for Annotated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &Palette::PLAIN)
    }
}
