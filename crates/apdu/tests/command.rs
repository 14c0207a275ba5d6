//! Commands, responses, Ne, classes, AIDs, status words.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_apdu::{
    Aid, AidLength, ApduError, Case, Class, Command, Ins, InvalidClass, Ne, Response, SecureMessaging, Sw,
};
use huiwan_tlv::{At, Full};
use proptest::prelude::*;

fn parse(raw: &[u8]) -> Command<'_> {
    Command::parse(raw).unwrap()
}

fn refused(raw: &[u8]) -> (ApduError, usize) {
    let error = Command::parse(raw).unwrap_err();
    (error.kind(), error.at())
}

#[test]
fn the_seven_cases_parse() {
    // [ISO7816-3 12.1.3]
    let h = [0x00, 0xA4, 0x04, 0x00];
    let with = |body: &[u8]| [&h[..], body].concat();
    let check = |body: &[u8], case: Case, data: &[u8], ne: Option<usize>| {
        let raw = with(body);
        let command = parse(&raw);
        assert_eq!((command.case(), command.data(), command.ne().map(Ne::get)), (case, data, ne));
        assert_eq!(command.header(), h);
        assert_eq!(command.encoded_len(), raw.len());
        assert_eq!(command.write(&mut [0; 600]).unwrap(), raw);
    };
    check(&[], Case::One, &[], None);
    check(&[0x01], Case::TwoShort, &[], Some(1));
    check(&[0x00], Case::TwoShort, &[], Some(256));
    check(&[0x00, 0x01, 0x00], Case::TwoExtended, &[], Some(256));
    check(&[0x00, 0x00, 0x00], Case::TwoExtended, &[], Some(65_536));
    check(&[0x02, 0xAA, 0xBB], Case::ThreeShort, &[0xAA, 0xBB], None);
    check(&[0x00, 0x00, 0x02, 0xAA, 0xBB], Case::ThreeExtended, &[0xAA, 0xBB], None);
    check(&[0x02, 0xAA, 0xBB, 0x00], Case::FourShort, &[0xAA, 0xBB], Some(256));
    check(&[0x00, 0x00, 0x02, 0xAA, 0xBB, 0x00, 0x00], Case::FourExtended, &[0xAA, 0xBB], Some(65_536));
    check(&[0x00, 0x00, 0x02, 0xAA, 0xBB, 0x00, 0x05], Case::FourExtended, &[0xAA, 0xBB], Some(5));
}

#[test]
fn extended_lc_of_zero_is_refused() {
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 0, 0, 0xAA]), (ApduError::LcZero, 4));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 0, 0, 0x00, 0x00]), (ApduError::LcZero, 4));
    assert_eq!(
        Command::parse(&[0, 0xA4, 4, 0, 0, 0, 0, 0xAA]).unwrap_err().to_string(),
        "lc is zero at byte 4"
    );
}

#[test]
fn lengths_that_contradict_are_refused_with_their_place() {
    assert_eq!(refused(&[]), (ApduError::HeaderTruncated, 0));
    assert_eq!(refused(&[0, 0xA4, 4]), (ApduError::HeaderTruncated, 3));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 1]), (ApduError::LcTruncated, 6));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 3, 1, 2]), (ApduError::DataTruncated, 7));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 2, 1, 2, 0, 0]), (ApduError::LeMalformed, 7));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 0, 3, 1, 2]), (ApduError::DataTruncated, 9));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 0, 2, 1, 2, 0]), (ApduError::LeMalformed, 9));
    assert_eq!(refused(&[0, 0xA4, 4, 0, 0, 0, 2, 1, 2, 0, 0, 0]), (ApduError::LeMalformed, 9));
}

#[test]
fn ne_maximum_is_65536_built_and_parsed() {
    let built = Command::new(0, 0xB0, 0, 0).with_ne(Ne::MAX_EXTENDED);
    assert_eq!(built.write(&mut [0; 7]).unwrap(), [0, 0xB0, 0, 0, 0, 0, 0]);
    assert_eq!(parse(&[0, 0xB0, 0, 0, 0, 0, 0]).ne().unwrap().get(), 65_536);
    assert_eq!(parse(&[0, 0xB0, 0, 0, 0, 0, 0]), built);
    assert_eq!((Ne::new(0), Ne::new(65_537)), (None, None));
    assert_eq!(Ne::new(256), Some(Ne::MAX_SHORT));
    assert!(Ne::MAX_SHORT.is_short() && !Ne::new(257).unwrap().is_short());
}

