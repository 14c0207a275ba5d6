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
    /// Load files bring a signature of it if it is named or if they become its own.
    pub const DAP_VERIFICATION: Self = Self([0xC0, 0, 0]);
    /// Every load file brings a signature of it.
    pub const MANDATED_DAP: Self = Self([0xC1, 0, 0]);
    /// It manages content with tokens.
    pub const DELEGATED_MANAGEMENT: Self = Self([0xA0, 0, 0]);
    /// Applications may talk to it while it is not selected.
    pub const TRUSTED_PATH: Self = Self([0, 0x80, 0]);
    /// It checks tokens.
    pub const TOKEN_VERIFICATION: Self = Self([0, 0x20, 0]);
    /// It stays selectable while the card is locked.
    pub const FINAL_APPLICATION: Self = Self([0, 0x02, 0]);
    /// It offers a service to all applications.
    pub const GLOBAL_SERVICE: Self = Self([0, 0x01, 0]);
    /// It makes receipts.
    pub const RECEIPT_GENERATION: Self = Self([0, 0, 0x80]);
    /// It decrypts load files.
    pub const CIPHERED_LOAD_FILE: Self = Self([0, 0, 0x40]);
    /// What content management adds to the issuer domain: token verification, receipt generation, ciphered load files.
    pub const CONTENT: Self = Self([0, 0x20, 0xC0]);
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
    /// authorized management, global delete, lock and registry, final application.
    pub const ISSUER: Self = Self([0x9C, 0x5E, 0x00]);

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

    /// These and the others.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Self([a | x, b | y, c | z])
    }

    /// These without the others.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Self([a & !x, b & !y, c & !z])
    }

    /// Whether they go together: what a security domain alone may have, without contradictions. [GPC 6.6.2]
    #[must_use]
    pub const fn is_consistent(self) -> bool {
        let [a, b, c] = self.0;
        // Verification, management, tokens, receipts, deciphering, global delete and registry.
        let of_domains = a & 0x61 != 0 || b & 0x74 != 0 || c & 0xC0 != 0;
        let domain = self.contains(Self::SECURITY_DOMAIN);
        let mandated = a & 0x01 == 0 || a & 0x40 != 0;
        let managements = !(a & 0x20 != 0 && b & 0x40 != 0);
        // Tokens are checked and receipts made by domains with authorized management.
        let authority = (b & 0x20 == 0 && c & 0x80 == 0) || b & 0x40 != 0;
        (domain || !of_domains) && mandated && managements && authority
    }

    /// Whether all of `other`'s privileges are among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        a & x == x && b & y == y && c & z == z
    }
}
