//! A card with domains, content management, SCP11 and the contactless registry service against whoever holds its keys: any commands, in and out
//! of a channel, with power cut at any commit. Shared by the property test beside it and by the fuzz target `gp_card_any_apdu`.
//!
//! The card never panics, the registry is consistent after every operation, no answer holds eight bytes of a key that nobody sent,
//! after power-on nothing is stored for an instance that does not exist, and no command without a good MAC changes registry, keys or
//! issuer data, unless a session was opened at the level that asks for none.
//!
//! Input, one operation after another, missing bytes are zeros:
//!
//! | first byte, modulo 10 | then |
//! |---|---|
//! | 0 | length 1, command as it is |
//! | 1 | name 1: SELECT |
//! | 2 | keys 1, level 1: a channel on what is selected |
//! | 3 | command 1, P1, P2, length 1, data: through the channel |
//! | 4 | number 1: a command that makes sense, through the channel |
//! | 5 | number 1, place 1, value 1: the same with one byte of its data changed |
//! | 6 | commits 1, mode 1: power is cut |
//! | 7 | nothing: power off and on |
//! | 8 | variant 1: a channel of SCP11, certificates and all, on what is selected |
//! | 9 | number 1, place 1, value 1: a command of its handshake as it is, with one byte changed unless the value is 00 |

use std::collections::HashSet;
use std::sync::OnceLock;

use huiwan_apdu::Command;
use huiwan_card::{Directory, Element, InstanceId, Memory, Module, ModuleId};
use huiwan_crypto::ec::P256;
use huiwan_crypto::kdf::Sha256;
use huiwan_crypto::{Aes, mac};
use huiwan_gp::card::{
    CardManager, CardProfile, Crs, EcKeys, Factory, ModuleEntry, Registry, RsaKeys, Scp11Profile, TEST_KEY,
};
use huiwan_gp::crs;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::install::{Fields, ImplicitSelections, LoadFields};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;

use crate::scp11_host::{
    ANSWER, CARD, KID_CA, KVN, ScpCard, VARIANTS, Wish, chain, provisioning, put_private, tlv,
};
use crate::support::{
    APPLET, Card, MapMemory, TOY, TOY_AID, Toy, apdu, install, install_domain, install_toy, new_memory,
    put_keys, select, test_keys, try_open,
};

