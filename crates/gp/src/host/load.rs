//! Bringing a load file to a card: look first, then INSTALL [for load], then LOAD block by block. [GPC 11.5.2.3.1, 11.6; sheet 6]
//!
//! | looked at | refused before anything changes |
//! |---|---|
//! | number of blocks at this level | [`FaultKind::TooManyBlocks`] |
//! | signatures without a hash | [`FaultKind::HashMissing`] |
//! | load files (GET STATUS 20) | [`FaultKind::AidTaken`], [`FaultKind::ImportMissing`] |
//! | applications and domains (GET STATUS 40) | [`FaultKind::AidTaken`], [`FaultKind::SignatureMissing`] |
//! | free memory (`FF21`) | [`FaultKind::NoMemory`] |
//!
//! What a card does not tell is not held against it. A load that breaks off leaves nothing: the card discards what has come, and the
//! task starts again with block 00. One whose last answer was lost may have ended well, which the next attempt finds as
//! [`FaultKind::AidTaken`].
//!
//! ```
//! use huiwan_gp::cap::{CapFile, LoadFile};
//! use huiwan_gp::host::{Job, KeyRef, KeyStore, Load, Manager, OpenChannel, Outcome, SoftKeyStore};
//! use huiwan_gp::secure_channel::Level;
//! # mod card { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_card/mod.rs")); }
//! # mod driver { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/example_card/run.rs")); }
//! # use {card::with_card, driver::run};
//! # with_card(|card| {
//! # let mut store = SoftKeyStore::<1, 1>::new();
//! # let key = huiwan_gp::card::TEST_KEY;
//! # store.insert(1, &key, &key, &key).unwrap();
//! # let mut manager = Manager::new();
//! # let open = OpenChannel {
//! #     aid: None,
//! #     key_version: 0x30,
//! #     key: KeyRef::direct(1),
//! #     level: Level::CMac,
//! #     host_challenge: [7; 8].into(),
//! # };
//! # assert_eq!(run(card, &mut store, &mut manager, Job::Open(open)), Outcome::Complete);
//! // `manager` has a channel on the domain that is to own the file, and `run` carries its steps out. The components come out of the CAP
//! // file's archive, in any order: here Header.cap alone, a package without code.
//! let header = [1, 0, 15, 0xDE, 0xCA, 0xFF, 0xED, 1, 2, 0, 0, 1, 5, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4];
//! let cap = CapFile::new(&[&header]).unwrap();
//! let load = Load::new(LoadFile::new(&cap));
//! assert_eq!(run(card, &mut store, &mut manager, Job::Load(load)), Outcome::Complete);
//! // A second time there is something of this AID, which is found before anything is sent that changes the card.
//! let Outcome::Fault(fault) = run(card, &mut store, &mut manager, Job::Load(load)) else { panic!() };
//! assert!(fault.to_string().contains("nothing was changed"));
//! # });
//! ```

use huiwan_apdu::{Aid, Response, Sw};

use super::content::{Change, Changing, Link, TokenField};
use super::fault::{Fault, FaultKind, Stage};
use super::install::Install;
use super::list::page;
use super::manager::{Event, Todo, Turn, command, copy, expect_ok, get_data_command, too_long};
use crate::cap::{HashFunction, LoadFile, MAX_BLOCKS, Package};
use crate::get_data::TAG_FF21_RESOURCES;
use crate::get_status::{self, Entry, FIRST, NEXT, Scope};
use crate::install::{COMBINED, COMBINED_FIRST, FOR_LOAD, INS as INSTALL, LoadFields, LoadParameters};
use crate::life_cycle::ApplicationState;
use crate::load::{INS, LAST};
use crate::privileges::Privileges;
use crate::resources::Resources;

