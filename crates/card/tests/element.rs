//! The dispatcher: selection, channels, answers, chaining, forwards, jobs. The doubles record every call.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod band;

use band::{APP1, APP2, APP3, Band, DOMAIN, entries};
use huiwan_card::{
    Compute, Directory, InstanceId, Interface, Memory, ObjectId, Options, StaticDirectory, Turn,
};

#[test]
fn the_previous_application_is_deselected_before_the_next_is_selected() {
    // apdu-dispatch 918cc58 looks the new application up for deselection: the old one keeps its security state.
    let mut band = Band::new(entries());
    assert_eq!(band.select(b"\xF0APP1"), (b"FCI1".to_vec(), 0x9000));
    assert_eq!(
        band.send(&[0x80, 0x10, 0x55, 0]),
        (vec![], 0x9000),
        "the first application keeps something in its slot"
    );
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![0x55], 0x9000));
    band.log.borrow_mut().clear();
    assert_eq!(band.select(b"\xF0APP2"), (b"FCI2".to_vec(), 0x9000));
    assert_eq!(*band.log.borrow(), ["deselect 1 (55)", "select 2 (00)"]);
    assert_eq!(band.select(b"\xF0APP1").1, 0x9000);
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![0x00], 0x9000), "the slot was zeroized");
}

#[test]
fn control_parameters_come_in_the_fci() {
    // As pySim selects an application, a security domain among them.
    let mut band = Band::new(entries());
    let select = |p2| [0x00, 0xA4, 0x04, p2, 5, 0xF0, b'A', b'P', b'P', b'1', 0];
    assert_eq!(band.send(&select(0x04)), (b"FCI1".to_vec(), 0x9000));
    assert_eq!(band.send(&select(0x0C)), (vec![], 0x9000));
}

#[test]
fn selecting_the_same_application_again_ends_its_session() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.send(&[0x80, 0x10, 0x55, 0]);
    band.log.borrow_mut().clear();
    assert_eq!(band.select(b"\xF0APP1").1, 0x9000);
    assert_eq!(*band.log.borrow(), ["deselect 1 (55)", "select 1 (00)"]);
}

#[test]
fn a_select_that_fails_leaves_the_application_selected() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.send(&[0x80, 0x10, 0x55, 0]);
    band.log.borrow_mut().clear();
    assert_eq!(band.select(b"\xF0NONE"), (vec![], 0x6A82));
    assert_eq!(band.select(b"0123456789ABCDEFG"), (vec![], 0x6A82), "17 bytes are no name");
    assert_eq!(band.send(&[0x00, 0xA4, 0x04, 0x01, 4, 0xF0, b'A', b'P', b'P']), (vec![], 0x6A86));
    assert_eq!(band.send(&[0x00, 0xA4, 0x04, 0x08, 4, 0xF0, b'A', b'P', b'P']), (vec![], 0x6A86));
    assert_eq!(band.send(&[0x04, 0xA4, 0x04, 0x00, 4, 0xF0, b'A', b'P', b'P']), (vec![], 0x6882));
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![0x55], 0x9000), "nothing happened to its session");
    assert_eq!(*band.log.borrow(), ["process 1 12"]);
    band.log.borrow_mut().clear();
    // The third application refuses to be selected.
    assert_eq!(band.select(b"\xF0APP3"), (vec![], 0x6985));
    assert_eq!(*band.log.borrow(), ["deselect 1 (55)", "select 3 (00)"]);
    assert_eq!(band.element.selected(0), Some(APP1));
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![0x00], 0x9000), "its session has ended");
}

