//! Every codec gives back what it was given, and takes arbitrary bytes without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_gp::delete::{Names, Target};
use huiwan_gp::get_status::{self, Search};
use huiwan_gp::initialize_update::{Answer, Proof};
use huiwan_gp::install::{DomainParameters, Fields, LoadFields, Parameters, before_token};
use huiwan_gp::life_cycle::ContactlessState;
use huiwan_gp::put_key::{KeyData, KeyType, put_ecc_field, put_field, put_rsa_field};
use huiwan_gp::recognition::Protocol;
use huiwan_gp::scp02::Sequence;
use huiwan_gp::scp03::{Level, Mode, Octets, Options, challenge::Counter};
use huiwan_gp::store_data::Control;
use huiwan_gp::{key_information, recognition};
use proptest::prelude::*;

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=max)
}

fn options() -> impl Strategy<Value = Options> {
    proptest::sample::select(vec![
        Options::I00,
        Options::I10,
        Options::I20,
        Options::I30,
        Options::I60,
        Options::I70,
    ])
}

proptest! {
    #[test]
    fn install_fields(
        load_file in bytes(16), module in bytes(16), instance in bytes(16), privileges in bytes(3),
        parameters in bytes(100), token in bytes(60),
    ) {
        let fields = Fields {
            load_file: &load_file, module: &module, instance: &instance, privileges: &privileges,
            parameters: &parameters, token: &token,
        };
        let mut out = [0; 300];
        let raw = fields.write(&mut out).unwrap();
        prop_assert_eq!(Fields::parse(raw).unwrap(), fields);
        for cut in 0..raw.len() {
            prop_assert!(Fields::parse(&raw[..cut]).is_err());
        }
    }

    #[test]
    fn install_parameters(
        application in bytes(100),
        contactless in proptest::option::of(proptest::sample::select(vec![
            ContactlessState::Deactivated, ContactlessState::Activated, ContactlessState::NonActivatable,
        ])),
        label in proptest::option::of(bytes(16)),
        priority in proptest::option::of(any::<u8>()),
    ) {
        let parameters = Parameters {
            application: &application, contactless, label: label.as_deref(), priority, ..Parameters::default()
        };
        let mut out = [0; 300];
        let raw = parameters.write(&mut out).unwrap();
        let read = Parameters::parse(raw).unwrap();
        // Label and priority come as discretionary data, which reading tells too.
        prop_assert_eq!(Parameters { user_interaction: &[], ..read }, parameters);
        prop_assert_eq!(read.interaction().discretionary.is_some(), label.is_some() || priority.is_some());
    }

    #[test]
    fn initialize_update_answer(
        key_diversification in any::<[u8; 10]>(), key_version in any::<u8>(), options in options(),
        long in any::<bool>(), scp in 1..=3_u8,
        challenge in any::<[u8; 16]>(), cryptogram in any::<[u8; 16]>(), counter in any::<[u8; 3]>(),
    ) {
        let options = options.with_mode(if long { Mode::S16 } else { Mode::S8 });
        let len = options.mode().len();
        let card_cryptogram = *cryptogram.first_chunk().unwrap();
        let proof = match scp {
            1 => Proof::Scp01 { card_challenge: *challenge.first_chunk().unwrap(), card_cryptogram },
            2 => Proof::Scp02 {
                sequence: Sequence::from_bytes([counter[0], counter[1]]),
                card_challenge: *challenge.first_chunk().unwrap(),
                card_cryptogram,
            },
            _ => Proof::Scp03 {
                options,
                card_challenge: Octets::new(&challenge[..len]).unwrap(),
                card_cryptogram: Octets::new(&cryptogram[..len]).unwrap(),
                counter: options.pseudo_random().then_some(Counter::from_bytes(counter)),
            },
        };
        let answer = Answer { key_diversification, key_version, proof };
        let (raw, len) = answer.to_bytes();
        prop_assert_eq!(Answer::parse(&raw[..len]).unwrap(), answer);
        for cut in 0..len {
            prop_assert!(Answer::parse(&raw[..cut]).is_err());
        }
        prop_assert!(Answer::parse(&[&raw[..len], &[0]].concat()).is_err());
    }

    #[test]
    fn key_fields(
        version in any::<u8>(), des in any::<bool>(), size in 0..3_usize, cipher in any::<[u8; 32]>(),
        check_value in any::<[u8; 3]>(),
    ) {
        let key_type = if des { KeyType::Des } else { KeyType::Aes };
        let len = if des { [8, 16, 24][size] } else { [16, 24, 32][size] };
        let encrypted = if des { &cipher[..len] } else { &cipher[..len.next_multiple_of(16)] };
        let mut out = [0; 100];
        out[0] = version;
        let end = put_field(&mut out, 1, key_type, len, encrypted, &check_value).unwrap();
        let data = KeyData::parse(&out[..end]).unwrap();
        prop_assert_eq!(data.version, version);
        let fields: Vec<_> = data.fields().map(Result::unwrap).collect();
        prop_assert_eq!(fields.len(), 1);
        prop_assert_eq!((fields[0].key_type, fields[0].len), (key_type, len));
        prop_assert_eq!((fields[0].encrypted, fields[0].check_value), (encrypted, &check_value[..]));
    }

    #[test]
    fn search_and_delete(prefix in bytes(16), tags in proptest::option::of(bytes(10)), id: Option<u8>, version in any::<u8>()) {
        let mut out = [0; 64];
        let search = Search { prefix: &prefix, tags: tags.as_deref() };
        prop_assert_eq!(Search::parse(search.write(&mut out).unwrap()).unwrap(), Some(search));
        for target in [Target::Content(&prefix), Target::Key { id, version: Some(version) }] {
            let mut out = [0; 64];
            prop_assert_eq!(Target::parse(target.write(&mut out).unwrap()).unwrap(), Some(target));
        }
    }

    #[test]
    fn public_key_fields(
        version in any::<u8>(), modulus in proptest::collection::vec(any::<u8>(), 64..=256),
        exponent in proptest::collection::vec(any::<u8>(), 1..=4), curve in any::<u8>(), as_ber in any::<bool>(),
    ) {
        let mut out = [0; 300];
        out[0] = version;
        let end = put_rsa_field(&mut out, 1, &modulus, &exponent).unwrap();
        let mut raw = out[..end].to_vec();
        if !as_ber && modulus.len() <= 0x80 {
            // The same with one byte for every length.
            raw = [&[version, 0xA1, modulus.len() as u8][..], &modulus, &[0xA0, exponent.len() as u8], &exponent, &[0]].concat();
        }
        let fields: Vec<_> = KeyData::parse(&raw).unwrap().fields().map(Result::unwrap).collect();
        prop_assert_eq!(fields.len(), 1);
        prop_assert_eq!((fields[0].key_type, fields[0].encrypted), (KeyType::RsaPublic, &modulus[..]));
        prop_assert_eq!((fields[0].second, fields[0].attributes), (&exponent[..], None));
        let point = &modulus[..65.min(modulus.len())];
        let end = put_ecc_field(&mut out, 1, point, curve).unwrap();
        let fields: Vec<_> = KeyData::parse(&out[..end]).unwrap().fields().map(Result::unwrap).collect();
        prop_assert_eq!((fields[0].encrypted, fields[0].second), (point, &[curve][..]));
    }

    #[test]
    fn load_fields_and_tokens(
        load_file in bytes(16), domain in bytes(16), hash in bytes(64), parameters in bytes(20), token in bytes(128),
    ) {
        let fields = LoadFields { load_file: &load_file, domain: &domain, hash: &hash, parameters: &parameters, token: &token };
        let mut out = [0; 300];
        let raw = fields.write(&mut out).unwrap();
        prop_assert_eq!(LoadFields::parse(raw).unwrap(), fields);
        let head = [1, 2][usize::from(token.len() > 127)];
        let covered = &raw[..raw.len() - token.len() - head];
        prop_assert_eq!(before_token(0x02, 0, raw).unwrap(), covered);
        // The token's length as one byte, which is met as well as BER.
        if token.len() == 128 {
            let byte = [covered, &[0x80], &token].concat();
            prop_assert_eq!(LoadFields::parse(&byte).unwrap(), fields);
            prop_assert_eq!(before_token(0x02, 0, &byte).unwrap(), covered);
        }
    }

    #[test]
    fn domain_parameters(
        protocols in proptest::collection::vec(
            prop_oneof![(0_u8..0x11, 0_u16..=0xFF), (0x12_u8.., 0_u16..=0xFF), (Just(0x11), any::<u16>())], 0..4,
        ), accept in proptest::option::of(bytes(2)), personalised in any::<bool>(), authority: Option<[u8; 2]>,
    ) {
        let accept = accept.as_deref().filter(|bits| !bits.is_empty());
        let protocols: Vec<_> = protocols.into_iter().map(|(scp, i)| Protocol { scp, i }).collect();
        let list: Vec<u8> = protocols.iter().flat_map(|Protocol { scp, i }| {
            let [high, low] = i.to_be_bytes();
            if *scp == 0x11 { vec![*scp, high, low] } else { vec![*scp, low] }
        }).collect();
        let parameters = DomainParameters {
            secure_channels: &list, accept_extradition: accept, accept_deletion: accept, personalised, authority, accept_extradition_away: accept,
        };
        let mut out = [0; 64];
        prop_assert_eq!(DomainParameters::parse(parameters.write(&mut out).unwrap()).unwrap(), parameters);
        prop_assert_eq!(parameters.protocols().collect::<Vec<_>>(), protocols);
    }

    #[test]
    fn arbitrary_bytes(raw in bytes(80)) {
        let _ = Fields::parse(&raw);
        let _ = Parameters::parse(&raw);
        let _ = Answer::parse(&raw);
        let _ = Search::parse(&raw);
        let _ = Target::parse(&raw);
        let _ = DomainParameters::parse(&raw);
        let _ = LoadFields::parse(&raw);
        if let Ok(Some(names)) = Names::parse(&raw) {
            prop_assert!(names.aids().count() <= raw.len());
        }
        for entry in get_status::entries(&raw).flatten() {
            prop_assert!(entry.modules().count() <= raw.len());
        }
        let _ = key_information::keys(&raw).map(Iterator::count);
        let _ = recognition::protocols(&raw).map(Iterator::count);
        if let Ok(data) = KeyData::parse(&raw) {
            prop_assert!(data.fields().count() <= raw.len());
        }
    }
}

#[test]
fn single_bytes() {
    for byte in 0..=255_u8 {
        if let Some(control) = Control::from_byte(byte) {
            // Whether an answer is wanted does not stay.
            assert_eq!(control.byte(), byte & !0x01);
        }
        if let Some(level) = Level::from_byte(byte) {
            assert_eq!(level.byte(), byte);
        }
        if let Some(options) = Options::from_byte(byte) {
            assert_eq!(options.byte(), byte);
            // A level needs its options.
            for level in Level::EVERY {
                let allowed = level != Level::RMac && level.byte() & 0x30 & !options.r_bits() == 0;
                assert_eq!(options.allows(level), allowed);
            }
        }
    }
}

trait RBits {
    fn r_bits(&self) -> u8;
}

impl RBits for Options {
    /// i b6 (20) is level bit 10, i b7 (40) is level bit 20.
    fn r_bits(&self) -> u8 {
        (self.byte() & 0x60) >> 1
    }
}
