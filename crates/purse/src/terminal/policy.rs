//! Which cards a terminal takes: values, checked before anything is charged. [sheet 8]

use super::service::LastTap;
use crate::date::Stamp;
use crate::keys::CardId;
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
    /// The application is of a type that is not taken here.
    ApplicationType(u8),
    /// The kind of card is not taken here.
    CardType(u8),
    /// Not enabled by its issuer.
    NotEnabled,
    /// Before the start or after the end date.
    OutOfDate,
    /// The issuer is not accepted here.
    Issuer([u8; 4]),
    /// A foreign card that is not valid in other cities.
    NotInteroperable,
    /// On the blacklist. [`Lock`](super::Lock) locks such a card.
    Blacklisted,
    /// Taken here a moment ago.
    Repeated {
        /// Seconds since then.
        seconds: u32,
    },
    /// The operator's record is locked.
    RecordLocked,
    /// The card has no record for this kind of travel.
    NoRecord,
    /// Entering, but inside already.
    AlreadyInside,
    /// Leaving, but not inside.
    NotInside,
    /// Leaving, but inside for too long or since no one knows when.
    OverTime,
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

/// Which record tells of a card's last payment. It is one more command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Last {
    /// None is read.
    Unread,
    /// The newest record of file 001E: JT/T 978 cards, at gates and validators. [sheet 5.6: I:HD,BUS1,BUS2]
    Process,
    /// The newest record of the log: every scheme, but it names no industry.
    Log,
}

/// What a terminal checks.
#[derive(Clone, Copy)]
pub struct Policy<'p> {
    /// Application types (file 0015 byte 8) that are taken; `None`: all.
    pub types: Option<&'p [u8]>,
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
    /// Card types (file 0017 byte 10, which is read then) that are accepted; `None`: all.
    pub card_types: Option<&'p [u8]>,
    /// Cards to turn away.
    pub blacklist: Option<&'p dyn Blacklist>,
    /// Which record is read for the repeat window and for transfer discounts.
    pub last: Last,
    /// The repeat window: so many seconds after a payment this terminal does not take the same card again; 0: no window.
    /// What the card's own record says counts, and what the terminal remembers ([`Tap::with_recent`](super::Tap::with_recent)).
    /// [sheet 8: I:BUS1,HD; 20 s: Shanghai]
    pub repeat_seconds: u32,
    /// Read the card's authentication code and have the PSAM check it (80 CA): 建设部 cards. Two more steps.
    /// [sheet 1.2, 4: I:XA,HB]
    pub auth_code: bool,
    /// The most one tap may charge, fen.
    pub max_fare: u32,
}

impl core::fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Policy")
            .field("types", &self.types)
            .field("enabled", &self.enabled)
            .field("dates", &self.dates)
            .field("issuers", &self.issuers)
            .field("home", &self.home)
            .field("card_type", &self.card_type)
            .field("card_types", &self.card_types)
            .field("last", &self.last)
            .field("repeat_seconds", &self.repeat_seconds)
            .field("auth_code", &self.auth_code)
            .field("max_fare", &self.max_fare)
            .finish_non_exhaustive()
    }
}

impl Default for Policy<'_> {
    fn default() -> Self {
        Self::JTT_978
    }
}

impl Policy<'_> {
    /// For JT/T 978 cards: type, enable flag and dates; every issuer; no blacklist; no repeat window; at most 300 yuan.
    pub const JTT_978: Self = Self {
        types: Some(&[public_info::TYPE_EP, public_info::TYPE_BOTH]),
        enabled: true,
        dates: true,
        issuers: None,
        home: None,
        card_type: false,
        card_types: None,
        blacklist: None,
        last: Last::Unread,
        repeat_seconds: 0,
        auth_code: false,
        max_fare: 30_000,
    };

    /// For 建设部 cards: bytes 8 and 9 are interoperability and version there, file 0017 holds the composite records, and the
    /// card authenticates itself. [sheet 5.2, 5.3: S:TU]
    pub const CJT_166: Self = Self { types: None, enabled: false, auth_code: true, ..Self::JTT_978 };

    /// For highway cards: types 22 (stored value) and 23 (account). [sheet 5.2: I:W-ETC,ETC1]
    pub const ETC: Self = Self {
        types: Some(&[super::etc::TYPE_STORED_VALUE, super::etc::TYPE_ACCOUNT]),
        enabled: false,
        max_fare: 1_000_000,
        ..Self::JTT_978
    };
}

