//! EXTERNAL AUTHENTICATE and INTERNAL AUTHENTICATE.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;
use super::session::Challenge;

impl<S: Suite> Purse<S> {
    pub(super) fn external_authenticate(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, challenge);
        Err(Sw::INS_NOT_SUPPORTED)
    }

    pub(super) fn internal_authenticate(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
