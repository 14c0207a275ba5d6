//! Response MAC: a retail MAC over the plain command and its response, chained by its ICV. [GPC E.4.5]
//!
//! Under the MAC: class byte as if plain and on channel 0 ‖ INS ‖ P1 ‖ P2 ‖ Lc (00 without data) ‖ data ‖ Li ‖ response data ‖ SW, where Li is
//! the response length modulo 256. The response to BEGIN R-MAC SESSION is part of the chain, that to END R-MAC SESSION is not. Errors
//! come bare and are chained with Li = 00. Which bytes these are each side says for itself; here is the MAC that runs across them.

use huiwan_apdu::Sw;
use huiwan_crypto::Tdes;
use huiwan_crypto::mac::{self, Padding};

use super::MAC_LEN;

/// BEGIN R-MAC SESSION. [GPC E.5.3]
pub const BEGIN: u8 = 0x7A;
/// END R-MAC SESSION. [GPC E.5.4]
pub const END: u8 = 0x78;
/// P1 of BEGIN R-MAC SESSION: only END returns a MAC.
pub const AT_END: u8 = 0x00;
/// P1 of BEGIN R-MAC SESSION: every response carries a MAC.
pub const EVERY: u8 = 0x10;
/// P2 of BEGIN R-MAC SESSION.
pub const BEGIN_P2: u8 = 0x01;
/// P2 of END R-MAC SESSION: return the MAC and end.
pub const END_P2: u8 = 0x03;
/// P2 of END R-MAC SESSION: return the MAC and go on.
pub const CONTINUE_P2: u8 = 0x01;

/// Whether a response with this status carries a MAC: 9000 and the warnings 62xx and 63xx do, errors come bare.
#[must_use]
pub fn is_carried(sw: Sw) -> bool {
    sw.value() == 0x9000 || matches!(sw.sw1(), 0x62 | 0x63)
}

/// An R-MAC under way between a command and its response, small enough for a card's volatile slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    state: [u8; 8],
    held: [u8; 8],
    len: u8,
}

/// Bytes of [`Running`] in a slot.
pub const RUNNING_LEN: usize = 17;

impl Running {
    /// A MAC from this ICV: the R-MAC before.
    #[must_use]
    pub const fn new(icv: [u8; 8]) -> Self {
        Self { state: icv, held: [0; 8], len: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, key: &Tdes, bytes: &[u8]) {
        for &byte in bytes {
            let place = usize::from(self.len);
            if let Some(to) = self.held.get_mut(place) {
                *to = byte;
            }
            self.len = self.len.saturating_add(1);
            if usize::from(self.len) >= self.held.len() {
                self.state = mac::alg1_des(key.first(), &self.state, &[&self.held], Padding::None);
                self.len = 0;
            }
        }
    }

    /// The MAC.
    #[must_use]
    pub fn finish(&self, key: &Tdes) -> [u8; MAC_LEN] {
        let held = self.held.get(..usize::from(self.len)).unwrap_or(&self.held);
        mac::alg3(key, &self.state, &[held], Padding::Method2)
    }

    /// The MAC so far as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; RUNNING_LEN] {
        let mut out = [0; RUNNING_LEN];
        let parts = self.state.into_iter().chain(self.held).chain([self.len]);
        out.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        out
    }

    /// The MAC so far from its bytes; `None` if they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RUNNING_LEN]) -> Option<Self> {
        let (state, rest) = bytes.split_first_chunk()?;
        let (held, rest) = rest.split_first_chunk()?;
        let &[len @ 0..=7] = rest else { return None };
        Some(Self { state: *state, held: *held, len })
    }
}
