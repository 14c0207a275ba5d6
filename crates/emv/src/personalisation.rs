//! The data groupings (DGIs) by which a payment card is personalised; written by the host, read by the card.
//!
//! An application sees them one by one, plain and whole, however STORE DATA carried them. `[EMV-CPS; JR/T 0025.10; sheet 5.2; our map where they leave it open]`
//!
//! | DGI | content |
//! |---|---|
//! | `0101`–`1EFF` except `0D01`, `0E01` | record: file identifier ‖ record number; the record, in files 1–10 with its template 70 |
//! | `0D01` | data objects the issuer may change by script, as TLVs: 9F77 9F78 9F79 9F6D 9F6B 9F54 9F5C 9F53 … |
//! | `0E01` | data objects it may not change, as TLVs: 9F51 9F68 9F08 9F4F … |
//! | `8000` | card keys, 3DES: cryptogram ‖ MAC ‖ encipherment, 48 bytes |
//! | `9000` | their check values, 9 bytes; must come after `8000` |
//! | `8201`–`8205` | RSA private key by CRT: q⁻¹ mod p, d mod (q−1), d mod (p−1), q, p |
//! | `9010` | PIN tries left ‖ PIN try limit |
//! | `9102`, `9103` | answer to SELECT, contact and contactless: the template A5, or 6F with the name 84 and A5 |
//! | `9207` | answer to GET PROCESSING OPTIONS, as TLVs: 82 94 9F10 57 5F34 (5F20) (9F63); of 9F10 the head `07 DKI CVN 03 000000 ALG [length id]` |
//!
//! A card is usable once it has `8000`, `9207`, `9103` (or `9102`) and the objects 9F51 and 9F68; offline approvals need the RSA key too.
//! Wrong check values take the keys away again.
//!
//! The constants below that are not in the table are for cards with other interfaces too, which a host prepares by
//! [`CardData`](crate::host::card_data::CardData); the qPBOC application answers them with 6A88.

use huiwan_crypto::{BlockKey, Sm4, Tdes};

/// Data objects the issuer may change by script.
pub const CHANGEABLE: u16 = 0x0D01;
/// Data objects that stay.
pub const FIXED: u16 = 0x0E01;
/// The three card keys.
pub const KEYS: u16 = 0x8000;
/// Check values of the card keys.
pub const KEY_CHECKS: u16 = 0x9000;
/// Three card keys of their own for the antenna.
pub const CONTACTLESS_KEYS: u16 = 0x8001;
/// Check values of the keys for the antenna.
pub const CONTACTLESS_KEY_CHECKS: u16 = 0x9001;
/// Three card keys of SM4.
pub const SM4_KEYS: u16 = 0x8400;
/// Check values of the SM4 keys.
pub const SM4_KEY_CHECKS: u16 = 0x9400;
/// The reference PIN, an ISO 9564-1 format 2 block.
pub const PIN_BLOCK: u16 = 0x8010;
/// PIN tries left ‖ PIN try limit.
pub const PIN_TRIES: u16 = 0x9010;
/// RSA private exponent, of a key that is not by CRT.
pub const RSA_EXPONENT: u16 = 0x8101;
/// Modulus of that key.
pub const RSA_MODULUS: u16 = 0x8103;
/// Private exponent of the key PINs are enciphered for.
pub const PIN_RSA_EXPONENT: u16 = 0x8102;
/// Modulus of that key.
pub const PIN_RSA_MODULUS: u16 = 0x8104;
/// The key PINs are enciphered for, by CRT: five groupings in the order of [`RSA_QINV`] to [`RSA_P`].
pub const PIN_RSA_QINV: u16 = 0x8301;
/// SM2 private key. (which of the two is which: from memory)
pub const SM2_PRIVATE: u16 = 0x8501;
/// SM2 public key, X ‖ Y. (which of the two is which: from memory)
pub const SM2_PUBLIC: u16 = 0x8502;
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
/// The same of a qPBOC card's second set of algorithms (SM).
pub const PROCESSING_OPTIONS_SM: u16 = 0x9208;
/// Answer to GET PROCESSING OPTIONS of debit and credit over contacts.
pub const DEBIT_CREDIT_OPTIONS: u16 = 0x9104;
/// The same of the second set of algorithms (SM).
pub const DEBIT_CREDIT_OPTIONS_SM: u16 = 0x9105;
/// Answer to GET PROCESSING OPTIONS of e-cash over contacts.
pub const E_CASH_OPTIONS: u16 = 0x9203;
/// The same of the second set of algorithms (SM).
pub const E_CASH_OPTIONS_SM: u16 = 0x9204;
/// Answer to GET PROCESSING OPTIONS of contactless magnetic stripe data.
pub const MAGNETIC_STRIPE_OPTIONS: u16 = 0x9206;
/// 9F10 over contacts.
pub const ISSUER_APPLICATION_DATA: u16 = 0x9200;
/// The same of the second set of algorithms (SM).
pub const ISSUER_APPLICATION_DATA_SM: u16 = 0x9201;
/// The personalisation is complete.
pub const COMPLETION: u16 = 0x7FFF;

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

/// Whether the record of this DGI has a template 70: those of files 1–10 do. `[EMV-B3 5.3.2.2]`
#[must_use]
pub const fn has_template(dgi: u16) -> bool {
    let [sfi, _] = dgi.to_be_bytes();
    is_record(dgi) && sfi <= 10
}

/// Content of [`KEY_CHECKS`]: of each key, the beginning of a block of zeros encrypted under it.
#[must_use]
pub fn key_checks(keys: &[u8; 48]) -> [u8; 9] {
    three_checks(keys, |key| Tdes::new2(key).kcv())
}

/// What an SM4 key encrypts for its check value. (from a single source, and not one of PBOC)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sm4CheckBlock {
    /// Sixteen bytes 02. \[C: kaoh\]
    #[default]
    Twos,
    /// Zeros, as for 3DES.
    Zeros,
}

/// Content of [`SM4_KEY_CHECKS`].
#[must_use]
pub fn sm4_key_checks(keys: &[u8; 48], block: Sm4CheckBlock) -> [u8; 9] {
    let byte = match block {
        Sm4CheckBlock::Twos => 0x02,
        Sm4CheckBlock::Zeros => 0x00,
    };
    three_checks(keys, |key| Sm4::new(key).kcv_over(byte))
}

fn three_checks(keys: &[u8; 48], check: impl Fn(&[u8; 16]) -> [u8; 3]) -> [u8; 9] {
    let mut out = [0; 9];
    for (to, key) in out.as_chunks_mut::<3>().0.iter_mut().zip(keys.as_chunks::<16>().0) {
        *to = check(key);
    }
    out
}
