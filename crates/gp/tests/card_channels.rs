//! A security domain at work on two logical channels: selected on one, serving an application on another. What comes in parts on one channel
//! is out of reach for the other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod scp11_host;
mod support;

use huiwan_gp::card::{Factory, Scp11Profile};
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::hex;
use scp11_host::*;
use support::{MapMemory, TOY_AID, apdu, install_toy, new_memory, open, run, test_keys};

const OTHER: [u8; 7] = [0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x02];
const FORGED: [u8; 7] = [0xF0, 0x01, 0x02, 0x03, 0x04, 0x01, 0x66];

/// INSTALL in two commands, the name in the first.
fn in_two(command: &[u8]) -> [Vec<u8>; 2] {
    let data = &command[5..command.len() - 1];
    let (first, second) = data.split_at(24);
    [apdu([0x80, 0xE6, 0x8C, 0x00], first), apdu([0x80, 0xE6, 0x0C, 0x00], second)]
}

/// Anybody may begin a certificate in parts. It is not what the host of another channel has sent under its MACs so far.
#[test]
fn parts_of_a_certificate_do_not_get_into_a_chain_on_another_channel() {
    with_scp11(Scp11Profile::DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))).1, 0x9000);
        let [first, second] = in_two(&install_toy(&OTHER, &hex("C900")));
        let [forged, _] = in_two(&install_toy(&FORGED, &hex("C900")));
        assert_eq!(run(card, &mut session, &first).1, 0x9000);
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.sw(&apdu([0x01, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&apdu([0x81, 0x2A, 0x83, 0x10], &forged[5..forged.len() - 1])), 0x9000);
        assert_eq!(run(card, &mut session, &second).1, 0x9000);
        let (list, _) = run(card, &mut session, &apdu([0x80, 0xF2, 0x40, 0x02], &hex("4F00")));
        let names = |aid: &[u8]| list.windows(aid.len()).any(|window| window == aid);
        assert!(names(&OTHER) && !names(&FORGED), "{list:02X?}");
    });
}

/// Nor the other way round, and pieces of both channels are swept when the power was cut.
#[test]
fn a_chain_does_not_get_into_a_certificate_on_another_channel() {
    let [authority, certificate] = chain(false);
    let (cut, ()) = with_scp11(Scp11Profile::DEFAULT, new_memory(&Factory::TEST), |card| {
        let mut session = open(card, 0x30, &test_keys(), Level::CMac);
        assert_eq!(run(card, &mut session, &install_toy(&TOY_AID, &hex("C900"))).1, 0x9000);
        for command in provisioning() {
            assert_eq!(run(card, &mut session, &command).1, 0x9000);
        }
        assert_eq!(card.send(&hex("0070000001")), hex("019000"));
        assert_eq!(card.sw(&apdu([0x01, 0xA4, 0x04, 0x00], &TOY_AID)), 0x9000);
        assert_eq!(card.sw(&apdu([0x81, 0x2A, KVN, 0x80 | KID_CA], &authority)), 0x9000);
        let (one, two) = certificate.split_at(24);
        assert_eq!(card.sw(&apdu([0x81, 0x2A, 0x80 | KVN, KID_CA], one)), 0x9000);
        let [first, second] = in_two(&install_toy(&OTHER, &hex("C900")));
        assert_eq!(run(card, &mut session, &first).1, 0x9000);
        assert_eq!(card.sw(&apdu([0x81, 0x2A, KVN, KID_CA], two)), 0x9000);
        assert_eq!(run(card, &mut session, &second).1, 0x9000);
        assert_eq!(card.sw(&apdu([0x81, 0x2A, 0x80 | KVN, KID_CA], one)), 0x9000);
        let [first, _] = in_two(&install_toy(&FORGED, &hex("C900")));
        assert_eq!(run(card, &mut session, &first).1, 0x9000);
    });
    let pieces =
        |memory: &MapMemory| memory.objects.keys().filter(|key| key.0 == 0 && key.1 >= 0x1000).count();
    assert_eq!(pieces(&cut), 2);
    let (swept, ()) = with_scp11(Scp11Profile::DEFAULT, cut, |_| ());
    assert_eq!(pieces(&swept), 0);
}
