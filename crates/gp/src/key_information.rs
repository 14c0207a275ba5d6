//! Key information template `E0`: which keys a security domain holds. [GPC 11.3.3.1]

use huiwan_tlv::{At, Rules, Tag, TlvError, Tlvs, Writer, find, parse};

/// GET DATA tag of the template.
pub const TAG_E0_KEY_INFORMATION: Tag = Tag::new(0xE0);
/// One key.
pub const TAG_C0_KEY: Tag = Tag::new(0xC0);

/// One key: its place, type and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInformation {
    /// Key identifier.
    pub id: u8,
    /// Key version.
    pub version: u8,
    /// Type byte of the (first) component; [`crate::put_key::KeyType`] for DES and AES.
    pub key_type: u8,
    /// Length byte of the (first) component; 00 means 256 or more.
    pub len: u8,
}

impl KeyInformation {
    /// Writes this key's `C0`.
    pub fn write(&self, w: &mut Writer<'_>) {
        w.put(TAG_C0_KEY, &[self.id, self.version, self.key_type, self.len]);
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
