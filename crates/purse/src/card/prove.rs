//! GET TRANSACTION PROVE: MAC and TAC of the last transaction again, for a terminal that lost the answer. [sheet 3.4]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::objects::LastProof;
use crate::status;
use crate::tti::Tti;

impl<S: Suite> Purse<S> {
    /// P2 is the transaction type, the data the counter after the transaction.
    pub(super) fn get_transaction_prove(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let tti = Tti(command.p2());
        if command.p1() != 0 || tti.name().is_none() {
            return Err(Sw::WRONG_P1P2);
        }
        let Ok(seq) = <[u8; 2]>::try_from(command.data()) else { return Err(Sw::WRONG_LENGTH) };
        let last = LastProof::read(cx)?
            .filter(|last| (last.tti, last.seq) == (tti, u16::from_be_bytes(seq)))
            .ok_or(status::NO_PROOF)?;
        reply.push(&last.proof.to_bytes())
    }
}
