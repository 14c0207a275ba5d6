//! A manager that carries out whole tasks on one card: sans-IO, one [`Job`] at a time.
//!
//! ```text
//! Start(job) ─▶ Key(wrap) ─▶ Send ─▶ (card) ─▶ Key(unwrap) ─▶ … ─▶ Answer / Stored ─▶ … ─▶ Done
//! ```
//! The caller carries [`Step::Send`] to the card (hiding 61xx and 6Cxx, as `huiwan_apdu::exchange` does) and gives its answer back as
//! [`Input::Response`]; takes [`Step::Key`] to a [`KeyStore`](super::KeyStore) and gives its answer back as [`Input::Key`]; and goes on
//! after [`Step::Answer`] and [`Step::Stored`] with [`Input::Continue`]. Nothing here waits, so one thread can manage many cards.
//!
//! A [`Fault`] says in words what happened, what it likely means and what is safe to try. After one the channel stays open if it still
//! can be used; [`Manager::channel`] tells.
//!
//! ```
//! use huiwan_gp::host::manager::OUT_LEN;
//! use huiwan_gp::host::{Input, Job, KeyRef, KeyStore, Manager, OpenChannel, Outcome, SoftKeyStore, Step};
//! use huiwan_gp::secure_channel::Level;
//!
//! /// One task, with a card that answers at once and a key store at hand.
//! fn run<'j>(
//!     card: &mut dyn FnMut(&[u8]) -> Vec<u8>,
//!     store: &mut impl KeyStore,
//!     manager: &mut Manager<'j>,
//!     job: Job<'j>,
//! ) -> Outcome {
//!     let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
//!     let mut answer;
//!     let mut input = Input::Start(job);
//!     loop {
//!         input = match manager.step(input, &mut out).expect("the loop answers what is asked") {
//!             Step::Send(command) => {
//!                 answer = card(command);
//!                 Input::Response(&answer)
//!             }
//!             Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
//!             Step::Answer { data, sw } => {
//!                 println!("{data:02X?} {sw}");
//!                 Input::Continue
//!             }
//!             Step::Stored { .. } => Input::Continue,
//!             Step::Done(outcome) => return outcome,
//!         };
//!     }
//! }
//! # mod card { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_card/mod.rs")); }
//! # use card::with_card;
//! # with_card(|card| {
//! let mut store = SoftKeyStore::<1, 1>::new();
//! let key = huiwan_gp::card::TEST_KEY;
//! store.insert(1, &key, &key, &key).unwrap();
//!
//! let mut manager = Manager::new();
//! let open = OpenChannel {
//!     aid: None,
//!     key_version: 0x30,
//!     key: KeyRef::direct(1),
//!     level: Level::All,
//!     host_challenge: [7; 8].into(), // fresh random bytes
//! };
//! assert_eq!(run(card, &mut store, &mut manager, Job::Open(open)), Outcome::Complete);
//! let key_information = Job::GetData(huiwan_gp::key_information::TAG_E0_KEY_INFORMATION);
//! assert_eq!(run(card, &mut store, &mut manager, key_information), Outcome::Complete);
//! assert_eq!(run(card, &mut store, &mut manager, Job::Close), Outcome::Complete);
//! # });
//! ```

use huiwan_apdu::{Aid, Response};
use huiwan_tlv::Tag;

use super::content::{Changing, Delegation, Link};
use super::delete::{self, Removal, Removing};
use super::extradite::{Extradite, RegistryUpdate};
use super::fault::{Fault, FaultKind, Stage};
use super::install::{Install, MakeSelectable};
use super::key_store::{KeyAnswer, KeyError, KeyRef, KeyRequest, PinBlock, SessionId, ZoneValue};
use super::list::Listing;
use super::load::{Load, Loading};
use super::open::{Card, OpenImplicit, OpenScp11, Opening};
use super::personalise::{Personalise, Storing};
use super::put_keys::{PutKeys, Rotating};
use super::set_status::{Moving, Transition};
use crate::delete::Target;
use crate::get_status::Scope;
use crate::scp03::Octets;
use crate::secure_channel::{Level, Scp};

mod command;
mod step;
mod turn;

use command::get_data;
pub(super) use command::{command, copy, expect_ok, get_data_command, tell, too_long};
pub use step::{Input, Misuse, Outcome, Step};
pub(super) use turn::{Event, Todo, Turn};

