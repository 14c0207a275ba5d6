//! Names of tags, status words and commands, for traces.
//!
//! Only what payment applications add to ISO 7816-4, or mean differently, is here; `huiwan_apdu` names the rest.

use crate::data::tags::{self, Scheme};
use huiwan_apdu::Sw;
use huiwan_tlv::Tag;

pub use crate::data::describe_bits;

/// What a payment application means by a status word.
///
/// ```
/// use huiwan_apdu::Sw;
/// assert_eq!(huiwan_emv::dictionary::status_word(Sw::new(0x6986)), Some("see phone, or command not allowed"));
/// assert_eq!(huiwan_emv::dictionary::status_word(Sw::new(0x6A82)), None);
/// ```
#[must_use]
pub fn status_word(sw: Sw) -> Option<&'static str> {
    find(STATUS_WORDS, |&(value, _)| value == sw.value()).map(|&(_, name)| name)
}

/// One row for each status word.
const STATUS_WORDS: &[(u16, &str)] = &[
    (0x6283, "application blocked"),
    (0x6984, "try another interface, or data invalidated"),
    (0x6985, "conditions of use not satisfied: next application or other interface"),
    (0x6986, "see phone, or command not allowed"),
    (0x6988, "script MAC incorrect"),
    (0x6A81, "card blocked, or function not supported"),
    // [JR/T 0025.14] has these six; what each means, public sources don't say alike
    (0x6971, "extended application refused the command (6971)"),
    (0x6972, "extended application refused the command (6972)"),
    (0x6973, "extended application refused the command (6973)"),
    (0x6974, "extended application refused the command (6974)"),
    (0x6975, "extended application refused the command (6975)"),
    (0x6976, "extended application refused the command (6976)"),
];

/// What a payment application calls a command; `None` for one that ISO 7816-4 names the same.
///
/// ```
/// assert_eq!(huiwan_emv::dictionary::command(0x80, 0xA8, 0x00), Some("GET PROCESSING OPTIONS"));
/// assert_eq!(huiwan_emv::dictionary::command(0x80, 0xAE, 0x80), Some("GENERATE AC (ARQC)"));
/// ```
#[must_use]
pub fn command(cla: u8, ins: u8, p1: u8) -> Option<&'static str> {
    // Secure messaging (bit 3 of proprietary classes) doesn't change the name.
    let cla = if cla & 0x80 != 0 { cla & !0x04 } else { cla };
    find(COMMANDS, |&(c, i, mask, value, _)| c == cla && i == ins && p1 & mask == value)
        .map(|&(.., name)| name)
}

/// One row for each command: class, instruction, mask and value of P1, name.
const COMMANDS: &[(u8, u8, u8, u8, &str)] = &[
    (0x80, 0xA8, 0x00, 0x00, "GET PROCESSING OPTIONS"),
    (0x80, 0xAE, 0xC0, 0x00, "GENERATE AC (AAC)"),
    (0x80, 0xAE, 0xC0, 0x40, "GENERATE AC (TC)"),
    (0x80, 0xAE, 0xC0, 0x80, "GENERATE AC (ARQC)"),
    (0x80, 0xAE, 0x00, 0x00, "GENERATE AC"),
    (0x00, 0x88, 0x00, 0x00, "INTERNAL AUTHENTICATE"),
    (0x00, 0x82, 0x00, 0x00, "EXTERNAL AUTHENTICATE"),
    (0x80, 0xCA, 0x00, 0x00, "GET DATA"),
    (0x80, 0x1E, 0x00, 0x00, "APPLICATION BLOCK"),
    (0x80, 0x18, 0x00, 0x00, "APPLICATION UNBLOCK"),
    (0x80, 0x16, 0x00, 0x00, "CARD BLOCK"),
    (0x80, 0x24, 0x00, 0x00, "PIN CHANGE/UNBLOCK"),
    (0x04, 0xDA, 0x00, 0x00, "PUT DATA"),
    (0x04, 0xDC, 0x00, 0x00, "UPDATE RECORD"),
    (0x04, 0xE2, 0x00, 0x00, "APPEND RECORD (extended application)"),
    (0x80, 0xB4, 0x00, 0x00, "READ CAPP DATA"),
    (0x80, 0xDE, 0x00, 0x00, "UPDATE CAPP DATA CACHE"),
    (0x80, 0x5A, 0x00, 0x00, "GET TRANS PROVE"),
];

/// What PBOC and EMV call a tag.
///
/// ```
/// use huiwan_tlv::Tag;
/// assert_eq!(huiwan_emv::dictionary::tag(Tag::new(0x9F66)), Some("Terminal Transaction Qualifiers (TTQ)"));
/// ```
#[must_use]
pub fn tag(tag: Tag) -> Option<&'static str> {
    tags::find(tag, Scheme::Pboc).map(|row| row.name)
}

fn find<T>(rows: &'static [T], is: impl Fn(&T) -> bool) -> Option<&'static T> {
    rows.iter().find(|row| is(row))
}