#[test]
fn names_select_exactly_partially_next_and_by_default() {
    let mut list = entries();
    list.push(band::entry(InstanceId(9), 1, b"\xF0APP2\x01", DOMAIN));
    let mut band = Band::new(list);
    assert_eq!(band.element.selected(0), Some(InstanceId::ISSUER), "the default at the beginning");
    assert_eq!(band.select(b"\xF0APP2").0, b"FCI2");
    assert_eq!(band.select(b"\xF0APP2\x01").0, b"FCI9");
    assert_eq!(band.select(b"\xF0AP").0, b"FCI1", "the first whose name begins so");
    let next = b"\x00\xA4\x04\x02\x03\xF0AP";
    assert_eq!(band.send(next).0, b"FCI2");
    assert_eq!(band.send(next), (vec![], 0x6985), "the third refuses");
    assert_eq!(band.element.selected(0), Some(APP2));
    assert_eq!(band.select(b"\xF0APP2\x01").0, b"FCI9");
    assert_eq!(band.send(next), (vec![], 0x6A82), "no more");
    assert_eq!(band.select(b"").0, b"FCI0");
    assert_eq!(
        band.send(&[0x00, 0xA4, 0x04, 0x0C, 5, 0xF0, b'A', b'P', b'P', b'1']),
        (vec![], 0x9000),
        "no data wanted"
    );
    assert_eq!(band.element.selected(0), Some(APP1));
}

#[test]
fn next_without_a_match_before_begins_at_the_first_behind() {
    let entries = entries();
    let mut memory = band::memory();
    let directory = StaticDirectory(&entries);
    let mut find = |name: &[u8], after| {
        directory.find(&mut memory, name, after, Interface::Contact).map(|entry| entry.instance)
    };
    assert_eq!(find(b"\xF0APP", Some(InstanceId::ISSUER)), Ok(APP1));
    assert_eq!(find(b"\xF0APP1", Some(APP2)).unwrap_err().value(), 0x6A82);
    assert_eq!(find(b"\xF0APP", Some(InstanceId(77))).unwrap_err().value(), 0x6A82, "behind nobody");
}

#[test]
fn an_instance_that_is_not_activated_is_invisible_on_the_antenna() {
    let mut list = entries();
    list[1].contactless = false;
    list[2].selectable = false;
    let mut band = Band::new(list);
    assert_eq!(band.select(b"\xF0APP2").1, 0x6A82);
    assert_eq!(band.select(b"\xF0APP1").1, 0x9000, "contacts do not mind");
    band.power_on(Interface::Contactless);
    assert_eq!(band.select(b"\xF0APP1").1, 0x6A82);
    band.power_on(Interface::Internal);
    assert_eq!(band.select(b"\xF0APP1").1, 0x9000);
}

#[test]
fn channels_open_close_and_hold_one_instance_each() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    assert_eq!(band.send(&[0x81, 0x12, 0, 0, 1]).1, 0x6881, "not open");
    assert_eq!(band.send(&[0x01, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'2']).1, 0x6881);
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]), (vec![1], 0x9000));
    assert_eq!(band.element.selected(1), Some(InstanceId::ISSUER), "the default application");
    assert_eq!(band.send(&[0x81, 0x12, 0, 0, 1]).1, 0x9000);
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x02]), (vec![], 0x9000));
    assert_eq!(band.send(&[0x82, 0x12, 0, 0, 1]).1, 0x6985, "nothing: it is selected on channel 1");
    assert_eq!(band.send(&[0x00, 0x70, 0x80, 0x02]).1, 0x9000);
    assert_eq!(
        band.send(&[0x01, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'1']).1,
        0x6985,
        "selected on channel 0"
    );
    assert_eq!(
        band.send(&[0x01, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'2']),
        (b"FCI2".to_vec(), 0x9000)
    );
    band.send(&[0x80, 0x10, 0x11, 0]);
    band.send(&[0x81, 0x10, 0x22, 0]);
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]).0, [0x11]);
    assert_eq!(band.send(&[0x81, 0x12, 0, 0, 1]).0, [0x22]);
    assert_eq!(band.select(b"\xF0APP2").1, 0x6985, "selected on channel 1");
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]).0, [0x11], "and the first one still there");
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x03]), (vec![], 0x9000), "by number");
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]), (vec![2], 0x9000));
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]).1, 0x6A81, "all four are open");
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x04]).1, 0x6A86);
    band.log.borrow_mut().clear();
    assert_eq!(band.send(&[0x00, 0x70, 0x80, 0x01]), (vec![], 0x9000));
    assert_eq!(*band.log.borrow(), ["deselect 2 (22)"]);
    assert_eq!(band.send(&[0x00, 0x70, 0x80, 0x01]).1, 0x6200, "closed already");
    assert_eq!(band.send(&[0x02, 0x70, 0x80, 0x00]).1, 0x9000, "its own");
    assert_eq!(band.send(&[0x00, 0x70, 0x80, 0x00]).1, 0x6A86, "the basic channel does not close");
    assert_eq!(band.send(&[0x81, 0x12, 0, 0, 1]).1, 0x6881);
}

