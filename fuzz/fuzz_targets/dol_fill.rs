//! A filled data object list has exactly the length it asks for, each entry cut or padded by the rules.
#![no_main]
use huiwan_tlv::Full;
use huiwan_tlv::dol::{Dol, Format};
use libfuzzer_sys::fuzz_target;

/// [EMV-B3 5.4], byte by byte.
fn naive(format: Format, value: &[u8], len: usize) -> Vec<u8> {
    match format {
        Format::Numeric => {
            let mut out: Vec<u8> =
                value.iter().rev().copied().chain(std::iter::repeat(0)).take(len).collect();
            out.reverse();
            out
        }
        Format::CompressedNumeric => value.iter().copied().chain(std::iter::repeat(0xFF)).take(len).collect(),
        Format::Other => value.iter().copied().chain(std::iter::repeat(0)).take(len).collect(),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&split, data)) = data.split_first() else { return };
    let (list, values) = data.split_at(usize::from(split).min(data.len()));
    let dol = match Dol::parse(list) {
        Ok(dol) => dol,
        Err(error) => return assert!(error.at() < list.len()),
    };
    // The tag number decides format and value, so that both sides can compute it.
    let value = |tag: u32| {
        let value = &values[(tag as usize % (values.len() + 1))..];
        match tag % 4 {
            0 => None,
            1 => Some((value, Format::Numeric)),
            2 => Some((value, Format::CompressedNumeric)),
            _ => Some((value, Format::Other)),
        }
    };
    let mut want = vec![];
    for entry in dol.iter() {
        assert!(dol.contains(entry.tag));
        want.extend(match value(entry.tag.get()) {
            Some((value, format)) if !entry.tag.is_constructed() => naive(format, value, entry.len.into()),
            _ => vec![0; entry.len.into()],
        });
    }
    assert_eq!(dol.total_len(), want.len());
    let mut out = vec![0xEE; want.len() + 1];
    assert_eq!(dol.fill(&mut out, |tag| value(tag.get())).unwrap(), want);
    assert_eq!(out[want.len()], 0xEE);
    if !want.is_empty() {
        let needed = want.len();
        assert_eq!(dol.fill(&mut out[..needed - 1], |tag| value(tag.get())), Err(Full { needed }));
    }
});
