//! What reads as a CAP file is put in load order, and its load file reads back as the same file; blocks of any length rejoin
//! to it.
#![no_main]

use huiwan_gp::cap::{CapFile, LoadFile};
use huiwan_tlv::{Rules, parse};
use libfuzzer_sys::fuzz_target;

fn whole(file: &LoadFile<'_, '_>, len: usize) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut block = vec![0; len];
    for number in 0..=u8::MAX {
        let Some(filled) = file.block(number, &mut block) else { break };
        whole.extend_from_slice(&block[..filled]);
    }
    whole
}

fuzz_target!(|input: &[u8]| {
    let Some((&block, data)) = input.split_first() else { return };
    let cap = match CapFile::from_load_data(data) {
        Ok(cap) => cap,
        Err(error) => return assert!(error.at() <= data.len(), "{error}"),
    };
    assert!(cap.imports().count() <= 255 && cap.applets().count() <= 255);
    let file = LoadFile::new(&cap).with_descriptor();
    let len = file.encoded_len();
    let loaded = whole(&file, len);
    assert_eq!(loaded.len(), len);
    let value = parse(&loaded, Rules::ISO).next().expect("C4").expect("well formed").value();
    assert_eq!(value.len(), file.data_len());
    let again = CapFile::from_load_data(value).expect("the same components");
    assert_eq!(again.header(), cap.header());
    assert_eq!(LoadFile::new(&again).with_descriptor().sha256(), file.sha256());
    if file.blocks(usize::from(block)).is_some() {
        assert_eq!(whole(&file, usize::from(block)), loaded);
    }
});