#[test]
fn channels_above_three_use_the_further_classes() {
    let mut band = Band::with_options(entries(), Options::DEFAULT.with_channels(20));
    for channel in 1..20 {
        assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]), (vec![channel], 0x9000));
    }
    assert_eq!(band.send(&[0x4F, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'1']).0, b"FCI1");
    assert_eq!(band.element.selected(19), Some(APP1));
    assert_eq!(band.send(&[0xCF, 0x20, 0, 0, 2]).0, [0, 19]);
    assert_eq!(band.send(&[0x40, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'1']).1, 0x6985);
}

#[test]
fn classes_and_lengths_are_checked() {
    let mut band = Band::new(entries());
    assert_eq!(band.send(&[0xFF, 0x12, 0, 0]).1, 0x6E00);
    assert_eq!(band.send(&[0x21, 0x12, 0, 0]).1, 0x6E00);
    assert_eq!(band.send(&[0x80, 0x12]).1, 0x6700);
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 5, 1]).1, 0x6700);
    assert_eq!(band.send(&[]).1, 0x6700);
    band.select(b"\xF0APP1");
    let mut extended = vec![0x80, 0x1E, 0, 0, 0, 1, 44];
    extended.extend_from_slice(&[7; 300]);
    extended.extend_from_slice(&[0, 0]);
    assert_eq!(band.send(&extended), (vec![1, 44], 0x9000));
    let mut band = Band::with_options(entries(), Options::DEFAULT.with_extended_length(false));
    band.select(b"\xF0APP1");
    assert_eq!(band.send(&extended), (vec![], 0x6700));
}

/// What is no command but announces secure messaging: the application hears of it, without data, so that it can end what was agreed.
#[test]
fn a_protected_command_that_is_none_reaches_its_application() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.log.borrow_mut().clear();
    // Too little data, too much, an extended length that is not kept; the application answers P1 P2.
    for body in [&[5, 1][..], &[1, 1, 2, 3], &[0, 1, 44, 7], &[0, 0]] {
        let command = |cla| [&[cla, 0x22, 0x6A, 0x99][..], body].concat();
        assert_eq!(band.send(&command(0x84)).1, 0x6A99);
        assert_eq!(*band.log.borrow(), ["process 1 22"]);
        band.log.borrow_mut().clear();
        // Plain, on a channel that is not open, on none: it is nobody's.
        for cla in [0x80, 0x85, 0xE0, 0xA0, 0xFF] {
            assert_eq!(band.send(&command(cla)), (vec![], 0x6700), "{cla:02X}");
        }
        assert!(band.log.borrow().is_empty());
    }
    // Selection and channels are never under secure messaging.
    assert_eq!(band.send(&[0x04, 0xA4, 0x04, 0x00, 5, 1]).1, 0x6882);
    // Not even four bytes.
    assert_eq!(band.send(&[0x84, 0x22, 0x6A]).1, 0x6700);
}

