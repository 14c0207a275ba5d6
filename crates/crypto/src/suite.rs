//! The choice of algorithms an image links [DESIGN rule 8].
//!
//! Code that takes a [`Suite`] reaches algorithms through it only, so an image built for [`International`] holds nothing
//! of SM2, SM3 and SM4, and one built for [`Chinese`] nothing of DES, AES, RSA and SHA-1. What a suite does not have is a
//! defined answer: `None` where a key is made, [`CryptoError`] where one is used.

use core::fmt;

use crate::block::Algorithm;
use crate::mac::{self, Padding, Step};
use crate::rsa::{RsaPrivate, RsaPublic};
use crate::sm2::{Sm2Private, Sm2Public};
use crate::{Aes, BlockKey, CryptoError, Des, Random, Sm4, Tdes, hash};

/// The algorithms an image links.
pub trait Suite {
    /// Its block cipher keys.
    type Key: SuiteKey;
    /// Its public keys.
    type PublicKey: SuitePublicKey;

    /// A hash; `None`: not in this suite.
    fn hash(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Option<Digest>;

    /// Signs with RSA, see [`RsaPrivate::from_crt`] (`key` is p, q, dp, dq, qinv) and [`RsaPrivate::sign_raw`].
    ///
    /// # Errors
    /// As there, and when RSA is not in this suite.
    fn sign_rsa<'o>(
        key: [&[u8]; 5],
        message: &[u8],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError>;

    /// Signs with SM2, see [`Sm2Private::sign`].
    ///
    /// # Errors
    /// As there, and when SM2 is not in this suite.
    fn sign_sm2(
        key: &[u8; 32],
        parts: &[&[u8]],
        id: &[u8],
        random: &mut dyn Random,
    ) -> Result<[u8; 64], CryptoError>;
}

/// A block cipher key of a suite.
pub trait SuiteKey: BlockKey + Clone + Sized {
    /// Expands a key; `None`: an algorithm outside this suite, or a wrong length.
    fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self>;

    /// The key's algorithm.
    fn algorithm(&self) -> Algorithm;

    /// The 8-byte MAC the payment and card standards use with the key's algorithm, over the message padded by method 2:
    /// DES algorithm 1, 3DES algorithm 3 (retail MAC), SM4 algorithm 1, leftmost 8 bytes; AES: CMAC, leftmost 8 bytes.
    ///
    /// `iv` is one block, all zeros for AES.
    ///
    /// # Errors
    /// [`CryptoError`] for another `iv`.
    fn mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError>;
}

/// A public key of a suite.
pub trait SuitePublicKey: Clone + Sized {
    /// An RSA key, see [`RsaPublic::new`]; `None`: not in this suite, or no such key.
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self>;

    /// An SM2 key of 64 bytes X ‖ Y; `None`: not in this suite, or no point of the curve.
    fn sm2(point: &[u8]) -> Option<Self>;

    /// The key's algorithm.
    fn algorithm(&self) -> PublicKeyAlgorithm;

    /// Recovers what was signed with RSA, see [`RsaPublic::recover`].
    ///
    /// # Errors
    /// As there, and when this is no RSA key.
    fn recover<'o>(&self, signature: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CryptoError>;

    /// Verifies an SM2 signature, see [`Sm2Public::verify`].
    ///
    /// # Errors
    /// As there, and when this is no SM2 key or `signature` not 64 bytes.
    fn verify(&self, parts: &[&[u8]], id: &[u8], signature: &[u8]) -> Result<(), CryptoError>;
}

/// A public key algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKeyAlgorithm {
    /// RSA, signatures from which the message is recovered.
    Rsa,
    /// SM2, signatures beside the message.
    Sm2,
}

/// A hash algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SM3, 32 bytes.
    Sm3,
}

/// A hash of 20 or 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Of SHA-1.
    Short([u8; 20]),
    /// Of SHA-256 and SM3.
    Long([u8; 32]),
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(hash) => hash,
            Self::Long(hash) => hash,
        }
    }
}

/// DES, 3DES and AES; RSA; SHA-1 and SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum International {}

/// SM4; SM2; SM3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chinese {}

/// [`International`] and [`Chinese`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Both {}

fn leftmost(mac: [u8; 16]) -> [u8; 8] {
    let [m0, m1, m2, m3, m4, m5, m6, m7, ..] = mac;
    [m0, m1, m2, m3, m4, m5, m6, m7]
}

