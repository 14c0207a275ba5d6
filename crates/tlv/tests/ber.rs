//! BER-TLV: reader, walk, find and writer, against hand-made bytes and a second, naive reader.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::cast_possible_truncation,
    missing_docs
)]

use huiwan_tlv::{
    At, Full, Rules, Tag, Tlv, TlvError, Walk, Writer, encoded_len, find, find_each, find_path, parse, walk,
};
use proptest::prelude::*;

fn kinds(raw: &[u8], rules: Rules) -> Vec<Result<(u32, usize), (TlvError, usize)>> {
    parse(raw, rules).map(|o| o.map(|o| (o.tag().get(), o.at())).map_err(|e| (e.kind(), e.at()))).collect()
}

#[test]
fn amount_authorised_9f02_parses_under_emv_rules() {
    // Second tag byte below 1F: other readers lose this tag.
    let object = find(&[0x9F, 0x02, 0x01, 0x05], Rules::EMV, Tag::new(0x9F02)).unwrap().unwrap();
    assert_eq!(object.value(), [5]);
    assert_eq!(object.tag().to_string(), "9F02");
    assert_eq!(object.raw(), [0x9F, 0x02, 0x01, 0x05]);
}

#[test]
fn iso_rules_refuse_tag_numbers_in_more_bytes_than_needed() {
    assert_eq!(kinds(&[0x9F, 0x02, 0x00], Rules::ISO), [Err((TlvError::TagNotMinimal, 0))]);
    assert_eq!(kinds(&[0x9F, 0x1E, 0x00], Rules::ISO), [Err((TlvError::TagNotMinimal, 0))]);
    assert_eq!(kinds(&[0x9F, 0x1F, 0x00], Rules::ISO), [Ok((0x9F1F, 0))]);
    assert_eq!(kinds(&[0x9F, 0x80, 0x01, 0x00], Rules::ISO), [Err((TlvError::TagNotMinimal, 0))]);
    assert_eq!(kinds(&[0x9F, 0x80, 0x01, 0x00], Rules::EMV), [Ok((0x9F8001, 0))]);
}

#[test]
fn tags_of_one_to_four_bytes_and_no_more() {
    assert_eq!(kinds(&[0x5A, 0], Rules::ISO), [Ok((0x5A, 0))]);
    assert_eq!(kinds(&[0x9F, 0x7F, 0], Rules::ISO), [Ok((0x9F7F, 0))]);
    assert_eq!(kinds(&[0xDF, 0x81, 0x01, 0], Rules::ISO), [Ok((0xDF8101, 0))]);
    assert_eq!(kinds(&[0xDF, 0x81, 0x82, 0x03, 0], Rules::ISO), [Ok((0xDF818203, 0))]);
    assert_eq!(kinds(&[0xDF, 0x81, 0x82, 0x83, 0x04, 0], Rules::ISO), [Err((TlvError::TagTooLong, 0))]);
    assert_eq!(kinds(&[0x5A, 0, 0x9F], Rules::ISO), [Ok((0x5A, 0)), Err((TlvError::TagTruncated, 2))]);
}

#[test]
fn lengths_to_four_bytes_and_no_more() {
    for (header, len) in [
        (&[0x80u8, 0x7F][..], 0x7F),
        (&[0x80, 0x81, 0x80], 0x80),
        (&[0x80, 0x82, 0x01, 0x00], 0x100),
        (&[0x80, 0x83, 0x01, 0x00, 0x00], 0x1_0000),
        (&[0x80, 0x84, 0x01, 0x00, 0x00, 0x00], 0x100_0000),
    ] {
        let mut raw = header.to_vec();
        raw.resize(header.len() + len, 0x11);
        let object = parse(&raw, Rules::ISO.strict()).next().unwrap().unwrap();
        assert_eq!(object.value().len(), len);
        assert_eq!(object.value_at(), header.len());
        raw.pop();
        assert_eq!(kinds(&raw, Rules::ISO), [Err((TlvError::ValueTruncated, 0))]);
    }
    assert_eq!(kinds(&[0x80, 0x85, 0, 0, 0, 0, 0], Rules::ISO), [Err((TlvError::LengthTooLong, 0))]);
    assert_eq!(kinds(&[0x80, 0xFF], Rules::ISO), [Err((TlvError::LengthTooLong, 0))]);
    assert_eq!(kinds(&[0x80, 0x82, 0x01], Rules::ISO), [Err((TlvError::LengthTruncated, 0))]);
    assert_eq!(kinds(&[0x80], Rules::ISO), [Err((TlvError::LengthTruncated, 0))]);
    assert_eq!(
        kinds(&[0x80, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], Rules::ISO),
        [Err((TlvError::ValueTruncated, 0))]
    );
}

