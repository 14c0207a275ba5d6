use core::fmt;

use huiwan_tlv::At;
use huiwan_tlv::compact::{CompactError, Compacts};

use super::Atr;
use crate::Sw;

/// What historical bytes say, by their category indicator. [ISO7816-4 12.1.1]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Historical<'a> {
    /// There are none.
    None,
    /// Category `00` or `80`: COMPACT-TLV objects.
    Compact {
        /// The objects; offsets count from TS. In category `80` the status, if any, is also the object number 8.
        objects: Compacts<'a>,
        /// What the card says about its own state.
        status: Option<CardStatus>,
    },
    /// Category `10`: a reference to the directory file.
    DirReference(u8),
    /// What a PC/SC reader makes up for a contactless storage card, in category `80` though it is not
    /// COMPACT-TLV. [PCSC3 3.1.3.2.3.2]
    PcscStorage {
        /// The standard the card follows (`03`: ISO 14443 A part 3).
        standard: u8,
        /// The card's registered name (`0001`: MIFARE Classic 1K).
        name: u16,
    },
    /// Any other category: `category` is its indicator.
    Proprietary {
        /// The category indicator, the first historical byte.
        category: u8,
        /// What follows it.
        data: &'a [u8],
    },
}

/// The status indicator in historical bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs)]
pub struct CardStatus {
    /// Life cycle status; `None` if not given.
    pub life_cycle: Option<u8>,
    /// Status word; `None` if not given.
    pub sw: Option<Sw>,
}

/// What is wrong with historical bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistoricalError {
    /// Category `00` without its three status bytes.
    StatusTruncated,
    /// Category `10` is not followed by exactly one byte.
    DirReferenceLength,
    /// A COMPACT-TLV object is truncated.
    Object(CompactError),
    /// The status object is not one, two or three bytes long.
    StatusLength,
}

impl fmt::Display for HistoricalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatusTruncated => f.write_str("status indicator truncated"),
            Self::DirReferenceLength => f.write_str("dir reference not one byte"),
            Self::Object(error) => error.fmt(f),
            Self::StatusLength => f.write_str("status indicator not one to three bytes"),
        }
    }
}

impl core::error::Error for HistoricalError {}

impl<'a> Atr<'a> {
    /// What the historical bytes say.
    ///
    /// # Errors
    /// [`HistoricalError`]; cards put whatever they like there, so this is kept apart from [`Atr::parse`].
    pub fn historical_objects(&self) -> Result<Historical<'a>, At<HistoricalError>> {
        let at = self.historical_at();
        let after_category = at.wrapping_add(1);
        match *self.historical() {
            [] => Ok(Historical::None),
            [0x00, ref objects @ .., life_cycle, sw1, sw2] => {
                let objects = Compacts::starting_at(objects, after_category);
                check(objects.clone())?;
                let sw = Some(Sw::new(u16::from_be_bytes([sw1, sw2])));
                let life_cycle = Some(life_cycle);
                Ok(Historical::Compact { objects, status: Some(CardStatus { life_cycle, sw }) })
            }
            [0x00, ..] => Err(At::new(HistoricalError::StatusTruncated, at)),
            [0x10, reference] => Ok(Historical::DirReference(reference)),
            [0x10, ..] => Err(At::new(HistoricalError::DirReferenceLength, at)),
            [0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, standard, high, low, _, _, _, _] => {
                Ok(Historical::PcscStorage { standard, name: u16::from_be_bytes([high, low]) })
            }
            [0x80, ref objects @ ..] => {
                let objects = Compacts::starting_at(objects, after_category);
                let status = check(objects.clone())?;
                Ok(Historical::Compact { objects, status })
            }
            [category, ref data @ ..] => Ok(Historical::Proprietary { category, data }),
        }
    }
}

/// Reads all objects and returns the status one of them holds.
fn check(objects: Compacts<'_>) -> Result<Option<CardStatus>, At<HistoricalError>> {
    let mut status = None;
    for object in objects {
        let object = object.map_err(|error| error.map(HistoricalError::Object))?;
        if object.number == 8 {
            status = Some(match *object.value {
                [life_cycle] => CardStatus { life_cycle: Some(life_cycle), sw: None },
                [sw1, sw2] => CardStatus { life_cycle: None, sw: Some(Sw::from([sw1, sw2])) },
                [life_cycle, sw1, sw2] => {
                    CardStatus { life_cycle: Some(life_cycle), sw: Some(Sw::from([sw1, sw2])) }
                }
                _ => return Err(At::new(HistoricalError::StatusLength, object.at)),
            });
        }
    }
    Ok(status)
}
