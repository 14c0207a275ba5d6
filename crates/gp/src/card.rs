//! The card side: security domains as card managers, their registry, and the card's end of secure channels.
//!
//! [`Crs`] is the application through which the wearer chooses what answers on the antenna; [`system`] what applications ask of the card
//! by their privileges. [`CardManager`] is the module of instance 0, the issuer's domain, and of every supplementary domain;
//! [`Registry`] the directory of the same element; both look at durable memory and at one [`CardProfile`]. A factory writes the first state with [`format()`].

pub mod keys;
pub mod secure_channel;
pub mod system;

mod certificates;
mod contactless;
mod content;
pub mod crs;
mod delete;
mod directory;
mod domain;
mod ec_keys;
mod external_authenticate;
mod extradite;
mod format;
mod get_data;
mod get_status;
mod initialize_update;
mod install;
mod load;
mod load_file;
mod long;
mod manager;
mod objects;
mod pieces;
mod progress;
mod put_key;
mod registry;
mod registry_update;
mod rsa_keys;
mod scp11;
mod select;
mod serve;
mod set_status;
mod store_data;
mod store_keys;

pub use content::{PublicKey, PublicKeys};
pub use crs::Crs;
pub use directory::Registry;
pub use ec_keys::EcKeys;
pub use format::{Factory, format};
pub use manager::{CardManager, SLOT_LEN};
pub use rsa_keys::RsaKeys;
pub use scp11::Scp11Profile;

use huiwan_apdu::Aid;
use huiwan_card::ModuleId;

use crate::life_cycle::ContactlessState;
use crate::secure_channel::Scp;
use crate::store_data::DgiPadding;
use crate::{scp02, scp03};

/// The keys every test card has: 40 41 … 4F, three times. (industry habit)
pub const TEST_KEY: [u8; 16] =
    [0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];
/// Version of a first key set that disappears as soon as another one is added.
pub const INITIAL_KEY_VERSION: u8 = 0xFF;

/// Version of the SCP02 keys of a test card. (industry habit)
pub const TEST_SCP02_KEY_VERSION: u8 = 0x20;

/// What a kind of card is like. Values that differ from card to card of one kind are in [`Factory`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CardProfile {
    /// AID of the issuer security domain.
    pub issuer_aid: Aid,
    /// Where the card manager is in the element's list of modules.
    pub manager: ModuleId,
    /// The "i" parameter of SCP03.
    pub scp03: scp03::Options,
    /// The "i" parameter of SCP02 for key sets of DES keys; `None`: they open no channel.
    pub scp02: Option<scp02::Options>,
    /// How encrypted data groupings are padded.
    pub dgi_padding: DgiPadding,
    /// Contactless state of an application whose installation says nothing about it. (from a single source)
    pub contactless: ContactlessState,
    /// Once the card is SECURED, sessions need at least command MACs, those opened before as well. [S: CPS-MC]
    pub secured_needs_c_mac: bool,
    /// Instances besides the issuer security domain, 1 to 254.
    pub instances: u8,
    /// Load files that can be brought; together with the instances at most 255.
    pub load_files: u8,
    /// What happens when the wearer activates an application that excludes an activated one.
    pub conflicts: Conflicts,
    /// Whether GET DATA of interindustry class (`00`) answers the value alone, as a YubiKey does and its host expects; of class `80` it is
    /// always the whole data object.
    pub bare_get_data: bool,
    /// Whether the registry service takes SET STATUS over the antenna, where any reader in reach could send it. (our choice)
    pub crs_over_antenna: bool,
}

/// What happens when an application is activated that an activated one excludes. [AmdC 3.7] The amendment leaves the choice to the
/// wallet, which deactivates the other first; a band makes it in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Nothing changes; the answer names the other.
    Refuse,
    /// The other is deactivated in the same commit, so that a loss of power leaves one of the two, never both or neither.
    Replace,
}

