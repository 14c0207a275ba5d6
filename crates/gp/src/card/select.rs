//! SELECT of the issuer security domain: its FCI. [GPC 11.9]

use huiwan_apdu::Sw;
use huiwan_card::{Context, InstanceId, ResponseWriter};
use huiwan_tlv::Tag;

use super::domain::Settings;
use super::manager::CardManager;
use super::registry::Card;
use crate::life_cycle::CardState;
use crate::recognition;
use crate::scp03::Options;
use crate::secure_channel::Scp;

const TAG_6F_FCI: Tag = Tag::new(0x6F);
const TAG_84_DF_NAME: Tag = Tag::new(0x84);
const TAG_A5_PROPRIETARY: Tag = Tag::new(0xA5);
const TAG_9F65_MAX_DATA: Tag = Tag::new(0x9F65);

impl CardManager<'_> {
    /// "i" of the channel of this domain.
    pub(super) fn scp03_of(&self, cx: &mut Context<'_>) -> Result<Options, Sw> {
        match cx.instance {
            InstanceId::ISSUER => Ok(self.profile.scp03),
            domain => Ok(Settings::read(cx.memory, domain)?.scp03),
        }
    }

    /// The secure channel protocols of this domain: which of them its keys decide.
    pub(super) fn protocols_of(&self, cx: &mut Context<'_>) -> Result<impl Iterator<Item = Scp> + use<>, Sw> {
        let scp03 = self.scp03_of(cx)?;
        Ok(self.profile.scp02.map(Scp::Scp02).into_iter().chain([Scp::Scp03(scp03)]))
    }

    pub(super) fn answer_select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        let state = match Card::read(cx.memory) {
            Ok(card) => card.state,
            Err(sw) => return sw,
        };
        let protocols = match self.protocols_of(cx) {
            Ok(protocols) => protocols,
            Err(sw) => return sw,
        };
        // The longest command data field: 255 bytes, with the MAC in it.
        let max = u8::MAX;
        let written = reply.tlv(|w| {
            w.nested(TAG_6F_FCI, |w| {
                w.put(TAG_84_DF_NAME, cx.aid.as_bytes());
                w.nested(TAG_A5_PROPRIETARY, |w| {
                    recognition::write_template(w, protocols);
                    w.put(TAG_9F65_MAX_DATA, &[max]);
                });
            });
        });
        match (written, state) {
            (Err(sw), _) => sw,
            (Ok(()), CardState::CardLocked) => Sw::WARNING_SELECTED_INVALIDATED,
            (Ok(()), _) => Sw::OK,
        }
    }
}
