//! A command that changes content: on the authority of the domain it goes to, or of a token; in one piece or in several; and the
//! confirmation it is answered with. [GPC 9.1.3, 11.1.5, C.4, C.5]
//!
//! ```text
//! Key(sign token) ─▶ Send piece … ─▶ Key(verify receipt) ─▶ Answer(confirmation) ─▶ Done
//! ```

use huiwan_apdu::Sw;

use super::fault::{Fault, FaultKind, Stage};
use super::key_store::{KeyAnswer, KeyError, KeyHandle};
use super::manager::{Channel, Event, Todo, Turn, command, copy, expect_ok, too_long};
use crate::token::{self, Confirmation};
use crate::{delete, install};

/// Management on the authority of another: whose keys sign the tokens, and check what the card confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// Key of the tokens, the one the card's issuer domain has under version 70.
    pub token: KeyHandle,
    /// Key of the receipts, the one the card's issuer domain has under version 71: with it, every change has to be confirmed. `None`:
    /// confirmations are handed out unchecked.
    pub receipt: Option<KeyHandle>,
}

/// Where a task's commands go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) cla: u8,
    /// Tasks ask the card before they change it.
    pub(super) looks: bool,
    pub(super) channel: Option<Channel>,
    pub(super) delegation: Option<Delegation>,
}

impl Link {
    /// The most bytes of plain data in one command.
    pub(super) fn most(&self) -> usize {
        self.channel.map_or(255, |channel| channel.protocol.max_command_data(channel.level))
    }
}

/// P1: another piece of the same command follows.
const MORE: u8 = 0x80;
/// Bytes of the longest data field: a load file, its domain, a hash and parameters, or three AIDs and parameters of 255 bytes; a token.
const DATA_MAX: usize = 600;
/// Bytes of the longest token (RSA of 2048 bits), and of the longest confirmation.
const HELD_MAX: usize = 256;

/// How the token stands behind what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenField {
    /// INSTALL: always there, with a length.
    Field,
    /// DELETE: an object, if there is one.
    Object,
}

/// One command.
pub(super) struct Change<'c> {
    /// INS, P1, P2.
    pub(super) header: [u8; 3],
    pub(super) stage: Stage,
    /// Writes everything before the token.
    pub(super) fields: &'c dyn Fn(&mut [u8]) -> Option<usize>,
    pub(super) token: TokenField,
    /// What a receipt covers besides the confirmation; `None`: this command is not confirmed.
    pub(super) names: Option<&'c [&'c [u8]]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// The token is being made; in several pieces, its input is another.
    Signing {
        in_pieces: bool,
    },
    /// Data up to here are with the card.
    Sending {
        to: usize,
        of: usize,
    },
    /// The receipt is being checked.
    Verifying,
    /// The caller has the confirmation.
    Told,
}

/// The command under way.
#[derive(Debug)]
pub(super) struct Changing {
    state: State,
    /// The token, then the confirmation.
    held: heapless::Vec<u8, HELD_MAX>,
}

