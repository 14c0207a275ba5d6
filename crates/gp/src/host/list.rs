//! Reading the registry page by page.

use huiwan_apdu::Sw;

use super::fault::{Fault, FaultKind, Stage};
use super::manager::{Event, Todo, Turn, command, tell};
use crate::get_status::{FIRST, INS, NEXT, Scope, Search};

#[derive(Debug)]
pub(super) struct Listing<'j> {
    pub(super) scope: Scope,
    pub(super) prefix: &'j [u8],
    pub(super) more: bool,
    pub(super) pages: u8,
}

impl Listing<'_> {
    pub(super) fn turn(&mut self, event: Event<'_>, cla: u8, out: &mut [u8]) -> Turn {
        match event {
            Event::Begin => page(self.scope, self.prefix, FIRST, cla, out),
            Event::Response(response) => match response.sw() {
                Sw::OK | Sw::MORE_ENTRIES => {
                    self.more = response.sw() == Sw::MORE_ENTRIES;
                    // A registry has at most some dozen entries; a card that never ends is no card.
                    let endless = FaultKind::Malformed("list, which has no end,");
                    self.pages =
                        self.pages.checked_add(1).ok_or(Fault { stage: Stage::GetStatus, kind: endless })?;
                    tell(&response, out, Stage::GetStatus)
                }
                // Nothing of that kind is an answer, not a fault.
                Sw::REFERENCED_DATA_NOT_FOUND => Ok(Todo::Done),
                sw => Err(Fault { stage: Stage::GetStatus, kind: FaultKind::Status(sw) }),
            },
            Event::Continue if self.more => page(self.scope, self.prefix, NEXT, cla, out),
            Event::Key(_) | Event::Continue => Ok(Todo::Done),
        }
    }
}

/// GET STATUS of one page.
pub(super) fn page(scope: Scope, prefix: &[u8], p2: u8, cla: u8, out: &mut [u8]) -> Turn {
    let data = |out: &mut [u8]| Some(Search { prefix, tags: None }.write(out).ok()?.len());
    command([cla, INS, scope.byte(), p2], data, out, Stage::GetStatus)
}
