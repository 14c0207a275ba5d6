//! INSTALL: the fields of each form and the parameters inside. [GPC 11.5]
//!
//! | P1 | form | fields, each with a length |
//! |---|---|---|
//! | 02 | for load | load file · security domain · hash · parameters · token |
//! | 04, 08, 0C | for install, make selectable, both | load file · module · instance · privileges · parameters · token |
//! | 0E | load, install and make selectable: P2 = 01 first, as 02; P2 = 03 last, as 0C | |
//! | 10 | for extradition | new security domain · – · application · – · parameters · token |
//! | 20 | for personalization | – · – · application · – · – · – |
//! | 40 | for registry update | security domain · – · application · privileges · parameters · token |
//!
//! A length over 127 comes as one byte or as BER: both are met, and whichever fits the data is taken. The token covers
//! P1 ‖ P2 ‖ Lc ‖ all fields before it, Lc counting these. [GPC C.4]
//!
//! Parameters: `C9` application parameters (mandatory, may be empty), `EF` system parameters, of which this crate reads `C6` and
//! `C8`, see [`durable_memory`], `CF`, see [`implicit`], `D9`, see [`restriction`], and of AmdC `A0 81` (initial contactless state) and `A1`, see [`interaction`].

mod domain_parameters;
pub mod implicit;
pub mod interaction;
mod load_parameters;

use core::fmt;

use huiwan_tlv::{At, Full, Rules, Tag, TlvError, Writer, find, walk};

use crate::life_cycle::ContactlessState;
pub use domain_parameters::{DomainParameters, restriction};
pub use implicit::{ImplicitSelection, ImplicitSelections};
pub use interaction::{Aids, Interaction};
pub use load_parameters::{LoadParameters, durable_memory};

/// Instruction byte.
pub const INS: u8 = 0xE6;
/// P1: for load.
pub const FOR_LOAD: u8 = 0x02;
/// P1: for extradition.
pub const FOR_EXTRADITION: u8 = 0x10;
/// P1: for registry update.
pub const FOR_REGISTRY_UPDATE: u8 = 0x40;
/// P1: for load, install and make selectable, as one sequence.
pub const COMBINED: u8 = FOR_LOAD | FOR_INSTALL | FOR_MAKE_SELECTABLE;
/// P2 of the first INSTALL of a combined sequence.
pub const COMBINED_FIRST: u8 = 0x01;
/// P2 of its last INSTALL.
pub const COMBINED_LAST: u8 = 0x03;
/// P1: for install.
pub const FOR_INSTALL: u8 = 0x04;
/// P1: for make selectable.
pub const FOR_MAKE_SELECTABLE: u8 = 0x08;
/// P1: for personalization.
pub const FOR_PERSONALIZATION: u8 = 0x20;

/// Application parameters.
pub const TAG_C9_APPLICATION_PARAMETERS: Tag = Tag::new(0xC9);
/// Functions a domain loses, inside `EF`.
const TAG_D9_RESTRICTION: Tag = Tag::new(0xD9);
/// System parameters.
pub const TAG_EF_SYSTEM_PARAMETERS: Tag = Tag::new(0xEF);

/// Implicit selection parameter.
pub const TAG_CF_IMPLICIT_SELECTION: Tag = Tag::new(0xCF);

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
    /// An implicit selection parameter has no defined value, or there are too many.
    Implicit,
    /// An amount of memory has neither two bytes nor four.
    Memory,
    /// A parameter of a security domain has the wrong length.
    Domain,
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("install data is truncated"),
            Self::Trailing => f.write_str("bytes follow the install data"),
            Self::Parameters(kind) => write!(f, "install parameters: {kind}"),
            Self::Contactless => f.write_str("contactless parameter has no defined value"),
            Self::Implicit => f.write_str("implicit selection parameter has no defined value"),
            Self::Memory => f.write_str("amount of memory has neither two bytes nor four"),
            Self::Domain => f.write_str("security domain parameter has the wrong length"),
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
        let ([load_file, module, instance, privileges, parameters, token], _) = split(data)?;
        Ok(Self { load_file, module, instance, privileges, parameters, token })
    }

    /// Writes the six fields.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small, or a field is longer than its length byte can say (then with `needed` over 255).
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let at = self.write_before_token(out)?;
        with_token(self.token, at, out)
    }

    /// Writes the fields before the token, which it covers; their length is returned, and [`write_token`] goes on behind them.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_before_token(&self, out: &mut [u8]) -> Result<usize, Full> {
        write(&[self.load_file, self.module, self.instance, self.privileges, self.parameters], out)
    }
}

