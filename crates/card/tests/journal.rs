//! The journal against a model: commits, cuts at every flash operation in every mode, collections, hostile images.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;

use huiwan_card::journal::{self, JournalError};
use huiwan_card::{Batch, Cut, InstanceId, Journal, Memory, MemoryError, ObjectId, RamFlash};
use proptest::prelude::*;

type Flash = RamFlash<8192, 512, 8>;
type Small = Journal<Flash, 24>;
type Model = BTreeMap<ObjectId, Vec<u8>>;

fn object(id: u16) -> ObjectId {
    ObjectId::new(InstanceId(1 + (id % 3) as u8), id)
}

#[derive(Clone, Debug)]
enum Op {
    Put(u16, Vec<u8>),
    Delete(u16),
    DeleteInstance(u8),
}

fn batch<'b>(ops: &[Op], buffer: &'b mut [u8]) -> Batch<'b> {
    let mut batch = Batch::new(buffer);
    for op in ops {
        match op {
            Op::Put(id, data) => batch.put(object(*id), data),
            Op::Delete(id) => batch.delete(object(*id)),
            Op::DeleteInstance(instance) => batch.delete_instance(InstanceId(*instance)),
        }
    }
    batch
}

fn apply(model: &mut Model, ops: &[Op]) {
    for op in ops {
        match op {
            Op::Put(id, data) => {
                model.insert(object(*id), data.clone());
            }
            Op::Delete(id) => {
                model.remove(&object(*id));
            }
            Op::DeleteInstance(instance) => model.retain(|of, _| of.instance != InstanceId(*instance)),
        }
    }
}

fn content<M: Memory>(memory: &mut M) -> Model {
    let mut model = Model::new();
    let mut after = None;
    while let Some(object) = memory.next_object(after).unwrap() {
        let mut out = [0; 600];
        let data = memory.read(object, 0, &mut out).unwrap();
        assert_eq!(memory.len(object).unwrap(), Some(data.len()));
        model.insert(object, data.to_vec());
        after = Some(object);
    }
    model
}

fn remount(journal: Small) -> Small {
    let mut flash = journal.into_flash();
    flash.power_on();
    Small::mount(flash).unwrap()
}

#[test]
fn reads_back_what_was_committed() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut buffer = [0; 400];
    journal
        .commit(&batch(
            &[Op::Put(1, vec![1, 2, 3]), Op::Put(2, vec![]), Op::Put(5, vec![9; 150])],
            &mut buffer,
        ))
        .unwrap();
    let mut out = [0; 8];
    assert_eq!(journal.read(object(1), 1, &mut out).unwrap(), [2, 3]);
    assert_eq!(journal.read(object(1), 3, &mut out).unwrap(), []);
    assert_eq!(journal.read(object(1), 9, &mut out).unwrap(), []);
    assert_eq!(journal.read(object(2), 0, &mut out).unwrap(), []);
    assert_eq!(journal.len(object(2)).unwrap(), Some(0));
    assert_eq!(journal.read(object(3), 0, &mut out), Err(MemoryError::NotFound));
    assert_eq!(journal.read(object(5), 146, &mut out).unwrap(), [9; 4]);
    let before = content(&mut journal);
    let mut journal = remount(journal);
    assert_eq!(content(&mut journal), before);
    journal.commit(&batch(&[Op::Delete(1), Op::DeleteInstance(3)], &mut buffer)).unwrap();
    let mut journal = remount(journal);
    assert_eq!(content(&mut journal).len(), 0, "instances 2 (object 1) and 3 (objects 2, 5) are gone");
}

