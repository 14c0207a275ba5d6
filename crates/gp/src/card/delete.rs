//! DELETE of applications, security domains, load files and keys. [GPC 11.2]
//!
//! Content goes in three steps: a deletion that lists it becomes durable (the commit from which on it is gone), then the code of
//! every instance is told, then all objects and entries go in one commit. A cut between them is made good at the next power-on. An
//! instance that refuses keeps everything.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Forward, InstanceId};

use super::certificates;
use super::content::Signed;
use super::crs::notify;
use super::domain::Settings;
use super::extradite::is_at_or_below;
use super::keys::{self, KeySet};
use super::load_file;
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, Deletion, Record};
use crate::delete::{Names, RELATED, Target};
use crate::privileges::Privileges;

/// The bit of a restriction that takes deletion from a domain.
const DELETION: u8 = 0x01;

impl CardManager<'_> {
    pub(super) fn delete(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        if command.p1() != 0 || !matches!(command.p2(), 0 | RELATED) {
            return Err(Sw::WRONG_P1P2);
        }
        match Target::parse(command.data()).ok().flatten().ok_or(Sw::WRONG_DATA)? {
            Target::Key { id, version } => return delete_keys(x, id, version),
            Target::Content(_) => {}
        }
        let names = Names::parse(command.data()).ok().flatten().ok_or(Sw::WRONG_DATA)?;
        if x.domain.is_restricted(DELETION) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // Global delete stands beside the authority over its own content. [GPC 9.5]
        if !x.domain.has(Privileges::GLOBAL_DELETE) || !names.token.is_empty() {
            self.authorise(x, command, Signed { data: names.signed, token: names.token })?;
        }
        let mut deletion = Deletion::default();
        for aid in names.aids() {
            self.add(x, &mut deletion, aid, command.p2() == RELATED)?;
        }
        check_remaining(x, &deletion)?;
        deletion.begin(x.cx.memory, x.domain.instance)?;
        x.progress.instance = 0;
        self.tell_next(x, command)
    }

    /// Adds what an AID names to the deletion, and with `related` everything that depends on it.
    fn add(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        deletion: &mut Deletion,
        aid: &[u8],
        related: bool,
    ) -> Result<(), Sw> {
        let memory = &mut *x.cx.memory;
        if self.is_native(aid) || aid == registry::issuer_aid(memory, self.profile)?.as_bytes() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if let Some(record) = registry::by_aid(memory, aid)? {
            include(x, deletion, &record)?;
            return if related && record.is_domain() {
                associated(x, deletion, record.instance)
            } else {
                Ok(())
            };
        }
        let (number, file) = load_file::by_aid(memory, aid)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
        let own = is_at_or_below(memory, file.domain, x.domain.instance)?;
        if !own && !x.domain.has(Privileges::GLOBAL_DELETE) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        deletion.push(number)?;
        if related {
            let mut after = None;
            while let Some(record) = registry::next(x.cx.memory, after)? {
                after = Some(record.instance);
                if record.load_file == file.aid && !deletion.contains(record.instance) {
                    include(x, deletion, &record)?;
                }
            }
        }
        Ok(())
    }

    /// Tells the next instance that it goes; when all have been told, they are gone.
    fn tell_next(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, command: &Command<'_>) -> Result<Done, Sw> {
        let deletion = Deletion::read(x.cx.memory)?;
        for instance in deletion.members().skip(usize::from(x.progress.instance)) {
            x.progress.instance = x.progress.instance.saturating_add(1);
            // Load files have no code to be told.
            if registry::record(x.cx.memory, instance)?.is_some() {
                return Ok(Done::Forward(Forward::Uninstall { instance }));
            }
        }
        x.progress.instance = 0;
        let mut buffer = [0; 16];
        let mut also = Batch::new(&mut buffer);
        // Whom to tell is known while the lists are there; telling is no reason to keep what goes.
        let notices = notify::of_deletion(x.cx.memory, &deletion).unwrap_or_default();
        let confirmed = self.confirm(x, &mut also);
        let counter =
            match confirmed.and_then(|counter| deletion.finish(x.cx.memory, &also).map(|()| counter)) {
                Ok(counter) => counter,
                Err(sw) => {
                    Deletion::revoke(x.cx.memory)?;
                    return Err(sw);
                }
            };
        notify::deleted(x.cx, &notices);
        let names = Names::parse(command.data()).ok().flatten().ok_or(Sw::UNKNOWN)?;
        let mut told = heapless::Vec::<&[u8], 8>::new();
        names.aids().take(told.capacity()).for_each(|aid| told.push(aid).unwrap_or_default());
        self.receipt(x, counter, &told)
    }

    /// An instance heard that it goes, or refused.
    pub(super) fn uninstalled(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        if !result.is_ok() {
            // It is in use or its code refuses: everything stays as it was.
            x.progress.instance = 0;
            Deletion::revoke(x.cx.memory)?;
            return Err(result);
        }
        self.tell_next(x, command)
    }
}

