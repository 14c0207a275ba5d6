//! Loading by the host's manager, against our own card: what is looked at before, who has to sign, and links that break anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod content;
mod support;

use content::*;
use huiwan_apdu::{Aid, Sw};
use huiwan_card::{Batch, Memory, MemoryError, ObjectId};
use huiwan_crypto::{Aes, mac};
use huiwan_gp::cap::{CapFile, Ciphered, Dap, HashFunction, LoadFile, Package};
use huiwan_gp::card::Factory;
use huiwan_gp::host::tsm_job::{Goal, Input, JobState, OUT_LEN, Plan, Step, Visit, Worker};
use huiwan_gp::host::{
    Coding, FaultKind, Grouping, Install, Job, KeyRef, KeyStore, Load, Manager, Outcome, Personalise, Stage,
};
use huiwan_gp::install::{LoadParameters, Parameters};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::Level;
use huiwan_testkit::vectors;
use support::{Card, MapMemory, install_toy, new_memory, open, run, select, test_keys, with_domains};

const FRAMEWORK: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x62, 0x01, 0x01];

/// A card, a store and a manager with an open channel on the issuer's domain.
fn issuer<'j, T>(
    level: Level,
    prepare: impl FnOnce(&mut Card<'_, MapMemory>),
    f: impl FnOnce(&mut Card<'_, MapMemory>, &mut Store, &mut Manager<'j>) -> T,
) -> (MapMemory, T) {
    with_domains(new_memory(&Factory::TEST), |card| {
        prepare(card);
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, level));
        f(card, &mut store, &mut manager)
    })
}

fn applet() -> Install<'static> {
    Install {
        load_file: ELF,
        module: APP,
        instance: APP,
        privileges: Privileges::NONE,
        parameters: Parameters::default(),
        make_selectable: true,
    }
}

/// The same commands as a real card's log has, byte for byte.
#[test]
fn commands_of_a_public_log() {
    with_domains(new_memory(&Factory::TEST), |card| {
        // The log's issuer domain has another name.
        let mut session = open_issuer(card);
        let rename = support::apdu([0x80, 0xE2, 0x90, 0], &huiwan_testkit::hex("4F08A000000003000000"));
        assert_eq!(run(card, &mut session, &rename).1, 0x9000);
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMacCEnc));
        let components = components();
        let cap = CapFile::from_load_data(&components).unwrap();
        let load = Load {
            domain: Some(manager.channel().unwrap().aid),
            hash: None,
            parameters: LoadParameters { code: Some(0x160), volatile: None, data: Some(0x7D0) },
            look: false,
            // That tool sends the descriptor.
            ..Load::new(LoadFile::new(&cap).with_descriptor())
        };
        let report = run_job(card, &mut store, &mut manager, Job::Load(load));
        let log = hello_world();
        let plain: Vec<_> = report.commands.iter().map(|command| without_le(command)).collect();
        let expected: Vec<_> = log[2..5].iter().map(|command| without_le(command)).collect();
        assert_eq!(plain, expected);
    });
}

fn open_issuer(card: &mut Card<'_, MapMemory>) -> huiwan_gp::host::secure_channel::Open {
    assert_eq!(card.sw(&select(ISSUER.as_bytes())), 0x9000);
    open(card, 0, &test_keys(), Level::CMac)
}

