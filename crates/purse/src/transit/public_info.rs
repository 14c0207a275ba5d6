//! File 0015, public application information, 30 bytes; the FCI carries a copy in 9F0C. [sheet 5.2]

use super::layout;
use crate::keys::CardId;

layout! {
    /// Public application information.
    PublicInfo [30];
    ISSUER = 0 + 8, "issuer identification: four-byte code, FFFFFFFF";
    /// 01 ED, 02 EP, 03 both.
    APPLICATION_TYPE = 8 + 1, "application type";
    /// JT/T 978: 00 not enabled, 01 enabled.
    APPLICATION_VERSION = 9 + 1, "issuer's application version, or enable flag";
    SERIAL = 10 + 10, "application serial number, BCD";
    START_DATE = 20 + 4, "start date, BCD";
    /// The last day counts.
    END_DATE = 24 + 4, "end date, BCD";
    ISSUER_FCI = 28 + 2, "issuer's own FCI data";
}

/// Application type: the passbook alone.
pub const TYPE_ED: u8 = 0x01;
/// Application type: the purse alone.
pub const TYPE_EP: u8 = 0x02;
/// Application type: both.
pub const TYPE_BOTH: u8 = 0x03;

impl PublicInfo {
    /// Issuer and serial number, on which the keys depend.
    #[must_use]
    pub fn card_id(&self) -> CardId {
        CardId { issuer: self.get(ISSUER), serial: self.get(SERIAL) }
    }

    /// The four-byte issuer code.
    #[must_use]
    pub fn issuer_code(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.get(ISSUER);
        [a, b, c, d]
    }

    /// Whether the card is enabled, as JT/T 978 reads byte 9.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.get(APPLICATION_VERSION) == [0x01]
    }

    /// Whether `date` (BCD YYYYMMDD) lies between start and end, both included.
    #[must_use]
    pub fn is_valid_on(&self, date: [u8; 4]) -> bool {
        self.get(START_DATE) <= date && date <= self.get(END_DATE)
    }
}
