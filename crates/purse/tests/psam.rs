//! The PSAM three times: in memory, as a card application, and behind a link that carries APDUs to that application.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use core::cell::Cell;

use huiwan_card::{Cut as FlashCut, Journal, Memory, Module, RamFlash};
use huiwan_crypto::Secret;
use huiwan_purse::mac::PurchaseTac;
use huiwan_purse::profile::{Profile, SamCount};
use huiwan_purse::psam::card::Psam;
use huiwan_purse::psam::personalisation::{self, dgi_key, key_value};
use huiwan_purse::psam::{
    CalculateGmac, CertifyGreyLock, CheckAuthCode, CreditForPurchase, InitForGreyLock, InitForPurchase,
    KeyFile, LinkedSam, Opening, RecomputeTac, Sam, SamApplication, SamInfo, SamKey, SamRefused,
    SecureCommand, SoftSam, UsageKey,
};
use huiwan_purse::terminal::{Outcome, Policy, Tap, drive};
use huiwan_purse::tti::Tti;
use huiwan_testkit::rng::Seeded;
use proptest::prelude::*;
use world::{Band, CARD, ENTRY, EXIT, Notes, RamBand, RamMemory, STAMP, Suite, TERMINAL, hex, oracle};

const RECORD_USAGE: u8 = 0x28;

fn purchase_key() -> SamKey {
    let [purchase, ..] = world::masters();
    SamKey { version: 1, algorithm: 1, value: purchase.value }
}

fn more() -> [UsageKey; 4] {
    let [_, _, tac, maintenance] = world::masters();
    let key = |usage, version, value| UsageKey { usage, key: SamKey { version, algorithm: 1, value } };
    [
        key(0x45, 1, maintenance.value),
        key(0x44, 0, tac.value),
        key(RECORD_USAGE, 1, Secret::new([0x28; 16])),
        key(UsageKey::AUTH_CODE, 3, Secret::new([0xA0; 16])),
    ]
}

fn soft(profile: &Profile, next_seq: u32) -> SoftSam<Suite, 1, 4> {
    SoftSam::new(profile, TERMINAL, 1, [purchase_key()], next_seq).with_keys(more())
}

const KEY_FILE: KeyFile = KeyFile {
    key_index: 1,
    issuer: CARD.issuer,
    acquirer: [0x11; 8],
    start: [0x20, 0x25, 0x01, 0x01],
    end: [0x20, 0x99, 0x12, 0x31],
};
const INFO: SamInfo = SamInfo { serial: [0x77; 10], version: 2, kind: 3, fci: [0xAB, 0xCD] };

fn modules_of(profile: Profile) -> &'static [&'static dyn Module] {
    let psam: &'static dyn Module = Box::leak(Box::new(Psam::<Suite>::new(profile)));
    Box::leak(Box::new([world::modules(profile)[0], psam]))
}

fn issue_into<M: Memory>(band: &mut Band<M>, next_seq: u32, purchase: SamKey) {
    band.ok("00A4040008A00000015100000000");
    band.ok("80E60000");
    let mut store = |dgi: u16, value: &[u8]| {
        band.ok(&format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(value)));
    };
    let purchase = UsageKey { usage: personalisation::PURCHASE, key: purchase };
    for key in more().iter().chain([&purchase]) {
        let flags = if key.usage == RECORD_USAGE { personalisation::ENCRYPTS } else { 0 };
        store(dgi_key(key.usage), key_value(key, flags).expose());
    }
    store(personalisation::DGI_NEXT_SEQ, &next_seq.to_be_bytes());
    store(personalisation::DGI_INFO, &INFO.to_bytes());
    store(personalisation::DGI_TERMINAL, &TERMINAL);
    store(personalisation::DGI_KEY_FILE, &KEY_FILE.to_bytes());
    band.select();
    band.trace.clear();
}

fn card(profile: Profile, next_seq: u32) -> RamBand {
    let mut band = Band::blank(RamMemory::default(), modules_of(profile), world::kept_entries());
    issue_into(&mut band, next_seq, purchase_key());
    band
}

