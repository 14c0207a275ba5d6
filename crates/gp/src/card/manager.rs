//! The card manager: the commands of a security domain, the issuer's or a supplementary one, behind its secure channel. [GPC 11]

use huiwan_apdu::{Command, Ins, Sw};
use huiwan_card::{Action, Batch, Context, Forward, InstanceId, Module, ResponseWriter, SecureChannel};
use huiwan_crypto::Wiped;

use super::content::Content;
use super::domain::{Domain, Settings};
use super::keys;
use super::progress::Progress;
use super::registry::{self, Card};
use super::scp11::Scp11;
use super::secure_channel::{Dek, SESSION_LEN, Session};
use super::{CardProfile, ModuleEntry, certificates, pieces};
use crate::install::DomainParameters;
use crate::life_cycle::CardState;
use crate::privileges::Privileges;
use crate::scp03::c_mac;
use crate::scp11::GENERATE_KEY;
use crate::{
    delete, get_data, get_status, host, initialize_update, install, load, put_key, scp02, set_status,
    store_data,
};

/// Bytes the card manager needs in a volatile slot.
pub const SLOT_LEN: usize = SESSION_LEN + Progress::LEN;
/// Bytes of plain command data at most: the card manager takes short commands.
const DATA_MAX: usize = 255;
/// P1 of INSTALL, DELETE and PUT KEY: the rest of the data comes with the next command. [GPC 11.1.5]
const MORE: u8 = 0x80;
/// Bytes of the data of a chain of commands, together.
const CHAIN_MAX: usize = 512;

/// The module of the security domains.
#[derive(Debug, Clone, Copy)]
pub struct CardManager<'a> {
    pub(super) profile: &'a CardProfile,
    pub(super) modules: &'a [ModuleEntry],
    pub(super) content: Option<Content<'a>>,
    pub(super) scp11: Option<Scp11>,
}

impl<'a> CardManager<'a> {
    /// A card manager that installs applications from these modules. [`ModuleEntry::security_domain`] among them lets it install
    /// supplementary security domains.
    #[must_use]
    pub const fn new(profile: &'a CardProfile, modules: &'a [ModuleEntry]) -> Self {
        Self { profile, modules, content: None, scp11: None }
    }

    /// What the issuer domain may do.
    pub(super) fn issuer_privileges(&self) -> Privileges {
        match self.content {
            None => Privileges::ISSUER,
            Some(_) => Privileges::ISSUER.with(Privileges::CONTENT),
        }
    }
}

/// What a command handler leaves to do.
pub(super) enum Done {
    /// Answer, the data are in the reply.
    Reply(Sw),
    /// Answer 9000 without protection: the session opened with this command.
    Opened,
    /// Call another instance first.
    Forward(Forward),
}

impl Done {
    pub(super) const OK: Self = Self::Reply(Sw::OK);
}

/// One command under way.
pub(super) struct Exchange<'c, 'x, 'a, 'r, 'b> {
    pub(super) cx: &'c mut Context<'x>,
    pub(super) session: &'a mut Session,
    pub(super) progress: &'a mut Progress,
    pub(super) reply: &'r mut ResponseWriter<'b>,
    pub(super) card: Card,
    pub(super) domain: Domain,
    /// The command came in pieces.
    pub(super) chained: bool,
    /// SCP02 as the domain speaks it.
    pub(super) scp02: Option<scp02::Options>,
}

impl Exchange<'_, '_, '_, '_, '_> {
    /// The data encryption key of the session. [GPC 10.8, AmdD 6.2.8]
    pub(super) fn dek(&mut self) -> Result<Dek, Sw> {
        keys::dek(self.cx.memory, InstanceId(self.progress.key_owner), self.session)
    }

    /// Decrypts sensitive data in place.
    pub(super) fn decrypt_sensitive(&mut self, data: &mut [u8]) -> Result<(), Sw> {
        self.dek()?.decrypt(data).map_err(|_| Sw::WRONG_DATA)
    }
}

/// A command's body.
pub(super) type Handler =
    for<'m> fn(&CardManager<'m>, &mut Exchange<'_, '_, '_, '_, '_>, &Command<'_>) -> Result<Done, Sw>;

