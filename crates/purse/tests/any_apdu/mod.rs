//! Any commands to an issued purse of any scheme, with power cut at any commit: nothing changes but the lock, the PIN and
//! its tries. Who holds no key moves no money.
//!
//! Input: scheme 1, then steps: `FF` leaves the field and comes back, `FE` / `FD` cut the next commit before / after it, any
//! other byte is the length (at most 64) of an APDU that follows.

use std::collections::BTreeMap;

use huiwan_card::ObjectId;
use huiwan_purse::profile::Profile;

use crate::world::{Cut, PURSE, RamBand, bank};

/// Lock, PIN and its tries.
const MAY_CHANGE: [u16; 3] = [0x0007, 0x000A, 0x000B];

fn durable(band: &mut RamBand) -> BTreeMap<ObjectId, Vec<u8>> {
    let objects = band.memory().objects.clone();
    objects.into_iter().filter(|(id, _)| id.instance != PURSE || !MAY_CHANGE.contains(&id.id)).collect()
}

/// Runs one input.
pub fn run(input: &[u8]) {
    let Some((scheme, mut rest)) = input.split_first() else { return };
    let profile = Profile::ALL[usize::from(*scheme) % Profile::ALL.len()];
    let mut band = bank::issued(profile);
    band.tracing = false;
    let before = durable(&mut band);
    while let Some((step, after)) = rest.split_first() {
        rest = after;
        match step {
            0xFF => {
                band.retap();
                band.send(b"\x00\xA4\x04\x00\x08\xA0\x00\x00\x06\x32\x01\x01\x05\x00");
            }
            0xFE => band.memory().cut = Some(Cut::Before),
            0xFD => band.memory().cut = Some(Cut::After),
            len => {
                let len = usize::from(*len).min(64).min(rest.len());
                let (command, after) = rest.split_at(len);
                rest = after;
                // The issuer's stand-in of these tests asks for no key.
                if !is_for_the_issuer(command) {
                    assert!(band.send(command).len() >= 2, "an answer has a status word");
                }
            }
        }
    }
    band.retap();
    assert_eq!(durable(&mut band), before, "somebody without keys changed the card");
}

fn is_for_the_issuer(command: &[u8]) -> bool {
    let ins = command.get(1);
    ins == Some(&0xE6) || ins == Some(&0xE2)
}
