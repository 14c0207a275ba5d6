//! CAP files put together by hand from the tables of [JCVM 6]; no public file may be copied here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use huiwan_crypto::hash;
use huiwan_gp::cap::{CapError, CapFile, Component, Dap, Kind, LoadFile, Package};
use huiwan_tlv::{Rules, Tag, find_path, parse};
use proptest::prelude::*;

fn component(kind: Kind, info: &[u8]) -> Vec<u8> {
    let mut raw = vec![kind.tag()];
    raw.extend((info.len() as u16).to_be_bytes());
    raw.extend(info);
    raw
}

fn header(minor: u8, flags: u8, name: Option<&[u8]>) -> Vec<u8> {
    let mut info = vec![0xDE, 0xCA, 0xFF, 0xED, minor, 0x02, flags];
    info.extend([0x03, 0x01, 0x06, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0x01]);
    if let Some(name) = name {
        info.push(name.len() as u8);
        info.extend(name);
    }
    component(Kind::Header, &info)
}

const FRAMEWORK: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x62, 0x01, 0x01];

/// A whole file, in no order; its directory tells the truth.
fn members() -> Vec<Vec<u8>> {
    let mut imports = vec![2];
    imports.extend([0x03, 0x01, 0x07]);
    imports.extend(FRAMEWORK);
    imports.extend([0x00, 0x01, 0x05, 0xA0, 0x00, 0x00, 0x01, 0x51]);
    let applets = [1, 7, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0x01, 0x01, 0x00, 0x10];
    let mut all = vec![
        component(Kind::Debug, &[9; 5]),
        component(Kind::ReferenceLocation, &[8; 4]),
        component(Kind::Method, &[7; 300]),
        component(Kind::Import, &imports),
        component(Kind::Applet, &applets),
        component(Kind::Class, &[6; 20]),
        component(Kind::StaticField, &[5; 10]),
        component(Kind::ConstantPool, &[4; 30]),
        component(Kind::Descriptor, &[3; 40]),
        header(2, 0x04, Some(b"an/example")),
    ];
    let mut directory = Vec::new();
    for tag in 1..=12 {
        // Its own size: twelve sizes, three fields of the static image, three counts.
        let own = (tag == Kind::Directory.tag()).then_some(24 + 6 + 3);
        let len = own.or_else(|| all.iter().find(|member| member[0] == tag).map(|member| member.len() - 3));
        directory.extend((len.unwrap_or(0) as u16).to_be_bytes());
    }
    directory.extend([0, 10, 0, 0, 0, 0, 2, 1, 0]);
    all.insert(3, component(Kind::Directory, &directory));
    all
}

fn cap(members: &[Vec<u8>]) -> Result<CapFile<'_>, (CapError, usize)> {
    let slices: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
    CapFile::new(&slices).map_err(|error| (error.kind(), error.at()))
}

fn whole(file: &LoadFile<'_, '_>, block: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    for number in 0..=u8::MAX {
        let mut out = vec![0; block];
        let Some(len) = file.block(number, &mut out) else { break };
        whole.extend(&out[..len]);
    }
    whole
}

#[test]
fn header_imports_and_applets_are_read() {
    let members = members();
    let cap = cap(&members).unwrap();
    let package = Package { aid: &[0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0x01], major: 1, minor: 3 };
    assert_eq!((cap.header().format, cap.header().package), ((2, 2), package));
    assert_eq!(cap.header().name, b"an/example");
    assert!(cap.header().has_applets() && !cap.header().exports() && !cap.header().uses_int());
    let imports: Vec<_> = cap.imports().collect();
    let framework = Package { aid: &FRAMEWORK, major: 1, minor: 3 };
    let globalplatform = Package { aid: &[0xA0, 0x00, 0x00, 0x01, 0x51], major: 1, minor: 0 };
    assert_eq!(imports, [framework, globalplatform]);
    assert_eq!(cap.java_card_version(), Some("2.2.2"));
    assert_eq!(cap.applets().collect::<Vec<_>>(), [[0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0x01, 0x01]]);
}

