//! Power cut at every commit, and at every flash operation of a real journal in every mode: what a command does happened, or it did not,
//! and nothing is left over.
#![allow(dead_code, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_apdu::Command;
use huiwan_card::{Batch, Cut, InstanceId, Journal, Memory, ObjectId, RamFlash};
use huiwan_gp::scp03::{Level, StaticKeys};

use crate::support::*;

/// The card under test, over any memory.
pub trait Bench {
    fn power<M: Memory>(&self, memory: M, f: &mut dyn FnMut(&mut Card<'_, M>)) -> M;

    /// What can be seen of the card from outside.
    fn look(&self, card: &mut Card<'_, MapMemory>) -> String;

    /// Objects that may be either way: what listeners keep of notices, which a cut loses.
    fn is_of_no_account(&self, _instance: u8, _id: u16) -> bool {
        false
    }
}

/// One command under test.
pub struct Case<'c> {
    pub name: &'c str,
    /// The domain a session is opened on, and its keys; `None`: the command goes as it is to `select`.
    pub session: Option<&'c StaticKeys>,
    pub select: &'c [u8],
    /// Commands of the same session before.
    pub first: &'c [Vec<u8>],
    pub command: &'c [u8],
}

type Flash = RamFlash<32768, 1024, 8>;
type FlashMemory = Journal<Flash, 96>;

fn send<M: Memory>(card: &mut Card<'_, M>, case: &Case<'_>, ready: &mut dyn FnMut(&mut M)) -> u16 {
    assert_eq!(card.sw(&select(case.select)), 0x9000, "{}", case.name);
    let Some(keys) = case.session else {
        for command in case.first {
            assert_eq!(card.sw(command), 0x9000, "{}", case.name);
        }
        ready(card.element.memory_mut());
        return card.sw(case.command);
    };
    let mut session = open(card, 0, keys, Level::CMac);
    for command in case.first {
        assert_eq!(run(card, &mut session, command).1, 0x9000, "{}", case.name);
    }
    let mut wire = [0; 300];
    let sent = session.wrap(&Command::parse(case.command).unwrap(), &mut wire).unwrap().to_vec();
    ready(card.element.memory_mut());
    card.sw(&sent)
}

/// What is seen and stored after power-on; counters of sessions do not count.
fn snapshot<B: Bench>(bench: &B, memory: &MapMemory) -> (String, MapMemory) {
    let memory = MapMemory { cut: None, commits: 0, done_before_cut: false, ..memory.clone() };
    let mut seen = String::new();
    let mut memory = bench.power(memory, &mut |card| seen = bench.look(card));
    memory.objects.retain(|key, _| key.1 & 0xFF00 != 0x0300 && !bench.is_of_no_account(key.0, key.1));
    (memory.commits, memory.cut, memory.done_before_cut) = (0, None, false);
    (seen, memory)
}

fn is_one_of(
    case: &Case<'_>,
    at: &str,
    seen: &(String, MapMemory),
    ends: [&(String, MapMemory); 2],
    sw: u16,
) {
    let [before, after] = ends;
    assert!(
        seen == before || seen == after,
        "{}, {at}: {sw:04X}\n{}\n{}\n{}",
        case.name,
        seen.0,
        before.0,
        after.0
    );
    assert!(sw != 0x9000 || seen.0 == after.0, "{}, {at}: done is done", case.name);
}

/// Cuts the command everywhere.
pub fn everywhere<B: Bench>(bench: &B, prepared: &MapMemory, case: &Case<'_>) {
    at_every_commit(bench, prepared, case);
    at_every_flash_operation(bench, prepared, case);
}

pub fn at_every_commit<B: Bench>(bench: &B, prepared: &MapMemory, case: &Case<'_>) {
    let attempt = |cut: Option<usize>, done: bool| {
        let memory = MapMemory { cut: None, commits: 0, done_before_cut: done, ..prepared.clone() };
        let (mut sw, mut commits) = (0, 0);
        let memory = bench.power(memory, &mut |card| {
            sw = send(card, case, &mut |memory| (memory.commits, memory.cut) = (0, cut));
            commits = card.element.memory().commits;
        });
        (memory, sw, commits)
    };
    let (after, sw, commits) = attempt(None, false);
    assert_eq!(sw, 0x9000, "{}", case.name);
    assert!(commits > 0, "{}", case.name);
    let (before, after) = (snapshot(bench, prepared), snapshot(bench, &after));
    assert_ne!(before.0, after.0, "{}", case.name);
    for cut in 0..commits {
        for done in [false, true] {
            let (memory, sw, _) = attempt(Some(cut), done);
            let at = format!("commit {cut}, done {done}");
            is_one_of(case, &at, &snapshot(bench, &memory), [&before, &after], sw);
        }
    }
}

fn into_flash(memory: &MapMemory) -> Flash {
    let mut journal = FlashMemory::format(Flash::erased()).unwrap();
    for (&(instance, id), value) in &memory.objects {
        let mut buffer = [0; 700];
        let mut batch = Batch::new(&mut buffer);
        batch.put(ObjectId::new(InstanceId(instance), id), value);
        journal.commit(&batch).unwrap();
    }
    journal.collect().unwrap();
    journal.into_flash()
}

fn from_flash(journal: &mut FlashMemory) -> MapMemory {
    let (mut map, mut at) = (MapMemory::default(), None);
    while let Some(object) = journal.next_object(at).unwrap() {
        let mut buffer = [0; 700];
        let value = journal.read(object, 0, &mut buffer).unwrap().to_vec();
        map.objects.insert((object.instance.0, object.id), value);
        at = Some(object);
    }
    map
}

pub fn at_every_flash_operation<B: Bench>(bench: &B, prepared: &MapMemory, case: &Case<'_>) {
    let prepared = into_flash(prepared);
    let attempt = |cut: Option<(u32, Cut)>| {
        let (mut sw, mut before, mut operations) = (0, 0, 0);
        let memory = bench.power(FlashMemory::mount(prepared.clone()).unwrap(), &mut |card| {
            sw = send(card, case, &mut |memory| {
                before = memory.flash().operations();
                if let Some((after, mode)) = cut {
                    memory.flash_mut().cut_after(after, mode, after ^ 0x5A5A);
                }
            });
            operations = card.element.memory().flash().operations() - before;
        });
        let mut flash = memory.into_flash();
        flash.power_on();
        let mounted = FlashMemory::mount(flash);
        let mut memory = mounted.unwrap_or_else(|error| panic!("{}, {cut:?}: {error}", case.name));
        (from_flash(&mut memory), sw, operations)
    };
    let before = snapshot(bench, &from_flash(&mut FlashMemory::mount(prepared.clone()).unwrap()));
    let (after, sw, operations) = attempt(None);
    assert_eq!(sw, 0x9000, "{}", case.name);
    assert!(operations > 0, "{}", case.name);
    let after = snapshot(bench, &after);
    assert_ne!(before.0, after.0, "{}", case.name);
    for at in 0..operations {
        for mode in Cut::ALL {
            let (memory, sw, _) = attempt(Some((at, mode)));
            is_one_of(case, &format!("{mode:?} at {at}"), &snapshot(bench, &memory), [&before, &after], sw);
        }
    }
}
