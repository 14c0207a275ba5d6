//! The PSAM as a card application: a [`Module`] that a terminal talks APDUs to. [sheet 4]
//!
//! On an element of its own it is the default application, so that 00 B0 96 00 06 answers right after the reset, where
//! other PSAMs have their MF; SELECT 3F00, DF01 and 8011 stay in it.
//!
//! Objects: `0002` number 4 ‖ wrong MAC2 1, committed alone and before the number is seen; `1500` `1600` `1700` the files;
//! `8000`… the keys: usage 1 ‖ version 1 ‖ algorithm 1 ‖ flags 1 ‖ key 16.

use core::marker::PhantomData;

use huiwan_apdu::{Command, Sw};
use huiwan_card::files::{Access, Current, File, Files, Structure};
use huiwan_card::{Action, Batch, Context, Module, ResponseWriter};
use huiwan_crypto::{BlockKey, Secret, Suite};
use huiwan_tlv::Tag;
use zeroize::Zeroize;

use super::engine::{self, Counters, Store};
use super::personalisation::{self as dgi, ENCRYPTS, MAX_KEYS};
use super::wire::{Gmac, Holder, KeyFile, SamInfo, TERMINAL_LEN, Terms};
use crate::keys::{self, KeyValue, Path};
use crate::mac::{self, Mac, TerminalNo};
use crate::pack::{Pack, Unpack};
use crate::profile::Profile;
use crate::status;

mod slot;

pub use slot::VOLATILE_LEN;

use slot::DesKey;

const COUNTERS: u16 = 0x0002;
const INFO: u16 = 0x1500;
const TERMINAL: u16 = 0x1600;
const KEY_FILE: u16 = 0x1700;
const KEYS: u16 = 0x8000;
const KEY_LEN: usize = 20;

/// What terminals select inside a PSAM. [sheet 4]
const DFS: [[u8; 2]; 3] = [[0x3F, 0x00], [0xDF, 0x01], [0x80, 0x11]];

/// P1 of DES CALCULATION.
const ENCRYPT: u8 = 0x00;
const MAC: u8 = 0x05;

/// The PSAM application. It wants a volatile slot of [`VOLATILE_LEN`] bytes.
#[derive(Debug)]
pub struct Psam<S> {
    profile: Profile,
    path: Path,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite> Psam<S> {
    /// The PSAM of a scheme.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self { profile, path: profile.path, suite: PhantomData }
    }

    /// The same with keys at another level: `path` leads from them to a card's keys. [correction 5]
    #[must_use]
    pub const fn with_path(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    fn holder(&self, factors: &[u8]) -> Result<Holder, Sw> {
        Holder::parse(&self.profile, self.path, factors).ok_or(Sw::WRONG_LENGTH)
    }

    fn init(&self, command: &Command<'_>) -> Result<(Terms, Holder), Sw> {
        let (terms, factors) = command.data().split_first_chunk().ok_or(Sw::WRONG_LENGTH)?;
        Ok((Terms::parse(terms), self.holder(factors)?))
    }

    fn dispatch(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        // Bits 1 and 2 of CLA are the logical channel.
        let header = (command.cla() & 0xFC, command.ins());
        match header {
            (0x00, 0xA4) => return select_file(command),
            (0x00, 0xB0) => return read(cx, command, reply),
            (0x80, 0x1A | 0xFA | 0x70 | 0x72 | 0xCA) | (0xE0, 0x40 | 0x42 | 0x44) => {}
            (0x00 | 0x80 | 0xE0, _) => return Err(Sw::INS_NOT_SUPPORTED),
            _ => return Err(Sw::CLA_NOT_SUPPORTED),
        }
        if header != (0x80, 0xFA) && header != (0x80, 0x1A) && command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        match header {
            (0x80, 0x70) => self.init_for_purchase(cx, command, reply),
            (0x80, 0x72) => {
                let session = slot::session(cx).ok_or(Sw::COMMAND_STATE)?;
                let mac2 = fixed(command)?;
                engine::credit_for_purchase(&self.profile, &mut Durable::<S>::new(cx), &session, mac2)?;
                slot::set_session(cx, None)
            }
            (0xE0, 0x40) => self.init_for_grey_lock(cx, command, reply),
            (0xE0, 0x42) => {
                let session = slot::session(cx).ok_or(Sw::COMMAND_STATE)?;
                let mac2 = fixed(command)?;
                let certified =
                    engine::certify_grey_lock(&self.profile, &mut Durable::<S>::new(cx), &session, mac2)?;
                slot::set_session(cx, Some(&certified))
            }
            (0xE0, 0x44) => self.calculate_gmac(cx, command, reply),
            (0x80, 0xCA) => self.check_auth_code(cx, command),
            (0x80, 0x1A) => self.init_des(cx, command),
            _ => self.des_calculation(cx, command, reply),
        }
    }

    fn init_for_purchase(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        slot::set_session(cx, None)?;
        let checked = slot::take_auth_code(cx);
        let (terms, holder) = self.init(command)?;
        let code = checked.filter(|(of, _)| *of == holder).map(|(_, code)| code);
        let mut store = Durable::<S>::new(cx);
        let (answer, session) =
            engine::init_for_purchase::<S::Key>(&self.profile, &mut store, terms, holder, code)?;
        slot::set_session(cx, Some(&session))?;
        reply.push(&answer.terminal_seq.to_be_bytes())?;
        reply.push(&answer.mac1)
    }

    fn init_for_grey_lock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        slot::set_session(cx, None)?;
        let _ = slot::take_auth_code(cx);
        let (terms, holder) = self.init(command)?;
        let mut store = Durable::<S>::new(cx);
        let (answer, session) =
            engine::init_for_grey_lock::<S::Key>(&self.profile, &mut store, terms, holder)?;
        slot::set_session(cx, Some(&session))?;
        reply.push(&answer.terminal_seq.to_be_bytes())?;
        reply.push(&answer.terminal_random)?;
        reply.push(&answer.mac1)
    }

