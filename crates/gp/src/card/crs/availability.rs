//! Which applications change their contactless state with a command, and the one commit in which they do. [AmdC 3.7, 3.11.4.2]
//!
//! An application that cannot be selected (locked, not selectable yet) cannot be activated, nor can one that made itself not
//! activatable; deactivating that one changes nothing. One that only its domain's lock hides still excludes others: with the domain it
//! comes back. Members of a group follow its head, as far as they can. (from memory: what
//! the sources say of groups is the data, not the behaviour)

use huiwan_apdu::Sw;
use huiwan_card::{Batch, Context, InstanceId, Memory};

use super::notify::{self, event_of};
use crate::card::Conflicts;
use crate::card::contactless::{self, COUNTER_MAX, Contactless, INTERACTION_MAX};
use crate::card::registry::{self, Deletion, RECORD_MAX, Record};
use crate::life_cycle::ContactlessState;
use crate::privileges::Privileges;

/// Applications that one command changes at most.
const CHANGES: usize = 16;

/// Why an application stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is none, or its life cycle or its own choice forbids it.
    State,
    /// An activated one excludes it.
    Conflict(InstanceId),
}

/// New states, not yet durable.
#[derive(Debug)]
pub(super) struct Plan {
    conflicts: Conflicts,
    states: heapless::Vec<(InstanceId, ContactlessState), CHANGES>,
}

impl Plan {
    pub(super) const fn new(conflicts: Conflicts) -> Self {
        Self { conflicts, states: heapless::Vec::new() }
    }

    /// The state an application will have.
    fn state(&self, record: &Record) -> ContactlessState {
        let planned = self.states.iter().find(|(instance, _)| *instance == record.instance);
        planned.map_or(record.contactless, |&(_, state)| state)
    }

    fn set(&mut self, record: &Record, state: ContactlessState) -> Result<(), Sw> {
        if let Some(planned) = self.states.iter_mut().find(|(instance, _)| *instance == record.instance) {
            planned.1 = state;
            return Ok(());
        }
        if record.contactless == state {
            return Ok(());
        }
        self.states.push((record.instance, state)).map_err(|_| Sw::NOT_ENOUGH_MEMORY)
    }

    /// The application with this AID, and the members of its group, are to be activated or deactivated.
    pub(super) fn ask(
        &mut self,
        memory: &mut dyn Memory,
        aid: &[u8],
        state: ContactlessState,
    ) -> Result<Option<Refusal>, Sw> {
        let Some(record) = registry::by_aid(memory, aid)? else { return Ok(Some(Refusal::State)) };
        let refusal = self.one(memory, &record, state, self.conflicts)?;
        if refusal.is_none() {
            self.members(memory, &record, state)?;
        }
        Ok(refusal)
    }

    fn one(
        &mut self,
        memory: &mut dyn Memory,
        record: &Record,
        state: ContactlessState,
        conflicts: Conflicts,
    ) -> Result<Option<Refusal>, Sw> {
        if state != ContactlessState::Activated {
            if self.state(record) == ContactlessState::Activated {
                self.set(record, state)?;
            }
            return Ok(None);
        }
        match self.state(record) {
            ContactlessState::NonActivatable => return Ok(Some(Refusal::State)),
            ContactlessState::Activated => return Ok(None),
            ContactlessState::Deactivated => {}
        }
        if !record.state.is_selectable() || registry::locked_by_domain(memory, record)? {
            return Ok(Some(Refusal::State));
        }
        let mut stored = [0; INTERACTION_MAX + 2];
        let restricted = contactless::interaction(memory, record.instance, &mut stored)?.restricted;
        let deletion = Deletion::read(memory)?;
        let mut displaced = heapless::Vec::<Record, 4>::new();
        let mut at = None;
        while let Some(other) = registry::next(memory, at)? {
            at = Some(other.instance);
            if other.instance == record.instance
                || self.state(&other) != ContactlessState::Activated
                || deletion.contains(other.instance)
                || !contactless::exclude_each_other(memory, (record, restricted), &other)?
            {
                continue;
            }
            // What the same command activated before stays.
            let activated_now = other.contactless != ContactlessState::Activated;
            if conflicts == Conflicts::Refuse || activated_now {
                return Ok(Some(Refusal::Conflict(other.instance)));
            }
            displaced.push(other).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        }
        for other in &displaced {
            self.set(other, ContactlessState::Deactivated)?;
        }
        self.set(record, ContactlessState::Activated)?;
        Ok(None)
    }

    /// Those who joined the group of `head`, and whom it lets join. One that cannot follow stays as it is.
    fn members(&mut self, memory: &mut dyn Memory, head: &Record, state: ContactlessState) -> Result<(), Sw> {
        let mut stored = [0; INTERACTION_MAX + 2];
        let group = contactless::interaction(memory, head.instance, &mut stored)?.group;
        for aid in group.iter() {
            let Some(member) = registry::by_aid(memory, aid)? else { continue };
            let mut stored = [0; INTERACTION_MAX + 2];
            let joined = contactless::interaction(memory, member.instance, &mut stored)?.head;
            if member.instance != head.instance
                && joined.is_some_and(|head_of| head_of.contains(head.aid.as_bytes()))
            {
                self.one(memory, &member, state, Conflicts::Refuse)?;
            }
        }
        Ok(())
    }

    /// Makes the states durable, all in one commit, then tells whom it concerns.
    pub(super) fn carry_out(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let mut buffer = [0; CHANGES * (RECORD_MAX + 6) + COUNTER_MAX];
        let mut batch = Batch::new(&mut buffer);
        let mut changes = 0_u16;
        for (instance, state) in &self.states {
            let mut record = registry::record(cx.memory, *instance)?.ok_or(Sw::MEMORY_FAILURE)?;
            if record.contactless != *state {
                record.contactless = *state;
                record.updates = record.updates.wrapping_add(1);
                record.put(&mut batch);
                changes = changes.saturating_add(1);
            }
        }
        if changes == 0 {
            return Ok(());
        }
        Contactless::read(cx.memory)?.changed(changes).put(&mut batch);
        cx.commit(&batch)?;
        for (instance, state) in &self.states {
            if let Some(record) = registry::record(cx.memory, *instance)? {
                notify::tell(cx, &record, event_of(*state))?;
            }
        }
        Ok(())
    }
}

/// The contactless state of the calling application.
///
/// # Errors
/// 6A88 for an instance that is not in the registry, 6581 when memory fails.
pub fn own_state(cx: &mut Context<'_>) -> Result<ContactlessState, Sw> {
    Ok(registry::record(cx.memory, cx.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.contactless)
}

/// The calling application changes its own contactless state; only it makes itself not activatable, and takes that back by
/// deactivating itself. Activating itself takes Contactless Self-Activation; `conflicts` says what happens to those that exclude it.
/// [AmdC 7.2]
///
/// # Errors
/// 6985 without the privilege, while locked, or when an activated application excludes it; nothing has changed. 6A88 and 6581 as
/// [`own_state`].
pub fn set_own_state(cx: &mut Context<'_>, state: ContactlessState, conflicts: Conflicts) -> Result<(), Sw> {
    let record = registry::record(cx.memory, cx.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    let mut plan = Plan::new(conflicts);
    if state == ContactlessState::Activated {
        if !record.privileges.contains(Privileges::CONTACTLESS_SELF_ACTIVATION) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // From not activatable it goes by way of deactivated.
        if plan.one(cx.memory, &record, state, conflicts)?.is_some() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    } else {
        plan.set(&record, state)?;
    }
    plan.carry_out(cx)
}
