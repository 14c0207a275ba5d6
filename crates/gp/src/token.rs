//! Tokens and receipts of delegated management, and the schemes of all signatures of content management. [GPC 9.1.3, C.4, C.5]
//!
//! | key | signature |
//! |---|---|
//! | DES (two or three keys) | retail MAC, ISO/IEC 9797-1 algorithm 3, padding 2, 8 bytes |
//! | AES | CMAC, 16 bytes |
//! | RSA up to 1024 bits | RSASSA-PKCS1-v1_5 with SHA-1 |
//! | RSA over 1024 bits | RSASSA-PSS with SHA-256 and 32 bytes of salt |
//! | elliptic curve | ECDSA, r ‖ s; SHA-256 with keys up to 256 bits, SHA-384 up to 384, SHA-512 above |
//!
//! A receipt covers LV confirmation counter (2) ‖ LV unique data (identification number ‖ image number), then the names, LV each: of
//! a load, load file and domain; of an installation, load file and instance; of an extradition, former domain, application and new
//! domain; of a deletion and a registry update, what was named.

use huiwan_crypto::ec::{Curve, EcPrivate, EcPublic, FIELD_MAX};
use huiwan_crypto::rsa::{RsaPrivate, RsaPublic};
use huiwan_crypto::{Aes, CryptoError, Random, Tdes, hash, mac};
use huiwan_tlv::Tag;

use crate::put_key::KeyType;

pub mod confirmation;

pub use confirmation::{Confirmation, ConfirmationError};

/// Token in the data of DELETE.
pub const TAG_9E_TOKEN: Tag = Tag::new(0x9E);
/// Control reference of a signature: who made it. Passed over.
pub const TAG_B6_CONTROL_REFERENCE: Tag = Tag::new(0xB6);
/// Version of the key set with the token key. (GPC_GUI_010)
pub const KVN_TOKEN: u8 = 0x70;
/// Version of the key set with the receipt key. (GPC_GUI_010)
pub const KVN_RECEIPT: u8 = 0x71;
/// Identifier of the key in these sets.
pub const KID: u8 = 0x01;
/// Bytes of the longest modulus whose signatures are PKCS #1 v1.5 with SHA-1; longer ones are PSS with SHA-256. [GPC C.1.1]
const PKCS1_MAX: usize = 128;
/// Bytes of a signature under P-256.
pub const ECDSA_LEN: usize = 64;
/// Bytes of a signature under the longest curve.
pub const ECDSA_MAX: usize = 2 * FIELD_MAX;

/// What comes before the fields in the input of a token: P1 ‖ P2 ‖ Lc, Lc counting the fields before the token.
///
/// `extended`: the command comes in pieces or with an extended length, and Lc takes three bytes.
#[must_use]
pub fn header(p1: u8, p2: u8, signed: &[u8], extended: bool) -> heapless::Vec<u8, 5> {
    let [high, low] = u16::try_from(signed.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header: &[u8] = if extended { &[p1, p2, 0, high, low] } else { &[p1, p2, low] };
    header.iter().copied().collect()
}

/// The signature of a symmetric key over the parts; `None` for a key that makes none.
#[must_use]
pub fn symmetric(key_type: KeyType, key: &[u8], parts: &[&[u8]]) -> Option<heapless::Vec<u8, 16>> {
    match key_type {
        KeyType::Des => {
            let two = <&[u8; 16]>::try_from(key).map(Tdes::new2);
            let key = two.or_else(|_| <&[u8; 24]>::try_from(key).map(Tdes::new3)).ok()?;
            heapless::Vec::from_slice(&mac::alg3(&key, &[0; 8], parts, mac::Padding::Method2)).ok()
        }
        KeyType::Aes => heapless::Vec::from_slice(&mac::cmac(&Aes::new(key).ok()?, parts)).ok(),
        _ => None,
    }
}

/// The RSA signature over the parts.
///
/// # Errors
/// As [`RsaPrivate::sign_raw`].
pub fn sign_rsa<'o>(
    key: &RsaPrivate,
    parts: &[&[u8]],
    random: &mut dyn Random,
    out: &'o mut [u8],
) -> Result<&'o [u8], CryptoError> {
    if key.modulus_len() <= PKCS1_MAX {
        key.sign_pkcs1_sha1(parts, random, out)
    } else {
        key.sign_pss_sha256(parts, random, out)
    }
}

/// Checks an RSA signature over the parts.
///
/// # Errors
/// [`CryptoError`] if it is wrong.
pub fn verify_rsa(key: &RsaPublic, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
    if key.modulus_len() <= PKCS1_MAX {
        key.verify_pkcs1_sha1(parts, signature)
    } else {
        key.verify_pss_sha256(parts, signature)
    }
}

/// The hash of the parts that a key on this curve signs: SHA-256 with keys up to 256 bits, SHA-384 up to 384, SHA-512 above.
/// [GPC C.1, AmdE 4]
fn digest<C: Curve>(parts: &[&[u8]]) -> heapless::Vec<u8, 64> {
    match C::FIELD_LEN {
        0..=32 => hash::sha256(parts).into_iter().collect(),
        33..=48 => hash::sha384(parts).into_iter().collect(),
        _ => hash::sha512(parts).into_iter().collect(),
    }
}

/// The ECDSA signature r ‖ s over the parts, into `out` of two fields ([`ECDSA_LEN`] bytes with P-256).
///
/// # Errors
/// [`CryptoError`] if `out` has another length.
pub fn sign_ecdsa<C: Curve>(key: &EcPrivate<C>, parts: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
    key.sign(&digest::<C>(parts), out)
}

/// Checks an ECDSA signature r ‖ s over the parts.
///
/// # Errors
/// [`CryptoError`] if it is wrong.
pub fn verify_ecdsa<C: Curve>(
    key: &EcPublic<C>,
    parts: &[&[u8]],
    signature: &[u8],
) -> Result<(), CryptoError> {
    key.verify(&digest::<C>(parts), signature)
}
