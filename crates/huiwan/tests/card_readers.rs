//! What phone apps that know Chinese cards send, in their order, against the sample band: each has to come away with
//! number, balance and log. The procedures are those of nfsee (assets/read.js), NFCard (StandardPboc, TUnion) and
//! metrodroid (ChinaCard), as their public sources have them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, missing_docs)]

use core::ops::Range;

use huiwan::element::{Modules, SecureElement};
use huiwan::sample;
use huiwan_card::{Environment, Interface, Journal, Memory, RamFlash};
use huiwan_crypto::{International, Suite};
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
use huiwan_purse::date::Stamp;
use huiwan_purse::keys::{self, KeyKind};
use huiwan_purse::mac::{LoadMac2, Message, PurchaseMac1};
use huiwan_purse::personalisation::KeyData;
use huiwan_purse::tti::Tti;
use huiwan_testkit::hex;
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::{Rules, walk};

/// The band in a phone's field.
struct Field<'a, 'm, M: Memory> {
    band: &'a mut SecureElement<'m, M>,
    random: Seeded,
}

impl<M: Memory> Field<'_, '_, M> {
    fn transceive(&mut self, command: &[u8]) -> Vec<u8> {
        let mut environment = Environment { random: &mut self.random, now: None };
        self.band.exchange(command, &mut environment).to_vec()
    }

    /// The data, if the answer is 9000.
    fn data(&mut self, command: &str) -> Option<Vec<u8>> {
        let mut answer = self.transceive(&hex(command));
        let sw = answer.split_off(answer.len() - 2);
        (sw == [0x90, 0x00]).then_some(answer)
    }
}

/// What an app shows.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    number: Vec<u8>,
    balance: u32,
    log: Vec<[u8; 23]>,
}

fn band(test: impl FnOnce(Field<'_, '_, Journal<RamFlash<131_072>, 512>>)) {
    let mut random = Seeded::new(1);
    let mut memory = Journal::<_, 512>::format(RamFlash::<131_072>::new()).unwrap();
    format(&mut memory, &Factory::TEST).unwrap();
    let modules = Modules::default();
    let list = modules.list();
    let mut band = SecureElement::new(&list, Registry::new(&CardProfile::DEFAULT), memory);
    let mut environment = Environment { random: &mut random, now: None };
    sample::issue(&mut band, &mut environment).unwrap();
    sample::issue_city_and_wallet(&mut band, &mut environment).unwrap();
    band.power_on(Interface::Contactless, &mut environment);
    test(Field { band: &mut band, random });
}

/// nfsee looks for issuer data in the FCI before it reads file 0015.
/// `number` is where the card's own number stands in it.
fn nfsee<M: Memory>(
    field: &mut Field<'_, '_, M>,
    select: &str,
    account: char,
    number: Range<usize>,
) -> Option<Shown> {
    let fci = field.data(select)?;
    let issuer_data = walk(&fci, Rules::EMV)
        .map_while(Result::ok)
        .find(|(_, object)| object.tag().get() == 0x9F0C)
        .map(|(_, object)| object.value().to_vec());
    let file_15 = match issuer_data {
        Some(data) => data,
        None => field.data("00B095001E")?,
    };
    let balance = field.data(&format!("805C000{account}04"))?;
    let mut log = Vec::new();
    for number in 1..=10 {
        let Some(record) = field.data(&format!("00B2{number:02X}C417")) else { break };
        log.push(record.try_into().ok()?);
    }
    // Only to see the counter.
    let init = field.data(&format!("8050000{account}0B010000000100000000000010"))?;
    assert_eq!(init.len(), 16);
    Some(Shown {
        number: file_15[number].to_vec(),
        balance: u32::from_be_bytes(balance.try_into().ok()?) & 0x7FFF_FFFF,
        log,
    })
}

/// NFCard asks for all records at once first.
fn nfcard<M: Memory>(field: &mut Field<'_, '_, M>, select: &str, balance: &str) -> Option<Shown> {
    field.data(select)?;
    let file_15 = field.data("00B0950000")?;
    let balance = field.data(balance)?;
    let log = match field.data("00B201C500") {
        Some(all) => all.as_chunks::<23>().0.to_vec(),
        None => {
            let mut log = Vec::new();
            for number in 1..=10 {
                let Some(record) = field.data(&format!("00B2{number:02X}C400")) else { break };
                log.push(record.try_into().ok()?);
            }
            log
        }
    };
    Some(Shown {
        number: file_15[10..20].to_vec(),
        balance: u32::from_be_bytes(balance.try_into().ok()?),
        log,
    })
}

