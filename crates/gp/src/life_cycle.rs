//! Life cycle states of the card, of applications and of their contactless availability. [GPC 5, AmdC]

/// Life cycle of the card, held by the issuer security domain. [GPC 5.1.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum CardState {
    /// Ready for the issuer's first keys and applications.
    OpReady = 0x01,
    /// Some initial data is in place.
    Initialized = 0x07,
    /// In the field.
    Secured = 0x0F,
    /// Only the issuer security domain answers.
    CardLocked = 0x7F,
    /// Only GET DATA works; there is no way back.
    Terminated = 0xFF,
}

impl CardState {
    /// Reads the state byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::OpReady,
            0x07 => Self::Initialized,
            0x0F => Self::Secured,
            0x7F => Self::CardLocked,
            0xFF => Self::Terminated,
            _ => return None,
        })
    }

    /// The state byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Whether the card may go from this state to `next`: forward one step, lock and unlock, terminate. [GPC 5.1.2]
    #[must_use]
    pub const fn allows(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::OpReady, Self::Initialized)
                | (Self::Initialized, Self::Secured)
                | (Self::Secured, Self::CardLocked)
                | (Self::CardLocked, Self::Secured)
                | (Self::OpReady | Self::Initialized | Self::Secured | Self::CardLocked, Self::Terminated)
        )
    }
}

/// Life cycle of an application: the locked bit is added to the state it comes back to. [GPC 5.3.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplicationState(u8);

impl ApplicationState {
    /// Installed, not selectable.
    pub const INSTALLED: Self = Self(0x03);
    /// Selectable.
    pub const SELECTABLE: Self = Self(0x07);
    /// A security domain with its own keys.
    pub const PERSONALIZED: Self = Self(0x0F);
    const LOCKED: u8 = 0x80;

    /// Takes any state byte as a card reports it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The state byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Whether the application is locked (b8).
    #[must_use]
    pub const fn is_locked(self) -> bool {
        self.0 & Self::LOCKED != 0
    }

    /// Whether the application can be selected.
    #[must_use]
    pub const fn is_selectable(self) -> bool {
        self.0 & 0x87 == 0x07
    }

    /// The state with the lock set.
    #[must_use]
    pub const fn locked(self) -> Self {
        Self(self.0 | Self::LOCKED)
    }

    /// The state the application comes back to.
    #[must_use]
    pub const fn unlocked(self) -> Self {
        Self(self.0 & !Self::LOCKED)
    }
}

/// Availability on the contactless interface, the second byte of tag 9F70. (AmdC)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ContactlessState {
    /// Switched off by the wearer or the issuer.
    Deactivated = 0x00,
    /// Selectable on the antenna.
    Activated = 0x01,
    /// The application itself forbids activation.
    NonActivatable = 0x80,
}

impl ContactlessState {
    /// Reads the state byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x00 => Self::Deactivated,
            0x01 => Self::Activated,
            0x80 => Self::NonActivatable,
            _ => return None,
        })
    }

    /// The state byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }
}
