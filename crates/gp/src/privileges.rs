//! Application privileges, three bytes. [GPC 6.6]

/// The privileges of an application or security domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Privileges([u8; 3]);

impl Privileges {
    /// None.
    pub const NONE: Self = Self([0; 3]);
    /// It is a security domain.
    pub const SECURITY_DOMAIN: Self = Self([0x80, 0, 0]);
    /// It may lock the card.
    pub const CARD_LOCK: Self = Self([0x10, 0, 0]);
    /// It may terminate the card.
    pub const CARD_TERMINATE: Self = Self([0x08, 0, 0]);
    /// Selected when nothing is named (card reset, default selected).
    pub const DEFAULT_SELECTED: Self = Self([0x04, 0, 0]);
    /// It manages the global PIN.
    pub const CVM_MANAGEMENT: Self = Self([0x02, 0, 0]);
    /// It manages content on its own authority.
    pub const AUTHORIZED_MANAGEMENT: Self = Self([0, 0x40, 0]);
    /// It may delete any application.
    pub const GLOBAL_DELETE: Self = Self([0, 0x10, 0]);
    /// It may lock any application.
    pub const GLOBAL_LOCK: Self = Self([0, 0x08, 0]);
    /// It sees the whole registry.
    pub const GLOBAL_REGISTRY: Self = Self([0, 0x04, 0]);
    /// It may activate applications on the contactless interface.
    pub const CONTACTLESS_ACTIVATION: Self = Self([0, 0, 0x20]);
    /// It may activate itself on the contactless interface.
    pub const CONTACTLESS_SELF_ACTIVATION: Self = Self([0, 0, 0x10]);
    /// What the card manager of this crate may and does do: security domain, card lock, card terminate, default selected;
    /// authorized management, global delete, lock and registry.
    pub const ISSUER: Self = Self([0x9C, 0x5C, 0x00]);

    /// Takes the three bytes.
    #[must_use]
    pub const fn from_array(bytes: [u8; 3]) -> Self {
        Self(bytes)
    }

    /// Reads one byte (the older form) or three.
    #[must_use]
    pub const fn parse(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [a] => Some(Self([a, 0, 0])),
            [a, b, c] => Some(Self([a, b, c])),
            _ => None,
        }
    }

    /// The three bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 3] {
        self.0
    }

    /// Whether all of `other`'s privileges are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        a & x == x && b & y == y && c & z == z
    }
}
