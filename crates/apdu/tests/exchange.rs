//! Command chaining and the exchange driver, against a scripted and a simulated card.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_apdu::chaining::{Join, JoinError, NotChainable, split};
use huiwan_apdu::exchange::{Exchange, Fault, Input, Misuse, Outcome, Step, get_response};
use huiwan_apdu::{Command, Ne, Response, Sw};
use huiwan_tlv::Full;
use proptest::prelude::*;

/// Plays a script: each command must be the expected one, and is answered.
fn play(mut exchange: Exchange<'_, '_>, script: &[(&[u8], &[u8])]) -> (Outcome, Option<(Vec<u8>, Sw)>) {
    let mut wire = [0; 70_000];
    let mut input = Input::Start;
    for (command, answer) in script {
        match exchange.step(input, &mut wire).unwrap() {
            Step::Send(bytes) => assert_eq!(bytes, *command),
            Step::Done(outcome) => panic!("done too early: {outcome:?}"),
        }
        input = Input::Response(answer);
    }
    match exchange.step(input, &mut wire).unwrap() {
        Step::Done(outcome) => {
            assert_eq!(exchange.step(Input::CardLost, &mut []).unwrap(), Step::Done(outcome));
            (outcome, exchange.into_response().map(|r| (r.data().to_vec(), r.sw())))
        }
        Step::Send(bytes) => panic!("more than expected: {bytes:02X?}"),
    }
}

const SELECT: [u8; 5] = [0, 0xA4, 4, 0, 0];

fn select(response: &mut [u8]) -> Exchange<'static, '_> {
    Exchange::new(Command::parse(&SELECT).unwrap(), response)
}

#[test]
fn a_plain_answer() {
    let mut room = [0; 8];
    let (outcome, response) = play(select(&mut room), &[(&SELECT, &[1, 2, 0x90, 0])]);
    assert_eq!(outcome, Outcome::Answered(Sw::OK));
    assert_eq!(response, Some((vec![1, 2], Sw::OK)));
}

#[test]
fn get_response_goes_on_until_the_card_is_finished() {
    let mut room = [0; 8];
    let (outcome, response) = play(
        select(&mut room),
        &[
            (&SELECT, &[0x61, 3]),
            (&[0, 0xC0, 0, 0, 3], &[1, 2, 3, 0x61, 2]),
            (&[0, 0xC0, 0, 0, 2], &[4, 5, 0x62, 0x83]),
        ],
    );
    assert_eq!(outcome, Outcome::Answered(Sw::WARNING_SELECTED_INVALIDATED));
    assert_eq!(response.unwrap().0, [1, 2, 3, 4, 5]);
}

#[test]
fn wrong_le_is_asked_again_once() {
    let mut room = [0; 8];
    let script: &[(&[u8], &[u8])] = &[
        (&SELECT, &[0x6C, 2]),
        (&[0, 0xA4, 4, 0, 2], &[0x61, 1]),
        (&[0, 0xC0, 0, 0, 1], &[0x6C, 2]),
        (&[0, 0xC0, 0, 0, 2], &[7, 8, 0x90, 0]),
    ];
    assert_eq!(play(select(&mut room), script).1.unwrap().0, [7, 8]);
    // A second 6Cxx is the answer.
    let script: &[(&[u8], &[u8])] = &[(&SELECT, &[0x6C, 2]), (&[0, 0xA4, 4, 0, 2], &[0x6C, 3])];
    assert_eq!(play(select(&mut room), script).0, Outcome::Answered(Sw::wrong_le(3)));
}

