//! DELETE of applications and key sets. [GPC 11.2]
//!
//! An application goes in three steps: its entry is marked (the commit from which on it is gone), its code is told, then its
//! objects and its entry go in one commit. A cut between them is made good at the next power-on.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Forward};

use super::manager::{CardManager, Done, Exchange};
use super::{keys, registry};
use crate::delete::{RELATED, Target};

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
            Target::Key { id: None, version: Some(version) } => delete_keys(x, version),
            // Keys are stored in sets, and a set is of no use without one of its keys.
            Target::Key { .. } => Err(Sw::WRONG_DATA),
            Target::Content(aid) => {
                let native = self.modules.iter().any(|module| module.load_file.as_bytes() == aid);
                if native || aid == self.profile.issuer_aid.as_bytes() {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let mut record = registry::by_aid(x.cx.memory, aid)?.ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?;
                record.deleting = true;
                record.commit(x.cx.memory)?;
                x.progress.instance = record.instance.0;
                Ok(Done::Forward(Forward::Uninstall { instance: record.instance }))
            }
        }
    }

    pub(super) fn uninstalled(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        _command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        let instance = huiwan_card::InstanceId(core::mem::take(&mut x.progress.instance));
        if !result.is_ok() {
            // It is in use or its code refuses: it stays as it was.
            if let Some(mut record) = registry::record(x.cx.memory, instance)? {
                record.deleting = false;
                record.commit(x.cx.memory)?;
            }
            return Err(result);
        }
        registry::forget(x.cx.memory, instance)?;
        x.reply.push(&[0x00])?;
        Ok(Done::OK)
    }
}

/// The set that serves this session and the last set stay.
fn delete_keys(x: &mut Exchange<'_, '_, '_, '_, '_>, version: u8) -> Result<Done, Sw> {
    let memory = &mut *x.cx.memory;
    let (mut found, mut other, mut after) = (false, None, None);
    while let Some(held) = keys::next_version(memory, after)? {
        if held == version {
            found = true;
        } else {
            other = other.or(Some(held));
        }
        after = Some(held);
    }
    if !found {
        return Err(Sw::REFERENCED_DATA_NOT_FOUND);
    }
    if version == x.session.key_version() {
        return Err(Sw::CONDITIONS_NOT_SATISFIED);
    }
    let other = other.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
    let mut buffer = [0; 32];
    let mut batch = Batch::new(&mut buffer);
    keys::delete(version, &mut batch);
    if x.card.default_key_version == version {
        x.card.default_key_version = other;
        x.card.put(&mut batch);
    }
    x.cx.commit(&batch)?;
    x.reply.push(&[0x00])?;
    Ok(Done::OK)
}
