//! Card capability information, tag `67`: what a card can do, for hosts that ask before they try. [GPC H.4]

use huiwan_tlv::Tag;
use huiwan_tlv::Writer;

use crate::get_data::TAG_67_CAPABILITIES;
use crate::privileges::Privileges;
use crate::{scp02, scp11};

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
            w.nested(Tag::new(0xA0), |w| {
                put(w, 0x80, &[scp]);
                put(w, 0x81, &[i]);
                put(w, 0x82, &[sizes]);
            });
            if let Some(i) = self.scp02 {
                w.nested(Tag::new(0xA0), |w| {
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
