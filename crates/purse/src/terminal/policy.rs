//! Which cards a terminal takes: values, checked before anything is charged. [sheet 8]

use crate::mac::TerminalNo;
use crate::transit::management::Management;
use crate::transit::public_info::{self, PublicInfo};

/// Why a card is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The card has no such application.
    NoApplication,
    /// The application is temporarily locked.
    Locked,
    /// The application is permanently locked.
    PermanentlyLocked,
    /// Neither purse nor passbook and purse.
    ApplicationType(u8),
    /// Not enabled by its issuer.
    NotEnabled,
    /// Before the start or after the end date.
    OutOfDate,
    /// The issuer is not accepted here.
    Issuer([u8; 4]),
    /// A foreign card that is not valid in other cities.
    NotInteroperable,
    /// On the blacklist.
    Blacklisted,
    /// The operator's record is locked.
    RecordLocked,
    /// The card has no record for this kind of travel.
    NoRecord,
    /// Entering, but inside already.
    AlreadyInside,
    /// Leaving, but not inside.
    NotInside,
    /// The balance does not cover the fare.
    InsufficientBalance {
        /// Fen on the card, if it told.
        balance: Option<u32>,
        /// Fen to pay.
        fare: u32,
    },
    /// The fare is above the most this terminal may charge.
    FareTooHigh,
}

/// Lost and stolen cards.
pub trait Blacklist {
    /// Whether the card with this serial number is on it.
    fn lists(&self, serial: &[u8; 10]) -> bool;
}

impl<F: Fn(&[u8; 10]) -> bool> Blacklist for F {
    fn lists(&self, serial: &[u8; 10]) -> bool {
        self(serial)
    }
}

/// What a terminal checks.
#[derive(Clone, Copy)]
pub struct Policy<'p> {
    /// Byte 9 of file 0015 has to be 01.
    pub enabled: bool,
    /// The date has to lie between start and end.
    pub dates: bool,
    /// Four-byte issuer codes that are accepted; `None`: all.
    pub issuers: Option<&'p [[u8; 4]]>,
    /// With a home issuer, cards of others need the interoperability flag of file 0017, which is read then.
    pub home: Option<[u8; 4]>,
    /// Read file 0017 even without need of the check, because the fare depends on the card type.
    pub card_type: bool,
    /// Cards to turn away.
    pub blacklist: Option<&'p dyn Blacklist>,
    /// The most one tap may charge, fen.
    pub max_fare: u32,
}

impl core::fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Policy")
            .field("enabled", &self.enabled)
            .field("dates", &self.dates)
            .field("issuers", &self.issuers)
            .field("home", &self.home)
            .field("card_type", &self.card_type)
            .field("max_fare", &self.max_fare)
            .finish_non_exhaustive()
    }
}

impl Default for Policy<'_> {
    /// Enable flag and dates; every issuer; no blacklist; at most 300 yuan.
    fn default() -> Self {
        Self {
            enabled: true,
            dates: true,
            issuers: None,
            home: None,
            card_type: false,
            blacklist: None,
            max_fare: 30_000,
        }
    }
}

impl Policy<'_> {
    /// Whether file 0017 has to be read for this card.
    #[must_use]
    pub fn wants_management(&self, card: &PublicInfo) -> bool {
        self.card_type || self.home.is_some_and(|home| home != card.issuer_code())
    }

    /// What file 0015 alone tells.
    ///
    /// # Errors
    /// Why the card is not taken.
    pub fn check_public_info(&self, card: &PublicInfo, date: [u8; 4]) -> Result<(), Refusal> {
        let [application_type] = card.get(public_info::APPLICATION_TYPE);
        if !matches!(application_type, public_info::TYPE_EP | public_info::TYPE_BOTH) {
            return Err(Refusal::ApplicationType(application_type));
        }
        if self.enabled && !card.is_enabled() {
            return Err(Refusal::NotEnabled);
        }
        if self.dates && !card.is_valid_on(date) {
            return Err(Refusal::OutOfDate);
        }
        if self.issuers.is_some_and(|issuers| !issuers.contains(&card.issuer_code())) {
            return Err(Refusal::Issuer(card.issuer_code()));
        }
        let serial = card.get(public_info::SERIAL);
        if self.blacklist.is_some_and(|blacklist| blacklist.lists(&serial)) {
            return Err(Refusal::Blacklisted);
        }
        Ok(())
    }

    /// What file 0017 adds.
    ///
    /// # Errors
    /// Why the card is not taken.
    pub fn check_management(&self, card: &PublicInfo, management: &Management) -> Result<(), Refusal> {
        match self.home {
            Some(home) if home != card.issuer_code() && !management.is_interoperable() => {
                Err(Refusal::NotInteroperable)
            }
            _ => Ok(()),
        }
    }
}

/// The terminal field of file 001E: 00 00 ‖ PSAM number.
#[must_use]
pub(crate) fn process_terminal(terminal: TerminalNo) -> [u8; 8] {
    crate::pack::Pack::new().put([0, 0]).put(terminal).finish()
}
