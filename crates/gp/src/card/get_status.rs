//! GET STATUS in both forms of the answer, in pages. [GPC 11.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::InstanceId;
use huiwan_tlv::{Tag, Writer};

use super::ModuleEntry;
use super::domain::Domain;
use super::extradite::is_at_or_below;
use super::load_file;
use super::manager::{CardManager, Done, Exchange};
use super::registry;
use crate::get_status::{
    NEXT_BIT, Scope, Search, TAG_4F_AID, TAG_9F70_LIFE_CYCLE, TAG_84_MODULE, TAG_C4_LOAD_FILE,
    TAG_C5_PRIVILEGES, TAG_CC_DOMAIN, TAG_CE_VERSION, TAG_E3_ENTRY, TLV_BIT,
};
use crate::install::TAG_CF_IMPLICIT_SELECTION;
use crate::privileges::Privileges;

/// A load file is LOADED as long as it is there. [GPC 5.2]
const LOADED: u8 = 0x01;
/// Version told for native load files.
const LOAD_FILE_VERSION: [u8; 2] = [0x01, 0x00];

/// What is asked for, in which form.
struct Question<'s> {
    search: Search<'s>,
    tlv: bool,
    with_modules: bool,
    room: usize,
}

/// One entry to tell.
struct Told<'t> {
    aid: &'t [u8],
    state: &'t [u8],
    privileges: Option<Privileges>,
    implicit: &'t [u8],
    load_file: Option<&'t [u8]>,
    version: Option<[u8; 2]>,
    modules: &'t [huiwan_apdu::Aid],
    domain: &'t [u8],
}

impl CardManager<'_> {
    pub(super) fn get_status(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let listing = core::mem::take(&mut x.progress.listing);
        let scope = Scope::from_byte(command.p1()).ok_or(Sw::WRONG_P1P2)?;
        let search = Search::parse(command.data()).ok().flatten().ok_or(Sw::WRONG_DATA)?;
        if command.p2() & !(NEXT_BIT | TLV_BIT) != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let tlv = command.p2() & TLV_BIT != 0;
        // The scopes leave the low bits free.
        let this = scope.byte() | (command.p2() & TLV_BIT);
        let after = match command.p2() & NEXT_BIT {
            0 => None,
            // Only what was begun can go on; the issuer domain is one entry. [GPC 11.4.2.2]
            _ if listing == this => Some(x.progress.listed),
            _ => return Err(Sw::CONDITIONS_NOT_SATISFIED),
        };
        let room = x.session.max_response_data();
        let with_modules = scope == Scope::LoadFilesAndModules;
        let question = Question { search, tlv, with_modules, room };
        let more = match scope {
            Scope::Issuer => {
                self.issuer(x, &question)?;
                false
            }
            Scope::Applications => self.applications(x, &question, after)?,
            Scope::LoadFiles | Scope::LoadFilesAndModules => {
                let native = self.modules.len();
                // Native files count from 1, loaded ones have instance numbers above.
                match after.filter(|&after| usize::from(after) > native) {
                    None => {
                        self.native_files(x, &question, after)? || self.loaded_files(x, &question, None)?
                    }
                    after => self.loaded_files(x, &question, after)?,
                }
            }
        };
        if x.reply.is_empty() {
            return Err(Sw::REFERENCED_DATA_NOT_FOUND);
        }
        if more {
            x.progress.listing = this;
        }
        Ok(Done::Reply(if more { Sw::MORE_ENTRIES } else { Sw::OK }))
    }

    fn issuer(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, question: &Question<'_>) -> Result<(), Sw> {
        let aid = registry::issuer_aid(x.cx.memory, self.profile)?;
        if !sees_all(&x.domain) || !aid.starts_with(question.search.prefix) {
            return Ok(());
        }
        let told = Told {
            aid: aid.as_bytes(),
            state: &[x.card.state.byte()],
            privileges: Some(self.issuer_privileges()),
            implicit: &[],
            load_file: None,
            version: None,
            modules: &[],
            domain: aid.as_bytes(),
        };
        tell(x, question, &told).map(|_| ())
    }

    /// Tells applications behind `after`; whether there are more than fit.
    fn applications(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        question: &Question<'_>,
        after: Option<u8>,
    ) -> Result<bool, Sw> {
        let mut at = after.map(InstanceId);
        while let Some(record) = registry::next(x.cx.memory, at)? {
            at = Some(record.instance);
            let visible = sees_all(&x.domain)
                || record.instance == x.domain.instance
                || registry::is_below(x.cx.memory, &record, x.domain.instance)?;
            if !visible || !record.aid.starts_with(question.search.prefix) {
                continue;
            }
            let domain = x.cx.directory.entry(x.cx.memory, record.domain)?.aid;
            let told = Told {
                aid: record.aid.as_bytes(),
                state: &registry::told_state(x.cx.memory, &record)?,
                privileges: Some(record.privileges),
                implicit: record.implicit.bytes(),
                load_file: Some(record.load_file.as_bytes()),
                version: None,
                modules: &[],
                domain: domain.as_bytes(),
            };
            if !tell(x, question, &told)? {
                return Ok(true);
            }
            x.progress.listed = record.instance.0;
        }
        Ok(false)
    }

    /// Tells native load files behind the one with number `after` (from 1); whether there are more than fit.
    fn native_files(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        question: &Question<'_>,
        after: Option<u8>,
    ) -> Result<bool, Sw> {
        if !sees_all(&x.domain) {
            return Ok(false);
        }
        let domain = registry::issuer_aid(x.cx.memory, self.profile)?;
        for (number, module) in (1_u8..).zip(self.modules).skip(usize::from(after.unwrap_or(0))) {
            let same = |other: &&ModuleEntry| other.load_file == module.load_file;
            let first = self.modules.iter().find(same);
            if first != Some(module) || !module.load_file.starts_with(question.search.prefix) {
                continue;
            }
            let modules: heapless::Vec<huiwan_apdu::Aid, { load_file::MODULES_MAX }> = self
                .modules
                .iter()
                .filter(same)
                .map(|module| module.module)
                .take(load_file::MODULES_MAX)
                .collect();
            let told = Told {
                aid: module.load_file.as_bytes(),
                state: &[LOADED],
                privileges: None,
                implicit: &[],
                load_file: None,
                version: Some(LOAD_FILE_VERSION),
                modules: &modules,
                domain: domain.as_bytes(),
            };
            if !tell(x, question, &told)? {
                return Ok(true);
            }
            x.progress.listed = number;
        }
        Ok(false)
    }

    /// Tells loaded files behind `after`; whether there are more than fit.
    fn loaded_files(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        question: &Question<'_>,
        after: Option<u8>,
    ) -> Result<bool, Sw> {
        let mut at = after.map(InstanceId);
        while let Some((number, file)) = load_file::next(x.cx.memory, at)? {
            at = Some(number);
            let visible = sees_all(&x.domain) || is_at_or_below(x.cx.memory, file.domain, x.domain.instance)?;
            if !visible || !file.aid.starts_with(question.search.prefix) {
                continue;
            }
            let domain = x.cx.directory.entry(x.cx.memory, file.domain)?.aid;
            let told = Told {
                aid: file.aid.as_bytes(),
                state: &[LOADED],
                privileges: None,
                implicit: &[],
                load_file: None,
                version: Some(file.version),
                modules: &file.modules,
                domain: domain.as_bytes(),
            };
            if !tell(x, question, &told)? {
                return Ok(true);
            }
            x.progress.listed = number.0;
        }
        Ok(false)
    }
}

