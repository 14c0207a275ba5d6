//! INITIALIZE UPDATE and EXTERNAL AUTHENTICATE. [GPC D.4, E.5, AmdD 7.1]

use huiwan_apdu::{Aid, Sw};

use super::Card;
use crate::host::fault::{Fault, FaultKind, Stage};
use crate::host::key_store::{KeyAnswer, OpenRequest};
use crate::host::manager::{Channel, Event, OpenChannel, Todo, Turn, copy, too_long};
use crate::host::secure_channel::AwaitCard;
use crate::initialize_update::Answer;
use crate::scp02;
use crate::scp03::{Mode, Octets};

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    Updating { mode: Mode, again: bool },
    Verifying(Octets, Answer),
    Authenticating(Channel),
}

/// The handshake on what is selected.
#[derive(Debug)]
pub(in crate::host) struct Updating {
    request: OpenChannel,
    aid: Aid,
    card: Card,
    state: State,
}

impl Updating {
    pub(in crate::host) const fn new(request: OpenChannel, aid: Aid, card: Card) -> Self {
        Self { request, aid, card, state: State::Start }
    }

    pub(in crate::host) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Updating { .. } => Stage::InitializeUpdate,
            State::Verifying(..) | State::Authenticating(_) => Stage::ExternalAuthenticate,
        }
    }

    pub(in crate::host) fn turn(
        &mut self,
        event: Event<'_>,
        channel: &mut Option<Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = self.stage();
        match (self.state, event) {
            (State::Start, Event::Begin) => self.update(None, cla, out),
            // A card in the other mode of SCP03 does not know what to do with a challenge of that length. [GPPro #362]
            (State::Updating { mode, again: false }, Event::Response(response))
                if matches!(response.sw(), Sw::WRONG_LENGTH | Sw::WRONG_DATA)
                    && self.request.host_challenge.mode() == Mode::S16 =>
            {
                self.update(Some(mode.other()), cla, out)
            }
            (State::Updating { mode, .. }, Event::Response(response)) => {
                if !response.sw().is_ok() {
                    return Err(Fault { stage, kind: FaultKind::Status(response.sw()) });
                }
                let answer = Answer::parse(response.data())
                    .map_err(|_| Fault { stage, kind: FaultKind::Malformed("initialize update answer") })?;
                let host_challenge = self.challenge(mode);
                self.state = State::Verifying(host_challenge, answer);
                Ok(Todo::Open(OpenRequest {
                    key: self.request.key,
                    aid: self.aid,
                    cla,
                    host_challenge,
                    answer,
                    scp01: self.card.scp01.unwrap_or_default(),
                    scp02: self.card.scp02.unwrap_or(scp02::Options::I35),
                    level: self.request.level,
                }))
            }
            (
                State::Verifying(host_challenge, answer),
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
                    aid: self.aid,
                    key_diversification: answer.key_diversification,
                    card: self.card,
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

    fn update(&mut self, mode: Option<Mode>, cla: u8, out: &mut [u8]) -> Turn {
        let again = mode.is_some();
        let mode = mode.or(self.card.scp03).unwrap_or_default();
        self.state = State::Updating { mode, again };
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
