//! The two accounts of a purse application.

use crate::command;
use crate::profile::Profile;
use crate::tti::Tti;

/// The electronic passbook (ED, 电子存折: a bank account in small, with a PIN) or the electronic purse (EP, 电子钱包: no
/// PIN to pay). [sheet 1.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// The passbook.
    Ed,
    /// The purse.
    Ep,
}

impl Account {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ed, Self::Ep];

    /// P2 of the purse commands.
    #[must_use]
    pub const fn p2(self) -> u8 {
        match self {
            Self::Ed => command::ED,
            Self::Ep => command::EP,
        }
    }

    /// The account P2 names.
    #[must_use]
    pub const fn from_p2(p2: u8) -> Option<Self> {
        match p2 {
            command::ED => Some(Self::Ed),
            command::EP => Some(Self::Ep),
            _ => None,
        }
    }

    /// The account this type names; `None` for unload, limit update and the grey lock, which can be on either, and for types
    /// that are not known. [sheet 3.2]
    #[must_use]
    pub const fn named(tti: Tti) -> Option<Self> {
        match tti {
            Tti::ED_LOAD | Tti::CASH | Tti::ED_PURCHASE => Some(Self::Ed),
            Tti::EP_LOAD | Tti::EP_PURCHASE | Tti::CAPP_PURCHASE => Some(Self::Ep),
            _ => None,
        }
    }

    /// The account a transaction of this type is on. Unload, limit update and the grey lock do not say so: where the scheme
    /// has both accounts it is the passbook. \[M\]
    #[must_use]
    pub const fn of(profile: &Profile, tti: Tti) -> Self {
        match Self::named(tti) {
            Some(Self::Ep) => Self::Ep,
            _ if profile.ed => Self::Ed,
            _ => Self::Ep,
        }
    }

    /// The type of a load. [sheet 3.2]
    #[must_use]
    pub const fn load(self) -> Tti {
        match self {
            Self::Ed => Tti::ED_LOAD,
            Self::Ep => Tti::EP_LOAD,
        }
    }

    /// The type of a plain purchase. [sheet 3.2]
    #[must_use]
    pub const fn purchase(self) -> Tti {
        match self {
            Self::Ed => Tti::ED_PURCHASE,
            Self::Ep => Tti::EP_PURCHASE,
        }
    }
}
