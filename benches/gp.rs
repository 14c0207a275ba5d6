//! The secure channels beside what they could cost: `…/floor` is the cipher work alone, keys expanded and every block handed over at
//! once; where a card is asked, its session comes out of the volatile slot as bytes and goes back there, keys unexpanded.
//!
//! `cargo bench -p huiwan-benches --bench gp`
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use huiwan_apdu::{Command, Sw};
use huiwan_card::{ResponseWriter, SecureChannel};
use huiwan_crypto::ec::{EcPrivate, EcPublic, P256};
use huiwan_crypto::kdf::Sha256;
use huiwan_crypto::mac::{self, Padding};
use huiwan_crypto::{Aes, BlockKey, Tdes};
use huiwan_gp::card::TEST_KEY;
use huiwan_gp::card::secure_channel::{CardKeys, SESSION_LEN, Session};
use huiwan_gp::host::secure_channel::{AwaitAcceptance, AwaitCard, AwaitReceipt, Open};
use huiwan_gp::initialize_update::Answer;
use huiwan_gp::scp03::challenge::Counter;
use huiwan_gp::scp03::{Mode, SessionKeys, cryptogram};
use huiwan_gp::scp11::{Secrets, Variant};
use huiwan_gp::secure_channel::Level;
use huiwan_gp::{scp02, scp03};
use huiwan_testkit::rng::Seeded;

const HOST_CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const CARD_CHALLENGE: [u8; 8] = [8, 7, 6, 5, 4, 3, 2, 1];
const DATA: [u8; 200] = [0x5A; 200];
/// Bytes of data of a command or a response.
const SIZES: [usize; 3] = [0, 16, 200];

/// A protocol as the benches below need it.
trait Protocol {
    const NAME: &'static str;
    /// The levels its messages are measured at.
    const LEVELS: &'static [(&'static str, Level)];
    /// What protects most.
    const MOST: Level;
    type Keys;

    fn keys() -> Self::Keys;
    fn initialize(keys: &Self::Keys) -> (Session, Answer);
    fn verify(keys: &Self::Keys, answer: &Answer, level: Level) -> AwaitAcceptance;
    /// The cipher work of one handshake on one side.
    fn floor_open(b: &mut criterion::Bencher<'_>);
    /// Encryption and MAC of a message of `len` bytes.
    fn floor_protect(b: &mut criterion::Bencher<'_>, len: usize);
    /// MAC and decryption of a message of `len` bytes.
    fn floor_open_message(b: &mut criterion::Bencher<'_>, len: usize);
}

struct Scp03;

/// Bytes of padded data.
fn padded(len: usize, block: usize) -> usize {
    if len == 0 { 0 } else { (len / block + 1) * block }
}

impl Protocol for Scp03 {
    const NAME: &'static str = "scp03";
    const LEVELS: &'static [(&'static str, Level)] =
        &[("c_mac", Level::CMac), ("c_mac_c_enc", Level::CMacCEnc)];
    const MOST: Level = Level::All;
    type Keys = scp03::StaticKeys;

    fn keys() -> Self::Keys {
        scp03::StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap()
    }

    fn initialize(keys: &Self::Keys) -> (Session, Answer) {
        let (mut card, options) = (Session::none(), scp03::Options::I70);
        let (host, counter) = (&HOST_CHALLENGE, Counter::ZERO);
        let answer =
            card.initialize_update(keys, 0x30, [0; 10], options, host, CARD_CHALLENGE, counter).unwrap();
        (card, answer)
    }

    fn verify(keys: &Self::Keys, answer: &Answer, level: Level) -> AwaitAcceptance {
        AwaitCard::new(black_box(HOST_CHALLENGE)).verify_card(0x80, answer, keys, level).unwrap()
    }

    /// Five derivations and a MAC, three blocks each with their subkeys, and three key expansions.
    fn floor_open(b: &mut criterion::Bencher<'_>) {
        let key = Aes::new(&TEST_KEY).unwrap();
        b.iter(|| {
            let mut blocks = black_box([0_u8; 96]);
            key.encrypt_ecb(&mut blocks).unwrap();
            key.encrypt_ecb(&mut blocks).unwrap();
            key.encrypt_ecb(&mut blocks).unwrap();
            let keys = blocks.first_chunk::<48>().unwrap().as_chunks::<16>().0.iter();
            keys.map(|key| Aes::new(key).unwrap()).fold(0, |n, key| n + key.key_len())
        });
    }

    fn floor_protect(b: &mut criterion::Bencher<'_>, len: usize) {
        let (enc, authentic) = (Aes::new(&TEST_KEY).unwrap(), Aes::new(&TEST_KEY).unwrap());
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            let data = &mut data[..padded(len, 16)];
            mac::encrypt_then_cmac(&enc, &[0; 16], &authentic, &[&[0; 21]], data, &[]).unwrap()
        });
    }

    fn floor_open_message(b: &mut criterion::Bencher<'_>, len: usize) {
        let (enc, authentic) = (Aes::new(&TEST_KEY).unwrap(), Aes::new(&TEST_KEY).unwrap());
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            let data = &mut data[..padded(len, 16)];
            let mac = mac::cmac(&authentic, &[&[0; 21], data]);
            enc.decrypt_cbc(&[0; 16], data).unwrap();
            mac
        });
    }
}

