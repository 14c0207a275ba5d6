//! Writing a script: the manager's jobs on a card that answers 9000 to everything.

use huiwan_apdu::{Command, Ins, Ne, Sw};
use huiwan_tlv::{Tag, Writer as TlvWriter};

use super::super::key_store::{KeyAnswer, KeyError, KeyRequest, SessionId};
use super::super::manager::{self, Job, Manager, OpenChannel, Outcome};
use super::super::open::{OpenImplicit, OpenScp11};
use super::plan::{Action, Plan, Protocol, WriteError};
use super::{Allowed, INITIALIZE, KEEP, Used, VERSION};
use crate::initialize_update::Answer;
use crate::put_key::{self, KID_ENC, SEVERAL};
use crate::recognition;

pub use super::super::manager::OUT_LEN;

/// What the writer is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Begin.
    Start,
    /// The key store's answer to [`Step::Key`].
    Key(KeyAnswer<'a>),
    /// Go on after [`Step::Written`].
    Continue,
    /// The same, with the answer a player kept for the command just written: data ‖ SW. The key store checks its protection by
    /// [`KeyRequest::Unwrap`]; the script is the same. Only for commands of the session.
    Answer(&'a [u8]),
}

/// What the writer wants. Exhaustive on purpose: a step its driver does not know cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Ask the key store.
    Key(KeyRequest<'o>),
    /// So many commands are written; go on with `Continue`.
    Written(u16),
    /// The script is so many bytes long, or there is none.
    Done(Result<usize, WriteError>),
}

/// The caller did not follow the protocol of [`Writer::step`]; nothing has changed.
pub use super::super::manager::Misuse;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    /// The manager waits for the key store.
    Asked,
    /// A command is written; the manager waits for the card.
    Sent,
    /// A command of the writer's own is written.
    SentOwn,
    /// The manager has sent the last command of an SCP11 handshake; its session is ready.
    Ready(SessionId),
    /// The key store checks an answer; then the phase it came from goes on.
    Checking {
        own: bool,
    },
    /// The manager told something.
    Told,
    /// The next action is due.
    Between,
    /// The key store writes new keys, and then protects the command that brings them.
    Exporting,
    Wrapping,
    /// Something failed with a command at the card.
    Aborting,
    Done,
}

/// What the manager is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Opens the channel; so many of its commands are written.
    Opening(u8),
    /// Is at this action.
    Action(usize),
    /// Ends.
    Closing(Result<(), WriteError>),
}

/// Bytes of the longest answer that is presumed: file control information with an AID of 16 bytes.
const PRESUMED_LEN: usize = 128;
const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_84_DF_NAME: Tag = Tag::new(0x84);
const TAG_A5_PROPRIETARY: Tag = Tag::new(0xA5);

/// Writes one script. The caller answers [`Step::Key`] from its key store.
#[derive(Debug)]
pub struct Writer<'j> {
    plan: Plan<'j>,
    manager: Manager<'j>,
    phase: Phase,
    part: Part,
    /// The manager's command goes through the session.
    protected: bool,
    at: usize,
    count: u16,
    count_at: usize,
}

impl<'j> Writer<'j> {
    /// A writer for this plan.
    #[must_use]
    pub const fn new(plan: Plan<'j>) -> Self {
        Self {
            plan,
            manager: Manager::new().unattended(),
            phase: Phase::Start,
            part: Part::Opening(0),
            protected: false,
            at: 0,
            count: 0,
            count_at: 0,
        }
    }

