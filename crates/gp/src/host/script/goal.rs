//! The actions that reach a goal, in a way that the next script of the window can begin again.

use huiwan_apdu::{Aid, Sw};

use super::super::tsm_job::Goal;
use super::super::{Install, Job, PutKeys, Transition};
use super::{Action, Allowed, Then};
use crate::delete::Target;

/// The most actions a goal needs.
pub const MAX_ACTIONS: usize = 3;

const NONE: &[Allowed] = &[];
/// What is not there is deleted, or locked enough.
const ABSENT: &[Allowed] = &[Allowed { sw: Sw::REFERENCED_DATA_NOT_FOUND, then: Then::GoOn }];
/// Installed by an earlier script of the window that was cut off.
const THERE: &[Allowed] = &[Allowed { sw: Sw::CONDITIONS_NOT_SATISFIED, then: Then::GoOn }];
/// Not there, locked already (cards say either), or the whole card is.
const LOCKED: &[Allowed] = &[
    Allowed { sw: Sw::REFERENCED_DATA_NOT_FOUND, then: Then::GoOn },
    Allowed { sw: Sw::CONDITIONS_NOT_SATISFIED, then: Then::GoOn },
    Allowed { sw: Sw::WRONG_DATA, then: Then::GoOn },
];
/// The version is taken, by an earlier script of the window.
const TAKEN: &[Allowed] = &[Allowed { sw: Sw::WRONG_DATA, then: Then::GoOn }];

/// What a script for this goal does: what [`Plan::probe`](super::Plan::probe) selects first, and the actions.
///
/// One script is for one goal: an application that is issued can be used at once, and a script that comes to it again must find
/// nothing to do. The probe sees to that: only an application that is finished, and not locked, can be selected.
///
/// [`Goal::Keys`] without `retire` puts the keys under the old ones. With `retire` it deletes the old keys and is to be written
/// for a channel under the new ones, which proves that they work; the first script must have run before.
#[must_use]
pub fn for_goal<'j>(goal: &'j Goal<'j>) -> (Option<Aid>, heapless::Vec<Action<'j>, MAX_ACTIONS>) {
    let mut actions = heapless::Vec::new();
    let mut act = |job, also| {
        // There is room for the longest goal.
        let _ = actions.push(Action { job, also, keep: false });
    };
    let probe = match goal {
        // A card that has the file refuses it, as it would for other reasons: a script that comes to it again stops there.
        Goal::Loaded(load) => {
            act(Job::Load(*load), NONE);
            None
        }
        Goal::Issued { install, personalise } => {
            act(Job::Install(Install { make_selectable: false, ..*install }), THERE);
            act(Job::Personalise(*personalise), NONE);
            act(Job::MakeSelectable(install.instance), NONE);
            Some(install.instance)
        }
        Goal::Locked(aid) => {
            act(Job::SetStatus(Transition::LockApplication(*aid)), LOCKED);
            None
        }
        Goal::Unlocked(aid) => {
            act(Job::SetStatus(Transition::UnlockApplication(*aid)), NONE);
            Some(*aid)
        }
        Goal::Absent(aid) => {
            act(Job::Delete(Target::Content(aid.as_bytes())), ABSENT);
            None
        }
        Goal::Keys { key, version, retire: None } => {
            let put =
                PutKeys { key: *key, version: *version, remove_old: false, host_challenge: [0; 8].into() };
            act(Job::PutKeys(put), TAKEN);
            None
        }
        Goal::Keys { retire, .. } => {
            act(Job::Delete(Target::Key { id: None, version: *retire }), ABSENT);
            None
        }
    };
    (probe, actions)
}
