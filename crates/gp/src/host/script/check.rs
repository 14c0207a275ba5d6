//! Writing a script, and checking what came back of it, with a key store at hand.

#[cfg(doc)]
use super::super::key_store::KeyError;
use super::super::key_store::KeyStore;
use super::write::{Input, OUT_LEN, Step, Writer};
use super::{Plan, WriteError};

/// Writes a script with a key store at hand.
///
/// # Errors
/// [`WriteError`].
pub fn write<'o>(
    plan: Plan<'_>,
    store: &mut impl KeyStore,
    script: &'o mut [u8],
) -> Result<&'o [u8], WriteError> {
    check(plan, store, &[], script)
}

/// The same with the answers a player kept, each with the number of its entry: the session is gone through once more, and the key
/// store checks what protection they have. `script` comes out as it was sent to the player, which is for the caller to compare.
/// An error status has no protection and proves nothing. Under SCP02 the answers are checked as far as they come without a gap, and none
/// may come behind one.
///
/// # Errors
/// [`WriteError`]; [`WriteError::Key`] with [`KeyError::NotAuthentic`] for an answer that is not this card's to that command.
pub fn check<'o>(
    plan: Plan<'_>,
    store: &mut impl KeyStore,
    answers: &[(u16, &[u8])],
    script: &'o mut [u8],
) -> Result<&'o [u8], WriteError> {
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let mut writer = Writer::new(plan);
    let mut input = Input::Start;
    let mut before = 0;
    let chained = plan.card.protocol.chains_responses(plan.level);
    // The first entry without an answer, and whether one came behind it.
    let (mut gap, mut behind) = (None, false);
    loop {
        // The loop answers what is asked.
        let step = writer.step(input, script, &mut out).map_err(|_| WriteError::Full)?;
        input = match step {
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Written(count) => {
                let new = core::mem::replace(&mut before, count) < count;
                let kept = answers.iter().find(|(entry, _)| new && entry.checked_add(1) == Some(count));
                match (kept, gap) {
                    (Some(_), Some(_)) => {
                        behind = true;
                        Input::Continue
                    }
                    (Some((_, answer)), None) if writer.takes_answer() => Input::Answer(answer),
                    (None, None) if chained && new && writer.takes_answer() => {
                        gap = count.checked_sub(1);
                        Input::Continue
                    }
                    _ => Input::Continue,
                }
            }
            Step::Done(Ok(len)) => {
                return match gap {
                    Some(entry) if behind => Err(WriteError::Gap(entry)),
                    _ => script.get(..len).ok_or(WriteError::Full),
                };
            }
            Step::Done(Err(error)) => return Err(error),
        };
    }
}