static PROFILE: CardProfile = CardProfile::DEFAULT;
const BANK: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x01];
const TRANSIT: [u8; 6] = [0xF0, 0xBA, 0x00, 0x00, 0x00, 0x02];
const ISSUER: [u8; 8] = [0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const ELF: [u8; 7] = [0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0x01];
const BANK_KEY: [u8; 16] = *b"\x9a\x31\x0c\xf7\x55\xe2\x48\xbd\x60\x1d\x83\x2e\xca\x74\x3f\x96";
/// Signs tokens.
const TOKEN_KEY: [u8; 16] = *b"\x5e\x90\xd4\x1f\x77\x0a\xbc\x33\xe1\x28\x46\x9d\xf2\x0b\x85\x6c";
const WINDOW: usize = 8;
/// Keys of STORE DATA of which the last has not come. They go with power, which a certificate in parts may lose as it is written.
const STAGED: u16 = 0x000B;
const INS: [u8; 14] = [0xE2, 0xE4, 0xE6, 0xE8, 0xF0, 0xF2, 0xD8, 0xCA, 0xCB, 0x50, 0xF1, 0x2A, 0x82, 0x88];

fn over<T>(memory: MapMemory, f: impl FnOnce(&mut ScpCard<'_, MapMemory>) -> T) -> (MapMemory, T) {
    let entries = [TOY, APPLET, ModuleEntry::security_domain(ModuleId(0)), ModuleEntry::crs(ModuleId(2))];
    let manager = CardManager::new(&PROFILE, &entries)
        .with_content_management(Some(&(RsaKeys, EcKeys::P256)))
        .with_scp11::<P256, Sha256>(Scp11Profile::DEFAULT);
    let service = Crs::new(&PROFILE);
    let modules: [&dyn Module; 3] = [&manager, &Toy, &service];
    let element = Element::new(&modules, Registry::new(&PROFILE), memory).with_answer::<ANSWER>();
    let mut card = Card { element, random: Seeded::new(1) };
    card.power_on();
    let result = f(&mut card);
    (card.element.into_memory(), result)
}

struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

fn bank_keys() -> StaticKeys {
    StaticKeys::new(&BANK_KEY, &BANK_KEY, &BANK_KEY).unwrap()
}

/// Commands that make sense somewhere.
fn commands() -> Vec<Vec<u8>> {
    let file = [&hex("C440")[..], &[0x5A; 64]].concat();
    let load = LoadFields { load_file: &ELF, ..LoadFields::default() };
    let mut out = [0; 64];
    let for_load = load.write(&mut out).unwrap().to_vec();
    let named = |to: &[u8], what: &[u8], p1| {
        install(p1, 0, &Fields { load_file: to, instance: what, ..Fields::default() })
    };
    let delete = |aid: &[u8], p2| apdu([0x80, 0xE4, 0, p2], &[&[0x4F, aid.len() as u8][..], aid].concat());
    vec![
        apdu([0x80, 0xE6, 0x02, 0], &for_load),
        apdu([0x80, 0xE8, 0x00, 0], &file[..30]),
        apdu([0x80, 0xE8, 0x80, 1], &file[30..]),
        apdu([0x80, 0xE6, 0x0E, 1], &for_load),
        install_toy(&TOY_AID, &hex("C9021234")),
        install_toy(&[0xF0, 1, 2, 3, 4, 1, 2], &hex("C900EF05A003810100")),
        install_domain(&TRANSIT, [0xA0, 0, 0], &[]),
        install_domain(&[0xF0, 0xBA, 0, 0, 0, 3], [0xC1, 0x40, 0], &hex("820100830100")),
        named(&TRANSIT, &TOY_AID, 0x10),
        named(&ISSUER, &TRANSIT, 0x10),
        named(&BANK, &BANK, 0x10),
        named(&[], &TOY_AID, 0x20),
        named(&[], &TRANSIT, 0x40),
        apdu([0x80, 0xE2, 0x88, 0], &hex("010103AABBCC")),
        apdu([0x80, 0xE2, 0x08, 0], &hex("010120AA")),
        apdu([0x80, 0xE2, 0x90, 0], &hex("4F05F0AA000001")),
        apdu([0x80, 0xE2, 0x90, 0], &hex("A60483021330BF2103010203")),
        apdu([0x80, 0xE2, 0x08, 0], &hex("00B90EB90C800188810110820101830140")),
        delete(&TOY_AID, 0),
        delete(&BANK, 0x80),
        delete(&ELF, 0x80),
        apdu([0x80, 0xE4, 0x80, 0], &hex("4F07F001")),
        apdu([0x80, 0xE4, 0x00, 0], &hex("D20131")),
        apdu([0x80, 0xF0, 0x40, 0x80], &TOY_AID),
        apdu([0x80, 0xF0, 0x60, 0x80], &BANK),
        apdu([0x80, 0xF0, 0x60, 0x00], &BANK),
        apdu([0x80, 0xF0, 0x80, 0x07], &ISSUER),
        apdu([0x80, 0xF0, 0x80, 0x0F], &ISSUER),
        apdu([0x80, 0xF0, 0x80, 0x7F], &ISSUER),
        apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")),
        apdu([0x80, 0xF2, 0x40, 0x03], &hex("4F00")),
        apdu([0x80, 0xF2, 0x10, 0x00], &hex("4F00")),
        apdu([0x80, 0xF2, 0x80, 0x02], &hex("4F005C024FC5")),
        put_keys(0, 0x31, 1, &[&[0x77; 16][..]; 3], &TEST_KEY),
        put_keys(0, 0x73, 1, &[&[0x78; 24][..]], &BANK_KEY),
        put_keys(0x30, 0x32, 1, &[&[0x79; 16][..]; 3], &BANK_KEY),
        hex("80CA00E000"),
        hex("80CA006700"),
        hex("80CA2F0000"),
        apdu([0x80, 0xCA, 0xBF, 0x21], &hex("A60483021330")),
    ]
    .into_iter()
    .chain(more_commands())
    .chain(scp11_commands())
    .collect()
}

/// Keys of SCP11, and what is kept for them.
fn scp11_commands() -> Vec<Vec<u8>> {
    let dek = Aes::new(&TEST_KEY).unwrap();
    let store = |data: &[u8]| apdu([0x80, 0xE2, 0x90, 0], data);
    let of = |id: u8, object: &[u8]| store(&[&[0xA6, 4, 0x83, 2, id, KVN], object].concat());
    let listed = tlv(&[0x70], &[&tlv(&[0x93], &[&[0x99, 0x42]])]);
    let long = [&hex("A60483021503BF218200C8")[..], &[0x5A; 200]].concat();
    vec![
        apdu([0x80, 0xF1, 0x00, 0x13], &hex("05F00100")),
        apdu([0x80, 0xF1, KVN, 0x11], &[KVN, 0xF0, 1, 0]),
        apdu([0x80, 0xF1, KVN, 0x15], &hex("06F00100")),
        put_private(0, 0x04, 0x13, &[0x24; 32], &dek),
        put_private(KVN, KVN, 0x11, &[0x26; 32], &dek),
        put_private(0, 0x71, 0x01, &[0x27; 32], &dek),
        of(0x11, &hex("BF2103010203")),
        of(0x11, &hex("BF2100")),
        of(KID_CA, &listed),
        of(0x11, &[&hex("92020001")[..], &listed].concat()),
        of(0x11, &hex("7000")),
        apdu([0x80, 0xE2, 0x10, 0], &long[..150]),
        apdu([0x80, 0xE2, 0x90, 1], &long[150..]),
        store(&hex("A60C8001004203A1A2A383021003")),
        apdu([0x80, 0xE2, 0x08, 0], &hex("00B90FB90D8001B181012082011383010785")),
        apdu([0x80, 0xE2, 0x88, 1], &[&hex("813720")[..], &[0x3C; 32]].concat()),
        apdu([0x80, 0xE4, 0, 0], &hex("D00113D20103")),
        apdu([0x80, 0xE4, 0, 0], &hex("D20103")),
        apdu([0x80, 0xCA, 0xBF, 0x21], &hex("A60483021503")),
        hex("80CAFF3300"),
        apdu([0x80, 0xCA, 0, 0x83], &hex("A6054203A1A2A3")),
        install_domain(&[0xF0, 0xBA, 0, 0, 0, 4], [0x80, 0, 0], &hex("8103110D86")),
    ]
}

/// The handshake of SCP11, command by command: certificates whole, in pieces and in parts, then each variant.
fn handshake() -> &'static [Vec<u8>] {
    static COMMANDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    COMMANDS.get_or_init(|| {
        let [first, last] = chain(false);
        let [long, _] = chain(true);
        let certificate =
            |cla, p1, more, data: &[u8]| apdu([cla, 0x2A, p1, KID_CA | if more { 0x80 } else { 0 }], data);
        let mut commands = vec![
            certificate(0x80, KVN, true, &first),
            certificate(0x80, KVN, false, &last),
            certificate(0x90, KVN, true, &long[..255]),
            certificate(0x80, KVN, true, &long[255..]),
            certificate(0x80, KVN | 0x80, true, &long[..255]),
            certificate(0x84, KVN, true, &first),
        ];
        commands.extend(VARIANTS.map(|variant| Wish::new(variant).command()));
        commands
    })
}

/// Content management on the authority of others, implicit selection, keys and objects by STORE DATA, the registry service.
fn more_commands() -> Vec<Vec<u8>> {
    let update = |aid: &[u8], privileges: &[u8], parameters: &str| {
        let parameters = hex(parameters);
        install(0x40, 0, &Fields { instance: aid, privileges, parameters: &parameters, ..Fields::default() })
    };
    let token = |ins: u8, p1: u8, signed: &[u8], field: &[u8]| {
        let input = [&[p1, 0, signed.len() as u8][..], signed].concat();
        let token = mac::cmac(&Aes::new(&TOKEN_KEY).unwrap(), &[&input]);
        apdu([0x80, ins, p1, 0], &[signed, field, &token].concat())
    };
    let lv = |value: &[u8]| [&[value.len() as u8][..], value].concat();
    let applet =
        [lv(&ELF), lv(APPLET.module.as_bytes()), lv(APPLET.module.as_bytes()), lv(&[0]), lv(&hex("C900"))]
            .concat();
    let name = |aid: &[u8]| [&[0x4F, aid.len() as u8][..], aid].concat();
    let service = Fields {
        load_file: crs::LOAD_FILE.as_bytes(),
        module: crs::AID.as_bytes(),
        instance: crs::AID.as_bytes(),
        privileges: &[0, 0, 0x20],
        parameters: &hex("C900EF05A003810101"),
        token: &[],
    };
    let only = |p1, aid: &[u8], parameters: &str| {
        let parameters = hex(parameters);
        install(p1, 0, &Fields { instance: aid, parameters: &parameters, ..Fields::default() })
    };
    let modulus = [&hex("001180")[..], &[0xC1; 128]].concat();
    vec![
        put_keys(0, 0x70, 1, &[&TOKEN_KEY[..]], &TEST_KEY),
        put_keys(0, 0x71, 1, &[&TOKEN_KEY[..]], &TEST_KEY),
        token(0xE6, 0x02, &[lv(&ELF), lv(&[]), lv(&[]), lv(&[])].concat(), &[16]),
        token(0xE6, 0x0C, &applet, &[16]),
        token(
            0xE6,
            0x10,
            &[lv(&BANK), lv(&[]), lv(APPLET.module.as_bytes()), lv(&[]), lv(&[])].concat(),
            &[16],
        ),
        token(0xE4, 0x00, &name(&ELF), &hex("9E10")),
        install(
            0x0C,
            0,
            &Fields {
                load_file: &ELF,
                module: APPLET.module.as_bytes(),
                instance: APPLET.module.as_bytes(),
                privileges: &[0x04],
                parameters: &hex("C900"),
                token: &[],
            },
        ),
        install(
            0x0E,
            3,
            &Fields {
                load_file: &ELF,
                module: APPLET.module.as_bytes(),
                instance: APPLET.module.as_bytes(),
                privileges: &[0],
                parameters: &hex("C900EF03CF0181"),
                token: &[],
            },
        ),
        install_toy(&[0xF0, 1, 2, 3, 4, 1, 3], &hex("C900EF06CF0140CF01C1")),
        only(0x08, &TOY_AID, "EF03CF0180"),
        update(&TOY_AID, &[], "EF03CF01C0"),
        update(&TOY_AID, &[0, 0x0A, 0x30], "EF02CF00"),
        update(&TOY_AID, &[0x14, 0x02, 0x20], "EF11A003810101A10AA5084F06F0BA00000001"),
        update(&BANK, &[], "EF03D90107"),
        install(0x0C, 0, &service),
        update(crs::AID.as_bytes(), &[0, 0, 0x20], ""),
        apdu([0x80, 0xE4, 0, 0], &name(crs::AID.as_bytes())),
        apdu([0x80, 0xE2, 0x90, 0], &hex("660D730B650406022A036603060101")),
        apdu([0x80, 0xE2, 0x08, 0], &hex("00B90EB90C8001A1810180820101830173001003010001")),
        apdu([0x80, 0xE2, 0x88, 1], &modulus),
        apdu(
            [0x80, 0xE2, 0x88, 0],
            &[&hex("00B90EB90C8001B08101418201018301750036")[..], &[0x41, 0x04], &[0x77; 64]].concat(),
        ),
        apdu([0x80, 0xF0, 0x01, 0x01], &name(&TOY_AID)),
        apdu([0x80, 0xF0, 0x01, 0x00], &[name(&TOY_AID), name(&BANK)].concat()),
        apdu([0x80, 0xF0, 0x02, 0x01], &name(&TOY_AID)),
        apdu([0x80, 0xF0, 0x02, 0x82], &[]),
        hex("80F0040003800140"),
        hex("80F0048003800140"),
        hex("80F24000024F0000"),
        hex("80F24001024F0000"),
        hex("80CA00A500"),
    ]
}

struct Attack<'c, 'm> {
    card: &'c mut ScpCard<'m, MapMemory>,
    session: Option<Open>,
    /// A session may be open on the card that wants no MACs.
    takes_plain: bool,
    keys: HashSet<[u8; WINDOW]>,
}

impl Attack<'_, '_> {
    fn send(&mut self, command: &[u8]) -> Vec<u8> {
        // What was sent may come back.
        command.windows(WINDOW).for_each(|window| {
            self.keys.remove(window);
        });
        let answer = self.card.send(command);
        assert!((2..=258).contains(&answer.len()), "an answer of {} bytes", answer.len());
        self.look(&answer);
        if self.card.element.memory().cut.is_some_and(|cut| self.card.element.memory().commits > cut) {
            self.power();
        }
        answer
    }

    /// A command as anyone may send it: without keys it changes nothing that needs them.
    fn send_from_outside(&mut self, command: &[u8]) {
        let guarded = |attack: &Self| -> Vec<_> {
            let objects = attack.card.element.memory().objects.iter();
            objects
                .filter(|((instance, id), _)| *instance == 0 && *id < 0x0300 && *id != STAGED)
                .map(|(key, value)| (*key, value.clone()))
                .collect()
        };
        let before = guarded(self);
        self.send(command);
        if !self.takes_plain {
            assert_eq!(before, guarded(self), "changed by {command:02X?}");
        }
    }

    fn look(&self, answer: &[u8]) {
        for window in answer.windows(WINDOW) {
            assert!(!self.keys.contains(window), "a piece of a key in {answer:02X?}");
        }
    }

    fn through(&mut self, command: &[u8]) {
        let Ok(parsed) = Command::parse(command) else { return };
        command.windows(WINDOW).for_each(|window| {
            self.keys.remove(window);
        });
        let Some(mut session) = self.session.take() else {
            self.send(command);
            return;
        };
        let mut wire = [0; 300];
        let Ok(sent) = session.wrap(&parsed, &mut wire) else {
            self.session = Some(session);
            return;
        };
        let sent = sent.to_vec();
        let answer = self.send(&sent);
        let mut out = [0; 300];
        let Ok(opened) = session.unwrap(&answer, &mut out) else { return };
        self.look(opened.data());
        // Errors of a dead session and of a live one look the same; a dead one just answers 6982 from now on.
        self.session = Some(session);
    }

    fn power(&mut self) {
        (self.session, self.takes_plain) = (None, false);
        self.card.element.power_off();
        let memory = self.card.element.memory_mut();
        (memory.cut, memory.commits) = (None, 0);
        self.card.power_on();
        for &(instance, id) in self.card.element.memory().objects.keys() {
            let has =
                |base: u16| self.card.element.memory().objects.contains_key(&(0, base | u16::from(instance)));
            assert!(instance == 0 || has(0x0100) || has(0x0500), "left over: {instance} {id:04X}");
        }
        assert!(!self.card.element.memory().objects.contains_key(&(0, 0x0008)), "a deletion under way");
    }

    /// The registry as the dispatcher sees it.
    fn check(&mut self) {
        let registry = Registry::new(&PROFILE);
        let memory = self.card.element.memory_mut();
        let (cut, commits) = (memory.cut.take(), memory.commits);
        let (mut names, mut domains, mut index) = (HashSet::new(), Vec::new(), 0);
        while let Some(entry) = registry.nth(memory, index).expect("the registry is readable") {
            assert!(names.insert(entry.aid.as_bytes().to_vec()), "a name twice");
            domains.push((entry.instance, entry.domain));
            index += 1;
        }
        for &(_, domain) in &domains {
            let owner =
                domains.iter().find(|(instance, _)| *instance == domain).expect("a domain that is there");
            assert_eq!(owner.1, domain, "a domain belongs to itself");
        }
        let (mut at, mut sole, mut implicit) = (None, [0; 3], Vec::new());
        while let Some(object) = memory.next_object(at).unwrap() {
            if object.instance == InstanceId::ISSUER && object.id & 0xFF00 == 0x0100 {
                let mut raw = [0; 100];
                let record = memory.read(object, 0, &mut raw).unwrap();
                let privileges = Privileges::parse(&record[7..10]).unwrap();
                assert!(privileges.is_consistent());
                let single = [
                    Privileges::DEFAULT_SELECTED,
                    Privileges::FINAL_APPLICATION,
                    Privileges::CONTACTLESS_ACTIVATION,
                ];
                for (count, privilege) in sole.iter_mut().zip(single) {
                    *count += u8::from(privileges.contains(privilege));
                }
                // Four names with their lengths, then the implicit selection parameters.
                let tail = (0..4).fold(&record[13..], |rest, _| &rest[1 + usize::from(rest[0])..]);
                let own = ImplicitSelections::parse(&tail[1..]).unwrap();
                assert!(implicit.iter().all(|other| !own.overlap(other)), "a place given twice");
                implicit.push(own);
            }
            at = Some(object);
        }
        assert!(sole.iter().all(|&count| count <= 1), "what only one may have: {sole:?}");
        (memory.cut, memory.commits) = (cut, commits);
    }
}

fn prepared() -> MapMemory {
    static PREPARED: OnceLock<MapMemory> = OnceLock::new();
    PREPARED.get_or_init(prepare).clone()
}

fn prepare() -> MapMemory {
    over(new_memory(&Factory::TEST), |card| {
        let more = more_commands();
        let service = more.iter().find(|command| {
            command[1] == 0xE6 && command[2] == 0x0C && command.windows(9).any(|w| w == crs::AID.as_bytes())
        });
        let commands = [
            install_domain(&BANK, [0x98, 0x5C, 0x00], &[]),
            install_toy(&TOY_AID, &hex("C900")),
            service.unwrap().clone(),
        ];
        let commands = commands.into_iter().chain(provisioning());
        let mut session = try_open(card, 0, &test_keys(), Level::CMac).unwrap();
        for command in commands {
            assert_eq!(crate::support::run(card, &mut session, &command).1, 0x9000);
        }
        card.sw(&select(&BANK));
        let mut session = try_open(card, 0, &test_keys(), Level::CMac).unwrap();
        let keys = put_keys(0, 0x30, 1, &[&BANK_KEY[..]; 3], &TEST_KEY);
        assert_eq!(crate::support::run(card, &mut session, &keys).1, 0x9000);
    })
    .0
}

/// Runs one input.
pub(crate) fn run(input: &[u8]) {
    static COMMANDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let commands = COMMANDS.get_or_init(commands);
    let mut tape = Tape(input);
    let mut keys: HashSet<[u8; WINDOW]> = HashSet::new();
    let private = CARD.map(|byte| [byte; 16]);
    for key in [&TEST_KEY, &BANK_KEY, &TOKEN_KEY].into_iter().chain(&private) {
        keys.extend(key.windows(WINDOW).map(|window| <[u8; WINDOW]>::try_from(window).unwrap()));
    }
    over(prepared(), |card| {
        let mut attack = Attack { card, session: None, takes_plain: false, keys };
        for _ in 0..64 {
            if tape.0.is_empty() {
                break;
            }
            match tape.byte() % 10 {
                0 => {
                    let len = usize::from(tape.byte());
                    let command = tape.bytes(len);
                    if !command.is_empty() {
                        attack.send_from_outside(&command);
                    }
                }
                1 => {
                    let names: [&[u8]; 7] = [
                        &ISSUER,
                        &BANK,
                        &TRANSIT,
                        &TOY_AID,
                        APPLET.module.as_bytes(),
                        &[],
                        crs::AID.as_bytes(),
                    ];
                    attack.session = None;
                    attack.send(&select(names[usize::from(tape.byte()) % names.len()]));
                }
                2 => {
                    let keys = if tape.byte() & 1 == 0 { test_keys() } else { bank_keys() };
                    let level = Level::EVERY[usize::from(tape.byte()) % Level::EVERY.len()];
                    attack.session = try_open(attack.card, 0, &keys, level).ok();
                    attack.takes_plain |= !level.c_mac();
                    let memory = attack.card.element.memory();
                    if memory.cut.is_some_and(|cut| memory.commits > cut) {
                        attack.power();
                    }
                }
                3 => {
                    let ins = INS[usize::from(tape.byte()) % INS.len()];
                    let (p1, p2, len) = (tape.byte(), tape.byte(), usize::from(tape.byte()));
                    let data = tape.bytes(len.min(tape.0.len()));
                    attack.through(&apdu([0x80, ins, p1, p2], &data));
                }
                4 => {
                    let command = &commands[usize::from(tape.byte()) % commands.len()];
                    attack.through(command);
                }
                5 => {
                    let mut command = commands[usize::from(tape.byte()) % commands.len()].clone();
                    let (place, value) = (usize::from(tape.byte()), tape.byte());
                    let last = command.len();
                    if let Some(byte) = command[2..last].get_mut(place % last) {
                        *byte = value;
                    }
                    attack.through(&command);
                }
                6 => {
                    let memory = attack.card.element.memory_mut();
                    memory.cut = Some(memory.commits + usize::from(tape.byte() % 8));
                    memory.done_before_cut = tape.byte() & 1 == 1;
                }
                7 => attack.power(),
                8 => {
                    let wish = Wish::new(VARIANTS[usize::from(tape.byte()) % VARIANTS.len()]);
                    if wish.variant.authenticates_host() {
                        handshake()[..2].iter().for_each(|certificate| drop(attack.send(certificate)));
                    }
                    let answer = attack.send(&wish.command());
                    attack.session = wish.opened(&answer).ok();
                }
                _ => {
                    let mut command = handshake()[usize::from(tape.byte()) % handshake().len()].clone();
                    let (place, value) = (usize::from(tape.byte()), tape.byte());
                    let last = command.len();
                    command[place % last] ^= value;
                    attack.send_from_outside(&command);
                }
            }
            attack.check();
        }
        attack.power();
        attack.check();
    });
}
