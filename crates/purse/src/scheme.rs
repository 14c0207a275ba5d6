//! Which scheme a card follows, and what its issuer sets otherwise. One module serves cards of every scheme: each
//! instance is told its own at installation or as the first grouping of personalisation, and keeps it.
//!
//! Our own format, the same in the installation parameters and in grouping `0003`:
//!
//! | bytes | content |
//! |---|---|
//! | none | the profile the module was made with; at installation only |
//! | 1 | profile code ([`Profile::code`]) |
//! | 9 | profile code 1 ‖ version of the settings 01 ‖ [`Settings`] 7 |

use core::fmt;

use huiwan_tlv::At;

use crate::pack::{Pack, Unpack};
use crate::profile::Profile;

/// Why bytes do not name a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemeError {
    /// Neither 1 nor 9 bytes.
    WrongLength,
    /// The settings are of a version unknown here.
    Version,
    /// A limit that would lock the card at once or never count, or a log of fewer than ten records.
    Value,
}

impl fmt::Display for SchemeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongLength => "scheme is neither 1 nor 9 bytes long",
            Self::Version => "version of the issuer's settings is unknown",
            Self::Value => "issuer's setting is out of range",
        })
    }
}

impl core::error::Error for SchemeError {}

/// What an issuer decides within a scheme; each replaces the value of the same name in [`Profile`].
///
/// Seven bytes: wrong transaction MACs 1 ‖ wrong maintenance MACs 1 ‖ PIN tries 1 ‖ log records 1 ‖ flags 1
/// (bit 1 plain updates, bit 2 log reading with PIN, bit 3 reading while locked) ‖ end of the counters 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Wrong transaction MACs until the application is locked, at least 1.
    pub mac_error_limit: u8,
    /// Wrong MACs of secured commands until it is locked for good, at least 1.
    pub maintenance_error_limit: u8,
    /// Wrong presentations of the PIN until it is blocked, 1 to 15.
    pub pin_tries: u8,
    /// Records of the transaction log, 10 to 254.
    pub log_records: u8,
    /// Whether updates without a MAC are allowed.
    pub plain_updates: bool,
    /// Whether reading the log wants a verified PIN, on cards with a passbook.
    pub ed_log_pin: bool,
    /// Whether balance, files and proof can be read while temporarily locked.
    pub locked_reads: bool,
    /// A counter at this value refuses with 9402, at least 1.
    pub counter_end: u16,
}

impl Settings {
    /// The version of the form.
    pub const VERSION: u8 = 0x01;

    const PLAIN_UPDATES: u8 = 0x01;
    const ED_LOG_PIN: u8 = 0x02;
    const LOCKED_READS: u8 = 0x04;

    /// What the profile says, to be changed.
    #[must_use]
    pub const fn of(profile: &Profile) -> Self {
        Self {
            mac_error_limit: profile.mac_error_limit,
            maintenance_error_limit: profile.maintenance_error_limit,
            pin_tries: profile.pin_tries,
            log_records: profile.log_records,
            plain_updates: profile.plain_updates,
            ed_log_pin: profile.ed_log_pin,
            locked_reads: profile.locked_reads,
            counter_end: profile.counter_end,
        }
    }

    /// The profile with these values.
    #[must_use]
    pub const fn apply(&self, profile: &Profile) -> Profile {
        Profile {
            mac_error_limit: self.mac_error_limit,
            maintenance_error_limit: self.maintenance_error_limit,
            pin_tries: self.pin_tries,
            log_records: self.log_records,
            plain_updates: self.plain_updates,
            ed_log_pin: self.ed_log_pin,
            locked_reads: self.locked_reads,
            counter_end: self.counter_end,
            ..*profile
        }
    }

    fn is_sound(&self) -> bool {
        self.mac_error_limit != 0
            && self.maintenance_error_limit != 0
            && (1..=15).contains(&self.pin_tries)
            && (10..=254).contains(&self.log_records)
            && self.counter_end != 0
    }

