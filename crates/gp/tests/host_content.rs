//! Content management by the host's manager, against our own card: on the authority of others, with tokens and receipts; deletions with
//! what depends on them; the card's life cycle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod content;
mod support;

use content::*;
use huiwan_apdu::{Aid, Sw};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::{Aes, BlockKey, mac};
use huiwan_gp::cap::{CapFile, LoadFile};
use huiwan_gp::card::{CardProfile, EcKeys, Factory, TEST_KEY};
use huiwan_gp::delete::Target;
use huiwan_gp::get_data::{TAG_C2_CONFIRMATION_COUNTER, confirmation_counter};
use huiwan_gp::get_status::Scope;
use huiwan_gp::host::{
    Delegation, Extradite, Fault, FaultKind, Install, Inventory, Irrevocable, Job, KeyError, KeyHandle, Load,
    Manager, Outcome, PlanError, RegistryUpdate, RelatedDeletion, Removal, Stage, Transition,
};
use huiwan_gp::install::Parameters;
use huiwan_gp::life_cycle::CardState;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::put_key::put_ecc_private_field;
use huiwan_gp::scp03::Level;
use huiwan_gp::token::Confirmation;
use huiwan_testkit::vectors;
use support::{Card, MapMemory, SSD_FILE, TOY, apdu, new_memory, select, with_domains, with_modules};

const DELEGATED: [u8; 3] = [0xA0, 0x00, 0x00];
const TOY_APP: Aid = Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x01]);

const fn delegation(token: KeyHandle, receipt: Option<KeyHandle>) -> Delegation {
    Delegation { token, receipt }
}

const BOTH: Delegation = delegation(TOKEN, Some(RECEIPT));

/// A card with the issuer's token and receipt keys and a domain with delegated management.
fn prepared() -> MapMemory {
    with_domains(new_memory(&Factory::TEST), |card| {
        new_domain(card, &BANK, DELEGATED);
        new_domain(card, &OTHER, DELEGATED);
        put_key(card, &ISSUER, &TEST_KEY, 0x70, &TOKEN_KEY);
        put_key(card, &ISSUER, &TEST_KEY, 0x71, &RECEIPT_KEY);
    })
    .0
}

fn install(instance: Aid, make_selectable: bool) -> Install<'static> {
    Install {
        load_file: TOY.load_file,
        module: TOY.module,
        instance,
        privileges: Privileges::NONE,
        parameters: Parameters::default(),
        make_selectable,
    }
}

/// A receipt made from the table alone. [GPC C.5]
fn receipt(counter: u16, names: &[&[u8]]) -> Vec<u8> {
    let lv = |value: &[u8]| [&[value.len() as u8][..], value].concat();
    let confirmation = [&[2][..], &counter.to_be_bytes(), &[0]].concat();
    let covered: Vec<u8> =
        confirmation.iter().copied().chain(names.iter().flat_map(|name| lv(name))).collect();
    let receipt = mac::cmac(&Aes::new(&RECEIPT_KEY).unwrap(), &[&covered]);
    [lv(&receipt), confirmation].concat()
}

