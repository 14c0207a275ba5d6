//! VERIFY, CHANGE PIN, RELOAD PIN and PIN UNBLOCK.

use huiwan_apdu::{Command, Sw};
use huiwan_card::Context;
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Challenge;

impl<S: Suite> Purse<S> {
    pub(super) fn verify(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        let _ = (self, cx, command);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn change_or_reload_pin(&self, cx: &mut Context<'_>, command: &Command<'_>) -> Result<(), Sw> {
        let _ = (self, cx, command);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn pin_unblock(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, challenge);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