#[test]
fn a_file_is_loaded_at_every_level() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let functions = [None, Some(HashFunction::Sha1), Some(HashFunction::Sha384), Some(HashFunction::Sha512)];
    let levels = [Level::CMac, Level::CMacCEnc, Level::CMacRMac, Level::All];
    let mut memories = Vec::new();
    for (level, hash) in levels.into_iter().zip(functions) {
        let (memory, ()) = issuer(
            level,
            |_| (),
            |card, store, manager| {
                let load = Load { hash, ..Load::new(LoadFile::new(&cap)) };
                let report = run_job(card, store, manager, Job::Load(load));
                let block = if level == Level::CMac || level == Level::CMacRMac { 247 } else { 239 };
                assert_eq!(
                    report.headers(),
                    [
                        [0xF2, 0x20, 0x02],
                        [0xF2, 0x40, 0x02],
                        [0xCA, 0xFF, 0x21],
                        [0xE6, 0x02, 0x00],
                        [0xE8, 0x00, 0x00],
                        [0xE8, 0x80, 0x01]
                    ]
                );
                assert_eq!(usize::from(report.commands[4][4]), block);
                assert_eq!(report.answers.len(), 0);
                // The application of it is installed and works; the file is used, and says so.
                run_job(card, store, manager, Job::Install(applet()));
                let (fault, _) = fault(
                    card,
                    store,
                    manager,
                    Job::Delete(huiwan_gp::delete::Target::Content(ELF.as_bytes())),
                );
                assert_eq!(fault.kind, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED));
                assert_eq!(card.sw(&select(APP.as_bytes())), 0x9000);
                assert_eq!(files(card)[ELF.as_bytes()], [APP.as_bytes()]);
            },
        );
        memories.push(memory);
    }
    // What is on the card depends on the file alone, but for where blocks end.
    let joined = |memory: &MapMemory| -> Vec<u8> {
        memory.objects.iter().filter(|(key, _)| key.0 == 255).flat_map(|(_, value)| value.clone()).collect()
    };
    assert!(memories.iter().all(|memory| joined(memory) == joined(&memories[0])));
}

/// What fits a command depends on the protocol, its mode and the level. [sheet 1.0]
#[test]
fn blocks_by_protocol_and_level() {
    use huiwan_card::{Element, Module, ModuleId};
    use huiwan_gp::card::{CardManager, CardProfile, ModuleEntry, Registry};
    use huiwan_gp::host::OpenChannel;
    use huiwan_gp::scp03::{Mode, Options};
    let components = package(ELF.as_bytes(), &[], 900);
    let cap = CapFile::from_load_data(&components).unwrap();
    let scp02 = CardProfile::DEFAULT.with_scp02(huiwan_gp::scp02::Options::I75);
    let s16 = CardProfile::DEFAULT.with_scp03(Options::I70.with_mode(Mode::S16));
    for (profile, version, level, block) in [
        (&scp02, 0x20, Level::CMac, 247),
        (&scp02, 0x20, Level::CMacCEnc, 239),
        (&scp02, 0x20, Level::CMacCEncRMac, 239),
        (&scp02, 0x30, Level::CMacRMac, 247),
        (&s16, 0x30, Level::CMac, 239),
        (&s16, 0x30, Level::CMacCEnc, 223),
        (&s16, 0x30, Level::All, 223),
    ] {
        let entries = [ModuleEntry::security_domain(ModuleId(0))];
        let manager = CardManager::new(profile, &entries).with_content_management(None);
        let modules: [&dyn Module; 1] = [&manager];
        let memory = new_memory(&Factory::TEST.with_scp02_test_keys());
        let element = Element::new(&modules, Registry::new(profile), memory);
        let mut card = Card { element, random: huiwan_testkit::rng::Seeded::new(1) };
        card.power_on();
        let (mut store, mut manager) = (store(), Manager::new());
        let key = huiwan_gp::card::TEST_KEY;
        store.insert_des(3, &key, &key, &key).unwrap();
        let key = if version == 0x20 { KeyRef::direct(3) } else { TEST };
        let host_challenge = [9; 16].into();
        let open = OpenChannel { aid: None, key_version: version, key, level, host_challenge };
        run_job(&mut card, &mut store, &mut manager, Job::Open(open));
        let report = run_job(&mut card, &mut store, &mut manager, Job::Load(Load::new(LoadFile::new(&cap))));
        let loads: Vec<usize> =
            report.commands.iter().filter(|c| c[1] == 0xE8).map(|c| usize::from(c[4])).collect();
        let len = LoadFile::new(&cap).encoded_len();
        assert_eq!(loads.len(), len.div_ceil(block));
        assert!(loads[..loads.len() - 1].iter().all(|sent| *sent == block), "{loads:?}");
        assert_eq!(loads.iter().sum::<usize>(), len);
    }
}