impl CardManager<'_> {
    /// Runs `handle` on the plain command with the session out of its slot, then protects the answer.
    fn exchange(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
        result: Option<Sw>,
    ) -> Action {
        let mut session = Session::load(cx.volatile);
        let mut progress = Progress::load(cx.volatile);
        let done = Card::read(cx.memory).and_then(|card| {
            let domain = Domain::read(cx.memory, cx.instance, cx.aid, self.issuer_privileges())?;
            let scp02 = domain.scp02(self.profile.scp02);
            let mut exchange = Exchange {
                cx,
                session: &mut session,
                progress: &mut progress,
                reply: &mut *reply,
                card,
                domain,
                chained: false,
                scp02,
            };
            match result {
                None => self.first(&mut exchange, command),
                Some(result) => self.again(&mut exchange, command, result),
            }
        });
        let action = match done {
            Ok(Done::Forward(forward)) => Action::Forward(forward),
            Ok(Done::Opened) => Action::Reply(Sw::OK),
            Ok(Done::Reply(sw)) => reply_with(&mut session, reply, sw),
            Err(sw) => {
                reply.clear();
                reply_with(&mut session, reply, sw)
            }
        };
        session.store(cx.volatile);
        progress.store(cx.volatile);
        action
    }

    /// A command as it arrives.
    fn first(&self, x: &mut Exchange<'_, '_, '_, '_, '_>, command: &Command<'_>) -> Result<Done, Sw> {
        // 80 to 83 and C0 to CF; others are of other authorities, or announce pieces of a chain, which are not put together. [GPC 11.1.4]
        let proprietary = matches!(c_mac::plain_class(command.cla()), 0x80..=0x83 | 0xC0..=0xCF);
        let handshake = self.scp11.filter(|_| proprietary).and_then(|scp11| scp11.handshake(command));
        if let Some(handshake) = handshake {
            self.end_load(x)?;
            return handshake(self, x, command);
        }
        // The handshake carries its own protection, or none; a class byte with secure messaging is taken on INITIALIZE UPDATE too.
        match command.ins() {
            initialize_update::INS if proprietary => {
                self.end_load(x)?;
                return self.initialize_update(x, command);
            }
            host::secure_channel::EXTERNAL_AUTHENTICATE if proprietary => {
                self.end_load(x)?;
                return self.external_authenticate(x, command);
            }
            _ => x.session.forget_challenge(),
        }
        if self.scp11.is_some() && command.data().len() > DATA_MAX {
            return self.long(x, command);
        }
        let mut buffer = Wiped::<DATA_MAX>::new();
        let plain = match self.initiate(x, command)? {
            false => x.session.unwrap(command, &mut *buffer)?,
            true => self.open_implicitly(x, command, &mut *buffer)?,
        };
        if let Some(done) = x.session.r_mac_session(&plain, x.reply) {
            return done.map(|()| Done::OK);
        }
        if let Some(application) = x.cx.served {
            return self.serve(x, application, &plain);
        }
        if plain.ins() != get_status::INS {
            x.progress.listing = 0;
        }
        self.end_load_before(x, &plain)?;
        let interindustry = command.cla() & 0x80 == 0;
        let reading = matches!(plain.ins(), get_data::INS | get_data::INS_ODD);
        let chain = core::mem::take(&mut x.progress.chain);
        if chain != 0 && plain.ins() != chain {
            x.progress.end_personalisation();
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if reading && (proprietary || interindustry) {
            return self.get_data(x, &plain);
        }
        match plain.cla() {
            _ if proprietary => {}
            // Hosts of SCP11 send it so (yubikey-manager, OpenSCP); as APPEND RECORD it has no meaning where there are no files.
            _ if interindustry && plain.ins() == store_data::INS && self.scp11.is_some() => {}
            // By file identifier, as readers that look for an MF do: there is none, nor any other file. [ISO 7816-4 11.2.2]
            _ if interindustry && plain.ins() == Ins::SELECT.value() => return Err(Sw::FILE_NOT_FOUND),
            0x90..=0x9F | 0xD0..=0xDF => return Err(Sw::CHAINING_NOT_SUPPORTED),
            _ => return Err(Sw::CLA_NOT_SUPPORTED),
        }
        let when_locked = match plain.ins() {
            get_status::INS | set_status::INS => true,
            install::INS | store_data::INS | put_key::INS | delete::INS => false,
            load::INS if self.content.is_some() => false,
            GENERATE_KEY if self.scp11.is_some() => false,
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        };
        if x.card.state == CardState::Terminated || (x.card.state == CardState::CardLocked && !when_locked) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if !x.session.is_open() || self.lacks_c_mac(x) {
            return Err(Sw::SECURITY_STATUS);
        }
        let chainable = matches!(plain.ins(), install::INS | put_key::INS | delete::INS);
        if plain.ins() != store_data::INS && chain == 0 {
            x.progress.end_personalisation();
        }
        if chainable && plain.p1() & MORE != 0 {
            x.keep(plain.data(), chain == 0)?;
            x.progress.chain = plain.ins();
            return Ok(Done::OK);
        }
        x.progress.chain = chain;
        self.whole(x, &plain, None)
    }

    /// The same command after the instance it concerned was called.
    fn again(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        let mut buffer = Wiped::<DATA_MAX>::new();
        let plain = x.session.reopen(command, &mut *buffer)?;
        if x.cx.served.is_some() {
            return self.serve_again(x, &plain, result);
        }
        self.whole(x, &plain, Some(result))
    }

    /// Carries the command out, with all data of its chain if it ends one.
    fn whole(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        plain: &Command<'_>,
        result: Option<Sw>,
    ) -> Result<Done, Sw> {
        if x.progress.chain == 0 { self.handle(x, plain, result) } else { self.chained(x, plain, result) }
    }

    /// Apart, so that only a chain takes its buffer from the stack.
    #[inline(never)]
    fn chained(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        plain: &Command<'_>,
        result: Option<Sw>,
    ) -> Result<Done, Sw> {
        let mut whole = Wiped::<CHAIN_MAX>::new();
        let gathered = x.gather(plain.data(), &mut *whole);
        let done = gathered.and_then(|len| {
            let [cla, ins, p1, p2] = plain.header();
            let data = whole.get(..len).ok_or(Sw::UNKNOWN)?;
            x.chained = true;
            self.handle(x, &Command::new(cla, ins, p1, p2).with_data(data).extended(true), result)
        });
        if !matches!(done, Ok(Done::Forward(_))) {
            x.progress.chain = 0;
            // What stays behind is overwritten by the next pieces, or swept at power-on.
            let _ = x.keep(&[], true);
            (x.progress.pieces, x.progress.piece_len) = (0, 0);
        }
        done
    }

    fn handle(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Option<Sw>,
    ) -> Result<Done, Sw> {
        let done = match (command.ins(), result) {
            (get_status::INS, None) => self.get_status(x, command),
            (set_status::INS, None) => self.set_status(x, command),
            (install::INS, None) => self.install(x, command),
            (install::INS, Some(result)) => self.installed(x, command, result),
            (store_data::INS, None) => self.store_data(x, command),
            (store_data::INS, Some(result)) => self.personalised(x, command, result),
            (put_key::INS, None) => self.put_key(x, command),
            (delete::INS, None) => self.delete(x, command),
            (delete::INS, Some(result)) => self.uninstalled(x, command, result),
            (load::INS, None) => match self.content {
                Some(content) => (content.load)(self, x, command),
                None => Err(Sw::INS_NOT_SUPPORTED),
            },
            (GENERATE_KEY, None) => match self.scp11 {
                Some(scp11) => (scp11.generate)(self, x, command),
                None => Err(Sw::INS_NOT_SUPPORTED),
            },
            _ => Err(Sw::UNKNOWN),
        };
        if done.is_err() {
            self.end_load(x)?;
        }
        done
    }

    /// Any command but LOAD, and INSTALL of a combined sequence, ends a load: what came so far is discarded. [GPC 11.6.2]
    pub(super) fn end_load_before(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        plain: &Command<'_>,
    ) -> Result<(), Sw> {
        let last = (install::COMBINED, install::COMBINED_LAST);
        let combined = plain.ins() == install::INS && (plain.p1() & !MORE, plain.p2()) == last;
        if plain.ins() == load::INS || combined { Ok(()) } else { self.end_load(x) }
    }

    /// A load under way is given up.
    fn end_load(&self, x: &mut Exchange<'_, '_, '_, '_, '_>) -> Result<(), Sw> {
        match self.content {
            Some(content) if x.progress.loading != 0 => (content.abort)(x),
            _ => Ok(()),
        }
    }
}

