//! SELECT by name. [ISO 7816-4 11.2.2] [GPC 6.4]

use huiwan_apdu::{Command, Sw};

use super::channel::Selected;
use super::forward::Call;
use super::{Callee, Element, Environment};
use crate::context::Interface;
use crate::directory::{Directory, Entry};
use crate::memory::Memory;
use crate::module::Action;

/// P2: the first or only occurrence.
const FIRST: u8 = 0x00;
/// P2: the next occurrence after the application selected now.
const NEXT: u8 = 0x02;
/// P2: the control parameters are wanted; they come in the FCI, as everything does. UICC tools select every application so.
const FCP: u8 = 0x04;
/// P2: no answer data wanted.
const NO_DATA: u8 = 0x0C;

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    pub(super) fn select(
        &mut self,
        command: &Command<'_>,
        channel: u8,
        env: &mut Environment<'_>,
    ) -> Result<Sw, Sw> {
        let interface = self.interface.unwrap_or(Interface::Internal);
        let current = self.channels.get(usize::from(channel)).and_then(|c| c.selected);
        let after = match command.p2() & !NO_DATA {
            FIRST => None,
            NEXT => current.map(|current| current.instance),
            _ => return Err(Sw::WRONG_P1P2),
        };
        if !matches!(command.p2() & NO_DATA, 0 | FCP | NO_DATA) {
            return Err(Sw::WRONG_P1P2);
        }
        let name = command.data();
        let entry = match name.len() {
            0 => self.directory.default(&mut self.memory, interface, channel)?,
            1..=16 => self.directory.find(&mut self.memory, name, after, interface)?,
            _ => return Err(Sw::FILE_NOT_FOUND),
        };
        let elsewhere = |(n, c): (usize, &super::Channel)| {
            n != usize::from(channel) && c.selected.is_some_and(|s| s.instance == entry.instance)
        };
        if self.channels.iter().enumerate().any(elsewhere) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let sw = self.enter(channel, &entry, env);
        if command.p2() & NO_DATA == NO_DATA {
            self.answer.clear();
        }
        Ok(sw)
    }

    /// Deselects what is selected on `channel` and selects `entry`. If that refuses, the former application stays, its session
    /// state gone.
    pub(super) fn enter(&mut self, channel: u8, entry: &Entry, env: &mut Environment<'_>) -> Sw {
        self.leave(channel, env);
        self.answer.clear();
        let sw = match self.call(env, &Callee::of(entry), 0, Call::Select) {
            Action::Reply(sw) => sw,
            _ => Sw::UNKNOWN,
        };
        if (sw.is_ok() || sw.is_warning())
            && let Some(channel) = self.channels.get_mut(usize::from(channel))
        {
            channel.selected = Some(Selected { instance: entry.instance, domain: entry.domain });
        }
        sw
    }

    /// The application selected on `channel` hears that its session ends; all volatile state of the channel is zeroized.
    pub(super) fn leave(&mut self, channel: u8, env: &mut Environment<'_>) {
        let selected = self.channels.get(usize::from(channel)).and_then(|c| c.selected);
        if let Some(selected) = selected
            && let Ok(entry) = self.directory.entry(&mut self.memory, selected.instance)
        {
            let on = core::mem::replace(&mut self.current.channel, channel);
            self.call(env, &Callee::of(&entry), 0, Call::Deselect);
            self.current.channel = on;
        }
        self.clear_slots(channel);
        zeroize::Zeroize::zeroize(self.scratch.as_mut_slice());
    }
}
