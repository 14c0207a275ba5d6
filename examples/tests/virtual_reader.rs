//! The virtual reader's card, driven over TCP by a peer that plays vpcd.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

#[path = "../virtual_reader/arguments.rs"]
mod arguments;
#[path = "../virtual_reader/band.rs"]
mod band;
#[path = "../virtual_reader/state.rs"]
mod state;
#[path = "../virtual_reader/vpcd.rs"]
mod vpcd;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use arguments::Wanted;
use band::{Atr, Band, Keys, Memory, SystemRandom, factory, modules};
use huiwan::element::SecureElement;
use huiwan_apdu::{Command, Sw};
use huiwan_card::{Journal, Options, RamFlash};
use huiwan_gp::card::{CardProfile, Registry, TEST_KEY, format};
use huiwan_gp::host::secure_channel::{AwaitCard, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp02;
use huiwan_gp::scp03::{Level, StaticKeys};
use huiwan_testkit::hex;

/// Plays vpcd.
struct Reader(TcpStream);

impl Reader {
    fn say(&mut self, message: &[u8]) {
        let length = (message.len() as u16).to_be_bytes();
        self.0.write_all(&[&length, message].concat()).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut message).unwrap();
        message
    }

    fn power_off(&mut self) {
        self.say(&[0]);
    }

    fn power_on(&mut self) {
        self.say(&[1]);
    }

    fn reset(&mut self) {
        self.say(&[2]);
    }

    fn atr(&mut self) -> Vec<u8> {
        self.say(&[4]);
        self.hear()
    }

    fn apdu(&mut self, command: &[u8]) -> Vec<u8> {
        self.say(command);
        self.hear()
    }

    fn open(&mut self, level: Level) -> Open {
        let keys = StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap();
        let handshake = AwaitCard::new([1; 8]);
        let answer = self.apdu(&hex("8050000008010101010101010100"));
        let answer = Answer::parse(&answer[..answer.len() - 2]).unwrap();
        let verified = handshake.verify_card(0x80, &answer, &keys, level).unwrap();
        assert_eq!(self.apdu(verified.command()), [0x90, 0x00]);
        verified.accepted(Sw::OK).unwrap()
    }

    fn through(&mut self, session: &mut Open, command: &[u8]) -> (Vec<u8>, u16) {
        let mut wire = [0; 300];
        let sent = session.wrap(&Command::parse(command).unwrap(), &mut wire).unwrap().to_vec();
        let answer = self.apdu(&sent);
        let mut out = [0; 300];
        let opened = session.unwrap(&answer, &mut out).unwrap();
        (opened.data().to_vec(), opened.sw().value())
    }
}

/// Runs `f` as vpcd against a blank card.
fn with_reader(atr: Atr, path: Option<&Path>, f: impl FnOnce(&mut Reader)) {
    with_card(atr, path, false, f);
}

fn with_card(atr: Atr, path: Option<&Path>, issued: bool, f: impl FnOnce(&mut Reader)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let path = path.map(Path::to_owned);
    let card = thread::Builder::new()
        .stack_size(16 << 20)
        .spawn(move || {
            let image = path.as_deref().and_then(|path| state::read(path).unwrap());
            let memory: Memory = match image {
                Some(image) => Journal::mount(RamFlash::from_bytes(*image)).unwrap(),
                None => {
                    let mut memory: Memory = Journal::format(RamFlash::new()).unwrap();
                    format(&mut memory, &factory(Keys::Both, false)).unwrap();
                    memory
                }
            };
            let card = CardProfile::DEFAULT.with_scp02(scp02::Options::I55);
            let modules = modules(&card);
            let list = modules.list();
            let mut band = Band {
                element: SecureElement::new(&list, Registry::new(&card), memory)
                    .with_options(Options::DEFAULT.with_t0(atr == Atr::T0)),
                random: SystemRandom::open().unwrap(),
                atr,
                path,
                saved: 0,
            };
            if issued {
                band.issue().unwrap();
            }
            let mut stream = TcpStream::connect(address).unwrap();
            vpcd::serve(&mut stream, &mut band).unwrap();
            vpcd::Card::power_off(&mut band);
        })
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut reader = Reader(stream);
    f(&mut reader);
    drop(reader);
    card.join().unwrap();
}

