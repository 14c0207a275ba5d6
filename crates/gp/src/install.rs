//! INSTALL: the fields of each form and the parameters inside. [GPC 11.5]
//!
//! | P1 | form | fields, each with a length byte |
//! |---|---|---|
//! | 04, 08, 0C | for install, make selectable, both | load file · module · instance · privileges · parameters · token |
//! | 20 | for personalization | – · – · application · – · – · – |
//!
//! Parameters: `C9` application parameters (mandatory, may be empty), `EF` system parameters, of which this crate reads `A0 81`
//! (initial contactless state) and, in `A1 A6`, the PPSE directory entry `61` with label `50` and priority `87`. (AmdC)

use core::fmt;

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Writer, find, walk};

use crate::life_cycle::ContactlessState;

/// Instruction byte.
pub const INS: u8 = 0xE6;
/// P1: for install.
pub const FOR_INSTALL: u8 = 0x04;
/// P1: for make selectable.
pub const FOR_MAKE_SELECTABLE: u8 = 0x08;
/// P1: for personalization.
pub const FOR_PERSONALIZATION: u8 = 0x20;

/// Application parameters.
pub const TAG_C9_APPLICATION_PARAMETERS: Tag = Tag::new(0xC9);
/// System parameters.
pub const TAG_EF_SYSTEM_PARAMETERS: Tag = Tag::new(0xEF);

/// The fields of INSTALL [for install], [for make selectable], [for personalization].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields<'a> {
    /// Executable load file AID.
    pub load_file: &'a [u8],
    /// Executable module AID.
    pub module: &'a [u8],
    /// Instance (application) AID.
    pub instance: &'a [u8],
    /// Privileges, one or three bytes.
    pub privileges: &'a [u8],
    /// Install parameters, BER-TLV.
    pub parameters: &'a [u8],
    /// Install token; empty for a domain with authorized management.
    pub token: &'a [u8],
}

/// What is wrong with the data of INSTALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallError {
    /// The data ends inside a field.
    Truncated,
    /// Bytes follow the last field.
    Trailing,
    /// The parameters are no BER-TLV.
    Parameters(TlvError),
    /// A contactless parameter has no defined value.
    Contactless,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("install data is truncated"),
            Self::Trailing => f.write_str("bytes follow the install data"),
            Self::Parameters(kind) => write!(f, "install parameters: {kind}"),
            Self::Contactless => f.write_str("contactless parameter has no defined value"),
        }
    }
}

impl core::error::Error for InstallError {}

impl<'a> Fields<'a> {
    /// Reads the six fields.
    ///
    /// # Errors
    /// [`InstallError`] and the byte it was found at.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<InstallError>> {
        let mut rest = data;
        let mut take = || {
            let at = data.len().saturating_sub(rest.len());
            let (value, behind) = rest
                .split_first()
                .and_then(|(&len, behind)| behind.split_at_checked(usize::from(len)))
                .ok_or(At::new(InstallError::Truncated, at))?;
            rest = behind;
            Ok(value)
        };
        let fields = Self {
            load_file: take()?,
            module: take()?,
            instance: take()?,
            privileges: take()?,
            parameters: take()?,
            token: take()?,
        };
        if rest.is_empty() {
            Ok(fields)
        } else {
            Err(At::new(InstallError::Trailing, data.len().saturating_sub(rest.len())))
        }
    }

    /// Writes the six fields.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small, or a field is longer than its length byte can say (then with `needed` over 255).
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let fields =
            [self.load_file, self.module, self.instance, self.privileges, self.parameters, self.token];
        let needed =
            fields.iter().fold(0_usize, |sum, field| sum.saturating_add(field.len()).saturating_add(1));
        let full = Full { needed };
        let mut at = 0_usize;
        for field in fields {
            let len = u8::try_from(field.len()).map_err(|_| full)?;
            let (head, rest) = out.get_mut(at..).ok_or(full)?.split_first_mut().ok_or(full)?;
            *head = len;
            rest.get_mut(..field.len()).ok_or(full)?.copy_from_slice(field);
            at = at.saturating_add(field.len()).saturating_add(1);
        }
        out.get(..at).ok_or(full)
    }
}

