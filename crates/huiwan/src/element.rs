//! The wristband's secure element: card manager, payment environment, bank card, transit card and contactless registry service on one
//! [`Element`], with the card manager's registry as its directory.
//!
//! Every module is code without state, so one list serves any number of elements. A blank element holds the
//! card manager alone; the others are installed from it over the air.
//!
//! ```
//! use huiwan::element::{CARD, Modules, SecureElement};
//! use huiwan_gp::card::{Factory, Registry, format};
//!
//! # use huiwan_card::{Environment, Interface, Journal, RamFlash};
//! # let mut random = huiwan_testkit::rng::Seeded::new(1);
//! # let mut memory: Journal<RamFlash<65536>, 256> = Journal::format(RamFlash::new()).unwrap();
//! format(&mut memory, &Factory::TEST)?;
//! let modules = Modules::default();
//! let list = modules.list();
//! let mut element = SecureElement::new(&list, Registry::new(&CARD), memory);
//! let mut environment = Environment { random: &mut random, now: None };
//! element.power_on(Interface::Contactless, &mut environment);
//! let answer = element.exchange(&[0x00, 0xA4, 0x04, 0x00, 0x00], &mut environment);
//! assert!(answer.ends_with(&[0x90, 0x00]));
//! # Ok::<(), huiwan_card::MemoryError>(())
//! ```

use huiwan_apdu::Aid;
use huiwan_card::{Element, Module, ModuleId};
use huiwan_crypto::International;
use huiwan_crypto::ec::P256;
use huiwan_crypto::kdf::Sha256;
use huiwan_emv::card::ppse::Ppse;
use huiwan_emv::card::qpboc::{self, Qpboc};
use huiwan_gp::card::{
    CardManager, CardProfile, Conflicts, Crs, EcKeys, ModuleEntry, PublicKeys, Registry, RsaKeys,
    Scp11Profile,
};
use huiwan_purse::card::Purse;
use huiwan_purse::profile::Profile;

/// Instances an element keeps volatile state for: the card manager and seven applications.
pub const SLOTS: usize = 8;
/// Bytes of volatile state of one instance: what the hungriest of the modules needs.
pub const SLOT: usize =
    longest(&[huiwan_gp::card::SLOT_LEN, huiwan_purse::card::VOLATILE_LEN, qpboc::session::SLOT]);
/// Bytes of scratch all instances share.
pub const SCRATCH: usize = 2048;

/// The wristband's secure element over any durable memory.
pub type SecureElement<'m, M> = Element<'m, M, Registry<'m>, SLOTS, SLOT, SCRATCH>;
/// Bytes of scratch where X.509 certificates of SCP11 come and go: a chain of 2,000 bytes and work space.
pub const CHAIN_SCRATCH: usize = 4096;
/// Bytes of an answer with such a chain, encrypted and signed, and its status word.
pub const CHAIN_ANSWER: usize = 2048 + 2;
/// The same with room for chains of X.509 certificates; [`Modules::with_scp11`] is what needs it.
pub type ChainElement<'m, M> = Element<'m, M, Registry<'m>, SLOTS, SLOT, CHAIN_SCRATCH, CHAIN_ANSWER>;

const fn longest(mut lengths: &[usize]) -> usize {
    let mut longest = 0;
    while let [first, rest @ ..] = lengths {
        if *first > longest {
            longest = *first;
        }
        lengths = rest;
    }
    longest
}

/// The executable load file the built-in modules count as part of. Its first byte marks an AID nobody
/// registered. [ISO 7816-5 5.2]
pub const LOAD_FILE: Aid = Aid::from_array(*b"\xF0HUIWAN\x00");
/// Module AID of the payment environment; its instance is `2PAY.SYS.DDF01`.
pub const PPSE_MODULE: Aid = Aid::from_array(*b"\xF0HUIWAN\x01");
/// Module AID of the bank card.
pub const PAYMENT_MODULE: Aid = Aid::from_array(*b"\xF0HUIWAN\x02");
/// Module AID of the transit card.
pub const PURSE_MODULE: Aid = Aid::from_array(*b"\xF0HUIWAN\x03");

/// What the card manager can install: the modules in the order of [`Modules::list`], and security domains.
pub const MODULE_ENTRIES: [ModuleEntry; 5] = [
    ModuleEntry { load_file: LOAD_FILE, module: PPSE_MODULE, id: ModuleId(1) },
    ModuleEntry { load_file: LOAD_FILE, module: PAYMENT_MODULE, id: ModuleId(2) },
    ModuleEntry { load_file: LOAD_FILE, module: PURSE_MODULE, id: ModuleId(3) },
    ModuleEntry::security_domain(ModuleId(0)),
    ModuleEntry::crs(ModuleId(4)),
];

/// The card profile recommended for a wristband: choosing another default card takes the place of the former one in one step, so that a
/// tap in between never meets two of them or none. [AmdC 3.7]
pub const CARD: CardProfile = CardProfile::DEFAULT.with_conflicts(Conflicts::Replace);

/// Public keys that content management checks signatures with: RSA, and ECDSA on P-256.
const PUBLIC_KEYS: &dyn PublicKeys = &(RsaKeys, EcKeys::P256);

/// The code of a wristband.
#[derive(Debug)]
pub struct Modules<'a> {
    manager: CardManager<'a>,
    ppse: Ppse,
    payment: Qpboc,
    purse: Purse<International>,
    crs: Crs<'a>,
}

impl<'a> Modules<'a> {
    /// Modules with these choices. The card manager has to be module 0 of `card`.
    #[must_use]
    pub const fn new(card: &'a CardProfile, payment: qpboc::Profile, purse: Profile) -> Self {
        Self {
            manager: CardManager::new(card, &MODULE_ENTRIES),
            ppse: Ppse,
            payment: Qpboc { profile: payment },
            purse: Purse::new(purse),
            crs: Crs::new(card),
        }
    }

    /// The same with LOAD, delegated management and load file signatures. An image that does not call this does not hold them.
    #[must_use]
    pub const fn with_content_management(mut self) -> Self {
        self.manager = self.manager.with_content_management(Some(PUBLIC_KEYS));
        self
    }

    /// The same with SCP11 over P-256. An image that does not call this holds nothing of elliptic curves for the card manager.
    #[must_use]
    pub const fn with_scp11(mut self, profile: Scp11Profile) -> Self {
        self.manager = self.manager.with_scp11::<P256, Sha256>(profile);
        self
    }

    /// The list an element takes.
    #[must_use]
    pub const fn list(&self) -> [&dyn Module; 5] {
        [&self.manager, &self.ppse, &self.payment, &self.purse, &self.crs]
    }
}

impl Default for Modules<'static> {
    /// The card manager by [`CARD`], quickPass and JT/T 978 as their crates' defaults have them.
    fn default() -> Self {
        Self::new(&CARD, qpboc::Profile::default(), Profile::JTT_978)
    }
}