#[test]
fn refuses_what_does_not_fit_and_changes_nothing() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    assert_eq!(Small::LARGEST_COMMIT, 512 - 68);
    let mut buffer = [0; 600];
    let largest = vec![7; Small::LARGEST_COMMIT - huiwan_card::WRITE_OVERHEAD];
    // The largest commit goes in, but an object that large leaves no capacity to move it about with others.
    assert_eq!(journal.commit(&batch(&[Op::Put(1, largest.clone())], &mut buffer)), Err(MemoryError::Full));
    let parts: Vec<Op> = (0..4).map(|n| Op::Put(n, vec![7; 105])).collect();
    assert_eq!(batch(&parts, &mut buffer).len(), Small::LARGEST_COMMIT);
    journal.commit(&batch(&parts, &mut buffer)).unwrap();
    let mut over = parts.clone();
    over[0] = Op::Put(0, vec![7; 106]);
    assert_eq!(journal.commit(&batch(&over, &mut buffer)), Err(MemoryError::TooLarge));
    let mut tiny = [0; 20];
    assert_eq!(journal.commit(&batch(&parts, &mut tiny)), Err(MemoryError::TooLarge), "the batch overflowed");
    let many: Vec<Op> = (0..25).map(|n| Op::Put(n, vec![1])).collect();
    assert_eq!(
        journal.commit(&batch(&many, &mut buffer)),
        Err(MemoryError::Full),
        "25 objects in an index of 24"
    );
    assert_eq!(content(&mut journal).len(), 4);
}

#[test]
fn commits_stop_at_the_end_of_the_reserve_and_go_on_after_collection() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut buffer = [0; 200];
    let mut n = 0_u8;
    let full = loop {
        let erases = journal.flash().erases();
        match journal.commit(&batch(&[Op::Put(1, vec![n; 100])], &mut buffer)) {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
        assert_eq!(journal.flash().erases(), erases, "a commit never erases");
    };
    assert_eq!(full, MemoryError::Full);
    assert!(journal.needs_collection());
    assert!(n > 40);
    let mut journal = remount(journal);
    assert!(journal.needs_collection());
    assert_eq!(journal.read(object(1), 0, &mut [0; 200]).unwrap(), vec![n - 1; 100]);
    journal.collect().unwrap();
    assert!(!journal.needs_collection());
    for _ in 0..6 {
        journal.commit(&batch(&[Op::Put(1, vec![n; 100])], &mut buffer)).unwrap();
    }
}

#[test]
fn pages_wear_evenly() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut buffer = [0; 200];
    // Something that never changes, and a counter that always does.
    journal.commit(&batch(&[Op::Put(3, vec![3; 120])], &mut buffer)).unwrap();
    for n in 0..3000_u32 {
        journal.commit(&batch(&[Op::Put(1, n.to_be_bytes().to_vec())], &mut buffer)).unwrap();
        if journal.needs_collection() {
            journal.collect().unwrap();
        }
    }
    let erases = journal.flash().erases() - 16;
    let mean = erases / 16;
    assert!(mean > 5, "{erases}");
    assert!(journal.wear() <= mean + 3, "worst {} mean {mean}", journal.wear());
    assert_eq!(journal.read(object(3), 0, &mut [0; 200]).unwrap(), [3; 120]);
}

#[test]
fn refuses_other_versions_sizes_and_blank_flash() {
    assert_eq!(Small::mount(Flash::erased()).err(), Some(JournalError::NotFormatted));
    let flash = Small::format(Flash::erased()).unwrap().into_flash();
    let wider = RamFlash::<8192, 1024, 8>::from_bytes(*flash.bytes());
    assert_eq!(Journal::<_, 24>::mount(wider).err(), Some(JournalError::Geometry));
    assert_eq!(
        Journal::<_, 24>::format(RamFlash::<2048, 512, 8>::erased()).err(),
        Some(JournalError::Geometry)
    );
    assert_eq!(
        Journal::<_, 24>::format(RamFlash::<8192, 512, 16>::erased()).err(),
        Some(JournalError::Geometry)
    );
    // Version 2 with a right CRC, as a later release would write it.
    let mut flash = flash;
    let header = [b'H', b'W', b'J', 2, 0, 0, 0, 1, 0, 16, 0, 32];
    flash.bytes_mut()[..12].copy_from_slice(&header);
    flash.bytes_mut()[12..16].copy_from_slice(&crc32(&header).to_be_bytes());
    assert_eq!(Small::mount(flash).err(), Some(JournalError::UnknownVersion(2)));
}

