//! The vpcd protocol: what a virtual reader driver and a virtual card say to each other over TCP.
//!
//! A message is its length (2 bytes, big endian) and that many bytes. One byte from the reader is a control code; anything longer is
//! a command APDU, answered with data ‖ SW. Only an APDU and the request for the ATR are answered.

use std::io::{self, Read, Write};

/// What the reader does to a card.
pub trait Card {
    /// Power goes away.
    fn power_off(&mut self);
    /// Power comes.
    fn power_on(&mut self);
    /// A warm reset.
    fn reset(&mut self);
    /// The answer to reset; asked for at any time, also without power, so it changes nothing.
    fn atr(&self) -> Vec<u8>;
    /// A command APDU.
    fn transmit(&mut self, command: &[u8]) -> Vec<u8>;
}

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const ATR: u8 = 4;

/// Serves one connection until the reader closes it.
///
/// # Errors
/// What the connection reports, and `InvalidData` for an answer longer than a message can be.
pub fn serve(stream: &mut (impl Read + Write), card: &mut dyn Card) -> io::Result<()> {
    while let Some(message) = receive(stream)? {
        match *message {
            [] => {}
            [POWER_OFF] => card.power_off(),
            [POWER_ON] => card.power_on(),
            [RESET] => card.reset(),
            [ATR] => send(stream, &card.atr())?,
            // Other control codes are for other drivers.
            [_] => {}
            ref command => send(stream, &card.transmit(command))?,
        }
    }
    Ok(())
}

/// One message; `None` if the connection ends between two.
fn receive(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    let first = loop {
        match stream.read(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[first..])?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(Some(message))
}

fn send(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // One write: the other side polls, and half a message would cost it a turn.
    stream.write_all(&[&length.to_be_bytes(), message].concat())?;
    stream.flush()
}
