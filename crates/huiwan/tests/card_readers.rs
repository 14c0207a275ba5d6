//! What phone apps that know Chinese cards send, in their order, against the sample band: each has to come away with
//! number, balance and log. The procedures are those of nfsee (assets/read.js), NFCard (StandardPboc, TUnion) and
//! metrodroid (ChinaCard), as their public sources have them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, missing_docs)]

use huiwan::element::{Modules, SecureElement};
use huiwan::sample;
use huiwan_card::{Environment, Interface, Journal, Memory, RamFlash};
use huiwan_gp::card::{CardProfile, Factory, Registry, format};
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
    band.power_on(Interface::Contactless, &mut environment);
    test(Field { band: &mut band, random });
}

/// nfsee looks for issuer data in the FCI before it reads file 0015.
fn nfsee<M: Memory>(field: &mut Field<'_, '_, M>, select: &str, account: char) -> Option<Shown> {
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
        number: file_15[10..20].to_vec(),
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
        let shown = nfsee(&mut field, T_UNION, '2').expect("nfsee");
        assert_eq!(shown.number, sample::TRANSIT_CARD.serial);
        assert_eq!(shown.balance, sample::PURSE);
        assert_eq!(field.data("00B097000B").map(|file| file.len()), Some(11), "nfsee reads the city");
        // The initialisation that only looked changed nothing.
        assert_eq!(nfcard(&mut field, T_UNION, "805C030204"), Some(shown));
        let read = metrodroid(&mut field, T_UNION);
        assert_eq!(read, Some((sample::TRANSIT_CARD.serial.to_vec(), sample::PURSE)));
    });
}
