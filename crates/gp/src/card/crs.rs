//! The contactless registry service as a card application. [AmdC 3.11]
//!
//! It holds nothing of its own: all it shows and changes is the registry's. It changes it while it has Contactless Activation, on the
//! interfaces of the wearer (contacts, the band's own controller); over the antenna only where the profile says so. A secured command
//! goes to its security domain and comes back plain, so the issuer can use it over the air.
//!
//! Applications change their own state through [`set_own_state`].

pub(crate) mod notify;

mod availability;
mod get_status;
mod set_status;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Action, Context, Module, ResponseWriter};
use huiwan_tlv::{Tag, Writer};

pub use availability::{own_state, set_own_state};

use super::CardProfile;
use super::contactless::Contactless;
use crate::crs::{GET_DATA, Service, VERSION};
use crate::scp03::c_mac;
use crate::{get_data, get_status as gp_get_status, host, initialize_update, set_status as gp_set_status};

/// The contactless registry service.
#[derive(Debug, Clone, Copy)]
pub struct Crs<'a> {
    profile: &'a CardProfile,
}

/// Bytes the service needs in a volatile slot.
pub const SLOT_LEN: usize = 2;

impl<'a> Crs<'a> {
    /// The service of a card with this profile.
    #[must_use]
    pub const fn new(profile: &'a CardProfile) -> Self {
        Self { profile }
    }

    fn answer(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<Sw, Sw> {
        // Anything between two pages of a list ends it.
        let listing = get_status::take(cx.volatile);
        if !matches!(command.cla(), 0x80..=0x83 | 0xC0..=0xCF) {
            return Err(Sw::CLA_NOT_SUPPORTED);
        }
        match command.ins() {
            get_data::INS if command.p1p2() == GET_DATA => {
                let service = service(cx)?;
                reply.tlv(|w| service.put(w)).map(|()| Sw::OK)
            }
            get_data::INS => Err(Sw::WRONG_P1P2),
            gp_get_status::INS => get_status::page(cx, command, reply, listing),
            gp_set_status::INS => self.set_status(cx, command, reply),
            _ => Err(Sw::INS_NOT_SUPPORTED),
        }
    }
}

fn service(cx: &mut Context<'_>) -> Result<Service, Sw> {
    Ok(Service { version: VERSION, updates: Contactless::read(cx.memory)?.updates })
}

impl Module for Crs<'_> {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        let aid = cx.aid;
        let written = service(cx).and_then(|service| {
            reply.tlv(|w: &mut Writer<'_>| {
                w.nested(Tag::new(0x6F), |w| {
                    w.put(Tag::new(0x84), aid.as_bytes());
                    service.put(w);
                });
            })
        });
        written.err().unwrap_or(Sw::OK)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let secured = c_mac::plain_class(command.cla()) != command.cla();
        let handshake =
            matches!(command.ins(), initialize_update::INS | host::secure_channel::EXTERNAL_AUTHENTICATE);
        if !cx.protection.authenticated && (secured || handshake) {
            return Action::ToSecurityDomain;
        }
        let done = self.answer(cx, command, reply);
        if done.is_err() {
            reply.clear();
        }
        Action::Reply(done.unwrap_or_else(|sw| sw))
    }

    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Err(Sw::REFERENCED_DATA_NOT_FOUND)
    }
}
