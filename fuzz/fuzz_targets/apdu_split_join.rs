//! Pieces of a chain join to the whole command at any piece length; an exchange with a card that joins and answers
//! in parts brings the whole answer; with any answers at all it ends.
#![no_main]
use huiwan_apdu::chaining::{Join, split};
use huiwan_apdu::exchange::{Exchange, Input, Outcome, Step};
use huiwan_apdu::{Command, Ne, Sw};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [cla, ins, piece_len, part, cut, ref data @ ..] = *data else { return };
    let (piece_len, part) = (usize::from(piece_len), usize::from(part.max(1)));
    let (sent, answer) = data.split_at(usize::from(cut).min(data.len()));
    let command = Command::new(cla, ins, 0, 0).with_data(sent).with_ne(Ne::MAX_SHORT);

    let Ok(pieces) = split(command, piece_len) else { return };
    let mut buffer = vec![0; sent.len()];
    let mut join = Join::new();
    let mut whole = None;
    let mut count = 0;
    let joinable = command.class().is_ok_and(|class| !class.chaining());
    for piece in pieces {
        count += 1;
        assert!(piece.data().len() <= piece_len.max(sent.len() * usize::from(sent.len() <= piece_len)));
        if joinable {
            assert!(whole.is_none());
            whole = join.push(&piece, &mut buffer).unwrap().map(|c| (c.header(), c.data().to_vec(), c.ne()));
        }
    }
    assert_eq!(count, if sent.is_empty() { 1 } else { sent.len().div_ceil(piece_len) });
    if joinable {
        assert_eq!(whole, Some((command.header(), sent.to_vec(), command.ne())));
    }

    // A card that answers `answer` in parts.
    let mut room = vec![0; answer.len()];
    let mut wire = [0; 600];
    let mut exchange = Exchange::chained(command, piece_len, &mut room).unwrap();
    let mut left = answer;
    let mut reply = vec![];
    let mut input = Input::Start;
    let mut rounds = 0;
    let outcome = loop {
        match exchange.step(input, &mut wire).unwrap() {
            Step::Done(outcome) => break outcome,
            Step::Send(raw) => {
                rounds += 1;
                let last_piece = rounds >= count;
                reply.clear();
                if last_piece {
                    let (now, later) = left.split_at(part.min(left.len()));
                    left = later;
                    reply.extend(now);
                    let sw = if later.is_empty() { Sw::OK } else { Sw::more_data(0) };
                    reply.extend(sw.value().to_be_bytes());
                } else {
                    assert!(Command::parse(raw).unwrap().class().unwrap().chaining());
                    reply.extend([0x90, 0x00]);
                }
                input = Input::Response(&reply);
            }
        }
    };
    assert_eq!(outcome, Outcome::Answered(Sw::OK));
    assert_eq!(exchange.into_response().unwrap().data(), answer);

    // Answers made of the fuzzer's bytes: bounded whatever they say.
    let mut room = [0; 64];
    let mut exchange = Exchange::chained(command, piece_len, &mut room).unwrap();
    let mut answers = answer.chunks(3).cycle();
    let mut step = exchange.step(Input::Start, &mut wire).unwrap();
    let mut sends = 0;
    while let Step::Send(_) = step {
        sends += 1;
        assert!(sends <= 2 * (count + 66));
        step = exchange.step(Input::Response(answers.next().unwrap_or(&[0x61, 0x00])), &mut wire).unwrap();
    }
});
