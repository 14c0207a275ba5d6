//! The durable objects of the card manager. Each security domain has its own under its instance number, the issuer's under
//! [`InstanceId::ISSUER`]; what concerns the whole card is the issuer's.
//!
//! | id | whose | content |
//! |---|---|---|
//! | 0001 | card | version 01 ‖ life cycle state ‖ default key version of the issuer domain (00: none) |
//! | 0002 | domain | issuer identification number (tag 42) |
//! | 0003 | domain | card or domain image number (tag 45) |
//! | 0004 | card | card production life cycle data (tag 9F7F), 42 bytes |
//! | 0005 | card | key diversification data (tag CF), 10 bytes |
//! | 0006 | domain | security domain manager URL (tag 5F50) |
//! | 0007 | supplementary domain | settings, see [`super::domain`] |
//! | 0008 | card | a deletion under way, see [`super::registry`] |
//! | 0009 | card | confirmation counter, 2 bytes, absent: 0 |
//! | 000A | card | AID of the issuer domain where it is not the profile's |
//! | 000B | domain | keys that STORE DATA has brought so far, see [`super::store_keys`] |
//! | 000C | card | contactless service, see [`super::contactless`] |
//! | 000D | card | order of selection, see [`super::contactless`] |
//! | 000E | domain | what the issuer adds to the card recognition data (tag 66): objects 65 to 68 |
//! | 0100 + instance | card | registry entry, see [`super::registry`] |
//! | 0200 + key version | domain | key set, see [`super::keys`] |
//! | 0300 + key version | domain | sequence counter, 3 bytes (SCP02 counts in the low two), absent: 0 |
//! | 0500 + instance | card | registry entry of a load file, see [`super::load_file`] |
//! | 0600 + n | domain | what is kept for a key of SCP11, see [`super::certificates`] |
//! | 0700 + instance | card | user interaction parameters, see [`super::contactless`] |
//! | 0E00 + n | domain | piece n of certificates |
//! | 1000 + 100 · channel + n | domain | piece n of a data grouping, a certificate or a chain of commands, not yet complete |
//!
//! A loaded file has an instance number of its own; its pieces are objects of that instance:
//!
//! | id | content |
//! |---|---|
//! | 0001 | while it is being loaded: what INSTALL [for load] said, see [`super::load`] |
//! | 0002 | while a combined sequence has not ended: its entry |
//! | 0100 + n | what block n of LOAD brought, until it is deciphered |
//! | 0200 + n | piece n of a load file data block that came ciphered, plain |

use huiwan_card::{CHANNELS, InstanceId, ObjectId};

pub(crate) const CARD: ObjectId = issuer(0x0001);
pub(crate) const CPLC: ObjectId = issuer(0x0004);
pub(crate) const KEY_DIVERSIFICATION: ObjectId = issuer(0x0005);
pub(crate) const DELETION: ObjectId = issuer(0x0008);
pub(crate) const CONFIRMATION_COUNTER: ObjectId = issuer(0x0009);
pub(crate) const ISSUER_AID: ObjectId = issuer(0x000A);

pub(crate) const CONTACTLESS: ObjectId = issuer(0x000C);
pub(crate) const ORDER: ObjectId = issuer(0x000D);

const ENTRY: u16 = 0x0100;
const KEY_SET: u16 = 0x0200;
const COUNTER: u16 = 0x0300;
const LOAD_FILE: u16 = 0x0500;
const CERTIFICATE: u16 = 0x0600;
const INTERACTION: u16 = 0x0700;
const CERTIFICATE_PIECE: u16 = 0x0E00;
/// The high byte of the first channel's pieces; each channel has one of its own.
const PIECE: u8 = 0x10;
const _: () = assert!(CHANNELS < 0x100 - PIECE as usize, "every channel has its pieces");

const fn issuer(id: u16) -> ObjectId {
    ObjectId::new(InstanceId::ISSUER, id)
}

const fn numbered(domain: InstanceId, base: u16, n: u8) -> ObjectId {
    // Bases end in 00.
    ObjectId::new(domain, base | n as u16)
}

/// The object before every one of a range, to begin a walk with.
const fn before(domain: InstanceId, base: u16) -> ObjectId {
    ObjectId::new(domain, base.saturating_sub(1))
}

fn of(object: ObjectId, domain: InstanceId, base: u16) -> Option<u8> {
    let [high, low] = object.id.to_be_bytes();
    (object.instance == domain && u16::from_be_bytes([high, 0]) == base).then_some(low)
}

/// Issuer identification number of a domain.
pub(crate) const fn iin(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x0002)
}

/// Image number of the card or of a domain.
pub(crate) const fn cin(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x0003)
}

/// Manager URL of a domain.
pub(crate) const fn manager_url(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x0006)
}

/// What the issuer adds to the recognition data of a domain.
pub(crate) const fn recognition(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x000E)
}