#[test]
fn answers_longer_than_ne_wait() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(band.send(&[0x80, 0x1C, 1, 0, 0]), (all.clone(), 0x9000), "256 bytes for Le 00");
    assert_eq!(band.send(&[0x80, 0x1C, 1, 0]), (all.clone(), 0x9000), "and without an Le");
    assert_eq!(band.send(&[0x80, 0x1C, 1, 0, 100]), (all[..100].to_vec(), 0x619C));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 100]), (all[100..200].to_vec(), 0x6138));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 0]), (all[200..].to_vec(), 0x9000));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 0]), (vec![], 0x6985), "nothing waits");
    // Any other command drops what waits.
    assert_eq!(band.send(&[0x80, 0x1C, 0, 9, 4]).1, 0x6105);
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]).1, 0x9000);
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 5]), (vec![], 0x6985));
    assert_eq!(band.send(&[0x80, 0x1C, 0, 9, 4]).1, 0x6105);
    assert_eq!(band.send(&[0x83, 0x12, 0, 0, 1]).1, 0x6881);
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 5]), (vec![], 0x6985));
    // A warning keeps its data, an error does not.
    assert_eq!(band.send(&[0x80, 0x22, 0x63, 0x10, 0]), (b"data".to_vec(), 0x6310));
    assert_eq!(band.send(&[0x80, 0x22, 0x63, 0x10, 2]), (b"da".to_vec(), 0x6102));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 0]), (b"ta".to_vec(), 0x6310));
    assert_eq!(band.send(&[0x80, 0x22, 0x6A, 0x80, 0]), (vec![], 0x6A80));
    assert_eq!(band.send(&[0x80, 0x22, 0x93, 0x02, 0]), (vec![], 0x9302));
}

#[test]
fn t0_answers_wait_for_get_response_and_commands_run_once() {
    let mut band = Band::with_options(entries(), Options::DEFAULT.with_t0(true));
    assert_eq!(band.select(b"\xF0APP1"), (vec![], 0x6104));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 0]), (vec![], 0x6C04), "Le has to be right");
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 4]), (b"FCI1".to_vec(), 0x9000));
    band.log.borrow_mut().clear();
    assert_eq!(band.send(&[0x80, 0x1C, 0, 5, 0]), (vec![], 0x6C05));
    assert_eq!(band.send(&[0x80, 0x1C, 0, 5, 5]), (vec![0, 1, 2, 3, 4], 0x9000));
    assert_eq!(*band.log.borrow(), ["process 1 1C"], "the repetition fetched the answer");
    assert_eq!(band.send(&[0x80, 0x1C, 0, 5, 5]).1, 0x9000);
    assert_eq!(band.log.borrow().len(), 2, "the next one runs");
    assert_eq!(band.send(&[0x80, 0x1C, 0, 5, 0]).1, 0x6C05);
    assert_eq!(band.send(&[0x80, 0x1C, 0, 6, 6]).0.len(), 6, "another command is another command");
    let command = [0x80, 0x1E, 0, 0, 3, 1, 2, 3];
    assert_eq!(band.send(&command), (vec![], 0x6102));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 1]), (vec![0], 0x6101));
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 1]), (vec![3], 0x9000));
    // The antenna has no T=0.
    band.power_on(Interface::Contactless);
    assert_eq!(band.select(b"\xF0APP1").0, b"FCI1");
}

