//! Resumable jobs: what a card is to be like, brought about over as many visits and workers as it takes. [sheet 5.3, 5.4]
//!
//! A [`Plan`] is a list of [`Goal`]s. A [`Worker`] looks at the card before each of them, does only what is missing, and hands out
//! the [`JobState`] whenever it has changed: a few bytes that any worker of any queue or database can go on from. Nothing
//! depends on them being the newest: every goal shows on the card whether it is reached, so a worker that died before it saved
//! its state leaves nothing that is done twice.
//!
//! | goal | how the card shows it | what is done |
//! |---|---|---|
//! | [`Goal::Keys`] | key information (E0) | add, authenticate, then delete the old set; never before the new one has opened a channel |
//! | [`Goal::Loaded`] | registry: load file, its version | LOAD from block 00: a card discards what was torn |
//! | [`Goal::Issued`] | registry: absent, INSTALLED, SELECTABLE | install but not selectable; personalise from the first grouping; make selectable |
//! | [`Goal::Locked`], [`Goal::Unlocked`] | registry: locked bit | SET STATUS |
//! | [`Goal::Absent`] | registry: absent | DELETE |
//!
//! An application can be used only when it is selectable, which is the last thing that happens to it: so a personalisation that
//! was cut off is repeated from its beginning on an application that nobody can have used, and never on one that somebody has.
//!
//! ```text
//! Start ─ Send / Key … ─ Persist(state) ─ Send / Key … ─ Persist(state) ─ Done
//! ```
//!
//! ```
//! use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
//! use huiwan_gp::host::{KeyRef, KeyStore, SoftKeyStore};
//! use huiwan_gp::secure_channel::Level;
//! # mod card { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_card/mod.rs")); }
//! # use card::with_card;
//! # with_card(|card| {
//! // The card's first keys are to be replaced by the TSM's own.
//! let (first, own) = (KeyRef::direct(1), KeyRef::direct(2));
//! let mut store = SoftKeyStore::<2, 1>::new();
//! let key = huiwan_gp::card::TEST_KEY;
//! store.insert(1, &key, &key, &key).unwrap();
//! store.insert(2, &[0x11; 16], &[0x22; 16], &[0x33; 16]).unwrap();
//! let plan = Plan {
//!     aid: None,
//!     keys: &[(0x31, own), (0x30, first)], // new ones before old ones: any worker may find either
//!     level: Level::All,
//!     goals: &[Goal::Keys { key: own, version: 0x31, retire: Some(0x30) }],
//! };
//!
//! // A worker takes the job out of the database, and goes as far as the link lets it.
//! let mut row = JobState::new(4711).to_bytes();
//! let mut worker = Worker::new(plan, JobState::from_bytes(&row).unwrap());
//! let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
//! let mut answer;
//! let mut input = Input::Start([7; 32]); // fresh random bytes
//! let visit = loop {
//!     input = match worker.step(input, &mut out).unwrap() {
//!         Step::Send(command) => {
//!             answer = card(command);
//!             Input::Response(&answer)
//!         }
//!         Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
//!         Step::Persist(state) => {
//!             row = state.to_bytes();
//!             Input::Continue
//!         }
//!         Step::Progress(_) => Input::Continue,
//!         Step::Done(visit) => break visit,
//!     };
//! };
//! assert_eq!(visit, Visit::Complete); // `Visit::Again`: put it back, and try when the card is there again
//! assert_eq!(JobState::from_bytes(&row).unwrap().reached, 1);
//! # });
//! ```

use huiwan_apdu::{Aid, Sw};

use super::fault::{Fault, FaultKind, Stage};
use super::manager::{self, Job, Manager, Misuse, OpenChannel};
use super::{Install, OpenImplicit, Outcome, PutKeys, Transition};
use crate::delete::Target;
use crate::get_status::Scope;
use crate::key_information::TAG_E0_KEY_INFORMATION;
use crate::life_cycle::ApplicationState;
use crate::scp02;
use crate::secure_channel::{Level, Scp};

mod plan;
mod seen;
mod step;

pub use super::manager::OUT_LEN;

/// Bytes of a challenge, of which a card that is not in S16 mode gets half.
const CHALLENGE_LEN: usize = 16;
pub use plan::{Goal, JobState, Plan};
use seen::Seen;
pub use step::{Input, Progress, Step, Visit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Waits for a card.
    Nothing,
    /// The state is being saved, with or without a channel open.
    Saving {
        opened: bool,
    },
    /// The manager is at work.
    Working(Task),
    /// The manager's task has ended; what follows needs its buffer.
    Ended(Outcome, Task),
    Over(Visit),
}