    /// GMAC 4 ‖ 4 bytes whose meaning is not known. \[S:LOH\]
    fn calculate_gmac(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let session = slot::session(cx).ok_or(Sw::COMMAND_STATE)?;
        let request = Gmac::parse(&fixed(command)?).ok_or(Sw::WRONG_DATA)?;
        let mut store = Durable::<S>::new(cx);
        let gmac = engine::calculate_gmac::<S::Key>(&self.profile, &mut store, &session, request)?;
        slot::set_session(cx, None)?;
        reply.push(&gmac)?;
        reply.push(&[0; 4])
    }

    /// Code 9 ‖ factors: what the card says, and which card says it. The layout is ours. [S:XA names the command alone]
    fn check_auth_code(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        let _ = slot::take_auth_code(cx);
        let (code, factors) = command.data().split_first_chunk::<9>().ok_or(Sw::WRONG_LENGTH)?;
        let holder = self.holder(factors)?;
        engine::check_auth_code::<S::Key>(&self.profile, &mut Durable::<S>::new(cx), &holder, code)?;
        slot::set_auth_code(cx, &holder, code)
    }

    /// P1 usage, P2 version. The key is looked for now, so that a terminal hears at once that there is none.
    fn init_des(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        slot::set_des_key(cx, None)?;
        let holder = self.holder(command.data())?;
        let key = DesKey { usage: command.p1(), version: command.p2(), holder };
        let _: S::Key = self.des_key(cx, &key)?;
        slot::set_des_key(cx, Some(&key))
    }

    fn des_key(&self, cx: &mut Context<'_>, key: &DesKey) -> Result<S::Key, Sw> {
        let DesKey { usage, version, holder } = key;
        engine::des_key(&self.profile, &mut Durable::<S>::new(cx), *usage, *version, None, holder)
    }