    /// One step. `out` has at least [`OUT_LEN`] bytes; `script` is the same at every step and has the script in the end.
    ///
    /// # Errors
    /// [`Misuse`] only, with the writer as it was before.
    pub fn step<'o>(
        &mut self,
        input: Input<'_>,
        script: &mut [u8],
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Misuse> {
        if out.len() < OUT_LEN {
            return Err(Misuse::OutputTooSmall);
        }
        match (self.phase, input) {
            (Phase::Start, Input::Start) => {
                if let Err(error) = self.begin(script) {
                    return Ok(self.done(Err(error)));
                }
                self.run(self.opening(), script, out)
            }
            (Phase::Asked, Input::Key(answer)) => {
                let step = self.manager.step(manager::Input::Key(answer), out)?;
                Ok(self.pass_on(step, script))
            }
            (Phase::Sent, Input::Answer(answer)) if self.takes_answer() => self.check(answer, false, out),
            (Phase::SentOwn, Input::Answer(answer)) => self.check(answer, true, out),
            (Phase::Checking { own }, Input::Key(KeyAnswer::Refused(error))) => {
                self.part = Part::Closing(Err(WriteError::Key(error)));
                self.phase = if own { Phase::Between } else { Phase::Aborting };
                Ok(Step::Written(self.count))
            }
            (Phase::Sent, Input::Continue)
            | (Phase::Checking { own: false }, Input::Key(KeyAnswer::Bytes(_))) => {
                // Whatever it was, the script's course does not depend on it.
                self.phase = Phase::Sent;
                let (answer, len) = self.presumed();
                let answer = answer.get(..len).unwrap_or_default();
                let step = if self.protected {
                    let _unwrap = self.manager.step(manager::Input::Response(answer), &mut *out)?;
                    self.manager.step(manager::Input::Key(KeyAnswer::Bytes(answer)), out)?
                } else {
                    self.manager.step(manager::Input::Response(answer), out)?
                };
                Ok(self.pass_on(step, script))
            }
            (Phase::Ready(session), Input::Continue) => {
                let step = self.manager.step(manager::Input::Key(KeyAnswer::Ready(session)), out)?;
                Ok(self.pass_on(step, script))
            }
            (Phase::Told, Input::Continue) => {
                let step = self.manager.step(manager::Input::Continue, out)?;
                Ok(self.pass_on(step, script))
            }
            (Phase::Between | Phase::SentOwn, Input::Continue)
            | (Phase::Checking { own: true }, Input::Key(KeyAnswer::Bytes(_))) => {
                self.next_action(script, out)
            }
            (Phase::Aborting, Input::Continue) => {
                let step = self.manager.step(manager::Input::CardLost, out)?;
                Ok(self.pass_on(step, script))
            }
            (Phase::Exporting, Input::Key(KeyAnswer::Bytes(block))) => Ok(self.put_keys(block, out)),
            (Phase::Wrapping, Input::Key(KeyAnswer::Bytes(command))) => {
                let written = self.record(command, 0, self.also(), script);
                self.phase = Phase::SentOwn;
                if written.is_none() {
                    self.part = Part::Closing(Err(WriteError::Full));
                    self.phase = Phase::Between;
                }
                Ok(Step::Written(self.count))
            }
            (Phase::Exporting | Phase::Wrapping, Input::Key(KeyAnswer::Refused(error))) => {
                self.part = Part::Closing(Err(WriteError::Key(error)));
                self.phase = Phase::Between;
                Ok(Step::Written(self.count))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The job that opens the channel.
    const fn opening(&self) -> Job<'j> {
        let (card, level) = (self.plan.card, self.plan.level);
        let aid = Some(card.aid);
        match card.protocol {
            Protocol::Scp02 { options, sequence } if !options.explicit() => Job::OpenImplicit(OpenImplicit {
                aid,
                options,
                key_version: card.key_version,
                key: card.key,
                sequence: Some(sequence),
                key_diversification: Some(card.key_diversification),
            }),
            Protocol::Scp02 { .. } | Protocol::Scp03 { .. } => Job::Open(OpenChannel {
                aid,
                key_version: card.key_version,
                key: card.key,
                level,
                host_challenge: self.plan.host_challenge,
            }),
            Protocol::Scp11c(open) => Job::OpenScp11(OpenScp11 {
                aid,
                key_version: card.key_version,
                level,
                key_diversification: card.key_diversification,
                ..*open
            }),
        }
    }

    /// Whether [`Input::Answer`] can follow: the command just written goes through the session.
    #[must_use]
    pub const fn takes_answer(&self) -> bool {
        matches!(self.phase, Phase::SentOwn) || (matches!(self.phase, Phase::Sent) && self.protected)
    }

    fn check<'o>(&mut self, answer: &[u8], own: bool, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let (Some(channel), Some(response)) = (self.manager.channel(), manager::copy(answer, out)) else {
            return Err(Misuse::UnexpectedInput);
        };
        self.phase = Phase::Checking { own };
        Ok(Step::Key(KeyRequest::Unwrap { session: channel.session, response }))
    }

