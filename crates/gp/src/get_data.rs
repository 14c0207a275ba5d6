//! GET DATA: the tags a security domain answers. [GPC 11.3]

use huiwan_tlv::{Rules, Tag, find};

/// Instruction byte.
pub const INS: u8 = 0xCA;
/// Instruction byte with a tag list or a reference in the command data.
pub const INS_ODD: u8 = 0xCB;

/// Issuer identification number.
pub const TAG_42_IIN: Tag = Tag::new(0x42);
/// Card image number.
pub const TAG_45_CIN: Tag = Tag::new(0x45);
/// Sequence counter of the default key set.
pub const TAG_C1_SEQUENCE_COUNTER: Tag = Tag::new(0xC1);
/// Key diversification data. (from a single source: NXP cards)
pub const TAG_CF_KEY_DIVERSIFICATION: Tag = Tag::new(0xCF);
/// Current security level.
pub const TAG_D3_SECURITY_LEVEL: Tag = Tag::new(0xD3);
/// Security domain manager URL.
pub const TAG_5F50_MANAGER_URL: Tag = Tag::new(0x5F50);
/// Card production life cycle data.
pub const TAG_9F7F_CPLC: Tag = Tag::new(0x9F7F);
/// Card capability information.
pub const TAG_67_CAPABILITIES: Tag = Tag::new(0x67);
/// Confirmation counter.
pub const TAG_C2_CONFIRMATION_COUNTER: Tag = Tag::new(0xC2);
/// List of applications.
pub const TAG_2F00_APPLICATIONS: Tag = Tag::new(0x2F00);
/// Extended card resources.
pub const TAG_FF21_RESOURCES: Tag = Tag::new(0xFF21);
/// Certificate store.
pub const TAG_BF21_CERTIFICATES: Tag = Tag::new(0xBF21);
/// Identifiers of the authorities of hosts, each with the key it has on the card. (AmdF)
pub const TAG_FF33_HOST_AUTHORITIES: Tag = Tag::new(0xFF33);
/// Identifiers of the authorities of the card's certificates, each with the card's key. (AmdF)
pub const TAG_FF34_CARD_AUTHORITIES: Tag = Tag::new(0xFF34);
/// Reference to a key: `A6 { 83 key identifier ‖ key version }`.
pub const TAG_A6_KEY_REFERENCE: Tag = Tag::new(0xA6);
/// Key identifier and key version in a reference; as a GET DATA tag, the key of an authority of hosts. (kaoh)
pub const TAG_83_KEY: Tag = Tag::new(0x83);

/// Sequence counter of the default key set, as [`TAG_C1_SEQUENCE_COUNTER`] tells it: how long it is says which protocol it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SequenceCounter {
    /// Two bytes: the value the next session uses.
    Scp02(u16),
    /// Three bytes: the value the last session used.
    Scp03(u32),
}

impl SequenceCounter {
    /// Reads the response data of GET DATA, with the `C1` in front or without. `None` for any other length.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        match *value(data, TAG_C1_SEQUENCE_COUNTER) {
            [a, b] => Some(Self::Scp02(u16::from_be_bytes([a, b]))),
            [a, b, c] => Some(Self::Scp03(u32::from_be_bytes([0, a, b, c]))),
            _ => None,
        }
    }
}

/// The confirmation counter: how many receipts the card has made. Response data of GET DATA, with the `C2` in front or without; `None`
/// unless it has two bytes.
#[must_use]
pub fn confirmation_counter(data: &[u8]) -> Option<u16> {
    <[u8; 2]>::try_from(value(data, TAG_C2_CONFIRMATION_COUNTER)).ok().map(u16::from_be_bytes)
}

/// The value of a counter that some cards answer bare: two or three bytes, which are too few for an object around them.
fn value(data: &[u8], tag: Tag) -> &[u8] {
    if data.len() <= 3 {
        return data;
    }
    find(data, Rules::ISO, tag).ok().flatten().map_or(data, |object| object.value())
}
