//! INSTALL [for registry update], and what its parameters share with INSTALL [for make selectable]. [GPC 11.5.2.3.6, 9.4.2]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Memory};

use super::contactless::{self, CHANGE_MAX, INTERACTION_MAX, Stored};
use super::content::Signed;
use super::crs::notify;
use super::domain::Settings;
use super::install::check_contactless;
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, RECORD_MAX, Record};
use crate::install::{Fields, Interaction, Parameters, restriction};
use crate::life_cycle::ContactlessState;
use crate::privileges::Privileges;

impl CardManager<'_> {
    /// Privileges, contactless and implicit selection parameters and, together with them, the domain of an application change; a domain
    /// loses functions.
    pub(super) fn for_registry_update(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        fields: &Fields<'_>,
        signed: Signed<'_>,
    ) -> Result<Done, Sw> {
        if !fields.module.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        self.authorise(x, command, signed)?;
        let mut buffer = [0; RECORD_MAX + INTERACTION_MAX + CHANGE_MAX + 80];
        let mut batch = Batch::new(&mut buffer);
        let mut record =
            registry::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        if record.instance == x.domain.instance
            || !registry::is_below(x.cx.memory, &record, x.domain.instance)?
        {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if !fields.load_file.is_empty() {
            record.domain = self.new_domain(x, fields.load_file, record.domain, Some(&record))?;
        }
        if !fields.privileges.is_empty() {
            let privileges = Privileges::parse(fields.privileges).ok_or(Sw::WRONG_DATA)?;
            if !self.may_grant(privileges, record.is_domain()) {
                return Err(Sw::WRONG_DATA);
            }
            record.privileges = privileges;
        }
        let parameters = Parameters::parse(fields.parameters).map_err(|_| Sw::WRONG_DATA)?;
        let before = record.contactless;
        let mut held = [0; INTERACTION_MAX + 2];
        let old = apply(x.cx.memory, &mut record, &parameters, &mut held, &mut batch)?;
        let new = parameters.interaction();
        registry::check_sole(x.cx.memory, &record)?;
        // A locked or unselectable one comes to its state later; not activatable stays what the application made it.
        if let Some(wanted) = parameters.contactless
            && record.state.is_selectable()
            && before != ContactlessState::NonActivatable
        {
            let restricted = new.restricted.or(old.restricted);
            record.contactless = contactless::attempt(x.cx.memory, &record, restricted, wanted)?;
        }
        if let Some(lost) = restriction(fields.parameters).map_err(|_| Sw::WRONG_DATA)? {
            if !record.is_domain() {
                return Err(Sw::WRONG_DATA);
            }
            let settings = Settings::read(x.cx.memory, record.instance)?;
            Settings { restricted: settings.restricted | lost, ..settings }.put(record.instance, &mut batch);
        }
        contactless::change(x.cx.memory, &mut record, &mut batch)?;
        let counter = self.confirm(x, &mut batch)?;
        x.cx.commit(&batch)?;
        notify::listeners_changed(x.cx, &record, old.listeners, &new)?;
        notify::updated(x.cx, &record, (&old, &new), before)?;
        self.receipt(x, counter, &[record.aid.as_bytes()])
    }
}

/// Brings the parameters into the entry, and the user interaction parameters into the batch; returns the former ones.
pub(super) fn apply<'h>(
    memory: &mut dyn Memory,
    record: &mut Record,
    parameters: &Parameters<'_>,
    held: &'h mut Stored,
    batch: &mut Batch<'_>,
) -> Result<Interaction<'h>, Sw> {
    check_contactless(parameters)?;
    let old = contactless::interaction(memory, record.instance, held)?;
    let mut stored = [0; INTERACTION_MAX];
    if let Some(objects) = contactless::merged(&old, &parameters.interaction(), &mut stored)? {
        contactless::put_interaction(record.instance, objects, batch);
    }
    if let Some(label) = parameters.label {
        record.label = heapless::Vec::from_slice(label).map_err(|_| Sw::WRONG_DATA)?;
    }
    record.initial_contactless = parameters.contactless.unwrap_or(record.initial_contactless);
    record.priority = parameters.priority.or(record.priority);
    record.implicit = parameters.implicit.unwrap_or(record.implicit);
    Ok(old)
}