/// What to load, and how.
#[derive(Debug, Clone, Copy)]
pub struct Load<'j> {
    /// The load file; its package gives the AID.
    pub file: LoadFile<'j, 'j>,
    /// The domain it is to be associated with; `None`: the one the channel is opened on.
    pub domain: Option<Aid>,
    /// Which hash INSTALL [for load] carries. Signatures and tokens of the file rest on it.
    pub hash: Option<HashFunction>,
    /// Memory the file asks the card to have.
    pub parameters: LoadParameters,
    /// Look at the card before anything is sent that changes it.
    pub look: bool,
    /// Packages the card has besides those it lists, which the platform under it usually is; `None`: not known, and an import that is
    /// not listed is left to the card.
    pub platform: Option<&'j [Package<'j>]>,
    /// Install this from the file in one sequence with the loading, all or nothing; it is made selectable.
    pub install: Option<&'j Install<'j>>,
}

impl<'j> Load<'j> {
    /// Into the domain of the channel, with SHA-256, after a look at the card.
    #[must_use]
    pub fn new(file: LoadFile<'j, 'j>) -> Self {
        let parameters =
            LoadParameters { code: u32::try_from(file.data_len()).ok(), ..LoadParameters::default() };
        Self {
            file,
            domain: None,
            hash: Some(HashFunction::Sha256),
            parameters,
            look: true,
            platform: None,
            install: None,
        }
    }

    /// AID of the load file: its package's.
    pub(super) fn aid(&self) -> &'j [u8] {
        self.file.cap().header().package.aid
    }

    /// The domain the file will be associated with.
    fn domain(&self, link: &Link) -> Option<Aid> {
        self.domain.or(link.channel.map(|channel| channel.aid))
    }

    fn is_signed_by(&self, domain: &[u8]) -> bool {
        self.file.daps().iter().any(|dap| dap.domain == domain)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Listing(Scope),
    Measuring,
    Announcing,
    Sending { block: u8, last: bool },
    Confirming,
    Installing,
}

/// The load under way.
#[derive(Debug)]
pub(super) struct Loading {
    state: State,
    changing: Changing,
    pages: u8,
    /// Imports the card has, by their place in the list: there are at most 128. [JCVM 6.6]
    served: u128,
}

