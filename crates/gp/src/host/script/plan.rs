//! What a script is to be written for.

use core::fmt;

use huiwan_apdu::Aid;

use super::super::fault::Fault;
use super::super::key_store::{KeyError, KeyRef};
use super::super::manager::Job;
use super::super::open::OpenScp11;
use super::{Allowed, Used};
use crate::initialize_update::Proof;
use crate::scp02::Sequence;
use crate::scp03::challenge::Counter;
use crate::scp03::{Mode, Octets};
use crate::scp11::Variant;
use crate::secure_channel::{Level, Scp};
use crate::{scp02, scp03, scp11};

/// How the card's part in the session is known ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol<'j> {
    /// SCP03 with a pseudo-random challenge: "i" has bit b5.
    Scp03 {
        /// "i".
        options: scp03::Options,
        /// The counter of the session, one more than the card has now.
        counter: Counter,
    },
    /// SCP02: with explicit initiation and the well-known challenge ("i" has bits b3 and b7), or with implicit initiation, where there is
    /// no challenge ("i" without bit b3).
    Scp02 {
        /// "i".
        options: scp02::Options,
        /// The counter of the session, the one the card has now: it moves when the session has begun. [correction 2]
        sequence: Sequence,
    },
    /// SCP11c: no counter, and a card key that may be that of a whole group, so the script serves every card of it, as often as somebody
    /// plays it. Whatever must not happen twice the application has to refuse. [correction 5]
    ///
    /// The certificates of the card have to be known. AID, key version, level and key diversification data are the plan's.
    Scp11c(&'j OpenScp11<'j>),
}

impl Protocol<'_> {
    pub(super) const fn numbers(self) -> [u8; 2] {
        match self {
            Self::Scp03 { options, .. } => [scp03::SCP, options.byte()],
            Self::Scp02 { options, .. } => [scp02::SCP, options.byte()],
            Self::Scp11c(open) => [scp11::SCP, open.variant.byte()],
        }
    }

    /// SCP02's in the lower two bytes; 0 for SCP11, which has none.
    pub(super) const fn counter(self) -> Counter {
        match self {
            Self::Scp03 { counter, .. } => counter,
            Self::Scp02 { sequence, .. } => {
                let [high, low] = sequence.to_bytes();
                Counter::from_bytes([0, high, low])
            }
            Self::Scp11c(_) => Counter::ZERO,
        }
    }

    /// What GET DATA C1 answers before the session; `None`: there is no such value.
    pub(super) const fn due(self) -> Option<Counter> {
        match self {
            Self::Scp03 { counter, .. } => counter.previous(),
            Self::Scp02 { .. } | Self::Scp11c(_) => Some(self.counter()),
        }
    }

    pub(super) const fn is_predictable(self) -> bool {
        match self {
            Self::Scp03 { options, .. } => options.pseudo_random(),
            Self::Scp02 { options, .. } => !options.explicit() || options.predictable(),
            Self::Scp11c(open) => matches!(open.variant, Variant::C) && open.certificates.is_some(),
        }
    }

    /// Whether the session has an INITIALIZE UPDATE.
    pub(super) const fn has_handshake(self) -> bool {
        match self {
            Self::Scp03 { .. } => true,
            Self::Scp02 { options, .. } => options.explicit(),
            Self::Scp11c(_) => false,
        }
    }

    /// The length of the host challenge, or of the seed that stands for it. With implicit initiation nothing but the counter makes the
    /// session keys, so there a challenge must not make two scripts look different.
    pub(super) fn takes(self, challenge: &Octets) -> bool {
        match self {
            Self::Scp03 { options, .. } => challenge.mode() == options.mode(),
            Self::Scp02 { options, .. } if options.explicit() => challenge.mode() == Mode::S8,
            Self::Scp02 { .. } => *challenge == Octets::zero(Mode::S8),
            Self::Scp11c(_) => challenge.mode() == Mode::S16,
        }
    }

    pub(super) const fn allows(self, level: Level) -> bool {
        level.c_mac()
            && match self {
                Self::Scp03 { options, .. } => options.allows(level),
                Self::Scp02 { options, .. } => options.allows(level),
                Self::Scp11c(_) => matches!(level, Level::All | Level::CMacRMac),
            }
    }

    /// Whether an R-MAC hangs on every response before it, so that all have to be kept.
    pub(super) const fn chains_responses(self, level: Level) -> bool {
        matches!(self, Self::Scp02 { .. }) && level.r_mac()
    }

    /// The protocol as recognition data names it.
    pub(super) const fn scp(self) -> Option<Scp> {
        match self {
            Self::Scp03 { options, .. } => Some(Scp::Scp03(options)),
            Self::Scp02 { options, .. } => Some(Scp::Scp02(options)),
            Self::Scp11c(_) => None,
        }
    }

    /// The card's proof as far as it is known without keys.
    pub(super) fn proof(self) -> Option<Proof> {
        match self {
            Self::Scp03 { options, counter } => {
                let nothing = Octets::zero(options.mode());
                Some(Proof::Scp03 {
                    options,
                    card_challenge: nothing,
                    card_cryptogram: nothing,
                    counter: Some(counter),
                })
            }
            Self::Scp02 { sequence, .. } => Some(Proof::Scp02 {
                sequence,
                card_challenge: [0; scp02::CARD_CHALLENGE_LEN],
                card_cryptogram: [0; 8],
            }),
            Self::Scp11c(_) => None,
        }
    }
}

