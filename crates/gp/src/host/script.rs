//! Scripts made ahead of time: a whole protected session for a card whose challenge a counter tells, played later by a phone or
//! the band without keys. [sheet 5.5]
//!
//! A [`Writer`] runs the jobs of a [`Plan`] through the same [`Manager`](super::Manager) that would do so online, on a card that
//! answers 9000 to everything, and writes down the commands. The keys stay in the key store. One script serves one counter value,
//! so a plan is written for a small [`window`] of them, and a [`Player`](super::Player) takes the one that fits.
//!
//! | protocol | one script is for | known from |
//! |---|---|---|
//! | SCP03 with a pseudo-random challenge, S8 or S16 | one counter value of one card | counter, AID |
//! | SCP02 with the well-known challenge | one counter value of one card | counter, AID |
//! | SCP02 with implicit initiation | one counter value of one card | counter, AID; there is no host challenge either |
//! | SCP11c | all cards that have the key, for ever | the card's certificates |
//!
//! The player judges by status words. Answers it [keeps](Entry::keeps_answer) are [checked](check) by the TSM afterwards, which goes
//! through the session once more; they prove what the card said only with R-MAC. Under SCP02 every R-MAC hangs on all responses before
//! it, so with it every answer of the session is kept.
//!
//! A script holds for whoever has it, until the card's counter has passed it: what must not happen twice has to be refused by the
//! application (a second personalisation of a purse in use, for example), or the counter moved on by the next visit. An SCP11c script has
//! no counter that passes it: it can be played again at any time, on any card with that key, so the application has to count or to know what
//! it has seen. [correction 5]
//!
//! ```
//! use huiwan_gp::card::{CardProfile, Factory, TEST_KEY};
//! use huiwan_gp::host::player::{self, End, Player};
//! use huiwan_gp::host::script::{self, Action, Plan, Protocol, Script, ScriptCard};
//! use huiwan_gp::host::{Job, KeyRef, SoftKeyStore};
//! use huiwan_gp::scp03::Options;
//! use huiwan_gp::scp03::challenge::Counter;
//! use huiwan_gp::secure_channel::Level;
//! # mod card { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_card/mod.rs")); }
//! # use card::with_card;
//! # with_card(|card| {
//! // At the TSM, with the keys: a script for each of the next two sessions.
//! let mut store = SoftKeyStore::<1, 1>::new();
//! store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
//! let actions = [Action { job: Job::Command(&[0x80, 0xCA, 0x00, 0xE0, 0x00]), also: &[], keep: true }];
//! let mut buffers = [[0; 512]; 2];
//! let scripts: Vec<_> = script::window(Counter::ZERO, 2)
//!     .zip(&mut buffers)
//!     .enumerate()
//!     .map(|(number, (counter, buffer))| {
//!         let card = ScriptCard {
//!             aid: CardProfile::DEFAULT.issuer_aid,
//!             key_version: 0x30,
//!             key: KeyRef::direct(1),
//!             key_diversification: Factory::TEST.key_diversification,
//!             protocol: Protocol::Scp03 { options: Options::I70, counter },
//!         };
//!         let plan = Plan {
//!             job: 1,
//!             card,
//!             level: Level::All,
//!             host_challenge: [number as u8; 8].into(), // fresh random bytes
//!             probe: None,
//!             actions: &actions,
//!             used: &[], // those of all scripts written for this card before
//!         };
//!         script::write(plan, &mut store, buffer).unwrap()
//!     })
//!     .collect();
//!
//! // At the phone, without keys.
//! let window: Vec<_> = scripts.iter().map(|script| Script::parse(script).unwrap()).collect();
//! let (mut player, mut out) = (Player::new(&window), [0; player::OUT_LEN]);
//! let mut answer;
//! let mut input = player::Input::Start;
//! let report = loop {
//!     input = match player.step(input, &mut out).unwrap() {
//!         player::Step::Send(command) => {
//!             answer = card(command);
//!             player::Input::Response(&answer)
//!         }
//!         player::Step::Keep(entry) => {
//!             println!("for the TSM, which checks it: answer to entry {entry}");
//!             player::Input::Continue
//!         }
//!         player::Step::Done(report) => break report,
//!     };
//! };
//! assert_eq!((report.end, report.counter.to_bytes()), (End::Complete, [0, 0, 1]));
//! # });
//! ```
//!
//! # Form
//! Big endian; version 1.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version of the form, 01 |
//! | 1 | secure channel protocol, 02, 03 or 11 |
//! | 1 | "i"; of SCP11 the parameters byte, 03 for variant c |
//! | 1 | security level, P1 of EXTERNAL AUTHENTICATE |
//! | 1 | key version |
//! | 8 | job |
//! | 10 | card: key diversification data |
//! | 3 | what GET DATA C1 answers when this script is due; zeros for SCP11 |
//! | 3 | counter of the session; SCP02's in the last two bytes; zeros for SCP11 |
//! | 1 + n | host challenge with its length, which is 0 where INITIALIZE UPDATE is none of the commands |
//! | 1 + n | AID the channel is opened on, with its length |
//! | 2 | number of entries |
//! | … | entries |
//!
//! | bytes of an entry | what |
//! |---|---|
//! | 1 | flags: 01 the answer is kept for the TSM, 02 this is INITIALIZE UPDATE and its answer must name card and counter |
//! | 2 + n | command with its length |
//! | 1 + 3 n | status words the script goes on after, with their number: status 2, then 00 go on or 01 all is done |