/// The fields of INSTALL [for load].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadFields<'a> {
    /// Executable load file AID.
    pub load_file: &'a [u8],
    /// Security domain it is to be associated with; empty for the one that takes the command.
    pub domain: &'a [u8],
    /// Hash of the load file data block; its length says which. Empty for none.
    pub hash: &'a [u8],
    /// Load parameters, BER-TLV.
    pub parameters: &'a [u8],
    /// Load token; empty for a domain with authorized management.
    pub token: &'a [u8],
}

impl<'a> LoadFields<'a> {
    /// Reads the five fields.
    ///
    /// # Errors
    /// [`InstallError`] and the byte it was found at.
    pub fn parse(data: &'a [u8]) -> Result<Self, At<InstallError>> {
        let ([load_file, domain, hash, parameters, token], _) = split(data)?;
        Ok(Self { load_file, domain, hash, parameters, token })
    }

    /// Writes the five fields.
    ///
    /// # Errors
    /// As [`Fields::write`].
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let at = self.write_before_token(out)?;
        with_token(self.token, at, out)
    }

    /// As [`Fields::write_before_token`].
    ///
    /// # Errors
    /// As [`Fields::write`].
    pub fn write_before_token(&self, out: &mut [u8]) -> Result<usize, Full> {
        write(&[self.load_file, self.domain, self.hash, self.parameters], out)
    }
}

/// What of the data of INSTALL the token covers: everything before the token's own field.
///
/// # Errors
/// [`InstallError`] and the byte it was found at.
pub fn before_token(p1: u8, p2: u8, data: &[u8]) -> Result<&[u8], At<InstallError>> {
    let for_load = p1 == FOR_LOAD || (p1 == COMBINED && p2 == COMBINED_FIRST);
    let at = if for_load { split::<5>(data)?.1 } else { split::<6>(data)?.1 };
    Ok(data.get(..at).unwrap_or(data))
}

/// `N` fields and where the last one begins.
fn split<const N: usize>(data: &[u8]) -> Result<([&[u8]; N], usize), At<InstallError>> {
    // A field of 129 bytes that begins with 80 would read as one of 128: signatures are not that long.
    split_with(data, true).or_else(|_| split_with(data, false))
}

fn split_with<const N: usize>(data: &[u8], ber: bool) -> Result<([&[u8]; N], usize), At<InstallError>> {
    let mut fields = [&[][..]; N];
    let (mut rest, mut at) = (data, 0);
    for field in &mut fields {
        at = data.len().saturating_sub(rest.len());
        let (len, behind) = match *rest {
            [0x81, len, ref behind @ ..] if ber && len >= 0x80 => (usize::from(len), behind),
            [0x82, high, low, ref behind @ ..] if ber && high != 0 => {
                (usize::from(u16::from_be_bytes([high, low])), behind)
            }
            [len, ref behind @ ..] => (usize::from(len), behind),
            [] => return Err(At::new(InstallError::Truncated, at)),
        };
        (*field, rest) = behind.split_at_checked(len).ok_or(At::new(InstallError::Truncated, at))?;
    }
    if rest.is_empty() {
        Ok((fields, at))
    } else {
        Err(At::new(InstallError::Trailing, data.len().saturating_sub(rest.len())))
    }
}

fn write(fields: &[&[u8]], out: &mut [u8]) -> Result<usize, Full> {
    let needed = fields.iter().fold(0_usize, |sum, field| sum.saturating_add(field.len()).saturating_add(1));
    let full = Full { needed };
    let mut at = 0_usize;
    for field in fields {
        let len = u8::try_from(field.len()).map_err(|_| full)?;
        let (head, rest) = out.get_mut(at..).ok_or(full)?.split_first_mut().ok_or(full)?;
        *head = len;
        rest.get_mut(..field.len()).ok_or(full)?.copy_from_slice(field);
        at = at.saturating_add(field.len()).saturating_add(1);
    }
    Ok(at)
}

/// Writes the token's field: a signature of 128 bytes or more has a length in BER. [GPC 11.5.2.3.1]
///
/// # Errors
/// [`Full`] if `out` is too small.
pub fn write_token(token: &[u8], out: &mut [u8]) -> Result<usize, Full> {
    let full = Full { needed: token.len().saturating_add(3) };
    let [high, low] = u16::try_from(token.len()).map_err(|_| full)?.to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7F) => &[low],
        (0, _) => &[0x81, low],
        _ => &[0x82, high, low],
    };
    let end = head.len().saturating_add(token.len());
    let place = out.get_mut(..end).ok_or(full)?;
    place.iter_mut().zip(head.iter().chain(token)).for_each(|(to, from)| *to = *from);
    Ok(end)
}

/// The token's field behind the others.
fn with_token<'b>(token: &[u8], at: usize, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
    let needed = |full: Full| Full { needed: full.needed.saturating_add(at) };
    let place = out.get_mut(at..).ok_or(Full { needed: at })?;
    let end = at.saturating_add(write_token(token, place).map_err(needed)?);
    out.get(..end).ok_or(Full { needed: end })
}