/// What the manager does for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Opens a channel with this candidate.
    Opening(usize),
    /// Reads what the card holds for the goal.
    Looking,
    /// Takes a step towards it.
    Acting(Act),
    /// Gives the session back to the key store; the visit ends like this.
    Closing(Visit),
}

/// A step towards a goal, as far as it matters afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Personalise,
    Other,
}

/// Works on one card during one visit.
#[derive(Debug)]
pub struct Worker<'j> {
    plan: Plan<'j>,
    state: JobState,
    manager: Manager<'j>,
    challenges: [[u8; CHALLENGE_LEN]; 2],
    doing: Doing,
    seen: Seen,
    /// Steps taken towards the present goal.
    steps: u8,
    /// The application of the present goal was personalised in this visit.
    personalised: bool,
    /// The card's SCP02, if it has no handshake.
    implicit: Option<scp02::Options>,
    /// The keys of a channel without a handshake, as long as the card has not taken a command under them.
    unproved: Option<usize>,
}

/// No goal needs more steps: install, personalise, make selectable. A card that wants more does not do what it says.
const MAX_STEPS: u8 = 3;

impl<'j> Worker<'j> {
    /// A visit for the job that is as far as `state` says.
    #[must_use]
    pub const fn new(plan: Plan<'j>, state: JobState) -> Self {
        Self {
            plan,
            state,
            manager: Manager::new(),
            challenges: [[0; CHALLENGE_LEN]; 2],
            doing: Doing::Nothing,
            seen: Seen::NOTHING,
            steps: 0,
            personalised: false,
            implicit: None,
            unproved: None,
        }
    }

    /// The same for a card whose SCP02 has no handshake and whose recognition data names other protocols too, or nothing. The plan's level
    /// has to be command MACs. New keys are none of the goals such a card can reach: nothing would show that they work.
    #[must_use]
    pub fn with_implicit(self, options: scp02::Options) -> Self {
        Self { implicit: Some(options), ..self }
    }

    /// How far the job is.
    #[must_use]
    pub const fn state(&self) -> JobState {
        self.state
    }