use core::fmt;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_tlv::At;

use crate::scp02::Sequence;
use crate::scp03::challenge::Counter;
use crate::scp03::{Mode, Octets};

mod check;
mod goal;
mod plan;
mod write;

pub use check::{check, write};
pub use goal::{MAX_ACTIONS, for_goal};
pub use plan::{Action, Plan, Protocol, ScriptCard, WriteError};
pub use write::{Input, Misuse, OUT_LEN, Step, Writer};

/// The first byte of a script: the version of its form.
pub const VERSION: u8 = 1;

/// The answer is kept for the TSM.
const KEEP: u8 = 0x01;
/// The command is INITIALIZE UPDATE.
const INITIALIZE: u8 = 0x02;

/// The counters of the next `len` sessions of a card whose counter stands at `now`: SCP03 raises it first. [correction 2]
pub fn window(now: Counter, len: usize) -> impl Iterator<Item = Counter> {
    core::iter::successors(now.next(), |counter| counter.next()).take(len)
}

/// The counters of the next `len` sessions of a card whose SCP02 counter stands at `now`: it moves once a session has begun. The last
/// value opens none. [correction 2]
pub fn sequences(now: Sequence, len: usize) -> impl Iterator<Item = Sequence> {
    core::iter::successors(Some(now), |sequence| sequence.next())
        .take_while(|&sequence| sequence != Sequence::LAST)
        .take(len)
}

/// What an accepted status word means for the rest of the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// The next entry.
    GoOn,
    /// What the script is for is so already: nothing more is sent.
    Complete,
}

/// A status word a script goes on after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowed {
    /// The status word.
    pub sw: Sw,
    /// What it means.
    pub then: Then,
}

impl Allowed {
    /// The script goes on after this one.
    #[must_use]
    pub const fn go_on(sw: Sw) -> Self {
        Self { sw, then: Then::GoOn }
    }

    /// After this one there is nothing left to do.
    #[must_use]
    pub const fn complete(sw: Sw) -> Self {
        Self { sw, then: Then::Complete }
    }
}

/// What must not be the same for two scripts of a card's key set: the same session keys would protect different commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Used {
    /// Card: key diversification data.
    pub key_diversification: [u8; 10],
    /// Key version.
    pub key_version: u8,
    /// Counter of the session.
    pub counter: Counter,
    /// Host challenge; zeros with implicit initiation, where the counter is all that makes the session keys. For SCP11 the seed.
    pub host_challenge: Octets,
}