/// metrodroid selects files by identifier.
fn metrodroid<M: Memory>(field: &mut Field<'_, '_, M>, select: &str) -> Option<(Vec<u8>, u32)> {
    field.data(select)?;
    let balance = field.data("805C000204")?;
    field.data("00A4000002100100")?;
    field.data("00A4000002001500")?;
    let file_15 = field.data("00B0000000")?;
    Some((file_15[10..20].to_vec(), u32::from_be_bytes(balance.try_into().ok()?)))
}

const T_UNION: &str = "00A4040008A00000063201010500";

#[test]
fn t_union() {
    band(|mut field| {
        let shown = nfsee(&mut field, T_UNION, '2', 10..20).expect("nfsee");
        assert_eq!(shown.number, sample::TRANSIT_CARD.serial);
        assert_eq!(shown.balance, sample::PURSE);
        assert_eq!(field.data("00B097000B").map(|file| file.len()), Some(11), "nfsee reads the city");
        // The initialisation that only looked changed nothing.
        assert_eq!(nfcard(&mut field, T_UNION, "805C030204"), Some(shown));
        let read = metrodroid(&mut field, T_UNION);
        assert_eq!(read, Some((sample::TRANSIT_CARD.serial.to_vec(), sample::PURSE)));
    });
}

const CITY_UNION: &str = "00A4040009A0000000038698070100";
const WALLET: &str = "00A4040009A0000000038698070200";

type Key = <International as Suite>::Key;

const TERMINAL: [u8; 6] = [0x20, 0x00, 0x00, 0x00, 0x00, 0x01];
const STAMP: Stamp = Stamp { date: [0x20, 0x26, 0x11, 0x28], time: [0x09, 0x30, 0x00] };

