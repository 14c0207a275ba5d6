//! GET ALGORITHM and CHANGE ALGORITHM of JT/T 978 (80/84 CD): which of the card's two sets of keys it uses.
//!
//! A kind and index may hold a 3DES key and an SM4 key. As long as nothing was chosen the 3DES key is used where there is one,
//! else the SM4 key; a choice takes all keys from one set. The initialisation answers carry the algorithm byte of the key, so terminal,
//! PSAM and host follow the card.
//!
//! Object: chosen set 1 (01 3DES, 02 SM4) ‖ 01 if the other is blocked 1. There is none before the first choice.

use huiwan_apdu::{Command, Sw};
use huiwan_card::{Batch, Context, ResponseWriter};
use huiwan_crypto::{Algorithm, Suite};

use super::Purse;
use super::objects;
use super::session::{self, Challenge};
use crate::keys::KeyKind;
use crate::profile::AlgorithmRules;

/// The set that was chosen, and whether that is for good.
fn choice(cx: &mut Context<'_>) -> Result<(Option<Algorithm>, bool), Sw> {
    let Some([set, blocked]) = cx.find_array(objects::ALGORITHM)? else { return Ok((None, false)) };
    let set = match set {
        0x01 => Algorithm::Tdes,
        0x02 => Algorithm::Sm4,
        _ => return Err(Sw::MEMORY_FAILURE),
    };
    Ok((Some(set), blocked != 0))
}

/// The sets a key is looked for in, one after the other.
pub(super) fn sets(cx: &mut Context<'_>) -> Result<&'static [Algorithm], Sw> {
    Ok(match choice(cx)? {
        (None, _) => &[Algorithm::Tdes, Algorithm::Sm4],
        (Some(Algorithm::Sm4), _) => &[Algorithm::Sm4],
        (Some(_), _) => &[Algorithm::Tdes],
    })
}

/// The set that keys of this kind and index come from.
fn set_of(cx: &mut Context<'_>, kind: KeyKind, index: u8) -> Result<Algorithm, Sw> {
    for set in sets(cx)? {
        if cx.exists(objects::key(*set, kind, index))? {
            return Ok(*set);
        }
    }
    // No key anywhere: the set that is chosen, or the first.
    Ok(sets(cx)?.first().copied().unwrap_or(Algorithm::Tdes))
}

impl<S: Suite> Purse<S> {
    /// 80 CD 00 00: one byte, as [`AlgorithmRules`] says.
    pub(super) fn get_algorithm(
        &self,
        cx: &mut Context<'_>,
        rules: &AlgorithmRules,
        command: &Command<'_>,
        reply: &mut ResponseWriter<'_>,
    ) -> Result<(), Sw> {
        match command.p1p2() {
            0x0000 if command.data().is_empty() => {}
            0x0000 => return Err(Sw::WRONG_LENGTH),
            _ if [rules.tdes_p1, rules.sm4_p1, rules.block_p1].contains(&command.p1()) => {
                return Err(Sw::SM_MISSING);
            }
            _ => return Err(Sw::WRONG_P1P2),
        }
        // Without a choice every key has its own set; the maintenance key stands for the card.
        let set = set_of(cx, KeyKind::Maintenance, self.profile.maintenance_key_index)?;
        reply.push(&[if set == Algorithm::Sm4 { rules.sm4 } else { rules.tdes }])
    }

    /// 84 CD: P1 chooses a set, or blocks the one not in use; the MAC is of the maintenance key in use.
    pub(super) fn change_algorithm(
        &self,
        cx: &mut Context<'_>,
        rules: &AlgorithmRules,
        command: &Command<'_>,
        challenge: Option<Challenge>,
    ) -> Result<(), Sw> {
        let p1 = command.p1();
        if command.p2() != 0 || ![rules.tdes_p1, rules.sm4_p1, rules.block_p1].contains(&p1) {
            return Err(Sw::WRONG_P1P2);
        }
        // The unlock has to find the keys of the lock.
        self.refuse_if_grey_locked(cx)?;
        let (_, blocked) = choice(cx)?;
        if blocked {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        self.check_secured_alone(cx, command, challenge)?;
        let set = if p1 == rules.tdes_p1 {
            Algorithm::Tdes
        } else if p1 == rules.sm4_p1 {
            Algorithm::Sm4
        } else {
            set_of(cx, KeyKind::Maintenance, self.profile.maintenance_key_index)?
        };
        Self::check_complete(cx, set)?;
        let mut buffer = [0; 64];
        let mut batch = Batch::new(&mut buffer);
        let code = if set == Algorithm::Sm4 { 0x02 } else { 0x01 };
        batch.put(cx.object(objects::ALGORITHM), &[code, u8::from(p1 == rules.block_p1)]);
        self.clear_secured_errors(cx, KeyKind::Maintenance, &mut batch)?;
        cx.commit(&batch)?;
        // What was proved with a key of the other set does not count any more.
        session::set_authenticated(cx, false);
        Ok(())
    }

    /// 6A88 unless the set has every key that the other has: a card that lost its load or maintenance key on the way could
    /// neither work nor be brought back.
    fn check_complete(cx: &mut Context<'_>, set: Algorithm) -> Result<(), Sw> {
        let [first, last] = objects::keys_of(objects::other(set));
        let mut at = Some(cx.object(first));
        while let Some(object) = cx.memory.next_object(at)? {
            if object.instance != cx.instance || object.id > last {
                break;
            }
            if !cx.exists(objects::in_set(object.id, set))? {
                return Err(Sw::REFERENCED_DATA_NOT_FOUND);
            }
            at = Some(object);
        }
        Ok(())
    }
}
