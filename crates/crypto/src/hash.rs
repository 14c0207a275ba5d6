//! Hash functions over several slices, one-shot and streaming.
//!
//! ```
//! use huiwan_crypto::hash;
//! let mut streaming = hash::Sm3::new();
//! streaming.update(b"a");
//! streaming.update(b"bc");
//! assert_eq!(streaming.finish(), hash::sm3(&[b"abc"]));
//! ```

use cipher::Array;
use sha1::Digest as _;

macro_rules! hash {
    ($one_shot:ident, $name:ident, $len:literal, $inner:ty, $what:literal, $standard:literal) => {
        #[doc = concat!($what, " of the slices, one after the other ", $standard, ".")]
        pub fn $one_shot(parts: &[&[u8]]) -> [u8; $len] {
            let mut hash = $name::new();
            parts.iter().for_each(|part| hash.update(part));
            hash.finish()
        }

        #[doc = concat!("Streaming ", $what, " ", $standard, ".")]
        #[derive(Clone, Default)]
        pub struct $name($inner);

        impl $name {
            /// Starts a hash.
            pub fn new() -> Self {
                Self::default()
            }

            /// Takes the next piece of the message.
            pub fn update(&mut self, part: &[u8]) {
                self.0.update(part);
            }

            /// The hash.
            pub fn finish(self) -> [u8; $len] {
                let Array(hash) = self.0.finalize();
                hash
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

hash!(sha1, Sha1, 20, ::sha1::Sha1, "SHA-1", "[FIPS 180-4]");
hash!(sha256, Sha256, 32, ::sha2::Sha256, "SHA-256", "[FIPS 180-4]");
hash!(sha384, Sha384, 48, ::sha2::Sha384, "SHA-384", "[FIPS 180-4]");
hash!(sha512, Sha512, 64, ::sha2::Sha512, "SHA-512", "[FIPS 180-4]");
hash!(sm3, Sm3, 32, ::sm3::Sm3, "SM3", "[GB/T 32905]");
