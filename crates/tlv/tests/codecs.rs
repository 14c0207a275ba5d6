//! DOL, DGI, tag lists, COMPACT-TLV and SIMPLE-TLV.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_tlv::compact::{self, CompactError, Compacts};
use huiwan_tlv::dgi::{self, DgiError, Dgis};
use huiwan_tlv::dol::{Dol, DolEntry, DolError, Format};
use huiwan_tlv::simple::{self, SimpleError, Simples};
use huiwan_tlv::tag_list::{self, TagList};
use huiwan_tlv::{At, Full, Tag, TlvError};
use proptest::prelude::*;

fn fit(format: Format, value: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0xEE; len];
    format.fit(value, &mut out);
    out
}

#[test]
fn dol_values_are_cut_and_padded_by_format() {
    // [EMV-B3 5.4] numeric: from the left.
    assert_eq!(fit(Format::Numeric, &[1, 2, 3], 2), [2, 3]);
    assert_eq!(fit(Format::Numeric, &[1, 2], 4), [0, 0, 1, 2]);
    // Compressed numeric: from the right, FF.
    assert_eq!(fit(Format::CompressedNumeric, &[1, 2, 3], 2), [1, 2]);
    assert_eq!(fit(Format::CompressedNumeric, &[1, 2], 4), [1, 2, 0xFF, 0xFF]);
    // All others: from the right, 00.
    assert_eq!(fit(Format::Other, &[1, 2, 3], 2), [1, 2]);
    assert_eq!(fit(Format::Other, &[1, 2], 4), [1, 2, 0, 0]);
    for format in [Format::Numeric, Format::CompressedNumeric, Format::Other] {
        assert_eq!(fit(format, &[1, 2], 2), [1, 2]);
        assert_eq!(fit(format, &[1, 2], 0), []);
    }
    assert_eq!(fit(Format::CompressedNumeric, &[], 2), [0xFF, 0xFF]);
}

#[test]
fn dol_unknown_and_constructed_tags_are_zeros() {
    let dol = Dol::parse(&[0x9F, 0x37, 0x02, 0x70, 0x03, 0x95, 0x01]).unwrap();
    let mut out = [0xEE; 8];
    let filled = dol.fill(&mut out, |tag| match tag.get() {
        0x70 => Some((&[1, 2, 3][..], Format::Other)),
        0x95 => Some((&[9][..], Format::Other)),
        _ => None,
    });
    assert_eq!(filled.unwrap(), [0, 0, 0, 0, 0, 9]);
    assert_eq!(out[6..], [0xEE, 0xEE]);
    assert_eq!(dol.fill(&mut [0; 5], |_| None), Err(Full { needed: 6 }));
}

#[test]
fn dol_errors_name_the_entry() {
    assert_eq!(Dol::parse(&[0x9F, 0x37, 0x04, 0x9F]), Err(At::new(DolError::TagTruncated, 3)));
    assert_eq!(Dol::parse(&[0x9A, 0x03, 0x5A]), Err(At::new(DolError::LengthTruncated, 2)));
    assert_eq!(Dol::parse(&[0xDF, 0x81, 0x82, 0x83, 0x01, 0x01]), Err(At::new(DolError::TagTooLong, 0)));
    assert_eq!(Dol::parse(&[]).unwrap(), Dol::EMPTY);
}

#[test]
fn dol_repeated_tag_has_its_first_offset() {
    let dol = Dol::parse(&[0x9A, 0x03, 0x95, 0x05, 0x9A, 0x03]).unwrap();
    assert_eq!(dol.offset_of(Tag::new(0x9A)), Some(0..3));
    assert_eq!(dol.offset_of(Tag::new(0x95)), Some(3..8));
    assert!(dol.contains(Tag::new(0x95)) && !dol.contains(Tag::new(0x9C)));
    assert_eq!(dol.value_in(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], Tag::new(0x95)), Some(&[3, 4, 5, 6, 7][..]));
    assert_eq!(dol.value_in(&[0; 4], Tag::new(0x95)), None);
    assert_eq!((&dol).into_iter().last(), Some(DolEntry { tag: Tag::new(0x9A), len: 3 }));
}