/// The longest file LOAD can number at a level, and one byte more.
#[test]
fn the_longest_file() {
    let most = 256 * 247 - 4;
    let overhead = package(ELF.as_bytes(), &[], 0).len();
    for (bytes, level, fits) in [
        (most, Level::CMac, true),
        (most + 1, Level::CMac, false),
        (256 * 239 - 4, Level::CMacCEnc, true),
        (256 * 239 - 3, Level::CMacCEnc, false),
    ] {
        let components = package(ELF.as_bytes(), &[], bytes - overhead);
        let cap = CapFile::from_load_data(&components).unwrap();
        let load = Job::Load(Load::new(LoadFile::new(&cap)));
        issuer(
            level,
            |_| (),
            |card, store, manager| {
                if fits {
                    let report = run_job(card, store, manager, load);
                    assert_eq!(report.headers().last(), Some(&[0xE8, 0x80, 0xFF]));
                } else {
                    let (fault, report) = fault(card, store, manager, load);
                    assert_eq!(fault.kind, FaultKind::TooManyBlocks { needed: 257, most: 256 });
                    assert_eq!(report.commands.len(), 0, "nothing was sent");
                }
            },
        );
    }
}

#[test]
fn an_aid_that_is_taken() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let load = Load::new(LoadFile::new(&cap));
    issuer(
        Level::All,
        |_| (),
        |card, store, manager| {
            run_job(card, store, manager, Job::Load(load));
            let (fault_, report) = fault(card, store, manager, Job::Load(load));
            assert_eq!((fault_.stage, fault_.kind), (Stage::GetStatus, FaultKind::AidTaken(ELF)));
            assert_eq!(report.headers(), [[0xF2, 0x20, 0x02]], "nothing but a look");
            assert!(
                fault_.to_string().starts_with("get status: D0D1D2D3D4D501 is on the card already; "),
                "{fault_}"
            );
            // Without the look the card refuses.
            let blind = Job::Load(Load { look: false, ..load });
            let (fault_, _) = fault(card, store, manager, blind);
            assert_eq!(
                (fault_.stage, fault_.kind),
                (Stage::InstallForLoad, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED))
            );
            assert!(fault_.to_string().contains("something of this AID is there"), "{fault_}");
        },
    );
    // An application has it, of another file.
    issuer(
        Level::CMac,
        |card| {
            let mut session = open_issuer(card);
            assert_eq!(run(card, &mut session, &install_toy(ELF.as_bytes(), &[0xC9, 0x00])).1, 0x9000);
        },
        |card, store, manager| {
            let (fault, report) = fault(card, store, manager, Job::Load(load));
            assert_eq!(fault.kind, FaultKind::AidTaken(ELF));
            assert_eq!(report.headers(), [[0xF2, 0x20, 0x02], [0xF2, 0x40, 0x02]]);
        },
    );
}

