//! File 0018, transaction log, 23 bytes a record. [sheet 3.1]

use super::layout;
use crate::date::Stamp;
use crate::tti::Tti;

layout! {
    /// One transaction.
    LogRecord [23];
    /// Online or offline, as the type says; after it was incremented.
    SEQ = 0 + 2, "transaction counter";
    OVERDRAFT = 2 + 3, "overdraft limit";
    AMOUNT = 5 + 4, "amount";
    TTI = 9 + 1, "transaction type";
    TERMINAL = 10 + 6, "terminal number";
    DATE = 16 + 4, "date";
    TIME = 20 + 3, "time";
}

impl LogRecord {
    /// The counter after the transaction.
    #[must_use]
    pub fn seq(&self) -> u16 {
        u16::from_be_bytes(self.get(SEQ))
    }

    /// Fen.
    #[must_use]
    pub fn amount(&self) -> u32 {
        u32::from_be_bytes(self.get(AMOUNT))
    }

    /// What kind of transaction it was.
    #[must_use]
    pub fn tti(&self) -> Tti {
        let [tti] = self.get(TTI);
        Tti(tti)
    }

    /// When.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { date: self.get(DATE), time: self.get(TIME) }
    }
}