#[test]
fn asking_for_the_atr_changes_nothing() {
    with_reader(Atr::T1, None, |reader| {
        assert_eq!(reader.atr(), hex("3BE000008131FE45EB"), "without power");
        assert_eq!(reader.apdu(&hex("80CA006600")), hex("6F00"), "no power, no card");
        reader.power_on();
        assert_eq!(reader.apdu(&hex("80CA00C100")), hex("C1030000009000"));
        let mut session = reader.open(Level::All);
        for _ in 0..3 {
            assert_eq!(reader.atr(), hex("3BE000008131FE45EB"));
            assert_eq!(reader.through(&mut session, &hex("80CA006600")).1, 0x9000, "the session lives");
        }
        // Powered twice is powered once.
        reader.power_on();
        assert_eq!(reader.through(&mut session, &hex("80CA006600")).1, 0x9000);
        // A reset ends the session, not the counter.
        reader.reset();
        assert_eq!(reader.atr(), hex("3BE000008131FE45EB"));
        assert_eq!(reader.apdu(&hex("80F28002024F0000")), hex("6982"));
        assert_eq!(reader.apdu(&hex("80CA00C100")), hex("C1030000019000"));
        reader.open(Level::CMac);
        reader.power_off();
        assert_eq!(reader.atr(), hex("3BE000008131FE45EB"));
        reader.power_on();
        assert_eq!(reader.apdu(&hex("80F28002024F0000")), hex("6982"));
        assert_eq!(reader.apdu(&hex("80CA00C100")), hex("C1030000029000"));
    });
}

#[test]
fn a_blank_card_looks_like_a_commercial_one() {
    with_reader(Atr::T1, None, |reader| {
        reader.power_on();
        let fci = reader.apdu(&hex("00A4040000"));
        assert_eq!(fci[..12], hex("6F4E8408A000000151000000"));
        // By whatever name it is selected, and whatever is asked first.
        for name in [
            "00A40400",
            "00A4040008A000000151000000",
            "00A4040007A0000001510000",
            "00A4040008A00000015100000000",
        ] {
            assert_eq!(reader.apdu(&hex(name)), fci, "{name}");
        }
        assert_eq!(reader.apdu(&hex("80CA004200")), hex("42039999999000"));
        assert_eq!(reader.apdu(&hex("80CA004500")), hex("450800000000485549579000"));
        let cplc = reader.apdu(&hex("80CA9F7F00"));
        assert_eq!((cplc.len(), &cplc[15..19]), (3 + 42 + 2, &b"HUIW"[..]), "serial number");
        let keys = reader.apdu(&hex("80CA00E000"));
        let told = ["012080", "022080", "032080", "013088", "023088", "033088"];
        assert_eq!(keys, hex(&format!("E024C004{}109000", told.join("10C004"))));
        // SCP03 first, as version 00 names it.
        let protocols = hex("640B06092A864886FC6B040370640B06092A864886FC6B040255");
        assert!(reader.apdu(&hex("80CA006600")).ends_with(&[&protocols[..], &[0x90, 0x00]].concat()));
        assert_eq!(reader.apdu(&hex("80502000080102030405060708"))[10..12], [0x20, 0x02]);
        let mut session = reader.open(Level::CMac);
        let (issuer, sw) = reader.through(&mut session, &hex("80F28002024F0000"));
        assert_eq!(sw, 0x9000);
        assert_eq!(issuer[..16], hex("E31D4F08A0000001510000009F700101"));
        assert_eq!(reader.through(&mut session, &hex("80F24002024F0000")).1, 0x6A88);
        assert_eq!(reader.through(&mut session, &hex("80F21002024F0000")).1, 0x9000);
    });
}

