//! The current file and record of a session. [ISO 7816-4 7.1.2, 7.3.2]

use huiwan_apdu::Sw;

use super::{File, Files};

/// Where a session stands: the current elementary file and the record pointer in it.
///
/// A SELECT by file identifier or a short identifier in a successful command makes a file current and leaves the pointer
/// undefined. Reading or updating by identifier, and appending, set it; a record number does not. [ISO 7816-4 7.3.2]
/// The pointer is a number: a record that comes into a ring otherwise, as a transaction's log does, moves the others on below it.
///
/// Zero bytes are the state after the application's selection, so it can lie in a module's volatile slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Current {
    /// File identifier, 0 for none: 0000 is nobody's. [ISO 7816-4 7.1.3]
    fid: u16,
    /// Record number, 0 while undefined.
    record: u8,
}

impl Current {
    /// Length of its bytes.
    pub const LEN: usize = 3;

    /// From where it was kept: file identifier 2 ‖ record 1.
    #[must_use]
    pub const fn from_bytes([high, low, record]: [u8; Self::LEN]) -> Self {
        Self { fid: u16::from_be_bytes([high, low]), record }
    }

    /// To be kept until the next command.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [high, low] = self.fid.to_be_bytes();
        [high, low, self.record]
    }

    /// The current file's identifier.
    #[must_use]
    pub const fn fid(self) -> Option<u16> {
        if self.fid == 0 { None } else { Some(self.fid) }
    }

    /// The record the pointer is on.
    #[must_use]
    pub const fn record(self) -> Option<u8> {
        if self.record == 0 { None } else { Some(self.record) }
    }

    /// Makes `file` current; the record pointer is undefined.
    pub const fn select(&mut self, file: &File<'_>) {
        *self = Self { fid: file.fid, record: 0 };
    }

    /// What a successful command leaves: the file it worked on, and the record if it set the pointer.
    pub(super) const fn moved(&mut self, file: &File<'_>, named: bool, record: Option<u8>) {
        if named {
            self.select(file);
        }
        if let Some(record) = record {
            self.record = record;
        }
    }
}

impl<'a> Files<'a> {
    /// SELECT of an elementary file by its identifier: it becomes current.
    ///
    /// # Errors
    /// 6A82; the current file stays.
    pub fn select(&self, fid: u16, current: &mut Current) -> Result<&'a File<'a>, Sw> {
        let file = self.by_fid(fid)?;
        current.select(file);
        Ok(file)
    }

    /// The file a command works on: the one its short identifier names, or the current one.
    ///
    /// # Errors
    /// 6A82 for an unknown short identifier, 6986 without a current file.
    pub fn target(&self, sfi: Option<u8>, current: Current) -> Result<&'a File<'a>, Sw> {
        match (sfi, current.fid()) {
            (Some(sfi), _) => self.by_sfi(sfi),
            (None, Some(fid)) => self.by_fid(fid).map_err(|_| Sw::COMMAND_NOT_ALLOWED),
            (None, None) => Err(Sw::COMMAND_NOT_ALLOWED),
        }
    }
}