#[test]
fn an_import_wants_the_same_major_and_at_least_its_minor_version() {
    let members = members();
    let cap = cap(&members).unwrap();
    let card = |minor| {
        [
            Package { aid: &FRAMEWORK, major: 1, minor },
            Package { aid: &[0xA0, 0x00, 0x00, 0x01, 0x51], major: 1, minor: 6 },
        ]
    };
    let missing = |card: [Package<'_>; 2]| {
        cap.missing_import(|import| card.iter().any(|package| package.serves(import)))
            .map(|import| import.aid)
    };
    assert_eq!(missing(card(3)), None);
    assert_eq!(missing(card(6)), None);
    assert_eq!(missing(card(2)), Some(&FRAMEWORK[..]));
    let mut other_major = card(6);
    other_major[1].major = 2;
    assert_eq!(missing(other_major), Some(&[0xA0, 0x00, 0x00, 0x01, 0x51][..]));
}

#[test]
fn components_are_loaded_in_their_order() {
    let members = members();
    let cap = cap(&members).unwrap();
    let tags = |descriptor| cap.load_order(descriptor).map(|c| c.kind().tag()).collect::<Vec<_>>();
    assert_eq!(tags(false), [1, 2, 4, 3, 6, 7, 8, 5, 9]);
    assert_eq!(tags(true), [1, 2, 4, 3, 6, 7, 8, 5, 9, 11]);
}

#[test]
fn a_load_file_is_its_signatures_and_its_data() {
    let members = members();
    let cap = cap(&members).unwrap();
    let plain = LoadFile::new(&cap);
    let data: Vec<u8> = cap.load_order(false).flat_map(Component::raw).copied().collect();
    assert_eq!(plain.data_len(), data.len());
    assert_eq!(plain.sha256(), hash::sha256(&[&data]));
    assert_eq!(plain.sha1(), hash::sha1(&[&data]));
    assert_ne!(plain.with_descriptor().sha256(), plain.sha256());

    let daps = [
        Dap { domain: &[0xA0, 0, 0, 1, 0x51, 0, 0, 1], signature: &[0x55; 128] },
        Dap { domain: &[0xA0, 0, 0, 1, 0x51, 0, 0, 2], signature: &[0x66; 64] },
    ];
    let signed = plain.with_daps(&daps);
    let file = whole(&signed, 100);
    assert_eq!(file.len(), signed.encoded_len());
    let objects: Vec<_> = parse(&file, Rules::ISO).map(Result::unwrap).collect();
    assert_eq!(objects.iter().map(|object| object.tag().get()).collect::<Vec<_>>(), [0xE2, 0xE2, 0xC4]);
    assert_eq!(objects[2].value(), data);
    let (e2, domain, signature) = (Tag::new(0xE2), Tag::new(0x4F), Tag::new(0xC3));
    assert_eq!(find_path(&file, Rules::ISO, &[e2, domain]).unwrap().unwrap().value(), daps[0].domain);
    assert_eq!(find_path(&file, Rules::ISO, &[e2, signature]).unwrap().unwrap().value(), daps[0].signature);
    assert_eq!(objects[1].value()[12..], daps[1].signature[..]);
}

#[test]
fn blocks_rejoin_and_are_numbered_with_one_byte() {
    let members = members();
    let cap = cap(&members).unwrap();
    let file = LoadFile::new(&cap);
    let len = file.encoded_len();
    for block in [1, 2, 3, 100, 239, 247, len - 1, len, len + 1] {
        let expected = file.blocks(block);
        assert_eq!(expected, Some(len.div_ceil(block)).filter(|blocks| *blocks <= 256), "{block}");
        if expected.is_some() {
            assert_eq!(whole(&file, block), whole(&file, len), "{block}");
        }
    }
    assert_eq!(file.blocks(0), None);
    assert_eq!(file.block(0, &mut []), None);
}

