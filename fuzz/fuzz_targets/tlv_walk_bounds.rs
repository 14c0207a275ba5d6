//! Every object of a walk lies inside its parent and inside the input, at the offset it claims; errors too; and
//! the walk ends.
#![no_main]
use huiwan_tlv::compact::Compacts;
use huiwan_tlv::dgi::Dgis;
use huiwan_tlv::simple::Simples;
use huiwan_tlv::tag_list::TagList;
use huiwan_tlv::{Rules, Tag, find, find_each, find_path, parse, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for rules in [Rules::ISO, Rules::ISO.strict(), Rules::EMV, Rules::EMV.strict()] {
        // The end of the template open on each level.
        let mut ends = vec![data.len()];
        let mut last_at = None;
        let mut walked = walk(data, rules);
        let mut count = 0;
        for item in walked.by_ref() {
            count += 1;
            match item {
                Ok((depth, object)) => {
                    assert!(depth < 8 && depth < ends.len());
                    ends.truncate(depth + 1);
                    assert!(last_at < Some(object.at()));
                    last_at = Some(object.at());
                    let end = object.at() + object.raw().len();
                    assert!(end <= ends[depth]);
                    assert_eq!(&data[object.at()..end], object.raw());
                    assert_eq!(&data[object.value_at()..end], object.value());
                    assert_eq!(object.value_at() + object.value().len(), end);
                    ends.push(end);
                }
                Err(error) => assert!(error.at() < data.len()),
            }
        }
        assert!(count <= data.len());
        assert!(walked.next().is_none());
        let mut level = parse(data, rules);
        let mut taken = 0;
        while let Some(item) = level.next() {
            if let Ok(object) = item {
                taken = object.at() + object.raw().len();
                assert_eq!(taken + level.rest().len(), data.len());
                assert_eq!(find(&data[..taken], rules, object.tag()).unwrap().unwrap().tag(), object.tag());
            } else {
                assert!(level.rest().is_empty());
            }
        }
        assert!(taken <= data.len());
        let _ = find_path(data, rules, &[0x6F, 0xA5, 0xBF0C].map(Tag::new));
        if let Ok(found) = find_each(data, rules, [0x84, 0x50, 0x9F38].map(Tag::new)) {
            for object in found.into_iter().flatten() {
                assert_eq!(&data[object.at()..][..object.raw().len()], object.raw());
            }
        }
    }
    assert!(Dgis::new(data).count() <= data.len());
    assert!(Simples::new(data).count() <= data.len());
    assert!(Compacts::new(data).count() <= data.len());
    assert!(TagList::new(data).count() <= data.len());
});
