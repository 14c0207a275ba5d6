//! Every layout of the transit files: what parses prints as it was, and no field leaves its record. Settlement files: what
//! parses prints as it was, errors end the file, findings name records there are. A host's sessions: what is read is
//! written as it was.
#![no_main]

use huiwan_purse::host::online::OnlineSession;
use huiwan_purse::host::settlement::findings::{Finding, by_card, by_terminal};
use huiwan_purse::host::settlement::{Record, Records, duplicates, verdict, verdict_len};
use huiwan_purse::profile::Profile;
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
    if let Some(session) = OnlineSession::from_bytes(input) {
        assert_eq!(&session.to_bytes().unwrap()[..], input);
    }
    let mut at = 0;
    let mut ended = false;
    let mut records = Vec::new();
    for record in Records::new(input) {
        assert!(!ended, "nothing after an error");
        match record {
            Ok(record) => {
                assert_eq!(record.to_bytes(), input[at..at + Record::LEN]);
                at += Record::LEN;
                records.push(record);
            }
            Err(error) => {
                assert!(error.at() >= at && error.at() <= input.len());
                ended = true;
            }
        }
    }
    assert!(ended || at == input.len());

    let (right, mut order) = (vec![0xFF; verdict_len(records.len())], vec![0; records.len()]);
    let mut twice = right.clone();
    assert!(duplicates(&records, &right, &mut order, &mut twice));
    for (n, record) in records.iter().enumerate().filter(|(n, _)| verdict(&twice, *n)) {
        let number = |record: &Record| (record.transaction.terminal, record.transaction.terminal_seq);
        let counter = |record: &Record| (record.transaction.card, record.transaction.seq);
        let same = |first: &Record| match record.transaction.tti.is_offline() {
            true => number(first) == number(record),
            false => counter(first) == counter(record) && first.transaction.tti == record.transaction.tti,
        };
        assert!(records[..n].iter().any(same));
    }
    let mut findings: Vec<Finding> = Vec::new();
    for profile in Profile::ALL {
        findings.extend(by_card(profile, &records, &right, &mut order).unwrap());
    }
    findings.extend(by_terminal(&records, &right, &mut order).unwrap());
    for finding in findings {
        match finding {
            Finding::Repeated { record, first } => {
                assert!(first < record && records[first] == records[record])
            }
            Finding::Replayed { record, first } => {
                assert!(first < record && records[first] != records[record])
            }
            Finding::Missing { after, before, count } => {
                assert!(after.max(before) < records.len() && after != before && count > 0);
            }
            Finding::Unexplained { after, before, difference } => {
                assert!(after.max(before) < records.len() && after != before && difference != 0);
            }
            other => panic!("{other:?}"),
        }
    }
});
