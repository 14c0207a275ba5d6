//! Online: the issuer's engine answers what the card sent, and the card obeys only the issuer.
#![allow(clippy::cast_possible_truncation)]

use huiwan_emv::card::Qpboc;
use huiwan_emv::card::qpboc::Profile;
use huiwan_emv::cryptogram::Cryptogram;
use huiwan_emv::host::authorisation::{
    Authorisation, Decision, Facts, Input, KeyAnswer, Misuse, Outcome, RequestError, Script, Step,
};
use huiwan_emv::host::keys::{CryptogramCheck, Verdict};
use huiwan_emv::host::{CardProfile, IssuerKeys, SoftIssuerKeys};

use super::band::*;

pub fn online(amount: u64) -> Reader {
    Reader { ttq: [0x26, 0x80, 0, 0x80], ..Reader::of(yuan(amount)) }
}

/// Field 55 as a terminal composes it from an answer.
pub fn field_55(answer: &Answer, reader: &Reader) -> Vec<u8> {
    let mut field = Vec::new();
    let mut put = |tag: &[u8], value: &[u8]| {
        field.extend_from_slice(tag);
        field.push(value.len() as u8);
        field.extend_from_slice(value);
    };
    for tag in [0x82_u32, 0x9F36, 0x9F10, 0x9F26, 0x57, 0x5F34] {
        let bytes = tag.to_be_bytes();
        put(if tag > 0xFF { &bytes[2..] } else { &bytes[3..] }, answer.get(tag).unwrap());
    }
    put(&[0x9F, 0x02], &reader.amount.to_bcd());
    put(&[0x9F, 0x03], &[0; 6]);
    put(&[0x9F, 0x1A], &[1, 0x56]);
    put(&[0x95], &[0; 5]);
    put(&[0x5F, 0x2A], &reader.currency);
    put(&[0x9A], &[0x26, 0x11, 0x22]);
    put(&[0x9C], &[0]);
    put(&[0x9F, 0x37], &[0xDE, 0xAD, 0xBE, 0xEF]);
    put(&[0x9F, 0x33], &[0xE0, 0xF0, 0xC8]);
    field
}

/// Runs the engine; what it decided and what it answered.
pub fn authorise(
    field: &[u8],
    keys: &mut SoftIssuerKeys,
    policy: impl Fn(&Facts) -> Decision,
) -> (Option<Facts>, Result<Vec<u8>, String>) {
    let mut engine = Authorisation::new();
    let mut input = Input::Start { field_55: field, pan: None, sequence: None };
    let mut seen = None;
    loop {
        let mut out = [0; 256];
        input = match engine.step(input, &mut out).unwrap() {
            Step::Key(request) => Input::Key(request.perform(keys).ok()),
            Step::Decide(facts) => {
                seen = Some(facts);
                Input::Decide(policy(&facts))
            }
            Step::Done(Outcome::Response(response)) => return (seen, Ok(response.to_vec())),
            Step::Done(outcome) => return (seen, Err(format!("{outcome:?}"))),
        };
    }
}

/// The commands of a response's script template.
pub fn commands(response: &[u8]) -> Vec<Vec<u8>> {
    huiwan_tlv::walk(response, huiwan_tlv::Rules::EMV)
        .flatten()
        .filter(|(_, object)| object.tag() == huiwan_tlv::Tag::new(0x86))
        .map(|(_, object)| object.value().to_vec())
        .collect()
}

fn external_authenticate(band: &mut Band, response: &[u8]) -> u16 {
    let data = find_deep(response, 0x91).unwrap();
    band.send(&[&[0, 0x82, 0, 0, 10][..], data].concat()).1
}

fn top_up(amount: u64) -> impl Fn(&Facts) -> Decision {
    move |facts| {
        assert_eq!(facts.verdict, Verdict { cryptogram: true, idd: true });
        Decision::approve().with_script(Script::TopUp(yuan(amount)))
    }
}