/// Every command that changes content, by delegation: tokens that the card takes, receipts that the host checks and hands out.
#[test]
fn everything_by_delegation() {
    for level in [Level::CMac, Level::All] {
        with_domains(prepared(), |card| {
            let components = components();
            let cap = CapFile::from_load_data(&components).unwrap();
            let mut store = store();
            let mut manager = Manager::new().with_delegation(BOTH);
            run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, level));
            let applet = Install { load_file: ELF, module: APP, ..install(APP, false) };
            let update = RegistryUpdate {
                application: APP,
                domain: None,
                privileges: None,
                parameters: Parameters { label: Some(b"Toy"), priority: Some(3), ..Parameters::default() },
                restriction: None,
            };
            let (elf, app, bank, other) = (ELF.as_bytes(), APP.as_bytes(), BANK.as_bytes(), OTHER.as_bytes());
            let toy = TOY_APP.as_bytes();
            let steps: [(Job<'_>, Vec<&[u8]>); 7] = [
                (Job::Load(Load::new(LoadFile::new(&cap))), vec![elf, bank]),
                (Job::Install(applet), vec![elf, app]),
                (Job::MakeSelectable(APP), vec![elf, app]),
                (Job::RegistryUpdate(update), vec![app]),
                (Job::Install(install(TOY_APP, true)), vec![TOY.load_file.as_bytes(), toy]),
                (Job::Delete(Target::Content(app)), vec![app]),
                (Job::Extradite(Extradite { what: TOY_APP, to: OTHER, from: None }), vec![bank, toy, other]),
            ];
            for (n, (job, names)) in steps.into_iter().enumerate() {
                let report = run_job(card, &mut store, &mut manager, job);
                let counter = n as u16 + 1;
                assert_eq!(report.answers, [receipt(counter, &names)], "{job:?}");
                let confirmation = Confirmation::parse(&report.answers[0]).unwrap().unwrap();
                assert_eq!((confirmation.counter, confirmation.unique), (counter, &[][..]));
            }
            // What is not there is not confirmed.
            let report = run_job(card, &mut store, &mut manager, Job::Delete(Target::Content(app)));
            assert_eq!(report.answers.len(), 0);
            run_job(card, &mut store, &mut manager, Job::Close);
            let mut issuer = Manager::new();
            run_job(card, &mut store, &mut issuer, open_job(None, TEST, level));
            let report = run_job(card, &mut store, &mut issuer, Job::GetData(TAG_C2_CONFIRMATION_COUNTER));
            assert_eq!(confirmation_counter(&report.answers[0]), Some(7));
        });
    }
}

/// The same receipts with ECDSA, from a card that has the private key to a host that has the public one.
#[test]
fn receipts_of_an_elliptic_curve() {
    let own = EcPrivate::<P256>::new(&[7; 32]).unwrap();
    let memory = new_memory(&Factory::TEST);
    with_modules(&CardProfile::DEFAULT, &EcKeys::P256, &[], memory, |card| {
        new_domain(card, &BANK, DELEGATED);
        put_key(card, &ISSUER, &TEST_KEY, 0x70, &TOKEN_KEY);
        let mut block = [7; 32];
        Aes::new(&TEST_KEY).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let mut data = [0x71; 64];
        let len = put_ecc_private_field(&mut data, 1, 32, &block, 0).unwrap();
        assert_eq!(card.sw(&select(ISSUER.as_bytes())), 0x9000);
        let mut session = support::open(card, 0, &support::test_keys(), Level::CMac);
        let put = apdu([0x80, 0xD8, 0, 1], &data[..len]);
        assert_eq!(support::run(card, &mut session, &put).1, 0x9000);
        let mut store = store();
        let mut manager = Manager::new().with_delegation(BOTH);
        store.insert_single(RECEIPT, own.public().unwrap().into()).unwrap();
        run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::All));
        let report = run_job(card, &mut store, &mut manager, Job::Install(install(TOY_APP, true)));
        assert_eq!((report.answers[0][0], &report.answers[0][65..]), (64, &[2, 0, 1, 0][..]));
        // The public key of another: done, and not confirmed.
        let other = EcPrivate::<P256>::new(&[8; 32]).unwrap().public().unwrap();
        store.insert_single(RECEIPT, other.into()).unwrap();
        let job = Job::Delete(Target::Content(TOY_APP.as_bytes()));
        let (outcome, _) = World::default().run(card, &mut store, &mut manager, job);
        let fault = Fault { stage: Stage::Delete, kind: FaultKind::Receipt };
        assert_eq!(outcome, Outcome::Fault(fault));
        assert_eq!(card.sw(&select(TOY_APP.as_bytes())), 0x6A82);
    });
}

#[test]
fn a_sequence_by_delegation_has_two_tokens_and_one_receipt() {
    with_domains(prepared(), |card| {
        let components = components();
        let cap = CapFile::from_load_data(&components).unwrap();
        let applet = Install { load_file: ELF, module: APP, ..install(APP, true) };
        let mut store = store();
        let mut manager = Manager::new().with_delegation(BOTH);
        run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::CMac));
        let load = Load { install: Some(&applet), ..Load::new(LoadFile::new(&cap)) };
        let report = run_job(card, &mut store, &mut manager, Job::Load(load));
        assert_eq!(report.answers, [receipt(1, &[ELF.as_bytes(), APP.as_bytes()])]);
        assert_eq!(card.sw(&select(APP.as_bytes())), 0x9000);
    });
}

