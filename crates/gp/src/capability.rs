//! Card capability information, tag `67`: what a card can do, for hosts that ask before they try. [GPC H.4]

use huiwan_tlv::{At, Rules, Tag, TlvError, Writer, find, parse};

use crate::get_data::TAG_67_CAPABILITIES;
use crate::privileges::Privileges;
use crate::{scp02, scp11};

const TAG_A0_SECURE_CHANNEL: Tag = Tag::new(0xA0);

/// Hash functions of load files, in `83`: SHA-1, SHA-256, SHA-384, SHA-512.
pub const HASHES: [u8; 4] = [0x01, 0x02, 0x03, 0x04];

/// Ciphers of load files, in `84`: triple DES, AES of 128, 192 and 256 bits, an initial value.
const CIPHERS: u8 = 0x8F;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Protocol number, "i" and key sizes (b1 128, b2 192, b3 256 bits) of the secure channel.
    pub secure_channel: [u8; 3],
    /// "i" of SCP02, where the card has it.
    pub scp02: Option<u8>,
    /// "i" of SCP11, and key sizes as above, where the card has it.
    pub scp11: Option<(u16, u8)>,
    /// Privileges a security domain can have.
    pub domain_privileges: Privileges,
    /// Privileges an application can have.
    pub application_privileges: Privileges,
    /// Load files can be brought, hashed and deciphered.
    pub load: bool,
    /// The schemes in which tokens and load file signatures are checked, of the constants here.
    pub signatures: u16,
    /// The schemes in which receipts are made.
    pub receipts: u16,
    /// References of the curves whose keys are understood. [AmdE 4.5]
    pub curves: heapless::Vec<u8, CURVES_MAX>,
}

/// Curves told at most.
pub const CURVES_MAX: usize = 8;

impl Capabilities {
    /// RSA up to 1024 bits, PKCS #1 v1.5 with SHA-1. (bits of [GPC H.4] as two host tools read them)
    pub const RSA_SHORT: u16 = 0x0100;
    /// RSA over 1024 bits, PSS with SHA-256.
    pub const RSA_LONG: u16 = 0x0200;
    /// Retail MAC of triple DES, AES of 128, 192 and 256 bits.
    pub const SYMMETRIC: u16 = 0x3C00;
    /// ECDSA with keys of 256 bits and SHA-256.
    pub const ECC_256: u16 = 0x4000;
    /// ECDSA with keys of 384 bits and SHA-384.
    pub const ECC_384: u16 = 0x8000;
    /// ECDSA with keys of 512 bits and SHA-512.
    pub const ECC_512: u16 = 0x0001;
    /// ECDSA with keys of 521 bits and SHA-512.
    pub const ECC_521: u16 = 0x0002;

    /// Nothing but the secure channel.
    #[must_use]
    pub const fn new(secure_channel: [u8; 3], domain: Privileges, application: Privileges) -> Self {
        Self {
            secure_channel,
            scp02: None,
            scp11: None,
            domain_privileges: domain,
            application_privileges: application,
            load: false,
            signatures: 0,
            receipts: 0,
            curves: heapless::Vec::new(),
        }
    }

    /// Writes the data object.
    pub fn write(&self, w: &mut Writer<'_>) {
        let [scp, i, sizes] = self.secure_channel;
        let put = |w: &mut Writer<'_>, tag: u32, value: &[u8]| w.put(Tag::new(tag), value);
        w.nested(TAG_67_CAPABILITIES, |w| {
            w.nested(TAG_A0_SECURE_CHANNEL, |w| {
                put(w, 0x80, &[scp]);
                put(w, 0x81, &[i]);
                put(w, 0x82, &[sizes]);
            });
            if let Some(i) = self.scp02 {
                w.nested(TAG_A0_SECURE_CHANNEL, |w| {
                    put(w, 0x80, &[scp02::SCP]);
                    put(w, 0x81, &[i]);
                });
            }
            if let Some((i, sizes)) = self.scp11 {
                w.nested(Tag::new(0xA0), |w| {
                    put(w, 0x80, &[scp11::SCP]);
                    put(w, 0x81, &i.to_be_bytes());
                    put(w, 0x82, &[sizes]);
                });
            }
            put(w, 0x81, &self.domain_privileges.bytes());
            put(w, 0x82, &self.application_privileges.bytes());
            if self.load {
                put(w, 0x83, &HASHES);
                put(w, 0x84, &[CIPHERS]);
                put(w, 0x85, &self.signatures.to_be_bytes());
                put(w, 0x86, &self.receipts.to_be_bytes());
                put(w, 0x87, &self.signatures.to_be_bytes());
            }
            if !self.curves.is_empty() {
                put(w, 0x88, &self.curves);
            }
        });
    }
}

