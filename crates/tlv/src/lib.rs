//! BER-TLV, DOL, DGI, COMPACT-TLV and SIMPLE-TLV over borrowed slices, without alloc.
//!
//! Where is what:
//! - [`parse`], [`Tlvs`], [`Tlv`]: one level of BER-TLV, lazily, with absolute offsets
//! - [`walk`], [`Walk`]: all levels, depth first, with a bound
//! - [`find`], [`find_path`], [`find_each`]: one object, one path, several objects in one pass
//! - [`Rules`]: which encodings are accepted (ISO, EMV with filler bytes, minimal lengths only)
//! - [`Writer`], [`encoded_len`], [`Full`]: encoding into a caller's buffer
//! - [`Tag`], [`Class`]: tags of one to four bytes
//! - [`At`], [`TlvError`]: every parse error is a kind and the offset of the byte that is wrong
//! - [`dol`]: data object lists, parsed and filled by the Book 3 rules
//! - [`tag_list`]: tag lists (5C, 9F4A)
//! - [`dgi`]: data groupings of personalisation
//! - [`compact`], [`simple`]: COMPACT-TLV (historical bytes) and SIMPLE-TLV
//! - [`hex`]: bytes as upper-case hexadecimal text
//!
//! ```
//! use huiwan_tlv::{Rules, Tag, Writer, find_path};
//!
//! const FCI: Tag = Tag::new(0x6F);
//! const DF_NAME: Tag = Tag::new(0x84);
//! const PROPRIETARY: Tag = Tag::new(0xA5);
//! const LABEL: Tag = Tag::new(0x50);
//!
//! let mut buffer = [0; 64];
//! let mut w = Writer::new(&mut buffer);
//! w.nested(FCI, |w| {
//!     w.put(DF_NAME, &[0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01]);
//!     w.nested(PROPRIETARY, |w| w.put(LABEL, b"PBOC"));
//! });
//! let fci = w.finish()?;
//!
//! let label = find_path(fci, Rules::EMV, &[FCI, PROPRIETARY, LABEL])?.expect("label is there");
//! assert_eq!(label.value(), b"PBOC");
//! assert_eq!(label.at(), 13);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod at;
mod find;
mod read;
mod rules;
mod tag;
mod walk;
mod write;

pub mod compact;
pub mod dgi;
pub mod dol;
pub mod hex;
pub mod simple;
pub mod tag_list;

pub use at::At;
pub use find::{find, find_each, find_path};
pub use read::{Tlv, TlvError, Tlvs, parse};
pub use rules::Rules;
pub use tag::{Class, Tag};
pub use walk::{Walk, walk};
pub use write::{Full, Writer, encoded_len};
