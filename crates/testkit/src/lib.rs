//! Vector files, seeded randomness and scripted byte peers for Huiwan's own tests.
//!
//! Where is what:
//!
//! - [`vectors`]: reads the text files under each crate's `tests/vectors/`
//! - [`rng`]: [`rng::Seeded`], the same "random" bytes on every run
//! - [`peer`]: [`ScriptedPeer`], a peer that knows one transcript and dies on the first wrong byte
//! - [`hex`]: bytes from hexadecimal text
//!
//! This crate stands on no other Huiwan crate, so every one of them can use it. Everything here panics on
//! a malformed file or a wrong byte: that is a failed test.
//!
//! ```
//! let file = huiwan_testkit::vectors::load(
//!     "# huiwan vectors 1\n\nid = empty-sm3\nsource = GB/T 32905\nkind = published\nin.len = \"0\"\nout.head = 1AB21D83\n",
//! );
//! let vector = file.block("empty-sm3");
//! assert_eq!(vector.bytes("out.head"), huiwan_testkit::hex("1a b2 1d 83"));
//! assert_eq!(vector.number("in.len"), 0);
//! ```
#![forbid(unsafe_code)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    reason = "test support: a panic here is a failed test"
)]

pub mod peer;
pub mod rng;
pub mod vectors;

pub use peer::ScriptedPeer;

/// Bytes from hexadecimal text of either case; white space and `_` between digits are skipped.
///
/// # Panics
/// On any other character and on an odd number of digits.
#[must_use]
#[track_caller]
pub fn hex(text: &str) -> Vec<u8> {
    match try_hex(text) {
        Ok(bytes) => bytes,
        Err(why) => panic!("{why} in {text:?}"),
    }
}

/// The same as [`hex`], with the reason as text.
pub(crate) fn try_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut high: Option<u32> = None;
    for (at, c) in text.chars().enumerate() {
        if c.is_whitespace() || c == '_' {
            continue;
        }
        let Some(digit) = c.to_digit(16) else {
            return Err(format!("{c:?} at character {at} is no hex digit"));
        };
        high = match high {
            None => Some(digit),
            Some(h) => {
                out.push((h << 4 | digit) as u8);
                None
            }
        };
    }
    match high {
        None => Ok(out),
        Some(_) => Err("odd number of hex digits".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_reads_both_cases_and_skips_space() {
        assert_eq!(hex("00 a4_04\n00Ff"), [0x00, 0xA4, 0x04, 0x00, 0xFF]);
        assert_eq!(hex(""), [0u8; 0]);
    }

    #[test]
    #[should_panic(expected = "odd number")]
    fn hex_refuses_half_a_byte() {
        let _ = hex("00A");
    }

    #[test]
    #[should_panic(expected = "'G' at character 2")]
    fn hex_names_the_bad_character() {
        let _ = hex("00G0");
    }
}