#[test]
fn the_short_form_is_used_until_it_cannot_be() {
    let data = [0x11; 256];
    let command = Command::new(0x80, 0xE2, 0x80, 0).with_data(&data[..255]);
    assert_eq!(command.case(), Case::ThreeShort);
    assert_eq!(command.with_data(&data).case(), Case::ThreeExtended);
    assert_eq!(command.with_ne(Ne::new(257).unwrap()).case(), Case::FourExtended);
    assert_eq!(command.extended(true).case(), Case::ThreeExtended);
    assert_eq!(command.extended(true).with_data(&[]).case(), Case::One);
    assert_eq!(command.with_ne(Ne::MAX_SHORT).without_ne(), command);
    assert_eq!(command.with_cla(0x84).header(), [0x84, 0xE2, 0x80, 0]);
    assert_eq!(command.p1p2(), 0x8000);
}

#[test]
fn nothing_is_cut_when_the_buffer_or_the_format_is_too_small() {
    let data = vec![0; 65_536];
    let command = Command::new(0, 0xD6, 0, 0).with_data(&data[..65_535]).with_ne(Ne::MAX_EXTENDED);
    assert_eq!(command.encoded_len(), 4 + 3 + 65_535 + 2);
    let mut out = vec![0; command.encoded_len()];
    assert_eq!(command.write(&mut out[1..]), Err(Full { needed: 65_544 }));
    assert_eq!(parse(command.write(&mut out).unwrap()), command);
    let too_long = command.with_data(&data);
    assert_eq!(too_long.encoded_len(), usize::MAX);
    assert_eq!(too_long.write(&mut vec![0; 70_000]), Err(Full { needed: usize::MAX }));
}

#[test]
fn debug_shows_no_data() {
    let command = Command::new(0, 0x20, 0, 0x80).with_data(&[0x24, 0x12, 0x34]);
    assert_eq!(format!("{command:?}"), "Command(00 20 00 80, 3 data bytes, no ne)");
    assert_eq!(format!("{:?}", Response::new(&[1], Sw::OK)), "Response(1 data bytes, 9000)");
}

#[test]
fn responses() {
    assert_eq!(Response::parse(&[]), Err(At::new(ApduError::StatusWordTruncated, 0)));
    assert_eq!(Response::parse(&[0x90]), Err(At::new(ApduError::StatusWordTruncated, 1)));
    assert_eq!(Response::parse(&[0x90, 0x00]).unwrap(), Response::new(&[], Sw::OK));
    assert_eq!(Response::new(&[1, 2], Sw::WRONG_DATA).write(&mut [0; 4]).unwrap(), [1, 2, 0x6A, 0x80]);
    assert_eq!(Response::new(&[1, 2], Sw::OK).write(&mut [0; 3]), Err(Full { needed: 4 }));
}

#[test]
fn status_words() {
    assert_eq!(Sw::more_data(0x10), Sw::new(0x6110));
    assert_eq!(Sw::wrong_le(0), Sw::new(0x6C00));
    assert_eq!(
        (Sw::tries_left(3), Sw::tries_left(15), Sw::tries_left(200)),
        (0x63C3.into(), 0x63CF.into(), 0x63CF.into())
    );
    assert_eq!((Sw::new(0x63C0).tries(), Sw::new(0x6300).tries()), (Some(0), None));
    assert_eq!((Sw::OK.sw1(), Sw::new(0x6985).sw2()), (0x90, 0x85));
    assert!(Sw::MORE_ENTRIES.is_warning() && !Sw::WRONG_LENGTH.is_warning());
    assert_eq!(Sw::new(0x6C10).name(), Some("wrong le, exact length given"));
    assert_eq!(Sw::new(0x9302).name(), None);
    assert_eq!(Ins::SELECT.name(), Some("SELECT"));
    assert_eq!(Ins::new(0x50).name(), None);
    // Every status word of the table is known by one name.
    for value in 0..=0xFFFFu16 {
        if let Some(name) = Sw::new(value).name() {
            assert!(matches!(value >> 8, 0x61..=0x6F | 0x90), "{value:04X} {name}");
        }
    }
}

