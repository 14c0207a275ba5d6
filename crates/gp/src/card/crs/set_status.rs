//! SET STATUS of the registry service: availability, order of selection, antenna. One commit for each command. [AmdC 3.11.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, InstanceId, Interface, ResponseWriter};

use super::Crs;
use super::availability::{Plan, Refusal};
use crate::card::contactless::{COUNTER_MAX, Contactless, ORDER_MAX, Order};
use crate::card::registry::{self, Deletion};
use crate::crs::SW_PARTLY_DONE;
use crate::crs::set_status::{
    Change, ChangeError, Place, TAG_A1_FAILED, TAG_A2_CONFLICTING, put_names, state,
};
use crate::install::Aids;
use crate::privileges::Privileges;

/// AIDs a command names at most: 255 bytes of them.
const NAMES: usize = 128;
/// Applications on a card at most.
const ALL: usize = 254;

impl Crs<'_> {
    pub(super) fn set_status(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<Sw, Sw> {
        let change =
            Change::parse(command.p1(), command.p2(), command.data()).map_err(|error| {
                match error.kind() {
                    ChangeError::Parameters => Sw::WRONG_P1P2,
                    ChangeError::Data => Sw::WRONG_DATA,
                }
            })?;
        self.check_rights(cx)?;
        match change {
            Change::Availability { activate, aids } => self.availability(cx, reply, activate, aids),
            Change::Priority { place, aids } => priority(cx, reply, place, aids),
            Change::Antenna { on } => antenna(cx, on),
        }
    }

    fn check_rights(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let own = registry::record(cx.memory, cx.instance)?.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let allowed = own.privileges.contains(Privileges::CONTACTLESS_ACTIVATION);
        let over_antenna = cx.interface == Interface::Contactless && !self.profile.crs_over_antenna;
        if allowed && !over_antenna { Ok(()) } else { Err(Sw::CONDITIONS_NOT_SATISFIED) }
    }

    /// Every AID stands for itself; what can be done is done together.
    fn availability(
        &self,
        cx: &mut Context<'_>,
        reply: &mut ResponseWriter<'_>,
        activate: bool,
        aids: Aids<'_>,
    ) -> Result<Sw, Sw> {
        let mut plan = Plan::new(self.profile.conflicts);
        let mut failed = heapless::Vec::<&[u8], NAMES>::new();
        let mut conflicting = heapless::Vec::<InstanceId, ALL>::new();
        for aid in aids.iter() {
            match plan.ask(cx.memory, aid, state(activate))? {
                None => {}
                Some(refusal) => {
                    failed.push(aid).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
                    if let Refusal::Conflict(with) = refusal
                        && !conflicting.contains(&with)
                    {
                        conflicting.push(with).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
                    }
                }
            }
        }
        // The answer comes first: what it has no room for is not done.
        let mut names = heapless::Vec::<huiwan_apdu::Aid, 16>::new();
        for instance in &conflicting {
            let record = registry::record(cx.memory, *instance)?.ok_or(Sw::MEMORY_FAILURE)?;
            names.push(record.aid).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        }
        reply
            .tlv(|w| {
                put_names(w, TAG_A1_FAILED, failed.iter().copied());
                put_names(w, TAG_A2_CONFLICTING, names.iter().map(huiwan_apdu::Aid::as_bytes));
            })
            .map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        plan.carry_out(cx)?;
        Ok(if failed.is_empty() { Sw::OK } else { SW_PARTLY_DONE })
    }
}

fn priority(
    cx: &mut Context<'_>,
    reply: &mut ResponseWriter<'_>,
    place: Place,
    aids: Aids<'_>,
) -> Result<Sw, Sw> {
    let mut named = heapless::Vec::<InstanceId, NAMES>::new();
    let mut failed = heapless::Vec::<&[u8], NAMES>::new();
    for aid in aids.iter() {
        match registry::by_aid(cx.memory, aid)? {
            Some(record) => named.push(record.instance).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?,
            None => failed.push(aid).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?,
        }
    }
    reply.tlv(|w| put_names(w, TAG_A1_FAILED, failed.iter().copied())).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
    let before = Order::read(cx.memory)?;
    let mut order = before.clone();
    match place {
        Place::Highest => order.first(&named)?,
        Place::Lowest if named.is_empty() => {}
        Place::Lowest => order.last(&named, &ordered(cx, &before)?)?,
        Place::Volatile => order.first_for_now(&named)?,
        Place::VolatileReset => order.reset_volatile(),
    }
    if order != before {
        let mut buffer = [0; ORDER_MAX + COUNTER_MAX];
        let mut batch = Batch::new(&mut buffer);
        order.put(&mut batch);
        Contactless::read(cx.memory)?.changed(1).put(&mut batch);
        cx.commit(&batch)?;
    }
    Ok(if failed.is_empty() { Sw::OK } else { SW_PARTLY_DONE })
}

/// All applications as they stand now: by lasting place, then by the priority they were installed with.
fn ordered(cx: &mut Context<'_>, order: &Order) -> Result<heapless::Vec<InstanceId, ALL>, Sw> {
    let mut order = order.clone();
    order.reset_volatile();
    let deletion = Deletion::read(cx.memory)?;
    let mut ranked = heapless::Vec::<(u8, u8, InstanceId), ALL>::new();
    let mut at = None;
    while let Some(record) = registry::next(cx.memory, at)? {
        at = Some(record.instance);
        if !deletion.contains(record.instance) {
            let (place, _) = order.rank(record.instance);
            // Those without a priority come last.
            let own = record.priority.map_or(0, |own| own & 0x0F).wrapping_sub(1);
            ranked.push((place, own, record.instance)).map_err(|_| Sw::NOT_ENOUGH_MEMORY)?;
        }
    }
    ranked.sort_unstable();
    Ok(ranked.iter().map(|&(_, _, instance)| instance).collect())
}

fn antenna(cx: &mut Context<'_>, on: bool) -> Result<Sw, Sw> {
    let contactless = Contactless::read(cx.memory)?;
    if contactless.antenna != on {
        let mut buffer = [0; COUNTER_MAX];
        let mut batch = Batch::new(&mut buffer);
        Contactless { antenna: on, ..contactless.changed(1) }.put(&mut batch);
        cx.commit(&batch)?;
    }
    Ok(Sw::OK)
}
