use core::fmt;

/// A class byte: who defines the command, its logical channel, chaining, secure messaging. [ISO7816-4 5.4.1]
///
/// | | b8 | b7 | b6 | b5 | b4 b3 | b2 b1 |
/// |---|---|---|---|---|---|---|
/// | first | p | 0 | 0 | chaining | secure messaging | channel 0–3 |
/// | further | p | 1 | secure messaging | chaining | channel − 4 | (4–19) |
///
/// Bit p tells proprietary classes from interindustry ones. ISO leaves their coding open; GlobalPlatform, PBOC and
/// nearly everybody else use the same bits, and so does this type [GPC 11.1.4]. `A0`–`BF` have no such reading: channel 0,
/// no chaining, no secure messaging. `20`–`3F` are reserved and `FF` is invalid.
///
/// ```
/// use huiwan_apdu::{Class, SecureMessaging};
///
/// let class = Class::parse(0x86)?;
/// assert!(class.is_proprietary());
/// assert_eq!(class.channel(), 2);
/// assert_eq!(class.secure_messaging(), SecureMessaging::Proprietary);
/// assert_eq!(class.without_channel().to_byte(), 0x84);
/// # Ok::<(), huiwan_apdu::InvalidClass>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class(u8);

/// A class byte of `FF`, or one reserved by ISO 7816-4 (`20`–`3F`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InvalidClass;

impl fmt::Display for InvalidClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("class byte reserved or invalid")
    }
}

impl core::error::Error for InvalidClass {}

/// What a class byte says about secure messaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums)]
pub enum SecureMessaging {
    /// None, or none indicated.
    None,
    /// In a format that is not ISO's: GlobalPlatform and PBOC (`04`, `84`).
    Proprietary,
    /// ISO secure messaging, the header not authenticated (`08`). In the classes of channels 4 to 19 the only one.
    Iso,
    /// ISO secure messaging, the header authenticated (`0C`).
    IsoWithHeader,
}

const PROPRIETARY: u8 = 0x80;
const FURTHER: u8 = 0x40;
const FURTHER_SECURE: u8 = 0x20;
const CHAINING: u8 = 0x10;

impl Class {
    /// The interindustry class of channel 0, `00`.
    pub const INTERINDUSTRY: Self = Self(0x00);

    /// The proprietary class of channel 0, `80`.
    pub const PROPRIETARY: Self = Self(PROPRIETARY);

    /// Takes a class byte apart.
    ///
    /// # Errors
    /// [`InvalidClass`] for `20`–`3F` and `FF`.
    #[inline]
    pub const fn parse(cla: u8) -> Result<Self, InvalidClass> {
        match cla {
            0x20..=0x3F | 0xFF => Err(InvalidClass),
            _ => Ok(Self(cla)),
        }
    }

    /// The first interindustry class for a channel; `None` above channel 3.
    pub const fn first(channel: u8) -> Option<Self> {
        match channel {
            0..=3 => Some(Self(channel)),
            _ => None,
        }
    }

    /// The further interindustry class for a channel; `None` outside channels 4 to 19.
    pub const fn further(channel: u8) -> Option<Self> {
        match channel {
            4..=19 => Some(Self(FURTHER | channel.wrapping_sub(4))),
            _ => None,
        }
    }

    /// The class byte.
    #[inline]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// Whether the class is proprietary (bit 8).
    #[inline]
    pub const fn is_proprietary(self) -> bool {
        self.0 & PROPRIETARY != 0
    }

    /// The logical channel, 0 to 19.
    #[inline]
    pub const fn channel(self) -> u8 {
        if self.is_opaque() {
            0
        } else if self.is_further() {
            (self.0 & 0x0F).wrapping_add(4)
        } else {
            self.0 & 0x03
        }
    }

    /// Whether more commands of the same chain follow.
    #[inline]
    pub const fn chaining(self) -> bool {
        !self.is_opaque() && self.0 & CHAINING != 0
    }

