//! SET STATUS: the card's life cycle, locking and unlocking of applications. [GPC 11.10]

use huiwan_apdu::{Command, Sw};
use huiwan_card::Batch;

use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, Card};
use crate::life_cycle::{CardState, ContactlessState};
use crate::set_status::{APPLICATION, CARD, LOCK};

impl CardManager<'_> {
    pub(super) fn set_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        match command.p1() {
            CARD => self.set_card_status(x, command),
            APPLICATION if x.card.state == CardState::CardLocked => Err(Sw::CONDITIONS_NOT_SATISFIED),
            APPLICATION if command.data() == self.profile.issuer_aid.as_bytes() => {
                self.set_card_status(x, command)
            }
            APPLICATION => lock(x, command),
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    fn set_card_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let named = command.data();
        if !named.is_empty() && named != self.profile.issuer_aid.as_bytes() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        let next = CardState::from_byte(command.p2()).ok_or(Sw::WRONG_DATA)?;
        if !x.card.state.allows(next) {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        Card { state: next, ..x.card }.put(&mut batch);
        x.cx.commit(&batch)?;
        x.card.state = next;
        Ok(Done::OK)
    }
}

/// Lock or unlock; a state that is there already is refused, and so is one that is the application's own affair.
fn lock(x: &mut Exchange<'_, '_, '_, '_, '_>, command: &Command<'_>) -> Result<Done, Sw> {
    let mut record = registry::by_aid(x.cx.memory, command.data())?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    let to_lock = command.p2() & LOCK != 0;
    if to_lock == record.state.is_locked() {
        return Err(Sw::WRONG_DATA);
    }
    if to_lock {
        record.state = record.state.locked();
        if record.contactless == ContactlessState::Activated {
            record.contactless = ContactlessState::Deactivated;
        }
    } else {
        record.state = record.state.unlocked();
        record.contactless = record.initial_contactless;
    }
    record.commit(x.cx.memory)?;
    Ok(Done::OK)
}
