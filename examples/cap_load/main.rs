//! A CAP file onto a card: what is in it, what the card is asked first, and how it goes there.
//!
//! ```text
//! cargo run --release --example cap_load -- applet.cap
//! cargo run --release --example cap_load -- --dap 00112233445566778899AABBCCDDEEFF --trace
//! ```
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "an example on a desktop computer"
)]

mod archive;
mod arguments;
mod card;

use std::process::ExitCode;

use archive::Members;
use arguments::Arguments;
use card::{Card, DELEGATE, DOMAIN_KEY, SIGNER};
use huiwan::element::Modules;
use huiwan_apdu::Aid;
use huiwan_crypto::{Aes, mac};
use huiwan_gp::cap::{CapFile, Dap, LoadFile};
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::get_status::{self, Scope};
use huiwan_gp::host::key_store::SingleKey;
use huiwan_gp::host::manager::OUT_LEN;
use huiwan_gp::host::{
    Delegation, Input, Job, KeyHandle, KeyRef, KeyStore, Load, Manager, OpenChannel, Outcome, SoftKeyStore,
    Step,
};
use huiwan_gp::privileges::Privileges;
use huiwan_gp::token::{Confirmation, KVN_RECEIPT, KVN_TOKEN};
use huiwan_tlv::hex::Hex;

const TEST: KeyRef = KeyRef::direct(1);
const OWN: KeyRef = KeyRef::direct(2);
const TOKEN: KeyHandle = KeyHandle(1);
const RECEIPT: KeyHandle = KeyHandle(2);
/// The card's receipt key. A card and its issuer know it; here both are this program.
const RECEIPT_KEY: [u8; 16] = [0x71; 16];

type Store = SoftKeyStore<2, 1>;

fn main() -> ExitCode {
    let arguments = match arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err((text, 0)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err((text, status)) => {
            eprintln!("{text}");
            return ExitCode::from(status);
        }
    };
    let members = match members(&arguments) {
        Ok(members) => members,
        Err(text) => {
            eprintln!("cap_load: {text}");
            return ExitCode::from(2);
        }
    };
    let slices: Vec<&[u8]> = members.components.iter().map(Vec::as_slice).collect();
    let cap = match CapFile::new(&slices) {
        Ok(cap) => cap,
        Err(error) => {
            eprintln!("cap_load: {error}");
            return ExitCode::from(2);
        }
    };
    tell(&cap, &members);
    match run(&arguments, &cap) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("cap_load: {text}");
            ExitCode::FAILURE
        }
    }
}