const OPENING: Opening<'static> = Opening { application: SamApplication::JTT_978, info: true };

fn linked(profile: Profile, next_seq: u32) -> LinkedSam<RamBand> {
    LinkedSam::open(card(profile, next_seq), &profile, &OPENING).unwrap()
}

fn linked_over_t0(profile: Profile, next_seq: u32) -> LinkedSam<RamBand> {
    let mut band = card(profile, next_seq);
    band.put_on_contacts();
    band.send(&huiwan_testkit::hex("00A4040008A000000632010105"));
    LinkedSam::open(band, &profile, &OPENING).unwrap()
}

/// A scheme with everything a PSAM can do.
fn everything() -> Profile {
    Profile::CJT_304
}

const PURCHASE: InitForPurchase = InitForPurchase {
    card: CARD,
    random: [0x11, 0x22, 0x33, 0x44],
    offline_seq: 0x042C,
    amount: 500,
    tti: Tti::EP_PURCHASE,
    stamp: STAMP,
    key_version: 1,
    algorithm: 1,
};

fn lock_request() -> InitForGreyLock {
    InitForGreyLock {
        card: CARD,
        random: [0x11, 0x22, 0x33, 0x44],
        offline_seq: 0x042C,
        balance: 5000,
        stamp: STAMP,
        key_version: 1,
        algorithm: 1,
    }
}

/// The card's key, by the second implementation.
fn derived(profile: &Profile, master: &[u8]) -> Vec<u8> {
    let levels = profile.path.iter().map(|factor| CARD.factor(*factor));
    levels.fold(master.to_vec(), |key, factor| oracle::diversify(&key, &factor))
}

fn session(profile: &Profile, terminal_seq: u32) -> Vec<u8> {
    let dpk = derived(profile, purchase_key().value.expose());
    oracle::purchase_session(&dpk, &PURCHASE.random, &[0x04, 0x2C], &terminal_seq.to_be_bytes())
}

/// The MAC2 that a card answers to [`PURCHASE`].
fn right_mac2(profile: &Profile, terminal_seq: u32) -> [u8; 4] {
    oracle::mac(&session(profile, terminal_seq), &500_u32.to_be_bytes()).try_into().unwrap()
}

/// Every command and its answer.
type Trace = Vec<(Vec<u8>, Vec<u8>)>;

fn day(sam: &mut dyn Sam) -> (Vec<Outcome>, Trace) {
    let mut band = world::issued();
    let policy = Policy { card_type: true, ..Policy::default() };
    let mut outcomes = Vec::new();
    let mut notes = Notes { fare: 500, ..Notes::default() };
    let mut tap = Tap::new(world::DEVICE, &policy, &ENTRY, STAMP);
    outcomes.push(drive::tap(&mut tap, &mut band, sam, &mut notes).unwrap());
    band.retap();
    let mut tap = Tap::new(world::DEVICE, &policy, &EXIT, STAMP);
    outcomes.push(drive::tap(&mut tap, &mut band, sam, &mut notes).unwrap());
    (outcomes, band.trace)
}

#[test]
fn three_psams_give_the_same_taps() {
    let profile = Profile::JTT_978;
    let (outcomes, bytes) = day(&mut soft(&profile, 0x0001_0203));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Paid(_))), "{outcomes:?}");
    let same = (outcomes, bytes);
    assert_eq!(day(&mut linked(profile, 0x0001_0203)), same);
    assert_eq!(day(&mut linked_over_t0(profile, 0x0001_0203)), same);
}

#[test]
fn the_opened_psam_knows_its_files() {
    let mut sam = linked(Profile::JTT_978, 1);
    assert_eq!((sam.terminal(), sam.key_index()), (TERMINAL, 1));
    assert_eq!((sam.key_file(), sam.info()), (&KEY_FILE, Some(&INFO)));
    let sent: Vec<String> = sam.link_mut().trace.iter().map(|(command, _)| hex(command)).collect();
    assert_eq!(sent, ["00B0960006", "00B095000E", "00A40000028011", "00B0970019"]);
}

