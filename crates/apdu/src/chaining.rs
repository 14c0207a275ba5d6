//! Command chaining: data too long for one command travels in several, the class byte of all but the last saying
//! that more follow. [ISO7816-4 5.3.3]
//!
//! ```
//! use huiwan_apdu::{Command, chaining::{Join, split}};
//!
//! let long = [0x5A; 300];
//! let command = Command::new(0x80, 0xE2, 0x80, 0x00).with_data(&long);
//! let mut join = Join::new();
//! let mut buffer = [0; 300];
//! let mut whole = None;
//! for piece in split(command, 255)? {
//!     whole = join.push(&piece, &mut buffer)?;
//! }
//! assert_eq!(whole.unwrap().data(), long);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::{fmt, iter::FusedIterator};

use crate::{Class, Command, Sw};

/// A command that cannot be split: its class has no chaining bit, says that it is itself a piece, or the pieces
/// would be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotChainable;

impl fmt::Display for NotChainable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command cannot be chained")
    }
}

impl core::error::Error for NotChainable {}

/// Splits a command into pieces of at most `piece_len` data bytes; a command that fits is one piece.
///
/// Only the last piece asks for response data.
///
/// # Errors
/// [`NotChainable`].
pub fn split(command: Command<'_>, piece_len: usize) -> Result<Split<'_>, NotChainable> {
    if command.data().len() > piece_len {
        let class = command.class().map_err(|_| NotChainable)?;
        if piece_len == 0 || class.chaining() || !class.with_chaining(true).chaining() {
            return Err(NotChainable);
        }
    }
    Ok(Split { command, piece_len, done: false })
}

/// The pieces of a command.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    /// What is left of the command.
    command: Command<'a>,
    piece_len: usize,
    done: bool,
}

impl<'a> Split<'a> {
    /// A command in one piece, however long.
    pub(crate) const fn whole(command: Command<'a>) -> Self {
        Self { command, piece_len: usize::MAX, done: false }
    }

    /// Whether the last piece has been taken.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = Command<'a>;

    fn next(&mut self) -> Option<Command<'a>> {
        if self.done {
            return None;
        }
        match self.command.data().split_at_checked(self.piece_len) {
            Some((piece, rest)) if !rest.is_empty() => {
                let more = Class::parse(self.command.cla()).ok()?.with_chaining(true);
                let piece = self.command.with_data(piece).without_ne().with_cla(more.to_byte());
                self.command = self.command.with_data(rest);
                Some(piece)
            }
            _ => {
                self.done = true;
                Some(self.command)
            }
        }
    }
}

impl FusedIterator for Split<'_> {}

/// Why a piece was refused. The chain under way is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JoinError {
    /// The class byte is reserved or invalid.
    Class,
    /// The header is not that of the chain under way.
    HeaderChanged,
    /// The data of the chain do not fit into the buffer.
    TooLong,
}

impl JoinError {
    /// The status word a card answers with.
    pub const fn sw(self) -> Sw {
        match self {
            Self::Class => Sw::CLA_NOT_SUPPORTED,
            Self::HeaderChanged => Sw::LAST_OF_CHAIN_EXPECTED,
            Self::TooLong => Sw::WRONG_LENGTH,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Class => "class byte reserved or invalid",
            Self::HeaderChanged => "header changed inside a chain",
            Self::TooLong => "chained data too long",
        })
    }
}

impl core::error::Error for JoinError {}

/// Joins the pieces of a chained command.
///
/// The state holds no data: the caller gives the same buffer with every piece.
#[derive(Debug, Clone, Default)]
pub struct Join {
    /// Header of the chain under way, without its chaining bit.
    chain: Option<[u8; 4]>,
    len: usize,
}

impl Join {
    /// No chain under way.
    pub const fn new() -> Self {
        Self { chain: None, len: 0 }
    }

    /// Whether a chain is under way.
    pub const fn is_open(&self) -> bool {
        self.chain.is_some()
    }

    /// Forgets the chain under way.
    pub const fn clear(&mut self) {
        *self = Self::new();
    }

    /// Takes one command. `Some`: it is complete, as a command with the data of all pieces. `None`: more follow, and
    /// the card answers 9000.
    ///
    /// A command outside a chain comes back as it is, and `buffer` is not touched.
    ///
    /// # Errors
    /// [`JoinError`]; [`JoinError::sw`] is the answer.
    pub fn push<'b>(
        &mut self,
        command: &Command<'b>,
        buffer: &'b mut [u8],
    ) -> Result<Option<Command<'b>>, JoinError> {
        let class = command.class().map_err(|_| self.fail(JoinError::Class))?;
        let [_, ins, p1, p2] = command.header();
        let header = [class.with_chaining(false).to_byte(), ins, p1, p2];
        match self.chain {
            None if !class.chaining() => return Ok(Some(*command)),
            Some(chain) if chain != header => return Err(self.fail(JoinError::HeaderChanged)),
            _ => self.chain = Some(header),
        }
        let end = self.len.saturating_add(command.data().len());
        let Some(place) = buffer.get_mut(self.len..end) else { return Err(self.fail(JoinError::TooLong)) };
        place.copy_from_slice(command.data());
        self.len = end;
        if class.chaining() {
            return Ok(None);
        }
        self.clear();
        let data = buffer.get(..end).unwrap_or_default();
        let [cla, ins, p1, p2] = header;
        let mut whole = Command::new(cla, ins, p1, p2).with_data(data).extended(command.is_extended());
        if let Some(ne) = command.ne() {
            whole = whole.with_ne(ne);
        }
        Ok(Some(whole))
    }

    fn fail(&mut self, error: JoinError) -> JoinError {
        self.clear();
        error
    }
}

/// The most data bytes a short command takes.
pub const SHORT_PIECE: usize = 255;
