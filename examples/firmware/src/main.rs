//! The smallest image that links and calls every crate on a Cortex-M4, run in QEMU by `.ci/thumb`.
//!
//! It proves that the crates need neither `std` nor an allocator, that their code reaches no panic, and how much
//! flash and RAM they take. Every step checks its result; the first that fails ends the run with an error.
#![no_std]
#![no_main]

mod band;
mod foundation;

use core::panic::PanicInfo;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};

/// What went wrong, for the console.
type Failed = &'static str;

#[entry]
fn main() -> ! {
    for (name, step) in STEPS {
        if let Err(why) = step() {
            hprintln!("{}: FAILED: {}", name, why);
            exit(debug::EXIT_FAILURE);
        }
        hprintln!("{}: ok", name);
    }
    hprintln!("stack {}", stack_used() - band::FLASH);
    exit(debug::EXIT_SUCCESS)
}

const STEPS: &[(&str, fn() -> Result<(), Failed>)] = &[
    ("tlv", foundation::tlv),
    ("apdu", foundation::apdu),
    ("link", foundation::link),
    ("crypto", foundation::crypto),
    ("band", band::life),
];

fn exit(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {}
}

/// How deep the stack was, in bytes: cortex-m-rt paints it before `main`.
fn stack_used() -> usize {
    const PAINT: u32 = 0xCCCC_CCCC;
    unsafe extern "C" {
        static _stack_end: u32;
        static _stack_start: u32;
    }
    // Sound because the linker script puts both ends of the stack into RAM, word-aligned and in this order, and
    // reading memory that other frames own is what measuring the stack means.
    unsafe {
        let (low, high) = (&raw const _stack_end, &raw const _stack_start);
        let mut at = low;
        while at < high && at.read_volatile() == PAINT {
            at = at.add(1);
        }
        high as usize - at as usize
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(debug::EXIT_FAILURE)
}
