//! Round trips of the registry service's commands and answers, and of user interaction parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_gp::crs::set_status::Place;
use huiwan_gp::crs::status::{Entry, Search};
use huiwan_gp::crs::{Change, Event, Failed, Service, entries};
use huiwan_gp::install::{Aids, Interaction, Parameters};
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_testkit::hex;
use huiwan_tlv::Writer;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

fn list() -> impl Strategy<Value = Vec<u8>> {
    vec(vec(any::<u8>(), 5..=16), 0..4).prop_map(|names| {
        names.iter().flat_map(|name| [&[0x4F, name.len() as u8][..], name].concat()).collect()
    })
}

fn short() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..=2)
}

proptest! {
    #[test]
    fn interaction(
        family in of(short()), display in of(short()), head in of(list()), lists in [list(), list(), list(), list()],
        restricted in of(list()), discretionary in of(vec(any::<u8>(), 0..40)), control in of(vec(any::<u8>(), 0..40)),
    ) {
        let aids = |raw| Aids::parse(raw).unwrap();
        let interaction = Interaction {
            family: family.as_deref(),
            display: display.as_deref(),
            head: head.as_deref().map(aids),
            group: aids(&lists[0]),
            group_removed: aids(&lists[1]),
            listeners: aids(&lists[2]),
            listeners_removed: aids(&lists[3]),
            restricted: restricted.as_deref().map(aids),
            discretionary: discretionary.as_deref(),
            display_control: control.as_deref(),
        };
        let mut out = [0; 700];
        let raw = interaction.write(&mut out).unwrap();
        prop_assert_eq!(Interaction::parse(raw).unwrap(), interaction);
        let mut out = [0; 800];
        let parameters = Parameters { user_interaction: raw, ..Parameters::default() };
        let read = Parameters::parse(parameters.write(&mut out).unwrap());
        // Discretionary data may look like a directory entry whose label is too long; then the parameters are refused.
        if let Ok(read) = read {
            prop_assert_eq!(read.interaction(), interaction);
        }
    }

    #[test]
    fn search_and_entry(
        prefix in vec(any::<u8>(), 0..=16), state in of(0..3_usize), family in of(short()), display in of(short()),
        tags in of(proptest::sample::subsequence(vec![0x80_u8, 0x81, 0x87, 0x88, 0xA6], 0..5)),
        life_cycle in any::<u8>(), updates in of(any::<u16>()), place in of(any::<u8>()), data in of(vec(any::<u8>(), 0..20)),
    ) {
        let states = [ContactlessState::Deactivated, ContactlessState::Activated, ContactlessState::NonActivatable];
        let state = state.map(|state| states[state]);
        let search = Search {
            prefix: &prefix, state, family: family.as_deref(), display: display.as_deref(), tags: tags.as_deref(),
        };
        let mut out = [0; 100];
        prop_assert_eq!(Search::parse(search.write(&mut out).unwrap()).unwrap(), Some(search));
        let entry = Entry {
            aid: &prefix, life_cycle, contactless: Some(state.unwrap_or(ContactlessState::Deactivated)), updates, place,
            family: family.as_deref(), display: display.as_deref(), discretionary: data.as_deref(), display_control: None,
        };
        let wanted = |tag: u8| tags.as_ref().is_none_or(|tags| tags.contains(&tag));
        let told = Entry {
            updates: updates.filter(|_| wanted(0x80)),
            place: place.filter(|_| wanted(0x81)),
            family: entry.family.filter(|_| wanted(0x87)),
            display: entry.display.filter(|_| wanted(0x88)),
            discretionary: entry.discretionary.filter(|_| wanted(0xA6)),
            ..entry
        };
        let mut out = [0; 200];
        let mut w = Writer::new(&mut out);
        entry.put(&search, &mut w);
        let raw = w.finish().unwrap();
        prop_assert_eq!(entries(raw).collect::<Result<Vec<_>, _>>().unwrap(), [told]);
        for cut in 1..raw.len() {
            prop_assert!(entries(&raw[..cut]).any(|entry| entry.is_err()));
        }
    }

    #[test]
    fn changes(names in list(), which in 0..7_usize) {
        prop_assume!(!names.is_empty());
        let aids = Aids::parse(&names).unwrap();
        let change = [
            Change::Availability { activate: false, aids },
            Change::Availability { activate: true, aids },
            Change::Priority { place: Place::Highest, aids },
            Change::Priority { place: Place::Lowest, aids },
            Change::Priority { place: Place::Volatile, aids },
            Change::Priority { place: Place::VolatileReset, aids: Aids::default() },
            Change::Antenna { on: names.len() % 2 == 0 },
        ][which];
        let [p1, p2] = change.parameters();
        prop_assert_eq!(Change::parse(p1, p2, change.data()).unwrap(), change);
    }

    #[test]
    fn any_bytes(p1: u8, p2: u8, raw in vec(any::<u8>(), 0..60)) {
        let _ = Service::parse(&raw);
        let _ = Search::parse(&raw);
        let _ = Failed::parse(&raw).map(|failed| failed.failed().chain(failed.conflicting()).count());
        let _ = entries(&raw).count();
        let _ = Interaction::parse(&raw);
        if let Ok(change) = Change::parse(p1, p2, &raw) {
            prop_assert_eq!(change.parameters(), [p1, p2]);
        }
    }
}

#[test]
fn numbers_of_the_field() {
    // SELECT of a service nobody has touched yet. (JCardEngine)
    let fci = hex("6F168409A00000015143525300A5099F0802010080020000");
    assert_eq!(Service::parse(&fci).unwrap(), Some(Service { version: [1, 0], updates: 0 }));
    assert_eq!(Service::parse(&fci[13..]).unwrap(), Some(Service { version: [1, 0], updates: 0 }));
    assert_eq!(Service::parse(&hex("A5059F08020100")).unwrap(), None);
    // A wallet of a band puts a card first for now; the phone's demo wallet switches the antenna on.
    let names = hex("4F0BA0000000041010AA030002");
    let change = Change::parse(0x02, 0x02, &names).unwrap();
    assert!(matches!(change, Change::Priority { place: Place::Volatile, aids } if aids.iter().count() == 1));
    assert_eq!(Change::parse(0x04, 0x80, &hex("800140")).unwrap(), Change::Antenna { on: true });
    // The priority of the directory entry is not the family in front of it.
    let parameters = hex("C900EF19A003810101A112870120880101A60ABF0C0761058701055000");
    let read = Parameters::parse(&parameters).unwrap();
    assert_eq!((read.priority, read.interaction().family), (Some(5), Some(&[0x20][..])));
    for event in Event::EVERY {
        assert_eq!(Event::from_byte(event.byte()), Some(event));
    }
    assert_eq!(Event::from_byte(0x00), None);
}