#[test]
fn an_online_transaction_with_a_top_up() {
    for version in [0x01, 0x11] {
        let mut profile = CardProfile::unionpay_debit();
        profile.cryptogram_version = huiwan_emv::cryptogram::Cvn::from_byte(version).unwrap();
        let mut band = Band::blank();
        band.load(&script(
            &profile,
            &huiwan_emv::host::certificates::fixtures::icc_key().unwrap(),
            yuan(500),
        ));
        let reader = online(400);
        let answer = band.tap(&reader).unwrap();
        let (facts, response) = authorise(&field_55(&answer, &reader), &mut keys(), top_up(200));
        let facts = facts.unwrap();
        assert_eq!(facts.balance, Some(yuan(500)));
        assert_eq!(facts.request.amount, yuan(400));
        assert_eq!(facts.result, Some(Cryptogram::Arqc));
        assert_eq!(facts.request.check.card, card());
        let response = response.unwrap();
        assert_eq!(find_deep(&response, 0x8A).unwrap(), b"00");
        // The tap is over; the wearer holds the band to the terminal again for the issuer's answer.
        band.power_on();
        band.select();
        assert_eq!(external_authenticate(&mut band, &response), 0x9000);
        assert_eq!(external_authenticate(&mut band, &response), 0x6985, "once for each transaction");
        let [command] = &commands(&response)[..] else { panic!("one script") };
        assert_eq!(command[..5], [0x04, 0xDA, 0x9F, 0x79, 10]);
        assert_eq!(band.send(command).1, 0x9000);
        assert_eq!(band.balance(), 70_000);
        assert_eq!(band.send(command).1, 0x9000, "a repeated script sets the same balance");
        assert_eq!(band.balance(), 70_000);
        assert_eq!(band.memory().get(0x9F13).unwrap(), [0, 1]);

        let next = band.tap(&reader).unwrap();
        assert_eq!(next.get(0x9F10).unwrap()[6] >> 4, 2, "two scripts counted");
        assert_eq!(band.send(command).1, 0x6988, "bound to the transaction before");
    }
}

#[test]
fn forgeries_and_strangers() {
    let mut band = Band::issued();
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let field = field_55(&answer, &reader);
    let (_, genuine) = authorise(&field, &mut keys(), top_up(1));
    let genuine = genuine.unwrap();

    // A changed amount: no response cryptogram, no script, whatever the policy says.
    let mut forged = field.clone();
    let at = field.windows(3).position(|w| w == [0x9F, 0x02, 6]).unwrap() + 8;
    forged[at] ^= 1;
    let (facts, response) = authorise(&forged, &mut keys(), |facts| {
        assert_eq!(facts.balance, None, "an unauthenticated balance is not told");
        Decision::approve().with_script(Script::TopUp(yuan(1)))
    });
    assert!(!facts.unwrap().verdict.cryptogram);
    assert_eq!(response.unwrap(), [0x8A, 2, b'0', b'0']);

    // A changed balance report: the transaction stands, the top-up does not.
    let mut forged = field.clone();
    let at = field.windows(3).position(|w| w == [0x9F, 0x10, 19]).unwrap() + 3 + 14;
    forged[at] ^= 1;
    let (_, response) =
        authorise(&forged, &mut keys(), |_| Decision::approve().with_script(Script::TopUp(yuan(1))));
    assert_eq!(response.unwrap_err(), "NoAuthenticBalance");

    // Another generation of keys.
    let mut others = SoftIssuerKeys::new(2, Default::default(), &[0x11; 16], &[0x22; 16], &[0x44; 16]);
    assert_eq!(authorise(&field, &mut others, |_| Decision::decline()).1.unwrap_err(), "KeyProviderFailed");
    // The same generation, other keys.
    let mut others = SoftIssuerKeys::new(1, Default::default(), &[0x12; 16], &[0x22; 16], &[0x44; 16]);
    assert!(!authorise(&field, &mut others, |_| Decision::decline()).0.unwrap().verdict.cryptogram);

    // On the card: a wrong response cryptogram is remembered, closes scripts, and shows in the next tap.
    let mut wrong = genuine.clone();
    wrong[6] ^= 1;
    assert_eq!(external_authenticate(&mut band, &wrong), 0x6300);
    assert_eq!(external_authenticate(&mut band, &genuine), 0x6985, "one try");
    assert_eq!(band.send(&commands(&genuine)[0]).1, 0x6985);
    assert_eq!(band.balance(), 50_000);
    let next = band.tap(&reader).unwrap();
    assert_eq!(next.get(0x9F10).unwrap()[5] & 0x08, 0x08);
}