#[test]
fn chains_are_joined() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    let piece = |cla, n: u8, fill| {
        let mut command = vec![cla, 0x1E, 0, 0, n];
        command.extend(core::iter::repeat_n(fill, n.into()));
        command
    };
    assert_eq!(band.send(&piece(0x10, 200, 1)), (vec![], 0x9000));
    assert_eq!(band.send(&piece(0x10, 200, 2)), (vec![], 0x9000));
    let mut last = piece(0x00, 100, 3);
    last.push(0);
    assert_eq!(band.send(&last), (vec![1, 244], 0x9000), "500 bytes in one command");
    assert_eq!(band.log.borrow().iter().filter(|call| *call == "process 1 1E").count(), 1);
    // Interrupted: the chain is gone, the session stays.
    band.send(&piece(0x10, 200, 1));
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]).1, 0x6985);
    assert_eq!(band.send(&last), (vec![0, 100], 0x9000));
    band.send(&piece(0x10, 200, 1));
    assert_eq!(band.send(&[0x00, 0x1F, 0, 0, 1, 1]).1, 0x6985, "another instruction");
    // As much as fits.
    for _ in 0..4 {
        assert_eq!(band.send(&piece(0x10, 250, 1)).1, 0x9000);
    }
    assert_eq!(band.send(&piece(0x10, 250, 1)).1, 0x6A84);
    assert_eq!(band.send(&last), (vec![0, 100], 0x9000), "begun anew");
    assert_eq!(band.send(&[0x10, 0xA4, 0x04, 0, 1, 1]).1, 0x6884);
    assert_eq!(band.send(&[0x10, 0x70, 0, 0]).1, 0x6884);
    // Empty pieces, and a chain on a reset.
    assert_eq!(band.send(&[0x10, 0x1E, 0, 0]), (vec![], 0x9000));
    assert_eq!(band.send(&[0x00, 0x1E, 0, 0, 0]), (vec![0, 0], 0x9000));
    assert_eq!(band.send(&[0x10, 0x1E, 0, 0]), (vec![], 0x9000));
    assert_eq!(band.send(&[0x00, 0x1E, 0, 0]), (vec![0, 0], 0x9000));
    band.send(&piece(0x10, 9, 1));
    assert_eq!(band.send(&[0x00, 0x1E, 0, 0, 0]), (vec![0, 9], 0x9000));
    band.send(&piece(0x10, 9, 1));
    band.element.reset();
    band.select(b"\xF0APP1");
    assert_eq!(band.send(&last), (vec![0, 100], 0x9000));
}

#[test]
fn a_domain_serves_the_channel_of_its_application() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.log.borrow_mut().clear();
    // The application hands 84 14 to its domain, which forwards it as plain 80 1E and wraps the answer.
    assert_eq!(band.send(&[0x84, 0x14, 0, 0, 3, 7, 8, 9, 0]), (vec![0, 3, 0xD0, 1], 0x9000));
    assert_eq!(
        *band.log.borrow(),
        ["process 1 14", "process 5 14 for 1", "process 1 1E mac", "forwarded 5 9000"]
    );
    // Its session goes on with the next command, and ends with the selection of another application.
    assert_eq!(band.send(&[0x84, 0x14, 0, 0, 3, 7, 8, 9, 0]).0, [0, 3, 0xD0, 2]);
    band.select(b"\xF0APP1");
    assert_eq!(band.send(&[0x84, 0x14, 0, 0, 3, 7, 8, 9, 0]).0, [0, 3, 0xD0, 1]);
    // A second channel has a session of its own.
    assert_eq!(band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]).1, 0x9000);
    assert_eq!(band.send(&[0x01, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'2']).1, 0x9000);
    assert_eq!(band.send(&[0x85, 0x14, 0, 0, 0]).0, [0, 0, 0xD0, 1]);
    assert_eq!(band.send(&[0x84, 0x14, 0, 0, 0]).0, [0, 0, 0xD0, 2]);
}

#[test]
fn a_domain_that_is_asked_in_a_circle_is_not_called() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    // P1 01: the domain forwards the same 14 back, and the application asks its domain again.
    assert_eq!(band.send(&[0x84, 0x14, 1, 0, 0]), (vec![], 0x6985));
    // An issuer domain has no domain above it.
    band.select(b"");
    assert_eq!(band.send(&[0x84, 0x14, 0, 0, 0]).1, 0x6985);
}

