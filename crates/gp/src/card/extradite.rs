//! INSTALL [for extradition]. [GPC 11.5.2.3.4, 9.4.1]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, InstanceId, Memory};

use super::contactless::{self, CHANGE_MAX};
use super::content::Signed;
use super::domain::Settings;
use super::load_file::{self, ENTRY_MAX};
use super::manager::{CardManager, Done, Exchange};
use super::objects;
use super::registry::{self, RECORD_MAX, Record};
use crate::install::Fields;

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
    pub(super) fn new_domain(
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
