//! The state file: a line that names the version, then the flash image.
//!
//! ```text
//! "HUIWAN FLASH 1\n" ‖ FLASH bytes
//! ```
//! A file of another version or size is refused. It is written beside the old one and takes its place in one step.

use std::io::Write;
use std::path::Path;
use std::{fs, io};

/// Bytes of flash of the simulated element.
pub const FLASH: usize = 128 * 1024;
const HEADER: &[u8] = b"HUIWAN FLASH 1\n";

/// Reads the image; `None` if there is no file yet.
///
/// # Errors
/// `InvalidData` for a file of another version or size.
pub fn read(path: &Path) -> io::Result<Option<Box<[u8; FLASH]>>> {
    let file = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let image = file.strip_prefix(HEADER).ok_or_else(|| wrong("not a state file of version 1"))?;
    let image: Box<[u8]> = image.into();
    image.try_into().map(Some).map_err(|_| wrong("flash image has the wrong size"))
}

/// Writes the image.
///
/// # Errors
/// What the file system reports.
pub fn write(path: &Path, image: &[u8; FLASH]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(HEADER)?;
    file.write_all(image)?;
    file.sync_all()?;
    fs::rename(beside, path)
}
