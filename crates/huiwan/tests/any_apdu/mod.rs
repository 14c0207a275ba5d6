//! The issued sample band against whoever holds it: any commands, on any interface, with power cut anywhere. Shared by
//! the property test beside it and by the fuzz target `card_any_apdu`.
//!
//! Without keys nobody makes money: the purse keeps its balance, the e-cash never rises and falls by no more than the
//! band approved. No answer holds eight bytes of a provisioned secret in a row.
//!
//! Input, one operation after another, missing bytes are zeros:
//!
//! | first byte, modulo 8 | then |
//! |---|---|
//! | 0 | length 1, command as it is |
//! | 1 | application 1: SELECT |
//! | 2 | data 33: GET PROCESSING OPTIONS |
//! | 3 | record 1, file 1: READ RECORD |
//! | 4 | command 1, P1, P2, length 1, data: a purse command |
//! | 5 | interface 1: power off and on; bit 7 set: the wearer was verified |
//! | 6 | operations 1, mode 1, seed 1: power is cut |
//! | 7 | nothing: idle time, in which flash is tidied |

use std::collections::HashSet;
use std::sync::OnceLock;

use huiwan::element::{Modules, SecureElement};
use huiwan::sample;
use huiwan_card::{Cut, Environment, Interface, Journal, Module, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::{Rules, Tag, find_path};

type Flash = RamFlash<65_536>;
type Memory = Journal<Flash, 256>;

static PROFILE: CardProfile = CardProfile::DEFAULT;
const WINDOW: usize = 8;

/// The flash of the band as it was issued.
fn issued(modules: &[&dyn Module]) -> Flash {
    static ISSUED: OnceLock<Flash> = OnceLock::new();
    ISSUED
        .get_or_init(|| {
            let mut memory = Memory::format(Flash::new()).unwrap();
            format(&mut memory, &Factory::TEST).unwrap();
            let mut band = SecureElement::new(modules, Registry::new(&PROFILE), memory);
            let mut random = Seeded::new(1);
            sample::issue(&mut band, &mut Environment { random: &mut random, now: None }).unwrap();
            let mut memory = band.into_memory();
            memory.collect().unwrap();
            memory.into_flash()
        })
        .clone()
}

/// Every run of [`WINDOW`] bytes of a secret.
fn forbidden() -> &'static HashSet<[u8; WINDOW]> {
    static FORBIDDEN: OnceLock<HashSet<[u8; WINDOW]>> = OnceLock::new();
    FORBIDDEN.get_or_init(|| {
        let mut windows = HashSet::new();
        sample::secrets(&mut |secret| {
            windows.extend(secret.windows(WINDOW).map(|window| <[u8; WINDOW]>::try_from(window).unwrap()));
        })
        .unwrap();
        assert!(windows.len() > 400, "{} windows", windows.len());
        windows
    })
}

/// Input bytes, then zeros.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

struct Band<'m> {
    modules: &'m [&'m dyn Module],
    element: Option<SecureElement<'m, Memory>>,
    random: Seeded,
    /// What the band approved offline so far, fen.
    approved: u64,
}

impl<'m> Band<'m> {
    fn element(&mut self) -> &mut SecureElement<'m, Memory> {
        self.element.as_mut().unwrap()
    }

    fn power(&mut self, interface: Interface) {
        let element = self.element.as_mut().unwrap();
        element.power_off();
        element.power_on(interface, &mut Environment { random: &mut self.random, now: None });
    }

    /// Sends a command and checks what comes back.
    fn send(&mut self, command: &[u8]) -> Vec<u8> {
        let element = self.element.as_mut().unwrap();
        let answer =
            element.exchange(command, &mut Environment { random: &mut self.random, now: None }).to_vec();
        assert!((2..=258).contains(&answer.len()), "an answer of {} bytes", answer.len());
        for window in answer.windows(WINDOW) {
            assert!(!forbidden().contains(window), "a piece of a secret in {answer:02X?}");
        }
        self.approved += approved(command, &answer);
        if element.memory().flash().is_dead() {
            self.revive();
        }
        answer
    }

    /// Power comes back after a cut: the flash mounts, whatever happened to it.
    fn revive(&mut self) {
        let mut flash = self.element.take().unwrap().into_memory().into_flash();
        flash.power_on();
        let memory = Memory::mount(flash).expect("a flash that lost power mounts");
        self.element = Some(SecureElement::new(self.modules, Registry::new(&PROFILE), memory));
        self.power(Interface::Contactless);
    }
}

/// The amount a GET PROCESSING OPTIONS answer approves offline (IAD byte 5: first cryptogram TC), fen.
fn approved(command: &[u8], answer: &[u8]) -> u64 {
    let [_, 0xA8, _, _, _, 0x83, _, _, _, _, _, amount @ ..] = command else { return 0 };
    let Some(data) = answer.strip_suffix(&[0x90, 0x00]) else { return 0 };
    let Ok(Some(iad)) = find_path(data, Rules::EMV, &[Tag::new(0x77), Tag::new(0x9F10)]) else { return 0 };
    if iad.value()[4] & 0x30 != 0x10 {
        return 0;
    }
    amount[..6].iter().fold(0, |sum, byte| sum * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 0x0F))
}

