//! WRITE KEY.

use huiwan_apdu::{Command, Sw};
use huiwan_card::Context;
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Challenge;

impl<S: Suite> Purse<S> {
    pub(super) fn write_key(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, challenge);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
