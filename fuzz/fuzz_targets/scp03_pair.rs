//! SCP03: what the host wraps the card unwraps to the same command and the other way round; any flipped bit ends the session on the
//! side that receives it.
#![no_main]
use huiwan_apdu::{Command, Ne, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_gp::card::secure_channel::{SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::AwaitCard;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Level, Mode, Octets, Options, StaticKeys};
use libfuzzer_sys::fuzz_target;

const EVERY_I: [Options; 6] =
    [Options::I00, Options::I10, Options::I20, Options::I30, Options::I60, Options::I70];

fuzz_target!(|data: &[u8]| {
    let Some((&[size, i, level, flip], mut data)) = data.split_first_chunk::<4>() else { return };
    let len = [16, 24, 32][usize::from(size % 3)];
    let options = EVERY_I[usize::from(i % 6)].with_mode(if i & 0x80 != 0 { Mode::S16 } else { Mode::S8 });
    let level = Level::EVERY[usize::from(level % 6)];
    let key = [size; 32];
    let keys = StaticKeys::new(&key[..len], &key[..len], &key[..len]).unwrap();
    let octets = |byte| Octets::new(&[byte; 16][..options.mode().len()]).unwrap();
    let (host_challenge, card_challenge) = (octets(size), octets(flip));
    let mut card = Session::none();
    let answer = card
        .initialize_update(
            &keys,
            1,
            [0; 10],
            options,
            host_challenge.as_bytes(),
            card_challenge,
            Counter::ZERO,
        )
        .unwrap();
    let Ok(host) = AwaitCard::new(host_challenge).verify_card(0x80, &answer, &keys, level) else {
        return assert!(!options.allows(level));
    };
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    let mut host = host.accepted(Sw::OK).unwrap();

    let (mut wire, mut opened) = ([0; 400], [0; 400]);
    for _ in 0..16 {
        // One exchange: header, data length, Le, status, response length, then the data of both.
        let Some((&[ins, p1, p2, lc, le, sw2, out_len], rest)) = data.split_first_chunk::<7>() else {
            return;
        };
        let (body, rest) =
            rest.split_at(usize::from(lc).min(rest.len()).min(options.mode().max_command_data(level)));
        let (answer, rest) = rest.split_at(
            usize::from(out_len).min(rest.len()).min(options.mode().max_response_data(level)).min(255),
        );
        data = rest;
        let mut command = Command::new(0x80, ins, p1, p2).with_data(body);
        if le & 1 != 0 {
            command = command.with_ne(Ne::short(le));
        }
        let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
        let mut slot = [0; SESSION_LEN];
        card.store(&mut slot);
        let received = card.unwrap(&Command::parse(&sent).unwrap(), &mut opened).unwrap();
        assert_eq!(received, command);

        // A flipped bit behind the class byte that leaves a command (Le apart) is found.
        if level.c_mac() {
            let covered = sent.len() - usize::from(command.ne().is_some());
            let bit = 8 + usize::from(flip) % ((covered - 1) * 8);
            let mut flipped = sent.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(flipped) = Command::parse(&flipped) {
                let mut victim = Session::load(&slot);
                assert_eq!(victim.unwrap(&flipped, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
                assert!(!victim.is_open());
                let late = Command::parse(&sent).unwrap();
                assert_eq!(victim.unwrap(&late, &mut [0; 400]).map(|_| ()), Err(Sw::SECURITY_STATUS));
            }
        }

        let sw =
            [Sw::OK, Sw::new(0x6200 | u16::from(sw2)), Sw::new(0x6300 | u16::from(sw2)), Sw::new(0x6A80)]
                [usize::from(sw2 % 4)];
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        if sw.value() != 0x6A80 {
            reply.push(answer).unwrap();
        }
        card.wrap(&mut reply, sw).unwrap();
        let mut response = [reply.as_slice(), &sw.value().to_be_bytes()].concat();
        // The last exchange may be the one that is changed on its way back.
        if flip % 5 == 0 && data.len() < 7 && level.r_mac() && sw.value() != 0x6A80 {
            let bit = usize::from(flip) % (response.len() * 8);
            response[bit / 8] ^= 1 << (bit % 8);
            assert!(host.unwrap(&response, &mut [0; 300]).is_err());
            return assert!(host.is_dead());
        }
        let mut out = [0; 300];
        let got = host.unwrap(&response, &mut out).unwrap();
        assert_eq!(got.sw(), sw);
        assert_eq!(got.data(), if sw.value() == 0x6A80 { &[] } else { answer });
    }
});
