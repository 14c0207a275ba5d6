//! SELECT and what its answer tells; the beginning of every engine.

use huiwan_apdu::{Command, Ne, Sw};
use huiwan_tlv::{Rules, Tag, find_path};

use super::{Fault, Outcome, Refusal, Stage, answer, ok};
use crate::command;
use crate::status;
use crate::transit::public_info::PublicInfo;

const FCI: Tag = Tag::new(0x6F);
const PROPRIETARY: Tag = Tag::new(0xA5);
const ISSUER_DATA: Tag = Tag::new(0x9F0C);

/// File 0015.
const SFI_PUBLIC_INFO: u8 = 0x15;

pub(super) fn command(aid: &[u8]) -> Command<'_> {
    Command::new(0x00, 0xA4, 0x04, 0x00).with_data(aid).with_ne(Ne::MAX_SHORT)
}

pub(super) fn read_public_info<'a>() -> Command<'a> {
    command::read_binary(SFI_PUBLIC_INFO, 30)
}

/// What a card that is not served at all makes of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Refused(Refusal),
    Failed(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Stopped> for Outcome {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(refusal) => Self::Refused(refusal),
            Stopped::Failed(fault) => Self::Failed(fault),
        }
    }
}

/// The answer of SELECT: file 0015 if the FCI carries a copy in 9F0C. `locked` lets a temporarily locked card through,
/// for reading.
pub(super) fn on_select(raw: &[u8], locked: bool) -> Result<Option<PublicInfo>, Stopped> {
    let during = Stage::Select;
    let fci = match answer(raw, during)? {
        (fci, sw) if sw.is_ok() => fci,
        (fci, Sw::WARNING_SELECTED_INVALIDATED) if locked => fci,
        (_, Sw::WARNING_SELECTED_INVALIDATED) => return Err(Refusal::Locked.into()),
        (_, status::PERMANENTLY_LOCKED) => return Err(Refusal::PermanentlyLocked.into()),
        (_, Sw::FILE_NOT_FOUND | Sw::FUNCTION_NOT_SUPPORTED) => return Err(Refusal::NoApplication.into()),
        (_, sw) => return Err(Fault::Status { during, sw }.into()),
    };
    let found = find_path(fci, Rules::EMV, &[FCI, PROPRIETARY, ISSUER_DATA]);
    let found = found.map_err(|_| Fault::Malformed { during })?;
    Ok(found.and_then(|issuer_data| PublicInfo::parse_first(issuer_data.value()).ok()))
}

/// The answer of READ BINARY of file 0015: of a longer one, as highway cards have it, the first 30 bytes.
pub(super) fn on_public_info(raw: &[u8]) -> Result<PublicInfo, Fault> {
    let during = Stage::PublicInfo;
    PublicInfo::parse_first(ok(raw, during)?).map_err(|_| Fault::Malformed { during })
}
