//! Every layout of the transit files: what parses prints as it was, and no field leaves its record. Settlement files: what
//! parses prints as it was, errors end the file.
#![no_main]

use huiwan_purse::host::settlement::{Record, Records};
use huiwan_purse::terminal::Pending;
use huiwan_purse::transit::{bus, holder, log, management, process, public_info, rail};
use libfuzzer_sys::fuzz_target;

macro_rules! round_trip {
    ($input:expr, $($record:ty, $layout:expr;)*) => {
        $(if let Ok(record) = <$record>::parse($input) {
            assert_eq!(&record.as_bytes()[..], $input);
            let covered: usize = $layout.iter().map(|row| $input[row.at..row.at + row.len].len()).sum();
            assert_eq!(covered, $input.len(), "the fields are the record");
        })*
    };
}

fuzz_target!(|input: &[u8]| {
    round_trip!(
        input,
        public_info::PublicInfo, public_info::LAYOUT;
        holder::Holder, holder::LAYOUT;
        management::Management, management::LAYOUT;
        log::LogRecord, log::LAYOUT;
        rail::Rail, rail::LAYOUT;
        bus::Bus, bus::LAYOUT;
        process::Process, process::LAYOUT;
    );
    if let Some(pending) = Pending::from_bytes(input) {
        assert_eq!(&pending.to_bytes()[..], input);
    }
    let mut at = 0;
    let mut ended = false;
    for record in Records::new(input) {
        assert!(!ended, "nothing after an error");
        match record {
            Ok(record) => {
                assert_eq!(record.to_bytes(), input[at..at + Record::LEN]);
                at += Record::LEN;
            }
            Err(error) => {
                assert!(error.at() >= at && error.at() <= input.len());
                ended = true;
            }
        }
    }
    assert!(ended || at == input.len());
});
