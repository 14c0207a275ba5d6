//! SCP80: commands in secured packets, as a message or an HTTP request carries them to a card. (TS 102 225; sheet 2.9)
//!
//! ```text
//! command   CPL 2 ‖ CHL 1 ‖ SPI 2 ‖ KIc 1 ‖ KID 1 ‖ TAR 3 ‖ CNTR 5 ‖ PCNTR 1 ‖ CC 8 ‖ data ‖ padding
//! response  RPL 2 ‖ RHL 1 ‖ TAR 3 ‖ CNTR 5 ‖ PCNTR 1 ‖ status 1 ‖ CC 8 ‖ data ‖ padding
//! ```
//! The cryptographic checksum covers everything but itself, padding included, as if it stood in clear; from the counter on the
//! packet is encrypted in CBC mode with IV zero. Command packets are confirmed by public packets; the response packet is written
//! from memory and marked so where it is built. Redundancy checks (CRC) and digital signatures are not there: a packet without a
//! checksum protects nothing.

use core::fmt;

use huiwan_crypto::{Aes, BlockKey, CryptoError, Des, Tdes, ct_eq, mac};
use huiwan_tlv::At;

mod spi;
mod status;

pub use spi::{CounterRule, Respond, Spi};
pub use status::Status;

/// Length of a checksum, bytes.
pub const CHECKSUM_LEN: usize = 8;
const COUNTER_LEN: usize = 5;
/// The greatest counter.
pub const COUNTER_MAX: u64 = 0xFF_FFFF_FFFF;

/// A key of a key set, with the algorithm its reference byte (KIc or KID) has to name.
#[derive(Clone)]
pub enum Key {
    /// Single DES.
    Des(Des),
    /// Triple DES with two keys.
    Tdes2(Tdes),
    /// Triple DES with three keys.
    Tdes3(Tdes),
    /// AES of any length.
    Aes(Aes),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:X})", self.algorithm())
    }
}

impl Key {
    /// Lower half of KIc and KID: 1 DES in CBC mode, 5 and 9 triple DES with two and three keys, 2 AES (CBC; CMAC).
    #[must_use]
    pub const fn algorithm(&self) -> u8 {
        match self {
            Self::Des(_) => 0x1,
            Self::Aes(_) => 0x2,
            Self::Tdes2(_) => 0x5,
            Self::Tdes3(_) => 0x9,
        }
    }

    fn block_key(&self) -> &dyn BlockKey {
        match self {
            Self::Des(key) => key,
            Self::Tdes2(key) | Self::Tdes3(key) => key,
            Self::Aes(key) => key,
        }
    }

    /// CBC-MAC filled up with zeros; with AES the leftmost half of a CMAC.
    fn checksum(&self, parts: &[&[u8]]) -> [u8; CHECKSUM_LEN] {
        match self {
            Self::Des(key) => mac::alg1_des(key, &[0; 8], parts, mac::Padding::Method1),
            Self::Tdes2(key) | Self::Tdes3(key) => mac::alg1_tdes(key, &[0; 8], parts, mac::Padding::Method1),
            Self::Aes(key) => {
                let [a, b, c, d, e, f, g, h, ..] = mac::cmac(key, parts);
                [a, b, c, d, e, f, g, h]
            }
        }
    }
}

/// The two keys of a key set that protect packets.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'k> {
    /// For ciphering.
    pub kic: &'k Key,
    /// For the checksum.
    pub kid: &'k Key,
}

/// What stands in front of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandHeader {
    /// Security parameters.
    pub spi: Spi,
    /// Reference of the ciphering key: key set in the upper, algorithm in the lower half.
    pub kic: u8,
    /// Reference of the checksum key.
    pub kid: u8,
    /// Toolkit application reference; B00000 is remote application management.
    pub tar: [u8; 3],
    /// Counter, at most [`COUNTER_MAX`].
    pub counter: u64,
}

