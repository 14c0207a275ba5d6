//! What reads as a script is written back byte for byte from what it says, and a player carries it to an end against any card: it
//! sends only commands of the script that is due, and goes on only after the status words it names.
#![no_main]

use huiwan_gp::host::player::{End, Input, OUT_LEN, Player, Report, Step};
use huiwan_gp::host::script::{Script, Then};
use libfuzzer_sys::fuzz_target;

fn written(script: &Script<'_>) -> Vec<u8> {
    let header = script.header();
    let mut raw = vec![1, header.scp, header.i, header.level, header.key_version];
    raw.extend(header.job.to_be_bytes());
    raw.extend(header.key_diversification);
    raw.extend(header.due.to_bytes());
    raw.extend(header.counter.to_bytes());
    raw.push(header.host_challenge.len() as u8);
    raw.extend(header.host_challenge);
    raw.push(header.aid.as_bytes().len() as u8);
    raw.extend(header.aid.as_bytes());
    raw.extend(script.count().to_be_bytes());
    for entry in script.entries() {
        raw.push(u8::from(entry.keeps_answer()) | u8::from(entry.initializes()) << 1);
        raw.extend((entry.command().len() as u16).to_be_bytes());
        raw.extend(entry.command());
        raw.push(entry.allowed().count() as u8);
        for allowed in entry.allowed() {
            raw.extend(allowed.sw.value().to_be_bytes());
            raw.push(u8::from(allowed.then == Then::Complete));
        }
    }
    raw
}

fuzz_target!(|input: &[u8]| {
    let Some((&split, data)) = input.split_first() else { return };
    let (answers, raw) = data.split_at(usize::from(split).min(data.len()));
    let script = match Script::parse(raw) {
        Ok(script) => script,
        Err(error) => return assert!(error.at() <= raw.len(), "{error}"),
    };
    assert_eq!(written(&script), raw);
    assert_eq!(script.entries().count(), usize::from(script.count()));

    // A card that says what the fuzzer wants, or what is allowed.
    let window = [script];
    let mut player = if split & 1 == 0 { Player::new(&window) } else { Player::at_once(&window[0]) };
    let mut answers = answers.chunks(9);
    let mut entries = script.entries();
    let (mut out, mut answer) = ([0; OUT_LEN], Vec::new());
    // SELECT and the question for the counter, which SCP11 has not.
    let mut own = if split & 1 == 0 && script.header().scp != 0x11 { 2 } else { 0 };
    let mut input = Input::Start;
    let report = loop {
        input = match player.step(input, &mut out).expect("the loop answers what is asked") {
            Step::Send(sent) => {
                answer.clear();
                if own > 0 {
                    own -= 1;
                    if own == 0 {
                        answer.extend([0xC1, 3]);
                        answer.extend(script.header().due.to_bytes());
                    }
                    answer.extend([0x90, 0x00]);
                } else {
                    let entry = entries.next().expect("no more commands than entries");
                    assert_eq!(sent, entry.command());
                    match answers.next() {
                        Some(bytes) => answer.extend(bytes),
                        None => {
                            if entry.initializes() {
                                let header = script.header();
                                answer.extend(header.key_diversification);
                                answer.extend([header.key_version, header.scp, header.i]);
                                answer.extend([0; 16]);
                                answer.extend(header.counter.to_bytes());
                            }
                            let allowed = entry.allowed().next().expect("one status at least");
                            answer.extend(allowed.sw.value().to_be_bytes());
                        }
                    }
                }
                Input::Response(&answer)
            }
            Step::Keep(_) => Input::Continue,
            Step::Done(report) => break report,
        };
    };
    assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
    assert!(report.entries <= script.count());
    assert!(!matches!(report.end, End::Lost | End::NoScript));
});