/// What each key type is to its suite.
trait Member: BlockKey + Sized {
    const ALGORITHM: Algorithm;
    fn expand(key: &[u8]) -> Option<Self>;
    fn usual_mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError>;
}

impl Member for Des {
    const ALGORITHM: Algorithm = Algorithm::Des;
    fn expand(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self::new)
    }
    fn usual_mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError> {
        mac::alg1(self, iv, parts, Padding::Method2).map(leftmost)
    }
}

impl Member for Tdes {
    const ALGORITHM: Algorithm = Algorithm::Tdes;
    fn expand(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => key.try_into().ok().map(Self::new2),
            _ => key.try_into().ok().map(Self::new3),
        }
    }
    fn usual_mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError> {
        Ok(mac::alg3(self, iv.try_into().map_err(|_| CryptoError)?, parts, Padding::Method2))
    }
}

impl Member for Aes {
    const ALGORITHM: Algorithm = Algorithm::Aes;
    fn expand(key: &[u8]) -> Option<Self> {
        Self::new(key).ok()
    }
    fn usual_mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError> {
        if iv == [0; 16] { Ok(leftmost(mac::cmac(self, parts))) } else { Err(CryptoError) }
    }
}

impl Member for Sm4 {
    const ALGORITHM: Algorithm = Algorithm::Sm4;
    fn expand(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self::new)
    }
    fn usual_mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError> {
        mac::alg1(self, iv, parts, Padding::Method2).map(leftmost)
    }
}

/// A suite's key: one of some key types.
macro_rules! suite_key {
    ($(#[$doc:meta])* $name:ident { $($member:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone)]
        #[non_exhaustive]
        pub enum $name {
            $(#[doc = concat!("A key of ", stringify!($member), ".")] $member($member),)+
        }

        impl SuiteKey for $name {
            fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
                match algorithm {
                    $(Algorithm::$member => $member::expand(key).map(Self::$member),)+
                    #[allow(unreachable_patterns, reason = "a suite of all algorithms has no other")]
                    _ => None,
                }
            }
            fn algorithm(&self) -> Algorithm {
                match self { $(Self::$member(_) => $member::ALGORITHM,)+ }
            }
            fn mac(&self, iv: &[u8], parts: &[&[u8]]) -> Result<[u8; 8], CryptoError> {
                match self { $(Self::$member(key) => key.usual_mac(iv, parts),)+ }
            }
        }

        impl BlockKey for $name {
            fn block_len(&self) -> usize {
                match self { $(Self::$member(key) => key.block_len(),)+ }
            }
            fn encrypt_ecb(&self, data: &mut [u8]) -> Result<(), CryptoError> {
                match self { $(Self::$member(key) => key.encrypt_ecb(data),)+ }
            }
            fn decrypt_ecb(&self, data: &mut [u8]) -> Result<(), CryptoError> {
                match self { $(Self::$member(key) => key.decrypt_ecb(data),)+ }
            }
            fn encrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
                match self { $(Self::$member(key) => key.encrypt_cbc(iv, data),)+ }
            }
            fn decrypt_cbc(&self, iv: &[u8], data: &mut [u8]) -> Result<(), CryptoError> {
                match self { $(Self::$member(key) => key.decrypt_cbc(iv, data),)+ }
            }
            fn kcv(&self) -> [u8; 3] {
                match self { $(Self::$member(key) => key.kcv(),)+ }
            }
            fn kcv_over(&self, byte: u8) -> [u8; 3] {
                match self { $(Self::$member(key) => key.kcv_over(byte),)+ }
            }
            fn mac_step(&self, step: Step<'_>) {
                match self { $(Self::$member(key) => key.mac_step(step),)+ }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$member(key) => key.fmt(f),)+ }
            }
        }

        $(impl From<$member> for $name {
            fn from(key: $member) -> Self {
                Self::$member(key)
            }
        })+
    };
}

suite_key! {
    /// A block cipher key of [`International`].
    InternationalKey { Des, Tdes, Aes }
}

suite_key! {
    /// A block cipher key of [`Chinese`].
    ChineseKey { Sm4 }
}

suite_key! {
    /// A block cipher key of [`Both`].
    BothKey { Des, Tdes, Aes, Sm4 }
}

/// A public key of [`International`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternationalPublicKey(RsaPublic);

