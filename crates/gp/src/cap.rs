//! CAP files: components from borrowed bytes, and the load file made of them. [JCVM 6; sheet 6]
//!
//! A CAP file is a ZIP archive with one member for each component. Reading the archive is the caller's; the members go in here
//! in any order, and come out as a card wants them: header, imports and applets to check before anything is sent
//! ([`CapFile`]), and the load file with its hash and its blocks ([`LoadFile`]).
//!
//! ```
//! use huiwan_gp::cap::{CapFile, LoadFile};
//!
//! // Header.cap of a package D0D1D2D3D4, version 1.0, in format 2.1.
//! let header = [0x01, 0x00, 0x0F, 0xDE, 0xCA, 0xFF, 0xED, 0x01, 0x02, 0x04, 0x00, 0x01, 0x05, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4];
//! let cap = CapFile::new(&[&header])?;
//! assert_eq!(cap.header().package.aid, [0xD0, 0xD1, 0xD2, 0xD3, 0xD4]);
//!
//! let load_file = LoadFile::new(&cap);
//! let mut first = [0; 4];
//! assert_eq!(load_file.block(0, &mut first), Some(4));
//! assert_eq!(first, [0xC4, 18, 0x01, 0x00]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

use huiwan_tlv::At;

mod kind;
mod load_file;

pub use kind::Kind;
pub use load_file::{Ciphered, DAP_MEMBERS, Dap, HashFunction, LoadFile, MAX_BLOCKS};

/// What is wrong with a CAP file. The offset is inside the component's member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapError {
    /// The bytes end inside a field of this component.
    Truncated(Option<Kind>),
    /// Bytes follow the component, or its length is wrong.
    Length(Kind),
    /// There is no component with this tag.
    Tag(u8),
    /// A component is there twice.
    Twice(Kind),
    /// There is no Header.cap.
    NoHeader,
    /// The header does not begin with DECAFFED.
    Magic,
    /// The extended format of 2.3 has 4-byte sizes, which this crate does not read.
    Extended,
    /// An AID is not 5 to 16 bytes long.
    Aid(Kind),
    /// The directory names another size of this component than it has.
    Directory(Kind),
}

impl fmt::Display for CapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(Some(kind)) => write!(f, "{} is truncated", kind.file_name()),
            Self::Truncated(None) => f.write_str("component is truncated"),
            Self::Length(kind) => write!(f, "{} is not as long as it says", kind.file_name()),
            Self::Tag(tag) => write!(f, "component tag {tag:02X} is unknown"),
            Self::Twice(kind) => write!(f, "{} is there twice", kind.file_name()),
            Self::NoHeader => f.write_str("header.cap is missing"),
            Self::Magic => f.write_str("header.cap does not begin with DECAFFED"),
            Self::Extended => f.write_str("extended cap format is not supported"),
            Self::Aid(kind) => write!(f, "aid in {} is not 5 to 16 bytes long", kind.file_name()),
            Self::Directory(kind) => write!(f, "directory.cap names another size of {}", kind.file_name()),
        }
    }
}

impl core::error::Error for CapError {}

/// Tag 1 ‖ length 2 in front of a component's content.
const PREFIX: usize = 3;

/// One component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component<'a> {
    kind: Kind,
    raw: &'a [u8],
}

impl<'a> Component<'a> {
    /// Reads the component at the beginning of `raw`; what follows it is left alone.
    fn at_start(raw: &'a [u8]) -> Result<Self, At<CapError>> {
        let Some(&[tag, high, low]) = raw.first_chunk::<PREFIX>() else {
            return Err(At::new(CapError::Truncated(None), raw.len()));
        };
        let kind = Kind::from_tag(tag).ok_or(At::new(CapError::Tag(tag), 0))?;
        let len = usize::from(u16::from_be_bytes([high, low])).saturating_add(PREFIX);
        let raw = raw.get(..len).ok_or(At::new(CapError::Truncated(Some(kind)), raw.len()))?;
        Ok(Self { kind, raw })
    }

    /// Reads a whole member of the archive.
    ///
    /// # Errors
    /// [`CapError`] and the byte it was found at.
    pub fn parse(member: &'a [u8]) -> Result<Self, At<CapError>> {
        let component = Self::at_start(member)?;
        if component.raw.len() != member.len() {
            return Err(At::new(CapError::Length(component.kind), component.raw.len()));
        }
        Ok(component)
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Tag, length and content, as they are loaded.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The content.
    #[must_use]
    pub fn info(&self) -> &'a [u8] {
        self.raw.get(PREFIX..).unwrap_or_default()
    }

    const fn fields(&self) -> Fields<'a> {
        Fields { kind: self.kind, raw: self.raw, at: PREFIX }
    }
}

