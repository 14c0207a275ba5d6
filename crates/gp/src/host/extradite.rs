//! Giving an application, security domain or load file to another domain, and changing what the registry says of one. [GPC 11.5.2.3.4,
//! 11.5.2.3.6]

use huiwan_apdu::Aid;

use super::content::{Changing, Link};
use super::fault::Stage;
use super::install::change;
use super::manager::{Event, Turn};
use crate::install::{FOR_EXTRADITION, FOR_REGISTRY_UPDATE, Fields, Parameters};
use crate::privileges::Privileges;

/// What goes to which domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extradite {
    /// An application, security domain or load file.
    pub what: Aid,
    /// The domain it is to be associated with.
    pub to: Aid,
    /// The domain it is associated with now, which a receipt covers; `None`: the one the channel is opened on.
    pub from: Option<Aid>,
}

impl Extradite {
    pub(super) fn turn(
        &self,
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let from = self.from.or(link.channel.map(|channel| channel.aid));
        let from = from.as_ref().map_or(&[][..], Aid::as_bytes);
        let (what, to) = (self.what.as_bytes(), self.to.as_bytes());
        let fields = Fields { load_file: to, instance: what, ..Fields::default() };
        let write = |out: &mut [u8]| fields.write_before_token(out).ok();
        let names = [from, what, to];
        let change = change(Stage::Extradition, [FOR_EXTRADITION, 0], &write, &names);
        changing.turn(&change, event, link, out)
    }
}

/// What changes in the registry. What is `None` or not set in the parameters stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct RegistryUpdate<'j> {
    /// The application or security domain.
    pub application: Aid,
    /// Its new domain.
    pub domain: Option<Aid>,
    /// Its new privileges, all of them.
    pub privileges: Option<Privileges>,
    /// New system parameters: contactless state, label, priority, user interaction.
    pub parameters: Parameters<'j>,
    /// Functions a security domain loses for good, see [`crate::install::restriction`].
    pub restriction: Option<u8>,
}

impl RegistryUpdate<'_> {
    pub(super) fn turn(
        &self,
        changing: &mut Changing,
        event: Event<'_>,
        link: &Link,
        out: &mut [u8],
    ) -> Turn {
        let privileges = self.privileges.map(Privileges::bytes);
        let write = |out: &mut [u8]| {
            let mut buffer = [0; 255];
            let fields = Fields {
                load_file: self.domain.as_ref().map_or(&[][..], Aid::as_bytes),
                instance: self.application.as_bytes(),
                privileges: privileges.as_ref().map_or(&[][..], |bytes| &bytes[..]),
                parameters: self.parameters.write_update(self.restriction, &mut buffer).ok()?,
                ..Fields::default()
            };
            fields.write_before_token(out).ok()
        };
        let names = [self.application.as_bytes()];
        let change = change(Stage::RegistryUpdate, [FOR_REGISTRY_UPDATE, 0], &write, &names);
        changing.turn(&change, event, link, out)
    }
}
