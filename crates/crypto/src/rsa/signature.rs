//! Signatures with an appendix [RFC 8017]: RSASSA-PKCS1-v1_5 with SHA-1 and RSASSA-PSS with SHA-256, the two that
//! GlobalPlatform's tokens and load file signatures use. Everything here is public, so nothing takes constant time.

use super::{MAX_MODULUS_LEN, RsaPublic};
use crate::{CryptoError, hash};

/// DigestInfo of SHA-1 up to the hash. [RFC 8017 9.2 note 1]
const SHA1_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14];
/// Bytes of SHA-256, and of the salt.
const HASH_LEN: usize = 32;

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
        let top_bits = self.modulus().first().map_or(0, |byte| byte.leading_zeros());
        // The encoded message has one bit less than the modulus: one byte less if that bit is the first of a byte.
        let start = usize::from(top_bits == 7);
        let encoded = buffer.get_mut(start..self.modulus_len()).ok_or(CryptoError)?;
        let (trailer, rest) = encoded.split_last_mut().ok_or(CryptoError)?;
        let (masked, hash) = rest.split_last_chunk_mut::<HASH_LEN>().ok_or(CryptoError)?;
        let unused = if top_bits == 7 { 0 } else { top_bits.saturating_add(1) };
        let kept = 0xFF_u8.checked_shr(unused).unwrap_or(0);
        if *trailer != 0xBC || masked.first().is_none_or(|&first| first & !kept != 0) {
            return Err(CryptoError);
        }
        for (counter, chunk) in (0_u32..).zip(masked.chunks_mut(HASH_LEN)) {
            let mask = hash::sha256(&[&*hash, &counter.to_be_bytes()]);
            chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
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
