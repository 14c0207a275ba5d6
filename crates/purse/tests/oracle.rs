//! Every MAC, TAC and key against the second implementation, over random inputs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a test that panics is a failed test"
)]

mod world;

use huiwan_crypto::{Algorithm, Both, Secret, Suite, SuiteKey};
use huiwan_purse::authentication;
use huiwan_purse::date::Stamp;
use huiwan_purse::keys::{self, CardId, Factor};
use huiwan_purse::mac::{
    self, AuthCodePurchaseMac1, GreyLockMac1, GreyLockMac2, GreyLockTac, GreyUnlockMac1, LimitMac1,
    LimitMac2, LimitTac, LoadMac1, LoadMac2, LoadTac, Message, PurchaseMac1, PurchaseMac2, PurchaseTac,
    UnlockMac,
};
use huiwan_purse::profile::Profile;
use huiwan_purse::secure_messaging::{self, Padding};
use huiwan_purse::tti::Tti;
use proptest::prelude::*;
use world::oracle::{self, Family};

type Key = <Both as Suite>::Key;

fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(&Family::ALL[..])
}

fn open(family: Family, key: [u8; 16]) -> Key {
    keys::open(family.byte(), &Secret::new(key)).unwrap()
}

/// Every field a message may have, and the keys it may be under.
#[derive(Debug, Clone, Copy)]
struct Fields {
    family: Family,
    key: [u8; 16],
    random: [u8; 4],
    terminal_random: [u8; 4],
    seq: u16,
    balance: u32,
    amount: u32,
    limit: u32,
    terminal: [u8; 6],
    terminal_seq: u32,
    date: [u8; 4],
    time: [u8; 3],
    auth_code: [u8; 9],
}

fn fields() -> impl Strategy<Value = Fields> {
    let keys = (family(), any::<[u8; 16]>(), any::<[u8; 4]>(), any::<[u8; 4]>());
    let money = (any::<u16>(), any::<u32>(), any::<u32>(), 0_u32..0x0100_0000);
    let rest = (any::<[u8; 6]>(), any::<u32>(), any::<[u8; 4]>(), any::<[u8; 3]>(), any::<[u8; 9]>());
    (keys, money, rest).prop_map(|((family, key, random, terminal_random), money, rest)| {
        let (seq, balance, amount, limit) = money;
        let (terminal, terminal_seq, date, time, auth_code) = rest;
        Fields {
            family,
            key,
            random,
            terminal_random,
            seq,
            balance,
            amount,
            limit,
            terminal,
            terminal_seq,
            date,
            time,
            auth_code,
        }
    })
}

impl Fields {
    const fn stamp(&self) -> Stamp {
        Stamp { date: self.date, time: self.time }
    }

    /// The fields of a row, each by its name.
    fn row(&self, tti: u8, row: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for field in row.split(' ') {
            match field {
                "balance" => out.extend(self.balance.to_be_bytes()),
                "seq" => out.extend(self.seq.to_be_bytes()),
                "amount" => out.extend(self.amount.to_be_bytes()),
                "limit" => out.extend(&self.limit.to_be_bytes()[1..]),
                "tti" => out.push(tti),
                "terminal" => out.extend(self.terminal),
                "tseq" => out.extend(self.terminal_seq.to_be_bytes()),
                "date" => out.extend(self.date),
                "time" => out.extend(self.time),
                "code" => out.extend(self.auth_code),
                other => panic!("{other}"),
            }
        }
        out
    }

    /// A message under the session key of a transaction with the host.
    fn online(&self, message: &impl Message, tti: u8, row: &str) {
        let seq = self.seq.to_be_bytes();
        let session = self.family.online_session(&self.key, &self.random, &seq);
        let ours = keys::load_session(&open(self.family, self.key), self.random, self.seq).unwrap();
        self.same(message, &ours, &self.family.mac(&session, &self.row(tti, row)), tti, row);
    }

    /// A message under the session key of a debit.
    fn debit(&self, message: &impl Message, tti: u8, row: &str) {
        let (seq, terminal_seq) = (self.seq.to_be_bytes(), self.terminal_seq.to_be_bytes());
        let session = self.family.debit_session(&self.key, &self.random, &seq, &terminal_seq);
        let key = open(self.family, self.key);
        let ours = keys::purchase_session(&key, self.random, self.seq, self.terminal_seq).unwrap();
        self.same(message, &ours, &self.family.mac(&session, &self.row(tti, row)), tti, row);
    }

    /// A message under the session key of a grey lock.
    fn grey(&self, message: &impl Message, tti: u8, row: &str) {
        let (seq, terminal_seq) = (self.seq.to_be_bytes(), self.terminal_seq.to_be_bytes());
        let session =
            self.family.grey_session(&self.key, &self.random, &seq, &terminal_seq, &self.terminal_random);
        let key = open(self.family, self.key);
        let ours =
            keys::grey_session(&key, self.random, self.seq, self.terminal_seq, self.terminal_random).unwrap();
        self.same(message, &ours, &self.family.mac(&session, &self.row(tti, row)), tti, row);
    }