#[test]
fn indefinite_length_is_refused_by_name() {
    for rules in [Rules::ISO, Rules::EMV, Rules::ISO.strict(), Rules::EMV.strict()] {
        assert_eq!(kinds(&[0x70, 0x80, 0x00, 0x00], rules), [Err((TlvError::IndefiniteLength, 0))]);
    }
    let error = parse(&[0x5A, 0x00, 0x70, 0x80], Rules::ISO).nth(1).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "indefinite length at byte 2");
}

#[test]
fn strict_rules_refuse_lengths_in_more_bytes_than_needed() {
    for raw in [&[0x80u8, 0x81, 0x00][..], &[0x80, 0x81, 0x01, 0xAA], &[0x80, 0x82, 0x00, 0x01, 0xAA]] {
        assert!(kinds(raw, Rules::ISO)[0].is_ok());
        assert_eq!(kinds(raw, Rules::ISO.strict()), [Err((TlvError::LengthNotMinimal, 0))]);
        assert_eq!(kinds(raw, Rules::EMV.strict()), [Err((TlvError::LengthNotMinimal, 0))]);
    }
    let mut two = vec![0x80, 0x82, 0x00, 0x80];
    two.resize(4 + 0x80, 0);
    assert_eq!(kinds(&two, Rules::ISO.strict()), [Err((TlvError::LengthNotMinimal, 0))]);
}

#[test]
fn emv_rules_skip_filler_before_between_after_and_inside() {
    let raw = [0x00, 0xFF, 0x5A, 0x01, 0xAA, 0x00, 0x00, 0x70, 0x04, 0x00, 0x57, 0x00, 0xFF, 0xFF];
    assert_eq!(kinds(&raw, Rules::EMV), [Ok((0x5A, 2)), Ok((0x70, 7))]);
    let seen: Vec<_> =
        walk(&raw, Rules::EMV).map(|o| o.map(|(d, o)| (d, o.tag().get(), o.at())).unwrap()).collect();
    assert_eq!(seen, [(0, 0x5A, 2), (0, 0x70, 7), (1, 0x57, 10)]);
    // ISO takes 00 as a tag.
    assert_eq!(kinds(&[0x00, 0x01, 0xAA], Rules::ISO), [Ok((0x00, 0))]);
}

#[test]
fn reading_ends_after_the_first_error() {
    let raw = [0x5A, 0x01, 0xAA, 0x57, 0x05, 0x00];
    let mut objects = parse(&raw, Rules::ISO);
    assert!(objects.next().unwrap().is_ok());
    assert_eq!(objects.rest(), &raw[3..]);
    assert_eq!(objects.next(), Some(Err(At::new(TlvError::ValueTruncated, 3))));
    assert_eq!((objects.next(), objects.next(), objects.rest()), (None, None, &[][..]));
    let mut levels = walk(&[0x70, 0x03, 0x5A, 0x02, 0xAA, 0x5A, 0x00], Rules::ISO);
    assert!(levels.next().unwrap().is_ok());
    assert_eq!(levels.next().unwrap().unwrap_err(), At::new(TlvError::ValueTruncated, 2));
    assert!(levels.next().is_none());
}

#[test]
fn offsets_are_absolute_through_nesting_and_a_base() {
    let raw = [0x6F, 0x07, 0x84, 0x00, 0xA5, 0x03, 0x50, 0x01, 0x41];
    let fci = parse(&raw, Rules::ISO).next().unwrap().unwrap();
    let a5 = fci.children(Rules::ISO).nth(1).unwrap().unwrap();
    let label = a5.children(Rules::ISO).next().unwrap().unwrap();
    assert_eq!((a5.at(), label.at(), label.value_at()), (4, 6, 8));
    let shifted = huiwan_tlv::Tlvs::starting_at(&raw, Rules::ISO, 100).next().unwrap().unwrap();
    assert_eq!(shifted.children(Rules::ISO).nth(1).unwrap().unwrap().at(), 104);
    assert_eq!(At::new(TlvError::TooDeep, 3).shifted(2).at(), 5);
}