#[test]
fn wrong_tokens_and_wrong_receipts() {
    with_domains(prepared(), |card| {
        let components = components();
        let cap = CapFile::from_load_data(&components).unwrap();
        let load = Job::Load(Load::new(LoadFile::new(&cap)));
        let toy = Job::Install(install(TOY_APP, true));
        let mut store = store();
        let mut attempt = |card: &mut Card<'_, MapMemory>, delegation, job| -> Fault {
            let mut manager = match delegation {
                Some(delegation) => Manager::new().with_delegation(delegation),
                None => Manager::new(),
            };
            run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::CMac));
            let (outcome, _) = World::default().run(card, &mut store, &mut manager, job);
            run_job(card, &mut store, &mut manager, Job::Close);
            match outcome {
                Outcome::Fault(fault) => fault,
                Outcome::Complete => panic!("{job:?} ends well"),
            }
        };
        // No token, a token of another key, a key the store has not.
        let fault = attempt(card, None, load);
        assert_eq!(fault.stage, Stage::InstallForLoad);
        assert_eq!(fault.kind, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED));
        assert!(fault.to_string().contains("it needs a token"), "{fault}");
        let fault = attempt(card, Some(delegation(STRANGE, None)), load);
        assert_eq!(
            (fault.stage, fault.kind),
            (Stage::InstallForLoad, FaultKind::Status(Sw::SECURITY_STATUS))
        );
        assert!(fault.to_string().contains("the token is wrong"), "{fault}");
        let fault = attempt(card, Some(delegation(STRANGE, None)), toy);
        assert_eq!((fault.stage, fault.kind), (Stage::Install, FaultKind::Status(Sw::SECURITY_STATUS)));
        let fault = attempt(card, Some(delegation(KeyHandle(9), None)), toy);
        assert_eq!(fault.kind, FaultKind::Key(KeyError::UnknownKey));
        assert!(!files(card).contains_key(ELF.as_bytes()));
        assert_eq!(card.sw(&select(TOY_APP.as_bytes())), 0x6A82);
        // The receipt is of another key: it is done all the same, and the fault says so.
        let fault = attempt(card, Some(delegation(TOKEN, Some(STRANGE))), load);
        assert_eq!((fault.stage, fault.kind), (Stage::LoadReceipt, FaultKind::Receipt));
        assert!(fault.to_string().contains("the change was made: do not repeat it"), "{fault}");
        assert!(files(card).contains_key(ELF.as_bytes()));
        let fault = attempt(card, Some(delegation(TOKEN, Some(STRANGE))), toy);
        assert_eq!((fault.stage, fault.kind), (Stage::Install, FaultKind::Receipt));
        assert_eq!(card.sw(&select(TOY_APP.as_bytes())), 0x9000);
    });
    // A card that makes no receipts, to a host that wants one and to one that does not.
    let memory = with_domains(new_memory(&Factory::TEST), |card| {
        new_domain(card, &BANK, DELEGATED);
        put_key(card, &ISSUER, &TEST_KEY, 0x70, &TOKEN_KEY);
    })
    .0;
    for (key, expected) in [
        (None, Outcome::Complete),
        (Some(RECEIPT), Outcome::Fault(Fault { stage: Stage::Install, kind: FaultKind::Receipt })),
    ] {
        with_domains(memory.clone(), |card| {
            let mut store = store();
            let mut manager = Manager::new().with_delegation(delegation(TOKEN, key));
            run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::CMac));
            let job = Job::Install(install(TOY_APP, true));
            assert_eq!(World::default().run(card, &mut store, &mut manager, job).0, expected);
        });
    }
}