    /// 05: IV 8 ‖ padded data gives a MAC of four bytes; 00: whole blocks, encrypted each for itself. One calculation for
    /// each INIT DES.
    fn des_calculation(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let named = slot::des_key(cx).ok_or(Sw::COMMAND_STATE)?;
        slot::set_des_key(cx, None)?;
        let key = self.des_key(cx, &named)?;
        let block = key.block_len();
        if command.p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        match command.p1() {
            MAC => {
                let (iv, padded) = command.data().split_first_chunk::<8>().ok_or(Sw::WRONG_LENGTH)?;
                if padded.is_empty() || !padded.len().is_multiple_of(block) {
                    return Err(Sw::WRONG_LENGTH);
                }
                let message = without_padding(padded, block).ok_or(Sw::WRONG_DATA)?;
                reply.push(&mac::secure(&key, iv, &[message]).map_err(|_| Sw::UNKNOWN)?)
            }
            ENCRYPT => {
                let flags = Durable::<S>::new(cx).find(named.usage, named.version, None)?.flags;
                if flags & ENCRYPTS == 0 {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let data = command.data();
                if data.is_empty() || !data.len().is_multiple_of(block) {
                    return Err(Sw::WRONG_LENGTH);
                }
                reply.push(data)?;
                key.encrypt_ecb(reply.as_mut_slice()).map_err(|_| Sw::UNKNOWN)
            }
            _ => Err(Sw::WRONG_P1P2),
        }
    }

    fn take_grouping(&self, cx: &mut Context<'_>, id: u16, data: &[u8]) -> Result<(), Sw> {
        match (id, id.to_be_bytes()) {
            (dgi::DGI_NEXT_SEQ, _) => {
                // Set once: from then on the number only goes up.
                if cx.exists(COUNTERS)? {
                    return Err(Sw::CONDITIONS_NOT_SATISFIED);
                }
                let next_seq = u32::from_be_bytes(data.try_into().map_err(|_| Sw::WRONG_DATA)?);
                Durable::<S>::new(cx).keep(Counters { next_seq, errors: 0 })
            }
            (dgi::DGI_INFO, _) if data.len() == SamInfo::LEN => cx.put(INFO, data),
            (dgi::DGI_TERMINAL, _) if data.len() == TERMINAL_LEN => cx.put(TERMINAL, data),
            (dgi::DGI_KEY_FILE, _) if data.len() == KeyFile::LEN => cx.put(KEY_FILE, data),
            (dgi::DGI_INFO | dgi::DGI_TERMINAL | dgi::DGI_KEY_FILE, _) => Err(Sw::WRONG_DATA),
            (_, [0x90, usage]) => {
                let data: &[u8; dgi::KEY_LEN] = data.try_into().map_err(|_| Sw::WRONG_DATA)?;
                let mut fields = Unpack::new(data);
                let (version, algorithm, flags) = (fields.byte(), fields.byte(), fields.byte());
                let value: KeyValue = Secret::new(fields.take());
                let is_secret_of_macs = [
                    engine::PURCHASE,
                    engine::AUTH_CODE,
                    self.profile.sam.tac_usage,
                    self.profile.sam.maintenance_usage,
                ]
                .contains(&usage);
                if flags & !ENCRYPTS != 0 || (flags & ENCRYPTS != 0 && is_secret_of_macs) {
                    return Err(Sw::WRONG_DATA);
                }
                // A key this PSAM cannot use is refused now, not at the first tap.
                keys::open::<S::Key>(algorithm, &value).map_err(|_| Sw::WRONG_DATA)?;
                StoredKey { usage, version, algorithm, flags, value }.store(cx)
            }
            _ => Err(Sw::REFERENCED_DATA_NOT_FOUND),
        }
    }
}

/// Command data of exactly `N` bytes.
fn fixed<const N: usize>(command: &Command<'_>) -> Result<[u8; N], Sw> {
    command.data().try_into().map_err(|_| Sw::WRONG_LENGTH)
}

/// The message before `80 00…`, which the MAC appends again; `None` if the padding is no such one.
fn without_padding(padded: &[u8], block: usize) -> Option<&[u8]> {
    let end = padded.iter().rposition(|byte| *byte != 0x00)?;
    let message = padded.get(..end).filter(|_| padded.get(end) == Some(&0x80))?;
    (padded.len().saturating_sub(end) <= block).then_some(message)
}

fn select_file(command: &Command<'_>) -> Result<(), Sw> {
    if command.p1p2() != 0 {
        return Err(Sw::WRONG_P1P2);
    }
    let fid: [u8; 2] = fixed(command)?;
    if DFS.contains(&fid) { Ok(()) } else { Err(Sw::FILE_NOT_FOUND) }
}

fn read(cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Result<(), Sw> {
    if !command.data().is_empty() {
        return Err(Sw::WRONG_LENGTH);
    }
    let file = |sfi: u8, base: u16, len: usize| File {
        fid: u16::from(sfi),
        sfi,
        structure: Structure::Transparent { size: u16::try_from(len).unwrap_or(u16::MAX) },
        base,
        read: Access::FREE,
        update: Access::NEVER,
        grants: &[],
    };
    let files = [
        file(0x15, INFO, SamInfo::LEN),
        file(0x16, TERMINAL, TERMINAL_LEN),
        file(0x17, KEY_FILE, KeyFile::LEN),
    ];
    Files(&files).read(cx, command, &mut Current::default(), 0, reply)
}

struct StoredKey {
    usage: u8,
    version: u8,
    algorithm: u8,
    flags: u8,
    value: KeyValue,
}

impl StoredKey {
    fn read(cx: &mut Context<'_>, slot: u8) -> Result<Option<Self>, Sw> {
        let id = KEYS | u16::from(slot);
        if !cx.exists(id)? {
            return Ok(None);
        }
        let mut raw: [u8; KEY_LEN] = cx.read_array(id)?;
        let mut fields = Unpack::new(&raw);
        let key = Self {
            usage: fields.byte(),
            version: fields.byte(),
            algorithm: fields.byte(),
            flags: fields.byte(),
            value: Secret::new(fields.take()),
        };
        raw.zeroize();
        Ok(Some(key))
    }

    /// Over the key of the same name, or in the first free place.
    fn store(&self, cx: &mut Context<'_>) -> Result<(), Sw> {
        let mut place = None;
        for slot in 0..MAX_KEYS {
            match Self::read(cx, slot)? {
                Some(key) if key.name() == self.name() => {
                    place = Some(slot);
                    break;
                }
                Some(_) => {}
                None => place = place.or(Some(slot)),
            }
        }
        let slot = place.ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        let mut raw: [u8; KEY_LEN] = Pack::new()
            .put([self.usage, self.version, self.algorithm, self.flags])
            .put(*self.value.expose())
            .finish();
        let stored = cx.put(KEYS | u16::from(slot), &raw);
        raw.zeroize();
        stored
    }

    const fn name(&self) -> (u8, u8, u8) {
        (self.usage, self.version, self.algorithm)
    }
}

/// Keys and counters in the card's memory.
struct Durable<'c, 'x, S> {
    cx: &'c mut Context<'x>,
    suite: PhantomData<fn() -> S>,
}

impl<'c, 'x, S> Durable<'c, 'x, S> {
    fn new(cx: &'c mut Context<'x>) -> Self {
        Self { cx, suite: PhantomData }
    }

    fn find(&mut self, usage: u8, version: u8, algorithm: Option<u8>) -> Result<StoredKey, Sw> {
        for slot in 0..MAX_KEYS {
            if let Some(key) = StoredKey::read(self.cx, slot)?
                && (key.usage, key.version) == (usage, version)
                && algorithm.is_none_or(|wanted| wanted == key.algorithm)
            {
                return Ok(key);
            }
        }
        Err(status::KEY_INDEX)
    }
}

impl<S: Suite> Store for Durable<'_, '_, S> {
    fn terminal(&mut self) -> Result<TerminalNo, Sw> {
        self.cx.read_array(TERMINAL)
    }

    fn counters(&mut self) -> Result<Counters, Sw> {
        let raw: [u8; 5] = self.cx.read_array(COUNTERS)?;
        let mut fields = Unpack::new(&raw);
        Ok(Counters { next_seq: fields.u32(), errors: fields.byte() })
    }

    fn keep(&mut self, Counters { next_seq, errors }: Counters) -> Result<(), Sw> {
        let raw: [u8; 5] = Pack::new().put(next_seq.to_be_bytes()).put([errors]).finish();
        self.cx.put(COUNTERS, &raw)
    }

    fn card_key(
        &mut self,
        usage: u8,
        version: u8,
        algorithm: Option<u8>,
        holder: &Holder,
    ) -> Result<(u8, KeyValue), Sw> {
        let StoredKey { algorithm, value, .. } = self.find(usage, version, algorithm)?;
        let levels = holder.levels.iter().copied();
        let value = keys::derive_levels::<S::Key>(algorithm, &value, levels);
        Ok((algorithm, value.map_err(|_| status::KEY_INDEX)?))
    }

    fn random(&mut self) -> Result<Mac, Sw> {
        self.cx.random_bytes()
    }
}

impl<S: Suite> Module for Psam<S> {
    fn install(&self, cx: &mut Context<'_>, _parameters: &[u8]) -> Result<(), Sw> {
        // An installation that was cut may have left objects behind.
        let mut buffer = [0; 16];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(cx.instance);
        cx.commit(&batch)
    }

    /// 6F {84 AID}; 6985 until it is personalised.
    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        cx.volatile.fill(0);
        for object in [COUNTERS, TERMINAL, KEY_FILE] {
            match cx.exists(object) {
                Ok(true) => {}
                Ok(false) => return Sw::CONDITIONS_NOT_SATISFIED,
                Err(sw) => return sw,
            }
        }
        let aid = cx.aid;
        let written = reply.tlv(|fci| {
            fci.nested(Tag::new(0x6F), |fci| {
                fci.put(Tag::new(0x84), aid.as_bytes());
            });
        });
        written.map_or_else(|sw| sw, |()| Sw::OK)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        match self.dispatch(cx, command, reply) {
            Ok(()) => Action::Reply(Sw::OK),
            Err(sw) => {
                reply.clear();
                Action::Reply(sw)
            }
        }
    }

    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        self.take_grouping(cx, dgi, data)
    }
}
