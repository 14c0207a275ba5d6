//! The band's own controller chooses the default card over the registry service, and the terminal's payment environment follows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::arithmetic_side_effects)]

use huiwan::element::{LOAD_FILE, Modules, PAYMENT_MODULE, SecureElement};
use huiwan::tsm::{self, Visit};
use huiwan_apdu::Aid;
use huiwan_card::{Cut, Environment, Interface, Journal, Module, RamFlash};
use huiwan_emv::card::ppse;
use huiwan_emv::card::qpboc;
use huiwan_gp::card::{CardProfile, Factory, Registry, TEST_KEY, format};
use huiwan_gp::crs::set_status::Place;
use huiwan_gp::crs::{self, Change};
use huiwan_gp::host::crs::{Input, Step, Wallet, Wish};
use huiwan_gp::host::{Install, Job, KeyRef, OpenChannel, Outcome, SoftKeyStore, Transition, manager};
use huiwan_gp::install::{Aids, Interaction, Parameters};
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_gp::privileges::Privileges;
use huiwan_gp::scp03::Level;
use huiwan_purse::profile::Profile;
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::{Rules, Tag, walk};

type Flash = RamFlash<65_536>;
type Band<'m> = SecureElement<'m, Journal<Flash, 256>>;

/// The band replaces by itself.
static PROFILE: CardProfile = huiwan::element::CARD;

const DEBIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
const CREDIT: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x02]);
/// A second card of the same bank, which its first one excludes.
const SPARE: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x03]);

fn modules() -> Modules<'static> {
    Modules::new(&PROFILE, qpboc::Profile::default(), Profile::JTT_978)
}

