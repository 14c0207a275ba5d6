//! Signatures with an appendix [RFC 8017]: RSASSA-PKCS1-v1_5 with SHA-1 and RSASSA-PSS with SHA-256, the two that
//! GlobalPlatform's tokens and load file signatures use. What is encoded is public, so the encoding does not take constant time.

use super::{MAX_MODULUS_LEN, RsaPrivate, RsaPublic};
use crate::{CryptoError, Random, hash};

/// DigestInfo of SHA-1 up to the hash. [RFC 8017 9.2 note 1]
const SHA1_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14];
/// Bytes of SHA-256, and of the salt.
const HASH_LEN: usize = 32;

impl RsaPrivate {
    /// An RSASSA-PKCS1-v1_5 signature with SHA-1 over the parts, one after the other. [RFC 8017 8.2.1]
    ///
    /// `random` blinds the private operation; the signature does not depend on it.
    ///
    /// # Errors
    /// As [`Self::sign_raw`].
    pub fn sign_pkcs1_sha1<'o>(
        &self,
        parts: &[&[u8]],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        let mut buffer = [0xFF; MAX_MODULUS_LEN];
        let encoded = buffer.get_mut(..self.modulus_len()).ok_or(CryptoError)?;
        // 00 01 FF … FF 00 DigestInfo; the shortest modulus leaves more than eight FF.
        if let [zero, one, ..] = encoded {
            (*zero, *one) = (0, 1);
        }
        let (rest, hash) = encoded.split_last_chunk_mut::<20>().ok_or(CryptoError)?;
        *hash = hash::sha1(parts);
        let (rest, info) = rest.split_last_chunk_mut::<15>().ok_or(CryptoError)?;
        *info = SHA1_INFO;
        *rest.last_mut().ok_or(CryptoError)? = 0;
        self.sign_raw(encoded, random, out)
    }

    /// An RSASSA-PSS signature with SHA-256, MGF1 of the same and 32 bytes of salt from `random` over the parts. [RFC 8017 8.1.1]
    ///
    /// # Errors
    /// As [`Self::sign_raw`]; [`CryptoError`] too if the modulus is shorter than two hashes and two bytes.
    pub fn sign_pss_sha256<'o>(
        &self,
        parts: &[&[u8]],
        random: &mut dyn Random,
        out: &'o mut [u8],
    ) -> Result<&'o [u8], CryptoError> {
        let mut salt = [0; HASH_LEN];
        random.fill(&mut salt)?;
        let message = hash::sha256(parts);
        let mut buffer = [0; MAX_MODULUS_LEN];
        let whole = buffer.get_mut(..self.modulus_len()).ok_or(CryptoError)?;
        let (start, kept) = unused_bits(self.public());
        let encoded = whole.get_mut(start..).ok_or(CryptoError)?;
        let (trailer, rest) = encoded.split_last_mut().ok_or(CryptoError)?;
        *trailer = 0xBC;
        let (masked, hash) = rest.split_last_chunk_mut::<HASH_LEN>().ok_or(CryptoError)?;
        *hash = hash::sha256(&[&[0; 8], &message, &salt]);
        // 00 … 00 01 salt
        let (zeros, last) = masked.split_last_chunk_mut::<HASH_LEN>().ok_or(CryptoError)?;
        *last = salt;
        *zeros.last_mut().ok_or(CryptoError)? = 1;
        mask(masked, hash);
        if let Some(first) = masked.first_mut() {
            *first &= kept;
        }
        self.sign_raw(whole, random, out)
    }
}

/// Where the encoded message of PSS begins, and which bits of its first byte are of it: it has one bit less than the modulus, and one
/// byte less if that bit is the first of a byte.
fn unused_bits(key: &RsaPublic) -> (usize, u8) {
    let top_bits = key.modulus().first().map_or(0, |byte| byte.leading_zeros());
    let unused = if top_bits == 7 { 0 } else { top_bits.saturating_add(1) };
    (usize::from(top_bits == 7), 0xFF_u8.checked_shr(unused).unwrap_or(0))
}

/// MGF1 with SHA-256, over the data block. [RFC 8017 B.2.1]
fn mask(block: &mut [u8], seed: &[u8; HASH_LEN]) {
    for (counter, chunk) in (0_u32..).zip(block.chunks_mut(HASH_LEN)) {
        let mask = hash::sha256(&[seed, &counter.to_be_bytes()]);
        chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
}

impl RsaPublic {
    /// Checks an RSASSA-PKCS1-v1_5 signature with SHA-1 over the parts, one after the other. [RFC 8017 8.2.2]
    ///
    /// # Errors
    /// [`CryptoError`] if it is wrong.
    pub fn verify_pkcs1_sha1(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        let mut buffer = [0; MAX_MODULUS_LEN];
        let encoded = self.recover(signature, &mut buffer)?;
        // 00 01 FF … FF 00 DigestInfo, at least eight FF.
        let (padding, hash) = encoded.split_last_chunk::<20>().ok_or(CryptoError)?;
        let filled = padding.strip_suffix(&SHA1_INFO).and_then(|rest| rest.strip_suffix(&[0]));
        let filled = filled.and_then(|rest| rest.strip_prefix(&[0, 1])).ok_or(CryptoError)?;
        let good = filled.len() >= 8 && filled.iter().all(|&byte| byte == 0xFF);
        if good && *hash == hash::sha1(parts) { Ok(()) } else { Err(CryptoError) }
    }

    /// Checks an RSASSA-PSS signature with SHA-256, MGF1 of the same and 32 bytes of salt over the parts. [RFC 8017 8.1.2]
    ///
    /// # Errors
    /// [`CryptoError`] if it is wrong, or the modulus shorter than two hashes and two bytes.
    pub fn verify_pss_sha256(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), CryptoError> {
        let mut buffer = [0; MAX_MODULUS_LEN];
        self.recover(signature, &mut buffer)?;
        let (start, kept) = unused_bits(self);
        let encoded = buffer.get_mut(start..self.modulus_len()).ok_or(CryptoError)?;
        let (trailer, rest) = encoded.split_last_mut().ok_or(CryptoError)?;
        let (masked, hash) = rest.split_last_chunk_mut::<HASH_LEN>().ok_or(CryptoError)?;
        if *trailer != 0xBC || masked.first().is_none_or(|&first| first & !kept != 0) {
            return Err(CryptoError);
        }
        mask(masked, hash);
        if let Some(first) = masked.first_mut() {
            *first &= kept;
        }
        // 00 … 00 01 salt
        let (zeros, salt) = masked.split_last_chunk::<HASH_LEN>().ok_or(CryptoError)?;
        let (one, zeros) = zeros.split_last().ok_or(CryptoError)?;
        let message = hash::sha256(parts);
        let expected = hash::sha256(&[&[0; 8], &message, salt]);
        if *one == 1 && zeros.iter().all(|&byte| byte == 0) && *hash == expected {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}
