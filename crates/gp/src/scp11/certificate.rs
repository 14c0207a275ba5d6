//! Certificates of both kinds: GlobalPlatform's own (`7F21`) and X.509, and chains of them.
//!
//! An X.509 certificate is read by its place in the structure [RFC 5280 4.1]: serial number, validity, public key, extensions, what is signed
//! and the signature. Names are not compared: whoever signed a certificate has the key that the one before it carries.

use huiwan_card::DateTime;
use huiwan_crypto::CryptoError;
use huiwan_crypto::ec::{Curve, EcPublic, FIELD_MAX};
use huiwan_crypto::kdf::Hash;
use huiwan_tlv::{Rules, Tag, Tlv, parse};

const TAG_7F21_CERTIFICATE: Tag = Tag::new(0x7F21);
const TAG_93_SERIAL: Tag = Tag::new(0x93);
const TAG_95_USAGE: Tag = Tag::new(0x95);
const TAG_5F25_FROM: Tag = Tag::new(0x5F25);
const TAG_5F24_UNTIL: Tag = Tag::new(0x5F24);
const TAG_7F49_PUBLIC_KEY: Tag = Tag::new(0x7F49);
const TAG_B0_POINT: Tag = Tag::new(0xB0);
const TAG_5F37_SIGNATURE: Tag = Tag::new(0x5F37);
const TAG_30_SEQUENCE: Tag = Tag::new(0x30);
const TAG_01_BOOLEAN: Tag = Tag::new(0x01);
const TAG_02_INTEGER: Tag = Tag::new(0x02);
const TAG_03_BIT_STRING: Tag = Tag::new(0x03);
const TAG_04_OCTET_STRING: Tag = Tag::new(0x04);
const TAG_06_OID: Tag = Tag::new(0x06);
const TAG_17_UTC_TIME: Tag = Tag::new(0x17);
const TAG_18_GENERALIZED_TIME: Tag = Tag::new(0x18);
const TAG_80_KEY_ID: Tag = Tag::new(0x80);
const TAG_A0_VERSION: Tag = Tag::new(0xA0);
const TAG_A3_EXTENSIONS: Tag = Tag::new(0xA3);

/// What the key of a GlobalPlatform certificate is for.
pub const USAGE_KEY_AGREEMENT: [u8; 2] = [0x00, 0x80];
/// The same: verifying signatures.
pub const USAGE_SIGNATURE: [u8; 2] = [0x82, 0x00];

/// A certificate, taken apart but not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// Serial number, as whitelists name it.
    pub serial: &'a [u8],
    /// What its key may be used for.
    pub usage: Usage<'a>,
    /// When it is valid.
    pub validity: Validity,
    /// The public key, an uncompressed point.
    pub point: &'a [u8],
    /// The bytes under the signature.
    pub signed: &'a [u8],
    /// The signature: SEQUENCE of r and s.
    pub signature: &'a [u8],
}

/// What the key of a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage<'a> {
    /// Tag `95` of a GlobalPlatform certificate; without it anything.
    GlobalPlatform(Option<&'a [u8]>),
    /// The extensions of an X.509 certificate.
    X509(Extensions<'a>),
}

/// Extensions of an X.509 certificate, as far as they matter here. [RFC 5280 4.2.1]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    /// First byte of the key usage bits.
    pub key_usage: Option<u8>,
    /// The key is that of an authority.
    pub authority: bool,
    /// How many authorities may follow below this one, if that is limited.
    pub path_len: Option<u8>,
    /// Identifier of the key.
    pub subject_key_id: Option<&'a [u8]>,
    /// Identifier of the key that signed.
    pub authority_key_id: Option<&'a [u8]>,
    /// A critical extension is among them that this crate does not know: the certificate is not to be used.
    pub unknown_critical: bool,
    /// Issuer and subject have one name.
    pub self_issued: bool,
}

impl Extensions<'_> {
    const KEY_AGREEMENT: u8 = 0x08;
    const CERTIFICATE_SIGNATURE: u8 = 0x04;

    fn allows(&self, usage: u8) -> bool {
        self.key_usage.is_none_or(|bits| bits & usage != 0)
    }
}

impl Usage<'_> {
    /// Key agreement.
    #[must_use]
    pub fn agrees(&self) -> bool {
        match self {
            Self::GlobalPlatform(usage) => usage.is_none_or(|usage| usage == USAGE_KEY_AGREEMENT),
            Self::X509(extensions) => {
                !extensions.unknown_critical && extensions.allows(Extensions::KEY_AGREEMENT)
            }
        }
    }

    /// Signing certificates.
    #[must_use]
    pub fn certifies(&self) -> bool {
        match self {
            Self::GlobalPlatform(usage) => usage.is_none_or(|usage| usage == USAGE_SIGNATURE),
            Self::X509(extensions) => {
                !extensions.unknown_critical
                    && extensions.authority
                    && extensions.allows(Extensions::CERTIFICATE_SIGNATURE)
            }
        }
    }
}

/// The time a certificate is valid, both ends included: YYYYMMDDhhmmss in BCD, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validity {
    /// From.
    pub from: Option<[u8; 7]>,
    /// Until.
    pub until: Option<[u8; 7]>,
}

