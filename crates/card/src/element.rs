//! The dispatcher: a set of modules and their instances behind one APDU interface.
//!
//! ```text
//! command ─ class, channel ─┬─ SELECT by name, MANAGE CHANNEL, GET RESPONSE: answered here
//!                           └─ selected instance ─┬─ Reply
//!                                                 ├─ ToSecurityDomain ─ its domain ─ Forward::Process ─ back to the instance
//!                                                 ├─ Forward (domains): install, personalise, process, uninstall
//!                                                 └─ Compute ─ Turn::Compute to the caller ─ resume
//! ```
//!
//! Rules:
//! - An instance is selected on one channel at a time; a second channel gets 6985. [GPC 6.3]
//! - The previous application is deselected, and its volatile slot zeroized, before the next one is selected.
//! - A SELECT that fails leaves the application selected that was. If it failed because the application found refused, the session
//!   state of the one that stays has ended (its slot is zero); otherwise nothing happened to it.
//! - Volatile slots belong to an instance on a channel. The security domain of the selected application keeps its slot, and so its
//!   secure channel, until another application is selected on that channel or the channel is closed. [GPC 10.2.3]
//! - An error status word goes without data. An answer longer than asked for is kept for GET RESPONSE, whatever the protocol.

mod answer;
mod chain;
mod channel;
mod forward;
mod job;
mod options;
mod select;

use huiwan_apdu::{Aid, Class, Command, SecureMessaging, Sw};
use huiwan_crypto::{International, Random, Suite};
use zeroize::Zeroize;

use crate::bytes::copy;
use crate::context::{Context, DateTime, Interface, Outbox, Protection};
use crate::directory::{Directory, Entry};
use crate::memory::{InstanceId, Memory};
use crate::module::{Action, Module, ModuleId};
use crate::response::ResponseWriter;

use answer::{Answer, Pending};
use chain::Chain;
use channel::{Channel, Slot};
use forward::{Call, Frame};
pub use job::Job;
use job::Signer;
pub use options::Options;

/// The number of logical channels a class byte can name. [ISO 7816-4 5.4.1]
pub const CHANNELS: usize = 20;
/// The most data an answer has, unless [`Element::with_answer`] makes room for more.
pub const MAX_RESPONSE: usize = 256;
/// Bytes of an answer with its status word.
pub const ANSWER_LEN: usize = MAX_RESPONSE + 2;
/// The scratch every call finds at least.
pub const MIN_SCRATCH: usize = 1024;
/// The class of the grey-lock commands. [JR/T 0025.9]
const FUEL_CLASS: u8 = 0xE0;
/// How many calls can wait for each other: an application, its domain, the application again, and one more.
const DEPTH: usize = 4;

/// What the element takes from outside for the time of one call.
pub struct Environment<'a> {
    /// Random numbers.
    pub random: &'a mut dyn Random,
    /// The time, if known.
    pub now: Option<DateTime>,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn<'r> {
    /// The answer: data ‖ SW1 ‖ SW2.
    Reply(&'r [u8]),
    /// A long private-key operation has to be done first: with [`Element::run_job`], or by an accelerator and [`Element::resume`].
    /// Meanwhile the link can ask the reader for more time. A new command abandons it.
    Compute(Job),
}

/// Whether a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Answered,
    Computing(Job),
}

/// What of the command under way outlives its bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Current {
    header: [u8; 4],
    ne: Option<usize>,
    has_data: bool,
    channel: u8,
}

/// A secure element: modules, a directory of their instances, and memory.
///
/// `SLOTS` volatile slots of `SLOT` bytes hold session state: two for each channel in use (the application and its domain) and
/// one for calls between instances. `SCRATCH` bytes hold the command and are work space; at least 2048. An installation takes the
/// command, the forwarded data and [`MIN_SCRATCH`] from it; where less is left, the answer is 6A84.
///
/// `ANSWER` bytes hold the answer and its status word. What does not fit one response is fetched by GET RESPONSE.
pub struct Element<
    'm,
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize = ANSWER_LEN,
> {
    modules: &'m [&'m dyn Module],
    directory: D,
    memory: M,
    options: Options,
    interface: Option<Interface>,
    starting: bool,
    wearer_verified: bool,
    channels: [Channel; CHANNELS],
    slots: [Slot<SLOT>; SLOTS],
    frames: heapless::Vec<Frame, DEPTH>,
    job: Option<Job>,
    current: Current,
    chain: Option<Chain>,
    scratch: [u8; SCRATCH],
    answer: Answer<ANSWER>,
    pending: Option<Pending>,
    outbox: Outbox,
    signer: Signer,
}

