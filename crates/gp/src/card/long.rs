//! Commands longer than a short one: certificates of SCP11, with extended length or put together from a chain.

use huiwan_apdu::{Command, Sw};
use huiwan_card::SecureChannel;

use super::manager::{CardManager, Done, Exchange};
use crate::life_cycle::CardState;
use crate::store_data::{self, Control, Structure};

impl CardManager<'_> {
    /// Objects of the domain alone are so long. The plain data are in the first part of the work space meanwhile.
    #[inline(never)]
    pub(super) fn long(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let room = core::mem::take(&mut x.cx.scratch);
        let (data, rest) = room.split_at_mut_checked(command.data().len()).ok_or(Sw::WRONG_LENGTH)?;
        x.cx.scratch = rest;
        let plain = x.session.unwrap(command, data)?;
        x.progress.listing = 0;
        self.end_load_before(x, &plain)?;
        let class = matches!(plain.cla(), 0x00..=0x03 | 0x40..=0x4F | 0x80..=0x83 | 0xC0..=0xCF);
        let own = x.progress.target == 0 && x.cx.served.is_none();
        let structure = Control::from_byte(plain.p1()).map(|control| control.structure);
        let objects = matches!(structure, Some(Structure::Unstated | Structure::BerTlv));
        if plain.ins() != store_data::INS || !class || !own || !objects {
            return Err(Sw::WRONG_LENGTH);
        }
        if matches!(x.card.state, CardState::CardLocked | CardState::Terminated) {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if core::mem::take(&mut x.progress.chain) != 0 {
            x.progress.end_personalisation();
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        if !x.session.is_open() || self.lacks_c_mac(x) {
            return Err(Sw::SECURITY_STATUS);
        }
        self.store_data(x, &plain)
    }
}
