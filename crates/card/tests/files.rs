//! Files, their access rules and commands, the record cache, and the PIN, status word by status word.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod toy;

use huiwan_apdu::Sw;
use huiwan_card::files::{Access, BinaryTarget, File, Grant, RecordCache, RecordTarget, Structure, Which};
use huiwan_card::{Batch, InstanceId, Journal, Memory, ObjectId, RamFlash, Write};
use proptest::prelude::*;
use toy::{TOY, issued, with_toy};

const OTHER: InstanceId = InstanceId(2);
const THIRD: InstanceId = InstanceId(3);

const FILE: File<'static> = File {
    fid: 0x0012,
    sfi: 0x12,
    structure: Structure::Linear { len: 3, records: 4 },
    base: 0x40,
    read: Access::FREE,
    update: Access::all_of(0b11),
    grants: &[Grant { to: OTHER, read: Access::all_of(0b1), update: Access::NEVER }],
};

fn memory() -> Journal<RamFlash<65536>, 64> {
    Journal::format(RamFlash::new()).unwrap()
}

/// Runs `work` on a batch and commits it.
fn write(
    memory: &mut dyn Memory,
    work: impl FnOnce(&mut dyn Memory, &mut Batch<'_>) -> Result<(), Sw>,
) -> Result<(), Sw> {
    let mut buffer = [0; 1024];
    let mut batch = Batch::new(&mut buffer);
    work(memory, &mut batch)?;
    Ok(memory.commit(&batch)?)
}

#[test]
fn access_rules_are_values() {
    assert_eq!(Access::FREE.check(0), Ok(()));
    assert_eq!(Access::NEVER.check(0xFF), Err(Sw::SECURITY_STATUS));
    assert_eq!(Access::all_of(0b101).check(0b100), Err(Sw::SECURITY_STATUS));
    assert_eq!(Access::all_of(0b101).check(0b111), Ok(()));
    assert_eq!(FILE.check_read(TOY, TOY, 0), Ok(()));
    assert_eq!(FILE.check_update(TOY, TOY, 0b10), Err(Sw::SECURITY_STATUS));
    assert_eq!(FILE.check_update(TOY, TOY, 0b11), Ok(()));
    assert_eq!(FILE.check_read(TOY, OTHER, 0), Err(Sw::SECURITY_STATUS));
    assert_eq!(FILE.check_read(TOY, OTHER, 1), Ok(()));
    assert_eq!(FILE.check_update(TOY, OTHER, 0xFF), Err(Sw::SECURITY_STATUS));
    assert_eq!(FILE.check_read(TOY, THIRD, 0xFF), Err(Sw::SECURITY_STATUS), "no grant");
}

#[test]
fn linear_records() {
    let mut memory = memory();
    let mut out = [0; 8];
    assert_eq!(FILE.read_record(&mut memory, TOY, 1, &mut out), Err(Sw::RECORD_NOT_FOUND));
    for n in 1..=4 {
        write(&mut memory, |memory, batch| FILE.append_record(memory, batch, TOY, &[n; 3]).map(drop))
            .unwrap();
    }
    let full = write(&mut memory, |memory, batch| FILE.append_record(memory, batch, TOY, &[5; 3]).map(drop));
    assert_eq!(full, Err(Sw::NOT_ENOUGH_MEMORY));
    assert_eq!(FILE.read_record(&mut memory, TOY, 3, &mut out), Ok(&[3; 3][..]));
    for number in [0, 5, 255] {
        assert_eq!(FILE.read_record(&mut memory, TOY, number, &mut out), Err(Sw::RECORD_NOT_FOUND));
        let update =
            write(&mut memory, |memory, batch| FILE.update_record(memory, batch, TOY, number, &[5; 3]));
        assert_eq!(update, Err(Sw::RECORD_NOT_FOUND));
    }
    let update = |data: &[u8]| {
        write(&mut self::memory(), |memory, batch| FILE.update_record(memory, batch, TOY, 1, data))
    };
    assert_eq!(update(&[1; 2]), Err(Sw::WRONG_LENGTH));
    assert_eq!(update(&[1; 4]), Err(Sw::WRONG_LENGTH));
    assert_eq!(update(&[1; 3]), Ok(()), "the number after the last makes a record");
    let gap = write(&mut self::memory(), |memory, batch| FILE.update_record(memory, batch, TOY, 2, &[1; 3]));
    assert_eq!(gap, Err(Sw::RECORD_NOT_FOUND));
    assert_eq!(FILE.read_binary(&mut memory, TOY, 0, &mut out), Err(Sw::COMMAND_INCOMPATIBLE));
}

#[test]
fn several_updates_of_one_batch_see_each_other() {
    let cyclic = File { structure: Structure::Cyclic { len: 1, records: 3 }, ..FILE };
    let transparent = File { structure: Structure::Transparent { size: 6 }, base: 0x60, ..FILE };
    let mut memory = memory();
    write(&mut memory, |memory, batch| {
        for n in 1..=5 {
            cyclic.append_record(memory, batch, TOY, &[n])?;
        }
        cyclic.update_record(memory, batch, TOY, 2, &[0x44])?;
        transparent.update_binary(memory, batch, TOY, 1, &[1, 2], &mut [0xEE; 10])?;
        transparent.update_binary(memory, batch, TOY, 2, &[9, 9], &mut [0xEE; 10])
    })
    .unwrap();
    let mut out = [0; 8];
    let mut record = |n| cyclic.read_record(&mut memory, TOY, n, &mut out).map(|record| record[0]);
    assert_eq!([record(1), record(2), record(3)], [Ok(5), Ok(0x44), Ok(3)]);
    assert_eq!(record(4), Err(Sw::RECORD_NOT_FOUND));
    assert_eq!(transparent.read_binary(&mut memory, TOY, 0, &mut out).unwrap(), [0, 1, 9, 9, 0, 0]);
}

#[test]
fn transparent_files_have_ends() {
    let file = File { structure: Structure::Transparent { size: 6 }, ..FILE };
    let mut memory = memory();
    let mut out = [7; 8];
    assert_eq!(file.read_binary(&mut memory, TOY, 0, &mut out).unwrap(), [0; 6], "never written");
    assert_eq!(file.read_binary(&mut memory, TOY, 4, &mut out).unwrap(), [0; 2]);
    assert_eq!(file.read_binary(&mut memory, TOY, 6, &mut out), Err(Sw::WRONG_OFFSET));
    let mut update = |offset, data: &[u8], work: &mut [u8]| {
        write(&mut memory, |memory, batch| file.update_binary(memory, batch, TOY, offset, data, work))
    };
    assert_eq!(update(6, &[1], &mut [0; 9]), Err(Sw::WRONG_OFFSET));
    assert_eq!(update(5, &[1, 2], &mut [0; 9]), Err(Sw::NOT_ENOUGH_MEMORY));
    assert_eq!(update(5, &[1], &mut [0; 5]), Err(Sw::NOT_ENOUGH_MEMORY), "work space");
    assert_eq!(update(5, &[1], &mut [0; 6]), Ok(()));
}

#[test]
fn variable_records_are_found_by_the_byte_their_file_names() {
    // The same records with an identifier before and behind another byte.
    for (id_at, records) in [
        (0, [&[0xA1, 1][..], &[0xA2, 2, 2], &[0xA1, 3, 3, 3], &[0xA3], &[0xA1, 5]]),
        (1, [&[0x27, 0xA1][..], &[0x27, 0xA2, 2], &[0x27, 0xA1, 3, 3], &[0x27, 0xA3], &[0x27, 0xA1]]),
    ] {
        let file = File { structure: Structure::Variable { len: 5, records: 6, id_at }, ..FILE };
        let mut memory = memory();
        for (number, record) in (1..).zip(records) {
            write(&mut memory, |memory, batch| {
                assert_eq!(file.append_record(memory, batch, TOY, record)?, number);
                Ok(())
            })
            .unwrap();
        }
        let mut find = |identifier, which| file.find_record(&mut memory, TOY, identifier, which);
        assert_eq!(find(Some(0xA1), Which::First), Ok(1));
        assert_eq!(find(Some(0xA1), Which::Last), Ok(5));
        assert_eq!(find(Some(0xA1), Which::NextAfter(1)), Ok(3));
        assert_eq!(find(Some(0xA1), Which::NextAfter(5)), Err(Sw::RECORD_NOT_FOUND));
        assert_eq!(find(Some(0xA1), Which::PreviousBefore(5)), Ok(3));
        assert_eq!(find(Some(0xA1), Which::PreviousBefore(1)), Err(Sw::RECORD_NOT_FOUND));
        assert_eq!(find(Some(0xA3), Which::First), Ok(4));
        assert_eq!(find(Some(0x27), Which::First), Err(Sw::RECORD_NOT_FOUND));
        assert_eq!(find(None, Which::Last), Ok(5));
        assert_eq!(find(None, Which::PreviousBefore(5)), Ok(4));
    }
    let file = File { structure: Structure::Variable { len: 5, records: 6, id_at: 0 }, ..FILE };
    let update = |data: &[u8]| {
        write(&mut self::memory(), |memory, batch| file.update_record(memory, batch, TOY, 1, data))
    };
    assert_eq!(update(&[0xA1; 6]), Err(Sw::WRONG_LENGTH));
    assert_eq!(update(&[]), Err(Sw::WRONG_LENGTH));
    assert_eq!(update(&[0xA1; 5]), Ok(()));
}

#[test]
fn numbers_left_out_are_passed_over() {
    let file = File { structure: Structure::Variable { len: 5, records: 6, id_at: 0 }, ..FILE };
    let mut memory = memory();
    write(&mut memory, |_, batch| {
        batch.put(ObjectId::new(TOY, file.base + 2), &[0xA1]);
        batch.put(ObjectId::new(TOY, file.base + 5), &[0xA2]);
        Ok(())
    })
    .unwrap();
    assert_eq!(file.find_record(&mut memory, TOY, Some(0xA2), Which::First), Ok(5));
    assert_eq!(file.find_record(&mut memory, TOY, None, Which::NextAfter(2)), Ok(5));
    assert_eq!(file.find_record(&mut memory, TOY, None, Which::First), Ok(2));
}

#[test]
fn p1_p2_of_file_commands() {
    assert_eq!(BinaryTarget::parse(0x95, 0x10), Ok(BinaryTarget { sfi: Some(0x15), offset: 0x10 }));
    assert_eq!(BinaryTarget::parse(0x12, 0x34), Ok(BinaryTarget { sfi: None, offset: 0x1234 }));
    assert_eq!(BinaryTarget::parse(0xA0, 0), Err(Sw::WRONG_P1P2));
    assert_eq!(BinaryTarget::parse(0x9F, 0), Err(Sw::WRONG_P1P2));
    assert_eq!(RecordTarget::parse(7, 0xC4), Ok(RecordTarget { sfi: Some(0x18), p1: 7, mode: 4 }));
    assert_eq!(RecordTarget::parse(7, 0x04), Ok(RecordTarget { sfi: None, p1: 7, mode: 4 }));
    assert_eq!(RecordTarget::parse(7, 0xFC), Err(Sw::WRONG_P1P2));
}

#[test]
fn the_cache_keeps_updates_in_volatile_bytes() {
    let object = |id| ObjectId::new(TOY, id);
    let mut bytes = [0; 40];
    let mut cache = RecordCache::new(&mut bytes);
    assert!(cache.is_empty());
    cache.put(object(1), b"one").unwrap();
    cache.put(object(2), b"two").unwrap();
    // Another command finds it in the same bytes.
    let mut cache = RecordCache::new(&mut bytes);
    cache.put(object(1), b"ONE").unwrap();
    assert_eq!(cache.get(object(1)), Some(&b"ONE"[..]));
    assert_eq!(cache.get(object(2)), Some(&b"two"[..]));
    assert_eq!(cache.get(object(3)), None);
    assert_eq!(cache.put(object(3), b"more than fits"), Err(Sw::NOT_ENOUGH_MEMORY));
    assert_eq!(cache.get(object(3)), None);
    assert_eq!(cache.writes().count(), 3);
    let mut buffer = [0; 64];
    let mut batch = Batch::new(&mut buffer);
    cache.add_to(&mut batch);
    assert_eq!(batch.get(object(1)), Some(Write::Put(object(1), b"ONE")));
    cache.clear();
    assert!(cache.is_empty());
    assert_eq!(bytes, [0; 40], "zeroized");
    // Bytes that are no cache are no updates.
    let mut nonsense = [0xFF; 40];
    assert_eq!(RecordCache::new(&mut nonsense).writes().count(), 0);
}

#[test]
fn files_through_apdus() {
    let answers = with_toy(issued(), |element, env| {
        let mut send = |command: &[u8]| {
            let reply = element.exchange(command, env);
            let (data, sw) = reply.split_last_chunk::<2>().unwrap();
            (data.to_vec(), u16::from_be_bytes(*sw))
        };
        assert_eq!(send(&[0x00, 0xB0, 0x00, 0, 0]).1, 0x6986, "no current file");
        assert_eq!(send(&[0x00, 0xB0, 0x95, 0, 0]), (vec![0; 32], 0x9000));
        assert_eq!(send(&[0x00, 0xB0, 0x95, 30, 0]), (vec![0; 2], 0x9000));
        assert_eq!(send(&[0x00, 0xB0, 0x95, 30, 3]), (vec![], 0x6C02));
        assert_eq!(send(&[0x00, 0xB0, 0x95, 32, 0]).1, 0x6B00);
        assert_eq!(send(&[0x00, 0xB0, 0x96, 0, 0]).1, 0x6A82);
        assert_eq!(send(&[0x00, 0xB0, 0x98, 0, 0]).1, 0x6981, "a record file");
        assert_eq!(send(&[0x00, 0xD6, 0x95, 0, 1, 1]).1, 0x6982, "no PIN yet");
        assert_eq!(send(&[0x00, 0xB2, 0x01, 0xBC, 0]).1, 0x6982);
        assert_eq!(send(b"\x00\x20\x00\x00\x041234").1, 0x9000);
        assert_eq!(send(&[0x00, 0xD6, 0x95, 31, 1, 1]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xD6, 0x95, 31, 2, 1, 1]).1, 0x6A84);
        assert_eq!(send(&[0x00, 0xE2, 0x00, 0xB8, 2, 0xA1, 7]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0xB8, 0]), (vec![0xA1, 7], 0x9000), "by identifier");
        assert_eq!(send(&[0x00, 0xB2, 0x01, 0xBC, 1]), (vec![0xA1], 0x9000), "by number, less of it");
        assert_eq!(send(&[0x00, 0xB2, 0xA2, 0xB8, 0]).1, 0x6A83);
        assert_eq!(
            send(&[0x00, 0xB2, 0xA1, 0xBA, 0]),
            (vec![0xA1, 7], 0x9000),
            "next of an undefined pointer"
        );
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0xBF, 0]).1, 0x6A86);
        assert_eq!(send(&[0x00, 0xDC, 0xA1, 0xB8, 3, 0xA1, 8, 8]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xE2, 0x01, 0xB8, 1, 1]).1, 0x6A86);
        assert_eq!(
            send(&[0x00, 0xE2, 0x00, 0xC0, 8, 1, 1, 1, 1, 1, 1, 1, 1]).1,
            0x6982,
            "the log is nobody's to write"
        );
        assert_eq!(send(&[0x80, 0x10, 0, 0, 1, 200]).1, 0x9000);
        send(&[0x00, 0xB2, 0x01, 0xC4, 0])
    });
    assert_eq!(answers.0, (vec![0, 0, 0, 200, 200, 0, 0, 0], 0x9000));
}