    fn parse(fields: &mut Unpack<'_>) -> Option<Self> {
        let [mac_error_limit, maintenance_error_limit, pin_tries, log_records, flags] = fields.take();
        let settings = Self {
            mac_error_limit,
            maintenance_error_limit,
            pin_tries,
            log_records,
            plain_updates: flags & Self::PLAIN_UPDATES != 0,
            ed_log_pin: flags & Self::ED_LOG_PIN != 0,
            locked_reads: flags & Self::LOCKED_READS != 0,
            counter_end: fields.u16(),
        };
        let known = Self::PLAIN_UPDATES | Self::ED_LOG_PIN | Self::LOCKED_READS;
        Some(settings).filter(|settings| flags & !known == 0 && settings.is_sound())
    }

    fn to_bytes(self) -> [u8; 7] {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        Pack::new()
            .put([self.mac_error_limit, self.maintenance_error_limit, self.pin_tries, self.log_records])
            .put([flag(self.plain_updates, Self::PLAIN_UPDATES)
                | flag(self.ed_log_pin, Self::ED_LOG_PIN)
                | flag(self.locked_reads, Self::LOCKED_READS)])
            .put(self.counter_end.to_be_bytes())
            .finish()
    }
}

/// The scheme of a card.
///
/// ```
/// use huiwan_purse::profile::Profile;
/// use huiwan_purse::scheme::{Scheme, Settings};
///
/// let settings = Settings { pin_tries: 5, ..Settings::of(&Profile::PBOC) };
/// let scheme = Scheme { profile: Profile::PBOC.code, settings: Some(settings) };
/// let mut out = [0; Scheme::MAX_LEN];
/// let bytes = scheme.write(&mut out);
/// assert_eq!(bytes, [0x02, 0x01, 3, 3, 5, 10, 0x04, 0xFF, 0xFF]);
/// assert_eq!(Scheme::parse(bytes), Ok(scheme));
/// assert_eq!(scheme.resolve(&Profile::JTT_978).map(|profile| profile.pin_tries), Some(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scheme {
    /// [`Profile::code`].
    pub profile: u8,
    /// What the issuer sets otherwise.
    pub settings: Option<Settings>,
}

impl Scheme {
    /// Bytes of the longest form.
    pub const MAX_LEN: usize = 9;

    /// The scheme as it stands, without settings.
    #[must_use]
    pub const fn of(profile: &Profile) -> Self {
        Self { profile: profile.code, settings: None }
    }

    /// Reads 1 or 9 bytes.
    ///
    /// # Errors
    /// Another length, an unknown version, a value out of range.
    pub fn parse(raw: &[u8]) -> Result<Self, At<SchemeError>> {
        let mut fields = Unpack::new(raw);
        let profile = fields.byte();
        match raw.len() {
            1 => Ok(Self { profile, settings: None }),
            Self::MAX_LEN if fields.byte() != Settings::VERSION => Err(At::new(SchemeError::Version, 1)),
            Self::MAX_LEN => match Settings::parse(&mut fields) {
                settings @ Some(_) => Ok(Self { profile, settings }),
                None => Err(At::new(SchemeError::Value, 2)),
            },
            len => Err(At::new(SchemeError::WrongLength, len.min(Self::MAX_LEN))),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn write<'o>(&self, out: &'o mut [u8; Self::MAX_LEN]) -> &'o [u8] {
        match &self.settings {
            None => {
                *out = Pack::new().put([self.profile]).put([0; 8]).finish();
                out.get(..1).unwrap_or_default()
            }
            Some(settings) => {
                *out = Pack::new().put([self.profile, Settings::VERSION]).put(settings.to_bytes()).finish();
                out
            }
        }
    }

    /// The profile it means: `default` if that has the code, else the one of [`Profile::ALL`]; `None` if nobody has it.
    #[must_use]
    pub fn resolve(&self, default: &Profile) -> Option<Profile> {
        let profile =
            core::iter::once(default).chain(Profile::ALL).find(|known| known.code == self.profile)?;
        Some(self.settings.map_or(*profile, |settings| settings.apply(profile)))
    }
}