impl Policy<'_> {
    /// Whether file 0017 has to be read for this card.
    #[must_use]
    pub fn wants_management(&self, card: &PublicInfo) -> bool {
        self.card_type
            || self.card_types.is_some()
            || self.home.is_some_and(|home| home != card.issuer_code())
    }

    /// What file 0015 alone tells.
    ///
    /// # Errors
    /// Why the card is not taken.
    pub fn check_public_info(&self, card: &PublicInfo, date: [u8; 4]) -> Result<(), Refusal> {
        let [application_type] = card.get(public_info::APPLICATION_TYPE);
        if self.types.is_some_and(|types| !types.contains(&application_type)) {
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
        if self.home.is_some_and(|home| home != card.issuer_code()) && !management.is_interoperable() {
            return Err(Refusal::NotInteroperable);
        }
        let card_type = management.card_type();
        match self.card_types {
            Some(types) if !types.contains(&card_type) => Err(Refusal::CardType(card_type)),
            _ => Ok(()),
        }
    }

    /// Whether `terminal` took the card a moment ago, as its last payment tells.
    ///
    /// # Errors
    /// [`Refusal::Repeated`].
    pub fn check_last(&self, last: &LastTap, terminal: TerminalNo, now: Stamp) -> Result<(), Refusal> {
        if last.terminal == terminal { self.check_repeat(last.stamp, now) } else { Ok(()) }
    }

    /// Whether this terminal, which took the card at `then`, took it a moment ago. A clock that was set back since forgives.
    ///
    /// # Errors
    /// [`Refusal::Repeated`].
    pub fn check_repeat(&self, then: Stamp, now: Stamp) -> Result<(), Refusal> {
        let seconds = now.seconds_since(then).and_then(|seconds| u32::try_from(seconds).ok());
        match seconds {
            Some(seconds) if seconds < self.repeat_seconds => Err(Refusal::Repeated { seconds }),
            _ => Ok(()),
        }
    }
}

/// What a terminal remembers of cards it took.
pub trait Recent {
    /// When the card was taken last.
    fn last(&self, card: &CardId) -> Option<Stamp>;
}

/// The last `N` cards a terminal took, so that a repeat window costs no command. The caller notes each payment.
#[derive(Debug, Clone)]
pub struct RecentTaps<const N: usize> {
    ring: [Option<(CardId, Stamp)>; N],
    next: usize,
}

impl<const N: usize> RecentTaps<N> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { ring: [None; N], next: 0 }
    }

    /// This card has paid. The oldest note gives way.
    pub fn note(&mut self, card: CardId, stamp: Stamp) {
        if let Some(place) = self.ring.get_mut(self.next) {
            *place = Some((card, stamp));
        }
        self.next = self.next.wrapping_add(1).checked_rem(N).unwrap_or(0);
    }
}

impl<const N: usize> Default for RecentTaps<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Recent for RecentTaps<N> {
    fn last(&self, card: &CardId) -> Option<Stamp> {
        self.ring.iter().flatten().filter(|(noted, _)| noted == card).map(|(_, stamp)| *stamp).max()
    }
}

/// The terminal field of file 001E: 00 00 ‖ PSAM number.
#[must_use]
pub(crate) fn process_terminal(terminal: TerminalNo) -> [u8; 8] {
    crate::pack::Pack::new().put([0, 0]).put(terminal).finish()
}
