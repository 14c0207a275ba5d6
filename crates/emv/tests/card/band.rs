//! A band with a loader in place of the card manager, a PPSE and a payment card; and a reader to hold against it.
#![allow(clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use huiwan_apdu::{Aid, Command, Sw};
use huiwan_card::{
    Action, Batch, Context, DateTime, Element, Entry, Environment, Forward, InstanceId, Interface, Memory,
    MemoryError, Module, ModuleId, ObjectId, ResponseWriter, StaticDirectory, Write,
};
use huiwan_crypto::rsa::RsaPrivate;
use huiwan_emv::card::{Ppse, Qpboc, ppse, qpboc};
use huiwan_emv::certificates::CertificateInfo;
use huiwan_emv::cryptogram::derivation::MasterKeyOption;
use huiwan_emv::data::amount::Amount;
use huiwan_emv::data::date::Date;
use huiwan_emv::host::certificates::{certify_issuer, fixtures};
use huiwan_emv::host::keys::CardReference;
use huiwan_emv::host::personalisation::{Cardholder, IssuerCertificate, SCRIPT_MAX, prepare};
use huiwan_emv::host::{CardProfile, SoftIssuerKeys};
use huiwan_emv::pan::Pan;
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::dgi::Dgis;
use huiwan_tlv::{Rules, Tag, Walk, walk};

pub const PAYMENT: InstanceId = InstanceId(2);
pub const AID: [u8; 8] = [0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01];
pub const NOW: DateTime = DateTime { year: 2026, month: 11, day: 22, hour: 21, minute: 4, second: 5 };

/// Objects in a map; the power can be cut before or after a commit lands.
#[derive(Clone, Default)]
pub struct Cells {
    objects: BTreeMap<ObjectId, Vec<u8>>,
    /// Commits until the cut, and whether that one lands.
    pub cut: Option<(usize, bool)>,
    pub commits: usize,
}

impl Memory for Cells {
    fn read<'o>(&mut self, object: ObjectId, at: usize, out: &'o mut [u8]) -> Result<&'o [u8], MemoryError> {
        let rest = self.objects.get(&object).ok_or(MemoryError::NotFound)?.get(at..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(&out[..n])
    }
    fn len(&mut self, object: ObjectId) -> Result<Option<usize>, MemoryError> {
        Ok(self.objects.get(&object).map(Vec::len))
    }
    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), MemoryError> {
        if batch.overflowed() {
            return Err(MemoryError::TooLarge);
        }
        let fails = matches!(self.cut, Some((0, _)));
        let lands = match &mut self.cut {
            Some((0, lands)) => core::mem::replace(lands, false),
            Some((left, _)) => {
                *left -= 1;
                true
            }
            None => true,
        };
        if lands {
            self.commits += 1;
            for write in batch.iter() {
                match write {
                    Write::Put(object, data) => drop(self.objects.insert(object, data.to_vec())),
                    Write::Delete(object) => drop(self.objects.remove(&object)),
                    Write::DeleteInstance(of) => self.objects.retain(|object, _| object.instance != of),
                }
            }
        }
        if fails { Err(MemoryError::PowerLost) } else { Ok(()) }
    }
    fn next_object(&mut self, after: Option<ObjectId>) -> Result<Option<ObjectId>, MemoryError> {
        Ok(self.objects.keys().find(|object| after.is_none_or(|after| **object > after)).copied())
    }
}

impl Cells {
    pub fn get(&self, id: u16) -> Option<&[u8]> {
        self.objects.get(&ObjectId::new(PAYMENT, id)).map(Vec::as_slice)
    }
    pub fn set(&mut self, id: u16, data: &[u8]) {
        self.objects.insert(ObjectId::new(PAYMENT, id), data.to_vec());
    }
}

/// Installs and personalises whatever it is told: `80E6` installs the payment card, `80E2 DGI` hands a grouping on.
struct Loader;

