//! LOAD: blocks of a load file and what the file consists of. [GPC 11.6, C.2, C.3]
//!
//! ```text
//! { E2 { 4F security domain, C3 signature over the hash } }*  ‖  C4 length load file data block
//!                                                             or  D3 initial value ‖ D4 length ciphered data block
//! ```

use huiwan_tlv::Tag;

/// Instruction byte.
pub const INS: u8 = 0xE8;
/// P1: the last block.
pub const LAST: u8 = 0x80;
/// Signature block of a security domain with DAP verification.
pub const TAG_E2_DAP_BLOCK: Tag = Tag::new(0xE2);
/// Its signature.
pub const TAG_C3_SIGNATURE: Tag = Tag::new(0xC3);
/// Load file data block.
pub const TAG_C4_DATA_BLOCK: Tag = Tag::new(0xC4);
/// Initial value for the ciphered load file data block; absent: zeros.
pub const TAG_D3_INITIAL_VALUE: Tag = Tag::new(0xD3);
/// Ciphered load file data block.
pub const TAG_D4_CIPHERED_DATA_BLOCK: Tag = Tag::new(0xD4);

/// Version of the key set a ciphered load file is encrypted under. (GPC_GUI_010)
pub const KVN_CIPHERED: u8 = 0x75;
/// Version of the key set with the DAP verification key. (GPC_GUI_010)
pub const KVN_DAP: u8 = 0x73;
