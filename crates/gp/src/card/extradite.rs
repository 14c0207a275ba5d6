//! INSTALL [for extradition] and [for registry update]. [GPC 11.5, 9.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, InstanceId, Memory};

use super::contactless::{self, CHANGE_MAX, INTERACTION_MAX};
use super::content::Signed;
use super::crs::notify;
use super::domain::Settings;
use super::install::check_contactless;
use super::load_file::{self, ENTRY_MAX};
use super::manager::{CardManager, Done, Exchange};
use super::objects;
use super::registry::{self, RECORD_MAX, Record};
use crate::install::{Fields, Parameters, restriction};
use crate::life_cycle::ContactlessState;
use crate::privileges::Privileges;

impl CardManager<'_> {
    /// An application, security domain or load file gets another domain.
    pub(super) fn for_extradition(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        fields: &Fields<'_>,
        signed: Signed<'_>,
    ) -> Result<Done, Sw> {
        if !fields.module.is_empty() || !fields.privileges.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        self.authorise(x, command, signed)?;
        let mut buffer = [0; RECORD_MAX + ENTRY_MAX + CHANGE_MAX + 32];
        let mut batch = Batch::new(&mut buffer);
        let from = match registry::by_aid(x.cx.memory, fields.instance)? {
            Some(mut record) => {
                let from = record.domain;
                record.domain = self.new_domain(x, fields.load_file, from, Some(&record))?;
                contactless::change(x.cx.memory, &mut record, &mut batch)?;
                from
            }
            None => {
                let (number, mut file) =
                    load_file::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                let from = file.domain;
                file.domain = self.new_domain(x, fields.load_file, from, None)?;
                file.put(objects::load_file(number), &mut batch);
                from
            }
        };
        let counter = self.confirm(x, &mut batch)?;
        let from = x.cx.directory.entry(x.cx.memory, from)?.aid;
        x.cx.commit(&batch)?;
        self.receipt(x, counter, &[from.as_bytes(), fields.instance, fields.load_file])
    }

    /// The domain with this AID, if both it and the present one agree to the extradition.
    fn new_domain(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        aid: &[u8],
        from: InstanceId,
        what: Option<&Record>,
    ) -> Result<InstanceId, Sw> {
        let memory = &mut *x.cx.memory;
        // Who extradites answers for it: it is the present domain, or above it.
        if from != x.domain.instance && !is_at_or_below(memory, from, x.domain.instance)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if let Some((record, settings)) = supplementary(memory, from)?
            && !x.domain.is_accepted(memory, settings.releases, &record)?
        {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if aid == registry::issuer_aid(memory, self.profile)?.as_bytes() {
            return if from == InstanceId::ISSUER {
                Err(Sw::CONDITIONS_NOT_SATISFIED)
            } else {
                Ok(InstanceId::ISSUER)
            };
        }
        let to =
            registry::by_aid(memory, aid)?.filter(Record::is_domain).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let settings = Settings::read(memory, to.instance)?;
        // A domain does not come below itself.
        let below_itself = match what {
            Some(what) => what.instance == to.instance || registry::is_below(memory, &to, what.instance)?,
            None => false,
        };
        if to.instance == from
            || below_itself
            || to.state.is_locked()
            || !x.domain.is_accepted(memory, settings.accepts, &to)?
        {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        Ok(to.instance)
    }

    /// Privileges, contactless parameters and, together with them, the domain of an application change; a domain loses functions.
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
            if privileges.contains(Privileges::DEFAULT_SELECTED) && default_is_taken(x.cx.memory, &record)? {
                return Err(Sw::CONDITIONS_NOT_SATISFIED);
            }
            record.privileges = privileges;
        }
        let parameters = Parameters::parse(fields.parameters).map_err(|_| Sw::WRONG_DATA)?;
        check_contactless(&parameters)?;
        let before = record.contactless;
        let (mut held, mut stored) = ([0; INTERACTION_MAX + 2], [0; INTERACTION_MAX]);
        let old = contactless::interaction(x.cx.memory, record.instance, &mut held)?;
        let new = parameters.interaction();
        if let Some(objects) = contactless::merged(&old, &new, &mut stored)? {
            contactless::put_interaction(record.instance, objects, &mut batch);
        }
        if let Some(wanted) = parameters.contactless {
            record.initial_contactless = wanted;
            let restricted = new.restricted.or(old.restricted);
            // A locked or unselectable one comes to its state later; not activatable stays what the application made it.
            if record.state.is_selectable() && before != ContactlessState::NonActivatable {
                record.contactless = contactless::attempt(x.cx.memory, &record, restricted, wanted)?;
            }
        }
        if let Some(label) = parameters.label {
            record.label = heapless::Vec::from_slice(label).map_err(|_| Sw::WRONG_DATA)?;
        }
        record.priority = parameters.priority.or(record.priority);
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
        notify::updated(x.cx, &record, &new, before)?;
        self.receipt(x, counter, &[record.aid.as_bytes()])
    }
}

fn supplementary(memory: &mut dyn Memory, domain: InstanceId) -> Result<Option<(Record, Settings)>, Sw> {
    if domain == InstanceId::ISSUER {
        return Ok(None);
    }
    let record = registry::record(memory, domain)?.ok_or(Sw::MEMORY_FAILURE)?;
    Ok(Some((record, Settings::read(memory, domain)?)))
}

/// Whether a domain is another one or below it.
pub(super) fn is_at_or_below(
    memory: &mut dyn Memory,
    domain: InstanceId,
    above: InstanceId,
) -> Result<bool, Sw> {
    if domain == above || above == InstanceId::ISSUER {
        return Ok(true);
    }
    match registry::record(memory, domain)? {
        Some(record) => registry::is_below(memory, &record, above),
        None => Ok(false),
    }
}

fn default_is_taken(memory: &mut dyn Memory, by: &Record) -> Result<bool, Sw> {
    let mut after = None;
    while let Some(record) = registry::next(memory, after)? {
        after = Some(record.instance);
        if record.instance != by.instance && record.privileges.contains(Privileges::DEFAULT_SELECTED) {
            return Ok(true);
        }
    }
    Ok(false)
}
