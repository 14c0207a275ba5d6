//! Who may activate on the antenna: Contactless Activation has one holder and moves; what listeners hear of display data and groups; power
//! lost while it moves. [AmdC 3.6, 3.10, 7.1]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

mod crs;
mod cuts;
mod support;

use crs::*;
use cuts::{Bench, Case};
use huiwan_card::Memory;
use huiwan_gp::card::{CardProfile, EcKeys, ModuleEntry};
use huiwan_gp::crs::{AID, Event};
use huiwan_gp::get_status;
use huiwan_gp::install::{Aids, Fields, Interaction, Parameters};
use huiwan_testkit::hex;
use support::*;

static PROFILE: CardProfile = CardProfile::DEFAULT;
const ACTIVATION: [u8; 3] = [0x00, 0x00, 0x20];

fn privileges_of(card: &mut CrsCard<'_>, aid: &[u8]) -> [u8; 3] {
    let mut session = issuer(card);
    let search = [&[0x4F, aid.len() as u8][..], aid].concat();
    let (data, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &search));
    get_status::entries(&data).next().unwrap().unwrap().privileges.unwrap().bytes()
}

fn update(n: u8, privileges: &[u8], interaction: &Interaction<'_>) -> Vec<u8> {
    let (mut buffer, mut written) = ([0; 160], [0; 150]);
    let user_interaction = interaction.write(&mut written).unwrap();
    let parameters = Parameters { user_interaction, ..Parameters::NONE };
    let parameters = parameters.write(&mut buffer).unwrap();
    install(0x40, 0, &Fields { instance: &card_aid(n), privileges, parameters, ..Fields::default() })
}

#[test]
fn one_application_activates_others() {
    with_crs(&PROFILE, |card| {
        add(card, 1, &Wallet::default());
        assert_eq!(card.sw(&set(0x01, 0x01, &[1])), 0x9000);
        // By installation: the service has lost it, in the same commit.
        let before = updates(card);
        let mut session = issuer(card);
        let wallet = Wallet { privileges: ACTIVATION, ..Wallet::default() };
        assert_eq!(run(card, &mut session, &install_card(0x0C, 2, &wallet)).1, 0x9000);
        assert_eq!(privileges_of(card, &card_aid(2)), ACTIVATION);
        assert_eq!(privileges_of(card, AID.as_bytes()), [0; 3]);
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(updates(card), before + 2, "two entries changed");
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x6985);
        assert_eq!(card.sw(&set(0x02, 0x01, &[1])), 0x6985);
        assert_eq!(card.sw(&hex("80F0040003800140")), 0x6985);
        assert_eq!(ask(card, &hex("80F24000024F0000")).1, 0x9000, "looking takes no privilege");
        // By registry update it goes to another, and comes back.
        assert_eq!(manage(card, &update(1, &ACTIVATION, &Interaction::NONE)), 0x9000);
        assert_eq!(privileges_of(card, &card_aid(2)), [0; 3]);
        let back = Fields { instance: AID.as_bytes(), privileges: &ACTIVATION, ..Fields::default() };
        assert_eq!(manage(card, &install(0x40, 0, &back)), 0x9000);
        assert_eq!(privileges_of(card, &card_aid(1)), [0; 3]);
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        assert_eq!(card.sw(&set(0x01, 0x00, &[1])), 0x9000);
        // Whoever has it keeps it with any other change, and others keep what else they have.
        let both = [0x00, 0x00, 0x30];
        assert_eq!(manage(card, &update(1, &both, &Interaction::NONE)), 0x9000);
        assert_eq!(manage(card, &lock(1, true)), 0x9000);
        assert_eq!(privileges_of(card, &card_aid(1)), both);
        assert_eq!(manage(card, &install(0x40, 0, &back)), 0x9000);
        assert_eq!(privileges_of(card, &card_aid(1)), [0x00, 0x00, 0x10]);
        assert_eq!(privileges_of(card, AID.as_bytes()), ACTIVATION);
    });
}

/// INSTALL [for install] alone counts, too: the right moves when the entry comes.
#[test]
fn it_moves_with_the_entry_and_not_with_a_refusal() {
    with_crs(&PROFILE, |card| {
        let wallet = Wallet { privileges: ACTIVATION, ..Wallet::default() };
        let mut refused = install_card(0x0C, 1, &wallet);
        let module = refused.windows(6).position(|w| w == WALLET_CARD.module.as_bytes()).unwrap();
        refused[module + 5] ^= 1;
        assert_eq!(manage(card, &refused), 0x6A88);
        assert_eq!(privileges_of(card, AID.as_bytes()), ACTIVATION);
        assert_eq!(manage(card, &install_card(0x04, 1, &wallet)), 0x9000);
        assert_eq!(privileges_of(card, AID.as_bytes()), [0; 3]);
        // With the holder it is gone; nobody inherits it.
        assert_eq!(manage(card, &delete(1)), 0x9000);
        assert_eq!(privileges_of(card, AID.as_bytes()), [0; 3]);
    });
}

