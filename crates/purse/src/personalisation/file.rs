//! Files of the issuer's own: what they are, and what is in them.

use huiwan_tlv::At;

use super::DataError;
use crate::pack::{Pack, Unpack};

/// Who may read or write a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// Everybody.
    Free,
    /// Who holds the maintenance key: the command carries a MAC.
    Secured,
    /// After the PIN was verified.
    Pin,
    /// Both.
    SecuredAndPin,
    /// After EXTERNAL AUTHENTICATE.
    Authenticated,
    /// Nobody.
    Never,
}

impl Condition {
    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Free => 0x00,
            Self::Secured => 0x01,
            Self::Pin => 0x02,
            Self::SecuredAndPin => 0x03,
            Self::Authenticated => 0x04,
            Self::Never => 0xFF,
        }
    }

    /// The condition of this byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x00 => Self::Free,
            0x01 => Self::Secured,
            0x02 => Self::Pin,
            0x03 => Self::SecuredAndPin,
            0x04 => Self::Authenticated,
            0xFF => Self::Never,
            _ => return None,
        })
    }
}

/// How a file's content is organised; the codes are those of the file descriptor byte. [ISO 7816-4 7.4.5]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Code 01: a string of `size` bytes, 1 to [`FileData::MAX_SIZE`].
    Transparent {
        /// Bytes.
        size: u16,
    },
    /// Code 02: records of exactly `len` bytes.
    Linear {
        /// Bytes of a record, at least 1.
        len: u8,
        /// Records at most, 1 to 254.
        records: u8,
    },
    /// Code 04: records of at most `len` bytes, found by their first byte.
    Variable {
        /// Bytes of a record at most, at least 1.
        len: u8,
        /// Records at most, 1 to 254.
        records: u8,
    },
    /// Code 06: a ring of records of exactly `len` bytes, record 1 the newest.
    Cyclic {
        /// Bytes of a record, at least 1.
        len: u8,
        /// Records in the ring, 1 to 254.
        records: u8,
    },
}

/// A file of the issuer's own: content of [`DGI_FILE`](super::DGI_FILE).
///
/// Eight bytes: file identifier 2 ‖ short identifier 1 (00: none) ‖ structure 1 ‖ size 2, or length and number of records
/// 1 + 1 ‖ who may read 1 ‖ who may write 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileData {
    /// File identifier; not 0000, 3F00, 3FFF, FFFF or the identifiers of the application itself.
    pub fid: u16,
    /// Short identifier 1 to 30, or 0 for none.
    pub sfi: u8,
    /// Structure and size.
    pub shape: Shape,
    /// Who may read it.
    pub read: Condition,
    /// Who may write it.
    pub update: Condition,
}

impl FileData {
    /// Length of the definition, bytes.
    pub const LEN: usize = 8;
    /// Bytes of a transparent file at most.
    pub const MAX_SIZE: u16 = 256;

    /// Reads a definition.
    ///
    /// # Errors
    /// Another length; an identifier, structure, size or condition that cannot be.
    pub fn parse(raw: &[u8]) -> Result<Self, At<DataError>> {
        let Ok([f1, f2, sfi, structure, a, b, read, update]) = <[u8; Self::LEN]>::try_from(raw) else {
            return Err(At::new(DataError::WrongLength { expected: Self::LEN }, raw.len().min(Self::LEN)));
        };
        let value = |at| At::new(DataError::Value, at);
        let fid = u16::from_be_bytes([f1, f2]);
        if matches!(fid, 0x0000 | 0x1001 | 0x3F00 | 0x3F01 | 0x3FFF | 0xFFFF) {
            return Err(value(0));
        }
        if sfi > 30 {
            return Err(value(2));
        }
        let records = a != 0 && (1..=254).contains(&b);
        let size = u16::from_be_bytes([a, b]);
        let shape = match structure {
            0x01 if (1..=Self::MAX_SIZE).contains(&size) => Shape::Transparent { size },
            0x02 if records => Shape::Linear { len: a, records: b },
            0x04 if records => Shape::Variable { len: a, records: b },
            0x06 if records => Shape::Cyclic { len: a, records: b },
            0x01 | 0x02 | 0x04 | 0x06 => return Err(value(4)),
            _ => return Err(value(3)),
        };
        let read = Condition::from_code(read).ok_or(value(6))?;
        let update = Condition::from_code(update).ok_or(value(7))?;
        Ok(Self { fid, sfi, shape, read, update })
    }

    /// The definition.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let (structure, size) = match self.shape {
            Shape::Transparent { size } => (0x01, size.to_be_bytes()),
            Shape::Linear { len, records } => (0x02, [len, records]),
            Shape::Variable { len, records } => (0x04, [len, records]),
            Shape::Cyclic { len, records } => (0x06, [len, records]),
        };
        Pack::new()
            .put(self.fid.to_be_bytes())
            .put([self.sfi, structure])
            .put(size)
            .put([self.read.code(), self.update.code()])
            .finish()
    }
}

/// Content of [`DGI_FILE_CONTENT`](super::DGI_FILE_CONTENT): file identifier 2 ‖ place 2 ‖ data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileContent<'a> {
    fid: u16,
    place: u16,
    data: &'a [u8],
}

impl<'a> FileContent<'a> {
    /// Bytes before the data.
    pub const HEAD: usize = 4;
    /// Data of one grouping at most, bytes.
    pub const MAX_DATA: usize = 256;

    /// `data` at a place of the file `fid`.
    ///
    /// Transparent: `place` is the offset. Linear and variable: the record's number. Cyclic: 1 for the oldest record, 2
    /// for the next and so on, so that a grouping that is sent twice writes once.
    ///
    /// # Errors
    /// No data, or more than [`MAX_DATA`](Self::MAX_DATA).
    pub fn new(fid: u16, place: u16, data: &'a [u8]) -> Result<Self, At<DataError>> {
        let fits = (1..=Self::MAX_DATA).contains(&data.len());
        if fits { Ok(Self { fid, place, data }) } else { Err(At::new(DataError::Value, Self::HEAD)) }
    }

    /// Reads the content.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn parse(raw: &'a [u8]) -> Result<Self, At<DataError>> {
        let mut fields = Unpack::new(raw);
        Self::new(fields.u16(), fields.u16(), raw.get(Self::HEAD..).unwrap_or_default())
    }

    /// The file.
    #[must_use]
    pub const fn fid(&self) -> u16 {
        self.fid
    }

    /// Where in it, see [`new`](Self::new).
    #[must_use]
    pub const fn place(&self) -> u16 {
        self.place
    }

    /// What stands there.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Writes the content; the answer is what `f` makes of it.
    pub(super) fn write<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        let mut out = [0; Self::HEAD + Self::MAX_DATA];
        let head: [u8; 4] = Pack::new().put(self.fid.to_be_bytes()).put(self.place.to_be_bytes()).finish();
        let bytes = head.iter().chain(self.data);
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        f(out.get(..self.data.len().saturating_add(Self::HEAD)).unwrap_or(&out))
    }
}