fn visit(band: &mut Band<'_>, jobs: &[Job<'_>]) {
    let mut keys = SoftKeyStore::<1, 1>::new();
    keys.insert(0, &TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
    let mut environment = Environment { random: &mut Seeded::new(9), now: None };
    band.power_on(Interface::Internal, &mut environment);
    let open = OpenChannel {
        aid: None,
        key_version: 0,
        key: KeyRef::direct(0),
        level: Level::All,
        host_challenge: [7; 8].into(),
    };
    let plan: Vec<Job<'_>> = [Job::Open(open)].into_iter().chain(jobs.iter().copied()).collect();
    let end = tsm::run(&plan, &mut keys, &mut |command, out| {
        let answer = band.exchange(command, &mut environment);
        out[..answer.len()].copy_from_slice(answer);
        Some(answer.len())
    });
    assert_eq!(end, Visit::Complete);
    band.power_off();
}

/// Three bank cards, the service and the payment environment; debit and credit active.
fn issued<'m>(list: &'m [&'m dyn Module]) -> Band<'m> {
    let mut memory = Journal::format(RamFlash::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    let mut band = SecureElement::new(list, Registry::new(&PROFILE), memory);
    let (mut buffer, mut written) = ([0; 20], [0; 40]);
    let restricted = Some(Aids::write([DEBIT.as_bytes()], &mut buffer).unwrap());
    let user_interaction = Interaction { restricted, ..Interaction::NONE }.write(&mut written).unwrap();
    let spare = Install {
        load_file: LOAD_FILE,
        module: PAYMENT_MODULE,
        instance: SPARE,
        privileges: Privileges::NONE,
        parameters: Parameters {
            contactless: Some(ContactlessState::Deactivated),
            label: Some(b"SPARE"),
            priority: Some(3),
            user_interaction,
            ..Parameters::default()
        },
        make_selectable: true,
    };
    let jobs = [
        Job::Install(tsm::payment_environment()),
        Job::Install(tsm::registry_service()),
        Job::Install(tsm::bank_card(DEBIT, b"DEBIT", 1)),
        Job::Install(tsm::bank_card(CREDIT, b"CREDIT", 2)),
        Job::Install(spare),
    ];
    visit(&mut band, &jobs);
    band
}

/// What a terminal reads from the payment environment: AIDs in order.
fn tapped(band: &mut Band<'_>) -> Vec<Vec<u8>> {
    let mut environment = Environment { random: &mut Seeded::new(2), now: None };
    band.power_on(Interface::Contactless, &mut environment);
    let select = [&[0x00, 0xA4, 0x04, 0x00, 14][..], ppse::NAME.as_bytes(), &[0]].concat();
    let answer = band.exchange(&select, &mut environment).to_vec();
    band.power_off();
    let (data, sw) = answer.split_last_chunk::<2>().unwrap();
    if *sw == [0x6A, 0x82] {
        return Vec::new();
    }
    assert_eq!(*sw, [0x90, 0x00]);
    let found = walk(data, Rules::EMV).map(|object| object.unwrap().1);
    found.filter(|object| object.tag() == Tag::new(0x4F)).map(|object| object.value().to_vec()).collect()
}

/// What the band's controller wants, over the internal interface.
fn wish(band: &mut Band<'_>, wish: Wish<'_>) -> Outcome {
    let mut environment = Environment { random: &mut Seeded::new(3), now: None };
    band.power_on(Interface::Internal, &mut environment);
    let (mut wallet, mut out) = (Wallet::new(wish), [0; manager::OUT_LEN]);
    let mut response = Vec::new();
    let mut step = wallet.step(Input::Start, &mut out).unwrap();
    let end = loop {
        step = match step {
            Step::Send(command) => {
                response.clear();
                response.extend_from_slice(band.exchange(command, &mut environment));
                wallet.step(Input::Response(&response), &mut out).unwrap()
            }
            Step::Answer { .. } => wallet.step(Input::Continue, &mut out).unwrap(),
            Step::Done(outcome) => break outcome,
        };
    };
    band.power_off();
    end
}

const fn default_card(card: Aid) -> Wish<'static> {
    Wish::Default { card, instead_of: Aids::NONE }
}

#[test]
fn the_terminal_finds_what_the_wearer_chose() {
    let modules = modules();
    let list = modules.list();
    let mut band = issued(&list);
    let aids = |names: &[Aid]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(tapped(&mut band), aids(&[DEBIT, CREDIT]));
    assert_eq!(wish(&mut band, default_card(CREDIT)), Outcome::Complete);
    assert_eq!(tapped(&mut band), aids(&[CREDIT, DEBIT]));
    // The spare card takes the place of the debit card.
    assert_eq!(wish(&mut band, default_card(SPARE)), Outcome::Complete);
    assert_eq!(tapped(&mut band), aids(&[SPARE, CREDIT]));
    visit(&mut band, &[Job::SetStatus(Transition::LockApplication(SPARE))]);
    assert_eq!(tapped(&mut band), aids(&[CREDIT]));
    visit(&mut band, &[Job::SetStatus(Transition::UnlockApplication(SPARE))]);
    assert_eq!(tapped(&mut band), aids(&[CREDIT]), "it was installed inactive");
    assert_eq!(wish(&mut band, Wish::Change(Change::Antenna { on: false })), Outcome::Complete);
    assert_eq!(tapped(&mut band), Vec::<Vec<u8>>::new());
    assert_eq!(wish(&mut band, Wish::Change(Change::Antenna { on: true })), Outcome::Complete);
    let mut buffer = [0; 20];
    let names = Aids::write([CREDIT.as_bytes()], &mut buffer).unwrap();
    let last = Change::Priority { place: Place::Lowest, aids: names };
    assert_eq!(wish(&mut band, default_card(DEBIT)), Outcome::Complete);
    assert_eq!(wish(&mut band, Wish::Change(last)), Outcome::Complete);
    assert_eq!(tapped(&mut band), aids(&[DEBIT, CREDIT]));
    visit(&mut band, &[Job::Delete(huiwan_gp::delete::Target::Content(DEBIT.as_bytes()))]);
    assert_eq!(tapped(&mut band), aids(&[CREDIT]));
    // Over the antenna nobody changes anything.
    let mut environment = Environment { random: &mut Seeded::new(4), now: None };
    band.power_on(Interface::Contactless, &mut environment);
    let select = [&[0x00, 0xA4, 0x04, 0x00, 9][..], crs::AID.as_bytes()].concat();
    assert_eq!(
        band.exchange(&select, &mut environment),
        [0x6A, 0x82],
        "the service is not there for readers"
    );
}

#[test]
fn power_lost_anywhere_leaves_one_of_two_rivals() {
    let modules = modules();
    let list = modules.list();
    let flash = issued(&list).into_memory().into_flash();
    let mut complete = false;
    for operation in 0..40 {
        for cut in Cut::ALL {
            let mut memory = Journal::mount(flash.clone()).unwrap();
            memory.flash_mut().cut_after(operation, cut, 5);
            let mut band: Band<'_> = SecureElement::new(&list, Registry::new(&PROFILE), memory);
            let end = wish(&mut band, default_card(SPARE));
            complete |= end == Outcome::Complete;
            let mut flash = band.into_memory().into_flash();
            flash.power_on();
            let mut band: Band<'_> =
                SecureElement::new(&list, Registry::new(&PROFILE), Journal::mount(flash).unwrap());
            let found = tapped(&mut band);
            let rivals =
                found.iter().filter(|aid| *aid == DEBIT.as_bytes() || *aid == SPARE.as_bytes()).count();
            assert_eq!(rivals, 1, "operation {operation}, {cut:?}: {found:?}");
            assert_eq!(wish(&mut band, default_card(SPARE)), Outcome::Complete);
            assert_eq!(tapped(&mut band), [SPARE.as_bytes(), CREDIT.as_bytes()]);
        }
        if complete {
            return;
        }
    }
    panic!("the wish never got through");
}