#[test]
fn the_record_pointer_moves_by_identifier() {
    with_toy(issued(), |element, env| {
        let mut send = |command: &[u8]| {
            let reply = element.exchange(command, env);
            let (data, sw) = reply.split_last_chunk::<2>().unwrap();
            (data.to_vec(), u16::from_be_bytes(*sw))
        };
        assert_eq!(send(b"\x00\x20\x00\x00\x041234").1, 0x9000);
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x02, 0]).1, 0x6986, "no current file");
        assert_eq!(send(&[0x00, 0xE2, 0x00, 0x00, 1, 1]).1, 0x6986);
        assert_eq!(send(&[0x00, 0xA4, 0x00, 0x00, 2, 0x00, 0x77]).1, 0x6A82);
        assert_eq!(send(&[0x00, 0xA4, 0x00, 0x00, 2, 0x00, 0x17]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x04, 0]).1, 0x6A83, "the pointer is undefined");
        for record in [[0xA1, 1], [0xA2, 2], [0xA1, 3], [0xA3, 4]] {
            assert_eq!(send(&[0x00, 0xE2, 0x00, 0x00, 2, record[0], record[1]]).1, 0x9000);
        }
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x04, 0]), (vec![0xA3, 4], 0x9000), "on the appended one");
        // A short identifier makes the file current anew: the pointer is undefined, next is first and previous is last.
        assert_eq!(send(&[0x00, 0xB2, 0x02, 0xBC, 0]), (vec![0xA2, 2], 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x04, 0]).1, 0x6A83, "a number does not set the pointer");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x02, 0]), (vec![0xA1, 1], 0x9000), "next: the first");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x02, 0]), (vec![0xA1, 3], 0x9000), "next");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x02, 0]).1, 0x6A83);
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x04, 0]), (vec![0xA1, 3], 0x9000), "a failure leaves it");
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x02, 0]), (vec![0xA3, 4], 0x9000), "any next");
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x03, 0]), (vec![0xA1, 3], 0x9000), "any previous");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x03, 0]), (vec![0xA1, 1], 0x9000), "previous");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x03, 0]).1, 0x6A83);
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x01, 0]), (vec![0xA1, 3], 0x9000), "last");
        assert_eq!(send(&[0x00, 0xB2, 0xA1, 0x00, 0]), (vec![0xA1, 1], 0x9000), "first");
        assert_eq!(send(&[0x00, 0xDC, 0xA1, 0x02, 2, 0xA1, 9]).1, 0x9000, "update the next");
        assert_eq!(send(&[0x00, 0xB2, 0x03, 0x04, 0]), (vec![0xA1, 9], 0x9000));
        assert_eq!(send(&[0x00, 0xDC, 0x00, 0x04, 2, 0xA1, 8]).1, 0x9000, "update the current");
        assert_eq!(send(&[0x00, 0xDC, 0xA1, 0x00, 2, 0xA1, 7]).1, 0x9000, "update the first");
        assert_eq!(send(&[0x00, 0xB2, 0x01, 0x04, 0]), (vec![0xA1, 7], 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0x03, 0x04, 0]), (vec![0xA1, 8], 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0xA3, 0xBB, 0]), (vec![0xA3, 4], 0x9000), "previous: the last");
        assert_eq!(send(&[0x00, 0xDC, 0xA7, 0x00, 2, 0xA7, 7]).1, 0x6A83);
        assert_eq!(send(&[0x00, 0xE2, 0x00, 0x00, 1, 0xA9]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xE2, 0x00, 0x00, 1, 0xA9]).1, 0x6A84, "five records are all");
        assert_eq!(send(&[0x00, 0xB0, 0x00, 0x00, 0]).1, 0x6981, "records are not bytes");
        // A transparent file through its identifier, with an offset in P1 and P2.
        assert_eq!(send(&[0x00, 0xA4, 0x00, 0x00, 2, 0x00, 0x15]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xD6, 0x00, 30, 2, 5, 6]).1, 0x9000);
        assert_eq!(send(&[0x00, 0xB0, 0x00, 31, 0]), (vec![6], 0x9000));
        assert_eq!(send(&[0x00, 0xB0, 0x01, 0x00, 0]).1, 0x6B00);
        assert_eq!(send(&[0x00, 0xB0, 0x7F, 0xFF, 0]).1, 0x6B00);
        assert_eq!(send(&[0x00, 0xD6, 0x7F, 0xFF, 1, 1]).1, 0x6B00);
        assert_eq!(send(&[0x00, 0xD6, 0x00, 31, 2, 1, 1]).1, 0x6A84);
        assert_eq!(send(&[0x00, 0xB2, 0x01, 0x04, 0]).1, 0x6981, "bytes are not records");
        assert_eq!(send(&[0x00, 0xE2, 0x00, 0x00, 1, 1]).1, 0x6981);
        assert_eq!(send(&[0x00, 0xB2, 0x01, 0xCC, 0]).1, 0x6A82);
        assert_eq!(send(&[0x00, 0xB0, 0x00, 31, 0]), (vec![6], 0x9000), "a failure leaves the current file");
    });
}