#[test]
fn the_walk_is_bounded() {
    // Nine templates inside each other.
    let mut raw = vec![];
    for _ in 0..9 {
        let mut outer = vec![0x70, raw.len() as u8];
        outer.extend(&raw);
        raw = outer;
    }
    // The innermost is empty, so it leads to no ninth level below: eight levels hold eight, the ninth is too deep.
    let seen: Vec<_> = walk(&raw, Rules::ISO).collect();
    assert_eq!(seen.len(), 8);
    assert_eq!(seen[7].unwrap_err(), At::new(TlvError::TooDeep, 14));
    assert!(Walk::<9>::new(&raw, Rules::ISO).all(|o| o.is_ok()));
    assert_eq!(Walk::<9>::new(&raw, Rules::ISO).count(), 9);
    assert_eq!(Walk::<0>::new(&raw, Rules::ISO).next().unwrap().unwrap_err().kind(), TlvError::TooDeep);
}

#[test]
fn find_takes_the_first_and_reports_what_is_malformed_before_it() {
    let raw = [0x5A, 0x01, 0x01, 0x5A, 0x01, 0x02, 0x57, 0x09];
    assert_eq!(find(&raw, Rules::ISO, Tag::new(0x5A)).unwrap().unwrap().value(), [1]);
    assert_eq!(find(&raw, Rules::ISO, Tag::new(0x70)), Err(At::new(TlvError::ValueTruncated, 6)));
    assert_eq!(find(&raw[..6], Rules::ISO, Tag::new(0x70)), Ok(None));
}

#[test]
fn find_path_and_find_each() {
    let raw = [0x6F, 0x0B, 0x84, 0x01, 0xA0, 0xA5, 0x06, 0xBF, 0x0C, 0x03, 0x4F, 0x01, 0xBB];
    let path = [0x6F, 0xA5, 0xBF0C].map(Tag::new);
    assert_eq!(find_path(&raw, Rules::EMV, &path).unwrap().unwrap().value(), [0x4F, 0x01, 0xBB]);
    assert_eq!(find_path(&raw, Rules::EMV, &[Tag::new(0x6F), Tag::new(0x61)]), Ok(None));
    assert_eq!(find_path(&raw, Rules::EMV, &[]), Ok(None));
    // Inside a primitive object there is nothing to find, or something malformed.
    assert_eq!(
        find_path(&raw, Rules::EMV, &[0x6F, 0x84, 0x4F].map(Tag::new)),
        Err(At::new(TlvError::LengthTruncated, 4))
    );
    let [a, b, c] = find_each(&raw, Rules::EMV, [0x4F, 0x84, 0x50].map(Tag::new)).unwrap();
    assert_eq!((a.unwrap().at(), b.unwrap().value(), c), (10, &[0xA0][..], None));
    // All found: what follows is not looked at.
    assert!(find_each(&[0x5A, 0x00, 0x57, 0x09], Rules::ISO, [Tag::new(0x5A)]).unwrap()[0].is_some());
    assert_eq!(find_each(&[0x57, 0x09], Rules::ISO, []).unwrap(), []);
}

#[test]
fn tags_know_their_bytes() {
    let tag = Tag::from_bytes(&[0xBF, 0x0C]).unwrap();
    assert!(tag == Tag::new(0xBF0C) && tag.is_constructed());
    assert_eq!(tag.class(), huiwan_tlv::Class::ContextSpecific);
    assert_eq!(Tag::new(0x4F).class(), huiwan_tlv::Class::Application);
    assert_eq!(Tag::new(0x06).class(), huiwan_tlv::Class::Universal);
    assert_eq!(Tag::new(0xDF8101).class(), huiwan_tlv::Class::Private);
    assert!(!Tag::new(0x9F02).is_constructed() && !Tag::new(0x1F818203).is_constructed());
    assert_eq!(Tag::from_bytes(&[0xBF]), Err(At::new(TlvError::TagTruncated, 0)));
    assert_eq!(Tag::from_bytes(&[]), Err(At::new(TlvError::TagTruncated, 0)));
    assert_eq!(Tag::from_bytes(&[0x5A, 0x00]), Err(At::new(TlvError::TagTooLong, 1)));
    assert_eq!((Tag::new(0x06).to_string(), Tag::new(0x9F02).to_string()), ("06".into(), "9F02".into()));
}