#[test]
fn imports_the_card_has_not() {
    let library = Aid::from_array([0xD0, 0x11, 0x22, 0x33, 0x44]);
    let (lib, frame) = (library.as_bytes(), &FRAMEWORK[..]);
    let library_file = package(lib, &[], 10);
    let library_cap = CapFile::from_load_data(&library_file).unwrap();
    let known = [Package { aid: frame, major: 1, minor: 3 }];
    for (imports, platform, missing) in [
        // Only what is listed is known.
        (vec![(frame, 1, 9), (lib, 1, 0)], None, None),
        (vec![(lib, 1, 1)], None, Some((library, 1, 1))),
        (vec![(lib, 2, 0)], None, Some((library, 2, 0))),
        (vec![(frame, 1, 3), (lib, 1, 0)], Some(&known[..]), None),
        (vec![(frame, 1, 4), (lib, 1, 0)], Some(&known[..]), Some((Aid::from_array(FRAMEWORK), 1, 4))),
        (
            vec![(&[1, 2, 3, 4, 5][..], 1, 0)],
            Some(&known[..]),
            Some((Aid::from_array([1, 2, 3, 4, 5]), 1, 0)),
        ),
    ] {
        let components = package(ELF.as_bytes(), &imports, 10);
        let cap = CapFile::from_load_data(&components).unwrap();
        issuer(
            Level::CMac,
            |_| (),
            |card, store, manager| {
                run_job(card, store, manager, Job::Load(Load::new(LoadFile::new(&library_cap))));
                let load = Job::Load(Load { platform, ..Load::new(LoadFile::new(&cap)) });
                match missing {
                    None => drop(run_job(card, store, manager, load)),
                    Some((aid, major, minor)) => {
                        let (fault, report) = fault(card, store, manager, load);
                        assert_eq!(fault.kind, FaultKind::ImportMissing { aid, major, minor });
                        assert_eq!(report.headers(), [[0xF2, 0x20, 0x02]]);
                    }
                }
            },
        );
    }
}

/// Memory that counts its room.
struct Small(MapMemory, usize);

impl Memory for Small {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        self.0.read(object, at, out)
    }

    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        self.0.len(object)
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        self.0.commit(batch)
    }

    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        self.0.next_object(after)
    }

    fn room(&self) -> Option<usize> {
        Some(self.1)
    }
}

#[test]
fn a_card_that_is_full() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let len = LoadFile::new(&cap).data_len() as u32;
    for (room, data, wanted) in [
        (len - 1, None, Some(len)),
        (len, None, None),
        (len + 99, Some(100), Some(len + 100)),
        (9000, Some(1), None),
    ] {
        with_domains(Small(new_memory(&Factory::TEST), room as usize), |card| {
            let (store, manager) = (&mut store(), &mut Manager::new());
            run_job(card, store, manager, open_job(None, TEST, Level::CMac));
            let load = Load::new(LoadFile::new(&cap));
            let load = Job::Load(Load { parameters: LoadParameters { data, ..load.parameters }, ..load });
            match wanted {
                None => drop(run_job(card, store, manager, load)),
                Some(needed) => {
                    let (fault, report) = fault(card, store, manager, load);
                    assert_eq!(
                        (fault.stage, fault.kind),
                        (Stage::GetData, FaultKind::NoMemory { free: room, needed })
                    );
                    assert_eq!(report.headers().last(), Some(&[0xCA, 0xFF, 0x21]));
                }
            }
        });
    }
    // As many load files as the profile allows, and one more.
    issuer(
        Level::CMac,
        |_| (),
        |card, store, manager| {
            for n in 0..9 {
                let components = package(&[0xD0, 0, 0, 0, n], &[], 10);
                let cap = CapFile::from_load_data(&components).unwrap();
                let mut loader = Manager::new();
                run_job(card, store, &mut loader, open_job(None, TEST, Level::CMac));
                let load = Job::Load(Load::new(LoadFile::new(&cap)));
                if n < 8 {
                    run_job(card, store, &mut loader, load);
                } else {
                    let (fault, _) = fault(card, store, &mut loader, load);
                    assert_eq!(fault.stage, Stage::InstallForLoad);
                    assert_eq!(fault.kind, FaultKind::Status(Sw::NOT_ENOUGH_MEMORY));
                    assert!(fault.to_string().contains("holds as many load files as it can"), "{fault}");
                }
                run_job(card, store, &mut loader, Job::Close);
            }
            let _ = manager;
        },
    );
}

