//! The bank, its cards, and the shop where they are tapped.

use huiwan_apdu::Aid;
use huiwan_crypto::rsa::RsaPrivate;
use huiwan_emv::certificates::{CaKey, CaKeys, CertificateInfo};
use huiwan_emv::cryptogram::derivation::MasterKeyOption;
use huiwan_emv::data::amount::{Amount, Currency};
use huiwan_emv::data::date::{Date, Time};
use huiwan_emv::host::SoftIssuerKeys;
use huiwan_emv::host::authorisation::{
    Authorisation, Decision, Facts, Input as HostInput, Script, Step as HostStep,
};
use huiwan_emv::host::certificates::{certify_issuer, fixtures};
use huiwan_emv::host::keys::CardReference;
use huiwan_emv::host::personalisation::{CardProfile, Cardholder, IssuerCertificate, SCRIPT_MAX, prepare};
use huiwan_emv::pan::Pan;
use huiwan_emv::qualifiers::Ttq;
use huiwan_emv::terminal::{
    COMMAND_MAX, Combination, Configuration, Cvm, EntryPoint, Input, Limits, Memory, Oda, Outcome, Step,
    Transaction, Verdict,
};
use huiwan_testkit::rng::Seeded;
use huiwan_tlv::Tag;

use crate::narrator::yuan;
use crate::world::{Route, World};

/// UnionPay debit.
pub const AID: Aid = Aid::from_array([0xA0, 0x00, 0x00, 0x03, 0x33, 0x01, 0x01, 0x01]);
/// The first digits of the bank's account numbers, and the bank in its certificate.
const IDENTIFIER: [u8; 4] = [0x62, 0x99, 0x99, 0xFF];
const KEY_INDEX: u8 = 1;
const TRACK_2: Tag = Tag::new(0x57);
const SEQUENCE: Tag = Tag::new(0x5F34);
/// Online PIN, no signature; issuer update, verification on the device, fDDA version 01.
const POS: Ttq = Ttq([0x24, 0x00, 0xC0, 0x80]);

/// An issuing bank.
pub struct Bank {
    keys: SoftIssuerKeys,
    key: RsaPrivate,
    certificate: Vec<u8>,
    remainder: Vec<u8>,
    profile: CardProfile<'static>,
}

/// The certification authority's key as terminals hold it.
struct Authority;

impl CaKeys for Authority {
    fn find(&self, rid: &[u8; 5], index: u8) -> Option<CaKey<'_>> {
        (*rid == fixtures::RID && index == fixtures::CA_INDEX)
            .then_some(CaKey { modulus: &fixtures::CA_MODULUS, exponent: &fixtures::EXPONENT })
    }
}

/// How a payment at the shop ended.
#[derive(Debug)]
pub struct Payment {
    pub outcome: Outcome,
    /// The issuer's verdict on an online request.
    pub authorised: Option<Facts>,
    /// What the issuer's scripts did in the second tap, one flag a script.
    pub scripts: Vec<bool>,
}

impl Bank {
    pub fn new(random: &mut Seeded) -> Self {
        let keys = SoftIssuerKeys::new(
            KEY_INDEX,
            MasterKeyOption::A,
            &random.bytes(),
            &random.bytes(),
            &random.bytes(),
        );
        let ca = fixtures::ca_key().expect("the fixture is a key");
        let key = fixtures::issuer_key().expect("the fixture is a key");
        let info = CertificateInfo { expiry: [0x12, 0x35], serial: random.bytes() };
        let mut out = [0; 256];
        let made = certify_issuer(
            &ca,
            IDENTIFIER,
            info,
            &fixtures::ISSUER_MODULUS,
            &fixtures::EXPONENT,
            random,
            &mut out,
        )
        .expect("the authority's key is longer than the issuer's");
        let (certificate, remainder) = (made.certificate.to_vec(), made.remainder.to_vec());
        Self { keys, key, certificate, remainder, profile: CardProfile::unionpay_debit() }
    }

