//! LOAD, and the INSTALL [for load] before it. [GPC 11.5.2.3.1, 11.6, 9.3]
//!
//! Blocks are kept as they come, as objects of the number the file will have. With the last one everything is checked: what the file
//! consists of ([`stream`]), its hash and signatures ([`check`]), what it names ([`cap`]); then its registry entry is the commit. Until
//! then it is a leftover: any error, any other command and any cut discards all of it.
//!
//! The object with what INSTALL said:
//! ```text
//! domain that loads ‖ domain of the file ‖ LV AID ‖ hash
//! ```

mod cap;
mod check;
mod stream;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{Batch, InstanceId, Memory, ObjectId};

use super::content::Signed;
use super::extradite::is_at_or_below;
use super::install::{check_room, pending_object};
use super::load_file::{self, ENTRY_MAX, LoadFile};
use super::manager::{CardManager, Done, Exchange};
use super::progress::Progress;
use super::{objects, registry};
use crate::install::{COMBINED, LoadFields, before_token};
use crate::load::{
    LAST, TAG_C4_DATA_BLOCK, TAG_D3_INITIAL_VALUE, TAG_D4_CIPHERED_DATA_BLOCK, TAG_E2_DAP_BLOCK,
};

/// A combined sequence: the file is being loaded.
const FIRST: u8 = 1;
/// A combined sequence: the file is loaded and checked.
pub(super) const CHECKED: u8 = 2;
/// Blocks of a load file at most: their numbers do not wrap.
const BLOCKS_MAX: u16 = 256;
const REQUEST_MAX: usize = 2 + 17 + 64;

/// What INSTALL [for load] said.
struct Request {
    loader: InstanceId,
    domain: InstanceId,
    aid: Aid,
    hash: heapless::Vec<u8, 64>,
}

impl Request {
    fn object(file: InstanceId) -> ObjectId {
        ObjectId::new(file, objects::LOAD_REQUEST)
    }

    fn read(memory: &mut dyn Memory, file: InstanceId) -> Result<Self, Sw> {
        let mut raw = [0; REQUEST_MAX];
        let raw = memory.read(Self::object(file), 0, &mut raw)?;
        Self::decode(raw).ok_or(Sw::MEMORY_FAILURE)
    }

    fn decode(raw: &[u8]) -> Option<Self> {
        let (&[loader, domain, len], rest) = raw.split_first_chunk()?;
        let (aid, hash) = rest.split_at_checked(usize::from(len))?;
        Some(Self {
            loader: InstanceId(loader),
            domain: InstanceId(domain),
            aid: Aid::new(aid).ok()?,
            hash: heapless::Vec::from_slice(hash).ok()?,
        })
    }

    fn put(&self, file: InstanceId, batch: &mut Batch<'_>) {
        let aid = self.aid.as_bytes();
        let head = [self.loader.0, self.domain.0, u8::try_from(aid.len()).unwrap_or_default()];
        batch.put_parts(Self::object(file), &[&head, aid, &self.hash]);
    }
}

