//! The card: a [`Module`] that is the purse application of a [`Profile`], and of every other for instances that are told
//! so: see [`scheme`](crate::scheme).
//!
//! One file per command: `card/load.rs` here answers [`terminal::TopUp`](crate::terminal::TopUp) and
//! [`host::load`](crate::host::load), `card/purchase.rs` and `card/capp.rs` answer [`terminal::Tap`](crate::terminal::Tap).
//! Every completion makes balance, counter, log, cached records, proof and error counter durable in one commit.

use core::marker::PhantomData;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Action, Context, Module, ResponseWriter};
use huiwan_crypto::Suite;
use huiwan_tlv::Tag;

use crate::account::Account;
use crate::profile::Profile;
use crate::status;
use crate::transit::public_info;

mod algorithm;
mod auth_code;
mod authentication;
mod balance;
mod capp;
mod cash;
mod completion;
mod files;
mod grey_lock;
mod grey_unlock;
mod issuer_files;
mod limit;
mod load;
mod lock;
mod objects;
mod online;
mod personalise;
mod pin;
mod prove;
mod purchase;
mod scheme;
mod secured;
mod session;
mod unload;
mod write_key;

pub use session::VOLATILE_LEN;

use lock::Lock;

/// Tags of the FCI. [ISO 7816-4 5.3.3; 9F0C: sheet 1.2]
const FCI: Tag = Tag::new(0x6F);
const DF_NAME: Tag = Tag::new(0x84);
const PROPRIETARY: Tag = Tag::new(0xA5);
const VERSION: Tag = Tag::new(0x9F08);
const ISSUER_DATA: Tag = Tag::new(0x9F0C);

