//! SET STATUS of the registry service: what can be changed, and what the answer says of that which could not. [AmdC 3.11.4]

use huiwan_tlv::{At, Rules, Tag, TlvError, Writer, find, parse};

use crate::get_status::TAG_4F_AID;
use crate::install::Aids;
use crate::life_cycle::ContactlessState;

/// P1: availability on the antenna.
pub const AVAILABILITY: u8 = 0x01;
/// P1: order of selection.
pub const PRIORITY: u8 = 0x02;
/// P1: communication interface.
pub const INTERFACE: u8 = 0x04;
/// P2 with [`INTERFACE`]: on.
pub const ON: u8 = 0x80;
/// P2 with [`INTERFACE`]: off.
pub const OFF: u8 = 0x00;

/// Which interface: `80` contacts, `40` the antenna.
pub const TAG_80_INTERFACE: Tag = Tag::new(0x80);
/// The antenna.
pub const PROXIMITY: u8 = 0x40;
/// What failed.
pub const TAG_A1_FAILED: Tag = Tag::new(0xA1);
/// What stands in the way. (from memory)
pub const TAG_A2_CONFLICTING: Tag = Tag::new(0xA2);

/// A place in the order of selection. (from a single source; 02 also in wallets)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// Before all others: the first one named becomes the default card.
    Highest = 0x01,
    /// Behind all others.
    Lowest = 0x81,
    /// Before all others until taken back, whatever the lasting order is.
    Volatile = 0x02,
    /// The volatile places are taken back; no AIDs.
    VolatileReset = 0x82,
}

impl Place {
    /// Every place.
    pub const EVERY: [Self; 4] = [Self::Highest, Self::Lowest, Self::Volatile, Self::VolatileReset];
}

/// What SET STATUS changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Activates or deactivates applications. [AmdC 3.11.4.2]
    Availability {
        /// Activated, or deactivated.
        activate: bool,
        /// Which ones.
        aids: Aids<'a>,
    },
    /// Gives applications a place in the order of selection.
    Priority {
        /// Where.
        place: Place,
        /// Which ones, the first before the second.
        aids: Aids<'a>,
    },
    /// Switches the antenna on or off.
    Antenna {
        /// On.
        on: bool,
    },
}

/// Why a SET STATUS command says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// P1 or P2 name nothing that can be changed.
    Parameters,
    /// The data field is not what they ask for.
    Data,
}

impl core::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Parameters => "p1 and p2 name nothing that can be changed",
            Self::Data => "data field is not what p1 asks for",
        })
    }
}

impl core::error::Error for ChangeError {}

impl<'a> Change<'a> {
    /// Reads P1, P2 and the data field.
    ///
    /// # Errors
    /// [`ChangeError`] and its byte in the data field.
    pub fn parse(p1: u8, p2: u8, data: &'a [u8]) -> Result<Self, At<ChangeError>> {
        let names = || {
            let aids = Aids::parse(data).map_err(|error| error.map(|_| ChangeError::Data))?;
            if data.is_empty() { Err(At::new(ChangeError::Data, 0)) } else { Ok(aids) }
        };
        match (p1, p2) {
            (AVAILABILITY, 0 | 1) => Ok(Self::Availability { activate: p2 == 1, aids: names()? }),
            (PRIORITY, _) => {
                let place = Place::EVERY.into_iter().find(|place| *place as u8 == p2);
                match place.ok_or(At::new(ChangeError::Parameters, 0))? {
                    Place::VolatileReset if data.is_empty() => {
                        Ok(Self::Priority { place: Place::VolatileReset, aids: Aids::default() })
                    }
                    Place::VolatileReset => Err(At::new(ChangeError::Data, 0)),
                    place => Ok(Self::Priority { place, aids: names()? }),
                }
            }
            (INTERFACE, ON | OFF) => {
                let wrong = |error: At<TlvError>| error.map(|_| ChangeError::Data);
                match find(data, Rules::ISO, TAG_80_INTERFACE).map_err(wrong)?.map(|object| object.value()) {
                    Some(&[PROXIMITY]) => Ok(Self::Antenna { on: p2 == ON }),
                    _ => Err(At::new(ChangeError::Data, 0)),
                }
            }
            _ => Err(At::new(ChangeError::Parameters, 0)),
        }
    }

    /// P1 and P2.
    #[must_use]
    pub const fn parameters(&self) -> [u8; 2] {
        match self {
            Self::Availability { activate, .. } => [AVAILABILITY, *activate as u8],
            Self::Priority { place, .. } => [PRIORITY, *place as u8],
            Self::Antenna { on } => [INTERFACE, if *on { ON } else { OFF }],
        }
    }

    /// The data field.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        match self {
            Self::Availability { aids, .. } | Self::Priority { aids, .. } => aids.raw(),
            Self::Antenna { .. } => &[0x80, 0x01, PROXIMITY],
        }
    }
}

/// The answer with 6320. AIDs may be of any length here: they are the command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failed<'a> {
    failed: &'a [u8],
    conflicting: &'a [u8],
}

impl<'a> Failed<'a> {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<TlvError>> {
        let of = |tag| Ok(find(data, Rules::ISO, tag)?.map(|object| object.value()).unwrap_or_default());
        Ok(Self { failed: of(TAG_A1_FAILED)?, conflicting: of(TAG_A2_CONFLICTING)? })
    }

    /// What was not changed.
    pub fn failed(&self) -> impl Iterator<Item = &'a [u8]> {
        names(self.failed)
    }

    /// Activated applications that exclude what was not activated.
    pub fn conflicting(&self) -> impl Iterator<Item = &'a [u8]> {
        names(self.conflicting)
    }
}

fn names(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    parse(raw, Rules::ISO).flatten().filter(|object| object.tag() == TAG_4F_AID).map(|object| object.value())
}

/// Writes a list of AIDs in `tag`; nothing for none.
pub(crate) fn put_names<'n>(w: &mut Writer<'_>, tag: Tag, mut list: impl Iterator<Item = &'n [u8]>) {
    if let Some(first) = list.next() {
        w.nested(tag, |w| {
            w.put(TAG_4F_AID, first);
            list.for_each(|name| w.put(TAG_4F_AID, name));
        });
    }
}

/// The state an availability change asks for.
pub(crate) const fn state(activate: bool) -> ContactlessState {
    if activate { ContactlessState::Activated } else { ContactlessState::Deactivated }
}