/// The install parameters this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters<'a> {
    /// `C9`: handed to the application.
    pub application: &'a [u8],
    /// `EF A0 81`: initial contactless state.
    pub contactless: Option<ContactlessState>,
    /// `50` in the directory entry `61`: what a screen shows, at most 16 bytes.
    pub label: Option<&'a [u8]>,
    /// `87` in the directory entry `61`: application priority indicator.
    pub priority: Option<u8>,
}

/// `BF0C` has a leading zero in its number, which ISO 8825 forbids and EMV made common.
const RULES: Rules = Rules::EMV;

impl<'a> Parameters<'a> {
    /// Reads the parameters field. Unknown system parameters are passed over.
    ///
    /// # Errors
    /// [`InstallError`] and the byte, counted from the beginning of the parameters.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<InstallError>> {
        let tlv = |error: At<TlvError>| At::new(InstallError::Parameters(error.kind()), error.at());
        let mut parameters = Self::default();
        if let Some(c9) = find(raw, RULES, TAG_C9_APPLICATION_PARAMETERS).map_err(tlv)? {
            parameters.application = c9.value();
        }
        let Some(ef) = find(raw, RULES, TAG_EF_SYSTEM_PARAMETERS).map_err(tlv)? else {
            return Ok(parameters);
        };
        for object in ef.children(RULES) {
            let object = object.map_err(tlv)?;
            match object.tag().get() {
                0xA0 => {
                    if let Some(state) = find(object.value(), RULES, Tag::new(0x81)).map_err(tlv)? {
                        let known = match *state.value() {
                            [byte] => ContactlessState::from_byte(byte),
                            _ => None,
                        };
                        let at = object.value_at().saturating_add(state.value_at());
                        parameters.contactless = Some(known.ok_or(At::new(InstallError::Contactless, at))?);
                    }
                }
                0xA1 => parameters.directory_entry(object.value(), object.value_at())?,
                _ => {}
            }
        }
        Ok(parameters)
    }

    /// Label and priority from the first `61` below `A6`, with or without a `BF0C` between.
    fn directory_entry(&mut self, a1: &'a [u8], base: usize) -> Result<(), At<InstallError>> {
        for item in walk(a1, RULES) {
            let (_, object) = item.map_err(|error| {
                At::new(InstallError::Parameters(error.kind()), error.at().saturating_add(base))
            })?;
            match (object.tag().get(), object.value()) {
                (0x50, label) if self.label.is_none() && label.len() <= 16 => self.label = Some(label),
                (0x50, _) => {
                    return Err(At::new(InstallError::Contactless, object.at().saturating_add(base)));
                }
                (0x87, &[priority]) if self.priority.is_none() => self.priority = Some(priority),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the parameters field: `C9`, then `EF` if anything else is set.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        w.put(TAG_C9_APPLICATION_PARAMETERS, self.application);
        if self.contactless.is_some() || self.label.is_some() || self.priority.is_some() {
            w.nested(TAG_EF_SYSTEM_PARAMETERS, |w| {
                if let Some(state) = self.contactless {
                    w.nested(Tag::new(0xA0), |w| w.put(Tag::new(0x81), &[state.byte()]));
                }
                if self.label.is_some() || self.priority.is_some() {
                    w.nested(Tag::new(0xA1), |w| {
                        w.nested(Tag::new(0xA6), |w| {
                            w.nested(Tag::new(0xBF0C), |w| {
                                w.nested(Tag::new(0x61), |w| {
                                    if let Some(label) = self.label {
                                        w.put(Tag::new(0x50), label);
                                    }
                                    if let Some(priority) = self.priority {
                                        w.put(Tag::new(0x87), &[priority]);
                                    }
                                });
                            });
                        });
                    });
                }
            });
        }
        Ok(w.finish()?)
    }
}
