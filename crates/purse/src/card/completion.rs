//! What every completion makes durable, in one commit: purse, log, proof, cached records, and the count of wrong MACs back
//! to none. [sheet 3.4]

use huiwan_apdu::Sw;
use huiwan_card::files::File;
use huiwan_card::{Batch, Context};

use super::files::PurseFiles;
use super::lock;
use super::objects::{self, LastProof, PurseState};
use super::session::{Phase, Session};
use crate::command::Proof;
use crate::date::Stamp;
use crate::pack::u24;
use crate::transit::log::{self, LogRecord};

/// A transaction that is about to happen.
#[derive(Debug)]
pub(super) struct Completion<'a> {
    pub(super) session: &'a Session,
    pub(super) after: PurseState,
    /// The counter that numbers it, after.
    pub(super) seq: u16,
    pub(super) stamp: Stamp,
    pub(super) proof: Proof,
}

impl Completion<'_> {
    /// Adds purse, log, proof and error counter to `batch`.
    pub(super) fn put(
        &self,
        cx: &mut Context<'_>,
        files: &PurseFiles,
        batch: &mut Batch<'_>,
    ) -> Result<(), Sw> {
        let (tti, init) = (self.session.tti(), &self.session.init);
        let record = LogRecord::new()
            .with(log::SEQ, self.seq.to_be_bytes())
            .with(log::OVERDRAFT, u24(self.after.overdraft))
            .with(log::AMOUNT, init.amount.to_be_bytes())
            .with(log::TTI, [tti.0])
            .with(log::TERMINAL, init.terminal)
            .with(log::DATE, self.stamp.date)
            .with(log::TIME, self.stamp.time);
        let proof = LastProof { tti, seq: self.seq, proof: self.proof };
        batch.put(cx.object(objects::purse(self.session.account)), &self.after.to_bytes());
        batch.put(cx.object(objects::PROOF), &proof.to_bytes());
        for log in [Some(files.log()), self.second_log(cx, files)?].into_iter().flatten() {
            log.append_record(cx.memory, batch, cx.instance, record.as_bytes())?;
        }
        lock::clear_mac_errors(cx, batch)
    }

    /// The log of 建设部 that has this transaction too: of loads, or of purchases elsewhere, which are those whose
    /// terminal number does not begin with the card's city, bytes 2 and 3 of file 0015. [sheet 5.3]
    fn second_log<'f>(
        &self,
        cx: &mut Context<'_>,
        files: &'f PurseFiles,
    ) -> Result<Option<&'f File<'static>>, Sw> {
        match self.session.phase {
            Phase::Load => Ok(files.load_log()),
            Phase::Purchase | Phase::Capp | Phase::Cash | Phase::Unlock if files.remote_log().is_some() => {
                let mut home = [0; 2];
                cx.memory.read(cx.object(objects::PUBLIC_INFO), 2, &mut home)?;
                let here = self.session.init.terminal.starts_with(&home);
                Ok(files.remote_log().filter(|_| !here))
            }
            _ => Ok(None),
        }
    }
}