#[test]
fn only_domains_forward_and_only_to_their_own() {
    let mut band = Band::new(entries());
    let forward = |what: u8, to: u8| [0x80, 0x16, what, to, 2, 0xAB, 0xCD];
    band.select(b"\xF0APP1");
    for what in 0..4 {
        assert_eq!(band.send(&forward(what, 2)), (vec![], 0x6982), "an application: {what}");
    }
    // The domain of applications 1 and 2, but not of 4.
    assert_eq!(band.select(b"\xF0DOMAIN").1, 0x9000);
    band.log.borrow_mut().clear();
    assert_eq!(band.send(&forward(1, 1)), (vec![], 0x9000));
    assert_eq!(*band.log.borrow(), ["process 5 16", "personalise 1 8000 ABCD", "forwarded 5 9000"]);
    assert_eq!(band.send(&forward(2, 1)), (vec![0, 2], 0x9000));
    assert_eq!(band.send(&forward(1, 4)).1, 0x6982, "of another domain");
    assert_eq!(band.send(&forward(2, 4)).1, 0x6982);
    assert_eq!(band.send(&forward(3, 4)).1, 0x6982);
    assert_eq!(band.send(&forward(1, 99)).1, 0x6A88, "nobody");
    assert_eq!(band.send(&forward(2, 5)).1, 0x6985, "itself");
    assert_eq!(band.send(&forward(0, 20)).1, 0x9000);
    assert_eq!(band.log.borrow()[band.log.borrow().len() - 2], "install 20 ABCD");
    // The issuer's domain reaches all, but personalises only what is associated with it: the domain below, not that one's applications.
    assert_eq!(band.select(b"").1, 0x9000);
    assert_eq!(band.send(&forward(2, 1)).1, 0x9000);
    assert_eq!(band.send(&forward(1, 4)).1, 0x9000);
    assert_eq!(band.send(&forward(1, 5)).1, 0x6A81, "it is asked, and takes nothing");
    assert_eq!(band.send(&forward(1, 1)).1, 0x6982, "the domain below does that");
    // What a forwarded call refuses comes back.
    assert_eq!(band.send(&[0x80, 0x16, 1, 4, 2, 0xFF, 0xFF]).1, 0x6A80);
}