/// The issuer domain and those with Global Registry see everything; others themselves and what is associated with them.
fn sees_all(domain: &Domain) -> bool {
    domain.has(Privileges::GLOBAL_REGISTRY)
}

/// Tells one more entry; `false` if it goes over the room of one answer and has to wait for the next.
fn tell(x: &mut Exchange<'_, '_, '_, '_, '_>, question: &Question<'_>, told: &Told<'_>) -> Result<bool, Sw> {
    let before = x.reply.len();
    let written =
        if question.tlv { x.reply.tlv(|w| entry(w, question, told)) } else { old_entry(x, question, told) };
    if written.is_ok() && x.reply.len() <= question.room {
        return Ok(true);
    }
    x.reply.truncate(before);
    if before == 0 { Err(Sw::NOT_ENOUGH_MEMORY) } else { Ok(false) }
}

fn entry(w: &mut Writer<'_>, question: &Question<'_>, told: &Told<'_>) {
    let field = |w: &mut Writer<'_>, tag: Tag, value: &[u8]| {
        if question.search.wants(tag) {
            w.put(tag, value);
        }
    };
    w.nested(TAG_E3_ENTRY, |w| {
        field(w, TAG_4F_AID, told.aid);
        field(w, TAG_9F70_LIFE_CYCLE, told.state);
        if let Some(privileges) = told.privileges {
            field(w, TAG_C5_PRIVILEGES, &privileges.bytes());
        }
        told.implicit.iter().for_each(|&one| field(w, TAG_CF_IMPLICIT_SELECTION, &[one]));
        if let Some(load_file) = told.load_file {
            field(w, TAG_C4_LOAD_FILE, load_file);
        }
        if let Some(version) = told.version {
            field(w, TAG_CE_VERSION, &version);
        }
        if question.with_modules {
            told.modules.iter().for_each(|module| field(w, TAG_84_MODULE, module.as_bytes()));
        }
        field(w, TAG_CC_DOMAIN, told.domain);
    });
}

/// The old form: LV AID ‖ life cycle ‖ first byte of the privileges [‖ number of modules ‖ { LV module }*]. [GPC 11.4.3.1]
fn old_entry(
    x: &mut Exchange<'_, '_, '_, '_, '_>,
    question: &Question<'_>,
    told: &Told<'_>,
) -> Result<(), Sw> {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).map_err(|_| Sw::UNKNOWN);
    x.reply.push(&[len(told.aid)?])?;
    x.reply.push(told.aid)?;
    let [privileges, ..] = told.privileges.unwrap_or_default().bytes();
    x.reply.push(&[told.state.first().copied().unwrap_or_default(), privileges])?;
    if question.with_modules {
        x.reply.push(&[u8::try_from(told.modules.len()).map_err(|_| Sw::UNKNOWN)?])?;
        for module in told.modules {
            x.reply.push(&[len(module.as_bytes())?])?;
            x.reply.push(module.as_bytes())?;
        }
    }
    Ok(())
}
