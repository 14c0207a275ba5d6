//! Bringing new keys to a card: add, authenticate with them, and only then delete the old ones.
//!
//! At every moment a set works that is known to work: the only key set is never replaced in place, so a lost answer or a wrong key
//! cannot lock anybody out.

use huiwan_crypto::ct_eq;

use super::fault::{Fault, FaultKind, Stage};
use super::key_store::{KeyAnswer, KeyRef};
use super::manager::{
    Channel, Event, OpenChannel, Todo, Turn, command, expect_ok, get_data_command, too_long,
};
use super::open::Updating;
use crate::delete::{self, Target};
use crate::key_information::{self, TAG_E0_KEY_INFORMATION};
use crate::put_key::{INS, KID_ENC, KeyData, SEVERAL};
use crate::scp03::Octets;

/// A change of keys.
#[derive(Debug, Clone, Copy)]
pub struct PutKeys {
    /// The new keys in the key store.
    pub key: KeyRef,
    /// The version they get, 01 to 7F, not on the card yet.
    pub version: u8,
    /// Delete the set that opened this channel once the new one works.
    pub remove_old: bool,
    /// Fresh random bytes for the channel under the new keys, as many as for [`OpenChannel::host_challenge`].
    pub host_challenge: Octets,
}

#[derive(Debug)]
enum State {
    Start,
    Inventory,
    Exporting,
    Putting { expected: heapless::Vec<u8, 10> },
    Forgetting(Channel),
    Proving(Updating),
    SecondInventory,
    Deleting,
}

#[derive(Debug)]
pub(super) struct Rotating {
    state: State,
    old: u8,
}

impl Rotating {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, old: 0 }
    }

    pub(super) const fn stage(&self) -> Stage {
        match &self.state {
            State::Start | State::Inventory | State::SecondInventory => Stage::GetData,
            State::Exporting | State::Putting { .. } | State::Forgetting(_) => Stage::PutKey,
            State::Proving(opening) => opening.stage(),
            State::Deleting => Stage::Delete,
        }
    }

    pub(super) fn turn(
        &mut self,
        request: &PutKeys,
        event: Event<'_>,
        channel: &mut Option<Channel>,
        cla: u8,
        out: &mut [u8],
    ) -> Turn {
        let stage = self.stage();
        let fault = |kind| Fault { stage, kind };
        match (&mut self.state, event) {
            (State::Start, Event::Begin) => {
                let open = channel.as_ref().ok_or(fault(FaultKind::NoChannel))?;
                self.old = open.key_version;
                self.state = State::Inventory;
                get_data_command(TAG_E0_KEY_INFORMATION, cla, out)
            }
            (State::Inventory, Event::Response(response)) => {
                let template = expect_ok(response, stage)?;
                if holds(template.data(), request.version, stage)? {
                    return Err(fault(FaultKind::VersionTaken(request.version)));
                }
                self.state = State::Exporting;
                Ok(Todo::Export { key: request.key, version: request.version })
            }
            (State::Exporting, Event::Key(KeyAnswer::Bytes(block))) => {
                let expected = expected(block).ok_or(too_long(stage))?;
                if expected.first() != Some(&request.version) {
                    return Err(fault(FaultKind::Malformed("key store answer")));
                }
                self.state = State::Putting { expected };
                let data = |out: &mut [u8]| {
                    out.get_mut(..block.len())?.copy_from_slice(block);
                    Some(block.len())
                };
                command([cla, INS, 0x00, SEVERAL | KID_ENC], data, out, stage)
            }
            (State::Exporting, Event::Key(KeyAnswer::Refused(error))) => Err(fault(FaultKind::Key(error))),
            (State::Putting { expected }, Event::Response(response)) => {
                if !ct_eq(expect_ok(response, stage)?.data(), expected) {
                    return Err(fault(FaultKind::CheckValues));
                }
                let open = (*channel).ok_or(fault(FaultKind::NoChannel))?;
                self.state = State::Forgetting(open);
                Ok(Todo::Close(open.session))
            }
            (State::Forgetting(old), Event::Key(_)) => {
                let open = OpenChannel {
                    aid: Some(old.aid),
                    key_version: request.version,
                    key: request.key,
                    level: old.level,
                    host_challenge: request.host_challenge,
                };
                *channel = None;
                let mut opening = Updating::new(open, old.aid, old.card);
                let turn = opening.turn(Event::Begin, channel, cla, out);
                self.state = State::Proving(opening);
                turn
            }
            (State::Proving(opening), event) => match opening.turn(event, channel, cla, out)? {
                Todo::Done if channel.is_some_and(|open| open.key_version != request.version) => {
                    let proved = channel.map_or(0, |open| open.key_version);
                    Err(fault(FaultKind::OtherVersion(proved)))
                }
                Todo::Done if request.remove_old => {
                    self.state = State::SecondInventory;
                    get_data_command(TAG_E0_KEY_INFORMATION, cla, out)
                }
                todo => Ok(todo),
            },
            (State::SecondInventory, Event::Response(response)) => {
                // Factory keys may have gone by themselves.
                if !holds(expect_ok(response, stage)?.data(), self.old, stage)? {
                    return Ok(Todo::Done);
                }
                self.state = State::Deleting;
                let target = Target::Key { id: None, version: Some(self.old) };
                command(
                    [cla, delete::INS, 0, 0],
                    |out| Some(target.write(out).ok()?.len()),
                    out,
                    Stage::Delete,
                )
            }
            (State::Deleting, Event::Response(response)) => expect_ok(response, stage).map(|_| Todo::Done),
            _ => Err(fault(FaultKind::Malformed("key store answer"))),
        }
    }
}

/// Whether a template lists a key of this version.
fn holds(template: &[u8], version: u8, stage: Stage) -> Result<bool, Fault> {
    let mut keys = key_information::keys(template)
        .map_err(|_| Fault { stage, kind: FaultKind::Malformed("key information template") })?;
    Ok(keys.any(|key| key.version == version))
}

/// What the card must answer: the version, then the check values as sent.
fn expected(block: &[u8]) -> Option<heapless::Vec<u8, 10>> {
    let data = KeyData::parse(block).ok()?;
    let mut expected = heapless::Vec::new();
    expected.push(data.version).ok()?;
    for field in data.fields() {
        expected.extend_from_slice(field.ok()?.check_value).ok()?;
    }
    Some(expected)
}