struct Scp02;

impl Protocol for Scp02 {
    const NAME: &'static str = "scp02";
    const LEVELS: &'static [(&'static str, Level)] =
        &[("c_mac", Level::CMac), ("c_mac_c_enc", Level::CMacCEnc)];
    const MOST: Level = Level::CMacCEncRMac;
    type Keys = scp02::StaticKeys;

    fn keys() -> Self::Keys {
        scp02::StaticKeys::new(&TEST_KEY, &TEST_KEY, &TEST_KEY).unwrap()
    }

    fn initialize(keys: &Self::Keys) -> (Session, Answer) {
        let (mut card, options, random) = (Session::none(), scp02::Options::I75, [6, 5, 4, 3, 2, 1]);
        let (host, sequence, aid) = (&HOST_CHALLENGE, scp02::Sequence::ZERO, &[0xA0, 0, 0, 1, 0x51, 0, 0, 0]);
        let answer =
            card.initialize_update_scp02(keys, 0x20, [0; 10], options, host, random, sequence, aid).unwrap();
        (card, answer)
    }

    fn verify(keys: &Self::Keys, answer: &Answer, level: Level) -> AwaitAcceptance {
        AwaitCard::new(black_box(HOST_CHALLENGE))
            .with_scp02(scp02::Options::I75)
            .verify_card(0x80, answer, keys, level)
            .unwrap()
    }

    /// Five keys of two blocks each, two cryptograms of four, a retail MAC of three, and the expansion of two session keys.
    fn floor_open(b: &mut criterion::Bencher<'_>) {
        let key = Tdes::new2(&TEST_KEY);
        b.iter(|| {
            let mut blocks = black_box([0_u8; 18 * 8]);
            key.encrypt_ecb(&mut blocks).unwrap();
            let mac = mac::alg3(&key, &[0; 8], &[&blocks[..16]], Padding::Method2);
            (mac, [0, 16].map(|at| Tdes::new2(blocks[at..].first_chunk().unwrap())))
        });
    }

    fn floor_protect(b: &mut criterion::Bencher<'_>, len: usize) {
        let (enc, authentic) = (Tdes::new2(&TEST_KEY), Tdes::new2(&TEST_KEY));
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            let mac = mac::alg3(&authentic, &[0; 8], &[&[0; 5], &data[..len]], Padding::Method2);
            enc.encrypt_cbc(&[0; 8], &mut data[..padded(len, 8)]).unwrap();
            (mac, data)
        });
    }

    fn floor_open_message(b: &mut criterion::Bencher<'_>, len: usize) {
        let (enc, authentic) = (Tdes::new2(&TEST_KEY), Tdes::new2(&TEST_KEY));
        b.iter(|| {
            let mut data = black_box([0x5A; 208]);
            enc.decrypt_cbc(&[0; 8], &mut data[..padded(len, 8)]).unwrap();
            (mac::alg3(&authentic, &[0; 8], &[&[0; 5], &data[..len]], Padding::Method2), data)
        });
    }
}

fn pair<P: Protocol>(level: Level) -> (Open, Session) {
    let keys = P::keys();
    let (mut card, answer) = P::initialize(&keys);
    let host = P::verify(&keys, &answer, level);
    card.external_authenticate(&Command::parse(host.command()).unwrap()).unwrap();
    (host.accepted(Sw::OK).unwrap(), card)
}

