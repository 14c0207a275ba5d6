//! Secured packets: published command packets, and both ends against each other.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_crypto::{Aes, Des, Tdes};
use huiwan_gp::scp80::{
    COUNTER_MAX, CommandHeader, CounterRule, Key, Keys, PacketError, Respond, ResponseHeader, Spi, Status,
    peek_command, unwrap_command, unwrap_response, wrap_command, wrap_response,
};
use huiwan_testkit::vectors;
use proptest::prelude::*;

const VECTORS: &str = include_str!("vectors/scp80.txt");

fn key(reference: u8, value: &[u8]) -> Key {
    match reference & 0x0F {
        1 => Key::Des(Des::new(value.try_into().unwrap())),
        2 => Key::Aes(Aes::new(value).unwrap()),
        5 => Key::Tdes2(Tdes::new2(value.try_into().unwrap())),
        9 => Key::Tdes3(Tdes::new3(value.try_into().unwrap())),
        other => panic!("{other}"),
    }
}

#[test]
fn command_packets_are_as_published() {
    let file = vectors::load(VECTORS);
    let mut seen = 0;
    for v in file.group("scp80_command") {
        let [kic, kid] = [v.array::<1>("in.kic")[0], v.array::<1>("in.kid")[0]];
        let (enc, mac) = (key(kic, &v.bytes("in.kic_key")), key(kid, &v.bytes("in.kid_key")));
        let keys = Keys { kic: &enc, kid: &mac };
        let [c0, c1, c2, c3, c4] = v.array("in.counter");
        let header = CommandHeader {
            spi: Spi::from_bytes(v.array("in.spi")).unwrap(),
            kic,
            kid,
            tar: v.array("in.tar"),
            counter: u64::from_be_bytes([0, 0, 0, c0, c1, c2, c3, c4]),
        };
        let (data, packet) = (v.bytes("in.data"), v.bytes("out.packet"));
        let mut out = [0; 128];
        assert_eq!(wrap_command(&header, &keys, &data, &mut out).unwrap(), packet, "{}", v.id());
        let opened = unwrap_command(&packet, &keys, &mut out).unwrap();
        assert_eq!(opened, (header, &data[..]), "{}", v.id());
        for bit in 0..packet.len() * 8 {
            let mut packet = packet.clone();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap_command(&packet, &keys, &mut out).is_err(), "{} bit {bit}", v.id());
        }
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn counters_are_judged_by_their_rule() {
    let rules = [CounterRule::None, CounterRule::Unchecked, CounterRule::Higher, CounterRule::Next];
    let verdicts = |last, received| rules.map(|rule| rule.check(last, received));
    let (low, high, blocked) =
        (Err(Status::CounterLow), Err(Status::CounterHigh), Err(Status::CounterBlocked));
    assert_eq!(verdicts(5, 5), [Ok(()), Ok(()), low, low]);
    assert_eq!(verdicts(5, 6), [Ok(()); 4]);
    assert_eq!(verdicts(5, 7), [Ok(()), Ok(()), Ok(()), high]);
    assert_eq!(verdicts(COUNTER_MAX - 1, COUNTER_MAX), [Ok(()); 4]);
    assert_eq!(verdicts(COUNTER_MAX, 0), [Ok(()), Ok(()), blocked, blocked]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let aes = key(2, &[7; 16]);
    let keys = Keys { kic: &aes, kid: &aes };
    let spi = Spi::from_bytes([0x16, 0x19]).unwrap();
    let header = CommandHeader { spi, kic: 0x12, kid: 0x12, tar: [0xB0, 0, 0], counter: 1 };
    let mut out = [0; 64];
    let mut wrap = |header: &CommandHeader, data: &[u8], room: usize| {
        wrap_command(header, &keys, data, &mut out[..room]).map(<[u8]>::len)
    };
    assert_eq!(wrap(&header, &[1, 2], 42), Ok(26));
    assert_eq!(wrap(&header, &[1, 2], 25), Err(PacketError::Full { needed: 26 }));
    assert_eq!(wrap(&CommandHeader { kic: 0x15, ..header }, &[], 64), Err(PacketError::Algorithm));
    assert_eq!(wrap(&CommandHeader { kid: 0x15, ..header }, &[], 64), Err(PacketError::Algorithm));
    assert_eq!(
        wrap(&CommandHeader { counter: COUNTER_MAX + 1, ..header }, &[], 64),
        Err(PacketError::Length)
    );
    // A redundancy check, a digital signature, reserved bits.
    for spi in [[0x01, 0], [0x03, 0], [0x20, 0], [0, 0x04], [0, 0x0C], [0, 0x03], [0, 0x40]] {
        assert_eq!(Spi::from_bytes(spi), None, "{spi:02X?}");
    }
    assert_eq!(peek_command(&[0, 9, 1]).unwrap_err().kind(), PacketError::Length);
}

fn spi() -> impl Strategy<Value = Spi> {
    (any::<[bool; 5]>(), 0..4_usize, 0..3_usize).prop_map(
        |(
            [checksum, ciphered, response_checksum, response_ciphered, response_by_submit],
            counter,
            respond,
        )| Spi {
            checksum,
            ciphered,
            counter: [CounterRule::None, CounterRule::Unchecked, CounterRule::Higher, CounterRule::Next]
                [counter],
            respond: [Respond::Never, Respond::Always, Respond::OnError][respond],
            response_checksum,
            response_ciphered,
            response_by_submit,
        },
    )
}

proptest! {
    #[test]
    fn packets_open_as_they_were_wrapped(
        spi in spi(), algorithm in 0..4_usize, keys: [[u8; 24]; 2], tar: [u8; 3], counter in 0..=COUNTER_MAX,
        data in proptest::collection::vec(any::<u8>(), 0..100), status in 0_u8..=0x0A,
    ) {
        prop_assert_eq!(Spi::from_bytes(spi.bytes()), Some(spi));
        let (reference, len) = [(0x31, 8), (0x32, 16), (0x35, 16), (0x39, 24)][algorithm];
        let (enc, mac) = (key(reference, &keys[0][..len]), key(reference, &keys[1][..len]));
        let keys = Keys { kic: &enc, kid: &mac };
        let header = CommandHeader { spi, kic: reference, kid: reference, tar, counter };
        let (mut packet, mut out) = ([0; 200], [0; 200]);
        let packet = wrap_command(&header, &keys, &data, &mut packet).unwrap();
        prop_assert_eq!(peek_command(packet).unwrap(), CommandHeader { counter: 0, ..header });
        prop_assert_eq!(unwrap_command(packet, &keys, &mut out).unwrap(), (header, &data[..]));
        let header = ResponseHeader { tar, counter, status: Status::from_byte(status).unwrap() };
        let mut packet = [0; 200];
        let packet = wrap_response(&header, spi, &keys, &data, &mut packet).unwrap();
        prop_assert_eq!(unwrap_response(packet, spi, &keys, &mut out).unwrap(), (header, &data[..]));
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error_inside_them(packet in proptest::collection::vec(any::<u8>(), 0..60), spi in spi()) {
        let mut packet = packet;
        if let [high, low, ..] = &mut packet[..] {
            *high = 0;
            *low = 0;
        }
        if packet.len() > 2 {
            packet[1] = (packet.len() - 2) as u8;
        }
        let aes = key(2, &[7; 16]);
        let keys = Keys { kic: &aes, kid: &aes };
        let mut out = [0; 60];
        if let Err(error) = unwrap_command(&packet, &keys, &mut out) {
            prop_assert!(error.at() <= packet.len());
        }
        if let Err(error) = unwrap_response(&packet, spi, &keys, &mut out) {
            prop_assert!(error.at() <= packet.len());
        }
    }
}
