//! Key information template `E0`: which keys a security domain holds. [GPC 11.3.3.1]

use huiwan_tlv::{At, Rules, Tag, TlvError, Tlvs, Writer, find, parse};

use crate::put_key::{
    Attributes, TYPE_A0_RSA_EXPONENT, TYPE_A1_RSA_MODULUS, TYPE_B0_ECC_POINT, TYPE_B1_ECC_PRIVATE,
    TYPE_F0_ECC_CURVE,
};

/// GET DATA tag of the template.
pub const TAG_E0_KEY_INFORMATION: Tag = Tag::new(0xE0);
/// One key; as a GET DATA tag, all of them without the template around.
pub const TAG_C0_KEY: Tag = Tag::new(0xC0);
/// In place of a type: the extended form follows.
const EXTENDED: u8 = 0xFF;

/// One key: its place, type and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInformation {
    /// Key identifier.
    pub id: u8,
    /// Key version.
    pub version: u8,
    /// Type byte of the (first) component; [`crate::put_key::KeyType`] for those of this crate.
    pub key_type: u8,
    /// Length byte of the (first) component; 00 means 256 or more.
    pub len: u8,
}

/// What a key consists of, lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Components {
    /// One secret value.
    Secret {
        /// Type byte.
        key_type: u8,
        /// Length.
        len: u16,
    },
    /// An RSA public key.
    Rsa {
        /// Length of the exponent.
        exponent: u16,
        /// Length of the modulus.
        modulus: u16,
    },
    /// An ECC public key.
    Ecc {
        /// Length of the point.
        point: u16,
        /// Reference of the curve, told in place of a length.
        curve: u8,
    },
    /// An ECC private key.
    EccPrivate {
        /// Length of the number.
        len: u16,
        /// Reference of the curve, told in place of a length.
        curve: u8,
    },
}

/// One key as a card describes it in `C0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDescription {
    /// Key identifier.
    pub id: u8,
    /// Key version.
    pub version: u8,
    /// Its components.
    pub components: Components,
    /// Usage and access, told in the extended form; a key that came without them is told in the basic one.
    pub attributes: Option<Attributes>,
}

impl KeyDescription {
    fn parts(&self) -> ([(u8, u16); 2], usize) {
        match self.components {
            Components::Secret { key_type, len } => ([(key_type, len), (0, 0)], 1),
            Components::Rsa { exponent, modulus } => {
                ([(TYPE_A1_RSA_MODULUS, modulus), (TYPE_A0_RSA_EXPONENT, exponent)], 2)
            }
            Components::Ecc { point, curve } => {
                ([(TYPE_B0_ECC_POINT, point), (TYPE_F0_ECC_CURVE, u16::from(curve))], 2)
            }
            Components::EccPrivate { len, curve } => {
                ([(TYPE_B1_ECC_PRIVATE, len), (TYPE_F0_ECC_CURVE, u16::from(curve))], 2)
            }
        }
    }

    fn value(&self) -> heapless::Vec<u8, 16> {
        let mut out = heapless::Vec::new();
        let (parts, count) = self.parts();
        // At most 2 + 2 × 4 + 4 bytes.
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes).unwrap_or_default();
        put(&[self.id, self.version]);
        for &(key_type, len) in parts.iter().take(count) {
            let [l1, l2] = len.to_be_bytes();
            match self.attributes {
                Some(_) => put(&[EXTENDED, key_type, l1, l2]),
                None => put(&[key_type, if l1 == 0 { l2 } else { 0 }]),
            }
        }
        if let Some(Attributes { usage, access }) = self.attributes {
            put(&[1, usage, 1, access]);
        }
        out
    }

    /// Bytes of this key's `C0`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.value().len().saturating_add(2)
    }

    /// Never: a key has at least its place.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes this key's `C0`.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.put(TAG_C0_KEY, &self.value());
    }
}

/// The keys in a template; extended entries (type FF) come with the type and the low length byte behind the FF.
#[derive(Debug, Clone)]
pub struct Keys<'a>(Option<Tlvs<'a>>);

/// Reads the template, with or without its `E0` header.
///
/// # Errors
/// [`TlvError`] and its byte.
pub fn keys(data: &[u8]) -> Result<Keys<'_>, At<TlvError>> {
    Ok(Keys(Some(match find(data, Rules::ISO, TAG_E0_KEY_INFORMATION)? {
        Some(template) => template.children(Rules::ISO),
        None => parse(data, Rules::ISO),
    })))
}

impl Iterator for Keys<'_> {
    type Item = KeyInformation;

    fn next(&mut self) -> Option<KeyInformation> {
        loop {
            let Some(Ok(object)) = self.0.as_mut()?.next() else {
                self.0 = None;
                return None;
            };
            if let (
                TAG_C0_KEY,
                &[id, version, 0xFF, key_type, _, len, ..] | &[id, version, key_type, len, ..],
            ) = (object.tag(), object.value())
            {
                return Some(KeyInformation { id, version, key_type, len });
            }
        }
    }
}
