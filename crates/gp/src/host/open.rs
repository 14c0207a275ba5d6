//! Opening a secure channel: SELECT, then what the card's protocol wants.
//!
//! | protocol | commands |
//! |---|---|
//! | SCP01, SCP02 with explicit initiation, SCP03 | INITIALIZE UPDATE, EXTERNAL AUTHENTICATE |
//! | SCP02 with implicit initiation | GET DATA for the counter; the first command under a C-MAC opens the session |
//! | SCP11 | GET DATA for the card's certificates, PERFORM SECURITY OPERATION with the host's, MUTUAL or INTERNAL AUTHENTICATE |

use huiwan_apdu::{Aid, Command, Ins, Ne, Response, Sw};
use huiwan_tlv::{Rules, Tag, find_path};

use super::fault::{Fault, FaultKind, Stage};
use super::manager::{Channel, Event, OpenChannel, Todo, Turn, too_long};
use crate::recognition;
use crate::scp03::Mode;
use crate::secure_channel::Level;
use crate::{scp01, scp02, scp03};

mod implicit;
mod scp11;
mod update;

use implicit::Initiating;
pub use implicit::OpenImplicit;
use scp11::Agreeing;
pub use scp11::{HostIdentity, OpenScp11};
pub(super) use update::Updating;

const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_84_DF_NAME: Tag = Tag::new(0x84);

/// How the channel is opened.
#[derive(Debug, Clone, Copy)]
enum How<'j> {
    Update(OpenChannel),
    Implicit(OpenImplicit),
    Scp11(OpenScp11<'j>),
}

#[derive(Debug)]
enum State<'j> {
    Start,
    Forgetting,
    Selecting,
    Updating(Updating),
    Initiating(Initiating),
    Agreeing(Agreeing<'j>),
}

#[derive(Debug)]
pub(super) struct Opening<'j> {
    how: How<'j>,
    state: State<'j>,
    card: Card,
}

/// What the recognition data of the card says of its protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Card {
    scp01: Option<scp01::Options>,
    scp02: Option<scp02::Options>,
    /// The mode of SCP03 if there is only one.
    scp03: Option<Mode>,
    /// SCP02 without a handshake, if the card speaks nothing that has one.
    implicit: Option<scp02::Options>,
}

impl Card {
    const UNKNOWN: Self = Self { scp01: None, scp02: None, scp03: None, implicit: None };

    /// Reads the template in the file control information; what it does not say stays open.
    fn of(fci: &[u8]) -> Self {
        let mut card = Self::UNKNOWN;
        let mut modes = [false; 2];
        let mut handshake = false;
        for protocol in recognition::protocols_of_application(fci).into_iter().flatten() {
            let Ok(i) = u8::try_from(protocol.i) else { continue };
            match protocol.scp {
                scp01::SCP => {
                    card.scp01 = scp01::Options::from_byte(i);
                    handshake = true;
                }
                scp02::SCP => {
                    card.scp02 = scp02::Options::from_byte(i);
                    handshake |= card.scp02.is_none_or(scp02::Options::explicit);
                }
                scp03::SCP => {
                    handshake = true;
                    let [s8, s16] = &mut modes;
                    match scp03::Options::from_byte(i).map(scp03::Options::mode) {
                        Some(Mode::S8) => *s8 = true,
                        Some(Mode::S16) => *s16 = true,
                        None => {}
                    }
                }
                _ => {}
            }
        }
        card.implicit = card.scp02.filter(|_| !handshake);
        card.scp03 = match (modes, card.scp02) {
            ([true, false], _) => Some(Mode::S8),
            // A challenge of 16 bytes is for a card that speaks nothing else.
            ([false, true], None) => Some(Mode::S16),
            _ => None,
        };
        card
    }
}

impl<'j> Opening<'j> {
    pub(super) const fn new(request: OpenChannel) -> Self {
        Self::of(How::Update(request))
    }

