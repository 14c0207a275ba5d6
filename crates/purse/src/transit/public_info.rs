//! File 0015, public application information, 30 bytes, on highway cards 43; the FCI carries a copy in 9F0C. [sheet 5.2]

use huiwan_tlv::At;

use super::{TransitError, layout};
use crate::keys::CardId;
use crate::pack::{Pack, Unpack};

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
/// Application type of a highway card with money on it. \[I:W-ETC,ETC1\]
pub const TYPE_STORED_VALUE: u8 = 0x16;
/// Application type of a highway card that charges an account. \[I:W-ETC,ETC1\]
pub const TYPE_ACCOUNT: u8 = 0x17;

/// Length of the longest file 0015, bytes.
pub const MAX_LEN: usize = VEHICLE_LEN;

/// Length of file 0015 of a highway card, bytes.
const VEHICLE_LEN: usize = 43;

/// What file 0015 of a highway card has between the end date and the issuer's FCI data. \[M\]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vehicle {
    /// Number plate, GBK, padded with 00.
    pub plate: [u8; 12],
    /// Kind of user.
    pub user_type: u8,
}

impl PublicInfo {
    /// File 0015 of any scheme: 30 bytes, or the 43 of a highway card.
    ///
    /// # Errors
    /// Another length.
    pub fn parse_any(raw: &[u8]) -> Result<(Self, Option<Vehicle>), At<TransitError>> {
        if raw.len() != VEHICLE_LEN {
            return Ok((Self::parse(raw)?, None));
        }
        let mut fields = Unpack::new(raw);
        let common: [u8; 28] = fields.take();
        let vehicle = Vehicle { plate: fields.take(), user_type: fields.byte() };
        let issuer_fci: [u8; 2] = fields.take();
        Ok((Self(Pack::new().put(common).put(issuer_fci).finish()), Some(vehicle)))
    }

    /// What the first 30 bytes of file 0015 tell: on a highway card they end inside the number plate, which is no
    /// issuer's FCI data.
    ///
    /// # Errors
    /// Fewer than 30 bytes.
    pub fn parse_first(raw: &[u8]) -> Result<Self, At<TransitError>> {
        if let Ok((public_info, _)) = Self::parse_any(raw) {
            let is_highway = matches!(public_info.get(APPLICATION_TYPE), [TYPE_STORED_VALUE | TYPE_ACCOUNT]);
            let cut = raw.len() == Self::LEN && is_highway;
            return Ok(if cut { public_info.with(ISSUER_FCI, [0; 2]) } else { public_info });
        }
        Self::parse(raw.get(..Self::LEN).unwrap_or(raw))
    }

    /// File 0015 of a highway card.
    #[must_use]
    pub fn with_vehicle(&self, vehicle: &Vehicle) -> [u8; VEHICLE_LEN] {
        let mut fields = Unpack::new(&self.0);
        let common: [u8; 28] = fields.take();
        let issuer_fci: [u8; 2] = fields.take();
        Pack::new().put(common).put(vehicle.plate).put([vehicle.user_type]).put(issuer_fci).finish()
    }

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
