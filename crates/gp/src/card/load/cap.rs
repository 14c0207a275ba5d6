//! What a CAP file in a load file data block names: its package and its applets. [Java Card VM 6]
//!
//! ```text
//! component: tag ‖ size (2) ‖ content
//! Header 01: DECAFFED ‖ minor ‖ major ‖ flags ‖ package { minor ‖ major ‖ LV AID }
//! Applet 03: count ‖ { LV AID ‖ install method (2) }*
//! ```

use huiwan_apdu::{Aid, Sw};
use huiwan_card::Memory;

use super::stream::Stream;
use crate::card::load_file::MODULES_MAX;

const HEADER: u8 = 1;
const APPLET: u8 = 3;
const MAGIC: [u8; 4] = [0xDE, 0xCA, 0xFF, 0xED];
/// Bytes of an Applet component that is read.
const APPLETS_MAX: usize = 1 + MODULES_MAX * 19;

/// What it names; of a data block that is no CAP file, nothing.
pub(super) struct Named {
    pub(super) package: Option<Aid>,
    /// Major and minor version of the package.
    pub(super) version: [u8; 2],
    pub(super) modules: heapless::Vec<Aid, MODULES_MAX>,
}

pub(super) fn read(memory: &mut dyn Memory, mut stream: Stream, len: usize) -> Result<Named, Sw> {
    let mut named = Named { package: None, version: [0, 0], modules: heapless::Vec::new() };
    let mut left = len;
    while left >= 3 {
        let mut head = [0; 3];
        stream.exact(memory, &mut head)?;
        let [tag, s1, s2] = head;
        let size = usize::from(u16::from_be_bytes([s1, s2]));
        let rest = left.saturating_sub(3);
        let mut buffer = [0; APPLETS_MAX];
        let taken = match (tag, named.package) {
            (HEADER, None) => {
                let content = buffer.get_mut(..size.min(rest).min(APPLETS_MAX)).ok_or(Sw::UNKNOWN)?;
                stream.exact(memory, content)?;
                let Some((version, package)) = header(content) else { return Ok(named) };
                (named.version, named.package) = (version, Some(package));
                content.len()
            }
            // What does not begin with a header is no CAP file.
            (_, None) => return Ok(named),
            (APPLET, Some(_)) => {
                let content = buffer.get_mut(..size).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
                stream.exact(memory, content)?;
                named.modules = applets(content).ok_or(Sw::WRONG_DATA)?;
                content.len()
            }
            (_, Some(_)) => 0,
        };
        if size > rest {
            return Err(Sw::WRONG_DATA);
        }
        stream.skip(memory, size.saturating_sub(taken))?;
        left = rest.saturating_sub(size);
    }
    if left == 0 || named.package.is_none() { Ok(named) } else { Err(Sw::WRONG_DATA) }
}

fn header(content: &[u8]) -> Option<([u8; 2], Aid)> {
    let rest = content.strip_prefix(&MAGIC)?;
    let (&[_, _, _, minor, major, len], rest) = rest.split_first_chunk()?;
    Some(([major, minor], Aid::new(rest.get(..usize::from(len))?).ok()?))
}

fn applets(content: &[u8]) -> Option<heapless::Vec<Aid, MODULES_MAX>> {
    let (&count, mut rest) = content.split_first()?;
    let mut modules = heapless::Vec::new();
    for _ in 0..count {
        let (&len, behind) = rest.split_first()?;
        let (aid, behind) = behind.split_at_checked(usize::from(len))?;
        modules.push(Aid::new(aid).ok()?).ok()?;
        rest = behind.get(2..)?;
    }
    rest.is_empty().then_some(modules)
}
