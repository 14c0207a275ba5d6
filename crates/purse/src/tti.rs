//! Transaction type identifiers (交易类型标识), one byte in every MAC and log record.

use core::fmt;

/// A transaction type identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tti(pub u8);

macro_rules! ttis {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl Tti {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// What the type is called, if it is known.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

// [JR/T 0025.1; implementations agree, sheet 3.2]
ttis! {
    /// Load of the electronic passbook.
    ED_LOAD = 0x01, "passbook load";
    /// Load of the electronic purse.
    EP_LOAD = 0x02, "purse load";
    /// Unload (圈提).
    UNLOAD = 0x03, "unload";
    /// Cash withdrawal.
    CASH = 0x04, "cash withdrawal";
    /// Purchase with the passbook.
    ED_PURCHASE = 0x05, "passbook purchase";
    /// Purchase with the purse.
    EP_PURCHASE = 0x06, "purse purchase";
    /// Overdraft limit update.
    LIMIT_UPDATE = 0x07, "overdraft limit update";
    /// Composite purchase (复合消费).
    CAPP_PURCHASE = 0x09, "composite purchase";
    /// Grey lock.
    GREY_LOCK = 0x91, "grey lock";
    /// Debit for unlock.
    DEBIT_FOR_UNLOCK = 0x93, "debit for unlock";
    /// Online grey unlock.
    GREY_UNLOCK = 0x95, "online grey unlock";
}

impl Tti {
    /// Whether the offline counter numbers this type; otherwise the online counter does.
    #[must_use]
    pub const fn is_offline(self) -> bool {
        !matches!(self, Self::ED_LOAD | Self::EP_LOAD | Self::UNLOAD | Self::LIMIT_UPDATE | Self::GREY_UNLOCK)
    }
}

impl fmt::Display for Tti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}