#[test]
fn dgi_lengths_of_one_and_three_bytes() {
    for len in [0usize, 1, 0xFE, 0xFF, 0x100, 0xFFFF] {
        let value = vec![0x77; len];
        let mut out = vec![0; dgi::encoded_len(len)];
        assert_eq!(dgi::put(&mut out, 0x8201, &value), Ok(out.len()));
        assert_eq!(out.len(), len + if len < 0xFF { 3 } else { 5 });
        let group = Dgis::new(&out).next().unwrap().unwrap();
        assert_eq!((group.id, group.value, group.at), (0x8201, &value[..], 0));
        let short = out.len() - 1;
        assert_eq!(dgi::put(&mut out[..short], 0x8201, &value), Err(Full { needed: short + 1 }));
        assert_eq!(Dgis::new(&out[..2]).next().unwrap(), Err(At::new(DgiError::LengthTruncated, 0)));
        if len > 0 {
            assert_eq!(Dgis::new(&out[..short]).next().unwrap(), Err(At::new(DgiError::ValueTruncated, 0)));
        }
    }
    assert_eq!(dgi::put(&mut [0; 16], 1, &vec![0; 0x1_0000]), Err(Full { needed: usize::MAX }));
    assert_eq!(Dgis::new(&[0x01]).next().unwrap(), Err(At::new(DgiError::IdTruncated, 0)));
    assert_eq!(
        Dgis::new(&[0x01, 0x01, 0xFF, 0x00]).next().unwrap(),
        Err(At::new(DgiError::LengthTruncated, 0))
    );
    // The long form of a short length is read.
    assert_eq!(Dgis::new(&[0x01, 0x01, 0xFF, 0x00, 0x01, 0xAB]).next().unwrap().unwrap().value, [0xAB]);
    let mut two = Dgis::new(&[0x01, 0x01, 0x00, 0x02]);
    assert!(two.next().unwrap().is_ok());
    assert_eq!(two.next().unwrap(), Err(At::new(DgiError::IdTruncated, 3)));
    assert!(two.next().is_none());
}

#[test]
fn compact_objects() {
    let mut objects = Compacts::new(&[0x31, 0x80, 0x80]);
    assert_eq!(objects.next().unwrap().unwrap().tag(), Tag::new(0x43));
    let empty = objects.next().unwrap().unwrap();
    assert_eq!((empty.number, empty.value, empty.at), (8, &[][..], 2));
    assert!(objects.next().is_none());
    let mut cut = Compacts::starting_at(&[0x53, 0x00], 5);
    assert_eq!(cut.next().unwrap(), Err(At::new(CompactError::ValueTruncated, 5)));
    assert!(cut.next().is_none());
    assert_eq!(compact::put(&mut [0; 16], 16, &[]), Err(Full { needed: usize::MAX }));
    assert_eq!(compact::put(&mut [0; 32], 1, &[0; 16]), Err(Full { needed: usize::MAX }));
    assert_eq!(compact::put(&mut [0; 1], 1, &[0; 1]), Err(Full { needed: 2 }));
}

#[test]
fn simple_objects() {
    assert_eq!(Simples::new(&[0x00, 0x00]).next().unwrap(), Err(At::new(SimpleError::InvalidTag, 0)));
    assert_eq!(
        Simples::new(&[0x01, 0x00, 0xFF, 0x00]).nth(1).unwrap(),
        Err(At::new(SimpleError::InvalidTag, 2))
    );
    assert_eq!(Simples::new(&[0x01]).next().unwrap(), Err(At::new(SimpleError::LengthTruncated, 0)));
    assert_eq!(
        Simples::new(&[0x01, 0xFF, 0x01]).next().unwrap(),
        Err(At::new(SimpleError::LengthTruncated, 0))
    );
    assert_eq!(
        Simples::new(&[0x01, 0x02, 0x01]).next().unwrap(),
        Err(At::new(SimpleError::ValueTruncated, 0))
    );
    for tag in [0x00, 0xFF] {
        assert_eq!(simple::put(&mut [0; 8], tag, &[]), Err(Full { needed: usize::MAX }));
    }
    assert_eq!(simple::put(&mut [0; 8], 1, &vec![0; 0x1_0000]), Err(Full { needed: usize::MAX }));
    assert_eq!(simple::put(&mut [0; 3], 1, &[0; 2]), Err(Full { needed: 4 }));
}

#[test]
fn tag_lists() {
    let mut out = [0; 8];
    let tags = [0x4F, 0x9F70, 0xDF8101].map(Tag::new);
    let raw = tag_list::put(&mut out, &tags).unwrap();
    assert_eq!(raw, [0x4F, 0x9F, 0x70, 0xDF, 0x81, 0x01]);
    assert_eq!(TagList::new(raw).collect::<Result<Vec<_>, _>>().unwrap(), tags);
    let mut cut = TagList::new(&raw[..5]);
    assert_eq!(cut.nth(2).unwrap(), Err(At::new(TlvError::TagTruncated, 3)));
    assert!(cut.next().is_none());
    assert_eq!(tag_list::put(&mut [0; 5], &tags), Err(Full { needed: 6 }));
}