fn reply_with(session: &mut Session, reply: &mut ResponseWriter<'_>, sw: Sw) -> Action {
    Action::Reply(session.wrap(reply, sw).err().unwrap_or(sw))
}

impl Module for CardManager<'_> {
    /// A supplementary security domain; the issuer's was made by the factory.
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        if cx.instance == InstanceId::ISSUER {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let parameters = DomainParameters::parse(parameters).map_err(|_| Sw::WRONG_DATA)?;
        let settings = Settings::new(&parameters, self.profile, self.scp11.map(|scp11| scp11.profile))?;
        let mut buffer = [0; 32];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(cx.instance);
        settings.put(cx.instance, &mut batch);
        cx.commit(&batch)
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        self.answer_select(cx, reply)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        self.exchange(cx, command, reply, None)
    }

    fn forwarded(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        result: Sw,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        self.exchange(cx, command, reply, Some(result))
    }

    /// Data for a domain from the domain above, which has decrypted them: its first keys, or its objects.
    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        if cx.instance == InstanceId::ISSUER {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let card = Card::read(cx.memory)?;
        let domain = Domain::read(cx.memory, cx.instance, cx.aid, Privileges::NONE)?;
        let scp02 = domain.scp02(self.profile.scp02);
        let (mut session, mut progress) = (Session::none(), Progress::default());
        let reply = &mut ResponseWriter::new(&mut []);
        let mut exchange = Exchange {
            cx,
            session: &mut session,
            progress: &mut progress,
            reply,
            card,
            domain,
            chained: false,
            scp02,
        };
        self.take(&mut exchange, dgi, data)
    }

    /// Certificates of hosts come so.
    fn joins_chains(&self) -> bool {
        self.scp11.is_some()
    }

    fn power_on(&self, cx: &mut Context<'_>) {
        // What cannot be swept now is swept next time; nothing depends on it.
        if cx.instance == InstanceId::ISSUER {
            let _ = registry::sweep(cx.memory);
        }
        let _ = pieces::sweep(cx.memory, cx.instance);
        let _ = certificates::sweep(cx.memory, cx.instance);
    }
}
