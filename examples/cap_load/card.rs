//! The card in memory, made ready: domains and keys that the options ask for.

use huiwan::element::SecureElement;
use huiwan_apdu::{Aid, Command, Ne, Sw};
use huiwan_card::{Environment, Interface, Journal, Module, RamFlash};
use huiwan_crypto::{Aes, BlockKey, Random, RandomFailed};
use huiwan_gp::card::{CardProfile, Factory, ModuleEntry, Registry, TEST_KEY, format};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::install::{self, Fields};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::put_key::{self, KeyType, SEVERAL};
use huiwan_gp::scp03::StaticKeys;
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::rng::Seeded;

/// Enough for the longest load file.
type Memory = Journal<RamFlash<{ 128 * 1024 }>, 512>;

/// Random numbers for the card: an example's may be the same every time.
struct Numbers(Seeded);

impl Random for Numbers {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        let len = out.len();
        out.copy_from_slice(&self.0.vec(len));
        Ok(())
    }
}

/// The card.
pub struct Card<'m> {
    element: SecureElement<'m, Memory>,
    random: Numbers,
}

/// Keys of the supplementary domains on this card.
pub const DOMAIN_KEY: [u8; 16] = [0xD0; 16];
/// The domain that wants its signature.
pub const SIGNER: Aid = Aid::from_array([0xF0, 0x48, 0x57, 0x44, 0x41, 0x50]);
/// The domain that loads with tokens.
pub const DELEGATE: Aid = Aid::from_array([0xF0, 0x48, 0x57, 0x44, 0x4D, 0x31]);

impl<'m> Card<'m> {
    /// A card from its factory.
    ///
    /// # Errors
    /// In words.
    pub fn new(modules: &'m [&'m dyn Module]) -> Result<Self, String> {
        let mut memory = Memory::format(RamFlash::new()).map_err(|error| error.to_string())?;
        format(&mut memory, &Factory::TEST).map_err(|error| error.to_string())?;
        let element = SecureElement::new(modules, Registry::new(&CardProfile::DEFAULT), memory);
        let mut card = Self { element, random: Numbers(Seeded::new(1)) };
        let mut env = Environment { random: &mut card.random, now: None };
        card.element.power_on(Interface::Contact, &mut env);
        Ok(card)
    }

    /// One command and its answer.
    pub fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let mut env = Environment { random: &mut self.random, now: None };
        self.element.exchange(command, &mut env).to_vec()
    }

    /// Installs a security domain with keys of its own.
    ///
    /// # Errors
    /// In words.
    pub fn add_domain(&mut self, aid: &Aid, privileges: Privileges) -> Result<(), String> {
        let domain = ModuleEntry::security_domain(CardProfile::DEFAULT.manager);
        let mut session = self.open(None, &TEST_KEY)?;
        let fields = Fields {
            load_file: domain.load_file.as_bytes(),
            module: domain.module.as_bytes(),
            instance: aid.as_bytes(),
            privileges: &privileges.bytes(),
            parameters: &[0xC9, 0x00],
            token: &[],
        };
        let mut data = [0; 128];
        let data = fields.write(&mut data).map_err(|error| error.to_string())?;
        self.run(&mut session, [0x80, install::INS, 0x0C, 0x00], data)?;
        self.put_keys(Some(aid), &TEST_KEY, 0x30, &[&DOMAIN_KEY[..]; 3])
    }

    /// Brings AES keys to a domain, identifiers 01 and following.
    ///
    /// # Errors
    /// In words.
    pub fn put_keys(
        &mut self,
        domain: Option<&Aid>,
        dek: &[u8; 16],
        version: u8,
        keys: &[&[u8]],
    ) -> Result<(), String> {
        let mut session = self.open(domain, dek)?;
        let mut data = [0; 250];
        data[0] = version;
        let mut at = 1;
        for key in keys {
            let mut block = key.to_vec();
            block.resize(key.len().next_multiple_of(16), 0);
            let dek = Aes::new(dek).map_err(|error| error.to_string())?;
            dek.encrypt_cbc(&[0; 16], &mut block).map_err(|error| error.to_string())?;
            let check = KeyType::Aes.check_value(key).ok_or("no AES key")?;
            at = put_key::put_field(&mut data, at, KeyType::Aes, key.len(), &block, &check)
                .ok_or("keys too long")?;
        }
        let p2 = 0x01 | if keys.len() > 1 { SEVERAL } else { 0 };
        self.run(&mut session, [0x80, put_key::INS, 0x00, p2], &data[..at])
    }

    fn open(&mut self, domain: Option<&Aid>, key: &[u8; 16]) -> Result<Open, String> {
        let keys = StaticKeys::new(key, key, key).map_err(|error| error.to_string())?;
        let mut buffer = [0; 64];
        let select = Command::new(0x00, 0xA4, 0x04, 0x00)
            .with_data(domain.map_or(&[][..], Aid::as_bytes))
            .with_ne(Ne::MAX_SHORT)
            .write(&mut buffer)
            .map_err(|error| error.to_string())?;
        self.ok(select)?;
        let handshake = AwaitCard::new([7; 8]);
        let update = handshake.command(0x80, 0x00).write(&mut buffer).map_err(|error| error.to_string())?;
        let answer = self.ok(update)?;
        let answer = Answer::parse(&answer).map_err(|error| error.to_string())?;
        let verified = handshake
            .verify_card(0x80, &answer, &keys, Level::CMac)
            .map_err(|error| format!("card is not authentic: {error:?}"))?;
        self.ok(verified.command())?;
        verified.accepted(Sw::OK).map_err(|error| format!("{error:?}"))
    }

    fn run(&mut self, session: &mut Open, header: [u8; 4], data: &[u8]) -> Result<(), String> {
        let [cla, ins, p1, p2] = header;
        let command = Command::new(cla, ins, p1, p2).with_data(data).with_ne(Ne::MAX_SHORT);
        let mut wire = [0; 300];
        let sent = session.wrap(&command, &mut wire).map_err(|error| format!("{error:?}"))?.to_vec();
        self.ok(&sent).map(drop)
    }

    /// Response data of a command that has to work.
    fn ok(&mut self, command: &[u8]) -> Result<Vec<u8>, String> {
        let mut answer = self.send(command);
        let sw = answer.split_off(answer.len().saturating_sub(2));
        if sw == [0x90, 0x00] {
            Ok(answer)
        } else {
            Err(format!("card answered {sw:02X?} while it was made ready"))
        }
    }
}