impl SuitePublicKey for InternationalPublicKey {
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        RsaPublic::new(modulus, exponent).ok().map(Self)
    }
    fn sm2(_: &[u8]) -> Option<Self> {
        None
    }
    fn algorithm(&self) -> PublicKeyAlgorithm {
        PublicKeyAlgorithm::Rsa
    }
    fn recover<'o>(&self, signature: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
        self.0.recover(signature, out)
    }
    fn verify(&self, _: &[&[u8]], _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
}

/// A public key of [`Chinese`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChinesePublicKey(Sm2Public);

impl SuitePublicKey for ChinesePublicKey {
    fn rsa(_: &[u8], _: &[u8]) -> Option<Self> {
        None
    }
    fn sm2(point: &[u8]) -> Option<Self> {
        Sm2Public::new(point.try_into().ok()?).ok().map(Self)
    }
    fn algorithm(&self) -> PublicKeyAlgorithm {
        PublicKeyAlgorithm::Sm2
    }
    fn recover<'o>(&self, _: &[u8], _: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
        Err(CryptoError)
    }
    fn verify(&self, parts: &[&[u8]], id: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.0.verify(parts, id, signature.try_into().map_err(|_| CryptoError)?)
    }
}

/// A public key of [`Both`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BothPublicKey {
    /// An RSA key.
    Rsa(InternationalPublicKey),
    /// An SM2 key.
    Sm2(ChinesePublicKey),
}

impl SuitePublicKey for BothPublicKey {
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        InternationalPublicKey::rsa(modulus, exponent).map(Self::Rsa)
    }
    fn sm2(point: &[u8]) -> Option<Self> {
        ChinesePublicKey::sm2(point).map(Self::Sm2)
    }
    fn algorithm(&self) -> PublicKeyAlgorithm {
        match self {
            Self::Rsa(key) => key.algorithm(),
            Self::Sm2(key) => key.algorithm(),
        }
    }
    fn recover<'o>(&self, signature: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], CryptoError> {
        match self {
            Self::Rsa(key) => key.recover(signature, out),
            Self::Sm2(key) => key.recover(signature, out),
        }
    }
    fn verify(&self, parts: &[&[u8]], id: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        match self {
            Self::Rsa(key) => key.verify(parts, id, signature),
            Self::Sm2(key) => key.verify(parts, id, signature),
        }
    }
}

impl Suite for International {
    type Key = InternationalKey;
    type PublicKey = InternationalPublicKey;

    fn hash(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Option<Digest> {
        match algorithm {
            HashAlgorithm::Sha1 => Some(Digest::Short(hash::sha1(parts))),
            HashAlgorithm::Sha256 => Some(Digest::Long(hash::sha256(parts))),
            HashAlgorithm::Sm3 => None,
        }
    }
    fn sign_rsa<'o>(
        [p, q, dp, dq, qinv]: [&[u8]; 5],
        message: &[u8],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        RsaPrivate::from_crt(p, q, dp, dq, qinv)?.sign_raw(message, random, out)
    }
    fn sign_sm2(_: &[u8; 32], _: &[&[u8]], _: &[u8], _: &mut dyn Random) -> Result<[u8; 64], CryptoError> {
        Err(CryptoError)
    }
}

impl Suite for Chinese {
    type Key = ChineseKey;
    type PublicKey = ChinesePublicKey;

    fn hash(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Option<Digest> {
        match algorithm {
            HashAlgorithm::Sm3 => Some(Digest::Long(hash::sm3(parts))),
            HashAlgorithm::Sha1 | HashAlgorithm::Sha256 => None,
        }
    }
    fn sign_rsa<'o>(
        _: [&[u8]; 5],
        _: &[u8],
        _: &mut dyn Random,
        _: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        Err(CryptoError)
    }
    fn sign_sm2(
        key: &[u8; 32],
        parts: &[&[u8]],
        id: &[u8],
        random: &mut dyn Random,
    ) -> Result<[u8; 64], CryptoError> {
        Sm2Private::new(key)?.sign(parts, id, random)
    }
}

impl Suite for Both {
    type Key = BothKey;
    type PublicKey = BothPublicKey;

    fn hash(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Option<Digest> {
        International::hash(algorithm, parts).or_else(|| Chinese::hash(algorithm, parts))
    }
    fn sign_rsa<'o>(
        key: [&[u8]; 5],
        message: &[u8],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        International::sign_rsa(key, message, random, out)
    }
    fn sign_sm2(
        key: &[u8; 32],
        parts: &[&[u8]],
        id: &[u8],
        random: &mut dyn Random,
    ) -> Result<[u8; 64], CryptoError> {
        Chinese::sign_sm2(key, parts, id, random)
    }
}
