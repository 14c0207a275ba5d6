//! Calls between instances: forwards of a security domain, and the way of a command through the domain of its application.
//!
//! Scratch is a stack. The command is at its bottom, each caller's data lie above it, and the call on top has the rest. A frame
//! remembers a call that waits; nothing recurses.

use core::ops::Range;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_crypto::CryptoError;
use zeroize::Zeroize;

use super::{Callee, Element, Environment, Job};
use crate::batch::{Batch, WRITE_OVERHEAD};
use crate::context::{Context, Outbox, Protection};
use crate::directory::{Directory, Entry};
use crate::memory::{InstanceId, Memory};
use crate::module::{Action, Forward, Module};
use crate::response::ResponseWriter;

/// A module call.
#[derive(Clone, Debug)]
pub(super) enum Call {
    PowerOn,
    Select,
    Deselect,
    Install(Range<usize>),
    Personalise(u16, Range<usize>),
    Uninstall,
    Notified(u8, Aid),
    Process(Range<usize>),
    Forwarded(Range<usize>, Sw),
    Computed(Range<usize>, Result<usize, CryptoError>),
}

/// A call to go on with.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Forwarded(Sw),
    Computed(Result<usize, CryptoError>),
}

/// A call of `process` that is under way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    callee: Callee,
    /// Where in scratch its command is.
    command: Range<usize>,
    /// Where its own part of scratch begins.
    base: usize,
    waits: Waits,
}

/// What a frame does with the status word of the frame above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// It called another instance and hears the result.
    Forwarded,
    /// It handed its command to its domain, whose answer is the answer.
    Domain,
}

impl Frame {
    pub(super) fn new(callee: Callee, command: Range<usize>, base: usize) -> Self {
        Self { callee, command, base, waits: Waits::Forwarded }
    }

    pub(super) fn instance(&self) -> InstanceId {
        self.callee.instance
    }

    pub(super) fn base(&self) -> usize {
        self.base
    }
}

