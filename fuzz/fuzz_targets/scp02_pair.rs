//! SCP02: what the host wraps the card unwraps to the same command and the other way round, R-MAC sessions included; any flipped bit ends
//! the session on the side that receives it.
#![no_main]
use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::scp02::{Options, Sequence, StaticKeys, max_command_data};
use huiwan_gp::secure_channel::Level;
use libfuzzer_sys::fuzz_target;

const AID: [u8; 8] = [0xA0, 0, 0, 1, 0x51, 0, 0, 0];

fuzz_target!(|data: &[u8]| {
    let Some((&[seed, i, level, flip], mut data)) = data.split_first_chunk::<4>() else { return };
    let options = Options::EVERY[usize::from(i) % Options::EVERY.len()];
    let level = Level::EVERY[usize::from(level) % Level::EVERY.len()];
    if !options.allows(level) {
        return;
    }
    let keys = StaticKeys::new(&[seed; 16], &[!seed; 16], &[seed; 16]).unwrap();
    let sequence = Sequence::from_bytes([seed & 0x7F, flip]);
    let mut card = Session::none();
    let mut host = if options.explicit() {
        let answer = card
            .initialize_update_scp02(&keys, 1, [0; 10], options, &[seed; 8], [flip; 6], sequence, &AID)
            .unwrap();
        let host =
            AwaitCard::new([seed; 8]).with_scp02(options).verify_card(0x80, &answer, &keys, level).unwrap();
        card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
        host.accepted(Sw::OK).unwrap()
    } else {
        card.initiate_implicitly(&keys, 1, options, sequence, &AID).unwrap();
        Open::implicit(options, &keys, sequence, &AID).unwrap()
    };

    let (mut wire, mut opened) = ([0; 400], [0; 400]);
    for _ in 0..16 {
        // One exchange: INS, P1, P2, data length, Le, status, response length, then the data of both.
        let Some((&[ins, p1, p2, lc, le, sw2, out_len], rest)) = data.split_first_chunk::<7>() else {
            return;
        };
        let (body, rest) = rest.split_at(usize::from(lc).min(rest.len()).min(max_command_data(level)));
        let (answer, rest) = rest.split_at(usize::from(out_len).min(rest.len()).min(248));
        data = rest;
        let mut command = Command::new(0x80, ins, p1, p2).with_data(body);
        if le & 1 != 0 {
            command = command.with_ne(Ne::short(le));
        }
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        let mut slot = [0; SESSION_LEN];
        card.store(&mut slot);
        let parsed = Command::parse(&sent).unwrap();
        let received = card.unwrap(&parsed, &mut opened).unwrap();
        assert_eq!((received.header(), received.data()), (command.header(), command.data()));

        // A flipped bit behind the class byte that leaves a command (Le apart) is found.
        if level.c_mac() {
            let covered = sent.len() - usize::from(parsed.ne().is_some());
            let bit = 8 + usize::from(flip) % ((covered - 1) * 8);
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = Command::parse(&flipped) {
                let mut victim = Session::load(&slot);
                assert_eq!(victim.unwrap(&flipped, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
                assert_eq!(victim.unwrap(&parsed, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            }
        }

        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        let (sw, expected) = match card.r_mac_session(&received, &mut reply) {
            Some(Ok(())) => (Sw::OK, None),
            Some(Err(sw)) => {
                reply.clear();
                (sw, Some(&[][..]))
            }
            None if sw2 % 4 == 0 => (Sw::new(0x6A80), Some(&[][..])),
            None => {
                reply.push(answer).unwrap();
                ([Sw::OK, Sw::new(0x6200 | u16::from(sw2))][usize::from(sw2 & 1)], Some(answer))
            }
        };
        let signed = card.level().is_some_and(Level::r_mac) && expected.is_some();
        card.wrap(&mut reply, sw).unwrap();
        let mut response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
        // The last exchange may be the one that is changed on its way back.
        if flip % 5 == 0 && data.len() < 7 && signed && (sw.is_ok() || sw.sw1() == 0x62) {
            let bit = usize::from(flip) % (response.len() * 8);
            response[bit / 8] ^= 1 << (bit % 8);
            assert!(host.unwrap(&response, &mut [0; 300]).is_err());
            return assert!(host.is_dead());
        }
        let mut out = [0; 300];
        let got = host.unwrap(&response, &mut out).unwrap();
        assert_eq!(got.sw(), sw);
        if let Some(expected) = expected {
            assert_eq!(got.data(), expected);
        }
    }
});
