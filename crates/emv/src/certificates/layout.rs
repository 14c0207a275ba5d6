//! The signed blocks of EMV certificates, field by field. `[EMV-B2 tables 6, 7, 13, 14]`
//!
//! ```text
//! issuer (02):  6A 02 identifier(4) MMYY(2) serial(3) 01 01 modulus-length exponent-length modulus… hash(20) BC
//! card   (04):  6A 04 PAN(10)       MMYY(2) serial(3) 01 01 modulus-length exponent-length modulus… hash(20) BC
//! dynamic (05): 6A 05 01 length ICC-dynamic-data BB…                                               hash(20) BC
//! ```

use huiwan_crypto::CryptoError;
use huiwan_crypto::hash::Sha1;

/// First byte of every block.
pub const HEADER: u8 = 0x6A;
/// Last byte of every block.
pub const TRAILER: u8 = 0xBC;
/// Fills what the modulus or the dynamic data leave free.
pub const FILLER: u8 = 0xBB;
/// SHA-1.
pub const HASH_LEN: usize = 20;
/// Hash algorithm indicator: SHA-1.
pub const SHA1: u8 = 0x01;
/// Public key algorithm indicator: RSA.
pub const RSA: u8 = 0x01;
/// Format of an issuer certificate.
pub const ISSUER: u8 = 0x02;
/// Format of signed static application data.
pub const STATIC: u8 = 0x03;
/// Format of a card certificate.
pub const ICC: u8 = 0x04;
/// Format of signed dynamic application data.
pub const DYNAMIC: u8 = 0x05;
/// Bytes of an issuer certificate that hold no modulus: 14 of fields, header, hash, trailer.
pub const ISSUER_OVERHEAD: usize = 36;
/// Bytes of a card certificate that hold no modulus.
pub const ICC_OVERHEAD: usize = 42;

/// The fields of an issuer certificate before the modulus, from the format byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerFields {
    /// Leftmost 3 to 8 digits of the account number, padded with F.
    pub identifier: [u8; 4],
    /// MMYY, BCD.
    pub expiry: [u8; 2],
    /// Unique to the authority.
    pub serial: [u8; 3],
    /// Bytes of the issuer modulus.
    pub modulus_len: u8,
    /// Bytes of the issuer exponent.
    pub exponent_len: u8,
}

impl IssuerFields {
    /// The fields as signed.
    #[must_use]
    pub const fn encode(&self) -> [u8; 14] {
        let [a, b, c, d] = self.identifier;
        let [month, year] = self.expiry;
        let [x, y, z] = self.serial;
        [ISSUER, a, b, c, d, month, year, x, y, z, SHA1, RSA, self.modulus_len, self.exponent_len]
    }

    /// Reads the fields; `None` for another format or algorithm.
    #[must_use]
    pub const fn decode(raw: &[u8; 14]) -> Option<Self> {
        let [format, a, b, c, d, month, year, x, y, z, hash, algorithm, modulus_len, exponent_len] = *raw;
        if format != ISSUER || hash != SHA1 || algorithm != RSA {
            return None;
        }
        Some(Self {
            identifier: [a, b, c, d],
            expiry: [month, year],
            serial: [x, y, z],
            modulus_len,
            exponent_len,
        })
    }
}

/// The fields of a card certificate before the modulus, from the format byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IccFields {
    /// The account number, padded with F.
    pub pan: [u8; 10],
    /// MMYY, BCD.
    pub expiry: [u8; 2],
    /// Unique to the issuer.
    pub serial: [u8; 3],
    /// Bytes of the card's modulus.
    pub modulus_len: u8,
    /// Bytes of the card's exponent.
    pub exponent_len: u8,
}

impl IccFields {
    /// The fields as signed.
    #[must_use]
    pub const fn encode(&self) -> [u8; 20] {
        let [a, b, c, d, e, f, g, h, i, j] = self.pan;
        let [month, year] = self.expiry;
        let [x, y, z] = self.serial;
        [
            ICC,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            month,
            year,
            x,
            y,
            z,
            SHA1,
            RSA,
            self.modulus_len,
            self.exponent_len,
        ]
    }

    /// Reads the fields; `None` for another format or algorithm.
    #[must_use]
    pub const fn decode(raw: &[u8; 20]) -> Option<Self> {
        let [
            format,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            month,
            year,
            x,
            y,
            z,
            hash,
            algorithm,
            modulus_len,
            exponent_len,
        ] = *raw;
        if format != ICC || hash != SHA1 || algorithm != RSA {
            return None;
        }
        Some(Self {
            pan: [a, b, c, d, e, f, g, h, i, j],
            expiry: [month, year],
            serial: [x, y, z],
            modulus_len,
            exponent_len,
        })
    }
}

/// Lays a block out as long as `block`, the modulus: header, parts, filler, room for the hash, trailer. `[EMV-B2 A2.1]`
///
/// # Errors
/// [`CryptoError`] when the modulus is too short for the parts.
pub fn lay_out(block: &mut [u8], parts: &[&[u8]]) -> Result<(), CryptoError> {
    let (header, rest) = block.split_first_mut().ok_or(CryptoError)?;
    let (trailer, rest) = rest.split_last_mut().ok_or(CryptoError)?;
    let (mut body, _) = rest.split_last_chunk_mut::<HASH_LEN>().ok_or(CryptoError)?;
    *header = HEADER;
    *trailer = TRAILER;
    for part in parts {
        let (place, rest) = body.split_at_mut_checked(part.len()).ok_or(CryptoError)?;
        place.copy_from_slice(part);
        body = rest;
    }
    body.fill(FILLER);
    Ok(())
}

/// The hash of a block laid out: over all between header and hash, then `more`.
///
/// # Errors
/// [`CryptoError`] when the block is too short to be one.
pub fn hash(block: &[u8], more: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
    let [_, body @ .., _] = block else { return Err(CryptoError) };
    let (body, _) = body.split_last_chunk::<HASH_LEN>().ok_or(CryptoError)?;
    let mut hash = Sha1::new();
    hash.update(body);
    for part in more {
        hash.update(part);
    }
    Ok(hash.finish())
}

/// Puts the hash into a block laid out; the block is then ready to be signed.
///
/// # Errors
/// [`CryptoError`] when the block is too short to be one.
pub fn put_hash(block: &mut [u8], hash: &[u8; HASH_LEN]) -> Result<(), CryptoError> {
    let [_, body @ .., _] = block else { return Err(CryptoError) };
    *body.split_last_chunk_mut().ok_or(CryptoError)?.1 = *hash;
    Ok(())
}

/// What stands before the dynamic data of a dynamic signature.
///
/// # Errors
/// [`CryptoError`] for more than 255 bytes of data.
pub fn dynamic_head(format: u8, dynamic_data: &[u8]) -> Result<[u8; 3], CryptoError> {
    Ok([format, SHA1, u8::try_from(dynamic_data.len()).map_err(|_| CryptoError)?])
}