#[test]
fn scripts_need_their_mac_and_their_place() {
    let mut band = Band::issued();
    let reader = online(400);
    band.select();
    assert_eq!(
        band.send(&[4, 0xDA, 0x9F, 0x79, 10, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).1,
        0x6985,
        "before any ARQC"
    );
    let answer = band.tap(&reader).unwrap();
    let field = field_55(&answer, &reader);
    let response = authorise(&field, &mut keys(), top_up(1)).1.unwrap();
    let good = commands(&response).remove(0);
    assert_eq!(band.send(&[4, 0xDA, 0x9F, 0x79, 3, 1, 2, 3]).1, 0x6987, "no MAC");
    let mut wrong = good.clone();
    for byte in 2..good.len() {
        if byte == 4 {
            continue;
        }
        wrong[byte] ^= 1;
        let mut fresh = Band::on(band.memory().clone(), Qpboc::default());
        fresh.select();
        assert_eq!(fresh.send(&wrong).1, 0x6988, "byte {byte}");
        assert_eq!(fresh.balance(), 50_000);
        wrong[byte] ^= 1;
    }
    wrong[10] ^= 1;
    for _ in 0..3 {
        assert_eq!(band.send(&wrong).1, 0x6988);
    }
    assert_eq!(band.send(&good).1, 0x6985, "too many wrong ones");
    assert_eq!(band.balance(), 50_000);
    let next = band.tap(&reader).unwrap();
    assert_eq!(next.get(0x9F10).unwrap()[6] & 0x08, 0x08, "the issuer learns that a script failed");

    // An approval offline takes no scripts.
    let answer = band.tap(&Reader::of(yuan(1))).unwrap();
    band.read_all(&answer).unwrap();
    assert_eq!(band.send(&good).1, 0x6985);
}

#[test]
fn put_data_checks_what_it_writes() {
    let put = |tag: u16, value: &[u8]| {
        let mut band = Band::issued();
        let reader = online(400);
        let answer = band.tap(&reader).unwrap();
        let value = heapless::Vec::from_slice(value).unwrap();
        let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| {
            Decision::approve().with_script(Script::PutData { tag, value: value.clone() })
        });
        let sw = band.send(&commands(&response.1.unwrap())[0]).1;
        (sw, band.memory().get(tag).map(<[u8]>::to_vec))
    };
    assert_eq!(put(0x9F78, &[0, 0, 0, 1, 0, 0]), (0x9000, Some(vec![0, 0, 0, 1, 0, 0])));
    assert_eq!(put(0x9F53, &[5]), (0x9000, Some(vec![5])));
    assert_eq!(put(0x9F78, &[0, 0, 0, 0x0A, 0, 0]).0, 0x6A80, "not decimal");
    assert_eq!(put(0x9F78, &[0, 0, 1]).0, 0x6A80, "short");
    assert_eq!(put(0x9F53, &[5, 5]).0, 0x6A80, "long");
    assert_eq!(put(0x9F79, &[0, 0, 0, 0x10, 0, 1]).0, 0x6A80, "above the balance limit");
    assert_eq!(put(0x9F79, &[0, 0, 0, 0x10, 0, 0]).0, 0x9000, "at the balance limit");
    for tag in [0x9F36, 0x9F51, 0x9F68, 0x8000, 0x9F5C, 0xF003] {
        assert_eq!(put(tag, &[0; 2]).0, 0x6A88, "{tag:04X}");
    }
}