/// A token of 256 bytes does not fit beside what it covers: the command goes in two pieces, which the token says. Made by OpenSSL.
#[test]
fn a_token_longer_than_a_command() {
    use huiwan_gp::put_key::put_rsa_field;
    let vectors = vectors::load(include_str!("vectors/rsa_signatures.txt"));
    let v = vectors.block("rsa-2048-pss");
    with_domains(new_memory(&Factory::TEST), |card| {
        new_domain(card, &BANK, DELEGATED);
        assert_eq!(card.sw(&select(ISSUER.as_bytes())), 0x9000);
        let mut session = support::open(card, 0, &support::test_keys(), Level::CMac);
        let mut data = [0; 300];
        data[0] = 0x70;
        let end = put_rsa_field(&mut data, 1, &v.bytes("in.n"), &v.bytes("in.e")).unwrap();
        let (first, last) = data[..end].split_at(100);
        assert_eq!(support::run(card, &mut session, &apdu([0x80, 0xD8, 0x80, 0x01], first)).1, 0x9000);
        assert_eq!(support::run(card, &mut session, &apdu([0x80, 0xD8, 0x00, 0x01], last)).1, 0x9000);
        // The file is loaded by the issuer, for the domain.
        let components = components();
        let cap = CapFile::from_load_data(&components).unwrap();
        let (mut store, mut issuer) = (store(), Manager::new());
        run_job(card, &mut store, &mut issuer, open_job(None, TEST, Level::CMac));
        let load = Load { domain: Some(BANK), ..Load::new(LoadFile::new(&cap)) };
        run_job(card, &mut store, &mut issuer, Job::Load(load));
        run_job(card, &mut store, &mut issuer, Job::Close);
        let world = World {
            token: Some(|message| {
                let vectors = vectors::load(include_str!("vectors/rsa_signatures.txt"));
                let v = vectors.block("rsa-2048-pss");
                // Asked first for a command in one piece, whose Lc takes one byte.
                let in_pieces = v.bytes("in.delete");
                let in_one = [&in_pieces[..2], &in_pieces[4..]].concat();
                assert!(message == in_pieces || message == in_one, "{message:02X?}");
                if message == in_pieces { v.bytes("out.delete_token") } else { vec![0; 256] }
            }),
            ..World::default()
        };
        let mut manager = Manager::new().with_delegation(delegation(TOKEN, None));
        run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::All));
        let job = Job::Delete(Target::Content(ELF.as_bytes()));
        let (outcome, report) = world.run(card, &mut store, &mut manager, job);
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(report.headers(), [[0xE4, 0x80, 0x00], [0xE4, 0x00, 0x00]]);
        assert_eq!(report.commands.iter().map(|command| command[4]).collect::<Vec<_>>(), [239, 30]);
        assert!(!files(card).contains_key(ELF.as_bytes()));
    });
}

const APP_2: Aid = Aid::from_array([0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02]);
const INNER: Aid = Aid::from_array([0xF0, 0xBA, 0x00, 0x00, 0x00, 0x11]);

/// A domain with an application, an inner domain with another, and a loaded file.
fn populated() -> MapMemory {
    with_domains(new_memory(&Factory::TEST), |card| {
        let authorised = [0x80, 0x40, 0x00];
        new_domain(card, &BANK, authorised);
        let components = components();
        let cap = CapFile::from_load_data(&components).unwrap();
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::CMac));
        let domain = Install {
            load_file: Aid::from_array(SSD_FILE),
            module: Aid::from_array(support::SSD_MODULE),
            instance: INNER,
            privileges: Privileges::SECURITY_DOMAIN,
            ..install(INNER, true)
        };
        run_job(card, &mut store, &mut manager, Job::Install(domain));
        run_job(card, &mut store, &mut manager, Job::Install(install(TOY_APP, true)));
        run_job(card, &mut store, &mut manager, Job::Install(install(APP_2, true)));
        let into = Extradite { what: APP_2, to: INNER, from: None };
        run_job(card, &mut store, &mut manager, Job::Extradite(into));
        run_job(card, &mut store, &mut manager, Job::Load(Load::new(LoadFile::new(&cap))));
        let applet = Install { load_file: ELF, module: APP, ..install(APP, true) };
        run_job(card, &mut store, &mut manager, Job::Install(applet));
    })
    .0
}

fn inventory(card: &mut Card<'_, MapMemory>, store: &mut Store, manager: &mut Manager<'_>) -> Inventory<16> {
    let mut inventory = Inventory::new();
    for scope in [Scope::Applications, Scope::LoadFiles] {
        for page in run_job(card, store, manager, Job::List { scope, prefix: &[] }).answers {
            inventory.add(scope, &page).unwrap();
        }
    }
    inventory
}