#[test]
fn classes_of_iso_7816_4() {
    for cla in 0..=0xFFu8 {
        let Ok(class) = Class::parse(cla) else {
            assert!(matches!(cla, 0x20..=0x3F | 0xFF));
            continue;
        };
        assert_eq!(class.to_byte(), cla);
        assert_eq!(class.is_proprietary(), cla >= 0x80);
        let (channel, chaining, secure) = match cla & 0x7F {
            low @ 0x00..=0x1F => (
                low & 3,
                low & 0x10 != 0,
                [
                    SecureMessaging::None,
                    SecureMessaging::Proprietary,
                    SecureMessaging::Iso,
                    SecureMessaging::IsoWithHeader,
                ][usize::from(low >> 2 & 3)],
            ),
            0x20..=0x3F => (0, false, SecureMessaging::None),
            low => {
                let secure = if cla >= 0x80 { SecureMessaging::Proprietary } else { SecureMessaging::Iso };
                (
                    (low & 0x0F) + 4,
                    low & 0x10 != 0,
                    if low & 0x20 != 0 { secure } else { SecureMessaging::None },
                )
            }
        };
        assert_eq!(
            (class.channel(), class.chaining(), class.secure_messaging()),
            (channel, chaining, secure),
            "{cla:02X}"
        );
        // Setting what is there already changes nothing.
        assert_eq!(class.with_chaining(chaining), class);
        if !matches!(cla, 0xA0..=0xBF) {
            assert_eq!(class.with_secure_messaging(secure), Some(class));
            assert_eq!(class.with_channel(channel), Some(class));
        }
        assert!(class.without_channel().channel() == 0 || class.secure_messaging() == SecureMessaging::Iso);
        for chaining in [false, true] {
            assert!(Class::parse(class.with_chaining(chaining).to_byte()).is_ok());
        }
    }
    assert_eq!(Class::parse(0x84).unwrap().without_channel().to_byte(), 0x84);
    assert_eq!(Class::parse(0xE3).unwrap().without_channel().to_byte(), 0x84);
    assert_eq!(Class::parse(0x63).unwrap().without_channel().to_byte(), 0x08);
    assert_eq!(Class::parse(0x0E).unwrap().without_channel().to_byte(), 0x0C);
    assert_eq!(Class::parse(0x0E).unwrap().with_channel(7), None);
    assert_eq!((Class::first(3).map(u8::from), Class::first(4)), (Some(3), None));
    assert_eq!(
        (Class::further(19).map(u8::from), Class::further(3), Class::further(20)),
        (Some(0x4F), None, None)
    );
    assert_eq!(Class::further(5).unwrap().with_proprietary(true).to_byte(), 0xC1);
    assert_eq!(Command::new(0xFF, 0xCA, 0, 0).class(), Err(InvalidClass));
}

#[test]
fn aids() {
    assert_eq!(Aid::new(&[0; 4]), Err(AidLength));
    assert_eq!(Aid::new(&[0; 17]), Err(AidLength));
    assert_eq!(Aid::name(&[]), Err(AidLength));
    let aid = Aid::new(&[0xA0, 0, 0, 3, 0x33, 1, 1, 1]).unwrap();
    assert_eq!(aid.rid(), [0xA0, 0, 0, 3, 0x33]);
    assert_eq!(Aid::name(b"2PAY").unwrap().rid(), b"2PAY");
    assert_eq!(Aid::from_array(*b"2PAY.SYS.DDF01"), Aid::name(b"2PAY.SYS.DDF01").unwrap());
    assert_eq!(Aid::from_array([7; 16]).as_bytes(), [7; 16]);
    // Trailing zeros count.
    assert_ne!(Aid::new(&[1, 2, 3, 4, 5]).unwrap(), Aid::new(&[1, 2, 3, 4, 5, 0]).unwrap());
    assert!(Aid::new(&[1, 2, 3, 4, 5]).unwrap() < Aid::new(&[1, 2, 3, 4, 5, 0]).unwrap());
}

