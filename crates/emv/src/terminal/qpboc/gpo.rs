//! GET PROCESSING OPTIONS: the PDOL filled with the terminal's data, the card's decision read. `[EMV-B3 6.5.8; JR/T 0025.12]`

use super::card_data::CardData;
use super::tags;
use crate::cryptogram::{Cryptogram, Iad};
use crate::qualifiers::Ttq;
use crate::terminal::{COMMAND_MAX, Configuration, FaultKind, Transaction};
use huiwan_apdu::{Command, Ne};
use huiwan_tlv::dol::{Dol, Format};
use huiwan_tlv::{Rules, Tag, Writer, parse};

/// The values the terminal brings to one transaction, in their wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TerminalData {
    pub(super) ttq: Ttq,
    pub(super) amount: [u8; 6],
    pub(super) other_amount: [u8; 6],
    pub(super) currency: [u8; 2],
    pub(super) date: [u8; 3],
    pub(super) time: [u8; 3],
    pub(super) kind: [u8; 1],
    pub(super) counter: [u8; 4],
    pub(super) unpredictable_number: [u8; 4],
}

impl TerminalData {
    pub(super) const ZERO: Self = Self {
        ttq: Ttq([0; 4]),
        amount: [0; 6],
        other_amount: [0; 6],
        currency: [0; 2],
        date: [0; 3],
        time: [0; 3],
        kind: [0],
        counter: [0; 4],
        unpredictable_number: [0; 4],
    };

    pub(super) fn new(transaction: &Transaction, ttq: Ttq) -> Self {
        Self {
            ttq,
            amount: transaction.amount.to_bcd(),
            other_amount: transaction.other_amount.to_bcd(),
            currency: transaction.currency.to_bcd(),
            date: transaction.date.to_bcd(),
            time: transaction.time.to_bcd(),
            kind: [transaction.kind],
            counter: decimal(transaction.counter),
            unpredictable_number: [0; 4],
        }
    }

    /// The value of a tag whose source is the terminal, one row each.
    pub(super) fn get<'v>(
        &'v self,
        configuration: &'v Configuration<'_>,
        tag: Tag,
    ) -> Option<(&'v [u8], Format)> {
        use Format::{Numeric, Other};
        Some(match tag.get() {
            0x95 => (&[0; 5], Other),
            0x9A => (&self.date, Numeric),
            0x9C => (&self.kind, Numeric),
            0x5F2A => (&self.currency, Numeric),
            0x9F02 => (&self.amount, Numeric),
            0x9F03 => (&self.other_amount, Numeric),
            0x9F09 => (&configuration.application_version, Other),
            0x9F1A => (&configuration.country, Numeric),
            0x9F1E => (&configuration.serial_number, Other),
            0x9F21 => (&self.time, Numeric),
            0x9F33 => (&configuration.capabilities.0, Other),
            0x9F35 => (core::slice::from_ref(&configuration.terminal_type), Numeric),
            0x9F37 => (&self.unpredictable_number, Other),
            0x9F40 => (&configuration.additional_capabilities, Other),
            0x9F41 => (&self.counter, Numeric),
            0x9F66 => (&self.ttq.0, Other),
            _ => {
                let (_, value, format) = configuration.more.iter().find(|(other, ..)| *other == tag)?;
                (value, *format)
            }
        })
    }
}

/// The last eight digits of a number, two a byte.
fn decimal(mut number: u32) -> [u8; 4] {
    let mut out = [0; 4];
    for byte in out.iter_mut().rev() {
        let pair = u8::try_from(number % 100).unwrap_or_default();
        *byte = ((pair / 10) << 4) | (pair % 10);
        number /= 100;
    }
    out
}

/// The PDOL of an FCI, which must ask for what quickPass is about.
pub(super) fn check_pdol(fci: &CardData<'_>, needs: &[Tag]) -> Result<(), FaultKind> {
    let pdol = pdol(fci)?;
    match needs.iter().find(|tag| !pdol.contains(**tag)) {
        Some(tag) => Err(FaultKind::Missing(*tag)),
        None => Ok(()),
    }
}

fn pdol<'a>(data: &'a CardData<'_>) -> Result<Dol<'a>, FaultKind> {
    let pdol =
        Dol::parse(data.get(tags::PDOL).unwrap_or_default()).map_err(|_| FaultKind::Value(tags::PDOL))?;
    // 83 and its length must leave room in a short command.
    if pdol.total_len() > 252 { Err(FaultKind::Value(tags::PDOL)) } else { Ok(pdol) }
}

/// The command; its length in `out`.
pub(super) fn command(
    card: &CardData<'_>,
    terminal: &TerminalData,
    configuration: &Configuration<'_>,
    out: &mut [u8],
) -> Result<usize, FaultKind> {
    let pdol = pdol(card)?;
    let (mut values, mut template) = ([0; 252], [0; COMMAND_MAX]);
    let values =
        pdol.fill(&mut values, |tag| terminal.get(configuration, tag)).map_err(|_| FaultKind::TooMuchData)?;
    let mut writer = Writer::new(&mut template);
    writer.put(tags::COMMAND_TEMPLATE, values);
    let data = writer.finish().map_err(|_| FaultKind::TooMuchData)?;
    let command = Command::new(0x80, 0xA8, 0x00, 0x00).with_data(data).with_ne(Ne::MAX_SHORT);
    command.write(out).map(<[u8]>::len).map_err(|_| FaultKind::TooMuchData)
}

/// Keeps the objects of the answer: a template 77 in any order, or AIP and AFL in a template 80.
pub(super) fn read_answer(answer: &[u8], card: &mut CardData<'_>) -> Result<Cryptogram, FaultKind> {
    let mut objects = parse(answer, Rules::EMV);
    let (template, None) = (objects.next().transpose().map_err(FaultKind::Tlv)?, objects.next()) else {
        return Err(FaultKind::Template);
    };
    match template.map(|template| (template.tag(), template.value())) {
        Some((tags::FORMAT_2, objects)) => card.push(objects)?,
        Some((tags::FORMAT_1, value)) => {
            let (aip, afl) = value.split_at_checked(2).ok_or(FaultKind::Value(tags::FORMAT_1))?;
            let mut buffer = [0; COMMAND_MAX];
            let mut writer = Writer::new(&mut buffer);
            writer.put(tags::AIP, aip);
            writer.put(tags::AFL, afl);
            card.push(writer.finish().map_err(|_| FaultKind::TooMuchData)?)?;
        }
        _ => return Err(FaultKind::Template),
    }
    for (tag, len) in [(tags::AIP, 2), (tags::ATC, 2), (tags::CRYPTOGRAM, 8)] {
        match card.get(tag) {
            Some(value) if value.len() == len => {}
            Some(_) => return Err(FaultKind::Value(tag)),
            None => return Err(FaultKind::Missing(tag)),
        }
    }
    decision(card)
}

/// What the card decided: CVR inside the issuer application data; a CID, when the card sends one, must agree.
fn decision(card: &CardData<'_>) -> Result<Cryptogram, FaultKind> {
    let iad = card.get(tags::IAD).ok_or(FaultKind::Missing(tags::IAD))?;
    let kind = Iad::parse(iad).and_then(|iad| iad.result()).ok_or(FaultKind::Value(tags::IAD))?;
    match card.get(tags::CID) {
        None => Ok(kind),
        Some(&[cid]) if Cryptogram::from_cid(cid) == Some(kind) => Ok(kind),
        Some(_) => Err(FaultKind::Value(tags::CID)),
    }
}