#[test]
fn writer_patches_lengths_of_every_size() {
    for len in [0usize, 1, 0x7D, 0x7E, 0x7F, 0x80, 0xFD, 0xFF, 0x100, 0xFFFC, 0x1_0000] {
        let value = vec![0xAB; len];
        let mut buffer = vec![0; len + 32];
        let mut w = Writer::new(&mut buffer);
        w.nested(Tag::new(0x70), |w| {
            w.nested(Tag::new(0xBF0C), |w| w.put(Tag::new(0x5A), &value));
            w.put_parts(Tag::new(0x57), &[&[1], &[], &[2, 3]]);
        });
        let raw = w.finish().unwrap().to_vec();
        let inner = encoded_len(Tag::new(0x5A), len);
        let outer = encoded_len(Tag::new(0xBF0C), inner) + 5;
        assert_eq!(raw.len(), encoded_len(Tag::new(0x70), outer));
        let path = [0x70, 0xBF0C, 0x5A].map(Tag::new);
        assert_eq!(find_path(&raw, Rules::EMV.strict(), &path).unwrap().unwrap().value(), value);
        // One byte less is not enough, and the error says so.
        let mut short = vec![0; raw.len() - 1];
        let mut w = Writer::new(&mut short);
        w.nested(Tag::new(0x70), |w| {
            w.nested(Tag::new(0xBF0C), |w| w.put(Tag::new(0x5A), &value));
            w.put_parts(Tag::new(0x57), &[&[1], &[], &[2, 3]]);
        });
        assert_eq!(w.len(), raw.len());
        assert_eq!(w.finish(), Err(Full { needed: raw.len() }));
    }
    assert_eq!(encoded_len(Tag::new(0x5A), usize::MAX), usize::MAX);
    assert_eq!(encoded_len(Tag::new(0xDF8101), 0x100_0000), 3 + 5 + 0x100_0000);
    assert!(Writer::new(&mut []).is_empty());
}

/// A tree of objects.
#[derive(Debug, Clone)]
enum Node {
    Leaf(Tag, Vec<u8>),
    Template(Tag, Vec<Node>),
}

fn any_tag(constructed: bool) -> impl Strategy<Value = Tag> {
    let p_c = if constructed { 0x20u32 } else { 0 };
    prop_oneof![
        (0u32..4, 1u32..0x1E).prop_map(move |(class, number)| class << 6 | p_c | number),
        (0u32..4, 0x1Fu32..0x80).prop_map(move |(class, number)| (class << 6 | p_c | 0x1F) << 8 | number),
        (0u32..4, 0x81u32..0x100, 0u32..0x80)
            .prop_map(move |(c, a, b)| (c << 6 | p_c | 0x1F) << 16 | a << 8 | b),
        (0u32..4, 0x81u32..0x100, 0x80u32..0x100, 0u32..0x80).prop_map(move |(c, x, y, z)| (c << 6
            | p_c
            | 0x1F)
            << 24
            | x << 16
            | y << 8
            | z),
    ]
    .prop_map(Tag::new)
    // Under EMV rules a first byte FF is filler.
    .prop_filter("filler", |tag| tag.get().to_be_bytes().iter().find(|b| **b != 0) != Some(&0xFF))
}

fn any_node() -> impl Strategy<Value = Node> {
    let value = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..24),
        1 => prop::collection::vec(any::<u8>(), 120..300),
    ];
    let leaf = (any_tag(false), value).prop_map(|(tag, value)| Node::Leaf(tag, value));
    leaf.prop_recursive(5, 24, 5, |inner| {
        (any_tag(true), prop::collection::vec(inner, 0..5))
            .prop_map(|(tag, nodes)| Node::Template(tag, nodes))
    })
}

fn write(w: &mut Writer<'_>, nodes: &[Node]) {
    for node in nodes {
        match node {
            Node::Leaf(tag, value) => w.put(*tag, value),
            Node::Template(tag, nodes) => w.nested(*tag, |w| write(w, nodes)),
        }
    }
}

/// The naive way: build the bytes of each node on its own.
fn naive(nodes: &[Node]) -> Vec<u8> {
    let mut out = vec![];
    for node in nodes {
        let (tag, value) = match node {
            Node::Leaf(tag, value) => (tag, value.clone()),
            Node::Template(tag, nodes) => (tag, naive(nodes)),
        };
        out.extend(tag.get().to_be_bytes().into_iter().skip_while(|b| *b == 0));
        match value.len() {
            n if n < 0x80 => out.push(n as u8),
            n if n < 0x100 => out.extend([0x81, n as u8]),
            n => out.extend([0x82, (n >> 8) as u8, n as u8]),
        }
        out.extend(value);
    }
    out
}

fn flat(nodes: &[Node], depth: usize, out: &mut Vec<(usize, Tag, Option<Vec<u8>>)>) {
    for node in nodes {
        match node {
            Node::Leaf(tag, value) => out.push((depth, *tag, Some(value.clone()))),
            Node::Template(tag, nodes) => {
                out.push((depth, *tag, None));
                flat(nodes, depth + 1, out);
            }
        }
    }
}