#[test]
fn blocking_and_unblocking() {
    let mut band = Band::issued();
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| {
        Decision::decline().with_script(Script::Block)
    })
    .1
    .unwrap();
    assert_eq!(find_deep(&response, 0x8A).unwrap(), b"05");
    assert_eq!(band.send(&commands(&response)[0]).1, 0x9000);
    assert_eq!(band.select(), 0x6283);
    let answer = band.tap(&reader).unwrap();
    assert_eq!(answer.kind(), "AAC");
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "AAC");
    let answer = band.tap(&reader).unwrap();
    let response = |script: Script| {
        authorise(&field_55(&answer, &reader), &mut keys(), move |facts| {
            assert_eq!(facts.result, Some(Cryptogram::Aac));
            Decision::decline().with_script(script.clone())
        })
        .1
        .unwrap()
    };
    assert_eq!(
        band.send(&commands(&response(Script::TopUp(yuan(1))))[0]).1,
        0x6985,
        "only unblocking after an AAC"
    );
    assert_eq!(band.send(&commands(&response(Script::Unblock))[0]).1, 0x9000);
    assert_eq!(band.select(), 0x9000);
    assert_eq!(band.tap(&Reader::of(yuan(1))).unwrap().kind(), "TC");
}

#[test]
fn update_record_replaces_a_record() {
    let mut band = Band::issued();
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let transaction = huiwan_emv::secure_messaging::Transaction {
        atc: answer.get(0x9F36).unwrap().try_into().unwrap(),
        cryptogram: answer.get(0x9F26).unwrap().try_into().unwrap(),
    };
    let new = [0x70, 3, 0x5F, 0x34, 0];
    let mut send = |number: u8, sfi: u8, data: &[u8]| {
        let header = [4, 0xDC, number, sfi << 3 | 4];
        let mac = keys().script_mac(&card(), &transaction, header, data).unwrap();
        band.send(&[&header[..], &[data.len() as u8 + 4], data, &mac].concat()).1
    };
    assert_eq!(send(1, 3, &new), 0x9000);
    assert_eq!(send(9, 3, &new), 0x6A83);
    assert_eq!(send(1, 0x0B, &new), 0x6A83, "the log is the card's");
    assert_eq!(send(1, 3, &[]), 0x6700);
    assert_eq!(band.memory().get(0x0301).unwrap(), new);
}

#[test]
fn mandatory_issuer_authentication() {
    let mut band = Band::issued();
    assert_eq!(band.store(0x0E01, &[0x9F, 0x56, 1, 0x80]), 0x9000);
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), top_up(1)).1.unwrap();
    assert_eq!(band.send(&commands(&response)[0]).1, 0x6985);
    assert_eq!(external_authenticate(&mut band, &response), 0x9000);
    assert_eq!(band.send(&commands(&response)[0]).1, 0x9000);
    assert_eq!(band.send(&[0, 0x82, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]).1, 0x6700);
    assert_eq!(band.send(&[0, 0x82, 0, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).1, 0x6A86);
}

#[test]
fn an_approval_resets_the_offline_counters() {
    let mut band = Band::with(&[(0xF001, &[0, 0, 0, 0, 9, 0]), (0xF002, &[3])]);
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| Decision::decline()).1.unwrap();
    assert_eq!(external_authenticate(&mut band, &response), 0x9000);
    assert_eq!(band.memory().get(0xF002).unwrap(), [3], "a declined one does not");
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), |_| Decision::approve()).1.unwrap();
    assert_eq!(external_authenticate(&mut band, &response), 0x9000);
    assert_eq!(band.memory().get(0xF001).unwrap(), [0; 6]);
    assert_eq!(band.memory().get(0xF002).unwrap(), [0]);
}

