//! Opening a secure channel: SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE.

use huiwan_apdu::{Aid, Command, Ins, Ne, Response, Sw};
use huiwan_tlv::{Rules, Tag, find_path};

use super::fault::{Fault, FaultKind, Stage};
use super::key_store::{KeyAnswer, OpenRequest};
use super::manager::{Channel, Event, OpenChannel, Todo, Turn, copy, too_long};
use super::secure_channel::AwaitCard;
use crate::initialize_update::Answer;

const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_84_DF_NAME: Tag = Tag::new(0x84);

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    Forgetting,
    Selecting,
    Updating(Aid),
    Verifying(Aid, Answer),
    Authenticating(Channel),
}

#[derive(Debug)]
pub(super) struct Opening {
    request: OpenChannel,
    state: State,
    selects: bool,
}

impl Opening {
    pub(super) const fn new(request: OpenChannel) -> Self {
        Self { request, state: State::Start, selects: true }
    }

    /// Another handshake with what is selected already.
    pub(super) const fn again(request: OpenChannel) -> Self {
        Self { request, state: State::Start, selects: false }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Forgetting | State::Selecting => Stage::Select,
            State::Updating(_) => Stage::InitializeUpdate,
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
                Some(old) => {
                    self.state = State::Updating(old.aid);
                    self.update(cla, out)
                }
                None => self.select(cla, out),
            },
            (State::Forgetting, Event::Key(_)) => self.select(cla, out),
            (State::Selecting, Event::Response(response)) => {
                self.state = State::Updating(self.selected(&response)?);
                self.update(cla, out)
            }
            (State::Updating(aid), Event::Response(response)) => {
                if !response.sw().is_ok() {
                    return Err(Fault { stage, kind: FaultKind::Status(response.sw()) });
                }
                let answer = Answer::parse(response.data())
                    .map_err(|_| Fault { stage, kind: FaultKind::Malformed("initialize update answer") })?;
                self.state = State::Verifying(aid, answer);
                Ok(Todo::Open(OpenRequest {
                    key: self.request.key,
                    aid,
                    cla,
                    host_challenge: self.request.host_challenge,
                    answer,
                    level: self.request.level,
                }))
            }
            (
                State::Verifying(aid, answer),
                Event::Key(KeyAnswer::Opened { session, external_authenticate }),
            ) => {
                let open = Channel {
                    session,
                    level: self.request.level,
                    key_version: answer.key_version,
                    aid,
                    key_diversification: answer.key_diversification,
                };
                self.state = State::Authenticating(open);
                // Known from here on, so that the key store hears of its end whatever happens to the card.
                *channel = Some(open);
                copy(&external_authenticate, out).map(|sent| Todo::Bare(sent.len())).ok_or(too_long(stage))
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

    fn update(&self, cla: u8, out: &mut [u8]) -> Turn {
        let handshake = AwaitCard::new(self.request.host_challenge);
        let sent = handshake.command(cla, self.request.key_version).write(out);
        sent.map(|sent| Todo::Bare(sent.len())).map_err(|_| too_long(Stage::InitializeUpdate))
    }
}