/// The card a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptCard<'j> {
    /// The security domain; its AID is part of the card's challenge.
    pub aid: Aid,
    /// The key version to open the channel with, not 00.
    pub key_version: u8,
    /// The keys in the key store; not looked at for SCP11, whose keys [`Protocol::Scp11c`] names.
    pub key: KeyRef,
    /// Key diversification data, as the card answers it.
    pub key_diversification: [u8; 10],
    /// Protocol and counter.
    pub protocol: Protocol<'j>,
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
            Job::Load(_)
            | Job::Install(_)
            | Job::MakeSelectable(_)
            | Job::Extradite(_)
            | Job::RegistryUpdate(_)
            | Job::Personalise(_)
            | Job::SetStatus(_)
            | Job::Delete(_)
            | Job::DeleteRelated(_)
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
    pub card: ScriptCard<'j>,
    /// Security level, with C-MAC at least.
    pub level: Level,
    /// Fresh random bytes for this script: 8, or 16 for SCP03 in S16 mode. For SCP11c 16 that the ephemeral key follows from. Eight zeros
    /// with implicit initiation, which has no challenge.
    pub host_challenge: Octets,
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
    /// The card's challenge is random, or its key version is not named, or it is SCP11 of another variant or with unknown certificates.
    NotPredictable,
    /// The level has no C-MAC, or the card does not have it.
    Level,
    /// The host challenge is not as long as the protocol wants, see [`Plan::host_challenge`].
    Challenge,
    /// No session of SCP03 has the counter 0.
    Counter,
    /// A script with this counter and this host challenge was written before: both would have the same session keys.
    ChallengeUsed,
    /// Under SCP02 an answer is to be checked that comes behind one that was not kept; the entry of the missing one.
    Gap(u16),
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
            Self::Challenge => f.write_str("host challenge is not one for this protocol"),
            Self::Level => f.write_str("security level is not one for scripts of this card"),
            Self::Counter => f.write_str("no session has the counter 0"),
            Self::ChallengeUsed => f.write_str("host challenge was used with this counter before"),
            Self::Gap(entry) => write!(f, "answer of entry {entry} is missing"),
            Self::Job(index) => write!(f, "action {index} depends on the card's answers"),
            Self::Full => f.write_str("script does not fit"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Key(error) => write!(f, "key store: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}
