//! SELECT of the issuer security domain: its FCI. [GPC 11.9]

use huiwan_apdu::Sw;
use huiwan_card::{Context, InstanceId, MemoryError, ResponseWriter};
use huiwan_tlv::Tag;

use super::domain::{Domain, Settings};
use super::keys::{self, KeySet};
use super::manager::CardManager;
use super::objects;
use super::registry::Card;
use super::store_data::OBJECT_MAX;
use crate::life_cycle::CardState;
use crate::recognition::{self, Protocol};
use crate::scp03::Options;
use crate::scp11;
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

    /// The secure channel protocols of a domain: those there are keys for, its own or while it has none those of the nearest above;
    /// first that of key version 00, which hosts begin with. [GPC H.2]
    pub(super) fn protocols_of(
        &self,
        cx: &mut Context<'_>,
        domain: &Domain,
        card: &Card,
    ) -> Result<impl Iterator<Item = Protocol> + use<>, Sw> {
        let owner = self.key_owner(cx, domain, card)?;
        let (mut aes, mut des, mut des_first) = (false, false, false);
        let scp02 = owner.scp02(self.profile.scp02);
        if let Some(options) = scp02 {
            let mut after = None;
            while let Some(version) = keys::next_version(cx.memory, owner.instance, after)? {
                after = Some(version);
                let Some(set) = KeySet::read(cx.memory, owner.instance, version)? else { continue };
                aes |= set.scp03().is_some();
                if set.scp02(options).is_some() {
                    des = true;
                    des_first |= version == owner.default_key_version(card);
                }
            }
        }
        // A domain tells the "i" it was installed with, also while the keys of another serve it.
        let scp03 = self.scp03_of(cx)?;
        // One with keys of SCP11 alone has neither.
        let symmetric = owner.supplementary.is_none() || owner.default_key_version(card) != 0;
        let scp03 = (symmetric && owner.speaks_scp03() && (aes || !des)).then_some(Scp::Scp03(scp03));
        let scp02 = scp02.filter(|_| des).map(Scp::Scp02);
        let symmetric = if des_first { [scp02, scp03] } else { [scp03, scp02] };
        let scp11 = self.scp11.filter(|_| owner.speaks_scp11()).map_or(&[][..], |scp11| scp11.profile.told);
        let scp11 = scp11.iter().map(|&i| Protocol { scp: scp11::SCP, i });
        Ok(symmetric.into_iter().flatten().map(Protocol::from).chain(scp11))
    }

    /// What the issuer adds to the recognition data of this domain.
    pub(super) fn issuer_recognition<'o>(
        &self,
        cx: &mut Context<'_>,
        out: &'o mut [u8; OBJECT_MAX],
    ) -> Result<&'o [u8], Sw> {
        match cx.memory.read(objects::recognition(cx.instance), 0, out) {
            Ok(part) => Ok(part),
            Err(MemoryError::NotFound) => Ok(&[]),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn answer_select(&self, cx: &mut Context<'_>, reply: &mut ResponseWriter<'_>) -> Sw {
        let read = Card::read(cx.memory).and_then(|card| {
            let domain = Domain::read(cx.memory, cx.instance, cx.aid, self.issuer_privileges())?;
            Ok((card.state, self.protocols_of(cx, &domain, &card)?))
        });
        let (state, protocols) = match read {
            Ok(read) => read,
            Err(sw) => return sw,
        };
        let mut issuer = [0; OBJECT_MAX];
        let issuer = match self.issuer_recognition(cx, &mut issuer) {
            Ok(issuer) => issuer,
            Err(sw) => return sw,
        };
        // The longest command data field: 255 bytes, with the MAC in it.
        let max = u8::MAX;
        let written = reply.tlv(|w| {
            w.nested(TAG_6F_FCI, |w| {
                w.put(TAG_84_DF_NAME, cx.aid.as_bytes());
                w.nested(TAG_A5_PROPRIETARY, |w| {
                    recognition::write_template_with(w, protocols, issuer);
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