impl CardProfile {
    /// AID A000000151000000, SCP03 with i = 70 alone, card manager as module 0, 16 instances, 8 load files.
    pub const DEFAULT: Self = Self {
        issuer_aid: Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00]),
        manager: ModuleId(0),
        scp03: scp03::Options::I70,
        scp02: None,
        dgi_padding: DgiPadding::Cps,
        contactless: ContactlessState::Activated,
        secured_needs_c_mac: true,
        instances: 16,
        load_files: 8,
        conflicts: Conflicts::Refuse,
        bare_get_data: false,
        crs_over_antenna: false,
    };

    /// The same with another AID of the issuer security domain.
    #[must_use]
    pub const fn with_issuer_aid(self, issuer_aid: Aid) -> Self {
        Self { issuer_aid, ..self }
    }

    /// The same with other SCP03 options.
    #[must_use]
    pub const fn with_scp03(self, scp03: scp03::Options) -> Self {
        Self { scp03, ..self }
    }

    /// The same with SCP02 for key sets of DES keys.
    #[must_use]
    pub const fn with_scp02(self, scp02: scp02::Options) -> Self {
        Self { scp02: Some(scp02), ..self }
    }

    /// The secure channel protocols, as card recognition data lists them.
    pub fn protocols(&self) -> impl Iterator<Item = Scp> {
        self.scp02.map(Scp::Scp02).into_iter().chain([Scp::Scp03(self.scp03)])
    }

    /// The same with another place of the card manager among the modules.
    #[must_use]
    pub const fn with_manager(self, manager: ModuleId) -> Self {
        Self { manager, ..self }
    }

    /// The same with another padding of encrypted data groupings.
    #[must_use]
    pub const fn with_dgi_padding(self, dgi_padding: DgiPadding) -> Self {
        Self { dgi_padding, ..self }
    }

    /// The same with another initial contactless state.
    #[must_use]
    pub const fn with_contactless(self, contactless: ContactlessState) -> Self {
        Self { contactless, ..self }
    }

    /// The same with or without the need for command MACs once SECURED.
    #[must_use]
    pub const fn with_secured_needs_c_mac(self, secured_needs_c_mac: bool) -> Self {
        Self { secured_needs_c_mac, ..self }
    }

    /// The same with room for another number of instances.
    #[must_use]
    pub const fn with_instances(self, instances: u8) -> Self {
        Self { instances, ..self }
    }

    /// The same with another choice for conflicts.
    #[must_use]
    pub const fn with_conflicts(self, conflicts: Conflicts) -> Self {
        Self { conflicts, ..self }
    }

    /// The same with a registry service that takes SET STATUS over the antenna, or does not.
    #[must_use]
    pub const fn with_crs_over_antenna(self, crs_over_antenna: bool) -> Self {
        Self { crs_over_antenna, ..self }
    }

    /// The same with another answer to GET DATA of interindustry class.
    #[must_use]
    pub const fn with_bare_get_data(self, bare_get_data: bool) -> Self {
        Self { bare_get_data, ..self }
    }

    /// The same with room for another number of load files.
    #[must_use]
    pub const fn with_load_files(self, load_files: u8) -> Self {
        Self { load_files, ..self }
    }
}

/// A native executable module that applications can be installed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleEntry {
    /// AID of the executable load file it counts as part of.
    pub load_file: Aid,
    /// AID of the executable module.
    pub module: Aid,
    /// Its code.
    pub id: ModuleId,
}

impl ModuleEntry {
    /// The registry service under the names hosts expect; `crs` is its place among the modules. Hosts name the module like the
    /// instance.
    #[must_use]
    pub const fn crs(crs: ModuleId) -> Self {
        Self { load_file: crate::crs::LOAD_FILE, module: crate::crs::AID, id: crs }
    }

    /// Supplementary security domains, under the names hosts expect; `manager` is the place of the card manager among the modules.
    #[must_use]
    pub const fn security_domain(manager: ModuleId) -> Self {
        Self {
            load_file: Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50]),
            module: Aid::from_array([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41]),
            id: manager,
        }
    }
}