/// Adds an instance, if the domain may delete it.
fn include(x: &mut Exchange<'_, '_, '_, '_, '_>, deletion: &mut Deletion, record: &Record) -> Result<(), Sw> {
    let memory = &mut *x.cx.memory;
    let own = record.instance != x.domain.instance && registry::is_below(memory, record, x.domain.instance)?;
    let global = record.instance != x.domain.instance && x.domain.has(Privileges::GLOBAL_DELETE);
    if !own && !global {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    if record.is_domain() {
        let settings = Settings::read(memory, record.instance)?;
        if !x.domain.is_accepted(memory, settings.deletable, record)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    }
    if deletion.contains(record.instance) { Ok(()) } else { deletion.push(record.instance) }
}

/// Adds everything associated with a domain: applications, domains, load files.
fn associated(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    deletion: &mut Deletion,
    domain: InstanceId,
) -> Result<(), Sw> {
    let mut after = None;
    while let Some(record) = registry::next(x.cx.memory, after)? {
        after = Some(record.instance);
        if registry::is_below(x.cx.memory, &record, domain)? {
            include(x, deletion, &record)?;
        }
    }
    let mut after = None;
    while let Some((number, file)) = load_file::next(x.cx.memory, after)? {
        after = Some(number);
        if is_at_or_below(x.cx.memory, file.domain, domain)? && !deletion.contains(number) {
            deletion.push(number)?;
        }
    }
    Ok(())
}

/// Nothing that stays may need what goes: an application its domain or its load file, a load file its domain. [GPC 9.5.2]
fn check_remaining(x: &mut Exchange<'_, '_, '_, '_, '_>, deletion: &Deletion) -> Result<(), Sw> {
    let mut after = None;
    while let Some(record) = registry::next(x.cx.memory, after)? {
        after = Some(record.instance);
        if deletion.contains(record.instance) {
            continue;
        }
        let file = load_file::by_aid(x.cx.memory, record.load_file.as_bytes())?;
        if deletion.contains(record.domain) || file.is_some_and(|(number, _)| deletion.contains(number)) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    }
    let mut after = None;
    while let Some((number, file)) = load_file::next(x.cx.memory, after)? {
        after = Some(number);
        if !deletion.contains(number) && deletion.contains(file.domain) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
    }
    Ok(())
}

/// Keys by version, by identifier, or one key. The set that serves this session stays, and the last set that opens a channel does.
// Apart, as its buffers are large.
#[inline(never)]
fn delete_keys(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    id: Option<u8>,
    version: Option<u8>,
) -> Result<Done, Sw> {
    let domain = x.domain.instance;
    let serving = (x.progress.key_owner == domain.0).then(|| x.session.key_version());
    let mut buffer = zeroize::Zeroizing::new([0; 2 * keys::SET_MAX + 448]);
    let mut batch = Batch::new(&mut *buffer);
    let (mut found, mut opening, mut after) = (false, None, None);
    let default = x.domain.default_key_version(&x.card);
    let mut default_goes = false;
    while let Some(held) = keys::next_version(x.cx.memory, domain, after)? {
        after = Some(held);
        let set = KeySet::read(x.cx.memory, domain, held)?.ok_or(Sw::MEMORY_FAILURE)?;
        let named =
            version.is_none_or(|version| version == held) && id.is_none_or(|id| set.key(id).is_some());
        if !named {
            opening = opening.or(set.opens_channel(x.scp02).then_some(held));
            continue;
        }
        found = true;
        let mut rest = KeySet::new();
        for key in set.keys().filter(|key| id.is_some_and(|id| id != key.id)) {
            rest.push(key.id, key.key_type, key.attributes, key.value).ok_or(Sw::UNKNOWN)?;
        }
        // A set is of no use for a channel without one of its keys; others beside them can go.
        let opens = rest.opens_channel(x.scp02);
        let breaks = set.opens_channel(x.scp02) && !opens;
        let in_use = serving == Some(held) && (breaks || rest.is_empty());
        if in_use || (breaks && !rest.is_empty()) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        for key in set.keys().filter(|key| rest.key(key.id).is_none()) {
            certificates::forget(x.cx.memory, domain, [key.id, held], &mut batch)?;
        }
        opening = opening.or(opens.then_some(held));
        if rest.is_empty() {
            keys::delete(domain, held, &mut batch);
        } else {
            rest.put(domain, held, false, &mut batch);
        }
        default_goes |= held == default && !opens;
    }
    if !found {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    if default_goes {
        let other = match (opening, domain) {
            (Some(other), _) => other,
            (None, InstanceId::ISSUER) => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            // A supplementary domain goes back to the keys of the domain above.
            (None, _) => 0,
        };
        x.domain.put_default_key_version(other, &mut x.card, &mut batch);
    }
    x.cx.commit(&batch)?;
    x.reply.push(&[0x00])?;
    Ok(Done::OK)
}
