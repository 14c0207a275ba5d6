//! INSTALL [for install], [for make selectable], [for personalization]. [GPC 11.5]
//!
//! The instance writes its own objects first; the registry entry is the commit. A cut before it leaves objects without an entry,
//! which the next power-on or the next installation under that number deletes.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Forward, InstanceId};

use super::ModuleEntry;
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, Record};
use crate::install::{FOR_INSTALL, FOR_MAKE_SELECTABLE, FOR_PERSONALIZATION, Fields, Parameters};
use crate::life_cycle::ApplicationState;
use crate::privileges::Privileges;

/// FOR_INSTALL and FOR_MAKE_SELECTABLE in one command.
const FOR_BOTH: u8 = FOR_INSTALL | FOR_MAKE_SELECTABLE;

/// What an application may be given: default selected, contactless activation of others or of itself. Security domain and the
/// management privileges are the issuer domain's.
const GRANTABLE: Privileges = Privileges::from_array([0x04, 0x00, 0x30]);

impl CardManager<'_> {
    pub(super) fn install(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        if command.p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let fields = Fields::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        // The issuer domain needs no token, and one that nobody checks is not accepted.
        if !fields.token.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        match command.p1() {
            FOR_INSTALL | FOR_BOTH => self.for_install(x, &fields),
            FOR_MAKE_SELECTABLE => for_make_selectable(x, &fields),
            FOR_PERSONALIZATION => for_personalization(x, &fields),
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    fn for_install(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, fields: &Fields<'_>) -> Result<Done, Sw> {
        let request = self.checked(fields)?;
        let memory = &mut *x.cx.memory;
        // One AID names one registry entry; load files are entries too, and DELETE goes by the AID alone. [GPC 6.4.1.1]
        let taken = request.aid == self.profile.issuer_aid
            || self.modules.iter().any(|module| module.load_file == request.aid)
            || registry::by_aid(memory, request.aid.as_bytes())?.is_some();
        if taken {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let (mut free, mut after) = (1_u8, None);
        while let Some(record) = registry::next(memory, after)? {
            if record.privileges.contains(Privileges::DEFAULT_SELECTED)
                && request.privileges.contains(Privileges::DEFAULT_SELECTED)
            {
                return Err(Sw::CONDITIONS_NOT_SATISFIED);
            }
            // Entries come in rising order: the first gap is free.
            if record.instance.0 == free {
                free = free.checked_add(1).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
            }
            after = Some(record.instance);
        }
        if free > self.profile.instances {
            return Err(Sw::NOT_ENOUGH_MEMORY);
        }
        let instance = InstanceId(free);
        registry::forget(memory, instance)?;
        let len = request.parameters.application.len();
        x.cx.scratch
            .get_mut(..len)
            .ok_or(Sw::NOT_ENOUGH_MEMORY)?
            .copy_from_slice(request.parameters.application);
        x.progress.instance = instance.0;
        Ok(Done::Forward(Forward::Install { module: request.module.id, instance, aid: request.aid, len }))
    }

    /// The application installed itself, or refused.
    pub(super) fn installed(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        let instance = InstanceId(core::mem::take(&mut x.progress.instance));
        if !result.is_ok() {
            registry::forget(x.cx.memory, instance)?;
            return Err(result);
        }
        let fields = Fields::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        let request = self.checked(&fields)?;
        let selectable = command.p1() & FOR_MAKE_SELECTABLE != 0;
        let contactless = request.parameters.contactless.unwrap_or(self.profile.contactless);
        let label = request.parameters.label.unwrap_or_default();
        let record = Record {
            instance,
            deleting: false,
            state: if selectable { ApplicationState::SELECTABLE } else { ApplicationState::INSTALLED },
            contactless,
            initial_contactless: contactless,
            module: request.module.id,
            domain: InstanceId::ISSUER,
            privileges: request.privileges,
            priority: request.parameters.priority,
            aid: request.aid,
            load_file: request.module.load_file,
            module_aid: request.module.module,
            label: heapless::Vec::from_slice(label).map_err(|_| Sw::WRONG_DATA)?,
        };
        record.commit(x.cx.memory)?;
        x.reply.push(&[0x00])?;
        Ok(Done::OK)
    }

    fn checked<'f>(&self, fields: &Fields<'f>) -> Result<Request<'f>, Sw> {
        let named = |module: &&ModuleEntry| {
            module.load_file.as_bytes() == fields.load_file && module.module.as_bytes() == fields.module
        };
        let module = *self.modules.iter().find(named).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let privileges = Privileges::parse(fields.privileges).ok_or(Sw::WRONG_DATA)?;
        if !GRANTABLE.contains(privileges) {
            return Err(Sw::WRONG_DATA);
        }
        let parameters = Parameters::parse(fields.parameters).map_err(|_| Sw::WRONG_DATA)?;
        // FF as a priority would read back as none; the indicator has four bits.
        if parameters.priority == Some(0xFF) {
            return Err(Sw::WRONG_DATA);
        }
        Ok(Request {
            module,
            aid: Aid::new(fields.instance).map_err(|_| Sw::WRONG_DATA)?,
            privileges,
            parameters,
        })
    }
}

/// The fields of INSTALL [for install], checked.
struct Request<'f> {
    module: ModuleEntry,
    aid: Aid,
    privileges: Privileges,
    parameters: Parameters<'f>,
}

fn for_make_selectable(x: &mut Exchange<'_, '_, '_, '_, '_>, fields: &Fields<'_>) -> Result<Done, Sw> {
    let mut record = registry::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    if record.state != ApplicationState::INSTALLED {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    record.state = ApplicationState::SELECTABLE;
    record.commit(x.cx.memory)?;
    x.reply.push(&[0x00])?;
    Ok(Done::OK)
}

fn for_personalization(x: &mut Exchange<'_, '_, '_, '_, '_>, fields: &Fields<'_>) -> Result<Done, Sw> {
    let record = registry::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    if record.state.is_locked() {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    x.progress.end_personalisation();
    x.progress.target = record.instance.0;
    x.reply.push(&[0x00])?;
    Ok(Done::OK)
}