impl Module for Loader {
    fn install(&self, _: &mut Context<'_>, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }
    fn select(&self, _: &mut Context<'_>, _: &mut ResponseWriter<'_>) -> Sw {
        Sw::OK
    }
    fn process(&self, cx: &mut Context<'_>, command: &Command<'_>, _: &mut ResponseWriter<'_>) -> Action {
        let len = command.data().len();
        cx.scratch[..len].copy_from_slice(command.data());
        Action::Forward(if command.ins() == 0xE6 {
            Forward::Install { module: ModuleId(2), instance: PAYMENT, aid: Aid::from_array(AID), len }
        } else {
            Forward::Personalise { to: PAYMENT, dgi: command.p1p2(), len }
        })
    }
    fn personalise(&self, _: &mut Context<'_>, _: u16, _: &[u8]) -> Result<(), Sw> {
        Ok(())
    }
}

pub struct Band<M: Memory = Cells> {
    pub element: Element<'static, M, StaticDirectory<'static>, 4, { qpboc::session::SLOT }, 4096>,
    rng: Seeded,
}

pub fn entry(instance: u8, module: u8, aid: &[u8], priority: Option<u8>) -> Entry {
    Entry {
        aid: Aid::name(aid).unwrap(),
        instance: InstanceId(instance),
        module: ModuleId(module),
        domain: InstanceId::ISSUER,
        selectable: true,
        contactless: true,
        label: heapless_label(if priority.is_some() { b"UnionPay Debit" } else { b"" }),
        priority,
    }
}

fn heapless_label(label: &[u8]) -> heapless::Vec<u8, 16> {
    heapless::Vec::from_slice(label).unwrap()
}

pub fn pan() -> Pan {
    Pan::from_digits("6228000100001117").unwrap()
}

pub fn card() -> CardReference {
    CardReference { pan: pan(), sequence: 1, key_index: 1 }
}

pub fn keys() -> SoftIssuerKeys {
    SoftIssuerKeys::new(1, MasterKeyOption::A, &[0x11; 16], &[0x22; 16], &[0x44; 16])
}

pub fn yuan(amount: u64) -> Amount {
    Amount::new(amount * 100).unwrap()
}

/// The data groupings of the test card, by the host's public API.
pub fn script(profile: &CardProfile<'_>, icc: &RsaPrivate, balance: Amount) -> Vec<u8> {
    let mut rng = Seeded::new(7);
    let (ca, issuer) = (fixtures::ca_key().unwrap(), fixtures::issuer_key().unwrap());
    let mut certificate = [0; 256];
    let info = CertificateInfo { expiry: [0x12, 0x35], serial: [0, 0, 1] };
    let made = certify_issuer(
        &ca,
        [0x62, 0x28, 0x00, 0xFF],
        info,
        &fixtures::ISSUER_MODULUS,
        &fixtures::EXPONENT,
        &mut rng,
        &mut certificate,
    )
    .unwrap();
    let holder = Cardholder {
        card: card(),
        effective: Date::new(2026, 1, 1).unwrap(),
        expiry: Date::new(2031, 12, 31).unwrap(),
        balance,
    };
    let certificate = IssuerCertificate {
        ca_index: fixtures::CA_INDEX,
        certificate: made.certificate,
        remainder: made.remainder,
        exponent: &fixtures::EXPONENT,
    };
    let mut out = [0; SCRIPT_MAX];
    prepare(profile, &holder, &mut keys(), &issuer, &certificate, icc, &mut rng, &mut out).unwrap().to_vec()
}

thread_local! {
    /// The standard card's groupings, made once.
    static STANDARD: Vec<u8> =
        script(&CardProfile::unionpay_debit(), &fixtures::icc_key().unwrap(), yuan(500));
}

pub fn standard_script() -> Vec<u8> {
    STANDARD.with(Clone::clone)
}

impl<M: Memory> Band<M> {
    pub fn on(memory: M, qpboc: Qpboc) -> Self {
        let modules: &'static [&'static dyn Module] =
            Box::leak(vec![&Loader as &dyn Module, &Ppse, Box::leak(Box::new(qpboc))].into_boxed_slice());
        let entries: &'static [Entry] = Box::leak(
            vec![
                entry(0, 0, &[0xA0, 0, 0, 1, 0x51, 0, 0, 0], None),
                entry(1, 1, ppse::NAME.as_bytes(), None),
                entry(PAYMENT.0, 2, &AID, Some(1)),
            ]
            .into_boxed_slice(),
        );
        let mut band =
            Self { element: Element::new(modules, StaticDirectory(entries), memory), rng: Seeded::new(3) };
        band.power_on();
        band
    }

    pub fn load(&mut self, script: &[u8]) {
        assert_eq!(self.send(&[0x80, 0xE6, 0, 0]).1, 0x9000);
        for dgi in Dgis::new(script) {
            let dgi = dgi.unwrap();
            assert_eq!(self.store(dgi.id, dgi.value), 0x9000, "{:04X}", dgi.id);
        }
        self.power_on();
    }

    pub fn store(&mut self, dgi: u16, value: &[u8]) -> u16 {
        let [p1, p2] = dgi.to_be_bytes();
        let mut apdu = vec![0x80, 0xE2, p1, p2, 0, (value.len() >> 8) as u8, value.len() as u8];
        apdu.extend_from_slice(value);
        self.send(&apdu).1
    }

    pub fn power_on(&mut self) {
        let mut env = Environment { random: &mut self.rng, now: Some(NOW) };
        self.element.power_off();
        self.element.power_on(Interface::Contactless, &mut env);
    }

    pub fn send(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let mut env = Environment { random: &mut self.rng, now: Some(NOW) };
        let answer = self.element.exchange(apdu, &mut env).to_vec();
        let (data, sw) = answer.split_at(answer.len() - 2);
        (data.to_vec(), u16::from_be_bytes([sw[0], sw[1]]))
    }

    pub fn select(&mut self) -> u16 {
        self.send(&[&[0, 0xA4, 4, 0, 8][..], &AID, &[0]].concat()).1
    }

    /// SELECT and GET PROCESSING OPTIONS.
    pub fn tap(&mut self, terminal: &Reader) -> Result<Answer, u16> {
        let selected = self.select();
        assert!(matches!(selected, 0x9000 | 0x6283), "{selected:04X}");
        self.options(terminal)
    }

    pub fn options(&mut self, terminal: &Reader) -> Result<Answer, u16> {
        match self.send(&terminal.options()) {
            (data, 0x9000) => Ok(Answer(data)),
            (_, sw) => Err(sw),
        }
    }

    pub fn read(&mut self, sfi: u8, record: u8) -> Result<Vec<u8>, u16> {
        match self.send(&[0, 0xB2, record, sfi << 3 | 4, 0]) {
            (data, 0x9000) => Ok(data),
            (_, sw) => Err(sw),
        }
    }

    /// Every record of an answer's AFL.
    pub fn read_all(&mut self, answer: &Answer) -> Result<Vec<Vec<u8>>, u16> {
        let mut records = Vec::new();
        for entry in answer.get(0x94).unwrap().chunks(4) {
            for record in entry[1]..=entry[2] {
                records.push(self.read(entry[0] >> 3, record)?);
            }
        }
        Ok(records)
    }
}