/// What a script says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'s> {
    /// Secure channel protocol.
    pub scp: u8,
    /// "i".
    pub i: u8,
    /// Security level, P1 of EXTERNAL AUTHENTICATE.
    pub level: u8,
    /// Key version.
    pub key_version: u8,
    /// The TSM's name of the job.
    pub job: u64,
    /// Card: key diversification data.
    pub key_diversification: [u8; 10],
    /// What GET DATA C1 answers when this script is due.
    pub due: Counter,
    /// Counter of the session.
    pub counter: Counter,
    /// Host challenge.
    pub host_challenge: &'s [u8],
    /// What the channel is opened on.
    pub aid: Aid,
}

/// A script, wholly checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script<'s> {
    header: Header<'s>,
    count: u16,
    entries: &'s [u8],
}

/// One command of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'s> {
    flags: u8,
    command: &'s [u8],
    allowed: &'s [[u8; 3]],
}

impl<'s> Entry<'s> {
    /// The command as it goes to the card.
    #[must_use]
    pub const fn command(&self) -> &'s [u8] {
        self.command
    }

    /// Whether its answer is kept for the TSM.
    #[must_use]
    pub const fn keeps_answer(&self) -> bool {
        self.flags & KEEP != 0
    }

    /// Whether it is INITIALIZE UPDATE, whose answer must name the script's card and counter.
    #[must_use]
    pub const fn initializes(&self) -> bool {
        self.flags & INITIALIZE != 0
    }

    /// The status words the script goes on after.
    pub fn allowed(&self) -> impl Iterator<Item = Allowed> + use<'s> {
        self.allowed.iter().map(|&[high, low, then]| Allowed {
            sw: Sw::new(u16::from_be_bytes([high, low])),
            then: if then == 0 { Then::GoOn } else { Then::Complete },
        })
    }

    /// What this status word means; `None`: the script stops.
    #[must_use]
    pub fn after(&self, sw: Sw) -> Option<Then> {
        self.allowed().find(|allowed| allowed.sw == sw).map(|allowed| allowed.then)
    }
}

/// What is wrong with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScriptError {
    /// It ends too early.
    Truncated,
    /// A version of the form this crate does not know.
    Version(u8),
    /// A secure channel protocol whose answers the player cannot read.
    Protocol(u8),
    /// An AID that is not 5 to 16 bytes.
    Aid,
    /// A flag or a consequence of a status word this version does not have.
    Flags(u8),
    /// A command that is none.
    Command,
    /// An entry without a status word it goes on after.
    NoStatus,
    /// Bytes behind the last entry.
    Trailing,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("script is truncated"),
            Self::Version(version) => write!(f, "script form {version} is not known"),
            Self::Protocol(scp) => write!(f, "secure channel protocol {scp:02X} is not one of scripts"),
            Self::Aid => f.write_str("aid is not 5 to 16 bytes long"),
            Self::Flags(flags) => write!(f, "flags {flags:02X} are not known"),
            Self::Command => f.write_str("entry is no command"),
            Self::NoStatus => f.write_str("entry allows no status word"),
            Self::Trailing => f.write_str("bytes behind the last entry"),
        }
    }
}

impl core::error::Error for ScriptError {}

/// Takes bytes from the front and knows where it is.
#[derive(Debug, Clone, Copy)]
struct Cursor<'s> {
    rest: &'s [u8],
    at: usize,
}

