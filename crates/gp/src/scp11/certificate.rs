//! Certificates of both kinds: GlobalPlatform's own (`7F21`) and X.509, as far as SCP11 looks at them.
//!
//! An X.509 certificate is read by its place in the structure [RFC 5280 4.1]: serial number, public key, what is signed and the signature.
//! Names, times and extensions are left to who has a clock and a policy; [`Certificate::signed`] holds them.

use huiwan_crypto::CryptoError;
use huiwan_crypto::ec::{Curve, EcPublic, FIELD_MAX};
use huiwan_crypto::kdf::Hash;
use huiwan_tlv::{Rules, Tag, Tlv, parse};

const TAG_7F21_CERTIFICATE: Tag = Tag::new(0x7F21);
const TAG_93_SERIAL: Tag = Tag::new(0x93);
const TAG_95_USAGE: Tag = Tag::new(0x95);
const TAG_7F49_PUBLIC_KEY: Tag = Tag::new(0x7F49);
const TAG_B0_POINT: Tag = Tag::new(0xB0);
const TAG_5F37_SIGNATURE: Tag = Tag::new(0x5F37);
const TAG_30_SEQUENCE: Tag = Tag::new(0x30);
const TAG_02_INTEGER: Tag = Tag::new(0x02);
const TAG_03_BIT_STRING: Tag = Tag::new(0x03);
const TAG_A0_VERSION: Tag = Tag::new(0xA0);

/// What the key of a GlobalPlatform certificate is for.
pub const USAGE_KEY_AGREEMENT: [u8; 2] = [0x00, 0x80];
/// The same: verifying signatures.
pub const USAGE_SIGNATURE: [u8; 2] = [0x82, 0x00];

/// A certificate, taken apart but not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Serial number, as whitelists name it.
    pub serial: &'a [u8],
    /// Key usage (`95`) of a GlobalPlatform certificate.
    pub usage: Option<&'a [u8]>,
    /// The public key, an uncompressed point.
    pub point: &'a [u8],
    /// The bytes under the signature.
    pub signed: &'a [u8],
    /// The signature: SEQUENCE of r and s.
    pub signature: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads the first certificate of either kind; returns what follows it, the next of a chain.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let object = parse(data, Rules::ISO).next()?.ok()?;
        let rest = data.get(end(&object)..)?;
        match object.tag() {
            TAG_7F21_CERTIFICATE => Some((Self::globalplatform(object.value())?, rest)),
            TAG_30_SEQUENCE => Some((Self::x509(object.value())?, rest)),
            _ => None,
        }
    }

    /// { 93 serial, 42, 5F20, 95 usage, …, 7F49 { B0 point, F0 curve }, 5F37 signature }: all but the signature is signed.
    fn globalplatform(body: &'a [u8]) -> Option<Self> {
        let (mut serial, mut usage, mut point, mut signature) = (None, None, None, None);
        let mut signed = None;
        let mut at = 0_usize;
        for object in parse(body, Rules::ISO) {
            let object = object.ok()?;
            match object.tag() {
                // The signature is the last.
                _ if signature.is_some() => return None,
                TAG_93_SERIAL => serial = Some(object.value()),
                TAG_95_USAGE => usage = Some(object.value()),
                TAG_7F49_PUBLIC_KEY => {
                    let parts = parse(object.value(), Rules::ISO);
                    point = parts.flatten().find(|part| part.tag() == TAG_B0_POINT).map(|part| part.value());
                }
                TAG_5F37_SIGNATURE => {
                    signature = Some(object.value());
                    signed = body.get(..at);
                }
                _ => {}
            }
            at = end(&object);
        }
        Some(Self { serial: serial?, usage, point: point?, signed: signed?, signature: signature? })
    }

    /// SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, key info … }, algorithm, BIT STRING }.
    fn x509(body: &'a [u8]) -> Option<Self> {
        let mut outer = parse(body, Rules::ISO);
        let tbs = outer.next()?.ok()?;
        outer.next()?.ok()?;
        let signature = outer.next()?.ok()?;
        if tbs.tag() != TAG_30_SEQUENCE || signature.tag() != TAG_03_BIT_STRING || outer.next().is_some() {
            return None;
        }
        let mut fields = parse(tbs.value(), Rules::ISO);
        let mut serial = fields.next()?.ok()?;
        if serial.tag() == TAG_A0_VERSION {
            serial = fields.next()?.ok()?;
        }
        // Algorithm, issuer, validity, subject; then the key.
        let key = fields.nth(4)?.ok()?;
        let mut key = parse(key.value(), Rules::ISO);
        key.next()?.ok()?;
        let point = key.next()?.ok()?;
        if serial.tag() != TAG_02_INTEGER || point.tag() != TAG_03_BIT_STRING {
            return None;
        }
        // Bit strings of whole bytes begin with 00, the number of unused bits; a positive number may begin with 00 too.
        let unused = |bits: &'a [u8]| match bits {
            [0, rest @ ..] => Some(rest),
            _ => None,
        };
        Some(Self {
            serial: serial.value(),
            usage: None,
            point: unused(point.value())?,
            signed: body.get(..end(&tbs))?,
            signature: unused(signature.value())?,
        })
    }

    /// The public key, if the signature is that of this authority.
    ///
    /// # Errors
    /// [`CryptoError`] if it is not, or the key is no point of the curve.
    pub fn verify<C: Curve, H: Hash>(&self, authority: &EcPublic<C>) -> Result<EcPublic<C>, CryptoError> {
        let mut hash = [0; 64];
        let hash = hash.get_mut(..H::LEN).ok_or(CryptoError)?;
        H::hash(&[self.signed], hash);
        let mut plain = [0; 2 * FIELD_MAX];
        let len = C::FIELD_LEN.saturating_mul(2);
        let plain = plain.get_mut(..len).ok_or(CryptoError)?;
        plain_signature(self.signature, plain, C::FIELD_LEN).ok_or(CryptoError)?;
        authority.verify(hash, plain)?;
        EcPublic::new(self.point)
    }
}

/// SEQUENCE { r, s }, or r ‖ s as it is, to r ‖ s of one field each.
fn plain_signature(signature: &[u8], out: &mut [u8], field: usize) -> Option<()> {
    if signature.len() == out.len() && !is_sequence(signature) {
        out.copy_from_slice(signature);
        return Some(());
    }
    let object = parse(signature, Rules::ISO).next()?.ok()?;
    if object.tag() != TAG_30_SEQUENCE || end(&object) != signature.len() {
        return None;
    }
    let mut numbers = parse(object.value(), Rules::ISO);
    for half in out.chunks_exact_mut(field) {
        let number = numbers.next()?.ok()?;
        let mut value = number.value();
        while let [0, rest @ ..] = value {
            value = rest;
        }
        let zeros = field.checked_sub(value.len())?;
        half.fill(0);
        half.get_mut(zeros..)?.copy_from_slice(value);
        if number.tag() != TAG_02_INTEGER {
            return None;
        }
    }
    if numbers.next().is_some() { None } else { Some(()) }
}

/// The place behind an object.
fn end(object: &Tlv<'_>) -> usize {
    object.at().saturating_add(object.raw().len())
}

fn is_sequence(signature: &[u8]) -> bool {
    parse(signature, Rules::ISO).next().is_some_and(|object| {
        object.is_ok_and(|object| object.tag() == TAG_30_SEQUENCE && end(&object) == signature.len())
    })
}
