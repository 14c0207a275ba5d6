//! What a phone and a band say to each other over the link: one request, one answer.
//!
//! The phone opens the element's `Internal` interface, passes the TSM's or load server's commands on and
//! carries the answers back; it sees protected bytes and holds no key. Each message is carried exactly once
//! by [`huiwan_link`], so a command can neither be lost nor run twice.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 1 | version, `01` |
//! | 1 | 1 | kind, see [`Request`] and [`Answer`] |
//! | 2 | … | body: the command, or response data ‖ SW |
//!
//! ```
//! use huiwan::relay::{Answer, Request};
//!
//! let mut out = [0; 16];
//! let sent = Request::Transmit(&[0x80, 0xCA, 0x00, 0x66, 0x00]).write(&mut out)?;
//! assert_eq!(Request::parse(sent)?, Request::Transmit(&[0x80, 0xCA, 0x00, 0x66, 0x00]));
//! assert_eq!(Answer::parse(&[1, 0x83, 0x90, 0x00])?, Answer::Response(&[0x90, 0x00]));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::fmt;

use huiwan_card::{Directory, Element, Environment, Interface, Memory};
use huiwan_tlv::{At, Full};

/// The version this module speaks.
pub const VERSION: u8 = 1;

/// The bytes in front of the body.
pub const HEADER_LEN: usize = 2;

const POWER_ON: u8 = 0x01;
const POWER_OFF: u8 = 0x02;
const TRANSMIT: u8 = 0x03;
const DONE: u8 = 0x81;
const RESPONSE: u8 = 0x83;
const REFUSED: u8 = 0x8F;

/// What is wrong with a relay message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayError {
    /// Shorter than version and kind.
    Truncated,
    /// A version this module does not speak.
    UnknownVersion,
    /// A kind that is not in the table, or not one for this direction.
    UnknownKind,
    /// A body behind a kind that has none.
    UnexpectedBody,
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "relay message truncated",
            Self::UnknownVersion => "unknown relay version",
            Self::UnknownKind => "unknown relay message kind",
            Self::UnexpectedBody => "relay message body where none belongs",
        })
    }
}

impl core::error::Error for RelayError {}

/// Phone to band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Kind `01`: power the element on its `Internal` interface; a new session, volatile state is gone.
    PowerOn,
    /// Kind `02`: power it off.
    PowerOff,
    /// Kind `03`: a command APDU for the element.
    Transmit(&'a [u8]),
}

/// Band to phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Kind `81`: powered on or off.
    Done,
    /// Kind `83`: response data ‖ SW.
    Response(&'a [u8]),
    /// Kind `8F`: the request could not be read; nothing was done.
    Refused,
}

impl<'a> Request<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`RelayError`] with the offset of the byte that is wrong.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<RelayError>> {
        match split(raw)? {
            (POWER_ON, []) => Ok(Self::PowerOn),
            (POWER_OFF, []) => Ok(Self::PowerOff),
            (TRANSMIT, body) => Ok(Self::Transmit(body)),
            (POWER_ON | POWER_OFF, _) => Err(At::new(RelayError::UnexpectedBody, HEADER_LEN)),
            _ => Err(At::new(RelayError::UnknownKind, 1)),
        }
    }

    /// Writes the message into `out`.
    ///
    /// # Errors
    /// [`Full`] with the length needed.
    pub fn write(self, out: &mut [u8]) -> Result<&[u8], Full> {
        match self {
            Self::PowerOn => join(POWER_ON, &[], out),
            Self::PowerOff => join(POWER_OFF, &[], out),
            Self::Transmit(command) => join(TRANSMIT, command, out),
        }
    }
}

impl<'a> Answer<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`RelayError`] with the offset of the byte that is wrong.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<RelayError>> {
        match split(raw)? {
            (DONE, []) => Ok(Self::Done),
            (REFUSED, []) => Ok(Self::Refused),
            (RESPONSE, body) => Ok(Self::Response(body)),
            (DONE | REFUSED, _) => Err(At::new(RelayError::UnexpectedBody, HEADER_LEN)),
            _ => Err(At::new(RelayError::UnknownKind, 1)),
        }
    }

    /// Writes the message into `out`.
    ///
    /// # Errors
    /// [`Full`] with the length needed.
    pub fn write(self, out: &mut [u8]) -> Result<&[u8], Full> {
        match self {
            Self::Done => join(DONE, &[], out),
            Self::Refused => join(REFUSED, &[], out),
            Self::Response(response) => join(RESPONSE, response, out),
        }
    }
}

fn split(raw: &[u8]) -> Result<(u8, &[u8]), At<RelayError>> {
    match *raw {
        [VERSION, kind, ref body @ ..] => Ok((kind, body)),
        [VERSION] | [] => Err(At::new(RelayError::Truncated, raw.len())),
        _ => Err(At::new(RelayError::UnknownVersion, 0)),
    }
}

fn join<'o>(kind: u8, body: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], Full> {
    let needed = HEADER_LEN.saturating_add(body.len());
    let Some(message) = out.get_mut(..needed) else { return Err(Full { needed }) };
    if let Some((head, rest)) = message.split_first_chunk_mut::<HEADER_LEN>() {
        *head = [VERSION, kind];
        rest.copy_from_slice(body);
    }
    Ok(message)
}

/// The band's half: carries out one request on the element and writes the answer.
///
/// Long private-key operations run in software on the spot; the link's keep-alive tells the phone meanwhile
/// that the band is there.
///
/// # Errors
/// [`Full`] when the answer does not fit `out`: give it [`HEADER_LEN`] bytes more than the longest response.
pub fn serve<'o, M: Memory, D: Directory, const SLOTS: usize, const SLOT: usize, const SCRATCH: usize>(
    element: &mut Element<'_, M, D, SLOTS, SLOT, SCRATCH>,
    request: &[u8],
    environment: &mut Environment<'_>,
    out: &'o mut [u8],
) -> Result<&'o [u8], Full> {
    match Request::parse(request) {
        Ok(Request::PowerOn) => {
            element.power_on(Interface::Internal, environment);
            Answer::Done.write(out)
        }
        Ok(Request::PowerOff) => {
            element.power_off();
            Answer::Done.write(out)
        }
        Ok(Request::Transmit(command)) => Answer::Response(element.exchange(command, environment)).write(out),
        Err(_) => Answer::Refused.write(out),
    }
}