impl Loading {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, changing: Changing::new(), pages: 0, served: 0 }
    }

    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            State::Start | State::Announcing => Stage::InstallForLoad,
            State::Listing(_) => Stage::GetStatus,
            State::Measuring => Stage::GetData,
            State::Sending { block, .. } => Stage::Load { block },
            State::Confirming => Stage::LoadReceipt,
            State::Installing => Stage::Install,
        }
    }

    pub(super) fn turn(&mut self, load: &Load<'_>, event: Event<'_>, link: &Link, out: &mut [u8]) -> Turn {
        let stage = self.stage();
        match (self.state, event) {
            (State::Start, Event::Begin) => {
                check_plan(load, link)?;
                if load.look && link.looks {
                    self.list(Scope::LoadFiles, FIRST, link, out)
                } else {
                    self.announce(load, link, out)
                }
            }
            (State::Listing(scope), Event::Response(response)) => {
                self.listed(load, scope, &response, link)?;
                match (response.sw(), scope) {
                    (Sw::MORE_ENTRIES, _) => self.list(scope, NEXT, link, out),
                    (_, Scope::LoadFiles) => {
                        self.check_imports(load)?;
                        self.list(Scope::Applications, FIRST, link, out)
                    }
                    _ => {
                        self.state = State::Measuring;
                        get_data_command(TAG_FF21_RESOURCES, link.cla, out)
                    }
                }
            }
            (State::Measuring, Event::Response(response)) => {
                check_memory(load, &response)?;
                self.announce(load, link, out)
            }
            (State::Announcing, event) => match self.announcing(load, event, link, out)? {
                Todo::Done => self.block(load, 0, link, out),
                todo => Ok(todo),
            },
            (State::Sending { block, last: false }, Event::Response(response)) => {
                expect_ok(response, stage)?;
                self.block(load, block.checked_add(1).ok_or(too_long(stage))?, link, out)
            }
            (State::Sending { .. }, Event::Response(response)) => {
                let response = expect_ok(response, stage)?;
                self.changing = Changing::new();
                if let Some(install) = load.install {
                    self.state = State::Installing;
                    return install.last_turn(&mut self.changing, Event::Begin, link, out);
                }
                self.state = State::Confirming;
                let domain = load.domain(link);
                let names = [load.aid(), domain.as_ref().map_or(&[][..], Aid::as_bytes)];
                self.changing.confirm(response.data(), &names, link, self.stage(), out)
            }
            (State::Confirming, event) => self.changing.confirmed(event, stage, out),
            (State::Installing, event) => match load.install {
                Some(install) => install.last_turn(&mut self.changing, event, link, out),
                None => Ok(Todo::Done),
            },
            _ => Err(Fault { stage, kind: FaultKind::Malformed("key store answer") }),
        }
    }

    fn list(&mut self, scope: Scope, p2: u8, link: &Link, out: &mut [u8]) -> Turn {
        self.state = State::Listing(scope);
        page(scope, &[], p2, link.cla, out)
    }

    /// One page of what the card has.
    fn listed(
        &mut self,
        load: &Load<'_>,
        scope: Scope,
        response: &Response<'_>,
        link: &Link,
    ) -> Result<(), Fault> {
        let fault = |kind| Fault { stage: Stage::GetStatus, kind };
        match response.sw() {
            Sw::OK | Sw::MORE_ENTRIES => {}
            // With this one the session is over.
            Sw::SECURITY_STATUS => return Err(fault(FaultKind::Status(Sw::SECURITY_STATUS))),
            // Nothing of that kind; or a domain that may not look, and finds out by trying.
            _ => return Ok(()),
        }
        let endless = fault(FaultKind::Malformed("list, which has no end,"));
        self.pages = self.pages.checked_add(1).ok_or(endless)?;
        for entry in get_status::entries(response.data()) {
            let entry = entry.map_err(|_| fault(FaultKind::Malformed("registry")))?;
            let instance = load.install.map(|install| install.instance);
            if entry.aid == load.aid() || instance.is_some_and(|aid| entry.aid == aid.as_bytes()) {
                let aid = entry.application_aid().ok_or(fault(FaultKind::Malformed("registry")))?;
                return Err(fault(FaultKind::AidTaken(aid)));
            }
            match scope {
                Scope::LoadFiles => self.note_package(load, &entry)?,
                _ => check_signer(load, &entry, link)?,
            }
        }
        Ok(())
    }

    /// A load file of the card: whether it serves one of the imports.
    fn note_package(&mut self, load: &Load<'_>, entry: &Entry<'_>) -> Result<(), Fault> {
        for (place, import) in load.file.cap().imports().enumerate() {
            if import.aid != entry.aid {
                continue;
            }
            // A card that does not tell the version is believed.
            if let Some(&[major, minor]) = entry.version
                && !(Package { aid: entry.aid, major, minor }).serves(&import)
            {
                return Err(missing(&import));
            }
            self.served |= bit(place);
        }
        Ok(())
    }

    /// Every import is on the card, as far as it is known what it has.
    fn check_imports(&self, load: &Load<'_>) -> Result<(), Fault> {
        let Some(platform) = load.platform else { return Ok(()) };
        for (place, import) in load.file.cap().imports().enumerate() {
            if self.served & bit(place) == 0 && !platform.iter().any(|package| package.serves(&import)) {
                return Err(missing(&import));
            }
        }
        Ok(())
    }

    fn announce(&mut self, load: &Load<'_>, link: &Link, out: &mut [u8]) -> Turn {
        self.state = State::Announcing;
        self.announcing(load, Event::Begin, link, out)
    }

    /// INSTALL [for load].
    fn announcing(&mut self, load: &Load<'_>, event: Event<'_>, link: &Link, out: &mut [u8]) -> Turn {
        let fields = |out: &mut [u8]| {
            let mut buffer = [0; 32];
            let hash = load.hash.map(|function| load.file.hash(function)).unwrap_or_default();
            let fields = LoadFields {
                load_file: load.aid(),
                domain: load.domain.as_ref().map_or(&[][..], Aid::as_bytes),
                hash: &hash,
                parameters: load.parameters.write(&mut buffer).ok()?,
                token: &[],
            };
            fields.write_before_token(out).ok()
        };
        let [p1, p2] = if load.install.is_some() { [COMBINED, COMBINED_FIRST] } else { [FOR_LOAD, 0] };
        let change = Change {
            header: [INSTALL, p1, p2],
            stage: Stage::InstallForLoad,
            fields: &fields,
            token: TokenField::Field,
            // What confirms it is the last block's answer.
            names: None,
        };
        self.changing.turn(&change, event, link, out)
    }

    fn block(&mut self, load: &Load<'_>, block: u8, link: &Link, out: &mut [u8]) -> Turn {
        let stage = Stage::Load { block };
        let mut buffer = [0; 255];
        let data = buffer.get_mut(..link.most()).ok_or(too_long(stage))?;
        let len = load.file.block(block, data).ok_or(too_long(stage))?;
        let data = data.get(..len).ok_or(too_long(stage))?;
        let blocks = load.file.blocks(link.most()).ok_or(too_long(stage))?;
        let last = usize::from(block).saturating_add(1) >= blocks;
        self.state = State::Sending { block, last };
        let p1 = if last { LAST } else { 0x00 };
        command([link.cla, INS, p1, block], |out| Some(copy(data, out)?.len()), out, stage)
    }
}

