//! GET STATUS in the TLV form, in pages. [GPC 11.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::InstanceId;
use huiwan_tlv::{Tag, Writer};

use super::ModuleEntry;
use super::manager::{CardManager, Done, Exchange};
use super::registry::{self, Record};
use crate::get_status::{
    FIRST, NEXT, Scope, Search, TAG_4F_AID, TAG_9F70_LIFE_CYCLE, TAG_84_MODULE, TAG_C4_LOAD_FILE,
    TAG_C5_PRIVILEGES, TAG_CC_DOMAIN, TAG_CE_VERSION, TAG_E3_ENTRY,
};
use crate::privileges::Privileges;
use crate::scp03::max_response_data;

/// A load file is LOADED as long as it is there. [GPC 5.2]
const LOADED: u8 = 0x01;
/// Version told for native load files.
const LOAD_FILE_VERSION: [u8; 2] = [0x01, 0x00];

impl CardManager<'_> {
    pub(super) fn get_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let listing = core::mem::take(&mut x.progress.listing);
        let scope = Scope::from_byte(command.p1()).ok_or(Sw::WRONG_P1P2)?;
        let search = Search::parse(command.data()).ok().flatten().ok_or(Sw::WRONG_DATA)?;
        let after = match command.p2() {
            FIRST => None,
            // Only what was begun can go on; the issuer domain is one entry. [GPC 11.4.2.2]
            NEXT if listing == scope.byte() => Some(x.progress.listed),
            NEXT => return Err(Sw::CONDITIONS_NOT_SATISFIED),
            _ => return Err(Sw::WRONG_P1P2),
        };
        let room = x.session.level().map_or(256, max_response_data);
        let more = match scope {
            Scope::Issuer => {
                let aid = x.cx.aid;
                if aid.starts_with(search.prefix) {
                    let state = x.card.state.byte();
                    x.reply.tlv(|w| {
                        entry(w, &search, aid.as_bytes(), &[state], |w| {
                            field(w, &search, TAG_C5_PRIVILEGES, &Privileges::ISSUER.bytes());
                            field(w, &search, TAG_CC_DOMAIN, aid.as_bytes());
                        });
                    })?;
                }
                false
            }
            Scope::Applications => self.applications(x, &search, after, room)?,
            Scope::LoadFiles => self.load_files(x, &search, after, room, false)?,
            Scope::LoadFilesAndModules => self.load_files(x, &search, after, room, true)?,
        };
        if x.reply.is_empty() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        if more {
            x.progress.listing = scope.byte();
        }
        Ok(Done::Reply(if more { Sw::MORE_ENTRIES } else { Sw::OK }))
    }

    /// Tells applications behind `after`; whether there are more than fit.
    fn applications(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        search: &Search<'_>,
        after: Option<u8>,
        room: usize,
    ) -> Result<bool, Sw> {
        let mut at = after.map(InstanceId);
        while let Some(record) = registry::next(x.cx.memory, at)? {
            at = Some(record.instance);
            if record.deleting || !record.aid.starts_with(search.prefix) {
                continue;
            }
            let domain = self.profile.issuer_aid;
            if !tell(x, room, |w| application(w, search, &record, domain.as_bytes()))? {
                return Ok(true);
            }
            x.progress.listed = record.instance.0;
        }
        Ok(false)
    }

    /// Tells load files behind the one with number `after` (from 1); whether there are more than fit.
    fn load_files(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        search: &Search<'_>,
        after: Option<u8>,
        room: usize,
        with_modules: bool,
    ) -> Result<bool, Sw> {
        let behind = usize::from(after.unwrap_or(0));
        for (number, module) in (1_u8..).zip(self.modules).skip(behind) {
            let same = |other: &&ModuleEntry| other.load_file == module.load_file;
            let first = self.modules.iter().find(same);
            if first != Some(module) || !module.load_file.starts_with(search.prefix) {
                continue;
            }
            let domain = self.profile.issuer_aid;
            let told = tell(x, room, |w| {
                entry(w, search, module.load_file.as_bytes(), &[LOADED], |w| {
                    field(w, search, TAG_CE_VERSION, &LOAD_FILE_VERSION);
                    if with_modules {
                        for module in self.modules.iter().filter(same) {
                            field(w, search, TAG_84_MODULE, module.module.as_bytes());
                        }
                    }
                    field(w, search, TAG_CC_DOMAIN, domain.as_bytes());
                });
            })?;
            if !told {
                return Ok(true);
            }
            x.progress.listed = number;
        }
        Ok(false)
    }
}

/// Tells one more entry; `false` if it goes over the room of one answer and has to wait for the next.
fn tell(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    room: usize,
    write: impl FnOnce(&mut Writer<'_>),
) -> Result<bool, Sw> {
    let before = x.reply.len();
    if x.reply.tlv(write).is_ok() && x.reply.len() <= room {
        return Ok(true);
    }
    x.reply.truncate(before);
    if before == 0 { Err(Sw::NOT_ENOUGH_MEMORY) } else { Ok(false) }
}

fn application(w: &mut Writer<'_>, search: &Search<'_>, record: &Record, domain: &[u8]) {
    let state = [record.state.byte(), record.contactless.byte()];
    entry(w, search, record.aid.as_bytes(), &state, |w| {
        field(w, search, TAG_C5_PRIVILEGES, &record.privileges.bytes());
        field(w, search, TAG_C4_LOAD_FILE, record.load_file.as_bytes());
        field(w, search, TAG_CC_DOMAIN, domain);
    });
}

/// An entry: AID and life cycle, then the rest.
fn entry(
    w: &mut Writer<'_>,
    search: &Search<'_>,
    aid: &[u8],
    state: &[u8],
    rest: impl FnOnce(&mut Writer<'_>),
) {
    w.nested(TAG_E3_ENTRY, |w| {
        field(w, search, TAG_4F_AID, aid);
        field(w, search, TAG_9F70_LIFE_CYCLE, state);
        rest(w);
    });
}

fn field(w: &mut Writer<'_>, search: &Search<'_>, tag: Tag, value: &[u8]) {
    if search.wants(tag) {
        w.put(tag, value);
    }
}