/// Output buffer that is enough for every step.
pub const OUT_LEN: usize = 640;

/// A task.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Job<'j> {
    /// Select and open a secure channel. A session that was open is forgotten.
    Open(OpenChannel),
    /// The same for a card whose SCP02 has no handshake. [`Job::Open`] does so by itself if the card's recognition data names nothing else.
    OpenImplicit(OpenImplicit),
    /// The same by certificates.
    OpenScp11(OpenScp11<'j>),
    /// Forget the session.
    Close,
    /// Read one data object; [`Step::Answer`] brings it. 6A88 is an answer too: optional data is optional. What reads which:
    /// `66` [`crate::recognition`], `67` [`crate::capability`], `E0` [`crate::key_information`], `9F7F` [`crate::cplc`], `FF21`
    /// [`crate::resources`], `C1` and `C2` [`crate::get_data`].
    GetData(Tag),
    /// Read a part of the registry; [`Step::Answer`] brings one page after another for [`crate::get_status::entries`].
    List {
        /// Which part.
        scope: Scope,
        /// AID or its beginning; empty for all.
        prefix: &'j [u8],
    },
    /// Bring a load file to the card.
    Load(Load<'j>),
    /// Install an application.
    Install(Install<'j>),
    /// Make an installed application selectable.
    MakeSelectable(Aid),
    /// Give something to another security domain.
    Extradite(Extradite),
    /// Change what the registry says of an application.
    RegistryUpdate(RegistryUpdate<'j>),
    /// Personalise an application, or the domain itself, from a script of data groupings.
    Personalise(Personalise<'j>),
    /// Bring a new key set to the card, prove that it works, and only then remove the old one.
    PutKeys(PutKeys),
    /// Change a life cycle state.
    SetStatus(Transition),
    /// Delete an application or a key set. What is not there counts as deleted; the keys the channel stands on are not.
    Delete(Target<'j>),
    /// Delete something with everything that depends on it.
    DeleteRelated(Removal<'j>),
    /// Send any plain command through the channel; [`Step::Answer`] brings whatever the card says.
    Command(&'j [u8]),
}

/// How to open a secure channel.
#[derive(Debug, Clone, Copy)]
pub struct OpenChannel {
    /// What to select; `None` for the card's default, the issuer security domain.
    pub aid: Option<Aid>,
    /// Key version; 00 for the card's first choice.
    pub key_version: u8,
    /// The card's keys in the key store.
    pub key: KeyRef,
    /// Security level.
    pub level: Level,
    /// Fresh random bytes: 8, or 16 if the card may speak SCP03 in S16 mode, of which others get the first 8. With 16, the card's
    /// recognition data decides; if it says nothing S8 is tried first, then S16.
    pub host_challenge: Octets,
}

/// An open secure channel, as the manager knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// The key store's session.
    pub session: SessionId,
    /// Protocol the card answered with.
    pub protocol: Scp,
    /// Level.
    pub level: Level,
    /// Version of the keys that opened it.
    pub key_version: u8,
    /// Application it is opened on.
    pub aid: Aid,
    /// Key diversification data of the card.
    pub key_diversification: [u8; 10],
    /// What the card said of its protocols when it was selected.
    pub(super) card: Card,
}

#[derive(Debug)]
enum Task<'j> {
    None,
    Open(Opening<'j>),
    Close,
    GetData(Tag),
    List(Listing<'j>),
    Load(Load<'j>, Loading),
    Install(Install<'j>, Changing),
    MakeSelectable(MakeSelectable, Changing),
    Extradite(Extradite, Changing),
    RegistryUpdate(RegistryUpdate<'j>, Changing),
    Personalise(Personalise<'j>, Storing),
    PutKeys(PutKeys, Rotating),
    SetStatus(Transition, Moving),
    Delete(Target<'j>, Changing),
    DeleteRelated(Removal<'j>, Removing),
    Command(&'j [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The key store protects a command.
    Wrapping,
    /// The card has a command.
    Sent {
        protected: bool,
    },
    /// The key store opens a response.
    Unwrapping,
    /// The key store does something for the task.
    Asked,
    /// The caller looks at an answer.
    Told,
    /// The key store forgets the session, then the task is over.
    Ending(Outcome),
}

/// The engine. A small plain value: a server keeps one per card.
#[derive(Debug)]
pub struct Manager<'j> {
    cla: u8,
    looks: bool,
    delegation: Option<Delegation>,
    channel: Option<Channel>,
    task: Task<'j>,
    phase: Phase,
}

impl Default for Manager<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'j> Manager<'j> {
    /// A manager without a channel, on the basic logical channel.
    #[must_use]
    pub const fn new() -> Self {
        Self { cla: 0x80, looks: true, delegation: None, channel: None, task: Task::None, phase: Phase::Idle }
    }

    /// The same on logical channel 0 to 3.
    #[must_use]
    pub const fn on_channel(mut self, number: u8) -> Self {
        self.cla = 0x80 | (number & 0x03);
        self
    }

    /// The same for a domain with delegated management: whatever changes content carries a token, and what the card confirms comes by
    /// [`Step::Answer`], its receipt checked, for [`Confirmation::parse`](crate::token::Confirmation::parse) and whoever keeps account.
    #[must_use]
    pub const fn with_delegation(mut self, delegation: Delegation) -> Self {
        self.delegation = Some(delegation);
        self
    }

    /// The same for a card that is not at hand: tasks do not look before they act.
    pub(super) const fn unattended(mut self) -> Self {
        self.looks = false;
        self
    }

    /// The open channel; towards the end of a handshake the one that is being opened.
    #[must_use]
    pub const fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Goes one step. `out` has at least [`OUT_LEN`] bytes.
    ///
    /// # Errors
    /// [`Misuse`] only; the state is unchanged and the call can be repeated correctly.
    pub fn step<'o>(&mut self, input: Input<'_, 'j>, out: &'o mut [u8]) -> Result<Step<'o>, Misuse> {
        if out.len() < OUT_LEN {
            return Err(Misuse::OutputTooSmall);
        }
        match (self.phase, input) {
            (Phase::Idle, Input::Start(job)) => {
                self.task = Task::new(job);
                Ok(self.go_on(Event::Begin, out))
            }
            (Phase::Idle, Input::CardLost) if self.channel.is_none() => Err(Misuse::UnexpectedInput),
            (_, Input::CardLost) => Ok(self.end_channel(FaultKind::CardLost)),
            (Phase::Ending(outcome), Input::Key(_)) => Ok(self.done(outcome)),
            (Phase::Wrapping, Input::Key(KeyAnswer::Bytes(command))) => match copy(command, out) {
                Some(sent) => {
                    self.phase = Phase::Sent { protected: true };
                    Ok(Step::Send(sent))
                }
                None => Ok(self.end_channel(FaultKind::Key(KeyError::Full))),
            },
            // With these the session is as it was. With others nobody knows whether it has moved on.
            (
                Phase::Wrapping,
                Input::Key(KeyAnswer::Refused(error @ (KeyError::TooLong | KeyError::Full))),
            ) => Ok(self.fault(FaultKind::Key(error))),
            (Phase::Wrapping, Input::Key(KeyAnswer::Refused(error))) => {
                Ok(self.end_channel(FaultKind::Key(error)))
            }
            (Phase::Sent { protected: true }, Input::Response(response)) => {
                match (self.channel, copy(response, out)) {
                    (Some(channel), Some(response)) => {
                        self.phase = Phase::Unwrapping;
                        Ok(Step::Key(KeyRequest::Unwrap { session: channel.session, response }))
                    }
                    _ => Ok(self.end_channel(FaultKind::Malformed("response"))),
                }
            }
            (Phase::Sent { protected: false }, Input::Response(response))
            | (Phase::Unwrapping, Input::Key(KeyAnswer::Bytes(response))) => {
                match Response::parse(response) {
                    Ok(response) => Ok(self.go_on(Event::Response(response), out)),
                    Err(_) => Ok(self.fault(FaultKind::Malformed("response"))),
                }
            }
            (Phase::Unwrapping, Input::Key(KeyAnswer::Refused(error))) => {
                Ok(self.end_channel(FaultKind::Key(error)))
            }
            (Phase::Asked, Input::Key(answer)) => Ok(self.go_on(Event::Key(answer), out)),
            (Phase::Told, Input::Continue) => Ok(self.go_on(Event::Continue, out)),
            _ => Err(Misuse::UnexpectedInput),
        }
    }

    /// The task's turn, carried out.
    fn go_on<'o>(&mut self, event: Event<'_>, out: &'o mut [u8]) -> Step<'o> {
        let turn = self.turn(event, out);
        let todo = match turn {
            Ok(todo) => todo,
            Err(fault) => return self.done(Outcome::Fault(fault)),
        };
        let bytes = |len: usize| out.get(..len).unwrap_or_default();
        match (todo, self.channel) {
            (Todo::Command(len), Some(channel)) => {
                self.phase = Phase::Wrapping;
                Step::Key(KeyRequest::Wrap { session: channel.session, command: bytes(len) })
            }
            (Todo::Command(len) | Todo::Bare(len), _) => {
                self.phase = Phase::Sent { protected: false };
                Step::Send(bytes(len))
            }
            (Todo::Open(request), _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::Open(request))
            }
            (Todo::OpenImplicit(request), _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::OpenImplicit(request))
            }
            (Todo::BeginScp11(request, len), _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::BeginScp11 { request, certificates: bytes(len) })
            }
            (Todo::FinishScp11(session, len), _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::FinishScp11 { session, answer: bytes(len) })
            }
            (Todo::Close(session), _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::Close(session))
            }
            (Todo::CloseAndFail(session, fault), _) => {
                self.phase = Phase::Ending(Outcome::Fault(fault));
                Step::Key(KeyRequest::Close(session))
            }
            (Todo::Encrypt(len), Some(channel)) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::Encrypt { session: channel.session, data: bytes(len) })
            }
            (Todo::Reencrypt { zone, chaining, len, pad }, Some(Channel { session, .. })) => {
                self.phase = Phase::Asked;
                let value = ZoneValue { chaining, data: bytes(len), pad };
                Step::Key(KeyRequest::Reencrypt { session, zone, value })
            }
            (Todo::TranslatePin { zone, format, len, account, pad }, Some(Channel { session, .. })) => {
                self.phase = Phase::Asked;
                let (block, behind) = out.split_at_checked(len).unwrap_or_default();
                let account = behind.get(..account).unwrap_or_default();
                let pin = PinBlock { format, account, block, pad };
                Step::Key(KeyRequest::TranslatePinBlock { session, zone, pin })
            }
            (Todo::Export { key, version }, Some(channel)) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::ExportKeys {
                    session: channel.session,
                    key,
                    version,
                    key_diversification: channel.key_diversification,
                })
            }
            (Todo::Sign { key, message }, _) => {
                self.phase = Phase::Asked;
                Step::Key(KeyRequest::SignToken { key, message: bytes(message) })
            }
            (Todo::Verify { key, message, receipt }, _) => {
                self.phase = Phase::Asked;
                let (message, behind) = out.split_at_checked(message).unwrap_or_default();
                let receipt = behind.get(..receipt).unwrap_or_default();
                Step::Key(KeyRequest::VerifyReceipt { key, message, receipt })
            }
            (
                Todo::Encrypt(_) | Todo::Reencrypt { .. } | Todo::TranslatePin { .. } | Todo::Export { .. },
                None,
            ) => self.fault(FaultKind::NoChannel),
            (Todo::Answer(len, sw), _) => {
                self.phase = Phase::Told;
                Step::Answer { data: bytes(len), sw }
            }
            (Todo::Stored(index, id), _) => {
                self.phase = Phase::Told;
                Step::Stored { index, id }
            }
            (Todo::Done, _) => self.done(Outcome::Complete),
        }
    }

    fn turn(&mut self, event: Event<'_>, out: &mut [u8]) -> Turn {
        let cla = self.cla;
        let link = &Link { cla, looks: self.looks, channel: self.channel, delegation: self.delegation };
        match &mut self.task {
            Task::None => Ok(Todo::Done),
            Task::Open(opening) => opening.turn(event, &mut self.channel, cla, out),
            Task::Close => match (event, self.channel.take()) {
                (Event::Begin, Some(channel)) => Ok(Todo::Close(channel.session)),
                _ => Ok(Todo::Done),
            },
            Task::GetData(tag) => get_data(*tag, event, cla, out),
            Task::List(listing) => listing.turn(event, cla, out),
            Task::Load(request, loading) => loading.turn(request, event, link, out),
            Task::Install(request, changing) => request.turn(changing, event, link, out),
            Task::MakeSelectable(request, changing) => request.turn(changing, event, link, out),
            Task::Extradite(request, changing) => request.turn(changing, event, link, out),
            Task::RegistryUpdate(request, changing) => request.turn(changing, event, link, out),
            Task::Personalise(request, storing) => {
                storing.turn(request, event, self.channel.as_ref(), cla, out)
            }
            Task::PutKeys(request, rotating) => rotating.turn(request, event, &mut self.channel, cla, out),
            Task::SetStatus(transition, moving) => moving.turn(transition, event, link, out),
            Task::Delete(target, changing) => delete::turn(target, changing, event, link, out),
            Task::DeleteRelated(removal, removing) => removing.turn(removal, event, link, out),
            Task::Command(command) => match event {
                Event::Begin => {
                    copy(command, out).map(|sent| Todo::Command(sent.len())).ok_or(too_long(Stage::Command))
                }
                Event::Response(response) => tell(&response, out, Stage::Command),
                _ => Ok(Todo::Done),
            },
        }
    }

    fn stage(&self) -> Stage {
        match &self.task {
            Task::Open(opening) => opening.stage(),
            Task::Personalise(_, storing) => storing.stage(),
            Task::PutKeys(_, rotating) => rotating.stage(),
            Task::GetData(_) => Stage::GetData,
            Task::List(_) => Stage::GetStatus,
            Task::Load(_, loading) => loading.stage(),
            Task::Install(..) | Task::MakeSelectable(..) => Stage::Install,
            Task::Extradite(..) => Stage::Extradition,
            Task::RegistryUpdate(..) => Stage::RegistryUpdate,
            Task::SetStatus(_, moving) => moving.stage(),
            Task::Delete(..) | Task::DeleteRelated(..) => Stage::Delete,
            Task::None | Task::Close | Task::Command(_) => Stage::Command,
        }
    }

    fn done<'o>(&mut self, outcome: Outcome) -> Step<'o> {
        self.phase = Phase::Idle;
        self.task = Task::None;
        Step::Done(outcome)
    }

    fn fault<'o>(&mut self, kind: FaultKind) -> Step<'o> {
        let fault = Fault { stage: self.stage(), kind };
        self.done(Outcome::Fault(fault))
    }

    /// The session is of no use any more: the key store forgets it before the task is over.
    fn end_channel<'o>(&mut self, kind: FaultKind) -> Step<'o> {
        match self.channel.take() {
            None => self.fault(kind),
            Some(channel) => {
                self.phase = Phase::Ending(Outcome::Fault(Fault { stage: self.stage(), kind }));
                Step::Key(KeyRequest::Close(channel.session))
            }
        }
    }
}

impl<'j> Task<'j> {
    fn new(job: Job<'j>) -> Self {
        match job {
            Job::Open(request) => Self::Open(Opening::new(request)),
            Job::OpenImplicit(request) => Self::Open(Opening::implicit(request)),
            Job::OpenScp11(request) => Self::Open(Opening::scp11(request)),
            Job::Close => Self::Close,
            Job::GetData(tag) => Self::GetData(tag),
            Job::List { scope, prefix } => Self::List(Listing { scope, prefix, more: false, pages: 0 }),
            Job::Load(request) => Self::Load(request, Loading::new()),
            Job::Install(request) => Self::Install(request, Changing::new()),
            Job::MakeSelectable(aid) => Self::MakeSelectable(MakeSelectable::new(aid), Changing::new()),
            Job::Extradite(request) => Self::Extradite(request, Changing::new()),
            Job::RegistryUpdate(request) => Self::RegistryUpdate(request, Changing::new()),
            Job::Personalise(request) => Self::Personalise(request, Storing::new()),
            Job::PutKeys(request) => Self::PutKeys(request, Rotating::new()),
            Job::SetStatus(transition) => Self::SetStatus(transition, Moving::Start),
            Job::Delete(target) => Self::Delete(target, Changing::new()),
            Job::DeleteRelated(removal) => Self::DeleteRelated(removal, Removing::new()),
            Job::Command(command) => Self::Command(command),
        }
    }
}