fn members(arguments: &Arguments) -> Result<Members, String> {
    let bytes = match &arguments.file {
        Some(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => archive::sample()?,
    };
    if let Some(path) = &arguments.write {
        std::fs::write(path, &bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    archive::read(&bytes)
}

fn line(name: &str, value: impl std::fmt::Display) {
    println!("{name:<12}{value}");
}

/// What is in the file.
fn tell(cap: &CapFile<'_>, members: &Members) {
    let header = cap.header();
    let (major, minor) = header.format;
    let package = header.package;
    let name = String::from_utf8_lossy(header.name);
    line("package", format_args!("{} {}.{} {name}", Hex(package.aid), package.major, package.minor));
    line("format", format_args!("{major}.{minor}{}", if header.uses_int() { ", uses int" } else { "" }));
    for applet in cap.applets() {
        line("applet", Hex(applet));
    }
    for import in cap.imports() {
        line("import", format_args!("{} {}.{}", Hex(import.aid), import.major, import.minor));
    }
    if let Some(version) = cap.java_card_version() {
        line("needs", format_args!("Java Card {version}"));
    }
    for component in cap.load_order(true) {
        line(
            "component",
            format_args!("{:<18}{:>6} bytes", component.kind().file_name(), component.raw().len()),
        );
    }
    for (name, signature) in &members.signatures {
        line(
            "signature",
            format_args!("{name}, {} bytes; of whom, the archive does not say", signature.len()),
        );
    }
}

fn run(arguments: &Arguments, cap: &CapFile<'_>) -> Result<(), String> {
    let plain = LoadFile::new(cap);
    let plain = if arguments.descriptor { plain.with_descriptor() } else { plain };
    let hash = plain.hash(arguments.hash);
    line("load file", format_args!("{} bytes", plain.data_len()));
    line("hash", format_args!("{:?} {}", arguments.hash, Hex(&hash)));

    let modules = Modules::default().with_content_management();
    let list = modules.list();
    let mut card = Card::new(&list)?;
    let signature = match &arguments.dap {
        Some((key, _)) => {
            card.add_domain(&SIGNER, Privileges::MANDATED_DAP)?;
            card.put_keys(Some(&SIGNER), &DOMAIN_KEY, huiwan_gp::load::KVN_DAP, &[key])?;
            mac::cmac(&Aes::new(key).map_err(|error| error.to_string())?, &[&hash])
        }
        None => [0; 16],
    };
    let daps = [Dap { domain: SIGNER.as_bytes(), signature: &signature }];
    let file = match arguments.dap {
        Some((_, true)) => plain.with_daps(&daps),
        _ => plain,
    };
    if file.encoded_len() != plain.encoded_len() {
        line("signature", format_args!("{} of {SIGNER}", Hex(&signature)));
    }

    let mut store = Store::new();
    let failed = |error: huiwan_gp::host::KeyError| error.to_string();
    store.insert(1, &TEST_KEY, &TEST_KEY, &TEST_KEY).map_err(failed)?;
    store.insert(2, &DOMAIN_KEY, &DOMAIN_KEY, &DOMAIN_KEY).map_err(failed)?;
    let mut manager = Manager::new();
    let (mut domain, mut key) = (None, TEST);
    if let Some(token) = &arguments.token {
        card.add_domain(&DELEGATE, Privileges::DELEGATED_MANAGEMENT)?;
        card.put_keys(None, &TEST_KEY, KVN_TOKEN, &[token])?;
        card.put_keys(None, &TEST_KEY, KVN_RECEIPT, &[&RECEIPT_KEY])?;
        store.insert_single(TOKEN, SingleKey::aes(token).map_err(failed)?).map_err(failed)?;
        store.insert_single(RECEIPT, SingleKey::aes(&RECEIPT_KEY).map_err(failed)?).map_err(failed)?;
        manager = manager.with_delegation(Delegation { token: TOKEN, receipt: Some(RECEIPT) });
        (domain, key) = (Some(DELEGATE), OWN);
    }
    let open = OpenChannel {
        aid: domain,
        key_version: 0,
        key,
        level: arguments.level,
        host_challenge: [9; 8].into(),
    };
    perform(&mut card, &mut store, &mut manager, Job::Open(open), arguments.trace)?;
    let most = manager.channel().map_or(255, |channel| channel.protocol.max_command_data(channel.level));
    match file.blocks(most) {
        Some(blocks) => line("blocks", format_args!("{blocks} of {most} bytes at most")),
        None => line("blocks", format_args!("too many of {most} bytes")),
    }

    let load = Load { hash: Some(arguments.hash), ..Load::new(file) };
    for answer in perform(&mut card, &mut store, &mut manager, Job::Load(load), arguments.trace)? {
        if let Ok(Some(confirmation)) = Confirmation::parse(&answer) {
            let receipt = Hex(confirmation.receipt);
            line("receipt", format_args!("{receipt}, number {} of this card", confirmation.counter));
        }
    }
    let list = Job::List { scope: Scope::LoadFilesAndModules, prefix: cap.header().package.aid };
    for page in perform(&mut card, &mut store, &mut manager, list, arguments.trace)? {
        for entry in get_status::entries(&page).flatten() {
            let of = entry.domain.and_then(|aid| Aid::new(aid).ok()).map(|aid| format!(", of {aid}"));
            line("on the card", format_args!("{}{}", Hex(entry.aid), of.unwrap_or_default()));
            entry.modules().for_each(|module| line("", Hex(module)));
        }
    }
    Ok(())
}

/// Carries out one task; what it answered comes back.
fn perform<'j>(
    card: &mut Card<'_>,
    store: &mut Store,
    manager: &mut Manager<'j>,
    job: Job<'j>,
    trace: bool,
) -> Result<Vec<Vec<u8>>, String> {
    let (mut out, mut key_out) = ([0; OUT_LEN], [0; OUT_LEN]);
    let (mut answers, mut answer) = (Vec::new(), Vec::new());
    let mut input = Input::Start(job);
    loop {
        input = match manager.step(input, &mut out).map_err(|error| error.to_string())? {
            Step::Send(command) => {
                answer.clear();
                answer.extend(card.send(command));
                if trace {
                    println!("> {}\n< {}", Hex(command), Hex(&answer));
                }
                Input::Response(&answer)
            }
            Step::Key(request) => Input::Key(store.answer(&request, &mut key_out)),
            Step::Answer { data, .. } => {
                answers.push(data.to_vec());
                Input::Continue
            }
            Step::Stored { .. } => Input::Continue,
            Step::Done(Outcome::Complete) => return Ok(answers),
            Step::Done(Outcome::Fault(fault)) => return Err(fault.to_string()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The card's flash is moved about on the stack, and that of a test is a quarter of a program's.
    fn load(words: &'static [&'static str]) -> Result<(), String> {
        let thread = std::thread::Builder::new().stack_size(16 << 20);
        thread.spawn(|| load_here(words)).unwrap().join().unwrap()
    }

    fn load_here(words: &[&str]) -> Result<(), String> {
        let arguments = arguments::read(words.iter().map(|word| (*word).to_owned())).unwrap();
        let members = members(&arguments).unwrap();
        let slices: Vec<&[u8]> = members.components.iter().map(Vec::as_slice).collect();
        let cap = CapFile::new(&slices).unwrap();
        tell(&cap, &members);
        run(&arguments, &cap)
    }

    #[test]
    fn every_option_gets_the_file_onto_the_card() {
        const KEY: &str = "00112233445566778899AABBCCDDEEFF";
        for words in [
            &[][..],
            &["--level", "all", "--hash", "sha512", "--trace"],
            &["--dap", KEY, "--level", "mac", "--hash", "sha1"],
            &["--token", KEY],
            &["--token", KEY, "--dap", KEY],
        ] {
            assert_eq!(load(words), Ok(()), "{words:?}");
        }
        let error = load(&["--dap-missing", KEY]).unwrap_err();
        assert!(error.contains("signature of F04857444150 is missing"), "{error}");
    }

    #[test]
    fn wrong_words() {
        for words in
            [&["--level", "none"][..], &["--dap", "00"], &["--dap"], &["--hash", "md5"], &["-x"], &["a", "b"]]
        {
            let read = arguments::read(words.iter().map(|word| (*word).to_owned()));
            assert_eq!(read.unwrap_err().1, 2, "{words:?}");
        }
    }
}
