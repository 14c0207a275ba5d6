//! Bank card and purse personalised by scripts of data groupings over every kind of channel, each ending with a card that pays; and the
//! power lost at every flash operation of every STORE DATA.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use huiwan::element::{Modules, SecureElement};
use huiwan::sample::{self, BANK_AID, TRANSIT_AID};
use huiwan::tsm::{self, Visit};
use huiwan_apdu::{Aid, Command};
use huiwan_card::{Cut, Environment, Interface, Journal, Memory, Module, ObjectId, RamFlash};
use huiwan_crypto::ec::{EcPrivate, P256};
use huiwan_crypto::{Aes, BlockKey, Des, International, Suite, Tdes, hash};
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::certificates::{certify_issuer, fixtures};
use huiwan_emv::host::keys::CardReference;
use huiwan_emv::host::personalisation::{
    CardProfile as BankProfile, Cardholder, IssuerCertificate, PDOL, SCRIPT_MAX, prepare,
};
use huiwan_emv::pan::Pan;
use huiwan_gp::card::{
    CardProfile, Factory, Registry, Scp11Profile, TEST_KEY, TEST_SCP02_KEY_VERSION, format,
};
use huiwan_gp::diversification::{Purpose, Scheme};
use huiwan_gp::host::key_store::Derivation;
use huiwan_gp::host::secure_channel::Open;
use huiwan_gp::host::{
    Coding, Grouping, HostIdentity, Job, KeyHandle, KeyRef, OpenChannel, OpenScp11, Packing, Personalise,
    SoftKeyStore, groupings,
};
use huiwan_gp::put_key::{put_ecc_field, put_ecc_private_field};
use huiwan_gp::scp03::{Mode, Options as Scp03};
use huiwan_gp::scp11::{CURVE_P256, KID_AUTHORITY, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_gp::store_data::DgiPadding;
use huiwan_gp::{scp02, scp03};
use huiwan_purse::date::Stamp;
use huiwan_purse::keys::{self, KeyKind};
use huiwan_purse::mac::{Message, PurchaseMac1};
use huiwan_purse::personalisation::{KeyCheck, Personalisation, PurseData};
use huiwan_purse::transit::public_info::{self, PublicInfo};
use huiwan_purse::tti::Tti;
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::{Rules, Tag, Walk, walk};

type Flash = RamFlash<65_536>;
type Band<'m> = SecureElement<'m, Journal<Flash, 256>>;
type PurseKey = <International as Suite>::Key;

const E_CASH: u64 = 20_000;
const PURSE: u32 = 5_000;

/// The bank card's groupings.
fn bank_script() -> Vec<u8> {
    let mut rng = Seeded::new(7);
    let mut certificate = [0; 256];
    let made = certify_issuer(
        &fixtures::ca_key().unwrap(),
        [0x62, 0x99, 0x99, 0xFF],
        huiwan_emv::certificates::CertificateInfo { expiry: [0x12, 0x35], serial: [0, 0, 1] },
        &fixtures::ISSUER_MODULUS,
        &fixtures::EXPONENT,
        &mut rng,
        &mut certificate,
    )
    .unwrap();
    let certificate = IssuerCertificate {
        ca_index: fixtures::CA_INDEX,
        certificate: made.certificate,
        remainder: made.remainder,
        exponent: &fixtures::EXPONENT,
    };
    let pan = Pan::from_digits(sample::PAN).unwrap();
    let holder = Cardholder {
        card: CardReference { pan, sequence: 0, key_index: sample::BANK_KEY },
        effective: Date::new(2026, 1, 1).unwrap(),
        expiry: Date::new(2031, 12, 31).unwrap(),
        balance: Amount::new(E_CASH).unwrap(),
    };
    let (issuer, icc) = (fixtures::issuer_key().unwrap(), fixtures::icc_key().unwrap());
    let (mut keys, profile) = (sample::bank_keys(), BankProfile::unionpay_debit());
    let mut out = [0; SCRIPT_MAX];
    prepare(&profile, &holder, &mut keys, &issuer, &certificate, &icc, &mut rng, &mut out).unwrap().to_vec()
}

/// The purse's groupings, with check values.
fn purse_script() -> Vec<u8> {
    let keys = sample::transit_keys().unwrap();
    let checks = keys.each_ref().map(|key| KeyCheck::of::<PurseKey>(key).unwrap());
    let card = &sample::TRANSIT_CARD;
    let data = Personalisation {
        purse: Some(PurseData { balance: PURSE, upper_limit: 100_000, ..PurseData::default() }),
        public_info: PublicInfo::new()
            .with(public_info::ISSUER, card.issuer)
            .with(public_info::APPLICATION_TYPE, [public_info::TYPE_EP])
            .with(public_info::APPLICATION_VERSION, [1])
            .with(public_info::SERIAL, card.serial)
            .with(public_info::START_DATE, [0x20, 0x26, 0x01, 0x01])
            .with(public_info::END_DATE, [0x20, 0x36, 0x12, 0x31]),
        pin: Some(&[0x12, 0x34, 0x56]),
        keys: &keys,
        checks: &checks,
        ..Personalisation::default()
    };
    let mut out = [0; 640];
    data.write(&mut out).unwrap().to_vec()
}

fn cut(script: &[u8]) -> Vec<Grouping<'_>> {
    groupings(script).map(Result::unwrap).collect()
}

