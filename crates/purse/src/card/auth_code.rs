//! GET AUTHENTICATION CODE of 建设部 (80 CA).

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::Suite;

use super::Purse;

impl<S: Suite> Purse<S> {
    pub(super) fn get_auth_code(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        let _ = (self, cx, command, reply);
        Err(Sw::INS_NOT_SUPPORTED)
    }
}