/// Settings of a supplementary domain.
pub(crate) const fn settings(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x0007)
}

/// Keys of STORE DATA that are not complete yet.
pub(crate) const fn staged_keys(domain: InstanceId) -> ObjectId {
    ObjectId::new(domain, 0x000B)
}

/// The registry entry of an instance.
pub(crate) const fn entry(instance: InstanceId) -> ObjectId {
    numbered(InstanceId::ISSUER, ENTRY, instance.0)
}

/// The instance an object is the registry entry of.
pub(crate) fn entry_of(object: ObjectId) -> Option<InstanceId> {
    of(object, InstanceId::ISSUER, ENTRY).map(InstanceId)
}

/// The object before every entry.
pub(crate) const BEFORE_ENTRIES: ObjectId = before(InstanceId::ISSUER, ENTRY);

/// The registry entry of a load file.
pub(crate) const fn load_file(instance: InstanceId) -> ObjectId {
    numbered(InstanceId::ISSUER, LOAD_FILE, instance.0)
}

/// The load file an object is the registry entry of.
pub(crate) fn load_file_of(object: ObjectId) -> Option<InstanceId> {
    of(object, InstanceId::ISSUER, LOAD_FILE).map(InstanceId)
}

/// The object before every entry of a load file.
pub(crate) const BEFORE_LOAD_FILES: ObjectId = before(InstanceId::ISSUER, LOAD_FILE);

/// The key set of a version.
pub(crate) const fn key_set(domain: InstanceId, version: u8) -> ObjectId {
    numbered(domain, KEY_SET, version)
}

/// The version an object is the key set of.
pub(crate) fn key_set_of(object: ObjectId, domain: InstanceId) -> Option<u8> {
    of(object, domain, KEY_SET)
}

/// The object before every key set of a domain.
pub(crate) const fn before_key_sets(domain: InstanceId) -> ObjectId {
    before(domain, KEY_SET)
}

/// The sequence counter of a version.
pub(crate) const fn counter(domain: InstanceId, version: u8) -> ObjectId {
    numbered(domain, COUNTER, version)
}

/// A piece of something incomplete. A domain can be at work on several channels, for applications it serves: what comes on one is not for
/// the other.
pub(crate) const fn piece(domain: InstanceId, channel: u8, n: u8) -> ObjectId {
    ObjectId::new(domain, u16::from_be_bytes([PIECE.saturating_add(channel), n]))
}

/// Whether an object is such a piece, of any channel.
pub(crate) fn is_piece(object: ObjectId, domain: InstanceId) -> bool {
    let [high, _] = object.id.to_be_bytes();
    object.instance == domain
        && high.checked_sub(PIECE).is_some_and(|channel| usize::from(channel) < CHANNELS)
}

/// The object before every piece of a domain.
pub(crate) const fn before_pieces(domain: InstanceId) -> ObjectId {
    before(domain, u16::from_be_bytes([PIECE, 0]))
}

/// In a load file: what INSTALL [for load] said.
pub(crate) const LOAD_REQUEST: u16 = 0x0001;
/// In a load file: the entry it will get.
pub(crate) const PENDING_ENTRY: u16 = 0x0002;
/// In a load file: blocks as they came.
pub(crate) const LOADED: u16 = 0x0100;
/// In a load file: deciphered pieces.
pub(crate) const DECIPHERED: u16 = 0x0200;

/// Block or piece `n` of a load file.
pub(crate) const fn load_piece(file: InstanceId, base: u16, n: u8) -> ObjectId {
    numbered(file, base, n)
}

/// User interaction parameters of an instance.
pub(crate) const fn interaction(instance: InstanceId) -> ObjectId {
    numbered(InstanceId::ISSUER, INTERACTION, instance.0)
}

/// Certificate `n` of a domain.
pub(crate) const fn certificate(domain: InstanceId, n: u8) -> ObjectId {
    numbered(domain, CERTIFICATE, n)
}

/// The number of a certificate.
pub(crate) fn certificate_of(object: ObjectId, domain: InstanceId) -> Option<u8> {
    of(object, domain, CERTIFICATE)
}

/// The object before every certificate of a domain.
pub(crate) const fn before_certificates(domain: InstanceId) -> ObjectId {
    before(domain, CERTIFICATE)
}

/// Piece `n` of certificates of a domain.
pub(crate) const fn certificate_piece(domain: InstanceId, n: u8) -> ObjectId {
    numbered(domain, CERTIFICATE_PIECE, n)
}

/// The number of a piece of certificates.
pub(crate) fn certificate_piece_of(object: ObjectId, domain: InstanceId) -> Option<u8> {
    of(object, domain, CERTIFICATE_PIECE)
}

/// The object before every piece of certificates of a domain.
pub(crate) const fn before_certificate_pieces(domain: InstanceId) -> ObjectId {
    before(domain, CERTIFICATE_PIECE)
}