/// Every request to both kinds of PSAM, wrong ones among them; the answers are equal.
#[test]
fn soft_and_linked_answer_alike() {
    thread_local!(static RANDOM: Cell<[u8; 4]> = const { Cell::new([0; 4]) });
    let profile = everything();
    let mut linked = linked(profile, 7);
    let mut soft = soft(&profile, 7).with_random(|| RANDOM.get());
    let code = huiwan_purse::psam::auth_code::<<Suite as huiwan_crypto::Suite>::Key>(
        &profile,
        3,
        1,
        &Secret::new([0xA0; 16]),
        &CARD,
    )
    .unwrap();
    let tac = RecomputeTac {
        card: CARD,
        algorithm: 1,
        message: PurchaseTac { amount: 500, tti: Tti(6), terminal: TERMINAL, terminal_seq: 9, stamp: STAMP },
    };
    let secure = SecureCommand {
        card: CARD,
        key_version: 1,
        algorithm: 1,
        challenge: [1, 2, 3, 4, 0, 0, 0, 0],
        header: [0x84, 0x1E, 0x00, 0x00, 0x04],
    };

    macro_rules! both {
        ($method:ident, $request:expr) => {{
            let linked = linked.$method($request);
            assert_eq!(soft.$method($request), linked, stringify!($method));
            linked
        }};
    }
    assert_eq!(
        both!(credit_for_purchase, &CreditForPurchase { terminal_seq: 7, mac2: [0; 4] }),
        Err(SamRefused::STATE)
    );
    assert_eq!(
        both!(init_for_purchase, &InitForPurchase { key_version: 9, ..PURCHASE }),
        Err(SamRefused::NO_KEY)
    );
    assert!(both!(init_for_purchase, &InitForPurchase { tti: Tti(0x93), ..PURCHASE }).is_err());
    assert_eq!(both!(init_for_purchase, &PURCHASE).unwrap().terminal_seq, 7);
    let wrong = CreditForPurchase { terminal_seq: 7, mac2: [0; 4] };
    assert_eq!(both!(credit_for_purchase, &wrong), Err(SamRefused::MAC_INVALID));
    let right = CreditForPurchase { mac2: right_mac2(&profile, 7), ..wrong };
    assert_eq!(both!(credit_for_purchase, &right), Ok(()));
    assert_eq!(both!(credit_for_purchase, &right), Err(SamRefused::STATE), "once");

    // The authentication code, and the MAC1 it changes.
    let wrong_code = CheckAuthCode { card: CARD, code: [3; 9] };
    assert_eq!(both!(check_auth_code, &wrong_code), Err(SamRefused::MAC_INVALID));
    assert_eq!(both!(check_auth_code, &CheckAuthCode { card: CARD, code }), Ok(()));
    let mac1 = both!(init_for_purchase, &PURCHASE).unwrap().mac1;
    let message = format!("000001F406{}{}{}", hex(&TERMINAL), hex(&STAMP.to_bytes()), hex(&code));
    assert_eq!(mac1.to_vec(), oracle::mac(&session(&profile, 8), &huiwan_testkit::hex(&message)));
    let plain = both!(init_for_purchase, &PURCHASE).unwrap().mac1;
    let message = huiwan_testkit::hex(&message[..36]);
    assert_eq!(plain.to_vec(), oracle::mac(&session(&profile, 9), &message), "the code serves once");

    // MACs by INIT DES.
    let [_, _, dtk, damk] = world::masters().map(|master| derived(&profile, master.value.expose()));
    let mac = both!(secure_command, &secure).unwrap();
    assert_eq!(mac.to_vec(), oracle::secured(&damk, &secure.challenge, &secure.header));
    let message = format!("000001F406{}00000009{}", hex(&TERMINAL), hex(&STAMP.to_bytes()));
    let recomputed = both!(recompute_tac, &tac).unwrap();
    assert_eq!(recomputed.to_vec(), oracle::tac(&dtk, &huiwan_testkit::hex(&message)));
    assert_eq!(both!(secure_command, &SecureCommand { key_version: 9, ..secure }), Err(SamRefused::NO_KEY));

    // The grey lock; the card's random number is told to the other.
    let locked = linked.init_for_grey_lock(&lock_request()).unwrap();
    RANDOM.set(locked.terminal_random);
    assert_eq!(soft.init_for_grey_lock(&lock_request()), Ok(locked));
    let dpk = derived(&profile, purchase_key().value.expose());
    let seq = locked.terminal_seq.to_be_bytes();
    let key = oracle::grey_session(&dpk, &PURCHASE.random, &[0x04, 0x2C], &seq, &locked.terminal_random);
    let message = huiwan_testkit::hex(&format!("91{}{}", hex(&TERMINAL), hex(&STAMP.to_bytes())));
    assert_eq!(locked.mac1.to_vec(), oracle::mac(&key, &message));
    let gmac = CalculateGmac { card: CARD, offline_seq: 0x042D, amount: 1234 };
    assert_eq!(both!(calculate_gmac, &gmac), Err(SamRefused::STATE), "not before MAC2");
    let terminal_seq = locked.terminal_seq;
    let wrong = CertifyGreyLock { terminal_seq, mac2: [0; 4] };
    assert_eq!(both!(certify_grey_lock, &wrong), Err(SamRefused::MAC_INVALID));
    let mac2 = oracle::mac(&key, &5000_u32.to_be_bytes()).try_into().unwrap();
    assert_eq!(both!(certify_grey_lock, &CertifyGreyLock { terminal_seq, mac2 }), Ok(()));
    assert!(both!(calculate_gmac, &CalculateGmac { offline_seq: 5, ..gmac }).is_err());
    assert!(both!(calculate_gmac, &CalculateGmac { amount: 5001, ..gmac }).is_err());
    let answer = both!(calculate_gmac, &gmac).unwrap();
    assert_eq!(answer.to_vec(), oracle::mac(&key, &1234_u32.to_be_bytes()));
    assert_eq!(both!(calculate_gmac, &gmac), Err(SamRefused::STATE), "once");
    // The debit's own number is not given to anybody else.
    assert_eq!(both!(init_for_purchase, &PURCHASE).unwrap().terminal_seq, terminal_seq + 2);
}

