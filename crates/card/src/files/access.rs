//! Access rules as values.

use huiwan_apdu::Sw;

use crate::memory::InstanceId;

/// What has to be fulfilled before a file is read or written. The eight conditions are the application's own: a verified PIN, an
/// authentication, a MAC on this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    conditions: u8,
    never: bool,
}

impl Access {
    /// Always.
    pub const FREE: Self = Self { conditions: 0, never: false };
    /// Never.
    pub const NEVER: Self = Self { conditions: 0, never: true };

    /// When all of these condition bits are granted.
    #[must_use]
    pub const fn all_of(conditions: u8) -> Self {
        Self { conditions, never: false }
    }

    /// Whether the granted conditions are enough.
    ///
    /// # Errors
    /// 6982.
    pub const fn check(self, granted: u8) -> Result<(), Sw> {
        if !self.never && self.conditions & !granted == 0 { Ok(()) } else { Err(Sw::SECURITY_STATUS) }
    }
}

/// What another instance may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub to: InstanceId,
    /// Reading.
    pub read: Access,
    /// Writing.
    pub update: Access,
}
