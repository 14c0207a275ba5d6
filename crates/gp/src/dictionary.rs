//! Names of GlobalPlatform's commands, status words and tags, for traces and decoders.

use huiwan_apdu::Sw;
use huiwan_tlv::Tag;

/// What a status word means in answers of a security domain, where that differs from or adds to ISO 7816-4.
#[must_use]
pub fn status_word(sw: Sw) -> Option<&'static str> {
    Some(match sw.value() {
        0x6283 => "selected, card is locked",
        0x6300 => "host cryptogram is wrong",
        0x6310 => "more entries available",
        0x6320 => "done in part, the answer names what failed",
        0x6438 => "imported package not available",
        0x6982 => "security status not satisfied: protection missing or wrong, or key check value wrong",
        0x6985 => "conditions of use not satisfied",
        0x6A81 => "function not supported, card is locked",
        0x6A84 => "not enough memory",
        0x6A88 => "referenced data, key or entry not found",
        0x9484 => "algorithm not supported",
        0x9485 => "key check value is wrong",
        _ => return None,
    })
}

/// The name of a GlobalPlatform command.
#[must_use]
pub fn command(cla: u8, ins: u8, p1: u8) -> Option<&'static str> {
    if cla & 0x80 == 0 {
        return None;
    }
    Some(match (ins, p1) {
        (0x50, _) => "INITIALIZE UPDATE",
        (0x82, _) => "EXTERNAL AUTHENTICATE",
        (0xCA | 0xCB, _) => "GET DATA",
        (0xD8, _) => "PUT KEY",
        (0xE2, _) => "STORE DATA",
        (0xE4, _) => "DELETE",
        (0xE6, 0x02) => "INSTALL [for load]",
        (0xE6, 0x04) => "INSTALL [for install]",
        (0xE6, 0x08) => "INSTALL [for make selectable]",
        (0xE6, 0x0C) => "INSTALL [for install and make selectable]",
        (0xE6, 0x10) => "INSTALL [for extradition]",
        (0xE6, 0x0E) => "INSTALL [for load, install and make selectable]",
        (0xE6, 0x20) => "INSTALL [for personalization]",
        (0xE6, 0x40) => "INSTALL [for registry update]",
        (0xE6, _) => "INSTALL",
        (0xE8, _) => "LOAD",
        (0xF0, _) => "SET STATUS",
        (0xF2, _) => "GET STATUS",
        _ => return None,
    })
}

/// The name of a tag in GlobalPlatform data.
#[must_use]
pub fn tag(tag: Tag) -> Option<&'static str> {
    Some(match tag.get() {
        0x42 => "Issuer Identification Number",
        0x45 => "Card Image Number",
        0x4F => "AID",
        0x5C => "Tag list",
        0x5F50 => "Security Domain manager URL",
        0x60 => "Card management type and version",
        0x61 => "Directory entry",
        0x63 => "Card identification scheme",
        0x64 => "Secure Channel Protocol",
        0x65 => "Card configuration details",
        0x66 => "Security Domain management data",
        0x67 => "Card capability information",
        0x6F => "File control information",
        0x73 => "Card recognition data",
        0x84 => "Executable Module AID or DF name",
        0x9F65 => "Maximum length of data field",
        0x9F6E => "Application production life cycle data",
        0x9F70 => "Life cycle state",
        0x9E => "Token",
        0x9F7F => "Card production life cycle data",
        0xA5 => "FCI proprietary template",
        0xB6 => "Digital signature template",
        0xB7 => "Common key attributes",
        0xB9 => "Key attributes",
        0xBF21 => "Certificate store",
        0xC0 => "Key information data",
        0xC1 => "Sequence counter of the default key set",
        0xC2 => "Confirmation counter",
        0xC3 => "Load file signature",
        0xC4 => "Executable Load File AID",
        0xC5 => "Privileges",
        0xC9 => "Application specific parameters",
        0xCC => "Associated Security Domain",
        0xCE => "Executable Load File version",
        0xCF => "Key diversification data",
        0xD0 => "Key identifier",
        0xD2 => "Key version",
        0xD3 => "Security level",
        0xE0 => "Key information template",
        0xE2 => "DAP block",
        0xE3 => "Registry entry",
        0xEF => "System specific parameters",
        0x2F00 => "List of applications",
        0xFF21 => "Extended card resources",
        _ => return None,
    })
}