impl Changing {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, held: heapless::Vec::new() }
    }

    pub(super) fn turn(
        &mut self,
        change: &Change<'_>,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let fault = |kind| Fault { stage: change.stage, kind };
        match (self.state, event) {
            (State::Start, Event::Begin) => match link.delegation {
                Some(delegation) => self.sign(change, delegation, false, out),
                None => self.send(change, 0, link, out),
            },
            (State::Signing { in_pieces }, Event::Key(KeyAnswer::Bytes(token))) => {
                self.held = heapless::Vec::from_slice(token).map_err(|_| too_long(change.stage))?;
                let long = self.data(change, &mut [0; DATA_MAX])? > link.most();
                match link.delegation {
                    // With its token the command is longer than one piece, which the token has to say.
                    Some(delegation) if long && !in_pieces => self.sign(change, delegation, true, out),
                    _ => self.send(change, 0, link, out),
                }
            }
            (State::Sending { to, of }, Event::Response(response)) if to < of => {
                expect_ok(response, change.stage)?;
                self.send(change, to, link, out)
            }
            (State::Sending { .. }, Event::Response(response)) => {
                let response = expect_ok(response, change.stage)?;
                match change.names {
                    Some(names) => self.confirm(response.data(), names, link, change.stage, out),
                    None => Ok(Todo::Done),
                }
            }
            (State::Verifying | State::Told, event) => self.confirmed(event, change.stage, out),
            (State::Signing { .. }, Event::Key(KeyAnswer::Refused(error))) => {
                Err(fault(FaultKind::Key(error)))
            }
            _ => Err(fault(FaultKind::Malformed("key store answer"))),
        }
    }

    /// What the card answered to the last command of a change.
    pub(super) fn confirm(
        &mut self,
        answer: &[u8],
        names: &[&[u8]],
        link: &Link,
        stage: Stage,
        out: &mut [u8],
    ) -> Turn {
        let Some(delegation) = link.delegation else { return Ok(Todo::Done) };
        let fault = |kind| Fault { stage, kind };
        let parsed = Confirmation::parse(answer).map_err(|_| fault(FaultKind::Malformed("confirmation")))?;
        self.held = heapless::Vec::from_slice(answer).map_err(|_| too_long(stage))?;
        match (parsed, delegation.receipt) {
            (None, None) => Ok(Todo::Done),
            (None, Some(_)) => Err(fault(FaultKind::Receipt)),
            (Some(_), None) => self.tell(stage, out),
            (Some(confirmation), Some(key)) => {
                self.state = State::Verifying;
                let message = confirmation.write_covered(names, out).map_err(|_| too_long(stage))?.len();
                let place = out.get_mut(message..).unwrap_or_default();
                let receipt = copy(confirmation.receipt, place).ok_or(too_long(stage))?.len();
                Ok(Todo::Verify { key, message, receipt })
            }
        }
    }

    /// The receipt was checked, or the caller has taken note of it.
    pub(super) fn confirmed(&mut self, event: Event<'_>, stage: Stage, out: &mut [u8]) -> Turn {
        let fault = |kind| Err(Fault { stage, kind });
        match (self.state, event) {
            (State::Verifying, Event::Key(KeyAnswer::Bytes(_))) => self.tell(stage, out),
            (State::Verifying, Event::Key(KeyAnswer::Refused(KeyError::Signature))) => {
                fault(FaultKind::Receipt)
            }
            (State::Verifying, Event::Key(KeyAnswer::Refused(error))) => fault(FaultKind::Key(error)),
            (State::Told, Event::Continue) => Ok(Todo::Done),
            _ => fault(FaultKind::Malformed("key store answer")),
        }
    }

    fn tell(&mut self, stage: Stage, out: &mut [u8]) -> Turn {
        self.state = State::Told;
        copy(&self.held, out).map(|told| Todo::Answer(told.len(), Sw::OK)).ok_or(too_long(stage))
    }

    fn sign(&mut self, change: &Change<'_>, by: Delegation, in_pieces: bool, out: &mut [u8]) -> Turn {
        self.state = State::Signing { in_pieces };
        let stage = change.stage;
        let mut buffer = [0; DATA_MAX];
        let len = (change.fields)(&mut buffer).ok_or(too_long(stage))?;
        let signed = buffer.get(..len).ok_or(too_long(stage))?;
        let [_, p1, p2] = change.header;
        let mut at = 0;
        for part in [&token::header(p1, p2, signed, in_pieces)[..], signed] {
            let place = out.get_mut(at..).ok_or(too_long(stage))?;
            at = at.saturating_add(copy(part, place).ok_or(too_long(stage))?.len());
        }
        Ok(Todo::Sign { key: by.token, message: at })
    }

    /// The next piece, from this byte on.
    fn send(&mut self, change: &Change<'_>, from: usize, link: &Link, out: &mut [u8]) -> Turn {
        let mut buffer = [0; DATA_MAX];
        let of = self.data(change, &mut buffer)?;
        let to = of.min(from.saturating_add(link.most()));
        self.state = State::Sending { to, of };
        let [ins, p1, p2] = change.header;
        let p1 = if to < of { p1 | MORE } else { p1 };
        let piece = buffer.get(from..to).unwrap_or_default();
        command([link.cla, ins, p1, p2], |out| Some(copy(piece, out)?.len()), out, change.stage)
    }

    /// Writes the whole data field.
    fn data(&self, change: &Change<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        let too_long = too_long(change.stage);
        let at = (change.fields)(out).ok_or(too_long)?;
        let place = out.get_mut(at..).ok_or(too_long)?;
        let written = match change.token {
            TokenField::Field => install::write_token(&self.held, place),
            TokenField::Object => delete::write_token(&self.held, place),
        };
        Ok(at.saturating_add(written.map_err(|_| too_long)?))
    }
}