/// A reader with nothing in common with ours: lengths and tags byte by byte, with indices.
fn naive_first(raw: &[u8], iso_tags: bool, strict: bool) -> Option<(u32, usize, usize)> {
    let mut i = 0;
    let mut tag = u32::from(*raw.get(i)?);
    i += 1;
    if tag & 0x1F == 0x1F {
        loop {
            if i == 4 {
                return None;
            }
            let byte = *raw.get(i)?;
            if i == 1 && iso_tags && (byte < 0x1F || byte == 0x80) {
                return None;
            }
            tag = tag * 256 + u32::from(byte);
            i += 1;
            if byte < 0x80 {
                break;
            }
        }
    }
    let first = *raw.get(i)?;
    i += 1;
    let mut len = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first) - 0x80;
        if count == 0 || count > 4 {
            return None;
        }
        len = 0;
        for _ in 0..count {
            len = len * 256 + usize::from(*raw.get(i)?);
            i += 1;
        }
        let shortest = if len < 0x80 { 0 } else { (1..=4).find(|n| len < 1 << (8 * n)).unwrap() };
        if strict && shortest != count {
            return None;
        }
    }
    raw.get(i..i.checked_add(len)?)?;
    Some((tag, i, len))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read(nodes in prop::collection::vec(any_node(), 0..6)) {
        let expected = naive(&nodes);
        let mut buffer = vec![0xEE; expected.len()];
        let mut w = Writer::new(&mut buffer);
        write(&mut w, &nodes);
        prop_assert_eq!(w.finish().unwrap(), &expected[..]);
        let mut want = vec![];
        flat(&nodes, 0, &mut want);
        for rules in [Rules::ISO.strict(), Rules::ISO, Rules::EMV, Rules::EMV.strict()] {
            let got: Vec<(usize, Tlv<'_>)> = walk(&expected, rules).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(got.len(), want.len());
            for ((depth, object), (want_depth, tag, value)) in got.iter().zip(&want) {
                prop_assert_eq!((*depth, object.tag()), (*want_depth, *tag));
                if let Some(value) = value {
                    prop_assert_eq!(object.value(), &value[..]);
                }
                prop_assert_eq!(object.raw(), &expected[object.at()..object.at() + object.raw().len()]);
                prop_assert_eq!(&expected[object.value_at()..object.value_at() + object.value().len()], object.value());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_like_the_naive_reader(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        for (rules, iso, strict) in [(Rules::ISO, true, false), (Rules::ISO.strict(), true, true)] {
            let mut at = 0;
            for object in parse(&raw, rules) {
                match (object, naive_first(&raw[at..], iso, strict)) {
                    (Ok(object), Some((tag, header, len))) => {
                        prop_assert_eq!((object.tag().get(), object.at(), object.value_at()), (tag, at, at + header));
                        prop_assert_eq!(object.value().len(), len);
                        at += header + len;
                    }
                    (Err(error), None) => prop_assert_eq!(error.at(), at),
                    (ours, naive) => prop_assert!(false, "{:?} {:?}", ours, naive),
                }
            }
        }
    }

    #[test]
    fn what_iso_accepts_emv_accepts(raw in prop::collection::vec(prop_oneof![Just(0x70u8), Just(0x9F), Just(0x01), any::<u8>()], 1..40)) {
        let objects: Result<Vec<_>, _> = parse(&raw, Rules::ISO).collect();
        if let Ok(objects) = objects && objects.iter().all(|o| !matches!(o.raw()[0], 0x00 | 0xFF)) {
            let emv: Vec<_> = parse(&raw, Rules::EMV).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(objects, emv);
        }
    }

    #[test]
    fn walk_equals_recursion(raw in prop::collection::vec(prop_oneof![Just(0x70u8), Just(0x04), Just(0x02), any::<u8>()], 0..60)) {
        fn recurse(level: huiwan_tlv::Tlvs<'_>, depth: usize, out: &mut Vec<(usize, usize)>) -> bool {
            for object in level {
                let Ok(object) = object else { return false };
                if object.tag().is_constructed() && !object.value().is_empty() && depth == 7 { return false }
                out.push((depth, object.at()));
                if object.tag().is_constructed() && !recurse(object.children(Rules::EMV), depth + 1, out) { return false }
            }
            true
        }
        let mut want = vec![];
        let good = recurse(parse(&raw, Rules::EMV), 0, &mut want);
        let got: Vec<_> = walk(&raw, Rules::EMV).collect();
        prop_assert_eq!(got.iter().all(Result::is_ok), good);
        let got: Vec<_> = got.into_iter().flatten().map(|(d, o)| (d, o.at())).collect();
        prop_assert_eq!(got, want);
    }
}
