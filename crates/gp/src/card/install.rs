//! INSTALL in all its forms; here [for install], [for make selectable], [for personalization]. [GPC 11.5]
//!
//! The instance writes its own objects first; the registry entry is the commit. A cut before it leaves objects without an entry,
//! which the next power-on or the next installation under that number deletes.

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Batch, Forward, InstanceId, Memory};

use super::contactless::{self, CHANGE_MAX, INTERACTION_MAX};
use super::content::Signed;
use super::crs::notify;
use super::domain::Settings;
use super::load_file::{self, ENTRY_MAX, LoadFile};
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, RECORD_MAX, Record};
use super::{ModuleEntry, load, objects, registry_update};
use crate::capability::Capabilities;
use crate::install::{
    Aids, COMBINED, COMBINED_FIRST, COMBINED_LAST, FOR_EXTRADITION, FOR_INSTALL, FOR_LOAD,
    FOR_MAKE_SELECTABLE, FOR_PERSONALIZATION, FOR_REGISTRY_UPDATE, Fields, Interaction, Parameters,
    before_token, durable_memory,
};
use crate::life_cycle::{ApplicationState, ContactlessState};
use crate::privileges::Privileges;
use crate::scp03::{self, Options};

/// FOR_INSTALL and FOR_MAKE_SELECTABLE in one command.
const FOR_BOTH: u8 = FOR_INSTALL | FOR_MAKE_SELECTABLE;

/// Key sizes in the capability data: 128, 192 and 256 bits.
const AES_ALL_SIZES: u8 = 0x07;

/// What an application may be given: default selected, contactless activation of others or of itself, that the card can be locked and
/// terminated by it, that it locks others and stays selectable when the card is locked.
const GRANTABLE: Privileges = Privileges::from_array([0x1C, 0x0A, 0x30]);
/// What a security domain may be given besides: authorized management, global delete and registry.
const GRANTABLE_TO_DOMAINS: Privileges = Privileges::from_array([0x80, 0x54, 0x00]);
/// And with content management: DAP verification, mandated too, delegated management, ciphered load files.
const GRANTABLE_WITH_CONTENT: Privileges = Privileges::from_array([0xE1, 0x00, 0x40]);

