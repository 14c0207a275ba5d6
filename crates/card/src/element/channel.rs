//! Logical channels and the volatile slots that belong to them. [ISO 7816-4 5.4.1] [GPC 6.3]

use huiwan_apdu::{Command, Sw};
use zeroize::Zeroize;

use super::{Element, Environment};
use crate::context::Interface;
use crate::directory::Directory;
use crate::memory::{InstanceId, Memory};

/// One logical channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) open: bool,
    pub(super) selected: Option<Selected>,
}

impl Channel {
    pub(super) const CLOSED: Self = Self { open: false, selected: None };
}

/// The application selected on a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selected {
    pub(super) instance: InstanceId,
    pub(super) domain: InstanceId,
}

/// The session state of an instance on a channel.
pub(super) struct Slot<const SLOT: usize> {
    owner: Option<(InstanceId, u8)>,
    bytes: [u8; SLOT],
}

impl<const SLOT: usize> Slot<SLOT> {
    pub(super) const FREE: Self = Self { owner: None, bytes: [0; SLOT] };

    pub(super) fn release(&mut self) {
        self.owner = None;
        self.bytes.as_mut_slice().zeroize();
    }
}

impl<const SLOT: usize> Drop for Slot<SLOT> {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

/// The slot of `instance` on `channel`, taken from the free ones (which are zero) if it has none.
pub(super) fn slot<const SLOT: usize>(
    slots: &mut [Slot<SLOT>],
    instance: InstanceId,
    channel: u8,
) -> Option<&mut [u8]> {
    let owner = Some((instance, channel));
    let at = slots
        .iter()
        .position(|slot| slot.owner == owner)
        .or_else(|| slots.iter().position(|slot| slot.owner.is_none()))?;
    let slot = slots.get_mut(at)?;
    slot.owner = owner;
    Some(&mut slot.bytes)
}

impl<
    M: Memory,
    D: Directory,
    const SLOTS: usize,
    const SLOT: usize,
    const SCRATCH: usize,
    const ANSWER: usize,
> Element<'_, M, D, SLOTS, SLOT, SCRATCH, ANSWER>
{
    /// Releases the slots on `channel` but those of the selected application and of its domain.
    pub(super) fn sweep_slots(&mut self, channel: u8) {
        let keep = self.channels.get(usize::from(channel)).and_then(|c| c.selected);
        for slot in &mut self.slots {
            if let Some((instance, on)) = slot.owner
                && on == channel
                && !keep.is_some_and(|keep| keep.instance == instance || keep.domain == instance)
            {
                slot.release();
            }
        }
    }

    /// Releases all slots on `channel`.
    pub(super) fn clear_slots(&mut self, channel: u8) {
        for slot in &mut self.slots {
            if slot.owner.is_some_and(|(_, on)| on == channel) {
                slot.release();
            }
        }
    }

    /// Whether `instance` is selected on any channel.
    pub(super) fn is_selected(&self, instance: InstanceId) -> bool {
        self.channels.iter().filter_map(|c| c.selected).any(|selected| selected.instance == instance)
    }

    /// MANAGE CHANNEL: `00 70 00 00 01` opens and answers the number, P2 may name it; `00 70 80 nn` closes. A channel opens with
    /// its default application selected; with nothing if that is selected on another channel or refuses. [ISO 7816-4 11.1.2]
    pub(super) fn manage_channel(
        &mut self,
        command: &Command<'_>,
        channel: u8,
        env: &mut Environment<'_>,
    ) -> Result<Sw, Sw> {
        if !command.data().is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let channels = usize::from(self.options.channels);
        match (command.p1(), command.p2()) {
            (0x00, 0) => {
                let free = self.channels.iter().take(channels).position(|c| !c.open);
                let number = free.and_then(|n| u8::try_from(n).ok()).ok_or(Sw::FUNCTION_NOT_SUPPORTED)?;
                self.open_channel(number, env)?;
                self.answer.writer().push(&[number])?;
                self.answer.set_len(1);
                Ok(Sw::OK)
            }
            (0x00, number) if usize::from(number) < channels => {
                self.open_channel(number, env)?;
                Ok(Sw::OK)
            }
            (0x80, number) => {
                let number = if number == 0 { channel } else { number };
                if number == 0 {
                    return Err(Sw::WRONG_P1P2);
                }
                self.close_channel(number, env)
            }
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    fn open_channel(&mut self, number: u8, env: &mut Environment<'_>) -> Result<(), Sw> {
        let channel = self.channels.get_mut(usize::from(number)).ok_or(Sw::WRONG_P1P2)?;
        if channel.open {
            return Err(Sw::FUNCTION_NOT_SUPPORTED);
        }
        *channel = Channel { open: true, selected: None };
        let interface = self.interface.unwrap_or(Interface::Internal);
        if let Ok(entry) = self.directory.default(&mut self.memory, interface, number)
            && !self.is_selected(entry.instance)
        {
            let on = core::mem::replace(&mut self.current.channel, number);
            self.enter(number, &entry, env);
            self.sweep_slots(number);
            self.current.channel = on;
            self.answer.clear();
        }
        Ok(())
    }

    fn close_channel(&mut self, number: u8, env: &mut Environment<'_>) -> Result<Sw, Sw> {
        let channel = self.channels.get(usize::from(number)).ok_or(Sw::WRONG_P1P2)?;
        if !channel.open {
            return Ok(Sw::WARNING_UNCHANGED);
        }
        self.leave(number, env);
        if let Some(channel) = self.channels.get_mut(usize::from(number)) {
            *channel = Channel::CLOSED;
        }
        Ok(Sw::OK)
    }
}