/// What stands in front of a response's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseHeader {
    /// Toolkit application reference.
    pub tar: [u8; 3],
    /// Counter of the command it answers.
    pub counter: u64,
    /// How it went.
    pub status: Status,
}

/// What is wrong with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketError {
    /// It ends inside a field, or is not as long as it says.
    Length,
    /// Its security parameters are reserved or not supported.
    Spi,
    /// Its status code is unknown.
    Status(u8),
    /// A key reference names another algorithm than its key's.
    Algorithm,
    /// It is not whole blocks, its padding is longer than its data, or its checksum is wrong: which of these is not told.
    NotAuthentic,
    /// The data do not fit the caller's buffer.
    Full {
        /// Bytes needed.
        needed: usize,
    },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("packet is not as long as it says"),
            Self::Spi => f.write_str("security parameters are not supported"),
            Self::Status(code) => write!(f, "response status {code:02X} is unknown"),
            Self::Algorithm => f.write_str("key reference names another algorithm"),
            Self::NotAuthentic => f.write_str("packet is not authentic"),
            Self::Full { needed } => write!(f, "buffer is too small, {needed} bytes needed"),
        }
    }
}

impl core::error::Error for PacketError {}

impl From<CryptoError> for PacketError {
    fn from(_: CryptoError) -> Self {
        Self::NotAuthentic
    }
}

/// Lengths and header bytes of a packet, the same in both directions: `length 2 ‖ header length 1 ‖ open ‖ CNTR 5 ‖ PCNTR 1 ‖
/// closed ‖ CC ‖ data ‖ padding`.
struct Layout<'a> {
    /// Header bytes that are never encrypted.
    open: &'a [u8],
    counter: u64,
    /// Header bytes that are.
    closed: &'a [u8],
    checksum: bool,
    ciphered: bool,
}

impl Layout<'_> {
    /// Bytes before the counter.
    const fn clear_len(&self) -> usize {
        self.open.len().saturating_add(3)
    }

    /// Bytes from the counter to the data.
    const fn head_len(&self) -> usize {
        let checksum = if self.checksum { CHECKSUM_LEN } else { 0 };
        self.closed.len().saturating_add(checksum).saturating_add(COUNTER_LEN + 1)
    }

    fn write<'o>(&self, keys: &Keys<'_>, data: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], PacketError> {
        let plain = self.head_len().saturating_add(data.len());
        let padding = if self.ciphered {
            plain.next_multiple_of(keys.kic.block_key().block_len()).saturating_sub(plain)
        } else {
            0
        };
        let needed = self.clear_len().saturating_add(plain).saturating_add(padding);
        let full = PacketError::Full { needed };
        let out = out.get_mut(..needed).ok_or(full)?;
        let (clear, rest) = out.split_at_mut_checked(self.clear_len()).ok_or(full)?;
        let body_len = needed.saturating_sub(2);
        let header_len = self.open.len().saturating_add(self.head_len());
        let [high, low] = u16::try_from(body_len).map_err(|_| PacketError::Length)?.to_be_bytes();
        let header_len = u8::try_from(header_len).map_err(|_| PacketError::Length)?;
        fill(clear, [high, low, header_len].iter().chain(self.open));
        let [_, _, _, counter @ ..] = self.counter.to_be_bytes();
        let padding_len = u8::try_from(padding).map_err(|_| PacketError::Length)?;
        rest.fill(0);
        let (head, behind) = rest.split_at_mut_checked(self.head_len()).ok_or(full)?;
        fill(head, counter.iter().chain(&[padding_len]).chain(self.closed));
        fill(behind, data.iter());
        if self.checksum {
            let (before, place) = head.split_last_chunk_mut::<CHECKSUM_LEN>().ok_or(full)?;
            *place = keys.kid.checksum(&[clear, before, behind]);
        }
        if self.ciphered {
            let iv = [0; 16];
            let key = keys.kic.block_key();
            key.encrypt_cbc(iv.get(..key.block_len()).unwrap_or_default(), rest)?;
        }
        Ok(out)
    }
}