    /// Checks the plan and writes what stands before the first command of the channel.
    fn begin(&mut self, script: &mut [u8]) -> Result<(), WriteError> {
        let plan = self.plan;
        if !plan.card.protocol.is_predictable() || plan.card.key_version == 0 {
            return Err(WriteError::NotPredictable);
        }
        if !plan.card.protocol.allows(plan.level) {
            return Err(WriteError::Level);
        }
        if !plan.card.protocol.takes(&plan.host_challenge) {
            return Err(WriteError::Challenge);
        }
        let due = plan.card.protocol.due().ok_or(WriteError::Counter)?;
        let used = Used {
            key_diversification: plan.card.key_diversification,
            key_version: plan.card.key_version,
            counter: plan.card.protocol.counter(),
            host_challenge: plan.host_challenge,
        };
        if plan.used.contains(&used) {
            return Err(WriteError::ChallengeUsed);
        }
        if let Some(index) = plan.actions.iter().position(|action| !action.is_certain()) {
            return Err(WriteError::Job(index));
        }
        let aid = plan.card.aid.as_bytes();
        let challenge = if plan.card.protocol.has_handshake() { plan.host_challenge.as_bytes() } else { &[] };
        let lengths = [challenge.len(), aid.len()].map(|len| u8::try_from(len).unwrap_or(u8::MAX));
        let [challenge_len, aid_len] = lengths;
        let mut put = |bytes: &[u8]| push(script, &mut self.at, bytes);
        let written = put(&[VERSION])
            .and_then(|()| put(&plan.card.protocol.numbers()))
            .and_then(|()| put(&[plan.level.byte(), plan.card.key_version]))
            .and_then(|()| put(&plan.job.to_be_bytes()))
            .and_then(|()| put(&plan.card.key_diversification))
            .and_then(|()| put(&due.to_bytes()))
            .and_then(|()| put(&plan.card.protocol.counter().to_bytes()))
            .and_then(|()| put(&[challenge_len]))
            .and_then(|()| put(challenge))
            .and_then(|()| put(&[aid_len]))
            .and_then(|()| put(aid));
        written.ok_or(WriteError::Full)?;
        self.count_at = self.at;
        push(script, &mut self.at, &[0, 0]).ok_or(WriteError::Full)?;
        if let Some(probe) = plan.probe {
            let mut buffer = [0; 24];
            let select = Command::new(0x00, Ins::SELECT.value(), 0x04, 0x00)
                .with_data(probe.as_bytes())
                .with_ne(Ne::MAX_SHORT);
            let select = select.write(&mut buffer).map_err(|_| WriteError::Full)?;
            let allowed = [Allowed::complete(Sw::OK), Allowed::go_on(Sw::FILE_NOT_FOUND)];
            self.record_with(select, 0, allowed.into_iter(), script).ok_or(WriteError::Full)?;
        }
        Ok(())
    }

    fn run<'o>(&mut self, job: Job<'j>, script: &mut [u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let step = self.manager.step(manager::Input::Start(job), out)?;
        Ok(self.pass_on(step, script))
    }