/// A card, and how a host opens a channel to it.
struct Channel {
    name: &'static str,
    profile: CardProfile,
    /// AES keys of the card.
    aes: Vec<u8>,
    /// Master key of the bureau and diversification data, for SCP02 keys of CPS.
    kmc: Option<([u8; 16], [u8; 10])>,
    /// 20 for SCP02, 30 for SCP03.
    version: u8,
    level: Level,
    /// Variant of SCP11, bytes of its session keys, mode.
    scp11: Option<(Variant, u8, Mode)>,
}

/// Version of the keys of SCP11, and the private numbers of the card, the host, and the authorities of each.
const SCP11_VERSION: u8 = 0x03;
const CARD_KEY: u8 = 0x21;
const HOST_KEY: u8 = 0x42;
const CARD_AUTHORITY: u8 = 0x51;
const HOST_AUTHORITY: u8 = 0x31;

fn private(byte: u8) -> EcPrivate<P256> {
    EcPrivate::new(&[byte; 32]).unwrap()
}

/// A certificate of GlobalPlatform's form, for key agreement.
fn certificate(key: u8, by: u8) -> Vec<u8> {
    let tlv = |tag: &[u8], value: &[u8]| match value.len() {
        len @ 0..0x80 => [tag, &[len as u8], value].concat(),
        len => [tag, &[0x81, len as u8], value].concat(),
    };
    let point = private(key).public().unwrap();
    let body = [
        tlv(&[0x93], &[1]),
        tlv(&[0x42], b"CA"),
        tlv(&[0x5F, 0x20], b"ID"),
        tlv(&[0x95], &[0x00, 0x80]),
        tlv(&[0x5F, 0x24], &[0x20, 0x35, 0x01, 0x01]),
        tlv(&[0x7F, 0x49], &[tlv(&[0xB0], point.as_bytes()), tlv(&[0xF0], &[CURVE_P256])].concat()),
    ]
    .concat();
    let mut signature = [0; 64];
    private(by).sign(&hash::sha256(&[&body]), &mut signature).unwrap();
    tlv(&[0x7F, 0x21], &[body, tlv(&[0x5F, 0x37], &signature)].concat())
}

/// The certificate of the card, which the bureau has from its maker, and that of the bureau.
fn certificates() -> &'static [Vec<u8>; 2] {
    static CERTIFICATES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    CERTIFICATES
        .get_or_init(|| [certificate(CARD_KEY, CARD_AUTHORITY), certificate(HOST_KEY, HOST_AUTHORITY)])
}

impl Channel {
    fn scp02(name: &'static str, options: scp02::Options, level: Level) -> Self {
        let profile = CardProfile::DEFAULT.with_scp02(options);
        let aes = TEST_KEY.to_vec();
        Self { name, profile, aes, kmc: None, version: TEST_SCP02_KEY_VERSION, level, scp11: None }
    }

