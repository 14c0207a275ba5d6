//! What the tests of this crate share: memory that can lose power at a commit, a toy application, a card and a host around them.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Command, Ne, Sw};
use huiwan_card::{
    ANSWER_LEN, Action, Batch, Context, Element, Environment, InstanceId, Interface, Memory, MemoryError,
    Module, ModuleId, ObjectId, ResponseWriter, Write,
};
use huiwan_gp::card::{
    CardManager, CardProfile, Crs, Factory, ModuleEntry, PublicKeys, Registry, RsaKeys, SLOT_LEN, format,
};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_gp::secure_channel::StaticKeysRef;
use huiwan_testkit::rng::Seeded;

/// Objects in a map; the commit number `cut` and all after it fail as at a loss of power, doing nothing or all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapMemory {
    pub objects: BTreeMap<(u8, u16), Vec<u8>>,
    pub commits: usize,
    pub cut: Option<usize>,
    pub done_before_cut: bool,
}

impl Memory for MapMemory {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        let value = self.objects.get(&(object.instance.0, object.id)).ok_or(MemoryError::NotFound)?;
        let rest = value.get(at..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(&out[..n])
    }

    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        Ok(self.objects.get(&(object.instance.0, object.id)).map(Vec::len))
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        if batch.overflowed() {
            return Err(MemoryError::TooLarge);
        }
        let cut = self.cut.is_some_and(|cut| self.commits >= cut);
        let first_cut = self.cut == Some(self.commits);
        self.commits += 1;
        if cut && !(first_cut && self.done_before_cut) {
            return Err(MemoryError::PowerLost);
        }
        for write in batch.iter() {
            match write {
                Write::Put(object, data) => {
                    self.objects.insert((object.instance.0, object.id), data.to_vec());
                }
                Write::Delete(object) => {
                    self.objects.remove(&(object.instance.0, object.id));
                }
                Write::DeleteInstance(instance) => self.objects.retain(|key, _| key.0 != instance.0),
            }
        }
        if cut { Err(MemoryError::PowerLost) } else { Ok(()) }
    }

    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        let next = match after {
            None => self.objects.keys().next(),
            Some(after) => self
                .objects
                .range((
                    core::ops::Bound::Excluded((after.instance.0, after.id)),
                    core::ops::Bound::Unbounded,
                ))
                .next()
                .map(|(key, _)| key),
        };
        Ok(next.map(|&(instance, id)| ObjectId::new(InstanceId(instance), id)))
    }
}

/// An application that keeps its installation parameters (object 1) and every data grouping (object = identifier).
///
/// INS 10 reads object P1P2; INS 12 tells what protected it and echoes its data; its domain serves its secure channel. Grouping DEAD is refused with 6A80; uninstallation is refused while object BEEF exists; parameters `FF`
/// refuse installation with 6985.
pub struct Toy;

impl Module for Toy {
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        let instance = cx.instance;
        let mut buffer = [0; 300];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(instance);
        cx.commit(&batch)?;
        cx.put(2, b"first")?;
        if parameters == [0xFF] {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        cx.put(1, parameters)
    }

    fn select(&self, _: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        reply.push(&[0x6F, 0x00]).err().unwrap_or(Sw::OK)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let protected = command.cla() & 0x04 != 0;
        if !cx.protection.authenticated
            && (protected || matches!(command.ins(), 0x2A | 0x50 | 0x82 | 0x88 | 0xE2))
        {
            return Action::ToSecurityDomain;
        }
        if command.ins() == 0x12 {
            let p = cx.protection;
            let told = [p.authenticated, p.c_mac, p.c_enc, p.r_mac, p.r_enc].map(u8::from);
            let written = reply.push(&told).and_then(|()| reply.push(command.data()));
            return Action::Reply(written.err().unwrap_or(Sw::OK));
        }
        if command.ins() != 0x10 {
            return Action::Reply(Sw::INS_NOT_SUPPORTED);
        }
        let mut buffer = [0; 256];
        let sw = match cx.read(command.p1p2(), &mut buffer) {
            Ok(value) => reply.push(value).err().unwrap_or(Sw::OK),
            Err(sw) => sw,
        };
        Action::Reply(sw)
    }

    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        if dgi == 0xDEAD {
            return Err(Sw::WRONG_DATA);
        }
        let mut buffer = [0; 600];
        let mut batch = Batch::new(&mut buffer);
        batch.put(cx.object(dgi), data);
        cx.commit(&batch)
    }

    fn uninstall(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        if cx.exists(0xBEEF)? { Err(Sw::COMMAND_NOT_ALLOWED) } else { Ok(()) }
    }
}