#[test]
fn a_plan_of_what_goes() {
    with_domains(populated(), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let inventory = inventory(card, &mut store, &mut manager);
        let related = |aid: &Aid| inventory.related(aid).map(|aids| aids.to_vec());
        assert_eq!(related(&ELF), Ok(vec![APP]));
        assert_eq!(related(&TOY_APP), Ok(vec![]));
        assert_eq!(related(&INNER), Ok(vec![APP_2]));
        let mut all = related(&BANK).unwrap();
        // Applications first in any order, then the file, then the inner domain.
        assert_eq!(all.split_off(3), [ELF, INNER]);
        all.sort_by_key(|aid| aid.as_bytes().to_vec());
        assert_eq!(all, [APP, TOY_APP, APP_2]);
        assert_eq!(related(&OTHER), Err(PlanError::NotThere));
    });
}

#[test]
fn a_file_that_others_still_need() {
    let mut memory = populated();
    // The applet goes to another domain, its file stays.
    memory = with_domains(memory, |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let away = Extradite { what: APP, to: ISSUER, from: Some(BANK) };
        run_job(card, &mut store, &mut manager, Job::Extradite(away));
    })
    .0;
    with_domains(memory, |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let inventory = inventory(card, &mut store, &mut manager);
        // The domain may not take along what is another's; the file may.
        let needed = PlanError::StillNeeded { what: ELF, by: APP };
        assert_eq!(inventory.related(&BANK), Err(needed));
        assert_eq!(needed.to_string(), "D0D1D2D3D4D501 is still needed by D0D1D2D3D4D50101");
        assert_eq!(inventory.related(&ELF).unwrap()[..], [APP]);
        // The card says the same.
        let mut manager = Manager::new();
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let removal = Removal { what: BANK, related: &[], how: RelatedDeletion::InOneCommand };
        let (fault, _) = fault(card, &mut store, &mut manager, Job::DeleteRelated(removal));
        assert_eq!(fault.kind, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED));
    });
}

/// A card that does not know the deletion of related objects: our own answers 6A86 to P2 = 81.
fn old_card(command: &mut [u8]) {
    if command[1] == 0xE4 && command[3] == 0x80 {
        command[3] = 0x81;
    }
}

#[test]
fn deletions_at_once_and_one_by_one() {
    let before = populated();
    let mut ends = Vec::new();
    for (how, change, commands) in [
        (RelatedDeletion::InOneCommand, (|_| ()) as fn(&mut [u8]), 1),
        (RelatedDeletion::InOneCommand, old_card as fn(&mut [u8]), 7),
        (RelatedDeletion::OneByOne, |_| (), 6),
    ] {
        let world = World { change, ..World::default() };
        let go = |memory: MapMemory, world: &World| {
            with_domains(memory, |card| {
                let (mut store, mut manager) = (store(), Manager::new());
                run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
                let inventory = inventory(card, &mut store, &mut manager);
                run_job(card, &mut store, &mut manager, Job::Close);
                let Ok(related) = inventory.related(&BANK) else { return (Outcome::Complete, 0) };
                let mut manager = Manager::new();
                run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
                let removal = Removal { what: BANK, related: &related, how };
                let (outcome, report) =
                    world.run(card, &mut store, &mut manager, Job::DeleteRelated(removal));
                (outcome, report.commands.len())
            })
        };
        let (after, ended) = go(before.clone(), &world);
        assert_eq!(ended, (Outcome::Complete, commands), "{how:?}");
        for aid in [BANK, INNER, TOY_APP, APP_2, APP] {
            with_domains(after.clone(), |card| assert_eq!(card.sw(&select(aid.as_bytes())), 0x6A82));
        }
        // The link breaks anywhere; planned anew, it comes to the same end.
        for accident in [Accident::Unheard, Accident::Unanswered, Accident::PowerOff] {
            for at in 0..commands {
                let torn = World { accident: Some((accident, at)), change, token: None };
                let (memory, _) = go(before.clone(), &torn);
                let (memory, (outcome, _)) = go(memory, &world);
                assert_eq!(outcome, Outcome::Complete);
                assert_eq!(content(&memory), content(&after), "{how:?} {accident:?} {at}");
            }
        }
        ends.push(content(&after));
    }
    assert!(ends.iter().all(|end| *end == ends[0]));
}

