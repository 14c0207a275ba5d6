//! Deleting an application or a key set.

use super::fault::{Fault, FaultKind, Stage};
use super::manager::{Event, Todo, Turn, command};
use crate::delete::{INS, Target};

pub(super) fn turn(target: &Target<'_>, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
    match event {
        Event::Begin => {
            command([cla, INS, 0, 0], |out| Some(target.write(out).ok()?.len()), out, Stage::Delete)
        }
        Event::Response(response) => match response.sw().value() {
            // Not there is what was wanted: a task that is repeated after a lost answer comes to the same end.
            0x9000 | 0x6A88 | 0x6A82 => Ok(Todo::Done),
            _ => Err(Fault { stage: Stage::Delete, kind: FaultKind::Status(response.sw()) }),
        },
        _ => Ok(Todo::Done),
    }
}
