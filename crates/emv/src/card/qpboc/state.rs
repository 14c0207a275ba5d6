//! The card's durable state as [`super::decision`] sees it.

use huiwan_apdu::Sw;
use huiwan_card::Context;

use super::decision::State;
use super::{fdda, objects};
use crate::data::amount::Amount;
use crate::data::bits::CardProcesses;

impl State {
    pub(super) fn load(cx: &mut Context<'_>) -> Result<Self, Sw> {
        let required = Sw::CONDITIONS_NOT_SATISFIED;
        Ok(Self {
            blocked: cx.exists(objects::BLOCKED)?,
            processes: CardProcesses(objects::optional(cx, objects::PROCESSES)?.ok_or(required)?),
            currency: objects::optional(cx, objects::CURRENCY)?.ok_or(required)?,
            balance: objects::amount(cx, objects::BALANCE)?,
            single_limit: objects::amount(cx, objects::SINGLE_LIMIT)?,
            reset_threshold: objects::amount(cx, objects::RESET_THRESHOLD)?,
            cvm_limit: objects::amount(cx, objects::CVM_LIMIT)?,
            total: objects::amount(cx, objects::TOTAL)?.unwrap_or(Amount::ZERO),
            total_limit: objects::amount(cx, objects::TOTAL_LIMIT)?,
            total_upper_limit: objects::amount(cx, objects::TOTAL_UPPER_LIMIT)?,
            foreign_count: objects::optional::<1>(cx, objects::FOREIGN_COUNT)?.map_or(0, |[count]| count),
            foreign_limit: objects::optional::<1>(cx, objects::FOREIGN_LIMIT)?.map(|[limit]| limit),
            new_card: cx.read_array(objects::LAST_ONLINE_ATC)? == [0, 0],
            pin_tries: objects::optional::<1>(cx, objects::PIN_TRIES)?.map(|[tries]| tries),
            wearer_verified: cx.wearer_verified,
            can_sign: fdda::modulus_len(cx)? > 0,
        })
    }
}
