//! A real card at a real gate with real tears: whatever is torn, after recovery the money the gate believes in is the money
//! that left the card.
//!
//! Input: taps of three bytes: service and fare 1, the command that is torn 1, how 1.
#![no_main]

#[path = "../../crates/purse/tests/world/mod.rs"]
mod world;

use huiwan_purse::terminal::drive;
use huiwan_purse::terminal::metro::{self, Incomplete};
use huiwan_purse::terminal::purchase::Purchase;
use huiwan_purse::terminal::{AID_JTT_978_EP, Mac2, Outcome, Policy, Recovered, Recovery, Tap};
use libfuzzer_sys::fuzz_target;
use world::{DEVICE, ENTRY, FULL_PURSE, Notes, STAMP, Tear, TearHow};

fuzz_target!(|input: &[u8]| {
    let mut band = world::issued();
    band.tracing = false;
    let mut sam = world::sam(1);
    let policy = Policy::default();
    let mut left = FULL_PURSE.balance;
    for (n, tap) in input.as_chunks::<3>().0.iter().take(24).enumerate() {
        let [what, command, how] = *tap;
        let fare = u32::from(what >> 1);
        // No two taps in one second: the log tells payments apart by their second.
        let mut stamp = STAMP;
        stamp.time = [0x10, (n / 10 * 16 + n % 10) as u8, 0x00];
        let mut notes = Notes { fare, ..Notes::default() };
        band.tear = match how % 5 {
            0 => None,
            how => Some(Tear {
                command: usize::from(command % 10),
                how: [TearHow::Unheard, TearHow::BeforeCommit, TearHow::AfterCommit, TearHow::Unanswered]
                    [usize::from(how) - 1],
            }),
        };
        let entry = metro::Entry { incomplete: Incomplete::Charge(metro::Owed::Ask), ..ENTRY };
        let outcome = if what & 1 == 0 {
            let service = Purchase { amount: fare };
            drive::tap(&mut Tap::new(DEVICE, &policy, &service, stamp), &mut band, &mut sam, &mut notes)
        } else {
            drive::tap(&mut Tap::new(DEVICE, &policy, &entry, stamp), &mut band, &mut sam, &mut notes)
        };
        band.retap();
        match outcome.unwrap() {
            Outcome::Paid(receipt) => {
                assert_eq!(receipt.mac2, Mac2::Verified);
                left -= receipt.transaction.amount;
            }
            Outcome::Uncertain(pending) => {
                let mut recovery = Recovery::new(AID_JTT_978_EP, pending);
                match drive::recover(&mut recovery, &mut band, &mut sam).unwrap() {
                    Recovered::Paid(receipt) => left -= receipt.transaction.amount,
                    Recovered::NotPaid => {}
                    other => panic!("an honest card leaves no doubt: {other:?}"),
                }
                band.retap();
            }
            Outcome::Refused(_) | Outcome::Failed(_) => {}
            other => panic!("an honest card is not disputed: {other:?}"),
        }
        band.select();
        assert_eq!(band.ok("805C000204"), left.to_be_bytes(), "the card and the gate agree");
    }
});