#[test]
fn who_has_to_sign() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let plain = LoadFile::new(&cap);
    let key = [0x73; 16];
    let signature = mac::cmac(&Aes::new(&key).unwrap(), &[&plain.sha256()]);
    let mut wrong = signature;
    wrong[3] ^= 0x10;
    let prepare = |privileges: [u8; 3]| {
        move |card: &mut Card<'_, MapMemory>| {
            new_domain(card, &DAP, privileges);
            put_key(card, &DAP, &KEY, 0x73, &key);
        }
    };
    let dap = |signature| [Dap { domain: DAP.as_bytes(), signature }];
    let (right, wrong) = (dap(&signature), dap(&wrong));
    let sha256 = Some(HashFunction::Sha256);
    for (privileges, domain) in [([0xC1, 0, 0], None), ([0xC0, 0, 0], Some(DAP))] {
        issuer(Level::All, prepare(privileges), |card, store, manager| {
            let base = Load { domain, ..Load::new(plain) };
            let load = |file, hash| Job::Load(Load { file, hash, ..base });
            let (fault_, report) = fault(card, store, manager, load(plain, sha256));
            assert_eq!((fault_.stage, fault_.kind), (Stage::GetStatus, FaultKind::SignatureMissing(DAP)));
            assert!(report.headers().iter().all(|[ins, ..]| *ins == 0xF2), "nothing but a look");
            let (fault_, report) = fault(card, store, manager, load(plain.with_daps(&right), None));
            assert_eq!((fault_.kind, report.commands.len()), (FaultKind::HashMissing, 0));
            let (fault_, _) = fault(card, store, manager, load(plain.with_daps(&wrong), sha256));
            assert_eq!(
                (fault_.stage, fault_.kind),
                (Stage::Load { block: 1 }, FaultKind::Status(Sw::SECURITY_STATUS))
            );
            assert!(fault_.to_string().contains("a signature of the load file is wrong"), "{fault_}");
            // The signature is over another hash.
            let (fault_, _) =
                fault(card, store, manager, load(plain.with_daps(&right), Some(HashFunction::Sha1)));
            assert_eq!(fault_.kind, FaultKind::Status(Sw::SECURITY_STATUS));
            let blind = Job::Load(Load { look: false, ..base });
            let (fault_, _) = fault(card, store, manager, blind);
            assert_eq!(
                (fault_.stage, fault_.kind),
                (Stage::Load { block: 1 }, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED))
            );
            run_job(card, store, manager, load(plain.with_daps(&right), sha256));
            assert!(files(card).contains_key(ELF.as_bytes()));
        });
    }
    // Nobody demands one: a domain whose mandate does not count yet.
    issuer(
        Level::CMac,
        |card| {
            let mut session = open_issuer(card);
            let install = support::install_domain(DAP.as_bytes(), [0xC1, 0, 0], &[]);
            assert_eq!(run(card, &mut session, &install).1, 0x9000);
        },
        |card, store, manager| {
            run_job(card, store, manager, Job::Load(Load::new(plain)));
        },
    );
}

/// Signatures by RSA, made by OpenSSL: over SHA-1 with 1024 bits, over SHA-256 with 2048.
#[test]
fn signatures_made_elsewhere() {
    use huiwan_gp::put_key::put_rsa_field;
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let vectors = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    for v in vectors.blocks() {
        let prepare = |card: &mut Card<'_, MapMemory>| {
            new_domain(card, &DAP, [0xC1, 0, 0]);
            assert_eq!(card.sw(&select(DAP.as_bytes())), 0x9000);
            let own = huiwan_gp::scp03::StaticKeys::new(&KEY, &KEY, &KEY).unwrap();
            let mut session = open(card, 0, &own, Level::CMac);
            let mut data = [0; 300];
            data[0] = 0x73;
            let end = put_rsa_field(&mut data, 1, &v.bytes("in.n"), &v.bytes("in.e")).unwrap();
            let (first, last) = data[..end].split_at(end / 2);
            let put = |p1, data: &[u8]| support::apdu([0x80, 0xD8, p1, 0x01], data);
            assert_eq!(run(card, &mut session, &put(0x80, first)).1, 0x9000);
            assert_eq!(run(card, &mut session, &put(0x00, last)).1, 0x9000);
        };
        let signature = v.bytes("out.dap");
        let daps = [Dap { domain: DAP.as_bytes(), signature: &signature }];
        let file = LoadFile::new(&cap).with_descriptor().with_daps(&daps);
        let short = v.bytes("in.hash").len() == 20;
        let function = if short { HashFunction::Sha1 } else { HashFunction::Sha256 };
        let hash = Some(function);
        assert_eq!(file.hash(function)[..], v.bytes("in.hash"));
        issuer(Level::CMacCEnc, prepare, |card, store, manager| {
            run_job(card, store, manager, Job::Load(Load { hash, ..Load::new(file) }));
        });
    }
}