impl CardManager<'_> {
    pub(super) fn for_load(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let (p1, p2) = (command.p1(), command.p2());
        let fields = LoadFields::parse(command.data()).map_err(|_| Sw::WRONG_DATA)?;
        let data = before_token(p1, p2, command.data()).map_err(|_| Sw::WRONG_DATA)?;
        self.authorise(x, command, Signed { data, token: fields.token })?;
        let aid = Aid::new(fields.load_file).map_err(|_| Sw::WRONG_DATA)?;
        if !matches!(fields.hash.len(), 0 | 20 | 32 | 48 | 64) {
            return Err(Sw::WRONG_DATA);
        }
        check_room(x.cx.memory, fields.parameters)?;
        let domain = match fields.domain {
            [] => x.domain.instance,
            named if named == registry::issuer_aid(x.cx.memory, self.profile)?.as_bytes() => {
                InstanceId::ISSUER
            }
            named => {
                let record = registry::by_aid(x.cx.memory, named)?;
                record.filter(registry::Record::is_domain).ok_or(Sw::REFERENCED_DATA_NOT_FOUND)?.instance
            }
        };
        if !is_at_or_below(x.cx.memory, domain, x.domain.instance)? || self.is_taken(x.cx.memory, &aid)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let file = self.free_number(x)?;
        registry::forget(x.cx.memory, file)?;
        let hash = heapless::Vec::from_slice(fields.hash).map_err(|_| Sw::WRONG_DATA)?;
        let mut buffer = [0; REQUEST_MAX + 8];
        let mut batch = Batch::new(&mut buffer);
        Request { loader: x.domain.instance, domain, aid, hash }.put(file, &mut batch);
        x.cx.commit(&batch)?;
        x.progress.loading = file.0;
        x.progress.load_block = 0;
        x.progress.combined = if p1 == COMBINED { FIRST } else { 0 };
        x.reply.push(&[0x00])?;
        Ok(Done::OK)
    }

    /// A number no load file has, and none that another domain is loading. They count down from the last.
    fn free_number(&self, x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<InstanceId, Sw> {
        for n in 0..self.profile.load_files {
            let file = InstanceId(u8::MAX.saturating_sub(n));
            if file.0 <= self.profile.instances {
                break;
            }
            if x.cx.memory.len(objects::load_file(file))?.is_some() {
                continue;
            }
            let busy = x.cx.memory.len(Request::object(file))?.is_some()
                && Request::read(x.cx.memory, file)?.loader != x.domain.instance;
            if !busy {
                return Ok(file);
            }
        }
        Err(Sw::NOT_ENOUGH_MEMORY)
    }

    pub(super) fn load(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        if x.progress.loading == 0 || x.progress.combined == CHECKED {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let file = InstanceId(x.progress.loading);
        let block = x.progress.load_block;
        let last = command.p1() == LAST;
        if (command.p1() != 0 && !last) || block >= BLOCKS_MAX || u16::from(command.p2()) != block {
            return Err(Sw::WRONG_P1P2);
        }
        if !begins_well(block, command.data()) {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 255 + 16];
        let mut batch = Batch::new(&mut buffer);
        batch.put(objects::load_piece(file, objects::LOADED, command.p2()), command.data());
        x.cx.commit(&batch)?;
        x.progress.load_block = block.saturating_add(1);
        if !last {
            x.reply.push(&[0x00])?;
            return Ok(Done::OK);
        }
        let request = Request::read(x.cx.memory, file)?;
        let checked = self.check_load_file(x, file, &request)?;
        self.finish(x, file, &checked)
    }

    /// The entry: the file is there, unless a combined sequence goes on.
    fn finish(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        file: InstanceId,
        checked: &LoadFile,
    ) -> Result<Done, Sw> {
        let mut buffer = [0; ENTRY_MAX + 48];
        let mut batch = Batch::new(&mut buffer);
        if x.progress.combined == FIRST {
            checked.put(pending_object(file), &mut batch);
            x.cx.commit(&batch)?;
            x.progress.combined = CHECKED;
            x.reply.push(&[0x00])?;
            return Ok(Done::OK);
        }
        let domain = x.cx.directory.entry(x.cx.memory, checked.domain)?.aid;
        self.put_pending(x, checked, &mut batch)?;
        let counter = self.confirm(x, &mut batch)?;
        x.cx.commit(&batch)?;
        end(x.progress);
        self.receipt(x, counter, &[checked.aid.as_bytes(), domain.as_bytes()])
    }

    /// Adds the entry of the file to the batch that makes it count. Its name and its domain may have changed hands on another channel.
    pub(super) fn put_pending(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        checked: &LoadFile,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        x.cx.directory.entry(x.cx.memory, checked.domain)?;
        if self.is_taken(x.cx.memory, &checked.aid)? {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let file = InstanceId(x.progress.loading);
        checked.put(objects::load_file(file), batch);
        batch.delete(Request::object(file));
        batch.delete(pending_object(file));
        Ok(())
    }
}

/// The first byte says what a load file begins with; a mistake shows before the file has come.
fn begins_well(block: u16, data: &[u8]) -> bool {
    let tags = [TAG_E2_DAP_BLOCK, TAG_C4_DATA_BLOCK, TAG_D3_INITIAL_VALUE, TAG_D4_CIPHERED_DATA_BLOCK];
    match data.first() {
        Some(&first) => block > 0 || tags.iter().any(|tag| tag.get() == u32::from(first)),
        None => false,
    }
}

/// The load is over, for better or worse.
pub(super) fn end(progress: &mut Progress) {
    (progress.loading, progress.load_block, progress.combined) = (0, 0, 0);
}

/// What came is discarded.
pub(super) fn abort(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw> {
    let file = InstanceId(x.progress.loading);
    end(x.progress);
    registry::forget(x.cx.memory, file)
}

/// The file of a combined sequence that waits for its last INSTALL.
pub(super) fn pending(x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<Option<LoadFile>, Sw> {
    if x.progress.combined != CHECKED {
        return Ok(None);
    }
    load_file::LoadFile::read(x.cx.memory, pending_object(InstanceId(x.progress.loading)))
}