#[test]
fn an_issued_band_pays_and_rides() {
    with_card(Atr::Contactless, None, true, |reader| {
        reader.power_on();
        // The payment environment names the bank card; the purse tells its balance.
        let ppse = reader.apdu(&hex("00A404000E325041592E5359532E444446303100"));
        assert_eq!(ppse[ppse.len() - 2..], [0x90, 0x00]);
        let bank = hex("A000000333010101");
        assert!(ppse.windows(bank.len()).any(|window| window == bank));
        let transit = reader.apdu(&hex("00A4040008A00000063201010500"));
        assert_eq!(transit[transit.len() - 2..], [0x90, 0x00]);
        assert_eq!(reader.apdu(&hex("805C000204")), hex("000013889000"));
        // The city card, and the bank's wallet with passbook and purse.
        let city = reader.apdu(&hex("00A4040009A0000000038698070100"));
        assert_eq!(city[city.len() - 2..], [0x90, 0x00]);
        assert_eq!(reader.apdu(&hex("805C000204")), hex("00000BB89000"));
        let wallet = reader.apdu(&hex("00A4040009A0000000038698070200"));
        assert_eq!(wallet[wallet.len() - 2..], [0x90, 0x00]);
        assert_eq!(reader.apdu(&hex("805C000204")), hex("000007D09000"));
        assert_eq!(reader.apdu(&hex("0020000003123456")), hex("9000"));
        assert_eq!(reader.apdu(&hex("805C000104")), hex("000138809000"));
    });
}

#[test]
fn t0_answers_wait_for_get_response() {
    with_reader(Atr::T0, None, |reader| {
        reader.power_on();
        assert_eq!(reader.atr(), hex("3B600000"));
        let waiting = reader.apdu(&hex("00A4040008A000000151000000"));
        assert_eq!(waiting, hex("6150"));
        assert_eq!(reader.apdu(&hex("00C0000050")).len(), 0x50 + 2);
    });
}

#[test]
fn state_survives_in_its_file() {
    let path = std::env::temp_dir().join(format!("huiwan-state-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    with_reader(Atr::Contactless, Some(&path), |reader| {
        reader.power_on();
        reader.open(Level::CMac);
        // The reader goes away without a word.
    });
    with_reader(Atr::Contactless, Some(&path), |reader| {
        assert_eq!(reader.atr(), hex("3B80800101"));
        reader.power_on();
        assert_eq!(reader.apdu(&hex("80CA00C100")), hex("C1030000019000"));
    });
    let mut file = std::fs::read(&path).unwrap();
    assert!(file.starts_with(b"HUIWAN FLASH 1\n"));
    file[13] = b'2';
    std::fs::write(&path, &file).unwrap();
    assert_eq!(state::read(&path).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    std::fs::write(&path, b"HUIWAN FLASH 1\nshort").unwrap();
    assert_eq!(state::read(&path).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn command_line() {
    let read = |words: &[&str]| arguments::read(words.iter().map(|word| (*word).to_owned()));
    assert!(matches!(read(&["--help"]), Ok(Wanted::Help)));
    let Ok(Wanted::Serve(plain)) = read(&[]) else { panic!() };
    assert_eq!(
        (plain.address.as_str(), plain.blank, plain.listen, plain.keys, plain.initial_keys),
        ("127.0.0.1:35963", false, false, Keys::Both, false)
    );
    let all = [
        "--blank",
        "--atr",
        "t0",
        "--state",
        "x",
        "--listen",
        "--initial-keys",
        "--scp02-only",
        "--scp02",
        "75",
        "localhost:1",
    ];
    let Ok(Wanted::Serve(all)) = read(&all) else { panic!() };
    assert_eq!(
        (all.address.as_str(), all.blank, all.listen, all.keys, all.initial_keys),
        ("localhost:1", true, true, Keys::Scp02, true)
    );
    assert_eq!((plain.scp02, all.scp02), (scp02::Options::I55, scp02::Options::I75));
    assert_eq!((all.atr, all.state.as_deref()), (Atr::T0, Some(Path::new("x"))));
    assert_eq!(read(&["--initial-keys"]).unwrap_err(), "--initial-keys wants --blank");
    assert_eq!(read(&["--scp02", "1A"]).unwrap_err(), "--scp02 knows no 1A");
    assert_eq!(read(&["--scp02-only"]).unwrap_err(), "--scp02-only wants --blank");
    assert_eq!(read(&["--atr"]).unwrap_err(), "--atr wants a value");
    assert_eq!(read(&["--atr", "t9"]).unwrap_err(), "--atr knows no t9");
    assert_eq!(read(&["--what"]).unwrap_err(), "unknown option --what");
}
