//! DELETE: applications, security domains, load files, or keys. [GPC 11.2]
//!
//! The token covers P1 ‖ P2 ‖ Lc ‖ everything before its own object, Lc counting that. [GPC C.4]

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Writer, parse};

use crate::token::{TAG_9E_TOKEN, TAG_B6_CONTROL_REFERENCE};

/// Instruction byte.
pub const INS: u8 = 0xE4;
/// P2: related objects too.
pub const RELATED: u8 = 0x80;

const TAG_4F_AID: Tag = Tag::new(0x4F);
const TAG_D0_KEY_IDENTIFIER: Tag = Tag::new(0xD0);
const TAG_D2_KEY_VERSION: Tag = Tag::new(0xD2);

/// What to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An application, security domain or load file by its AID.
    Content(&'a [u8]),
    /// A key, or all keys with this identifier or version.
    Key {
        /// Key identifier.
        id: Option<u8>,
        /// Key version.
        version: Option<u8>,
    },
}

impl<'a> Target<'a> {
    /// Reads the data field; `Ok(None)` if it names nothing that can be deleted.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Option<Self>, At<TlvError>> {
        let (mut id, mut version) = (None, None);
        for object in parse(data, Rules::ISO) {
            let object = object?;
            match (object.tag(), object.value()) {
                (TAG_4F_AID, aid) => return Ok(Some(Self::Content(aid))),
                (TAG_D0_KEY_IDENTIFIER, &[byte]) => id = Some(byte),
                (TAG_D2_KEY_VERSION, &[byte]) => version = Some(byte),
                _ => return Ok(None),
            }
        }
        Ok((id.is_some() || version.is_some()).then_some(Self::Key { id, version }))
    }

    /// Writes the data field.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        match *self {
            Self::Content(aid) => w.put(TAG_4F_AID, aid),
            Self::Key { id, version } => {
                if let Some(id) = id {
                    w.put(TAG_D0_KEY_IDENTIFIER, &[id]);
                }
                if let Some(version) = version {
                    w.put(TAG_D2_KEY_VERSION, &[version]);
                }
            }
        }
        Ok(w.finish()?)
    }
}

/// Writes the token's object behind the names; nothing for no token.
///
/// # Errors
/// [`Full`] if `out` is too small.
pub fn write_token(token: &[u8], out: &mut [u8]) -> Result<usize, Full> {
    let mut w = Writer::new(out);
    if !token.is_empty() {
        w.put(TAG_9E_TOKEN, token);
    }
    Ok(w.finish()?.len())
}

/// What content to delete, with the token of a deletion by delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// Everything before the token, which it covers.
    pub signed: &'a [u8],
    /// The token; empty for none.
    pub token: &'a [u8],
}

impl<'a> Names<'a> {
    /// Reads the data field; `Ok(None)` if it names no content, or something else besides.
    ///
    /// # Errors
    /// [`TlvError`] and its byte.
    pub fn parse(data: &'a [u8]) -> Result<Option<Self>, At<TlvError>> {
        let mut names = Self { signed: data, token: &[] };
        let mut named = false;
        for object in parse(data, Rules::ISO) {
            let object = object?;
            match object.tag() {
                _ if !names.token.is_empty() => return Ok(None),
                TAG_4F_AID => named = true,
                TAG_B6_CONTROL_REFERENCE => {}
                TAG_9E_TOKEN if !object.value().is_empty() => {
                    names.token = object.value();
                    names.signed = data.get(..object.at()).unwrap_or(data);
                }
                _ => return Ok(None),
            }
        }
        Ok(named.then_some(names))
    }

    /// The AIDs in order.
    pub fn aids(&self) -> impl Iterator<Item = &'a [u8]> {
        parse(self.signed, Rules::ISO)
            .flatten()
            .filter(|object| object.tag() == TAG_4F_AID)
            .map(|object| object.value())
    }
}