/// Whom a call reaches.
#[derive(Clone, Copy, Debug)]
struct Callee {
    instance: InstanceId,
    module: ModuleId,
    aid: Aid,
    protection: Protection,
    served: Option<InstanceId>,
}

impl Callee {
    fn of(entry: &Entry) -> Self {
        Self {
            instance: entry.instance,
            module: entry.module,
            aid: entry.aid,
            protection: Protection::default(),
            served: None,
        }
    }
}

impl<'m, M: Memory, D: Directory, const SLOTS: usize, const SLOT: usize, const SCRATCH: usize>
    Element<'m, M, D, SLOTS, SLOT, SCRATCH>
{
    const CHECKED: () = assert!(SCRATCH >= 2048, "scratch holds at least 2048 bytes");

    /// An element without power. `modules` are found by [`ModuleId`].
    pub fn new(modules: &'m [&'m dyn Module], directory: D, memory: M) -> Self {
        let () = Self::CHECKED;
        Self {
            modules,
            directory,
            memory,
            options: Options::DEFAULT,
            interface: None,
            starting: false,
            wearer_verified: false,
            channels: [Channel::CLOSED; CHANNELS],
            slots: [const { Slot::FREE }; SLOTS],
            frames: heapless::Vec::new(),
            job: None,
            current: Current::default(),
            chain: None,
            scratch: [0; SCRATCH],
            answer: Answer::new(),
            pending: None,
            outbox: Outbox::new(),
            signer: Signer::of::<International>(),
        }
    }
}