    /// The data groupings of a new bank card.
    pub fn card_data(&mut self, pan: &str, balance: u64, random: &mut Seeded) -> Vec<u8> {
        let holder = Cardholder {
            card: CardReference {
                pan: Pan::from_digits(pan).expect("digits"),
                sequence: 1,
                key_index: KEY_INDEX,
            },
            effective: Date::new(2026, 1, 1).expect("a day"),
            expiry: Date::new(2031, 12, 31).expect("a day"),
            balance: fen(balance),
        };
        let certificate = IssuerCertificate {
            ca_index: fixtures::CA_INDEX,
            certificate: &self.certificate,
            remainder: &self.remainder,
            exponent: &fixtures::EXPONENT,
        };
        let icc = fixtures::icc_key().expect("the fixture is a key");
        let mut out = [0; SCRIPT_MAX];
        prepare(&self.profile, &holder, &mut self.keys, &self.key, &certificate, &icc, random, &mut out)
            .expect("the buffer is as long as the crate says")
            .to_vec()
    }

    /// A payment at a shop whose terminal asks for verification from 300 yuan on. `answer` is the bank's policy
    /// for an online request; the wearer taps again if card and terminal can bring its answer to the card.
    pub fn pay(
        &mut self,
        world: &mut World<'_>,
        amount: u64,
        answer: impl FnOnce(&Facts) -> Decision,
    ) -> Payment {
        let limits = Limits { cvm: Some(fen(300_00)), ..Limits::NONE };
        let combinations = [Combination::quick_pass(AID, POS).with_limits(limits)];
        let mut configuration = Configuration::default();
        configuration.combinations = &combinations;
        configuration.keys = &Authority;
        let (mut data, mut static_data) = ([0; 1024], [0; 512]);
        let memory = Memory { data: &mut data, static_data: &mut static_data };
        let mut terminal = EntryPoint::new(&configuration, memory);
        let mut transaction = Transaction::default();
        transaction.amount = fen(amount);
        transaction.currency = Currency::CNY;
        transaction.date =
            Date::new(world.now.year, world.now.month, world.now.day).expect("the story's clock is right");
        transaction.time = Time::new(world.now.hour, world.now.minute, world.now.second).expect("as above");

        let outcome = tap(world, &mut terminal, Input::Start(transaction));
        let mut payment = Payment { outcome, authorised: None, scripts: Vec::new() };
        if outcome.verdict != Verdict::OnlineRequest {
            return payment;
        }
        let mut field_55 = [0; 512];
        let field_55 = terminal.online_data(&mut field_55).expect("the data fit");
        // Account and sequence number travel in fields of their own (ISO 8583 fields 2 and 23), not in field 55.
        let pan = terminal.kernel().card_object(TRACK_2).and_then(|track2| Pan::from_track2(track2).ok());
        let sequence = terminal.kernel().card_object(SEQUENCE).and_then(|bytes| bytes.first().copied());
        let (facts, response) = self.authorise(field_55, (pan, sequence), answer);
        payment.authorised = facts;
        if let (true, Some(response)) = (outcome.issuer_update, response) {
            world.narrator.say("The bank has something for the card: the wearer taps a second time.");
            payment.outcome = tap(world, &mut terminal, Input::IssuerAnswer(&response));
            // Byte 1 of a script result: 2x in the high half is "processed". [EMV-B4 A5]
            payment.scripts =
                terminal.kernel().script_results().iter().map(|result| result[0] >> 4 == 2).collect();
            payment.outcome.cvm = outcome.cvm;
        }
        payment
    }

    /// The issuer's side of an online request.
    fn authorise(
        &mut self,
        field_55: &[u8],
        (pan, sequence): (Option<Pan>, Option<u8>),
        answer: impl FnOnce(&Facts) -> Decision,
    ) -> (Option<Facts>, Option<Vec<u8>>) {
        let mut engine = Authorisation::new();
        let mut answer = Some(answer);
        let mut facts = None;
        let mut input = HostInput::Start { field_55, pan, sequence };
        loop {
            let mut out = [0; 256];
            input = match engine.step(input, &mut out).expect("the loop answers what is asked") {
                HostStep::Key(request) => HostInput::Key(request.perform(&mut self.keys).ok()),
                HostStep::Decide(found) => {
                    facts = Some(found);
                    let answer = answer.take().expect("asked once");
                    HostInput::Decide(answer(&found))
                }
                HostStep::Done(outcome) => return (facts, outcome.response().map(<[u8]>::to_vec)),
            };
        }
    }

