//! Published sessions from the card's side: given the card's challenge, our card computes the very answer, takes the host's bytes, opens
//! every command to the published plain text, and protects the published answers to the published bytes.
//!
//! The host's side of the same numbers is in `vectors.rs`, `vectors_des.rs` and `scp11.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use huiwan_apdu::{Command, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_crypto::{Random, RandomFailed};
use huiwan_gp::card::secure_channel::{CardKeys, SESSION_LEN, Session};
use huiwan_gp::initialize_update::{Answer, Proof};
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp03::challenge::{Counter, pseudo_random};
use huiwan_gp::scp11::{Authenticate, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::hex;
use huiwan_testkit::vectors::{self, Block};

/// What a session of the files had: commands opened, answers protected.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    sessions: usize,
    commands: usize,
    answers: usize,
    padded_more: usize,
}

fn protect(card: &mut Session, data: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    reply.push(data).unwrap();
    card.wrap(&mut reply, Sw::OK).unwrap();
    [reply.as_slice(), &[0x90, 0x00]].concat()
}

/// The same session once more, as the volatile slot keeps it.
fn copy(card: &Session) -> Session {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    Session::load(&slot)
}

/// EXTERNAL AUTHENTICATE and the commands of one block.
fn play(v: &Block<'_>, card: &mut Session, seen: &mut Seen) {
    seen.sessions += 1;
    let Some(external_authenticate) = v.get("out.external_authenticate").map(hex) else { return };
    let result = card.external_authenticate(&Command::parse(&external_authenticate).unwrap());
    assert_eq!(result, Ok(()), "{}", v.id());
    assert_eq!(card.level().map(Level::byte), Some(external_authenticate[2]), "{}", v.id());
    for n in 0.. {
        let key = |name: &str| format!("out.commands.{n}.{name}");
        let Some(plain) = v.get(&key("plain")).map(hex) else { break };
        let (wire, mut opened) = (v.bytes(&key("wrapped")), [0; 300]);
        let got = card.unwrap(&Command::parse(&wire).unwrap(), &mut opened);
        let expected = Command::parse(&plain).unwrap();
        let got = got.unwrap_or_else(|sw| panic!("{} command {n}: {sw:?}", v.id()));
        assert_eq!((got.header(), got.data()), (expected.header(), expected.data()), "{} {n}", v.id());
        seen.commands += 1;
        let (Some(plain), Some(response)) = (v.get(&key("response_plain")), v.get(&key("response"))) else {
            continue;
        };
        let (plain, response) = (hex(plain), hex(response));
        // Some sources print the status word behind the plain data.
        let stripped = plain.strip_suffix(&[0x90, 0x00]).unwrap_or(&plain);
        let made = [&plain[..], stripped].map(|data| protect(&mut copy(card), data));
        if v.id().starts_with("samsung") && made.iter().all(|made| made.len() + 16 == response.len()) {
            // That card pads by a block more than it needs. Our host reads it; our card does not do it.
            seen.padded_more += 1;
            continue;
        }
        assert!(made.contains(&response), "{} answer {n}: {made:02X?}", v.id());
        seen.answers += 1;
    }
}

#[test]
fn scp03_sessions() {
    let file = vectors::load(include_str!("vectors/scp03.txt"));
    let mut seen = Seen::default();
    for v in file.group("scp03_session") {
        let keys =
            scp03::StaticKeys::new(&v.bytes("in.key_enc"), &v.bytes("in.key_mac"), &v.bytes("in.key_dek"));
        let keys = keys.unwrap();
        let options = scp03::Options::from_byte(v.bytes("in.i")[0]).unwrap();
        let host_challenge = v.bytes("in.host_challenge");
        let published = v.get("in.init_update_response").map(hex);
        let mut card = Session::none();
        let counter = v
            .get("in.sequence_counter")
            .map_or(Counter::ZERO, |raw| Counter::from_bytes(hex(raw).try_into().unwrap()));
        let (kdd, version, challenge) = match &published {
            Some(raw) => {
                let answer = Answer::parse(raw).unwrap();
                let Proof::Scp03 { card_challenge, options: said, .. } = answer.proof else { panic!() };
                assert_eq!(said.byte(), raw[12], "{}", v.id());
                (answer.key_diversification, answer.key_version, card_challenge)
            }
            None => {
                let aid = v.bytes("in.sd_aid");
                ([0; 10], 0x30, pseudo_random(&keys, counter, &aid, options.mode()).unwrap())
            }
        };
        // What the answer says of "i" and of the counter counts, not what was asked for.
        let options = published.as_ref().map_or(options, |raw| scp03::Options::from_byte(raw[12]).unwrap());
        let counter = match &published {
            Some(raw) if options.pseudo_random() => Counter::from_bytes(*raw.last_chunk().unwrap()),
            _ => counter,
        };
        let answer = card
            .initialize_update(&keys, version, kdd, options, &host_challenge, challenge, counter)
            .unwrap();
        if let Some(published) = published {
            let (bytes, len) = answer.to_bytes();
            assert_eq!(bytes[..len], published, "{}", v.id());
        }
        play(v, &mut card, &mut seen);
    }
    assert_eq!(seen, Seen { sessions: 17, commands: 42, answers: 12, padded_more: 2 });
}

