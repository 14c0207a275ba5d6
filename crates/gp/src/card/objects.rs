//! The durable objects of the card manager, all under [`InstanceId::ISSUER`].
//!
//! | id | content |
//! |---|---|
//! | 0001 | card: version 01 ‖ life cycle state ‖ default key version (00: none) |
//! | 0002 | issuer identification number (tag 42) |
//! | 0003 | card image number (tag 45) |
//! | 0004 | card production life cycle data (tag 9F7F), 42 bytes |
//! | 0005 | key diversification data (tag CF), 10 bytes |
//! | 0006 | security domain manager URL (tag 5F50) |
//! | 0100 + instance | registry entry, see [`super::registry`] |
//! | 0200 + key version | key set: { key identifier ‖ type ‖ length ‖ key }* |
//! | 0300 + key version | SCP03 sequence counter, 3 bytes, absent: 0 |
//! | 0400 + n | piece n of a data grouping not yet complete |

use huiwan_card::{InstanceId, ObjectId};

pub(crate) const CARD: ObjectId = issuer(0x0001);
pub(crate) const IIN: ObjectId = issuer(0x0002);
pub(crate) const CIN: ObjectId = issuer(0x0003);
pub(crate) const CPLC: ObjectId = issuer(0x0004);
pub(crate) const KEY_DIVERSIFICATION: ObjectId = issuer(0x0005);
pub(crate) const MANAGER_URL: ObjectId = issuer(0x0006);

const ENTRY: u16 = 0x0100;
const KEY_SET: u16 = 0x0200;
const COUNTER: u16 = 0x0300;
const PIECE: u16 = 0x0400;

const fn issuer(id: u16) -> ObjectId {
    ObjectId::new(InstanceId::ISSUER, id)
}

const fn numbered(base: u16, n: u8) -> ObjectId {
    // Bases end in 00.
    issuer(base | n as u16)
}

/// The registry entry of an instance.
pub(crate) const fn entry(instance: InstanceId) -> ObjectId {
    numbered(ENTRY, instance.0)
}

/// The instance an object is the registry entry of.
pub(crate) fn entry_of(object: ObjectId) -> Option<InstanceId> {
    of(object, ENTRY).map(InstanceId)
}

/// The key set of a version.
pub(crate) const fn key_set(version: u8) -> ObjectId {
    numbered(KEY_SET, version)
}

/// The version an object is the key set of.
pub(crate) fn key_set_of(object: ObjectId) -> Option<u8> {
    of(object, KEY_SET)
}

/// The sequence counter of a version.
pub(crate) const fn counter(version: u8) -> ObjectId {
    numbered(COUNTER, version)
}

/// A piece of an incomplete data grouping.
pub(crate) const fn piece(n: u8) -> ObjectId {
    numbered(PIECE, n)
}

/// Whether an object is such a piece.
pub(crate) fn is_piece(object: &ObjectId) -> bool {
    of(*object, PIECE).is_some()
}

/// The object before every entry, to begin a walk with.
pub(crate) const BEFORE_ENTRIES: ObjectId = issuer(ENTRY - 1);
/// The object before every key set.
pub(crate) const BEFORE_KEY_SETS: ObjectId = issuer(KEY_SET - 1);
/// The object before every piece.
pub(crate) const BEFORE_PIECES: ObjectId = issuer(PIECE - 1);

fn of(object: ObjectId, base: u16) -> Option<u8> {
    let [high, low] = object.id.to_be_bytes();
    (object.instance == InstanceId::ISSUER && u16::from_be_bytes([high, 0]) == base).then_some(low)
}