impl Band {
    pub fn blank() -> Self {
        Self::on(Cells::default(), Qpboc::default())
    }

    /// A personalised card: 500 yuan of e-cash, 300 a payment, verification above 300, reload below 20.
    pub fn issued() -> Self {
        let mut band = Self::blank();
        band.load(&standard_script());
        band
    }

    /// The issued card after its first online transaction, with objects replaced.
    pub fn with(objects: &[(u16, &[u8])]) -> Self {
        let mut band = Self::issued();
        band.element.memory_mut().set(0x9F13, &[0, 1]);
        for (id, data) in objects {
            band.element.memory_mut().set(*id, data);
        }
        band
    }

    pub fn memory(&mut self) -> &Cells {
        self.element.memory_mut()
    }

    pub fn balance(&mut self) -> u64 {
        Amount::from_bcd(self.memory().get(0x9F79).unwrap()).unwrap().minor()
    }

    pub fn atc(&mut self) -> u16 {
        let atc = self.memory().get(0x9F36).unwrap();
        u16::from_be_bytes([atc[0], atc[1]])
    }
}

/// What a terminal says.
#[derive(Clone, Copy)]
pub struct Reader {
    pub ttq: [u8; 4],
    pub amount: Amount,
    pub currency: [u8; 2],
}

impl Reader {
    /// Online-capable, PIN and signature, fDDA version 01.
    pub fn of(amount: Amount) -> Self {
        Self { ttq: [0x26, 0, 0, 0x80], amount, currency: [1, 0x56] }
    }

    pub fn values(&self) -> Vec<u8> {
        [
            &self.ttq[..],
            &self.amount.to_bcd(),
            &[0; 6],
            &[1, 0x56],
            &[0; 5],
            &self.currency,
            &[0x26, 0x11, 0x22],
            &[0],
            &[0xDE, 0xAD, 0xBE, 0xEF],
        ]
        .concat()
    }

    pub fn options(&self) -> Vec<u8> {
        let values = self.values();
        let len = values.len() as u8;
        [&[0x80, 0xA8, 0, 0, len + 2, 0x83, len][..], &values, &[0]].concat()
    }
}

/// The answer to GET PROCESSING OPTIONS, or any TLV answer.
pub struct Answer(pub Vec<u8>);

impl Answer {
    pub fn get(&self, tag: u32) -> Option<&[u8]> {
        find_deep(&self.0, tag)
    }
    /// AAC, TC or ARQC as the issuer application data say it.
    pub fn kind(&self) -> &'static str {
        match self.get(0x9F10).unwrap()[4] & 0x30 {
            0x00 => "AAC",
            0x10 => "TC",
            0x20 => "ARQC",
            _ => "?",
        }
    }
    pub fn ctq(&self) -> [u8; 2] {
        self.get(0x9F6C).unwrap().try_into().unwrap()
    }
}

pub fn find_deep(raw: &[u8], tag: u32) -> Option<&[u8]> {
    let objects: Walk<'_, 8> = walk(raw, Rules::EMV);
    objects.flatten().find(|(_, object)| object.tag() == Tag::new(tag)).map(|(_, object)| object.value())
}