#[test]
fn what_is_selected_is_neither_installed_over_nor_uninstalled() {
    let mut band = Band::new(entries());
    let forward = |cla: u8, what: u8, to: u8| [cla, 0x16, what, to, 2, 0xAB, 0xCD];
    band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]);
    band.send(&[0x01, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', b'1']);
    assert_eq!(band.send(&forward(0x80, 3, 1)).1, 0x6985);
    assert_eq!(band.send(&forward(0x80, 0, 1)).1, 0x6985);
    assert_eq!(band.send(&forward(0x80, 3, 0)).1, 0x6985, "itself");
    let object = ObjectId::new(APP1, 7);
    band.put(object, b"something");
    band.send(&[0x00, 0x70, 0x80, 0x01]);
    // As long as the directory lists it, its objects stay; then they go.
    assert_eq!(band.send(&forward(0x80, 3, 1)).1, 0x9000);
    assert_eq!(band.element.memory_mut().len(object).unwrap(), Some(9));
    assert_eq!(
        band.send(&[0x80, 0x16, 3, 1, 2, 0xDE, 0xAD]).1,
        0x9000,
        "the domain takes it out of the directory"
    );
    assert_eq!(band.element.memory_mut().len(object).unwrap(), None);
    assert_eq!(band.select(b"\xF0APP1").1, 0x6A82);
}

#[test]
fn private_key_operations_are_jobs() {
    let mut band = Band::new(entries());
    band.put_rsa_key(APP1);
    band.select(b"\xF0APP1");
    let mut message = [0x5A; 64];
    message[0] = 0x01;
    let mut command = vec![0x80, 0x18, 0, 0, 64];
    command.extend_from_slice(&message);
    command.push(0);
    let mut random = huiwan_testkit::rng::Seeded::new(3);
    let mut env = huiwan_card::Environment { random: &mut random, now: None };
    let job = match band.element.transmit(&command, &mut env) {
        Turn::Compute(job) => job,
        Turn::Reply(reply) => panic!("{reply:02X?}"),
    };
    assert_eq!(job.instance, APP1);
    assert_eq!(job.compute, Compute::RsaCrt { key: [10, 11, 12, 13, 14], len: 64 });
    assert_eq!(band.element.job_input(), message);
    // In software.
    let signature = match band.element.run_job(&mut env) {
        Turn::Reply(reply) => reply.to_vec(),
        Turn::Compute(_) => panic!("once"),
    };
    let (signature, sw) = signature.split_at(64);
    assert_eq!(sw, [0x90, 0x00]);
    let mut out = [0; 64];
    assert_eq!(band::rsa_public().recover(signature, &mut out).unwrap(), message);
    assert!(band.element.job_input().is_empty());
    // By an accelerator, which may fail.
    assert!(matches!(band.element.transmit(&command, &mut env), Turn::Compute(_)));
    assert_eq!(band.element.resume(Ok(&[1, 2, 3]), &mut env), Turn::Reply(&[1, 2, 3, 0x90, 0x00]));
    assert!(matches!(band.element.transmit(&command, &mut env), Turn::Compute(_)));
    let failed = band.element.resume(Err(huiwan_crypto::CryptoError), &mut env);
    assert_eq!(failed, Turn::Reply(&[0x6F, 0x00]));
    assert_eq!(band.element.run_job(&mut env), Turn::Reply(&[0x6F, 0x00]), "no job");
    // A new command abandons it.
    assert!(matches!(band.element.transmit(&command, &mut env), Turn::Compute(_)));
    assert_eq!(band.element.transmit(&[0x80, 0x12, 0, 0, 1], &mut env), Turn::Reply(&[0, 0x90, 0x00]));
    assert_eq!(band.element.resume(Ok(&[1]), &mut env), Turn::Reply(&[0x6F, 0x00]));
    // Through the domain of the application: P1 02 makes the domain forward 18.
    let mut served = vec![0x84, 0x14, 2, 0, 64];
    served.extend_from_slice(&message);
    served.push(0);
    let reply = band.element.exchange(&served, &mut env).to_vec();
    assert_eq!(reply.len(), 64 + 2 + 2);
    assert_eq!(band::rsa_public().recover(&reply[..64], &mut out).unwrap(), message);
    assert_eq!(reply[64], 0xD0, "the domain wrapped it");
    // A key that is not there.
    band.select(b"\xF0APP2");
    assert_eq!(band.send(&command), (vec![], 0x6F00));
}

#[test]
fn sm2_signatures_are_jobs() {
    let mut band = Band::new(entries());
    let secret = [0x42; 32];
    band.put(ObjectId::new(APP1, 20), &secret);
    band.select(b"\xF0APP1");
    let (signature, sw) = band.send(&[0x80, 0x1A, 0, 0, 3, b'm', b's', b'g', 0]);
    assert_eq!(sw, 0x9000);
    let private = huiwan_crypto::sm2::Sm2Private::new(&secret).unwrap();
    let signature: [u8; 64] = signature.try_into().unwrap();
    private.public().verify(&[b"msg"], huiwan_crypto::sm2::DEFAULT_ID, &signature).unwrap();
    assert!(private.public().verify(&[b"msh"], huiwan_crypto::sm2::DEFAULT_ID, &signature).is_err());
}

#[test]
fn the_wearer_is_verified_for_one_tap() {
    let mut band = Band::new(entries());
    let verified = |band: &mut Band| {
        band.select(b"\xF0APP1");
        band.send(&[0x80, 0x20, 0, 0, 2]).0[0] == 1
    };
    band.power_on(Interface::Internal);
    band.element.set_wearer_verified(true);
    assert!(verified(&mut band));
    band.power_on(Interface::Contactless);
    assert!(verified(&mut band), "the tap");
    band.power_on(Interface::Contactless);
    assert!(!verified(&mut band), "the next tap");
    band.element.set_wearer_verified(true);
    band.element.reset();
    assert!(!verified(&mut band), "a reset ends the tap");
    band.element.set_wearer_verified(true);
    band.element.power_off();
    assert!(!band.element.wearer_verified());
    band.power_on(Interface::Contact);
    band.element.set_wearer_verified(true);
    band.element.reset();
    assert!(verified(&mut band), "contacts do not use it up");
    band.element.power_off();
    band.element.set_wearer_verified(true);
    band.power_on(Interface::Contactless);
    assert!(verified(&mut band));
}

#[test]
fn sessions_begin_clean() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.send(&[0x80, 0x10, 0x55, 0]);
    band.send(&[0x00, 0x70, 0x00, 0x00, 0x01]);
    band.send(&[0x80, 0x1C, 0, 9, 4]);
    band.element.reset();
    band.log.borrow_mut().clear();
    assert_eq!(band.send(&[0x00, 0xC0, 0, 0, 5]).1, 0x6985, "no answer waits");
    assert_eq!(
        band.log.borrow()[..7],
        ["power 0", "power 1", "power 2", "power 3", "power 4", "power 5", "select 0 (00)"]
    );
    assert_eq!(band.send(&[0x81, 0x12, 0, 0, 1]).1, 0x6881);
    band.select(b"\xF0APP1");
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]).0, [0]);
    band.element.power_off();
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![], 0x6F00), "without power");
    band.element.reset();
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![], 0x6F00), "a reset is no power");
}