/// The published purchase through APDUs: a PSAM whose key is the card's own, since its path has no level.
#[test]
fn published_vectors_through_apdus() {
    let profile = Profile::PBOC;
    let psam: &'static dyn Module = Box::leak(Box::new(Psam::<Suite>::new(profile).with_path(&[])));
    let modules: &'static [&'static dyn Module] = Box::leak(Box::new([world::modules(profile)[0], psam]));
    let mut band = Band::blank(RamMemory::default(), modules, world::kept_entries());
    let key = 0x1122_3344_5566_7788_8877_6655_4433_2211_u128.to_be_bytes();
    issue_into(&mut band, 1, SamKey { version: 1, algorithm: 1, value: Secret::new(key) });
    // The terminal number of the published example.
    band.ok("00A4040008A00000015100000000");
    band.ok("80E20000080016001122334455");
    band.select();
    let serial = "0000000012345678";
    band.expect(
        &format!("807000001C11223344000000001000062012022913510001 01{serial}08").replace(' ', ""),
        "00000001F15CAB759000",
    );
    band.expect("8072000004 56988A13".replace(' ', "").as_str(), "9000");
}

#[test]
fn the_bytes_of_the_sheet() {
    let profile = Profile::JTT_978;
    let mut band = card(profile, 0x0001_0203);
    band.expect("00B0960006", &format!("{}9000", hex(&TERMINAL)));
    let factors = format!("{}{}", hex(&CARD.serial[2..]), hex(&CARD.issuer));
    let mac1 = oracle::mac(
        &session(&profile, 0x0001_0203),
        &huiwan_testkit::hex(&format!("000001F406{}{}", hex(&TERMINAL), hex(&STAMP.to_bytes()))),
    );
    let init = format!("807000002411223344042C000001F406{}0101{factors}08", hex(&STAMP.to_bytes()));
    band.expect(&init, &format!("00010203{}9000", hex(&mac1)));
    band.expect("807200000400000000", "9302");
    band.expect(&format!("8072000004{}", hex(&right_mac2(&profile, 0x0001_0203))), "9000");
    band.expect("807200000400000000", "6901");
    // Wrong lengths, parameters and classes.
    band.expect(&init.replace("8070000024", "807001002 4".replace(' ', "").as_str()), "6A86");
    band.expect("80700000041122334408", "6700");
    band.expect("8072000003000000", "6901");
    band.expect("E04000000411223344", "6700");
    band.expect("8074000000", "6D00");
    band.expect("84700000", "6E00");
    band.expect("00A40000021234", "6A82");
    band.expect("00B0980001", "6A82");
    // Encryption: only a key that is marked for it, one calculation for each INIT DES.
    band.expect("80FA0000080000000000000000", "6901");
    band.ok(&format!("801A280110{factors}"));
    let key = derived(&profile, &[0x28; 16]);
    let block = hex(&oracle::tdes(&key, &[0x5A; 8]));
    band.expect("80FA0000085A5A5A5A5A5A5A5A08", &format!("{block}9000"));
    band.expect("80FA0000085A5A5A5A5A5A5A5A08", "6901");
    band.ok(&format!("801A450110{factors}"));
    band.expect("80FA0000085A5A5A5A5A5A5A5A08", "6985");
    band.expect(&format!("801A000110{factors}"), "9403");
    band.expect(&format!("801A010310{factors}"), "9403");
    band.ok(&format!("801A450110{factors}"));
    band.expect("80FA050010000000000000000001020304050607 0804".replace(' ', "").as_str(), "6A80");
}