#[test]
fn what_the_card_still_needs_stays() {
    with_domains(populated(), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let job = Job::Delete(Target::Content(BANK.as_bytes()));
        let (fault, _) = fault(card, &mut store, &mut manager, job);
        assert_eq!(
            (fault.stage, fault.kind),
            (Stage::Delete, FaultKind::Status(Sw::CONDITIONS_NOT_SATISFIED))
        );
        assert!(fault.to_string().contains("referenced by others"), "{fault}");
    });
}

/// A ring of domains, as only a liar's registry has: the plan ends, and holds each of them once.
#[test]
fn a_registry_with_a_ring() {
    let entry = |aid: &Aid, domain: &Aid| {
        let tlv = |tag: &[u8], value: &[u8]| [tag, &[value.len() as u8], value].concat();
        let body = [
            tlv(&[0x4F], aid.as_bytes()),
            tlv(&[0x9F, 0x70], &[7]),
            tlv(&[0xC5], &[0x80, 0, 0]),
            tlv(&[0xCC], domain.as_bytes()),
        ]
        .concat();
        tlv(&[0xE3], &body)
    };
    let mut inventory = Inventory::<4>::new();
    let page = [entry(&BANK, &OTHER), entry(&OTHER, &INNER), entry(&INNER, &BANK)].concat();
    inventory.add(Scope::Applications, &page).unwrap();
    inventory.add(Scope::Applications, &page).unwrap();
    assert_eq!(inventory.len(), 3);
    assert_eq!(inventory.related(&BANK).unwrap()[..], [OTHER, INNER]);
    // And one it has no room for.
    let mut small = Inventory::<2>::new();
    let error = small.add(Scope::Applications, &page).unwrap_err();
    assert_eq!(error.kind(), huiwan_gp::host::InventoryError::Full);
}

#[test]
fn the_life_cycle_of_a_card_one_step_at_a_time() {
    let know = Irrevocable::i_know();
    with_domains(new_memory(&Factory::TEST), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        let mut at = CardState::OpReady;
        let steps = [
            (Transition::InitializeCard(know), CardState::OpReady, CardState::Initialized),
            (Transition::SecureCard(know), CardState::Initialized, CardState::Secured),
            (Transition::LockCard, CardState::Secured, CardState::CardLocked),
            (Transition::UnlockCard, CardState::CardLocked, CardState::Secured),
        ];
        for (transition, from, to) in steps {
            // Whatever is no step from here is not tried.
            for (other, other_from, other_to) in steps {
                if other_from != at && other_to != at {
                    let (fault, report) = fault(card, &mut store, &mut manager, Job::SetStatus(other));
                    assert_eq!((fault.stage, fault.kind), (Stage::SetStatus, FaultKind::CardState(at)));
                    assert_eq!(report.headers(), [[0xF2, 0x80, 0x02]]);
                    let locked = at == CardState::CardLocked;
                    assert_eq!(fault.to_string().contains("can unlock the card"), locked, "{fault}");
                }
            }
            assert_eq!(at, from);
            let report = run_job(card, &mut store, &mut manager, Job::SetStatus(transition));
            assert_eq!(report.headers(), [[0xF2, 0x80, 0x02], [0xF0, 0x80, to.byte()]]);
            at = to;
            // Again, as after a lost answer: it is so already.
            let report = run_job(card, &mut store, &mut manager, Job::SetStatus(transition));
            assert_eq!(report.headers(), [[0xF2, 0x80, 0x02]]);
        }
    });
}

#[test]
fn a_domain_is_locked_with_all_that_is_its() {
    with_domains(populated(), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        run_job(card, &mut store, &mut manager, Job::SetStatus(Transition::LockDomain(BANK)));
        for aid in [TOY_APP, APP_2, APP] {
            assert_eq!(card.sw(&select(aid.as_bytes())), 0x6A82);
        }
        run_job(card, &mut store, &mut manager, open_job(None, TEST, Level::CMac));
        run_job(card, &mut store, &mut manager, Job::SetStatus(Transition::UnlockDomain(BANK)));
        for aid in [TOY_APP, APP_2, APP] {
            assert_eq!(card.sw(&select(aid.as_bytes())), 0x9000);
        }
    });
}