impl<
    'm,
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'m, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    /// The same, whose private-key operations in software are those of another suite than `International`.
    #[must_use]
    pub fn with_suite<S: Suite>(mut self) -> Self {
        self.signer = Signer::of::<S>();
        self
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Power and a reader at `interface`: a session begins. Every instance's [`Module::power_on`] is called and the default
    /// application is selected on the basic channel. A session that was under way ends first.
    pub fn power_on(&mut self, interface: Interface, env: &mut Environment<'_>) {
        self.end_session();
        self.interface = Some(interface);
        self.begin_session(env);
    }

    /// Power is gone: the session ends, all volatile state is zeroized, and the wearer is no longer verified.
    pub fn power_off(&mut self) {
        self.end_session();
        self.interface = None;
        self.wearer_verified = false;
    }

    /// A warm reset: the session ends and another one begins on the same interface with the next command.
    pub fn reset(&mut self) {
        self.end_session();
        self.starting = self.interface.is_some();
    }

    /// The band verified its wearer, or no longer vouches for it.
    ///
    /// The verification holds for one tap: one session on the contactless interface, from power-on to reset, power-off or the next
    /// power-on, whichever comes first. Sessions on other interfaces do not use it up; [`power_off`](Self::power_off) clears it
    /// always. Nothing that arrives in an APDU sets it.
    pub fn set_wearer_verified(&mut self, verified: bool) {
        self.wearer_verified = verified;
    }

    /// Whether the wearer counts as verified now.
    #[must_use]
    pub fn wearer_verified(&self) -> bool {
        self.wearer_verified
    }

    /// The interface of the session, `None` without power.
    #[must_use]
    pub fn interface(&self) -> Option<Interface> {
        self.interface
    }

    /// The instance selected on `channel`.
    #[must_use]
    pub fn selected(&self, channel: u8) -> Option<InstanceId> {
        self.channels.get(usize::from(channel)).and_then(|c| c.selected).map(|s| s.instance)
    }

    /// Processes one command APDU.
    pub fn transmit<'r>(&'r mut self, command: &[u8], env: &mut Environment<'_>) -> Turn<'r> {
        let progress = self.receive(command, env);
        self.turn(progress)
    }

    /// Processes one command APDU and does its private-key operations in software; returns data ‖ SW1 ‖ SW2.
    pub fn exchange<'r>(&'r mut self, command: &[u8], env: &mut Environment<'_>) -> &'r [u8] {
        let mut progress = self.receive(command, env);
        while let Progress::Computing(_) = progress {
            progress = self.compute(env);
        }
        self.answer.sent()
    }

    /// The memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory, for idle work such as [`Journal::collect`](crate::Journal::collect).
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// The directory.
    pub fn directory(&self) -> &D {
        &self.directory
    }

    /// Ends the element and hands its memory back.
    pub fn into_memory(mut self) -> M
    where
        M: Sized,
    {
        self.power_off();
        self.memory
    }

    fn turn(&self, progress: Progress) -> Turn<'_> {
        match progress {
            Progress::Answered => Turn::Reply(self.answer.sent()),
            Progress::Computing(job) => Turn::Compute(job),
        }
    }

    fn begin_session(&mut self, env: &mut Environment<'_>) {
        self.starting = false;
        self.current = Current::default();
        let Some(interface) = self.interface else { return };
        if let Some(basic) = self.channels.first_mut() {
            basic.open = true;
        }
        let mut index = 0_usize;
        while let Ok(Some(entry)) = self.directory.nth(&mut self.memory, index) {
            self.call(env, &Callee::of(&entry), 0, Call::PowerOn);
            self.sweep_slots(0);
            index = index.saturating_add(1);
        }
        if let Ok(entry) = self.directory.default(&mut self.memory, interface, 0) {
            self.enter(0, &entry, env);
        }
        self.answer.clear();
        self.sweep_slots(0);
        self.scratch.as_mut_slice().zeroize();
    }

    fn end_session(&mut self) {
        if self.interface == Some(Interface::Contactless) && !self.starting {
            self.wearer_verified = false;
        }
        self.starting = false;
        self.channels = [Channel::CLOSED; CHANNELS];
        for slot in &mut self.slots {
            slot.release();
        }
        self.abandon();
        self.chain = None;
    }

    /// Forgets the command under way and the answer that waits.
    fn abandon(&mut self) {
        self.frames.clear();
        self.job = None;
        self.pending = None;
        self.outbox = Outbox::new();
        self.answer.clear();
        self.scratch.as_mut_slice().zeroize();
    }

    fn receive(&mut self, raw: &[u8], env: &mut Environment<'_>) -> Progress {
        if self.interface.is_none() {
            self.answer.only(Sw::UNKNOWN);
            return Progress::Answered;
        }
        if self.starting {
            self.begin_session(env);
        }
        if self.job.is_some() || !self.frames.is_empty() {
            self.abandon();
        }
        match self.dispatch(raw, env) {
            Ok(Some(sw)) | Err(sw) => self.finish(sw, env),
            Ok(None) => match self.job {
                Some(job) => Progress::Computing(job),
                None if self.answer.sent().is_empty() => self.finish(Sw::UNKNOWN, env),
                None => Progress::Answered,
            },
        }
    }

    /// Carries the command as far as it goes: a status word, or `None` when a job or an answer is ready.
    fn dispatch(&mut self, raw: &[u8], env: &mut Environment<'_>) -> Result<Option<Sw>, Sw> {
        let command = match Command::parse(raw) {
            Ok(command) if self.options.extended_length || !command.is_extended() => command,
            _ => return self.unreadable(raw, env),
        };
        self.current = Current {
            header: command.header(),
            ne: command.ne().map(|ne| ne.get()),
            has_data: !command.data().is_empty(),
            channel: 0,
        };
        let class = Class::parse(command.cla()).map_err(|_| Sw::CLA_NOT_SUPPORTED)?;
        let channel = self.channel_of(&class);
        if !self.channels.get(usize::from(channel)).is_some_and(|c| c.open) {
            return Err(Sw::CHANNEL_NOT_SUPPORTED);
        }
        self.current.channel = channel;
        if self.resume_answer(&command) {
            return Ok(None);
        }
        self.pending = None;
        self.answer.clear();

        let interindustry = !class.is_proprietary();
        if (class.chaining() || self.chain.is_some()) && (interindustry || self.joins(channel)) {
            return self.join(&class, &command, env);
        }
        if self.chain.take().is_some() {
            self.scratch.as_mut_slice().zeroize();
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        match command.ins() {
            0xA4 if interindustry && command.p1() == 0x04 => {
                if class.secure_messaging() != SecureMessaging::None {
                    return Err(Sw::SECURE_MESSAGING_NOT_SUPPORTED);
                }
                self.select(&command, channel, env).map(Some)
            }
            0x70 if interindustry => {
                if class.secure_messaging() != SecureMessaging::None {
                    return Err(Sw::SECURE_MESSAGING_NOT_SUPPORTED);
                }
                self.manage_channel(&command, channel, env).map(Some)
            }
            0xC0 => Err(Sw::CONDITIONS_NOT_SATISFIED),
            _ => {
                let space = self.scratch.get_mut(..raw.len()).ok_or(Sw::WRONG_LENGTH)?;
                copy(space, raw);
                self.process(raw.len(), env)
            }
        }
    }

    /// Fuel cards have commands of class `E0`, which is also a secured class of channel 4 [GPC 11.1.4]: an element without
    /// channel 4 hands it to the application on the basic channel, whose own affair it is.
    fn channel_of(&self, class: &Class) -> u8 {
        match (class.to_byte(), class.channel()) {
            (FUEL_CLASS, named) if named >= self.options.channels => 0,
            (_, named) => named,
        }
    }

    /// 6700 for what is no command. If its class announces secure messaging, its header goes to the application without data: a wrong Lc
    /// is a change on the way like any other, and the protection that was agreed is missing. [GPC D.1.4, E.1.6]
    fn unreadable(&mut self, raw: &[u8], env: &mut Environment<'_>) -> Result<Option<Sw>, Sw> {
        let sw = self.wrong_length();
        let header @ &[cla, ..] = raw.first_chunk::<4>().ok_or(sw)?;
        let class = Class::parse(cla).map_err(|_| sw)?;
        let open = self.channels.get(usize::from(class.channel())).is_some_and(|channel| channel.open);
        if class.secure_messaging() == SecureMessaging::None || !open {
            return Err(sw);
        }
        self.dispatch(header, env)
    }

    /// 6700, with what the answer to an unreadable command needs.
    fn wrong_length(&mut self) -> Sw {
        self.current = Current::default();
        self.pending = None;
        self.answer.clear();
        Sw::WRONG_LENGTH
    }

    /// The command in the first `len` bytes of scratch goes to the selected instance.
    fn process(&mut self, len: usize, env: &mut Environment<'_>) -> Result<Option<Sw>, Sw> {
        let selected = self
            .channels
            .get(usize::from(self.current.channel))
            .and_then(|channel| channel.selected)
            .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let entry = self
            .directory
            .entry(&mut self.memory, selected.instance)
            .ok()
            // Locking it, or the card, holds at once: also for a session that another channel had begun before.
            .filter(|entry| entry.selectable)
            .ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let frame = Frame::new(Callee::of(&entry), 0..len, len);
        self.frames.push(frame).map_err(|_| Sw::UNKNOWN)?;
        let action = self.top(env, None);
        Ok(self.run(env, action))
    }

    /// Delivers notices, puts the status word behind the answer data and cleans up.
    fn finish(&mut self, sw: Sw, env: &mut Environment<'_>) -> Progress {
        self.frames.clear();
        self.job = None;
        self.deliver_notices(env);
        if self.chain.is_none() {
            self.scratch.as_mut_slice().zeroize();
        }
        self.sweep_slots(self.current.channel);
        self.send(sw);
        Progress::Answered
    }

    /// The one place where a module is called. Bytes before `base` in scratch belong to the callers.
    fn call(&mut self, env: &mut Environment<'_>, callee: &Callee, base: usize, call: Call) -> Action {
        let channel = self.current.channel;
        let Some(&module) = self.modules.get(usize::from(callee.module.0)) else {
            return Action::Reply(Sw::UNKNOWN);
        };
        let Some(volatile) = channel::slot(&mut self.slots, callee.instance, channel) else {
            return Action::Reply(Sw::NOT_ENOUGH_MEMORY);
        };
        let Some((front, scratch)) = self.scratch.split_at_mut_checked(base) else {
            return Action::Reply(Sw::NOT_ENOUGH_MEMORY);
        };
        if scratch.len() < MIN_SCRATCH {
            return Action::Reply(Sw::NOT_ENOUGH_MEMORY);
        }
        let mut cx = Context {
            instance: callee.instance,
            aid: callee.aid,
            channel,
            interface: self.interface.unwrap_or(Interface::Internal),
            now: env.now,
            wearer_verified: self.wearer_verified,
            protection: callee.protection,
            served: callee.served,
            random: &mut *env.random,
            memory: &mut self.memory,
            directory: &self.directory,
            volatile,
            outbox: &mut self.outbox,
            scratch,
        };
        let mut reply = self.answer.writer();
        let action = forward::perform(module, &mut cx, front, &mut reply, call);
        let len = ResponseWriter::len(&reply);
        self.answer.set_len(len);
        action
    }
}