/// Reads the fields of a component one after another.
#[derive(Debug, Clone)]
struct Fields<'a> {
    kind: Kind,
    raw: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], At<CapError>> {
        let end = self.at.saturating_add(len);
        let taken = self.raw.get(self.at..end);
        let taken = taken.ok_or(At::new(CapError::Truncated(Some(self.kind)), self.raw.len()))?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], At<CapError>> {
        let mut array = [0; N];
        array.iter_mut().zip(self.take(N)?).for_each(|(to, from)| *to = *from);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, At<CapError>> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn aid(&mut self) -> Result<&'a [u8], At<CapError>> {
        let at = self.at;
        let len = usize::from(self.byte()?);
        if !(5..=16).contains(&len) {
            return Err(At::new(CapError::Aid(self.kind), at));
        }
        self.take(len)
    }

    fn package(&mut self) -> Result<Package<'a>, At<CapError>> {
        let [minor, major] = self.array()?;
        Ok(Package { aid: self.aid()?, major, minor })
    }

    fn applet(&mut self) -> Result<&'a [u8], At<CapError>> {
        let aid = self.aid()?;
        // Where its install method lies is the card's affair.
        self.take(2)?;
        Ok(aid)
    }

    const fn at_end(&self) -> bool {
        self.at == self.raw.len()
    }
}

/// A package: the one in the file, or one it imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// AID, 5 to 16 bytes.
    pub aid: &'a [u8],
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
}

impl Package<'_> {
    /// Whether a card that has `self` can link a file that imports `wanted`: the same package and major version, and at least
    /// that minor version. [JCVM 4.5]
    #[must_use]
    pub fn serves(&self, wanted: &Package<'_>) -> bool {
        self.aid == wanted.aid && self.major == wanted.major && self.minor >= wanted.minor
    }
}

/// Header.cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Version of the format, major and minor: 2.1, 2.2 or 2.3.
    pub format: (u8, u8),
    flags: u8,
    /// The package in the file.
    pub package: Package<'a>,
    /// Its name, with slashes; empty where the format has none.
    pub name: &'a [u8],
}

impl Header<'_> {
    /// Whether the package uses the type int, which a card need not have.
    #[must_use]
    pub const fn uses_int(&self) -> bool {
        self.flags & 0x01 != 0
    }

    /// Whether others can import the package.
    #[must_use]
    pub const fn exports(&self) -> bool {
        self.flags & 0x02 != 0
    }

    /// Whether there are applets in it.
    #[must_use]
    pub const fn has_applets(&self) -> bool {
        self.flags & 0x04 != 0
    }
}

const KINDS: usize = 13;
const MAGIC: [u8; 4] = [0xDE, 0xCA, 0xFF, 0xED];
const EXTENDED: u8 = 0x08;
/// `javacard.framework`.
const FRAMEWORK: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x62, 0x01, 0x01];

/// A CAP file, its header, imports, applets and directory read and sound.
#[derive(Debug, Clone, Copy)]
pub struct CapFile<'a> {
    components: [Option<Component<'a>>; KINDS],
    header: Header<'a>,
}

impl<'a> CapFile<'a> {
    /// Takes the members of the archive in any order.
    ///
    /// # Errors
    /// [`CapError`] and the byte of the member it was found at.
    pub fn new(members: &[&'a [u8]]) -> Result<Self, At<CapError>> {
        let mut components = [None; KINDS];
        for member in members {
            add(&mut components, Component::parse(member)?)?;
        }
        Self::checked(components)
    }

    /// Takes the components as a load file has them, one after another, without its `C4` and length.
    ///
    /// # Errors
    /// [`CapError`] and the byte of `data`, or of the component, it was found at.
    pub fn from_load_data(data: &'a [u8]) -> Result<Self, At<CapError>> {
        let mut components = [None; KINDS];
        let mut at = 0_usize;
        while let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) {
            let component = Component::at_start(rest).map_err(|error| error.shifted(at))?;
            add(&mut components, component).map_err(|error| error.shifted(at))?;
            at = at.saturating_add(component.raw.len());
        }
        Self::checked(components)
    }

    fn checked(components: [Option<Component<'a>>; KINDS]) -> Result<Self, At<CapError>> {
        let [Some(header), ..] = components else { return Err(At::new(CapError::NoHeader, 0)) };
        let cap = Self { components, header: read_header(header)? };
        for list in [Kind::Import, Kind::Applet] {
            cap.check_list(list)?;
        }
        cap.check_directory()?;
        Ok(cap)
    }

    /// The component of this kind.
    #[must_use]
    pub fn component(&self, kind: Kind) -> Option<&Component<'a>> {
        self.components.get(usize::from(kind.tag()).wrapping_sub(1))?.as_ref()
    }

    /// Header.cap.
    #[must_use]
    pub const fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// The packages it needs.
    pub fn imports(&self) -> impl Iterator<Item = Package<'a>> + use<'a> {
        self.list(Kind::Import).map_while(|mut fields| {
            let package = fields.package().ok()?;
            Some((package, fields))
        })
    }

    /// AIDs of its applets.
    pub fn applets(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.list(Kind::Applet).map_while(|mut fields| {
            let aid = fields.applet().ok()?;
            Some((aid, fields))
        })
    }