    /// A message under the TAC key.
    fn tac(&self, message: &impl Message, tti: u8, row: &str) {
        let key = Secret::new(self.key);
        let ours = keys::tac_key::<Key>(&Profile::JTT_978, self.family.byte(), &key).unwrap();
        self.same(message, &ours, &self.family.tac(&self.key, &self.row(tti, row)), tti, row);
    }

    #[track_caller]
    fn same(&self, message: &impl Message, ours: &Key, theirs: &[u8], tti: u8, row: &str) {
        let got = message.mac(ours).unwrap();
        assert_eq!(got[..], *theirs, "{tti:02X}: {row}");
        message.verify(ours, &got).unwrap();
        let [a, b, c, d] = got;
        message.verify(ours, &[a, b, c, d ^ 1]).unwrap_err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn diversification(family in family(), master: [u8; 16], issuer: [u8; 8], serial: [u8; 10]) {
        let card = CardId { issuer, serial };
        let byte = family.byte();
        let levels = |path: &[&[u8]]| {
            path.iter().fold(master.to_vec(), |key, factor| family.diversify(&key, factor))
        };
        let city = [issuer[2], issuer[3], 0xFF, 0, 0, 0, 0, 0];
        let region = [issuer[..4].to_vec(), issuer[..4].to_vec()].concat();
        let serial = &serial[2..];
        for (profile, path) in [
            (Profile::JTT_978, vec![&issuer[..], serial]),
            (Profile::PBOC, vec![serial]),
            (Profile::CJT_166, vec![&city[..], serial]),
            (Profile::CJT_304, vec![&city[..], serial]),
            (Profile::ETC, vec![&region[..], serial]),
            (Profile::FUEL, vec![serial, serial]),
        ] {
            let got = keys::derive::<Key>(byte, &Secret::new(master), &card, profile.path).unwrap();
            prop_assert_eq!(&got.expose()[..], levels(&path), "{}", profile.name);
        }
        let got = keys::diversify::<Key>(byte, &Secret::new(master), &issuer).unwrap();
        prop_assert_eq!(&got.expose()[..], family.diversify(&master, &issuer));
    }

    /// Every row of the table. [sheet 2.4]
    #[test]
    fn every_message(f in fields()) {
        let Fields { seq, balance, amount, limit, terminal, terminal_seq, auth_code, .. } = f;
        let (stamp, online_seq, offline_seq) = (f.stamp(), seq, seq);
        for (code, tti) in [(1, Tti::ED_LOAD), (2, Tti::EP_LOAD), (3, Tti::UNLOAD)] {
            f.online(&LoadMac1 { balance, amount, tti, terminal }, code, "balance amount tti terminal");
            f.online(&LoadMac2 { amount, tti, terminal, stamp }, code, "amount tti terminal date time");
            let tac = LoadTac { balance, online_seq, amount, tti, terminal, stamp };
            let row = "balance seq amount tti terminal date time";
            // A load has a TAC, an unload MAC3 over the same fields.
            if code == 3 { f.online(&tac, code, row) } else { f.tac(&tac, code, row) }
        }
        for (code, tti) in [
            (4, Tti::CASH),
            (5, Tti::ED_PURCHASE),
            (6, Tti::EP_PURCHASE),
            (9, Tti::CAPP_PURCHASE),
        ] {
            f.debit(&PurchaseMac1 { amount, tti, terminal, stamp }, code, "amount tti terminal date time");
            let coded = AuthCodePurchaseMac1 { amount, tti, terminal, stamp, auth_code };
            f.debit(&coded, code, "amount tti terminal date time code");
            f.debit(&PurchaseMac2 { amount }, code, "amount");
            let tac = PurchaseTac { amount, tti, terminal, terminal_seq, stamp };
            f.tac(&tac, code, "amount tti terminal tseq date time");
        }
        let tti = Tti::LIMIT_UPDATE;
        let mac1 = LimitMac1 { balance, old_limit: limit, tti, terminal };
        f.online(&mac1, 7, "balance limit tti terminal");
        let mac2 = LimitMac2 { new_limit: limit, tti, terminal, stamp };
        f.online(&mac2, 7, "limit tti terminal date time");
        let tac = LimitTac { balance, online_seq, new_limit: limit, tti, terminal, stamp };
        f.tac(&tac, 7, "balance seq limit tti terminal date time");
        let tti = Tti::GREY_LOCK;
        f.grey(&GreyLockMac1 { tti, terminal, stamp }, 0x91, "tti terminal date time");
        f.grey(&GreyLockMac2 { balance }, 0x91, "balance");
        let gtac = GreyLockTac { balance, offline_seq, tti, terminal, terminal_seq, stamp };
        f.tac(&gtac, 0x91, "balance seq tti terminal tseq date time");
        let tti = Tti::DEBIT_FOR_UNLOCK;
        f.grey(&UnlockMac { amount }, 0x93, "amount");
        let tac = PurchaseTac { amount, tti, terminal, terminal_seq, stamp };
        f.tac(&tac, 0x93, "amount tti terminal tseq date time");
        let tti = Tti::GREY_UNLOCK;
        let mac1 = GreyUnlockMac1 { balance, offline_seq, tti, terminal };
        f.online(&mac1, 0x95, "balance seq tti terminal");
        f.online(&LoadMac2 { amount, tti, terminal, stamp }, 0x95, "amount tti terminal date time");
        let mac3 = LoadTac { balance, online_seq, amount, tti, terminal, stamp };
        f.online(&mac3, 0x95, "balance seq amount tti terminal date time");
    }

    #[test]
    fn secured(
        family in family(),
        key: [u8; 16],
        challenge: [u8; 8],
        eight: bool,
        header: [u8; 5],
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let challenge = &challenge[..if eight { 8 } else { 4 }];
        let got = mac::secure(&open(family, key), challenge, &[&header, &data]).unwrap();
        prop_assert_eq!(&got[..], family.secured(&key, challenge, &[&header[..], &data].concat()));
    }

    #[test]
    fn sealed_and_protected(key: [u8; 16], always: bool, is_sm4: bool, challenge in proptest::collection::vec(any::<u8>(), 4..9), header: [u8; 4], data in proptest::collection::vec(any::<u8>(), 0..120)) {
        let algorithm = if is_sm4 { Algorithm::Sm4 } else { Algorithm::Tdes };
        let ours = <Both as Suite>::Key::new(algorithm, &key).unwrap();
        let padding = if always { Padding::Always } else { Padding::IfNeeded };
        let mut out = [0; 256];
        let sealed = secure_messaging::seal(&ours, padding, &data, &mut out).unwrap().to_vec();
        prop_assert_eq!(&sealed, &oracle::sealed(is_sm4, &key, always, &data));
        let mut opened = sealed.clone();
        prop_assert_eq!(secure_messaging::open(&ours, padding, &mut opened).unwrap(), &data);
        let protected = secure_messaging::protect(&ours, &challenge, header, &sealed, &mut out).unwrap();
        let message = [&header[..], &[u8::try_from(sealed.len() + 4).unwrap()], &sealed].concat();
        let mac = if is_sm4 { oracle::sm4_secured(&key, &challenge, &message) } else { oracle::secured(&key, &challenge, &message) };
        prop_assert_eq!(protected, [&sealed[..], &mac].concat());
    }

    #[test]
    fn authentications(key: [u8; 16], is_sm4: bool, challenge in proptest::collection::vec(any::<u8>(), 4..9), data in proptest::collection::vec(any::<u8>(), 1..100)) {
        let (algorithm, size) = if is_sm4 { (Algorithm::Sm4, 16) } else { (Algorithm::Tdes, 8) };
        let e = |block: &[u8]| if is_sm4 { oracle::sm4(&key, block) } else { oracle::tdes(&key, block) };
        let ours = <Both as Suite>::Key::new(algorithm, &key).unwrap();
        let mut block = challenge.clone();
        block.resize(size, 0);
        let mut out = [0; 16];
        prop_assert_eq!(authentication::cryptogram(&ours, &challenge, &mut out).unwrap(), e(&block));
        let whole = if data.len().is_multiple_of(size) { data.clone() } else { oracle::padded(&data, size) };
        let expected: Vec<u8> = whole.chunks(size).flat_map(e).collect();
        let mut out = [0; 128];
        prop_assert_eq!(authentication::answer(&ours, &data, &mut out).unwrap(), expected);
    }

    #[test]
    fn raw(key: [u8; 8], message in proptest::collection::vec(any::<u8>(), 0..40)) {
        let des = Key::new(Algorithm::Des, &key).unwrap();
        prop_assert_eq!(&mac::sign(&des, &message).unwrap()[..], oracle::mac(&key, &message));
    }

    #[test]
    fn the_remembered_level_is_the_right_one(
        masters: [[u8; 16]; 2],
        issuers: [[u8; 8]; 2],
        cards in proptest::collection::vec((0..2_usize, 0..2_usize, any::<[u8; 10]>()), 1..12),
    ) {
        let mut deriver = keys::Deriver::<Key>::new();
        for (master, issuer, serial) in cards {
            let card = CardId { issuer: issuers[issuer], serial };
            let path = [Factor::Issuer, Factor::Serial];
            let value = Secret::new(masters[master]);
            let got = deriver.derive(master, 1, &value, &card, &path).unwrap();
            prop_assert_eq!(&got.expose()[..], oracle::card_key(&masters[master], &issuers[issuer], &serial));
        }
    }
}