    /// One step on. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only, with the worker as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if out.len() < OUT_LEN {
            return Err(Misuse::OutputTooSmall);
        }
        match (self.doing, input) {
            (Doing::Over(visit), _) => Ok(Step::Done(visit)),
            (Doing::Nothing, Input::Start(random)) => {
                for (to, from) in self.challenges.iter_mut().zip(random.as_chunks().0) {
                    *to = *from;
                }
                self.state.visits = self.state.visits.saturating_add(1);
                self.doing = Doing::Saving { opened: false };
                Ok(Step::Persist(self.state))
            }
            (Doing::Saving { opened: false }, Input::Continue) if self.goal().is_some() => self.open(0, out),
            (Doing::Saving { opened: false }, Input::Continue) => Ok(self.over(Visit::Complete)),
            (Doing::Saving { opened: true }, Input::Continue) => self.look(out),
            (Doing::Ended(outcome, task), Input::Continue) => self.after(outcome, task, out),
            (Doing::Saving { opened: true } | Doing::Ended(..), Input::Lost) => {
                self.close(Visit::Again(LOST), out)
            }
            (Doing::Saving { opened: false }, Input::Lost) => Ok(self.over(Visit::Again(LOST))),
            (Doing::Working(task), input) => {
                let input = match input {
                    Input::Response(raw) => manager::Input::Response(raw),
                    Input::Key(answer) => manager::Input::Key(answer),
                    Input::Continue => manager::Input::Continue,
                    Input::Lost => manager::Input::CardLost,
                    Input::Start(_) => return Err(Misuse::UnexpectedInput),
                };
                let step = self.manager.step(input, out)?;
                Ok(self.pass_on(task, step))
            }
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    fn goal(&self) -> Option<&'j Goal<'j>> {
        self.plan.goals.get(usize::from(self.state.reached))
    }

    fn pass_on<'o>(&mut self, task: Task, step: manager::Step<'o>) -> Step<'o> {
        match step {
            manager::Step::Send(command) => Step::Send(command),
            manager::Step::Key(request) => Step::Key(request),
            manager::Step::Stored { index, id } => Step::Progress(Progress::Stored { index, id }),
            manager::Step::Answer { data, sw } => {
                match self.goal() {
                    // What an act answers is not what the card holds.
                    _ if task != Task::Looking => {}
                    Some(goal) if sw.is_ok() || sw.is_warning() => self.seen.note(goal, data),
                    _ => self.seen.unreadable = true,
                }
                Step::Progress(Progress::Read)
            }
            manager::Step::Done(outcome) => {
                if let Task::Closing(visit) = task {
                    return self.over(visit);
                }
                self.doing = Doing::Ended(outcome, task);
                Step::Progress(if matches!(task, Task::Acting(_)) { Progress::Acted } else { Progress::Read })
            }
        }
    }

    fn start<'o>(&mut self, task: Task, job: Job<'j>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let step = self.manager.step(manager::Input::Start(job), out)?;
        self.doing = Doing::Working(task);
        Ok(self.pass_on(task, step))
    }

    fn open<'o>(&mut self, candidate: usize, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some((key_version, key)) = self.plan.keys.get(candidate).copied() else {
            let kind = FaultKind::Key(super::KeyError::UnknownKey);
            return Ok(self.stop(Fault { stage: Stage::InitializeUpdate, kind }));
        };
        let [host_challenge, _] = self.challenges;
        let (aid, level) = (self.plan.aid, self.plan.level);
        let job = match self.implicit {
            None => {
                Job::Open(OpenChannel { aid, key_version, key, level, host_challenge: host_challenge.into() })
            }
            Some(options) if level == Level::CMac => Job::OpenImplicit(OpenImplicit {
                aid,
                options,
                key_version,
                key,
                sequence: None,
                key_diversification: None,
            }),
            Some(_) => {
                let kind = FaultKind::Key(super::KeyError::Level);
                return Ok(self.stop(Fault { stage: Stage::Initiate, kind }));
            }
        };
        self.start(Task::Opening(candidate), job, out)
    }

    fn look<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        self.seen = Seen::NOTHING;
        let job = match self.goal() {
            None => return self.close(Visit::Complete, out),
            Some(Goal::Keys { .. }) => Job::GetData(TAG_E0_KEY_INFORMATION),
            Some(goal) => {
                let scope = if goal.load().is_some() { Scope::LoadFiles } else { Scope::Applications };
                Job::List { scope, prefix: goal.aid().unwrap_or_default() }
            }
        };
        self.start(Task::Looking, job, out)
    }

    /// A task of the manager has ended.
    fn after<'o>(&mut self, outcome: Outcome, task: Task, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        match (outcome, task) {
            (Outcome::Complete, Task::Acting(acted)) => {
                self.personalised |= acted == Act::Personalise;
                self.look(out)
            }
            (Outcome::Complete, Task::Opening(candidate)) => {
                self.unproved = self.is_implicit().then_some(candidate);
                self.look(out)
            }
            (Outcome::Complete, Task::Looking) => {
                self.unproved = None;
                self.act(out)
            }
            (_, Task::Closing(visit)) => Ok(self.over(visit)),
            // Without a handshake it is the first command that shows whose keys they are.
            (Outcome::Fault(Fault { kind: FaultKind::Status(Sw::SECURITY_STATUS), .. }), Task::Looking)
                if self.next_candidate().is_some() =>
            {
                let next = self.next_candidate().unwrap_or_default();
                self.open(next, out)
            }
            // The card has no such keys, any more or yet: nothing was tried with them that counts.
            (Outcome::Fault(fault), Task::Opening(candidate)) if no_such_keys(&fault) => {
                match candidate.checked_add(1).filter(|next| *next < self.plan.keys.len()) {
                    Some(next) => self.open(next, out),
                    None => Ok(self.stop(fault)),
                }
            }
            (Outcome::Fault(fault), _) if passes(&fault) => self.close(Visit::Again(fault), out),
            (Outcome::Fault(fault), _) => {
                let goal = self.state.reached;
                self.close(Visit::Stopped { goal, fault }, out)
            }
        }
    }

    fn channel_version(&self) -> Option<u8> {
        self.manager.channel().map(|channel| channel.key_version)
    }

    fn is_implicit(&self) -> bool {
        let protocol = self.manager.channel().map(|channel| channel.protocol);
        matches!(protocol, Some(Scp::Scp02(options)) if !options.explicit())
    }

    /// The keys to try after those that have not proved themselves.
    fn next_candidate(&self) -> Option<usize> {
        self.unproved?.checked_add(1).filter(|next| *next < self.plan.keys.len())
    }

    /// The card was looked at: the goal is reached, or the next step is clear.
    fn act<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some(goal) = self.goal() else { return self.close(Visit::Complete, out) };
        let stage = if matches!(goal, Goal::Keys { .. }) { Stage::GetData } else { Stage::GetStatus };
        if self.seen.unreadable {
            let fault = Fault { stage, kind: FaultKind::Malformed("registry") };
            return self.close(Visit::Stopped { goal: self.state.reached, fault }, out);
        }
        if matches!(goal, Goal::Unlocked(_)) && self.seen.application.is_none() {
            let fault =
                Fault { stage: Stage::SetStatus, kind: FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND) };
            return self.close(Visit::Stopped { goal: self.state.reached, fault }, out);
        }
        if self.seen.other_version
            && let Some(taken) = goal.aid().and_then(|aid| Aid::new(aid).ok())
        {
            let fault = Fault { stage: Stage::GetStatus, kind: FaultKind::AidTaken(taken) };
            return self.close(Visit::Stopped { goal: self.state.reached, fault }, out);
        }
        let Some(job) = self.next_job(goal) else {
            self.state.reached = self.state.reached.saturating_add(1);
            (self.steps, self.personalised) = (0, false);
            self.doing = Doing::Saving { opened: true };
            return Ok(Step::Persist(self.state));
        };
        if matches!(goal, Goal::Keys { .. }) && self.is_implicit() {
            let fault = Fault { stage: Stage::PutKey, kind: FaultKind::NotProvable };
            return self.close(Visit::Stopped { goal: self.state.reached, fault }, out);
        }
        if self.steps >= MAX_STEPS {
            let fault = Fault { stage, kind: FaultKind::Malformed("registry, which does not change,") };
            return self.close(Visit::Stopped { goal: self.state.reached, fault }, out);
        }
        self.steps = self.steps.saturating_add(1);
        let act = if matches!(job, Job::Personalise(_)) { Act::Personalise } else { Act::Other };
        self.start(Task::Acting(act), job, out)
    }

    /// What is still missing, by what the card shows; `None`: nothing.
    fn next_job(&self, goal: &'j Goal<'j>) -> Option<Job<'j>> {
        let seen = &self.seen;
        let [_, host_challenge] = self.challenges;
        match (goal, seen.application) {
            (Goal::Keys { key, version, .. }, _) if !seen.new_keys => Some(Job::PutKeys(PutKeys {
                key: *key,
                version: *version,
                remove_old: false,
                host_challenge: host_challenge.into(),
            })),
            // Nothing has shown that the new ones are those of the key store.
            (Goal::Keys { key, version, .. }, _)
                if seen.old_keys && self.channel_version() != Some(*version) =>
            {
                Some(Job::Open(OpenChannel {
                    aid: self.plan.aid,
                    key_version: *version,
                    key: *key,
                    level: self.plan.level,
                    host_challenge: host_challenge.into(),
                }))
            }
            (Goal::Keys { retire, .. }, _) if seen.old_keys => {
                Some(Job::Delete(Target::Key { id: None, version: *retire }))
            }
            (Goal::Keys { .. }, _) => None,
            (Goal::Loaded(load), None) => Some(Job::Load(*load)),
            (Goal::Loaded(_), Some(_)) => None,
            (Goal::Issued { install, .. }, None) => {
                Some(Job::Install(Install { make_selectable: false, ..*install }))
            }
            // A locked one too, which the card refuses to personalise: whoever locked it has to say what is to become of it.
            (Goal::Issued { install, personalise }, Some(state))
                if state.unlocked() == ApplicationState::INSTALLED =>
            {
                // Nothing on the card tells whether it is personalised before it is selectable: only this visit knows.
                Some(if self.personalised {
                    Job::MakeSelectable(install.instance)
                } else {
                    Job::Personalise(*personalise)
                })
            }
            (Goal::Issued { .. }, Some(_)) => None,
            (Goal::Locked(aid), Some(state)) if !state.is_locked() => {
                Some(Job::SetStatus(Transition::LockApplication(*aid)))
            }
            (Goal::Unlocked(aid), Some(state)) if state.is_locked() => {
                Some(Job::SetStatus(Transition::UnlockApplication(*aid)))
            }
            (Goal::Absent(aid), Some(_)) => Some(Job::Delete(Target::Content(aid.as_bytes()))),
            (Goal::Locked(_) | Goal::Unlocked(_) | Goal::Absent(_), _) => None,
        }
    }

    /// Ends the visit; the key store hears of it if it holds a session.
    fn close<'o>(&mut self, visit: Visit, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        self.start(Task::Closing(visit), Job::Close, out)
    }

    fn stop<'o>(&mut self, fault: Fault) -> Step<'o> {
        self.over(Visit::Stopped { goal: self.state.reached, fault })
    }

    fn over<'o>(&mut self, visit: Visit) -> Step<'o> {
        self.doing = Doing::Over(visit);
        Step::Done(visit)
    }
}

const LOST: Fault = Fault { stage: Stage::Command, kind: FaultKind::CardLost };

fn no_such_keys(fault: &Fault) -> bool {
    fault.stage == Stage::InitializeUpdate && fault.kind == FaultKind::Status(Sw::REFERENCED_DATA_NOT_FOUND)
}

/// Whether the fault is the link's, not the card's or the plan's.
fn passes(fault: &Fault) -> bool {
    use super::KeyError;
    matches!(
        fault.kind,
        FaultKind::CardLost
            | FaultKind::Key(
                KeyError::NotAuthentic | KeyError::Unavailable | KeyError::UnknownSession | KeyError::Full
            )
    )
}
