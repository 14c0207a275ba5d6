//! The wearer's choice over the registry service: list, activate, order, switch the antenna, choose the default card. Sans-IO, without
//! a secure channel: this is what the band's own controller does. A TSM sends the same commands through
//! [`Job::Command`](super::Job::Command).
//!
//! ```text
//! Start ─▶ Send(SELECT) ─▶ Send(GET or SET STATUS) ─▶ … ─▶ Answer ─▶ Done
//! ```
//! Every wish looks the same whether the card has it already or not: after a torn connection the same wish is made again, and ends
//! where it would have ended.

use huiwan_apdu::{Aid, Command, Ne, Response, Sw};

use super::fault::{Fault, FaultKind, Stage};
use super::manager::{Misuse, OUT_LEN, Outcome};
use crate::crs::set_status::Place;
use crate::crs::status::{APPLICATIONS, FIRST, NEXT};
use crate::crs::{self, Change, SW_PARTLY_DONE, Search};
use crate::install::Aids;
use crate::{get_status, set_status};

/// What the wearer wants.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Wish<'j> {
    /// The applications; [`Step::Answer`] brings one page after another for [`crs::entries`].
    List(Search<'j>),
    /// One change. Where a part of it is refused, [`Step::Answer`] brings what [`crs::Failed`] reads, and the outcome is a fault with
    /// 6320.
    Change(Change<'j>),
    /// This card answers first, and none of the others that exclude it. Where the element replaces by itself that is one step;
    /// where it refuses, the others are deactivated in between. A connection torn there leaves no card active until the wish is
    /// made again.
    Default {
        /// The card, activated and first in the order.
        card: Aid,
        /// Those to be deactivated if, and only if, the card cannot be activated beside them; may be empty.
        instead_of: Aids<'j>,
    },
}

/// What goes into a step.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Begin.
    Start,
    /// The card's answer to [`Step::Send`]: data ‖ SW, with 61xx and 6Cxx resolved.
    Response(&'a [u8]),
    /// Go on after [`Step::Answer`].
    Continue,
    /// The card is gone.
    CardLost,
}

/// What comes out of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this to the card.
    Send(&'o [u8]),
    /// Data the wish was for.
    Answer {
        /// Response data.
        data: &'o [u8],
        /// Status word.
        sw: Sw,
    },
    /// It is over.
    Done(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Selecting,
    Listing,
    Changing,
    Activating {
        again: bool,
    },
    Deactivating,
    Prioritising,
    /// The caller looks at a page that is not the last.
    Page,
    /// The caller looks at the last answer.
    Last(Outcome),
    Over,
}

/// The engine: one wish, on the basic channel or another one.
#[derive(Debug, Clone)]
pub struct Wallet<'j> {
    wish: Wish<'j>,
    phase: Phase,
    channel: u8,
    pages: u8,
}

impl<'j> Wallet<'j> {
    /// An engine for this wish.
    #[must_use]
    pub const fn new(wish: Wish<'j>) -> Self {
        Self { wish, phase: Phase::Idle, channel: 0, pages: 0 }
    }

    /// The same on logical channel 0 to 3.
    #[must_use]
    pub const fn on_channel(self, number: u8) -> Self {
        Self { channel: number & 0x03, ..self }
    }

    /// Goes one step. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only; the state is unchanged and the call can be repeated correctly.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if out.len() < OUT_LEN {
            return Err(Misuse::OutputTooSmall);
        }
        match (self.phase, input) {
            (Phase::Idle, Input::Start) => {
                self.phase = Phase::Selecting;
                Ok(self.send([self.channel, 0xA4, 0x04, 0x00], crs::AID.as_bytes(), out))
            }
            (Phase::Page, Input::Continue) => Ok(self.list(NEXT, out)),
            (Phase::Last(outcome), Input::Continue) => Ok(self.done(outcome)),
            (Phase::Idle | Phase::Page | Phase::Last(_) | Phase::Over, Input::Response(_))
            | (Phase::Over, _) => Err(Misuse::UnexpectedInput),
            (_, Input::CardLost) => Ok(self.fault(FaultKind::CardLost)),
            (phase, Input::Response(raw)) => match Response::parse(raw) {
                Ok(response) => Ok(self.heard(phase, &response, out)),
                Err(_) => Ok(self.fault(FaultKind::Malformed("response"))),
            },
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn heard<'o>(&mut self, phase: Phase, response: &Response<'_>, out: &'o mut [u8]) -> Step<'o> {
        let sw = response.sw();
        match (phase, sw) {
            (Phase::Selecting, Sw::OK) => match self.wish {
                Wish::List(_) => self.list(FIRST, out),
                Wish::Change(change) => self.change(Phase::Changing, &change, out),
                Wish::Default { .. } => self.activate(false, out),
            },
            // Nobody of that kind is an answer, not a fault.
            (Phase::Listing, Sw::REFERENCED_DATA_NOT_FOUND)
            | (Phase::Changing | Phase::Prioritising, Sw::OK) => self.done(Outcome::Complete),
            (Phase::Listing, Sw::OK) => self.tell(Phase::Last(Outcome::Complete), response, out),
            (Phase::Listing, Sw::MORE_ENTRIES) => match self.pages.checked_add(1) {
                Some(pages) => {
                    self.pages = pages;
                    self.tell(Phase::Page, response, out)
                }
                None => self.fault(FaultKind::Malformed("list, which has no end,")),
            },
            (Phase::Activating { .. }, Sw::OK) => match self.wish {
                Wish::Default { card, .. } => self.named(Phase::Prioritising, card, out),
                _ => self.done(Outcome::Complete),
            },
            (Phase::Activating { again: false }, SW_PARTLY_DONE) => match self.wish {
                Wish::Default { instead_of, .. } if !instead_of.raw().is_empty() => {
                    let change = Change::Availability { activate: false, aids: instead_of };
                    self.change(Phase::Deactivating, &change, out)
                }
                _ => self.refused(response, out),
            },
            // One of them that is not there is not in the way either.
            (Phase::Deactivating, Sw::OK | SW_PARTLY_DONE) => self.activate(true, out),
            (_, SW_PARTLY_DONE) => self.refused(response, out),
            _ => self.fault(FaultKind::Status(sw)),
        }
    }

    fn activate<'o>(&mut self, again: bool, out: &'o mut [u8]) -> Step<'o> {
        match self.wish {
            Wish::Default { card, .. } => self.named(Phase::Activating { again }, card, out),
            _ => self.done(Outcome::Complete),
        }
    }

    /// SET STATUS of one application.
    fn named<'o>(&mut self, phase: Phase, aid: Aid, out: &'o mut [u8]) -> Step<'o> {
        let mut buffer = [0; 18];
        let Ok(aids) = Aids::write([aid.as_bytes()], &mut buffer) else {
            return self.fault(FaultKind::TooLong);
        };
        let change = match phase {
            Phase::Prioritising => Change::Priority { place: Place::Highest, aids },
            _ => Change::Availability { activate: true, aids },
        };
        self.change(phase, &change, out)
    }

    fn change<'o>(&mut self, phase: Phase, change: &Change<'_>, out: &'o mut [u8]) -> Step<'o> {
        self.phase = phase;
        let [p1, p2] = change.parameters();
        self.send([0x80 | self.channel, set_status::INS, p1, p2], change.data(), out)
    }

    fn list<'o>(&mut self, p2: u8, out: &'o mut [u8]) -> Step<'o> {
        self.phase = Phase::Listing;
        let mut buffer = [0; 255];
        let search = match self.wish {
            Wish::List(search) => search,
            _ => Search::ALL,
        };
        match search.write(&mut buffer) {
            Ok(data) => self.send([0x80 | self.channel, get_status::INS, APPLICATIONS, p2], data, out),
            Err(_) => self.fault(FaultKind::TooLong),
        }
    }

    fn send<'o>(&mut self, [cla, ins, p1, p2]: [u8; 4], data: &[u8], out: &'o mut [u8]) -> Step<'o> {
        let command = Command::new(cla, ins, p1, p2).with_data(data).with_ne(Ne::MAX_SHORT);
        if data.len() > 255 {
            return self.fault(FaultKind::TooLong);
        }
        match command.write(out) {
            Ok(sent) => Step::Send(sent),
            Err(_) => self.fault(FaultKind::TooLong),
        }
    }

    /// The caller sees what was refused, then the wish ends.
    fn refused<'o>(&mut self, response: &Response<'_>, out: &'o mut [u8]) -> Step<'o> {
        let fault = Fault { stage: self.stage(), kind: FaultKind::Status(response.sw()) };
        self.tell(Phase::Last(Outcome::Fault(fault)), response, out)
    }

    fn tell<'o>(&mut self, phase: Phase, response: &Response<'_>, out: &'o mut [u8]) -> Step<'o> {
        match super::manager::copy(response.data(), out) {
            Some(data) => {
                self.phase = phase;
                Step::Answer { data, sw: response.sw() }
            }
            None => self.fault(FaultKind::Malformed("response")),
        }
    }

    const fn stage(&self) -> Stage {
        match self.phase {
            Phase::Idle | Phase::Selecting => Stage::Select,
            Phase::Listing | Phase::Page => Stage::GetStatus,
            _ => Stage::SetStatus,
        }
    }

    fn fault<'o>(&mut self, kind: FaultKind) -> Step<'o> {
        let fault = Fault { stage: self.stage(), kind };
        self.done(Outcome::Fault(fault))
    }

    const fn done<'o>(&mut self, outcome: Outcome) -> Step<'o> {
        self.phase = Phase::Over;
        Step::Done(outcome)
    }
}
