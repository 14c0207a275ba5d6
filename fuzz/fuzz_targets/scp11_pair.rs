//! SCP11: the card takes any bytes for a handshake without harm; an honest one opens a session both ends agree on; no changed answer, and no
//! changed command behind it, is taken for good; certificates of any bytes are refused or read.
#![no_main]
use huiwan_apdu::{Command, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_gp::card::secure_channel::{CardKeys, Session};
use huiwan_gp::host::secure_channel::AwaitReceipt;
use huiwan_gp::scp03::Mode;
use huiwan_gp::scp11::Variant;
use huiwan_gp::scp11::certificate::Certificate;
use huiwan_gp::secure_channel::Level;
use huiwan_testkit::rng::Seeded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[kind, size, flip, seed], rest)) = data.split_first_chunk::<4>() else { return };
    if let Some((certificate, behind)) = Certificate::parse(rest) {
        assert!(certificate.point.len() + certificate.signature.len() + behind.len() <= rest.len());
    }
    let variant = [Variant::A, Variant::B, Variant::C][usize::from(kind % 3)];
    let level = if kind & 0x40 == 0 { Level::All } else { Level::CMacRMac };
    let mode = if kind & 0x80 == 0 { Mode::S8 } else { Mode::S16 };
    let len = [16, 24, 32][usize::from(size % 3)];
    let key = |byte: u8| EcPrivate::<P256>::new(&[byte | 1; 32]).unwrap();
    // FF … FF is beyond the order of the curve.
    let (own, host_key, ephemeral) = (key(seed & 0x7E), key(flip & 0x7E), key(size & 0x7E));
    let host_public = host_key.public().unwrap();
    let keys = CardKeys { key_version: 1, own: &own, host: Some(&host_public) };
    let handshake = AwaitReceipt::new(variant, level, len, ephemeral).unwrap();
    let open = |data: &[u8]| {
        let mut card = Session::none();
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        let mut random = Seeded::new(u64::from(seed));
        card.authenticate_scp11::<P256, Sha256>(variant, data, &keys, mode, &mut random, &mut reply)
            .map(|()| (card, reply.as_slice().to_vec()))
    };
    if let Ok((card, _)) = open(rest) {
        assert_eq!(card.is_open(), variant != Variant::B);
    }
    let (mut card, mut answer) = open(handshake.command(0x80, 1, 1).data()).unwrap();
    let public = own.public().unwrap();
    if flip & 1 != 0 {
        let bit = usize::from(flip) * 256 + usize::from(seed);
        let at = bit / 8 % answer.len();
        answer[at] ^= 1 << (bit % 8);
        let refused =
            handshake.verify_receipt_with::<Sha256>(&answer, Sw::OK, &public, Some(&host_key), mode);
        return assert!(refused.is_err());
    }
    let mut host =
        handshake.verify_receipt_with::<Sha256>(&answer, Sw::OK, &public, Some(&host_key), mode).unwrap();
    for body in rest.chunks(usize::from(size).max(8).min(mode.max_command_data(level))).take(8) {
        let command = Command::new(0x80, 0xE2, seed, flip).with_data(body);
        let (mut wire, mut opened) = ([0; 300], [0; 300]);
        let sent = host.wrap(&command, &mut wire).unwrap();
        assert_eq!(card.unwrap(&Command::parse(sent).unwrap(), &mut opened).unwrap(), command);
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        reply.push(body).unwrap();
        card.wrap(&mut reply, Sw::OK).unwrap();
        let response = [reply.as_slice(), &[0x90, 0x00]].concat();
        assert_eq!(host.unwrap(&response, &mut opened).unwrap().data(), body);
    }
});