#[test]
fn a_file_only_the_card_can_read() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let key = [0x75; 16];
    for initial_value in [&[0xA5; 16][..], &[]] {
        let plain = LoadFile::new(&cap);
        let mut out = vec![0; components.len() + 16];
        let aes = Aes::new(&key).unwrap();
        let initial = if initial_value.is_empty() { &[0; 16] } else { initial_value };
        let data = plain.encipher(&aes, initial, &mut out).unwrap().to_vec();
        let ciphered = plain.with_ciphered(Ciphered { initial_value, data: &data });
        let damaged: Vec<u8> = data.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 40)).collect();
        let damaged = plain.with_ciphered(Ciphered { initial_value, data: &damaged });
        issuer(
            Level::CMac,
            |card| put_key(card, &ISSUER, &huiwan_gp::card::TEST_KEY, 0x75, &key),
            |card, store, manager| {
                let (fault, _) = fault(card, store, manager, Job::Load(Load::new(damaged)));
                assert_eq!(fault.kind, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED));
                run_job(card, store, manager, Job::Load(Load::new(ciphered)));
                assert_eq!(files(card)[ELF.as_bytes()], [APP.as_bytes()]);
            },
        );
    }
}

/// One attempt: a channel and the load. What is taken is there.
fn attempt(memory: MapMemory, load: Load<'_>, world: &World) -> (MapMemory, (Outcome, usize)) {
    with_domains(memory, |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMacCEnc));
        let (outcome, report) = world.run(card, &mut store, &mut manager, Job::Load(load));
        (outcome, report.commands.len())
    })
}

/// Every command of a load is lost, or its answer, or the card loses power behind it: another manager brings it to the end it would have
/// had.
#[test]
fn torn_loads() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let install = applet();
    for install in [None, Some(&install)] {
        let load = Load { install, ..Load::new(LoadFile::new(&cap)) };
        let blank = new_memory(&Factory::TEST);
        let (undisturbed, (outcome, commands)) = attempt(blank.clone(), load, &World::default());
        assert_eq!((outcome, commands), (Outcome::Complete, if install.is_some() { 7 } else { 6 }));
        let mut already = 0;
        for accident in [Accident::Unheard, Accident::Unanswered, Accident::PowerOff] {
            for at in 0..commands {
                let world = World { accident: Some((accident, at)), ..World::default() };
                let (torn, (outcome, _)) = attempt(blank.clone(), load, &world);
                assert!(
                    matches!(outcome, Outcome::Fault(fault) if fault.kind == FaultKind::CardLost),
                    "{outcome:?}"
                );
                let (resumed, (outcome, _)) = attempt(torn, load, &World::default());
                match outcome {
                    Outcome::Complete => {}
                    // Only the answer of the last command was lost.
                    Outcome::Fault(fault) => {
                        assert_eq!(fault.kind, FaultKind::AidTaken(ELF), "{accident:?} {at}");
                        assert_eq!(at + 1, commands);
                        already += 1;
                    }
                }
                assert_eq!(content(&resumed), content(&undisturbed), "{accident:?} {at}");
            }
        }
        assert_eq!(already, 2);
    }
}

