//! One command carried through everything a card may answer before its answer is whole.
//!
//! ```text
//! terminal                         card
//!   command (CLA b5, piece 1)  →            command chaining   [ISO7816-4 5.3.3]
//!                              ←  9000
//!   command (last piece, Le)   →
//!                              ←  6Cxx      wrong Le: the same command again with Le = xx
//!   command (Le = xx)          →
//!                              ←  data 61xx
//!   GET RESPONSE (Le = xx)     →            until the card stops saying 61xx
//!                              ←  data 9000
//! ```
//!
//! The exchange does no input and output: it says what to send and is told what came back. It ends after a
//! bounded number of steps whatever the card answers: each piece is sent at most twice, and each GET RESPONSE must
//! bring data, which must fit into the caller's buffer.
//!
//! ```
//! use huiwan_apdu::{Command, Ne, Sw, exchange::{Exchange, Input, Outcome, Step}};
//!
//! let command = Command::new(0x00, 0xCA, 0x9F, 0x7F).with_ne(Ne::MAX_SHORT);
//! let (mut response, mut wire) = ([0; 256], [0; 261]);
//! let mut exchange = Exchange::new(command, &mut response);
//!
//! // What a card would answer.
//! let mut answers = [&[0x6C, 0x02][..], &[0x61, 0x02], &[0xAB, 0xCD, 0x90, 0x00]].into_iter();
//! let mut step = exchange.step(Input::Start, &mut wire)?;
//! let outcome = loop {
//!     match step {
//!         Step::Send(_bytes) => step = exchange.step(Input::Response(answers.next().unwrap()), &mut wire)?,
//!         Step::Done(outcome) => break outcome,
//!     }
//! };
//! assert_eq!(outcome, Outcome::Answered(Sw::OK));
//! assert_eq!(exchange.into_response().unwrap().data(), [0xAB, 0xCD]);
//! # Ok::<(), huiwan_apdu::exchange::Misuse>(())
//! ```

use core::fmt;

use huiwan_tlv::Full;

use crate::chaining::{NotChainable, Split, split};
use crate::{Class, Command, Ins, Ne, Response, SecureMessaging, Sw};

/// What happened since the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Input<'a> {
    /// Begin.
    Start,
    /// The card answered: data and status word.
    Response(&'a [u8]),
    /// The card is gone.
    CardLost,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[allow(clippy::exhaustive_enums)]
pub enum Step<'o> {
    /// Send these bytes and give the answer to the next step.
    Send(&'o [u8]),
    /// The exchange is over.
    Done(Outcome),
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The card's final status word; the data are in the caller's buffer, see [`Exchange::into_response`].
    Answered(Sw),
    /// The card did something it must not do.
    Fault(Fault),
}

/// What a card did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It left the field.
    CardLost,
    /// Its answer has no status word.
    StatusWordTruncated,
    /// It sent data where none are allowed: with 6Cxx, or inside a command chain.
    UnexpectedData,
    /// It announces more data with 61xx, but GET RESPONSE brings none.
    NoProgress,
    /// It sends more data than the caller has room for.
    ResponseTooLong,
}

/// The caller did something wrong; the exchange is unchanged and the call can be repeated correctly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The output buffer is too small.
    OutTooSmall(Full),
    /// This input does not belong here.
    UnexpectedInput,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutTooSmall(full) => full.fmt(f),
            Self::UnexpectedInput => f.write_str("unexpected input"),
        }
    }
}

impl core::error::Error for Misuse {}

impl From<Full> for Misuse {
    fn from(full: Full) -> Self {
        Self::OutTooSmall(full)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A piece of a chain; more follow.
    Piece,
    /// The command, or the last piece of it.
    Last,
    GetResponse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<'c> {
    Idle,
    Waiting {
        sent: Command<'c>,
        stage: Stage,
        /// Sent a second time, with the Le the card asked for.
        resent: bool,
    },
    Over(Outcome),
}

/// One command and its answer. See the [module](self).
#[derive(Debug)]
pub struct Exchange<'c, 'r> {
    state: State<'c>,
    pieces: Split<'c>,
    cla: u8,
    response: &'r mut [u8],
    /// How much of `response` is filled.
    len: usize,
}

impl<'c, 'r> Exchange<'c, 'r> {
    /// An exchange of `command`, sent whole, whose response data are gathered in `response`.
    pub fn new(command: Command<'c>, response: &'r mut [u8]) -> Self {
        Self { state: State::Idle, pieces: Split::whole(command), cla: command.cla(), response, len: 0 }
    }

