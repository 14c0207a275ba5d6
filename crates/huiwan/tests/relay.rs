//! The relay's messages, there and back, and the band's half on an element.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use huiwan::element::{Modules, SecureElement};
use huiwan::relay::{Answer, HEADER_LEN, RelayError, Request, VERSION, serve};
use huiwan_card::{Environment, Interface, Journal, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::{At, Full};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(command in prop::collection::vec(any::<u8>(), 0..300), kind in 0..3_u8) {
        let request = [Request::PowerOn, Request::PowerOff, Request::Transmit(&command)][usize::from(kind)];
        let mut out = [0; 302];
        let message = request.write(&mut out).unwrap();
        prop_assert_eq!(Request::parse(message), Ok(request));
    }

    #[test]
    fn an_answer_comes_back_as_it_was(response in prop::collection::vec(any::<u8>(), 0..300), kind in 0..3_u8) {
        let answer = [Answer::Done, Answer::Refused, Answer::Response(&response)][usize::from(kind)];
        let mut out = [0; 302];
        let message = answer.write(&mut out).unwrap();
        prop_assert_eq!(Answer::parse(message), Ok(answer));
    }

    #[test]
    fn any_bytes_are_one_message_or_an_error_in_them(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut out = [0; 40];
        match Request::parse(&raw) {
            Ok(request) => prop_assert_eq!(request.write(&mut out).unwrap(), &raw[..]),
            Err(error) => prop_assert!(error.at() <= raw.len()),
        }
    }
}

#[test]
fn errors_name_the_byte() {
    let kinds = [
        (&[][..], RelayError::Truncated, 0),
        (&[VERSION], RelayError::Truncated, 1),
        (&[VERSION + 1, 0x01], RelayError::UnknownVersion, 0),
        (&[VERSION, 0x77], RelayError::UnknownKind, 1),
        (&[VERSION, 0x83, 0x90, 0x00], RelayError::UnknownKind, 1),
        (&[VERSION, 0x01, 0x00], RelayError::UnexpectedBody, HEADER_LEN),
    ];
    for (raw, kind, at) in kinds {
        assert_eq!(Request::parse(raw), Err(At::new(kind, at)), "{raw:02X?}");
    }
    assert_eq!(Answer::parse(&[VERSION, 0x03]), Err(At::new(RelayError::UnknownKind, 1)));
    assert_eq!(Request::Transmit(&[0; 10]).write(&mut [0; 11]), Err(Full { needed: 12 }));
}

#[test]
fn the_band_serves_what_the_phone_asks() {
    let mut memory = Journal::<_, 256>::format(RamFlash::<65_536>::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    let modules = Modules::default();
    let list = modules.list();
    let mut element = SecureElement::new(&list, Registry::new(&CardProfile::DEFAULT), memory);
    let mut random = Seeded::new(1);
    let mut environment = Environment { random: &mut random, now: None };
    let mut ask = |request: &[u8]| {
        let mut out = [0; 300];
        let answer = serve(&mut element, request, &mut environment, &mut out).unwrap().to_vec();
        (answer, element.interface())
    };
    assert_eq!(ask(&[VERSION, 0x01]), (vec![VERSION, 0x81], Some(Interface::Internal)));
    let (answer, _) = ask(&[VERSION, 0x03, 0x00, 0xA4, 0x04, 0x00, 0x00]);
    assert!(answer.starts_with(&[VERSION, 0x83, 0x6F]) && answer.ends_with(&[0x90, 0x00]), "{answer:02X?}");
    assert_eq!(ask(&[VERSION, 0x05]).0, [VERSION, 0x8F]);
    assert_eq!(ask(&[VERSION, 0x02]), (vec![VERSION, 0x81], None));
}
