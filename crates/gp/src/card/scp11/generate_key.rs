//! GENERATE KEY: a private key that never was outside the card. (yubikey-manager)

use huiwan_apdu::{Command, Sw};
use huiwan_crypto::Secret;
use huiwan_crypto::ec::{Curve, EcPrivate, FIELD_MAX};
use huiwan_tlv::Tag;

use crate::card::keys::KeySet;
use crate::card::manager::{CardManager, Done, Exchange};
use crate::card::put_key;
use crate::put_key::{KeyType, TYPE_B0_ECC_POINT, TYPE_F0_ECC_CURVE};

impl CardManager<'_> {
    // Apart, as its buffers are large.
    #[inline(never)]
    pub(super) fn generate_key<C: Curve>(
        &self,
        x: &mut Exchange<'_, '_, '_, '_, '_>,
        command: &Command<'_>,
    ) -> Result<Done, Sw> {
        let profile = self.scp11.ok_or(Sw::INS_NOT_SUPPORTED)?.profile;
        let (replaced, id) = (command.p1(), command.p2());
        if replaced & 0x80 != 0 || profile.variant(id).is_none() {
            return Err(Sw::WRONG_P1P2);
        }
        let &[version @ 0x01..=0x7F, TYPE_F0_ECC_CURVE, 1, curve] = command.data() else {
            return Err(Sw::WRONG_DATA);
        };
        if curve != profile.curve {
            return Err(Sw::WRONG_DATA);
        }
        let mut value = Secret::new([0; 1 + FIELD_MAX]);
        let len = C::FIELD_LEN.saturating_add(1);
        let bytes = value.expose_mut().get_mut(..len).ok_or(Sw::UNKNOWN)?;
        let (first, d) = bytes.split_first_mut().ok_or(Sw::UNKNOWN)?;
        *first = curve;
        let key = draw::<C>(x, d)?;
        let mut set = KeySet::new();
        set.push(id, KeyType::EccPrivate, None, bytes).ok_or(Sw::NOT_ENOUGH_MEMORY)?;
        put_key::keep(x, replaced, version, set)?;
        let point = key.public().map_err(|_| Sw::UNKNOWN)?;
        x.reply.tlv(|w| w.put(Tag::new(TYPE_B0_ECC_POINT.into()), point.as_bytes()))?;
        Ok(Done::OK)
    }
}

/// Draws the number of a key into `d`. That four in a row are none does not happen by chance.
fn draw<C: Curve>(x: &mut Exchange<'_, '_, '_, '_, '_>, d: &mut [u8]) -> Result<EcPrivate<C>, Sw> {
    for _ in 0..4 {
        x.cx.random.fill(d).map_err(|_| Sw::UNKNOWN)?;
        if let Ok(key) = EcPrivate::new(d) {
            return Ok(key);
        }
    }
    Err(Sw::UNKNOWN)
}
