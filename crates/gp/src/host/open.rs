//! Opening a secure channel: SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE.

use huiwan_apdu::{Aid, Command, Ins, Ne, Response, Sw};
use huiwan_tlv::{Rules, Tag, find_path};

use super::fault::{Fault, FaultKind, Stage};
use super::key_store::{KeyAnswer, OpenRequest};
use super::manager::{Channel, Event, OpenChannel, Todo, Turn, copy, too_long};
use super::secure_channel::AwaitCard;
use crate::initialize_update::Answer;
use crate::recognition;
use crate::scp03::{Mode, Octets};
use crate::{scp01, scp02, scp03};

const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_84_DF_NAME: Tag = Tag::new(0x84);

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    Forgetting,
    Selecting,
    Updating { aid: Aid, mode: Mode, again: bool },
    Verifying(Aid, Octets, Answer),
    Authenticating(Channel),
}

#[derive(Debug)]
pub(super) struct Opening {
    request: OpenChannel,
    state: State,
    selects: bool,
    card: Card,
}

/// What the recognition data of the card says of its protocols.
#[derive(Debug, Clone, Copy, Default)]
struct Card {
    scp01: Option<scp01::Options>,
    scp02: Option<scp02::Options>,
    /// The mode of SCP03 if there is only one.
    scp03: Option<Mode>,
}

impl Card {
    /// Reads the template in the file control information; what it does not say stays open.
    fn of(fci: &[u8]) -> Self {
        let mut card = Self::default();
        let mut modes = [false; 2];
        for protocol in recognition::protocols_of_application(fci).into_iter().flatten() {
            match protocol.scp {
                scp01::SCP => card.scp01 = scp01::Options::from_byte(protocol.i),
                scp02::SCP => card.scp02 = scp02::Options::from_byte(protocol.i),
                scp03::SCP => {
                    let [s8, s16] = &mut modes;
                    match scp03::Options::from_byte(protocol.i).map(scp03::Options::mode) {
                        Some(Mode::S8) => *s8 = true,
                        Some(Mode::S16) => *s16 = true,
                        None => {}
                    }
                }
                _ => {}
            }
        }
        card.scp03 = match (modes, card.scp02) {
            ([true, false], _) => Some(Mode::S8),
            // A challenge of 16 bytes is for a card that speaks nothing else.
            ([false, true], None) => Some(Mode::S16),
            _ => None,
        };
        card
    }
}

impl Opening {
    pub(super) const fn new(request: OpenChannel) -> Self {
        Self {
            request,
            state: State::Start,
            selects: true,
            card: Card { scp01: None, scp02: None, scp03: None },
        }
    }

    /// Another handshake with what is selected already.
    pub(super) const fn again(request: OpenChannel) -> Self {
        Self { selects: false, ..Self::new(request) }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Forgetting | State::Selecting => Stage::Select,
            State::Updating { .. } => Stage::InitializeUpdate,
            State::Verifying(..) | State::Authenticating(_) => Stage::ExternalAuthenticate,
        }
    }

    pub(super) fn turn(
        &mut self,
        event: Event<'_>,
        channel: &mut Option<Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = self.stage();
        match (self.state, event) {
            (State::Start, Event::Begin) => match channel.take() {
                Some(old) if self.selects => {
                    self.state = State::Forgetting;
                    Ok(Todo::Close(old.session))
                }
                Some(old) => self.update(old.aid, None, cla, out),
                None => self.select(cla, out),
            },
            (State::Forgetting, Event::Key(_)) => self.select(cla, out),
            (State::Selecting, Event::Response(response)) => {
                let aid = self.selected(&response)?;
                self.card = Card::of(response.data());
                self.update(aid, None, cla, out)
            }
            // A card in the other mode of SCP03 does not know what to do with a challenge of that length. [GPPro #362]
            (State::Updating { aid, mode, again: false }, Event::Response(response))
                if matches!(response.sw(), Sw::WRONG_LENGTH | Sw::WRONG_DATA)
                    && self.request.host_challenge.mode() == Mode::S16 =>
            {
                self.update(aid, Some(mode.other()), cla, out)
            }
            (State::Updating { aid, mode, .. }, Event::Response(response)) => {
                if !response.sw().is_ok() {
                    return Err(Fault { stage, kind: FaultKind::Status(response.sw()) });
                }
                let answer = Answer::parse(response.data())
                    .map_err(|_| Fault { stage, kind: FaultKind::Malformed("initialize update answer") })?;
                let host_challenge = self.challenge(mode);
                self.state = State::Verifying(aid, host_challenge, answer);
                Ok(Todo::Open(OpenRequest {
                    key: self.request.key,
                    aid,
                    cla,
                    host_challenge,
                    answer,
                    scp01: self.card.scp01.unwrap_or_default(),
                    scp02: self.card.scp02.unwrap_or(scp02::Options::I35),
                    level: self.request.level,
                }))
            }
            (
                State::Verifying(aid, host_challenge, answer),
                Event::Key(KeyAnswer::Opened { session, external_authenticate }),
            ) => {
                let handshake = AwaitCard::new(host_challenge)
                    .with_scp01(self.card.scp01.unwrap_or_default())
                    .with_scp02(self.card.scp02.unwrap_or(scp02::Options::I35));
                let open = Channel {
                    session,
                    protocol: handshake.protocol(&answer),
                    level: self.request.level,
                    key_version: answer.key_version,
                    aid,
                    key_diversification: answer.key_diversification,
                };
                self.state = State::Authenticating(open);
                // Known from here on, so that the key store hears of its end whatever happens to the card.
                *channel = Some(open);
                copy(external_authenticate.as_bytes(), out)
                    .map(|sent| Todo::Bare(sent.len()))
                    .ok_or(too_long(stage))
            }
            (State::Verifying(..), Event::Key(KeyAnswer::Refused(error))) => {
                Err(Fault { stage, kind: FaultKind::Key(error) })
            }
            (State::Authenticating(_), Event::Response(response)) if response.sw().is_ok() => Ok(Todo::Done),
            (State::Authenticating(refused), Event::Response(response)) => {
                *channel = None;
                let fault = Fault { stage, kind: FaultKind::Status(response.sw()) };
                Ok(Todo::CloseAndFail(refused.session, fault))
            }
            _ => Err(Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    fn select(&mut self, cla: u8, out: &mut [u8]) -> Turn {
        self.state = State::Selecting;
        let aid = self.request.aid;
        let command = Command::new(cla & 0x03, Ins::SELECT.value(), 0x04, 0x00)
            .with_data(aid.as_ref().map_or(&[], Aid::as_bytes))
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
            .or(self.request.aid)
            .ok_or(Fault { stage, kind: FaultKind::Malformed("file control information") })
    }

    fn update(&mut self, aid: Aid, mode: Option<Mode>, cla: u8, out: &mut [u8]) -> Turn {
        let again = mode.is_some();
        let mode = mode.or(self.card.scp03).unwrap_or_default();
        self.state = State::Updating { aid, mode, again };
        let handshake = AwaitCard::new(self.challenge(mode));
        let sent = handshake.command(cla, self.request.key_version).write(out);
        sent.map(|sent| Todo::Bare(sent.len())).map_err(|_| too_long(Stage::InitializeUpdate))
    }

    /// As much of the challenge as the mode takes; without 16 bytes there is only S8.
    fn challenge(&self, mode: Mode) -> Octets {
        let whole = self.request.host_challenge;
        whole.as_bytes().get(..mode.len()).and_then(Octets::new).unwrap_or(whole)
    }
}