#[test]
fn a_sequence_is_all_or_nothing() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    issuer(
        Level::All,
        |_| (),
        |card, store, manager| {
            let refused = Install { privileges: Privileges::SECURITY_DOMAIN, ..applet() };
            let (fault_, _) = {
                let mut manager = Manager::new();
                run_job(card, store, &mut manager, Job::Close);
                run_job(card, store, &mut manager, open_job(None, TEST, Level::All));
                fault(
                    card,
                    store,
                    &mut manager,
                    Job::Load(Load { install: Some(&refused), ..Load::new(LoadFile::new(&cap)) }),
                )
            };
            assert_eq!((fault_.stage, fault_.kind), (Stage::Install, FaultKind::Status(Sw::WRONG_DATA)));
            assert!(!files(card).contains_key(ELF.as_bytes()));
            let _ = manager;
        },
    );
}

/// One visit of a job; the command of this number is carried out, and its answer lost.
fn visit(
    memory: MapMemory,
    goals: &[Goal<'_>],
    state: &mut JobState,
    lost: Option<usize>,
) -> (MapMemory, (Visit, usize)) {
    const KEYS: [(u8, KeyRef); 1] = [(0x30, TEST)];
    with_domains(memory, |card| {
        let mut store = store();
        let plan = Plan { aid: None, keys: &KEYS, level: Level::All, goals };
        let mut worker = Worker::new(plan, *state);
        let (mut out, mut key_out, mut sent) = ([0; OUT_LEN], [0; OUT_LEN], 0);
        let mut answer;
        let mut input = Input::Start([5; 32]);
        loop {
            input = match worker.step(input, &mut out).unwrap() {
                Step::Send(command) => {
                    answer = card.send(command);
                    sent += 1;
                    if lost == Some(sent - 1) { Input::Lost } else { Input::Response(&answer) }
                }
                Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
                Step::Persist(saved) => {
                    *state = saved;
                    Input::Continue
                }
                Step::Progress(_) => Input::Continue,
                Step::Done(visit) => return (visit, sent),
            };
        }
    })
}

#[test]
fn a_job_loads_what_is_not_there() {
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let load = Load::new(LoadFile::new(&cap));
    let script = [Grouping { id: 0x0101, value: b"a record", encrypt: false }];
    let personalise = Personalise::new(Some(APP), &script, Coding::GP);
    let goals = [Goal::Loaded(load), Goal::Issued { install: applet(), personalise }];
    let blank = new_memory(&Factory::TEST);
    let (undisturbed, (ended, commands)) = visit(blank.clone(), &goals, &mut JobState::new(1), None);
    assert_eq!(ended, Visit::Complete);
    for lost in 0..commands {
        let mut state = JobState::new(1);
        let (memory, (ended, _)) = visit(blank.clone(), &goals, &mut state, Some(lost));
        assert!(
            matches!(ended, Visit::Again(fault) if fault.kind == FaultKind::CardLost),
            "{lost} {ended:?}"
        );
        let (memory, (ended, _)) = visit(memory, &goals, &mut state, None);
        assert_eq!(ended, Visit::Complete, "{lost}");
        assert_eq!(content(&memory), content(&undisturbed), "{lost}");
    }
    // Once more with a state that knows nothing: three commands to open, a look at each goal.
    let (memory, ended) = visit(undisturbed, &goals, &mut JobState::new(1), None);
    assert_eq!(ended, (Visit::Complete, 5));
    // Another version of the package is there: somebody has to decide.
    let mut newer = components.clone();
    // Minor version of the package, behind tag, length, magic, format and flags.
    newer[10] = 9;
    let cap = CapFile::from_load_data(&newer).unwrap();
    assert_eq!(cap.header().package.minor, 9);
    let goals = [Goal::Loaded(Load::new(LoadFile::new(&cap)))];
    let (_, (ended, _)) = visit(memory, &goals, &mut JobState::new(2), None);
    let Visit::Stopped { goal: 0, fault } = ended else { panic!("{ended:?}") };
    assert_eq!(fault.kind, FaultKind::AidTaken(ELF));
}
