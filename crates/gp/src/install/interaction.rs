//! User interaction parameters, `EF A1` of INSTALL: what a wallet shows, who listens, who excludes whom. [AmdC 3.6 to 3.8]
//!
//! | tag | content |
//! |---|---|
//! | 87 | application family, 20 financial |
//! | 88 | whether it works without a display; the sources disagree which value says what |
//! | A0 | head of the group it belongs to |
//! | A1, A2 | members that may join its group: added, removed |
//! | A3, A4 | listeners (CREL applications): added, removed |
//! | A5 | policy: applications not active together with it |
//! | A6 | discretionary data, by habit the directory entry `BF0C{61}` of the payment environment |
//! | 7F20 | display control template |
//!
//! Lists hold `4F` objects. (AmdC as two host tools write it; JCardEngine reads 87, 88, A3 and A4)

use huiwan_tlv::{At, Full, Rules, Tag, Writer, parse};

use super::InstallError;
use crate::get_status::TAG_4F_AID;

/// Application family.
pub const TAG_87_FAMILY: Tag = Tag::new(0x87);
/// Display required indicator.
pub const TAG_88_DISPLAY: Tag = Tag::new(0x88);
/// Head application.
pub const TAG_A0_HEAD: Tag = Tag::new(0xA0);
/// Added to the group authorization list.
pub const TAG_A1_GROUP: Tag = Tag::new(0xA1);
/// Removed from the group authorization list.
pub const TAG_A2_GROUP_REMOVED: Tag = Tag::new(0xA2);
/// Added to the list of listeners.
pub const TAG_A3_LISTENERS: Tag = Tag::new(0xA3);
/// Removed from the list of listeners.
pub const TAG_A4_LISTENERS_REMOVED: Tag = Tag::new(0xA4);
/// Policy: restricted applications.
pub const TAG_A5_RESTRICTED: Tag = Tag::new(0xA5);
/// Application discretionary data.
pub const TAG_A6_DISCRETIONARY: Tag = Tag::new(0xA6);
/// Display control template.
pub const TAG_7F20_DISPLAY_CONTROL: Tag = Tag::new(0x7F20);

/// Discretionary data and display control hold objects of other bodies.
const RULES: Rules = Rules::EMV;

/// A list of AIDs: `4F` objects, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aids<'a>(&'a [u8]);

impl<'a> Aids<'a> {
    /// No AIDs.
    pub const NONE: Self = Self(&[]);

    /// Reads a list; it may be empty.
    ///
    /// # Errors
    /// [`InstallError`] and its byte: no BER-TLV, or something else than an AID of 1 to 16 bytes.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<InstallError>> {
        for object in parse(raw, Rules::ISO) {
            let object = object.map_err(|error| error.map(InstallError::Parameters))?;
            if object.tag() != TAG_4F_AID || !matches!(object.value().len(), 1..=16) {
                return Err(At::new(InstallError::Contactless, object.at()));
            }
        }
        Ok(Self(raw))
    }

    /// Writes a list.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'n>(names: impl IntoIterator<Item = &'n [u8]>, out: &'a mut [u8]) -> Result<Self, Full> {
        let mut w = Writer::new(out);
        names.into_iter().for_each(|name| w.put(TAG_4F_AID, name));
        Ok(Self(w.finish()?))
    }

    /// The AIDs in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        parse(self.0, Rules::ISO).flatten().map(|object| object.value())
    }

    /// Whether an AID is among them.
    #[must_use]
    pub fn contains(&self, aid: &[u8]) -> bool {
        self.iter().any(|listed| listed == aid)
    }

    /// The objects as they are.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.0
    }
}

/// User interaction parameters. What is `None` or empty is not there, and in a registry update stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interaction<'a> {
    /// `87`: application family, one or two bytes.
    pub family: Option<&'a [u8]>,
    /// `88`: display required indicator, one or two bytes.
    pub display: Option<&'a [u8]>,
    /// `A0`: head of its group; an empty list leaves the group.
    pub head: Option<Aids<'a>>,
    /// `A1`: may join its group.
    pub group: Aids<'a>,
    /// `A2`: may no longer.
    pub group_removed: Aids<'a>,
    /// `A3`: listeners.
    pub listeners: Aids<'a>,
    /// `A4`: listeners no longer.
    pub listeners_removed: Aids<'a>,
    /// `A5`: never active together with it; in a registry update this list replaces the former.
    pub restricted: Option<Aids<'a>>,
    /// `A6`: value of the discretionary data.
    pub discretionary: Option<&'a [u8]>,
    /// `7F20`: value of the display control template.
    pub display_control: Option<&'a [u8]>,
}

impl<'a> Interaction<'a> {
    /// None.
    pub const NONE: Self = Self {
        family: None,
        display: None,
        head: None,
        group: Aids::NONE,
        group_removed: Aids::NONE,
        listeners: Aids::NONE,
        listeners_removed: Aids::NONE,
        restricted: None,
        discretionary: None,
        display_control: None,
    };

    /// Reads the value of `A1`. Unknown objects are passed over.
    ///
    /// # Errors
    /// [`InstallError`] and its byte.
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<InstallError>> {
        let mut read = Self::NONE;
        for object in parse(raw, RULES) {
            let object = object.map_err(|error| error.map(InstallError::Parameters))?;
            let value = object.value();
            let list = || Aids::parse(value).map_err(|error| error.shifted(object.value_at()));
            match object.tag() {
                TAG_87_FAMILY | TAG_88_DISPLAY if !matches!(value.len(), 1 | 2) => {
                    return Err(At::new(InstallError::Contactless, object.at()));
                }
                TAG_87_FAMILY => read.family = Some(value),
                TAG_88_DISPLAY => read.display = Some(value),
                TAG_A0_HEAD => read.head = Some(list()?),
                TAG_A1_GROUP => read.group = list()?,
                TAG_A2_GROUP_REMOVED => read.group_removed = list()?,
                TAG_A3_LISTENERS => read.listeners = list()?,
                TAG_A4_LISTENERS_REMOVED => read.listeners_removed = list()?,
                TAG_A5_RESTRICTED => read.restricted = Some(list()?),
                TAG_A6_DISCRETIONARY => read.discretionary = Some(value),
                TAG_7F20_DISPLAY_CONTROL => read.display_control = Some(value),
                _ => {}
            }
        }
        Ok(read)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Writes the value of `A1`.
    ///
    /// # Errors
    /// [`Full`] if `out` is too small.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> Result<&'b [u8], Full> {
        let mut w = Writer::new(out);
        self.put(&mut w);
        Ok(w.finish()?)
    }

    /// Writes the objects, in the order of their tags' numbers.
    fn put(&self, w: &mut Writer<'_>) {
        let mut put = |tag: Tag, value: Option<&[u8]>| {
            if let Some(value) = value {
                w.put(tag, value);
            }
        };
        let filled = |list: Aids<'a>| (!list.0.is_empty()).then_some(list.0);
        put(TAG_87_FAMILY, self.family);
        put(TAG_88_DISPLAY, self.display);
        put(TAG_A0_HEAD, self.head.map(|list| list.0));
        put(TAG_A1_GROUP, filled(self.group));
        put(TAG_A2_GROUP_REMOVED, filled(self.group_removed));
        put(TAG_A3_LISTENERS, filled(self.listeners));
        put(TAG_A4_LISTENERS_REMOVED, filled(self.listeners_removed));
        put(TAG_A5_RESTRICTED, self.restricted.map(|list| list.0));
        put(TAG_A6_DISCRETIONARY, self.discretionary);
        put(TAG_7F20_DISPLAY_CONTROL, self.display_control);
    }
}