/// A second, bitwise CRC-32 (source: self, weak).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn layout_is_as_documented() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut buffer = [0; 64];
    journal.commit(&batch(&[Op::Put(1, vec![0xAA, 0xBB])], &mut buffer)).unwrap();
    let bytes = *journal.flash().bytes();
    let erased = [b'H', b'W', b'J', journal::VERSION, 0, 0, 0, 1, 0, 16, 0, 32];
    let opened = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let write = [1, 2, 0, 1, 0, 2, 0xAA, 0xBB];
    let mut expected = Vec::new();
    expected.extend_from_slice(&erased);
    expected.extend_from_slice(&crc32(&erased).to_be_bytes());
    expected.extend_from_slice(&opened);
    expected.extend_from_slice(&crc32(&opened).to_be_bytes());
    expected.extend_from_slice(&[0, 8, 0, 0]);
    expected.extend_from_slice(&crc32(&[0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 32]).to_be_bytes());
    expected.extend_from_slice(&write);
    let covered = [&[0, 0, 0, 1, 0, 0, 0, 40][..], &write].concat();
    expected.extend_from_slice(&crc32(&covered).to_be_bytes());
    expected.extend_from_slice(&[0; 4]);
    assert_eq!(bytes[..expected.len()], expected);
    assert!(bytes[expected.len()..512].iter().all(|&byte| byte == 0xFF));
}

#[test]
fn application_data_are_never_taken_for_a_frame() {
    // A commit whose data look like a whole frame at the very place where they come to lie, torn so that the frame around fails.
    let journal = Small::format(Flash::erased()).unwrap();
    let image = *journal.flash().bytes();
    for inner_at in (8..80).step_by(8) {
        let at = 32 + 8 + 6 + 2 + inner_at as u32; // header, frame header, write header, two bytes to be aligned
        let head = [0, 8, 0, 0];
        let mut forged = head.to_vec();
        forged.extend_from_slice(
            &crc32(&[&head[..], &1_u32.to_be_bytes(), &at.to_be_bytes()].concat()).to_be_bytes(),
        );
        let write = [1, 2, 0, 1, 0, 2, 0xEE, 0xEE];
        forged.extend_from_slice(&write);
        forged.extend_from_slice(
            &crc32(&[&1_u32.to_be_bytes()[..], &(at + 8).to_be_bytes(), &write].concat()).to_be_bytes(),
        );
        let mut data = vec![0; 2 + inner_at];
        data.extend_from_slice(&forged);
        data.extend_from_slice(&[0; 40]);
        for cut in Cut::ALL {
            for after in 0..4 {
                for seed in 0..8 {
                    let mut journal = Small::mount(Flash::from_bytes(image)).unwrap();
                    journal.flash_mut().cut_after(after, cut, seed);
                    let mut buffer = [0; 300];
                    let _ = journal.commit(&batch(&[Op::Put(1, data.clone())], &mut buffer));
                    let mut journal = remount(journal);
                    if let Ok(read) = journal.read(object(1), 0, &mut [0; 300]) {
                        assert_eq!(read, data);
                    }
                }
            }
        }
    }
}

/// A history of commits and collections, cut once at each operation in each mode, and again during recovery.
#[test]
fn before_or_after_at_every_operation() {
    let history: Vec<Vec<Op>> = (0..100_u16)
        .map(|n| match n % 7 {
            3 => vec![Op::Delete(n % 5), Op::Put(n % 6, vec![n as u8; 70])],
            5 => vec![Op::DeleteInstance(1 + (n % 3) as u8), Op::Put(9, vec![n as u8; 33])],
            _ => vec![
                Op::Put(n % 5, vec![n as u8; 40 + n as usize % 60]),
                Op::Put(7, n.to_be_bytes().to_vec()),
            ],
        })
        .collect();
    // One image and model before each step; a step is a commit, with the collection that it makes due.
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut model = Model::new();
    let mut cuts = 0;
    for ops in &history {
        let image = *journal.flash().bytes();
        let mut after = model.clone();
        apply(&mut after, ops);
        for cut in Cut::ALL {
            for n in 0.. {
                let mut torn = Small::mount(Flash::from_bytes(image)).unwrap();
                torn.flash_mut().cut_after(n, cut, n * 31 + 7);
                let result = step(&mut torn, ops);
                let dead = torn.flash().is_dead();
                let torn = remount(torn);
                recover(torn, &model, &after, n, cut);
                cuts += 1;
                if !dead {
                    assert_eq!(result, Ok(()));
                    break;
                }
            }
        }
        step(&mut journal, ops).unwrap();
        model = after;
        assert_eq!(content(&mut journal), model);
    }
    assert!(cuts > 1500, "{cuts}");
}