#[test]
fn refusals_in_words() {
    with_domains(populated(), |card| {
        let (mut store, mut manager) = (store(), Manager::new());
        run_job(card, &mut store, &mut manager, open_job(Some(BANK), OWN, Level::CMac));
        let extradite = |what, to| Job::Extradite(Extradite { what, to, from: None });
        let update = |application, privileges| {
            Job::RegistryUpdate(RegistryUpdate {
                application,
                domain: None,
                privileges,
                parameters: Parameters::default(),
                restriction: None,
            })
        };
        for (job, stage, sw, words) in [
            (
                extradite(TOY_APP, OTHER),
                Stage::Extradition,
                0x6A88,
                "the application or the domain is not there",
            ),
            (extradite(INNER, INNER), Stage::Extradition, 0x6985, "below what moves"),
            (
                update(OTHER, None),
                Stage::RegistryUpdate,
                0x6A88,
                "the application or the domain is not there",
            ),
            (update(BANK, None), Stage::RegistryUpdate, 0x6985, "it is not below this domain"),
            (
                update(TOY_APP, Some(Privileges::MANDATED_DAP)),
                Stage::RegistryUpdate,
                0x6A80,
                "cannot keep these privileges",
            ),
        ] {
            let (fault, _) = fault(card, &mut store, &mut manager, job);
            assert_eq!((fault.stage, fault.kind), (stage, FaultKind::Status(Sw::new(sw))), "{job:?}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
    });
}

/// Random answers of card and key store: every task comes to an end, and none panics.
#[test]
fn any_card_brings_every_task_to_an_end() {
    use huiwan_gp::host::manager::OUT_LEN;
    use huiwan_gp::host::{Input, KeyAnswer, Step};
    let components = components();
    let cap = CapFile::from_load_data(&components).unwrap();
    let applet = Install { load_file: ELF, module: APP, ..install(APP, true) };
    let update = RegistryUpdate {
        application: APP,
        domain: Some(OTHER),
        privileges: Some(Privileges::NONE),
        parameters: Parameters::default(),
        restriction: Some(1),
    };
    let related = [APP, TOY_APP];
    let jobs = [
        Job::Load(Load::new(LoadFile::new(&cap))),
        Job::Load(Load { install: Some(&applet), look: false, ..Load::new(LoadFile::new(&cap)) }),
        Job::Install(applet),
        Job::MakeSelectable(APP),
        Job::Extradite(Extradite { what: APP, to: OTHER, from: None }),
        Job::RegistryUpdate(update),
        Job::Delete(Target::Content(APP.as_bytes())),
        Job::DeleteRelated(Removal { what: BANK, related: &related, how: RelatedDeletion::InOneCommand }),
        Job::SetStatus(Transition::LockCard),
    ];
    let mut random = huiwan_testkit::rng::Seeded::new(11);
    let mut complete = 0;
    for round in 0..9000 {
        let mut manager = Manager::new();
        if round % 2 == 0 {
            manager = manager.with_delegation(BOTH);
        }
        let (mut out, mut bytes) = ([0; OUT_LEN], vec![]);
        let mut input = Input::Start(jobs[round % jobs.len()]);
        for steps in 0.. {
            assert!(steps < 2000, "round {round}");
            let step = manager.step(input, &mut out).unwrap();
            bytes.clear();
            input = match step {
                Step::Send(_) => {
                    let len = random.below(30) as usize;
                    // Now and then something that reads as an answer.
                    let answer = match random.below(4) {
                        0 => vec![0],
                        1 => receipt(7, &[]),
                        _ => random.vec(len),
                    };
                    bytes.extend(answer);
                    let sw = [0x9000_u16, 0x9000, 0x9000, 0x6310, 0x6A88, 0x6A86, 0x6985]
                        [random.below(7) as usize];
                    bytes.extend(sw.to_be_bytes());
                    if random.below(20) == 0 {
                        bytes.truncate(1);
                    }
                    Input::Response(&bytes)
                }
                Step::Key(_) if random.below(8) == 0 => Input::Key(KeyAnswer::Refused(KeyError::Signature)),
                Step::Key(_) => {
                    let len = [0, 8, 16, 256, 300][random.below(5) as usize];
                    bytes.resize(len, 0x5A);
                    Input::Key(KeyAnswer::Bytes(&bytes))
                }
                Step::Done(outcome) => {
                    complete += usize::from(outcome == Outcome::Complete);
                    break;
                }
                _ => Input::Continue,
            };
        }
    }
    assert!(complete > 500, "{complete}");
}