fn select(aid: &[u8]) -> Vec<u8> {
    let mut command = vec![0x00, 0xA4, 0x04, 0x00, u8::try_from(aid.len()).unwrap()];
    command.extend_from_slice(aid);
    command.push(0x00);
    command
}

/// Runs one input; tells what the band approved offline and by how much its e-cash fell, fen.
pub(crate) fn run(input: &[u8]) -> (u64, u64) {
    let modules = Modules::default();
    let list = modules.list();
    let memory = Memory::mount(issued(&list)).unwrap();
    let mut band = Band {
        modules: &list,
        element: Some(SecureElement::new(&list, Registry::new(&PROFILE), memory)),
        random: Seeded::new(2),
        approved: 0,
    };
    band.power(Interface::Contactless);
    let mut tape = Tape(input);
    let mut operations = 0;
    while !tape.0.is_empty() && operations < 256 {
        operations += 1;
        operation(&mut band, &mut tape);
    }

    // What the owner finds afterwards.
    if band.element().memory().flash().is_dead() {
        band.revive();
    }
    band.power(Interface::Internal);
    band.send(&select(sample::TRANSIT_AID.as_bytes()));
    match *band.send(&[0x80, 0x5C, 0x00, 0x02, 0x04]) {
        [a, b, c, d, 0x90, 0x00] => assert_eq!(u32::from_be_bytes([a, b, c, d]), sample::PURSE),
        // Three wrong MACs in a row locked the purse, or its maintenance, for good.
        [0x93, 0x03] | [0x69, 0x85] => {}
        ref other => panic!("GET BALANCE answers {other:02X?}"),
    }
    band.send(&select(sample::BANK_AID.as_bytes()));
    let answer = band.send(&[0x80, 0xCA, 0x9F, 0x79, 0x00]);
    let [0x9F, 0x79, 0x06, ref bcd @ .., 0x90, 0x00] = *answer else {
        panic!("GET DATA answers {answer:02X?}")
    };
    let e_cash =
        bcd.iter().fold(0, |sum, byte| sum * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 0x0F));
    assert!(e_cash <= sample::E_CASH, "e-cash rose to {e_cash}");
    assert!(sample::E_CASH - e_cash <= band.approved, "e-cash fell to {e_cash}, {} approved", band.approved);
    (band.approved, sample::E_CASH - e_cash)
}

fn operation(band: &mut Band<'_>, tape: &mut Tape<'_>) {
    match tape.byte() % 8 {
        0 => {
            let len = usize::from(tape.byte());
            let command = tape.bytes(len);
            band.send(&command);
        }
        1 => {
            let names: [&[u8]; 5] = [
                sample::BANK_AID.as_bytes(),
                sample::TRANSIT_AID.as_bytes(),
                b"2PAY.SYS.DDF01",
                PROFILE.issuer_aid.as_bytes(),
                &[0xA0, 0x00, 0x00],
            ];
            let name = names[usize::from(tape.byte()) % names.len()];
            band.send(&select(name));
        }
        2 => {
            let mut command = vec![0x80, 0xA8, 0x00, 0x00, 35, 0x83, 33];
            command.extend(tape.bytes(33));
            command.push(0x00);
            band.send(&command);
        }
        3 => {
            let (record, file) = (tape.byte(), tape.byte());
            band.send(&[0x00, 0xB2, record, file << 3 | 4, 0x00]);
        }
        4 => {
            let instructions = [0x50, 0x52, 0x54, 0x5A, 0x5C, 0xDC];
            let ins = instructions[usize::from(tape.byte()) % instructions.len()];
            let (p1, p2, len) = (tape.byte(), tape.byte(), tape.byte());
            let mut command = vec![0x80, ins, p1, p2];
            if len > 0 {
                command.push(len);
                command.extend(tape.bytes(usize::from(len)));
            }
            command.push(0x00);
            band.send(&command);
        }
        5 => {
            let byte = tape.byte();
            let interfaces = [Interface::Contactless, Interface::Contact, Interface::Internal];
            band.power(interfaces[usize::from(byte & 0x7F) % interfaces.len()]);
            band.element().set_wearer_verified(byte & 0x80 != 0);
        }
        6 => {
            let (operations, mode, seed) = (tape.byte(), tape.byte(), tape.byte());
            let mode = Cut::ALL[usize::from(mode) % Cut::ALL.len()];
            let flash = band.element().memory_mut().flash_mut();
            flash.cut_after(u32::from(operations), mode, u32::from(seed));
        }
        _ => {
            if band.element().memory_mut().collect().is_err() {
                band.revive();
            }
        }
    }
}