fn step(journal: &mut Small, ops: &[Op]) -> Result<(), MemoryError> {
    let mut buffer = [0; 400];
    journal.commit(&batch(ops, &mut buffer))?;
    if journal.needs_collection() { journal.collect() } else { Ok(()) }
}

/// The content is the one before or the one after; collections, cut again and again, keep it; then commits go on.
fn recover(mut journal: Small, before: &Model, after: &Model, n: u32, cut: Cut) {
    let found = content(&mut journal);
    assert!(found == *before || found == *after, "cut {n} {cut:?}");
    for again in 0..3 {
        journal.flash_mut().cut_after((n + again) % 5, Cut::ALL[(n + again) as usize % 4], n + again);
        let _ = journal.collect();
        journal = remount(journal);
        assert_eq!(content(&mut journal), found, "cut {n} {cut:?}, again {again}");
    }
    journal.collect().unwrap();
    assert!(!journal.needs_collection());
    assert_eq!(content(&mut journal), found);
    let mut buffer = [0; 64];
    journal.commit(&batch(&[Op::Put(11, vec![1; 10])], &mut buffer)).unwrap();
    let mut journal = remount(journal);
    assert_eq!(journal.len(object(11)).unwrap(), Some(10));
}

#[test]
fn formatting_that_is_cut_never_shows_part_of_the_old_journal() {
    let mut old = Small::format(Flash::erased()).unwrap();
    for n in 0..40 {
        step(&mut old, &[Op::Put(n % 4, vec![n as u8; 90])]).unwrap();
    }
    let before = content(&mut old);
    let image = *old.flash().bytes();
    for cut in Cut::ALL {
        for n in 0.. {
            let mut flash = Flash::from_bytes(image);
            flash.cut_after(n, cut, n);
            let done = Journal::<_, 24>::format(&mut flash).is_ok();
            flash.power_on();
            match Small::mount(flash) {
                Ok(mut journal) => {
                    let found = content(&mut journal);
                    assert!(found.is_empty() || found == before, "cut {n} {cut:?}");
                }
                Err(error) => assert!(matches!(error, JournalError::NotFormatted | JournalError::Damaged)),
            }
            if done {
                break;
            }
        }
    }
}