/// A secure channel protocol in what a card tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecureChannel<'a> {
    /// Its number.
    pub scp: u8,
    /// Its "i" parameters, a byte each.
    pub options: &'a [u8],
    /// Sizes of its AES keys: b1 128, b2 192, b3 256 bits.
    pub key_sizes: Option<u8>,
}

/// What any card tells; what it does not tell is `None` or empty. Bits of signature schemes as in [`Capabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilityInformation<'a> {
    /// Privileges a security domain can have.
    pub domain_privileges: Option<Privileges>,
    /// Privileges an application can have.
    pub application_privileges: Option<Privileges>,
    /// Hash functions of load files, a byte each, see [`HASHES`].
    pub hashes: &'a [u8],
    /// Ciphers of load files, as bits.
    pub ciphers: &'a [u8],
    /// Signature schemes of tokens.
    pub tokens: Option<u16>,
    /// Signature schemes of receipts.
    pub receipts: Option<u16>,
    /// Signature schemes of load files.
    pub signatures: Option<u16>,
    /// References of the curves whose keys are understood, a byte each.
    pub curves: &'a [u8],
    body: &'a [u8],
}

impl<'a> CapabilityInformation<'a> {
    /// Reads the response data of GET DATA, with or without the template around. Others than these are passed over.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<TlvError>> {
        let template = find(data, Rules::ISO, TAG_67_CAPABILITIES)?;
        let (body, objects) = match template {
            Some(template) => (template.value(), template.children(Rules::ISO)),
            None => (data, parse(data, Rules::ISO)),
        };
        let mut told = Self { body, ..Self::default() };
        for object in objects {
            let object = object?;
            let value = object.value();
            match object.tag().get() {
                0x81 => told.domain_privileges = Privileges::parse(value),
                0x82 => told.application_privileges = Privileges::parse(value),
                0x83 => told.hashes = value,
                0x84 => told.ciphers = value,
                0x85 => told.tokens = bits(value),
                0x86 => told.receipts = bits(value),
                0x87 => told.signatures = bits(value),
                0x88 => told.curves = value,
                _ => {}
            }
        }
        Ok(told)
    }

    /// The secure channel protocols; unreadable ones are left out.
    pub fn secure_channels(&self) -> impl Iterator<Item = SecureChannel<'a>> + use<'a> {
        let channels = parse(self.body, Rules::ISO).flatten();
        channels.filter(|object| object.tag() == TAG_A0_SECURE_CHANNEL).filter_map(|object| {
            let value = |tag| find(object.value(), Rules::ISO, Tag::new(tag)).ok().flatten();
            let &[scp] = value(0x80)?.value() else { return None };
            let options = value(0x81).map_or(&[][..], |options| options.value());
            let key_sizes = value(0x82).and_then(|sizes| sizes.value().first().copied());
            Some(SecureChannel { scp, options, key_sizes })
        })
    }
}

/// Two bytes, or one, which is the first of two.
fn bits(value: &[u8]) -> Option<u16> {
    match *value {
        [a] => Some(u16::from_be_bytes([a, 0])),
        [a, b, ..] => Some(u16::from_be_bytes([a, b])),
        [] => None,
    }
}
