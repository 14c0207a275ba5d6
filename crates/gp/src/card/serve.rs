//! The services of the domain for an application that hands its commands over: the channel is the application's. [GPC 7.3, CPS 4.3]
//!
//! The application is selected, the handshake and all protected commands come by `Action::ToSecurityDomain`. STORE DATA personalises the
//! application without INSTALL [for personalization]; any other command goes back to it plain. The card's content is not managed here:
//! that takes the domain itself, selected.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Forward, InstanceId, SecureChannel};

use super::manager::{CardManager, Done, Exchange};
use crate::life_cycle::CardState;
use crate::store_data;

impl CardManager<'_> {
    /// A command of `application`, as it came out of the channel.
    pub(super) fn serve(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        application: InstanceId,
        plain: &Command<'_>,
    ) -> Result<Done, Sw> {
        // A host that is nobody (SCP11b) talks to the application, which is told so; personalising takes somebody.
        let somebody = x.session.is_open() && !self.lacks_c_mac(x);
        let nobody = x.session.is_protecting() && !x.session.is_open();
        if !somebody && (is_store_data(plain) || !nobody) {
            return Err(Sw::SECURITY_STATUS);
        }
        if !is_store_data(plain) {
            x.progress.end_personalisation();
            let len = plain.write(x.cx.scratch).map_err(|_| Sw::WRONG_LENGTH)?.len();
            let protection = x.session.protection();
            return Ok(Done::Forward(Forward::Process { to: application, protection, len }));
        }
        let selectable = x.cx.directory.entry(x.cx.memory, application)?.selectable;
        if matches!(x.card.state, CardState::CardLocked | CardState::Terminated) || !selectable {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        x.progress.target = application.0;
        self.store_data(x, plain)
    }

    /// The application did what the command asked for, or refused.
    pub(super) fn serve_again(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        plain: &Command<'_>,
        result: Sw,
    ) -> Result<Done, Sw> {
        match result {
            _ if is_store_data(plain) => self.personalised(x, plain, result),
            _ if result.is_ok() || result.is_warning() => Ok(Done::Reply(result)),
            _ => Err(result),
        }
    }
}

/// STORE DATA in a class of GlobalPlatform's: with an interindustry one INS E2 is APPEND RECORD, which is the application's.
fn is_store_data(plain: &Command<'_>) -> bool {
    plain.ins() == store_data::INS && matches!(plain.cla(), 0x80..=0x83 | 0xC0..=0xCF)
}