#[test]
fn long_data_go_in_a_chain() {
    let data: Vec<u8> = (0..=8).collect();
    let command = Command::new(0x84, 0xE2, 0, 0).with_data(&data).with_ne(Ne::MAX_SHORT);
    let mut room = [0; 8];
    let exchange = Exchange::chained(command, 4, &mut room).unwrap();
    let script: &[(&[u8], &[u8])] = &[
        (&[0x94, 0xE2, 0, 0, 4, 0, 1, 2, 3], &[0x90, 0]),
        (&[0x94, 0xE2, 0, 0, 4, 4, 5, 6, 7], &[0x90, 0]),
        (&[0x84, 0xE2, 0, 0, 1, 8, 0], &[0xAA, 0x61, 1]),
        (&[0, 0xC0, 0, 0, 1], &[0xBB, 0x90, 0]),
    ];
    assert_eq!(play(exchange, script).1.unwrap().0, [0xAA, 0xBB]);
    // A refused piece ends the exchange with the card's word.
    let exchange = Exchange::chained(command, 4, &mut room).unwrap();
    let script: &[(&[u8], &[u8])] = &[(&[0x94, 0xE2, 0, 0, 4, 0, 1, 2, 3], &[0x68, 0x84])];
    assert_eq!(play(exchange, script).0, Outcome::Answered(Sw::CHAINING_NOT_SUPPORTED));
}

#[test]
fn faults_of_the_card() {
    let fault = |script: &[(&[u8], &[u8])]| match play(select(&mut [0; 4]), script) {
        (Outcome::Fault(fault), None) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(&[(&SELECT, &[])]), Fault::StatusWordTruncated);
    assert_eq!(fault(&[(&SELECT, &[0x90])]), Fault::StatusWordTruncated);
    assert_eq!(fault(&[(&SELECT, &[1, 0x6C, 2])]), Fault::UnexpectedData);
    assert_eq!(fault(&[(&SELECT, &[0x61, 2]), (&[0, 0xC0, 0, 0, 2], &[0x61, 2])]), Fault::NoProgress);
    assert_eq!(fault(&[(&SELECT, &[1, 2, 3, 4, 5, 0x90, 0])]), Fault::ResponseTooLong);
    assert_eq!(
        fault(&[(&SELECT, &[1, 2, 3, 0x61, 2]), (&[0, 0xC0, 0, 0, 2], &[4, 5, 0x90, 0])]),
        Fault::ResponseTooLong
    );
    let mut room = [0; 4];
    let exchange = Exchange::chained(Command::new(0, 0xDA, 0, 0).with_data(&[1, 2]), 1, &mut room).unwrap();
    let script: &[(&[u8], &[u8])] = &[(&[0x10, 0xDA, 0, 0, 1, 1], &[9, 0x90, 0])];
    assert_eq!(play(exchange, script).0, Outcome::Fault(Fault::UnexpectedData));
    let mut exchange = select(&mut room);
    let _ = exchange.step(Input::Start, &mut [0; 5]).unwrap();
    assert_eq!(exchange.step(Input::CardLost, &mut []), Ok(Step::Done(Outcome::Fault(Fault::CardLost))));
    assert_eq!(exchange.into_response(), None);
}

#[test]
fn misuse_changes_nothing() {
    let mut room = [0; 8];
    let mut exchange = select(&mut room);
    assert_eq!(exchange.step(Input::Response(&[0x90, 0]), &mut [0; 5]), Err(Misuse::UnexpectedInput));
    assert_eq!(exchange.step(Input::Start, &mut [0; 4]), Err(Misuse::OutTooSmall(Full { needed: 5 })));
    assert!(matches!(exchange.step(Input::Start, &mut [0; 5]), Ok(Step::Send(_))));
    assert_eq!(exchange.step(Input::Start, &mut [0; 5]), Err(Misuse::UnexpectedInput));
    let answer = Input::Response(&[1, 2, 0x61, 1]);
    assert_eq!(exchange.step(answer, &mut [0; 4]), Err(Misuse::OutTooSmall(Full { needed: 5 })));
    // The same call again does not gather twice.
    assert_eq!(exchange.step(answer, &mut [0; 5]), Ok(Step::Send(&[0, 0xC0, 0, 0, 1])));
    let done = exchange.step(Input::Response(&[3, 0x90, 0]), &mut []);
    assert_eq!(done, Ok(Step::Done(Outcome::Answered(Sw::OK))));
    assert_eq!(exchange.into_response().unwrap().data(), [1, 2, 3]);
}

