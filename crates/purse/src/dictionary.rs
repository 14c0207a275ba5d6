//! Names of the purse's status words, commands and tags, for decoders and traces.

use huiwan_apdu::Sw;
use huiwan_tlv::Tag;

/// The meaning of a status word of the purse beyond ISO 7816-4.
#[must_use]
pub fn status_word(sw: Sw) -> Option<&'static str> {
    crate::status::name(sw)
}

/// The name of a command of the purse or its PSAM.
#[must_use]
pub fn command(cla: u8, ins: u8, p1: u8) -> Option<&'static str> {
    // Bits 1 and 2 of CLA are the logical channel.
    crate::command::name(cla & 0xFC, ins, p1)
}

/// The name of a tag in the FCI of a purse.
#[must_use]
pub fn tag(tag: Tag) -> Option<&'static str> {
    Some(match tag.get() {
        0x9F08 => "application version number",
        0x9F0C => "issuer data: copy of file 0015",
        _ => return None,
    })
}
