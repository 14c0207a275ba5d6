//! The qPBOC (quickPass) payment application. `[JR/T 0025.12]`
//!
//! ```text
//! SELECT ─▶ FCI with PDOL
//! GET PROCESSING OPTIONS ─▶ ATC + 1, durable ─▶ decision ─┬─ AAC   declined
//!                                                         ├─ ARQC  issuer decides ─▶ EXTERNAL AUTHENTICATE, scripts (also in a second tap)
//!                                                         └─ TC    fDDA ─▶ READ RECORD … last one ─▶ debit and log, durable together
//! ```
//!
//! * [`decision`]: what to answer, a pure function.
//! * [`gpo`], [`fdda`], [`records`]: one tap. [`external_authenticate`], [`scripts`]: what the issuer sends back.
//! * [`get_data`]: counters and limits for the wearer's screen. [`personalise`]: how data get in ([`crate::personalisation`]).
//! * [`objects`]: every durable object and its number. [`session`]: what is known of the last transaction.
//!
//! # Choices of this application
//! The published standard leaves these open, or sources disagree; they are [`Profile`] values or stated where they are made.
//! * Issuer data of a TC report the balance *after* the debit, which lands with the last record.
//! * After SELECT, the records of the last approval can be read again until the next GET PROCESSING OPTIONS, so that a terminal
//!   that lost the last answer gets it; the debit is not repeated.
//! * A blocked application answers AAC, so that the issuer can still send APPLICATION UNBLOCK bound to that cryptogram.
//! * A correct script MAC proves that the issuer answered, as EXTERNAL AUTHENTICATE does: the card is no longer new.

pub mod decision;
pub mod external_authenticate;
mod fci;
pub mod fdda;
pub mod get_data;
pub mod gpo;
pub mod objects;
pub mod personalise;
pub mod records;
pub mod scripts;
pub mod session;
mod state;

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Action, Batch, Context, Module, ResponseWriter};
use huiwan_crypto::CryptoError;

use crate::certificates::FddaFormat;

/// How the card tells its issuer, in data the cryptogram covers, that the device verified its wearer: CTQ is covered by none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CdcvmEvidence {
    /// Not at all.
    None,
    /// As "offline PIN verification performed" and not failed (CVR byte 1 bit 3), which both cryptogram versions cover.
    #[default]
    OfflinePin,
}

/// What the standard leaves to the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Format byte of the fDDA signature.
    pub fdda_format: FddaFormat,
    /// How the issuer sees a verification on the device.
    pub cdcvm_evidence: CdcvmEvidence,
    /// How many wrong script MACs one transaction may see before its scripts are refused (6985).
    pub script_mac_tries: u8,
    /// With an ARQC, to a terminal that can do issuer updates: tell that this card can too (CTQ byte 2 bit 7), so that
    /// the terminal brings the issuer's answer in a second tap. The bit is from Visa-oriented sources.
    pub announces_issuer_update: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            fdda_format: FddaFormat::Pboc,
            cdcvm_evidence: CdcvmEvidence::OfflinePin,
            script_mac_tries: 3,
            announces_issuer_update: true,
        }
    }
}

/// The code of the payment application; its volatile slot needs [`session::SLOT`] bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Qpboc {
    /// The product's choices.
    pub profile: Profile,
}

/// An error is a status word, and goes without data.
fn reply_with(result: Result<Action, Sw>, reply: &mut ResponseWriter<'_>) -> Action {
    result.unwrap_or_else(|sw| {
        reply.clear();
        Action::Reply(sw)
    })
}

/// The instruction of a command this application serves, with the class bytes it accepts.
const fn known_class(ins: u8) -> Option<&'static [u8]> {
    Some(match ins {
        gpo::INS | get_data::INS => &[0x80],
        records::INS | external_authenticate::INS => &[0x00],
        scripts::PUT_DATA | scripts::UPDATE_RECORD => &[0x04],
        scripts::APPLICATION_BLOCK | scripts::APPLICATION_UNBLOCK => &[0x84],
        _ => return None,
    })
}

impl Module for Qpboc {
    fn install(&self, cx: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        let mut buffer = [0; 64];
        let mut batch = Batch::new(&mut buffer);
        batch.delete_instance(cx.instance);
        batch.put(cx.object(objects::LAYOUT), &[objects::LAYOUT_VERSION]);
        batch.put(cx.object(objects::ATC), &[0, 0]);
        batch.put(cx.object(objects::LAST_ONLINE_ATC), &[0, 0]);
        cx.commit(&batch)
    }

    fn select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        match fci::select(cx, reply) {
            Ok(sw) | Err(sw) => sw,
        }
    }

    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, reply: &mut ResponseWriter<'_>) -> Action {
        let ins = command.ins();
        let Some(classes) = known_class(ins) else {
            return Action::Reply(Sw::INS_NOT_SUPPORTED);
        };
        // The channel number is not part of the class the application distinguishes.
        if !classes.contains(&(command.cla() & 0xFC)) {
            return Action::Reply(Sw::CLA_NOT_SUPPORTED);
        }
        let result = match ins {
            gpo::INS => gpo::process(&self.profile, cx, command, reply),
            records::INS => records::read(&self.profile, cx, command, reply),
            get_data::INS => get_data::process(cx, command, reply).map(Action::Reply),
            external_authenticate::INS => external_authenticate::process(cx, command).map(Action::Reply),
            _ => scripts::process(&self.profile, cx, command).map(Action::Reply),
        };
        reply_with(result, reply)
    }

    fn computed(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        result: Result<usize, CryptoError>,
        reply: &mut ResponseWriter<'_>,
    ) -> Action {
        let done = fdda::place_signature(cx, result, reply).and_then(|()| match command.ins() {
            records::INS => records::finish(cx, command),
            _ => Ok(()),
        });
        reply_with(done.map(|()| Action::Reply(Sw::OK)), reply)
    }

    fn personalise(&self, cx: &mut Context<'_>, dgi: u16, data: &[u8]) -> Result<(), Sw> {
        personalise::store(cx, dgi, data)
    }
}