/// Display data: the address and the logo, each by itself and only if it changed; groups, told to the head as well.
#[test]
fn listeners_hear_of_display_data_and_groups() {
    with_crs(&PROFILE, |card| {
        add(card, 9, &Wallet::default());
        add(card, 8, &Wallet::default());
        let mut buffer = [0; 20];
        add(
            card,
            1,
            &Wallet {
                interaction: Interaction { listeners: aids(&[9], &mut buffer), ..Interaction::NONE },
                ..Wallet::default()
            },
        );
        for n in [9, 8, 1] {
            heard(card, n);
        }
        let display = |raw: &'static [u8]| Interaction { display_control: Some(raw), ..Interaction::NONE };
        let (uri, logo) = (Event::Uri.byte(), Event::Logo.byte());
        for (raw, events) in [
            (&b"\x5F\x50\x03a.b\x6D\x01\xAA"[..], vec![(uri, 1), (logo, 1)]),
            (b"\x5F\x50\x03a.b\x6D\x01\xAA", vec![]),
            (b"\x5F\x50\x03a.c\x6D\x01\xAA", vec![(uri, 1)]),
            (b"\x5F\x50\x03a.c\x6D\x01\xAB", vec![(logo, 1)]),
            (b"\x6D\x01\xAB", vec![(uri, 1)]),
            (b"\xFF\xFF", vec![(logo, 1)]),
        ] {
            assert_eq!(manage(card, &update(1, &[], &display(raw))), 0x9000);
            assert_eq!(heard(card, 9), events, "{raw:02X?}");
            assert_eq!(heard(card, 1), events, "the application itself");
        }
        let (mut eight, mut nine) = ([0; 20], [0; 20]);
        let heads = [aids(&[8], &mut eight), aids(&[9], &mut nine), Aids::NONE];
        let (joined, left) = (Event::GroupMemberAdded.byte(), Event::GroupMemberRemoved.byte());
        for (head, by_8, by_9) in [
            (heads[0], vec![(joined, 1)], vec![(joined, 1)]),
            (heads[0], vec![], vec![]),
            (heads[1], vec![(left, 1)], vec![(left, 1), (joined, 1), (joined, 1)]),
            (heads[2], vec![], vec![(left, 1), (left, 1)]),
        ] {
            let interaction = Interaction { head: Some(head), ..Interaction::NONE };
            assert_eq!(manage(card, &update(1, &[], &interaction)), 0x9000);
            assert_eq!(heard(card, 8), by_8);
            assert_eq!(heard(card, 9), by_9, "a head that listens hears it twice");
        }
    });
}

/// Sheet 2.8, and the Java interface of the amendment.
#[test]
fn numbers_of_events() {
    let numbers: Vec<_> = Event::EVERY.iter().map(|event| event.byte()).collect();
    assert_eq!(numbers, hex("02 82 81 04 05 06 0C 0E 8E 0F 8F 11 12 13 93 14".replace(' ', "").as_str()));
    for byte in 0..=255 {
        assert_eq!(Event::from_byte(byte).is_some(), numbers.contains(&byte));
    }
}

struct Rights;

impl Bench for Rights {
    fn power<M: Memory>(&self, memory: M, f: &mut dyn FnMut(&mut Card<'_, M>)) -> M {
        let wallet: (&dyn huiwan_card::Module, _) =
            (&WalletCard, ModuleEntry { id: huiwan_card::ModuleId(3), ..WALLET_CARD });
        with_modules(&PROFILE, &EcKeys::P256, &[wallet], memory, f).0
    }

    fn is_of_no_account(&self, instance: u8, id: u16) -> bool {
        instance != 0 && id == 1
    }

    fn look(&self, card: &mut CrsCard<'_>) -> String {
        let mut session = issuer(card);
        let listed = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")));
        assert_eq!(card.sw(&select(AID.as_bytes())), 0x9000);
        let (entries, updates) = (ask(card, &hex("80F24000024F0000")), updates(card));
        format!("{listed:02X?} {entries:02X?} {updates}")
    }
}

#[test]
fn power_cuts() {
    let mut prepared = MapMemory::default();
    Rights.power(new_memory(&huiwan_gp::card::Factory::TEST), &mut |card| {
        let mut session = issuer(card);
        assert_eq!(run(card, &mut session, &install_crs(ACTIVATION)).1, 0x9000);
        let wallet = Wallet::default();
        assert_eq!(run(card, &mut session, &install_card(0x0C, 1, &wallet)).1, 0x9000);
        prepared = card.element.memory().clone();
    });
    prepared.commits = 0;
    let keys = test_keys();
    let wallet = Wallet { privileges: ACTIVATION, active: true, ..Wallet::default() };
    for (name, command) in [
        ("the right moves by installation", install_card(0x0C, 2, &wallet)),
        ("the right moves by registry update", update(1, &ACTIVATION, &Interaction::NONE)),
    ] {
        let case = Case { name, session: Some(&keys), select: &ISSUER, first: &[], command: &command };
        cuts::everywhere(&Rights, &prepared, &case);
    }
}