#[test]
fn the_engine_refuses_bad_requests_by_place_and_callers_out_of_turn() {
    let mut band = Band::issued();
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let field = field_55(&answer, &reader);
    let bad = |field: &[u8]| {
        let mut engine = Authorisation::new();
        let Ok(Step::Done(Outcome::BadRequest(error))) =
            engine.step(Input::Start { field_55: field, pan: None, sequence: None }, &mut [])
        else {
            panic!("accepted")
        };
        assert_eq!(engine.step(Input::Key(None), &mut []), Err(Misuse), "finished");
        error
    };
    assert_eq!(bad(&field[..field.len() - 1]).at(), field.len() - 6, "9F33, cut");
    assert_eq!(bad(&[]).kind(), RequestError::Missing(0x9F02));
    let without_pan: Vec<u8> = {
        let at = field.iter().position(|byte| *byte == 0x57).unwrap();
        let len = usize::from(field[at + 1]) + 2;
        [&field[..at], &field[at + len..]].concat()
    };
    assert_eq!(bad(&without_pan).kind(), RequestError::AccountNumber);
    let mut engine = Authorisation::new();
    assert_eq!(engine.step(Input::Decide(Decision::approve()), &mut []), Err(Misuse));
    let Ok(Step::Key(request)) =
        engine.step(Input::Start { field_55: &field, pan: None, sequence: None }, &mut [])
    else {
        panic!("asks for the check")
    };
    assert_eq!(engine.step(Input::Key(Some(KeyAnswer::Respond([0; 8]))), &mut []), Err(Misuse));
    let checked = request.perform(&mut keys()).unwrap();
    assert!(matches!(engine.step(Input::Key(Some(checked)), &mut []), Ok(Step::Decide(_))));
    let Ok(Step::Key(request)) = engine.step(Input::Decide(Decision::approve()), &mut []) else {
        panic!("responds")
    };
    let responded = request.perform(&mut keys()).unwrap();
    let Ok(Step::Done(Outcome::Full(full))) = engine.step(Input::Key(Some(responded)), &mut [0; 3]) else {
        panic!("tells the size")
    };
    assert_eq!(full.needed, 4 + 12);
}

#[test]
fn batches_give_one_verdict_each() {
    let mut band = Band::issued();
    let mut checks: Vec<CryptogramCheck> = Vec::new();
    for amount in 1..=5 {
        let reader = Reader::of(yuan(amount));
        let answer = band.tap(&reader).unwrap();
        band.read_all(&answer).unwrap();
        let request =
            huiwan_emv::host::authorisation::Request::parse(&field_55(&answer, &reader), None, None).unwrap();
        checks.push(request.check);
    }
    checks[1].cryptogram[0] ^= 1;
    checks[2].card.key_index = 9;
    checks[3].data.transaction.amount[5] ^= 1;
    let mut verdicts = [Verdict { cryptogram: true, idd: true }; 6];
    keys().check_batch(&checks, &mut verdicts);
    let right = Verdict { cryptogram: true, idd: true };
    let only_idd = Verdict { cryptogram: false, idd: true };
    assert_eq!(verdicts, [right, only_idd, Verdict::default(), only_idd, right, right]);
}

#[test]
fn profiles_bound_script_tries() {
    let profile = Profile { script_mac_tries: 1, ..Profile::default() };
    let mut band = Band::on(Cells::default(), Qpboc { profile });
    band.load(&standard_script());
    let reader = online(400);
    let answer = band.tap(&reader).unwrap();
    let response = authorise(&field_55(&answer, &reader), &mut keys(), top_up(1)).1.unwrap();
    assert_eq!(band.send(&[4, 0xDA, 0x9F, 0x79, 10, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).1, 0x6988);
    assert_eq!(band.send(&commands(&response)[0]).1, 0x6985);
}