/// [EMV-B3 5.4] once more, byte by byte.
fn naive_fit(format: Format, value: &[u8], len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| match format {
            Format::Numeric => {
                // Align the last bytes.
                let from_end = len - i;
                if from_end <= value.len() { value[value.len() - from_end] } else { 0 }
            }
            Format::CompressedNumeric => value.get(i).copied().unwrap_or(0xFF),
            Format::Other => value.get(i).copied().unwrap_or(0),
        })
        .collect()
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Numeric), Just(Format::CompressedNumeric), Just(Format::Other)]
}

const TAGS: [u32; 8] = [0x9F02, 0x9A, 0x95, 0x9F37, 0x70, 0xBF0C, 0x5A, 0xDF8101];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn dol_fill_equals_the_naive_fill(
        entries in prop::collection::vec((0usize..8, 0u8..40), 0..12),
        known in prop::collection::vec(prop::option::of((any_format(), prop::collection::vec(any::<u8>(), 0..50))), 8),
    ) {
        let mut raw = vec![];
        let mut want = vec![];
        for &(index, len) in &entries {
            let tag = Tag::new(TAGS[index]);
            raw.extend(tag.get().to_be_bytes().into_iter().skip_while(|b| *b == 0));
            raw.push(len);
            want.extend(match &known[index] {
                Some((format, value)) if !tag.is_constructed() => naive_fit(*format, value, len.into()),
                _ => vec![0; len.into()],
            });
        }
        let dol = Dol::parse(&raw).unwrap();
        prop_assert_eq!(dol.total_len(), want.len());
        prop_assert_eq!(dol.raw(), &raw[..]);
        let listed: Vec<_> = dol.iter().map(|e| (e.tag.get(), e.len)).collect();
        prop_assert_eq!(listed, entries.iter().map(|&(i, l)| (TAGS[i], l)).collect::<Vec<_>>());
        let mut out = vec![0xEE; want.len() + 3];
        let filled = dol.fill(&mut out, |tag| {
            let index = TAGS.iter().position(|t| *t == tag.get()).unwrap();
            known[index].as_ref().map(|(format, value)| (&value[..], *format))
        }).unwrap();
        prop_assert_eq!(filled, &want[..]);
    }

    #[test]
    fn dgi_round_trip(groups in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..300)), 0..6)) {
        let mut raw = vec![];
        for (id, value) in &groups {
            let mut out = vec![0; dgi::encoded_len(value.len())];
            dgi::put(&mut out, *id, value).unwrap();
            raw.extend(out);
        }
        let read: Vec<_> = Dgis::new(&raw).map(|g| g.unwrap()).map(|g| (g.id, g.value.to_vec())).collect();
        prop_assert_eq!(read, groups);
    }

    #[test]
    fn compact_round_trip(objects in prop::collection::vec((0u8..16, prop::collection::vec(any::<u8>(), 0..16)), 0..6)) {
        let mut raw = vec![];
        for (number, value) in &objects {
            let mut out = [0; 16];
            let len = compact::put(&mut out, *number, value).unwrap();
            raw.extend(&out[..len]);
        }
        let read: Vec<_> = Compacts::new(&raw).map(|o| o.unwrap()).map(|o| (o.number, o.value.to_vec())).collect();
        prop_assert_eq!(read, objects);
    }

    #[test]
    fn simple_round_trip(objects in prop::collection::vec((1u8..0xFF, prop::collection::vec(any::<u8>(), 0..600)), 0..6)) {
        let mut raw = vec![];
        for (tag, value) in &objects {
            let mut out = vec![0; simple::encoded_len(value.len())];
            let len = simple::put(&mut out, *tag, value).unwrap();
            prop_assert_eq!(len, out.len());
            raw.extend(out);
        }
        let read: Vec<_> = Simples::new(&raw).map(|o| o.unwrap()).map(|o| (o.tag, o.value.to_vec())).collect();
        prop_assert_eq!(read, objects);
    }

    #[test]
    fn hostile_bytes_give_errors_inside_the_input(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        for error in Dgis::new(&raw).filter_map(Result::err) { prop_assert!(error.at() < raw.len()); }
        for error in Simples::new(&raw).filter_map(Result::err) { prop_assert!(error.at() < raw.len()); }
        for error in Compacts::new(&raw).filter_map(Result::err) { prop_assert!(error.at() < raw.len()); }
        for error in TagList::new(&raw).filter_map(Result::err) { prop_assert!(error.at() < raw.len()); }
        match Dol::parse(&raw) {
            Err(error) => prop_assert!(error.at() < raw.len()),
            Ok(dol) => prop_assert_eq!(dol.iter().map(|e| usize::from(e.len)).sum::<usize>(), dol.total_len()),
        }
    }
}