/// The install parameters this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters<'a> {
    /// `C9`: handed to the application.
    pub application: &'a [u8],
    /// `EF CF`: where it is selected implicitly, one object for each; an empty `CF` alone takes away what there was. (the latter our
    /// choice)
    pub implicit: Option<ImplicitSelections>,
    /// `EF A0 81`: initial contactless state.
    pub contactless: Option<ContactlessState>,
    /// `50` in the directory entry `61`: what a screen shows, at most 16 bytes.
    pub label: Option<&'a [u8]>,
    /// `87` in the directory entry `61`: application priority indicator.
    pub priority: Option<u8>,
    /// `EF A1`: user interaction parameters as [`Interaction::write`] makes them, for [`Self::interaction`]. Label and priority
    /// are those of its `A6`; [`write`](Self::write) makes an `A6` of them where this has none.
    pub user_interaction: &'a [u8],
}

/// `BF0C` has a leading zero in its number, which ISO 8825 forbids and EMV made common.
const RULES: Rules = Rules::EMV;

impl<'a> Parameters<'a> {
    /// An empty `C9`.
    pub const NONE: Self = Self {
        application: &[],
        implicit: None,
        contactless: None,
        label: None,
        priority: None,
        user_interaction: &[],
    };

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
                _ if object.tag() == TAG_CF_IMPLICIT_SELECTION => {
                    let mut all = parameters.implicit.unwrap_or_default();
                    let wrong = At::new(InstallError::Implicit, object.at());
                    match *object.value() {
                        [] => {}
                        [byte] => {
                            let one = ImplicitSelection::from_byte(byte).ok_or(wrong)?;
                            all.push(one).ok_or(wrong)?;
                        }
                        _ => return Err(wrong),
                    }
                    parameters.implicit = Some(all);
                }
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
                0xA1 => {
                    Interaction::parse(object.value()).map_err(|error| error.shifted(object.value_at()))?;
                    parameters.user_interaction = object.value();
                    if let Some(a6) =
                        find(object.value(), RULES, interaction::TAG_A6_DISCRETIONARY).map_err(tlv)?
                    {
                        let base = object.value_at().saturating_add(a6.value_at());
                        parameters.directory_entry(a6.value(), base)?;
                    }
                }
                _ => {}
            }
        }
        Ok(parameters)
    }

    /// Label and priority from the first `61` below `A6`, with or without a `BF0C` between. Discretionary data need not be BER-TLV:
    /// others hold neither.
    fn directory_entry(&mut self, a6: &'a [u8], base: usize) -> Result<(), At<InstallError>> {
        for (_, object) in walk(a6, RULES).flatten() {
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
        self.put_system_parameters(&mut w, None);
        Ok(w.finish()?)
    }

    /// Writes the parameters field of a registry update: what is not set is not there and stays as it is. `restriction` as
    /// [`restriction`] reads it.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write_update<'b>(&self, restriction: Option<u8>, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        self.put_system_parameters(&mut w, restriction);
        Ok(w.finish()?)
    }

    fn put_system_parameters(&self, w: &mut Writer<'_>, restriction: Option<u8>) {
        let entry =
            self.interaction().discretionary.is_none() && (self.label.is_some() || self.priority.is_some());
        let interaction = entry || !self.user_interaction.is_empty();
        if self.contactless.is_none() && !interaction && restriction.is_none() && self.implicit.is_none() {
            return;
        }
        w.nested(TAG_EF_SYSTEM_PARAMETERS, |w| {
            match &self.implicit {
                Some(none) if none.is_empty() => w.put(TAG_CF_IMPLICIT_SELECTION, &[]),
                all => all
                    .iter()
                    .flat_map(ImplicitSelections::iter)
                    .for_each(|one| w.put(TAG_CF_IMPLICIT_SELECTION, &[one.byte()])),
            }
            if let Some(state) = self.contactless {
                w.nested(Tag::new(0xA0), |w| w.put(Tag::new(0x81), &[state.byte()]));
            }
            if interaction {
                w.nested(Tag::new(0xA1), |w| {
                    w.raw(self.user_interaction);
                    if entry {
                        w.nested(interaction::TAG_A6_DISCRETIONARY, |w| self.put_directory_entry(w));
                    }
                });
            }
            if let Some(restriction) = restriction {
                w.put(TAG_D9_RESTRICTION, &[restriction]);
            }
        });
    }
}

impl<'a> Parameters<'a> {
    /// The user interaction parameters; none if they cannot be read, which [`parse`](Self::parse) has checked.
    #[must_use]
    pub fn interaction(&self) -> Interaction<'a> {
        Interaction::parse(self.user_interaction).unwrap_or(Interaction::NONE)
    }

    /// `BF0C { 61 { 50, 87 } }`.
    fn put_directory_entry(&self, w: &mut Writer<'_>) {
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
    }
}
