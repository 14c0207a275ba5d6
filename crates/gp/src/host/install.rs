//! Installing an application and making it selectable.

use huiwan_apdu::Aid;

use super::content::{Change, Changing, Link, TokenField};
use super::fault::Stage;
use super::list::page;
use super::manager::{Event, Turn};
use crate::get_status::{self, FIRST, Scope};
use crate::install::{COMBINED, COMBINED_LAST, FOR_INSTALL, FOR_MAKE_SELECTABLE, Fields, INS, Parameters};
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
    pub(super) fn turn(
        &self,
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let p1 = if self.make_selectable { FOR_INSTALL | FOR_MAKE_SELECTABLE } else { FOR_INSTALL };
        self.command([p1, 0], changing, event, link, out)
    }

    /// As the end of a combined sequence.
    pub(super) fn last_turn(
        &self,
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        self.command([COMBINED, COMBINED_LAST], changing, event, link, out)
    }

    fn command(
        &self,
        [p1, p2]: [u8; 2],
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let fields = |out: &mut [u8]| {
            let mut buffer = [0; 255];
            let fields = Fields {
                load_file: self.load_file.as_bytes(),
                module: self.module.as_bytes(),
                instance: self.instance.as_bytes(),
                privileges: &self.privileges.bytes(),
                parameters: self.parameters.write(&mut buffer).ok()?,
                token: &[],
            };
            fields.write_before_token(out).ok()
        };
        let names = [self.load_file.as_bytes(), self.instance.as_bytes()];
        changing.turn(&change(Stage::Install, [p1, p2], &fields, &names), event, link, out)
    }
}

/// An installed application to make selectable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MakeSelectable {
    aid: Aid,
    /// A receipt covers it although the command does not name it.
    load_file: Option<Aid>,
    looking: bool,
}

impl MakeSelectable {
    pub(super) const fn new(aid: Aid) -> Self {
        Self { aid, load_file: None, looking: false }
    }

    pub(super) fn turn(
        &mut self,
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let checked = link.delegation.is_some_and(|delegation| delegation.receipt.is_some());
        let event = match event {
            Event::Begin if checked && !self.looking => {
                self.looking = true;
                return page(Scope::Applications, self.aid.as_bytes(), FIRST, link.cla, out);
            }
            Event::Response(response) if self.looking => {
                self.looking = false;
                let mut entries = get_status::entries(response.data()).flatten();
                let entry = entries.find(|entry| entry.aid == self.aid.as_bytes());
                self.load_file = entry.and_then(|entry| Aid::new(entry.load_file?).ok());
                Event::Begin
            }
            event => event,
        };
        let fields = Fields { instance: self.aid.as_bytes(), privileges: &[0], ..Fields::default() };
        let write = |out: &mut [u8]| fields.write_before_token(out).ok();
        let names = [self.load_file.as_ref().map_or(&[][..], Aid::as_bytes), self.aid.as_bytes()];
        let change = change(Stage::Install, [FOR_MAKE_SELECTABLE, 0], &write, &names);
        changing.turn(&change, event, link, out)
    }
}

/// One INSTALL command: P1 and P2, what is before the token, and what a receipt covers.
pub(super) const fn change<'c>(
    stage: Stage,
    [p1, p2]: [u8; 2],
    fields: &'c dyn Fn(&mut [u8]) -> Option<usize>,
    names: &'c [&'c [u8]],
) -> Change<'c> {
    Change { header: [INS, p1, p2], stage, fields, token: TokenField::Field, names: Some(names) }
}
