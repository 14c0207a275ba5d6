//! What a script is to be written for.

use core::fmt;

use huiwan_apdu::Aid;

use super::super::fault::Fault;
use super::super::key_store::{KeyError, KeyRef};
use super::super::manager::Job;
use super::{Allowed, Used};
use crate::initialize_update::Proof;
use crate::scp02::Sequence;
use crate::scp03::challenge::Counter;
use crate::scp03::{Mode, Octets};
use crate::secure_channel::Level;
use crate::{scp02, scp03};

/// How the card's challenge follows from a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// SCP03 in S8 mode with a pseudo-random challenge: "i" has bit b5.
    Scp03 {
        /// "i".
        options: scp03::Options,
        /// The counter of the session, one more than the card has now.
        counter: Counter,
    },
    /// SCP02 with explicit initiation and the well-known challenge: "i" has bits b3 and b7.
    Scp02 {
        /// "i".
        options: scp02::Options,
        /// The counter of the session, the one the card has now: it moves when the session has begun. [correction 2]
        sequence: Sequence,
    },
}

impl Protocol {
    pub(super) const fn numbers(self) -> [u8; 2] {
        match self {
            Self::Scp03 { options, .. } => [scp03::SCP, options.byte()],
            Self::Scp02 { options, .. } => [scp02::SCP, options.byte()],
        }
    }

    /// SCP02's in the lower two bytes.
    pub(super) const fn counter(self) -> Counter {
        match self {
            Self::Scp03 { counter, .. } => counter,
            Self::Scp02 { sequence, .. } => {
                let [high, low] = sequence.to_bytes();
                Counter::from_bytes([0, high, low])
            }
        }
    }

    /// What GET DATA C1 answers before the session; `None`: there is no such value.
    pub(super) const fn due(self) -> Option<Counter> {
        match self {
            Self::Scp03 { counter, .. } => counter.previous(),
            Self::Scp02 { .. } => Some(self.counter()),
        }
    }

    pub(super) fn is_predictable(self) -> bool {
        match self {
            Self::Scp03 { options, .. } => options.pseudo_random() && options.mode() == Mode::S8,
            Self::Scp02 { options, .. } => options.explicit() && options.predictable(),
        }
    }

    /// SCP02's R-MACs hang on every response before, which a script does not have.
    pub(super) const fn allows(self, level: Level) -> bool {
        level.c_mac()
            && match self {
                Self::Scp03 { options, .. } => options.allows(level),
                Self::Scp02 { options, .. } => options.allows(level) && !level.r_mac(),
            }
    }

    /// The card's proof as far as it is known without keys.
    pub(super) fn proof(self) -> Proof {
        let nothing = Octets::from([0; 8]);
        match self {
            Self::Scp03 { options, counter } => Proof::Scp03 {
                options,
                card_challenge: nothing,
                card_cryptogram: nothing,
                counter: Some(counter),
            },
            Self::Scp02 { sequence, .. } => Proof::Scp02 {
                sequence,
                card_challenge: [0; scp02::CARD_CHALLENGE_LEN],
                card_cryptogram: [0; 8],
            },
        }
    }
}

/// The card a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptCard {
    /// The security domain; its AID is part of the card's challenge.
    pub aid: Aid,
    /// The key version to open the channel with, not 00.
    pub key_version: u8,
    /// The keys in the key store.
    pub key: KeyRef,
    /// Key diversification data, as the card answers it.
    pub key_diversification: [u8; 10],
    /// Protocol and counter.
    pub protocol: Protocol,
}

/// One job of a script.
#[derive(Debug, Clone, Copy)]
pub struct Action<'j> {
    /// What to do. [`Job::PutKeys`] only puts; a job that opens, closes or lists is none for a script.
    pub job: Job<'j>,
    /// Status words, besides 9000, after which the script goes on.
    pub also: &'j [Allowed],
    /// The answers are kept for the TSM.
    pub keep: bool,
}

impl Action<'_> {
    /// Whether its commands do not depend on the card's answers.
    pub(super) const fn is_certain(&self) -> bool {
        match &self.job {
            Job::Install(_)
            | Job::MakeSelectable(_)
            | Job::Personalise(_)
            | Job::SetStatus(_)
            | Job::Delete(_)
            | Job::GetData(_)
            | Job::Command(_) => true,
            Job::PutKeys(put) => !put.remove_old,
            Job::Open(_) | Job::OpenImplicit(_) | Job::OpenScp11(_) | Job::Close | Job::List { .. } => false,
        }
    }
}

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'j> {
    /// The TSM's name of the job.
    pub job: u64,
    /// The card and its counter.
    pub card: ScriptCard,
    /// Security level, with C-MAC at least.
    pub level: Level,
    /// Fresh random bytes for this script.
    pub host_challenge: [u8; 8],
    /// An application that is selected, unprotected, before the channel is opened: if it can be, all is done already.
    pub probe: Option<Aid>,
    /// The jobs in order.
    pub actions: &'j [Action<'j>],
    /// What the scripts written for this card before have used up.
    pub used: &'j [Used],
}

/// Why there is no script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The card's challenge is random, or of SCP03's S16 mode, or its key version is not named.
    NotPredictable,
    /// The level has no C-MAC, or the card does not have it, or it is R-MAC under SCP02.
    Level,
    /// No session of SCP03 has the counter 0.
    Counter,
    /// A script with this counter and this host challenge was written before: both would have the same session keys.
    ChallengeUsed,
    /// A job whose course depends on the card's answers; its place among the actions.
    Job(usize),
    /// The script does not fit the buffer, or has more than 65535 commands, or a command over 255 status words.
    Full,
    /// A job cannot be put into commands, or the key store refused.
    Fault(Fault),
    /// The key store refused.
    Key(KeyError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPredictable => f.write_str("card challenge cannot be known ahead of time"),
            Self::Level => f.write_str("security level is not one for scripts of this card"),
            Self::Counter => f.write_str("no session has the counter 0"),
            Self::ChallengeUsed => f.write_str("host challenge was used with this counter before"),
            Self::Job(index) => write!(f, "action {index} depends on the card's answers"),
            Self::Full => f.write_str("script does not fit"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Key(error) => write!(f, "key store: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}