impl CardManager<'_> {
    pub(super) fn install(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let (p1, p2) = (command.p1(), command.p2());
        let content = self.content.ok_or(Sw::WRONG_P1P2);
        match (p1, p2) {
            (FOR_LOAD, 0) | (COMBINED, COMBINED_FIRST) => {
                permitted(x, FOR_LOAD)?;
                return (content?.for_load)(self, x, command);
            }
            (FOR_PERSONALIZATION, 0) => {
                permitted(x, FOR_PERSONALIZATION)?;
                let fields = Fields::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
                return for_personalization(x, &fields);
            }
            (COMBINED, COMBINED_LAST) if x.progress.combined == load::CHECKED => permitted(x, FOR_BOTH)?,
            (COMBINED, COMBINED_LAST) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            (FOR_INSTALL | FOR_MAKE_SELECTABLE | FOR_BOTH | FOR_EXTRADITION | FOR_REGISTRY_UPDATE, 0) => {
                permitted(x, p1)?;
            }
            _ => return Err(Sw::WRONG_P1P2),
        }
        let fields = Fields::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        let data = before_token(p1, p2, command.data()).map_err(|_| Sw::WRONG_DATA)?;
        let signed = Signed { data, token: fields.token };
        match p1 {
            FOR_EXTRADITION => self.for_extradition(x, command, &fields, signed),
            FOR_REGISTRY_UPDATE => self.for_registry_update(x, command, &fields, signed),
            _ => {
                self.authorise(x, command, signed)?;
                if p1 == FOR_MAKE_SELECTABLE {
                    self.for_make_selectable(x, &fields)
                } else {
                    self.for_install(x, &fields)
                }
            }
        }
    }

    fn for_install(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, fields: &Fields<'_>) -> Result<Done, Sw> {
        let pending = load::pending(x)?;
        let request = self.checked(x.cx.memory, fields, pending.as_ref())?;
        check_room(x.cx.memory, fields.parameters)?;
        let file_name = pending.as_ref().is_some_and(|file| file.aid == request.aid);
        if file_name || self.is_taken(x.cx.memory, &request.aid)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let memory = &mut *x.cx.memory;
        let (mut free, mut after) = (1_u8, None);
        while let Some(record) = registry::next(memory, after)? {
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
        registry::check_sole(memory, &self.record(&request, instance, x.domain.instance)?)?;
        registry::forget(memory, instance)?;
        let len = request.parameters.application.len();
        x.cx.scratch
            .get_mut(..len)
            .ok_or(Sw::NOT_ENOUGH_MEMORY)?
            .copy_from_slice(request.parameters.application);
        x.progress.instance = instance.0;
        Ok(Done::Forward(Forward::Install { module: request.module.id, instance, aid: request.aid, len }))
    }

    /// Whether the AID names something already: one AID, one registry entry; load files are entries too, and DELETE goes by the AID
    /// alone. [GPC 6.4.1.1]
    pub(super) fn is_taken(&self, memory: &mut dyn Memory, aid: &Aid) -> Result<bool, Sw> {
        Ok(*aid == registry::issuer_aid(memory, self.profile)?
            || self.is_native(aid.as_bytes())
            || registry::by_aid(memory, aid.as_bytes())?.is_some()
            || load_file::by_aid(memory, aid.as_bytes())?.is_some())
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
        let pending = load::pending(x)?;
        let request = self.checked(x.cx.memory, &fields, pending.as_ref())?;
        let selectable = command.p1() & FOR_MAKE_SELECTABLE != 0;
        let mut record = self.record(&request, instance, x.domain.instance)?;
        let interaction = request.parameters.interaction();
        if selectable {
            let memory = &mut *x.cx.memory;
            record.state = selectable_state(memory, &record)?;
            record.contactless =
                contactless::attempt(memory, &record, interaction.restricted, record.initial_contactless)?;
        }
        let mut buffer = [0; RECORD_MAX + ENTRY_MAX + INTERACTION_MAX + CHANGE_MAX + 80];
        let mut batch = Batch::new(&mut buffer);
        contactless::change(x.cx.memory, &mut record, &mut batch)?;
        let mut stored = [0; INTERACTION_MAX];
        if let Some(objects) = contactless::merged(&Interaction::NONE, &interaction, &mut stored)? {
            contactless::put_interaction(instance, objects, &mut batch);
        }
        if let Some(file) = pending {
            self.put_pending(x, &file, &mut batch)?;
        }
        let counter = self.confirm(x, &mut batch)?;
        x.cx.commit(&batch)?;
        load::end(x.progress);
        notify::listeners_changed(x.cx, &record, Aids::default(), &interaction)?;
        notify::selectable(x.cx, &record)?;
        self.receipt(x, counter, &[record.load_file.as_bytes(), record.aid.as_bytes()])
    }

    /// The entry of what is being installed, not selectable yet.
    fn record(&self, request: &Request<'_>, instance: InstanceId, domain: InstanceId) -> Result<Record, Sw> {
        let parameters = &request.parameters;
        let label = heapless::Vec::from_slice(parameters.label.unwrap_or_default());
        Ok(Record {
            instance,
            locks_associated: false,
            state: ApplicationState::INSTALLED,
            contactless: ContactlessState::Deactivated,
            initial_contactless: parameters.contactless.unwrap_or(self.profile.contactless),
            module: request.module.id,
            domain,
            privileges: request.privileges,
            priority: parameters.priority,
            updates: 0,
            aid: request.aid,
            load_file: request.module.load_file,
            module_aid: request.module.module,
            label: label.map_err(|_| Sw::WRONG_DATA)?,
            implicit: parameters.implicit.unwrap_or_default(),
        })
    }

    fn checked<'f>(
        &self,
        memory: &mut dyn Memory,
        fields: &Fields<'f>,
        pending: Option<&LoadFile>,
    ) -> Result<Request<'f>, Sw> {
        let module = self.module(memory, fields.load_file, fields.module, pending)?;
        let privileges = Privileges::parse(fields.privileges).ok_or(Sw::WRONG_DATA)?;
        let is_domain = module.id == self.profile.manager;
        if !self.may_grant(privileges, is_domain) {
            return Err(Sw::WRONG_DATA);
        }
        let parameters = Parameters::parse(fields.parameters).map_err(|_| Sw::WRONG_DATA)?;
        check_contactless(&parameters)?;
        contactless::merged(&Interaction::NONE, &parameters.interaction(), &mut [0; INTERACTION_MAX])?;
        Ok(Request {
            module,
            aid: Aid::new(fields.instance).map_err(|_| Sw::WRONG_DATA)?,
            privileges,
            parameters,
        })
    }

    /// What the card can do, as GET DATA tells it.
    pub(super) fn capabilities(&self, scp03: Options) -> Capabilities {
        let domain = if self.modules.iter().any(|module| module.id == self.profile.manager) {
            self.grantable(true)
        } else {
            Privileges::NONE
        };
        let secure_channel = [scp03::SCP, scp03.byte(), AES_ALL_SIZES];
        let mut told = Capabilities::new(secure_channel, domain, self.grantable(false));
        told.scp02 = self.profile.scp02.map(|options| options.byte());
        told.scp11 = self.scp11.and_then(|scp11| Some((*scp11.profile.told.first()?, AES_ALL_SIZES)));
        if self.content.is_some() {
            told.load = true;
            told.signatures = Capabilities::SYMMETRIC;
            told.receipts = Capabilities::SYMMETRIC;
            if let Some(keys) = self.public_keys() {
                told.signatures |= keys.schemes();
                told.receipts |= keys.receipt_schemes();
                told.curves = keys.curves();
            }
        }
        told
    }

    fn grantable(&self, is_domain: bool) -> Privileges {
        match (is_domain, self.content) {
            (false, _) => GRANTABLE,
            (true, None) => GRANTABLE.with(GRANTABLE_TO_DOMAINS),
            (true, Some(_)) => GRANTABLE.with(GRANTABLE_TO_DOMAINS).with(GRANTABLE_WITH_CONTENT),
        }
    }

    /// Whether this card can keep what the privileges promise. A security domain is what the module says, and only that.
    pub(super) fn may_grant(&self, privileges: Privileges, is_domain: bool) -> bool {
        self.grantable(is_domain).contains(privileges)
            && privileges.is_consistent()
            && privileges.contains(Privileges::SECURITY_DOMAIN) == is_domain
    }

    /// The last form may make it the one selected by default, and bring or change what a registry update may change. [GPC 11.5.2.3.3]
    fn for_make_selectable(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        fields: &Fields<'_>,
    ) -> Result<Done, Sw> {
        let mut record =
            registry::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        if !registry::is_below(x.cx.memory, &record, x.domain.instance)?
            || record.state != ApplicationState::INSTALLED
        {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let wanted = match fields.privileges {
            [] => Privileges::NONE,
            bytes => Privileges::parse(bytes).ok_or(Sw::WRONG_DATA)?,
        };
        if !record.privileges.with(Privileges::DEFAULT_SELECTED).contains(wanted) {
            return Err(Sw::WRONG_DATA);
        }
        record.privileges = record.privileges.with(wanted);
        record.state = selectable_state(x.cx.memory, &record)?;
        let mut buffer = [0; RECORD_MAX + INTERACTION_MAX + CHANGE_MAX + 48];
        let mut batch = Batch::new(&mut buffer);
        let parameters = Parameters::parse(fields.parameters).map_err(|_| Sw::WRONG_DATA)?;
        let mut held = [0; INTERACTION_MAX + 2];
        let old = registry_update::apply(x.cx.memory, &mut record, &parameters, &mut held, &mut batch)?;
        let new = parameters.interaction();
        registry::check_sole(x.cx.memory, &record)?;
        let (restricted, initial) = (new.restricted.or(old.restricted), record.initial_contactless);
        record.contactless = contactless::attempt(x.cx.memory, &record, restricted, initial)?;
        contactless::change(x.cx.memory, &mut record, &mut batch)?;
        let counter = self.confirm(x, &mut batch)?;
        x.cx.commit(&batch)?;
        notify::listeners_changed(x.cx, &record, old.listeners, &new)?;
        notify::selectable(x.cx, &record)?;
        self.receipt(x, counter, &[record.load_file.as_bytes(), record.aid.as_bytes()])
    }
}

