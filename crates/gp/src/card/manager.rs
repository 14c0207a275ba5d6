//! The card manager: the commands of the issuer security domain, behind its secure channel. [GPC 11]

use huiwan_apdu::{Command, Ins, Sw};
use huiwan_card::{Action, Context, Forward, InstanceId, Module, ResponseWriter, SecureChannel};
use zeroize::Zeroizing;

use super::registry::{self, Card};
use super::secure_channel::{SESSION_LEN, Session};
use super::{CardProfile, ModuleEntry};
use crate::life_cycle::CardState;
use crate::scp03::c_mac;
use crate::{delete, get_status, host, initialize_update, install, put_key, set_status, store_data};

/// Bytes the card manager needs in a volatile slot.
pub const SLOT_LEN: usize = SESSION_LEN + Progress::LEN;
/// Bytes of plain command data at most: the card manager takes short commands.
const DATA_MAX: usize = 255;

/// The module of the issuer security domain.
#[derive(Debug, Clone, Copy)]
pub struct CardManager<'a> {
    pub(super) profile: &'a CardProfile,
    pub(super) modules: &'a [ModuleEntry],
}

impl<'a> CardManager<'a> {
    /// A card manager that installs applications from these modules.
    #[must_use]
    pub const fn new(profile: &'a CardProfile, modules: &'a [ModuleEntry]) -> Self {
        Self { profile, modules }
    }
}

/// What the card manager remembers between commands of a session, beside the secure channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Whom STORE DATA goes to: 0 for the domain itself, else an instance after INSTALL [for personalization].
    pub(super) target: u8,
    /// The next block number of STORE DATA.
    pub(super) block: u8,
    /// Pieces of an incomplete data grouping in memory, and their length together.
    pub(super) pieces: u8,
    pub(super) piece_len: u16,
    /// While a STORE DATA command is under way: how far it got.
    pub(super) at: u16,
    /// GET STATUS: the scope that has more entries, and the last one told.
    pub(super) listing: u8,
    pub(super) listed: u8,
    /// While an INSTALL command is under way: the number given to the instance.
    pub(super) instance: u8,
}

impl Progress {
    const LEN: usize = 10;

    fn load(slot: &[u8]) -> Self {
        let Some(&[target, block, pieces, l1, l2, a1, a2, listing, listed, instance]) =
            slot.get(SESSION_LEN..).and_then(|rest| rest.first_chunk::<{ Self::LEN }>())
        else {
            return Self::default();
        };
        Self {
            target,
            block,
            pieces,
            piece_len: u16::from_be_bytes([l1, l2]),
            at: u16::from_be_bytes([a1, a2]),
            listing,
            listed,
            instance,
        }
    }

    fn store(&self, slot: &mut [u8]) {
        let [l1, l2] = self.piece_len.to_be_bytes();
        let [a1, a2] = self.at.to_be_bytes();
        let bytes =
            [self.target, self.block, self.pieces, l1, l2, a1, a2, self.listing, self.listed, self.instance];
        if let Some(place) = slot.get_mut(SESSION_LEN..).and_then(|rest| rest.first_chunk_mut()) {
            *place = bytes;
        }
    }

    /// A STORE DATA sequence ends, complete or not.
    pub(super) fn end_personalisation(&mut self) {
        (self.target, self.block, self.pieces, self.piece_len, self.at) = (0, 0, 0, 0, 0);
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
}

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
            let mut exchange =
                Exchange { cx, session: &mut session, progress: &mut progress, reply: &mut *reply, card };
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
        // The handshake carries its own protection, or none; a class byte with secure messaging is taken on INITIALIZE UPDATE too.
        match command.ins() {
            initialize_update::INS if proprietary => return self.initialize_update(x, command),
            host::secure_channel::EXTERNAL_AUTHENTICATE if proprietary => {
                return self.external_authenticate(x, command);
            }
            _ => x.session.forget_challenge(),
        }
        let mut buffer = Zeroizing::new([0; DATA_MAX]);
        let plain = x.session.unwrap(command, &mut *buffer)?;
        if let Some(application) = x.cx.served {
            return self.serve(x, application, &plain);
        }
        if plain.ins() != get_status::INS {
            x.progress.listing = 0;
        }
        let interindustry = command.cla() & 0x80 == 0;
        if plain.ins() == Ins::GET_DATA.value() && (proprietary || interindustry) {
            return self.get_data(x, &plain);
        }
        match plain.cla() {
            _ if proprietary => {}
            // By file identifier, as readers that look for an MF do: there is none, nor any other file. [ISO 7816-4 11.2.2]
            _ if interindustry && plain.ins() == Ins::SELECT.value() => return Err(Sw::FILE_NOT_FOUND),
            0x90..=0x9F | 0xD0..=0xDF => return Err(Sw::CHAINING_NOT_SUPPORTED),
            _ => return Err(Sw::CLA_NOT_SUPPORTED),
        }
        type Handler<'m> =
            fn(&CardManager<'m>, &mut Exchange<'_, '_, '_, '_, '_>, &Command<'_>) -> Result<Done, Sw>;
        let (handler, when_locked): (Handler<'_>, bool) = match plain.ins() {
            get_status::INS => (Self::get_status, true),
            set_status::INS => (Self::set_status, true),
            install::INS => (Self::install, false),
            store_data::INS => (Self::store_data, false),
            put_key::INS => (Self::put_key, false),
            delete::INS => (Self::delete, false),
            _ => return Err(Sw::INS_NOT_SUPPORTED),
        };
        if x.card.state == CardState::Terminated || (x.card.state == CardState::CardLocked && !when_locked) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if !x.session.is_open() {
            return Err(Sw::SECURITY_STATUS);
        }
        if plain.ins() != store_data::INS {
            x.progress.end_personalisation();
        }
        handler(self, x, &plain)
    }

    /// The same command after the instance it concerned was called.
    fn again(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        let mut buffer = Zeroizing::new([0; DATA_MAX]);
        let plain = x.session.reopen(command, &mut *buffer)?;
        if x.cx.served.is_some() {
            return self.serve_again(x, &plain, result);
        }
        match plain.ins() {
            install::INS => self.installed(x, &plain, result),
            store_data::INS => self.personalised(x, &plain, result),
            delete::INS => self.uninstalled(x, &plain, result),
            _ => Err(Sw::UNKNOWN),
        }
    }
}

fn reply_with(session: &mut Session, reply: &mut ResponseWriter<'_>, sw: Sw) -> Action {
    Action::Reply(session.wrap(reply, sw).err().unwrap_or(sw))
}

impl Module for CardManager<'_> {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        // There is one issuer security domain, and the factory made it.
        Err(Sw::CONDITIONS_NOT_SATISFIED)
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

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::CONDITIONS_NOT_SATISFIED)
    }

    fn power_on(&self, cx: &mut Context<'_>) {
        if cx.instance == InstanceId::ISSUER {
            // What cannot be swept now is swept next time; nothing depends on it.
            let _ = registry::sweep(cx.memory);
        }
    }
}