    /// What it says about secure messaging.
    pub const fn secure_messaging(self) -> SecureMessaging {
        if self.is_opaque() {
            return SecureMessaging::None;
        }
        if self.is_further() {
            return match (self.0 & FURTHER_SECURE != 0, self.is_proprietary()) {
                (false, _) => SecureMessaging::None,
                (true, false) => SecureMessaging::Iso,
                (true, true) => SecureMessaging::Proprietary,
            };
        }
        match self.0 & 0x0C {
            0x00 => SecureMessaging::None,
            0x04 => SecureMessaging::Proprietary,
            0x08 => SecureMessaging::Iso,
            _ => SecureMessaging::IsoWithHeader,
        }
    }

    /// The same class with this proprietary bit.
    #[must_use]
    pub const fn with_proprietary(self, proprietary: bool) -> Self {
        let byte = if proprietary { self.0 | PROPRIETARY } else { self.0 & !PROPRIETARY };
        if is_valid(byte) { Self(byte) } else { self }
    }

    /// The same class with this chaining bit. Classes `A0`–`BF` have none and stay as they are.
    #[must_use]
    pub const fn with_chaining(self, chaining: bool) -> Self {
        if self.is_opaque() {
            return self;
        }
        let byte = if chaining { self.0 | CHAINING } else { self.0 & !CHAINING };
        if is_valid(byte) { Self(byte) } else { self }
    }

    /// The same class with this secure messaging; `None` if the class cannot say it.
    pub const fn with_secure_messaging(self, secure_messaging: SecureMessaging) -> Option<Self> {
        let (mask, bits) = match (self.is_further(), secure_messaging) {
            _ if self.is_opaque() => return None,
            (false, SecureMessaging::None) => (0x0C, 0x00),
            (false, SecureMessaging::Proprietary) => (0x0C, 0x04),
            (false, SecureMessaging::Iso) => (0x0C, 0x08),
            (false, SecureMessaging::IsoWithHeader) => (0x0C, 0x0C),
            (true, SecureMessaging::None) => (FURTHER_SECURE, 0),
            (true, SecureMessaging::Iso) if !self.is_proprietary() => (FURTHER_SECURE, FURTHER_SECURE),
            (true, SecureMessaging::Proprietary) if self.is_proprietary() => (FURTHER_SECURE, FURTHER_SECURE),
            (true, _) => return None,
        };
        let byte = self.0 & !mask | bits;
        if is_valid(byte) { Some(Self(byte)) } else { None }
    }

    /// The same class on another channel; `None` if there is no such channel or the class cannot say it.
    pub const fn with_channel(self, channel: u8) -> Option<Self> {
        if self.is_opaque() {
            return None;
        }
        let kept = self.0 & (PROPRIETARY | CHAINING);
        let moved = match channel {
            0..=3 => Self(kept | channel),
            4..=19 => Self(kept | FURTHER | channel.wrapping_sub(4)),
            _ => return None,
        };
        moved.with_secure_messaging(self.secure_messaging())
    }

    /// The same class on channel 0: what an application looks at.
    #[must_use]
    pub const fn without_channel(self) -> Self {
        match self.with_channel(0) {
            Some(class) => class,
            None => self,
        }
    }

    /// `A0`–`BF`: no common reading of the bits.
    const fn is_opaque(self) -> bool {
        matches!(self.0, 0xA0..=0xBF)
    }

    const fn is_further(self) -> bool {
        self.0 & FURTHER != 0
    }
}

const fn is_valid(byte: u8) -> bool {
    !matches!(byte, 0x20..=0x3F | 0xFF)
}

impl From<Class> for u8 {
    fn from(class: Class) -> u8 {
        class.to_byte()
    }
}

impl TryFrom<u8> for Class {
    type Error = InvalidClass;

    fn try_from(cla: u8) -> Result<Self, InvalidClass> {
        Self::parse(cla)
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Class({:02X})", self.0)
    }
}
