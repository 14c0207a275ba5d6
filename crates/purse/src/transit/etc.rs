//! File 0019 record AA of highway (ETC) cards, 43 bytes. Identifier and length have sources; the fields inside are from
//! memory. [sheet 5.3: M]

use super::layout;

/// The identifier P1 of UPDATE CAPP DATA CACHE and READ RECORD names.
pub const ID: u8 = 0xAA;

layout! {
    /// The toll record.
    Toll [43] head [ID, 0x29];
    RECORD_ID = 0 + 1, "record identifier";
    LENGTH = 1 + 1, "length of the rest";
    LOCK = 2 + 1, "lock flag";
    NETWORK = 3 + 2, "road network";
    STATION = 5 + 2, "toll station";
    LANE = 7 + 1, "lane";
    TIME = 8 + 4, "UNIX time";
    CLASS = 12 + 1, "vehicle class";
    STATE = 13 + 1, "state";
    WAY = 14 + 9, "stations on the way";
    COLLECTOR = 23 + 3, "toll collector";
    SHIFT = 26 + 1, "shift";
    PLATE = 27 + 12, "number plate";
    RFU = 39 + 4, "reserved";
}
