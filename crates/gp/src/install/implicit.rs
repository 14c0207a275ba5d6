//! Implicit selection parameters: on which logical channels of which interfaces an application is selected when nothing is named. `CF` in
//! the system parameters `EF` of INSTALL, one for each channel, and in the entries of GET STATUS. [GPC 6.4.1.1, 11.5.2.3.7]
//!
//! | bits | |
//! |---|---|
//! | b8 | on the contactless interface |
//! | b7 | on the contact interface |
//! | b6 | – |
//! | b5 to b1 | logical channel, 0 to 19 |

/// Parameters of one application at most. (our choice)
pub const IMPLICIT_MAX: usize = 8;

const CONTACTLESS: u8 = 0x80;
const CONTACT: u8 = 0x40;
const CHANNEL: u8 = 0x1F;
const LAST_CHANNEL: u8 = 19;

/// One parameter: a logical channel of one interface or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImplicitSelection(u8);

impl ImplicitSelection {
    /// On these interfaces, on this channel; `None` without an interface, or for a channel over 19.
    #[must_use]
    pub const fn new(contactless: bool, contact: bool, channel: u8) -> Option<Self> {
        let interfaces = if contactless { CONTACTLESS } else { 0 } | if contact { CONTACT } else { 0 };
        Self::from_byte(interfaces | channel)
    }

    /// Reads the byte; `None` for one that names no interface or no channel.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        let known = byte & !(CONTACTLESS | CONTACT | CHANNEL) == 0;
        let named = byte & (CONTACTLESS | CONTACT) != 0 && byte & CHANNEL <= LAST_CHANNEL;
        if known && named { Some(Self(byte)) } else { None }
    }

    /// The byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether it counts on the contactless interface.
    #[must_use]
    pub const fn is_contactless(self) -> bool {
        self.0 & CONTACTLESS != 0
    }

    /// Whether it counts on the contact interface.
    #[must_use]
    pub const fn is_contact(self) -> bool {
        self.0 & CONTACT != 0
    }

    /// The logical channel, 0 to 19.
    #[must_use]
    pub const fn channel(self) -> u8 {
        self.0 & CHANNEL
    }

    /// Whether both count on one channel of one interface.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.channel() == other.channel() && self.0 & other.0 & (CONTACTLESS | CONTACT) != 0
    }
}

/// The parameters of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImplicitSelections {
    bytes: [u8; IMPLICIT_MAX],
    len: usize,
}

impl ImplicitSelections {
    /// None.
    pub const NONE: Self = Self { bytes: [0; IMPLICIT_MAX], len: 0 };

    /// Reads one byte after the other; `None` if one is no parameter, or for too many.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut read = Self::NONE;
        bytes.iter().try_for_each(|&byte| read.push(ImplicitSelection::from_byte(byte)?))?;
        Some(read)
    }

    /// Adds one; `None` if there is no room.
    #[must_use]
    pub fn push(&mut self, one: ImplicitSelection) -> Option<()> {
        *self.bytes.get_mut(self.len)? = one.byte();
        self.len = self.len.saturating_add(1);
        Some(())
    }

    /// The bytes, one for each.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = ImplicitSelection> + '_ {
        self.bytes().iter().map(|&byte| ImplicitSelection(byte))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether one of these and one of the others count on one channel of one interface.
    #[must_use]
    pub fn overlap(&self, others: &Self) -> bool {
        self.iter().any(|one| others.iter().any(|other| one.overlaps(other)))
    }

    /// Whether one of them counts here.
    #[must_use]
    pub fn count_on(&self, contactless: bool, channel: u8) -> bool {
        let here = |one: ImplicitSelection| if contactless { one.is_contactless() } else { one.is_contact() };
        self.iter().any(|one| here(one) && one.channel() == channel)
    }
}