    /// Balance of the e-cash, as the band's own screen shows it.
    pub fn balance(&self, world: &mut World<'_>) -> Option<u64> {
        let answer = world.talk(Route::Screen, "band MCU", "bank card", |line| {
            let mut select = vec![0x00, 0xA4, 0x04, 0x00, 0x08];
            select.extend_from_slice(AID.as_bytes());
            select.push(0);
            line.send(&select)?;
            line.send(&[0x80, 0xCA, 0x9F, 0x79, 0x00])
        })?;
        match answer.as_slice() {
            [0x9F, 0x79, 0x06, bcd @ .., 0x90, 0x00] => Amount::from_bcd(bcd).map(Amount::minor),
            _ => None,
        }
    }
}

/// One presentation of the band to the shop's terminal.
fn tap(world: &mut World<'_>, terminal: &mut EntryPoint<'_>, first: Input<'_>) -> Outcome {
    let unpredictable: [u8; 4] = world.random.bytes();
    world.talk(Route::Antenna, "POS", "bank card", |line| {
        let mut out = [0; COMMAND_MAX];
        let mut answer;
        let mut input = first;
        loop {
            input = match terminal.step(input, &mut out).expect("the loop answers what is asked") {
                Step::Send(command) => {
                    answer = line.send(command);
                    answer.as_deref().map_or(Input::CardLost, Input::Response)
                }
                Step::UnpredictableNumber => Input::UnpredictableNumber(unpredictable),
                Step::Done(outcome) => return outcome,
            };
        }
    })
}

/// An amount in fen.
fn fen(minor: u64) -> Amount {
    Amount::new(minor).expect("an amount of at most twelve digits")
}

/// A coffee: below every limit, paid from the e-cash without asking anybody.
pub fn coffee(bank: &mut Bank, world: &mut World<'_>, price: u64) {
    let payment = bank.pay(world, price, |_| Decision::decline());
    let approved = payment.outcome.verdict == Verdict::Approved && payment.outcome.oda == Oda::Passed;
    world.narrator.check(
        approved && payment.outcome.cvm == Cvm::None,
        &format!("{} paid offline: the card's signature is verified, no PIN asked", yuan(price)),
    );
}

/// A jacket: above the limit without verification, so a fingerprint and the bank's word.
pub fn jacket(bank: &mut Bank, world: &mut World<'_>, price: u64, raise: u64) {
    world.narrator.say("The wearer lays a finger on the band's sensor.");
    world.band.element.set_wearer_verified(true);
    let payment = bank.pay(world, price, |facts| match facts.verdict.cryptogram {
        true => Decision::approve().with_script(Script::TopUp(fen(raise))),
        false => Decision::decline(),
    });
    let right =
        payment.authorised.is_some_and(|facts| facts.verdict.cryptogram && facts.cvr.offline_pin_done());
    world.narrator.check(right, "the bank verified the ARQC, and sees in it that the wearer was verified");
    world
        .narrator
        .check(payment.outcome.cvm == Cvm::Device, "the terminal asks for no PIN: the device did it");
    world.narrator.check(
        payment.outcome.verdict == Verdict::IssuerUpdated && payment.scripts == [true],
        &format!(
            "{} approved online; the ARPC and a script raise the e-cash by {}",
            yuan(price),
            yuan(raise)
        ),
    );
}

/// A tap that must not lead to a payment.
pub fn is_refused(bank: &mut Bank, world: &mut World<'_>) -> bool {
    let payment = bank.pay(world, 5_00, |_| Decision::decline());
    !matches!(payment.outcome.verdict, Verdict::Approved | Verdict::OnlineRequest | Verdict::IssuerUpdated)
}
