//! Kinds of components: tags, member names, and the order they are loaded in.

/// Kind of a component; the value is its tag. [JCVM table 6-1]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// Header.cap.
    Header = 1,
    /// Directory.cap.
    Directory = 2,
    /// Applet.cap.
    Applet = 3,
    /// Import.cap.
    Import = 4,
    /// ConstantPool.cap.
    ConstantPool = 5,
    /// Class.cap.
    Class = 6,
    /// Method.cap.
    Method = 7,
    /// StaticField.cap.
    StaticField = 8,
    /// RefLocation.cap.
    ReferenceLocation = 9,
    /// Export.cap.
    Export = 10,
    /// Descriptor.cap.
    Descriptor = 11,
    /// Debug.cap.
    Debug = 12,
    /// StaticResources.cap, from format 2.3 on.
    StaticResources = 13,
}

impl Kind {
    /// The order components are loaded in. The descriptor is optional, and debug information is never sent. [sheet 6]
    pub const LOAD_ORDER: [Self; 12] = [
        Self::Header,
        Self::Directory,
        Self::Import,
        Self::Applet,
        Self::Class,
        Self::Method,
        Self::StaticField,
        Self::Export,
        Self::ConstantPool,
        Self::ReferenceLocation,
        Self::StaticResources,
        Self::Descriptor,
    ];

    /// The kind with this tag.
    #[must_use]
    pub const fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            1 => Self::Header,
            2 => Self::Directory,
            3 => Self::Applet,
            4 => Self::Import,
            5 => Self::ConstantPool,
            6 => Self::Class,
            7 => Self::Method,
            8 => Self::StaticField,
            9 => Self::ReferenceLocation,
            10 => Self::Export,
            11 => Self::Descriptor,
            12 => Self::Debug,
            13 => Self::StaticResources,
            _ => return None,
        })
    }

    /// The tag.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The archive member's name, behind `<package path>/javacard/`; upper and lower case are the same. [JCVM table 6-2]
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Header => "Header.cap",
            Self::Directory => "Directory.cap",
            Self::Applet => "Applet.cap",
            Self::Import => "Import.cap",
            Self::ConstantPool => "ConstantPool.cap",
            Self::Class => "Class.cap",
            Self::Method => "Method.cap",
            Self::StaticField => "StaticField.cap",
            Self::ReferenceLocation => "RefLocation.cap",
            Self::Export => "Export.cap",
            Self::Descriptor => "Descriptor.cap",
            Self::Debug => "Debug.cap",
            Self::StaticResources => "StaticResources.cap",
        }
    }
}
