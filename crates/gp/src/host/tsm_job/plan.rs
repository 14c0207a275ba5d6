//! What a job is for, and how far it is.

use huiwan_apdu::Aid;

use super::super::{Install, KeyRef, Load, Personalise};
use crate::scp03::Level;

/// One thing that is to be so in the end.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Goal<'j> {
    /// The domain has these keys.
    Keys {
        /// The new keys in the key store.
        key: KeyRef,
        /// Their version, 01 to 7F.
        version: u8,
        /// A version that is to be gone then.
        retire: Option<u8>,
    },
    /// The load file is there, in its version.
    Loaded(Load<'j>),
    /// The application is there, personalised, and selectable. [`Install::make_selectable`] is left to the worker.
    Issued {
        /// What to install.
        install: Install<'j>,
        /// With what to personalise it; its `application` is the installed one.
        personalise: Personalise<'j>,
    },
    /// The application is locked, or not there at all.
    Locked(Aid),
    /// The application is there and not locked.
    Unlocked(Aid),
    /// The application is not there.
    Absent(Aid),
}

impl<'j> Goal<'j> {
    /// What to look for in the registry.
    pub(super) fn aid(&self) -> Option<&[u8]> {
        match self {
            Self::Keys { .. } => None,
            Self::Loaded(load) => Some(load.aid()),
            Self::Issued { install, .. } => Some(install.instance.as_bytes()),
            Self::Locked(aid) | Self::Unlocked(aid) | Self::Absent(aid) => Some(aid.as_bytes()),
        }
    }

    /// The load file that is to be there.
    pub(super) const fn load(&self) -> Option<&Load<'j>> {
        match self {
            Self::Loaded(load) => Some(load),
            _ => None,
        }
    }
}

/// A job: who may open a channel, and what is to be so in the end.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'j> {
    /// The domain to open the channel on; `None`: the issuer's, as it is selected by default.
    pub aid: Option<Aid>,
    /// Keys the domain may have now, by version, the most wanted first: the new ones before the old ones.
    pub keys: &'j [(u8, KeyRef)],
    /// Security level.
    pub level: Level,
    /// The goals, at most 255, in order.
    pub goals: &'j [Goal<'j>],
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobState {
    /// The caller's name of the job, so that states and plans are not mixed up.
    pub id: u64,
    /// Goals that are reached.
    pub reached: u8,
    /// Visits that have begun.
    pub visits: u16,
}

impl JobState {
    /// Length of the persisted form, bytes.
    pub const LEN: usize = 12;

    /// The first byte: the version of the form.
    pub const VERSION: u8 = 1;

    /// A job that has not begun.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self { id, reached: 0, visits: 0 }
    }

    /// version 1 ‖ id 8 ‖ goals reached 1 ‖ visits 2.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = self.id.to_be_bytes();
        let [v1, v2] = self.visits.to_be_bytes();
        [Self::VERSION, a, b, c, d, e, f, g, h, self.reached, v1, v2]
    }

    /// Reads the persisted form; `None` for another version or length.
    #[must_use]
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        let &[version, a, b, c, d, e, f, g, h, reached, v1, v2] = raw.first_chunk::<{ Self::LEN }>()?;
        (version == Self::VERSION && raw.len() == Self::LEN).then_some(Self {
            id: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            reached,
            visits: u16::from_be_bytes([v1, v2]),
        })
    }
}
