//! Commands the tasks have in common, and how they are written and answered.

use huiwan_apdu::{Command, Ne, Response};
use huiwan_tlv::Tag;

use super::{Event, Todo, Turn};
use crate::host::fault::{Fault, FaultKind, Stage};

pub(super) fn get_data(tag: Tag, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
    match event {
        Event::Begin => get_data_command(tag, cla, out),
        Event::Response(response) => tell(&response, out, Stage::GetData),
        _ => Ok(Todo::Done),
    }
}

/// GET DATA as a plain command.
pub(in crate::host) fn get_data_command(tag: Tag, cla: u8, out: &mut [u8]) -> Turn {
    let [.., p1, p2] = tag.get().to_be_bytes();
    command([cla, huiwan_apdu::Ins::GET_DATA.value(), p1, p2], |_| Some(0), out, Stage::GetData)
}

/// Passes a response to the caller.
pub(in crate::host) fn tell(response: &Response<'_>, out: &mut [u8], stage: Stage) -> Turn {
    let len = copy(response.data(), out).ok_or(too_long(stage))?.len();
    Ok(Todo::Answer(len, response.sw()))
}

/// Bytes of the longest short command; data is built behind it.
const DATA_AT: usize = 264;

/// Writes a plain command with Le 00; `data` writes the data field and returns its length, `None` if it does not fit.
pub(in crate::host) fn command(
    [cla, ins, p1, p2]: [u8; 4],
    data: impl FnOnce(&mut [u8]) -> Option<usize>,
    out: &mut [u8],
    stage: Stage,
) -> Turn {
    let (head, tail) = out.split_at_mut_checked(DATA_AT).ok_or(too_long(stage))?;
    let len = data(tail).ok_or(too_long(stage))?;
    let data = tail.get(..len).ok_or(too_long(stage))?;
    if len > 255 {
        return Err(too_long(stage));
    }
    let command = Command::new(cla, ins, p1, p2).with_data(data).with_ne(Ne::MAX_SHORT);
    command.write(head).map(|written| Todo::Command(written.len())).map_err(|_| too_long(stage))
}

/// The response if its status is 9000.
pub(in crate::host) fn expect_ok<'a>(response: Response<'a>, stage: Stage) -> Result<Response<'a>, Fault> {
    if response.sw().is_ok() {
        Ok(response)
    } else {
        Err(Fault { stage, kind: FaultKind::Status(response.sw()) })
    }
}

pub(in crate::host) fn too_long(stage: Stage) -> Fault {
    Fault { stage, kind: FaultKind::TooLong }
}

/// Copies to the beginning of `out`.
pub(in crate::host) fn copy<'o>(from: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let to = out.get_mut(..from.len())?;
    to.copy_from_slice(from);
    Some(to)
}