fn slot_of(card: &Session) -> [u8; SESSION_LEN] {
    let mut slot = [0; SESSION_LEN];
    card.store(&mut slot);
    slot
}

fn group<'c>(c: &'c mut Criterion, protocol: &str, what: &str) -> BenchmarkGroup<'c, WallTime> {
    c.benchmark_group(format!("gp/{protocol}/{what}"))
}

fn open_session<P: Protocol>(c: &mut Criterion) {
    let mut group = group(c, P::NAME, "open_session");
    let keys = P::keys();
    let (_, answer) = P::initialize(&keys);
    group.bench_function("host", |b| {
        b.iter(|| P::verify(&keys, &answer, P::MOST));
    });
    let verified = P::verify(&keys, &answer, P::MOST);
    // From slot to slot, twice: INITIALIZE UPDATE and EXTERNAL AUTHENTICATE are two commands.
    group.bench_function("card", |b| {
        b.iter(|| {
            let (card, _) = P::initialize(black_box(&keys));
            let mut card = Session::load(&slot_of(&card));
            card.external_authenticate(&Command::parse(verified.command()).unwrap()).unwrap();
            slot_of(&card)
        });
    });
    group.bench_function("floor", P::floor_open);
    group.finish();
}

/// What the sender does: the host with commands, the card with responses.
fn wrap<P: Protocol>(c: &mut Criterion) {
    let mut group = group(c, P::NAME, "wrap");
    for len in SIZES {
        for (name, level) in P::LEVELS {
            let (mut host, _) = pair::<P>(*level);
            let command = Command::new(0x80, 0xE2, 0, 0).with_data(&DATA[..len]);
            let mut wire = [0; 256];
            group.bench_function(format!("host_{name}/{len}"), |b| {
                b.iter(|| host.wrap(black_box(&command), &mut wire).unwrap().len());
            });
        }
        let (mut host, mut card) = pair::<P>(P::MOST);
        let mut wire = [0; 256];
        let sent = host.wrap(&Command::new(0x80, 0xCA, 0, 0), &mut wire).unwrap();
        card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 256]).unwrap();
        let slot = slot_of(&card);
        group.bench_function(format!("card_most/{len}"), |b| {
            b.iter(|| {
                let mut buffer = [0; 256];
                let mut reply = ResponseWriter::new(&mut buffer);
                reply.push(&DATA[..len]).unwrap();
                let mut card = Session::load(black_box(&slot));
                card.wrap(&mut reply, Sw::OK).unwrap();
                (slot_of(&card), ResponseWriter::len(&reply))
            });
        });
        group.bench_function(format!("floor/{len}"), |b| P::floor_protect(b, len));
    }
    group.finish();
}

