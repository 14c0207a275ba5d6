//! Keys, MACs, derivation, RSA and SM2 as smart-card protocols use them, no_std and without alloc.
//!
//! # Where is what
//! - [`Des`], [`Tdes`], [`Aes`], [`Sm4`]: keys, expanded once, and what every one of them does: [`BlockKey`]
//!   (ECB, CBC, key check value)
//! - [`padding`]: ISO/IEC 9797-1 padding methods 1 and 2; [`pin_block`]: PIN blocks of ISO 9564-1 format 2
//! - [`mac`]: ISO/IEC 9797-1 algorithms 1 and 3, CMAC, one-shot over several slices and streaming; the fused
//!   [`mac::encrypt_then_cmac`] of SCP03
//! - [`kdf`]: the counter mode of NIST SP 800-108, in GlobalPlatform's layout and in general; that of ANSI X9.63
//! - [`hash`]: SHA-1, SHA-256, SHA-384, SHA-512, SM3
//! - [`rsa`]: recovery of signed messages (modulus of 64 to 256 bytes), CRT signatures
//! - [`ec`]: agreement and signatures on prime curves, P-256 provided
//! - [`sm2`]: SM2 signatures with the signer's identity (ZA)
//! - [`Suite`]: which algorithms an image links: [`International`], [`Chinese`], [`Both`]
//! - [`Random`]: where randomness comes from; [`Secret`]: bytes that are wiped and never printed;
//!   [`ct_eq`]: comparison in constant time; [`CryptoError`]: the one, opaque failure
//!
//! # A MAC as a card checks it
//! ```
//! use huiwan_crypto::{BlockKey, Tdes, ct_eq, mac};
//!
//! let key = Tdes::new2(b"0123456789ABCDEF");
//! let apdu = [0x84, 0x24, 0x00, 0x00, 0x08];
//! let arqc = [0x11; 8];
//! let mac = mac::alg3(&key, &[0; 8], &[&apdu, &arqc], mac::Padding::Method2);
//!
//! // The same MAC, piece by piece.
//! let mut stream = mac::Alg3::new(&key, &[0; 8], mac::Padding::Method2);
//! stream.update(&apdu);
//! stream.update(&arqc);
//! assert!(ct_eq(&stream.finish(), &mac));
//! assert_eq!(key.block_len(), 8);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod aes;
mod block;
mod des;
pub mod ec;
mod error;
pub mod hash;
pub mod kdf;
pub mod mac;
pub mod padding;
pub mod pin_block;
mod random;
pub mod rsa;
mod secret;
pub mod sm2;
mod sm4;
mod suite;

pub use self::aes::Aes;
pub use self::block::{Algorithm, BlockKey};
pub use self::des::{Des, Tdes};
pub use self::error::CryptoError;
pub use self::random::{Random, RandomFailed};
pub use self::secret::{Secret, Wiped, ct_eq};
pub use self::sm4::Sm4;
pub use self::suite::{
    Both, BothKey, BothPublicKey, Chinese, ChineseKey, ChinesePublicKey, Digest, HashAlgorithm,
    International, InternationalKey, InternationalPublicKey, PublicKeyAlgorithm, Suite, SuiteKey,
    SuitePublicKey,
};
