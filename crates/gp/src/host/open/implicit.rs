//! SCP02 with implicit initiation: no handshake, but the counter has to be known. [GPC E.1.2.2]

use huiwan_apdu::Aid;
use huiwan_tlv::{Rules, Tag, find};

use super::Card;
use crate::get_data::{TAG_C1_SEQUENCE_COUNTER, TAG_CF_KEY_DIVERSIFICATION};
use crate::host::fault::{Fault, FaultKind, Stage};
use crate::host::key_store::{Derivation, ImplicitRequest, KeyAnswer, KeyError, KeyRef};
use crate::host::manager::{Channel, Event, OpenChannel, Todo, Turn, expect_ok, get_data_command};
use crate::scp02::{Options, Sequence};
use crate::secure_channel::{Level, Scp};

/// How to open an SCP02 channel without a handshake, with command MACs. The card proves nothing, and learns who the host is by the first
/// command: with wrong keys or a wrong counter that is the one it refuses (6982).
#[derive(Debug, Clone, Copy)]
pub struct OpenImplicit {
    /// What to select; `None` for the card's default, the issuer security domain.
    pub aid: Option<Aid>,
    /// The card's SCP02.
    pub options: Options,
    /// Version of the card's key set, for what is told of the channel: the card takes the one it has for this.
    pub key_version: u8,
    /// The card's keys in the key store.
    pub key: KeyRef,
    /// The counter of this session; `None` to ask the card (C1), which tells that of its default key set.
    pub sequence: Option<Sequence>,
    /// Key diversification data; `None` to ask the card (CF) if keys are derived.
    pub key_diversification: Option<[u8; 10]>,
}

impl OpenImplicit {
    /// The same as the request for a card that has a handshake.
    pub(super) const fn of(request: &OpenChannel, options: Options) -> Self {
        Self {
            aid: request.aid,
            options,
            key_version: request.key_version,
            key: request.key,
            sequence: None,
            key_diversification: None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Start,
    /// The card tells its counter.
    Counting,
    /// The card tells its key diversification data.
    Diversifying,
    Asking,
}

#[derive(Debug)]
pub(super) struct Initiating {
    request: OpenImplicit,
    level: Level,
    aid: Aid,
    card: Card,
    state: State,
}

impl Initiating {
    pub(super) const fn new(request: OpenImplicit, level: Level, aid: Aid, card: Card) -> Self {
        Self { request, level, aid, card, state: State::Start }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Asking => Stage::Initiate,
            State::Counting | State::Diversifying => Stage::GetData,
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
            (State::Start, Event::Begin) if !self.request.options.allows(self.level) => {
                Err(Fault { stage, kind: FaultKind::Key(KeyError::Level) })
            }
            (State::Start, Event::Begin) => self.next(cla, out),
            (State::Counting, Event::Response(response)) => {
                let response = expect_ok(response, stage)?;
                let counter = value(response.data(), TAG_C1_SEQUENCE_COUNTER)
                    .ok_or(Fault { stage, kind: FaultKind::Malformed("sequence counter") })?;
                self.request.sequence = Some(Sequence::from_bytes(counter));
                self.next(cla, out)
            }
            (State::Diversifying, Event::Response(response)) => {
                let response = expect_ok(response, stage)?;
                let data = value(response.data(), TAG_CF_KEY_DIVERSIFICATION)
                    .ok_or(Fault { stage, kind: FaultKind::Malformed("key diversification data") })?;
                self.request.key_diversification = Some(data);
                self.next(cla, out)
            }
            (State::Asking, Event::Key(KeyAnswer::Ready(session))) => {
                *channel = Some(Channel {
                    session,
                    protocol: Scp::Scp02(self.request.options),
                    level: self.level,
                    key_version: self.request.key_version,
                    aid: self.aid,
                    key_diversification: self.request.key_diversification.unwrap_or_default(),
                    card: self.card,
                });
                Ok(Todo::Done)
            }
            (State::Asking, Event::Key(KeyAnswer::Refused(error))) => {
                Err(Fault { stage, kind: FaultKind::Key(error) })
            }
            _ => Err(Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    /// What is still to be known, then the session.
    fn next(&mut self, cla: u8, out: &mut [u8]) -> Turn {
        let derived = self.request.key.derivation != Derivation::None;
        let (state, todo) = match (self.request.sequence, self.request.key_diversification) {
            (None, _) => (State::Counting, get_data_command(TAG_C1_SEQUENCE_COUNTER, cla, out)?),
            (_, None) if derived => {
                (State::Diversifying, get_data_command(TAG_CF_KEY_DIVERSIFICATION, cla, out)?)
            }
            (Some(sequence), key_diversification) => {
                let request = ImplicitRequest {
                    key: self.request.key,
                    aid: self.aid,
                    options: self.request.options,
                    sequence,
                    key_diversification: key_diversification.unwrap_or_default(),
                };
                (State::Asking, Todo::OpenImplicit(request))
            }
        };
        self.state = state;
        Ok(todo)
    }
}

/// A data object of this length, or the bare value.
fn value<const N: usize>(data: &[u8], tag: Tag) -> Option<[u8; N]> {
    let object = find(data, Rules::ISO, tag).ok().flatten();
    object.map_or(data, |object| object.value()).try_into().ok()
}
