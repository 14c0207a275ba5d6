//! What is on a card and what depends on what: a plan of a deletion before anything is sent. [GPC 9.5, 11.2]
//!
//! ```text
//! domain ◀── associated ── application, domain, load file          load file ◀── installed from ── application
//! ```
//! The pages of [`Job::List`](super::Job::List) go in, of applications and of load files; out comes what goes with something, in an
//! order in which each can go by itself. Which load file imports which a registry does not tell: there the card has the last word.

use core::fmt;

use huiwan_apdu::Aid;
use huiwan_tlv::{At, TlvError};

use crate::get_status::{self, Scope};
use crate::privileges::Privileges;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Application,
    Domain,
    LoadFile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    aid: Aid,
    kind: Kind,
    /// The load file it is installed from.
    load_file: Option<Aid>,
    /// The domain it is associated with.
    domain: Option<Aid>,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// It is not among what was read.
    NotThere,
    /// What would have to go is needed by something that stays.
    StillNeeded {
        /// What would have to go.
        what: Aid,
        /// What needs it.
        by: Aid,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => f.write_str("it is not on the card"),
            Self::StillNeeded { what, by } => write!(f, "{what} is still needed by {by}"),
        }
    }
}

impl core::error::Error for PlanError {}

/// What could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryError {
    /// The page is no BER-TLV.
    Tlv(TlvError),
    /// An AID has no legal length.
    Aid,
    /// There is more on the card than the inventory holds.
    Full,
}

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tlv(kind) => write!(f, "registry: {kind}"),
            Self::Aid => f.write_str("aid in the registry is not 5 to 16 bytes long"),
            Self::Full => f.write_str("there is more on the card than the inventory holds"),
        }
    }
}

impl core::error::Error for InventoryError {}

/// Up to `N` applications, security domains and load files of a card.
#[derive(Debug, Clone, Default)]
pub struct Inventory<const N: usize> {
    items: heapless::Vec<Item, N>,
}

impl<const N: usize> Inventory<N> {
    /// Nothing read yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: heapless::Vec::new() }
    }

    /// How much was read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes in a page of GET STATUS. An entry that is there already is replaced.
    ///
    /// # Errors
    /// [`InventoryError`] and the byte of the page; what comes before it is taken in.
    pub fn add(&mut self, scope: Scope, page: &[u8]) -> Result<(), At<InventoryError>> {
        for entry in get_status::entries(page) {
            let entry = entry.map_err(|error| error.map(InventoryError::Tlv))?;
            let aid = |raw: &[u8]| Aid::new(raw).map_err(|_| At::new(InventoryError::Aid, 0));
            let domain = |privileges: Privileges| privileges.contains(Privileges::SECURITY_DOMAIN);
            let item = Item {
                aid: aid(entry.aid)?,
                kind: match scope {
                    Scope::LoadFiles | Scope::LoadFilesAndModules => Kind::LoadFile,
                    Scope::Issuer => Kind::Domain,
                    Scope::Applications if entry.privileges.is_some_and(domain) => Kind::Domain,
                    Scope::Applications => Kind::Application,
                },
                load_file: entry.load_file.map(aid).transpose()?,
                domain: entry.domain.map(aid).transpose()?,
            };
            match self.items.iter_mut().find(|old| old.aid == item.aid) {
                Some(old) => *old = item,
                None => self.items.push(item).map_err(|_| At::new(InventoryError::Full, 0))?,
            }
        }
        Ok(())
    }

    /// What has to go with this, in an order in which each can go by itself, this one not among it: applications, then load files, then
    /// domains, the innermost first.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn related(&self, what: &Aid) -> Result<heapless::Vec<Aid, N>, PlanError> {
        let root = self.items.iter().position(|item| item.aid == *what).ok_or(PlanError::NotThere)?;
        // A domain takes along what is associated with it, a load file its applications, whosever they are; this says how far away.
        let file = self.items.get(root).filter(|item| item.kind == Kind::LoadFile).map(|item| item.aid);
        let mut depth = [None; N];
        if let Some(place) = depth.get_mut(root) {
            *place = Some(0_usize);
        }
        let of = |depth: &[Option<usize>], aid: Option<Aid>| {
            let place = self.items.iter().position(|item| Some(item.aid) == aid)?;
            depth.get(place).copied().flatten()
        };
        // Every round finds those one step further; a registry with a ring in it ends, too.
        for _ in 0..self.items.len() {
            for (place, item) in self.items.iter().enumerate() {
                let of_the_file = (file.is_some() && item.load_file == file).then_some(0_usize);
                let above = of(&depth, item.domain).or(of_the_file);
                if let (Some(above), Some(entry @ None)) = (above, depth.get_mut(place)) {
                    *entry = Some(above.saturating_add(1));
                }
            }
        }
        for (item, going) in self.items.iter().zip(&depth) {
            // An application that stays needs its load file.
            if let (None, Some(file)) = (going, item.load_file)
                && of(&depth, Some(file)).is_some()
            {
                return Err(PlanError::StillNeeded { what: file, by: item.aid });
            }
        }
        let mut related = heapless::Vec::new();
        let going = || self.items.iter().zip(&depth).filter(|(item, _)| item.aid != *what);
        let mut push = |aid: Aid| related.push(aid).unwrap_or_default();
        for kind in [Kind::Application, Kind::LoadFile] {
            going()
                .filter(|(item, depth)| item.kind == kind && depth.is_some())
                .for_each(|(item, _)| push(item.aid));
        }
        for level in (1..=self.items.len()).rev() {
            going()
                .filter(|(item, depth)| item.kind == Kind::Domain && **depth == Some(level))
                .for_each(|(item, _)| push(item.aid));
        }
        Ok(related)
    }
}