#[test]
fn get_response_stays_on_the_channel() {
    for (cla, want) in
        [(0x00, 0x00), (0x84, 0x00), (0x92, 0x02), (0xE5, 0x45), (0x6F, 0x4F), (0xA0, 0xA0), (0xFF, 0x00)]
    {
        assert_eq!(get_response(cla).cla(), want, "{cla:02X}");
    }
}

#[test]
fn what_cannot_be_chained() {
    for cla in [0xFF, 0x20, 0xA0, 0x10, 0x90] {
        assert_eq!(split(Command::new(cla, 1, 0, 0).with_data(&[1, 2]), 1).map(|_| ()), Err(NotChainable));
        // One piece needs no chaining.
        assert_eq!(split(Command::new(cla, 1, 0, 0).with_data(&[1, 2]), 2).unwrap().count(), 1);
    }
    assert!(split(Command::new(0, 1, 0, 0).with_data(&[1]), 0).is_err());
}

#[test]
fn join_refuses_a_broken_chain_and_starts_afresh() {
    let mut join = Join::new();
    let mut buffer = [0; 3];
    let piece = |cla, p1, data| Command::new(cla, 0xDA, p1, 0).with_data(data);
    assert_eq!(join.push(&piece(0x10, 0, &[1, 2]), &mut buffer), Ok(None));
    assert!(join.is_open());
    let error = join.push(&piece(0x00, 1, &[3]), &mut buffer).unwrap_err();
    assert_eq!((error, error.sw()), (JoinError::HeaderChanged, Sw::LAST_OF_CHAIN_EXPECTED));
    assert!(!join.is_open());
    assert_eq!(join.push(&piece(0x10, 0, &[1, 2]), &mut buffer), Ok(None));
    let error = join.push(&piece(0x10, 0, &[3, 4]), &mut buffer).unwrap_err();
    assert_eq!((error, error.sw()), (JoinError::TooLong, Sw::WRONG_LENGTH));
    let error = join.push(&piece(0xFF, 0, &[3, 4]), &mut buffer).unwrap_err();
    assert_eq!((error, error.sw()), (JoinError::Class, Sw::CLA_NOT_SUPPORTED));
    // A class change inside a chain, even of the channel only, breaks it.
    assert_eq!(join.push(&piece(0x10, 0, &[1]), &mut buffer), Ok(None));
    assert_eq!(join.push(&piece(0x11, 0, &[1]), &mut buffer), Err(JoinError::HeaderChanged));
    // Outside a chain a command comes back as it is, larger than the buffer or not.
    let whole = piece(0x00, 0, &[1, 2, 3, 4]);
    assert_eq!(join.push(&whole, &mut buffer), Ok(Some(whole)));
    join.clear();
}

/// A card that joins chains, insists on the exact Le now and then, and answers in parts.
struct Card {
    join: Join,
    buffer: Vec<u8>,
    seen: Option<Vec<u8>>,
    answer: Vec<u8>,
    part: usize,
    fussy: bool,
}