/// The rules once more, for any bytes: returns data and Ne.
fn naive(raw: &[u8]) -> Option<(Vec<u8>, usize)> {
    let l = raw.len();
    let le = |b: &[u8]| match b {
        [] => 0,
        [0] => 256,
        [x] => usize::from(*x),
        [0, 0] => 65_536,
        [x, y] => usize::from(*x) * 256 + usize::from(*y),
        _ => panic!(),
    };
    if l < 4 {
        return None;
    }
    if l <= 5 {
        return Some((vec![], le(&raw[4..])));
    }
    if raw[4] != 0 {
        let end = 5 + usize::from(raw[4]);
        return (l == end || l == end + 1).then(|| (raw[5..end].to_vec(), le(&raw[end..])));
    }
    if l == 7 {
        return Some((vec![], le(&raw[5..])));
    }
    let lc = usize::from(*raw.get(5)?) * 256 + usize::from(*raw.get(6)?);
    let end = 7 + lc;
    (lc != 0 && (l == end || l == end + 2)).then(|| (raw[7..end].to_vec(), le(&raw[end..])))
}

fn any_command() -> impl Strategy<Value = (Vec<u8>, Option<usize>, bool, [u8; 4])> {
    let data = prop_oneof![
        2 => Just(vec![]),
        4 => prop::collection::vec(any::<u8>(), 1..40),
        1 => prop::collection::vec(any::<u8>(), 250..260),
        1 => prop::collection::vec(any::<u8>(), 260..2000),
    ];
    let ne = prop_oneof![2 => Just(None), 2 => (1usize..=256).prop_map(Some), 1 => (1usize..=65_536).prop_map(Some)];
    (data, ne, any::<bool>(), any::<[u8; 4]>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn built_commands_parse_to_themselves((data, ne, extended, [cla, ins, p1, p2]) in any_command()) {
        let mut command = Command::new(cla, ins, p1, p2).with_data(&data).extended(extended);
        if let Some(ne) = ne { command = command.with_ne(Ne::new(ne).unwrap()); }
        let mut out = vec![0xEE; command.encoded_len()];
        let raw = command.write(&mut out).unwrap();
        prop_assert_eq!(raw.len(), command.encoded_len());
        let parsed = Command::parse(raw).unwrap();
        prop_assert_eq!(parsed, command);
        prop_assert_eq!((parsed.case(), parsed.is_extended()), (command.case(), command.is_extended()));
        prop_assert_eq!(naive(raw), Some((data.clone(), ne.unwrap_or(0))));
        let needed = command.encoded_len();
        let mut short = vec![0; needed - 1];
        prop_assert_eq!(command.write(&mut short), Err(Full { needed }));
    }

    #[test]
    fn any_bytes_are_read_like_the_naive_parser(
        head in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(3), any::<u8>()], 0..14),
        tail in prop::collection::vec(any::<u8>(), 0..260),
    ) {
        let raw = [head, tail].concat();
        match (Command::parse(&raw), naive(&raw)) {
            (Ok(command), Some((data, ne))) => {
                prop_assert_eq!((command.data(), command.ne().map_or(0, Ne::get)), (&data[..], ne));
                let mut out = [0; 300];
                prop_assert_eq!(command.write(&mut out).unwrap(), &raw[..]);
            }
            (Err(error), None) => prop_assert!(error.at() <= raw.len()),
            (ours, naive) => prop_assert!(false, "{:?} {:?}", ours, naive),
        }
    }

    #[test]
    fn responses_round_trip(data in prop::collection::vec(any::<u8>(), 0..300), sw: u16) {
        let response = Response::new(&data, Sw::new(sw));
        let mut out = vec![0; response.encoded_len()];
        prop_assert_eq!(Response::parse(response.write(&mut out).unwrap()).unwrap(), response);
    }
}
