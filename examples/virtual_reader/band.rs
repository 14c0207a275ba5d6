//! The element as a card in the virtual reader.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use huiwan::element::{Modules, SCRATCH, SLOT, SLOTS};
use huiwan::sample::{self, SampleError};
use huiwan_card::{ANSWER_LEN, Element, Environment, Interface, Journal, RamFlash};
use huiwan_crypto::{Random, RandomFailed};
use huiwan_emv::card::qpboc;
use huiwan_gp::card::{CardProfile, Factory, INITIAL_KEY_VERSION, Registry, TEST_SCP02_KEY_VERSION};
use huiwan_gp::put_key::KeyType;
use huiwan_purse::profile::Profile;

use crate::state::{self, FLASH};
use crate::vpcd::Card;

/// Durable memory of the simulated element.
pub type Memory = Journal<RamFlash<FLASH>, 512>;

/// The card's code, with LOAD and all that belongs to it.
#[must_use]
pub fn modules(card: &CardProfile) -> Modules<'_> {
    Modules::new(card, qpboc::Profile::default(), Profile::JTT_978).with_content_management()
}

/// For which protocols there are keys at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// SCP03, which version 00 names, and SCP02.
    Both,
    /// SCP02 alone.
    Scp02,
    /// SCP03 alone.
    Scp03,
}

/// What the card gets in the factory: names and numbers as a card on sale has them, none of them given to anybody.
#[must_use]
pub fn factory(keys: Keys, initial: bool) -> Factory<'static> {
    let factory = match (keys, initial) {
        (Keys::Both, false) => Factory::TEST.with_scp02_test_keys(),
        (Keys::Both | Keys::Scp03, _) => Factory::TEST,
        (Keys::Scp02, _) => {
            Factory::TEST.with_key_type(KeyType::Des).with_key_version(TEST_SCP02_KEY_VERSION)
        }
    };
    let factory = if initial { factory.with_key_version(INITIAL_KEY_VERSION) } else { factory };
    Factory { cplc: CPLC, issuer_identification: &IIN, card_image: &CIN, ..factory }.with_serial(SERIAL)
}

const SERIAL: [u8; 4] = *b"HUIW";
/// Tag 42.
const IIN: [u8; 3] = [0x99, 0x99, 0x99];
/// Tag 45.
const CIN: [u8; 8] = [0x00, 0x00, 0x00, 0x00, 0x48, 0x55, 0x49, 0x57];
/// Tag 9F7F: of fabricator, type and system 0000, every date the first day of 2026 (year's last digit, day).
const CPLC: [u8; 42] = {
    let mut cplc = [0; 42];
    // Operating system, fabrication, module, embedding, pre-personalisation, personalisation.
    let mut dates = [6, 10, 20, 24, 28, 36].as_slice();
    while let [at, rest @ ..] = dates {
        cplc[*at] = 0x60;
        cplc[*at + 1] = 0x01;
        dates = rest;
    }
    cplc
};

/// Random numbers of the operating system.
pub struct SystemRandom(File);

impl SystemRandom {
    /// # Errors
    /// If the system has no `/dev/urandom`.
    pub fn open() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }
}

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.read_exact(out).map_err(|_| RandomFailed)
    }
}

/// What kind of card the reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atr {
    /// T=1 on contacts.
    T1,
    /// T=0 on contacts.
    T0,
    /// An ISO 14443-4 card as a PC/SC reader presents it.
    Contactless,
}

impl Atr {
    /// Reads the option's word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "t1" => Some(Self::T1),
            "t0" => Some(Self::T0),
            "contactless" => Some(Self::Contactless),
            _ => None,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::T1 => &[0x3B, 0xE0, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x45, 0xEB],
            Self::T0 => &[0x3B, 0x60, 0x00, 0x00],
            // No historical bytes: 3B 80 80 01, then the check byte. [PC/SC part 3, 3.1.3.2.3]
            Self::Contactless => &[0x3B, 0x80, 0x80, 0x01, 0x01],
        }
    }

    /// Where such a card is touched.
    #[must_use]
    pub fn interface(self) -> Interface {
        match self {
            Self::T1 | Self::T0 => Interface::Contact,
            Self::Contactless => Interface::Contactless,
        }
    }
}

/// The element in the reader.
pub struct Band<'m, const WORK: usize = SCRATCH, const ANSWER: usize = ANSWER_LEN> {
    /// The element.
    pub element: Element<'m, Memory, Registry<'m>, SLOTS, SLOT, WORK, ANSWER>,
    /// Its random numbers.
    pub random: SystemRandom,
    /// What the reader sees.
    pub atr: Atr,
    /// Where its flash is kept.
    pub path: Option<PathBuf>,
    /// Flash operations at the last write of the file.
    pub saved: u32,
}

impl Band<'_> {
    /// Issues a bank card, a transit card, a city card and a bank's wallet on the blank element, with published keys.
    ///
    /// # Errors
    /// What kept it from being issued.
    pub fn issue(&mut self) -> Result<(), SampleError> {
        let mut env = Environment { random: &mut self.random, now: None };
        sample::issue(&mut self.element, &mut env)?;
        sample::issue_city_and_wallet(&mut self.element, &mut env)?;
        self.element.power_off();
        Ok(())
    }
}

impl<const WORK: usize, const ANSWER: usize> Band<'_, WORK, ANSWER> {
    /// Writes the state file if anything changed.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let flash = self.element.memory().flash();
        if flash.operations() != self.saved {
            state::write(path, flash.bytes())?;
            self.saved = flash.operations();
        }
        Ok(())
    }

    fn save_or_say(&mut self) {
        if let Err(error) = self.save() {
            eprintln!("state file: {error}");
        }
    }
}

impl<const WORK: usize, const ANSWER: usize> Card for Band<'_, WORK, ANSWER> {
    fn power_off(&mut self) {
        self.element.power_off();
        // Nobody waits now: the time to tidy up flash.
        let memory = self.element.memory_mut();
        if memory.needs_collection()
            && let Err(error) = memory.collect()
        {
            eprintln!("flash: {error}");
        }
        self.save_or_say();
    }

    fn power_on(&mut self) {
        // Drivers ask twice; only the first one brings power.
        if self.element.interface().is_none() {
            let mut env = Environment { random: &mut self.random, now: None };
            self.element.power_on(self.atr.interface(), &mut env);
            self.save_or_say();
        }
    }

    fn reset(&mut self) {
        self.element.reset();
    }

    fn atr(&self) -> Vec<u8> {
        self.atr.bytes().to_vec()
    }

    fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        let mut env = Environment { random: &mut self.random, now: None };
        let answer = self.element.exchange(command, &mut env).to_vec();
        // What the reader is told is durable already.
        self.save_or_say();
        answer
    }
}
