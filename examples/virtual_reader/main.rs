//! The wristband as a card in any PC/SC program: serves the secure element behind the vpcd protocol.
//!
//! ```text
//! cargo run --release --example virtual_reader -- --blank
//! ```
//! Start vpcd (the virtual reader of vsmartcard) first; then `opensc-tool`, `gp`, `gpshell` and the like see a card.

mod arguments;
mod band;
mod state;
mod vpcd;

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use arguments::{Arguments, HELP, Wanted};
use band::{Atr, Band, Memory, SystemRandom, factory, modules};
use huiwan::element::{CHAIN_ANSWER, CHAIN_SCRATCH, SLOT, SLOTS, SecureElement};
use huiwan_card::{Element, Journal, Options, RamFlash};
use huiwan_gp::card::{CardProfile, Registry, Scp11Profile, format};

fn main() -> ExitCode {
    let arguments = match arguments::read(std::env::args().skip(1)) {
        Ok(Wanted::Serve(arguments)) => arguments,
        Ok(Wanted::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{why}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtual_reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let card = CardProfile::DEFAULT.with_scp02(arguments.scp02);
    let (memory, new) = memory(arguments)?;
    let options = Options::DEFAULT.with_t0(arguments.atr == Atr::T0);
    if arguments.scp11 {
        let card = card.with_bare_get_data(true);
        let modules = modules(&card).with_scp11(Scp11Profile::DEFAULT);
        let list = modules.list();
        let element: Element<'_, _, _, SLOTS, SLOT, CHAIN_SCRATCH> =
            Element::new(&list, Registry::new(&card), memory).with_options(options);
        return insert(arguments, new_band(arguments, element.with_answer::<CHAIN_ANSWER>())?);
    }
    let modules = modules(&card);
    let list = modules.list();
    let element = SecureElement::new(&list, Registry::new(&card), memory);
    let mut band = new_band(arguments, element.with_options(options))?;
    if new && !arguments.blank {
        band.issue()?;
    }
    insert(arguments, band)
}

fn new_band<'m, const WORK: usize, const ANSWER: usize>(
    arguments: &Arguments,
    element: Element<'m, Memory, Registry<'m>, SLOTS, SLOT, WORK, ANSWER>,
) -> std::io::Result<Band<'m, WORK, ANSWER>> {
    Ok(Band {
        element,
        random: SystemRandom::open()?,
        atr: arguments.atr,
        path: arguments.state.clone(),
        saved: 0,
    })
}

fn insert<const WORK: usize, const ANSWER: usize>(
    arguments: &Arguments,
    mut band: Band<'_, WORK, ANSWER>,
) -> Result<(), Box<dyn std::error::Error>> {
    band.save()?;
    if arguments.listen {
        let listener = TcpListener::bind(&arguments.address)?;
        eprintln!("waiting for a reader at {}", listener.local_addr()?);
        for stream in listener.incoming() {
            serve(stream?, &mut band)?;
        }
        Ok(())
    } else {
        let stream = TcpStream::connect(&arguments.address).map_err(|error| {
            format!("no vpcd at {}: {error} (is the virtual reader running?)", arguments.address)
        })?;
        eprintln!("card inserted at {}", arguments.address);
        serve(stream, &mut band)
    }
}

fn serve(mut stream: TcpStream, band: &mut impl vpcd::Card) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    let result = vpcd::serve(&mut stream, band);
    vpcd::Card::power_off(band);
    Ok(result?)
}

/// The element's memory: from the state file, or new, as the factory makes it.
fn memory(arguments: &Arguments) -> Result<(Memory, bool), Box<dyn std::error::Error>> {
    if let Some(path) = &arguments.state
        && let Some(image) = state::read(path)?
    {
        return Ok((Journal::mount(RamFlash::from_bytes(*image))?, false));
    }
    let mut memory: Memory = Journal::format(RamFlash::new())?;
    format(&mut memory, &factory(arguments.keys, arguments.initial_keys))?;
    Ok((memory, true))
}
