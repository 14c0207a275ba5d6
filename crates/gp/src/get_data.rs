//! GET DATA: the tags a security domain answers. [GPC 11.3]

use huiwan_tlv::Tag;

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