impl Validity {
    /// Whether the time is within.
    #[must_use]
    pub fn contains(&self, now: &DateTime) -> bool {
        let mut time = [0; 7];
        let parts = now.date_bcd().into_iter().chain(now.time_bcd());
        time.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// A date in BCD with the time that stands for it.
fn date(date: &[u8], [h, m, s]: [u8; 3]) -> Option<[u8; 7]> {
    let [c, y, month, day] = <[u8; 4]>::try_from(date).ok()?;
    Some([c, y, month, day, h, m, s])
}

/// UTCTime or GeneralizedTime, in the one form DER allows each. [RFC 5280 4.1.2.5]
fn time(object: &Tlv<'_>) -> Option<[u8; 7]> {
    let digits = object.value().strip_suffix(b"Z")?;
    let mut time = [0; 7];
    let place = match object.tag() {
        TAG_17_UTC_TIME => {
            let century = if digits.first()? < &b'5' { 0x20 } else { 0x19 };
            let (first, rest) = time.split_first_mut()?;
            *first = century;
            rest
        }
        TAG_18_GENERALIZED_TIME => &mut time[..],
        _ => return None,
    };
    if digits.len() != place.len().saturating_mul(2) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    for (to, pair) in place.iter_mut().zip(digits.chunks_exact(2)) {
        *to = pair.iter().fold(0, |byte, digit| byte << 4 | digit & 0x0F);
    }
    Some(time)
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

    /// { 93 serial, 42, 5F20, 95 usage, [5F25] from, 5F24 until, …, 7F49 { B0 point, F0 curve }, 5F37 signature }: all but the signature
    /// is signed.
    fn globalplatform(body: &'a [u8]) -> Option<Self> {
        let (mut serial, mut usage, mut point, mut signature) = (None, None, None, None);
        let (mut signed, mut validity) = (None, Validity::default());
        let mut at = 0_usize;
        for object in parse(body, Rules::ISO) {
            let object = object.ok()?;
            match object.tag() {
                // The signature is the last.
                _ if signature.is_some() => return None,
                TAG_93_SERIAL => serial = Some(object.value()),
                TAG_95_USAGE => usage = Some(object.value()),
                TAG_5F25_FROM => validity.from = Some(date(object.value(), [0x00, 0x00, 0x00])?),
                TAG_5F24_UNTIL => validity.until = Some(date(object.value(), [0x23, 0x59, 0x59])?),
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
        Some(Self {
            serial: serial?,
            usage: Usage::GlobalPlatform(usage),
            validity,
            point: point?,
            signed: signed?,
            signature: signature?,
        })
    }

    /// SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, key info, … [3] extensions }, algorithm,
    /// BIT STRING }.
    fn x509(body: &'a [u8]) -> Option<Self> {
        let mut outer = parse(body, Rules::ISO);
        let tbs = outer.next()?.ok()?;
        let algorithm = outer.next()?.ok()?;
        let signature = outer.next()?.ok()?;
        if tbs.tag() != TAG_30_SEQUENCE || signature.tag() != TAG_03_BIT_STRING || outer.next().is_some() {
            return None;
        }
        let mut fields = parse(tbs.value(), Rules::ISO);
        let mut serial = fields.next()?.ok()?;
        if serial.tag() == TAG_A0_VERSION {
            serial = fields.next()?.ok()?;
        }
        let signed_algorithm = fields.next()?.ok()?;
        let issuer = fields.next()?.ok()?;
        let validity = fields.next()?.ok()?;
        let subject = fields.next()?.ok()?;
        let key = fields.next()?.ok()?;
        let mut times = parse(validity.value(), Rules::ISO);
        let validity =
            Validity { from: Some(time(&times.next()?.ok()?)?), until: Some(time(&times.next()?.ok()?)?) };
        let mut key = parse(key.value(), Rules::ISO);
        key.next()?.ok()?;
        let point = key.next()?.ok()?;
        // The algorithm stands outside the signature too, and has to be the same. [RFC 5280 4.1.1.2]
        if serial.tag() != TAG_02_INTEGER
            || point.tag() != TAG_03_BIT_STRING
            || signed_algorithm.raw() != algorithm.raw()
        {
            return None;
        }
        let mut extensions =
            Extensions { self_issued: issuer.raw() == subject.raw(), ..Extensions::default() };
        for field in fields {
            let field = field.ok()?;
            if field.tag() == TAG_A3_EXTENSIONS {
                let list = parse(field.value(), Rules::ISO).next()?.ok()?;
                for extension in parse(list.value(), Rules::ISO) {
                    extensions.add(extension.ok()?.value())?;
                }
            }
        }
        // Bit strings of whole bytes begin with 00, the number of unused bits.
        let unused = |bits: &'a [u8]| match bits {
            [0, rest @ ..] => Some(rest),
            _ => None,
        };
        Some(Self {
            serial: serial.value(),
            usage: Usage::X509(extensions),
            validity,
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

    /// Whether this is its serial number; zeros before a number make it no other.
    #[must_use]
    pub fn has_serial(&self, serial: &[u8]) -> bool {
        is_same_serial(self.serial, serial)
    }
}

/// Whether two serial numbers are the same number.
#[must_use]
pub fn is_same_serial(a: &[u8], b: &[u8]) -> bool {
    fn number(mut serial: &[u8]) -> &[u8] {
        while let [0, rest @ ..] = serial {
            serial = rest;
        }
        serial
    }
    number(a) == number(b)
}

impl<'a> Extensions<'a> {
    /// Takes the content of one: OID ‖ [critical] ‖ OCTET STRING { value }.
    fn add(&mut self, extension: &'a [u8]) -> Option<()> {
        let mut parts = parse(extension, Rules::ISO);
        let oid = parts.next()?.ok()?;
        let mut value = parts.next()?.ok()?;
        let mut critical = false;
        if value.tag() == TAG_01_BOOLEAN {
            critical = value.value() != [0];
            value = parts.next()?.ok()?;
        }
        if oid.tag() != TAG_06_OID || value.tag() != TAG_04_OCTET_STRING || parts.next().is_some() {
            return None;
        }
        let mut inner = parse(value.value(), Rules::ISO);
        match oid.value() {
            // Key usage: a BIT STRING.
            [0x55, 0x1D, 0x0F] => {
                let bits = inner.next()?.ok()?;
                let (_, bits) = bits.value().split_first().filter(|_| bits.tag() == TAG_03_BIT_STRING)?;
                self.key_usage = Some(bits.first().copied().unwrap_or(0));
            }
            // Basic constraints: SEQUENCE { [BOOLEAN], [INTEGER] }.
            [0x55, 0x1D, 0x13] => {
                for part in inner.next()?.ok()?.children(Rules::ISO) {
                    let part = part.ok()?;
                    match (part.tag(), part.value()) {
                        (TAG_01_BOOLEAN, value) => self.authority = value != [0],
                        (TAG_02_INTEGER, &[len @ 0..=0x7F]) => self.path_len = Some(len),
                        // A chain of more than 127 is longer than any.
                        (TAG_02_INTEGER, _) => self.path_len = None,
                        _ => return None,
                    }
                }
            }
            [0x55, 0x1D, 0x0E] => self.subject_key_id = Some(inner.next()?.ok()?.value()),
            [0x55, 0x1D, 0x23] => {
                let mut parts = inner.next()?.ok()?.children(Rules::ISO).flatten();
                self.authority_key_id =
                    parts.find(|part| part.tag() == TAG_80_KEY_ID).map(|part| part.value());
            }
            // Certificate policies: which one, the host chose when it got the certificate.
            [0x55, 0x1D, 0x20] => {}
            _ => self.unknown_critical |= critical,
        }
        Some(())
    }
}

/// The end of a chain so far: the authority that has to have signed the next certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain<C> {
    /// The key that the last certificate carries.
    pub key: EcPublic<C>,
    /// How many more authorities may follow.
    pub path_len: u8,
}

impl<C: Curve> Chain<C> {
    /// Before the first certificate: the key of the authority that is trusted.
    #[must_use]
    pub const fn new(key: EcPublic<C>) -> Self {
        Self { key, path_len: u8::MAX }
    }

    /// The chain with one more certificate, the last of which agrees keys and the others sign. Without a clock (`now`) nobody can tell whether
    /// it is still valid, and it is taken to be.
    ///
    /// # Errors
    /// [`CryptoError`] if the certificate is wrongly signed, of another usage, not valid now, or one too many.
    pub fn next<H: Hash>(
        &self,
        certificate: &Certificate<'_>,
        last: bool,
        now: Option<&DateTime>,
    ) -> Result<Self, CryptoError> {
        let usage = &certificate.usage;
        let key = certificate.verify::<C, H>(&self.key)?;
        let used = if last { usage.agrees() } else { usage.certifies() };
        if !used || now.is_some_and(|now| !certificate.validity.contains(now)) {
            return Err(CryptoError);
        }
        let mut path_len = self.path_len;
        if let (false, Usage::X509(extensions)) = (last, usage) {
            // One that an authority made out to itself does not count. [RFC 5280 6.1.4]
            if !extensions.self_issued {
                path_len = path_len.checked_sub(1).ok_or(CryptoError)?;
            }
            path_len = path_len.min(extensions.path_len.unwrap_or(u8::MAX));
        }
        Ok(Self { key, path_len })
    }
}

/// The key of the last of a chain of certificates, one behind the other, the first of which this authority signed.
///
/// # Errors
/// [`CryptoError`] if a certificate is malformed, or as [`Chain::next`].
pub fn verify_chain<C: Curve, H: Hash>(
    authority: &EcPublic<C>,
    chain: &[u8],
    now: Option<&DateTime>,
) -> Result<EcPublic<C>, CryptoError> {
    let (mut at, mut rest) = (Chain::new(*authority), chain);
    loop {
        let (certificate, behind) = Certificate::parse(rest).ok_or(CryptoError)?;
        let last = behind.is_empty();
        at = at.next::<H>(&certificate, last, now)?;
        if last {
            return Ok(at.key);
        }
        rest = behind;
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