    /// The first import no package of the card serves; `None`: the card can link the file.
    pub fn missing_import(&self, mut has: impl FnMut(&Package<'a>) -> bool) -> Option<Package<'a>> {
        self.imports().find(|import| !has(import))
    }

    /// The oldest Java Card version whose framework the file can be linked to, as its import of `javacard.framework` tells.
    /// (from a single source)
    #[must_use]
    pub fn java_card_version(&self) -> Option<&'static str> {
        let framework = self.imports().find(|import| import.aid == FRAMEWORK)?;
        Some(match (framework.major, framework.minor) {
            (1, 0) => "2.1.1",
            (1, 1) => "2.1.2",
            (1, 2) => "2.2.1",
            (1, 3) => "2.2.2",
            (1, 4) => "3.0.1",
            (1, 5) => "3.0.4",
            (1, 6) => "3.0.5",
            (1, 8) => "3.1.0",
            _ => return None,
        })
    }

    /// Components in the order they are loaded in, the descriptor only if wanted.
    pub fn load_order(&self, descriptor: bool) -> impl Iterator<Item = &Component<'a>> + Clone {
        Kind::LOAD_ORDER
            .into_iter()
            .filter(move |kind| descriptor || *kind != Kind::Descriptor)
            .filter_map(|kind| self.component(kind))
    }

    fn list(&self, kind: Kind) -> List<'a> {
        let fields = self.component(kind).and_then(|component| {
            let mut fields = component.fields();
            fields.byte().ok().map(|count| (count, fields))
        });
        List(fields)
    }

    /// That a list ends with its last entry, and every entry can be read.
    fn check_list(&self, kind: Kind) -> Result<(), At<CapError>> {
        let Some(component) = self.component(kind) else { return Ok(()) };
        let mut fields = component.fields();
        for _ in 0..fields.byte()? {
            match kind {
                Kind::Import => fields.package().map(|_| ())?,
                _ => fields.applet().map(|_| ())?,
            }
        }
        if fields.at_end() { Ok(()) } else { Err(At::new(CapError::Length(kind), fields.at)) }
    }

    /// That every component is as long as the directory says: a member missing from the archive, or one of another file, is
    /// found here and not by the card. [JCVM 6.4]
    fn check_directory(&self) -> Result<(), At<CapError>> {
        let Some(directory) = self.component(Kind::Directory) else { return Ok(()) };
        let sizes: u8 = match self.header.format {
            (2, 1) => 11,
            (2, 2) => 12,
            // Of later formats only the sizes that have always been there are looked at.
            _ => 11,
        };
        let mut fields = directory.fields();
        for tag in 1..=sizes {
            let at = fields.at;
            let said = usize::from(u16::from_be_bytes(fields.array()?));
            let Some(kind) = Kind::from_tag(tag) else { continue };
            let has = self.component(kind).map(|component| component.info().len());
            // Debug information may have been left out of the archive, and the descriptor of the load file.
            let may_lack = matches!(kind, Kind::Debug | Kind::Descriptor);
            match has {
                Some(len) if len != said => return Err(At::new(CapError::Directory(kind), at)),
                None if said != 0 && !may_lack => return Err(At::new(CapError::Directory(kind), at)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Entries of a list component that are still to come, and where they are.
struct List<'a>(Option<(u8, Fields<'a>)>);

impl<'a> List<'a> {
    fn map_while<T>(
        mut self,
        mut read: impl FnMut(Fields<'a>) -> Option<(T, Fields<'a>)>,
    ) -> impl Iterator<Item = T> {
        core::iter::from_fn(move || {
            let (count, fields) = self.0.take()?;
            let left = count.checked_sub(1)?;
            let (item, rest) = read(fields)?;
            self.0 = Some((left, rest));
            Some(item)
        })
    }
}

fn add<'a>(
    components: &mut [Option<Component<'a>>; KINDS],
    component: Component<'a>,
) -> Result<(), At<CapError>> {
    let place = components.get_mut(usize::from(component.kind.tag()).wrapping_sub(1));
    let place = place.ok_or(At::new(CapError::Tag(component.kind.tag()), 0))?;
    match place.replace(component) {
        None => Ok(()),
        Some(_) => Err(At::new(CapError::Twice(component.kind), 0)),
    }
}

fn read_header(component: Component<'_>) -> Result<Header<'_>, At<CapError>> {
    let mut fields = component.fields();
    if fields.array()? != MAGIC {
        return Err(At::new(CapError::Magic, PREFIX));
    }
    let at = fields.at.saturating_add(2);
    let [minor, major, flags] = fields.array()?;
    if flags & EXTENDED != 0 {
        return Err(At::new(CapError::Extended, at));
    }
    let package = fields.package()?;
    // The name came with format 2.2.
    let name = if fields.at_end() {
        &[][..]
    } else {
        let len = usize::from(fields.byte()?);
        fields.take(len)?
    };
    if !fields.at_end() {
        return Err(At::new(CapError::Length(Kind::Header), fields.at));
    }
    Ok(Header { format: (major, minor), flags, package, name })
}