#[test]
fn a_load_file_reads_back_as_the_same_file() {
    let members = members();
    let from_members = cap(&members).unwrap();
    let file = whole(&LoadFile::new(&from_members).with_descriptor(), 2000);
    let data = parse(&file, Rules::ISO).next().unwrap().unwrap().value();
    let again = CapFile::from_load_data(data).unwrap();
    assert_eq!(again.header(), from_members.header());
    assert_eq!(LoadFile::new(&again).sha256(), LoadFile::new(&from_members).sha256());
}

#[test]
fn what_is_wrong_is_named_with_its_byte() {
    let mut without_method = members();
    without_method.retain(|member| member[0] != Kind::Method.tag());
    // Six sizes before it, and the prefix.
    assert_eq!(cap(&without_method).unwrap_err(), (CapError::Directory(Kind::Method), 15));

    let mut longer = members();
    longer.iter_mut().find(|member| member[0] == Kind::Class.tag()).unwrap().push(0);
    assert_eq!(cap(&longer).unwrap_err(), (CapError::Length(Kind::Class), 23));

    let mut twice = members();
    twice.push(component(Kind::Export, &[]));
    twice.push(component(Kind::Export, &[]));
    assert_eq!(cap(&twice).unwrap_err().0, CapError::Twice(Kind::Export));

    assert_eq!(cap(&[component(Kind::Import, &[0])]).unwrap_err(), (CapError::NoHeader, 0));
    assert_eq!(cap(&[vec![14, 0, 0]]).unwrap_err(), (CapError::Tag(14), 0));
    assert_eq!(cap(&[vec![1, 0]]).unwrap_err(), (CapError::Truncated(None), 2));
    assert_eq!(cap(&[vec![1, 0, 9, 0xDE]]).unwrap_err(), (CapError::Truncated(Some(Kind::Header)), 4));

    let mut magic = header(1, 0, None);
    magic[3] = 0xDF;
    assert_eq!(cap(&[magic]).unwrap_err(), (CapError::Magic, 3));
    assert_eq!(cap(&[header(3, 0x08, None)]).unwrap_err(), (CapError::Extended, 9));
    let imports = component(Kind::Import, &[1, 0, 1, 4, 0xA0, 0, 0, 0]);
    assert_eq!(cap(&[header(1, 0, None), imports]).unwrap_err(), (CapError::Aid(Kind::Import), 6));
    let applets = component(Kind::Applet, &[0, 0]);
    assert_eq!(cap(&[header(1, 4, None), applets]).unwrap_err(), (CapError::Length(Kind::Applet), 4));
}

proptest! {
    #[test]
    fn any_members_are_a_file_or_an_error_inside_them(
        members in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        kind in 1_u8..14,
    ) {
        let mut members = members;
        // Most random bytes fail at the tag; some get further.
        for member in &mut members {
            if let [tag, high, low, info @ ..] = &mut member[..] {
                (*tag, *high, *low) = (kind, 0, info.len() as u8);
            }
        }
        members.push(header(2, 0x04, Some(b"")));
        match cap(&members) {
            Ok(cap) => {
                let _ = (cap.imports().count(), cap.applets().count(), cap.java_card_version());
                let file = LoadFile::new(&cap);
                prop_assert_eq!(whole(&file, 7).len().min(7 * 256), file.encoded_len().min(7 * 256));
            }
            Err((_, at)) => prop_assert!(at <= members.iter().map(Vec::len).max().unwrap_or(0)),
        }
    }
}

/// Writes the seeds of the fuzz target `cap_parse`: `cargo test -p huiwan-gp --test cap -- --ignored`.
#[test]
#[ignore = "writes files"]
fn write_seeds() {
    let members = members();
    let cap = cap(&members).unwrap();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/cap_parse");
    for (name, data) in [
        ("whole", cap.load_order(true).flat_map(Component::raw).copied().collect::<Vec<_>>()),
        ("header", header(1, 0, None)),
        ("extended", header(3, 8, Some(b"x"))),
        (
            "imports",
            [header(2, 0, Some(b"")), component(Kind::Import, &[1, 0, 1, 5, 1, 2, 3, 4, 5])].concat(),
        ),
    ] {
        std::fs::write(directory.join(name), [&[50][..], &data].concat()).unwrap();
    }
}
