//! Installing an application and making it selectable.

use huiwan_apdu::Aid;

use super::fault::Stage;
use super::manager::{Event, Todo, Turn, command, expect_ok};
use crate::install::{FOR_INSTALL, FOR_MAKE_SELECTABLE, Fields, INS, Parameters};
use crate::privileges::Privileges;

/// What to install, and how.
#[derive(Debug, Clone, Copy)]
pub struct Install<'j> {
    /// Executable load file.
    pub load_file: Aid,
    /// Executable module.
    pub module: Aid,
    /// The new application.
    pub instance: Aid,
    /// Its privileges.
    pub privileges: Privileges,
    /// Its parameters.
    pub parameters: Parameters<'j>,
    /// Make it selectable in the same command.
    pub make_selectable: bool,
}

impl Install<'_> {
    pub(super) fn turn(&self, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
        let p1 = if self.make_selectable { FOR_INSTALL | FOR_MAKE_SELECTABLE } else { FOR_INSTALL };
        let mut buffer = [0; 255];
        let data = |out: &mut [u8]| {
            let fields = Fields {
                load_file: self.load_file.as_bytes(),
                module: self.module.as_bytes(),
                instance: self.instance.as_bytes(),
                privileges: &self.privileges.bytes(),
                parameters: self.parameters.write(&mut buffer).ok()?,
                token: &[],
            };
            Some(fields.write(out).ok()?.len())
        };
        one([cla, INS, p1, 0], data, event, out)
    }
}

pub(super) fn make_selectable(aid: &Aid, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
    let fields = Fields { instance: aid.as_bytes(), privileges: &[0], ..Fields::default() };
    one([cla, INS, FOR_MAKE_SELECTABLE, 0], |out| Some(fields.write(out).ok()?.len()), event, out)
}

/// One INSTALL command and its answer.
fn one(
    header: [u8; 4],
    data: impl FnOnce(&mut [u8]) -> Option<usize>,
    event: Event<'_>,
    out: &mut [u8],
) -> Turn {
    match event {
        Event::Begin => command(header, data, out, Stage::Install),
        Event::Response(response) => expect_ok(response, Stage::Install).map(|_| Todo::Done),
        _ => Ok(Todo::Done),
    }
}