impl Card {
    fn transmit(&mut self, raw: &[u8]) -> Vec<u8> {
        let command = Command::parse(raw).unwrap();
        if command.ins() != 0xC0 {
            let mut buffer = core::mem::take(&mut self.buffer);
            let joined = self.join.push(&command, &mut buffer).unwrap().map(|c| {
                let mut out = vec![0; c.encoded_len()];
                c.write(&mut out).unwrap();
                out
            });
            self.buffer = buffer;
            match joined {
                None => return vec![0x90, 0x00],
                Some(whole) => self.seen = Some(whole),
            }
        }
        let now = self.answer.len().min(self.part);
        if self.fussy && command.ne() != Ne::new(now) && now > 0 {
            self.fussy = false;
            // The chain is complete already: the card keeps it for the repetition.
            return Sw::wrong_le(now as u8).value().to_be_bytes().to_vec();
        }
        self.fussy = true;
        let mut out: Vec<u8> = self.answer.drain(..now).collect();
        let sw = if self.answer.is_empty() {
            Sw::OK
        } else {
            Sw::more_data(self.answer.len().min(self.part) as u8)
        };
        out.extend(sw.value().to_be_bytes());
        out
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn split_then_joined_is_the_whole(
        cla in prop_oneof![0u8..4, 0x40u8..0x50, 0x80u8..0x90, 0xC0u8..0xD0, 0xE0u8..0xEF],
        data in prop::collection::vec(any::<u8>(), 0..700),
        piece_len in 1usize..300,
        ne in prop::option::of(1usize..=256),
    ) {
        let mut command = Command::new(cla, 0xE2, 1, 2).with_data(&data);
        if let Some(ne) = ne { command = command.with_ne(Ne::new(ne).unwrap()); }
        let pieces: Vec<_> = split(command, piece_len).unwrap().collect();
        prop_assert_eq!(pieces.len(), data.len().div_ceil(piece_len).max(1));
        prop_assert!(pieces.iter().all(|p| p.data().len() <= piece_len));
        let mut buffer = vec![0; data.len()];
        let mut join = Join::new();
        let (last, first) = pieces.split_last().unwrap();
        for piece in first {
            prop_assert!(piece.class().unwrap().chaining() && piece.ne().is_none());
            prop_assert_eq!(join.push(piece, &mut buffer), Ok(None));
        }
        let whole = join.push(last, &mut buffer).unwrap().unwrap();
        prop_assert_eq!((whole.header(), whole.data(), whole.ne()), (command.header(), &data[..], command.ne()));
    }

    #[test]
    fn the_exchange_brings_command_and_answer_across(
        data in prop::collection::vec(any::<u8>(), 0..600),
        answer in prop::collection::vec(any::<u8>(), 0..600),
        piece_len in 1usize..256,
        part in 1usize..256,
        fussy: bool,
    ) {
        // A fussy card and a chain of more than one piece: the last piece comes twice, which this card cannot tell
        // from a new command, so only one of the two is tried at a time.
        let fussy = fussy && data.len() <= piece_len;
        let command = Command::new(0x80, 0xE2, 0, 0).with_data(&data).with_ne(Ne::MAX_SHORT);
        let mut card = Card { join: Join::new(), buffer: vec![0; 600], seen: None, answer: answer.clone(), part, fussy };
        let mut room = vec![0; answer.len()];
        let mut exchange = Exchange::chained(command, piece_len, &mut room).unwrap();
        let mut wire = [0; 300];
        let mut reply = vec![];
        let mut input = Input::Start;
        let outcome = loop {
            match exchange.step(input, &mut wire).unwrap() {
                Step::Send(bytes) => { reply = card.transmit(bytes); input = Input::Response(&reply); }
                Step::Done(outcome) => break outcome,
            }
        };
        let _ = &reply;
        prop_assert_eq!(outcome, Outcome::Answered(Sw::OK));
        prop_assert_eq!(exchange.into_response().unwrap(), Response::new(&answer, Sw::OK));
        let seen = card.seen.unwrap();
        prop_assert_eq!(Command::parse(&seen).unwrap().data(), &data[..]);
    }

    #[test]
    fn any_answers_end_the_exchange(
        answers in prop::collection::vec(prop_oneof![
            Just(vec![0x90, 0]), Just(vec![0x61, 0]), Just(vec![1, 0x61, 1]), Just(vec![0x6C, 0]), prop::collection::vec(any::<u8>(), 0..6)
        ], 200),
        data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut room = [0; 20];
        let mut exchange = Exchange::chained(Command::new(0, 1, 2, 3).with_data(&data), 10, &mut room).unwrap();
        let mut wire = [0; 64];
        let mut sent = 0;
        let mut step = exchange.step(Input::Start, &mut wire).unwrap();
        while let Step::Send(_) = step {
            sent += 1;
            step = exchange.step(Input::Response(&answers[sent]), &mut wire).unwrap();
        }
        // Four pieces and twenty-one GET RESPONSE, each at most twice.
        prop_assert!(sent <= 2 * (4 + 21));
    }
}