/// The purse application. It wants a volatile slot of [`VOLATILE_LEN`] bytes and works in scratch only for secured updates.
#[derive(Debug)]
pub struct Purse<S> {
    profile: Profile,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite> Purse<S> {
    /// The application of `profile`, unless an instance is told another scheme.
    #[must_use]
    pub const fn new(profile: Profile) -> Self {
        Self { profile, suite: PhantomData }
    }

    /// The scheme it follows unless told otherwise.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The account P2 names, if the scheme has it.
    fn account(&self, p2: u8) -> Result<Account, Sw> {
        Account::from_p2(p2).filter(|account| self.profile.has(*account)).ok_or(Sw::WRONG_P1P2)
    }

    /// FCI: 6F {84 AID, A5 {9F08 version, 9F0C copy of file 0015}}, so that a terminal need not read file 0015.
    fn fci(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Result<Sw, Sw> {
        let lock = lock::lock(cx, &self.profile)?;
        match lock {
            Lock::Card => return Err(Sw::FUNCTION_NOT_SUPPORTED),
            Lock::Permanent => return Err(status::PERMANENTLY_LOCKED),
            Lock::None | Lock::Temporary => {}
        }
        if !Self::has_purse(cx)? {
            // Keys may be written before anything else, where the profile lets them come in clear.
            return if self.profile.plain_keys { Ok(Sw::OK) } else { Err(Sw::CONDITIONS_NOT_SATISFIED) };
        }
        let mut public_info = [0; public_info::MAX_LEN];
        let public_info =
            cx.read(objects::PUBLIC_INFO, &mut public_info).map_err(|_| Sw::CONDITIONS_NOT_SATISFIED)?;
        let mut version = [0; 2];
        let version =
            if cx.exists(objects::VERSION)? { cx.read(objects::VERSION, &mut version)? } else { &[] };
        let aid = cx.aid;
        reply.tlv(|fci| {
            fci.nested(FCI, |fci| {
                fci.put(DF_NAME, aid.as_bytes());
                fci.nested(PROPRIETARY, |proprietary| {
                    if !version.is_empty() {
                        proprietary.put(VERSION, version);
                    }
                    proprietary.put(ISSUER_DATA, public_info);
                });
            });
        })?;
        Ok(if lock == Lock::Temporary { Sw::WARNING_SELECTED_INVALIDATED } else { Sw::OK })
    }

    /// SELECT by file identifier: an EF, or this very DF, which answers its FCI and begins anew as under its AID. There is no MF
    /// above: its identifier leads here too, since readers begin with it. [sheet 1.2]
    fn select_file(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<Sw, Sw> {
        /// What readers call the purse's DF. [I: all readers]
        const DF: [u16; 3] = [0x3F00, 0x1001, 0x3F01];
        if command.p1p2() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let fid = <[u8; 2]>::try_from(command.data()).map_err(|_| Sw::WRONG_LENGTH)?;
        let fid = u16::from_be_bytes(fid);
        if DF.contains(&fid) {
            session::clear(cx);
            return self.fci(cx, reply);
        }
        // Files a scheme does not have stand under 0000.
        if fid == 0 {
            return Err(Sw::FILE_NOT_FOUND);
        }
        let mut current = session::current(cx.volatile);
        files::AllFiles::of(cx, &self.profile)?.all().select(fid, &mut current)?;
        session::set_current(cx.volatile, current);
        Ok(Sw::OK)
    }

    fn dispatch(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<Sw, Sw> {
        // Whatever a command does not put back is gone: the session, and the challenge of the command before.
        let session = session::take(cx);
        let challenge = session::take_challenge(cx);
        // Bits 1 and 2 of CLA are the logical channel, which the dispatcher has dealt with.
        let (cla, ins) = (command.cla() & 0xFC, command.ins());
        self.refuse_if_locked(cx, cla, ins, command.p1())?;
        // Every transaction begins with 80 50: one line stops them all.
        if (cla, ins) == (0x80, 0x50) {
            self.refuse_if_grey_locked(cx)?;
        }
        if (cla, ins) == (0x00, 0xA4) {
            return self.select_file(cx, command, reply);
        }
        let done = match (cla, ins) {
            (0x00, 0x84) => session::get_challenge(cx, command, reply),
            (0x00, 0x82) => self.external_authenticate(cx, command, challenge),
            (0x00, 0x88) => self.internal_authenticate(cx, command, reply),
            (0x00 | 0x04 | 0x84, 0xB0 | 0xB2) => self.read(cx, command, challenge, reply),
            (0x00 | 0x04 | 0x84, 0xD6 | 0xDC | 0xE2) => self.update(cx, command, challenge),
            (0x80, 0x50) => match command.p1() {
                0x00 => self.initialize_for_load(cx, session, command, reply),
                0x01 => self.initialize_for_purchase(cx, session, command, reply),
                0x02 => self.initialize_for_cash_withdraw(cx, session, command, reply),
                0x03 => self.initialize_for_capp_purchase(cx, session, command, reply),
                0x04 => self.initialize_for_update(cx, session, command, reply),
                0x05 => self.initialize_for_unload(cx, session, command, reply),
                _ => Err(Sw::WRONG_P1P2),
            },
            (0x80, 0x52) => self.credit_for_load(cx, session, command, reply),
            (0x80, 0x54) if command.p1() == 0x03 => self.debit_for_unload(cx, session, command, reply),
            (0x80, 0x54) => self.debit_for_purchase(cx, session, command, reply),
            (0x80, 0x58) => self.update_overdraw_limit(cx, session, command, reply),
            (0x00, 0x20) => self.verify(cx, command),
            (0x80, 0x5E) => self.change_or_reload_pin(cx, command),
            (0x80, 0x5A) => self.get_transaction_prove(cx, command, reply),
            (0x80, 0x5C) => self.get_balance(cx, command, reply),
            (0x80, 0xDC) => self.update_capp_data_cache(cx, session, command),
            (0x80, 0xCA) if self.profile.auth_code => self.get_auth_code(cx, session, command, reply),
            (0xE0, 0x7A) if command.p1() == 0x08 => {
                self.initialize_for_grey_lock(cx, session, command, reply)
            }
            (0xE0, 0x7C) => self.grey_lock(cx, session, command, reply),
            (0xE0, 0x7E) if command.p1() == 0x08 => self.debit_for_unlock(cx, command, reply),
            (0xE0, 0x7A) => self.initialize_for_grey_unlock(cx, session, command, reply),
            (0xE0, 0x7E) => self.grey_unlock(cx, session, command, reply),
            (0xE0, 0xCA) => self.get_lock_proof(cx, command, reply),
            (0x80, 0xCD) => {
                let rules = self.profile.algorithm.ok_or(Sw::INS_NOT_SUPPORTED)?;
                self.get_algorithm(cx, &rules, command, reply)
            }
            (0x84, 0xCD) => {
                let rules = self.profile.algorithm.ok_or(Sw::INS_NOT_SUPPORTED)?;
                self.change_algorithm(cx, &rules, command, challenge)
            }
            (0x80, 0xD4) => self.write_key(cx, command),
            (0x84, 0xD4) => self.write_key_secured(cx, command, challenge),
            (0x84, 0x16) => self.card_block(cx, command, challenge),
            (0x84, 0x24) => self.pin_unblock(cx, command, challenge),
            (0x84, 0x18) => self.application_unblock(cx, command, challenge),
            (0x84, 0x1E) => self.application_block(cx, command, challenge),
            (0x00 | 0x04 | 0x80 | 0x84 | 0xE0, _) => Err(Sw::INS_NOT_SUPPORTED),
            _ => Err(Sw::CLA_NOT_SUPPORTED),
        };
        done.map(|()| Sw::OK)
    }

    /// Permanently locked: nothing. Temporarily: SELECT, challenge, block, unblock and, by profile, reading. [correction 4]
    fn refuse_if_locked(&self, cx: &mut Context<'_>, cla: u8, ins: u8, p1: u8) -> Result<(), Sw> {
        match lock::lock(cx, &self.profile)? {
            Lock::None => Ok(()),
            Lock::Card => Err(Sw::FUNCTION_NOT_SUPPORTED),
            Lock::Permanent => Err(status::PERMANENTLY_LOCKED),
            Lock::Temporary => match (cla, ins) {
                (0x00, 0x84 | 0xA4) | (0x84, 0x18 | 0x1E) => Ok(()),
                (0xE0, 0xCA) if self.profile.locked_reads && p1 == 0 => Ok(()),
                (0x00 | 0x04 | 0x84, 0xB0 | 0xB2) | (0x80, 0x5A | 0x5C) if self.profile.locked_reads => {
                    Ok(())
                }
                _ => Err(self.profile.locked_answer),
            },
        }
    }
}

impl<S: Suite> Module for Purse<S> {
    /// The parameters are a [`Scheme`](crate::scheme::Scheme), or empty.
    fn install(&self, cx: &mut Context<'_>, parameters: &[u8]) -> Result<(), Sw> {
        self.install_as(cx, parameters)
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        session::clear(cx);
        self.of_instance(cx).and_then(|purse| purse.fci(cx, reply)).unwrap_or_else(|sw| sw)
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        match self.of_instance(cx).and_then(|purse| purse.dispatch(cx, command, reply)) {
            Ok(sw) => Action::Reply(sw),
            Err(sw) => {
                reply.clear();
                Action::Reply(sw)
            }
        }
    }

    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        self.of_instance(cx)?.take_grouping(cx, dgi, data)
    }
}