impl<'s> Cursor<'s> {
    fn take(&mut self, len: usize) -> Result<&'s [u8], At<ScriptError>> {
        let end = self.at.saturating_add(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(At::new(ScriptError::Truncated, end))?;
        self.rest = rest;
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], At<ScriptError>> {
        let end = self.at.saturating_add(self.rest.len());
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| At::new(ScriptError::Truncated, end))
    }

    fn with_length(&mut self) -> Result<&'s [u8], At<ScriptError>> {
        let [len] = self.array()?;
        self.take(len.into())
    }

    fn entry(&mut self) -> Result<Entry<'s>, At<ScriptError>> {
        let at = self.at;
        let [flags] = self.array()?;
        if flags & !(KEEP | INITIALIZE) != 0 {
            return Err(At::new(ScriptError::Flags(flags), at));
        }
        let len = u16::from_be_bytes(self.array()?);
        let at = self.at;
        let command = self.take(len.into())?;
        Command::parse(command).map_err(|error| At::new(ScriptError::Command, error.at()).shifted(at))?;
        let at = self.at;
        let [count] = self.array()?;
        if count == 0 {
            return Err(At::new(ScriptError::NoStatus, at));
        }
        let at = self.at;
        let (allowed, _) = self.take(usize::from(count).saturating_mul(3))?.as_chunks::<3>();
        for (index, &[_, _, then]) in allowed.iter().enumerate() {
            if then > 1 {
                let at = index.saturating_mul(3).saturating_add(2).saturating_add(at);
                return Err(At::new(ScriptError::Flags(then), at));
            }
        }
        Ok(Entry { flags, command, allowed })
    }
}

impl<'s> Script<'s> {
    /// Reads a script and every entry of it.
    ///
    /// # Errors
    /// [`ScriptError`] and the byte it was found at.
    pub fn parse(raw: &'s [u8]) -> Result<Self, At<ScriptError>> {
        let mut cursor = Cursor { rest: raw, at: 0 };
        let [version] = cursor.array()?;
        if version != VERSION {
            return Err(At::new(ScriptError::Version(version), 0));
        }
        let [scp] = cursor.array()?;
        if !matches!(scp, crate::scp02::SCP | crate::scp03::SCP | crate::scp11::SCP) {
            return Err(At::new(ScriptError::Protocol(scp), 1));
        }
        let [i, level, key_version] = cursor.array()?;
        let job = u64::from_be_bytes(cursor.array()?);
        let key_diversification = cursor.array()?;
        let due = Counter::from_bytes(cursor.array()?);
        let counter = Counter::from_bytes(cursor.array()?);
        let host_challenge = cursor.with_length()?;
        let at = cursor.at;
        let aid = Aid::new(cursor.with_length()?).map_err(|_| At::new(ScriptError::Aid, at))?;
        let count = u16::from_be_bytes(cursor.array()?);
        let entries = cursor.rest;
        for _ in 0..count {
            cursor.entry()?;
        }
        if !cursor.rest.is_empty() {
            return Err(At::new(ScriptError::Trailing, cursor.at));
        }
        let header = Header {
            scp,
            i,
            level,
            key_version,
            job,
            key_diversification,
            due,
            counter,
            host_challenge,
            aid,
        };
        Ok(Self { header, count, entries })
    }

    /// What the script says of itself.
    #[must_use]
    pub const fn header(&self) -> &Header<'s> {
        &self.header
    }

    /// The number of its commands.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Its commands in order.
    #[must_use]
    pub const fn entries(&self) -> Entries<'s> {
        Entries(Cursor { rest: self.entries, at: 0 })
    }

    /// For the list of what later scripts must not use again; `None` if the host challenge is neither 8 nor 16 bytes, and for SCP11, whose
    /// scripts do not tell: that is the plan's.
    #[must_use]
    pub fn used(&self) -> Option<Used> {
        let host_challenge = match self.header.host_challenge {
            [] if self.header.scp == crate::scp02::SCP => Octets::zero(Mode::S8),
            challenge => Octets::new(challenge)?,
        };
        Some(Used {
            key_diversification: self.header.key_diversification,
            key_version: self.header.key_version,
            counter: self.header.counter,
            host_challenge,
        })
    }
}

/// The commands of a script.
#[derive(Debug, Clone)]
pub struct Entries<'s>(Cursor<'s>);

impl<'s> Iterator for Entries<'s> {
    type Item = Entry<'s>;

    fn next(&mut self) -> Option<Entry<'s>> {
        // Every entry was read by `Script::parse`.
        self.0.entry().ok()
    }
}
