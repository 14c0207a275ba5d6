//! The contactless registry service (CRS): the application through which the wearer says which applications answer on the antenna,
//! and in which order. Commands and answers as both sides read and write them. [AmdC 3.11]
//!
//! | command | bytes | answer |
//! |---|---|---|
//! | SELECT | `00 A4 04 00` [`AID`] | `6F{84, A5{9F08, 80}}` |
//! | GET DATA | `80 CA 00 A5` | `A5{9F08, 80}`, see [`Service`] |
//! | GET STATUS | `80 F2 40 00` or `01`, [`Search`] | `61{…}*`, see [`entries`] |
//! | SET STATUS | `80 F0 P1 P2`, see [`Change`] | nothing, or 6320 with [`Failed`] |
//!
//! Sources, none of them the text of the amendment: JCardEngine (availability, GET STATUS, counters), a Go host library (values of
//! P1 and P2), the Java interface of the amendment (rights, order, conflicts, events), wallets of bands (volatile priority), a demo
//! wallet of a phone (tag 81, interface).

pub mod set_status;
pub mod status;

use huiwan_apdu::{Aid, Sw};
use huiwan_tlv::{At, Rules, Tag, TlvError, Writer, find};

pub use set_status::{Change, Failed};
pub use status::{Entries, Entry, Search, entries};

/// AID of the service.
pub const AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00]);
/// AID of its executable load file.
pub const LOAD_FILE: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53]);
/// Version of the service.
pub const VERSION: [u8; 2] = [0x01, 0x00];
/// P1 P2 of GET DATA.
pub const GET_DATA: u16 = 0x00A5;

/// Proprietary template.
pub const TAG_A5_PROPRIETARY: Tag = Tag::new(0xA5);
/// Version number.
pub const TAG_9F08_VERSION: Tag = Tag::new(0x9F08);
/// Update counter: of the registry, or of one application.
pub const TAG_80_UPDATES: Tag = Tag::new(0x80);

/// `9F08` has a leading zero in its number, as EMV's tags do.
const RULES: Rules = Rules::EMV;

/// Done in part: the answer names what failed.
pub const SW_PARTLY_DONE: Sw = Sw::new(0x6320);

/// What the service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Version, 0100.
    pub version: [u8; 2],
    /// Global update counter: another value than last time says that something in the registry changed. It goes round.
    pub updates: u16,
}

impl Service {
    /// Reads the answer of GET DATA, or that of SELECT; `Ok(None)` if one of the two is missing.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &[u8]) -> Result<Option<Self>, At<TlvError>> {
        let fci = find(data, RULES, Tag::new(0x6F))?;
        let (inside, base) = fci.map_or((data, 0), |fci| (fci.value(), fci.value_at()));
        let shifted = |base: usize| move |error: At<TlvError>| error.shifted(base);
        let Some(a5) = find(inside, RULES, TAG_A5_PROPRIETARY).map_err(shifted(base))? else {
            return Ok(None);
        };
        let base = base.saturating_add(a5.value_at());
        let of = |tag| find(a5.value(), RULES, tag).map_err(shifted(base));
        let two = |value: &[u8]| <[u8; 2]>::try_from(value).ok();
        let version = of(TAG_9F08_VERSION)?.and_then(|object| two(object.value()));
        let updates = of(TAG_80_UPDATES)?.and_then(|object| two(object.value()));
        Ok(version
            .zip(updates)
            .map(|(version, updates)| Self { version, updates: u16::from_be_bytes(updates) }))
    }

    /// Writes the template `A5`.
    pub fn put(&self, w: &mut Writer<'_>) {
        w.nested(TAG_A5_PROPRIETARY, |w| {
            w.put(TAG_9F08_VERSION, &self.version);
            w.put(TAG_80_UPDATES, &self.updates.to_be_bytes());
        });
    }
}

/// What listeners are told. (the Java interface of AmdC, which has more: of protocol data and of continuous processing, which no
/// application has a say in here, since the band's controller runs the antenna)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Event {
    /// Activated on the antenna.
    Activated = 0x02,
    /// Deactivated.
    Deactivated = 0x82,
    /// Made not activatable by itself.
    NonActivatable = 0x81,
    /// The address (URI) in the display control template changed.
    Uri = 0x04,
    /// Discretionary data changed.
    DiscretionaryData = 0x05,
    /// The logo in the display control template changed.
    Logo = 0x06,
    /// Application family changed.
    Family = 0x0C,
    /// The listener came onto the list of the application.
    ListenerAdded = 0x0E,
    /// The listener went from it.
    ListenerRemoved = 0x8E,
    /// It joined a group.
    GroupMemberAdded = 0x0F,
    /// It left its group.
    GroupMemberRemoved = 0x8F,
    /// Installed, not selectable yet.
    Installed = 0x11,
    /// Selectable.
    Selectable = 0x12,
    /// Locked.
    Locked = 0x13,
    /// Unlocked.
    Unlocked = 0x93,
    /// Deleted.
    Deleted = 0x14,
}

impl Event {
    /// Every event this crate tells.
    pub const EVERY: [Self; 16] = [
        Self::Activated,
        Self::Deactivated,
        Self::NonActivatable,
        Self::Uri,
        Self::DiscretionaryData,
        Self::Logo,
        Self::Family,
        Self::ListenerAdded,
        Self::ListenerRemoved,
        Self::GroupMemberAdded,
        Self::GroupMemberRemoved,
        Self::Installed,
        Self::Selectable,
        Self::Locked,
        Self::Unlocked,
        Self::Deleted,
    ];

    /// Reads the number.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::EVERY.into_iter().find(|event| event.byte() == byte)
    }

    /// The number.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}