/// Decrypts `packet` into `out`, checks it, and answers counter, the closed header bytes and the data.
fn open<'o, const CLOSED: usize>(
    layout: &Layout<'_>,
    keys: &Keys<'_>,
    packet: &[u8],
    out: &'o mut [u8],
) -> Result<(u64, [u8; CLOSED], &'o [u8]), PacketError> {
    let (clear, body) = packet.split_at_checked(layout.clear_len()).ok_or(PacketError::Length)?;
    let out = out.get_mut(..body.len()).ok_or(PacketError::Full { needed: body.len() })?;
    out.copy_from_slice(body);
    if layout.ciphered {
        let iv = [0; 16];
        let key = keys.kic.block_key();
        key.decrypt_cbc(iv.get(..key.block_len()).unwrap_or_default(), out)?;
    }
    let (head, behind) = out.split_at_checked(layout.head_len()).ok_or(PacketError::Length)?;
    if layout.checksum {
        let (before, checksum) = head.split_last_chunk::<CHECKSUM_LEN>().ok_or(PacketError::Length)?;
        if !ct_eq(&keys.kid.checksum(&[clear, before, behind]), checksum) {
            return Err(PacketError::NotAuthentic);
        }
    }
    let Some((&[c0, c1, c2, c3, c4, padding], rest)) = head.split_first_chunk() else {
        return Err(PacketError::Length);
    };
    let closed = *rest.first_chunk().ok_or(PacketError::Length)?;
    let len = behind.len().checked_sub(usize::from(padding)).ok_or(PacketError::NotAuthentic)?;
    let counter = u64::from_be_bytes([0, 0, 0, c0, c1, c2, c3, c4]);
    Ok((counter, closed, behind.get(..len).unwrap_or_default()))
}

/// Writes a command packet.
///
/// # Errors
/// [`PacketError::Algorithm`] if KIc or KID do not fit the keys, [`PacketError::Length`] if counter or packet are too long,
/// [`PacketError::Full`].
pub fn wrap_command<'o>(
    header: &CommandHeader,
    keys: &Keys<'_>,
    data: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], PacketError> {
    check_algorithms(header, keys)?;
    if header.counter > COUNTER_MAX {
        return Err(PacketError::Length);
    }
    command_layout(header, &open_bytes(header)).write(keys, data, out)
}

/// Reads a command packet: its header and its data, decrypted into `out`. The caller finds the keys by the header
/// ([`peek_command`]) and checks the counter ([`CounterRule::check`]) before it does anything else.
///
/// # Errors
/// [`PacketError`] with the byte it was found at.
pub fn unwrap_command<'o>(
    packet: &[u8],
    keys: &Keys<'_>,
    out: &'o mut [u8],
) -> Result<(CommandHeader, &'o [u8]), At<PacketError>> {
    let header = peek_command(packet)?;
    check_algorithms(&header, keys).map_err(|error| At::new(error, 5))?;
    let open_bytes = open_bytes(&header);
    let (counter, [], data) = open(&command_layout(&header, &open_bytes), keys, packet, out)
        .map_err(|error| At::new(error, COMMAND_CLEAR))?;
    Ok((CommandHeader { counter, ..header }, data))
}

/// CPL, CHL, SPI, KIc, KID, TAR.
const COMMAND_CLEAR: usize = 10;