    fn scp03(name: &'static str, options: Scp03, key_len: usize, level: Level) -> Self {
        let profile = CardProfile::DEFAULT.with_scp03(options);
        let aes = (0..key_len).map(|n| n as u8 ^ 0x5A).collect();
        Self { name, profile, aes, kmc: None, version: 0x30, level, scp11: None }
    }

    /// Keys of SCP11 that come over SCP03.
    fn scp11(name: &'static str, variant: Variant, key_len: u8, mode: Mode, level: Level) -> Self {
        let scp11 = Some((variant, key_len, mode));
        Self { scp11, ..Self::scp03(name, Scp03::I70, 16, level) }
    }

    fn modules(&self) -> Modules<'_> {
        let modules = Modules::new(
            &self.profile,
            huiwan_emv::card::qpboc::Profile::default(),
            huiwan_purse::profile::Profile::JTT_978,
        );
        match self.scp11 {
            Some((_, _, mode)) => modules.with_scp11(Scp11Profile::DEFAULT.with_mode(mode)),
            None => modules,
        }
    }

    /// PUT KEY of the card's private key and of the authority of hosts.
    fn put_scp11_keys(&self, variant: Variant) -> [Vec<u8>; 2] {
        let mut block = [CARD_KEY; 32];
        Aes::new(&self.aes).unwrap().encrypt_cbc(&[0; 16], &mut block).unwrap();
        let (mut own, mut authority) = ([SCP11_VERSION; 100], [SCP11_VERSION; 100]);
        let len = put_ecc_private_field(&mut own, 1, block.len(), &block, CURVE_P256).unwrap();
        let own = &own[..len];
        let point = private(HOST_AUTHORITY).public().unwrap();
        let len = put_ecc_field(&mut authority, 1, point.as_bytes(), CURVE_P256).unwrap();
        let authority = &authority[..len];
        [(variant.key_id(), own), (KID_AUTHORITY, authority)]
            .map(|(id, data)| [&[0x80, 0xD8, 0x00, id, data.len() as u8][..], data, &[0]].concat())
    }

    fn blank<'m>(&'m self, list: &'m [&'m dyn Module]) -> Band<'m> {
        let mut memory = Journal::format(RamFlash::new()).unwrap();
        let mut factory = Factory::TEST;
        factory.keys = [&self.aes, &self.aes, &self.aes];
        let derived = self.kmc.map(|(kmc, kdd)| {
            factory.key_diversification = kdd;
            Purpose::ALL.map(|purpose| *Scheme::Emv.derive(&Tdes::new2(&kmc), &kdd, purpose).expose())
        });
        factory.scp02 = Some(match &derived {
            Some([enc, mac, dek]) => (TEST_SCP02_KEY_VERSION, [enc, mac, dek]),
            None => (TEST_SCP02_KEY_VERSION, [&TEST_KEY, &TEST_KEY, &TEST_KEY]),
        });
        format(&mut memory, &factory).unwrap();
        let mut band = SecureElement::new(list, Registry::new(&self.profile), memory);
        if let Some((variant, ..)) = self.scp11 {
            let keys = self.put_scp11_keys(variant);
            let put = keys.each_ref().map(|command| Job::Command(command));
            self.visit_by(self.open_symmetric(), &mut band, &put);
        }
        band
    }

    fn store(&self) -> SoftKeyStore<4, 1, Seeded> {
        let mut store = SoftKeyStore::with_random(Seeded::new(3));
        store.insert_single(KeyHandle(2), private(CARD_AUTHORITY).public().unwrap().into()).unwrap();
        store.insert_single(KeyHandle(3), private(HOST_KEY).into()).unwrap();
        store.insert(0, &self.aes, &self.aes, &self.aes).unwrap();
        let des = self.kmc.map_or(TEST_KEY, |(kmc, _)| kmc);
        store.insert_des(1, &des, &des, &des).unwrap();
        store
    }

    fn open<'j>(&self) -> Job<'j> {
        if let Some((variant, key_len, mode)) = self.scp11 {
            static HOST: OnceLock<[&[u8]; 1]> = OnceLock::new();
            let [card, host] = certificates();
            return Job::OpenScp11(OpenScp11 {
                aid: None,
                variant,
                key_version: SCP11_VERSION,
                key_id: variant.key_id(),
                level: self.level,
                key_len,
                mode,
                authority: KeyHandle(2),
                certificates: Some(card),
                host: Some(HostIdentity {
                    key: KeyHandle(3),
                    certificates: HOST.get_or_init(|| [host]),
                    authority_version: SCP11_VERSION,
                    authority_id: KID_AUTHORITY,
                }),
                key_diversification: [0; 10],
            });
        }
        self.open_symmetric()
    }

    fn open_symmetric<'j>(&self) -> Job<'j> {
        let derivation = if self.kmc.is_some() { Derivation::Des(Scheme::Emv) } else { Derivation::None };
        let key = if self.version == 0x30 { KeyRef::direct(0) } else { KeyRef { id: 1, derivation } };
        Job::Open(OpenChannel {
            aid: None,
            key_version: self.version,
            key,
            level: self.level,
            host_challenge: [7; 16].into(),
        })
    }

    /// Carries out `jobs` behind an opening, on the internal interface.
    fn visit(&self, band: &mut Band<'_>, jobs: &[Job<'_>]) {
        self.visit_by(self.open(), band, jobs);
    }

    fn visit_by(&self, open: Job<'_>, band: &mut Band<'_>, jobs: &[Job<'_>]) {
        let plan: Vec<Job<'_>> = [open].into_iter().chain(jobs.iter().copied()).chain([Job::Close]).collect();
        let mut environment = Environment { random: &mut Seeded::new(9), now: None };
        band.power_on(Interface::Internal, &mut environment);
        let end = tsm::run(&plan, &mut self.store(), &mut |command, out| {
            let answer = band.exchange(command, &mut environment);
            out[..answer.len()].copy_from_slice(answer);
            Some(answer.len())
        });
        assert_eq!(end, Visit::Complete, "{}", self.name);
        band.power_off();
    }
}

