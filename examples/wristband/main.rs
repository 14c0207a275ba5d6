//! The life of a payment wristband, from a blank secure element to a lost band and its successor: every byte by
//! Huiwan's own card, terminal and host code, through public APIs alone.

mod arguments;
mod bank;
mod ble;
mod narrator;
mod transit;
mod world;

fn main() {
    let arguments = match arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err((text, status)) => {
            if status == 0 {
                print!("{text}");
            } else {
                eprintln!("{text}");
            }
            std::process::exit(status);
        }
    };
    let _ = arguments;
}