/// The open part of a command packet's header, to find its keys by; the counter is 0.
///
/// # Errors
/// [`PacketError`] with the byte it was found at.
pub fn peek_command(packet: &[u8]) -> Result<CommandHeader, At<PacketError>> {
    let Some(&[l0, l1, header_len, s0, s1, kic, kid, t0, t1, t2]) = packet.first_chunk::<COMMAND_CLEAR>()
    else {
        return Err(At::new(PacketError::Length, packet.len()));
    };
    if usize::from(u16::from_be_bytes([l0, l1])).saturating_add(2) != packet.len() {
        return Err(At::new(PacketError::Length, 0));
    }
    let spi = Spi::from_bytes([s0, s1]).ok_or(At::new(PacketError::Spi, 3))?;
    let header = CommandHeader { spi, kic, kid, tar: [t0, t1, t2], counter: 0 };
    let open_bytes = open_bytes(&header);
    let layout = command_layout(&header, &open_bytes);
    if usize::from(header_len) != layout.open.len().saturating_add(layout.head_len()) {
        return Err(At::new(PacketError::Length, 2));
    }
    Ok(header)
}

fn open_bytes(header: &CommandHeader) -> [u8; 7] {
    let [s0, s1] = header.spi.bytes();
    let [t0, t1, t2] = header.tar;
    [s0, s1, header.kic, header.kid, t0, t1, t2]
}

const fn command_layout<'a>(header: &CommandHeader, open: &'a [u8; 7]) -> Layout<'a> {
    Layout {
        open,
        counter: header.counter,
        closed: &[],
        checksum: header.spi.checksum,
        ciphered: header.spi.ciphered,
    }
}

const fn check_algorithms(header: &CommandHeader, keys: &Keys<'_>) -> Result<(), PacketError> {
    let ciphering = !header.spi.ciphered || header.kic & 0x0F == keys.kic.algorithm();
    let checksum = !header.spi.checksum || header.kid & 0x0F == keys.kid.algorithm();
    if ciphering && checksum { Ok(()) } else { Err(PacketError::Algorithm) }
}

/// Writes the response packet to a command with `spi`. (layout from memory)
///
/// # Errors
/// [`PacketError::Length`] if counter or packet are too long, [`PacketError::Full`].
pub fn wrap_response<'o>(
    header: &ResponseHeader,
    spi: Spi,
    keys: &Keys<'_>,
    data: &[u8],
    out: &'o mut [u8],
) -> Result<&'o [u8], PacketError> {
    if header.counter > COUNTER_MAX {
        return Err(PacketError::Length);
    }
    response_layout(header.counter, &header.tar, &[header.status.byte()], spi).write(keys, data, out)
}

/// Reads the response packet to a command with `spi`.
///
/// # Errors
/// [`PacketError`] with the byte it was found at.
pub fn unwrap_response<'o>(
    packet: &[u8],
    spi: Spi,
    keys: &Keys<'_>,
    out: &'o mut [u8],
) -> Result<(ResponseHeader, &'o [u8]), At<PacketError>> {
    let Some(&[l0, l1, header_len, t0, t1, t2]) = packet.first_chunk() else {
        return Err(At::new(PacketError::Length, packet.len()));
    };
    if usize::from(u16::from_be_bytes([l0, l1])).saturating_add(2) != packet.len() {
        return Err(At::new(PacketError::Length, 0));
    }
    let tar = [t0, t1, t2];
    let layout = response_layout(0, &tar, &[0], spi);
    if usize::from(header_len) != layout.open.len().saturating_add(layout.head_len()) {
        return Err(At::new(PacketError::Length, 2));
    }
    let at = layout.clear_len();
    let (counter, [code], data) = open(&layout, keys, packet, out).map_err(|error| At::new(error, at))?;
    let status = Status::from_byte(code).ok_or(At::new(PacketError::Status(code), at))?;
    Ok((ResponseHeader { tar, counter, status }, data))
}

const fn response_layout<'a>(counter: u64, tar: &'a [u8; 3], status: &'a [u8; 1], spi: Spi) -> Layout<'a> {
    Layout {
        open: tar,
        counter,
        closed: status,
        checksum: spi.response_checksum,
        ciphered: spi.response_ciphered,
    }
}

fn fill<'b>(to: &mut [u8], from: impl Iterator<Item = &'b u8>) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
