//! Whatever a card answers, a tap comes to its end in bounded steps, no approval is without a passed authentication, and a
//! recovery or a second tap ends too.
#![no_main]
use huiwan_emv::certificates::{CaKey, CaKeys};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::{
    COMMAND_MAX, Combination, Configuration, EntryPoint, Input, Limits, Memory, Oda, Outcome, Step,
    Transaction, Verdict,
};
use libfuzzer_sys::fuzz_target;

/// CA key A000000333/80, which the seeds' certificates are under.
struct Published {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Published {
    fn get() -> &'static Self {
        static KEY: std::sync::OnceLock<Published> = std::sync::OnceLock::new();
        KEY.get_or_init(|| {
            let file =
                huiwan_testkit::vectors::load(include_str!("../../crates/emv/tests/vectors/ca_keys.txt"));
            let key = file.block("A000000333/80");
            Self { modulus: key.bytes("modulus"), exponent: key.bytes("exponent") }
        })
    }
}

impl CaKeys for Published {
    fn find(&self, _: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        (index == 0x80).then_some(CaKey { modulus: &self.modulus, exponent: &self.exponent })
    }
}

/// The input: three bytes of configuration, then answers, each behind its length; FF loses the card, FE finds two.
struct Card<'a>(&'a [u8]);

impl<'a> Card<'a> {
    fn answer(&mut self) -> Input<'a> {
        let Some((&len, rest)) = self.0.split_first() else { return Input::CardLost };
        let (answer, rest) = rest.split_at(usize::from(len).min(rest.len()));
        self.0 = rest;
        match len {
            0xFF => Input::CardLost,
            0xFE => Input::SeveralCards,
            _ => Input::Response(answer),
        }
    }
}

fn play(
    terminal: &mut EntryPoint<'_>,
    first: Input<'_>,
    card: &mut Card<'_>,
    number: &mut u32,
    most: usize,
) -> Outcome {
    let mut out = [0; COMMAND_MAX];
    let mut input = first;
    for _ in 0..=most {
        input = match terminal.step(input, &mut out).expect("a fitting input is no misuse") {
            Step::Send(command) => {
                assert!(huiwan_apdu::Command::parse(command).is_ok());
                card.answer()
            }
            Step::UnpredictableNumber => {
                *number += 1;
                Input::UnpredictableNumber(number.to_be_bytes())
            }
            Step::Done(outcome) => {
                assert!(outcome.verdict != Verdict::SelectNext);
                assert!(outcome.verdict != Verdict::Approved || outcome.oda == Oda::Passed);
                return outcome;
            }
        };
    }
    panic!("more than {most} steps");
}

fuzz_target!(|data: &[u8]| {
    let Some((&[ttq, limit, memory], answers)) = data.split_first_chunk::<3>() else { return };
    let amount = Amount::new(100).unwrap();
    let aid = huiwan_apdu::Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33]);
    let limits = Limits { cvm: (limit & 1 != 0).then_some(amount), ..Limits::NONE };
    let combinations = [Combination::quick_pass(aid, Ttq([ttq, 0x00, 0xC0, 0x80])).with_limits(limits)];
    let mut configuration = Configuration::default();
    configuration.combinations = &combinations;
    configuration.keys = Published::get();
    let mut transaction = Transaction::default();
    transaction.amount = amount;

    let (mut store, mut static_data) = (vec![0; usize::from(memory) * 8], vec![0; usize::from(memory)]);
    let mut terminal =
        EntryPoint::new(&configuration, Memory { data: &mut store, static_data: &mut static_data });
    // The seeds' signatures are over the number 12345678.
    let (mut card, mut number) = (Card(answers), 0x1234_5677);
    let most = 1 + 16 * (3 + configuration.rules.records_max);
    let mut outcome = play(&mut terminal, Input::Start(transaction), &mut card, &mut number, most);
    for _ in 0..3 {
        if outcome.verdict != Verdict::Torn {
            break;
        }
        outcome = play(&mut terminal, Input::SameCardAgain { elapsed_ms: 1 }, &mut card, &mut number, most);
    }
    let mut out = [0; 512];
    let _ = terminal.online_data(&mut out).expect("the host's data are bounded");
    if outcome.issuer_update {
        let (answer, rest) = card.0.split_at(card.0.len() / 2);
        card.0 = rest;
        // Each command of a script is at least two bytes of the answer.
        play(&mut terminal, Input::IssuerAnswer(answer), &mut card, &mut number, 3 + answer.len() / 2);
        assert!(terminal.kernel().script_results().len() <= 8);
    }
});