#[test]
fn the_record_pointer_walks_a_ring_that_has_turned() {
    with_toy(issued(), |element, env| {
        let mut send = |command: &[u8]| {
            let reply = element.exchange(command, env);
            let (data, sw) = reply.split_last_chunk::<2>().unwrap();
            (data.get(4).copied(), u16::from_be_bytes(*sw))
        };
        // Six records in a ring of four: 6, 5, 4 and 3 are left.
        for amount in 1..=6 {
            send(&[0x80, 0x10, 0, 0, 1, amount]);
        }
        let mut p2 = 0xC2;
        for amount in [6, 5, 4, 3] {
            assert_eq!(send(&[0x00, 0xB2, 0x00, p2, 0]), (Some(amount), 0x9000));
            p2 = 0x02;
        }
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x02, 0]), (None, 0x6A83), "nothing follows the oldest");
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x03, 0]), (Some(4), 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x01, 0]), (Some(3), 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x00, 0]), (Some(6), 0x9000));
        assert_eq!(send(&[0x00, 0xB2, 0x00, 0x03, 0]), (None, 0x6A83), "nothing comes before the newest");
    });
}

#[test]
fn pin_status_words() {
    with_toy(issued(), |element, env| {
        let mut send =
            |command: &[u8]| u16::from_be_bytes(*element.exchange(command, env).last_chunk().unwrap());
        let status: &[u8] = &[0x00, 0x20, 0, 0];
        assert_eq!(send(status), 0x63C3);
        assert_eq!(send(b"\x00\x20\x00\x00\x041235"), 0x63C2);
        assert_eq!(send(b"\x00\x20\x00\x00\x05\x31\x32\x33\x34\x35"), 0x63C1, "longer");
        assert_eq!(send(b"\x00\x20\x00\x00\x041234"), 0x9000, "the last try");
        assert_eq!(send(status), 0x63C3);
        assert_eq!(send(b"\x00\x24\x00\x00\x0899995678"), 0x63C2, "changing needs the old one");
        assert_eq!(send(b"\x00\x24\x00\x00\x041234"), 0x6A80, "and a new one");
        assert_eq!(send(status), 0x63C2, "which cost nothing");
        assert_eq!(send(b"\x00\x20\x00\x00\x03123"), 0x63C1);
        assert_eq!(send(b"\x00\x20\x00\x00\x03123"), 0x63C0);
        assert_eq!(send(b"\x00\x20\x00\x00\x041234"), 0x6983, "blocked, even when right");
        assert_eq!(send(status), 0x6983);
        assert_eq!(send(&[0x00, 0xD6, 0x95, 0, 1, 1]), 0x6982);
        assert_eq!(send(b"\x00\x2C\x00\x00\x041122"), 0x9000, "unblocked with a new one");
        assert_eq!(send(b"\x00\x20\x00\x00\x041122"), 0x9000);
        assert_eq!(send(&[0x00, 0xD6, 0x95, 0, 1, 1]), 0x9000);
        assert_eq!(send(b"\x00\x20\x00\x00\x041234"), 0x63C2);
        assert_eq!(send(&[0x00, 0xD6, 0x95, 0, 1, 1]), 0x6982, "a wrong one takes the right away");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A ring equals a list of which only the newest are kept, in batches of any size.
    #[test]
    fn a_ring_equals_a_short_list(len in 1_u8..6, records in 1_u8..7, batches in prop::collection::vec(1_usize..5, 1..12)) {
        let file = File { structure: Structure::Cyclic { len, records }, ..FILE };
        let mut memory = memory();
        let mut list: Vec<Vec<u8>> = Vec::new();
        let mut n = 0_u8;
        for batch in batches {
            write(&mut memory, |memory, out| {
                for _ in 0..batch {
                    n = n.wrapping_add(1);
                    list.insert(0, vec![n; len.into()]);
                    file.append_record(memory, out, TOY, &vec![n; len.into()])?;
                }
                Ok(())
            }).unwrap();
            list.truncate(records.into());
            for (at, record) in list.iter().enumerate() {
                let mut out = [0; 8];
                prop_assert_eq!(file.read_record(&mut memory, TOY, at as u8 + 1, &mut out).unwrap(), &record[..]);
            }
            let mut out = [0; 8];
            prop_assert_eq!(file.read_record(&mut memory, TOY, list.len() as u8 + 1, &mut out), Err(Sw::RECORD_NOT_FOUND));
        }
    }
}