    pub(super) const fn implicit(request: OpenImplicit) -> Self {
        Self::of(How::Implicit(request))
    }

    pub(super) const fn scp11(request: OpenScp11<'j>) -> Self {
        Self::of(How::Scp11(request))
    }

    const fn of(how: How<'j>) -> Self {
        Self { how, state: State::Start, card: Card::UNKNOWN }
    }

    pub(super) const fn stage(&self) -> Stage {
        match &self.state {
            State::Start | State::Forgetting | State::Selecting => Stage::Select,
            State::Updating(updating) => updating.stage(),
            State::Initiating(initiating) => initiating.stage(),
            State::Agreeing(agreeing) => agreeing.stage(),
        }
    }

    pub(super) fn turn(
        &mut self,
        event: Event<'_>,
        channel: &mut Option<Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        match (&mut self.state, event) {
            (State::Start, Event::Begin) => match channel.take() {
                Some(old) => {
                    self.state = State::Forgetting;
                    Ok(Todo::Close(old.session))
                }
                None => self.select(cla, out),
            },
            (State::Forgetting, Event::Key(_)) => self.select(cla, out),
            (State::Selecting, Event::Response(response)) => {
                let aid = self.selected(&response)?;
                self.card = Card::of(response.data());
                self.initiate(aid, channel, cla, out)
            }
            (State::Updating(updating), event) => updating.turn(event, channel, cla, out),
            (State::Initiating(initiating), event) => initiating.turn(event, channel, cla, out),
            (State::Agreeing(agreeing), event) => agreeing.turn(event, channel, cla, out),
            _ => Err(Fault { stage: self.stage(), kind: FaultKind::Malformed("key store answer") }),
        }
    }

    fn initiate(&mut self, aid: Aid, channel: &mut Option<Channel>, cla: u8, out: &mut [u8]) -> Turn {
        self.state = match (self.how, self.card.implicit) {
            (How::Update(request), None) => State::Updating(Updating::new(request, aid, self.card)),
            (How::Update(request), Some(options)) => State::Initiating(Initiating::new(
                OpenImplicit::of(&request, options),
                request.level,
                aid,
                self.card,
            )),
            (How::Implicit(request), _) => {
                State::Initiating(Initiating::new(request, Level::CMac, aid, self.card))
            }
            (How::Scp11(request), _) => State::Agreeing(Agreeing::new(request, aid, self.card)),
        };
        self.turn(Event::Begin, channel, cla, out)
    }

    const fn aid(&self) -> Option<&Aid> {
        match &self.how {
            How::Update(request) => request.aid.as_ref(),
            How::Implicit(request) => request.aid.as_ref(),
            How::Scp11(request) => request.aid.as_ref(),
        }
    }

    fn select(&mut self, cla: u8, out: &mut [u8]) -> Turn {
        self.state = State::Selecting;
        let command = Command::new(cla & 0x03, Ins::SELECT.value(), 0x04, 0x00)
            .with_data(self.aid().map_or(&[], Aid::as_bytes))
            .with_ne(Ne::MAX_SHORT);
        command.write(out).map(|sent| Todo::Bare(sent.len())).map_err(|_| too_long(Stage::Select))
    }

    /// The AID the FCI names, else the one asked for. A locked card (6283) still answers.
    fn selected(&self, response: &Response<'_>) -> Result<Aid, Fault> {
        let stage = Stage::Select;
        if !response.sw().is_ok() && response.sw() != Sw::WARNING_SELECTED_INVALIDATED {
            return Err(Fault { stage, kind: FaultKind::Status(response.sw()) });
        }
        find_path(response.data(), Rules::EMV, &[TAG_6F_FCI, TAG_84_DF_NAME])
            .ok()
            .flatten()
            .and_then(|name| Aid::new(name.value()).ok())
            .or(self.aid().copied())
            .ok_or(Fault { stage, kind: FaultKind::Malformed("file control information") })
    }
}