#[test]
fn a_random_source_that_fails_is_6f00() {
    struct Broken;
    impl huiwan_card::Random for Broken {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), huiwan_crypto::RandomFailed> {
            Err(huiwan_crypto::RandomFailed)
        }
    }
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    let mut env = huiwan_card::Environment { random: &mut Broken, now: None };
    let operations = band.element.memory().flash().operations();
    assert_eq!(band.element.exchange(&[0x80, 0x24, 0, 0, 8], &mut env), [0x6F, 0x00]);
    assert_eq!(band.element.memory().flash().operations(), operations);
    assert_eq!(band.send(&[0x80, 0x24, 0, 0, 8]).0.len(), 8);
}

#[test]
fn slots_that_run_out_are_6a84() {
    let mut band = Band::new(entries());
    // Eight slots: seven channels with one application each would need more applications; fill them through domains.
    let _ = APP3;
    band.select(b"\xF0APP1");
    band.send(&[0x84, 0x14, 0, 0, 0]);
    for (channel, name) in [(1, b'2'), (2, b'4')] {
        assert_eq!(band.send(&[0x00, 0x70, 0x00, channel]).1, 0x9000);
        assert_eq!(band.send(&[channel, 0xA4, 0x04, 0x00, 5, 0xF0, b'A', b'P', b'P', name]).1, 0x9000);
    }
    assert_eq!(band.send(&[0x85, 0x14, 0, 0, 0]).1, 0x6A84, "four slots: 1 and 5 on 0, 2 on 1, 4 on 2");
    assert_eq!(band.send(&[0x00, 0x70, 0x80, 0x02]).1, 0x9000);
    assert_eq!(band.send(&[0x85, 0x14, 0, 0, 0]).1, 0x9000);
}

#[test]
fn notices_go_out_when_the_command_is_done() {
    let mut band = Band::new(entries());
    band.select(b"\xF0APP1");
    band.send(&[0x80, 0x10, 0x55, 0]);
    band.log.borrow_mut().clear();
    // To another instance, to one that does not exist, to itself: the answer is that of the command.
    assert_eq!(band.send(&[0x80, 0x26, 2, 0, 2, 0x02, 0x82, 0]), (vec![1, 1], 0x9000));
    assert_eq!(band.send(&[0x80, 0x26, 77, 0, 1, 0x02, 0]), (vec![1], 0x9000));
    assert_eq!(band.send(&[0x80, 0x26, 1, 0, 1, 0x14, 0]), (vec![1], 0x9000));
    let about = "F041505031";
    let told = [("2 02", "00"), ("2 82", "00"), ("1 14", "55")];
    let notices: Vec<String> =
        band.log.borrow().iter().filter(|line| line.starts_with("notified")).cloned().collect();
    assert_eq!(notices, told.map(|(what, slot)| format!("notified {what} {about} ({slot})")));
    assert_eq!(band.send(&[0x80, 0x12, 0, 0, 1]), (vec![0x55], 0x9000), "its own slot is as it was");
    // More than the outbox takes.
    let many = [&[0x80, 0x26, 2, 0, 17][..], &[0x02; 17], &[0]].concat();
    let (taken, sw) = band.send(&many);
    assert_eq!((taken.iter().filter(|taken| **taken == 1).count(), taken[16], sw), (16, 0, 0x9000));
    assert_eq!(band.send(&[0x80, 0x26, 2, 0, 1, 0x02, 0]), (vec![1], 0x9000), "and it is empty again");
}
