//! What a look at the card has found, as far as a goal wants to know it.

use super::Goal;
use crate::life_cycle::ApplicationState;
use crate::{get_status, key_information};

/// What a look has found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) application: Option<ApplicationState>,
    pub(super) new_keys: bool,
    pub(super) old_keys: bool,
    /// The load file is there in another version.
    pub(super) other_version: bool,
    /// The answer could not be read.
    pub(super) unreadable: bool,
}

impl Seen {
    pub(super) const NOTHING: Self =
        Self { application: None, new_keys: false, old_keys: false, other_version: false, unreadable: false };

    /// Takes note of a page of the registry, or of the key information template.
    pub(super) fn note(&mut self, goal: &Goal<'_>, data: &[u8]) {
        match goal {
            Goal::Keys { version, retire, .. } => match key_information::keys(data) {
                Ok(keys) => {
                    for key in keys {
                        self.new_keys |= key.version == *version;
                        self.old_keys |= Some(key.version) == *retire;
                    }
                }
                Err(_) => self.unreadable = true,
            },
            _ => {
                for entry in get_status::entries(data) {
                    match entry {
                        Ok(entry) if goal.aid() == Some(entry.aid) => {
                            self.application = Some(entry.application_state());
                            let package = goal.load().map(|load| load.file.cap().header().package);
                            self.other_version |= match (package, entry.version) {
                                (Some(package), Some(version)) => version != [package.major, package.minor],
                                _ => false,
                            };
                        }
                        Ok(_) => {}
                        Err(_) => self.unreadable = true,
                    }
                }
            }
        }
    }
}