/// The state of what becomes selectable: PERSONALIZED for a security domain that needs no personalisation.
fn selectable_state(memory: &mut dyn Memory, record: &Record) -> Result<ApplicationState, Sw> {
    let personalised = record.is_domain() && Settings::read(memory, record.instance)?.personalised;
    Ok(if personalised { ApplicationState::PERSONALIZED } else { ApplicationState::SELECTABLE })
}

/// The fields of INSTALL [for install], checked.
struct Request<'f> {
    module: ModuleEntry,
    aid: Aid,
    privileges: Privileges,
    parameters: Parameters<'f>,
}

/// What the entry cannot hold is refused: FF as a priority would read back as none, the indicator has four bits; and only the
/// application itself makes itself not activatable. [AmdC 3.11.4.2]
pub(super) fn check_contactless(parameters: &Parameters<'_>) -> Result<(), Sw> {
    let not_activatable = parameters.contactless == Some(ContactlessState::NonActivatable);
    if parameters.priority == Some(0xFF) || not_activatable { Err(Sw::WRONG_DATA) } else { Ok(()) }
}

/// 6A84 where the parameters ask for more durable memory than is left, as far as the memory knows. [GPC 9.7]
pub(super) fn check_room(memory: &mut dyn Memory, parameters: &[u8]) -> Result<(), Sw> {
    let needed = durable_memory(parameters).map_err(|_| Sw::WRONG_DATA)?;
    let fits = memory.room().is_none_or(|room| needed <= room);
    if fits { Ok(()) } else { Err(Sw::NOT_ENOUGH_MEMORY) }
}

/// Registry update may have taken the function from the domain.
fn permitted(x: &Exchange<'_, '_, '_, '_, '_>, function: u8) -> Result<(), Sw> {
    if x.domain.is_restricted(function) { Err(Sw::CONDITIONS_NOT_SATISFIED) } else { Ok(()) }
}

fn for_personalization(x: &mut Exchange<'_, '_, '_, '_, '_>, fields: &Fields<'_>) -> Result<Done, Sw> {
    let record = registry::by_aid(x.cx.memory, fields.instance)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
    // Only the domain an application is associated with personalises it. [GPC 7.3.3]
    let locked = record.state.is_locked() || registry::locked_by_domain(x.cx.memory, &record)?;
    if locked || record.domain != x.domain.instance {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    x.progress.end_personalisation();
    x.progress.target = record.instance.0;
    x.reply.push(&[0x00])?;
    Ok(Done::OK)
}

/// Where the entry of a load file stays while a combined sequence has not ended.
pub(super) const fn pending_object(file: InstanceId) -> huiwan_card::ObjectId {
    huiwan_card::ObjectId::new(file, objects::PENDING_ENTRY)
}