    fn next_action<'o>(&mut self, script: &mut [u8], out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let index = match self.part {
            Part::Opening(_) => 0,
            Part::Action(index) => index.saturating_add(1),
            Part::Closing(_) => return self.run(Job::Close, script, out),
        };
        self.part = Part::Action(index);
        match (self.plan.actions.get(index).map(|action| action.job), self.manager.channel()) {
            (None, _) => {
                self.part = Part::Closing(Ok(()));
                self.run(Job::Close, script, out)
            }
            (Some(Job::PutKeys(put)), Some(channel)) => {
                self.phase = Phase::Exporting;
                Ok(Step::Key(KeyRequest::ExportKeys {
                    session: channel.session,
                    key: put.key,
                    version: put.version,
                    key_diversification: channel.key_diversification,
                }))
            }
            (Some(job), _) => self.run(job, script, out),
        }
    }

    /// The key store has written the new keys: their command goes back to it for protection.
    fn put_keys<'o>(&mut self, block: &[u8], out: &'o mut [u8]) -> Step<'o> {
        let command =
            Command::new(0x80, put_key::INS, 0x00, SEVERAL | KID_ENC).with_data(block).with_ne(Ne::MAX_SHORT);
        match (self.manager.channel(), command.write(out)) {
            (Some(channel), Ok(command)) if block.len() <= 255 => {
                self.phase = Phase::Wrapping;
                Step::Key(KeyRequest::Wrap { session: channel.session, command })
            }
            _ => {
                self.part = Part::Closing(Err(WriteError::Key(KeyError::TooLong)));
                self.phase = Phase::Between;
                Step::Written(self.count)
            }
        }
    }

    fn pass_on<'o>(&mut self, step: manager::Step<'o>, script: &mut [u8]) -> Step<'o> {
        match step {
            manager::Step::Send(command) => {
                let written = self.write_command(command, script);
                self.phase = if written.is_some() { Phase::Sent } else { Phase::Aborting };
                if written.is_none() {
                    self.part = Part::Closing(Err(WriteError::Full));
                }
                Step::Written(self.count)
            }
            manager::Step::Key(request) => {
                self.protected = matches!(request, KeyRequest::Wrap { .. });
                self.phase = Phase::Asked;
                let seed = self.plan.host_challenge.as_bytes().try_into();
                match (request, seed) {
                    (KeyRequest::Open(open), _) => Step::Key(KeyRequest::OpenAhead(open)),
                    (KeyRequest::BeginScp11 { request, certificates }, Ok(seed)) => {
                        Step::Key(KeyRequest::Scp11Ahead { request, certificates, seed })
                    }
                    // The session was ready when the key store had begun it.
                    (KeyRequest::FinishScp11 { session, .. }, _) => {
                        self.phase = Phase::Ready(session);
                        Step::Written(self.count)
                    }
                    (request, _) => Step::Key(request),
                }
            }
            manager::Step::Answer { .. } | manager::Step::Stored { .. } => {
                self.phase = Phase::Told;
                Step::Written(self.count)
            }
            manager::Step::Done(outcome) => {
                match (self.part, outcome) {
                    (Part::Closing(verdict), _) => {
                        let verdict = verdict.and_then(|()| self.finish(script));
                        return self.done(verdict);
                    }
                    (_, Outcome::Fault(fault)) => {
                        self.part = Part::Closing(Err(WriteError::Fault(fault)));
                    }
                    (_, Outcome::Complete) => {}
                }
                self.phase = Phase::Between;
                Step::Written(self.count)
            }
        }
    }

    /// Writes a command of the manager's.
    fn write_command(&mut self, command: &[u8], script: &mut [u8]) -> Option<()> {
        let Part::Opening(sent) = self.part else {
            return self.record(command, 0, self.also(), script);
        };
        self.part = Part::Opening(sent.saturating_add(1));
        match sent {
            0 => {
                let locked = Allowed::go_on(Sw::WARNING_SELECTED_INVALIDATED);
                self.record(command, 0, core::slice::from_ref(&locked), script)
            }
            1 if self.plan.card.protocol.has_handshake() => self.record(command, INITIALIZE, &[], script),
            _ => self.record(command, 0, &[], script),
        }
    }

    /// What the card is presumed to answer: buffer and length.
    fn presumed(&self) -> ([u8; PRESUMED_LEN], usize) {
        let mut out = [0; PRESUMED_LEN];
        let card = self.plan.card;
        let mut at = match (self.part, card.protocol.proof()) {
            // What is selected says what it speaks.
            (Part::Opening(1), _) => {
                let mut w = TlvWriter::new(&mut out);
                w.nested(TAG_6F_FCI, |w| {
                    w.put(TAG_84_DF_NAME, card.aid.as_bytes());
                    w.nested(TAG_A5_PROPRIETARY, |w| {
                        recognition::write_template(w, card.protocol.scp().map(Into::into).into_iter());
                    });
                });
                w.finish().map_or(0, |fci| fci.len())
            }
            (Part::Opening(2), Some(proof)) => {
                let answer = Answer {
                    key_diversification: card.key_diversification,
                    key_version: card.key_version,
                    proof,
                };
                let (bytes, len) = answer.to_bytes();
                let mut at = 0;
                let _ = push(&mut out, &mut at, bytes.get(..len).unwrap_or_default());
                at
            }
            _ => 0,
        };
        let _ = push(&mut out, &mut at, &Sw::OK.value().to_be_bytes());
        (out, at)
    }

    fn action(&self) -> Option<&'j Action<'j>> {
        match self.part {
            Part::Action(index) => self.plan.actions.get(index),
            _ => None,
        }
    }

    fn also(&self) -> &'j [Allowed] {
        self.action().map_or(&[], |action| action.also)
    }

    fn record(&mut self, command: &[u8], flags: u8, also: &[Allowed], script: &mut [u8]) -> Option<()> {
        let chained = self.plan.card.protocol.chains_responses(self.plan.level);
        let keep = if self.action().is_some_and(|action| action.keep || chained) { KEEP } else { 0 };
        let ok = core::iter::once(Allowed::go_on(Sw::OK));
        self.record_with(command, flags | keep, ok.chain(also.iter().copied()), script)
    }

    fn record_with(
        &mut self,
        command: &[u8],
        flags: u8,
        allowed: impl Iterator<Item = Allowed>,
        script: &mut [u8],
    ) -> Option<()> {
        let [l1, l2] = u16::try_from(command.len()).ok()?.to_be_bytes();
        push(script, &mut self.at, &[flags, l1, l2])?;
        push(script, &mut self.at, command)?;
        let count_at = self.at;
        push(script, &mut self.at, &[0])?;
        for Allowed { sw, then } in allowed {
            let [high, low] = sw.value().to_be_bytes();
            push(script, &mut self.at, &[high, low, u8::from(then == super::Then::Complete)])?;
            let count = script.get_mut(count_at)?;
            *count = count.checked_add(1)?;
        }
        self.count = self.count.checked_add(1)?;
        Some(())
    }

    fn finish(&self, script: &mut [u8]) -> Result<usize, WriteError> {
        let mut at = self.count_at;
        push(script, &mut at, &self.count.to_be_bytes()).ok_or(WriteError::Full)?;
        Ok(self.at)
    }

    fn done<'o>(&mut self, verdict: Result<usize, WriteError>) -> Step<'o> {
        self.phase = Phase::Done;
        Step::Done(verdict)
    }
}

fn push(out: &mut [u8], at: &mut usize, bytes: &[u8]) -> Option<()> {
    let end = at.checked_add(bytes.len())?;
    out.get_mut(*at..end)?.copy_from_slice(bytes);
    *at = end;
    Some(())
}
