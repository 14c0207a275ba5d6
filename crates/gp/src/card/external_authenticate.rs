//! EXTERNAL AUTHENTICATE. [GPC D.4.2, E.5.2, AmdD 7.1.2]

use huiwan_apdu::{Command, Sw};
use huiwan_card::InstanceId;

use super::keys;
use super::manager::{CardManager, Done, Exchange};
use crate::life_cycle::CardState;
use crate::secure_channel::Level;

impl CardManager<'_> {
    pub(super) fn external_authenticate(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        x.session.external_authenticate(command)?;
        // The first good C-MAC of an SCP02 session spends the counter, before anything else happens. [GPC E.1.2.3]
        if x.session.is_scp02()
            && let Err(sw) =
                keys::raise_counter(x.cx.memory, InstanceId(x.progress.key_owner), x.session.key_version())
        {
            x.session.end();
            return Err(sw);
        }
        if self.lacks_c_mac(x) {
            x.session.end();
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        // The answer to EXTERNAL AUTHENTICATE itself is plain, whatever the level. [AmdD 6.2.5]
        Ok(Done::Opened)
    }

    /// Whether the session has no command MACs on a card that demands them: one that was opened before the card was SECURED, too.
    pub(super) fn lacks_c_mac(&self, x: &Exchange<'_, '_, '_, '_, '_>) -> bool {
        let in_field = matches!(x.card.state, CardState::Secured | CardState::CardLocked);
        self.profile.secured_needs_c_mac && in_field && !x.session.level().is_some_and(Level::c_mac)
    }
}
