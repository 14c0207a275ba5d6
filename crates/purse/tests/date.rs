//! Arithmetic on BCD stamps, against a calendar that counts day by day.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

use huiwan_purse::date::Stamp;
use proptest::prelude::*;

const fn at(date: u32, time: u32) -> Stamp {
    let [_, hour, minute, second] = time.to_be_bytes();
    Stamp { date: date.to_be_bytes(), time: [hour, minute, second] }
}

fn bcd(n: u32) -> u8 {
    u8::try_from(n / 10 % 10 * 16 + n % 10).unwrap()
}

fn date(year: u32, month: u32, day: u32) -> [u8; 4] {
    [bcd(year / 100), bcd(year), bcd(month), bcd(day)]
}

/// Every day of some centuries in order, by the rule of thumb.
fn days(from: u32, to: u32) -> Vec<[u8; 4]> {
    let mut all = Vec::new();
    for year in from..to {
        for month in 1..=12 {
            let length = match month {
                4 | 6 | 9 | 11 => 30,
                2 if year % 400 == 0 || year % 4 == 0 && year % 100 != 0 => 29,
                2 => 28,
                _ => 31,
            };
            all.extend((1..=length).map(|day| date(year, month, day)));
        }
    }
    all
}

#[test]
fn every_day_follows_the_day_before() {
    let days = days(1899, 2402);
    let first = Stamp { date: days[0], time: [0; 3] };
    for (n, day) in days.iter().enumerate() {
        let stamp = Stamp { date: *day, time: [0; 3] };
        assert_eq!(stamp.seconds_since(first), Some(n as u64 * 86_400), "{day:02X?}");
    }
}

#[test]
fn known_moments() {
    // The billionth second of UNIX time, and its last that fits a signed word.
    assert_eq!(at(0x2001_0909, 0x01_4640).unix_time(0), Some(1_000_000_000));
    assert_eq!(at(0x2038_0119, 0x03_1407).unix_time(0), Some(0x7FFF_FFFF));
    assert_eq!(at(0x2001_0909, 0x09_4640).unix_time(28_800), Some(1_000_000_000));
    assert_eq!(at(0x1970_0101, 0x08_0000).unix_time(28_800), Some(0));
    assert_eq!(at(0x1970_0101, 0x07_5959).unix_time(28_800), None, "before the beginning");
    assert_eq!(at(0x2106_0207, 0x06_2815).unix_time(0), Some(0xFFFF_FFFF));
    assert_eq!(at(0x2106_0207, 0x06_2816).unix_time(0), None, "does not fit");
    let midnight = at(0x2027_0101, 0x00_0000);
    assert_eq!(midnight.seconds_since(at(0x2026_1231, 0x23_5959)), Some(1));
    assert_eq!(midnight.minutes_since(at(0x2026_1231, 0x23_5901)), Some(0));
    assert_eq!(midnight.minutes_since(at(0x2026_1231, 0x23_3000)), Some(30));
    assert_eq!(
        at(0x0000_0301, 0).seconds_since(at(0x0000_0228, 0)),
        Some(2 * 86_400),
        "year 0 is a leap year"
    );
    assert!(at(0x9999_1231, 0x23_5959).seconds_since(at(0x0000_0101, 0)).is_some());
}

#[test]
fn what_is_no_moment_has_no_distance() {
    let now = at(0x2026_1122, 0x14_1740);
    for wrong in [
        at(0x2026_0230, 0),
        at(0x2026_0229, 0),
        at(0x2100_0229, 0),
        at(0x2026_1300, 0),
        at(0x2026_0001, 0),
        at(0x2026_0100, 0),
        at(0x2026_0132, 0),
        at(0x202A_0101, 0),
        at(0x2026_0A01, 0),
        at(0, 0),
        at(0xFFFF_FFFF, 0xFF_FFFF),
        at(0x2026_0101, 0x24_0000),
        at(0x2026_0101, 0x00_6000),
        at(0x2026_0101, 0x00_0060),
        at(0x2026_0101, 0x00_000A),
    ] {
        assert_eq!(now.seconds_since(wrong), None, "{wrong:02X?}");
        assert_eq!(wrong.seconds_since(at(0x0000_0101, 0)), None, "{wrong:02X?}");
    }
    assert_eq!(at(0x2026_1122, 0x14_1739).seconds_since(now), None, "the clock was set back");
    assert_eq!(now.seconds_since(now), Some(0));
}

proptest! {
    #[test]
    fn seconds_add_up(day in 0_usize..36_500, a in 0_u32..86_400, b in 0_u32..86_400) {
        let time = |n: u32| [bcd(n / 3600), bcd(n / 60 % 60), bcd(n % 60)];
        let days = days(2000, 2101);
        let (from, to) = (Stamp { date: days[0], time: time(a) }, Stamp { date: days[day], time: time(b) });
        let expected = (day as u64 * 86_400 + u64::from(b)).checked_sub(u64::from(a));
        prop_assert_eq!(to.seconds_since(from), expected);
        prop_assert_eq!(to.seconds_since(from).is_some(), from <= to, "stamps compare as moments do");
    }

    #[test]
    fn any_bytes(a: [u8; 7], b: [u8; 7]) {
        let (a, b) = (Stamp::from_bytes(&a), Stamp::from_bytes(&b));
        if let Some(seconds) = a.seconds_since(b) {
            prop_assert!(b <= a);
            prop_assert_eq!(a.minutes_since(b), Some(seconds / 60));
        }
    }
}