#[test]
fn the_counter_ends() {
    let end = u32::MAX - 1;
    for sam in [&mut soft(&everything(), end) as &mut dyn Sam, &mut linked(everything(), end)] {
        assert!(sam.init_for_grey_lock(&lock_request()).is_err());
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, end);
        assert_eq!(sam.init_for_purchase(&PURCHASE), Err(SamRefused::COUNTER_AT_END));
    }
}

#[test]
fn wrong_macs_lock_the_purchase_key_where_the_profile_says_so() {
    let mut profile = everything();
    profile.sam.mac_error_limit = 3;
    for sam in [&mut soft(&profile, 1) as &mut dyn Sam, &mut linked(profile, 1)] {
        let init = sam.init_for_purchase(&PURCHASE).unwrap();
        let wrong = CreditForPurchase { terminal_seq: init.terminal_seq, mac2: [0; 4] };
        let right = CreditForPurchase { mac2: right_mac2(&profile, init.terminal_seq), ..wrong };
        for _ in 0..2 {
            assert_eq!(sam.credit_for_purchase(&wrong), Err(SamRefused::MAC_INVALID));
        }
        assert_eq!(sam.credit_for_purchase(&right), Ok(()), "success restores the tries");
        let terminal_seq = sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq;
        for _ in 0..3 {
            let wrong = CreditForPurchase { terminal_seq, mac2: [0; 4] };
            assert_eq!(sam.credit_for_purchase(&wrong), Err(SamRefused::MAC_INVALID));
        }
        let right = CreditForPurchase { terminal_seq, mac2: right_mac2(&profile, terminal_seq) };
        assert_eq!(sam.credit_for_purchase(&right), Err(SamRefused::LOCKED));
        assert_eq!(sam.init_for_purchase(&PURCHASE), Err(SamRefused::LOCKED));
    }
}