pub const TOY: ModuleEntry = ModuleEntry {
    load_file: Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04]),
    module: Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01]),
    id: ModuleId(1),
};
pub const TOY_AID: [u8; 7] = [0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x01];

pub type TestElement<'a, M, const ANSWER: usize = ANSWER_LEN> =
    Element<'a, M, Registry<'a>, 8, SLOT_LEN, 3072, ANSWER>;

/// A card and its random source.
pub struct Card<'a, M: Memory, const ANSWER: usize = ANSWER_LEN> {
    pub element: TestElement<'a, M, ANSWER>,
    pub random: Seeded,
}

impl<M: Memory, const ANSWER: usize> Card<'_, M, ANSWER> {
    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let mut env = Environment { random: &mut self.random, now: None };
        self.element.exchange(command, &mut env).to_vec()
    }

    pub fn sw(&mut self, command: &[u8]) -> u16 {
        let answer = self.send(command);
        let tail = answer.last_chunk::<2>().unwrap();
        u16::from_be_bytes(*tail)
    }

    pub fn power_on(&mut self) {
        self.power_on_at(Interface::Contact);
    }

    pub fn power_on_at(&mut self, interface: Interface) {
        let mut env = Environment { random: &mut self.random, now: None };
        self.element.power_on(interface, &mut env);
    }
}

pub fn new_memory(factory: &Factory<'_>) -> MapMemory {
    let mut memory = MapMemory::default();
    format(&mut memory, factory).unwrap();
    memory.commits = 0;
    memory
}