#[test]
fn scp02_sessions() {
    let file = vectors::load(include_str!("vectors/scp02.txt"));
    let mut seen = Seen::default();
    for v in file.group("scp02_session") {
        let keys =
            scp02::StaticKeys::new(&v.bytes("in.key_enc"), &v.bytes("in.key_mac"), &v.bytes("in.key_dek"));
        let published = v.bytes("in.init_update_response");
        let answer = Answer::parse(&published).unwrap();
        let Proof::Scp02 { sequence, card_challenge, .. } = answer.proof else { panic!() };
        let mut card = Session::none();
        let answer = card
            .initialize_update_scp02(
                &keys.unwrap(),
                answer.key_version,
                answer.key_diversification,
                // All of them encrypt ICVs; R-MAC for the one that asks for it.
                scp02::Options::I35,
                &v.array("in.host_challenge"),
                card_challenge,
                sequence,
                &[],
            )
            .unwrap();
        let (bytes, len) = answer.to_bytes();
        assert_eq!(bytes[..len], published, "{}", v.id());
        play(v, &mut card, &mut seen);
        if v.id() == "log-gppro-218" {
            // The answer a real card gave, with its R-MAC. The command's protection is not in the log: made by our host.
            let r = file.block("log-gppro-218-rmac");
            let keys = scp02::StaticKeys::new(
                &v.bytes("in.key_enc"),
                &v.bytes("in.key_mac"),
                &v.bytes("in.key_dek"),
            );
            let host = huiwan_gp::host::secure_channel::AwaitCard::new(v.array::<8>("in.host_challenge"))
                .verify_card(0x80, &answer, &keys.unwrap(), Level::CMacCEncRMac)
                .unwrap();
            let mut host = host.accepted(Sw::OK).unwrap();
            let (plain, mut wire) = (r.bytes("in.command_plain"), [0; 300]);
            let sent = host.wrap(&Command::parse(&plain).unwrap(), &mut wire).unwrap();
            card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 300]).unwrap();
            let data = r.bytes("in.response_data");
            let expected = [&data[..], &r.bytes("out.rmac"), &[0x90, 0x00]].concat();
            assert_eq!(protect(&mut card, &data), expected);
        }
    }
    assert_eq!(seen, Seen { sessions: 8, commands: 7, answers: 0, padded_more: 0 });
}

/// The random source of a card whose ephemeral key is known.
struct Known(Vec<u8>);

impl Random for Known {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

/// SCP11b, whose card keys are in the file: point and receipt byte by byte, and the first command. Computed, and accepted by
/// yubikey-manager: weak. The published ones give the card's public key alone.
#[test]
fn scp11b_answer() {
    let file = vectors::load(include_str!("vectors/scp11.txt"));
    let v = file.block("derived-scp11b-p256");
    let own = EcPrivate::<P256>::new(&v.bytes("in.sd_static_private")).unwrap();
    let raw = v.bytes("out.internal_authenticate");
    let command = Command::parse(&raw).unwrap();
    assert_eq!(Authenticate::parse(command.data()).unwrap().variant, Variant::B);
    let mut card = Session::none();
    let mut buffer = [0; 256];
    let mut reply = ResponseWriter::new(&mut buffer);
    card.authenticate_scp11::<P256, Sha256>(
        Variant::B,
        command.data(),
        &CardKeys { key_version: 1, own: &own, host: None, card_group: &[] },
        Mode::S8,
        &mut Known(v.bytes("in.sd_ephemeral_private")),
        &mut reply,
    )
    .unwrap();
    assert_eq!(reply.as_slice(), v.bytes("out.response"));
    let (first, mut opened) = (v.bytes("out.first_command"), [0; 16]);
    let got = card.unwrap(&Command::parse(&first).unwrap(), &mut opened).unwrap();
    assert_eq!((got.header(), got.data()), ([0x80, first[1], first[2], first[3]], &[][..]));
}