#[test]
fn a_mac2_of_another_transaction_is_not_sent() {
    let mut profile = everything();
    profile.sam.mac_error_limit = 1;
    let mut linked = linked(profile, 1);
    let (mut soft, request) = (soft(&profile, 1), CreditForPurchase { terminal_seq: 1, mac2: [0; 4] });
    for sam in [&mut soft as &mut dyn Sam, &mut linked] {
        assert_eq!(sam.credit_for_purchase(&request), Err(SamRefused::STATE), "before any");
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, 1);
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, 2);
    }
    linked.link_mut().trace.clear();
    let right = CreditForPurchase { terminal_seq: 2, mac2: right_mac2(&profile, 2) };
    for sam in [&mut soft as &mut dyn Sam, &mut linked] {
        assert_eq!(sam.credit_for_purchase(&request), Err(SamRefused::STATE));
    }
    assert!(linked.link_mut().trace.is_empty());
    for sam in [&mut soft as &mut dyn Sam, &mut linked] {
        assert_eq!(sam.credit_for_purchase(&right), Ok(()), "the only try is left");
        assert_eq!(sam.credit_for_purchase(&right), Err(SamRefused::STATE), "once");
    }
    let terminal_seq = linked.init_for_grey_lock(&lock_request()).unwrap().terminal_seq;
    linked.link_mut().trace.clear();
    let foreign = CertifyGreyLock { terminal_seq: terminal_seq - 1, mac2: [0; 4] };
    assert_eq!(linked.certify_grey_lock(&foreign), Err(SamRefused::STATE));
    assert!(linked.link_mut().trace.is_empty());
    let wrong = CertifyGreyLock { terminal_seq, ..foreign };
    assert_eq!(linked.certify_grey_lock(&wrong), Err(SamRefused::MAC_INVALID));
}

#[test]
fn the_number_may_count_at_the_credit() {
    let mut profile = everything();
    profile.sam.count = SamCount::AtCredit;
    for sam in [&mut soft(&profile, 5) as &mut dyn Sam, &mut linked(profile, 5)] {
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, 5);
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, 5);
        let right = CreditForPurchase { terminal_seq: 5, mac2: right_mac2(&profile, 5) };
        assert_eq!(sam.credit_for_purchase(&right), Ok(()));
        assert_eq!(sam.init_for_purchase(&PURCHASE).unwrap().terminal_seq, 6);
    }
}

type Flash = RamFlash<{ 16 * 1024 }, 1024>;
type Memories = Journal<Flash, 128>;

fn powered(flash: Flash, modules: &'static [&'static dyn Module]) -> Band<Memories> {
    let mut journal = Memories::mount(flash).unwrap();
    journal.collect().unwrap();
    Band::blank(journal, modules, world::kept_entries())
}