fn spelt(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn key(keys: &[KeyData], kind: KeyKind) -> Key {
    let key = keys.iter().find(|key| key.kind == kind).unwrap();
    keys::open(key.algorithm, &key.value).unwrap()
}

/// Buys for `amount` with the selected card.
fn buy<M: Memory>(field: &mut Field<'_, '_, M>, keys: &[KeyData], account: u8, tti: Tti, amount: u32) {
    let init = format!("805001{account:02X}0B01{amount:08X}{}0F", spelt(&TERMINAL));
    let answer = field.data(&init).expect("INITIALIZE FOR PURCHASE");
    let (random, seq) = (answer[11..15].try_into().unwrap(), u16::from_be_bytes([answer[4], answer[5]]));
    let session = keys::purchase_session(&key(keys, KeyKind::Purchase), random, seq, 7).unwrap();
    let mac1 = PurchaseMac1 { amount, tti, terminal: TERMINAL, stamp: STAMP }.mac(&session).unwrap();
    let stamp = spelt(&STAMP.date) + &spelt(&STAMP.time);
    field.data(&format!("805401000F00000007{stamp}{}08", spelt(&mac1))).expect("DEBIT FOR PURCHASE");
}

/// Loads `amount` on the selected card.
fn load<M: Memory>(field: &mut Field<'_, '_, M>, keys: &[KeyData], account: u8, tti: Tti, amount: u32) {
    let init = format!("805000{account:02X}0B01{amount:08X}{}10", spelt(&TERMINAL));
    let answer = field.data(&init).expect("INITIALIZE FOR LOAD");
    let (random, seq) = (answer[8..12].try_into().unwrap(), u16::from_be_bytes([answer[4], answer[5]]));
    let session = keys::load_session(&key(keys, KeyKind::Load), random, seq).unwrap();
    let mac2 = LoadMac2 { amount, tti, terminal: TERMINAL, stamp: STAMP }.mac(&session).unwrap();
    let stamp = spelt(&STAMP.date) + &spelt(&STAMP.time);
    field.data(&format!("805200000B{stamp}{}04", spelt(&mac2))).expect("CREDIT FOR LOAD");
}

/// Amount and type of each transaction, newest first.
fn transactions(shown: &Shown) -> Vec<(u32, u8)> {
    shown.log.iter().map(|log| (u32::from_be_bytes(log[5..9].try_into().unwrap()), log[9])).collect()
}

#[test]
fn city_union() {
    band(|mut field| {
        let keys = sample::city_keys().unwrap();
        field.data(CITY_UNION).unwrap();
        for amount in 1..=11 {
            buy(&mut field, &keys, 2, Tti::EP_PURCHASE, amount);
        }
        load(&mut field, &keys, 2, Tti::EP_LOAD, 500);
        let shown = nfsee(&mut field, CITY_UNION, '2', 12..20).expect("nfsee");
        assert_eq!(shown.number, sample::CITY_CARD.serial[2..]);
        assert_eq!(shown.balance, sample::CITY_PURSE - 66 + 500);
        let mut expected = vec![(500, 0x02)];
        expected.extend((3..=11).rev().map(|amount| (amount, 0x06)));
        assert_eq!(transactions(&shown), expected, "ten records, the newest first");
        // nfsee looks up the city in file 0015 or its copy.
        assert_eq!(field.data("00B0950202"), Some(vec![0x20, 0x00]));
        let read = nfcard(&mut field, CITY_UNION, "805C000204").expect("NFCard");
        assert_eq!((read.number, read.balance), (sample::CITY_CARD.serial.to_vec(), shown.balance));
        assert_eq!(read.log, shown.log);
        let read = metrodroid(&mut field, CITY_UNION);
        assert_eq!(read, Some((sample::CITY_CARD.serial.to_vec(), shown.balance)));
        // Loads stand in a file of their own too.
        assert_eq!(field.data("00B201D417").as_deref(), Some(&shown.log[0][..]));
    });
}

#[test]
fn pboc_wallet() {
    band(|mut field| {
        let keys = sample::wallet_keys().unwrap();
        let [passbook, purse] = sample::WALLET;
        // The purse is read and paid with freely, the passbook after its PIN.
        let shown = nfsee(&mut field, WALLET, '2', 10..20).expect("nfsee");
        assert_eq!(shown, Shown { number: sample::WALLET_CARD.serial.to_vec(), balance: purse, log: vec![] });
        assert_eq!(nfsee(&mut field, WALLET, '1', 10..20), None);
        field.data("0020000003123456").expect("VERIFY");
        buy(&mut field, &keys, 1, Tti::ED_PURCHASE, 1_000);
        buy(&mut field, &keys, 2, Tti::EP_PURCHASE, 5);
        load(&mut field, &keys, 2, Tti::EP_LOAD, 300);
        assert_eq!(field.data("805C000104"), Some((passbook - 1_000).to_be_bytes().to_vec()));
        let shown = nfsee(&mut field, WALLET, '2', 10..20).expect("nfsee");
        assert_eq!(shown.balance, purse - 5 + 300);
        assert_eq!(transactions(&shown), [(300, 0x02), (5, 0x06), (1_000, 0x05)]);
        let read = nfcard(&mut field, WALLET, "805C000204").expect("NFCard");
        assert_eq!(read, shown);
        let read = metrodroid(&mut field, WALLET);
        assert_eq!(read, Some((sample::WALLET_CARD.serial.to_vec(), shown.balance)));
    });
}

#[test]
fn three_cards_do_not_mix() {
    band(|mut field| {
        let keys = sample::city_keys().unwrap();
        field.data(CITY_UNION).unwrap();
        buy(&mut field, &keys, 2, Tti::EP_PURCHASE, 10);
        let others = [(T_UNION, sample::PURSE), (WALLET, sample::WALLET[1])];
        for (select, balance) in others {
            let shown = nfsee(&mut field, select, '2', 10..20).expect("nfsee");
            assert_eq!((shown.balance, shown.log), (balance, vec![]));
        }
        // Each follows its own scheme: only the city card has an authentication code, only the wallet a passbook.
        for (select, code, passbook) in
            [(T_UNION, "6D00", "6A86"), (CITY_UNION, "9000", "6A86"), (WALLET, "6D00", "6982")]
        {
            field.data(select).unwrap();
            let answer = field.transceive(&hex("80CA000009"));
            assert_eq!(spelt(&answer[answer.len() - 2..]), code, "{select}");
            assert_eq!(spelt(&field.transceive(&hex("805C000104"))), passbook, "{select}");
        }
    });
}
