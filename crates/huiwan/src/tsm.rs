//! A TSM's visit to one element: a plan of card-management jobs, carried out in order through one phone.
//!
//! ```text
//! plan: open ─ put keys ─ install ─ personalise ─ … ─ close
//! Start ─▶ Key / Send / Answer / Stored … of the first job ─▶ … of the last job ─▶ Done
//! ```
//! [`Session`] is sans-IO like the [`Manager`] it drives: commands go out by [`Step::Send`], secret operations by
//! [`Step::Key`]. It stops at the first job that does not end as wanted and says which. What a job left behind is
//! on the card, not in the session: a new visit begins by looking ([`Job::List`], [`Job::GetData`]).
//!
//! The rest are the pieces of a wristband's plan: [`payment_environment`], [`bank_card`], [`transit_card`] install
//! the built-in modules, [`groupings`] cuts a personalisation script into data groupings.
//!
//! Jobs that outlive a visit, and the worker, are [`huiwan_gp::host::tsm_job`]; a top-up is one of its own,
//! [`huiwan_purse::host::tsm_job`].

use core::fmt;

use heapless::Vec;
use huiwan_apdu::{Aid, Sw};
use huiwan_emv::card::ppse;
use huiwan_gp::crs;
use huiwan_gp::host::{
    Fault, Grouping, Install, Job, KeyAnswer, KeyRequest, KeyStore, Manager, Outcome, manager,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_gp::privileges::Privileges;
use huiwan_tlv::At;
use huiwan_tlv::dgi::{DgiError, Dgis};

use crate::element::{LOAD_FILE, PAYMENT_MODULE, PPSE_MODULE, PURSE_MODULE};

/// Output buffer that is enough for every step.
pub const OUT_LEN: usize = manager::OUT_LEN;

/// What a session is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Begin with the first job.
    Start,
    /// The element's answer to [`Step::Send`]: data ‖ SW.
    Response(&'a [u8]),
    /// The key store's answer to [`Step::Key`].
    Key(KeyAnswer<'a>),
    /// Go on after [`Step::Answer`], [`Step::Stored`] or [`Step::Finished`].
    Continue,
    /// The element, the band or the phone is gone.
    Lost,
}

/// What a session wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step<'o> {
    /// Send this to the element.
    Send(&'o [u8]),
    /// Ask the key store.
    Key(KeyRequest<'o>),
    /// Data a job was for.
    Answer {
        /// The job's place in the plan, from 0.
        job: usize,
        /// Plain response data.
        data: &'o [u8],
        /// Status word.
        sw: Sw,
    },
    /// A data grouping is on the card.
    Stored {
        /// The job's place in the plan, from 0.
        job: usize,
        /// The grouping's place in its script, from 0.
        index: usize,
        /// Its identifier.
        id: u16,
    },
    /// A job is done.
    Finished {
        /// Its place in the plan, from 0.
        job: usize,
    },
    /// The visit is over.
    Done(Visit),
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Visit {
    /// Every job is done.
    Complete,
    /// A job was not done, and none after it.
    Stopped {
        /// Its place in the plan, from 0.
        job: usize,
        /// Why, and what is safe to do.
        fault: Fault,
    },
}

/// The caller's mistake; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The input does not answer the last step.
    UnexpectedInput,
    /// The buffer is smaller than [`OUT_LEN`].
    OutputTooSmall,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedInput => f.write_str("input does not answer the last step of the visit"),
            Self::OutputTooSmall => write!(f, "output buffer is smaller than {OUT_LEN} bytes"),
        }
    }
}

impl core::error::Error for Misuse {}

impl From<manager::Misuse> for Misuse {
    fn from(misuse: manager::Misuse) -> Self {
        match misuse {
            manager::Misuse::OutputTooSmall => Self::OutputTooSmall,
            _ => Self::UnexpectedInput,
        }
    }
}

/// One visit.
#[derive(Debug)]
pub struct Session<'j> {
    manager: Manager<'j>,
    plan: &'j [Job<'j>],
    job: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Working,
    Between,
    Over(Visit),
}

impl<'j> Session<'j> {
    /// A visit with this plan.
    #[must_use]
    pub const fn new(plan: &'j [Job<'j>]) -> Self {
        Self { manager: Manager::new(), plan, job: 0, state: State::Idle }
    }

    /// One step on. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only, with the session as it was before.
    pub fn step<'o>(&mut self, input: Input<'_>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let input = match (self.state, input) {
            (State::Over(visit), _) => return Ok(Step::Done(visit)),
            (State::Idle, Input::Start) => return self.begin(out),
            (State::Between, Input::Continue) => {
                self.job = self.job.saturating_add(1);
                return self.begin(out);
            }
            (State::Working, Input::Response(response)) => manager::Input::Response(response),
            (State::Working, Input::Key(answer)) => manager::Input::Key(answer),
            (State::Working, Input::Continue) => manager::Input::Continue,
            (State::Working, Input::Lost) => manager::Input::CardLost,
            _ => return Err(Misuse::UnexpectedInput),
        };
        let step = self.manager.step(input, out)?;
        Ok(self.pass_on(step))
    }

    fn begin<'o>(&mut self, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        let Some(job) = self.plan.get(self.job) else {
            self.state = State::Over(Visit::Complete);
            return Ok(Step::Done(Visit::Complete));
        };
        let step = self.manager.step(manager::Input::Start(*job), out)?;
        self.state = State::Working;
        Ok(self.pass_on(step))
    }

    fn pass_on<'o>(&mut self, step: manager::Step<'o>) -> Step<'o> {
        let job = self.job;
        match step {
            manager::Step::Send(command) => Step::Send(command),
            manager::Step::Key(request) => Step::Key(request),
            manager::Step::Answer { data, sw } => Step::Answer { job, data, sw },
            manager::Step::Stored { index, id } => Step::Stored { job, index, id },
            manager::Step::Done(Outcome::Complete) => {
                self.state = State::Between;
                Step::Finished { job }
            }
            manager::Step::Done(Outcome::Fault(fault)) => {
                let visit = Visit::Stopped { job, fault };
                self.state = State::Over(visit);
                Step::Done(visit)
            }
        }
    }
}