    /// An exchange of `command`, sent in pieces of at most `piece_len` data bytes if it is longer than that.
    ///
    /// # Errors
    /// [`NotChainable`].
    pub fn chained(
        command: Command<'c>,
        piece_len: usize,
        response: &'r mut [u8],
    ) -> Result<Self, NotChainable> {
        let pieces = split(command, piece_len)?;
        Ok(Self { pieces, ..Self::new(command, response) })
    }

    /// Goes on. What is to be sent is written to `out`, which must hold the longest piece and at least 5 bytes.
    ///
    /// # Errors
    /// [`Misuse`] only.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        match (self.state, input) {
            (State::Over(outcome), _) => Ok(Step::Done(outcome)),
            (_, Input::CardLost) => Ok(self.fault(Fault::CardLost)),
            (State::Idle, Input::Start) => self.send_piece(out),
            (State::Waiting { sent, stage, resent }, Input::Response(raw)) => match Response::parse(raw) {
                Ok(answer) => self.on_answer(sent, stage, resent, answer, out),
                Err(_) => Ok(self.fault(Fault::StatusWordTruncated)),
            },
            (State::Idle, Input::Response(_)) | (State::Waiting { .. }, Input::Start) => {
                Err(Misuse::UnexpectedInput)
            }
        }
    }

    /// The gathered data and final status word; `None` unless the exchange ended with one.
    pub fn into_response(self) -> Option<Response<'r>> {
        match self.state {
            State::Over(Outcome::Answered(sw)) => {
                self.response.get(..self.len).map(|data| Response::new(data, sw))
            }
            _ => None,
        }
    }

    fn on_answer<'o>(
        &mut self,
        sent: Command<'c>,
        stage: Stage,
        resent: bool,
        answer: Response<'_>,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        let sw = answer.sw();
        match (sw.sw1(), stage) {
            (0x6C, _) if !resent => {
                if !answer.data().is_empty() {
                    return Ok(self.fault(Fault::UnexpectedData));
                }
                self.send(sent.with_ne(Ne::short(sw.sw2())), stage, true, self.len, out)
            }
            (_, Stage::Piece) => {
                if !answer.data().is_empty() {
                    return Ok(self.fault(Fault::UnexpectedData));
                }
                if sw.is_ok() { self.send_piece(out) } else { Ok(self.over(Outcome::Answered(sw))) }
            }
            (0x61, Stage::GetResponse) if answer.data().is_empty() => Ok(self.fault(Fault::NoProgress)),
            (sw1, _) => {
                let Some(end) = self.gather(answer.data()) else {
                    return Ok(self.fault(Fault::ResponseTooLong));
                };
                if sw1 == 0x61 {
                    let get = get_response(self.cla).with_ne(Ne::short(sw.sw2()));
                    return self.send(get, Stage::GetResponse, false, end, out);
                }
                self.len = end;
                Ok(self.over(Outcome::Answered(sw)))
            }
        }
    }

    fn send_piece<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let mut pieces = self.pieces.clone();
        let Some(piece) = pieces.next() else { return Err(Misuse::UnexpectedInput) };
        let stage = if pieces.is_done() { Stage::Last } else { Stage::Piece };
        let step = self.send(piece, stage, false, self.len, out)?;
        self.pieces = pieces;
        Ok(step)
    }

    /// Writes a command; only when that worked does the state change.
    fn send<'o>(
        &mut self,
        command: Command<'c>,
        stage: Stage,
        resent: bool,
        gathered: usize,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        let bytes = command.write(out)?;
        self.len = gathered;
        self.state = State::Waiting { sent: command, stage, resent };
        Ok(Step::Send(bytes))
    }

    /// Puts data behind those already there and returns where they end.
    fn gather(&mut self, data: &[u8]) -> Option<usize> {
        let end = self.len.checked_add(data.len())?;
        self.response.get_mut(self.len..end)?.copy_from_slice(data);
        Some(end)
    }

    fn over<'o>(&mut self, outcome: Outcome) -> Step<'o> {
        self.state = State::Over(outcome);
        Step::Done(outcome)
    }

    fn fault<'o>(&mut self, fault: Fault) -> Step<'o> {
        self.over(Outcome::Fault(fault))
    }
}

/// GET RESPONSE on the channel of a command of class `cla`. [ISO7816-4 11.8.1]
pub fn get_response(cla: u8) -> Command<'static> {
    let cla = Class::parse(cla).map_or(0x00, |class| {
        class
            .with_secure_messaging(SecureMessaging::None)
            .map_or(cla, |class| class.with_chaining(false).with_proprietary(false).to_byte())
    });
    Command::new(cla, Ins::GET_RESPONSE.value(), 0x00, 0x00)
}