/// 80 70, 80 72 and E0 40 cut at every flash operation in every mode: a number that was seen is never given again, and no
/// more numbers are lost than the command takes.
#[test]
fn power_cuts_never_repeat_a_number() {
    let mut profile = everything();
    profile.sam.mac_error_limit = 3;
    let modules = modules_of(profile);
    let mut band = powered(Memories::format(Flash::erased()).unwrap().into_flash(), modules);
    issue_into(&mut band, 40, purchase_key());
    let flash = band.remove().into_flash();
    let factors: Vec<u8> = profile.sam_factors.iter().flat_map(|factor| CARD.factor(*factor)).collect();
    let factors = hex(&factors);
    let terms = |tti| format!("11223344042C000001F4{tti}{}0101{factors}", hex(&STAMP.to_bytes()));
    let init = format!("80700000{:02X}{}08", 20 + factors.len() / 2, terms("06"));
    let lock = format!("E0400000{:02X}{}0C", 20 + factors.len() / 2, terms("91"));
    let next = |flash: Flash| {
        let mut band = powered(flash, modules);
        band.select();
        u32::from_be_bytes(band.ok(&init)[..4].try_into().unwrap())
    };
    for (prepare, command, before, after) in [
        (None, &init, 40, 41),
        (None, &lock, 40, 42),
        // A wrong MAC2 writes the error counter, never the number.
        (Some(&init), &"807200000400000000".to_owned(), 41, 41),
    ] {
        let mut cuts = 0;
        for cut in FlashCut::ALL {
            for n in 0.. {
                let mut band = powered(flash.clone(), modules);
                band.select();
                if let Some(prepare) = prepare {
                    band.ok(prepare);
                }
                band.memory().flash_mut().cut_after(n, cut, 31 * n + 7);
                let answer = band.send(&huiwan_testkit::hex(command));
                if !band.memory().flash().is_dead() {
                    break;
                }
                cuts += 1;
                assert_eq!(answer, [0x65, 0x81], "a dying card shows no number");
                let mut flash = band.remove().into_flash();
                flash.power_on();
                let next = next(flash);
                assert!(next == before || next == after, "{command} cut {n} {cut:?}: {next}");
            }
        }
        assert!(cuts >= 4, "{cuts} cuts");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 512 }))]

    /// Whatever a terminal sends: an answer with a status word, never four bytes of a key, never a number twice.
    #[test]
    fn any_apdu(commands in prop::collection::vec(
        (prop::sample::select(&[0x00, 0x80, 0xE0, 0x84][..]),
         prop::sample::select(&[0x70, 0x72, 0x40, 0x42, 0x44, 0x1A, 0xFA, 0xCA, 0xB0, 0xA4][..]),
         prop::sample::select(&[0, 0, 0x05, 0x44, 0x45, 0x28, 0x95, 0x96, 0x97][..]),
         0_u8..4,
         prop::sample::select(&[0, 4, 15, 16, 20, 24, 36, 25][..]),
         any::<u64>()),
        1..24,
    )) {
        let profile = everything();
        let mut band = card(profile, 1);
        let secrets: Vec<Vec<u8>> = more().iter().map(|more| more.key.value.clone())
            .chain([purchase_key().value])
            .flat_map(|value| [value.expose().to_vec(), derived(&profile, value.expose())])
            .collect();
        let mut last = 0;
        for (cla, ins, p1, p2, len, seed) in commands {
            let mut data: Vec<u8> = Seeded::new(seed).bytes::<36>()[..len].to_vec();
            if len == 36 && seed % 2 == 0 {
                // A well-formed one now and then.
                data[10] = if cla == 0xE0 { 0x91 } else { 0x06 };
                data[18..20].copy_from_slice(&[1, 1]);
            }
            let mut command = vec![cla, ins, p1, p2];
            if !data.is_empty() {
                command.push(data.len() as u8);
                command.extend(&data);
            }
            let answer = band.send(&command);
            prop_assert!(answer.len() >= 2);
            for secret in &secrets {
                for part in secret.windows(4) {
                    prop_assert!(!answer.windows(4).any(|bytes| bytes == part));
                }
            }
            let is_init = matches!((cla, ins), (0x80, 0x70) | (0xE0, 0x40));
            if is_init && answer.ends_with(&[0x90, 0x00]) {
                let number = u32::from_be_bytes(answer[..4].try_into().unwrap());
                prop_assert!(number > last || last == 0);
                last = number;
            }
        }
    }
}

#[test]
fn personalisation_is_checked() {
    let mut band = card(Profile::JTT_978, 1);
    band.ok("00A4040008A00000015100000000");
    let store = |dgi: u16, value: &[u8]| format!("80E20000{:02X}{dgi:04X}{}", value.len() + 2, hex(value));
    band.expect(&store(personalisation::DGI_NEXT_SEQ, &[0; 4]), "6985");
    band.expect(&store(personalisation::DGI_TERMINAL, &[0; 5]), "6A80");
    band.expect(&store(0x1234, &[0; 5]), "6A88");
    let key = purchase_key();
    for usage in [personalisation::PURCHASE, UsageKey::AUTH_CODE, 0x44, 0x45] {
        let key = UsageKey { usage, key: key.clone() };
        let value = key_value(&key, personalisation::ENCRYPTS);
        band.expect(&store(dgi_key(usage), value.expose()), "6A80");
    }
    let unknown = UsageKey { usage: 0x28, key: SamKey { algorithm: 0x77, ..key.clone() } };
    band.expect(&store(dgi_key(0x28), key_value(&unknown, 0).expose()), "6A80");
    // Five keys are there; eleven more fit.
    for version in 10..21 {
        let key = UsageKey { usage: 0x28, key: SamKey { version, ..key.clone() } };
        band.ok(&store(dgi_key(0x28), key_value(&key, 0).expose()));
    }
    let more = UsageKey { usage: 0x28, key: SamKey { version: 99, ..key } };
    band.expect(&store(dgi_key(0x28), key_value(&more, 0).expose()), "6A84");
}
