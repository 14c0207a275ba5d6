//! The crates below the protocols.

use crate::Failed;
use core::hint::black_box;
use huiwan_apdu::{Command, Ne, Response, Sw};
use huiwan_crypto::{Aes, International, Suite, SuiteKey, Tdes, ct_eq, mac, rsa::RsaPublic};
use huiwan_link::Millis;
use huiwan_link::ble::{Endpoint, Timing};
use huiwan_tlv::{Rules, Tag, Writer, find_path, walk};

/// Builds and reads a small FCI.
pub fn tlv() -> Result<(), Failed> {
    let mut buffer = [0; 64];
    let mut w = Writer::new(&mut buffer);
    w.nested(Tag::new(0x6F), |w| {
        w.put(Tag::new(0x84), &[0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01]);
        w.nested(Tag::new(0xA5), |w| w.put(Tag::new(0x50), b"PBOC"));
    });
    let fci = black_box(w.finish().map_err(|_| "full")?);
    let label = find_path(fci, Rules::EMV, &[Tag::new(0x6F), Tag::new(0xA5), Tag::new(0x50)]);
    let objects = walk(fci, Rules::EMV).filter(Result::is_ok).count();
    match label {
        Ok(Some(label)) if label.value() == b"PBOC" && objects == 4 => Ok(()),
        _ => Err("label"),
    }
}

/// Builds and reads a command and an answer.
pub fn apdu() -> Result<(), Failed> {
    let mut wire = [0; 32];
    let select = Command::new(0x00, 0xA4, 0x04, 0x00).with_data(b"2PAY.SYS.DDF01").with_ne(Ne::MAX_SHORT);
    let sent = black_box(select.write(&mut wire).map_err(|_| "full")?);
    if Command::parse(sent).map_err(|_| "command")? != select {
        return Err("command differs");
    }
    match Response::parse(black_box(&[0x6A, 0x82])) {
        Ok(answer) if answer.sw() == Sw::FILE_NOT_FOUND => Ok(()),
        _ => Err("answer"),
    }
}

/// Carries a message over a link that loses every third frame.
pub fn link() -> Result<(), Failed> {
    let mut phone = Endpoint::<128, 128>::new(1, Timing::DEFAULT);
    let mut band = Endpoint::<128, 128>::new(1, Timing::DEFAULT);
    let (mut frame, mut out) = ([0; 20], [0; 128]);
    let message = black_box([0xA5; 100]);
    phone.connected(Millis(0), 20).map_err(|_| "mtu")?;
    band.connected(Millis(0), 20).map_err(|_| "mtu")?;
    phone.send(&message).map_err(|_| "send")?;
    let mut frames = 0_u32;
    for tick in 0..100 {
        let now = Millis(50 * tick);
        while let Ok(Some(frame)) = phone.poll_transmit(now, &mut frame) {
            frames += 1;
            if frames % 3 != 0 {
                band.handle_frame(now, frame);
            }
        }
        while let Ok(Some(frame)) = band.poll_transmit(now, &mut frame) {
            phone.handle_frame(now, frame);
        }
        if let Ok(Some(arrived)) = band.poll_message(&mut out) {
            return if arrived == message { Ok(()) } else { Err("message differs") };
        }
    }
    Err("no message")
}

/// A retail MAC two ways, a CMAC key of the suite, and an RSA public operation.
pub fn crypto() -> Result<(), Failed> {
    let key = black_box(*b"0123456789ABCDEF");
    let data = black_box([0x11; 29]);
    let retail = mac::alg3(&Tdes::new2(&key), &[0; 8], &[&data], mac::Padding::Method2);
    let suite =
        <International as Suite>::Key::new(huiwan_crypto::Algorithm::Tdes, &key).ok_or("suite key")?;
    let same = suite.mac(&[0; 8], &[&data]).map_err(|_| "suite mac")?;
    let cmac = mac::cmac(&Aes::new(&key).map_err(|_| "aes")?, &[&data]);
    if !ct_eq(&retail, &same) || ct_eq(&retail, cmac.get(..8).unwrap_or_default()) {
        return Err("mac");
    }
    // 3 to the power of 3 modulo a number that is larger.
    let mut modulus = [0xFF; 64];
    modulus[63] = 0x0D;
    let mut three = [0; 64];
    three[63] = 3;
    let mut out = [0; 64];
    let rsa = RsaPublic::new(&black_box(modulus), &[3]).map_err(|_| "rsa key")?;
    match rsa.recover(&three, &mut out) {
        Ok(cube) if cube.last() == Some(&27) => Ok(()),
        _ => Err("rsa"),
    }
}
