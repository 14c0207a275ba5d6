//! EXTERNAL AUTHENTICATE and INTERNAL AUTHENTICATE. [sheet 1.2]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Context, ResponseWriter};
use huiwan_crypto::{Suite, ct_eq};

use super::Purse;
use super::objects::CardKey;
use super::session::{self, Challenge};
use crate::authentication::{self, CRYPTOGRAM_MAX};
use crate::keys::{self, KeyKind};

impl<S: Suite> Purse<S> {
    /// P2 is the key's index. A try is spent durably before the comparison, so that cutting the power cannot save it.
    pub(super) fn external_authenticate(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        const KIND: KeyKind = KeyKind::ExternalAuthentication;
        if command.p1() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let key = CardKey::read(cx, KIND, command.p2())?;
        let tries = key.tries(KIND, command.p2(), self.profile.authentication_error_limit);
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        let mut block = [0; CRYPTOGRAM_MAX];
        // Lengths are looked at before the challenge: they cost no try.
        if command.data().len() != huiwan_crypto::BlockKey::block_len(&key) {
            return Err(Sw::WRONG_LENGTH);
        }
        // Eight bytes: four come again soon enough for somebody who has collected answers. [sheet 1.2]
        let challenge =
            challenge.filter(|challenge| challenge.as_bytes().len() == 8).ok_or(Sw::DATA_INVALIDATED)?;
        session::set_authenticated(cx, false);
        let left = tries.spend(cx)?;
        let expected = authentication::cryptogram(&key, challenge.as_bytes(), &mut block);
        if !ct_eq(expected.map_err(|_| Sw::UNKNOWN)?, command.data()) {
            return Err(Sw::tries_left(left));
        }
        tries.restore(cx)?;
        session::set_authenticated(cx, true);
        Ok(())
    }

    /// P2 is the key's index; the answer is the data encrypted.
    pub(super) fn internal_authenticate(
        &self,
        cx: &mut Context<'_>,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        if command.p1() != 0 {
            return Err(Sw::WRONG_P1P2);
        }
        let key = CardKey::read(cx, KeyKind::InternalAuthentication, command.p2())?;
        let key: S::Key = keys::open(key.algorithm, &key.value).map_err(|_| Sw::UNKNOWN)?;
        // Whole blocks that fit a short answer.
        let mut out = [0; 256];
        let answer = authentication::answer(&key, command.data(), &mut out).map_err(|_| Sw::WRONG_LENGTH)?;
        reply.push(answer)
    }
}
