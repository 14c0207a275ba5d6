//! Load parameters, `EF` of INSTALL [for load]: how much memory the file asks for; in INSTALL [for install], the application.
//! [GPC 11.5.2.3.7]
//!
//! ```text
//! EF { C6 durable code, C7 volatile data, C8 durable data }
//! ```

use huiwan_tlv::{At, Full, Tag, Writer, find};

use super::{InstallError, RULES, TAG_EF_SYSTEM_PARAMETERS};

const TAG_C6_CODE: Tag = Tag::new(0xC6);
const TAG_C7_VOLATILE: Tag = Tag::new(0xC7);
const TAG_C8_DATA: Tag = Tag::new(0xC8);

/// What a load file asks for, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadParameters {
    /// `C6`: least durable memory for the code.
    pub code: Option<u32>,
    /// `C7`: least volatile memory for data.
    pub volatile: Option<u32>,
    /// `C8`: least durable memory for data.
    pub data: Option<u32>,
}

impl LoadParameters {
    /// Reads the parameters field. Others than these are passed over.
    ///
    /// # Errors
    /// [`InstallError`] and its byte; an amount has two or four bytes.
    pub fn parse(raw: &[u8]) -> Result<Self, At<InstallError>> {
        let mut parameters = Self::default();
        let system = find(raw, RULES, TAG_EF_SYSTEM_PARAMETERS);
        let Some(system) = system.map_err(|error| error.map(InstallError::Parameters))? else {
            return Ok(parameters);
        };
        for object in system.children(RULES) {
            let object = object.map_err(|error| error.map(InstallError::Parameters))?;
            let place = match object.tag() {
                TAG_C6_CODE => &mut parameters.code,
                TAG_C7_VOLATILE => &mut parameters.volatile,
                TAG_C8_DATA => &mut parameters.data,
                _ => continue,
            };
            *place = Some(match *object.value() {
                [a, b] => u32::from(u16::from_be_bytes([a, b])),
                [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
                _ => return Err(At::new(InstallError::Memory, object.at())),
            });
        }
        Ok(parameters)
    }

    /// Writes the parameters field: nothing if nothing is set; two bytes an amount, four where it needs them.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        if *self != Self::default() {
            w.nested(TAG_EF_SYSTEM_PARAMETERS, |w| {
                let amounts =
                    [(TAG_C6_CODE, self.code), (TAG_C7_VOLATILE, self.volatile), (TAG_C8_DATA, self.data)];
                for (tag, amount) in amounts {
                    match amount.map(|amount| (u16::try_from(amount), amount)) {
                        Some((Ok(short), _)) => w.put(tag, &short.to_be_bytes()),
                        Some((Err(_), long)) => w.put(tag, &long.to_be_bytes()),
                        None => {}
                    }
                }
            });
        }
        Ok(w.finish()?)
    }
}

/// `EF C6` and `C8`: durable memory that a load file or an application needs at least, in bytes, together. Volatile memory (`C7`) is a slot
/// of fixed size here, and reservations (`D7`, `D8`) are passed over.
///
/// # Errors
/// [`InstallError`] and its byte.
pub fn durable_memory(parameters: &[u8]) -> Result<usize, At<InstallError>> {
    let LoadParameters { code, data, .. } = LoadParameters::parse(parameters)?;
    let needed = code.unwrap_or_default().saturating_add(data.unwrap_or_default());
    Ok(usize::try_from(needed).unwrap_or(usize::MAX))
}