/// Performs `call`; `front` is the part of scratch that belongs to the callers.
pub(super) fn perform(
    module: &dyn Module,
    cx: &mut Context<'_>,
    front: &[u8],
    reply: &mut ResponseWriter<'_>,
    call: Call,
) -> Action {
    fn command(front: &[u8], at: Range<usize>) -> Result<Command<'_>, Sw> {
        front.get(at).and_then(|raw| Command::parse(raw).ok()).ok_or(Sw::WRONG_LENGTH)
    }
    fn status(result: Result<(), Sw>) -> Action {
        Action::Reply(result.err().unwrap_or(Sw::OK))
    }
    let action = match call {
        Call::PowerOn => {
            module.power_on(cx);
            Ok(Action::Reply(Sw::OK))
        }
        Call::Select => Ok(Action::Reply(module.select(cx, reply))),
        Call::Deselect => {
            module.deselect(cx);
            Ok(Action::Reply(Sw::OK))
        }
        Call::Install(at) => Ok(status(module.install(cx, front.get(at).unwrap_or_default()))),
        Call::Personalise(dgi, at) => {
            Ok(status(module.personalise(cx, dgi, front.get(at).unwrap_or_default())))
        }
        Call::Uninstall => Ok(status(module.uninstall(cx))),
        Call::Notified(event, about) => {
            module.notified(cx, event, &about);
            Ok(Action::Reply(Sw::OK))
        }
        Call::Process(at) => command(front, at).map(|command| module.process(cx, &command, reply)),
        Call::Forwarded(at, sw) => {
            command(front, at).map(|command| module.forwarded(cx, &command, sw, reply))
        }
        Call::Computed(at, result) => {
            command(front, at).map(|command| module.computed(cx, &command, result, reply))
        }
    };
    action.unwrap_or_else(Action::Reply)
}

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    /// Calls the frame on top: its `process`, or what it waited for.
    pub(super) fn top(&mut self, env: &mut Environment<'_>, then: Option<Then>) -> Action {
        let Some(Frame { callee, command, base, .. }) = self.frames.last().cloned() else {
            return Action::Reply(Sw::UNKNOWN);
        };
        let call = match then {
            None => Call::Process(command),
            Some(Then::Forwarded(sw)) => Call::Forwarded(command, sw),
            Some(Then::Computed(result)) => Call::Computed(command, result),
        };
        self.call(env, &callee, base, call)
    }

    /// Carries out actions until the command is answered, or `None` when a job has to be done first.
    pub(super) fn run(&mut self, env: &mut Environment<'_>, mut action: Action) -> Option<Sw> {
        loop {
            action = match action {
                Action::Reply(sw) => {
                    let done = self.frames.pop()?;
                    let Some(caller) = self.frames.last() else { return Some(sw) };
                    let (base, waits) = (caller.base, caller.waits);
                    if let Some(above) = self.scratch.get_mut(base.max(done.command.end.min(done.base))..) {
                        above.zeroize();
                    }
                    match waits {
                        Waits::Domain => Action::Reply(sw),
                        Waits::Forwarded => self.top(env, Some(Then::Forwarded(sw))),
                    }
                }
                Action::ToSecurityDomain => match self.push_domain() {
                    Ok(()) => self.top(env, None),
                    Err(sw) => Action::Reply(sw),
                },
                Action::Forward(Forward::Process { to, protection, len }) => {
                    match self.push_process(to, protection, len) {
                        Ok(()) => {
                            self.answer.clear();
                            self.top(env, None)
                        }
                        Err(sw) => self.top(env, Some(Then::Forwarded(sw))),
                    }
                }
                Action::Forward(forward) => {
                    let result = self.forward(env, forward);
                    let next = self.top(env, Some(Then::Forwarded(result.err().unwrap_or(Sw::OK))));
                    if let (Ok(()), Forward::Uninstall { instance }) = (result, forward) {
                        self.forget(instance);
                    }
                    next
                }
                Action::Compute(compute) => {
                    let frame = self.frames.last()?;
                    self.job = Some(Job::new(frame.instance(), compute));
                    return None;
                }
            }
        }
    }

    /// The domain of the instance on top processes the command of that instance.
    fn push_domain(&mut self) -> Result<(), Sw> {
        let frame = self.frames.last().cloned().ok_or(Sw::UNKNOWN)?;
        let domain = self.directory.entry(&mut self.memory, frame.instance())?.domain;
        if self.frames.iter().any(|frame| frame.instance() == domain) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let entry = self.directory.entry(&mut self.memory, domain)?;
        let callee = Callee { served: Some(frame.instance()), ..Callee::of(&entry) };
        let served = Frame::new(callee, frame.command, frame.base);
        self.frames.push(served).map_err(|_| Sw::CONDITIONS_NOT_SATISFIED)?;
        let below = self.frames.len().saturating_sub(2);
        if let Some(frame) = self.frames.get_mut(below) {
            frame.waits = Waits::Domain;
        }
        Ok(())
    }

    fn push_process(&mut self, to: InstanceId, protection: Protection, len: usize) -> Result<(), Sw> {
        let caller = self.frames.last().cloned().ok_or(Sw::UNKNOWN)?;
        let entry = self.reachable(caller.instance(), to)?;
        if to == caller.instance() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let command = caller.base..caller.base.saturating_add(len);
        let base = command.end;
        let callee = Callee { protection, ..Callee::of(&entry) };
        self.frames.push(Frame::new(callee, command, base)).map_err(|_| Sw::CONDITIONS_NOT_SATISFIED)
    }

    /// The calls that cannot wait for anything.
    fn forward(&mut self, env: &mut Environment<'_>, forward: Forward) -> Result<(), Sw> {
        let caller = self.frames.last().cloned().ok_or(Sw::UNKNOWN)?;
        let data = |len: usize| caller.base..caller.base.saturating_add(len);
        let (callee, base, call) = match forward {
            Forward::Install { module, instance, aid, len } => {
                self.check_domain(caller.instance())?;
                self.check_idle(instance)?;
                let callee =
                    Callee { instance, module, aid, protection: Protection::default(), served: None };
                (callee, data(len).end, Call::Install(data(len)))
            }
            Forward::Personalise { to, dgi, len } => {
                let entry = self.associated(caller.instance(), to)?;
                (Callee::of(&entry), data(len).end, Call::Personalise(dgi, data(len)))
            }
            Forward::Uninstall { instance } => {
                let entry = self.reachable(caller.instance(), instance)?;
                self.check_idle(instance)?;
                (Callee::of(&entry), caller.base, Call::Uninstall)
            }
            Forward::Process { .. } => return Err(Sw::UNKNOWN),
        };
        let written = self.answer.len;
        let result = self.call(env, &callee, base, call);
        self.answer.set_len(written);
        if let Some(above) = self.scratch.get_mut(caller.base..) {
            above.zeroize();
        }
        match result {
            Action::Reply(sw) if sw.is_ok() => Ok(()),
            Action::Reply(sw) => Err(sw),
            _ => Err(Sw::UNKNOWN),
        }
    }

    /// 6982 unless `instance` is a security domain.
    fn check_domain(&mut self, instance: InstanceId) -> Result<(), Sw> {
        let entry = self.directory.entry(&mut self.memory, instance)?;
        if entry.is_security_domain() { Ok(()) } else { Err(Sw::SECURITY_STATUS) }
    }

    /// 6985 while `instance` is selected or processes a command.
    fn check_idle(&self, instance: InstanceId) -> Result<(), Sw> {
        let busy = self.is_selected(instance) || self.frames.iter().any(|frame| frame.instance() == instance);
        if busy { Err(Sw::CONDITIONS_NOT_SATISFIED) } else { Ok(()) }
    }

    /// The entry of `to`, which the domain `from` may call: it belongs to it, or `from` is the issuer's domain.
    fn reachable(&mut self, from: InstanceId, to: InstanceId) -> Result<Entry, Sw> {
        self.check_domain(from)?;
        let entry = self.directory.entry(&mut self.memory, to)?;
        if from == InstanceId::ISSUER || entry.domain == from { Ok(entry) } else { Err(Sw::SECURITY_STATUS) }
    }

    /// The entry of `to`, which the domain `from` may personalise: it is associated with it, be it an application or a domain below.
    /// Nobody else may, the issuer's domain neither. [GPC 7.3.3, 11.11]
    fn associated(&mut self, from: InstanceId, to: InstanceId) -> Result<Entry, Sw> {
        self.check_domain(from)?;
        let domain = self.directory.associated(&mut self.memory, to)?;
        if domain == from { self.directory.entry(&mut self.memory, to) } else { Err(Sw::SECURITY_STATUS) }
    }

    /// Tells instances what concerns them. What they want to tell others in turn is not carried any further.
    pub(super) fn deliver_notices(&mut self, env: &mut Environment<'_>) {
        let outbox = self.outbox.take();
        for notice in outbox.iter() {
            let Ok(entry) = self.directory.entry(&mut self.memory, notice.to) else { continue };
            self.scratch.as_mut_slice().zeroize();
            self.call(env, &Callee::of(&entry), 0, Call::Notified(notice.event, notice.about));
            self.sweep_slots(self.current.channel);
        }
        self.outbox = Outbox::new();
    }

    /// Deletes what is left of an instance that is in the directory no more.
    fn forget(&mut self, instance: InstanceId) {
        if self.directory.entry(&mut self.memory, instance) != Err(Sw::REFERENCED_DATA_NOT_FOUND) {
            return;
        }
        let mut buffer = [0; WRITE_OVERHEAD];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(instance);
        // What cannot be deleted now is deleted by the next installation under this number.
        let _ = self.memory.commit(&batch);
    }
}
