//! The data groupings (DGIs) by which a payment card is personalised; written by the host, read by the card.
//!
//! Each STORE DATA carries one grouping, plain by the time the application sees it. `[EMV-CPS; JR/T 0025.10; our map where they leave it open]`
//!
//! | DGI | content |
//! |---|---|
//! | `0101`–`1EFF` except `0D01`, `0E01` | record: file identifier ‖ record number; the record with its template 70 |
//! | `0D01` | data objects the issuer may change by script, as TLVs: 9F77 9F78 9F79 9F6D 9F6B 9F54 9F5C 9F53 … |
//! | `0E01` | data objects it may not change, as TLVs: 9F51 9F68 9F08 9F4F … |
//! | `8000` | card keys, 3DES: cryptogram ‖ MAC ‖ encipherment, 48 bytes |
//! | `9000` | their check values, 9 bytes; must come after `8000` |
//! | `8201`–`8205` | RSA private key by CRT: q⁻¹ mod p, d mod (q−1), d mod (p−1), q, p |
//! | `9102`, `9103` | answer to SELECT, contact and contactless: the template A5 |
//! | `9207` | answer to GET PROCESSING OPTIONS, as TLVs: 82 94 9F10 57 5F34 (5F20) (9F63); of 9F10 the head `07 DKI CVN 03 000000 ALG [length id]` |
//!
//! A card is usable once it has `8000`, `9207`, `9103` (or `9102`) and the objects 9F51 and 9F68; offline approvals need the RSA key too.

/// Data objects the issuer may change by script.
pub const CHANGEABLE: u16 = 0x0D01;
/// Data objects that stay.
pub const FIXED: u16 = 0x0E01;
/// The three card keys.
pub const KEYS: u16 = 0x8000;
/// Check values of the card keys.
pub const KEY_CHECKS: u16 = 0x9000;
/// q⁻¹ mod p.
pub const RSA_QINV: u16 = 0x8201;
/// d mod (q−1).
pub const RSA_DQ: u16 = 0x8202;
/// d mod (p−1).
pub const RSA_DP: u16 = 0x8203;
/// The prime q.
pub const RSA_Q: u16 = 0x8204;
/// The prime p.
pub const RSA_P: u16 = 0x8205;
/// Answer to SELECT over contacts.
pub const SELECT_CONTACT: u16 = 0x9102;
/// Answer to SELECT over the antenna.
pub const SELECT_CONTACTLESS: u16 = 0x9103;
/// Answer to GET PROCESSING OPTIONS of qPBOC.
pub const PROCESSING_OPTIONS: u16 = 0x9207;

/// The DGI of a record: file identifier 1–30 ‖ record number 1–255; `None` for other numbers and those of [`CHANGEABLE`] and [`FIXED`].
#[must_use]
pub const fn record(sfi: u8, number: u8) -> Option<u16> {
    let dgi = u16::from_be_bytes([sfi, number]);
    if is_record(dgi) { Some(dgi) } else { None }
}

/// Whether a DGI is a record.
#[must_use]
pub const fn is_record(dgi: u16) -> bool {
    let [sfi, number] = dgi.to_be_bytes();
    sfi >= 1 && sfi <= 30 && number >= 1 && dgi != CHANGEABLE && dgi != FIXED
}