/// Runs `f` on a powered card over `memory` and returns the memory.
pub fn with_card<M: Memory, T>(
    profile: &CardProfile,
    memory: M,
    f: impl FnOnce(&mut Card<'_, M>) -> T,
) -> (M, T) {
    let entries = [TOY];
    let manager = CardManager::new(profile, &entries);
    let modules: [&dyn Module; 2] = [&manager, &Toy];
    let mut card =
        Card { element: Element::new(&modules, Registry::new(profile), memory), random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

/// The applet of the public CAP file, as native code: the toy.
pub const APPLET: ModuleEntry = ModuleEntry {
    load_file: Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x05]),
    module: Aid::from_array([0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01, 0x01]),
    id: ModuleId(1),
};

/// As [`with_card`], with security domains and content management.
pub fn with_domains<M: Memory, T>(memory: M, f: impl FnOnce(&mut Card<'_, M>) -> T) -> (M, T) {
    let profile = CardProfile::DEFAULT;
    let entries = [TOY, APPLET, ModuleEntry::security_domain(ModuleId(0))];
    let manager = CardManager::new(&profile, &entries).with_content_management(Some(&RsaKeys));
    let modules: [&dyn Module; 2] = [&manager, &Toy];
    let mut card =
        Card { element: Element::new(&modules, Registry::new(&profile), memory), random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

/// As [`with_domains`] with what else a test chooses: public keys, and modules behind the registry service (number 2), in their order.
pub fn with_modules<M: Memory, T>(
    profile: &CardProfile,
    public_keys: &dyn PublicKeys,
    extra: &[(&dyn Module, ModuleEntry)],
    memory: M,
    f: impl FnOnce(&mut Card<'_, M>) -> T,
) -> (M, T) {
    let mut entries =
        vec![TOY, APPLET, ModuleEntry::security_domain(ModuleId(0)), ModuleEntry::crs(ModuleId(2))];
    entries.extend(extra.iter().map(|(_, entry)| *entry));
    let manager = CardManager::new(profile, &entries).with_content_management(Some(public_keys));
    let service = Crs::new(profile);
    let mut modules: Vec<&dyn Module> = vec![&manager, &Toy, &service];
    modules.extend(extra.iter().map(|(module, _)| *module));
    let mut card =
        Card { element: Element::new(&modules, Registry::new(profile), memory), random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

pub const SSD_FILE: [u8; 7] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50];
pub const SSD_MODULE: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41];

/// INSTALL [for install and make selectable] of a security domain; `parameters` go into C9.
pub fn install_domain(aid: &[u8], privileges: [u8; 3], parameters: &[u8]) -> Vec<u8> {
    let parameters = [&[0xC9, parameters.len() as u8][..], parameters].concat();
    let fields = huiwan_gp::install::Fields {
        load_file: &SSD_FILE,
        module: &SSD_MODULE,
        instance: aid,
        privileges: &privileges,
        parameters: &parameters,
        token: &[],
    };
    install(0x0C, 0, &fields)
}

pub fn install(p1: u8, p2: u8, fields: &huiwan_gp::install::Fields<'_>) -> Vec<u8> {
    let mut out = [0; 256];
    apdu([0x80, 0xE6, p1, p2], fields.write(&mut out).unwrap())
}

pub fn select(aid: &[u8]) -> Vec<u8> {
    apdu([0x00, 0xA4, 0x04, 0x00], aid)
}

/// PUT KEY of AES keys with consecutive identifiers from `id` on.
pub fn put_keys(replaced: u8, version: u8, id: u8, keys: &[&[u8]], dek: &[u8]) -> Vec<u8> {
    use huiwan_crypto::{Aes, BlockKey};
    use huiwan_gp::put_key::{KeyType, put_field};
    let mut data = [0; 250];
    data[0] = version;
    let mut at = 1;
    for key in keys {
        let mut block = key.to_vec();
        block.resize(key.len().next_multiple_of(16), 0xA5);
        Aes::new(dek).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let kcv = KeyType::Aes.check_value(key).unwrap();
        at = put_field(&mut data, at, KeyType::Aes, key.len(), &block, &kcv).unwrap();
    }
    apdu([0x80, 0xD8, replaced, id | if keys.len() > 1 { 0x80 } else { 0 }], &data[..at])
}

pub fn test_keys() -> StaticKeys {
    let key = huiwan_gp::card::TEST_KEY;
    StaticKeys::new(&key, &key, &key).unwrap()
}

/// Opens a session on what is selected.
pub fn open<'k, M: Memory, const ANSWER: usize>(
    card: &mut Card<'_, M, ANSWER>,
    kvn: u8,
    keys: impl Into<StaticKeysRef<'k>>,
    level: Level,
) -> Open {
    try_open(card, kvn, keys, level).unwrap()
}

pub fn try_open<'k, M: Memory, const ANSWER: usize>(
    card: &mut Card<'_, M, ANSWER>,
    kvn: u8,
    keys: impl Into<StaticKeysRef<'k>>,
    level: Level,
) -> Result<Open, u16> {
    let mut buffer = [0; 32];
    let mut handshake = AwaitCard::new([1, 2, 3, 4, 5, 6, 7, 8]);
    let command = handshake.command(0x80, kvn).write(&mut buffer).unwrap().to_vec();
    let mut answer = card.send(&command);
    if answer == [0x67, 0x00] {
        handshake = AwaitCard::new([9; 16]);
        let command = handshake.command(0x80, kvn).write(&mut buffer).unwrap().to_vec();
        answer = card.send(&command);
    }
    let (data, sw) = answer.split_last_chunk::<2>().unwrap();
    if *sw != [0x90, 0x00] {
        return Err(u16::from_be_bytes(*sw));
    }
    let answer = Answer::parse(data).unwrap();
    let verified = handshake.verify_card(0x80, &answer, keys, level).map_err(|_| 0_u16)?;
    let sw = card.sw(verified.command());
    verified.accepted(Sw::new(sw)).map_err(|_| sw)
}

/// A command through the session: data and status word.
pub fn run<M: Memory, const ANSWER: usize>(
    card: &mut Card<'_, M, ANSWER>,
    session: &mut Open,
    command: &[u8],
) -> (Vec<u8>, u16) {
    let command = Command::parse(command).unwrap();
    let mut wire = [0; 300];
    let sent = session.wrap(&command, &mut wire).unwrap().to_vec();
    let answer = card.send(&sent);
    let mut out = [0; 300];
    let opened = session.unwrap(&answer, &mut out).unwrap();
    (opened.data().to_vec(), opened.sw().value())
}

/// A plain command as bytes, with Le.
pub fn apdu(header: [u8; 4], data: &[u8]) -> Vec<u8> {
    let [cla, ins, p1, p2] = header;
    let mut out = [0; 300];
    Command::new(cla, ins, p1, p2).with_data(data).with_ne(Ne::MAX_SHORT).write(&mut out).unwrap().to_vec()
}

/// INSTALL [for install and make selectable] of the toy.
pub fn install_toy(aid: &[u8], parameters: &[u8]) -> Vec<u8> {
    let fields = huiwan_gp::install::Fields {
        load_file: TOY.load_file.as_bytes(),
        module: TOY.module.as_bytes(),
        instance: aid,
        privileges: &[0],
        parameters,
        token: &[],
    };
    let mut out = [0; 256];
    apdu([0x80, 0xE6, 0x0C, 0x00], fields.write(&mut out).unwrap())
}