fn bit(place: usize) -> u128 {
    u32::try_from(place).ok().and_then(|place| 1_u128.checked_shl(place)).unwrap_or_default()
}

/// What can be known without the card.
fn check_plan(load: &Load<'_>, link: &Link) -> Result<(), Fault> {
    let fault = |kind| Fault { stage: Stage::InstallForLoad, kind };
    if load.file.blocks(link.most()).is_none() {
        let needed = load.file.encoded_len().div_ceil(link.most().max(1));
        return Err(fault(FaultKind::TooManyBlocks { needed, most: MAX_BLOCKS }));
    }
    // [GPC 11.5.2.3.1]
    if load.hash.is_none() && !load.file.daps().is_empty() {
        return Err(fault(FaultKind::HashMissing));
    }
    Ok(())
}

/// Every mandated signature is there, once its domain is PERSONALIZED; and that of the file's own domain, if it signs its files. [GPC 9.2.1]
fn check_signer(load: &Load<'_>, entry: &Entry<'_>, link: &Link) -> Result<(), Fault> {
    let has = |wanted| entry.privileges.is_some_and(|privileges| privileges.contains(wanted));
    let mandated = has(Privileges::MANDATED_DAP)
        && entry.application_state().unlocked() == ApplicationState::PERSONALIZED;
    let own = load.domain(link).is_some_and(|domain| domain.as_bytes() == entry.aid);
    let demanded = mandated || (own && has(Privileges::DAP_VERIFICATION));
    match entry.application_aid() {
        Some(aid) if demanded && !load.is_signed_by(entry.aid) => {
            Err(Fault { stage: Stage::GetStatus, kind: FaultKind::SignatureMissing(aid) })
        }
        _ => Ok(()),
    }
}

/// The card has room for the file, if it says how much it has.
fn check_memory(load: &Load<'_>, response: &Response<'_>) -> Result<(), Fault> {
    let fault = |kind| Fault { stage: Stage::GetData, kind };
    if response.sw() == Sw::SECURITY_STATUS {
        return Err(fault(FaultKind::Status(response.sw())));
    }
    if !response.sw().is_ok() {
        return Ok(());
    }
    // A template that cannot be read says nothing.
    let free = Resources::parse(response.data()).ok().and_then(|resources| resources.free_durable);
    let amounts = [load.parameters.code, load.parameters.data];
    let needed = amounts.into_iter().flatten().fold(0_u32, u32::saturating_add);
    let needed = needed.max(u32::try_from(load.file.data_len()).unwrap_or(u32::MAX));
    match free {
        Some(free) if free < needed => Err(fault(FaultKind::NoMemory { free, needed })),
        _ => Ok(()),
    }
}

fn missing(import: &Package<'_>) -> Fault {
    let kind = match Aid::new(import.aid) {
        Ok(aid) => FaultKind::ImportMissing { aid, major: import.major, minor: import.minor },
        // The CAP file was read, so its AIDs have their lengths.
        Err(_) => FaultKind::Malformed("import"),
    };
    Fault { stage: Stage::GetStatus, kind }
}