/// What the receiver does: the card with commands, the host with responses.
fn unwrap<P: Protocol>(c: &mut Criterion) {
    let mut group = group(c, P::NAME, "unwrap");
    for len in SIZES {
        for (name, level) in P::LEVELS {
            let (mut host, card) = pair::<P>(*level);
            let mut wire = [0; 256];
            let command = Command::new(0x80, 0xE2, 0, 0).with_data(&DATA[..len]);
            let sent = host.wrap(&command, &mut wire).unwrap().to_vec();
            let slot = slot_of(&card);
            group.bench_function(format!("card_{name}/{len}"), |b| {
                b.iter(|| {
                    let mut card = Session::load(black_box(&slot));
                    let mut out = [0; 256];
                    let len = card.unwrap(&Command::parse(&sent).unwrap(), &mut out).unwrap().data().len();
                    (slot_of(&card), len)
                });
            });
        }
        let command = Command::new(0x80, 0xCA, 0, 0);
        let (mut host, mut card) = pair::<P>(P::MOST);
        let mut wire = [0; 256];
        let sent = host.wrap(&command, &mut wire).unwrap();
        card.unwrap(&Command::parse(sent).unwrap(), &mut [0; 256]).unwrap();
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        reply.push(&DATA[..len]).unwrap();
        card.wrap(&mut reply, Sw::OK).unwrap();
        let response = [reply.as_slice(), &[0x90, 0x00]].concat();
        // One command, one response: the session is put back to where the response is due.
        let awaiting = || {
            let (mut host, _) = pair::<P>(P::MOST);
            host.wrap(&command, &mut [0; 256]).unwrap();
            host
        };
        group.bench_function(format!("host_most/{len}"), |b| {
            b.iter_batched_ref(
                awaiting,
                |host| host.unwrap(black_box(&response), &mut [0; 256]).unwrap().data().len(),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("floor/{len}"), |b| P::floor_open_message(b, len));
    }
    group.finish();
}

fn derive(c: &mut Criterion) {
    let mut group = group(c, Scp03::NAME, "derive");
    let keys = Scp03::keys();
    group.bench_function("keys_and_cryptogram", |b| {
        b.iter(|| {
            let session = SessionKeys::derive(&keys, black_box(&HOST_CHALLENGE), &CARD_CHALLENGE).unwrap();
            // Three kilobytes of expanded keys, which the bench does not move once more; nor does the other one.
            black_box(&session);
            cryptogram::card(&session, &HOST_CHALLENGE, &CARD_CHALLENGE).unwrap()
        });
    });
    // As its documentation shows: a new CMAC for every derivation, from a key that is expanded already.
    group.bench_function("rustcrypto", |b| {
        use cmac::{Cmac, KeyInit as _, Mac as _};
        let fresh = Cmac::<aes::Aes128>::new(&TEST_KEY.into());
        let derive = |mac: &Cmac<aes::Aes128>, constant| {
            let mut mac = mac.clone();
            mac.update(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, constant, 0, 0, 0x80, 1]);
            mac.update(black_box(&HOST_CHALLENGE));
            mac.update(&CARD_CHALLENGE);
            mac.finalize().into_bytes()
        };
        b.iter(|| {
            let enc = Cmac::<aes::Aes128>::new(&derive(&fresh, 4));
            let mac = Cmac::<aes::Aes128>::new(&derive(&fresh, 6));
            let rmac = Cmac::<aes::Aes128>::new(&derive(&fresh, 7));
            black_box((&enc, &mac, &rmac));
            derive(&mac, 0)
        });
    });
    group.finish();
}

/// A whole handshake of SCP11a; its floor is what the curve costs.
fn scp11a(c: &mut Criterion) {
    let mut group = group(c, "scp11a", "open_session");
    let (own, static_host) =
        (EcPrivate::<P256>::new(&[0x21; 32]).unwrap(), EcPrivate::<P256>::new(&[0x42; 32]).unwrap());
    let (public, host_public) = (own.public().unwrap(), static_host.public().unwrap());
    let handshake = || {
        let ephemeral = EcPrivate::<P256>::new(&[0x63; 32]).unwrap();
        AwaitReceipt::new(Variant::A, Level::All, 16, ephemeral).unwrap()
    };
    let request = handshake().command(0x80, 1, 1).data().to_vec();
    let card = || {
        let keys = CardKeys { key_version: 3, own: &own, host: Some(&host_public), card_group: &[] };
        let mut buffer = [0; 256];
        let mut reply = ResponseWriter::new(&mut buffer);
        let mut card = Session::none();
        let random = &mut Seeded::new(7);
        card.authenticate_scp11::<P256, Sha256>(
            Variant::A,
            black_box(&request),
            &keys,
            Mode::S8,
            random,
            &mut reply,
        )
        .unwrap();
        reply.as_slice().to_vec()
    };
    let answer = card();
    group.bench_function("card", |b| b.iter(card));
    group.bench_function("host", |b| {
        b.iter(|| {
            handshake().verify_receipt(black_box(&answer), Sw::OK, &public, Some(&static_host)).unwrap()
        });
    });
    group.bench_function("floor", |b| {
        b.iter(|| {
            let ephemeral = EcPrivate::<P256>::new(black_box(&[0x63; 32])).unwrap();
            let point = ephemeral.public().unwrap();
            let theirs = EcPublic::<P256>::new(host_public.as_bytes()).unwrap();
            let secrets = Secrets::agree((&ephemeral, &theirs), (&static_host, &public)).unwrap();
            (point, secrets.expose().len())
        });
    });
    group.finish();
}

criterion_group!(
    benches,
    derive,
    open_session::<Scp03>,
    wrap::<Scp03>,
    unwrap::<Scp03>,
    open_session::<Scp02>,
    wrap::<Scp02>,
    unwrap::<Scp02>,
    scp11a,
);
criterion_main!(benches);