#[test]
fn damage_behind_the_last_frame_is_noticed() {
    let mut journal = Small::format(Flash::erased()).unwrap();
    for n in 0..30_u16 {
        step(&mut journal, &[Op::Put(n % 4, vec![n as u8; 60])]).unwrap();
    }
    let expected = content(&mut journal);
    let image = *journal.flash().bytes();
    let mut noticed = 0;
    for at in 0..image.len() {
        let mut flash = Flash::from_bytes(image);
        flash.bytes_mut()[at] ^= 0x10;
        match Small::mount(flash) {
            Err(_) => noticed += 1,
            Ok(mut journal) => {
                // Erased space, padding, the last frame, or the header of the last page: everything else is told.
                let found = content(&mut journal);
                let lost = expected.iter().filter(|(object, data)| found.get(object) != Some(data)).count();
                assert!(lost <= 4, "byte {at}");
            }
        }
    }
    assert!(noticed > 600, "{noticed}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any history with cuts anywhere equals the model, where a cut commit counts as done or not.
    #[test]
    fn any_history_equals_the_model(steps in prop::collection::vec(
        (prop::collection::vec(op(), 1..4), 0_u32..40, 0_usize..4, any::<u32>()), 1..60)) {
        let mut journal = Small::format(Flash::erased()).unwrap();
        let mut model = Model::new();
        for (ops, after, cut, seed) in steps {
            let mut done = model.clone();
            apply(&mut done, &ops);
            journal.flash_mut().cut_after(after, Cut::ALL[cut], seed);
            let result = step(&mut journal, &ops);
            let dead = journal.flash().is_dead();
            journal = remount(journal);
            let found = content(&mut journal);
            match result {
                Ok(()) => prop_assert_eq!(&found, &done),
                Err(MemoryError::Full | MemoryError::TooLarge) if !dead => prop_assert_eq!(&found, &model),
                Err(_) => prop_assert!(found == done || found == model),
            }
            model = found;
        }
    }

    /// Whatever is in flash: an error or a journal that can be read, written and collected.
    #[test]
    fn hostile_images_are_survived(mutations in prop::collection::vec((0_usize..8192, any::<u8>()), 1..40),
                                   noise in prop::collection::vec(any::<u8>(), 0..64), at in 0_usize..8128) {
        let mut journal = Small::format(Flash::erased()).unwrap();
        for n in 0..30_u16 {
            step(&mut journal, &[Op::Put(n % 4, vec![n as u8; 60])]).unwrap();
        }
        let mut flash = journal.into_flash();
        for (at, byte) in mutations {
            flash.bytes_mut()[at] = byte;
        }
        flash.bytes_mut()[at..at + noise.len()].copy_from_slice(&noise);
        if let Ok(mut journal) = Small::mount(flash) {
            let _ = step(&mut journal, &[Op::Put(1, vec![1; 60])]);
            let _ = journal.collect();
            let _ = journal.next_object(None);
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0_u16..12, prop::collection::vec(any::<u8>(), 0..90)).prop_map(|(id, data)| Op::Put(id, data)),
        1 => (0_u16..12).prop_map(Op::Delete),
        1 => (1_u8..4).prop_map(Op::DeleteInstance),
    ]
}

/// Fills the journal to its capacity and wears it in.
fn full_journal() -> (Small, Model) {
    let mut journal = Small::format(Flash::erased()).unwrap();
    let mut model = Model::new();
    for n in 0..200_u16 {
        let ops = [Op::Put(n % 22, vec![n as u8; 40 + usize::from(n * 7 % 50)])];
        match step(&mut journal, &ops) {
            Ok(()) => apply(&mut model, &ops),
            Err(error) => assert_eq!(error, MemoryError::Full),
        }
    }
    assert!(journal.used() * 4 > journal.capacity(89) * 3, "{} of {}", journal.used(), journal.capacity(89));
    assert_eq!(content(&mut journal), model);
    (journal, model)
}

#[test]
fn a_full_journal_goes_on() {
    let (mut journal, mut model) = full_journal();
    // Every object is rewritten many times over at its length, with the collections that this makes due.
    for n in 0..1000_u16 {
        let (&object, data) = model.iter().nth(usize::from(n) % model.len()).unwrap();
        let ops = [Op::Put(object.id, vec![n as u8; data.len()])];
        step(&mut journal, &ops).unwrap();
        apply(&mut model, &ops);
    }
    let mut journal = remount(journal);
    assert_eq!(content(&mut journal), model);
}

#[test]
fn collections_that_are_cut_at_the_same_place_again_and_again_succeed_in_the_end() {
    let (mut journal, model) = full_journal();
    let mut buffer = [0; 100];
    let (&object, data) = model.iter().next().unwrap();
    while journal.commit(&batch(&[Op::Put(object.id, data.clone())], &mut buffer)).is_ok() {}
    assert!(journal.needs_collection());
    let image = *journal.flash().bytes();
    for cut in Cut::ALL {
        for n in 0..48 {
            let mut journal = Small::mount(Flash::from_bytes(image)).unwrap();
            for again in 0..6 {
                journal.flash_mut().cut_after(n, cut, 1000 * n + again);
                let _ = journal.collect();
                journal = remount(journal);
                assert_eq!(content(&mut journal), model, "cut {n} {cut:?} {again}");
            }
            assert_eq!(journal.collect(), Ok(()), "cut {n} {cut:?}");
            assert_eq!(content(&mut journal), model);
        }
    }
}