fn install<'j>() -> [Job<'j>; 2] {
    [Job::Install(tsm::bank_card(BANK_AID, b"HUIWAN DEBIT", 1)), Job::Install(tsm::transit_card(TRANSIT_AID))]
}

fn personalise<'j>(aid: Aid, script: &'j [Grouping<'j>], coding: Coding) -> Job<'j> {
    Job::Personalise(Personalise::new(Some(aid), script, coding))
}

fn send(band: &mut Band<'_>, command: &[u8]) -> (Vec<u8>, u16) {
    let mut environment = Environment { random: &mut Seeded::new(5), now: None };
    let answer = band.exchange(command, &mut environment).to_vec();
    let (data, sw) = answer.split_last_chunk::<2>().unwrap();
    (data.to_vec(), u16::from_be_bytes(*sw))
}

fn select(band: &mut Band<'_>, aid: &Aid) {
    let mut environment = Environment { random: &mut Seeded::new(5), now: None };
    band.power_off();
    band.power_on(Interface::Contactless, &mut environment);
    let aid = aid.as_bytes();
    let command = [&[0x00, 0xA4, 0x04, 0x00, aid.len() as u8][..], aid, &[0]].concat();
    assert_eq!(send(band, &command).1, 0x9000);
}

fn find(raw: &[u8], tag: u32) -> Option<&[u8]> {
    let objects: Walk<'_, 8> = walk(raw, Rules::EMV);
    objects.flatten().find(|(_, object)| object.tag() == Tag::new(tag)).map(|(_, object)| object.value())
}

/// A tap for `fen`: the answer to GET PROCESSING OPTIONS, and the values the terminal gave.
fn tap(band: &mut Band<'_>, fen: u64) -> (Vec<u8>, Vec<u8>) {
    select(band, &BANK_AID);
    let values = [
        &[0x26, 0, 0, 0x80][..],
        &Amount::new(fen).unwrap().to_bcd(),
        &[0; 6],
        &[1, 0x56],
        &[0; 5],
        &[1, 0x56],
        &[0x26, 0x11, 0x22],
        &[0],
        &[0xDE, 0xAD, 0xBE, 0xEF],
    ]
    .concat();
    assert_eq!(PDOL.len(), 24, "the values above are those of its nine tags");
    let len = values.len() as u8;
    let command = [&[0x80, 0xA8, 0, 0, len + 2, 0x83, len][..], &values, &[0]].concat();
    let (answer, sw) = send(band, &command);
    assert_eq!(sw, 0x9000);
    (answer, values)
}

/// Option A of EMV, the session key of PBOC and the MAC of ISO 9797-1 algorithm 3, from single block operations.
fn cryptogram_by_hand(values: &[u8], aip: &[u8], atc: &[u8], cvr: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = sample::PAN.bytes().chain(*b"00").map(|digit| digit - b'0').collect();
    let y: Vec<u8> = digits[digits.len() - 16..].chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let pair = |key: &[u8], left: &[u8], right: &[u8]| {
        let key = Tdes::new2(key.try_into().unwrap());
        [left, right].map(|half| key.encrypt_block(half.try_into().unwrap())).concat()
    };
    let inverted = |bytes: &[u8]| bytes.iter().map(|byte| !byte).collect::<Vec<u8>>();
    let mut card = pair(&sample::BANK_MASTERS[0], &y, &inverted(&y));
    for byte in &mut card {
        if byte.count_ones() % 2 == 0 {
            *byte ^= 1;
        }
    }
    let zeros = [0; 6];
    let session = pair(&card, &[&zeros[..], atc].concat(), &[&zeros[..], &inverted(atc)].concat());
    // Everything the terminal said but 9F66, in the order of the list; then AIP, ATC, CVR.
    let mut data = [&values[4..], aip, atc, cvr, &[0x80]].concat();
    data.resize(data.len().next_multiple_of(8), 0);
    let (left, right) =
        (Des::new(session[..8].try_into().unwrap()), Des::new(session[8..].try_into().unwrap()));
    let mut block = [0; 8];
    for part in data.chunks(8) {
        part.iter().zip(&mut block).for_each(|(byte, to)| *to ^= byte);
        block = left.encrypt_block(&block);
    }
    left.encrypt_block(&right.decrypt_block(&block)).to_vec()
}

fn bank_card_pays(band: &mut Band<'_>) {
    let (answer, _) = tap(band, 100);
    assert_eq!(find(&answer, 0x9F10).unwrap()[4] & 0x30, 0x10, "approved offline");
    assert_eq!(find(&answer, 0x9F4B).unwrap().len(), 128, "and signed");
    let (answer, values) = tap(band, 50_000);
    let iad = find(&answer, 0x9F10).unwrap();
    assert_eq!(iad[4] & 0x30, 0x20, "the issuer is asked");
    let (aip, atc) = (find(&answer, 0x82).unwrap(), find(&answer, 0x9F36).unwrap());
    assert_eq!(find(&answer, 0x9F26).unwrap(), cryptogram_by_hand(&values, aip, atc, &iad[3..7]));
}

fn purse_pays(band: &mut Band<'_>) {
    const TERMINAL: [u8; 6] = [0x20, 0, 0, 0, 0, 1];
    select(band, &TRANSIT_AID);
    let stamp = Stamp { date: [0x20, 0x26, 0x11, 0x28], time: [0x09, 0x30, 0x00] };
    let init = [&[0x80, 0x50, 1, 2, 0x0B, 1, 0, 0, 0, 100][..], &TERMINAL, &[0x0F]].concat();
    let (answer, sw) = send(band, &init);
    assert_eq!(sw, 0x9000);
    let keys = sample::transit_keys().unwrap();
    let key = keys.iter().find(|key| key.kind == KeyKind::Purchase).unwrap();
    let key: PurseKey = keys::open(key.algorithm, &key.value).unwrap();
    let seq = u16::from_be_bytes([answer[4], answer[5]]);
    let session = keys::purchase_session(&key, answer[11..15].try_into().unwrap(), seq, 7).unwrap();
    let mac1 = PurchaseMac1 { amount: 100, tti: Tti::EP_PURCHASE, terminal: TERMINAL, stamp }.mac(&session);
    let debit = [&[0x80, 0x54, 1, 0, 0x0F, 0, 0, 0, 7][..], &stamp.date, &stamp.time, &mac1.unwrap(), &[8]];
    assert_eq!(send(band, &debit.concat()).1, 0x9000);
    let (balance, sw) = send(band, &[0x80, 0x5C, 0, 2, 4]);
    assert_eq!((balance, sw), ((PURSE - 100).to_be_bytes().to_vec(), 0x9000));
    assert_eq!(send(band, &[0x00, 0x20, 0, 0, 3, 0x12, 0x34, 0x56]).1, 0x9000, "the PIN came as a block");
}

fn channels() -> Vec<Channel> {
    let s16 = |options: Scp03| options.with_mode(Mode::S16);
    let mut cps = Channel::scp02("CPS, keys from a KMC", scp02::Options::I55, Level::CMac);
    cps.kmc = Some((*b"key master of c.", [0, 0, 0x93, 0x26, 0x51, 0x91, 0x95, 0x99, 0x40, 0x79]));
    vec![
        Channel::scp02("SCP02 i=15, MAC", scp02::Options::I15, Level::CMac),
        Channel::scp02("SCP02 i=15, MAC and encryption", scp02::Options::I15, Level::CMacCEnc),
        Channel::scp02("SCP02 i=55", scp02::Options::I55, Level::CMacCEnc),
        cps,
        Channel::scp03("SCP03 S8 AES-128, MAC", Scp03::I70, 16, Level::CMac),
        Channel::scp03("SCP03 S8 AES-128", Scp03::I70, 16, Level::All),
        Channel::scp03("SCP03 S8 AES-256", Scp03::I70, 32, Level::All),
        Channel::scp03("SCP03 S16 AES-128", s16(Scp03::I70), 16, Level::All),
        Channel::scp03("SCP03 S16 AES-256", s16(Scp03::I60), 32, Level::CMacCEnc),
        Channel::scp11("SCP11a S8 AES-128", Variant::A, 16, Mode::S8, Level::All),
        Channel::scp11("SCP11a S16 AES-256, MAC", Variant::A, 32, Mode::S16, Level::CMacRMac),
        Channel::scp11("SCP11c S8 AES-192", Variant::C, 24, Mode::S8, Level::All),
    ]
}

#[test]
fn cards_personalised_over_every_channel_pay() {
    let (bank, purse) = (bank_script(), purse_script());
    let (bank, purse) = (cut(&bank), cut(&purse));
    for channel in channels() {
        let modules = channel.modules();
        let list = modules.list();
        for coding in [Coding::CPS, Coding::GP.with_packing(Packing::Filled)] {
            let mut band = channel.blank(&list);
            channel.visit(&mut band, &install());
            channel.visit(
                &mut band,
                &[personalise(BANK_AID, &bank, coding), personalise(TRANSIT_AID, &purse, coding)],
            );
            bank_card_pays(&mut band);
            purse_pays(&mut band);
        }
    }
}

/// A host that shares nothing with the job but the secure channel: one command for 200 bytes of each grouping, its own padding.
fn personalise_by_hand(
    band: &mut Band<'_>,
    session: &mut Open,
    keys: &scp02::StaticKeys,
    sequence: [u8; 2],
    aid: &Aid,
    script: &[u8],
) {
    let mut run = |command: &[u8]| {
        let command = Command::parse(command).unwrap();
        let mut wire = [0; 300];
        let sent = session.wrap(&command, &mut wire).unwrap().to_vec();
        let (data, sw) = send(band, &sent);
        // INSTALL answers that there is no confirmation.
        assert_eq!((&data[..], sw), (if command.ins() == 0xE6 { &[0][..] } else { &[] }, 0x9000));
        session.unwrap(&[0x90, 0x00], &mut [0; 300]).unwrap();
    };
    let name = aid.as_bytes();
    let mut announce = vec![0x80, 0xE6, 0x20, 0x00, name.len() as u8 + 6, 0, 0, name.len() as u8];
    announce.extend_from_slice(name);
    announce.extend_from_slice(&[0, 0, 0]);
    run(&announce);
    // 3DES in CBC mode under the session's key, from single blocks. [GPC E.4.7]
    let dek = {
        let mut input = [0; 16];
        input[..4].copy_from_slice(&[0x01, 0x81, sequence[0], sequence[1]]);
        let mut key = Vec::new();
        let mut block = [0; 8];
        for half in input.chunks(8) {
            half.iter().zip(&mut block).for_each(|(byte, to)| *to ^= byte);
            block = keys.dek().encrypt_block(&block);
            key.extend_from_slice(&block);
        }
        Tdes::new2(&key.try_into().unwrap())
    };
    let all: Vec<_> = huiwan_tlv::dgi::Dgis::new(script).map(Result::unwrap).collect();
    let mut block_number = 0;
    for (n, grouping) in all.iter().enumerate() {
        let mut value = grouping.value.to_vec();
        let encrypted = grouping.id >> 8 >= 0x80 && grouping.id >> 8 <= 0x85;
        if encrypted {
            if matches!(grouping.id, 0x8201..=0x8205) || value.len() % 8 != 0 {
                value.push(0x80);
                value.resize(value.len().div_ceil(8) * 8, 0);
            }
            let mut last = [0; 8];
            for part in value.chunks_mut(8) {
                part.iter().zip(&mut last).for_each(|(byte, to)| *to ^= byte);
                last = dek.encrypt_block(&last);
                part.copy_from_slice(&last);
            }
        }
        let mut bytes = grouping.id.to_be_bytes().to_vec();
        match value.len() {
            len @ 0..=0xFE => bytes.push(len as u8),
            len => bytes.extend_from_slice(&[0xFF, (len >> 8) as u8, len as u8]),
        }
        bytes.extend_from_slice(&value);
        let parts: Vec<_> = bytes.chunks(200).collect();
        for (m, part) in parts.iter().enumerate() {
            let last = n + 1 == all.len() && m + 1 == parts.len();
            let p1 = if last { 0x80 } else { 0 } | if encrypted { 0x60 } else { 0 };
            run(&[&[0x80, 0xE2, p1, block_number, part.len() as u8][..], part].concat());
            block_number += 1;
        }
    }
}

#[test]
fn implicit_scp02_personalises_too() {
    let aes = Channel {
        version: 0x30,
        level: Level::All,
        ..Channel::scp02("SCP02 i=1A", scp02::Options::I1A, Level::CMac)
    };
    let modules = aes.modules();
    let list = modules.list();
    let mut band = aes.blank(&list);
    aes.visit(&mut band, &install());
    let keys = scp02::StaticKeys::base(&TEST_KEY).unwrap();
    for (number, aid, script) in [(0, BANK_AID, bank_script()), (1, TRANSIT_AID, purse_script())] {
        let mut environment = Environment { random: &mut Seeded::new(5), now: None };
        band.power_on(Interface::Internal, &mut environment);
        let (answer, sw) = send(&mut band, &[0x00, 0xA4, 0x04, 0x00, 0x00]);
        assert_eq!(sw, 0x9000);
        let issuer = find(&answer, 0x84).unwrap();
        // The counter of this key set goes up with each session; C1 tells that of the default one.
        let sequence = [0, number];
        let mut session =
            Open::implicit(scp02::Options::I1A, &keys, scp02::Sequence::from_bytes(sequence), issuer)
                .unwrap();
        personalise_by_hand(&mut band, &mut session, &keys, sequence, &aid, &script);
        band.power_off();
    }
    bank_card_pays(&mut band);
    purse_pays(&mut band);
}

/// The objects of all instances but the issuer's domain.
fn application_objects(memory: &mut impl Memory) -> BTreeMap<ObjectId, Vec<u8>> {
    let mut objects = BTreeMap::new();
    let mut last = None;
    while let Some(object) = memory.next_object(last).unwrap() {
        last = Some(object);
        if object.instance.0 != 0 {
            let mut out = [0; 1024];
            objects.insert(object, memory.read(object, 0, &mut out).unwrap().to_vec());
        }
    }
    objects
}

/// Visits until command number `at` is under way; the power goes at its flash operation `operation`. How many commands there were, and
/// whether the power went.
fn visit_cut(
    channel: &Channel,
    band: &mut Band<'_>,
    jobs: &[Job<'_>],
    at: usize,
    cut: Option<(u32, Cut)>,
    mut seen: impl FnMut(usize, &mut Journal<Flash, 256>),
) -> (usize, bool) {
    let plan: Vec<Job<'_>> = [channel.open()].into_iter().chain(jobs.iter().copied()).collect();
    let mut environment = Environment { random: &mut Seeded::new(9), now: None };
    band.power_on(Interface::Internal, &mut environment);
    let (mut sent, mut dead) = (0, false);
    tsm::run(&plan, &mut channel.store(), &mut |command, out| {
        seen(sent, band.memory_mut());
        if let Some((operation, cut)) = cut.filter(|_| sent == at) {
            band.memory_mut().flash_mut().cut_after(operation, cut, 3);
        }
        let len = band.exchange(command, &mut environment).to_vec();
        out[..len.len()].copy_from_slice(&len);
        sent += 1;
        dead = band.memory_mut().flash().is_dead();
        // After the command in question nothing more is of interest.
        (!dead && (cut.is_none() || sent <= at)).then_some(len.len())
    });
    (sent, dead)
}

#[test]
fn power_lost_at_every_store_data_leaves_whole_groupings() {
    let channel = Channel::scp02("SCP02 i=15", scp02::Options::I15, Level::CMac);
    let modules = channel.modules();
    let list = modules.list();
    for (aid, script) in [(BANK_AID, bank_script()), (TRANSIT_AID, purse_script())] {
        let script = self::cut(&script);
        let jobs = [personalise(aid, &script, Coding::CPS)];
        let mut band = channel.blank(&list);
        channel.visit(&mut band, &install());
        let flash = band.into_memory().into_flash();
        let fresh = |flash: &Flash| -> Band<'_> {
            SecureElement::new(&list, Registry::new(&channel.profile), Journal::mount(flash.clone()).unwrap())
        };
        // What the application has before each command, and after the last.
        let mut stages = Vec::new();
        let mut whole = fresh(&flash);
        let (commands, _) = visit_cut(&channel, &mut whole, &jobs, 0, None, |_, memory| {
            stages.push(application_objects(memory))
        });
        stages.push(application_objects(&mut whole.into_memory()));
        assert_eq!(stages.len(), commands + 1);
        assert!(commands > script.len());
        let mut cuts = 0;
        for at in 0..commands {
            for cut in Cut::ALL {
                for operation in 0.. {
                    let mut torn = fresh(&flash);
                    let (_, dead) =
                        visit_cut(&channel, &mut torn, &jobs, at, Some((operation, cut)), |_, _| ());
                    if !dead {
                        break;
                    }
                    cuts += 1;
                    let mut flash = torn.into_memory().into_flash();
                    flash.power_on();
                    let mut again = fresh(&flash);
                    let found = application_objects(again.memory_mut());
                    assert!(
                        found == stages[at] || found == stages[at + 1],
                        "command {at}, operation {operation}, {cut:?}"
                    );
                    // From block 00 again, with the same script.
                    channel.visit(&mut again, &jobs);
                    assert_eq!(application_objects(again.memory_mut()), stages[commands]);
                }
            }
        }
        assert!(cuts > 2 * script.len(), "{cuts} cuts");
    }
}

#[test]
fn a_card_told_of_another_padding_is_refused_by_its_check_values_or_lengths() {
    // The host pads keys although the card leaves padding to CPS: 48 bytes and a block are no three keys.
    let channel = Channel::scp03("SCP03", scp03::Options::I70, 16, Level::All);
    let modules = channel.modules();
    let list = modules.list();
    let script = bank_script();
    let script = self::cut(&script);
    let mut band = channel.blank(&list);
    channel.visit(&mut band, &install());
    let jobs = [channel.open(), personalise(BANK_AID, &script, Coding::CPS.with_padding(DgiPadding::Always))];
    let mut environment = Environment { random: &mut Seeded::new(9), now: None };
    band.power_on(Interface::Internal, &mut environment);
    let end = tsm::run(&jobs, &mut channel.store(), &mut |command, out| {
        let answer = band.exchange(command, &mut environment);
        out[..answer.len()].copy_from_slice(answer);
        Some(answer.len())
    });
    let Visit::Stopped { job: 1, fault } = end else { panic!("{end:?}") };
    let text = fault.to_string();
    assert!(text.starts_with("store data of grouping 8000 (number 0): card answered 6A80"), "{text}");
    assert!(text.contains("compare padding"), "{text}");
}
