//! READ RECORD along the application file locator. `[EMV-B3 10.2, 6.5.11]`

use super::card_data::CardData;
use super::tags;
use crate::terminal::FaultKind;
use huiwan_apdu::{Command, Ne};
use huiwan_tlv::{Rules, parse};

/// A record the card wants read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) sfi: u8,
    pub(super) number: u8,
    /// The card's certificate covers it.
    pub(super) authenticated: bool,
}

/// An application file locator: four bytes an entry, `SFI << 3 ‖ first ‖ last ‖ how many are authenticated`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Afl<'a>(&'a [[u8; 4]]);

impl<'a> Afl<'a> {
    /// Checks every entry. `[EMV-B3 10.2]`
    pub(super) fn parse(value: &'a [u8], records_max: usize) -> Result<Self, FaultKind> {
        let (entries, rest) = value.as_chunks::<4>();
        let sound = |&[file, first, last, authenticated]: &[u8; 4]| {
            let sfi = file >> 3;
            file & 0x07 == 0
                && (1..=30).contains(&sfi)
                && first != 0
                && first <= last
                && usize::from(authenticated) <= usize::from(last.wrapping_sub(first)).wrapping_add(1)
        };
        if entries.is_empty() || !rest.is_empty() || !entries.iter().all(sound) {
            return Err(FaultKind::Value(tags::AFL));
        }
        let afl = Self(entries);
        if afl.records().nth(records_max).is_some() { Err(FaultKind::TooManyRecords) } else { Ok(afl) }
    }

    /// Every record, in the order of reading.
    pub(super) fn records(self) -> impl Iterator<Item = Record> + 'a {
        self.0.iter().flat_map(|&[file, first, last, authenticated]| {
            (first..=last).zip(0_u8..).map(move |(number, index)| Record {
                sfi: file >> 3,
                number,
                authenticated: index < authenticated,
            })
        })
    }
}

/// The command; its length in `out`.
pub(super) fn command(record: Record, out: &mut [u8]) -> Result<usize, FaultKind> {
    let command = Command::new(0x00, 0xB2, record.number, (record.sfi << 3) | 0x04).with_ne(Ne::MAX_SHORT);
    command.write(out).map(<[u8]>::len).map_err(|_| FaultKind::TooMuchData)
}

/// Keeps the objects of one record. Of files 11 to 30 only the bytes for authentication matter to this kernel.
pub(super) fn read_answer(answer: &[u8], record: Record, card: &mut CardData<'_>) -> Result<(), FaultKind> {
    if record.sfi > 10 {
        return if record.authenticated { card.push_static(answer) } else { Ok(()) };
    }
    let mut objects = parse(answer, Rules::EMV);
    let template = match (objects.next().transpose().map_err(FaultKind::Tlv)?, objects.next()) {
        (Some(template), None) if template.tag() == tags::RECORD => template,
        _ => return Err(FaultKind::Template),
    };
    card.push(template.value())?;
    if record.authenticated { card.push_static(template.value()) } else { Ok(()) }
}
