//! Any GET STATUS answer and search data: entries are inside the answer, an AID is found exactly if an entry has it, and search
//! data that is read is written the same.
#![no_main]

use huiwan_gp::get_status::{self, Search};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let inside = |part: &[u8]| {
        data.as_ptr_range().start <= part.as_ptr() && part.as_ptr_range().end <= data.as_ptr_range().end
    };
    let mut read = Vec::new();
    let mut whole = true;
    for entry in get_status::entries(data) {
        let Ok(entry) = entry else {
            whole = false;
            break;
        };
        assert!(entry.aid.is_empty() || inside(entry.aid));
        for part in
            [entry.load_file, entry.version, entry.domain].into_iter().flatten().chain(entry.modules())
        {
            assert!(inside(part));
        }
        if entry.application_aid().is_some() {
            assert!((5..=16).contains(&entry.aid.len()));
        }
        read.push(entry.aid);
    }
    if whole {
        for aid in &read {
            assert_eq!(get_status::contains(data, aid), Ok(true));
        }
        assert_eq!(get_status::contains(data, b"an AID nobody has"), Ok(false));
    }
    if let Ok(Some(search)) = Search::parse(data) {
        let mut out = vec![0; data.len() + 8];
        let written = search.write(&mut out).expect("shortest lengths are not longer");
        assert_eq!(Search::parse(written), Ok(Some(search)));
    }
});