/// Installs the payment environment, under the name every terminal asks for.
#[must_use]
pub const fn payment_environment() -> Install<'static> {
    install(PPSE_MODULE, ppse::NAME, Parameters::NONE)
}

/// Installs the registry service, through which the wearer chooses which cards answer on the antenna. Readers do not find it.
#[must_use]
pub const fn registry_service() -> Install<'static> {
    Install {
        load_file: crs::LOAD_FILE,
        module: crs::AID,
        instance: crs::AID,
        privileges: Privileges::CONTACTLESS_ACTIVATION,
        parameters: Parameters { contactless: Some(ContactlessState::Deactivated), ..Parameters::NONE },
        make_selectable: true,
    }
}

/// Installs a bank card; `label` (at most 16 bytes) and `priority` are its entry in the payment environment.
#[must_use]
pub const fn bank_card(aid: Aid, label: &[u8], priority: u8) -> Install<'_> {
    let parameters = Parameters { label: Some(label), priority: Some(priority), ..Parameters::NONE };
    install(PAYMENT_MODULE, aid, parameters)
}

/// Installs a transit card; gates select it by its AID, so it has no entry in the payment environment.
#[must_use]
pub const fn transit_card(aid: Aid) -> Install<'static> {
    install(PURSE_MODULE, aid, Parameters::NONE)
}

/// Installs a purse of the scheme these bytes name: a [`Scheme`](huiwan_purse::scheme::Scheme).
#[must_use]
pub const fn purse_card(aid: Aid, scheme: &[u8]) -> Install<'_> {
    install(PURSE_MODULE, aid, Parameters { application: scheme, ..Parameters::NONE })
}

const fn install(module: Aid, instance: Aid, parameters: Parameters<'_>) -> Install<'_> {
    Install {
        load_file: LOAD_FILE,
        module,
        instance,
        privileges: Privileges::NONE,
        parameters,
        make_selectable: true,
    }
}

/// What is wrong with a personalisation script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptError {
    /// A data grouping is none.
    Grouping(DgiError),
    /// More data groupings than there is room for.
    TooMany,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grouping(error) => error.fmt(f),
            Self::TooMany => f.write_str("more data groupings than there is room for"),
        }
    }
}

impl core::error::Error for ScriptError {}

/// Cuts a personalisation script (data groupings one after another) for [`Job::Personalise`]. Groupings `80xx` to
/// `85xx` hold secrets and are to be encrypted, as CPS and the purse number them. [sheet 5.2]
///
/// # Errors
/// [`ScriptError`] and the byte of the script.
pub fn groupings<const N: usize>(script: &[u8]) -> Result<Vec<Grouping<'_>, N>, At<ScriptError>> {
    let mut groupings = Vec::new();
    for grouping in Dgis::new(script) {
        let grouping = grouping.map_err(|error| At::new(ScriptError::Grouping(error.kind()), error.at()))?;
        groupings.push(grouping.into()).map_err(|_| At::new(ScriptError::TooMany, grouping.at))?;
    }
    Ok(groupings)
}

/// The way to an element: sends a command, writes the answer (data ‖ SW) into the buffer and tells its length, or `None` when
/// the element is gone.
pub type Exchange<'x> = dyn FnMut(&[u8], &mut [u8]) -> Option<usize> + 'x;

/// Carries out a whole plan, blocking. Answers a plan asks for are passed over; who wants them drives a [`Session`].
pub fn run(plan: &[Job<'_>], keys: &mut dyn KeyStore, exchange: &mut Exchange<'_>) -> Visit {
    let mut session = Session::new(plan);
    let (mut out, mut bytes, mut answer) = ([0; OUT_LEN], [0; OUT_LEN], [0; OUT_LEN]);
    let mut input = Input::Start;
    loop {
        input = match session.step(input, &mut out) {
            Ok(Step::Send(command)) => match exchange(command, &mut answer).and_then(|len| answer.get(..len))
            {
                Some(answer) => Input::Response(answer),
                None => Input::Lost,
            },
            Ok(Step::Key(request)) => Input::Key(keys.answer(&request, &mut bytes)),
            Ok(Step::Answer { .. } | Step::Stored { .. } | Step::Finished { .. }) => Input::Continue,
            Ok(Step::Done(visit)) => return visit,
            // Every input above answers the step before it.
            Err(_) => Input::Lost,
        };
    }
}
